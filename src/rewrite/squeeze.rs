//! `merge_squeeze`: the gate of a squeeze-and-excite block, from the mean over its image to the second product and what
//! is fused to that, becomes one node.

use tflite_wgpu_model::{Op, TensorId, infer};

use super::links::{Found, Links, replace, whole_weights};
use crate::{
    ops::squeeze::{self, MOST_DEPTH, MOST_HIDDEN},
    region::{Binary, Fused, Region, RegionNode, Spread, Squeeze, Storage, Unary, Whole},
};

pub fn rewrite(region: &mut Region) -> usize {
    let links = Links::new(region);
    let found = (0..region.nodes.len()).filter_map(|at| find(region, &links, at)).collect();
    replace(region, found)
}

/// The block whose second product is at this position.
fn find(region: &Region, links: &Links<'_>, at: usize) -> Option<Found> {
    let second = region.nodes.get(at)?;
    let mut nodes = vec![at];
    let hidden = alone(region, links, &mut nodes, second.input(0)?)?;
    let first_at = links.made_at(hidden)?;
    let first = region.nodes.get(first_at)?;
    nodes.push(first_at);
    let mean = alone(region, links, &mut nodes, first.input(0)?)?;
    let mean_at = links.made_at(mean)?;
    nodes.push(mean_at);
    let image = averaged(region, region.nodes.get(mean_at)?)?;
    let &[batch, _, _, channels] = region.tensor(image).dims.as_slice() else { return None };
    let [between, depth] = product(region, first)?;
    let [_, second_depth] = product(region, second)?;
    let rows = |id: TensorId, channels: usize| {
        let tensor = region.tensor(id);
        tensor.dims.last() == Some(&channels) && tensor.dims.iter().product::<usize>() == batch * channels
    };
    let chain = depth == channels && second_depth == between && rows(mean, channels) && rows(hidden, between);
    let fits = channels <= MOST_DEPTH * 4 && between <= MOST_HIDDEN * 4;
    let squeeze = activation(&first.fused)?;
    if !chain || !fits || !squeeze::takes(squeeze.unary) || reads_fused(second, image) {
        return None;
    }
    nodes.sort_unstable();
    let inputs = [Some(image), second.input(1), second.input(2), first.input(1), first.input(2)];
    let node = RegionNode {
        inputs: inputs.to_vec(),
        whole: Some(Whole::Squeeze(squeeze)),
        origin: links.origin(&nodes),
        ..second.clone()
    };
    (nodes.last() == Some(&at)).then_some(Found { nodes, node })
}

/// Whether something fused to a node reads `id`.
fn reads_fused(node: &RegionNode, id: TensorId) -> bool {
    node.reads().skip(node.inputs.iter().flatten().count()).any(|read| read == id)
}

/// The tensor that RESHAPEs have given `id` its elements from, if nothing else reads any of them.
fn alone(region: &Region, links: &Links<'_>, nodes: &mut Vec<usize>, mut id: TensorId) -> Option<TensorId> {
    loop {
        if region.uses(id) != 1 || region.tensor(id).storage == Storage::I32 {
            return None;
        }
        match links.maker(id) {
            Some((at, node)) if matches!(node.op, Op::Reshape(_)) => {
                nodes.push(at);
                id = node.input(0)?;
            }
            _ => return Some(id),
        }
    }
}

/// Outputs and depth of a product of rows with constant weights.
fn product(region: &Region, node: &RegionNode) -> Option<[usize; 2]> {
    let dims = match (&node.op, whole_weights(region, node)?.dims.as_slice()) {
        (Op::Conv2d(_), &[outputs, 1, 1, depth]) | (Op::FullyConnected(_), &[outputs, depth]) => [outputs, depth],
        _ => return None,
    };
    let single = node.whole.is_none() && node.pad == [0; 4];
    let output = region.tensor(node.output(0)?);
    (single && output.dims.last() == dims.first() && output.storage != Storage::I32).then_some(dims)
}

/// What a node averages over the whole of an image.
fn averaged(region: &Region, node: &RegionNode) -> Option<TensorId> {
    let image = node.input(0)?;
    let &[_, height, width, _] = region.tensor(image).dims.as_slice() else { return None };
    let whole = match &node.op {
        Op::Mean(_) => {
            let axes = region.tensor(node.input(1)?).constant.as_deref()?.to_ints()?;
            infer::reduced_axes(&axes, 4).ok()? == [1, 2]
        }
        Op::AveragePool2d(options) => {
            let is = |taps: i32, size: usize| usize::try_from(taps) == Ok(size);
            let one = matches!(region.tensor(node.output(0)?).dims.as_slice(), [_, 1, 1, _]);
            one && is(options.filter_height, height) && is(options.filter_width, width)
        }
        _ => false,
    };
    let plain = node.fused.is_empty() && node.pad == [0; 4] && region.tensor(image).storage != Storage::I32;
    (whole && plain && height * width > 0).then_some(image)
}

/// What is fused to the first product, if the kernel can do it between the products.
fn activation(fused: &[Fused]) -> Option<Squeeze> {
    let bounds = |low, high| Some(Squeeze { unary: None, low, high });
    match fused {
        [] => bounds(f32::NEG_INFINITY, f32::INFINITY),
        &[Fused::Clamp { low, high }] => bounds(low, high),
        &[Fused::Unary(unary)] => Some(Squeeze { unary: Some(unary), low: 0.0, high: 0.0 }),
        _ => None,
    }
}

/// `merge_hard_sigmoid`: clamp(x + 3, 0, 6) times a sixth, where all three are fused to a node, becomes one function.
pub fn hard_sigmoid(region: &mut Region) -> usize {
    let mut nodes = std::mem::take(&mut region.nodes);
    let mut touched = 0;
    for node in &mut nodes {
        let at = node.fused.windows(3).position(|steps| is_hard_sigmoid(region, steps));
        if let Some(at) = at {
            node.fused.splice(at..at + 3, [Fused::Unary(Unary::HardSigmoid)]);
            touched += 1;
        }
    }
    region.nodes = nodes;
    touched
}

fn is_hard_sigmoid(region: &Region, steps: &[Fused]) -> bool {
    let scalar = |id: TensorId| {
        let values = region.tensor(id).constant.as_deref().and_then(|constant| constant.to_floats());
        values.filter(|values| values.len() == 1).and_then(|values| values.first().copied())
    };
    let [first, Fused::Clamp { low: 0.0, high: 6.0 }, last] = steps else { return false };
    let plus = match *first {
        Fused::Binary { op: Binary::Add, operand, spread: Spread::Scalar, .. } => scalar(operand),
        _ => None,
    };
    let factor = match *last {
        Fused::Binary { op: Binary::Mul, operand, spread: Spread::Scalar, .. } => scalar(operand),
        Fused::Binary { op: Binary::Div, operand, spread: Spread::Scalar, swapped: false } => {
            scalar(operand).map(f64::recip)
        }
        _ => None,
    };
    plus == Some(3.0) && factor.is_some_and(|factor| (factor * 6.0 - 1.0).abs() < 1e-6)
}
