// {{ kernel }}: between real values and those stored for them, one texel per invocation.
//
// quantize: dst = clamp(round(src / scale) + zero point), halves away from zero
// dequantize: dst = epilogue(scale · (src − zero point))
// Twins: the quantize kernels of the reference.
//% include "prelude.wgsl"

@compute @workgroup_size({{ workgroup }})
fn {{ kernel }}(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let column = texel % params.width;
    let v = load_src(texel);
//% if kernel == "quantize"
    let real = v / params.scale;
    // floor(|x| + ½) would round the float below ½ up.
    let whole = trunc(real);
    let steps = whole + select(vec4<f32>(0.0), sign(real), abs(real - whole) >= vec4<f32>(0.5));
    let low = params.low - f32(params.zero_point);
    let high = params.high - f32(params.zero_point);
    let stored = vec4<i32>(clamp(steps, vec4<f32>(low), vec4<f32>(high))) + vec4<i32>(params.zero_point);
    emit(texel, column, stored);
//% else
    emit(texel, column, params.scale * vec4<f32>(v - vec4<i32>(params.zero_point)));
//% endif
}
