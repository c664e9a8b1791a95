//! Which tensors are stored in halves.

mod heads;

use std::collections::HashSet;

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{BuiltinOperator, DType, Graph, Node, TensorId};

use crate::{
    constant::Constant,
    ops::{Facts, TensorFacts},
    options::Precision,
    region::Storage,
};

/// Largest finite half.
const HALF_MAX: f32 = 65_504.0;

/// The storage of every tensor of a subgraph, the same for all of its partitions, whatever their shapes.
#[derive(Clone, Debug, Default)]
pub struct Storages {
    precision: Precision,
    storages: Vec<Storage>,
    /// The constants that this was decided for: their values are not looked at again.
    constants: Vec<Option<Constant>>,
}

impl Storages {
    /// The storages that follow from what is known beforehand; `carried` says whether the subgraph is a loop's.
    pub fn new(graph: &Graph, facts: &Facts, precision: Precision, carried: bool) -> Self {
        let storages = assign(graph, facts, precision, carried);
        let constants = facts.tensors.iter().map(|fact| fact.constant.clone()).collect();
        Self { precision, storages, constants }
    }

    /// The storage of a tensor of which this is known now; a constant that was not one before may need f32 all the same.
    pub fn of(&self, tensor: TensorId, fact: Option<&TensorFacts>) -> Storage {
        let index = tensor.index();
        let assigned = self.storages.get(index).copied();
        let decided = |constant: &Constant| {
            assigned == Some(Storage::F32)
                || self.constants.get(index).and_then(Option::as_ref).is_some_and(|own| own.is_same(constant))
        };
        match fact.and_then(|fact| Some((fact, fact.constant.as_ref()?))) {
            Some((fact, constant)) if !decided(constant) => of(fact, self.precision),
            _ => assigned.unwrap_or(Storage::F32),
        }
    }
}

/// In f16 (and auto) a tensor stays f32 where halves could not hold it: a constant beyond the largest half, results that
/// count, and results that leave the range of halves (see [`is_wide`]), are put in order (see [`ordered`]), or are sums of
/// many sums, and the weights of the last layers (see [`heads`]). Inputs and outputs of a `carried` subgraph (a loop's) never
/// do, as they trade places.
fn assign(graph: &Graph, facts: &Facts, precision: Precision, carried: bool) -> Vec<Storage> {
    let own: Vec<Storage> = facts.tensors.iter().map(|fact| of(fact, precision)).collect();
    if precision == Precision::F32 {
        return own;
    }
    let mut storages = own.clone();
    let fixed = |id: &TensorId| carried && (graph.inputs.contains(id) || graph.outputs.contains(id));
    let widen = |storages: &mut [Storage], id: &TensorId| {
        if let Some(storage) = storages.get_mut(id.index()).filter(|s| **s == Storage::F16 && !fixed(id)) {
            *storage = Storage::F32;
        }
    };
    for node in &graph.nodes {
        if is_wide(node, facts, &storages) {
            node.outputs.iter().flatten().for_each(|id| widen(&mut storages, id));
        }
    }
    let mut fine = HashSet::new();
    for node in graph.nodes.iter().rev() {
        fine.extend(fine_inputs(node, &fine));
    }
    fine.iter().for_each(|id| widen(&mut storages, id));
    feeds_integers(graph).iter().for_each(|id| widen(&mut storages, id));
    // The rules so far are about what is computed; of a constant, the values say what holds them.
    let constants = facts.tensors.iter().zip(own).map(|(fact, own)| fact.constant.is_some().then_some(own));
    for (storage, own) in storages.iter_mut().zip(constants) {
        *storage = own.unwrap_or(*storage);
    }
    ordered(graph, facts).iter().for_each(|id| widen(&mut storages, id));
    weights(graph, &storages).iter().for_each(|id| widen(&mut storages, id));
    heads::heads(graph, facts).iter().for_each(|id| widen(&mut storages, id));
    heads::long_sums(graph, facts).iter().for_each(|id| widen(&mut storages, id));
    storages
}

/// Weights whose products are f32.
fn weights(graph: &Graph, storages: &[Storage]) -> Vec<TensorId> {
    let is_wide = |node: &&Node| node.output(0).is_some_and(|id| storages.get(id.index()) == Some(&Storage::F32));
    graph.nodes.iter().filter(is_wide).filter_map(heads::weights).collect()
}

/// Bytes of f32 weights that may be behind the values that TOPK_V2 orders.
const ORDERED_BYTES: usize = 1 << 20;

/// What TOPK_V2 puts in order, and what that is made of, up to convolutions and large weights: among many values, halves
/// make some equal and others change places, which decides over all that follow. A single largest one is rarely as close.
fn ordered(graph: &Graph, facts: &Facts) -> HashSet<TensorId> {
    use BuiltinOperator as B;
    let is_constant = |id: &TensorId| facts.tensor(*id).is_some_and(|fact| fact.constant.is_some());
    let bytes = |id: &TensorId| {
        let dims = facts.tensor(*id).and_then(|fact| fact.dims.as_deref()).unwrap_or_default();
        dims.iter().product::<usize>().saturating_mul(size_of::<f32>())
    };
    let (mut ordered, mut left) = (HashSet::new(), ORDERED_BYTES);
    for node in graph.nodes.iter().rev() {
        let inputs = match node.op.builtin() {
            B::TopkV2 => 0..1,
            _ if !node.outputs.iter().flatten().any(|id| ordered.contains(id)) => continue,
            B::Add | B::Sub | B::Mul | B::Div | B::Maximum | B::Minimum | B::Logistic | B::Tanh => 0..2,
            B::Relu | B::Relu6 | B::Neg | B::Dequantize | B::Sum | B::Mean | B::ReduceMax | B::ReduceMin => 0..1,
            B::Reshape | B::Squeeze | B::ExpandDims | B::Transpose | B::Slice | B::StridedSlice | B::Gather => 0..1,
            B::Select | B::SelectV2 => 1..3,
            B::Concatenation | B::Pack => 0..node.inputs.len(),
            B::FullyConnected => 0..3,
            _ => continue,
        };
        let read: Vec<TensorId> = inputs.filter_map(|i| node.input(i)).collect();
        let constants = read.iter().filter(|id| is_constant(id) && !ordered.contains(*id)).map(bytes);
        let Some(rest) = left.checked_sub(constants.sum()) else { continue };
        left = rest;
        ordered.extend(read);
    }
    ordered
}

/// What integers are made of that nodes compute with: there a half's rounding becomes a whole step, and goes on. Integers
/// that only leave the graph may be a step apart.
fn feeds_integers(graph: &Graph) -> HashSet<TensorId> {
    let read: HashSet<TensorId> = graph.nodes.iter().flat_map(|node| node.inputs.iter().copied().flatten()).collect();
    let mut feeding = HashSet::new();
    for node in graph.nodes.iter().rev() {
        let mut outputs = node.outputs.iter().flatten();
        let quantises = node.op.builtin() == BuiltinOperator::Quantize;
        if outputs.any(|id| feeding.contains(id) || (quantises && read.contains(id))) {
            feeding.extend(node.inputs.iter().copied().flatten());
        }
    }
    feeding
}

/// Inputs of a node in which zero and the smallest halves must differ: those of functions that are steep at zero, and what
/// such an input is made of, as long as it is handed on at its own size. `fine` has those of all later nodes.
fn fine_inputs(node: &Node, fine: &HashSet<TensorId>) -> Vec<TensorId> {
    use BuiltinOperator as B;
    let range = match node.op.builtin() {
        B::Log | B::Sqrt | B::Rsqrt | B::Pow => 0..2,
        B::Div => 1..2,
        B::Abs | B::Neg | B::Relu | B::Relu6 | B::Relu0To1 | B::ReluN1To1 | B::LeakyRelu => 0..1,
        B::Add | B::Sub | B::Mul | B::Maximum | B::Minimum => 0..2,
        B::Mean | B::Sum | B::ReduceMax | B::ReduceMin => 0..1,
        B::Concatenation | B::Pack => 0..node.inputs.len(),
        B::Reshape | B::Squeeze | B::ExpandDims | B::Transpose | B::Slice | B::StridedSlice | B::Gather => 0..1,
        B::Split => 1..2,
        B::SplitV | B::Unpack | B::Pad | B::Padv2 | B::Tile | B::BroadcastTo => 0..1,
        _ => 0..0,
    };
    let steep = matches!(node.op.builtin(), B::Log | B::Sqrt | B::Rsqrt | B::Pow | B::Div);
    if !steep && !node.outputs.iter().flatten().any(|id| fine.contains(id)) {
        return Vec::new();
    }
    range.filter_map(|i| node.input(i)).collect()
}

/// The storage of a tensor by its type and, of a constant, its values.
fn of(fact: &TensorFacts, precision: Precision) -> Storage {
    match fact.dtype {
        DType::Float32 | DType::Float16 | DType::BFloat16 | DType::Float64 => {
            let fits = |value: &Value| value.dtype() == DType::Float16 || value.as_slice::<f32>().is_ok_and(fit_halves);
            let fits = fact.constant.as_deref().is_none_or(fits);
            if precision != Precision::F32 && fits { Storage::F16 } else { Storage::F32 }
        }
        _ => Storage::I32,
    }
}

/// Whether halves hold these values: NaN, and what is not beyond the largest half.
fn fit_halves(values: &[f32]) -> bool {
    // In groups, as a loop that may end at every value looks at one at a time.
    let beyond = |group: &[f32]| group.iter().fold(false, |beyond, v| beyond | (v.abs() > HALF_MAX));
    !values.chunks(1024).any(beyond)
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

#[cfg(test)]
mod tests {
    use tflite_wgpu_fallback::Model;
    use tflite_wgpu_model::{
        AddOptions, FullyConnectedOptions, GraphBuilder, ModelBuilder, MulOptions, Op, ReducerOptions, SoftmaxOptions,
        SubgraphId,
    };

    use super::*;
    use crate::annotate::annotate;

    const F: DType = DType::Float32;

    fn storages(graph: GraphBuilder, carried: bool) -> Result<Vec<Storage>, Box<dyn std::error::Error>> {
        let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
        let facts = annotate(&model, SubgraphId(0), &|_| None).ok_or("no subgraph")?;
        let graph = model.program().graph(SubgraphId(0)).ok_or("no subgraph")?;
        Ok(assign(graph, &facts, Precision::F16, carried))
    }

    #[test]
    fn activations_are_halves() -> Result<(), Box<dyn std::error::Error>> {
        let mut graph = GraphBuilder::new();
        let x = graph.input("x", F, &[1, 8]);
        let large = graph.constant_f32("large", &[], &[1e6]);
        let y = graph.op(Op::Add(AddOptions::default()), &[Some(x), Some(large)], &[("y", F, &[1, 8])]);
        let z = graph.op(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[Some(y)], &[("z", F, &[1, 8])]);
        graph.output(z);
        // Only the constant that halves cannot hold is wide.
        assert_eq!(storages(graph, false)?, [Storage::F16, Storage::F32, Storage::F16, Storage::F16]);
        Ok(())
    }

    #[test]
    fn a_norm_keeps_its_statistics() -> Result<(), Box<dyn std::error::Error>> {
        let (full, row) = ([4, 8], [4, 1]);
        let mut graph = GraphBuilder::new();
        let x = graph.input("x", F, &full);
        let axes = graph.constant_i32("axes", &[1], &[1]);
        let eps = graph.constant_f32("eps", &[], &[1e-6]);
        let mean = || Op::Mean(ReducerOptions { keep_dims: true });
        let center = graph.op(mean(), &[Some(x), Some(axes)], &[("center", F, &row)]);
        let squares = graph.op(Op::SquaredDifference, &[Some(x), Some(center)], &[("squares", F, &full)]);
        let variance = graph.op(mean(), &[Some(squares), Some(axes)], &[("variance", F, &row)]);
        let sum = graph.op(Op::Add(AddOptions::default()), &[Some(variance), Some(eps)], &[("sum", F, &row)]);
        let scale = graph.op(Op::Rsqrt, &[Some(sum)], &[("scale", F, &row)]);
        let y = graph.op(Op::Mul(MulOptions::default()), &[Some(x), Some(scale)], &[("y", F, &full)]);
        graph.output(y);
        let storages = storages(graph, false)?;
        let of = |id: TensorId| storages.get(id.index()).copied();
        for id in [squares, variance, sum, scale] {
            assert_eq!(of(id), Some(Storage::F32), "{id}");
        }
        for id in [x, center, y] {
            assert_eq!(of(id), Some(Storage::F16), "{id}");
        }
        Ok(())
    }

    #[test]
    fn what_becomes_integers_that_are_computed_with_is_exact() -> Result<(), Box<dyn std::error::Error>> {
        let quantised = |reader: bool| {
            let mut graph = GraphBuilder::new();
            let x = graph.input("x", F, &[1, 8]);
            let y = graph.op(Op::Relu, &[Some(x)], &[("y", F, &[1, 8])]);
            let z = graph.op(Op::Quantize, &[Some(y)], &[("z", DType::Int8, &[1, 8])]);
            let w = reader.then(|| graph.op(Op::Dequantize, &[Some(z)], &[("w", F, &[1, 8])]));
            graph.output(w.unwrap_or(z));
            storages(graph, false)
        };
        assert_eq!(quantised(true)?, [Storage::F32, Storage::F32, Storage::I32, Storage::F16]);
        assert_eq!(quantised(false)?, [Storage::F16, Storage::F16, Storage::I32]);
        Ok(())
    }

    #[test]
    fn what_is_put_in_order_is_exact_up_to_large_weights() -> Result<(), Box<dyn std::error::Error>> {
        let of = |depth: usize| {
            let mut graph = GraphBuilder::new();
            let x = graph.input("x", F, &[1, depth]);
            let first = graph.constant_f32("first", &[8, depth], &vec![0.1; 8 * depth]);
            let second = graph.constant_f32("second", &[64, 8], &[0.1; 512]);
            let product = || Op::FullyConnected(FullyConnectedOptions::default());
            let y = graph.op(product(), &[Some(x), Some(first), None], &[("y", F, &[1, 8])]);
            let z = graph.op(product(), &[Some(y), Some(second), None], &[("z", F, &[1, 64])]);
            let k = graph.constant_i32("k", &[], &[8]);
            let top = [("top", F, &[1, 8][..]), ("at", DType::Int32, &[1, 8])];
            let top = graph.op_multi(Op::TopkV2, &[Some(z), Some(k)], &top);
            graph.output(top[1]);
            storages(graph, false)
        };
        // Input, weights, weights, results, k, values, places.
        let (wide, half, int) = (Storage::F32, Storage::F16, Storage::I32);
        assert_eq!(of(8)?, [wide, wide, wide, wide, wide, int, half, int]);
        // The first product's weights would take more than what is left of the bytes; its results are wide, and they with them.
        assert_eq!(of(ORDERED_BYTES / 32)?, [half, wide, wide, wide, wide, int, half, int]);
        Ok(())
    }

    #[test]
    fn operands_of_steep_functions_are_fine_but_not_what_a_loop_carries() -> Result<(), Box<dyn std::error::Error>> {
        let build = || {
            let mut graph = GraphBuilder::new();
            let x = graph.input("x", F, &[1, 8]);
            let p = graph.op(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[Some(x)], &[("p", F, &[1, 8])]);
            let y = graph.op(Op::Log, &[Some(p)], &[("y", F, &[1, 8])]);
            let z = graph.op(Op::Exp, &[Some(y)], &[("z", F, &[1, 8])]);
            graph.output(z);
            graph
        };
        assert_eq!(storages(build(), false)?, [Storage::F16, Storage::F32, Storage::F16, Storage::F32]);
        assert_eq!(storages(build(), true)?, [Storage::F16, Storage::F32, Storage::F16, Storage::F16]);
        Ok(())
    }
}
