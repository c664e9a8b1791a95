//! From a partition of the file to a region.

use std::sync::Arc;

use tflite_wgpu_model::{Data, Graph, NodeId, TensorId};

use crate::{
    ops::{self, Facts, SupportCtx},
    precision::Storages,
    reason::Reason,
    region::{Region, RegionNode, RegionTensor},
};

/// A node whose shapes are not known although its partition is being prepared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("node {node}: {reason}")]
pub struct RegionError {
    /// The node.
    pub node: NodeId,
    /// What is missing.
    pub reason: Reason,
}

/// The region of these nodes. `facts` knows the shapes of everything they touch; folded nodes vanish into constants.
///
/// # Errors
/// When a shape is not known, or not supported.
pub fn build(
    graph: &Graph,
    nodes: &[NodeId],
    outputs: &[TensorId],
    facts: &Facts,
    storages: &Storages,
) -> Result<Region, RegionError> {
    let mut region = Region { customs: Arc::clone(&facts.customs), ..Region::default() };
    for (i, tensor) in graph.tensors.iter().enumerate() {
        let fact = facts.tensors.get(i);
        region.tensors.push(RegionTensor {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            dims: fact.and_then(|fact| fact.dims.clone()).unwrap_or_default(),
            constant: fact.and_then(|fact| fact.constant.clone()),
            quant: tensor.quant.clone(),
            storage: storages.of(TensorId::from_index(i), fact),
        });
    }
    let is_constant = |id: TensorId| facts.tensor(id).is_some_and(|fact| fact.constant.is_some());
    let mut made = Vec::new();
    for &id in nodes {
        let Some(node) = graph.nodes.get(id.index()) else { continue };
        if node.outputs.iter().flatten().all(|id| is_constant(*id)) {
            continue;
        }
        for tensor in node.inputs.iter().chain(&node.outputs).flatten() {
            if facts.tensor(*tensor).is_none_or(|fact| fact.dims.is_none()) {
                return Err(RegionError { node: id, reason: Reason::DynamicShape });
            }
        }
        // What was supported with the shapes that the file states may not be so with these.
        let row = ops::row(node.op.builtin()).ok_or(RegionError { node: id, reason: Reason::UnsupportedOperator })?;
        (row.support)(&SupportCtx { node, facts }).map_err(|reason| RegionError { node: id, reason })?;
        for &input in node.inputs.iter().flatten() {
            let variable = matches!(graph.tensors.get(input.index()).map(|t| &t.data), Some(Data::Variable));
            if variable {
                return Err(RegionError { node: id, reason: Reason::HostOwned });
            }
            if !is_constant(input) && !made.contains(&input) && !region.inputs.contains(&input) {
                region.inputs.push(input);
            }
        }
        made.extend(node.outputs.iter().flatten().copied());
        region.nodes.push(RegionNode {
            op: node.op.clone(),
            inputs: node.inputs.clone(),
            outputs: node.outputs.clone(),
            fused: Vec::new(),
            pad: [0; 4],
            whole: None,
            origin: vec![id],
        });
    }
    region.outputs = outputs.iter().copied().filter(|id| !is_constant(*id)).collect();
    Ok(region)
}
