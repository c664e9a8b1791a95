//! Operators that move elements.

use BuiltinOperator as B;
use half::f16;
use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::{axes, indices, out_shape, per_dimension, positive};
use crate::kernels::checks::{sizes, wrong_operator};
use crate::kernels::elements::{Axis, copy, copy_all, fill, permutes, picks, places, strides};
use crate::kernels::support::refuse;
use crate::kernels::{Element, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::StablehloReshape, eval: |ctx| copy_all(ctx.input(0)?, ctx.output_value(0)?) },
    Row { op: B::StablehloTranspose, eval: transpose },
    Row { op: B::StablehloSlice, eval: slice },
    Row { op: B::StablehloConcatenate, eval: concatenate },
    Row { op: B::StablehloBroadcastInDim, eval: broadcast_in_dim },
    Row { op: B::StablehloIota, eval: iota },
    Row { op: B::StablehloPad, eval: pad },
    Row { op: B::StablehloDynamicSlice, eval: dynamic_slice },
    Row { op: B::StablehloDynamicUpdateSlice, eval: dynamic_update_slice },
];

fn transpose(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloTranspose(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let shape = ctx.shape(0)?;
    let permutation = axes("permutation", &options.permutation, shape.len())?;
    copy(ctx.input(0)?, ctx.output_value(0)?, &permutes(shape, &permutation))
}

fn slice(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloSlice(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let shape = ctx.shape(0)?;
    let starts = sizes("start_indices", &options.start_indices, shape.len())?;
    let limits = sizes("limit_indices", &options.limit_indices, shape.len())?;
    let steps = positive("strides", &options.strides, shape.len())?;
    let along = |d: usize| (starts[d]..limits[d].min(shape[d])).step_by(steps[d]).collect();
    let picked: Vec<Vec<usize>> = (0..shape.len()).map(along).collect();
    copy(ctx.input(0)?, ctx.output_value(0)?, &picks(shape, &picked))
}

fn concatenate(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloConcatenate(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let shape = out_shape(ctx, 0)?;
    let &[axis] = axes("dimension", &[options.dimension], shape.len())?.as_slice() else {
        return Err(wrong_operator(ctx));
    };
    let mut start = vec![0; shape.len()];
    for i in 0..ctx.inputs.len() {
        let input = ctx.input(i)?;
        copy(input, ctx.output_value(0)?, &places(input.shape(), &shape, &start))?;
        start[axis] += input.shape()[axis];
    }
    Ok(())
}

/// Dimensions of size 1 are repeated.
fn broadcast_in_dim(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloBroadcastInDim(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let (shape, target) = (ctx.shape(0)?, out_shape(ctx, 0)?);
    let dims = per_dimension("broadcast_dimensions", &options.broadcast_dimensions, shape.len())?;
    let dims = axes("broadcast_dimensions", dims, target.len())?;
    let (from, to) = (strides(shape), strides(&target));
    let axis = |d: usize| {
        let own = dims.iter().position(|&dim| dim == d).filter(|&own| shape[own] != 1);
        let step = own.map_or(0, |own| from[own]);
        Axis { from: (0..target[d]).map(|i| i * step).collect(), to: (0..target[d]).map(|i| i * to[d]).collect() }
    };
    let plan: Vec<Axis> = (0..target.len()).map(axis).collect();
    copy(ctx.input(0)?, ctx.output_value(0)?, &plan)
}

fn iota(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Element>(ctx: &mut EvalCtx<'_>, numbers: &[usize], from: fn(usize) -> T) -> Result<(), KernelError> {
        ctx.output::<T>(0)?.iter_mut().zip(numbers).for_each(|(out, &number)| *out = from(number));
        Ok(())
    }
    let Op::StablehloIota(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let shape = out_shape(ctx, 0)?;
    let axis = axes("iota_dimension", &[options.iota_dimension], shape.len())?[0];
    let mut at = vec![0; shape.len()];
    let number = |i| {
        indices(i, &shape, &mut at);
        at[axis]
    };
    let numbers: Vec<usize> = (0..ctx.output_value(0)?.len()).map(number).collect();
    match ctx.output_value(0)?.dtype() {
        DType::Float32 => of(ctx, &numbers, |n| n as f32),
        DType::Float64 => of(ctx, &numbers, |n| n as f64),
        DType::Float16 => of(ctx, &numbers, |n| f16::from_f32(n as f32)),
        DType::BFloat16 => of(ctx, &numbers, |n| half::bf16::from_f32(n as f32)),
        DType::Int8 => of(ctx, &numbers, |n| n as i8),
        DType::Int16 => of(ctx, &numbers, |n| n as i16),
        DType::Int32 => of(ctx, &numbers, |n| n as i32),
        DType::Int64 => of(ctx, &numbers, |n| n as i64),
        DType::UInt8 => of(ctx, &numbers, |n| n as u8),
        DType::UInt16 => of(ctx, &numbers, |n| n as u16),
        DType::UInt32 => of(ctx, &numbers, |n| n as u32),
        DType::UInt64 => of(ctx, &numbers, |n| n as u64),
        other => Err(refuse("type of output 0", other, "a number")),
    }
}

/// Padding between elements and at the edges; negative padding takes elements away.
fn pad(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloPad(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let (shape, target) = (ctx.shape(0)?, out_shape(ctx, 0)?);
    let low = per_dimension("edge_padding_low", &options.edge_padding_low, shape.len())?;
    let inner = sizes("interior_padding", &options.interior_padding, shape.len())?;
    fill(ctx.input(1)?, ctx.output_value(0)?)?;
    let (from, to) = (strides(shape), strides(&target));
    let axis = |d: usize| {
        let mut axis = Axis { from: Vec::new(), to: Vec::new() };
        for i in 0..shape[d] {
            let place = i64::try_from(i.saturating_mul(inner[d].saturating_add(1))).unwrap_or(i64::MAX);
            let place = usize::try_from(place.saturating_add(low[d])).ok().filter(|&place| place < target[d]);
            if let Some(place) = place {
                axis.from.push(i * from[d]);
                axis.to.push(place * to[d]);
            }
        }
        axis
    };
    let plan: Vec<Axis> = (0..shape.len()).map(axis).collect();
    copy(ctx.input(0)?, ctx.output_value(0)?, &plan)
}

/// Start indices, scalars from input `first` on, moved so that the window lies inside.
fn starts(ctx: &EvalCtx<'_>, first: usize, shape: &[usize], window: &[usize]) -> Result<Vec<usize>, KernelError> {
    let mut starts = Vec::with_capacity(shape.len());
    for (d, (&size, &part)) in shape.iter().zip(window).enumerate() {
        let room =
            size.checked_sub(part).ok_or_else(|| refuse("size of the slice", part, format!("at most {size}")))?;
        let start = match ctx.ints(first + d)?.as_slice() {
            [start] => usize::try_from((*start).max(0)).unwrap_or(usize::MAX),
            other => return Err(refuse(format!("elements of input {}", first + d), other.len(), "1")),
        };
        starts.push(start.min(room));
    }
    Ok(starts)
}

fn dynamic_slice(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloDynamicSlice(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let shape = ctx.shape(0)?;
    let window = sizes("slice_sizes", &options.slice_sizes, shape.len())?;
    let starts = starts(ctx, 1, shape, &window)?;
    let picked: Vec<Vec<usize>> = starts.iter().zip(&window).map(|(&start, &n)| (start..start + n).collect()).collect();
    copy(ctx.input(0)?, ctx.output_value(0)?, &picks(shape, &picked))
}

fn dynamic_update_slice(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (shape, window) = (ctx.shape(0)?, ctx.shape(1)?);
    if shape.len() != window.len() {
        return Err(refuse("rank of input 1", window.len(), shape.len().to_string()));
    }
    let starts = starts(ctx, 2, shape, window)?;
    copy_all(ctx.input(0)?, ctx.output_value(0)?)?;
    copy(ctx.input(1)?, ctx.output_value(0)?, &places(window, shape, &starts))
}
