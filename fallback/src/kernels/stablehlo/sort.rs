//! STABLEHLO_SORT: elements along one dimension, of one or several tensors alike, by a comparator.

use tflite_wgpu_model::{BuiltinOperator, Op};

use super::axes;
use super::region::{Region, scalar};
use crate::kernels::checks::wrong_operator;
use crate::kernels::elements::{Axis, copy, strides};
use crate::kernels::support::refuse;
use crate::kernels::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::StablehloSort, eval }];

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloSort(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let shape = ctx.shape(0)?;
    let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
    let dimension = if options.dimension < 0 { options.dimension + rank } else { options.dimension };
    let axis = axes("dimension", &[dimension], shape.len())?[0];
    for i in 1..ctx.inputs.len() {
        if ctx.shape(i)? != shape {
            return Err(refuse(format!("shape of input {i}"), format!("{:?}", ctx.shape(i)?), format!("{shape:?}")));
        }
    }
    let region = Region::new(ctx, options.comparator_subgraph_index)?;
    let (length, step) = (shape[axis], strides(shape)[axis]);
    let mut from = vec![0; ctx.input(0)?.len()];
    for line in 0..from.len() / length.max(1) {
        let first = line / step * step * length + line % step;
        let mut order: Vec<usize> = (0..length).map(|i| first + i * step).collect();
        sort(ctx, &region, &mut order)?;
        order.iter().enumerate().for_each(|(i, &place)| from[first + i * step] = place);
    }
    let to: Vec<usize> = (0..from.len()).collect();
    for i in 0..ctx.inputs.len() {
        copy(ctx.input(i)?, ctx.output_value(i)?, &[Axis { from: from.clone(), to: to.clone() }])?;
    }
    Ok(())
}

/// A stable sort of places by what the comparator says of their elements. Its first error ends it.
fn sort(ctx: &EvalCtx<'_>, region: &Region<'_>, places: &mut [usize]) -> Result<(), KernelError> {
    let before = |a: usize, b: usize| -> Result<bool, KernelError> {
        let mut scalars = Vec::with_capacity(2 * ctx.inputs.len());
        for i in 0..ctx.inputs.len() {
            scalars.push(scalar(ctx.input(i)?, a)?);
            scalars.push(scalar(ctx.input(i)?, b)?);
        }
        let results = region.apply(&scalars.iter().collect::<Vec<_>>(), 1)?;
        Ok(results[0].bytes().first().is_some_and(|&byte| byte != 0))
    };
    // Merging, so that a comparator that contradicts itself does no harm.
    let mut width = 1;
    while width < places.len() {
        for run in places.chunks_mut(2 * width) {
            let (left, right) = run.split_at(width.min(run.len()));
            let (mut i, mut j, mut merged) = (0, 0, Vec::with_capacity(run.len()));
            while i < left.len() && j < right.len() {
                if before(right[j], left[i])? {
                    merged.push(right[j]);
                    j += 1;
                } else {
                    merged.push(left[i]);
                    i += 1;
                }
            }
            merged.extend_from_slice(&left[i..]);
            merged.extend_from_slice(&right[j..]);
            run.copy_from_slice(&merged);
        }
        width *= 2;
    }
    Ok(())
}
