//! Times of a plan's steps on the device: timestamps between the dispatches of its pass, or, where passes take none
//! (browsers), a pass of its own for every step.

use std::sync::{Mutex, PoisonError};

use super::{
    buffers::{DeviceBuffer, Kind},
    device::GpuDevice,
    readback::{Mapping, ReadbackPool},
};
use crate::error::Error;

/// Bytes of a timestamp.
const STAMP: usize = 8;

/// Time of a step on the device, or of the host's part of an invoke, over all invokes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct StepTime {
    /// Shortest, nanoseconds.
    pub best_ns: f64,
    /// Mean, nanoseconds.
    pub mean_ns: f64,
    /// Invokes.
    pub runs: u32,
}

impl StepTime {
    pub(super) fn add(&mut self, ns: f64) {
        self.best_ns = if self.runs == 0 { ns } else { self.best_ns.min(ns) };
        self.mean_ns = (self.mean_ns * f64::from(self.runs) + ns) / f64::from(self.runs + 1);
        self.runs += 1;
    }
}

/// Where timestamps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first dispatch of the pass, and after each.
    InsidePass,
    /// At both ends of a pass per step.
    PassEnds,
}

/// Writes timestamps around every dispatch and keeps each step's times.
pub(super) struct StepTimer {
    sets: Vec<wgpu::QuerySet>,
    stamps: usize,
    place: Place,
    resolved: DeviceBuffer,
    readback: ReadbackPool,
    /// Nanoseconds of a tick.
    period: f64,
    times: Mutex<Vec<StepTime>>,
}

impl StepTimer {
    /// A timer for `steps` dispatches; `None` where the adapter has no timestamps.
    pub(super) fn new(device: &GpuDevice, steps: usize) -> Option<Self> {
        let features = device.device.features();
        if !features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            return None;
        }
        let inside = features.contains(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);
        let (place, stamps) = if inside { (Place::InsidePass, steps + 1) } else { (Place::PassEnds, steps * 2) };
        let stamps = stamps.max(2);
        let mut sets = Vec::new();
        let mut left = u32::try_from(stamps).ok()?;
        while left > 0 {
            let count = left.min(wgpu::QUERY_SET_MAX_QUERIES);
            let ty = wgpu::QueryType::Timestamp;
            sets.push(device.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("step times"),
                ty,
                count,
            }));
            left -= count;
        }
        let resolved = DeviceBuffer::new(device, Kind::Timestamps, stamps * STAMP);
        let period = f64::from(device.queue.get_timestamp_period());
        let times = Mutex::new(vec![StepTime::default(); steps]);
        Some(Self { sets, stamps, place, resolved, readback: ReadbackPool::default(), period, times })
    }

    fn stamp(&self, index: usize) -> Option<(&wgpu::QuerySet, u32)> {
        let size = wgpu::QUERY_SET_MAX_QUERIES as usize;
        Some((self.sets.get(index / size)?, u32::try_from(index % size).ok()?))
    }

    /// Whether every step has a pass of its own.
    pub(super) fn needs_passes(&self) -> bool {
        self.place == Place::PassEnds
    }

    /// Where the pass of step `step` writes its ends.
    pub(super) fn ends(&self, step: usize) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let (query_set, begin) = self.stamp(step * 2)?;
        let (begin, end) = (Some(begin), Some(begin + 1));
        Some(wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: begin,
            end_of_pass_write_index: end,
        })
    }

    /// Marks the end of step `after` of the pass, or the beginning of the first.
    pub(super) fn mark(&self, pass: &mut wgpu::ComputePass<'_>, after: Option<usize>) {
        if self.place == Place::InsidePass
            && let Some((set, index)) = self.stamp(after.map_or(0, |step| step + 1))
        {
            pass.write_timestamp(set, index);
        }
    }

    /// Brings the timestamps to a buffer that the host can map.
    pub(super) fn resolve(&self, device: &GpuDevice, encoder: &mut wgpu::CommandEncoder) -> DeviceBuffer {
        let mut left = self.stamps;
        for (i, set) in self.sets.iter().enumerate() {
            let size = wgpu::QUERY_SET_MAX_QUERIES as usize;
            let count = left.min(size);
            let range = 0..u32::try_from(count).unwrap_or(0);
            encoder.resolve_query_set(set, range, &self.resolved.buffer, (i * size * STAMP) as u64);
            left -= count;
        }
        let readback = self.readback.take(device, self.stamps * STAMP);
        encoder.copy_buffer_to_buffer(&self.resolved.buffer, 0, &readback.buffer, 0, None);
        readback
    }

    /// Adds the times of a finished submission.
    pub(super) async fn collect(
        &self,
        device: &GpuDevice,
        mapping: Mapping,
        submission: wgpu::SubmissionIndex,
    ) -> Result<(), Error> {
        mapping.finish(device, submission).await?;
        let buffer = mapping.buffer;
        device.guarded(|| {
            let view = buffer.buffer.slice(..).get_mapped_range().map_err(|error| device.failed(error))?;
            let ticks: Vec<u64> =
                view.chunks_exact(STAMP).take(self.stamps).map(bytemuck::pod_read_unaligned).collect();
            drop(view);
            buffer.buffer.unmap();
            self.add(&ticks);
            Ok::<(), Error>(())
        })??;
        self.readback.give(buffer);
        Ok(())
    }

    fn add(&self, ticks: &[u64]) {
        let stride = if self.place == Place::PassEnds { 2 } else { 1 };
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        for (time, pair) in times.iter_mut().zip(ticks.windows(2).step_by(stride)) {
            if let [begin, end] = pair {
                time.add(end.saturating_sub(*begin) as f64 * self.period);
            }
        }
    }

    /// Times of each step.
    pub(super) fn times(&self) -> Vec<StepTime> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
