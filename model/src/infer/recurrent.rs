//! LSTM, RNN and SVDF. Activations are `[batch, depth]`, sequences `[batch, time, depth]` or, time major,
//! `[time, batch, depth]`.

use BuiltinOperator as B;

use crate::{BuiltinOperator, LstmKernelType, Op};

use super::args::{Args, Stop, invalid, one};
use super::dims::{positive, product, sum};
use super::{InferError, OutputShapes, Row};

pub(super) const ROWS: &[Row] = &[
    (B::Lstm, lstm),
    (B::UnidirectionalSequenceLstm, sequence_lstm),
    (B::BidirectionalSequenceLstm, bidirectional_lstm),
    (B::Rnn, rnn),
    (B::UnidirectionalSequenceRnn, sequence_rnn),
    (B::BidirectionalSequenceRnn, bidirectional_rnn),
    (B::Svdf, svdf),
];

/// Input of the recurrent weights of the output gate, whose columns are the cell's outputs.
const RECURRENT_TO_OUTPUT: usize = 8;
/// The same of a bidirectional LSTM's backward half.
const BACKWARD_RECURRENT_TO_OUTPUT: usize = 25;

/// Outputs of an LSTM cell: columns of its recurrent weights `[cells, outputs]`, or the length of diagonal ones.
fn lstm_outputs(a: &Args, weights: usize) -> Result<usize, Stop> {
    let shape = a.shape(weights)?;
    match shape {
        [outputs] | [_, outputs] => Ok(*outputs),
        _ => Err(InferError::new(format!("shape {shape:?}"), "rank 1 or 2").at(weights).into()),
    }
}

/// The full kernel has one output; the basic one also its state and two scratch tensors.
fn lstm(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Lstm(o) = a.op() else { return Err(Stop::Unknown) };
    let [batch, depth] = a.dims(0)?;
    if o.kernel_type == LstmKernelType::Full {
        return one(vec![batch, lstm_outputs(a, RECURRENT_TO_OUTPUT)?]);
    }
    let [_, activations] = a.dims(1)?;
    let joined = sum(&[depth, activations])?;
    let gates = product(&[activations, 4])?;
    let state = vec![batch, activations];
    Ok(vec![Some(state.clone()), Some(state), Some(vec![batch, joined]), Some(vec![batch, gates])])
}

fn sequence_lstm(a: &Args) -> Result<OutputShapes, Stop> {
    let [first, second, _] = a.dims(0)?;
    one(vec![first, second, lstm_outputs(a, RECURRENT_TO_OUTPUT)?])
}

fn bidirectional_lstm(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::BidirectionalSequenceLstm(o) = a.op() else { return Err(Stop::Unknown) };
    let forward = lstm_outputs(a, RECURRENT_TO_OUTPUT)?;
    let backward = lstm_outputs(a, BACKWARD_RECURRENT_TO_OUTPUT)?;
    both_directions(a, forward, backward, o.merge_outputs)
}

/// Two sequences, or one that has both side by side.
fn both_directions(a: &Args, forward: usize, backward: usize, merge: bool) -> Result<OutputShapes, Stop> {
    let [first, second, _] = a.dims(0)?;
    if merge {
        return one(vec![first, second, sum(&[forward, backward])?]);
    }
    Ok(vec![Some(vec![first, second, forward]), Some(vec![first, second, backward])])
}

fn rnn(a: &Args) -> Result<OutputShapes, Stop> {
    let [batch, depth] = a.dims(0)?;
    one(vec![batch, rnn_units(a, 1, depth)?])
}

fn sequence_rnn(a: &Args) -> Result<OutputShapes, Stop> {
    let [first, second, depth] = a.dims(0)?;
    one(vec![first, second, rnn_units(a, 1, depth)?])
}

fn bidirectional_rnn(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::BidirectionalSequenceRnn(o) = a.op() else { return Err(Stop::Unknown) };
    let [_, _, depth] = a.dims(0)?;
    // Stacked cells feed the backward half from the auxiliary input, whose depth is its own.
    let [backward, _] = a.dims(5)?;
    both_directions(a, rnn_units(a, 1, depth)?, backward, o.merge_outputs)
}

/// Units of an RNN cell: rows of its weights `[units, depth]`.
fn rnn_units(a: &Args, weights: usize, depth: usize) -> Result<usize, Stop> {
    let [units, weights_depth] = a.dims(weights)?;
    if weights_depth != depth {
        let found = format!("weights of depth {weights_depth}");
        return Err(InferError::new(found, format!("the input's {depth}")).at(weights).into());
    }
    Ok(units)
}

/// Feature weights `[filters, depth]`; `rank` filters make a unit.
fn svdf(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Svdf(o) = a.op() else { return Err(Stop::Unknown) };
    let [batch, _] = a.dims(0)?;
    let [filters, _] = a.dims(1)?;
    let rank = positive("rank", o.rank)?;
    if !filters.is_multiple_of(rank) {
        return invalid(format!("{filters} filters"), format!("a multiple of the rank {rank}"));
    }
    one(vec![batch, filters / rank])
}
