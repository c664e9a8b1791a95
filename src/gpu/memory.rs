//! Memory of an interpreter on a device: the arena of its partitions.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    buffers::{DeviceBuffer, Kind},
    device::GpuDevice,
};
use crate::error::Error;

/// Memory that partitions place their tensors in: as many buffers, one after the other, as its size needs.
#[derive(Debug)]
pub(super) struct Arena {
    first: DeviceBuffer,
    more: Vec<DeviceBuffer>,
    /// Bytes of each buffer but the last.
    buffer_bytes: usize,
}

impl Arena {
    fn new(device: &GpuDevice, bytes: usize) -> Self {
        let buffer_bytes = device.tuning.arena_buffer;
        let buffer = |bytes: usize| DeviceBuffer::new(device, Kind::Activations, bytes.min(buffer_bytes));
        let more = (1..bytes.div_ceil(buffer_bytes)).map(|i| buffer(bytes - i * buffer_bytes));
        Self { first: buffer(bytes), more: more.collect(), buffer_bytes }
    }

    fn holds(&self, bytes: usize) -> bool {
        self.more.last().unwrap_or(&self.first).holds(bytes.saturating_sub(self.more.len() * self.buffer_bytes))
    }

    /// The buffer of an offset, and the offset there.
    pub(super) fn place(&self, offset: usize) -> (&wgpu::Buffer, u64) {
        let (index, offset) = (offset / self.buffer_bytes, offset % self.buffer_bytes);
        let buffer = index.checked_sub(1).and_then(|index| self.more.get(index)).unwrap_or(&self.first);
        (&buffer.buffer, offset as u64)
    }

    /// The buffers in order.
    pub(super) fn buffers(&self) -> impl Iterator<Item = &wgpu::Buffer> {
        std::iter::once(&self.first).chain(&self.more).map(|buffer| &buffer.buffer)
    }
}

/// Memory of one interpreter. Its partitions run one after the other on one queue, and nothing in the arena outlives
/// a partition's run, so that one arena serves all.
#[derive(Debug, Default)]
pub struct Memory {
    arena: Mutex<Option<Arc<Arena>>>,
}

impl Memory {
    /// The arena, made anew when it has less than `bytes`. Executables that hold a smaller one bind the new one at
    /// their next run.
    pub(super) fn arena(&self, device: &GpuDevice, bytes: usize) -> Arc<Arena> {
        let mut arena = self.arena.lock().unwrap_or_else(PoisonError::into_inner);
        match arena.as_ref().filter(|arena| arena.holds(bytes)) {
            Some(arena) => Arc::clone(arena),
            None => Arc::clone(arena.insert(Arc::new(Arena::new(device, bytes)))),
        }
    }

    /// Fills the arena with words that are NaN as floats: a test that reads what was never written sees it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn poison(&self, device: &GpuDevice) -> Result<(), Error> {
        let Some(arena) = self.arena.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(()) };
        let fill = |buffer: &wgpu::Buffer| {
            let words = vec![0xffu8; usize::try_from(buffer.size()).unwrap_or(0)];
            device.queue.write_buffer(buffer, 0, &words);
        };
        device.guarded(|| arena.buffers().for_each(fill))
    }
}
