//! Convolutions and pools.

use BuiltinOperator as B;

use crate::{BuiltinOperator, Op, Padding, Pool2DOptions};

use super::args::{Args, Stop, invalid, one};
use super::dims::positive;
use super::{InferError, OutputShapes, Row, window};

pub(super) const ROWS: &[Row] = &[
    (B::Conv2d, conv_2d),
    (B::DepthwiseConv2d, depthwise_conv_2d),
    (B::TransposeConv, transpose_conv),
    (B::Conv3d, conv_3d),
    (B::Conv3dTranspose, conv_3d_transpose),
    (B::AveragePool2d, pool_2d),
    (B::MaxPool2d, pool_2d),
    (B::L2Pool2d, pool_2d),
];

/// Output size of a window along one dimension, with the attributes as the file has them.
fn along(padding: Padding, input: usize, filter: usize, stride: i32, dilation: i32) -> Result<usize, InferError> {
    let stride = positive("stride", stride)?;
    let dilation = positive("dilation", dilation)?;
    Ok(window(padding, input, filter, stride, dilation)?.output)
}

/// An error when a convolution's channels do not fit its filter; `groups` filters may share the input's channels.
fn check_channels(input: usize, filter: usize) -> Result<(), Stop> {
    if filter == 0 || !input.is_multiple_of(filter) {
        return invalid(format!("{input} input channels"), format!("a multiple of the filter's {filter}"));
    }
    Ok(())
}

/// Filter `[out, h, w, in]`; a filter with fewer channels than the input makes groups.
fn conv_2d(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Conv2d(o) = a.op() else { return Err(Stop::Unknown) };
    let [batch, height, width, channels] = a.dims(0)?;
    let [out, filter_h, filter_w, filter_in] = a.dims(1)?;
    check_channels(channels, filter_in)?;
    let height = along(o.padding, height, filter_h, o.stride_h, o.dilation_hfactor)?;
    let width = along(o.padding, width, filter_w, o.stride_w, o.dilation_wfactor)?;
    one(vec![batch, height, width, out])
}

/// Filter `[1, h, w, out]`.
fn depthwise_conv_2d(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::DepthwiseConv2d(o) = a.op() else { return Err(Stop::Unknown) };
    let [batch, height, width, channels] = a.dims(0)?;
    let [_, filter_h, filter_w, out] = a.dims(1)?;
    if channels == 0 || !out.is_multiple_of(channels) {
        return invalid(format!("{out} filter channels"), format!("a multiple of the input's {channels}"));
    }
    let height = along(o.padding, height, filter_h, o.stride_h, o.dilation_hfactor)?;
    let width = along(o.padding, width, filter_w, o.stride_w, o.dilation_wfactor)?;
    one(vec![batch, height, width, out])
}

/// Inputs: the output's shape, the filter `[out, h, w, in]`, the values.
fn transpose_conv(a: &Args) -> Result<OutputShapes, Stop> {
    let [_, _, _, filter_in] = a.dims(1)?;
    let [_, _, _, channels] = a.dims(2)?;
    if filter_in != channels {
        return invalid(format!("{channels} input channels"), format!("the filter's {filter_in}"));
    }
    stated::<4>(a)
}

/// Filter `[d, h, w, in, out]`.
fn conv_3d(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Conv3d(o) = a.op() else { return Err(Stop::Unknown) };
    let [batch, depth, height, width, channels] = a.dims(0)?;
    let [filter_d, filter_h, filter_w, filter_in, out] = a.dims(1)?;
    check_channels(channels, filter_in)?;
    let depth = along(o.padding, depth, filter_d, o.stride_d, o.dilation_dfactor)?;
    let height = along(o.padding, height, filter_h, o.stride_h, o.dilation_hfactor)?;
    let width = along(o.padding, width, filter_w, o.stride_w, o.dilation_wfactor)?;
    one(vec![batch, depth, height, width, out])
}

/// Inputs: the output's shape, the filter `[d, h, w, out, in]`, the values.
fn conv_3d_transpose(a: &Args) -> Result<OutputShapes, Stop> {
    let [_, _, _, _, filter_in] = a.dims(1)?;
    let [_, _, _, _, channels] = a.dims(2)?;
    if filter_in != channels {
        return invalid(format!("{channels} input channels"), format!("the filter's {filter_in}"));
    }
    stated::<5>(a)
}

/// The shape of rank `N` that input 0 holds.
fn stated<const N: usize>(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.sizes(0)?;
    if shape.len() != N {
        return Err(InferError::new(format!("output shape {shape:?}"), format!("rank {N}")).at(0).into());
    }
    one(shape)
}

fn pool_2d(a: &Args) -> Result<OutputShapes, Stop> {
    let (Op::AveragePool2d(o) | Op::MaxPool2d(o) | Op::L2Pool2d(o)) = a.op() else { return Err(Stop::Unknown) };
    let Pool2DOptions { padding, stride_w, stride_h, filter_width, filter_height, .. } = *o;
    let [batch, height, width, channels] = a.dims(0)?;
    let height = along(padding, height, positive("filter_height", filter_height)?, stride_h, 1)?;
    let width = along(padding, width, positive("filter_width", filter_width)?, stride_w, 1)?;
    one(vec![batch, height, width, channels])
}
