//! `merge_gelu`: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), which a file has as nine nodes, is a GELU.

use tflite_wgpu_model::{GeluOptions, Op, TensorId};

use super::links::{Found, Links, other, replace};
use crate::region::{Region, RegionNode};

pub fn rewrite(region: &mut Region) -> usize {
    let links = Links::new(region);
    let roots = region.nodes.iter().enumerate().filter(|(_, node)| matches!(node.op, Op::Tanh));
    let found = roots.filter_map(|(at, node)| find(region, &links, at, node)).collect();
    replace(region, found)
}

/// The GELU whose TANH is node `at`.
fn find(region: &Region, links: &Links<'_>, at: usize, tanh: &RegionNode) -> Option<Found> {
    let mut nodes = vec![at];
    let inner = times(links, &mut nodes, tanh.input(0)?, 0.797_884_6)?;
    let (x, cube) = inner_sum(links, &mut nodes, inner)?;
    let cube = times(links, &mut nodes, cube, 0.044_715)?;
    is_cube(links, &mut nodes, cube, x)?;
    let (plus_at, plus) = links.reader(tanh.output(0)?)?;
    let one = matches!(plus.op, Op::Add(_)).then(|| links.with_scalar(plus, tanh.output(0)?))??;
    let (last, product) = links.reader(plus.output(0)?)?;
    let half = matches!(product.op, Op::Mul(_)).then(|| other(product, plus.output(0)?))??;
    nodes.extend([plus_at, last]);
    let is_half = times(links, &mut nodes, half, 0.5)? == x;
    nodes.sort_unstable();
    let in_order = nodes.last() == Some(&last) && plus.fused.is_empty();
    if one != 1.0 || !is_half || !in_order || !links.is_closed(&nodes, last) {
        return None;
    }
    let node = RegionNode {
        op: Op::Gelu(GeluOptions { approximate: true }),
        whole: None,
        inputs: vec![Some(x)],
        outputs: product.outputs.clone(),
        fused: product.fused.clone(),
        pad: [0; 4],
        origin: links.origin(&nodes),
    };
    (region.tensor(x).dims == region.tensor(product.output(0)?).dims).then_some(Found { nodes, node })
}

/// What a MUL multiplies by a constant near `factor`.
fn times(links: &Links<'_>, nodes: &mut Vec<usize>, id: TensorId, factor: f32) -> Option<TensorId> {
    let (at, node) = links.maker(id)?;
    let inputs = [node.input(0)?, node.input(1)?];
    let near =
        |id: &TensorId| links.with_scalar(node, *id).is_some_and(|found| (found - factor).abs() <= factor * 1e-4);
    let found = inputs.into_iter().find(near).filter(|_| matches!(node.op, Op::Mul(_)))?;
    nodes.push(at);
    Some(found)
}

/// The two operands of the ADD that makes `id`: x, which the other is made of, and the other.
fn inner_sum(links: &Links<'_>, nodes: &mut Vec<usize>, id: TensorId) -> Option<(TensorId, TensorId)> {
    let (at, node) = links.maker(id)?;
    let (a, b) = (node.input(0)?, node.input(1)?);
    nodes.push(at);
    let is_product = |id: TensorId| {
        links.maker(id).is_some_and(|(_, node)| {
            let inputs = node.inputs.iter().flatten();
            matches!(node.op, Op::Mul(_)) && inputs.copied().any(|id| links.with_scalar(node, id).is_some())
        })
    };
    let order = [(a, b), (b, a)].into_iter().find(|(_, cube)| is_product(*cube));
    order.filter(|_| matches!(node.op, Op::Add(_)))
}

/// Whether `id` is x · x · x, or POW(x, 3).
fn is_cube(links: &Links<'_>, nodes: &mut Vec<usize>, id: TensorId, x: TensorId) -> Option<()> {
    let (at, node) = links.maker(id)?;
    nodes.push(at);
    match &node.op {
        Op::Pow => (node.input(0) == Some(x) && links.scalar(node.input(1)?) == Some(3.0)).then_some(()),
        Op::Mul(_) => {
            let (at, square) = links.maker(other(node, x)?)?;
            nodes.push(at);
            let twice =
                matches!(square.op, Op::Mul(_)) && square.input(1) == Some(x) || matches!(square.op, Op::Square);
            (twice && square.input(0) == Some(x)).then_some(())
        }
        _ => None,
    }
}
