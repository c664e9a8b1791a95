//! `merge_concat`: what makes a part of a CONCATENATION of channels writes it where the result has it.

use tflite_wgpu_model::{ActivationFunctionType, Op, TensorId, infer::normalize_axis};

use super::links::{Links, whole_weights};
use crate::region::{Region, RegionNode, Slice, Storage, Whole};

pub fn rewrite(region: &mut Region) -> usize {
    let links = Links::new(region);
    let found: Vec<(usize, usize, TensorId, Slice)> =
        region.nodes.iter().enumerate().flat_map(|(at, node)| parts(region, &links, at, node)).collect();
    for (maker, at, part, slice) in &found {
        let origin = region.nodes.get(*at).map(|node| node.origin.clone()).unwrap_or_default();
        if let Some(node) = region.nodes.get_mut(*maker) {
            node.origin.extend(origin);
        }
        region.slices.insert(*part, *slice);
    }
    found.len()
}

/// The parts of a CONCATENATION at `at` that can be written in their places: the node that makes each, and the place.
fn parts(region: &Region, links: &Links<'_>, at: usize, node: &RegionNode) -> Vec<(usize, usize, TensorId, Slice)> {
    let (Op::Concatenation(options), Some(of)) = (&node.op, node.output(0)) else { return Vec::new() };
    let result = region.tensor(of);
    let rank = result.dims.len();
    let innermost = normalize_axis(options.axis.into(), rank).is_ok_and(|axis| axis + 1 == rank);
    let plain = options.fused_activation_function == ActivationFunctionType::None && node.fused.is_empty();
    if !innermost || !plain || result.storage == Storage::I32 || result.constant.is_some() {
        return Vec::new();
    }
    let mut start = 0;
    let mut parts = Vec::new();
    for part in node.inputs.iter().flatten() {
        let channels = region.tensor(*part).dims.last().copied().unwrap_or(0);
        let end = start + channels;
        // Whole texels, or those up to the end of the row.
        let aligned = start % 4 == 0 && (channels % 4 == 0 || Some(&end) == result.dims.last()) && channels > 0;
        let same = region.tensor(*part).storage == result.storage && region.uses(*part) == 1;
        let once = node.inputs.iter().flatten().filter(|id| *id == part).count() == 1;
        let maker = links.made_at(*part).filter(|_| aligned && same && once);
        let able = |&maker: &usize| region.nodes.get(maker).is_some_and(|made| takes_place(region, made));
        if let Some(maker) = maker.filter(able) {
            parts.push((maker, at, *part, Slice { of, offset: start / 4 }));
        }
        start = end;
    }
    parts
}

/// Whether a node's kernel can write into columns of a wider tensor.
fn takes_place(region: &Region, node: &RegionNode) -> bool {
    let known = matches!(node.op, Op::Conv2d(_) | Op::FullyConnected(_));
    known && !matches!(node.whole, Some(Whole::Squeeze(_))) && whole_weights(region, node).is_some()
}
