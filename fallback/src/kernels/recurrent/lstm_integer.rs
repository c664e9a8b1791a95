//! LSTM and its sequence on INT8 with an INT16 cell state. Gates are in Q3.12, their activations in Q0.15.

use tflite_wgpu_model::{DType, Tensor};

use super::{Attributes, Sequence, copied};
use crate::kernels::fixed_math::{inverse_square_root, short};
use crate::kernels::fixed_point::{Multiplier, rounding_shift};
use crate::kernels::support::{Affine, check_len, dims, input_affine, refuse};
use crate::kernels::{EvalCtx, KernelError};
use crate::value::Value;

const OUTPUT_STATE: usize = 18;
const CELL_STATE: usize = 19;
const PROJECTION: usize = 16;
/// The intermediate that has the scale of the values before the projection.
const HIDDEN: usize = 4;

/// Weights with the factor of their products, and what the input's zero point makes of them.
struct Matrix<'a> {
    weights: &'a [i8],
    /// Per row: the bias, less the zero point times the row's sum.
    bias: Vec<i32>,
    multiplier: Multiplier,
}

impl<'a> Matrix<'a> {
    /// Weights in input `i`, `rows` rows; `zero` is the zero point of what they are multiplied with.
    fn new(
        ctx: &EvalCtx<'a>,
        i: usize,
        (rows, columns): (usize, usize),
        zero: i32,
        bias: Option<&[i32]>,
        scale: f32,
    ) -> Result<Self, KernelError> {
        let weights = ctx.slice::<i8>(i)?;
        check_len(weights, rows * columns, &format!("input {i}"))?;
        let bias = (0..rows).map(|row| {
            let sum: i32 = weights[row * columns..][..columns].iter().map(|&w| i32::from(w)).sum();
            bias.map_or(0, |bias| bias[row]).wrapping_sub(zero.wrapping_mul(sum))
        });
        Ok(Self { weights, bias: bias.collect(), multiplier: Multiplier::new(scale.into()) })
    }

    /// Calls `add(row, rescaled product)` for each row.
    fn each(&self, x: &[i8], mut add: impl FnMut(usize, i32)) {
        for (row, &bias) in self.bias.iter().enumerate() {
            let weights = &self.weights[row * x.len()..][..x.len()];
            let products = weights.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x));
            add(row, self.multiplier.twice_rounded(products.fold(bias, i32::wrapping_add)));
        }
    }
}

/// Which cells have peepholes, counted over all batches: TFLite goes through as many as there are outputs, and begins
/// anew with the weights after each period. Without a projection these are all.
#[derive(Clone, Copy)]
struct Reach {
    first: usize,
    end: usize,
    period: usize,
}

struct Norm<'a> {
    weights: &'a [i16],
    bias: &'a [i32],
    multiplier: Multiplier,
    /// Variance that is taken where there is none.
    guard: i32,
}

struct Gate<'a> {
    input: Matrix<'a>,
    recurrent: Matrix<'a>,
    peephole: Option<(&'a [i16], Multiplier)>,
    norm: Option<Norm<'a>>,
}

struct Cell<'a> {
    input: Option<Gate<'a>>,
    forget: Gate<'a>,
    update: Gate<'a>,
    output: Gate<'a>,
    /// From output gate times tanh of the cell to hidden values.
    hidden: Multiplier,
    hidden_zero: i32,
    projection: Option<Matrix<'a>>,
    output_zero: i32,
    cells: usize,
    outputs: usize,
    /// Integer bits of the cell state.
    cell_bits: i32,
    cell_clip: i16,
    proj_clip: i8,
}

/// Sizes and quantisation that all gates share.
struct Common {
    depth: usize,
    cells: usize,
    outputs: usize,
    input: Affine,
    state: Affine,
    cell_scale: f32,
}

pub(super) fn eval(ctx: &mut EvalCtx<'_>, sequence: Sequence, attributes: Attributes) -> Result<(), KernelError> {
    let input = ctx.slice::<i8>(0)?;
    let cell = Cell::new(ctx, &sequence, &attributes)?;
    let (cells, outputs) = (cell.cells, cell.outputs);
    let mut hidden = copied::<i8>(ctx, OUTPUT_STATE, sequence.batch * outputs)?;
    let mut states = copied::<i16>(ctx, CELL_STATE, sequence.batch * cells)?;
    let results = sequence.run(false, outputs, |batch, row, result| {
        let hidden = &mut hidden[batch * outputs..][..outputs];
        // TFLite takes the rows of one time together where they lie together.
        let reach = match sequence.time_major {
            true => Reach { first: batch * cells, end: sequence.batch * outputs, period: outputs },
            false => Reach { first: 0, end: outputs, period: outputs },
        };
        let x = &input[row * sequence.depth..][..sequence.depth];
        cell.step(x, hidden, &mut states[batch * cells..][..cells], reach);
        result.copy_from_slice(hidden);
    });
    let out = ctx.output::<i8>(0)?;
    check_len(out, results.len(), "output 0")?;
    out.copy_from_slice(&results);
    let error = |input| move |error| KernelError::Input { input, error };
    let hidden = Value::from_slice(DType::Int8, ctx.shape(OUTPUT_STATE)?, &hidden).map_err(error(OUTPUT_STATE))?;
    let states = Value::from_slice(DType::Int16, ctx.shape(CELL_STATE)?, &states).map_err(error(CELL_STATE))?;
    ctx.states.extend([(OUTPUT_STATE, hidden), (CELL_STATE, states)]);
    Ok(())
}

/// The scale and zero point of intermediate `i`.
fn intermediate(ctx: &EvalCtx<'_>, i: usize) -> Result<(f32, i32), KernelError> {
    let quant = ctx.intermediate(i).and_then(|tensor: &Tensor| tensor.quant.as_ref()?.per_tensor());
    let missing = || refuse(format!("quantisation of intermediate {i}"), "missing", "one scale");
    let (scale, zero) = quant.ok_or_else(missing)?;
    Ok((scale, i32::try_from(zero).map_err(|_| missing())?))
}

impl<'a> Cell<'a> {
    fn new(ctx: &EvalCtx<'a>, sequence: &Sequence, attributes: &Attributes) -> Result<Self, KernelError> {
        if ctx.node.intermediates.len() != HIDDEN + 1 {
            return Err(refuse("number of intermediates", ctx.node.intermediates.len(), "5"));
        }
        let [cells, _] = dims(ctx.shape(2)?, "input 2")?;
        let [_, outputs] = dims(ctx.shape(8)?, "input 8")?;
        let (input, state) = (input_affine(ctx, 0)?, input_affine(ctx, OUTPUT_STATE)?);
        let cell_scale = input_affine(ctx, CELL_STATE)?.scale;
        let log = f64::from(cell_scale).log2();
        if log.fract() != 0.0 || !(-15.0..=-6.0).contains(&log) {
            return Err(refuse("scale of input 19", cell_scale, "a power of two from 2^-15 to 2^-6"));
        }
        let common = Common { depth: sequence.depth, cells, outputs, input, state, cell_scale };
        let gate = |g| Gate::new(ctx, g, &common);
        let (hidden_scale, mut hidden_zero) = intermediate(ctx, HIDDEN)?;
        if ctx.optional(PROJECTION).is_some() {
            // TFLite turns the sign of the zero point before a projection, which matters where values saturate.
            hidden_zero = hidden_zero.saturating_neg();
        }
        let projection = match ctx.optional(PROJECTION) {
            None if outputs != cells => {
                return Err(refuse("outputs without a projection", outputs, format!("{cells} as there are cells")));
            }
            None => None,
            Some(_) => {
                let bias = ctx.optional_slice::<i32>(PROJECTION + 1)?;
                bias.map_or(Ok(()), |bias| check_len(bias, outputs, "input 17"))?;
                let scale = input_affine(ctx, PROJECTION)?.scale * hidden_scale / state.scale;
                Some(Matrix::new(ctx, PROJECTION, (outputs, cells), hidden_zero, bias, scale)?)
            }
        };
        let unit = 2f64.powi(-15);
        let clip = |clip: f32, scale: f32, largest: f32| if clip > 0.0 { (clip / scale).min(largest) } else { 0.0 };
        Ok(Self {
            input: ctx.optional(1).map(|_| gate(0)).transpose()?,
            forget: gate(1)?,
            update: gate(2)?,
            output: gate(3)?,
            hidden: Multiplier::new(((unit / f64::from(hidden_scale) * unit) as f32).into()),
            hidden_zero,
            projection,
            output_zero: state.zero,
            cells,
            outputs,
            cell_bits: 15 + log as i32,
            cell_clip: clip(attributes.cell_clip, cell_scale, 32_767.0) as i16,
            proj_clip: clip(attributes.proj_clip, state.scale, 127.0) as i8,
        })
    }

    /// One row of the input.
    fn step(&self, x: &[i8], hidden: &mut [i8], cells: &mut [i16], reach: Reach) {
        let logistic = |x| short::logistic(x, 3);
        let forget = self.forget.values(x, hidden, cells, reach, logistic);
        let input = match &self.input {
            Some(input) => input.values(x, hidden, cells, reach, logistic),
            None => forget.iter().map(|f| i16::MAX - f).collect(),
        };
        let update = self.update.values(x, hidden, cells, reach, |x| short::tanh(x, 3));
        for (c, cell) in cells.iter_mut().enumerate() {
            let product = |a: i16, b: i16, shift| rounding_shift(i32::from(a) * i32::from(b), shift) as i16;
            let kept = product(forget[c], *cell, 15);
            // Both factors are Q0.15, the state has `cell_bits` integer bits.
            *cell = kept.saturating_add(product(input[c], update[c], 15 + self.cell_bits));
            if self.cell_clip > 0 {
                *cell = (*cell).clamp(-self.cell_clip, self.cell_clip);
            }
        }
        let output = self.output.values(x, hidden, cells, reach, logistic);
        let values: Vec<i8> = output.iter().zip(cells.iter()).map(|(&gate, &cell)| self.hidden(gate, cell)).collect();
        match &self.projection {
            None => hidden.copy_from_slice(&values),
            Some(matrix) => matrix.each(&values, |row, product| {
                let value = product.saturating_add(self.output_zero).clamp(i8::MIN.into(), i8::MAX.into()) as i8;
                let clip = if self.proj_clip > 0 { self.proj_clip } else { i8::MAX };
                hidden[row] = if self.proj_clip > 0 { value.clamp(-clip, clip) } else { value };
            }),
        }
    }

    /// The output gate times tanh of the cell.
    fn hidden(&self, gate: i16, cell: i16) -> i8 {
        let product = i32::from(gate) * i32::from(short::tanh(cell, self.cell_bits));
        let value = self.hidden.twice_rounded(product).saturating_add(self.hidden_zero);
        value.clamp(i8::MIN.into(), i8::MAX.into()) as i8
    }
}

impl<'a> Gate<'a> {
    fn new(ctx: &EvalCtx<'a>, gate: usize, common: &Common) -> Result<Self, KernelError> {
        let &Common { depth, cells, outputs, input, state, cell_scale } = common;
        let bias = ctx.slice::<i32>(12 + gate)?;
        check_len(bias, cells, &format!("input {}", 12 + gate))?;
        let norm = ctx.optional_slice::<i16>(20 + gate)?;
        // Without layer normalisation gates are Q3.12.
        let gate_scale = if norm.is_some() { intermediate(ctx, gate)?.0 } else { 1.0 / 4096.0 };
        let (weights, recurrent) = (1 + gate, 5 + gate);
        let scale = |i: usize, x: f32| Ok::<f32, KernelError>(input_affine(ctx, i)?.scale * x / gate_scale);
        let peephole = match gate {
            0 | 1 => Some(9 + gate),
            3 => Some(11),
            _ => None,
        };
        let peephole = match peephole.filter(|&i| ctx.optional(i).is_some()) {
            None => None,
            Some(i) => {
                let weights = ctx.slice::<i16>(i)?;
                check_len(weights, cells, &format!("input {i}"))?;
                let real = f64::from(cell_scale) * f64::from(input_affine(ctx, i)?.scale) / f64::from(gate_scale);
                Some((weights, Multiplier::new(f64::from(real as f32))))
            }
        };
        let input_bias = if norm.is_some() { None } else { Some(bias) };
        let norm = match norm {
            None => None,
            Some(weights) => {
                check_len(weights, cells, &format!("input {}", 20 + gate))?;
                let scale = input_affine(ctx, 20 + gate)?.scale;
                let guard = ((10_000.0 * scale) as i32).max(1);
                Some(Norm { weights, bias, multiplier: Multiplier::new(scale.into()), guard })
            }
        };
        Ok(Self {
            input: Matrix::new(ctx, weights, (cells, depth), input.zero, input_bias, scale(weights, input.scale)?)?,
            recurrent: Matrix::new(ctx, recurrent, (cells, outputs), state.zero, None, scale(recurrent, state.scale)?)?,
            peephole,
            norm,
        })
    }

    /// The gate's values for one row of the input.
    fn values(
        &self,
        x: &[i8],
        hidden: &[i8],
        cells: &[i16],
        reach: Reach,
        activation: impl Fn(i16) -> i16,
    ) -> Vec<i16> {
        let mut sums = vec![0i16; cells.len()];
        let add = |sum: &mut i16, term: i32| {
            *sum = i32::from(*sum).saturating_add(term).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        };
        self.input.each(x, |row, product| add(&mut sums[row], product));
        self.recurrent.each(hidden, |row, product| add(&mut sums[row], product));
        if let Some((weights, multiplier)) = &self.peephole {
            for (at, (sum, &cell)) in (reach.first..reach.end).zip(sums.iter_mut().zip(cells)) {
                let weight = weights[at % reach.period];
                add(sum, multiplier.twice_rounded(i32::from(weight) * i32::from(cell)));
            }
        }
        if let Some(norm) = &self.norm {
            norm.apply(&mut sums);
        }
        sums.into_iter().map(activation).collect()
    }
}

impl Norm<'_> {
    /// Moves and scales values to mean 0 and deviation 1, in units of 1/1024, then applies weights and bias.
    fn apply(&self, values: &mut [i16]) {
        const UNIT: i64 = 1 << 20;
        let count = values.len() as i64;
        let sum: i64 = values.iter().map(|&v| i64::from(v)).sum();
        let squares: i64 = values.iter().map(|&v| i64::from(v) * i64::from(v)).sum();
        let mean = sum * 1024 / count;
        let variance = ((squares * (UNIT / count) - mean * mean) / UNIT) as i32;
        let inverse = inverse_square_root(if variance < 1 { self.guard } else { variance });
        let multiplier = Multiplier { exponent: self.multiplier.exponent + 12, ..self.multiplier };
        for (value, (&weight, &bias)) in values.iter_mut().zip(self.weights.iter().zip(self.bias)) {
            let scaled = inverse.twice_rounded((1024 * i64::from(*value) - mean) as i32);
            let sum = i64::from(scaled.wrapping_mul(weight.into()).wrapping_add(bias));
            let rounded = (if sum > 0 { sum + 512 } else { sum - 512 }) / 1024;
            let result = multiplier.twice_rounded(rounded as i32);
            *value = result.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
    }
}
