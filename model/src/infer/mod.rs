//! Shape inference: the shapes of a node's outputs from its inputs' shapes and, where an operator needs them, values.
//!
//! One file per family of operators, each with rows of its own; [`infer`] looks the operator up. Control flow
//! (IF, WHILE, CALL …) and custom operators are the interpreter's: their outputs are `None` here.

use crate::{BuiltinOperator, DType, Node};

/// What is known of a node's inputs when shapes are inferred.
pub trait Inputs {
    /// Type and shape of input `i`; `None` when it is omitted (index −1) or its shape is not known yet.
    fn shape(&self, i: usize) -> Option<(DType, &[usize])>;

    /// Elements of input `i`, an integer or bool tensor, when its value is known now.
    fn ints(&self, i: usize) -> Option<Vec<i64>>;

    /// Elements of input `i`, a float tensor, when its value is known now (RANGE needs them).
    fn floats(&self, i: usize) -> Option<Vec<f64>>;
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

/// Shapes of a node's outputs, one entry per output: `None` where it depends on values that are not known (now, or
/// before the kernel has run, as with WHERE).
pub type OutputShapes = Vec<Option<Vec<usize>>>;

/// Infers the output shapes of one kind of operator.
pub type InferFn = fn(&Node, &dyn Inputs) -> Result<OutputShapes, InferError>;

/// One operator's inference.
pub type Row = (BuiltinOperator, InferFn);

/// All families' rows.
const FAMILIES: &[&[Row]] = &[];

/// Shapes of the outputs of `node`.
///
/// # Errors
/// When shapes or attributes contradict each other.
pub fn infer(node: &Node, inputs: &dyn Inputs) -> Result<OutputShapes, InferError> {
    let builtin = node.op.builtin();
    match FAMILIES.iter().flat_map(|rows| rows.iter()).find(|(op, _)| *op == builtin) {
        Some((_, infer)) => infer(node, inputs),
        None => Ok(vec![None; node.outputs.len()]),
    }
}
