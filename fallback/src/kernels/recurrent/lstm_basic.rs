//! The basic LSTM kernel: input and activations side by side are multiplied with one matrix, whose rows are the input
//! gate, the cell gate, the forget gate and the output gate. The state comes and goes through plain tensors.

use tflite_wgpu_model::DType;

use super::{add_product, float_input, sigmoid};
use crate::kernels::fixed_math::short;
use crate::kernels::fixed_point::Multiplier;
use crate::kernels::support::{check_len, dims, input_affine, no_type, refuse};
use crate::kernels::{Element, EvalCtx, KernelError};

/// Inputs: input, activations, weights, bias, state. Outputs: activations, state, and two that other kernels use as
/// scratch memory, which are filled as theirs.
pub(super) fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => float(ctx),
        DType::UInt8 => quantized(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32 or UINT8")),
    }
}

/// UINT8 activations with zero point 128 and scale 1/128, an INT16 state in Q4.11; gates are in Q3.12.
fn quantized(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let [batch, depth] = dims(ctx.shape(0)?, "input 0")?;
    let [rows, units] = dims(ctx.shape(1)?, "input 1")?;
    if rows != batch {
        return Err(refuse("rows of input 1", rows, format!("{batch} as of input 0")));
    }
    let (joined, gates) = (depth + units, 4 * units);
    let (input, activations, matrix) = (ctx.slice::<u8>(0)?, ctx.slice::<u8>(1)?, ctx.slice::<u8>(2)?);
    let (bias, previous) = (ctx.slice::<i32>(3)?, ctx.slice::<i16>(4)?);
    check_len(matrix, gates * joined, "input 2")?;
    check_len(bias, gates, "input 3")?;
    check_len(previous, batch * units, "input 4")?;
    let zero = input_affine(ctx, 2)?.zero;
    let multiplier = Multiplier::new(4096.0 * input_affine(ctx, 3)?.scale());
    let (mut rows, mut sums) = (Vec::new(), Vec::new());
    let (mut outputs, mut states) = (Vec::new(), Vec::new());
    for b in 0..batch {
        let at = rows.len();
        rows.extend_from_slice(&input[b * depth..][..depth]);
        rows.extend_from_slice(&activations[b * units..][..units]);
        let first = sums.len();
        for (row, &bias) in matrix.chunks_exact(joined.max(1)).zip(bias) {
            let product = |(&w, &x): (&u8, &u8)| (i32::from(w) - zero).wrapping_mul(i32::from(x) - 128);
            let sum = row.iter().zip(&rows[at..]).map(product).fold(bias, i32::wrapping_add);
            sums.push(multiplier.twice_rounded_up(sum).clamp(i16::MIN.into(), i16::MAX.into()) as i16);
        }
        let gate = |g: usize, c: usize| sums[first + g * units + c];
        for c in 0..units {
            let update = short::mul(short::logistic(gate(0, c), 3), short::tanh(gate(1, c), 3));
            let kept = short::mul(short::logistic(gate(2, c), 3), previous[b * units + c]);
            let state = short::shifted(update, -4).saturating_add(kept);
            // tanh sees the state cut to three integer bits.
            let output = short::mul(short::logistic(gate(3, c), 3), short::tanh(short::shifted(state, 1), 3));
            states.push(state);
            outputs.push((128 + short::shifted(output, -8).clamp(-128, 127)) as u8);
        }
    }
    give(ctx, 0, &outputs)?;
    give(ctx, 1, &states)?;
    give(ctx, 2, &rows)?;
    give(ctx, 3, &sums)
}

/// Fills output `i`.
fn give<T: Element>(ctx: &mut EvalCtx<'_>, i: usize, results: &[T]) -> Result<(), KernelError> {
    let out = ctx.output::<T>(i)?;
    check_len(out, results.len(), &format!("output {i}"))?;
    out.copy_from_slice(results);
    Ok(())
}

fn float(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let input = float_input(ctx)?;
    let [batch, depth] = dims(ctx.shape(0)?, "input 0")?;
    let [rows, units] = dims(ctx.shape(1)?, "input 1")?;
    if rows != batch {
        return Err(refuse("rows of input 1", rows, format!("{batch} as of input 0")));
    }
    let (joined, gates) = (depth + units, 4 * units);
    let (activations, matrix) = (ctx.slice::<f32>(1)?, ctx.slice::<f32>(2)?);
    let (bias, previous) = (ctx.slice::<f32>(3)?, ctx.slice::<f32>(4)?);
    check_len(matrix, gates * joined, "input 2")?;
    check_len(bias, gates, "input 3")?;
    check_len(previous, batch * units, "input 4")?;
    let mut rows = Vec::with_capacity(batch * joined);
    let mut sums = Vec::with_capacity(batch * gates);
    let (mut outputs, mut states) = (Vec::with_capacity(batch * units), Vec::with_capacity(batch * units));
    for b in 0..batch {
        let at = rows.len();
        rows.extend_from_slice(&input[b * depth..][..depth]);
        rows.extend_from_slice(&activations[b * units..][..units]);
        let first = sums.len();
        sums.extend_from_slice(bias);
        add_product(&mut sums[first..], matrix, &rows[at..]);
        let gate = |g: usize, c: usize| sums[first + g * units + c];
        for c in 0..units {
            let state = sigmoid(gate(0, c)) * gate(1, c).tanh() + sigmoid(gate(2, c)) * previous[b * units + c];
            states.push(state);
            outputs.push(sigmoid(gate(3, c)) * state.tanh());
        }
    }
    for (i, results) in [outputs, states, rows, sums].into_iter().enumerate() {
        give(ctx, i, &results)?;
    }
    Ok(())
}
