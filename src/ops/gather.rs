//! GATHER, GATHER_ND and EMBEDDING_LOOKUP: slices of a tensor by index.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op, infer::normalize_axis};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::known_shapes,
    movement::{Lowering, MOVABLE, Shapes, fits},
    types,
};
use crate::{
    kernels::{
        BindingRow, KernelRow,
        ParamType::{self, U32},
        input, output,
    },
    reason::Reason,
    region::{RegionNode, Texels},
};

/// Numbers that an index is made of, at most.
pub const MAX_DEPTH: usize = 6;

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[row("gather_slices"), row("gather_elements")];

const fn row(name: &'static str) -> KernelRow {
    KernelRow { name, file: "gather.wgsl", bindings: BINDINGS, params: PARAMS, epilogue: false, twin: "gather" }
}

const BINDINGS: &[BindingRow] = &[input("src"), input("indices"), output("dst")];

const PARAMS: &[(&str, ParamType)] = &[
    ("texels", U32),
    ("width", U32),
    ("channels", U32),
    ("source_width", U32),
    ("source_channels", U32),
    ("index_width", U32),
    ("index_channels", U32),
    ("inner", U32),
    ("count", U32),
    ("outer", U32),
    ("pitch", U32),
    ("size0", U32),
    ("size1", U32),
    ("size2", U32),
    ("size3", U32),
    ("size4", U32),
    ("size5", U32),
    ("step0", U32),
    ("step1", U32),
    ("step2", U32),
    ("step3", U32),
    ("step4", U32),
    ("step5", U32),
];

const SIZES: [&str; MAX_DEPTH] = ["size0", "size1", "size2", "size3", "size4", "size5"];
const STEPS: [&str; MAX_DEPTH] = ["step0", "step1", "step2", "step3", "step4", "step5"];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(B::Gather, support, lower).takes(types::MOVABLE).leaves("constant indices outside the tensor, which the CPU names in an error; computed ones give zeros on the GPU"),
    OpRow::new(B::GatherNd, support, lower).takes(types::MOVABLE).leaves("indices of more than six numbers; constant indices outside the tensor, which the CPU names in an error; computed ones give zeros on the GPU"),
    OpRow::new(B::EmbeddingLookup, support, lower).takes(types::MOVABLE).leaves("constant indices outside the tensor, which the CPU names in an error; computed ones give zeros on the GPU"),
];

/// Which slices a node takes. Slice `s` of the result comes from slice
/// `s / count · pitch + Σ index[s / count / outer · count + s % count][d] · steps[d]` of the input.
struct Slices {
    /// Sizes of the axes that an index names.
    sizes: Vec<usize>,
    /// Slices from one number of an index to the next.
    steps: Vec<usize>,
    /// Indices of a batch.
    count: usize,
    /// Slices before the indexed axis, in a batch.
    outer: usize,
    /// Slices of the input that share what comes before the indexed axis.
    pitch: usize,
    /// Dimensions of a slice.
    inner: Vec<usize>,
}

impl Slices {
    /// Whether the result and the indices have the shapes that follow.
    fn fit(&self, node: &dyn Shapes, indices: usize) -> Result<bool, Reason> {
        let count: usize = node.output(0)?.iter().product();
        let slices = count / self.inner.iter().product::<usize>().max(1);
        let batches = node.input(indices)?.iter().product::<usize>() / self.sizes.len().max(1) / self.count.max(1);
        Ok(slices == batches * self.outer * self.count)
    }
}

/// Positions of the data and of the indices among the inputs.
fn places(op: &Op) -> (usize, usize) {
    if matches!(op, Op::EmbeddingLookup) { (1, 0) } else { (0, 1) }
}

fn slices(node: &dyn Shapes) -> Result<Slices, Reason> {
    let (data, indices) = places(node.op());
    let (shape, index_shape) = (node.input(data)?, node.input(indices)?);
    let slices = match node.op() {
        Op::Gather(options) => {
            let axis = normalize_axis(options.axis.into(), shape.len()).map_err(|_| Reason::Attribute("axis"))?;
            let rank = i64::try_from(index_shape.len()).unwrap_or(i64::MAX);
            let batch = i64::from(options.batch_dims);
            let batch = usize::try_from(if batch < 0 { batch + rank } else { batch });
            let batch = batch.map_err(|_| Reason::Attribute("batch_dims"))?;
            along(shape, index_shape, axis, batch)?
        }
        Op::EmbeddingLookup => along(shape, index_shape, 0, 0)?,
        Op::GatherNd => by_rows(shape, index_shape)?,
        _ => return Err(Reason::UnsupportedOperator),
    };
    if slices.fit(node, indices)? {
        Ok(slices)
    } else {
        Err(Reason::Shape("the result's shape does not follow from the inputs"))
    }
}

/// One number per index, along an axis; the first `batch` dimensions belong together.
fn along(shape: &[usize], indices: &[usize], axis: usize, batch: usize) -> Result<Slices, Reason> {
    const MISMATCH: Reason = Reason::Attribute("batch_dims");
    let (before, after) = shape.split_at_checked(axis).ok_or(MISMATCH)?;
    let (batches, outer) = before.split_at_checked(batch).ok_or(MISMATCH)?;
    let (index_batches, counted) = indices.split_at_checked(batch).ok_or(MISMATCH)?;
    let Some((&size, inner)) = after.split_first() else { return Err(Reason::Attribute("axis")) };
    if batches != index_batches {
        return Err(MISMATCH);
    }
    Ok(Slices {
        sizes: vec![size],
        steps: vec![1],
        count: counted.iter().product(),
        outer: outer.iter().product(),
        pitch: size,
        inner: inner.to_vec(),
    })
}

/// Rows of indices: the last dimension holds the numbers of one.
fn by_rows(shape: &[usize], indices: &[usize]) -> Result<Slices, Reason> {
    const MISMATCH: Reason = Reason::Shape("an index has more numbers than the tensor has dimensions");
    let (&depth, rows) = indices.split_last().ok_or(MISMATCH)?;
    let (sizes, inner) = shape.split_at_checked(depth).ok_or(MISMATCH)?;
    if depth == 0 || depth > MAX_DEPTH {
        return Err(Reason::Shape("an index of no or of more than six numbers"));
    }
    let steps = (0..depth).map(|d| sizes.iter().skip(d + 1).product()).collect();
    let count = rows.iter().product();
    Ok(Slices { sizes: sizes.to_vec(), steps, count, outer: 1, pitch: 0, inner: inner.to_vec() })
}

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    let (data, indices) = places(&ctx.node.op);
    ctx.input_is(data, MOVABLE)?;
    ctx.output_is(0, &[ctx.input_type(data)?])?;
    ctx.input_is(indices, &[DType::Int32, DType::Int64, DType::Int16])?;
    fits(ctx, data)?;
    fits(ctx, indices)?;
    known_shapes(ctx)?;
    let slices = slices(ctx)?;
    inside(&slices, ctx, indices)
}

/// Refuses constant indices outside the tensor: the CPU names them in an error.
fn inside(slices: &Slices, ctx: &SupportCtx<'_>, indices: usize) -> Result<(), Reason> {
    let Ok(list) = ctx.constant_ints(indices) else { return Ok(()) };
    let fits = |(&index, &size): (&i64, &usize)| usize::try_from(index).is_ok_and(|index| index < size);
    if list.iter().zip(slices.sizes.iter().cycle()).all(fits) {
        Ok(())
    } else {
        Err(Reason::Value("an index is outside the tensor"))
    }
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let slices = slices(&Lowering { ctx, node })?;
    let (data, indices) = places(&node.op);
    let (src, indices, dst) = (ctx.input(node, data)?, ctx.input(node, indices)?, ctx.output(node, 0)?);
    let (from, index, to) =
        (ctx.region.tensor(src).texels(), ctx.region.tensor(indices).texels(), ctx.region.tensor(dst).texels());
    let kernel = if slices.inner.is_empty() { "gather_elements" } else { "gather_slices" };
    let mut step = ctx
        .step(kernel, node)
        .tensor("src", src)
        .tensor("indices", indices)
        .tensor("dst", dst)
        .param("texels", to.count())
        .param("width", to.width)
        .param("channels", to.channels)
        .param("source_width", from.width)
        .param("source_channels", from.channels)
        .param("index_width", index.width)
        .param("index_channels", index.channels)
        .param("inner", Texels::of(&slices.inner).count())
        .param("count", slices.count)
        .param("outer", slices.outer)
        .param("pitch", slices.pitch)
        .value("depth", i64::try_from(slices.sizes.len()).unwrap_or(1))
        .value("workgroup", i64::try_from(ctx.tuning.linear_workgroup).unwrap_or(64))
        .linear(to.count(), ctx.tuning.linear_workgroup);
    for (d, (size, place)) in SIZES.into_iter().zip(STEPS).enumerate() {
        step = step.param(size, slices.sizes.get(d).copied().unwrap_or(1));
        step = step.param(place, slices.steps.get(d).copied().unwrap_or(0));
    }
    step.finish(ctx)
}
