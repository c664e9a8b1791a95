//! MaxPoolingWithArgmax2D and MaxUnpooling2D, which undoes it. Both have pool options: padding, strides in x and y,
//! window in x and y. Positions are those inside the window, as floats that exceed the integer by 0.1.

use super::{fields, padding};
use crate::kernels::support::{Window, check_len, dims, refuse};
use crate::kernels::{EvalCtx, KernelError};

/// Cells of the image under the window.
fn windows(ctx: &EvalCtx<'_>, height: usize, width: usize) -> Result<(Window, Window), KernelError> {
    let [code, stride_x, stride_y, taps_x, taps_y] = fields(ctx)?;
    let padding = padding(code)?;
    let taps = |taps: i32| match usize::try_from(taps) {
        Ok(taps) if taps > 0 => Ok(taps),
        _ => Err(refuse("window", taps, "a positive number")),
    };
    let y = Window::new(height, taps(taps_y)?, stride_y, 1, padding)?;
    let x = Window::new(width, taps(taps_x)?, stride_x, 1, padding)?;
    Ok((y, x))
}

pub(super) fn max_with_position(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let [batch, height, width, channels] = dims(ctx.shape(0)?, "input 0")?;
    let (y, x) = windows(ctx, height, width)?;
    let input = ctx.slice::<f32>(0)?;
    let shape = [batch, y.output, x.output, channels];
    ctx.set_output(0, &shape)?;
    ctx.set_output(1, &shape)?;
    let count = batch * y.output * x.output * channels;
    let (mut largest, mut positions) = (vec![f32::NEG_INFINITY; count], vec![0.1; count]);
    for cell in 0..batch * y.output * x.output {
        let (b, out_y, out_x) = (cell / x.output / y.output, cell / x.output % y.output, cell % x.output);
        let (taps_y, first_y) = y.inside(out_y);
        let (taps_x, first_x) = x.inside(out_x);
        let at = cell * channels;
        for (i, tap_y) in taps_y.enumerate() {
            for (j, tap_x) in taps_x.clone().enumerate() {
                let from = ((b * height + first_y + i) * width + first_x + j) * channels;
                for (c, &value) in input[from..from + channels].iter().enumerate() {
                    if value > largest[at + c] {
                        largest[at + c] = value;
                        positions[at + c] = (tap_y * x.taps + tap_x) as f32 + 0.1;
                    }
                }
            }
        }
    }
    ctx.output::<f32>(0)?.copy_from_slice(&largest);
    ctx.output::<f32>(1)?.copy_from_slice(&positions);
    Ok(())
}

/// Puts each element to its position in the window; the output is as many times larger as the strides say.
pub(super) fn unpool(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let [batch, height, width, channels] = dims(ctx.shape(0)?, "input 0")?;
    let [_, stride_x, stride_y] = fields(ctx)?;
    let larger = |cells: usize, stride: i32| {
        let size = usize::try_from(stride).ok().and_then(|stride| cells.checked_mul(stride));
        size.ok_or_else(|| refuse("stride", stride, "a positive number"))
    };
    let (out_height, out_width) = (larger(height, stride_y)?, larger(width, stride_x)?);
    let (y, x) = windows(ctx, out_height, out_width)?;
    let (input, positions) = (ctx.slice::<f32>(0)?, ctx.slice::<f32>(1)?);
    check_len(positions, input.len(), "input 1")?;
    // The window's padding by the input's size, which VALID windows may leave larger than the output needs.
    let before = |cells: usize, window: &Window| {
        ((cells.max(1) - 1) * window.stride + window.taps).saturating_sub(window.input) / 2
    };
    let (before_y, before_x) = (before(height, &y), before(width, &x));
    ctx.set_output(0, &[batch, out_height, out_width, channels])?;
    let out = ctx.output::<f32>(0)?;
    for (cell, (values, positions)) in
        input.chunks_exact(channels.max(1)).zip(positions.chunks_exact(channels.max(1))).enumerate()
    {
        let (b, in_y, in_x) = (cell / width / height, cell / width % height, cell % width);
        for (c, (&value, &position)) in values.iter().zip(positions).enumerate() {
            // Negative positions and NaN become 0.
            let position = position as usize;
            let at_y = (in_y * y.stride).saturating_add(position / x.taps).checked_sub(before_y);
            let at_x = (in_x * x.stride + position % x.taps).checked_sub(before_x);
            if let (Some(at_y), Some(at_x)) = (at_y, at_x)
                && at_y < out_height
                && at_x < out_width
            {
                out[((b * out_height + at_y) * out_width + at_x) * channels + c] = value;
            }
        }
    }
    Ok(())
}
