//! STABLEHLO_GATHER and STABLEHLO_SCATTER.

use tflite_wgpu_model::{BuiltinOperator, Op};

use super::region::{Region, put};
use super::{axes, indices, out_shape};
use crate::kernels::checks::{sizes, wrong_operator};
use crate::kernels::elements::{Axis, copy, copy_all, strides};
use crate::kernels::support::refuse;
use crate::kernels::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::StablehloGather, eval: gather },
    Row { op: BuiltinOperator::StablehloScatter, eval: scatter },
];

/// Index vectors: one dimension of a tensor holds their components, or each is of one component.
struct IndexVectors {
    values: Vec<i64>,
    /// Steps along the dimensions that number the vectors.
    steps: Vec<usize>,
    /// From one component to the next.
    component: usize,
}

impl IndexVectors {
    fn new(ctx: &EvalCtx<'_>, input: usize, dimension: i64, components: usize) -> Result<Self, KernelError> {
        let shape = ctx.shape(input)?;
        let mut steps = strides(shape);
        let dimension = usize::try_from(dimension).ok().filter(|&d| d <= shape.len());
        let dimension = dimension.ok_or_else(|| refuse("index_vector_dim", format!("{dimension:?}"), "a dimension"))?;
        let (length, component) =
            if dimension < shape.len() { (shape[dimension], steps.remove(dimension)) } else { (1, 0) };
        if length != components {
            return Err(refuse("components of an index", length, components.to_string()));
        }
        Ok(Self { values: ctx.ints(input)?, steps, component })
    }

    /// Component `c` of the vector with these numbers.
    fn at(&self, numbers: impl Iterator<Item = usize>, c: usize) -> i64 {
        let at: usize = numbers.zip(&self.steps).map(|(n, step)| n * step).sum();
        self.values.get(at + c * self.component).copied().unwrap_or(0)
    }
}

/// The dimensions of `0..rank` that are not in `list`.
fn others(rank: usize, list: &[usize]) -> Vec<usize> {
    (0..rank).filter(|d| !list.contains(d)).collect()
}

/// Slices at given starts, which are moved so that the slices lie inside.
fn gather(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloGather(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let (shape, target) = (ctx.shape(0)?, out_shape(ctx, 0)?);
    let window = sizes("slice_sizes", &options.slice_sizes, shape.len())?;
    let offsets = axes("offset_dims", &options.offset_dims, target.len())?;
    let collapsed = axes("collapsed_slice_dims", &options.collapsed_slice_dims, shape.len())?;
    let map = axes("start_index_map", &options.start_index_map, shape.len())?;
    let vectors = IndexVectors::new(ctx, 1, options.index_vector_dim, map.len())?;
    let (batch, kept, steps) = (others(target.len(), &offsets), others(shape.len(), &collapsed), strides(shape));
    if kept.len() != offsets.len() || window.iter().zip(shape).any(|(part, size)| part > size) {
        return Err(refuse("slice_sizes", format!("{window:?}"), format!("slices of {shape:?}")));
    }
    let mut at = vec![0; target.len()];
    let mut from = Vec::with_capacity(ctx.output_value(0)?.len());
    for element in 0..ctx.output_value(0)?.len() {
        indices(element, &target, &mut at);
        let mut place = vec![0; shape.len()];
        for (c, &d) in map.iter().enumerate() {
            let start = vectors.at(batch.iter().map(|&b| at[b]), c).max(0);
            place[d] = usize::try_from(start).unwrap_or(usize::MAX).min(shape[d] - window[d]);
        }
        offsets.iter().zip(&kept).for_each(|(&offset, &d)| place[d] += at[offset]);
        from.push(place.iter().zip(&steps).map(|(i, step)| i * step).sum());
    }
    let to = (0..from.len()).collect();
    copy(ctx.input(0)?, ctx.output_value(0)?, &[Axis { from, to }])
}

/// Updates are combined with elements by a region, one after the other; those outside are ignored.
fn scatter(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloScatter(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let (shape, updates) = (ctx.shape(0)?, ctx.input(2)?);
    let rank = updates.shape().len();
    let windows = axes("update_window_dims", &options.update_window_dims, rank)?;
    let inserted = axes("inserted_window_dims", &options.inserted_window_dims, shape.len())?;
    let map = axes("scatter_dims_to_operand_dims", &options.scatter_dims_to_operand_dims, shape.len())?;
    let vectors = IndexVectors::new(ctx, 1, options.index_vector_dim, map.len())?;
    let mut region = Region::new(ctx, options.update_computation_subgraph_index, 2, 1)?;
    let (batch, kept, steps) = (others(rank, &windows), others(shape.len(), &inserted), strides(shape));
    if kept.len() != windows.len() {
        return Err(refuse("update_window_dims", windows.len(), kept.len().to_string()));
    }
    copy_all(ctx.input(0)?, ctx.output_value(0)?)?;
    let mut at = vec![0; rank];
    for element in 0..updates.len() {
        indices(element, updates.shape(), &mut at);
        let mut place = vec![0i64; shape.len()];
        for (c, &d) in map.iter().enumerate() {
            place[d] = vectors.at(batch.iter().map(|&b| at[b]), c);
        }
        windows.iter().zip(&kept).for_each(|(&w, &d)| place[d] = place[d].saturating_add(at[w] as i64));
        let inside = |(&i, &size): (&i64, &usize)| usize::try_from(i).ok().filter(|&i| i < size);
        let Some(place) = place.iter().zip(shape).map(inside).collect::<Option<Vec<_>>>() else { continue };
        let to = place.iter().zip(&steps).map(|(i, step)| i * step).sum();
        region.give(0, ctx.output_value(0)?, to)?;
        region.give(1, updates, element)?;
        region.run()?;
        put(ctx.output_value(0)?, to, region.result(0)?)?;
    }
    Ok(())
}
