//! Windows that slide over the two spatial dimensions of NHWC tensors: convolutions and pools.

use tflite_wgpu_model::{Padding, infer};

use super::{LowerError, StepBuilder, SupportCtx};
use crate::{kernels::ParamType, reason::Reason};

/// One spatial dimension of a window operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// Size of the input.
    pub input: usize,
    /// Size of the output.
    pub output: usize,
    /// Taps of the filter.
    pub taps: usize,
    /// Step of the window.
    pub stride: usize,
    /// Distance of the taps.
    pub dilation: usize,
    /// Cells of padding before the input.
    pub before: usize,
}

impl Axis {
    /// A window over `input` cells with `pad` further zeros before and behind it; `stride` and `dilation` as the file
    /// has them.
    ///
    /// # Errors
    /// When a size is not positive or the filter does not fit.
    pub fn new(
        input: usize,
        taps: usize,
        stride: i32,
        dilation: i32,
        padding: Padding,
        pad: [usize; 2],
    ) -> Result<Self, Reason> {
        let positive = |size: i32, what| usize::try_from(size).ok().filter(|&n| n > 0).ok_or(Reason::Attribute(what));
        let stride = positive(stride, "stride")?;
        let dilation = positive(dilation, "dilation_factor")?;
        let padded = input + pad[0] + pad[1];
        let window = infer::window(padding, padded, taps, stride, dilation);
        let window = window.map_err(|_| Reason::Shape("the filter does not fit its input"))?;
        Ok(Self { input, output: window.output, taps, stride, dilation, before: window.before + pad[0] })
    }

    /// Whether every output cell reads exactly the input cell of its own index.
    pub fn is_pointwise(&self) -> bool {
        self.taps == 1 && self.stride == 1 && self.before == 0 && self.input == self.output
    }
}

/// The four dimensions of a tensor.
pub(super) fn nhwc(dims: &[usize]) -> Result<[usize; 4], Reason> {
    dims.try_into().map_err(|_| Reason::Shape("rank other than 4"))
}

const PARAMS: [&str; 10] =
    ["in_h", "in_w", "out_h", "out_w", "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_top", "pad_left"];

/// The parameters of a kernel: those that [`params`] sets, then its own; all `N` of them are `u32`.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, for tables of constants only")]
pub(super) const fn param_table<const N: usize>(own: &[&'static str]) -> [(&'static str, ParamType); N] {
    assert!(PARAMS.len() + own.len() == N);
    let mut table = [("", ParamType::U32); N];
    let mut i = 0;
    while i < N {
        table[i].0 = if i < PARAMS.len() { PARAMS[i] } else { own[i - PARAMS.len()] };
        i += 1;
    }
    table
}

/// Sets the parameters in_h … pad_left.
pub(super) fn params(step: StepBuilder, y: Axis, x: Axis) -> StepBuilder {
    step.param("in_h", y.input)
        .param("in_w", x.input)
        .param("out_h", y.output)
        .param("out_w", x.output)
        .param("kernel_h", y.taps)
        .param("kernel_w", x.taps)
        .param("stride_h", y.stride)
        .param("stride_w", x.stride)
        .param("pad_top", y.before)
        .param("pad_left", x.before)
}

/// Sets the parameters dilation_h and dilation_w.
pub(super) fn dilation(step: StepBuilder, y: Axis, x: Axis) -> StepBuilder {
    step.param("dilation_h", y.dilation).param("dilation_w", x.dilation)
}

/// Checks that the output's dimensions, as the region states them, are those the windows give.
///
/// # Errors
/// When they differ.
pub(super) fn check_output(found: &[usize], expected: [usize; 4]) -> Result<(), LowerError> {
    if found == expected { Ok(()) } else { Err(Reason::Shape("the output is not what the windows give").into()) }
}

/// Checks that input and output of a window operator are non-empty FLOAT32 tensors of rank 4.
///
/// # Errors
/// The reason why not.
pub(super) fn support_activations(ctx: &SupportCtx<'_>, input: usize) -> Result<(), Reason> {
    use tflite_wgpu_model::DType::Float32;
    ctx.input_is(input, &[Float32])?;
    ctx.output_is(0, &[Float32])?;
    for dims in [nhwc(ctx.input_dims(input)?)?, nhwc(ctx.output_dims(0)?)?] {
        if dims.contains(&0) {
            return Err(Reason::ZeroSize);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_zeros_add_to_the_padding() -> Result<(), Reason> {
        let merged = Axis::new(224, 3, 2, 1, Padding::Valid, [0, 1])?;
        assert_eq!((merged.output, merged.before), (112, 0));
        let same = Axis::new(5, 3, 1, 1, Padding::Same, [1, 1])?;
        assert_eq!((same.output, same.before), (7, 2));
        assert!(!same.is_pointwise());
        assert!(Axis::new(5, 1, 1, 1, Padding::Valid, [0, 0])?.is_pointwise());
        assert!(!Axis::new(5, 1, 2, 1, Padding::Valid, [0, 0])?.is_pointwise());
        assert_eq!(Axis::new(5, 1, 0, 1, Padding::Valid, [0, 0]), Err(Reason::Attribute("stride")));
        Ok(())
    }
}
