//! What a kernel sees and writes while it runs one node, and how it refuses.

use tflite_wgpu_model::{DType, Node, Program, Quant, Tensor};

use crate::{
    threads::Threads,
    value::{Element, Value, ValueError},
};

/// Why a kernel cannot run a node. The interpreter knows the node and adds its index, operator and tensor names.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// An input has a type, shape or value that the kernel cannot take.
    #[error("input {input} {error}")]
    Input {
        /// Position among the node's inputs.
        input: usize,
        /// What is wrong with it.
        error: ValueError,
    },
    /// An input that the operator needs is omitted.
    #[error("input {0} is missing")]
    MissingInput(usize),
    /// An output has a type or shape that the kernel cannot give.
    #[error("output {output} {error}")]
    Output {
        /// Position among the node's outputs.
        output: usize,
        /// What is wrong with it.
        error: ValueError,
    },
    /// A combination of types, an attribute or a version that the kernel does not have.
    #[error("{what} is {found}, expected {expected}")]
    Unsupported {
        /// The attribute, input or output in question.
        what: String,
        /// What the node says.
        found: String,
        /// What the kernel takes.
        expected: String,
    },
}

/// What a kernel may see and write while it runs one node.
pub struct EvalCtx<'a> {
    /// The node.
    pub node: &'a Node,
    /// Values of the inputs; `None` where omitted.
    pub inputs: &'a [Option<&'a Value>],
    /// The file's tensors behind the inputs (name, quantisation).
    pub input_tensors: &'a [Option<&'a Tensor>],
    /// Outputs, of the types the file states; shaped already where inference knows the shape.
    pub outputs: &'a mut [Value],
    /// The file's tensors behind the outputs.
    pub output_tensors: &'a [Option<&'a Tensor>],
    /// New values of variable inputs (LSTM, RNN and SVDF states), by input; the interpreter stores them after `eval`.
    pub states: &'a mut Vec<(usize, Value)>,
    /// What this node keeps from one invoke to the next (delay lines, random generators); empty before its first.
    pub memory: &'a mut Vec<Value>,
    /// What lies around the node.
    pub env: EvalEnv<'a>,
}

/// What dynamic-range models mean, whose activations are floats and whose weights are integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hybrid {
    /// The weights' real values: the more accurate meaning, and that of a GPU.
    #[default]
    Float,
    /// As TFLite's hybrid kernels of FULLY_CONNECTED, CONV_2D, DEPTHWISE_CONV_2D, BATCH_MATMUL, SVDF, and the LSTM and
    /// RNN operators, which round the activations to INT8 first. Other operators compute with the weights' real values.
    Tflite,
}

/// What lies around a node; a node that is run alone has the default.
#[derive(Clone, Copy, Default)]
pub struct EvalEnv<'a> {
    /// All tensors of the subgraph: scales of blockwise quantisation, gates of a quantised LSTM.
    pub tensors: &'a [Tensor],
    /// The program, for operators that apply a subgraph (STABLEHLO_REDUCE, STABLEHLO_SORT).
    pub program: Option<&'a Program>,
    /// Threads that a kernel may use.
    pub threads: Threads<'a>,
    /// What integer weights beside float activations mean.
    pub hybrid: Hybrid,
    /// Bytes that one output may take; `None` is no limit.
    pub max_output_bytes: Option<usize>,
}

impl<'a> EvalCtx<'a> {
    /// Input `i`, which the operator needs.
    ///
    /// # Errors
    /// [`KernelError::MissingInput`] when it is omitted.
    pub fn input(&self, i: usize) -> Result<&'a Value, KernelError> {
        self.optional(i).ok_or(KernelError::MissingInput(i))
    }

    /// Input `i`, if it is there.
    pub fn optional(&self, i: usize) -> Option<&'a Value> {
        self.inputs.get(i).copied().flatten()
    }

    /// Elements of input `i`.
    ///
    /// # Errors
    /// When it is omitted or of another type.
    pub fn slice<T: Element>(&self, i: usize) -> Result<&'a [T], KernelError> {
        self.input(i)?.as_slice().map_err(|error| KernelError::Input { input: i, error })
    }

    /// Elements of input `i` if it is there.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn optional_slice<T: Element>(&self, i: usize) -> Result<Option<&'a [T]>, KernelError> {
        match self.optional(i) {
            Some(_) => self.slice(i).map(Some),
            None => Ok(None),
        }
    }

    /// Elements of input `i`, an integer tensor of any width.
    ///
    /// # Errors
    /// When it is omitted or not an integer tensor.
    pub fn ints(&self, i: usize) -> Result<Vec<i64>, KernelError> {
        let value = self.input(i)?;
        let error = || ValueError::Type { found: value.dtype(), expected: DType::Int32 };
        value.to_ints().ok_or_else(|| KernelError::Input { input: i, error: error() })
    }

    /// Shape of input `i`.
    ///
    /// # Errors
    /// When it is omitted.
    pub fn shape(&self, i: usize) -> Result<&'a [usize], KernelError> {
        self.input(i).map(Value::shape)
    }

    /// Elements of output `i`.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn output<T: Element>(&mut self, i: usize) -> Result<&mut [T], KernelError> {
        let value = self.output_value(i)?;
        value.as_mut_slice().map_err(|error| KernelError::Output { output: i, error })
    }

    /// Output `i`.
    ///
    /// # Errors
    /// When the node has no such output.
    pub fn output_value(&mut self, i: usize) -> Result<&mut Value, KernelError> {
        let missing = || ValueError::Size { found: 0, expected: i + 1 };
        self.outputs.get_mut(i).ok_or_else(|| KernelError::Output { output: i, error: missing() })
    }

    /// Shapes output `i`, whose size only the kernel knows; its elements become zero.
    ///
    /// # Errors
    /// When it cannot be allocated.
    pub fn set_output(&mut self, i: usize, shape: &[usize]) -> Result<(), KernelError> {
        let limit = self.env.max_output_bytes;
        let value = self.output_value(i)?;
        let dtype = value.dtype();
        let error = |error| KernelError::Output { output: i, error };
        let bytes = Value::extent_bytes(dtype, shape).map_err(error)?;
        if limit.is_some_and(|limit| bytes > limit) {
            return Err(error(ValueError::TooLarge(shape.to_vec())));
        }
        value.reset(dtype, shape).map_err(error)
    }

    /// The tensor of intermediate `i`, if the node has it; only its type and quantisation mean something.
    pub fn intermediate(&self, i: usize) -> Option<&'a Tensor> {
        let id = self.node.intermediates.get(i).copied().flatten()?;
        self.env.tensors.get(id.index())
    }

    /// Quantisation of input `i`.
    pub fn input_quant(&self, i: usize) -> Option<&'a Quant> {
        self.input_tensors.get(i).copied().flatten()?.quant.as_ref()
    }

    /// Quantisation of output `i`.
    pub fn output_quant(&self, i: usize) -> Option<&'a Quant> {
        self.output_tensors.get(i).copied().flatten()?.quant.as_ref()
    }
}

/// Runs one node.
pub type Eval = fn(&mut EvalCtx<'_>) -> Result<(), KernelError>;
