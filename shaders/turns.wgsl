// Sine and cosine on four channels.

// The upper word of a product whose first factor has 24 bits.
fn product_high(m: u32, w: u32) -> u32 {
    let low = (m & 0xffffu) * (w & 0xffffu);
    let left = (m >> 16u) * (w & 0xffffu) + (low >> 16u);
    let right = (m & 0xffffu) * (w >> 16u) + (left & 0xffffu);
    return (m >> 16u) * (w >> 16u) + (left >> 16u) + (right >> 16u);
}

// The nearest multiple of π/2 modulo 4, and what is left in radians, of a finite number of at least 1, by its bits: the
// product with the bits of 2/π that decide over it, as a fraction of a turn in 64 bits.
fn quarter_turns_of(bits: u32) -> vec2<f32> {
    // 2/π behind 32 zero bits.
    var pi = array<u32, 9>(0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu, 0u);
    let m = (bits & 0x7fffffu) | 0x800000u;
    let place = (bits >> 23u) - 120u;
    let word = min(place >> 5u, 5u);
    let odd = place & 31u;
    var w = array<u32, 3>();
    for (var i = 0u; i < 3u; i++) {
        w[i] = (pi[word + i] << odd) | select(0u, pi[word + i + 1u] >> (32u - max(odd, 1u)), odd > 0u);
    }
    let lowest = m * w[1];
    var low = lowest + product_high(m, w[2]);
    var high = m * w[0] + product_high(m, w[1]) + select(0u, 1u, low < lowest);
    let quarter = (high + 0x20000000u) >> 30u;
    high -= quarter << 30u;
    let back = (high & 0x80000000u) != 0u;
    if (back) {
        low = ~low + 1u;
        high = ~high + select(0u, 1u, low == 0u);
    }
    let rest = (f32(high) + f32(low) * 2.3283064e-10) * 1.4629180793e-9;
    return vec2<f32>(f32(quarter), select(rest, -rest, back));
}

// sin(v + shift · π/2). The built-ins are off by 2e-4 on some adapters. v less its multiple of π/2, which is taken off
// in three parts of few bits, lies within ±π/4, where polynomials serve; the multiple chooses which, and the sign.
// Beyond 10,000 the parts are too coarse, and not a number follows from what is none and from infinities.
fn op_quarter_turns(v: vec4<f32>, shift: i32) -> vec4<f32> {
    let size = bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu);
    let far = size > vec4<u32>(0x461c4000u);
    var k = round(v * 0.63661977);
    var r = ((v - k * 1.5703125) - k * 0.00048375129699707) - k * 7.5497899487686e-8;
    if (any(far)) {
        for (var i = 0u; i < 4u; i++) {
            if (far[i]) {
                let turned = quarter_turns_of(size[i]);
                let back = v[i] < 0.0;
                k[i] = select(turned.x, -turned.x, back);
                r[i] = select(turned.y, -turned.y, back);
            }
        }
    }
    let z = r * r;
    let sine = r + r * z * (-0.16666655 + z * (0.0083321609 - z * 0.00019515296));
    let cosine = 1.0 - 0.5 * z + z * z * (0.041666646 + z * (-0.0013887316 + z * 0.000024433157));
    let quarter = vec4<i32>(k) + vec4<i32>(shift);
    let even = (quarter & vec4<i32>(1)) == vec4<i32>(0);
    let value = select(cosine, sine, even);
    let turned = select(value, -value, (quarter & vec4<i32>(2)) != vec4<i32>(0));
    return where_number(turned, size < vec4<u32>(0x7f800000u));
}
fn op_sin(v: vec4<f32>) -> vec4<f32> { return op_quarter_turns(v, 0); }
fn op_cos(v: vec4<f32>) -> vec4<f32> { return op_quarter_turns(v, 1); }
