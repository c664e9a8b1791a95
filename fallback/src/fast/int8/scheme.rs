//! What turns sums of products of a node into its stored values.

use tflite_wgpu_model::{ActivationFunctionType, Bytes, DType, Quant, QuantKind, Tensor};

use crate::{
    fast::{Prepare, stored::GiveBack},
    kernels::support::{Affine, Clamp, Operands, multipliers, stored_clamp},
    memory::Shared,
    simd::int8::{Column, Finish, Level, Rounding},
};

/// Bits that a sum may take so that no step of its way to a stored value overflows.
const SUM_BITS: u32 = 30;

/// An 8-bit type of activations.
pub(super) fn is_byte(dtype: DType) -> bool {
    matches!(dtype, DType::Int8 | DType::UInt8)
}

/// What turns stored bytes of a type into INT8 ones, and back.
pub(super) fn flip(dtype: DType) -> u8 {
    if dtype == DType::UInt8 { 0x80 } else { 0 }
}

/// Scale and zero point of a tensor of an 8-bit type, the zero point one of its values.
pub(super) fn byte_affine(tensor: &Tensor) -> Option<Affine> {
    let affine = Affine::of(tensor.quant.as_ref())?;
    let valid = match tensor.dtype {
        DType::Int8 => (-128..128).contains(&affine.zero),
        DType::UInt8 => (0..256).contains(&affine.zero),
        _ => false,
    };
    valid.then_some(affine)
}

/// The output's part of a [`Finish`], its numbers moved to those of INT8.
pub(super) fn finish(
    output: &Tensor,
    activation: ActivationFunctionType,
    rounding: Rounding,
    input: DType,
) -> Option<Finish> {
    let affine = byte_affine(output)?;
    let unsigned = output.dtype == DType::UInt8;
    let clamp = if unsigned { stored_clamp::<u8>(activation, affine) } else { stored_clamp::<i8>(activation, affine) };
    let Clamp { min, max } = clamp.ok()?;
    let moved = |stored: i32| i8::try_from(if unsigned { stored - 128 } else { stored }).ok();
    Some(Finish {
        rounding,
        flip_in: 0x80 ^ flip(input),
        flip_out: flip(output.dtype),
        zero: moved(affine.zero)?,
        min: moved(min)?,
        max: moved(max)?,
    })
}

/// Constant weights as `i8`, and their zero point.
pub(super) struct Weights {
    value: Shared,
    /// Where they lie, if that is in a file.
    file: Option<Bytes>,
    /// 0x80 where they are UINT8.
    flip: u8,
    /// The zero point of the flipped weights.
    pub zero: i32,
}

impl Weights {
    /// The weights in input `i`.
    pub fn new(given: &Prepare<'_>, i: usize) -> Option<Self> {
        let tensor = given.input(i)?;
        let zero = match tensor.quant.as_ref().map(|quant| &quant.kind) {
            Some(QuantKind::Affine { zero_point, .. }) => {
                let first = *zero_point.first()?;
                zero_point.iter().all(|&zero| zero == first).then_some(i32::try_from(first).ok()?)?
            }
            _ => return None,
        };
        let signed = matches!(tensor.dtype, DType::Int8 | DType::Int4 | DType::Int2);
        if !(-128..256).contains(&zero) || !(signed || tensor.dtype == DType::UInt8) {
            return None;
        }
        let value = given.constant(i)?;
        let zero = if signed { zero } else { zero - 128 };
        let file = tensor.constant().filter(|_| value.value().is_in_file()).cloned();
        (value.value().dtype() == tensor.dtype).then_some(Self { value, file, flip: flip(tensor.dtype), zero })
    }

    pub fn dtype(&self) -> DType {
        self.value.value().dtype()
    }

    pub fn shape(&self) -> &[usize] {
        self.value.value().shape()
    }

    /// To give back the file's pages behind weights that are read in their order, from element `first` on.
    pub fn pages(&self, first: usize) -> GiveBack<'_> {
        GiveBack::new(self.file.as_ref(), first)
    }

    pub fn at(&self, i: usize) -> i8 {
        self.value.value().bytes().get(i).map_or(0, |&byte| (byte ^ self.flip).cast_signed())
    }
}

/// Bias and factor of every output channel, and how stored values are made of their products.
pub(super) struct Scheme {
    pub level: Level,
    pub columns: Vec<Column>,
    pub finish: Finish,
    /// The byte that stands for 0 in the input, as it is stored.
    pub padding: u8,
    /// What the sum of a row's bytes (as the product sees them) is multiplied with and added to all its sums.
    pub row_factor: i32,
    /// The input's zero point as the product sees it.
    zero: i32,
    /// The file's biases, or none.
    own: Option<Vec<i32>>,
}

impl Scheme {
    /// For `channels` channels of `depth` weights each, `weight(k, channel)`, with this zero point; `pages` go back as
    /// weights are read.
    pub fn new(
        given: &Prepare<'_>,
        operands: Operands,
        weight_zero: i32,
        (depth, channels): (usize, usize),
        (activation, rounding): (ActivationFunctionType, Rounding),
        mut pages: GiveBack<'_>,
        weight: impl Fn(usize, usize) -> i8,
    ) -> Option<Self> {
        let (input, output) = (given.input(operands.input)?, given.output(0)?);
        if input.dtype != output.dtype {
            return None;
        }
        let affine = byte_affine(input)?;
        let finish = finish(output, activation, rounding, input.dtype)?;
        let quant: Option<&Quant> = given.input(operands.weights)?.quant.as_ref();
        let single = input.dtype == DType::UInt8;
        let factors = multipliers(single, affine, quant, Affine::of(output.quant.as_ref())?, channels).ok()?;
        let bias = bias(given, operands.bias, channels)?;
        // The zero point of what the product sees.
        let zero = if input.dtype == DType::Int8 { affine.zero + 128 } else { affine.zero };
        let depth_zero = i32::try_from(depth).ok()?.wrapping_mul(zero).wrapping_mul(weight_zero);
        let mut largest = 0i128;
        let mut columns = Vec::with_capacity(channels);
        for channel in 0..channels {
            let factor = factors[if factors.len() == 1 { 0 } else { channel }];
            let (mut sum, mut magnitude) = (0i32, 0i64);
            for k in 0..depth {
                let weight = i32::from(weight(k, channel));
                sum = sum.wrapping_add(weight);
                magnitude += i64::from((weight - weight_zero).abs());
            }
            pages.read(depth);
            let own = bias.as_ref().map_or(0, |bias| bias[channel]);
            let sums = i128::from(magnitude) * 255 + i128::from(own).abs();
            largest = largest.max(sums << factor.exponent.max(0));
            let start = own.wrapping_sub(zero.wrapping_mul(sum)).wrapping_add(depth_zero);
            columns.push(Column { bias: start, mantissa: factor.mantissa, exponent: factor.exponent });
        }
        let small = largest < 1 << SUM_BITS;
        let level = match rounding {
            Rounding::Once if small => Level::best(),
            Rounding::Once => return None,
            Rounding::Twice if small => Level::best(),
            Rounding::Twice => Level::portable(),
        };
        let padding = affine.zero as u8;
        Some(Self { level, columns, finish, padding, row_factor: weight_zero.wrapping_neg(), zero, own: bias })
    }
}

impl Scheme {
    /// A column for some of its weights only, which come to `sum` together and have zero point 0.
    pub fn column_with(&self, channel: usize, sum: i32) -> Column {
        let own = self.own.as_ref().map_or(0, |own| own[channel]);
        Column { bias: own.wrapping_sub(self.zero.wrapping_mul(sum)), ..self.columns[channel] }
    }
}

/// The constant INT32 bias in input `i`, if there is one; `None` where it is of another kind.
fn bias(given: &Prepare<'_>, i: usize, channels: usize) -> Option<Option<Vec<i32>>> {
    if given.omitted(i) {
        return Some(None);
    }
    let value = given.constant(i)?;
    let elements = value.value().as_slice::<i32>().ok()?;
    (value.value().dtype() == DType::Int32 && elements.len() == channels).then(|| Some(elements.to_vec()))
}
