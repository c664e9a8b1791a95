//! What the convolutions have in common around their sums: types, bias, activation, and the way back to integers.

use tflite_wgpu_model::{ActivationFunctionType, DType};

use super::{
    Operands, Products, Rounding, Runs, Stored, Sum, activations, centred, check_len, float_clamp, float_weights,
    no_type,
};
use crate::{
    eval::{EvalCtx, KernelError},
    threads::Threads,
};

/// A convolution's sizes, and its sums of products.
pub(crate) trait Filters {
    /// Where its operands stand among the node's inputs.
    const OPERANDS: Operands;
    /// Whether INT16 activations without a bias are summed in 32 bits.
    const NARROW_WITHOUT_BIAS: bool = false;

    /// Channels of the output.
    fn channels(&self) -> usize;

    /// What a hybrid kernel rounds together, and how; none for an operator without such a kernel.
    fn hybrid(&self, ctx: &EvalCtx<'_>) -> Option<(Runs, Rounding)>;

    /// Output = `finish(channel, sum)` for each of its elements; the order of a sum is the reference's.
    fn sums<S: Sum, T: Send>(
        &self,
        threads: Threads<'_>,
        input: &[S::Factor],
        weights: &[S::Factor],
        out: &mut [T],
        finish: impl Fn(usize, S) -> T + Send + Sync,
    );
}

/// Runs a convolution of any type that the operators have.
///
/// # Errors
/// For another type, or operands whose sizes do not fit.
pub(crate) fn convolve<F: Filters>(
    ctx: &mut EvalCtx<'_>,
    filters: &F,
    activation: ActivationFunctionType,
) -> Result<(), KernelError> {
    let input = F::OPERANDS.input;
    match ctx.input(input)?.dtype() {
        DType::Float32 => float(ctx, filters, activation),
        DType::Int8 => integer::<i8, F>(ctx, filters, activation),
        DType::UInt8 => integer::<u8, F>(ctx, filters, activation),
        DType::Int16 => integer::<i16, F>(ctx, filters, activation),
        _ => Err(no_type(ctx, input, "FLOAT32, INT8, UINT8 or INT16")),
    }
}

fn float<F: Filters>(
    ctx: &mut EvalCtx<'_>,
    filters: &F,
    activation: ActivationFunctionType,
) -> Result<(), KernelError> {
    let Operands { input, weights, bias } = F::OPERANDS;
    let filter = float_weights(ctx, weights)?;
    let clamp = float_clamp(activation)?;
    let x = match filters.hybrid(ctx) {
        Some((runs, rounding)) => activations(ctx, (input, weights), runs, rounding)?,
        None => ctx.slice(input)?.into(),
    };
    let bias = ctx.optional_slice::<f32>(bias)?;
    if let Some(bias) = bias {
        check_len(bias, filters.channels(), "the bias")?;
    }
    let finish = |channel: usize, sum: f32| clamp.apply(sum + bias.map_or(0.0, |bias| bias[channel]));
    filters.sums::<f32, f32>(ctx.env.threads, &x, &filter, ctx.output(0)?, finish);
    Ok(())
}

fn integer<T: Stored, F: Filters>(
    ctx: &mut EvalCtx<'_>,
    filters: &F,
    activation: ActivationFunctionType,
) -> Result<(), KernelError> {
    let Operands { input, weights, bias } = F::OPERANDS;
    let products = Products::new::<T>(ctx, F::OPERANDS, filters.channels(), activation)?;
    let (x, filter, threads) = (centred(ctx, input)?, centred(ctx, weights)?, ctx.env.threads);
    let wide = products.wide && !(F::NARROW_WITHOUT_BIAS && ctx.optional(bias).is_none());
    let out = ctx.output::<T>(0)?;
    if wide {
        filters.sums::<i64, T>(threads, &x, &filter, out, |channel, sum| products.wide(channel, sum));
    } else {
        filters.sums::<i32, T>(threads, &x, &filter, out, |channel, sum| products.narrow(channel, sum));
    }
    Ok(())
}
