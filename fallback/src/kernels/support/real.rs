//! Floats of every width as the kernels compute with them.

use half::{bf16, f16};

use crate::value::Element;

/// A float type whose arithmetic is done in `f32`: itself, or a 16-bit type that is rounded after every operator.
pub(crate) trait Real: Element + PartialOrd {
    /// The value in `f32`.
    fn widen(self) -> f32;
    /// The nearest value of this type.
    fn narrow(value: f32) -> Self;
}

impl Real for f32 {
    fn widen(self) -> f32 {
        self
    }
    fn narrow(value: f32) -> Self {
        value
    }
}

impl Real for f16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }
    fn narrow(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Real for bf16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }
    fn narrow(value: f32) -> Self {
        Self::from_f32(value)
    }
}

/// The error function, within 1e-7 of its value: a series near zero, a continued fraction of its complement beyond.
pub(crate) fn erf(x: f64) -> f64 {
    let magnitude = x.abs();
    if magnitude.is_nan() {
        return x;
    }
    if magnitude > 6.0 {
        return x.signum();
    }
    if magnitude < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let fraction = (1..80).rev().fold(magnitude, |below, k| magnitude + f64::from(k) / 2.0 / below);
    let complement = (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt());
    x.signum() * (1.0 - complement)
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn erf_has_known_values() {
        let cases = [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (-1.0, -0.842_700_792_949_714_9),
            (2.4999, 0.999_592_829_8),
            (2.6, 0.999_763_965_583_470_6),
            (4.0, 0.999_999_984_582_742_1),
            (7.0, 1.0),
        ];
        for (x, expected) in cases {
            assert!((erf(x) - expected).abs() < 1e-9, "erf({x}) = {}, expected {expected}", erf(x));
        }
        assert!(erf(f64::NAN).is_nan());
    }
}
