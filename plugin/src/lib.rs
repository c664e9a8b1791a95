//! tflite-wgpu inside the official runtimes: an external delegate of TFLite and LiteRT.
//!
//! The library imports nothing of a runtime, and exports what `include/tflite_wgpu.h` declares. The host's subgraph
//! becomes a typed program ([`graph`]), the project's partitioner chooses nodes of it, the host forms partitions of
//! those, and each runs as one kernel ([`kernel`]) on a device that all delegates of the process share ([`device`]).

pub mod abi;
mod accelerator;
pub mod attributes;
mod delegate;
mod device;
mod graph;
mod guard;
mod host;
mod inject;
pub mod inquire;
mod kernel;
mod log;
pub mod options;
mod pin;
mod session;
pub mod types;

use std::{
    ffi::{CString, c_char},
    ptr,
};

use options::PluginOptions;

/// How a host wants to hear of a failed creation.
type ReportError = Option<unsafe extern "C" fn(*const c_char)>;

/// Largest number of options; more is taken for a damaged call.
const MAX_OPTIONS: usize = 4096;

/// Makes a delegate with these options; NULL when one is not understood, with the reason on standard error and, where
/// there is one, through `report_error`.
///
/// # Safety
/// `keys` and `values` are arrays of `count` C strings each, or NULL when `count` is 0; `report_error` takes a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tflite_plugin_create_delegate(
    keys: *const *const c_char,
    values: *const *const c_char,
    count: usize,
    report_error: ReportError,
) -> *mut abi::Delegate {
    // A C int comes from Python; its upper half means nothing.
    let count = count & 0xffff_ffff;
    let made = guard::caught("create", || {
        // SAFETY: the caller's promise about the arrays.
        let pairs = unsafe { pairs(keys, values, count) }?;
        let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let options = PluginOptions::parse(pairs).map_err(|error| error.to_string())?;
        log::start(options.log);
        Ok(delegate::create(options))
    });
    made.unwrap_or_else(|reason| {
        eprintln!("tflite-wgpu: {reason}");
        if let (Some(report), Ok(text)) = (report_error, CString::new(reason.replace('\0', " "))) {
            // SAFETY: the caller's function, on the caller's thread; the text outlives the call.
            unsafe { report(text.as_ptr()) };
        }
        ptr::null_mut()
    })
}

/// Ends a delegate; NULL is ignored.
///
/// # Safety
/// `delegate` is NULL or comes from [`tflite_plugin_create_delegate`]. Interpreters that still have it stay usable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tflite_plugin_destroy_delegate(delegate: *mut abi::Delegate) {
    guard::quiet("destroy", || delegate::destroy(delegate));
}

/// The library's version, a static C string.
#[unsafe(no_mangle)]
pub extern "C" fn tflite_wgpu_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Keys and values of the caller.
///
/// # Safety
/// As [`tflite_plugin_create_delegate`].
unsafe fn pairs(
    keys: *const *const c_char,
    values: *const *const c_char,
    count: usize,
) -> Result<Vec<(String, String)>, String> {
    if count > MAX_OPTIONS || (count > 0 && (keys.is_null() || values.is_null())) {
        return Err(format!("{count} options were announced, and there are none"));
    }
    let missing = || "an option has no text".to_owned();
    // SAFETY: both arrays have `count` entries, each NULL or a C string.
    let text = |list: *const *const c_char, i: usize| unsafe { host::text(*list.add(i)) }.ok_or_else(missing);
    (0..count).map(|i| Ok((text(keys, i)?, text(values, i)?))).collect()
}
