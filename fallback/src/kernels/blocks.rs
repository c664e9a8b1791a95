//! Blocks of pixels: SPACE_TO_DEPTH, DEPTH_TO_SPACE, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND.
//!
//! Each is a transposition of a tensor seen with more axes.

use tflite_wgpu_model::{BuiltinOperator, Op};

use super::checks::{shape_output, size, sizes, wrong_operator};
use super::elements::{Axis, copy, count, fill, strides};
use super::pad::zero;
use super::support::refuse;
use super::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::SpaceToDepth, eval: space_to_depth },
    Row { op: BuiltinOperator::DepthToSpace, eval: depth_to_space },
    Row { op: BuiltinOperator::SpaceToBatchNd, eval: space_to_batch },
    Row { op: BuiltinOperator::BatchToSpaceNd, eval: batch_to_space },
];

/// The block size and the NHWC shape of input 0.
fn depth_sizes(ctx: &EvalCtx<'_>, block: i32) -> Result<(usize, [usize; 4]), KernelError> {
    let block = size("block_size", block.into())?;
    let shape = ctx.shape(0)?;
    let nhwc =
        <[usize; 4]>::try_from(shape).map_err(|_| refuse("the input", format!("shape {shape:?}"), "4 dimensions"))?;
    if block == 0 { Err(refuse("block_size", 0, "at least 1")) } else { Ok((block, nhwc)) }
}

/// Axes batch, row, column, row in the block, column in the block, channel of the two tensors.
fn depth_axes(lengths: [usize; 6], wide: &[usize], deep: &[usize], to_depth: bool) -> Vec<Axis> {
    let [_, _, _, block, _, channels] = lengths;
    let (w, d) = (strides(wide), strides(deep));
    let wide_steps = [w[0], block * w[1], block * w[2], w[1], w[2], 1];
    let deep_steps = [d[0], d[1], d[2], block * channels, channels, 1];
    let (from, to) = if to_depth { (wide_steps, deep_steps) } else { (deep_steps, wide_steps) };
    let offsets = |d: usize| Axis {
        from: (0..lengths[d]).map(|i| i * from[d]).collect(),
        to: (0..lengths[d]).map(|i| i * to[d]).collect(),
    };
    (0..6).map(offsets).collect()
}

fn space_to_depth(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::SpaceToDepth(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let (block, [n, h, w, c]) = depth_sizes(ctx, options.block_size)?;
    if !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(refuse("the input", format!("{h} × {w} pixels"), format!("multiples of {block}")));
    }
    let input = ctx.input(0)?;
    let shape = [n, h / block, w / block, c.saturating_mul(block).saturating_mul(block)];
    shape_output(ctx, 0, &shape)?;
    let axes = depth_axes([n, h / block, w / block, block, block, c], input.shape(), &shape, true);
    copy(input, ctx.output_value(0)?, &axes)
}

fn depth_to_space(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::DepthToSpace(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let (block, [n, h, w, c]) = depth_sizes(ctx, options.block_size)?;
    if !block.checked_mul(block).is_some_and(|area| c.is_multiple_of(area)) {
        return Err(refuse("the input", format!("{c} channels"), format!("a multiple of {block} · {block}")));
    }
    let input = ctx.input(0)?;
    let channels = c / (block * block);
    let shape = [n, h.saturating_mul(block), w.saturating_mul(block), channels];
    count(&shape)?;
    shape_output(ctx, 0, &shape)?;
    let axes = depth_axes([n, h, w, block, block, channels], &shape, input.shape(), false);
    copy(input, ctx.output_value(0)?, &axes)
}

/// Block sizes and, for each, the paddings or crops.
fn batch_sizes(ctx: &EvalCtx<'_>) -> Result<(Vec<usize>, Vec<usize>), KernelError> {
    let list = ctx.ints(1)?;
    let block = sizes("a block size", &list, list.len())?;
    let edges = sizes("a padding or crop", &ctx.ints(2)?, 2 * block.len())?;
    if block.contains(&0) || block.len() >= ctx.shape(0)?.len() {
        let found = format!("{block:?} for shape {:?}", ctx.shape(0)?);
        return Err(refuse("the block", found, "positive sizes of axes after the batch"));
    }
    Ok((block, edges))
}

/// Batch `(offset in block) · n + b` of the output holds the padded input's pixels at that offset.
fn space_to_batch(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (block, paddings) = batch_sizes(ctx)?;
    let input = ctx.input(0)?;
    let mut shape = input.shape().to_vec();
    for (d, &b) in block.iter().enumerate() {
        let padded = shape[d + 1].saturating_add(paddings[2 * d]).saturating_add(paddings[2 * d + 1]);
        if !padded.is_multiple_of(b) {
            return Err(refuse("the padded length", padded, format!("a multiple of {b}")));
        }
        shape[d + 1] = padded / b;
        shape[0] = shape[0].saturating_mul(b);
    }
    count(&shape)?;
    shape_output(ctx, 0, &shape)?;
    fill(&zero(ctx, input.dtype())?, ctx.output_value(0)?)?;
    let axes = batch_axes(input.shape(), &shape, &block, &paddings);
    copy(input, ctx.output_value(0)?, &axes)
}

fn batch_to_space(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (block, crops) = batch_sizes(ctx)?;
    let input = ctx.input(0)?;
    let mut shape = input.shape().to_vec();
    let blocks = count(&block)?;
    if !shape[0].is_multiple_of(blocks) {
        return Err(refuse("the batch", shape[0], format!("a multiple of {blocks}")));
    }
    shape[0] /= blocks;
    for (d, &b) in block.iter().enumerate() {
        let whole = shape[d + 1].saturating_mul(b);
        let cropped = whole.checked_sub(crops[2 * d].saturating_add(crops[2 * d + 1]));
        shape[d + 1] = cropped.ok_or_else(|| refuse("the crops", format!("{crops:?}"), format!("at most {whole}")))?;
    }
    count(&shape)?;
    shape_output(ctx, 0, &shape)?;
    let axes = batch_axes(&shape, input.shape(), &block, &crops);
    let swap = |axis: Axis| Axis { from: axis.to, to: axis.from };
    copy(input, ctx.output_value(0)?, &axes.into_iter().map(swap).collect::<Vec<_>>())
}

/// From every element of the wide tensor (padded or cropped by `edges`) to its place among the batches.
fn batch_axes(wide: &[usize], batches: &[usize], block: &[usize], edges: &[usize]) -> Vec<Axis> {
    let (from, to) = (strides(wide), strides(batches));
    let offsets = |d: usize| {
        let indices = 0..wide[d];
        let targets = match d.checked_sub(1).filter(|&b| b < block.len()) {
            None => indices.clone().map(|i| i * to[d]).collect(),
            Some(b) => {
                let batch: usize = wide[0] * block[b + 1..].iter().product::<usize>();
                let place = |i: usize| (i % block[b]) * batch * to[0] + i / block[b] * to[d];
                indices.clone().map(|i| place(i + edges[2 * b])).collect()
            }
        };
        Axis { from: indices.map(|i| i * from[d]).collect(), to: targets }
    };
    (0..wide.len()).map(offsets).collect()
}
