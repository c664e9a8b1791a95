//! PRELU with slopes that broadcast; slopes per channel are fused into the node in front by a rewrite.

use tflite_wgpu_model::BuiltinOperator;

use super::{
    OpRow, SupportCtx, binary,
    broadcast::{FLOATS, broadcasts},
};
use crate::reason::Reason;

/// Operators of this family.
pub const ROWS: &[OpRow] = &[OpRow::new(BuiltinOperator::Prelu, support, binary::lower).fuses()];

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, FLOATS)?;
    ctx.input_is(1, FLOATS)?;
    ctx.output_is(0, FLOATS)?;
    broadcasts(ctx, &[0, 1])
}
