//! Matrices whose columns are packed once, for products with rows of floats.

use std::cell::RefCell;

use crate::{
    kernels::support::Clamp,
    simd::{Level, Lines, Panel, Product, Rows, Simd, Vectorised, panel_vectors},
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
    weights: Weights,
    /// What sums start with: the bias.
    starts: Lines,
}

/// Packed columns.
enum Weights {
    Floats(Lines),
    /// A quarter of the memory; a panel is made floats before the products that it takes part in.
    Bytes {
        bytes: Vec<i8>,
        /// Of each column.
        scales: Lines,
    },
}

thread_local! {
    /// The panel of floats that a thread works with.
    static PANEL: RefCell<Lines> = RefCell::default();
}

/// `floats[k * width + c] = bytes[k * width + c] * scales[c]`, `width` of them in `scales`.
struct Widen<'a, 'b> {
    bytes: &'a [i8],
    scales: &'a [f32],
    floats: &'b mut [f32],
}

impl Vectorised for Widen<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let width = self.scales.len();
        for (floats, bytes) in self.floats.chunks_exact_mut(width).zip(self.bytes.chunks_exact(width)) {
            for ((float, &byte), &scale) in floats.iter_mut().zip(bytes).zip(self.scales) {
                *float = f32::from(byte) * scale;
            }
        }
    }
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

    /// As [`Packed::new`], of rows of bytes that have a scale each.
    pub(crate) fn of_bytes(level: Level, depth: usize, (rows, scales): (&[i8], &[f32]), bias: Option<&[f32]>) -> Self {
        let mut packed = Self::empty(level, 0, scales.len());
        let padded = scales.len().div_ceil(level.lanes()) * level.lanes();
        let mut bytes = vec![0; padded * depth];
        for (first, width) in packed.panels() {
            let panel = &mut bytes[first * depth..][..width * depth];
            for (c, row) in rows.chunks_exact(depth.max(1)).skip(first).take(width).enumerate() {
                for (k, &value) in row.iter().enumerate() {
                    panel[k * width + c] = value;
                }
            }
        }
        let mut lines = Lines::zeros(padded);
        lines.as_mut_slice()[..scales.len()].copy_from_slice(scales);
        (packed.depth, packed.weights) = (depth, Weights::Bytes { bytes, scales: lines });
        packed.start(bias);
        packed
    }

    /// First column and width of each panel.
    fn panels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let padded = self.columns.div_ceil(self.level.lanes()) * self.level.lanes();
        let widest = self.column_step();
        (0..padded).step_by(widest).map(move |first| (first, widest.min(padded - first)))
    }

    /// A matrix of zeros, to be filled.
    pub(crate) fn empty(level: Level, depth: usize, columns: usize) -> Self {
        let padded = columns.div_ceil(level.lanes()) * level.lanes();
        let (weights, starts) = (Lines::zeros(padded * depth), Lines::zeros(padded));
        let weights = Weights::Floats(weights);
        Self { level, depth, columns, vectors: panel_vectors(level), weights, starts }
    }

    /// Calls `fill(panel, first column, width)` for each panel; element `k * width + c` of one is row `k` of column
    /// `first + c`. Columns behind the last must stay zero.
    pub(crate) fn fill(&mut self, mut fill: impl FnMut(&mut [f32], usize, usize)) {
        let (depth, panels) = (self.depth, self.panels());
        let Weights::Floats(weights) = &mut self.weights else { return };
        let mut rest = weights.as_mut_slice();
        for (first, width) in panels {
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
        let mut multiply = |column: usize, width: usize, weights: &[f32]| {
            let panel = Panel {
                weights,
                start: &self.starts.as_slice()[column..][..width],
                vectors: width / lanes,
                columns: width.min(first + count - column),
            };
            let out = &mut out[column - first..];
            let product =
                Product { rows, depth: self.depth, panel, min: clamp.min, max: clamp.max, out, out_stride: stride };
            product.run(self.level);
        };
        for column in (first..first + count).step_by(self.column_step()) {
            let width = self.column_step().min(padded - column);
            let range = column * self.depth..(column + width) * self.depth;
            match &self.weights {
                Weights::Floats(floats) => multiply(column, width, &floats.as_slice()[range]),
                Weights::Bytes { bytes, scales } => PANEL.with_borrow_mut(|panel| {
                    if panel.as_slice().len() < range.len() {
                        *panel = Lines::zeros(range.len());
                    }
                    let floats = &mut panel.as_mut_slice()[..range.len()];
                    let (bytes, scales) = (&bytes[range], &scales.as_slice()[column..column + width]);
                    self.level.run(Widen { bytes, scales, floats });
                    multiply(column, width, floats);
                }),
            }
        }
    }
}

/// Rows of `depth` floats that make a block.
pub(crate) fn block_rows(depth: usize) -> usize {
    (BLOCK_FLOATS / depth.max(1) / ROW_STEP).max(1) * ROW_STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A product with every number of columns that panels treat differently.
    fn product(packed: &Packed, rows: &[f32], count: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; count * packed.columns()];
        let clamp = Clamp { min: f32::NEG_INFINITY, max: f32::INFINITY };
        packed.multiply(Rows { data: rows, stride: packed.depth(), count }, clamp, &mut out, packed.columns());
        out
    }

    #[test]
    fn bytes_give_the_bits_of_their_floats() {
        for level in Level::all() {
            for (columns, depth) in [(1, 1), (7, 5), (16, 8), (65, 33), (130, 12)] {
                let bytes: Vec<i8> = (0..columns * depth).map(|i| (i * 37 % 255) as u8 as i8).collect();
                let scales: Vec<f32> = (0..columns).map(|c| 0.01 + c as f32 * 0.003).collect();
                let bias: Vec<f32> = (0..columns).map(|c| c as f32).collect();
                let floats: Vec<f32> =
                    bytes.iter().enumerate().map(|(i, &byte)| f32::from(byte) * scales[i / depth]).collect();
                let rows: Vec<f32> = (0..7 * depth).map(|i| (i % 11) as f32 - 5.0).collect();
                let expected = product(&Packed::new(level, depth, &floats, Some(&bias)), &rows, 7);
                let found = product(&Packed::of_bytes(level, depth, (&bytes, &scales), Some(&bias)), &rows, 7);
                assert!(expected.iter().all(|v| v.is_finite()));
                assert_eq!(expected, found, "{columns} {depth}");
            }
        }
    }
}
