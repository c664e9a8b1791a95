// local_response: dst[c] = src[c] / (bias + alpha Σ src[c']²)^beta over |c' − c| ≤ radius, one texel per invocation.
// Twin: local_response_normalization.
//% include "prelude.wgsl"

@compute @workgroup_size({{ workgroup }})
fn local_response(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let column = texel - row * params.width;
    let base = row * params.width * 4u;
    let radius = i32(params.radius);
    let centre = vec4<i32>(i32(column * 4u)) + vec4<i32>(0, 1, 2, 3);
    let low = max(centre.x - radius, 0);
    let high = min(centre.w + radius, i32(params.channels) - 1);
    var s = vec4<f32>(0.0);
    for (var c = low; c <= high; c++) {
        let v = element_src(base + u32(c));
        s += select(vec4<f32>(0.0), vec4<f32>(v * v), abs(vec4<i32>(c) - centre) <= vec4<i32>(radius));
    }
    let size = params.bias + params.alpha * s;
    emit(texel, column, load_src(texel) * exp(-params.beta * op_log(size)));
}
