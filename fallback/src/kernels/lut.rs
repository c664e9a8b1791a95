//! Functions of quantised tensors by table, as TFLite evaluates them: all values of an 8-bit type, or 512 points of an
//! INT16 tensor with straight lines between.

use tflite_wgpu_model::DType;

use super::support::{Affine, Stored, input_affine, map, no_type, output_affine};
use super::{EvalCtx, KernelError};

/// Output 0 = `f` of the real values of input 0, an INT8 or UINT8 tensor, or INT16 where `wide`.
pub(super) fn eval(ctx: &mut EvalCtx<'_>, wide: bool, f: impl Fn(f32) -> f32) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Int8 => bytes::<i8>(ctx, f),
        DType::UInt8 => bytes::<u8>(ctx, f),
        DType::Int16 if wide => {
            let lines = Lines::new(input_affine(ctx, 0)?, output_affine(ctx)?, f);
            map(ctx, 0, move |x: i16| lines.at(x))
        }
        _ => Err(no_type(ctx, 0, if wide { "INT8, UINT8 or INT16" } else { "INT8 or UINT8" })),
    }
}

fn bytes<T: Stored>(ctx: &mut EvalCtx<'_>, f: impl Fn(f32) -> f32) -> Result<(), KernelError> {
    let (input, output) = (input_affine(ctx, 0)?, output_affine(ctx)?);
    let inverse = 1.0 / output.scale;
    let entry = |stored: i32| {
        // The cast takes NaN to 0 and cuts what is too large.
        let rescaled = (f(input.real(stored)) * inverse).round() + output.zero as f32;
        T::narrow(T::RANGE.apply(rescaled as i32))
    };
    let table: Vec<T> = (T::RANGE.min..=T::RANGE.max).map(entry).collect();
    map(ctx, 0, move |x: T| table[(x.widen() - T::RANGE.min) as usize])
}

/// Points of a function over the values of an INT16 tensor.
pub(super) struct Lines {
    points: Vec<i16>,
}

impl Lines {
    const STEPS: usize = 512;

    pub fn new(input: Affine, output: Affine, f: impl Fn(f32) -> f32) -> Self {
        let (low, high) = (input.real(i16::MIN.into()), input.real(i16::MAX.into()));
        let (out_low, out_high) = (output.real(i16::MIN.into()), output.real(i16::MAX.into()));
        let step = (high - low) / Self::STEPS as f32;
        let inverse = 65_536.0 / (out_high - out_low);
        let store = |value: f32| value.clamp(-32_768.0, 32_767.0) as i16;
        let point = |i: usize| {
            let at = low + i as f32 * step;
            let (value, middle, next) = (f(at), f(at + step / 2.0), f(low + (i + 1) as f32 * step));
            let value = (value * inverse).round();
            let straight = ((next * inverse + value) / 2.0).round();
            // Half of the line's error in the middle is taken off its ends.
            let error = straight - (middle * inverse).round();
            store(value - (error / 2.0).round())
        };
        let mut points: Vec<i16> = (0..Self::STEPS).map(point).collect();
        points.push(store((f(high) * inverse).round()));
        Self { points }
    }

    /// The function's value on the line that `x` lies under.
    pub fn at(&self, x: i16) -> i16 {
        let index = (256 + (i32::from(x) >> 7)) as usize;
        let base = i32::from(self.points[index]);
        // The slope is stored in 16 bits.
        let slope = i32::from((i32::from(self.points[index + 1]) - base) as i16);
        (base + ((slope * (i32::from(x) & 0x7f) + 64) >> 7)) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_near_the_function() {
        let input = Affine { scale: 8.0 / 32_768.0, zero: 0 };
        let output = Affine { scale: 1.0 / 32_768.0, zero: 0 };
        let lines = Lines::new(input, output, f32::tanh);
        for x in (i16::MIN..i16::MAX).step_by(77) {
            let expected = (f32::from(x) * input.scale).tanh();
            assert!((f32::from(lines.at(x)) * output.scale - expected).abs() < 2e-4, "{x}");
        }
    }
}
