//! SOFTMAX, LOG_SOFTMAX, L2_NORMALIZATION and layer norms over the innermost dimension.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, Op};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, known_shapes},
    linear_groups,
};
use crate::{
    kernels::{BindingRow, KernelRow, ParamType, input, output},
    reason::Reason,
    region::{RegionNode, Whole},
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[row_kernel("norm_rows"), row_kernel("norm_group")];

const BINDINGS: &[BindingRow] = &[input("src"), output("dst")];
const PARAMS: &[(&str, ParamType)] =
    &[("rows", ParamType::U32), ("width", ParamType::U32), ("channels", ParamType::U32), ("beta", ParamType::F32)];

const fn row_kernel(name: &'static str) -> KernelRow {
    KernelRow { name, file: "rows.wgsl", bindings: BINDINGS, params: PARAMS, epilogue: true, twin: "softmax" }
}

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(B::Softmax, support, lower).fuses(),
    OpRow::new(B::LogSoftmax, support, lower).fuses(),
    OpRow::new(B::L2Normalization, support, lower).fuses(),
];

/// Rows shorter than this have one invocation each on every adapter.
const GROUP_CHANNELS: usize = 64;

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, FLOATS)?;
    ctx.output_is(0, FLOATS)?;
    known_shapes(ctx)
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let (op, beta) = match (&node.op, node.whole) {
        (Op::L2Normalization(_), Some(Whole::Standardise { epsilon })) => ("standardise", epsilon),
        (Op::Softmax(options), _) => ("softmax", options.beta),
        (Op::LogSoftmax, _) => ("log_softmax", 1.0),
        (Op::L2Normalization(_), _) => ("l2", 1.0),
        _ => return Err(Reason::UnsupportedOperator.into()),
    };
    let texels = ctx.region.tensor(dst).texels();
    let group = !ctx.tuning.row_per_invocation && texels.channels >= GROUP_CHANNELS;
    let step = if group {
        ctx.step("norm_group", node).grid(linear_groups(texels.rows, 1))
    } else {
        let workgroup = ctx.tuning.row_workgroup();
        let step = ctx.step("norm_rows", node).linear(texels.rows, workgroup);
        step.value("workgroup", i64::try_from(workgroup).unwrap_or(8))
    };
    step.tensor("src", src)
        .tensor("dst", dst)
        .param("rows", texels.rows)
        .param("width", texels.width)
        .param("channels", texels.channels)
        .param_f32("beta", beta)
        .text("op", op)
        .fused(&node.fused)
        .finish(ctx)
}
