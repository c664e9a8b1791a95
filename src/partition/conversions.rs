//! Partitions that only turn floats into integers, or back, for kernels of the CPU: their values would cross to the device
//! and back for one operation per element.

use std::collections::{BTreeMap, HashSet};

use tflite_wgpu_model::{BuiltinOperator, Graph, Node, NodeId, TensorId};

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
    let converts = |node: &Node| matches!(node.op.builtin(), BuiltinOperator::Quantize | BuiltinOperator::Dequantize);
    let idle = |id: &NodeId| graph.nodes.get(id.index()).is_some_and(|node| converts(node) && serves(node));
    let left: Vec<NodeId> = sets.extract_if(.., |set| set.iter().all(idle)).flatten().collect();
    for id in left {
        if let Some(kind) = kinds.get_mut(id.index()) {
            *kind = Kind::Cpu(Reason::Conversion);
        }
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_fallback::Model;
    use tflite_wgpu_model::{AddOptions, DType, GraphBuilder, ModelBuilder, NodeId, Op, SubgraphId};

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
}
