//! AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D.

use tflite_wgpu_model::{ActivationFunctionType, BuiltinOperator, DType, Op, Pool2DOptions};

use super::support::{
    Stored, Window, dims, expect_shape, float_clamp, for_each_row, no_type, output_affine, refuse, stored_clamp,
};
use super::{EvalCtx, KernelError, Row};
use crate::threads::Threads;

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::AveragePool2d, eval },
    Row { op: BuiltinOperator::MaxPool2d, eval },
    Row { op: BuiltinOperator::L2Pool2d, eval },
];

/// Sizes of a pool over an NHWC input.
struct Geometry {
    y: Window,
    x: Window,
    channels: usize,
}

impl Geometry {
    fn new(ctx: &mut EvalCtx<'_>, options: &Pool2DOptions) -> Result<Self, KernelError> {
        let [batch, height, width, channels] = dims(ctx.shape(0)?, "input 0")?;
        let taps = |size: i32, what| usize::try_from(size).map_err(|_| refuse(what, size, "a positive number"));
        let taps_y = taps(options.filter_height, "filter_height")?;
        let taps_x = taps(options.filter_width, "filter_width")?;
        let y = Window::new(height, taps_y, options.stride_h, 1, options.padding)?;
        let x = Window::new(width, taps_x, options.stride_w, 1, options.padding)?;
        expect_shape(ctx, 0, &[batch, y.output, x.output, channels])?;
        Ok(Self { y, x, channels })
    }

    /// Folds the cells under the window at each output cell, channel by channel: `fold(accumulators, input cell)`,
    /// then `finish(accumulators, number of cells inside the input, output cell)`.
    fn pool<T: Copy + Send + Sync, A: Copy + Send + Sync>(
        &self,
        threads: Threads<'_>,
        input: &[T],
        out: &mut [T],
        start: A,
        fold: impl Fn(&mut [A], &[T]) + Send + Sync,
        finish: impl Fn(&[A], usize, &mut [T]) + Send + Sync,
    ) {
        let line = self.x.output * self.channels;
        let steps = line.saturating_mul(self.y.taps).saturating_mul(self.x.taps);
        for_each_row(threads, out, line, steps, |row, out| {
            let (batch, out_y) = (row / self.y.output, row % self.y.output);
            let (taps_y, first_y) = self.y.inside(out_y);
            let mut sums = vec![start; self.channels];
            for (out_x, out) in out.chunks_exact_mut(self.channels).enumerate() {
                let (taps_x, first_x) = self.x.inside(out_x);
                sums.fill(start);
                for in_y in first_y..first_y + taps_y.len() {
                    let cell = (batch * self.y.input + in_y) * self.x.input + first_x;
                    let cells = &input[cell * self.channels..][..taps_x.len() * self.channels];
                    cells.chunks_exact(self.channels).for_each(|cell| fold(&mut sums, cell));
                }
                finish(&sums, taps_y.len() * taps_x.len(), out);
            }
        });
    }
}

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (Op::AveragePool2d(options) | Op::MaxPool2d(options) | Op::L2Pool2d(options)) = &ctx.node.op else {
        return Err(refuse("operator", "another", "a pool"));
    };
    let geometry = Geometry::new(ctx, options)?;
    match ctx.input(0)?.dtype() {
        DType::Float32 => eval_float(ctx, options, &geometry),
        DType::Int8 => eval_integer::<i8>(ctx, options, &geometry),
        DType::UInt8 => eval_integer::<u8>(ctx, options, &geometry),
        DType::Int16 => eval_integer::<i16>(ctx, options, &geometry),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8, UINT8 or INT16")),
    }
}

/// Stored values have the output's quantisation already; averages are rounded, halves away from zero.
fn eval_integer<T: Stored>(
    ctx: &mut EvalCtx<'_>,
    options: &Pool2DOptions,
    geometry: &Geometry,
) -> Result<(), KernelError> {
    let clamp = match options.fused_activation_function {
        ActivationFunctionType::None => T::RANGE,
        activation => stored_clamp::<T>(activation, output_affine(ctx)?)?,
    };
    let (op, threads) = (&ctx.node.op, ctx.env.threads);
    let input = ctx.slice::<T>(0)?;
    let out = ctx.output::<T>(0)?;
    match op {
        Op::AveragePool2d(_) => {
            let add = |sums: &mut [i64], cell: &[T]| {
                sums.iter_mut().zip(cell).for_each(|(sum, x)| *sum += i64::from(x.widen()));
            };
            geometry.pool(threads, input, out, 0i64, add, |sums, count, out| {
                let count = count.max(1) as i64;
                for (out, &sum) in out.iter_mut().zip(sums) {
                    let mean = if sum > 0 { sum + count / 2 } else { sum - count / 2 } / count;
                    *out = T::narrow(clamp.apply(mean as i32));
                }
            });
            Ok(())
        }
        Op::MaxPool2d(_) => {
            let raise = |sums: &mut [i32], cell: &[T]| {
                sums.iter_mut().zip(cell).for_each(|(max, x)| *max = x.widen().max(*max));
            };
            geometry.pool(threads, input, out, T::RANGE.min, raise, |sums, _, out| {
                out.iter_mut().zip(sums).for_each(|(out, &max)| *out = T::narrow(clamp.apply(max)));
            });
            Ok(())
        }
        _ => Err(no_type(ctx, 0, "FLOAT32")),
    }
}

fn eval_float(ctx: &mut EvalCtx<'_>, options: &Pool2DOptions, geometry: &Geometry) -> Result<(), KernelError> {
    let clamp = float_clamp(options.fused_activation_function)?;
    let (op, threads) = (&ctx.node.op, ctx.env.threads);
    let input = ctx.slice::<f32>(0)?;
    let out = ctx.output::<f32>(0)?;
    let add = |sums: &mut [f32], cell: &[f32]| sums.iter_mut().zip(cell).for_each(|(sum, x)| *sum += x);
    match op {
        Op::AveragePool2d(_) => geometry.pool(threads, input, out, 0.0, add, |sums, count, out| {
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = clamp.apply(sum / count as f32));
        }),
        Op::L2Pool2d(_) => {
            let add_squares = |sums: &mut [f32], cell: &[f32]| {
                sums.iter_mut().zip(cell).for_each(|(sum, x)| *sum += x * x);
            };
            geometry.pool(threads, input, out, 0.0, add_squares, |sums, count, out| {
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = clamp.apply((sum / count as f32).sqrt()));
            });
        }
        _ => {
            // The first operand stays where the second is NaN, as with C++'s `std::max`.
            let raise = |sums: &mut [f32], cell: &[f32]| {
                sums.iter_mut().zip(cell).for_each(|(max, &x)| *max = if *max < x { x } else { *max });
            };
            geometry.pool(threads, input, out, f32::MIN, raise, |sums, _, out| {
                out.iter_mut().zip(sums).for_each(|(out, &max)| *out = clamp.apply(max));
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::support::testing::{run_f32, values};

    #[test]
    fn only_cells_inside_count() -> Result<(), Box<dyn std::error::Error>> {
        let options =
            Pool2DOptions { stride_w: 2, stride_h: 2, filter_width: 2, filter_height: 2, ..Default::default() };
        let input = values(&[1, 3, 3, 1])?;
        for (op, expected) in [
            (Op::AveragePool2d(options.clone()), [3.0, 4.5, 7.5, 9.0]),
            (Op::MaxPool2d(options.clone()), [5.0, 6.0, 8.0, 9.0]),
            (Op::L2Pool2d(options), [11.5f32.sqrt(), 22.5f32.sqrt(), 56.5f32.sqrt(), 9.0]),
        ] {
            assert_eq!(run_f32(op.clone(), &[Some(&input)], &[1, 2, 2, 1])?, expected, "{op:?}");
        }
        Ok(())
    }
}
