// depthwise_column: dst[b][y][x][c] = epilogue(bias[c] + sum over ky, kx of src[b][iy][ix][c] * weights[ky][kx][c]),
//   iy = y * stride + ky - pad_top, ix likewise; outside the input src is 0.
//
// src, dst: NHWC texels; weights: [ky][kx][width] texels; bias: f32 texels. Lanes lie over texels, then bands of
// {{ pixels }} columns; an invocation walks down `params.chunk` rows of its band. Filter and stride are fixed in the
// text. Every input texel is loaded once per band: a turn loads the `stride` input rows at which an output row begins and
// adds them to all output rows that they belong to, of which the oldest is complete then. Twin: DEPTHWISE_CONV_2D.
//% set hoisted = true
//% include "prelude.wgsl"
//% set phases = (kernel_h + stride - 1) // stride
//% set count = (pixels - 1) * stride + kernel_w

// The sum of phase `phase` of column p, onto `onto`.
//% macro add(phase, p, onto)
//%   for t in range(stride)
//%     set ky = phase * stride + t
//%     if ky < kernel_h
//%       for kx in range(kernel_w)
        sum = fma(a{{ t }}_{{ p * stride + kx }}, w{{ ky }}_{{ kx }}, {{ onto if t == 0 and kx == 0 else "sum" }});
//%       endfor
//%     endif
//%   endfor
//% endmacro

@compute @workgroup_size({{ wx }}, {{ wy }}, 1)
fn depthwise_column(@builtin(global_invocation_id) id: vec3<u32>) {
    begin();
    let in_h = params.in_h;
    let in_w = params.in_w;
    let out_h = params.out_h;
    let out_w = params.out_w;
    let width = params.width;
    let src_width = params.src_width;
    let band = id.x / width;
    let n = id.x - band * width;
    let x = band * {{ pixels }}u;
    let first_row = id.y * params.chunk;
    if (x >= out_w || first_row >= out_h) { return; }
    let b = load_bias(n);
//% for ky in range(kernel_h)
//% for kx in range(kernel_w)
    let w{{ ky }}_{{ kx }} = load_weights({{ ky * kernel_w + kx }}u * width + n);
//% endfor
//% endfor
    let first_x = i32(x * {{ stride }}u) - i32(params.pad_left);
    let last_x = i32(in_w) - 1;
//% for c in range(count)
    let x{{ c }} = u32(clamp(first_x + {{ c }}, 0, last_x)) * src_width + n;
    let in{{ c }} = u32(first_x + {{ c }}) < in_w;
//% endfor
    // Sums of the phases done so far, the youngest row's first.
//% for phase in range(phases - 1)
//% for p in range(pixels)
    var s{{ phase }}_{{ p }} = b;
//% endfor
//% endfor
    let turns = min(params.chunk, out_h - first_row) + {{ phases - 1 }}u;
    for (var turn = 0u; turn < turns; turn++) {
        let top = i32((first_row + turn) * {{ stride }}u) - i32(params.pad_top);
//% for t in range(stride)
        let iy{{ t }} = u32(top + {{ t }});
        let inside{{ t }} = iy{{ t }} < in_h;
        let line{{ t }} = (id.z * in_h + min(iy{{ t }}, in_h - 1u)) * in_w * src_width;
//% for c in range(count)
        let a{{ t }}_{{ c }} = select(vec4<f32>(0.0), load_src(line{{ t }} + x{{ c }}), in{{ c }} && inside{{ t }});
//% endfor
//% endfor
        var sum: vec4<f32>;
//% for p in range(pixels)
{{ add(phases - 1, p, "s" ~ (phases - 2) ~ "_" ~ p) }}
        let done{{ p }} = sum;
//% for phase in range(phases - 2, 0, -1)
{{ add(phase, p, "s" ~ (phase - 1) ~ "_" ~ p) }}
        s{{ phase }}_{{ p }} = sum;
//% endfor
{{ add(0, p, "b") }}
        s0_{{ p }} = sum;
//% endfor
        if (turn >= {{ phases - 1 }}u) {
            let out = ((id.z * out_h + first_row + turn - {{ phases - 1 }}u) * out_w + x) * width + n;
//% for p in range(pixels)
            if (x + {{ p }}u < out_w) { emit(out + {{ p }}u * width, n, done{{ p }}); }
//% endfor
        }
    }
}
