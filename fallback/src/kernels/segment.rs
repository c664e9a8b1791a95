//! SEGMENT_SUM and the UNSORTED_SEGMENT_ operators: slices of a tensor folded by the number of their segment.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType};

use super::checks::{shape_output, size};
use super::elements::count;
use super::support::{no_type, refuse};
use super::{Element, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::SegmentSum, eval: segment_sum },
    Row { op: B::UnsortedSegmentSum, eval: |ctx| unsorted(ctx, Fold::Sum) },
    Row { op: B::UnsortedSegmentProd, eval: |ctx| unsorted(ctx, Fold::Product) },
    Row { op: B::UnsortedSegmentMax, eval: |ctx| unsorted(ctx, Fold::Max) },
    Row { op: B::UnsortedSegmentMin, eval: |ctx| unsorted(ctx, Fold::Min) },
];

#[derive(Clone, Copy)]
enum Fold {
    Sum,
    Product,
    Max,
    Min,
}

fn segment_sum(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let ids = ctx.ints(1)?;
    if ids.first().is_some_and(|&first| first < 0) || ids.windows(2).any(|pair| pair[1] < pair[0]) {
        return Err(refuse("input 1", format!("{ids:?}"), "numbers that rise from 0"));
    }
    let segments = ids.last().map_or(Ok(0), |&last| size("a segment", last.saturating_add(1)))?;
    fold(ctx, &ids, segments, Fold::Sum)
}

fn unsorted(ctx: &mut EvalCtx<'_>, kind: Fold) -> Result<(), KernelError> {
    let segments = match ctx.ints(2)?.as_slice() {
        [segments] => size("the number of segments", *segments)?,
        other => return Err(refuse("number of elements of input 2", other.len(), "1")),
    };
    let ids = ctx.ints(1)?;
    fold(ctx, &ids, segments, kind)
}

fn fold(ctx: &mut EvalCtx<'_>, ids: &[i64], segments: usize, kind: Fold) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => {
            let max = |a: f32, b: f32| if a < b { b } else { a };
            let min = |a: f32, b: f32| if b < a { b } else { a };
            match kind {
                Fold::Sum => of(ctx, ids, segments, 0.0, |a: f32, b| a + b),
                Fold::Product => of(ctx, ids, segments, 1.0, |a: f32, b| a * b),
                Fold::Max => of(ctx, ids, segments, f32::MIN, max),
                Fold::Min => of(ctx, ids, segments, f32::MAX, min),
            }
        }
        DType::Int32 => match kind {
            Fold::Sum => of(ctx, ids, segments, 0, i32::wrapping_add),
            Fold::Product => of(ctx, ids, segments, 1, i32::wrapping_mul),
            Fold::Max => of(ctx, ids, segments, i32::MIN, i32::max),
            Fold::Min => of(ctx, ids, segments, i32::MAX, i32::min),
        },
        _ => Err(no_type(ctx, 0, "FLOAT32 or INT32")),
    }
}

/// Slices with a negative segment are left out.
fn of<T: Element>(
    ctx: &mut EvalCtx<'_>,
    ids: &[i64],
    segments: usize,
    start: T,
    step: impl Fn(T, T) -> T,
) -> Result<(), KernelError> {
    let (shape, ids_shape) = (ctx.shape(0)?, ctx.shape(1)?);
    let Some(rest) = shape.strip_prefix(ids_shape) else {
        return Err(refuse("shape of input 1", format!("{ids_shape:?}"), format!("the first dimensions of {shape:?}")));
    };
    let len = count(rest)?;
    let input = ctx.slice::<T>(0)?;
    let out_shape = [&[segments], rest].concat();
    shape_output(ctx, 0, &out_shape)?;
    let out = ctx.output::<T>(0)?;
    out.fill(start);
    for (slice, &id) in input.chunks_exact(len.max(1)).zip(ids) {
        if id < 0 {
            continue;
        }
        let segment = usize::try_from(id).ok().filter(|&segment| segment < segments);
        let segment = segment.ok_or_else(|| refuse("a segment", id, format!("less than {segments}")))?;
        out[segment * len..][..len].iter_mut().zip(slice).for_each(|(sum, &x)| *sum = step(*sum, x));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::Op;

    use super::*;
    use crate::kernels::testing::{f32s, i32s, run};

    #[test]
    fn slices_are_folded_by_segment() -> Result<(), KernelError> {
        let data = f32s(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let sum = |ids: &[i32]| run(Op::SegmentSum, &[data.clone(), i32s(&[3], ids)], DType::Float32);
        assert_eq!(sum(&[0, 0, 2])?, f32s(&[3, 2], &[4.0, 6.0, 0.0, 0.0, 5.0, 6.0]));
        assert!(sum(&[1, 0, 2]).is_err() && sum(&[-1, 0, 2]).is_err());
        let max = |ids: &[i32]| {
            run(Op::UnsortedSegmentMax, &[data.clone(), i32s(&[3], ids), i32s(&[], &[2])], DType::Float32)
        };
        assert_eq!(max(&[1, -1, 1])?, f32s(&[2, 2], &[f32::MIN, f32::MIN, 5.0, 6.0]));
        assert!(max(&[0, 2, 0]).is_err());
        Ok(())
    }
}
