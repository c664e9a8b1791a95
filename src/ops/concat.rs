//! CONCATENATION and PACK: inputs side by side along an axis.

use BuiltinOperator as B;
use tflite_wgpu_model::{ActivationFunctionType, BuiltinOperator, DType, Op, Quant, TensorId, infer::normalize_axis};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, elementwise, known_output},
    movement::{self, MOVABLE, blocks},
    types,
};
use crate::{
    reason::Reason,
    region::{Fused, RegionNode, Texels},
};

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(B::Concatenation, support, lower)
        .takes(types::MOVABLE)
        .leaves("UINT8 parts with scales of their own; fused TANH and SIGN_BIT"),
    OpRow::new(B::Pack, support, lower).takes(types::MOVABLE),
];

/// The axis of the output that the inputs lie along.
fn axis(op: &Op, rank: usize) -> Result<usize, Reason> {
    let axis = match op {
        Op::Concatenation(options) => options.axis,
        Op::Pack(options) => options.axis,
        _ => return Err(Reason::UnsupportedOperator),
    };
    normalize_axis(axis.into(), rank).map_err(|_| Reason::Attribute("axis"))
}

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    let dtype = ctx.output_type(0)?;
    ctx.output_is(0, MOVABLE)?;
    for i in 0..ctx.node.inputs.len() {
        ctx.input_is(i, &[dtype])?;
        if dtype == DType::UInt8 && requantises(ctx.input(i).and_then(|t| t.quant.as_ref()), ctx) {
            return Err(Reason::Attribute("quantization"));
        }
        movement::fits(ctx, i)?;
    }
    if activation(&ctx.node.op)?.is_some() {
        ctx.output_is(0, FLOATS)?;
    }
    known_output(ctx)?;
    let output = ctx.output_dims(0)?;
    let axis = axis(&ctx.node.op, output.len())?;
    let mut length = 0;
    for i in 0..ctx.node.inputs.len() {
        let mut part = ctx.input_dims(i)?.to_vec();
        if matches!(ctx.node.op, Op::Pack(_)) && axis <= part.len() {
            part.insert(axis, 1);
        }
        let fits =
            part.len() == output.len() && part.iter().zip(output).enumerate().all(|(d, (a, b))| d == axis || a == b);
        if !fits {
            return Err(Reason::Shape("the inputs do not make up the result"));
        }
        length += part.get(axis).copied().unwrap_or(0);
    }
    let whole = output.get(axis) == Some(&length);
    if whole { Ok(()) } else { Err(Reason::Shape("the inputs do not make up the result")) }
}

/// Whether UINT8 elements stand for other values in the output than in an input.
fn requantises(quant: Option<&Quant>, ctx: &SupportCtx<'_>) -> bool {
    let output = ctx.output(0).and_then(|t| t.quant.as_ref()).and_then(Quant::per_tensor);
    quant.and_then(Quant::per_tensor).zip(output).is_some_and(|(from, to)| from != to)
}

/// The fused activation, if there is one.
fn activation(op: &Op) -> Result<Option<Fused>, Reason> {
    use ActivationFunctionType as A;
    let Op::Concatenation(options) = op else { return Ok(None) };
    let clamp = |low, high| Ok(Some(Fused::Clamp { low, high }));
    match options.fused_activation_function {
        A::None => Ok(None),
        A::Relu => clamp(0.0, f32::INFINITY),
        A::Relu6 => clamp(0.0, 6.0),
        A::ReluN1To1 => clamp(-1.0, 1.0),
        _ => Err(Reason::Attribute("fused_activation_function")),
    }
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let Some(clamp) = activation(&node.op)? else { return join(ctx, node, ctx.output(node, 0)?) };
    let dst = ctx.output(node, 0)?;
    let tensor = ctx.region.tensor(dst).clone();
    let joined = ctx.scratch("joined", tensor.dtype, &tensor.dims, tensor.storage);
    join(ctx, node, joined)?;
    elementwise(ctx, "unary", node, dst).tensor("src", joined).text("op", "v").fused(&[clamp]).finish(ctx)
}

/// Writes the inputs side by side.
fn join(ctx: &mut LowerCtx<'_>, node: &RegionNode, dst: TensorId) -> Result<(), LowerError> {
    let dims = ctx.dims(dst).to_vec();
    let axis = axis(&node.op, dims.len())?;
    let mut start = 0;
    for i in 0..node.inputs.len() {
        let src = ctx.input(node, i)?;
        if ctx.dims(src).contains(&0) {
            continue;
        }
        let written = ctx.region.slices.get(&src).is_some_and(|slice| slice.of == dst);
        let length = match node.op {
            Op::Pack(_) => 1,
            _ => ctx.dims(src).get(axis).copied().unwrap_or(1),
        };
        if written {
            // By the step that computes it.
        } else if axis + 1 == dims.len() {
            columns(ctx, node, (src, dst), (start, start + length))?;
        } else {
            let inner = Texels::of(dims.get(axis + 1..).unwrap_or_default()).count();
            let total = dims.get(axis).copied().unwrap_or(1);
            blocks(ctx, node, (src, dst), (length * inner, total * inner, start * inner))?;
        }
        start += length;
    }
    Ok(())
}

/// Channels `start … end` of every row.
fn columns(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    (src, dst): (TensorId, TensorId),
    (start, end): (usize, usize),
) -> Result<(), LowerError> {
    let (source, target) = (ctx.region.tensor(src).texels(), ctx.region.tensor(dst).texels());
    let aligned = start % 4 == 0 && source.channels == end - start;
    // The last texel's lanes beyond `end` are zero in the source, and the next part writes them.
    if aligned {
        return blocks(ctx, node, (src, dst), (source.width, target.width, start / 4));
    }
    let columns = end.div_ceil(4) - start / 4;
    let count = columns * target.rows;
    ctx.step("merge_columns", node)
        .tensor("src", src)
        .tensor("dst", dst)
        .param("texels", count)
        .param("width", target.width)
        .param("columns", columns)
        .param("start", start)
        .param("end", end)
        .param("source_width", source.width)
        .param("source_channels", source.channels)
        .value("workgroup", i64::try_from(ctx.tuning.linear_workgroup).unwrap_or(64))
        .linear(count, ctx.tuning.linear_workgroup)
        .finish(ctx)
}
