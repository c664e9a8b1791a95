//! Operators whose output's shape is a value: fills, ranges, random numbers; and those that speak of shapes.

use BuiltinOperator as B;

use crate::{BuiltinOperator, DType};

use super::args::{Args, Stop, invalid, one};
use super::{InferError, OutputShapes, Row};

pub(super) const ROWS: &[Row] = &[
    (B::Fill, stated),
    (B::RandomStandardNormal, stated),
    (B::RandomUniform, stated),
    (B::Multinomial, multinomial),
    (B::Range, range),
    (B::Shape, shape),
    (B::Rank, rank),
    (B::Rfft2d, rfft_2d),
    (B::VarHandle, var_handle),
];

/// The shape that input 0 holds.
fn stated(a: &Args) -> Result<OutputShapes, Stop> {
    one(a.sizes(0)?)
}

/// Logits `[batch, classes]`, and how many to draw for each.
fn multinomial(a: &Args) -> Result<OutputShapes, Stop> {
    let [batch, _] = a.dims(0)?;
    one(vec![batch, a.size(1)?])
}

/// Inputs: start, limit, step, all scalars of one type.
fn range(a: &Args) -> Result<OutputShapes, Stop> {
    let count = match a.dtype(0)? {
        DType::Float32 => {
            let number = |i| Ok::<_, Stop>(a.float(i)? as f32);
            count_f32(number(0)?, number(1)?, number(2)?)
        }
        _ => count_int(a.int(0)?, a.int(1)?, a.int(2)?),
    };
    match count {
        Some(count) => one(vec![count]),
        None => invalid("start, limit and step", "a step that leads from start to limit"),
    }
}

fn count_int(start: i64, limit: i64, step: i64) -> Option<usize> {
    let leads = (step > 0 && start <= limit) || (step < 0 && start >= limit);
    let count = start.abs_diff(limit).div_ceil(step.unsigned_abs().max(1));
    leads.then_some(usize::try_from(count).ok()).flatten()
}

/// In FLOAT32 arithmetic as the kernel's, where 1 / 0.1 is 10.
fn count_f32(start: f32, limit: f32, step: f32) -> Option<usize> {
    let leads = (step > 0.0 && start <= limit) || (step < 0.0 && start >= limit);
    let count = ((limit - start) / step).abs().ceil();
    // 2^31 elements are more than TFLite can count.
    (leads && count < 2_147_483_648.0).then_some(count as usize)
}

/// One number per dimension.
fn shape(a: &Args) -> Result<OutputShapes, Stop> {
    one(vec![a.shape(0)?.len()])
}

fn rank(_: &Args) -> Result<OutputShapes, Stop> {
    one(vec![])
}

/// The last two dimensions become those of input 1, of which the last keeps its non-negative frequencies.
fn rfft_2d(a: &Args) -> Result<OutputShapes, Stop> {
    let mut shape = a.shape(0)?.to_vec();
    let length = a.sizes(1)?;
    let [length_h, length_w] = length[..] else {
        return Err(InferError::new(format!("fft_length {length:?}"), "height and width").at(1).into());
    };
    let Some(last) = shape.last_chunk_mut::<2>() else { return invalid(format!("shape {shape:?}"), "rank 2 or more") };
    *last = [length_h, length_w / 2 + 1];
    one(shape)
}

/// A handle keeps the shape that the file gives it.
fn var_handle(a: &Args) -> Result<OutputShapes, Stop> {
    Ok(vec![a.output_shape(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_round_up() {
        for (start, limit, step, expected) in [
            (0, 5, 1, Some(5)),
            (0, 5, 2, Some(3)),
            (5, 0, -2, Some(3)),
            (5, 5, 1, Some(0)),
            (5, 2, 1, None),
            (0, 5, 0, None),
            (i64::MIN, i64::MAX, i64::MAX, Some(3)),
        ] {
            assert_eq!(count_int(start, limit, step), expected, "{start} {limit} {step}");
        }
        for (start, limit, step, expected) in [
            (0.0, 1.0, 0.1, Some(10)),
            (0.0, 0.9, 0.3, Some(3)),
            (1.0, 0.0, -0.25, Some(4)),
            (1.0, 0.0, 0.25, None),
            (0.0, 1.0, 0.0, None),
            (0.0, f32::INFINITY, 1.0, None),
            (0.0, f32::NAN, 1.0, None),
        ] {
            assert_eq!(count_f32(start, limit, step), expected, "{start} {limit} {step}");
        }
    }
}
