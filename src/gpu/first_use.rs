//! Compilation ahead of the first dispatch, for drivers that leave it until then.
//!
//! Mesa's software driver compiles a kernel at its first dispatch, one after another on the queue's thread, and keeps the
//! code in a cache on disk. A second device, on a thread of its own, fills that cache with half of the kernels meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    device::GpuDevice,
    effort::Effort,
    pipelines::{Pipeline, Slot, make_layout, make_pipeline},
};
use crate::error::Error;

/// How long the largest kernel takes when the driver's cache has it, with room to spare.
const CACHED: Duration = Duration::from_millis(80);

/// From this many kernels on a second device pays.
const FEWEST: usize = 4;

/// Enough for one element of any binding.
const BUFFER_BYTES: u64 = 256;

/// Opens a second device like the first one.
#[derive(Debug)]
pub(super) struct Helper {
    pub(super) adapter: wgpu::Adapter,
    pub(super) features: wgpu::Features,
    pub(super) limits: wgpu::Limits,
}

/// A kernel that has not been dispatched yet.
pub(super) struct Fresh {
    pub(super) kernel: &'static str,
    pub(super) text: String,
    pub(super) slots: Vec<Slot>,
    /// Parameters of a step: the driver looks at them when it compiles.
    pub(super) params: Vec<u32>,
    pub(super) pipeline: Arc<Pipeline>,
}

impl Helper {
    /// Compiles what the driver's cache does not have, the largest texts first, on both devices. That the second device
    /// fails costs time only.
    ///
    /// # Errors
    /// When the first device fails, or it is given up.
    pub(super) fn compile(&self, device: &GpuDevice, mut all: Vec<Fresh>, effort: &Effort<'_>) -> Result<(), Error> {
        all.sort_by_key(|fresh| std::cmp::Reverse(fresh.text.len()));
        let Some(first) = all.first().filter(|_| all.len() >= FEWEST) else { return Ok(()) };
        let submission = device.guarded(|| dispatch_nothing(&device.device, &device.queue, first, &first.pipeline))?;
        let in_time = wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(CACHED) };
        if device.device.poll(in_time).is_ok() {
            // The others are in the cache as well, or will be quick.
            return device.check();
        }
        let next = AtomicUsize::new(1);
        let take = || effort.check().ok().and_then(|()| all.get(next.fetch_add(1, Ordering::Relaxed)));
        std::thread::scope(|scope| {
            if effort.threads() > 1 {
                scope.spawn(|| self.work(take));
            }
            device.wait(submission)?;
            while let Some(fresh) = take() {
                let (own, queue) = (&device.device, &device.queue);
                let submission = device.guarded(|| dispatch_nothing(own, queue, fresh, &fresh.pipeline))?;
                device.wait(submission)?;
            }
            effort.check()
        })
    }

    fn work<'f>(&self, take: impl Fn() -> Option<&'f Fresh>) {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("tflite-wgpu compiler"),
            required_features: self.features,
            required_limits: self.limits.clone(),
            ..Default::default()
        };
        let Ok((device, queue)) = pollster::block_on(self.adapter.request_device(&descriptor)) else { return };
        device.on_uncaptured_error(Arc::new(|error: wgpu::Error| {
            tracing::debug!(%error, "compiling ahead on a second device");
        }));
        while let Some(fresh) = take() {
            let layout = make_layout(&device, &fresh.slots);
            let pipeline = make_pipeline(&device, fresh.kernel, &fresh.text, &layout, None);
            let submission = dispatch_nothing(&device, &queue, fresh, &Pipeline { pipeline, layout });
            let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
            if device.poll(wait).is_err() {
                return;
            }
        }
    }
}

/// Submits a dispatch of no workgroups.
fn dispatch_nothing(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    fresh: &Fresh,
    pipeline: &Pipeline,
) -> wgpu::SubmissionIndex {
    let words = (fresh.params.len() * 4).next_multiple_of(16).max(16) as u64;
    let buffer = |size, usage| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let params = buffer(words, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST);
    queue.write_buffer(&params, 0, bytemuck::cast_slice(&fresh.params));
    let [writable, read_only] = [(); 2].map(|()| buffer(BUFFER_BYTES, wgpu::BufferUsages::STORAGE));
    let entries: Vec<_> = (0..)
        .zip(&fresh.slots)
        .map(|(binding, slot)| {
            let buffer = match slot {
                Slot::ReadOnly => &read_only,
                Slot::Writable => &writable,
                Slot::Uniform => &params,
            };
            wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() }
        })
        .collect();
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.layout.group,
        entries: &entries,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(0, 0, 0);
    }
    queue.submit([encoder.finish()])
}
