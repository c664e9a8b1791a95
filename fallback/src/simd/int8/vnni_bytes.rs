//! AVX-512 with VBMI: functions of stored bytes.
#![allow(unsafe_code, reason = "vector instructions; every function states what its caller has checked")]

use std::arch::x86_64::*;

use super::{
    Kind, Level,
    bytes::{Addend, Binary, Combine, SUM_BITS},
    vnni::{high_mul, shift_right},
};
use crate::kernels::fixed_point::Multiplier;

/// As [`super::lookup`].
pub(super) fn lookup(level: Level, table: &[u8; 256], x: &[u8], out: &mut [u8]) {
    assert!(level.0 == Kind::Vnni);
    // SAFETY: the level exists only where the machine has these instructions.
    unsafe { lookup_of(table, x, out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn lookup_of(table: &[u8; 256], x: &[u8], out: &mut [u8]) {
    let quarter = |i: usize| {
        // SAFETY: there are 64 bytes from each quarter's begin on.
        unsafe { _mm512_loadu_si512(table.as_ptr().add(i * 64).cast()) }
    };
    let (a, b, c, d) = (quarter(0), quarter(1), quarter(2), quarter(3));
    for (x, out) in x.chunks(64).zip(out.chunks_mut(64)) {
        let x = load(x);
        let low = _mm512_permutex2var_epi8(a, x, b);
        let high = _mm512_permutex2var_epi8(c, x, d);
        store(out, _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high));
    }
}

/// Up to 64 bytes, zeros behind them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn load(bytes: &[u8]) -> __m512i {
    // SAFETY: the mask leaves the bytes of the slice.
    unsafe { _mm512_maskz_loadu_epi8(mask(bytes.len()), bytes.as_ptr().cast()) }
}

/// The first bytes of a vector, as many as fit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn store(bytes: &mut [u8], vector: __m512i) {
    // SAFETY: the mask leaves the bytes of the slice.
    unsafe { _mm512_mask_storeu_epi8(bytes.as_mut_ptr().cast(), mask(bytes.len()), vector) }
}

#[inline]
fn mask(len: usize) -> u64 {
    if len < 64 { (1 << len) - 1 } else { u64::MAX }
}

/// As [`super::binary`], for factors that do not shift left.
pub(super) fn binary(level: Level, function: &Binary, a: &[u8], b: &[u8], out: &mut [u8]) {
    assert!(level.0 == Kind::Vnni);
    // SAFETY: the level exists only where the machine has these instructions.
    unsafe {
        match function.combine {
            Combine::Sum { a: left, b: right, subtract } => {
                sum(function, (left, right, subtract), a, b, out);
            }
            Combine::Product { a: left, b: right } => product(function, (left, right), a, b, out),
        }
    }
}

/// The factor ½.
const HALF: Multiplier = Multiplier { mantissa: 1 << 30, exponent: 0 };
/// Left shift of the operands of a sum, and of one that is halved at once.
const BITS: u32 = SUM_BITS as u32;
const HALVED: u32 = BITS - 1;

/// A factor in vectors.
#[derive(Clone, Copy)]
struct Factor {
    mantissa: __m512i,
    shift: __m512i,
    half: __m512i,
    sign: __m512i,
}

impl Factor {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    fn new(factor: Multiplier) -> Self {
        let shift = (-factor.exponent).clamp(0, 31);
        Self {
            mantissa: _mm512_set1_epi32(factor.mantissa),
            shift: _mm512_set1_epi32(shift),
            half: _mm512_set1_epi32(if shift == 0 { 0 } else { 1 << (shift - 1) }),
            sign: _mm512_set1_epi32(if shift == 0 { 32 } else { 31 }),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    fn apply(self, x: __m512i) -> __m512i {
        shift_right(high_mul(x, self.mantissa, self.mantissa), self.shift, self.half, self.sign)
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn sum(function: &Binary, (left, right, subtract): (Addend, Addend, bool), a: &[u8], b: &[u8], out: &mut [u8]) {
    let (factor_a, factor_b) = (Factor::new(left.factor), Factor::new(right.factor));
    let (zero_a, zero_b) = (_mm512_set1_epi32(left.zero), _mm512_set1_epi32(right.zero));
    let factor = Factor::new(function.factor);
    // The operand with the larger scale, or both, is halved, which needs no rounding.
    let (half_a, half_b) = (left.factor == HALF, right.factor == HALF);
    for ((a, b), out) in a.chunks(64).zip(b.chunks(64)).zip(out.chunks_mut(64)) {
        let (a, b) = (widen(a, function.flip), widen(b, function.flip));
        let mut combined = [_mm512_setzero_si512(); 4];
        for (combined, (a, b)) in combined.iter_mut().zip(a.into_iter().zip(b)) {
            let (a, b) = (_mm512_sub_epi32(a, zero_a), _mm512_sub_epi32(b, zero_b));
            let a = if half_a { _mm512_slli_epi32::<HALVED>(a) } else { factor_a.apply(_mm512_slli_epi32::<BITS>(a)) };
            let b = if half_b { _mm512_slli_epi32::<HALVED>(b) } else { factor_b.apply(_mm512_slli_epi32::<BITS>(b)) };
            let both = if subtract { _mm512_sub_epi32(a, b) } else { _mm512_add_epi32(a, b) };
            *combined = factor.apply(both);
        }
        store(out, narrow(combined, function));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn product(function: &Binary, (left, right): (i32, i32), a: &[u8], b: &[u8], out: &mut [u8]) {
    let (zero_a, zero_b) = (_mm512_set1_epi32(left), _mm512_set1_epi32(right));
    let factor = Factor::new(function.factor);
    for ((a, b), out) in a.chunks(64).zip(b.chunks(64)).zip(out.chunks_mut(64)) {
        let (a, b) = (widen(a, function.flip), widen(b, function.flip));
        let mut combined = [_mm512_setzero_si512(); 4];
        for (combined, (a, b)) in combined.iter_mut().zip(a.into_iter().zip(b)) {
            // Both have at most 9 bits, so that the lower halves' product is the whole one.
            let both = _mm512_madd_epi16(low(_mm512_sub_epi32(a, zero_a)), low(_mm512_sub_epi32(b, zero_b)));
            *combined = factor.apply(both);
        }
        store(out, narrow(combined, function));
    }
}

/// The lower halves of numbers of 32 bits, zeros above.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn low(x: __m512i) -> __m512i {
    _mm512_and_si512(x, _mm512_set1_epi32(0xffff))
}

/// Up to 64 stored bytes as numbers of 32 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn widen(bytes: &[u8], flip: u8) -> [__m512i; 4] {
    let bytes = _mm512_xor_si512(load(bytes), _mm512_set1_epi8(flip.cast_signed()));
    [
        _mm512_cvtepi8_epi32(_mm512_castsi512_si128(bytes)),
        _mm512_cvtepi8_epi32(_mm512_extracti32x4_epi32::<1>(bytes)),
        _mm512_cvtepi8_epi32(_mm512_extracti32x4_epi32::<2>(bytes)),
        _mm512_cvtepi8_epi32(_mm512_extracti32x4_epi32::<3>(bytes)),
    ]
}

/// Stored bytes of scaled numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn narrow([a, b, c, d]: [__m512i; 4], function: &Binary) -> __m512i {
    let zero = _mm512_set1_epi16(function.zero.into());
    let low = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
    let high = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
    let stored = _mm512_max_epi8(_mm512_packs_epi16(low, high), _mm512_set1_epi8(function.min));
    let stored = _mm512_min_epi8(stored, _mm512_set1_epi8(function.max));
    // Narrowing takes fours of all vectors in turn.
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let stored = _mm512_permutexvar_epi32(order, stored);
    _mm512_xor_si512(stored, _mm512_set1_epi8(function.flip.cast_signed()))
}
