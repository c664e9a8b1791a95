//! NumericVerify, aeq.hadamard_rotation and BroadcastGradientArgs.

use super::map;
use crate::kernels::checks::write_ints;
use crate::kernels::support::{check_len, float_weights, refuse};
use crate::kernels::{EvalCtx, KernelError};

/// The dequantised input 0 less the FLOAT32 input 1.
pub(super) fn numeric_verify(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (shape, reference) = (ctx.shape(0)?, ctx.slice::<f32>(1)?);
    let real = float_weights(ctx, 0)?;
    check_len(reference, real.len(), "input 1")?;
    ctx.set_output(0, shape)?;
    let out = ctx.output::<f32>(0)?.iter_mut();
    out.zip(real.iter().zip(reference)).for_each(|(out, (x, r))| *out = x - r);
    Ok(())
}

/// Runs of `hadamard_size` elements times the orthonormal Hadamard matrix; the options' signs are not applied.
pub(super) fn hadamard(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let size = map(ctx)?.size("hadamard_size")?;
    let (shape, input) = (ctx.shape(0)?, ctx.slice::<f32>(0)?);
    if !size.is_power_of_two() || !shape.last().copied().unwrap_or(1).is_multiple_of(size) {
        return Err(refuse("hadamard_size", size, format!("a power of two that divides the last of {shape:?}")));
    }
    ctx.set_output(0, shape)?;
    let scale = 1.0 / (size as f64).sqrt();
    for (out, row) in ctx.output::<f32>(0)?.chunks_exact_mut(size).zip(input.chunks_exact(size)) {
        let mut values: Vec<f64> = row.iter().map(|&v| v.into()).collect();
        let mut half = 1;
        while half < size {
            for start in (0..size).step_by(2 * half) {
                for i in start..start + half {
                    let (a, b) = (values[i], values[i + half]);
                    (values[i], values[i + half]) = (a + b, a - b);
                }
            }
            half *= 2;
        }
        out.iter_mut().zip(values).for_each(|(out, v)| *out = (v * scale) as f32);
    }
    Ok(())
}

/// For two shapes the axes over which each gradient is summed; none for equal shapes.
pub(super) fn broadcast_gradient_args(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (a, b) = (ctx.ints(0)?, ctx.ints(1)?);
    let rank = a.len().max(b.len());
    let axes = |shape: &[i64]| -> Vec<i64> {
        let missing = rank - shape.len();
        let one = |&axis: &usize| axis.checked_sub(missing).is_none_or(|own| shape[own] == 1);
        (0..rank).filter(one).map(|axis| axis as i64).collect()
    };
    for (i, shape) in [&a, &b].into_iter().enumerate() {
        let axes = if a == b { Vec::new() } else { axes(shape) };
        ctx.set_output(i, &[axes.len()])?;
        write_ints(ctx, i, &axes)?;
    }
    Ok(())
}
