//! Attributes that kernels refuse whatever the tensors are.

use tflite_wgpu_model::{LshProjectionType, Op, ReduceWindowFunction};

use super::{
    KernelError,
    support::{float_clamp, refuse},
};

/// Checks an operator's attributes.
///
/// # Errors
/// Names the attribute, what it is, and what it may be.
pub(super) fn check(op: &Op) -> Result<(), KernelError> {
    if let Some(activation) = op.fused_activation() {
        float_clamp(activation)?;
    }
    match op {
        Op::SpaceToDepth(o) => positive("block_size", o.block_size),
        Op::DepthToSpace(o) => positive("block_size", o.block_size),
        Op::Svdf(o) => positive("rank", o.rank),
        Op::SkipGram(o) => positive("ngram_size", o.ngram_size),
        Op::LocalResponseNormalization(o) if o.radius < 0 => Err(refuse("radius", o.radius, "at least 0")),
        Op::ResizeBilinear(o) if o.align_corners && o.half_pixel_centers => Err(both_corners()),
        Op::ResizeNearestNeighbor(o) if o.align_corners && o.half_pixel_centers => Err(both_corners()),
        Op::Conv2d(o) => {
            positive("stride", o.stride_h.min(o.stride_w))?;
            positive("dilation", o.dilation_hfactor.min(o.dilation_wfactor))
        }
        Op::DepthwiseConv2d(o) => {
            positive("stride", o.stride_h.min(o.stride_w))?;
            positive("dilation", o.dilation_hfactor.min(o.dilation_wfactor))
        }
        Op::Conv3d(o) | Op::Conv3dTranspose(o) => {
            positive("stride", o.stride_d.min(o.stride_h).min(o.stride_w))?;
            positive("dilation", o.dilation_dfactor.min(o.dilation_hfactor).min(o.dilation_wfactor))
        }
        Op::LshProjection(o) if o.kind == LshProjectionType::Unknown => {
            Err(refuse("type of the projection", "UNKNOWN", "SPARSE or DENSE"))
        }
        Op::ReduceWindow(o) if o.reduce_function == ReduceWindowFunction::Unsupported => {
            Err(refuse("reduce_function", "UNSUPPORTED", "ADD, MUL, MINIMUM, MAXIMUM, ALL or ANY"))
        }
        _ => stablehlo(op),
    }
}

/// As [`check`]: lists whose numbers are axes, each there once, or steps and sizes.
fn stablehlo(op: &Op) -> Result<(), KernelError> {
    match op {
        Op::StablehloTranspose(o) => axes("permutation", &o.permutation),
        Op::StablehloReduce(o) => axes("dimensions", &o.dimensions),
        Op::StablehloBroadcastInDim(o) => axes("broadcast_dimensions", &o.broadcast_dimensions),
        Op::StablehloConcatenate(o) => axes("dimension", &[o.dimension]),
        Op::StablehloIota(o) => axes("iota_dimension", &[o.iota_dimension]),
        Op::StablehloSlice(o) => all("strides", &o.strides, 1),
        Op::StablehloPad(o) => all("interior_padding", &o.interior_padding, 0),
        Op::StablehloDynamicSlice(o) => all("slice_sizes", &o.slice_sizes, 0),
        Op::StablehloReduceWindow(o) => {
            all("window_dimensions", &o.window_dimensions, 1)?;
            all("window_strides", &o.window_strides, 1)?;
            all("base_dilations", &o.base_dilations, 1)?;
            all("window_dilations", &o.window_dilations, 1)
        }
        Op::StablehloGather(o) => {
            axes("offset_dims", &o.offset_dims)?;
            axes("collapsed_slice_dims", &o.collapsed_slice_dims)?;
            axes("start_index_map", &o.start_index_map)?;
            all("slice_sizes", &o.slice_sizes, 0)
        }
        Op::StablehloScatter(o) => {
            axes("update_window_dims", &o.update_window_dims)?;
            axes("inserted_window_dims", &o.inserted_window_dims)?;
            axes("scatter_dims_to_operand_dims", &o.scatter_dims_to_operand_dims)
        }
        Op::TransposeConv(o) => positive("stride", o.stride_h.min(o.stride_w)),
        Op::AveragePool2d(o) | Op::MaxPool2d(o) | Op::L2Pool2d(o) => {
            positive("stride", o.stride_h.min(o.stride_w))?;
            positive("filter size", o.filter_height.min(o.filter_width))
        }
        _ => Ok(()),
    }
}

fn positive(what: &str, value: i32) -> Result<(), KernelError> {
    if value > 0 { Ok(()) } else { Err(refuse(what, value, "at least 1")) }
}

/// Numbers of at least `least`.
fn all(what: &str, list: &[i64], least: i64) -> Result<(), KernelError> {
    match list.iter().find(|&&value| value < least) {
        Some(value) => Err(refuse(what, value, format!("numbers of at least {least}"))),
        None => Ok(()),
    }
}

/// Axes, whose number of dimensions is not known yet.
fn axes(what: &str, list: &[i64]) -> Result<(), KernelError> {
    all(what, list, 0)?;
    match list.iter().enumerate().find(|(i, axis)| list[..*i].contains(axis)) {
        Some((_, axis)) => Err(refuse(what, axis, "each axis once")),
        None => Ok(()),
    }
}

fn both_corners() -> KernelError {
    refuse("align_corners", "set together with half_pixel_centers", "one of the two")
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{
        Conv2DOptions, Conv3DOptions, LshProjectionOptions, ReduceWindowOptions, StablehloReduceOptions,
        StablehloSliceOptions, StablehloTransposeOptions,
    };

    use super::*;

    fn message(op: &Op) -> String {
        match check(op) {
            Err(KernelError::Unsupported { what, found, expected }) => {
                format!("{what} is {found}, expected {expected}")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_no_tensor_makes_good_is_refused() {
        let sound = Conv2DOptions { stride_w: 1, stride_h: 1, ..Conv2DOptions::default() };
        assert_eq!(message(&Op::Conv2d(sound.clone())), "Ok(())");
        let dilated = Conv2DOptions { dilation_hfactor: 0, ..sound };
        assert_eq!(message(&Op::Conv2d(dilated)), "dilation is 0, expected at least 1");
        let strides = Conv3DOptions { stride_d: -1, stride_h: 1, stride_w: 1, ..Conv3DOptions::default() };
        assert_eq!(message(&Op::Conv3d(strides)), "stride is -1, expected at least 1");
        let kind = LshProjectionOptions { kind: LshProjectionType::Unknown };
        assert!(message(&Op::LshProjection(kind)).starts_with("type of the projection is UNKNOWN"));
        let reduce_function = ReduceWindowFunction::Unsupported;
        assert!(message(&Op::ReduceWindow(ReduceWindowOptions { reduce_function })).starts_with("reduce_function"));
        let permutation = |permutation: &[i64]| {
            message(&Op::StablehloTranspose(StablehloTransposeOptions { permutation: permutation.to_vec() }))
        };
        assert_eq!(permutation(&[1, 0, 2]), "Ok(())");
        assert_eq!(permutation(&[1, 0, 1]), "permutation is 1, expected each axis once");
        assert_eq!(permutation(&[-1]), "permutation is -1, expected numbers of at least 0");
        let reduce = StablehloReduceOptions { dimensions: vec![0, 0], body_subgraph_index: 1 };
        assert!(message(&Op::StablehloReduce(reduce)).contains("each axis once"));
        let slice = StablehloSliceOptions { strides: vec![1, 0], ..StablehloSliceOptions::default() };
        assert_eq!(message(&Op::StablehloSlice(slice)), "strides is 0, expected numbers of at least 1");
    }
}
