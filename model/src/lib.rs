//! The `.tflite` file format: reading, checking, writing, and what can be known of a graph without running it.
//!
//! [`Program`] is what the rest of the project works on: subgraphs of [`Tensor`]s and [`Node`]s in TFLite's
//! own words, every operator with its typed attributes ([`Op`]), constants as shared byte ranges ([`Bytes`]).

mod builder;
mod bytes;
mod control;
mod dtype;
mod error;
mod generated;
mod graph;
pub mod infer;
mod metadata;
mod op;
mod packed;
mod quant;
mod read;
mod summary;
mod write;

pub use builder::{GraphBuilder, ModelBuilder};
pub use bytes::Bytes;
pub use dtype::DType;
pub use error::Error;
pub use graph::{
    Data, Dim, Graph, Metadata, Node, NodeId, Program, Shape, Signature, SignatureTensor, SubgraphId, Tensor, TensorId,
    element_count,
};
pub use metadata::{Content, FileKind, FileMetadata, ModelMetadata, SubgraphMetadata, TensorMetadata};
pub use op::*;
pub use packed::{PackedFile, packed_files};
pub use quant::{Quant, QuantKind, Sparsity, SparsityDimension};
pub use summary::ModelKind;
