//! PAD, PADV2, MIRROR_PAD.

use tflite_wgpu_model::{BuiltinOperator, DType, MirrorPadMode, Op};

use super::checks::{shape_output, size, wrong_operator};
use super::elements::{copy, count, fill, picks, places};
use super::support::refuse;
use super::{EvalCtx, KernelError, Row};
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Pad, eval: pad },
    Row { op: BuiltinOperator::Padv2, eval: pad },
    Row { op: BuiltinOperator::MirrorPad, eval: mirror_pad },
];

/// Elements added before and after each axis.
fn paddings(ctx: &EvalCtx<'_>) -> Result<Vec<(usize, usize)>, KernelError> {
    let rank = ctx.shape(0)?.len();
    let list = ctx.ints(1)?;
    if ctx.shape(1)? != [rank, 2] {
        return Err(refuse("the paddings", format!("shape {:?}", ctx.shape(1)?), format!("[{rank}, 2]")));
    }
    list.chunks_exact(2).map(|pair| Ok((size("a padding", pair[0])?, size("a padding", pair[1])?))).collect()
}

fn padded(shape: &[usize], paddings: &[(usize, usize)]) -> Result<Vec<usize>, KernelError> {
    let total = |(&n, &(before, after)): (&usize, &(usize, usize))| n.saturating_add(before).saturating_add(after);
    let shape: Vec<usize> = shape.iter().zip(paddings).map(total).collect();
    count(&shape)?;
    Ok(shape)
}

/// PADV2's third input is the value; without it the value stands for real 0.
fn pad(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    let paddings = paddings(ctx)?;
    let shape = padded(input.shape(), &paddings)?;
    shape_output(ctx, 0, &shape)?;
    match ctx.optional(2) {
        Some(value) => fill(value, ctx.output_value(0)?)?,
        None => fill(&zero(ctx, input.dtype())?, ctx.output_value(0)?)?,
    }
    let starts: Vec<usize> = paddings.iter().map(|&(before, _)| before).collect();
    copy(input, ctx.output_value(0)?, &places(input.shape(), &shape, &starts))
}

/// The element that stands for 0: the output's zero point where it is quantised.
pub(super) fn zero(ctx: &EvalCtx<'_>, dtype: DType) -> Result<Value, KernelError> {
    let wrap = |error| KernelError::Output { output: 0, error };
    let point = ctx.output_quant(0).and_then(|quant| quant.per_tensor()).map_or(0, |(_, zero_point)| zero_point);
    let fits = || refuse("the zero point", point, format!("an {dtype}"));
    match dtype {
        DType::Int8 => Value::from_slice(dtype, &[1], &[i8::try_from(point).map_err(|_| fits())?]),
        DType::UInt8 => Value::from_slice(dtype, &[1], &[u8::try_from(point).map_err(|_| fits())?]),
        DType::Int16 => Value::from_slice(dtype, &[1], &[i16::try_from(point).map_err(|_| fits())?]),
        _ => Value::zeros(dtype, &[1]),
    }
    .map_err(wrap)
}

/// REFLECT leaves the edge out, SYMMETRIC repeats it.
fn mirror_pad(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::MirrorPad(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let input = ctx.input(0)?;
    let paddings = paddings(ctx)?;
    let shape = padded(input.shape(), &paddings)?;
    let edge = usize::from(options.mode == MirrorPadMode::Reflect);
    let mut indices = Vec::with_capacity(shape.len());
    for (&n, &(before, after)) in input.shape().iter().zip(&paddings) {
        let most = n.saturating_sub(edge);
        if before > most || after > most {
            return Err(refuse(
                "the paddings",
                format!("{before} and {after}"),
                format!("at most {most} for length {n}"),
            ));
        }
        let left = (0..before).rev().map(|i| i + edge);
        let right = (0..after).map(|i| n - 1 - edge - i);
        indices.push(left.chain(0..n).chain(right).collect());
    }
    shape_output(ctx, 0, &shape)?;
    copy(input, ctx.output_value(0)?, &picks(input.shape(), &indices))
}
