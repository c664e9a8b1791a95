//! SCATTER_ND and ONE_HOT: values put by index.

use std::ops::Range;

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, Op, infer::normalize_axis};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, INTS, elementwise, known_shapes},
    movement::{Lowering, MOVABLE, Shapes, fits},
    types,
};
use crate::{
    kernels::{
        BindingRow, KernelRow,
        ParamType::{self, U32},
        input, output, weights,
    },
    plan::step::WeightData,
    reason::Reason,
    region::{RegionNode, Storage, Texels},
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    scatter_row("scatter_slices"),
    scatter_row("scatter_elements"),
    KernelRow {
        name: "one_hot",
        file: "one_hot.wgsl",
        bindings: &[input("indices"), input("on"), input("off"), output("dst")],
        params: &[
            ("texels", U32),
            ("width", U32),
            ("channels", U32),
            ("index_width", U32),
            ("index_channels", U32),
            ("depth", U32),
            ("inner", U32),
        ],
        epilogue: false,
        twin: "gather",
    },
];

const fn scatter_row(name: &'static str) -> KernelRow {
    KernelRow { name, file: "scatter.wgsl", bindings: BINDINGS, params: PARAMS, epilogue: true, twin: "gather" }
}

const BINDINGS: &[BindingRow] = &[input("updates"), weights("starts"), weights("list"), output("dst")];

const PARAMS: &[(&str, ParamType)] = &[
    ("texels", U32),
    ("width", U32),
    ("channels", U32),
    ("update_width", U32),
    ("update_channels", U32),
    ("inner", U32),
];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(B::ScatterNd, scatter_support, scatter_lower).fuses().steers(&[0, 2]).takes(types::NUMBERS),
    OpRow::new(B::OneHot, one_hot_support, one_hot_lower).steers(&[1]).takes(types::MOVABLE),
];

/// Which updates every slice of a result takes: those at `starts[s] .. starts[s + 1]` of `list`.
#[derive(Debug, PartialEq)]
struct Sums {
    starts: Vec<i32>,
    list: Vec<i32>,
}

impl Sums {
    /// The sums of `slices` slices when update `u` is added to slice `targets[u]`.
    fn new(slices: usize, targets: &[usize]) -> Self {
        let word = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|&u| targets.get(u).copied());
        let mut starts = Vec::with_capacity(slices + 1);
        let mut at = 0;
        for slice in 0..=slices {
            while order.get(at).and_then(|&u| targets.get(u)).is_some_and(|&target| target < slice) {
                at += 1;
            }
            starts.push(word(at));
        }
        Self { starts, list: order.into_iter().map(word).collect() }
    }
}

/// The slices that updates go to, and the dimensions of a slice.
fn targets(node: &dyn Shapes) -> Result<(Vec<usize>, Range<usize>), Reason> {
    const MISMATCH: Reason = Reason::Shape("the updates do not have the shape that follows from the indices");
    let (shape, index_shape) = (node.output(0)?, node.input(0)?);
    let (&depth, rows) = index_shape.split_last().ok_or(MISMATCH)?;
    let (sizes, inner) = shape.split_at_checked(depth).ok_or(MISMATCH)?;
    if depth == 0 || [rows, inner].concat() != node.input(1)? {
        return Err(MISMATCH);
    }
    let target = |row: &[i64]| {
        row.iter().zip(sizes).try_fold(0usize, |sum, (&index, &size)| {
            let index = usize::try_from(index).ok().filter(|&index| index < size);
            index.map(|index| sum * size + index).ok_or(Reason::Value("an index is outside the tensor"))
        })
    };
    let list = node.ints(0)?;
    Ok((list.chunks_exact(depth).map(target).collect::<Result<_, _>>()?, depth..shape.len()))
}

fn scatter_support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(1, &[FLOATS, INTS].concat())?;
    ctx.output_is(0, &[ctx.input_type(1)?])?;
    fits(ctx, 1)?;
    known_shapes(ctx)?;
    targets(ctx).map(|_| ())
}

fn scatter_lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (targets, inner) = targets(&Lowering { ctx, node })?;
    let (updates, dst) = (ctx.input(node, 1)?, ctx.output(node, 0)?);
    let dims = ctx.dims(dst).to_vec();
    let (outer, slice) = (dims.get(..inner.start).unwrap_or_default(), dims.get(inner).unwrap_or_default());
    let sums = Sums::new(outer.iter().product(), &targets);
    let key = format!("scatter {} {dims:?}", ctx.input(node, 0)?);
    let padded = |mut words: Vec<i32>| {
        words.resize(words.len().next_multiple_of(4).max(4), 0);
        WeightData::Int(words)
    };
    let starts = ctx.weights(&format!("{key} starts"), Storage::I32, || padded(sums.starts));
    let list = ctx.weights(&format!("{key} list"), Storage::I32, || padded(sums.list));
    let from = ctx.region.tensor(updates).texels();
    let kernel = if slice.is_empty() { "scatter_elements" } else { "scatter_slices" };
    elementwise(ctx, kernel, node, dst)
        .tensor("updates", updates)
        .operand("starts", starts)
        .operand("list", list)
        .param("update_width", from.width)
        .param("update_channels", from.channels)
        .param("inner", Texels::of(slice).count())
        .fused(&node.fused)
        .finish(ctx)
}

/// Elements of a slice of the result's indexed axis, and the axis' length.
fn hot(node: &dyn Shapes) -> Result<(usize, usize), Reason> {
    let Op::OneHot(options) = node.op() else { return Err(Reason::UnsupportedOperator) };
    let (shape, target) = (node.input(0)?, node.output(0)?);
    let axis = normalize_axis(options.axis.into(), target.len()).map_err(|_| Reason::Attribute("axis"))?;
    let depth = target.get(axis).copied().unwrap_or(0);
    let mut expected = shape.to_vec();
    if axis <= expected.len() {
        expected.insert(axis, depth);
    }
    if expected != target {
        return Err(Reason::Shape("the result's shape does not follow from the inputs"));
    }
    Ok((shape.iter().skip(axis).product(), depth))
}

fn one_hot_support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, INTS)?;
    ctx.input_is(2, MOVABLE)?;
    ctx.input_is(3, &[ctx.input_type(2)?])?;
    ctx.output_is(0, &[ctx.input_type(2)?])?;
    for i in [0, 2, 3] {
        fits(ctx, i)?;
    }
    known_shapes(ctx)?;
    hot(ctx).map(|_| ())
}

fn one_hot_lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (inner, depth) = hot(&Lowering { ctx, node })?;
    let (indices, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let from = ctx.region.tensor(indices).texels();
    elementwise(ctx, "one_hot", node, dst)
        .tensor("indices", indices)
        .tensor("on", ctx.input(node, 2)?)
        .tensor("off", ctx.input(node, 3)?)
        .param("index_width", from.width)
        .param("index_channels", from.channels)
        .param("depth", depth)
        .param("inner", inner)
        .finish(ctx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_list_updates_by_slice() {
        let sums = Sums::new(4, &[2, 0, 2]);
        assert_eq!(sums, Sums { starts: vec![0, 1, 1, 3, 3], list: vec![1, 0, 2] });
    }
}
