//! Operators that regroup or join dimensions without changing elements.

use BuiltinOperator as B;

use crate::{BuiltinOperator, DType, Op};

use super::args::{Args, Stop, invalid, one};
use super::dims::{positive, product, sum};
use super::{InferError, OutputShapes, Row, normalize_axis, reduced_axes, sizes, unique_axes};

pub(super) const ROWS: &[Row] = &[
    (B::Reshape, reshape),
    (B::Squeeze, squeeze),
    (B::ExpandDims, expand_dims),
    (B::Transpose, transpose),
    (B::Concatenation, concatenation),
    (B::Pack, pack),
    (B::Unpack, unpack),
    (B::Split, split),
    (B::SplitV, split_v),
];

/// The shape that `target` gives to a tensor of shape `input`; one −1 takes what the others leave. Without elements
/// it takes what they leave of the sizes other than 0, so that `[0, 3]` as `[0, −1]` stays `[0, 3]`.
///
/// # Errors
/// When there are two −1, another negative size, or a different number of elements.
pub fn resolve_reshape(input: &[usize], target: &[i64]) -> Result<Vec<usize>, InferError> {
    let fault = || InferError::new(format!("shape {input:?} as {target:?}"), "equally many elements");
    let count = product(input)?;
    let open = target.iter().position(|&size| size == -1);
    let others: Vec<_> = target.iter().enumerate().filter(|&(i, _)| Some(i) != open).map(|(_, &size)| size).collect();
    let mut shape = sizes(&others).map_err(|_| fault())?;
    if let Some(open) = open {
        let rest = match product(&shape)? {
            0 => nonzero_product(input)? / nonzero_product(&shape)?,
            known => count / known,
        };
        shape.insert(open, rest);
    }
    if product(&shape)? != count {
        return Err(fault());
    }
    Ok(shape)
}

/// Product of the sizes other than 0.
fn nonzero_product(dims: &[usize]) -> Result<usize, InferError> {
    product(&dims.iter().copied().filter(|&size| size != 0).collect::<Vec<_>>())
}

/// The new shape is input 1 if that is a vector of INT32, else the attribute, where `[0]` means a scalar.
fn reshape(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Reshape(o) = a.op() else { return Err(Stop::Unknown) };
    let by_tensor = a.has(1) && a.dtype(1)? == DType::Int32 && a.shape(1)?.len() == 1;
    let target = match o.new_shape.as_slice() {
        _ if by_tensor => a.ints(1)?,
        [0] => vec![],
        sizes => sizes.iter().map(|&size| size.into()).collect(),
    };
    one(resolve_reshape(a.shape(0)?, &target)?)
}

/// Drops the dimensions of size 1 that the attribute names, or all of them.
fn squeeze(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Squeeze(o) = a.op() else { return Err(Stop::Unknown) };
    let shape = a.shape(0)?;
    if o.squeeze_dims.is_empty() {
        return one(shape.iter().copied().filter(|&size| size != 1).collect());
    }
    let axes: Vec<i64> = o.squeeze_dims.iter().map(|&axis| axis.into()).collect();
    let axes = reduced_axes(&axes, shape.len())?;
    if let Some(&axis) = axes.iter().find(|&&axis| shape[axis] != 1) {
        return invalid(format!("shape {shape:?}"), format!("size 1 in dimension {axis}"));
    }
    one(super::reduce::without(shape, &axes, false))
}

/// A new dimension at the place that input 1 states.
fn expand_dims(a: &Args) -> Result<OutputShapes, Stop> {
    let mut shape = a.shape(0)?.to_vec();
    let axis = normalize_axis(a.int(1)?, shape.len() + 1).map_err(|error| error.at(1))?;
    shape.insert(axis, 1);
    one(shape)
}

/// Input 1 names, for each output dimension, the input's.
fn transpose(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let permutation = a.ints(1)?;
    one(permuted(shape, &permutation).map_err(|error| error.at(1))?)
}

/// `shape` in the order of `permutation`.
pub(super) fn permuted(shape: &[usize], permutation: &[i64]) -> Result<Vec<usize>, InferError> {
    let axes = unique_axes(permutation, shape.len())?;
    if axes.len() != shape.len() {
        let expected = format!("one entry per dimension of {shape:?}");
        return Err(InferError::new(format!("permutation {permutation:?}"), expected));
    }
    Ok(axes.into_iter().map(|axis| shape[axis]).collect())
}

fn concatenation(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Concatenation(o) = a.op() else { return Err(Stop::Unknown) };
    one(concatenated(a, o.axis.into())?)
}

/// Shape of all inputs one after the other along `axis`.
pub(super) fn concatenated(a: &Args, axis: i64) -> Result<Vec<usize>, Stop> {
    let mut shape = a.shape(0)?.to_vec();
    let axis = normalize_axis(axis, shape.len())?;
    for i in 1..a.input_count() {
        let other = a.shape(i)?;
        let fits = other.len() == shape.len() && (0..shape.len()).all(|d| d == axis || other[d] == shape[d]);
        if !fits {
            let expected = format!("{shape:?} but for dimension {axis}");
            return Err(InferError::new(format!("shape {other:?}"), expected).at(i).into());
        }
        shape[axis] = sum(&[shape[axis], other[axis]])?;
    }
    Ok(shape)
}

/// Inputs of one shape side by side in a new dimension.
fn pack(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Pack(o) = a.op() else { return Err(Stop::Unknown) };
    let Some(Some(mut shape)) = super::elementwise::equal(a)?.pop() else { return Err(Stop::Unknown) };
    let axis = normalize_axis(o.axis.into(), shape.len() + 1)?;
    shape.insert(axis, a.input_count());
    one(shape)
}

/// A dimension becomes as many outputs.
fn unpack(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Unpack(o) = a.op() else { return Err(Stop::Unknown) };
    let mut shape = a.shape(0)?.to_vec();
    let axis = normalize_axis(o.axis.into(), shape.len())?;
    let count = shape.remove(axis);
    if count != a.output_count() {
        return invalid(format!("{} outputs", a.output_count()), format!("{count} along dimension {axis}"));
    }
    Ok(vec![Some(shape); count])
}

/// Inputs: axis, values. Equal parts.
fn split(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Split(o) = a.op() else { return Err(Stop::Unknown) };
    let mut shape = a.shape(1)?.to_vec();
    let axis = normalize_axis(a.int(0)?, shape.len()).map_err(|error| error.at(0))?;
    let parts = positive("num_splits", o.num_splits)?;
    if !shape[axis].is_multiple_of(parts) {
        return invalid(format!("size {} of dimension {axis}", shape[axis]), format!("a multiple of {parts} splits"));
    }
    if parts != a.output_count() {
        return invalid(format!("{} outputs", a.output_count()), format!("{parts} splits"));
    }
    shape[axis] /= parts;
    Ok(vec![Some(shape); parts])
}

/// Inputs: values, sizes (one may be −1), axis.
fn split_v(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let parts = a.ints(1)?;
    let axis = normalize_axis(a.int(2)?, shape.len()).map_err(|error| error.at(2))?;
    let open = parts.iter().position(|&size| size == -1);
    let mut known = parts.clone();
    if let Some(open) = open {
        known[open] = 0;
    }
    let mut known = sizes(&known).map_err(|error| error.at(1))?;
    let rest = shape[axis].checked_sub(sum(&known)?);
    match (rest, open) {
        (Some(rest), Some(open)) => known[open] = rest,
        (Some(0), None) => {}
        _ => {
            let found = format!("sizes {parts:?}");
            return Err(InferError::new(found, format!("a sum of {}", shape[axis])).at(1).into());
        }
    }
    let part = |size: usize| {
        let mut shape = shape.to_vec();
        shape[axis] = size;
        Some(shape)
    };
    Ok(known.into_iter().map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::resolve_reshape;

    #[test]
    fn open_dimensions_take_the_rest() {
        type Case<'a> = (&'a [usize], &'a [i64], Option<&'a [usize]>);
        let cases: &[Case] = &[
            (&[2, 3], &[3, 2], Some(&[3, 2])),
            (&[2, 3], &[-1], Some(&[6])),
            (&[2, 3], &[2, -1, 1], Some(&[2, 3, 1])),
            (&[2, 3], &[-1, 4], None),
            (&[2, 3], &[-1, -1], None),
            (&[2, 3], &[-2, -3], None),
            (&[1], &[], Some(&[])),
            (&[2, 3], &[], None),
            (&[], &[-1], Some(&[1])),
            (&[1], &[0], None),
            (&[6], &[i64::MAX, i64::MAX], None),
            (&[0, 3], &[0, -1], Some(&[0, 3])),
            (&[0, 3], &[-1, 3], Some(&[0, 3])),
            (&[0, 3], &[-1, 0], Some(&[3, 0])),
            (&[0, 4], &[0, 2, -1], Some(&[0, 2, 2])),
            (&[0, 0, 5], &[0, -1], Some(&[0, 5])),
            (&[3, 2], &[0, -1], None),
        ];
        for (input, target, expected) in cases {
            assert_eq!(resolve_reshape(input, target).ok().as_deref(), *expected, "{input:?} as {target:?}");
        }
    }
}
