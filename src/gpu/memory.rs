//! Shared memory: packed constants of a device, and the arena of an interpreter.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use half::f16;

use super::{
    buffers::{DeviceBuffer, Kind},
    device::GpuDevice,
};
use crate::{
    error::Error,
    plan::step::{WeightData, Weights},
    region::Storage,
};

/// Packed constants on a device, by what they are and what they contain: partitions and interpreters share them, and
/// they live while one of them uses them.
#[derive(Default)]
pub(super) struct WeightStore(Mutex<HashMap<(String, u64), Weak<DeviceBuffer>>>);

impl WeightStore {
    /// The buffer of `weights`, uploaded unless it is there.
    pub(super) fn get(&self, device: &GpuDevice, weights: &Weights) -> Arc<DeviceBuffer> {
        let key = (weights.key.clone(), digest(&weights.data));
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = buffers.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        buffers.retain(|_, buffer| buffer.strong_count() > 0);
        let bytes = encode(&weights.data, weights.storage);
        let made = Arc::new(DeviceBuffer::new(device, Kind::Weights, bytes.len(), Some(&bytes)));
        buffers.insert(key, Arc::downgrade(&made));
        made
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

/// Memory of one interpreter. Its partitions run one after the other on one queue, and nothing in the arena outlives
/// a partition's run, so that one arena serves all.
#[derive(Debug, Default)]
pub struct Memory {
    arena: Mutex<Option<Arc<DeviceBuffer>>>,
}

impl Memory {
    /// The arena, made anew when it has less than `bytes`. Executables that hold a smaller one bind the new one at
    /// their next run.
    pub(super) fn arena(&self, device: &GpuDevice, bytes: usize) -> Arc<DeviceBuffer> {
        let mut arena = self.arena.lock().unwrap_or_else(PoisonError::into_inner);
        match arena.as_ref().filter(|arena| arena.holds(bytes)) {
            Some(arena) => Arc::clone(arena),
            None => Arc::clone(arena.insert(Arc::new(DeviceBuffer::new(device, Kind::Activations, bytes, None)))),
        }
    }

    /// Fills the arena with words that are NaN as floats: a test that reads what was never written sees it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn poison(&self, device: &GpuDevice) -> Result<(), Error> {
        let Some(arena) = self.arena.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(()) };
        let words = vec![0xffu8; usize::try_from(arena.buffer.size()).unwrap_or(0)];
        device.guarded(|| device.queue.write_buffer(&arena.buffer, 0, &words))
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
