//! Quantised tensors: scales, centred values, the way back from sums to stored integers.

use tflite_wgpu_model::{ActivationFunctionType, DType, Quant, QuantKind};

use super::{Clamp, check_len, no_type, refuse};
use crate::kernels::fixed_point::Multiplier;
use crate::kernels::{EvalCtx, KernelError};
use crate::value::{Element, Value};

/// An integer type that quantised tensors are stored in.
pub(crate) trait Stored: Element + Ord {
    /// Its range.
    const RANGE: Clamp<i32>;
    /// The value in 32 bits.
    fn widen(self) -> i32;
    /// The value in this type, which it must fit; see [`Stored::RANGE`].
    fn narrow(value: i32) -> Self;
}

macro_rules! stored {
    ($($ty:ty)*) => {$(
        impl Stored for $ty {
            const RANGE: Clamp<i32> = Clamp { min: <$ty>::MIN as i32, max: <$ty>::MAX as i32 };
            fn widen(self) -> i32 {
                self.into()
            }
            fn narrow(value: i32) -> Self {
                value as Self
            }
        }
    )*};
}

stored! { i8 u8 i16 }

/// Scale and zero point of a whole tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    /// Real value of one step.
    pub scale: f32,
    /// Stored value of real 0.
    pub zero: i32,
}

impl Affine {
    /// The quantisation of a tensor; `None` where it has none, or one per channel.
    pub fn of(quant: Option<&Quant>) -> Option<Self> {
        let (scale, zero) = quant.and_then(Quant::per_tensor)?;
        Some(Self { scale, zero: i32::try_from(zero).ok()? })
    }

    fn new(quant: Option<&Quant>, what: impl Fn() -> String) -> Result<Self, KernelError> {
        Self::of(quant).ok_or_else(|| refuse(format!("quantisation of {}", what()), format!("{quant:?}"), "one scale"))
    }

    /// The stored value of a real one, without regard to the range of the type; halves away from zero.
    pub fn quantize(&self, real: f32) -> i32 {
        self.zero.saturating_add((real / self.scale).round() as i32)
    }

    /// The real value of a stored one.
    pub fn real(&self, stored: i32) -> f32 {
        self.scale * (stored - self.zero) as f32
    }

    /// What the tensor's scale is, exactly.
    pub fn scale(&self) -> f64 {
        f64::from(self.scale)
    }
}

/// Quantisation of input `i`, one scale for the whole tensor.
pub(crate) fn input_affine(ctx: &EvalCtx<'_>, i: usize) -> Result<Affine, KernelError> {
    Affine::new(ctx.input_quant(i), || format!("input {i}"))
}

/// Quantisation of output 0, one scale for the whole tensor.
pub(crate) fn output_affine(ctx: &EvalCtx<'_>) -> Result<Affine, KernelError> {
    Affine::new(ctx.output_quant(0), || "output 0".to_owned())
}

/// The stored values that a fused activation leaves.
pub(crate) fn stored_clamp<T: Stored>(
    activation: ActivationFunctionType,
    output: Affine,
) -> Result<Clamp<i32>, KernelError> {
    let real = super::float_clamp(activation)?;
    let bound = |real: f32, unbounded| if real.is_finite() { output.quantize(real) } else { unbounded };
    let Clamp { min, max } = T::RANGE;
    Ok(Clamp { min: bound(real.min, min).clamp(min, max), max: bound(real.max, max).clamp(min, max) })
}

/// Elements of input `i` less its zero point: an 8-bit type, INT4 or INT2, or INT16 with zero point 0.
pub(crate) fn centred(ctx: &EvalCtx<'_>, i: usize) -> Result<Vec<i16>, KernelError> {
    let zero = zero_point(ctx, i)?;
    match ctx.input(i)?.dtype() {
        DType::Int8 | DType::Int4 | DType::Int2 => {
            Ok(ctx.slice::<i8>(i)?.iter().map(|&v| i16::from(v).wrapping_sub(zero)).collect())
        }
        DType::UInt8 | DType::UInt4 => {
            Ok(ctx.slice::<u8>(i)?.iter().map(|&v| i16::from(v).wrapping_sub(zero)).collect())
        }
        DType::Int16 if zero == 0 => Ok(ctx.slice::<i16>(i)?.to_vec()),
        DType::Int16 => Err(refuse(format!("zero point of input {i}"), zero, "0 as of every INT16 tensor")),
        _ => Err(no_type(ctx, i, "INT8, UINT8, INT16, INT4, UINT4 or INT2")),
    }
}

/// The zero point of input `i`; scales per channel share one.
fn zero_point(ctx: &EvalCtx<'_>, i: usize) -> Result<i16, KernelError> {
    let kind = ctx.input_quant(i).map(|quant| &quant.kind);
    let zeros = match kind {
        Some(QuantKind::Affine { zero_point, .. }) => zero_point.as_slice(),
        _ => &[],
    };
    let first = zeros.first().and_then(|&zero| i16::try_from(zero).ok()).filter(|zero| (-512..512).contains(zero));
    match first {
        Some(zero) if zeros.iter().all(|&other| other == i64::from(zero)) => Ok(zero),
        _ => Err(refuse(format!("zero points of input {i}"), format!("{zeros:?}"), "one of the type's values")),
    }
}

/// Factors from sums of products to stored values: one for all channels, or one for each; in `single` precision as
/// TFLite computes them for UINT8 inputs.
///
/// # Errors
/// What was found instead of 1 or `channels` scales of the weights.
pub(crate) fn multipliers(
    single: bool,
    input: Affine,
    weights: Option<&Quant>,
    output: Affine,
    channels: usize,
) -> Result<Vec<Multiplier>, String> {
    let scales = match weights.map(|quant| &quant.kind) {
        Some(QuantKind::Affine { scale, .. }) if scale.len() == 1 || scale.len() == channels => scale.as_slice(),
        other => return Err(format!("{other:?}")),
    };
    let multiplier = |&scale: &f32| {
        let product = if single { f64::from(input.scale * scale) } else { input.scale() * f64::from(scale) };
        Multiplier::new(product / output.scale())
    };
    Ok(scales.iter().map(multiplier).collect())
}

/// From sums of products to stored values: a multiplier per channel or for all, the zero point, the range.
pub(crate) struct Rescale {
    multipliers: Vec<Multiplier>,
    zero: i32,
    clamp: Clamp<i32>,
}

impl Rescale {
    /// For products of input `input` with the weights in input `weights`, which have `channels` output channels.
    pub fn new<T: Stored>(
        ctx: &EvalCtx<'_>,
        (input, weights): (usize, usize),
        channels: usize,
        activation: ActivationFunctionType,
    ) -> Result<Self, KernelError> {
        // TFLite multiplies the scales of UINT8 operands in single precision.
        let single = ctx.input(input)?.dtype() == DType::UInt8;
        let (input, output) = (input_affine(ctx, input)?, output_affine(ctx)?);
        let multipliers = multipliers(single, input, ctx.input_quant(weights), output, channels).map_err(|found| {
            refuse(format!("quantisation of input {weights}"), found, format!("1 or {channels} scales"))
        })?;
        Ok(Self { multipliers, zero: output.zero, clamp: stored_clamp::<T>(activation, output)? })
    }

    /// The multiplier of a channel.
    pub fn multiplier(&self, channel: usize) -> Multiplier {
        self.multipliers[if self.multipliers.len() == 1 { 0 } else { channel }]
    }

    /// The stored value of a rescaled sum.
    pub fn finish<T: Stored>(&self, scaled: i32) -> T {
        T::narrow(self.clamp.apply(scaled.saturating_add(self.zero)))
    }
}

/// Positions of the operands of a product among a node's inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands {
    /// What is multiplied with the weights.
    pub input: usize,
    /// The weights.
    pub weights: usize,
    /// The bias, which may be omitted.
    pub bias: usize,
}

/// From sums of products to stored values, with the bias between.
pub(crate) struct Products {
    rescale: Rescale,
    /// One number per channel, or none.
    bias: Vec<i64>,
    /// Whether sums take 64 bits: INT16 inputs, unless the bias is INT32.
    pub wide: bool,
}

impl Products {
    /// For an output stored as `T`, with `channels` output channels.
    pub fn new<T: Stored>(
        ctx: &EvalCtx<'_>,
        operands: Operands,
        channels: usize,
        activation: ActivationFunctionType,
    ) -> Result<Self, KernelError> {
        let Operands { input, weights, bias } = operands;
        let wide_input = ctx.input(input)?.dtype() == DType::Int16;
        let bias_type = ctx.optional(bias).map(Value::dtype);
        let elements = match bias_type {
            None => Vec::new(),
            Some(DType::Int32) => ctx.ints(bias)?,
            Some(DType::Int64) if wide_input => ctx.ints(bias)?,
            Some(_) => return Err(no_type(ctx, bias, if wide_input { "INT32 or INT64" } else { "INT32" })),
        };
        if bias_type.is_some() {
            check_len(&elements, channels, &format!("input {bias}"))?;
        }
        let rescale = Rescale::new::<T>(ctx, (input, weights), channels, activation)?;
        Ok(Self { rescale, bias: elements, wide: wide_input && bias_type != Some(DType::Int32) })
    }

    fn bias(&self, channel: usize) -> i64 {
        self.bias.get(channel).copied().unwrap_or(0)
    }

    /// The stored value of a sum of 32 bits, rounded twice.
    pub fn narrow<T: Stored>(&self, channel: usize, sum: i32) -> T {
        let sum = sum.wrapping_add(self.bias(channel) as i32);
        self.rescale.finish(self.rescale.multiplier(channel).twice_rounded(sum))
    }

    /// The stored value of a sum of 64 bits, by a multiplier of 16 bits.
    pub fn wide<T: Stored>(&self, channel: usize, sum: i64) -> T {
        let sum = sum.saturating_add(self.bias(channel));
        self.rescale.finish(self.rescale.multiplier(channel).with_short_mantissa(sum))
    }

    /// The stored value of a sum, rounded once.
    pub fn once<T: Stored>(&self, channel: usize, sum: i64) -> T {
        let sum = sum.saturating_add(self.bias(channel));
        self.rescale.finish(self.rescale.multiplier(channel).once_rounded(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_become_ranges_of_stored_values() -> Result<(), KernelError> {
        let output = Affine { scale: 0.05, zero: -100 };
        let range = |activation| stored_clamp::<i8>(activation, output).map(|clamp| (clamp.min, clamp.max));
        assert_eq!(range(ActivationFunctionType::None)?, (-128, 127));
        assert_eq!(range(ActivationFunctionType::Relu)?, (-100, 127));
        assert_eq!(range(ActivationFunctionType::Relu6)?, (-100, 20));
        assert_eq!(range(ActivationFunctionType::ReluN1To1)?, (-120, -80));
        Ok(())
    }
}
