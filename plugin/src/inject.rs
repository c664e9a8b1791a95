//! Faults that tests ask for, by the variable `TFLITE_WGPU_INJECT`; builds without debug assertions have none.
//!
//! `FAULT:ENTRY` lets the first call of an entry fail, `FAULT:ENTRY:N` the N-th. `panic` and `lost` (the device is gone)
//! go with the entries that a host calls: `create`, `apply`, `init`, `prepare`, `invoke`, `copy_from_buffer_handle`,
//! `copy_to_buffer_handle`, `free_buffer_handle`, `free`, `destroy`, `devices`, `verify`, and of the accelerator
//! `accelerate`, `get_name`, `get_version`, `get_hardware_support`, `is_responsible_for_jit`. `nothing` (no node is
//! claimed) and `wrong` (the last node's kernel negates its results) go with `choose`, `memory` (there is no room for a
//! value) with `start`.

/// A fault that is due now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(debug_assertions), allow(dead_code, reason = "what is shipped has no faults"))]
pub enum Fault {
    /// The entry panics.
    Panic,
    /// The shared devices are lost.
    Lost,
    /// A memory limit of nothing.
    Memory,
    /// A kernel gives wrong results.
    Wrong,
    /// No node is claimed.
    Nothing,
}

#[cfg(debug_assertions)]
mod wanted {
    use std::{
        env,
        sync::{
            OnceLock,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::Fault;

    const FAULTS: [(&str, Fault); 5] = [
        ("panic", Fault::Panic),
        ("lost", Fault::Lost),
        ("memory", Fault::Memory),
        ("wrong", Fault::Wrong),
        ("nothing", Fault::Nothing),
    ];

    struct Wish {
        fault: Fault,
        entry: String,
        /// Calls of the entry until the fault is due.
        calls: AtomicUsize,
    }

    fn parse(text: &str) -> Option<Wish> {
        let mut words = text.split(':');
        let (fault, entry) = (words.next()?, words.next()?.to_owned());
        let (_, fault) = FAULTS.into_iter().find(|(name, _)| *name == fault)?;
        Some(Wish { fault, entry, calls: AtomicUsize::new(words.next().unwrap_or("1").parse().ok()?) })
    }

    /// What is due in this call of an entry.
    pub fn due(entry: &str) -> Option<Fault> {
        static WISH: OnceLock<Option<Wish>> = OnceLock::new();
        let wish = WISH.get_or_init(|| parse(&env::var("TFLITE_WGPU_INJECT").ok()?)).as_ref()?;
        // The counter stays at zero once the fault has been due.
        let due = wish.entry == entry
            && wish.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) == Ok(1);
        due.then_some(wish.fault)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn faults_have_names_and_places() {
            let found = |text: &str| parse(text).map(|wish| (wish.fault, wish.entry, wish.calls.into_inner()));
            assert_eq!(found("lost:invoke:3"), Some((Fault::Lost, "invoke".to_owned(), 3)));
            assert_eq!(found("panic:free"), Some((Fault::Panic, "free".to_owned(), 1)));
            assert_eq!((found("panic"), found("fire:free"), found("panic:free:x")), (None, None, None));
        }
    }
}

/// What is due in this call of an entry; nothing in what is shipped.
pub fn due(entry: &str) -> Option<Fault> {
    #[cfg(debug_assertions)]
    return wanted::due(entry);
    #[cfg(not(debug_assertions))]
    {
        let _ = entry;
        None
    }
}
