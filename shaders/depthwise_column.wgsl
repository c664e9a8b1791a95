// depthwise_column: dst[b][y][x][c] = epilogue(bias[c] + sum over ky, kx of src[b][iy][ix][c] * weights[ky][kx][c]),
//   iy = y * stride + ky * dilation - pad_top, ix likewise; outside the input src is 0.
//
// src, dst: NHWC texels; weights: [ky][kx][width] texels; bias: f32 texels. Lanes lie over texels, then bands of
// {{ pixels }} columns; an invocation walks down `params.chunk` rows of its band. Filter and stride are fixed in the
// text. Every input texel is loaded once per band: a turn loads the `stride` input rows at which an output row begins and
// adds them to all output rows that they belong to, of which the oldest is complete then. Of {{ texels }} texels, which
// lie side by side, each has sums of its own (0, 1 at the end of the names). With `dilated` (stride 1) a band's columns and the
// rows of an invocation lie as far apart as the taps. Twin: DEPTHWISE_CONV_2D.
//% set hoisted = true
//% set paired = ["src", "weights", "bias", "dst"] if texels == 2 else []
//% set read = "pair" if texels == 2 else "load"
//% set halves = " / 2u" if texels == 2 else ""
//% include "prelude.wgsl"
//% set signed = " * i32(gap)" if dilated else ""
//% set gap = " * gap" if dilated else ""
//% set parts = [".x", ".y"] if texels == 2 else [""]
//% set phases = (kernel_h + stride - 1) // stride
//% set count = (pixels - 1) * stride + kernel_w

// The sum of phase `phase` of column p and texel h, onto `onto`.
//% macro add(phase, p, h, onto)
//%   for t in range(stride)
//%     set ky = phase * stride + t
//%     if ky < kernel_h
//%       for kx in range(kernel_w)
        sum = fma(a{{ t }}_{{ p * stride + kx }}_{{ h }}, w{{ ky }}_{{ kx }}_{{ h }}, {{ onto if t == 0 and kx == 0 else "sum" }});
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
    let width = params.width{{ halves }};
    let src_width = params.src_width{{ halves }};
    let band = id.x / width;
    let n = id.x - band * width;
//% if dilated
    let gap = params.dilation;
    let block = band / gap;
    let x = block * gap * {{ pixels }}u + band - block * gap;
    let share = id.y / gap;
    let first_row = share * gap * params.chunk + id.y - share * gap;
//% else
    let x = band * {{ pixels }}u;
    let first_row = id.y * params.chunk;
//% endif
    if (x >= out_w || first_row >= out_h) { return; }
    let b = {{ read }}_bias(n);
//% for h in range(texels)
    let b_{{ h }} = b{{ parts[h] }};
//% endfor
//% for ky in range(kernel_h)
//% for kx in range(kernel_w)
    let w{{ ky }}_{{ kx }} = {{ read }}_weights({{ ky * kernel_w + kx }}u * width + n);
//% for h in range(texels)
    let w{{ ky }}_{{ kx }}_{{ h }} = w{{ ky }}_{{ kx }}{{ parts[h] }};
//% endfor
//% endfor
//% endfor
    let first_x = i32(x * {{ stride }}u) - i32(params.pad_left);
    let last_x = i32(in_w) - 1;
//% for c in range(count)
    let x{{ c }} = u32(clamp(first_x + {{ c }}{{ signed }}, 0, last_x)) * src_width + n;
    let in{{ c }} = u32(first_x + {{ c }}{{ signed }}) < in_w;
//% endfor
    // Sums of the phases done so far, the youngest row's first.
//% for phase in range(phases - 1)
//% for p in range(pixels)
//% for h in range(texels)
    var s{{ phase }}_{{ p }}_{{ h }} = b_{{ h }};
//% endfor
//% endfor
//% endfor
//% if dilated
    let turns = min(params.chunk, (out_h - first_row + gap - 1u) / gap) + {{ phases - 1 }}u;
//% else
    let turns = min(params.chunk, out_h - first_row) + {{ phases - 1 }}u;
//% endif
    for (var turn = 0u; turn < turns; turn++) {
        let top = i32((first_row + turn{{ gap }}) * {{ stride }}u) - i32(params.pad_top);
//% for t in range(stride)
        let iy{{ t }} = u32(top + {{ t }});
        let inside{{ t }} = iy{{ t }} < in_h;
        let line{{ t }} = (id.z * in_h + min(iy{{ t }}, in_h - 1u)) * in_w * src_width;
//% for c in range(count)
        let a{{ t }}_{{ c }} = {{ read }}_src(line{{ t }} + x{{ c }});
//% for h in range(texels)
        let a{{ t }}_{{ c }}_{{ h }} = select(vec4<f32>(0.0), a{{ t }}_{{ c }}{{ parts[h] }}, in{{ c }} && inside{{ t }});
//% endfor
//% endfor
//% endfor
        var sum: vec4<f32>;
//% for p in range(pixels)
//% for h in range(texels)
{{ add(phases - 1, p, h, "s" ~ (phases - 2) ~ "_" ~ p ~ "_" ~ h) }}
        let done{{ p }}_{{ h }} = sum;
//% for phase in range(phases - 2, 0, -1)
{{ add(phase, p, h, "s" ~ (phase - 1) ~ "_" ~ p ~ "_" ~ h) }}
        s{{ phase }}_{{ p }}_{{ h }} = sum;
//% endfor
{{ add(0, p, h, "b_" ~ h) }}
        s0_{{ p }}_{{ h }} = sum;
//% endfor
//% endfor
        if (turn >= {{ phases - 1 }}u) {
            let out = ((id.z * out_h + first_row + (turn - {{ phases - 1 }}u){{ gap }}) * out_w + x) * width + n;
//% if texels == 2
            // One pixel after another: unrolled, what is done at the end would be most of the code.
            for (var p = 0u; p < {{ pixels }}u; p++) {
                var v = done0_0;
                var w = done0_1;
//% for p in range(1, pixels)
                v = select(v, done{{ p }}_0, p == {{ p }}u);
                w = select(w, done{{ p }}_1, p == {{ p }}u);
//% endfor
                if (x + p{{ gap }} < out_w) { emit_pair(out + p{{ gap }} * width, n * 2u, v, w); }
            }
//% else
//% for p in range(pixels)
            if (x + {{ p }}u{{ gap }} < out_w) { emit(out + {{ p }}u{{ gap }} * width, n, done{{ p }}_0); }
//% endfor
//% endif
        }
    }
}
