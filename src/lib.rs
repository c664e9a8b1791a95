//! tflite-wgpu runs TensorFlow Lite (`.tflite`) models on any GPU: WGSL compute shaders through wgpu, in float16.

mod annotate;
pub mod compare;
mod constant;
mod delegate;
mod error;
pub mod gpu;
pub mod kernels;
#[cfg(feature = "cli")]
pub mod npy;
pub mod ops;
pub mod options;
pub mod partition;
pub mod plan;
mod precision;
mod reason;
pub mod region;
pub mod rewrite;
pub mod tuning;

pub use constant::Constant;
pub use delegate::{GpuDelegate, PartitionReport, Report, SubgraphReport};
pub use error::Error;
pub use options::DelegateOptions;
pub use reason::Reason;
pub use tflite_wgpu_fallback::{Interpreter, InterpreterBuilder, Model, SignatureRunner, TensorInfo, Value};
pub use tflite_wgpu_model as model;
