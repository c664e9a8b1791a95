//! The log: lines on standard error, never on standard output, which is the host's.

use std::sync::Once;

use tracing::Level;

/// Writes what is of this level or worse from now on; the first delegate of a process decides.
pub fn start(level: Option<Level>) {
    static ONCE: Once = Once::new();
    let Some(level) = level else { return };
    ONCE.call_once(|| {
        let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
        // A program that has a subscriber of its own, as a test in this process, keeps it.
        let _ = lines.without_time().with_ansi(false).try_init();
    });
}
