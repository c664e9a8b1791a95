// matmul: dst[z][m][n] = epilogue(sum over k of x[z][m][k] * y[z][k][n]), both operands activations.
//
// dst: rows of `dst_width` texels over n, matrices `dst_step` texels apart; operands' rows are x_width and y_width apart.
// x: rows of texels over k, or over m with `adj_x` (x[z][k][m]); y: rows of texels over n, or over k with `adj_y`
// (y[z][n][k]). A batch index z has three digits (sizes batch_1 and batch_2 of the lower
// two); x_stride_i and y_stride_i are texels per step of digit i, 0 where the operand is broadcast.
// Tile: {{ pixels }} rows by {{ texels }} texels. Lanes lie over the texels; with `broadcast` over the rows, and the lanes of
// a subgroup load texels of y for each other. Twin: BATCH_MATMUL.
//% include "prelude.wgsl"
//% from "tile.wgsl" import columns, multiply

@compute @workgroup_size({{ wx }}, {{ wy }}, 1)
fn matmul(@builtin(global_invocation_id) id: vec3<u32>) {
    let rows = params.rows;
    let width = params.width;
    let depth = params.depth;
    let last = depth - 1u;
    let x_width = params.x_width;
    let y_width = params.y_width;
//% if broadcast
    let n = id.y * {{ texels }}u;
    let m = id.x * {{ pixels }}u;
//% else
    let n = id.x * {{ texels }}u;
    let m = id.y * {{ pixels }}u;
    if (m >= rows || n >= width) { return; }
{{ columns(texels) }}
//% endif
    let upper = id.z / params.batch_2;
    let z2 = id.z - upper * params.batch_2;
    let z0 = upper / params.batch_1;
    let z1 = upper - z0 * params.batch_1;
    let x_base = z0 * params.x_stride_0 + z1 * params.x_stride_1 + z2 * params.x_stride_2;
    let y_base = z0 * params.y_stride_0 + z1 * params.y_stride_1 + z2 * params.y_stride_2;
//% if adj_x
//% for g in range(pixels // 4)
    let i{{ g }} = x_base + min(m / 4u + {{ g }}u, x_width - 1u);
//% endfor
//% else
//% for p in range(pixels)
    let i{{ p }} = x_base + min(m + {{ p }}u, rows - 1u) * x_width;
//% endfor
//% endif
//% if broadcast
    // Texel j of a lane is texel `lane + j * {{ broadcast }}` of a turn: four of each column, by outputs or by depth.
    let lane = id.x % {{ broadcast }}u;
//% for j in range(texels * 4 // broadcast)
    let column{{ j }} = min(n + (lane + {{ j * broadcast }}u) / 4u, width - 1u);
    let part{{ j }} = lane % 4u;
//% if adj_y
    let j{{ j }} = y_base + min(column{{ j }} * 4u + part{{ j }}, params.channels - 1u) * y_width;
//% endif
//% endfor
//% elif adj_y
    let last_column = params.channels - 1u;
//% for q in range(texels)
//% for o in range(4)
    let j{{ q }}_{{ o }} = y_base + min(n{{ q }} * 4u + {{ o }}u, last_column) * y_width;
//% endfor
//% endfor
//% endif
//% for p in range(pixels)
//% for q in range(texels)
    var acc{{ p }}_{{ q }} = vec4<f32>(0.0);
//% endfor
//% endfor
    let steps = (depth + 3u) / 4u;
    for (var k = 0u; k < steps; k++) {
//% if broadcast
//% for j in range(texels * 4 // broadcast)
//% if adj_y
        let own{{ j }} = load_y(j{{ j }} + k);
//% else
        let own{{ j }} = load_y(y_base + min(k * 4u + part{{ j }}, last) * y_width + column{{ j }});
//% endif
//% endfor
//% for q in range(texels)
//% for o in range(4)
//% set place = q * 4 + o
        let r{{ q }}_{{ o }} = subgroupBroadcast(own{{ place // broadcast }}, {{ place % broadcast }}u);
//% endfor
//% if adj_y
        let w{{ q }} = Block(
//% for i in ["x", "y", "z", "w"]
            vec4<f32>(r{{ q }}_0.{{ i }}, r{{ q }}_1.{{ i }}, r{{ q }}_2.{{ i }}, r{{ q }}_3.{{ i }}),
//% endfor
        );
//% else
        let w{{ q }} = Block(r{{ q }}_0, r{{ q }}_1, r{{ q }}_2, r{{ q }}_3);
//% endif
//% endfor
//% else
//% for i in range(4)
        let k{{ i }} = min(k * 4u + {{ i }}u, last);
//% endfor
//% for q in range(texels)
//% if adj_y
//% for o in range(4)
        let r{{ q }}_{{ o }} = load_y(j{{ q }}_{{ o }} + k);
//% endfor
        let w{{ q }} = Block(
//% for i in ["x", "y", "z", "w"]
            vec4<f32>(r{{ q }}_0.{{ i }}, r{{ q }}_1.{{ i }}, r{{ q }}_2.{{ i }}, r{{ q }}_3.{{ i }}),
//% endfor
        );
//% else
        let w{{ q }} = Block(
//% for i in range(4)
            load_y(y_base + k{{ i }} * y_width + n{{ q }}),
//% endfor
        );
//% endif
//% endfor
//% endif
//% if adj_x
        // Rows beyond the depth are another row's values: zero on this side.
        let inside = vec4<u32>(k * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(depth);
//% for g in range(pixels // 4)
//% for i in range(4)
        let c{{ g }}_{{ i }} = load_x(i{{ g }} + k{{ i }} * x_width);
//% endfor
//% for lane in ["x", "y", "z", "w"]
        let a{{ g * 4 + loop.index0 }} = select(vec4<f32>(0.0), vec4<f32>(c{{ g }}_0.{{ lane }}, c{{ g }}_1.{{ lane }}, c{{ g }}_2.{{ lane }}, c{{ g }}_3.{{ lane }}), inside);
//% endfor
//% endfor
//% else
//% for p in range(pixels)
        let a{{ p }} = load_x(i{{ p }} + k);
//% endfor
//% endif
{{ multiply(pixels, texels) }}
    }
    let out = id.z * params.dst_step;
    let dst_width = params.dst_width;
//% if broadcast
    for (var q = 0u; q < {{ texels }}u; q++) {
        let column = n + q;
//% for p in range(pixels)
        var v{{ p }} = acc{{ p }}_0;
//% for q in range(1, texels)
        v{{ p }} = select(v{{ p }}, acc{{ p }}_{{ q }}, q == {{ q }}u);
//% endfor
        if (m + {{ p }}u < rows && column < width) { emit(out + (m + {{ p }}u) * dst_width + column, column, v{{ p }}); }
//% endfor
    }
//% else
//% for p in range(pixels)
//% for q in range(texels)
    if (m + {{ p }}u < rows && n + {{ q }}u < width) { emit(out + (m + {{ p }}u) * dst_width + n{{ q }}, n{{ q }}, acc{{ p }}_{{ q }}); }
//% endfor
//% endfor
//% endif
}
