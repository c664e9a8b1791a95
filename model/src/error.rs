//! What can be wrong with a file.

use crate::{NodeId, SubgraphId, TensorId};

/// Why a file is not read.
///
/// Every variant says where, what was found there and what was expected, on one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or mapped.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The bytes are no `.tflite` file, or a damaged one: the flatbuffer does not hold together.
    #[error("not a .tflite file: {found}")]
    Format {
        /// What is wrong with it.
        found: String,
    },
    /// Something that belongs to the file as a whole: an operator code, a buffer, a metadata entry.
    #[error("{part}: found {found}, expected {expected}")]
    File {
        /// The part at fault, such as `operator code 3`.
        part: String,
        /// What the file has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// A subgraph's inputs, outputs or calls.
    #[error("subgraph {subgraph}: {part}: found {found}, expected {expected}")]
    Subgraph {
        /// The subgraph.
        subgraph: SubgraphId,
        /// The part at fault, such as `input 1`.
        part: String,
        /// What the file has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// A tensor.
    #[error("subgraph {subgraph} tensor {tensor} {name:?}: {part}: found {found}, expected {expected}")]
    Tensor {
        /// The subgraph.
        subgraph: SubgraphId,
        /// The tensor.
        tensor: TensorId,
        /// Its name.
        name: String,
        /// The part at fault, such as `buffer`.
        part: String,
        /// What the file has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// A node.
    #[error("subgraph {subgraph} node {node} {op}: {part}: found {found}, expected {expected}")]
    Node {
        /// The subgraph.
        subgraph: SubgraphId,
        /// The node.
        node: NodeId,
        /// TFLite's name of its operator, or the custom operator's; empty when the file does not even say that.
        op: String,
        /// The part at fault, such as `input 1`.
        part: String,
        /// What the file has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// A signature.
    #[error("signature {key:?}: {part}: found {found}, expected {expected}")]
    Signature {
        /// Its key.
        key: String,
        /// The part at fault, such as `input "x"`.
        part: String,
        /// What the file has.
        found: String,
        /// What it should have.
        expected: String,
    },
}

/// What is wrong with a part of something, before the caller adds where that is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub part: String,
    pub found: String,
    pub expected: String,
}

impl Fault {
    pub(crate) fn new(part: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> Self {
        Self { part: clip(&part.into()), found: clip(&found.to_string()), expected: clip(&expected.into()) }
    }

    pub(crate) fn in_file(self) -> Error {
        Error::File { part: self.part, found: self.found, expected: self.expected }
    }

    pub(crate) fn in_subgraph(self, subgraph: SubgraphId) -> Error {
        Error::Subgraph { subgraph, part: self.part, found: self.found, expected: self.expected }
    }

    pub(crate) fn in_tensor(self, subgraph: SubgraphId, tensor: TensorId, name: &str) -> Error {
        let Self { part, found, expected } = self;
        Error::Tensor { subgraph, tensor, name: clip(name), part, found, expected }
    }

    pub(crate) fn in_node(self, subgraph: SubgraphId, node: NodeId, op: &str) -> Error {
        let Self { part, found, expected } = self;
        Error::Node { subgraph, node, op: clip(op).escape_debug().to_string(), part, found, expected }
    }

    pub(crate) fn in_signature(self, key: &str) -> Error {
        Error::Signature { key: clip(key), part: self.part, found: self.found, expected: self.expected }
    }
}

/// A text of a length that fits a message; what a file has in it may be as long as the file.
fn clip(text: &str) -> String {
    const MOST: usize = 160;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// An index of a file as a position below `count`.
pub(crate) fn position(part: impl Into<String>, index: i64, count: usize) -> Result<usize, Fault> {
    match usize::try_from(index) {
        Ok(i) if i < count => Ok(i),
        _ => Err(Fault::new(part, index, format!("an index below {count}"))),
    }
}
