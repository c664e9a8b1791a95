//! The calling thread and its workers.

use std::{
    hint::spin_loop,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rayon::{ThreadPool, ThreadPoolBuilder, Yield, current_thread_index, yield_now};

/// How long a worker looks for work before it goes to sleep, and the caller for the workers' end.
const PATIENCE: Duration = Duration::from_micros(200);
/// Looks between two at the clock.
const LOOKS: u32 = 64;

/// The calling thread and its workers.
pub(crate) struct Team {
    count: usize,
    /// Whether each thread can have a core of its own: otherwise one that waits would keep another from working.
    cores: bool,
    /// The workers; started by the first node that is worth them. `None` when the system has no more threads.
    pool: OnceLock<Option<ThreadPool>>,
    watch: Arc<Watch>,
}

/// Who is awake.
#[derive(Default)]
struct Watch {
    /// Invokes that run.
    invoked: AtomicUsize,
    /// Workers that were called and have not left.
    called: AtomicUsize,
    /// Workers that look for work.
    awake: AtomicUsize,
}

/// Says that an invoke runs; workers go to sleep when the last one is dropped.
pub(crate) struct Invoked(Arc<Watch>);

impl Drop for Invoked {
    fn drop(&mut self) {
        self.0.invoked.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes one off a count at the end, come what may.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Team {
    /// A team of `threads`, the calling one included.
    pub(crate) fn new(threads: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = threads.max(1);
        Self { count, cores: count <= cores, pool: OnceLock::new(), watch: Arc::default() }
    }

    /// Threads, the calling one included.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// To be held while an invoke runs.
    pub(crate) fn invoke(&self) -> Invoked {
        self.watch.invoked.fetch_add(1, Ordering::Relaxed);
        if let Some(Some(pool)) = self.pool.get() {
            self.call(pool);
        }
        Invoked(Arc::clone(&self.watch))
    }

    /// Wakes workers that have gone to sleep.
    fn call(&self, pool: &ThreadPool) {
        let watch = &self.watch;
        if !self.cores || watch.invoked.load(Ordering::Relaxed) == 0 || watch.called.load(Ordering::Acquire) > 0 {
            return;
        }
        watch.called.store(self.count - 1, Ordering::Relaxed);
        let watch = Arc::clone(watch);
        pool.spawn_broadcast(move |_| watch.stay());
    }

    /// Calls `help` with their numbers on this thread, which is 0, and on up to `helpers - 1` others at once; returns when
    /// all have. Only workers that are awake are asked, unless it is worth to `wake` them: then all.
    pub(crate) fn together(&self, helpers: usize, wake: bool, help: &(dyn Fn(usize) + Sync)) {
        let others = helpers.min(self.count).saturating_sub(1);
        if others == 0 {
            return help(0);
        }
        let Some(pool) = self.pool.get_or_init(|| workers(self.count - 1)) else { return help(0) };
        self.call(pool);
        let others = if wake { others } else { others.min(self.watch.awake.load(Ordering::Relaxed)) };
        if others == 0 {
            return help(0);
        }
        let busy = AtomicUsize::new(others);
        pool.in_place_scope(|scope| {
            for _ in 0..others {
                scope.spawn(|_| {
                    let _leave = Leave(&busy);
                    help(current_thread_index().map_or(0, |worker| worker + 1));
                });
            }
            help(0);
            // The scope's end would go to sleep at once.
            if self.cores {
                until(|| busy.load(Ordering::Acquire) == 0);
            }
        });
    }
}

fn workers(count: usize) -> Option<ThreadPool> {
    ThreadPoolBuilder::new().num_threads(count).thread_name(|i| format!("tflite-{}", i + 1)).build().ok()
}

/// Waits for a condition, but not for long.
fn until(done: impl Fn() -> bool) {
    let mut start = None;
    for look in 1u32.. {
        if done() {
            // Whoever has just made it true may still be on the way out.
            (0..4).for_each(|_| spin_loop());
            return;
        }
        spin_loop();
        if look % LOOKS == 0 && start.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return;
        }
    }
}

impl Watch {
    /// Looks for work until the invoke ends or there has been none for some time.
    fn stay(&self) {
        let _called = Leave(&self.called);
        self.awake.fetch_add(1, Ordering::Relaxed);
        let _awake = Leave(&self.awake);
        let (mut idle, mut looks) = (None, 0u32);
        while self.invoked.load(Ordering::Relaxed) > 0 {
            if yield_now() == Some(Yield::Executed) {
                (idle, looks) = (None, 0);
                continue;
            }
            spin_loop();
            looks = looks.wrapping_add(1);
            if looks % LOOKS == 0 && idle.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    /// Waits, for seconds if need be, because other tests run too.
    fn eventually(what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn workers_sleep_after_an_invoke() {
        let team = Team { cores: true, ..Team::new(3) };
        let awake = || team.watch.awake.load(Ordering::Relaxed);
        for _ in 0..3 {
            let invoked = team.invoke();
            team.together(3, true, &|_| {});
            drop(invoked);
            eventually("a worker stays awake", || team.watch.called.load(Ordering::Relaxed) + awake() == 0);
        }
        // What is dropped while a panic unwinds counts, too.
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _invoked = team.invoke();
            team.together(3, true, &|_| std::panic::resume_unwind(Box::new("a kernel's")));
        }));
        assert!(caught.is_err());
        eventually("a worker stays awake", || team.watch.called.load(Ordering::Relaxed) + awake() == 0);
    }

    #[test]
    fn workers_sleep_when_nothing_comes() {
        let team = Team { cores: true, ..Team::new(2) };
        let _invoked = team.invoke();
        team.together(2, true, &|_| {});
        eventually("the worker waits for ever", || team.watch.called.load(Ordering::Relaxed) == 0);
    }

    #[test]
    fn all_threads_work_at_once() {
        for threads in [1, 2, 5] {
            let team = Team::new(threads);
            let _invoked = team.invoke();
            // Nobody passes before all have come.
            let barrier = Barrier::new(threads);
            team.together(threads, true, &|_| {
                barrier.wait();
            });
        }
    }
}
