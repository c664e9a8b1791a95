//! Nodes whose inputs are all constants, such as the DEQUANTIZE of float16 weights: they are computed once per model.

use std::collections::HashMap;

use tflite_wgpu_model::{Data, Graph, Node, NodeId, Op, Program, SubgraphId, TensorId};

use super::Model;
use crate::{
    error::{Error, TensorAt},
    kernels::EvalEnv,
    memory::Shared,
    node::run_alone,
    value::Value,
};

/// Which nodes of a subgraph are folded.
#[derive(Debug, Default)]
pub(super) struct Folded {
    nodes: Vec<bool>,
    /// Node that makes a folded tensor.
    makers: HashMap<TensorId, NodeId>,
}

impl Folded {
    pub(super) fn of(graph: &Graph) -> Self {
        let mut folded = Self { nodes: vec![false; graph.nodes.len()], makers: HashMap::new() };
        for (n, node) in graph.nodes.iter().enumerate() {
            let constant = |id: &Option<TensorId>| {
                let Some(id) = id else { return false };
                let tensor = graph.tensors.get(id.index());
                folded.makers.contains_key(id) || tensor.is_some_and(|tensor| matches!(tensor.data, Data::Constant(_)))
            };
            let single = |id: &Option<TensorId>| {
                let tensor = id.and_then(|id| graph.tensors.get(id.index()));
                tensor.is_some_and(|tensor| tensor.data == Data::Computed)
                    && !id.is_some_and(|id| graph.inputs.contains(&id))
            };
            let [output] = node.outputs.as_slice() else { continue };
            if !keeps_size(&node.op) || node.inputs.is_empty() || !node.inputs.iter().all(constant) || !single(output) {
                continue;
            }
            if let Some(place) = folded.nodes.get_mut(n) {
                *place = true;
            }
            folded.makers.extend(output.map(|output| (output, NodeId::from_index(n))));
        }
        folded
    }

    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.nodes.get(node.index()).copied().unwrap_or(false)
    }

    pub(super) fn maker(&self, tensor: TensorId) -> Option<NodeId> {
        self.makers.get(&tensor).copied()
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
