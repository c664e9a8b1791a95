//! ARG_MAX and ARG_MIN.

use tflite_wgpu_model::{BuiltinOperator, DType, infer};

use super::support::{check_len, mismatch, no_type, refuse};
use super::{Element, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::ArgMax, eval: |ctx| eval(ctx, true) },
    Row { op: BuiltinOperator::ArgMin, eval: |ctx| eval(ctx, false) },
];

fn eval(ctx: &mut EvalCtx<'_>, max: bool) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => arg::<f32>(ctx, max),
        DType::Bool | DType::UInt8 => arg::<u8>(ctx, max),
        DType::Int8 => arg::<i8>(ctx, max),
        DType::Int16 => arg::<i16>(ctx, max),
        DType::Int32 => arg::<i32>(ctx, max),
        DType::Int64 => arg::<i64>(ctx, max),
        _ => Err(no_type(ctx, 0, "FLOAT32, BOOL, UINT8, INT8, INT16, INT32 or INT64")),
    }
}

/// Position of the largest (smallest) element along the axis in input 1, of equal ones the first.
fn arg<T: Element + PartialOrd>(ctx: &mut EvalCtx<'_>, max: bool) -> Result<(), KernelError> {
    let (input, shape) = (ctx.slice::<T>(0)?, ctx.shape(0)?);
    let axis = match ctx.ints(1)?.as_slice() {
        &[axis] => infer::normalize_axis(axis, shape.len()).map_err(mismatch)?,
        other => return Err(refuse("input 1", format!("{other:?}"), "one axis")),
    };
    let size = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    if size == 0 && outer * inner > 0 {
        return Err(refuse("shape of input 0", format!("{shape:?}"), "elements along the axis"));
    }
    let position = |at: usize| {
        let start = at / inner * size * inner + at % inner;
        let better = |a: T, b: T| if max { a > b } else { a < b };
        let at = |i: usize| input[start + i * inner];
        (1..size).fold(0, |best, i| if better(at(i), at(best)) { i } else { best })
    };
    let count = outer * inner;
    match ctx.output_value(0)?.dtype() {
        DType::Int64 => {
            let out = ctx.output::<i64>(0)?;
            check_len(out, count, "output 0")?;
            (0..count).zip(out).for_each(|(at, out)| *out = position(at) as i64);
        }
        _ => {
            let out = ctx.output::<i32>(0)?;
            check_len(out, count, "output 0")?;
            (0..count).zip(out).for_each(|(at, out)| *out = position(at) as i32);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{ArgMaxOptions, ArgMinOptions, Op};

    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::run;

    #[test]
    fn the_first_of_equal_elements() -> Result<(), Box<dyn std::error::Error>> {
        let (x, axis) = (Value::f32(&[2, 3], &[1.0, 5.0, 5.0, 2.0, 0.0, 0.0])?, Value::i32(&[], &[-1])?);
        let max = Op::ArgMax(ArgMaxOptions { output_type: DType::Int32 });
        let out = run(max, &[Some(&x), Some(&axis)], DType::Int32, &[2])?;
        assert_eq!(out.as_slice::<i32>()?, [1, 0]);
        let (min, axis) = (Op::ArgMin(ArgMinOptions { output_type: DType::Int64 }), Value::i32(&[], &[0])?);
        let out = run(min, &[Some(&x), Some(&axis)], DType::Int64, &[3])?;
        assert_eq!(out.as_slice::<i64>()?, [0, 1, 1]);
        Ok(())
    }
}
