// one_hot: dst[o][d][i] = on where indices[o][i] = d, off elsewhere; one texel per invocation.
//
// on, off: one value each
// Twin: ONE_HOT of the reference.
//% include "prelude.wgsl"
//% set scalar = "i32" if int_result else "f32"

fn hot(e: u32) -> bool {
    let slice = e / params.inner;
    let outer = slice / params.depth;
    let index = outer * params.inner + (e - slice * params.inner);
    let row = index / params.index_channels;
    let found = element_indices(row * params.index_width * 4u + (index - row * params.index_channels));
    return found == i32(slice - outer * params.depth);
}

@compute @workgroup_size({{ workgroup }})
fn one_hot(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let column = texel - row * params.width;
    let base = row * params.channels + column * 4u;
    let on = element_on(0u);
    let off = element_off(0u);
    var v = vec4<{{ scalar }}>();
//% for lane in ["x", "y", "z", "w"]
    if (column * 4u + {{ loop.index0 }}u < params.channels) {
        v.{{ lane }} = select(off, on, hot(base + {{ loop.index0 }}u));
    }
//% endfor
    store_dst(texel, v);
}
