//! Elements by index: GATHER, GATHER_ND, SCATTER_ND, ONE_HOT, SPARSE_TO_DENSE.

use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::checks::{axis, shape_output, size, wrong_operator};
use super::elements::{Axis, copy, count, fill, strides};
use super::support::{no_type, refuse};
use super::{EvalCtx, KernelError, Row};
use crate::value::Element;

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Gather, eval: gather },
    Row { op: BuiltinOperator::GatherNd, eval: gather_nd },
    Row { op: BuiltinOperator::ScatterNd, eval: scatter_nd },
    Row { op: BuiltinOperator::OneHot, eval: one_hot },
    Row { op: BuiltinOperator::SparseToDense, eval: sparse_to_dense },
];

/// An index of an axis of length `n`; negative ones are outside.
///
/// # Errors
/// When it is outside.
pub(super) fn index(value: i64, n: usize) -> Result<usize, KernelError> {
    let inside = usize::try_from(value).ok().filter(|&i| i < n);
    inside.ok_or_else(|| refuse("an index", value, format!("one of 0..{n}")))
}

/// `count` offsets that are `step` apart.
fn run(count: usize, step: usize) -> Vec<usize> {
    (0..count).map(|i| i * step).collect()
}

/// Output `[batch, outer, indices, inner]` takes slices of `inner` elements from the axis after `batch` and `outer`.
fn gather(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Gather(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let input = ctx.input(0)?;
    let shape = input.shape();
    let axis = axis("axis", options.axis.into(), shape.len())?;
    let index_shape = ctx.shape(1)?;
    let batch_dims = i64::from(options.batch_dims);
    let batch_dims = if batch_dims < 0 { batch_dims + index_shape.len() as i64 } else { batch_dims };
    let batch_dims = usize::try_from(batch_dims).ok().filter(|&b| b <= axis && b <= index_shape.len());
    let batch_dims = batch_dims.ok_or_else(|| refuse("batch_dims", options.batch_dims, "at most the axis"))?;
    if shape[..batch_dims] != index_shape[..batch_dims] {
        let expected = format!("that of the input, {shape:?}, in the first {batch_dims} dimensions");
        return Err(refuse("the shape of the indices", format!("{index_shape:?}"), expected));
    }
    let target: Vec<usize> = [&shape[..axis], &index_shape[batch_dims..], &shape[axis + 1..]].concat();
    count(&target)?;
    shape_output(ctx, 0, &target)?;
    let batch = count(&shape[..batch_dims])?;
    let outer = count(&shape[batch_dims..axis])?;
    let inner = count(&shape[axis + 1..])?;
    let indices = ctx.ints(1)?.into_iter().map(|i| index(i, shape[axis])).collect::<Result<Vec<_>, _>>()?;
    let per_batch = indices.len() / batch.max(1);
    for b in 0..batch {
        let chosen = &indices[b * per_batch..][..per_batch];
        let axes = [
            Axis { from: vec![b * outer * shape[axis] * inner], to: vec![b * outer * per_batch * inner] },
            Axis { from: run(outer, shape[axis] * inner), to: run(outer, per_batch * inner) },
            Axis { from: chosen.iter().map(|i| i * inner).collect(), to: run(per_batch, inner) },
            Axis { from: run(inner, 1), to: run(inner, 1) },
        ];
        copy(input, ctx.output_value(0)?, &axes)?;
    }
    Ok(())
}

/// Offsets in a tensor of shape `shape` of the slices that the rows of `indices` (shape `[…, depth]`) name.
///
/// # Errors
/// When a row has more entries than `shape` or an entry is outside.
fn slice_offsets(indices: &[i64], index_shape: &[usize], shape: &[usize]) -> Result<Vec<usize>, KernelError> {
    let depth = index_shape.last().copied().unwrap_or(0);
    if depth > shape.len() || index_shape.is_empty() {
        let expected = format!("at least one dimension, the last at most {}", shape.len());
        return Err(refuse("the shape of the indices", format!("{index_shape:?}"), expected));
    }
    if depth == 0 {
        return Ok(vec![0; count(&index_shape[..index_shape.len() - 1])?]);
    }
    let steps = strides(shape);
    let offset = |row: &[i64]| {
        row.iter().enumerate().try_fold(0, |sum, (d, &i)| Ok::<_, KernelError>(sum + index(i, shape[d])? * steps[d]))
    };
    indices.chunks_exact(depth).map(offset).collect()
}

fn gather_nd(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    let index_shape = ctx.shape(1)?;
    let offsets = slice_offsets(&ctx.ints(1)?, index_shape, input.shape())?;
    let depth = index_shape.last().copied().unwrap_or(0);
    let target = [&index_shape[..index_shape.len() - 1], &input.shape()[depth..]].concat();
    let inner = count(&input.shape()[depth..])?;
    count(&target)?;
    shape_output(ctx, 0, &target)?;
    let slices = Axis { to: run(offsets.len(), inner), from: offsets };
    copy(input, ctx.output_value(0)?, &[slices, Axis { from: run(inner, 1), to: run(inner, 1) }])
}

/// Updates that name the same slice are added up.
fn scatter_nd(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.ints(2)?.into_iter().map(|d| size("a dimension", d)).collect::<Result<Vec<_>, _>>()?;
    count(&shape)?;
    let index_shape = ctx.shape(0)?;
    let offsets = slice_offsets(&ctx.ints(0)?, index_shape, &shape)?;
    let depth = index_shape.last().copied().unwrap_or(0);
    let updates = [&index_shape[..index_shape.len() - 1], &shape[depth..]].concat();
    if ctx.shape(1)? != updates {
        return Err(refuse("the shape of the updates", format!("{:?}", ctx.shape(1)?), format!("{updates:?}")));
    }
    ctx.set_output(0, &shape)?;
    match ctx.input(1)?.dtype() {
        DType::Float32 => scatter(ctx, &offsets, |sum: f32, v| sum + v),
        DType::Float64 => scatter(ctx, &offsets, |sum: f64, v| sum + v),
        DType::Int8 => scatter(ctx, &offsets, i8::wrapping_add),
        DType::UInt8 => scatter(ctx, &offsets, u8::wrapping_add),
        DType::Int16 => scatter(ctx, &offsets, i16::wrapping_add),
        DType::Int32 => scatter(ctx, &offsets, i32::wrapping_add),
        DType::Int64 => scatter(ctx, &offsets, i64::wrapping_add),
        DType::Bool => scatter(ctx, &offsets, |sum: u8, v| sum | v),
        _ => Err(no_type(ctx, 1, "FLOAT32, FLOAT64, BOOL, UINT8 or a signed integer")),
    }
}

fn scatter<T: Element>(ctx: &mut EvalCtx<'_>, offsets: &[usize], add: impl Fn(T, T) -> T) -> Result<(), KernelError> {
    let updates = ctx.slice::<T>(1)?;
    let output = ctx.output::<T>(0)?;
    let inner = updates.len() / offsets.len().max(1);
    if inner == 0 {
        return Ok(());
    }
    for (&offset, updates) in offsets.iter().zip(updates.chunks_exact(inner)) {
        for (sum, &update) in output[offset..].iter_mut().zip(updates) {
            *sum = add(*sum, update);
        }
    }
    Ok(())
}

/// Indices outside 0..depth give a row of off values.
fn one_hot(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::OneHot(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let shape = ctx.shape(0)?;
    let depth = match ctx.ints(1)?.as_slice() {
        [depth] => size("depth", *depth)?,
        list => return Err(refuse("depth", format!("{} numbers", list.len()), "one number")),
    };
    let at = axis("axis", options.axis.into(), shape.len() + 1)?;
    let mut target = shape.to_vec();
    target.insert(at, depth);
    count(&target)?;
    shape_output(ctx, 0, &target)?;
    fill(ctx.input(3)?, ctx.output_value(0)?)?;
    let inner = count(&shape[at..])?;
    let place = |(i, value): (usize, i64)| {
        let hot = index(value, depth).ok()?;
        Some((i / inner * depth + hot) * inner + i % inner)
    };
    let places: Vec<usize> = ctx.ints(0)?.into_iter().enumerate().filter_map(place).collect();
    copy(ctx.input(2)?, ctx.output_value(0)?, &[Axis { from: vec![0; places.len()], to: places }])
}

fn sparse_to_dense(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.ints(1)?.into_iter().map(|d| size("a dimension", d)).collect::<Result<Vec<_>, _>>()?;
    count(&shape)?;
    let depth = shape.len();
    let index_shape = match *ctx.shape(0)? {
        [] => [1, 1],
        [rows] => [rows, 1],
        [rows, columns] => [rows, columns],
        ref other => return Err(refuse("the shape of the indices", format!("{other:?}"), "at most 2 dimensions")),
    };
    if index_shape[1] != depth {
        return Err(refuse("the length of an index", index_shape[1], format!("that of the shape, {depth}")));
    }
    let offsets = slice_offsets(&ctx.ints(0)?, &index_shape, &shape)?;
    shape_output(ctx, 0, &shape)?;
    fill(ctx.input(3)?, ctx.output_value(0)?)?;
    let values = ctx.input(2)?;
    let from = match values.len() {
        1 => vec![0; offsets.len()],
        n if n == offsets.len() => run(n, 1),
        n => return Err(refuse("the number of values", n, format!("1 or {}", offsets.len()))),
    };
    copy(values, ctx.output_value(0)?, &[Axis { from, to: offsets }])
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{GatherOptions, OneHotOptions, SparseToDenseOptions};

    use super::*;
    use crate::kernels::testing::{f32s, i32s, run};

    fn gather(axis: i32, batch_dims: i32) -> Op {
        Op::Gather(GatherOptions { axis, batch_dims })
    }

    #[test]
    fn slices_are_taken_by_index() -> Result<(), KernelError> {
        let table = i32s(&[2, 3], &[0, 1, 2, 3, 4, 5]);
        let take = |op, indices| run(op, &[table.clone(), indices], DType::Int32);
        assert_eq!(take(gather(0, 0), i32s(&[2], &[1, 1]))?, i32s(&[2, 3], &[3, 4, 5, 3, 4, 5]));
        assert_eq!(take(gather(-1, 0), i32s(&[], &[2]))?, i32s(&[2], &[2, 5]));
        assert_eq!(take(gather(1, 1), i32s(&[2, 1], &[2, 0]))?, i32s(&[2, 1], &[2, 3]));
        assert_eq!(take(Op::GatherNd, i32s(&[2, 2], &[1, 0, 0, 2]))?, i32s(&[2], &[3, 2]));
        assert_eq!(take(Op::GatherNd, i32s(&[1, 1], &[1]))?, i32s(&[1, 3], &[3, 4, 5]));
        Ok(())
    }

    #[test]
    fn values_are_put_by_index() -> Result<(), KernelError> {
        let scatter = [i32s(&[3, 1], &[2, 0, 2]), f32s(&[3], &[1.0, 2.0, 4.0]), i32s(&[1], &[3])];
        assert_eq!(run(Op::ScatterNd, &scatter, DType::Float32)?, f32s(&[3], &[2.0, 0.0, 5.0]));
        let dense = [i32s(&[2], &[1, 3]), i32s(&[1], &[4]), i32s(&[], &[7]), i32s(&[], &[-1])];
        let op = Op::SparseToDense(SparseToDenseOptions::default());
        assert_eq!(run(op, &dense, DType::Int32)?, i32s(&[4], &[-1, 7, -1, 7]));
        let hot = [i32s(&[2], &[1, -1]), i32s(&[], &[2]), i32s(&[], &[1]), i32s(&[], &[0])];
        let one_hot = |axis| Op::OneHot(OneHotOptions { axis });
        assert_eq!(run(one_hot(-1), &hot, DType::Int32)?, i32s(&[2, 2], &[0, 1, 0, 0]));
        assert_eq!(run(one_hot(0), &hot, DType::Int32)?, i32s(&[2, 2], &[0, 0, 1, 0]));
        Ok(())
    }

    #[test]
    fn indices_outside_are_errors() {
        let table = || i32s(&[2, 3], &[0; 6]);
        let cases = [
            (gather(0, 0), vec![table(), i32s(&[1], &[2])]),
            (gather(0, 0), vec![table(), i32s(&[1], &[-1])]),
            (gather(2, 0), vec![table(), i32s(&[1], &[0])]),
            (gather(0, 1), vec![table(), i32s(&[1], &[0])]),
            (gather(1, 1), vec![table(), i32s(&[1, 1], &[0])]),
            (Op::GatherNd, vec![table(), i32s(&[1, 2], &[0, 3])]),
            (Op::GatherNd, vec![table(), i32s(&[1, 3], &[0, 0, 0])]),
            (Op::ScatterNd, vec![i32s(&[1, 1], &[3]), i32s(&[1], &[1]), i32s(&[1], &[3])]),
            (Op::ScatterNd, vec![i32s(&[1, 1], &[0]), i32s(&[2], &[1, 1]), i32s(&[1], &[3])]),
            (Op::ScatterNd, vec![i32s(&[1, 1], &[0]), i32s(&[1], &[1]), i32s(&[1], &[-3])]),
        ];
        for (op, inputs) in cases {
            assert!(run(op.clone(), &inputs, DType::Int32).is_err(), "{op:?}");
        }
    }
}
