//! FULLY_CONNECTED on floats.

use tflite_wgpu_model::{BuiltinOperator, DType, FullyConnectedOptionsWeightsFormat, Op};

use super::{FastKernel, Prepare, Ran, Row, Scratch, conv::one_row, matrix::Packed};
use crate::{
    eval::{EvalCtx, KernelError},
    kernels::support::{Clamp, float_clamp},
    simd::{Level, Rows},
    threads::PRODUCTS,
};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::FullyConnected, prepare }];

struct FullyConnected {
    weights: Packed,
    shape: [usize; 2],
    dtype: DType,
    has_bias: bool,
    clamp: Clamp<f32>,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::FullyConnected(options) = &given.node.op else { return None };
    let (input, weights) = (given.input(0)?, given.input(1)?);
    let shape: [usize; 2] = weights.dims.as_slice().try_into().ok()?;
    let [units, depth] = shape;
    let floats = input.dtype == DType::Float32 && given.output(0)?.dtype == DType::Float32;
    if !floats || options.weights_format != FullyConnectedOptionsWeightsFormat::Default || units == 0 || depth == 0 {
        return None;
    }
    let clamp = float_clamp(options.fused_activation_function).ok()?;
    let bias = given.bias(2, units)?;
    let packed = given.with_stored(1, |stored| Packed::new(level, depth, &stored, bias.as_deref()))?;
    Some(Box::new(FullyConnected { weights: packed, shape, dtype: weights.dtype, has_bias: bias.is_some(), clamp }))
}

impl FastKernel for FullyConnected {
    fn run(&self, ctx: &mut EvalCtx<'_>, _scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let ([units, depth], threads) = (self.shape, ctx.env.threads);
        let input = ctx.slice::<f32>(0)?;
        let out = ctx.output::<f32>(0)?;
        let rows = input.len() / depth;
        if rows == 0 || input.len() != rows * depth || out.len() != rows * units {
            return Ok(Ran::Refused);
        }
        if rows == 1 {
            one_row(threads, &self.weights, input, self.clamp, out);
            return Ok(Ran::Done);
        }
        let split = threads.split(rows, 1, units.saturating_mul(depth) / PRODUCTS);
        threads.each(split, out, units, |first, out| {
            let rows = Rows { data: &input[first * depth..], stride: depth, count: out.len() / units, runs: None };
            self.weights.multiply(rows, self.clamp, out, units);
        });
        Ok(Ran::Done)
    }

    fn holds(&self, input: usize) -> Option<(DType, &[usize])> {
        match input {
            1 => Some((self.dtype, &self.shape)),
            2 if self.has_bias => Some((DType::Float32, &self.shape[..1])),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::FullyConnectedOptions;

    use super::*;
    use crate::fast::testing::{Operand, check, value};

    #[test]
    fn rows_times_units() -> Result<(), Box<dyn std::error::Error>> {
        for (rows, units, depth) in [(1, 1, 1), (1, 1001, 70), (3, 10, 33), (30, 65, 64), (49, 16, 200)] {
            for bias in [false, true] {
                let bias = if bias { Operand::Constant(value(3, &[units])?) } else { Operand::Omitted };
                let operands =
                    [Operand::Input(value(1, &[rows, depth])?), Operand::Constant(value(2, &[units, depth])?), bias];
                let op = Op::FullyConnected(FullyConnectedOptions::default());
                check(prepare_at, op, &operands, &[&[rows, units]])
                    .map_err(|error| format!("{rows} {units} {depth}: {error}"))?;
            }
        }
        Ok(())
    }
}
