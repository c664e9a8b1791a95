//! What one dispatch does, as plain data.

use std::{fmt, sync::Arc};

use tflite_wgpu_model::{NodeId, TensorId};

use crate::{
    constant::Constant,
    reason::Reason,
    region::{Binary, Spread, Storage, Unary},
};

/// Constants in a layout of a kernel's own (convolution weights in blocks, index tables …), by position in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightsId(pub usize);

/// Packed constants. The key tells them apart across plans, so that a resize does not pack or upload again.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Tensor and layout, such as `12 conv_blocks f16`.
    pub key: String,
    /// How they are stored.
    pub storage: Storage,
    /// Elements in the kernel's order; a multiple of four of them.
    pub data: Packing,
}

/// Makes the elements of packed constants from a constant of the region.
pub type Pack = Arc<dyn Fn(&Constant) -> Result<WeightData, Reason> + Send + Sync>;

/// Where the elements of packed constants come from.
#[derive(Clone)]
pub enum Packing {
    /// They are there: small ones, and those that follow from shapes.
    Made(WeightData),
    /// They are made from a constant where the device does not have them yet.
    Of(Constant, Pack),
}

impl Packing {
    /// The elements.
    ///
    /// # Errors
    /// When the constant is not of the kind that the kernel takes.
    pub fn elements(&self) -> Result<WeightData, Reason> {
        match self {
            Self::Made(data) => Ok(data.clone()),
            Self::Of(constant, pack) => pack(constant),
        }
    }
}

impl fmt::Debug for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(data) => data.fmt(f),
            Self::Of(constant, _) => write!(f, "of {constant:?}"),
        }
    }
}

/// Elements of packed constants.
#[derive(Clone, Debug, PartialEq)]
pub enum WeightData {
    /// Stored as f32 or f16.
    Float(Vec<f32>),
    /// Stored as 32-bit integers.
    Int(Vec<i32>),
}

/// What a binding is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operand {
    /// A tensor of the region (constants of the region included).
    Tensor(TensorId),
    /// Packed constants, bound read-only.
    Weights(WeightsId),
}

/// A value that shapes a kernel's text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VariantValue {
    /// A number: tile, stride, flag.
    Int(i64),
    /// A word or an expression from a closed set.
    Text(&'static str),
}

/// The kind of one fused step; its numbers are parameters, its operands bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EpilogueStep {
    /// `clamp(v, low, high)`; two parameters.
    Clamp,
    /// `select(alpha * v, v, v > 0)`; one parameter.
    LeakyRelu,
    /// A unary function.
    Unary(Unary),
    /// A binary function; one more binding, stored as given.
    Binary {
        /// The function.
        op: Binary,
        /// How the operand lies.
        spread: Spread,
        /// Whether the kernel's result is the right operand.
        swapped: bool,
        /// Storage of the operand.
        storage: Storage,
    },
    /// PRELU; one more binding.
    Prelu {
        /// How the slopes lie.
        spread: Spread,
        /// Storage of the slopes.
        storage: Storage,
    },
}

impl EpilogueStep {
    /// Whether it has a binding of its own.
    pub fn has_operand(&self) -> bool {
        matches!(self, Self::Binary { .. } | Self::Prelu { .. })
    }
}

/// Everything that selects a kernel's text, and with it a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// Storage of each binding, in the row's order.
    pub storage: Vec<Storage>,
    /// Template values, sorted by name.
    pub values: Vec<(&'static str, VariantValue)>,
    /// Fused steps.
    pub epilogue: Vec<EpilogueStep>,
}

/// One dispatch.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Name of the kernel's row.
    pub kernel: &'static str,
    /// Its text.
    pub variant: Variant,
    /// One operand per binding: the row's, then the epilogue's.
    pub bindings: Vec<Operand>,
    /// Words of the parameter block: the row's, then the epilogue's.
    pub params: Vec<u32>,
    /// Workgroups per dimension.
    pub dispatch: [u32; 3],
    /// The file's nodes that the step stands for.
    pub nodes: Vec<NodeId>,
    /// Multiply-adds, for reports.
    pub macs: u64,
}
