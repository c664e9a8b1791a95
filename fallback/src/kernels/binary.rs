//! Arithmetic of two tensors with broadcasting, and ADD_N, on floats and plain integers; quantised
//! operands are [`super::quantized_binary`]'s.

use BuiltinOperator as B;
use half::{bf16, f16};
use tflite_wgpu_model::{ActivationFunctionType, BuiltinOperator, DType, Op};

use super::support::{Clamp, Real, expect_shape, float_clamp, no_type, refuse, zip};
use super::{EvalCtx, KernelError, Row, quantized_binary};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Add, eval: arithmetic },
    Row { op: B::Sub, eval: arithmetic },
    Row { op: B::Mul, eval: arithmetic },
    Row { op: B::Div, eval: arithmetic },
    Row { op: B::Maximum, eval: |ctx| extreme(ctx, true) },
    Row { op: B::Minimum, eval: |ctx| extreme(ctx, false) },
    Row { op: B::Pow, eval: pow },
    Row { op: B::SquaredDifference, eval: squared_difference },
    Row { op: B::FloorDiv, eval: floor_div },
    Row { op: B::FloorMod, eval: floor_mod },
    Row { op: B::Atan2, eval: atan2 },
    Row { op: B::RightShift, eval: right_shift },
    Row { op: B::BitwiseXor, eval: bitwise_xor },
    Row { op: B::AddN, eval: add_n },
    Row { op: B::LogicalAnd, eval: |ctx| zip(ctx, |a: u8, b: u8| u8::from(a != 0 && b != 0)) },
    Row { op: B::LogicalOr, eval: |ctx| zip(ctx, |a: u8, b: u8| u8::from(a != 0 || b != 0)) },
];

/// An integer type of the plain operators; sums and products wrap around.
trait Int: super::Element + Ord {
    const ZERO: Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Towards zero; the lowest value by −1 saturates. `other` is not 0.
    fn div(self, other: Self) -> Self;
    /// Towards −∞. `other` is not 0.
    fn div_floor(self, other: Self) -> Self;
    /// With the sign of `other`, which is not 0.
    fn mod_floor(self, other: Self) -> Self;
    /// Shifts by at most the width less one; negative counts shift by nothing.
    fn shift_right(self, count: Self) -> Self;
    fn xor(self, other: Self) -> Self;
}

macro_rules! ints {
    ($($ty:ty)*) => {$(
        #[allow(unused_comparisons, reason = "one text for signed and unsigned types")]
        impl Int for $ty {
            const ZERO: Self = 0;
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn div(self, other: Self) -> Self {
                self.saturating_div(other)
            }
            fn div_floor(self, other: Self) -> Self {
                let quotient = self.wrapping_div(other);
                let inexact = self.wrapping_rem(other) != 0 && (self < 0) != (other < 0);
                if inexact { quotient - 1 } else { quotient }
            }
            fn mod_floor(self, other: Self) -> Self {
                let rest = self.wrapping_rem(other);
                if rest != 0 && (rest < 0) != (other < 0) { rest + other } else { rest }
            }
            fn shift_right(self, count: Self) -> Self {
                self >> count.clamp(0, (Self::BITS - 1) as Self)
            }
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
        }
    )*};
}

ints! { i8 u8 i16 u16 i32 u32 i64 u64 }

/// A function on two integers of any of these types, chosen by the type of input 0.
macro_rules! by_int_type {
    ($ctx:expr, $($dtype:ident: $ty:ty),+; $f:ident, $otherwise:expr) => {
        match $ctx.input(0)?.dtype() {
            $(DType::$dtype => $f::<$ty>($ctx),)+
            _ => $otherwise,
        }
    };
}

fn arithmetic(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let activation = match &ctx.node.op {
        Op::Add(options) => options.fused_activation_function,
        Op::Sub(options) => options.fused_activation_function,
        Op::Mul(options) => options.fused_activation_function,
        Op::Div(options) => options.fused_activation_function,
        _ => return Err(refuse("operator", "another", "ADD, SUB, MUL or DIV")),
    };
    if quantized_binary::applies(ctx) {
        return quantized_binary::eval(ctx, activation);
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => float_arithmetic::<f32>(ctx, activation),
        DType::Float16 => float_arithmetic::<f16>(ctx, activation),
        DType::BFloat16 => float_arithmetic::<bf16>(ctx, activation),
        DType::Int16 => int_arithmetic::<i16>(ctx, activation),
        DType::Int32 => int_arithmetic::<i32>(ctx, activation),
        DType::UInt32 => int_arithmetic::<u32>(ctx, activation),
        DType::Int64 => int_arithmetic::<i64>(ctx, activation),
        DType::Complex64 => complex_arithmetic(ctx),
        _ => Err(no_type(ctx, 0, "a float or integer type")),
    }
}

fn float_arithmetic<T: Real>(ctx: &mut EvalCtx<'_>, activation: ActivationFunctionType) -> Result<(), KernelError> {
    fn of<T: Real>(
        ctx: &mut EvalCtx<'_>,
        clamp: Clamp<f32>,
        f: impl Fn(f32, f32) -> f32 + Send + Sync,
    ) -> Result<(), KernelError> {
        zip(ctx, move |a: T, b: T| T::narrow(clamp.apply(f(a.widen(), b.widen()))))
    }
    let clamp = float_clamp(activation)?;
    match &ctx.node.op {
        Op::Add(_) => of::<T>(ctx, clamp, |a, b| a + b),
        Op::Sub(_) => of::<T>(ctx, clamp, |a, b| a - b),
        Op::Mul(_) => of::<T>(ctx, clamp, |a, b| a * b),
        _ => of::<T>(ctx, clamp, |a, b| a / b),
    }
}

fn int_arithmetic<T: Int + TryFrom<i8>>(
    ctx: &mut EvalCtx<'_>,
    activation: ActivationFunctionType,
) -> Result<(), KernelError> {
    use ActivationFunctionType::{None, Relu, Relu6, ReluN1To1};
    let int = |value: i8| T::try_from(value).unwrap_or(T::ZERO);
    let (min, max) = match activation {
        None => (Option::None, Option::None),
        Relu => (Some(int(0)), Option::None),
        Relu6 => (Some(int(0)), Some(int(6))),
        ReluN1To1 => (Some(int(-1)), Some(int(1))),
        other => return Err(refuse("fused activation", format!("{other:?}"), "NONE or a RELU")),
    };
    let clamp = move |value: T| {
        let raised = min.map_or(value, |min| value.max(min));
        max.map_or(raised, |max| raised.min(max))
    };
    match &ctx.node.op {
        Op::Add(_) => zip(ctx, move |a: T, b| clamp(a.add(b))),
        Op::Sub(_) => zip(ctx, move |a: T, b| clamp(a.sub(b))),
        Op::Mul(_) => zip(ctx, move |a: T, b| clamp(a.mul(b))),
        _ => {
            divisors::<T>(ctx)?;
            zip(ctx, move |a: T, b| clamp(a.div(b)))
        }
    }
}

/// Refuses zeros in input 1, by which integers would be divided.
fn divisors<T: Int>(ctx: &EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.slice::<T>(1)?.iter().position(|&b| b == T::ZERO) {
        Some(at) => Err(refuse("input 1", format!("0 at element {at}"), "divisors other than 0")),
        None => Ok(()),
    }
}

fn complex_arithmetic(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match &ctx.node.op {
        Op::Add(_) => zip(ctx, |[a, b]: [f32; 2], [c, d]: [f32; 2]| [a + c, b + d]),
        Op::Sub(_) => zip(ctx, |[a, b]: [f32; 2], [c, d]: [f32; 2]| [a - c, b - d]),
        Op::Mul(_) => zip(ctx, |[a, b]: [f32; 2], [c, d]: [f32; 2]| [a * c - b * d, a * d + b * c]),
        _ => Err(no_type(ctx, 0, "a float or integer type")),
    }
}

/// MAXIMUM and MINIMUM. The second operand is taken unless the first is beyond it, so a NaN in the first is lost.
fn extreme(ctx: &mut EvalCtx<'_>, max: bool) -> Result<(), KernelError> {
    fn of<T: super::Element + PartialOrd>(ctx: &mut EvalCtx<'_>, max: bool) -> Result<(), KernelError> {
        zip(ctx, move |a: T, b: T| if if max { a > b } else { a < b } { a } else { b })
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of::<f32>(ctx, max),
        DType::Float64 => of::<f64>(ctx, max),
        DType::Float16 => of::<f16>(ctx, max),
        DType::BFloat16 => of::<bf16>(ctx, max),
        DType::Int8 => of::<i8>(ctx, max),
        DType::UInt8 => of::<u8>(ctx, max),
        DType::Int16 => of::<i16>(ctx, max),
        DType::Int32 => of::<i32>(ctx, max),
        DType::Int64 => of::<i64>(ctx, max),
        _ => Err(no_type(ctx, 0, "a float or signed integer type, or UINT8")),
    }
}

/// POW; integers are multiplied with wrap-around, their exponents must not be negative.
fn pow(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => zip(ctx, f32::powf),
        DType::Int32 => {
            if let Some(negative) = ctx.slice::<i32>(1)?.iter().find(|&&exponent| exponent < 0) {
                return Err(refuse("input 1", negative, "exponents that are not negative"));
            }
            zip(ctx, |a: i32, b: i32| a.wrapping_pow(b.unsigned_abs()))
        }
        _ => Err(no_type(ctx, 0, "FLOAT32 or INT32")),
    }
}

fn squared_difference(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    if quantized_binary::applies(ctx) {
        return quantized_binary::eval(ctx, ActivationFunctionType::None);
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => zip(ctx, |a: f32, b: f32| (a - b) * (a - b)),
        DType::Int32 => zip(ctx, |a: i32, b: i32| a.wrapping_sub(b).wrapping_mul(a.wrapping_sub(b))),
        _ => Err(no_type(ctx, 0, "FLOAT32 or INT32")),
    }
}

fn floor_div(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Int>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        divisors::<T>(ctx)?;
        zip(ctx, T::div_floor)
    }
    by_int_type!(ctx, Int8: i8, Int16: i16, Int32: i32, Int64: i64; of, match ctx.input(0)?.dtype() {
        DType::Float32 => zip(ctx, |a: f32, b: f32| (f64::from(a) / f64::from(b)).floor() as f32),
        _ => Err(no_type(ctx, 0, "FLOAT32 or a signed integer type")),
    })
}

fn floor_mod(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Int>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        divisors::<T>(ctx)?;
        zip(ctx, T::mod_floor)
    }
    fn float(a: f32, b: f32) -> f32 {
        let rest = a % b;
        if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
    }
    by_int_type!(ctx, Int8: i8, Int16: i16, Int32: i32, Int64: i64; of, match ctx.input(0)?.dtype() {
        DType::Float32 => zip(ctx, float),
        _ => Err(no_type(ctx, 0, "FLOAT32 or a signed integer type")),
    })
}

fn atan2(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Real>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        zip(ctx, |y: T, x: T| T::narrow(y.widen().atan2(x.widen())))
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of::<f32>(ctx),
        DType::Float16 => of::<f16>(ctx),
        DType::BFloat16 => of::<bf16>(ctx),
        DType::Float64 => zip(ctx, f64::atan2),
        _ => Err(no_type(ctx, 0, "a float type")),
    }
}

fn right_shift(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Int>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        zip(ctx, T::shift_right)
    }
    by_int_type!(ctx, Int8: i8, UInt8: u8, Int16: i16, UInt16: u16, Int32: i32, UInt32: u32; of, {
        Err(no_type(ctx, 0, "an integer type of at most 32 bits"))
    })
}

fn bitwise_xor(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Int>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        zip(ctx, T::xor)
    }
    by_int_type!(ctx, Int8: i8, UInt8: u8, Int16: i16, UInt16: u16, Int32: i32, UInt32: u32; of, {
        Err(no_type(ctx, 0, "an integer type of at most 32 bits"))
    })
}

/// ADD_N: the inputs from first to last.
fn add_n(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: super::Element>(ctx: &mut EvalCtx<'_>, add: fn(T, T) -> T) -> Result<(), KernelError> {
        let shape = ctx.shape(0)?;
        expect_shape(ctx, 0, shape)?;
        let first = ctx.slice::<T>(0)?;
        ctx.output::<T>(0)?.copy_from_slice(first);
        for i in 1..ctx.inputs.len() {
            if ctx.shape(i)? != shape {
                let found = format!("{:?}", ctx.shape(i)?);
                return Err(refuse(format!("shape of input {i}"), found, format!("{shape:?}")));
            }
            let next = ctx.slice::<T>(i)?;
            ctx.output::<T>(0)?.iter_mut().zip(next).for_each(|(sum, &x)| *sum = add(*sum, x));
        }
        Ok(())
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of(ctx, |a: f32, b| a + b),
        DType::Int32 => of(ctx, i32::wrapping_add),
        _ => Err(no_type(ctx, 0, "FLOAT32 or INT32")),
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{AddOptions, DivOptions};

    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::{run, run_f32};

    fn ints(op: Op, a: &[i32], b: &[i32]) -> Result<Vec<i32>, Box<dyn std::error::Error>> {
        let (a, b) = (Value::i32(&[a.len()], a)?, Value::i32(&[b.len()], b)?);
        Ok(run(op, &[Some(&a), Some(&b)], DType::Int32, a.shape())?.as_slice()?.to_vec())
    }

    #[test]
    fn integers_wrap_and_never_divide_by_zero() -> Result<(), Box<dyn std::error::Error>> {
        let add = Op::Add(AddOptions::default());
        assert_eq!(ints(add, &[i32::MAX, 2], &[1, 1])?, [i32::MIN, 3]);
        let div = Op::Div(DivOptions::default());
        assert_eq!(ints(div.clone(), &[i32::MIN, -7], &[-1, 2])?, [i32::MAX, -3]);
        assert_eq!(ints(Op::FloorDiv, &[-7, 7], &[2])?, [-4, 3]);
        assert_eq!(ints(Op::FloorMod, &[-7, 7, i32::MIN], &[2, -2, -1])?, [1, -1, 0]);
        assert_eq!(ints(Op::RightShift, &[-8, -8, 8], &[1, 40, -1])?, [-4, -1, 8]);
        assert_eq!(ints(Op::Pow, &[3, -2], &[4, 3])?, [81, -8]);
        for op in [div, Op::FloorDiv, Op::FloorMod] {
            let error = ints(op.clone(), &[1, 2], &[1, 0]).err().map(|e| e.to_string());
            assert!(error.is_some_and(|e| e.contains("0 at element 1")), "{op:?}");
        }
        assert!(ints(Op::Pow, &[2], &[-1]).is_err());
        Ok(())
    }

    #[test]
    fn floats_keep_infinity_and_floor() -> Result<(), Box<dyn std::error::Error>> {
        let (a, b) = (Value::f32(&[2], &[f32::INFINITY, -7.5])?, Value::f32(&[2], &[1.0, 2.0])?);
        let inputs = [Some(&a), Some(&b)];
        assert_eq!(run_f32(Op::Add(AddOptions::default()), &inputs, &[2])?, [f32::INFINITY, -5.5]);
        assert_eq!(run_f32(Op::FloorMod, &inputs, &[2])?[1], 0.5);
        assert_eq!(run_f32(Op::FloorDiv, &inputs, &[2])?[1], -4.0);
        assert_eq!(run_f32(Op::Maximum, &inputs, &[2])?, [f32::INFINITY, 2.0]);
        assert_eq!(run_f32(Op::AddN, &[Some(&a), Some(&b), Some(&b)], &[2])?[1], -3.5);
        Ok(())
    }
}
