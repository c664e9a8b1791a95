//! `merge_gate`: a MUL of an image by one factor for each channel joins the 1 × 1 convolution behind it, which multiplies
//! what it loads.

use tflite_wgpu_model::{Op, TensorId};

use super::{
    fuse,
    links::{Found, Links, replace, whole_weights},
};
use crate::region::{Region, RegionNode, Spread, Storage, Whole};

pub fn rewrite(region: &mut Region) -> usize {
    let links = Links::new(region);
    let found = (0..region.nodes.len()).filter_map(|at| find(region, &links, at)).collect();
    replace(region, found)
}

/// The MUL at this position and the convolution behind it.
fn find(region: &Region, links: &Links<'_>, at: usize) -> Option<Found> {
    let multiply = region.nodes.get(at).filter(|node| matches!(node.op, Op::Mul(_)) && node.fused.is_empty())?;
    let product = multiply.output(0)?;
    let (a, b) = (multiply.input(0)?, multiply.input(1)?);
    let (image, gate) = [(a, b), (b, a)].into_iter().find(|&(image, gate)| is_gated(region, product, image, gate))?;
    let (to, next) = links.reader(product).filter(|_| !region.outputs.contains(&product))?;
    let single = next.reads().filter(|id| *id == product).count() == 1 && next.input(0) == Some(product);
    // An operand that is read already would be bound twice.
    let distinct = !next.reads().any(|id| id == image || id == gate);
    if !single || !distinct || !is_pointwise(region, next) {
        return None;
    }
    let nodes = vec![at, to];
    let inputs = [Some(image), next.input(1), next.input(2), Some(gate)];
    let node =
        RegionNode { inputs: inputs.to_vec(), whole: Some(Whole::Gated), origin: links.origin(&nodes), ..next.clone() };
    (at < to).then_some(Found { nodes, node })
}

/// Whether a product's operands are an image and one factor for each of its channels, both computed.
fn is_gated(region: &Region, product: TensorId, image: TensorId, gate: TensorId) -> bool {
    let floats = [product, image, gate].into_iter().all(|id| {
        let tensor = region.tensor(id);
        tensor.storage != Storage::I32 && tensor.constant.is_none()
    });
    let spread = fuse::spread(region, gate, product) == Some(Spread::Channel);
    floats && spread && region.tensor(image).dims == region.tensor(product).dims
}

/// Whether a node is a product of rows with constant weights whose rows are the input's.
fn is_pointwise(region: &Region, node: &RegionNode) -> bool {
    let Some(weights) = whole_weights(region, node) else { return false };
    let same_rows = match (&node.op, weights.dims.as_slice()) {
        (Op::Conv2d(options), [_, 1, 1, _]) => options.stride_h == 1 && options.stride_w == 1,
        (Op::FullyConnected(_), [_, _]) => true,
        _ => false,
    };
    same_rows && node.whole.is_none() && node.pad == [0; 4]
}
