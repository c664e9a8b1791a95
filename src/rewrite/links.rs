//! Who makes and who reads a tensor: what rules that look for several nodes at once ask.

use std::collections::{HashMap, HashSet};

use tflite_wgpu_model::{NodeId, TensorId};

use crate::region::{Region, RegionNode, RegionTensor};

/// Makers and readers of a region's tensors.
pub(super) struct Links<'a> {
    region: &'a Region,
    makers: HashMap<TensorId, usize>,
    readers: HashMap<TensorId, Vec<usize>>,
}

/// Nodes that are one, by their positions, and the node that takes the place of the last of them.
pub(super) struct Found {
    pub(super) nodes: Vec<usize>,
    pub(super) node: RegionNode,
}

impl<'a> Links<'a> {
    pub(super) fn new(region: &'a Region) -> Self {
        let mut readers: HashMap<TensorId, Vec<usize>> = HashMap::new();
        for (at, node) in region.nodes.iter().enumerate() {
            for id in node.reads().collect::<HashSet<_>>() {
                readers.entry(id).or_default().push(at);
            }
        }
        Self { region, makers: region.producers(), readers }
    }

    /// The node that makes a tensor, if nothing is fused to it.
    pub(super) fn maker(&self, id: TensorId) -> Option<(usize, &'a RegionNode)> {
        let at = *self.makers.get(&id)?;
        self.region.nodes.get(at).filter(|node| node.fused.is_empty()).map(|node| (at, node))
    }

    /// The position of the node that makes a tensor, whatever is fused to it.
    pub(super) fn made_at(&self, id: TensorId) -> Option<usize> {
        self.makers.get(&id).copied()
    }

    /// The nodes that read a tensor.
    pub(super) fn readers(&self, id: TensorId) -> impl Iterator<Item = (usize, &'a RegionNode)> {
        let at = self.readers.get(&id).map(Vec::as_slice).unwrap_or_default();
        at.iter().filter_map(|&at| Some((at, self.region.nodes.get(at)?)))
    }

    /// The only node that reads a tensor.
    pub(super) fn reader(&self, id: TensorId) -> Option<(usize, &'a RegionNode)> {
        let mut readers = self.readers(id);
        readers.next().filter(|_| readers.next().is_none())
    }

    /// The value of a constant of one element.
    pub(super) fn scalar(&self, id: TensorId) -> Option<f32> {
        let values = self.region.tensor(id).constant.as_deref()?.to_floats()?;
        values.first().filter(|_| values.len() == 1).map(|&value| value as f32)
    }

    /// A node of two inputs that is `id` with a constant of one element.
    pub(super) fn with_scalar(&self, node: &RegionNode, id: TensorId) -> Option<f32> {
        self.scalar(other(node, id)?)
    }

    /// Whether nothing outside of these nodes reads what they make, their last one's result apart, and nothing is fused
    /// to the others.
    pub(super) fn is_closed(&self, nodes: &[usize], last: usize) -> bool {
        nodes.iter().filter(|at| **at != last).filter_map(|&at| self.region.nodes.get(at)).all(|node| {
            let own = |id: &TensorId| {
                let inside = self.readers(*id).all(|(reader, _)| nodes.contains(&reader));
                inside && !self.region.outputs.contains(id)
            };
            node.fused.is_empty() && node.outputs.iter().flatten().all(own)
        })
    }

    /// The file's nodes behind these.
    pub(super) fn origin(&self, nodes: &[usize]) -> Vec<NodeId> {
        let mut sorted: Vec<usize> = nodes.to_vec();
        sorted.sort_unstable();
        sorted.iter().filter_map(|&at| self.region.nodes.get(at)).flat_map(|node| node.origin.clone()).collect()
    }
}

/// The other input of a node of two.
pub(super) fn other(node: &RegionNode, id: TensorId) -> Option<TensorId> {
    match (node.input(0)?, node.input(1)?) {
        (a, b) if a == id && b != id => Some(b),
        (a, b) if b == id && a != id => Some(a),
        _ => None,
    }
}

/// The constant weights of a node, if they take all channels of its input: groups of channels have weights of a part of the
/// depth.
pub(super) fn whole_weights<'a>(region: &'a Region, node: &RegionNode) -> Option<&'a RegionTensor> {
    let (input, weights) = (region.tensor(node.input(0)?), region.tensor(node.input(1)?));
    (weights.constant.is_some() && weights.dims.last() == input.dims.last()).then_some(weights)
}

/// Puts each found node in the place of its last one; what shares nodes with an earlier find stays. Gives the number of
/// finds.
pub(super) fn replace(region: &mut Region, found: Vec<Found>) -> usize {
    let mut used = HashSet::new();
    let mut gone = Vec::new();
    let mut touched = 0;
    for Found { nodes, node } in found {
        let last = nodes.iter().copied().max();
        let free = !nodes.iter().any(|at| used.contains(at));
        if let Some(slot) = last.filter(|_| free).and_then(|last| region.nodes.get_mut(last)) {
            *slot = node;
            gone.extend(nodes.iter().copied().filter(|at| Some(*at) != last));
            used.extend(nodes);
            touched += 1;
        }
    }
    region.remove(&gone);
    touched
}
