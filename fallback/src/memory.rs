//! The memory of tensors while a model runs: shared values that are counted, a limit, and reuse.
//!
//! Tensors whose shapes are known before an invoke have places in an arena, planned by the steps at which they are alive
//! ([`Memory::lend`]). All other memory of computed tensors comes from [`Memory::allocate`]; all of it goes back through
//! [`Memory::recycle`].

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tflite_wgpu_model::DType;

use crate::{
    simd::{Arena, Line, Store},
    value::{Value, ValueError},
};

/// Values that wait for reuse; more would only be searched in vain.
const POOL_SIZE: usize = 32;
/// Bytes that may wait for reuse whatever is alive.
const SPARE_BYTES: usize = 16 << 10;

/// A value that several tensors may have; its bytes count as used until the last of them lets go.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Held>);

#[derive(Debug)]
struct Held {
    value: Value,
    counted: Counted,
}

/// What the values that tensors have take.
#[derive(Debug, Default)]
struct Counts {
    /// Bytes of elements.
    used: AtomicUsize,
    /// Bytes of memory: that of a value that is used again may be larger than its elements.
    capacity: AtomicUsize,
}

/// Bytes in the counts, taken off when dropped.
#[derive(Debug, Default)]
struct Counted {
    bytes: usize,
    capacity: usize,
    counts: Option<Arc<Counts>>,
}

impl Counted {
    fn new(value: &Value, counts: &Arc<Counts>) -> Self {
        let bytes = value.heap_bytes();
        // Of an arena all counts, whoever has parts of it.
        let capacity = if value.is_lent() { 0 } else { value.capacity().max(bytes) };
        counts.used.fetch_add(bytes, Ordering::Relaxed);
        counts.capacity.fetch_add(capacity, Ordering::Relaxed);
        Self { bytes, capacity, counts: Some(Arc::clone(counts)) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(counts) = &self.counts {
            counts.used.fetch_sub(self.bytes, Ordering::Relaxed);
            counts.capacity.fetch_sub(self.capacity, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// A value outside any interpreter's count, such as a model's constant.
    pub(crate) fn uncounted(value: Value) -> Self {
        Self(Arc::new(Held { value, counted: Counted::default() }))
    }

    pub(crate) fn value(&self) -> &Value {
        &self.0.value
    }

    /// The value for writing; copied first when another tensor has it too.
    pub(crate) fn to_mut(&mut self) -> &mut Value {
        if Arc::get_mut(&mut self.0).is_none() {
            let value = self.0.value.clone();
            let counted = self.0.counted.counts.as_ref().map(|counts| Counted::new(&value, counts));
            self.0 = Arc::new(Held { value, counted: counted.unwrap_or_default() });
        }
        // The branch above has made this the only owner.
        &mut Arc::make_mut(&mut self.0).value
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), counted: Counted::default() }
    }
}

/// Why a value cannot be allocated.
#[derive(Clone, Debug)]
pub(crate) enum MemoryError {
    /// The size overflows.
    Value(ValueError),
    /// More than the limit would be in use.
    Limit {
        /// Bytes asked for.
        needed: usize,
        /// Bytes in use.
        used: usize,
        /// The limit.
        limit: usize,
    },
}

/// What an interpreter's tensors have taken at most so far, constants left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryPeak {
    /// Bytes of the tensors that were alive at the same time: no plan can do with less.
    pub live_bytes: usize,
    /// Bytes that they took: with what waited for reuse, what was larger than needed, and working memory of kernels.
    pub taken_bytes: usize,
}

/// The memory of one interpreter.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    counts: Arc<Counts>,
    pool: Vec<Value>,
    /// What tensors share whose places are planned.
    arena: Option<Arena>,
    peak: MemoryPeak,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, counts: Arc::default(), pool: Vec::new(), arena: None, peak: MemoryPeak::default() }
    }

    /// Bytes that tensors have now.
    pub(crate) fn used(&self) -> usize {
        self.counts.used.load(Ordering::Relaxed)
    }

    /// What tensors have taken at most.
    pub(crate) fn peak(&self) -> MemoryPeak {
        self.peak
    }

    /// Takes note of what is in use while a node has both its inputs and its outputs, `working` bytes of its own included.
    pub(crate) fn note(&mut self, working: usize) {
        let taken = self.taken().saturating_add(working);
        self.peak.live_bytes = self.peak.live_bytes.max(self.used());
        self.peak.taken_bytes = self.peak.taken_bytes.max(taken);
    }

    /// Bytes of memory that tensors have or that wait for reuse.
    fn taken(&self) -> usize {
        let arena = self.arena.as_ref().map_or(0, |arena| arena.lines() * size_of::<Line>());
        self.counts.capacity.load(Ordering::Relaxed).saturating_add(self.pooled()).saturating_add(arena)
    }

    /// Makes room for so many lines of tensors with planned places.
    pub(crate) fn plan(&mut self, lines: usize) {
        let fits = |arena: &Arena| (lines..=lines.saturating_mul(2)).contains(&arena.lines());
        if !self.arena.as_ref().is_some_and(fits) {
            // The old arena goes first, so that both need not exist at once.
            self.arena = None;
            self.pool.clear();
            let allowed = lines.checked_mul(size_of::<Line>()).is_some_and(|bytes| bytes <= self.limit);
            self.arena = if allowed && lines > 0 { Arena::new(lines) } else { None };
        }
    }

    /// A value at a planned place, its first line and number of lines; with zeros, or with whatever the memory holds if
    /// that is `used`. `None` where the place is too small or taken.
    pub(crate) fn lend(
        &mut self,
        dtype: DType,
        shape: &[usize],
        (first, lines): (usize, usize),
        used: bool,
    ) -> Result<Option<Value>, MemoryError> {
        let needed = Value::bytes_of(dtype, shape).map_err(MemoryError::Value)?;
        self.check(needed)?;
        self.check_extent(dtype, shape)?;
        let fits = needed.div_ceil(size_of::<Line>()) <= lines && dtype != DType::String;
        let block = self.arena.as_ref().filter(|_| fits).and_then(|arena| arena.lend(first, lines));
        let Some(block) = block else { return Ok(None) };
        let mut value = Value::lent(dtype, Store::Block(block));
        if used {
            value.resize(dtype, shape).map_err(MemoryError::Value)?;
        } else {
            value.reset(dtype, shape).map_err(MemoryError::Value)?;
        }
        Ok(Some(value))
    }

    /// Bytes that may still be taken.
    pub(crate) fn available(&self) -> usize {
        self.limit.saturating_sub(self.used())
    }

    /// A value of zeros, in memory used before where some suffices.
    pub(crate) fn allocate(&mut self, dtype: DType, shape: &[usize]) -> Result<Value, MemoryError> {
        let mut value = self.find(dtype, shape)?;
        value.reset(dtype, shape).map_err(MemoryError::Value)?;
        Ok(value)
    }

    /// As [`Memory::allocate`], but with whatever an earlier use has left in the memory.
    pub(crate) fn allocate_used(&mut self, dtype: DType, shape: &[usize]) -> Result<Value, MemoryError> {
        let mut value = self.find(dtype, shape)?;
        value.resize(dtype, shape).map_err(MemoryError::Value)?;
        Ok(value)
    }

    /// A value for this type and shape to be given to, with memory used before where some suffices.
    fn find(&mut self, dtype: DType, shape: &[usize]) -> Result<Value, MemoryError> {
        let needed = Value::bytes_of(dtype, shape).map_err(MemoryError::Value)?;
        self.check(needed)?;
        self.check_extent(dtype, shape)?;
        let live = self.peak.live_bytes.max(self.used().saturating_add(needed));
        // A large value in memory much larger than it would be missed where that is needed.
        let slack = if needed > live / 32 { needed / 8 } else { needed };
        let fits = |value: &Value| (needed..=needed.saturating_add(slack).max(256)).contains(&value.capacity());
        let best = self.pool.iter().enumerate().filter(|(_, v)| fits(v)).min_by_key(|(_, v)| v.capacity());
        let value = match best.map(|(i, _)| i) {
            Some(i) => self.pool.swap_remove(i),
            None => {
                self.make_room(needed, live.saturating_add(live / 8).saturating_add(SPARE_BYTES));
                Value::empty(dtype)
            }
        };
        if needed > self.available().saturating_sub(self.pooled()) {
            self.trim();
        }
        Ok(value)
    }

    /// Gives memory that waits for reuse back to the system until `needed` more bytes stay below `most`: what suffices
    /// and is smallest, else what is largest.
    fn make_room(&mut self, needed: usize, most: usize) {
        while let Some(excess) = self.taken().saturating_add(needed).checked_sub(most).filter(|&excess| excess > 0) {
            let sizes = || self.pool.iter().map(Value::capacity).enumerate();
            let enough = sizes().filter(|(_, bytes)| *bytes >= excess).min_by_key(|(_, bytes)| *bytes);
            match enough.or_else(|| sizes().max_by_key(|(_, bytes)| *bytes)) {
                Some((i, _)) => drop(self.pool.swap_remove(i)),
                None => return,
            }
        }
    }

    /// Shares a value and counts its bytes.
    pub(crate) fn hold(&self, value: Value) -> Result<Shared, MemoryError> {
        let bytes = value.heap_bytes();
        self.check(bytes)?;
        self.check_extent(value.dtype(), value.shape())?;
        let counted = Counted::new(&value, &self.counts);
        Ok(Shared(Arc::new(Held { value, counted })))
    }

    /// Takes back a value that a tensor needs no longer; its memory is reused unless another tensor has it too.
    pub(crate) fn recycle(&mut self, shared: Shared) {
        let Some(held) = Arc::into_inner(shared.0) else { return };
        let own = held.counted.counts.is_some();
        // The count goes down before the pool is asked, so that a value never stands for itself twice.
        let Held { value, counted } = held;
        drop(counted);
        if own {
            self.reuse(value);
        }
    }

    /// Takes back a value that no tensor has had.
    pub(crate) fn reuse(&mut self, value: Value) {
        let bytes = value.capacity();
        let room = self.available().saturating_sub(self.pooled());
        if value.is_lent() {
            return;
        }
        if value.dtype() != DType::String && bytes > 0 && bytes <= room && self.pool.len() < POOL_SIZE {
            self.pool.push(value);
        }
    }

    fn pooled(&self) -> usize {
        self.pool.iter().map(Value::capacity).sum()
    }

    /// Gives unused memory back to the system.
    pub(crate) fn trim(&mut self) {
        self.pool.clear();
    }

    /// Whether a value without elements has dimensions that nothing else could have.
    fn check_extent(&self, dtype: DType, shape: &[usize]) -> Result<(), MemoryError> {
        let extent = Value::extent_bytes(dtype, shape).map_err(MemoryError::Value)?;
        let too_large = || MemoryError::Value(ValueError::TooLarge(shape.to_vec()));
        if shape.contains(&0) && extent > self.limit { Err(too_large()) } else { Ok(()) }
    }

    /// Whether `needed` more bytes may be taken; what waits for reuse does not count.
    fn check(&self, needed: usize) -> Result<(), MemoryError> {
        let used = self.used();
        match used.checked_add(needed) {
            Some(sum) if sum <= self.limit => Ok(()),
            _ => Err(MemoryError::Limit { needed, used, limit: self.limit }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_counts_what_is_held() -> Result<(), MemoryError> {
        let mut memory = Memory::new(100);
        let value = memory.allocate(DType::Float32, &[20])?;
        let shared = memory.hold(value)?;
        let other = shared.clone();
        assert_eq!(memory.used(), 80);
        assert!(matches!(memory.allocate(DType::Int8, &[21]), Err(MemoryError::Limit { needed: 21, used: 80, .. })));
        memory.recycle(shared);
        assert_eq!(memory.used(), 80);
        memory.recycle(other);
        assert_eq!(memory.used(), 0);
        let again = memory.allocate(DType::Int32, &[19])?;
        assert_eq!((again.len(), memory.pool.len()), (19, 0), "memory is reused");
        Ok(())
    }

    #[test]
    fn dimensions_beside_a_zero_are_limited_too() -> Result<(), MemoryError> {
        let mut memory = Memory::new(100);
        memory.allocate(DType::Int8, &[0, 100])?;
        let too_large = memory.allocate(DType::Int8, &[0, 101]);
        assert!(matches!(too_large, Err(MemoryError::Value(ValueError::TooLarge(_)))));
        let value = Value::zeros(DType::Int8, &[1 << 31, 0]).map_err(MemoryError::Value)?;
        assert!(memory.hold(value).is_err());
        Ok(())
    }

    #[test]
    fn what_waits_for_reuse_is_limited_by_what_is_alive() -> Result<(), MemoryError> {
        let mut memory = Memory::new(1 << 30);
        // A chain of ever larger values, two of which are alive at a time.
        let mut before = None;
        for size in (100..1000).step_by(100) {
            let value = memory.allocate(DType::Float32, &[size << 8])?;
            let shared = memory.hold(value)?;
            memory.note(0);
            before.replace(shared).into_iter().for_each(|old| memory.recycle(old));
        }
        let MemoryPeak { live_bytes, taken_bytes } = memory.peak();
        assert_eq!(live_bytes, (800 + 900) << 10);
        assert!((live_bytes..=live_bytes * 6 / 5).contains(&taken_bytes), "{taken_bytes} of {live_bytes}");
        memory.note(live_bytes);
        // Only the last value is alive by now.
        let in_use = (900 << 10) + live_bytes;
        assert!(memory.peak().taken_bytes >= in_use, "working memory counts: {:?}, {in_use}", memory.peak());
        Ok(())
    }

    #[test]
    fn planned_places_are_lent_while_they_are_free() -> Result<(), MemoryError> {
        let mut memory = Memory::new(1 << 20);
        memory.plan(30);
        let lend = |memory: &mut Memory, len, place| memory.lend(DType::Float32, &[len], place, false);
        let mut value = lend(&mut memory, 160, (10, 10))?.ok_or(MemoryError::Value(ValueError::TooLarge(vec![])))?;
        assert!(value.bytes().len() == 640 && value.bytes().iter().all(|&byte| byte == 0));
        value.bytes_mut().fill(7);
        assert!(lend(&mut memory, 16, (19, 1))?.is_none(), "taken");
        assert!(lend(&mut memory, 17, (0, 1))?.is_none(), "too small");
        assert!(lend(&mut memory, 1 << 19, (0, 10)).is_err(), "beyond the limit");
        let held = memory.hold(value)?;
        memory.note(0);
        assert_eq!(memory.peak(), MemoryPeak { live_bytes: 640, taken_bytes: 30 * 64 });
        let mut copy = held.clone();
        assert!(copy.to_mut().bytes() == held.value().bytes() && !copy.value().is_lent());
        memory.recycle(held);
        assert!(memory.pool.is_empty());
        let again = memory.lend(DType::UInt8, &[640], (10, 10), true)?;
        assert!(again.is_some_and(|value| value.bytes() == [7; 640]), "what an earlier use has left");
        let zeros = memory.lend(DType::UInt8, &[640], (10, 10), false)?;
        assert!(zeros.is_some_and(|value| value.bytes() == [0; 640]));
        Ok(())
    }

    #[test]
    fn writing_to_a_shared_value_copies_it() -> Result<(), MemoryError> {
        let mut memory = Memory::new(100);
        let value = memory.allocate(DType::Int8, &[2])?;
        let mut first = memory.hold(value)?;
        let second = first.clone();
        first.to_mut().bytes_mut().fill(7);
        assert_eq!((first.value().bytes(), second.value().bytes()), (&[7u8, 7][..], &[0u8, 0][..]));
        assert_eq!(memory.used(), 4);
        drop((first, second));
        assert_eq!(memory.used(), 0);
        Ok(())
    }
}
