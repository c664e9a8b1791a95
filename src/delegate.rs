//! The delegate: claims nodes of a model, keeps their plans on a device, and runs them.

mod handles;
mod report;
mod run;
mod validate;
mod warm;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, Weak},
    time::Instant,
};

use tflite_wgpu_fallback::{
    Delegate, DelegateError, DelegateFuture, Handle, Model, Partition, PartitionInput, PartitionIo, Value,
};
use tflite_wgpu_model::{BuiltinOperator, DType, Graph, NodeId, SubgraphId, TensorId};

pub use report::{PartitionReport, Profile, ProfileRow, Report, SubgraphReport, Switch, Validation};
pub use warm::Warmth;

use crate::{
    annotate,
    error::Error,
    gpu::{DeviceOptions, Executable, GpuDevice, Memory},
    ops::Facts,
    options::{DelegateOptions, DeviceChoice, OnDeviceLost, OnMismatch},
    partition::{self, Assignment},
    precision::Storages,
    probe,
};
use handles::Handles;
use run::{BorderBuffer, Prepared};
use warm::Warmer;

/// Runs partitions of a model on a GPU.
pub struct GpuDelegate {
    device: Option<Arc<GpuDevice>>,
    options: DelegateOptions,
    memory: Arc<Memory>,
    model: Option<Model>,
    facts: Vec<Facts>,
    /// Storage of every tensor, by subgraph.
    storages: Vec<Storages>,
    parts: Vec<Part>,
    /// Node sets of the first subgraph that a host has formed, instead of the partitioner's.
    adopted: Option<Vec<Vec<NodeId>>>,
    buffers: HashMap<(SubgraphId, TensorId), BorderBuffer>,
    handles: Handles,
    report: Arc<Mutex<Report>>,
    executables: Executables,
    warmth: Warmth,
    /// The thread that makes partitions ready, once there was something for it to do.
    warmer: Option<Warmer>,
    /// Whether partitions that another thread has made ready run on the device now.
    switched: bool,
    opened: Option<Instant>,
}

/// The executable of each partition that is planned, by its position, as long as the delegate has it.
pub(crate) type Executables = Arc<Mutex<Vec<Weak<Executable>>>>;

/// A partition on the device.
struct Part {
    partition: Partition,
    /// Outputs that another partition reads.
    device_outputs: Vec<TensorId>,
    /// Outputs that the host will read, as far as the graph tells.
    host_outputs: Vec<TensorId>,
    prepared: Option<Prepared>,
    /// Runs so far.
    invokes: u64,
    /// Runs that came before it was ready.
    late: u64,
}

impl GpuDelegate {
    /// A delegate with a device of its own, opened now. (Browsers may not block; they have [`GpuDelegate::open`].)
    ///
    /// With `device=auto` a missing adapter or a device that does not start is logged, and the delegate claims nothing.
    ///
    /// # Errors
    /// With `device=gpu`, when there is no adapter or it gives no device.
    #[cfg(not(target_family = "wasm"))]
    pub fn new(options: DelegateOptions) -> Result<Self, Error> {
        pollster::block_on(Self::open(options))
    }

    /// As `GpuDelegate::new`, where nothing may block.
    ///
    /// # Errors
    /// As `GpuDelegate::new`.
    pub async fn open(options: DelegateOptions) -> Result<Self, Error> {
        let opened = now();
        let wanted = DeviceOptions {
            adapter: options.adapter.clone(),
            limits: options.limits,
            typed_f16: options.typed_f16,
            cache_dir: options.cache_dir.clone(),
        };
        let device = match options.device {
            DeviceChoice::Cpu => None,
            DeviceChoice::Gpu => Some(GpuDevice::open(&wanted).await?),
            DeviceChoice::Auto => match GpuDevice::open(&wanted).await {
                Ok(device) => Some(device),
                Err(error) => {
                    tracing::warn!(%error, "the CPU runs everything");
                    None
                }
            },
        };
        Ok(Self { opened, ..Self::with_parts(device, options) })
    }

    /// A delegate on a device that the caller shares.
    pub fn with_device(device: Arc<GpuDevice>, options: DelegateOptions) -> Self {
        Self::with_parts(Some(device), options)
    }

    fn with_parts(device: Option<Arc<GpuDevice>>, options: DelegateOptions) -> Self {
        let adapter = device.as_ref().map(|device| device.summary.clone());
        let asked = options.precision;
        let precision = device.as_ref().map_or(asked, |device| device.tuning.precision(asked));
        let options = DelegateOptions { precision, ..options };
        Self {
            report: Arc::new(Mutex::new(Report { adapter, ..Report::default() })),
            device,
            options,
            memory: Arc::default(),
            model: None,
            facts: Vec::new(),
            storages: Vec::new(),
            parts: Vec::new(),
            adopted: None,
            buffers: HashMap::new(),
            handles: Handles::default(),
            executables: Executables::default(),
            warmth: Warmth::default(),
            warmer: None,
            switched: false,
            opened: now(),
        }
    }

    /// How far the warm start is; stays up to date while the delegate lives.
    pub fn warmth(&self) -> Warmth {
        self.warmth.clone()
    }

    /// What the delegate has claimed and planned; stays up to date while the delegate lives.
    pub fn report(&self) -> Arc<Mutex<Report>> {
        Arc::clone(&self.report)
    }

    /// The partitions' executables; stays up to date while the delegate lives.
    pub(crate) fn executables(&self) -> Executables {
        Arc::clone(&self.executables)
    }

    /// The device, if there is one.
    pub fn device(&self) -> Option<&Arc<GpuDevice>> {
        self.device.as_ref()
    }

    /// The memory that this delegate's partitions share; for tests that poison it.
    #[doc(hidden)]
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Notes a partition's failure and says who goes on: the CPU, unless the options want an error.
    fn failure(&self, index: usize, error: Error) -> DelegateError {
        if let Some(slot) = report::lock(&self.report).partitions.get_mut(index) {
            slot.failure = Some(error.to_string());
        }
        let fatal = match &error {
            // Only tests look for such kernels, and want to know.
            Error::Internal(_) if self.options.sentinels => true,
            Error::Mismatch { .. } => self.options.on_mismatch == OnMismatch::Error,
            error => error.is_of_device() && self.options.on_device_lost == OnDeviceLost::Error,
        };
        if fatal {
            return DelegateError::fatal(error);
        }
        tracing::warn!(partition = index, %error, "the CPU takes over");
        DelegateError::fallback(error)
    }

    /// Gives partitions back that would be slower on this adapter.
    fn weigh(
        &self,
        device: &Arc<GpuDevice>,
        graph: &Graph,
        subgraph: SubgraphId,
        facts: &Facts,
        assignment: &mut Assignment,
    ) {
        if device.summary.software {
            return partition::cost::leave_to_cpu(assignment);
        }
        match probe::rates(device) {
            Ok(Some(rates)) => partition::cost::apply(graph, subgraph, facts, &rates, assignment),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the adapter could not be measured; it gets all that it can run"),
        }
    }

    /// Where the nodes of a subgraph would run (what [`Delegate::claim`] claims, and why it leaves the others), and what is
    /// known of its tensors.
    pub fn assign(&self, model: &Model, subgraph: SubgraphId) -> (Assignment, Facts) {
        let facts = annotate::annotate(model, subgraph, &|_| None).unwrap_or_default();
        let graph = model.program().graph(subgraph);
        (graph.map(|graph| self.choose(graph, subgraph, &facts)).unwrap_or_default(), facts)
    }

    /// Makes [`Delegate::claim`] claim these sets of nodes of the first subgraph. Their nodes must be of those that
    /// [`GpuDelegate::assign`] gives to the GPU, each set convex and without nodes that
    /// [`partition::unsteerable`] names.
    pub fn adopt(&mut self, sets: Vec<Vec<NodeId>>) {
        self.adopted = Some(sets);
    }

    fn choose(&self, graph: &Graph, subgraph: SubgraphId, facts: &Facts) -> Assignment {
        let max_bytes = self.device.as_ref().map_or(usize::MAX, |device| device.max_binding_bytes());
        let mut assignment = partition::assign(graph, facts, &self.options, max_bytes);
        if self.options.device == DeviceChoice::Auto
            && let Some(device) = &self.device
        {
            self.weigh(device, graph, subgraph, facts, &mut assignment);
        }
        assignment
    }

    fn claim_subgraph(&mut self, model: &Model, subgraph: SubgraphId) -> Vec<Partition> {
        let facts = annotate::annotate(model, subgraph, &|_| None).unwrap_or_default();
        let Some(graph) = model.program().graph(subgraph) else { return Vec::new() };
        let mut assignment = self.choose(graph, subgraph, &facts);
        if let Some(sets) = self.adopted.as_ref().filter(|_| subgraph == SubgraphId(0)) {
            assignment.partitions = sets.clone();
        }
        let partitions = assignment
            .partitions
            .iter()
            .map(|nodes| {
                let mut claimed = Partition::from_nodes(graph, subgraph, nodes);
                let steering = partition::steering(graph, &facts, nodes);
                // A tensor without elements is known as long as it has this shape.
                let known = |id: &TensorId| {
                    facts.tensor(*id).and_then(|fact| fact.constant.as_ref()).is_some_and(|value| !value.is_empty())
                };
                let decides = |id: &TensorId| steering.contains(id) || known(id);
                claimed.shape_inputs = claimed.inputs.iter().copied().filter(decides).collect();
                claimed
            })
            .collect();
        report::lock(&self.report).subgraphs.push(SubgraphReport::new(graph, subgraph, assignment.reasons));
        self.storages.push(Storages::new(graph, &facts, self.options.precision, loops(model, subgraph)));
        self.facts.push(facts);
        partitions
    }
}

impl Delegate for GpuDelegate {
    fn name(&self) -> &str {
        "tflite-wgpu"
    }

    fn claim(&mut self, model: &Model) -> Result<Vec<Partition>, DelegateError> {
        if self.device.is_none() {
            return Ok(Vec::new());
        }
        self.model = Some(model.clone());
        let mut claimed: Vec<Partition> = Vec::new();
        for (i, _) in model.program().subgraphs.iter().enumerate() {
            claimed.extend(self.claim_subgraph(model, SubgraphId::from_index(i)));
        }
        for (i, partition) in claimed.iter().enumerate() {
            let read_elsewhere = |id: &TensorId| {
                let same = |other: &Partition| other.subgraph == partition.subgraph && other.inputs.contains(id);
                claimed.iter().enumerate().any(|(j, other)| i != j && same(other))
            };
            let carried = loops(model, partition.subgraph);
            let device_outputs = partition.outputs.iter().copied().filter(|id| carried || read_elsewhere(id)).collect();
            let claimed_report = PartitionReport::claimed(partition);
            let host_outputs = read_on_host(model, partition, &claimed);
            let partition = partition.clone();
            self.parts.push(Part { partition, device_outputs, host_outputs, prepared: None, invokes: 0, late: 0 });
            report::lock(&self.report).partitions.push(claimed_report);
        }
        Ok(claimed)
    }

    fn prepare(
        &mut self,
        partition: usize,
        inputs: &[PartitionInput<'_>],
    ) -> Result<Vec<(DType, Vec<usize>)>, DelegateError> {
        self.prepare_part(partition, inputs).map_err(|error| self.failure(partition, error))
    }

    fn invoke<'a>(&'a mut self, partition: usize, io: &'a mut (dyn PartitionIo + 'a)) -> DelegateFuture<'a, ()> {
        Box::pin(async move {
            if !self.is_warm(partition) {
                return Err(DelegateError::Later);
            }
            let result = self.invoke_part(partition, io).await;
            result.map_err(|error| self.failure(partition, error))
        })
    }

    fn collect<'a>(&'a mut self, handles: &'a [Handle]) -> DelegateFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let device = self.device.clone().ok_or_else(|| DelegateError::fallback("no device"))?;
            self.record_ahead();
            let values = self.handles.collect(&device, &self.memory, handles).await;
            self.note_times();
            values.map_err(|error| {
                // The interpreter gives the whole delegate up.
                for slot in &mut report::lock(&self.report).partitions {
                    slot.failure.get_or_insert_with(|| error.to_string());
                }
                let wants_error = self.options.on_device_lost == OnDeviceLost::Error;
                if wants_error { DelegateError::fatal(error) } else { DelegateError::fallback(error) }
            })
        })
    }

    fn release(&mut self, handle: Handle) {
        self.handles.release(handle);
    }
}

/// The time; browsers do not tell it here.
fn now() -> Option<Instant> {
    (!cfg!(target_family = "wasm")).then(Instant::now)
}

/// Whether a subgraph is the body or condition of a loop, whose results go around on the device.
pub(crate) fn loops(model: &Model, subgraph: SubgraphId) -> bool {
    let nodes = model.program().subgraphs.iter().flat_map(|graph| &graph.nodes);
    nodes.filter(|node| node.op.builtin() == BuiltinOperator::While).any(|node| {
        let called = node.op.called_subgraphs();
        called.contains(&i64::from(subgraph.0))
    })
}

/// A partition's outputs that CPU nodes, a condition or the caller read.
fn read_on_host(model: &Model, partition: &Partition, claimed: &[Partition]) -> Vec<TensorId> {
    let program = model.program();
    let Some(graph) = program.graph(partition.subgraph) else { return Vec::new() };
    let called = program.signatures.iter().any(|signature| signature.subgraph == partition.subgraph);
    let gives_outputs = called || partition.subgraph == SubgraphId(0);
    let own = claimed.iter().filter(|other| other.subgraph == partition.subgraph);
    let delegated: HashSet<usize> = own.flat_map(|other| &other.nodes).map(|id| id.index()).collect();
    // Control flow passes values on as they are.
    let cpu = graph.nodes.iter().enumerate().filter(|(i, _)| !delegated.contains(i));
    let readers = cpu.map(|(_, node)| node).filter(|node| node.op.called_subgraphs().is_empty());
    let read: HashSet<TensorId> = readers.flat_map(|node| node.inputs.iter().copied().flatten()).collect();
    let is_read = |id: &TensorId| read.contains(id) || (gives_outputs && graph.outputs.contains(id));
    partition.outputs.iter().copied().filter(is_read).collect()
}
