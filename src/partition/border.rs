//! Tensors too large to cross between the host and the device: their bytes cross as they are, through one binding.

use std::collections::{BTreeMap, HashSet};

use tflite_wgpu_model::{Data, Graph, Node, TensorId};

use super::{Kind, elements};
use crate::{ops::Facts, reason::Reason};

/// Leaves nodes to the CPU that read or write such a tensor of the host's.
pub(super) fn leave_out(
    graph: &Graph,
    facts: &Facts,
    kinds: &mut [Kind],
    producer: &BTreeMap<TensorId, usize>,
    max_bytes: usize,
) {
    let bytes = |id: TensorId| {
        let fact = facts.tensor(id).filter(|fact| fact.constant.is_none())?;
        elements(facts, id)?.checked_mul(fact.dtype.size()?)
    };
    let tensors = (0..graph.tensors.len()).map(TensorId::from_index);
    let large: HashSet<TensorId> = tensors.filter(|id| bytes(*id).is_some_and(|bytes| bytes > max_bytes)).collect();
    if large.is_empty() {
        return;
    }
    // A node that is left out brings its neighbours' tensors to the host.
    while let Some((node, id)) = first_crossing(graph, kinds, producer, &large) {
        let found = bytes(id).unwrap_or(usize::MAX);
        let Some(kind) = kinds.get_mut(node) else { return };
        *kind = Kind::Cpu(Reason::TooLarge { what: "tensor", found: found as u64, limit: max_bytes as u64 });
    }
}

/// A node of the GPU with a tensor of these that the host has or wants.
fn first_crossing(
    graph: &Graph,
    kinds: &[Kind],
    producer: &BTreeMap<TensorId, usize>,
    large: &HashSet<TensorId>,
) -> Option<(usize, TensorId)> {
    let on_cpu = |i: &usize| matches!(kinds.get(*i), Some(Kind::Cpu(_)));
    let reads = |node: &Node, id: &TensorId| node.inputs.iter().flatten().any(|input| input == id);
    let from_host = |id: &TensorId| {
        let variable = graph.tensors.get(id.index()).is_some_and(|tensor| tensor.data == Data::Variable);
        variable || producer.get(id).is_none_or(on_cpu)
    };
    let to_host = |id: &TensorId| {
        let mut nodes = graph.nodes.iter().enumerate();
        graph.outputs.contains(id) || nodes.any(|(i, node)| on_cpu(&i) && reads(node, id))
    };
    let crossing = |node: &Node| {
        let is_large = |id: &&TensorId| large.contains(id);
        let mut inputs = node.inputs.iter().flatten().filter(is_large);
        let mut outputs = node.outputs.iter().flatten().filter(is_large);
        inputs.find(|id| from_host(id)).or_else(|| outputs.find(|id| to_host(id))).copied()
    };
    let nodes = graph.nodes.iter().enumerate().filter(|(i, _)| matches!(kinds.get(*i), Some(Kind::Gpu | Kind::Late)));
    nodes.into_iter().find_map(|(i, node)| Some((i, crossing(node)?)))
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_fallback::Model;
    use tflite_wgpu_model::{AddOptions, DType, GraphBuilder, ModelBuilder, NodeId, Op, SubgraphId};

    use crate::{annotate::annotate, options::DelegateOptions, partition::assign};

    /// What stays on the CPU of three nodes in a row, whose results take 1,200 bytes in the host's memory and 800 on the
    /// device, in halves.
    fn left_out(max_bytes: usize, middle: Op) -> Result<Vec<NodeId>, Box<dyn std::error::Error>> {
        const F: DType = DType::Float32;
        let dims = [100, 3];
        let mut graph = GraphBuilder::new();
        let small = graph.input("small", F, &[1, 3]);
        let fill = Op::Add(AddOptions::default());
        let large = graph.constant_f32("large", &dims, &[1.0; 300]);
        let a = graph.op(fill.clone(), &[Some(small), Some(large)], &[("a", F, &dims)]);
        let b = graph.op(middle, &[Some(a)], &[("b", F, &dims)]);
        let c = graph.op(Op::Exp, &[Some(b)], &[("c", F, &dims)]);
        graph.output(c);
        let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
        let facts = annotate(&model, SubgraphId(0), &|_| None).ok_or("no subgraph")?;
        let graph = model.program().graph(SubgraphId(0)).ok_or("no subgraph")?;
        let assignment = assign(graph, &facts, &DelegateOptions::default(), max_bytes);
        Ok(assignment.reasons.into_keys().collect())
    }

    #[test]
    fn only_what_crosses_counts_and_its_neighbours_follow() -> Result<(), Box<dyn std::error::Error>> {
        let custom = || Op::Custom { name: "other".to_owned(), options: tflite_wgpu_model::Bytes::default() };
        assert!(left_out(1200, Op::Tanh)?.is_empty());
        // The output is too large, so its node is left out, whose input is as large, and so on.
        assert_eq!(left_out(1199, Op::Tanh)?, [NodeId(0), NodeId(1), NodeId(2)]);
        assert_eq!(left_out(1200, custom())?, [NodeId(1)]);
        assert_eq!(left_out(1199, custom())?, [NodeId(0), NodeId(1), NodeId(2)]);
        Ok(())
    }
}
