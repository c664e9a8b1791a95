//! The delegate: claims nodes of a model, keeps their plans on a device, and runs them.

mod handles;
mod report;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tflite_wgpu_fallback::{
    Delegate, DelegateError, DelegateFuture, Handle, Input, Model, Partition, PartitionInput, PartitionIo, Value,
};
use tflite_wgpu_model::{BuiltinOperator, DType, SubgraphId, TensorId};

pub use report::{PartitionReport, Report, SubgraphReport};

use crate::{
    annotate,
    constant::Constant,
    error::Error,
    gpu::{BorderBuffers, DeviceOptions, Executable, GpuDevice, WeightStore, border_buffer},
    ops::Facts,
    options::{DelegateOptions, DeviceChoice},
    partition,
    plan::{self, Border},
    precision,
    region::{Region, Storage},
    rewrite,
};
use handles::{Handles, Readback};

/// Runs partitions of a model on a GPU.
pub struct GpuDelegate {
    device: Option<Arc<GpuDevice>>,
    options: DelegateOptions,
    store: Arc<WeightStore>,
    model: Option<Model>,
    facts: Vec<Facts>,
    /// Storage of every tensor, by subgraph.
    storages: Vec<Vec<Storage>>,
    parts: Vec<Part>,
    buffers: HashMap<(SubgraphId, TensorId), BorderBuffer>,
    handles: Handles,
    report: Arc<Mutex<Report>>,
}

type BorderBuffer = Arc<crate::gpu::DeviceBuffer>;

/// A partition on the device.
struct Part {
    partition: Partition,
    /// Outputs that another partition reads.
    device_outputs: Vec<TensorId>,
    prepared: Option<Prepared>,
}

/// A partition with concrete shapes.
struct Prepared {
    region: Region,
    /// Outputs that follow from constants and shapes.
    constants: Vec<(TensorId, Constant)>,
    ready: Option<Ready>,
}

/// A partition's executable for one way its tensors cross the border.
struct Ready {
    border: Border,
    buffers: BorderBuffers,
    executable: Arc<Executable>,
}

impl GpuDelegate {
    /// A delegate with a device of its own, opened now.
    ///
    /// With `device=auto` a missing adapter or a device that does not start is logged, and the delegate claims nothing.
    ///
    /// # Errors
    /// With `device=gpu`, when there is no adapter or it gives no device.
    pub fn new(options: DelegateOptions) -> Result<Self, Error> {
        pollster::block_on(Self::open(options))
    }

    /// As [`GpuDelegate::new`], where nothing may block.
    ///
    /// # Errors
    /// As [`GpuDelegate::new`].
    pub async fn open(options: DelegateOptions) -> Result<Self, Error> {
        let wanted =
            DeviceOptions { adapter: options.adapter.clone(), limits: options.limits, typed_f16: options.typed_f16 };
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
        Ok(Self::with_parts(device, options))
    }

    /// A delegate on a device that the caller shares.
    pub fn with_device(device: Arc<GpuDevice>, options: DelegateOptions) -> Self {
        Self::with_parts(Some(device), options)
    }

    fn with_parts(device: Option<Arc<GpuDevice>>, options: DelegateOptions) -> Self {
        let adapter = device.as_ref().map(|device| device.summary.clone());
        Self {
            report: Arc::new(Mutex::new(Report { adapter, ..Report::default() })),
            device,
            options,
            store: Arc::new(WeightStore::default()),
            model: None,
            facts: Vec::new(),
            storages: Vec::new(),
            parts: Vec::new(),
            buffers: HashMap::new(),
            handles: Handles::default(),
        }
    }

    /// Shares packed constants with another delegate on the same device and model.
    pub fn share_weights(&mut self, store: &Arc<WeightStore>) {
        self.store = Arc::clone(store);
    }

    /// What the delegate has claimed and planned; stays up to date while the delegate lives.
    pub fn report(&self) -> Arc<Mutex<Report>> {
        Arc::clone(&self.report)
    }

    /// The device, if there is one.
    pub fn device(&self) -> Option<&Arc<GpuDevice>> {
        self.device.as_ref()
    }

    fn claim_subgraph(&mut self, model: &Model, subgraph: SubgraphId) -> Vec<Partition> {
        let facts = annotate::annotate(model, subgraph, &|_| None).unwrap_or_default();
        let Some(graph) = model.program().graph(subgraph) else { return Vec::new() };
        let mut assignment = partition::assign(graph, &facts, &self.options);
        if self.options.device == DeviceChoice::Auto
            && let Some(device) = &self.device
        {
            partition::cost::apply(graph, &facts, device, &mut assignment);
        }
        let partitions = assignment
            .partitions
            .iter()
            .map(|nodes| {
                let mut claimed = Partition::from_nodes(graph, subgraph, nodes);
                let known = |id: &TensorId| facts.tensor(*id).is_some_and(|fact| fact.constant.is_some());
                claimed.shape_inputs = claimed.inputs.iter().copied().filter(known).collect();
                claimed
            })
            .collect();
        report::lock(&self.report).subgraphs.push(SubgraphReport::new(graph, subgraph, assignment.reasons));
        self.storages.push(precision::assign(graph, &facts, self.options.precision, loops(model, subgraph)));
        self.facts.push(facts);
        partitions
    }

    fn prepare_part(&mut self, index: usize, inputs: &[PartitionInput<'_>]) -> Result<Vec<(DType, Vec<usize>)>, Error> {
        let internal = || Error::Internal(format!("partition {index} does not exist"));
        let model = self.model.clone().ok_or_else(internal)?;
        let part = self.parts.get_mut(index).ok_or_else(internal)?;
        let subgraph = part.partition.subgraph;
        let graph = model.program().graph(subgraph).ok_or_else(internal)?;
        let mut facts = self.facts.get(subgraph.index()).cloned().unwrap_or_default();
        let shapes: Vec<_> = inputs.iter().map(|input| (input.tensor, input.shape)).collect();
        for input in inputs {
            if let Some(fact) = facts.tensors.get_mut(input.tensor.index()) {
                fact.constant = input.value.cloned().map(Constant::from);
            }
        }
        annotate::update(graph, &part.partition.nodes, &shapes, &mut facts);
        let outputs = &part.partition.outputs;
        let storages = self.storages.get(subgraph.index()).map(Vec::as_slice).unwrap_or_default();
        let storages = (self.options.precision, storages);
        let mut region = partition::build(graph, &part.partition.nodes, outputs, &facts, storages)
            .map_err(|error| Error::from(error.reason))?;
        rewrite::rewrite(&mut region);
        let constant = |id: &TensorId| Some((*id, facts.tensor(*id)?.constant.clone()?));
        let constants: Vec<_> = outputs.iter().filter_map(constant).collect();
        let described = outputs.iter().map(|id| {
            let fact = facts.tensor(*id).ok_or_else(internal)?;
            Ok((fact.dtype, fact.dims.clone().ok_or_else(internal)?))
        });
        let described = described.collect::<Result<_, Error>>()?;
        part.prepared = Some(Prepared { region, constants, ready: None });
        Ok(described)
    }

    fn invoke_part(&mut self, index: usize, io: &mut dyn PartitionIo) -> Result<(), Error> {
        let border = self.border(index, io)?;
        self.make_ready(index, &border)?;
        let internal = || Error::Internal(format!("partition {index} is not prepared"));
        let part = self.parts.get_mut(index).ok_or_else(internal)?;
        let prepared = part.prepared.as_ref().ok_or_else(internal)?;
        for (id, value) in &prepared.constants {
            io.set_output(*id, (**value).clone());
        }
        let Some(ready) = prepared.ready.as_ref() else { return Ok(()) };
        let executable = Arc::clone(&ready.executable);
        self.handles.settle(&executable)?;
        if let Some(times) = executable.step_times()
            && let Some(slot) = report::lock(&self.report).partitions.get_mut(index)
        {
            slot.step_times = times;
        }
        for (id, buffer) in &ready.buffers {
            let read = match io.input(*id) {
                Some(Input::Handle(handle)) if border.device_inputs.contains(id) => Some(handle),
                _ => None,
            };
            match read {
                Some(handle) => self.handles.provide(&executable, handle, buffer)?,
                None => self.handles.preserve(&executable, buffer),
            }
        }
        let pending = executable.submit(|id| match io.input(id) {
            Some(Input::Host(value)) => Some(value),
            _ => None,
        })?;
        let readback = Readback::new(&executable, pending);
        for id in &prepared.region.outputs {
            let tensor = prepared.region.tensor(*id).clone();
            let buffer = ready.buffers.get(id).filter(|_| border.device_outputs.contains(id)).cloned();
            let readback = border.host_outputs.contains(id).then(|| Arc::clone(&readback));
            io.set_output_handle(*id, self.handles.add(*id, tensor, buffer, readback));
        }
        Ok(())
    }

    /// How a partition's tensors cross the border, as the interpreter has them now.
    fn border(&self, index: usize, io: &dyn PartitionIo) -> Result<Border, Error> {
        let internal = || Error::Internal(format!("partition {index} is not prepared"));
        let part = self.parts.get(index).ok_or_else(internal)?;
        let region = &part.prepared.as_ref().ok_or_else(internal)?.region;
        let on_device = |id: &TensorId| matches!(io.input(*id), Some(Input::Handle(_)));
        let mut border =
            Border { device_inputs: region.inputs.iter().copied().filter(on_device).collect(), ..Border::default() };
        for &id in &region.outputs {
            if part.device_outputs.contains(&id) {
                border.device_outputs.push(id);
            }
            if io.wants_host(id) || !part.device_outputs.contains(&id) {
                border.host_outputs.push(id);
            }
        }
        Ok(border)
    }

    /// Plans a partition for this border, unless it is so already.
    fn make_ready(&mut self, index: usize, border: &Border) -> Result<(), Error> {
        let internal = || Error::Internal(format!("partition {index} is not prepared"));
        let device = self.device.clone().ok_or_else(|| Error::NoAdapter("none opened".to_owned()))?;
        let part = self.parts.get_mut(index).ok_or_else(internal)?;
        let subgraph = part.partition.subgraph;
        let prepared = part.prepared.as_mut().ok_or_else(internal)?;
        if prepared.region.outputs.is_empty() || prepared.ready.as_ref().is_some_and(|ready| ready.border == *border) {
            return Ok(());
        }
        let plan = plan::plan(prepared.region.clone(), border, &device.tuning)?;
        let mut buffers = BorderBuffers::new();
        for &id in border.device_inputs.iter().chain(&border.device_outputs) {
            let tensor = prepared.region.tensor(id);
            let fits = |buffer: &&BorderBuffer| buffer.holds(tensor.device_bytes());
            let known = self.buffers.get(&(subgraph, id)).filter(fits).cloned();
            let buffer = known.unwrap_or_else(|| border_buffer(&device, tensor));
            self.buffers.insert((subgraph, id), Arc::clone(&buffer));
            buffers.insert(id, buffer);
        }
        let scope = format!("{subgraph}");
        let mut executable = Executable::new(&device, plan, &self.store, &scope, &buffers)?;
        if self.options.time_steps {
            executable.time_steps();
        }
        let executable = Arc::new(executable);
        if let Some(slot) = report::lock(&self.report).partitions.get_mut(index) {
            *slot = PartitionReport::new(&part.partition, executable.plan());
        }
        prepared.ready = Some(Ready { border: border.clone(), buffers, executable });
        Ok(())
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
            self.parts.push(Part { partition: partition.clone(), device_outputs, prepared: None });
            report::lock(&self.report).partitions.push(PartitionReport::claimed(partition));
        }
        Ok(claimed)
    }

    fn prepare(
        &mut self,
        partition: usize,
        inputs: &[PartitionInput<'_>],
    ) -> Result<Vec<(DType, Vec<usize>)>, DelegateError> {
        self.prepare_part(partition, inputs).map_err(DelegateError::fallback)
    }

    fn invoke(&mut self, partition: usize, io: &mut dyn PartitionIo) -> Result<(), DelegateError> {
        self.invoke_part(partition, io).map_err(DelegateError::fallback)
    }

    fn collect<'a>(&'a mut self, handles: &'a [Handle]) -> DelegateFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let device = self.device.clone().ok_or_else(|| DelegateError::fallback("no device"))?;
            self.handles.collect(&device, &self.store, handles).map_err(DelegateError::fallback)
        })
    }

    fn release(&mut self, handle: Handle) {
        self.handles.release(handle);
    }
}

/// Whether a subgraph is the body or condition of a loop, whose results go around on the device.
fn loops(model: &Model, subgraph: SubgraphId) -> bool {
    let nodes = model.program().subgraphs.iter().flat_map(|graph| &graph.nodes);
    nodes.filter(|node| node.op.builtin() == BuiltinOperator::While).any(|node| {
        let called = node.op.called_subgraphs();
        called.contains(&i64::from(subgraph.0))
    })
}
