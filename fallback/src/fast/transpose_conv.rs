//! TRANSPOSE_CONV on floats: one product gives what every input cell adds through every tap; each output cell then sums
//! up what reaches it.

use tflite_wgpu_model::{BuiltinOperator, DType, Op, TransposeConvOptions, element_count};

use super::{
    FastKernel, Prepare, Ran, Row, Scratch,
    matrix::Packed,
    threads::{PRODUCTS, for_parts, part_rows},
    workspace::is_modest,
};
use crate::{
    kernels::{
        EvalCtx, KernelError,
        support::{Clamp, Window, float_clamp},
    },
    simd::{Level, Rows, Simd, Vectorised},
};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::TransposeConv, prepare }];

/// Inputs by position: the output's shape comes first.
const WEIGHTS: usize = 1;
const INPUT: usize = 2;
const BIAS: usize = 3;
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
        Packed::new(level, depth, &ordered, None)
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
}

/// One row of the output.
struct Line<'a, 'b> {
    /// Products of the input's cells: tap, output channel.
    products: &'a [f32],
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
                        let at = (in_y * self.width + in_x) * cell_len + (tap_y * self.taps[1] + tap_x) * channels;
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
        let sources = |out: usize, taps, stride, cells| {
            let window = Window::new(out, taps, stride, 1, o.padding)?;
            Ok((0..out).map(|at| window.sources(cells, at).collect()).collect())
        };
        let y = sources(output[1], self.shape[1], o.stride_h, input[1])?;
        let x = sources(output[2], self.shape[2], o.stride_w, input[2])?;
        Ok(Geometry { input, output, y, x })
    }
}

impl FastKernel for TransposeConv {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (threads, found) = (ctx.env.threads, ctx.output_value(0)?.shape());
        let (Ok(output), Ok(shape)) = (<[usize; 4]>::try_from(found), <[usize; 4]>::try_from(ctx.shape(INPUT)?)) else {
            return Ok(Ran::Refused);
        };
        // Lists of sources, and products of all cells with all taps: a few numbers of a file make them large.
        let [height, width] = [output[1].saturating_mul(self.shape[1]), output[2].saturating_mul(self.shape[2])];
        let products = shape[1].saturating_mul(shape[2]).saturating_mul(self.weights.columns());
        let operands = ctx.input(INPUT)?.bytes().len() + ctx.output_value(0)?.bytes().len();
        let lists = height.saturating_add(width).saturating_mul(16);
        if !is_modest(lists.saturating_add(products.saturating_mul(4)), operands) {
            return Ok(Ran::Refused);
        }
        let same = |kept: &Geometry| kept.input == shape && kept.output == output;
        let (geometry, workspace) = scratch.keep(same, || self.geometry(shape, output))?;
        let [channels, taps_y, taps_x, depth] = self.shape;
        let input = ctx.slice::<f32>(INPUT)?;
        let out = ctx.output::<f32>(0)?;
        let fits = shape[3] == depth && output[0] == shape[0] && output[3] == channels;
        if !fits || input.is_empty() || out.is_empty() {
            return Ok(Ran::Refused);
        }
        let (cells, columns) = (shape[1] * shape[2], self.weights.columns());
        let products = workspace.take::<f32>(cells * columns);
        let row_len = output[2] * channels;
        for (input, out) in input.chunks_exact(cells * depth).zip(out.chunks_exact_mut(output[1] * row_len)) {
            let part = part_rows(threads, cells, 24, columns.saturating_mul(depth) / PRODUCTS);
            for_parts(threads, products, columns, part, (&mut [], 0), |first, out, _| {
                let rows = Rows { data: &input[first * depth..], stride: depth, count: out.len() / columns };
                self.weights.multiply(rows, NO_CLAMP, out, columns);
            });
            let (products, geometry) = (&*products, &*geometry);
            let part = part_rows(threads, output[1], 1, row_len * taps_y * taps_x / 4);
            for_parts(threads, out, row_len, part, (&mut [], 0), |first, out, _| {
                for (out, rows) in out.chunks_exact_mut(row_len).zip(geometry.y.iter().skip(first)) {
                    let (columns, width, taps) = (&geometry.x, shape[2], [taps_y, taps_x]);
                    let (bias, clamp) = (self.bias.as_slice(), self.clamp);
                    self.level.run(Line { products, rows, columns, width, taps, bias, clamp, out });
                }
            });
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
    fn windows() -> Result<(), Box<dyn std::error::Error>> {
        for (input, filter, stride, padding, size) in [
            ([1, 4, 5, 8], [6, 2, 2, 8], 2, Padding::Same, [8, 10]),
            ([2, 3, 3, 5], [17, 3, 3, 5], 2, Padding::Same, [6, 6]),
            ([1, 3, 4, 20], [3, 4, 3, 20], 2, Padding::Valid, [8, 9]),
            ([1, 5, 5, 3], [33, 3, 3, 3], 1, Padding::Same, [5, 5]),
            ([1, 2, 2, 4], [4, 1, 1, 4], 3, Padding::Valid, [4, 4]),
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
