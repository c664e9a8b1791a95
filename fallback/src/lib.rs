//! The reference CPU interpreter: TFLite's reference arithmetic in plain loops, control flow, variables, signatures,
//!, and the `Delegate` hook through which another device takes nodes.

pub mod kernels;
mod value;

pub use value::{Element, Value, ValueError};
