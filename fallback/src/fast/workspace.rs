//! Working memory of fast kernels.

use bytemuck::Pod;

use crate::simd::{Line, Store};

/// Memory that grows to what the hungriest kernel of an interpreter needs and is then used again and again.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    lines: Store,
}

impl Workspace {
    /// Bytes that it has grown to.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }

    /// `len` elements with whatever an earlier use has left in them.
    pub(crate) fn take<T: Pod>(&mut self, len: usize) -> &mut [T] {
        let bytes = len.saturating_mul(size_of::<T>());
        let lines = bytes.div_ceil(size_of::<Line>());
        if self.lines.as_slice().len() < lines {
            // The old memory goes first, so that both need not exist at once.
            self.lines = Store::new();
            self.lines = Store::zeros(lines);
        }
        let all: &mut [u8] = bytemuck::cast_slice_mut(self.lines.as_mut_slice());
        bytemuck::cast_slice_mut(&mut all[..bytes])
    }
}

/// Whether working memory is in proportion to the bytes that a kernel reads and writes. A file can ask for more with a
/// single number, such as a dilation; the plain kernels need none.
pub(crate) fn is_modest(bytes: usize, operands: usize) -> bool {
    bytes <= operands.saturating_mul(16).saturating_add(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::{Workspace, is_modest};

    #[test]
    fn memory_is_in_proportion() {
        assert!(is_modest(1 << 20, 0) && is_modest(1 << 30, 1 << 26));
        assert!(!is_modest(1 << 30, 1 << 20) && is_modest(usize::MAX, usize::MAX));
    }

    #[test]
    fn memory_is_used_again() {
        let mut workspace = Workspace::default();
        workspace.take::<f32>(5).fill(1.0);
        assert_eq!(workspace.take::<u32>(3), [1.0f32.to_bits(); 3]);
        assert_eq!(workspace.take::<i8>(33).len(), 33);
        assert!(workspace.take::<f64>(0).is_empty());
    }
}
