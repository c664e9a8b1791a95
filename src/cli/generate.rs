//! Made-up inputs: the same for the same seed, in ranges that most models take.

use half::f16;
use tflite_wgpu::{
    Value,
    model::{DType, element_count},
};

use super::{
    entry::Port,
    failure::{Failure, Res},
};

const WORDS: [&str; 4] = ["hello world", "the quick brown fox", "", "a"];

/// A value for an input. Floats lie in the range that the metadata give, else in -1 to 1; indices are 0 or 1, so that
/// they exist in any table; quantised integers take their whole range.
pub fn random(port: &Port, dims: &[usize], seed: u32, limit: usize) -> Res<Value> {
    let count = element_count(dims).ok_or_else(|| Failure::new(format!("shape {dims:?} is too large")))?;
    let bytes = Value::bytes_of(port.dtype, dims)?;
    if bytes > limit {
        let what = format!("input {:?} of {bytes} bytes exceeds the memory limit {limit}", port.name);
        return Err(Failure::new(what));
    }
    let mut value = Value::zeros(port.dtype, dims)?;
    let unit = |i: usize| f64::from(hash(i, seed) >> 8) / 16_777_216.0;
    let (low, high) = range(port);
    let float = |i: usize| (low + (high - low) * unit(i)) as f32;
    let quantised = port.quant.as_ref().is_some_and(|quant| quant.per_tensor().is_some());
    match port.dtype {
        DType::Float32 => fill(value.as_mut_slice::<f32>()?, float),
        DType::Float64 => fill(value.as_mut_slice::<f64>()?, |i| f64::from(float(i))),
        DType::Float16 => fill(value.as_mut_slice::<f16>()?, |i| f16::from_f32(float(i))),
        DType::Complex64 => fill(value.as_mut_slice::<[f32; 2]>()?, |i| [float(2 * i), float(2 * i + 1)]),
        DType::UInt8 | DType::Int8 => fill(value.bytes_mut(), |i| hash(i, seed) as u8),
        DType::Int16 if quantised => fill(value.as_mut_slice::<i16>()?, |i| hash(i, seed) as i16),
        DType::String => {
            let text = |i: usize| WORDS[hash(i, seed) as usize % WORDS.len()].as_bytes().to_vec();
            value = Value::strings(dims, (0..count).map(text).collect())?;
        }
        DType::Resource | DType::Variant => {
            return Err(Failure::new(format!("input {:?} of type {} cannot be made up", port.name, port.dtype)));
        }
        other => {
            let size = other.size().unwrap_or(1);
            for (i, element) in value.bytes_mut().chunks_mut(size).enumerate() {
                if let Some(low) = element.first_mut() {
                    *low = (hash(i, seed) & 1) as u8;
                }
            }
        }
    }
    Ok(value)
}

fn range(port: &Port) -> (f64, f64) {
    let metadata = port.metadata.as_ref();
    let first = |list: Option<&Vec<f32>>| list.and_then(|list| list.first()).map(|&v| f64::from(v));
    match (first(metadata.map(|m| &m.min)), first(metadata.map(|m| &m.max))) {
        (Some(low), Some(high)) if low < high && low.is_finite() && high.is_finite() => (low, high),
        _ => (-1.0, 1.0),
    }
}

fn fill<T>(elements: &mut [T], value: impl Fn(usize) -> T) {
    elements.iter_mut().enumerate().for_each(|(i, element)| *element = value(i));
}

/// A number for a position: a multiplicative hash with two rounds of mixing.
fn hash(i: usize, seed: u32) -> u32 {
    let mut x = (i as u32).wrapping_mul(0x9e37_79b1) ^ seed.wrapping_mul(0x85eb_ca6b) ^ 0x27d4_eb2f;
    x ^= x >> 15;
    x = x.wrapping_mul(0x2c1b_3c6d);
    x ^= x >> 12;
    x = x.wrapping_mul(0x297a_2d39);
    x ^ (x >> 15)
}
