//! Placement of tensors by lifetime.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use tflite_wgpu_model::TensorId;

use super::{Slot, Space, Transfer, step::Operand};
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

/// Gives every bound tensor a slot. `border` maps a tensor to the one whose border buffer it uses; `units` are what
/// offsets are multiples of, and the bytes of a buffer of the arena, which no tensor may cross the end of.
pub fn place(
    region: &Region,
    lowered: &Lowered,
    border: &HashMap<TensorId, TensorId>,
    downloads: &[Transfer],
    units: (usize, usize),
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
    let (offsets, arena_bytes) = offsets(&lives, units);
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

/// Comparisons of two lives that finding a placement may cost.
const MOST_COMPARISONS: usize = 20_000_000;

/// Tries orders of placement until one comes down to what is alive, or the effort is spent: largest first, in the
/// order of the first use, longest-lived first; in each, what ends highest moves to the front again and again.
fn offsets(lives: &BTreeMap<TensorId, Life>, (alignment, buffer): (usize, usize)) -> (Vec<(TensorId, usize)>, usize) {
    let rounded = |life: &Life| Life { bytes: life.bytes.next_multiple_of(alignment), ..*life };
    let lives: BTreeMap<TensorId, Life> = lives.iter().map(|(id, life)| (*id, rounded(life))).collect();
    let end = lives.values().map(|life| life.last + 1).max().unwrap_or(0);
    let least = live_bytes(&lives, end);
    let sorted = |key: fn(&Life) -> [Reverse<usize>; 2]| {
        let mut order: Vec<Placing> = lives.iter().map(|(id, life)| (*id, *life)).collect();
        order.sort_by_key(|(id, life)| (key(life), *id));
        order
    };
    let orders = [
        sorted(|life| [Reverse(life.bytes), Reverse(0)]),
        sorted(|life| [Reverse(usize::MAX - life.first), Reverse(life.last)]),
        sorted(|life| [Reverse(life.last - life.first), Reverse(life.bytes)]),
    ];
    let pairs = lives.len().saturating_mul(lives.len()).max(1);
    let tries = (MOST_COMPARISONS / pairs / orders.len()).clamp(1, 64);
    let mut best = (Vec::new(), usize::MAX);
    for mut order in orders {
        for _ in 0..tries {
            let (placed, arena) = place_in_order(&order, buffer);
            let top = placed.iter().zip(&order).position(|((_, offset), (_, life))| offset + life.bytes == arena);
            if arena < best.1 {
                best = (placed, arena);
            }
            match top {
                Some(top) if top > 0 && best.1 > least => order[..=top].rotate_right(1),
                _ => break,
            }
        }
    }
    if lives.is_empty() { (Vec::new(), 0) } else { best }
}

/// A tensor to be placed; bytes are multiples of the alignment.
type Placing = (TensorId, Life);

/// Puts each at the lowest offset that is free during its whole life and does not cross the end of a buffer; gives the
/// offsets in the same order.
fn place_in_order(order: &[Placing], buffer: usize) -> (Vec<(TensorId, usize)>, usize) {
    let within_one = |offset: usize, bytes: usize| match bytes {
        0 => offset,
        bytes if offset / buffer == (offset + bytes - 1) / buffer => offset,
        _ => offset.next_multiple_of(buffer),
    };
    let mut placed: Vec<(TensorId, usize)> = Vec::with_capacity(order.len());
    let mut arena = 0;
    let mut taken: Vec<(usize, usize)> = Vec::new();
    for (id, life) in order {
        let before = placed.iter().zip(order).map(|((_, offset), (_, other))| (*offset, other));
        let together = before.filter(|(_, other)| other.first <= life.last && life.first <= other.last);
        taken.clear();
        taken.extend(together.map(|(offset, other)| (offset, offset + other.bytes)));
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in &taken {
            if offset + life.bytes <= *start {
                break;
            }
            offset = within_one(offset.max(*end), life.bytes);
        }
        arena = arena.max(offset + life.bytes);
        placed.push((*id, offset));
    }
    (placed, arena)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The alignment, and a buffer for everything.
    const ANY: (usize, usize) = (256, usize::MAX);

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
        let (offsets, arena) = offsets(&lives, ANY);
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

    fn lives(list: &[(usize, usize, usize)]) -> BTreeMap<TensorId, Life> {
        let life = |(i, &(first, last, bytes))| (TensorId::from_index(i), Life { first, last, bytes });
        list.iter().enumerate().map(life).collect()
    }

    #[test]
    fn what_largest_first_wastes_is_found_again() {
        // Host bytes, texels, texels, host bytes: the largest two would both lie at 0.
        let chain = lives(&[(0, 0, 768), (0, 1, 512), (1, 2, 512), (2, 3, 768)]);
        assert_eq!(offsets(&chain, ANY).1, 1280);
        // A residual that lives on while its neighbours change sizes.
        let residual = lives(&[(0, 4, 512), (0, 1, 256), (1, 2, 1024), (2, 3, 768), (3, 4, 256), (4, 5, 1024)]);
        assert_eq!(offsets(&residual, ANY).1, live_bytes(&residual, 6));
    }

    #[test]
    fn no_tensor_crosses_the_end_of_a_buffer() {
        let all = lives(&[(0, 2, 768), (0, 2, 768), (0, 2, 512), (1, 2, 1024), (1, 2, 256), (3, 4, 1024)]);
        let buffer = 1024;
        let (placed, arena) = offsets(&all, (256, buffer));
        assert_eq!(placed.len(), all.len());
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (id, offset) in placed {
            let end = offset + all[&id].bytes;
            assert_eq!(offset / buffer, (end - 1) / buffer, "{id} at {offset} to {end}");
            assert!(end <= arena);
            if all[&id].first < 3 {
                assert!(taken.iter().all(|(from, to)| end <= *from || *to <= offset), "{id} overlaps");
                taken.push((offset, end));
            }
        }
        assert_eq!(
            arena,
            3 * buffer + 512,
            "one of 768 has that of 256 beside it, and the last buffer is no larger than needed"
        );
        assert!(offsets(&all, ANY).1 < arena, "one buffer has no gaps");
    }

    #[test]
    fn nothing_needs_nothing() {
        assert_eq!(offsets(&BTreeMap::new(), ANY), (Vec::new(), 0));
    }
}
