//! RNN and its sequences, on floats: `h = activation(W · x + R · h + b)`.

use std::borrow::Cow;

use tflite_wgpu_model::{ActivationFunctionType, Op};

use super::{Sequence, add_product, another, float_input, keep, squash, state, weights, write};
use crate::kernels::support::{HybridRounding, check_len, dims, refuse};
use crate::kernels::{EvalCtx, KernelError};

struct Cell<'a> {
    input: Cow<'a, [f32]>,
    aux: Option<Cow<'a, [f32]>>,
    recurrent: Cow<'a, [f32]>,
    bias: &'a [f32],
    activation: fn(f32) -> f32,
    rounding: HybridRounding,
}

pub(super) fn single(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Rnn(options) = &ctx.node.op else { return Err(another("RNN")) };
    let sequence = Sequence::one(ctx.shape(0)?)?;
    unidirectional(ctx, &sequence, options.fused_activation_function, options.asymmetric_quantize_inputs)
}

pub(super) fn sequence(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::UnidirectionalSequenceRnn(options) = &ctx.node.op else {
        return Err(another("UNIDIRECTIONAL_SEQUENCE_RNN"));
    };
    let sequence = Sequence::new(ctx.shape(0)?, options.time_major)?;
    unidirectional(ctx, &sequence, options.fused_activation_function, options.asymmetric_quantize_inputs)
}

fn unidirectional(
    ctx: &mut EvalCtx<'_>,
    sequence: &Sequence,
    activation: ActivationFunctionType,
    asymmetric: bool,
) -> Result<(), KernelError> {
    let input = float_input(ctx)?;
    let cell = Cell::new(ctx, 1, (sequence.depth, None), activation, asymmetric)?;
    let results = cell.run(ctx, 4, sequence, false, (input, None))?;
    write(ctx, &[(results, cell.units())], false)
}

pub(super) fn bidirectional(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    const AUX: usize = 9;
    let Op::BidirectionalSequenceRnn(options) = &ctx.node.op else {
        return Err(another("BIDIRECTIONAL_SEQUENCE_RNN"));
    };
    let input = float_input(ctx)?;
    let sequence = Sequence::new(ctx.shape(0)?, options.time_major)?;
    let aux = ctx.optional_slice::<f32>(AUX)?;
    let aux_sequence = match ctx.optional(AUX) {
        Some(value) => Sequence::new(value.shape(), options.time_major)?,
        None => Sequence { depth: 0, ..sequence },
    };
    if aux_sequence.rows() != sequence.rows() {
        return Err(refuse("shape of input 9", format!("{aux_sequence:?}"), "the rows of input 0"));
    }
    // Without weights of its own the auxiliary input is the backward cell's input.
    let weighted = ctx.optional(AUX + 1).is_some();
    let forward_aux = aux.filter(|_| weighted);
    let (backward, backward_sequence) = match aux {
        Some(aux) if !weighted => ((aux, None), aux_sequence),
        _ => ((input, forward_aux), sequence),
    };
    let mut directions = Vec::with_capacity(2);
    for (reverse, inputs, sequence) in [(false, (input, forward_aux), sequence), (true, backward, backward_sequence)] {
        let (first, state, aux) = if reverse { (5, 8, AUX + 2) } else { (1, 4, AUX + 1) };
        let aux = weighted.then_some((aux, aux_sequence.depth));
        let cell = Cell::new(
            ctx,
            first,
            (sequence.depth, aux),
            options.fused_activation_function,
            options.asymmetric_quantize_inputs,
        )?;
        directions.push((cell.run(ctx, state, &sequence, reverse, inputs)?, cell.units()));
    }
    write(ctx, &directions, options.merge_outputs)
}

impl<'a> Cell<'a> {
    /// Weights, recurrent weights and bias are in inputs `first`, `first + 1`, `first + 2`.
    fn new(
        ctx: &EvalCtx<'a>,
        first: usize,
        (depth, aux): (usize, Option<(usize, usize)>),
        activation: ActivationFunctionType,
        asymmetric: bool,
    ) -> Result<Self, KernelError> {
        let [units, _] = dims(ctx.shape(first)?, &format!("input {first}"))?;
        let bias = ctx.slice::<f32>(first + 2)?;
        check_len(bias, units, &format!("input {}", first + 2))?;
        Ok(Self {
            input: weights(ctx, first, units * depth)?,
            aux: aux.map(|(i, depth)| weights(ctx, i, units * depth)).transpose()?,
            recurrent: weights(ctx, first + 1, units * units)?,
            bias,
            activation: squash(activation),
            rounding: HybridRounding::new(ctx, first, asymmetric)?,
        })
    }

    fn units(&self) -> usize {
        self.bias.len()
    }

    fn run(
        &self,
        ctx: &mut EvalCtx<'_>,
        place: usize,
        sequence: &Sequence,
        backward: bool,
        (input, aux): (&[f32], Option<&[f32]>),
    ) -> Result<Vec<f32>, KernelError> {
        let units = self.units();
        let mut hidden = state(ctx, place, sequence.batch * units)?;
        let aux_depth = aux.map_or(0, |aux| aux.len() / sequence.rows().max(1));
        let results = sequence.run(backward, units, |batch, row, result| {
            let hidden = &mut hidden[batch * units..][..units];
            result.copy_from_slice(self.bias);
            let x = self.rounding.apply(&input[row * sequence.depth..][..sequence.depth]);
            add_product(result, &self.input, &x);
            if let (Some(weights), Some(aux)) = (&self.aux, aux) {
                add_product(result, weights, &self.rounding.apply(&aux[row * aux_depth..][..aux_depth]));
            }
            add_product(result, &self.recurrent, &self.rounding.apply(hidden));
            result.iter_mut().for_each(|v| *v = (self.activation)(*v));
            hidden.copy_from_slice(result);
        });
        keep(ctx, place, &hidden)?;
        Ok(results)
    }
}
