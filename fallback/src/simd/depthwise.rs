//! The inner loop of depthwise convolutions: one row of outputs, a vector of channels at a time.

use super::{Level, Simd, Vectorised, tile::prefetch};

/// Taps whose weights stay in registers.
const HELD: usize = 9;
/// Windows that share each weight that is loaded.
const SIDE_BY_SIDE: usize = 4;
/// Floats of a cache line.
const LINE: usize = 16;

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
    /// What the next row of the output will read and this one does not; the processor is told of it cell by cell.
    pub(crate) next: &'a [f32],
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
        if self.rows == 3 && self.taps == 3 && S::REGISTERS >= 32 {
            let each = self.next.len().div_ceil(LINE * self.columns.len() * self.channels.div_ceil(S::LANES).max(1));
            for channel in (0..self.channels).step_by(S::LANES) {
                self.threes(simd, channel, S::LANES.min(self.channels - channel), each);
            }
            return;
        }
        let mut channel = 0;
        while channel < self.channels {
            let vectors = (self.channels - channel) / S::LANES;
            channel += match vectors {
                0 => self.channels_from::<S, 1>(simd, channel, self.channels - channel),
                4.. if S::REGISTERS >= 32 => self.channels_from::<S, 4>(simd, channel, S::LANES),
                2.. => self.channels_from::<S, 2>(simd, channel, S::LANES),
                _ => self.channels_from::<S, 1>(simd, channel, S::LANES),
            };
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

    /// `V` vectors of channels of `lanes` each, of which more than one are whole, of all windows; how many channels.
    #[inline(always)]
    fn channels_from<S: Simd, const V: usize>(&mut self, simd: S, channel: usize, lanes: usize) -> usize {
        let mut x = 0;
        while x < self.columns.len() {
            let beside = self.columns[x..].iter().take(SIDE_BY_SIDE);
            let inside = beside.take_while(|column| column.1 == self.taps).count();
            if inside == SIDE_BY_SIDE {
                self.cells::<S, SIDE_BY_SIDE, V>(simd, channel, lanes, x);
                x += SIDE_BY_SIDE;
            } else {
                self.cells::<S, 1, V>(simd, channel, lanes, x);
                x += 1;
            }
        }
        if lanes == S::LANES { V * lanes } else { lanes }
    }

    /// `N` windows side by side with the same taps inside. Several vectors of channels have a sum each, so that none
    /// waits for another.
    #[inline(always)]
    fn cells<S: Simd, const N: usize, const V: usize>(&mut self, simd: S, channel: usize, lanes: usize, x: usize) {
        let (tap, count, _) = self.columns[x];
        let mut sums = [[simd.splat(0.0); V]; N];
        for v in 0..V {
            let start = simd.load_part(&self.start[channel + v * S::LANES..][..lanes]);
            sums.iter_mut().for_each(|sums| sums[v] = start);
        }
        let mut starts = [0; N];
        for (start, column) in starts.iter_mut().zip(&self.columns[x..]) {
            *start = column.2 * self.channels + channel;
        }
        let step = self.dilation * self.channels;
        for row in 0..self.rows {
            let weight = (row * self.taps + tap) * self.channels + channel;
            for i in 0..count {
                let at = row * self.line + i * step;
                for v in 0..V {
                    // SAFETY: `is_sound` has checked the last column of the last row, and whoever calls this the channels.
                    let w = unsafe { Self::load(simd, self.weights, weight + i * self.channels + v * S::LANES, lanes) };
                    for (sums, start) in sums.iter_mut().zip(starts) {
                        // SAFETY: as above.
                        let x = unsafe { Self::load(simd, self.input, start + at + v * S::LANES, lanes) };
                        sums[v] = simd.mul_add(x, w, sums[v]);
                    }
                }
            }
        }
        for (n, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                self.store(simd, x + n, channel + v * S::LANES, lanes, sum);
            }
        }
    }

    /// A vector of channels of all windows of three by three, whose rows all lie inside the input; their weights stay in
    /// registers. Asks for `each` lines of what the next row will read per window.
    #[inline(always)]
    fn threes<S: Simd>(&mut self, simd: S, channel: usize, lanes: usize, each: usize) {
        let mut weights = [simd.splat(0.0); HELD];
        for (t, weight) in weights.iter_mut().enumerate() {
            *weight = simd.load_part(&self.weights[t * self.channels + channel..][..lanes]);
        }
        let start = simd.load_part(&self.start[channel..channel + lanes]);
        let step = self.dilation * self.channels;
        let mut ahead = self.next.as_ptr().wrapping_add(channel / S::LANES * self.columns.len() * each * LINE);
        for x in 0..self.columns.len() {
            for _ in 0..each {
                prefetch(ahead);
                ahead = ahead.wrapping_add(LINE);
            }
            if self.columns[x].1 < self.taps {
                self.cells::<S, 1, 1>(simd, channel, lanes, x);
                continue;
            }
            let at = self.columns[x].2 * self.channels + channel;
            let mut sum = start;
            for row in 0..3 {
                for i in 0..3 {
                    // SAFETY: `is_sound` has checked the last column of the last row, and channel + lanes <= channels.
                    let v = unsafe { Self::load(simd, self.input, at + row * self.line + i * step, lanes) };
                    sum = simd.mul_add(v, weights[row * 3 + i], sum);
                }
            }
            self.store(simd, x, channel, lanes, sum);
        }
    }
}
