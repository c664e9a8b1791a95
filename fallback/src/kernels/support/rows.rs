//! Rows of an output, worked on in parallel where threads exist.

use crate::threads::Threads;

/// Multiply-adds or the like of a plain kernel that take as long as one of a fast kernel's steps: it has no vectors.
const STEPS: usize = 2;

/// Calls `work(index, row)` for every row of `row_len` elements of `out`.
///
/// `steps` is the work of one row in multiply-adds or the like. Each row is written by one call, so that the result does
/// not depend on the number of threads. A remainder shorter than a row is a row of its own.
pub(crate) fn for_each_row<T: Send>(
    threads: Threads<'_>,
    out: &mut [T],
    row_len: usize,
    steps: usize,
    work: impl Fn(usize, &mut [T]) + Send + Sync,
) {
    split(threads, out, row_len.max(1), steps / STEPS, &work);
}

/// One instance per type serves all kernels: the rows are long enough to hide an indirect call.
fn split<T: Send>(
    threads: Threads<'_>,
    out: &mut [T],
    row_len: usize,
    steps: usize,
    work: &(dyn Fn(usize, &mut [T]) + Send + Sync),
) {
    let split = threads.split(out.len().div_ceil(row_len), 1, steps);
    threads.each(split, out, row_len, |first, out| {
        out.chunks_mut(row_len).enumerate().for_each(|(i, row)| work(first + i, row));
    });
}

#[cfg(test)]
mod tests {
    use super::for_each_row;
    use crate::threads::{Team, Threads};

    #[test]
    fn every_row_is_visited_once() {
        for (threads, steps) in [(0, 1 << 20), (1, 1), (2, 1 << 20), (9, 1 << 20)] {
            let team = Team::new(threads);
            let threads = Threads::of(&team);
            let mut out = vec![0usize; 10];
            for_each_row(threads, &mut out, 4, steps, |index, row| row.iter_mut().for_each(|v| *v += index + 1));
            assert_eq!(out, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
            for_each_row(threads, &mut [0u8; 0], 0, 1, |_, _| unreachable!("no rows"));
        }
    }
}
