// {{ kernel }}: dst[b][y][x][c] = epilogue(bias[c] + sum over ky, kx of src[b][iy][ix][c / multiplier] * weights[ky][kx][c]),
//   iy = y * stride_h + ky * dilation_h - pad_top, ix likewise; outside the input src is 0.
//
// src, dst: NHWC texels; weights: [ky][kx][width] texels; bias: f32 texels. Lanes lie over texels, then strips.
// depthwise_strip: multiplier 1, {{ pixels }} pixels of a row; filter width and stride are fixed in the text, and each
//   input column is loaded once per filter row. With `dilated` a strip's pixels lie as far apart as its taps (stride 1).
// depthwise_general: multiplier 1, any filter. depthwise_scalar: any multiplier; input read element by element.
// Twin: DEPTHWISE_CONV_2D.
// With `texels` = 2 an invocation computes two texels, which it loads and stores together; widths are even then.
//% set hoisted = true
//% set texels = texels if texels is defined else 1
//% set paired = ["src", "weights", "bias", "dst"] if texels == 2 else []
//% include "prelude.wgsl"
//% if kernel == "depthwise_scalar"
fn load_input(base: u32, n: u32) -> vec4<f32> {
    let c = vec4<u32>(n * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    let i = vec4<u32>(base * 4u) + min(c, vec4<u32>(params.channels - 1u)) / vec4<u32>(params.multiplier);
    return vec4<f32>(element_src(i.x), element_src(i.y), element_src(i.z), element_src(i.w));
}
//% elif texels == 1
fn load_input(base: u32, n: u32) -> vec4<f32> { return load_src(base + n); }
//% endif

@compute @workgroup_size({{ wx }}, {{ wy }}, 1)
fn {{ kernel }}(@builtin(global_invocation_id) id: vec3<u32>) {
    begin();
    let in_h = params.in_h;
    let in_w = params.in_w;
    let out_h = params.out_h;
    let out_w = params.out_w;
    let kernel_h = params.kernel_h;
    let dilation_h = i32(params.dilation_h);
    let width = params.width{{ " / 2u" if texels == 2 }};
    let src_width = params.src_width{{ " / 2u" if texels == 2 }};
    let strip = id.x / width;
    let n = id.x - strip * width;
//% set apart = kernel == "depthwise_strip" and dilated
//% if apart
    let gap = params.dilation_w;
    let turn = strip / gap;
    let x = turn * gap * {{ pixels }}u + strip - turn * gap;
//% else
    let x = strip * {{ pixels }}u;
//% endif
//% set step = " * gap" if apart else ""
    let y = id.y;
    if (x >= out_w || y >= out_h) { return; }
    let first_y = i32(y * params.stride_h) - i32(params.pad_top);
//% if texels == 2
    let b = pair_bias(n);
//% for p in range(pixels)
    var acc{{ p }} = b.x;
    var next{{ p }} = b.y;
//% endfor
//% else
    let b = load_bias(n);
//% for p in range(pixels)
    var acc{{ p }} = b;
//% endfor
//% endif
//% if kernel == "depthwise_strip"
    let first_x = i32(x * {{ stride }}u) - i32(params.pad_left);
    let last_x = i32(in_w) - 1;
//% set signed = " * i32(gap)" if apart else ""
//% set count = (pixels - 1) * stride + kernel_w
//% for c in range(count)
    let x{{ c }} = u32(clamp(first_x + {{ c }}{{ signed }}, 0, last_x)) * src_width;
    let in{{ c }} = u32(first_x + {{ c }}{{ signed }}) < in_w;
//% endfor
    for (var ky = 0u; ky < kernel_h; ky++) {
        let iy = u32(first_y + i32(ky) * dilation_h);
        if (iy >= in_h) { continue; }
        let line = (id.z * in_h + iy) * in_w * src_width;
        let taps = ky * {{ kernel_w }}u * width + n;
//% for kx in range(kernel_w)
        let w{{ kx }} = {{ "pair" if texels == 2 else "load" }}_weights(taps + {{ kx }}u * width);
//% endfor
//% for c in range(count)
//% if texels == 2
        let both{{ c }} = pair_src(line + x{{ c }} + n);
        let a{{ c }} = select(vec4<f32>(0.0), both{{ c }}.x, in{{ c }});
        let e{{ c }} = select(vec4<f32>(0.0), both{{ c }}.y, in{{ c }});
//% else
        let a{{ c }} = select(vec4<f32>(0.0), load_input(line + x{{ c }}, n), in{{ c }});
//% endif
//% for p in range(pixels)
//% set kx = c - p * stride
//% if kx >= 0 and kx < kernel_w
        acc{{ p }} = fma(a{{ c }}, w{{ kx }}{{ ".x" if texels == 2 }}, acc{{ p }});
//% if texels == 2
        next{{ p }} = fma(e{{ c }}, w{{ kx }}.y, next{{ p }});
//% endif
//% endif
//% endfor
//% endfor
    }
//% else
    let kernel_w = params.kernel_w;
    let dilation_w = i32(params.dilation_w);
    let last_x = in_w - 1u;
//% for p in range(pixels)
    let first_x{{ p }} = i32((x + {{ p }}u) * params.stride_w) - i32(params.pad_left);
//% endfor
    for (var ky = 0u; ky < kernel_h; ky++) {
        let iy = u32(first_y + i32(ky) * dilation_h);
        if (iy >= in_h) { continue; }
        let line = (id.z * in_h + iy) * in_w;
        for (var kx = 0u; kx < kernel_w; kx++) {
            let w = load_weights((ky * kernel_w + kx) * width + n);
            let shift = i32(kx) * dilation_w;
//% for p in range(pixels)
            let ix{{ p }} = u32(first_x{{ p }} + shift);
            let a{{ p }} = load_input((line + min(ix{{ p }}, last_x)) * src_width, n);
            acc{{ p }} = fma(select(vec4<f32>(0.0), a{{ p }}, ix{{ p }} < in_w), w, acc{{ p }});
//% endfor
        }
    }
//% endif
    let out = ((id.z * out_h + y) * out_w + x) * width + n;
//% if texels == 2
    // One pixel after another: unrolled, what is done at the end would be most of the code.
    for (var p = 0u; p < {{ pixels }}u; p++) {
        var v = acc0;
        var w = next0;
//% for p in range(1, pixels)
        v = select(v, acc{{ p }}, p == {{ p }}u);
        w = select(w, next{{ p }}, p == {{ p }}u);
//% endfor
        if (x + p{{ step }} < out_w) { emit_pair(out + p{{ step }} * width, n * 2u, v, w); }
    }
//% else
//% for p in range(pixels)
    if (x + {{ p }}u{{ step }} < out_w) { emit(out + {{ p }}u{{ step }} * width, n, acc{{ p }}); }
//% endfor
//% endif
}
