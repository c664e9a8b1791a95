//! ADD, SUB and MUL.

use tflite_wgpu_model::{ActivationFunctionType, DType, Op, infer};

use super::scheme::{byte_affine, finish, is_byte};
use crate::{
    eval::{EvalCtx, KernelError},
    fast::{FastKernel, Prepare, Ran, Scratch},
    kernels::{
        fixed_point::Multiplier,
        support::{Affine, collapse},
    },
    simd::int8::{Addend, Binary, Combine, Finish, Level, Rounding, SUM_BITS, binary},
    threads::BYTE_PRODUCTS,
};

/// What an element costs, in multiply-adds of a product.
const STEPS: usize = 64;
/// A single number is repeated this often to be an operand.
const REPEATED: usize = 256;

struct Function {
    level: Level,
    dtype: DType,
    function: Binary,
}

pub(super) fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let (a, b, output) = (given.input(0)?, given.input(1)?, given.output(0)?);
    let dtype = a.dtype;
    if !is_byte(dtype) || b.dtype != dtype || output.dtype != dtype {
        return None;
    }
    let quants = [byte_affine(a)?, byte_affine(b)?, byte_affine(output)?];
    let (activation, combine, factor) = arithmetic(&given.node.op, quants, dtype)?;
    let Finish { flip_out, zero, min, max, .. } = finish(output, activation, Rounding::Twice, dtype)?;
    let function = Binary { combine, factor, flip: flip_out, zero, min, max };
    Some(Box::new(Function { level: Level::best(), dtype, function }))
}

/// The activation, and the arithmetic of the plain kernel's `sum` and product.
fn arithmetic(
    op: &Op,
    [a, b, output]: [Affine; 3],
    dtype: DType,
) -> Option<(ActivationFunctionType, Combine, Multiplier)> {
    let zero = |affine: Affine| if dtype == DType::UInt8 { affine.zero - 128 } else { affine.zero };
    let (activation, subtract) = match op {
        Op::Add(options) => (options.fused_activation_function, false),
        Op::Sub(options) => (options.fused_activation_function, true),
        Op::Mul(options) => {
            let factor = Multiplier::new((a.scale * b.scale / output.scale).into());
            let combine = Combine::Product { a: zero(a), b: zero(b) };
            return Some((options.fused_activation_function, combine, factor));
        }
        _ => return None,
    };
    let common = 2.0 * a.scale().max(b.scale());
    let addend = |affine: Affine| Addend { zero: zero(affine), factor: Multiplier::new(affine.scale() / common) };
    let factor = Multiplier::new(common / (f64::from(1i32 << SUM_BITS) * output.scale()));
    Some((activation, Combine::Sum { a: addend(a), b: addend(b), subtract }, factor))
}

impl FastKernel for Function {
    fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (a, b, threads) = (ctx.input(0)?, ctx.input(1)?, ctx.env.threads);
        let Ok(shape) = infer::broadcast(&[a.shape(), b.shape()]) else { return Ok(Ran::Refused) };
        let output = ctx.output_value(0)?;
        let fits = [a.dtype(), b.dtype(), output.dtype()] == [self.dtype; 3] && output.shape() == shape;
        if !fits {
            return Ok(Ran::Refused);
        }
        let dims = collapse(a.shape(), b.shape(), &shape);
        let (a, b, out) = (a.bytes(), b.bytes(), output.bytes_mut());
        let Some((inner, outer)) = dims.split_last().filter(|_| !out.is_empty()) else { return Ok(Ran::Done) };
        if outer.is_empty() && inner.a == 1 && inner.b == 1 {
            let split = threads.split(out.len().div_ceil(64), 1, 64 * STEPS / BYTE_PRODUCTS);
            threads.each(split, out, 64, |first, out| {
                let at = first * 64;
                binary(self.level, &self.function, &a[at..at + out.len()], &b[at..at + out.len()], out);
            });
            return Ok(Ran::Done);
        }
        let rows = out.len() / inner.size;
        let split = threads.split(rows, 1, inner.size.saturating_mul(STEPS) / BYTE_PRODUCTS);
        threads.each(split, out, inner.size, |first, out| {
            for (row, out) in out.chunks_exact_mut(inner.size).enumerate() {
                let (mut rest, mut at_a, mut at_b) = (first + row, 0, 0);
                for dim in outer.iter().rev() {
                    at_a += rest % dim.size * dim.a;
                    at_b += rest % dim.size * dim.b;
                    rest /= dim.size;
                }
                self.row((a, at_a, inner.a), (b, at_b, inner.b), out);
            }
        });
        Ok(Ran::Done)
    }
}

impl Function {
    /// One row; an operand whose step is 0 is a single number.
    fn row(&self, (a, at_a, step_a): (&[u8], usize, usize), (b, at_b, step_b): (&[u8], usize, usize), out: &mut [u8]) {
        let (repeated_a, repeated_b) = ([a[at_a]; REPEATED], [b[at_b]; REPEATED]);
        let whole = if step_a == 0 || step_b == 0 { REPEATED } else { out.len() };
        for (i, out) in out.chunks_mut(whole.max(1)).enumerate() {
            let place = i * whole;
            let a = if step_a == 0 { &repeated_a[..out.len()] } else { &a[at_a + place..][..out.len()] };
            let b = if step_b == 0 { &repeated_b[..out.len()] } else { &b[at_b + place..][..out.len()] };
            binary(self.level, &self.function, a, b, out);
        }
    }
}
