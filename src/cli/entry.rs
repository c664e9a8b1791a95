//! The inputs and outputs of what is run: the first subgraph, or a signature's.

use tflite_wgpu::{
    Interpreter, Model, Value,
    model::{DType, Dim, Quant, Shape, SignatureTensor, SubgraphId, TensorId, TensorMetadata},
    verify::{self, Call},
};

use super::failure::{Failure, Res};

/// An input or output.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name, the signature's where there is one.
    pub name: String,
    /// Its name in the file.
    pub tensor_name: String,
    /// The tensor.
    pub tensor: TensorId,
    pub dtype: DType,
    /// Shape, with open dimensions.
    pub shape: Shape,
    /// Shape before a resize.
    pub dims: Vec<usize>,
    pub quant: Option<Quant>,
    /// What the file says for people.
    pub metadata: Option<TensorMetadata>,
}

impl Port {
    /// The port in an error's words.
    pub fn describe(&self, side: &str, index: usize) -> String {
        format!("{side} {index} {:?}", self.name)
    }

    /// Sizes for a shape: those of the file where it is open.
    pub fn closed(&self, shape: &Shape) -> Vec<usize> {
        let size = |(i, dim): (usize, &Dim)| match dim {
            Dim::Known(size) => *size,
            Dim::Unknown => self.dims.get(i).copied().unwrap_or(1),
        };
        shape.0.iter().enumerate().map(size).collect()
    }
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Entry {
    pub signature: Option<String>,
    pub subgraph: SubgraphId,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

impl Entry {
    /// The signature of this key, else the first subgraph. Where only one signature runs that, its names count too.
    pub fn of(model: &Model, signature: Option<&str>) -> Res<Self> {
        let program = model.program();
        let chosen = match signature {
            Some(key) => {
                let found = program.signatures.iter().find(|s| s.key == key);
                let keys: Vec<String> = program.signatures.iter().map(|s| format!("{:?}", s.key)).collect();
                let keys = if keys.is_empty() { "none: the model has no signatures".into() } else { keys.join(", ") };
                Some(found.ok_or_else(|| Failure::new(format!("signature {key:?} does not exist, expected {keys}")))?)
            }
            None => None,
        };
        let subgraph = chosen.map_or(SubgraphId(0), |s| s.subgraph);
        let graph = program.graph(subgraph).ok_or_else(|| Failure::new("the model has no subgraph"))?;
        // Damaged metadata say nothing about what the model computes.
        let metadata = program.model_metadata().ok().flatten().unwrap_or_default();
        let metadata = metadata.subgraphs.get(subgraph.index()).cloned().unwrap_or_default();
        let mut same = program.signatures.iter().filter(|s| s.subgraph == subgraph);
        let naming = chosen.or_else(|| same.next().filter(|_| same.next().is_none()));
        let port = |id: TensorId, name: Option<&str>, position: Option<usize>, about: &[TensorMetadata]| {
            let tensor = graph.tensors.get(id.index())?;
            Some(Port {
                name: name.unwrap_or(&tensor.name).to_owned(),
                tensor_name: tensor.name.clone(),
                tensor: id,
                dtype: tensor.dtype,
                shape: tensor.shape.clone(),
                dims: tensor.dims.clone(),
                quant: tensor.quant.clone(),
                metadata: position.and_then(|i| about.get(i)).cloned(),
            })
        };
        let ports = |ids: &[TensorId], named: Option<&[SignatureTensor]>, about: &[TensorMetadata]| {
            let of_signature = named.filter(|_| chosen.is_some());
            let ports: Vec<Port> = match of_signature {
                Some(named) => named
                    .iter()
                    .filter_map(|s| port(s.tensor, Some(&s.name), ids.iter().position(|id| *id == s.tensor), about))
                    .collect(),
                None => {
                    let name = |id: TensorId| named?.iter().find(|s| s.tensor == id).map(|s| s.name.as_str());
                    ids.iter().enumerate().filter_map(|(i, &id)| port(id, name(id), Some(i), about)).collect()
                }
            };
            ports
        };
        Ok(Self {
            signature: signature.map(str::to_owned),
            subgraph,
            inputs: ports(&graph.inputs, naming.map(|s| s.inputs.as_slice()), &metadata.inputs),
            outputs: ports(&graph.outputs, naming.map(|s| s.outputs.as_slice()), &metadata.outputs),
        })
    }

    /// The input of this name (the signature's, the file's) or position.
    pub fn input(&self, text: &str) -> Option<usize> {
        let named = |of: fn(&Port) -> &str| self.inputs.iter().position(|port| of(port) == text);
        let position = || text.parse().ok().filter(|&i: &usize| i < self.inputs.len());
        named(|port| &port.name).or_else(|| named(|port| &port.tensor_name)).or_else(position)
    }

    /// The names of the inputs, for messages.
    pub fn input_names(&self) -> String {
        let names: Vec<String> = self.inputs.iter().map(|port| format!("{:?}", port.name)).collect();
        if names.is_empty() { "none: the model has no inputs".into() } else { names.join(", ") }
    }

    /// The call with these inputs.
    pub fn call<'a>(&'a self, inputs: &'a [Value]) -> Call<'a> {
        Call { signature: self.signature.as_deref(), inputs }
    }

    /// Invokes; gives the outputs in order, with the names of [`Entry::outputs`].
    pub fn invoke(&self, interpreter: &mut Interpreter, inputs: &[Value]) -> Res<Vec<Value>> {
        Ok(verify::invoke(interpreter, &self.call(inputs))?.into_iter().map(|(_, value)| value).collect())
    }
}
