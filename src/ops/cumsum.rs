//! CUMSUM along one axis.

use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::{LowerCtx, LowerError, OpRow, SupportCtx, arg::axis, broadcast::known_shapes};
use crate::{
    kernels::{KernelRow, ParamType::U32, input, output},
    reason::Reason,
    region::RegionNode,
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    KernelRow {
        name: "cumsum_rows",
        file: "cumsum.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[("count", U32), ("width", U32), ("channels", U32), ("step", U32), ("length", U32)],
        epilogue: true,
        twin: "cumsum",
    },
    KernelRow {
        name: "cumsum_channels",
        file: "cumsum.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[("count", U32), ("width", U32), ("channels", U32)],
        epilogue: true,
        twin: "cumsum",
    },
];

/// Operators of this family.
pub const ROWS: &[OpRow] =
    &[OpRow::new(BuiltinOperator::Cumsum, support, lower).fuses().steers(&[1]).takes("FLOAT32, INT32, INT64")];

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, &[DType::Float32, DType::Int32, DType::Int64])?;
    ctx.output_is(0, &[ctx.input_type(0)?])?;
    known_shapes(ctx)?;
    axis(&ctx.constant_ints(1)?, ctx.input_dims(0)?.len()).map(|_| ())
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let Op::Cumsum(options) = &node.op else { return Err(Reason::UnsupportedOperator.into()) };
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let dims = ctx.dims(src).to_vec();
    let axis = axis(&ctx.constant_ints(node, 1)?, dims.len())?;
    let texels = ctx.region.tensor(src).texels();
    let workgroup = ctx.tuning.row_workgroup();
    let step = if axis + 1 == dims.len() {
        ctx.step("cumsum_channels", node).param("count", texels.rows).linear(texels.rows, workgroup)
    } else {
        let length = dims.get(axis).copied().unwrap_or(1);
        let inner: usize = dims.get(axis + 1..dims.len() - 1).unwrap_or_default().iter().product();
        let count = texels.count() / length;
        let step = ctx.step("cumsum_rows", node).param("count", count).linear(count, workgroup);
        step.param("step", inner * texels.width).param("length", length)
    };
    step.tensor("src", src)
        .tensor("dst", dst)
        .param("width", texels.width)
        .param("channels", texels.channels)
        .value("workgroup", i64::try_from(workgroup).unwrap_or(8))
        .value("exclusive", i64::from(options.exclusive))
        .value("reverse", i64::from(options.reverse))
        .fused(&node.fused)
        .finish(ctx)
}
