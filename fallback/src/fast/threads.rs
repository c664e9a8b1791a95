//! Parts of an output, worked on in parallel where threads exist.

use crate::kernels::support::for_each_row;

/// Steps of a part at least, a few microseconds of work: less is not worth another thread's attention. A step is one
/// element that is read, changed and written.
const PART_STEPS: usize = 1 << 16;
/// Multiply-adds of a product that take as long as a step.
pub(super) const PRODUCTS: usize = 16;
/// Parts per thread, so that one that is held up does not hold up all.
const PARTS: usize = 3;

/// Rows that each part of an output gets: a multiple of `step`, in `threads` times a few parts if that is worth it.
pub(crate) fn part_rows(threads: usize, rows: usize, step: usize, row_steps: usize) -> usize {
    let worth = rows.saturating_mul(row_steps) / PART_STEPS;
    let parts = match threads {
        0 | 1 => 1,
        _ if worth < 2 => 1,
        threads => worth.min(threads * PARTS).max(2),
    };
    rows.div_ceil(parts).next_multiple_of(step.max(1))
}

/// Calls `work(first row, rows, memory)` for parts of `part` rows of `row_len` elements; each part has `memory_len`
/// elements of `memory` for itself, which must hold [`part_count`] times as many.
pub(crate) fn for_parts<T: Send>(
    threads: usize,
    out: &mut [T],
    row_len: usize,
    part: usize,
    memory: (&mut [f32], usize),
    work: impl Fn(usize, &mut [T], &mut [f32]) + Send + Sync,
) {
    let (memory, memory_len) = memory;
    let len = part.max(1) * row_len.max(1);
    let mut parts: Vec<(&mut [T], &mut [f32])> = Vec::with_capacity(out.len().div_ceil(len));
    let mut rest = memory;
    for out in out.chunks_mut(len) {
        let (own, behind) = rest.split_at_mut(memory_len);
        parts.push((out, own));
        rest = behind;
    }
    let threads = if parts.len() > 1 { threads } else { 1 };
    for_each_row(threads, &mut parts, 1, PART_STEPS * PARTS, |index, parts| {
        for (out, memory) in parts {
            work(index * part, out, memory);
        }
    });
}

/// Parts that [`for_parts`] makes of so many rows.
pub(crate) fn part_count(rows: usize, part: usize) -> usize {
    rows.div_ceil(part.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_belongs_to_one_part() {
        for (threads, rows, step, row_steps) in
            [(1, 100, 8, 1 << 20), (2, 100, 8, 1 << 20), (4, 7, 24, 1), (3, 0, 1, 9)]
        {
            let part = part_rows(threads, rows, step, row_steps);
            assert!(part.is_multiple_of(step) && (threads > 1 || part >= rows), "{threads} {part}");
            let mut out = vec![0usize; rows * 3];
            let mut memory = vec![0.0; part_count(rows, part) * 2];
            for_parts(threads, &mut out, 3, part, (&mut memory, 2), |first, out, memory| {
                memory.fill(first as f32);
                out.chunks_mut(3).enumerate().for_each(|(row, out)| out.iter_mut().for_each(|v| *v += first + row + 1));
            });
            assert!(out.iter().enumerate().all(|(i, &v)| v == i / 3 + 1), "{out:?}");
        }
    }
}
