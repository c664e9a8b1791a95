//! Eight lanes in plain Rust, which the compiler turns into what the target has.

use half::f16;

use super::Simd;

/// The level of every machine.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const LANES: usize = 8;
type F = [f32; LANES];

#[inline(always)]
fn each(a: F, b: F, f: impl Fn(f32, f32) -> f32) -> F {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type F = F;
    const LANES: usize = LANES;
    const REGISTERS: usize = 8;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> F {
        let mut v = [0.0; LANES];
        v.copy_from_slice(&from[..LANES]);
        v
    }

    #[inline(always)]
    unsafe fn load_from(self, from: *const f32) -> F {
        // SAFETY: the caller has the elements; an array of floats has a float's alignment.
        unsafe { *from.cast() }
    }

    #[inline(always)]
    unsafe fn load_halves_from(self, from: *const f16) -> F {
        // SAFETY: the caller has the elements; an array of halves has a half's alignment.
        let halves: [f16; LANES] = unsafe { *from.cast() };
        halves.map(f16::to_f32)
    }

    #[inline(always)]
    fn load_part(self, from: &[f32]) -> F {
        let mut v = [0.0; LANES];
        let n = from.len().min(LANES);
        v[..n].copy_from_slice(&from[..n]);
        v
    }

    #[inline(always)]
    fn store(self, to: &mut [f32], v: F) {
        to[..LANES].copy_from_slice(&v);
    }

    #[inline(always)]
    fn store_part(self, to: &mut [f32], v: F) {
        let n = to.len().min(LANES);
        to[..n].copy_from_slice(&v[..n]);
    }

    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        each(a, b, |a, b| a / b)
    }

    // Two roundings: a fused one is a call into a library where the target has no instruction for it.
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn sqrt(self, a: F) -> F {
        a.map(f32::sqrt)
    }

    // Adding and taking off 1.5 * 2^23 rounds; larger values are integers already.
    #[inline(always)]
    fn round(self, a: F) -> F {
        const SHIFT: f32 = 12_582_912.0;
        a.map(|v| if v.abs() < 4_194_304.0 { (v + SHIFT) - SHIFT } else { v })
    }

    #[inline(always)]
    fn exp2_int(self, a: F) -> F {
        a.map(|v| f32::from_bits(((v as i32).wrapping_add(127) as u32) << 23))
    }

    #[inline(always)]
    fn where_less(self, a: F, b: F, yes: F, no: F) -> F {
        std::array::from_fn(|i| if a[i] < b[i] { yes[i] } else { no[i] })
    }

    #[inline(always)]
    fn sum(self, a: F) -> f32 {
        let half: [f32; 4] = std::array::from_fn(|i| a[i] + a[i + 4]);
        (half[0] + half[2]) + (half[1] + half[3])
    }

    #[inline(always)]
    fn largest(self, a: F) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, |m, v| if v > m { v } else { m })
    }
}
