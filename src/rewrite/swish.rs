//! `merge_swish`: x · LOGISTIC(x) behind a node whose kernel can apply it becomes part of that node.

use std::collections::HashMap;

use tflite_wgpu_model::{Op, TensorId};

use crate::{
    ops,
    region::{Fused, Region, RegionNode, Unary},
};

use super::fuse::MAX_FUSED;

/// Positions of the three nodes: what makes x, LOGISTIC, MUL.
type Found = [usize; 3];

pub fn rewrite(region: &mut Region) -> usize {
    let producer = region.producers();
    let found: Vec<Found> = (0..region.nodes.len()).filter_map(|at| find(region, &producer, at)).collect();
    let mut nodes: Vec<Option<RegionNode>> = std::mem::take(&mut region.nodes).into_iter().map(Some).collect();
    let mut take = |at: usize| nodes.get_mut(at).and_then(Option::take);
    let mut merged: HashMap<usize, RegionNode> = HashMap::new();
    let touched = found.len();
    for [first, logistic, multiply] in found {
        // Its own input may be a swish that has just been merged.
        let first = merged.remove(&first).or_else(|| take(first));
        let (Some(mut node), Some(logistic), Some(last)) = (first, take(logistic), take(multiply)) else { continue };
        node.outputs = last.outputs;
        node.fused.push(Fused::Unary(Unary::Swish));
        node.fused.extend(last.fused);
        node.origin.extend(logistic.origin.into_iter().chain(last.origin));
        merged.insert(multiply, node);
    }
    let all = nodes.into_iter().enumerate().filter_map(|(at, node)| node.or_else(|| merged.remove(&at)));
    region.nodes = all.collect();
    touched
}

/// The nodes of a swish whose MUL is at this position, if its parts are used for nothing else.
fn find(region: &Region, producer: &HashMap<TensorId, usize>, multiply: usize) -> Option<Found> {
    let last = region.nodes.get(multiply)?;
    let (Op::Mul(_), Some(a), Some(b)) = (&last.op, last.input(0), last.input(1)) else { return None };
    [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
        let at = *producer.get(&gate)?;
        let logistic = region.nodes.get(at)?;
        let is_gate = matches!(logistic.op, Op::Logistic) && logistic.input(0) == Some(x) && logistic.fused.is_empty();
        let from = *producer.get(&x)?;
        let first = region.nodes.get(from)?;
        let fuses = ops::row(first.op.builtin()).is_some_and(|row| row.fuses) && first.outputs.len() == 1;
        let room = first.fused.len() + last.fused.len() < MAX_FUSED;
        let same = region.tensor(x).storage == region.tensor(last.output(0)?).storage;
        let own = region.uses(x) == 2 && region.uses(gate) == 1;
        (is_gate && fuses && room && same && own).then_some([from, at, multiply])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::{RegionTensor, Storage};
    use tflite_wgpu_model::{Conv2DOptions, DType, MulOptions, NodeId};

    fn node(op: Op, inputs: &[u32], output: u32) -> RegionNode {
        let ids = |list: &[u32]| list.iter().map(|&id| Some(TensorId(id))).collect();
        let origin = vec![NodeId(output)];
        RegionNode {
            op,
            inputs: ids(inputs),
            outputs: ids(&[output]),
            fused: Vec::new(),
            pad: [0; 4],
            whole: None,
            origin,
        }
    }

    fn region(outputs: &[u32]) -> Region {
        let (conv, mul) = (|| Op::Conv2d(Conv2DOptions::default()), || Op::Mul(MulOptions::default()));
        let tensor = |i: u32| {
            let (name, dims) = (format!("t{i}"), vec![1, 2, 2, 4]);
            RegionTensor { name, dtype: DType::Float32, dims, constant: None, quant: None, storage: Storage::F16 }
        };
        Region {
            tensors: (0..8).map(tensor).collect(),
            nodes: vec![
                node(conv(), &[0, 7], 1),
                node(Op::Logistic, &[1], 2),
                node(mul(), &[1, 2], 3),
                node(conv(), &[3, 7], 4),
                node(Op::Logistic, &[4], 5),
                node(mul(), &[5, 4], 6),
            ],
            inputs: vec![TensorId(0)],
            outputs: outputs.iter().map(|&id| TensorId(id)).collect(),
            ..Region::default()
        }
    }

    #[test]
    fn both_orders_of_the_product_join_their_convolutions() {
        let mut region = region(&[6]);
        assert_eq!(rewrite(&mut region), 2);
        let outputs: Vec<_> = region.nodes.iter().map(|node| node.output(0)).collect();
        assert_eq!(outputs, [Some(TensorId(3)), Some(TensorId(6))]);
        let second = &region.nodes[1];
        assert_eq!(second.input(0), Some(TensorId(3)));
        assert_eq!(second.fused, [Fused::Unary(Unary::Swish)]);
        assert_eq!(second.origin, [NodeId(4), NodeId(5), NodeId(6)]);
    }

    #[test]
    fn what_is_needed_elsewhere_stays() {
        let mut region = region(&[6, 1, 5]);
        assert_eq!(rewrite(&mut region), 0);
        assert_eq!(region.nodes.len(), 6);
    }
}
