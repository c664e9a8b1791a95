//! Patches: what lies under a filter at one output cell, side by side; zeros outside the input.

use crate::{
    kernels::support::Window,
    simd::{Simd, Vectorised},
};

/// Taps of one axis that lie inside the input, for each output index.
struct Axis {
    /// First tap inside, number of them, input index of the first.
    inside: Vec<(usize, usize, usize)>,
    taps: usize,
    dilation: usize,
}

impl Axis {
    fn new(window: &Window) -> Self {
        let inside = |out| {
            let (taps, first) = window.inside(out);
            (taps.start, taps.len(), first)
        };
        Self { inside: (0..window.output).map(inside).collect(), taps: window.taps, dilation: window.dilation }
    }
}

/// Where the windows over an image of a certain size lie.
pub(super) struct Taps {
    y: Axis,
    x: Axis,
    /// Elements of one row of the input.
    line: usize,
    /// Channels of the input.
    channels: usize,
    /// Channels that a patch has.
    pub(super) depth: usize,
}

impl Taps {
    pub(super) fn new(y: &Window, x: &Window, channels: usize, depth: usize) -> Self {
        Self { y: Axis::new(y), x: Axis::new(x), line: x.input * channels, channels, depth }
    }
}

/// Gathers the patches of the output cells from `first` on, as many as `patches` has room for.
pub(super) struct Patches<'a, 'b> {
    pub(super) taps: &'a Taps,
    pub(super) input: &'a [f32],
    /// Elements of one image.
    pub(super) image: usize,
    /// First channel of the input that belongs to a patch.
    pub(super) channel: usize,
    pub(super) first: usize,
    pub(super) patches: &'b mut [f32],
}

impl Vectorised for Patches<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Taps { y, x, line, channels, depth } = self.taps;
        let (width, height) = (x.inside.len(), y.inside.len());
        // Neighbouring taps are one run where nothing lies between them.
        let dense = x.dilation == 1 && depth == channels;
        let row_len = x.taps * depth;
        let (mut out_x, row) = (self.first % width, self.first / width);
        let (mut out_y, mut batch) = (row % height, row / height);
        let mut start = 0;
        while start < self.patches.len() {
            let ((tap_y, count_y, in_y), (tap_x, count_x, in_x)) = (y.inside[out_y], x.inside[out_x]);
            let image = &self.input[batch * self.image..];
            let whole = dense && count_x == x.taps;
            for tap in 0..y.taps {
                let to = start + tap * row_len;
                if tap < tap_y || tap >= tap_y + count_y || count_x == 0 {
                    self.patches[to..to + row_len].fill(0.0);
                    continue;
                }
                let at = (in_y + (tap - tap_y) * y.dilation) * line + in_x * channels + self.channel;
                if whole {
                    copy(simd, &image[at..], &mut self.patches[to..], row_len);
                    continue;
                }
                let row = &mut self.patches[to..to + row_len];
                let (before, rest) = row.split_at_mut(tap_x * depth);
                let (inside, behind) = rest.split_at_mut(count_x * depth);
                before.fill(0.0);
                behind.fill(0.0);
                let step = x.dilation * channels;
                for (i, cell) in inside.chunks_exact_mut(*depth).enumerate() {
                    copy(simd, &image[at + i * step..], cell, *depth);
                }
            }
            start += y.taps * row_len;
            out_x += 1;
            if out_x == width {
                (out_x, out_y) = (0, out_y + 1);
            }
            if out_y == height {
                (out_y, batch) = (0, batch + 1);
            }
        }
    }
}

/// Copies `len` floats, and some more where there is room on both sides: what lies behind is written later.
#[inline(always)]
fn copy<S: Simd>(simd: S, from: &[f32], to: &mut [f32], len: usize) {
    let padded = len.next_multiple_of(S::LANES);
    if from.len() < padded || to.len() < padded {
        to[..len].copy_from_slice(&from[..len]);
        return;
    }
    for (from, to) in from[..padded].chunks_exact(S::LANES).zip(to[..padded].chunks_exact_mut(S::LANES)) {
        simd.store(to, simd.load(from));
    }
}
