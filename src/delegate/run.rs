//! Preparing a partition for shapes, and running it.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, Weak},
};

use tflite_wgpu_fallback::{Handle, Input, PartitionInput, PartitionIo, Value};
use tflite_wgpu_model::{DType, TensorId};

use super::{
    GpuDelegate, Part,
    handles::Readback,
    report::{self, PartitionReport, Switch},
    warm::{Job, Warmer, Warming},
};
use crate::{
    annotate, autotune,
    constant::Constant,
    error::Error,
    gpu::{BorderBuffers, DeviceBuffer, Executable, GpuDevice, border_buffer},
    ops::Facts,
    options::{Tune, WarmStart},
    partition,
    plan::{self, Border, Plan},
    region::Region,
    rewrite,
};

pub(super) type BorderBuffer = Arc<DeviceBuffer>;

/// A partition with concrete shapes.
pub(super) struct Prepared {
    pub(super) region: Region,
    /// What the region was built from.
    pub(super) facts: Facts,
    /// Outputs that follow from constants and shapes.
    constants: Vec<(TensorId, Constant)>,
    pub(super) ready: Option<Ready>,
    /// What another thread makes ready.
    warming: Option<Warming>,
    /// What ran with other shapes: keeps the packed constants on the device until the new executable has them.
    previous: Option<Ready>,
}

/// A partition's executable for one way its tensors cross the border.
pub(super) struct Ready {
    border: Border,
    buffers: BorderBuffers,
    pub(super) executable: Arc<Executable>,
}

impl Prepared {
    fn new(region: Region, facts: Facts, outputs: &[TensorId], old: Option<Self>) -> Self {
        let constant = |id: &TensorId| Some((*id, facts.tensor(*id)?.constant.clone()?));
        let constants = outputs.iter().filter_map(constant).collect();
        let previous = old.and_then(|old| old.ready.or(old.previous));
        Self { region, facts, constants, ready: None, warming: None, previous }
    }
}

pub(super) fn internal(index: usize) -> Error {
    Error::Internal(format!("partition {index} is not prepared"))
}

impl GpuDelegate {
    pub(super) fn part(&self, index: usize) -> Result<&Part, Error> {
        self.parts.get(index).ok_or_else(|| internal(index))
    }

    pub(super) fn opened(&self) -> Result<Arc<GpuDevice>, Error> {
        self.device.clone().ok_or_else(|| Error::NoAdapter("none opened".to_owned()))
    }

    pub(super) fn prepared(&self, index: usize) -> Result<&Prepared, Error> {
        self.part(index)?.prepared.as_ref().ok_or_else(|| internal(index))
    }

    pub(super) fn prepare_part(
        &mut self,
        index: usize,
        inputs: &[PartitionInput<'_>],
    ) -> Result<Vec<(DType, Vec<usize>)>, Error> {
        let model = self.model.clone().ok_or_else(|| internal(index))?;
        let device = self.opened()?;
        let part = self.parts.get_mut(index).ok_or_else(|| internal(index))?;
        let subgraph = part.partition.subgraph;
        let graph = model.program().graph(subgraph).ok_or_else(|| internal(index))?;
        let mut facts = self.facts.get(subgraph.index()).cloned().unwrap_or_default();
        let shapes: Vec<_> = inputs.iter().map(|input| (input.tensor, input.shape)).collect();
        for input in inputs {
            if let Some(fact) = facts.tensors.get_mut(input.tensor.index()) {
                fact.constant = input.value.cloned().map(Constant::from);
            }
        }
        annotate::update(graph, &part.partition.nodes, &shapes, &mut facts);
        let outputs = &part.partition.outputs;
        let storages = self.storages.get(subgraph.index()).ok_or_else(|| internal(index))?;
        let region = partition::build(graph, &part.partition.nodes, outputs, &facts, storages);
        let mut region = region.map_err(|error| Error::from(error.reason))?;
        device.check_tensors(&region)?;
        rewrite::rewrite(&mut region);
        let described = outputs.iter().map(|id| {
            let fact = facts.tensor(*id).ok_or_else(|| internal(index))?;
            Ok((fact.dtype, fact.dims.clone().ok_or_else(|| internal(index))?))
        });
        let described = described.collect::<Result<_, Error>>()?;
        part.prepared = Some(Prepared::new(region, facts, outputs, part.prepared.take()));
        let border = self.expected_border(index)?;
        self.make_ready(index, &border)?;
        if let Some(slot) = report::lock(&self.report).partitions.get_mut(index) {
            slot.failure = None;
        }
        Ok(described)
    }

    pub(super) async fn invoke_part(&mut self, index: usize, io: &mut dyn PartitionIo) -> Result<(), Error> {
        let border = self.border(index, io)?;
        self.make_ready(index, &border)?;
        for (id, value) in &self.prepared(index)?.constants {
            io.set_output(*id, (**value).clone());
        }
        if self.prepared(index)?.ready.is_none() {
            return Ok(());
        }
        let inputs = match self.is_validated(index)? {
            true => Some(self.host_inputs(index, io).await?),
            false => None,
        };
        let brought = self.bring(index, io, &border).await?;
        let handles = self.submit(index, io, &border, &brought)?;
        if self.options.sentinels
            && let Some(ready) = &self.prepared(index)?.ready
        {
            ready.executable.check_sentinels().await?;
        }
        if let Some(inputs) = inputs {
            let checked = self.validate(index, &handles, inputs).await;
            if checked.is_err() {
                handles.iter().for_each(|(_, handle)| self.handles.release(*handle));
            }
            checked?;
        }
        for (id, handle) in handles {
            io.set_output_handle(id, handle);
        }
        if let Some(part) = self.parts.get_mut(index) {
            part.invokes += 1;
        }
        Ok(())
    }

    /// Values of inputs that are known by a handle, but do not lie on the device as the partition reads them.
    async fn bring(
        &self,
        index: usize,
        io: &dyn PartitionIo,
        border: &Border,
    ) -> Result<HashMap<TensorId, Value>, Error> {
        let device = self.opened()?;
        let mut brought = HashMap::new();
        for &id in self.prepared(index)?.region.inputs.iter().filter(|id| !border.device_inputs.contains(id)) {
            let Some(Input::Handle(handle)) = io.input(id) else { continue };
            let mut values = self.handles.collect(&device, &self.memory, &[handle]).await?;
            brought.insert(id, values.pop().ok_or_else(|| internal(index))?);
        }
        Ok(brought)
    }

    /// Submits a partition; gives its outputs, which are on their way.
    fn submit(
        &mut self,
        index: usize,
        io: &dyn PartitionIo,
        border: &Border,
        brought: &HashMap<TensorId, Value>,
    ) -> Result<Vec<(TensorId, Handle)>, Error> {
        let device = self.opened()?;
        let prepared = self.parts.get(index).and_then(|part| part.prepared.as_ref()).ok_or_else(|| internal(index))?;
        let ready = prepared.ready.as_ref().ok_or_else(|| internal(index))?;
        for (id, buffer) in &ready.buffers {
            let read = match io.input(*id) {
                Some(Input::Handle(handle)) if border.device_inputs.contains(id) => Some(handle),
                _ => None,
            };
            match read {
                Some(handle) => self.handles.provide(&device, handle, buffer)?,
                None => self.handles.preserve(&device, buffer)?,
            }
        }
        if self.options.sentinels {
            ready.executable.fill()?;
        }
        let pending = ready.executable.submit(|id| match io.input(id) {
            Some(Input::Host(value)) => Some(value),
            _ => brought.get(&id),
        })?;
        let readback = Readback::new(&ready.executable, pending);
        let mut handles = Vec::with_capacity(prepared.region.outputs.len());
        for id in &prepared.region.outputs {
            let tensor = prepared.region.tensor(*id).clone();
            let buffer = ready.buffers.get(id).filter(|_| border.device_outputs.contains(id)).cloned();
            let readback = border.host_outputs.contains(id).then(|| Arc::clone(&readback));
            handles.push((*id, self.handles.add(*id, tensor, buffer, readback)));
        }
        Ok(handles)
    }

    /// How a partition's tensors will most likely cross the border. What comes otherwise is planned anew.
    fn expected_border(&self, index: usize) -> Result<Border, Error> {
        let part = self.part(index)?;
        let region = &self.prepared(index)?.region;
        let elsewhere = |id: &&TensorId| {
            self.parts
                .iter()
                .any(|other| other.partition.subgraph == part.partition.subgraph && other.device_outputs.contains(id))
        };
        let host = |id: &&TensorId| part.host_outputs.contains(id) || !part.device_outputs.contains(id);
        Ok(Border {
            device_inputs: region.inputs.iter().filter(elsewhere).copied().collect(),
            device_outputs: region.outputs.iter().filter(|id| part.device_outputs.contains(id)).copied().collect(),
            host_outputs: region.outputs.iter().filter(host).copied().collect(),
        })
    }

    /// How a partition's tensors cross the border, as the interpreter has them now.
    fn border(&self, index: usize, io: &dyn PartitionIo) -> Result<Border, Error> {
        let part = self.part(index)?;
        let region = &self.prepared(index)?.region;
        let on_device = |id: &TensorId| match io.input(*id) {
            Some(Input::Handle(handle)) => self.handles.holds(handle, region.tensor(*id)),
            _ => false,
        };
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
        let device = self.opened()?;
        let prepared = self.prepared(index)?;
        if prepared.region.outputs.is_empty() || prepared.ready.as_ref().is_some_and(|ready| ready.border == *border) {
            return Ok(());
        }
        let plan = self.plan(&device, prepared.region.clone(), border)?;
        let warms = self.options.answers_first() == WarmStart::Cpu && !self.switched && !device.has_pipelines(&plan);
        let part = self.parts.get_mut(index).ok_or_else(|| internal(index))?;
        let prepared = part.prepared.as_mut().ok_or_else(|| internal(index))?;
        let mut buffers = HashMap::new();
        for &id in border.device_inputs.iter().chain(&border.device_outputs) {
            let tensor = prepared.region.tensor(id);
            let known = self.buffers.get(&(part.partition.subgraph, id));
            let buffer = match known.filter(|buffer| buffer.holds(tensor.device_bytes())) {
                Some(known) => Arc::clone(known),
                None => border_buffer(&device, tensor)?,
            };
            self.buffers.insert((part.partition.subgraph, id), Arc::clone(&buffer));
            buffers.insert(id, buffer);
        }
        let (memory, time_steps) = (Arc::clone(&self.memory), self.options.time_steps);
        if warms && self.warmer.is_none() {
            self.warmer = Warmer::start(&self.warmth);
        }
        if let Some(warmer) = self.warmer.as_ref().filter(|_| warms) {
            let border = border.clone();
            prepared.warming = Some(warmer.begin(Job { device, memory, plan, border, buffers, time_steps }));
            if let Some(slot) = report::lock(&self.report).partitions.get_mut(index) {
                slot.warming = true;
            }
            return Ok(());
        }
        let mut executable = Executable::new(&device, plan, &memory, &buffers)?;
        if time_steps {
            executable.time_steps()?;
        }
        self.install(index, border.clone(), buffers, Arc::new(executable))
    }

    /// Makes an executable that of a partition.
    fn install(
        &mut self,
        index: usize,
        border: Border,
        buffers: BorderBuffers,
        executable: Arc<Executable>,
    ) -> Result<(), Error> {
        let part = self.parts.get_mut(index).ok_or_else(|| internal(index))?;
        let prepared = part.prepared.as_mut().ok_or_else(|| internal(index))?;
        if let Some(slot) = report::lock(&self.report).partitions.get_mut(index) {
            let validation = slot.validation.take();
            *slot = PartitionReport { validation, ..PartitionReport::new(&part.partition, executable.plan()) };
        }
        let mut executables = self.executables.lock().unwrap_or_else(PoisonError::into_inner);
        let count = executables.len().max(index + 1);
        executables.resize_with(count, Weak::new);
        if let Some(slot) = executables.get_mut(index) {
            *slot = Arc::downgrade(&executable);
        }
        prepared.ready = Some(Ready { border, buffers, executable });
        (prepared.warming, prepared.previous) = (None, None);
        Ok(())
    }

    /// Whether a partition's next run is the device's. All partitions change over together, so that values do not go back
    /// and forth.
    pub(super) fn is_warm(&mut self, index: usize) -> bool {
        let warming = |part: &Part| part.prepared.as_ref()?.warming.as_ref().map(Warming::is_done);
        let states: Vec<bool> = self.parts.iter().filter_map(warming).collect();
        if states.contains(&false) {
            if let Some(part) = self.parts.get_mut(index) {
                if part.late > 0 {
                    // The CPU's first answer is out.
                    self.warmth.hurry();
                }
                part.late += 1;
            }
            return false;
        }
        if !states.is_empty() {
            self.change_over();
        }
        true
    }

    /// Installs what another thread has made ready. What failed there is tried again here, and fails with the partition.
    fn change_over(&mut self) {
        self.switched = true;
        for index in 0..self.parts.len() {
            let prepared = self.parts.get_mut(index).and_then(|part| part.prepared.as_mut());
            let Some(warming) = prepared.and_then(|prepared| prepared.warming.take()) else { continue };
            match warming.take() {
                Some(Ok(executable)) => {
                    let Warming { border, buffers, .. } = warming;
                    if let Err(error) = self.install(index, border, buffers, executable) {
                        tracing::warn!(partition = index, %error, "a warm start came to nothing");
                    }
                }
                Some(Err(error)) => tracing::warn!(partition = index, %error, "a warm start failed"),
                None => {}
            }
        }
        let cpu_invokes = self.parts.iter().map(|part| part.late).max().unwrap_or(0);
        let ready_ms = self.opened.map_or(0.0, |opened| opened.elapsed().as_secs_f64() * 1e3);
        tracing::info!(cpu_invokes, ready_ms, "the device takes over from the CPU");
        report::lock(&self.report).switch = Some(Switch { cpu_invokes, ready_ms });
    }

    /// Records the next invoke of partitions whose results stay on the device, as the others do when they are collected.
    pub(super) fn record_ahead(&self) {
        let ready = self.parts.iter().filter_map(|part| part.prepared.as_ref()?.ready.as_ref());
        for ready in ready {
            if let Err(error) = ready.executable.record_ahead() {
                // Whoever is about to wait for results hears of it, too.
                tracing::debug!(%error, "the next invoke is not recorded ahead");
            }
        }
    }

    /// Puts the host's and the steps' times into the report.
    pub(super) fn note_times(&self) {
        let mut report = report::lock(&self.report);
        for (part, slot) in self.parts.iter().zip(&mut report.partitions) {
            let ready = part.prepared.as_ref().and_then(|prepared| prepared.ready.as_ref());
            slot.host_times = ready.map(|ready| ready.executable.host_times()).unwrap_or_default();
            if self.options.time_steps {
                slot.step_times = ready.and_then(|ready| ready.executable.step_times()).unwrap_or_default();
            }
        }
    }

    /// Plans a region with what the option `tune` lets it know of the adapter.
    fn plan_tuned(&self, device: &Arc<GpuDevice>, region: Region, border: &Border) -> Result<Plan, Error> {
        if self.options.tune == Tune::Off {
            return Ok(plan::plan(region, border, &device.tuning)?);
        }
        if self.options.tune == Tune::Now && !cfg!(target_family = "wasm") {
            let products = plan::plan(region.clone(), border, &device.tuning)?.products;
            autotune::measure_missing(device, &products)?;
        }
        Ok(plan::plan(region, border, &device.measured_tuning())?)
    }

    /// Plans a region, with what tests ask for on top.
    pub(super) fn plan(&self, device: &Arc<GpuDevice>, region: Region, border: &Border) -> Result<Plan, Error> {
        let mut plan = self.plan_tuned(device, region, border)?;
        if self.options.sentinels {
            plan.spread();
        }
        if let Some(perturb) = self.options.perturb {
            plan.perturb(perturb);
        }
        Ok(plan)
    }
}
