//! Running the nodes of a subgraph one after the other, as far as that needs no interpreter.

use std::collections::HashMap;

use tflite_wgpu_fallback::{
    Value,
    kernels::{EvalCtx, EvalEnv, kernel_of},
};
use tflite_wgpu_model::{
    DType, Data, Graph, Node, Program, Tensor,
    infer::{self, Inputs},
};

/// Why a case did not run.
pub enum Stop {
    /// No kernel, or something that needs an interpreter.
    Unsupported(String),
    /// A kernel's or the inference's error.
    Failed(String),
}

struct Known<'a> {
    inputs: &'a [Option<&'a Value>],
    outputs: &'a [Option<&'a Tensor>],
}

impl Inputs for Known<'_> {
    fn shape(&self, i: usize) -> Option<(DType, &[usize])> {
        let value = self.inputs.get(i).copied().flatten()?;
        Some((value.dtype(), value.shape()))
    }
    fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.inputs.get(i).copied().flatten()?.to_ints()
    }
    fn floats(&self, i: usize) -> Option<Vec<f64>> {
        self.inputs.get(i).copied().flatten()?.to_floats()
    }
    fn output_dtype(&self, i: usize) -> Option<DType> {
        Some(self.outputs.get(i).copied().flatten()?.dtype)
    }
    fn output_shape(&self, i: usize) -> Option<Vec<usize>> {
        self.outputs.get(i).copied().flatten()?.shape.dims()
    }
}

/// The outputs of the first subgraph for these inputs.
pub fn run(program: &Program, inputs: Vec<Value>) -> Result<Vec<Value>, Stop> {
    let [graph] = program.subgraphs.as_slice() else { return Err(Stop::Unsupported("several subgraphs".into())) };
    if graph.inputs.len() != inputs.len() {
        return Err(Stop::Failed(format!("{} inputs, expected {}", graph.inputs.len(), inputs.len())));
    }
    let mut values: HashMap<u32, Value> = HashMap::new();
    for (id, tensor) in graph.tensors.iter().enumerate() {
        let value = match &tensor.data {
            Data::Constant(_) if tensor.sparsity.is_some() => return Err(Stop::Unsupported("sparse constant".into())),
            Data::Constant(bytes) => Value::from_constant(tensor.dtype, &tensor.dims, bytes),
            Data::Variable => Value::zeros(tensor.dtype, &tensor.dims),
            Data::Computed => continue,
        };
        values.insert(id as u32, value.map_err(|error| Stop::Failed(format!("tensor {id}: {error}")))?);
    }
    values.extend(graph.inputs.iter().map(|id| id.0).zip(inputs));
    for (index, node) in graph.nodes.iter().enumerate() {
        let outputs = run_node(program, graph, node, &values).map_err(|stop| match stop {
            Stop::Failed(error) => Stop::Failed(format!("node {index} {}: {error}", node.op.name())),
            other => other,
        })?;
        let ids = node.outputs.iter().zip(outputs).filter_map(|(id, value)| Some((id.as_ref()?.0, value)));
        values.extend(ids);
    }
    let output = |id: &tflite_wgpu_model::TensorId| values.get(&id.0).cloned();
    graph.outputs.iter().map(output).collect::<Option<_>>().ok_or_else(|| Stop::Failed("no such output".into()))
}

fn run_node(program: &Program, graph: &Graph, node: &Node, values: &HashMap<u32, Value>) -> Result<Vec<Value>, Stop> {
    let eval = kernel_of(&node.op).ok_or_else(|| Stop::Unsupported(node.op.name().to_owned()))?;
    let inputs: Vec<_> = node.inputs.iter().map(|id| id.and_then(|id| values.get(&id.0))).collect();
    let tensor = |id: &Option<tflite_wgpu_model::TensorId>| id.and_then(|id| graph.tensors.get(id.index()));
    let input_tensors: Vec<_> = node.inputs.iter().map(tensor).collect();
    let output_tensors: Vec<_> = node.outputs.iter().map(tensor).collect();
    let failed = |error: &dyn std::fmt::Display| Stop::Failed(error.to_string());
    let shapes = infer::infer(node, &Known { inputs: &inputs, outputs: &output_tensors }).map_err(|e| failed(&e))?;
    let output = |(tensor, shape): (&Option<&Tensor>, &Option<Vec<usize>>)| {
        Value::zeros(tensor.map_or(DType::Float32, |t| t.dtype), shape.as_deref().unwrap_or(&[0]))
    };
    let mut outputs: Vec<_> =
        output_tensors.iter().zip(&shapes).map(output).collect::<Result<_, _>>().map_err(|e| failed(&e))?;
    let (mut states, mut memory) = (Vec::new(), Vec::new());
    eval(&mut EvalCtx {
        node,
        inputs: &inputs,
        input_tensors: &input_tensors,
        outputs: &mut outputs,
        output_tensors: &output_tensors,
        states: &mut states,
        memory: &mut memory,
        env: EvalEnv { tensors: &graph.tensors, program: Some(program), threads: 2, max_output_bytes: None },
    })
    .map_err(|e| failed(&e))?;
    Ok(outputs)
}
