//! CONV_2D: products of patches of the input, gathered block by block, with the packed filters.

use tflite_wgpu_model::{Conv2DOptions, DType, Op};

use super::{
    OPERANDS,
    scheme::{Scheme, Weights, is_byte},
    weights::Matrix,
};
use crate::{
    eval::{EvalCtx, KernelError},
    fast::{FastKernel, Prepare, Ran, Scratch},
    kernels::support::Window,
    simd::int8::{Finish, Rounding, Rows},
    threads::BYTE_PRODUCTS,
};

/// Bytes of patches that are gathered before they are multiplied; they stay in the second cache.
const BLOCK_BYTES: usize = 192 << 10;
/// Rows of a block at most.
const MOST_ROWS: usize = 240;

struct Conv {
    options: Conv2DOptions,
    dtype: DType,
    filter_type: DType,
    filter: [usize; 4],
    /// The filters of each group.
    groups: Vec<Matrix>,
    finish: Finish,
    padding: u8,
    row_factor: i32,
}

pub(super) fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::Conv2d(options) = &given.node.op else { return None };
    let dtype = given.input(0)?.dtype;
    if !is_byte(dtype) {
        return None;
    }
    let weights = Weights::new(given, OPERANDS.weights)?;
    let filter: [usize; 4] = weights.shape().try_into().ok()?;
    let [channels, taps_y, taps_x, depth] = filter;
    let in_channels = *given.input(0)?.dims.get(3)?;
    let groups = in_channels.checked_div(depth).filter(|groups| groups * depth == in_channels && *groups > 0)?;
    if channels == 0 || channels % groups != 0 || taps_y == 0 || taps_x == 0 {
        return None;
    }
    let filter_len = taps_y * taps_x * depth;
    let weight = |k: usize, channel: usize| weights.at(channel * filter_len + k);
    let how = (options.fused_activation_function, Rounding::Twice);
    let scheme = Scheme::new(given, OPERANDS, weights.zero, (filter_len, channels), how, weights.pages(0), weight)?;
    let order = scheme.level.product_order(Rounding::Twice);
    let width = channels / groups;
    let pack = |group: usize| {
        let first = group * width;
        let column = |c: usize| scheme.columns[first + c];
        let pages = weights.pages(first * filter_len);
        Matrix::pack(scheme.level, order, (filter_len, width), pages, |k, c| weight(k, first + c), column)
    };
    Some(Box::new(Conv {
        options: options.clone(),
        dtype,
        filter_type: weights.dtype(),
        filter,
        groups: (0..groups).map(pack).collect(),
        finish: scheme.finish,
        padding: scheme.padding,
        row_factor: scheme.row_factor,
    }))
}

/// Sizes of a run.
struct Geometry {
    y: Window,
    x: Window,
    in_channels: usize,
    /// Input channels of a group.
    depth: usize,
    padding: u8,
}

impl Conv {
    /// `None` where the shapes are none of this operator's.
    fn geometry(&self, ctx: &mut EvalCtx<'_>) -> Option<Geometry> {
        let &[batch, height, width, in_channels] = ctx.shape(0).ok()? else { return None };
        let [channels, taps_y, taps_x, depth] = self.filter;
        let options = &self.options;
        let y = Window::new(height, taps_y, options.stride_h, options.dilation_hfactor, options.padding).ok()?;
        let x = Window::new(width, taps_x, options.stride_w, options.dilation_wfactor, options.padding).ok()?;
        let fits = in_channels == depth * self.groups.len()
            && ctx.input(0).ok()?.dtype() == self.dtype
            && ctx.output_value(0).ok()?.dtype() == self.dtype
            && ctx.output_value(0).ok()?.shape() == [batch, y.output, x.output, channels];
        fits.then_some(Geometry { y, x, in_channels, depth, padding: self.padding })
    }

    fn multiply(&self, group: usize, rows: Rows<'_>, out: &mut [u8]) {
        let channels = self.filter[0];
        let matrix = &self.groups[group];
        let out = &mut out[group * (channels / self.groups.len())..];
        if self.row_factor == 0 {
            return matrix.multiply(rows, &self.finish, out, channels);
        }
        let mut corrections = [0; MOST_ROWS];
        let filter_len = self.filter[1] * self.filter[2] * self.filter[3];
        for (row, correction) in corrections.iter_mut().take(rows.count).enumerate() {
            let row = &rows.data[row * rows.stride..][..filter_len];
            let sum: i32 = row.iter().map(|x| i32::from(x ^ self.finish.flip_in)).sum();
            *correction = sum.wrapping_mul(self.row_factor);
        }
        let rows = Rows { corrections: &corrections[..rows.count], ..rows };
        matrix.multiply(rows, &self.finish, out, channels);
    }
}

impl FastKernel for Conv {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let Some(geometry) = self.geometry(ctx) else { return Ok(Ran::Refused) };
        let (input, threads, channels) = (ctx.input(0)?.bytes(), ctx.env.threads, self.filter[0]);
        let out = ctx.output_value(0)?.bytes_mut();
        if out.is_empty() {
            return Ok(Ran::Done);
        }
        let depth = self.groups.first().map_or(4, |matrix| matrix.depth);
        let pixels = out.len() / channels;
        let split = threads.split(pixels, 1, channels.saturating_mul(depth) / BYTE_PRODUCTS);
        let block = block_rows(depth);
        let direct = geometry.is_matrix() && depth == geometry.in_channels;
        let piece = if direct { 0 } else { block * depth };
        let scratch = scratch.workspace.take::<u8>(piece * split.helpers);
        threads.run(split, out, channels, scratch, |first, out, scratch| {
            for (i, out) in out.chunks_mut(block * channels).enumerate() {
                let (first, count) = (first + i * block, out.len() / channels);
                if direct {
                    let data = &input[first * depth..][..count * depth];
                    self.multiply(0, Rows { data, stride: depth, count, corrections: &[] }, out);
                    continue;
                }
                for group in 0..self.groups.len() {
                    geometry.gather(input, group, first, depth, &mut scratch[..count * depth]);
                    self.multiply(group, Rows { data: scratch, stride: depth, count, corrections: &[] }, out);
                }
            }
        });
        Ok(Ran::Done)
    }

    fn holds(&self, input: usize) -> Option<(DType, &[usize])> {
        (input == 1).then_some((self.filter_type, self.filter.as_slice()))
    }
}

impl Geometry {
    /// Whether the patches are the input's pixels one after the other.
    fn is_matrix(&self) -> bool {
        let trivial = |window: &Window| window.taps == 1 && window.stride == 1;
        trivial(&self.y) && trivial(&self.x)
    }

    /// Patches of the output's cells from `cell` on, `stride` bytes each; what lies outside the input is its zero point.
    /// What follows a patch up to the stride meets weights of 0 and stays as it is.
    fn gather(&self, input: &[u8], group: usize, cell: usize, stride: usize, out: &mut [u8]) {
        let (line, mut x) = (cell / self.x.output, cell % self.x.output);
        let (mut batch, mut y) = (line / self.y.output, line % self.y.output);
        for start in (0..out.len()).step_by(stride) {
            self.patch(input, group, [batch, y, x], &mut out[start..]);
            x += 1;
            if x == self.x.output {
                (x, y) = (0, y + 1);
            }
            if y == self.y.output {
                (y, batch) = (0, batch + 1);
            }
        }
    }

    /// The patch of one cell; may write further bytes, which the next patches overwrite.
    fn patch(&self, input: &[u8], group: usize, [batch, y, x]: [usize; 3], out: &mut [u8]) {
        let row_len = self.x.taps * self.depth;
        let (taps_y, first_y) = self.y.inside(y);
        let start = (x * self.x.stride).checked_sub(self.x.before);
        let whole = start.filter(|start| start + (self.x.taps - 1) * self.x.dilation < self.x.input);
        for tap_y in 0..self.y.taps {
            let out = &mut out[tap_y * row_len..];
            if !taps_y.contains(&tap_y) {
                out[..row_len].fill(self.padding);
                continue;
            }
            let in_y = first_y + (tap_y - taps_y.start) * self.y.dilation;
            let line = (batch * self.y.input + in_y) * self.x.input;
            match whole {
                Some(start) if self.x.dilation == 1 && self.depth == self.in_channels => {
                    copy(out, &input[(line + start) * self.in_channels..], row_len);
                }
                _ => self.patch_row(input, line, group, x, out),
            }
        }
    }

    /// One row of a patch tap by tap.
    fn patch_row(&self, input: &[u8], line: usize, group: usize, x: usize, out: &mut [u8]) {
        let (taps, first) = self.x.inside(x);
        for (tap, out) in out.chunks_exact_mut(self.depth).take(self.x.taps).enumerate() {
            if taps.contains(&tap) {
                let in_x = first + (tap - taps.start) * self.x.dilation;
                let at = (line + in_x) * self.in_channels + group * self.depth;
                out.copy_from_slice(&input[at..at + self.depth]);
            } else {
                out.fill(self.padding);
            }
        }
    }
}

/// Rows of `depth` bytes that are gathered at once: whole tiles of any panel.
pub(super) fn block_rows(depth: usize) -> usize {
    (BLOCK_BYTES / depth.max(1)).clamp(24, MOST_ROWS) / 24 * 24
}

/// Copies `len` bytes and, where there is room in both, a few more: short copies in whole vectors are faster.
#[inline(always)]
pub(super) fn copy(out: &mut [u8], from: &[u8], len: usize) {
    let wide = len.next_multiple_of(16);
    if wide > 64 || out.len() < wide || from.len() < wide {
        out[..len].copy_from_slice(&from[..len]);
        return;
    }
    for (out, from) in out[..wide].as_chunks_mut::<16>().0.iter_mut().zip(from.as_chunks::<16>().0) {
        *out = *from;
    }
}
