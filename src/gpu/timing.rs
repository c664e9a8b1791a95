//! Times of a plan's steps on the device, by timestamps between the dispatches of its pass.

use std::sync::{Mutex, PoisonError};

use super::device::GpuDevice;

/// Bytes of a timestamp.
const STAMP: u64 = 8;

/// Writes a timestamp before the first and after every dispatch and keeps each step's best time.
pub(super) struct StepTimer {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    readback: wgpu::Buffer,
    count: u32,
    /// Nanoseconds of a tick.
    period: f32,
    best: Mutex<Vec<f64>>,
}

impl StepTimer {
    /// A timer for `steps` dispatches; `None` where the adapter has no timestamps inside passes, or not that many.
    pub fn new(device: &GpuDevice, steps: usize) -> Option<Self> {
        let wanted = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES;
        let count = u32::try_from(steps + 1).ok().filter(|count| *count <= wgpu::QUERY_SET_MAX_QUERIES)?;
        if !device.device.features().contains(wanted) {
            return None;
        }
        let label = Some("step times");
        let ty = wgpu::QueryType::Timestamp;
        let set = device.device.create_query_set(&wgpu::QuerySetDescriptor { label, ty, count });
        let buffer = |usage| {
            let size = u64::from(count) * STAMP;
            device.device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false })
        };
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let readback = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let best = Mutex::new(vec![f64::INFINITY; steps]);
        Some(Self { set, resolved, readback, count, period: device.queue.get_timestamp_period(), best })
    }

    /// Marks the end of step `after`, or the beginning of the first.
    pub fn mark(&self, pass: &mut wgpu::ComputePass<'_>, after: Option<usize>) {
        let index = after.map_or(Some(0), |step| u32::try_from(step + 1).ok());
        if let Some(index) = index.filter(|index| *index < self.count) {
            pass.write_timestamp(&self.set, index);
        }
    }

    /// Brings the timestamps to where [`StepTimer::collect`] reads them.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..self.count, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readback, 0, None);
    }

    /// Reads the timestamps of a finished submission. Times that cannot be read are left as they are.
    pub fn collect(&self, device: &GpuDevice) {
        self.readback.map_async(wgpu::MapMode::Read, .., |_| {});
        let waited = device.device.poll(wgpu::PollType::wait_indefinitely()).is_ok();
        if waited && let Ok(view) = self.readback.slice(..).get_mapped_range() {
            let ticks: Vec<u64> = view.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
            let mut best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
            for (best, pair) in best.iter_mut().zip(ticks.windows(2)) {
                let &[begin, end] = pair else { continue };
                *best = best.min(end.saturating_sub(begin) as f64 * f64::from(self.period));
            }
        }
        self.readback.unmap();
    }

    /// Best time of each step in nanoseconds; infinite before the first submission.
    pub fn best(&self) -> Vec<f64> {
        self.best.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
