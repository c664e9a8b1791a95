//! AVERAGE_POOL_2D, MAX_POOL_2D, and MEAN.

use tflite_wgpu_model::{ActivationFunctionType, BuiltinOperator, DType, Op, Pool2DOptions, infer};

use super::scheme::{byte_affine, is_byte};
use crate::{
    eval::{EvalCtx, KernelError},
    fast::{FastKernel, Prepare, Ran, Scratch},
    kernels::{
        fixed_point::Multiplier,
        reduce::{Plan, divided},
        support::{Affine, Clamp, Stored, Window, stored_clamp},
    },
    simd::int8::Level,
    threads::BYTE_PRODUCTS,
};

/// Channels that are worked on at once.
const CHANNELS: usize = 64;
/// What a tap of a pool costs, in multiply-adds of a product.
const STEPS: usize = 4;
/// Numbers below which quotients of FLOAT32 are exact before they are cut to integers.
const EXACT: i32 = 1 << 23;

struct Pool {
    level: Level,
    options: Pool2DOptions,
    average: bool,
    dtype: DType,
    clamp: Clamp<i32>,
}

pub(super) fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let (Op::AveragePool2d(options) | Op::MaxPool2d(options)) = &given.node.op else { return None };
    let (input, output) = (given.input(0)?, given.output(0)?);
    if !is_byte(input.dtype) || output.dtype != input.dtype {
        return None;
    }
    let clamp = match (options.fused_activation_function, input.dtype) {
        (ActivationFunctionType::None, DType::Int8) => i8::RANGE,
        (ActivationFunctionType::None, _) => u8::RANGE,
        (activation, DType::Int8) => stored_clamp::<i8>(activation, byte_affine(output)?).ok()?,
        (activation, _) => stored_clamp::<u8>(activation, byte_affine(output)?).ok()?,
    };
    let average = given.node.op.builtin() == BuiltinOperator::AveragePool2d;
    Some(Box::new(Pool { level: Level::best(), options: options.clone(), average, dtype: input.dtype, clamp }))
}

impl FastKernel for Pool {
    fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        match self.dtype {
            DType::Int8 => self.run_as::<i8>(ctx),
            _ => self.run_as::<u8>(ctx),
        }
    }
}

impl Pool {
    /// The windows of a run; `None` where the shapes are none of this operator's.
    fn windows(&self, ctx: &mut EvalCtx<'_>) -> Option<(Window, Window, usize)> {
        let &[batch, height, width, channels] = ctx.shape(0).ok()? else { return None };
        let Pool2DOptions { filter_height, filter_width, stride_h, stride_w, padding, .. } = self.options;
        let y = Window::new(height, usize::try_from(filter_height).ok()?, stride_h, 1, padding).ok()?;
        let x = Window::new(width, usize::try_from(filter_width).ok()?, stride_w, 1, padding).ok()?;
        let fits = ctx.input(0).ok()?.dtype() == self.dtype
            && ctx.output_value(0).ok()?.dtype() == self.dtype
            && ctx.output_value(0).ok()?.shape() == [batch, y.output, x.output, channels];
        // A sum of bytes fits 32 bits.
        let small = y.taps.checked_mul(x.taps)? < EXACT as usize;
        (fits && small).then_some((y, x, channels))
    }

    fn run_as<T: Stored>(&self, ctx: &mut EvalCtx<'_>) -> Result<Ran, KernelError> {
        let Some((y, x, channels)) = self.windows(ctx) else { return Ok(Ran::Refused) };
        let (input, threads) = (ctx.slice::<T>(0)?, ctx.env.threads);
        let out = ctx.output_value(0)?.bytes_mut();
        if out.is_empty() {
            return Ok(Ran::Done);
        }
        let line = x.output * channels;
        let steps = line.saturating_mul(y.taps).saturating_mul(x.taps).saturating_mul(STEPS) / BYTE_PRODUCTS;
        let split = threads.split(out.len() / line, 1, steps);
        threads.each(split, out, line, |first, out| {
            let out: &mut [T] = bytemuck::cast_slice_mut(out);
            for (i, out) in out.chunks_exact_mut(line).enumerate() {
                let row = first + i;
                let (batch, (taps_y, first_y)) = (row / y.output, y.inside(row % y.output));
                for (out_x, out) in out.chunks_exact_mut(channels).enumerate() {
                    let (taps_x, first_x) = x.inside(out_x);
                    let cells = (first_y..first_y + taps_y.len()).flat_map(|in_y| {
                        let line = (batch * y.input + in_y) * x.input;
                        (line + first_x..line + first_x + taps_x.len()).map(|cell| cell * channels)
                    });
                    let count = taps_y.len() * taps_x.len();
                    self.level.run(|| self.cell(input, cells, count, out));
                }
            }
        });
        Ok(Ran::Done)
    }

    /// One cell of the output from the cells of the input, `count` of them, that begin at these places.
    #[inline(always)]
    fn cell<T: Stored>(&self, input: &[T], cells: impl Iterator<Item = usize> + Clone, count: usize, out: &mut [T]) {
        let clamp = self.clamp;
        for (i, out) in out.chunks_mut(CHANNELS).enumerate() {
            let start = if self.average { 0 } else { T::RANGE.min };
            let mut sums = [start; CHANNELS];
            for cell in cells.clone() {
                let x = &input[cell + i * CHANNELS..][..out.len()];
                if self.average {
                    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x.widen());
                } else {
                    sums.iter_mut().zip(x).for_each(|(max, x)| *max = x.widen().max(*max));
                }
            }
            if self.average {
                sums.iter_mut().for_each(|sum| *sum = mean(*sum, count as i32));
            }
            out.iter_mut().zip(sums).for_each(|(out, value)| *out = T::narrow(clamp.apply(value)));
        }
    }
}

/// `sum / count`, halves away from zero.
#[inline(always)]
fn mean(sum: i32, count: i32) -> i32 {
    let count = count.max(1);
    let moved = if sum > 0 { sum + count / 2 } else { sum - count / 2 };
    if count < EXACT / 512 { (moved as f32 / count as f32) as i32 } else { moved / count }
}

struct Mean {
    level: Level,
    dtype: DType,
    input: Affine,
    output: Affine,
    multiplier: Multiplier,
}

pub(super) fn prepare_mean(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let (input, output) = (given.input(0)?, given.output(0)?);
    let dtype = input.dtype;
    if !is_byte(dtype) || output.dtype != dtype {
        return None;
    }
    let (input, output) = (byte_affine(input)?, byte_affine(output)?);
    let multiplier = Multiplier::new(input.scale() / output.scale());
    Some(Box::new(Mean { level: Level::best(), dtype, input, output, multiplier }))
}

impl FastKernel for Mean {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        match self.dtype {
            DType::Int8 => self.run_as::<i8>(ctx, scratch),
            _ => self.run_as::<u8>(ctx, scratch),
        }
    }
}

impl Mean {
    fn run_as<T: Stored>(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (value, axes) = (ctx.input(0)?, ctx.ints(1)?);
        let Ok(axes) = infer::reduced_axes(&axes, value.shape().len()) else { return Ok(Ran::Refused) };
        let plan = Plan::new(value.shape(), &axes);
        let output = ctx.output_value(0)?;
        let fits = value.dtype() == self.dtype && output.dtype() == self.dtype && output.len() == plan.outputs;
        if !fits || value.is_empty() || plan.factor > EXACT as usize {
            return Ok(Ran::Refused);
        }
        let Ok(input) = value.as_slice::<T>() else { return Ok(Ran::Refused) };
        let sums = scratch.workspace.take::<i32>(plan.outputs);
        sums.fill(0);
        self.level.run(|| add_all(&plan, input, sums));
        let factor = divided(self.multiplier, plan.factor as u64);
        let zeros = self.input.zero.wrapping_mul(plan.factor as i32);
        let Ok(out) = output.as_mut_slice::<T>() else { return Ok(Ran::Refused) };
        for (out, sum) in out.iter_mut().zip(sums) {
            let scaled = factor.twice_rounded(*sum - zeros).saturating_add(self.output.zero);
            *out = T::narrow(T::RANGE.apply(scaled));
        }
        Ok(Ran::Done)
    }
}

#[inline(always)]
fn add_all<T: Stored>(plan: &Plan, input: &[T], sums: &mut [i32]) {
    plan.visit(|from, to, len, reduced| {
        let input = &input[from..from + len];
        if reduced {
            sums[to] += input.iter().map(|x| x.widen()).sum::<i32>();
        } else {
            sums[to..to + len].iter_mut().zip(input).for_each(|(sum, x)| *sum += x.widen());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::mean;

    #[test]
    fn quotients_of_floats_are_those_of_integers() {
        for count in (1..16_384).step_by(37) {
            for sum in (-255 * count..=255 * count).step_by(211) {
                let half = if sum > 0 { count / 2 } else { -(count / 2) };
                assert_eq!(mean(sum, count), (sum + half) / count, "{sum} / {count}");
            }
        }
    }
}
