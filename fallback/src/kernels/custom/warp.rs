//! Operators that read an NHWC image at positions between its cells: TransformTensorBilinear, Resampler and
//! DenseImageWarp.

use super::{landmarks, map};
use crate::kernels::support::{check_len, dims, refuse};
use crate::kernels::{EvalCtx, KernelError};

/// One image of a batch.
struct Image<'a> {
    cells: &'a [f32],
    height: usize,
    width: usize,
    channels: usize,
}

impl Image<'_> {
    /// Adds `weight` times the cell at `y`, `x`; cells outside are zero.
    fn add(&self, out: &mut [f32], y: i64, x: i64, weight: f64) {
        let (Ok(y), Ok(x)) = (usize::try_from(y), usize::try_from(x)) else { return };
        if y >= self.height || x >= self.width {
            return;
        }
        let cell = &self.cells[(y * self.width + x) * self.channels..][..self.channels];
        out.iter_mut().zip(cell).for_each(|(out, &value)| *out += (weight * f64::from(value)) as f32);
    }

    /// The four cells around a position, weighted by their nearness.
    fn sample(&self, out: &mut [f32], y: f64, x: f64) {
        let (near_y, near_x) = (y.floor(), x.floor());
        let (down, right) = (y - near_y, x - near_x);
        let (row, column) = (near_y as i64, near_x as i64);
        out.fill(0.0);
        self.add(out, row, column, (1.0 - down) * (1.0 - right));
        self.add(out, row, column + 1, (1.0 - down) * right);
        self.add(out, row + 1, column, down * (1.0 - right));
        self.add(out, row + 1, column + 1, down * right);
    }
}

/// Calls `visit(image, batch, result)` with each image of input 0, whose result has `len` elements of output 0.
fn each_image(
    ctx: &mut EvalCtx<'_>,
    len: usize,
    mut visit: impl FnMut(&Image<'_>, usize, &mut [f32]),
) -> Result<(), KernelError> {
    let [_, height, width, channels] = dims(ctx.shape(0)?, "input 0")?;
    let input = ctx.slice::<f32>(0)?;
    let size = (height * width * channels).max(1);
    let out = ctx.output::<f32>(0)?;
    for (b, (cells, out)) in input.chunks_exact(size).zip(out.chunks_mut(len.max(1))).enumerate() {
        visit(&Image { cells, height, width, channels }, b, out);
    }
    Ok(())
}

/// TransformTensorBilinear (version 2): half-pixel centres through the matrix in input 1; positions beyond the centres
/// of the outer cells give zero.
pub(super) fn bilinear(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let options = map(ctx)?;
    let (height, width) = (options.size("output_height")?, options.size("output_width")?);
    let [batch, in_height, in_width, channels] = dims(ctx.shape(0)?, "input 0")?;
    if batch != 1 {
        return Err(refuse("batch of input 0", batch, "1"));
    }
    let [across, down] = landmarks::matrix(ctx)?;
    ctx.set_output(0, &[1, height, width, channels])?;
    let (last_y, last_x) = (in_height as f64 - 1.0, in_width as f64 - 1.0);
    each_image(ctx, height * width * channels, |image, _, out| {
        for (cell, out) in out.chunks_exact_mut(channels.max(1)).enumerate() {
            let (y, x) = ((cell / width) as f64 + 0.5, (cell % width) as f64 + 0.5);
            let [at_x, at_y] = [across, down].map(|row| row[0] * x + row[1] * y + row[3] - 0.5);
            if at_x >= 0.0 && at_y >= 0.0 && at_x <= last_x && at_y <= last_y {
                image.sample(out, at_y, at_x);
            }
        }
    })
}

/// Resampler: input 1 has x and y of each result; cells outside the image are zero.
pub(super) fn resampler(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let [batch, _, _, channels] = dims(ctx.shape(0)?, "input 0")?;
    let (positions, shape) = (ctx.slice::<f32>(1)?, ctx.shape(1)?);
    let [first, .., 2] = *shape else {
        return Err(refuse("shape of input 1", format!("{shape:?}"), "[batch, …, 2]"));
    };
    if first != batch {
        return Err(refuse("batch of input 1", first, format!("{batch} as of input 0")));
    }
    let mut out_shape = shape.to_vec();
    if let Some(last) = out_shape.last_mut() {
        *last = channels;
    }
    ctx.set_output(0, &out_shape)?;
    let points = positions.len() / 2 / batch.max(1);
    each_image(ctx, points * channels, |image, b, out| {
        let (height, width) = (image.height as f64, image.width as f64);
        let own = &positions[b * points * 2..][..points * 2];
        for (out, point) in out.chunks_exact_mut(channels.max(1)).zip(own.chunks_exact(2)) {
            let (x, y) = (f64::from(point[0]), f64::from(point[1]));
            if x > -1.0 && y > -1.0 && x < width && y < height {
                image.sample(out, y, x);
            }
        }
    })
}

/// DenseImageWarp: each cell less its flow (y, x) in input 1 is where the image is read; positions are moved inside.
pub(super) fn dense_image_warp(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    let [batch, height, width, channels] = dims(shape, "input 0")?;
    let flow = ctx.slice::<f32>(1)?;
    check_len(flow, batch * height * width * 2, "input 1")?;
    if height < 2 || width < 2 {
        return Err(refuse("shape of input 0", format!("{shape:?}"), "2 cells or more each way"));
    }
    ctx.set_output(0, shape)?;
    let inside = |at: f64, size: usize| at.clamp(0.0, size as f64 - 1.0);
    each_image(ctx, height * width * channels, |image, b, out| {
        let own = &flow[b * height * width * 2..][..height * width * 2];
        for (cell, (out, flow)) in out.chunks_exact_mut(channels.max(1)).zip(own.chunks_exact(2)).enumerate() {
            let y = (cell / width) as f64 - f64::from(flow[0]);
            let x = (cell % width) as f64 - f64::from(flow[1]);
            image.sample(out, inside(y, height), inside(x, width));
        }
    })
}
