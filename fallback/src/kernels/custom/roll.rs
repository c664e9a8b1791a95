//! Roll: elements move along axes and come in again at the other end.

use crate::kernels::checks::axis;
use crate::kernels::elements::{copy, picks};
use crate::kernels::support::refuse;
use crate::kernels::{EvalCtx, KernelError};

/// Inputs: elements, shifts, axes; shifts of an axis that is named twice add up.
pub(super) fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    let (shifts, axes) = (ctx.ints(1)?, ctx.ints(2)?);
    if shifts.len() != axes.len() {
        return Err(refuse("number of shifts", shifts.len(), format!("{}, one per axis", axes.len())));
    }
    let mut starts = vec![0usize; shape.len()];
    for (&shift, &named) in shifts.iter().zip(&axes) {
        let axis = axis("axis", named, shape.len())?;
        let length = i64::try_from(shape[axis]).unwrap_or(i64::MAX).max(1);
        // Element 0 of the result is the one that lies `shift` before element 0.
        let back = usize::try_from((length - shift.rem_euclid(length)) % length).unwrap_or(0);
        starts[axis] = (starts[axis] + back) % shape[axis].max(1);
    }
    let indices: Vec<Vec<usize>> =
        shape.iter().zip(&starts).map(|(&length, start)| (0..length).map(|i| (i + start) % length).collect()).collect();
    ctx.set_output(0, shape)?;
    copy(ctx.input(0)?, ctx.output_value(0)?, &picks(shape, &indices))
}
