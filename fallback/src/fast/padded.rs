//! Rows of an image with the zeros around it, which windows read where they lie. Patches would repeat each element as
//! often as windows overlap; where weights are few, that costs more than the products.

use crate::{kernels::support::Window, simd::Runs};

/// Floats of the rows that lie ready at a time: a part of a core's first cache.
const READY_FLOATS: usize = 8 << 10;

/// Rows of padded input, as long as the windows of a row of the output reach.
pub(super) struct Padded {
    y: Window,
    x: Window,
    channels: usize,
    /// Elements of a padded row.
    len: usize,
}

impl Padded {
    /// Of windows over images of `channels` channels; `None` where their taps are no neighbours or there are no windows.
    pub(super) fn new(y: &Window, x: &Window, channels: usize) -> Option<Self> {
        let dense = |window: &Window| window.dilation == 1 || window.taps == 1;
        let cells = x.output.checked_sub(1)?.checked_mul(x.stride)?.checked_add(x.taps)?;
        let len = cells.checked_mul(channels).filter(|&len| len > 0 && y.output > 0)?;
        (dense(y) && dense(x)).then_some(Self { y: *y, x: *x, channels, len })
    }

    /// Rows of the output that are worked on at a time.
    pub(super) fn block(&self) -> usize {
        let more = (READY_FLOATS / self.len).saturating_sub(self.y.taps) / self.y.stride;
        (more + 1).min(self.y.output)
    }

    /// Elements of the padded rows for `rows` rows of the output.
    pub(super) fn floats(&self, rows: usize) -> usize {
        let lines = rows.saturating_sub(1).saturating_mul(self.y.stride).saturating_add(self.y.taps);
        lines.saturating_mul(self.len)
    }

    /// Writes the padded rows that the output's rows from `first` on read, as many as `ready` has room for.
    pub(super) fn fill(&self, image: &[f32], first: usize, ready: &mut [f32]) {
        let line = self.x.input * self.channels;
        let left = (self.x.before * self.channels).min(self.len);
        let inside = line.min(self.len - left);
        for (i, ready) in ready.chunks_exact_mut(self.len).enumerate() {
            let row = (first * self.y.stride + i).checked_sub(self.y.before).filter(|&row| row < self.y.input);
            let Some(row) = row else {
                ready.fill(0.0);
                continue;
            };
            ready[..left].fill(0.0);
            ready[left..left + inside].copy_from_slice(&image[row * line..][..inside]);
            ready[left + inside..].fill(0.0);
        }
    }

    /// Where the padded rows of the output's row `row` of those that are ready begin.
    pub(super) fn start(&self, row: usize) -> usize {
        row * self.y.stride * self.len
    }

    /// Elements from one window to the next.
    pub(super) fn step(&self) -> usize {
        self.x.stride * self.channels
    }

    /// What lies side by side of a window.
    pub(super) fn runs(&self) -> Runs {
        Runs { len: self.x.taps * self.channels, pitch: self.len }
    }
}
