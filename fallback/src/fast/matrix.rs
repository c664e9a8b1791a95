//! Matrices whose columns are packed once, for products with rows of floats.

use std::cell::RefCell;

use half::f16;

use crate::{
    kernels::support::Clamp,
    simd::{Columns, Level, Lines, Panel, Product, Rows, Simd, Strip, Vectorised, panel_vectors},
};

use super::{
    quads::{Quads, Span},
    stored::{Elements, Stored},
};

/// Floats of the rows that should stay in a core's cache while all panels pass by.
const BLOCK_FLOATS: usize = 48 << 10;
/// Rows up to which a panel of halves is read by each tile as it is.
const FEW_ROWS: usize = 12;
/// The most rows of a block, but for half as many again, are a multiple of this.
const ROW_STEP: usize = 24;
/// Rows of a block that is not the last are a multiple of this, so that the inner loop's tiles divide it.
pub(super) const TILE_ROWS: usize = 6;

/// How the columns of a matrix lie: in panels of a few vectors side by side.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    level: Level,
    /// Number of rows.
    pub(crate) depth: usize,
    columns: usize,
    /// Vectors of a panel; the last one may have fewer.
    vectors: usize,
}

/// A packed matrix of `depth` rows.
pub(crate) struct Packed {
    layout: Layout,
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
    /// As much, for machines on which bytes meet bytes.
    Quads(Quads),
}

/// A packed matrix, wherever it lies.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    layout: Layout,
    columns: Panels<'a>,
    starts: &'a [f32],
}

/// Packed columns, as [`Weights`].
#[derive(Clone, Copy)]
enum Panels<'a> {
    Floats(&'a [f32]),
    Halves(&'a [f16]),
    Bytes(&'a [i8], &'a [f32]),
    Quads(&'a Quads),
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
        let layout = Layout::new(level, depth, columns);
        let (panels, padded) = (layout.panels(), layout.padded());
        let mut starts = Lines::zeros(padded);
        if let Some(bias) = bias {
            starts.as_mut_slice().iter_mut().zip(bias).for_each(|(start, &bias)| *start = bias);
        }
        let weights = match rows.elements {
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
            Elements::Bytes(stored, each) => match Quads::new(level, depth, panels, (stored, each), rows) {
                Some(quads) => Weights::Quads(quads),
                None => Self::bytes_of(layout, (stored, each), rows),
            },
        };
        Self { layout, weights, starts }
    }

    fn bytes_of(layout: Layout, (stored, each): (&[i8], &[f32]), rows: &Stored<'_>) -> Weights {
        let (mut bytes, mut scales) = (vec![0; layout.len()], Lines::zeros(layout.padded()));
        arrange(layout.panels(), layout.depth, (stored, rows), &mut bytes, |v| v);
        scales.as_mut_slice()[..each.len()].copy_from_slice(each);
        Weights::Bytes { bytes, scales }
    }

    /// Where it lies.
    pub(crate) fn matrix(&self) -> Matrix<'_> {
        let columns = match &self.weights {
            Weights::Floats(floats) => Panels::Floats(floats.as_slice()),
            Weights::Halves(halves) => Panels::Halves(bytemuck::cast_slice(halves.as_slice())),
            Weights::Bytes { bytes, scales } => Panels::Bytes(bytes, scales.as_slice()),
            Weights::Quads(quads) => Panels::Quads(quads),
        };
        Matrix { layout: self.layout, columns, starts: self.starts.as_slice() }
    }

    /// Bytes that it takes.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let of = |lines: &Lines| size_of_val(lines.as_slice());
        let weights = match &self.weights {
            Weights::Floats(lines) | Weights::Halves(lines) => of(lines),
            Weights::Bytes { bytes, scales } => bytes.len() + of(scales),
            Weights::Quads(quads) => quads.bytes().into_iter().sum(),
        };
        weights + of(&self.starts)
    }

    /// Whether rows meet it as they are, and not as digits.
    pub(crate) fn meets_floats(&self) -> bool {
        !matches!(self.weights, Weights::Quads(_))
    }

    /// Floats that take as much memory as the weights.
    pub(crate) fn floats_read(&self) -> usize {
        let bytes = match &self.weights {
            Weights::Floats(_) => 4,
            Weights::Halves(_) => 2,
            Weights::Bytes { .. } | Weights::Quads(_) => 1,
        };
        self.layout.depth.saturating_mul(self.layout.columns) / 4 * bytes
    }

    /// Number of rows.
    pub(crate) fn depth(&self) -> usize {
        self.layout.depth
    }

    /// Number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.layout.columns
    }

    /// How many of `count` rows a product should work on at a time.
    pub(crate) fn block_rows(&self, count: usize) -> usize {
        block_rows(self.layout.depth, count)
    }

    /// Columns that [`Packed::multiply_columns`] may be split at.
    pub(crate) fn column_step(&self) -> usize {
        self.layout.column_step()
    }

    /// As [`Matrix::multiply`].
    pub(crate) fn multiply(&self, rows: Rows<'_>, clamp: Clamp<f32>, out: &mut [f32], stride: usize) {
        self.matrix().multiply(rows, clamp, out, stride);
    }

    /// As [`Matrix::multiply_strip`].
    pub(crate) fn multiply_strip(&self, rows: Rows<'_>, clamp: Clamp<f32>, column: usize, out: Strip<'_>) {
        self.matrix().multiply_strip(rows, clamp, column, out);
    }

    /// As [`Matrix::multiply_columns`].
    pub(crate) fn multiply_columns(
        &self,
        rows: Rows<'_>,
        clamp: Clamp<f32>,
        (first, count): (usize, usize),
        out: &mut [f32],
        stride: usize,
    ) {
        self.matrix().multiply_columns(rows, clamp, (first, count), (out, stride));
    }
}

impl Layout {
    /// Of a matrix of `depth` rows and `columns` columns.
    pub(crate) fn new(level: Level, depth: usize, columns: usize) -> Self {
        Self { level, depth, columns, vectors: panel_vectors(level) }
    }

    /// Elements of all panels.
    pub(crate) fn len(&self) -> usize {
        self.padded() * self.depth
    }

    /// Columns that products may be split at.
    fn column_step(&self) -> usize {
        self.vectors * self.level.lanes()
    }

    /// Number of columns with those that fill the last vector.
    pub(crate) fn padded(&self) -> usize {
        self.columns.next_multiple_of(self.level.lanes())
    }

    /// First column and width of each panel.
    fn panels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let padded = self.padded();
        let widest = self.column_step();
        (0..padded).step_by(widest).map(move |first| (first, widest.min(padded - first)))
    }

    /// Calls `fill(panel, first column, width)` for each panel in `floats`; element `k * width + c` of one is row `k` of
    /// column `first + c`. What columns behind the last hold does not matter.
    pub(crate) fn fill(&self, floats: &mut [f32], mut fill: impl FnMut(&mut [f32], usize, usize)) {
        let mut rest = floats;
        for (first, width) in self.panels() {
            let (panel, behind) = rest.split_at_mut(width * self.depth);
            fill(panel, first, width);
            rest = behind;
        }
    }
}

impl<'a> Matrix<'a> {
    /// A matrix that [`Layout::fill`] has written; sums start with `starts`, as many as columns of whole vectors.
    pub(crate) fn of(layout: Layout, floats: &'a [f32], starts: &'a [f32]) -> Self {
        Self { layout, columns: Panels::Floats(floats), starts }
    }

    /// `out[r * stride + c] = clamp(bias + Σ rows[r] * column c)` for all rows and columns.
    ///
    /// # Panics
    /// When `rows` or `out` is too short.
    pub(crate) fn multiply(&self, rows: Rows<'_>, clamp: Clamp<f32>, out: &mut [f32], stride: usize) {
        let block = block_rows(self.layout.depth, rows.count);
        for first in (0..rows.count).step_by(block) {
            let rows = Rows { data: &rows.data[first * rows.stride..], count: block.min(rows.count - first), ..rows };
            self.multiply_columns(rows, clamp, (0, self.layout.columns), (&mut out[first * stride..], stride));
        }
    }

    /// As [`Matrix::multiply`] for the columns from `first` on, `count` of them; `first` is a multiple of
    /// [`Packed::column_step`]. All rows are one block.
    pub(crate) fn multiply_columns(
        &self,
        rows: Rows<'_>,
        clamp: Clamp<f32>,
        (first, count): (usize, usize),
        (out, stride): (&mut [f32], usize),
    ) {
        let (depth, step) = (self.layout.depth, self.layout.column_step());
        if let Panels::Quads(quads) = self.columns {
            let span = Span { first, end: first + count, step };
            // Infinity and NaN are for floats.
            let one = |r: usize, out: &mut [f32]| {
                let rows = Rows { data: &rows.data[r * rows.stride..], count: 1, ..rows };
                self.widened(quads, rows, clamp, span, out);
            };
            return quads.multiply(rows, (depth, self.starts), span, clamp, (out, stride), one);
        }
        for column in (first..first + count).step_by(step) {
            let columns = step.min(first + count - column);
            let out = Strip::new(&mut out[column - first..], rows.count, stride, columns);
            self.multiply_strip(rows, clamp, column, out);
        }
    }

    /// As [`Matrix::multiply`] for the columns of a panel, or those of its first that `out` has; the panel's first one is
    /// `column`. Nothing where rows meet the matrix as digits ([`Packed::meets_floats`]).
    pub(crate) fn multiply_strip(&self, rows: Rows<'_>, clamp: Clamp<f32>, column: usize, out: Strip<'_>) {
        let Layout { level, depth, .. } = self.layout;
        let width = self.layout.column_step().min(self.layout.padded() - column);
        let range = column * depth..(column + width) * depth;
        let panel = self.panel(column, width);
        match self.columns {
            Panels::Floats(floats) => {
                let next = floats.get(range.end..).unwrap_or_default();
                let panel = Panel { next, ..panel.of(&floats[range]) };
                self.multiply_panel(rows, panel, clamp, out);
            }
            Panels::Halves(halves) if rows.count <= FEW_ROWS => {
                self.multiply_panel(rows, panel.of(&halves[range]), clamp, out);
            }
            Panels::Halves(halves) => with_panel(range.len(), |floats| {
                level.run(WidenHalves { halves: &halves[range], floats });
                self.multiply_panel(rows, panel.of(&*floats), clamp, out);
            }),
            Panels::Bytes(bytes, scales) => with_panel(range.len(), |floats| {
                let (bytes, scales) = (&bytes[range], &scales[column..column + width]);
                level.run(Widen { bytes, scales, floats });
                self.multiply_panel(rows, panel.of(&*floats), clamp, out);
            }),
            Panels::Quads(_) => {}
        }
    }

    /// Products of one row with columns of `quads` as floats.
    fn widened(&self, quads: &Quads, rows: Rows<'_>, clamp: Clamp<f32>, span: Span, out: &mut [f32]) {
        for column in (span.first..span.end).step_by(span.step) {
            let width = span.step.min(self.layout.padded() - column);
            let panel = self.panel(column, width);
            with_panel(width * self.layout.depth, |floats| {
                quads.widen(column, width, floats);
                let columns = width.min(span.end - column);
                let out = Strip::new(&mut out[column - span.first..], 1, columns, columns);
                self.multiply_panel(rows, panel.of(&*floats), clamp, out);
            });
        }
    }

    /// The panel of the columns `first..first + width`.
    fn panel(&self, first: usize, width: usize) -> Panel<'a, ()> {
        let start = &self.starts[first..][..width];
        Panel { weights: (), next: (), start, vectors: width / self.layout.level.lanes() }
    }

    fn multiply_panel<W: Columns>(&self, rows: Rows<'_>, panel: Panel<'_, W>, clamp: Clamp<f32>, out: Strip<'_>) {
        Product { rows, depth: self.layout.depth, panel, min: clamp.min, max: clamp.max, out }.run(self.layout.level);
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

/// Rows of a block, if there are `count` of `depth` floats each: all blocks have about as many, since the weights pass by
/// once for each.
pub(crate) fn block_rows(depth: usize, count: usize) -> usize {
    let most = (BLOCK_FLOATS / depth.max(1) / ROW_STEP).max(1) * ROW_STEP;
    if count <= most + most / 2 {
        return count.max(1);
    }
    count.div_ceil(count.saturating_add(most / 2) / most).next_multiple_of(TILE_ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::digits::Digits;

    /// A product with every number of columns that panels treat differently.
    fn product(packed: &Packed, rows: &[f32], count: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; count * packed.columns()];
        let clamp = Clamp { min: f32::NEG_INFINITY, max: f32::INFINITY };
        packed.multiply(
            Rows { data: rows, stride: packed.depth(), count, runs: None },
            clamp,
            &mut out,
            packed.columns(),
        );
        out
    }

    /// Calls `judge(expected, found)` at every level and several sizes with products of `stored` and of the same numbers
    /// as floats, for few rows and for many.
    fn compare(
        stored: impl Fn(usize, usize) -> (Vec<f32>, Box<dyn Fn(&mut dyn FnMut(Stored<'_>))>),
        judge: impl Fn(&[f32], &[f32], Level),
    ) {
        for level in Level::all() {
            for (columns, depth) in [(1, 1), (7, 5), (16, 8), (65, 33), (130, 12), (192, 64), (48, 300)] {
                let bias: Vec<f32> = (0..columns).map(|c| c as f32).collect();
                let (floats, with) = stored(columns, depth);
                for count in [1, 7, FEW_ROWS, FEW_ROWS + 1, 40] {
                    let rows: Vec<f32> = (0..count * depth).map(|i| (i * i % 1013) as f32 * 0.01 - 5.0).collect();
                    let plain = Packed::new(level, depth, &floats.as_slice().into(), Some(&bias));
                    let expected = product(&plain, &rows, count);
                    assert!(expected.iter().all(|v| v.is_finite()));
                    with(&mut |stored| {
                        let packed = Packed::new(level, depth, &stored, Some(&bias));
                        judge(&expected, &product(&packed, &rows, count), level);
                    });
                }
            }
        }
    }

    fn bytes(columns: usize, depth: usize) -> (Vec<i8>, Vec<f32>, Vec<f32>) {
        let bytes: Vec<i8> = (0..columns * depth).map(|i| (i * 37 % 255) as u8 as i8).collect();
        let scales: Vec<f32> = (0..columns).map(|c| 0.01 + c as f32 * 0.003).collect();
        let floats = bytes.iter().enumerate().map(|(i, &byte)| f32::from(byte) * scales[i / depth]).collect();
        (bytes, scales, floats)
    }

    /// Whether results are as near as those of sums in another order.
    fn near(expected: &[f32], found: &[f32]) -> bool {
        let largest = expected.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        expected.len() == found.len() && expected.iter().zip(found).all(|(e, f)| (e - f).abs() <= largest * 1e-6)
    }

    #[test]
    fn bytes_give_the_bits_of_their_floats_or_are_as_near() {
        let stored = |columns, depth| {
            let (bytes, scales, floats) = bytes(columns, depth);
            let with = move |f: &mut dyn FnMut(Stored<'_>)| f(Stored::of(Elements::Bytes(&bytes, &scales)));
            (floats, Box::new(with) as Box<dyn Fn(&mut dyn FnMut(Stored<'_>))>)
        };
        compare(stored, |expected, found, level| match Digits::detect(level) {
            Some(_) => assert!(near(expected, found), "{expected:?} {found:?}"),
            None => assert_eq!(expected, found),
        });
        assert!(near(&[1.0, 2.0], &[1.000_001, 2.0]) && !near(&[1.0, 2.0], &[1.000_01, 2.0]));
        assert!(!near(&[1.0], &[f32::NAN]) && !near(&[1.0], &[]));
    }

    #[test]
    fn rows_that_are_no_numbers_of_24_bits_meet_bytes_as_floats() {
        let (columns, depth, count) = (70, 36, 9);
        let (bytes, scales, floats) = bytes(columns, depth);
        for level in Level::all() {
            let mut rows: Vec<f32> = (0..count * depth).map(|i| (i % 23) as f32 - 11.0).collect();
            for (row, value) in [(1, f32::NAN), (2, f32::INFINITY), (4, 1e30), (7, f32::NEG_INFINITY)] {
                rows[row * depth + 5] = value;
            }
            rows[3 * depth..4 * depth].fill(0.0);
            rows[5 * depth..6 * depth].iter_mut().for_each(|v| *v *= 1e-30);
            let plain = Packed::new(level, depth, &floats.as_slice().into(), None);
            let packed = Packed::new(level, depth, &Stored::of(Elements::Bytes(&bytes, &scales)), None);
            let (expected, found) = (product(&plain, &rows, count), product(&packed, &rows, count));
            for (row, (e, f)) in expected.chunks(columns).zip(found.chunks(columns)).enumerate() {
                let same = e.iter().zip(f).all(|(e, f)| e.to_bits() == f.to_bits() || (e.is_nan() && f.is_nan()));
                assert!(same || near(e, f), "row {row}: {e:?} {f:?}");
                assert!(same || ![1, 2, 3, 4, 5, 7].contains(&row), "row {row}: {e:?} {f:?}");
            }
        }
    }

    #[test]
    fn halves_give_the_bits_of_their_floats() {
        let stored = |columns: usize, depth: usize| {
            // Subnormal ones, too.
            let half = |i: usize| f16::from_bits((i as u16).wrapping_mul(40_503) & 0xbbff);
            let halves: Vec<f16> = (0..columns * depth).map(half).collect();
            let floats = halves.iter().map(|half| half.to_f32()).collect();
            let with = move |f: &mut dyn FnMut(Stored<'_>)| f(Stored::of(Elements::Halves(&halves)));
            (floats, Box::new(with) as Box<dyn Fn(&mut dyn FnMut(Stored<'_>))>)
        };
        compare(stored, |expected, found, _| assert_eq!(expected, found));
    }

    #[test]
    fn blocks_are_even() {
        for (depth, count, expected) in [
            (960, 0, 1),
            (960, 49, 49),
            (960, 72, 72),
            (960, 73, 42),
            (960, 196, 54),
            (4608, 49, 30),
            (1 << 20, 36, 36),
        ] {
            assert_eq!(block_rows(depth, count), expected, "{depth} {count}");
            assert_eq!(block_rows(depth, expected), expected, "a block is one block");
        }
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
                // Some numbers of each column come on top.
                let beside = packed.bytes() - expected;
                assert!((64 * 4..=2 * 64 * 4).contains(&beside), "{} lanes: {beside}", level.lanes());
            }
        }
    }
}
