//! What a rule sees of a node: inputs that must be there and known, or else the rule stops.

use crate::{DType, Node, Op};

use super::{InferError, Inputs, OutputShapes, sizes};

/// Why a rule ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Something that decides the outputs' shapes is not known (yet).
    Unknown,
    /// The node contradicts itself.
    Invalid(InferError),
}

impl From<InferError> for Stop {
    fn from(error: InferError) -> Self {
        Self::Invalid(error)
    }
}

/// A rule that needs only the shapes: [`Stop::Invalid`] with what was found and expected.
pub(super) fn invalid<T>(found: impl Into<String>, expected: impl Into<String>) -> Result<T, Stop> {
    Err(InferError::new(found, expected).into())
}

/// The common result: one output.
pub(super) fn one(shape: Vec<usize>) -> Result<OutputShapes, Stop> {
    Ok(vec![Some(shape)])
}

/// A node and what is known of its inputs.
pub(super) struct Args<'a> {
    node: &'a Node,
    inputs: &'a dyn Inputs,
}

impl<'a> Args<'a> {
    pub(super) fn new(node: &'a Node, inputs: &'a dyn Inputs) -> Self {
        Self { node, inputs }
    }

    /// The operator with its attributes.
    pub(super) fn op(&self) -> &'a Op {
        &self.node.op
    }

    /// Number of inputs, omitted ones included.
    pub(super) fn input_count(&self) -> usize {
        self.node.inputs.len()
    }

    /// Number of outputs.
    pub(super) fn output_count(&self) -> usize {
        self.node.outputs.len()
    }

    /// Whether input `i` is there.
    pub(super) fn has(&self, i: usize) -> bool {
        self.node.input(i).is_some()
    }

    fn known(&self, i: usize) -> Result<(DType, &'a [usize]), Stop> {
        if !self.has(i) {
            return Err(InferError::new("nothing", "a tensor").at(i).into());
        }
        self.inputs.shape(i).ok_or(Stop::Unknown)
    }

    /// Shape of input `i`, which the operator needs.
    pub(super) fn shape(&self, i: usize) -> Result<&'a [usize], Stop> {
        Ok(self.known(i)?.1)
    }

    /// Shape of input `i` as an array of its `N` dimensions.
    pub(super) fn dims<const N: usize>(&self, i: usize) -> Result<[usize; N], Stop> {
        let shape = self.shape(i)?;
        shape.try_into().map_err(|_| InferError::new(format!("shape {shape:?}"), format!("rank {N}")).at(i).into())
    }

    /// Element type of input `i`.
    pub(super) fn dtype(&self, i: usize) -> Result<DType, Stop> {
        Ok(self.known(i)?.0)
    }

    /// Elements of the integer or bool tensor `i`.
    pub(super) fn ints(&self, i: usize) -> Result<Vec<i64>, Stop> {
        if !self.has(i) {
            return Err(InferError::new("nothing", "a tensor").at(i).into());
        }
        self.inputs.ints(i).ok_or(Stop::Unknown)
    }

    /// The only element of the integer tensor `i`, whatever its rank.
    pub(super) fn int(&self, i: usize) -> Result<i64, Stop> {
        match self.ints(i)?.as_slice() {
            [value] => Ok(*value),
            values => Err(InferError::new(format!("{} elements", values.len()), "one element").at(i).into()),
        }
    }

    /// The only element of the float tensor `i`.
    pub(super) fn float(&self, i: usize) -> Result<f64, Stop> {
        match self.inputs.floats(i).ok_or(Stop::Unknown)?.as_slice() {
            [value] => Ok(*value),
            values => Err(InferError::new(format!("{} elements", values.len()), "one element").at(i).into()),
        }
    }

    /// Elements of the integer tensor `i` as sizes.
    pub(super) fn sizes(&self, i: usize) -> Result<Vec<usize>, Stop> {
        sizes(&self.ints(i)?).map_err(|error| error.at(i).into())
    }

    /// The only element of the integer tensor `i` as a size.
    pub(super) fn size(&self, i: usize) -> Result<usize, Stop> {
        sizes(&[self.int(i)?]).map_err(|error| error.at(i).into()).map(|sizes| sizes[0])
    }

    /// Type that the file states for output `i`.
    pub(super) fn output_dtype(&self, i: usize) -> Option<DType> {
        self.inputs.output_dtype(i)
    }

    /// Shape that the file states for output `i`, if it is fixed there.
    pub(super) fn output_shape(&self, i: usize) -> Option<Vec<usize>> {
        self.inputs.output_shape(i)
    }
}
