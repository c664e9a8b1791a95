//! CONV_2D.

use tflite_wgpu_model::{BuiltinOperator, Conv2DOptions, Op};

use super::{
    LowerCtx, LowerError, OpRow, StepBuilder, SupportCtx,
    dense::{self, Product},
    halves, squeeze, tile,
    weights::{self, Order},
    window::{self, Axis, nhwc},
};
use crate::{
    kernels::{KernelRow, ParamType, input, output, weights as weight_texels},
    reason::Reason,
    region::{RegionNode, Storage, Whole},
    tuning::{Choice, ProductKind, ProductShape},
};

/// The operators of this family.
pub const ROWS: &[OpRow] = &[OpRow::new(BuiltinOperator::Conv2d, support, lower)
    .fuses()
    .steers(&[1, 2])
    .takes("weights FLOAT32, FLOAT16, INT8, UINT8, INT4 with scales; activations FLOAT32")
    .ranks("4")];

const PARAMS: &[(&str, ParamType)] = &window::param_table::<22>(&[
    "dilation_h",
    "dilation_w",
    "src_width",
    "depth",
    "width",
    "group_width",
    "group",
    "rows",
    "strips",
    "channels",
    "pitch",
    "offset",
]);

const GROUPED_PARAMS: &[(&str, ParamType)] = &window::param_table::<18>(&[
    "dilation_h",
    "dilation_w",
    "src_width",
    "depth",
    "width",
    "group_channels",
    "texels",
    "channels",
]);

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    window_kernel("conv_strip", "conv.wgsl"),
    window_kernel("conv_general", "conv.wgsl"),
    window_kernel("conv_staged", "staged.wgsl"),
    KernelRow {
        name: "conv_grouped",
        file: "conv_grouped.wgsl",
        bindings: &[input("src"), weight_texels("weights"), weight_texels("bias"), output("dst")],
        params: GROUPED_PARAMS,
        epilogue: true,
        twin: "CONV_2D",
    },
];

const fn window_kernel(name: &'static str, file: &'static str) -> KernelRow {
    KernelRow { name, file, bindings: dense::BINDINGS, params: PARAMS, epilogue: true, twin: "CONV_2D" }
}

const GROUPED_WORKGROUP: usize = 64;

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    window::support_activations(ctx, 0)?;
    weights::support_weights(ctx, 1)?;
    weights::support_bias(ctx, 2)?;
    let Op::Conv2d(options) = &ctx.node.op else { return Err(Reason::UnsupportedOperator) };
    let (input, filter) = (nhwc(ctx.input_dims(0)?)?, nhwc(ctx.input_dims(1)?)?);
    Geometry::new(input, filter, options, [0; 4]).map(|_| ())
}

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub batch: usize,
    pub y: Axis,
    pub x: Axis,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Input channels that one output channel sees.
    pub depth: usize,
    /// Output channels that see the same input channels.
    pub group_channels: usize,
}

impl Geometry {
    fn new(input: [usize; 4], filter: [usize; 4], o: &Conv2DOptions, pad: [usize; 4]) -> Result<Self, Reason> {
        let [batch, height, width, in_channels] = input;
        let [out_channels, taps_y, taps_x, depth] = filter;
        let [top, bottom, left, right] = pad;
        let y = Axis::new(height, taps_y, o.stride_h, o.dilation_hfactor, o.padding, [top, bottom])?;
        let x = Axis::new(width, taps_x, o.stride_w, o.dilation_wfactor, o.padding, [left, right])?;
        let groups = in_channels.checked_div(depth).filter(|groups| groups * depth == in_channels);
        let groups = groups.filter(|&groups| groups > 0 && out_channels.is_multiple_of(groups));
        let groups = groups.ok_or(Reason::Shape("channels are not whole groups"))?;
        Ok(Self { batch, y, x, in_channels, out_channels, depth, group_channels: out_channels / groups })
    }

    fn groups(&self) -> usize {
        self.out_channels / self.group_channels
    }

    /// Output dimensions.
    pub fn output(&self) -> [usize; 4] {
        [self.batch, self.y.output, self.x.output, self.out_channels]
    }

    fn weight_shape(&self) -> weights::Shape {
        weights::Shape { taps: self.y.taps * self.x.taps, depth: self.depth, channels: self.out_channels }
    }

    /// The convolution as a product of its pixels.
    fn product(&self, storage: [Storage; 3]) -> ProductShape {
        let (y, x) = (self.y, self.x);
        let kind = ProductKind::Window {
            taps: [y.taps, x.taps],
            stride: [y.stride, x.stride],
            dilation: [y.dilation, x.dilation],
            columns: x.output,
            group_width: self.group_channels.div_ceil(4),
        };
        let (depth, width) = (self.depth.div_ceil(4), self.out_channels.div_ceil(4));
        ProductShape { kind, rows: self.batch * y.output * x.output, depth, width, storage }
    }

    fn macs(&self) -> usize {
        self.output().iter().product::<usize>() * self.y.taps * self.x.taps * self.depth
    }
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let Op::Conv2d(options) = &node.op else { return Err(Reason::UnsupportedOperator.into()) };
    if let Some(Whole::Squeeze(squeeze)) = node.whole {
        return squeeze::lower(ctx, node, squeeze);
    }
    let (src, filter, dst) = (ctx.input(node, 0)?, ctx.input(node, 1)?, ctx.output(node, 0)?);
    let geometry = Geometry::new(nhwc(ctx.dims(src))?, nhwc(ctx.dims(filter))?, options, node.pad)?;
    window::check_output(ctx.dims(dst), geometry.output())?;
    lower_geometry(ctx, node, &geometry, Order::OutputFirst)
}

/// Lowers a convolution of input 0 with input 1, plus input 2 if it is there.
pub(super) fn lower_geometry(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    geometry: &Geometry,
    order: Order,
) -> Result<(), LowerError> {
    if geometry.groups() == 1 && geometry.y.is_pointwise() && geometry.x.is_pointwise() {
        let rows = geometry.batch * geometry.y.output * geometry.x.output;
        let product = Product { rows, depth: geometry.depth, channels: geometry.out_channels, row_channels: None };
        return dense::lower_product(ctx, node, product, order);
    }
    let aligned = geometry.depth.is_multiple_of(4) && geometry.group_channels.is_multiple_of(4);
    if geometry.groups() > 1 && !aligned {
        return lower_grouped(ctx, node, geometry, order);
    }
    let (src, filter, dst) = (ctx.input(node, 0)?, ctx.input(node, 1)?, ctx.output(node, 0)?);
    let storage = weights::weight_storage(ctx, filter, dst);
    let shape = geometry.weight_shape();
    let group = weights::group(ctx.tuning, geometry.out_channels.div_ceil(4));
    let product = geometry.product([ctx.region.tensor(src).storage, storage, ctx.region.tensor(dst).storage]);
    let choice = ctx.choose(product);
    let (y, x) = (geometry.y, geometry.x);
    let key = format!("{filter} conv_{} {} {group}", weights::blocks_name(choice), order.name());
    let operand = ctx.packed(&key, storage, filter, move |values| {
        let values = &halves::stored(values, storage, shape, order);
        weights::blocks_of(choice, weights::blocks(values, shape, group, |tap, i, o| order.at(shape, tap, i, o)))
    })?;
    let bias = weights::bias(ctx, node.input(2), geometry.out_channels)?;
    let mut step = windows(ctx.step(choice.kernel(&product), node), geometry)
        .tensor("src", src)
        .operand("weights", operand)
        .operand("bias", bias)
        .columns_of(ctx, dst)
        .param("depth", product.depth)
        .param("group_width", geometry.group_channels.div_ceil(4))
        .param("group", group)
        .param("rows", geometry.batch * y.output)
        .param("strips", choice.tile().map_or(0, |tile| x.output.div_ceil(tile.pixels)));
    match choice {
        Choice::Strip(_) => {
            step = step.value("kernel_w", tile::to_i64(x.taps)).value("stride", tile::to_i64(x.stride));
        }
        Choice::Direct(tile) if tile.broadcast > 0 && geometry.depth <= 4 => step = step.value("shallow", 1),
        _ => {}
    }
    tile::cover_product(step, choice, &product).clean().fused(&node.fused).finish(ctx)
}

/// Parameters that all kernels of the family have.
fn windows(step: StepBuilder, geometry: &Geometry) -> StepBuilder {
    let (y, x) = (geometry.y, geometry.x);
    window::dilation(window::params(step, y, x), y, x)
        .param("src_width", geometry.in_channels.div_ceil(4))
        .param("width", geometry.out_channels.div_ceil(4))
        .param("channels", geometry.out_channels)
        .macs(geometry.macs())
}

fn lower_grouped(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    geometry: &Geometry,
    order: Order,
) -> Result<(), LowerError> {
    let (src, filter, dst) = (ctx.input(node, 0)?, ctx.input(node, 1)?, ctx.output(node, 0)?);
    let storage = weights::weight_storage(ctx, filter, dst);
    let shape = geometry.weight_shape();
    let operand = ctx.packed(&format!("{filter} conv_texels {}", order.name()), storage, filter, move |values| {
        let values = &halves::stored(values, storage, shape, order);
        weights::texels(values, shape, |tap, i, o| order.at(shape, tap, i, o))
    })?;
    let bias = weights::bias(ctx, node.input(2), geometry.out_channels)?;
    let texels = ctx.region.tensor(dst).texels().count();
    windows(ctx.step("conv_grouped", node), geometry)
        .tensor("src", src)
        .operand("weights", operand)
        .operand("bias", bias)
        .tensor("dst", dst)
        .param("depth", geometry.depth)
        .param("group_channels", geometry.group_channels)
        .param("texels", texels)
        .linear(texels, GROUPED_WORKGROUP)
        .clean()
        .fused(&node.fused)
        .finish(ctx)
}
