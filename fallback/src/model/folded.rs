//! Nodes whose inputs are all constants, such as the DEQUANTIZE of float16 weights: they are computed once per model.

use std::collections::HashMap;

use tflite_wgpu_model::{Data, Graph, Node, NodeId, Op, Program, SubgraphId, TensorId};

use super::Model;
use crate::{
    error::{Error, TensorAt},
    eval::EvalEnv,
    memory::Shared,
    node::run_alone,
    value::Value,
};

/// Longest chain of folded nodes. A chain is followed back from its end, by calls, and a tensor that a node reads twice
/// twice; chains of weights have three nodes or so.
const MAX_DEPTH: usize = 8;

/// Which nodes of a subgraph are folded.
#[derive(Debug, Default)]
pub(super) struct Folded {
    nodes: Vec<bool>,
    /// Node that makes a folded tensor, and the length of the chain that ends there.
    makers: HashMap<TensorId, (NodeId, usize)>,
}

impl Folded {
    pub(super) fn of(graph: &Graph) -> Self {
        let mut folded = Self { nodes: vec![false; graph.nodes.len()], makers: HashMap::new() };
        let mut writers: HashMap<TensorId, usize> = HashMap::new();
        for output in graph.nodes.iter().flat_map(|node| &node.outputs).flatten() {
            *writers.entry(*output).or_default() += 1;
        }
        for (n, node) in graph.nodes.iter().enumerate() {
            // How many folded nodes are behind an input; `None` for one that is not constant.
            let depth = |id: &Option<TensorId>| {
                let id = id.as_ref()?;
                let made = folded.makers.get(id).map(|(_, depth)| *depth);
                made.or_else(|| matches!(graph.tensors.get(id.index())?.data, Data::Constant(_)).then_some(0))
            };
            let depths: Option<Vec<usize>> = node.inputs.iter().map(depth).collect();
            // A tensor that two nodes write is not folded: it could be made from itself.
            let single = |id: &Option<TensorId>| {
                let tensor = id.and_then(|id| graph.tensors.get(id.index()));
                tensor.is_some_and(|tensor| tensor.data == Data::Computed)
                    && !id.is_some_and(|id| graph.inputs.contains(&id) || writers.get(&id) != Some(&1))
            };
            let [output] = node.outputs.as_slice() else { continue };
            let depth = depths.and_then(|depths| depths.into_iter().max()).filter(|&depth| depth < MAX_DEPTH);
            let Some(depth) = depth.filter(|_| keeps_size(&node.op) && single(output)) else { continue };
            if let Some(place) = folded.nodes.get_mut(n) {
                *place = true;
            }
            folded.makers.extend(output.map(|output| (output, (NodeId::from_index(n), depth + 1))));
        }
        folded
    }

    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.nodes.get(node.index()).copied().unwrap_or(false)
    }

    pub(super) fn maker(&self, tensor: TensorId) -> Option<NodeId> {
        self.makers.get(&tensor).map(|(node, _)| *node)
    }
}

/// Operators without effects whose result is about as large as their inputs: no file can make a model large with them
/// that is small on disk.
fn keeps_size(op: &Op) -> bool {
    matches!(
        op,
        Op::Dequantize
            | Op::Densify
            | Op::Cast(_)
            | Op::Quantize
            | Op::Reshape(_)
            | Op::Squeeze(_)
            | Op::ExpandDims
            | Op::Transpose
            | Op::Abs
            | Op::Exp
            | Op::Log
            | Op::Neg
            | Op::Rsqrt
            | Op::Sqrt
            | Op::Square
    )
}

/// Runs a folded node on its constants.
///
/// # Errors
/// Those of the node, as if it had run in an invoke.
pub(super) fn evaluate(model: &Model, subgraph: SubgraphId, tensor: TensorId, id: NodeId) -> Result<Shared, Error> {
    let program: &Program = model.program();
    let missing = |tensor: TensorId| {
        let data = program.graph(subgraph).and_then(|graph| graph.tensors.get(tensor.index()));
        Error::NoValue { at: TensorAt::new(subgraph, tensor, data) }
    };
    let graph = program.graph(subgraph).ok_or_else(|| missing(tensor))?;
    let node: &Node = graph.nodes.get(id.index()).ok_or_else(|| missing(tensor))?;
    let mut held = Vec::with_capacity(node.inputs.len());
    for input in node.inputs.iter().flatten() {
        held.push(model.constant_once(subgraph, *input)?.ok_or_else(|| missing(*input))?);
    }
    let inputs: Vec<Option<&Value>> = held.iter().map(|value| Some(value.value())).collect();
    let env = EvalEnv { tensors: &graph.tensors, program: Some(program), ..EvalEnv::default() };
    let values = run_alone(subgraph, Some(id), node, env, &inputs)?;
    values.into_iter().next().map(Shared::uncounted).ok_or_else(|| missing(tensor))
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, TensorId};

    use super::*;
    use crate::Interpreter;

    /// What a subgraph gives whose output is the last tensor.
    fn output(mut graph: GraphBuilder, last: TensorId) -> Result<Vec<i32>, Box<dyn std::error::Error>> {
        graph.output(last);
        let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
        let mut interpreter = Interpreter::builder(&model).build()?;
        interpreter.invoke()?;
        Ok(interpreter.output(0)?.as_slice::<i32>()?.to_vec())
    }

    #[test]
    fn long_chains_are_not_folded_at_once() -> Result<(), Box<dyn std::error::Error>> {
        let mut graph = GraphBuilder::new();
        let mut last = graph.constant_i32("one", &[1], &[1]);
        for _ in 0..5000 {
            let inputs = [Some(last), Some(last)];
            last = graph.op(Op::Reshape(Default::default()), &inputs, &[("same", DType::Int32, &[1])]);
        }
        assert_eq!(output(graph, last)?, [1]);
        Ok(())
    }

    #[test]
    fn tensors_made_from_themselves_are_not_folded() -> Result<(), Box<dyn std::error::Error>> {
        let mut graph = GraphBuilder::new();
        let one = graph.constant_i32("one", &[1], &[1]);
        let minus = graph.op(Op::Neg, &[Some(one)], &[("minus", DType::Int32, &[1])]);
        graph.node(Node {
            op: Op::Neg,
            version: 1,
            inputs: vec![Some(minus)],
            outputs: vec![Some(minus)],
            intermediates: vec![],
        });
        assert_eq!(output(graph, minus)?, [1]);
        Ok(())
    }
}
