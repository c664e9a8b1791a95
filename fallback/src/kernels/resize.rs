//! RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR of NHWC images.
//!
//! Along an axis, output index `o` lies at `o · scale` of the input, or `(o + ½) · scale − ½` with half-pixel centres.
//! The scale is `in / out`, or `(in − 1) / (out − 1)` with aligned corners.

use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::checks::{shape_output, sizes, wrong_operator};
use super::elements::{copy, count, picks};
use super::support::{dims, for_each_row, no_type, refuse};
use super::{EvalCtx, KernelError, Row};
use crate::value::Element;

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::ResizeBilinear, eval: bilinear },
    Row { op: BuiltinOperator::ResizeNearestNeighbor, eval: nearest },
];

/// How positions of the output map to the input.
#[derive(Clone, Copy)]
pub(crate) struct Mapping {
    align_corners: bool,
    half_pixel: bool,
}

impl Mapping {
    pub fn new(align_corners: bool, half_pixel: bool) -> Result<Self, KernelError> {
        if align_corners && half_pixel {
            return Err(refuse("align_corners", "set together with half_pixel_centers", "one of the two"));
        }
        Ok(Self { align_corners, half_pixel })
    }

    fn scale(self, input: usize, output: usize) -> f32 {
        if self.align_corners && output > 1 {
            (input as f32 - 1.0) / (output as f32 - 1.0)
        } else {
            input as f32 / output as f32
        }
    }

    /// The nearest input index of each output index.
    pub fn nearest(self, input: usize, output: usize) -> Vec<usize> {
        let scale = self.scale(input, output);
        let offset = if self.half_pixel { 0.5 } else { 0.0 };
        let index = |o: usize| {
            let position = (o as f32 + offset) * scale;
            let rounded = if self.align_corners { position.round() } else { position.floor() };
            (rounded.max(0.0) as usize).min(input.saturating_sub(1))
        };
        (0..output).map(index).collect()
    }

    /// The two input indices of each output index and the weight of the second.
    pub fn float_taps(self, input: usize, output: usize) -> Vec<Tap<f32>> {
        let scale = self.scale(input, output);
        let tap = |o: usize| {
            let position = if self.half_pixel { (o as f32 + 0.5) * scale - 0.5 } else { o as f32 * scale };
            let first = (position.floor().max(0.0) as usize).min(input.saturating_sub(1));
            let second = (position.ceil().max(0.0) as usize).min(input.saturating_sub(1));
            Tap { first, second, weight: position - first as f32 }
        };
        (0..output).map(tap).collect()
    }

    /// As [`Mapping::float_taps`], with positions in 1024ths.
    pub fn integer_taps(self, input: usize, output: usize) -> Vec<Tap<i64>> {
        let (n, m) = (input as i64, output as i64);
        let scale = if self.align_corners && m > 1 {
            (1024 * (n - 1) + (m - 1) / 2) / (m - 1)
        } else {
            (1024 * n + m / 2) / m.max(1)
        };
        let tap = |o: i64| {
            let position = if self.half_pixel { o * scale + scale / 2 - 512 } else { o * scale };
            let first = (position / 1024).max(0);
            let second = ((position + 1023) / 1024).min(n - 1);
            let clamp = |index: i64| index.clamp(0, (n - 1).max(0)) as usize;
            Tap { first: clamp(first), second: clamp(second), weight: position - 1024 * first }
        };
        (0..m).map(tap).collect()
    }
}

/// Two neighbours along an axis and the weight of the second, between none and one (1024 for integers); positions
/// before the first centre have a negative weight on one and the same neighbour.
pub(crate) struct Tap<W> {
    pub first: usize,
    pub second: usize,
    pub weight: W,
}

/// Input shape and output height and width; shapes the output.
fn sizes_of(ctx: &mut EvalCtx<'_>) -> Result<([usize; 4], usize, usize), KernelError> {
    let shape = dims::<4>(ctx.shape(0)?, "the input")?;
    let size = sizes("a size", &ctx.ints(1)?, 2)?;
    let output = [shape[0], size[0], size[1], shape[3]];
    count(&output)?;
    if (shape[1] == 0 || shape[2] == 0) && count(&output)? > 0 {
        return Err(refuse("the input", format!("shape {shape:?}"), "at least one pixel"));
    }
    shape_output(ctx, 0, &output)?;
    Ok((shape, size[0], size[1]))
}

fn nearest(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::ResizeNearestNeighbor(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let mapping = Mapping::new(options.align_corners, options.half_pixel_centers)?;
    let (shape, height, width) = sizes_of(ctx)?;
    let indices = [
        (0..shape[0]).collect(),
        mapping.nearest(shape[1], height),
        mapping.nearest(shape[2], width),
        (0..shape[3]).collect(),
    ];
    copy(ctx.input(0)?, ctx.output_value(0)?, &picks(&shape, &indices))
}

fn bilinear(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::ResizeBilinear(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let mapping = Mapping::new(options.align_corners, options.half_pixel_centers)?;
    let (shape, height, width) = sizes_of(ctx)?;
    let [_, h, w, _] = shape;
    let float = || (mapping.float_taps(h, height), mapping.float_taps(w, width));
    let integer = || (mapping.integer_taps(h, height), mapping.integer_taps(w, width));
    match ctx.input(0)?.dtype() {
        DType::Float32 => blend(ctx, shape, float(), blend_float),
        DType::UInt8 => {
            blend(ctx, shape, float(), |pixels: [u8; 4], y, x| (blend_float(pixels.map(f32::from), y, x) + 0.5) as u8)
        }
        DType::Int8 => {
            blend(ctx, shape, integer(), |pixels: [i8; 4], y, x| blend_integer(pixels.map(i64::from), y, x) as i8)
        }
        DType::Int16 => {
            blend(ctx, shape, integer(), |pixels: [i16; 4], y, x| blend_integer(pixels.map(i64::from), y, x) as i16)
        }
        _ => Err(no_type(ctx, 0, "FLOAT32, UINT8, INT8 or INT16")),
    }
}

/// Pixels are upper left, lower left, upper right, lower right.
#[inline(always)]
pub(crate) fn blend_float(pixels: [f32; 4], y: f32, x: f32) -> f32 {
    let [upper_left, lower_left, upper_right, lower_right] = pixels;
    upper_left * (1.0 - y) * (1.0 - x) + lower_left * y * (1.0 - x) + upper_right * (1.0 - y) * x + lower_right * y * x
}

/// As [`blend_float`] with weights in 1024ths, rounded half away from zero.
fn blend_integer(pixels: [i64; 4], y: i64, x: i64) -> i64 {
    let [upper_left, lower_left, upper_right, lower_right] = pixels;
    let (y1, x1) = (1024 - y, 1024 - x);
    let sum = upper_left * y1 * x1 + lower_left * y * x1 + upper_right * y1 * x + lower_right * y * x;
    (sum + if sum > 0 { 1 << 19 } else { -(1 << 19) }) / (1 << 20)
}

/// Output 0, whose pixels blend four of the input's by the weights of row and column.
fn blend<T: Element, W: Copy + Send + Sync>(
    ctx: &mut EvalCtx<'_>,
    [_, height, width, channels]: [usize; 4],
    (rows, columns): (Vec<Tap<W>>, Vec<Tap<W>>),
    pixel: impl Fn([T; 4], W, W) -> T + Send + Sync,
) -> Result<(), KernelError> {
    let input = ctx.slice::<T>(0)?;
    let threads = ctx.env.threads;
    let output = ctx.output::<T>(0)?;
    let row_len = columns.len() * channels;
    if output.is_empty() {
        return Ok(());
    }
    for_each_row(threads, output, row_len, row_len, |index, target| {
        let (image, y) = (index / rows.len(), &rows[index % rows.len()]);
        let line = |row: usize| &input[(image * height + row) * width * channels..][..width * channels];
        let (upper, lower) = (line(y.first), line(y.second));
        for (x, target) in columns.iter().zip(target.chunks_exact_mut(channels)) {
            let (left, right) = (x.first * channels, x.second * channels);
            for (c, target) in target.iter_mut().enumerate() {
                let pixels = [upper[left + c], lower[left + c], upper[right + c], lower[right + c]];
                *target = pixel(pixels, y.weight, x.weight);
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{ResizeBilinearOptions, ResizeNearestNeighborOptions};

    use super::*;
    use crate::kernels::testing::{f32s, i32s, run, value};
    use crate::value::Value;

    #[test]
    fn rows_are_stretched() -> Result<(), KernelError> {
        // (align corners, half pixel, nearest, bilinear) of the row 0, 10 stretched to four pixels
        let cases: [(bool, bool, [f32; 4], [f64; 4]); 3] = [
            (false, false, [0.0, 0.0, 10.0, 10.0], [0.0, 5.0, 10.0, 10.0]),
            (true, false, [0.0, 0.0, 10.0, 10.0], [0.0, 10.0 / 3.0, 20.0 / 3.0, 10.0]),
            (false, true, [0.0, 0.0, 10.0, 10.0], [0.0, 2.5, 7.5, 10.0]),
        ];
        for (align_corners, half_pixel_centers, nearest, bilinear) in cases {
            let inputs = [f32s(&[1, 1, 2, 1], &[0.0, 10.0]), i32s(&[2], &[1, 4])];
            let op = Op::ResizeNearestNeighbor(ResizeNearestNeighborOptions { align_corners, half_pixel_centers });
            assert_eq!(run(op, &inputs, DType::Float32)?, f32s(&[1, 1, 4, 1], &nearest));
            let op = Op::ResizeBilinear(ResizeBilinearOptions { align_corners, half_pixel_centers });
            let found = run(op, &inputs, DType::Float32)?.to_floats().unwrap_or_default();
            assert_eq!(found.len(), 4);
            assert!(found.iter().zip(bilinear).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {bilinear:?}");
        }
        Ok(())
    }

    #[test]
    fn integers_round_half_away_from_zero() -> Result<(), KernelError> {
        let op = || Op::ResizeBilinear(ResizeBilinearOptions::default());
        let row = |list: &[i8]| value(Value::from_slice(DType::Int8, &[1, 1, list.len(), 1], list));
        let inputs = [row(&[0, -5]), i32s(&[2], &[1, 4])];
        assert_eq!(run(op(), &inputs, DType::Int8)?, row(&[0, -3, -5, -5]));
        let inputs = [f32s(&[1, 0, 2, 1], &[]), i32s(&[2], &[1, 4])];
        assert!(run(op(), &inputs, DType::Float32).is_err());
        Ok(())
    }
}
