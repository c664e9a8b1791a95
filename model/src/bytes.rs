//! Shared, immutable byte ranges.

use std::{fmt, io, ops::Deref, path::Path, sync::Arc};

/// A range of bytes and whoever keeps it alive: a mapped file, an owned buffer or a host's memory look the same.
///
/// Cloning is cheap. Nothing is promised about alignment: a mapped file's buffers lie where the file has them.
#[derive(Clone)]
pub struct Bytes {
    owner: Owner,
    start: usize,
    len: usize,
}

/// Whoever keeps bytes alive.
#[derive(Clone)]
enum Owner {
    Memory(Arc<dyn AsRef<[u8]> + Send + Sync>),
    #[cfg(not(target_family = "wasm"))]
    Map(Arc<memmap2::Mmap>),
}

/// What a system maps around a page of a file that is read, as Linux does by default.
#[cfg(unix)]
const AROUND: usize = 64 << 10;

impl Bytes {
    /// All bytes of `owner`.
    pub fn new(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        let len = owner.as_ref().len();
        Self { owner: Owner::Memory(Arc::new(owner)), start: 0, len }
    }

    /// A file's bytes: mapped where there is a file system that can, so that parts cost memory only when they are used.
    /// The file must not change while any part of it is in use.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        map(path.as_ref())
    }

    /// The part `start..start + len` with the same owner; `None` when it does not lie inside.
    pub fn slice(&self, start: usize, len: usize) -> Option<Self> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Self { owner: self.owner.clone(), start: self.start + start, len })
    }

    /// Tells that these bytes are not needed for now: those of a mapped file no longer count as memory of this process,
    /// and come back when they are read. Their neighbours that the system has mapped along go with them; other
    /// processes that use the file notice nothing.
    pub fn release(&self) {
        #[cfg(unix)]
        if let Owner::Map(map) = &self.owner {
            let start = self.start / AROUND * AROUND;
            let end = (self.start + self.len).next_multiple_of(AROUND).min(map.len());
            release(map, start, end.saturating_sub(start));
        }
    }
}

/// Gives the pages of a part of a map back; a system that does not want them loses nothing.
#[cfg(unix)]
#[allow(unsafe_code, reason = "pages of a map that nobody writes are the file's, whenever they are read")]
fn release(map: &memmap2::Mmap, start: usize, len: usize) {
    // SAFETY: the map is shared and read-only, so no page of it holds anything but what the file does, and a page that
    // was dropped is read from there again.
    let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, len) };
}

#[cfg(not(target_family = "wasm"))]
#[allow(unsafe_code, reason = "a memory map is sound only as long as nobody changes the file")]
fn map(path: &Path) -> io::Result<Bytes> {
    let file = std::fs::File::open(path)?;
    // SAFETY: the map is read-only, and `Bytes::open` asks its caller that the file does not change while it is in use.
    let map = unsafe { memmap2::Mmap::map(&file) }?;
    let len = map.len();
    Ok(Bytes { owner: Owner::Map(Arc::new(map)), start: 0, len })
}

#[cfg(target_family = "wasm")]
fn map(path: &Path) -> io::Result<Bytes> {
    Ok(Bytes::from(std::fs::read(path)?))
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // An owner that shrinks after construction yields an empty range rather than a panic.
        let all = match &self.owner {
            Owner::Memory(owner) => (**owner).as_ref(),
            #[cfg(not(target_family = "wasm"))]
            Owner::Map(map) => map,
        };
        all.get(self.start..self.start + self.len).unwrap_or_default()
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

    /// Kibibytes of files that this process has mapped and in memory, where the system tells.
    #[cfg(target_os = "linux")]
    fn mapped_kb() -> Option<usize> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn released_bytes_take_no_memory_and_come_back() -> std::io::Result<()> {
        use super::AROUND;
        let path = std::env::temp_dir().join(format!("tflite-wgpu-released-{}", std::process::id()));
        let content: Vec<u8> = (0..200 * AROUND).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &content)?;
        let bytes = Bytes::open(&path)?;
        let part = bytes.slice(3 * AROUND + 5, 190 * AROUND).ok_or(std::io::ErrorKind::InvalidInput)?;
        let read = |bytes: &Bytes| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        let sum = read(&part);
        let before = mapped_kb();
        part.release();
        let after = mapped_kb();
        // Other tests run beside this one, but none maps megabytes.
        assert!(after.zip(before).is_none_or(|(after, before)| after + 8000 < before), "{before:?} {after:?}");
        assert_eq!((read(&part), &*bytes), (sum, content.as_slice()));
        std::fs::remove_file(path)
    }

    #[test]
    fn memory_has_nothing_to_release() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        bytes.release();
        assert_eq!(&*bytes, [1, 2, 3]);
    }

    #[test]
    fn slices_stay_inside() {
        let bytes = Bytes::from(vec![1, 2, 3, 4]);
        let part = bytes.slice(1, 2).map(|b| b.to_vec());
        assert_eq!(part, Some(vec![2, 3]));
        assert!(bytes.slice(3, 2).is_none());
        assert!(bytes.slice(usize::MAX, 2).is_none());
    }
}
