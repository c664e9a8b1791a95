//! Memory that begins at a cache line.

use super::Store;

/// One cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line([u64; 8]);

impl Line {
    /// All bits zero.
    pub(crate) const ZERO: Self = Self([0; 8]);
}

// SAFETY: eight integers without padding; every bit pattern is one.
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for Line {}

/// Floats at addresses of cache lines, so that a vector never lies across two.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    lines: Store,
    len: usize,
}

impl Lines {
    /// Zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self { lines: Store::zeros(len.div_ceil(16)), len }
    }

    /// The floats.
    pub(crate) fn as_slice(&self) -> &[f32] {
        &bytemuck::cast_slice(self.lines.as_slice())[..self.len]
    }

    /// The floats.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(self.lines.as_mut_slice())[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn floats_begin_at_a_cache_line() {
        for len in [0, 1, 16, 17] {
            let mut lines = Lines::zeros(len);
            lines.as_mut_slice().fill(1.0);
            assert_eq!(lines.as_slice(), vec![1.0; len]);
            assert_eq!(lines.as_slice().as_ptr().addr() % 64, 0);
        }
    }
}
