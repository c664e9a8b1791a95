//! SOFTMAX and LOG_SOFTMAX of quantised tensors, over the last dimension.

use tflite_wgpu_model::DType;

use super::fixed_math::{exp_of_negative, log_of_one_or_more, reciprocal};
use super::fixed_point::{Multiplier, high_mul, rounding_shift};
use super::lut::Lines;
use super::support::{Affine, Stored, expect_shape, for_each_row, input_affine, no_type, output_affine, refuse};
use super::{EvalCtx, KernelError};

/// Integer bits of scaled differences, whose exp is taken.
const DIFFERENCE_BITS: i32 = 5;
/// Integer bits of sums of exps.
const SUM_BITS: i32 = 12;

pub(super) fn softmax(ctx: &mut EvalCtx<'_>, beta: f32) -> Result<(), KernelError> {
    let output = ctx.output_value(0)?.dtype();
    match (ctx.input(0)?.dtype(), output) {
        (DType::Int8, DType::Int8) => softmax_8::<i8, i8>(ctx, beta),
        (DType::Int8, DType::Int16) => softmax_8::<i8, i16>(ctx, beta),
        (DType::UInt8, DType::UInt8) => softmax_8::<u8, u8>(ctx, beta),
        (DType::UInt8, DType::Int16) => softmax_8::<u8, i16>(ctx, beta),
        (DType::Int16, DType::Int16) => softmax_16(ctx, beta),
        (DType::Int8 | DType::UInt8 | DType::Int16, found) => {
            Err(refuse("type of output 0", found, "that of input 0, or INT16"))
        }
        _ => Err(no_type(ctx, 0, "a float type, INT8, UINT8 or INT16")),
    }
}

/// Calls `row` on each run of the last dimension of input 0 and output 0. A scalar is a row of one.
fn rows<T: Stored, R: Stored>(
    ctx: &mut EvalCtx<'_>,
    row: impl Fn(&[T], &mut [R]) + Send + Sync,
) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    expect_shape(ctx, 0, shape)?;
    let input = ctx.slice::<T>(0)?;
    let depth = shape.last().copied().unwrap_or(1);
    for_each_row(ctx.env.threads, ctx.output(0)?, depth, depth * 16, |index, out| {
        row(&input[index * depth..][..depth], out);
    });
    Ok(())
}

fn largest<T: Stored>(row: &[T]) -> i32 {
    row.iter().map(|x| x.widen()).max().unwrap_or(T::RANGE.min)
}

/// From differences of stored values to fixed point, and the smallest difference that counts.
#[derive(Clone, Copy)]
struct Differences {
    multiplier: Multiplier,
    smallest: i32,
}

impl Differences {
    fn new(input: Affine, beta: f32) -> Self {
        let real = f64::from(beta) * input.scale() * f64::from(1i32 << (31 - DIFFERENCE_BITS));
        let multiplier = Multiplier::new(real.min(f64::from(i32::MAX)));
        let reach = f64::from((1 << DIFFERENCE_BITS) - 1) * 2f64.powi(31 - DIFFERENCE_BITS - multiplier.exponent);
        Self { multiplier, smallest: -(reach.floor().min(f64::from(i32::MAX)) as i32) }
    }

    fn scaled(self, difference: i32) -> i32 {
        self.multiplier.twice_rounded(difference)
    }

    /// The sum of exps of the differences from `max`.
    fn sum<T: Stored>(self, row: &[T], max: i32) -> i32 {
        let counted = row.iter().map(|x| x.widen() - max).filter(|&difference| difference >= self.smallest);
        counted.fold(0i32, |sum, difference| {
            let exp = exp_of_negative(self.scaled(difference), DIFFERENCE_BITS);
            sum.saturating_add(rounding_shift(exp, SUM_BITS))
        })
    }
}

fn softmax_8<T: Stored, R: Stored>(ctx: &mut EvalCtx<'_>, beta: f32) -> Result<(), KernelError> {
    let differences = Differences::new(input_affine(ctx, 0)?, beta);
    let bits = if R::RANGE.max > 255 { 16 } else { 8 };
    rows(ctx, move |row: &[T], out: &mut [R]| {
        let max = largest(row);
        let (inverse, shift) = reciprocal(differences.sum(row, max), SUM_BITS);
        for (out, x) in out.iter_mut().zip(row) {
            let difference = x.widen() - max;
            let share = match difference >= differences.smallest {
                true => {
                    let exp = exp_of_negative(differences.scaled(difference), DIFFERENCE_BITS);
                    rounding_shift(high_mul(inverse, exp), shift + 31 - bits)
                }
                false => 0,
            };
            *out = R::narrow(R::RANGE.apply(share + R::RANGE.min));
        }
    })
}

/// INT16: exp and the reciprocal by tables.
fn softmax_16(ctx: &mut EvalCtx<'_>, beta: f32) -> Result<(), KernelError> {
    let input = input_affine(ctx, 0)?;
    // Differences from −10 to 0, sums from 1 to 2; both tables give −1..1.
    let table = |scale: f64, zero: i32, f: fn(f32) -> f32| {
        let unit = Affine { scale: (2.0 / 65_535.0) as f32, zero: 0 };
        Lines::new(Affine { scale: scale as f32, zero }, unit, f)
    };
    let exp = table(10.0 / 65_535.0, 32_767, f32::exp);
    let inverse = table(1.0 / 65_535.0, -32_768, |x| 1.0 / (1.0 + x));
    let multiplier = Multiplier::new(f64::from(input.scale * beta) / (10.0 / 65_535.0));
    let to_16 = |value: i32| value.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    rows(ctx, move |row: &[i16], out: &mut [i16]| {
        let max = largest(row);
        let mut sum = 0i32;
        for (out, x) in out.iter_mut().zip(row) {
            let scaled = multiplier.twice_rounded(x.widen() - max);
            *out = exp.at(to_16(scaled.saturating_add(32_767)));
            sum = sum.saturating_add(i32::from(*out));
        }
        let room = sum.leading_zeros();
        if room == 0 || room == 32 {
            return;
        }
        let shifted = ((i64::from(sum) << (room - 1)) + (1 << 13)) >> 14;
        let factor = inverse.at(to_16((shifted - (1 << 15) - (1 << 16)) as i32));
        let right = 31 - room;
        let half = if right > 0 { 1i64 << (right - 1) } else { 0 };
        for out in out.iter_mut() {
            let share = (i64::from(*out) * i64::from(factor) + half) >> right;
            *out = share.clamp(0, 32_767) as i16;
        }
    })
}

pub(super) fn log_softmax(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Int8 => log_softmax_i8(ctx),
        DType::UInt8 => log_softmax_u8(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8 or UINT8")),
    }
}

/// UINT8: in floats, by a table of exps.
fn log_softmax_u8(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
    let exps: Vec<f32> = (0..256).map(|below| (-input.scale * below as f32).exp()).collect();
    rows(ctx, move |row: &[u8], out: &mut [u8]| {
        let max = largest(row);
        let sum: f32 = row.iter().fold(0.0, |sum, x| sum + exps[(max - x.widen()).unsigned_abs() as usize & 0xff]);
        let scale = input.scale / output.scale;
        let base = (input.scale * max as f32 + sum.ln()) / output.scale;
        for (out, x) in out.iter_mut().zip(row) {
            let rounded = (scale * f32::from(*x) - base).round_ties_even() as i32;
            *out = u8::narrow(u8::RANGE.apply(rounded.saturating_add(output.zero)));
        }
    })
}

/// INT8: in fixed point; the output has scale 16 / 256 and zero point 127.
fn log_softmax_i8(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    const OUTPUT_BITS: i32 = 4;
    const OUTPUT_ZERO: i32 = 127;
    let differences = Differences::new(input_affine(ctx, 0)?, 1.0);
    // From fixed point back to differences of stored values.
    let factor = 2f64.powi(31 - differences.multiplier.exponent) / f64::from(differences.multiplier.mantissa.max(1));
    let back = Multiplier::new(factor);
    rows(ctx, move |row: &[i8], out: &mut [i8]| {
        let max = largest(row);
        let log = log_of_one_or_more(differences.sum(row, max), SUM_BITS, DIFFERENCE_BITS);
        let smallest = (differences.smallest - 1).max(back.twice_rounded(log.wrapping_add(i32::MIN)));
        for (out, x) in out.iter_mut().zip(row) {
            let difference = x.widen() - max;
            *out = i8::MIN;
            if difference > smallest {
                let scaled = differences.scaled(difference).wrapping_sub(log);
                let stored = rounding_shift(scaled, 31 - DIFFERENCE_BITS - OUTPUT_BITS);
                *out = i8::narrow(i8::RANGE.apply(stored.saturating_add(OUTPUT_ZERO)));
            }
        }
    })
}
