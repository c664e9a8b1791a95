// transpose_conv: dst[b][y][x][n] = epilogue(bias[n] + sum over ky, kx, k of src[b][iy][ix][k] * weights[ky][kx][k][n])
//   over the taps with iy * stride_h = y + pad_top - ky and ix * stride_w = x + pad_left - kx inside the input.
//
// src, dst: NHWC texels; weights: [ky][kx][depth][width] blocks of 4 inputs by 4 outputs; bias: f32 texels.
// Tile: {{ pixels }} pixels of a row, `stride_w` apart, so that they see the same taps. Twin: TRANSPOSE_CONV.
//% include "prelude.wgsl"
//% from "tile.wgsl" import place, columns, accumulators, multiply

@compute @workgroup_size({{ wx }}, 1, {{ wz }})
fn transpose_conv(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let in_h = params.in_h;
    let in_w = params.in_w;
    let out_h = params.out_h;
    let out_w = params.out_w;
    let kernel_h = params.kernel_h;
    let kernel_w = params.kernel_w;
    let stride_h = params.stride_h;
    let stride_w = params.stride_w;
    let depth = params.depth;
    let width = params.width;
{{ place(lanes, wx, wz, texels) }}
    let strips = params.strips;
    let row = tile / strips;
    let strip = tile - row * strips;
    let x = strip % stride_w + (strip / stride_w) * {{ pixels }}u * stride_w;
    if (row >= params.rows || n >= width || x >= out_w) { return; }
{{ columns(texels) }}
    let batch = row / out_h;
    let far_y = row - batch * out_h + params.pad_top;
    let far_x = x + params.pad_left;
    var iy = far_y / stride_h;
    let ix = far_x / stride_w;
    let phase_x = far_x - ix * stride_w;
{{ accumulators(pixels, texels) }}
    for (var ky = far_y - iy * stride_h; ky < kernel_h; ky += stride_h) {
        if (iy < in_h) {
            let line = (batch * in_h + iy) * in_w;
            var column = ix;
            for (var kx = phase_x; kx < kernel_w; kx += stride_w) {
//% for p in range(pixels)
                let x{{ p }} = column + {{ p }}u;
                let in{{ p }} = x{{ p }} < in_w;
                let i{{ p }} = (line + min(x{{ p }}, in_w - 1u)) * depth;
//% endfor
                let taps = (ky * kernel_w + kx) * depth;
                for (var k = 0u; k < depth; k++) {
                    let tap = (taps + k) * width;
//% for q in range(texels)
                    let w{{ q }} = block_weights(tap + n{{ q }});
//% endfor
//% for p in range(pixels)
                    let a{{ p }} = select(vec4<f32>(0.0), load_src(i{{ p }} + k), in{{ p }});
//% endfor
{{ multiply(pixels, texels) }}
                }
                column -= 1u;
            }
        }
        iy -= 1u;
    }
    let out = row * out_w + x;
//% for p in range(pixels)
//% for q in range(texels)
    if (x + {{ p }}u * stride_w < out_w && n + {{ q }}u < width) { emit((out + {{ p }}u * stride_w) * width + n{{ q }}, n{{ q }}, acc{{ p }}_{{ q }}); }
//% endfor
//% endfor
}
