//! Functions in fixed point as the integer kernels compute them: 32 bits, of which some are integer bits; `F0` has none
//! (values −1..1), `F2` two and so on. A product of two such numbers is [`high_mul`] and has the bits of both.

use super::fixed_point::{Multiplier, high_mul, rounding_shift, saturating_shift};

/// The largest `F0`, which stands for 1.
const ONE: i32 = i32::MAX;

/// `1 / (1 + x)` in `F0`, for `x` from 0 to 1 in `F0`: three steps of Newton's method.
pub(super) fn one_over_one_plus(x: i32) -> i32 {
    const F2_48_OVER_17: i32 = 1_515_870_810;
    const F2_NEG_32_OVER_17: i32 = -1_010_580_540;
    const F2_ONE: i32 = 1 << 29;
    let half_denominator = half_sum(x, ONE);
    let mut y = F2_48_OVER_17.wrapping_add(high_mul(half_denominator, F2_NEG_32_OVER_17));
    for _ in 0..3 {
        let rest = F2_ONE.wrapping_sub(high_mul(half_denominator, y));
        y = y.wrapping_add(saturating_shift(high_mul(y, rest), 2));
    }
    saturating_shift(y, 1)
}

/// Half of `a + b`, halves away from zero.
fn half_sum(a: i32, b: i32) -> i32 {
    let sum = i64::from(a) + i64::from(b);
    ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32
}

/// `1 / x` of a positive number with `integer_bits` integer bits: the result in `F0` is to be divided by two to the
/// power of the second number.
pub(super) fn reciprocal(x: i32, integer_bits: i32) -> (i32, i32) {
    let zeros = x.leading_zeros() as i32;
    let shifted = x.wrapping_shl(zeros as u32).wrapping_sub(i32::MIN);
    (one_over_one_plus(shifted), integer_bits - zeros)
}

/// exp of a number from −1/4 to 0 in `F0`.
fn exp_of_small(x: i32) -> i32 {
    const EXP_OF_NEG_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    // A Taylor series around −1/8.
    let x = x.wrapping_add(1 << 28);
    let x2 = high_mul(x, x);
    let x3 = high_mul(x2, x);
    let x4 = high_mul(x2, x2);
    let rest = rounding_shift(high_mul(rounding_shift(x4, 2).wrapping_add(x3), THIRD).wrapping_add(x2), 1);
    EXP_OF_NEG_EIGHTH.wrapping_add(high_mul(EXP_OF_NEG_EIGHTH, x.wrapping_add(rest)))
}

/// exp in `F0` of a number that is not positive and has `integer_bits` integer bits.
pub(super) fn exp_of_negative(x: i32, integer_bits: i32) -> i32 {
    /// exp of −2^−2, −2^−1 … −2^4 in `F0`.
    const POWERS: [i32; 7] = [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if x == 0 {
        return ONE;
    }
    let fraction_bits = 31 - integer_bits;
    let quarter = 1i32 << (fraction_bits - 2);
    let small = (x & (quarter - 1)) - quarter;
    let mut result = exp_of_small(saturating_shift(small, integer_bits));
    let remainder = small.wrapping_sub(x);
    for (exponent, power) in (-2..).zip(POWERS) {
        if integer_bits > exponent && remainder & (1 << (fraction_bits + exponent)) != 0 {
            result = high_mul(result, power);
        }
    }
    if integer_bits > 5 && x < -(1 << (36 - integer_bits)) {
        return 0;
    }
    result
}

/// ln of a number that is at least 1 and has `input_bits` integer bits; the result has `output_bits`.
pub(super) fn log_of_one_or_more(x: i32, input_bits: i32, output_bits: i32) -> i32 {
    const F0_LOG_2: i32 = 1_488_522_236;
    const F0_ROOT_OF_ROOT_HALF: i32 = 1_805_811_301;
    const F0_ROOT_HALF: i32 = 1_518_500_250;
    const F0_QUARTER: i32 = 536_870_912;
    /// Coefficients of the quotient of polynomials that approximates ln between the fourth roots of 1/2 and 2.
    const N: i32 = 117_049_297;
    const D: i32 = 127_690_142;
    const I: i32 = 1_057_819_769;
    const F: i32 = 638_450_708;
    // One bit more, so that the sum of both parts does not saturate.
    let bits = output_bits + 1;
    let quarter = rounding_shift(F0_QUARTER, bits);
    // The power of two is taken from x or from x · √½, whichever leaves the rest nearer to 1.
    let zeros = x.leading_zeros() as i32;
    let rest_a = saturating_shift(high_mul(saturating_shift(x, zeros - 1), F0_ROOT_HALF), 1);
    let power_a = saturating_shift(input_bits - zeros, 31 - bits).saturating_add(quarter);
    let room = high_mul(x, F0_ROOT_HALF).leading_zeros() as i32 - 1;
    let rest_b = saturating_shift(x, room);
    let power_b = saturating_shift(input_bits - room, 31 - bits).saturating_sub(quarter);
    let (rest, power) = (rest_a.min(rest_b), power_a.max(power_b));
    let p = half_sum(rest, F0_ROOT_OF_ROOT_HALF);
    let q = rest.wrapping_sub(F0_ROOT_OF_ROOT_HALF).wrapping_mul(2);
    let square = high_mul(q, q);
    let numerator = high_mul(q, rest).wrapping_add(high_mul(high_mul(q, square), N));
    let inner = I.wrapping_add(q).wrapping_add(high_mul(D, square));
    let inverse = one_over_one_plus(high_mul(p, inner).wrapping_add(high_mul(F, q)));
    let fraction = high_mul(rounding_shift(numerator, bits), inverse);
    saturating_shift(high_mul(power, F0_LOG_2).wrapping_add(fraction), 1)
}

/// The inverse square root of an integer that is not negative; 0 counts as 1. Five steps of Newton's method.
pub(super) fn inverse_square_root(x: i32) -> Multiplier {
    const F3_HALF_THREE: i32 = (1 << 28) + (1 << 27);
    const F0_HALF_SQRT_2: i32 = 1_518_500_250;
    if x <= 1 {
        return Multiplier { mantissa: ONE, exponent: 0 };
    }
    let (mut x, mut shift) = (x, 11);
    while x >= 1 << 29 {
        x /= 4;
        shift += 1;
    }
    let pairs = (x.leading_zeros() as i32 - 1) / 2 - 1;
    shift -= pairs;
    x <<= 2 * pairs;
    let half = rounding_shift(x >> 1, 1);
    let mut y: i32 = 1 << 28;
    for _ in 0..5 {
        let cube = saturating_shift(high_mul(high_mul(y, y), y), 6);
        y = saturating_shift(high_mul(F3_HALF_THREE, y).wrapping_sub(high_mul(half, cube)), 3);
    }
    let mut mantissa = high_mul(y, F0_HALF_SQRT_2);
    if shift < 0 {
        mantissa = mantissa.wrapping_shl(shift.unsigned_abs());
        shift = 0;
    }
    Multiplier { mantissa, exponent: -shift }
}

/// Functions of 16-bit fixed point, the same steps as those of 32 bits above with every value rounded to 16.
pub(super) mod short {
    /// The largest `F0`, which stands for 1.
    const ONE: i16 = i16::MAX;

    /// A constant of 32 bits, rounded.
    const fn constant(value: i32) -> i16 {
        ((value + (1 << 15)) >> 16) as i16
    }

    /// The high half of `2 · a · b`, rounded, halves away from zero.
    pub fn mul(a: i16, b: i16) -> i16 {
        let product = i32::from(a) * i32::from(b);
        let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
        ((product + nudge) / (1 << 15)).min(i16::MAX.into()) as i16
    }

    /// `value · 2^shift` cut to 16 bits; with a negative shift rounded, halves away from zero.
    pub fn shifted(value: i16, shift: i32) -> i16 {
        if shift >= 0 {
            return (i64::from(value) << shift.min(32)).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
        super::rounding_shift(value.into(), -shift) as i16
    }

    fn half_sum(a: i16, b: i16) -> i16 {
        let sum = i32::from(a) + i32::from(b);
        ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i16
    }

    /// `1 / d` in `F2` of twice `half_denominator`.
    fn inverse(half_denominator: i16) -> i16 {
        const F2_48_OVER_17: i16 = constant(1_515_870_810);
        const F2_NEG_32_OVER_17: i16 = constant(-1_010_580_540);
        const F2_ONE: i16 = 1 << 13;
        let mut y = F2_48_OVER_17.wrapping_add(mul(half_denominator, F2_NEG_32_OVER_17));
        for _ in 0..3 {
            let rest = F2_ONE.wrapping_sub(mul(half_denominator, y));
            y = y.wrapping_add(shifted(mul(y, rest), 2));
        }
        y
    }

    fn exp_of_small(x: i16) -> i16 {
        const EXP_OF_NEG_EIGHTH: i16 = constant(1_895_147_668);
        const THIRD: i16 = constant(715_827_883);
        let x = x.wrapping_add(1 << 12);
        let x2 = mul(x, x);
        let x3 = mul(x2, x);
        let x4 = mul(x2, x2);
        let rest = shifted(mul(shifted(x4, -2).wrapping_add(x3), THIRD).wrapping_add(x2), -1);
        EXP_OF_NEG_EIGHTH.saturating_add(mul(EXP_OF_NEG_EIGHTH, x.wrapping_add(rest)))
    }

    /// exp in `F0` of a number that is not positive and has `integer_bits` integer bits, at most 10.
    fn exp_of_negative(x: i16, integer_bits: i32) -> i16 {
        const POWERS: [i32; 7] = [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
        if x == 0 {
            return ONE;
        }
        let fraction_bits = 15 - integer_bits;
        let quarter = 1i16 << (fraction_bits - 2);
        let small = (x & (quarter - 1)) - quarter;
        let mut result = exp_of_small(shifted(small, integer_bits));
        let remainder = small.wrapping_sub(x);
        for (exponent, power) in (-2..).zip(POWERS) {
            if integer_bits > exponent && i32::from(remainder) & (1 << (fraction_bits + exponent)) != 0 {
                result = mul(result, constant(power));
            }
        }
        if integer_bits > 5 && i32::from(x) < -(1 << (36 - integer_bits)) { 0 } else { result }
    }

    /// 1 / (1 + exp(−x)) in `F0`.
    pub fn logistic(x: i16, integer_bits: i32) -> i16 {
        if x == 0 {
            return 1 << 14;
        }
        let magnitude = if x > 0 { x } else { x.wrapping_neg() };
        let exp = exp_of_negative(magnitude.wrapping_neg(), integer_bits);
        let positive = shifted(inverse(half_sum(exp, ONE)), 1);
        if x > 0 { positive } else { ONE - positive }
    }

    /// tanh in `F0`.
    pub fn tanh(x: i16, integer_bits: i32) -> i16 {
        if x == 0 {
            return 0;
        }
        let below = if x < 0 { x } else { x.wrapping_neg() };
        // Twice the number: the same bits with one more before the point.
        let exp = exp_of_negative(below, integer_bits + 1);
        let magnitude = shifted(inverse(half_sum(exp, ONE)).wrapping_sub(1 << 13), 2);
        if x < 0 { magnitude.wrapping_neg() } else { magnitude }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(value: i32, integer_bits: i32) -> f64 {
        f64::from(value) / 2f64.powi(31 - integer_bits)
    }

    #[test]
    fn short_functions_are_near_their_values() {
        for bits in [3, 4] {
            for x in (i16::MIN..i16::MAX).step_by(97) {
                let real = f64::from(x) / 2f64.powi(15 - bits);
                let logistic = f64::from(short::logistic(x, bits)) / 32_768.0;
                assert!((logistic - 1.0 / (1.0 + (-real).exp())).abs() < 1e-3, "logistic {real}: {logistic}");
                let tanh = f64::from(short::tanh(x, bits)) / 32_768.0;
                assert!((tanh - real.tanh()).abs() < 2e-3, "tanh {real}: {tanh}");
            }
        }
    }

    #[test]
    fn inverse_square_roots_are_near_their_values() {
        for x in [1, 2, 3, 4, 17, 255, 1000, 65_535, 1 << 20, (1 << 29) + 5, i32::MAX] {
            let root = inverse_square_root(x);
            let found = f64::from(root.mantissa) / 2f64.powi(31 - root.exponent);
            assert!((found * f64::from(x).sqrt() - 1.0).abs() < 3e-6, "{x}: {found}");
        }
    }

    #[test]
    fn logs_are_near_their_values() {
        for x in [1 << 19, (1 << 19) + 12_345, 3 << 18, 1 << 20, 5 << 20, 77 << 19, i32::MAX] {
            let found = real(log_of_one_or_more(x, 12, 5), 5);
            assert!((found - real(x, 12).ln()).abs() < 1e-5, "ln {}: {found}", real(x, 12));
        }
    }

    #[test]
    fn functions_are_near_their_values() {
        for i in 0..=64 {
            let x = (i64::from(ONE) * i / 64) as i32;
            let found = real(one_over_one_plus(x), 0);
            assert!((found - 1.0 / (1.0 + real(x, 0))).abs() < 1e-8, "1 / (1 + {})", real(x, 0));
            for bits in [3, 5, 6] {
                let x = -((i as i32).min(31) << (31 - bits - 2));
                let found = real(exp_of_negative(x, bits), 0);
                assert!((found - real(x, bits).exp()).abs() < 5e-7, "exp of {}: {found}", real(x, bits));
            }
        }
        for (x, bits) in [(3 << 19, 12), (1 << 19, 12), (12_345_678, 12), (7, 31)] {
            let (inverse, shift) = reciprocal(x, bits);
            let found = real(inverse, 0) / 2f64.powi(shift);
            assert!((found * real(x, bits) - 1.0).abs() < 1e-8, "1 / {}: {found}", real(x, bits));
        }
    }
}
