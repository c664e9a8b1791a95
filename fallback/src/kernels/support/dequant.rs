//! Weights of float operators, whatever type they are stored in.

use std::borrow::Cow;

use half::{bf16, f16};
use tflite_wgpu_model::{DType, Quant, QuantKind, TensorId};

use super::refuse;
use crate::kernels::{EvalCtx, KernelError};
use crate::value::Value;

/// Elements of input `i` as floats; see [`float_elements`]. Scales of blocks are looked up among the tensors.
pub(crate) fn float_weights<'a>(ctx: &EvalCtx<'a>, i: usize) -> Result<Cow<'a, [f32]>, KernelError> {
    match ctx.input_quant(i).map(|quant| &quant.kind) {
        Some(&QuantKind::Blockwise { scales, zero_points: None, block_size, .. }) => {
            blockwise(ctx, i, scales, block_size).map(Cow::Owned)
        }
        _ => float_elements(ctx.input(i)?, ctx.input_quant(i), i),
    }
}

/// Integers with a scale per block; blocks run along the last dimension, whatever axis the file names.
fn blockwise(ctx: &EvalCtx<'_>, i: usize, scales: TensorId, block: usize) -> Result<Vec<f32>, KernelError> {
    let (value, stored) = (ctx.input(i)?, ctx.ints(i)?);
    let missing = || refuse(format!("scales of input {i}"), format!("tensor {scales}"), "a constant float tensor");
    let tensor = ctx.env.tensors.get(scales.index()).ok_or_else(missing)?;
    let bytes = tensor.constant().ok_or_else(missing)?;
    let error = |error| KernelError::Input { input: i, error };
    let scale = Value::from_constant(tensor.dtype, &tensor.dims, bytes).map_err(error)?;
    let scale = scale.to_floats().ok_or_else(missing)?;
    let depth = value.shape().last().copied().unwrap_or(1);
    if block == 0 || !depth.is_multiple_of(block) || scale.len() != stored.len() / block {
        let found = format!("{} with blocks of {block}", scale.len());
        return Err(refuse(format!("scales of input {i}"), found, "one per block"));
    }
    let blocks = stored.chunks_exact(block).zip(&scale);
    Ok(blocks.flat_map(|(block, &scale)| block.iter().map(move |&stored| stored as f32 * scale as f32)).collect())
}

/// Elements of a float operator's weights: FLOAT32 as it is, 16-bit floats widened, integers times their scales.
/// `input` is the tensor's position among the node's inputs, for errors.
///
/// This is the default meaning of hybrid models: activations are not quantised on the way.
///
/// # Errors
/// When the type has no float values, or integers have no scales that fit the shape.
pub fn float_elements<'a>(
    value: &'a Value,
    quant: Option<&Quant>,
    input: usize,
) -> Result<Cow<'a, [f32]>, KernelError> {
    let error = |error| KernelError::Input { input, error };
    match value.dtype() {
        DType::Float32 => Ok(Cow::Borrowed(value.as_slice::<f32>().map_err(error)?)),
        DType::Float16 => Ok(value.as_slice::<f16>().map_err(error)?.iter().map(|v| v.to_f32()).collect()),
        DType::BFloat16 => Ok(value.as_slice::<bf16>().map_err(error)?.iter().map(|v| v.to_f32()).collect()),
        _ => dequantized(value, quant, input).map(Cow::Owned),
    }
}

fn dequantized(value: &Value, quant: Option<&Quant>, input: usize) -> Result<Vec<f32>, KernelError> {
    use DType::{Int2, Int4, Int8, Int16, UInt4, UInt8};
    let error = |error| KernelError::Input { input, error };
    let stored: Vec<i32> = match value.dtype() {
        Int8 | Int4 | Int2 => value.as_slice::<i8>().map_err(error)?.iter().map(|&v| v.into()).collect(),
        // The first TFLite versions wrote the bits of symmetric int8 weights as UINT8 with zero point 0.
        UInt8 if symmetric(quant) => value.as_slice::<u8>().map_err(error)?.iter().map(|&v| (v as i8).into()).collect(),
        UInt8 | UInt4 => value.as_slice::<u8>().map_err(error)?.iter().map(|&v| v.into()).collect(),
        Int16 => value.as_slice::<i16>().map_err(error)?.iter().map(|&v| v.into()).collect(),
        found => {
            let expected = "FLOAT32, FLOAT16, BFLOAT16, INT8, UINT8, INT16, INT4, UINT4 or INT2";
            return Err(refuse(format!("type of input {input}"), found, expected));
        }
    };
    let quant = quant.map(|quant| &quant.kind);
    let Some(QuantKind::Affine { scale, zero_point, axis }) = quant else {
        return Err(refuse(format!("quantisation of input {input}"), format!("{quant:?}"), "scales"));
    };
    let shape = value.shape();
    let (count, inner) = match scale.len() {
        1 => (1, stored.len()),
        count if shape.get(*axis) == Some(&count) => (count, shape[axis + 1..].iter().product()),
        count => {
            return Err(refuse(format!("scales of input {input}"), count, format!("1 or as many as {shape:?} has")));
        }
    };
    let real = |(at, &stored): (usize, &i32)| {
        let channel = at / inner.max(1) % count;
        let zero_point = zero_point.get(channel).copied().unwrap_or(0);
        (i64::from(stored) - zero_point) as f32 * scale[channel]
    };
    Ok(stored.iter().enumerate().map(real).collect())
}

fn symmetric(quant: Option<&Quant>) -> bool {
    match quant.map(|quant| &quant.kind) {
        Some(QuantKind::Affine { zero_point, .. }) => zero_point.iter().all(|&z| z == 0),
        _ => false,
    }
}
