//! tflite-wgpu runs TensorFlow Lite (`.tflite`) models on any GPU: WGSL compute shaders through wgpu, in float16.
//!
//! The words are TFLite's: an [`Interpreter`] runs a [`Model`]; a [`GpuDelegate`] takes the nodes that the GPU can run,
//! as its [`DelegateOptions`] say, and the interpreter's reference kernels run the others.
//!
//! ```
//! use tflite_wgpu::{DelegateOptions, GpuDelegate, Interpreter, Model};
//!
//! # fn main() -> Result<(), tflite_wgpu::Error> {
//! # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/digits/digits_f32.tflite");
//! let model = Model::open(file)?;
//! // Without an adapter everything runs on the CPU; `device=gpu` makes that an error.
//! let delegate = GpuDelegate::new(DelegateOptions::parse(["device=auto", "precision=f16"])?)?;
//! let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
//!
//! interpreter.allocate_tensors()?;
//! interpreter.input_mut(0)?.as_mut_slice::<f32>()?.fill(0.5);
//! interpreter.invoke()?;
//! let probabilities = interpreter.output(0)?.as_slice::<f32>()?;
//! assert_eq!(probabilities.len(), 10);
//! assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-2);
//! # Ok(())
//! # }
//! ```

mod annotate;
mod autotune;
pub mod compare;
mod constant;
mod delegate;
mod error;
pub mod gpu;
pub mod kernels;
pub mod made_up;
#[cfg(feature = "cli")]
pub mod npy;
pub mod ops;
pub mod options;
pub mod partition;
pub mod plan;
mod precision;
mod preview;
pub mod probe;
mod reason;
pub mod region;
pub mod rewrite;
pub mod tuning;
pub mod verify;

pub use compare::Difference;
pub use constant::Constant;
pub use delegate::{
    GpuDelegate, PartitionReport, Profile, ProfileRow, Report, SubgraphReport, Switch, Validation, Warmth,
};
pub use error::Error;
pub use ops::custom::{Dispatch, GpuKernel, GpuKernelBuilder, GpuNode};
pub use options::DelegateOptions;
pub use preview::{Preview, preview};
pub use reason::Reason;
pub use tflite_wgpu_fallback::{
    CustomKernel, CustomNode, CustomOperator, Interpreter, InterpreterBuilder, Kernels, Model, SignatureRunner,
    TensorInfo, Value, ValueError,
    kernels::{EvalCtx, KernelError},
};
pub use tflite_wgpu_model as model;

/// Models, devices and options are shared by threads; an interpreter is one thread's at a time and can change threads.
#[cfg(not(target_family = "wasm"))]
const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn moved<T: Send>() {}
    shared::<Model>();
    shared::<Value>();
    shared::<gpu::GpuDevice>();
    shared::<gpu::Memory>();
    shared::<DelegateOptions>();
    shared::<Report>();
    shared::<Error>();
    shared::<GpuDelegate>();
    moved::<Interpreter>();
    moved::<InterpreterBuilder>();
    moved::<SignatureRunner<'static>>();
};
