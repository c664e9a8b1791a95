// pool: dst[b][y][x][c] = epilogue(fold over ky, kx of src[b][iy][ix][c]) over the cells inside the input,
//   iy = y * stride_h + ky - pad_top, ix likewise.
//   fold: average (sum / cells), max, l2 (sqrt(sum of squares / cells)).
//
// src, dst: NHWC texels. Lanes lie over texels, then strips of {{ pixels }} pixels. With `kernel_w` > 0 filter width and
// stride are fixed in the text and each input column is loaded once per filter row. With `texels` = 2 an invocation folds
// two texels, which it loads and stores together; widths are even then.
// Twins: AVERAGE_POOL_2D, MAX_POOL_2D, L2_POOL_2D.
//% set hoisted = true
//% set paired = ["src", "dst"] if texels == 2 else []
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
//% set load = "pair" if texels == 2 else "load"
//% set x = ".x" if texels == 2 else ""
//% set before = "sqrt(" if fold_op == "l2" else ""
//% set behind = "" if fold_op == "max" else " / cells)" if fold_op == "l2" else " / cells"

@compute @workgroup_size({{ wx }}, {{ wy }}, 1)
fn pool(@builtin(global_invocation_id) id: vec3<u32>) {
    begin();
    let in_h = params.in_h;
    let in_w = params.in_w;
    let out_h = params.out_h;
    let out_w = params.out_w;
    let width = params.width{{ " / 2u" if texels == 2 }};
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
//% if texels == 2
    var next{{ p }} = acc{{ p }};
//% endif
//% endfor
    for (var iy = begin_y; iy < end_y; iy++) {
        let line = ((id.z * in_h + u32(iy)) * in_w) * width + n;
//% if kernel_w
//% for c in range((pixels - 1) * stride + kernel_w)
        let x{{ c }} = first0 + {{ c }};
        let a{{ c }} = {{ load }}_src(line + u32(clamp(x{{ c }}, 0, last_x)) * width);
        let in{{ c }} = u32(x{{ c }}) < in_w;
//% for p in range(pixels)
//% if c >= p * stride and c < p * stride + kernel_w
{{ fold("acc" ~ p, "a" ~ c ~ x, "in" ~ c) }}
//% if texels == 2
{{ fold("next" ~ p, "a" ~ c ~ ".y", "in" ~ c) }}
//% endif
//% endif
//% endfor
//% endfor
//% else
        for (var kx = 0; kx < kernel_w; kx++) {
//% for p in range(pixels)
            let x{{ p }} = first{{ p }} + kx;
            let a{{ p }} = {{ load }}_src(line + u32(clamp(x{{ p }}, 0, last_x)) * width);
{{ fold("acc" ~ p, "a" ~ p ~ x, "u32(x" ~ p ~ ") < in_w") }}
//% if texels == 2
{{ fold("next" ~ p, "a" ~ p ~ ".y", "u32(x" ~ p ~ ") < in_w") }}
//% endif
//% endfor
        }
//% endif
    }
    let out = ((id.z * out_h + y) * out_w + x) * width + n;
//% if fold_op != "max"
    let cells_y = max(end_y - begin_y, 0);
//% endif
//% if texels == 2
    // One pixel after another: unrolled, what is done at the end would be most of the code.
    for (var p = 0u; p < {{ pixels }}u; p++) {
        var v = acc0;
        var w = next0;
//% for p in range(1, pixels)
        v = select(v, acc{{ p }}, p == {{ p }}u);
        w = select(w, next{{ p }}, p == {{ p }}u);
//% endfor
//% if fold_op != "max"
        let first = i32((x + p) * params.stride_w) - i32(params.pad_left);
        let cells = f32(max(cells_y * (min(first + kernel_w, i32(in_w)) - max(first, 0)), 1));
//% endif
        if (x + p < out_w) { emit_pair(out + p * width, n * 2u, {{ before }}v{{ behind }}, {{ before }}w{{ behind }}); }
    }
//% else
//% for p in range(pixels)
    if (x + {{ p }}u < out_w) {
//% if fold_op != "max"
        let cells = f32(max(cells_y * (min(first{{ p }} + kernel_w, i32(in_w)) - max(first{{ p }}, 0)), 1));
//% endif
        emit(out + {{ p }}u * width, n, {{ before }}acc{{ p }}{{ behind }});
    }
//% endfor
//% endif
}
