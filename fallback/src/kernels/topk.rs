//! TOPK_V2: the largest elements of each row, falling, and where they were.

use tflite_wgpu_model::{BuiltinOperator, DType};

use super::checks::{shape_output, size};
use super::support::{larger_first, no_type, refuse};
use super::{Element, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::TopkV2, eval }];

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => of::<f32>(ctx),
        DType::Int8 => of::<i8>(ctx),
        DType::UInt8 => of::<u8>(ctx),
        DType::Int16 => of::<i16>(ctx),
        DType::Int32 => of::<i32>(ctx),
        DType::Int64 => of::<i64>(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8, UINT8, INT16, INT32 or INT64")),
    }
}

fn of<T: Element + PartialOrd>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let k = match ctx.ints(1)?.as_slice() {
        [k] => size("k", *k)?,
        other => return Err(refuse("number of elements of input 1", other.len(), "1")),
    };
    let input = ctx.slice::<T>(0)?;
    let mut shape = ctx.shape(0)?.to_vec();
    let Some(last) = shape.last_mut() else { return Err(refuse("rank of input 0", 0, "1 or more")) };
    let length = std::mem::replace(last, k);
    if k > length {
        return Err(refuse("k", k, format!("at most the {length} of a row")));
    }
    let (mut values, mut positions) = (Vec::new(), Vec::new());
    for row in input.chunks_exact(length.max(1)) {
        let mut order: Vec<usize> = (0..length).collect();
        // The sort is stable: of equal elements the first comes first.
        order.sort_by(|&a, &b| larger_first(&row[a], &row[b]));
        values.extend(order[..k].iter().map(|&i| row[i]));
        positions.extend_from_slice(&order[..k]);
    }
    shape_output(ctx, 0, &shape)?;
    shape_output(ctx, 1, &shape)?;
    ctx.output::<T>(0)?.copy_from_slice(&values);
    match ctx.output_value(1)?.dtype() {
        DType::Int16 => write::<i16>(ctx, &positions),
        _ => write::<i32>(ctx, &positions),
    }
}

fn write<I: Element + TryFrom<usize>>(ctx: &mut EvalCtx<'_>, positions: &[usize]) -> Result<(), KernelError> {
    for (out, &position) in ctx.output::<I>(1)?.iter_mut().zip(positions) {
        *out = I::try_from(position).map_err(|_| refuse("an index", position, "one that output 1 can hold"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::Op;

    use super::*;
    use crate::kernels::testing::{Output, f32s, i32s, run_quantised};

    #[test]
    fn equal_elements_keep_their_order() -> Result<(), KernelError> {
        let input = f32s(&[2, 4], &[1.0, 3.0, 3.0, -1.0, 0.0, 0.0, 0.0, 5.0]);
        let top = |k: i32| {
            let inputs = [Some((input.clone(), None)), Some((i32s(&[], &[k]), None))];
            run_quantised(Op::TopkV2, &inputs, &[Output(DType::Float32, &[], None), Output(DType::Int32, &[], None)])
        };
        let outputs = top(2)?;
        assert_eq!(outputs, [f32s(&[2, 2], &[3.0, 3.0, 5.0, 0.0]), i32s(&[2, 2], &[1, 2, 3, 0])]);
        assert!(top(5).is_err() && top(-1).is_err());
        Ok(())
    }

    #[test]
    fn what_is_no_number_comes_last() -> Result<(), KernelError> {
        let row: Vec<f32> = (0..100).map(|i| if i % 3 == 1 { f32::NAN } else { (i * 37 % 100) as f32 }).collect();
        let inputs = [Some((f32s(&[100], &row), None)), Some((i32s(&[], &[100]), None))];
        let outputs = [Output(DType::Float32, &[], None), Output(DType::Int32, &[], None)];
        let found = run_quantised(Op::TopkV2, &inputs, &outputs)?;
        let values = found[0].as_slice::<f32>().unwrap_or_default();
        let numbers = row.iter().filter(|value| !value.is_nan()).count();
        assert!(values[..numbers].is_sorted_by(|a, b| a >= b) && values[numbers..].iter().all(|value| value.is_nan()));
        Ok(())
    }
}
