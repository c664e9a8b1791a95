//! LSTM (the full kernel) and its sequences, on floats.
//!
//! Gates are input, forget, cell, output; without an input gate (CIFG) the complement of the forget gate serves.

use std::borrow::Cow;

use tflite_wgpu_model::{DType, LstmKernelType, Op};

use super::{
    Attributes, Sequence, add_product, another, float_input, keep, lstm_basic, lstm_integer, optional_weights, sigmoid,
    squash, state, weights, write,
};
use crate::kernels::support::{HybridRounding, check_len, dims, refuse};
use crate::kernels::{EvalCtx, KernelError};

/// Where the inputs of one cell begin: weights, states, layer normalisation, auxiliary weights.
struct Places {
    weights: usize,
    states: usize,
    norm: Option<usize>,
    aux: Option<usize>,
}

/// One gate's tensors.
struct Gate<'a> {
    input: Cow<'a, [f32]>,
    aux: Option<Cow<'a, [f32]>>,
    recurrent: Cow<'a, [f32]>,
    peephole: Option<Cow<'a, [f32]>>,
    bias: &'a [f32],
    norm: Option<&'a [f32]>,
}

/// Weights `[outputs, cells]` and bias.
struct Projection<'a> {
    weights: Cow<'a, [f32]>,
    bias: Option<&'a [f32]>,
    rounding: HybridRounding,
}

struct Cell<'a> {
    input: Option<Gate<'a>>,
    forget: Gate<'a>,
    update: Gate<'a>,
    output: Gate<'a>,
    projection: Option<Projection<'a>>,
    cells: usize,
    outputs: usize,
    attributes: Attributes,
    /// Of what meets the gates' weights.
    rounding: HybridRounding,
}

/// Sizes of a cell's inputs.
#[derive(Clone, Copy)]
struct Depths {
    input: usize,
    aux: usize,
}

const INPUT: usize = 0;
const FORGET: usize = 1;
const UPDATE: usize = 2;
const OUTPUT: usize = 3;

pub(super) fn single(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Lstm(options) = &ctx.node.op else { return Err(another("LSTM")) };
    if options.kernel_type == LstmKernelType::Basic {
        return lstm_basic::eval(ctx);
    }
    let attributes = Attributes {
        activation: options.fused_activation_function,
        cell_clip: options.cell_clip,
        proj_clip: options.proj_clip,
        diagonal: false,
        asymmetric: options.asymmetric_quantize_inputs,
    };
    let sequence = Sequence::one(ctx.shape(0)?)?;
    unidirectional(ctx, sequence, attributes)
}

pub(super) fn sequence(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::UnidirectionalSequenceLstm(options) = &ctx.node.op else {
        return Err(another("UNIDIRECTIONAL_SEQUENCE_LSTM"));
    };
    let attributes = Attributes {
        activation: options.fused_activation_function,
        cell_clip: options.cell_clip,
        proj_clip: options.proj_clip,
        diagonal: options.diagonal_recurrent_tensors,
        asymmetric: options.asymmetric_quantize_inputs,
    };
    let sequence = Sequence::new(ctx.shape(0)?, options.time_major)?;
    unidirectional(ctx, sequence, attributes)
}

fn unidirectional(ctx: &mut EvalCtx<'_>, sequence: Sequence, attributes: Attributes) -> Result<(), KernelError> {
    if ctx.input(0)?.dtype() == DType::Int8 && !attributes.diagonal {
        return lstm_integer::eval(ctx, sequence, attributes);
    }
    let input = float_input(ctx)?;
    let places = Places { weights: 1, states: 18, norm: Some(20), aux: None };
    let cell = Cell::new(ctx, &places, Depths { input: sequence.depth, aux: 0 }, attributes)?;
    let results = cell.run(ctx, &places, &sequence, false, (input, None))?;
    write(ctx, &[(results, cell.outputs)], false)
}

pub(super) fn bidirectional(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    const AUX: usize = 39;
    let Op::BidirectionalSequenceLstm(options) = &ctx.node.op else {
        return Err(another("BIDIRECTIONAL_SEQUENCE_LSTM"));
    };
    let input = float_input(ctx)?;
    let sequence = Sequence::new(ctx.shape(0)?, options.time_major)?;
    let aux = ctx.optional_slice::<f32>(AUX)?;
    let aux_sequence = match ctx.optional(AUX) {
        Some(value) => Sequence::new(value.shape(), options.time_major)?,
        None => Sequence { depth: 0, ..sequence },
    };
    if aux_sequence.rows() != sequence.rows() {
        return Err(refuse("shape of input 39", format!("{aux_sequence:?}"), "the rows of input 0"));
    }
    // Without weights of its own the auxiliary input is the backward cell's input.
    let weighted = ctx.optional(AUX + 1 + FORGET).is_some();
    let forward_aux = aux.filter(|_| weighted);
    let (backward, backward_aux) = match aux {
        Some(aux) if !weighted => ((aux, None), aux_sequence),
        _ => ((input, forward_aux), sequence),
    };
    let mut directions = Vec::with_capacity(2);
    for (reverse, inputs, sequence) in [(false, (input, forward_aux), sequence), (true, backward, backward_aux)] {
        let attributes = Attributes {
            activation: options.fused_activation_function,
            cell_clip: options.cell_clip,
            proj_clip: options.proj_clip,
            diagonal: false,
            asymmetric: options.asymmetric_quantize_inputs,
        };
        let (first, states, aux) = if reverse { (18, 37, AUX + 5) } else { (1, 35, AUX + 1) };
        let places = Places { weights: first, states, norm: None, aux: weighted.then_some(aux) };
        let depths = Depths { input: sequence.depth, aux: aux_sequence.depth };
        let cell = Cell::new(ctx, &places, depths, attributes)?;
        directions.push((cell.run(ctx, &places, &sequence, reverse, inputs)?, cell.outputs));
    }
    write(ctx, &directions, options.merge_outputs)
}

impl<'a> Cell<'a> {
    fn new(ctx: &EvalCtx<'a>, places: &Places, depths: Depths, attributes: Attributes) -> Result<Self, KernelError> {
        let forget = places.weights + FORGET;
        let [cells, _] = dims(ctx.shape(forget)?, &format!("input {forget}"))?;
        let recurrent = places.weights + 4 + OUTPUT;
        let outputs = match *ctx.shape(recurrent)? {
            [_, outputs] if !attributes.diagonal => outputs,
            [outputs] if attributes.diagonal && outputs == cells => outputs,
            ref other => {
                let expected = if attributes.diagonal { format!("[{cells}]") } else { format!("[{cells}, outputs]") };
                return Err(refuse(format!("shape of input {recurrent}"), format!("{other:?}"), expected));
            }
        };
        let matrix = places.weights + 15;
        let projection = match optional_weights(ctx, matrix, outputs * cells)? {
            Some(weights) => Some(Projection {
                weights,
                bias: checked(ctx, matrix + 1, outputs)?,
                rounding: HybridRounding::new(ctx, matrix, attributes.asymmetric)?,
            }),
            None if outputs != cells => {
                return Err(refuse("outputs without a projection", outputs, format!("{cells} as there are cells")));
            }
            None => None,
        };
        let gate = |g| Gate::new(ctx, places, g, depths, (cells, outputs), attributes.diagonal);
        let input = ctx.optional(places.weights + INPUT).map(|_| gate(INPUT)).transpose()?;
        let (forget, update, output) = (gate(FORGET)?, gate(UPDATE)?, gate(OUTPUT)?);
        let rounding = HybridRounding::new(ctx, places.weights + FORGET, attributes.asymmetric)?;
        Ok(Self { input, forget, update, output, projection, cells, outputs, attributes, rounding })
    }

    /// Runs the cell over a sequence from the states of the node, whose new values it keeps.
    fn run(
        &self,
        ctx: &mut EvalCtx<'_>,
        places: &Places,
        sequence: &Sequence,
        backward: bool,
        (input, aux): (&[f32], Option<&[f32]>),
    ) -> Result<Vec<f32>, KernelError> {
        let mut hidden = state(ctx, places.states, sequence.batch * self.outputs)?;
        let mut cells = state(ctx, places.states + 1, sequence.batch * self.cells)?;
        let aux_depth = aux.map_or(0, |aux| aux.len() / sequence.rows().max(1));
        let results = sequence.run(backward, self.outputs, |batch, row, result| {
            let x = &input[row * sequence.depth..][..sequence.depth];
            let aux = aux.map(|aux| &aux[row * aux_depth..][..aux_depth]);
            let hidden = &mut hidden[batch * self.outputs..][..self.outputs];
            self.step(x, aux, hidden, &mut cells[batch * self.cells..][..self.cells]);
            result.copy_from_slice(hidden);
        });
        keep(ctx, places.states, &hidden)?;
        keep(ctx, places.states + 1, &cells)?;
        Ok(results)
    }

    fn step(&self, x: &[f32], aux: Option<&[f32]>, hidden: &mut [f32], cells: &mut [f32]) {
        let act = squash(self.attributes.activation);
        let diagonal = self.attributes.diagonal;
        let (x, aux) = (self.rounding.apply(x), aux.map(|aux| self.rounding.apply(aux)));
        let state = if diagonal { Cow::Borrowed(&*hidden) } else { self.rounding.apply(hidden) };
        let gate = |gate: &Gate<'_>, cells: &[f32], f: fn(f32) -> f32| {
            gate.values(&x, aux.as_deref(), &state, cells, diagonal, f)
        };
        let forget = gate(&self.forget, cells, sigmoid);
        let input = match &self.input {
            Some(input) => gate(input, cells, sigmoid),
            None => forget.iter().map(|f| 1.0 - f).collect(),
        };
        let update = gate(&self.update, cells, act);
        for (c, cell) in cells.iter_mut().enumerate() {
            *cell = clip(forget[c] * *cell + input[c] * update[c], self.attributes.cell_clip);
        }
        let mut output = gate(&self.output, cells, sigmoid);
        for (output, &cell) in output.iter_mut().zip(cells.iter()) {
            *output *= act(cell);
        }
        match &self.projection {
            None => hidden.copy_from_slice(&output),
            Some(Projection { weights, bias, rounding }) => {
                match bias {
                    Some(bias) => hidden.copy_from_slice(bias),
                    None => hidden.fill(0.0),
                }
                add_product(hidden, weights, &rounding.apply(&output));
                hidden.iter_mut().for_each(|h| *h = clip(*h, self.attributes.proj_clip));
            }
        }
    }
}

impl<'a> Gate<'a> {
    fn new(
        ctx: &EvalCtx<'a>,
        places: &Places,
        gate: usize,
        depths: Depths,
        (cells, outputs): (usize, usize),
        diagonal: bool,
    ) -> Result<Self, KernelError> {
        let first = places.weights;
        // The cell gate has no peephole.
        let peephole = match gate {
            INPUT | FORGET => Some(first + 8 + gate),
            OUTPUT => Some(first + 10),
            _ => None,
        };
        let bias = first + 11 + gate;
        let norm = places.norm.map(|norm| checked(ctx, norm + gate, cells)).transpose()?;
        Ok(Self {
            input: weights(ctx, first + gate, cells * depths.input)?,
            aux: places.aux.map(|aux| weights(ctx, aux + gate, cells * depths.aux)).transpose()?,
            recurrent: weights(ctx, first + 4 + gate, if diagonal { cells } else { cells * outputs })?,
            peephole: peephole.map(|i| optional_weights(ctx, i, cells)).transpose()?.flatten(),
            bias: checked(ctx, bias, cells)?.ok_or(KernelError::MissingInput(bias))?,
            norm: norm.flatten(),
        })
    }

    /// The gate's values for one row of the input.
    fn values(
        &self,
        x: &[f32],
        aux: Option<&[f32]>,
        hidden: &[f32],
        cells: &[f32],
        diagonal: bool,
        activation: fn(f32) -> f32,
    ) -> Vec<f32> {
        let mut sums = if self.norm.is_some() { vec![0.0; self.bias.len()] } else { self.bias.to_vec() };
        add_product(&mut sums, &self.input, x);
        if let (Some(weights), Some(aux)) = (&self.aux, aux) {
            add_product(&mut sums, weights, aux);
        }
        if diagonal {
            sums.iter_mut().zip(self.recurrent.iter().zip(hidden)).for_each(|(sum, (w, h))| *sum += w * h);
        } else {
            add_product(&mut sums, &self.recurrent, hidden);
        }
        if let Some(peephole) = &self.peephole {
            sums.iter_mut().zip(peephole.iter().zip(cells)).for_each(|(sum, (w, c))| *sum += w * c);
        }
        if let Some(norm) = self.norm {
            normalize(&mut sums);
            sums.iter_mut().zip(norm.iter().zip(self.bias)).for_each(|(sum, (n, b))| *sum = *sum * n + b);
        }
        sums.iter_mut().for_each(|sum| *sum = activation(*sum));
        sums
    }
}

/// Moves and scales values to mean 0 and deviation 1.
fn normalize(values: &mut [f32]) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
    let factor = 1.0 / (variance + 1e-8).sqrt();
    values.iter_mut().for_each(|v| *v = (*v - mean) * factor);
}

/// `value` within `limit` of 0; a limit of 0 is none.
fn clip(value: f32, limit: f32) -> f32 {
    if limit > 0.0 { value.clamp(-limit, limit) } else { value }
}

/// The FLOAT32 input `i`, if it is there, of `expected` elements.
fn checked<'a>(ctx: &EvalCtx<'a>, i: usize, expected: usize) -> Result<Option<&'a [f32]>, KernelError> {
    let elements = ctx.optional_slice::<f32>(i)?;
    if let Some(elements) = elements {
        check_len(elements, expected, &format!("input {i}"))?;
    }
    Ok(elements)
}
