//! Everything that touches wgpu: adapters, devices, buffers, pipelines, execution.

mod adapter;
mod buffers;
mod device;
mod executor;
mod pipelines;
mod timing;

pub use adapter::{AdapterChoice, AdapterSummary, adapters};
pub use buffers::{DeviceBuffer, Usage, WeightStore};
pub use device::{DeviceLimits, DeviceOptions, GpuDevice};
pub use executor::{BorderBuffers, Executable, Pending, border_buffer};
