//! L2_NORMALIZATION and LOCAL_RESPONSE_NORMALIZATION over the last dimension.

use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::fixed_math::inverse_square_root;
use super::fixed_point::Multiplier;
use super::support::{Stored, expect_shape, float_clamp, for_each_row, input_affine, no_type, refuse};
use super::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::L2Normalization, eval: l2 },
    Row { op: BuiltinOperator::LocalResponseNormalization, eval: local_response },
];

/// Norms below this are taken as this.
const SMALLEST_NORM: f32 = 1e-6;

fn l2(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::L2Normalization(options) = &ctx.node.op else {
        return Err(refuse("operator", "another", "L2_NORMALIZATION"));
    };
    match ctx.input(0)?.dtype() {
        DType::Float32 => {
            let clamp = float_clamp(options.fused_activation_function)?;
            rows(ctx, |x, out| {
                let norm = x.iter().fold(0.0, |sum, x| sum + x * x).sqrt().max(SMALLEST_NORM);
                out.iter_mut().zip(x).for_each(|(out, x)| *out = clamp.apply(x / norm));
            })
        }
        DType::Int8 => l2_quantized::<i8>(ctx),
        DType::UInt8 => l2_quantized::<u8>(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8 or UINT8")),
    }
}

/// The output has scale 1/128; its zero point is the middle of the type.
fn l2_quantized<T: Stored>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    expect_shape(ctx, 0, shape)?;
    let (zero, middle) = (input_affine(ctx, 0)?.zero, if T::RANGE.min < 0 { 0 } else { 128 });
    let input = ctx.slice::<T>(0)?;
    let depth = shape.last().copied().unwrap_or(1);
    for_each_row(ctx.env.threads, ctx.output(0)?, depth, depth * 4, |index, out: &mut [T]| {
        let row = &input[index * depth..][..depth];
        let centred = |x: &T| x.widen() - zero;
        let squares = row.iter().map(centred).fold(0i32, |sum, x| sum.saturating_add(x * x));
        let inverse = inverse_square_root(squares);
        // Steps of 1/128; the types round at different places.
        let finer = Multiplier { exponent: inverse.exponent + 7, ..inverse };
        for (out, x) in out.iter_mut().zip(row) {
            let x = centred(x);
            let scaled = if T::RANGE.min < 0 { finer.twice_rounded(x) } else { inverse.twice_rounded(128 * x) };
            *out = T::narrow(T::RANGE.apply(scaled.saturating_add(middle)));
        }
    });
    Ok(())
}

/// x · (bias + α · Σ x²)^−β, the sum over the channels at most `radius` away.
///
/// TFLite's reference kernel leaves out the last channel of the window, its optimised kernel and TensorFlow do not.
fn local_response(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::LocalResponseNormalization(options) = &ctx.node.op else {
        return Err(refuse("operator", "another", "LOCAL_RESPONSE_NORMALIZATION"));
    };
    let radius = usize::try_from(options.radius)
        .map_err(|_| refuse("radius", options.radius, "a number that is not negative"))?;
    rows(ctx, |x, out| {
        for (channel, out) in out.iter_mut().enumerate() {
            let window = channel.saturating_sub(radius)..channel.saturating_add(radius).saturating_add(1).min(x.len());
            let sum = x[window].iter().fold(0.0, |sum, x| sum + x * x);
            *out = x[channel] * (options.bias + options.alpha * sum).powf(-options.beta);
        }
    })
}

/// Calls `row` on each run of the last dimension of input 0 and output 0.
fn rows(ctx: &mut EvalCtx<'_>, row: impl Fn(&[f32], &mut [f32]) + Send + Sync) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    expect_shape(ctx, 0, shape)?;
    let input = ctx.slice::<f32>(0)?;
    let depth = shape.last().copied().unwrap_or(1);
    for_each_row(ctx.env.threads, ctx.output(0)?, depth, depth * 4, |index, out| {
        row(&input[index * depth..][..depth], out);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{L2NormOptions, LocalResponseNormalizationOptions};

    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::{run_f32, values};

    #[test]
    fn both() -> Result<(), Box<dyn std::error::Error>> {
        let x = Value::f32(&[2, 2], &[3.0, 4.0, 0.0, 0.0])?;
        let out = run_f32(Op::L2Normalization(L2NormOptions::default()), &[Some(&x)], &[2, 2])?;
        assert_eq!(out, [0.6, 0.8, 0.0, 0.0]);
        let options = LocalResponseNormalizationOptions { radius: 1, bias: 1.0, alpha: 1.0, beta: 1.0 };
        let out = run_f32(Op::LocalResponseNormalization(options), &[Some(&values(&[1, 1, 1, 3])?)], &[1, 1, 1, 3])?;
        for (out, expected) in out.into_iter().zip([1.0 / 6.0, 2.0 / 15.0, 3.0 / 14.0]) {
            assert!((out - expected).abs() < 1e-6, "{out}, expected {expected}");
        }
        Ok(())
    }
}
