//! Matrices whose columns are packed once, for products with rows of floats.

use std::cell::RefCell;

use half::f16;

use crate::{
    kernels::support::Clamp,
    simd::{Columns, Level, Lines, Panel, Product, Rows, Simd, Vectorised, panel_vectors},
};

use super::stored::{Elements, Stored};

/// Floats of the rows that should stay in a core's cache while all panels pass by.
const BLOCK_FLOATS: usize = 48 << 10;
/// Rows up to which a panel of halves is read by each tile as it is.
const FEW_ROWS: usize = 12;
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
    /// Half of the memory, two to each float. Halves become floats where they meet few rows, else a panel before the
    /// products that it takes part in.
    Halves(Lines),
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

/// `floats[i] = halves[i]`, whole vectors of them.
struct WidenHalves<'a, 'b> {
    halves: &'a [f16],
    floats: &'b mut [f32],
}

impl Vectorised for WidenHalves<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (floats, halves) in self.floats.chunks_exact_mut(S::LANES).zip(self.halves.chunks_exact(S::LANES)) {
            simd.store(floats, simd.load_halves(halves));
        }
    }
}

impl Packed {
    /// Packs the matrix whose column `c` is row `c` of `rows`, `depth` elements, which is how filters lie in files.
    pub(crate) fn new(level: Level, depth: usize, rows: &Stored<'_>, bias: Option<&[f32]>) -> Self {
        let columns = match rows.elements {
            Elements::Floats(floats) => floats.len() / depth.max(1),
            Elements::Halves(halves) => halves.len() / depth.max(1),
            Elements::Bytes(_, scales) => scales.len(),
        };
        let mut packed = Self::empty(level, 0, columns);
        let (panels, padded) = (packed.panels(), packed.padded());
        packed.weights = match rows.elements {
            Elements::Floats(floats) => {
                let mut to = Lines::zeros(padded * depth);
                arrange(panels, depth, (floats, rows), to.as_mut_slice(), |v| v);
                Weights::Floats(to)
            }
            Elements::Halves(halves) if level.widens_halves() => {
                // The width of a panel is even.
                let mut to = Lines::zeros(padded * depth / 2);
                arrange(panels, depth, (halves, rows), bytemuck::cast_slice_mut(to.as_mut_slice()), |v| v);
                Weights::Halves(to)
            }
            Elements::Halves(halves) => {
                let mut to = Lines::zeros(padded * depth);
                arrange(panels, depth, (halves, rows), to.as_mut_slice(), f16::to_f32);
                Weights::Floats(to)
            }
            Elements::Bytes(stored, each) => {
                let (mut bytes, mut scales) = (vec![0; padded * depth], Lines::zeros(padded));
                arrange(panels, depth, (stored, rows), &mut bytes, |v| v);
                scales.as_mut_slice()[..columns].copy_from_slice(each);
                Weights::Bytes { bytes, scales }
            }
        };
        packed.depth = depth;
        packed.start(bias);
        packed
    }

    /// Number of columns with those that fill the last vector.
    fn padded(&self) -> usize {
        self.columns.next_multiple_of(self.level.lanes())
    }

    /// First column and width of each panel.
    fn panels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let padded = self.padded();
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

    /// Bytes that it takes.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let of = |lines: &Lines| size_of_val(lines.as_slice());
        let weights = match &self.weights {
            Weights::Floats(lines) | Weights::Halves(lines) => of(lines),
            Weights::Bytes { bytes, scales } => bytes.len() + of(scales),
        };
        weights + of(&self.starts)
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
        let (lanes, padded, depth) = (self.level.lanes(), self.padded(), self.depth);
        for column in (first..first + count).step_by(self.column_step()) {
            let width = self.column_step().min(padded - column);
            let range = column * depth..(column + width) * depth;
            let panel = Panel {
                weights: (),
                start: &self.starts.as_slice()[column..][..width],
                vectors: width / lanes,
                columns: width.min(first + count - column),
            };
            let out = (&mut out[column - first..], stride);
            match &self.weights {
                Weights::Floats(floats) => self.multiply_panel(rows, panel.of(&floats.as_slice()[range]), clamp, out),
                Weights::Halves(halves) => {
                    let halves = &bytemuck::cast_slice::<f32, f16>(halves.as_slice())[range];
                    if rows.count <= FEW_ROWS {
                        self.multiply_panel(rows, panel.of(halves), clamp, out);
                        continue;
                    }
                    with_panel(halves.len(), |floats| {
                        self.level.run(WidenHalves { halves, floats });
                        self.multiply_panel(rows, panel.of(&*floats), clamp, out);
                    });
                }
                Weights::Bytes { bytes, scales } => with_panel(range.len(), |floats| {
                    let (bytes, scales) = (&bytes[range], &scales.as_slice()[column..column + width]);
                    self.level.run(Widen { bytes, scales, floats });
                    self.multiply_panel(rows, panel.of(&*floats), clamp, out);
                }),
            }
        }
    }

    fn multiply_panel<W: Columns>(
        &self,
        rows: Rows<'_>,
        panel: Panel<'_, W>,
        clamp: Clamp<f32>,
        (out, out_stride): (&mut [f32], usize),
    ) {
        let product = Product { rows, depth: self.depth, panel, min: clamp.min, max: clamp.max, out, out_stride };
        product.run(self.level);
    }
}

/// Calls `f` with `len` floats of this thread's panel.
fn with_panel(len: usize, f: impl FnOnce(&mut [f32])) {
    PANEL.with_borrow_mut(|panel| {
        if panel.as_slice().len() < len {
            *panel = Lines::zeros(len);
        }
        f(&mut panel.as_mut_slice()[..len]);
    });
}

/// Writes rows of `depth` elements as the columns of panels, each given by its first column and its width; their pages
/// in the file are given back on the way.
fn arrange<T: Copy, U>(
    panels: impl Iterator<Item = (usize, usize)>,
    depth: usize,
    (elements, stored): (&[T], &Stored<'_>),
    to: &mut [U],
    convert: impl Fn(T) -> U,
) {
    let mut rows = elements.chunks_exact(depth.max(1));
    let mut pages = stored.give_back();
    for (first, width) in panels {
        let panel = &mut to[first * depth..][..width * depth];
        for (c, row) in rows.by_ref().take(width).enumerate() {
            for (k, &value) in row.iter().enumerate() {
                panel[k * width + c] = convert(value);
            }
            pages.read(size_of_val(row));
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

    /// Every level and several sizes: `stored` and the same numbers as floats must give the same bits, for few rows and
    /// for many.
    fn agree(stored: impl Fn(usize, usize) -> (Vec<f32>, Box<dyn Fn(&mut dyn FnMut(Stored<'_>))>)) {
        for level in Level::all() {
            for (columns, depth) in [(1, 1), (7, 5), (16, 8), (65, 33), (130, 12)] {
                let bias: Vec<f32> = (0..columns).map(|c| c as f32).collect();
                let (floats, with) = stored(columns, depth);
                for count in [1, 7, FEW_ROWS, FEW_ROWS + 1, 40] {
                    let rows: Vec<f32> = (0..count * depth).map(|i| (i % 11) as f32 - 5.0).collect();
                    let plain = Packed::new(level, depth, &floats.as_slice().into(), Some(&bias));
                    let expected = product(&plain, &rows, count);
                    assert!(expected.iter().all(|v| v.is_finite()));
                    with(&mut |stored| {
                        let found = product(&Packed::new(level, depth, &stored, Some(&bias)), &rows, count);
                        assert_eq!(expected, found, "{columns} {depth} {count}");
                    });
                }
            }
        }
    }

    #[test]
    fn bytes_give_the_bits_of_their_floats() {
        agree(|columns, depth| {
            let bytes: Vec<i8> = (0..columns * depth).map(|i| (i * 37 % 255) as u8 as i8).collect();
            let scales: Vec<f32> = (0..columns).map(|c| 0.01 + c as f32 * 0.003).collect();
            let floats = bytes.iter().enumerate().map(|(i, &byte)| f32::from(byte) * scales[i / depth]).collect();
            (floats, Box::new(move |f| f(Stored::of(Elements::Bytes(&bytes, &scales)))))
        });
    }

    #[test]
    fn halves_give_the_bits_of_their_floats() {
        agree(|columns, depth| {
            // Subnormal ones, too.
            let half = |i: usize| f16::from_bits((i as u16).wrapping_mul(40_503) & 0xbbff);
            let halves: Vec<f16> = (0..columns * depth).map(half).collect();
            let floats = halves.iter().map(|half| half.to_f32()).collect();
            (floats, Box::new(move |f| f(Stored::of(Elements::Halves(&halves)))))
        });
    }

    #[test]
    fn packed_weights_take_no_more_than_stored_ones() {
        for level in Level::all().into_iter().filter(|level| level.widens_halves()) {
            let (halves, bytes, scales) = (vec![f16::ONE; 64 * 128], vec![1; 64 * 128], vec![1.0; 64]);
            let floats = vec![1.0; 64 * 128];
            for (elements, expected) in [
                (Elements::Floats(&floats), 64 * 128 * 4),
                (Elements::Halves(&halves), 64 * 128 * 2),
                (Elements::Bytes(&bytes, &scales), 64 * 128 + 64 * 4),
            ] {
                let packed = Packed::new(level, 128, &Stored::of(elements), None);
                assert_eq!(packed.bytes(), expected + 64 * 4, "{} lanes", level.lanes());
            }
        }
    }
}
