//! Equal shares of rows for the threads.

/// Multiply-adds of bytes below which starting threads costs more than it gains.
const WORTH_THREADS: usize = 1 << 20;

/// Into how many shares `rows` rows are cut that take `steps` multiply-adds or the like together.
pub(super) fn count(threads: usize, rows: usize, steps: usize) -> usize {
    let one = cfg!(target_family = "wasm") || steps < WORTH_THREADS;
    if one { 1 } else { threads.min(rows).max(1) }
}

/// Calls `work(first row, rows of out, scratch)` for `shares` shares of the rows of `out`, which are `row_len` long;
/// each gets an equal part of `scratch`. Shares are written by one call each, so that their number changes no result.
pub(super) fn run(
    shares: usize,
    out: &mut [u8],
    row_len: usize,
    scratch: &mut [u8],
    work: impl Fn(usize, &mut [u8], &mut [u8]) + Send + Sync,
) {
    let row_len = row_len.max(1);
    #[cfg(not(target_family = "wasm"))]
    if shares > 1 {
        use rayon::prelude::*;
        let rows = (out.len() / row_len).div_ceil(shares);
        let piece = scratch.len() / shares;
        if piece == 0 {
            let shares = out.par_chunks_mut(rows * row_len).enumerate();
            shares.for_each(|(i, out)| work(i * rows, out, &mut []));
        } else {
            let shares = out.par_chunks_mut(rows * row_len).zip(scratch.par_chunks_mut(piece)).enumerate();
            shares.for_each(|(i, (out, scratch))| work(i * rows, out, scratch));
        }
        return;
    }
    let _ = shares;
    work(0, out, scratch);
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_row_is_in_one_share() {
        for shares in [1, 2, 3, 7] {
            let (mut out, mut scratch) = ([0u8; 33], [0u8; 21]);
            super::run(shares, &mut out, 3, &mut scratch, |first, out, scratch| {
                assert_eq!(scratch.len(), 21 / shares);
                out.chunks_mut(3).enumerate().for_each(|(i, row)| row.fill((first + i) as u8 + 1));
            });
            let expected: Vec<u8> = (0..33).map(|i| i / 3 + 1).collect();
            assert_eq!(out.as_slice(), expected, "{shares}");
        }
        assert_eq!((super::count(4, 2, 1 << 30), super::count(4, 2, 10)), (2, 1));
    }
}
