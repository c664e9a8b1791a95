// pool: dst[b][y][x][c] = epilogue(fold over ky, kx of src[b][iy][ix][c]) over the cells inside the input,
//   iy = y * stride_h + ky - pad_top, ix likewise.
//   fold: average (sum / cells), max, l2 (sqrt(sum of squares / cells)).
//
// src, dst: NHWC texels. Lanes lie over texels, then strips of {{ pixels }} pixels. With `kernel_w` > 0 filter width and
// stride are fixed in the text and each input column is loaded once per filter row.
// Twins: AVERAGE_POOL_2D, MAX_POOL_2D, L2_POOL_2D.
//% set hoisted = true
//% include "prelude.wgsl"
// max has the loaded value first: lavapipe asks of its second operand whether it is NaN, for halves lane by lane.
//% macro fold(acc, a, inside)
//%   if fold_op == "max"
        {{ acc }} = select({{ acc }}, max({{ a }}, {{ acc }}), {{ inside }});
//%   elif fold_op == "l2"
        {{ acc }} = select({{ acc }}, fma({{ a }}, {{ a }}, {{ acc }}), {{ inside }});
//%   else
        {{ acc }} = select({{ acc }}, {{ acc }} + {{ a }}, {{ inside }});
//%   endif
//% endmacro

@compute @workgroup_size({{ wx }}, {{ wy }}, 1)
fn pool(@builtin(global_invocation_id) id: vec3<u32>) {
    begin();
    let in_h = params.in_h;
    let in_w = params.in_w;
    let out_h = params.out_h;
    let out_w = params.out_w;
    let width = params.width;
    let kernel_h = i32(params.kernel_h);
    let kernel_w = i32(params.kernel_w);
    let strip = id.x / width;
    let n = id.x - strip * width;
    let x = strip * {{ pixels }}u;
    let y = id.y;
    if (x >= out_w || y >= out_h) { return; }
    let first_y = i32(y * params.stride_h) - i32(params.pad_top);
    let begin_y = max(first_y, 0);
    let end_y = min(first_y + kernel_h, i32(in_h));
    let last_x = i32(in_w) - 1;
//% for p in range(pixels)
    let first{{ p }} = i32((x + {{ p }}u) * params.stride_w) - i32(params.pad_left);
//% if fold_op == "max"
    var acc{{ p }} = vec4<f32>(-3.4028235e38);
//% else
    var acc{{ p }} = vec4<f32>(0.0);
//% endif
//% endfor
    for (var iy = begin_y; iy < end_y; iy++) {
        let line = ((id.z * in_h + u32(iy)) * in_w) * width + n;
//% if kernel_w
//% for c in range((pixels - 1) * stride + kernel_w)
        let x{{ c }} = first0 + {{ c }};
        let a{{ c }} = load_src(line + u32(clamp(x{{ c }}, 0, last_x)) * width);
        let in{{ c }} = u32(x{{ c }}) < in_w;
//% for p in range(pixels)
//% if c >= p * stride and c < p * stride + kernel_w
{{ fold("acc" ~ p, "a" ~ c, "in" ~ c) }}
//% endif
//% endfor
//% endfor
//% else
        for (var kx = 0; kx < kernel_w; kx++) {
//% for p in range(pixels)
            let x{{ p }} = first{{ p }} + kx;
            let a{{ p }} = load_src(line + u32(clamp(x{{ p }}, 0, last_x)) * width);
{{ fold("acc" ~ p, "a" ~ p, "u32(x" ~ p ~ ") < in_w") }}
//% endfor
        }
//% endif
    }
    let out = ((id.z * out_h + y) * out_w + x) * width + n;
//% if fold_op != "max"
    let cells_y = max(end_y - begin_y, 0);
//% endif
//% for p in range(pixels)
    if (x + {{ p }}u < out_w) {
//% if fold_op == "max"
        emit(out + {{ p }}u * width, n, acc{{ p }});
//% else
        let cells = f32(max(cells_y * (min(first{{ p }} + kernel_w, i32(in_w)) - max(first{{ p }}, 0)), 1));
//% if fold_op == "l2"
        emit(out + {{ p }}u * width, n, sqrt(acc{{ p }} / cells));
//% else
        emit(out + {{ p }}u * width, n, acc{{ p }} / cells);
//% endif
//% endif
    }
//% endfor
}
