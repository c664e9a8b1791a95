//! Which tensors are stored in halves.

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{BuiltinOperator, DType, Graph, Node, TensorId};

use crate::{
    ops::{Facts, TensorFacts},
    options::Precision,
    region::Storage,
};

/// Largest finite half.
const HALF_MAX: f32 = 65_504.0;

/// The storage of every tensor of a subgraph, the same for all of its partitions. In f16 (and auto) a tensor stays f32
/// where halves could not hold it: a constant beyond the largest half, results that count, and results that leave the
/// range of halves (see [`is_wide`]). Inputs and outputs of a `carried` subgraph (a loop's) never do, as they trade
/// places.
pub fn assign(graph: &Graph, facts: &Facts, precision: Precision, carried: bool) -> Vec<Storage> {
    let mut storages: Vec<Storage> = facts.tensors.iter().map(|fact| of(fact, precision)).collect();
    if precision == Precision::F32 {
        return storages;
    }
    let fixed = |id: &TensorId| carried && (graph.inputs.contains(id) || graph.outputs.contains(id));
    for node in &graph.nodes {
        if !is_wide(node, facts, &storages) {
            continue;
        }
        for id in node.outputs.iter().flatten().filter(|id| !fixed(id)) {
            if let Some(storage) = storages.get_mut(id.index()).filter(|storage| **storage == Storage::F16) {
                *storage = Storage::F32;
            }
        }
    }
    storages
}

/// The storage of a tensor by its type and, of a constant, its values.
pub fn of(fact: &TensorFacts, precision: Precision) -> Storage {
    match fact.dtype {
        DType::Float32 | DType::Float16 | DType::BFloat16 | DType::Float64 => {
            let fits = |value: &Value| {
                let halves = |v: &[f32]| v.iter().all(|x| x.is_nan() || x.abs() <= HALF_MAX);
                value.dtype() == DType::Float16 || value.as_slice::<f32>().is_ok_and(halves)
            };
            let fits = fact.constant.as_deref().is_none_or(fits);
            if precision != Precision::F32 && fits { Storage::F16 } else { Storage::F32 }
        }
        _ => Storage::I32,
    }
}

/// Whether halves could not hold what a node computes: integers beyond 2,048, where halves lose units; powers, squares
/// and their sums, which leave the range of halves at either end; and what is still as large as one of those.
fn is_wide(node: &Node, facts: &Facts, storages: &[Storage]) -> bool {
    use BuiltinOperator as B;
    let known = |id: TensorId| facts.tensor(id);
    let computed =
        || node.inputs.iter().flatten().copied().filter(|id| known(*id).is_some_and(|t| t.constant.is_none()));
    let is_wide = |id: TensorId| storages.get(id.index()) == Some(&Storage::F32);
    let dims = |id: Option<TensorId>| id.and_then(known).and_then(|fact| fact.dims.as_deref());
    let count = |id: Option<TensorId>| dims(id).map(|dims| dims.iter().product::<usize>());
    match node.op.builtin() {
        B::Range | B::Exp | B::Pow | B::Square | B::SquaredDifference | B::Sum | B::ReduceProd => true,
        B::Mul => node.input(0) == node.input(1) || computed().all(is_wide),
        B::Cumsum => dims(node.input(0)).is_none_or(|dims| dims.iter().any(|&d| d > 256)),
        B::Cast => node.input(0).is_some_and(|id| storages.get(id.index()) == Some(&Storage::I32)),
        // The inverse of a small root, by which activations are scaled.
        B::Rsqrt => computed().any(is_wide),
        B::Mean | B::ReduceMax | B::ReduceMin | B::Abs | B::Neg | B::Relu | B::LeakyRelu => computed().all(is_wide),
        B::Reshape | B::Squeeze | B::ExpandDims | B::Transpose | B::Slice | B::StridedSlice => {
            node.input(0).is_some_and(is_wide)
        }
        // A statistic that is spread over activations leaves the sum an activation.
        B::Add | B::Sub | B::AddN | B::Maximum | B::Minimum | B::Select | B::SelectV2 => {
            let output = count(node.output(0));
            computed().any(|id| is_wide(id) && count(Some(id)) == output)
        }
        _ => false,
    }
}
