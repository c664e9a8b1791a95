//! DEPTHWISE_CONV_2D.

use tflite_wgpu_model::{BuiltinOperator, DType, DepthwiseConv2DOptions, Op};

use super::support::{
    Clamp, Window, check_len, dims, expect_shape, float_clamp, float_weights, for_each_row, no_type, refuse,
};
use super::{EvalCtx, KernelError, Row};

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
    match ctx.input(0)?.dtype() {
        DType::Float32 => {
            let weights = float_weights(ctx, 1)?;
            let clamp = float_clamp(options.fused_activation_function)?;
            let bias = ctx.optional_slice::<f32>(2)?;
            let input = ctx.slice(0)?;
            float(ctx.env.threads, &geometry, input, &weights, bias, clamp, ctx.output(0)?)
        }
        _ => Err(no_type(ctx, 0, "FLOAT32")),
    }
}

/// Sums over filter rows, then columns, adds the bias, clamps.
fn float(
    threads: usize,
    geometry: &Geometry,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    clamp: Clamp<f32>,
    out: &mut [f32],
) -> Result<(), KernelError> {
    let channels = geometry.out_channels;
    if let Some(bias) = bias {
        check_len(bias, channels, "the bias")?;
    }
    let steps = channels * geometry.y.taps * geometry.x.taps;
    for_each_row(threads, out, channels, steps, |cell, sums| {
        sums.fill(0.0);
        geometry.taps(cell, |at, tap| {
            let (x, weights) = (&input[at..at + geometry.in_channels], &weights[tap..tap + channels]);
            if geometry.multiplier == 1 {
                sums.iter_mut().zip(x).zip(weights).for_each(|((sum, x), w)| *sum += x * w);
                return;
            }
            let filters = sums.chunks_exact_mut(geometry.multiplier).zip(weights.chunks_exact(geometry.multiplier));
            for ((sums, weights), x) in filters.zip(x) {
                sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += x * w);
            }
        });
        match bias {
            Some(bias) => sums.iter_mut().zip(bias).for_each(|(sum, b)| *sum = clamp.apply(*sum + b)),
            None => sums.iter_mut().for_each(|sum| *sum = clamp.apply(*sum)),
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
