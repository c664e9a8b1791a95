//! Inputs and outputs of a subgraph that the user calls.

use std::borrow::Cow;

use tflite_wgpu_model::{Dim, Graph, Shape, SubgraphId, Tensor, TensorId};

use super::{Interpreter, TensorInfo};
use crate::{
    error::{Error, TensorAt},
    executor::tensor_memory_error,
    memory::Shared,
    value::{Value, ValueError},
};

/// Inputs and outputs of one subgraph.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) inputs: Vec<EntryInput>,
    /// Values of the outputs after an invoke.
    pub(super) outputs: Vec<Option<Shared>>,
    /// What `allocate_tensors` has found.
    pub(super) known: Option<KnownOutputs>,
    /// Shapes of the inputs for which the memory of tensors was last planned.
    pub(super) planned: Option<Vec<Vec<usize>>>,
}

/// Shapes of the outputs, as far as they are known, for certain shapes of the inputs.
pub(super) struct KnownOutputs {
    pub(super) inputs: Vec<Vec<usize>>,
    pub(super) outputs: Vec<Option<Vec<usize>>>,
}

/// One input.
pub(super) struct EntryInput {
    /// Its shape in the file.
    file_dims: Vec<usize>,
    /// Its shape while it has no value.
    pub(super) dims: Vec<usize>,
    pub(super) value: Option<Shared>,
}

impl Entry {
    pub(super) fn new(graph: &Graph) -> Self {
        let dims = |id: &TensorId| graph.tensors.get(id.index()).map(|tensor| tensor.dims.clone()).unwrap_or_default();
        let inputs =
            graph.inputs.iter().map(|id| EntryInput { file_dims: dims(id), dims: dims(id), value: None }).collect();
        Self { inputs, outputs: vec![None; graph.outputs.len()], known: None, planned: None }
    }
}

/// Whether a tensor is an input or an output, for messages.
#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

impl Interpreter {
    pub(super) fn entry(&self, subgraph: SubgraphId) -> Option<&Entry> {
        self.entries.get(subgraph.index())?.as_ref()
    }

    fn tensors(&self, subgraph: SubgraphId, side: Side) -> Vec<(TensorId, &Tensor)> {
        let Some(graph) = self.model().program().graph(subgraph) else { return Vec::new() };
        let ids = match side {
            Side::Input => &graph.inputs,
            Side::Output => &graph.outputs,
        };
        ids.iter().filter_map(|id| Some((*id, graph.tensors.get(id.index())?))).collect()
    }

    fn not_found(&self, subgraph: SubgraphId, side: Side, i: usize) -> Error {
        let what = match side {
            Side::Input => "input",
            Side::Output => "output",
        };
        let expected = format!("less than {}", self.tensors(subgraph, side).len());
        Error::NotFound { what, found: i.to_string(), expected }
    }

    pub(super) fn input_infos(&self, subgraph: SubgraphId) -> Vec<TensorInfo<'_>> {
        let entry = self.entry(subgraph);
        let info = |(i, (id, tensor)): (usize, (TensorId, _))| {
            let dims = entry.and_then(|entry| entry.inputs.get(i)).map(EntryInput::shape);
            info(id, tensor, dims.map(Shape::known))
        };
        self.tensors(subgraph, Side::Input).into_iter().enumerate().map(info).collect()
    }

    pub(super) fn output_infos(&self, subgraph: SubgraphId) -> Vec<TensorInfo<'_>> {
        let entry = self.entry(subgraph);
        let info = |(i, (id, tensor)): (usize, (TensorId, _))| {
            let value = entry.and_then(|entry| entry.outputs.get(i)?.as_ref());
            let value = value.map(|value| Shape::known(value.value().shape()));
            info(id, tensor, value.or_else(|| entry?.known_shape(i, tensor)))
        };
        self.tensors(subgraph, Side::Output).into_iter().enumerate().map(info).collect()
    }

    fn entry_input(&mut self, subgraph: SubgraphId, i: usize) -> Result<(&mut Entry, usize), Error> {
        let error = self.not_found(subgraph, Side::Input, i);
        let entry = self.entries.get_mut(subgraph.index()).and_then(Option::as_mut);
        entry.filter(|entry| i < entry.inputs.len()).map(|entry| (entry, i)).ok_or(error)
    }

    pub(super) fn resize(&mut self, subgraph: SubgraphId, i: usize, dims: &[usize]) -> Result<(), Error> {
        let (entry, i) = self.entry_input(subgraph, i)?;
        if entry.inputs[i].shape() != dims {
            entry.inputs[i].dims = dims.to_vec();
            entry.inputs[i].value = None;
            entry.reshaped();
        }
        Ok(())
    }

    pub(super) fn set_value(&mut self, subgraph: SubgraphId, i: usize, value: Value) -> Result<(), Error> {
        self.check_type(subgraph, i, &value)?;
        let held = self.executor.memory.hold(value);
        let shared = held.map_err(|error| tensor_memory_error(error, &format!("model input {i}")))?;
        let (entry, i) = self.entry_input(subgraph, i)?;
        let dims = shared.value().shape().to_vec();
        if entry.inputs[i].shape() != dims {
            entry.reshaped();
        }
        entry.inputs[i].dims = dims;
        entry.inputs[i].value = Some(shared);
        Ok(())
    }

    pub(super) fn check_type(&self, subgraph: SubgraphId, index: usize, value: &Value) -> Result<(), Error> {
        match self.tensors(subgraph, Side::Input).get(index) {
            None => Err(self.not_found(subgraph, Side::Input, index)),
            Some((_, tensor)) if tensor.dtype != value.dtype() => Err(Error::Input {
                index,
                name: tensor.name.clone(),
                error: ValueError::Type { found: value.dtype(), expected: tensor.dtype },
            }),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn input_value(&mut self, subgraph: SubgraphId, i: usize) -> Result<&mut Value, Error> {
        self.allocate_input(subgraph, i)?;
        let error = self.not_found(subgraph, Side::Input, i);
        let entry = self.entries.get_mut(subgraph.index()).and_then(Option::as_mut);
        let value = entry.and_then(|entry| entry.inputs.get_mut(i)?.value.as_mut());
        value.map(Shared::to_mut).ok_or(error)
    }

    /// Gives an input that has no value yet one of zeros.
    pub(super) fn allocate_input(&mut self, subgraph: SubgraphId, i: usize) -> Result<(), Error> {
        let tensor = self.tensors(subgraph, Side::Input).get(i).copied();
        let (id, tensor) = tensor.ok_or_else(|| self.not_found(subgraph, Side::Input, i))?;
        let (dtype, at) = (tensor.dtype, TensorAt::new(subgraph, id, Some(tensor)));
        let entry = self.entries.get_mut(subgraph.index()).and_then(Option::as_mut);
        let Some(input) = entry.and_then(|entry| entry.inputs.get_mut(i)) else { return Ok(()) };
        if input.value.is_none() {
            let memory = &mut self.executor.memory;
            let held = memory.allocate(dtype, &input.dims).and_then(|value| memory.hold(value));
            input.value = Some(held.map_err(|error| tensor_memory_error(error, &at))?);
        }
        Ok(())
    }

    pub(super) fn output_value(&self, subgraph: SubgraphId, i: usize) -> Result<&Value, Error> {
        let tensor = self.tensors(subgraph, Side::Output).get(i).copied();
        let (_, tensor) = tensor.ok_or_else(|| self.not_found(subgraph, Side::Output, i))?;
        let value = self.entry(subgraph).and_then(|entry| entry.outputs.get(i)?.as_ref());
        value.map(Shared::value).ok_or_else(|| Error::NotInvoked { index: i, name: tensor.name.clone() })
    }
}

impl Entry {
    /// The inputs' shapes now.
    pub(super) fn input_shapes(&self) -> Vec<Vec<usize>> {
        self.inputs.iter().map(|input| input.shape().to_vec()).collect()
    }

    /// What is known of output `i` before an invoke; `None` when that is what the file says.
    fn known_shape(&self, i: usize, tensor: &Tensor) -> Option<Shape> {
        let known = self.known.as_ref().filter(|known| known.inputs == self.input_shapes());
        if let Some(shape) = known.and_then(|known| known.outputs.get(i)?.as_ref()) {
            return Some(Shape::known(shape));
        }
        let as_in_file = self.inputs.iter().all(|input| input.shape() == input.file_dims);
        (!as_in_file).then(|| Shape(vec![Dim::Unknown; tensor.dims.len()]))
    }

    /// Forgets results that belong to other shapes.
    fn reshaped(&mut self) {
        self.outputs.iter_mut().for_each(|output| *output = None);
    }
}

impl EntryInput {
    /// The shape it has now: that of its value, which the user may have reshaped.
    pub(super) fn shape(&self) -> &[usize] {
        self.value.as_ref().map_or(&self.dims, |value| value.value().shape())
    }
}

fn info<'a>(id: TensorId, tensor: &'a Tensor, shape: Option<Shape>) -> TensorInfo<'a> {
    let shape = shape.unwrap_or_else(|| tensor.shape.clone());
    TensorInfo { id, name: Cow::Borrowed(&tensor.name), dtype: tensor.dtype, shape, quant: tensor.quant.as_ref() }
}
