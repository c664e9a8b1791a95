//! Working memory of fast kernels.

use bytemuck::Pod;

/// Memory that grows to what the hungriest kernel of an interpreter needs and is then used again and again.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    words: Vec<u128>,
}

impl Workspace {
    /// `len` elements with whatever an earlier use has left in them.
    pub(crate) fn take<T: Pod>(&mut self, len: usize) -> &mut [T] {
        let bytes = len.saturating_mul(size_of::<T>());
        let words = bytes.div_ceil(size_of::<u128>());
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        bytemuck::cast_slice_mut(&mut all[..bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::Workspace;

    #[test]
    fn memory_is_used_again() {
        let mut workspace = Workspace::default();
        workspace.take::<f32>(5).fill(1.0);
        assert_eq!(workspace.take::<u32>(3), [1.0f32.to_bits(); 3]);
        assert_eq!(workspace.take::<i8>(33).len(), 33);
        assert!(workspace.take::<f64>(0).is_empty());
    }
}
