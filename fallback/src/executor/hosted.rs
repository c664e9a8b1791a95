//! A delegate's partitions inside a program whose other nodes another runtime runs.

use std::sync::Arc;

use tflite_wgpu_model::{DType, Data, Graph, SubgraphId, TensorId};

use super::{
    Delegated, Executor, Frame, Options, Plan, Resources, Scope,
    partitions::{Given, Prepared},
};
use crate::{
    blocking::block_on,
    content::Content,
    delegate::{Delegate, DelegateError, Fallback, Partition},
    error::Error,
    eval::Hybrid,
    fast::{Kernels, Workspace},
    memory::Memory,
    model::Model,
    node::{Kernel, NodeState},
    threads::Team,
    value::Value,
};

/// The program that a host hands over has one subgraph; its others are programs of their own.
const GRAPH: SubgraphId = SubgraphId(0);

/// Options of [`HostedPartitions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostedOptions {
    /// Threads that a CPU kernel may use when a partition falls back.
    pub threads: usize,
    /// Bytes that tensors of the partitions may take, constants left out.
    pub memory_limit_bytes: usize,
}

impl Default for HostedOptions {
    fn default() -> Self {
        Self { threads: 1, memory_limit_bytes: usize::try_from(8u64 << 30).unwrap_or(usize::MAX) }
    }
}

/// Runs a delegate's partitions one at a time, for a host that owns the order of nodes and the tensors' memory.
///
/// The host sets the inputs that it has ([`HostedPartitions::set`]), runs a partition, and reads the outputs that it
/// needs ([`HostedPartitions::value`]); what goes from one partition to another stays on the device meanwhile. When the
/// delegate cannot run a partition, its nodes run on the CPU, as in an interpreter.
pub struct HostedPartitions {
    executor: Executor,
    plan: Arc<Plan>,
}

/// Types and shapes of a partition's outputs.
pub type OutputShapes = Vec<(DType, Vec<usize>)>;

impl HostedPartitions {
    /// The partitions that `delegate` claims of the first subgraph.
    ///
    /// # Errors
    /// [`Error::Delegate`] when the delegate refuses the model, for good or not: the host's own kernels run it then.
    pub fn new(model: &Model, delegate: Box<dyn Delegate>, options: HostedOptions) -> Result<Self, Error> {
        let mut delegated = Delegated::new(delegate);
        let claimed = delegated.delegate.claim(model);
        let partitions = claimed.map_err(|error| match error {
            DelegateError::Fatal(cause) | DelegateError::Fallback(cause) => delegated.fatal(cause),
            DelegateError::Later => delegated.fatal(Arc::from(Box::from(error.to_string()))),
        })?;
        delegated.states = vec![Default::default(); partitions.len()];
        let no_graph = || Error::program("the host's program", "no subgraph", "one");
        let graph = model.program().graph(GRAPH).ok_or_else(no_graph)?;
        let kernels = graph.nodes.iter().map(|node| Kernel::of(node, &Default::default())).collect();
        let plan = Plan { steps: Vec::new(), kernels, wants_host: wants_host(graph, &partitions) };
        let executor = Executor {
            model: model.clone(),
            options: Options {
                hybrid: Hybrid::default(),
                max_loop_iterations: 0,
                preserve_all_tensors: false,
                kernels: Kernels::default(),
            },
            memory: Memory::new(options.memory_limit_bytes),
            plans: Vec::new(),
            frames: vec![Frame::new(graph)],
            places: Vec::new(),
            resources: Resources::default(),
            partitions: partitions.into(),
            delegated: Some(delegated),
            fallbacks: Vec::new(),
            team: Team::new(options.threads),
            workspace: Workspace::default(),
            states: vec![graph.nodes.iter().map(|_| NodeState::default()).collect()],
        };
        Ok(Self { executor, plan: Arc::new(plan) })
    }

    /// The partitions; the others' methods take positions in this list.
    pub fn partitions(&self) -> &[Partition] {
        &self.executor.partitions
    }

    /// Whether the host reads a tensor while everything goes as planned; others it may ask for, too.
    pub fn wants_host(&self, tensor: TensorId) -> bool {
        self.plan.wants_host.get(tensor.index()).copied().unwrap_or(false)
    }

    /// Partitions that the CPU has run instead of the delegate so far, with the reasons.
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.executor.fallbacks
    }

    /// Tells a partition the shapes of its inputs, in the order of [`Partition::inputs`]; gives those of its outputs.
    /// `None` when they are known only after it has run: a value that decides over shapes has not been set, or the CPU
    /// has to run these shapes.
    ///
    /// # Errors
    /// When there is no such partition, or the delegate fails for good.
    pub fn prepare(&mut self, partition: usize, shapes: &[Vec<usize>]) -> Result<Option<OutputShapes>, Error> {
        let partitions = Arc::clone(&self.executor.partitions);
        let claimed = partitions.get(partition).ok_or_else(|| self.unknown(partition))?;
        let model = self.executor.model.clone();
        let graph = model.program().graph(GRAPH);
        let frame = self.executor.frames.first().cloned().unwrap_or_default();
        let mut given = Vec::with_capacity(shapes.len());
        for (&tensor, shape) in claimed.inputs.iter().zip(shapes) {
            let Some(data) = graph.and_then(|graph| graph.tensors.get(tensor.index())) else { return Ok(None) };
            let value = frame.slots.get(tensor.index()).and_then(Option::as_ref).and_then(Content::host);
            let value = value.filter(|value| value.value().shape() == shape);
            let decides = claimed.shape_inputs.contains(&tensor);
            if decides && value.is_none() {
                return Ok(None);
            }
            given.push(Given { dtype: data.dtype, shape, value: value.filter(|_| decides) });
        }
        self.executor.prepare_for(partition, claimed, &given)
    }

    /// Whether a partition is prepared for these shapes of its inputs, so that [`HostedPartitions::prepare`] would do
    /// nothing.
    pub fn is_prepared(&self, partition: usize, shapes: &[Vec<usize>]) -> bool {
        let state = self.executor.delegated.as_ref().and_then(|delegated| delegated.states.get(partition));
        let prepared = state.and_then(|state| state.prepared.as_ref());
        let same = |prepared: &Prepared| prepared.inputs.iter().map(|(_, shape, _)| shape).eq(shapes);
        prepared.is_some_and(same)
    }

    /// Gives a tensor a value of the host's.
    ///
    /// # Errors
    /// When it is no tensor of the program, of another type, or does not fit the memory limit.
    pub fn set(&mut self, tensor: TensorId, value: Value) -> Result<(), Error> {
        let model = self.executor.model.clone();
        self.with_scope(&model, |executor, scope| {
            let data = scope.graph.tensors.get(tensor.index());
            if let Some(data) = data.filter(|data| data.dtype != value.dtype()) {
                let found = format!("{} for tensor {tensor}", value.dtype());
                return Err(Error::program("a value of the host's", found, data.dtype));
            }
            let shared = executor.hold_tensor(scope, tensor, value)?;
            executor.write(scope, tensor, Content::Host(shared));
            Ok(())
        })
    }

    /// Memory for a value of the host's, reused where possible; [`HostedPartitions::set`] takes it.
    ///
    /// # Errors
    /// When it does not fit the memory limit.
    pub fn allocate(&mut self, dtype: DType, shape: &[usize]) -> Result<Value, Error> {
        let value = self.executor.memory.allocate(dtype, shape);
        value.map_err(|error| super::tensor_memory_error(error, &"a value of the host's"))
    }

    /// Runs a partition on the values that its inputs have.
    ///
    /// # Errors
    /// When an input has no value, a node fails on the CPU, or the delegate fails for good.
    pub fn run(&mut self, partition: usize) -> Result<(), Error> {
        if partition >= self.executor.partitions.len() {
            return Err(self.unknown(partition));
        }
        let model = self.executor.model.clone();
        let _invoked = self.executor.team.invoke();
        self.with_scope(&model, |executor, scope| block_on(executor.partition(scope, partition))?)
    }

    /// Type and shape of what a tensor holds.
    pub fn shape(&self, tensor: TensorId) -> Option<(DType, &[usize])> {
        let content = self.executor.frames.first()?.slots.get(tensor.index())?.as_ref()?;
        Some((content.dtype(), content.shape()))
    }

    /// The value that a tensor holds, brought from the device where it is only there.
    ///
    /// # Errors
    /// When it holds none, or the device has lost it.
    pub fn value(&mut self, tensor: TensorId) -> Result<&Value, Error> {
        let model = self.executor.model.clone();
        self.with_scope(&model, |executor, scope| {
            let content = executor.read(scope, tensor)?;
            block_on(executor.bring([&content]))?
        })?;
        let slot = self.executor.frames.first().and_then(|frame| frame.slots.get(tensor.index())?.as_ref());
        match slot.and_then(Content::host) {
            Some(shared) => Ok(shared.value()),
            None => {
                let constant = self.executor.model.constant(GRAPH, tensor)?;
                constant.ok_or_else(|| Error::program("a value", format!("tensor {tensor}"), "one that was computed"))
            }
        }
    }

    fn unknown(&self, partition: usize) -> Error {
        let expected = format!("less than {}", self.executor.partitions.len());
        Error::NotFound { what: "partition", found: partition.to_string(), expected }
    }

    fn with_scope<T>(
        &mut self,
        model: &Model,
        work: impl FnOnce(&mut Executor, &mut Scope<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let graph = model.program().graph(GRAPH);
        let graph = graph.ok_or_else(|| Error::program("the host's program", "no subgraph", "one"))?;
        let mut frame = self.executor.frames.first_mut().map(std::mem::take).unwrap_or_default();
        let plan = Arc::clone(&self.plan);
        let mut scope = Scope { id: GRAPH, graph, plan: &plan, frame: &mut frame };
        let result = work(&mut self.executor, &mut scope);
        if let Some(place) = self.executor.frames.first_mut() {
            *place = frame;
        }
        result
    }
}

/// Which tensors the host's own nodes or callers read.
fn wants_host(graph: &Graph, partitions: &[Partition]) -> Vec<bool> {
    let mut wanted = vec![false; graph.tensors.len()];
    let mut want = |tensor: TensorId| {
        if let Some(place) = wanted.get_mut(tensor.index()) {
            *place = true;
        }
    };
    graph.outputs.iter().copied().for_each(&mut want);
    let mut own = vec![false; graph.nodes.len()];
    for id in partitions.iter().flat_map(|partition| &partition.nodes) {
        if let Some(place) = own.get_mut(id.index()) {
            *place = true;
        }
    }
    let hosts = graph.nodes.iter().zip(&own).filter(|(_, own)| !**own);
    hosts.flat_map(|(node, _)| node.inputs.iter().copied().flatten()).for_each(&mut want);
    let variables = graph.tensors.iter().enumerate().filter(|(_, tensor)| tensor.data == Data::Variable);
    variables.for_each(|(i, _)| want(TensorId::from_index(i)));
    wanted
}
