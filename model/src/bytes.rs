//! Shared, immutable byte ranges.

use std::{fmt, io, ops::Deref, path::Path, sync::Arc};

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

    /// A file's bytes: mapped where there is a file system that can, so that parts cost memory only when they are used.
    /// The file must not change while any part of it is in use.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        map(path.as_ref())
    }

    /// The part `start..start + len` with the same owner; `None` when it does not lie inside.
    pub fn slice(&self, start: usize, len: usize) -> Option<Self> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Self { owner: Arc::clone(&self.owner), start: self.start + start, len })
    }
}

#[cfg(not(target_family = "wasm"))]
#[allow(unsafe_code, reason = "a memory map is sound only as long as nobody changes the file")]
fn map(path: &Path) -> io::Result<Bytes> {
    let file = std::fs::File::open(path)?;
    // SAFETY: the map is read-only, and `Bytes::open` asks its caller that the file does not change while it is in use.
    Ok(Bytes::new(unsafe { memmap2::Mmap::map(&file) }?))
}

#[cfg(target_family = "wasm")]
fn map(path: &Path) -> io::Result<Bytes> {
    Ok(Bytes::from(std::fs::read(path)?))
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
