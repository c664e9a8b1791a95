//! The Signal* operators of audio front ends for small devices, in their integer arithmetic.

use super::map;
use crate::kernels::support::{check_len, refuse};
use crate::kernels::{EvalCtx, KernelError};
use crate::value::Value;

/// Position of the highest bit that is set, counted from 1; 0 of 0.
fn top_bit(value: u32) -> u32 {
    32 - value.leading_zeros()
}

/// Option `name`, a number that a shift or a factor of 32 bits can be.
fn word(ctx: &EvalCtx<'_>, name: &str) -> Result<u32, KernelError> {
    let value = map(ctx)?.size(name)?;
    u32::try_from(value).map_err(|_| refuse(format!("option {name}"), value, "a number of 32 bits"))
}

fn shift(ctx: &EvalCtx<'_>, name: &str) -> Result<u32, KernelError> {
    let bits = word(ctx, name)?;
    if bits < 32 { Ok(bits) } else { Err(refuse(format!("option {name}"), bits, "less than 32")) }
}

/// Samples times a window, shifted right.
pub(super) fn window(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shift = shift(ctx, "shift")?;
    let (shape, input, weights) = (ctx.shape(0)?, ctx.slice::<i16>(0)?, ctx.slice::<i16>(1)?);
    let length = shape.last().copied().unwrap_or(1);
    check_len(weights, length, "input 1")?;
    ctx.set_output(0, shape)?;
    let rows = ctx.output::<i16>(0)?.chunks_exact_mut(length.max(1)).zip(input.chunks_exact(length.max(1)));
    for (out, row) in rows {
        for ((out, &x), &w) in out.iter_mut().zip(row).zip(weights) {
            let product = (i32::from(x) * i32::from(w)) >> shift;
            *out = product.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
    }
    Ok(())
}

/// Samples times the largest power of two that fits, and its exponent.
pub(super) fn auto_scale(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (shape, input) = (ctx.shape(0)?, ctx.slice::<i16>(0)?);
    let largest = input.iter().map(|x| u32::from(x.unsigned_abs())).max().unwrap_or(0);
    let bits = if largest == 0 { 0 } else { 15u32.saturating_sub(top_bit(largest)) };
    ctx.set_output(0, shape)?;
    ctx.set_output(1, &[])?;
    ctx.output::<i16>(0)?.iter_mut().zip(input).for_each(|(out, x)| *out = x << bits);
    ctx.output::<i32>(1)?.fill(bits.cast_signed());
    Ok(())
}

/// Squared magnitudes of pairs of real and imaginary parts, from one index to another; the rest is zero.
pub(super) fn energy(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let options = map(ctx)?;
    let (start, end) = (options.size("start_index")?, options.size("end_index")?);
    let pairs = ctx.slice::<i16>(0)?.as_chunks::<2>().0;
    ctx.set_output(0, &[pairs.len()])?;
    for (i, (out, [re, im])) in ctx.output::<u32>(0)?.iter_mut().zip(pairs).enumerate() {
        let square = |v: &i16| u32::from(v.unsigned_abs()) * u32::from(v.unsigned_abs());
        *out = if (start..end).contains(&i) { square(re).wrapping_add(square(im)) } else { 0 };
    }
    Ok(())
}

/// Inputs: energies, weights, their complements, and for each channel its first frequency, first weight and width. A
/// frequency counts by its weight for one channel and by the complement for the next.
pub(super) fn filter_bank(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let channels = map(ctx)?.size("num_channels")?;
    let (input, weights, rest) = (ctx.slice::<u32>(0)?, ctx.slice::<i16>(1)?, ctx.slice::<i16>(2)?);
    let starts: Vec<Vec<i64>> = (3..6).map(|i| ctx.ints(i)).collect::<Result<_, _>>()?;
    let (mut sum, mut next, mut sums) = (0u64, 0u64, Vec::new());
    for channel in 0..=channels {
        let number = |i: usize| starts[i].get(channel).and_then(|&n| usize::try_from(n).ok());
        let (Some(frequency), Some(weight), Some(width)) = (number(0), number(1), number(2)) else {
            return Err(refuse("inputs 3 to 5", starts[0].len(), format!("{} numbers from 0 on", channels + 1)));
        };
        for j in 0..width {
            let (Some(&x), Some(&w), Some(&r)) =
                (input.get(frequency + j), weights.get(weight + j), rest.get(weight + j))
            else {
                return Err(refuse("channel", channel, "one whose frequencies and weights exist"));
            };
            sum = sum.wrapping_add((i64::from(w) as u64).wrapping_mul(x.into()));
            next = next.wrapping_add((i64::from(r) as u64).wrapping_mul(x.into()));
        }
        sums.push(sum);
        (sum, next) = (next, 0);
    }
    ctx.set_output(0, &[channels])?;
    ctx.output::<u64>(0)?.copy_from_slice(&sums[1..]);
    Ok(())
}

/// Square roots, rounded, shifted right by input 1.
pub(super) fn square_root(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (shape, input) = (ctx.shape(0)?, ctx.slice::<u64>(0)?);
    let bits = match ctx.ints(1)?.as_slice() {
        [bits] => u32::try_from(*bits).ok().filter(|&bits| bits < 32),
        _ => None,
    };
    let bits = bits.ok_or_else(|| refuse("input 1", format!("{:?}", ctx.ints(1)), "a shift of less than 32 bits"))?;
    ctx.set_output(0, shape)?;
    for (out, &x) in ctx.output::<u32>(0)?.iter_mut().zip(input) {
        let root = x.isqrt();
        let largest = if x >> 32 == 0 { u64::from(u16::MAX) } else { u32::MAX.into() };
        let up = x - root * root > root && root != largest;
        *out = (root + u64::from(up)) as u32 >> bits;
    }
    Ok(())
}

/// What the node keeps as numbers of one type; zeros before its first invoke.
fn memory<T: crate::value::Element + Default>(ctx: &EvalCtx<'_>, count: usize) -> Vec<T> {
    let kept = ctx.memory.first().and_then(|value| value.as_slice::<T>().ok()).filter(|kept| kept.len() == count);
    kept.map_or_else(|| vec![T::default(); count], <[T]>::to_vec)
}

fn keep<T: crate::value::Element>(ctx: &mut EvalCtx<'_>, kept: &[T]) -> Result<(), KernelError> {
    let value = Value::from_slice(T::DTYPES[0], &[kept.len()], kept);
    *ctx.memory = vec![value.map_err(|error| KernelError::Output { output: 0, error })?];
    Ok(())
}

/// Energies less a running estimate of the noise, which is output 1.
pub(super) fn spectral_subtraction(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let factors = [
        [word(ctx, "smoothing")?, word(ctx, "one_minus_smoothing")?],
        [word(ctx, "alternate_smoothing")?, word(ctx, "alternate_one_minus_smoothing")?],
    ];
    let (smoothing_bits, bits) = (shift(ctx, "smoothing_bits")?, shift(ctx, "spectral_subtraction_bits")?);
    let remaining = word(ctx, "min_signal_remaining")?;
    let clamping = map(ctx)?.truth_or("clamping", false);
    let (shape, input) = (ctx.shape(0)?, ctx.slice::<u32>(0)?);
    let mut noise = memory::<u32>(ctx, input.len());
    let product = |a: u32, b: u32| u64::from(a) * u64::from(b);
    let mut rest = Vec::with_capacity(input.len());
    for (i, (&x, noise)) in input.iter().zip(&mut noise).enumerate() {
        let [smoothing, complement] = factors[i % 2];
        let scaled = x << smoothing_bits;
        *noise = (product(scaled, smoothing).wrapping_add(product(*noise, complement)) >> bits) as u32;
        let estimate = (*noise).min(scaled);
        if clamping {
            *noise = estimate;
        }
        let least = (product(x, remaining) >> bits) as u32;
        rest.push(((scaled - estimate) >> smoothing_bits).max(least));
    }
    ctx.set_output(0, shape)?;
    ctx.set_output(1, shape)?;
    ctx.output::<u32>(0)?.copy_from_slice(&rest);
    ctx.output::<u32>(1)?.copy_from_slice(&noise);
    keep(ctx, &noise)
}

/// Energies by a gain that falls with the noise (inputs 1 and 2: noise, table of the gain), then compressed.
pub(super) fn pcan(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let bits = shift(ctx, "snr_shift")?;
    let (shape, input) = (ctx.shape(0)?, ctx.slice::<u32>(0)?);
    let (noise, table) = (ctx.slice::<u32>(1)?, ctx.slice::<i16>(2)?);
    check_len(noise, input.len(), "input 1")?;
    if table.len() < 125 {
        return Err(refuse("number of elements of input 2", table.len(), "125"));
    }
    ctx.set_output(0, shape)?;
    for (out, (&x, &noise)) in ctx.output::<u32>(0)?.iter_mut().zip(input.iter().zip(noise)) {
        // A negative gain becomes a large one of 32 bits.
        let gain = i32::from(gain(noise, table)).cast_unsigned();
        let ratio = ((u64::from(x) * u64::from(gain)) >> bits) as u32;
        *out = if ratio < 2 << 12 { ratio.wrapping_mul(ratio) >> 20 } else { (ratio >> 6) - (1 << 6) };
    }
    Ok(())
}

/// A function by a table of parabolas, one per power of two.
fn gain(x: u32, table: &[i16]) -> i16 {
    if x <= 2 {
        return table[x as usize];
    }
    let interval = top_bit(x);
    let at = 4 * interval as usize - 6;
    let entry = |i: usize| i32::from(table.get(at + i).copied().unwrap_or(0));
    let shifted = if interval < 11 { x << (11 - interval) } else { x >> (interval - 11) };
    let fraction = (shifted & 0x3ff).cast_signed();
    let mut result = (entry(2) * fraction) >> 5;
    result = result.wrapping_add(entry(1) << 5).wrapping_mul(fraction);
    ((result.wrapping_add(1 << 14) >> 15) + entry(0)) as i16
}

/// Natural logarithms times `output_scale`.
pub(super) fn filter_bank_log(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (bits, scale) = (shift(ctx, "input_correction_bits")?, word(ctx, "output_scale")?);
    let (shape, input) = (ctx.shape(0)?, ctx.slice::<u32>(0)?);
    ctx.set_output(0, shape)?;
    for (out, &x) in ctx.output::<i16>(0)?.iter_mut().zip(input) {
        let scaled = x << bits;
        *out = if scaled > 1 { log(scaled, scale).min(i16::MAX.cast_unsigned().into()) as i16 } else { 0 };
    }
    Ok(())
}

/// ln of a number above 1 times `scale`, by 128 points for each power of two.
fn log(x: u32, scale: u32) -> u32 {
    const LN_2: u64 = 45_426;
    let power = top_bit(x) - 1;
    let rest = x - (1 << power);
    let fraction = if power < 16 { rest << (16 - power) } else { rest >> (power - 16) };
    let segment = fraction >> 9;
    // What log2(1 + f) is above f.
    let above = |segment: u32| {
        let f = f64::from(segment) / 128.0;
        ((f.ln_1p() / std::f64::consts::LN_2 - f) * 65_536.0).round() as i32
    };
    let (low, high) = (above(segment), above(segment + 1));
    let inside = (fraction - (segment << 9)).cast_signed();
    // The kernels shift by 16 where the step's 9 bits would make a line of it.
    let line = low + (((high - low) * inside) >> 16);
    let log2 = (u64::from(power) << 16) + (u64::from(fraction)).saturating_add_signed(line.into());
    let natural = (LN_2 * log2 + 32_768) >> 16;
    ((u64::from(scale) * natural + 32_768) >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_near_their_values() {
        for x in [2, 3, 5, 100, 4_097, 65_535, 1 << 20, u32::MAX] {
            let expected = f64::from(x).ln() * 1600.0;
            assert!((f64::from(log(x, 1600)) - expected).abs() < 4.0, "{x}: {}, expected {expected}", log(x, 1600));
        }
    }
}
