//! `fuse_elementwise`: a node that only changes the values of its producer's result joins the producer's epilogue.

use std::collections::{HashMap, HashSet};

use tflite_wgpu_model::{Op, TensorId};

use crate::{
    ops,
    region::{Binary, Fused, Region, RegionNode, Spread, Storage},
};

/// Fused steps per kernel; more would make pipelines multiply.
pub(super) const MAX_FUSED: usize = 4;

/// Operands of fused steps per kernel: with a kernel's own bindings at most eight, WebGPU's default limit.
const MAX_OPERANDS: usize = 2;

pub fn rewrite(region: &mut Region) -> usize {
    let mut uses: HashMap<TensorId, usize> = HashMap::new();
    for id in region.nodes.iter().flat_map(RegionNode::reads).chain(region.outputs.iter().copied()) {
        *uses.entry(id).or_default() += 1;
    }
    let mut producer: HashMap<TensorId, usize> = HashMap::new();
    let mut nodes: Vec<Option<RegionNode>> = Vec::with_capacity(region.nodes.len());
    let mut touched = 0;
    for node in std::mem::take(&mut region.nodes) {
        let merged = candidates(region, &node).into_iter().find_map(|(through, steps)| {
            let at = *producer.get(&through)?;
            let first = nodes.get(at)?.as_ref()?;
            fits(region, first, &node, through, &steps, &uses).then_some((at, steps))
        });
        let node = match merged.and_then(|(at, steps)| Some((nodes.get_mut(at)?.take()?, steps))) {
            Some((mut first, steps)) => {
                first.outputs = node.outputs;
                first.fused.extend(steps);
                first.fused.extend(node.fused);
                first.origin.extend(node.origin);
                touched += 1;
                // It moves to this node's place: operands that were computed in between are there now.
                first
            }
            None => node,
        };
        for id in node.outputs.iter().flatten() {
            producer.insert(*id, nodes.len());
        }
        nodes.push(Some(node));
    }
    region.nodes = nodes.into_iter().flatten().collect();
    touched
}

/// Ways to see a node as a change of one of its inputs: that input, and the steps.
fn candidates(region: &Region, node: &RegionNode) -> Vec<(TensorId, Vec<Fused>)> {
    let (Some(a), Some(output)) = (node.input(0), node.output(0)) else { return Vec::new() };
    if region.tensor(output).storage == Storage::I32 {
        return Vec::new();
    }
    if let Some(step) = ops::unary::fused_form(&node.op) {
        return vec![(a, vec![step])];
    }
    let Some(b) = node.input(1) else { return Vec::new() };
    if let Op::Prelu = node.op {
        let spread = spread(region, b, output);
        return spread.map(|spread| (a, vec![Fused::Prelu { alpha: b, spread }])).into_iter().collect();
    }
    let Some(op) = binary(&node.op) else { return Vec::new() };
    if a == b {
        return Vec::new();
    }
    let mut ways = Vec::new();
    for (through, operand, swapped) in [(b, a, true), (a, b, false)] {
        let same_shape = region.tensor(through).dims == region.tensor(output).dims;
        if let (true, Some(spread)) = (same_shape, spread(region, operand, output)) {
            ways.push((through, vec![Fused::Binary { op, operand, spread, swapped }]));
        }
    }
    ways
}

fn binary(op: &Op) -> Option<Binary> {
    Some(match op {
        Op::Add(_) => Binary::Add,
        Op::Sub(_) => Binary::Sub,
        Op::Mul(_) => Binary::Mul,
        Op::Div(_) => Binary::Div,
        Op::Maximum => Binary::Maximum,
        Op::Minimum => Binary::Minimum,
        Op::SquaredDifference => Binary::SquaredDifference,
        _ => return None,
    })
}

/// How an operand lies against a result, if epilogues can read it so.
pub fn spread(region: &Region, operand: TensorId, output: TensorId) -> Option<Spread> {
    let (operand, output) = (region.tensor(operand), region.tensor(output));
    if operand.storage == Storage::I32 {
        return None;
    }
    let count: usize = operand.dims.iter().product();
    if operand.dims == output.dims {
        Some(Spread::Full)
    } else if count == 1 {
        Some(Spread::Scalar)
    } else if operand.dims.last() == output.dims.last() && operand.dims.last() == Some(&count) {
        Some(Spread::Channel)
    } else {
        None
    }
}

/// Whether `node` may join `first`, whose result `through` it changes.
fn fits(
    region: &Region,
    first: &RegionNode,
    node: &RegionNode,
    through: TensorId,
    steps: &[Fused],
    uses: &HashMap<TensorId, usize>,
) -> bool {
    let fuses = ops::row(first.op.builtin()).is_some_and(|row| row.fuses);
    let single = first.outputs.len() == 1 && first.output(0) == Some(through) && uses.get(&through) == Some(&1);
    let Some(output) = node.output(0) else { return false };
    let (from, to) = (region.tensor(through), region.tensor(output));
    let same = from.dims == to.dims && from.storage != Storage::I32 && to.storage == from.storage;
    let all: Vec<&Fused> = first.fused.iter().chain(steps).chain(&node.fused).collect();
    let operands: HashSet<TensorId> = all
        .iter()
        .filter_map(|fused| match fused {
            Fused::Binary { operand, .. } => Some(*operand),
            Fused::Prelu { alpha, .. } => Some(*alpha),
            _ => None,
        })
        .collect();
    let count = all.iter().filter(|f| matches!(f, Fused::Binary { .. } | Fused::Prelu { .. })).count();
    // An operand that the kernel itself reads, or reads twice, would be bound twice.
    let distinct = operands.len() == count && !first.inputs.iter().flatten().any(|id| operands.contains(id));
    fuses && single && same && distinct && count <= MAX_OPERANDS && all.len() <= MAX_FUSED
}
