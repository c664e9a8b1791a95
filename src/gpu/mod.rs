//! Everything that touches wgpu: adapters, devices, buffers, pipelines, execution.

mod adapter;
mod ahead;
mod buffers;
mod cache;
mod device;
mod effort;
mod executor;
mod first_use;
mod host;
mod memory;
mod pipelines;
mod readback;
mod resources;
mod sentinels;
mod tiles;
mod timing;
mod trace;
mod weights;

/// The wgpu that [`GpuDevice::with_device`] takes devices of.
pub use wgpu;

pub use adapter::{AdapterChoice, AdapterSummary, adapters};
pub use buffers::{DeviceBuffer, Usage};
pub use cache::CacheDir;
pub use device::{DeviceLimits, DeviceOptions, GpuDevice};
pub use effort::Effort;
pub use executor::{Executable, Pending};
pub use host::HostTimes;
pub use memory::Memory;
pub use resources::{BorderBuffers, border_buffer};
pub use timing::StepTime;
pub use trace::{Feed, Written};
