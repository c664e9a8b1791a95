//! The operator registry of the GPU: one row per builtin, its support check and its lowering.
//!
//! This list is the only one: the partitioner, `inspect`'s reasons and docs/operators.md are made from it.

pub mod arg;
pub mod binary;
pub mod broadcast;
pub mod cast;
pub mod compare;
pub mod concat;
pub mod conv;
pub mod cumsum;
pub mod custom;
pub mod dense;
pub mod depthwise;
pub mod gather;
mod halves;
mod lower;
pub mod matmul;
pub mod movement;
pub mod normalize;
pub mod pool;
pub mod prelu;
pub mod quantize;
pub mod reduce;
pub mod resize;
pub mod scatter;
pub mod select;
pub mod shape;
pub mod softmax;
pub mod squeeze;
mod support;
mod tile;
pub mod transfer;
pub mod transpose_conv;
pub mod unary;
mod weights;
mod window;

pub use lower::{LowerCtx, LowerError, Lowered, StepBuilder, linear_groups};
pub use support::{Facts, SupportCtx, TensorFacts};

use tflite_wgpu_model::{BuiltinOperator, Node};

use crate::{reason::Reason, region::RegionNode};

/// Says whether the lowering takes a node of the file.
pub type Support = fn(&SupportCtx<'_>) -> Result<(), Reason>;

/// Turns a node of a region into steps.
pub type Lower = fn(&mut LowerCtx<'_>, &RegionNode) -> Result<(), LowerError>;

/// One operator on the GPU.
#[derive(Clone, Copy)]
pub struct OpRow {
    /// The operator.
    pub op: BuiltinOperator,
    /// What the lowering takes.
    pub support: Support,
    /// The lowering; it never meets what `support` refused.
    pub lower: Lower,
    /// Whether the kernel that computes the first output applies `RegionNode::fused`.
    pub fuses: bool,
    /// Inputs whose values, not only their shapes, the lowering needs. A node that gets them from the caller or from
    /// the CPU is planned anew whenever they change.
    pub steers: &'static [usize],
    /// What docs/operators.md says of it.
    pub words: Words,
}

/// What an operator's support check says, in words: every row has them, and docs/operators.md is made from them.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Types of the data.
    pub types: &'static str,
    /// Numbers of dimensions.
    pub ranks: &'static str,
    /// What stays on the CPU, and why; empty when nothing of these types does.
    pub cpu: &'static str,
}

/// Types in words.
pub(crate) mod types {
    /// The types that are stored as floats.
    pub const FLOATS: &str = "FLOAT32, FLOAT16, BFLOAT16";
    /// Floats, and integers that are computed with.
    pub const NUMBERS: &str = "FLOAT32, FLOAT16, BFLOAT16, INT32, INT64";
    /// All types whose elements can be moved.
    pub const MOVABLE: &str = "FLOAT32, FLOAT16, BFLOAT16, INT32, INT64, INT16, INT8, UINT8, BOOL";
}

impl OpRow {
    /// A row that takes floats of any rank, needs no values and fuses nothing.
    pub const fn new(op: BuiltinOperator, support: Support, lower: Lower) -> Self {
        let words = Words { types: types::FLOATS, ranks: "0–8", cpu: "" };
        Self { op, support, lower, fuses: false, steers: &[], words }
    }

    /// Takes data of these types.
    pub const fn takes(self, types: &'static str) -> Self {
        Self { words: Words { types, ..self.words }, ..self }
    }

    /// Takes tensors of these ranks.
    pub const fn ranks(self, ranks: &'static str) -> Self {
        Self { words: Words { ranks, ..self.words }, ..self }
    }

    /// Leaves this to the CPU.
    pub const fn leaves(self, cpu: &'static str) -> Self {
        Self { words: Words { cpu, ..self.words }, ..self }
    }

    /// The kernel that computes the first output applies `RegionNode::fused`.
    pub const fn fuses(self) -> Self {
        Self { fuses: true, ..self }
    }

    /// The lowering needs the values of these inputs.
    pub const fn steers(self, steers: &'static [usize]) -> Self {
        Self { steers, ..self }
    }
}

/// All families' rows.
const FAMILIES: &[&[OpRow]] = &[
    unary::ROWS,
    binary::ROWS,
    compare::ROWS,
    prelu::ROWS,
    select::ROWS,
    cast::ROWS,
    reduce::ROWS,
    softmax::ROWS,
    normalize::ROWS,
    arg::ROWS,
    cumsum::ROWS,
    conv::ROWS,
    depthwise::ROWS,
    transpose_conv::ROWS,
    dense::ROWS,
    matmul::ROWS,
    pool::ROWS,
    movement::ROWS,
    concat::ROWS,
    gather::ROWS,
    resize::ROWS,
    scatter::ROWS,
    quantize::ROWS,
    shape::ROWS,
    custom::ROWS,
];

/// The row of a builtin.
pub fn row(op: BuiltinOperator) -> Option<&'static OpRow> {
    FAMILIES.iter().flat_map(|rows| rows.iter()).find(|row| row.op == op)
}

/// Whether a node's operator has a lowering, whatever its tensors are.
pub fn has_kernel(node: &Node, facts: &Facts) -> bool {
    match node.op.builtin() {
        BuiltinOperator::Custom => custom::kernel(&facts.customs, &node.op).is_some(),
        op => row(op).is_some(),
    }
}

/// All rows, in the families' order.
pub fn rows() -> impl Iterator<Item = &'static OpRow> {
    FAMILIES.iter().flat_map(|rows| rows.iter())
}
