//! Attributes that kernels refuse whatever the tensors are.

use tflite_wgpu_model::Op;

use super::{
    KernelError,
    support::{float_clamp, refuse},
};

/// Checks an operator's attributes.
///
/// # Errors
/// Names the attribute, what it is, and what it may be.
pub(super) fn check(op: &Op) -> Result<(), KernelError> {
    if let Some(activation) = op.fused_activation() {
        float_clamp(activation)?;
    }
    match op {
        Op::SpaceToDepth(o) => positive("block_size", o.block_size),
        Op::DepthToSpace(o) => positive("block_size", o.block_size),
        Op::Svdf(o) => positive("rank", o.rank),
        Op::SkipGram(o) => positive("ngram_size", o.ngram_size),
        Op::LocalResponseNormalization(o) if o.radius < 0 => Err(refuse("radius", o.radius, "at least 0")),
        Op::ResizeBilinear(o) if o.align_corners && o.half_pixel_centers => Err(both_corners()),
        Op::ResizeNearestNeighbor(o) if o.align_corners && o.half_pixel_centers => Err(both_corners()),
        Op::Conv2d(o) => positive("stride", o.stride_h.min(o.stride_w)),
        Op::DepthwiseConv2d(o) => positive("stride", o.stride_h.min(o.stride_w)),
        Op::TransposeConv(o) => positive("stride", o.stride_h.min(o.stride_w)),
        Op::AveragePool2d(o) | Op::MaxPool2d(o) | Op::L2Pool2d(o) => {
            positive("stride", o.stride_h.min(o.stride_w))?;
            positive("filter size", o.filter_height.min(o.filter_width))
        }
        _ => Ok(()),
    }
}

fn positive(what: &str, value: i32) -> Result<(), KernelError> {
    if value > 0 { Ok(()) } else { Err(refuse(what, value, "at least 1")) }
}

fn both_corners() -> KernelError {
    refuse("align_corners", "set together with half_pixel_centers", "one of the two")
}
