//! TRANSPOSE_CONV, seen from the output: cells whose places have the same remainders by the strides meet the same taps
//! of the filter, so that each such phase is a convolution with a smaller filter of its own.

use tflite_wgpu_model::{DType, Op, TransposeConvOptions};

use super::{
    conv::block_rows,
    scheme::{Scheme, Weights, is_byte},
    weights::Matrix,
};
use crate::{
    eval::{EvalCtx, KernelError},
    fast::{FastKernel, Prepare, Ran, Scratch, stored::GiveBack},
    kernels::support::{Operands, Window},
    simd::int8::{Finish, Rounding, Rows},
    threads::BYTE_PRODUCTS,
};

const OPERANDS: Operands = Operands { input: 2, weights: 1, bias: 3 };
/// Phases at most; more would only waste memory.
const MOST_PHASES: usize = 64;

struct TransposeConv {
    options: TransposeConvOptions,
    dtype: DType,
    filter_type: DType,
    filter: [usize; 4],
    /// Row by row; phase `r` holds the taps `r`, `r + stride` … of each axis, `None` where there are none.
    phases: Vec<Phase>,
    strides: [usize; 2],
    finish: Finish,
    padding: u8,
}

struct Phase {
    taps_y: Vec<usize>,
    taps_x: Vec<usize>,
    matrix: Matrix,
}

pub(super) fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::TransposeConv(options) = &given.node.op else { return None };
    let dtype = given.input(OPERANDS.input)?.dtype;
    if !is_byte(dtype) {
        return None;
    }
    let weights = Weights::new(given, OPERANDS.weights)?;
    let filter: [usize; 4] = weights.shape().try_into().ok()?;
    let [channels, taps_y, taps_x, depth] = filter;
    let strides = [usize::try_from(options.stride_h).ok()?, usize::try_from(options.stride_w).ok()?];
    let [stride_y, stride_x] = strides;
    let phases = stride_y.checked_mul(stride_x)?;
    if filter.contains(&0) || !(1..=MOST_PHASES).contains(&phases) || weights.zero != 0 {
        return None;
    }
    let how = (options.fused_activation_function, Rounding::Twice);
    let filter_len = taps_y * taps_x * depth;
    let all = |k: usize, channel: usize| weights.at(channel * filter_len + k);
    let scheme = Scheme::new(given, OPERANDS, 0, (filter_len, channels), how, GiveBack::none(), all)?;
    let order = scheme.level.product_order(Rounding::Twice);
    let phase = |index: usize| {
        let taps_y: Vec<usize> = (index / stride_x..taps_y).step_by(stride_y).collect();
        let taps_x: Vec<usize> = (index % stride_x..taps_x).step_by(stride_x).collect();
        let weight = |k: usize, channel: usize| {
            let tap = k / depth;
            let (tap_y, tap_x) = (taps_y[tap / taps_x.len()], taps_x[tap % taps_x.len()]);
            weights.at((channel * filter[1] + tap_y) * filter[2] * depth + tap_x * depth + k % depth)
        };
        let len = taps_y.len() * taps_x.len() * depth;
        // The zero point's part is that of the phase's own taps.
        let column = |channel: usize| {
            let sum = (0..len).fold(0i32, |sum, k| sum.wrapping_add(weight(k, channel).into()));
            scheme.column_with(channel, sum)
        };
        let matrix = Matrix::pack(scheme.level, order, (len, channels), GiveBack::none(), weight, column);
        Phase { taps_y: taps_y.clone(), taps_x: taps_x.clone(), matrix }
    };
    Some(Box::new(TransposeConv {
        options: options.clone(),
        dtype,
        filter_type: weights.dtype(),
        filter,
        phases: (0..phases).map(phase).collect(),
        strides,
        finish: scheme.finish,
        padding: scheme.padding,
    }))
}

/// Sizes of a run; the windows slide over the output.
struct Geometry {
    height: usize,
    width: usize,
    y: Window,
    x: Window,
    depth: usize,
    padding: u8,
}

impl TransposeConv {
    /// `None` where the shapes are none of this operator's.
    fn geometry(&self, ctx: &mut EvalCtx<'_>) -> Option<Geometry> {
        let &[batch, height, width, in_channels] = ctx.shape(OPERANDS.input).ok()? else { return None };
        let [channels, taps_y, taps_x, depth] = self.filter;
        let &[out_batch, out_height, out_width, out_channels] = ctx.output_value(0).ok()?.shape() else { return None };
        let y = Window::new(out_height, taps_y, self.options.stride_h, 1, self.options.padding).ok()?;
        let x = Window::new(out_width, taps_x, self.options.stride_w, 1, self.options.padding).ok()?;
        let fits = in_channels == depth
            && [out_batch, out_channels] == [batch, channels]
            && ctx.input(OPERANDS.input).ok()?.dtype() == self.dtype
            && ctx.output_value(0).ok()?.dtype() == self.dtype;
        fits.then_some(Geometry { height, width, y, x, depth, padding: self.padding })
    }

    /// The cells of output row `row` (counted over all images) that belong to column phase `phase_x`.
    fn phase_row(
        &self,
        geometry: &Geometry,
        input: &[u8],
        row: usize,
        phase_x: usize,
        out: &mut [u8],
        scratch: &mut [u8],
    ) {
        let [stride_y, stride_x] = self.strides;
        let (batch, y) = (row / geometry.y.input, row % geometry.y.input + geometry.y.before);
        // The first cell whose place, padding included, has the remainder.
        let first = (phase_x + stride_x - geometry.x.before % stride_x) % stride_x;
        if first >= geometry.x.input {
            return;
        }
        let phase = &self.phases[y % stride_y * stride_x + phase_x];
        let (cells, stride) = ((geometry.x.input - first).div_ceil(stride_x), phase.matrix.depth);
        let (channels, block) = (self.filter[0], block_rows(stride));
        for start in (0..cells).step_by(block) {
            let count = block.min(cells - start);
            for (i, patch) in scratch.chunks_exact_mut(stride.max(1)).take(count).enumerate() {
                let x = first + (start + i) * stride_x + geometry.x.before;
                geometry.patch(input, (batch, y / stride_y, x / stride_x), (phase, self.strides), patch);
            }
            let rows = Rows { data: &scratch[..count * stride], stride, count, corrections: &[] };
            let out = &mut out[(first + start * stride_x) * channels..];
            phase.matrix.multiply(rows, &self.finish, out, stride_x * channels);
        }
    }
}

impl Geometry {
    /// The input cells that the phase's taps bring to an output cell, in the order of its weights.
    fn patch(
        &self,
        input: &[u8],
        (batch, y, x): (usize, usize, usize),
        (phase, strides): (&Phase, [usize; 2]),
        patch: &mut [u8],
    ) {
        let mut cells = patch.chunks_exact_mut(self.depth);
        for tap_y in &phase.taps_y {
            let in_y = y.checked_sub(tap_y / strides[0]).filter(|&in_y| in_y < self.height);
            for (tap_x, cell) in phase.taps_x.iter().zip(&mut cells) {
                let in_x = x.checked_sub(tap_x / strides[1]).filter(|&in_x| in_x < self.width);
                match (in_y, in_x) {
                    (Some(in_y), Some(in_x)) => {
                        let at = ((batch * self.height + in_y) * self.width + in_x) * self.depth;
                        cell.copy_from_slice(&input[at..at + self.depth]);
                    }
                    _ => cell.fill(self.padding),
                }
            }
        }
    }
}

impl FastKernel for TransposeConv {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let Some(geometry) = self.geometry(ctx) else { return Ok(Ran::Refused) };
        let (input, threads) = (ctx.input(OPERANDS.input)?.bytes(), ctx.env.threads);
        let out = ctx.output_value(0)?.bytes_mut();
        if out.is_empty() {
            return Ok(Ran::Done);
        }
        let line = geometry.x.input * self.filter[0];
        let depths = self.phases.iter().map(|phase| phase.matrix.depth);
        let piece = depths.clone().map(|depth| block_rows(depth) * depth).max().unwrap_or(0);
        let deepest = depths.max().unwrap_or(0);
        let split = threads.split(out.len() / line, 1, line.saturating_mul(deepest) / BYTE_PRODUCTS);
        let scratch = scratch.workspace.take::<u8>(piece * split.helpers);
        threads.run(split, out, line, scratch, |first, out, scratch| {
            for (i, out) in out.chunks_exact_mut(line).enumerate() {
                for phase_x in 0..self.strides[1] {
                    self.phase_row(&geometry, input, first + i, phase_x, out, scratch);
                }
            }
        });
        Ok(Ran::Done)
    }

    fn holds(&self, input: usize) -> Option<(DType, &[usize])> {
        (input == OPERANDS.weights).then_some((self.filter_type, self.filter.as_slice()))
    }
}
