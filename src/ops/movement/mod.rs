//! Operators that move elements and never change them: their common form, checks and kernels.
//!
//! Most of them are a [`View`]: every index of the output reads one place of the input, found by strides, perhaps
//! only within bounds. The host merges axes and chooses the widest kernel that the strides allow.

mod batch;
mod emit;
mod forms;
mod view;

pub use emit::{blocks, repack};
pub(super) use forms::broadcast;
pub use forms::{Fill, Move, Paddings, moves, paddings};
pub use view::{Axis, Mode, View};

pub(super) use emit::emit;

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::{LowerCtx, LowerError, OpRow, SupportCtx, broadcast::known_shapes, types};
use crate::{
    kernels::{
        BindingRow, KernelRow,
        ParamType::{self, I32, U32},
        input, output,
    },
    reason::Reason,
    region::RegionNode,
};

/// Axes that a row index is cut into at most.
pub const MAX_AXES: usize = 8;

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    row("move_texels", &TEXELS, "movement"),
    row("move_elements", &ELEMENTS, "movement"),
    row("transpose_blocks", &TRANSPOSE, "movement"),
    row(
        "repack",
        &[("texels", U32), ("width", U32), ("channels", U32), ("source_width", U32), ("source_channels", U32)],
        "movement",
    ),
    row(
        "merge_columns",
        &[
            ("texels", U32),
            ("width", U32),
            ("columns", U32),
            ("start", U32),
            ("end", U32),
            ("source_width", U32),
            ("source_channels", U32),
        ],
        "concat",
    ),
];

const BINDINGS: &[BindingRow] = &[input("src"), output("dst")];

const fn row(name: &'static str, params: &'static [(&'static str, ParamType)], twin: &'static str) -> KernelRow {
    KernelRow { name, file: "movement.wgsl", bindings: BINDINGS, params, epilogue: false, twin }
}

/// Names of an axis' parameters: indices, steps of the places read and written, bounds.
struct AxisNames {
    size: &'static str,
    from: &'static str,
    to: &'static str,
    low: &'static str,
    count: &'static str,
}

const fn axis(
    size: &'static str,
    from: &'static str,
    to: &'static str,
    low: &'static str,
    count: &'static str,
) -> AxisNames {
    AxisNames { size, from, to, low, count }
}

const AXES: [AxisNames; MAX_AXES] = [
    axis("n0", "s0", "t0", "low0", "count0"),
    axis("n1", "s1", "t1", "low1", "count1"),
    axis("n2", "s2", "t2", "low2", "count2"),
    axis("n3", "s3", "t3", "low3", "count3"),
    axis("n4", "s4", "t4", "low4", "count4"),
    axis("n5", "s5", "t5", "low5", "count5"),
    axis("n6", "s6", "t6", "low6", "count6"),
    axis("n7", "s7", "t7", "low7", "count7"),
];

type Params<const N: usize> = [(&'static str, ParamType); N];

/// The walk over axes, and what a kernel has besides.
const fn walk<const N: usize>(own: &[(&'static str, ParamType)]) -> Params<N> {
    let mut params = [("", U32); N];
    let mut at = 0;
    while at < own.len() {
        params[at] = own[at];
        at += 1;
    }
    params[at] = ("offset", I32);
    params[at + 1] = ("target_offset", I32);
    params[at + 2] = ("edge", I32);
    params[at + 3] = ("fill", U32);
    at += 4;
    let mut d = 0;
    while d < MAX_AXES {
        params[at] = (AXES[d].size, U32);
        params[at + 1] = (AXES[d].from, I32);
        params[at + 2] = (AXES[d].to, I32);
        params[at + 3] = (AXES[d].low, I32);
        params[at + 4] = (AXES[d].count, I32);
        at += 5;
        d += 1;
    }
    assert!(at == N, "the parameter list has another length");
    params
}

const TEXELS: Params<46> = walk(&[("texels", U32), ("channels", U32)]);

const ELEMENTS: Params<54> = walk(&[
    ("texels", U32),
    ("width", U32),
    ("channels", U32),
    ("m0", U32),
    ("m1", U32),
    ("e0", I32),
    ("e1", I32),
    ("e2", I32),
    ("m_low", I32),
    ("m_count", I32),
]);

const TRANSPOSE: Params<51> = walk(&[
    ("blocks", U32),
    ("a_blocks", U32),
    ("b_blocks", U32),
    ("a_count", U32),
    ("b_count", U32),
    ("a_step", U32),
    ("b_step", U32),
]);

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    same_order(B::Reshape).steers(&[1]).takes(types::MOVABLE),
    same_order(B::Squeeze).takes(types::MOVABLE),
    same_order(B::ExpandDims).steers(&[1]).takes(types::MOVABLE),
    view_row(B::Transpose).steers(&[1]).takes(types::MOVABLE),
    view_row(B::Slice).steers(&[1, 2]).takes(types::MOVABLE),
    view_row(B::StridedSlice).steers(&[1, 2, 3]).takes(types::MOVABLE),
    view_row(B::Pad).steers(&[1]).takes(types::MOVABLE),
    view_row(B::Padv2).steers(&[1, 2]).takes(types::MOVABLE),
    view_row(B::MirrorPad).steers(&[1]).takes(types::MOVABLE),
    view_row(B::Tile).steers(&[1]).takes(types::MOVABLE),
    view_row(B::BroadcastTo).steers(&[1]).takes(types::MOVABLE),
    view_row(B::ReverseV2).steers(&[1]).takes(types::MOVABLE),
    view_row(B::Split).steers(&[0]).takes(types::MOVABLE),
    view_row(B::SplitV).steers(&[1, 2]).takes(types::MOVABLE),
    view_row(B::Unpack).takes(types::MOVABLE),
    view_row(B::SpaceToDepth).takes(types::MOVABLE).ranks("4"),
    view_row(B::DepthToSpace).takes(types::MOVABLE).ranks("4"),
    view_row(B::Fill).steers(&[0]).takes(types::MOVABLE),
    batch::ROW_TO_BATCH,
    batch::ROW_TO_SPACE,
];

const fn same_order(op: BuiltinOperator) -> OpRow {
    OpRow::new(op, same_order_support, same_order_lower)
}

const fn view_row(op: BuiltinOperator) -> OpRow {
    OpRow::new(op, view_support, view_lower)
}

/// Types whose elements can be moved: those that cross the region's border.
pub const MOVABLE: &[DType] = &[
    DType::Float32,
    DType::Float16,
    DType::BFloat16,
    DType::Int32,
    DType::Int64,
    DType::Bool,
    DType::UInt8,
    DType::Int8,
    DType::Int16,
];

/// What a form asks of a node, before and after it has become a region's.
pub trait Shapes {
    /// The operator.
    fn op(&self) -> &Op;
    /// Dimensions of input `i`.
    ///
    /// # Errors
    /// When they are not known.
    fn input(&self, i: usize) -> Result<&[usize], Reason>;
    /// Dimensions of output `i`.
    ///
    /// # Errors
    /// When they are not known.
    fn output(&self, i: usize) -> Result<&[usize], Reason>;
    /// Number of outputs.
    fn outputs(&self) -> usize;
    /// Integers of input `i`.
    ///
    /// # Errors
    /// [`Reason::NotConstant`].
    fn ints(&self, i: usize) -> Result<Vec<i64>, Reason>;
}

impl Shapes for SupportCtx<'_> {
    fn op(&self) -> &Op {
        &self.node.op
    }

    fn input(&self, i: usize) -> Result<&[usize], Reason> {
        self.input_dims(i)
    }

    fn output(&self, i: usize) -> Result<&[usize], Reason> {
        self.output_dims(i)
    }

    fn outputs(&self) -> usize {
        self.node.outputs.len()
    }

    fn ints(&self, i: usize) -> Result<Vec<i64>, Reason> {
        self.constant_ints(i)
    }
}

/// A node of a region.
pub struct Lowering<'a> {
    /// Where it is lowered.
    pub ctx: &'a LowerCtx<'a>,
    /// The node.
    pub node: &'a RegionNode,
}

impl Shapes for Lowering<'_> {
    fn op(&self) -> &Op {
        &self.node.op
    }

    fn input(&self, i: usize) -> Result<&[usize], Reason> {
        self.node.input(i).map(|id| self.ctx.dims(id)).ok_or(Reason::Shape("an input is omitted"))
    }

    fn output(&self, i: usize) -> Result<&[usize], Reason> {
        self.node.output(i).map(|id| self.ctx.dims(id)).ok_or(Reason::Shape("an output is omitted"))
    }

    fn outputs(&self) -> usize {
        self.node.outputs.len()
    }

    fn ints(&self, i: usize) -> Result<Vec<i64>, Reason> {
        let value = self.node.input(i).and_then(|id| self.ctx.constant(id));
        value.and_then(|value| value.to_ints()).ok_or(Reason::NotConstant { input: i })
    }
}

/// Checks that input `i` can be moved, and that all outputs have its type.
///
/// # Errors
/// As [`known_shapes`], and [`Reason::UnsupportedType`] or [`Reason::Value`].
pub fn movable(ctx: &SupportCtx<'_>, i: usize) -> Result<(), Reason> {
    ctx.input_is(i, MOVABLE)?;
    for output in 0..ctx.node.outputs.len() {
        ctx.output_is(output, &[ctx.input_type(i)?])?;
    }
    fits(ctx, i)?;
    known_shapes(ctx)
}

/// Checks that input `i`, if it is a constant, fits into 32 bits. INT64 values are held so.
///
/// # Errors
/// [`Reason::Value`].
pub fn fits(ctx: &SupportCtx<'_>, i: usize) -> Result<(), Reason> {
    let value = ctx.input(i).and_then(|t| t.constant.as_deref());
    let ints = value.filter(|value| value.dtype() == DType::Int64).and_then(|value| value.to_ints());
    if ints.is_some_and(|values| values.iter().any(|&v| i32::try_from(v).is_err())) {
        return Err(Reason::Value("a constant needs more than 32 bits"));
    }
    Ok(())
}

fn same_order_support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    movable(ctx, 0)?;
    let (from, to) = (ctx.input_dims(0)?, ctx.output_dims(0)?);
    if from.iter().product::<usize>() == to.iter().product::<usize>() {
        Ok(())
    } else {
        Err(Reason::Shape("the result has another number of elements"))
    }
}

fn same_order_lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    repack(ctx, node, src, dst)
}

fn view_support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    let data = forms::data_input(&ctx.node.op);
    movable(ctx, data)?;
    for step in moves(ctx)? {
        step.view.check()?;
        if let Fill::Input(i) = step.fill {
            ctx.input_is(i, &[ctx.input_type(data)?])?;
            fits(ctx, i)?;
            if ctx.constant(i)?.len() != 1 {
                return Err(Reason::Shape("the padding's value is not one number"));
            }
        }
    }
    Ok(())
}

fn view_lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let steps = moves(&Lowering { ctx, node })?;
    for step in steps {
        let (src, dst) = (ctx.input(node, forms::data_input(&node.op))?, ctx.output(node, step.output)?);
        if ctx.dims(dst).contains(&0) {
            continue;
        }
        let fill = step.fill.bits(ctx, node, dst)?;
        emit(ctx, node, src, dst, &step.view, fill)?;
    }
    Ok(())
}
