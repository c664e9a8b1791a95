//! Axes, sizes and broadcasting.

use super::InferError;

/// The shape that all of `shapes` broadcast to, aligned at the last dimension as in NumPy; a size of 1 stretches to
/// any other, 0 included. No shapes at all give a scalar.
///
/// # Errors
/// When two sizes differ and neither is 1.
pub fn broadcast(shapes: &[&[usize]]) -> Result<Vec<usize>, InferError> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for shape in shapes {
        for (&size, slot) in shape.iter().rev().zip(result.iter_mut().rev()) {
            if *slot == 1 {
                *slot = size;
            } else if size != 1 && size != *slot {
                return Err(InferError::new(format!("shapes {shapes:?}"), "shapes that broadcast"));
            }
        }
    }
    Ok(result)
}

/// The position of `axis` among `rank` dimensions; negative axes count from the end.
///
/// # Errors
/// When `axis` is outside `-rank..rank`.
pub fn normalize_axis(axis: i64, rank: usize) -> Result<usize, InferError> {
    let fault = || InferError::new(format!("axis {axis}"), format!("an axis of rank {rank}"));
    let length = i64::try_from(rank).map_err(|_| fault())?;
    let position = if axis < 0 { axis.checked_add(length).ok_or_else(fault)? } else { axis };
    usize::try_from(position).ok().filter(|&position| position < rank).ok_or_else(fault)
}

/// The axes that a reduction runs over: normalised, sorted, each once. No axes mean no reduction.
///
/// # Errors
/// When an axis is outside `-rank..rank`.
pub fn reduced_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, InferError> {
    let mut axes = axes.iter().map(|&axis| normalize_axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// Distinct axes in the order given, normalised (a permutation when there are `rank` of them).
///
/// # Errors
/// When an axis is outside `-rank..rank` or repeated.
pub fn unique_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, InferError> {
    let normalized = axes.iter().map(|&axis| normalize_axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = vec![false; rank];
    for &axis in &normalized {
        if std::mem::replace(&mut seen[axis], true) {
            return Err(InferError::new(format!("axes {axes:?}"), "each axis once"));
        }
    }
    Ok(normalized)
}

/// Integers of a file as sizes.
///
/// # Errors
/// When one is negative.
pub fn sizes(values: &[i64]) -> Result<Vec<usize>, InferError> {
    let convert = |&value: &i64| usize::try_from(value).ok();
    let fault = || InferError::new(format!("sizes {values:?}"), "no negative size");
    values.iter().map(convert).collect::<Option<_>>().ok_or_else(fault)
}

/// Product of sizes; an error when it does not fit.
pub(super) fn product(dims: &[usize]) -> Result<usize, InferError> {
    crate::element_count(dims).ok_or_else(|| InferError::new(format!("sizes {dims:?}"), "a product that fits"))
}

/// Sum of sizes; an error when it does not fit.
pub(super) fn sum(dims: &[usize]) -> Result<usize, InferError> {
    let sum = dims.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
    sum.ok_or_else(|| InferError::new(format!("sizes {dims:?}"), "a sum that fits"))
}

/// A factor or divisor of a file's attribute: at least 1.
pub(super) fn positive(name: &str, value: impl Into<i64>) -> Result<usize, InferError> {
    let value = value.into();
    let fault = || InferError::new(format!("{name} {value}"), "at least 1");
    usize::try_from(value).ok().filter(|&value| value > 0).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_is_numpys() {
        type Case<'a> = (&'a [&'a [usize]], Option<&'a [usize]>);
        let cases: &[Case] = &[
            (&[], Some(&[])),
            (&[&[2, 3], &[2, 3]], Some(&[2, 3])),
            (&[&[2, 3], &[]], Some(&[2, 3])),
            (&[&[3], &[2, 1]], Some(&[2, 3])),
            (&[&[1, 4, 1], &[5, 1, 6]], Some(&[5, 4, 6])),
            (&[&[0], &[1]], Some(&[0])),
            (&[&[1, 3], &[0, 1]], Some(&[0, 3])),
            (&[&[0], &[2]], None),
            (&[&[2, 3], &[3, 2]], None),
            (&[&[2], &[1], &[3]], None),
            (&[&[2, 1], &[1, 3], &[1]], Some(&[2, 3])),
        ];
        for (shapes, expected) in cases {
            assert_eq!(broadcast(shapes).ok().as_deref(), *expected, "{shapes:?}");
        }
    }

    #[test]
    fn axes_count_from_both_ends() {
        for (axis, rank, expected) in
            [(0, 1, Some(0)), (-1, 3, Some(2)), (-3, 3, Some(0)), (3, 3, None), (-4, 3, None), (0, 0, None)]
        {
            assert_eq!(normalize_axis(axis, rank).ok(), expected, "{axis} of {rank}");
        }
        assert_eq!(normalize_axis(i64::MIN, 3).ok(), None);
        assert_eq!(reduced_axes(&[2, -1, 0, 0], 3).ok(), Some(vec![0, 2]));
        assert_eq!(reduced_axes(&[], 3).ok(), Some(vec![]));
        assert_eq!(unique_axes(&[2, 0, -2], 3).ok(), Some(vec![2, 0, 1]));
        assert_eq!(unique_axes(&[2, -1], 3).ok(), None);
    }
}
