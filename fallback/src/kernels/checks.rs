//! Checks that kernels share: attributes, axes and sizes that come from a file or a tensor.

use tflite_wgpu_model::DType;

use super::support::refuse;
use super::{EvalCtx, KernelError};
use crate::value::ValueError;

/// A kernel was looked up for one operator and ran on another.
pub(super) fn wrong_operator(ctx: &EvalCtx<'_>) -> KernelError {
    refuse("the operator", format!("{:?}", ctx.node.op.builtin()), "the one this kernel is for")
}

/// An axis of a tensor of this rank; negative ones count from the end.
///
/// # Errors
/// When it is outside `-rank..rank`.
pub(super) fn axis(what: &str, value: i64, rank: usize) -> Result<usize, KernelError> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let wrapped = if value < 0 { value.saturating_add(signed) } else { value };
    usize::try_from(wrapped)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| refuse(what, value, format!("an axis of {rank} dimensions")))
}

/// A size or index that must not be negative.
///
/// # Errors
/// When it is negative.
pub(super) fn size(what: &str, value: i64) -> Result<usize, KernelError> {
    usize::try_from(value).map_err(|_| refuse(what, value, "a number that is not negative"))
}

/// Sizes or indices, one per dimension.
///
/// # Errors
/// When one is negative or their number is not `rank`.
pub(super) fn sizes(what: &str, values: &[i64], rank: usize) -> Result<Vec<usize>, KernelError> {
    if values.len() != rank {
        return Err(refuse(what, format!("{} numbers", values.len()), format!("one for each of {rank} dimensions")));
    }
    values.iter().map(|&v| size(what, v)).collect()
}

/// Gives output `i` this shape, unless inference has given it already.
///
/// # Errors
/// When it cannot be allocated.
pub(super) fn shape_output(ctx: &mut EvalCtx<'_>, i: usize, shape: &[usize]) -> Result<(), KernelError> {
    if ctx.output_value(i)?.shape() == shape { Ok(()) } else { ctx.set_output(i, shape) }
}

/// Writes integers to output `i`, an INT32 or INT64 tensor of as many elements.
///
/// # Errors
/// When it has another type or size, or a number does not fit INT32.
pub(super) fn write_ints(ctx: &mut EvalCtx<'_>, i: usize, numbers: &[i64]) -> Result<(), KernelError> {
    let dtype = ctx.output_value(i)?.dtype();
    let length = ctx.output_value(i)?.len();
    if length != numbers.len() {
        let error = ValueError::Size { found: numbers.len(), expected: length };
        return Err(KernelError::Output { output: i, error });
    }
    if dtype == DType::Int64 {
        ctx.output::<i64>(i)?.copy_from_slice(numbers);
        return Ok(());
    }
    for (target, &number) in ctx.output::<i32>(i)?.iter_mut().zip(numbers) {
        *target = i32::try_from(number).map_err(|_| refuse("a result", number, "an INT32"))?;
    }
    Ok(())
}
