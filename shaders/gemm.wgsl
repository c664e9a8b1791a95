// {{ kernel }}: dst[m][n] = epilogue(bias[n] + sum over k of src[m][k] * weights[k][n]); gemm_gated has src[m][k] * gate[k].
//
// src: rows of `depth` texels; weights: [width / group][depth][group] blocks of 4 inputs by 4 outputs; bias: f32
// texels; dst: rows of `width` texels, `pitch` apart and from `offset` on. Tile: {{ pixels }} rows by {{ texels }} texels. Lanes of a workgroup lie over rows
// (`lanes` = pixels) or over output texels (channels); blocks are transposed where quads exchange them. Twins: CONV_2D 1 x 1, FULLY_CONNECTED.
//% set hoisted = true
//% include "prelude.wgsl"
//% from "tile.wgsl" import place, columns, accumulators, settle, store, weight_columns, weight_row, multiply, multiply_pixel

@compute @workgroup_size({{ wx }}, 1, {{ wz }})
fn {{ kernel }}(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin();
    let rows = params.rows;
    let depth = params.depth;
    let width = params.width;
    let pitch = params.pitch;
    let offset = params.offset;
{{ place(lanes, wx, wz, texels) }}
    let m = tile * {{ pixels }}u;
//% if not broadcast
    if (m >= rows || n >= width) { return; }
//% endif
{{ columns(texels) }}
//% for p in range(pixels)
    let i{{ p }} = min(m + {{ p }}u, rows - 1u) * depth;
//% endfor
{{ accumulators(pixels, texels, broadcast) }}
{{ weight_columns(texels, broadcast, "depth") }}
    for (var k = 0u; k < depth; k++) {
{{ weight_row(texels, broadcast, "k") }}
//% if kernel == "gemm_gated"
        let g = load_gate(k);
//% endif
//% for p in range(pixels)
        let a{{ p }} = load_src(i{{ p }} + k){{ " * g" if kernel == "gemm_gated" }};
//% if broadcast == 4
{{ multiply_pixel(p, texels, "a" ~ p, broadcast) }}
//% endif
//% endfor
//% if broadcast != 4
{{ multiply(pixels, texels) }}
//% endif
    }
{{ settle(pixels, texels, broadcast) }}
{{ store(pixels, texels, "rows", broadcast) }}
}
