//! Convolution2DTransposeBias: a transposed convolution with a bias, weights of shape output channels, height, width,
//! input channels. Its options are padding, stride in x, stride in y.

use super::{fields, padding};
use crate::kernels::support::{
    Columns, LANES, Window, add_product, check_len, dims, float_weights, for_each_row, refuse,
};
use crate::kernels::{EvalCtx, KernelError};

use tflite_wgpu_model::Padding;

pub(super) fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let [code, stride_x, stride_y] = fields(ctx)?;
    let padding = padding(code)?;
    let [batch, height, width, depth] = dims(ctx.shape(0)?, "input 0")?;
    let [channels, taps_y, taps_x, filter_depth] = dims(ctx.shape(1)?, "input 1")?;
    if depth != filter_depth {
        return Err(refuse("channels of input 0", depth, format!("{filter_depth} as of input 1")));
    }
    let y = window(height, taps_y, stride_y, padding)?;
    let x = window(width, taps_x, stride_x, padding)?;
    let (input, weights, bias) = (ctx.slice::<f32>(0)?, float_weights(ctx, 1)?, ctx.optional_slice::<f32>(2)?);
    if let Some(bias) = bias {
        check_len(bias, channels, "input 2")?;
    }
    ctx.set_output(0, &[batch, y.input, x.input, channels])?;
    let taps = taps_y * taps_x;
    let columns = Columns::pack(ctx.env.threads, taps * depth, channels, |k, c| weights[c * taps * depth + k]);
    let (row_len, steps) = (x.input * channels, x.input * channels * depth * taps);
    for_each_row(ctx.env.threads, ctx.output(0)?, row_len, steps, |row, out| {
        let (b, out_y) = (row / y.input, row % y.input);
        for (out_x, cell) in out.chunks_exact_mut(channels).enumerate() {
            for (tile, out) in cell.chunks_mut(LANES).enumerate() {
                let mut sums = [0f32; LANES];
                for (in_y, tap_y) in y.sources(height, out_y) {
                    for (in_x, tap_x) in x.sources(width, out_x) {
                        let at = ((b * height + in_y) * width + in_x) * depth;
                        let rows = columns.rows(tile, (tap_y * taps_x + tap_x) * depth, depth);
                        add_product(&mut sums, &input[at..at + depth], rows);
                    }
                }
                for (lane, out) in out.iter_mut().enumerate() {
                    *out = sums[lane] + bias.map_or(0.0, |bias| bias[tile * LANES + lane]);
                }
            }
        }
    });
    Ok(())
}

/// The window of the forward convolution, whose input is this operator's output. SAME takes off what a convolution of
/// the smallest input with this result would have padded.
fn window(cells: usize, taps: usize, stride: i32, padding: Padding) -> Result<Window, KernelError> {
    let positive = usize::try_from(stride).ok().filter(|&stride| stride > 0);
    let stride = positive.ok_or_else(|| refuse("stride", stride, "a positive number"))?;
    if cells == 0 || taps == 0 {
        return Err(refuse("cells and taps", format!("{cells} and {taps}"), "at least one of each"));
    }
    let full = (cells - 1).checked_mul(stride).and_then(|n| n.checked_add(taps));
    let full = full.ok_or_else(|| refuse("size of the output", format!("{cells} by {stride}"), "one that exists"))?;
    let cut = match padding {
        Padding::Same => (taps - 1).saturating_sub((cells - 1) % stride),
        Padding::Valid => 0,
    };
    Ok(Window { input: full - cut, output: cells, taps, stride, dilation: 1, before: cut / 2 })
}
