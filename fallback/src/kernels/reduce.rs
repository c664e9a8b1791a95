//! MEAN, SUM and the REDUCE_ operators, on floats, integers and BOOL.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, infer};

use super::fixed_point::Multiplier;
use super::support::{Stored, check_len, input_affine, mismatch, no_type, output_affine, refuse};
use super::{Element, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Mean, eval: mean },
    Row { op: B::Sum, eval: sum },
    Row { op: B::ReduceProd, eval: product },
    Row { op: B::ReduceMax, eval: |ctx| extreme(ctx, true) },
    Row { op: B::ReduceMin, eval: |ctx| extreme(ctx, false) },
    Row { op: B::ReduceAny, eval: |ctx| fold(ctx, 0u8, |any, x: u8| u8::from(any != 0 || x != 0), |any, _| any) },
    Row { op: B::ReduceAll, eval: |ctx| fold(ctx, 1u8, |all, x: u8| u8::from(all != 0 && x != 0), |all, _| all) },
];

/// Output 0 = `finish(accumulator, number of elements)` over the axes that input 1 names, elements in memory order.
fn fold<T: Element, A: Copy, R: Element>(
    ctx: &mut EvalCtx<'_>,
    start: A,
    step: impl Fn(A, T) -> A,
    finish: impl Fn(A, usize) -> R,
) -> Result<(), KernelError> {
    let input = ctx.slice::<T>(0)?;
    let shape = ctx.shape(0)?;
    let axes = infer::reduced_axes(&ctx.ints(1)?, shape.len()).map_err(mismatch)?;
    let plan = Plan::new(shape, &axes);
    let mut sums = vec![start; plan.outputs];
    plan.visit(|from, to, len, reduced| {
        let input = &input[from..from + len];
        if reduced {
            sums[to] = input.iter().fold(sums[to], |sum, &x| step(sum, x));
        } else {
            sums[to..to + len].iter_mut().zip(input).for_each(|(sum, &x)| *sum = step(*sum, x));
        }
    });
    let out = ctx.output::<R>(0)?;
    check_len(out, plan.outputs, "output 0")?;
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = finish(sum, plan.factor));
    Ok(())
}

/// The way from an input to its reduction.
pub(crate) struct Plan {
    /// Dimensions, neighbours that are reduced or kept alike merged into one: size and step in the output, 0 where
    /// the dimension is reduced.
    dims: Vec<(usize, usize)>,
    /// Elements of the output.
    pub outputs: usize,
    /// Elements that go into one element of the output.
    pub factor: usize,
}

impl Plan {
    pub fn new(shape: &[usize], axes: &[usize]) -> Self {
        let (mut dims, mut outputs, mut factor) = (Vec::<(usize, usize)>::new(), 1, 1);
        for (axis, &size) in shape.iter().enumerate().rev() {
            let reduced = axes.contains(&axis);
            let step = if reduced { 0 } else { outputs };
            match dims.last_mut() {
                Some(last) if (last.1 == 0) == reduced => last.0 = last.0.saturating_mul(size),
                _ => dims.push((size, step)),
            }
            // Sizes before a zero may have a product beyond any memory.
            let product: &mut usize = if reduced { &mut factor } else { &mut outputs };
            *product = product.saturating_mul(size);
        }
        dims.reverse();
        Self { dims, outputs, factor }
    }

    /// Calls `run(first input element, first output element, length, whether all go into one output)`.
    #[inline(always)]
    pub fn visit(&self, mut run: impl FnMut(usize, usize, usize, bool)) {
        let (&(len, step), outer) = self.dims.split_last().unwrap_or((&(1, 0), &[]));
        let rows: usize = outer.iter().map(|&(size, _)| size).product();
        if len == 0 {
            return;
        }
        for row in 0..rows {
            let (mut rest, mut to) = (row, 0);
            for &(size, step) in outer.iter().rev() {
                to += rest % size * step;
                rest /= size;
            }
            run(row * len, to, len, step == 0);
        }
    }
}

/// MEAN; integers are divided towards zero.
fn mean(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Int8 => quantized_mean::<i8>(ctx),
        DType::UInt8 => quantized_mean::<u8>(ctx),
        DType::Int16 => quantized_mean::<i16>(ctx),
        DType::Float32 => fold(ctx, 0.0, |sum, x: f32| sum + x, |sum, count| sum / count as f32),
        DType::Int32 => {
            elements(ctx)?;
            fold(ctx, 0i64, |sum, x: i32| sum + i64::from(x), |sum, count| (sum / count as i64) as i32)
        }
        DType::Int64 => {
            elements(ctx)?;
            fold(ctx, 0i64, |sum, x: i64| sum.wrapping_add(x), |sum, count| sum / count as i64)
        }
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8, UINT8, INT16, INT32 or INT64")),
    }
}

/// The sum of stored values less their zero points, rescaled by a multiplier that holds the division.
fn quantized_mean<T: Stored>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    elements(ctx)?;
    let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
    let multiplier = Multiplier::new(input.scale() / output.scale());
    let finish = move |sum: i64, count: usize| {
        let scaled = divided(multiplier, count as u64).twice_rounded(sum as i32);
        T::narrow(T::RANGE.apply(scaled.saturating_add(output.zero)))
    };
    fold(ctx, 0i64, move |sum, x: T| sum.wrapping_add((x.widen() - input.zero).into()), finish)
}

/// A multiplier divided by a number of elements.
pub(crate) fn divided(multiplier: Multiplier, count: u64) -> Multiplier {
    let shift = (63 - count.max(1).leading_zeros() as i32).min(32).min(31 + multiplier.exponent).max(0);
    let mantissa = (i64::from(multiplier.mantissa) << shift) / count.max(1) as i64;
    Multiplier { mantissa: mantissa as i32, exponent: multiplier.exponent - shift }
}

/// Refuses an integer mean of no elements.
fn elements(ctx: &EvalCtx<'_>) -> Result<(), KernelError> {
    if ctx.input(0)?.is_empty() {
        return Err(refuse("shape of input 0", format!("{:?}", ctx.shape(0)?), "elements to take the mean of"));
    }
    Ok(())
}

fn sum(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => fold(ctx, 0.0, |sum, x: f32| sum + x, |sum, _| sum),
        DType::Int32 => fold(ctx, 0, i32::wrapping_add, |sum, _| sum),
        DType::Int64 => fold(ctx, 0, i64::wrapping_add, |sum, _| sum),
        DType::Int8 => quantized_sum::<i8>(ctx),
        DType::UInt8 => quantized_sum::<u8>(ctx),
        DType::Int16 => quantized_sum::<i16>(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8, UINT8, INT16, INT32 or INT64")),
    }
}

/// Stored values less their zero points; one rescaling at the end.
fn quantized_sum<T: Stored>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
    let multiplier = Multiplier::new(input.scale() / output.scale());
    let finish = move |sum: i32, _| {
        let scaled = multiplier.twice_rounded(sum);
        T::narrow(T::RANGE.apply(scaled.saturating_add(output.zero)))
    };
    fold(ctx, 0i32, move |sum, x: T| sum.wrapping_add(x.widen() - input.zero), finish)
}

/// Products are rescaled after every factor, so that the scales of all multiply to the input's power; by 31 bits of
/// the multiplier, where TFLite takes 16 and may be one off.
fn quantized_product<T: Stored>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
    let shape = ctx.shape(0)?;
    let axes = infer::reduced_axes(&ctx.ints(1)?, shape.len()).map_err(mismatch)?;
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    let factor = input.scale() / output.scale().powf(1.0 / count.max(1) as f64);
    let multiplier = Multiplier::new(factor);
    let step = move |product: Option<i32>, x: T| {
        let x = x.widen() - input.zero;
        Some(match product {
            None => x,
            Some(product) => multiplier.once_rounded(i64::from(product) * i64::from(x)),
        })
    };
    let finish = move |product: Option<i32>, _| {
        let scaled = multiplier.once_rounded(product.unwrap_or(1).into());
        T::narrow(T::RANGE.apply(scaled.saturating_add(output.zero)))
    };
    fold(ctx, None, step, finish)
}

fn product(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => fold(ctx, 1.0, |product, x: f32| product * x, |product, _| product),
        DType::Int32 => fold(ctx, 1, i32::wrapping_mul, |product, _| product),
        DType::Int64 => fold(ctx, 1, i64::wrapping_mul, |product, _| product),
        DType::Int8 => quantized_product::<i8>(ctx),
        DType::Int16 => quantized_product::<i16>(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8, INT16, INT32 or INT64")),
    }
}

/// REDUCE_MAX and REDUCE_MIN; floats start from an infinity, so that infinities survive.
fn extreme(ctx: &mut EvalCtx<'_>, max: bool) -> Result<(), KernelError> {
    fn of<T: Element + PartialOrd>(ctx: &mut EvalCtx<'_>, max: bool, starts: (T, T)) -> Result<(), KernelError> {
        let start = if max { starts.0 } else { starts.1 };
        let step = move |best, x| if if max { x > best } else { x < best } { x } else { best };
        fold(ctx, start, step, |best, _| best)
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of(ctx, max, (f32::NEG_INFINITY, f32::INFINITY)),
        DType::Int8 => of(ctx, max, (i8::MIN, i8::MAX)),
        DType::UInt8 => of(ctx, max, (u8::MIN, u8::MAX)),
        DType::Int16 => of(ctx, max, (i16::MIN, i16::MAX)),
        DType::Int32 => of(ctx, max, (i32::MIN, i32::MAX)),
        DType::Int64 => of(ctx, max, (i64::MIN, i64::MAX)),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8, UINT8, INT16, INT32 or INT64")),
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    fn sum(shape: &[usize], axes: &[usize]) -> Vec<usize> {
        let plan = Plan::new(shape, axes);
        let mut sums = vec![0; plan.outputs];
        plan.visit(|from, to, len, reduced| {
            (0..len).for_each(|i| sums[if reduced { to } else { to + i }] += from + i);
        });
        sums
    }

    #[test]
    fn axes_are_reduced_in_any_combination() {
        assert_eq!(sum(&[2, 3], &[1]), [3, 12]);
        assert_eq!(sum(&[2, 3], &[0]), [3, 5, 7]);
        assert_eq!(sum(&[2, 3], &[0, 1]), [15]);
        assert_eq!(sum(&[2, 3], &[]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(sum(&[2, 2, 2], &[0, 2]), [10, 18]);
        assert_eq!(sum(&[], &[]), [0]);
        assert_eq!(sum(&[2, 0], &[1]), [0, 0]);
        assert_eq!(sum(&[0, 2], &[0]), [0, 0]);
    }
}
