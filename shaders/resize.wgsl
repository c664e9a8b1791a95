// {{ kernel }}: dst[b][y][x] = epilogue(the nearest pixel of src, or a blend of four).
//
// taps: a texel per row of dst, then one per column: first index in src, second index, bits of the second's weight
// dst: one texel per invocation. With `texels` = 2 an invocation has up to {{ run }} pairs of a pixel, each loaded and stored
//   together, and finds its taps once; widths are even then.
// Twins: the resize kernels of the reference.
//% if texels == 2
//% set hoisted = true
//% set paired = ["src", "dst"]
//% endif
//% include "prelude.wgsl"

@compute @workgroup_size({{ workgroup }})
fn {{ kernel }}(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
//% if texels == 2
    begin();
    let width = params.width / 2u;
    let runs = (width + {{ run - 1 }}u) / {{ run }}u;
    let index = linear_index(id, groups, {{ workgroup }}u);
    let pixel = index / runs;
    if (pixel * params.width >= params.texels) { return; }
    let first = (index - pixel * runs) * {{ run }}u;
    let end = min(first + {{ run }}u, width);
    let out = pixel * width;
//% else
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let pixel = texel / params.width;
    let column = texel - pixel * params.width;
//% endif
    let line = pixel / params.out_width;
    let batch = line / params.out_height;
    let y = load_taps(line - batch * params.out_height);
    let x = load_taps(params.out_height + pixel - line * params.out_width);
    let upper = (batch * params.in_height + u32(y.x)) * params.in_width;
//% if texels == 2
    let upper_left = (upper + u32(x.x)) * width;
//% if kernel == "resize_nearest"
    for (var n = first; n < end; n++) {
        let v = pair_src(upper_left + n);
        emit_pair(out + n, n * 2u, v.x, v.y);
    }
//% else
    let lower = (batch * params.in_height + u32(y.y)) * params.in_width;
    let lower_left = (lower + u32(x.x)) * width;
    let upper_right = (upper + u32(x.y)) * width;
    let lower_right = (lower + u32(x.y)) * width;
    let wy = bitcast<f32>(y.z);
    let wx = bitcast<f32>(x.z);
    for (var n = first; n < end; n++) {
        let a = pair_src(upper_left + n);
        let b = pair_src(lower_left + n);
        let c = pair_src(upper_right + n);
        let d = pair_src(lower_right + n);
//% for half in ["x", "y"]
        let v{{ half }} = a.{{ half }} * (1.0 - wy) * (1.0 - wx) + b.{{ half }} * wy * (1.0 - wx)
            + c.{{ half }} * (1.0 - wy) * wx + d.{{ half }} * wy * wx;
//% endfor
        emit_pair(out + n, n * 2u, vx, vy);
    }
//% endif
//% else
    let left = u32(x.x) * params.width + column;
//% if kernel == "resize_nearest"
    emit(texel, column, load_src(upper * params.width + left));
//% else
    let lower = (batch * params.in_height + u32(y.y)) * params.in_width;
    let right = u32(x.y) * params.width + column;
    let wy = bitcast<f32>(y.z);
    let wx = bitcast<f32>(x.z);
    let upper_left = vec4<f32>(load_src(upper * params.width + left));
    let lower_left = vec4<f32>(load_src(lower * params.width + left));
    let upper_right = vec4<f32>(load_src(upper * params.width + right));
    let lower_right = vec4<f32>(load_src(lower * params.width + right));
    let v = upper_left * (1.0 - wy) * (1.0 - wx) + lower_left * wy * (1.0 - wx)
        + upper_right * (1.0 - wy) * wx + lower_right * wy * wx;
//% if int_result
    // Bytes are rounded to the nearest.
    emit(texel, column, vec4<i32>(v + 0.5));
//% else
    emit(texel, column, v);
//% endif
//% endif
//% endif
}
