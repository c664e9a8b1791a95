//! Fourier transforms of real data, and the parts of complex numbers.

use tflite_wgpu_model::{BuiltinOperator as B, DType};

use super::checks::shape_output;
use super::support::{map, no_type, refuse};
use super::{CustomRow, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Rfft2d, eval: rfft_2d },
    Row { op: B::ComplexAbs, eval: |ctx| part(ctx, |re, im| re.hypot(im)) },
    Row { op: B::Real, eval: |ctx| part(ctx, |re, _| re) },
    Row { op: B::Imag, eval: |ctx| part(ctx, |_, im| im) },
];

pub(super) const CUSTOM: &[CustomRow] = &[CustomRow { name: "IRFFT2D", eval: irfft_2d }];

/// A complex number: real and imaginary part.
pub(super) type Complex = [f64; 2];

fn part(ctx: &mut EvalCtx<'_>, f: fn(f64, f64) -> f64) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Complex64 => map(ctx, 0, move |[re, im]: [f32; 2]| f(re.into(), im.into()) as f32),
        DType::Complex128 => map(ctx, 0, move |[re, im]: [f64; 2]| f(re, im)),
        _ => Err(no_type(ctx, 0, "COMPLEX64 or COMPLEX128")),
    }
}

/// The transform of a number of values that is a power of two; `sign` is −1 forward and 1 backward, unscaled.
pub(super) fn fft(values: &mut [Complex], sign: f64) {
    let count = values.len();
    let bits = count.trailing_zeros();
    for i in 0..count {
        let j = if bits == 0 { 0 } else { i.reverse_bits() >> (usize::BITS - bits) };
        if i < j {
            values.swap(i, j);
        }
    }
    let mut half = 1;
    while half < count {
        for k in 0..half {
            let (sin, cos) = (sign * std::f64::consts::PI * k as f64 / half as f64).sin_cos();
            for start in (0..count).step_by(2 * half) {
                let (a, b) = (values[start + k], values[start + k + half]);
                let turned = [b[0] * cos - b[1] * sin, b[0] * sin + b[1] * cos];
                values[start + k] = [a[0] + turned[0], a[1] + turned[1]];
                values[start + k + half] = [a[0] - turned[0], a[1] - turned[1]];
            }
        }
        half *= 2;
    }
}

/// Height and width of a transform, from input 1: powers of two.
fn lengths(ctx: &EvalCtx<'_>) -> Result<[usize; 2], KernelError> {
    let length = ctx.ints(1)?;
    let sizes: Option<Vec<usize>> = length.iter().map(|&n| usize::try_from(n).ok()).collect();
    match sizes.as_deref() {
        Some(&[height, width]) if height.is_power_of_two() && width.is_power_of_two() => Ok([height, width]),
        _ => Err(refuse("input 1", format!("{length:?}"), "two powers of two")),
    }
}

/// The last two dimensions of input 0 and how many images the others make.
fn images(ctx: &EvalCtx<'_>) -> Result<([usize; 2], usize), KernelError> {
    let shape = ctx.shape(0)?;
    let Some((outer, &size)) = shape.split_last_chunk::<2>() else {
        return Err(refuse("rank of input 0", shape.len(), "2 or more"));
    };
    Ok((size, outer.iter().product()))
}

/// Gives output 0 the shape of input 0 with other last dimensions.
fn reshape(ctx: &mut EvalCtx<'_>, last: [usize; 2]) -> Result<(), KernelError> {
    let mut shape = ctx.shape(0)?.to_vec();
    if let Some(size) = shape.last_chunk_mut::<2>() {
        *size = last;
    }
    shape_output(ctx, 0, &shape)
}

/// Transforms each column of `rows` rows of `width` values.
fn columns(values: &mut [Complex], width: usize, sign: f64) {
    let mut column = Vec::new();
    for x in 0..width {
        column.clear();
        column.extend(values.iter().skip(x).step_by(width));
        fft(&mut column, sign);
        values.iter_mut().skip(x).step_by(width).zip(&column).for_each(|(to, from)| *to = *from);
    }
}

/// Rows and columns beyond the length are cut off, missing ones are zero; half of the frequencies in x remain.
fn rfft_2d(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let [height, width] = lengths(ctx)?;
    let ([in_height, in_width], count) = images(ctx)?;
    let input = ctx.slice::<f32>(0)?;
    let kept = width / 2 + 1;
    reshape(ctx, [height, kept])?;
    let out = ctx.output::<[f32; 2]>(0)?;
    for image in 0..count {
        let mut half = Vec::with_capacity(height * kept);
        for y in 0..height {
            let mut row: Vec<Complex> = vec![[0.0; 2]; width];
            if y < in_height {
                let line = &input[(image * in_height + y) * in_width..][..in_width];
                row.iter_mut().zip(line).for_each(|(to, &from)| to[0] = from.into());
            }
            fft(&mut row, -1.0);
            half.extend_from_slice(&row[..kept]);
        }
        columns(&mut half, kept, -1.0);
        let target = &mut out[image * height * kept..][..height * kept];
        target.iter_mut().zip(&half).for_each(|(to, from)| *to = [from[0] as f32, from[1] as f32]);
    }
    Ok(())
}

/// The inverse: the missing frequencies are the conjugates of the given ones.
fn irfft_2d(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let [height, width] = lengths(ctx)?;
    let ([in_height, in_width], count) = images(ctx)?;
    let kept = width / 2 + 1;
    if in_height < height || in_width < kept {
        let found = format!("{:?}", ctx.shape(0)?);
        return Err(refuse("shape of input 0", found, format!("at least {height} by {kept} at the end")));
    }
    let input = ctx.slice::<[f32; 2]>(0)?;
    reshape(ctx, [height, width])?;
    let out = ctx.output::<f32>(0)?;
    for image in 0..count {
        let mut half = Vec::with_capacity(height * kept);
        for y in 0..height {
            let line = &input[(image * in_height + y) * in_width..][..kept];
            half.extend(line.iter().map(|&[re, im]| [f64::from(re), f64::from(im)]));
        }
        columns(&mut half, kept, 1.0);
        for (y, row) in half.chunks_exact(kept).enumerate() {
            let mut full = row.to_vec();
            full.extend(row[1..width - width / 2].iter().rev().map(|&[re, im]| [re, -im]));
            full.truncate(width);
            fft(&mut full, 1.0);
            let scale = (height * width) as f64;
            let target = &mut out[(image * height + y) * width..][..width];
            target.iter_mut().zip(&full).for_each(|(to, from)| *to = (from[0] / scale) as f32);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_are_sums_of_waves() {
        for count in [1usize, 2, 4, 16] {
            let values: Vec<Complex> = (0..count).map(|i| [i as f64 * 0.5 - 1.0, (i * i % 7) as f64]).collect();
            let mut found = values.clone();
            fft(&mut found, -1.0);
            for (k, found) in found.iter().enumerate() {
                let mut sum = [0.0; 2];
                for (i, [re, im]) in values.iter().enumerate() {
                    let (sin, cos) = (-2.0 * std::f64::consts::PI * (i * k) as f64 / count as f64).sin_cos();
                    sum = [sum[0] + re * cos - im * sin, sum[1] + re * sin + im * cos];
                }
                assert!((sum[0] - found[0]).abs() + (sum[1] - found[1]).abs() < 1e-9, "{count} {k}");
            }
            fft(&mut found, 1.0);
            let back = found.iter().zip(&values).all(|(a, b)| (a[0] / count as f64 - b[0]).abs() < 1e-9);
            assert!(back, "{count}");
        }
    }
}
