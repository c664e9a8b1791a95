// One row of a product; the lanes of a workgroup share its depth: {{ columns }} output texels, {{ split }} lanes for each.
//
// gemm_vector: dst[n] = epilogue(bias[n] + sum over k of src[k] * weights[k][n]); operands as in gemm.wgsl.
// matmul_vector: dst[z][n] = epilogue(sum over k of x[z][k] * y[z][k][n]); operands as in matmul.wgsl.
// Neighbouring lanes read neighbouring texels of the right operand. Sums meet in workgroup memory, or in a subgroup
// that is the whole workgroup (`subgroup`). Twins: FULLY_CONNECTED, BATCH_MATMUL.
//% set hoisted = true
//% include "prelude.wgsl"
//% set lane_count = columns * split
//% if not subgroup

var<workgroup> partial: array<vec4<f32>, {{ lane_count }}>;
//% endif

@compute @workgroup_size({{ lane_count }})
fn {{ kernel }}(
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    begin();
    let depth = params.depth;
    let width = params.width;
    let part = local.x / {{ columns }}u;
    let column = group.x * {{ columns }}u + local.x % {{ columns }}u;
    // No lane leaves before the barriers: those beyond the width compute the last column again.
    let n = min(column, width - 1u);
    var acc = vec4<f32>(0.0);
//% if kernel == "gemm_vector"
    let first = n / params.group * params.group;
    let span = min(params.group, width - first);
    let block0 = first * depth + n - first;
    for (var k = part; k < depth; k += {{ split }}u) {
        let a = load_src(k);
        let w = block_weights(block0 + k * span);
//% else
    let upper = group.z / params.batch_2;
    let z2 = group.z - upper * params.batch_2;
    let z0 = upper / params.batch_1;
    let z1 = upper - z0 * params.batch_1;
    let x_base = z0 * params.x_stride_0 + z1 * params.x_stride_1 + z2 * params.x_stride_2;
    let y_base = z0 * params.y_stride_0 + z1 * params.y_stride_1 + z2 * params.y_stride_2;
    let y_width = params.y_width;
    let last = depth - 1u;
//% if adj_y
    let last_column = params.channels - 1u;
//% for o in range(4)
    let j{{ o }} = y_base + min(n * 4u + {{ o }}u, last_column) * y_width;
//% endfor
//% endif
    let steps = (depth + 3u) / 4u;
    for (var k = part; k < steps; k += {{ split }}u) {
//% for i in range(4)
        let k{{ i }} = min(k * 4u + {{ i }}u, last);
//% endfor
//% if adj_x
        // Rows beyond the depth are another matrix's values: zero on this side.
        let inside = vec4<u32>(k * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(depth);
        let column_x = vec4<f32>(
//% for i in range(4)
            load_x(x_base + k{{ i }} * params.x_width).x,
//% endfor
        );
        let a = select(vec4<f32>(0.0), column_x, inside);
//% else
        let a = load_x(x_base + k);
//% endif
//% if adj_y
//% for o in range(4)
        let r{{ o }} = load_y(j{{ o }} + k);
//% endfor
        let w = Block(
//% for i in ["x", "y", "z", "w"]
            vec4<f32>(r0.{{ i }}, r1.{{ i }}, r2.{{ i }}, r3.{{ i }}),
//% endfor
        );
//% else
        let w = Block(
//% for i in range(4)
            load_y(y_base + k{{ i }} * y_width + n),
//% endfor
        );
//% endif
//% endif
        acc = fma(w.x, vec4<f32>(a.x), acc);
        acc = fma(w.y, vec4<f32>(a.y), acc);
        acc = fma(w.z, vec4<f32>(a.z), acc);
        acc = fma(w.w, vec4<f32>(a.w), acc);
    }
//% if subgroup
    acc = subgroupAdd(acc);
//% else
    partial[local.x] = acc;
    workgroupBarrier();
//% set halves = [256, 128, 64, 32, 16, 8, 4, 2, 1]
//% for half in halves if half < split
    if (part < {{ half }}u) {
        partial[local.x] += partial[local.x + {{ half * columns }}u];
    }
    workgroupBarrier();
//% endfor
    acc = partial[local.x];
//% endif
    if (part == 0u && column < width) {
//% if kernel == "gemm_vector"
        emit(n, params.offset + n, n, acc + load_bias(n));
//% else
        emit(group.z * params.dst_step + n, n, acc);
//% endif
    }
}
