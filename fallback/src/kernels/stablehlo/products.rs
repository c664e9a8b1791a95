//! STABLEHLO_DOT_GENERAL and STABLEHLO_CONVOLUTION: sums of products over any dimensions.

use half::{bf16, f16};
use tflite_wgpu_model::{BuiltinOperator, DType, Op, StablehloConvolutionOptions};

use super::{axes, indices, out_shape, per_dimension, positive};
use crate::kernels::checks::{size, wrong_operator};
use crate::kernels::elements::strides;
use crate::kernels::support::{no_type, refuse};
use crate::kernels::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::StablehloDotGeneral, eval: dot_general },
    Row { op: BuiltinOperator::StablehloConvolution, eval: convolution },
];

/// Both inputs as numbers: floats are summed in double precision, integers wrap around.
enum Operands {
    Floats(Vec<f64>, Vec<f64>),
    Ints(Vec<i64>, Vec<i64>),
}

impl Operands {
    fn new(ctx: &EvalCtx<'_>) -> Result<Self, KernelError> {
        let (left, right) = (ctx.input(0)?, ctx.input(1)?);
        if let (Some(left), Some(right)) = (left.to_floats(), right.to_floats()) {
            return Ok(Self::Floats(left, right));
        }
        match (left.to_ints(), right.to_ints()) {
            (Some(left), Some(right)) => Ok(Self::Ints(left, right)),
            _ => Err(no_type(ctx, 0, "numbers, as input 1")),
        }
    }

    /// Output 0 = for each element the sum over the pairs of places that `pairs(element, visit)` names.
    fn sum(
        &self,
        ctx: &mut EvalCtx<'_>,
        mut pairs: impl FnMut(usize, &mut dyn FnMut(usize, usize)),
    ) -> Result<(), KernelError> {
        let count = ctx.output_value(0)?.len();
        match self {
            Self::Floats(left, right) => {
                let sum = |element| {
                    let mut sum = 0.0;
                    pairs(element, &mut |a, b| sum += left[a] * right[b]);
                    sum
                };
                let sums: Vec<f64> = (0..count).map(sum).collect();
                write_floats(ctx, &sums)
            }
            Self::Ints(left, right) => {
                let sum = |element| {
                    let mut sum = 0i64;
                    pairs(element, &mut |a, b| sum = sum.wrapping_add(left[a].wrapping_mul(right[b])));
                    sum
                };
                let sums: Vec<i64> = (0..count).map(sum).collect();
                write_ints(ctx, &sums)
            }
        }
    }
}

fn write_floats(ctx: &mut EvalCtx<'_>, sums: &[f64]) -> Result<(), KernelError> {
    match ctx.output_value(0)?.dtype() {
        DType::Float32 => ctx.output::<f32>(0)?.iter_mut().zip(sums).for_each(|(out, &v)| *out = v as f32),
        DType::Float64 => ctx.output::<f64>(0)?.copy_from_slice(sums),
        DType::Float16 => ctx.output::<f16>(0)?.iter_mut().zip(sums).for_each(|(out, &v)| *out = f16::from_f64(v)),
        DType::BFloat16 => ctx.output::<bf16>(0)?.iter_mut().zip(sums).for_each(|(out, &v)| *out = bf16::from_f64(v)),
        other => return Err(refuse("type of output 0", other, "a float type as of the inputs")),
    }
    Ok(())
}

fn write_ints(ctx: &mut EvalCtx<'_>, sums: &[i64]) -> Result<(), KernelError> {
    match ctx.output_value(0)?.dtype() {
        DType::Int8 => ctx.output::<i8>(0)?.iter_mut().zip(sums).for_each(|(out, &v)| *out = v as i8),
        DType::Int16 => ctx.output::<i16>(0)?.iter_mut().zip(sums).for_each(|(out, &v)| *out = v as i16),
        DType::Int32 => ctx.output::<i32>(0)?.iter_mut().zip(sums).for_each(|(out, &v)| *out = v as i32),
        DType::Int64 => ctx.output::<i64>(0)?.copy_from_slice(sums),
        DType::UInt8 => ctx.output::<u8>(0)?.iter_mut().zip(sums).for_each(|(out, &v)| *out = v as u8),
        DType::UInt32 => ctx.output::<u32>(0)?.iter_mut().zip(sums).for_each(|(out, &v)| *out = v as u32),
        other => return Err(refuse("type of output 0", other, "an integer type as of the inputs")),
    }
    Ok(())
}

fn dot_general(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloDotGeneral(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let (left, right, target) = (ctx.shape(0)?, ctx.shape(1)?, out_shape(ctx, 0)?);
    let left_batch = axes("lhs_batching_dimensions", &options.lhs_batching_dimensions, left.len())?;
    let right_batch = axes("rhs_batching_dimensions", &options.rhs_batching_dimensions, right.len())?;
    let left_sum = axes("lhs_contracting_dimensions", &options.lhs_contracting_dimensions, left.len())?;
    let right_sum = axes("rhs_contracting_dimensions", &options.rhs_contracting_dimensions, right.len())?;
    let sizes = |shape: &[usize], list: &[usize]| list.iter().map(|&d| shape[d]).collect::<Vec<_>>();
    let summed = sizes(left, &left_sum);
    if summed != sizes(right, &right_sum) || sizes(left, &left_batch) != sizes(right, &right_batch) {
        return Err(refuse("shapes", format!("{left:?} and {right:?}"), "equal batching and contracting dimensions"));
    }
    let free = |shape: &[usize], batch: &[usize], sum: &[usize]| -> Vec<usize> {
        (0..shape.len()).filter(|d| !batch.contains(d) && !sum.contains(d)).collect()
    };
    let (left_free, right_free) = (free(left, &left_batch, &left_sum), free(right, &right_batch, &right_sum));
    let (left_steps, right_steps) = (strides(left), strides(right));
    let terms: usize = summed.iter().product();
    let (mut at, mut inner) = (vec![0; target.len()], vec![0; summed.len()]);
    let operands = Operands::new(ctx)?;
    operands.sum(ctx, |element, visit| {
        indices(element, &target, &mut at);
        let (batch, rest) = at.split_at(left_batch.len());
        let (own_left, own_right) = rest.split_at(left_free.len());
        let place = |list: &[usize], at: &[usize], steps: &[usize]| -> usize {
            list.iter().zip(at).map(|(&d, i)| i * steps[d]).sum()
        };
        let a = place(&left_batch, batch, &left_steps) + place(&left_free, own_left, &left_steps);
        let b = place(&right_batch, batch, &right_steps) + place(&right_free, own_right, &right_steps);
        for term in 0..terms {
            indices(term, &summed, &mut inner);
            visit(a + place(&left_sum, &inner, &left_steps), b + place(&right_sum, &inner, &right_steps));
        }
    })
}

/// Where a tensor has its batch (or input features), its features (or output features) and its spatial dimensions.
struct Order {
    batch: usize,
    feature: usize,
    spatial: Vec<usize>,
}

impl Order {
    fn new(batch: i64, feature: i64, spatial: &[i64], rank: usize) -> Result<Self, KernelError> {
        let all: Vec<i64> = [batch, feature].iter().chain(spatial).copied().collect();
        let found = axes("a dimension", &all, rank)?;
        match found.as_slice() {
            &[batch, feature, ref spatial @ ..] if found.len() == rank => {
                Ok(Self { batch, feature, spatial: spatial.to_vec() })
            }
            _ => Err(refuse("number of dimensions", found.len(), rank.to_string())),
        }
    }
}

/// Sizes of a convolution's windows, one number per spatial dimension.
struct Taps {
    strides: Vec<usize>,
    low: Vec<i64>,
    base: Vec<usize>,
    dilation: Vec<usize>,
    reversed: Vec<bool>,
}

impl Taps {
    fn new(options: &StablehloConvolutionOptions, rank: usize) -> Result<Self, KernelError> {
        let or_ones =
            |what: &str, list: &[i64]| if list.is_empty() { Ok(vec![1; rank]) } else { positive(what, list, rank) };
        let low = match options.padding.as_slice() {
            [] => vec![0; rank],
            list => per_dimension("padding", list, 2 * rank)?.iter().step_by(2).copied().collect(),
        };
        let reversed =
            if options.window_reversal.is_empty() { vec![false; rank] } else { options.window_reversal.clone() };
        if reversed.len() != rank {
            return Err(refuse("window_reversal", reversed.len(), rank.to_string()));
        }
        Ok(Self {
            strides: or_ones("window_strides", &options.window_strides)?,
            low,
            base: or_ones("lhs_dilation", &options.lhs_dilation)?,
            dilation: or_ones("rhs_dilation", &options.rhs_dilation)?,
            reversed,
        })
    }

    /// The input's cell under a tap, unless it lies in the padding or between spread cells.
    fn cell(&self, d: usize, out: usize, tap: usize, size: usize) -> Option<usize> {
        let at = i64::try_from(out * self.strides[d] + tap * self.dilation[d]).ok()?;
        let at = usize::try_from(at.checked_sub(self.low[d])?).ok()?;
        (at % self.base[d] == 0 && at / self.base[d] < size).then_some(at / self.base[d])
    }
}

fn convolution(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloConvolution(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let o = options;
    let (shape, kernel, target) = (ctx.shape(0)?, ctx.shape(1)?, out_shape(ctx, 0)?);
    let input =
        Order::new(o.input_batch_dimension, o.input_feature_dimension, &o.input_spatial_dimensions, shape.len())?;
    let (from, to) = (o.kernel_input_feature_dimension, o.kernel_output_feature_dimension);
    let weights = Order::new(from, to, &o.kernel_spatial_dimensions, kernel.len())?;
    let output =
        Order::new(o.output_batch_dimension, o.output_feature_dimension, &o.output_spatial_dimensions, target.len())?;
    let rank = input.spatial.len();
    if weights.spatial.len() != rank || output.spatial.len() != rank {
        return Err(refuse("ranks", format!("{} and {}", kernel.len(), target.len()), shape.len().to_string()));
    }
    let taps = Taps::new(o, rank)?;
    let (features, batches) = (
        size("feature_group_count", o.feature_group_count)?.max(1),
        size("batch_group_count", o.batch_group_count)?.max(1),
    );
    let (depth, channels) = (kernel[weights.batch], kernel[weights.feature]);
    if shape[input.feature] != depth * features
        || channels % (features * batches) != 0
        || shape[input.batch] % batches != 0
    {
        let found = format!("{} to {channels} by filters of {depth}", shape[input.feature]);
        return Err(refuse("channels", found, format!("{features} groups of features, {batches} of batches")));
    }
    let per_group = (channels / (features * batches)).max(1);
    let (steps, kernel_steps) = (strides(shape), strides(kernel));
    let window: Vec<usize> = weights.spatial.iter().map(|&d| kernel[d]).collect();
    let count: usize = window.iter().product();
    let (mut at, mut tap) = (vec![0; target.len()], vec![0; rank]);
    let operands = Operands::new(ctx)?;
    operands.sum(ctx, |element, visit| {
        indices(element, &target, &mut at);
        let channel = at[output.feature];
        let group = channel / per_group;
        let (batch, first) = if batches > 1 {
            (at[output.batch] + group * (shape[input.batch] / batches), 0)
        } else {
            (at[output.batch], group * depth)
        };
        for number in 0..count {
            indices(number, &window, &mut tap);
            let mut places = Some((batch * steps[input.batch], channel * kernel_steps[weights.feature]));
            for d in 0..rank {
                let cell = taps.cell(d, at[output.spatial[d]], tap[d], shape[input.spatial[d]]);
                let weight = if taps.reversed[d] { window[d] - 1 - tap[d] } else { tap[d] };
                places = places.zip(cell).map(|((a, b), cell)| {
                    (a + cell * steps[input.spatial[d]], b + weight * kernel_steps[weights.spatial[d]])
                });
            }
            let Some((a, b)) = places else { continue };
            for k in 0..depth {
                visit(a + (first + k) * steps[input.feature], b + k * kernel_steps[weights.batch]);
            }
        }
    })
}
