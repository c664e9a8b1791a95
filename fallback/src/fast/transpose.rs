//! TRANSPOSE of any type, and RESHAPE, SQUEEZE and EXPAND_DIMS, which only copy.

use bytemuck::Pod;
use tflite_wgpu_model::{BuiltinOperator, DType};

use super::{FastKernel, Prepare, Ran, Row, Scratch};
use crate::{
    eval::{EvalCtx, KernelError},
    threads::Threads,
};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Transpose, prepare },
    Row { op: BuiltinOperator::Reshape, prepare: same_order },
    Row { op: BuiltinOperator::Squeeze, prepare: same_order },
    Row { op: BuiltinOperator::ExpandDims, prepare: same_order },
];

/// Axes that are told apart at most.
const MOST_AXES: usize = 8;
/// Bytes of a line that threads share at the least when they copy.
const LINE: usize = 64;
/// Bytes that take as long to copy as a step.
const STEP_BYTES: usize = 4;

struct Transpose {
    dtype: DType,
    permutation: Vec<usize>,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let dtype = given.input(0)?.dtype;
    if given.output(0)?.dtype != dtype || !matches!(dtype.size(), Some(1 | 2 | 4 | 8)) {
        return None;
    }
    let list = given.constant(1)?.value().to_ints()?;
    let rank = i64::try_from(list.len()).ok()?;
    let axis = |&axis: &i64| usize::try_from(if axis < 0 { axis + rank } else { axis }).ok();
    let permutation = list.iter().map(axis).collect::<Option<Vec<usize>>>()?;
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    let good = sorted.into_iter().eq(0..list.len()) && list.len() <= MOST_AXES;
    good.then(|| Box::new(Transpose { dtype, permutation }) as _)
}

/// One axis of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Axis {
    size: usize,
    /// Elements of the input from one index to the next.
    step: usize,
}

/// The output's axes, neighbours that are neighbours in the input as well taken together; at least one.
fn axes(shape: &[usize], permutation: &[usize]) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::with_capacity(shape.len().max(1));
    for &from in permutation {
        let axis = Axis { size: shape[from], step: shape[from + 1..].iter().product() };
        match merged.last_mut() {
            _ if axis.size == 1 => {}
            Some(last) if last.step == axis.size * axis.step => {
                *last = Axis { size: last.size * axis.size, step: axis.step };
            }
            _ => merged.push(axis),
        }
    }
    if merged.is_empty() {
        merged.push(Axis { size: 1, step: 1 });
    }
    merged
}

impl FastKernel for Transpose {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (input, threads) = (ctx.input(0)?, ctx.env.threads);
        let (shape, output) = (input.shape(), ctx.output_value(0)?);
        let fits = input.dtype() == self.dtype
            && output.dtype() == self.dtype
            && shape.len() == self.permutation.len()
            && self.permutation.iter().zip(output.shape()).all(|(&from, &size)| shape[from] == size);
        if !fits || input.is_empty() {
            return Ok(Ran::Refused);
        }
        let make = || Ok((shape.to_vec(), axes(shape, &self.permutation)));
        let (kept, _) = scratch.keep(|kept: &(Vec<usize>, Vec<Axis>)| kept.0 == shape, make)?;
        let (axes, from, out) = (kept.1.as_slice(), input.bytes(), output.bytes_mut());
        match self.dtype.size() {
            Some(1) => transpose::<u8>(threads, axes, from, out),
            Some(2) => transpose::<u16>(threads, axes, bytemuck::cast_slice(from), bytemuck::cast_slice_mut(out)),
            Some(4) => transpose::<u32>(threads, axes, bytemuck::cast_slice(from), bytemuck::cast_slice_mut(out)),
            _ => transpose::<u64>(threads, axes, bytemuck::cast_slice(from), bytemuck::cast_slice_mut(out)),
        }
        Ok(Ran::Done)
    }
}

fn transpose<T: Pod + Send + Sync>(threads: Threads<'_>, axes: &[Axis], input: &[T], out: &mut [T]) {
    let Some((inner, outer)) = axes.split_last() else { return };
    let split = threads.split(out.len() / inner.size, 1, inner.size.saturating_mul(2));
    threads.each(split, out, inner.size, |first, out| {
        let mut at = [0; MOST_AXES];
        let (mut rest, mut from) = (first, 0);
        for (at, axis) in at.iter_mut().zip(outer).rev() {
            *at = rest % axis.size;
            from += *at * axis.step;
            rest /= axis.size;
        }
        for out in out.chunks_exact_mut(inner.size) {
            if inner.step == 1 {
                out.copy_from_slice(&input[from..from + inner.size]);
            } else {
                out.iter_mut().zip(input[from..].iter().step_by(inner.step)).for_each(|(to, &from)| *to = from);
            }
            // On to the next index of the outer axes.
            for (at, axis) in at.iter_mut().zip(outer).rev() {
                (*at, from) = (*at + 1, from + axis.step);
                if *at < axis.size {
                    break;
                }
                (*at, from) = (0, from - axis.size * axis.step);
            }
        }
    });
}

struct SameOrder(DType);

fn same_order(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let dtype = given.input(0)?.dtype;
    (given.output(0)?.dtype == dtype && dtype != DType::String).then(|| Box::new(SameOrder(dtype)) as _)
}

impl FastKernel for SameOrder {
    fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (input, threads) = (ctx.input(0)?, ctx.env.threads);
        let output = ctx.output_value(0)?;
        // An empty output may be one whose shape nobody knows yet.
        let fits = input.dtype() == self.0 && output.dtype() == self.0 && input.bytes().len() == output.bytes().len();
        if !fits || input.is_empty() {
            return Ok(Ran::Refused);
        }
        let (from, out) = (input.bytes(), output.bytes_mut());
        let split = threads.split(out.len().div_ceil(LINE), 1, LINE / STEP_BYTES);
        threads.each(split, out, LINE, |first, out| out.copy_from_slice(&from[first * LINE..][..out.len()]));
        Ok(Ran::Done)
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{Op, ReshapeOptions};

    use super::*;
    use crate::{
        Value,
        fast::testing::{Operand, check, value},
    };

    #[test]
    fn axes_change_places() -> Result<(), Box<dyn std::error::Error>> {
        let cases: [(&[usize], &[i32]); 9] = [
            (&[2, 3], &[1, 0]),
            (&[1, 30, 3, 16], &[0, 2, 1, 3]),
            (&[1, 30, 3, 16], &[0, 2, -1, 1]),
            (&[5, 4, 3, 2], &[3, 2, 1, 0]),
            (&[2, 3, 4, 5], &[1, 2, 3, 0]),
            (&[7, 1, 9], &[1, 0, 2]),
            (&[1, 1], &[1, 0]),
            (&[2, 2, 3, 2, 2, 3], &[5, 0, 3, 1, 4, 2]),
            (&[200, 70, 10], &[2, 0, 1]),
        ];
        for (shape, permutation) in cases {
            let rank = shape.len() as i32;
            let out: Vec<usize> = permutation.iter().map(|&d| shape[d.rem_euclid(rank) as usize]).collect();
            let list = Operand::Constant(Value::i32(&[permutation.len()], permutation)?);
            check(|_, given| prepare(given), Op::Transpose, &[Operand::Input(value(1, shape)?), list], &[&out])
                .map_err(|error| format!("{shape:?} {permutation:?}: {error}"))?;
        }
        Ok(())
    }

    #[test]
    fn neighbours_stay_together() {
        let axis = |size, step| Axis { size, step };
        assert_eq!(axes(&[2, 3, 4], &[0, 1, 2]), [axis(24, 1)]);
        assert_eq!(axes(&[1, 5, 3, 8], &[0, 2, 1, 3]), [axis(3, 8), axis(5, 24), axis(8, 1)]);
        assert_eq!(axes(&[2, 3, 4], &[2, 0, 1]), [axis(4, 1), axis(6, 4)]);
        assert_eq!(axes(&[1, 1], &[1, 0]), [axis(1, 1)]);
    }

    #[test]
    fn the_same_order() -> Result<(), Box<dyn std::error::Error>> {
        for len in [1, 40, 100_000] {
            let shape = Operand::Constant(Value::i32(&[2], &[1, len])?);
            let len = len as usize;
            let op = Op::Reshape(ReshapeOptions::default());
            check(|_, given| same_order(given), op, &[Operand::Input(value(1, &[len])?), shape], &[&[1, len]])
                .map_err(|error| format!("{len}: {error}"))?;
        }
        Ok(())
    }
}
