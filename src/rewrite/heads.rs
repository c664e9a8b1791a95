//! `merge_heads`: a TRANSPOSE that puts attention's heads in front of the rows, or back, becomes a part of the
//! BATCH_MATMUL behind or in front of it, which reads and writes rows by strides.

use tflite_wgpu_model::{Op, TensorId};

use super::links::{Found, Links, replace};
use crate::region::{Region, RegionNode, Whole};

pub fn rewrite(region: &mut Region) -> usize {
    let links = Links::new(region);
    let products = region.nodes.iter().enumerate().filter(|(_, node)| matches!(node.op, Op::BatchMatmul(_)));
    let found = products.filter_map(|(at, node)| find(region, &links, at, node)).collect();
    replace(region, found)
}

/// The BATCH_MATMUL at `at` with the TRANSPOSEs around it.
fn find(region: &Region, links: &Links<'_>, at: usize, product: &RegionNode) -> Option<Found> {
    let Op::BatchMatmul(options) = &product.op else { return None };
    let computed = |i: usize| product.input(i).filter(|id| region.tensor(*id).constant.is_none());
    let (x, y) = (computed(0)?, computed(1)?);
    if !product.fused.is_empty() || product.whole.is_some() || x == y {
        return None;
    }
    // Strides of more than one batch would need digits of their own.
    let single = |id: TensorId| matches!(region.tensor(id).dims.as_slice(), [1, _, _, _]);
    if ![x, y, product.output(0)?].into_iter().all(single) {
        return None;
    }
    let mut nodes = vec![at];
    let mut node = product.clone();
    let mut swapped = [false; 3];
    for (i, id) in [x, y].into_iter().enumerate() {
        // An adjoint left operand counts its rows in texels.
        let strided = i == 1 || !options.adj_x;
        let Some((from, source)) = links.maker(id).and_then(|(from, node)| Some((from, swap(region, node)?))) else {
            continue;
        };
        let alone = links.reader(id).is_some() && !region.outputs.contains(&id);
        if let (true, Some(input), Some(flag)) = (strided && alone, node.inputs.get_mut(i), swapped.get_mut(i)) {
            (*input, *flag) = (Some(source), true);
            nodes.push(from);
        }
    }
    let result = product.output(0)?;
    let behind = links.reader(result).filter(|(_, next)| swap(region, next) == Some(result));
    if let Some((to, next)) = behind.filter(|_| !region.outputs.contains(&result)) {
        node.outputs = next.outputs.clone();
        node.fused = next.fused.clone();
        swapped[2] = true;
        nodes.push(to);
    }
    let distinct = node.input(0) != node.input(1);
    nodes.sort_unstable();
    node.whole = Some(Whole::Swapped(swapped));
    node.origin = links.origin(&nodes);
    (swapped.contains(&true) && distinct).then_some(Found { nodes, node })
}

/// The input of a TRANSPOSE that swaps dimensions 1 and 2 of four, in the same storage.
fn swap(region: &Region, node: &RegionNode) -> Option<TensorId> {
    let (Op::Transpose, from, to) = (&node.op, node.input(0)?, node.output(0)?) else { return None };
    let order = region.tensor(node.input(1)?).constant.as_deref()?.to_ints()?;
    let same = region.tensor(from).storage == region.tensor(to).storage && region.tensor(from).constant.is_none();
    (order == [0, 2, 1, 3] && same).then_some(from)
}
