//! Shared memory: packed constants of a device, and the arena of an interpreter.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering},
};

use half::f16;

use super::{
    buffers::{DeviceBuffer, Kind},
    device::GpuDevice,
};
use crate::{
    error::Error,
    plan::step::{Packing, WeightData, Weights},
    reason::Reason,
    region::Storage,
};

/// Packed constants on a device, by what they are and what they contain: partitions and interpreters share them, and
/// they live while one of them uses them.
#[derive(Default)]
pub(super) struct WeightStore(Mutex<HashMap<String, Vec<Stored>>>);

/// Packed constants on the device.
struct Stored {
    digest: u64,
    buffer: Weak<DeviceBuffer>,
}

impl WeightStore {
    /// The buffer of `weights`. They are packed unless a buffer was made from the very same constant, and uploaded unless
    /// one has the same contents.
    ///
    /// # Errors
    /// When they cannot be packed, or exceed the device's limits.
    pub(super) fn get(&self, device: &GpuDevice, weights: &Weights) -> Result<Arc<DeviceBuffer>, Error> {
        let source = match &weights.data {
            Packing::Of(constant, _) => Some(constant),
            Packing::Made(_) => None,
        };
        if let Some(found) = source.and_then(|source| self.find(&weights.key, |_, buffer| buffer.is_of(source))) {
            return Ok(found);
        }
        // Other threads pack theirs meanwhile.
        let data = weights.data.elements()?;
        if source.is_some() {
            device.usage.constants_packed.fetch_add(1, Ordering::Relaxed);
        }
        let digest = digest(&data);
        let found = self.find(&weights.key, |stored, _| stored.digest == digest);
        let buffer = match found {
            Some(found) => found,
            None => self.add(device, weights, &data, digest)?,
        };
        if let Some(source) = source {
            buffer.keep(source);
        }
        Ok(buffer)
    }

    fn find(&self, key: &str, is_it: impl Fn(&Stored, &DeviceBuffer) -> bool) -> Option<Arc<DeviceBuffer>> {
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.get(key)?.iter().find_map(|stored| stored.buffer.upgrade().filter(|buffer| is_it(stored, buffer)))
    }

    fn add(
        &self,
        device: &GpuDevice,
        weights: &Weights,
        data: &WeightData,
        digest: u64,
    ) -> Result<Arc<DeviceBuffer>, Error> {
        let bytes = encode(data, weights.storage);
        let limit = device.max_binding_bytes();
        if bytes.len() > limit {
            let (found, limit) = (bytes.len() as u64, limit as u64);
            return Err(Reason::TooLarge { what: "constant", found, limit }.into());
        }
        let made = Arc::new(DeviceBuffer::new(device, Kind::Weights, bytes.len(), Some(&bytes)));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, stored| {
            stored.retain(|stored| stored.buffer.strong_count() > 0);
            !stored.is_empty()
        });
        all.entry(weights.key.clone()).or_default().push(Stored { digest, buffer: Arc::downgrade(&made) });
        Ok(made)
    }
}

/// Tells the contents of packed constants apart: a constant that follows from shapes changes with them.
fn digest(data: &WeightData) -> u64 {
    let words: &[u32] = match data {
        WeightData::Float(values) => bytemuck::cast_slice(values),
        WeightData::Int(values) => bytemuck::cast_slice(values),
    };
    let mix = |hash: u64, word: &u32| (hash.rotate_left(5) ^ u64::from(*word)).wrapping_mul(0x517c_c1b7_2722_0a95);
    words.iter().fold(words.len() as u64, mix)
}

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
        let buffer = |bytes: usize| DeviceBuffer::new(device, Kind::Activations, bytes.min(buffer_bytes), None);
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

/// Bytes of constants in a storage.
fn encode(data: &WeightData, storage: Storage) -> Vec<u8> {
    match (data, storage) {
        (WeightData::Float(values), Storage::F16) => {
            let clamped = values.iter().map(|&v| f16::from_f32(v.clamp(-65504.0, 65504.0)));
            clamped.flat_map(|h| h.to_le_bytes()).collect()
        }
        (WeightData::Float(values), _) => bytemuck::cast_slice(values).to_vec(),
        (WeightData::Int(values), _) => bytemuck::cast_slice(values).to_vec(),
    }
}
