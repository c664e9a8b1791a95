//! What the steps of a plan are bound to.

use std::{collections::HashMap, sync::Arc};

use tflite_wgpu_model::TensorId;

use super::{
    buffers::{DeviceBuffer, Kind},
    device::GpuDevice,
    memory::Arena,
};
use crate::{
    constant::Constant,
    error::Error,
    plan::{
        ALIGNMENT, Plan, Slot, Space,
        step::{Operand, Packing, Step, WeightData, Weights},
    },
    reason::Reason,
    region::{Region, RegionTensor, Storage, Texels},
};

/// Tensors that outlive a partition's run, by tensor of the subgraph.
pub type BorderBuffers = HashMap<TensorId, Arc<DeviceBuffer>>;

/// A buffer for a tensor that outlives a partition's run.
///
/// # Errors
/// When the device fails.
pub fn border_buffer(device: &GpuDevice, tensor: &RegionTensor) -> Result<Arc<DeviceBuffer>, Error> {
    device.guarded(|| Arc::new(DeviceBuffer::new(device, Kind::Activations, tensor.device_bytes(), None)))
}

/// A range of a buffer, or of the arena.
pub(super) struct Resource {
    /// None: the arena.
    buffer: Option<Arc<DeviceBuffer>>,
    offset: usize,
    bytes: usize,
}

impl Resource {
    /// Buffer and offset.
    pub(super) fn place<'a>(&'a self, arena: &'a Arena) -> (&'a wgpu::Buffer, u64) {
        self.buffer.as_ref().map_or_else(|| arena.place(self.offset), |own| (&own.buffer, self.offset as u64))
    }

    pub(super) fn entry<'a>(&'a self, binding: u32, arena: &'a Arena) -> wgpu::BindGroupEntry<'a> {
        let (buffer, offset) = self.place(arena);
        let size = wgpu::BufferSize::new(self.bytes as u64);
        let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
        wgpu::BindGroupEntry { binding, resource }
    }
}

/// The resources of every step, in the order of its bindings: the row's, the parameter block, the epilogue's.
pub(super) fn resolve(device: &GpuDevice, plan: &Plan, border: &BorderBuffers) -> Result<Vec<Vec<Resource>>, Error> {
    let (params, offsets) = params(device, &plan.steps);
    let mut all = Vec::with_capacity(plan.steps.len());
    for (step, offset) in plan.steps.iter().zip(offsets) {
        let mut resources = Vec::with_capacity(step.bindings.len() + 1);
        for operand in &step.bindings {
            resources.push(resource(device, plan, *operand, border)?);
        }
        let block = Resource { buffer: Some(Arc::clone(&params)), offset, bytes: params_bytes(step) };
        resources.insert(step.variant.storage.len().min(resources.len()), block);
        all.push(resources);
    }
    Ok(all)
}

/// Bytes of a step's parameter block.
fn params_bytes(step: &Step) -> usize {
    (step.params.len() * 4).next_multiple_of(16).max(16)
}

/// All steps' parameter blocks in one uniform buffer, each at an aligned offset.
fn params(device: &GpuDevice, steps: &[Step]) -> (Arc<DeviceBuffer>, Vec<usize>) {
    let mut bytes: Vec<u8> = Vec::new();
    let mut offsets = Vec::with_capacity(steps.len());
    for step in steps {
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        offsets.push(bytes.len());
        bytes.extend_from_slice(bytemuck::cast_slice(&step.params));
        bytes.resize(bytes.len() + params_bytes(step) - step.params.len() * 4, 0);
    }
    (Arc::new(DeviceBuffer::new(device, Kind::Params, bytes.len(), Some(&bytes))), offsets)
}

fn resource(device: &GpuDevice, plan: &Plan, operand: Operand, border: &BorderBuffers) -> Result<Resource, Error> {
    match operand {
        Operand::Weights(id) => {
            let weights = plan.weights.get(id.0).ok_or_else(|| device.failed("a step's weights are missing"))?;
            let buffer = device.weights.get(device, weights)?;
            let bytes = usize::try_from(buffer.buffer.size()).unwrap_or(usize::MAX);
            Ok(Resource { buffer: Some(buffer), offset: 0, bytes })
        }
        Operand::Tensor(id) => {
            let slot = plan.slots.get(&id).ok_or_else(|| device.failed("a step's tensor has no slot"))?;
            let bytes = slot.bytes.max(16);
            match slot.space {
                Space::Arena => Ok(Resource { buffer: None, offset: slot.offset, bytes: slot.bytes }),
                Space::Border => {
                    let buffer =
                        border.get(&slot.root).ok_or_else(|| device.failed("a border tensor has no buffer"))?;
                    Ok(Resource { buffer: Some(Arc::clone(buffer)), offset: 0, bytes })
                }
                Space::Constant => {
                    let weights = constant(plan.tensor(slot.root), slot.root)?;
                    Ok(Resource { buffer: Some(device.weights.get(device, &weights)?), offset: 0, bytes })
                }
            }
        }
    }
}

/// A constant of the region as texels.
fn constant(tensor: &RegionTensor, id: TensorId) -> Result<Weights, Error> {
    let unsupported = || Reason::UnsupportedType { tensor: tensor.name.clone(), found: tensor.dtype };
    let constant = tensor.constant.clone().ok_or_else(unsupported)?;
    let key = format!("constant {id} {:?} {}", tensor.dims, tensor.storage.name());
    let (texels, storage, name, dtype) = (tensor.texels(), tensor.storage, tensor.name.clone(), tensor.dtype);
    let pack = move |value: &Constant| {
        as_texels(value, texels, storage, || Reason::UnsupportedType { tensor: name.clone(), found: dtype })
    };
    Ok(Weights { key, storage, data: Packing::Of(constant, Arc::new(pack)) })
}

/// Elements in rows that are padded to whole texels.
fn as_texels(
    value: &Constant,
    texels: Texels,
    storage: Storage,
    unsupported: impl Fn() -> Reason,
) -> Result<WeightData, Reason> {
    let padded = |i: usize| i / texels.channels.max(1) * texels.width * 4 + i % texels.channels.max(1);
    Ok(if storage == Storage::I32 {
        let mut words = vec![0i32; texels.count() * 4];
        for (i, v) in value.to_ints().ok_or_else(&unsupported)?.into_iter().enumerate() {
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
    })
}

/// Refuses plans whose tensors the device cannot hold or bind; constants are checked when they are packed.
pub(super) fn check_sizes(device: &GpuDevice, plan: &Plan) -> Result<(), Error> {
    let too_large =
        |what, found: usize, limit: usize| Reason::TooLarge { what, found: found as u64, limit: limit as u64 };
    let binding = device.max_binding_bytes();
    if let Some(slot) = plan.slots.values().find(|slot| slot.bytes > binding) {
        return Err(too_large("tensor", slot.bytes, binding).into());
    }
    // What is larger than a buffer of the arena lies across two; so does what a test has spread.
    let buffer = device.tuning.arena_buffer;
    let crosses = |slot: &&Slot| slot.space == Space::Arena && slot.offset % buffer + slot.bytes > buffer;
    if let Some(slot) = plan.slots.values().find(crosses) {
        return Err(too_large("tensor", slot.bytes, buffer).into());
    }
    let readback = plan.downloads.iter().map(|t| plan.tensor(t.raw).device_bytes()).sum();
    if readback > device.max_buffer_bytes() {
        return Err(too_large("readback", readback, device.max_buffer_bytes()).into());
    }
    Ok(())
}

impl GpuDevice {
    /// Refuses a region with a tensor that the device cannot bind.
    ///
    /// # Errors
    /// [`Reason::TooLarge`].
    pub fn check_tensors(&self, region: &Region) -> Result<(), Reason> {
        let limit = self.max_binding_bytes();
        let nodes = region.nodes.iter().flat_map(|node| node.inputs.iter().chain(&node.outputs)).flatten();
        let computed = nodes.map(|id| region.tensor(*id)).filter(|tensor| tensor.constant.is_none());
        match computed.map(RegionTensor::device_bytes).find(|bytes| *bytes > limit) {
            Some(bytes) => Err(Reason::TooLarge { what: "tensor", found: bytes as u64, limit: limit as u64 }),
            None => Ok(()),
        }
    }
}
