// conv_grouped: CONV_2D whose groups are not whole texels.
//   dst[b][y][x][o] = epilogue(bias[o] + sum over ky, kx, i of src[b][iy][ix][group(o) * depth + i] * weights[o])
//
// src, dst: NHWC texels; weights: [ky][kx][depth][width] texels of 4 outputs; bias: f32 texels. One invocation per
// output texel; the input is read element by element. `group_channels` outputs share `depth` input channels.
// Twin: CONV_2D.
//% set hoisted = true
//% include "prelude.wgsl"

@compute @workgroup_size(64)
fn conv_grouped(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    begin();
    let in_h = params.in_h;
    let in_w = params.in_w;
    let out_h = params.out_h;
    let out_w = params.out_w;
    let depth = params.depth;
    let width = params.width;
    let kernel_h = params.kernel_h;
    let kernel_w = params.kernel_w;
    let texel = linear_index(id, groups, 64u);
    if (texel >= params.texels) { return; }
    let pixel = texel / width;
    let n = texel - pixel * width;
    let row = pixel / out_w;
    let x = pixel - row * out_w;
    let batch = row / out_h;
    let first_y = i32((row - batch * out_h) * params.stride_h) - i32(params.pad_top);
    let first_x = i32(x * params.stride_w) - i32(params.pad_left);
//% for o in range(4)
    let i{{ o }} = (min(n * 4u + {{ o }}u, params.channels - 1u) / params.group_channels) * depth;
//% endfor
    var acc = load_bias(n);
    for (var ky = 0u; ky < kernel_h; ky++) {
        for (var kx = 0u; kx < kernel_w; kx++) {
            let iy = u32(first_y + i32(ky * params.dilation_h));
            let ix = u32(first_x + i32(kx * params.dilation_w));
            if (iy >= in_h || ix >= in_w) { continue; }
            let base = ((batch * in_h + iy) * in_w + ix) * params.src_width * 4u;
            let taps = (ky * kernel_w + kx) * depth;
            for (var k = 0u; k < depth; k++) {
                let e = base + k;
                let a = vec4<f32>(element_src(e + i0), element_src(e + i1), element_src(e + i2), element_src(e + i3));
                acc = fma(a, load_weights((taps + k) * width + n), acc);
            }
        }
    }
    emit(texel, n, acc);
}
