//! The inner loop of matrix products: a few rows times one panel of packed columns.

use half::f16;

use super::{Level, Simd, Strip, Vectorised};

/// Rows of floats, each `stride` after the one before.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Begins with the first row.
    pub(crate) data: &'a [f32],
    /// Elements from one row to the next.
    pub(crate) stride: usize,
    /// Number of rows.
    pub(crate) count: usize,
    /// How the elements of a row lie, unless they are all side by side.
    pub(crate) runs: Option<Runs>,
}

/// Elements of which `len` lie side by side, and the next as many `pitch` further on.
#[derive(Clone, Copy)]
pub(crate) struct Runs {
    pub(crate) len: usize,
    pub(crate) pitch: usize,
}

/// Weights of a panel, in a type that can be read as vectors of floats.
pub(crate) trait Columns: Copy {
    /// Number of weights.
    fn count(self) -> usize;
    /// A vector of them from `at` on.
    ///
    /// # Safety
    /// All of it must be there.
    unsafe fn load<S: Simd>(self, simd: S, at: usize) -> S::F;
    /// Asks for the weight at `at`, if there is one, to be brought near.
    fn prefetch(self, at: usize);
}

/// Rows of a tile that wait for weights rather than for sums.
const FEW: usize = 2;
/// Steps of the depth that such a tile asks for weights ahead of their use.
const AHEAD: usize = 16;

/// Asks for what lies somewhere to be brought into the second cache.
#[inline(always)]
pub(super) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every machine of this kind has the instruction, which looks at nothing that the program could not.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

impl Columns for &[f32] {
    #[inline(always)]
    fn count(self) -> usize {
        self.len()
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(self, simd: S, at: usize) -> S::F {
        // SAFETY: the caller says that a vector is there.
        unsafe { simd.load_from(self.as_ptr().wrapping_add(at)) }
    }

    #[inline(always)]
    fn prefetch(self, at: usize) {
        prefetch(self.as_ptr().wrapping_add(at));
    }
}

impl Columns for &[f16] {
    #[inline(always)]
    fn count(self) -> usize {
        self.len()
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(self, simd: S, at: usize) -> S::F {
        // SAFETY: the caller says that a vector is there.
        unsafe { simd.load_halves_from(self.as_ptr().wrapping_add(at)) }
    }

    #[inline(always)]
    fn prefetch(self, at: usize) {
        prefetch(self.as_ptr().wrapping_add(at));
    }
}

/// One panel: `vectors` vectors of columns, column vectors of one step of the depth side by side.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a, W> {
    /// `depth` times `vectors` vectors.
    pub(crate) weights: W,
    /// The weights of the next panel, which the processor is told of while this one is worked with; may be fewer or none.
    pub(crate) next: W,
    /// What sums start with, `vectors` vectors.
    pub(crate) start: &'a [f32],
    /// Vectors side by side.
    pub(crate) vectors: usize,
}

impl<'a> Panel<'a, ()> {
    /// The panel with these weights.
    pub(crate) fn of<T>(self, weights: &[T]) -> Panel<'a, &[T]> {
        Panel { weights, next: &[], start: self.start, vectors: self.vectors }
    }
}

/// `out = clamp(start + rows * panel)`.
pub(crate) struct Product<'a, 'b, W> {
    pub(crate) rows: Rows<'a>,
    pub(crate) depth: usize,
    pub(crate) panel: Panel<'a, W>,
    pub(crate) min: f32,
    pub(crate) max: f32,
    /// As many rows, and the panel's columns.
    pub(crate) out: Strip<'b>,
}

/// Most vectors of a panel at each level: as many as leave registers for enough rows.
pub(crate) fn panel_vectors(level: Level) -> usize {
    match level {
        Level::Portable(_) => 1,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(_) => 2,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => 4,
    }
}

impl<W: Columns> Product<'_, '_, W> {
    /// Runs it with a level's vectors.
    pub(crate) fn run(self, level: Level) {
        level.run(self);
    }

    /// Rows from `from` on, cut into tiles of `R` rows; the first row that is left.
    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, from: usize) -> usize {
        let mut row = from;
        while self.rows.count - row >= R {
            self.tile::<S, R, V>(simd, row);
            row += R;
        }
        row
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, row: usize) {
        let (depth, stride, width) = (self.depth, self.rows.stride, V * S::LANES);
        let a = &self.rows.data[row * stride..];
        let Runs { len, pitch } = self.rows.runs.unwrap_or(Runs { len: depth, pitch: 0 });
        let runs = if len == depth { 1 } else { depth / len };
        assert!(runs > 0 && runs * len == depth && self.panel.weights.count() >= depth * width, "whole runs");
        assert!(a.len() >= (R - 1) * stride + (runs - 1) * pitch + len, "whole rows");
        let (mut a, b) = (a.as_ptr(), self.panel.weights);
        let mut sums = [[simd.splat(0.0); V]; R];
        for v in 0..V {
            let start = simd.load(&self.panel.start[v * S::LANES..]);
            for sums in &mut sums {
                sums[v] = start;
            }
        }
        // The first tiles ask for a vector each of every step of the next panel; the others for what is near already.
        let turn = row / R;
        let (ahead, turn) = if turn < V && self.panel.next.count() > 0 { (self.panel.next, turn) } else { (b, 0) };
        let mut k = 0;
        for _ in 0..runs {
            for i in 0..len {
                if R <= FEW {
                    // Such a panel is read once: nothing is near yet.
                    (0..V).for_each(|v| b.prefetch((k + AHEAD) * width + v * S::LANES));
                } else {
                    ahead.prefetch(k * width + turn * S::LANES);
                }
                let mut columns = [simd.splat(0.0); V];
                for (v, column) in columns.iter_mut().enumerate() {
                    // SAFETY: k < depth and v < V, so a whole vector lies before depth * width, which is inside.
                    *column = unsafe { b.load(simd, k * width + v * S::LANES) };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: r < R and i < len, so this is before the end of the row's run, which is inside.
                    let x = simd.splat(unsafe { *a.wrapping_add(r * stride + i) });
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = simd.mul_add(x, column, *sum);
                    }
                }
                k += 1;
            }
            a = a.wrapping_add(pitch);
        }
        let (min, max) = (simd.splat(self.min), simd.splat(self.max));
        for (r, sums) in sums.into_iter().enumerate() {
            let out = self.out.row(row + r);
            for (part, sum) in out.chunks_mut(S::LANES).zip(sums) {
                let v = simd.min(max, simd.max(min, sum));
                if part.len() == S::LANES { simd.store(part, v) } else { simd.store_part(part, v) }
            }
        }
    }
}

impl<W: Columns> Vectorised for Product<'_, '_, W> {
    type Output = ();

    /// The tiles' heights leave registers for the sums, one step's columns and one broadcast value.
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let wide = S::REGISTERS >= 32;
        match self.panel.vectors {
            1 if wide => {
                let row = self.tiles::<S, 12, 1>(simd, 0);
                let row = self.tiles::<S, 6, 1>(simd, row);
                self.rest::<S, 1>(simd, row);
            }
            1 => self.rest::<S, 1>(simd, 0),
            2 if wide => {
                let row = self.tiles::<S, 12, 2>(simd, 0);
                let row = self.tiles::<S, 6, 2>(simd, row);
                self.rest::<S, 2>(simd, row);
            }
            2 => {
                let row = self.tiles::<S, 6, 2>(simd, 0);
                self.rest::<S, 2>(simd, row);
            }
            3 => {
                let row = self.tiles::<S, 8, 3>(simd, 0);
                self.rest::<S, 3>(simd, row);
            }
            _ => {
                let row = self.tiles::<S, 6, 4>(simd, 0);
                self.rest::<S, 4>(simd, row);
            }
        }
    }
}

impl<W: Columns> Product<'_, '_, W> {
    #[inline(always)]
    fn rest<S: Simd, const V: usize>(&mut self, simd: S, row: usize) {
        let row = self.tiles::<S, 4, V>(simd, row);
        let row = self.tiles::<S, 2, V>(simd, row);
        self.tiles::<S, 1, V>(simd, row);
    }
}
