//! Operators that cut, pad, repeat or rearrange dimensions.

use BuiltinOperator as B;

use crate::{BuiltinOperator, MirrorPadMode, Op};

use super::args::{Args, Stop, invalid, one};
use super::dims::{positive, product, sum};
use super::{InferError, OutputShapes, Row, StridedSliceArgs, broadcast, strided_slice_plan};

pub(super) const ROWS: &[Row] = &[
    (B::StridedSlice, strided_slice),
    (B::Slice, slice),
    (B::Pad, pad),
    (B::Padv2, pad),
    (B::MirrorPad, mirror_pad),
    (B::Tile, tile),
    (B::BroadcastTo, broadcast_to),
    (B::BroadcastArgs, broadcast_args),
    (B::SpaceToBatchNd, space_to_batch),
    (B::BatchToSpaceNd, batch_to_space),
    (B::SpaceToDepth, space_to_depth),
    (B::DepthToSpace, depth_to_space),
    (B::ResizeBilinear, resize),
    (B::ResizeNearestNeighbor, resize),
    (B::Dilate, dilate),
    (B::MatrixDiag, matrix_diag),
    (B::MatrixSetDiag, super::elementwise::first),
];

/// Inputs: values, begins, ends, strides.
fn strided_slice(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StridedSlice(options) = a.op() else { return Err(Stop::Unknown) };
    let (begin, end, strides) = (a.ints(1)?, a.ints(2)?, a.ints(3)?);
    let args = StridedSliceArgs { begin: &begin, end: &end, strides: &strides, options };
    one(strided_slice_plan(a.shape(0)?, &args)?.shape())
}

/// Inputs: values, begins, sizes, of which −1 takes all that is left.
fn slice(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let (begin, size) = (a.sizes(1)?, a.ints(2)?);
    let fault = || InferError::new(format!("begins {begin:?} and sizes {size:?}"), format!("ranges of {shape:?}"));
    if begin.len() != shape.len() || size.len() != shape.len() {
        return Err(fault().into());
    }
    let along = |axis: usize| {
        let rest = shape[axis].checked_sub(begin[axis])?;
        if size[axis] == -1 { Some(rest) } else { usize::try_from(size[axis]).ok().filter(|&size| size <= rest) }
    };
    one((0..shape.len()).map(along).collect::<Option<_>>().ok_or_else(fault)?)
}

/// Elements before and after each of `rank` dimensions, from input `i` of shape `[rank, 2]`.
fn pairs(a: &Args, i: usize, rank: usize) -> Result<Vec<[usize; 2]>, Stop> {
    let values = a.sizes(i)?;
    let (pairs, rest) = values.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != rank {
        return Err(InferError::new(format!("{} numbers", values.len()), format!("{rank} pairs")).at(i).into());
    }
    Ok(pairs.to_vec())
}

fn pad(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let padding = pairs(a, 1, shape.len())?;
    one(shape
        .iter()
        .zip(padding)
        .map(|(&size, [before, after])| sum(&[size, before, after]))
        .collect::<Result<_, _>>()?)
}

/// There must be enough elements to mirror: REFLECT leaves out the edge.
fn mirror_pad(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::MirrorPad(o) = a.op() else { return Err(Stop::Unknown) };
    let shape = a.shape(0)?;
    let edge = if o.mode == MirrorPadMode::Reflect { 1 } else { 0 };
    for (&size, [before, after]) in shape.iter().zip(pairs(a, 1, shape.len())?) {
        let most = size.saturating_sub(edge);
        if before > most || after > most {
            let found = format!("padding {before} and {after} of {size} elements");
            return Err(InferError::new(found, format!("at most {most}")).at(1).into());
        }
    }
    pad(a)
}

fn tile(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let multiples = a.sizes(1)?;
    if multiples.len() != shape.len() {
        let expected = format!("one per dimension of {shape:?}");
        return Err(InferError::new(format!("multiples {multiples:?}"), expected).at(1).into());
    }
    one(shape.iter().zip(multiples).map(|(&size, times)| product(&[size, times])).collect::<Result<_, _>>()?)
}

/// The shape in input 1, which the values must stretch to.
fn broadcast_to(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let target = a.sizes(1)?;
    if broadcast(&[shape, &target]).ok().as_ref() != Some(&target) {
        return Err(InferError::new(format!("shape {target:?}"), format!("one that {shape:?} stretches to"))
            .at(1)
            .into());
    }
    one(target)
}

/// Inputs are shapes themselves; so is the output.
fn broadcast_args(a: &Args) -> Result<OutputShapes, Stop> {
    let ([left], [right]) = (a.dims(0)?, a.dims(1)?);
    one(vec![left.max(right)])
}

/// A shape split at the `spatial` dimensions after the batch.
fn split_spatial(shape: &[usize], spatial: usize) -> Result<(usize, &[usize], &[usize]), Stop> {
    let parts = shape.split_first().and_then(|(&batch, rest)| Some((batch, rest.split_at_checked(spatial)?)));
    match parts {
        Some((batch, (spatial, rest))) => Ok((batch, spatial, rest)),
        None => invalid(format!("shape {shape:?}"), format!("a batch and {spatial} more dimensions")),
    }
}

/// Block sizes of input 1, none of which may be 0.
fn blocks(a: &Args) -> Result<Vec<usize>, Stop> {
    let blocks = a.sizes(1)?;
    if blocks.contains(&0) {
        return Err(InferError::new(format!("block shape {blocks:?}"), "sizes of at least 1").at(1).into());
    }
    Ok(blocks)
}

/// Inputs: values `[batch, spatial…, …]`, block shape, paddings.
fn space_to_batch(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let blocks = blocks(a)?;
    let (batch, spatial, rest) = split_spatial(shape, blocks.len())?;
    let mut result = vec![product(&[&[batch], blocks.as_slice()].concat())?];
    for ((&size, [before, after]), &block) in spatial.iter().zip(pairs(a, 2, blocks.len())?).zip(&blocks) {
        let padded = sum(&[size, before, after])?;
        if !padded.is_multiple_of(block) {
            return invalid(format!("size {size} padded to {padded}"), format!("a multiple of block {block}"));
        }
        result.push(padded / block);
    }
    result.extend(rest);
    one(result)
}

/// Inputs: values `[batch, spatial…, …]`, block shape, crops.
fn batch_to_space(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let blocks = blocks(a)?;
    let (batch, spatial, rest) = split_spatial(shape, blocks.len())?;
    let block = product(&blocks)?;
    if !batch.is_multiple_of(block) {
        return invalid(format!("batch {batch}"), format!("a multiple of the block's {block}"));
    }
    let mut result = vec![batch / block];
    for ((&size, crops), &block) in spatial.iter().zip(pairs(a, 2, blocks.len())?).zip(&blocks) {
        let whole = product(&[size, block])?;
        let Some(cropped) = whole.checked_sub(sum(&crops)?) else {
            return invalid(format!("crops {crops:?} of {whole}"), "crops within the size");
        };
        result.push(cropped);
    }
    result.extend(rest);
    one(result)
}

fn space_to_depth(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::SpaceToDepth(o) = a.op() else { return Err(Stop::Unknown) };
    let [batch, height, width, depth] = a.dims(0)?;
    let block = positive("block_size", o.block_size)?;
    if !height.is_multiple_of(block) || !width.is_multiple_of(block) {
        return invalid(format!("size {height} × {width}"), format!("multiples of block {block}"));
    }
    one(vec![batch, height / block, width / block, product(&[depth, block, block])?])
}

fn depth_to_space(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::DepthToSpace(o) = a.op() else { return Err(Stop::Unknown) };
    let [batch, height, width, depth] = a.dims(0)?;
    let block = positive("block_size", o.block_size)?;
    let area = product(&[block, block])?;
    if !depth.is_multiple_of(area) {
        return invalid(format!("depth {depth}"), format!("a multiple of {area}"));
    }
    one(vec![batch, product(&[height, block])?, product(&[width, block])?, depth / area])
}

/// Height and width from input 1.
fn resize(a: &Args) -> Result<OutputShapes, Stop> {
    let [batch, _, _, channels] = a.dims(0)?;
    let size = a.sizes(1)?;
    let [height, width] = size[..] else {
        return Err(InferError::new(format!("size {size:?}"), "height and width").at(1).into());
    };
    one(vec![batch, height, width, channels])
}

/// Inputs: values, the distance of neighbours in each dimension, what comes between.
fn dilate(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let steps = a.ints(1)?;
    if steps.len() != shape.len() {
        let expected = format!("one per dimension of {shape:?}");
        return Err(InferError::new(format!("dilations {steps:?}"), expected).at(1).into());
    }
    let along = |(&size, &step): (&usize, &i64)| match size.checked_sub(1) {
        Some(gaps) => sum(&[product(&[gaps, positive("dilation", step)?])?, 1]),
        None => Ok(0),
    };
    one(shape.iter().zip(&steps).map(along).collect::<Result<_, InferError>>()?)
}

/// The last dimension becomes a matrix's diagonal.
fn matrix_diag(a: &Args) -> Result<OutputShapes, Stop> {
    let mut shape = a.shape(0)?.to_vec();
    let Some(&last) = shape.last() else { return invalid("a scalar", "rank 1 or more") };
    shape.push(last);
    one(shape)
}
