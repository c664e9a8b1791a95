//! CAST between the types that cross the border.

use tflite_wgpu_model::{BuiltinOperator, DType};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, constants_fit, elementwise, known_shapes},
    types,
};
use crate::{
    reason::Reason,
    region::{RegionNode, Storage},
};

/// Operators of this family.
pub const ROWS: &[OpRow] = &[OpRow::new(BuiltinOperator::Cast, support, lower)
    .fuses()
    .takes(types::MOVABLE)
    .leaves("floats to INT64: the results may need more than 32 bits")];

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    use DType::*;
    const TYPES: &[DType] = &[Float32, Float16, BFloat16, Int32, Int64, Int16, Int8, UInt8, Bool];
    ctx.input_is(0, TYPES)?;
    ctx.output_is(0, TYPES)?;
    let from_float = FLOATS.contains(&ctx.input_type(0)?);
    if from_float && ctx.output_type(0)? == Int64 {
        return Err(Reason::Value("floats become integers of up to 64 bits"));
    }
    constants_fit(ctx)?;
    known_shapes(ctx)
}

/// The template's expression: integers keep their low bits, floats saturate and are cut towards zero, and NaN becomes
/// the highest integer.
fn expression(from_int: bool, to: DType) -> &'static str {
    match (from_int, to) {
        (_, DType::Float32 | DType::Float16 | DType::BFloat16) => "vec4<f32>(v)",
        (true, DType::UInt8) => "v & vec4<i32>(255)",
        (true, DType::Int8) => "(v << vec4<u32>(24u)) >> vec4<u32>(24u)",
        (true, DType::Int16) => "(v << vec4<u32>(16u)) >> vec4<u32>(16u)",
        (true, DType::Bool) => "vec4<i32>(v != vec4<i32>(0))",
        (true, _) => "v",
        (false, DType::UInt8) => "to_int(v, 0.0, 255.0, 255)",
        (false, DType::Int8) => "to_int(v, -128.0, 127.0, 127)",
        (false, DType::Int16) => "to_int(v, -32768.0, 32767.0, 32767)",
        (false, DType::Bool) => "vec4<i32>(!(v == vec4<f32>(0.0)))",
        (false, _) => "to_int(v, -2147483648.0, 2147483520.0, 2147483647)",
    }
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let from = ctx.region.tensor(src);
    let to = ctx.region.tensor(dst);
    let op = if from.dtype == to.dtype { "v" } else { expression(from.storage == Storage::I32, to.dtype) };
    elementwise(ctx, "unary", node, dst).tensor("src", src).text("op", op).fused(&node.fused).finish(ctx)
}
