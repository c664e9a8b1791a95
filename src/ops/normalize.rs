//! LOCAL_RESPONSE_NORMALIZATION over channels.

use tflite_wgpu_model::{BuiltinOperator, Op};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, elementwise, known_shapes},
};
use crate::{
    kernels::{
        KernelRow,
        ParamType::{F32, U32},
        input, output,
    },
    reason::Reason,
    region::RegionNode,
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[KernelRow {
    name: "local_response",
    file: "local_response.wgsl",
    bindings: &[input("src"), output("dst")],
    params: &[
        ("texels", U32),
        ("width", U32),
        ("channels", U32),
        ("radius", U32),
        ("bias", F32),
        ("alpha", F32),
        ("beta", F32),
    ],
    epilogue: true,
    twin: "local_response_normalization",
}];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[OpRow::new(BuiltinOperator::LocalResponseNormalization, support, lower).fuses()];

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, FLOATS)?;
    ctx.output_is(0, FLOATS)?;
    known_shapes(ctx)?;
    match &ctx.node.op {
        Op::LocalResponseNormalization(options) if options.radius < 0 => Err(Reason::Attribute("radius")),
        _ => Ok(()),
    }
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let Op::LocalResponseNormalization(options) = &node.op else { return Err(Reason::UnsupportedOperator.into()) };
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let radius = usize::try_from(options.radius).map_err(|_| Reason::Attribute("radius"))?;
    // A window wider than the row is the row; the bound keeps sums of indices within i32.
    let radius = radius.min(ctx.region.tensor(dst).texels().channels);
    elementwise(ctx, "local_response", node, dst)
        .tensor("src", src)
        .param("radius", radius)
        .param_f32("bias", options.bias)
        .param_f32("alpha", options.alpha)
        .param_f32("beta", options.beta)
        .fused(&node.fused)
        .finish(ctx)
}
