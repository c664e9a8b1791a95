//! AVERAGE_POOL_2D and MAX_POOL_2D on floats.

use tflite_wgpu_model::{BuiltinOperator, DType, Op, Pool2DOptions};

use super::{FastKernel, Prepare, Ran, Row, Scratch};
use crate::{
    eval::{EvalCtx, KernelError},
    kernels::support::{Clamp, Window, float_clamp},
    simd::{Level, Simd, Vectorised},
};

pub(super) const ROWS: &[Row] =
    &[Row { op: BuiltinOperator::AveragePool2d, prepare }, Row { op: BuiltinOperator::MaxPool2d, prepare }];

/// Vectors of channels that are folded together.
const VECTORS: usize = 4;

struct Pool {
    level: Level,
    options: Pool2DOptions,
    largest: bool,
    clamp: Clamp<f32>,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let (Op::AveragePool2d(options) | Op::MaxPool2d(options)) = &given.node.op else { return None };
    if given.input(0)?.dtype != DType::Float32 || given.output(0)?.dtype != DType::Float32 {
        return None;
    }
    let clamp = float_clamp(options.fused_activation_function).ok()?;
    let largest = matches!(given.node.op, Op::MaxPool2d(_));
    Some(Box::new(Pool { level, options: options.clone(), largest, clamp }))
}

/// Windows of one shape of the input.
struct Geometry {
    input: [usize; 4],
    y: Window,
    x: Window,
}

/// One row of the output.
struct Line<'a, 'b> {
    /// Begins with the first row under the window.
    input: &'a [f32],
    rows: usize,
    x: &'a Window,
    channels: usize,
    largest: bool,
    clamp: Clamp<f32>,
    out: &'b mut [f32],
}

impl Vectorised for Line<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let line = self.x.input * self.channels;
        let (min, max) = (simd.splat(self.clamp.min), simd.splat(self.clamp.max));
        for (out_x, out) in self.out.chunks_exact_mut(self.channels).enumerate() {
            let (taps, first) = self.x.inside(out_x);
            let factor = simd.splat(if self.largest { 1.0 } else { 1.0 / (self.rows * taps.len()) as f32 });
            for (block, out) in out.chunks_mut(VECTORS * S::LANES).enumerate() {
                let at = first * self.channels + block * VECTORS * S::LANES;
                let mut folded = [simd.splat(if self.largest { f32::MIN } else { 0.0 }); VECTORS];
                for (row, tap) in (0..self.rows).flat_map(|row| (0..taps.len()).map(move |tap| (row, tap))) {
                    let cell = &self.input[at + row * line + tap * self.channels..][..out.len()];
                    for (sum, x) in folded.iter_mut().zip(cell.chunks(S::LANES)) {
                        let x = if x.len() == S::LANES { simd.load(x) } else { simd.load_part(x) };
                        *sum = if self.largest { simd.max(x, *sum) } else { simd.add(x, *sum) };
                    }
                }
                for (out, sum) in out.chunks_mut(S::LANES).zip(folded) {
                    simd.store_part(out, simd.min(max, simd.max(min, simd.mul(sum, factor))));
                }
            }
        }
    }
}

impl FastKernel for Pool {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (Ok(shape), threads) = (<[usize; 4]>::try_from(ctx.shape(0)?), ctx.env.threads) else {
            return Ok(Ran::Refused);
        };
        let o = &self.options;
        let taps = [o.filter_height, o.filter_width].map(|taps| usize::try_from(taps).unwrap_or(0));
        if taps.contains(&0) {
            return Ok(Ran::Refused);
        }
        let make = || {
            let y = Window::new(shape[1], taps[0], o.stride_h, 1, o.padding)?;
            let x = Window::new(shape[2], taps[1], o.stride_w, 1, o.padding)?;
            Ok(Geometry { input: shape, y, x })
        };
        let (geometry, _) = scratch.keep(|kept: &Geometry| kept.input == shape, make)?;
        let channels = shape[3];
        let (line, image) = (shape[2] * channels, shape[1] * shape[2] * channels);
        let row_len = geometry.x.output * channels;
        let rows = shape[0] * geometry.y.output;
        let input = ctx.slice::<f32>(0)?;
        let out = ctx.output::<f32>(0)?;
        if out.is_empty() || out.len() != rows * row_len || input.len() != shape[0] * image {
            return Ok(Ran::Refused);
        }
        let geometry = &*geometry;
        let split = threads.split(rows, 1, row_len.saturating_mul(taps[0]).saturating_mul(taps[1]) / 4);
        threads.each(split, out, row_len, |first, out| {
            for (row, out) in (first..).zip(out.chunks_exact_mut(row_len)) {
                let (batch, out_y) = (row / geometry.y.output, row % geometry.y.output);
                let (taps, first) = geometry.y.inside(out_y);
                let input = input.get(batch * image + first * line..).unwrap_or_default();
                let (rows, x, largest, clamp) = (taps.len(), &geometry.x, self.largest, self.clamp);
                self.level.run(Line { input, rows, x, channels, largest, clamp, out });
            }
        });
        Ok(Ran::Done)
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{ActivationFunctionType, Padding};

    use super::*;
    use crate::fast::testing::{Operand, check, value};

    #[test]
    fn windows() -> Result<(), Box<dyn std::error::Error>> {
        for (shape, taps, stride, padding) in [
            ([1, 7, 7, 70], 7, 1, Padding::Valid),
            ([2, 6, 5, 3], 3, 2, Padding::Same),
            ([1, 8, 9, 16], 2, 2, Padding::Same),
            ([1, 20, 30, 100], 3, 1, Padding::Same),
            ([1, 5, 5, 130], 2, 3, Padding::Valid),
            // What a file may ask for: as many taps as a number holds, nearly all of them outside.
            ([1, 3, 3, 2], i32::MAX, 1, Padding::Same),
        ] {
            let options = Pool2DOptions {
                padding,
                stride_w: stride,
                stride_h: stride,
                filter_width: taps,
                filter_height: taps,
                fused_activation_function: ActivationFunctionType::Relu,
            };
            let size = |n| Window::new(n, taps as usize, stride, 1, padding).map(|window| window.output);
            let out = [shape[0], size(shape[1])?, size(shape[2])?, shape[3]];
            for op in [Op::AveragePool2d(options.clone()), Op::MaxPool2d(options.clone())] {
                check(prepare_at, op, &[Operand::Input(value(1, &shape)?)], &[&out])
                    .map_err(|error| format!("{shape:?}: {error}"))?;
            }
        }
        Ok(())
    }
}
