//! FULLY_CONNECTED.

use tflite_wgpu_model::{
    ActivationFunctionType, BuiltinOperator, DType, FullyConnectedOptionsWeightsFormat, Op, element_count,
};

use super::support::{
    Columns, LANES, Operands, Products, Rounding, Runs, Stored, Sum, activations, add_product, centred, check_len,
    dims, float_clamp, float_weights, for_each_row, no_type, refuse,
};
use super::{EvalCtx, KernelError, Row};
use crate::threads::Threads;

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::FullyConnected, eval }];

/// Sizes of a product of an input, read as rows, with weights of shape units, depth.
pub(super) struct Geometry {
    pub units: usize,
    pub depth: usize,
}

impl Geometry {
    /// The input's elements are cut into rows of `depth`, whatever its rank.
    fn new(ctx: &mut EvalCtx<'_>) -> Result<Self, KernelError> {
        let [units, depth] = dims(ctx.shape(1)?, "input 1")?;
        let count = ctx.input(0)?.len();
        if depth == 0 || count % depth != 0 {
            return Err(refuse("shape of input 0", format!("{:?}", ctx.shape(0)?), format!("rows of {depth}")));
        }
        let rows = count / depth;
        let found = ctx.output_value(0)?.shape().to_vec();
        if element_count(&found) != rows.checked_mul(units) {
            return Err(refuse("shape of output 0", format!("{found:?}"), format!("{rows} rows of {units}")));
        }
        Ok(Self { units, depth })
    }
}

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::FullyConnected(options) = &ctx.node.op else {
        return Err(refuse("operator", "another", "FULLY_CONNECTED"));
    };
    let geometry = Geometry::new(ctx)?;
    let activation = options.fused_activation_function;
    if options.weights_format == FullyConnectedOptionsWeightsFormat::Shuffled4x16int8 {
        return shuffled(ctx, activation, &geometry);
    }
    let output = ctx.output_value(0)?.dtype();
    match (ctx.input(0)?.dtype(), output) {
        (DType::Float32, _) => float(ctx, activation, &geometry),
        (DType::Int8, DType::Int8) => integer::<i8>(ctx, activation, &geometry),
        (DType::UInt8, DType::UInt8) => integer::<u8>(ctx, activation, &geometry),
        (DType::Int8 | DType::UInt8 | DType::Int16, DType::Int16) => integer::<i16>(ctx, activation, &geometry),
        (DType::Int8 | DType::UInt8 | DType::Int16, found) => {
            Err(refuse("type of output 0", found, "that of input 0, or INT16"))
        }
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8, UINT8 or INT16")),
    }
}

fn float(ctx: &mut EvalCtx<'_>, activation: ActivationFunctionType, geometry: &Geometry) -> Result<(), KernelError> {
    let weights = float_weights(ctx, 1)?;
    let clamp = float_clamp(activation)?;
    let rounding = match &ctx.node.op {
        Op::FullyConnected(options) if options.asymmetric_quantize_inputs => Rounding::Asymmetric,
        _ => Rounding::Symmetric,
    };
    let (input, bias) =
        (activations(ctx, (0, 1), Runs { len: geometry.depth, step: 1 }, rounding)?, ctx.optional_slice::<f32>(2)?);
    if let Some(bias) = bias {
        check_len(bias, geometry.units, "the bias")?;
    }
    let finish = |unit: usize, sum: f32| clamp.apply(sum + bias.map_or(0.0, |bias| bias[unit]));
    product::<f32, f32>(ctx.env.threads, geometry, &input, &weights, ctx.output(0)?, finish);
    Ok(())
}

fn integer<T: Stored>(
    ctx: &mut EvalCtx<'_>,
    activation: ActivationFunctionType,
    geometry: &Geometry,
) -> Result<(), KernelError> {
    let operands = Operands { input: 0, weights: 1, bias: 2 };
    let products = Products::new::<T>(ctx, operands, geometry.units, activation)?;
    let (input, weights, threads) = (centred(ctx, 0)?, centred(ctx, 1)?, ctx.env.threads);
    let out = ctx.output::<T>(0)?;
    if products.wide {
        product::<i64, T>(threads, geometry, &input, &weights, out, |unit, sum| products.once(unit, sum));
    } else {
        product::<i32, T>(threads, geometry, &input, &weights, out, |unit, sum| products.once(unit, sum.into()));
    }
    Ok(())
}

/// UINT8 inputs with zero point 128, INT16 outputs. Weights are signed and lie in blocks of 4 units by 16 of the depth.
fn shuffled(ctx: &mut EvalCtx<'_>, activation: ActivationFunctionType, geometry: &Geometry) -> Result<(), KernelError> {
    let &Geometry { units, depth } = geometry;
    if !units.is_multiple_of(4) || !depth.is_multiple_of(16) {
        return Err(refuse("shape of input 1", format!("[{units}, {depth}]"), "multiples of 4 and 16"));
    }
    let stored = ctx.slice::<u8>(1)?;
    check_len(stored, units * depth, "input 1")?;
    let operands = Operands { input: 0, weights: 1, bias: 2 };
    let products = Products::new::<i16>(ctx, operands, units, activation)?;
    let input: Vec<i16> = ctx.slice::<u8>(0)?.iter().map(|&x| i16::from(x) - 128).collect();
    let weight = |at: usize| {
        let (unit, k) = (at / depth, at % depth);
        let block = (unit / 4 * (depth / 16) + k / 16) * 64;
        i16::from(stored[block + unit % 4 * 16 + k % 16].cast_signed())
    };
    let weights: Vec<i16> = (0..units * depth).map(weight).collect();
    let finish = |unit, sum| products.narrow(unit, sum);
    product::<i32, i16>(ctx.env.threads, geometry, &input, &weights, ctx.output(0)?, finish);
    Ok(())
}

/// Output = `finish(unit, sum)` of the sums over the depth.
fn product<S: Sum, T: Send>(
    threads: Threads<'_>,
    geometry: &Geometry,
    input: &[S::Factor],
    weights: &[S::Factor],
    out: &mut [T],
    finish: impl Fn(usize, S) -> T + Send + Sync,
) {
    let &Geometry { units, depth, .. } = geometry;
    let columns = Columns::pack(threads, depth, units, |k, unit| weights[unit * depth + k]);
    for_each_row(threads, out, units, units.saturating_mul(depth), |row, out| {
        let x = &input[row * depth..][..depth];
        for (tile, out) in out.chunks_mut(LANES).enumerate() {
            let mut sums = [S::default(); LANES];
            add_product(&mut sums, x, columns.rows(tile, 0, depth));
            for (lane, out) in out.iter_mut().enumerate() {
                *out = finish(tile * LANES + lane, sums[lane]);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::FullyConnectedOptions;

    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::{run_f32, values};

    #[test]
    fn rows_times_units() -> Result<(), Box<dyn std::error::Error>> {
        let (input, weights) = (values(&[2, 1, 2])?, Value::f32(&[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, -1.0])?);
        let bias = Value::f32(&[3], &[0.0, 10.0, 0.0])?;
        let op = Op::FullyConnected(FullyConnectedOptions::default());
        let out = run_f32(op.clone(), &[Some(&input), Some(&weights), Some(&bias)], &[2, 3])?;
        assert_eq!(out, [1.0, 12.0, -1.0, 3.0, 14.0, -1.0]);
        assert_eq!(run_f32(op.clone(), &[Some(&input), Some(&weights)], &[2, 3])?[1], 2.0);
        assert!(run_f32(op, &[Some(&values(&[3])?), Some(&weights)], &[2, 3]).is_err());
        Ok(())
    }
}
