//! Shape inference: the shapes of a node's outputs from its inputs' shapes and, where an operator needs them, values.
//!
//! One file per family of operators, each with rows of its own; [`infer`] looks the operator up. Control flow
//! (IF, WHILE, CALL …) and custom operators are the interpreter's: their outputs are `None` here. The helpers that
//! resolve axes, windows, broadcasts and slices are public, so that kernels resolve them in the same way.

mod args;
mod dims;
mod elementwise;
mod slicing;
mod window;

use std::fmt;

use crate::{BuiltinOperator, DType, Node};

pub use dims::{broadcast, normalize_axis, reduced_axes, sizes, unique_axes};
pub use slicing::{SliceDim, SlicePlan, StridedSliceArgs, strided_slice_plan};
pub use window::{Window, same_padding, valid_padding, window};

use args::{Args, Stop};

/// What is known of a node's inputs when shapes are inferred.
pub trait Inputs {
    /// Type and shape of input `i`; `None` when it is omitted (index −1) or its shape is not known yet.
    fn shape(&self, i: usize) -> Option<(DType, &[usize])>;

    /// Elements of input `i`, an integer or bool tensor, when its value is known now.
    fn ints(&self, i: usize) -> Option<Vec<i64>>;

    /// Elements of input `i`, a float tensor, when its value is known now (RANGE needs them).
    fn floats(&self, i: usize) -> Option<Vec<f64>>;

    /// Type that the file states for output `i` (BITCAST's shape depends on it).
    fn output_dtype(&self, i: usize) -> Option<DType> {
        let _ = i;
        None
    }

    /// Shape that the file states for output `i`, when all its dimensions are fixed there. Some operators have
    /// their result's shape nowhere else (STABLEHLO_RESHAPE, STABLEHLO_IOTA …).
    fn output_shape(&self, i: usize) -> Option<&[usize]> {
        let _ = i;
        None
    }
}

/// Why shapes do not fit an operator. The caller knows the node and adds its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferError {
    /// The input at fault, where there is one.
    pub input: Option<usize>,
    /// What was found.
    pub found: String,
    /// What the operator needs.
    pub expected: String,
}

impl InferError {
    /// An error without an input.
    pub(crate) fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { input: None, found: found.into(), expected: expected.into() }
    }

    /// The same error, at input `i` unless it names one already.
    pub(crate) fn at(mut self, i: usize) -> Self {
        self.input.get_or_insert(i);
        self
    }
}

impl fmt::Display for InferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(input) = self.input {
            write!(f, "input {input}: ")?;
        }
        write!(f, "{}, expected {}", self.found, self.expected)
    }
}

impl std::error::Error for InferError {}

/// Shapes of a node's outputs, one entry per output: `None` where it depends on values that are not known (now, or
/// before the kernel has run, as with WHERE).
pub type OutputShapes = Vec<Option<Vec<usize>>>;

/// One operator's rule; [`Stop::Unknown`] leaves every output unknown.
type Rule = fn(&Args<'_>) -> Result<OutputShapes, Stop>;

/// One operator's inference.
type Row = (BuiltinOperator, Rule);

/// All families' rows.
const FAMILIES: &[&[Row]] = &[elementwise::ROWS];

/// Shapes of the outputs of `node`, one entry per output.
///
/// # Errors
/// When shapes, attributes or the number of outputs contradict each other.
pub fn infer(node: &Node, inputs: &dyn Inputs) -> Result<OutputShapes, InferError> {
    let builtin = node.op.builtin();
    let count = node.outputs.len();
    let Some((_, rule)) = FAMILIES.iter().flat_map(|rows| rows.iter()).find(|(op, _)| *op == builtin) else {
        return Ok(vec![None; count]);
    };
    match rule(&Args::new(node, inputs)) {
        Ok(shapes) if shapes.len() == count => Ok(shapes),
        Ok(shapes) => Err(InferError::new(format!("{count} outputs"), format!("{}", shapes.len()))),
        Err(Stop::Unknown) => Ok(vec![None; count]),
        Err(Stop::Invalid(error)) => Err(error),
    }
}
