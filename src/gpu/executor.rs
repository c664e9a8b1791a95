//! A plan on a device: buffers, bind groups, and the one pass that an invoke records.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{DType, TensorId};

use super::{
    ahead::{Recorded, Turn, Turns},
    buffers::{DeviceBuffer, Kind},
    device::GpuDevice,
    effort::Effort,
    host::{self, HostClock, HostTimes, Phase},
    memory::{Arena, Memory},
    pipelines::Pipeline,
    readback::Mapping,
    resources::{self, BorderBuffers, Constants, Resource},
    timing::{StepTime, StepTimer},
};
use crate::{error::Error, plan::Plan, region::RegionTensor};

/// One step on the device.
pub(super) struct Dispatch {
    kernel: &'static str,
    pipeline: Arc<Pipeline>,
    /// What is bound, in the order of the bindings.
    pub(super) resources: Vec<Resource>,
    groups: [u32; 3],
}

/// The bind groups of all steps, and the arena that they bind.
pub(super) struct Bound {
    pub(super) arena: Arc<Arena>,
    groups: Vec<wgpu::BindGroup>,
}

/// A plan with everything on the device that an invoke needs.
pub struct Executable {
    pub(super) device: Arc<GpuDevice>,
    pub(super) plan: Plan,
    pub(super) memory: Arc<Memory>,
    pub(super) dispatches: Vec<Dispatch>,
    /// Made at the first run, when the arena has the size that all partitions need.
    bound: Mutex<Option<Bound>>,
    pub(super) turns: Turns,
    readback_bytes: usize,
    timer: Option<StepTimer>,
    clock: HostClock,
}

/// An invoke on its way; see [`Executable::collect`].
pub struct Pending {
    submission: wgpu::SubmissionIndex,
    mapping: Option<Mapping>,
    times: Option<Mapping>,
}

impl Executable {
    /// Makes pipelines and buffers.
    ///
    /// # Errors
    /// When a buffer exceeds the device's limits, or the device fails.
    pub fn new(
        device: &Arc<GpuDevice>,
        plan: Plan,
        memory: &Arc<Memory>,
        border: &BorderBuffers,
    ) -> Result<Self, Error> {
        Self::with_effort(device, plan, memory, border, &Effort::whole())
    }

    /// As [`Executable::new`], with as much effort as is wanted.
    ///
    /// # Errors
    /// As [`Executable::new`], and when it is given up.
    pub fn with_effort(
        device: &Arc<GpuDevice>,
        plan: Plan,
        memory: &Arc<Memory>,
        border: &BorderBuffers,
        effort: &Effort<'_>,
    ) -> Result<Self, Error> {
        resources::check_sizes(device, &plan)?;
        let (pipelines, constants) = pipelines_and_constants(device, &plan, effort)?;
        device.guarded(|| {
            let resources = resources::resolve(device, &plan, border, &constants)?;
            let dispatches: Vec<_> = plan
                .steps
                .iter()
                .zip(pipelines)
                .zip(resources)
                .map(|((step, pipeline), resources)| {
                    let (kernel, groups) = (step.kernel, step.dispatch);
                    Dispatch { kernel, pipeline, resources, groups }
                })
                .collect();
            memory.arena(device, plan.arena_bytes);
            let readback_bytes = plan.downloads.iter().map(|t| plan.tensor(t.raw).device_bytes()).sum();
            let (device, memory, turns) = (Arc::clone(device), Arc::clone(memory), Turns::default());
            let (bound, timer, clock) = (Mutex::default(), None, HostClock::default());
            let mut executable = Self { device, plan, memory, dispatches, bound, turns, readback_bytes, timer, clock };
            // They are on the device now.
            executable.plan.weights.clear();
            Ok(executable)
        })?
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// From now on keeps each step's times, where the adapter has timestamps. A timed invoke is slower as a whole.
    ///
    /// # Errors
    /// When the device fails.
    pub fn time_steps(&mut self) -> Result<(), Error> {
        self.timer = self.device.guarded(|| StepTimer::new(&self.device, self.dispatches.len()))?;
        Ok(())
    }

    /// Times of each step so far, after [`Executable::time_steps`]; none where the adapter has no timestamps.
    pub fn step_times(&self) -> Option<Vec<StepTime>> {
        self.timer.as_ref().map(StepTimer::times)
    }

    /// What the invokes so far have cost the host.
    pub fn host_times(&self) -> HostTimes {
        self.clock.times()
    }

    /// Makes the driver compile every pipeline, as some do so at the first dispatch only: runs each with no workgroup, and
    /// waits.
    ///
    /// # Errors
    /// When the device fails, or it is given up.
    pub fn rehearse(&self, effort: &Effort<'_>) -> Result<(), Error> {
        let mut seen: Vec<*const Pipeline> = Vec::new();
        for (step, dispatch) in self.dispatches.iter().enumerate() {
            let pipeline = Arc::as_ptr(&dispatch.pipeline);
            if seen.contains(&pipeline) {
                continue;
            }
            seen.push(pipeline);
            effort.check()?;
            let run = |bound: &Bound| {
                let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                let descriptor = wgpu::ComputePassDescriptor::default();
                self.dispatch(&mut encoder.begin_compute_pass(&descriptor), bound, step, Some([0; 3]));
                self.device.queue.submit([encoder.finish()])
            };
            let submission = self.device.guarded(|| self.with_bound(run))?;
            self.device.wait(submission)?;
        }
        Ok(())
    }

    /// Uploads the host inputs, records the pass and submits it. An earlier invoke need not have been collected.
    ///
    /// # Errors
    /// When an input is missing or has another type or shape than planned, or the device fails.
    pub fn submit<'v>(&self, input: impl Fn(TensorId) -> Option<&'v Value>) -> Result<Pending, Error> {
        let uploads = self.uploads(input)?;
        self.device.guarded(|| {
            self.with_bound(|bound| {
                let upload = || uploads.into_iter().for_each(|(raw, bytes)| self.upload(&bound.arena, raw, bytes));
                self.clock.phase(Phase::Upload, upload);
                self.run(bound)
            })
        })
    }

    /// The bytes of the host inputs, by their raw tensors.
    pub(super) fn uploads<'v>(
        &self,
        input: impl Fn(TensorId) -> Option<&'v Value>,
    ) -> Result<Vec<(TensorId, &'v [u8])>, Error> {
        let mut uploads = Vec::with_capacity(self.plan.uploads.len());
        for upload in &self.plan.uploads {
            let tensor = self.plan.tensor(upload.tensor);
            let value = input(upload.tensor).ok_or_else(|| mismatch(tensor, "no value".to_owned()))?;
            if value.dtype() != tensor.dtype || value.shape() != tensor.dims {
                return Err(mismatch(tensor, format!("{} {:?}", value.dtype(), value.shape())));
            }
            check_range(tensor, value)?;
            uploads.push((upload.raw, value.bytes()));
        }
        Ok(uploads)
    }

    /// Runs something with the bind groups, over the arena as it is now.
    pub(super) fn with_bound<T>(&self, run: impl FnOnce(&Bound) -> T) -> T {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let arena = self.memory.arena(&self.device, self.plan.arena_bytes);
        let current = bound.take().filter(|bound| Arc::ptr_eq(&arena, &bound.arena));
        run(bound.insert(current.unwrap_or_else(|| bind(&self.device, &self.dispatches, arena))))
    }

    fn run(&self, bound: &Bound) -> Pending {
        let begin = host::start();
        let turn = self.turns.take();
        let recorded = turn.recorded.filter(|recorded| recorded.is_over(&bound.arena));
        let make = || DeviceBuffer::new(&self.device, Kind::Readback, self.readback_bytes);
        let readback = turn.readback.or_else(|| (self.readback_bytes > 0).then(make));
        let recorded = recorded.unwrap_or_else(|| self.record(bound, readback.as_ref()));
        self.clock.add(Phase::Encode, begin);
        self.device.usage.submissions.fetch_add(1, Ordering::Relaxed);
        let submission = self.clock.phase(Phase::Submit, || self.device.queue.submit([recorded.commands]));
        Pending { submission, mapping: readback.map(Mapping::start), times: recorded.times.map(Mapping::start) }
    }

    /// Records an invoke: the pass, and the way of its results to `readback`.
    fn record(&self, bound: &Bound, readback: Option<&DeviceBuffer>) -> Recorded {
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        match &self.timer {
            Some(timer) if timer.needs_passes() => {
                for step in 0..self.dispatches.len() {
                    let ends = timer.ends(step);
                    let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: ends };
                    self.dispatch(&mut encoder.begin_compute_pass(&descriptor), bound, step, None);
                }
            }
            timer => {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                if let Some(timer) = timer {
                    timer.mark(&mut pass, None);
                }
                for step in 0..self.dispatches.len() {
                    self.dispatch(&mut pass, bound, step, None);
                    if let Some(timer) = timer {
                        timer.mark(&mut pass, Some(step));
                    }
                }
            }
        }
        let times = self.timer.as_ref().map(|timer| timer.resolve(&self.device, &mut encoder));
        if let Some(readback) = readback {
            let mut at = 0;
            for download in &self.plan.downloads {
                let bytes = self.plan.tensor(download.raw).device_bytes() as u64;
                if let Some(slot) = self.plan.slots.get(&download.raw) {
                    let (buffer, from) = bound.arena.place(slot.offset);
                    encoder.copy_buffer_to_buffer(buffer, from, &readback.buffer, at, Some(bytes));
                }
                at += bytes;
            }
        }
        Recorded { commands: encoder.finish(), times, arena: Arc::clone(&bound.arena) }
    }

    /// Records the next invoke while the device works on this one, whose results are on their way to `readback`.
    fn record_next(&self, readback: Option<&DeviceBuffer>) -> Result<Option<Recorded>, Error> {
        // Whoever runs a plan once has no use for it, and a timed invoke shows what a plain one takes.
        if self.timer.is_some() || !self.turns.repeat() {
            return Ok(None);
        }
        let record = || self.with_bound(|bound| self.record(bound, readback));
        self.clock.phase(Phase::Ahead, || self.device.guarded(record)).map(Some)
    }

    /// Records the next invoke of a plan without host outputs, which nobody collects.
    ///
    /// # Errors
    /// When the device fails.
    pub fn record_ahead(&self) -> Result<(), Error> {
        if self.readback_bytes == 0 && !self.turns.has_recorded() {
            let recorded = self.record_next(None)?;
            self.turns.give(Turn { readback: None, recorded });
        }
        Ok(())
    }

    /// Records a step, with other numbers of workgroups than planned if `groups` says so.
    pub(super) fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bound: &Bound,
        step: usize,
        groups: Option<[u32; 3]>,
    ) {
        if let (Some(dispatch), Some(group)) = (self.dispatches.get(step), bound.groups.get(step)) {
            pass.set_pipeline(&dispatch.pipeline.pipeline);
            pass.set_bind_group(0, group, &[]);
            let [x, y, z] = groups.unwrap_or(dispatch.groups);
            pass.dispatch_workgroups(x, y, z);
        }
    }

    pub(super) fn upload(&self, arena: &Arena, raw: TensorId, bytes: &[u8]) {
        let Some(slot) = self.plan.slots.get(&raw) else { return };
        let whole = bytes.len() / 4 * 4;
        let (words, rest) = bytes.split_at(whole);
        let (buffer, offset) = arena.place(slot.offset);
        self.device.queue.write_buffer(buffer, offset, words);
        if !rest.is_empty() {
            let mut last = [0u8; 4];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            self.device.queue.write_buffer(buffer, offset + whole as u64, &last);
        }
    }

    /// Waits for a submitted invoke and gives its host outputs.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn collect(&self, pending: Pending) -> Result<Vec<(TensorId, Value)>, Error> {
        if let (Some(timer), Some(times)) = (&self.timer, pending.times) {
            timer.collect(&self.device, times, pending.submission.clone()).await?;
        }
        let begin = host::start();
        let Some(mapping) = pending.mapping else {
            self.device.wait(pending.submission)?;
            self.clock.add(Phase::Wait, begin);
            return Ok(Vec::new());
        };
        let recorded = self.record_next(Some(&mapping.buffer))?;
        let begin = host::start();
        mapping.finish(&self.device, pending.submission).await?;
        self.clock.add(Phase::Wait, begin);
        let buffer = mapping.buffer;
        let read = || {
            let values = self.read(&buffer);
            buffer.buffer.unmap();
            values
        };
        let values = self.clock.phase(Phase::Read, || self.device.guarded(read))??;
        self.turns.give(Turn { readback: Some(buffer), recorded });
        Ok(values)
    }

    fn read(&self, readback: &DeviceBuffer) -> Result<Vec<(TensorId, Value)>, Error> {
        let view = readback.buffer.slice(..).get_mapped_range().map_err(|error| self.device.failed(error))?;
        let mut at = 0;
        let mut values = Vec::with_capacity(self.plan.downloads.len());
        for download in &self.plan.downloads {
            let tensor = self.plan.tensor(download.tensor);
            let count: usize = tensor.dims.iter().product();
            let bytes = count * tensor.dtype.size().unwrap_or(4);
            let part = view.get(at..at + bytes).ok_or_else(|| self.device.failed("the readback is too short"))?;
            let value = Value::from_bytes(tensor.dtype, &tensor.dims, part);
            values.push((download.tensor, value.map_err(|error| self.device.failed(error))?));
            at += self.plan.tensor(download.raw).device_bytes();
        }
        Ok(values)
    }
}

/// Compiles what is missing, and packs the constants meanwhile: drivers compile one kernel after another in places.
fn pipelines_and_constants(
    device: &GpuDevice,
    plan: &Plan,
    effort: &Effort<'_>,
) -> Result<(Vec<Arc<Pipeline>>, Constants), Error> {
    let compile = || device.pipelines.get_all(device, &plan.steps, effort);
    let pack = || device.guarded(|| resources::constants(device, plan, effort));
    if effort.threads() == 1 || device.has_pipelines(plan) {
        return Ok((compile()?, pack()??));
    }
    std::thread::scope(|scope| {
        let packing = scope.spawn(pack);
        let pipelines = compile();
        let constants =
            packing.join().unwrap_or_else(|_| Err(device.failed("the thread that packs constants crashed")));
        Ok((pipelines?, constants??))
    })
}

fn mismatch(tensor: &RegionTensor, found: String) -> Error {
    Error::Input { tensor: tensor.name.clone(), found, expected: format!("{} {:?}", tensor.dtype, tensor.dims) }
}

/// Refuses INT64 values that 32 bits do not hold: the CPU computes with them.
fn check_range(tensor: &RegionTensor, value: &Value) -> Result<(), Error> {
    if tensor.dtype != DType::Int64 {
        return Ok(());
    }
    let wide = value.to_ints().unwrap_or_default().into_iter().find(|&v| i32::try_from(v).is_err());
    match wide {
        None => Ok(()),
        Some(v) => Err(Error::Input {
            tensor: tensor.name.clone(),
            found: format!("the integer {v}"),
            expected: "integers of 32 bits".to_owned(),
        }),
    }
}

/// Bind groups over an arena.
fn bind(device: &GpuDevice, dispatches: &[Dispatch], arena: Arc<Arena>) -> Bound {
    let group = |dispatch: &Dispatch| {
        device.usage.bind_groups_made.fetch_add(1, Ordering::Relaxed);
        let entries = (0..).zip(&dispatch.resources).map(|(binding, resource)| resource.entry(binding, &arena));
        device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(dispatch.kernel),
            layout: &dispatch.pipeline.layout.group,
            entries: &entries.collect::<Vec<_>>(),
        })
    };
    let groups = dispatches.iter().map(group).collect();
    Bound { arena, groups }
}
