//! SHAPE, RANK and ZEROS_LIKE: their results follow from shapes, so that no kernel ever computes them.

use BuiltinOperator as B;
use tflite_wgpu_model::BuiltinOperator;

use super::{LowerCtx, LowerError, OpRow, SupportCtx, types};
use crate::{reason::Reason, region::RegionNode};

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(B::Shape, support, lower).takes(types::MOVABLE),
    OpRow::new(B::Rank, support, lower).takes(types::MOVABLE),
    OpRow::new(B::ZerosLike, support, lower).takes(types::MOVABLE),
];

/// With a known shape the result is a constant, and nobody asks.
fn support(_: &SupportCtx<'_>) -> Result<(), Reason> {
    Err(Reason::DynamicShape)
}

fn lower(_: &mut LowerCtx<'_>, _: &RegionNode) -> Result<(), LowerError> {
    Err(Reason::DynamicShape.into())
}
