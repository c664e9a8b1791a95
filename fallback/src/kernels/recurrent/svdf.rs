//! SVDF: each filter keeps its last results; weights over time make one number of them, and the filters of
//! a unit (as many as the rank) are summed.

use tflite_wgpu_model::{DType, Op};

use super::{another, copied, dot, float_input, keep, squash, state, weights};
use crate::kernels::fixed_point::Multiplier;
use crate::kernels::support::{check_len, dims, input_affine, output_affine, refuse};
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
        return integer(ctx, &Sizes { batch, depth, filters, memory, rank });
    }
    let activation = squash(options.fused_activation_function);
    let units = filters / rank;
    let input = float_input(ctx)?;
    let (feature, time) = (weights(ctx, 1, filters * depth)?, weights(ctx, 2, filters * memory)?);
    let bias = ctx.optional_slice::<f32>(3)?;
    if let Some(bias) = bias {
        check_len(bias, units, "input 3")?;
    }
    let mut kept = state(ctx, 4, batch * filters * memory)?;
    let out = ctx.output::<f32>(0)?;
    check_len(out, batch * units, "output 0")?;
    for b in 0..batch {
        let x = &input[b * depth..][..depth];
        let out = &mut out[b * units..][..units];
        match bias {
            Some(bias) => out.copy_from_slice(bias),
            None => out.fill(0.0),
        }
        for filter in 0..filters {
            let line = &mut kept[(b * filters + filter) * memory..][..memory];
            line.rotate_left(1);
            line[memory - 1] = dot(&feature[filter * depth..][..depth], x);
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

/// INT8 with an INT16 state; the fused activation is left to the output's range, as in TFLite.
fn integer(ctx: &mut EvalCtx<'_>, sizes: &Sizes) -> Result<(), KernelError> {
    let &Sizes { batch, depth, filters, memory, rank } = sizes;
    let units = filters / rank;
    let affine = |i| input_affine(ctx, i);
    let (x, feature, time, state, output) = (affine(0)?, affine(1)?, affine(2)?, affine(4)?, output_affine(ctx)?);
    let first = Multiplier::new((x.scale * feature.scale / state.scale).into());
    let second = Multiplier::new((state.scale * time.scale / output.scale).into());
    let (input, feature, time) = (ctx.slice::<i8>(0)?, ctx.slice::<i8>(1)?, ctx.slice::<i16>(2)?);
    check_len(feature, filters * depth, "input 1")?;
    check_len(time, filters * memory, "input 2")?;
    let bias = ctx.optional_slice::<i32>(3)?;
    if let Some(bias) = bias {
        check_len(bias, units, "input 3")?;
    }
    let mut kept = copied::<i16>(ctx, 4, batch * filters * memory)?;
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
            line[memory - 1] = first.twice_rounded(sum).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            let weights = &time[filter * memory..][..memory];
            let product = |(&w, &v): (&i16, &i16)| i32::from(w) * i32::from(v);
            sums[filter / rank] = weights.iter().zip(&*line).map(product).fold(sums[filter / rank], i32::wrapping_add);
        }
        for (out, sum) in out[b * units..][..units].iter_mut().zip(sums) {
            let stored = second.twice_rounded(sum).saturating_add(output.zero);
            *out = stored.clamp(i8::MIN.into(), i8::MAX.into()) as i8;
        }
    }
    let value = Value::from_slice(DType::Int16, ctx.shape(4)?, &kept);
    let value = value.map_err(|error| KernelError::Input { input: 4, error })?;
    ctx.states.push((4, value));
    Ok(())
}
