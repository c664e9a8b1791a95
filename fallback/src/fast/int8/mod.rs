//! Integer kernels: bit for bit the plain ones' results.
//!
//! Activations are INT8 or UINT8 with one scale, weights and biases constant. Everything that depends on weights and
//! scales alone is packed by `prepare`; a node that needs another arithmetic is left to the plain kernel.

mod conv;
mod dense;
mod depthwise;
mod scheme;
mod shares;
mod weights;

#[cfg(test)]
mod tests;

use tflite_wgpu_model::BuiltinOperator;

use super::Row;

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Conv2d, prepare: conv::prepare },
    Row { op: BuiltinOperator::DepthwiseConv2d, prepare: depthwise::prepare },
    Row { op: BuiltinOperator::FullyConnected, prepare: dense::prepare },
];
