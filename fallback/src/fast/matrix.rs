//! Matrices whose columns are packed once, for products with rows of floats.

use crate::{
    kernels::support::Clamp,
    simd::{Level, Lines, Panel, Product, Rows, panel_vectors},
};

/// Floats of the rows that should stay in a core's cache while all panels pass by.
const BLOCK_FLOATS: usize = 48 << 10;
/// Rows of a block are a multiple of this, so that every height of the inner loop's tiles divides it.
const ROW_STEP: usize = 24;

/// A matrix of `depth` rows, cut into panels of a few vectors of columns; missing columns are zero.
pub(crate) struct Packed {
    level: Level,
    depth: usize,
    columns: usize,
    /// Vectors of a panel; the last one may have fewer.
    vectors: usize,
    weights: Lines,
    /// What sums start with: the bias.
    starts: Lines,
}

impl Packed {
    /// Packs the matrix whose column `c` is `rows[c * depth..][..depth]`, which is how filters lie in files.
    pub(crate) fn new(level: Level, depth: usize, rows: &[f32], bias: Option<&[f32]>) -> Self {
        let columns = rows.len() / depth.max(1);
        let mut packed = Self::empty(level, depth, columns);
        packed.fill(|panel, first, width| {
            for (c, row) in rows.chunks_exact(depth.max(1)).skip(first).take(width).enumerate() {
                for (k, &value) in row.iter().enumerate() {
                    panel[k * width + c] = value;
                }
            }
        });
        packed.start(bias);
        packed
    }

    /// A matrix of zeros, to be filled.
    pub(crate) fn empty(level: Level, depth: usize, columns: usize) -> Self {
        let padded = columns.div_ceil(level.lanes()) * level.lanes();
        let (weights, starts) = (Lines::zeros(padded * depth), Lines::zeros(padded));
        Self { level, depth, columns, vectors: panel_vectors(level), weights, starts }
    }

    /// Calls `fill(panel, first column, width)` for each panel; element `k * width + c` of one is row `k` of column
    /// `first + c`. Columns behind the last must stay zero.
    pub(crate) fn fill(&mut self, mut fill: impl FnMut(&mut [f32], usize, usize)) {
        let (lanes, depth) = (self.level.lanes(), self.depth);
        let widest = self.vectors * lanes;
        let padded = self.columns.div_ceil(lanes) * lanes;
        let mut rest = self.weights.as_mut_slice();
        for first in (0..padded).step_by(widest) {
            let width = widest.min(padded - first);
            let (panel, behind) = rest.split_at_mut(width * depth);
            fill(panel, first, width);
            rest = behind;
        }
    }

    fn start(&mut self, bias: Option<&[f32]>) {
        if let Some(bias) = bias {
            for (start, &bias) in self.starts.as_mut_slice().iter_mut().zip(bias) {
                *start = bias;
            }
        }
    }

    /// Number of rows.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Rows that a product should work on at a time.
    pub(crate) fn block_rows(&self) -> usize {
        block_rows(self.depth)
    }

    /// Columns that [`Packed::multiply_columns`] may be split at.
    pub(crate) fn column_step(&self) -> usize {
        self.vectors * self.level.lanes()
    }

    /// `out[r * stride + c] = clamp(bias + Σ rows[r] * column c)` for all rows and columns.
    ///
    /// # Panics
    /// When `rows` or `out` is too short.
    pub(crate) fn multiply(&self, rows: Rows<'_>, clamp: Clamp<f32>, out: &mut [f32], stride: usize) {
        let block = self.block_rows();
        for first in (0..rows.count).step_by(block) {
            let rows = Rows {
                data: &rows.data[first * rows.stride..],
                stride: rows.stride,
                count: block.min(rows.count - first),
            };
            self.multiply_columns(rows, clamp, 0, self.columns, &mut out[first * stride..], stride);
        }
    }

    /// As [`Packed::multiply`] for the columns from `first` on, `count` of them; `first` is a multiple of
    /// [`Packed::column_step`]. All rows are one block.
    pub(crate) fn multiply_columns(
        &self,
        rows: Rows<'_>,
        clamp: Clamp<f32>,
        first: usize,
        count: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        let lanes = self.level.lanes();
        let padded = self.columns.div_ceil(lanes) * lanes;
        for column in (first..first + count).step_by(self.column_step()) {
            let width = self.column_step().min(padded - column);
            let panel = Panel {
                weights: &self.weights.as_slice()[column * self.depth..][..width * self.depth],
                start: &self.starts.as_slice()[column..][..width],
                vectors: width / lanes,
                columns: width.min(first + count - column),
            };
            let out = &mut out[column - first..];
            let product =
                Product { rows, depth: self.depth, panel, min: clamp.min, max: clamp.max, out, out_stride: stride };
            product.run(self.level);
        }
    }
}

/// Rows of `depth` floats that make a block.
pub(crate) fn block_rows(depth: usize) -> usize {
    (BLOCK_FLOATS / depth.max(1) / ROW_STEP).max(1) * ROW_STEP
}
