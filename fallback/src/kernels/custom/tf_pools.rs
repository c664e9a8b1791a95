//! Pools of TensorFlow without a builtin: AvgPool3D, MaxPool3D on NDHWC tensors, MaxPoolWithArgmax on images. Their
//! options are the attributes of TensorFlow's nodes.

use tflite_wgpu_model::{DType, Padding};

use super::{Options, map};
use crate::kernels::support::{Window, dims, no_type, refuse};
use crate::kernels::{Element, EvalCtx, KernelError};

/// One window per dimension between batch and channels.
fn windows<const N: usize>(options: &Options<'_>, sizes: [usize; N]) -> Result<[Window; N], KernelError> {
    let list = |name: &str| -> Result<Vec<usize>, KernelError> {
        let list = options.sizes(name)?;
        match list.as_slice() {
            [1, inner @ .., 1] if inner.len() == N => Ok(inner.to_vec()),
            _ => Err(refuse(format!("option {name}"), format!("{list:?}"), format!("1, {N} sizes, 1"))),
        }
    };
    let (taps, strides) = (list("ksize")?, list("strides")?);
    let padding = options.find("padding", "SAME or VALID", |value| match value.text()? {
        b"SAME" => Some(Padding::Same),
        b"VALID" => Some(Padding::Valid),
        _ => None,
    })?;
    let mut windows = Vec::with_capacity(N);
    for ((&size, taps), stride) in sizes.iter().zip(taps).zip(strides) {
        let stride = i32::try_from(stride).map_err(|_| refuse("stride", stride, "an INT32"))?;
        if taps == 0 {
            return Err(refuse("option ksize", taps, "positive sizes"));
        }
        windows.push(Window::new(size, taps, stride, 1, padding)?);
    }
    windows.try_into().map_err(|_| refuse("windows", "too few", format!("{N}")))
}

pub(super) fn average_3d(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    /// The mean of integers, halves away from zero.
    fn mean(cells: &[i64]) -> i64 {
        let (sum, count) = (cells.iter().sum::<i64>(), cells.len().max(1) as i64);
        if sum > 0 { (sum + count / 2) / count } else { (sum - count / 2) / count }
    }
    let mean_f32 =
        |cells: &[f32]| (cells.iter().map(|&v| f64::from(v)).sum::<f64>() / cells.len().max(1) as f64) as f32;
    match ctx.input(0)?.dtype() {
        DType::Float32 => pool_3d(ctx, mean_f32),
        DType::Int8 => pool_3d(ctx, |cells: &[i8]| mean(&cells.iter().map(|&v| v.into()).collect::<Vec<_>>()) as i8),
        DType::Int16 => pool_3d(ctx, |cells: &[i16]| mean(&cells.iter().map(|&v| v.into()).collect::<Vec<_>>()) as i16),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8 or INT16")),
    }
}

pub(super) fn max_3d(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => pool_3d(ctx, |cells: &[f32]| cells.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
        DType::Int8 => pool_3d(ctx, |cells: &[i8]| cells.iter().copied().max().unwrap_or(i8::MIN)),
        DType::Int16 => pool_3d(ctx, |cells: &[i16]| cells.iter().copied().max().unwrap_or(i16::MIN)),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8 or INT16")),
    }
}

/// Output 0 = `f` of the cells of each channel under the window.
fn pool_3d<T: Element>(ctx: &mut EvalCtx<'_>, f: impl Fn(&[T]) -> T) -> Result<(), KernelError> {
    let [batch, depth, height, width, channels] = dims(ctx.shape(0)?, "input 0")?;
    let [z, y, x] = windows(&map(ctx)?, [depth, height, width])?;
    let input = ctx.slice::<T>(0)?;
    ctx.set_output(0, &[batch, z.output, y.output, x.output, channels])?;
    let out = ctx.output::<T>(0)?;
    let mut cells = Vec::new();
    for (at, out) in out.iter_mut().enumerate() {
        let (c, cell) = (at % channels, at / channels);
        let (out_x, line) = (cell % x.output, cell / x.output);
        let (out_y, plane) = (line % y.output, line / y.output);
        let (out_z, b) = (plane % z.output, plane / z.output);
        let ((taps_z, first_z), (taps_y, first_y), (taps_x, first_x)) =
            (z.inside(out_z), y.inside(out_y), x.inside(out_x));
        cells.clear();
        for in_z in first_z..first_z + taps_z.len() {
            for in_y in first_y..first_y + taps_y.len() {
                let row = ((b * depth + in_z) * height + in_y) * width;
                cells.extend((first_x..first_x + taps_x.len()).map(|in_x| input[(row + in_x) * channels + c]));
            }
        }
        *out = f(&cells);
    }
    Ok(())
}

/// Output 1 is the index of each largest element in its image: (y · width + x) · channels + channel.
pub(super) fn max_with_index(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let options = map(ctx)?;
    let batched = options.truth_or("include_batch_in_index", false);
    let [batch, height, width, channels] = dims(ctx.shape(0)?, "input 0")?;
    let [y, x] = windows(&options, [height, width])?;
    let input = ctx.slice::<f32>(0)?;
    let shape = [batch, y.output, x.output, channels];
    ctx.set_output(0, &shape)?;
    ctx.set_output(1, &shape)?;
    let (mut largest, mut indices) = (Vec::new(), Vec::new());
    for cell in 0..batch * y.output * x.output {
        let (b, out_y, out_x) = (cell / x.output / y.output, cell / x.output % y.output, cell % x.output);
        let ((taps_y, first_y), (taps_x, first_x)) = (y.inside(out_y), x.inside(out_x));
        for c in 0..channels {
            let mut best = (f32::NEG_INFINITY, 0);
            for in_y in first_y..first_y + taps_y.len() {
                for in_x in first_x..first_x + taps_x.len() {
                    let index = (in_y * width + in_x) * channels + c;
                    let value = input[b * height * width * channels + index];
                    if value > best.0 {
                        best = (value, index);
                    }
                }
            }
            largest.push(best.0);
            let index = best.1 + if batched { b * height * width * channels } else { 0 };
            indices.push(i64::try_from(index).unwrap_or(i64::MAX));
        }
    }
    ctx.output::<f32>(0)?.copy_from_slice(&largest);
    crate::kernels::checks::write_ints(ctx, 1, &indices)
}
