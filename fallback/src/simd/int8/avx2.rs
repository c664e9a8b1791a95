//! AVX2: bytes are widened to 16 bits, and two products are added at once.
#![allow(unsafe_code, reason = "vector instructions; every function states what its caller has checked")]

use std::arch::x86_64::*;

use super::{Columns16, Finish, Kind, Level, Panel, Rows, portable};

/// Rows whose sums fit the registers.
const ROWS: usize = 3;

/// Sums, bias included, in the columns' order; the caller has checked all lengths.
pub(super) fn sums(level: Level, panel: &Panel, rows: Rows<'_>, flip: u8, sums: &mut [i32]) {
    assert!(level.0 == Kind::Avx2 && sums.len() == rows.count * panel.blocks * 16);
    let width = panel.blocks * 16;
    for (i, sums) in sums.chunks_mut(ROWS * width).enumerate() {
        let rows = rows.part(i * ROWS, sums.len() / width);
        for (row, sums) in sums.chunks_exact_mut(width).enumerate() {
            portable::start(panel, &rows, row, sums);
        }
        for block in 0..panel.blocks {
            // SAFETY: the level exists only where the machine has these instructions, and `super::check` has compared
            // the lengths of rows and panel with the counts.
            unsafe {
                match rows.count {
                    1 => add_block::<1>(panel, rows, block, flip, sums),
                    2 => add_block::<2>(panel, rows, block, flip, sums),
                    _ => add_block::<ROWS>(panel, rows, block, flip, sums),
                }
            }
        }
    }
}

/// Adds the products of `COUNT` rows with block `block`.
///
/// # Safety
/// The machine has the instructions; there are `COUNT` rows of `4 · groups` bytes, and a line per group and block.
#[target_feature(enable = "avx2")]
unsafe fn add_block<const COUNT: usize>(panel: &Panel, rows: Rows<'_>, block: usize, flip: u8, sums: &mut [i32]) {
    // Each vector holds two sums of four columns, which are added at the end.
    let mut pairs = [[_mm256_setzero_si256(); 4]; COUNT];
    let flip = i32::from_ne_bytes([flip; 4]);
    for (group, lines) in panel.lines.chunks_exact(panel.blocks).enumerate() {
        let mut x = [_mm256_setzero_si256(); COUNT];
        for (row, x) in x.iter_mut().enumerate() {
            // SAFETY: a row has `4 · groups` bytes.
            let four = unsafe { rows.data.as_ptr().add(row * rows.stride + 4 * group).cast::<i32>().read_unaligned() };
            *x = _mm256_cvtepu8_epi16(_mm_set1_epi32(four ^ flip));
        }
        for (quarter, weights) in lines[block].0.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: the array is as large as the vector.
            let weights = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(weights.as_ptr().cast()) });
            for (pairs, &x) in pairs.iter_mut().zip(&x) {
                pairs[quarter] = _mm256_add_epi32(pairs[quarter], _mm256_madd_epi16(x, weights));
            }
        }
    }
    let width = panel.blocks * 16;
    for (row, [a, b, c, d]) in pairs.into_iter().enumerate() {
        let out = &mut sums[row * width + block * 16..][..16];
        for (out, [a, b]) in out.as_chunks_mut::<8>().0.iter_mut().zip([[a, b], [c, d]]) {
            let added = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(a, b));
            // SAFETY: the array is as large as the vector.
            unsafe {
                let before = _mm256_loadu_si256(out.as_ptr().cast());
                _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_add_epi32(before, added));
            }
        }
    }
}

/// As [`super::depthwise`].
pub(super) fn depthwise(
    level: Level,
    panels: &[Panel],
    input: &[u8],
    offsets: &[usize],
    finish: &Finish,
    out: &mut [u8],
) {
    #[target_feature(enable = "avx2")]
    fn of(panels: &[Panel], input: &[u8], offsets: &[usize], finish: &Finish, out: &mut [u8]) {
        portable::depthwise(panels, input, offsets, finish, out);
    }
    assert!(level.0 == Kind::Avx2);
    // SAFETY: the level exists only where the machine has these instructions.
    unsafe { of(panels, input, offsets, finish, out) }
}

/// Runs a closure, compiled for this level.
pub(super) fn run<R>(level: Level, work: impl FnOnce() -> R) -> R {
    #[target_feature(enable = "avx2")]
    fn of<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
    assert!(level.0 == Kind::Avx2);
    // SAFETY: the level exists only where the machine has these instructions.
    unsafe { of(work) }
}

/// As [`super::finish_row`].
pub(super) fn finish_row(level: Level, scales: &[Columns16], sums: &[i32], finish: &Finish, out: &mut [u8]) {
    #[target_feature(enable = "avx2")]
    fn of(scales: &[Columns16], sums: &[i32], finish: &Finish, out: &mut [u8]) {
        portable::finish_row(scales, sums, finish, out);
    }
    assert!(level.0 == Kind::Avx2);
    // SAFETY: the level exists only where the machine has these instructions.
    unsafe { of(scales, sums, finish, out) }
}
