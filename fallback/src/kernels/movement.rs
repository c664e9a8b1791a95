//! Shapes and orders: RESHAPE, SQUEEZE, EXPAND_DIMS, TRANSPOSE, TILE, BROADCAST_TO, BROADCAST_ARGS, REVERSE_V2,
//! REVERSE_SEQUENCE.

use tflite_wgpu_model::{BuiltinOperator, Op};

use super::checks::{axis, shape_output, size, sizes, wrong_operator};
use super::elements::{Axis, copy, copy_all, count, permutes, picks, strides};
use super::support::refuse;
use super::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Reshape, eval: same_order },
    Row { op: BuiltinOperator::Squeeze, eval: same_order },
    Row { op: BuiltinOperator::ExpandDims, eval: same_order },
    Row { op: BuiltinOperator::Transpose, eval: transpose },
    Row { op: BuiltinOperator::Tile, eval: tile },
    Row { op: BuiltinOperator::BroadcastTo, eval: broadcast_to },
    Row { op: BuiltinOperator::BroadcastArgs, eval: broadcast_args },
    Row { op: BuiltinOperator::ReverseV2, eval: reverse },
    Row { op: BuiltinOperator::ReverseSequence, eval: reverse_sequence },
];

/// RESHAPE, SQUEEZE, EXPAND_DIMS: the same elements in the same order; inference has checked the shape.
fn same_order(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    copy_all(ctx.input(0)?, ctx.output_value(0)?)
}

fn transpose(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    let rank = input.shape().len();
    let list = ctx.ints(1)?;
    let permutation = list.iter().map(|&d| axis("the permutation", d, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(refuse("the permutation", format!("{list:?}"), format!("every axis of {rank} once")));
    }
    let shape: Vec<usize> = permutation.iter().map(|&d| input.shape()[d]).collect();
    shape_output(ctx, 0, &shape)?;
    copy(input, ctx.output_value(0)?, &permutes(input.shape(), &permutation))
}

fn tile(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    let multiples = sizes("a multiple", &ctx.ints(1)?, input.shape().len())?;
    let shape: Vec<usize> = input.shape().iter().zip(&multiples).map(|(&n, &m)| n.saturating_mul(m)).collect();
    count(&shape)?;
    shape_output(ctx, 0, &shape)?;
    let indices: Vec<Vec<usize>> =
        input.shape().iter().zip(&shape).map(|(&n, &m)| (0..m).map(|i| i % n).collect()).collect();
    copy(input, ctx.output_value(0)?, &picks(input.shape(), &indices))
}

fn broadcast_to(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    let target = ctx.ints(1)?.iter().map(|&d| size("a dimension", d)).collect::<Result<Vec<_>, _>>()?;
    count(&target)?;
    shape_output(ctx, 0, &target)?;
    let axes = broadcast_axes(input.shape(), &target)?;
    copy(input, ctx.output_value(0)?, &axes)
}

/// Repeats a tensor of shape `source` along the axes of `target` where it has length one or no axis at all.
///
/// # Errors
/// When an axis has another length.
pub(super) fn broadcast_axes(source: &[usize], target: &[usize]) -> Result<Vec<Axis>, KernelError> {
    let mismatch = || refuse("the input", format!("shape {source:?}"), format!("one that broadcasts to {target:?}"));
    let missing = target.len().checked_sub(source.len()).ok_or_else(mismatch)?;
    let (from, to) = (strides(source), strides(target));
    let offsets = |(d, &length): (usize, &usize)| {
        let step = match d.checked_sub(missing) {
            Some(s) if source[s] == length => from[s],
            Some(s) if source[s] != 1 => return Err(mismatch()),
            _ => 0,
        };
        Ok(Axis { from: (0..length).map(|i| i * step).collect(), to: (0..length).map(|i| i * to[d]).collect() })
    };
    target.iter().enumerate().map(offsets).collect()
}

fn broadcast_args(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (a, b) = (ctx.ints(0)?, ctx.ints(1)?);
    let rank = a.len().max(b.len());
    let at = |shape: &[i64], d: usize| (d + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    let pair = |d| match (at(&a, d), at(&b, d)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        _ => Err(refuse("the shapes", format!("{a:?} and {b:?}"), "two that broadcast")),
    };
    let shape = (0..rank).map(pair).collect::<Result<Vec<_>, _>>()?;
    shape_output(ctx, 0, &[rank])?;
    super::checks::write_ints(ctx, 0, &shape)
}

fn reverse(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    let mut indices: Vec<Vec<usize>> = input.shape().iter().map(|&n| (0..n).collect()).collect();
    for d in ctx.ints(1)? {
        let d = axis("the axis", d, indices.len())?;
        indices[d] = (0..input.shape()[d]).rev().collect();
    }
    shape_output(ctx, 0, input.shape())?;
    copy(input, ctx.output_value(0)?, &picks(input.shape(), &indices))
}

/// The first `lengths[b]` elements of axis `seq_dim` are reversed in entry `b` of axis `batch_dim`.
fn reverse_sequence(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::ReverseSequence(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let input = ctx.input(0)?;
    let shape = input.shape();
    let seq = axis("seq_dim", options.seq_dim.into(), shape.len())?;
    let batch = axis("batch_dim", options.batch_dim.into(), shape.len())?;
    let lengths = ctx.ints(1)?;
    if seq == batch || lengths.len() != shape[batch] {
        let found = format!("{} lengths for axis {batch} of {shape:?}", lengths.len());
        return Err(refuse("the lengths", found, "one for each entry of an axis other than seq_dim"));
    }
    shape_output(ctx, 0, shape)?;
    for (b, &length) in lengths.iter().enumerate() {
        let length = size("a length", length)?;
        if length > shape[seq] {
            return Err(refuse("a length", length, format!("at most {}", shape[seq])));
        }
        let mut axes = picks(shape, &shape.iter().map(|&n| (0..n).collect()).collect::<Vec<_>>());
        axes[seq].from[..length].reverse();
        axes[batch] = Axis { from: vec![axes[batch].from[b]], to: vec![axes[batch].to[b]] };
        copy(input, ctx.output_value(0)?, &axes)?;
    }
    Ok(())
}
