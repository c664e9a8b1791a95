//! The Signal* operators that keep samples from one invoke to the next, and the Fourier transforms among them.

use tflite_wgpu_model::DType;

use super::map;
use crate::kernels::spectral::{Complex, fft};
use crate::kernels::support::{check_len, no_type, refuse};
use crate::kernels::{Element, EvalCtx, KernelError};
use crate::value::Value;

/// What the node keeps, `count` numbers; `None` before its first invoke.
fn memory<T: Element>(ctx: &EvalCtx<'_>, count: usize) -> Option<Vec<T>> {
    let kept = ctx.memory.first().and_then(|value| value.as_slice::<T>().ok());
    kept.filter(|kept| kept.len() == count).map(<[T]>::to_vec)
}

fn keep<T: Element>(ctx: &mut EvalCtx<'_>, kept: &[T]) -> Result<(), KernelError> {
    let value = Value::from_slice(T::DTYPES[0], &[kept.len()], kept);
    *ctx.memory = vec![value.map_err(|error| KernelError::Output { output: 0, error })?];
    Ok(())
}

/// The last dimension and the number of rows of input 0.
fn rows(ctx: &EvalCtx<'_>) -> Result<(usize, usize), KernelError> {
    let shape = ctx.shape(0)?;
    match shape.split_last() {
        Some((&length, lead)) if length > 0 => Ok((length, lead.iter().product())),
        _ => Err(refuse("shape of input 0", format!("{shape:?}"), "rows of one sample or more")),
    }
}

/// Each row comes out `delay_length` samples later.
pub(super) fn delay(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let delay = map(ctx)?.size("delay_length")?;
    let (length, count) = rows(ctx)?;
    let (shape, input) = (ctx.shape(0)?, ctx.slice::<i16>(0)?);
    let kept = memory::<i16>(ctx, count * delay).unwrap_or_else(|| vec![0; count * delay]);
    ctx.set_output(0, shape)?;
    let mut later = Vec::with_capacity(kept.len());
    for (row, out) in ctx.output::<i16>(0)?.chunks_exact_mut(length).enumerate() {
        let line = [&kept[row * delay..][..delay], &input[row * length..][..length]].concat();
        out.copy_from_slice(&line[..length]);
        later.extend_from_slice(&line[length..]);
    }
    keep(ctx, &later)
}

/// Overlapping frames; the samples before the first are zeros, or the first frames are not valid.
pub(super) fn framer(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let options = map(ctx)?;
    let (size, step) = (options.size("frame_size")?, options.size("frame_step")?);
    let prefill = options.truth_or("prefill", false);
    let (length, count) = rows(ctx)?;
    if step == 0 || size < step || length % step != 0 {
        return Err(refuse("frame_step", step, format!("a divisor of {length}, at most {size}")));
    }
    let (overlap, frames) = (size - step, length / step);
    let (shape, input) = (ctx.shape(0)?, ctx.slice::<i16>(0)?);
    // The first number counts the samples that were there.
    let kept = memory::<i16>(ctx, count * overlap + 1).unwrap_or_else(|| vec![0; count * overlap + 1]);
    let seen = if prefill { overlap } else { usize::try_from(kept[0]).unwrap_or(overlap) };
    let lead = &shape[..shape.len() - 1];
    let out_shape = [lead, &[frames, size]].concat();
    ctx.set_output(0, &out_shape)?;
    ctx.set_output(1, &[])?;
    let now = (seen + length).min(overlap);
    let mut later = vec![i16::try_from(now).unwrap_or(i16::MAX)];
    for (row, out) in ctx.output::<i16>(0)?.chunks_exact_mut(frames * size).enumerate() {
        let line = [&kept[1 + row * overlap..][..overlap], &input[row * length..][..length]].concat();
        for (frame, out) in out.chunks_exact_mut(size).enumerate() {
            out.copy_from_slice(&line[frame * step..][..size]);
        }
        later.extend_from_slice(&line[length..]);
    }
    ctx.output::<u8>(1)?.fill(u8::from(seen >= overlap));
    keep(ctx, &later)
}

/// Frames side by side with those before and after them; the first stands for what came before.
pub(super) fn stacker(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let options = map(ctx)?;
    let channels = options.size("num_channels")?;
    let (left, right) = (options.size("stacker_left_context")?, options.size("stacker_right_context")?);
    let step = options.size("stacker_step")?;
    let input = ctx.slice::<i16>(0)?;
    check_len(input, channels, "input 0")?;
    let width = (left + right + 1) * channels;
    let mut line = match ctx.memory.first().and_then(|value| value.as_slice::<i16>().ok()) {
        Some(kept) => kept.to_vec(),
        None => input.repeat(left),
    };
    line.extend_from_slice(input);
    ctx.set_output(0, &[width])?;
    ctx.set_output(1, &[])?;
    let valid = line.len() >= width;
    if valid {
        ctx.output::<i16>(0)?.copy_from_slice(&line[..width]);
        line.drain(..(step * channels).min(line.len()));
    }
    ctx.output::<u8>(1)?.fill(valid.into());
    keep(ctx, &line)
}

/// The sum of frames that begin `frame_step` samples apart.
pub(super) fn overlap_add(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => overlap_add_of::<f32>(ctx, |a, b| a + b),
        DType::Int16 => overlap_add_of::<i16>(ctx, i16::saturating_add),
        DType::Int32 => overlap_add_of::<i32>(ctx, i32::saturating_add),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT16 or INT32")),
    }
}

fn overlap_add_of<T: Element + Default>(ctx: &mut EvalCtx<'_>, add: fn(T, T) -> T) -> Result<(), KernelError> {
    let step = map(ctx)?.size("frame_step")?;
    let shape = ctx.shape(0)?;
    let Some((lead, &[frames, size])) = shape.split_last_chunk::<2>() else {
        return Err(refuse("rank of input 0", shape.len(), "2 or more"));
    };
    if step == 0 || step > size {
        return Err(refuse("frame_step", step, format!("1 to {size}")));
    }
    let count: usize = lead.iter().product();
    let input = ctx.slice::<T>(0)?;
    let mut sums = memory::<T>(ctx, count * size).unwrap_or_else(|| vec![T::default(); count * size]);
    let out_shape = [lead, &[frames * step]].concat();
    ctx.set_output(0, &out_shape)?;
    let out = ctx.output::<T>(0)?;
    for row in 0..count {
        let sums = &mut sums[row * size..][..size];
        for frame in 0..frames {
            let at = (row * frames + frame) * size;
            sums.iter_mut().zip(&input[at..at + size]).for_each(|(sum, &x)| *sum = add(*sum, x));
            out[(row * frames + frame) * step..][..step].copy_from_slice(&sums[..step]);
            sums.copy_within(step.., 0);
            sums[size - step..].fill(T::default());
        }
    }
    keep(ctx, &sums)
}

/// Sample types of the transforms; integers are divided by the transform's length on the way.
trait Sample: Element {
    const INTEGER: bool;
    fn widen(self) -> f64;
    fn narrow(value: f64) -> Self;
}

macro_rules! samples {
    ($($ty:ty: $integer:literal;)*) => {$(
        impl Sample for $ty {
            const INTEGER: bool = $integer;
            fn widen(self) -> f64 {
                self.into()
            }
            fn narrow(value: f64) -> Self {
                if $integer { value.round() as $ty } else { value as $ty }
            }
        }
    )*};
}

samples! { f32: false; i16: true; i32: true; }

/// Real samples, zeros behind them, to pairs of real and imaginary parts of the frequencies.
pub(super) fn rfft(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Sample>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let size = length(ctx)?;
        let (count, rows) = rows(ctx)?;
        if count > size {
            return Err(refuse("samples of input 0", count, format!("at most {size}")));
        }
        let (shape, input) = (ctx.shape(0)?, ctx.slice::<T>(0)?);
        let out_shape = [&shape[..shape.len() - 1], &[size + 2]].concat();
        ctx.set_output(0, &out_shape)?;
        let scale = if T::INTEGER { 1.0 / size as f64 } else { 1.0 };
        for (row, out) in ctx.output::<T>(0)?.chunks_exact_mut(size + 2).enumerate().take(rows) {
            let mut values: Vec<Complex> = vec![[0.0; 2]; size];
            let line = &input[row * count..][..count];
            values.iter_mut().zip(line).for_each(|(value, x)| value[0] = x.widen());
            fft(&mut values, -1.0);
            for (out, value) in out.chunks_exact_mut(2).zip(values) {
                out.copy_from_slice(&value.map(|v| T::narrow(v * scale)));
            }
        }
        Ok(())
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of::<f32>(ctx),
        DType::Int16 => of::<i16>(ctx),
        DType::Int32 => of::<i32>(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT16 or INT32")),
    }
}

/// The inverse.
pub(super) fn irfft(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Sample>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let size = length(ctx)?;
        let (count, rows) = rows(ctx)?;
        check_len(&vec![(); count], size + 2, "a row of input 0")?;
        let (shape, input) = (ctx.shape(0)?, ctx.slice::<T>(0)?);
        let out_shape = [&shape[..shape.len() - 1], &[size]].concat();
        ctx.set_output(0, &out_shape)?;
        let scale = 1.0 / size as f64;
        for (row, out) in ctx.output::<T>(0)?.chunks_exact_mut(size).enumerate().take(rows) {
            let line = &input[row * count..][..count];
            let half: Vec<Complex> = line.chunks_exact(2).map(|pair| [pair[0].widen(), pair[1].widen()]).collect();
            let mut values = half.clone();
            values.extend(half[1..size / 2].iter().rev().map(|&[re, im]| [re, -im]));
            values.truncate(size);
            fft(&mut values, 1.0);
            out.iter_mut().zip(values).for_each(|(out, value)| *out = T::narrow(value[0] * scale));
        }
        Ok(())
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of::<f32>(ctx),
        DType::Int16 => of::<i16>(ctx),
        DType::Int32 => of::<i32>(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT16 or INT32")),
    }
}

/// The length of a transform: a power of two of at least 2.
fn length(ctx: &EvalCtx<'_>) -> Result<usize, KernelError> {
    let size = map(ctx)?.size("fft_length")?;
    if size >= 2 && size.is_power_of_two() {
        return Ok(size);
    }
    Err(refuse("fft_length", size, "a power of two from 2 on"))
}
