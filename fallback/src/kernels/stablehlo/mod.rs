//! STABLEHLO_* operators, as the StableHLO specification has them. Shapes are inferred before a kernel runs.

mod elementwise;
mod indexed;
mod movement;
mod products;
mod region;
mod rng;
mod sort;
mod windows;

use super::checks::size;
use super::support::refuse;
use super::{EvalCtx, KernelError, Row};

pub(super) const FAMILIES: &[&[Row]] =
    &[elementwise::ROWS, indexed::ROWS, movement::ROWS, products::ROWS, rng::ROWS, sort::ROWS, windows::ROWS];

/// Attributes that are axes, each less than `rank` and there once.
fn axes(what: &str, list: &[i64], rank: usize) -> Result<Vec<usize>, KernelError> {
    let axis = |(i, &axis): (usize, &i64)| {
        let found = usize::try_from(axis).ok().filter(|&axis| axis < rank);
        let found = found.filter(|_| list.iter().position(|other| *other == axis) == Some(i));
        found.ok_or_else(|| refuse(what, axis, format!("axes less than {rank}, each once")))
    };
    list.iter().enumerate().map(axis).collect()
}

/// An attribute with a number per dimension.
fn per_dimension<'a>(what: &str, list: &'a [i64], rank: usize) -> Result<&'a [i64], KernelError> {
    if list.len() == rank {
        return Ok(list);
    }
    Err(refuse(what, format!("{} numbers", list.len()), format!("one for each of {rank} dimensions")))
}

/// As [`per_dimension`], positive numbers.
fn positive(what: &str, list: &[i64], rank: usize) -> Result<Vec<usize>, KernelError> {
    let one = |&v: &i64| if v > 0 { size(what, v) } else { Err(refuse(what, v, "positive numbers")) };
    per_dimension(what, list, rank)?.iter().map(one).collect()
}

/// The shape that output `i` was given.
fn out_shape(ctx: &mut EvalCtx<'_>, i: usize) -> Result<Vec<usize>, KernelError> {
    Ok(ctx.output_value(i)?.shape().to_vec())
}

/// The indices of element `at` of a tensor of this shape.
fn indices(mut at: usize, shape: &[usize], out: &mut [usize]) {
    for (index, &size) in out.iter_mut().zip(shape).rev() {
        *index = at % size.max(1);
        at /= size.max(1);
    }
}
