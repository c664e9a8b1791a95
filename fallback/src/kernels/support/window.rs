//! Windows that slide over one spatial dimension: convolutions and pools.

use std::ops::Range;

use tflite_wgpu_model::{Padding, infer};

use super::{mismatch, refuse};
use crate::kernels::KernelError;

/// One spatial dimension of a window operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    /// Size of the input.
    pub input: usize,
    /// Size of the output.
    pub output: usize,
    /// Number of taps.
    pub taps: usize,
    /// Step of the window.
    pub stride: usize,
    /// Distance of the taps.
    pub dilation: usize,
    /// Cells of padding before the input.
    pub before: usize,
}

impl Window {
    /// A window over `input` cells; `stride` and `dilation` as the file has them.
    ///
    /// # Errors
    /// When a size is not positive.
    pub fn new(input: usize, taps: usize, stride: i32, dilation: i32, padding: Padding) -> Result<Self, KernelError> {
        let positive = |value: i32, what: &str| match usize::try_from(value) {
            Ok(value) if value > 0 => Ok(value),
            _ => Err(refuse(what, value, "a positive number")),
        };
        let (stride, dilation) = (positive(stride, "stride")?, positive(dilation, "dilation")?);
        let infer::Window { output, before, .. } =
            infer::window(padding, input, taps, stride, dilation).map_err(mismatch)?;
        Ok(Self { input, output, taps, stride, dilation, before })
    }

    /// The taps that lie inside the input for output cell `out`, and the input cell of the first of them.
    pub fn inside(&self, out: usize) -> (Range<usize>, usize) {
        let start = out * self.stride;
        let first = self.before.saturating_sub(start).div_ceil(self.dilation);
        // Cells from the window's origin to the input's end, both shifted by the padding.
        let room = (self.input + self.before).saturating_sub(start).div_ceil(self.dilation);
        let last = room.min(self.taps).max(first);
        (first..last, (start + first * self.dilation).saturating_sub(self.before))
    }

    /// For a transposed window, whose output is what [`Window::new`] calls the input: the cells of the operand, of
    /// which there are `cells`, that reach output cell `at`, each with the tap through which it does, in order.
    pub fn sources(&self, cells: usize, at: usize) -> impl Iterator<Item = (usize, usize)> {
        let position = at + self.before;
        let first = position.saturating_sub((self.taps - 1) * self.dilation).div_ceil(self.stride);
        let last = (position / self.stride + 1).min(cells);
        let (stride, dilation) = (self.stride, self.dilation);
        (first..last).filter_map(move |cell| {
            let distance = position - cell * stride;
            distance.is_multiple_of(dilation).then_some((cell, distance / dilation))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_sizes_and_padding() -> Result<(), KernelError> {
        // (input, taps, stride, dilation, padding) -> (output, before)
        for (case, expected) in [
            ((5, 3, 1, 1, Padding::Same), (5, 1)),
            ((5, 3, 2, 1, Padding::Same), (3, 1)),
            ((6, 3, 2, 1, Padding::Same), (3, 0)),
            ((5, 1, 3, 1, Padding::Same), (2, 0)),
            ((5, 3, 1, 2, Padding::Same), (5, 2)),
            ((5, 3, 1, 2, Padding::Valid), (1, 0)),
            ((2, 3, 1, 1, Padding::Valid), (0, 0)),
        ] {
            let (input, taps, stride, dilation, padding) = case;
            let window = Window::new(input, taps, stride, dilation, padding)?;
            assert_eq!((window.output, window.before), expected, "{case:?}");
        }
        assert!(Window::new(5, 3, 0, 1, Padding::Same).is_err());
        Ok(())
    }

    #[test]
    fn taps_outside_the_input_are_left_out() -> Result<(), KernelError> {
        for (input, taps, stride, dilation) in [(5, 3, 1, 1), (5, 4, 2, 2), (3, 7, 1, 1), (7, 2, 3, 1), (4, 3, 1, 4)] {
            let window = Window::new(input, taps, stride, dilation, Padding::Same)?;
            for out in 0..window.output {
                let cell = |tap: usize| (out * window.stride + tap * window.dilation).checked_sub(window.before);
                let expected: Vec<_> = (0..taps).filter(|&t| cell(t).is_some_and(|c| c < input)).collect();
                let (found, first) = window.inside(out);
                assert_eq!(found.clone().collect::<Vec<_>>(), expected, "{window:?} {out}");
                assert!(expected.is_empty() || cell(found.start) == Some(first), "{window:?} {out}");
            }
        }
        Ok(())
    }

    #[test]
    fn sources_are_the_taps_seen_from_the_other_side() -> Result<(), KernelError> {
        for (input, taps, stride, dilation) in [(5, 3, 1, 1), (5, 4, 2, 2), (3, 7, 1, 1), (7, 2, 3, 1), (4, 3, 1, 4)] {
            let window = Window::new(input, taps, stride, dilation, Padding::Same)?;
            let mut pairs = Vec::new();
            for out in 0..window.output {
                let (inside, first) = window.inside(out);
                let cell = |tap| first + (tap - inside.start) * window.dilation;
                pairs.extend(inside.clone().map(|tap| (cell(tap), out, tap)));
            }
            pairs.sort_unstable();
            let sources = |at| window.sources(window.output, at).map(move |(cell, tap)| (at, cell, tap));
            assert_eq!((0..input).flat_map(sources).collect::<Vec<_>>(), pairs, "{window:?}");
        }
        Ok(())
    }
}
