//! Activations as TFLite's hybrid kernels see them: rounded to the steps of INT8 on the way to integer weights.

use std::borrow::Cow;

use tflite_wgpu_model::{DType, QuantKind};

use crate::kernels::{EvalCtx, Hybrid, KernelError};

/// How a hybrid kernel rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Zero stays in the middle of the steps.
    Symmetric,
    /// The steps reach from the smallest to the largest value.
    Asymmetric,
}

/// Elements that are rounded together: `len` of them, `step` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub len: usize,
    pub step: usize,
}

/// The FLOAT32 input `i`; where the interpreter asks for TFLite's hybrid arithmetic and the weights in input `weights`
/// are integers, each run is rounded to steps of its own.
pub(crate) fn activations<'a>(
    ctx: &EvalCtx<'a>,
    (i, weights): (usize, usize),
    runs: Runs,
    rounding: Rounding,
) -> Result<Cow<'a, [f32]>, KernelError> {
    let input = ctx.slice::<f32>(i)?;
    if !is_rounded(ctx, weights)? {
        return Ok(Cow::Borrowed(input));
    }
    let step = runs.step.max(1);
    let mut rounded = input.to_vec();
    for block in rounded.chunks_mut((runs.len * step).max(1)) {
        for first in 0..step {
            let mut run: Vec<f32> = block.iter().skip(first).step_by(step).copied().collect();
            round(&mut run, rounding);
            block.iter_mut().skip(first).step_by(step).zip(run).for_each(|(to, from)| *to = from);
        }
    }
    Ok(Cow::Owned(rounded))
}

/// Whether what meets the weights in input `weights` is rounded.
fn is_rounded(ctx: &EvalCtx<'_>, weights: usize) -> Result<bool, KernelError> {
    let dtype = ctx.input(weights)?.dtype();
    let integers = matches!(dtype, DType::Int8 | DType::UInt8 | DType::Int4 | DType::Int2);
    Ok(integers && ctx.env.hybrid == Hybrid::Tflite)
}

/// How each vector is rounded that a recurrent operator multiplies with a matrix; not at all unless the interpreter
/// asks for TFLite's hybrid arithmetic and the matrix is one of integers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HybridRounding(Option<Rounding>);

impl HybridRounding {
    /// For the matrix in input `weights`.
    pub fn new(ctx: &EvalCtx<'_>, weights: usize, asymmetric: bool) -> Result<Self, KernelError> {
        let rounding = if asymmetric { Rounding::Asymmetric } else { Rounding::Symmetric };
        Ok(Self(is_rounded(ctx, weights)?.then_some(rounding)))
    }

    /// The vector as the matrix meets it.
    pub fn apply<'a>(&self, vector: &'a [f32]) -> Cow<'a, [f32]> {
        let Some(rounding) = self.0 else { return Cow::Borrowed(vector) };
        let mut rounded = vector.to_vec();
        round(&mut rounded, rounding);
        Cow::Owned(rounded)
    }
}

/// Number of scales of input `i`; 0 without any.
pub(crate) fn scale_count(ctx: &EvalCtx<'_>, i: usize) -> usize {
    match ctx.input_quant(i).map(|quant| &quant.kind) {
        Some(QuantKind::Affine { scale, .. }) => scale.len(),
        _ => 0,
    }
}

/// Rounds values to 255 (symmetric) or 256 steps.
fn round(values: &mut [f32], rounding: Rounding) {
    let low = values.iter().copied().fold(0.0, f32::min);
    let high = values.iter().copied().fold(0.0, f32::max);
    let (scale, inverse, zero) = match rounding {
        Rounding::Symmetric => {
            let range = high.max(-low);
            (range / 127.0, 127.0 / range, 0.0)
        }
        Rounding::Asymmetric => {
            let scale = (f64::from(high) - f64::from(low)) / 255.0;
            let (below, above) = (f64::from(low) / scale, f64::from(high) / scale);
            // The end whose place is known better decides.
            let zero = if 128.0 + below.abs() < 127.0 + above.abs() { -128.0 - below } else { 127.0 - above };
            let scale = scale as f32;
            (scale, 1.0 / scale, zero.round().clamp(-128.0, 127.0) as f32)
        }
    };
    if scale == 0.0 || !scale.is_finite() {
        return;
    }
    let least = if rounding == Rounding::Symmetric { -127.0 } else { -128.0 };
    for value in values {
        // The zero point is added to what is rounded already, which matters at halves.
        let stored = (zero + (*value * inverse).round()).clamp(least, 127.0);
        *value = (stored - zero) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_to_lie_on_steps() {
        let mut values = [-1.0, 0.5, 0.0, 0.003];
        round(&mut values, Rounding::Symmetric);
        assert_eq!(values.map(|v| (v * 127.0).round()), [-127.0, 64.0, 0.0, 0.0]);
        let mut values = [0.0, 1.0, 2.55];
        round(&mut values, Rounding::Asymmetric);
        assert!(values.iter().zip([0.0, 1.0, 2.55]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{values:?}");
        // −85.5 before rounding: 42.5 is rounded to 43, then −128 is added.
        let mut values = [0.59375, 1.5, 0.25];
        round(&mut values, Rounding::Asymmetric);
        assert_eq!((values[2] * 170.0).round(), 43.0);
        let mut zeros = [0.0; 3];
        round(&mut zeros, Rounding::Asymmetric);
        assert_eq!(zeros, [0.0; 3]);
    }
}
