//! LSTM, RNN and SVDF. Beside FLOAT32 inputs weights of any stored type are used as floats; see
//! [`super::support::float_weights`]. In TFLite's hybrid arithmetic what meets integer weights is rounded first. INT8 and UINT8 inputs have kernels of their own.

mod lstm;
mod lstm_basic;
mod lstm_integer;
mod rnn;
mod svdf;

use std::borrow::Cow;

use BuiltinOperator as B;
use tflite_wgpu_model::{ActivationFunctionType, BuiltinOperator, DType};

use super::support::{check_len, dims, float_weights, no_type, refuse};
use super::{Element, EvalCtx, KernelError, Row};
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Lstm, eval: lstm::single },
    Row { op: B::UnidirectionalSequenceLstm, eval: lstm::sequence },
    Row { op: B::BidirectionalSequenceLstm, eval: lstm::bidirectional },
    Row { op: B::Rnn, eval: rnn::single },
    Row { op: B::UnidirectionalSequenceRnn, eval: rnn::sequence },
    Row { op: B::BidirectionalSequenceRnn, eval: rnn::bidirectional },
    Row { op: B::Svdf, eval: svdf::eval },
];

/// Rows of an input that are read one after the other in time.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    time: usize,
    batch: usize,
    depth: usize,
    time_major: bool,
}

impl Sequence {
    /// An input of shape time, batch, depth or batch, time, depth.
    fn new(shape: &[usize], time_major: bool) -> Result<Self, KernelError> {
        let [first, second, depth] = dims(shape, "input 0")?;
        let (time, batch) = if time_major { (first, second) } else { (second, first) };
        Ok(Self { time, batch, depth, time_major })
    }

    /// An input of shape batch, depth: one step.
    fn one(shape: &[usize]) -> Result<Self, KernelError> {
        let [batch, depth] = dims(shape, "input 0")?;
        Ok(Self { time: 1, batch, depth, time_major: true })
    }

    fn rows(&self) -> usize {
        self.time * self.batch
    }

    fn row(&self, time: usize, batch: usize) -> usize {
        if self.time_major { time * self.batch + batch } else { batch * self.time + time }
    }

    /// Results of `units` elements per row, in the input's order of rows; `step(batch, row, result)` makes one.
    fn run<T: Copy + Default>(
        &self,
        backward: bool,
        units: usize,
        mut step: impl FnMut(usize, usize, &mut [T]),
    ) -> Vec<T> {
        let mut results = vec![T::default(); self.rows() * units];
        for step_index in 0..self.time {
            let time = if backward { self.time - 1 - step_index } else { step_index };
            for batch in 0..self.batch {
                let row = self.row(time, batch);
                step(batch, row, &mut results[row * units..][..units]);
            }
        }
        results
    }
}

/// Elements of a FLOAT32 input 0, whose type decides the kernel.
fn float_input<'a>(ctx: &EvalCtx<'a>) -> Result<&'a [f32], KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => ctx.slice(0),
        _ => Err(no_type(ctx, 0, "FLOAT32")),
    }
}

/// Weights in input `i`, as many as `expected`.
fn weights<'a>(ctx: &EvalCtx<'a>, i: usize, expected: usize) -> Result<Cow<'a, [f32]>, KernelError> {
    let weights = float_weights(ctx, i)?;
    check_len(&weights, expected, &format!("input {i}"))?;
    Ok(weights)
}

/// Weights in input `i` if it is there.
fn optional_weights<'a>(ctx: &EvalCtx<'a>, i: usize, expected: usize) -> Result<Option<Cow<'a, [f32]>>, KernelError> {
    ctx.optional(i).map(|_| weights(ctx, i, expected)).transpose()
}

/// What the LSTM operators' attributes say alike.
#[derive(Clone, Copy, Debug)]
struct Attributes {
    activation: ActivationFunctionType,
    cell_clip: f32,
    proj_clip: f32,
    /// Whether recurrent weights are the diagonals of matrices.
    diagonal: bool,
    /// How TFLite's hybrid arithmetic rounds, where it is asked for.
    asymmetric: bool,
}

/// Elements of the FLOAT32 state in input `i`, as many as `expected`.
fn state(ctx: &EvalCtx<'_>, i: usize, expected: usize) -> Result<Vec<f32>, KernelError> {
    copied(ctx, i, expected)
}

/// Elements of the state in input `i`, as many as `expected`.
fn copied<T: Element>(ctx: &EvalCtx<'_>, i: usize, expected: usize) -> Result<Vec<T>, KernelError> {
    let state = ctx.slice::<T>(i)?;
    check_len(state, expected, &format!("input {i}"))?;
    Ok(state.to_vec())
}

/// Makes `elements` the new value of the state in input `i`.
fn keep(ctx: &mut EvalCtx<'_>, i: usize, elements: &[f32]) -> Result<(), KernelError> {
    let value = Value::f32(ctx.shape(i)?, elements).map_err(|error| KernelError::Input { input: i, error })?;
    ctx.states.push((i, value));
    Ok(())
}

/// Writes the results of one direction, or of both: to two outputs, or row by row into one.
fn write(ctx: &mut EvalCtx<'_>, directions: &[(Vec<f32>, usize)], merge: bool) -> Result<(), KernelError> {
    if !merge {
        for (i, (results, _)) in directions.iter().enumerate() {
            let out = ctx.output::<f32>(i)?;
            check_len(out, results.len(), &format!("output {i}"))?;
            out.copy_from_slice(results);
        }
        return Ok(());
    }
    let width: usize = directions.iter().map(|(_, units)| units).sum();
    let out = ctx.output::<f32>(0)?;
    check_len(out, directions.iter().map(|(results, _)| results.len()).sum(), "output 0")?;
    let mut at = 0;
    for (results, units) in directions {
        for (row, result) in out.chunks_exact_mut(width.max(1)).zip(results.chunks_exact((*units).max(1))) {
            row[at..at + units].copy_from_slice(result);
        }
        at += units;
    }
    Ok(())
}

/// An activation applied to each element; unlike those of convolutions it may be TANH or SIGN_BIT.
fn squash(activation: ActivationFunctionType) -> fn(f32) -> f32 {
    use ActivationFunctionType::{None, Relu, Relu6, ReluN1To1, SignBit, Tanh};
    match activation {
        None => |v| v,
        Relu => |v| if v < 0.0 { 0.0 } else { v },
        ReluN1To1 => |v| v.clamp(-1.0, 1.0),
        Relu6 => |v| v.clamp(0.0, 6.0),
        Tanh => f32::tanh,
        SignBit => |v| f32::from(u8::from(v.is_sign_negative())),
    }
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

/// Sum of products, in eight lanes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a_lanes, a_rest) = a.as_chunks::<8>();
    let (b_lanes, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// Adds to each sum the product of a row of `weights` with `x`.
fn add_product(sums: &mut [f32], weights: &[f32], x: &[f32]) {
    if x.is_empty() {
        return;
    }
    for (sum, row) in sums.iter_mut().zip(weights.chunks_exact(x.len())) {
        *sum += dot(row, x);
    }
}

/// A tensor of an operator that was given to another one's kernel.
fn another(expected: &str) -> KernelError {
    refuse("operator", "another", expected)
}
