//! MEAN and SUM of FLOAT32 over neighbouring axes.

use tflite_wgpu_model::{BuiltinOperator, DType, Op, infer};

use super::{FastKernel, Prepare, Ran, Row, Scratch};
use crate::{
    eval::{EvalCtx, KernelError},
    simd::{Level, Simd, Vectorised},
};

pub(super) const ROWS: &[Row] =
    &[Row { op: BuiltinOperator::Mean, prepare }, Row { op: BuiltinOperator::Sum, prepare }];

struct Reduce {
    level: Level,
    mean: bool,
    axes: Vec<i64>,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    if given.input(0)?.dtype != DType::Float32 || given.output(0)?.dtype != DType::Float32 {
        return None;
    }
    let axes = given.constant(1)?.value().to_ints()?;
    let mean = matches!(given.node.op, Op::Mean(_));
    Some(Box::new(Reduce { level, mean, axes }))
}

/// Sizes of what is kept before the reduced axes, of these, and of what is kept behind them; `None` when the reduced
/// axes are no neighbours.
fn split(shape: &[usize], axes: &[usize]) -> Option<[usize; 3]> {
    let (first, last) = (*axes.first()?, *axes.last()?);
    // Axes of one element do not matter.
    let whole = (first..=last).all(|axis| axes.contains(&axis) || shape.get(axis) == Some(&1));
    let product = |part: &[usize]| part.iter().product();
    whole.then(|| [product(&shape[..first]), product(&shape[first..=last]), product(&shape[last + 1..])])
}

/// `out[o][i] = factor * Σ_r input[o][r][i]` for the columns from `first` on.
struct Sums<'a, 'b> {
    input: &'a [f32],
    reduced: usize,
    inner: usize,
    first: usize,
    factor: f32,
    out: &'b mut [f32],
}

impl Vectorised for Sums<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if self.inner == 1 {
            for (x, y) in self.input.chunks_exact(self.reduced).zip(self.out) {
                *y = row(simd, x) * self.factor;
            }
            return;
        }
        let factor = simd.splat(self.factor);
        for (block, out) in self.out.chunks_mut(4 * S::LANES).enumerate() {
            let at = self.first + block * 4 * S::LANES;
            let mut sums = [simd.splat(0.0); 4];
            for r in 0..self.reduced {
                let x = &self.input[r * self.inner + at..][..out.len()];
                for (sum, x) in sums.iter_mut().zip(x.chunks(S::LANES)) {
                    *sum = simd.add(*sum, if x.len() == S::LANES { simd.load(x) } else { simd.load_part(x) });
                }
            }
            for (out, sum) in out.chunks_mut(S::LANES).zip(sums) {
                simd.store_part(out, simd.mul(sum, factor));
            }
        }
    }
}

#[inline(always)]
fn row<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let mut sums = [simd.splat(0.0); 2];
    for (i, x) in x.chunks(S::LANES).enumerate() {
        sums[i % 2] = simd.add(sums[i % 2], simd.load_part(x));
    }
    simd.sum(simd.add(sums[0], sums[1]))
}

impl FastKernel for Reduce {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let threads = ctx.env.threads;
        let shape = ctx.shape(0)?;
        let make = || {
            let axes = infer::reduced_axes(&self.axes, shape.len()).unwrap_or_default();
            Ok((shape.to_vec(), split(shape, &axes)))
        };
        let (kept, _) = scratch.keep(|kept: &(Vec<usize>, Option<[usize; 3]>)| kept.0 == shape, make)?;
        let Some([outer, reduced, inner]) = kept.1 else { return Ok(Ran::Refused) };
        let input = ctx.slice::<f32>(0)?;
        let out = ctx.output::<f32>(0)?;
        if out.is_empty() || reduced == 0 || out.len() != outer * inner || input.len() != out.len() * reduced {
            return Ok(Ran::Refused);
        }
        let factor = if self.mean { 1.0 / reduced as f32 } else { 1.0 };
        if inner == 1 {
            let split = threads.split(outer, 1, reduced);
            threads.each(split, out, 1, |first, out| {
                let input = &input[first * reduced..][..out.len() * reduced];
                self.level.run(Sums { input, reduced, inner, first: 0, factor, out });
            });
            return Ok(Ran::Done);
        }
        for (input, out) in input.chunks_exact(reduced * inner).zip(out.chunks_exact_mut(inner)) {
            let split = threads.split(inner, 64, reduced);
            threads.each(split, out, 1, |first, out| {
                self.level.run(Sums { input, reduced, inner, first, factor, out });
            });
        }
        Ok(Ran::Done)
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::ReducerOptions;

    use super::*;
    use crate::{
        Value,
        fast::testing::{Operand, check, value},
    };

    #[test]
    fn neighbouring_axes() -> Result<(), Box<dyn std::error::Error>> {
        let cases: [(&[usize], &[i32], &[usize]); 6] = [
            (&[1, 7, 7, 100], &[1, 2], &[1, 100]),
            (&[2, 5, 3, 9], &[2, 1], &[2, 9]),
            (&[3, 30, 77], &[-1], &[3, 30]),
            (&[1, 1, 130], &[0, 2], &[1]),
            (&[5, 4], &[0, 1], &[]),
            (&[1, 60, 60, 70], &[1, 2], &[1, 70]),
        ];
        for (shape, axes, out) in cases {
            for op in [Op::Mean(ReducerOptions { keep_dims: false }), Op::Sum(ReducerOptions { keep_dims: false })] {
                let axes = Operand::Constant(Value::i32(&[axes.len()], axes)?);
                check(prepare_at, op, &[Operand::Input(value(1, shape)?), axes], &[out])
                    .map_err(|error| format!("{shape:?}: {error}"))?;
            }
        }
        Ok(())
    }

    #[test]
    fn axes_apart_are_left_to_the_plain_kernel() {
        assert_eq!(split(&[2, 3, 4], &[0, 2]), None);
        assert_eq!(split(&[2, 1, 4], &[0, 2]), Some([1, 8, 1]));
        assert_eq!(split(&[2, 3, 4], &[]), None);
    }
}
