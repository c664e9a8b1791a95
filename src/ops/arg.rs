//! ARG_MAX and ARG_MIN.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op, infer};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, INTS, elementwise, known_shapes},
    types,
};
use crate::{
    kernels::{KernelRow, ParamType::U32, input, output},
    reason::Reason,
    region::RegionNode,
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    KernelRow {
        name: "arg_rows",
        file: "reduce.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[("texels", U32), ("width", U32), ("channels", U32), ("inner", U32), ("length", U32)],
        epilogue: true,
        twin: "arg_min_max",
    },
    KernelRow {
        name: "arg_channels",
        file: "reduce.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[("texels", U32), ("width", U32), ("channels", U32), ("src_width", U32), ("length", U32)],
        epilogue: true,
        twin: "arg_min_max",
    },
];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(B::ArgMax, support, lower).steers(&[1]).takes(types::MOVABLE),
    OpRow::new(B::ArgMin, support, lower).steers(&[1]).takes(types::MOVABLE),
];

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    use DType::*;
    ctx.input_is(0, &[FLOATS, INTS, &[Bool, UInt8, Int8, Int16]].concat())?;
    ctx.output_is(0, INTS)?;
    known_shapes(ctx)?;
    axis(&ctx.constant_ints(1)?, ctx.input_dims(0)?.len()).map(|_| ())
}

/// The one axis that `axes` names.
pub(super) fn axis(axes: &[i64], rank: usize) -> Result<usize, Reason> {
    const RANGE: Reason = Reason::Value("the axis is out of range");
    let &[axis] = axes else { return Err(RANGE) };
    infer::normalize_axis(axis, rank).map_err(|_| RANGE)
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let dims = ctx.dims(src).to_vec();
    let axis = axis(&ctx.constant_ints(node, 1)?, dims.len())?;
    let length = dims.get(axis).copied().unwrap_or(1);
    let op = if matches!(node.op, Op::ArgMax(_)) { ">" } else { "<" };
    let step = if axis + 1 == dims.len() {
        elementwise(ctx, "arg_channels", node, dst).param("src_width", length.div_ceil(4))
    } else {
        let inner = dims.get(axis + 1..dims.len() - 1).unwrap_or_default().iter().product();
        elementwise(ctx, "arg_rows", node, dst).param("inner", inner)
    };
    step.tensor("src", src).param("length", length).text("op", op).finish(ctx)
}
