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
        for patch in self.patches.chunks_exact_mut(y.taps * row_len) {
            let ((tap_y, count_y, in_y), (tap_x, count_x, in_x)) = (y.inside[out_y], x.inside[out_x]);
            let image = &self.input[batch * self.image..];
            for (tap, row) in patch.chunks_exact_mut(row_len).enumerate() {
                if tap < tap_y || tap >= tap_y + count_y || count_x == 0 {
                    fill(simd, row);
                    continue;
                }
                let at = (in_y + (tap - tap_y) * y.dilation) * line + in_x * channels + self.channel;
                let (before, rest) = row.split_at_mut(tap_x * depth);
                let (inside, behind) = rest.split_at_mut(count_x * depth);
                fill(simd, before);
                fill(simd, behind);
                if dense {
                    copy(simd, &image[at..], inside);
                    continue;
                }
                for (i, cell) in inside.chunks_exact_mut(*depth).enumerate() {
                    copy(simd, &image[at + i * x.dilation * channels..], cell);
                }
            }
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

#[inline(always)]
fn copy<S: Simd>(simd: S, from: &[f32], to: &mut [f32]) {
    let from = &from[..to.len()];
    for (from, to) in from.chunks(S::LANES).zip(to.chunks_mut(S::LANES)) {
        simd.store_part(to, simd.load_part(from));
    }
}

#[inline(always)]
fn fill<S: Simd>(simd: S, to: &mut [f32]) {
    for to in to.chunks_mut(S::LANES) {
        simd.store_part(to, simd.splat(0.0));
    }
}
