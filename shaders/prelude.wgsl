// Bindings, texel access and the epilogue, declared from the kernel's row and variant.
//
// A texel is four channels. For a binding NAME:
//   load_NAME(t) -> vec4<f32> (vec4<i32> for i32 storage)      texel t
//   element_NAME(e) -> f32 (i32)                               element e, counted with row padding
//   store_NAME(t, v)                                           outputs only
//   block_NAME(b) -> Block                                     four texels, for weights in blocks; texels with quads
//   pair_NAME(p) -> Pair                                       two texels: of such weights where a subgroup shares fewer
//                                                              columns than it has lanes, and of a binding in `paired`,
//                                                              which a kernel may set before this file; it has
//   store_pair_NAME(p, v)                                      then, and nothing by the texel
//   NAME[i]                                                    raw storage: words
// `lanes(column)` is true where a lane is below `params.channels`.
// `emit(texel, column, v)` (`emit(texel, at, column, v)` in kernels with the parameter `pitch`: `at` is the texel's place in
// `dst`, which may be a wider tensor) stores to `dst` after the epilogue and zeroes lanes beyond `params.channels` unless they are
// zero anyway (`unmasked`); `emit_pair(pair, column, v, w)` does so for two texels where `dst` is in `paired`. `v` and the epilogue are vec4<i32> where `dst` is stored so.
//% set quad = broadcast is defined and broadcast == 4
//% set shared = broadcast is defined and broadcast and not quad and texels % broadcast != 0
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

struct Pair { x: vec4<f32>, y: vec4<f32> }

struct Block { x: vec4<f32>, y: vec4<f32>, z: vec4<f32>, w: vec4<f32> }

fn clamp_half(v: vec4<f32>) -> vec4<f32> {
    return clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0));
}

// Nearest even, in integers behind a scaling by 2^-112 that gives magnitudes the half's exponent; what is too large
// becomes 65504, subnormal halves are kept or become zero as the adapter does with subnormals, NaN stays NaN.
fn half_bits(v: vec4<f32>) -> vec4<u32> {
    let u = bitcast<vec4<u32>>(v);
    let scaled = bitcast<vec4<u32>>(abs(v) * 1.925929944387236e-34);
    let rounded = (scaled + vec4<u32>(0xfffu) + ((scaled >> vec4<u32>(13u)) & vec4<u32>(1u))) >> vec4<u32>(13u);
    let bits = select(min(rounded, vec4<u32>(0x7bffu)), vec4<u32>(0x7e00u), bitcast<vec4<i32>>(scaled) > vec4<i32>(0x7f800000));
    return bits | ((u >> vec4<u32>(16u)) & vec4<u32>(0x8000u));
}

fn pack_half4(v: vec4<f32>) -> vec2<u32> {
//% if round_store
    let h = half_bits(v);
    let words = vec2<u32>(h.x | (h.y << 16u), h.z | (h.w << 16u));
//% if hoisted is defined
    // Changes nothing; without it lavapipe's compiler packs the words one by one, in the store's loop over lanes.
    return max(words, vec2<u32>(nothing));
//% else
    return words;
//% endif
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

//% if wide
// What is read has words of 64 bits: on lavapipe a load costs by the component, whatever its size; stores of them are slow.
fn words_of(word: u64) -> vec2<u32> { return vec2<u32>(u32(word), u32(word >> 32u)); }
fn word_of(word: u64, which: u32) -> u32 { return select(u32(word), u32(word >> 32u), (which & 1u) != 0u); }
fn floats_of(words: vec2<u64>) -> vec4<f32> { return bitcast<vec4<f32>>(vec4<u32>(words_of(words.x), words_of(words.y))); }
//% endif

//% for b in bindings
//% set access = "read" if b.read_only else "read_write"
//% set two = (b.blocks and shared) or (paired is defined and b.name in paired)
//% if b.storage == "raw"
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<u32>;
//% elif b.storage == "i32"
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec4<i32>>;
fn load_{{ b.name }}(t: u32) -> vec4<i32> { return {{ b.name }}[t]; }
fn element_{{ b.name }}(e: u32) -> i32 { return {{ b.name }}[e >> 2u][e & 3u]; }
//% if b.writes
fn store_{{ b.name }}(t: u32, v: vec4<i32>) { {{ b.name }}[t] = v; }
//% endif
//% elif b.storage == "f32" and wide and not b.writes
//% if two
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec4<u64>>;
fn pair_{{ b.name }}(i: u32) -> Pair {
    let words = {{ b.name }}[i];
    return Pair(floats_of(words.xy), floats_of(words.zw));
}
//% elif b.blocks and not quad
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<array<vec4<u64>, 2>>;
fn block_{{ b.name }}(i: u32) -> Block {
    let low = {{ b.name }}[i][0];
    let high = {{ b.name }}[i][1];
    return Block(floats_of(low.xy), floats_of(low.zw), floats_of(high.xy), floats_of(high.zw));
}
//% else
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec2<u64>>;
fn load_{{ b.name }}(t: u32) -> vec4<f32> { return floats_of({{ b.name }}[t]); }
fn element_{{ b.name }}(e: u32) -> f32 { return bitcast<f32>(word_of({{ b.name }}[e >> 2u][(e >> 1u) & 1u], e)); }
//% endif
//% elif b.storage == "f32"
//% if two
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<Pair>;
fn pair_{{ b.name }}(i: u32) -> Pair { return {{ b.name }}[i]; }
//% if b.writes
fn store_pair_{{ b.name }}(i: u32, v: Pair) { {{ b.name }}[i] = v; }
//% endif
//% elif b.blocks and not quad
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
//% if two
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<array<vec4<f16>, 2>>;
fn pair_{{ b.name }}(i: u32) -> Pair { return Pair(vec4<f32>({{ b.name }}[i][0]), vec4<f32>({{ b.name }}[i][1])); }
//% if b.writes
fn store_pair_{{ b.name }}(i: u32, v: Pair) {
    {{ b.name }}[i] = array<vec4<f16>, 2>(vec4<f16>(clamp_half(v.x)), vec4<f16>(clamp_half(v.y)));
}
//% endif
//% elif b.blocks and not quad
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
//% elif wide and not b.writes
//% if two
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec2<u64>>;
fn pair_{{ b.name }}(i: u32) -> Pair {
    let words = {{ b.name }}[i];
    return Pair(unpack_half4(words_of(words.x)), unpack_half4(words_of(words.y)));
}
//% elif b.blocks and not quad
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec4<u64>>;
fn block_{{ b.name }}(i: u32) -> Block {
    let words = {{ b.name }}[i];
    return Block(
        unpack_half4(words_of(words.x)), unpack_half4(words_of(words.y)),
        unpack_half4(words_of(words.z)), unpack_half4(words_of(words.w)));
}
//% else
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<u64>;
fn load_{{ b.name }}(t: u32) -> vec4<f32> { return unpack_half4(words_of({{ b.name }}[t])); }
fn element_{{ b.name }}(e: u32) -> f32 { return unpack_half2(word_of({{ b.name }}[e >> 2u], e >> 1u))[e & 1u]; }
//% endif
//% else
//% if two
@group(0) @binding({{ b.index }}) var<storage, {{ access }}> {{ b.name }}: array<vec4<u32>>;
fn pair_{{ b.name }}(i: u32) -> Pair {
    let words = {{ b.name }}[i];
    return Pair(unpack_half4(words.xy), unpack_half4(words.zw));
}
//% if b.writes
fn store_pair_{{ b.name }}(i: u32, v: Pair) { {{ b.name }}[i] = vec4<u32>(pack_half4(v.x), pack_half4(v.y)); }
//% endif
//% elif b.blocks and not quad
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
//% if hoisted is defined
// The kernel's first statement is `begin()`: parameters are read once. (A read costs as much as a gather on lavapipe,
// and its compiler does not see that two in different branches are the same.)
@group(0) @binding({{ params_index }}) var<uniform> uniform_params: Params;
var<private> params: Params;
var<private> nothing: u32;
fn begin() {
    params = uniform_params;
    nothing = select(0u, 1u, params.width == 0xffffffffu);
}
//% else
@group(0) @binding({{ params_index }}) var<uniform> params: Params;
//% endif

//% if has_channels
// True where a lane of this column is a channel of the tensor.
fn lanes(column: u32) -> vec4<bool> {
    return vec4<u32>(column * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.channels);
}
//% endif

//% if has_epilogue
//% include "unary.wgsl"
//% if turns
//% include "turns.wgsl"
//% endif

//% set result = "vec4<i32>" if int_result else "vec4<f32>"
//% set at = "at" if has_pitch else "texel"
// What is stored as a texel: the value behind the epilogue.
fn finish(texel: u32, column: u32, value: {{ result }}) -> {{ result }} {
    var v = value;
//% for expression in epilogue
    v = {{ expression }};
//% endfor
//% if unmasked is undefined
    return select({{ result }}(), v, lanes(column));
//% else
    return v;
//% endif
}
//% if paired is defined and "dst" in paired
fn emit_pair(pair: u32, column: u32, x: {{ result }}, y: {{ result }}) {
    store_pair_dst(pair, Pair(finish(pair * 2u, column, x), finish(pair * 2u + 1u, column + 1u, y)));
}
//% else
fn emit(texel: u32, {{ "at: u32, " if has_pitch }}column: u32, value: {{ result }}) {
    store_dst({{ at }}, finish(texel, column, value));
}
//% endif
//% endif

// Index of an invocation of a linear dispatch, which folds into y beyond 65,535 workgroups.
fn linear_index(id: vec3<u32>, groups: vec3<u32>, size: u32) -> u32 {
    return id.x + id.y * groups.x * size;
}
