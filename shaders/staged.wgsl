// Products and convolutions whose operands a workgroup stages in its memory, for adapters that have such memory.
//
// gemm_staged: dst[m][n] = epilogue(bias[n] + sum over k of src[m][k] * weights[k][n]); operands as in gemm.wgsl.
// conv_staged: the same sum with (ky, kx, k) for k, as in conv.wgsl: rows of the left operand are gathered from the
//   image when they are staged, outside of it they are 0.
// A workgroup computes {{ pixels * wz }} rows by {{ texels * wx }} texels, an invocation {{ pixels }} by {{ texels }} of them, {{ stage }} texels of depth
// at a time. Twins: CONV_2D, FULLY_CONNECTED.
//% set hoisted = true
//% include "prelude.wgsl"
//% from "tile.wgsl" import multiply
//% set lane_count = wx * wz
//% set tile_rows = pixels * wz
//% set tile_columns = texels * wx
// Two texels lie between staged rows of depth, so that lanes that write neighbouring depths meet other banks.
//% set pitch = tile_rows + 2
//% set loads = stage * tile_rows // lane_count
//% set blocks = stage * tile_columns // lane_count

var<workgroup> left: array<vec4<f32>, {{ stage * pitch }}>;
var<workgroup> right: array<vec4<f32>, {{ stage * tile_columns * 4 }}>;

@compute @workgroup_size({{ lane_count }})
fn {{ kernel }}(
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin();
    let width = params.width;
    let depth = params.depth;
    let lane = local.x;
    let top = (group.y + group.z * groups.y) * {{ tile_rows }}u;
    let side = group.x * {{ tile_columns }}u;
//% if kernel == "gemm_staged"
    let total = params.rows;
    let steps = depth;
//% else
    let in_h = params.in_h;
    let in_w = params.in_w;
    let out_h = params.out_h;
    let out_w = params.out_w;
    let kernel_w = params.kernel_w;
    let src_width = params.src_width;
    let total = params.rows * out_w;
    let steps = params.kernel_h * kernel_w * depth;
//% endif
    let last = steps - 1u;
    // What this lane stages: a depth of some rows …
    let j = lane % {{ stage }}u;
    let r = lane / {{ stage }}u;
//% for i in range(loads)
    let m{{ i }} = min(top + r + {{ i * (lane_count // stage) }}u, total - 1u);
//% if kernel == "gemm_staged"
    let i{{ i }} = m{{ i }} * depth;
//% else
    let row{{ i }} = m{{ i }} / out_w;
    let batch{{ i }} = row{{ i }} / out_h;
    let line{{ i }} = batch{{ i }} * in_h;
    let y{{ i }} = i32((row{{ i }} - batch{{ i }} * out_h) * params.stride_h) - i32(params.pad_top);
    let x{{ i }} = i32((m{{ i }} - row{{ i }} * out_w) * params.stride_w) - i32(params.pad_left);
//% endif
//% endfor
    // … and blocks of some columns.
//% for i in range(blocks)
    let b{{ i }} = lane + {{ i * lane_count }}u;
    let j{{ i }} = b{{ i }} / {{ tile_columns }}u;
    let c{{ i }} = b{{ i }} % {{ tile_columns }}u;
    let column{{ i }} = min(side + c{{ i }}, width - 1u);
    let first{{ i }} = column{{ i }} / params.group * params.group;
    let span{{ i }} = min(params.group, width - first{{ i }});
    let block{{ i }} = first{{ i }} * steps + column{{ i }} - first{{ i }};
//% endfor
    let lx = lane % {{ wx }}u;
    let lz = lane / {{ wx }}u;
//% for q in range(texels)
    let n{{ q }} = side + lx + {{ q * wx }}u;
    let bias{{ q }} = load_bias(min(n{{ q }}, width - 1u));
//% endfor
//% for p in range(pixels)
//% for q in range(texels)
    var acc{{ p }}_{{ q }} = bias{{ q }};
//% endfor
//% endfor
    for (var k0 = 0u; k0 < steps; k0 += {{ stage }}u) {
        let k = k0 + j;
//% if kernel == "gemm_staged"
//% for i in range(loads)
        let s{{ i }} = select(vec4<f32>(0.0), load_src(i{{ i }} + min(k, last)), k < steps);
//% endfor
//% else
        let tap = min(k, last) / depth;
        let channel = min(k, last) - tap * depth;
        let ky = tap / kernel_w;
        let dy = i32(ky * params.dilation_h);
        let dx = i32((tap - ky * kernel_w) * params.dilation_w);
//% for i in range(loads)
        let iy{{ i }} = u32(y{{ i }} + dy);
        let ix{{ i }} = u32(x{{ i }} + dx);
        let at{{ i }} = ((line{{ i }} + min(iy{{ i }}, in_h - 1u)) * in_w + min(ix{{ i }}, in_w - 1u)) * src_width + channel;
        let s{{ i }} = select(vec4<f32>(0.0), load_src(at{{ i }}), k < steps && iy{{ i }} < in_h && ix{{ i }} < in_w);
//% endfor
//% endif
//% for i in range(blocks)
        let w{{ i }} = block_weights(block{{ i }} + min(k0 + j{{ i }}, last) * span{{ i }});
        let whole{{ i }} = k0 + j{{ i }} < steps;
//% endfor
        // What was staged before has been read.
        workgroupBarrier();
//% for i in range(loads)
        left[j * {{ pitch }}u + r + {{ i * (lane_count // stage) }}u] = s{{ i }};
//% endfor
//% for i in range(blocks)
        let to{{ i }} = j{{ i }} * {{ 4 * tile_columns }}u + c{{ i }};
//% for part in ["x", "y", "z", "w"]
        right[to{{ i }} + {{ loop.index0 * tile_columns }}u] = select(vec4<f32>(0.0), w{{ i }}.{{ part }}, whole{{ i }});
//% endfor
//% endfor
        workgroupBarrier();
//% for s in range(stage)
        {
//% for q in range(texels)
            let w{{ q }} = Block(
//% for part in range(4)
                right[lx + {{ (s * 4 + part) * tile_columns + q * wx }}u],
//% endfor
            );
//% endfor
//% for p in range(pixels)
            let a{{ p }} = left[lz + {{ s * pitch + p * wz }}u];
//% endfor
{{ multiply(pixels, texels) }}
        }
//% endfor
    }
//% for p in range(pixels)
    {
        let m = top + lz + {{ p * wz }}u;
//% for q in range(texels)
        if (m < total && n{{ q }} < width) { emit(m * width + n{{ q }}, m * params.pitch + params.offset + n{{ q }}, n{{ q }}, acc{{ p }}_{{ q }}); }
//% endfor
    }
//% endfor
}
