//! CUMSUM.

use tflite_wgpu_model::{BuiltinOperator, DType, Op, infer};

use super::support::{expect_shape, mismatch, no_type, refuse};
use super::{Element, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::Cumsum, eval }];

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => sums(ctx, |a: f32, b| a + b),
        DType::Int32 => sums(ctx, i32::wrapping_add),
        DType::Int64 => sums(ctx, i64::wrapping_add),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT32 or INT64")),
    }
}

/// Running sums along the axis in input 1; `exclusive` leaves out an element's own value, `reverse` starts at the end.
fn sums<T: Element + Default>(ctx: &mut EvalCtx<'_>, add: fn(T, T) -> T) -> Result<(), KernelError> {
    let Op::Cumsum(options) = &ctx.node.op else { return Err(refuse("operator", "another", "CUMSUM")) };
    let (input, shape) = (ctx.slice::<T>(0)?, ctx.shape(0)?);
    expect_shape(ctx, 0, shape)?;
    let axis = match ctx.ints(1)?.as_slice() {
        &[axis] => infer::normalize_axis(axis, shape.len()).map_err(mismatch)?,
        other => return Err(refuse("input 1", format!("{other:?}"), "one axis")),
    };
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let size = shape[axis];
    let out = ctx.output::<T>(0)?;
    for line in 0..outer * inner {
        let start = line / inner * size * inner + line % inner;
        let mut sum = T::default();
        for step in 0..size {
            let at = start + inner * if options.reverse { size - 1 - step } else { step };
            let next = add(sum, input[at]);
            out[at] = if options.exclusive { sum } else { next };
            sum = next;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::CumsumOptions;

    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::{run_f32, values};

    #[test]
    fn both_directions() -> Result<(), Box<dyn std::error::Error>> {
        let x = values(&[2, 3])?;
        for (exclusive, reverse, axis, expected) in [
            (false, false, 1, [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]),
            (true, false, -1, [0.0, 1.0, 3.0, 0.0, 4.0, 9.0]),
            (false, true, 0, [5.0, 7.0, 9.0, 4.0, 5.0, 6.0]),
            (true, true, 1, [5.0, 3.0, 0.0, 11.0, 6.0, 0.0]),
        ] {
            let op = Op::Cumsum(CumsumOptions { exclusive, reverse });
            let out = run_f32(op.clone(), &[Some(&x), Some(&Value::i32(&[], &[axis])?)], &[2, 3])?;
            assert_eq!(out, expected, "{op:?} {axis}");
        }
        Ok(())
    }
}
