//! tflite-wgpu runs TensorFlow Lite (`.tflite`) models on any GPU: WGSL compute shaders through wgpu, in float16.

pub mod kernels;
pub mod ops;
pub mod plan;
mod reason;
pub mod region;
pub mod tuning;

pub use reason::Reason;
