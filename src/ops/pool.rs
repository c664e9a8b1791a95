//! AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D.

use tflite_wgpu_model::{BuiltinOperator, Op, Pool2DOptions};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx, tile,
    window::{self, Axis, nhwc},
};
use crate::{
    kernels::{KernelRow, input, output},
    reason::Reason,
    region::RegionNode,
};

/// The operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(BuiltinOperator::AveragePool2d, support, lower).fuses().takes("FLOAT32").ranks("4"),
    OpRow::new(BuiltinOperator::MaxPool2d, support, lower).fuses().takes("FLOAT32").ranks("4"),
    OpRow::new(BuiltinOperator::L2Pool2d, support, lower).fuses().takes("FLOAT32").ranks("4"),
];

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[KernelRow {
    name: "pool",
    file: "pool.wgsl",
    bindings: &[input("src"), output("dst")],
    params: &window::param_table::<12>(&["width", "channels"]),
    epilogue: true,
    twin: "AVERAGE_POOL_2D, MAX_POOL_2D, L2_POOL_2D",
}];

/// Filter widths and strides that have strips; others compute one pixel per invocation.
const STRIP_FILTERS: &[usize] = &[2, 3];
const STRIP_STRIDES: &[usize] = &[1, 2];

const WORKGROUP: [usize; 2] = [8, 4];

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    window::support_activations(ctx, 0)?;
    axes(nhwc(ctx.input_dims(0)?)?, options(&ctx.node.op)?).map(|_| ())
}

fn options(op: &Op) -> Result<&Pool2DOptions, Reason> {
    match op {
        Op::AveragePool2d(options) | Op::MaxPool2d(options) | Op::L2Pool2d(options) => Ok(options),
        _ => Err(Reason::UnsupportedOperator),
    }
}

fn axes([_, height, width, _]: [usize; 4], o: &Pool2DOptions) -> Result<(Axis, Axis), Reason> {
    let taps = |size: i32, what| usize::try_from(size).ok().filter(|&n| n > 0).ok_or(Reason::Attribute(what));
    let y = Axis::new(height, taps(o.filter_height, "filter_height")?, o.stride_h, 1, o.padding, [0, 0])?;
    let x = Axis::new(width, taps(o.filter_width, "filter_width")?, o.stride_w, 1, o.padding, [0, 0])?;
    Ok((y, x))
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let [batch, height, width, channels] = nhwc(ctx.dims(src))?;
    if node.pad != [0; 4] {
        return Err(Reason::Shape("a pool takes no zeros around its input").into());
    }
    let (y, x) = axes([batch, height, width, channels], options(&node.op)?)?;
    let shape = [batch, y.output, x.output, channels];
    window::check_output(ctx.dims(dst), shape)?;
    let fold = match node.op {
        Op::MaxPool2d(_) => "max",
        Op::L2Pool2d(_) => "l2",
        _ => "average",
    };
    let strip = STRIP_FILTERS.contains(&x.taps) && STRIP_STRIDES.contains(&x.stride);
    let (pixels, kernel_w, stride) = if strip { (ctx.tuning.strip(x.output), x.taps, x.stride) } else { (1, 0, 0) };
    // One pixel of an image has too few invocations as it is.
    let global = y.output * x.output == 1;
    let texels = if global { 1 } else { tile::texels_at_once(ctx, [src, dst], channels.div_ceil(4)) };
    let step = window::params(ctx.step("pool", node), y, x)
        .tensor("src", src)
        .tensor("dst", dst)
        .param("width", channels.div_ceil(4))
        .param("channels", channels)
        .text("fold_op", fold)
        .value("kernel_w", tile::to_i64(kernel_w))
        .value("stride", tile::to_i64(stride))
        .value("texels", tile::to_i64(texels));
    tile::cover_rows(step, WORKGROUP, pixels, [batch, y.output, x.output, channels.div_ceil(texels)])
        .clean()
        .fused(&node.fused)
        .macs(shape.iter().product::<usize>() * y.taps * x.taps)
        .finish(ctx)
}
