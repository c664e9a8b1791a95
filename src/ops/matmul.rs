//! BATCH_MATMUL, and FULLY_CONNECTED with weights that are not constant.

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{BatchMatMulOptions, BuiltinOperator, DType, Op, TensorId, infer};

use super::{
    LowerCtx, LowerError, OpRow, StepBuilder, SupportCtx,
    dense::{self, Product},
    tile,
    weights::{self, Order},
};
use crate::{
    kernels::{
        BindingRow, KernelRow,
        ParamType::{self, U32},
        input, output,
    },
    reason::Reason,
    region::{Binary, Fused, RegionNode, RegionTensor, Spread, Storage, Texels, Whole},
    tuning::Tile,
};

/// The operators of this family.
pub const ROWS: &[OpRow] = &[OpRow::new(BuiltinOperator::BatchMatmul, support, lower)
    .fuses()
    .takes("FLOAT32; constants also FLOAT16, INT8, UINT8, INT4 with scales")
    .ranks("2–8")
    .leaves("batches that broadcast in more than three groups of dimensions")];

/// Kernels of this family.
pub const KERNELS: &[KernelRow] =
    &[matrix_kernel("matmul", "matmul.wgsl"), matrix_kernel("matmul_vector", "vector.wgsl")];

const BINDINGS: &[BindingRow] = &[input("x"), input("y"), output("dst")];

const PARAMS: &[(&str, ParamType)] = &[
    ("rows", U32),
    ("depth", U32),
    ("width", U32),
    ("channels", U32),
    ("x_width", U32),
    ("y_width", U32),
    ("batch_1", U32),
    ("batch_2", U32),
    ("x_stride_0", U32),
    ("x_stride_1", U32),
    ("x_stride_2", U32),
    ("y_stride_0", U32),
    ("y_stride_1", U32),
    ("y_stride_2", U32),
    ("dst_width", U32),
    ("dst_step", U32),
];

const fn matrix_kernel(name: &'static str, file: &'static str) -> KernelRow {
    KernelRow { name, file, bindings: BINDINGS, params: PARAMS, epilogue: true, twin: "BATCH_MATMUL" }
}

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    let Op::BatchMatmul(options) = &ctx.node.op else { return Err(Reason::UnsupportedOperator) };
    ctx.output_is(0, &[DType::Float32])?;
    for i in [0, 1] {
        if ctx.constant(i).is_ok() {
            weights::support_weights(ctx, i)?;
        } else {
            ctx.input_is(i, &[DType::Float32])?;
        }
    }
    Geometry::new(ctx.input_dims(0)?, ctx.input_dims(1)?, options).map(|_| ())
}

/// Sizes of a product of matrices, batch by batch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Geometry {
    rows: usize,
    depth: usize,
    channels: usize,
    adj_x: bool,
    adj_y: bool,
    /// Sizes of the three digits of a batch index.
    batch: [usize; 3],
    /// Matrices of the left operand per step of each digit.
    x_steps: [usize; 3],
    /// Matrices of the right operand per step of each digit.
    y_steps: [usize; 3],
}

impl Geometry {
    fn new(x: &[usize], y: &[usize], options: &BatchMatMulOptions) -> Result<Self, Reason> {
        let (Some((batch_x, &[x0, x1])), Some((batch_y, &[y0, y1]))) = (x.split_last_chunk(), y.split_last_chunk())
        else {
            return Err(Reason::Shape("rank below 2"));
        };
        let (rows, depth) = if options.adj_x { (x1, x0) } else { (x0, x1) };
        let (inner, channels) = if options.adj_y { (y1, y0) } else { (y0, y1) };
        if inner != depth {
            return Err(Reason::Shape("depths differ"));
        }
        let [batch, x_steps, y_steps] = digits(batch_x, batch_y)?;
        if rows * depth * channels * batch.iter().product::<usize>() == 0 {
            return Err(Reason::ZeroSize);
        }
        Ok(Self { rows, depth, channels, adj_x: options.adj_x, adj_y: options.adj_y, batch, x_steps, y_steps })
    }

    fn batches(&self) -> usize {
        self.batch.iter().product()
    }
}

/// Batch dimensions as at most three digits: neighbours that both operands step through alike are one.
fn digits(x: &[usize], y: &[usize]) -> Result<[[usize; 3]; 3], Reason> {
    let all = infer::broadcast(&[x, y]).map_err(|_| Reason::Shape("batch dimensions do not broadcast"))?;
    let size = |dims: &[usize], from_last: usize| {
        dims.len().checked_sub(from_last + 1).and_then(|i| dims.get(i)).copied().unwrap_or(1)
    };
    // From the last dimension: size, matrices per step of x and of y.
    let mut merged: Vec<(usize, usize, usize)> = Vec::new();
    let (mut step_x, mut step_y) = (1, 1);
    for (i, &count) in all.iter().rev().enumerate().filter(|(_, count)| **count != 1) {
        let (size_x, size_y) = (size(x, i), size(y, i));
        let (x, y) = (if size_x == 1 { 0 } else { step_x }, if size_y == 1 { 0 } else { step_y });
        match merged.last_mut() {
            Some(last) if last.1 * last.0 == x && last.2 * last.0 == y => last.0 *= count,
            _ => merged.push((count, x, y)),
        }
        step_x *= size_x;
        step_y *= size_y;
    }
    if merged.len() > 3 {
        return Err(Reason::Shape("more than three batch dimensions that do not merge"));
    }
    let mut digits = [[1; 3], [0; 3], [0; 3]];
    for (i, (count, x, y)) in merged.into_iter().enumerate() {
        for (list, value) in digits.iter_mut().zip([count, x, y]) {
            if let Some(digit) = list.get_mut(2 - i) {
                *digit = value;
            }
        }
    }
    Ok(digits)
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let Op::BatchMatmul(options) = &node.op else { return Err(Reason::UnsupportedOperator.into()) };
    let (x, y) = (ctx.input(node, 0)?, ctx.input(node, 1)?);
    let [swap_x, swap_y, _] = swapped(node);
    let geometry = Geometry::new(&batches_first(ctx.dims(x), swap_x), &batches_first(ctx.dims(y), swap_y), options)?;
    // One right matrix for all batches: their rows are the rows of one product.
    if node.whole.is_none() && ctx.constant(y).is_some() && geometry.y_steps == [0; 3] && !geometry.adj_x {
        let order = if geometry.adj_y { Order::OutputFirst } else { Order::OutputLast };
        let rows = geometry.rows * geometry.batches();
        let product = Product { rows, depth: geometry.depth, channels: geometry.channels, row_channels: None };
        return dense::lower_product(ctx, node, product, order);
    }
    let storage = ctx.region.tensor(ctx.output(node, 0)?).storage;
    let operands = [float_operand(ctx, x, storage)?, float_operand(ctx, y, storage)?];
    emit(ctx, node, &geometry, operands, &node.fused)
}

/// Which of the operands and the result have dimensions 1 and 2 in the other order.
fn swapped(node: &RegionNode) -> [bool; 3] {
    match node.whole {
        Some(Whole::Swapped(swapped)) => swapped,
        _ => [false; 3],
    }
}

/// Dimensions with those of batches in front of a matrix's rows.
fn batches_first(dims: &[usize], swapped: bool) -> Vec<usize> {
    match dims {
        &[batch, rows, heads, width] if swapped => vec![batch, heads, rows, width],
        dims => dims.to_vec(),
    }
}

/// Texels from a row of matrices to the next, and from a matrix of `rows` rows to the next.
fn steps(dims: &[usize], rows: usize, swapped: bool) -> [usize; 2] {
    let width = Texels::of(dims).width;
    match dims {
        &[_, _, heads, _] if swapped => [width * heads, width],
        _ => [width, width * rows],
    }
}

/// FULLY_CONNECTED with computed weights: `[rows, depth, units]`.
pub(super) fn lower_fully_connected(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    [rows, depth, units]: [usize; 3],
) -> Result<(), LowerError> {
    let (mut x, y) = (ctx.input(node, 0)?, ctx.input(node, 1)?);
    if Texels::of(ctx.dims(x)).channels != depth {
        x = dense::repack(ctx, node, x, [rows, depth])?;
    }
    let options = BatchMatMulOptions { adj_x: false, adj_y: true, asymmetric_quantize_inputs: false };
    let geometry = Geometry::new(&[rows, depth], &[units, depth], &options)?;
    let mut fused = Vec::new();
    if let Some(operand) = node.input(2) {
        let operand = float_operand(ctx, operand, ctx.region.tensor(ctx.output(node, 0)?).storage)?;
        fused.push(Fused::Binary { op: Binary::Add, operand, spread: Spread::Channel, swapped: false });
    }
    fused.extend(node.fused.iter().cloned());
    emit(ctx, node, &geometry, [x, y], &fused)
}

/// The tensor itself, or a constant one with its float values where it is not FLOAT32.
fn float_operand(ctx: &mut LowerCtx<'_>, id: TensorId, storage: Storage) -> Result<TensorId, LowerError> {
    let tensor = ctx.region.tensor(id);
    if tensor.dtype == DType::Float32 {
        return Ok(id);
    }
    let (name, dims) = (tensor.name.clone(), tensor.dims.clone());
    let floats = ctx.constant_floats(id)?;
    let value = Value::f32(&dims, &floats).map_err(|_| Reason::Shape("a constant has another size than its shape"))?;
    let constant = Some(value.into());
    Ok(ctx.region.add_tensor(RegionTensor { name, dtype: DType::Float32, dims, constant, quant: None, storage }))
}

fn emit(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    geometry: &Geometry,
    [x, y]: [TensorId; 2],
    fused: &[Fused],
) -> Result<(), LowerError> {
    let dst = ctx.output(node, 0)?;
    let Geometry { rows, depth, channels, .. } = *geometry;
    let [swap_x, swap_y, swap_dst] = swapped(node);
    let [x_width, x_matrix] = steps(ctx.dims(x), if geometry.adj_x { depth } else { rows }, swap_x);
    let [y_width, y_matrix] = steps(ctx.dims(y), if geometry.adj_y { channels } else { depth }, swap_y);
    let [dst_width, dst_step] = steps(ctx.dims(dst), rows, swap_dst);
    let width = channels.div_ceil(4);
    let split = ctx.tuning.split.filter(|split| rows == 1 && split.fits(depth.div_ceil(4)));
    let mut step = ctx
        .step(if split.is_some() { "matmul_vector" } else { "matmul" }, node)
        .tensor("x", x)
        .tensor("y", y)
        .tensor("dst", dst)
        .param("rows", rows)
        .param("depth", depth)
        .param("width", width)
        .param("channels", channels)
        .param("x_width", x_width)
        .param("y_width", y_width)
        .param("dst_width", dst_width)
        .param("dst_step", dst_step)
        .param("batch_1", geometry.batch[1])
        .param("batch_2", geometry.batch[2]);
    let x_names = ["x_stride_0", "x_stride_1", "x_stride_2"];
    let y_names = ["y_stride_0", "y_stride_1", "y_stride_2"];
    for (name, steps) in x_names.into_iter().zip(geometry.x_steps) {
        step = step.param(name, steps * x_matrix);
    }
    for (name, steps) in y_names.into_iter().zip(geometry.y_steps) {
        step = step.param(name, steps * y_matrix);
    }
    let step = step.value("adj_x", i64::from(geometry.adj_x)).value("adj_y", i64::from(geometry.adj_y));
    let step = match split {
        Some(split) => tile::cover_split(step, split, width, geometry.batches()),
        None => cover(step, ctx.tuning.tile(rows, width), geometry, width),
    };
    step.fused(fused).macs(geometry.batches() * rows * depth * channels).finish(ctx)
}

/// Sets the template values and the grid of `shaders/matmul.wgsl`.
fn cover(step: StepBuilder, base: Tile, geometry: &Geometry, width: usize) -> StepBuilder {
    if base.broadcast == SHARING && !geometry.adj_x && geometry.rows >= SHARED_ROWS {
        return cover_shared(step, geometry, width);
    }
    // Rows of an adjoint left operand come four by four.
    let pixels = if geometry.adj_x { base.pixels.next_multiple_of(4) } else { base.pixels };
    let texels = base.texels.min(2);
    let [wx, wy] = WORKGROUP;
    let columns = width.div_ceil(texels).div_ceil(wx);
    step.value("pixels", tile::to_i64(pixels))
        .value("texels", tile::to_i64(texels))
        .value("wx", tile::to_i64(wx))
        .value("wy", tile::to_i64(wy))
        .value("broadcast", 0)
        .grid([columns, geometry.rows.div_ceil(pixels).div_ceil(wy), geometry.batches()])
}

/// Where the lanes of a subgroup lie over rows and load the right operand for each other.
fn cover_shared(step: StepBuilder, geometry: &Geometry, width: usize) -> StepBuilder {
    let [pixels, texels] = SHARED_TILE;
    step.value("pixels", tile::to_i64(pixels))
        .value("texels", tile::to_i64(texels))
        .value("wx", tile::to_i64(SHARING))
        .value("wy", 1)
        .value("broadcast", tile::to_i64(SHARING))
        .grid([geometry.rows.div_ceil(pixels).div_ceil(SHARING), width.div_ceil(texels), geometry.batches()])
}

const WORKGROUP: [usize; 2] = [8, 1];

/// Lanes of a subgroup that load for each other, and the rows from which they have enough to do.
const SHARING: usize = 8;
const SHARED_ROWS: usize = 16;

/// Rows and output texels of such a lane.
const SHARED_TILE: [usize; 2] = [7, 4];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_dimensions_merge_where_both_operands_step_alike() -> Result<(), Reason> {
        assert_eq!(digits(&[2, 3], &[2, 3])?, [[1, 1, 6], [0, 0, 1], [0, 0, 1]]);
        assert_eq!(digits(&[2, 1], &[1, 3])?, [[1, 2, 3], [0, 1, 0], [0, 0, 1]]);
        assert_eq!(digits(&[], &[4])?, [[1, 1, 4], [0, 0, 0], [0, 0, 1]]);
        assert_eq!(digits(&[1, 2, 2], &[2, 1])?, [[1, 2, 2], [0, 2, 1], [0, 1, 0]]);
        assert!(digits(&[2], &[3]).is_err());
        Ok(())
    }
}
