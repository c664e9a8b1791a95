//! CONV_3D and CONV_3D_TRANSPOSE, on floats.

use tflite_wgpu_model::{BuiltinOperator, Conv3DOptions, Op};

use super::support::{
    Columns, LANES, Window, add_product, check_len, dims, expect_shape, float_clamp, float_weights, for_each_row,
    refuse,
};
use super::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Conv3d, eval: convolution },
    Row { op: BuiltinOperator::Conv3dTranspose, eval: transposed },
];

/// One window per spatial dimension: depth, height, width.
type Windows = [Window; 3];

fn windows(sizes: [usize; 3], taps: [usize; 3], options: &Conv3DOptions) -> Result<Windows, KernelError> {
    let window = |i: usize, stride, dilation| Window::new(sizes[i], taps[i], stride, dilation, options.padding);
    Ok([
        window(0, options.stride_d, options.dilation_dfactor)?,
        window(1, options.stride_h, options.dilation_hfactor)?,
        window(2, options.stride_w, options.dilation_wfactor)?,
    ])
}

/// CONV_3D of an NDHWC input with weights of shape depth, height, width, input channels, output channels.
fn convolution(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Conv3d(options) = &ctx.node.op else { return Err(refuse("operator", "another", "CONV_3D")) };
    let [batch, d, h, w, in_channels] = dims(ctx.shape(0)?, "input 0")?;
    let [taps_d, taps_h, taps_w, depth, channels] = dims(ctx.shape(1)?, "input 1")?;
    if depth != in_channels {
        return Err(refuse("channels of input 0", in_channels, format!("{depth} as of input 1")));
    }
    let windows = windows([d, h, w], [taps_d, taps_h, taps_w], options)?;
    let [out_d, out_h, out_w] = windows.each_ref().map(|window| window.output);
    expect_shape(ctx, 0, &[batch, out_d, out_h, out_w, channels])?;
    let weights = float_weights(ctx, 1)?;
    let rows = taps_d * taps_h * taps_w * depth;
    let columns = Columns::pack(ctx.env.threads, rows, channels, |k, c| weights[k * channels + c]);
    let taps = |i: usize, at: usize| -> Vec<(usize, usize)> {
        let window: &Window = &windows[i];
        let (taps, first) = window.inside(at);
        taps.enumerate().map(|(n, tap)| (first + n * window.dilation, tap)).collect()
    };
    let sizes = Sizes { input: [d, h, w], taps: [taps_d, taps_h, taps_w], output: [out_d, out_h, out_w] };
    sum(ctx, 0, 2, options, &columns, &sizes, &taps)
}

/// CONV_3D_TRANSPOSE; the output's shape is input 0, weights are depth, height, width, output and input channels.
fn transposed(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Conv3dTranspose(options) = &ctx.node.op else {
        return Err(refuse("operator", "another", "CONV_3D_TRANSPOSE"));
    };
    let [batch, d, h, w, in_channels] = dims(ctx.shape(2)?, "input 2")?;
    let [taps_d, taps_h, taps_w, channels, depth] = dims(ctx.shape(1)?, "input 1")?;
    if depth != in_channels {
        return Err(refuse("channels of input 2", in_channels, format!("{depth} as of input 1")));
    }
    let found = ctx.output_value(0)?.shape().to_vec();
    let [_, out_d, out_h, out_w, _] = dims(&found, "output 0")?;
    expect_shape(ctx, 0, &[batch, out_d, out_h, out_w, channels])?;
    let windows = windows([out_d, out_h, out_w], [taps_d, taps_h, taps_w], options)?;
    let weights = float_weights(ctx, 1)?;
    let rows = taps_d * taps_h * taps_w * depth;
    let at = |k: usize, c| weights[(k / depth * channels + c) * depth + k % depth];
    let columns = Columns::pack(ctx.env.threads, rows, channels, at);
    let input = [d, h, w];
    let taps = |i: usize, at: usize| windows[i].sources(input[i], at).collect();
    let sizes = Sizes { input, taps: [taps_d, taps_h, taps_w], output: [out_d, out_h, out_w] };
    sum(ctx, 2, 3, options, &columns, &sizes, &taps)
}

/// Spatial sizes: depth, height, width.
struct Sizes {
    input: [usize; 3],
    taps: [usize; 3],
    output: [usize; 3],
}

/// Sums over depth, height, width and input channels in this order, adds the bias (input `bias`), clamps. `taps`
/// gives the input cells and the taps that make up an output cell along one dimension.
fn sum(
    ctx: &mut EvalCtx<'_>,
    input: usize,
    bias: usize,
    options: &Conv3DOptions,
    columns: &Columns<f32>,
    sizes: &Sizes,
    taps: &(dyn Fn(usize, usize) -> Vec<(usize, usize)> + Send + Sync),
) -> Result<(), KernelError> {
    let clamp = float_clamp(options.fused_activation_function)?;
    let depth = ctx.shape(input)?.last().copied().unwrap_or(0);
    let (input, bias) = (ctx.slice::<f32>(input)?, ctx.optional_slice::<f32>(bias)?);
    let channels = columns.column_count();
    if let Some(bias) = bias {
        check_len(bias, channels, "the bias")?;
    }
    let [out_d, out_h, out_w] = sizes.output;
    let along_width: Vec<_> = (0..out_w).map(|at| taps(2, at)).collect();
    let row_len = out_w * channels;
    let steps = row_len.saturating_mul(columns.depth());
    for_each_row(ctx.env.threads, ctx.output(0)?, row_len, steps, |row, out| {
        let (batch, along_depth, along_height) =
            (row / out_h / out_d, taps(0, row / out_h % out_d), taps(1, row % out_h));
        for (cell, along_width) in out.chunks_exact_mut(channels).zip(&along_width) {
            for tile in 0..columns.tile_count() {
                let mut sums = [0f32; LANES];
                for &(in_d, tap_d) in &along_depth {
                    for &(in_h, tap_h) in &along_height {
                        for &(in_w, tap_w) in along_width {
                            let at = ((batch * sizes.input[0] + in_d) * sizes.input[1] + in_h) * sizes.input[2] + in_w;
                            let tap = (tap_d * sizes.taps[1] + tap_h) * sizes.taps[2] + tap_w;
                            let x = &input[at * depth..][..depth];
                            add_product(&mut sums, x, columns.rows(tile, tap * depth, depth));
                        }
                    }
                }
                let lanes = columns.columns(tile);
                for (lane, out) in cell[lanes.clone()].iter_mut().enumerate() {
                    *out = clamp.apply(sums[lane] + bias.map_or(0.0, |bias| bias[lanes.start + lane]));
                }
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::Padding;

    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::{run_f32, values};

    #[test]
    fn both_directions() -> Result<(), Box<dyn std::error::Error>> {
        let options =
            Conv3DOptions { padding: Padding::Valid, stride_d: 1, stride_h: 1, stride_w: 1, ..Default::default() };
        let (input, filter) = (values(&[1, 2, 1, 2, 1])?, values(&[2, 1, 1, 1, 2])?);
        let out = run_f32(Op::Conv3d(options.clone()), &[Some(&input), Some(&filter)], &[1, 1, 1, 2, 2])?;
        assert_eq!(out, [10.0, 14.0, 14.0, 20.0]);
        let (shape, filter) = (Value::i32(&[5], &[1, 3, 1, 2, 1])?, values(&[2, 1, 1, 1, 1])?);
        let inputs = [Some(&shape), Some(&filter), Some(&input)];
        let out = run_f32(Op::Conv3dTranspose(options), &inputs, &[1, 3, 1, 2, 1])?;
        assert_eq!(out, [1.0, 2.0, 5.0, 8.0, 6.0, 8.0]);
        Ok(())
    }
}
