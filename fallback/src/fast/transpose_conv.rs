//! TRANSPOSE_CONV on floats: products give what every input cell adds through every tap; each output cell then sums up
//! what reaches it. A few rows of the input at a time, so that the products stay in the second cache.

use std::ops::Range;

use tflite_wgpu_model::{BuiltinOperator, DType, Op, TransposeConvOptions, element_count};

use super::{FastKernel, Prepare, Ran, Row, Scratch, matrix::Packed, workspace::is_modest};
use crate::{
    eval::{EvalCtx, KernelError},
    kernels::support::{Clamp, Window, float_clamp},
    simd::{Level, Rows, Simd, Vectorised},
    threads::{PRODUCTS, Threads},
};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::TransposeConv, prepare }];

/// Inputs by position: the output's shape comes first.
const WEIGHTS: usize = 1;
const INPUT: usize = 2;
const BIAS: usize = 3;
/// Floats of products that are worked on at a time, for each thread, if one row of the output needs no more.
const BAND_FLOATS: usize = 48 << 10;
const NO_CLAMP: Clamp<f32> = Clamp { min: f32::NEG_INFINITY, max: f32::INFINITY };

struct TransposeConv {
    level: Level,
    options: TransposeConvOptions,
    /// Of the weights: output channels, taps, input channels.
    shape: [usize; 4],
    dtype: DType,
    /// A column for each tap and output channel.
    weights: Packed,
    bias: Vec<f32>,
    has_bias: bool,
    clamp: Clamp<f32>,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::TransposeConv(options) = &given.node.op else { return None };
    let weights = given.input(WEIGHTS)?;
    let shape: [usize; 4] = weights.dims.as_slice().try_into().ok()?;
    let floats = given.input(INPUT)?.dtype == DType::Float32 && given.output(0)?.dtype == DType::Float32;
    if !floats || shape.contains(&0) {
        return None;
    }
    // Dimensions of a damaged file may not even have a product.
    element_count(&shape)?;
    let clamp = float_clamp(options.fused_activation_function).ok()?;
    let [out_channels, taps_y, taps_x, depth] = shape;
    let bias = given.bias(BIAS, out_channels)?;
    let taps = taps_y * taps_x;
    let weights_packed = given.with_floats(WEIGHTS, |values| {
        let column = |tap: usize, channel: usize| &values[(channel * taps + tap) * depth..][..depth];
        let columns = (0..taps).flat_map(|tap| (0..out_channels).map(move |channel| (tap, channel)));
        let ordered: Vec<f32> = columns.flat_map(|(tap, channel)| column(tap, channel)).copied().collect();
        Packed::new(level, depth, &ordered.as_slice().into(), None)
    })?;
    Some(Box::new(TransposeConv {
        level,
        options: options.clone(),
        shape,
        dtype: weights.dtype,
        weights: weights_packed,
        has_bias: bias.is_some(),
        bias: bias.unwrap_or_else(|| vec![0.0; out_channels]),
        clamp,
    }))
}

/// What reaches each index of the output along one axis: input indices with their taps.
type Sources = Vec<Vec<(usize, usize)>>;

/// Sources for one shape of input and output.
struct Geometry {
    input: [usize; 4],
    output: [usize; 4],
    y: Sources,
    x: Sources,
    /// Most rows of the input that lie between the first and the last that reach a row of the output.
    reach: usize,
}

/// Rows of the output, and the rows of the input that reach them.
#[derive(Debug, PartialEq)]
struct Band {
    out: Range<usize>,
    input: Range<usize>,
}

/// Cuts the output's rows so that no more than `most` rows of the input reach a band, if that suffices for one row.
fn bands(rows: &Sources, most: usize) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for (at, sources) in rows.iter().enumerate() {
        let reaching = match (sources.first(), sources.last()) {
            (Some((first, _)), Some((last, _))) => Some((*first, last + 1)),
            _ => None,
        };
        match (bands.last_mut(), reaching) {
            (Some(band), None) => band.out.end = at + 1,
            (Some(band), Some((first, end))) if band.input.is_empty() || end - band.input.start <= most => {
                let start = if band.input.is_empty() { first } else { band.input.start };
                *band = Band { out: band.out.start..at + 1, input: start..end.max(band.input.end) };
            }
            (_, reaching) => {
                let (first, end) = reaching.unwrap_or((0, 0));
                bands.push(Band { out: at..at + 1, input: first..end });
            }
        }
    }
    bands
}

/// One row of the output.
struct Line<'a, 'b> {
    /// Products of the input's cells from row `first` on: tap, output channel.
    products: &'a [f32],
    first: usize,
    /// First cell of the input's row and its row of taps, for each row that reaches this one.
    rows: &'a [(usize, usize)],
    columns: &'a Sources,
    width: usize,
    taps: [usize; 2],
    bias: &'a [f32],
    clamp: Clamp<f32>,
    out: &'b mut [f32],
}

impl Vectorised for Line<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let channels = self.bias.len();
        let cell_len = self.taps[0] * self.taps[1] * channels;
        let (min, max) = (simd.splat(self.clamp.min), simd.splat(self.clamp.max));
        for (out, columns) in self.out.chunks_exact_mut(channels).zip(self.columns) {
            for (block, out) in out.chunks_mut(S::LANES).enumerate() {
                let channel = block * S::LANES;
                let mut sum = simd.load_part(&self.bias[channel..][..out.len()]);
                for &(in_y, tap_y) in self.rows {
                    for &(in_x, tap_x) in columns {
                        let at = ((in_y - self.first) * self.width + in_x) * cell_len
                            + (tap_y * self.taps[1] + tap_x) * channels;
                        sum = simd.add(sum, simd.load_part(&self.products[at + channel..][..out.len()]));
                    }
                }
                simd.store_part(out, simd.min(max, simd.max(min, sum)));
            }
        }
    }
}

impl TransposeConv {
    fn geometry(&self, input: [usize; 4], output: [usize; 4]) -> Result<Geometry, KernelError> {
        let o = &self.options;
        let sources = |out: usize, taps, stride, cells| -> Result<Sources, KernelError> {
            let window = Window::new(out, taps, stride, 1, o.padding)?;
            Ok((0..out).map(|at| window.sources(cells, at).collect()).collect())
        };
        let y = sources(output[1], self.shape[1], o.stride_h, input[1])?;
        let x = sources(output[2], self.shape[2], o.stride_w, input[2])?;
        let reach = |sources: &Vec<(usize, usize)>| Some(sources.last()?.0 + 1 - sources.first()?.0);
        let reach = y.iter().filter_map(reach).max().unwrap_or(1);
        Ok(Geometry { input, output, y, x, reach })
    }
}

impl TransposeConv {
    /// One image, band by band; products of rows that the next band needs too are kept.
    fn image(
        &self,
        threads: Threads<'_>,
        geometry: &Geometry,
        most: usize,
        input: &[f32],
        products: &mut [f32],
        out: &mut [f32],
    ) {
        let [channels, taps_y, taps_x, depth] = self.shape;
        let (width, columns) = (geometry.input[2], self.weights.columns());
        let (row, row_len) = (width * columns, geometry.output[2] * channels);
        let mut held = 0..0;
        for band in bands(&geometry.y, most) {
            let (start, end) = (band.input.start, band.input.end);
            let kept = held.end.clamp(start, end);
            if kept > start {
                products.copy_within((start - held.start) * row..(kept - held.start) * row, 0);
            }
            held = start..end;
            let split = threads.split((end - kept) * width, 1, columns.saturating_mul(depth) / PRODUCTS);
            let new = &mut products[(kept - start) * row..(end - start) * row];
            threads.each(split, new, columns, |first, out| {
                let data = &input[(kept * width + first) * depth..];
                self.weights.multiply(
                    Rows { data, stride: depth, count: out.len() / columns, runs: None },
                    NO_CLAMP,
                    out,
                    columns,
                );
            });
            let products = &*products;
            let split = threads.split(band.out.len(), 1, row_len * taps_y * taps_x / 4);
            let out = &mut out[band.out.start * row_len..band.out.end * row_len];
            threads.each(split, out, row_len, |first, out| {
                let rows = geometry.y.iter().skip(band.out.start + first);
                for (out, rows) in out.chunks_exact_mut(row_len).zip(rows) {
                    let (columns, taps, bias, clamp) = (&geometry.x, [taps_y, taps_x], &*self.bias, self.clamp);
                    self.level.run(Line { products, first: start, rows, columns, width, taps, bias, clamp, out });
                }
            });
        }
    }
}

impl FastKernel for TransposeConv {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (threads, found) = (ctx.env.threads, ctx.output_value(0)?.shape());
        let (Ok(output), Ok(shape)) = (<[usize; 4]>::try_from(found), <[usize; 4]>::try_from(ctx.shape(INPUT)?)) else {
            return Ok(Ran::Refused);
        };
        // Lists of sources, and products of a row's cells with all taps: a few numbers of a file make them large.
        let [height, width] = [output[1].saturating_mul(self.shape[1]), output[2].saturating_mul(self.shape[2])];
        let operands = ctx.input(INPUT)?.bytes().len() + ctx.output_value(0)?.bytes().len();
        let lists = height.saturating_add(width).saturating_mul(16);
        if !is_modest(lists, operands) {
            return Ok(Ran::Refused);
        }
        let same = |kept: &Geometry| kept.input == shape && kept.output == output;
        let (geometry, workspace) = scratch.keep(same, || self.geometry(shape, output))?;
        let [channels, _, _, depth] = self.shape;
        let input = ctx.slice::<f32>(INPUT)?;
        let out = ctx.output::<f32>(0)?;
        let fits = shape[3] == depth && output[0] == shape[0] && output[3] == channels;
        if !fits || input.is_empty() || out.is_empty() {
            return Ok(Ran::Refused);
        }
        let row = shape[2].saturating_mul(self.weights.columns());
        let most = (BAND_FLOATS * threads.count() / row.max(1)).clamp(geometry.reach, shape[1].max(geometry.reach));
        if !is_modest(most.saturating_mul(row).saturating_mul(4), operands) {
            return Ok(Ran::Refused);
        }
        let products = workspace.take::<f32>(most * row);
        let images = shape[1] * shape[2] * depth;
        for (input, out) in input.chunks_exact(images).zip(out.chunks_exact_mut(output[1] * output[2] * channels)) {
            self.image(threads, geometry, most, input, products, out);
        }
        Ok(Ran::Done)
    }

    fn holds(&self, input: usize) -> Option<(DType, &[usize])> {
        match input {
            WEIGHTS => Some((self.dtype, &self.shape)),
            BIAS if self.has_bias => Some((DType::Float32, &self.shape[..1])),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{ActivationFunctionType as A, Padding};

    use super::*;
    use crate::{
        Value,
        fast::testing::{Operand, check, value},
    };

    #[test]
    fn bands_share_what_reaches_both() {
        // Two rows of the output for each row of the input, which reaches four.
        let window = |out: usize| {
            let first = out.div_ceil(2);
            (first.saturating_sub(1)..(first + 1).min(5)).map(|cell| (cell, 0)).collect::<Vec<_>>()
        };
        let rows: Sources = (0..10).map(window).collect();
        let found = bands(&rows, 3);
        assert!(found.iter().all(|band| band.input.len() <= 3), "{found:?}");
        assert_eq!(found.first(), Some(&Band { out: 0..5, input: 0..3 }));
        assert_eq!(found.iter().map(|band| band.out.len()).sum::<usize>(), 10);
        for (at, sources) in rows.iter().enumerate() {
            let band = found.iter().find(|band| band.out.contains(&at));
            assert!(sources.iter().all(|(cell, _)| band.is_some_and(|band| band.input.contains(cell))), "{at}");
        }
        let apart = vec![vec![], vec![(0, 0)], vec![], vec![(1, 0)], vec![]];
        assert_eq!(bands(&apart, 1), [Band { out: 0..3, input: 0..1 }, Band { out: 3..5, input: 1..2 }]);
    }

    #[test]
    fn windows() -> Result<(), Box<dyn std::error::Error>> {
        for (input, filter, stride, padding, size) in [
            ([1, 4, 5, 8], [6, 2, 2, 8], 2, Padding::Same, [8, 10]),
            ([2, 3, 3, 5], [17, 3, 3, 5], 2, Padding::Same, [6, 6]),
            ([1, 3, 4, 20], [3, 4, 3, 20], 2, Padding::Valid, [8, 9]),
            ([1, 5, 5, 3], [33, 3, 3, 3], 1, Padding::Same, [5, 5]),
            ([1, 2, 2, 4], [4, 1, 1, 4], 3, Padding::Valid, [4, 4]),
            // More products than a band has: rows in common, none in common, and rows that nothing reaches.
            ([2, 40, 33, 5], [16, 4, 4, 5], 2, Padding::Same, [80, 66]),
            ([1, 30, 40, 3], [33, 5, 3, 3], 1, Padding::Same, [30, 40]),
            ([1, 90, 30, 2], [24, 2, 2, 2], 3, Padding::Valid, [269, 89]),
        ] {
            for bias in [false, true] {
                let output = [input[0], size[0], size[1], filter[0]];
                let dims = output.map(|n| i32::try_from(n).unwrap_or(0));
                let bias = if bias { Operand::Constant(value(3, &filter[..1])?) } else { Operand::Omitted };
                let options = TransposeConvOptions {
                    padding,
                    stride_w: stride,
                    stride_h: stride,
                    fused_activation_function: A::Relu,
                    ..Default::default()
                };
                let shape = Operand::Constant(Value::i32(&[4], &dims)?);
                let operands = [shape, Operand::Constant(value(2, &filter)?), Operand::Input(value(1, &input)?), bias];
                check(prepare_at, Op::TransposeConv(options), &operands, &[&output])
                    .map_err(|error| format!("{input:?}: {error}"))?;
            }
        }
        Ok(())
    }
}
