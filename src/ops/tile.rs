//! Tiles of matrix products: how many rows and output texels an invocation computes, and how dispatches cover them.

use super::StepBuilder;
use crate::tuning::{Lanes, Tile, Tuning};

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

/// The tile of a product of `rows` rows and `width` output texels: by the number of rows, and for few rows by the
/// direction that leaves fewer lanes of a workgroup without work. Where loads of weights are shared, narrow results
/// take half a tile.
pub(super) fn product(tuning: &Tuning, rows: usize, width: usize) -> Tile {
    let (mut many, few) = (tuning.product, tuning.product_few);
    if many.broadcast > 0 && width * 2 <= many.texels {
        many.texels /= 2;
    }
    if rows == 1 {
        return tuning.vector;
    }
    if rows >= tuning.many_rows {
        return many;
    }
    let busy = |work: usize, lanes: usize| work as f64 / work.next_multiple_of(lanes) as f64;
    let over_pixels = busy(rows.div_ceil(many.pixels), many.workgroup[0]);
    let over_channels = busy(width.div_ceil(few.texels), few.workgroup[0]);
    if over_pixels > over_channels { many } else { few }
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

/// Pixels of a strip: of two lengths the one that leaves fewer pixels of a row of `output` without work.
pub(super) fn strip(tuning: &Tuning, output: usize) -> usize {
    let idle = |pixels: usize| output.next_multiple_of(pixels) - output;
    let [first, second] = tuning.strips;
    if idle(second) < idle(first) { second } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::AdapterClass;

    #[test]
    fn few_rows_put_lanes_where_work_is() {
        let tuning = Tuning::of(AdapterClass::Lavapipe, false, true);
        assert_eq!(product(&tuning, 1, 250).pixels, 1);
        assert_eq!(product(&tuning, 12_544, 4).lanes, Lanes::Pixels);
        assert_eq!(product(&tuning, 49, 240).lanes, Lanes::Channels);
        assert_eq!(product(&tuning, 196, 2).lanes, Lanes::Pixels);
        assert_eq!(strip(&tuning, 112), 7);
        assert_eq!(strip(&tuning, 32), 8);
    }

    #[test]
    fn shared_loads_serve_few_rows_and_narrow_results() {
        let tuning = Tuning::of(AdapterClass::Lavapipe, false, true).with_subgroups(8, 8);
        assert_eq!(product(&tuning, 1, 250).broadcast, 0);
        assert_eq!(product(&tuning, 49, 240), tuning.product);
        assert_eq!(product(&tuning, 12_544, 4).texels * 2, tuning.product.texels);
        assert_eq!(Tuning::of(AdapterClass::Lavapipe, false, true).with_subgroups(4, 8).product.broadcast, 0);
    }

    #[test]
    fn many_workgroups_fold() {
        assert_eq!(fold(0), [0, 1]);
        assert_eq!(fold(65_535), [65_535, 1]);
        assert_eq!(fold(65_536), [32_768, 2]);
    }
}
