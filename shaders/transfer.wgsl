// {{ kernel }}: host bytes to texels and back.
//
// import_host: dst[row][c] = convert(src)      src: the host's bytes in C order; dst: texels
// copy_texels: dst[t] = src[t]
// export_host: dst = convert(src[row][c])      src: texels; dst: words of the host's bytes, one invocation a word; of
//   f32 and i32 with `by_texel`, one a texel
// Twin: the identity.
//% if kernel == "export_host" and by_texel
//% set hoisted = true
//% endif
//% include "prelude.wgsl"

//% if kernel == "import_host"
alias Scalar = {{ device }};
alias Texel = vec4<{{ device }}>;

fn host_element(e: u32) -> Scalar {
//% if host == "f32"
    return Scalar(bitcast<f32>(src[e]));
//% elif host == "f16"
    return Scalar(unpack_half2(src[e >> 1u])[e & 1u]);
//% elif host == "bf16"
    let word = src[e >> 1u] >> ((e & 1u) * 16u);
    return Scalar(bitcast<f32>(word << 16u));
//% elif host == "i32"
    return Scalar(bitcast<i32>(src[e]));
//% elif host == "i64"
    return Scalar(bitcast<i32>(src[e * 2u]));
//% elif host == "u8"
    return Scalar((src[e >> 2u] >> ((e & 3u) * 8u)) & 0xffu);
//% elif host == "i8"
    let word = src[e >> 2u] >> ((e & 3u) * 8u);
    return Scalar(bitcast<i32>(word << 24u) >> 24u);
//% elif host == "i16"
    let word = src[e >> 1u] >> ((e & 1u) * 16u);
    return Scalar(bitcast<i32>(word << 16u) >> 16u);
//% endif
}

@compute @workgroup_size(64)
fn import_host(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, 64u);
    if (texel >= params.texels) { return; }
//% if single
    let base = texel * 3u;
    store_dst(texel, Texel(host_element(base), host_element(base + 1u), host_element(base + 2u), Scalar()));
//% else
    let row = texel / params.width;
    let column = texel - row * params.width;
    let base = row * params.channels + column * 4u;
    let left = params.channels - column * 4u;
    var v = Texel();
    v.x = host_element(base);
    if (left > 1u) { v.y = host_element(base + 1u); }
    if (left > 2u) { v.z = host_element(base + 2u); }
    if (left > 3u) { v.w = host_element(base + 3u); }
    store_dst(texel, v);
//% endif
}
//% elif kernel == "copy_texels"
@compute @workgroup_size(64)
fn copy_texels(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, 64u);
    if (texel >= params.texels) { return; }
    store_dst(texel, load_src(texel));
}
//% elif by_texel
@compute @workgroup_size(64)
fn export_host(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    begin();
    let texel = linear_index(id, groups, 64u);
    let row = texel / params.width;
    let column = texel - row * params.width;
    let base = row * params.channels + column * 4u;
    if (base >= params.elements) { return; }
    let left = params.channels - column * 4u;
    let v = bitcast<vec4<u32>>(vec4<{{ host }}>(load_src(texel)));
    dst[base] = v.x;
    if (left > 1u) { dst[base + 1u] = v.y; }
    if (left > 2u) { dst[base + 2u] = v.z; }
    if (left > 3u) { dst[base + 3u] = v.w; }
}
//% else
// Element e of the host's order, read from texels.
fn device_element(e: u32) -> {{ device }} {
    let row = e / params.channels;
    return element_src(row * params.width * 4u + (e - row * params.channels));
}

//% if host == "bf16"
// The upper half of a float's bits, nearest even; NaN stays NaN.
fn brain_bits(v: f32) -> u32 {
    let u = bitcast<u32>(v);
    let rounded = (u + 0x7fffu + ((u >> 16u) & 1u)) >> 16u;
    return select(rounded, 0x7fc0u, (u & 0x7fffffffu) > 0x7f800000u);
}
//% endif

@compute @workgroup_size(64)
fn export_host(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let word = linear_index(id, groups, 64u);
    if (word >= params.words) { return; }
//% if host == "f32"
    dst[word] = bitcast<u32>(f32(device_element(word)));
//% elif host == "i32"
    dst[word] = bitcast<u32>(i32(device_element(word)));
//% elif host == "i64"
    let value = i32(device_element(word >> 1u));
    dst[word] = bitcast<u32>(select(value, value >> 31u, (word & 1u) == 1u));
//% else
//% set per = 2 if host in ["f16", "bf16", "i16"] else 4
    var packed = 0u;
    for (var k = 0u; k < {{ per }}u; k++) {
        let e = word * {{ per }}u + k;
        if (e < params.elements) {
//% if host == "f16"
            let half = pack_half4(vec4<f32>(f32(device_element(e)), 0.0, 0.0, 0.0)).x & 0xffffu;
            packed |= half << (k * 16u);
//% elif host == "bf16"
            packed |= brain_bits(f32(device_element(e))) << (k * 16u);
//% elif host == "i16"
            packed |= (bitcast<u32>(i32(device_element(e))) & 0xffffu) << (k * 16u);
//% else
            packed |= (bitcast<u32>(i32(device_element(e))) & 0xffu) << (k * 8u);
//% endif
        }
    }
    dst[word] = packed;
//% endif
}
//% endif
