// squeeze: dst[n] = epilogue(bias2[n] + sum over h of inner(bias[h] + sum over k of mean[k] * weights[k][h]) * weights2[h][n]),
//   mean[k] = the sum over m of src[m][k], times `factor`: the gate of a squeeze-and-excite block, from its map.
//
// src: `rows` rows of `depth` texels for each image (z); weights: [hidden / group][depth][group] blocks of 4 inputs by 4
// outputs, weights2: [width / group2][hidden][group2] such blocks; biases: f32 texels; dst: a row of `width` texels for each image. Workgroups of an image (x)
// all take the mean and the hidden values, and share the columns of the result; the lanes of one share rows, then depth.
// Lanes: {{ lanes }}. Twins: MEAN, CONV_2D, FULLY_CONNECTED.
//% set hoisted = true
//% include "prelude.wgsl"
const LANES: u32 = {{ lanes }}u;

var<workgroup> means: array<vec4<f32>, {{ most_depth }}>;
var<workgroup> hidden_values: array<vec4<f32>, {{ most_hidden }}>;
var<workgroup> partial: array<vec4<f32>, {{ lanes }}>;

fn product(sum: vec4<f32>, a: vec4<f32>, w: Block) -> vec4<f32> {
    return fma(w.w, vec4<f32>(a.w), fma(w.z, vec4<f32>(a.z), fma(w.y, vec4<f32>(a.y), fma(w.x, vec4<f32>(a.x), sum))));
}

// The sum of every `step`-th row of a column.
fn sum_rows(base: u32, depth: u32, first: u32, step: u32, rows: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    var at = base + first * depth;
    let stride = step * depth;
    var m = first;
    for (; m + 3u * step < rows; m += 4u * step) {
        sum += (load_src(at) + load_src(at + stride)) + (load_src(at + 2u * stride) + load_src(at + 3u * stride));
        at += 4u * stride;
    }
    for (; m < rows; m += step) {
        sum += load_src(at);
        at += stride;
    }
    return sum;
}

// Every `step`-th term of a column of the first product.
fn sum_depth(h: u32, first: u32, step: u32, depth: u32, hidden: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    let column = h / params.group * params.group;
    let span = min(params.group, hidden - column);
    var at = column * depth + h - column + first * span;
    let stride = step * span;
    for (var k = first; k < depth; k += step) {
        sum = product(sum, means[k], block_weights(at));
        at += stride;
    }
    return sum;
}

fn between(h: u32, sum: vec4<f32>) -> vec4<f32> {
    let v = load_bias(h) + sum;
    return {{ inner }};
}

@compute @workgroup_size({{ lanes }})
fn squeeze(
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin();
    let lane = local.x;
    let rows = params.rows;
    let depth = params.depth;
    let hidden = params.hidden;
    let width = params.width;
    let factor = params.factor;
    let base = group.z * rows * depth;
    // Where columns are fewer than lanes, several lanes share one.
    let parts = max(LANES / depth, 1u);
    let part = lane / depth;
    if (part < parts) {
        for (var c = lane - part * depth; c < depth; c += LANES) {
            let sum = sum_rows(base + c, depth, part, parts, rows);
            partial[lane] = sum;
            if (parts == 1u) { means[c] = sum * factor; }
        }
    }
    workgroupBarrier();
    if (parts > 1u && lane < depth) {
        var sum = partial[lane];
        for (var p = 1u; p < parts; p++) { sum += partial[lane + p * depth]; }
        means[lane] = sum * factor;
    }
    workgroupBarrier();
    let shares = max(LANES / hidden, 1u);
    let share = lane / hidden;
    if (share < shares) {
        for (var h = lane - share * hidden; h < hidden; h += LANES) {
            let sum = sum_depth(h, share, shares, depth, hidden);
            partial[lane] = sum;
            if (shares == 1u) { hidden_values[h] = between(h, sum); }
        }
    }
    workgroupBarrier();
    if (shares > 1u && lane < hidden) {
        var sum = partial[lane];
        for (var p = 1u; p < shares; p++) { sum += partial[lane + p * hidden]; }
        hidden_values[lane] = between(lane, sum);
    }
    workgroupBarrier();
    for (var n = group.x * LANES + lane; n < width; n += groups.x * LANES) {
        var sum = load_bias2(n);
        let column = n / params.group2 * params.group2;
        let span = min(params.group2, width - column);
        var at = column * hidden + n - column;
        for (var h = 0u; h < hidden; h++) {
            sum = product(sum, hidden_values[h], block_weights2(at));
            at += span;
        }
        emit(group.z * width + n, n, sum);
    }
}
