//! The basic LSTM kernel: input and activations side by side are multiplied with one matrix, whose rows are the input
//! gate, the cell gate, the forget gate and the output gate. The state comes and goes through plain tensors.

use tflite_wgpu_model::DType;

use super::{add_product, float_input, sigmoid};
use crate::kernels::support::{check_len, dims, no_type, refuse};
use crate::kernels::{EvalCtx, KernelError};

/// Inputs: input, activations, weights, bias, state. Outputs: activations, state, and two that other kernels use as
/// scratch memory, which are filled as theirs.
pub(super) fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => float(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32")),
    }
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
        let out = ctx.output::<f32>(i)?;
        check_len(out, results.len(), &format!("output {i}"))?;
        out.copy_from_slice(&results);
    }
    Ok(())
}
