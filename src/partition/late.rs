//! Values that decide over shapes, and are known only while the model runs.
//!
//! A late node's steering values come from the caller, the CPU or an earlier partition, or follow from such values by
//! integers of its own partition (a shape that is taken apart and put together again). They are computed on the host
//! when the partition is prepared, again whenever one of them changes.

use std::collections::{BTreeMap, BTreeSet};

use tflite_wgpu_model::{BuiltinOperator, DType, Data, Graph, Node, NodeId, TensorId};

use super::Kind;
use crate::ops::{self, Facts};

/// Whether steering values will be there in time.
pub(super) struct Steering<'a> {
    pub graph: &'a Graph,
    pub facts: &'a Facts,
    pub kinds: &'a [Kind],
    pub producer: &'a BTreeMap<TensorId, usize>,
    /// Which nodes have run before the partition.
    pub before: &'a [bool],
}

impl Steering<'_> {
    /// Whether a late node's steering values can be known when its partition is prepared.
    pub fn is_ready(&self, node: usize) -> bool {
        let Some(node) = self.graph.nodes.get(node) else { return false };
        steers(self.facts, node).all(|id| self.is_known(id, 0))
    }

    fn is_known(&self, id: TensorId, depth: usize) -> bool {
        let Some(&maker) = self.producer.get(&id) else { return true };
        if self.before.get(maker).copied().unwrap_or(true) {
            return true;
        }
        let Some(node) = self.graph.nodes.get(maker) else { return false };
        if follows_from_shapes(node) {
            return true;
        }
        let integer =
            self.graph.tensors.get(id.index()).is_some_and(|t| t.dtype.is_integer() || t.dtype == DType::Bool);
        let here = self.kinds.get(maker) == Some(&Kind::Late);
        // Chains are short; a bound keeps diamonds from multiplying.
        integer && here && depth < 16 && node.inputs.iter().flatten().all(|&input| self.is_known(input, depth + 1))
    }
}

fn follows_from_shapes(node: &Node) -> bool {
    matches!(node.op.builtin(), BuiltinOperator::Shape | BuiltinOperator::Rank | BuiltinOperator::ZerosLike)
}

/// A node's steering inputs whose values are not known beforehand.
fn steers<'a>(facts: &'a Facts, node: &'a Node) -> impl Iterator<Item = TensorId> + 'a {
    let inputs = ops::row(node.op.builtin()).map_or(&[][..], |row| row.steers);
    let known = |id: &TensorId| facts.tensor(*id).is_some_and(|t| t.constant.is_some());
    inputs.iter().filter_map(|&i| node.input(i)).filter(move |id| !known(id))
}

/// Nodes of a set whose steering values the set's own kernels compute: a partition with them could never be prepared.
/// The partitions of [`super::assign`] have none; a host that forms larger ones has to leave such nodes out.
pub fn unsteerable(graph: &Graph, facts: &Facts, nodes: &[NodeId]) -> Vec<NodeId> {
    let inside = || nodes.iter().filter_map(|id| Some((*id, graph.nodes.get(id.index())?)));
    let outputs =
        |(_, node): (NodeId, &'_ Node)| node.outputs.iter().flatten().map(|id| id.index()).collect::<Vec<_>>();
    let made: BTreeMap<usize, &Node> =
        inside().flat_map(|(id, node)| outputs((id, node)).into_iter().map(move |output| (output, node))).collect();
    inside()
        .filter(|(_, node)| !follows_from_outside(graph, facts, &made, steers(facts, node)))
        .map(|(id, _)| id)
        .collect()
}

/// Whether values follow from those outside a set, by integers alone.
fn follows_from_outside(
    graph: &Graph,
    facts: &Facts,
    made: &BTreeMap<usize, &Node>,
    values: impl Iterator<Item = TensorId>,
) -> bool {
    let mut open: Vec<TensorId> = values.collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        let known = facts.tensor(id).is_some_and(|tensor| tensor.constant.is_some());
        let Some(node) = made.get(&id.index()).filter(|_| !known) else { continue };
        if follows_from_shapes(node) || !seen.insert(id) {
            continue;
        }
        let dtype = graph.tensors.get(id.index()).map(|tensor| tensor.dtype);
        if !dtype.is_some_and(|dtype| dtype.is_integer() || dtype == DType::Bool) {
            return false;
        }
        open.extend(node.inputs.iter().flatten());
    }
    true
}

/// Tensors from outside whose values a partition of these nodes must know when it is prepared.
pub fn steering(graph: &Graph, facts: &Facts, nodes: &[NodeId]) -> Vec<TensorId> {
    let mut made: BTreeMap<TensorId, &Node> = BTreeMap::new();
    let mut wanted = Vec::new();
    for node in nodes.iter().filter_map(|id| graph.nodes.get(id.index())) {
        made.extend(node.outputs.iter().flatten().map(|&id| (id, node)));
        wanted.extend(steers(facts, node));
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    while let Some(id) = wanted.pop() {
        if !seen.insert(id) {
            continue;
        }
        match made.get(&id) {
            Some(node) if follows_from_shapes(node) => {}
            Some(node) => wanted.extend(node.inputs.iter().flatten()),
            None if graph.tensors.get(id.index()).is_some_and(|t| t.data == Data::Computed) => found.push(id),
            None => {}
        }
    }
    found
}
