//! The order in which nodes and partitions of a subgraph run, and which tensors are needed no longer after each.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use tflite_wgpu_model::{Data, Graph, Node, NodeId, Op, TensorId};

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

    /// Pairs of groups whose order must be kept.
    fn edges(&self, graph: &Graph) -> BTreeSet<(usize, usize)> {
        let group = |node: usize| self.of_node.get(node).copied();
        let pairs = dependencies(graph)
            .into_iter()
            .enumerate()
            .flat_map(|(node, needs)| needs.into_iter().filter_map(move |before| Some((group(before)?, group(node)?))));
        pairs.filter(|(before, after)| before != after).collect()
    }
}

/// For each node the earlier nodes (by position) that must have run before it: writers of what it reads, readers and
/// writers of what it writes, and those with effects outside their tensors that must not change places with its own.
pub fn dependencies(graph: &Graph) -> Vec<BTreeSet<usize>> {
    let mut writer: BTreeMap<TensorId, usize> = BTreeMap::new();
    let mut readers: BTreeMap<TensorId, Vec<usize>> = BTreeMap::new();
    let mut effects = Effects::default();
    let mut all = Vec::with_capacity(graph.nodes.len());
    for (n, node) in graph.nodes.iter().enumerate() {
        let mut needs = BTreeSet::new();
        effects.order(graph, &writer, n, &mut needs);
        for id in node.inputs.iter().copied().flatten() {
            needs.extend(writer.get(&id));
            readers.entry(id).or_default().push(n);
        }
        for id in written(graph, node) {
            needs.extend(writer.insert(id, n));
            needs.extend(readers.remove(&id).into_iter().flatten());
        }
        needs.remove(&n);
        all.push(needs);
    }
    all
}

/// The last node that touched each variable (container, name), and the last one of unknown effect.
#[derive(Default)]
struct Effects<'g> {
    barrier: Option<usize>,
    variables: BTreeMap<(&'g str, &'g str), usize>,
}

impl<'g> Effects<'g> {
    /// Adds what node `n` must wait for. Reading and assigning one variable keep their order; another variable's do not
    /// matter. Everything else that has an effect keeps its place among all.
    fn order(&mut self, graph: &'g Graph, writer: &BTreeMap<TensorId, usize>, n: usize, needs: &mut BTreeSet<usize>) {
        let Some(node) = graph.nodes.get(n).filter(|node| has_side_effect(node)) else { return };
        let variable = || {
            let handle = graph.nodes.get(*writer.get(&node.input(0)?)?)?;
            let Op::VarHandle(options) = &handle.op else { return None };
            Some((options.container.as_str(), options.shared_name.as_str()))
        };
        match node.op {
            Op::VarHandle(_) => {}
            Op::ReadVariable | Op::AssignVariable if variable().is_some() => {
                needs.extend(self.barrier);
                needs.extend(variable().and_then(|variable| self.variables.insert(variable, n)));
            }
            _ => {
                needs.extend(std::mem::take(&mut self.variables).into_values());
                needs.extend(self.barrier.replace(n));
            }
        }
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

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, VarHandleOptions};

    use super::*;

    /// VAR_HANDLE a, VAR_HANDLE b, READ a, ASSIGN a, READ b, then `last`.
    fn needs(last: &dyn Fn(&mut GraphBuilder, [TensorId; 2])) -> Vec<Vec<usize>> {
        let mut graph = GraphBuilder::new();
        let x = graph.input("x", DType::Float32, &[2]);
        let handle = |name: &str| VarHandleOptions { container: String::new(), shared_name: name.to_owned() };
        let handles =
            ["a", "b"].map(|name| graph.op(Op::VarHandle(handle(name)), &[], &[(name, DType::Resource, &[1])]));
        graph.op(Op::ReadVariable, &[Some(handles[0])], &[("old", DType::Float32, &[2])]);
        graph.op(Op::AssignVariable, &[Some(handles[0]), Some(x)], &[]);
        graph.op(Op::ReadVariable, &[Some(handles[1])], &[("other", DType::Float32, &[2])]);
        last(&mut graph, handles);
        let program = ModelBuilder::new().subgraph(graph).program();
        program.subgraphs.first().map(dependencies).unwrap_or_default().into_iter().map(Vec::from_iter).collect()
    }

    #[test]
    fn each_variable_keeps_its_own_order() {
        let needs = needs(&|graph, [a, b]| {
            graph.op(Op::ReadVariable, &[Some(a)], &[("new", DType::Float32, &[2])]);
            graph.op(Op::ReadVariable, &[Some(b)], &[("same", DType::Float32, &[2])]);
        });
        assert_eq!(needs, [vec![], vec![], vec![0], vec![0, 2], vec![1], vec![0, 3], vec![1, 4]]);
    }

    #[test]
    fn unknown_effects_keep_their_place() {
        let needs = needs(&|graph, [a, _]| {
            let id = graph.input("id", DType::Resource, &[1]);
            graph.op(Op::ReadVariable, &[Some(id)], &[("unknown", DType::Float32, &[2])]);
            graph.op(Op::ReadVariable, &[Some(a)], &[("new", DType::Float32, &[2])]);
        });
        assert_eq!(needs, [vec![], vec![], vec![0], vec![0, 2], vec![1], vec![3, 4], vec![0, 5]]);
    }
}
