//! SOFTMAX of FLOAT32 over the last dimension.

use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::{FastKernel, Prepare, Ran, Row, Scratch};
use crate::{
    eval::{EvalCtx, KernelError},
    simd::{Level, Simd, Vectorised, Wide, functions},
};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::Softmax, prepare }];

struct Softmax {
    level: Level,
    beta: f32,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::Softmax(options) = &given.node.op else { return None };
    let floats = given.input(0)?.dtype == DType::Float32 && given.output(0)?.dtype == DType::Float32;
    floats.then(|| Box::new(Softmax { level, beta: options.beta }) as Box<dyn FastKernel>)
}

/// Rows of `depth` elements.
struct Rows<'a, 'b> {
    beta: f32,
    depth: usize,
    input: &'a [f32],
    out: &'b mut [f32],
}

impl Vectorised for Rows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (x, y) in self.input.chunks_exact(self.depth).zip(self.out.chunks_exact_mut(self.depth)) {
            row(simd, self.beta, x, y);
        }
    }
}

#[inline(always)]
fn row<S: Simd>(simd: S, beta: f32, x: &[f32], y: &mut [f32]) {
    let whole = x.len() / S::LANES * S::LANES;
    let mut largest = simd.splat(f32::MIN);
    for x in x[..whole].chunks_exact(S::LANES) {
        largest = simd.max(simd.load(x), largest);
    }
    let largest = x[whole..].iter().fold(simd.largest(largest), |max, &x| if max < x { x } else { max });
    let mut sums = simd.splat(0.0);
    let (wide, blocks) = (Wide(simd), x.len() / Wide::<S>::LANES * Wide::<S>::LANES);
    let (offset, factor) = (wide.splat(largest), wide.splat(beta));
    for (x, y) in x[..blocks].chunks_exact(Wide::<S>::LANES).zip(y[..blocks].chunks_exact_mut(Wide::<S>::LANES)) {
        let powers = functions::exp(wide, wide.mul(wide.sub(wide.load(x), offset), factor));
        for power in powers {
            sums = simd.add(sums, power);
        }
        wide.store(y, powers);
    }
    let (offset, beta) = (simd.splat(largest), simd.splat(beta));
    for (x, y) in x[blocks..whole].chunks_exact(S::LANES).zip(y[blocks..whole].chunks_exact_mut(S::LANES)) {
        let power = functions::exp(simd, simd.mul(simd.sub(simd.load(x), offset), beta));
        sums = simd.add(sums, power);
        simd.store(y, power);
    }
    let power = functions::exp(simd, simd.mul(simd.sub(simd.load_part(&x[whole..]), offset), beta));
    simd.store_part(&mut y[whole..], power);
    let sum = y[whole..].iter().fold(simd.sum(sums), |sum, y| sum + y);
    let factor = simd.splat(1.0 / sum);
    let (y, rest) = y.split_at_mut(whole);
    for y in y.chunks_exact_mut(S::LANES) {
        let scaled = simd.mul(simd.load(y), factor);
        simd.store(y, scaled);
    }
    let scaled = simd.mul(simd.load_part(rest), factor);
    simd.store_part(rest, scaled);
}

impl FastKernel for Softmax {
    fn run(&self, ctx: &mut EvalCtx<'_>, _scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let threads = ctx.env.threads;
        let depth = ctx.shape(0)?.last().copied().unwrap_or(1);
        let input = ctx.slice::<f32>(0)?;
        let out = ctx.output::<f32>(0)?;
        if input.len() != out.len() || depth == 0 {
            return Ok(Ran::Refused);
        }
        let split = threads.split(out.len() / depth, 1, depth * 2);
        threads.each(split, out, depth, |first, out| {
            let input = &input[first * depth..][..out.len()];
            self.level.run(Rows { beta: self.beta, depth, input, out });
        });
        Ok(Ran::Done)
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::SoftmaxOptions;

    use super::*;
    use crate::{
        Value,
        fast::testing::{Operand, check, value},
    };

    #[test]
    fn rows_sum_to_one() -> Result<(), Box<dyn std::error::Error>> {
        let cases: [(&[usize], f32); 6] =
            [(&[1, 1001], 1.0), (&[3, 7], 2.0), (&[4, 12, 64], 0.5), (&[16], 1.0), (&[5, 1], 1.0), (&[], 1.0)];
        for (shape, beta) in cases {
            let op = Op::Softmax(SoftmaxOptions { beta });
            check(prepare_at, op, &[Operand::Input(value(1, shape)?)], &[shape])
                .map_err(|error| format!("{shape:?}: {error}"))?;
        }
        Ok(())
    }

    #[test]
    fn masks_and_nan() -> Result<(), Box<dyn std::error::Error>> {
        for special in [f32::NEG_INFINITY, f32::NAN, -1e30, 1e30] {
            let mut x = vec![0.5f32; 40];
            (x[3], x[37]) = (special, special);
            let op = Op::Softmax(SoftmaxOptions { beta: 1.0 });
            check(prepare_at, op, &[Operand::Input(Value::f32(&[2, 20], &x)?)], &[&[2, 20]])
                .map_err(|error| format!("{special}: {error}"))?;
        }
        Ok(())
    }
}
