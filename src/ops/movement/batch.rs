//! SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: pixels of a block become batches, and back.
//!
//! With paddings or crops a place depends on two axes at once, which no view expresses: those make a tensor of their
//! own in between.

use tflite_wgpu_model::{BuiltinOperator, Op};

use super::{
    Lowering, OpRow, Shapes, emit,
    forms::{Paddings, pad, paddings},
    movable,
    view::{Axis, Mode, View, steps},
};
use crate::{
    ops::{LowerCtx, LowerError, SupportCtx, movement::forms::Fill, types},
    reason::Reason,
    region::RegionNode,
};

/// Rows of this part of the family.
pub const ROW_TO_BATCH: OpRow =
    OpRow::new(BuiltinOperator::SpaceToBatchNd, support, lower).steers(&[1, 2]).takes(types::MOVABLE).ranks("2–8");
/// As [`ROW_TO_BATCH`].
pub const ROW_TO_SPACE: OpRow =
    OpRow::new(BuiltinOperator::BatchToSpaceNd, support, lower).steers(&[1, 2]).takes(types::MOVABLE).ranks("2–8");

/// What a node does, in the terms of both operators.
struct Blocks {
    /// Shape of the tensor in space, paddings or crops included.
    space: Vec<usize>,
    /// Block sizes of the dimensions after the batch.
    block: Vec<usize>,
    /// Paddings or crops of each dimension.
    edges: Paddings,
    /// Whether space becomes batches.
    to_batch: bool,
}

impl Blocks {
    fn of(node: &dyn Shapes) -> Result<Self, Reason> {
        const BLOCK: Reason = Reason::Value("a block size does not divide the tensor");
        let to_batch = matches!(node.op(), Op::SpaceToBatchNd);
        let size = |n: i64| usize::try_from(n).ok().filter(|&n| n > 0).ok_or(BLOCK);
        let block: Vec<usize> = node.ints(1)?.into_iter().map(size).collect::<Result<_, _>>()?;
        let source = node.input(0)?;
        if block.len() >= source.len() {
            return Err(Reason::Shape("more block sizes than dimensions after the batch"));
        }
        let inner = paddings(&node.ints(2)?, block.len())?;
        let mut edges = vec![(0, 0); source.len()];
        for (edge, of) in edges.iter_mut().skip(1).zip(&inner) {
            *edge = *of;
        }
        let outside = if to_batch { source } else { node.output(0)? };
        let grown = |(&n, &(before, after)): (&usize, &(usize, usize))| n.checked_add(before)?.checked_add(after);
        let space: Option<Vec<usize>> = outside.iter().zip(&edges).map(grown).collect();
        let space = space.filter(|space| space.len() == source.len()).ok_or(BLOCK)?;
        let blocks = Self { space, block, edges, to_batch };
        let batches = if to_batch { node.output(0)? } else { source };
        if blocks.batches().as_deref() == Some(batches) { Ok(blocks) } else { Err(BLOCK) }
    }

    /// Shape of the tensor in batches.
    fn batches(&self) -> Option<Vec<usize>> {
        let mut dims = self.space.clone();
        for (d, &size) in self.block.iter().enumerate() {
            let along = dims.get_mut(d + 1)?;
            if !along.is_multiple_of(size) {
                return None;
            }
            *along /= size;
            let batch = dims.first_mut()?;
            *batch = batch.checked_mul(size)?;
        }
        Some(dims)
    }

    fn has_edges(&self) -> bool {
        self.edges.iter().any(|edge| *edge != (0, 0))
    }

    /// Where the batches are read in space.
    fn batches_of(&self) -> Result<View, Reason> {
        let along = steps(&self.space);
        let mut batch = Vec::new();
        let mut dims = Vec::new();
        for (d, (&size, &step)) in self.space.iter().zip(&along).enumerate() {
            let Some(&block) = d.checked_sub(1).and_then(|b| self.block.get(b)) else {
                dims.push(vec![Axis::new(size, step)]);
                continue;
            };
            batch.push(Axis::new(block, step));
            dims.push(vec![Axis::new(size / block, step * block.cast_signed())]);
        }
        if let Some(first) = dims.first_mut() {
            first.splice(0..0, batch);
        }
        Ok(View::new(&self.space, 0, dims, Mode::Plain))
    }

    /// Where space is read in the batches.
    fn space_of(&self) -> Result<View, Reason> {
        let batches = self.batches().ok_or(Reason::Shape("batches"))?;
        let along = steps(&batches);
        let step = |d: usize| along.get(d).copied().unwrap_or(0);
        let images = self.space.first().copied().unwrap_or(1).cast_signed();
        let mut dims = Vec::new();
        for (d, &size) in self.space.iter().enumerate() {
            let Some(&block) = d.checked_sub(1).and_then(|b| self.block.get(b)) else {
                dims.push(vec![Axis::new(size, step(d))]);
                continue;
            };
            let later: usize = self.block.iter().skip(d).product();
            let next = images * later.cast_signed() * step(0);
            dims.push(vec![Axis::new(size / block, step(d)), Axis::new(block, next)]);
        }
        Ok(View::new(&batches, 0, dims, Mode::Plain))
    }

    /// Where the cropped tensor is read in space.
    fn cropped(&self, target: &[usize]) -> View {
        let along = steps(&self.space);
        let mut offset = 0;
        let mut dims = Vec::with_capacity(target.len());
        for ((&size, &step), &(before, _)) in target.iter().zip(&along).zip(&self.edges) {
            offset += before.cast_signed() * step;
            dims.push(vec![Axis::new(size, step)]);
        }
        View::new(&self.space, offset, dims, Mode::Plain)
    }

    /// The views that follow each other, the first reading the input.
    fn views(&self, node: &dyn Shapes) -> Result<Vec<View>, Reason> {
        let views = match (self.to_batch, self.has_edges()) {
            (true, false) => vec![self.batches_of()?],
            (true, true) => vec![pad(node.input(0)?, &self.edges, Mode::Bounded)?, self.batches_of()?],
            (false, false) => vec![self.space_of()?],
            (false, true) => vec![self.space_of()?, self.cropped(node.output(0)?)],
        };
        views.iter().try_for_each(View::check)?;
        Ok(views)
    }
}

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    movable(ctx, 0)?;
    Blocks::of(ctx)?.views(ctx).map(|_| ())
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let shapes = Lowering { ctx, node };
    let blocks = Blocks::of(&shapes)?;
    let views = blocks.views(&shapes)?;
    let (mut src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let fill = Fill::Zero.bits(ctx, node, dst)?;
    for (i, view) in views.iter().enumerate() {
        let target = if i + 1 == views.len() {
            dst
        } else {
            let like = ctx.region.tensor(dst);
            let (dtype, storage) = (like.dtype, like.storage);
            ctx.scratch("space with its edges", dtype, &blocks.space, storage)
        };
        emit(ctx, node, src, target, view, fill)?;
        src = target;
    }
    Ok(())
}
