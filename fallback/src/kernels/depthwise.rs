//! DEPTHWISE_CONV_2D.

use tflite_wgpu_model::{BuiltinOperator, DepthwiseConv2DOptions, Op};

use super::support::{
    Filters, Operands, Rounding, Runs, Sum, Window, convolve, dims, expect_shape, for_each_row, refuse,
};
use super::{EvalCtx, KernelError, Row};
use crate::threads::Threads;

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::DepthwiseConv2d, eval }];

/// Sizes of a depthwise convolution of an NHWC input with weights of shape 1, height, width, channels.
pub(super) struct Geometry {
    pub y: Window,
    pub x: Window,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Output channels per input channel.
    pub multiplier: usize,
}

impl Geometry {
    /// The multiplier follows from the shapes; what the options say is ignored, as in TFLite's `Prepare`.
    fn new(ctx: &mut EvalCtx<'_>, options: &DepthwiseConv2DOptions) -> Result<Self, KernelError> {
        let [batch, height, width, in_channels] = dims(ctx.shape(0)?, "input 0")?;
        let [one, taps_y, taps_x, out_channels] = dims(ctx.shape(1)?, "input 1")?;
        if one != 1 || in_channels == 0 || out_channels % in_channels != 0 {
            let found = format!("{:?} for {in_channels} channels", ctx.shape(1)?);
            return Err(refuse("shape of input 1", found, "[1, height, width, channels * multiplier]"));
        }
        let y = Window::new(height, taps_y, options.stride_h, options.dilation_hfactor, options.padding)?;
        let x = Window::new(width, taps_x, options.stride_w, options.dilation_wfactor, options.padding)?;
        expect_shape(ctx, 0, &[batch, y.output, x.output, out_channels])?;
        Ok(Self { y, x, in_channels, out_channels, multiplier: out_channels / in_channels })
    }

    /// Calls `visit(input offset, filter offset)` for each tap inside the input, rows first; `cell` counts the output's
    /// cells over batch, rows and columns.
    pub fn taps(&self, cell: usize, mut visit: impl FnMut(usize, usize)) {
        let (line, out_x) = (cell / self.x.output, cell % self.x.output);
        let (batch, out_y) = (line / self.y.output, line % self.y.output);
        let (taps_y, first_y) = self.y.inside(out_y);
        let (taps_x, first_x) = self.x.inside(out_x);
        for (i, tap_y) in taps_y.enumerate() {
            let line = (batch * self.y.input + first_y + i * self.y.dilation) * self.x.input;
            for (j, tap_x) in taps_x.clone().enumerate() {
                let in_x = first_x + j * self.x.dilation;
                visit((line + in_x) * self.in_channels, (tap_y * self.x.taps + tap_x) * self.out_channels);
            }
        }
    }
}

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::DepthwiseConv2d(options) = &ctx.node.op else {
        return Err(refuse("operator", "another", "DEPTHWISE_CONV_2D"));
    };
    let geometry = Geometry::new(ctx, options)?;
    convolve(ctx, &geometry, options.fused_activation_function)
}

/// A sum goes over filter rows, then columns.
impl Filters for Geometry {
    const OPERANDS: Operands = Operands { input: 0, weights: 1, bias: 2 };

    fn channels(&self) -> usize {
        self.out_channels
    }

    fn hybrid(&self, _: &EvalCtx<'_>) -> Option<(Runs, Rounding)> {
        // Each image of a batch is rounded.
        let image = self.y.input * self.x.input * self.in_channels;
        Some((Runs { len: image, step: 1 }, Rounding::Asymmetric))
    }

    fn sums<S: Sum, T: Send>(
        &self,
        threads: Threads<'_>,
        input: &[S::Factor],
        weights: &[S::Factor],
        out: &mut [T],
        finish: impl Fn(usize, S) -> T + Send + Sync,
    ) {
        let channels = self.out_channels;
        let line = self.x.output * channels;
        let steps = line.saturating_mul(self.y.taps).saturating_mul(self.x.taps);
        for_each_row(threads, out, line, steps, |row, out| {
            let mut sums = vec![S::default(); channels];
            for (out_x, out) in out.chunks_exact_mut(channels).enumerate() {
                sums.fill(S::default());
                self.taps(row * self.x.output + out_x, |at, tap| {
                    let (x, weights) = (&input[at..at + self.in_channels], &weights[tap..tap + channels]);
                    if self.multiplier == 1 {
                        sums.iter_mut().zip(x).zip(weights).for_each(|((sum, &x), &w)| *sum = sum.plus(x, w));
                        return;
                    }
                    let filters = sums.chunks_exact_mut(self.multiplier).zip(weights.chunks_exact(self.multiplier));
                    for ((sums, weights), &x) in filters.zip(x) {
                        sums.iter_mut().zip(weights).for_each(|(sum, &w)| *sum = sum.plus(x, w));
                    }
                });
                out.iter_mut().zip(&sums).enumerate().for_each(|(channel, (out, &sum))| *out = finish(channel, sum));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::{run_f32, values};

    #[test]
    fn channels_have_filters_of_their_own() -> Result<(), Box<dyn std::error::Error>> {
        let options = DepthwiseConv2DOptions { stride_w: 1, stride_h: 1, ..Default::default() };
        let input = values(&[1, 1, 3, 2])?;
        // Two taps; each channel once as it is, once with the sign changed.
        let weights = Value::f32(&[1, 1, 2, 4], &[1.0, -1.0, 1.0, -1.0, 10.0, -10.0, 100.0, -100.0])?;
        let op = Op::DepthwiseConv2d(options);
        let out = run_f32(op.clone(), &[Some(&input), Some(&weights)], &[1, 1, 3, 4])?;
        assert_eq!(out, [31.0, -31.0, 402.0, -402.0, 53.0, -53.0, 604.0, -604.0, 5.0, -5.0, 6.0, -6.0]);
        let weights = Value::f32(&[1, 1, 1, 2], &[2.0, 3.0])?;
        let out = run_f32(op, &[Some(&input), Some(&weights)], &[1, 1, 3, 2])?;
        assert_eq!(out, [2.0, 6.0, 6.0, 12.0, 10.0, 18.0]);
        Ok(())
    }
}
