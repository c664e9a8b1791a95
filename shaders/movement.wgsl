// {{ kernel }}: dst[i] = src[at(i)], elements moved and never changed.
//
// An index is cut into axes 0, 1, … (0 varies fastest) of n0, n1, … indices; axis d moves the place read by s_d and,
// where `dst` is a region of a tensor or transposed, the place written by t_d (texels). Modes: plain; bounded (an
// axis counts from low_d, and outside count_d indices the result is the fill); mirror (indices outside are reflected,
// `edge` says whether the edge itself is left out).
//
// move_texels: whole texels; an index per texel, or per `run` of them along axis 0, which has count0 in all, with
//   `texels` = 2 in pairs, whose halves are left as they are
// move_elements: element by element; an index per row of `dst`
// transpose_blocks: 4 × 4 elements; axes a (columns of `dst`) and b (columns of `src`) change places
// repack: the same elements in the same order, rows of another length
// merge_columns: channels start … end of `dst` from `src`, one row each; lower ones stay, higher ones become zero
// Twins: the movement, slice, pad, concat and blocks kernels of the reference.
//% set run = run if run is defined else 0
//% if run and texels == 2
//% set paired = ["src", "dst"]
//% endif
//% include "prelude.wgsl"
//% set scalar = "i32" if int_result else "f32"
alias Scalar = {{ scalar }};
alias Texel = vec4<{{ scalar }}>;

//% macro index(d, from)
    let i{{ d }} = i32({{ from }});
//% if mode == "plain"
    at += i{{ d }} * params.s{{ d }};
//% else
    let j{{ d }} = i{{ d }} - params.low{{ d }};
//% if mode == "bounded"
    inside = inside && j{{ d }} >= 0 && j{{ d }} < params.count{{ d }};
    at += j{{ d }} * params.s{{ d }};
//% else
    at += mirrored(j{{ d }}, params.count{{ d }}) * params.s{{ d }};
//% endif
//% endif
//% if targets
    to += i{{ d }} * params.t{{ d }};
//% endif
//% endmacro

// Cuts `start` into indices; `at` is the place to read, `to` the place to write.
//% macro walk(start)
    var at = params.offset;
//% if targets
    var to = params.target_offset;
//% endif
//% if mode == "bounded"
    var inside = true;
//% endif
    var rest = {{ start }};
//% for d in range(axes - 1)
    let q{{ d }} = rest / params.n{{ d }};
    {{- index(d, "rest - q" ~ d ~ " * params.n" ~ d) }}
    rest = q{{ d }};
//% endfor
    {{- index(axes - 1, "rest") }}
//% endmacro

//% if kernel in ["move_texels", "move_elements"] and mode == "mirror"
fn mirrored(j: i32, count: i32) -> i32 {
    let low = select(j, -1 - j + params.edge, j < 0);
    return select(low, 2 * count - 1 - params.edge - j, j >= count);
}
//% endif

//% if kernel == "move_texels"
@compute @workgroup_size({{ workgroup }})
fn move_texels(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    {{- walk("texel") }}
//% if run
    let count = min({{ run }}, params.count0 - i0 * {{ run }});
    for (var k = 0; k < count; k++) {
//% if texels == 2
        let words = src[at + k];
        dst[to + k] = vec4<u32>(words_of(words.x), words_of(words.y));
//% else
        store_dst(u32(to + k), load_src(u32(at + k)));
//% endif
    }
//% else
//% if mode == "bounded"
    var v = Texel(bitcast<Scalar>(params.fill));
    if (inside) { v = load_src(u32(at)); }
//% else
    var v = load_src(u32(at));
//% endif
//% if masked == 1
    v = select(Texel(), v, lanes(u32(i0)));
//% endif
    store_dst({{ "u32(to)" if targets else "texel" }}, v);
//% endif
}
//% elif kernel == "move_elements"
//% if inner == 3
// Place of channel c against the row's: three axes.
fn inner_place(c: u32) -> i32 {
    let q = c / params.m0;
    let r = q / params.m1;
    return i32(c - q * params.m0) * params.e0 + i32(q - r * params.m1) * params.e1 + i32(r) * params.e2;
}
//% endif

@compute @workgroup_size({{ workgroup }})
fn move_elements(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let first = (texel - row * params.width) * 4u;
    {{- walk("row") }}
    var v = Texel();
//% for lane in ["x", "y", "z", "w"]
    if (first + {{ loop.index0 }}u < params.channels) {
        let c = first + {{ loop.index0 }}u;
//% if inner == 3
        v.{{ lane }} = element_src(u32(at + inner_place(c)));
//% elif mode == "plain"
        v.{{ lane }} = element_src(u32(at + i32(c) * params.e0));
//% elif mode == "mirror"
        v.{{ lane }} = element_src(u32(at + mirrored(i32(c) - params.m_low, params.m_count) * params.e0));
//% else
        let j = i32(c) - params.m_low;
        v.{{ lane }} = bitcast<Scalar>(params.fill);
        if (inside && j >= 0 && j < params.m_count) { v.{{ lane }} = element_src(u32(at + j * params.e0)); }
//% endif
    }
//% endfor
    store_dst(texel, v);
}
//% elif kernel == "transpose_blocks"
@compute @workgroup_size({{ workgroup }})
fn transpose_blocks(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let block = linear_index(id, groups, {{ workgroup }}u);
    if (block >= params.blocks) { return; }
    let q = block / params.a_blocks;
    let a = block - q * params.a_blocks;
    let outer = q / params.b_blocks;
    let b = q - outer * params.b_blocks;
    {{- walk("outer") }}
    let source = u32(at) + a * 4u * params.a_step + b;
    let into = u32(to) + b * 4u * params.b_step + a;
    let a_left = params.a_count - a * 4u;
    let b_left = params.b_count - b * 4u;
    let x = load_src(source);
    var y = Texel();
    var z = Texel();
    var w = Texel();
    if (a_left > 1u) { y = load_src(source + params.a_step); }
    if (a_left > 2u) { z = load_src(source + 2u * params.a_step); }
    if (a_left > 3u) { w = load_src(source + 3u * params.a_step); }
    store_dst(into, Texel(x.x, y.x, z.x, w.x));
    if (b_left > 1u) { store_dst(into + params.b_step, Texel(x.y, y.y, z.y, w.y)); }
    if (b_left > 2u) { store_dst(into + 2u * params.b_step, Texel(x.z, y.z, z.z, w.z)); }
    if (b_left > 3u) { store_dst(into + 3u * params.b_step, Texel(x.w, y.w, z.w, w.w)); }
}
//% elif kernel == "repack"
@compute @workgroup_size({{ workgroup }})
fn repack(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let first = (texel - row * params.width) * 4u;
    let element = row * params.channels + first;
    var source_row = element / params.source_channels;
    var source_column = element - source_row * params.source_channels;
    var v = Texel();
//% for lane in ["x", "y", "z", "w"]
    if (first + {{ loop.index0 }}u < params.channels) {
        v.{{ lane }} = element_src(source_row * params.source_width * 4u + source_column);
    }
//% if not loop.last
    source_column += 1u;
    if (source_column == params.source_channels) {
        source_column = 0u;
        source_row += 1u;
    }
//% endif
//% endfor
    store_dst(texel, v);
}
//% else
// Element e of the source's order.
fn source_element(e: u32) -> Scalar {
    let row = e / params.source_channels;
    return element_src(row * params.source_width * 4u + (e - row * params.source_channels));
}

@compute @workgroup_size({{ workgroup }})
fn merge_columns(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = linear_index(id, groups, {{ workgroup }}u);
    if (index >= params.texels) { return; }
    let row = index / params.columns;
    let column = params.start / 4u + (index - row * params.columns);
    let texel = row * params.width + column;
    let length = params.end - params.start;
    var v = Texel();
    if (column * 4u < params.start) { v = load_dst(texel); }
//% for lane in ["x", "y", "z", "w"]
    let c{{ loop.index0 }} = column * 4u + {{ loop.index0 }}u;
    if (c{{ loop.index0 }} >= params.start) {
        v.{{ lane }} = Scalar();
        if (c{{ loop.index0 }} < params.end) { v.{{ lane }} = source_element(row * length + c{{ loop.index0 }} - params.start); }
    }
//% endfor
    store_dst(texel, v);
}
//% endif
