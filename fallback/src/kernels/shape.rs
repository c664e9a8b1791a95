//! SHAPE, RANK, FILL, RANGE, ZEROS_LIKE.

use tflite_wgpu_model::{BuiltinOperator, DType};

use super::checks::{shape_output, size, write_ints};
use super::elements::{count, fill};
use super::support::{no_type, refuse};
use super::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Shape, eval: shape },
    Row { op: BuiltinOperator::Rank, eval: rank },
    Row { op: BuiltinOperator::Fill, eval: fill_ },
    Row { op: BuiltinOperator::Range, eval: range },
    Row { op: BuiltinOperator::ZerosLike, eval: zeros_like },
];

fn shape(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape: Vec<i64> = ctx.shape(0)?.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect();
    shape_output(ctx, 0, &[shape.len()])?;
    write_ints(ctx, 0, &shape)
}

fn rank(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let rank = ctx.shape(0)?.len() as i64;
    shape_output(ctx, 0, &[])?;
    write_ints(ctx, 0, &[rank])
}

fn fill_(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.ints(0)?.into_iter().map(|d| size("a dimension", d)).collect::<Result<Vec<_>, _>>()?;
    count(&shape)?;
    shape_output(ctx, 0, &shape)?;
    fill(ctx.input(1)?, ctx.output_value(0)?)
}

fn zeros_like(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    ctx.set_output(0, ctx.shape(0)?)
}

/// `start, start + delta, …` up to but without `limit`; each number is the one before plus `delta`.
fn range(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => {
            let (start, limit, delta) = (one::<f32>(ctx, 0)?, one::<f32>(ctx, 1)?, one::<f32>(ctx, 2)?);
            let length = ((f64::from(limit) - f64::from(start)) / f64::from(delta)).ceil();
            if delta == 0.0 || !length.is_finite() {
                return Err(refuse("the range", format!("{start}..{limit} by {delta}"), "one that ends"));
            }
            shape_output(ctx, 0, &[length.max(0.0) as usize])?;
            let numbers = std::iter::successors(Some(start), |v| Some(v + delta));
            ctx.output::<f32>(0)?.iter_mut().zip(numbers).for_each(|(target, v)| *target = v);
            Ok(())
        }
        DType::Int32 | DType::Int64 => {
            let first = |i| Ok(ctx.ints(i)?.first().copied().unwrap_or(0));
            let (start, limit, delta): (i64, i64, i64) = (first(0)?, first(1)?, first(2)?);
            if delta == 0 {
                return Err(refuse("delta", 0, "another number"));
            }
            let (distance, step) = (i128::from(limit) - i128::from(start), i128::from(delta));
            let length = if (distance > 0) == (step > 0) { (distance.abs() + step.abs() - 1) / step.abs() } else { 0 };
            let length = usize::try_from(length).map_err(|_| refuse("the range", length, "fewer numbers"))?;
            shape_output(ctx, 0, &[length])?;
            let numbers: Vec<i64> = (0..length as i64).map(|i| start.wrapping_add(i.wrapping_mul(delta))).collect();
            write_ints(ctx, 0, &numbers)
        }
        _ => Err(no_type(ctx, 0, "FLOAT32, INT32 or INT64")),
    }
}

/// The only element of input `i`.
fn one<T: crate::value::Element>(ctx: &EvalCtx<'_>, i: usize) -> Result<T, KernelError> {
    let first = ctx.slice::<T>(i)?.first().copied();
    first.ok_or_else(|| refuse(format!("input {i}"), "an empty tensor", "one number"))
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{Op, ShapeOptions};

    use super::*;
    use crate::kernels::testing::{f32s, i32s, run};

    #[test]
    fn shapes_become_values() -> Result<(), KernelError> {
        let input = || vec![f32s(&[2, 0, 3], &[])];
        assert_eq!(run(Op::Shape(ShapeOptions::default()), &input(), DType::Int32)?, i32s(&[3], &[2, 0, 3]));
        assert_eq!(run(Op::Rank, &input(), DType::Int32)?, i32s(&[], &[3]));
        assert_eq!(run(Op::ZerosLike, &[i32s(&[2], &[4, 5])], DType::Int32)?, i32s(&[2], &[0, 0]));
        let filled = run(Op::Fill, &[i32s(&[2], &[1, 2]), f32s(&[], &[1.5])], DType::Float32)?;
        assert_eq!(filled, f32s(&[1, 2], &[1.5, 1.5]));
        assert!(run(Op::Fill, &[i32s(&[1], &[-2]), f32s(&[], &[1.5])], DType::Float32).is_err());
        Ok(())
    }

    #[test]
    fn ranges_stop_before_the_limit() -> Result<(), KernelError> {
        let ints = |a, b, c| run(Op::Range, &[i32s(&[], &[a]), i32s(&[], &[b]), i32s(&[], &[c])], DType::Int32);
        assert_eq!(ints(1, 8, 3)?, i32s(&[3], &[1, 4, 7]));
        assert_eq!(ints(5, 0, -5)?, i32s(&[1], &[5]));
        assert_eq!(ints(0, 5, -1)?, i32s(&[0], &[]));
        assert!(ints(0, 5, 0).is_err());
        let floats = [f32s(&[], &[0.5]), f32s(&[], &[2.0]), f32s(&[], &[0.5])];
        assert_eq!(run(Op::Range, &floats, DType::Float32)?, f32s(&[3], &[0.5, 1.0, 1.5]));
        Ok(())
    }
}
