//! A warm start: partitions become ready on a thread of their own while the CPU answers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    error::Error,
    gpu::{BorderBuffers, Effort, Executable, GpuDevice, Memory},
    plan::{Border, Plan},
};

/// How long the CPU has the machine to itself for its first answer, at most: compilers on all threads would slow it.
const HEAD_START: Duration = Duration::from_millis(150);

/// How far a delegate's warm start is; a clone asks the same delegate.
#[derive(Clone, Debug, Default)]
pub struct Warmth(Arc<(Mutex<Progress>, Condvar)>);

#[derive(Debug, Default)]
struct Progress {
    /// Partitions that are being made ready.
    outstanding: usize,
    /// Whether the CPU has had its head start.
    hurries: bool,
}

impl Warmth {
    /// Whether no partition is being made ready: the next invoke runs on the device where the delegate has claimed nodes.
    pub fn is_ready(&self) -> bool {
        self.progress().outstanding == 0
    }

    /// Waits until no partition is being made ready.
    pub fn wait(&self) {
        self.hurry();
        let progress = self.progress();
        let _ready = self.0.1.wait_while(progress, |progress| progress.outstanding > 0);
    }

    /// Ends the CPU's head start.
    pub(super) fn hurry(&self) {
        let mut progress = self.progress();
        if !progress.hurries {
            progress.hurries = true;
            self.0.1.notify_all();
        }
    }

    /// Waits until the CPU has had its head start.
    fn wait_for_head_start(&self) {
        let progress = self.progress();
        let waited = self.0.1.wait_timeout_while(progress, HEAD_START, |progress| !progress.hurries);
        waited.unwrap_or_else(PoisonError::into_inner).0.hurries = true;
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        self.progress().outstanding += 1;
    }

    fn end(&self) {
        let mut progress = self.progress();
        progress.outstanding = progress.outstanding.saturating_sub(1);
        self.0.1.notify_all();
    }
}

/// What a partition becomes once it is ready.
type Outcome = Arc<Mutex<Option<Result<Arc<Executable>, Error>>>>;

/// A partition that is being made ready.
pub(super) struct Warming {
    pub(super) border: Border,
    pub(super) buffers: BorderBuffers,
    outcome: Outcome,
}

impl Warming {
    /// Whether the thread is done with it.
    pub(super) fn is_done(&self) -> bool {
        self.lock().is_some()
    }

    /// What came of it; nothing before it is done.
    pub(super) fn take(&self) -> Option<Result<Arc<Executable>, Error>> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Result<Arc<Executable>, Error>>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A plan and where it will run.
pub(super) struct Job {
    pub(super) device: Arc<GpuDevice>,
    pub(super) memory: Arc<Memory>,
    pub(super) plan: Plan,
    pub(super) border: Border,
    pub(super) buffers: BorderBuffers,
    pub(super) time_steps: bool,
}

impl Job {
    fn run(self, given_up: &AtomicBool) -> Result<Arc<Executable>, Error> {
        let given_up = || given_up.load(Ordering::Relaxed);
        let effort = Effort::whole().until(&given_up);
        let mut executable = Executable::with_effort(&self.device, self.plan, &self.memory, &self.buffers, &effort)?;
        if self.time_steps {
            executable.time_steps()?;
        }
        executable.rehearse(&effort)?;
        Ok(Arc::new(executable))
    }
}

/// The thread. Dropping it gives up what is not ready and waits for it: a driver must not compile while the process ends.
pub(super) struct Warmer {
    jobs: Option<Sender<(Job, Outcome)>>,
    given_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    warmth: Warmth,
}

impl Warmer {
    /// A thread that waits for jobs; none where the system gives none.
    pub(super) fn start(warmth: &Warmth) -> Option<Self> {
        let (jobs, received) = channel();
        let given_up = Arc::new(AtomicBool::new(false));
        let (stop, done) = (Arc::clone(&given_up), warmth.clone());
        let work = move || work(&received, &stop, &done);
        let thread = std::thread::Builder::new().name("tflite-wgpu warm start".to_owned()).spawn(work).ok()?;
        Some(Self { jobs: Some(jobs), given_up, thread: Some(thread), warmth: warmth.clone() })
    }

    /// Makes a plan ready.
    pub(super) fn begin(&self, job: Job) -> Warming {
        let outcome = Outcome::default();
        let warming =
            Warming { border: job.border.clone(), buffers: job.buffers.clone(), outcome: Arc::clone(&outcome) };
        self.warmth.begin();
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send((job, Arc::clone(&outcome))).is_ok());
        if !sent {
            let failed = Error::Internal("the thread that makes partitions ready has ended".to_owned());
            finish(&outcome, Err(failed), &self.warmth);
        }
        warming
    }
}

fn finish(outcome: &Outcome, result: Result<Arc<Executable>, Error>, warmth: &Warmth) {
    *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    warmth.end();
}

fn work(jobs: &Receiver<(Job, Outcome)>, given_up: &AtomicBool, warmth: &Warmth) {
    while let Ok((job, outcome)) = jobs.recv() {
        warmth.wait_for_head_start();
        let result = match given_up.load(Ordering::Relaxed) {
            true => Err(Error::Internal("the warm start was given up".to_owned())),
            // Whoever waits must hear of a crash, too.
            false => catch_unwind(AssertUnwindSafe(|| job.run(given_up)))
                .unwrap_or_else(|_| Err(Error::Internal("making a partition ready has crashed".to_owned()))),
        };
        finish(&outcome, result, warmth);
    }
}

impl Drop for Warmer {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.warmth.hurry();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Its jobs have reported their crashes.
            let _ = thread.join();
        }
    }
}
