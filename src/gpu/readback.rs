//! Results on their way to the host: a buffer per invoke in flight, awaited rather than polled for.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    buffers::{DeviceBuffer, Kind},
    device::GpuDevice,
};
use crate::error::Error;

/// How long a mapping may stay unanswered after its work is done; another thread may be about to answer it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Readback buffers that no invoke uses at the moment.
#[derive(Debug, Default)]
pub(super) struct ReadbackPool(Mutex<Vec<DeviceBuffer>>);

impl ReadbackPool {
    pub(super) fn take(&self, device: &GpuDevice, bytes: usize) -> DeviceBuffer {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| DeviceBuffer::new(device, Kind::Readback, bytes))
    }

    pub(super) fn give(&self, buffer: DeviceBuffer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

type Answer = Result<(), wgpu::BufferAsyncError>;

#[derive(Default)]
struct State {
    answer: Option<Answer>,
    waker: Option<Waker>,
}

/// A buffer that is being mapped.
pub(super) struct Mapping {
    pub(super) buffer: DeviceBuffer,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Mapping {
    /// Asks for the whole buffer; it answers once the work submitted so far is done.
    pub(super) fn start(buffer: DeviceBuffer) -> Self {
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let answered = Arc::clone(&shared);
        buffer.buffer.map_async(wgpu::MapMode::Read, .., move |answer| {
            let (state, condvar) = &*answered;
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.answer = Some(answer);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
            condvar.notify_all();
        });
        Self { buffer, shared }
    }

    /// Waits until the submission is done and the buffer is mapped. Natively this blocks; a browser answers by itself.
    pub(super) async fn finish(&self, device: &GpuDevice, submission: wgpu::SubmissionIndex) -> Result<(), Error> {
        device.wait(submission)?;
        let answer = if cfg!(target_family = "wasm") { Some(Answered(self).await) } else { self.wait() };
        device.check()?;
        match answer {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(device.failed(error)),
            None => Err(device.failed("a readback was never answered")),
        }
    }

    fn wait(&self) -> Option<Answer> {
        let (state, condvar) = &*self.shared;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = condvar.wait_timeout_while(state, ANSWER_TIMEOUT, |state| state.answer.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.answer.take()
    }
}

/// The answer of a mapping.
struct Answered<'a>(&'a Mapping);

impl Future for Answered<'_> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut state = self.0.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
