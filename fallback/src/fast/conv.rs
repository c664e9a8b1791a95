//! CONV_2D on floats: products of rows of the input with packed filters. Filters of one tap read the input as it lies,
//! small ones some rows of it with zeros around them, others patches, which are gathered for a block of output cells at a
//! time.

use tflite_wgpu_model::{BuiltinOperator, Conv2DOptions, DType, Op};

use super::{
    FastKernel, Prepare, Ran, Row, Scratch,
    matrix::{Packed, TILE_ROWS},
    padded::Padded,
    patches::{Patches, Taps},
    workspace::{Workspace, is_modest},
};
use crate::{
    eval::{EvalCtx, KernelError},
    kernels::support::{Clamp, Window, float_clamp},
    simd::{Level, Rows, Strip},
    threads::{PRODUCTS, Threads},
};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::Conv2d, prepare }];

/// Weights up to which all of them pass by for each row of the output.
const FEW_WEIGHTS: usize = 40 << 10;
/// Cells of such a row at least, so that tiles of several rows of a product are the rule.
const LONG_ROW: usize = 12;

struct Conv {
    level: Level,
    options: Conv2DOptions,
    /// Filters: shape of the weights, then one matrix per group.
    shape: [usize; 4],
    dtype: DType,
    groups: Vec<Packed>,
    has_bias: bool,
    clamp: Clamp<f32>,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::Conv2d(options) = &given.node.op else { return None };
    let (input, weights) = (given.input(0)?, given.input(1)?);
    let shape: [usize; 4] = weights.dims.as_slice().try_into().ok()?;
    let [out_channels, taps_y, taps_x, depth] = shape;
    let filter = taps_y.checked_mul(taps_x)?.checked_mul(depth)?;
    if input.dtype != DType::Float32 || given.output(0)?.dtype != DType::Float32 || filter == 0 || out_channels == 0 {
        return None;
    }
    let clamp = float_clamp(options.fused_activation_function).ok()?;
    let bias = given.bias(2, out_channels)?;
    // How many groups there are depends on the input's channels; the file's shape tells, a run checks.
    let in_channels = input.dims.last().copied().filter(|&n| n > 0 && n.is_multiple_of(depth))?;
    let groups = in_channels / depth;
    if !out_channels.is_multiple_of(groups) {
        return None;
    }
    let channels = out_channels / groups;
    let bias_of = |group: usize| bias.as_ref().map(|bias| &bias[group * channels..][..channels]);
    let groups = given.with_stored(1, |stored| {
        let filters = |group: usize| stored.rows(group * channels, channels, filter);
        let pack = |group: usize| Some(Packed::new(level, filter, &filters(group)?, bias_of(group)));
        (0..groups).map(pack).collect::<Option<Vec<_>>>()
    })??;
    let options = options.clone();
    Some(Box::new(Conv { level, options, shape, dtype: weights.dtype, groups, has_bias: bias.is_some(), clamp }))
}

/// Windows of one shape of the input.
struct Geometry {
    input: [usize; 4],
    y: Window,
    x: Window,
    taps: Taps,
    /// For filters that read padded rows.
    padded: Option<Padded>,
}

impl Conv {
    fn geometry(&self, input: [usize; 4]) -> Result<Geometry, KernelError> {
        let [_, height, width, channels] = input;
        let [_, taps_y, taps_x, depth] = self.shape;
        let o = &self.options;
        let y = Window::new(height, taps_y, o.stride_h, o.dilation_hfactor, o.padding)?;
        let x = Window::new(width, taps_x, o.stride_w, o.dilation_wfactor, o.padding)?;
        let few = |packed: &&Packed| packed.meets_floats() && packed.depth() * packed.columns() <= FEW_WEIGHTS;
        let alone = self.groups.first().filter(|_| self.groups.len() == 1 && channels == depth);
        let suits = alone.filter(few).is_some() && x.output >= LONG_ROW && taps_y * taps_x > 1;
        let padded = if suits { Padded::new(&y, &x, channels) } else { None };
        Ok(Geometry { input, y, x, taps: Taps::new(&y, &x, channels, depth), padded })
    }

    /// Whether a cell of the output is a product with one cell of the input, in the same order.
    fn is_direct(&self, geometry: &Geometry) -> bool {
        let (y, x) = (&geometry.y, &geometry.x);
        let same = |window: &Window| window.taps == 1 && window.stride == 1 && window.input == window.output;
        same(y) && same(x)
    }
}

impl FastKernel for Conv {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (Ok(shape), threads) = (<[usize; 4]>::try_from(ctx.shape(0)?), ctx.env.threads) else {
            return Ok(Ran::Refused);
        };
        let (geometry, workspace) = scratch.keep(|kept: &Geometry| kept.input == shape, || self.geometry(shape))?;
        let [batch, height, width, channels] = shape;
        let (columns, filter) = (self.shape[0], self.groups.first().map_or(0, Packed::depth));
        let cells = batch * geometry.y.output * geometry.x.output;
        let input = ctx.slice::<f32>(0)?;
        let out = ctx.output::<f32>(0)?;
        if channels != self.shape[3] * self.groups.len() || out.len() != cells * columns {
            return Ok(Ran::Refused);
        }
        let image = height * width * channels;
        if input.len() != batch * image || cells == 0 {
            return Ok(Ran::Refused);
        }
        let work = filter.saturating_mul(columns) / PRODUCTS;
        if self.is_direct(geometry) {
            self.direct(threads, input, channels, out, columns, work);
            return Ok(Ran::Done);
        }
        let Some(first) = self.groups.first() else { return Ok(Ran::Refused) };
        if let Some(padded) = &geometry.padded {
            return Ok(self.rows(threads, (geometry, padded), input, workspace, out));
        }
        let split = threads.split(cells, 1, work);
        let block = first.block_rows(split.part.min(cells));
        let memory_len = block * filter;
        let floats = split.helpers.saturating_mul(memory_len);
        if !is_modest(floats.saturating_mul(4), (input.len() + out.len() + filter * columns) * 4) {
            return Ok(Ran::Refused);
        }
        let memory = workspace.take::<f32>(floats);
        let (geometry, clamp) = (&*geometry, self.clamp);
        threads.run(split, out, columns, memory, |first, out, memory| {
            let count = out.len() / columns;
            for from in (0..count).step_by(block) {
                let rows = block.min(count - from);
                for (group, packed) in self.groups.iter().enumerate() {
                    let patches = &mut memory[..rows * filter];
                    let channel = group * geometry.taps.depth;
                    let gather = Patches { taps: &geometry.taps, input, image, channel, first: first + from, patches };
                    self.level.run(gather);
                    let rows = Rows { data: patches, stride: filter, count: rows, runs: None };
                    let at = from * columns + group * packed.columns();
                    packed.multiply(rows, clamp, &mut out[at..], columns);
                }
            }
        });
        Ok(Ran::Done)
    }

    fn holds(&self, input: usize) -> Option<(DType, &[usize])> {
        match input {
            1 => Some((self.dtype, &self.shape)),
            2 if self.has_bias => Some((DType::Float32, &self.shape[..1])),
            _ => None,
        }
    }
}

impl Conv {
    /// Row by row of the output, from padded rows of the input.
    fn rows(
        &self,
        threads: Threads<'_>,
        (geometry, padded): (&Geometry, &Padded),
        input: &[f32],
        workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Ran {
        let [batch, height, width, channels] = geometry.input;
        let (columns, filter) = (self.shape[0], self.shape[1] * self.shape[2] * self.shape[3]);
        let (image, row_len) = (height * width * channels, geometry.x.output * columns);
        let split = threads.split(batch * geometry.y.output, 1, (filter * row_len) / PRODUCTS);
        let block = padded.block();
        let floats = split.helpers.saturating_mul(padded.floats(block));
        if !is_modest(floats.saturating_mul(4), (input.len() + out.len()) * 4) {
            return Ran::Refused;
        }
        threads.run(split, out, row_len, workspace.take::<f32>(floats), |first, out, memory| {
            let (mut row, mut out) = (first, out);
            while !out.is_empty() {
                let (batch, out_y) = (row / geometry.y.output, row % geometry.y.output);
                let count = block.min(geometry.y.output - out_y).min(out.len() / row_len);
                let ready = &mut memory[..padded.floats(count)];
                padded.fill(&input[batch * image..][..image], out_y, ready);
                let (own, behind) = out.split_at_mut(count * row_len);
                for (i, own) in own.chunks_exact_mut(row_len).enumerate() {
                    let (data, runs) = (&ready[padded.start(i)..], Some(padded.runs()));
                    let rows = Rows { data, stride: padded.step(), count: geometry.x.output, runs };
                    self.groups.iter().for_each(|packed| packed.multiply(rows, self.clamp, own, columns));
                }
                (row, out) = (row + count, behind);
            }
        });
        Ran::Done
    }

    fn direct(
        &self,
        threads: Threads<'_>,
        input: &[f32],
        channels: usize,
        out: &mut [f32],
        columns: usize,
        work: usize,
    ) {
        let cells = out.len() / columns;
        let clamp = self.clamp;
        if let ([packed], 1) = (self.groups.as_slice(), cells) {
            return one_row(threads, packed, input, clamp, out);
        }
        if let ([packed], true) = (self.groups.as_slice(), threads.count() > 1)
            && outweighs(packed, cells)
        {
            return by_columns(threads, packed, input, clamp, out);
        }
        let split = threads.split(cells, 1, work);
        threads.each(split, out, columns, |first, out| {
            for (group, packed) in self.groups.iter().enumerate() {
                let data = &input[first * channels + group * packed.depth()..];
                let rows = Rows { data, stride: channels, count: out.len() / columns, runs: None };
                packed.multiply(rows, clamp, &mut out[group * packed.columns()..], columns);
            }
        });
    }
}

/// Whether it costs less that each of several threads reads some of the weights and all of `rows` rows than the other
/// way round. Rows that another thread has written come from its core's cache, which takes about twice as long.
fn outweighs(packed: &Packed, rows: usize) -> bool {
    let (depth, columns, half) = (packed.depth(), packed.columns(), rows.div_ceil(2));
    let weights = packed.floats_read();
    packed.meets_floats() && packed.block_rows(half) >= half && weights / 2 >= rows.saturating_mul(depth + columns)
}

/// The product with a few rows, whose columns are shared by the threads: panel by panel, each with half of the rows at a
/// time, so that threads may share one.
fn by_columns(threads: Threads<'_>, packed: &Packed, input: &[f32], clamp: Clamp<f32>, out: &mut [f32]) {
    let (depth, columns, step) = (packed.depth(), packed.columns(), packed.column_step());
    let count = out.len() / columns;
    let half = count.div_ceil(2).next_multiple_of(TILE_ROWS).min(count);
    let mut strips = Strip::new(out, count, columns, columns).cut(half, step);
    let split = threads.split(strips.len(), 1, half.saturating_mul(depth).saturating_mul(step) / PRODUCTS);
    let halves = count.div_ceil(half.max(1));
    threads.each(split.one_by_one(), &mut strips, 1, |first, strips| {
        for (i, strip) in (first..).zip(strips) {
            let (row, column) = (i % halves * half, i / halves * step);
            let rows = Rows { data: &input[row * depth..], stride: depth, count: strip.rows(), runs: None };
            packed.multiply_strip(rows, clamp, column, strip.reborrow());
        }
    });
}

/// The product with a single row, whose columns are shared by the threads.
pub(super) fn one_row(threads: Threads<'_>, packed: &Packed, row: &[f32], clamp: Clamp<f32>, out: &mut [f32]) {
    let split = threads.split(out.len(), packed.column_step(), packed.depth() / PRODUCTS);
    threads.each(split, out, 1, |first, out| {
        let rows = Rows { data: row, stride: row.len(), count: 1, runs: None };
        let (count, stride) = (out.len(), out.len());
        packed.multiply_columns(rows, clamp, (first, count), out, stride);
    });
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{ActivationFunctionType as A, Padding};

    use super::*;
    use crate::fast::testing::{Operand, check, value};

    /// Input NHWC, filter OHWI, stride, dilation, padding, activation.
    type Case = ([usize; 4], [usize; 4], i32, i32, Padding, A);

    fn run(case: &Case, bias: bool) -> Result<(), Box<dyn std::error::Error>> {
        let &(input, filter, stride, dilation, padding, activation) = case;
        let options = Conv2DOptions {
            padding,
            stride_w: stride,
            stride_h: stride,
            dilation_wfactor: dilation,
            dilation_hfactor: dilation,
            fused_activation_function: activation,
            ..Default::default()
        };
        let window = |size, taps| Window::new(size, taps, stride, dilation, padding).map(|w| w.output);
        let output = [input[0], window(input[1], filter[1])?, window(input[2], filter[2])?, filter[0]];
        let bias = if bias { Operand::Constant(value(3, &filter[..1])?) } else { Operand::Omitted };
        let operands = [Operand::Input(value(1, &input)?), Operand::Constant(value(2, &filter)?), bias];
        check(prepare_at, Op::Conv2d(options), &operands, &[&output])
    }

    #[test]
    fn filters_of_one_tap() -> Result<(), Box<dyn std::error::Error>> {
        for columns in [1, 3, 8, 15, 16, 17, 24, 33, 48, 64, 65, 100, 130, 333] {
            for (batch, size, depth) in [(1, 1, 19), (2, 3, 5), (1, 5, 40), (1, 4, 300)] {
                let case = ([batch, size, size, depth], [columns, 1, 1, depth], 1, 1, Padding::Valid, A::Relu6);
                run(&case, columns % 2 == 0).map_err(|error| format!("{case:?}: {error}"))?;
            }
        }
        // More rows than a block has.
        run(&([1, 40, 50, 64], [20, 1, 1, 64], 1, 1, Padding::Same, A::None), true)
    }

    #[test]
    fn windows() -> Result<(), Box<dyn std::error::Error>> {
        for case in [
            ([1, 7, 9, 3], [16, 3, 3, 3], 2, 1, Padding::Same, A::Relu),
            ([2, 6, 5, 4], [9, 3, 2, 4], 1, 1, Padding::Same, A::None),
            ([1, 8, 8, 17], [5, 3, 3, 17], 1, 2, Padding::Same, A::ReluN1To1),
            ([1, 9, 8, 2], [3, 5, 5, 2], 3, 1, Padding::Valid, A::None),
            ([1, 4, 4, 6], [7, 1, 1, 6], 2, 1, Padding::Valid, A::None),
            ([1, 2, 2, 3], [4, 7, 7, 3], 1, 1, Padding::Same, A::None),
            ([1, 20, 20, 36], [18, 3, 3, 36], 1, 1, Padding::Same, A::Relu6),
            // Rows that are long enough to be read as they lie: the image's end in a window, behind it and before it.
            ([1, 30, 31, 3], [16, 3, 3, 3], 2, 1, Padding::Same, A::Relu6),
            ([2, 13, 24, 3], [33, 3, 3, 3], 2, 1, Padding::Same, A::None),
            ([2, 40, 45, 4], [9, 2, 5, 4], 3, 1, Padding::Valid, A::Relu),
            ([1, 3, 12, 5], [70, 5, 7, 5], 1, 1, Padding::Same, A::None),
            ([1, 7, 90, 2], [5, 1, 4, 2], 7, 1, Padding::Same, A::None),
            ([2, 9, 13, 8], [20, 3, 1, 8], 1, 1, Padding::Same, A::None),
            // Groups of two and of three channels; one of three dilated.
            ([1, 5, 5, 4], [6, 3, 3, 2], 1, 1, Padding::Same, A::None),
            ([2, 5, 6, 9], [12, 2, 3, 3], 1, 2, Padding::Same, A::Relu),
            ([1, 3, 3, 8], [20, 1, 1, 4], 1, 1, Padding::Same, A::None),
        ] {
            for bias in [false, true] {
                run(&case, bias).map_err(|error| format!("{case:?}: {error}"))?;
            }
        }
        Ok(())
    }

    #[test]
    fn not_a_number_stays() -> Result<(), Box<dyn std::error::Error>> {
        let mut input = value(1, &[1, 2, 3, 2])?;
        input.as_mut_slice::<f32>()?[5] = f32::NAN;
        let operands = [Operand::Input(input), Operand::Constant(value(2, &[3, 1, 1, 2])?), Operand::Omitted];
        let options =
            Conv2DOptions { stride_w: 1, stride_h: 1, fused_activation_function: A::Relu6, ..Default::default() };
        check(prepare_at, Op::Conv2d(options), &operands, &[&[1, 2, 3, 3]])
    }
}
