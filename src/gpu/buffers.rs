//! Buffers, counted where they are made.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::device::GpuDevice;
use crate::error::Error;

/// Bytes of buffers alive on a device, and how many objects were made on it.
#[derive(Debug, Default)]
pub struct Usage {
    /// Arenas and border tensors.
    pub activations: AtomicU64,
    /// Packed constants.
    pub weights: AtomicU64,
    /// Parameters, readback.
    pub other: AtomicU64,
    /// Buffers made so far.
    pub buffers_made: AtomicU64,
    /// Bind groups made so far.
    pub bind_groups_made: AtomicU64,
    /// Pipelines made so far.
    pub pipelines_made: AtomicU64,
    /// Constants packed so far.
    pub constants_packed: AtomicU64,
    /// Submissions of partitions so far.
    pub submissions: AtomicU64,
}

impl Usage {
    /// Objects made so far: buffers, bind groups, pipelines.
    pub fn made(&self) -> [u64; 3] {
        [&self.buffers_made, &self.bind_groups_made, &self.pipelines_made].map(|count| count.load(Ordering::Relaxed))
    }

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
    Timestamps,
}

/// A buffer that leaves the count when it is dropped.
#[derive(Debug)]
pub struct DeviceBuffer {
    pub(super) buffer: wgpu::Buffer,
    usage: Arc<Usage>,
    kind: Kind,
}

impl DeviceBuffer {
    /// A buffer of at least `bytes`.
    pub(super) fn new(device: &GpuDevice, kind: Kind, bytes: usize) -> Self {
        Self::made(device, kind, bytes, false)
    }

    /// A buffer with these contents at their offsets (multiples of four), and zeros between them.
    pub(super) fn of_parts(device: &GpuDevice, kind: Kind, parts: &[(usize, &[u8])]) -> Self {
        let bytes = parts.iter().map(|(offset, part)| offset + part.len()).max().unwrap_or(0);
        let made = Self::made(device, kind, bytes, true);
        // A buffer that could not be made has no mapping; the device's fault list has the reason.
        if let Ok(mut view) = made.buffer.slice(..).get_mapped_range_mut() {
            for (offset, part) in parts {
                view.slice(*offset..offset + part.len()).copy_from_slice(part);
            }
        }
        made.buffer.unmap();
        made
    }

    fn made(device: &GpuDevice, kind: Kind, bytes: usize, mapped_at_creation: bool) -> Self {
        use wgpu::BufferUsages as U;
        let usage = match kind {
            Kind::Activations => U::STORAGE | U::COPY_SRC | U::COPY_DST,
            Kind::Weights => U::STORAGE | U::COPY_DST,
            Kind::Params => U::UNIFORM | U::COPY_DST,
            Kind::Readback => U::MAP_READ | U::COPY_DST,
            Kind::Timestamps => U::QUERY_RESOLVE | U::COPY_SRC,
        };
        let size = (bytes.max(16).next_multiple_of(16)) as u64;
        let label = Some(match kind {
            Kind::Activations => "activations",
            Kind::Weights => "weights",
            Kind::Params => "params",
            Kind::Readback => "readback",
            Kind::Timestamps => "timestamps",
        });
        let buffer = device.device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation });
        let counted = Self { buffer, usage: Arc::clone(&device.usage), kind };
        counted.counter().fetch_add(size, Ordering::Relaxed);
        counted.usage.buffers_made.fetch_add(1, Ordering::Relaxed);
        counted
    }

    /// Copies one buffer into another on the device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn copy(device: &GpuDevice, from: &Self, to: &Self) -> Result<(), Error> {
        device.guarded(|| {
            let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let bytes = from.buffer.size().min(to.buffer.size());
            encoder.copy_buffer_to_buffer(&from.buffer, 0, &to.buffer, 0, Some(bytes));
            device.queue.submit([encoder.finish()]);
        })
    }

    /// A new buffer with the contents of this one.
    ///
    /// # Errors
    /// When the device fails.
    pub fn duplicate(&self, device: &GpuDevice) -> Result<Arc<Self>, Error> {
        let bytes = usize::try_from(self.buffer.size()).unwrap_or(usize::MAX);
        let copy = device.guarded(|| Self::new(device, self.kind, bytes))?;
        Self::copy(device, self, &copy)?;
        Ok(Arc::new(copy))
    }

    /// Whether it has room for this many bytes.
    pub fn holds(&self, bytes: usize) -> bool {
        self.buffer.size() >= bytes as u64
    }

    fn counter(&self) -> &AtomicU64 {
        match self.kind {
            Kind::Activations => &self.usage.activations,
            Kind::Weights => &self.usage.weights,
            Kind::Params | Kind::Readback | Kind::Timestamps => &self.usage.other,
        }
    }
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        self.counter().fetch_sub(self.buffer.size(), Ordering::Relaxed);
    }
}
