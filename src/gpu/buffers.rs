//! Buffers, counted where they are made, and the store of packed constants.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use half::f16;

use super::device::GpuDevice;
use crate::{
    plan::step::{WeightData, Weights},
    region::Storage,
};

/// Bytes of buffers alive on a device.
#[derive(Debug, Default)]
pub struct Usage {
    /// Arenas and border tensors.
    pub activations: AtomicU64,
    /// Packed constants.
    pub weights: AtomicU64,
    /// Parameters, readback.
    pub other: AtomicU64,
}

impl Usage {
    /// All bytes.
    pub fn total(&self) -> u64 {
        [&self.activations, &self.weights, &self.other].iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Activations,
    Weights,
    Params,
    Readback,
}

/// A buffer that leaves the count when it is dropped.
#[derive(Debug)]
pub struct DeviceBuffer {
    pub(super) buffer: wgpu::Buffer,
    usage: Arc<Usage>,
    kind: Kind,
}

impl DeviceBuffer {
    /// A buffer of at least `bytes`, with `contents` (zero-padded) if given.
    pub(super) fn new(device: &GpuDevice, kind: Kind, bytes: usize, contents: Option<&[u8]>) -> Self {
        use wgpu::BufferUsages as U;
        let usage = match kind {
            Kind::Activations => U::STORAGE | U::COPY_SRC | U::COPY_DST,
            Kind::Weights => U::STORAGE | U::COPY_DST,
            Kind::Params => U::UNIFORM | U::COPY_DST,
            Kind::Readback => U::MAP_READ | U::COPY_DST,
        };
        let size = (bytes.max(16).next_multiple_of(16)) as u64;
        let label = Some(match kind {
            Kind::Activations => "activations",
            Kind::Weights => "weights",
            Kind::Params => "params",
            Kind::Readback => "readback",
        });
        let mapped_at_creation = contents.is_some();
        let buffer = device.device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation });
        if let Some(contents) = contents {
            // A buffer that could not be made has no mapping; the device's fault list has the reason.
            if let Ok(mut view) = buffer.slice(..contents.len().next_multiple_of(4) as u64).get_mapped_range_mut() {
                let mut padded = contents.to_vec();
                padded.resize(contents.len().next_multiple_of(4), 0);
                view.copy_from_slice(&padded);
            }
            buffer.unmap();
        }
        let counted = Self { buffer, usage: Arc::clone(&device.usage), kind };
        counted.counter().fetch_add(size, Ordering::Relaxed);
        counted
    }

    /// Whether it has room for this many bytes.
    pub fn holds(&self, bytes: usize) -> bool {
        self.buffer.size() >= bytes as u64
    }

    fn counter(&self) -> &AtomicU64 {
        match self.kind {
            Kind::Activations => &self.usage.activations,
            Kind::Weights => &self.usage.weights,
            Kind::Params | Kind::Readback => &self.usage.other,
        }
    }
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        self.counter().fetch_sub(self.buffer.size(), Ordering::Relaxed);
    }
}

/// Packed constants of a model on a device, each stored once and shared by partitions and interpreters.
#[derive(Debug, Default)]
pub struct WeightStore {
    buffers: Mutex<HashMap<String, Arc<DeviceBuffer>>>,
}

impl WeightStore {
    /// The buffer of `weights`, uploaded at its first use. `scope` tells subgraphs apart.
    pub(super) fn get(&self, device: &GpuDevice, scope: &str, weights: &Weights) -> Arc<DeviceBuffer> {
        let key = format!("{scope} {}", weights.key);
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let made = buffers.entry(key).or_insert_with(|| {
            let bytes = encode(&weights.data, weights.storage);
            Arc::new(DeviceBuffer::new(device, Kind::Weights, bytes.len(), Some(&bytes)))
        });
        Arc::clone(made)
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
