//! Compilation ahead of the first dispatch, for drivers that leave it until then.
//!
//! Mesa's software driver compiles a kernel at its first dispatch, one after another on the queue's thread, and keeps the
//! code in a cache on disk. A second device, on a thread of its own, fills that cache with half of the kernels meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    device::GpuDevice,
    effort::Effort,
    pipelines::{Pipeline, Slot, make_layout, make_pipeline},
};
use crate::error::Error;

/// How long the first device works alone: what a network's kernels take that are all in the driver's cache, with room to
/// spare on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_millis(80);

/// How often it is looked whether that time was enough.
const LOOK: Duration = Duration::from_micros(500);

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
    /// Has every kernel compiled, or loaded from the driver's cache, the largest texts first. Whether the cache has one is
    /// not asked, as only time tells: once the first device has taken long for all together, the second takes its share
    /// of what is left. That it fails costs time only.
    ///
    /// # Errors
    /// When the first device fails, or it is given up.
    pub(super) fn compile(&self, device: &GpuDevice, mut all: Vec<Fresh>, effort: &Effort<'_>) -> Result<(), Error> {
        if all.len() < FEWEST {
            return Ok(());
        }
        all.sort_by_key(|fresh| std::cmp::Reverse(fresh.text.len()));
        let (begin, (own, queue)) = (Instant::now(), (&device.device, &device.queue));
        let first = |fresh: &Fresh, call: &mut dyn FnMut()| {
            let submission = device.guarded(|| dispatch_nothing(own, queue, fresh, &fresh.pipeline))?;
            if effort.threads() > 1 && !done_within(own, queue, PATIENCE.saturating_sub(begin.elapsed())) {
                call();
            }
            device.wait(submission)
        };
        share(&all, || effort.check().is_ok(), first, |take| self.work(take))?;
        tracing::debug!(kernels = all.len(), ms = begin.elapsed().as_secs_f64() * 1e3, "compiled or loaded");
        effort.check()
    }

    fn work<'f>(&self, take: &dyn Fn() -> Option<&'f Fresh>) {
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

/// Has `first` do all of the work while it is `wanted`, one after the other. When it calls for help, `second` takes its
/// share of what is left, until there is none.
///
/// # Errors
/// That of `first`, which ends its own part.
fn share<'a, T: Sync>(
    all: &'a [T],
    wanted: impl Fn() -> bool + Sync,
    mut first: impl FnMut(&T, &mut dyn FnMut()) -> Result<(), Error>,
    second: impl FnOnce(&dyn Fn() -> Option<&'a T>) + Send,
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let take = || all.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| wanted());
    let (take, mut second) = (&take, Some(second));
    std::thread::scope(|scope| {
        let mut call = || {
            if let Some(second) = second.take() {
                scope.spawn(move || second(take));
            }
        };
        while let Some(one) = take() {
            first(one, &mut call)?;
        }
        Ok(())
    })
}

/// Whether the queue does all that it has within `limit`.
///
/// A wait with a limit of its own would panic in wgpu 30 now and then: when it runs out, and a poll of another thread takes
/// the submission as done before it has looked.
fn done_within(device: &wgpu::Device, queue: &wgpu::Queue, limit: Duration) -> bool {
    let (start, done) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let flag = Arc::clone(&done);
    queue.on_submitted_work_done(move || flag.store(true, Ordering::Release));
    while device.poll(wgpu::PollType::Poll).is_ok() && !done.load(Ordering::Acquire) {
        if start.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    done.load(Ordering::Acquire)
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

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError, mpsc};

    use super::*;
    use crate::gpu::DeviceOptions;

    static ALL: [u32; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

    /// What each of two does of `ALL` if the first calls for help at `late`.
    fn shared(late: Option<u32>, wanted: impl Fn() -> bool + Sync) -> Result<[Vec<u32>; 2], Error> {
        let (mut firsts, seconds, (helped, help)) = (Vec::new(), Mutex::new(Vec::new()), mpsc::channel());
        let seconds_of = || seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let first = |one: &u32, call: &mut dyn FnMut()| {
            firsts.push(*one);
            if late == Some(*one) {
                call();
                // It takes until the second one has come.
                assert!(help.recv().is_ok());
            }
            if late.is_some_and(|late| late < *one) {
                // Once more is no other help.
                call();
            }
            Ok(())
        };
        let second = |take: &dyn Fn() -> Option<&'static u32>| {
            while let Some(one) = take() {
                seconds_of().push(*one);
                assert!(helped.send(()).is_ok());
            }
        };
        share(&ALL, wanted, first, second)?;
        let seconds = seconds_of().clone();
        Ok([firsts, seconds])
    }

    #[test]
    fn help_comes_when_it_is_called_and_nothing_is_done_twice() -> Result<(), Error> {
        assert_eq!(shared(None, || true)?, [ALL.to_vec(), Vec::new()]);
        for late in [0, 4, 8] {
            let [firsts, seconds] = shared(Some(late), || true)?;
            assert!(firsts.starts_with(&ALL[..=late as usize]) && seconds.first() == Some(&(late + 1)), "{seconds:?}");
            let mut both = [firsts, seconds].concat();
            both.sort_unstable();
            assert_eq!(both, ALL);
        }
        Ok(())
    }

    #[test]
    fn nothing_begins_once_it_is_given_up() -> Result<(), Error> {
        let left = AtomicUsize::new(3);
        let wanted = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        assert_eq!(shared(None, wanted)?, [vec![0, 1, 2], Vec::new()]);
        Ok(())
    }

    #[test]
    fn a_queue_is_looked_at_beside_other_threads() {
        let Ok(device) = pollster::block_on(GpuDevice::open(&DeviceOptions::default())) else {
            println!("SKIPPED a_queue_is_looked_at_beside_other_threads: no adapter");
            return;
        };
        let submit = || {
            let buffer = |usage| {
                let descriptor =
                    wgpu::BufferDescriptor { label: None, size: 1 << 20, usage, mapped_at_creation: false };
                device.device.create_buffer(&descriptor)
            };
            let (from, to) = (buffer(wgpu::BufferUsages::COPY_SRC), buffer(wgpu::BufferUsages::COPY_DST));
            let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(&from, 0, &to, 0, None);
            device.queue.submit([encoder.finish()])
        };
        let (ended, enough) = (AtomicBool::new(false), Duration::from_secs(60));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Acquire) {
                    assert!(device.wait(submit()).is_ok());
                }
            });
            let mut seen = 0;
            for _ in 0..200 {
                submit();
                // Whether so short a time is enough is up to the machine; what counts is that either is an answer.
                seen += usize::from(done_within(&device.device, &device.queue, Duration::from_micros(20)));
            }
            submit();
            let done = done_within(&device.device, &device.queue, enough);
            ended.store(true, Ordering::Release);
            assert!(done && seen <= 200);
        });
        assert!(device.check().is_ok());
    }
}
