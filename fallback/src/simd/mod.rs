//! Vectors at the widest level that this machine has, the only place of this crate with `unsafe`.
//!
//! Integers are [`int8`]'s. A loop on floats is written once against [`Simd`] and runs through [`Level::run`], which
//! compiles it once per level. The token of a level exists only where its instructions do, so that the methods of
//! [`Simd`] are safe to call.

#![allow(unsafe_code, reason = "instructions behind a token, memory behind a checked length; each block says why")]

mod arena;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod depthwise;
pub(crate) mod digits;
pub(crate) mod functions;
pub(crate) mod int8;
mod lines;
mod portable;
mod strip;
mod tile;
mod wide;

use std::sync::OnceLock;

use half::f16;

pub(crate) use arena::{Arena, Store};
pub(crate) use depthwise::DepthwiseRow;
pub(crate) use functions::Lanewise;
pub(crate) use lines::{Line, Lines};
pub(crate) use strip::Strip;
pub(crate) use tile::{Columns, Panel, Product, Rows, Runs, panel_vectors};
pub(crate) use wide::Wide;

/// Vectors of `LANES` floats.
pub(crate) trait Simd: Copy + Send + Sync {
    /// One vector.
    type F: Copy;
    /// Floats of a vector.
    const LANES: usize;
    /// Vectors that fit into registers.
    const REGISTERS: usize;

    /// The same value in all lanes.
    fn splat(self, value: f32) -> Self::F;
    /// The first `LANES` elements.
    ///
    /// # Panics
    /// When there are fewer.
    fn load(self, from: &[f32]) -> Self::F;
    /// `LANES` elements.
    ///
    /// # Safety
    /// They must be there.
    unsafe fn load_from(self, from: *const f32) -> Self::F;
    /// `LANES` halves as floats.
    ///
    /// # Safety
    /// They must be there.
    unsafe fn load_halves_from(self, from: *const f16) -> Self::F;
    /// The first `LANES` halves as floats.
    ///
    /// # Panics
    /// When there are fewer.
    #[inline(always)]
    fn load_halves(self, from: &[f16]) -> Self::F {
        assert!(from.len() >= Self::LANES);
        // SAFETY: a vector's elements are there.
        unsafe { self.load_halves_from(from.as_ptr()) }
    }
    /// The elements, at most `LANES`; zeros behind them.
    fn load_part(self, from: &[f32]) -> Self::F;
    /// To the first `LANES` elements.
    ///
    /// # Panics
    /// When there are fewer.
    fn store(self, to: &mut [f32], v: Self::F);
    /// To all elements, at most `LANES`.
    fn store_part(self, to: &mut [f32], v: Self::F);
    /// `a + b`
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`; rounded once where the machine can.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a` where `a > b`, else `b`: NaN in `b` stays.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a` where `a < b`, else `b`: NaN in `b` stays.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// Square root.
    fn sqrt(self, a: Self::F) -> Self::F;
    /// To the nearest integer, ties to even.
    fn round(self, a: Self::F) -> Self::F;
    /// 2 to the power of `a`, an integer in -126..=127.
    fn exp2_int(self, a: Self::F) -> Self::F;
    /// `a`, which is in 0.5..2, times 2 to the power of `n`, an integer in -250..=254; rounded once.
    #[inline(always)]
    fn scale(self, a: Self::F, n: Self::F) -> Self::F {
        // In two halves, so that subnormal and infinite results come out by themselves.
        let half = self.round(self.mul(n, self.splat(0.5)));
        self.mul(self.mul(a, self.exp2_int(half)), self.exp2_int(self.sub(n, half)))
    }
    /// `yes` in the lanes where `a < b`, else `no`.
    fn where_less(self, a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F;
    /// Sum of the lanes, in one order for all lengths.
    fn sum(self, a: Self::F) -> f32;
    /// Largest lane; unspecified when one is NaN.
    fn largest(self, a: Self::F) -> f32;
}

/// A computation that is compiled once per level.
pub(crate) trait Vectorised {
    /// What it comes to.
    type Output;
    /// Runs it; must be `#[inline(always)]`, as must all that it calls with `simd`, down to the loop.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A set of instructions that this machine has.
#[derive(Clone, Copy)]
pub(crate) enum Level {
    /// What every machine has; the compiler chooses.
    Portable(portable::Portable),
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    /// AVX-512F.
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
}

impl Level {
    /// The widest one of this machine.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        let widest = || Self::all().into_iter().next_back().unwrap_or(Self::Portable(portable::Portable));
        *BEST.get_or_init(widest)
    }

    /// All of this machine's, narrowest first.
    pub(crate) fn all() -> Vec<Self> {
        #[allow(unused_mut, reason = "other machines have one")]
        let mut levels = vec![Self::Portable(portable::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(avx2::Avx2::detect().map(Self::Avx2));
            levels.extend(avx512::Avx512::detect().map(Self::Avx512));
        }
        levels
    }

    /// Floats of a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Portable(_) => portable::Portable::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => avx2::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => avx512::Avx512::LANES,
        }
    }

    /// Whether halves become floats by an instruction.
    pub(crate) fn widens_halves(self) -> bool {
        !matches!(self, Self::Portable(_))
    }

    /// Runs a computation with this level's vectors.
    pub(crate) fn run<V: Vectorised>(self, work: V) -> V::Output {
        match self {
            Self::Portable(simd) => work.run(simd),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.run(work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.run(work),
        }
    }
}

#[cfg(test)]
mod tests;
