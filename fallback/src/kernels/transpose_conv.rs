//! TRANSPOSE_CONV.

use tflite_wgpu_model::{BuiltinOperator, Op, TransposeConvOptions};

use super::support::{
    Columns, Filters, LANES, Operands, Rounding, Runs, Sum, Window, add_product, convolve, dims, expect_shape,
    for_each_row, refuse,
};
use super::{EvalCtx, KernelError, Row};
use crate::threads::Threads;

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::TransposeConv, eval }];

/// Inputs by position: the output's shape comes first.
const WEIGHTS: usize = 1;
const INPUT: usize = 2;
const BIAS: usize = 3;

/// Sizes of a transposed convolution of an NHWC input with OHWI weights. The windows slide over the output.
pub(super) struct Geometry {
    pub height: usize,
    pub width: usize,
    pub y: Window,
    pub x: Window,
    pub in_channels: usize,
    pub out_channels: usize,
}

impl Geometry {
    fn new(ctx: &mut EvalCtx<'_>, options: &TransposeConvOptions) -> Result<Self, KernelError> {
        let [batch, height, width, in_channels] = dims(ctx.shape(INPUT)?, "input 2")?;
        let [out_channels, taps_y, taps_x, depth] = dims(ctx.shape(WEIGHTS)?, "input 1")?;
        if depth != in_channels {
            return Err(refuse("channels of input 2", in_channels, format!("{depth} as of input 1")));
        }
        let found = ctx.output_value(0)?.shape().to_vec();
        let [_, out_height, out_width, _] = dims(&found, "output 0")?;
        expect_shape(ctx, 0, &[batch, out_height, out_width, out_channels])?;
        let y = Window::new(out_height, taps_y, options.stride_h, 1, options.padding)?;
        let x = Window::new(out_width, taps_x, options.stride_w, 1, options.padding)?;
        Ok(Self { height, width, y, x, in_channels, out_channels })
    }

    /// Weights of one output channel.
    pub fn filter_len(&self) -> usize {
        self.y.taps * self.x.taps * self.in_channels
    }

    /// Calls `visit(input offset, filter offset)` for each input cell that reaches an output cell, in memory order.
    pub fn sources(&self, row: usize, out_x: usize, mut visit: impl FnMut(usize, usize)) {
        let (batch, out_y) = (row / self.y.input, row % self.y.input);
        for (in_y, tap_y) in self.y.sources(self.height, out_y) {
            for (in_x, tap_x) in self.x.sources(self.width, out_x) {
                let cell = (batch * self.height + in_y) * self.width + in_x;
                visit(cell * self.in_channels, (tap_y * self.x.taps + tap_x) * self.in_channels);
            }
        }
    }
}

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::TransposeConv(options) = &ctx.node.op else {
        return Err(refuse("operator", "another", "TRANSPOSE_CONV"));
    };
    let geometry = Geometry::new(ctx, options)?;
    convolve(ctx, &geometry, options.fused_activation_function)
}

/// A sum goes over input rows, columns and channels in this order.
impl Filters for Geometry {
    const OPERANDS: Operands = Operands { input: INPUT, weights: WEIGHTS, bias: BIAS };

    fn channels(&self) -> usize {
        self.out_channels
    }

    fn hybrid(&self, _: &EvalCtx<'_>) -> Option<(Runs, Rounding)> {
        None
    }

    fn sums<S: Sum, T: Send>(
        &self,
        threads: Threads<'_>,
        input: &[S::Factor],
        weights: &[S::Factor],
        out: &mut [T],
        finish: impl Fn(usize, S) -> T + Send + Sync,
    ) {
        let (channels, filter_len) = (self.out_channels, self.filter_len());
        let columns = Columns::pack(threads, filter_len, channels, |k, c| weights[c * filter_len + k]);
        let row_len = self.x.input * channels;
        for_each_row(threads, out, row_len, row_len.saturating_mul(filter_len), |row, out| {
            for tile in 0..columns.tile_count() {
                let lanes = columns.columns(tile);
                for (out_x, cell) in out.chunks_exact_mut(channels).enumerate() {
                    let mut sums = [S::default(); LANES];
                    self.sources(row, out_x, |at, tap| {
                        let x = &input[at..at + self.in_channels];
                        add_product(&mut sums, x, columns.rows(tile, tap, x.len()));
                    });
                    for (lane, out) in cell[lanes.clone()].iter_mut().enumerate() {
                        *out = finish(lanes.start + lane, sums[lane]);
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::Padding;

    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::{run_f32, values};

    #[test]
    fn every_input_stamps_the_filter() -> Result<(), Box<dyn std::error::Error>> {
        let options = TransposeConvOptions { padding: Padding::Valid, stride_w: 2, stride_h: 2, ..Default::default() };
        let shape = Value::i32(&[4], &[1, 1, 5, 1])?;
        let (filter, input, bias) = (values(&[1, 1, 3, 1])?, values(&[1, 1, 2, 1])?, Value::f32(&[1], &[0.5])?);
        let inputs = [Some(&shape), Some(&filter), Some(&input), Some(&bias)];
        let out = run_f32(Op::TransposeConv(options.clone()), &inputs, &[1, 1, 5, 1])?;
        assert_eq!(out, [1.5, 2.5, 5.5, 4.5, 6.5]);
        // SAME to twice the size: the first tap falls outside only where padding is before the output.
        let same = Op::TransposeConv(TransposeConvOptions { padding: Padding::Same, ..options });
        assert_eq!(run_f32(same, &inputs[..3], &[1, 1, 4, 1])?, [1.0, 2.0, 5.0, 4.0]);
        Ok(())
    }
}
