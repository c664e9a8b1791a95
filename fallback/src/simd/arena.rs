//! Large memory that the system gets back at once, and parts of it that are lent out.
//!
//! An allocator's heap keeps what was freed between what is still in use; activations of a few megabytes would leave
//! holes there that are larger than they are.

use std::{
    collections::BTreeMap,
    fmt,
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};

use super::Line;

/// Zeros from the system, which takes memory for them when they are first touched.
#[cfg(not(target_family = "wasm"))]
type Pages = memmap2::MmapMut;
#[cfg(target_family = "wasm")]
type Pages = Vec<Line>;

#[cfg(not(target_family = "wasm"))]
fn pages(lines: usize) -> Option<(Pages, NonNull<Line>)> {
    let mut pages = memmap2::MmapMut::map_anon(lines.checked_mul(size_of::<Line>())?).ok()?;
    // Pages are aligned to much more than a line.
    let start = NonNull::new(pages.as_mut_ptr().cast())?;
    Some((pages, start))
}

#[cfg(target_family = "wasm")]
fn pages(lines: usize) -> Option<(Pages, NonNull<Line>)> {
    let mut pages = Vec::new();
    pages.try_reserve_exact(lines).ok()?;
    pages.resize(lines, Line::ZERO);
    let start = NonNull::new(pages.as_mut_ptr())?;
    Some((pages, start))
}

/// Memory of which disjoint parts are lent out; it goes back to the system with the last of them.
#[derive(Clone)]
pub(crate) struct Arena(Arc<Inner>);

struct Inner {
    start: NonNull<Line>,
    lines: usize,
    /// First line of each part that is lent, and the line behind it.
    lent: Mutex<BTreeMap<usize, usize>>,
    /// Never touched but through `start`.
    _pages: Pages,
}

// SAFETY: lines are reached through blocks only, and each block has its lines for itself.
unsafe impl Send for Inner {}
// SAFETY: as above; the list of what is lent is behind a lock.
unsafe impl Sync for Inner {}

/// A part of an arena, whose lines nobody else has.
pub(crate) struct Block {
    arena: Arc<Inner>,
    first: usize,
    lines: usize,
    /// Whether the arena was made for this block.
    alone: bool,
}

impl Arena {
    /// Lines of zeros; `None` when there is no memory.
    pub(crate) fn new(lines: usize) -> Option<Self> {
        let (pages, start) = pages(lines.max(1))?;
        Some(Self(Arc::new(Inner { start, lines, lent: Mutex::default(), _pages: pages })))
    }

    /// Lines that it has.
    pub(crate) fn lines(&self) -> usize {
        self.0.lines
    }

    /// The lines from `first` on with whatever was last left in them; `None` where one of them is lent or there are none.
    pub(crate) fn lend(&self, first: usize, lines: usize) -> Option<Block> {
        let end = first.checked_add(lines).filter(|&end| end <= self.0.lines && lines > 0)?;
        let mut lent = self.0.lent.lock().unwrap_or_else(PoisonError::into_inner);
        // Parts are disjoint, so that the last one before `end` reaches furthest.
        let free = lent.range(..end).next_back().is_none_or(|(_, &behind)| behind <= first);
        free.then(|| {
            lent.insert(first, end);
            Block { arena: Arc::clone(&self.0), first, lines, alone: false }
        })
    }
}

impl Block {
    /// Zeros in memory of their own; `None` when there is no memory.
    pub(crate) fn alone(lines: usize) -> Option<Self> {
        let mut block = Arena::new(lines)?.lend(0, lines)?;
        block.alone = true;
        Some(block)
    }

    /// Whether others have parts of the same arena.
    pub(crate) fn is_lent(&self) -> bool {
        !self.alone
    }

    /// Its lines.
    pub(crate) fn as_slice(&self) -> &[Line] {
        // SAFETY: the lines lie inside the arena, which lives as long as this block, hold integers since it was made,
        // and are in no other block, so that nobody writes to them while they are borrowed from this one.
        unsafe { std::slice::from_raw_parts(self.arena.start.as_ptr().add(self.first), self.lines) }
    }

    /// Its lines.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Line] {
        // SAFETY: as above, and this block is borrowed by nobody else.
        unsafe { std::slice::from_raw_parts_mut(self.arena.start.as_ptr().add(self.first), self.lines) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.arena.lent.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.first);
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} + {})", self.first, self.lines)
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arena({})", self.0.lines)
    }
}

/// Lines from which on memory is the system's own rather than the heap's, 256 KiB.
const LARGE: usize = 4 << 10;

/// Lines that one owner has.
#[derive(Debug)]
pub(crate) enum Store {
    /// On the heap.
    Heap(Vec<Line>),
    /// Part of an arena, or large memory of its own.
    Block(Block),
}

impl Store {
    /// No lines.
    pub(crate) const fn new() -> Self {
        Self::Heap(Vec::new())
    }

    /// Zeros; `None` when there is no memory.
    pub(crate) fn try_zeros(lines: usize) -> Option<Self> {
        if lines >= LARGE {
            return Block::alone(lines).map(Self::Block);
        }
        let mut heap = Vec::new();
        heap.try_reserve_exact(lines).ok()?;
        heap.resize(lines, Line::ZERO);
        Some(Self::Heap(heap))
    }

    /// Zeros. Ends the process when there is no memory, as vectors do.
    pub(crate) fn zeros(lines: usize) -> Self {
        Self::try_zeros(lines).unwrap_or_else(|| Self::Heap(vec![Line::ZERO; lines]))
    }

    /// Makes room for `lines` lines, which keep what was in them where there was room before; what is new is zero.
    /// Whether all is new; `None` when there is no memory.
    pub(crate) fn try_resize(&mut self, lines: usize) -> Option<bool> {
        match self {
            Self::Heap(heap) if lines <= heap.capacity() => {
                let new = heap.is_empty();
                heap.resize(lines, Line::ZERO);
                return Some(new);
            }
            Self::Block(block) if lines <= block.lines => return Some(false),
            _ => {}
        }
        // What there was goes first, so that both need not exist at once.
        *self = Self::new();
        *self = Self::try_zeros(lines)?;
        Some(true)
    }

    /// Lines that there is memory for.
    pub(crate) fn capacity(&self) -> usize {
        match self {
            Self::Heap(heap) => heap.capacity(),
            Self::Block(block) => block.lines,
        }
    }

    /// Whether it is part of an arena that others use too.
    pub(crate) fn is_lent(&self) -> bool {
        matches!(self, Self::Block(block) if block.is_lent())
    }

    /// All lines.
    pub(crate) fn as_slice(&self) -> &[Line] {
        match self {
            Self::Heap(heap) => heap,
            Self::Block(block) => block.as_slice(),
        }
    }

    /// All lines.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Line] {
        match self {
            Self::Heap(heap) => heap,
            Self::Block(block) => block.as_mut_slice(),
        }
    }
}

impl Clone for Store {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.as_slice().len());
        copy.as_mut_slice().copy_from_slice(self.as_slice());
        copy
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_lent_once() {
        let Some(arena) = Arena::new(10) else { return };
        let (first, second) = (arena.lend(0, 4), arena.lend(4, 3));
        assert!(first.is_some() && second.is_some());
        for (start, lines) in [(0, 1), (3, 1), (3, 4), (6, 2), (0, 10), (8, 3), (10, 1), (9, usize::MAX), (8, 0)] {
            assert!(arena.lend(start, lines).is_none(), "{start} {lines}");
        }
        drop(first);
        assert!(arena.lend(0, 5).is_none() && arena.lend(0, 4).is_some() && arena.lend(7, 3).is_some());
    }

    #[test]
    fn parts_outlive_their_arena_and_do_not_touch() {
        let blocks = Arena::new(6).map(|arena| (arena.lend(0, 2), arena.lend(2, 4)));
        let Some((Some(mut a), Some(b))) = blocks else { return };
        a.as_mut_slice().fill(Line::ZERO);
        bytemuck::cast_slice_mut::<Line, u8>(a.as_mut_slice()).fill(7);
        assert_eq!(b.as_slice(), [Line::ZERO; 4]);
        assert_eq!(a.as_slice().as_ptr().addr() % 64, 0);
    }

    #[test]
    fn memory_of_all_sizes_is_zero_and_keeps_what_it_has() {
        for lines in [1, 3, LARGE, LARGE + 1] {
            let mut store = Store::zeros(lines);
            assert!(store.as_slice().iter().all(|line| *line == Line::ZERO) && store.as_slice().len() == lines);
            bytemuck::cast_slice_mut::<Line, u8>(store.as_mut_slice()).fill(1);
            let copy = store.clone();
            assert_eq!((store.try_resize(lines), store.as_slice()), (Some(false), copy.as_slice()));
            assert_eq!(store.try_resize(2 * LARGE), Some(true));
            assert!(store.capacity() >= 2 * LARGE && !store.is_lent());
        }
        assert!(Store::try_zeros(usize::MAX / 64).is_none());
    }
}
