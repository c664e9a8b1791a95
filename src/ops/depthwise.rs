//! DEPTHWISE_CONV_2D.

use tflite_wgpu_model::{BuiltinOperator, DepthwiseConv2DOptions, Op};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx, conv, tile,
    weights::{self, Order},
    window::{self, Axis, nhwc},
};
use crate::{
    kernels::{BindingRow, KernelRow, ParamType, input, output, weights as weight_texels},
    plan::step::Operand,
    reason::Reason,
    region::{RegionNode, Storage},
    tuning::Tuning,
};

/// The operators of this family.
pub const ROWS: &[OpRow] = &[OpRow::new(BuiltinOperator::DepthwiseConv2d, support, lower)
    .fuses()
    .steers(&[1, 2])
    .takes("weights FLOAT32, FLOAT16, INT8, UINT8, INT4 with scales; activations FLOAT32")
    .ranks("4")];

const PARAMS: &[(&str, ParamType)] =
    &window::param_table::<16>(&["dilation_h", "dilation_w", "src_width", "width", "multiplier", "channels"]);

const BINDINGS: &[BindingRow] = &[input("src"), weight_texels("weights"), weight_texels("bias"), output("dst")];

const fn kernel(name: &'static str) -> KernelRow {
    KernelRow {
        name,
        file: "depthwise.wgsl",
        bindings: BINDINGS,
        params: PARAMS,
        epilogue: true,
        twin: "DEPTHWISE_CONV_2D",
    }
}

const COLUMN_PARAMS: &[(&str, ParamType)] =
    &window::param_table::<15>(&["src_width", "width", "dilation", "chunk", "channels"]);

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    kernel("depthwise_strip"),
    kernel("depthwise_general"),
    kernel("depthwise_scalar"),
    KernelRow {
        name: "depthwise_column",
        file: "depthwise_column.wgsl",
        bindings: BINDINGS,
        params: COLUMN_PARAMS,
        epilogue: true,
        twin: "DEPTHWISE_CONV_2D",
    },
];

/// Filter widths and strides that have strips; others take the general kernel.
const STRIP_FILTERS: &[usize] = &[3, 5];
const STRIP_STRIDES: &[usize] = &[1, 2];

/// Pixels of a row that one invocation of the general kernel computes.
const GENERAL_PIXELS: usize = 4;

const WORKGROUP: [usize; 2] = [8, 4];

const COLUMN_WORKGROUP: [usize; 2] = [8, 1];

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    window::support_activations(ctx, 0)?;
    weights::support_weights(ctx, 1)?;
    weights::support_bias(ctx, 2)?;
    let Op::DepthwiseConv2d(options) = &ctx.node.op else { return Err(Reason::UnsupportedOperator) };
    let (input, filter) = (nhwc(ctx.input_dims(0)?)?, nhwc(ctx.input_dims(1)?)?);
    Geometry::new(input, filter, options, [0; 4]).map(|_| ())
}

/// Sizes of a depthwise convolution.
#[derive(Clone, Copy, Debug)]
struct Geometry {
    batch: usize,
    y: Axis,
    x: Axis,
    in_channels: usize,
    out_channels: usize,
}

impl Geometry {
    /// The multiplier follows from the shapes; what the options say is ignored, as in TFLite.
    fn new(input: [usize; 4], filter: [usize; 4], o: &DepthwiseConv2DOptions, pad: [usize; 4]) -> Result<Self, Reason> {
        let [batch, height, width, in_channels] = input;
        let [one, taps_y, taps_x, out_channels] = filter;
        let [top, bottom, left, right] = pad;
        if one != 1 || in_channels == 0 || !out_channels.is_multiple_of(in_channels) {
            return Err(Reason::Shape("filters are not whole multiples of the channels"));
        }
        let y = Axis::new(height, taps_y, o.stride_h, o.dilation_hfactor, o.padding, [top, bottom])?;
        let x = Axis::new(width, taps_x, o.stride_w, o.dilation_wfactor, o.padding, [left, right])?;
        Ok(Self { batch, y, x, in_channels, out_channels })
    }
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let Op::DepthwiseConv2d(options) = &node.op else { return Err(Reason::UnsupportedOperator.into()) };
    let (src, filter, dst) = (ctx.input(node, 0)?, ctx.input(node, 1)?, ctx.output(node, 0)?);
    let geometry = Geometry::new(nhwc(ctx.dims(src))?, nhwc(ctx.dims(filter))?, options, node.pad)?;
    let Geometry { batch, y, x, in_channels, out_channels } = geometry;
    window::check_output(ctx.dims(dst), [batch, y.output, x.output, out_channels])?;
    if in_channels == 1 && out_channels > 1 {
        // Every filter sees the one channel: a convolution, whose kernel shares the loads.
        let conv = conv::Geometry { batch, y, x, in_channels, out_channels, depth: 1, group_channels: out_channels };
        return conv::lower_geometry(ctx, node, &conv, Order::OutputLast);
    }
    let shape = weights::Shape { taps: y.taps * x.taps, depth: 1, channels: out_channels };
    // A handful of taps per channel: halves would save next to nothing, and they cost more of the result than a layer's
    // activations do.
    let operand = ctx.packed(&format!("{filter} depthwise_texels"), Storage::F32, filter, move |values| {
        weights::texels(values, shape, |tap, i, o| Order::OutputLast.at(shape, tap, i, o))
    })?;
    let bias = weights::bias(ctx, node.input(2), out_channels)?;
    let multiplier = out_channels / in_channels;
    if let Some(pixels) = column_pixels(ctx.tuning, &geometry) {
        return lower_columns(ctx, node, &geometry, pixels, [operand, bias]);
    }
    // Pixels that are as far apart as the taps share their columns.
    let neighbours = x.dilation == 1 || x.stride == 1;
    let strip = STRIP_FILTERS.contains(&x.taps) && STRIP_STRIDES.contains(&x.stride) && neighbours;
    let turn = x.output.div_ceil(x.dilation);
    let (kernel, pixels) = match multiplier {
        1 if strip => ("depthwise_strip", ctx.tuning.strip(turn)),
        1 => ("depthwise_general", GENERAL_PIXELS),
        _ => ("depthwise_scalar", 1),
    };
    let step = window::dilation(window::params(ctx.step(kernel, node), y, x), y, x)
        .tensor("src", src)
        .operand("weights", operand)
        .operand("bias", bias)
        .tensor("dst", dst)
        .param("src_width", in_channels.div_ceil(4))
        .param("width", out_channels.div_ceil(4))
        .param("multiplier", multiplier)
        .param("channels", out_channels);
    let (step, columns, texels) = if kernel == "depthwise_strip" {
        let step = step.value("kernel_w", tile::to_i64(x.taps)).value("stride", tile::to_i64(x.stride));
        let step = step.value("dilated", i64::from(x.dilation > 1));
        let texels = tile::texels_at_once(ctx, [src, dst], out_channels.div_ceil(4));
        (step.value("texels", tile::to_i64(texels)), turn.next_multiple_of(pixels) * x.dilation, texels)
    } else {
        (step, x.output, 1)
    };
    tile::cover_rows(step, WORKGROUP, pixels, [batch, y.output, columns, out_channels.div_ceil(texels)])
        .clean()
        .fused(&node.fused)
        .macs(batch * y.output * x.output * out_channels * shape.taps)
        .finish(ctx)
}

/// Columns per invocation where walking down the rows is the fastest: small filters of one stride, or of one dilation.
fn column_pixels(tuning: &Tuning, geometry: &Geometry) -> Option<usize> {
    let Geometry { y, x, in_channels, out_channels, .. } = *geometry;
    let filter = STRIP_FILTERS.contains(&y.taps) && STRIP_FILTERS.contains(&x.taps);
    let alike = y.stride == x.stride && y.dilation == x.dilation && (x.stride == 1 || x.dilation == 1);
    let fits = filter && alike && in_channels == out_channels;
    let stride = STRIP_STRIDES.iter().position(|&stride| stride == x.stride)?;
    tuning.depthwise_columns.get(stride).copied().filter(|&pixels| fits && pixels > 0)
}

fn lower_columns(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    geometry: &Geometry,
    pixels: usize,
    [weights, bias]: [Operand; 2],
) -> Result<(), LowerError> {
    let Geometry { batch, y, x, in_channels, out_channels } = *geometry;
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let width = out_channels.div_ceil(4);
    let texels = tile::texels_at_once(ctx, [src, dst], width);
    // Columns and rows of one remainder by the dilation belong together.
    let gap = x.dilation;
    let columns = x.output.div_ceil(gap).next_multiple_of(pixels) * gap;
    let rows = y.output.div_ceil(gap);
    let bands = batch * gap * (columns / pixels * (width / texels)).div_ceil(COLUMN_WORKGROUP[0]);
    let chunk = rows.div_ceil(ctx.tuning.depthwise_groups.div_ceil(bands).min(rows));
    let step = window::params(ctx.step("depthwise_column", node), y, x)
        .tensor("src", src)
        .operand("weights", weights)
        .operand("bias", bias)
        .tensor("dst", dst)
        .param("src_width", in_channels.div_ceil(4))
        .param("width", width)
        .param("dilation", gap)
        .param("chunk", chunk)
        .param("channels", out_channels)
        .value("kernel_h", tile::to_i64(y.taps))
        .value("kernel_w", tile::to_i64(x.taps))
        .value("stride", tile::to_i64(x.stride))
        .value("dilated", i64::from(gap > 1))
        .value("texels", tile::to_i64(texels));
    let output = [batch, rows.div_ceil(chunk) * gap, columns, out_channels.div_ceil(texels)];
    tile::cover_rows(step, COLUMN_WORKGROUP, pixels, output)
        .clean()
        .fused(&node.fused)
        .macs(batch * y.output * x.output * out_channels * y.taps * x.taps)
        .finish(ctx)
}
