// {{ kernel }}: one value of a whole row, then every element of the row by it.
//
// softmax: dst = exp(beta (src − max)) / Σ exp(beta (src − max))
// log_softmax: dst = src − max − ln Σ exp(src − max)
// l2: dst = src / max(√Σ src², 1e-6)
// standardise: dst = (src − mean) / √(variance + beta), the statistics of a layer norm
// _rows: one invocation per row; _group: one workgroup of 64 per row, for adapters where barriers are cheap.
// Twins: softmax, log_softmax, l2_normalization; MEAN, SQUARED_DIFFERENCE, RSQRT and what is between them.
//% include "prelude.wgsl"
//% set group = kernel == "norm_group"

const LOWEST: f32 = -3.4028235e38;

fn largest(m: vec4<f32>, v: vec4<f32>) -> vec4<f32> { return select(m, v, v > m); }
fn max_of(v: vec4<f32>) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
fn sum_of(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }
//% if group

var<workgroup> partial: array<f32, 64>;
//% for name, combine in [("max", "max(a, b)"), ("sum", "a + b")]

// The {{ name }} of every invocation's value, in all of them.
fn {{ name }}_group(lane: u32, value: f32) -> f32 {
    partial[lane] = value;
    workgroupBarrier();
//% for half in [32, 16, 8, 4, 2, 1]
    if (lane < {{ half }}u) {
        let a = partial[lane];
        let b = partial[lane + {{ half }}u];
        partial[lane] = {{ combine }};
    }
    workgroupBarrier();
//% endfor
    let r = partial[0];
    workgroupBarrier();
    return r;
}
//% endfor

@compute @workgroup_size(64)
fn norm_group(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let wanted = id.x + id.y * groups.x;
    let row = min(wanted, params.rows - 1u);
    let first = lane;
    let step = 64u;
//% else

@compute @workgroup_size({{ workgroup }})
fn norm_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = linear_index(id, groups, {{ workgroup }}u);
    if (row >= params.rows) { return; }
    let first = 0u;
    let step = 1u;
//% endif
    let width = params.width;
    let base = row * width;
    let beta = params.beta;
//% if op == "standardise"
    // Twice over the row: squares less the square of the mean would cancel.
    let count = f32(params.channels);
    var total = vec4<f32>(0.0);
    for (var c = first; c < width; c += step) { total += load_src(base + c); }
//% if group
    let mean = sum_group(lane, sum_of(total)) / count;
//% else
    let mean = sum_of(total) / count;
//% endif
//% elif op != "l2"
    var m = vec4<f32>(LOWEST);
    for (var c = first; c < width; c += step) {
        m = largest(m, select(vec4<f32>(LOWEST), load_src(base + c), lanes(c)));
    }
//% if group
    let top = max_group(lane, max_of(m));
//% else
    let top = max_of(m);
//% endif
//% endif
    var s = vec4<f32>(0.0);
    for (var c = first; c < width; c += step) {
        let v = load_src(base + c);
//% if op == "l2"
        s += v * v;
//% elif op == "standardise"
        let d = select(vec4<f32>(0.0), v - mean, lanes(c));
        s += d * d;
//% else
        s += select(vec4<f32>(0.0), exp((v - top) * beta), lanes(c));
//% endif
    }
//% if group
    let sum = sum_group(lane, sum_of(s));
    if (wanted >= params.rows) { return; }
//% else
    let sum = sum_of(s);
//% endif
//% if op == "l2"
    let scale = 1.0 / max(sqrt(sum), 1e-6);
//% elif op == "standardise"
    let scale = 1.0 / sqrt(sum / count + beta);
//% elif op == "log_softmax"
    let log_sum = op_log(vec4<f32>(sum)).x;
//% else
    let scale = 1.0 / sum;
//% endif
    for (var c = first; c < width; c += step) {
        let v = load_src(base + c);
//% if op == "l2"
        emit(base + c, c, v * scale);
//% elif op == "standardise"
        emit(base + c, c, (v - mean) * scale);
//% elif op == "log_softmax"
        emit(base + c, c, v - top - log_sum);
//% else
        emit(base + c, c, exp((v - top) * beta) * scale);
//% endif
    }
}
