// {{ kernel }}: slice s of dst = epilogue(Σ updates[list[k]] for k in starts[s] … starts[s + 1]).
//
// starts, list: integers, four to a texel; which updates each slice sums is known before the model runs
// scatter_slices: slices of `inner` whole texels, a texel per invocation
// scatter_elements: slices of one element
// Twin: SCATTER_ND of the reference.
//% include "prelude.wgsl"
//% set scalar = "i32" if int_result else "f32"
alias Texel = vec4<{{ scalar }}>;

fn start(s: u32) -> u32 {
    return u32(element_starts(s));
}

//% if kernel == "scatter_elements"
fn scattered(s: u32) -> {{ scalar }} {
    var sum = {{ scalar }}();
    let end = start(s + 1u);
    for (var k = start(s); k < end; k++) {
        let update = u32(element_list(k));
        let row = update / params.update_channels;
        sum += element_updates(row * params.update_width * 4u + (update - row * params.update_channels));
    }
    return sum;
}
//% endif

@compute @workgroup_size({{ workgroup }})
fn {{ kernel }}(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let column = texel - row * params.width;
    var v = Texel();
//% if kernel == "scatter_slices"
    let s = texel / params.inner;
    let place = texel - s * params.inner;
    let end = start(s + 1u);
    for (var k = start(s); k < end; k++) {
        v += load_updates(u32(element_list(k)) * params.inner + place);
    }
//% else
    let base = row * params.channels + column * 4u;
    let left = params.channels - column * 4u;
    v.x = scattered(base);
    if (left > 1u) { v.y = scattered(base + 1u); }
    if (left > 2u) { v.z = scattered(base + 2u); }
    if (left > 3u) { v.w = scattered(base + 3u); }
//% endif
    emit(texel, column, v);
}
