//! EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER and GREATER_EQUAL.

use BuiltinOperator as B;
use half::{bf16, f16};
use tflite_wgpu_model::{BuiltinOperator, DType, infer};

use super::fixed_point::Multiplier;
use super::support::{expect_shape, mismatch, no_type, zip, zip_into};
use super::{Element, EvalCtx, KernelError, Row};
use crate::threads::Threads;

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Equal, eval: |ctx| compare(ctx, Relation::Equal) },
    Row { op: B::NotEqual, eval: |ctx| compare(ctx, Relation::NotEqual) },
    Row { op: B::Less, eval: |ctx| compare(ctx, Relation::Less) },
    Row { op: B::LessEqual, eval: |ctx| compare(ctx, Relation::LessEqual) },
    Row { op: B::Greater, eval: |ctx| compare(ctx, Relation::Greater) },
    Row { op: B::GreaterEqual, eval: |ctx| compare(ctx, Relation::GreaterEqual) },
];

/// What two elements are asked for.
#[derive(Clone, Copy)]
enum Relation {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Relation {
    /// Whether it holds, 1 or 0. With a NaN only NOT_EQUAL does.
    fn holds<T: PartialOrd>(self, a: T, b: T) -> u8 {
        u8::from(match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Less => a < b,
            Self::LessEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterEqual => a >= b,
        })
    }
}

fn compare(ctx: &mut EvalCtx<'_>, relation: Relation) -> Result<(), KernelError> {
    fn of<T: Element + PartialOrd>(ctx: &mut EvalCtx<'_>, relation: Relation) -> Result<(), KernelError> {
        zip(ctx, move |a: T, b: T| relation.holds(a, b))
    }
    let dtype = ctx.input(0)?.dtype();
    let scales = |i| ctx.input_quant(i).and_then(|quant| quant.per_tensor());
    if let (Some(a), Some(b)) = (scales(0), scales(1)) {
        match dtype {
            DType::Int8 => return scaled::<i8>(ctx, relation, a, b),
            DType::UInt8 => return scaled::<u8>(ctx, relation, a, b),
            DType::Int16 => return quantized::<i16>(ctx, relation, a, b),
            _ => {}
        }
    }
    match dtype {
        DType::Float32 => of::<f32>(ctx, relation),
        DType::Float64 => of::<f64>(ctx, relation),
        DType::Float16 => of::<f16>(ctx, relation),
        DType::BFloat16 => of::<bf16>(ctx, relation),
        DType::Bool | DType::UInt8 => of::<u8>(ctx, relation),
        DType::Int8 => of::<i8>(ctx, relation),
        DType::Int16 => of::<i16>(ctx, relation),
        DType::UInt16 => of::<u16>(ctx, relation),
        DType::Int32 => of::<i32>(ctx, relation),
        DType::UInt32 => of::<u32>(ctx, relation),
        DType::Int64 => of::<i64>(ctx, relation),
        DType::UInt64 => of::<u64>(ctx, relation),
        DType::String => strings(ctx, relation),
        _ => Err(no_type(ctx, 0, "a float or integer type, BOOL or STRING")),
    }
}

/// Compares the real values that stored bytes stand for, in integers of 1/256.
fn scaled<T: Element + Into<i32>>(
    ctx: &mut EvalCtx<'_>,
    relation: Relation,
    (a_scale, a_zero): (f32, i64),
    (b_scale, b_zero): (f32, i64),
) -> Result<(), KernelError> {
    let (a_scale, b_scale) = (Multiplier::new(a_scale.into()), Multiplier::new(b_scale.into()));
    let (a_zero, b_zero) = (a_zero as i32, b_zero as i32);
    zip(ctx, move |a: T, b: T| {
        let a = a_scale.twice_rounded(a.into().wrapping_sub(a_zero).wrapping_mul(256));
        let b = b_scale.twice_rounded(b.into().wrapping_sub(b_zero).wrapping_mul(256));
        relation.holds(a, b)
    })
}

/// Compares the real values that the stored integers stand for.
fn quantized<T: Element + Into<i64>>(
    ctx: &mut EvalCtx<'_>,
    relation: Relation,
    (a_scale, a_zero): (f32, i64),
    (b_scale, b_zero): (f32, i64),
) -> Result<(), KernelError> {
    let real = |stored: i64, zero: i64, scale: f32| (stored - zero) as f64 * f64::from(scale);
    zip(ctx, move |a: T, b: T| relation.holds(real(a.into(), a_zero, a_scale), real(b.into(), b_zero, b_scale)))
}

fn strings(ctx: &mut EvalCtx<'_>, relation: Relation) -> Result<(), KernelError> {
    let strings = |i| {
        let error = |error| KernelError::Input { input: i, error };
        ctx.input(i)?.as_strings().map_err(error)
    };
    let (a, b, a_shape, b_shape) = (strings(0)?, strings(1)?, ctx.shape(0)?, ctx.shape(1)?);
    let shape = infer::broadcast(&[a_shape, b_shape]).map_err(mismatch)?;
    expect_shape(ctx, 0, &shape)?;
    let (a, b): (Vec<&[u8]>, Vec<&[u8]>) =
        (a.iter().map(Vec::as_slice).collect(), b.iter().map(Vec::as_slice).collect());
    zip_into(Threads::default(), (&a, a_shape), (&b, b_shape), &shape, ctx.output::<u8>(0)?, |a, b| {
        relation.holds(a, b)
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::Op;

    use super::*;
    use crate::Value;
    use crate::kernels::support::testing::run;

    #[test]
    fn nan_is_only_not_equal() -> Result<(), Box<dyn std::error::Error>> {
        let (a, b) = (Value::f32(&[3], &[1.0, 2.0, f32::NAN])?, Value::f32(&[1], &[2.0])?);
        for (op, expected) in [
            (Op::Equal, [0, 1, 0]),
            (Op::NotEqual, [1, 0, 1]),
            (Op::Less, [1, 0, 0]),
            (Op::LessEqual, [1, 1, 0]),
            (Op::Greater, [0, 0, 0]),
            (Op::GreaterEqual, [0, 1, 0]),
        ] {
            let out = run(op.clone(), &[Some(&a), Some(&b)], DType::Bool, &[3])?;
            assert_eq!(out.as_slice::<u8>()?, expected, "{op:?}");
        }
        Ok(())
    }

    #[test]
    fn strings_broadcast() -> Result<(), Box<dyn std::error::Error>> {
        let a = Value::strings(&[2], vec![b"a".to_vec(), b"bc".to_vec()])?;
        let b = Value::strings(&[], vec![b"bc".to_vec()])?;
        let out = run(Op::Equal, &[Some(&a), Some(&b)], DType::Bool, &[2])?;
        assert_eq!(out.as_slice::<u8>()?, [0, 1]);
        Ok(())
    }
}
