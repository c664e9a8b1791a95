//! Several vectors as one: chains of operations that do not wait for each other, side by side in the program. A processor
//! that looks no further ahead than one long chain would otherwise do nothing most of the time.

use half::f16;

use super::Simd;

/// Vectors side by side.
const VECTORS: usize = 4;

/// Vectors of `VECTORS` times as many lanes.
#[derive(Clone, Copy)]
pub(crate) struct Wide<S>(pub(crate) S);

impl<S: Simd> Wide<S> {
    /// Each vector by itself.
    #[inline(always)]
    fn each(self, mut a: [S::F; VECTORS], of: impl Fn(S, S::F) -> S::F) -> [S::F; VECTORS] {
        for a in &mut a {
            *a = of(self.0, *a);
        }
        a
    }

    /// Each vector with its partner.
    #[inline(always)]
    fn zip(self, mut a: [S::F; VECTORS], b: [S::F; VECTORS], of: impl Fn(S, S::F, S::F) -> S::F) -> [S::F; VECTORS] {
        for (a, b) in a.iter_mut().zip(b) {
            *a = of(self.0, *a, b);
        }
        a
    }
}

impl<S: Simd> Simd for Wide<S> {
    type F = [S::F; VECTORS];
    const LANES: usize = VECTORS * S::LANES;
    const REGISTERS: usize = S::REGISTERS / VECTORS;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        [self.0.splat(value); VECTORS]
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::F {
        let mut all = self.splat(0.0);
        for (v, from) in all.iter_mut().zip(from[..Self::LANES].chunks_exact(S::LANES)) {
            *v = self.0.load(from);
        }
        all
    }

    #[inline(always)]
    unsafe fn load_from(self, from: *const f32) -> Self::F {
        let mut all = self.splat(0.0);
        for (i, v) in all.iter_mut().enumerate() {
            // SAFETY: the caller has all vectors' elements.
            *v = unsafe { self.0.load_from(from.add(i * S::LANES)) };
        }
        all
    }

    #[inline(always)]
    unsafe fn load_halves_from(self, from: *const f16) -> Self::F {
        let mut all = self.splat(0.0);
        for (i, v) in all.iter_mut().enumerate() {
            // SAFETY: the caller has all vectors' elements.
            *v = unsafe { self.0.load_halves_from(from.add(i * S::LANES)) };
        }
        all
    }

    #[inline(always)]
    fn load_part(self, from: &[f32]) -> Self::F {
        let mut all = self.splat(0.0);
        for (v, from) in all.iter_mut().zip(from.chunks(S::LANES)) {
            *v = self.0.load_part(from);
        }
        all
    }

    #[inline(always)]
    fn store(self, to: &mut [f32], v: Self::F) {
        let to = &mut to[..Self::LANES];
        for (to, v) in to.chunks_exact_mut(S::LANES).zip(v) {
            self.0.store(to, v);
        }
    }

    #[inline(always)]
    fn store_part(self, to: &mut [f32], v: Self::F) {
        for (to, v) in to.chunks_mut(S::LANES).zip(v) {
            self.0.store_part(to, v);
        }
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        self.zip(a, b, S::add)
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        self.zip(a, b, S::sub)
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        self.zip(a, b, S::mul)
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        self.zip(a, b, S::div)
    }

    #[inline(always)]
    fn mul_add(self, mut a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
            *a = self.0.mul_add(*a, b, c);
        }
        a
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        self.zip(a, b, S::max)
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        self.zip(a, b, S::min)
    }

    #[inline(always)]
    fn sqrt(self, a: Self::F) -> Self::F {
        self.each(a, S::sqrt)
    }

    #[inline(always)]
    fn round(self, a: Self::F) -> Self::F {
        self.each(a, S::round)
    }

    #[inline(always)]
    fn exp2_int(self, a: Self::F) -> Self::F {
        self.each(a, S::exp2_int)
    }

    #[inline(always)]
    fn scale(self, a: Self::F, n: Self::F) -> Self::F {
        self.zip(a, n, S::scale)
    }

    #[inline(always)]
    fn where_less(self, a: Self::F, b: Self::F, mut yes: Self::F, no: Self::F) -> Self::F {
        for (((a, b), yes), no) in a.into_iter().zip(b).zip(&mut yes).zip(no) {
            *yes = self.0.where_less(a, b, *yes, no);
        }
        yes
    }

    #[inline(always)]
    fn sum(self, a: Self::F) -> f32 {
        let [a, b, c, d] = a;
        self.0.sum(self.0.add(self.0.add(a, b), self.0.add(c, d)))
    }

    #[inline(always)]
    fn largest(self, a: Self::F) -> f32 {
        let [a, b, c, d] = a;
        self.0.largest(self.0.max(self.0.max(a, b), self.0.max(c, d)))
    }
}
