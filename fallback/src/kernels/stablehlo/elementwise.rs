//! Operators on one element of each input.

use BuiltinOperator as B;
use half::{bf16, f16};
use tflite_wgpu_model::{
    BuiltinOperator, DType, Op, StablehloComparisonDirection as Direction, StablehloComparisonType as Comparison,
};

use crate::kernels::activation::logistic;
use crate::kernels::checks::wrong_operator;
use crate::kernels::elements::{Axis, copy};
use crate::kernels::support::{Real, map, no_type, refuse, zip};
use crate::kernels::{Element, EvalCtx, KernelError, Row, cast};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::StablehloAbs, eval: |ctx| unary(ctx, f32::abs, f64::abs) },
    Row { op: B::StablehloNegate, eval: |ctx| unary(ctx, |x| -x, |x| -x) },
    Row { op: B::StablehloCbrt, eval: |ctx| floats(ctx, f32::cbrt) },
    Row { op: B::StablehloCosine, eval: |ctx| floats(ctx, f32::cos) },
    Row { op: B::StablehloExponential, eval: |ctx| floats(ctx, f32::exp) },
    Row { op: B::StablehloFloor, eval: |ctx| floats(ctx, f32::floor) },
    Row { op: B::StablehloLog, eval: |ctx| floats(ctx, f32::ln) },
    Row { op: B::StablehloLogistic, eval: |ctx| floats(ctx, logistic) },
    Row { op: B::StablehloRsqrt, eval: |ctx| floats(ctx, |x| 1.0 / x.sqrt()) },
    Row { op: B::StablehloTanh, eval: |ctx| floats(ctx, f32::tanh) },
    Row { op: B::StablehloAdd, eval: binary },
    Row { op: B::StablehloSubtract, eval: binary },
    Row { op: B::StablehloMultiply, eval: binary },
    Row { op: B::StablehloDivide, eval: binary },
    Row { op: B::StablehloMaximum, eval: binary },
    Row { op: B::StablehloMinimum, eval: binary },
    Row { op: B::StablehloPower, eval: binary },
    Row { op: B::StablehloRemainder, eval: binary },
    Row { op: B::StablehloAnd, eval: binary },
    Row { op: B::StablehloOr, eval: binary },
    Row { op: B::StablehloShiftLeft, eval: binary },
    Row { op: B::StablehloCompare, eval: compare },
    Row { op: B::StablehloSelect, eval: select },
    Row { op: B::StablehloClamp, eval: clamp },
    Row { op: B::StablehloConvert, eval: cast::cast },
];

/// `$f::<T>(ctx, …)` for the integer type of input `$i`.
macro_rules! by_integer {
    ($ctx:expr, $i:expr, $f:ident, $otherwise:expr) => {
        match $ctx.input($i)?.dtype() {
            DType::Int8 => $f::<i8>($ctx),
            DType::Int16 => $f::<i16>($ctx),
            DType::Int32 => $f::<i32>($ctx),
            DType::Int64 => $f::<i64>($ctx),
            DType::UInt8 => $f::<u8>($ctx),
            DType::UInt16 => $f::<u16>($ctx),
            DType::UInt32 => $f::<u32>($ctx),
            DType::UInt64 => $f::<u64>($ctx),
            _ => $otherwise,
        }
    };
}

/// Output 0 = `f` of a float tensor; 16-bit floats are computed in `f32`.
fn floats(ctx: &mut EvalCtx<'_>, f: fn(f32) -> f32) -> Result<(), KernelError> {
    fn of<T: Real>(ctx: &mut EvalCtx<'_>, f: fn(f32) -> f32) -> Result<(), KernelError> {
        map(ctx, 0, move |x: T| T::narrow(f(x.widen())))
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of::<f32>(ctx, f),
        DType::Float16 => of::<f16>(ctx, f),
        DType::BFloat16 => of::<bf16>(ctx, f),
        _ => Err(no_type(ctx, 0, "FLOAT32, FLOAT16 or BFLOAT16")),
    }
}

/// ABS and NEGATE, on integers too, which wrap around.
fn unary(ctx: &mut EvalCtx<'_>, f: fn(f32) -> f32, wide: fn(f64) -> f64) -> Result<(), KernelError> {
    fn of<T: Integer>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let abs = matches!(ctx.node.op, Op::StablehloAbs);
        map(ctx, 0, move |x: T| if abs && x >= T::ZERO { x } else { T::ZERO.sub(x) })
    }
    by_integer!(
        ctx,
        0,
        of,
        match ctx.input(0)?.dtype() {
            DType::Float64 => map(ctx, 0, wide),
            _ => floats(ctx, f),
        }
    )
}

/// An integer type; results wrap around.
trait Integer: Element + Ord {
    const ZERO: Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Towards zero; by 0 all bits are set.
    fn div(self, other: Self) -> Self;
    /// With the sign of `self`; by 0 it is `self`.
    fn rem(self, other: Self) -> Self;
    /// Negative exponents give the truncated inverse.
    fn pow(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    /// By the width or more it is 0.
    fn shl(self, other: Self) -> Self;
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        #[allow(unused_comparisons, reason = "one text for signed and unsigned types")]
        impl Integer for $ty {
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
                if other == 0 { !0 } else { self.wrapping_div(other) }
            }
            fn rem(self, other: Self) -> Self {
                if other == 0 { self } else { self.wrapping_rem(other) }
            }
            fn pow(self, other: Self) -> Self {
                if other < 0 {
                    return match self {
                        1 => 1,
                        base if base == (0 as Self).wrapping_sub(1) => if other % 2 == 0 { 1 } else { base },
                        _ => 0,
                    };
                }
                let (mut base, mut rest, mut result) = (self, other, 1);
                while rest != 0 {
                    if rest & 1 == 1 {
                        result = <$ty>::wrapping_mul(result, base);
                    }
                    base = base.wrapping_mul(base);
                    rest >>= 1;
                }
                result
            }
            fn and(self, other: Self) -> Self {
                self & other
            }
            fn or(self, other: Self) -> Self {
                self | other
            }
            fn shl(self, other: Self) -> Self {
                u32::try_from(other).ok().and_then(|count| self.checked_shl(count)).unwrap_or(0)
            }
        }
    )*};
}

integers! { i8 i16 i32 i64 u8 u16 u32 u64 }

fn binary(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    by_integer!(
        ctx,
        0,
        integer,
        match ctx.input(0)?.dtype() {
            DType::Float32 => real::<f32>(ctx),
            DType::Float16 => real::<f16>(ctx),
            DType::BFloat16 => real::<bf16>(ctx),
            DType::Float64 => {
                let f = float_function(ctx)?.1;
                zip(ctx, f)
            }
            DType::Complex64 => complex(ctx),
            DType::Bool => boolean(ctx),
            _ => Err(no_type(ctx, 0, "a number or BOOL")),
        }
    )
}

fn integer<T: Integer>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match &ctx.node.op {
        Op::StablehloAdd => zip(ctx, T::add),
        Op::StablehloSubtract => zip(ctx, T::sub),
        Op::StablehloMultiply => zip(ctx, T::mul),
        Op::StablehloDivide => zip(ctx, T::div),
        Op::StablehloMaximum => zip(ctx, T::max),
        Op::StablehloMinimum => zip(ctx, T::min),
        Op::StablehloPower => zip(ctx, T::pow),
        Op::StablehloRemainder => zip(ctx, T::rem),
        Op::StablehloAnd => zip(ctx, T::and),
        Op::StablehloOr => zip(ctx, T::or),
        Op::StablehloShiftLeft => zip(ctx, T::shl),
        _ => Err(wrong_operator(ctx)),
    }
}

/// A function in both precisions.
type FloatFunction = (fn(f32, f32) -> f32, fn(f64, f64) -> f64);

fn float_function(ctx: &EvalCtx<'_>) -> Result<FloatFunction, KernelError> {
    // NaN wins on either side.
    Ok(match &ctx.node.op {
        Op::StablehloAdd => (|a, b| a + b, |a, b| a + b),
        Op::StablehloSubtract => (|a, b| a - b, |a, b| a - b),
        Op::StablehloMultiply => (|a, b| a * b, |a, b| a * b),
        Op::StablehloDivide => (|a, b| a / b, |a, b| a / b),
        Op::StablehloMaximum => {
            (|a, b| if a > b || a.is_nan() { a } else { b }, |a, b| if a > b || a.is_nan() { a } else { b })
        }
        Op::StablehloMinimum => {
            (|a, b| if a < b || a.is_nan() { a } else { b }, |a, b| if a < b || a.is_nan() { a } else { b })
        }
        Op::StablehloPower => (f32::powf, f64::powf),
        Op::StablehloRemainder => (|a, b| a % b, |a, b| a % b),
        _ => return Err(no_type(ctx, 0, "an integer type or BOOL")),
    })
}

fn real<T: Real>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let f = float_function(ctx)?.0;
    zip(ctx, move |a: T, b: T| T::narrow(f(a.widen(), b.widen())))
}

fn boolean(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match &ctx.node.op {
        Op::StablehloAdd | Op::StablehloMaximum | Op::StablehloOr => {
            zip(ctx, |a: u8, b: u8| u8::from(a != 0 || b != 0))
        }
        Op::StablehloMultiply | Op::StablehloMinimum | Op::StablehloAnd => {
            zip(ctx, |a: u8, b: u8| u8::from(a != 0 && b != 0))
        }
        _ => Err(no_type(ctx, 0, "a number")),
    }
}

fn complex(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    type C = [f32; 2];
    match &ctx.node.op {
        Op::StablehloAdd => zip(ctx, |[a, b]: C, [c, d]: C| [a + c, b + d]),
        Op::StablehloSubtract => zip(ctx, |[a, b]: C, [c, d]: C| [a - c, b - d]),
        Op::StablehloMultiply => zip(ctx, |[a, b]: C, [c, d]: C| [a * c - b * d, a * d + b * c]),
        Op::StablehloDivide => zip(ctx, |[a, b]: C, [c, d]: C| {
            let [a, b, c, d] = [a, b, c, d].map(f64::from);
            let norm = c * c + d * d;
            [((a * c + b * d) / norm) as f32, ((b * c - a * d) / norm) as f32]
        }),
        _ => Err(no_type(ctx, 0, "a real number")),
    }
}

/// Whether a comparison holds, 1 or 0.
pub(super) fn holds<T: PartialOrd>(direction: Direction, a: T, b: T) -> u8 {
    u8::from(match direction {
        Direction::Eq => a == b,
        Direction::Ne => a != b,
        Direction::Ge => a >= b,
        Direction::Gt => a > b,
        Direction::Le => a <= b,
        Direction::Lt => a < b,
    })
}

fn compare(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloCompare(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let direction = options.comparison_direction;
    if options.compare_type == Comparison::FloatTotalOrder {
        return match ctx.input(0)?.dtype() {
            DType::Float32 => zip(ctx, move |a: f32, b: f32| holds(direction, total(a), total(b))),
            _ => Err(no_type(ctx, 0, "FLOAT32 for a total order")),
        };
    }
    fn of<T: Element + PartialOrd>(ctx: &mut EvalCtx<'_>, direction: Direction) -> Result<(), KernelError> {
        zip(ctx, move |a: T, b: T| holds(direction, a, b))
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of::<f32>(ctx, direction),
        DType::Float16 => of::<f16>(ctx, direction),
        DType::BFloat16 => of::<bf16>(ctx, direction),
        DType::Float64 => of::<f64>(ctx, direction),
        DType::Bool | DType::UInt8 => of::<u8>(ctx, direction),
        DType::UInt16 => of::<u16>(ctx, direction),
        DType::UInt32 => of::<u32>(ctx, direction),
        DType::UInt64 => of::<u64>(ctx, direction),
        DType::Int8 => of::<i8>(ctx, direction),
        DType::Int16 => of::<i16>(ctx, direction),
        DType::Int32 => of::<i32>(ctx, direction),
        DType::Int64 => of::<i64>(ctx, direction),
        DType::Complex64 if matches!(direction, Direction::Eq | Direction::Ne) => {
            zip(ctx, move |a: [f32; 2], b: [f32; 2]| u8::from((a == b) == (direction == Direction::Eq)))
        }
        _ => Err(no_type(ctx, 0, "a number or BOOL")),
    }
}

/// A number whose order is the total one: −NaN, −∞ … −0, 0 … ∞, NaN.
pub(super) fn total(value: f32) -> i32 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()
}

/// A predicate that is a scalar chooses for all elements.
fn select(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let chosen = ctx.slice::<u8>(0)?;
    let (yes, no) = (ctx.input(1)?, ctx.input(2)?);
    let count = yes.len();
    if no.shape() != yes.shape() || (chosen.len() != 1 && ctx.shape(0)? != yes.shape()) {
        return Err(refuse(
            "shapes",
            format!("{:?} and {:?}", ctx.shape(0)?, no.shape()),
            format!("{:?}", yes.shape()),
        ));
    }
    let takes = |i: usize| chosen[if chosen.len() == 1 { 0 } else { i }] != 0;
    for (source, wanted) in [(yes, true), (no, false)] {
        let places: Vec<usize> = (0..count).filter(|&i| takes(i) == wanted).collect();
        copy(source, ctx.output_value(0)?, &[Axis { from: places.clone(), to: places }])?;
    }
    Ok(())
}

/// Inputs: the smallest values, the operand, the largest values; the bounds may be scalars.
fn clamp(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Element + PartialOrd>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let (low, input, high) = (ctx.slice::<T>(0)?, ctx.slice::<T>(1)?, ctx.slice::<T>(2)?);
        for (i, bound) in [(0, low), (2, high)] {
            if bound.len() != 1 && bound.len() != input.len() {
                let found = format!("{:?}", ctx.shape(i)?);
                return Err(refuse(format!("shape of input {i}"), found, "a scalar or that of input 1"));
            }
        }
        let bound = |list: &[T], i: usize| list[if list.len() == 1 { 0 } else { i }];
        for (i, (out, &x)) in ctx.output::<T>(0)?.iter_mut().zip(input).enumerate() {
            let raised = if x < bound(low, i) { bound(low, i) } else { x };
            *out = if raised > bound(high, i) { bound(high, i) } else { raised };
        }
        Ok(())
    }
    by_integer!(
        ctx,
        1,
        of,
        match ctx.input(1)?.dtype() {
            DType::Float32 => of::<f32>(ctx),
            DType::Float16 => of::<f16>(ctx),
            DType::BFloat16 => of::<bf16>(ctx),
            DType::Float64 => of::<f64>(ctx),
            _ => Err(no_type(ctx, 1, "a number")),
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_an_answer_to_everything() {
        assert_eq!((7i8.div(0), 7i8.rem(0), i8::MIN.div(-1), i8::MIN.rem(-1)), (-1, 7, i8::MIN, 0));
        assert_eq!((Integer::pow(3i32, 4), Integer::pow(-1i32, -3), Integer::pow(2i32, -1)), (81, -1, 0));
        assert_eq!((Integer::shl(1i8, 7), Integer::shl(1i8, 8), Integer::shl(1i8, -1)), (i8::MIN, 0, 0));
    }

    #[test]
    fn the_total_order_tells_zeros_and_nans_apart() {
        let rising = [-f32::NAN, f32::NEG_INFINITY, -1.0, -0.0, 0.0, 1.0, f32::INFINITY, f32::NAN];
        assert!(rising.windows(2).all(|pair| total(pair[0]) < total(pair[1])));
    }
}
