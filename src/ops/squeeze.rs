//! The gate of a squeeze-and-excite block, which a rewrite makes of a mean over an image and two products of one row.

use tflite_wgpu_model::TensorId;

use super::{
    LowerCtx, LowerError, halves, reduce, tile,
    weights::{self, Order},
};
use crate::{
    kernels::{
        KernelRow,
        ParamType::{F32, U32},
        blocks, input, output, weights as weight_texels,
    },
    plan::step::Operand,
    reason::Reason,
    region::{RegionNode, Squeeze, Unary},
};

/// Most texels of a pixel of the image, and of the row between the products: what a workgroup holds in its memory.
pub(crate) const MOST_DEPTH: usize = 512;
/// As [`MOST_DEPTH`], of the row between the products.
pub(crate) const MOST_HIDDEN: usize = 64;

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[KernelRow {
    name: "squeeze",
    file: "squeeze.wgsl",
    bindings: &[
        input("src"),
        blocks("weights"),
        weight_texels("bias"),
        blocks("weights2"),
        weight_texels("bias2"),
        output("dst"),
    ],
    params: &[
        ("rows", U32),
        ("depth", U32),
        ("hidden", U32),
        ("width", U32),
        ("channels", U32),
        ("group", U32),
        ("group2", U32),
        ("factor", F32),
        ("low", F32),
        ("high", F32),
    ],
    epilogue: true,
    twin: "MEAN, CONV_2D, FULLY_CONNECTED",
}];

/// What happens to the row between the products, as the template has it.
fn inner(unary: Option<Unary>) -> Result<&'static str, Reason> {
    Ok(match unary {
        None => "clamp(v, vec4<f32>(params.low), vec4<f32>(params.high))",
        Some(Unary::Swish) => "op_swish(v)",
        Some(Unary::HardSwish) => "op_hard_swish(v)",
        Some(_) => return Err(Reason::Attribute("activation")),
    })
}

/// Whether the kernel has this function for the row between the products.
pub(crate) fn takes(unary: Option<Unary>) -> bool {
    inner(unary).is_ok()
}

/// Lowers a node whose inputs are the image, the second product's weights and bias, the first one's weights and bias.
pub(super) fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode, squeeze: Squeeze) -> Result<(), LowerError> {
    let (image, second, first) = (ctx.input(node, 0)?, ctx.input(node, 1)?, ctx.input(node, 3)?);
    let dst = ctx.output(node, 0)?;
    let &[batch, height, length, channels] = ctx.dims(image) else { return Err(Reason::Shape("no image").into()) };
    let (hidden, wide) = (outputs(ctx, first), outputs(ctx, second));
    let (depth, width) = (channels.div_ceil(4), wide.div_ceil(4));
    if depth > MOST_DEPTH || hidden > MOST_HIDDEN * 4 || ctx.dims(dst).iter().product::<usize>() != batch * wide {
        return Err(Reason::Shape("no squeeze-and-excite block").into());
    }
    let tuning = ctx.tuning.squeeze;
    let cells = height * length;
    let (src, rows) = if cells * depth > tuning.texels {
        reduce::sum_parts(ctx, node, image, [batch, cells, channels])?
    } else {
        (image, cells)
    };
    let weights = packed(ctx, first, dst, [channels, hidden])?;
    let bias = weights::bias(ctx, node.input(4), hidden)?;
    let weights2 = packed(ctx, second, dst, [hidden, wide])?;
    let bias2 = weights::bias(ctx, node.input(2), wide)?;
    ctx.step("squeeze", node)
        .tensor("src", src)
        .operand("weights", weights)
        .operand("bias", bias)
        .operand("weights2", weights2)
        .operand("bias2", bias2)
        .tensor("dst", dst)
        .param("rows", rows)
        .param("depth", depth)
        .param("hidden", hidden.div_ceil(4))
        .param("width", width)
        .param("channels", wide)
        .param("group", weights::group(ctx.tuning, hidden.div_ceil(4)))
        .param("group2", weights::group(ctx.tuning, width))
        .param_f32("factor", 1.0 / cells as f32)
        .param_f32("low", squeeze.low)
        .param_f32("high", squeeze.high)
        .value("lanes", tile::to_i64(tuning.lanes))
        .value("most_depth", tile::to_i64(MOST_DEPTH))
        .value("most_hidden", tile::to_i64(MOST_HIDDEN))
        .text("inner", inner(squeeze.unary)?)
        .grid([width.div_ceil(tuning.lanes).clamp(1, tuning.groups), 1, batch])
        .clean()
        .fused(&node.fused)
        .macs(batch * hidden * (channels + wide))
        .finish(ctx)
}

/// Output channels of a product's weights.
fn outputs(ctx: &LowerCtx<'_>, weights: TensorId) -> usize {
    ctx.dims(weights).first().copied().unwrap_or(0)
}

/// Weights of a product in rows of blocks.
fn packed(
    ctx: &mut LowerCtx<'_>,
    filter: TensorId,
    dst: TensorId,
    [depth, channels]: [usize; 2],
) -> Result<Operand, LowerError> {
    let storage = weights::weight_storage(ctx, filter, dst);
    let shape = weights::Shape { taps: 1, depth, channels };
    let order = Order::OutputFirst;
    let group = weights::group(ctx.tuning, channels.div_ceil(4));
    ctx.packed(&format!("{filter} gemm_blocks {} {depth} {group}", order.name()), storage, filter, move |values| {
        let values = &halves::stored(values, storage, shape, order);
        weights::blocks(values, shape, group, |tap, i, o| order.at(shape, tap, i, o))
    })
}
