//! The order in which nodes and partitions of a subgraph run, and which tensors are needed no longer after each.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use tflite_wgpu_model::{Data, Graph, Node, NodeId, TensorId};

use crate::{delegate::Partition, model::has_side_effect};

/// What runs at one place of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A node on the CPU.
    Node(NodeId),
    /// A delegate's partition, by its position among all of the delegate's.
    Partition(usize),
}

/// One place of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) item: Item,
    /// Tensors that nothing reads after this step.
    pub(crate) frees: Vec<TensorId>,
}

/// What is wrong with a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScheduleError {
    pub(crate) partition: usize,
    pub(crate) found: String,
    pub(crate) expected: String,
}

/// Orders a subgraph. Without partitions this is the file's order; a partition stands where its inputs are ready.
/// `partitions` are those of this subgraph, each with its position among all.
pub(crate) fn schedule(graph: &Graph, partitions: &[(usize, &Partition)]) -> Result<Vec<Step>, ScheduleError> {
    let groups = Groups::new(graph, partitions)?;
    let order = groups.order(graph)?;
    Ok(with_frees(graph, partitions, order))
}

/// Nodes that run together: a partition's, or one by itself.
struct Groups<'a> {
    partitions: &'a [(usize, &'a Partition)],
    /// Group of each node: partitions first, in their order, then single nodes.
    of_node: Vec<usize>,
    items: Vec<Item>,
    /// First node of each group; orders groups that could run at the same time.
    first: Vec<usize>,
}

impl<'a> Groups<'a> {
    fn new(graph: &Graph, partitions: &'a [(usize, &'a Partition)]) -> Result<Self, ScheduleError> {
        let mut of_node = vec![None; graph.nodes.len()];
        let mut items = Vec::new();
        let mut first = Vec::new();
        for &(partition, data) in partitions {
            let error = |found: String, expected: &str| ScheduleError { partition, found, expected: expected.into() };
            for &node in &data.nodes {
                match of_node.get_mut(node.index()) {
                    Some(group @ None) => *group = Some(items.len()),
                    Some(_) => return Err(error(format!("node {node}"), "each node once")),
                    None => return Err(error(format!("node {node}"), "nodes of its subgraph")),
                }
            }
            let Some(start) = data.nodes.iter().min() else {
                return Err(error("no nodes".into(), "at least one"));
            };
            check_tensors(graph, partition, data)?;
            first.push(start.index());
            items.push(Item::Partition(partition));
        }
        let mut single = |n: usize| {
            first.push(n);
            items.push(Item::Node(NodeId::from_index(n)));
            items.len() - 1
        };
        let of_node = of_node.into_iter().enumerate().map(|(n, group)| group.unwrap_or_else(|| single(n))).collect();
        Ok(Self { partitions, of_node, items, first })
    }

    fn order(&self, graph: &Graph) -> Result<Vec<Item>, ScheduleError> {
        let edges = self.edges(graph);
        let mut waiting = vec![0usize; self.items.len()];
        let mut next = vec![Vec::new(); self.items.len()];
        for (before, after) in edges {
            waiting[after] += 1;
            next[before].push(after);
        }
        let ready = (0..self.items.len()).filter(|&g| waiting[g] == 0).map(|g| Reverse((self.first[g], g)));
        let mut ready: BinaryHeap<_> = ready.collect();
        let mut order = Vec::with_capacity(self.items.len());
        while let Some(Reverse((_, group))) = ready.pop() {
            order.push(self.items[group]);
            for &after in &next[group] {
                waiting[after] -= 1;
                if waiting[after] == 0 {
                    ready.push(Reverse((self.first[after], after)));
                }
            }
        }
        if order.len() == self.items.len() {
            return Ok(order);
        }
        // The file's order has no cycle, so a partition is part of every one.
        let stuck = (0..self.partitions.len()).find(|&g| waiting[g] > 0).unwrap_or(0);
        Err(ScheduleError {
            partition: self.partitions.get(stuck).map_or(0, |(i, _)| *i),
            found: "a node outside between two of its nodes".into(),
            expected: "none".into(),
        })
    }

    /// Pairs of groups whose order must be kept: each reader after the writer before it, each writer after the
    /// readers and the writer before it, nodes with effects outside their tensors one after the other.
    fn edges(&self, graph: &Graph) -> BTreeSet<(usize, usize)> {
        let mut edges = BTreeSet::new();
        let mut writer: Vec<Option<usize>> = vec![None; graph.tensors.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.tensors.len()];
        let mut effect = None;
        for (n, node) in graph.nodes.iter().enumerate() {
            let group = self.of_node[n];
            let mut after = |before: Option<usize>| {
                if let Some(before) = before.filter(|&before| before != group) {
                    edges.insert((before, group));
                }
            };
            for &id in node.inputs.iter().flatten() {
                after(writer[id.index()]);
                readers[id.index()].push(group);
            }
            for id in written(graph, node) {
                after(writer[id.index()]);
                readers[id.index()].drain(..).for_each(|reader| after(Some(reader)));
                writer[id.index()] = Some(group);
            }
            if has_side_effect(node) {
                after(effect);
                effect = Some(group);
            }
        }
        edges
    }
}

/// Tensors that a node writes: its outputs, and states among its inputs.
fn written<'a>(graph: &'a Graph, node: &'a Node) -> impl Iterator<Item = TensorId> + 'a {
    let variable = |id: &TensorId| graph.tensors.get(id.index()).is_some_and(|t| t.data == Data::Variable);
    let states = node.inputs.iter().copied().flatten().filter(variable);
    node.outputs.iter().copied().flatten().chain(states)
}

/// A partition must name what its nodes read from outside and what others read of it.
fn check_tensors(graph: &Graph, partition: usize, data: &Partition) -> Result<(), ScheduleError> {
    let needed = Partition::from_nodes(graph, data.subgraph, &data.nodes);
    let missing = |what: &str, id: TensorId| {
        let found = format!("no {what} tensor {id}");
        Err(ScheduleError { partition, found, expected: "all that its nodes share with others".into() })
    };
    if let Some(&id) = needed.inputs.iter().find(|id| !data.inputs.contains(id)) {
        return missing("input", id);
    }
    if let Some(&id) = needed.outputs.iter().find(|id| !data.outputs.contains(id)) {
        return missing("output", id);
    }
    let made = |id: &TensorId| {
        let nodes = data.nodes.iter().filter_map(|n| graph.nodes.get(n.index()));
        nodes.flat_map(|node| &node.outputs).any(|output| *output == Some(*id))
    };
    if let Some(id) = data.outputs.iter().find(|id| !made(id)) {
        let found = format!("output tensor {id}");
        return Err(ScheduleError { partition, found, expected: "outputs of its nodes".into() });
    }
    let mut inputs = data.inputs.iter().chain(&data.shape_inputs);
    match inputs.find(|id| id.index() >= graph.tensors.len() || !data.inputs.contains(id)) {
        Some(id) => Err(ScheduleError {
            partition,
            found: format!("input tensor {id}"),
            expected: "tensors of its subgraph, shape inputs among the inputs".into(),
        }),
        None => Ok(()),
    }
}

fn with_frees(graph: &Graph, partitions: &[(usize, &Partition)], order: Vec<Item>) -> Vec<Step> {
    let mut last: Vec<Option<usize>> = vec![None; graph.tensors.len()];
    let touch = |nodes: &[NodeId], last: &mut Vec<Option<usize>>, step: usize| {
        for node in nodes.iter().filter_map(|n| graph.nodes.get(n.index())) {
            for id in node.inputs.iter().chain(&node.outputs).flatten() {
                last[id.index()] = Some(step);
            }
        }
    };
    for (step, item) in order.iter().enumerate() {
        match item {
            Item::Node(node) => touch(&[*node], &mut last, step),
            Item::Partition(index) => {
                let data = partitions.iter().find(|(i, _)| i == index);
                touch(data.map_or(&[], |(_, data)| &data.nodes), &mut last, step);
            }
        }
    }
    let mut steps: Vec<Step> = order.into_iter().map(|item| Step { item, frees: Vec::new() }).collect();
    for (i, (tensor, last)) in graph.tensors.iter().zip(last).enumerate() {
        let id = TensorId::from_index(i);
        let kept = tensor.data != Data::Computed || graph.outputs.contains(&id);
        if let Some(step) = last.filter(|_| !kept).and_then(|last| steps.get_mut(last)) {
            step.frees.push(id);
        }
    }
    steps
}
