//! NON_MAX_SUPPRESSION_V4 and, with soft suppression, V5.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tflite_wgpu_model::{BuiltinOperator, Op};

use super::checks::{shape_output, size};
use super::support::{check_len, dims, refuse};
use super::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] =
    &[Row { op: BuiltinOperator::NonMaxSuppressionV4, eval }, Row { op: BuiltinOperator::NonMaxSuppressionV5, eval }];

/// A box that may be selected. Better scores come first, and of equal ones lower indices.
#[derive(Clone, Copy, PartialEq)]
struct Candidate {
    score: f32,
    index: usize,
    /// Selected boxes that it was compared with already.
    compared: usize,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.index.cmp(&self.index))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Limits {
    count: usize,
    iou: f32,
    score: f32,
    /// Width of the soft suppression; 0 is none.
    sigma: f32,
}

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let soft = matches!(ctx.node.op, Op::NonMaxSuppressionV5);
    let [count, coordinates] = dims(ctx.shape(0)?, "input 0")?;
    if coordinates != 4 {
        return Err(refuse("coordinates of a box in input 0", coordinates, "4"));
    }
    let (boxes, scores) = (ctx.slice::<f32>(0)?, ctx.slice::<f32>(1)?);
    check_len(scores, count, "input 1")?;
    let number = |i: usize| match ctx.slice::<f32>(i)? {
        [number] => Ok(*number),
        other => Err(refuse(format!("number of elements of input {i}"), other.len(), "1")),
    };
    let limit = match ctx.ints(2)?.as_slice() {
        [limit] => size("the number of boxes in input 2", *limit)?,
        other => return Err(refuse("number of elements of input 2", other.len(), "1")),
    };
    let sigma = if soft { number(5)? } else { 0.0 };
    if sigma < 0.0 {
        return Err(refuse("input 5", sigma, "a number that is not negative"));
    }
    let limits = Limits { count: limit, iou: number(3)?, score: number(4)?, sigma };
    let selected = select(boxes.as_chunks().0, scores, &limits);
    shape_output(ctx, 0, &[limit])?;
    let indices = ctx.output::<i32>(0)?;
    indices.fill(0);
    for (out, candidate) in indices.iter_mut().zip(&selected) {
        *out = i32::try_from(candidate.index).map_err(|_| refuse("index", candidate.index, "an INT32"))?;
    }
    if soft {
        shape_output(ctx, 1, &[limit])?;
        let kept = ctx.output::<f32>(1)?;
        kept.fill(0.0);
        kept.iter_mut().zip(&selected).for_each(|(out, candidate)| *out = candidate.score);
    }
    let last = if soft { 2 } else { 1 };
    shape_output(ctx, last, &[])?;
    let length = i32::try_from(selected.len()).map_err(|_| refuse("selected boxes", selected.len(), "an INT32"))?;
    ctx.output::<i32>(last)?.fill(length);
    Ok(())
}

fn select(boxes: &[[f32; 4]], scores: &[f32], limits: &Limits) -> Vec<Candidate> {
    let candidate = |(index, &score): (usize, &f32)| Candidate { score, index, compared: 0 };
    let mut heap: BinaryHeap<_> =
        scores.iter().enumerate().map(candidate).filter(|candidate| candidate.score > limits.score).collect();
    let decay = if limits.sigma > 0.0 { -0.5 / limits.sigma } else { 0.0 };
    let mut selected: Vec<Candidate> = Vec::new();
    while selected.len() < limits.count
        && let Some(mut next) = heap.pop()
    {
        let before = next.score;
        let mut suppressed = false;
        for better in selected[next.compared..].iter().rev() {
            let shared = overlap(&boxes[next.index], &boxes[better.index]);
            if shared >= limits.iou {
                suppressed = true;
                break;
            }
            if limits.sigma > 0.0 {
                next.score *= (decay * shared * shared).exp();
            }
            if next.score <= limits.score {
                break;
            }
        }
        next.compared = selected.len();
        if suppressed {
            continue;
        }
        if next.score == before {
            selected.push(next);
        } else if next.score > limits.score {
            heap.push(next);
        }
    }
    selected
}

/// Shared area by joint area of two boxes, given by any two opposite corners.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let ends = |c: &[f32; 4], axis: usize| (c[axis].min(c[axis + 2]), c[axis].max(c[axis + 2]));
    let area = |c: &[f32; 4]| (ends(c, 0).1 - ends(c, 0).0) * (ends(c, 1).1 - ends(c, 1).0);
    let (first, second) = (area(a), area(b));
    if first <= 0.0 || second <= 0.0 {
        return 0.0;
    }
    let side = |axis: usize| {
        let (a, b) = (ends(a, axis), ends(b, axis));
        (a.1.min(b.1) - a.0.max(b.0)).max(0.0)
    };
    let shared = side(0) * side(1);
    shared / (first + second - shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(limits: Limits) -> Vec<(usize, f32)> {
        let boxes = [[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.5, 1.0, 1.5], [2.0, 2.0, 3.0, 3.0], [0.0; 4]];
        let scores = [0.9, 0.95, 0.8, 0.8, 0.3];
        select(&boxes, &scores, &limits).iter().map(|c| (c.index, c.score)).collect()
    }

    #[test]
    fn overlapping_boxes_are_left_out() {
        let limits = |count, iou, score| Limits { count, iou, score, sigma: 0.0 };
        assert_eq!(chosen(limits(9, 0.5, 0.0)), [(1, 0.95), (2, 0.8), (3, 0.8), (4, 0.3)]);
        assert_eq!(chosen(limits(9, 0.2, 0.5)), [(1, 0.95), (3, 0.8)]);
        assert_eq!(chosen(limits(1, 0.5, 0.0)), [(1, 0.95)]);
    }

    #[test]
    fn soft_suppression_lowers_scores() {
        let soft = chosen(Limits { count: 9, iou: 1.0, score: 0.1, sigma: 0.5 });
        let indices: Vec<usize> = soft.iter().map(|&(index, _)| index).collect();
        assert_eq!(indices, [1, 3, 2, 4], "{soft:?}");
        assert!((soft[2].1 - 0.8 * (-1.0f32 / 9.0).exp()).abs() < 1e-6, "{soft:?}");
    }
}
