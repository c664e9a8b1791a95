//! CAST and BITCAST.

use half::{bf16, f16};
use tflite_wgpu_model::{BuiltinOperator, DType};

use super::checks::shape_output;
use super::elements::copy_all;
use super::support::{no_type, refuse};
use super::{EvalCtx, KernelError, Row};
use crate::value::{Element, ValueError};

pub(super) const ROWS: &[Row] =
    &[Row { op: BuiltinOperator::Cast, eval: cast }, Row { op: BuiltinOperator::Bitcast, eval: bitcast }];

/// A number of any type. Casts take the real part of complex numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Int(i128),
    Float(f64),
}

/// An element type that casts read and write.
///
/// Integers keep their low bits, floats saturate and are cut towards zero, NaN becomes the highest integer.
trait Castable: Element {
    fn number(self) -> Number;
    fn from_number(number: Number) -> Self;
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl Castable for $ty {
            fn number(self) -> Number {
                Number::Int(self.into())
            }
            fn from_number(number: Number) -> Self {
                match number {
                    Number::Int(v) => v as $ty,
                    Number::Float(v) if v.is_nan() => <$ty>::MAX,
                    Number::Float(v) => v as $ty,
                }
            }
        }
    )*};
}

integers! { i8 u8 i16 u16 i32 u32 i64 u64 }

impl Castable for f64 {
    fn number(self) -> Number {
        Number::Float(self)
    }
    fn from_number(number: Number) -> Self {
        match number {
            Number::Int(v) => v as f64,
            Number::Float(v) => v,
        }
    }
}

impl Castable for f32 {
    fn number(self) -> Number {
        Number::Float(self.into())
    }
    fn from_number(number: Number) -> Self {
        match number {
            Number::Int(v) => v as f32,
            Number::Float(v) => v as f32,
        }
    }
}

impl Castable for f16 {
    fn number(self) -> Number {
        Number::Float(self.to_f64())
    }
    fn from_number(number: Number) -> Self {
        Self::from_f32(f32::from_number(number))
    }
}

impl Castable for bf16 {
    fn number(self) -> Number {
        Number::Float(self.to_f64())
    }
    fn from_number(number: Number) -> Self {
        Self::from_f32(f32::from_number(number))
    }
}

impl Castable for [f32; 2] {
    fn number(self) -> Number {
        self[0].number()
    }
    fn from_number(number: Number) -> Self {
        [f32::from_number(number), 0.0]
    }
}

impl Castable for [f64; 2] {
    fn number(self) -> Number {
        self[0].number()
    }
    fn from_number(number: Number) -> Self {
        [f64::from_number(number), 0.0]
    }
}

pub(super) fn cast(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    use DType::*;
    let input = ctx.input(0)?;
    shape_output(ctx, 0, input.shape())?;
    if input.dtype() == ctx.output_value(0)?.dtype() {
        return copy_all(input, ctx.output_value(0)?);
    }
    match input.dtype() {
        Float32 => cast_from::<f32>(ctx),
        Float64 => cast_from::<f64>(ctx),
        Float16 => cast_from::<f16>(ctx),
        BFloat16 => cast_from::<bf16>(ctx),
        Int2 | Int4 | Int8 => cast_from::<i8>(ctx),
        UInt4 | UInt8 | Bool => cast_from::<u8>(ctx),
        Int16 => cast_from::<i16>(ctx),
        UInt16 => cast_from::<u16>(ctx),
        Int32 => cast_from::<i32>(ctx),
        UInt32 => cast_from::<u32>(ctx),
        Int64 => cast_from::<i64>(ctx),
        UInt64 => cast_from::<u64>(ctx),
        Complex64 => cast_from::<[f32; 2]>(ctx),
        Complex128 => cast_from::<[f64; 2]>(ctx),
        _ => Err(no_type(ctx, 0, "a number or BOOL")),
    }
}

fn cast_from<S: Castable>(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    use DType::*;
    match ctx.output_value(0)?.dtype() {
        Float32 => cast_to::<S, f32>(ctx, f32::from_number),
        Float64 => cast_to::<S, f64>(ctx, f64::from_number),
        Float16 => cast_to::<S, f16>(ctx, f16::from_number),
        BFloat16 => cast_to::<S, bf16>(ctx, bf16::from_number),
        Int8 => cast_to::<S, i8>(ctx, i8::from_number),
        UInt8 => cast_to::<S, u8>(ctx, u8::from_number),
        Bool => cast_to::<S, u8>(ctx, |v| u8::from(v != Number::Int(0) && v != Number::Float(0.0))),
        Int16 => cast_to::<S, i16>(ctx, i16::from_number),
        UInt16 => cast_to::<S, u16>(ctx, u16::from_number),
        Int32 => cast_to::<S, i32>(ctx, i32::from_number),
        UInt32 => cast_to::<S, u32>(ctx, u32::from_number),
        Int64 => cast_to::<S, i64>(ctx, i64::from_number),
        UInt64 => cast_to::<S, u64>(ctx, u64::from_number),
        Complex64 => cast_to::<S, [f32; 2]>(ctx, <[f32; 2]>::from_number),
        Complex128 => cast_to::<S, [f64; 2]>(ctx, <[f64; 2]>::from_number),
        other => Err(refuse("the type of the output", other, "a number of at least 8 bits or BOOL")),
    }
}

fn cast_to<S: Castable, T: Element>(ctx: &mut EvalCtx<'_>, convert: impl Fn(Number) -> T) -> Result<(), KernelError> {
    let source = ctx.slice::<S>(0)?;
    for (target, v) in ctx.output::<T>(0)?.iter_mut().zip(source) {
        *target = convert(v.number());
    }
    Ok(())
}

/// The same bytes as another type. A wider element takes the last dimension with it, narrower ones add one.
fn bitcast(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    let (from, target) = (input.dtype().size(), ctx.output_value(0)?.dtype());
    let (Some(from), Some(to)) = (from, target.size()) else { return Err(no_type(ctx, 0, "a number or BOOL")) };
    let mut shape = input.shape().to_vec();
    if to < from {
        shape.push(from / to);
    } else if from < to && shape.pop() != Some(to / from) {
        let expected = format!("a last dimension of {}", to / from);
        return Err(refuse("the shape of the input", format!("{:?}", input.shape()), expected));
    }
    shape_output(ctx, 0, &shape)?;
    let output = ctx.output_value(0)?;
    if output.bytes().len() != input.bytes().len() {
        let error = ValueError::Size { found: input.bytes().len(), expected: output.bytes().len() };
        return Err(KernelError::Output { output: 0, error });
    }
    output.bytes_mut().copy_from_slice(input.bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{CastOptions, Op};

    use super::*;
    use crate::kernels::testing::{f32s, i32s, run, value};
    use crate::value::Value;

    #[test]
    fn numbers_change_type() -> Result<(), KernelError> {
        let cast = |input: Value, to| run(Op::Cast(CastOptions::default()), &[input], to);
        let floats = f32s(&[6], &[1.9, -1.9, 300.0, -300.0, f32::NAN, -0.0]);
        let bytes = value(Value::from_slice(DType::Int8, &[6], &[1i8, -1, 127, -128, 127, 0]));
        assert_eq!(cast(floats.clone(), DType::Int8)?, bytes);
        let flags = value(Value::from_slice(DType::Bool, &[6], &[1u8, 1, 1, 1, 1, 0]));
        assert_eq!(cast(floats, DType::Bool)?, flags);
        let wrapped = value(Value::from_slice(DType::UInt8, &[2], &[44u8, 255]));
        assert_eq!(cast(i32s(&[2], &[300, -1]), DType::UInt8)?, wrapped);
        let complex = value(Value::from_slice(DType::Complex64, &[1], &[[2.5f32, 7.0]]));
        assert_eq!(cast(complex.clone(), DType::Int32)?, i32s(&[1], &[2]));
        assert_eq!(cast(complex.clone(), DType::Complex64)?, complex);
        assert!(cast(value(Value::strings(&[0], vec![])), DType::Int32).is_err());
        Ok(())
    }

    #[test]
    fn bits_keep_their_place() -> Result<(), KernelError> {
        let one = f32s(&[1], &[1.0]);
        let halves = value(Value::from_slice(DType::UInt16, &[1, 2], &[0u16, 0x3f80]));
        assert_eq!(run(Op::Bitcast, std::slice::from_ref(&one), DType::UInt16)?, halves);
        assert_eq!(run(Op::Bitcast, &[halves], DType::Float32)?, one);
        assert!(run(Op::Bitcast, &[one], DType::Int64).is_err());
        Ok(())
    }
}
