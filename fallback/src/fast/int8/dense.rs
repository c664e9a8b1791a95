//! FULLY_CONNECTED.

use tflite_wgpu_model::{DType, FullyConnectedOptionsWeightsFormat, Op};

use super::{
    OPERANDS,
    conv::copy,
    scheme::{Scheme, Weights, is_byte},
    weights::Matrix,
};
use crate::{
    eval::{EvalCtx, KernelError},
    fast::{FastKernel, Prepare, Ran, Scratch},
    simd::int8::{Finish, Rounding, Rows},
    threads::BYTE_PRODUCTS,
};

/// Rows that are multiplied with a panel of weights before the next panel.
const BLOCK: usize = 48;

struct Dense {
    dtype: DType,
    weights_type: DType,
    /// Units and depth.
    shape: [usize; 2],
    matrix: Matrix,
    finish: Finish,
    row_factor: i32,
}

pub(super) fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::FullyConnected(options) = &given.node.op else { return None };
    let dtype = given.input(0)?.dtype;
    if !is_byte(dtype) || options.weights_format != FullyConnectedOptionsWeightsFormat::Default {
        return None;
    }
    let weights = Weights::new(given, OPERANDS.weights)?;
    let shape: [usize; 2] = weights.shape().try_into().ok()?;
    let [units, depth] = shape;
    if units == 0 || depth == 0 {
        return None;
    }
    let weight = |k: usize, unit: usize| weights.at(unit * depth + k);
    let how = (options.fused_activation_function, Rounding::Once);
    let scheme = Scheme::new(given, OPERANDS, weights.zero, (depth, units), how, weights.pages(0), weight)?;
    let order = scheme.level.product_order(Rounding::Once);
    let column = |unit: usize| scheme.columns[unit];
    let matrix = Matrix::pack(scheme.level, order, (depth, units), weights.pages(0), weight, column);
    let (finish, row_factor) = (scheme.finish, scheme.row_factor);
    Some(Box::new(Dense { dtype, weights_type: weights.dtype(), shape, matrix, finish, row_factor }))
}

impl Dense {
    /// `input` holds rows of the matrix's depth.
    fn multiply(&self, input: &[u8], out: &mut [u8]) {
        let ([units, depth], stride) = (self.shape, self.matrix.depth);
        for (out, data) in out.chunks_mut(BLOCK * units).zip(input.chunks(BLOCK * stride)) {
            let count = out.len() / units;
            let corrections = self.corrections(data, depth);
            let corrections = if self.row_factor == 0 { &[] } else { &corrections[..count] };
            self.matrix.multiply(Rows { data, stride, count, corrections }, &self.finish, out, units);
        }
    }

    /// What the weights' zero point adds to the sums of each row.
    fn corrections(&self, data: &[u8], depth: usize) -> [i32; BLOCK] {
        let mut corrections = [0; BLOCK];
        if self.row_factor != 0 {
            for (correction, row) in corrections.iter_mut().zip(data.chunks_exact(self.matrix.depth)) {
                let sum: i32 = row[..depth].iter().map(|x| i32::from(x ^ self.finish.flip_in)).sum();
                *correction = sum.wrapping_mul(self.row_factor);
            }
        }
        corrections
    }
}

impl FastKernel for Dense {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let ([units, depth], stride) = (self.shape, self.matrix.depth);
        let (input, threads) = (ctx.input(0)?, ctx.env.threads);
        let rows = input.len() / depth;
        let output = ctx.output_value(0)?;
        let fits = input.dtype() == self.dtype
            && output.dtype() == self.dtype
            && rows * depth == input.len()
            && Some(output.len()) == rows.checked_mul(units);
        if !fits {
            return Ok(Ran::Refused);
        }
        let (input, out) = (input.bytes(), output.bytes_mut());
        let padded: &[u8] = if depth == stride {
            input
        } else {
            let padded = scratch.workspace.take::<u8>(rows * stride);
            for (padded, row) in padded.chunks_exact_mut(stride).zip(input.chunks_exact(depth)) {
                copy(padded, row, depth);
            }
            padded
        };
        if rows == 1 {
            let width = self.matrix.width();
            let corrections = self.corrections(padded, depth);
            let corrections = if self.row_factor == 0 { &[] } else { &corrections[..1] };
            let rows = Rows { data: padded, stride, count: 1, corrections };
            let split = threads.split(units.div_ceil(width), 1, width.saturating_mul(depth) / BYTE_PRODUCTS);
            threads.each(split, out, width, |first, out| {
                for (i, out) in out.chunks_mut(width).enumerate() {
                    self.matrix.multiply_panel(first + i, rows, &self.finish, out);
                }
            });
            return Ok(Ran::Done);
        }
        let split = threads.split(rows, 1, units.saturating_mul(depth) / BYTE_PRODUCTS);
        threads.each(split, out, units, |first, out| {
            self.multiply(&padded[first * stride..][..out.len() / units * stride], out);
        });
        Ok(Ran::Done)
    }

    fn holds(&self, input: usize) -> Option<(DType, &[usize])> {
        (input == 1).then_some((self.weights_type, self.shape.as_slice()))
    }
}
