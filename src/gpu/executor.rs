//! A plan on a device: buffers, bind groups, and the one pass that an invoke records.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
};

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{DType, TensorId};

use super::{
    buffers::{DeviceBuffer, Kind, WeightStore},
    device::GpuDevice,
    pipelines::Pipeline,
    timing::StepTimer,
};
use crate::{
    error::Error,
    plan::{
        ALIGNMENT, Plan, Slot, Space,
        step::{Operand, Step, WeightData, Weights},
    },
    reason::Reason,
    region::{RegionTensor, Storage},
};

/// Tensors that outlive a partition's run, by tensor of the subgraph.
pub type BorderBuffers = HashMap<TensorId, Arc<DeviceBuffer>>;

/// A buffer for a tensor that outlives a partition's run.
pub fn border_buffer(device: &GpuDevice, tensor: &RegionTensor) -> Arc<DeviceBuffer> {
    Arc::new(DeviceBuffer::new(device, Kind::Activations, tensor.device_bytes(), None))
}

struct Dispatch {
    pipeline: Arc<Pipeline>,
    bind_group: wgpu::BindGroup,
    groups: [u32; 3],
}

/// A plan with everything on the device that an invoke needs.
pub struct Executable {
    device: Arc<GpuDevice>,
    plan: Plan,
    arena: DeviceBuffer,
    readback: Option<DeviceBuffer>,
    dispatches: Vec<Dispatch>,
    timer: Option<StepTimer>,
    // Bind groups refer to these; the fields keep their counts.
    _buffers: Vec<Arc<DeviceBuffer>>,
    _params: DeviceBuffer,
}

/// An invoke on its way; see [`Executable::collect`].
pub struct Pending {
    submission: wgpu::SubmissionIndex,
    mapped: Option<mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>>,
}

impl Executable {
    /// Makes pipelines, buffers and bind groups. `scope` tells the constants of different subgraphs apart in `store`.
    ///
    /// # Errors
    /// When a buffer exceeds the device's limits, or the device fails.
    pub fn new(
        device: &Arc<GpuDevice>,
        plan: Plan,
        store: &WeightStore,
        scope: &str,
        border: &BorderBuffers,
    ) -> Result<Self, Error> {
        check_sizes(device, &plan)?;
        let pipelines: Vec<_> =
            plan.steps.iter().map(|step| device.pipelines.get(device, step)).collect::<Result<_, _>>()?;
        let arena = DeviceBuffer::new(device, Kind::Activations, plan.arena_bytes, None);
        let (params, offsets) = params(device, &plan.steps);
        let mut buffers = Vec::new();
        let mut dispatches = Vec::with_capacity(plan.steps.len());
        for ((step, pipeline), offset) in plan.steps.iter().zip(pipelines).zip(offsets) {
            let mut resources = Vec::with_capacity(step.bindings.len());
            for operand in &step.bindings {
                resources.push(resolve(device, &plan, *operand, store, scope, border)?);
            }
            let row_bindings = step.variant.storage.len();
            let mut entries = Vec::with_capacity(resources.len() + 1);
            for (i, (buffer, offset, size)) in resources.iter().enumerate() {
                let buffer = buffer.as_ref().map_or(&arena.buffer, |counted| &counted.buffer);
                let binding = u32::try_from(if i < row_bindings { i } else { i + 1 }).unwrap_or(u32::MAX);
                entries.push(entry(binding, buffer, *offset, *size));
            }
            let params_binding = u32::try_from(row_bindings).unwrap_or(u32::MAX);
            let params_bytes = (step.params.len() * 4).next_multiple_of(16).max(16);
            entries.push(entry(params_binding, &params.buffer, offset, params_bytes));
            let bind_group = device.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(step.kernel),
                layout: &pipeline.layout,
                entries: &entries,
            });
            buffers.extend(resources.into_iter().filter_map(|(buffer, ..)| buffer));
            dispatches.push(Dispatch { pipeline, bind_group, groups: step.dispatch });
        }
        let read: usize = plan.downloads.iter().map(|t| plan.tensor(t.raw).device_bytes()).sum();
        let readback = (read > 0).then(|| DeviceBuffer::new(device, Kind::Readback, read, None));
        device.check()?;
        let device = Arc::clone(device);
        Ok(Self { device, plan, arena, readback, dispatches, timer: None, _buffers: buffers, _params: params })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// From now on keeps each step's best time, where the adapter has timestamps. A timed invoke is slower as a whole.
    pub fn time_steps(&mut self) {
        self.timer = StepTimer::new(&self.device, self.dispatches.len());
    }

    /// Best time of each step so far in nanoseconds, after [`Executable::time_steps`].
    pub fn step_times(&self) -> Option<Vec<f64>> {
        self.timer.as_ref().map(StepTimer::best)
    }

    /// Copies one border buffer into another on the device.
    pub fn copy(&self, from: &DeviceBuffer, to: &DeviceBuffer) {
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let bytes = from.buffer.size().min(to.buffer.size());
        encoder.copy_buffer_to_buffer(&from.buffer, 0, &to.buffer, 0, Some(bytes));
        self.device.queue.submit([encoder.finish()]);
    }

    /// A new buffer with the contents of another.
    pub fn duplicate(&self, from: &DeviceBuffer) -> Arc<DeviceBuffer> {
        let bytes = usize::try_from(from.buffer.size()).unwrap_or(usize::MAX);
        let copy = Arc::new(DeviceBuffer::new(&self.device, Kind::Activations, bytes, None));
        self.copy(from, &copy);
        copy
    }

    /// Fills the arena with words that are NaN as floats: a test that reads what was never written sees it.
    pub fn poison(&self) {
        let words = vec![0xffu8; usize::try_from(self.arena.buffer.size()).unwrap_or(0)];
        self.device.queue.write_buffer(&self.arena.buffer, 0, &words);
    }

    /// Uploads the host inputs, records the pass and submits it.
    ///
    /// # Errors
    /// When an input is missing or has another type or shape than planned, or the device fails.
    pub fn submit<'v>(&self, input: impl Fn(TensorId) -> Option<&'v Value>) -> Result<Pending, Error> {
        for upload in &self.plan.uploads {
            let tensor = self.plan.tensor(upload.tensor);
            let value = input(upload.tensor).ok_or_else(|| mismatch(tensor, "no value".to_owned()))?;
            if value.dtype() != tensor.dtype || value.shape() != tensor.dims {
                return Err(mismatch(tensor, format!("{} {:?}", value.dtype(), value.shape())));
            }
            check_range(tensor, value)?;
            self.upload(upload.raw, value.bytes());
        }
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            if let Some(timer) = &self.timer {
                timer.mark(&mut pass, None);
            }
            for (i, dispatch) in self.dispatches.iter().enumerate() {
                pass.set_pipeline(&dispatch.pipeline.pipeline);
                pass.set_bind_group(0, &dispatch.bind_group, &[]);
                let [x, y, z] = dispatch.groups;
                pass.dispatch_workgroups(x, y, z);
                if let Some(timer) = &self.timer {
                    timer.mark(&mut pass, Some(i));
                }
            }
        }
        if let Some(timer) = &self.timer {
            timer.resolve(&mut encoder);
        }
        let mut at = 0;
        if let Some(readback) = &self.readback {
            for download in &self.plan.downloads {
                let bytes = self.plan.tensor(download.raw).device_bytes() as u64;
                if let Some(slot) = self.plan.slots.get(&download.raw) {
                    let from = slot.offset as u64;
                    encoder.copy_buffer_to_buffer(&self.arena.buffer, from, &readback.buffer, at, Some(bytes));
                }
                at += bytes;
            }
        }
        let submission = self.device.queue.submit([encoder.finish()]);
        let mapped = self.readback.as_ref().map(|readback| {
            let (sender, receiver) = mpsc::channel();
            // The receiver lives until `collect`; when it is gone nobody wants the answer.
            readback.buffer.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
            receiver
        });
        Ok(Pending { submission, mapped })
    }

    fn upload(&self, raw: TensorId, bytes: &[u8]) {
        let Some(slot) = self.plan.slots.get(&raw) else { return };
        let whole = bytes.len() / 4 * 4;
        let (words, rest) = bytes.split_at(whole);
        let buffer = &self.arena.buffer;
        self.device.queue.write_buffer(buffer, slot.offset as u64, words);
        if !rest.is_empty() {
            let mut last = [0u8; 4];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            self.device.queue.write_buffer(buffer, (slot.offset + whole) as u64, &last);
        }
    }

    /// Waits for a submitted invoke and gives each host output to `output`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn collect(&self, pending: Pending, mut output: impl FnMut(TensorId, Value)) -> Result<(), Error> {
        let wait = wgpu::PollType::Wait { submission_index: Some(pending.submission), timeout: None };
        let failed = |message: String| Error::Failed { adapter: self.device.summary.name.clone(), message };
        self.device.device.poll(wait).map_err(|error| failed(error.to_string()))?;
        self.device.check()?;
        if let Some(timer) = &self.timer {
            timer.collect(&self.device);
        }
        let (Some(readback), Some(mapped)) = (&self.readback, pending.mapped) else { return Ok(()) };
        match mapped.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed("the readback was never answered".to_owned())),
        }
        let result = self.read(readback, &mut output);
        readback.buffer.unmap();
        result
    }

    fn read(&self, readback: &DeviceBuffer, output: &mut impl FnMut(TensorId, Value)) -> Result<(), Error> {
        let failed = |message: String| Error::Failed { adapter: self.device.summary.name.clone(), message };
        let view = readback.buffer.slice(..).get_mapped_range().map_err(|error| failed(error.to_string()))?;
        let mut at = 0;
        for download in &self.plan.downloads {
            let tensor = self.plan.tensor(download.tensor);
            let count: usize = tensor.dims.iter().product();
            let bytes = count * tensor.dtype.size().unwrap_or(4);
            let part = view.get(at..at + bytes).ok_or_else(|| failed("the readback is too short".to_owned()))?;
            let value = Value::from_bytes(tensor.dtype, &tensor.dims, part);
            output(download.tensor, value.map_err(|error| failed(error.to_string()))?);
            at += self.plan.tensor(download.raw).device_bytes();
        }
        Ok(())
    }
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

fn entry(binding: u32, buffer: &wgpu::Buffer, offset: usize, bytes: usize) -> wgpu::BindGroupEntry<'_> {
    let size = wgpu::BufferSize::new(bytes as u64);
    let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: offset as u64, size });
    wgpu::BindGroupEntry { binding, resource }
}

/// All steps' parameter blocks in one uniform buffer, each at an aligned offset.
fn params(device: &GpuDevice, steps: &[Step]) -> (DeviceBuffer, Vec<usize>) {
    let mut bytes: Vec<u8> = Vec::new();
    let mut offsets = Vec::with_capacity(steps.len());
    for step in steps {
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        offsets.push(bytes.len());
        bytes.extend_from_slice(bytemuck::cast_slice(&step.params));
        let padding = (step.params.len() * 4).next_multiple_of(16).max(16) - step.params.len() * 4;
        bytes.resize(bytes.len() + padding, 0);
    }
    (DeviceBuffer::new(device, Kind::Params, bytes.len(), Some(&bytes)), offsets)
}

/// Buffer (none: the arena), offset and size of an operand.
type Resource = (Option<Arc<DeviceBuffer>>, usize, usize);

fn resolve(
    device: &GpuDevice,
    plan: &Plan,
    operand: Operand,
    store: &WeightStore,
    scope: &str,
    border: &BorderBuffers,
) -> Result<Resource, Error> {
    let failed = |message: &str| Error::Failed { adapter: device.summary.name.clone(), message: message.to_owned() };
    match operand {
        Operand::Weights(id) => {
            let weights = plan.weights.get(id.0).ok_or_else(|| failed("a step's weights are missing"))?;
            let buffer = store.get(device, scope, weights);
            let size = usize::try_from(buffer.buffer.size()).unwrap_or(usize::MAX);
            Ok((Some(buffer), 0, size))
        }
        Operand::Tensor(id) => {
            let slot: &Slot = plan.slots.get(&id).ok_or_else(|| failed("a step's tensor has no slot"))?;
            let bytes = slot.bytes.max(16);
            match slot.space {
                Space::Arena => Ok((None, slot.offset, slot.bytes)),
                Space::Border => {
                    let buffer = border.get(&slot.root).ok_or_else(|| failed("a border tensor has no buffer"))?;
                    Ok((Some(Arc::clone(buffer)), 0, bytes))
                }
                Space::Constant => {
                    let weights = constant(plan.tensor(slot.root), slot.root)?;
                    Ok((Some(store.get(device, scope, &weights)), 0, bytes))
                }
            }
        }
    }
}

/// A constant of the region as texels.
fn constant(tensor: &RegionTensor, id: TensorId) -> Result<Weights, Error> {
    let unsupported = || Reason::UnsupportedType { tensor: tensor.name.clone(), found: tensor.dtype };
    let value = tensor.constant.as_deref().ok_or_else(unsupported)?;
    let texels = tensor.texels();
    let key = format!("constant {id} {}", tensor.storage.name());
    let padded = |i: usize| i / texels.channels.max(1) * texels.width * 4 + i % texels.channels.max(1);
    let data = if tensor.storage == Storage::I32 {
        let mut words = vec![0i32; texels.count() * 4];
        for (i, v) in value.to_ints().ok_or_else(unsupported)?.into_iter().enumerate() {
            let v = i32::try_from(v).map_err(|_| Reason::Value("a constant needs more than 32 bits"))?;
            if let Some(word) = words.get_mut(padded(i)) {
                *word = v;
            }
        }
        WeightData::Int(words)
    } else {
        let mut floats = vec![0f32; texels.count() * 4];
        for (i, v) in value.to_floats().ok_or_else(unsupported)?.into_iter().enumerate() {
            if let Some(float) = floats.get_mut(padded(i)) {
                *float = v as f32;
            }
        }
        WeightData::Float(floats)
    };
    Ok(Weights { key, storage: tensor.storage, data })
}

/// Refuses plans whose buffers the device cannot make or bind.
fn check_sizes(device: &GpuDevice, plan: &Plan) -> Result<(), Error> {
    let limit = device.max_buffer_bytes();
    let too_large =
        |what, found: usize, limit: usize| Reason::TooLarge { what, found: found as u64, limit: limit as u64 };
    if plan.arena_bytes > limit {
        return Err(too_large("arena", plan.arena_bytes, limit).into());
    }
    let binding = device.max_binding_bytes();
    if let Some(slot) = plan.slots.values().find(|slot| slot.bytes > binding) {
        return Err(too_large("tensor", slot.bytes, binding).into());
    }
    for weights in &plan.weights {
        let count = match &weights.data {
            WeightData::Float(values) => values.len(),
            WeightData::Int(values) => values.len(),
        };
        let bytes = count * weights.storage.texel_bytes() / 4;
        if bytes > binding {
            return Err(too_large("constant", bytes, binding).into());
        }
    }
    Ok(())
}
