//! Activations as operators of their own.

use BuiltinOperator as B;
use half::{bf16, f16};
use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::support::{Clamp, Real, erf, map, no_type};
use super::{EvalCtx, KernelError, Row, lut, quantized_unary};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Relu, eval },
    Row { op: B::Relu6, eval },
    Row { op: B::ReluN1To1, eval },
    Row { op: B::Relu0To1, eval },
    Row { op: B::Elu, eval },
    Row { op: B::LeakyRelu, eval },
    Row { op: B::Tanh, eval },
    Row { op: B::Logistic, eval },
    Row { op: B::HardSwish, eval },
    Row { op: B::Gelu, eval },
];

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => eval_float::<f32>(ctx),
        DType::Float16 => eval_float::<f16>(ctx),
        DType::BFloat16 => eval_float::<bf16>(ctx),
        _ if quantized_unary::applies(ctx) => eval_quantized(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32, FLOAT16, BFLOAT16 or a quantised type")),
    }
}

fn eval_quantized(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let wide = ctx.input(0)?.dtype() == DType::Int16;
    match &ctx.node.op {
        Op::Relu => quantized_unary::relu(ctx, Clamp { min: 0.0, max: f32::INFINITY }),
        Op::Relu6 => quantized_unary::relu(ctx, Clamp { min: 0.0, max: 6.0 }),
        Op::ReluN1To1 => quantized_unary::relu(ctx, Clamp { min: -1.0, max: 1.0 }),
        Op::Relu0To1 => quantized_unary::relu(ctx, Clamp { min: 0.0, max: 1.0 }),
        Op::Elu => lut::eval(ctx, false, elu),
        Op::LeakyRelu(options) => quantized_unary::leaky_relu(ctx, options.alpha),
        Op::Tanh | Op::Logistic if wide => quantized_unary::sigmoid_16(ctx),
        Op::Tanh => lut::eval(ctx, false, f32::tanh),
        Op::Logistic => lut::eval(ctx, false, |x| 1.0 / (1.0 + (-x).exp())),
        Op::HardSwish => quantized_unary::hard_swish(ctx),
        Op::Gelu(options) if options.approximate => lut::eval(ctx, true, gelu_tanh),
        _ => lut::eval(ctx, true, gelu),
    }
}

fn eval_float<T: Real>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Real>(ctx: &mut EvalCtx<'_>, f: impl Fn(f32) -> f32 + Send + Sync) -> Result<(), KernelError> {
        map(ctx, 0, move |x: T| T::narrow(f(x.widen())))
    }
    let clamp = |min, max| move |x| Clamp { min, max }.apply(x);
    match &ctx.node.op {
        Op::Relu => of::<T>(ctx, clamp(0.0, f32::INFINITY)),
        Op::Relu6 => of::<T>(ctx, clamp(0.0, 6.0)),
        Op::ReluN1To1 => of::<T>(ctx, clamp(-1.0, 1.0)),
        Op::Relu0To1 => of::<T>(ctx, clamp(0.0, 1.0)),
        Op::Elu => of::<T>(ctx, elu),
        Op::LeakyRelu(options) => {
            let alpha = options.alpha;
            of::<T>(ctx, move |x| if x > 0.0 { x } else { x * alpha })
        }
        Op::Tanh => of::<T>(ctx, f32::tanh),
        Op::Logistic => of::<T>(ctx, logistic),
        Op::HardSwish => of::<T>(ctx, hard_swish),
        Op::Gelu(options) if options.approximate => of::<T>(ctx, gelu_tanh),
        _ => of::<T>(ctx, gelu),
    }
}

pub(super) fn elu(x: f32) -> f32 {
    if x < 0.0 { x.exp_m1() } else { x }
}

/// 1 / (1 + exp(−x)), with TFLite's short cuts where one term vanishes.
pub(super) fn logistic(x: f32) -> f32 {
    if x > 16.619_047 {
        1.0
    } else if x < -9.0 {
        x.exp()
    } else {
        1.0 / (1.0 + (-x).exp())
    }
}

pub(super) fn hard_swish(x: f32) -> f32 {
    x * Clamp { min: 0.0, max: 6.0 }.apply(x + 3.0) / 6.0
}

/// x · Φ(x); as in TFLite the error function alone is not rounded to single precision.
pub(super) fn gelu(x: f32) -> f32 {
    let argument = x * std::f32::consts::FRAC_1_SQRT_2;
    0.5 * x * (1.0 + erf(argument.into())) as f32
}

/// GELU with TFLite's approximation of Φ by tanh.
pub(super) fn gelu_tanh(x: f32) -> f32 {
    const FACTOR: f32 = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
    0.5 * x * (1.0 + (FACTOR * (x + 0.044_715 * x * x * x)).tanh())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let x = [-4.0, -1.0, 0.0, 1.0, 4.0];
        let near = |f: fn(f32) -> f32, expected: [f32; 5]| {
            for (x, expected) in x.into_iter().zip(expected) {
                assert!((f(x) - expected).abs() < 1e-6, "{x}: {}, expected {expected}", f(x));
            }
        };
        near(elu, [-0.981_684_4, -0.632_120_55, 0.0, 1.0, 4.0]);
        near(logistic, [0.017_986_21, 0.268_941_43, 0.5, 0.731_058_6, 0.982_013_76]);
        near(hard_swish, [0.0, -1.0 / 3.0, 0.0, 2.0 / 3.0, 4.0]);
        near(gelu, [-0.000_126_7, -0.158_655_25, 0.0, 0.841_344_7, 3.999_873_4]);
        near(gelu_tanh, [-0.000_070_3, -0.158_808_01, 0.0, 0.841_191_95, 3.999_929_7]);
        assert!([elu, logistic, hard_swish, gelu, gelu_tanh].iter().all(|f| f(f32::NAN).is_nan()));
    }
}
