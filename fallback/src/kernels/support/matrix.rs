//! Products with a matrix whose columns (output channels) are laid side by side, so that sums run over lanes.

use super::for_each_row;
use crate::threads::Threads;

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
    pub fn pack(
        threads: Threads<'_>,
        depth: usize,
        columns: usize,
        at: impl Fn(usize, usize) -> T + Send + Sync,
    ) -> Self {
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

/// A sum of products of factors of one type.
pub(crate) trait Sum: Copy + Default + Send + Sync {
    /// What is multiplied.
    type Factor: Copy + Default + Send + Sync;
    /// The sum with one more product.
    fn plus(self, x: Self::Factor, weight: Self::Factor) -> Self;
}

impl Sum for f32 {
    type Factor = f32;
    #[inline(always)]
    fn plus(self, x: f32, weight: f32) -> f32 {
        self + x * weight
    }
}

/// Sums of stored integers less their zero points; they wrap around as TFLite's do.
impl Sum for i32 {
    type Factor = i16;
    #[inline(always)]
    fn plus(self, x: i16, weight: i16) -> i32 {
        self.wrapping_add(i32::from(x).wrapping_mul(i32::from(weight)))
    }
}

impl Sum for i64 {
    type Factor = i16;
    #[inline(always)]
    fn plus(self, x: i16, weight: i16) -> i64 {
        self.wrapping_add(i64::from(i32::from(x) * i32::from(weight)))
    }
}

/// Adds the product of `x` with as many rows of a tile (as [`Columns::rows`] gives them), row after row.
#[inline]
pub(crate) fn add_product<S: Sum>(sums: &mut [S; LANES], x: &[S::Factor], rows: &[S::Factor]) {
    for (&x, row) in x.iter().zip(rows.chunks_exact(LANES)) {
        for (sum, &weight) in sums.iter_mut().zip(row) {
            *sum = sum.plus(x, weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_hold_all_columns() {
        let columns = Columns::pack(Threads::default(), 2, 18, |k, c| (k * 100 + c) as f32);
        assert_eq!((columns.tile_count(), columns.columns(1)), (2, 16..18));
        let mut sums = [0f32; LANES];
        add_product(&mut sums, &[2.0, 1.0], columns.rows(1, 0, 2));
        assert_eq!(sums[..3], [2.0 * 16.0 + 116.0, 2.0 * 17.0 + 117.0, 0.0]);
    }
}
