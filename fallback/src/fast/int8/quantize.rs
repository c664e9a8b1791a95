//! QUANTIZE of a FLOAT32 tensor to 8 bits.

use tflite_wgpu_model::{DType, Op};

use super::scheme::{byte_affine, is_byte};
use crate::{
    eval::{EvalCtx, KernelError},
    fast::{FastKernel, Prepare, Ran, Scratch},
    kernels::support::{Affine, Stored},
    simd::int8::Level,
    threads::BYTE_PRODUCTS,
};

/// What an element costs, in multiply-adds of a product.
const STEPS: usize = 32;
/// More steps than the range has: what is beyond is cut off in any case.
const FAR: f32 = 1e6;

struct Quantize {
    level: Level,
    dtype: DType,
    affine: Affine,
}

pub(super) fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let (input, output) = (given.input(0)?, given.output(0)?);
    if given.node.op != Op::Quantize || input.dtype != DType::Float32 || !is_byte(output.dtype) {
        return None;
    }
    Some(Box::new(Quantize { level: Level::best(), dtype: output.dtype, affine: byte_affine(output)? }))
}

impl FastKernel for Quantize {
    fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (input, threads) = (ctx.input(0)?, ctx.env.threads);
        let output = ctx.output_value(0)?;
        let Ok(x) = input.as_slice::<f32>() else { return Ok(Ran::Refused) };
        if output.dtype() != self.dtype || output.shape() != input.shape() {
            return Ok(Ran::Refused);
        }
        let out = output.bytes_mut();
        let split = threads.split(out.len().div_ceil(64), 1, 64 * STEPS / BYTE_PRODUCTS);
        threads.each(split, out, 64, |first, out| {
            let x = &x[first * 64..][..out.len()];
            self.level.run(|| match self.dtype {
                DType::Int8 => quantize::<i8>(self.affine, x, bytemuck::cast_slice_mut(out)),
                _ => quantize::<u8>(self.affine, x, out),
            });
        });
        Ok(Ran::Done)
    }
}

#[inline(always)]
fn quantize<T: Stored>(affine: Affine, x: &[f32], out: &mut [T]) {
    for (out, x) in out.iter_mut().zip(x) {
        // NaN becomes 0.
        let steps = (x / affine.scale).clamp(-FAR, FAR);
        let steps = rounded(steps) as i32;
        *out = T::narrow((steps + affine.zero).max(T::RANGE.min).min(T::RANGE.max));
    }
}

/// The nearest integer, halves away from zero, as `f32::round`, in operations that vectors have.
#[inline(always)]
fn rounded(x: f32) -> f32 {
    let whole = x.trunc();
    let away = if (x - whole).abs() >= 0.5 { 1.0f32.copysign(x) } else { 0.0 };
    whole + away
}

#[cfg(test)]
mod tests {
    use super::{FAR, rounded};

    #[test]
    fn halves_go_away_from_zero() {
        let near = [0.5f32, 1.5, 2.5, 0.499_999_97, 0.500_000_06, 1.499_999_9, 254.5, 8_388_607.5, FAR, 0.0];
        for x in near.into_iter().flat_map(|x| [x, -x]) {
            assert_eq!(rounded(x), x.round(), "{x}");
        }
    }
}
