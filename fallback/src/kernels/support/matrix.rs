//! Products with a matrix whose columns (output channels) are laid side by side, so that sums run over lanes.

use super::for_each_row;

/// Columns that are summed at once.
pub(crate) const LANES: usize = 16;

/// A matrix of `depth` rows, packed in tiles of [`LANES`] columns: tile, row, lane; missing lanes are zero.
pub(crate) struct Columns<T> {
    depth: usize,
    columns: usize,
    tiles: Vec<T>,
}

impl<T: Copy + Default + Send + Sync> Columns<T> {
    /// Packs the matrix whose element in row `k`, column `c` is `at(k, c)`.
    pub fn pack(threads: usize, depth: usize, columns: usize, at: impl Fn(usize, usize) -> T + Send + Sync) -> Self {
        let tile = depth * LANES;
        let mut tiles = vec![T::default(); columns.div_ceil(LANES) * tile];
        for_each_row(threads, &mut tiles, tile, tile, |index, tile| {
            for (k, row) in tile.chunks_exact_mut(LANES).enumerate() {
                for (column, lane) in (index * LANES..columns).zip(row) {
                    *lane = at(k, column);
                }
            }
        });
        Self { depth, columns, tiles }
    }

    /// Number of rows.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Number of columns.
    pub fn column_count(&self) -> usize {
        self.columns
    }

    /// Number of tiles.
    pub fn tile_count(&self) -> usize {
        self.columns.div_ceil(LANES)
    }

    /// The columns of tile `tile`.
    pub fn columns(&self, tile: usize) -> std::ops::Range<usize> {
        tile * LANES..(tile * LANES + LANES).min(self.columns)
    }

    /// Rows `start..start + len` of tile `tile`.
    pub fn rows(&self, tile: usize, start: usize, len: usize) -> &[T] {
        let at = (tile * self.depth + start) * LANES;
        self.tiles.get(at..at + len * LANES).unwrap_or_default()
    }
}

impl Columns<f32> {
    /// Adds the product of `x` with as many rows (as [`Columns::rows`] gives them), row after row.
    #[inline]
    pub fn add_product(sums: &mut [f32; LANES], x: &[f32], rows: &[f32]) {
        for (&x, row) in x.iter().zip(rows.chunks_exact(LANES)) {
            for (sum, &weight) in sums.iter_mut().zip(row) {
                *sum += x * weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_hold_all_columns() {
        let columns = Columns::pack(1, 2, 18, |k, c| (k * 100 + c) as f32);
        assert_eq!((columns.tile_count(), columns.columns(1)), (2, 16..18));
        let mut sums = [0.0; LANES];
        Columns::add_product(&mut sums, &[2.0, 1.0], columns.rows(1, 0, 2));
        assert_eq!(sums[..3], [2.0 * 16.0 + 116.0, 2.0 * 17.0 + 117.0, 0.0]);
    }
}
