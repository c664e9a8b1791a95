//! MEAN, SUM and the REDUCE_ operators.
//!
//! Outer dimensions are folded first, then the innermost. A fold of many rows into few texels is cut into segments
//! that run side by side, whose results are folded in a step of their own.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op, TensorId, infer};

use super::{
    LowerCtx, LowerError, OpRow, StepBuilder, SupportCtx,
    broadcast::{FLOATS, INTS, elementwise, known_shapes},
    types,
};
use crate::{
    kernels::{KernelRow, ParamType::U32, input, output},
    reason::Reason,
    region::{RegionNode, Storage},
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    KernelRow {
        name: "reduce_rows",
        file: "reduce.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[
            ("texels", U32),
            ("width", U32),
            ("channels", U32),
            ("size1", U32),
            ("size2", U32),
            ("kept0", U32),
            ("kept1", U32),
            ("kept2", U32),
            ("count0", U32),
            ("count1", U32),
            ("reduced0", U32),
            ("reduced1", U32),
            ("start", U32),
            ("divisor", U32),
        ],
        epilogue: true,
        twin: "reduce",
    },
    KernelRow {
        name: "reduce_channels",
        file: "reduce.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[
            ("texels", U32),
            ("width", U32),
            ("channels", U32),
            ("src_width", U32),
            ("length", U32),
            ("start", U32),
            ("divisor", U32),
        ],
        epilogue: true,
        twin: "reduce",
    },
];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    row(B::Mean, means, true).leaves("integers: their sum may need more than 32 bits"),
    row(B::Sum, sums, true).takes(types::NUMBERS),
    row(B::ReduceProd, products, true).takes("FLOAT32, FLOAT16, BFLOAT16, INT32"),
    row(B::ReduceMax, extremes, true).takes("FLOAT32, FLOAT16, BFLOAT16, INT32, INT64, INT16, INT8, UINT8"),
    row(B::ReduceMin, extremes, true).takes("FLOAT32, FLOAT16, BFLOAT16, INT32, INT64, INT16, INT8, UINT8"),
    row(B::ReduceAny, logical, false).takes("BOOL"),
    row(B::ReduceAll, logical, false).takes("BOOL"),
];

const fn row(op: BuiltinOperator, support: super::Support, fuses: bool) -> OpRow {
    OpRow { fuses, ..OpRow::new(op, support, lower).steers(&[1]) }
}

fn check(ctx: &SupportCtx<'_>, types: &[DType]) -> Result<(), Reason> {
    ctx.input_is(0, types)?;
    ctx.output_is(0, if FLOATS.contains(&ctx.input_type(0)?) { FLOATS } else { types })?;
    known_shapes(ctx)?;
    let rank = ctx.input_dims(0)?.len();
    infer::reduced_axes(&ctx.constant_ints(1)?, rank).map(|_| ()).map_err(|_| Reason::Value("an axis is out of range"))
}

/// The sum inside an integer mean may need more than 32 bits: the CPU's.
fn means(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    check(ctx, FLOATS)
}

fn sums(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    check(ctx, &[FLOATS, INTS].concat())
}

fn products(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    check(ctx, &[FLOATS, &[DType::Int32]].concat())
}

fn extremes(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    use DType::*;
    check(ctx, &[FLOATS, INTS, &[Int16, Int8, UInt8]].concat())
}

fn logical(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    check(ctx, &[DType::Bool])
}

/// What is folded, and how.
#[derive(Clone, Copy)]
struct Fold {
    /// The template's expression of `acc` and `v`.
    expression: &'static str,
    /// Bits of the value that changes nothing.
    start: u32,
    /// Whether the last step divides by the number of elements.
    mean: bool,
    /// Number of elements that go into one.
    count: usize,
}

fn fold(op: &Op, int: bool, count: usize) -> Option<Fold> {
    let of = |expression, start: u32| Some(Fold { expression, start, mean: false, count });
    match (op, int) {
        (Op::Mean(_), _) => Some(Fold { expression: "acc + v", start: 0, mean: true, count }),
        (Op::Sum(_), _) => of("acc + v", 0),
        (Op::ReduceProd(_), true) => of("acc * v", 1),
        (Op::ReduceProd(_), false) => of("acc * v", 1f32.to_bits()),
        (Op::ReduceMax(_), false) => of("select(acc, v, v > acc)", f32::NEG_INFINITY.to_bits()),
        (Op::ReduceMin(_), false) => of("select(acc, v, v < acc)", f32::INFINITY.to_bits()),
        (Op::ReduceMax(_), true) => of("max(acc, v)", i32::MIN.cast_unsigned()),
        (Op::ReduceMin(_), true) => of("min(acc, v)", i32::MAX.cast_unsigned()),
        (Op::ReduceAny(_), _) => of("max(acc, v)", 0),
        (Op::ReduceAll(_), _) => of("min(acc, v)", 1),
        _ => None,
    }
}

/// Neighbouring outer dimensions with the same fate, as one: size, whether reduced.
type Groups = Vec<(usize, bool)>;

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let dims = ctx.dims(src).to_vec();
    let axes = infer::reduced_axes(&ctx.constant_ints(node, 1)?, dims.len());
    let axes = axes.map_err(|_| Reason::Value("an axis is out of range"))?;
    let count = axes.iter().filter_map(|&axis| dims.get(axis)).product();
    let int = ctx.region.tensor(src).storage == Storage::I32;
    let fold = fold(&node.op, int, count).ok_or(Reason::UnsupportedOperator)?;
    let (mut channels, outer) = dims.split_last().map_or((1, &[][..]), |(&last, outer)| (last, outer));
    let mut groups: Groups = outer.iter().enumerate().map(|(axis, &d)| (d, axes.contains(&axis))).collect();
    let inner = !dims.is_empty() && axes.contains(&outer.len());
    let target = if ctx.tuning.class.is_software() { 64 } else { 4096 };
    let rows: usize = groups.iter().filter(|group| !group.1).map(|group| group.0).product();
    if inner
        && rows < target
        && let Some(part) = row_part(channels)
    {
        groups.push((channels / part, true));
        channels = part;
    }
    let passes = passes(groups, channels.div_ceil(4), target);
    let count = passes.len() + usize::from(inner);
    if count == 0 {
        let fused = elementwise(ctx, "unary", node, dst).tensor("src", src).text("op", "v").fused(&node.fused);
        return fused.finish(ctx);
    }
    let mut from = src;
    for (i, groups) in passes.iter().enumerate() {
        let last = i + 1 == count;
        let to = if last { dst } else { partial(ctx, dst, groups, channels) };
        rows_step(ctx, node, to, groups, fold, last)?.tensor("src", from).finish(ctx)?;
        from = to;
    }
    if inner {
        let step = finishing(elementwise(ctx, "reduce_channels", node, dst), node, fold, true);
        let step = step.param("src_width", channels.div_ceil(4)).param("length", channels);
        step.tensor("src", from).finish(ctx)?;
    }
    Ok(())
}

/// Sums of parts of an image's cells, in f32, for each of `[batch, cells, channels]`: the sums and their number, or the
/// image itself where its cells have no such parts.
pub(super) fn sum_parts(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    image: TensorId,
    [batch, cells, channels]: [usize; 3],
) -> Result<(TensorId, usize), LowerError> {
    let Some(parts) = divisor(cells, PARTS) else { return Ok((image, cells)) };
    let groups = vec![(batch, false), (parts, false), (cells / parts, true)];
    let fold = Fold { expression: "acc + v", start: 0, mean: false, count: cells };
    let to = partial(ctx, image, &groups, channels);
    rows_step(ctx, node, to, &groups, fold, false)?.tensor("src", image).finish(ctx)?;
    Ok((to, parts))
}

/// Elements of the parts into which a long row of full texels is cut; the parts are then folded as rows.
fn row_part(channels: usize) -> Option<usize> {
    if channels < 1024 || !channels.is_multiple_of(4) {
        return None;
    }
    divisor(channels / 4, 8).map(|texels| texels * 4)
}

/// Parts, at the least, into which the cells of an image are cut before their mean is taken.
const PARTS: usize = 16;

/// The smallest divisor of `n` that is at least `least`, if it is not much larger.
fn divisor(n: usize, least: usize) -> Option<usize> {
    (least..=(least * 16).min(n / 2)).find(|d| n.is_multiple_of(*d))
}

/// Merges neighbours and drops dimensions of one.
fn merge(groups: Groups) -> Groups {
    let mut merged = Groups::new();
    for (size, reduced) in groups.into_iter().filter(|group| group.0 != 1) {
        match merged.last_mut() {
            Some(last) if last.1 == reduced => last.0 *= size,
            _ => merged.push((size, reduced)),
        }
    }
    merged
}

/// Steps over the outer dimensions: in each, the groups that are folded are marked.
fn passes(groups: Groups, columns: usize, target: usize) -> Vec<Groups> {
    let mut groups = merge(groups);
    let mut passes = Vec::new();
    let outputs = groups.iter().filter(|group| !group.1).map(|group| group.0).product::<usize>() * columns;
    let largest = (0..groups.len()).filter(|&i| groups[i].1).max_by_key(|&i| groups[i].0);
    if let Some(i) = largest
        && outputs < target
        && groups[i].0 >= 256
        && let Some(segments) = divisor(groups[i].0, target.div_ceil(outputs).min(groups[i].0 / 32))
    {
        let mut pass: Groups = groups.iter().map(|group| (group.0, false)).collect();
        pass.splice(i..=i, [(segments, false), (groups[i].0 / segments, true)]);
        passes.push(merge(pass));
        groups[i].0 = segments;
    }
    while kept(&groups) > 3 || reduced(&groups) > 2 {
        let first = groups.iter().position(|group| group.1).unwrap_or(0);
        let pass = groups.iter().enumerate().map(|(i, group)| (group.0, i == first));
        passes.push(merge(pass.collect()));
        groups[first].0 = 1;
        groups = merge(groups);
    }
    if groups.iter().any(|group| group.1) {
        passes.push(groups);
    }
    passes
}

fn kept(groups: &Groups) -> usize {
    groups.iter().filter(|group| !group.1).count()
}

fn reduced(groups: &Groups) -> usize {
    groups.iter().filter(|group| group.1).count()
}

/// A tensor between two steps.
fn partial(ctx: &mut LowerCtx<'_>, dst: TensorId, groups: &Groups, channels: usize) -> TensorId {
    let tensor = ctx.region.tensor(dst);
    let storage = if tensor.storage == Storage::I32 { Storage::I32 } else { Storage::F32 };
    let dtype = tensor.dtype;
    let dims: Vec<usize> = groups.iter().filter(|g| !g.1).map(|g| g.0).chain([channels]).collect();
    ctx.scratch("partial result", dtype, &dims, storage)
}

/// What only a last step does: divide, apply the epilogue.
fn finishing(step: StepBuilder, node: &RegionNode, fold: Fold, last: bool) -> StepBuilder {
    let step = step.param("start", fold.start as usize).param("divisor", fold.count);
    let step = step.text("op", fold.expression).value("mean", i64::from(fold.mean && last));
    if last { step.fused(&node.fused) } else { step }
}

/// One step over outer dimensions; `groups` holds at most three that stay and two that are folded.
fn rows_step(
    ctx: &LowerCtx<'_>,
    node: &RegionNode,
    dst: TensorId,
    groups: &Groups,
    fold: Fold,
    last: bool,
) -> Result<StepBuilder, LowerError> {
    let (mut kept, mut reduced) = ([(1, 0); 3], [(1, 0); 2]);
    let (mut kept_slots, mut reduced_slots) = (kept.iter_mut().rev(), reduced.iter_mut().rev());
    let mut stride = 1;
    for &(size, is_reduced) in groups.iter().rev() {
        let slot = if is_reduced { reduced_slots.next() } else { kept_slots.next() };
        *slot.ok_or(Reason::Shape("too many groups of reduced dimensions"))? = (size, stride);
        stride *= size;
    }
    let step = finishing(elementwise(ctx, "reduce_rows", node, dst), node, fold, last);
    Ok(step
        .param("size1", kept[1].0)
        .param("size2", kept[2].0)
        .param("kept0", kept[0].1)
        .param("kept1", kept[1].1)
        .param("kept2", kept[2].1)
        .param("count0", reduced[0].0)
        .param("count1", reduced[1].0)
        .param("reduced0", reduced[0].1)
        .param("reduced1", reduced[1].1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_dimensions_are_folded_in_few_steps() {
        assert_eq!(passes(vec![(2, false), (7, true), (7, true)], 80, 64), [vec![(2, false), (49, true)]]);
        assert_eq!(passes(vec![(1, true), (1, false)], 1, 64), Vec::<Groups>::new());
        let segments = passes(vec![(1, false), (112, true), (112, true)], 4, 64);
        assert_eq!(segments, [vec![(16, false), (784, true)], vec![(16, true)]]);
        let alternating = vec![(2, true), (3, false), (2, true), (3, false), (2, true), (3, false), (2, false)];
        let steps = passes(alternating, 8, 64);
        assert_eq!(steps.len(), 2);
        assert!(steps.iter().all(|groups| kept(groups) <= 3 || reduced(groups) == 1));
        assert_eq!(passes(vec![(257, true)], 1, 64), [vec![(257, true)]]);
    }

    #[test]
    fn long_rows_are_cut_at_texels() {
        assert_eq!(row_part(1000), None);
        assert_eq!(row_part(1026), None);
        assert_eq!(row_part(1024), Some(32));
        assert_eq!(row_part(4 * 257), None);
    }
}
