//! Any text as options, one `key=value` a line: what the parser takes must be printable and taken again with the same
//! meaning, what it refuses must be one sentence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tflite_wgpu::DelegateOptions;

fuzz_target!(|text: &str| {
    let parsed = DelegateOptions::parse(text.lines());
    match &parsed {
        Ok(options) => {
            let again = DelegateOptions::parse(text.lines()).map(|again| format!("{again:?}")).ok();
            assert_eq!(again, Some(format!("{options:?}")));
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
        }
    }
});
