//! The weights of a network's last layers, and long sums of residuals.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tflite_wgpu_model::{BuiltinOperator, DType, Graph, Node, TensorId};

use crate::ops::Facts;

/// Bytes in f32 of the weights of one output's head at most.
const HEAD_WEIGHTS: usize = 256 << 10;

/// Nodes of a head at most.
const HEAD_NODES: usize = 64;

/// Sums in a row from which on their tensors are stored in f32.
const LONG: usize = 8;

/// Weights of the last small layers before each output: no later layer averages their rounding out.
pub(super) fn heads(graph: &Graph, facts: &Facts) -> HashSet<TensorId> {
    let producer = graph.producers();
    let mut heads = HashSet::new();
    for output in &graph.outputs {
        let mut left = HEAD_WEIGHTS;
        let mut waiting: BTreeSet<usize> = producer.get(output).copied().into_iter().collect();
        for _ in 0..HEAD_NODES {
            let Some(node) = waiting.pop_last().and_then(|i| graph.nodes.get(i)) else { break };
            let Some(inputs) = handed_on(node) else { continue };
            if let Some(weights) = weights(node) {
                let rest = bytes(facts, weights).and_then(|bytes| left.checked_sub(bytes));
                let Some(rest) = rest else { continue };
                left = rest;
                heads.insert(weights);
            }
            waiting.extend(inputs.filter_map(|i| producer.get(&node.input(i)?)));
        }
    }
    heads
}

/// The weights of a node that may be halves; those of depthwise convolutions are f32 anyway.
pub(super) fn weights(node: &Node) -> Option<TensorId> {
    use BuiltinOperator as B;
    matches!(node.op.builtin(), B::Conv2d | B::FullyConnected | B::TransposeConv).then(|| node.input(1)).flatten()
}

/// Residual sums and what they add, if eight and more of them are in a row somewhere: the rounding of each stays in all that
/// follow, and shorter rows mostly end in longer ones.
pub(super) fn long_sums(graph: &Graph, facts: &Facts) -> HashSet<TensorId> {
    let sums: Vec<[TensorId; 3]> = graph.nodes.iter().filter_map(|node| residual(node, facts)).collect();
    // How many sums in a row lead to each, itself included.
    let mut lengths: BTreeMap<TensorId, usize> = BTreeMap::new();
    for &[a, b, sum] in &sums {
        let before = [a, b].iter().filter_map(|id| lengths.get(id)).max();
        lengths.insert(sum, before.copied().unwrap_or(0) + 1);
    }
    match lengths.values().any(|length| *length >= LONG) {
        true => sums.into_iter().flatten().collect(),
        false => HashSet::new(),
    }
}

/// The terms and the result of a sum of two computed images of one shape: transformers normalise what their sums are read for,
/// and f32 there takes ViT-tiny 1.4 times as long on lavapipe.
fn residual(node: &Node, facts: &Facts) -> Option<[TensorId; 3]> {
    let [a, b, sum] = [node.input(0)?, node.input(1)?, node.output(0)?];
    let dims = |id: TensorId| facts.tensor(id).and_then(|fact| fact.dims.as_deref());
    let is_image = dims(a).is_some_and(|dims| dims.len() == 4);
    let fits = node.op.builtin() == BuiltinOperator::Add && is_image && dims(a) == dims(b);
    (fits && !is_constant(facts, a) && !is_constant(facts, b)).then_some([a, b, sum])
}

/// The inputs that a head's node hands on to its output, weighted or not; none if the node belongs to no head.
fn handed_on(node: &Node) -> Option<std::ops::Range<usize>> {
    use BuiltinOperator as B;
    Some(match node.op.builtin() {
        B::Conv2d | B::DepthwiseConv2d | B::FullyConnected => 0..1,
        B::Relu | B::Relu6 | B::ReluN1To1 | B::Logistic | B::Tanh | B::HardSwish | B::Softmax | B::LogSoftmax => 0..1,
        B::Reshape | B::Squeeze | B::ExpandDims | B::Transpose | B::Slice | B::StridedSlice => 0..1,
        B::ResizeBilinear | B::ResizeNearestNeighbor => 0..1,
        B::Add | B::Sub | B::Mul | B::Maximum | B::Minimum => 0..2,
        B::Concatenation | B::Pack => 0..node.inputs.len(),
        _ => return None,
    })
}

fn is_constant(facts: &Facts, id: TensorId) -> bool {
    facts.tensor(id).is_some_and(|fact| fact.constant.is_some())
}

/// Bytes of a tensor of floats in f32; none of others, or without a known shape.
fn bytes(facts: &Facts, id: TensorId) -> Option<usize> {
    let fact = facts.tensor(id)?;
    let count = tflite_wgpu_model::element_count(fact.dims.as_deref()?)?;
    let is_float = matches!(fact.dtype, DType::Float32 | DType::Float16 | DType::Int8 | DType::UInt8 | DType::Int4);
    is_float.then(|| count.checked_mul(size_of::<f32>())).flatten()
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_fallback::Model;
    use tflite_wgpu_model::{
        AddOptions, FullyConnectedOptions, GraphBuilder, ModelBuilder, Op, SoftmaxOptions, SubgraphId,
    };

    use super::*;
    use crate::annotate::annotate;

    type Res<T> = Result<T, Box<dyn std::error::Error>>;

    const F: DType = DType::Float32;

    /// Names of the tensors that a rule chooses.
    fn chosen(graph: GraphBuilder, rule: fn(&Graph, &Facts) -> HashSet<TensorId>) -> Res<Vec<String>> {
        let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
        let facts = annotate(&model, SubgraphId(0), &|_| None).ok_or("no subgraph")?;
        let graph = model.program().graph(SubgraphId(0)).ok_or("no subgraph")?;
        let mut ids: Vec<TensorId> = rule(graph, &facts).into_iter().collect();
        ids.sort_unstable();
        Ok(ids.iter().filter_map(|id| Some(graph.tensors.get(id.index())?.name.clone())).collect())
    }

    fn dense(graph: &mut GraphBuilder, x: TensorId, name: &str, from: usize, to: usize) -> TensorId {
        let weights = graph.constant_f32(&format!("{name}_w"), &[to, from], &vec![0.5; to * from]);
        let op = Op::FullyConnected(FullyConnectedOptions::default());
        graph.op(op, &[Some(x), Some(weights)], &[(name, F, &[1, to])])
    }

    /// Three products with functions between them, the middle one of `width` inputs and 64 outputs.
    fn classifier(width: usize, last: Op) -> Res<Vec<String>> {
        let mut graph = GraphBuilder::new();
        let x = graph.input("x", F, &[1, 512]);
        let a = dense(&mut graph, x, "a", 512, width);
        let b = dense(&mut graph, a, "b", width, 64);
        let r = graph.op(Op::Relu, &[Some(b)], &[("r", F, &[1, 64])]);
        let c = dense(&mut graph, r, "c", 64, 10);
        let y = graph.op(last, &[Some(c)], &[("y", F, &[1, 10])]);
        graph.output(y);
        chosen(graph, heads)
    }

    #[test]
    fn a_head_ends_at_large_weights_and_other_operators() -> Res<()> {
        let softmax = || Op::Softmax(SoftmaxOptions { beta: 1.0 });
        assert_eq!(classifier(900, softmax())?, ["b_w", "c_w"]);
        assert_eq!(classifier(1200, softmax())?, ["c_w"]);
        assert!(classifier(900, Op::Exp)?.is_empty());
        Ok(())
    }

    /// A trunk of sums of EXPs of what is before.
    fn trunk(sums: usize, dims: &[usize]) -> GraphBuilder {
        let mut graph = GraphBuilder::new();
        let mut x = graph.input("x", F, dims);
        for i in 0..sums {
            let term = graph.op(Op::Exp, &[Some(x)], &[(&format!("t{i}"), F, dims)]);
            x = graph.op(Op::Add(AddOptions::default()), &[Some(x), Some(term)], &[(&format!("s{i}"), F, dims)]);
        }
        graph.output(x);
        graph
    }

    #[test]
    fn only_long_rows_of_sums_count_with_their_terms() -> Res<()> {
        assert!(chosen(trunk(7, &[1, 1, 1, 8]), long_sums)?.is_empty());
        assert!(chosen(trunk(8, &[1, 1, 8]), long_sums)?.is_empty());
        let names = chosen(trunk(8, &[1, 1, 1, 8]), long_sums)?;
        let expected = (0..8).flat_map(|i| [format!("t{i}"), format!("s{i}")]);
        assert_eq!(names, ["x".to_owned()].into_iter().chain(expected).collect::<Vec<_>>());
        Ok(())
    }
}
