//! STABLEHLO_* operators that move or keep elements, as the StableHLO specification has them.

use BuiltinOperator as B;

use crate::{BuiltinOperator, Op};

use super::args::{Args, Stop, invalid, one};
use super::dims::{positive, product};
use super::elementwise::{equal, first};
use super::reduce::without;
use super::reshape::{concatenated, permuted};
use super::{InferError, OutputShapes, Row, reduced_axes, sizes, unique_axes};

pub(super) const ROWS: &[Row] = &[
    (B::StablehloAbs, first),
    (B::StablehloCbrt, first),
    (B::StablehloConvert, first),
    (B::StablehloCosine, first),
    (B::StablehloDynamicUpdateSlice, first),
    (B::StablehloExponential, first),
    (B::StablehloFloor, first),
    (B::StablehloLog, first),
    (B::StablehloLogistic, first),
    (B::StablehloNegate, first),
    (B::StablehloRsqrt, first),
    (B::StablehloTanh, first),
    (B::StablehloAdd, equal),
    (B::StablehloAnd, equal),
    (B::StablehloCompare, equal),
    (B::StablehloDivide, equal),
    (B::StablehloMaximum, equal),
    (B::StablehloMinimum, equal),
    (B::StablehloMultiply, equal),
    (B::StablehloOr, equal),
    (B::StablehloPower, equal),
    (B::StablehloRemainder, equal),
    (B::StablehloShiftLeft, equal),
    (B::StablehloSubtract, equal),
    (B::StablehloClamp, second),
    (B::StablehloSelect, second),
    (B::StablehloSort, sort),
    (B::StablehloReshape, reshape),
    (B::StablehloBroadcastInDim, broadcast_in_dim),
    (B::StablehloIota, stated),
    (B::StablehloRngBitGenerator, rng_bit_generator),
    (B::StablehloTranspose, transpose),
    (B::StablehloConcatenate, concatenate),
    (B::StablehloSlice, slice),
    (B::StablehloDynamicSlice, dynamic_slice),
    (B::StablehloPad, pad),
    (B::StablehloReduce, reduce),
    (B::StablehloGather, gather),
    (B::StablehloScatter, scatter),
];

/// The shape of input 1; the others are scalars or have it too.
fn second(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(1)?;
    for i in [0, 2] {
        let other = a.shape(i)?;
        if !other.is_empty() && other != shape {
            let error = InferError::new(format!("shape {other:?}"), format!("a scalar or {shape:?} as of input 1"));
            return Err(error.at(i).into());
        }
    }
    one(shape.to_vec())
}

/// Every input has its output.
fn sort(a: &Args) -> Result<OutputShapes, Stop> {
    (0..a.input_count()).map(|i| Ok(Some(a.shape(i)?.to_vec()))).collect()
}

/// The shape that the file states for the output, which is nowhere else.
fn stated(a: &Args) -> Result<OutputShapes, Stop> {
    one(a.output_shape(0).ok_or(Stop::Unknown)?)
}

fn reshape(a: &Args) -> Result<OutputShapes, Stop> {
    let input = a.shape(0)?;
    let output = a.output_shape(0).ok_or(Stop::Unknown)?;
    if product(input)? != product(&output)? {
        return invalid(format!("shape {input:?}"), format!("as many elements as {output:?}"));
    }
    one(output)
}

/// Input dimension `i` becomes output dimension `broadcast_dimensions[i]`.
fn broadcast_in_dim(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloBroadcastInDim(o) = a.op() else { return Err(Stop::Unknown) };
    let input = a.shape(0)?;
    let output = a.output_shape(0).ok_or(Stop::Unknown)?;
    let places = unique_axes(&o.broadcast_dimensions, output.len())?;
    let fits = |(&size, &place): (&usize, &usize)| size == 1 || size == output[place];
    if places.len() != input.len() || !input.iter().zip(&places).all(fits) {
        return invalid(format!("shape {input:?} at {places:?}"), format!("one that stretches to {output:?}"));
    }
    one(output)
}

/// The state after, and the random bits, whose shape only the file knows.
fn rng_bit_generator(a: &Args) -> Result<OutputShapes, Stop> {
    Ok(vec![Some(a.shape(0)?.to_vec()), a.output_shape(1)])
}

fn transpose(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloTranspose(o) = a.op() else { return Err(Stop::Unknown) };
    one(permuted(a.shape(0)?, &o.permutation)?)
}

fn concatenate(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloConcatenate(o) = a.op() else { return Err(Stop::Unknown) };
    one(concatenated(a, o.dimension)?)
}

/// An error when an attribute does not have one number per dimension.
pub(super) fn check_length(name: &str, list: &[i64], rank: usize) -> Result<(), InferError> {
    if list.len() != rank {
        return Err(InferError::new(format!("{name} {list:?}"), format!("{rank} numbers")));
    }
    Ok(())
}

fn slice(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloSlice(o) = a.op() else { return Err(Stop::Unknown) };
    let shape = a.shape(0)?;
    for (name, list) in
        [("start_indices", &o.start_indices), ("limit_indices", &o.limit_indices), ("strides", &o.strides)]
    {
        check_length(name, list, shape.len())?;
    }
    let (start, limit) = (sizes(&o.start_indices)?, sizes(&o.limit_indices)?);
    let along = |axis: usize| {
        let stride = positive("stride", o.strides[axis])?;
        let length = limit[axis].checked_sub(start[axis]).filter(|_| limit[axis] <= shape[axis]);
        let fault = || {
            let found = format!("range {}..{} of dimension {axis}", start[axis], limit[axis]);
            InferError::new(found, format!("a range within {}", shape[axis]))
        };
        Ok(length.ok_or_else(fault)?.div_ceil(stride))
    };
    one((0..shape.len()).map(along).collect::<Result<_, InferError>>()?)
}

fn dynamic_slice(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloDynamicSlice(o) = a.op() else { return Err(Stop::Unknown) };
    let shape = a.shape(0)?;
    check_length("slice_sizes", &o.slice_sizes, shape.len())?;
    let slice = sizes(&o.slice_sizes)?;
    if slice.iter().zip(shape).any(|(slice, size)| slice > size) {
        return invalid(format!("slice_sizes {slice:?}"), format!("at most {shape:?}"));
    }
    one(slice)
}

/// `low`, the elements with `interior` between neighbours, `high`; negative padding cuts.
fn pad(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloPad(o) = a.op() else { return Err(Stop::Unknown) };
    let shape = a.shape(0)?;
    for (name, list) in [
        ("edge_padding_low", &o.edge_padding_low),
        ("edge_padding_high", &o.edge_padding_high),
        ("interior_padding", &o.interior_padding),
    ] {
        check_length(name, list, shape.len())?;
    }
    let gaps = sizes(&o.interior_padding)?;
    let along = |axis: usize| {
        let inner = dilated(shape[axis], gaps[axis].checked_add(1)?)?;
        padded(inner, o.edge_padding_low[axis], o.edge_padding_high[axis])
    };
    let fault = || InferError::new(format!("paddings of {shape:?}"), "sizes that fit");
    one((0..shape.len()).map(along).collect::<Option<_>>().ok_or_else(fault)?)
}

/// `size` elements at distances of `step`; `None` when the result does not fit.
pub(super) fn dilated(size: usize, step: usize) -> Option<usize> {
    size.checked_sub(1).map_or(Some(0), |gaps| gaps.checked_mul(step)?.checked_add(1))
}

/// `size` elements padded or, below 0, cut, with nothing left at worst; `None` when the result does not fit.
pub(super) fn padded(size: usize, low: i64, high: i64) -> Option<usize> {
    let total = i64::try_from(size).ok()?.checked_add(low)?.checked_add(high)?;
    usize::try_from(total.max(0)).ok()
}

/// Inputs: as many values as initial values.
fn reduce(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloReduce(o) = a.op() else { return Err(Stop::Unknown) };
    let output = |i: usize| {
        let shape = a.shape(i)?;
        Ok(Some(without(shape, &reduced_axes(&o.dimensions, shape.len())?, false)))
    };
    (0..a.input_count() / 2).map(output).collect()
}

/// The dimensions of the indices without that of the index vectors.
fn index_batch(indices: &[usize], index_vector_dim: i64) -> Result<Vec<usize>, InferError> {
    match usize::try_from(index_vector_dim) {
        Ok(dim) if dim <= indices.len() => Ok(without(indices, &[dim], false)),
        _ => Err(InferError::new(format!("index_vector_dim {index_vector_dim}"), format!("at most {}", indices.len()))),
    }
}

/// Slices at `offset_dims`, the indices' own dimensions at the other places.
fn gather(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloGather(o) = a.op() else { return Err(Stop::Unknown) };
    let values = a.shape(0)?;
    let mut batch = index_batch(a.shape(1)?, o.index_vector_dim)?.into_iter();
    check_length("slice_sizes", &o.slice_sizes, values.len())?;
    let slice = sizes(&o.slice_sizes)?;
    if slice.iter().zip(values).any(|(slice, size)| slice > size) {
        return invalid(format!("slice_sizes {slice:?}"), format!("at most {values:?}"));
    }
    let collapsed = reduced_axes(&o.collapsed_slice_dims, values.len())?;
    let offsets = without(&slice, &collapsed, false);
    let rank = offsets.len() + batch.len();
    let places = reduced_axes(&o.offset_dims, rank)?;
    if places.len() != offsets.len() {
        return invalid(format!("offset_dims {:?}", o.offset_dims), format!("{} places", offsets.len()));
    }
    let mut offsets = offsets.into_iter();
    let size = |dim: usize| if places.binary_search(&dim).is_ok() { offsets.next() } else { batch.next() };
    one((0..rank).map_while(size).collect())
}

/// Inputs: as many operands as updates, the indices between them.
fn scatter(a: &Args) -> Result<OutputShapes, Stop> {
    let operands = a.input_count() / 2;
    (0..operands).map(|i| Ok(Some(a.shape(i)?.to_vec()))).collect()
}
