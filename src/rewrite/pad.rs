//! `merge_pad`: zeros around an image that a convolution can add itself.

use tflite_wgpu_model::{Op, Padding, TensorId};

use crate::region::{Region, RegionNode};

pub fn rewrite(region: &mut Region) -> usize {
    let producer = region.producers();
    let mut merges: Vec<(usize, usize, [usize; 4])> = Vec::new();
    for (at, node) in region.nodes.iter().enumerate() {
        let merge = || {
            let input = takes_padding(node)?;
            let from = *producer.get(&input)?;
            let pad = region.nodes.get(from)?;
            let zeros = zeros(region, pad)?;
            (region.uses(input) == 1).then_some((at, from, zeros))
        };
        merges.extend(merge());
    }
    let touched = merges.len();
    let mut gone = Vec::new();
    for (at, from, zeros) in merges {
        let Some((source, origin)) = region.nodes.get(from).map(|pad| (pad.input(0), pad.origin.clone())) else {
            continue;
        };
        if let Some(node) = region.nodes.get_mut(at) {
            if let Some(input) = node.inputs.first_mut() {
                *input = source;
            }
            node.pad = zeros;
            node.origin.splice(0..0, origin);
        }
        gone.push(from);
    }
    region.remove(&gone);
    touched
}

/// The image input of a VALID convolution without padding of its own yet.
fn takes_padding(node: &RegionNode) -> Option<TensorId> {
    let valid = match &node.op {
        Op::Conv2d(o) => o.padding == Padding::Valid,
        Op::DepthwiseConv2d(o) => o.padding == Padding::Valid,
        _ => false,
    };
    if valid && node.pad == [0; 4] { node.input(0) } else { None }
}

/// The zeros a PAD adds around an NHWC image: top, bottom, left, right.
fn zeros(region: &Region, pad: &RegionNode) -> Option<[usize; 4]> {
    if !matches!(pad.op, Op::Pad) || !pad.fused.is_empty() {
        return None;
    }
    let paddings = region.tensor(pad.input(1)?).constant.as_deref()?.to_ints()?;
    match paddings.as_slice() {
        &[0, 0, top, bottom, left, right, 0, 0] => {
            let size = |n: i64| usize::try_from(n).ok();
            Some([size(top)?, size(bottom)?, size(left)?, size(right)?])
        }
        _ => None,
    }
}
