//! Shape inference: the shapes of a node's outputs from its inputs' shapes and, where an operator needs them, values.
//!
//! One file per family of operators, each with rows of its own; [`infer`] looks the operator up. Control flow
//! (IF, WHILE, CALL …) and custom operators are the interpreter's: their outputs are `None` here. The helpers that
//! resolve axes, windows, broadcasts and slices are public, so that kernels resolve them in the same way.

mod args;
mod conv;
mod create;
mod dense;
mod dims;
mod elementwise;
mod gather;
mod recurrent;
mod reduce;
mod reshape;
mod slicing;
mod space;
mod stablehlo;
mod stablehlo_windows;
mod window;

use std::fmt;

use crate::{BuiltinOperator, DType, Node};

pub use dims::{broadcast, normalize_axis, reduced_axes, sizes, unique_axes};
pub use reshape::resolve_reshape;
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
    fn output_shape(&self, i: usize) -> Option<Vec<usize>> {
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
const FAMILIES: &[&[Row]] = &[
    conv::ROWS,
    create::ROWS,
    dense::ROWS,
    elementwise::ROWS,
    gather::ROWS,
    recurrent::ROWS,
    reduce::ROWS,
    reshape::ROWS,
    space::ROWS,
    stablehlo::ROWS,
    stablehlo_windows::ROWS,
];

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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{Op, TensorId};

    /// Control flow, side effects, results whose size the kernel finds, and what no runtime runs.
    const WITHOUT_ROW: &[&str] = &[
        "CONCAT_EMBEDDINGS",
        "SKIP_GRAM",
        "CALL",
        "CUSTOM",
        "DELEGATE",
        "WHERE",
        "IF",
        "WHILE",
        "PLACEHOLDER_FOR_GREATER_OP_CODES",
        "CALL_ONCE",
        "HASHTABLE_IMPORT",
        "READ_VARIABLE",
        "ASSIGN_VARIABLE",
        "STABLEHLO_CUSTOM_CALL",
        "STABLEHLO_WHILE",
        "STABLEHLO_COMPOSITE",
        "STABLEHLO_CASE",
    ];

    /// Inputs of given shapes, FLOAT32, and the values of input 1.
    struct Known<'a> {
        shapes: &'a [Option<&'a [usize]>],
        values: Option<Vec<i64>>,
    }

    impl Inputs for Known<'_> {
        fn shape(&self, i: usize) -> Option<(DType, &[usize])> {
            Some((DType::Float32, (*self.shapes.get(i)?)?))
        }

        fn ints(&self, i: usize) -> Option<Vec<i64>> {
            self.values.clone().filter(|_| i == 1)
        }

        fn floats(&self, _: usize) -> Option<Vec<f64>> {
            None
        }
    }

    fn node(op: Op, inputs: usize, outputs: usize) -> Node {
        let ids = |count: usize| (0..count).map(|i| Some(TensorId::from_index(i))).collect();
        Node { op, version: 1, inputs: ids(inputs), outputs: ids(outputs), intermediates: vec![] }
    }

    #[test]
    fn what_is_not_known_stays_open() {
        let topk = node(Op::TopkV2, 2, 2);
        let open = Known { shapes: &[Some(&[2, 5]), Some(&[])], values: None };
        assert_eq!(infer(&topk, &open), Ok(vec![None, None]));
        let unshaped = Known { shapes: &[None, Some(&[])], values: Some(vec![3]) };
        assert_eq!(infer(&topk, &unshaped), Ok(vec![None, None]));
        let known = Known { shapes: &[Some(&[2, 5]), Some(&[])], values: Some(vec![3]) };
        assert_eq!(infer(&topk, &known), Ok(vec![Some(vec![2, 3]); 2]));
    }

    #[test]
    fn contradictions_are_errors() {
        let known = Known { shapes: &[Some(&[2, 5]), Some(&[])], values: Some(vec![6]) };
        let error = InferError { input: Some(1), found: "k 6".into(), expected: "at most the last of [2, 5]".into() };
        assert_eq!(infer(&node(Op::TopkV2, 2, 2), &known), Err(error));
        let outputs = infer(&node(Op::Abs, 1, 2), &known);
        assert_eq!(outputs.map_err(|error| error.to_string()), Err("2 outputs, expected 1".into()));
        let mut omitted = node(Op::Mul(Default::default()), 2, 1);
        omitted.inputs[1] = None;
        let found = infer(&omitted, &known).map_err(|error| error.to_string());
        assert_eq!(found, Err("input 1: nothing, expected a tensor".into()));
    }

    #[test]
    fn every_operator_has_one_row_or_a_reason() {
        let mut seen = HashSet::new();
        for (op, _) in FAMILIES.iter().copied().flatten() {
            assert!(seen.insert(*op as i32), "two rows of {}", op.name());
        }
        let without: Vec<_> = BuiltinOperator::ALL.iter().filter(|&&op| !seen.contains(&(op as i32))).collect();
        let names: Vec<_> = without.iter().map(|op| op.name()).collect();
        assert_eq!(names, WITHOUT_ROW);
    }
}
