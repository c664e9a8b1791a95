//! Operators that work element by element: outputs of the input's shape, or of the shape that the inputs broadcast to.

use BuiltinOperator as B;

use crate::BuiltinOperator;

use super::args::{Args, Stop, invalid, one};
use super::{InferError, OutputShapes, Row, broadcast};

pub(super) const ROWS: &[Row] = &[
    (B::Abs, first),
    (B::Bucketize, first),
    (B::Cast, first),
    (B::Ceil, first),
    (B::ComplexAbs, first),
    (B::Cos, first),
    (B::Cumsum, first),
    (B::Densify, first),
    (B::Dequantize, first),
    (B::DynamicUpdateSlice, first),
    (B::Elu, first),
    (B::Exp, first),
    (B::FakeQuant, first),
    (B::Floor, first),
    (B::Gelu, first),
    (B::HardSwish, first),
    (B::Imag, first),
    (B::L2Normalization, first),
    (B::LeakyRelu, first),
    (B::LocalResponseNormalization, first),
    (B::Log, first),
    (B::LogSoftmax, first),
    (B::LogicalNot, first),
    (B::Logistic, first),
    (B::Neg, first),
    (B::Quantize, first),
    (B::Real, first),
    (B::Relu, first),
    (B::Relu0To1, first),
    (B::Relu6, first),
    (B::ReluN1To1, first),
    (B::ReverseSequence, first),
    (B::ReverseV2, first),
    (B::Round, first),
    (B::Rsqrt, first),
    (B::Sign, first),
    (B::Sin, first),
    (B::Softmax, first),
    (B::Sqrt, first),
    (B::Square, first),
    (B::Tanh, first),
    (B::ZerosLike, first),
    (B::Add, binary),
    (B::Atan2, equal),
    (B::BitwiseXor, binary),
    (B::Div, binary),
    (B::Equal, binary),
    (B::FloorDiv, binary),
    (B::FloorMod, binary),
    (B::Greater, binary),
    (B::GreaterEqual, binary),
    (B::Less, binary),
    (B::LessEqual, binary),
    (B::LogicalAnd, binary),
    (B::LogicalOr, binary),
    (B::Maximum, binary),
    (B::Minimum, binary),
    (B::Mul, binary),
    (B::NotEqual, binary),
    (B::Pow, binary),
    (B::RightShift, binary),
    (B::SquaredDifference, binary),
    (B::Sub, binary),
    (B::AddN, equal),
    (B::Prelu, prelu),
    (B::Select, select),
    (B::SelectV2, select_v2),
    (B::Bitcast, bitcast),
];

/// The shape of input 0.
pub(super) fn first(a: &Args) -> Result<OutputShapes, Stop> {
    one(a.shape(0)?.to_vec())
}

/// The shape that inputs 0 and 1 broadcast to.
fn binary(a: &Args) -> Result<OutputShapes, Stop> {
    one(broadcast(&[a.shape(0)?, a.shape(1)?])?)
}

/// All inputs have one shape, which is the output's.
pub(super) fn equal(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    for i in 1..a.input_count() {
        let other = a.shape(i)?;
        if other != shape {
            let error = InferError::new(format!("shape {other:?}"), format!("{shape:?} as of input 0"));
            return Err(error.at(i).into());
        }
    }
    one(shape.to_vec())
}

/// The slope broadcasts to the input and does not enlarge it.
fn prelu(a: &Args) -> Result<OutputShapes, Stop> {
    let (input, slope) = (a.shape(0)?, a.shape(1)?);
    let shape = broadcast(&[input, slope])?;
    if shape != input {
        return Err(InferError::new(format!("shape {slope:?}"), format!("one that broadcasts to {input:?}"))
            .at(1)
            .into());
    }
    one(shape)
}

/// The first SELECT: both choices have one shape; the condition has it too, or is a scalar, or has one element per
/// slice of the first dimension.
fn select(a: &Args) -> Result<OutputShapes, Stop> {
    let (condition, yes, no) = (a.shape(0)?, a.shape(1)?, a.shape(2)?);
    if yes != no {
        return invalid(format!("choices of shapes {yes:?} and {no:?}"), "equal shapes");
    }
    let per_row = matches!((condition, yes), ([rows], [first, ..]) if rows == first);
    if !condition.is_empty() && condition != yes && !per_row {
        let expected = format!("a scalar, {yes:?} or its first dimension");
        return Err(InferError::new(format!("shape {condition:?}"), expected).at(0).into());
    }
    one(yes.to_vec())
}

/// Condition and choices broadcast.
fn select_v2(a: &Args) -> Result<OutputShapes, Stop> {
    one(broadcast(&[a.shape(0)?, a.shape(1)?, a.shape(2)?])?)
}

/// The same bytes read as another type: elements of a smaller type form a new last dimension, elements of a larger
/// one swallow the last dimension.
fn bitcast(a: &Args) -> Result<OutputShapes, Stop> {
    let shape = a.shape(0)?;
    let from = a.dtype(0)?;
    let to = a.output_dtype(0).ok_or(Stop::Unknown)?;
    let (Some(from_bytes), Some(to_bytes)) = (from.size(), to.size()) else {
        return invalid(format!("{from} to {to}"), "types of fixed size");
    };
    let mut shape = shape.to_vec();
    if from_bytes > to_bytes {
        shape.push(from_bytes / to_bytes);
    } else if to_bytes > from_bytes {
        let ratio = to_bytes / from_bytes;
        if shape.pop() != Some(ratio) {
            return invalid(
                format!("shape {:?} of {from}", a.shape(0)?),
                format!("a last dimension of {ratio} for {to}"),
            );
        }
    }
    one(shape)
}
