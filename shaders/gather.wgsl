// {{ kernel }}: slice s of dst = slice s / count · pitch + Σ index[s / count / outer · count + s % count][d] · step_d
// of src; zeros where an index is outside the tensor.
//
// gather_slices: slices of `inner` whole texels, a texel per invocation
// gather_elements: slices of one element, counted in the tensors' own order
// Twin: the gather kernels of the reference.
//% include "prelude.wgsl"
//% set scalar = "i32" if int_result else "f32"
alias Texel = vec4<{{ scalar }}>;

// Slice of src for slice s of dst, and whether it is one.
struct Place { slice: u32, inside: bool }

fn place(s: u32) -> Place {
    let prefix = s / params.count;
    let row = prefix / params.outer * params.count + (s - prefix * params.count);
    var slice = prefix * params.pitch;
    var inside = true;
//% for d in range(depth)
    let e{{ d }} = row * {{ depth }}u + {{ d }}u;
    let r{{ d }} = e{{ d }} / params.index_channels;
    // Negative numbers are too large as well.
    let i{{ d }} = bitcast<u32>(element_indices(r{{ d }} * params.index_width * 4u + (e{{ d }} - r{{ d }} * params.index_channels)));
    inside = inside && i{{ d }} < params.size{{ d }};
    slice += i{{ d }} * params.step{{ d }};
//% endfor
    return Place(select(0u, slice, inside), inside);
}

//% if kernel == "gather_elements"
fn gathered(e: u32) -> {{ scalar }} {
    let p = place(e);
    let row = p.slice / params.source_channels;
    let v = element_src(row * params.source_width * 4u + (p.slice - row * params.source_channels));
    return select({{ scalar }}(), v, p.inside);
}
//% endif

@compute @workgroup_size({{ workgroup }})
fn {{ kernel }}(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
//% if kernel == "gather_slices"
    let s = texel / params.inner;
    let p = place(s);
    let v = load_src(p.slice * params.inner + (texel - s * params.inner));
    store_dst(texel, select(Texel(), v, p.inside));
//% else
    let row = texel / params.width;
    let first = (texel - row * params.width) * 4u;
    let base = row * params.channels + first;
    let left = params.channels - first;
    var v = Texel();
    v.x = gathered(base);
    if (left > 1u) { v.y = gathered(base + 1u); }
    if (left > 2u) { v.z = gathered(base + 2u); }
    if (left > 3u) { v.w = gathered(base + 3u); }
    store_dst(texel, v);
//% endif
}
