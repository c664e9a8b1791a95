//! AVX-512 with VNNI: four products of bytes are added to a sum of 32 bits at once.
#![allow(unsafe_code, reason = "vector instructions; every function states what its caller has checked")]

use std::arch::x86_64::*;

use super::{Columns16, Finish, Kind, Level, Line, Panel, Rows, portable};

/// Rows of a tile for panels of 1, 2, 3 and 4 blocks: so many sums fit the registers.
pub(super) const MOST_ROWS: [usize; 4] = [12, 12, 8, 6];

/// Stored values of up to [`MOST_ROWS`] rows; the caller has checked all lengths.
pub(super) fn product(level: Level, panel: &Panel, rows: Rows<'_>, finish: &Finish, out: &mut [u8], stride: usize) {
    assert!(level.0 == Kind::Vnni && rows.count <= MOST_ROWS[panel.blocks - 1]);
    // SAFETY: the level exists only where the machine has these instructions, and `super::check` has compared the
    // lengths of rows, panel and output with the counts.
    unsafe {
        match panel.blocks {
            1 => product_of::<1>(panel, rows, finish, out, stride),
            2 => product_of::<2>(panel, rows, finish, out, stride),
            3 => product_of::<3>(panel, rows, finish, out, stride),
            _ => product_of::<4>(panel, rows, finish, out, stride),
        }
    }
}

/// # Safety
/// As [`tile`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn product_of<const BLOCKS: usize>(
    panel: &Panel,
    rows: Rows<'_>,
    finish: &Finish,
    out: &mut [u8],
    stride: usize,
) {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        match rows.count {
            1 => tile::<1, BLOCKS>(panel, rows, finish, out, stride),
            2 => tile::<2, BLOCKS>(panel, rows, finish, out, stride),
            3 => tile::<3, BLOCKS>(panel, rows, finish, out, stride),
            4 => tile::<4, BLOCKS>(panel, rows, finish, out, stride),
            5 => tile::<5, BLOCKS>(panel, rows, finish, out, stride),
            6 => tile::<6, BLOCKS>(panel, rows, finish, out, stride),
            7 => tile::<7, BLOCKS>(panel, rows, finish, out, stride),
            8 => tile::<8, BLOCKS>(panel, rows, finish, out, stride),
            9 => tile::<9, BLOCKS>(panel, rows, finish, out, stride),
            10 => tile::<10, BLOCKS>(panel, rows, finish, out, stride),
            11 => tile::<11, BLOCKS>(panel, rows, finish, out, stride),
            _ => tile::<12, BLOCKS>(panel, rows, finish, out, stride),
        }
    }
}

/// # Safety
/// The machine has the instructions; there are `ROWS` rows of `4 · groups` bytes, `groups · BLOCKS` lines, `BLOCKS`
/// scales, and room for `columns` bytes at each of `ROWS` multiples of `stride`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn tile<const ROWS: usize, const BLOCKS: usize>(
    panel: &Panel,
    rows: Rows<'_>,
    finish: &Finish,
    out: &mut [u8],
    stride: usize,
) {
    // SAFETY: the caller's promise is passed on.
    let sums = unsafe { tile_sums::<ROWS, BLOCKS>(panel, rows, finish.flip_in) };
    let mask = u64::MAX >> (64 - panel.columns);
    for (row, sums) in sums.iter().enumerate() {
        let mut scaled = [_mm512_setzero_si512(); 4];
        for (block, scales) in panel.scales.iter().take(BLOCKS).enumerate() {
            // SAFETY: the reference is to whole vectors.
            scaled[block] = unsafe { rescale(sums[block], scales, panel.left) };
        }
        let stored = narrow(scaled, finish);
        let packed = match BLOCKS {
            1 => _mm512_maskz_compress_epi32(0x1111, stored),
            2 => _mm512_maskz_compress_epi32(0x3333, stored),
            3 => _mm512_maskz_compress_epi32(0x7777, stored),
            _ => stored,
        };
        // SAFETY: the mask leaves the row's columns, for which the caller has promised room.
        unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr().add(row * stride).cast(), mask, packed) };
    }
}

/// Sums, bias included, of a tile.
///
/// # Safety
/// As [`tile`], without its output.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn tile_sums<const ROWS: usize, const BLOCKS: usize>(
    panel: &Panel,
    rows: Rows<'_>,
    flip: u8,
) -> [[__m512i; BLOCKS]; ROWS] {
    let mut sums = [[_mm512_setzero_si512(); BLOCKS]; ROWS];
    for block in 0..BLOCKS {
        // SAFETY: there are `BLOCKS` scales.
        let bias = unsafe { load(&panel.scales.get_unchecked(block).bias) };
        for (row, sums) in sums.iter_mut().enumerate() {
            let correction = rows.corrections.get(row).copied().unwrap_or(0);
            sums[block] = _mm512_add_epi32(bias, _mm512_set1_epi32(correction));
        }
    }
    let flip = _mm512_set1_epi8(flip.cast_signed());
    let mut line = panel.lines.as_ptr();
    let mut data = rows.data.as_ptr();
    for _ in 0..panel.groups {
        let mut weights = [_mm512_setzero_si512(); BLOCKS];
        for (block, weights) in weights.iter_mut().enumerate() {
            // SAFETY: there are `groups · BLOCKS` lines.
            *weights = unsafe { _mm512_load_si512(line.add(block).cast()) };
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: a row has `4 · groups` bytes.
            let x = unsafe { data.add(row * rows.stride).cast::<i32>().read_unaligned() };
            let x = _mm512_xor_si512(_mm512_set1_epi32(x), flip);
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm512_dpbusd_epi32(*sum, x, weights);
            }
        }
        // SAFETY: at the end both point just behind the last element at most.
        unsafe {
            line = line.add(BLOCKS);
            data = data.add(4);
        }
    }
    sums
}

/// Sums times their factors, rounded twice: `portable::twice` where no left shift overflows.
///
/// # Safety
/// The machine has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn rescale(sums: __m512i, scales: &Columns16, left: bool) -> __m512i {
    // SAFETY: each field is as large as a vector.
    let (mantissa, odd, shift, half, sign) = unsafe {
        (load(&scales.mantissa), load(&scales.odd), load(&scales.shift), load(&scales.half), load(&scales.sign))
    };
    // SAFETY: as above.
    let sums = if left { _mm512_sllv_epi32(sums, unsafe { load(&scales.left) }) } else { sums };
    let high = high_mul(sums, mantissa, odd);
    shift_right(high, shift, half, sign)
}

/// The doubled high half of the products, halves up; `odd` holds the odd places' factors in the even places.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
pub(super) fn high_mul(x: __m512i, even: __m512i, odd: __m512i) -> __m512i {
    let nudge = _mm512_set1_epi64(1 << 30);
    let a = _mm512_add_epi64(_mm512_mul_epi32(x, even), nudge);
    let b = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64::<32>(x), odd), nudge);
    _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<31>(a), _mm512_slli_epi64::<1>(b))
}

/// Right shifts, halves away from zero; no sum overflows, because scaled sums stay below 2^30.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
pub(super) fn shift_right(x: __m512i, shift: __m512i, half: __m512i, sign: __m512i) -> __m512i {
    let nudged = _mm512_sub_epi32(_mm512_add_epi32(x, half), _mm512_srlv_epi32(x, sign));
    _mm512_srav_epi32(nudged, shift)
}

/// Four vectors as bytes: each lane of 128 bits holds four elements of every vector in turn.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn narrow([a, b, c, d]: [__m512i; 4], finish: &Finish) -> __m512i {
    let zero = _mm512_set1_epi16(finish.zero.into());
    let low = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
    let high = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
    let stored = _mm512_max_epi8(_mm512_packs_epi16(low, high), _mm512_set1_epi8(finish.min));
    let stored = _mm512_min_epi8(stored, _mm512_set1_epi8(finish.max));
    _mm512_xor_si512(stored, _mm512_set1_epi8(finish.flip_out.cast_signed()))
}

/// # Safety
/// The machine has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn load(values: &[i32; 16]) -> __m512i {
    // SAFETY: the array is as large as a vector.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

/// Sums, bias included, of up to six rows in the columns' order; the caller has checked all lengths.
pub(super) fn sums(level: Level, panel: &Panel, rows: Rows<'_>, flip: u8, sums: &mut [i32]) {
    assert!(level.0 == Kind::Vnni && rows.count <= 6 && sums.len() == rows.count * panel.blocks * 16);
    // SAFETY: the level exists only where the machine has these instructions, and `super::check` has compared the
    // lengths of rows and panel with the counts.
    unsafe {
        match panel.blocks {
            1 => sums_of::<1>(panel, rows, flip, sums),
            2 => sums_of::<2>(panel, rows, flip, sums),
            3 => sums_of::<3>(panel, rows, flip, sums),
            _ => sums_of::<4>(panel, rows, flip, sums),
        }
    }
}

/// # Safety
/// As [`tile_sums`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn sums_of<const BLOCKS: usize>(panel: &Panel, rows: Rows<'_>, flip: u8, out: &mut [i32]) {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        match rows.count {
            1 => store_sums::<1, BLOCKS>(panel, rows, flip, out),
            2 => store_sums::<2, BLOCKS>(panel, rows, flip, out),
            3 => store_sums::<3, BLOCKS>(panel, rows, flip, out),
            4 => store_sums::<4, BLOCKS>(panel, rows, flip, out),
            5 => store_sums::<5, BLOCKS>(panel, rows, flip, out),
            _ => store_sums::<6, BLOCKS>(panel, rows, flip, out),
        }
    }
}

/// # Safety
/// As [`tile_sums`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn store_sums<const ROWS: usize, const BLOCKS: usize>(panel: &Panel, rows: Rows<'_>, flip: u8, out: &mut [i32]) {
    // SAFETY: the caller's promise is passed on.
    let sums = unsafe { tile_sums::<ROWS, BLOCKS>(panel, rows, flip) };
    for (out, sums) in out.as_chunks_mut::<16>().0.iter_mut().zip(sums.into_iter().flatten()) {
        // SAFETY: the array is as large as a vector.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) };
    }
}

/// As [`super::depthwise`], which has checked all lengths.
pub(super) fn depthwise(
    level: Level,
    panels: &[Panel],
    input: &[u8],
    offsets: &[usize],
    finish: &Finish,
    out: &mut [u8],
) {
    assert!(level.0 == Kind::Vnni);
    for ((i, out), panel) in out.chunks_mut(64).enumerate().zip(panels.iter().cycle()) {
        // SAFETY: the level exists only where the machine has these instructions. Each tap has 64 bytes at 64 · i, and
        // each group of the panel four lines.
        unsafe { depthwise_block(panel, input.as_ptr().add(i * 64), offsets, finish, out) }
    }
}

/// # Safety
/// The machine has the instructions, 64 bytes can be read at every offset from `input`, and the panel has a line per
/// offset and four scales.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn depthwise_block(panel: &Panel, input: *const u8, offsets: &[usize], finish: &Finish, out: &mut [u8]) {
    let [a, b, c, d, ..] = panel.scales.as_slice() else { return };
    // SAFETY: fields of scales are as large as vectors.
    let mut sums = unsafe { [load(&a.bias), load(&b.bias), load(&c.bias), load(&d.bias)] };
    let flip = _mm512_set1_epi8(finish.flip_in.cast_signed());
    for (lines, offsets) in panel.lines.as_chunks::<4>().0.iter().zip(offsets.as_chunks::<4>().0) {
        // SAFETY: the caller has promised 64 bytes per tap.
        let [x0, x1, x2, x3] =
            offsets.map(|offset| unsafe { _mm512_xor_si512(_mm512_loadu_si512(input.add(offset).cast()), flip) });
        // Four taps of a channel side by side.
        let (low01, high01) = (_mm512_unpacklo_epi8(x0, x1), _mm512_unpackhi_epi8(x0, x1));
        let (low23, high23) = (_mm512_unpacklo_epi8(x2, x3), _mm512_unpackhi_epi8(x2, x3));
        let x = [
            _mm512_unpacklo_epi16(low01, low23),
            _mm512_unpackhi_epi16(low01, low23),
            _mm512_unpacklo_epi16(high01, high23),
            _mm512_unpackhi_epi16(high01, high23),
        ];
        for ((sum, x), line) in sums.iter_mut().zip(x).zip(lines) {
            *sum = _mm512_dpbusd_epi32(*sum, x, weights(line));
        }
    }
    let [s, t, u, v] = sums;
    // SAFETY: the machine has the instructions.
    let scaled = unsafe {
        [rescale(s, a, panel.left), rescale(t, b, panel.left), rescale(u, c, panel.left), rescale(v, d, panel.left)]
    };
    let stored = narrow(scaled, finish);
    let mask = u64::MAX >> (64 - out.len().clamp(1, 64));
    // SAFETY: the mask leaves the elements of `out`.
    unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr().cast(), mask, stored) };
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn weights(line: &Line) -> __m512i {
    // SAFETY: a line is as large as a vector.
    unsafe { _mm512_loadu_si512(line.0.as_ptr().cast()) }
}

/// Runs a closure, compiled for this level.
pub(super) fn run<R>(level: Level, work: impl FnOnce() -> R) -> R {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    fn of<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
    assert!(level.0 == Kind::Vnni);
    // SAFETY: the level exists only where the machine has these instructions.
    unsafe { of(work) }
}

/// As [`super::finish_row`].
pub(super) fn finish_row(level: Level, scales: &[Columns16], sums: &[i32], finish: &Finish, out: &mut [u8]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi,avx512dq")]
    fn of(scales: &[Columns16], sums: &[i32], finish: &Finish, out: &mut [u8]) {
        portable::finish_row(scales, sums, finish, out);
    }
    assert!(level.0 == Kind::Vnni);
    // SAFETY: the level exists only where the machine has these instructions.
    unsafe { of(scales, sums, finish, out) }
}
