//! Comparisons: BOOL results of two tensors with broadcasting.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType};

use super::{
    OpRow, SupportCtx, binary,
    broadcast::{FLOATS, INTS, broadcasts, constants_fit},
    types,
};
use crate::reason::Reason;

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    row(B::Equal, equality).takes("FLOAT32, FLOAT16, BFLOAT16, INT32, INT64, BOOL"),
    row(B::NotEqual, equality).takes("FLOAT32, FLOAT16, BFLOAT16, INT32, INT64, BOOL"),
    row(B::Less, order).takes(types::NUMBERS),
    row(B::LessEqual, order).takes(types::NUMBERS),
    row(B::Greater, order).takes(types::NUMBERS),
    row(B::GreaterEqual, order).takes(types::NUMBERS),
];

const fn row(op: BuiltinOperator, support: super::Support) -> OpRow {
    OpRow::new(op, support, binary::lower)
}

fn order(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    check(ctx, &[FLOATS, INTS].concat())
}

fn equality(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    check(ctx, &[FLOATS, INTS, &[DType::Bool]].concat())
}

fn check(ctx: &SupportCtx<'_>, types: &[DType]) -> Result<(), Reason> {
    ctx.input_is(0, types)?;
    ctx.input_is(1, &[ctx.input_type(0)?])?;
    ctx.output_is(0, &[DType::Bool])?;
    constants_fit(ctx)?;
    broadcasts(ctx, &[0, 1])
}
