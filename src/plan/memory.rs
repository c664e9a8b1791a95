//! Placement of tensors by lifetime.

use std::collections::{BTreeMap, HashMap};

use tflite_wgpu_model::TensorId;

use super::{ALIGNMENT, Slot, Space, Transfer, step::Operand};
use crate::{
    ops::Lowered,
    region::{Region, Storage},
};

/// Where everything lives.
pub struct Placed {
    /// Slot of every tensor that a step binds.
    pub slots: BTreeMap<TensorId, Slot>,
    /// Size of the arena.
    pub arena_bytes: usize,
    /// Largest sum of bytes alive at one step.
    pub live_bytes: usize,
}

/// First and last step of a tensor's life, both inclusive.
#[derive(Clone, Copy, Debug)]
struct Life {
    first: usize,
    last: usize,
    bytes: usize,
}

/// Gives every bound tensor a slot. `border` maps a tensor to the one whose border buffer it uses.
pub fn place(
    region: &Region,
    lowered: &Lowered,
    border: &HashMap<TensorId, TensorId>,
    downloads: &[Transfer],
) -> Placed {
    let aliases: HashMap<TensorId, TensorId> = lowered.aliases.iter().copied().collect();
    let root = |mut id: TensorId| {
        while let Some(of) = aliases.get(&id) {
            id = *of;
        }
        id
    };
    let mut lives: BTreeMap<TensorId, Life> = BTreeMap::new();
    let mut slots = BTreeMap::new();
    let mut bound = Vec::new();
    for (at, step) in lowered.steps.iter().enumerate() {
        for operand in &step.bindings {
            let Operand::Tensor(id) = *operand else { continue };
            let of = root(id);
            bound.push((id, of));
            let tensor = region.tensor(of);
            let bytes = tensor.device_bytes();
            if tensor.constant.is_some() {
                slots.insert(of, Slot { space: Space::Constant, offset: 0, bytes, root: of });
            } else if let Some(&owner) = border.get(&of) {
                slots.insert(of, Slot { space: Space::Border, offset: 0, bytes, root: owner });
            } else {
                // Uploads are written before the first step.
                let first = if tensor.storage == Storage::Raw { 0 } else { at };
                let life = lives.entry(of).or_insert(Life { first, last: at, bytes });
                life.last = at;
            }
        }
    }
    // Downloads are written by their export and read after the last step; they are no uploads.
    let end = lowered.steps.len();
    for download in downloads {
        if let Some(life) = lives.get_mut(&download.raw) {
            life.first = life.last;
            life.last = end;
        }
    }
    let (offsets, arena_bytes) = offsets(&lives);
    let live_bytes = live_bytes(&lives, end);
    for (id, offset) in offsets {
        let bytes = lives.get(&id).map_or(0, |life| life.bytes);
        slots.insert(id, Slot { space: Space::Arena, offset, bytes, root: id });
    }
    for (id, of) in bound {
        if let Some(slot) = slots.get(&of).copied() {
            let bytes = region.tensor(id).device_bytes();
            slots.insert(id, Slot { bytes, ..slot });
        }
    }
    Placed { slots, arena_bytes, live_bytes }
}

fn live_bytes(lives: &BTreeMap<TensorId, Life>, end: usize) -> usize {
    let mut change = vec![0isize; end + 2];
    for life in lives.values() {
        let bytes = life.bytes.cast_signed();
        if let Some(at) = change.get_mut(life.first) {
            *at += bytes;
        }
        if let Some(at) = change.get_mut(life.last + 1) {
            *at -= bytes;
        }
    }
    let sums = change.iter().scan(0isize, |sum, step| {
        *sum += step;
        Some(*sum)
    });
    sums.max().unwrap_or(0).unsigned_abs()
}

/// Largest first, each at the lowest offset that is free during its whole life.
fn offsets(lives: &BTreeMap<TensorId, Life>) -> (Vec<(TensorId, usize)>, usize) {
    let mut order: Vec<(TensorId, Life)> = lives.iter().map(|(id, life)| (*id, *life)).collect();
    order.sort_by_key(|(id, life)| (std::cmp::Reverse(life.bytes), *id));
    let mut placed: Vec<(TensorId, usize, Life)> = Vec::with_capacity(order.len());
    let mut arena = 0;
    for (id, life) in order {
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|(_, _, other)| other.first <= life.last && life.first <= other.last)
            .map(|(_, offset, other)| (*offset, offset + other.bytes))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + life.bytes <= start {
                break;
            }
            offset = offset.max(end.next_multiple_of(ALIGNMENT));
        }
        arena = arena.max((offset + life.bytes).next_multiple_of(ALIGNMENT));
        placed.push((id, offset, life));
    }
    (placed.into_iter().map(|(id, offset, _)| (id, offset)).collect(), arena)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(first: usize, last: usize, bytes: usize) -> Life {
        Life { first, last, bytes }
    }

    #[test]
    fn tensors_alive_together_do_not_overlap() {
        let lives: BTreeMap<_, _> = [life(0, 1, 1000), life(1, 2, 3000), life(2, 3, 1000), life(0, 3, 100)]
            .into_iter()
            .enumerate()
            .map(|(i, life)| (TensorId::from_index(i), life))
            .collect();
        let (offsets, arena) = offsets(&lives);
        assert_eq!(arena, 4352);
        for (a, a_at) in &offsets {
            for (b, b_at) in &offsets {
                let (x, y) = (lives[a], lives[b]);
                let together = a != b && x.first <= y.last && y.first <= x.last;
                assert!(!together || a_at + x.bytes <= *b_at || b_at + y.bytes <= *a_at, "{a} and {b} overlap");
            }
        }
        assert_eq!(live_bytes(&lives, 4), 4100);
    }
}
