//! TRANSPOSE_CONV.

use tflite_wgpu_model::{BuiltinOperator, DType, Op, TransposeConvOptions};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx, tile,
    weights::{self, Order},
    window::{self, Axis, nhwc},
};
use crate::{
    kernels::{KernelRow, blocks, input, output, weights as weight_texels},
    reason::Reason,
    region::RegionNode,
    tuning::Tile,
};

/// The operators of this family.
pub const ROWS: &[OpRow] = &[OpRow::new(BuiltinOperator::TransposeConv, support, lower)
    .fuses()
    .steers(&[0, 1, 3])
    .takes("weights FLOAT32, FLOAT16, INT8, UINT8, INT4 with scales; activations FLOAT32")
    .ranks("4")];

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[KernelRow {
    name: "transpose_conv",
    file: "transpose_conv.wgsl",
    bindings: &[input("src"), blocks("weights"), weight_texels("bias"), output("dst")],
    params: &window::param_table::<15>(&["depth", "width", "rows", "strips", "channels"]),
    epilogue: true,
    twin: "TRANSPOSE_CONV",
}];

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    window::support_activations(ctx, 2)?;
    weights::support_weights(ctx, 1)?;
    weights::support_bias(ctx, 3)?;
    ctx.input_is(0, &[DType::Int32])?;
    let Op::TransposeConv(options) = &ctx.node.op else { return Err(Reason::UnsupportedOperator) };
    let dims = [nhwc(ctx.input_dims(2)?)?, nhwc(ctx.input_dims(1)?)?, nhwc(ctx.output_dims(0)?)?];
    axes(dims, options).map(|_| ())
}

/// The windows of the convolution whose gradient this is: from the output's cells to the input's.
fn axes(dims: [[usize; 4]; 3], o: &TransposeConvOptions) -> Result<(Axis, Axis), Reason> {
    let [[batch, _, _, in_channels], [channels, taps_y, taps_x, depth], output] = dims;
    if depth != in_channels || output[0] != batch || output[3] != channels {
        return Err(Reason::Shape("input, weights and output do not fit"));
    }
    let y = Axis::new(output[1], taps_y, o.stride_h, 1, o.padding, [0, 0])?;
    let x = Axis::new(output[2], taps_x, o.stride_w, 1, o.padding, [0, 0])?;
    Ok((y, x))
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let Op::TransposeConv(options) = &node.op else { return Err(Reason::UnsupportedOperator.into()) };
    let (filter, src, dst) = (ctx.input(node, 1)?, ctx.input(node, 2)?, ctx.output(node, 0)?);
    let [input, filter_dims, output] = [nhwc(ctx.dims(src))?, nhwc(ctx.dims(filter))?, nhwc(ctx.dims(dst))?];
    let (y, x) = axes([input, filter_dims, output], options)?;
    let [_, in_h, in_w, depth] = input;
    let [batch, out_h, out_w, channels] = output;
    let storage = weights::weight_storage(ctx, filter, dst);
    let shape = weights::Shape { taps: y.taps * x.taps, depth, channels };
    let key = format!("{filter} conv_blocks {}", Order::OutputFirst.name());
    let operand = ctx.packed(&key, storage, filter, move |values| {
        weights::blocks(values, shape, channels.div_ceil(4), |tap, i, o| Order::OutputFirst.at(shape, tap, i, o))
    })?;
    let bias = weights::bias(ctx, node.input(3), channels)?;
    let width = channels.div_ceil(4);
    let per_phase = out_w.div_ceil(x.stride);
    let base = ctx.tuning.tile(batch * out_h * out_w, width);
    let tile = Tile { pixels: ctx.tuning.strip(per_phase), texels: ctx.tuning.conv_texels, broadcast: 0, ..base };
    let strips = per_phase.div_ceil(tile.pixels) * x.stride;
    // The windows run from the output to the input; the kernel names them by what it reads and writes.
    let (y, x) = (Axis { input: in_h, output: out_h, ..y }, Axis { input: in_w, output: out_w, ..x });
    let step = window::params(ctx.step("transpose_conv", node), y, x)
        .tensor("src", src)
        .operand("weights", operand)
        .operand("bias", bias)
        .tensor("dst", dst)
        .param("depth", depth.div_ceil(4))
        .param("width", width)
        .param("rows", batch * out_h)
        .param("strips", strips)
        .param("channels", channels);
    tile::cover(step, tile, batch * out_h * strips, width)
        .fused(&node.fused)
        .macs(input.iter().product::<usize>() * shape.taps * channels)
        .finish(ctx)
}
