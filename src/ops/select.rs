//! SELECT and SELECT_V2: elements of one tensor or the other by a condition.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op, TensorId};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{Broadcast, FLOATS, INTS, NAMES, constants_fit, elementwise, known_shapes, of_tensors},
    movement::repack,
    types,
};
use crate::{
    kernels::{KernelRow, ParamType::U32, input, output},
    reason::Reason,
    region::RegionNode,
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[KernelRow {
    name: "select_elements",
    file: "elementwise.wgsl",
    bindings: &[input("a"), input("b"), input("c"), output("dst")],
    params: &[
        ("texels", U32),
        ("width", U32),
        ("channels", U32),
        ("d1", U32),
        ("d2", U32),
        ("d3", U32),
        ("a0", U32),
        ("a1", U32),
        ("a2", U32),
        ("a3", U32),
        ("b0", U32),
        ("b1", U32),
        ("b2", U32),
        ("b3", U32),
        ("c0", U32),
        ("c1", U32),
        ("c2", U32),
        ("c3", U32),
    ],
    epilogue: true,
    twin: "select",
}];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(B::Select, support, lower).fuses().takes(types::MOVABLE),
    OpRow::new(B::SelectV2, support, lower).fuses().takes(types::MOVABLE),
];

/// Shape of the condition as it broadcasts: SELECT with a vector chooses whole slices of the first dimension.
fn condition(op: &Op, dims: &[usize], rank: usize) -> Vec<usize> {
    let mut dims = dims.to_vec();
    if matches!(op, Op::Select) && dims.len() == 1 {
        dims.resize(rank.max(1), 1);
    }
    dims
}

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, &[DType::Bool])?;
    ctx.input_is(1, &[FLOATS, INTS, &[DType::Bool, DType::Int8, DType::UInt8, DType::Int16]].concat())?;
    ctx.input_is(2, &[ctx.input_type(1)?])?;
    ctx.output_is(0, &[ctx.input_type(1)?])?;
    constants_fit(ctx)?;
    known_shapes(ctx)?;
    let out = ctx.output_dims(0)?;
    let condition = condition(&ctx.node.op, ctx.input_dims(0)?, out.len());
    Broadcast::check(out, &[&condition, ctx.input_dims(1)?, ctx.input_dims(2)?])
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (a, b, c) = (ctx.input(node, 0)?, ctx.input(node, 1)?, ctx.input(node, 2)?);
    let dst = ctx.output(node, 0)?;
    let condition = condition(&node.op, ctx.dims(a), ctx.dims(dst).len());
    let a = reshaped(ctx, node, a, &condition)?;
    let (layout, [a, b, c]) = of_tensors(ctx, node, dst, [a, b, c])?;
    let step = elementwise(ctx, "select_elements", node, dst)
        .tensor("a", a)
        .tensor("b", b)
        .tensor("c", c)
        .text("op", "select(c, b, a != vec4<i32>(0))");
    layout.apply(step, &NAMES).fused(&node.fused).finish(ctx)
}

/// The tensor with other dimensions: a vector of conditions lies in the lanes of texels, a column of them does not.
fn reshaped(ctx: &mut LowerCtx<'_>, node: &RegionNode, id: TensorId, dims: &[usize]) -> Result<TensorId, LowerError> {
    if ctx.dims(id) == dims {
        return Ok(id);
    }
    let (dtype, storage) = (ctx.region.tensor(id).dtype, ctx.region.tensor(id).storage);
    let column = ctx.scratch("conditions in a column", dtype, dims, storage);
    repack(ctx, node, id, column)?;
    Ok(column)
}
