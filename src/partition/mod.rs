//! Which nodes of the file run on the GPU, as convex sets.

pub mod cost;
mod region;

pub use region::{RegionError, build};

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tflite_wgpu_fallback::dependencies;
use tflite_wgpu_model::{DType, Data, Graph, Node, NodeId, TensorId};

use crate::{
    ops::{self, Facts, SupportCtx, TensorFacts},
    options::{DelegateOptions, Precision},
    reason::Reason,
    region::{Storage, Texels},
};

/// Where the nodes of a subgraph run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    /// Node sets of the GPU, each convex, in an order of execution.
    pub partitions: Vec<Vec<NodeId>>,
    /// Why each other node is on the CPU.
    pub reasons: BTreeMap<NodeId, Reason>,
}

/// What a node is to the partitioner.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Gpu,
    Cpu(Reason),
    /// Its outputs are constants: it is computed when a partition that reads it is prepared.
    Folded,
}

/// Assigns the nodes of a subgraph to a device whose tensors may have `max_bytes`.
pub fn assign(graph: &Graph, facts: &Facts, options: &DelegateOptions, max_bytes: usize) -> Assignment {
    let mut kinds: Vec<Kind> = (0..)
        .zip(&graph.nodes)
        .map(|(i, node)| match check(graph, node, NodeId(i), facts, options, max_bytes) {
            Ok(true) => Kind::Folded,
            Ok(false) => Kind::Gpu,
            Err(reason) => Kind::Cpu(reason),
        })
        .collect();
    let mut sets = epochs(graph, &kinds);
    drop_small(&mut sets, &mut kinds, options);
    let folded = claim_folded(graph, &kinds, &sets);
    let mut assignment = Assignment::default();
    for (set, extra) in sets.into_iter().zip(folded) {
        let mut nodes: Vec<NodeId> = set.into_iter().chain(extra).collect();
        nodes.sort_unstable();
        assignment.partitions.push(nodes);
    }
    let claimed: HashSet<NodeId> = assignment.partitions.iter().flatten().copied().collect();
    for (i, kind) in kinds.into_iter().enumerate() {
        let id = NodeId::from_index(i);
        match kind {
            Kind::Cpu(reason) => drop(assignment.reasons.insert(id, reason)),
            _ if claimed.contains(&id) => {}
            // A constant that the CPU or the caller reads, or that nobody does.
            _ => drop(assignment.reasons.insert(id, Reason::HostOwned)),
        }
    }
    assignment
}

/// Whether a node can run on the GPU; `true` when it is folded into a constant.
fn check(
    graph: &Graph,
    node: &Node,
    id: NodeId,
    facts: &Facts,
    options: &DelegateOptions,
    max_bytes: usize,
) -> Result<bool, Reason> {
    options.allows(id, node)?;
    let mut outputs = node.outputs.iter().flatten().peekable();
    if outputs.peek().is_some() && outputs.all(|id| facts.tensor(*id).is_some_and(|t| t.constant.is_some())) {
        return Ok(true);
    }
    let row = ops::row(node.op.builtin()).ok_or(Reason::UnsupportedOperator)?;
    for id in node.inputs.iter().chain(&node.outputs).flatten() {
        let tensor = facts.tensor(*id).ok_or(Reason::DynamicShape)?;
        let dims = tensor.dims.as_deref().ok_or(Reason::DynamicShape)?;
        let count = tflite_wgpu_model::element_count(dims).ok_or(Reason::DynamicShape)?;
        // Constants without elements steer: no axes, the shape of a scalar.
        if count == 0 && tensor.constant.is_none() {
            return Err(Reason::ZeroSize);
        }
        let bytes = tensor_bytes(tensor, dims, options.precision);
        if bytes > max_bytes {
            return Err(Reason::TooLarge { what: "tensor", found: bytes as u64, limit: max_bytes as u64 });
        }
        if matches!(graph.tensors.get(id.index()).map(|t| &t.data), Some(Data::Variable)) {
            return Err(Reason::HostOwned);
        }
    }
    (row.support)(&SupportCtx { node, facts })?;
    Ok(false)
}

/// Bytes that a tensor takes on the device at least; of a constant without its padding, which its kernel decides on.
fn tensor_bytes(tensor: &TensorFacts, dims: &[usize], precision: Precision) -> usize {
    let is_float = matches!(tensor.dtype, DType::Float32 | DType::Float16 | DType::BFloat16 | DType::Float64);
    let storage = match (is_float, precision) {
        (true, Precision::F32) => Storage::F32,
        (true, _) => Storage::F16,
        (false, _) => Storage::I32,
    };
    let texels = Texels::of(dims);
    match &tensor.constant {
        None => texels.count().saturating_mul(storage.texel_bytes()),
        // Whole numbers among the constants are mostly small weights, or attributes.
        Some(_) if !is_float => 0,
        Some(_) => texels.rows.saturating_mul(texels.channels).saturating_mul(storage.texel_bytes() / 4),
    }
}

/// The node that computes each tensor.
fn producers(graph: &Graph) -> BTreeMap<TensorId, usize> {
    let outputs = |(i, node): (usize, &Node)| node.outputs.iter().flatten().map(move |id| (*id, i)).collect::<Vec<_>>();
    graph.nodes.iter().enumerate().flat_map(outputs).collect()
}

/// Groups GPU nodes into convex sets: alternately all nodes that are ready on one side, then on the other. Folded
/// nodes are ready from the start.
fn epochs(graph: &Graph, kinds: &[Kind]) -> Vec<Vec<NodeId>> {
    let needs = dependencies(graph);
    let mut done: Vec<bool> = kinds.iter().map(|kind| *kind == Kind::Folded).collect();
    let mut sets = Vec::new();
    let mut gpu = false;
    let mut idle = 0;
    while idle < 2 {
        let mut set = Vec::new();
        // The file's order is an order of execution, so one walk finds everything that becomes ready.
        for (i, kind) in kinds.iter().enumerate() {
            let ready = |needs: &BTreeSet<usize>| needs.iter().all(|n| done.get(*n).copied().unwrap_or(true));
            let waiting = !done.get(i).copied().unwrap_or(true);
            if waiting && (*kind == Kind::Gpu) == gpu && needs.get(i).is_some_and(ready) {
                if let Some(flag) = done.get_mut(i) {
                    *flag = true;
                }
                set.push(NodeId::from_index(i));
            }
        }
        idle = if set.is_empty() { idle + 1 } else { 0 };
        if gpu && !set.is_empty() {
            sets.push(set);
        }
        gpu = !gpu;
    }
    sets
}

/// Gives partitions back to the CPU that the options do not want.
fn drop_small(sets: &mut Vec<Vec<NodeId>>, kinds: &mut [Kind], options: &DelegateOptions) {
    let mut order: Vec<usize> = (0..sets.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(sets.get(i).map_or(0, Vec::len)));
    let keep: BTreeSet<usize> = order
        .into_iter()
        .take(options.max_delegated_partitions.unwrap_or(usize::MAX))
        .filter(|&i| sets.get(i).is_some_and(|set| set.len() >= options.min_nodes_per_partition))
        .collect();
    let mut position = 0;
    sets.retain(|set| {
        let kept = keep.contains(&position);
        position += 1;
        if !kept {
            for id in set {
                if let Some(kind) = kinds.get_mut(id.index()) {
                    *kind = Kind::Cpu(Reason::SmallPartition { nodes: set.len() });
                }
            }
        }
        kept
    });
}

/// Folded nodes that each partition computes for itself: those all of whose readers are in it, or folded into it.
fn claim_folded(graph: &Graph, kinds: &[Kind], sets: &[Vec<NodeId>]) -> Vec<Vec<NodeId>> {
    let mut home: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    for (partition, set) in sets.iter().enumerate() {
        for id in set {
            if let Some(entry) = home.get_mut(id.index()) {
                *entry = Some(partition);
            }
        }
    }
    let mut readers: BTreeMap<TensorId, Vec<usize>> = BTreeMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        for id in node.inputs.iter().flatten() {
            readers.entry(*id).or_default().push(i);
        }
    }
    let producers = producers(graph);
    let mut folded = vec![Vec::new(); sets.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if kinds.get(i) != Some(&Kind::Folded) || node.outputs.iter().flatten().any(|id| graph.outputs.contains(id)) {
            continue;
        }
        let of_shapes = |id: &TensorId| producers.get(id).is_some_and(|&p| kinds.get(p) != Some(&Kind::Folded));
        if node.inputs.iter().flatten().any(of_shapes) {
            // SHAPE of what a node computes: in a partition it would tie that node to the readers of the shape, and the
            // partition might no longer be convex. Whoever runs it, the partition knows its value.
            continue;
        }
        let users = node.outputs.iter().flatten().filter_map(|id| readers.get(id)).flatten();
        let homes: Option<BTreeSet<usize>> = users.map(|&user| home.get(user).copied().flatten()).collect();
        // Partitions beyond the first know the value as a constant, too.
        if let Some(&first) = homes.as_ref().and_then(BTreeSet::first) {
            if let Some(entry) = home.get_mut(i) {
                *entry = Some(first);
            }
            if let Some(nodes) = folded.get_mut(first) {
                nodes.push(NodeId::from_index(i));
            }
        }
    }
    folded
}
