//! Moving elements whose type does not matter: every axis lists where its indices are read and written.

use tflite_wgpu_model::element_count;

use super::KernelError;
use super::support::refuse;
use crate::value::{Value, ValueError};

/// Offsets, counted in elements, of the indices of one axis. Both lists have the axis' length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// Offsets in the source.
    pub from: Vec<usize>,
    /// Offsets in the target.
    pub to: Vec<usize>,
}

/// Distances between neighbours along each axis of a dense tensor, in elements.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d].saturating_mul(shape[d]);
    }
    strides
}

/// Fills a dense target whose axis `d` takes the source's indices `indices[d]`, in that order.
pub(super) fn picks(source_shape: &[usize], indices: &[Vec<usize>]) -> Vec<Axis> {
    let lengths: Vec<usize> = indices.iter().map(Vec::len).collect();
    let (from, to) = (strides(source_shape), strides(&lengths));
    let offsets = |(d, list): (usize, &Vec<usize>)| Axis {
        from: list.iter().map(|i| i * from[d]).collect(),
        to: (0..list.len()).map(|i| i * to[d]).collect(),
    };
    indices.iter().enumerate().map(offsets).collect()
}

/// Puts a dense source into a dense target, its first element at index `start`.
pub(super) fn places(source_shape: &[usize], target_shape: &[usize], start: &[usize]) -> Vec<Axis> {
    let (from, to) = (strides(source_shape), strides(target_shape));
    let offsets = |(d, &length): (usize, &usize)| Axis {
        from: (0..length).map(|i| i * from[d]).collect(),
        to: (0..length).map(|i| (start[d] + i) * to[d]).collect(),
    };
    source_shape.iter().enumerate().map(offsets).collect()
}

/// Fills a dense target whose axis `d` is the source's axis `permutation[d]`.
pub(super) fn permutes(source_shape: &[usize], permutation: &[usize]) -> Vec<Axis> {
    let lengths: Vec<usize> = permutation.iter().map(|&d| source_shape[d]).collect();
    let (from, to) = (strides(source_shape), strides(&lengths));
    let offsets = |(d, &length): (usize, &usize)| Axis {
        from: (0..length).map(|i| i * from[permutation[d]]).collect(),
        to: (0..length).map(|i| i * to[d]).collect(),
    };
    lengths.iter().enumerate().map(offsets).collect()
}

/// Copies element `Σ from` of the source to element `Σ to` of the target, for every combination of indices.
///
/// # Errors
/// When types differ or an offset lies outside a tensor.
pub(super) fn copy(source: &Value, target: &mut Value, axes: &[Axis]) -> Result<(), KernelError> {
    if source.dtype() != target.dtype() {
        let error = ValueError::Type { found: target.dtype(), expected: source.dtype() };
        return Err(KernelError::Output { output: 0, error });
    }
    if axes.iter().any(|axis| axis.from.is_empty()) {
        return Ok(());
    }
    let reach = |offsets: fn(&Axis) -> &[usize]| {
        axes.iter().try_fold(0usize, |sum, axis| sum.checked_add(*offsets(axis).iter().max()?))
    };
    let inside = reach(|axis| &axis.from).is_some_and(|last| last < source.len())
        && reach(|axis| &axis.to).is_some_and(|last| last < target.len());
    if !inside || axes.iter().any(|axis| axis.from.len() != axis.to.len()) {
        let found = format!("shape {:?}", source.shape());
        return Err(refuse("the input", found, format!("one that fills shape {:?}", target.shape())));
    }
    if let Ok(strings) = source.as_strings() {
        let into = target.as_mut_strings().map_err(|error| KernelError::Output { output: 0, error })?;
        copy_elements(strings, into, axes);
        return Ok(());
    }
    match source.dtype().size() {
        Some(1) => copy_elements(source.bytes(), target.bytes_mut(), axes),
        Some(2) => copy_sized::<2>(source, target, axes),
        Some(8) => copy_sized::<8>(source, target, axes),
        Some(16) => copy_sized::<16>(source, target, axes),
        _ => copy_sized::<4>(source, target, axes),
    }
    Ok(())
}

fn copy_sized<const N: usize>(source: &Value, target: &mut Value, axes: &[Axis]) {
    copy_elements(source.bytes().as_chunks::<N>().0, target.bytes_mut().as_chunks_mut::<N>().0, axes);
}

/// `copy` on slices; every sum of offsets lies inside them.
fn copy_elements<E: Clone>(source: &[E], target: &mut [E], axes: &[Axis]) {
    let (mut from, mut to) = (0, 0);
    let mut outer: Vec<&Axis> = Vec::new();
    for axis in axes {
        if axis.from.len() == 1 {
            from += axis.from[0];
            to += axis.to[0];
        } else {
            outer.push(axis);
        }
    }
    let mut block = 1;
    while let Some(axis) = outer.last().filter(|axis| is_run(&axis.from, block) && is_run(&axis.to, block)) {
        from += axis.from[0];
        to += axis.to[0];
        block *= axis.from.len();
        outer.pop();
    }
    let Some(inner) = outer.pop() else {
        target[to..to + block].clone_from_slice(&source[from..from + block]);
        return;
    };
    walk(&outer, from, to, &mut |from, to| {
        for (&f, &t) in inner.from.iter().zip(&inner.to) {
            if block == 1 {
                target[to + t].clone_from(&source[from + f]);
            } else {
                target[to + t..to + t + block].clone_from_slice(&source[from + f..from + f + block]);
            }
        }
    });
}

/// Whether offsets grow by `step` each.
fn is_run(offsets: &[usize], step: usize) -> bool {
    offsets.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(step))
}

/// Visits all combinations in C order. No axis has length one, so the depth is limited by the number of elements.
fn walk(axes: &[&Axis], from: usize, to: usize, visit: &mut impl FnMut(usize, usize)) {
    match axes.split_first() {
        None => visit(from, to),
        Some((axis, rest)) => {
            for (f, t) in axis.from.iter().zip(&axis.to) {
                walk(rest, from + f, to + t, visit);
            }
        }
    }
}

/// Copies all elements in order, whatever the shapes.
///
/// # Errors
/// When types or numbers of elements differ.
pub(super) fn copy_all(source: &Value, target: &mut Value) -> Result<(), KernelError> {
    if source.len() != target.len() {
        let error = ValueError::Size { found: source.len(), expected: target.len() };
        return Err(KernelError::Input { input: 0, error });
    }
    let offsets: Vec<usize> = if source.is_empty() { Vec::new() } else { vec![0] };
    if source.dtype() == target.dtype() && source.as_strings().is_err() {
        target.bytes_mut().copy_from_slice(source.bytes());
        return Ok(());
    }
    let all = Axis { from: (0..source.len()).collect(), to: (0..source.len()).collect() };
    copy(source, target, &[Axis { from: offsets.clone(), to: offsets }, all])
}

/// Writes element 0 of `element` to every element of the target.
///
/// # Errors
/// When types differ or `element` is empty.
pub(super) fn fill(element: &Value, target: &mut Value) -> Result<(), KernelError> {
    let count = target.len();
    copy(element, target, &[Axis { from: vec![0; count], to: (0..count).collect() }])
}

/// Number of elements of a shape that a kernel computed.
///
/// # Errors
/// When it overflows.
pub(super) fn count(shape: &[usize]) -> Result<usize, KernelError> {
    let error = || ValueError::TooLarge(shape.to_vec());
    element_count(shape).ok_or_else(|| KernelError::Output { output: 0, error: error() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(shape: &[usize], target_shape: &[usize], axes: &[Axis]) -> Result<Vec<i32>, KernelError> {
        let count: usize = shape.iter().product();
        let numbers: Vec<i32> = (0..count as i32).collect();
        let wrap = |error| KernelError::Input { input: 0, error };
        let source = Value::i32(shape, &numbers).map_err(wrap)?;
        let mut target = Value::i32(target_shape, &vec![-1; target_shape.iter().product()]).map_err(wrap)?;
        copy(&source, &mut target, axes)?;
        target.as_slice().map(<[i32]>::to_vec).map_err(wrap)
    }

    #[test]
    fn offsets_move_elements() -> Result<(), KernelError> {
        let reversed_columns = picks(&[2, 3], &[vec![0, 1], vec![2, 1, 0]]);
        assert_eq!(run(&[2, 3], &[2, 3], &reversed_columns)?, [2, 1, 0, 5, 4, 3]);
        let repeated_rows = picks(&[2, 2], &[vec![1, 1, 0], vec![0, 1]]);
        assert_eq!(run(&[2, 2], &[3, 2], &repeated_rows)?, [2, 3, 2, 3, 0, 1]);
        let placed = places(&[1, 2], &[3, 3], &[1, 1]);
        assert_eq!(run(&[1, 2], &[3, 3], &placed)?, [-1, -1, -1, -1, 0, 1, -1, -1, -1]);
        let transposed = permutes(&[2, 1, 3], &[2, 1, 0]);
        assert_eq!(run(&[2, 1, 3], &[3, 1, 2], &transposed)?, [0, 3, 1, 4, 2, 5]);
        assert_eq!(run(&[], &[], &[])?, [0]);
        assert_eq!(run(&[0, 3], &[2], &picks(&[0, 3], &[vec![], vec![0, 1]]))?, [-1, -1]);
        Ok(())
    }

    #[test]
    fn offsets_outside_are_an_error() {
        assert!(run(&[2], &[2], &picks(&[2], &[vec![0, 2]])).is_err());
        assert!(run(&[3], &[2], &places(&[3], &[2], &[0])).is_err());
        assert!(run(&[2], &[2], &places(&[2], &[2], &[1])).is_err());
    }
}
