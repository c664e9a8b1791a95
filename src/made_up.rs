//! Made-up inputs: the same for the same seed, in ranges that most models take.

use half::f16;
use tflite_wgpu_fallback::{Model, Value};
use tflite_wgpu_model::{DType, Quant, SubgraphId, TensorMetadata, element_count};

use crate::error::Error;

const WORDS: [&str; 4] = ["hello world", "the quick brown fox", "", "a"];

/// What a value is made up for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The input's name, for errors.
    pub name: &'a str,
    /// Type of its elements.
    pub dtype: DType,
    /// Its shape.
    pub dims: &'a [usize],
    /// How its integers are quantised.
    pub quant: Option<&'a Quant>,
    /// What the file says for people.
    pub about: Option<&'a TensorMetadata>,
}

/// A value for an input. Floats lie in the range that the metadata give, else in -1 to 1; indices are 0 or 1, so that
/// they exist in any table; quantised integers take their whole range.
///
/// # Errors
/// When the shape is too large, or the type is one that only a running model makes.
pub fn value(wanted: &Wanted<'_>, seed: u32) -> Result<Value, Error> {
    let Wanted { dtype, dims, .. } = *wanted;
    let refused = |found: String, expected: &str| Error::Input {
        tensor: wanted.name.to_owned(),
        found,
        expected: expected.to_owned(),
    };
    let count = element_count(dims).ok_or_else(|| refused(format!("shape {dims:?}"), "one that fits the memory"))?;
    let mut value = Value::zeros(dtype, dims)?;
    let unit = |i: usize| f64::from(hash(i, seed) >> 8) / 16_777_216.0;
    let (low, high) = range(wanted.about);
    let float = |i: usize| (low + (high - low) * unit(i)) as f32;
    let quantised = wanted.quant.is_some_and(|quant| quant.per_tensor().is_some());
    match dtype {
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
            return Err(refused(format!("type {dtype}"), "one whose values can be made up"));
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

/// Values for the inputs of the first subgraph, of their shapes before a resize.
///
/// # Errors
/// As [`value`].
pub fn inputs(model: &Model, seed: u32) -> Result<Vec<Value>, Error> {
    let program = model.program();
    let Some(graph) = program.graph(SubgraphId(0)) else { return Ok(Vec::new()) };
    // Damaged metadata say nothing about what the model computes.
    let metadata = program.model_metadata().ok().flatten().unwrap_or_default();
    let about = metadata.subgraphs.first().map(|subgraph| subgraph.inputs.as_slice()).unwrap_or_default();
    let tensors = graph.inputs.iter().filter_map(|id| graph.tensors.get(id.index()));
    let values = (seed..).zip(tensors).enumerate().map(|(i, (seed, tensor))| {
        let (name, dims, quant) = (&tensor.name, &tensor.dims, tensor.quant.as_ref());
        value(&Wanted { name, dtype: tensor.dtype, dims, quant, about: about.get(i) }, seed)
    });
    values.collect()
}

fn range(metadata: Option<&TensorMetadata>) -> (f64, f64) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_for_the_same_seed_and_in_their_range() -> Result<(), Error> {
        let about = TensorMetadata { min: vec![2.0], max: vec![3.0], ..TensorMetadata::default() };
        let wanted = Wanted { name: "x", dtype: DType::Float32, dims: &[4, 50], quant: None, about: None };
        let (first, other) = (value(&wanted, 1)?, value(&wanted, 2)?);
        assert_eq!(first.bytes(), value(&wanted, 1)?.bytes());
        assert_ne!(first.bytes(), other.bytes());
        assert!(first.as_slice::<f32>()?.iter().all(|x| (-1.0..1.0).contains(x)));
        let ranged = value(&Wanted { about: Some(&about), ..wanted }, 1)?;
        assert!(ranged.as_slice::<f32>()?.iter().all(|x| (2.0..3.0).contains(x)));
        let indices = value(&Wanted { dtype: DType::Int64, ..wanted }, 1)?;
        assert!(indices.as_slice::<i64>()?.iter().all(|&i| i == 0 || i == 1));
        let refused = value(&Wanted { dtype: DType::Resource, ..wanted }, 1);
        assert!(refused.is_err_and(|error| error.to_string().contains("RESOURCE")));
        Ok(())
    }
}
