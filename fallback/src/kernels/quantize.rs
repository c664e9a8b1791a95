//! Between real and stored values: QUANTIZE, DEQUANTIZE, FAKE_QUANT, DENSIFY.

use half::{bf16, f16};
use tflite_wgpu_model::{BuiltinOperator, DType, Op, Quant, QuantKind, Tensor};

use super::checks::{shape_output, wrong_operator};
use super::elements::copy_all;
use super::fixed_point::Multiplier;
use super::support::{no_type, refuse};
use super::{EvalCtx, KernelError, Row};
use crate::value::{Element, Value};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Quantize, eval: quantize },
    Row { op: BuiltinOperator::Dequantize, eval: dequantize },
    Row { op: BuiltinOperator::FakeQuant, eval: fake_quant },
    Row { op: BuiltinOperator::Densify, eval: densify },
];

/// Sparse constants are written out when a model is loaded, so that this is a copy.
fn densify(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    shape_output(ctx, 0, input.shape())?;
    copy_all(input, ctx.output_value(0)?)
}

/// Scale and zero point of every element of a tensor.
enum Steps<'a> {
    /// One pair per index of an axis (or one for all); `inner` elements in a row share a pair.
    Affine { scale: &'a [f32], zero_point: &'a [i64], inner: usize },
    /// One pair per `block` elements in a row.
    Blocks { scale: Vec<f32>, zero_point: Option<Vec<i64>>, block: usize },
}

impl<'a> Steps<'a> {
    /// The steps of a tensor of this shape; `tensors` are the subgraph's.
    fn new(quant: Option<&'a Quant>, shape: &[usize], tensors: &[Tensor]) -> Result<Self, KernelError> {
        let kind = quant.map(|quant| &quant.kind);
        match kind {
            Some(QuantKind::Affine { scale, zero_point, .. }) if scale.len() == 1 => {
                Ok(Self::Affine { scale, zero_point, inner: usize::MAX })
            }
            Some(QuantKind::Affine { scale, zero_point, axis }) if shape.get(*axis) == Some(&scale.len()) => {
                let inner = shape[axis + 1..].iter().product();
                Ok(Self::Affine { scale, zero_point, inner })
            }
            Some(&QuantKind::Blockwise { scales, zero_points, block_size, .. }) => {
                let scale = constant(tensors, scales.index())?.to_floats().unwrap_or_default();
                let zero_point = match zero_points {
                    Some(id) => Some(constant(tensors, id.index())?.to_ints().unwrap_or_default()),
                    None => None,
                };
                let scale: Vec<f32> = scale.into_iter().map(|v| v as f32).collect();
                let fits = |n: usize| n.checked_mul(block_size) == tflite_wgpu_model::element_count(shape);
                if !fits(scale.len()) || !zero_point.as_ref().is_none_or(|list| fits(list.len())) {
                    let found = format!("{} blocks of {block_size}", scale.len());
                    return Err(refuse("the blockwise scales", found, format!("as many as fill {shape:?}")));
                }
                Ok(Self::Blocks { scale, zero_point, block: block_size })
            }
            _ => Err(refuse("the quantisation", format!("{kind:?}"), format!("scales that fit shape {shape:?}"))),
        }
    }

    /// Scale and zero point of element `i` in C order.
    fn at(&self, i: usize) -> (f32, i64) {
        match self {
            Self::Affine { scale, zero_point, inner } => {
                let channel = i / inner % scale.len();
                (scale[channel], zero_point.get(channel).copied().unwrap_or(0))
            }
            Self::Blocks { scale, zero_point, block } => {
                let channel = i / block;
                (scale[channel], zero_point.as_ref().map_or(0, |list| list[channel]))
            }
        }
    }
}

/// A tensor of scales or zero points.
fn constant(tensors: &[Tensor], index: usize) -> Result<Value, KernelError> {
    let missing = || refuse("the tensor of scales", index, "a constant of the subgraph");
    let tensor = tensors.get(index).ok_or_else(missing)?;
    let bytes = tensor.constant().ok_or_else(missing)?;
    Value::from_constant(tensor.dtype, &tensor.dims, bytes).map_err(|error| KernelError::Input { input: 0, error })
}

/// Real values of a quantised tensor: `scale · (stored − zero point)`.
///
/// # Errors
/// When the type is no quantised one, or scales are missing or do not fit.
pub(crate) fn real_values(value: &Value, quant: Option<&Quant>, tensors: &[Tensor]) -> Result<Vec<f32>, KernelError> {
    use DType::{Int2, Int4, Int8, Int16, Int32, UInt4, UInt8};
    fn scaled<T: Element + Into<i64>>(value: &Value, steps: &Steps<'_>) -> Result<Vec<f32>, KernelError> {
        let stored = value.as_slice::<T>().map_err(|error| KernelError::Input { input: 0, error })?;
        let real = |(i, &stored): (usize, &T)| {
            let (scale, zero_point) = steps.at(i);
            (f64::from(scale) * (stored.into() - zero_point) as f64) as f32
        };
        Ok(stored.iter().enumerate().map(real).collect())
    }
    let steps = || Steps::new(quant, value.shape(), tensors);
    match value.dtype() {
        Int2 | Int4 | Int8 => scaled::<i8>(value, &steps()?),
        UInt4 | UInt8 => scaled::<u8>(value, &steps()?),
        Int16 => scaled::<i16>(value, &steps()?),
        Int32 => scaled::<i32>(value, &steps()?),
        other => Err(refuse("the type of the input", other, "a quantised one")),
    }
}

fn dequantize(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    shape_output(ctx, 0, input.shape())?;
    match input.dtype() {
        DType::Float16 => widen(ctx, f16::to_f32),
        DType::BFloat16 => widen(ctx, bf16::to_f32),
        DType::Float32 => copy_all(input, ctx.output_value(0)?),
        _ => {
            let real = real_values(input, ctx.input_quant(0), ctx.env.tensors)?;
            ctx.output::<f32>(0)?.copy_from_slice(&real);
            Ok(())
        }
    }
}

fn widen<T: Element>(ctx: &mut EvalCtx<'_>, convert: impl Fn(T) -> f32) -> Result<(), KernelError> {
    let source = ctx.slice::<T>(0)?;
    ctx.output::<f32>(0)?.iter_mut().zip(source).for_each(|(target, &v)| *target = convert(v));
    Ok(())
}

/// FLOAT32 to integers, and integers of one scale to integers of another.
fn quantize(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = ctx.input(0)?;
    shape_output(ctx, 0, input.shape())?;
    let stored = match input.dtype() {
        DType::Float32 => {
            let steps = Steps::new(ctx.output_quant(0), input.shape(), ctx.env.tensors)?;
            let step = |(i, &real): (usize, &f32)| {
                let (scale, zero_point) = steps.at(i);
                ((real / scale).round() as i64).saturating_add(zero_point)
            };
            ctx.slice::<f32>(0)?.iter().enumerate().map(step).collect()
        }
        DType::Int8 | DType::UInt8 | DType::Int16 | DType::Int32 => requantized(ctx)?,
        _ => return Err(no_type(ctx, 0, "FLOAT32, INT8, UINT8, INT16 or INT32")),
    };
    match ctx.output_value(0)?.dtype() {
        DType::Int8 => store(ctx, &stored, -128, 127, |v| v as i8),
        DType::UInt8 => store(ctx, &stored, 0, 255, |v| v as u8),
        DType::Int16 => store(ctx, &stored, -32768, 32767, |v| v as i16),
        DType::Int32 => store(ctx, &stored, i32::MIN.into(), i32::MAX.into(), |v| v as i32),
        DType::Int4 => store(ctx, &stored, -8, 7, |v| v as i8),
        DType::UInt4 => store(ctx, &stored, 0, 15, |v| v as u8),
        DType::Int2 => store(ctx, &stored, -2, 1, |v| v as i8),
        other => Err(refuse("the type of the output", other, "a quantised one")),
    }
}

fn requantized(ctx: &EvalCtx<'_>) -> Result<Vec<i64>, KernelError> {
    let pair = |what: &str, quant: Option<&Quant>| {
        quant.and_then(Quant::per_tensor).ok_or_else(|| refuse(what, "no scale", "one scale and zero point"))
    };
    let (scale, zero_point) = pair("the quantisation of the input", ctx.input_quant(0))?;
    let (out_scale, out_zero_point) = pair("the quantisation of the output", ctx.output_quant(0))?;
    let factor = Multiplier::new(f64::from(scale) / f64::from(out_scale));
    let convert = |stored: i64| {
        let centred = (stored - zero_point).clamp(i32::MIN.into(), i32::MAX.into());
        i64::from(factor.twice_rounded(centred as i32)) + out_zero_point
    };
    Ok(ctx.ints(0)?.into_iter().map(convert).collect())
}

fn store<T: Element>(
    ctx: &mut EvalCtx<'_>,
    numbers: &[i64],
    low: i64,
    high: i64,
    narrow: impl Fn(i64) -> T,
) -> Result<(), KernelError> {
    let targets = ctx.output::<T>(0)?;
    targets.iter_mut().zip(numbers).for_each(|(target, &v)| *target = narrow(v.clamp(low, high)));
    Ok(())
}

/// The range is moved so that 0 lies on the grid; values are cut to it and rounded to the grid.
fn fake_quant(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::FakeQuant(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    if !(2..=16).contains(&options.num_bits) || options.min.partial_cmp(&options.max) != Some(std::cmp::Ordering::Less)
    {
        let found = format!("{} bits for {}..{}", options.num_bits, options.min, options.max);
        return Err(refuse("the range", found, "2 to 16 bits and a range that is not empty"));
    }
    let lowest = if options.narrow_range { 1.0 } else { 0.0 };
    let highest = (1u32 << options.num_bits) as f32 - 1.0;
    let scale = (options.max - options.min) / (highest - lowest);
    let zero_point = (lowest - options.min / scale).clamp(lowest, highest).round();
    let (min, max) = ((lowest - zero_point) * scale, (highest - zero_point) * scale);
    let inverse = 1.0 / scale;
    let input = ctx.slice::<f32>(0)?;
    shape_output(ctx, 0, ctx.shape(0)?)?;
    for (target, v) in ctx.output::<f32>(0)?.iter_mut().zip(input) {
        *target = ((v.clamp(min, max) - min) * inverse).round() * scale + min;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::FakeQuantOptions;

    use super::*;
    use crate::kernels::testing::{Output, f32s, run, run_quantised, value};

    fn bytes(list: &[i8]) -> Value {
        value(Value::from_slice(DType::Int8, &[list.len()], list))
    }

    #[test]
    fn stored_values_stand_for_real_ones() -> Result<(), KernelError> {
        let input = [Some((f32s(&[5], &[0.25, -0.25, 0.75, 100.0, -100.0]), None))];
        let found = run_quantised(Op::Quantize, &input, &[Output(DType::Int8, &[], Some((0.5, 3)))])?;
        assert_eq!(found, [bytes(&[4, 2, 5, 127, -128])]);
        let input = [Some((bytes(&[4, -128]), Some((0.5, 3))))];
        let found = run_quantised(Op::Dequantize, &input, &[Output(DType::Float32, &[], None)])?;
        assert_eq!(found, [f32s(&[2], &[0.5, -65.5])]);
        let found = run_quantised(Op::Quantize, &input, &[Output(DType::Int8, &[], Some((1.0, -1)))])?;
        assert_eq!(found, [bytes(&[0, -66])]);
        assert!(run(Op::Dequantize, &[bytes(&[1])], DType::Float32).is_err());
        Ok(())
    }

    #[test]
    fn channels_and_blocks_have_their_own_scales() -> Result<(), KernelError> {
        let quant = |kind| Quant { kind, ..Quant::default() };
        let stored = value(Value::from_slice(DType::Int8, &[2, 2], &[1i8, 2, 3, 4]));
        let affine = |axis| QuantKind::Affine { scale: vec![1.0, 10.0], zero_point: vec![0, 1], axis };
        assert_eq!(real_values(&stored, Some(&quant(affine(1))), &[])?, [1.0, 10.0, 3.0, 30.0]);
        assert_eq!(real_values(&stored, Some(&quant(affine(0))), &[])?, [1.0, 2.0, 20.0, 30.0]);
        let halves = f16::from_f32(0.5).to_le_bytes().into_iter().chain(f16::from_f32(2.0).to_le_bytes());
        let scales = Tensor {
            name: String::new(),
            dtype: DType::Float16,
            dims: vec![2],
            shape: tflite_wgpu_model::Shape::known(&[2]),
            quant: None,
            sparsity: None,
            data: tflite_wgpu_model::Data::Constant(halves.collect::<Vec<u8>>().into()),
        };
        let blocks = |block_size| QuantKind::Blockwise {
            scales: tflite_wgpu_model::TensorId(0),
            zero_points: None,
            block_size,
            axis: 0,
        };
        assert_eq!(real_values(&stored, Some(&quant(blocks(2))), std::slice::from_ref(&scales))?, [0.5, 1.0, 6.0, 8.0]);
        assert!(real_values(&stored, Some(&quant(blocks(3))), &[scales]).is_err());
        assert!(real_values(&stored, Some(&quant(blocks(2))), &[]).is_err());
        Ok(())
    }

    #[test]
    fn ranges_are_moved_onto_the_grid() -> Result<(), KernelError> {
        let options = FakeQuantOptions { min: -0.1, max: 1.4, num_bits: 2, narrow_range: false };
        let found = run(Op::FakeQuant(options.clone()), &[f32s(&[4], &[-1.0, 0.2, 0.3, 9.0])], DType::Float32)?;
        assert_eq!(found, f32s(&[4], &[0.0, 0.0, 0.5, 1.5]));
        let wrong = FakeQuantOptions { num_bits: 1, ..options };
        assert!(run(Op::FakeQuant(wrong), &[f32s(&[1], &[0.0])], DType::Float32).is_err());
        Ok(())
    }
}
