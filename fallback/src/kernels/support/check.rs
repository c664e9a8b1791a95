//! Checks of shapes and types, with errors in the kernels' words.

use std::cmp::Ordering;

use tflite_wgpu_model::infer::InferError;

use crate::kernels::{EvalCtx, KernelError};

/// A combination that a kernel does not have.
pub(crate) fn refuse(what: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> KernelError {
    KernelError::Unsupported { what: what.into(), found: found.to_string(), expected: expected.into() }
}

/// Shapes that do not fit each other, in a kernel's words.
pub(crate) fn mismatch(error: InferError) -> KernelError {
    let what = error.input.map_or_else(|| "shape".to_owned(), |i| format!("input {i}"));
    refuse(what, error.found, error.expected)
}

/// The order of falling numbers; what is no number comes last, so that it is one of all values, as sorting needs.
pub(crate) fn larger_first<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    let is_none = |value: &T| value.partial_cmp(value).is_none();
    b.partial_cmp(a).unwrap_or_else(|| is_none(a).cmp(&is_none(b)))
}

/// Checks the number of elements of a tensor, `what` in the error.
pub(crate) fn check_len<T>(elements: &[T], expected: usize, what: &str) -> Result<(), KernelError> {
    if elements.len() == expected {
        return Ok(());
    }
    Err(refuse(format!("number of elements of {what}"), elements.len(), expected.to_string()))
}

/// The type of input `i` is none that the kernel has.
pub(crate) fn no_type(ctx: &EvalCtx<'_>, i: usize, expected: &str) -> KernelError {
    match ctx.input(i) {
        Ok(value) => refuse(format!("type of input {i}"), value.dtype(), expected),
        Err(error) => error,
    }
}

/// The sizes of a shape of `N` dimensions; `what` names the tensor in the error.
pub(crate) fn dims<const N: usize>(shape: &[usize], what: &str) -> Result<[usize; N], KernelError> {
    let wrong_rank = |_| refuse(format!("rank of {what}"), shape.len(), N.to_string());
    shape.try_into().map_err(wrong_rank)
}

/// Checks that output `i` was given the shape that the kernel is about to fill.
pub(crate) fn expect_shape(ctx: &mut EvalCtx<'_>, i: usize, expected: &[usize]) -> Result<(), KernelError> {
    let found = ctx.output_value(i)?.shape();
    if found == expected {
        return Ok(());
    }
    Err(refuse(format!("shape of output {i}"), format!("{found:?}"), format!("{expected:?}")))
}
