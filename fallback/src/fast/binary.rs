//! Arithmetic of two FLOAT32 tensors with broadcasting, and PRELU.

use BuiltinOperator as B;
use tflite_wgpu_model::{ActivationFunctionType, BuiltinOperator, DType, Op, infer};

use super::{FastKernel, Prepare, Ran, Row, Scratch};
use crate::{
    eval::{EvalCtx, KernelError},
    kernels::support::{Clamp, Dim, collapse, float_clamp, mismatch},
    simd::{Level, Simd, Vectorised},
};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Add, prepare },
    Row { op: B::Div, prepare },
    Row { op: B::Maximum, prepare },
    Row { op: B::Minimum, prepare },
    Row { op: B::Mul, prepare },
    Row { op: B::Prelu, prepare },
    Row { op: B::SquaredDifference, prepare },
    Row { op: B::Sub, prepare },
];

#[derive(Clone, Copy, PartialEq)]
enum Function {
    Add,
    Sub,
    Mul,
    Div,
    Maximum,
    Minimum,
    SquaredDifference,
    Prelu,
}

struct Binary {
    level: Level,
    function: Function,
    clamp: Clamp<f32>,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let floats = [given.input(0)?, given.input(1)?, given.output(0)?].iter().all(|t| t.dtype == DType::Float32);
    let none = ActivationFunctionType::None;
    let (function, activation) = match &given.node.op {
        Op::Add(options) => (Function::Add, options.fused_activation_function),
        Op::Sub(options) => (Function::Sub, options.fused_activation_function),
        Op::Mul(options) => (Function::Mul, options.fused_activation_function),
        Op::Div(options) => (Function::Div, options.fused_activation_function),
        Op::Maximum => (Function::Maximum, none),
        Op::Minimum => (Function::Minimum, none),
        Op::SquaredDifference => (Function::SquaredDifference, none),
        Op::Prelu => (Function::Prelu, none),
        _ => return None,
    };
    let clamp = float_clamp(activation).ok()?;
    floats.then(|| Box::new(Binary { level, function, clamp }) as Box<dyn FastKernel>)
}

/// One row of both operands; a step of 0 repeats the first element.
struct Run<'a, 'b> {
    function: Function,
    clamp: Clamp<f32>,
    a: &'a [f32],
    b: &'a [f32],
    steps: (usize, usize),
    out: &'b mut [f32],
}

impl Vectorised for Run<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.function {
            Function::Add => self.each(
                simd,
                #[inline(always)]
                |s: S, a, b| s.add(a, b),
            ),
            Function::Sub => self.each(
                simd,
                #[inline(always)]
                |s: S, a, b| s.sub(a, b),
            ),
            Function::Mul => self.each(
                simd,
                #[inline(always)]
                |s: S, a, b| s.mul(a, b),
            ),
            Function::Div => self.each(
                simd,
                #[inline(always)]
                |s: S, a, b| s.div(a, b),
            ),
            Function::Maximum => self.each(
                simd,
                #[inline(always)]
                |s: S, a, b| s.max(a, b),
            ),
            Function::Minimum => self.each(
                simd,
                #[inline(always)]
                |s: S, a, b| s.min(a, b),
            ),
            Function::SquaredDifference => self.each(
                simd,
                #[inline(always)]
                |s: S, a, b| s.mul(s.sub(a, b), s.sub(a, b)),
            ),
            Function::Prelu => {
                self.each(
                    simd,
                    #[inline(always)]
                    |s: S, a, b| s.where_less(a, s.splat(0.0), s.mul(a, b), a),
                );
            }
        }
    }
}

impl Run<'_, '_> {
    #[inline(always)]
    fn each<S: Simd>(self, simd: S, f: impl Fn(S, S::F, S::F) -> S::F) {
        let (min, max) = (simd.splat(self.clamp.min), simd.splat(self.clamp.max));
        let len = self.out.len();
        let first = |from: &[f32]| from.first().copied().unwrap_or(0.0);
        let (a0, b0) = (simd.splat(first(self.a)), simd.splat(first(self.b)));
        let (a_moves, b_moves) = (self.steps.0 != 0, self.steps.1 != 0);
        assert!(!a_moves || self.a.len() >= len);
        assert!(!b_moves || self.b.len() >= len);
        let whole = len / S::LANES * S::LANES;
        let mut at = 0;
        while at < whole {
            let a = if a_moves { simd.load(&self.a[at..]) } else { a0 };
            let b = if b_moves { simd.load(&self.b[at..]) } else { b0 };
            simd.store(&mut self.out[at..], simd.min(max, simd.max(min, f(simd, a, b))));
            at += S::LANES;
        }
        if at < len {
            let a = if a_moves { simd.load_part(&self.a[at..len]) } else { a0 };
            let b = if b_moves { simd.load_part(&self.b[at..len]) } else { b0 };
            simd.store_part(&mut self.out[at..], simd.min(max, simd.max(min, f(simd, a, b))));
        }
    }
}

/// How two shapes broadcast.
struct Broadcast {
    shapes: [Vec<usize>; 2],
    dims: Vec<Dim>,
}

impl FastKernel for Binary {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let threads = ctx.env.threads;
        let (a, b) = (ctx.slice::<f32>(0)?, ctx.slice::<f32>(1)?);
        let shapes = [ctx.shape(0)?, ctx.shape(1)?];
        let make = || {
            let shape = infer::broadcast(&shapes).map_err(mismatch)?;
            let dims = collapse(shapes[0], shapes[1], &shape);
            Ok(Broadcast { shapes: shapes.map(<[usize]>::to_vec), dims })
        };
        let (broadcast, _) =
            scratch.keep(|kept: &Broadcast| kept.shapes[0] == shapes[0] && kept.shapes[1] == shapes[1], make)?;
        let Some((inner, outer)) = broadcast.dims.split_last() else { return Ok(Ran::Refused) };
        let out = ctx.output::<f32>(0)?;
        let count = broadcast.dims.iter().map(|dim| dim.size).product::<usize>();
        if out.len() != count || count == 0 {
            return Ok(Ran::Refused);
        }
        let run = |a, b, out: &mut [f32]| {
            let (function, clamp, steps) = (self.function, self.clamp, (inner.a, inner.b));
            self.level.run(Run { function, clamp, a, b, steps, out });
        };
        if outer.is_empty() {
            let split = threads.split(out.len(), 64, 1);
            threads.each(split, out, 1, |first, out| {
                run(&a[first * inner.a..], &b[first * inner.b..], out);
            });
            return Ok(Ran::Done);
        }
        let split = threads.split(count / inner.size, 1, inner.size);
        threads.each(split, out, inner.size, |first, out| {
            for (row, out) in (first..).zip(out.chunks_exact_mut(inner.size)) {
                let (mut rest, mut at_a, mut at_b) = (row, 0, 0);
                for dim in outer.iter().rev() {
                    at_a += rest % dim.size * dim.a;
                    at_b += rest % dim.size * dim.b;
                    rest /= dim.size;
                }
                run(&a[at_a..], &b[at_b..], out);
            }
        });
        Ok(Ran::Done)
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{AddOptions, MulOptions};

    use super::*;
    use crate::fast::testing::{Operand, check, value};

    #[test]
    fn shapes_broadcast() -> Result<(), Box<dyn std::error::Error>> {
        let relu = AddOptions { fused_activation_function: ActivationFunctionType::Relu, ..Default::default() };
        let ops = [
            Op::Add(relu),
            Op::Sub(Default::default()),
            Op::Mul(MulOptions { fused_activation_function: ActivationFunctionType::Relu6 }),
            Op::Div(Default::default()),
            Op::Maximum,
            Op::Minimum,
            Op::SquaredDifference,
            Op::Prelu,
        ];
        let cases: [(&[usize], &[usize], &[usize]); 8] = [
            (&[2, 3, 5], &[2, 3, 5], &[2, 3, 5]),
            (&[1, 40, 50, 33], &[1, 40, 50, 33], &[1, 40, 50, 33]),
            (&[4, 70], &[1], &[4, 70]),
            (&[], &[3, 17], &[3, 17]),
            (&[2, 6, 33], &[33], &[2, 6, 33]),
            (&[2, 6, 33], &[2, 6, 1], &[2, 6, 33]),
            (&[1, 6, 1], &[3, 1, 40], &[3, 6, 40]),
            (&[2, 30, 40, 24], &[2, 1, 1, 24], &[2, 30, 40, 24]),
        ];
        for op in &ops {
            for (a, b, y) in cases {
                if *op == Op::Prelu && a != y {
                    continue;
                }
                let operands = [Operand::Input(value(1, a)?), Operand::Input(value(2, b)?)];
                check(prepare_at, op.clone(), &operands, &[y])
                    .map_err(|error| format!("{op:?} {a:?} {b:?}: {error}"))?;
            }
        }
        Ok(())
    }

    #[test]
    fn extremes_take_the_second_operand_beside_not_a_number() -> Result<(), Box<dyn std::error::Error>> {
        let (mut a, mut b) = (value(1, &[40])?, value(2, &[40])?);
        a.as_mut_slice::<f32>()?[3] = f32::NAN;
        b.as_mut_slice::<f32>()?[5] = f32::NAN;
        b.as_mut_slice::<f32>()?[38] = f32::NAN;
        for op in [Op::Maximum, Op::Minimum] {
            let operands = [Operand::Input(a.clone()), Operand::Input(b.clone())];
            check(prepare_at, op, &operands, &[&[40]])?;
        }
        Ok(())
    }
}
