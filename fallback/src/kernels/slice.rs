//! Boxes of a tensor: SLICE, STRIDED_SLICE, DYNAMIC_UPDATE_SLICE.

use tflite_wgpu_model::infer::{SliceDim, StridedSliceArgs, strided_slice_plan};
use tflite_wgpu_model::{BuiltinOperator, Op};

use super::checks::{shape_output, size, wrong_operator};
use super::elements::{copy, copy_all, picks, places};
use super::support::refuse;
use super::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Slice, eval: slice },
    Row { op: BuiltinOperator::StridedSlice, eval: strided_slice },
    Row { op: BuiltinOperator::DynamicUpdateSlice, eval: dynamic_update_slice },
];

/// `size` −1 takes everything from `begin` on.
fn slice(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    let (begin, sizes) = (ctx.ints(1)?, ctx.ints(2)?);
    if begin.len() != input.shape().len() || sizes.len() != input.shape().len() {
        let found = format!("{} begins and {} sizes", begin.len(), sizes.len());
        return Err(refuse("the slice", found, format!("one for each of {} dimensions", input.shape().len())));
    }
    let range = |((&n, &begin), &length): ((&usize, &i64), &i64)| {
        let start = size("a begin", begin)?;
        let end = if length == -1 { n } else { start.saturating_add(size("a size", length)?) };
        if start > n || end > n {
            return Err(refuse("the slice", format!("{start}..{end}"), format!("a range of 0..{n}")));
        }
        Ok((start..end).collect())
    };
    let indices = input.shape().iter().zip(&begin).zip(&sizes).map(range).collect::<Result<Vec<Vec<usize>>, _>>()?;
    shape_output(ctx, 0, &indices.iter().map(Vec::len).collect::<Vec<_>>())?;
    copy(input, ctx.output_value(0)?, &picks(input.shape(), &indices))
}

/// Starts are clamped so that the update lies inside the operand.
fn dynamic_update_slice(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (operand, update, starts) = (ctx.input(0)?, ctx.input(1)?, ctx.ints(2)?);
    let rank = operand.shape().len();
    if update.shape().len() != rank || starts.len() != rank {
        let found = format!("shape {:?} with {} starts", update.shape(), starts.len());
        return Err(refuse("the update", found, format!("{rank} dimensions and as many starts")));
    }
    let clamp = |((&n, &m), &start): ((&usize, &usize), &i64)| {
        let room =
            n.checked_sub(m).ok_or_else(|| refuse("the update", format!("length {m}"), format!("at most {n}")))?;
        Ok(usize::try_from(start.max(0)).unwrap_or(usize::MAX).min(room))
    };
    let starts = operand.shape().iter().zip(update.shape()).zip(&starts).map(clamp).collect::<Result<Vec<_>, _>>()?;
    shape_output(ctx, 0, operand.shape())?;
    copy_all(operand, ctx.output_value(0)?)?;
    copy(update, ctx.output_value(0)?, &places(update.shape(), operand.shape(), &starts))
}

fn strided_slice(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StridedSlice(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let input = ctx.input(0)?;
    let (begin, end, strides) = (ctx.ints(1)?, ctx.ints(2)?, ctx.ints(3)?);
    let args = StridedSliceArgs { begin: &begin, end: &end, strides: &strides, options };
    let plan =
        strided_slice_plan(input.shape(), &args).map_err(|error| refuse("the slice", error.found, error.expected))?;
    let index = |dim: &SliceDim, i: usize| dim.begin.saturating_add_signed(dim.stride.saturating_mul(i as isize));
    let indices: Vec<Vec<usize>> = plan.dims.iter().map(|dim| (0..dim.size).map(|i| index(dim, i)).collect()).collect();
    shape_output(ctx, 0, &plan.shape())?;
    copy(input, ctx.output_value(0)?, &picks(input.shape(), &indices))
}
