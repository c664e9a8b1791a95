// {{ kernel }}: dst[b][y][x] = epilogue(the nearest pixel of src, or a blend of four).
//
// taps: a texel per row of dst, then one per column: first index in src, second index, bits of the second's weight
// dst: one texel per invocation
// Twins: the resize kernels of the reference.
//% include "prelude.wgsl"

@compute @workgroup_size({{ workgroup }})
fn {{ kernel }}(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let pixel = texel / params.width;
    let column = texel - pixel * params.width;
    let line = pixel / params.out_width;
    let batch = line / params.out_height;
    let y = load_taps(line - batch * params.out_height);
    let x = load_taps(params.out_height + pixel - line * params.out_width);
    let upper = (batch * params.in_height + u32(y.x)) * params.in_width;
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
}
