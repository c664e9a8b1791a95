//! Integer kernels: bit for bit the plain ones' results.
//!
//! Activations are INT8 or UINT8 with one scale, weights and biases constant. Everything that depends on weights and
//! scales alone is packed by `prepare`; a node that needs another arithmetic is left to the plain kernel.

mod binary;
mod conv;
mod dense;
mod depthwise;
mod pool;
mod quantize;
mod resize;
mod scheme;
mod table;
mod transpose_conv;
mod weights;

#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod tests;

use BuiltinOperator as B;
use tflite_wgpu_model::BuiltinOperator;

use super::Row;
use crate::kernels::support::Operands;

/// Where most products have their operands.
const OPERANDS: Operands = Operands { input: 0, weights: 1, bias: 2 };

pub(super) const ROWS: &[Row] = &[
    Row { op: B::Conv2d, prepare: conv::prepare },
    Row { op: B::DepthwiseConv2d, prepare: depthwise::prepare },
    Row { op: B::FullyConnected, prepare: dense::prepare },
    Row { op: B::Relu, prepare: table::prepare },
    Row { op: B::Relu6, prepare: table::prepare },
    Row { op: B::ReluN1To1, prepare: table::prepare },
    Row { op: B::Relu0To1, prepare: table::prepare },
    Row { op: B::Elu, prepare: table::prepare },
    Row { op: B::LeakyRelu, prepare: table::prepare },
    Row { op: B::Tanh, prepare: table::prepare },
    Row { op: B::Logistic, prepare: table::prepare },
    Row { op: B::HardSwish, prepare: table::prepare },
    Row { op: B::Gelu, prepare: table::prepare },
    Row { op: B::Abs, prepare: table::prepare },
    Row { op: B::Exp, prepare: table::prepare },
    Row { op: B::Log, prepare: table::prepare },
    Row { op: B::Sqrt, prepare: table::prepare },
    Row { op: B::Rsqrt, prepare: table::prepare },
    Row { op: B::Neg, prepare: table::prepare },
    Row { op: B::Quantize, prepare: table::prepare },
    Row { op: B::Dequantize, prepare: table::prepare },
    Row { op: B::Add, prepare: table::prepare_binary },
    Row { op: B::Sub, prepare: table::prepare_binary },
    Row { op: B::Mul, prepare: table::prepare_binary },
    Row { op: B::Div, prepare: table::prepare_binary },
    Row { op: B::Maximum, prepare: table::prepare_binary },
    Row { op: B::Minimum, prepare: table::prepare_binary },
    Row { op: B::SquaredDifference, prepare: table::prepare_binary },
    Row { op: B::Prelu, prepare: table::prepare_binary },
    Row { op: B::Add, prepare: binary::prepare },
    Row { op: B::Sub, prepare: binary::prepare },
    Row { op: B::Mul, prepare: binary::prepare },
    Row { op: B::AveragePool2d, prepare: pool::prepare },
    Row { op: B::MaxPool2d, prepare: pool::prepare },
    Row { op: B::Mean, prepare: pool::prepare_mean },
    Row { op: B::Quantize, prepare: quantize::prepare },
    Row { op: B::ResizeBilinear, prepare: resize::prepare },
    Row { op: B::TransposeConv, prepare: transpose_conv::prepare },
];
