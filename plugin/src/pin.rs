//! Keeps the library mapped once it has a device: hosts close it while its threads and callbacks still live.
//!
//! On Linux and Android the linker's flag in `build.rs` says so from the first load on.

/// Lets no host unload this library any more; where the system refuses, the log says so.
pub fn pin() {
    if let Err(reason) = keep() {
        tracing::warn!(reason, "this library may be unloaded while it works");
    }
}

/// Anything of this library's, by whose address the system knows which one is meant.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
static PLACE: u8 = 0;

#[cfg(any(target_os = "linux", target_os = "android"))]
fn keep() -> Result<(), String> {
    Ok(())
}

#[cfg(windows)]
fn keep() -> Result<(), String> {
    use std::{ffi::c_void, ptr};

    const PIN: u32 = 1;
    const FROM_ADDRESS: u32 = 4;

    // Declared here rather than by a crate: it is the one function that is wanted.
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, place: *const c_void, module: *mut *mut c_void) -> i32;
    }
    let mut module = ptr::null_mut();
    // SAFETY: with this flag the name is an address within a module; the handle is written to a place of this function's.
    let found = unsafe { GetModuleHandleExW(PIN | FROM_ADDRESS, (&raw const PLACE).cast(), &mut module) };
    if found != 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn keep() -> Result<(), String> {
    use std::mem::MaybeUninit;

    let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the structure is written for an address of a loaded library, and its name lives as long as that; zeroes
    // are a structure without a name. A library that is there already is opened once more, and never closed.
    unsafe {
        let known = libc::dladdr((&raw const PLACE).cast(), found.as_mut_ptr());
        let name = found.assume_init().dli_fname;
        if known == 0 || name.is_null() {
            return Err("the system does not know this library's file".to_owned());
        }
        let opened = libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        if opened.is_null() { Err("the system does not open this library again".to_owned()) } else { Ok(()) }
    }
}
