//! The reference CPU interpreter: TFLite's reference arithmetic in plain loops, control flow, variables, signatures,
//! and the [`Delegate`] hook through which another device takes nodes.

mod blocking;
mod content;
mod custom;
mod delegate;
mod error;
mod eval;
mod executor;
mod fast;
mod interpreter;
pub mod kernels;
mod memory;
mod model;
mod node;
mod places;
mod propagate;
mod routine;
mod schedule;
mod simd;
mod threads;
mod value;

pub use custom::{CustomKernel, CustomNode, CustomOperator, CustomOperators};
pub use delegate::{
    Delegate, DelegateError, DelegateFuture, Fallback, Handle, Input, Partition, PartitionInput, PartitionIo,
};
pub use error::{At, Cause, Error, Operand, TensorAt};
pub use executor::{HostedOptions, HostedPartitions, OutputShapes};
pub use fast::Kernels;
pub use interpreter::{Interpreter, InterpreterBuilder, SignatureRunner, TensorInfo};
pub use memory::MemoryPeak;
pub use model::{Model, is_interpreted};
pub use node::{run_node, run_node_of, run_subgraph};
pub use schedule::{Item, dependencies};
pub use threads::Threads;
pub use value::{Element, Value, ValueError};
