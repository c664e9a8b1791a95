// Bindings, texel access and the epilogue, declared from the kernel's row and variant.
//
// A texel is four channels. For a binding NAME:
//   load_NAME(t) -> vec4<f32> (vec4<i32> for i32 storage)      texel t
//   element_NAME(e) -> f32 (i32)                               element e, counted with row padding
//   store_NAME(t, v)                                           outputs only
//   block_NAME(b) -> Block                                     four texels, for weights in blocks
//   NAME[i]                                                    raw storage: words
// `lanes(column)` is true where a lane is below `params.channels`.
// `emit(texel, column, v)` stores to `dst` after the epilogue and zeroes lanes beyond `params.channels`; `v` and the
// epilogue are vec4<i32> where `dst` is stored so.
//% if f16_typed
enable f16;
//% endif

struct Params {
//% for p in params
    {{ p.name }}: {{ p.kind }},
//% endfor
//% if not params
    unused: u32,
//% endif
}

struct Block { x: vec4<f32>, y: vec4<f32>, z: vec4<f32>, w: vec4<f32> }

fn clamp_half(v: vec4<f32>) -> vec4<f32> {
    return clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0));
}

// Nearest even in integer arithmetic; subnormal halves become zero, NaN stays NaN.
fn half_bits(v: vec4<f32>) -> vec4<u32> {
    let u = bitcast<vec4<u32>>(v);
    let a = u & vec4<u32>(0x7fffffffu);
    let rounded = ((a + vec4<u32>(0xfffu) + ((a >> vec4<u32>(13u)) & vec4<u32>(1u))) >> vec4<u32>(13u)) - vec4<u32>(0x1c000u);
    let kept = select(rounded, vec4<u32>(0u), a < vec4<u32>(0x38800000u));
    let bits = select(kept, vec4<u32>(0x7e00u), a > vec4<u32>(0x7f800000u));
    return bits | ((u >> vec4<u32>(16u)) & vec4<u32>(0x8000u));
}

fn pack_half4(v: vec4<f32>) -> vec2<u32> {
//% if round_store
    let h = half_bits(clamp_half(v));
    return vec2<u32>(h.x | (h.y << 16u), h.z | (h.w << 16u));
//% else
    let c = clamp_half(v);
    return vec2<u32>(pack2x16float(c.xy), pack2x16float(c.zw));
//% endif
}

fn unpack_half2(w: u32) -> vec2<f32> {
//% if round_load
    let h = vec2<u32>(w & 0xffffu, w >> 16u);
    let magnitude = bitcast<vec2<f32>>((h & vec2<u32>(0x7fffu)) << vec2<u32>(13u)) * 5.192296858534828e33;
    return bitcast<vec2<f32>>(bitcast<vec2<u32>>(magnitude) | ((h & vec2<u32>(0x8000u)) << vec2<u32>(16u)));
//% else
    return unpack2x16float(w);
//% endif
}

fn unpack_half4(w: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack_half2(w.x), unpack_half2(w.y));
}

//% for b in bindings
//% set access = "read" if b.read_only else "read_write"
//% if b.storage == "raw"
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<u32>;
//% elif b.storage == "i32"
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec4<i32>>;
fn load_{{ b.name }}(t: u32) -> vec4<i32> { return {{ b.name }}[t]; }
fn element_{{ b.name }}(e: u32) -> i32 { return {{ b.name }}[e >> 2u][e & 3u]; }
//% if b.writes
fn store_{{ b.name }}(t: u32, v: vec4<i32>) { {{ b.name }}[t] = v; }
//% endif
//% elif b.storage == "f32"
//% if b.blocks
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<Block>;
fn block_{{ b.name }}(i: u32) -> Block { return {{ b.name }}[i]; }
//% else
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec4<f32>>;
fn load_{{ b.name }}(t: u32) -> vec4<f32> { return {{ b.name }}[t]; }
fn element_{{ b.name }}(e: u32) -> f32 { return {{ b.name }}[e >> 2u][e & 3u]; }
//% if b.writes
fn store_{{ b.name }}(t: u32, v: vec4<f32>) { {{ b.name }}[t] = v; }
//% endif
//% endif
//% elif f16_typed
//% if b.blocks
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<array<vec4<f16>, 4>>;
fn block_{{ b.name }}(i: u32) -> Block {
    return Block(vec4<f32>({{ b.name }}[i][0]), vec4<f32>({{ b.name }}[i][1]), vec4<f32>({{ b.name }}[i][2]), vec4<f32>({{ b.name }}[i][3]));
}
//% else
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec4<f16>>;
fn load_{{ b.name }}(t: u32) -> vec4<f32> { return vec4<f32>({{ b.name }}[t]); }
fn element_{{ b.name }}(e: u32) -> f32 { return f32({{ b.name }}[e >> 2u][e & 3u]); }
//% if b.writes
fn store_{{ b.name }}(t: u32, v: vec4<f32>) { {{ b.name }}[t] = vec4<f16>(clamp_half(v)); }
//% endif
//% endif
//% else
//% if b.blocks
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<array<vec4<u32>, 2>>;
fn block_{{ b.name }}(i: u32) -> Block {
    let low = {{ b.name }}[i][0];
    let high = {{ b.name }}[i][1];
    return Block(unpack_half4(low.xy), unpack_half4(low.zw), unpack_half4(high.xy), unpack_half4(high.zw));
}
//% else
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec2<u32>>;
fn load_{{ b.name }}(t: u32) -> vec4<f32> { return unpack_half4({{ b.name }}[t]); }
fn element_{{ b.name }}(e: u32) -> f32 { return unpack_half2({{ b.name }}[e >> 2u][(e >> 1u) & 1u])[e & 1u]; }
//% if b.writes
fn store_{{ b.name }}(t: u32, v: vec4<f32>) { {{ b.name }}[t] = pack_half4(v); }
//% endif
//% endif
//% endif
//% endfor
@group(0) @binding({{ params_index }}) var<uniform> params: Params;

//% if has_channels
// True where a lane of this column is a channel of the tensor.
fn lanes(column: u32) -> vec4<bool> {
    return vec4<u32>(column * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.channels);
}
//% endif

//% if has_epilogue
//% include "unary.wgsl"

//% set result = "vec4<i32>" if int_result else "vec4<f32>"
fn emit(texel: u32, column: u32, value: {{ result }}) {
    var v = value;
//% for expression in epilogue
    v = {{ expression }};
//% endfor
    store_dst(texel, select({{ result }}(), v, lanes(column)));
}
//% endif

// Index of an invocation of a linear dispatch, which folds into y beyond 65,535 workgroups.
fn linear_index(id: vec3<u32>, groups: vec3<u32>, size: u32) -> u32 {
    return id.x + id.y * groups.x * size;
}
