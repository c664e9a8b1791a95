// {{ kernel }}: sums of all elements up to each along an axis (exclusive: before it; reverse: from it to the end).
//
// cumsum_rows: the axis is an outer dimension: one invocation per texel of the others walks along it
// cumsum_channels: the axis is the innermost: one invocation per row
// Twin: cumsum.
//% include "prelude.wgsl"
//% set vector = "vec4<i32>" if int_result else "vec4<f32>"

@compute @workgroup_size({{ workgroup }})
fn {{ kernel }}(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = linear_index(id, groups, {{ workgroup }}u);
    if (index >= params.count) { return; }
    let width = params.width;
//% if kernel == "cumsum_rows"
    let slice = index / params.step;
    let offset = index - slice * params.step;
    let column = offset % width;
    let length = params.length;
    var acc = {{ vector }}();
    for (var i = 0u; i < length; i++) {
//% if reverse == 1
        let at = (slice * length + length - 1u - i) * params.step + offset;
//% else
        let at = (slice * length + i) * params.step + offset;
//% endif
        let v = load_src(at);
//% if exclusive == 1
        emit(at, column, acc);
        acc += v;
//% else
        acc += v;
        emit(at, column, acc);
//% endif
    }
//% else
    var acc = {{ vector }}();
    for (var i = 0u; i < width; i++) {
//% if reverse == 1
        let column = width - 1u - i;
        let v = load_src(index * width + column);
        let a = v.w;
        let b = a + v.z;
        let c = b + v.y;
        let d = c + v.x;
        let sums = acc + {{ vector }}({{ "c, b, a, 0" if exclusive == 1 else "d, c, b, a" }});
//% else
        let column = i;
        let v = load_src(index * width + column);
        let a = v.x;
        let b = a + v.y;
        let c = b + v.z;
        let d = c + v.w;
        let sums = acc + {{ vector }}({{ "0, a, b, c" if exclusive == 1 else "a, b, c, d" }});
//% endif
        emit(index * width + column, column, sums);
        acc += {{ vector }}(d);
    }
//% endif
}
