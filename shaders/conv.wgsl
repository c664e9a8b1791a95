// {{ kernel }}: dst[b][y][x][n] = epilogue(bias[n] + sum over ky, kx, k of src[b][iy][ix][k] * weights[ky][kx][k][n]),
//   iy = y * stride_h + ky * dilation_h - pad_top, ix likewise; outside the input src is 0.
//
// src, dst: NHWC texels, dst's pixels `pitch` texels apart and from `offset` on; weights: [width / group][ky][kx][depth][group] blocks of 4 inputs by 4 outputs; bias: f32 texels.
// conv_strip: {{ pixels | default("p") }} neighbouring pixels of a row; their input columns are loaded once per filter row. Filter width and
//   stride are fixed in the text, columns are not dilated.
// conv_general: any {{ pixels | default("p") }} pixels, any filter; `group_width` output texels share `depth` input texels.
// Twin: CONV_2D.
//% set hoisted = true
//% include "prelude.wgsl"
//% from "tile.wgsl" import place, columns, accumulators, settle, store, weight_columns, weight_row, multiply, multiply_pixel

// Where pixel p's tap (ky, kx) begins, and whether it lies inside.
//% macro place_tap(p)
            let iy{{ p }} = u32(first_y{{ p }} + i32(ky) * dilation_h);
            let ix{{ p }} = u32(first_x{{ p }} + i32(kx) * dilation_w);
            let in{{ p }} = iy{{ p }} < in_h && ix{{ p }} < in_w;
            let i{{ p }} = ((line{{ p }} + min(iy{{ p }}, in_h - 1u)) * in_w + min(ix{{ p }}, in_w - 1u)) * src_width + own;
//% endmacro

@compute @workgroup_size({{ wx }}, 1, {{ wz }})
fn {{ kernel }}(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin();
    let in_h = params.in_h;
    let in_w = params.in_w;
    let out_h = params.out_h;
    let out_w = params.out_w;
    let kernel_h = params.kernel_h;
    let src_width = params.src_width;
    let depth = params.depth;
    let width = params.width;
    let pitch = params.pitch;
    let offset = params.offset;
    let dilation_h = i32(params.dilation_h);
{{ place(lanes, wx, wz, texels) }}
//% if kernel == "conv_strip"
    let strips = params.strips;
    let row = tile / strips;
    let x = (tile - row * strips) * {{ pixels }}u;
//% if not broadcast
    if (row >= params.rows || n >= width) { return; }
//% endif
{{ columns(texels) }}
    let batch = min(row, params.rows - 1u) / out_h;
    let first_y = i32((row - batch * out_h) * params.stride_h) - i32(params.pad_top);
    let first_x = i32(x * {{ stride }}u) - i32(params.pad_left);
    let last_x = i32(in_w) - 1;
//% set count = (pixels - 1) * stride + kernel_w
//% for c in range(count)
    let x{{ c }} = u32(clamp(first_x + {{ c }}, 0, last_x)) * src_width;
    let in{{ c }} = u32(first_x + {{ c }}) < in_w;
//% endfor
{{ accumulators(pixels, texels) }}
{{ weight_columns(texels, broadcast, "kernel_h * " ~ kernel_w ~ "u * depth") }}
    for (var ky = 0u; ky < kernel_h; ky++) {
        let iy = u32(first_y + i32(ky) * dilation_h);
//% if broadcast
        // Lanes of other rows need this one's weights: it goes on, with zeros.
        let inside = iy < in_h;
        let line = (batch * in_h + min(iy, in_h - 1u)) * in_w * src_width;
//% else
        if (iy >= in_h) { continue; }
        let inside = true;
        let line = (batch * in_h + iy) * in_w * src_width;
//% endif
        let taps = ky * {{ kernel_w }}u * depth;
        for (var k = 0u; k < depth; k++) {
            let base = line + k;
//% for c in range(count)
            let a{{ c }} = select(vec4<f32>(0.0), load_src(base + x{{ c }}), in{{ c }} && inside);
//% endfor
//% for kx in range(kernel_w)
            {
{{ weight_row(texels, broadcast, "taps + " ~ kx ~ "u * depth + k") }}
{{ multiply(pixels, texels, kx, stride) }}
            }
//% endfor
        }
    }
    let out = row * out_w + x;
//% for p in range(pixels)
//% for q in range(texels)
    if (x + {{ p }}u < out_w && n + {{ q }}u < width && row < params.rows) { emit((out + {{ p }}u) * width + n{{ q }}, (out + {{ p }}u) * pitch + offset + n{{ q }}, n{{ q }}, acc{{ p }}_{{ q }}); }
//% endfor
//% endfor
//% else
    let total = params.rows * out_w;
    let kernel_w = params.kernel_w;
    let dilation_w = i32(params.dilation_w);
    let m = tile * {{ pixels }}u;
//% if not broadcast
    if (m >= total || n >= width) { return; }
//% endif
{{ columns(texels) }}
    let own = (min(n, width - 1u) / params.group_width) * depth;
    let last_row = params.rows - 1u;
    let first_m = min(m, total - 1u);
    let row0 = first_m / out_w;
    let x0 = first_m - row0 * out_w;
//% for p in range(1, pixels)
    let wrap{{ p }} = x{{ p - 1 }} + 1u == out_w;
    let x{{ p }} = select(x{{ p - 1 }} + 1u, 0u, wrap{{ p }});
    let row{{ p }} = min(select(row{{ p - 1 }}, row{{ p - 1 }} + 1u, wrap{{ p }}), last_row);
//% endfor
//% for p in range(pixels)
    let batch{{ p }} = row{{ p }} / out_h;
    let line{{ p }} = batch{{ p }} * in_h;
    let first_y{{ p }} = i32((row{{ p }} - batch{{ p }} * out_h) * params.stride_h) - i32(params.pad_top);
    let first_x{{ p }} = i32(x{{ p }} * params.stride_w) - i32(params.pad_left);
//% endfor
{{ accumulators(pixels, texels, broadcast) }}
{{ weight_columns(texels, broadcast, "kernel_h * kernel_w * depth") }}
//% if broadcast
    // At every border of a loop software adapters copy all sums: taps are one loop, a single input texel is none.
    var ky = 0u;
    var kx = 0u;
    let taps = kernel_h * kernel_w;
    for (var tap = 0u; tap < taps; tap++) {
//% for p in range(pixels)
{{ place_tap(p) }}
//% endfor
//% if shallow is defined
        let k = 0u;
        {
//% else
        for (var k = 0u; k < depth; k++) {
//% endif
{{ weight_row(texels, broadcast, "tap * depth + k") }}
//% for p in range(pixels)
            let a{{ p }} = select(vec4<f32>(0.0), load_src(i{{ p }} + k), in{{ p }});
//% if broadcast == 4
{{ multiply_pixel(p, texels, "a" ~ p, broadcast) }}
//% endif
//% endfor
//% if broadcast != 4
{{ multiply(pixels, texels) }}
//% endif
        }
        let row_ends = kx + 1u == kernel_w;
        kx = select(kx + 1u, 0u, row_ends);
        ky += select(0u, 1u, row_ends);
    }
//% else
    for (var ky = 0u; ky < kernel_h; ky++) {
        for (var kx = 0u; kx < kernel_w; kx++) {
//% for p in range(pixels)
{{ place_tap(p) }}
//% endfor
            let taps = (ky * kernel_w + kx) * depth;
            for (var k = 0u; k < depth; k++) {
{{ weight_row(texels, broadcast, "taps + k") }}
//% for p in range(pixels)
                let a{{ p }} = select(vec4<f32>(0.0), load_src(i{{ p }} + k), in{{ p }});
//% endfor
{{ multiply(pixels, texels) }}
            }
        }
    }
//% endif
{{ settle(pixels, texels, broadcast) }}
{{ store(pixels, texels, "total", broadcast) }}
//% endif
}
