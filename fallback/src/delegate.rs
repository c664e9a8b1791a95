//! The hook through which another device takes nodes of a model.
//!
//! A [`Delegate`] claims [`Partition`]s once per interpreter, is told their shapes ([`Delegate::prepare`]) and runs
//! them ([`Delegate::invoke`]). It may keep results on its device: a tensor's value is then a [`Handle`], which the
//! interpreter passes on to later partitions, through loops and branches, and turns into a host value
//! ([`Delegate::collect`]) only where a CPU node, an output or a condition needs one. So `invoke` may merely submit
//! work; `collect` is where results are awaited.

use std::{collections::HashSet, fmt, future::Future, pin::Pin, sync::Arc};

use tflite_wgpu_model::{DType, Data, Graph, NodeId, SubgraphId, TensorId};

use crate::{error::Cause, model::Model, value::Value};

/// A value on the delegate's device; the number is the delegate's own.
///
/// The value must stay as it is until [`Delegate::release`] is called with the handle: the interpreter may give it to
/// the same partition again while that writes its next results, as in a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub u64);

/// What a delegate's call comes to.
pub type DelegateFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, DelegateError>> + 'a>>;

/// Why a delegate cannot do what it is asked for, and whether the CPU may do it instead.
#[derive(Clone, Debug)]
pub enum DelegateError {
    /// The CPU takes over: from `prepare` until the shapes change, from `invoke` and `collect` for good.
    Fallback(Cause),
    /// The call of the interpreter fails.
    Fatal(Cause),
    /// The device is not ready yet: the CPU runs the partition in this invoke, and the next one asks the delegate again.
    /// Only `invoke` may say so.
    Later,
}

impl DelegateError {
    /// The CPU takes over.
    pub fn fallback(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Fallback(Arc::from(cause.into()))
    }

    /// The call of the interpreter fails.
    pub fn fatal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Fatal(Arc::from(cause.into()))
    }
}

impl fmt::Display for DelegateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fallback(cause) | Self::Fatal(cause) => cause.fmt(f),
            Self::Later => f.write_str("the device is not ready yet"),
        }
    }
}

impl std::error::Error for DelegateError {}

/// Nodes of one subgraph that a delegate runs as a unit.
///
/// No path between two of its nodes may lead through a node outside. Its nodes run in the file's order when the CPU
/// takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The subgraph.
    pub subgraph: SubgraphId,
    /// The nodes, ascending.
    pub nodes: Vec<NodeId>,
    /// Tensors from outside, without constants, with the variables (states) that its nodes use.
    pub inputs: Vec<TensorId>,
    /// Tensors that nodes outside or the subgraph's outputs read.
    pub outputs: Vec<TensorId>,
    /// Inputs whose values, not only their shapes, [`Delegate::prepare`] needs; it is called again when they change.
    pub shape_inputs: Vec<TensorId>,
}

impl Partition {
    /// The partition of these nodes, with the inputs and outputs that follow from the graph.
    pub fn from_nodes(graph: &Graph, subgraph: SubgraphId, nodes: &[NodeId]) -> Self {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        nodes.dedup();
        let inside: HashSet<usize> = nodes.iter().map(|id| id.index()).collect();
        let outside = graph.nodes.iter().enumerate().filter(|(n, _)| !inside.contains(n));
        let mut shared: HashSet<TensorId> =
            outside.flat_map(|(_, node)| node.inputs.iter().copied().flatten()).collect();
        shared.extend(&graph.outputs);
        let (mut made, mut inputs, mut outputs) = (HashSet::new(), Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let data = |id: TensorId| graph.tensors.get(id.index()).map(|tensor| &tensor.data);
        for node in nodes.iter().filter_map(|id| graph.nodes.get(id.index())) {
            for &id in node.inputs.iter().flatten() {
                if !matches!(data(id), Some(Data::Constant(_))) && !made.contains(&id) && seen.insert(id) {
                    inputs.push(id);
                }
            }
            for &id in node.outputs.iter().flatten() {
                let read = shared.contains(&id) || data(id) == Some(&Data::Variable);
                if made.insert(id) && read {
                    outputs.push(id);
                }
            }
        }
        Self { subgraph, nodes, inputs, outputs, shape_inputs: Vec::new() }
    }
}

/// An input of a partition when it is prepared.
#[derive(Clone, Copy, Debug)]
pub struct PartitionInput<'a> {
    /// The tensor.
    pub tensor: TensorId,
    /// Its type.
    pub dtype: DType,
    /// Its shape.
    pub shape: &'a [usize],
    /// Its value, if it is one of the partition's `shape_inputs`.
    pub value: Option<&'a Value>,
}

/// Where an input's value is.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// In host memory.
    Host(&'a Value),
    /// On the delegate's device (and perhaps in host memory too).
    Handle(Handle),
}

/// Inputs and outputs of a partition while it runs.
pub trait PartitionIo {
    /// The value of one of the partition's inputs; `None` for any other tensor.
    fn input(&self, tensor: TensorId) -> Option<Input<'_>>;

    /// Whether the interpreter will need this output in host memory (a CPU node or the caller reads it), so that a
    /// readback may be submitted together with the work.
    fn wants_host(&self, tensor: TensorId) -> bool;

    /// Gives an output, or the new state of a variable among the inputs, in host memory.
    fn set_output(&mut self, tensor: TensorId, value: Value);

    /// Gives an output, or the new state of a variable among the inputs, on the device. Its type and shape are what
    /// [`Delegate::prepare`] said (a variable's stay as they were).
    fn set_output_handle(&mut self, tensor: TensorId, handle: Handle);

    /// Says that the device now has a copy of an input; later partitions get the handle.
    fn keep_input(&mut self, tensor: TensorId, handle: Handle);
}

/// A device that runs parts of a model.
pub trait Delegate: Send {
    /// A short name for messages.
    fn name(&self) -> &str;

    /// Chooses partitions of all subgraphs; later calls name a partition by its position in this list. Called once,
    /// while the interpreter is built.
    ///
    /// # Errors
    /// [`DelegateError::Fallback`] leaves everything to the CPU, [`DelegateError::Fatal`] fails the build.
    fn claim(&mut self, model: &Model) -> Result<Vec<Partition>, DelegateError>;

    /// Tells a partition the shapes of its inputs, in the order of [`Partition::inputs`], before it runs with them;
    /// gives type and shape of each of [`Partition::outputs`].
    ///
    /// # Errors
    /// When the partition cannot run with these shapes.
    fn prepare(
        &mut self,
        partition: usize,
        inputs: &[PartitionInput<'_>],
    ) -> Result<Vec<(DType, Vec<usize>)>, DelegateError>;

    /// Runs a partition, or submits its work; sets every output. It waits only where it cannot go on without a result
    /// of the device, as when it checks its own results.
    ///
    /// # Errors
    /// When it failed, or is not ready ([`DelegateError::Later`]); none of what it set counts then.
    fn invoke<'a>(&'a mut self, partition: usize, io: &'a mut (dyn PartitionIo + 'a)) -> DelegateFuture<'a, ()>;

    /// Copies values to the host, in the order of `handles`; waits for the work they depend on.
    ///
    /// # Errors
    /// [`DelegateError::Fallback`] when the device lost them: the interpreter drops the delegate and runs the whole
    /// invoke again on the CPU.
    fn collect<'a>(&'a mut self, handles: &'a [Handle]) -> DelegateFuture<'a, Vec<Value>>;

    /// Says that no tensor has this handle any more.
    fn release(&mut self, handle: Handle);
}

/// A partition that the CPU runs although the delegate claimed it.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// Its position among the delegate's partitions; `None` when the whole delegate was given up.
    pub partition: Option<usize>,
    /// The delegate's reason.
    pub reason: Cause,
}
