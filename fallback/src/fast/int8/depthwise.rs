//! DEPTHWISE_CONV_2D: whole rows of the output at once, from rows of the input with their borders filled in.
//!
//! A row of cells with their channels is one sequence of bytes; a tap of the filter reads the same sequence, moved. With
//! a stride the input's cells are first sorted by their remainder, so that this holds too.

use tflite_wgpu_model::{DType, DepthwiseConv2DOptions, Op};

use super::{
    OPERANDS,
    conv::copy,
    scheme::{Scheme, Weights, is_byte},
};
use crate::{
    eval::{EvalCtx, KernelError},
    fast::{FastKernel, Prepare, Ran, Scratch, is_modest, stored::GiveBack},
    kernels::support::Window,
    simd::int8::{Column, Finish, Level, Panel, Rounding, depthwise},
    threads::BYTE_PRODUCTS,
};

/// What a cell's channel costs, in multiply-adds of a product.
const STEPS: usize = 32;
/// Panels of filters, all in all; more would be a waste for channels that do not fit into vectors.
const MOST_PANELS: usize = 512;
/// Taps of a filter, parts of filters of nine bits included.
const MOST_TAPS: usize = 256;

struct Depthwise {
    options: DepthwiseConv2DOptions,
    dtype: DType,
    filter_type: DType,
    filter: [usize; 4],
    /// How often each tap is taken.
    parts: usize,
    level: Level,
    /// The filters of as many cells' channels as fill whole vectors.
    panels: Vec<Panel>,
    finish: Finish,
    padding: u8,
}

pub(super) fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::DepthwiseConv2d(options) = &given.node.op else { return None };
    let dtype = given.input(0)?.dtype;
    if !is_byte(dtype) {
        return None;
    }
    let weights = Weights::new(given, OPERANDS.weights)?;
    let filter: [usize; 4] = weights.shape().try_into().ok()?;
    let [one, taps_y, taps_x, channels] = filter;
    let taps = taps_y * taps_x;
    if one != 1 || taps == 0 || channels == 0 {
        return None;
    }
    // There is no sum of a row's activations that could account for the filters' zero point: a filter that needs nine
    // bits without it takes each tap in parts.
    let centred = |tap: usize, channel: usize| i32::from(weights.at(tap * channels + channel)) - weights.zero;
    let all = || (0..taps).flat_map(|tap| (0..channels).map(move |channel| (tap, channel)));
    // 255 takes even three parts of 7 bits.
    let least = |weight: i32| weight.unsigned_abs().div_ceil(if weight < 0 { 128 } else { 127 }).max(1) as usize;
    let parts = all().map(|(tap, channel)| least(centred(tap, channel))).max().unwrap_or(1);
    let weight = |k: usize, channel: usize| {
        let part = i32::try_from(k / taps).unwrap_or(i32::MAX);
        let whole = centred(k % taps, channel);
        let rest = if whole < 0 { whole + 128 * part } else { whole - 127 * part };
        if (rest < 0) == (whole < 0) { rest.clamp(-128, 127) as i8 } else { 0 }
    };
    let depth = parts * taps;
    let how = (options.fused_activation_function, Rounding::Twice);
    let scheme = Scheme::new(given, OPERANDS, 0, (depth, channels), how, GiveBack::none(), weight)?;
    let panel_count = channels / gcd(channels, 64);
    if panel_count > MOST_PANELS || depth > MOST_TAPS {
        return None;
    }
    let pack = |panel: usize| {
        let channel = |c: usize| (panel * 64 + c) % channels;
        let column = |c: usize| -> Column { scheme.columns[channel(c)] };
        Panel::pack(scheme.level.depthwise_order(), 4, (depth, 64), |k, c| weight(k, channel(c)), column)
    };
    Some(Box::new(Depthwise {
        options: options.clone(),
        dtype,
        filter_type: weights.dtype(),
        filter,
        parts,
        level: scheme.level,
        panels: (0..panel_count).map(pack).collect(),
        finish: scheme.finish,
        padding: scheme.padding,
    }))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Sizes of a run.
struct Geometry {
    y: Window,
    x: Window,
    in_channels: usize,
    channels: usize,
    padding: u8,
    /// Cells of a row with the same remainder.
    phase_len: usize,
}

impl Depthwise {
    /// `None` where the shapes are none of this operator's.
    fn geometry(&self, ctx: &mut EvalCtx<'_>) -> Option<Geometry> {
        let &[batch, height, width, in_channels] = ctx.shape(0).ok()? else { return None };
        let [_, taps_y, taps_x, channels] = self.filter;
        let options = &self.options;
        let y = Window::new(height, taps_y, options.stride_h, options.dilation_hfactor, options.padding).ok()?;
        let x = Window::new(width, taps_x, options.stride_w, options.dilation_wfactor, options.padding).ok()?;
        let fits = in_channels > 0
            && channels.is_multiple_of(in_channels)
            && ctx.input(0).ok()?.dtype() == self.dtype
            && ctx.output_value(0).ok()?.dtype() == self.dtype
            && ctx.output_value(0).ok()?.shape() == [batch, y.output, x.output, channels];
        let cells = (x.output.saturating_sub(1)).checked_mul(x.stride)?.checked_add((x.taps - 1) * x.dilation)? + 1;
        let phase_len = cells.div_ceil(x.stride);
        fits.then_some(Geometry { y, x, in_channels, channels, padding: self.padding, phase_len })
    }
}

impl Geometry {
    /// Rows that one row of the output needs, and that are kept.
    fn rows(&self) -> usize {
        (self.y.taps - 1) * self.y.dilation + 1
    }

    /// Bytes of a row with its borders.
    fn row_bytes(&self) -> Option<usize> {
        self.phase_len.checked_mul(self.x.stride)?.checked_mul(self.channels)
    }

    /// Writes row `y` of the input, borders included; a row outside is all zero point.
    fn fill(&self, input: &[u8], batch: usize, y: Option<usize>, out: &mut [u8]) {
        let Some(y) = y.filter(|&y| y < self.y.input) else { return out.fill(self.padding) };
        let line = (batch * self.y.input + y) * self.x.input * self.in_channels;
        let line = &input[line..line + self.x.input * self.in_channels];
        let (stride, before) = (self.x.stride, self.x.before);
        for (phase, out) in out.chunks_exact_mut(self.phase_len * self.channels).take(stride).enumerate() {
            // Cells of this phase before the input, inside, and behind it.
            let left = before.saturating_sub(phase).div_ceil(stride).min(self.phase_len);
            let room = (before + self.x.input).saturating_sub(phase).div_ceil(stride);
            let right = room.clamp(left, self.phase_len);
            out[..left * self.channels].fill(self.padding);
            out[right * self.channels..].fill(self.padding);
            let inside = &mut out[left * self.channels..];
            let first = (left * stride + phase).saturating_sub(before);
            self.copy_cells(line, first, right - left, inside);
        }
    }

    /// Copies `count` cells from `first` on, a stride apart.
    fn copy_cells(&self, line: &[u8], first: usize, count: usize, out: &mut [u8]) {
        let (channels, multiplier) = (self.in_channels, self.channels / self.in_channels);
        if multiplier == 1 && self.x.stride == 1 {
            out[..count * channels].copy_from_slice(&line[first * channels..][..count * channels]);
            return;
        }
        for i in 0..count {
            let cell = &line[(first + i * self.x.stride) * channels..];
            let place = i * self.channels;
            if multiplier == 1 {
                // What is copied too much lies before the next cell or within the border, which is written again.
                let end = count * channels;
                copy(&mut out[place..end], cell, channels);
                continue;
            }
            let out = &mut out[place..place + self.channels];
            for (out, &x) in out.chunks_exact_mut(multiplier).zip(cell) {
                out.fill(x);
            }
        }
    }

    /// Where each tap's bytes begin in the ring of rows, for output row `y`.
    fn offsets(&self, y: usize, row_bytes: usize, offsets: &mut [usize]) {
        let taps = (0..self.y.taps).flat_map(|tap_y| (0..self.x.taps).map(move |tap_x| (tap_y, tap_x)));
        for (offset, (tap_y, tap_x)) in offsets.iter_mut().zip(taps) {
            let slot = (y * self.y.stride + tap_y * self.y.dilation) % self.rows();
            let cell = tap_x * self.x.dilation;
            let place = cell % self.x.stride * self.phase_len + cell / self.x.stride;
            *offset = slot * row_bytes + place * self.channels;
        }
    }
}

impl FastKernel for Depthwise {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let Some(geometry) = self.geometry(ctx) else { return Ok(Ran::Refused) };
        let (input, threads) = (ctx.input(0)?.bytes(), ctx.env.threads);
        let out = ctx.output_value(0)?.bytes_mut();
        if out.is_empty() {
            return Ok(Ran::Done);
        }
        // The ring of rows, and what vectors read behind its end.
        let ring = geometry.row_bytes().and_then(|bytes| bytes.checked_mul(geometry.rows()));
        let Some(ring) = ring.and_then(|ring| ring.checked_add(64)) else { return Ok(Ran::Refused) };
        let line = geometry.x.output * geometry.channels;
        let split = threads.split(out.len() / line, 1, line.saturating_mul(STEPS) / BYTE_PRODUCTS);
        let operands = (input.len() + out.len()).saturating_mul(split.helpers);
        let rings = ring.checked_mul(split.helpers).filter(|&bytes| is_modest(bytes, operands));
        let Some(rings) = rings else { return Ok(Ran::Refused) };
        threads.run(split, out, line, scratch.workspace.take::<u8>(rings), |first, out, ring| {
            self.lines(&geometry, input, first, out, ring);
        });
        Ok(Ran::Done)
    }

    fn holds(&self, input: usize) -> Option<(DType, &[usize])> {
        (input == 1).then_some((self.filter_type, self.filter.as_slice()))
    }
}

impl Depthwise {
    /// Rows of the output from `first` on, counted over all images.
    fn lines(&self, geometry: &Geometry, input: &[u8], first: usize, out: &mut [u8], ring: &mut [u8]) {
        let row_bytes = geometry.row_bytes().unwrap_or(0);
        let rows = geometry.rows();
        let mut offsets = [0; MOST_TAPS];
        let taps = geometry.y.taps * geometry.x.taps;
        let offsets = &mut offsets[..(self.parts * taps).next_multiple_of(4)];
        // The image and the first row that the ring does not have yet.
        let (mut image, mut next) = (usize::MAX, 0);
        for (i, out) in out.chunks_exact_mut(geometry.x.output * geometry.channels).enumerate() {
            let (batch, y) = ((first + i) / geometry.y.output, (first + i) % geometry.y.output);
            let start = y * geometry.y.stride;
            if image != batch {
                (image, next) = (batch, start);
            }
            for row in next.max(start)..start + rows {
                let out = &mut ring[row % rows * row_bytes..][..row_bytes];
                geometry.fill(input, batch, row.checked_sub(geometry.y.before), out);
            }
            next = start + rows;
            for offsets in offsets.chunks_mut(taps).take(self.parts) {
                geometry.offsets(y, row_bytes, offsets);
            }
            depthwise(self.level, &self.panels, ring, offsets, &self.finish, out);
        }
    }
}
