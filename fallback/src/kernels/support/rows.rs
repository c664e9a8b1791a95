//! Rows of an output, worked on in parallel where threads exist.

/// Steps below which starting threads costs more than it gains.
#[cfg(not(target_family = "wasm"))]
const WORTH_THREADS: usize = 1 << 16;

/// Calls `work(index, row)` for every row of `row_len` elements of `out`.
///
/// At most `threads` run, 0 and 1 mean the calling one alone; `steps` is the work of one row in multiply-adds or the
/// like. Each row is written by one call, so that the result does not depend on the number of threads. A remainder
/// shorter than a row is a row of its own.
pub(crate) fn for_each_row<T: Send>(
    threads: usize,
    out: &mut [T],
    row_len: usize,
    steps: usize,
    work: impl Fn(usize, &mut [T]) + Send + Sync,
) {
    split(threads, out, row_len.max(1), steps, &work);
}

/// One instance per type serves all kernels: the rows are long enough to hide an indirect call.
fn split<T: Send>(
    threads: usize,
    out: &mut [T],
    row_len: usize,
    steps: usize,
    work: &(dyn Fn(usize, &mut [T]) + Send + Sync),
) {
    #[cfg(not(target_family = "wasm"))]
    if threads > 1 && (out.len() / row_len).saturating_mul(steps) >= WORTH_THREADS {
        use rayon::prelude::*;
        let share = out.len().div_ceil(row_len).div_ceil(threads);
        let rows = out.par_chunks_mut(row_len).enumerate().with_min_len(share);
        rows.for_each(|(index, row)| work(index, row));
        return;
    }
    let _ = (threads, steps);
    for (index, row) in out.chunks_mut(row_len).enumerate() {
        work(index, row);
    }
}

#[cfg(test)]
mod tests {
    use super::for_each_row;

    #[test]
    fn every_row_is_visited_once() {
        for (threads, steps) in [(0, 1 << 20), (1, 1), (2, 1 << 20), (9, 1 << 20)] {
            let mut out = vec![0usize; 10];
            for_each_row(threads, &mut out, 4, steps, |index, row| row.iter_mut().for_each(|v| *v += index + 1));
            assert_eq!(out, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
        }
        for_each_row(2, &mut [0u8; 0], 0, 1, |_, _| unreachable!("no rows"));
    }
}
