//! Functions of two tensors with broadcasting, and ADD_N.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op, TensorId};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, INTS, NAMES, broadcasts, constants_fit, elementwise, known_shapes, of_tensors},
    types,
};
use crate::{
    kernels::{KernelRow, ParamType::U32, input, output},
    reason::Reason,
    region::{Binary, Fused, RegionNode, Spread, Storage},
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    KernelRow {
        name: "binary",
        file: "elementwise.wgsl",
        bindings: &[input("a"), input("b"), output("dst")],
        params: &[
            ("texels", U32),
            ("width", U32),
            ("channels", U32),
            ("d1", U32),
            ("d2", U32),
            ("d3", U32),
            ("a0", U32),
            ("a1", U32),
            ("a2", U32),
            ("a3", U32),
            ("b0", U32),
            ("b1", U32),
            ("b2", U32),
            ("b3", U32),
        ],
        epilogue: true,
        twin: "binary",
    },
    KernelRow {
        name: "binary_self",
        file: "elementwise.wgsl",
        bindings: &[input("a"), output("dst")],
        params: &[("texels", U32), ("width", U32), ("channels", U32)],
        epilogue: true,
        twin: "binary",
    },
];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    row(B::Add, sums).takes(types::NUMBERS),
    row(B::Sub, sums).takes(types::NUMBERS),
    row(B::Mul, products)
        .takes(types::NUMBERS)
        .leaves("INT64 products that may need more than 32 bits (no small constant factor)"),
    row(B::Div, quotients)
        .takes(types::NUMBERS)
        .leaves("integers by a divisor that is computed or zero: only the CPU can refuse a zero"),
    row(B::Maximum, sums).takes(types::NUMBERS),
    row(B::Minimum, sums).takes(types::NUMBERS),
    row(B::Pow, powers)
        .takes("FLOAT32, FLOAT16, BFLOAT16, INT32")
        .leaves("integers with an exponent that is computed or negative: only the CPU can refuse it"),
    row(B::SquaredDifference, products)
        .takes(types::NUMBERS)
        .leaves("INT64 products that may need more than 32 bits (no small constant factor)"),
    row(B::FloorDiv, quotients)
        .takes(types::NUMBERS)
        .leaves("integers by a divisor that is computed or zero: only the CPU can refuse a zero"),
    row(B::FloorMod, quotients)
        .takes(types::NUMBERS)
        .leaves("integers by a divisor that is computed or zero: only the CPU can refuse a zero"),
    row(B::Atan2, floats),
    OpRow::new(B::AddN, add_n, lower_add_n).fuses().takes("FLOAT32, FLOAT16, BFLOAT16, INT32"),
    OpRow::new(B::LogicalAnd, logical, lower).takes("BOOL"),
    OpRow::new(B::LogicalOr, logical, lower).takes("BOOL"),
];

const fn row(op: BuiltinOperator, support: super::Support) -> OpRow {
    OpRow::new(op, support, lower).fuses()
}

/// The template's expression of `a` and `b`, on floats and on integers.
fn expressions(op: &Op) -> Option<(&'static str, &'static str)> {
    Some(match op {
        Op::Add(_) => ("a + b", "a + b"),
        Op::Sub(_) => ("a - b", "a - b"),
        Op::Mul(_) => ("a * b", "a * b"),
        Op::Div(_) => ("a / b", "a / b"),
        Op::Maximum => ("select(b, a, a > b)", "max(a, b)"),
        Op::Minimum => ("select(b, a, a < b)", "min(a, b)"),
        Op::Pow => ("power(a, b)", "power_int(a, b)"),
        Op::SquaredDifference => ("(a - b) * (a - b)", "(a - b) * (a - b)"),
        Op::FloorDiv => ("floor(a / b)", "floor_div_int(a, b)"),
        Op::FloorMod => ("floor_mod(a, b)", "floor_mod_int(a, b)"),
        Op::Atan2 => ("angle(a, b)", ""),
        Op::LogicalAnd => ("", "a & b"),
        Op::LogicalOr => ("", "a | b"),
        Op::Prelu => ("select(b * a, a, a >= vec4<f32>(0.0))", ""),
        Op::Equal => ("vec4<i32>(a == b)", "vec4<i32>(a == b)"),
        // Adapters differ in what `!=` says of NaN.
        Op::NotEqual => ("vec4<i32>(!(a == b))", "vec4<i32>(a != b)"),
        Op::Less => ("vec4<i32>(a < b)", "vec4<i32>(a < b)"),
        Op::LessEqual => ("vec4<i32>(a <= b)", "vec4<i32>(a <= b)"),
        Op::Greater => ("vec4<i32>(a > b)", "vec4<i32>(a > b)"),
        Op::GreaterEqual => ("vec4<i32>(a >= b)", "vec4<i32>(a >= b)"),
        _ => return None,
    })
}

fn same_types(ctx: &SupportCtx<'_>, types: &[DType]) -> Result<(), Reason> {
    ctx.input_is(0, types)?;
    let kind: &[DType] = if FLOATS.contains(&ctx.input_type(0)?) { FLOATS } else { &[ctx.input_type(0)?] };
    ctx.input_is(1, kind)?;
    ctx.output_is(0, kind)?;
    constants_fit(ctx)?;
    broadcasts(ctx, &[0, 1])
}

fn floats(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    same_types(ctx, FLOATS)
}

fn sums(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    same_types(ctx, &[FLOATS, INTS].concat())
}

/// INT64 products leave 32 bits easily: one factor must be a small constant.
fn products(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    sums(ctx)?;
    let small = |i| {
        let values = ctx.constant_ints(i).ok();
        values.is_some_and(|values| values.iter().all(|v| v.abs() < 1 << 15))
    };
    if ctx.input_type(0)? == DType::Int64 && (matches!(ctx.node.op, Op::SquaredDifference) || !(small(0) || small(1))) {
        return Err(Reason::Value("products of INT64 may need more than 32 bits"));
    }
    Ok(())
}

/// Dividing integers by zero is an error, which only the CPU can raise: divisors must be known.
fn quotients(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    sums(ctx)?;
    if !FLOATS.contains(&ctx.input_type(0)?) && ctx.constant_ints(1)?.contains(&0) {
        return Err(Reason::Value("a divisor is zero"));
    }
    Ok(())
}

/// As [`quotients`]: negative exponents of integers are an error.
fn powers(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    same_types(ctx, &[FLOATS, &[DType::Int32]].concat())?;
    if ctx.input_type(0)? == DType::Int32 && ctx.constant_ints(1)?.iter().any(|&v| v < 0) {
        return Err(Reason::Value("an exponent is negative"));
    }
    Ok(())
}

fn logical(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    same_types(ctx, &[DType::Bool])
}

/// Lowers a node whose operands are its inputs 0 and 1.
pub(super) fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (a, b, dst) = (ctx.input(node, 0)?, ctx.input(node, 1)?, ctx.output(node, 0)?);
    let (float, int) = expressions(&node.op).ok_or(Reason::UnsupportedOperator)?;
    let op = if ctx.region.tensor(a).storage == Storage::I32 { int } else { float };
    if a == b && ctx.dims(a) == ctx.dims(dst) {
        let step = elementwise(ctx, "binary_self", node, dst).tensor("a", a);
        return step.text("op", op).fused(&node.fused).finish(ctx);
    }
    let (layout, [a, b]) = of_tensors(ctx, node, dst, [a, b])?;
    let step = elementwise(ctx, "binary", node, dst).tensor("a", a).tensor("b", b).text("op", op);
    layout.apply(step, &NAMES).fused(&node.fused).finish(ctx)
}

fn add_n(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    known_shapes(ctx)?;
    let dims = ctx.output_dims(0)?;
    for i in 0..ctx.node.inputs.len() {
        ctx.input_is(i, &[FLOATS, &[DType::Int32]].concat())?;
        if ctx.input_type(i)? != ctx.output_type(0)? || ctx.input_dims(i)? != dims {
            return Err(Reason::Shape("addends of different shapes or types"));
        }
    }
    Ok(())
}

/// Most addends of one step, so that an epilogue still has bindings.
const ADDENDS: usize = 4;

fn lower_add_n(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let dst = ctx.output(node, 0)?;
    let addends: Vec<TensorId> = node.inputs.iter().copied().flatten().collect();
    let (&first, rest) = addends.split_first().ok_or(Reason::Shape("no addend"))?;
    let mut sum = first;
    let mut chunks = rest.chunks(ADDENDS - 1).peekable();
    loop {
        let addends = chunks.next().unwrap_or_default();
        let last = chunks.peek().is_none();
        let add = |&operand| Fused::Binary { op: Binary::Add, operand, spread: Spread::Full, swapped: false };
        let mut fused: Vec<Fused> = addends.iter().map(add).collect();
        let to = if last {
            fused.extend_from_slice(&node.fused);
            dst
        } else {
            let tensor = ctx.region.tensor(dst).clone();
            let storage = if tensor.storage == Storage::I32 { Storage::I32 } else { Storage::F32 };
            ctx.scratch("partial sum", tensor.dtype, &tensor.dims, storage)
        };
        elementwise(ctx, "unary", node, to).tensor("src", sum).text("op", "v").fused(&fused).finish(ctx)?;
        if last {
            return Ok(());
        }
        sum = to;
    }
}
