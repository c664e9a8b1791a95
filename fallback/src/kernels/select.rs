//! SELECT, SELECT_V2, WHERE.

use half::{bf16, f16};
use tflite_wgpu_model::{BuiltinOperator, DType, infer};

use super::checks::shape_output;
use super::elements::{Axis, copy, copy_all};
use super::movement::broadcast_axes;
use super::support::{no_type, refuse};
use super::{EvalCtx, KernelError, Row};
use crate::value::{Element, Value};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Select, eval: select },
    Row { op: BuiltinOperator::SelectV2, eval: select_v2 },
    Row { op: BuiltinOperator::Where, eval: where_ },
];

/// The condition has the values' shape, or one entry per row, or one entry.
fn select(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (condition, x, y) = (ctx.input(0)?, ctx.shape(1)?, ctx.shape(2)?);
    if x != y {
        return Err(refuse("the shapes of the values", format!("{x:?} and {y:?}"), "two equal ones"));
    }
    let mut shape = condition.shape().to_vec();
    if shape.len() == 1 && x.first() == Some(&shape[0]) {
        shape.resize(x.len(), 1);
    }
    choose(ctx, &shape, x)
}

fn select_v2(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shapes = [ctx.shape(0)?, ctx.shape(1)?, ctx.shape(2)?];
    let target = infer::broadcast(&shapes).map_err(|error| refuse("the inputs", error.found, error.expected))?;
    choose(ctx, shapes[0], &target)
}

/// Output 0 of shape `target`: input 1 where the condition, seen with shape `condition`, holds, else input 2.
fn choose(ctx: &mut EvalCtx<'_>, condition: &[usize], target: &[usize]) -> Result<(), KernelError> {
    let wrap = |error| KernelError::Input { input: 0, error };
    shape_output(ctx, 0, target)?;
    let mut flags = ctx.input(0)?.clone();
    flags.reshape(condition).map_err(wrap)?;
    let flags = broadcast(&flags, target)?;
    let x = broadcast(ctx.input(1)?, target)?;
    copy_all(&broadcast(ctx.input(2)?, target)?, ctx.output_value(0)?)?;
    let chosen = holds(&flags).ok_or_else(|| no_type(ctx, 0, "BOOL"))?;
    copy(&x, ctx.output_value(0)?, &[Axis { from: chosen.clone(), to: chosen }])
}

fn broadcast(value: &Value, target: &[usize]) -> Result<Value, KernelError> {
    if value.shape() == target {
        return Ok(value.clone());
    }
    let axes = broadcast_axes(value.shape(), target)?;
    let mut result = Value::zeros(value.dtype(), target).map_err(|error| KernelError::Output { output: 0, error })?;
    copy(value, &mut result, &axes)?;
    Ok(result)
}

/// Positions of the elements that are not zero; NaN is not zero.
fn holds(value: &Value) -> Option<Vec<usize>> {
    use DType::*;
    fn positions<T: Element>(value: &Value, zero: T) -> Option<Vec<usize>> {
        let elements = value.as_slice::<T>().ok()?.iter().enumerate();
        Some(elements.filter(|(_, element)| **element != zero).map(|(i, _)| i).collect())
    }
    match value.dtype() {
        Float32 => positions(value, 0f32),
        Float64 => positions(value, 0f64),
        Float16 => positions(value, f16::ZERO),
        BFloat16 => positions(value, bf16::ZERO),
        Int2 | Int4 | Int8 => positions(value, 0i8),
        UInt4 | UInt8 | Bool => positions(value, 0u8),
        Int16 => positions(value, 0i16),
        UInt16 => positions(value, 0u16),
        Int32 => positions(value, 0i32),
        UInt32 => positions(value, 0u32),
        Int64 => positions(value, 0i64),
        UInt64 => positions(value, 0u64),
        _ => None,
    }
}

/// Output `[found, rank]`: the indices of every element that is not zero, in C order.
fn where_(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    let shape = input.shape();
    let found = holds(input).ok_or_else(|| no_type(ctx, 0, "BOOL, an integer or a float"))?;
    ctx.set_output(0, &[found.len(), shape.len()])?;
    if shape.is_empty() {
        return Ok(());
    }
    for (row, mut rest) in ctx.output::<i64>(0)?.chunks_exact_mut(shape.len()).zip(found) {
        for (index, n) in row.iter_mut().zip(shape).rev() {
            *index = (rest % n) as i64;
            rest /= n;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::Op;

    use super::*;
    use crate::kernels::testing::{f32s, i32s, run, value};

    fn flags(shape: &[usize], list: &[u8]) -> Value {
        value(Value::from_slice(DType::Bool, shape, list))
    }

    #[test]
    fn conditions_choose() -> Result<(), KernelError> {
        let (x, y) = (i32s(&[2, 2], &[1, 2, 3, 4]), i32s(&[2, 2], &[5, 6, 7, 8]));
        let cases = [
            (Op::Select, flags(&[2, 2], &[1, 0, 0, 1]), [1, 6, 7, 4]),
            (Op::Select, flags(&[2], &[1, 0]), [1, 2, 7, 8]),
            (Op::Select, flags(&[], &[0]), [5, 6, 7, 8]),
            (Op::SelectV2, flags(&[2], &[1, 0]), [1, 6, 3, 8]),
        ];
        for (op, condition, expected) in cases {
            let found = run(op, &[condition, x.clone(), y.clone()], DType::Int32)?;
            assert_eq!(found, i32s(&[2, 2], &expected));
        }
        let broadcast = [flags(&[2, 1], &[1, 0]), i32s(&[], &[9]), i32s(&[2], &[1, 2])];
        assert_eq!(run(Op::SelectV2, &broadcast, DType::Int32)?, i32s(&[2, 2], &[9, 9, 1, 2]));
        assert!(run(Op::Select, &broadcast, DType::Int32).is_err());
        Ok(())
    }

    #[test]
    fn nonzero_elements_are_found() -> Result<(), KernelError> {
        let found = run(Op::Where, &[f32s(&[2, 2], &[0.0, -0.0, f32::NAN, 1e-30])], DType::Int64)?;
        assert_eq!(found, value(Value::from_slice(DType::Int64, &[2, 2], &[1i64, 0, 1, 1])));
        Ok(())
    }
}
