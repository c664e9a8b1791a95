// Functions of two values on four channels.

// What stays of one number after division by another, both as bits without sign; finite, the other not zero. Exact, as
// quotients of floats are not: eight bits of the quotient at a time.
fn remainder_of(a: u32, b: u32) -> u32 {
    if (a < b) { return a; }
    let ea = max(a >> 23u, 1u);
    let eb = max(b >> 23u, 1u);
    let mb = (b & 0x7fffffu) | select(0u, 0x800000u, b >= 0x800000u);
    var r = ((a & 0x7fffffu) | select(0u, 0x800000u, a >= 0x800000u)) % mb;
    var left = ea - eb;
    for (var i = 0u; i < 32u && left > 0u; i++) {
        let step = min(left, 8u);
        r = (r << step) % mb;
        left -= step;
    }
    if (r == 0u) { return 0u; }
    let empty = countLeadingZeros(r) - 8u;
    if (eb > empty) { return ((eb - empty) << 23u) | ((r << empty) & 0x7fffffu); }
    return r << (eb - 1u);
}

// The remainder with the divisor's sign; a remainder by ±∞ on the other side of zero is that infinity.
fn floor_mod(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let sign = vec4<u32>(0x80000000u);
    let infinite = vec4<u32>(0x7f800000u);
    let ua = bitcast<vec4<u32>>(a) & ~sign;
    let ub = bitcast<vec4<u32>>(b) & ~sign;
    let number = (ua < infinite) & (ub <= infinite) & (ub > vec4<u32>(0u));
    var rest = ua;
    for (var i = 0u; i < 4u; i++) {
        if (number[i] && ub[i] < 0x7f800000u) { rest[i] = remainder_of(ua[i], ub[i]); }
    }
    let signed = rest | (bitcast<vec4<u32>>(a) & sign);
    let other_side = (rest > vec4<u32>(0u)) & (((bitcast<vec4<u32>>(a) ^ bitcast<vec4<u32>>(b)) & sign) > vec4<u32>(0u));
    let sum = bitcast<vec4<u32>>(bitcast<vec4<f32>>(signed) + b);
    let moved = select(sum, bitcast<vec4<u32>>(b), ub == infinite);
    return where_number(bitcast<vec4<f32>>(select(signed, moved, other_side)), number);
}

// e^(b · ln|a|) with the sign of a power of a negative number by hand; not a number where the exponent is no integer.
// Zeros and infinities are told by their bits and follow rules of their own; a zero exponent and the base 1 give 1 always.
fn power(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let sign = vec4<u32>(0x80000000u);
    let infinite = vec4<u32>(0x7f800000u);
    let one = vec4<u32>(0x3f800000u);
    let ua = bitcast<vec4<u32>>(a) & ~sign;
    let ub = bitcast<vec4<u32>>(b) & ~sign;
    let negative = (bitcast<vec4<u32>>(a) & sign) > vec4<u32>(0u);
    let falls = (bitcast<vec4<u32>>(b) & sign) > vec4<u32>(0u);
    // Between 0 and 1 nothing is whole, not even what an adapter takes for zero because it is subnormal.
    let part = (ub > vec4<u32>(0u)) & (ub < one);
    let whole = (!part & (fract(b) == vec4<f32>(0.0))) | (ub == infinite);
    let odd = whole & (fract(b * 0.5) != vec4<f32>(0.0)) & (ub < infinite);
    let x = b * op_log(abs(a));
    // The exponential may round beyond the largest number.
    var r = min(bitcast<vec4<u32>>(exp(x)), vec4<u32>(0x7f7fffffu));
    r = select(r, infinite, x > vec4<f32>(88.7229));
    r = select(r, vec4<u32>(0u), x < vec4<f32>(-104.0));
    let large = (ua > one) != falls;
    let special = (ua == vec4<u32>(0u)) | (ua == infinite) | (ub == infinite);
    r = select(r, select(vec4<u32>(0u), infinite, large), special);
    r = select(r, one, (ua == one) & (ub == infinite));
    r |= select(vec4<u32>(0u), sign, negative & odd);
    let number = (ua <= infinite) & (ub <= infinite) & (whole | !negative | special);
    r = select(vec4<u32>(0x7fc00000u), r, number);
    return bitcast<vec4<f32>>(select(r, one, (ub == vec4<u32>(0u)) | (bitcast<vec4<u32>>(a) == one)));
}

// The angle of (x, y): a polynomial of the smaller over the larger, then the octant. Zeros and infinities are told by
// their bits.
fn angle(y: vec4<f32>, x: vec4<f32>) -> vec4<f32> {
    let infinite = vec4<u32>(0x7f800000u);
    let ux = bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu);
    let uy = bitcast<vec4<u32>>(y) & vec4<u32>(0x7fffffffu);
    let small = min(ux, uy);
    let large = max(ux, uy);
    // Bits of subnormal numbers are in proportion to them, and no adapter takes those for zero.
    let subnormal = large < vec4<u32>(0x00800000u);
    let over = select(bitcast<vec4<f32>>(small), vec4<f32>(small), subnormal);
    let under = select(bitcast<vec4<f32>>(large), vec4<f32>(large), subnormal);
    let ratio = over / under;
    let ends = select(vec4<f32>(0.0), vec4<f32>(1.0), (small == infinite));
    let t = select(ratio, ends, (large == infinite) | (large == vec4<u32>(0u)));
    let wide = t > vec4<f32>(0.41421356);
    let s = select(t, (t - 1.0) / (t + 1.0), wide);
    let z = s * s;
    let p = s + s * z * (-0.333329491539 + z * (0.199777106478 + z * (-0.138776856032 + z * 0.0805374449538)));
    var r = select(p, p + 0.78539816, wide);
    r = select(r, 1.57079633 - r, uy > ux);
    let left = (bitcast<vec4<u32>>(x) & vec4<u32>(0x80000000u)) != vec4<u32>(0u);
    let below = (bitcast<vec4<u32>>(y) & vec4<u32>(0x80000000u)) != vec4<u32>(0u);
    r = select(r, 3.14159265 - r, left);
    return where_number(select(r, -r, below), large <= infinite);
}

// Towards −∞.
fn floor_div_int(a: vec4<i32>, b: vec4<i32>) -> vec4<i32> {
    let q = a / b;
    let inexact = (a % b != vec4<i32>(0)) & ((a < vec4<i32>(0)) != (b < vec4<i32>(0)));
    return select(q, q - vec4<i32>(1), inexact);
}

// With the sign of b.
fn floor_mod_int(a: vec4<i32>, b: vec4<i32>) -> vec4<i32> {
    let r = a % b;
    let other_side = (r != vec4<i32>(0)) & ((r < vec4<i32>(0)) != (b < vec4<i32>(0)));
    return select(r, r + b, other_side);
}

// By squaring; exponents are not negative.
fn power_int(a: vec4<i32>, b: vec4<i32>) -> vec4<i32> {
    var result = vec4<i32>(1);
    var square = a;
    var rest = b;
    for (var i = 0u; i < 31u; i++) {
        result = select(result, result * square, (rest & vec4<i32>(1)) != vec4<i32>(0));
        square = square * square;
        rest = rest >> vec4<u32>(1u);
    }
    return result;
}
