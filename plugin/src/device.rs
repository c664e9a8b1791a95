//! Devices that all delegates of the process share, so that pipelines and packed weights outlive single interpreters.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tflite_wgpu::{
    DelegateOptions, Error,
    gpu::{DeviceOptions, GpuDevice},
};

use crate::pin;

/// Devices stay open as long as the process lives: a driver may be unloaded before the last of them would be closed.
static DEVICES: Mutex<Vec<(DeviceOptions, Arc<GpuDevice>)>> = Mutex::new(Vec::new());

/// Whether the process is coming to its end, when drivers may be gone already.
static ENDING: AtomicBool = AtomicBool::new(false);

/// The device that these options ask for; opened when there is none, or when that one was lost.
///
/// # Errors
/// When there is no such adapter, or it gives no device.
pub fn open(options: &DelegateOptions) -> Result<Arc<GpuDevice>, Error> {
    let wanted = DeviceOptions {
        adapter: options.adapter.clone(),
        limits: options.limits,
        typed_f16: options.typed_f16,
        cache_dir: options.cache_dir.clone(),
    };
    // Opening under the lock: two delegates that start at once shall share one device.
    let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
    devices.retain(|(_, device)| device.check().is_ok());
    if let Some((_, device)) = devices.iter().find(|(options, _)| *options == wanted) {
        return Ok(Arc::clone(device));
    }
    watch_for_the_end();
    let device = wait(GpuDevice::open(&wanted))?;
    devices.push((wanted, Arc::clone(&device)));
    Ok(device)
}

/// Gives all devices up, as if they were lost: for tests.
pub fn lose() {
    let devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
    devices.iter().for_each(|(_, device)| device.destroy());
}

/// Whether the process is ending: what belongs to a driver is then better left alone.
pub fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

fn watch_for_the_end() {
    extern "C" fn ending() {
        ENDING.store(true, Ordering::Relaxed);
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        pin::pin();
        // SAFETY: the function stays mapped, because the library is pinned, and only sets a flag. Without room for it the
        // flag stays down, as in a process that lives on.
        let _ = unsafe { libc::atexit(ending) };
    });
}

/// Runs a future to its end on this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}
