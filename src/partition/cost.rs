//! Whether a partition is worth its way to the GPU (`device=auto`).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tflite_wgpu_fallback::Partition;
use tflite_wgpu_model::{BuiltinOperator, Graph, Node, NodeId, SubgraphId, TensorId};

use super::Assignment;
use crate::{ops::Facts, reason::Reason};

/// What an adapter, the way to it and the reference kernels do in a millisecond; see [`crate::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Multiply-adds on the GPU per millisecond.
    pub gpu_macs: f64,
    /// Bytes of tensors that GPU kernels read and write per millisecond.
    pub gpu_bytes: f64,
    /// Milliseconds of one more dispatch.
    pub dispatch_ms: f64,
    /// Milliseconds from submitting next to nothing to its result on the host.
    pub round_trip_ms: f64,
    /// Bytes per millisecond between host and device.
    pub link_bytes: f64,
    /// Multiply-adds of the CPU's kernels per millisecond.
    pub cpu_macs: f64,
    /// Bytes of tensors that the CPU's kernels read and write per millisecond.
    pub cpu_bytes: f64,
}

/// What nodes have to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Multiply-adds.
    pub macs: f64,
    /// Bytes of the tensors read and written, as 32-bit elements.
    pub bytes: f64,
    /// Nodes that are a dispatch.
    pub dispatches: f64,
}

impl Work {
    /// Estimated milliseconds on the GPU, transfers aside.
    pub fn gpu_ms(&self, rates: &Rates) -> f64 {
        (self.macs / rates.gpu_macs).max(self.bytes / rates.gpu_bytes) + self.dispatches * rates.dispatch_ms
    }

    /// Estimated milliseconds on the CPU.
    pub fn cpu_ms(&self, rates: &Rates) -> f64 {
        self.macs / rates.cpu_macs + self.bytes / rates.cpu_bytes
    }

    fn plus(self, other: Self) -> Self {
        Self {
            macs: self.macs + other.macs,
            bytes: self.bytes + other.bytes,
            dispatches: self.dispatches + other.dispatches,
        }
    }
}

/// What one node has to do; nothing if its results are constants or its shapes unknown.
pub fn work(node: &Node, facts: &Facts) -> Work {
    let is_constant = |id: &TensorId| facts.tensor(*id).is_some_and(|fact| fact.constant.is_some());
    if node.outputs.iter().flatten().all(is_constant) {
        return Work::default();
    }
    let elements = node.inputs.iter().chain(&node.outputs).flatten().map(|id| count(facts, Some(*id))).sum::<f64>();
    match node.op.builtin() {
        // The same memory under another shape.
        BuiltinOperator::Reshape | BuiltinOperator::Squeeze | BuiltinOperator::ExpandDims => Work::default(),
        _ => Work { macs: macs(node, facts), bytes: elements * 4.0, dispatches: 1.0 },
    }
}

fn dims(facts: &Facts, id: Option<TensorId>) -> &[usize] {
    id.and_then(|id| facts.tensor(id)).and_then(|fact| fact.dims.as_deref()).unwrap_or_default()
}

fn count(facts: &Facts, id: Option<TensorId>) -> f64 {
    dims(facts, id).iter().map(|&d| d as f64).product()
}

fn macs(node: &Node, facts: &Facts) -> f64 {
    use BuiltinOperator as B;
    let output = || count(facts, node.output(0));
    // Elements of a filter for each of the channels of one of its dimensions.
    let taps = |channels: usize| {
        let size = dims(facts, node.input(1)).get(channels).map_or(1.0, |&d| d as f64);
        count(facts, node.input(1)) / size.max(1.0)
    };
    match node.op.builtin() {
        B::Conv2d | B::FullyConnected => output() * taps(0),
        B::DepthwiseConv2d => output() * taps(3),
        B::Conv3d => output() * taps(4),
        // Every element of the input meets the filters of all outputs.
        B::TransposeConv => count(facts, node.input(2)) * taps(3),
        B::BatchMatmul => output() * dims(facts, node.input(0)).last().map_or(1.0, |&d| d as f64),
        _ => 0.0,
    }
}

/// Gives partitions that would be slower on the adapter back to the CPU.
pub fn apply(graph: &Graph, subgraph: SubgraphId, facts: &Facts, rates: &Rates, assignment: &mut Assignment) {
    let host = host_tensors(graph, assignment);
    let mut kept = Vec::new();
    for nodes in std::mem::take(&mut assignment.partitions) {
        let work = nodes.iter().filter_map(|id| graph.nodes.get(id.index())).map(|node| work(node, facts));
        let work = work.fold(Work::default(), Work::plus);
        let (gpu_ms, cpu_ms) = (work.gpu_ms(rates), work.cpu_ms(rates));
        let transfer_ms = transfer_ms(graph, subgraph, &nodes, facts, rates, &host);
        if gpu_ms + transfer_ms <= cpu_ms {
            kept.push(nodes);
            continue;
        }
        let [gpu_ms, cpu_ms, transfer_ms] = [gpu_ms, cpu_ms, transfer_ms].map(|ms| ms as f32);
        assignment.reasons.extend(nodes.iter().map(|id| (*id, Reason::Cost { gpu_ms, cpu_ms, transfer_ms })));
    }
    assignment.partitions = kept;
}

/// Gives everything back: a software adapter shares the CPU with the reference kernels, and adds transfers and
/// compilation to the same arithmetic.
pub fn leave_to_cpu(assignment: &mut Assignment) {
    for id in assignment.partitions.drain(..).flatten() {
        assignment.reasons.insert(id, Reason::SoftwareAdapter);
    }
}

/// Tensors that the host writes or reads: inputs and outputs of the subgraph, and what nodes on the CPU touch.
fn host_tensors(graph: &Graph, assignment: &Assignment) -> HashSet<TensorId> {
    let claimed: HashSet<NodeId> = assignment.partitions.iter().flatten().copied().collect();
    let on_cpu = (0..).map(NodeId).zip(&graph.nodes).filter(|(id, _)| !claimed.contains(id));
    let touched = on_cpu.flat_map(|(_, node)| node.inputs.iter().chain(&node.outputs).flatten());
    touched.chain(&graph.inputs).chain(&graph.outputs).copied().collect()
}

/// Milliseconds of a partition's transfers. Tensors that go from one partition to another stay on the device.
fn transfer_ms(
    graph: &Graph,
    subgraph: SubgraphId,
    nodes: &[NodeId],
    facts: &Facts,
    rates: &Rates,
    host: &HashSet<TensorId>,
) -> f64 {
    let partition = Partition::from_nodes(graph, subgraph, nodes);
    let crosses = |id: &&TensorId| host.contains(id) && facts.tensor(**id).is_none_or(|fact| fact.constant.is_none());
    let elements = |ids: &[TensorId]| ids.iter().filter(crosses).map(|id| count(facts, Some(*id))).sum::<f64>();
    let read_back = elements(&partition.outputs);
    let bytes = 4.0 * (elements(&partition.inputs) + read_back);
    bytes / rates.link_bytes + if read_back > 0.0 { rates.round_trip_ms } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_fallback::Model;
    use tflite_wgpu_model::{AddOptions, Conv2DOptions, DType, GraphBuilder, ModelBuilder, Op, Padding};

    use super::*;
    use crate::{annotate::annotate, options::DelegateOptions, partition::assign};

    const F: DType = DType::Float32;

    /// A GPU that computes a hundred times as fast as the CPU, 0.2 ms away.
    const RATES: Rates = Rates {
        gpu_macs: 1e9,
        gpu_bytes: 1e8,
        dispatch_ms: 0.005,
        round_trip_ms: 0.2,
        link_bytes: 5e6,
        cpu_macs: 1e7,
        cpu_bytes: 1e7,
    };

    /// A convolution of 56 × 56 × `channels`, or an addition of as many elements.
    fn assigned(channels: usize, conv: bool, rates: &Rates) -> Result<Assignment, Box<dyn std::error::Error>> {
        let dims = [1, 56, 56, channels];
        let mut graph = GraphBuilder::new();
        let x = graph.input("x", F, &dims);
        let y = if conv {
            let filter = graph.constant_f32("filter", &[channels, 3, 3, channels], &vec![1.0; channels * channels * 9]);
            let options =
                Conv2DOptions { padding: Padding::Same, stride_h: 1, stride_w: 1, ..Conv2DOptions::default() };
            graph.op(Op::Conv2d(options), &[Some(x), Some(filter)], &[("y", F, &dims)])
        } else {
            graph.op(Op::Add(AddOptions::default()), &[Some(x), Some(x)], &[("y", F, &dims)])
        };
        graph.output(y);
        let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
        let facts = annotate(&model, SubgraphId(0), &|_| None).ok_or("no subgraph")?;
        let graph = model.program().graph(SubgraphId(0)).ok_or("no subgraph")?;
        let mut assignment = assign(graph, &facts, &DelegateOptions::default(), usize::MAX);
        assert_eq!(assignment.partitions, [[NodeId(0)]]);
        apply(graph, SubgraphId(0), &facts, rates, &mut assignment);
        Ok(assignment)
    }

    #[test]
    fn arithmetic_is_worth_the_way() -> Result<(), Box<dyn std::error::Error>> {
        assert_eq!(assigned(32, true, &RATES)?.partitions.len(), 1);
        let near = Rates { cpu_macs: 1e9, ..RATES };
        assert_eq!(assigned(32, true, &near)?.partitions.len(), 0, "a CPU as fast as the GPU");
        Ok(())
    }

    #[test]
    fn an_addition_is_not_and_says_why() -> Result<(), Box<dyn std::error::Error>> {
        let assignment = assigned(32, false, &RATES)?;
        let Some(Reason::Cost { gpu_ms, cpu_ms, transfer_ms }) = assignment.reasons.get(&NodeId(0)) else {
            return Err(format!("{assignment:?}").into());
        };
        // 100,352 elements in and out, three times as many touched.
        let expected = [0.005 + 1.204_224e6 / 1e8, 1.204_224e6 / 1e7, 0.2 + 802_816.0 / 5e6];
        for (found, expected) in [gpu_ms, cpu_ms, transfer_ms].into_iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found}, expected {expected}");
        }
        Ok(())
    }
}
