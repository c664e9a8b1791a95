//! Places of computed tensors in memory that they share, from the steps at which each is alive.

use std::collections::HashMap;

use tflite_wgpu_model::{DType, Data, Graph, NodeId, TensorId};

use crate::{
    schedule::{Item, Step},
    simd::Line,
    value::Value,
};

/// Tensors of a subgraph that are placed; each is compared with all others.
const MOST: usize = 4096;

/// Orders that are tried, fewer where there are many tensors: comparisons of two are limited, too.
const TRIES: usize = 32;
const COMPARISONS: usize = 1 << 24;

/// Where tensors of a subgraph lie.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// First line and number of lines.
    of: HashMap<TensorId, (usize, usize)>,
    /// Lines of all.
    pub(crate) lines: usize,
}

/// A tensor that wants a place: from the step that computes it to the last one that reads it, both included.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    tensor: TensorId,
    lines: usize,
    from: usize,
    to: usize,
}

impl Places {
    /// First line and number of lines of a tensor.
    pub(crate) fn of(&self, tensor: TensorId) -> Option<(usize, usize)> {
        self.of.get(&tensor).copied()
    }

    /// Places for what the nodes that `computes` names compute, where the shape is known. Results of the subgraph stay
    /// until the next invoke.
    pub(crate) fn plan<'s>(
        graph: &Graph,
        steps: &[Step],
        computes: impl Fn(NodeId) -> bool,
        shape: impl Fn(TensorId) -> Option<&'s [usize]>,
    ) -> Self {
        let mut last: HashMap<TensorId, usize> = HashMap::new();
        for (i, step) in steps.iter().enumerate() {
            last.extend(step.frees.iter().map(|&tensor| (tensor, i)));
        }
        last.extend(graph.outputs.iter().map(|&tensor| (tensor, steps.len())));
        let mut wanted = Vec::new();
        for (from, step) in steps.iter().enumerate() {
            let Item::Node(id) = step.item else { continue };
            let Some(node) = graph.nodes.get(id.index()).filter(|_| computes(id)) else { continue };
            for &tensor in node.outputs.iter().flatten() {
                let data = graph.tensors.get(tensor.index());
                let data = data.filter(|data| data.data == Data::Computed && data.dtype != DType::String);
                let bytes = data.and_then(|data| Value::bytes_of(data.dtype, shape(tensor)?).ok());
                if let (Some(bytes @ 1..), Some(&to)) = (bytes, last.get(&tensor)) {
                    wanted.push(Wanted { tensor, lines: bytes.div_ceil(size_of::<Line>()), from, to });
                }
            }
        }
        if wanted.len() > MOST { Self::default() } else { Self::place(wanted) }
    }

    /// The best of some orders: the largest first, then what ended highest before all others, again and again.
    fn place(mut wanted: Vec<Wanted>) -> Self {
        wanted.sort_by_key(|one| (std::cmp::Reverse(one.lines), one.from));
        let fullest = fullest(&wanted);
        let tries = (COMPARISONS / wanted.len().saturating_mul(wanted.len()).max(1)).clamp(1, TRIES);
        let mut best: Option<Self> = None;
        for _ in 0..tries {
            let (places, highest) = Self::place_in_order(&wanted);
            if best.as_ref().is_none_or(|best| places.lines < best.lines) {
                best = Some(places);
            }
            if best.as_ref().is_some_and(|best| best.lines <= fullest) || highest == 0 {
                break;
            }
            wanted[..=highest].rotate_right(1);
        }
        best.unwrap_or_default()
    }

    /// Each as low as those before it allow that are alive at the same time; and which one ends highest.
    fn place_in_order(wanted: &[Wanted]) -> (Self, usize) {
        let mut placed: Vec<usize> = Vec::with_capacity(wanted.len());
        let (mut places, mut highest) = (Self::default(), 0);
        for (i, one) in wanted.iter().enumerate() {
            let together = |other: &Wanted| other.from <= one.to && one.from <= other.to;
            let beside = wanted.iter().zip(&placed).filter(|(other, _)| together(other));
            let mut taken: Vec<(usize, usize)> =
                beside.map(|(other, &first)| (first, first.saturating_add(other.lines))).collect();
            taken.sort_unstable();
            let mut first = 0;
            for (start, end) in taken {
                if start.saturating_sub(first) >= one.lines {
                    break;
                }
                first = first.max(end);
            }
            let end = first.saturating_add(one.lines);
            if end > places.lines {
                (places.lines, highest) = (end, i);
            }
            places.of.insert(one.tensor, (first, one.lines));
            placed.push(first);
        }
        (places, highest)
    }
}

/// Lines that are alive at the fullest step: no plan can do with less.
fn fullest(wanted: &[Wanted]) -> usize {
    let mut changes: Vec<(usize, bool, usize)> = wanted
        .iter()
        .flat_map(|one| [(one.from, true, one.lines), (one.to.saturating_add(1), false, one.lines)])
        .collect();
    // What ends goes before what begins at the same step.
    changes.sort_unstable();
    let (mut alive, mut most) = (0usize, 0);
    for (_, begins, lines) in changes {
        alive = if begins { alive.saturating_add(lines) } else { alive.saturating_sub(lines) };
        most = most.max(alive);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines, first and last step of each.
    fn place(list: &[(usize, usize, usize)]) -> (Vec<(usize, usize)>, usize) {
        let wanted = |(i, &(lines, from, to)): (usize, &(usize, usize, usize))| {
            let tensor = TensorId::from_index(i);
            Wanted { tensor, lines, from, to }
        };
        let places = Places::place(list.iter().enumerate().map(wanted).collect());
        let of = (0..list.len()).filter_map(|i| places.of(TensorId::from_index(i))).collect();
        (of, places.lines)
    }

    #[test]
    fn a_chain_takes_its_two_largest_neighbours() {
        let (of, lines) = place(&[(10, 0, 1), (40, 1, 2), (20, 2, 3), (15, 3, 4), (40, 4, 5)]);
        assert_eq!((of.len(), lines), (5, 60), "{of:?}");
    }

    #[test]
    fn nothing_that_is_alive_together_overlaps() {
        let mut state = 7u32;
        let mut next = |most: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % most
        };
        for _ in 0..50 {
            let list: Vec<(usize, usize, usize)> = (0..40).map(|i| (1 + next(50), i, i + next(9))).collect();
            let (of, lines) = place(&list);
            assert_eq!(of.len(), list.len());
            let alive =
                |step| list.iter().filter(|one| (one.1..=one.2).contains(&step)).map(|one| one.0).sum::<usize>();
            let fullest = (0..50).map(alive).max().unwrap_or(0);
            assert!((fullest..=fullest * 5 / 4).contains(&lines), "{lines} of {fullest}");
            for (i, a) in list.iter().enumerate() {
                for (j, b) in list.iter().enumerate().skip(i + 1) {
                    let together = a.1 <= b.2 && b.1 <= a.2;
                    let (a, b) = (of[i], of[j]);
                    assert!(!together || a.0 + a.1 <= b.0 || b.0 + b.1 <= a.0, "{i} {j}: {a:?} {b:?}");
                }
            }
        }
    }
}
