// {{ kernel }}: the fold of elements over dimensions.
//
// reduce_rows: dst[k][c] = fold over r of src[k, r][c]         k: kept, r: reduced outer dimensions, by strides in rows
// reduce_channels: dst = fold over c of src[row][c]            element number `row` of the result in C order
// arg_rows, arg_channels: the index where the largest (smallest) element is found first
// Twins: the reduce and arg kernels of the reference.
//% include "prelude.wgsl"
//% set int = bindings[0].storage == "i32"
alias Scalar = {{ "i32" if int else "f32" }};
alias Texel = vec4<Scalar>;

//% if kernel == "reduce_rows"
@compute @workgroup_size({{ workgroup }})
fn reduce_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let column = texel - row * params.width;
    let k2 = row / params.size2;
    let i2 = row - k2 * params.size2;
    let i0 = k2 / params.size1;
    let i1 = k2 - i0 * params.size1;
    let base = (i0 * params.kept0 + i1 * params.kept1 + i2 * params.kept2) * params.width + column;
    let outer_step = params.reduced0 * params.width;
    let step = params.reduced1 * params.width;
    let outer_count = params.count0;
    let count = params.count1;
    var acc = Texel(bitcast<Scalar>(params.start));
    for (var j = 0u; j < outer_count; j++) {
        var at = base + j * outer_step;
        for (var i = 0u; i < count; i++) {
            let v = load_src(at);
            acc = {{ op }};
            at += step;
        }
    }
//% if mean == 1
    acc = acc / Texel(Scalar(params.divisor));
//% endif
    emit(texel, column, acc);
}
//% elif kernel == "reduce_channels"
fn fold(acc: Texel, v: Texel) -> Texel { return {{ op }}; }

fn reduce_row(row: u32) -> Scalar {
    let start = Texel(bitcast<Scalar>(params.start));
    let last = params.src_width - 1u;
    let base = row * params.src_width;
    var acc = start;
    for (var i = 0u; i < last; i++) { acc = fold(acc, load_src(base + i)); }
    let valid = vec4<u32>(last * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.length);
    acc = fold(acc, select(start, load_src(base + last), valid));
    acc = fold(acc, acc.zwxy);
    acc = fold(acc, acc.yxwz);
//% if mean == 1
    return acc.x / Scalar(params.divisor);
//% else
    return acc.x;
//% endif
}
//% elif kernel == "arg_rows"
@compute @workgroup_size({{ workgroup }})
fn arg_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let column = texel - row * params.width;
    let outer = row / params.inner;
    let count = params.length;
    let step = params.inner * params.width;
    var at = (outer * count * params.inner + row - outer * params.inner) * params.width + column;
    var best = load_src(at);
    var found = vec4<i32>(0);
    for (var i = 1u; i < count; i++) {
        at += step;
        let v = load_src(at);
        let better = v {{ op }} best;
        best = select(best, v, better);
        found = select(found, vec4<i32>(i32(i)), better);
    }
    emit(texel, column, found);
}
//% else
fn reduce_row(row: u32) -> i32 {
    let width = params.src_width;
    let base = row * width;
    var best = load_src(base);
    var found = vec4<i32>(0, 1, 2, 3);
    for (var i = 1u; i < width; i++) {
        let v = load_src(base + i);
        let channel = vec4<u32>(i * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
        let better = (v {{ op }} best) & (channel < vec4<u32>(params.length));
        best = select(best, v, better);
        found = select(found, vec4<i32>(channel), better);
    }
    var value = best.x;
    var at = found.x;
//% for lane in ["y", "z", "w"]
    if (params.length > {{ loop.index }}u && (best.{{ lane }} {{ op }} value || (best.{{ lane }} == value && found.{{ lane }} < at))) {
        value = best.{{ lane }};
        at = found.{{ lane }};
    }
//% endfor
    return at;
}
//% endif

//% if kernel in ["reduce_channels", "arg_channels"]
@compute @workgroup_size({{ workgroup }})
fn {{ kernel }}(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, {{ workgroup }}u);
    if (texel >= params.texels) { return; }
    let row = texel / params.width;
    let column = texel - row * params.width;
    let first = row * params.channels + column * 4u;
    let left = params.channels - column * 4u;
    var v = {{ "vec4<i32>" if int_result else "vec4<f32>" }}();
    v.x = reduce_row(first);
    if (left > 1u) { v.y = reduce_row(first + 1u); }
    if (left > 2u) { v.z = reduce_row(first + 2u); }
    if (left > 3u) { v.w = reduce_row(first + 3u); }
    emit(texel, column, v);
}
//% endif
