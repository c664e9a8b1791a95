//! Joining and cutting along one axis: CONCATENATION, SPLIT, SPLIT_V, PACK, UNPACK.

use tflite_wgpu_model::{ActivationFunctionType, BuiltinOperator, DType, Op, Quant};

use super::checks::{axis, shape_output, size, wrong_operator};
use super::elements::{copy, count, picks, places};
use super::support::{float_clamp, refuse};
use super::{EvalCtx, KernelError, Row};
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Concatenation, eval: concatenation },
    Row { op: BuiltinOperator::Split, eval: split },
    Row { op: BuiltinOperator::SplitV, eval: split_v },
    Row { op: BuiltinOperator::Pack, eval: pack },
    Row { op: BuiltinOperator::Unpack, eval: unpack },
];

fn concatenation(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Concatenation(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let first = ctx.shape(0)?;
    let axis = axis("axis", options.axis.into(), first.len())?;
    let mut shape = first.to_vec();
    shape[axis] = 0;
    for i in 0..ctx.inputs.len() {
        let part = ctx.shape(i)?;
        let fits = part.len() == shape.len() && (0..shape.len()).all(|d| d == axis || part[d] == shape[d]);
        if !fits {
            let expected = format!("that of input 0, {first:?}, except for axis {axis}");
            return Err(refuse(format!("the shape of input {i}"), format!("{part:?}"), expected));
        }
        shape[axis] = shape[axis].saturating_add(part[axis]);
    }
    count(&shape)?;
    shape_output(ctx, 0, &shape)?;
    let mut start = vec![0; shape.len()];
    for i in 0..ctx.inputs.len() {
        let part = ctx.input(i)?;
        let axes = places(part.shape(), &shape, &start);
        match requantised(part, ctx.input_quant(i), ctx.output_quant(0))? {
            Some(part) => copy(&part, ctx.output_value(0)?, &axes)?,
            None => copy(part, ctx.output_value(0)?, &axes)?,
        }
        start[axis] += part.shape()[axis];
    }
    clamp(ctx, options.fused_activation_function)
}

/// UINT8 inputs of another scale than the output's: `round(q · s_in / s_out − zp_in · s_in / s_out) + zp_out` in FLOAT32.
fn requantised(part: &Value, from: Option<&Quant>, to: Option<&Quant>) -> Result<Option<Value>, KernelError> {
    let (Some((scale, zero)), Some((out_scale, out_zero))) =
        (from.and_then(Quant::per_tensor), to.and_then(Quant::per_tensor))
    else {
        return Ok(None);
    };
    if part.dtype() != DType::UInt8 || (scale, zero) == (out_scale, out_zero) {
        return Ok(None);
    }
    let wrap = |error| KernelError::Input { input: 0, error };
    let factor = scale * (1.0 / out_scale);
    let bias = -(zero as f32) * factor;
    let convert = |&q: &u8| ((f32::from(q) * factor + bias).round() as i32).saturating_add(out_zero as i32);
    let elements: Vec<u8> = part.as_slice().map_err(wrap)?.iter().map(|q| convert(q).clamp(0, 255) as u8).collect();
    Value::from_slice(DType::UInt8, part.shape(), &elements).map(Some).map_err(wrap)
}

/// The fused activation of a float tensor.
fn clamp(ctx: &mut EvalCtx<'_>, activation: ActivationFunctionType) -> Result<(), KernelError> {
    if activation == ActivationFunctionType::None {
        return Ok(());
    }
    let range = float_clamp(activation)?;
    for element in ctx.output::<f32>(0)? {
        *element = range.apply(*element);
    }
    Ok(())
}

fn split(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.shape(1)?;
    let axis = first_axis(ctx, 0, shape.len())?;
    let parts = ctx.outputs.len();
    if parts == 0 || !shape[axis].is_multiple_of(parts) {
        return Err(refuse("num_splits", parts, format!("a divisor of {}", shape[axis])));
    }
    cut(ctx, 1, axis, &vec![shape[axis] / parts; parts])
}

/// One size may be −1: what the others leave.
fn split_v(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    let axis = first_axis(ctx, 2, shape.len())?;
    let mut list = ctx.ints(1)?;
    let mismatch = || refuse("the sizes", format!("{list:?}"), format!("parts of {}", shape[axis]));
    let known: i64 = list.iter().filter(|&&n| n != -1).fold(0, |sum, &n| sum.saturating_add(n));
    let rest = i64::try_from(shape[axis]).unwrap_or(i64::MAX).checked_sub(known).filter(|&n| n >= 0);
    let rest = rest.ok_or_else(mismatch)?;
    let open = list.iter().filter(|&&n| n == -1).count();
    if open > 1 || open == 0 && rest != 0 || list.len() != ctx.outputs.len() {
        return Err(mismatch());
    }
    list.iter_mut().filter(|n| **n == -1).for_each(|n| *n = rest);
    let parts = list.iter().map(|&n| size("a size", n)).collect::<Result<Vec<_>, _>>()?;
    cut(ctx, 0, axis, &parts)
}

/// The axis that input `i` holds.
fn first_axis(ctx: &EvalCtx<'_>, i: usize, rank: usize) -> Result<usize, KernelError> {
    let list = ctx.ints(i)?;
    let value = list.first().ok_or_else(|| refuse("the axis", "an empty tensor", "one number"))?;
    axis("the axis", *value, rank)
}

/// Writes consecutive parts of input `i` to the outputs.
fn cut(ctx: &mut EvalCtx<'_>, i: usize, axis: usize, parts: &[usize]) -> Result<(), KernelError> {
    let input = ctx.input(i)?;
    let mut start = 0;
    for (output, &length) in parts.iter().enumerate() {
        let mut indices: Vec<Vec<usize>> = input.shape().iter().map(|&n| (0..n).collect()).collect();
        indices[axis] = (start..start + length).collect();
        start += length;
        shape_output(ctx, output, &indices.iter().map(Vec::len).collect::<Vec<_>>())?;
        copy(input, ctx.output_value(output)?, &picks(input.shape(), &indices))?;
    }
    Ok(())
}

fn pack(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Pack(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let part = ctx.shape(0)?;
    let axis = axis("axis", options.axis.into(), part.len() + 1)?;
    let mut shape = part.to_vec();
    shape.insert(axis, ctx.inputs.len());
    count(&shape)?;
    shape_output(ctx, 0, &shape)?;
    let mut one = part.to_vec();
    one.insert(axis, 1);
    for i in 0..ctx.inputs.len() {
        let input = ctx.input(i)?;
        if input.shape() != part {
            return Err(refuse(format!("the shape of input {i}"), format!("{:?}", input.shape()), format!("{part:?}")));
        }
        let mut start = vec![0; shape.len()];
        start[axis] = i;
        copy(input, ctx.output_value(0)?, &places(&one, &shape, &start))?;
    }
    Ok(())
}

fn unpack(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Unpack(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let input = ctx.input(0)?;
    let axis = axis("axis", options.axis.into(), input.shape().len())?;
    if input.shape()[axis] != ctx.outputs.len() {
        return Err(refuse("num", ctx.outputs.len(), format!("the length of axis {axis} of {:?}", input.shape())));
    }
    let mut shape = input.shape().to_vec();
    shape.remove(axis);
    let mut indices: Vec<Vec<usize>> = input.shape().iter().map(|&n| (0..n).collect()).collect();
    for output in 0..ctx.outputs.len() {
        indices[axis] = vec![output];
        shape_output(ctx, output, &shape)?;
        copy(input, ctx.output_value(output)?, &picks(input.shape(), &indices))?;
    }
    Ok(())
}
