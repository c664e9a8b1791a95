//! How much of the machine making something ready may take, and whether it is still wanted.

use std::sync::LazyLock;

use crate::error::Error;

/// Threads to compile and pack on, and when to stop.
pub struct Effort<'a> {
    threads: usize,
    given_up: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Effort<'a> {
    /// All threads of the machine (in browsers, the one that there is), to the end.
    pub fn whole() -> Self {
        // The system is asked once: some look it up in files.
        static THREADS: LazyLock<usize> = LazyLock::new(|| {
            if cfg!(target_family = "wasm") { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) }
        });
        Self::of(*THREADS)
    }

    /// This many threads, to the end.
    pub fn of(threads: usize) -> Self {
        Self { threads, given_up: &|| false }
    }

    /// Until `given_up` says so: what has begun is finished then, nothing else begins.
    pub fn until(self, given_up: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { given_up, ..self }
    }

    /// Threads to use.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether it is still wanted.
    ///
    /// # Errors
    /// [`Error::Internal`] once it has been given up.
    pub(super) fn check(&self) -> Result<(), Error> {
        if (self.given_up)() { Err(Error::Internal("making it ready was given up".to_owned())) } else { Ok(()) }
    }
}
