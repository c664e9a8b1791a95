//! Which tensors are stored in halves.

use tflite_wgpu_model::{BuiltinOperator, DType};

use crate::{
    options::Precision,
    region::{Region, Storage},
};

/// Largest finite half.
const HALF_MAX: f32 = 65_504.0;

/// Sets the storage of every tensor. In f16 (and auto) a tensor stays f32 where halves could not hold it: a constant
/// beyond the largest half, and results that count (indices, ranges, running sums of long axes).
pub fn assign(region: &mut Region, precision: Precision) {
    let half = precision != Precision::F32;
    for tensor in &mut region.tensors {
        tensor.storage = match tensor.dtype {
            DType::Float32 | DType::Float16 | DType::BFloat16 | DType::Float64 => {
                let fits = |value: &tflite_wgpu_fallback::Value| {
                    value.as_slice::<f32>().is_ok_and(|v| v.iter().all(|x| x.is_nan() || x.abs() <= HALF_MAX))
                        || value.dtype() == DType::Float16
                };
                let fits = tensor.constant.as_deref().is_none_or(fits);
                if half && fits { Storage::F16 } else { Storage::F32 }
            }
            _ => Storage::I32,
        };
    }
    if half {
        for i in 0..region.nodes.len() {
            keep_counts(region, i);
        }
    }
}

/// Operators whose float results are integers that may exceed 2,048, where halves lose units.
fn keep_counts(region: &mut Region, i: usize) {
    let Some(node) = region.nodes.get(i) else { return };
    let op = node.op.builtin();
    let (input, output) = (node.input(0), node.output(0));
    let (Some(input), Some(output)) = (input, output) else { return };
    let counts = match op {
        BuiltinOperator::Cumsum => region.tensor(input).dims.iter().any(|&d| d > 256),
        BuiltinOperator::Cast => region.tensor(input).storage == Storage::I32,
        BuiltinOperator::Range => true,
        _ => false,
    };
    if counts
        && region.tensor(output).storage == Storage::F16
        && let Some(tensor) = region.tensors.get_mut(output.index())
    {
        tensor.storage = Storage::F32;
    }
}
