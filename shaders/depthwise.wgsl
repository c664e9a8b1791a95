// {{ kernel }}: dst[b][y][x][c] = epilogue(bias[c] + sum over ky, kx of src[b][iy][ix][c / multiplier] * weights[ky][kx][c]),
//   iy = y * stride_h + ky * dilation_h - pad_top, ix likewise; outside the input src is 0.
//
// src, dst: NHWC texels; weights: [ky][kx][width] texels; bias: f32 texels. Lanes lie over texels, then strips.
// depthwise_strip: multiplier 1, {{ pixels }} pixels of a row; filter width and stride are fixed in the text, and each
//   input column is loaded once per filter row. With `dilated` a strip's pixels lie as far apart as its taps (stride 1).
// depthwise_general: multiplier 1, any filter. depthwise_scalar: any multiplier; input read element by element.
// Twin: DEPTHWISE_CONV_2D.
//% set hoisted = true
//% include "prelude.wgsl"
//% if kernel == "depthwise_scalar"
fn load_input(base: u32, n: u32) -> vec4<f32> {
    let c = vec4<u32>(n * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    let i = vec4<u32>(base * 4u) + min(c, vec4<u32>(params.channels - 1u)) / vec4<u32>(params.multiplier);
    return vec4<f32>(element_src(i.x), element_src(i.y), element_src(i.z), element_src(i.w));
}
//% else
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
    let width = params.width;
    let src_width = params.src_width;
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
    let b = load_bias(n);
//% for p in range(pixels)
    var acc{{ p }} = b;
//% endfor
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
        let w{{ kx }} = load_weights(taps + {{ kx }}u * width);
//% endfor
//% for c in range(count)
        let a{{ c }} = select(vec4<f32>(0.0), load_input(line + x{{ c }}, n), in{{ c }});
//% for p in range(pixels)
//% set kx = c - p * stride
//% if kx >= 0 and kx < kernel_w
        acc{{ p }} = fma(a{{ c }}, w{{ kx }}, acc{{ p }});
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
//% for p in range(pixels)
    if (x + {{ p }}u{{ step }} < out_w) { emit(out + {{ p }}u{{ step }} * width, n, acc{{ p }}); }
//% endfor
}
