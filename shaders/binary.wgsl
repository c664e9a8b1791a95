// Functions of two values on four channels.

// The remainder with the divisor's sign. The quotient may be off by one where it rounds; the corrections mend that.
fn floor_mod(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let m = abs(b);
    var r = abs(a) - trunc(abs(a) / m) * m;
    r = select(r, r + m, r < vec4<f32>(0.0));
    r = select(r, r - m, r >= m);
    let rest = select(r, -r, a < vec4<f32>(0.0));
    let other_side = (rest != vec4<f32>(0.0)) & ((rest < vec4<f32>(0.0)) != (b < vec4<f32>(0.0)));
    return select(rest, rest + b, other_side);
}

// 2^(b · log2|a|) with the sign of a power of a negative number by hand; not a number where the exponent is no integer.
fn power(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    let one = vec4<f32>(1.0);
    let size = exp(b * op_log(abs(a)));
    let odd = fract(b * 0.5) != zero;
    let whole = fract(b) == zero;
    let negative = select(sqrt(-abs(a) - one), select(size, -size, odd), whole);
    var r = select(size, negative, a < zero);
    r = select(r, select(1.0 / abs(a), zero, b > zero), a == zero);
    return select(r, one, (b == zero) | (a == one));
}

// The angle of (x, y): a polynomial of the smaller over the larger, then the octant.
fn angle(y: vec4<f32>, x: vec4<f32>) -> vec4<f32> {
    let ax = abs(x);
    let ay = abs(y);
    let large = max(ax, ay);
    let t = select(min(ax, ay) / large, vec4<f32>(0.0), large == vec4<f32>(0.0));
    let wide = t > vec4<f32>(0.41421356);
    let s = select(t, (t - 1.0) / (t + 1.0), wide);
    let z = s * s;
    let p = s + s * z * (-0.333329491539 + z * (0.199777106478 + z * (-0.138776856032 + z * 0.0805374449538)));
    var r = select(p, p + 0.78539816, wide);
    r = select(r, 1.57079633 - r, ay > ax);
    let left = (bitcast<vec4<u32>>(x) & vec4<u32>(0x80000000u)) != vec4<u32>(0u);
    let below = (bitcast<vec4<u32>>(y) & vec4<u32>(0x80000000u)) != vec4<u32>(0u);
    r = select(r, 3.14159265 - r, left);
    return select(r, -r, below);
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
