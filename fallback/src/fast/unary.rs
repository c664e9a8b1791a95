//! Functions of one FLOAT32 tensor, element by element.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::{FastKernel, Prepare, Ran, Row, Scratch};
use crate::{
    eval::{EvalCtx, KernelError},
    simd::{Lanewise, Level, Simd, Vectorised, Wide, functions},
};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Abs, prepare },
    Row { op: B::Exp, prepare },
    Row { op: B::Gelu, prepare },
    Row { op: B::HardSwish, prepare },
    Row { op: B::LeakyRelu, prepare },
    Row { op: B::Logistic, prepare },
    Row { op: B::Neg, prepare },
    Row { op: B::Relu, prepare },
    Row { op: B::Relu6, prepare },
    Row { op: B::Rsqrt, prepare },
    Row { op: B::Sqrt, prepare },
    Row { op: B::Square, prepare },
    Row { op: B::Tanh, prepare },
];

/// Declares functions of one vector: name, then the expression with `simd` and `x`.
macro_rules! lanewise {
    ($($name:ident: |$simd:ident, $x:ident| $value:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        impl Lanewise for $name {
            #[inline(always)]
            fn apply<S: Simd>(self, $simd: S, $x: S::F) -> S::F {
                $value
            }
        }
    )*};
}

lanewise! {
    Abs: |simd, x| simd.where_less(x, simd.splat(0.0), simd.sub(simd.splat(0.0), x), simd.add(x, simd.splat(0.0)));
    Exp: |simd, x| functions::exp(simd, x);
    Gelu: |simd, x| functions::gelu(simd, x);
    GeluTanh: |simd, x| functions::gelu_tanh(simd, x);
    Logistic: |simd, x| functions::logistic(simd, x);
    Neg: |simd, x| simd.mul(simd.splat(-1.0), x);
    Rsqrt: |simd, x| simd.div(simd.splat(1.0), simd.sqrt(x));
    Sqrt: |simd, x| simd.sqrt(x);
    Square: |simd, x| simd.mul(x, x);
    Tanh: |simd, x| functions::tanh(simd, x);
    HardSwish: |simd, x| {
        let raised = simd.max(simd.splat(0.0), simd.add(x, simd.splat(3.0)));
        simd.mul(simd.mul(x, simd.min(simd.splat(6.0), raised)), simd.splat(1.0 / 6.0))
    };
}

/// A range.
#[derive(Clone, Copy)]
struct Clamp(f32, f32);

impl Lanewise for Clamp {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F {
        simd.min(simd.splat(self.1), simd.max(simd.splat(self.0), x))
    }
}

/// Negative values times a factor.
#[derive(Clone, Copy)]
struct LeakyRelu(f32);

impl Lanewise for LeakyRelu {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F) -> S::F {
        simd.where_less(simd.splat(0.0), x, x, simd.mul(x, simd.splat(self.0)))
    }
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    if given.input(0)?.dtype != DType::Float32 || given.output(0)?.dtype != DType::Float32 {
        return None;
    }
    fn of<L: Lanewise + 'static>(level: Level, f: L, steps: usize) -> Option<Box<dyn FastKernel>> {
        Some(Box::new(Unary { level, f, steps }))
    }
    match &given.node.op {
        Op::Abs => of(level, Abs, 1),
        Op::Exp => of(level, Exp, 2),
        Op::Gelu(options) if options.approximate => of(level, GeluTanh, 3),
        Op::Gelu(_) => of(level, Gelu, 3),
        Op::HardSwish => of(level, HardSwish, 1),
        Op::LeakyRelu(options) => of(level, LeakyRelu(options.alpha), 1),
        Op::Logistic => of(level, Logistic, 2),
        Op::Neg => of(level, Neg, 1),
        Op::Relu => of(level, Clamp(0.0, f32::INFINITY), 1),
        Op::Relu6 => of(level, Clamp(0.0, 6.0), 1),
        Op::Rsqrt => of(level, Rsqrt, 1),
        Op::Sqrt => of(level, Sqrt, 1),
        Op::Square => of(level, Square, 1),
        Op::Tanh => of(level, Tanh, 3),
        _ => None,
    }
}

struct Unary<L> {
    level: Level,
    f: L,
    /// Work of one element, in steps.
    steps: usize,
}

/// `out = f(input)`
struct Map<'a, 'b, L>(L, &'a [f32], &'b mut [f32]);

impl<L: Lanewise> Vectorised for Map<'_, '_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(f, input, out) = self;
        let (wide, whole) = (Wide(simd), input.len() / Wide::<S>::LANES * Wide::<S>::LANES);
        let (input, rest) = input.split_at(whole);
        let (out, behind) = out.split_at_mut(whole);
        for (x, y) in input.chunks_exact(Wide::<S>::LANES).zip(out.chunks_exact_mut(Wide::<S>::LANES)) {
            wide.store(y, f.apply(wide, wide.load(x)));
        }
        let (input, out) = (rest, behind);
        let (mut xs, mut ys) = (input.chunks_exact(S::LANES), out.chunks_exact_mut(S::LANES));
        for (x, y) in xs.by_ref().zip(ys.by_ref()) {
            simd.store(y, f.apply(simd, simd.load(x)));
        }
        simd.store_part(ys.into_remainder(), f.apply(simd, simd.load_part(xs.remainder())));
    }
}

impl<L: Lanewise> FastKernel for Unary<L> {
    fn run(&self, ctx: &mut EvalCtx<'_>, _scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let threads = ctx.env.threads;
        let input = ctx.slice::<f32>(0)?;
        let out = ctx.output::<f32>(0)?;
        if input.len() != out.len() {
            return Ok(Ran::Refused);
        }
        let split = threads.split(out.len(), 64, self.steps);
        threads.each(split, out, 1, |first, out| {
            self.level.run(Map(self.f, &input[first..first + out.len()], out));
        });
        Ok(Ran::Done)
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{GeluOptions, LeakyReluOptions};

    use super::*;
    use crate::{
        Value,
        fast::testing::{Operand, check, noise},
    };

    #[test]
    fn functions() -> Result<(), Box<dyn std::error::Error>> {
        let leaky = LeakyReluOptions { alpha: 0.1 };
        let ops = [
            (Op::Abs, 5.0),
            (Op::Exp, 2.0),
            (Op::Exp, 80.0),
            (Op::Gelu(GeluOptions { approximate: true }), 4.0),
            (Op::Gelu(GeluOptions { approximate: false }), 0.01),
            (Op::Gelu(GeluOptions { approximate: false }), 8.0),
            (Op::HardSwish, 8.0),
            (Op::LeakyRelu(leaky), 2.0),
            (Op::Logistic, 0.1),
            (Op::Logistic, 30.0),
            (Op::Neg, 3.0),
            (Op::Relu, 3.0),
            (Op::Relu6, 9.0),
            (Op::Rsqrt, -1.0),
            (Op::Sqrt, -2.0),
            (Op::Square, 3.0),
            (Op::Tanh, 1e-4),
            (Op::Tanh, 1.0),
            (Op::Tanh, 30.0),
        ];
        for (op, scale) in ops {
            for len in [1, 7, 64, 1003, 100_000] {
                // A negative scale stands for positive arguments.
                let wide = |v: f32| if scale < 0.0 { (v + 1.01) * -scale } else { v * scale };
                let mut x: Vec<f32> = noise(7, len).into_iter().map(wide).collect();
                if len == 1003 {
                    x[3] = f32::NAN;
                }
                let operands = [Operand::Input(Value::f32(&[len], &x)?)];
                check(prepare_at, op.clone(), &operands, &[&[len]])
                    .map_err(|error| format!("{op:?} {scale} {len}: {error}"))?;
            }
        }
        Ok(())
    }

    #[test]
    fn ends_of_the_range() -> Result<(), Box<dyn std::error::Error>> {
        let x = [f32::INFINITY, f32::NEG_INFINITY, 88.6, 88.8, -87.5, -100.0, -110.0, 0.0, -0.0, 1e-30];
        for op in [Op::Exp, Op::Logistic, Op::Tanh, Op::Gelu(GeluOptions { approximate: false }), Op::Neg, Op::Abs] {
            // One by one, so that none hides behind a larger one.
            for x in x {
                if matches!(op, Op::Gelu(_)) && x == f32::NEG_INFINITY {
                    continue;
                }
                let operands = [Operand::Input(Value::f32(&[1], &[x])?)];
                // What is lost below the smallest normal number is lost to nobody.
                if x < -87.3 && matches!(op, Op::Exp | Op::Logistic) {
                    continue;
                }
                check(prepare_at, op.clone(), &operands, &[&[1]]).map_err(|error| format!("{op:?} {x}: {error}"))?;
            }
        }
        Ok(())
    }
}
