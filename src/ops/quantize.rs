//! QUANTIZE and DEQUANTIZE of activations. (Those of constants are folded before.)

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Quant};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, elementwise, known_shapes},
};
use crate::{
    kernels::{
        BindingRow, KernelRow,
        ParamType::{self, F32, I32, U32},
        input, output,
    },
    reason::Reason,
    region::RegionNode,
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[row("quantize", true), row("dequantize", true)];

const fn row(name: &'static str, epilogue: bool) -> KernelRow {
    KernelRow { name, file: "quantize.wgsl", bindings: BINDINGS, params: PARAMS, epilogue, twin: "quantize" }
}

const BINDINGS: &[BindingRow] = &[input("src"), output("dst")];

const PARAMS: &[(&str, ParamType)] = &[
    ("texels", U32),
    ("width", U32),
    ("channels", U32),
    ("scale", F32),
    ("zero_point", I32),
    ("low", F32),
    ("high", F32),
];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(B::Quantize, quantize_support, lower_quantize)
        .takes("FLOAT32 to INT8, UINT8, INT16")
        .leaves("scales per channel; from one scale to another (the CPU rounds in fixed point)"),
    OpRow::new(B::Dequantize, dequantize_support, lower_dequantize)
        .fuses()
        .takes("FLOAT16, BFLOAT16, INT8, UINT8, INT16 to FLOAT32")
        .leaves("scales per channel of what is no constant"),
];

/// Types that values are stored in, with their ranges.
const STORED: &[(DType, f32, f32)] =
    &[(DType::Int8, -128.0, 127.0), (DType::UInt8, 0.0, 255.0), (DType::Int16, -32_768.0, 32_767.0)];

fn range(dtype: DType) -> Option<(f32, f32)> {
    STORED.iter().find(|(stored, ..)| *stored == dtype).map(|&(_, low, high)| (low, high))
}

/// Scale and zero point of a tensor that has one of each.
fn step(quant: Option<&Quant>) -> Result<(f32, i64), Reason> {
    quant.and_then(Quant::per_tensor).ok_or(Reason::Attribute("quantization"))
}

fn quantize_support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, &[DType::Float32])?;
    ctx.output_is(0, &STORED.iter().map(|row| row.0).collect::<Vec<_>>())?;
    step(ctx.output(0).and_then(|t| t.quant.as_ref()))?;
    known_shapes(ctx)
}

fn dequantize_support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.output_is(0, &[DType::Float32])?;
    let from = ctx.input_type(0)?;
    if !FLOATS.contains(&from) {
        ctx.input_is(0, &STORED.iter().map(|row| row.0).collect::<Vec<_>>())?;
        step(ctx.input(0).and_then(|t| t.quant.as_ref()))?;
    }
    known_shapes(ctx)
}

fn lower_quantize(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let target = ctx.region.tensor(dst);
    let (scale, zero_point) = step(target.quant.as_ref())?;
    let (low, high) = range(target.dtype).ok_or(Reason::Shape("an unknown type of stored values"))?;
    elementwise(ctx, "quantize", node, dst)
        .tensor("src", src)
        .param_f32("scale", scale)
        .param_i32("zero_point", zero_point)
        .param_f32("low", low)
        .param_f32("high", high)
        .finish(ctx)
}

fn lower_dequantize(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let source = ctx.region.tensor(src);
    if FLOATS.contains(&source.dtype) {
        // Halves are texels like any others.
        return elementwise(ctx, "unary", node, dst).tensor("src", src).text("op", "v").fused(&node.fused).finish(ctx);
    }
    let (scale, zero_point) = step(source.quant.as_ref())?;
    elementwise(ctx, "dequantize", node, dst)
        .tensor("src", src)
        .param_f32("scale", scale)
        .param_i32("zero_point", zero_point)
        .param_f32("low", 0.0)
        .param_f32("high", 0.0)
        .fused(&node.fused)
        .finish(ctx)
}
