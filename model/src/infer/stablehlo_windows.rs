//! STABLEHLO_* operators with contractions and windows: dot products, convolutions, window reductions.

use BuiltinOperator as B;

use crate::{BuiltinOperator, Op, StablehloConvolutionOptions, StablehloReduceWindowOptions};

use super::args::{Args, Stop, invalid, one};
use super::stablehlo::{check_length, dilated, padded};
use super::{InferError, OutputShapes, Row, normalize_axis, unique_axes, valid_padding};

pub(super) const ROWS: &[Row] = &[
    (B::StablehloDotGeneral, dot_general),
    (B::StablehloConvolution, convolution),
    (B::StablehloReduceWindow, reduce_window),
];

/// Batch dimensions, then what is left of the left side, then of the right.
fn dot_general(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloDotGeneral(o) = a.op() else { return Err(Stop::Unknown) };
    let (left, right) = (a.shape(0)?, a.shape(1)?);
    let batch_l = unique_axes(&o.lhs_batching_dimensions, left.len())?;
    let batch_r = unique_axes(&o.rhs_batching_dimensions, right.len())?;
    let depth_l = unique_axes(&o.lhs_contracting_dimensions, left.len())?;
    let depth_r = unique_axes(&o.rhs_contracting_dimensions, right.len())?;
    let pick = |shape: &[usize], axes: &[usize]| axes.iter().map(|&axis| shape[axis]).collect::<Vec<_>>();
    for (l, r) in [(&batch_l, &batch_r), (&depth_l, &depth_r)] {
        if pick(left, l) != pick(right, r) {
            return invalid(format!("{left:?} at {l:?} and {right:?} at {r:?}"), "equal sizes");
        }
    }
    let free = |shape: &[usize], batch: &[usize], depth: &[usize]| {
        let is_free = |&(axis, _): &(usize, &usize)| !batch.contains(&axis) && !depth.contains(&axis);
        shape.iter().enumerate().filter(is_free).map(|(_, &size)| size).collect::<Vec<_>>()
    };
    one([pick(left, &batch_l), free(left, &batch_l, &depth_l), free(right, &batch_r, &depth_r)].concat())
}

/// One dimension's window.
struct Along {
    size: usize,
    filter: usize,
    /// Distances of window positions, of input elements and of window elements.
    steps: [i64; 3],
    padding: [i64; 2],
}

impl Along {
    fn output(&self) -> Result<usize, InferError> {
        let [stride, input_step, filter_step] = self.steps;
        let fault =
            || InferError::new(format!("steps {:?} and padding {:?}", self.steps, self.padding), "ones that fit");
        let size = |step: i64| usize::try_from(step).ok().filter(|&step| step > 0).ok_or_else(fault);
        let input = dilated(self.size, size(input_step)?).ok_or_else(fault)?;
        let input = padded(input, self.padding[0], self.padding[1]).ok_or_else(fault)?;
        valid_padding(input, self.filter, size(stride)?, size(filter_step)?)
    }
}

/// `list`, or `rank` ones where the file leaves it out.
fn or_ones(name: &str, list: &[i64], rank: usize) -> Result<Vec<i64>, InferError> {
    let list = if list.is_empty() { vec![1; rank] } else { list.to_vec() };
    check_length(name, &list, rank)?;
    Ok(list)
}

/// Paddings before and after each dimension, none where the file leaves them out.
fn paddings(list: &[i64], rank: usize) -> Result<Vec<[i64; 2]>, InferError> {
    let (pairs, rest) = list.as_chunks::<2>();
    match pairs.len() {
        0 if rest.is_empty() => Ok(vec![[0, 0]; rank]),
        count if count == rank && rest.is_empty() => Ok(pairs.to_vec()),
        _ => Err(InferError::new(format!("padding {list:?}"), format!("{rank} pairs"))),
    }
}

/// Positions of the dimensions that an attribute names, in order.
fn places(shape: &[usize], dims: &[i64]) -> Result<Vec<usize>, InferError> {
    unique_axes(dims, shape.len())
}

fn convolution(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloConvolution(o) = a.op() else { return Err(Stop::Unknown) };
    let (input, filter) = (a.shape(0)?, a.shape(1)?);
    let spatial = convolved(o, input, filter)?;
    let batch = input[normalize_axis(o.input_batch_dimension, input.len())?];
    let features = filter[normalize_axis(o.kernel_output_feature_dimension, filter.len())?];
    let groups = usize::try_from(o.batch_group_count.max(1)).unwrap_or(usize::MAX);
    if !batch.is_multiple_of(groups) {
        return invalid(format!("batch {batch}"), format!("a multiple of {groups} groups"));
    }
    let rank = spatial.len() + 2;
    let order = [&[o.output_batch_dimension, o.output_feature_dimension], o.output_spatial_dimensions.as_slice()];
    let order = unique_axes(&order.concat(), rank)?;
    if order.len() != rank {
        return invalid(format!("{} output dimensions", order.len()), format!("{rank}"));
    }
    let mut output = vec![0; rank];
    for (place, size) in order.into_iter().zip([batch / groups, features].into_iter().chain(spatial)) {
        output[place] = size;
    }
    one(output)
}

/// Sizes of a convolution's spatial dimensions, in the attribute's order.
fn convolved(o: &StablehloConvolutionOptions, input: &[usize], filter: &[usize]) -> Result<Vec<usize>, InferError> {
    let input_dims = places(input, &o.input_spatial_dimensions)?;
    let filter_dims = places(filter, &o.kernel_spatial_dimensions)?;
    let rank = input_dims.len();
    check_length("kernel_spatial_dimensions", &o.kernel_spatial_dimensions, rank)?;
    let strides = or_ones("window_strides", &o.window_strides, rank)?;
    let input_steps = or_ones("lhs_dilation", &o.lhs_dilation, rank)?;
    let filter_steps = or_ones("rhs_dilation", &o.rhs_dilation, rank)?;
    let padding = paddings(&o.padding, rank)?;
    let along = |i: usize| Along {
        size: input[input_dims[i]],
        filter: filter[filter_dims[i]],
        steps: [strides[i], input_steps[i], filter_steps[i]],
        padding: padding[i],
    };
    (0..rank).map(|i| along(i).output()).collect()
}

/// Inputs: as many values as initial values; a window over all dimensions.
fn reduce_window(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::StablehloReduceWindow(o) = a.op() else { return Err(Stop::Unknown) };
    (0..a.input_count() / 2).map(|i| Ok(Some(windowed(o, a.shape(i)?)?))).collect()
}

fn windowed(o: &StablehloReduceWindowOptions, shape: &[usize]) -> Result<Vec<usize>, InferError> {
    let rank = shape.len();
    check_length("window_dimensions", &o.window_dimensions, rank)?;
    let filter = super::sizes(&o.window_dimensions)?;
    let strides = or_ones("window_strides", &o.window_strides, rank)?;
    let input_steps = or_ones("base_dilations", &o.base_dilations, rank)?;
    let filter_steps = or_ones("window_dilations", &o.window_dilations, rank)?;
    let padding = paddings(&o.padding, rank)?;
    let along = |i: usize| Along {
        size: shape[i],
        filter: filter[i],
        steps: [strides[i], input_steps[i], filter_steps[i]],
        padding: padding[i],
    };
    (0..rank).map(|i| along(i).output()).collect()
}
