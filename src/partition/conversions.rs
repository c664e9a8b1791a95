//! Partitions that compute nothing, only turn floats into integers, or back, or move integers for kernels of the CPU: their
//! values would cross to the device and back for that.

use std::collections::{BTreeMap, HashSet};

use tflite_wgpu_model::{BuiltinOperator, DType, Graph, Node, NodeId, TensorId};

use super::Kind;
use crate::reason::Reason;

/// Gives such partitions to the CPU.
pub(super) fn leave_out(
    graph: &Graph,
    kinds: &mut [Kind],
    producer: &BTreeMap<TensorId, usize>,
    sets: &mut Vec<Vec<NodeId>>,
) {
    let on_cpu = |i: &usize| matches!(kinds.get(*i), Some(Kind::Cpu(_)));
    let nodes = graph.nodes.iter().enumerate().filter(|(i, _)| on_cpu(i));
    let read: HashSet<TensorId> = nodes.flat_map(|(_, node)| node.inputs.iter().copied().flatten()).collect();
    let serves = |node: &Node| {
        let mut sources = node.inputs.iter().flatten().filter_map(|id| producer.get(id));
        sources.any(on_cpu) || node.outputs.iter().flatten().any(|id| read.contains(id))
    };
    let idle = |set: &mut Vec<NodeId>| {
        let nodes = || set.iter().filter_map(|id| graph.nodes.get(id.index()));
        nodes().all(|node| computes_nothing(graph, node)) && nodes().any(serves)
    };
    let left: Vec<NodeId> = sets.extract_if(.., idle).flatten().collect();
    for id in left {
        if let Some(kind) = kinds.get_mut(id.index()) {
            *kind = Kind::Cpu(Reason::Conversion);
        }
    }
}

/// Whether a node converts between floats and integers, or moves integers.
fn computes_nothing(graph: &Graph, node: &Node) -> bool {
    use BuiltinOperator as B;
    let of_bytes =
        |id: &TensorId| graph.tensors.get(id.index()).is_some_and(|t| matches!(t.dtype, DType::Int8 | DType::UInt8));
    match node.op.builtin() {
        B::Quantize | B::Dequantize => true,
        B::Concatenation
        | B::Reshape
        | B::Squeeze
        | B::ExpandDims
        | B::Transpose
        | B::Pack
        | B::Unpack
        | B::Pad
        | B::Padv2
        | B::MirrorPad
        | B::Slice
        | B::StridedSlice
        | B::Split
        | B::SplitV
        | B::Gather
        | B::Tile => node.outputs.iter().flatten().all(of_bytes),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_fallback::Model;
    use tflite_wgpu_model::{AddOptions, DType, GraphBuilder, ModelBuilder, NodeId, Op, ReshapeOptions, SubgraphId};

    use crate::{annotate::annotate, options::DelegateOptions, partition::assign, reason::Reason};

    const DIMS: [usize; 2] = [1, 4];

    type Nodes = Vec<NodeId>;

    /// Partitions, and nodes that are left out for being conversions, of QUANTIZE, DEQUANTIZE and what stands before,
    /// between and behind them.
    fn assigned(ops: [Option<Op>; 3]) -> Result<(Vec<Nodes>, Nodes), Box<dyn std::error::Error>> {
        let [before, between, behind] = ops;
        let mut graph = GraphBuilder::new();
        let mut x = graph.input("x", DType::Float32, &DIMS);
        if let Some(op) = before {
            x = graph.op(op, &[Some(x)], &[("before", DType::Float32, &DIMS)]);
        }
        x = graph.op(Op::Quantize, &[Some(x)], &[("q", DType::Int8, &DIMS)]);
        graph.quantize(x, 0.1, 0);
        if let Some(op) = between {
            x = graph.op(op, &[Some(x), Some(x)], &[("between", DType::Int8, &DIMS)]);
            graph.quantize(x, 0.1, 0);
        }
        x = graph.op(Op::Dequantize, &[Some(x)], &[("d", DType::Float32, &DIMS)]);
        if let Some(op) = behind {
            x = graph.op(op, &[Some(x)], &[("behind", DType::Float32, &DIMS)]);
        }
        graph.output(x);
        left_out(graph)
    }

    /// Partitions of a graph, and the nodes that are left out for computing nothing.
    fn left_out(graph: GraphBuilder) -> Result<(Vec<Nodes>, Nodes), Box<dyn std::error::Error>> {
        let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
        let facts = annotate(&model, SubgraphId(0), &|_| None).ok_or("no subgraph")?;
        let graph = model.program().graph(SubgraphId(0)).ok_or("no subgraph")?;
        let assignment = assign(graph, &facts, &DelegateOptions::default(), 1 << 20);
        let reasons = assignment.reasons.into_iter().filter(|(_, reason)| *reason == Reason::Conversion);
        Ok((assignment.partitions, reasons.map(|(id, _)| id).collect()))
    }

    #[test]
    fn conversions_for_the_cpu_alone_stay_there() -> Result<(), Box<dyn std::error::Error>> {
        let add = || Some(Op::Add(AddOptions::default()));
        let ids = |list: &[usize]| list.iter().map(|&i| NodeId::from_index(i)).collect::<Nodes>();
        // Before and behind an integer kernel, which is the CPU's.
        assert_eq!(assigned([None, add(), None])?, (vec![], ids(&[0, 2])));
        // With a float kernel beside it a conversion saves the device's values a type, and stays.
        assert_eq!(assigned([Some(Op::Exp), add(), None])?, (vec![ids(&[0, 1])], ids(&[3])));
        assert_eq!(assigned([None, add(), Some(Op::Exp)])?, (vec![ids(&[2, 3])], ids(&[0])));
        // Alone they serve nobody on the CPU.
        assert_eq!(assigned([None, None, None])?, (vec![ids(&[0, 1])], vec![]));
        Ok(())
    }

    #[test]
    fn bytes_that_are_moved_for_the_cpu_stay_there() -> Result<(), Box<dyn std::error::Error>> {
        let moved = |last: Option<Op>| {
            let mut graph = GraphBuilder::new();
            let x = graph.input("x", DType::Int8, &DIMS);
            graph.quantize(x, 0.1, 0);
            let shape = graph.constant_i32("shape", &[1], &[4]);
            let op = Op::Reshape(ReshapeOptions { new_shape: vec![4] });
            let mut y = graph.op(op, &[Some(x), Some(shape)], &[("y", DType::Int8, &[4])]);
            graph.quantize(y, 0.1, 0);
            if let Some(op) = last {
                y = graph.op(op, &[Some(y), Some(y)], &[("z", DType::Int8, &[4])]);
                graph.quantize(y, 0.1, 0);
            }
            graph.output(y);
            left_out(graph)
        };
        assert_eq!(moved(Some(Op::Add(AddOptions::default())))?, (vec![], vec![NodeId(0)]));
        assert_eq!(moved(None)?, (vec![vec![NodeId(0)]], vec![]));
        Ok(())
    }
}
