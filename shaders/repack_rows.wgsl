// repack_rows: the elements of src in C order, cut into rows of another length.
//
// src: rows of `src_channels` elements in `src_width` texels; dst: rows of `channels` elements in `width` texels.
// Twin: RESHAPE.
//% include "prelude.wgsl"

fn element(e: u32) -> f32 {
    let row = e / params.src_channels;
    return element_src(row * params.src_width * 4u + (e - row * params.src_channels));
}

@compute @workgroup_size(64)
fn repack_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, 64u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let column = texel - row * params.width;
    let base = row * params.channels + column * 4u;
    let left = params.channels - column * 4u;
    var v = vec4<f32>(element(base), 0.0, 0.0, 0.0);
    if (left > 1u) { v.y = element(base + 1u); }
    if (left > 2u) { v.z = element(base + 2u); }
    if (left > 3u) { v.w = element(base + 3u); }
    store_dst(texel, v);
}
