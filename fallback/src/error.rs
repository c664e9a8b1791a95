//! What can go wrong, with the node, the tensor, what was found and what was expected.

use std::{fmt, sync::Arc};

use tflite_wgpu_model::{NodeId, SubgraphId, Tensor, TensorId};

use crate::value::ValueError;

/// An error of another crate, shared.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// A node of the file. Displayed as `node 12 CONV_2D`, with the subgraph in front unless it is the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Its subgraph.
    pub subgraph: SubgraphId,
    /// Its position; `None` for a node that is run alone.
    pub node: Option<NodeId>,
    /// Name of its operator.
    pub op: Box<str>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subgraph.0 != 0 {
            write!(f, "subgraph {} ", self.subgraph)?;
        }
        if let Some(node) = self.node {
            write!(f, "node {node} ")?;
        }
        f.write_str(&self.op)
    }
}

/// A tensor of the file. Displayed as `tensor 7 "conv/kernel"`, with the subgraph in front unless it is the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorAt {
    /// Its subgraph.
    pub subgraph: SubgraphId,
    /// Its position.
    pub tensor: TensorId,
    /// Its name in the file.
    pub name: Box<str>,
}

impl TensorAt {
    pub(crate) fn new(subgraph: SubgraphId, tensor: TensorId, data: Option<&Tensor>) -> Self {
        Self { subgraph, tensor, name: data.map_or("", |tensor| &tensor.name).into() }
    }
}

impl fmt::Display for TensorAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subgraph.0 != 0 {
            write!(f, "subgraph {} ", self.subgraph)?;
        }
        write!(f, "tensor {} {:?}", self.tensor, self.name)
    }
}

/// A tensor by its place at a node. Displayed as `input 1 "conv/kernel"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Whether it is an output.
    pub output: bool,
    /// Position among the node's inputs or outputs.
    pub index: usize,
    /// The tensor's name in the file.
    pub name: Box<str>,
}

impl Operand {
    pub(crate) fn input(index: usize, tensor: Option<&Tensor>) -> Self {
        Self { output: false, index, name: tensor.map_or("", |tensor| &tensor.name).into() }
    }

    pub(crate) fn output(index: usize, tensor: Option<&Tensor>) -> Self {
        Self { output: true, ..Self::input(index, tensor) }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.output { "output" } else { "input" };
        write!(f, "{side} {}", self.index)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " {:?}", self.name) }
    }
}

/// Why a model cannot be loaded, prepared or run.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be read, or is not sound.
    #[error(transparent)]
    Read(Arc<tflite_wgpu_model::Error>),
    /// A program whose parts contradict each other: an index beyond its list, a subgraph that calls itself.
    #[error("{place} has {found}, expected {expected}")]
    Program {
        /// The part.
        place: String,
        /// What it says.
        found: String,
        /// What it may say.
        expected: String,
    },
    /// A constant whose bytes do not fit its type and shape.
    #[error("{at} {error}")]
    Constant {
        /// The constant.
        at: TensorAt,
        /// What is wrong.
        error: ValueError,
    },
    /// A node whose operator has no kernel here.
    #[error("{at}: the CPU has no kernel for this operator")]
    NoKernel {
        /// The node.
        at: At,
    },
    /// An input or output of a node has a type, shape or value that its kernel does not take.
    #[error("{at}: {operand} {error}")]
    Operand {
        /// The node.
        at: At,
        /// The input or output.
        operand: Operand,
        /// What is wrong with it.
        error: ValueError,
    },
    /// A node lacks an input that its operator needs.
    #[error("{at}: input {input} is missing")]
    MissingInput {
        /// The node.
        at: At,
        /// Position of the input.
        input: usize,
    },
    /// An attribute, or a combination of types, that the kernel does not have.
    #[error("{at}: {what} is {found}, expected {expected}")]
    Attribute {
        /// The node.
        at: At,
        /// The attribute.
        what: String,
        /// What the node says.
        found: String,
        /// What the kernel takes.
        expected: String,
    },
    /// Shapes at a node contradict each other.
    #[error("{at}:{} {found}, expected {expected}", operand.as_ref().map(|o| format!(" {o}:")).unwrap_or_default())]
    Shape {
        /// The node.
        at: At,
        /// The input at fault, where there is one.
        operand: Option<Operand>,
        /// What was found.
        found: String,
        /// What the operator needs.
        expected: String,
    },
    /// A tensor is read that nothing has computed.
    #[error("{at} has no value when it is read")]
    NoValue {
        /// The tensor.
        at: TensorAt,
    },
    /// A resource is used that does not exist, or otherwise than it was made.
    #[error("{at}: {what} {found}, expected {expected}")]
    Resource {
        /// The node.
        at: At,
        /// The variable or table.
        what: String,
        /// Its state.
        found: String,
        /// The state that the node needs.
        expected: String,
    },
    /// A tensor would exceed the memory that the interpreter may take (`memory_limit_bytes`).
    #[error("{at} of {needed} bytes exceeds the memory limit: {used} of {limit} bytes are in use")]
    MemoryLimit {
        /// The tensor, in words.
        at: String,
        /// Bytes that it needs.
        needed: usize,
        /// Bytes in use.
        used: usize,
        /// The limit.
        limit: usize,
    },
    /// A loop runs longer than it may (`max_loop_iterations`).
    #[error("{at}: the loop does not end within {limit} iterations")]
    Loop {
        /// The WHILE node.
        at: At,
        /// The limit.
        limit: u64,
    },
    /// An index or a name that the model does not have.
    #[error("{what} {found} does not exist, expected {expected}")]
    NotFound {
        /// Input, output or signature.
        what: &'static str,
        /// The index or name.
        found: String,
        /// Those that exist.
        expected: String,
    },
    /// A value given for an input does not fit it.
    #[error("model input {index} {name:?} {error}")]
    Input {
        /// Position among the inputs.
        index: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        error: ValueError,
    },
    /// An output is read before an invoke has computed it.
    #[error("model output {index} {name:?} has no value: invoke the interpreter first")]
    NotInvoked {
        /// Position among the outputs.
        index: usize,
        /// Its name.
        name: String,
    },
    /// Partitions of a delegate that the schedule cannot hold.
    #[error("delegate {delegate}: partition {partition} has {found}, expected {expected}")]
    Partition {
        /// Name of the delegate.
        delegate: String,
        /// Position among its partitions.
        partition: usize,
        /// What it says.
        found: String,
        /// What it may say.
        expected: String,
    },
    /// A delegate failed and the CPU may not take over.
    #[error("delegate {delegate}: {cause}")]
    Delegate {
        /// Name of the delegate.
        delegate: String,
        /// Its own error.
        cause: Cause,
    },
    /// A delegate lost values that only it had.
    #[error("delegate {delegate} lost values that only it held: {reason}")]
    DelegateLost {
        /// Name of the delegate.
        delegate: String,
        /// Its words.
        reason: String,
    },
    /// A blocking call would have to wait where threads cannot (a browser).
    #[error("this call would block the thread: use the asynchronous one")]
    WouldBlock,
}

/// Longest part of a message: a file can make a list of numbers as long as itself.
const LONGEST_PART: usize = 400;

/// A part of a message that may be long, cut to a length that can be read.
pub(crate) fn clipped(mut text: String) -> String {
    if text.len() > LONGEST_PART {
        text.truncate(text.floor_char_boundary(LONGEST_PART));
        text.push('…');
    }
    text
}

impl From<tflite_wgpu_model::Error> for Error {
    fn from(error: tflite_wgpu_model::Error) -> Self {
        Self::Read(Arc::new(error))
    }
}

impl Error {
    pub(crate) fn program(place: impl fmt::Display, found: impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self::Program { place: place.to_string(), found: found.to_string(), expected: expected.to_string() }
    }
}
