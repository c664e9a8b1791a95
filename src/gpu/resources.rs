//! What the steps of a plan are bound to.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tflite_wgpu_model::TensorId;

use super::{
    buffers::{DeviceBuffer, Kind},
    device::GpuDevice,
    effort::Effort,
    memory::Arena,
    weights::Packed,
};
use crate::{
    constant::Constant,
    error::Error,
    kernels::{self, Role},
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
    device.guarded(|| Arc::new(DeviceBuffer::new(device, Kind::Activations, tensor.device_bytes())))
}

/// A range of a buffer.
pub(super) struct Resource {
    buffer: Holder,
    offset: usize,
    bytes: usize,
}

/// Whose buffer it is.
enum Holder {
    Arena,
    Own(Arc<DeviceBuffer>),
    Packed(Arc<Packed>),
}

impl Resource {
    /// Buffer and offset.
    pub(super) fn place<'a>(&'a self, arena: &'a Arena) -> (&'a wgpu::Buffer, u64) {
        match &self.buffer {
            Holder::Arena => arena.place(self.offset),
            Holder::Own(own) => (&own.buffer, self.offset as u64),
            Holder::Packed(packed) => (&packed.buffer.buffer, self.offset as u64),
        }
    }

    pub(super) fn entry<'a>(&'a self, binding: u32, arena: &'a Arena) -> wgpu::BindGroupEntry<'a> {
        let (buffer, offset) = self.place(arena);
        let size = wgpu::BufferSize::new(self.bytes as u64);
        let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
        wgpu::BindGroupEntry { binding, resource }
    }
}

impl From<&Arc<Packed>> for Resource {
    fn from(packed: &Arc<Packed>) -> Self {
        Self { buffer: Holder::Packed(Arc::clone(packed)), offset: packed.offset, bytes: packed.bytes }
    }
}

/// The resources of every step, in the order of its bindings: the row's, the parameter block, the epilogue's.
pub(super) fn resolve(
    device: &GpuDevice,
    plan: &Plan,
    border: &BorderBuffers,
    constants: &Constants,
) -> Result<Vec<Vec<Resource>>, Error> {
    let (params, offsets) = params(device, &plan.steps);
    let mut all = Vec::with_capacity(plan.steps.len());
    for (step, offset) in plan.steps.iter().zip(offsets) {
        let mut resources = Vec::with_capacity(step.bindings.len() + 1);
        for operand in &step.bindings {
            resources.push(resource(device, plan, *operand, border, constants)?);
        }
        let block = Resource { buffer: Holder::Own(Arc::clone(&params)), offset, bytes: params_bytes(step) };
        resources.insert(step.variant.storage.len().min(resources.len()), block);
        all.push(resources);
    }
    Ok(all)
}

/// A plan's constants on the device, those of its region under their roots.
pub(super) type Constants = HashMap<Operand, Arc<Packed>>;

/// The operand under which a constant is kept; none for what is no constant.
fn constant_of(plan: &Plan, operand: Operand) -> Option<Operand> {
    match operand {
        Operand::Weights(_) => Some(operand),
        Operand::Tensor(id) => {
            let slot = plan.slots.get(&id).filter(|slot| slot.space == Space::Constant)?;
            Some(Operand::Tensor(slot.root))
        }
    }
}

/// Packs and uploads a plan's constants. A buffer that a dispatch binds writable must not be bound read-only there, so those
/// that kernels take as tensors lie apart from the others.
pub(super) fn constants(device: &GpuDevice, plan: &Plan, effort: &Effort<'_>) -> Result<Constants, Error> {
    let mut read_only = BTreeMap::new();
    for step in &plan.steps {
        let roles = kernels::row(step.kernel).map(|row| row.bindings).unwrap_or_default();
        for (i, operand) in step.bindings.iter().enumerate() {
            let is_read_only = roles.get(i).is_some_and(|binding| binding.role == Role::Weights);
            if let Some(constant) = constant_of(plan, *operand) {
                *read_only.entry(constant).or_insert(true) &= is_read_only;
            }
        }
    }
    let mut all = Constants::new();
    for kind in [true, false] {
        let own: Vec<Operand> = read_only.iter().filter(|(_, is)| **is == kind).map(|(operand, _)| *operand).collect();
        let packing = |operand: &Operand| match *operand {
            Operand::Weights(id) => {
                let weights = plan.weights.get(id.0).map(Cow::Borrowed);
                weights.ok_or_else(|| device.failed("a step's weights are missing"))
            }
            Operand::Tensor(id) => constant(plan.tensor(id), id).map(Cow::Owned),
        };
        let weights = own.iter().map(packing).collect::<Result<Vec<_>, _>>()?;
        all.extend(own.into_iter().zip(device.weights.get_all(device, &weights, effort)?));
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
    (Arc::new(DeviceBuffer::of_parts(device, Kind::Params, &[(0, &bytes)])), offsets)
}

fn resource(
    device: &GpuDevice,
    plan: &Plan,
    operand: Operand,
    border: &BorderBuffers,
    constants: &Constants,
) -> Result<Resource, Error> {
    if let Some(constant) = constant_of(plan, operand) {
        let packed = constants.get(&constant).ok_or_else(|| device.failed("a step's constant is missing"))?;
        return Ok(Resource::from(packed));
    }
    let Operand::Tensor(id) = operand else { return Err(device.failed("a step's operand is no tensor")) };
    let slot = plan.slots.get(&id).ok_or_else(|| device.failed("a step's tensor has no slot"))?;
    if slot.space == Space::Border {
        let buffer = border.get(&slot.root).ok_or_else(|| device.failed("a border tensor has no buffer"))?;
        return Ok(Resource { buffer: Holder::Own(Arc::clone(buffer)), offset: 0, bytes: slot.bytes.max(16) });
    }
    Ok(Resource { buffer: Holder::Arena, offset: slot.offset, bytes: slot.bytes })
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
