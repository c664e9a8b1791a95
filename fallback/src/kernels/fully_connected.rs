//! FULLY_CONNECTED.

use tflite_wgpu_model::{
    BuiltinOperator, DType, FullyConnectedOptions, FullyConnectedOptionsWeightsFormat, Op, element_count,
};

use super::support::{
    Clamp, Columns, LANES, check_len, dims, float_clamp, float_weights, for_each_row, no_type, refuse,
};
use super::{EvalCtx, KernelError, Row};

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
    match ctx.input(0)?.dtype() {
        DType::Float32 => eval_float(ctx, options, &geometry),
        _ => Err(no_type(ctx, 0, "FLOAT32")),
    }
}

fn eval_float(ctx: &mut EvalCtx<'_>, options: &FullyConnectedOptions, geometry: &Geometry) -> Result<(), KernelError> {
    if options.weights_format != FullyConnectedOptionsWeightsFormat::Default {
        return Err(refuse("weights_format", format!("{:?}", options.weights_format), "DEFAULT"));
    }
    let weights = float_weights(ctx, 1)?;
    let clamp = float_clamp(options.fused_activation_function)?;
    let bias = ctx.optional_slice::<f32>(2)?;
    let input = ctx.slice(0)?;
    float(ctx.env.threads, geometry, input, &weights, bias, clamp, ctx.output(0)?)
}

/// Sums over the depth, adds the bias, clamps.
fn float(
    threads: usize,
    geometry: &Geometry,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    clamp: Clamp<f32>,
    out: &mut [f32],
) -> Result<(), KernelError> {
    let &Geometry { units, depth, .. } = geometry;
    if let Some(bias) = bias {
        check_len(bias, units, "the bias")?;
    }
    let columns = Columns::pack(threads, depth, units, |k, unit| weights[unit * depth + k]);
    for_each_row(threads, out, units, units.saturating_mul(depth), |row, out| {
        let x = &input[row * depth..][..depth];
        for (tile, out) in out.chunks_mut(LANES).enumerate() {
            let mut sums = [0.0; LANES];
            Columns::add_product(&mut sums, x, columns.rows(tile, 0, depth));
            for (lane, out) in out.iter_mut().enumerate() {
                *out = clamp.apply(sums[lane] + bias.map_or(0.0, |bias| bias[tile * LANES + lane]));
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
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
