//! LiteRT's GPU accelerator (2.2.0 and later): the definition that `CompiledModel`'s runtime reads, which makes the same
//! delegate as the external one.
//!
//! Options come as the text of LiteRT's GPU options; the library's own through the environment variable
//! `TFLITE_WGPU_OPTIONS` (`key=value;key=value`).

use std::{
    env,
    ffi::{c_char, c_int, c_void},
    ptr,
};

use crate::{abi, delegate, device, guard, host, log, options::PluginOptions};

const OK: c_int = 0;
const INVALID_ARGUMENT: c_int = 1;
const RUNTIME_FAILURE: c_int = 3;
const WRONG_VERSION: c_int = 8;
/// `kLiteRtHwAcceleratorGpu`.
const GPU: c_int = 2;

/// The head of LiteRT's tables.
#[repr(C)]
struct Header {
    size: u16,
    major: u16,
    minor: u16,
    reserved: u16,
}

#[repr(C)]
struct Version {
    major: c_int,
    minor: c_int,
    patch: c_int,
}

/// Memory that an accelerator shares with the runtime; this one shares none.
#[repr(C)]
struct BufferHandlers {
    header: Header,
    functions: [*const c_void; 6],
    device_tag: c_int,
    queue_tag: c_int,
    type_count: usize,
    types: [c_int; 16],
}

type Accelerator = *mut c_void;
type CreateDelegate =
    unsafe extern "C" fn(*const RuntimeContext, *mut c_void, Accelerator, *mut c_void, *mut *mut c_void) -> c_int;

/// `LiteRtAcceleratorDef`.
#[repr(C)]
pub struct Definition {
    header: Header,
    get_name: unsafe extern "C" fn(Accelerator, *mut *const c_char) -> c_int,
    get_version: unsafe extern "C" fn(Accelerator, *mut Version) -> c_int,
    get_hardware_support: unsafe extern "C" fn(Accelerator, *mut c_int) -> c_int,
    is_responsible_for_jit: unsafe extern "C" fn(Accelerator, *mut u8) -> c_int,
    create_delegate: CreateDelegate,
    start_metrics: *const c_void,
    stop_metrics: *const c_void,
    buffers: BufferHandlers,
}

// SAFETY: the definition is constant; its pointers are functions and NULL.
unsafe impl Sync for Definition {}

#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Definition>() == 200 && offset_of!(Definition, get_name) == 8);
    assert!(offset_of!(Definition, create_delegate) == 40 && offset_of!(Definition, buffers) == 64);
    assert!(offset_of!(BufferHandlers, functions) == 8 && offset_of!(BufferHandlers, device_tag) == 56);
    assert!(offset_of!(BufferHandlers, type_count) == 64 && offset_of!(BufferHandlers, types) == 72);
};

/// What LiteRT's runtime looks up.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the name is LiteRT's")]
pub static LiteRtAcceleratorImpl: Definition = Definition {
    header: Header { size: 200, major: 1, minor: 0, reserved: 0 },
    get_name,
    get_version,
    get_hardware_support,
    is_responsible_for_jit,
    create_delegate,
    start_metrics: ptr::null(),
    stop_metrics: ptr::null(),
    buffers: BufferHandlers {
        header: Header { size: 136, major: 1, minor: 0, reserved: 0 },
        functions: [ptr::null(); 6],
        device_tag: 0,
        queue_tag: 0,
        type_count: 0,
        types: [0; 16],
    },
};

unsafe extern "C" fn get_name(_: Accelerator, name: *mut *const c_char) -> c_int {
    // SAFETY: the runtime's own place, or NULL.
    unsafe { answer("get_name", name, || c"tflite-wgpu".as_ptr()) }
}

unsafe extern "C" fn get_version(_: Accelerator, version: *mut Version) -> c_int {
    let part = |text: &str| text.parse().unwrap_or(0);
    let own = || Version {
        major: part(env!("CARGO_PKG_VERSION_MAJOR")),
        minor: part(env!("CARGO_PKG_VERSION_MINOR")),
        patch: part(env!("CARGO_PKG_VERSION_PATCH")),
    };
    // SAFETY: the runtime's own place, or NULL.
    unsafe { answer("get_version", version, own) }
}

unsafe extern "C" fn get_hardware_support(_: Accelerator, set: *mut c_int) -> c_int {
    // SAFETY: the runtime's own place, or NULL.
    unsafe { answer("get_hardware_support", set, || GPU) }
}

unsafe extern "C" fn is_responsible_for_jit(_: Accelerator, responsible: *mut u8) -> c_int {
    // Otherwise the delegate would be applied where nobody asked for a GPU.
    // SAFETY: the runtime's own place, or NULL.
    unsafe { answer("is_responsible_for_jit", responsible, || 1) }
}

/// Answers a question of the runtime's in its place for that.
///
/// # Safety
/// `place` is NULL or may be written.
unsafe fn answer<T>(entry: &str, place: *mut T, value: impl FnOnce() -> T) -> c_int {
    if place.is_null() {
        return INVALID_ARGUMENT;
    }
    match guard::caught(entry, || Ok(value())) {
        Ok(value) => {
            // SAFETY: the caller's promise.
            unsafe { place.write(value) };
            OK
        }
        Err(reason) => {
            eprintln!("tflite-wgpu: {reason}");
            RUNTIME_FAILURE
        }
    }
}

/// The runtime's functions: a table whose head says how long it is.
#[repr(C)]
struct RuntimeContext {
    header: Header,
}

const GET_OPAQUE_OPTIONS: usize = 80;
const FIND_OPAQUE_OPTIONS_DATA: usize = 88;
const WRAP_DELEGATE: usize = 144;

type GetOpaqueOptions = unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> c_int;
type FindOpaqueOptionsData = unsafe extern "C" fn(*mut c_void, *const c_char, *mut *mut c_void) -> c_int;
type Deleter = unsafe extern "C" fn(*mut abi::Delegate);
type WrapDelegate = unsafe extern "C" fn(*mut abi::Delegate, Deleter, *mut *mut c_void) -> c_int;

impl RuntimeContext {
    /// The address in the table's entry at `offset`; `None` where the table ends before it or has none.
    ///
    /// # Safety
    /// `table` is the runtime's.
    unsafe fn entry(table: *const Self, offset: usize) -> Option<*const c_void> {
        // SAFETY: the head is there in every version, and the entry where the head says so.
        unsafe {
            let header = &(*table).header;
            let inside = header.major == 1 && usize::from(header.size) >= offset + size_of::<usize>();
            let entry = inside.then(|| table.cast::<u8>().add(offset).cast::<*const c_void>().read())?;
            (!entry.is_null()).then_some(entry)
        }
    }

    /// The text of LiteRT's GPU options; `None` when the caller has set none.
    ///
    /// # Safety
    /// `table` and `options` are the runtime's.
    unsafe fn gpu_options(table: *const Self, options: *mut c_void) -> Option<String> {
        // SAFETY: the entries have these types in all versions with this major number.
        unsafe {
            let get: GetOpaqueOptions = std::mem::transmute(Self::entry(table, GET_OPAQUE_OPTIONS)?);
            let find: FindOpaqueOptionsData = std::mem::transmute(Self::entry(table, FIND_OPAQUE_OPTIONS_DATA)?);
            let (mut list, mut data) = (ptr::null_mut(), ptr::null_mut());
            if options.is_null() || get(options, &mut list) != OK || list.is_null() {
                return None;
            }
            let found = find(list, c"gpu_options".as_ptr(), &mut data) == OK;
            if found { host::text(data.cast()) } else { None }
        }
    }
}

unsafe extern "C" fn create_delegate(
    table: *const RuntimeContext,
    _environment: *mut c_void,
    _accelerator: Accelerator,
    options: *mut c_void,
    out: *mut *mut c_void,
) -> c_int {
    if table.is_null() || out.is_null() {
        return INVALID_ARGUMENT;
    }
    let mut status = OK;
    let made = guard::caught("accelerate", || {
        // SAFETY: the runtime's own table and options.
        let text = unsafe { RuntimeContext::gpu_options(table, options) }.unwrap_or_default();
        let options = parse(&text, &env::var("TFLITE_WGPU_OPTIONS").unwrap_or_default())?;
        log::start(options.log);
        if let Err(error) = device::open(&options.delegate) {
            // Left out, so that the runtime goes on with the CPU where its caller allows that.
            eprintln!("tflite-wgpu: {error}; the accelerator is skipped");
            // SAFETY: the runtime's own place, which is there.
            unsafe { out.write(ptr::null_mut()) };
            return Ok(());
        }
        // SAFETY: the runtime's own table and place.
        status = unsafe { wrap(table, options, out) };
        Ok(())
    });
    made.map_or_else(
        |reason| {
            eprintln!("tflite-wgpu: {reason}");
            INVALID_ARGUMENT
        },
        |()| status,
    )
}

/// Makes the delegate and gives it to the runtime.
///
/// # Safety
/// `table` is the runtime's, and `out` may be written.
unsafe fn wrap(table: *const RuntimeContext, options: PluginOptions, out: *mut *mut c_void) -> c_int {
    // SAFETY: the entry has this type in all versions with this major number; the deleter takes what is wrapped here.
    unsafe {
        let Some(wrap) = RuntimeContext::entry(table, WRAP_DELEGATE) else { return WRONG_VERSION };
        let wrap: WrapDelegate = std::mem::transmute(wrap);
        let made = delegate::create(options);
        let status = wrap(made, crate::tflite_plugin_destroy_delegate, out);
        if status != OK {
            delegate::destroy(made);
            return RUNTIME_FAILURE;
        }
    }
    OK
}

/// Options from LiteRT's text and from the environment; the latter come last and so first.
fn parse(litert: &str, own: &str) -> Result<PluginOptions, String> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (key, value) in litert.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match key.trim() {
            // 0 is the default, 1 and 3 are f16 with sums of either type.
            "precision" if value == "2" => pairs.push(("precision", "f32")),
            "precision" if value != "0" => pairs.push(("precision", "f16")),
            "preferred_device_substr" if !value.is_empty() => pairs.push(("adapter", value)),
            "serialization_dir" if !value.is_empty() => pairs.push(("serialization_dir", value)),
            // Meant for other GPU libraries; the caller cannot know which one is there.
            _ => {}
        }
    }
    for pair in own.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let pair = pair.split_once('=');
        pairs.push(pair.ok_or_else(|| format!("TFLITE_WGPU_OPTIONS is \"{own}\", expected key=value;key=value"))?);
    }
    PluginOptions::parse(pairs).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu::options::Precision;

    use super::*;

    #[test]
    fn options_come_from_litert_and_the_environment() -> Result<(), String> {
        let litert = "precision = 2\nbenchmark_mode = true\nserialization_dir = \"/x\"\n";
        assert_eq!(parse(litert, "")?.delegate.precision, Precision::F32);
        assert_eq!(parse(litert, "precision=f16; deny_ops=ADD")?.delegate.precision, Precision::F16);
        assert_eq!(parse("precision = 0", "")?.delegate.precision, Precision::Auto);
        assert!(parse("", "precision").is_err_and(|text| text.contains("TFLITE_WGPU_OPTIONS")));
        assert!(parse("", "colour=red").is_err_and(|text| text.contains("colour")));
        Ok(())
    }
}
