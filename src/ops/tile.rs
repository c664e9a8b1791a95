//! Tiles of matrix products: how many rows and output texels an invocation computes, and how dispatches cover them.

use tflite_wgpu_model::TensorId;

use super::{LowerCtx, StepBuilder};
use crate::{
    region::Storage,
    tuning::{Choice, Lanes, ProductShape, Split, Staged, Tile},
};

/// The largest number of workgroups WebGPU promises per dimension.
const MAX_GROUPS: usize = 65_535;

/// Sets the template values and the grid of a step that covers `tiles` tiles of pixels and `width` output texels
/// (`place` in shaders/tile.wgsl is the other half).
pub(super) fn cover(step: StepBuilder, tile: Tile, tiles: usize, width: usize) -> StepBuilder {
    let [along, across] = tile.workgroup;
    let columns = width.div_ceil(tile.texels);
    let (lanes, grid) = match tile.lanes {
        Lanes::Pixels => {
            let [y, z] = fold(tiles.div_ceil(along));
            ("pixels", [columns.div_ceil(across), y, z])
        }
        Lanes::Channels => {
            let [z, y] = fold(tiles.div_ceil(across));
            ("channels", [columns.div_ceil(along), y, z])
        }
    };
    step.value("pixels", to_i64(tile.pixels))
        .value("texels", to_i64(tile.texels))
        .value("wx", to_i64(along))
        .value("wz", to_i64(across))
        .value("broadcast", to_i64(tile.broadcast))
        .text("lanes", lanes)
        .grid(grid)
}

/// Sets the template values and the grid of a product's step.
pub(super) fn cover_product(step: StepBuilder, choice: Choice, shape: &ProductShape) -> StepBuilder {
    let (rows, width) = (shape.rows, shape.width);
    match choice {
        Choice::Direct(tile) => cover(step, tile, rows.div_ceil(tile.pixels), width),
        Choice::Strip(tile) => {
            let columns = shape.columns().max(1);
            cover(step, tile, rows / columns * columns.div_ceil(tile.pixels), width)
        }
        Choice::Staged(staged) => cover_staged(step, staged, rows, width),
        Choice::Split(split) => cover_split(step, split, width, 1),
    }
}

fn cover_staged(step: StepBuilder, staged: Staged, rows: usize, width: usize) -> StepBuilder {
    let [y, z] = fold(rows.div_ceil(staged.rows()));
    let [wx, wz] = staged.workgroup;
    step.value("pixels", to_i64(staged.pixels))
        .value("texels", to_i64(staged.texels))
        .value("wx", to_i64(wx))
        .value("wz", to_i64(wz))
        .value("stage", to_i64(staged.stage))
        .grid([width.div_ceil(staged.columns()), y, z])
}

/// Sets the template values and the grid of `shaders/vector.wgsl`: one row of `width` output texels per batch.
pub(super) fn cover_split(step: StepBuilder, split: Split, width: usize, batches: usize) -> StepBuilder {
    step.value("columns", to_i64(split.columns))
        .value("split", to_i64(split.lanes))
        .value("subgroup", i64::from(split.subgroup))
        .grid([width.div_ceil(split.columns), 1, batches])
}

/// Sets the template values and the grid of a kernel whose lanes lie over the texels and then the strips of a row, with
/// rows in y and the batch in z.
pub(super) fn cover_rows(step: StepBuilder, workgroup: [usize; 2], pixels: usize, output: [usize; 4]) -> StepBuilder {
    let [batch, rows, columns, channels] = output;
    let [wx, wy] = workgroup;
    let lanes = columns.div_ceil(pixels) * channels.div_ceil(4);
    step.value("pixels", to_i64(pixels)).value("wx", to_i64(wx)).value("wy", to_i64(wy)).grid([
        lanes.div_ceil(wx),
        rows.div_ceil(wy),
        batch,
    ])
}

/// Texels of each of these tensors that an invocation takes at once, where they lie side by side in rows of `width`
/// texels: two of halves where words are wide, as one load brings both.
pub(super) fn texels_at_once(ctx: &LowerCtx<'_>, tensors: [TensorId; 2], width: usize) -> usize {
    let halves = || tensors.iter().all(|&id| ctx.region.tensor(id).storage == Storage::F16);
    if ctx.tuning.dialect.wide && width.is_multiple_of(2) && halves() { 2 } else { 1 }
}

/// A tile size as a template value.
pub(super) fn to_i64(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Splits a number of workgroups over two dimensions.
fn fold(groups: usize) -> [usize; 2] {
    let outer = groups.div_ceil(MAX_GROUPS).max(1);
    [groups.div_ceil(outer), outer]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::{AdapterClass, Tuning};

    #[test]
    fn few_rows_put_lanes_where_work_is() {
        let tuning = Tuning::of(AdapterClass::Lavapipe, false, true);
        assert_eq!(tuning.tile(1, 250).pixels, 1);
        assert_eq!(tuning.tile(12_544, 4).lanes, Lanes::Pixels);
        assert_eq!(tuning.tile(49, 240).lanes, Lanes::Channels);
        assert_eq!(tuning.tile(196, 2).lanes, Lanes::Pixels);
        assert_eq!(tuning.strip(112), 7);
        assert_eq!(tuning.strip(32), 8);
    }

    #[test]
    fn shared_loads_serve_few_rows_and_narrow_results() {
        let tuning = Tuning::of(AdapterClass::Lavapipe, false, true).with_subgroups(8, 8);
        assert_eq!(tuning.tile(1, 250).broadcast, 0);
        assert_eq!(tuning.tile(49, 240), tuning.product);
        assert_eq!(tuning.tile(12_544, 4).texels * 2, tuning.product.texels);
        assert_eq!(Tuning::of(AdapterClass::Lavapipe, false, true).with_subgroups(4, 8).product.broadcast, 0);
    }

    #[test]
    fn many_workgroups_fold() {
        assert_eq!(fold(0), [0, 1]);
        assert_eq!(fold(65_535), [65_535, 1]);
        assert_eq!(fold(65_536), [32_768, 2]);
    }
}
