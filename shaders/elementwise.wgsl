// {{ kernel }}: dst = epilogue({{ op }}), element by element, one texel of the result per invocation.
//
// Operands a, b, c are read by mode: the texel of the same place (same), one texel per column (channel), one value
// (scalar), one value per row (row), or a row found by strides over the outer dimensions 0 … 3, with its texels
// (texel) or its one value (splat).
// Twins: the elementwise, binary, compare and select kernels of the reference.
//% include "prelude.wgsl"
//% if kernel != "unary"
//% include "binary.wgsl"
//% endif

//% macro operand(name, mode, int)
//% set vector = "vec4<i32>" if int else "vec4<f32>"
//% if mode == "same"
    let {{ name }} = load_{{ name }}(texel);
//% elif mode == "channel"
    let {{ name }} = load_{{ name }}(column);
//% elif mode == "scalar"
    let {{ name }} = {{ vector }}(load_{{ name }}(0u).x);
//% elif mode == "row"
    let {{ name }} = {{ vector }}(load_{{ name }}(row).x);
//% else
    let row_{{ name }} = i0 * params.{{ name }}0 + i1 * params.{{ name }}1 + i2 * params.{{ name }}2 + i3 * params.{{ name }}3;
//% if mode == "texel"
    let {{ name }} = load_{{ name }}(row_{{ name }} * params.width + column);
//% else
    let {{ name }} = {{ vector }}(load_{{ name }}(row_{{ name }}).x);
//% endif
//% endif
//% endmacro

@compute @workgroup_size({{ workgroup }})
fn {{ kernel }}(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let column = texel - row * params.width;
//% if kernel == "unary"
    let v = load_src(texel);
//% elif kernel == "binary_self"
    let a = load_a(texel);
    let b = a;
//% else
//% if strided == 1
    let r3 = row / params.d3;
    let r2 = r3 / params.d2;
    let i3 = row - r3 * params.d3;
    let i2 = r3 - r2 * params.d2;
    let i0 = r2 / params.d1;
    let i1 = r2 - i0 * params.d1;
//% endif
    {{- operand("a", mode_a, bindings[0].storage == "i32") }}
    {{- operand("b", mode_b, bindings[1].storage == "i32") }}
//% if kernel == "select_elements"
    {{- operand("c", mode_c, bindings[2].storage == "i32") }}
//% endif
//% endif
    emit(texel, column, {{ op }});
}
