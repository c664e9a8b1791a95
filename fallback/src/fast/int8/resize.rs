//! RESIZE_BILINEAR of 8-bit images: the plain kernel's arithmetic, channel by channel in vectors.

use tflite_wgpu_model::{DType, Op};

use super::scheme::is_byte;
use crate::{
    eval::{EvalCtx, KernelError},
    fast::{FastKernel, Prepare, Ran, Scratch},
    kernels::resize::{Mapping, Tap, blend_float},
    simd::int8::Level,
    threads::{BYTE_PRODUCTS, Threads},
};

/// What an element costs, in multiply-adds of a product.
const STEPS: usize = 64;

struct Bilinear {
    level: Level,
    mapping: Mapping,
    dtype: DType,
}

pub(super) fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::ResizeBilinear(options) = &given.node.op else { return None };
    let dtype = given.input(0)?.dtype;
    let mapping = Mapping::new(options.align_corners, options.half_pixel_centers).ok()?;
    let fits = is_byte(dtype) && given.output(0)?.dtype == dtype;
    fits.then(|| Box::new(Bilinear { level: Level::best(), mapping, dtype }) as _)
}

/// The two lines of pixels that a line of the output lies between.
#[derive(Clone, Copy)]
struct Lines<'a, T> {
    upper: &'a [T],
    lower: &'a [T],
    channels: usize,
}

impl<T: Copy> Lines<'_, T> {
    /// A line of the output from its columns; `pixel` as in the plain kernel.
    #[inline(always)]
    fn blend<W: Copy>(self, columns: &[Tap<W>], out: &mut [T], pixel: impl Fn([T; 4], W) -> T) {
        let channels = self.channels;
        for (x, out) in columns.iter().zip(out.chunks_exact_mut(channels)) {
            let (left, right) = (x.first * channels, x.second * channels);
            let [a, b] = [left, right].map(|at| &self.upper[at..at + channels]);
            let [c, d] = [left, right].map(|at| &self.lower[at..at + channels]);
            for (out, (((&a, &b), &c), &d)) in out.iter_mut().zip(a.iter().zip(b).zip(c).zip(d)) {
                *out = pixel([a, c, b, d], x.weight);
            }
        }
    }
}

/// As the plain kernel's; no sum leaves 32 bits, because weights lie between −512 and 1536.
#[inline(always)]
fn blend_integer(pixels: [i8; 4], y: i32, x: i32) -> i8 {
    let [upper_left, lower_left, upper_right, lower_right] = pixels.map(i32::from);
    let (y1, x1) = (1024 - y, 1024 - x);
    let sum = (upper_left * y1 + lower_left * y) * x1 + (upper_right * y1 + lower_right * y) * x;
    ((sum + if sum > 0 { 1 << 19 } else { -(1 << 19) }) / (1 << 20)) as i8
}

impl Bilinear {
    fn run_as<T: Copy + Send + Sync + bytemuck::Pod, W: Copy + Send + Sync>(
        &self,
        ([height, width, channels], input): ([usize; 3], &[u8]),
        (rows, columns): (&[Tap<W>], &[Tap<W>]),
        (out, threads): (&mut [u8], Threads<'_>),
        pixel: impl Fn([T; 4], W, W) -> T + Send + Sync,
    ) {
        let input: &[T] = bytemuck::cast_slice(input);
        let line = columns.len() * channels;
        let split = threads.split(out.len() / line, 1, line.saturating_mul(STEPS) / BYTE_PRODUCTS);
        threads.each(split, out, line, |first, out| {
            let out: &mut [T] = bytemuck::cast_slice_mut(out);
            for (i, out) in out.chunks_exact_mut(line).enumerate() {
                let (image, y) = ((first + i) / rows.len(), &rows[(first + i) % rows.len()]);
                let line = |row: usize| &input[(image * height + row) * width * channels..][..width * channels];
                let lines = Lines { upper: line(y.first), lower: line(y.second), channels };
                self.level.run(|| lines.blend(columns, out, |pixels, x| pixel(pixels, y.weight, x)));
            }
        });
    }
}

impl FastKernel for Bilinear {
    fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (input, size, threads) = (ctx.input(0)?, ctx.ints(1)?, ctx.env.threads);
        let (&[batch, height, width, channels], &[rows, columns]) = (input.shape(), size.as_slice()) else {
            return Ok(Ran::Refused);
        };
        let (Ok(rows), Ok(columns)) = (usize::try_from(rows), usize::try_from(columns)) else {
            return Ok(Ran::Refused);
        };
        let output = ctx.output_value(0)?;
        let fits = input.dtype() == self.dtype
            && output.dtype() == self.dtype
            && output.shape() == [batch, rows, columns, channels];
        if !fits || input.is_empty() || output.is_empty() {
            return Ok(Ran::Refused);
        }
        let (from, to) = (([height, width, channels], input.bytes()), (output.bytes_mut(), threads));
        if self.dtype == DType::UInt8 {
            let taps = [(height, rows), (width, columns)].map(|(n, m)| self.mapping.float_taps(n, m));
            let pixel = |pixels: [u8; 4], y, x| (blend_float(pixels.map(f32::from), y, x) + 0.5) as u8;
            self.run_as(from, (&taps[0], &taps[1]), to, pixel);
            return Ok(Ran::Done);
        }
        let taps =
            [(height, rows), (width, columns)].map(|(n, m)| self.mapping.integer_taps(n, m).into_iter().map(narrow));
        let [rows, columns] = taps.map(|taps| taps.collect::<Option<Vec<Tap<i32>>>>());
        let (Some(rows), Some(columns)) = (rows, columns) else { return Ok(Ran::Refused) };
        self.run_as(from, (&rows, &columns), to, blend_integer);
        Ok(Ran::Done)
    }
}

/// A tap with its weight in 32 bits; `None` beyond the weights that the arithmetic allows for.
fn narrow(tap: Tap<i64>) -> Option<Tap<i32>> {
    let weight = i32::try_from(tap.weight).ok().filter(|weight| (-512..=1536).contains(weight))?;
    Some(Tap { first: tap.first, second: tap.second, weight })
}
