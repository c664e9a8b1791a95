//! From views to steps.

use tflite_wgpu_model::TensorId;

use super::{
    AXES, MAX_AXES,
    view::{Axis, Mode, View},
};
use crate::{
    ops::{LowerCtx, LowerError, StepBuilder, tile, transfer},
    region::{RegionNode, Texels},
};

/// Texels, or pairs of texels, that an invocation moves where it has a run of them.
const RUN: usize = 8;

/// An axis as kernels walk it: places read and written per index.
#[derive(Clone, Copy)]
struct Walked {
    axis: Axis,
    to: usize,
}

/// Fills `dst` by a view of `src`. `fill` holds the bits of what stands outside bounds.
///
/// # Errors
/// None but a bug of this library, or a grid beyond the limits.
pub fn emit(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    src: TensorId,
    dst: TensorId,
    view: &View,
    fill: u32,
) -> Result<(), LowerError> {
    view.check()?;
    if let Some(column) = view.whole_texels() {
        return texels(ctx, node, (src, dst), view, column, fill);
    }
    if let Some((a, b)) = transposed(view) {
        return transpose(ctx, node, (src, dst), view, a, b);
    }
    elements(ctx, node, (src, dst), view, fill)
}

/// Places and bounds of a walk; the innermost axis comes first here.
fn walk(
    mut step: StepBuilder,
    view: &View,
    (offset, target_offset): (isize, usize),
    axes: &[Walked],
    fill: u32,
) -> StepBuilder {
    let (mode, edge) = match view.mode {
        Mode::Plain => ("plain", 0),
        Mode::Bounded => ("bounded", 0),
        Mode::Mirror { edge } => ("mirror", edge),
    };
    step = step.text("mode", mode).param_i32("edge", signed(edge)).param("fill", fill as usize);
    step = step.param_i32("offset", offset as i64).param_i32("target_offset", signed(target_offset));
    let nothing = Walked { axis: Axis::new(1, 0), to: 0 };
    for (i, names) in AXES.iter().enumerate() {
        let Walked { axis, to } = axes.get(i).copied().unwrap_or(nothing);
        step = step.param(names.size, axis.size).param_i32(names.from, axis.step as i64);
        step = step.param_i32(names.to, signed(to));
        step = step.param_i32(names.low, signed(axis.low)).param_i32(names.count, signed(axis.count));
    }
    let class = [2, 4].into_iter().find(|&class| axes.len() <= class).unwrap_or(MAX_AXES);
    step.value("axes", class as i64)
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn start(ctx: &LowerCtx<'_>, kernel: &'static str, node: &RegionNode, ids: (TensorId, TensorId)) -> StepBuilder {
    let size = ctx.tuning.linear_workgroup;
    ctx.step(kernel, node).tensor("src", ids.0).tensor("dst", ids.1).value("workgroup", signed(size))
}

/// Axes innermost first, with the places they write in a result that is filled in order.
fn in_order(axes: &[Axis], unit: usize) -> Vec<Walked> {
    let mut to = unit;
    let walked = axes.iter().rev().map(|&axis| {
        let this = Walked { axis, to };
        to *= axis.size;
        this
    });
    walked.collect()
}

fn texels(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    ids: (TensorId, TensorId),
    view: &View,
    column: Axis,
    fill: u32,
) -> Result<(), LowerError> {
    let Texels { rows, width, channels } = ctx.region.tensor(ids.1).texels();
    let filled = view.mode == Mode::Bounded && fill != 0 && !column.size.is_multiple_of(4);
    let masked = filled || view.needs_mask();
    let in_texels = |axis: &Axis| Axis { step: axis.step / 4, ..*axis };
    let mut axes: Vec<Axis> = view.outer.iter().map(in_texels).collect();
    // Rows that follow each other are one long row, unless lanes depend on the column.
    let long = axes.last().is_some_and(|last| last.step == width.cast_signed()) && !masked;
    match axes.last_mut() {
        Some(last) if long && !matches!(view.mode, Mode::Mirror { .. }) => {
            *last = Axis { size: last.size * width, step: 1, low: last.low * width, count: last.count * width };
        }
        _ => axes.push(Axis::new(width, 1)),
    }
    if axes.len() > MAX_AXES {
        return elements(ctx, node, ids, view, fill);
    }
    if ctx.tuning.dialect.wide && view.mode == Mode::Plain && !masked {
        return runs(ctx, node, ids, view, (view.offset / 4, 0), in_order(&axes, 1));
    }
    let step = start(ctx, "move_texels", node, ids)
        .param("texels", rows * width)
        .param("channels", channels)
        .value("masked", i64::from(masked))
        .value("targets", 0)
        .linear(rows * width, ctx.tuning.linear_workgroup);
    walk(step, view, (view.offset / 4, 0), &in_order(&axes, 1), fill).finish(ctx)
}

/// Moves texels where finding a place costs more than a load: an invocation has a run of the innermost axis, whose
/// places follow each other on both sides, and moves two texels at once where all places are even.
fn runs(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    (src, dst): (TensorId, TensorId),
    view: &View,
    (offset, target_offset): (isize, usize),
    mut axes: Vec<Walked>,
) -> Result<(), LowerError> {
    let even = |walked: &Walked| walked.axis.step % 2 == 0 && walked.to.is_multiple_of(2);
    let outer_even = offset % 2 == 0 && target_offset.is_multiple_of(2) && axes.iter().skip(1).all(even);
    let length = axes.first().map_or(1, |first| first.axis.size);
    let texels = if outer_even { tile::texels_at_once(ctx, [src, dst], length) } else { 1 };
    for walked in &mut axes {
        walked.axis.step /= texels.cast_signed();
        walked.to /= texels;
    }
    if let Some(first) = axes.first_mut() {
        let (size, count) = ((length / texels).div_ceil(RUN), length / texels);
        *first = Walked { axis: Axis { size, step: RUN.cast_signed(), low: 0, count }, to: RUN };
    }
    let invocations = axes.iter().map(|walked| walked.axis.size).product();
    let step = start(ctx, "move_texels", node, (src, dst))
        .param("texels", invocations)
        .param("channels", ctx.region.tensor(dst).texels().channels)
        .value("masked", 0)
        .value("targets", 1)
        .value("run", signed(RUN))
        .value("texels", signed(texels))
        .linear(invocations, ctx.tuning.linear_workgroup);
    walk(step, view, (offset / texels.cast_signed(), target_offset / texels), &axes, 0).finish(ctx)
}

fn elements(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    ids: (TensorId, TensorId),
    view: &View,
    fill: u32,
) -> Result<(), LowerError> {
    let Texels { rows, width, channels } = ctx.region.tensor(ids.1).texels();
    let inner = |i: usize| view.inner.iter().rev().nth(i).copied().unwrap_or(Axis::new(1, 0));
    let (first, second, third) = (inner(0), inner(1), inner(2));
    let step = start(ctx, "move_elements", node, ids)
        .param("texels", rows * width)
        .param("width", width)
        .param("channels", channels)
        .param("m0", first.size)
        .param("m1", second.size)
        .param_i32("e0", first.step as i64)
        .param_i32("e1", second.step as i64)
        .param_i32("e2", third.step as i64)
        .param_i32("m_low", signed(first.low))
        .param_i32("m_count", signed(first.count))
        .value("inner", if view.inner.len() > 1 { 3 } else { 1 })
        .value("targets", 0)
        .linear(rows * width, ctx.tuning.linear_workgroup);
    walk(step, view, (view.offset, 0), &in_order(&view.outer, 1), fill).finish(ctx)
}

/// The columns of the result and those of the source, if they change places and all else is whole rows: the columns'
/// axis, and the position of the source's among the rows' axes.
fn transposed(view: &View) -> Option<(Axis, usize)> {
    let a = view.column()?;
    let b = view.outer.iter().position(|axis| axis.step == 1)?;
    let rest = view.outer.iter().enumerate().all(|(i, axis)| i == b || axis.step % 4 == 0);
    let rows = a.size == 1 || (a.step > 0 && a.step % 4 == 0);
    let plain = view.mode == Mode::Plain && view.offset % 4 == 0 && rows;
    (plain && rest).then_some((a, b))
}

fn transpose(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    ids: (TensorId, TensorId),
    view: &View,
    a: Axis,
    b: usize,
) -> Result<(), LowerError> {
    let Texels { width, .. } = ctx.region.tensor(ids.1).texels();
    let position = view.outer.len() - 1 - b;
    let mut axes = in_order(&view.outer, width);
    let columns = axes.remove(position);
    for walked in &mut axes {
        walked.axis.step /= 4;
    }
    let b_blocks = columns.axis.size.div_ceil(4);
    let blocks = axes.iter().map(|walked| walked.axis.size).product::<usize>() * width * b_blocks;
    let step = start(ctx, "transpose_blocks", node, ids)
        .param("blocks", blocks)
        .param("a_blocks", width)
        .param("b_blocks", b_blocks)
        .param("a_count", a.size)
        .param("b_count", columns.axis.size)
        .param("a_step", (a.step / 4).unsigned_abs())
        .param("b_step", columns.to)
        .value("targets", 1)
        .linear(blocks, ctx.tuning.linear_workgroup);
    walk(step, view, (view.offset / 4, 0), &axes, 0).finish(ctx)
}

/// Gives `dst` the elements of `src` in the same order: the same memory where texels coincide.
///
/// # Errors
/// None but a bug of this library, or a grid beyond the limits.
pub fn repack(ctx: &mut LowerCtx<'_>, node: &RegionNode, src: TensorId, dst: TensorId) -> Result<(), LowerError> {
    let (source, target) = (ctx.region.tensor(src), ctx.region.tensor(dst));
    let (from, to) = (source.texels(), target.texels());
    if from.channels == to.channels || (from.channels % 4 == 0 && to.channels % 4 == 0) {
        if source.storage == target.storage {
            ctx.alias(dst, src);
            return Ok(());
        }
        return transfer::copy(ctx, src, dst);
    }
    start(ctx, "repack", node, (src, dst))
        .param("texels", to.count())
        .param("width", to.width)
        .param("channels", to.channels)
        .param("source_width", from.width)
        .param("source_channels", from.channels)
        .linear(to.count(), ctx.tuning.linear_workgroup)
        .finish(ctx)
}

/// A part of each of `dst`'s blocks of `pitch` texels: `src` is written to texels `start …` of every block, `block`
/// texels each.
///
/// # Errors
/// None but a bug of this library, or a grid beyond the limits.
pub fn blocks(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    (src, dst): (TensorId, TensorId),
    (block, pitch, first): (usize, usize, usize),
) -> Result<(), LowerError> {
    let count = ctx.region.tensor(src).texels().count();
    let channels = ctx.region.tensor(dst).texels().channels;
    let view = View { offset: 0, outer: vec![], inner: vec![], mode: Mode::Plain, source_channels: channels };
    let axes = [
        Walked { axis: Axis::new(block, 1), to: 1 },
        Walked { axis: Axis::new(count / block.max(1), block.cast_signed()), to: pitch },
    ];
    if ctx.tuning.dialect.wide {
        return runs(ctx, node, (src, dst), &view, (0, first), axes.to_vec());
    }
    let step = start(ctx, "move_texels", node, (src, dst))
        .param("texels", count)
        .param("channels", channels)
        .value("masked", 0)
        .value("targets", 1)
        .linear(count, ctx.tuning.linear_workgroup);
    walk(step, &view, (0, first), &axes, 0).finish(ctx)
}
