//! Which nodes of the file run on the GPU, as convex sets.

mod border;
mod conversions;
pub mod cost;
mod late;
mod region;

pub use late::{steering, unsteerable};
pub use region::{RegionError, build};

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tflite_wgpu_fallback::dependencies;
use tflite_wgpu_model::{DType, Data, Graph, Node, NodeId, TensorId};

use late::Steering;

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
    /// On the GPU if the shapes allow it, which are known only when the values before it are: in partitions of their
    /// own, so that what is known beforehand never depends on them.
    Late,
    Cpu(Reason),
    /// Its outputs are constants: it is computed when a partition that reads it is prepared.
    Folded,
}

/// Assigns the nodes of a subgraph to a device whose tensors may have `max_bytes`.
pub fn assign(graph: &Graph, facts: &Facts, options: &DelegateOptions, max_bytes: usize) -> Assignment {
    let mut kinds: Vec<Kind> = (0..)
        .zip(&graph.nodes)
        .map(|(i, node)| match check(graph, node, NodeId(i), facts, options, max_bytes) {
            Ok(kind) => kind,
            Err(reason) => Kind::Cpu(reason),
        })
        .collect();
    let producer = graph.producers();
    border::leave_out(graph, facts, &mut kinds, &producer, max_bytes);
    let free = free_of_values(graph, &kinds, &producer);
    for (i, kind) in kinds.iter_mut().enumerate() {
        if *kind == Kind::Folded && !free.contains(&i) {
            // Known, but only in its turn: it joins the partition that its sources are in, or a later one.
            *kind = Kind::Gpu;
        }
    }
    let mut sets = epochs(graph, facts, &kinds, &producer);
    conversions::leave_out(graph, &mut kinds, &producer, &mut sets);
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
            _ => drop(assignment.reasons.insert(id, Reason::Constant)),
        }
    }
    assignment
}

/// What a node is to the partitioner; an error says why it runs on the CPU.
fn check(
    graph: &Graph,
    node: &Node,
    id: NodeId,
    facts: &Facts,
    options: &DelegateOptions,
    max_bytes: usize,
) -> Result<Kind, Reason> {
    options.allows(id, node)?;
    let known = |id: &TensorId| facts.tensor(*id).is_some_and(|t| t.constant.is_some());
    let empty = |id: &TensorId| known(id) && elements(facts, *id) == Some(0);
    let computed = |id: &TensorId| graph.tensors.get(id.index()).is_some_and(|t| t.data == Data::Computed);
    let mut outputs = node.outputs.iter().flatten().peekable();
    if outputs.peek().is_some() && outputs.all(known) {
        // Nothing is to be done for results without elements; other shapes of the inputs may change that.
        let resized = node.outputs.iter().flatten().all(empty) && node.inputs.iter().flatten().any(computed);
        return Ok(if resized && ops::has_kernel(node, facts) { Kind::Gpu } else { Kind::Folded });
    }
    let row = ops::row(node.op.builtin()).filter(|_| ops::has_kernel(node, facts));
    let row = row.ok_or(Reason::UnsupportedOperator)?;
    // A state may be read like any input; who writes it is not on the GPU.
    let is_variable = |id: &TensorId| matches!(graph.tensors.get(id.index()).map(|t| &t.data), Some(Data::Variable));
    if node.outputs.iter().flatten().any(is_variable) {
        return Err(Reason::HostOwned);
    }
    let mut late = false;
    for id in node.inputs.iter().chain(&node.outputs).flatten() {
        let tensor = facts.tensor(*id).ok_or(Reason::DynamicShape)?;
        let Some(dims) = tensor.dims.as_deref() else {
            late = true;
            continue;
        };
        elements(facts, *id).ok_or(Reason::DynamicShape)?;
        let bytes = tensor_bytes(tensor, dims, options.precision);
        if bytes > max_bytes {
            return Err(Reason::TooLarge { what: "tensor", found: bytes as u64, limit: max_bytes as u64 });
        }
    }
    match (row.support)(&SupportCtx { node, facts }) {
        Ok(()) if !late => Ok(Kind::Gpu),
        Ok(()) | Err(Reason::DynamicShape) => Ok(Kind::Late),
        Err(Reason::NotConstant { input }) if row.steers.contains(&input) => Ok(Kind::Late),
        Err(reason) => Err(reason),
    }
}

/// Elements of a tensor whose shape is known.
fn elements(facts: &Facts, id: TensorId) -> Option<usize> {
    tflite_wgpu_model::element_count(facts.tensor(id)?.dims.as_deref()?)
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

/// Groups GPU nodes into convex sets: in turns all nodes of one kind that are ready. Folded nodes are ready from the
/// start.
fn epochs(graph: &Graph, facts: &Facts, kinds: &[Kind], producer: &BTreeMap<TensorId, usize>) -> Vec<Vec<NodeId>> {
    let needs = dependencies(graph);
    let mut done: Vec<bool> = kinds.iter().map(|kind| *kind == Kind::Folded).collect();
    let mut sets = Vec::new();
    let mut idle = 0;
    for turn in [Turn::Cpu, Turn::Gpu, Turn::Late].into_iter().cycle() {
        let before = done.clone();
        let late = Steering { graph, facts, kinds, producer, before: &before };
        let mut set = Vec::new();
        // The file's order is an order of execution, so one walk finds everything that becomes ready.
        for (i, kind) in kinds.iter().enumerate() {
            let ready = |needs: &BTreeSet<usize>| needs.iter().all(|n| done.get(*n).copied().unwrap_or(true));
            let waiting = !done.get(i).copied().unwrap_or(true);
            if waiting
                && turn.takes(kind)
                && needs.get(i).is_some_and(ready)
                && (*kind != Kind::Late || late.is_ready(i))
            {
                if let Some(flag) = done.get_mut(i) {
                    *flag = true;
                }
                set.push(NodeId::from_index(i));
            }
        }
        idle = if set.is_empty() { idle + 1 } else { 0 };
        if turn != Turn::Cpu && !set.is_empty() {
            sets.push(set);
        }
        if idle == 3 {
            break;
        }
    }
    sets
}

/// Whose turn it is in [`epochs`].
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Cpu,
    Gpu,
    Late,
}

impl Turn {
    fn takes(self, kind: &Kind) -> bool {
        match kind {
            Kind::Gpu => self == Self::Gpu,
            Kind::Late => self == Self::Late,
            Kind::Cpu(_) | Kind::Folded => self == Self::Cpu,
        }
    }
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

/// Folded nodes that depend on other folded nodes alone. SHAPE of what a node computes, and what follows from it, must
/// keep its place after that node, as a host orders partitions by their tensors, known or not.
fn free_of_values(graph: &Graph, kinds: &[Kind], producers: &BTreeMap<TensorId, usize>) -> BTreeSet<usize> {
    let mut free = BTreeSet::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        let mut sources = node.inputs.iter().flatten().filter_map(|id| producers.get(id));
        if kinds.get(i) == Some(&Kind::Folded) && sources.all(|source| free.contains(source)) {
            free.insert(i);
        }
    }
    free
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
    let mut folded = vec![Vec::new(); sets.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if kinds.get(i) != Some(&Kind::Folded) || node.outputs.iter().flatten().any(|id| graph.outputs.contains(id)) {
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
