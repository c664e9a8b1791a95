//! Operators that shrink dimensions: reductions, ARG_MAX, TOPK_V2, segments.

use BuiltinOperator as B;

use crate::{BuiltinOperator, Op};

use super::args::{Args, Stop, invalid, one};
use super::window::valid_padding;
use super::{InferError, OutputShapes, Row, normalize_axis, reduced_axes};

pub(super) const ROWS: &[Row] = &[
    (B::Mean, reduction),
    (B::ReduceAll, reduction),
    (B::ReduceAny, reduction),
    (B::ReduceMax, reduction),
    (B::ReduceMin, reduction),
    (B::ReduceProd, reduction),
    (B::Sum, reduction),
    (B::ArgMax, arg),
    (B::ArgMin, arg),
    (B::TopkV2, topk),
    (B::SegmentSum, segment_sum),
    (B::UnsortedSegmentMax, unsorted_segment),
    (B::UnsortedSegmentMin, unsorted_segment),
    (B::UnsortedSegmentProd, unsorted_segment),
    (B::UnsortedSegmentSum, unsorted_segment),
    (B::ReduceWindow, reduce_window),
];

/// Axes in input 1. No axes reduce nothing, and a scalar stays one whatever the axes say.
fn reduction(a: &Args) -> Result<OutputShapes, Stop> {
    let (Op::Mean(o)
    | Op::ReduceAll(o)
    | Op::ReduceAny(o)
    | Op::ReduceMax(o)
    | Op::ReduceMin(o)
    | Op::ReduceProd(o)
    | Op::Sum(o)) = a.op()
    else {
        return Err(Stop::Unknown);
    };
    let shape = a.shape(0)?;
    if shape.is_empty() {
        return one(vec![]);
    }
    let axes = reduced_axes(&a.ints(1)?, shape.len()).map_err(|error| error.at(1))?;
    one(without(shape, &axes, o.keep_dims))
}

/// `shape` with the sorted `axes` dropped or, with `keep`, set to 1.
pub(super) fn without(shape: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let size = |(axis, &size): (usize, &usize)| match axes.binary_search(&axis) {
        Ok(_) if keep => Some(1),
        Ok(_) => None,
        Err(_) => Some(size),
    };
    shape.iter().enumerate().filter_map(size).collect()
}

/// One axis, in input 1, is dropped.
fn arg(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let axis = normalize_axis(a.int(1)?, shape.len()).map_err(|error| error.at(1))?;
    one(without(shape, &[axis], false))
}

/// The last dimension becomes `k`, in values and in indices.
fn topk(a: &Args) -> Result<OutputShapes, Stop> {
    let mut shape = a.shape(0)?.to_vec();
    let k = a.size(1)?;
    match shape.last_mut() {
        Some(last) if k <= *last => *last = k,
        _ => return Err(InferError::new(format!("k {k}"), format!("at most the last of {shape:?}")).at(1).into()),
    }
    Ok(vec![Some(shape.clone()), Some(shape)])
}

/// Sorted segment numbers, one per row: as many rows as the last number says.
fn segment_sum(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let [ids] = a.dims(1)?;
    let Some((&rows, rest)) = shape.split_first() else { return invalid("a scalar", "rank 1 or more") };
    if ids != rows {
        return invalid(format!("{ids} segment numbers"), format!("one for each of {rows} rows"));
    }
    let segments = match a.sizes(1)?.last() {
        Some(last) => last.checked_add(1).ok_or_else(|| InferError::new(format!("segment {last}"), "one that fits"))?,
        None => 0,
    };
    one([&[segments], rest].concat())
}

/// Segment numbers for the leading dimensions, their count in input 2.
fn unsorted_segment(a: &Args) -> Result<OutputShapes, Stop> {
    let (shape, ids) = (a.shape(0)?, a.shape(1)?);
    let Some(rest) = shape.strip_prefix(ids) else {
        let expected = format!("the leading dimensions of {shape:?}");
        return Err(InferError::new(format!("shape {ids:?}"), expected).at(1).into());
    };
    one([&[a.size(2)?], rest].concat())
}

/// Inputs: values, initial value, window, strides and dilations, one number per dimension.
fn reduce_window(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let (filter, stride, dilation) = (a.sizes(2)?, a.sizes(3)?, a.sizes(4)?);
    for (i, list) in [(2, &filter), (3, &stride), (4, &dilation)] {
        if list.len() != shape.len() {
            let expected = format!("one number per dimension of {shape:?}");
            return Err(InferError::new(format!("{list:?}"), expected).at(i).into());
        }
    }
    let along = |axis: usize| valid_padding(shape[axis], filter[axis], stride[axis], dilation[axis]);
    one((0..shape.len()).map(along).collect::<Result<_, _>>()?)
}
