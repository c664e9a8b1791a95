//! From a region to a plan: steps, and which tensor lives where. Pure functions on plain data.

mod memory;
pub mod step;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tflite_wgpu_model::TensorId;

use crate::{
    kernels,
    ops::{self, LowerCtx, LowerError, Lowered, transfer},
    options::Perturb,
    reason::Reason,
    region::{Region, RegionTensor, Storage, Unary},
    tuning::{ProductShape, Tuning},
};
use step::{EpilogueStep, Operand, Step, Weights};

/// Offsets of bindings may be multiples of this on every adapter; [`Tuning::alignment`] is the adapter's own.
pub const ALIGNMENT: usize = 256;

/// Which buffer a tensor lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The partition's arena, shared by tensors that are not alive at the same time.
    Arena,
    /// A buffer of its own that holds a constant of the region.
    Constant,
    /// A buffer of its own that outlives the partition's run: another partition's tensor, or for one.
    Border,
}

/// Where a tensor lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The buffer.
    pub space: Space,
    /// Offset in bytes. In an arena of several buffers they count as one after the other.
    pub offset: usize,
    /// Size in bytes.
    pub bytes: usize,
    /// The tensor whose memory it is (itself, unless it is an alias).
    pub root: TensorId,
}

/// How a region's tensors reach it and leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Border {
    /// Inputs whose value another partition left on the device.
    pub device_inputs: Vec<TensorId>,
    /// Outputs that another partition will read on the device.
    pub device_outputs: Vec<TensorId>,
    /// Outputs that the host will read.
    pub host_outputs: Vec<TensorId>,
}

/// A tensor that crosses between host and device, and its raw bytes in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The tensor.
    pub tensor: TensorId,
    /// Its host bytes.
    pub raw: TensorId,
}

/// A partition, ready for an executor.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Dispatches in order.
    pub steps: Vec<Step>,
    /// Packed constants, by [`step::WeightsId`].
    pub weights: Vec<Weights>,
    /// Tensors by id, those of the region and those that lowering added.
    pub tensors: Vec<RegionTensor>,
    /// Where each tensor that a step binds lives.
    pub slots: BTreeMap<TensorId, Slot>,
    /// Host inputs, uploaded before the first step.
    pub uploads: Vec<Transfer>,
    /// Host outputs, read back after the last step.
    pub downloads: Vec<Transfer>,
    /// Size of the arena.
    pub arena_bytes: usize,
    /// Largest sum of bytes alive at one step: what no placement can go below.
    pub live_bytes: usize,
    /// Shapes of products and convolutions, each once: what can be measured.
    pub products: Vec<ProductShape>,
}

impl Plan {
    /// The tensor with this id. Ids come from the plan itself, so a miss is a bug of this library.
    #[allow(clippy::indexing_slicing, reason = "ids are made by the plan itself")]
    pub fn tensor(&self, id: TensorId) -> &RegionTensor {
        &self.tensors[id.index()]
    }

    /// Bytes of the border tensors that the steps bind.
    pub fn border_bytes(&self) -> usize {
        let border = self.slots.values().filter(|slot| slot.space == Space::Border);
        let tensors: BTreeSet<TensorId> = border.map(|slot| slot.root).collect();
        tensors.into_iter().map(|id| self.tensor(id).device_bytes()).sum()
    }

    /// Different (kernel, variant) pairs: pipelines the plan needs.
    pub fn pipeline_count(&self) -> usize {
        let mut keys: Vec<_> = self.steps.iter().map(|step| (step.kernel, &step.variant)).collect();
        keys.sort();
        keys.dedup();
        keys.len()
    }

    /// Gives every tensor of the arena memory of its own with a gap on both sides, for tests that nothing is written
    /// beside a tensor.
    #[doc(hidden)]
    pub fn spread(&mut self) {
        let mut end = ALIGNMENT;
        let mut offsets = HashMap::new();
        let arena = |slot: &&mut Slot| slot.space == Space::Arena;
        for slot in self.slots.values_mut().filter(arena) {
            let bytes = slot.bytes;
            slot.offset = *offsets.entry(slot.root).or_insert_with(|| {
                let offset = end;
                end = (offset + bytes).next_multiple_of(ALIGNMENT) + ALIGNMENT;
                offset
            });
        }
        self.arena_bytes = end;
    }

    /// Negates a kernel's result: a wrong kernel, for tests that one is found.
    #[doc(hidden)]
    pub fn perturb(&mut self, perturb: Perturb) {
        let (node, least) = match perturb {
            Perturb::Node(node) => (node, 1),
            Perturb::Fused(node) => (node, 2),
        };
        let can = |step: &&mut Step| {
            let stands = step.nodes.contains(&node) && step.nodes.len() >= least;
            stands && kernels::row(step.kernel).is_some_and(|row| row.epilogue)
        };
        if let Some(step) = self.steps.iter_mut().rev().find(can) {
            step.variant.epilogue.push(EpilogueStep::Unary(Unary::Neg));
        }
    }
}

/// Lowers and places a region.
///
/// # Errors
/// When a node cannot be lowered with these shapes.
pub fn plan(mut region: Region, border: &Border, tuning: &Tuning) -> Result<Plan, LowerError> {
    let nodes = std::mem::take(&mut region.nodes);
    let inputs = region.inputs.clone();
    let mut ctx = LowerCtx::new(&mut region, tuning);
    let mut uploads = Vec::new();
    for &id in &inputs {
        if !border.device_inputs.contains(&id) {
            let raw = raw(&mut ctx, id);
            transfer::import(&mut ctx, raw, id)?;
            uploads.push(Transfer { tensor: id, raw });
        }
    }
    for node in &nodes {
        let row = ops::row(node.op.builtin()).ok_or(Reason::UnsupportedOperator)?;
        (row.lower)(&mut ctx, node)?;
    }
    let mut border_slots = HashMap::new();
    for &id in &border.device_inputs {
        border_slots.insert(id, id);
    }
    for &id in &border.device_outputs {
        // An output that is also an input, a constant or an alias gets its own buffer by a copy.
        if inputs.contains(&id) || is_alias(&ctx.lowered, id) || ctx.constant(id).is_some() {
            let tensor = ctx.region.tensor(id).clone();
            let copy = ctx.scratch(&tensor.name, tensor.dtype, &tensor.dims, tensor.storage);
            transfer::copy(&mut ctx, id, copy)?;
            border_slots.insert(copy, id);
        } else {
            border_slots.insert(id, id);
        }
    }
    let mut downloads = Vec::new();
    for &id in &border.host_outputs {
        let raw = raw(&mut ctx, id);
        transfer::export(&mut ctx, id, raw)?;
        downloads.push(Transfer { tensor: id, raw });
    }
    separate_repeated_operands(&mut ctx)?;
    let lowered = ctx.lowered;
    let placed = memory::place(&region, &lowered, &border_slots, &downloads, (tuning.alignment, tuning.arena_buffer));
    let Lowered { steps, weights, products, .. } = lowered;
    Ok(Plan {
        steps,
        weights,
        tensors: region.tensors,
        slots: placed.slots,
        uploads,
        downloads,
        arena_bytes: placed.arena_bytes,
        live_bytes: placed.live_bytes,
        products,
    })
}

fn raw(ctx: &mut LowerCtx<'_>, id: TensorId) -> TensorId {
    let tensor = ctx.region.tensor(id);
    let (name, dtype, dims) = (format!("{} (host bytes)", tensor.name), tensor.dtype, tensor.dims.clone());
    ctx.scratch(&name, dtype, &dims, Storage::Raw)
}

fn is_alias(lowered: &Lowered, id: TensorId) -> bool {
    lowered.aliases.iter().any(|(alias, _)| *alias == id)
}

/// The tensor whose memory `id` is.
fn root(lowered: &Lowered, mut id: TensorId) -> TensorId {
    while let Some((_, of)) = lowered.aliases.iter().find(|(alias, _)| *alias == id) {
        id = *of;
    }
    id
}

/// WebGPU forbids overlapping writable bindings in a dispatch, and tensors are bound writable: a step that reads
/// the same memory twice reads a copy the second time.
fn separate_repeated_operands(ctx: &mut LowerCtx<'_>) -> Result<(), LowerError> {
    let steps = std::mem::take(&mut ctx.lowered.steps);
    for mut step in steps {
        let mut seen: Vec<TensorId> = Vec::new();
        for i in 0..step.bindings.len() {
            let Some(&Operand::Tensor(id)) = step.bindings.get(i) else { continue };
            let root = root(&ctx.lowered, id);
            if seen.contains(&root) {
                let tensor = ctx.region.tensor(id).clone();
                let copy = ctx.scratch(&tensor.name, tensor.dtype, &tensor.dims, tensor.storage);
                transfer::copy(ctx, id, copy)?;
                if let Some(binding) = step.bindings.get_mut(i) {
                    *binding = Operand::Tensor(copy);
                }
            } else {
                seen.push(root);
            }
        }
        ctx.lowered.steps.push(step);
    }
    Ok(())
}
