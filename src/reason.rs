//! Why a node runs on the CPU.

use std::fmt;

use tflite_wgpu_model::DType;

/// Why a node is not on the GPU: data for reports, never an error.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// No lowering for this operator.
    UnsupportedOperator,
    /// An input or output has a type that the lowering does not take.
    UnsupportedType {
        /// Which tensor: `input 0`, `output 1`.
        tensor: String,
        /// Its type.
        found: DType,
    },
    /// An attribute has a value that the lowering does not take.
    Attribute(&'static str),
    /// The node's shapes depend on values that are only known when the model runs.
    DynamicShape,
    /// An input must be constant for the lowering, and is not.
    NotConstant {
        /// Position among the inputs.
        input: usize,
    },
    /// A tensor has no elements.
    ZeroSize,
    /// A tensor exceeds a limit of the device.
    TooLarge {
        /// What exceeds.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The combination of shapes is not one the kernels have.
    Shape(&'static str),
    /// Values do not fit: the file's integers need more than 32 bits, or an index is out of range.
    Value(&'static str),
    /// Left out by an option: deny or allow lists, `gpu_nodes`.
    Denied(&'static str),
    /// The partition would be slower than the CPU.
    Cost {
        /// Estimated milliseconds on the GPU.
        gpu_ms: f32,
        /// Estimated milliseconds on the CPU.
        cpu_ms: f32,
        /// Estimated milliseconds of transfers.
        transfer_ms: f32,
    },
    /// `device=auto` leaves everything to the CPU when the adapter is a software one.
    SoftwareAdapter,
    /// The partition is smaller than `min_nodes_per_partition`, or beyond `max_delegated_partitions`.
    SmallPartition {
        /// Nodes of the partition.
        nodes: usize,
    },
    /// The partition only converts between floats and integers, or moves integers, for the CPU's kernels.
    Conversion,
    /// Control flow, variables, strings: the interpreter's.
    HostOwned,
    /// Its results are constants, which the CPU or the caller reads: nobody on the GPU has a use for them.
    Constant,
    /// A custom operator's own words.
    Custom(String),
    /// The device failed on it.
    Device(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedOperator => f.write_str("no GPU kernel for this operator"),
            Self::UnsupportedType { tensor, found } => write!(f, "{tensor} has type {found}"),
            Self::Attribute(name) => write!(f, "attribute {name} has a value without a GPU kernel"),
            Self::DynamicShape => f.write_str("shape depends on values computed while the model runs"),
            Self::NotConstant { input } => write!(f, "input {input} is not a constant"),
            Self::ZeroSize => f.write_str("a tensor has no elements"),
            Self::TooLarge { what, found, limit } => write!(f, "{what} of {found} exceeds the limit {limit}"),
            Self::Shape(what) => write!(f, "shapes without a GPU kernel: {what}"),
            Self::Value(what) => write!(f, "values without a GPU form: {what}"),
            Self::Denied(option) => write!(f, "left out by the option {option}"),
            Self::Cost { gpu_ms, cpu_ms, transfer_ms } => {
                write!(
                    f,
                    "slower on the GPU: {gpu_ms:.2} ms and {transfer_ms:.2} ms of transfers, {cpu_ms:.2} ms on the CPU"
                )
            }
            Self::SoftwareAdapter => f.write_str("the adapter is a software one, slower than the CPU's own kernels"),
            Self::SmallPartition { nodes } => write!(f, "partition of {nodes} nodes is left out by an option"),
            Self::Conversion => f.write_str("only converts or moves integers for kernels of the CPU"),
            Self::Constant => f.write_str("a constant that only the CPU or the caller reads"),
            Self::HostOwned => f.write_str("runs in the interpreter (control flow, variables or strings)"),
            Self::Custom(message) => f.write_str(message),
            Self::Device(message) => write!(f, "the device failed: {message}"),
        }
    }
}
