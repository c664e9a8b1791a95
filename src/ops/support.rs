//! What a support check may ask about a node of the file.

use crate::constant::Constant;

use tflite_wgpu_fallback::{CustomOperators, Value};
use tflite_wgpu_model::{DType, Node, Quant, TensorId};

use crate::reason::Reason;

/// What annotation knows of a tensor before the model runs.
#[derive(Clone, Debug)]
pub struct TensorFacts {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, when they do not depend on values computed while the model runs.
    pub dims: Option<Vec<usize>>,
    /// Value, when it is a constant of the file or computed from constants (and shapes) alone.
    pub constant: Option<Constant>,
    /// Quantisation as the file has it.
    pub quant: Option<Quant>,
}

/// Facts about all tensors of a subgraph, by tensor id.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// One entry per tensor.
    pub tensors: Vec<TensorFacts>,
    /// Custom operators of the user's own.
    pub customs: CustomOperators,
}

impl Facts {
    /// Facts about a tensor.
    pub fn tensor(&self, id: TensorId) -> Option<&TensorFacts> {
        self.tensors.get(id.index())
    }
}

/// A node of the file and the facts about its tensors.
pub struct SupportCtx<'a> {
    /// The node.
    pub node: &'a Node,
    /// Facts about the subgraph's tensors.
    pub facts: &'a Facts,
}

impl<'a> SupportCtx<'a> {
    /// Facts about input `i`, if it is there.
    pub fn input(&self, i: usize) -> Option<&'a TensorFacts> {
        self.facts.tensor(self.node.input(i)?)
    }

    /// Facts about output `i`, if it is there.
    pub fn output(&self, i: usize) -> Option<&'a TensorFacts> {
        self.facts.tensor(self.node.output(i)?)
    }

    /// Type of input `i`.
    ///
    /// # Errors
    /// A reason when the input is omitted.
    pub fn input_type(&self, i: usize) -> Result<DType, Reason> {
        self.input(i).map(|t| t.dtype).ok_or(Reason::Shape("an input is omitted"))
    }

    /// Type of output `i`.
    ///
    /// # Errors
    /// A reason when the output is omitted.
    pub fn output_type(&self, i: usize) -> Result<DType, Reason> {
        self.output(i).map(|t| t.dtype).ok_or(Reason::Shape("an output is omitted"))
    }

    /// Dimensions of input `i`.
    ///
    /// # Errors
    /// [`Reason::DynamicShape`] when they are not known before the model runs.
    pub fn input_dims(&self, i: usize) -> Result<&'a [usize], Reason> {
        self.input(i).and_then(|t| t.dims.as_deref()).ok_or(Reason::DynamicShape)
    }

    /// Dimensions of output `i`.
    ///
    /// # Errors
    /// [`Reason::DynamicShape`] when they are not known before the model runs.
    pub fn output_dims(&self, i: usize) -> Result<&'a [usize], Reason> {
        self.output(i).and_then(|t| t.dims.as_deref()).ok_or(Reason::DynamicShape)
    }

    /// Value of input `i`, which the lowering needs to know.
    ///
    /// # Errors
    /// [`Reason::NotConstant`].
    pub fn constant(&self, i: usize) -> Result<&'a Value, Reason> {
        self.input(i).and_then(|t| t.constant.as_deref()).ok_or(Reason::NotConstant { input: i })
    }

    /// Integers of input `i`, which the lowering needs to know.
    ///
    /// # Errors
    /// [`Reason::NotConstant`].
    pub fn constant_ints(&self, i: usize) -> Result<Vec<i64>, Reason> {
        self.constant(i)?.to_ints().ok_or(Reason::NotConstant { input: i })
    }

    /// Checks that input `i` is there and has one of `types`.
    ///
    /// # Errors
    /// [`Reason::UnsupportedType`].
    pub fn input_is(&self, i: usize, types: &[DType]) -> Result<(), Reason> {
        let found = self.input_type(i)?;
        if types.contains(&found) {
            Ok(())
        } else {
            Err(Reason::UnsupportedType { tensor: format!("input {i}"), found })
        }
    }

    /// Checks that output `i` is there and has one of `types`.
    ///
    /// # Errors
    /// [`Reason::UnsupportedType`].
    pub fn output_is(&self, i: usize, types: &[DType]) -> Result<(), Reason> {
        let found = self.output_type(i)?;
        if types.contains(&found) {
            Ok(())
        } else {
            Err(Reason::UnsupportedType { tensor: format!("output {i}"), found })
        }
    }
}
