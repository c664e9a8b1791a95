//! Functions of one quantised tensor that are more than a table: the RELU family, LEAKY_RELU, PRELU, HARD_SWISH, ABS,
//! LOG, SQRT, RSQRT, and LOGISTIC and TANH on INT16.

use tflite_wgpu_model::{DType, Op};

use super::fixed_math::{inverse_square_root, short};
use super::fixed_point::{Multiplier, rounding_shift};
use super::support::{Clamp, Stored, input_affine, map, no_type, output_affine, refuse, zip};
use super::{EvalCtx, KernelError, lut};

/// A kernel for each type that quantised tensors are stored in.
macro_rules! by_type {
    ($ctx:expr, $f:ident $(, $arg:expr)*) => {
        match $ctx.input(0)?.dtype() {
            DType::Int8 => $f::<i8>($ctx $(, $arg)*),
            DType::UInt8 => $f::<u8>($ctx $(, $arg)*),
            DType::Int16 => $f::<i16>($ctx $(, $arg)*),
            _ => Err(no_type($ctx, 0, "INT8, UINT8 or INT16")),
        }
    };
}

/// Whether input 0 is a tensor of stored integers with a scale.
pub(super) fn applies(ctx: &EvalCtx<'_>) -> bool {
    let dtype = ctx.inputs.first().copied().flatten().map(crate::Value::dtype);
    matches!(dtype, Some(DType::Int8 | DType::UInt8 | DType::Int16))
        && ctx.input_quant(0).is_some_and(|quant| quant.per_tensor().is_some())
}

/// Real values cut to a range.
pub(super) fn relu(ctx: &mut EvalCtx<'_>, real: Clamp<f32>) -> Result<(), KernelError> {
    fn of<T: Stored>(ctx: &mut EvalCtx<'_>, real: Clamp<f32>) -> Result<(), KernelError> {
        let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
        let multiplier = Multiplier::new((input.scale / output.scale).into());
        let max = if real.max.is_finite() { output.quantize(real.max).min(T::RANGE.max) } else { T::RANGE.max };
        let clamp = Clamp { min: output.quantize(real.min).max(T::RANGE.min), max };
        map(ctx, 0, move |x: T| {
            let scaled = multiplier.twice_rounded(x.widen() - input.zero).saturating_add(output.zero);
            // The upper bound is applied last and may lie below the lower one.
            T::narrow(scaled.max(clamp.min).min(clamp.max))
        })
    }
    by_type!(ctx, of, real)
}

pub(super) fn leaky_relu(ctx: &mut EvalCtx<'_>, alpha: f32) -> Result<(), KernelError> {
    fn of<T: Stored>(ctx: &mut EvalCtx<'_>, alpha: f32) -> Result<(), KernelError> {
        let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
        let above = Multiplier::new((input.scale / output.scale).into());
        let below = Multiplier::signed((input.scale * alpha / output.scale).into());
        map(ctx, 0, move |x: T| {
            let x = x.widen() - input.zero;
            let scaled = if x >= 0 { above.twice_rounded(x) } else { below.twice_rounded(x) };
            T::narrow(T::RANGE.apply(scaled.saturating_add(output.zero)))
        })
    }
    by_type!(ctx, of, alpha)
}

/// The slopes, input 1, have the input's type, or INT8 beside INT16.
pub(super) fn prelu(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Stored, A: Stored>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let (input, slope, output) = (input_affine(ctx, 0)?, input_affine(ctx, 1)?, output_affine(ctx)?);
        let above = Multiplier::new((input.scale / output.scale).into());
        let below = Multiplier::new((input.scale * slope.scale / output.scale).into());
        zip(ctx, move |x: T, a: A| {
            let x = x.widen() - input.zero;
            let scaled = match x >= 0 {
                true => above.twice_rounded(x),
                false => below.twice_rounded(x.wrapping_mul(a.widen() - slope.zero)),
            };
            T::narrow(T::RANGE.apply(scaled.saturating_add(output.zero)))
        })
    }
    match (ctx.input(0)?.dtype(), ctx.input(1)?.dtype()) {
        (DType::Int8, DType::Int8) => of::<i8, i8>(ctx),
        (DType::UInt8, DType::UInt8) => of::<u8, u8>(ctx),
        (DType::Int16, DType::Int8) => of::<i16, i8>(ctx),
        (DType::Int16, DType::Int16) => of::<i16, i16>(ctx),
        (x, slope) => {
            Err(refuse("types of inputs 0 and 1", format!("{x} and {slope}"), "equal ones, or INT16 and INT8"))
        }
    }
}

/// ABS; stored values of other scales are rescaled.
pub(super) fn abs(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Stored>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
        let same = input.scale == output.scale;
        let multiplier = Multiplier::new((input.scale / output.scale).into());
        map(ctx, 0, move |x: T| {
            let magnitude = (x.widen() - input.zero).abs();
            let scaled = if same { magnitude } else { multiplier.twice_rounded(magnitude) };
            T::narrow(T::RANGE.apply(scaled.saturating_add(output.zero)))
        })
    }
    by_type!(ctx, of)
}

/// LOG by a table; where there is none the smallest value.
pub(super) fn log(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let wide = ctx.input(0)?.dtype() == DType::Int16;
    let smallest = output_affine(ctx)?.real(if wide { i16::MIN.into() } else { i8::MIN.into() });
    lut::eval(ctx, true, move |x| if x > 0.0 { x.ln() } else { smallest })
}

/// SQRT; the result is cut, not rounded.
pub(super) fn sqrt(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Stored>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
        not_negative::<T>(ctx)?;
        map(ctx, 0, move |x: T| {
            let root = input.real(x.widen()).sqrt() / output.scale;
            T::narrow(T::RANGE.apply((root as i32).saturating_add(output.zero)))
        })
    }
    by_type!(ctx, of)
}

/// Refuses an input that has a value below 0.
fn not_negative<T: Stored>(ctx: &EvalCtx<'_>) -> Result<(), KernelError> {
    let input = input_affine(ctx, 0)?;
    match ctx.slice::<T>(0)?.iter().find(|x| x.widen() < input.zero) {
        Some(x) => Err(refuse("input 0", input.real(x.widen()), "numbers that are not negative")),
        None => Ok(()),
    }
}

/// RSQRT. INT16 by a table, where numbers that are not positive give the largest value; 8-bit types in fixed point,
/// where only 0 does and what is below 0 is refused.
pub(super) fn rsqrt(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Stored>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        /// Bits that keep the inverse an integer.
        const SHIFT: i32 = 20;
        let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
        not_negative::<T>(ctx)?;
        let factor = Multiplier::new((1.0 / (input.scale.sqrt() * output.scale)).into());
        let factor = Multiplier { exponent: factor.exponent - SHIFT, ..factor };
        map(ctx, 0, move |x: T| {
            let x = x.widen() - input.zero;
            if x == 0 {
                return T::narrow(T::RANGE.max);
            }
            let inverse = inverse_square_root(x);
            let inverse = Multiplier { exponent: inverse.exponent + SHIFT, ..inverse };
            let scaled = factor.twice_rounded(inverse.twice_rounded(1));
            T::narrow(T::RANGE.apply(scaled.saturating_add(output.zero)))
        })
    }
    if ctx.input(0)?.dtype() == DType::Int16 {
        let largest = output_affine(ctx)?.real(i16::MAX.into());
        return lut::eval(ctx, true, move |x| if x > 0.0 { 1.0 / x.sqrt() } else { largest });
    }
    by_type!(ctx, of)
}

/// HARD_SWISH of an 8-bit tensor, in 16 bits of which 7 are more than the input's.
pub(super) fn hard_swish(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Stored>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
        let fine = input.scale * (1.0 / 128.0);
        let out = Multiplier::new((fine / output.scale).into());
        let reluish = Multiplier::new((fine / (3.0 / 32_768.0)).into());
        if out.exponent > 0 {
            return Err(refuse("scale of input 0", input.scale, "at most 128 times that of output 0"));
        }
        let (out_mantissa, reluish_mantissa) = (short_mantissa(out), short_mantissa(reluish));
        map(ctx, 0, move |x: T| {
            let x = ((x.widen() - input.zero) as i16) << 7;
            let scaled = short::mul(x, out_mantissa);
            let mut gate = x;
            if reluish.exponent > 0 {
                gate = short::shifted(gate, reluish.exponent - 1);
            }
            gate = short::mul(gate, reluish_mantissa);
            if reluish.exponent > 0 {
                gate = short::shifted(gate, 1);
            }
            if reluish.exponent < 0 {
                gate = rounding_shift(gate.into(), -reluish.exponent) as i16;
            }
            // From −1..1 to 0..1, then the product, without rounding.
            let gate = (i32::from(gate) + (1 << 15)) >> 1;
            let product = gate * i32::from(scaled) / (1 << 15);
            T::narrow(T::RANGE.apply(rounding_shift(product, -out.exponent) + output.zero))
        })
    }
    match ctx.input(0)?.dtype() {
        DType::Int8 => of::<i8>(ctx),
        DType::UInt8 => of::<u8>(ctx),
        _ => Err(no_type(ctx, 0, "INT8 or UINT8")),
    }
}

/// The upper 16 bits of a mantissa, rounded.
fn short_mantissa(multiplier: Multiplier) -> i16 {
    ((i64::from(multiplier.mantissa) + (1 << 15)) >> 16).min(i16::MAX.into()) as i16
}

/// LOGISTIC or TANH of an INT16 tensor: a table of the logistic function with straight lines between its points.
pub(super) fn sigmoid_16(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let tanh = matches!(ctx.node.op, Op::Tanh);
    let input = input_affine(ctx, 0)?;
    let (factor, shift) = sigmoid_scale(input.scale, tanh);
    let table = sigmoid_table();
    let half = if shift > 0 { 1i64 << (shift - 1) } else { 0 };
    map(ctx, 0, move |x: i16| {
        let scaled = (i64::from(x) * factor + half) >> shift;
        if tanh { tanh_at(&table, scaled) } else { logistic_at(&table, scaled) }
    })
}

/// Factor and right shift from stored values to units of 1 / (3 · 4096), in which the tables are.
fn sigmoid_scale(scale: f32, tanh: bool) -> (i64, u32) {
    let log = f64::from(scale).log2();
    let left = 12 + log as i32;
    if log.fract() == 0.0 && (left == 0 || (tanh && left == 1)) {
        return (3 << left, 0);
    }
    let (mut factor, mut shift) = (f64::from(scale) * 4096.0 * 3.0, 0);
    while factor <= 32_767.0 / 2.0 && shift <= 30 {
        shift += 1;
        factor *= 2.0;
    }
    // Beyond this every input but 0 is at an end of the table.
    (factor.min((1u64 << 40) as f64) as i64, shift)
}

/// The logistic function at 0, 1/24, 2/24 … in units of 2^−16, as TFLite has it.
fn sigmoid_table() -> [i64; 256] {
    /// Where TFLite's table is one above the nearest integer.
    const RAISED: [usize; 43] = [
        4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46,
        49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135,
    ];
    let mut table = std::array::from_fn(|i| (65_536.0 / (1.0 + (-(i as f64) / 24.0).exp())).round() as i64);
    RAISED.iter().for_each(|&i| table[i] += 1);
    table[255] = 65_535;
    table
}

fn logistic_at(table: &[i64; 256], x: i64) -> i16 {
    let (magnitude, index) = (x.abs(), (x.abs() >> 9).min(255) as usize);
    let value = match table.get(index + 1) {
        None => 0x7fff << 10,
        Some(next) => (table[index] << 9) + (magnitude & 0x1ff) * (next - table[index]),
    };
    let rounded = if x >= 0 { value + (1 << 9) } else { (1 << 25) - value + (1 << 9) - 1 };
    (rounded >> 10) as i16
}

fn tanh_at(table: &[i64; 256], x: i64) -> i16 {
    let (magnitude, index) = (x.abs(), (x.abs() >> 8).min(255) as usize);
    let value = match table.get(index + 1) {
        None => 0xffff << 8,
        Some(next) => (table[index] << 8) + (magnitude & 0xff) * (next - table[index]),
    };
    let half = 1 << 23;
    let rounded = if x >= 0 { value - half + (1 << 7) } else { half - value + (1 << 7) - 1 };
    (rounded >> 8) as i16
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{LeakyReluOptions, Op};

    use super::*;
    use crate::kernels::testing::{Output, run_quantised, value};
    use crate::value::Value;

    #[test]
    fn a_slope_may_be_negative() -> Result<(), Box<dyn std::error::Error>> {
        // LiteRT's results.
        let cases = [(-0.3, [59i8, 37, 16, 8, 9, 112]), (-1.7, [127, 127, 66, 8, 9, 112])];
        for (alpha, expected) in cases {
            let input = value(Value::from_slice(DType::Int8, &[6], &[-128i8, -78, -28, -1, 0, 72]));
            let output = Output(DType::Int8, &[6], Some((0.07, 5)));
            let op = Op::LeakyRelu(LeakyReluOptions { alpha });
            let found = run_quantised(op, &[Some((input, Some((0.1, -3))))], &[output])?;
            assert_eq!(found[0].as_slice::<i8>()?, expected, "alpha {alpha}");
        }
        Ok(())
    }

    #[test]
    fn tables_are_near_their_functions() {
        let table = sigmoid_table();
        assert_eq!(table[..5], [32_768, 33_451, 34_133, 34_813, 35_493]);
        assert_eq!(table[252..], [65_534, 65_534, 65_534, 65_535]);
        for x in (-140_000i64..140_000).step_by(997) {
            let real = x as f64 / 12_288.0;
            let logistic = f64::from(logistic_at(&table, x)) / 32_768.0;
            assert!((logistic - 1.0 / (1.0 + (-real).exp())).abs() < 2e-4, "logistic {real}: {logistic}");
            let tanh = f64::from(tanh_at(&table, x)) / 32_768.0;
            assert!((tanh - real.tanh()).abs() < 4e-4, "tanh {real}: {tanh}");
        }
    }

    #[test]
    fn scales_that_are_powers_of_two_are_exact() {
        assert_eq!(sigmoid_scale(1.0 / 4096.0, false), (3, 0));
        assert_eq!(sigmoid_scale(1.0 / 2048.0, true), (6, 0));
        assert_eq!(sigmoid_scale(1.0 / 2048.0, false), (24_576, 12));
    }
}
