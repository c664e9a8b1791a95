//! SVDF, on floats: each filter keeps its last results; weights over time make one number of them, and the filters of
//! a unit (as many as the rank) are summed.

use tflite_wgpu_model::Op;

use super::{another, dot, float_input, keep, squash, state, weights};
use crate::kernels::support::{check_len, dims, refuse};
use crate::kernels::{EvalCtx, KernelError};

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
