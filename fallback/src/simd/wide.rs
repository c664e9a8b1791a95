//! Several vectors as one: chains of operations that do not wait for each other, side by side in the program. A processor
//! that looks no further ahead than one long chain would otherwise do nothing most of the time.

use half::f16;

use super::Simd;

/// Vectors side by side.
const VECTORS: usize = 4;

/// Vectors of `VECTORS` times as many lanes.
#[derive(Clone, Copy)]
pub(crate) struct Wide<S>(pub(crate) S);

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
    fn add(self, mut a: Self::F, b: Self::F) -> Self::F {
        for (a, b) in a.iter_mut().zip(b) {
            *a = self.0.add(*a, b);
        }
        a
    }

    #[inline(always)]
    fn sub(self, mut a: Self::F, b: Self::F) -> Self::F {
        for (a, b) in a.iter_mut().zip(b) {
            *a = self.0.sub(*a, b);
        }
        a
    }

    #[inline(always)]
    fn mul(self, mut a: Self::F, b: Self::F) -> Self::F {
        for (a, b) in a.iter_mut().zip(b) {
            *a = self.0.mul(*a, b);
        }
        a
    }

    #[inline(always)]
    fn div(self, mut a: Self::F, b: Self::F) -> Self::F {
        for (a, b) in a.iter_mut().zip(b) {
            *a = self.0.div(*a, b);
        }
        a
    }

    #[inline(always)]
    fn mul_add(self, mut a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
            *a = self.0.mul_add(*a, b, c);
        }
        a
    }

    #[inline(always)]
    fn max(self, mut a: Self::F, b: Self::F) -> Self::F {
        for (a, b) in a.iter_mut().zip(b) {
            *a = self.0.max(*a, b);
        }
        a
    }

    #[inline(always)]
    fn min(self, mut a: Self::F, b: Self::F) -> Self::F {
        for (a, b) in a.iter_mut().zip(b) {
            *a = self.0.min(*a, b);
        }
        a
    }

    #[inline(always)]
    fn sqrt(self, mut a: Self::F) -> Self::F {
        for a in &mut a {
            *a = self.0.sqrt(*a);
        }
        a
    }

    #[inline(always)]
    fn round(self, mut a: Self::F) -> Self::F {
        for a in &mut a {
            *a = self.0.round(*a);
        }
        a
    }

    #[inline(always)]
    fn exp2_int(self, mut a: Self::F) -> Self::F {
        for a in &mut a {
            *a = self.0.exp2_int(*a);
        }
        a
    }

    #[inline(always)]
    fn scale(self, mut a: Self::F, n: Self::F) -> Self::F {
        for (a, n) in a.iter_mut().zip(n) {
            *a = self.0.scale(*a, n);
        }
        a
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
