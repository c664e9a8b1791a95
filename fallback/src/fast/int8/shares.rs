//! Equal shares of rows for the threads.

/// Multiply-adds of bytes below which starting threads costs more than it gains.
const WORTH_THREADS: usize = 1 << 21;
/// Parts per thread, so that one that is held up does not hold up all.
#[cfg(not(target_family = "wasm"))]
const PARTS: usize = 2;

/// Into how many shares `rows` rows are cut that take `steps` multiply-adds or the like together.
pub(super) fn count(threads: usize, rows: usize, steps: usize) -> usize {
    let one = cfg!(target_family = "wasm") || steps < WORTH_THREADS;
    if one { 1 } else { threads.min(rows).max(1) }
}

/// Calls `work(first row, rows of out, scratch)` for parts of the rows of `out`, which are `row_len` long, on `shares`
/// threads; each thread has an equal part of `scratch`. A row is written by one call, so that nothing depends on the
/// number of threads.
pub(super) fn run(
    shares: usize,
    out: &mut [u8],
    row_len: usize,
    scratch: &mut [u8],
    work: impl Fn(usize, &mut [u8], &mut [u8]) + Send + Sync,
) {
    #[cfg(not(target_family = "wasm"))]
    if shares > 1 {
        use std::sync::{Mutex, PoisonError};
        let row_len = row_len.max(1);
        let rows = (out.len() / row_len).div_ceil(shares * PARTS).max(1);
        let piece = scratch.len() / shares;
        let parts = Mutex::new(out.chunks_mut(rows * row_len).enumerate());
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        let help = |scratch: &mut [u8]| {
            while let Some((i, out)) = next() {
                work(i * rows, out, scratch);
            }
        };
        // This thread works too: it need not wait for others to wake before anything happens.
        rayon::in_place_scope(|scope| {
            let (own, mut rest) = scratch.split_at_mut(piece);
            for _ in 1..shares {
                let (scratch, behind) = rest.split_at_mut(piece);
                rest = behind;
                let help = &help;
                scope.spawn(move |_| help(scratch));
            }
            help(own);
        });
        return;
    }
    let _ = (shares, row_len);
    work(0, out, scratch);
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_row_is_in_one_share() {
        for shares in [1, 2, 3, 7] {
            let (mut out, mut scratch) = ([0u8; 33], [0u8; 21]);
            super::run(shares, &mut out, 3, &mut scratch, |first, out, scratch| {
                assert_eq!(scratch.len(), 21 / shares, "a part of the scratch each");
                out.chunks_mut(3).enumerate().for_each(|(i, row)| row.fill((first + i) as u8 + 1));
            });
            let expected: Vec<u8> = (0..33).map(|i| i / 3 + 1).collect();
            assert_eq!(out.as_slice(), expected, "{shares}");
        }
        assert_eq!((super::count(4, 2, 1 << 30), super::count(4, 2, 10)), (2, 1));
    }
}
