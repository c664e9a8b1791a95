//! Quantisation and sparsity of a tensor, as the file states them.

use crate::TensorId;

/// How stored integers stand for real values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quant {
    /// Recorded ranges; informative only. Empty when the file has none.
    pub min: Vec<f32>,
    /// Recorded ranges; informative only. Empty when the file has none.
    pub max: Vec<f32>,
    /// The parameters proper.
    pub kind: QuantKind,
}

/// The parameters of a quantised tensor: `real = scale * (stored - zero_point)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum QuantKind {
    /// Only ranges, or nothing.
    #[default]
    None,
    /// One scale per tensor, or one per index of axis `axis`; `zero_point` has as many entries as `scale`.
    Affine {
        /// Real value of one step.
        scale: Vec<f32>,
        /// Stored value of real 0; as long as `scale`.
        zero_point: Vec<i64>,
        /// Axis that the scales belong to; meaningless with one scale.
        axis: usize,
    },
    /// A scale for every `block_size` elements along `axis`, in tensors of their own.
    Blockwise {
        /// Tensor of scales.
        scales: TensorId,
        /// Tensor of zero points, if any.
        zero_points: Option<TensorId>,
        /// Elements that share a scale.
        block_size: usize,
        /// The axis that is cut into blocks.
        axis: usize,
    },
    /// Scales over several axes.
    MultiAxis {
        /// Tensor of scales.
        scales: TensorId,
        /// Tensor of zero points, if any.
        zero_points: Option<TensorId>,
        /// Elements that share a scale.
        block_size: usize,
        /// The axes that have scales of their own.
        axes: Vec<usize>,
    },
    /// A quantisation this library does not know; the bytes are the file's.
    Custom(Vec<u8>),
}

impl Quant {
    /// Scale and zero point of a per-tensor quantisation.
    pub fn per_tensor(&self) -> Option<(f32, i64)> {
        match &self.kind {
            QuantKind::Affine { scale, zero_point, .. } => match (scale.as_slice(), zero_point.as_slice()) {
                (&[scale], &[zero_point]) => Some((scale, zero_point)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Sparse storage of a constant (TACO format, as TFLite has it).
#[derive(Clone, Debug, PartialEq)]
pub struct Sparsity {
    /// Order in which the (block-expanded) dimensions are stored.
    pub traversal_order: Vec<i32>,
    /// Which dimensions are blocked.
    pub block_map: Vec<i32>,
    /// One entry per stored dimension.
    pub dimensions: Vec<SparsityDimension>,
}

/// One stored dimension of a sparse tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum SparsityDimension {
    /// All `size` indices are stored.
    Dense {
        /// Number of indices.
        size: usize,
    },
    /// Compressed sparse row.
    Csr {
        /// Start of each row's entries.
        segments: Vec<i32>,
        /// Index of each entry.
        indices: Vec<i32>,
    },
}
