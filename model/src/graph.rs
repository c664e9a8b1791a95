//! The typed program: subgraphs, tensors, nodes, signatures.

use std::{collections::BTreeMap, fmt};

use crate::{Bytes, DType, Op, Quant, Sparsity};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// Position in its list.
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of position `index`; positions beyond `u32` do not occur in a file.
            pub fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

ids! {
    /// A tensor of a subgraph.
    TensorId;
    /// A node of a subgraph, by its position in the file.
    NodeId;
    /// A subgraph of a program.
    SubgraphId;
}

/// A dimension that the file fixes or leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A fixed size.
    Known(usize),
    /// Known once inputs are resized (−1 in the file's `shape_signature`).
    Unknown,
}

/// Dimensions of a tensor, some of which may be open; activations are NHWC as everywhere in TFLite.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Shape(pub Vec<Dim>);

impl Shape {
    /// A shape without open dimensions.
    pub fn known(dims: &[usize]) -> Self {
        Self(dims.iter().map(|&d| Dim::Known(d)).collect())
    }

    /// The sizes, if all are known.
    pub fn dims(&self) -> Option<Vec<usize>> {
        self.0.iter().map(|d| if let Dim::Known(n) = d { Some(*n) } else { None }).collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "," };
            match dim {
                Dim::Known(n) => write!(f, "{separator}{n}")?,
                Dim::Unknown => write!(f, "{separator}?")?,
            }
        }
        f.write_str("]")
    }
}

/// Number of elements of a shape; `None` when it overflows.
pub fn element_count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// Where a tensor's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Stored in the file (packed, little endian, of any alignment).
    Constant(Bytes),
    /// A state that survives an invoke (`is_variable`).
    Variable,
    /// An input of the subgraph or a node's output.
    Computed,
}

/// A tensor of a subgraph.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name as the file has it; may be empty or repeated.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// The file's `shape`: what `allocate_tensors` starts from (open dimensions are 1 there).
    pub dims: Vec<usize>,
    /// The file's `shape_signature` where it has one, else `dims`.
    pub shape: Shape,
    /// Quantisation, if the file states any.
    pub quant: Option<Quant>,
    /// Sparse storage of a constant.
    pub sparsity: Option<Sparsity>,
    /// Where the value comes from.
    pub data: Data,
}

impl Tensor {
    /// The stored bytes of a constant.
    pub fn constant(&self) -> Option<&Bytes> {
        if let Data::Constant(bytes) = &self.data { Some(bytes) } else { None }
    }
}

/// One operator of a subgraph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Operator with its attributes.
    pub op: Op,
    /// Version of the operator as the file states it.
    pub version: i32,
    /// Inputs; `None` where the file has −1 (omitted).
    pub inputs: Vec<Option<TensorId>>,
    /// Outputs; `None` where the file has −1.
    pub outputs: Vec<Option<TensorId>>,
    /// Intermediate tensors (quantised LSTM gates).
    pub intermediates: Vec<Option<TensorId>>,
}

impl Node {
    /// The `i`-th input, if present.
    pub fn input(&self, i: usize) -> Option<TensorId> {
        self.inputs.get(i).copied().flatten()
    }

    /// The `i`-th output, if present.
    pub fn output(&self, i: usize) -> Option<TensorId> {
        self.outputs.get(i).copied().flatten()
    }
}

/// A subgraph.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    /// Name as the file has it.
    pub name: String,
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// Nodes in the file's order, which is an order of execution.
    pub nodes: Vec<Node>,
    /// Inputs of the subgraph.
    pub inputs: Vec<TensorId>,
    /// Outputs of the subgraph.
    pub outputs: Vec<TensorId>,
}

impl Graph {
    /// The position of the node that computes each tensor.
    pub fn producers(&self) -> BTreeMap<TensorId, usize> {
        let outputs =
            |(at, node): (usize, &Node)| -> Vec<_> { node.outputs.iter().flatten().map(|id| (*id, at)).collect() };
        self.nodes.iter().enumerate().flat_map(outputs).collect()
    }
}

/// A named tensor of a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct SignatureTensor {
    /// Name within the signature.
    pub name: String,
    /// The tensor of the signature's subgraph.
    pub tensor: TensorId,
}

/// A named entry point of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The key, such as `serving_default`.
    pub key: String,
    /// The subgraph it runs.
    pub subgraph: SubgraphId,
    /// Inputs in the file's order.
    pub inputs: Vec<SignatureTensor>,
    /// Outputs in the file's order.
    pub outputs: Vec<SignatureTensor>,
}

/// A metadata entry of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// Name of the entry.
    pub name: String,
    /// Its bytes.
    pub data: Bytes,
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Program {
    /// Subgraphs; the first is the main one.
    pub subgraphs: Vec<Graph>,
    /// Entry points by name.
    pub signatures: Vec<Signature>,
    /// Metadata buffers.
    pub metadata: Vec<Metadata>,
    /// The file's description.
    pub description: String,
    /// Schema version of the file.
    pub version: u32,
}

impl Program {
    /// The subgraph with this id.
    pub fn graph(&self, id: SubgraphId) -> Option<&Graph> {
        self.subgraphs.get(id.index())
    }
}
