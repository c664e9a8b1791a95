//! SVDF: each filter keeps its last results; weights over time make one number of them, and the filters of
//! a unit (as many as the rank) are summed.

use tflite_wgpu_model::{DType, Op};

use super::{another, copied, dot, float_input, keep, squash, state, weights};
use crate::kernels::fixed_point::Multiplier;
use crate::kernels::support::{HybridRounding, Stored, check_len, dims, input_affine, no_type, output_affine, refuse};
use crate::kernels::{EvalCtx, KernelError};
use crate::value::Value;

pub(super) fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::Svdf(options) = &ctx.node.op else { return Err(another("SVDF")) };
    let [batch, depth] = dims(ctx.shape(0)?, "input 0")?;
    let [filters, _] = dims(ctx.shape(1)?, "input 1")?;
    let [_, memory] = dims(ctx.shape(2)?, "input 2")?;
    let rank = usize::try_from(options.rank).ok().filter(|&rank| rank > 0 && filters.is_multiple_of(rank));
    let rank = rank.ok_or_else(|| refuse("rank", options.rank, format!("a divisor of {filters} filters")))?;
    if memory == 0 {
        return Err(refuse("memory of input 2", memory, "at least one step"));
    }
    if ctx.input(0)?.dtype() == DType::Int8 {
        let sizes = Sizes { batch, depth, filters, memory, rank };
        return match ctx.input(4)?.dtype() {
            DType::Int16 => integer::<i16>(ctx, &sizes),
            DType::Int8 => integer::<i8>(ctx, &sizes),
            _ => Err(no_type(ctx, 4, "INT16 or INT8 as input 0 is INT8")),
        };
    }
    let activation = squash(options.fused_activation_function);
    let units = filters / rank;
    let input = float_input(ctx)?;
    let (feature, time) = (weights(ctx, 1, filters * depth)?, weights(ctx, 2, filters * memory)?);
    let bias = ctx.optional_slice::<f32>(3)?;
    if let Some(bias) = bias {
        check_len(bias, units, "input 3")?;
    }
    let rounding = HybridRounding::new(ctx, 1, options.asymmetric_quantize_inputs)?;
    let mut kept = state(ctx, 4, batch * filters * memory)?;
    let out = ctx.output::<f32>(0)?;
    check_len(out, batch * units, "output 0")?;
    for b in 0..batch {
        let x = rounding.apply(&input[b * depth..][..depth]);
        let out = &mut out[b * units..][..units];
        match bias {
            Some(bias) => out.copy_from_slice(bias),
            None => out.fill(0.0),
        }
        for filter in 0..filters {
            let line = &mut kept[(b * filters + filter) * memory..][..memory];
            line.rotate_left(1);
            line[memory - 1] = dot(&feature[filter * depth..][..depth], &x);
            out[filter / rank] += dot(&time[filter * memory..][..memory], line);
        }
        out.iter_mut().for_each(|v| *v = activation(*v));
    }
    keep(ctx, 4, &kept)
}

struct Sizes {
    batch: usize,
    depth: usize,
    filters: usize,
    memory: usize,
    rank: usize,
}

/// INT8 with weights over time and a state of one type; the fused activation is left to the output's range, as in
/// TFLite. LiteRT reads an INT8 state as INT16, which makes no sense of it; its kernel for microcontrollers has both.
fn integer<S: Stored>(ctx: &mut EvalCtx<'_>, sizes: &Sizes) -> Result<(), KernelError> {
    let &Sizes { batch, depth, filters, memory, rank } = sizes;
    let units = filters / rank;
    let affine = |i| input_affine(ctx, i);
    let (x, feature, time, state, output) = (affine(0)?, affine(1)?, affine(2)?, affine(4)?, output_affine(ctx)?);
    let first = Multiplier::new((x.scale * feature.scale / state.scale).into());
    let second = Multiplier::new((state.scale * time.scale / output.scale).into());
    let (input, feature, time) = (ctx.slice::<i8>(0)?, ctx.slice::<i8>(1)?, ctx.slice::<S>(2)?);
    check_len(feature, filters * depth, "input 1")?;
    check_len(time, filters * memory, "input 2")?;
    let bias = ctx.optional_slice::<i32>(3)?;
    if let Some(bias) = bias {
        check_len(bias, units, "input 3")?;
    }
    let mut kept = copied::<S>(ctx, 4, batch * filters * memory)?;
    let out = ctx.output::<i8>(0)?;
    check_len(out, batch * units, "output 0")?;
    for b in 0..batch {
        let row = &input[b * depth..][..depth];
        let mut sums: Vec<i32> = bias.map_or_else(|| vec![0; units], <[i32]>::to_vec);
        for filter in 0..filters {
            let weights = &feature[filter * depth..][..depth];
            let product = |(&w, &v): (&i8, &i8)| i32::from(w) * (i32::from(v) - x.zero);
            let sum = weights.iter().zip(row).map(product).fold(0, i32::wrapping_add);
            let line = &mut kept[(b * filters + filter) * memory..][..memory];
            line.rotate_left(1);
            line[memory - 1] = S::narrow(S::RANGE.apply(first.twice_rounded(sum)));
            let weights = &time[filter * memory..][..memory];
            let product = |(&w, &v): (&S, &S)| w.widen() * v.widen();
            sums[filter / rank] = weights.iter().zip(&*line).map(product).fold(sums[filter / rank], i32::wrapping_add);
        }
        for (out, sum) in out[b * units..][..units].iter_mut().zip(sums) {
            let stored = second.twice_rounded(sum).saturating_add(output.zero);
            *out = stored.clamp(i8::MIN.into(), i8::MAX.into()) as i8;
        }
    }
    let value = Value::from_slice(S::DTYPES[0], ctx.shape(4)?, &kept);
    let value = value.map_err(|error| KernelError::Input { input: 4, error })?;
    ctx.states.push((4, value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{ActivationFunctionType, SvdfOptions};

    use super::*;
    use crate::kernels::testing::{Output, run_quantised, value};

    fn bytes(shape: &[usize], elements: &[i8]) -> Value {
        value(Value::from_slice(DType::Int8, shape, elements))
    }

    #[test]
    fn a_state_of_8_bits_saturates() -> Result<(), Box<dyn std::error::Error>> {
        let one = Some((1.0, 0));
        let inputs = [
            // Less its zero point 2, −3.
            Some((bytes(&[1, 2], &[3, -2]), Some((1.0, 1)))),
            // Results 17 and 160, of which 127 is left.
            Some((bytes(&[2, 2], &[10, 1, 50, -20]), one)),
            Some((bytes(&[2, 2], &[1, 2, 3, -1]), one)),
            Some((value(Value::i32(&[2], &[1, 0])), one)),
            Some((bytes(&[1, 4], &[5, 7, 9, 11]), one)),
        ];
        let options = SvdfOptions {
            rank: 1,
            fused_activation_function: ActivationFunctionType::Relu,
            asymmetric_quantize_inputs: false,
        };
        let outputs = [Output(DType::Int8, &[1, 2], Some((1.0, 4)))];
        let found = run_quantised(Op::Svdf(options), &inputs, &outputs)?;
        assert_eq!(found[0].as_slice::<i8>()?, [1 + 7 + 2 * 17 + 4, 3 * 11 - 127 + 4]);
        Ok(())
    }
}
