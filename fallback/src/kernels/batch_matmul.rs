//! BATCH_MATMUL.

use tflite_wgpu_model::{ActivationFunctionType, BatchMatMulOptions, BuiltinOperator, DType, Op, infer};

use super::support::{
    Columns, LANES, Operands, Products, Rounding, Runs, Stored, Sum, activations, add_product, centred, expect_shape,
    float_weights, for_each_row, mismatch, no_type, output_affine, refuse, scale_count,
};
use super::{EvalCtx, KernelError, Row};
use crate::threads::Threads;

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::BatchMatmul, eval }];

/// One operand: matrices that follow each other in memory.
struct Operand {
    /// Elements from one row of the product's operand to the next, and from one column to the next.
    strides: [usize; 2],
    /// Elements of one matrix.
    len: usize,
    /// Position of the matrix for each batch of the product.
    batches: Vec<usize>,
}

/// Sizes of a batched product, batches broadcast.
struct Geometry {
    rows: usize,
    depth: usize,
    columns: usize,
    left: Operand,
    right: Operand,
}

impl Geometry {
    fn new(ctx: &mut EvalCtx<'_>, options: &BatchMatMulOptions) -> Result<Self, KernelError> {
        let (left_shape, right_shape) = (ctx.shape(0)?, ctx.shape(1)?);
        let split = |shape: &[usize], adjoint, i| match shape {
            [batch @ .., rows, columns] if adjoint => Ok((batch.to_vec(), [*columns, *rows], [1, *columns])),
            [batch @ .., rows, columns] => Ok((batch.to_vec(), [*rows, *columns], [*columns, 1])),
            _ => Err(refuse(format!("rank of input {i}"), shape.len(), "at least 2")),
        };
        let (left_batch, [rows, depth], left_strides) = split(left_shape, options.adj_x, 0)?;
        let (right_batch, [right_depth, columns], right_strides) = split(right_shape, options.adj_y, 1)?;
        if depth != right_depth {
            return Err(refuse("depth of input 1", right_depth, format!("{depth} as of input 0")));
        }
        let batch = infer::broadcast(&[&left_batch, &right_batch]).map_err(mismatch)?;
        let shape = [batch.as_slice(), &[rows, columns]].concat();
        expect_shape(ctx, 0, &shape)?;
        let left = Operand { strides: left_strides, len: rows * depth, batches: positions(&left_batch, &batch) };
        let right = Operand { strides: right_strides, len: depth * columns, batches: positions(&right_batch, &batch) };
        Ok(Self { rows, depth, columns, left, right })
    }
}

/// Position among matrices of batch shape `from` for each batch of the shape `to` that it broadcasts to.
fn positions(from: &[usize], to: &[usize]) -> Vec<usize> {
    let count: usize = to.iter().product();
    let position = |mut at: usize| {
        let (mut position, mut stride) = (0, 1);
        for (i, &size) in to.iter().enumerate().rev() {
            let own = (i + from.len()).checked_sub(to.len()).map_or(1, |i| from[i]);
            position += if own == 1 { 0 } else { at % size * stride };
            stride *= own;
            at /= size;
        }
        position
    };
    (0..count).map(position).collect()
}

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::BatchMatmul(options) = &ctx.node.op else { return Err(refuse("operator", "another", "BATCH_MATMUL")) };
    let geometry = Geometry::new(ctx, options)?;
    let output = ctx.output_value(0)?.dtype();
    match (ctx.input(0)?.dtype(), output) {
        (DType::Float32, _) => {
            let right = float_weights(ctx, 1)?;
            let asymmetric = options.asymmetric_quantize_inputs;
            let rounding = if asymmetric { Rounding::Asymmetric } else { Rounding::Symmetric };
            // Rows of the product's left side, which are columns of a transposed one.
            let step = if options.adj_x { geometry.rows } else { 1 };
            let left = activations(ctx, (0, 1), Runs { len: geometry.depth, step }, rounding)?;
            product::<f32, f32>(ctx.env.threads, &geometry, &left, &right, ctx.output(0)?, |sum| sum);
            Ok(())
        }
        (DType::Int8, DType::Int8) => integer::<i8>(ctx, &geometry),
        (DType::Int8, DType::Int32) => {
            // TFLite leaves the zero points out here.
            let widen = |i| Ok::<Vec<i16>, KernelError>(ctx.slice::<i8>(i)?.iter().map(|&v| v.into()).collect());
            let (left, right) = (widen(0)?, widen(1)?);
            product::<i32, i32>(ctx.env.threads, &geometry, &left, &right, ctx.output(0)?, |sum| sum);
            Ok(())
        }
        (DType::Int16, DType::Int16) => integer::<i16>(ctx, &geometry),
        (DType::Int8 | DType::Int16, found) => Err(refuse("type of output 0", found, "that of input 0")),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8 or INT16")),
    }
}

fn integer<T: Stored>(ctx: &mut EvalCtx<'_>, geometry: &Geometry) -> Result<(), KernelError> {
    if scale_count(ctx, 1) > 1 {
        // TFLite knows one scale here and takes several for 0.
        let zero = T::RANGE.apply(output_affine(ctx)?.zero);
        ctx.output::<T>(0)?.fill(T::narrow(zero));
        return Ok(());
    }
    let operands = Operands { input: 0, weights: 1, bias: 2 };
    let products = Products::new::<T>(ctx, operands, 1, ActivationFunctionType::None)?;
    let (left, right, threads) = (centred(ctx, 0)?, centred(ctx, 1)?, ctx.env.threads);
    let out = ctx.output::<T>(0)?;
    if products.wide {
        product::<i64, T>(threads, geometry, &left, &right, out, |sum| products.wide(0, sum));
    } else {
        product::<i32, T>(threads, geometry, &left, &right, out, |sum| products.narrow(0, sum));
    }
    Ok(())
}

/// Output = `finish(sum)` of the sums over the depth.
fn product<S: Sum, T: Send>(
    threads: Threads<'_>,
    geometry: &Geometry,
    left: &[S::Factor],
    right: &[S::Factor],
    out: &mut [T],
    finish: impl Fn(S) -> T + Send + Sync,
) {
    let &Geometry { rows, depth, columns, .. } = geometry;
    let [row_stride, depth_stride] = geometry.left.strides;
    let [k_stride, column_stride] = geometry.right.strides;
    let batches = geometry.left.batches.iter().zip(&geometry.right.batches);
    for ((&left_batch, &right_batch), out) in batches.zip(out.chunks_exact_mut((rows * columns).max(1))) {
        let left = &left[left_batch * geometry.left.len..][..geometry.left.len];
        let right = &right[right_batch * geometry.right.len..][..geometry.right.len];
        let packed = Columns::pack(threads, depth, columns, |k, c| right[k * k_stride + c * column_stride]);
        for_each_row(threads, out, columns, columns.saturating_mul(depth), |row, out| {
            let x: Vec<S::Factor> = (0..depth).map(|k| left[row * row_stride + k * depth_stride]).collect();
            for (tile, out) in out.chunks_mut(LANES).enumerate() {
                let mut sums = [S::default(); LANES];
                add_product(&mut sums, &x, packed.rows(tile, 0, depth));
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = finish(sum));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::support::testing::{run_f32, values};

    #[test]
    fn adjoints_and_batches() -> Result<(), Box<dyn std::error::Error>> {
        let op = |adj_x, adj_y| Op::BatchMatmul(BatchMatMulOptions { adj_x, adj_y, ..Default::default() });
        let (square, column) = (values(&[2, 2])?, values(&[2, 1])?);
        let inputs = [Some(&square), Some(&column)];
        assert_eq!(run_f32(op(false, false), &inputs, &[2, 1])?, [5.0, 11.0]);
        assert_eq!(run_f32(op(true, false), &inputs, &[2, 1])?, [7.0, 10.0]);
        let inputs = [Some(&column), Some(&square)];
        assert_eq!(run_f32(op(true, true), &inputs, &[1, 2])?, [5.0, 11.0]);
        let (left, right) = (values(&[2, 1, 1, 1])?, values(&[3, 1, 1])?);
        let out = run_f32(op(false, false), &[Some(&left), Some(&right)], &[2, 3, 1, 1])?;
        assert_eq!(out, [1.0, 2.0, 3.0, 2.0, 4.0, 6.0]);
        assert_eq!(positions(&[2, 1], &[3, 2, 2]), [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]);
        Ok(())
    }
}
