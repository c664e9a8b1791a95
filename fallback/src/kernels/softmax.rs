//! SOFTMAX and LOG_SOFTMAX over the last dimension.

use half::{bf16, f16};
use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::support::{Real, expect_shape, for_each_row, refuse};
use super::{EvalCtx, KernelError, Row, softmax_quantized};

pub(super) const ROWS: &[Row] =
    &[Row { op: BuiltinOperator::Softmax, eval: softmax }, Row { op: BuiltinOperator::LogSoftmax, eval: log_softmax }];

fn softmax(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Softmax(options) = &ctx.node.op else { return Err(refuse("operator", "another", "SOFTMAX")) };
    let beta = options.beta;
    match ctx.input(0)?.dtype() {
        DType::Float32 => rows::<f32>(ctx, |x, out| softmax_row(x, beta, out)),
        DType::Float16 => rows::<f16>(ctx, |x, out| softmax_row(x, beta, out)),
        DType::BFloat16 => rows::<bf16>(ctx, |x, out| softmax_row(x, beta, out)),
        _ => softmax_quantized::softmax(ctx, beta),
    }
}

fn log_softmax(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => rows::<f32>(ctx, log_softmax_row),
        _ => softmax_quantized::log_softmax(ctx),
    }
}

/// Calls `row` on each run of the last dimension of input 0 and output 0. A scalar is a row of one.
fn rows<T: Real>(ctx: &mut EvalCtx<'_>, row: impl Fn(&[T], &mut [T]) + Send + Sync) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    expect_shape(ctx, 0, shape)?;
    let input = ctx.slice::<T>(0)?;
    let depth = shape.last().copied().unwrap_or(1);
    for_each_row(ctx.env.threads, ctx.output(0)?, depth, depth * 8, |index, out| {
        row(&input[index * depth..][..depth], out)
    });
    Ok(())
}

fn largest<T: Real>(x: &[T]) -> f32 {
    x.iter().fold(f32::MIN, |max, x| if max < x.widen() { x.widen() } else { max })
}

/// exp(β (x − max)) / Σ exp(β (x − max)).
fn softmax_row<T: Real>(x: &[T], beta: f32, out: &mut [T]) {
    let max = largest(x);
    let power = |x: &T| ((x.widen() - max) * beta).exp();
    let sum = x.iter().fold(0.0, |sum, x| sum + power(x));
    for (out, x) in out.iter_mut().zip(x) {
        *out = T::narrow(power(x) / sum);
    }
}

/// x − max − ln Σ exp(x − max).
fn log_softmax_row<T: Real>(x: &[T], out: &mut [T]) {
    let max = largest(x);
    let sum = x.iter().fold(0.0, |sum, x| sum + (x.widen() - max).exp());
    let log = f32::ln(sum);
    for (out, x) in out.iter_mut().zip(x) {
        *out = T::narrow(x.widen() - max - log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sum_to_one() {
        let mut out = [0.0; 3];
        softmax_row(&[0.0, 2.0f32.ln(), 5.0f32.ln()], 1.0, &mut out);
        out.iter().zip([0.125, 0.25, 0.625]).for_each(|(out, expected)| assert!((out - expected).abs() < 1e-6));
        softmax_row(&[1000.0, 0.0, -1000.0], 0.5, &mut out);
        assert_eq!(out, [1.0, 0.0, 0.0]);
        log_softmax_row(&[0.0, 0.0, f32::NEG_INFINITY], &mut out);
        assert!((out[0] + 2.0f32.ln()).abs() < 1e-6 && out[2] == f32::NEG_INFINITY);
    }
}
