//! `dilate`: SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND are a convolution with dilated filters.

use std::collections::HashMap;

use tflite_wgpu_model::{Op, Padding, TensorId};

use crate::region::{Region, RegionNode};

/// A found triple: positions of its nodes, and the convolution that stands for them.
struct Found {
    gone: [usize; 2],
    at: usize,
    node: RegionNode,
}

pub fn rewrite(region: &mut Region) -> usize {
    let producer = region.producers();
    let found: Vec<Found> = (0..region.nodes.len()).filter_map(|at| triple(region, &producer, at)).collect();
    let touched = found.len();
    let mut gone = Vec::new();
    for Found { gone: nodes, at, node } in found {
        if let Some(slot) = region.nodes.get_mut(at) {
            *slot = node;
            gone.extend(nodes);
        }
    }
    region.remove(&gone);
    touched
}

/// The triple whose BATCH_TO_SPACE_ND is node `at`; the convolution takes its place.
fn triple(region: &Region, producer: &HashMap<TensorId, usize>, at: usize) -> Option<Found> {
    let before = |id: TensorId| {
        let i = *producer.get(&id)?;
        let node = region.nodes.get(i)?;
        (region.uses(id) == 1).then_some((i, node))
    };
    let join = region.nodes.get(at).filter(|node| matches!(node.op, Op::BatchToSpaceNd))?;
    let (conv_at, conv) = before(join.input(0)?)?;
    let (split_at, split) = before(conv.input(0)?)?;
    let plain = |node: &RegionNode| node.fused.is_empty() && node.pad == [0; 4];
    if !matches!(split.op, Op::SpaceToBatchNd) || ![join, conv, split].into_iter().all(plain) {
        return None;
    }
    let block = pair(region, split.input(1)?)?;
    if pair(region, join.input(1)?)? != block {
        return None;
    }
    let pad = borders(region, split.input(2)?, join.input(2)?, block, inner_zeros(region, conv)?)?;
    let mut node = conv.clone();
    dilate(&mut node.op, block)?;
    *node.inputs.first_mut()? = split.input(0);
    node.outputs = join.outputs.clone();
    node.pad = pad;
    node.origin = [&split.origin, &conv.origin, &join.origin].into_iter().flatten().copied().collect();
    same_size(region, &node).then_some(Found { gone: [conv_at, split_at], at, node })
}

fn pair(region: &Region, id: TensorId) -> Option<[usize; 2]> {
    let ints = region.tensor(id).constant.as_deref()?.to_ints()?;
    let sizes: Vec<usize> = ints.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<_>>()?;
    sizes.try_into().ok()
}

/// Height and width of the filter of a convolution whose window moves one cell at a time, undilated.
fn filter(region: &Region, conv: &RegionNode) -> Option<([usize; 2], Padding)> {
    let (steps, padding) = match &conv.op {
        Op::Conv2d(o) => ([o.stride_h, o.stride_w, o.dilation_hfactor, o.dilation_wfactor], o.padding),
        Op::DepthwiseConv2d(o) => ([o.stride_h, o.stride_w, o.dilation_hfactor, o.dilation_wfactor], o.padding),
        _ => return None,
    };
    let &[_, height, width, _] = region.tensor(conv.input(1)?).dims.as_slice() else { return None };
    (steps == [1; 4]).then_some(([height, width], padding))
}

/// Zeros that the convolution itself adds: before and behind, per axis.
fn inner_zeros(region: &Region, conv: &RegionNode) -> Option<[[usize; 2]; 2]> {
    let (filter, padding) = filter(region, conv)?;
    Some(filter.map(|taps| {
        let zeros = if padding == Padding::Same { taps.saturating_sub(1) } else { 0 };
        [zeros / 2, zeros - zeros / 2]
    }))
}

/// Zeros around the image as a whole: top, bottom, left, right. Crops take some away; never more than there are.
fn borders(
    region: &Region,
    paddings: TensorId,
    crops: TensorId,
    block: [usize; 2],
    inner: [[usize; 2]; 2],
) -> Option<[usize; 4]> {
    let ints = |id: TensorId| region.tensor(id).constant.as_deref()?.to_ints();
    let (paddings, crops) = (ints(paddings)?, ints(crops)?);
    let mut pad = [0; 4];
    if paddings.len() != 4 || crops.len() != 4 {
        return None;
    }
    let zeros = inner.into_iter().flatten().zip([block[0], block[0], block[1], block[1]]);
    for (((slot, padding), crop), (inner, block)) in pad.iter_mut().zip(paddings).zip(crops).zip(zeros) {
        *slot = usize::try_from(padding.checked_sub(crop)?).ok()?.checked_add(inner.checked_mul(block)?)?;
    }
    Some(pad)
}

/// Sets a convolution's dilation; what it pads is explicit from now on.
fn dilate(op: &mut Op, block: [usize; 2]) -> Option<()> {
    let [height, width] = [i32::try_from(block[0]).ok()?, i32::try_from(block[1]).ok()?];
    match op {
        Op::Conv2d(o) => {
            (o.dilation_hfactor, o.dilation_wfactor, o.padding) = (height, width, Padding::Valid);
        }
        Op::DepthwiseConv2d(o) => {
            (o.dilation_hfactor, o.dilation_wfactor, o.padding) = (height, width, Padding::Valid);
        }
        _ => return None,
    }
    Some(())
}

/// Whether the dilated convolution gives the size that BATCH_TO_SPACE_ND gave.
fn same_size(region: &Region, node: &RegionNode) -> bool {
    let size = || {
        let &[_, in_h, in_w, _] = region.tensor(node.input(0)?).dims.as_slice() else { return None };
        let &[_, out_h, out_w, _] = region.tensor(node.output(0)?).dims.as_slice() else { return None };
        let &[_, taps_h, taps_w, _] = region.tensor(node.input(1)?).dims.as_slice() else { return None };
        let dilation = match &node.op {
            Op::Conv2d(o) => [o.dilation_hfactor, o.dilation_wfactor],
            Op::DepthwiseConv2d(o) => [o.dilation_hfactor, o.dilation_wfactor],
            _ => return None,
        };
        let reach = |taps: usize, dilation: i32| taps.checked_sub(1)?.checked_mul(usize::try_from(dilation).ok()?);
        let [top, bottom, left, right] = node.pad;
        let fits = |input: usize, zeros: usize, reach: usize, output: usize| {
            input.checked_add(zeros).and_then(|n| n.checked_sub(reach)) == Some(output)
        };
        Some(
            fits(in_h, top + bottom, reach(taps_h, dilation[0])?, out_h)
                && fits(in_w, left + right, reach(taps_w, dilation[1])?, out_w),
        )
    };
    size() == Some(true)
}
