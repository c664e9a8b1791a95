// Unary functions on four channels. Built-ins are used where every adapter has them exact enough; arguments are
// bounded where an adapter's built-in leaves its domain (tanh, exp).
fn op_abs(v: vec4<f32>) -> vec4<f32> { return abs(v); }
fn op_ceil(v: vec4<f32>) -> vec4<f32> { return ceil(v); }
fn op_exp(v: vec4<f32>) -> vec4<f32> { return exp(v); }
fn op_floor(v: vec4<f32>) -> vec4<f32> { return floor(v); }
fn op_neg(v: vec4<f32>) -> vec4<f32> { return -v; }
fn op_round(v: vec4<f32>) -> vec4<f32> { return round(v); }
fn op_rsqrt(v: vec4<f32>) -> vec4<f32> { return 1.0 / sqrt(v); }
fn op_sign(v: vec4<f32>) -> vec4<f32> { return sign(v); }
fn op_sqrt(v: vec4<f32>) -> vec4<f32> { return sqrt(v); }
fn op_square(v: vec4<f32>) -> vec4<f32> { return v * v; }

// Compilers take numbers for finite, so what is infinite or none is told, and made, by its bits.
fn where_number(v: vec4<f32>, number: vec4<bool>) -> vec4<f32> {
    return bitcast<vec4<f32>>(select(vec4<u32>(0x7fc00000u), bitcast<vec4<u32>>(v), number));
}

// v = m · 2^e with m in [√½, √2); ln m = 2 artanh((m − 1) / (m + 1)). The built-in's absolute error is too large near 1,
// and it need not know subnormal numbers, which are counted here in steps of 2^-149.
fn op_log(v: vec4<f32>) -> vec4<f32> {
    let u = bitcast<vec4<u32>>(v);
    let subnormal = u < vec4<u32>(0x800000u);
    let bits = select(u, bitcast<vec4<u32>>(vec4<f32>(u)), subnormal) - vec4<u32>(0x3f3504f3u);
    let e = vec4<f32>(bitcast<vec4<i32>>(bits) >> vec4<u32>(23u)) - select(vec4<f32>(0.0), vec4<f32>(149.0), subnormal);
    let f = bitcast<vec4<f32>>((bits & vec4<u32>(0x7fffffu)) + vec4<u32>(0x3f3504f3u)) - 1.0;
    let s = f / (f + 2.0);
    let z = s * s;
    let p = 2.0 * s + 2.0 * s * z * (0.33333333 + z * (0.2 + z * (0.14285714 + z * 0.11111111)));
    let r = e * 0.693359375 + (p - e * 0.00021219444);
    // Infinity has itself, zero −∞, and what is negative or no number has none.
    let known = select(bitcast<vec4<u32>>(r), u, u == vec4<u32>(0x7f800000u));
    let zero = (u << vec4<u32>(1u)) == vec4<u32>(0u);
    let none = select(known, vec4<u32>(0x7fc00000u), u > vec4<u32>(0x7f800000u));
    return bitcast<vec4<f32>>(select(none, vec4<u32>(0xff800000u), zero));
}

// Beyond 0.4 by exp, below by the series, where the difference of exponentials would cancel.
fn op_tanh(v: vec4<f32>) -> vec4<f32> {
    let a = min(abs(v), vec4<f32>(10.0));
    let z = a * a;
    let near = a + a * z * (-0.33333333 + z * (0.13333333 + z * (-0.053968254 + z * (0.021869489 - z * 0.0088632355))));
    let r = select(1.0 - 2.0 / (exp(2.0 * a) + 1.0), near, a < vec4<f32>(0.4));
    return select(r, -r, v < vec4<f32>(0.0));
}

// e^v − 1.
fn op_expm1(v: vec4<f32>) -> vec4<f32> {
    let near = v + v * v * (0.5 + v * (0.16666667 + v * (0.041666667 + v * (0.0083333333 + v * 0.0013888889))));
    return select(exp(v) - 1.0, near, abs(v) < vec4<f32>(0.3));
}

fn op_logistic(v: vec4<f32>) -> vec4<f32> { return 1.0 / (1.0 + exp(-clamp(v, vec4<f32>(-87.0), vec4<f32>(87.0)))); }
fn op_swish(v: vec4<f32>) -> vec4<f32> { return v * op_logistic(v); }
fn op_elu(v: vec4<f32>) -> vec4<f32> { return select(op_expm1(min(v, vec4<f32>(0.0))), v, v >= vec4<f32>(0.0)); }
fn op_hard_sigmoid(v: vec4<f32>) -> vec4<f32> { return clamp(v + 3.0, vec4<f32>(0.0), vec4<f32>(6.0)) * 0.16666667; }
fn op_hard_swish(v: vec4<f32>) -> vec4<f32> { return v * clamp(v + 3.0, vec4<f32>(0.0), vec4<f32>(6.0)) * 0.16666667; }
// ½ (1 + tanh x) = 1 / (1 + e^(−2x)), which does not cancel for negative x.
fn op_gelu_tanh(v: vec4<f32>) -> vec4<f32> {
    return v * op_logistic(1.5957691216 * (v + 0.044715 * v * v * v));
}
// ½ erfc(|v| / √2) by a Chebyshev fit whose error is relative (1.2e-7), as the tail is all there is far below zero;
// Φ by symmetry.
fn op_gelu(v: vec4<f32>) -> vec4<f32> {
    let a = min(abs(v), vec4<f32>(13.0)) * 0.70710678;
    let t = 1.0 / (1.0 + 0.5 * a);
    let high = -1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277));
    let low = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807 + t * high)))));
    let tail = 0.5 * t * exp(low - a * a);
    return v * select(tail, 1.0 - tail, v >= vec4<f32>(0.0));
}

// The forms on integers.
fn op_abs_int(v: vec4<i32>) -> vec4<i32> { return abs(v); }
fn op_neg_int(v: vec4<i32>) -> vec4<i32> { return -v; }
fn op_sign_int(v: vec4<i32>) -> vec4<i32> { return sign(v); }
fn op_square_int(v: vec4<i32>) -> vec4<i32> { return v * v; }
// Bounds beyond ±2e9 are none: they do not convert exactly.
fn clamp_int(v: vec4<i32>, low: f32, high: f32) -> vec4<i32> {
    var r = v;
    if (low > -2e9) { r = max(r, vec4<i32>(i32(low))); }
    if (high < 2e9) { r = min(r, vec4<i32>(i32(high))); }
    return r;
}

// Cut towards zero and bounded; from `high` on, and for what is not a number, `top`.
fn to_int(v: vec4<f32>, low: f32, high: f32, top: i32) -> vec4<i32> {
    let cut = vec4<i32>(clamp(v, vec4<f32>(low), vec4<f32>(high)));
    return select(vec4<i32>(top), cut, v <= vec4<f32>(high));
}
