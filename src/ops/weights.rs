//! Constant weights: which are taken, and their layouts on the device.

use tflite_wgpu_model::{DType, QuantKind, TensorId};

use super::{LowerCtx, LowerError, SupportCtx, broadcast::FLOATS};
use crate::{
    plan::step::{Operand, WeightData},
    reason::Reason,
    region::Storage,
    tuning::{Choice, Tuning},
};

/// Checks that input `i` is a constant with float values: FLOAT32, FLOAT16, or integers with scales.
///
/// # Errors
/// The reason why not.
pub(super) fn support_weights(ctx: &SupportCtx<'_>, i: usize) -> Result<(), Reason> {
    use DType::{Float16, Float32, Int4, Int8, UInt8};
    ctx.input_is(i, &[Float32, Float16, Int8, UInt8, Int4])?;
    ctx.constant(i)?;
    let dims = ctx.input_dims(i)?;
    if dims.contains(&0) {
        return Err(Reason::ZeroSize);
    }
    if matches!(ctx.input_type(i)?, Float32 | Float16) {
        return Ok(());
    }
    let quant = ctx.input(i).and_then(|facts| facts.quant.as_ref()).map(|quant| &quant.kind);
    match quant {
        Some(QuantKind::Affine { scale, axis, .. }) if scale.len() == 1 || dims.get(*axis) == Some(&scale.len()) => {
            Ok(())
        }
        _ => Err(Reason::Attribute("quantization")),
    }
}

/// Checks that input `i` is omitted or a constant FLOAT32 tensor.
///
/// # Errors
/// The reason why not.
pub(super) fn support_bias(ctx: &SupportCtx<'_>, i: usize) -> Result<(), Reason> {
    if ctx.input(i).is_none() {
        return Ok(());
    }
    ctx.input_is(i, FLOATS)?;
    ctx.constant(i).map(|_| ())
}

/// Storage of the weights of `filter` whose products are `dst`; what is quantised has none of its own.
pub(super) fn weight_storage(ctx: &LowerCtx<'_>, filter: TensorId, dst: TensorId) -> Storage {
    match ctx.region.tensor(filter).storage {
        Storage::I32 => ctx.region.tensor(dst).storage,
        own => own,
    }
}

/// The bias as f32 texels: `channels` values, zeros when `bias` is omitted.
///
/// # Errors
/// When it is not a constant or has another length.
pub(super) fn bias(ctx: &mut LowerCtx<'_>, bias: Option<TensorId>, channels: usize) -> Result<Operand, LowerError> {
    let Some(id) = bias else {
        let zeros = vec![0.0; channels.next_multiple_of(4)];
        return Ok(ctx.weights(&format!("zeros {channels}"), Storage::F32, || WeightData::Float(zeros)));
    };
    let mut values = ctx.constant_floats(id)?;
    if values.len() != channels {
        return Err(Reason::Shape("the bias does not have one value per output channel").into());
    }
    values.resize(channels.next_multiple_of(4), 0.0);
    Ok(ctx.weights(&format!("{id} bias"), Storage::F32, || WeightData::Float(values)))
}

/// Sizes of weights as a kernel sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Filter taps, rows first.
    pub taps: usize,
    /// Input channels of one output channel.
    pub depth: usize,
    /// Output channels.
    pub channels: usize,
}

/// How a weight tensor's elements lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `[output][tap][input]`.
    OutputFirst,
    /// `[tap][input][output]`.
    OutputLast,
}

impl Order {
    /// Position of an element.
    pub fn at(self, shape: Shape, tap: usize, input: usize, output: usize) -> usize {
        match self {
            Self::OutputFirst => (output * shape.taps + tap) * shape.depth + input,
            Self::OutputLast => (tap * shape.depth + input) * shape.channels + output,
        }
    }

    /// Name in the keys of packed weights.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutputFirst => "output_first",
            Self::OutputLast => "output_last",
        }
    }
}

/// Output texels whose weights lie together, of `width` in all.
pub(super) fn group(tuning: &Tuning, width: usize) -> usize {
    if tuning.weight_group == 0 { width } else { tuning.weight_group.min(width) }
}

/// Blocks of 4 inputs by 4 outputs in the order `[channels / 4 / group][taps][depth / 4][group]`, the last group as
/// small as it is; `at(tap, input, output)` is the element's position in the tensor. Beyond the sizes weights are zero.
pub(super) fn blocks(
    weights: &[f32],
    shape: Shape,
    group: usize,
    at: impl Fn(usize, usize, usize) -> usize,
) -> Vec<f32> {
    let (depth, width) = (shape.depth.div_ceil(4), shape.channels.div_ceil(4));
    let rows = shape.taps * depth;
    let mut packed = vec![0.0; rows * width * 16];
    for (block, values) in packed.chunks_exact_mut(16).enumerate() {
        let first = block / (rows * group) * group;
        let (inside, span) = (block - first * rows, group.min(width - first));
        let (n, k, tap) = (first + inside % span, inside / span % depth, inside / span / depth);
        for i in 0..4.min(shape.depth - k * 4) {
            for o in 0..4.min(shape.channels - n * 4) {
                if let (Some(to), Some(from)) = (values.get_mut(i * 4 + o), weights.get(at(tap, k * 4 + i, n * 4 + o)))
                {
                    *to = *from;
                }
            }
        }
    }
    packed
}

/// Whether a kernel reads blocks of 4 outputs by 4 inputs: where quads exchange them.
fn is_transposed(choice: Choice) -> bool {
    choice.tile().is_some_and(|tile| tile.has_quads())
}

/// [`blocks`] as a kernel reads them.
pub(super) fn blocks_of(choice: Choice, mut packed: Vec<f32>) -> Vec<f32> {
    if !is_transposed(choice) {
        return packed;
    }
    for block in packed.chunks_exact_mut(16) {
        for i in 0..4 {
            for o in 0..i {
                block.swap(i * 4 + o, o * 4 + i);
            }
        }
    }
    packed
}

/// What tells the two orders of [`blocks_of`] apart in the keys of packed weights.
pub(super) fn blocks_name(choice: Choice) -> &'static str {
    if is_transposed(choice) { "transposed_blocks" } else { "blocks" }
}

/// Texels of 4 outputs in the order `[taps][depth][channels / 4]`; otherwise as [`blocks`].
pub(super) fn texels(weights: &[f32], shape: Shape, at: impl Fn(usize, usize, usize) -> usize) -> Vec<f32> {
    let width = shape.channels.div_ceil(4);
    let mut packed = vec![0.0; shape.taps * shape.depth * width * 4];
    for (texel, values) in packed.chunks_exact_mut(4).enumerate() {
        let (n, k, tap) = (texel % width, texel / width % shape.depth, texel / width / shape.depth);
        for o in 0..4.min(shape.channels - n * 4) {
            if let (Some(to), Some(from)) = (values.get_mut(o), weights.get(at(tap, k, n * 4 + o))) {
                *to = *from;
            }
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::AdapterClass;

    #[test]
    fn blocks_hold_inputs_then_outputs() {
        // Five outputs of two taps of five inputs each, numbered as the tensor holds them.
        let shape = Shape { taps: 2, depth: 5, channels: 5 };
        let weights: Vec<f32> = (0..50).map(|i| i as f32).collect();
        let packed = blocks(&weights, shape, 2, |tap, i, o| Order::OutputFirst.at(shape, tap, i, o));
        assert_eq!(packed.len(), 2 * 2 * 2 * 16);
        let at = |tap: usize, k: usize, n: usize| &packed[((tap * 2 + k) * 2 + n) * 16..][..16];
        assert_eq!(at(1, 0, 0)[..8], [5.0, 15.0, 25.0, 35.0, 6.0, 16.0, 26.0, 36.0]);
        assert_eq!(at(1, 1, 1)[..2], [49.0, 0.0]);
        assert!(at(1, 1, 1)[1..].iter().all(|&v| v == 0.0));
    }

    #[test]
    fn groups_of_columns_lie_together() {
        // Nine outputs of two inputs: three texels, of which two lie together and the last by itself.
        let shape = Shape { taps: 1, depth: 5, channels: 9 };
        let weights: Vec<f32> = (0..45).map(|i| i as f32).collect();
        let packed = blocks(&weights, shape, 2, |tap, i, o| Order::OutputFirst.at(shape, tap, i, o));
        let first = |block: usize| packed[block * 16];
        // Blocks: (n 0, k 0), (1, 0), (0, 1), (1, 1), then (2, 0), (2, 1).
        assert_eq!([first(0), first(1), first(2), first(3), first(4), first(5)], [0., 20., 4., 24., 40., 44.]);
    }

    #[test]
    fn quads_read_blocks_transposed() {
        let packed: Vec<f32> = (0..32).map(|i| i as f32).collect();
        let tuning = Tuning::of(AdapterClass::SwiftShader, false, true);
        assert_eq!(blocks_of(Choice::Direct(tuning.product), packed.clone()), packed);
        let quads = blocks_of(Choice::Direct(tuning.with_subgroups(4, 4).product), packed);
        assert_eq!(quads[..8], [0., 4., 8., 12., 1., 5., 9., 13.]);
        assert_eq!(quads[28..], [19., 23., 27., 31.]);
    }

    #[test]
    fn texels_hold_outputs() {
        let shape = Shape { taps: 2, depth: 1, channels: 5 };
        let weights: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let packed = texels(&weights, shape, |tap, i, o| Order::OutputLast.at(shape, tap, i, o));
        assert_eq!(packed, [0., 1., 2., 3., 4., 0., 0., 0., 5., 6., 7., 8., 9., 0., 0., 0.]);
    }
}
