//! A team of one, where there are no threads.

/// The calling thread.
pub(crate) struct Team;

/// Says that an invoke runs.
pub(crate) struct Invoked;

impl Team {
    pub(crate) fn new(_threads: usize) -> Self {
        Self
    }

    pub(crate) fn count(&self) -> usize {
        1
    }

    pub(crate) fn invoke(&self) -> Invoked {
        Invoked
    }

    pub(crate) fn together(&self, _helpers: usize, _wake: bool, help: &(dyn Fn(usize) + Sync)) {
        help(0);
    }
}
