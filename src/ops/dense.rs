//! FULLY_CONNECTED, and the product of activations with constant weights that pointwise convolutions share with it.

use tflite_wgpu_model::{BuiltinOperator, DType, FullyConnectedOptionsWeightsFormat, Op, TensorId};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx, broadcast, halves, matmul, squeeze, tile,
    weights::{self, Order},
};
use crate::{
    kernels::{BindingRow, KernelRow, ParamType::U32, blocks, input, output, weights as weight_texels},
    reason::Reason,
    region::{RegionNode, Texels, Whole},
    tuning::{Choice, ProductKind, ProductShape},
};

/// The operators of this family.
pub const ROWS: &[OpRow] = &[OpRow::new(BuiltinOperator::FullyConnected, support, lower)
    .fuses()
    .steers(&[2])
    .takes("weights FLOAT32, FLOAT16, INT8, UINT8, INT4 with scales; activations FLOAT32")
    .ranks("1–8, weights 2")
    .leaves("weights_format other than DEFAULT (shuffled for other kernels)")];

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    product_kernel("gemm", "gemm.wgsl"),
    KernelRow {
        name: "gemm_gated",
        bindings: &[input("src"), blocks("weights"), weight_texels("bias"), output("dst"), input("gate")],
        ..product_kernel("gemm", "gemm.wgsl")
    },
    product_kernel("gemm_staged", "staged.wgsl"),
    product_kernel("gemm_vector", "vector.wgsl"),
    KernelRow {
        name: "repack_rows",
        file: "repack_rows.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[("texels", U32), ("width", U32), ("channels", U32), ("src_width", U32), ("src_channels", U32)],
        epilogue: false,
        twin: "RESHAPE",
    },
];

/// What products and convolutions with constant weights bind.
pub(super) const BINDINGS: &[BindingRow] = &[input("src"), blocks("weights"), weight_texels("bias"), output("dst")];

const fn product_kernel(name: &'static str, file: &'static str) -> KernelRow {
    KernelRow {
        name,
        file,
        bindings: BINDINGS,
        params: &[
            ("rows", U32),
            ("depth", U32),
            ("width", U32),
            ("group", U32),
            ("channels", U32),
            ("pitch", U32),
            ("offset", U32),
        ],
        epilogue: true,
        twin: "FULLY_CONNECTED",
    }
}

const REPACK_WORKGROUP: usize = 64;

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    let Op::FullyConnected(options) = &ctx.node.op else { return Err(Reason::UnsupportedOperator) };
    if options.weights_format != FullyConnectedOptionsWeightsFormat::Default {
        return Err(Reason::Attribute("weights_format"));
    }
    ctx.input_is(0, &[DType::Float32])?;
    ctx.output_is(0, &[DType::Float32])?;
    weights::support_bias(ctx, 2)?;
    if ctx.constant(1).is_ok() {
        weights::support_weights(ctx, 1)?;
    } else {
        ctx.input_is(1, &[DType::Float32])?;
    }
    let &[units, depth] = ctx.input_dims(1)? else { return Err(Reason::Shape("weights of rank other than 2")) };
    let (input, output) = (ctx.input_dims(0)?, ctx.output_dims(0)?);
    let count: usize = input.iter().product();
    if count == 0 || depth == 0 || units == 0 {
        return Err(Reason::ZeroSize);
    }
    let rows = count / depth;
    if rows * depth != count || output.iter().product::<usize>() != rows * units || output.last() != Some(&units) {
        return Err(Reason::Shape("the input is not rows of the weights' depth"));
    }
    Ok(())
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    if let Some(Whole::Squeeze(squeeze)) = node.whole {
        return squeeze::lower(ctx, node, squeeze);
    }
    let (src, filter) = (ctx.input(node, 0)?, ctx.input(node, 1)?);
    let &[units, depth] = ctx.dims(filter) else { return Err(Reason::Shape("weights of rank other than 2").into()) };
    let rows = ctx.dims(src).iter().product::<usize>() / depth.max(1);
    if ctx.constant(filter).is_none() {
        return matmul::lower_fully_connected(ctx, node, [rows, depth, units]);
    }
    let inner = Texels::of(ctx.dims(src)).channels;
    let product = Product { rows, depth, channels: units, row_channels: (inner != depth).then_some(inner) };
    lower_product(ctx, node, product, Order::OutputFirst)
}

/// Sizes of a product of `rows` rows of `depth` elements with constant weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Product {
    /// Rows of the left operand and of the result.
    pub rows: usize,
    /// Elements of a row of the left operand.
    pub depth: usize,
    /// Elements of a row of the result.
    pub channels: usize,
    /// Innermost dimension of the left operand, when that is not `depth`.
    pub row_channels: Option<usize>,
}

/// Lowers input 0 of `node`, read as rows, times input 1, plus input 2 if it is there.
pub(super) fn lower_product(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    product: Product,
    order: Order,
) -> Result<(), LowerError> {
    let (filter, dst) = (ctx.input(node, 1)?, ctx.output(node, 0)?);
    let mut src = ctx.input(node, 0)?;
    let Product { rows, depth, channels, row_channels } = product;
    // A row of the product made of whole rows of the tensor keeps their padding: weights of the padding are zero.
    let whole = row_channels.filter(|inner| depth.is_multiple_of(*inner));
    let inner = whole.unwrap_or(depth);
    if whole.is_none() && row_channels.is_some() {
        src = repack(ctx, node, src, [rows, depth])?;
    }
    let padded_depth = depth / inner.max(1) * inner.next_multiple_of(4);
    let storage = weights::weight_storage(ctx, filter, dst);
    let shape = weights::Shape { taps: 1, depth: padded_depth, channels };
    let width = channels.div_ceil(4);
    let group = weights::group(ctx.tuning, width);
    let product = ProductShape {
        kind: ProductKind::Dense,
        rows,
        depth: padded_depth.div_ceil(4),
        width,
        storage: [ctx.region.tensor(src).storage, storage, ctx.region.tensor(dst).storage],
    };
    let choice = ctx.choose(product);
    let mut gate = if node.whole == Some(Whole::Gated) { Some(ctx.input(node, 3)?) } else { None };
    if let Some(factors) = gate.filter(|_| !matches!(choice, Choice::Direct(_))) {
        src = multiply(ctx, node, src, factors)?;
        gate = None;
    }
    let key = format!("{filter} gemm_{} {} {inner} {group}", weights::blocks_name(choice), order.name());
    let operand = ctx.packed(&key, storage, filter, move |values| {
        let (padded_inner, stored) = (inner.next_multiple_of(4), weights::Shape { taps: 1, depth, channels });
        let at = |_, i: usize, o| match i % padded_inner {
            lane if lane < inner => order.at(stored, 0, i / padded_inner * inner + lane, o),
            _ => usize::MAX,
        };
        let values = &halves::stored(values, storage, stored, order);
        weights::blocks_of(choice, weights::blocks(values, shape, group, at))
    })?;
    let bias = weights::bias(ctx, node.input(2), channels)?;
    let step = match gate {
        Some(gate) => ctx.step("gemm_gated", node).tensor("gate", gate),
        None => ctx.step(choice.kernel(&product), node),
    };
    let step = step
        .tensor("src", src)
        .operand("weights", operand)
        .operand("bias", bias)
        .columns_of(ctx, dst)
        .param("rows", rows)
        .param("depth", product.depth)
        .param("width", width)
        .param("group", group)
        .param("channels", channels);
    tile::cover_product(step, choice, &product).clean().fused(&node.fused).macs(rows * depth * channels).finish(ctx)
}

/// A tensor of `src`'s rows, each multiplied by one row of factors.
fn multiply(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    src: TensorId,
    factors: TensorId,
) -> Result<TensorId, LowerError> {
    let tensor = ctx.region.tensor(src);
    let (name, dtype, dims, storage) = (tensor.name.clone(), tensor.dtype, tensor.dims.clone(), tensor.storage);
    let dst = ctx.scratch(&format!("{name} (gated)"), dtype, &dims, storage);
    let (layout, [a, b]) = broadcast::of_tensors(ctx, node, dst, [src, factors])?;
    let step = broadcast::elementwise(ctx, "binary", node, dst).tensor("a", a).tensor("b", b).text("op", "a * b");
    layout.apply(step, &broadcast::NAMES).finish(ctx)?;
    Ok(dst)
}

/// A tensor with `src`'s elements in rows of another length.
pub(super) fn repack(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    src: TensorId,
    dims: [usize; 2],
) -> Result<TensorId, LowerError> {
    let tensor = ctx.region.tensor(src);
    let (name, dtype, storage, from) = (tensor.name.clone(), tensor.dtype, tensor.storage, tensor.texels());
    let dst = ctx.scratch(&format!("{name} (rows of {})", dims[1]), dtype, &dims, storage);
    let to = Texels::of(&dims);
    ctx.step("repack_rows", node)
        .tensor("src", src)
        .tensor("dst", dst)
        .param("texels", to.count())
        .param("width", to.width)
        .param("channels", to.channels)
        .param("src_width", from.width)
        .param("src_channels", from.channels)
        .linear(to.count(), REPACK_WORKGROUP)
        .finish(ctx)?;
    Ok(dst)
}
