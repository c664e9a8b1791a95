//! Multiplication of integers by a real factor with TFLite's three roundings.

/// A factor `mantissa · 2^(exponent − 31)`, its mantissa in 2^30..2^31 (or the factor 0); see [`Multiplier::signed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Multiplier {
    pub mantissa: i32,
    pub exponent: i32,
}

impl Multiplier {
    /// The nearest multiplier of a factor. Negative and tiny factors and NaN become 0.
    pub fn new(factor: f64) -> Self {
        if factor.is_nan() || factor <= 0.0 {
            return Self { mantissa: 0, exponent: 0 };
        }
        let mut exponent = factor.log2().floor().clamp(-1100.0, 1100.0) as i32 + 1;
        // log2 may round across a power of two.
        let fraction = |exponent: i32| factor * 2f64.powi(-exponent / 2) * 2f64.powi(-exponent - -exponent / 2);
        while fraction(exponent) >= 1.0 {
            exponent += 1;
        }
        while fraction(exponent) < 0.5 {
            exponent -= 1;
        }
        let mut mantissa = (fraction(exponent) * f64::from(1u32 << 31)).round() as i64;
        if mantissa == 1 << 31 {
            mantissa >>= 1;
            exponent += 1;
        }
        if exponent < -31 {
            return Self { mantissa: 0, exponent: 0 };
        }
        Self { mantissa: i32::try_from(mantissa).unwrap_or(i32::MAX), exponent: exponent.min(30) }
    }

    /// As [`Multiplier::new`], and a negative mantissa for a negative factor.
    pub fn signed(factor: f64) -> Self {
        let size = Self::new(factor.abs());
        if factor < 0.0 { Self { mantissa: -size.mantissa, ..size } } else { size }
    }

    /// `value · factor` rounded twice: the doubled high half of the product, halves up, then the right shift, halves
    /// away from zero.
    pub fn twice_rounded(self, value: i32) -> i32 {
        let left = self.exponent.max(0);
        let shifted = (i64::from(value) << left).clamp(i32::MIN.into(), i32::MAX.into());
        rounding_shift(high_mul(shifted as i32, self.mantissa), (-self.exponent).max(0))
    }

    /// `value · factor` rounded twice, halves up both times: as TFLite's matrix products of 8-bit with 16-bit results.
    pub fn twice_rounded_up(self, value: i32) -> i32 {
        let left = self.exponent.max(0);
        let shifted = (i64::from(value) << left).clamp(i32::MIN.into(), i32::MAX.into());
        let product = i64::from(high_mul(shifted as i32, self.mantissa));
        match -self.exponent {
            right if right > 0 => ((product + (1i64 << (right - 1))) >> right) as i32,
            _ => product as i32,
        }
    }

    /// `value · factor` rounded once, halves up.
    pub fn once_rounded(self, value: i64) -> i32 {
        let shift = 31 - self.exponent;
        let rounded = (i128::from(value) * i128::from(self.mantissa) + (1i128 << (shift - 1))) >> shift;
        rounded.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }

    /// `value · factor` with a mantissa of 16 bits, rounded once, halves up: for sums of 64 bits.
    pub fn with_short_mantissa(self, value: i64) -> i32 {
        let mantissa = if self.mantissa < 0x7fff_0000 { (self.mantissa + (1 << 15)) >> 16 } else { 0x7fff };
        let shift = 15 - self.exponent;
        let product = i128::from(value) * i128::from(mantissa);
        let rounded = if shift > 0 { (product + (1i128 << (shift - 1))) >> shift } else { product << -shift };
        rounded.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }
}

/// `value · 2^shift`, cut to 32 bits, or, with a negative shift, [`rounding_shift`].
pub(crate) fn saturating_shift(value: i32, shift: i32) -> i32 {
    if shift <= 0 {
        return rounding_shift(value, -shift);
    }
    (i64::from(value) << shift.min(32)).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// The high half of `2 · a · b`, halves up.
pub(crate) fn high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1i64 << 30 } else { 1 - (1i64 << 30) };
    ((product + nudge) / (1i64 << 31)) as i32
}

/// `value / 2^shift`, halves away from zero.
pub(crate) fn rounding_shift(value: i32, shift: i32) -> i32 {
    if shift <= 0 {
        return value;
    }
    if shift > 31 {
        return 0;
    }
    let mask = ((1i64 << shift) - 1) as i32;
    let threshold = (mask >> 1) + i32::from(value < 0);
    if shift == 31 {
        return if value == i32::MIN { -1 } else { i32::from((value & mask) > threshold) + (value >> 31) };
    }
    (value >> shift) + i32::from((value & mask) > threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_split_into_mantissa_and_exponent() {
        let cases = [
            (1.0, 1 << 30, 1),
            (0.5, 1 << 30, 0),
            (0.75, 3 << 29, 0),
            (3.0, 3 << 29, 2),
            (0.0, 0, 0),
            (2f64.powi(-40), 0, 0),
            (1.0 - 2f64.powi(-40), 1 << 30, 1),
        ];
        for (factor, mantissa, exponent) in cases {
            assert_eq!(Multiplier::new(factor), Multiplier { mantissa, exponent }, "{factor}");
        }
        assert_eq!(Multiplier::new(f64::NAN), Multiplier::new(0.0));
        assert_eq!(Multiplier::new(f64::MIN_POSITIVE), Multiplier::new(0.0));
    }

    #[test]
    fn the_roundings_differ_at_halves() {
        let quarter = Multiplier::new(0.25);
        assert_eq!([6, -6, 5, -5, 4].map(|v| quarter.twice_rounded(v)), [2, -2, 2, -1, 1]);
        assert_eq!([6, -6, 5, -5, 4].map(|v| quarter.twice_rounded_up(v)), [2, -1, 2, -1, 1]);
        assert_eq!([6, -6, 5, -5, 4].map(|v| quarter.once_rounded(v)), [2, -1, 1, -1, 1]);
        assert_eq!([6, -6, 5, -5, 4].map(|v| quarter.with_short_mantissa(v)), [2, -1, 1, -1, 1]);
        let negative = Multiplier::signed(-0.25);
        assert_eq!([6, -6, 5, -5, 4].map(|v| negative.twice_rounded(v)), [-2, 2, -1, 2, -1]);
        let large = Multiplier::new(1024.0);
        assert_eq!((large.twice_rounded(3), large.twice_rounded_up(3)), (3072, 3072));
    }

    #[test]
    fn shifts_round_half_away_from_zero() {
        assert_eq!([5, -5, 6, -6, 7, -7].map(|v| rounding_shift(v, 2)), [1, -1, 2, -2, 2, -2]);
        assert_eq!((rounding_shift(i32::MIN, 31), rounding_shift(i32::MAX, 31)), (-1, 1));
    }
}
