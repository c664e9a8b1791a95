//! Functions of one tensor, element by element: a copy whose epilogue is the function.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, INTS, constants_fit, elementwise, known_shapes},
    types,
};
use crate::{
    kernels::{KernelRow, ParamType::U32, input, output},
    reason::Reason,
    region::{Fused, RegionNode, Unary},
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[KernelRow {
    name: "unary",
    file: "elementwise.wgsl",
    bindings: &[input("src"), output("dst")],
    params: &[("texels", U32), ("width", U32), ("channels", U32)],
    epilogue: true,
    twin: "elementwise",
}];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    row(B::Abs, float_or_int).takes(types::NUMBERS),
    row(B::Ceil, float),
    row(B::Cos, float),
    row(B::Elu, float),
    row(B::Exp, float),
    row(B::Floor, float),
    row(B::Gelu, float),
    row(B::HardSwish, float),
    row(B::LeakyRelu, float),
    row(B::Log, float),
    row(B::Logistic, float),
    row(B::Neg, float_or_int).takes(types::NUMBERS),
    row(B::Relu, float),
    row(B::Relu0To1, float),
    row(B::Relu6, float),
    row(B::ReluN1To1, float),
    row(B::Round, float),
    row(B::Rsqrt, float),
    row(B::Sign, float_or_int).takes(types::NUMBERS),
    row(B::Sin, float),
    row(B::Sqrt, float),
    row(B::Square, float),
    row(B::Tanh, float),
    OpRow::new(B::LogicalNot, logical_not, lower_logical_not).takes("BOOL"),
];

const fn row(op: BuiltinOperator, support: super::Support) -> OpRow {
    OpRow::new(op, support, lower).fuses()
}

/// The form of a unary operator in an epilogue; `None` for other operators.
pub fn fused_form(op: &Op) -> Option<Fused> {
    let clamp = |low, high| Fused::Clamp { low, high };
    Some(match op {
        Op::Relu => clamp(0.0, f32::INFINITY),
        Op::Relu6 => clamp(0.0, 6.0),
        Op::ReluN1To1 => clamp(-1.0, 1.0),
        Op::Relu0To1 => clamp(0.0, 1.0),
        Op::LeakyRelu(options) => Fused::LeakyRelu { alpha: options.alpha },
        Op::Gelu(options) if options.approximate => Fused::Unary(Unary::GeluTanh),
        Op::Gelu(_) => Fused::Unary(Unary::Gelu),
        Op::Abs => Fused::Unary(Unary::Abs),
        Op::Ceil => Fused::Unary(Unary::Ceil),
        Op::Cos => Fused::Unary(Unary::Cos),
        Op::Elu => Fused::Unary(Unary::Elu),
        Op::Exp => Fused::Unary(Unary::Exp),
        Op::Floor => Fused::Unary(Unary::Floor),
        Op::HardSwish => Fused::Unary(Unary::HardSwish),
        Op::Log => Fused::Unary(Unary::Log),
        Op::Logistic => Fused::Unary(Unary::Logistic),
        Op::Neg => Fused::Unary(Unary::Neg),
        Op::Round => Fused::Unary(Unary::Round),
        Op::Rsqrt => Fused::Unary(Unary::Rsqrt),
        Op::Sign => Fused::Unary(Unary::Sign),
        Op::Sin => Fused::Unary(Unary::Sin),
        Op::Sqrt => Fused::Unary(Unary::Sqrt),
        Op::Square => Fused::Unary(Unary::Square),
        Op::Tanh => Fused::Unary(Unary::Tanh),
        _ => return None,
    })
}

fn float(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, FLOATS)?;
    ctx.output_is(0, FLOATS)?;
    known_shapes(ctx)
}

/// INT64 is left to the CPU only where a constant shows that 32 bits do not suffice.
fn float_or_int(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, &[FLOATS, INTS].concat())?;
    ctx.output_is(0, &[ctx.input_type(0)?])?;
    constants_fit(ctx)?;
    known_shapes(ctx)
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let mut fused = vec![fused_form(&node.op).ok_or(Reason::UnsupportedOperator)?];
    fused.extend_from_slice(&node.fused);
    elementwise(ctx, "unary", node, dst).tensor("src", src).text("op", "v").fused(&fused).finish(ctx)
}

fn logical_not(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, &[DType::Bool])?;
    ctx.output_is(0, &[DType::Bool])?;
    known_shapes(ctx)
}

fn lower_logical_not(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    elementwise(ctx, "unary", node, dst).tensor("src", src).text("op", "vec4<i32>(v == vec4<i32>(0))").finish(ctx)
}
