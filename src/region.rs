//! A GPU region: a partition's nodes and tensors with concrete shapes, open to rewrites.
//!
//! Tensor ids are the file's; tensors that rewrites and lowering add follow behind them. A rewritten node carries
//! the file's nodes it stands for in `origin`, so that reports always speak of the file's nodes.

use std::collections::HashMap;

use crate::constant::Constant;

use tflite_wgpu_fallback::CustomOperators;
use tflite_wgpu_model::{DType, NodeId, Op, Quant, TensorId};

/// How a tensor is stored on the device. A texel is four channels in every storage but [`Storage::Raw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Storage {
    /// `vec4<f32>` texels, 16 bytes.
    F32,
    /// Half-precision texels, 8 bytes: `vec2<u32>` or `vec4<f16>`, as the adapter's dialect has it.
    F16,
    /// `vec4<i32>` texels, 16 bytes: INT32, INT64 (values that fit), BOOL (0 or 1), UINT8, INT8, INT16.
    I32,
    /// The host's own bytes in C order, bound as `array<u32>`.
    Raw,
}

impl Storage {
    /// Bytes of one texel (of one word for [`Storage::Raw`]).
    pub fn texel_bytes(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 16,
            Self::F16 => 8,
            Self::Raw => 4,
        }
    }

    /// Name in shader templates and snapshots.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I32 => "i32",
            Self::Raw => "raw",
        }
    }
}

/// Geometry of a packed tensor: rows of texels, the innermost dimension padded to a multiple of four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texels {
    /// Product of all dimensions but the innermost.
    pub rows: usize,
    /// Innermost dimension in elements (1 for a scalar).
    pub channels: usize,
    /// Texels of a row.
    pub width: usize,
}

impl Texels {
    /// Geometry of a tensor with these dimensions.
    pub fn of(dims: &[usize]) -> Self {
        let (channels, rows) = match dims.split_last() {
            Some((&channels, outer)) => (channels, outer.iter().product()),
            None => (1, 1),
        };
        Self { rows, channels, width: channels.div_ceil(4) }
    }

    /// Texels in all.
    pub fn count(self) -> usize {
        self.rows * self.width
    }
}

/// A tensor of a region.
#[derive(Clone, Debug)]
pub struct RegionTensor {
    /// Name in the file, or what made it.
    pub name: String,
    /// Element type as the file has it.
    pub dtype: DType,
    /// Concrete dimensions.
    pub dims: Vec<usize>,
    /// Value, when it is a constant (of the file, or folded).
    pub constant: Option<Constant>,
    /// Quantisation as the file has it: what integer constants of float operators stand for.
    pub quant: Option<Quant>,
    /// How it is stored on the device.
    pub storage: Storage,
}

impl RegionTensor {
    /// Texel geometry.
    pub fn texels(&self) -> Texels {
        Texels::of(&self.dims)
    }

    /// Bytes on the device, padding included.
    pub fn device_bytes(&self) -> usize {
        match self.storage {
            Storage::Raw => {
                let size = self.dtype.size().unwrap_or(4);
                (self.dims.iter().product::<usize>() * size).next_multiple_of(4)
            }
            storage => self.texels().count() * storage.texel_bytes(),
        }
    }
}

/// A function of one value that a kernel applies to its result before storing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the operators'")]
pub enum Unary {
    Abs,
    Ceil,
    Cos,
    Elu,
    Exp,
    Floor,
    Gelu,
    GeluTanh,
    /// clamp(x + 3, 0, 6) / 6, which is three nodes in a file.
    HardSigmoid,
    HardSwish,
    Log,
    Logistic,
    Neg,
    Round,
    Rsqrt,
    Sign,
    Sin,
    Sqrt,
    Square,
    /// x · LOGISTIC(x), which is two nodes in a file.
    Swish,
    Tanh,
}

impl Unary {
    /// Name of the WGSL function (`shaders/unary.wgsl`) that computes it on four channels.
    pub fn function(self) -> &'static str {
        match self {
            Self::Abs => "op_abs",
            Self::Ceil => "op_ceil",
            Self::Cos => "op_cos",
            Self::Elu => "op_elu",
            Self::Exp => "op_exp",
            Self::Floor => "op_floor",
            Self::Gelu => "op_gelu",
            Self::GeluTanh => "op_gelu_tanh",
            Self::HardSigmoid => "op_hard_sigmoid",
            Self::HardSwish => "op_hard_swish",
            Self::Log => "op_log",
            Self::Logistic => "op_logistic",
            Self::Neg => "op_neg",
            Self::Round => "op_round",
            Self::Rsqrt => "op_rsqrt",
            Self::Sign => "op_sign",
            Self::Sin => "op_sin",
            Self::Sqrt => "op_sqrt",
            Self::Square => "op_square",
            Self::Swish => "op_swish",
            Self::Tanh => "op_tanh",
        }
    }
}

/// A function of two values, elementwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the operators'")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Maximum,
    Minimum,
    SquaredDifference,
}

impl Binary {
    /// WGSL expression of `a` and `b`, both `vec4<f32>`.
    pub fn expression(self, a: &str, b: &str) -> String {
        match self {
            Self::Add => format!("{a} + {b}"),
            Self::Sub => format!("{a} - {b}"),
            Self::Mul => format!("{a} * {b}"),
            Self::Div => format!("{a} / {b}"),
            Self::Maximum => format!("max({a}, {b})"),
            Self::Minimum => format!("min({a}, {b})"),
            Self::SquaredDifference => format!("({a} - {b}) * ({a} - {b})"),
        }
    }
}

/// How an operand of an epilogue lies against the kernel's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Spread {
    /// The same shape.
    Full,
    /// One value per channel.
    Channel,
    /// One value.
    Scalar,
}

/// What a kernel does to its result before it stores it, in order: the closed set of fused operators.
#[derive(Clone, Debug, PartialEq)]
pub enum Fused {
    /// Bounds: RELU, RELU6, RELU_N1_TO_1, MINIMUM/MAXIMUM with a constant.
    Clamp {
        /// Smallest value.
        low: f32,
        /// Largest value.
        high: f32,
    },
    /// LEAKY_RELU.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// A unary operator.
    Unary(Unary),
    /// A binary operator with another tensor of the region (a residual, a bias, a scale).
    Binary {
        /// The function.
        op: Binary,
        /// The other operand.
        operand: TensorId,
        /// How it lies.
        spread: Spread,
        /// Whether the kernel's result is the right operand.
        swapped: bool,
    },
    /// PRELU with one slope per channel.
    Prelu {
        /// Slopes.
        alpha: TensorId,
        /// How they lie.
        spread: Spread,
    },
}

/// What a node is that stands for several of a file's, where that is no operator of TFLite's; its `op` is one of the same
/// kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Whole {
    /// Rows of the innermost dimension get mean 0 and variance 1: (x − mean) / √(variance + epsilon). An
    /// L2_NORMALIZATION otherwise.
    Standardise {
        /// Added to the variance.
        epsilon: f32,
    },
    /// A BATCH_MATMUL of rank 4 and batch 1 whose left operand, right operand and result have dimensions 1 and 2 in the
    /// other order where it says so.
    Swapped([bool; 3]),
    /// The gate of a squeeze-and-excite block: the mean over an image (input 0), a product (weights and bias are inputs 3
    /// and 4), an activation, and the product that `op` says (inputs 1 and 2).
    Squeeze(Squeeze),
    /// A product of rows, each of which is multiplied by input 3 first, one factor for each channel.
    Gated,
}

/// The activation between the products of a squeeze-and-excite block: a function, or bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Squeeze {
    /// The function, if it is not bounds.
    pub unary: Option<Unary>,
    /// Smallest value.
    pub low: f32,
    /// Largest value.
    pub high: f32,
}

/// A node of a region.
#[derive(Clone, Debug)]
pub struct RegionNode {
    /// Operator with its attributes.
    pub op: Op,
    /// Inputs; `None` where omitted.
    pub inputs: Vec<Option<TensorId>>,
    /// Outputs; `None` where omitted.
    pub outputs: Vec<Option<TensorId>>,
    /// Fused operators behind this one. The node's own fused activation attribute comes first.
    pub fused: Vec<Fused>,
    /// Zeros around an NHWC input that a PAD in front would have made: top, bottom, left, right.
    pub pad: [usize; 4],
    /// What it is, if not what `op` says.
    pub whole: Option<Whole>,
    /// The file's nodes it stands for.
    pub origin: Vec<NodeId>,
}

impl RegionNode {
    /// The `i`-th input, if present.
    pub fn input(&self, i: usize) -> Option<TensorId> {
        self.inputs.get(i).copied().flatten()
    }

    /// The `i`-th output, if present.
    pub fn output(&self, i: usize) -> Option<TensorId> {
        self.outputs.get(i).copied().flatten()
    }

    /// Every tensor it reads, fused operands included.
    pub fn reads(&self) -> impl Iterator<Item = TensorId> + '_ {
        let fused = self.fused.iter().filter_map(|fused| match fused {
            Fused::Binary { operand, .. } => Some(*operand),
            Fused::Prelu { alpha, .. } => Some(*alpha),
            _ => None,
        });
        self.inputs.iter().copied().flatten().chain(fused)
    }
}

/// A partition's nodes with everything lowering needs to know.
#[derive(Clone, Debug, Default)]
pub struct Region {
    /// Tensors by id (the file's first).
    pub tensors: Vec<RegionTensor>,
    /// Nodes in an order of execution.
    pub nodes: Vec<RegionNode>,
    /// Tensors that come from outside.
    pub inputs: Vec<TensorId>,
    /// Tensors that are needed outside.
    pub outputs: Vec<TensorId>,
    /// Custom operators of the user's own.
    pub customs: CustomOperators,
    /// Tensors that are written into another's memory and read nowhere else: columns of it.
    pub slices: HashMap<TensorId, Slice>,
}

/// Columns of a tensor in which another one is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The tensor that has them.
    pub of: TensorId,
    /// Texels of a row in front of them.
    pub offset: usize,
}

impl Region {
    /// The tensor with this id. Ids come from the region itself, so a miss is a bug of this library.
    #[allow(clippy::indexing_slicing, reason = "ids are made by the region itself")]
    pub fn tensor(&self, id: TensorId) -> &RegionTensor {
        &self.tensors[id.index()]
    }

    /// Adds a tensor.
    pub fn add_tensor(&mut self, tensor: RegionTensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId::from_index(self.tensors.len() - 1)
    }

    /// Number of nodes that read `id`, plus one if it is an output of the region.
    pub fn uses(&self, id: TensorId) -> usize {
        let reads = self.nodes.iter().filter(|node| node.reads().any(|read| read == id)).count();
        reads + usize::from(self.outputs.contains(&id))
    }

    /// The position of the node that computes each tensor.
    pub fn producers(&self) -> HashMap<TensorId, usize> {
        let outputs =
            |(i, node): (usize, &RegionNode)| -> Vec<_> { node.outputs.iter().flatten().map(|id| (*id, i)).collect() };
        self.nodes.iter().enumerate().flat_map(outputs).collect()
    }

    /// Removes the nodes at these positions.
    pub fn remove(&mut self, gone: &[usize]) {
        let mut position = 0..;
        self.nodes.retain(|_| position.next().is_none_or(|at: usize| !gone.contains(&at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_to_texels() {
        assert_eq!(Texels::of(&[1, 5, 7, 3]), Texels { rows: 35, channels: 3, width: 1 });
        assert_eq!(Texels::of(&[9]), Texels { rows: 1, channels: 9, width: 3 });
        assert_eq!(Texels::of(&[]).count(), 1);
    }
}
