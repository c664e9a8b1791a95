//! Functions of one tensor, element by element, on floats, plain integers and quantised tensors.

use BuiltinOperator as B;
use half::{bf16, f16};
use tflite_wgpu_model::{BuiltinOperator, DType};

use super::support::{Real, map, no_type};
use super::{Eval, EvalCtx, KernelError, Row, lut, quantized_unary};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Abs, eval: abs },
    Row { op: B::Ceil, eval: |ctx| floats(ctx, f32::ceil) },
    Row { op: B::Cos, eval: |ctx| floats(ctx, f32::cos) },
    Row { op: B::Exp, eval: |ctx| either(ctx, f32::exp, |ctx| lut::eval(ctx, true, f32::exp)) },
    Row { op: B::Floor, eval: |ctx| floats(ctx, f32::floor) },
    Row { op: B::Log, eval: |ctx| either(ctx, f32::ln, quantized_unary::log) },
    Row { op: B::Neg, eval: neg },
    Row { op: B::Round, eval: |ctx| floats(ctx, f32::round_ties_even) },
    Row { op: B::Rsqrt, eval: |ctx| either(ctx, |x| 1.0 / x.sqrt(), quantized_unary::rsqrt) },
    Row { op: B::Sign, eval: sign },
    Row { op: B::Sin, eval: |ctx| floats(ctx, f32::sin) },
    Row { op: B::Sqrt, eval: |ctx| either(ctx, f32::sqrt, quantized_unary::sqrt) },
    Row { op: B::Square, eval: |ctx| floats(ctx, |x| x * x) },
    Row { op: B::LogicalNot, eval: |ctx| map(ctx, 0, |x: u8| u8::from(x == 0)) },
];

/// Output 0 = `f` of input 0, a float tensor; 16-bit floats are computed in `f32`.
fn floats(ctx: &mut EvalCtx<'_>, f: fn(f32) -> f32) -> Result<(), KernelError> {
    fn of<T: Real>(ctx: &mut EvalCtx<'_>, f: fn(f32) -> f32) -> Result<(), KernelError> {
        map(ctx, 0, move |x: T| T::narrow(f(x.widen())))
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of::<f32>(ctx, f),
        DType::Float16 => of::<f16>(ctx, f),
        DType::BFloat16 => of::<bf16>(ctx, f),
        _ => Err(no_type(ctx, 0, "FLOAT32, FLOAT16 or BFLOAT16")),
    }
}

/// As [`floats`]; quantised tensors have a kernel of their own.
fn either(ctx: &mut EvalCtx<'_>, f: fn(f32) -> f32, quantized: Eval) -> Result<(), KernelError> {
    if quantized_unary::applies(ctx) { quantized(ctx) } else { floats(ctx, f) }
}

/// ABS; the lowest integer stays as it is, unless it is a quantised one.
fn abs(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    if quantized_unary::applies(ctx) {
        return quantized_unary::abs(ctx);
    }
    match ctx.input(0)?.dtype() {
        DType::Int8 => map(ctx, 0, i8::wrapping_abs),
        DType::Int16 => map(ctx, 0, i16::wrapping_abs),
        DType::Int32 => map(ctx, 0, i32::wrapping_abs),
        DType::Int64 => map(ctx, 0, i64::wrapping_abs),
        _ => floats(ctx, f32::abs),
    }
}

/// NEG; the lowest integer stays as it is.
fn neg(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Int8 => map(ctx, 0, i8::wrapping_neg),
        DType::Int16 => map(ctx, 0, i16::wrapping_neg),
        DType::Int32 => map(ctx, 0, i32::wrapping_neg),
        DType::Int64 => map(ctx, 0, i64::wrapping_neg),
        _ => floats(ctx, |x| -x),
    }
}

/// SIGN: −1, 0 or 1; zeros of either sign give 0, NaN gives NaN.
fn sign(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Int32 => map(ctx, 0, i32::signum),
        DType::Float64 => map(ctx, 0, |x: f64| if x == 0.0 { 0.0 } else { x.signum() }),
        _ => floats(ctx, |x| if x == 0.0 { 0.0 } else { x.signum() }),
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::Op;

    use crate::Value;
    use crate::kernels::support::testing::{run, run_f32};

    #[test]
    fn halves_round_to_even_and_signs_have_three_values() -> Result<(), Box<dyn std::error::Error>> {
        let x = Value::f32(&[5], &[-2.5, -0.5, 0.0, 1.5, 2.5])?;
        assert_eq!(run_f32(Op::Round, &[Some(&x)], &[5])?, [-2.0, 0.0, 0.0, 2.0, 2.0]);
        assert_eq!(run_f32(Op::Sign, &[Some(&x)], &[5])?, [-1.0, -1.0, 0.0, 1.0, 1.0]);
        let lowest = Value::i32(&[2], &[i32::MIN, -3])?;
        let out = run(Op::Abs, &[Some(&lowest)], lowest.dtype(), &[2])?;
        assert_eq!(out.as_slice::<i32>()?, [i32::MIN, 3]);
        assert!(run(Op::Exp, &[Some(&lowest)], lowest.dtype(), &[2]).is_err());
        Ok(())
    }
}
