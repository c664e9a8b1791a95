//! The inner loop of depthwise convolutions: one row of outputs, a vector of channels at a time.

use super::{Level, Simd, Vectorised};

/// Taps whose weights stay in registers.
const HELD: usize = 9;
/// Windows that share each weight that is loaded.
const SIDE_BY_SIDE: usize = 4;

/// One row of the output: `out[x][c] = clamp(bias[c] + Σ_t weights[t][c] * input[at(x, t)][c])`.
pub(crate) struct DepthwiseRow<'a, 'b> {
    /// Begins with the input's row that the first tap inside reads.
    pub(crate) input: &'a [f32],
    /// Elements between the taps' rows of the input.
    pub(crate) line: usize,
    /// Rows of taps inside the input.
    pub(crate) rows: usize,
    /// For each output column: first tap column inside, number of them, input column of the first.
    pub(crate) columns: &'a [(usize, usize, usize)],
    /// Columns of the input between neighbouring taps.
    pub(crate) dilation: usize,
    /// Weights of the first row of taps inside: `rows` rows of `taps` columns of `channels`.
    pub(crate) weights: &'a [f32],
    pub(crate) taps: usize,
    /// What sums start with, one per channel.
    pub(crate) start: &'a [f32],
    pub(crate) channels: usize,
    pub(crate) min: f32,
    pub(crate) max: f32,
    /// One row of cells.
    pub(crate) out: &'b mut [f32],
}

impl DepthwiseRow<'_, '_> {
    /// Runs it with a level's vectors.
    pub(crate) fn run(self, level: Level) {
        level.run(self);
    }

    /// Whether all that the loops read and write is there.
    fn is_sound(&self) -> bool {
        let (rows, channels) = (self.rows, self.channels);
        let last = |&(tap, count, column): &(usize, usize, usize)| {
            (tap + count <= self.taps).then(|| column + count.saturating_sub(1) * self.dilation)
        };
        let columns: Option<usize> = self.columns.iter().try_fold(0, |most, column| Some(last(column)?.max(most)));
        columns.is_some_and(|column| rows == 0 || (rows - 1) * self.line + (column + 1) * channels <= self.input.len())
            && rows * self.taps * channels <= self.weights.len()
            && channels <= self.start.len()
            && self.columns.len() * channels <= self.out.len()
    }
}

impl Vectorised for DepthwiseRow<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        assert!(self.is_sound());
        for channel in (0..self.channels).step_by(S::LANES) {
            let lanes = S::LANES.min(self.channels - channel);
            let whole = self.rows == 3 && self.taps == 3 && S::REGISTERS >= 32;
            let mut x = 0;
            while x < self.columns.len() {
                let inside = self.columns[x..].iter().take_while(|column| column.1 == self.taps).count();
                if whole && inside > 0 {
                    self.three(simd, channel, lanes, x..x + inside);
                    x += inside;
                } else if inside >= SIDE_BY_SIDE && lanes == S::LANES {
                    self.several(simd, channel, x);
                    x += SIDE_BY_SIDE;
                } else {
                    self.cell(simd, channel, lanes, x);
                    x += 1;
                }
            }
        }
    }
}

impl DepthwiseRow<'_, '_> {
    /// `lanes` floats at `at` of `from`.
    ///
    /// # Safety
    /// They must be there.
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: &[f32], at: usize, lanes: usize) -> S::F {
        // SAFETY: the caller says so.
        unsafe {
            if lanes == S::LANES {
                simd.load_from(from.as_ptr().add(at))
            } else {
                simd.load_part(std::slice::from_raw_parts(from.as_ptr().add(at), lanes))
            }
        }
    }

    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, x: usize, channel: usize, lanes: usize, sum: S::F) {
        let v = simd.min(simd.splat(self.max), simd.max(simd.splat(self.min), sum));
        let out = &mut self.out[x * self.channels + channel..][..lanes];
        if lanes == S::LANES { simd.store(out, v) } else { simd.store_part(out, v) }
    }

    /// Any window.
    #[inline(always)]
    fn cell<S: Simd>(&mut self, simd: S, channel: usize, lanes: usize, x: usize) {
        let (tap, count, column) = self.columns[x];
        let mut sum = simd.load_part(&self.start[channel..channel + lanes]);
        for row in 0..self.rows {
            let at = row * self.line + column * self.channels + channel;
            let weight = (row * self.taps + tap) * self.channels + channel;
            for i in 0..count {
                // SAFETY: `is_sound` has checked the last column of the last row, and channel + lanes <= channels.
                let (v, w) = unsafe {
                    let v = Self::load(simd, self.input, at + i * self.dilation * self.channels, lanes);
                    (v, Self::load(simd, self.weights, weight + i * self.channels, lanes))
                };
                sum = simd.mul_add(v, w, sum);
            }
        }
        self.store(simd, x, channel, lanes, sum);
    }

    /// Windows side by side whose columns all lie inside the input; a whole vector of channels.
    #[inline(always)]
    fn several<S: Simd>(&mut self, simd: S, channel: usize, x: usize) {
        let start = simd.load(&self.start[channel..]);
        let mut sums = [start; SIDE_BY_SIDE];
        let mut starts = [0; SIDE_BY_SIDE];
        for (start, column) in starts.iter_mut().zip(&self.columns[x..]) {
            *start = column.2 * self.channels + channel;
        }
        let step = self.dilation * self.channels;
        for row in 0..self.rows {
            let weight = row * self.taps * self.channels + channel;
            for i in 0..self.taps {
                // SAFETY: as in `cell`.
                let w = unsafe { Self::load(simd, self.weights, weight + i * self.channels, S::LANES) };
                let at = row * self.line + i * step;
                for (sum, start) in sums.iter_mut().zip(starts) {
                    // SAFETY: as in `cell`.
                    let v = unsafe { Self::load(simd, self.input, start + at, S::LANES) };
                    *sum = simd.mul_add(v, w, *sum);
                }
            }
        }
        for (n, sum) in sums.into_iter().enumerate() {
            self.store(simd, x + n, channel, S::LANES, sum);
        }
    }

    /// Windows of three by three that lie inside the input; their weights stay in registers.
    #[inline(always)]
    fn three<S: Simd>(&mut self, simd: S, channel: usize, lanes: usize, columns: std::ops::Range<usize>) {
        let mut weights = [simd.splat(0.0); HELD];
        for (t, weight) in weights.iter_mut().enumerate() {
            *weight = simd.load_part(&self.weights[t * self.channels + channel..][..lanes]);
        }
        let start = simd.load_part(&self.start[channel..channel + lanes]);
        let step = self.dilation * self.channels;
        for x in columns {
            let at = self.columns[x].2 * self.channels + channel;
            let mut sum = start;
            for row in 0..3 {
                for i in 0..3 {
                    // SAFETY: as in `cell`.
                    let v = unsafe { Self::load(simd, self.input, at + row * self.line + i * step, lanes) };
                    sum = simd.mul_add(v, weights[row * 3 + i], sum);
                }
            }
            self.store(simd, x, channel, lanes, sum);
        }
    }
}
