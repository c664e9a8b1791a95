//! Threads that work on one node together.
//!
//! A [`Team`] is an interpreter's. Its workers are started when a node is first worth them, and while an invoke runs they
//! stay awake: a node of twenty microseconds cannot wait until the system has woken somebody. A node's output is cut
//! into parts that depend on the number of threads alone. Each thread begins with its own share of them, the same for
//! every node, so that it mostly reads what it has written itself: what lies in another core's cache costs more than
//! many a node. Who has done his share takes from the others', so that a late worker holds nobody up, and each element
//! is computed in one way whoever computes it.

#[cfg(target_family = "wasm")]
mod alone;
#[cfg(not(target_family = "wasm"))]
mod team;

use std::sync::{Mutex, PoisonError};

#[cfg(target_family = "wasm")]
pub(crate) use alone::Team;
#[cfg(not(target_family = "wasm"))]
pub(crate) use team::Team;

/// Steps of a part at least, a microsecond or two of work: less is not worth another thread's attention. A step is one
/// element that is read, changed and written by a fast kernel.
const PART_STEPS: usize = 1 << 13;
/// Multiply-adds of floats that take as long as a step.
pub(crate) const PRODUCTS: usize = 16;
/// Multiply-adds of bytes that take as long as a step.
pub(crate) const BYTE_PRODUCTS: usize = 64;
/// Parts per thread of what takes long, so that one that is held up does not hold up all.
const PARTS: usize = 3;
/// Steps for each of these parts from which on a node takes long.
const LONG_STEPS: usize = 1 << 16;
/// Steps for which workers that sleep are woken.
const WAKE_STEPS: usize = 1 << 20;

/// The threads that a node's kernel may use; the calling one alone by default.
#[derive(Clone, Copy, Default)]
pub struct Threads<'a>(Option<&'a Team>);

impl<'a> Threads<'a> {
    /// Those of a team.
    pub(crate) fn of(team: &'a Team) -> Self {
        Self(Some(team).filter(|team| team.count() > 1))
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.0.map_or(1, Team::count)
    }

    /// How to cut `rows` rows of `row_steps` steps each into parts, each a multiple of `step` rows.
    pub(crate) fn split(self, rows: usize, step: usize, row_steps: usize) -> Split {
        let steps = rows.saturating_mul(row_steps);
        let (threads, worth) = (self.count(), steps / PART_STEPS);
        let parts = match threads {
            1 => 1,
            _ if worth < 2 => 1,
            _ if steps < threads.saturating_mul(PARTS * LONG_STEPS) => worth.min(threads),
            _ => threads * PARTS,
        };
        let part = rows.div_ceil(parts).next_multiple_of(step.max(1)).max(1);
        Split { part, helpers: threads.min(rows.div_ceil(part)).max(1), steps }
    }

    /// Calls `work(first row, rows of out, memory)` for all parts of `out`, whose rows are `row_len` long. `memory` is
    /// dealt out in equal pieces to as many threads as [`Split::helpers`] says.
    pub(crate) fn run<T: Send, M: Send>(
        self,
        split: Split,
        out: &mut [T],
        row_len: usize,
        memory: &mut [M],
        work: impl Fn(usize, &mut [T], &mut [M]) + Sync,
    ) {
        let part_len = split.part.saturating_mul(row_len.max(1));
        let team = self.0.filter(|_| split.helpers > 1 && out.len() > part_len);
        let Some(team) = team else {
            let piece = memory.len() / split.helpers;
            for (i, out) in out.chunks_mut(part_len).enumerate() {
                work(i * split.part, out, &mut memory[..piece]);
            }
            return;
        };
        let shares = shares(out, part_len, memory, split.helpers);
        let lock = |share: usize| {
            let share: &Mutex<Share<'_, T, M>> = &shares[share % shares.len()];
            share.lock().unwrap_or_else(PoisonError::into_inner)
        };
        let help = |worker: usize| {
            let order = || worker..worker + shares.len();
            let own = order().find_map(|share| lock(share).memory.take()).unwrap_or_default();
            for share in order() {
                loop {
                    // The lock is free again before the work begins.
                    let next = lock(share).next(share == worker);
                    let Some((part, out)) = next else { break };
                    work(part * split.part, out, own);
                }
            }
        };
        team.together(split.helpers, split.steps >= WAKE_STEPS, &help);
    }

    /// As [`Threads::run`] without memory.
    pub(crate) fn each<T: Send>(
        self,
        split: Split,
        out: &mut [T],
        row_len: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) {
        self.run(split, out, row_len, &mut [(); 0], |first, out, _| work(first, out));
    }
}

/// What one thread begins with: parts of an output, and its piece of the memory.
struct Share<'a, T, M> {
    parts: std::slice::ChunksMut<'a, T>,
    /// Number of the first part that is left.
    first: usize,
    memory: Option<&'a mut [M]>,
}

impl<'a, T, M> Share<'a, T, M> {
    /// A part that nobody has, with its number: the first for whoever's share it is, the last for others.
    fn next(&mut self, own: bool) -> Option<(usize, &'a mut [T])> {
        if own {
            let part = self.parts.next()?;
            self.first += 1;
            return Some((self.first - 1, part));
        }
        let part = self.parts.next_back()?;
        Some((self.first + self.parts.len(), part))
    }
}

/// Deals parts and memory out to `helpers` threads.
fn shares<'a, T, M>(
    mut out: &'a mut [T],
    part_len: usize,
    memory: &'a mut [M],
    helpers: usize,
) -> Vec<Mutex<Share<'a, T, M>>> {
    let parts = out.len().div_ceil(part_len);
    // Without memory the pieces are as empty as the whole.
    let mut pieces = memory.chunks_mut((memory.len() / helpers).max(1));
    let mut share = |helper: usize| {
        let (first, end) = (helper * parts / helpers, (helper + 1) * parts / helpers);
        let all = std::mem::take(&mut out);
        let (own, rest) = all.split_at_mut(all.len().min((end - first) * part_len));
        out = rest;
        Mutex::new(Share { parts: own.chunks_mut(part_len), first, memory: pieces.next() })
    };
    (0..helpers).map(&mut share).collect()
}

/// How an output is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    /// Rows of a part; the last one may have fewer.
    pub(crate) part: usize,
    /// Threads at most that work at once; each has a piece of the memory for itself.
    pub(crate) helpers: usize,
    /// Work of all rows together.
    steps: usize,
}

impl Split {
    /// In parts of one row, where they are few and take long, so that threads can have equally many.
    pub(crate) fn one_by_one(self) -> Self {
        if self.helpers > 1 { Self { part: 1, ..self } } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_belongs_to_one_part() {
        for (threads, rows, step, row_steps) in [
            (1, 100, 8, 1 << 20),
            (2, 100, 8, 1 << 20),
            (2, 100, 1, 1 << 10),
            (4, 7, 24, 1),
            (3, 0, 1, 9),
            (4, 1000, 1, 1 << 9),
        ] {
            let team = Team::new(threads);
            let _awake = team.invoke();
            let split = Threads::of(&team).split(rows, step, row_steps);
            assert!(split.part.is_multiple_of(step) && (threads > 1 || split.part >= rows), "{threads} {split:?}");
            assert!((1..=threads).contains(&split.helpers), "{threads} {split:?}");
            for _ in 0..20 {
                let mut out = vec![0usize; rows * 3];
                let mut memory = vec![0; split.helpers * 2];
                Threads::of(&team).run(split, &mut out, 3, &mut memory, |first, out, memory| {
                    assert_eq!(memory.len(), 2);
                    memory.fill(first);
                    out.chunks_mut(3)
                        .enumerate()
                        .for_each(|(i, out)| out.iter_mut().for_each(|v| *v += memory[0] + i + 1));
                });
                assert!(out.iter().enumerate().all(|(i, &v)| v == i / 3 + 1), "{out:?}");
            }
        }
    }

    #[test]
    fn small_nodes_stay_whole_and_large_ones_are_cut_evenly() {
        let team = Team::new(2);
        let split = |rows, row_steps| {
            let split = Threads::of(&team).split(rows, 1, row_steps);
            (split.part, split.helpers)
        };
        assert_eq!(split(100, 100), (100, 1));
        assert_eq!(split(49, PART_STEPS / 10), (25, 2));
        assert_eq!(split(600, PART_STEPS), (100, 2));
        assert_eq!(Threads::default().split(600, 1, PART_STEPS).helpers, 1);
    }
}
