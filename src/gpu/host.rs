//! What an invoke costs the host.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::timing::StepTime;

/// Times of the host's part of an invoke. `encode` and `ahead` cover the passes with all their dispatches.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct HostTimes {
    /// Handing the inputs over.
    pub upload: StepTime,
    /// Getting the commands: recording them, or taking those that were recorded ahead.
    pub encode: StepTime,
    /// Handing the commands over.
    pub submit: StepTime,
    /// Recording the next invoke's commands while the device works on this one.
    pub ahead: StepTime,
    /// Waiting for the device after that, its work included.
    pub wait: StepTime,
    /// Copying the outputs.
    pub read: StepTime,
}

/// A part of an invoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Upload,
    Encode,
    Submit,
    Ahead,
    Wait,
    Read,
}

/// Measures the phases of an executable's invokes.
#[derive(Debug, Default)]
pub(super) struct HostClock(Mutex<HostTimes>);

impl HostClock {
    /// Runs a phase and adds its time; browsers have no clock here.
    pub(super) fn phase<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let begin = start();
        let value = work();
        self.add(phase, begin);
        value
    }

    /// Adds the time since `begin`.
    pub(super) fn add(&self, phase: Phase, begin: Option<Instant>) {
        let Some(begin) = begin else { return };
        let ns = begin.elapsed().as_nanos() as f64;
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match phase {
            Phase::Upload => times.upload.add(ns),
            Phase::Encode => times.encode.add(ns),
            Phase::Submit => times.submit.add(ns),
            Phase::Ahead => times.ahead.add(ns),
            Phase::Wait => times.wait.add(ns),
            Phase::Read => times.read.add(ns),
        }
    }

    pub(super) fn times(&self) -> HostTimes {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a phase begins.
pub(super) fn start() -> Option<Instant> {
    (!cfg!(target_family = "wasm")).then(Instant::now)
}
