//! DEPTHWISE_CONV_2D on floats. With one output channel per input channel the file's layout of the weights is already
//! the right one; with more, every input channel is first repeated.

use tflite_wgpu_model::{BuiltinOperator, DType, DepthwiseConv2DOptions, Op};

use super::{FastKernel, Prepare, Ran, Row, Scratch, workspace::is_modest};
use crate::{
    eval::{EvalCtx, KernelError},
    kernels::support::{Clamp, Window, float_clamp},
    simd::{DepthwiseRow, Level, Lines},
};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::DepthwiseConv2d, prepare }];

struct Depthwise {
    level: Level,
    options: DepthwiseConv2DOptions,
    shape: [usize; 4],
    dtype: DType,
    weights: Lines,
    starts: Lines,
    has_bias: bool,
    clamp: Clamp<f32>,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::DepthwiseConv2d(options) = &given.node.op else { return None };
    let (input, weights) = (given.input(0)?, given.input(1)?);
    let shape: [usize; 4] = weights.dims.as_slice().try_into().ok()?;
    let floats = input.dtype == DType::Float32 && given.output(0)?.dtype == DType::Float32;
    if !floats || shape[0] != 1 || shape.contains(&0) {
        return None;
    }
    let clamp = float_clamp(options.fused_activation_function).ok()?;
    let bias = given.bias(2, shape[3])?;
    let copied = given.with_floats(1, |floats| {
        let mut lines = Lines::zeros(floats.len());
        lines.as_mut_slice().copy_from_slice(floats);
        lines
    })?;
    let mut starts = Lines::zeros(shape[3]);
    if let Some(bias) = &bias {
        starts.as_mut_slice().copy_from_slice(bias);
    }
    let (options, dtype, has_bias) = (options.clone(), weights.dtype, bias.is_some());
    Some(Box::new(Depthwise { level, options, shape, dtype, weights: copied, starts, has_bias, clamp }))
}

/// Windows of one shape of the input.
struct Geometry {
    input: [usize; 4],
    y: Window,
    /// First tap column inside, number of them, input column of the first.
    columns: Vec<(usize, usize, usize)>,
    dilation: usize,
}

impl Depthwise {
    fn geometry(&self, input: [usize; 4]) -> Result<Geometry, KernelError> {
        let o = &self.options;
        let y = Window::new(input[1], self.shape[1], o.stride_h, o.dilation_hfactor, o.padding)?;
        let x = Window::new(input[2], self.shape[2], o.stride_w, o.dilation_wfactor, o.padding)?;
        let inside = |out| {
            let (taps, first) = x.inside(out);
            if taps.is_empty() { (0, 0, 0) } else { (taps.start, taps.len(), first) }
        };
        Ok(Geometry { input, y, columns: (0..x.output).map(inside).collect(), dilation: x.dilation })
    }

    /// One row of the output.
    fn row(&self, geometry: &Geometry, image: &[f32], out_y: usize, out: &mut [f32]) {
        let [_, _, taps, channels] = self.shape;
        let (rows, first) = geometry.y.inside(out_y);
        let line = geometry.input[2] * channels;
        let rows_inside = rows.len();
        let (input, weights) = match rows_inside {
            0 => (image, self.weights.as_slice()),
            _ => (&image[first * line..], &self.weights.as_slice()[rows.start * taps * channels..]),
        };
        // Rows that the next row's windows have below this one's.
        let below = first + rows_inside.saturating_sub(1) * geometry.y.dilation + 1;
        let next = image.get(if rows_inside > 0 { below * line } else { 0 }..).unwrap_or_default();
        let row = DepthwiseRow {
            input,
            line: line * geometry.y.dilation,
            rows: rows_inside,
            columns: &geometry.columns,
            dilation: geometry.dilation,
            weights,
            taps,
            start: self.starts.as_slice(),
            channels,
            min: self.clamp.min,
            max: self.clamp.max,
            out,
            next: &next[..next.len().min(geometry.y.stride.saturating_mul(line))],
        };
        row.run(self.level);
    }
}

impl FastKernel for Depthwise {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (Ok(shape), threads) = (<[usize; 4]>::try_from(ctx.shape(0)?), ctx.env.threads) else {
            return Ok(Ran::Refused);
        };
        let (geometry, workspace) = scratch.keep(|kept: &Geometry| kept.input == shape, || self.geometry(shape))?;
        let [_, taps_y, taps_x, channels] = self.shape;
        let multiplier = channels / shape[3].max(1);
        let input = ctx.slice::<f32>(0)?;
        let row_len = geometry.columns.len() * channels;
        let rows = shape[0] * geometry.y.output;
        let out = ctx.output::<f32>(0)?;
        let whole = shape[3] * multiplier == channels && out.len() == rows * row_len && row_len > 0;
        if !whole || multiplier == 0 || input.is_empty() || rows == 0 {
            return Ok(Ran::Refused);
        }
        let repeated = if multiplier > 1 { input.len().saturating_mul(multiplier) } else { 0 };
        if !is_modest(repeated.saturating_mul(4), (input.len() + out.len()) * 4) {
            return Ok(Ran::Refused);
        }
        let memory = workspace.take::<f32>(repeated);
        let cells = memory.chunks_exact_mut(multiplier);
        cells.zip(input).for_each(|(cell, &x)| cell.fill(x));
        let input = if multiplier > 1 { &*memory } else { input };
        let image = shape[1] * shape[2] * channels;
        let split = threads.split(rows, 1, row_len * taps_y * taps_x / 4);
        let geometry = &*geometry;
        threads.each(split, out, row_len, |first, out| {
            for (row, out) in (first..).zip(out.chunks_exact_mut(row_len)) {
                let (batch, out_y) = (row / geometry.y.output, row % geometry.y.output);
                self.row(geometry, &input[batch * image..][..image], out_y, out);
            }
        });
        Ok(Ran::Done)
    }

    fn holds(&self, input: usize) -> Option<(DType, &[usize])> {
        match input {
            1 => Some((self.dtype, &self.shape)),
            2 if self.has_bias => Some((DType::Float32, &self.shape[3..])),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{ActivationFunctionType as A, Padding};

    use super::*;
    use crate::fast::testing::{Operand, check, value};

    #[test]
    fn windows() -> Result<(), Box<dyn std::error::Error>> {
        // Input, taps, stride, dilation, padding, channels per channel.
        for (input, taps, stride, dilation, padding, multiplier) in [
            ([1, 7, 9, 16], [3, 3], 1, 1, Padding::Same, 1),
            ([1, 7, 9, 35], [3, 3], 2, 1, Padding::Same, 1),
            ([2, 6, 5, 3], [3, 3], 1, 1, Padding::Valid, 1),
            ([1, 8, 8, 40], [5, 5], 2, 1, Padding::Same, 1),
            ([1, 9, 8, 17], [3, 3], 1, 2, Padding::Same, 1),
            ([1, 5, 9, 8], [1, 4], 1, 1, Padding::Same, 1),
            ([1, 3, 3, 32], [7, 7], 1, 1, Padding::Valid, 1),
            ([1, 2, 1, 32], [5, 3], 1, 1, Padding::Same, 1),
            ([2, 5, 5, 5], [3, 3], 1, 1, Padding::Same, 4),
            ([1, 40, 41, 33], [3, 3], 1, 1, Padding::Same, 1),
        ] {
            let channels = input[3] * multiplier;
            let filter = [1, taps[0], taps[1], channels];
            let window = |size, taps| Window::new(size, taps, stride, dilation, padding).map(|w| w.output);
            // A window that is larger than the input has no output.
            let (Ok(height), Ok(width)) = (window(input[1], taps[0]), window(input[2], taps[1])) else { continue };
            if height * width == 0 {
                continue;
            }
            for (bias, activation) in [(false, A::None), (true, A::Relu6)] {
                let bias = if bias { Operand::Constant(value(3, &[channels])?) } else { Operand::Omitted };
                let operands = [Operand::Input(value(1, &input)?), Operand::Constant(value(2, &filter)?), bias];
                let options = DepthwiseConv2DOptions {
                    padding,
                    stride_w: stride,
                    stride_h: stride,
                    dilation_wfactor: dilation,
                    dilation_hfactor: dilation,
                    depth_multiplier: 1,
                    fused_activation_function: activation,
                };
                let output = [input[0], height, width, channels];
                check(prepare_at, Op::DepthwiseConv2d(options), &operands, &[&output])
                    .map_err(|error| format!("{input:?} {taps:?}: {error}"))?;
            }
        }
        Ok(())
    }
}
