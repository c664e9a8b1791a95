//! Functions of one float on vectors, within a few units in the last place unless they say otherwise.

use super::Simd;

/// A function of one value that is computed lane by lane.
pub(crate) trait Lanewise: Copy + Send + Sync {
    /// Its values; NaN gives NaN.
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F;
}

/// `c[0] x^n + … + c[n]`
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::F, coefficients: [f32; N]) -> S::F {
    let mut sum = simd.splat(0.0);
    for c in coefficients {
        sum = simd.mul_add(sum, x, simd.splat(c));
    }
    sum
}

/// exp(x): 2^n exp(r) with |r| at most half of ln 2.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::F) -> S::F {
    let x = simd.min(simd.splat(89.0), simd.max(simd.splat(-104.0), x));
    let n = simd.round(simd.mul(x, simd.splat(std::f32::consts::LOG2_E)));
    let r = simd.mul_add(n, simd.splat(-0.693_359_4), x);
    let r = simd.mul_add(n, simd.splat(2.121_944_4e-4), r);
    let series = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5, 1.0, 1.0];
    simd.scale(polynomial(simd, r, series), n)
}

/// 1 / (1 + exp(-x))
#[inline(always)]
pub(crate) fn logistic<S: Simd>(simd: S, x: S::F) -> S::F {
    let one = simd.splat(1.0);
    simd.div(one, simd.add(one, exp(simd, simd.sub(simd.splat(0.0), x))))
}

/// tanh(x): a series near zero, 1 - 2 / (exp(2 x) + 1) beyond.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::F) -> S::F {
    let (one, square) = (simd.splat(1.0), simd.mul(x, x));
    let series = [-5.704_988_6e-3, 2.063_909e-2, -5.373_971_5e-2, 1.333_144_2e-1, -3.333_328e-1];
    let near = simd.mul_add(simd.mul(polynomial(simd, square, series), square), x, x);
    let far = simd.sub(one, simd.div(simd.splat(2.0), simd.add(exp(simd, simd.add(x, x)), one)));
    simd.where_less(square, simd.splat(0.390_625), near, far)
}

/// x Φ(x), the complementary error function by a rational argument in the exponent.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::F) -> S::F {
    let (zero, one, half) = (simd.splat(0.0), simd.splat(1.0), simd.splat(0.5));
    let z = simd.mul(simd.max(simd.sub(zero, x), x), simd.splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = simd.div(one, simd.mul_add(half, z, one));
    let series = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ];
    let exponent = simd.sub(polynomial(simd, t, series), simd.mul(z, z));
    // Half the complement of erf(|x| / √2): Φ(-|x|).
    let below = simd.mul(simd.mul(half, t), exp(simd, exponent));
    simd.mul(x, simd.where_less(zero, x, simd.sub(one, below), below))
}

/// GELU with Φ by tanh, which is a logistic of twice its argument.
#[inline(always)]
pub(crate) fn gelu_tanh<S: Simd>(simd: S, x: S::F) -> S::F {
    const FACTOR: f32 = 2.0 * std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
    let cube = simd.mul(simd.mul(x, x), x);
    let argument = simd.mul(simd.splat(FACTOR), simd.mul_add(cube, simd.splat(0.044_715), x));
    simd.mul(x, logistic(simd, argument))
}
