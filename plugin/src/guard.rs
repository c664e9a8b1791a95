//! No panic crosses into the host, and every failure has a text.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    device,
    inject::{self, Fault},
};

/// Runs the body of an entry; a panic becomes its text.
pub fn caught<T>(entry: &str, body: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let body = || {
        match inject::due(entry) {
            #[allow(clippy::panic, reason = "a test asks for it")]
            Some(Fault::Panic) => panic!("a panic in {entry} that a test asked for"),
            Some(Fault::Lost) => device::lose(),
            _ => {}
        }
        body()
    };
    catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|panic| Err(format!("a defect of tflite-wgpu: {}", words(&panic))))
}

/// As [`caught`], for a body that cannot fail; nothing is said of a panic but on standard error.
pub fn quiet(entry: &str, body: impl FnOnce()) {
    if let Err(text) = caught(entry, || {
        body();
        Ok(())
    }) {
        eprintln!("tflite-wgpu: {text}");
    }
}

fn words(panic: &Box<dyn Any + Send>) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::panic, reason = "it is what the test is about")]
    fn a_panic_becomes_its_text() {
        let failed: Result<(), String> = caught("test", || panic!("number {}", 7));
        assert!(failed.is_err_and(|text| text.contains("number 7")));
        assert_eq!(caught("test", || Ok(1)), Ok(1));
    }
}
