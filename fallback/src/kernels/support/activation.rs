//! Fused activations.

use tflite_wgpu_model::ActivationFunctionType;

use super::refuse;
use crate::kernels::KernelError;

/// A range that values are cut to. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clamp<T> {
    /// Smallest value.
    pub min: T,
    /// Largest value.
    pub max: T,
}

impl<T: PartialOrd + Copy> Clamp<T> {
    /// `value` inside the range. The comparisons are written so that NaN passes through, as TFLite's do.
    #[inline(always)]
    pub fn apply(&self, value: T) -> T {
        let raised = if value < self.min { self.min } else { value };
        if self.max < raised { self.max } else { raised }
    }
}

/// The range of a fused activation on floats. NONE leaves infinities alone.
///
/// TANH and SIGN_BIT are no ranges and are refused.
pub(crate) fn float_clamp(activation: ActivationFunctionType) -> Result<Clamp<f32>, KernelError> {
    use ActivationFunctionType::{None, Relu, Relu6, ReluN1To1};
    let (min, max) = match activation {
        None => (f32::NEG_INFINITY, f32::INFINITY),
        Relu => (0.0, f32::INFINITY),
        ReluN1To1 => (-1.0, 1.0),
        Relu6 => (0.0, 6.0),
        other => {
            let found = format!("{other:?}");
            return Err(refuse("fused activation", found, "NONE, RELU, RELU_N1_TO_1 or RELU6"));
        }
    };
    Ok(Clamp { min, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamps_keep_nan() -> Result<(), KernelError> {
        let relu6 = float_clamp(ActivationFunctionType::Relu6)?;
        assert_eq!([-1.0, 3.5, 7.0].map(|v| relu6.apply(v)), [0.0, 3.5, 6.0]);
        assert!(relu6.apply(f32::NAN).is_nan());
        let none = float_clamp(ActivationFunctionType::None)?;
        assert_eq!(none.apply(f32::INFINITY), f32::INFINITY);
        assert!(float_clamp(ActivationFunctionType::Tanh).is_err());
        Ok(())
    }
}
