//! ADD, SUB, MUL, DIV and SQUARED_DIFFERENCE of quantised tensors.

use tflite_wgpu_model::{ActivationFunctionType, DType, Op};

use super::fixed_math::reciprocal;
use super::fixed_point::{Multiplier, high_mul, rounding_shift, saturating_shift};
use super::support::{Affine, Clamp, Stored, input_affine, no_type, output_affine, refuse, stored_clamp, zip};
use super::{EvalCtx, KernelError};

/// Whether the operands are stored integers with scales; INT16 tensors may be plain numbers.
pub(super) fn applies(ctx: &EvalCtx<'_>) -> bool {
    match ctx.inputs.first().copied().flatten().map(crate::Value::dtype) {
        Some(DType::Int8 | DType::UInt8) => true,
        Some(DType::Int16) => ctx.output_quant(0).is_some_and(|quant| quant.per_tensor().is_some()),
        _ => false,
    }
}

/// Runs the node for the type of its input 0.
pub(super) fn eval(ctx: &mut EvalCtx<'_>, activation: ActivationFunctionType) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Int8 => of::<i8>(ctx, activation),
        DType::UInt8 => of::<u8>(ctx, activation),
        DType::Int16 => of::<i16>(ctx, activation),
        _ => Err(no_type(ctx, 0, "INT8, UINT8 or INT16")),
    }
}

/// Scales and zero points of both inputs and the output, and the output's range.
struct Quants {
    a: Affine,
    b: Affine,
    output: Affine,
    clamp: Clamp<i32>,
}

impl Quants {
    fn finish<T: Stored>(&self, scaled: i32) -> T {
        T::narrow(self.clamp.apply(scaled.saturating_add(self.output.zero)))
    }
}

fn of<T: Stored>(ctx: &mut EvalCtx<'_>, activation: ActivationFunctionType) -> Result<(), KernelError> {
    // Whatever type the file states, the output has that of the inputs.
    let (dtype, value) = (ctx.input(0)?.dtype(), ctx.output_value(0)?);
    if value.dtype() != dtype {
        let shape = value.shape().to_vec();
        value.reset(dtype, &shape).map_err(|error| KernelError::Output { output: 0, error })?;
    }
    let output = output_affine(ctx)?;
    let clamp = stored_clamp::<T>(activation, output)?;
    let quants = Quants { a: input_affine(ctx, 0)?, b: input_affine(ctx, 1)?, output, clamp };
    match &ctx.node.op {
        Op::Add(options) => sum::<T>(ctx, quants, options.pot_scale_int16, 1),
        Op::Sub(options) => sum::<T>(ctx, quants, options.pot_scale_int16, -1),
        Op::Mul(_) => {
            // TFLite computes this factor in single precision.
            let factor = quants.a.scale * quants.b.scale / quants.output.scale;
            let multiplier = Multiplier::new(factor.into());
            zip(ctx, move |a: T, b: T| {
                let product = (a.widen() - quants.a.zero).wrapping_mul(b.widen() - quants.b.zero);
                quants.finish::<T>(multiplier.twice_rounded(product))
            })
        }
        Op::SquaredDifference => squared_difference::<T>(ctx, quants),
        _ => quotient::<T>(ctx, quants),
    }
}

/// Both inputs brought to a common scale with `bits` more bits.
#[derive(Clone, Copy)]
struct Common {
    a: Multiplier,
    b: Multiplier,
    bits: i32,
    /// Twice the larger of both scales.
    scale: f64,
}

impl Common {
    fn new(quants: &Quants, bits: i32) -> Self {
        let scale = 2.0 * quants.a.scale().max(quants.b.scale());
        let multiplier = |affine: Affine| Multiplier::new(affine.scale() / scale);
        Self { a: multiplier(quants.a), b: multiplier(quants.b), bits, scale }
    }

    fn scaled<T: Stored>(&self, quants: &Quants, a: T, b: T) -> (i32, i32) {
        let shifted = |value: T, zero: i32| (value.widen() - zero) << self.bits;
        (self.a.twice_rounded(shifted(a, quants.a.zero)), self.b.twice_rounded(shifted(b, quants.b.zero)))
    }
}

/// `a + sign · b`.
fn sum<T: Stored>(ctx: &mut EvalCtx<'_>, quants: Quants, powers: bool, sign: i32) -> Result<(), KernelError> {
    let wide = T::RANGE.max > 255;
    if wide
        && powers
        && let Some(shifts) = shifts(&quants)
    {
        return zip(ctx, move |a: T, b: T| {
            let (a, b) = (rounding_shift(a.widen(), shifts.0), rounding_shift(b.widen(), shifts.1));
            T::narrow(quants.clamp.apply((a + sign * b).clamp(T::RANGE.min, T::RANGE.max)))
        });
    }
    let common = Common::new(&quants, if wide { 15 } else { 20 });
    let output = Multiplier::new(common.scale / (f64::from(1i32 << common.bits) * quants.output.scale()));
    zip(ctx, move |a: T, b: T| {
        let (a, b) = common.scaled(&quants, a, b);
        quants.finish::<T>(output.twice_rounded(a.wrapping_add(sign.wrapping_mul(b))))
    })
}

/// Right shifts from the inputs' scales to the output's, where all are powers of two and none grows.
fn shifts(quants: &Quants) -> Option<(i32, i32)> {
    let log = |affine: Affine| {
        let log = affine.scale().log2();
        (log.fract() == 0.0).then_some(log as i32)
    };
    let (a, b, output) = (log(quants.a)?, log(quants.b)?, log(quants.output)?);
    (output >= a && output >= b).then_some((output - a, output - b))
}

fn squared_difference<T: Stored>(ctx: &mut EvalCtx<'_>, quants: Quants) -> Result<(), KernelError> {
    let common = Common::new(&quants, 7);
    let unit = f64::from(1i32 << (2 * common.bits)) * quants.output.scale();
    let output = Multiplier::new(common.scale * common.scale / unit);
    zip(ctx, move |a: T, b: T| {
        let (a, b) = common.scaled(&quants, a, b);
        let difference = a.wrapping_sub(b);
        quants.finish::<T>(output.twice_rounded(difference.wrapping_mul(difference)))
    })
}

/// `a / b` by the reciprocal of `b`.
fn quotient<T: Stored>(ctx: &mut EvalCtx<'_>, quants: Quants) -> Result<(), KernelError> {
    let zero = quants.b.zero;
    if let Some(at) = ctx.slice::<T>(1)?.iter().position(|b| b.widen() == zero) {
        return Err(refuse("input 1", format!("0 at element {at}"), "divisors other than 0"));
    }
    // TFLite computes this factor in single precision.
    let factor = Multiplier::new((quants.a.scale / (quants.b.scale * quants.output.scale)).into());
    zip(ctx, move |a: T, b: T| {
        let (a, b) = (a.widen() - quants.a.zero, b.widen() - zero);
        let (a, b) = if b < 0 { (-a, -b) } else { (a, b) };
        let (inverse, shift) = reciprocal(b, 31);
        // Bits that the dividend leaves unused.
        let room = if a >= 0 { a.leading_zeros() as i32 - 1 } else { (2 * (-a) - 1).leading_zeros() as i32 };
        let quotient = high_mul(a << room, inverse);
        let scaled = high_mul(quotient, factor.mantissa);
        let left = factor.exponent - shift - room;
        // A dividend of 0 has 31 bits of room; where that makes a shift by 32 or more, TFLite's rounding adds one.
        let one_too_many = a == 0 && left <= -32;
        quants.finish::<T>(if one_too_many { 1 } else { saturating_shift(scaled, left) })
    })
}
