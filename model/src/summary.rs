//! What can be said of a program in a word or a number.

use std::{collections::HashSet, fmt};

use crate::{DType, Program};

/// What types a model computes with and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelKind {
    /// Float activations and weights.
    Float,
    /// Float activations, 16-bit float weights.
    Float16,
    /// Float activations, integer weights.
    DynamicRange,
    /// INT8 activations.
    Int8,
    /// UINT8 activations.
    UInt8,
    /// INT16 activations.
    Int16,
    /// Float and integer activations, of each more than a little.
    Mixed,
    /// Something else: strings, control flow, indices.
    Other,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "float",
            Self::Float16 => "float16",
            Self::DynamicRange => "dynamic-range",
            Self::Int8 => "int8",
            Self::UInt8 => "uint8",
            Self::Int16 => "int16",
            Self::Mixed => "mixed",
            Self::Other => "other",
        })
    }
}

impl Program {
    /// What the model computes with, judged by the types of its nodes' outputs and of its constants.
    pub fn kind(&self) -> ModelKind {
        let nodes = self.subgraphs.iter().flat_map(|g| g.nodes.iter().map(move |n| (g, n)));
        let types = nodes.flat_map(|(g, n)| n.outputs.iter().flatten().filter_map(|t| g.tensors.get(t.index())));
        let computed = types.map(|t| t.dtype).collect::<Vec<_>>();
        let count = |dtype| computed.iter().filter(|&&d| d == dtype).count();
        let (float, int8) = (count(DType::Float32), count(DType::Int8));
        let (uint8, int16) = (count(DType::UInt8), count(DType::Int16));
        let integer = int8 + uint8 + int16;
        if float + integer == 0 {
            return ModelKind::Other;
        }
        // Up to a tenth of float nodes are the edges of an integer model; up to a fiftieth of integer ones are none of a
        // float model's business.
        if float * 10 <= integer {
            return match int8.max(uint8).max(int16) {
                top if top == int16 => ModelKind::Int16,
                top if top == uint8 => ModelKind::UInt8,
                _ => ModelKind::Int8,
            };
        }
        if integer * 50 > float {
            return ModelKind::Mixed;
        }
        self.kind_of_weights()
    }

    /// The kind of a model that computes in float.
    fn kind_of_weights(&self) -> ModelKind {
        // Shapes, axes and single numbers have one dimension or none; weights have more.
        let (mut half, mut small) = (0usize, 0usize);
        for tensor in self.subgraphs.iter().flat_map(|g| &g.tensors).filter(|t| t.constant().is_some()) {
            let count = crate::element_count(&tensor.dims).unwrap_or(0);
            match tensor.dtype {
                DType::Float16 => half = half.saturating_add(count),
                DType::Int8 | DType::UInt8 | DType::Int4 | DType::UInt4 | DType::Int2 if tensor.dims.len() > 1 => {
                    small = small.saturating_add(count)
                }
                _ => {}
            }
        }
        match (half, small) {
            (0, 0) => ModelKind::Float,
            (half, small) if half >= small => ModelKind::Float16,
            _ => ModelKind::DynamicRange,
        }
    }

    /// Bytes of all constants; those that tensors share count once.
    pub fn constant_bytes(&self) -> usize {
        let constants = self.subgraphs.iter().flat_map(|g| &g.tensors).filter_map(|t| t.constant());
        let distinct = constants.map(|b| (b.as_ptr().addr(), b.len())).collect::<HashSet<_>>();
        distinct.iter().map(|&(_, len)| len).sum()
    }

    /// Whether an invoke leaves something behind for the next, in any subgraph.
    pub fn is_stateful(&self) -> bool {
        self.subgraphs.iter().any(crate::Graph::is_stateful)
    }
}
