//! The interpreter as its user sees it: inputs, outputs, resizing, invoking, signatures.

mod builder;
mod entry;
mod flight;
mod invoke;
mod signature;

use std::{borrow::Cow, collections::VecDeque};

use tflite_wgpu_model::{DType, Quant, Shape, SubgraphId, TensorId};

use crate::{
    blocking::block_on,
    content::Content,
    delegate::{Fallback, Partition},
    error::Error,
    executor::Executor,
    memory::{MemoryPeak, Shared},
    model::Model,
    schedule::Item,
    value::Value,
};

pub use builder::InterpreterBuilder;
use entry::Entry;
use flight::Flight;
pub use signature::SignatureRunner;

/// What is known of an input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo<'a> {
    /// The tensor.
    pub id: TensorId,
    /// Its name: the signature's, where it is asked of a signature, else the file's.
    pub name: Cow<'a, str>,
    /// Element type.
    pub dtype: DType,
    /// Its shape as far as it is known: after an invoke that of its value.
    pub shape: Shape,
    /// Quantisation.
    pub quant: Option<&'a Quant>,
}

/// Runs a model on the CPU, with parts on a delegate's device if there is one.
///
/// An interpreter is one thread's at a time and cheap to make; the [`Model`] with its constants is shared.
///
/// ```
/// use tflite_wgpu_fallback::{Error, Interpreter, Model, Value};
/// use tflite_wgpu_model::{DType, Data, Graph, Program, Shape, Tensor, TensorId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A model whose output is its input.
/// let shape = Shape::known(&[2]);
/// let x = Tensor {
///     name: "x".into(),
///     dtype: DType::Float32,
///     dims: vec![2],
///     shape,
///     quant: None,
///     sparsity: None,
///     data: Data::Computed,
/// };
/// let graph = Graph { tensors: vec![x], inputs: vec![TensorId(0)], outputs: vec![TensorId(0)], ..Graph::default() };
/// let model = Model::new(Program { subgraphs: vec![graph], ..Program::default() })?;
///
/// let mut interpreter = Interpreter::builder(&model).threads(2).build()?;
/// interpreter.set_input(0, Value::f32(&[2], &[1.0, 2.0])?)?;
/// interpreter.invoke()?;
/// assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, &[1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
pub struct Interpreter {
    executor: Executor,
    /// Inputs and outputs of the subgraphs that a user can call: the first one and those of signatures.
    entries: Vec<Option<Entry>>,
    /// Invokes that were submitted and not collected yet, the oldest first.
    flights: VecDeque<Flight>,
}

impl Interpreter {
    /// Starts an interpreter of `model`.
    pub fn builder(model: &Model) -> InterpreterBuilder {
        InterpreterBuilder::new(model)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.executor.model
    }

    /// Allocates the inputs and works out which shapes follow from theirs, so that [`Interpreter::outputs`] knows them
    /// and the delegate is prepared before the first invoke. [`Interpreter::invoke`] runs without it too.
    ///
    /// # Errors
    /// When shapes contradict each other, inputs exceed the memory limit, or the delegate fails for good.
    pub fn allocate_tensors(&mut self) -> Result<(), Error> {
        self.allocate(SubgraphId(0))
    }

    /// The model's inputs.
    pub fn inputs(&self) -> Vec<TensorInfo<'_>> {
        self.input_infos(SubgraphId(0))
    }

    /// The model's outputs; shapes are those of the values after an invoke, before what is known.
    pub fn outputs(&self) -> Vec<TensorInfo<'_>> {
        self.output_infos(SubgraphId(0))
    }

    /// Gives input `i` another shape; its elements become zero.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such input.
    pub fn resize_input(&mut self, i: usize, dims: &[usize]) -> Result<(), Error> {
        self.resize(SubgraphId(0), i, dims)
    }

    /// The value of input `i`, for writing; it keeps what an earlier invoke was given. Another shape than that of the
    /// input counts as a resize.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such input, [`Error::MemoryLimit`] when it does not fit.
    pub fn input_mut(&mut self, i: usize) -> Result<&mut Value, Error> {
        self.input_value(SubgraphId(0), i)
    }

    /// Gives input `i` a value; another shape counts as a resize.
    ///
    /// # Errors
    /// When there is no such input, or it has another type.
    pub fn set_input(&mut self, i: usize, value: Value) -> Result<(), Error> {
        self.set_value(SubgraphId(0), i, value)
    }

    /// Runs the model.
    ///
    /// # Errors
    /// The first error of a node, an input or the delegate.
    pub fn invoke(&mut self) -> Result<(), Error> {
        self.invoke_entry(SubgraphId(0))
    }

    /// Runs the model, awaiting the delegate's results instead of blocking; the only way where threads cannot wait.
    ///
    /// Dropping the future leaves the interpreter usable, with its variables at their start.
    ///
    /// # Errors
    /// As [`Interpreter::invoke`].
    pub async fn invoke_async(&mut self) -> Result<(), Error> {
        self.run_entry(SubgraphId(0)).await
    }

    /// Starts an invoke on the inputs as they are now and returns while the delegate's device still works, so that the
    /// next inputs can be written meanwhile; [`Interpreter::collect`] brings the results. Nodes of the CPU, and values of
    /// the device that they need, are waited for.
    ///
    /// Two invokes may be in flight. A further one waits for the oldest to be done on the device first; its results are
    /// kept until they are collected. [`Interpreter::invoke`] forgets what was not collected.
    ///
    /// # Errors
    /// As [`Interpreter::invoke`].
    pub fn submit(&mut self) -> Result<(), Error> {
        block_on(self.submit_async())?
    }

    /// As [`Interpreter::submit`], where threads cannot wait.
    ///
    /// # Errors
    /// As [`Interpreter::invoke`].
    pub async fn submit_async(&mut self) -> Result<(), Error> {
        self.start(SubgraphId(0)).await
    }

    /// Waits for the oldest invoke that was submitted and not collected yet, and makes its results those of
    /// [`Interpreter::output`]; `false` when there is none.
    ///
    /// # Errors
    /// As [`Interpreter::invoke`].
    pub fn collect(&mut self) -> Result<bool, Error> {
        block_on(self.collect_async())?
    }

    /// As [`Interpreter::collect`], where threads cannot wait.
    ///
    /// # Errors
    /// As [`Interpreter::invoke`].
    pub async fn collect_async(&mut self) -> Result<bool, Error> {
        self.land().await
    }

    /// The value of output `i` after an invoke.
    ///
    /// # Errors
    /// When there is no such output or it has not been computed.
    pub fn output(&self, i: usize) -> Result<&Value, Error> {
        self.output_value(SubgraphId(0), i)
    }

    /// The value of a tensor of the first subgraph, if it is in host memory: inputs, constants, variables, outputs
    /// after an invoke; every computed tensor with `preserve_all_tensors`, except those inside a partition.
    pub fn tensor(&self, id: TensorId) -> Option<&Value> {
        self.tensor_of(SubgraphId(0), id)
    }

    /// As [`Interpreter::tensor`], of any subgraph; of one that runs repeatedly, the last run's.
    pub fn tensor_of(&self, subgraph: SubgraphId, id: TensorId) -> Option<&Value> {
        let entry = self.entry(subgraph);
        let graph = self.model().program().graph(subgraph)?;
        let given = graph.inputs.iter().position(|input| *input == id);
        let result = graph.outputs.iter().position(|output| *output == id);
        let given = given.zip(entry).and_then(|(i, entry)| entry.inputs.get(i)?.value.as_ref());
        let result = result.zip(entry).and_then(|(i, entry)| entry.outputs.get(i)?.as_ref());
        let frame = self.executor.frames.get(subgraph.index());
        let slot = frame.and_then(|frame| frame.slots.get(id.index())?.as_ref()).and_then(Content::host);
        let found = result.or(slot).or(given).map(Shared::value);
        let constant = || self.model().constant(subgraph, id).ok().flatten();
        let folded = || self.model().folded(subgraph, id).ok().flatten().map(Shared::value);
        found.or_else(constant).or_else(folded)
    }

    /// Sets the variable tensors of all subgraphs, and what nodes remember, back to their start. Resource variables and
    /// hash tables stay, as in TFLite.
    pub fn reset_variables(&mut self) {
        for frame in &mut self.executor.frames {
            frame.slots.iter_mut().for_each(|slot| *slot = None);
            frame.memories.iter_mut().for_each(Vec::clear);
        }
    }

    /// What runs in a subgraph, in its order.
    pub fn schedule(&self, subgraph: SubgraphId) -> Vec<Item> {
        let plan = self.executor.plans.get(subgraph.index());
        plan.map(|plan| plan.steps.iter().map(|step| step.item).collect()).unwrap_or_default()
    }

    /// What the delegate has claimed.
    pub fn partitions(&self) -> &[Partition] {
        &self.executor.partitions
    }

    /// Partitions that the CPU has run instead of the delegate so far, with the reasons.
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.executor.fallbacks
    }

    /// What tensors in host memory have taken at most so far, constants left out.
    pub fn memory_peak(&self) -> MemoryPeak {
        self.executor.memory.peak()
    }

    /// Bytes that tensors take now, constants left out.
    pub fn memory_bytes(&self) -> usize {
        self.executor.memory.used()
    }
}
