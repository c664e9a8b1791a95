//! Shared, immutable byte ranges.

use std::{fmt, ops::Deref, sync::Arc};

/// A range of bytes and whoever keeps it alive: a mapped file, an owned buffer or a host's memory look the same.
///
/// Cloning is cheap. Nothing is promised about alignment: a mapped file's buffers lie where the file has them.
#[derive(Clone)]
pub struct Bytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
    len: usize,
}

impl Bytes {
    /// All bytes of `owner`.
    pub fn new(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        let len = owner.as_ref().len();
        Self { owner: Arc::new(owner), start: 0, len }
    }

    /// The part `start..start + len` with the same owner; `None` when it does not lie inside.
    pub fn slice(&self, start: usize, len: usize) -> Option<Self> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Self { owner: Arc::clone(&self.owner), start: self.start + start, len })
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // An owner that shrinks after construction yields an empty range rather than a panic.
        (*self.owner).as_ref().get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn slices_stay_inside() {
        let bytes = Bytes::from(vec![1, 2, 3, 4]);
        let part = bytes.slice(1, 2).map(|b| b.to_vec());
        assert_eq!(part, Some(vec![2, 3]));
        assert!(bytes.slice(3, 2).is_none());
        assert!(bytes.slice(usize::MAX, 2).is_none());
    }
}
