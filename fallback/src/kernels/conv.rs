//! CONV_2D.

use tflite_wgpu_model::{BuiltinOperator, Conv2DOptions, Op};

use super::support::{
    Columns, Filters, LANES, Operands, Rounding, Runs, Sum, Window, add_product, convolve, dims, expect_shape,
    for_each_row, refuse, scale_count,
};
use super::{EvalCtx, KernelError, Row};
use crate::threads::Threads;

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::Conv2d, eval }];

/// Sizes of a convolution of an NHWC input with OHWI weights.
pub(super) struct Geometry {
    pub y: Window,
    pub x: Window,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Input channels that one output channel sees.
    pub depth: usize,
    pub groups: usize,
}

impl Geometry {
    fn new(ctx: &mut EvalCtx<'_>, options: &Conv2DOptions) -> Result<Self, KernelError> {
        let [batch, height, width, in_channels] = dims(ctx.shape(0)?, "input 0")?;
        let [out_channels, taps_y, taps_x, depth] = dims(ctx.shape(1)?, "input 1")?;
        let y = Window::new(height, taps_y, options.stride_h, options.dilation_hfactor, options.padding)?;
        let x = Window::new(width, taps_x, options.stride_w, options.dilation_wfactor, options.padding)?;
        if depth == 0
            || in_channels == 0
            || in_channels % depth != 0
            || out_channels % (in_channels / depth).max(1) != 0
        {
            let found = format!("{in_channels} to {out_channels} with filters of {depth}");
            return Err(refuse("channels", found, "whole groups"));
        }
        let groups = (in_channels / depth).max(1);
        expect_shape(ctx, 0, &[batch, y.output, x.output, out_channels])?;
        Ok(Self { y, x, in_channels, out_channels, depth, groups })
    }

    /// Weights of one output channel.
    pub fn filter_len(&self) -> usize {
        self.y.taps * self.x.taps * self.depth
    }

    /// Elements of one row of the output.
    pub fn row_len(&self) -> usize {
        self.x.output * self.out_channels
    }

    /// Calls `visit(input offset, filter offset, length)` for each run of input elements under the filter at an
    /// output cell: neighbouring taps of one row form one run where nothing lies between them.
    fn runs(&self, row: usize, out_x: usize, group: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let (batch, out_y) = (row / self.y.output, row % self.y.output);
        let (taps_y, first_y) = self.y.inside(out_y);
        let (taps_x, first_x) = self.x.inside(out_x);
        let dense = self.x.dilation == 1 && self.groups == 1;
        for (i, tap_y) in taps_y.enumerate() {
            let in_y = first_y + i * self.y.dilation;
            let line = (batch * self.y.input + in_y) * self.x.input;
            let taps = tap_y * self.x.taps;
            if dense {
                let input = (line + first_x) * self.in_channels;
                visit(input, (taps + taps_x.start) * self.depth, taps_x.len() * self.depth);
                continue;
            }
            for (j, tap_x) in taps_x.clone().enumerate() {
                let in_x = first_x + j * self.x.dilation;
                let input = (line + in_x) * self.in_channels + group * self.depth;
                visit(input, (taps + tap_x) * self.depth, self.depth);
            }
        }
    }
}

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Conv2d(options) = &ctx.node.op else { return Err(refuse("operator", "another", "CONV_2D")) };
    let geometry = Geometry::new(ctx, options)?;
    convolve(ctx, &geometry, options.fused_activation_function)
}

/// A sum goes over filter rows, filter columns and input channels in this order.
impl Filters for Geometry {
    const OPERANDS: Operands = Operands { input: 0, weights: 1, bias: 2 };
    const NARROW_WITHOUT_BIAS: bool = true;

    fn channels(&self) -> usize {
        self.out_channels
    }

    fn hybrid(&self, ctx: &EvalCtx<'_>) -> Option<(Runs, Rounding)> {
        // Each image of a batch is rounded, with scales per channel from its smallest to its largest value.
        let image = self.y.input * self.x.input * self.in_channels;
        let rounding = if scale_count(ctx, 1) > 1 { Rounding::Asymmetric } else { Rounding::Symmetric };
        Some((Runs { len: image, step: 1 }, rounding))
    }

    fn sums<S: Sum, T: Send>(
        &self,
        threads: Threads<'_>,
        input: &[S::Factor],
        weights: &[S::Factor],
        out: &mut [T],
        finish: impl Fn(usize, S) -> T + Send + Sync,
    ) {
        let (filter_len, group_channels) = (self.filter_len(), self.out_channels / self.groups);
        let pack = |group| {
            let first = group * group_channels;
            Columns::pack(threads, filter_len, group_channels, |k, c| weights[(first + c) * filter_len + k])
        };
        let groups: Vec<Columns<S::Factor>> = (0..self.groups).map(pack).collect();
        let row_len = self.row_len();
        for_each_row(threads, out, row_len, row_len.saturating_mul(filter_len), |row, out| {
            for (group, columns) in groups.iter().enumerate() {
                for tile in 0..columns.tile_count() {
                    let lanes = columns.columns(tile);
                    let first = group * group_channels + lanes.start;
                    for (out_x, cell) in out.chunks_exact_mut(self.out_channels).enumerate() {
                        let mut sums = [S::default(); LANES];
                        self.runs(row, out_x, group, |at, tap, len| {
                            add_product(&mut sums, &input[at..at + len], columns.rows(tile, tap, len));
                        });
                        for (lane, out) in cell[first..first + lanes.len()].iter_mut().enumerate() {
                            *out = finish(first + lane, sums[lane]);
                        }
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{ActivationFunctionType, Padding};

    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::{run_f32, values};

    fn op(padding: Padding, stride: i32, dilation: i32) -> Op {
        Op::Conv2d(Conv2DOptions {
            padding,
            stride_w: stride,
            stride_h: stride,
            dilation_wfactor: dilation,
            dilation_hfactor: dilation,
            ..Default::default()
        })
    }

    #[test]
    fn windows_and_bias() -> Result<(), Box<dyn std::error::Error>> {
        // 1..=9 in a 3 by 3 image, a filter of ones.
        let (input, filter) = (values(&[1, 3, 3, 1])?, Value::f32(&[1, 2, 2, 1], &[1.0; 4])?);
        let bias = Value::f32(&[1], &[0.5])?;
        let inputs = [Some(&input), Some(&filter), Some(&bias)];
        let valid = run_f32(op(Padding::Valid, 1, 1), &inputs, &[1, 2, 2, 1])?;
        assert_eq!(valid, [12.5, 16.5, 24.5, 28.5]);
        let same = run_f32(op(Padding::Same, 2, 1), &inputs[..2], &[1, 2, 2, 1])?;
        assert_eq!(same, [12.0, 9.0, 15.0, 9.0]);
        let dilated = run_f32(op(Padding::Valid, 1, 2), &inputs[..2], &[1, 1, 1, 1])?;
        assert_eq!(dilated, [20.0]);
        Ok(())
    }

    #[test]
    fn groups_and_activation() -> Result<(), Box<dyn std::error::Error>> {
        // Two channels, each with two filters of its own.
        let (input, filter) = (values(&[1, 1, 1, 2])?, Value::f32(&[4, 1, 1, 1], &[1.0, -1.0, 2.0, 10.0])?);
        let options = Conv2DOptions {
            stride_w: 1,
            stride_h: 1,
            fused_activation_function: ActivationFunctionType::Relu6,
            ..Default::default()
        };
        let out = run_f32(Op::Conv2d(options), &[Some(&input), Some(&filter)], &[1, 1, 1, 4])?;
        assert_eq!(out, [1.0, 0.0, 4.0, 6.0]);
        let wrong = Value::f32(&[3, 1, 1, 1], &[1.0; 3])?;
        assert!(run_f32(op(Padding::Same, 1, 1), &[Some(&input), Some(&wrong)], &[1, 1, 1, 3]).is_err());
        Ok(())
    }
}
