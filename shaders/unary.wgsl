// Unary functions on four channels. Arguments are bounded where an adapter's built-in leaves its domain (tanh, exp).
fn op_abs(v: vec4<f32>) -> vec4<f32> { return abs(v); }
fn op_ceil(v: vec4<f32>) -> vec4<f32> { return ceil(v); }
fn op_cos(v: vec4<f32>) -> vec4<f32> { return cos(v); }
fn op_exp(v: vec4<f32>) -> vec4<f32> { return exp(v); }
fn op_floor(v: vec4<f32>) -> vec4<f32> { return floor(v); }
fn op_log(v: vec4<f32>) -> vec4<f32> { return log(v); }
fn op_neg(v: vec4<f32>) -> vec4<f32> { return -v; }
fn op_round(v: vec4<f32>) -> vec4<f32> { return round(v); }
fn op_rsqrt(v: vec4<f32>) -> vec4<f32> { return 1.0 / sqrt(v); }
fn op_sign(v: vec4<f32>) -> vec4<f32> { return sign(v); }
fn op_sin(v: vec4<f32>) -> vec4<f32> { return sin(v); }
fn op_sqrt(v: vec4<f32>) -> vec4<f32> { return sqrt(v); }
fn op_square(v: vec4<f32>) -> vec4<f32> { return v * v; }
fn op_tanh(v: vec4<f32>) -> vec4<f32> { return tanh(clamp(v, vec4<f32>(-10.0), vec4<f32>(10.0))); }
fn op_logistic(v: vec4<f32>) -> vec4<f32> { return 1.0 / (1.0 + exp(-clamp(v, vec4<f32>(-87.0), vec4<f32>(87.0)))); }
fn op_elu(v: vec4<f32>) -> vec4<f32> { return select(exp(min(v, vec4<f32>(0.0))) - 1.0, v, v >= vec4<f32>(0.0)); }
fn op_hard_swish(v: vec4<f32>) -> vec4<f32> { return v * clamp(v + 3.0, vec4<f32>(0.0), vec4<f32>(6.0)) * 0.16666667; }
fn op_gelu_tanh(v: vec4<f32>) -> vec4<f32> {
    return 0.5 * v * (1.0 + op_tanh(0.7978845608 * (v + 0.044715 * v * v * v)));
}
// erf by Abramowitz and Stegun 7.1.26: |error| < 1.5e-7.
fn op_erf(v: vec4<f32>) -> vec4<f32> {
    let a = min(abs(v), vec4<f32>(9.0));
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(v) * (1.0 - p * exp(-a * a));
}
fn op_gelu(v: vec4<f32>) -> vec4<f32> { return 0.5 * v * (1.0 + op_erf(v * 0.70710678)); }
