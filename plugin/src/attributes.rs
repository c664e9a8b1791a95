//! Attributes of builtin operators, from the host's `builtin_data`.
//!
//! The structures are read as bytes at the offsets that TFLite 2.14 has, the oldest layout in use; fields that later
//! versions append are never touched.

use tflite_wgpu_model::{
    ActivationFunctionType, AddOptions, ArgMaxOptions, ArgMinOptions, BatchMatMulOptions, BuiltinOperator, CastOptions,
    ConcatenationOptions, Conv2DOptions, Conv3DOptions, CumsumOptions, DType, DepthToSpaceOptions,
    DepthwiseConv2DOptions, DivOptions, FakeQuantOptions, FullyConnectedOptions, FullyConnectedOptionsWeightsFormat,
    GatherOptions, GeluOptions, L2NormOptions, LeakyReluOptions, LocalResponseNormalizationOptions, MirrorPadMode,
    MirrorPadOptions, MulOptions, OneHotOptions, Op, PackOptions, Padding, Pool2DOptions, ReducerOptions,
    ReshapeOptions, ResizeBilinearOptions, ResizeNearestNeighborOptions, ReverseSequenceOptions, ShapeOptions,
    SoftmaxOptions, SpaceToDepthOptions, SplitOptions, SplitVOptions, SqueezeOptions, StridedSliceOptions, SubOptions,
    TransposeConvOptions, UniqueOptions, UnpackOptions,
};

use crate::types;

/// Bytes of a structure, and where each field lies.
#[derive(Clone, Copy)]
pub struct Raw<'a>(pub &'a [u8]);

/// Why a node's attributes are not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

type Read<T> = Result<T, Unreadable>;

impl Raw<'_> {
    fn bytes<const N: usize>(self, at: usize) -> Read<[u8; N]> {
        let bytes = at.checked_add(N).and_then(|end| self.0.get(at..end));
        let bytes = bytes.and_then(|bytes| <[u8; N]>::try_from(bytes).ok());
        bytes.ok_or_else(|| Unreadable(format!("attributes of {} bytes, expected {}", self.0.len(), at + N)))
    }

    fn int(self, at: usize) -> Read<i32> {
        self.bytes(at).map(i32::from_ne_bytes)
    }

    fn float(self, at: usize) -> Read<f32> {
        self.bytes(at).map(f32::from_ne_bytes)
    }

    fn flag(self, at: usize) -> Read<bool> {
        self.bytes::<1>(at).map(|[byte]| byte != 0)
    }

    /// A dilation; a file without options has 0, which means 1.
    fn dilation(self, at: usize) -> Read<i32> {
        Ok(self.int(at)?.max(1))
    }

    fn padding(self, at: usize) -> Read<Padding> {
        match self.int(at)? {
            1 => Ok(Padding::Same),
            2 => Ok(Padding::Valid),
            other => Err(Unreadable(format!("padding {other}"))),
        }
    }

    fn activation(self, at: usize) -> Read<ActivationFunctionType> {
        let code = self.int(at)?;
        ActivationFunctionType::from_code(code.into()).ok_or_else(|| Unreadable(format!("activation {code}")))
    }

    fn dtype(self, at: usize) -> Read<DType> {
        let code = self.int(at)?;
        types::dtype(code).ok_or_else(|| Unreadable(format!("type {code}")))
    }

    /// The first `count` (a field at `count_at`) of up to eight integers.
    fn list(self, at: usize, count_at: usize) -> Read<Vec<i32>> {
        let count = self.int(count_at)?;
        let count = usize::try_from(count).ok().filter(|&n| n <= 8);
        let count = count.ok_or_else(|| Unreadable("a list of more than 8".to_owned()))?;
        (0..count).map(|i| self.int(at + 4 * i)).collect()
    }
}

/// Bytes of a builtin's structure in TFLite 2.14; 0 for one without attributes, `None` where this library does not read
/// them.
pub fn size(op: BuiltinOperator) -> Option<usize> {
    use BuiltinOperator as B;
    Some(match op {
        B::Conv2d | B::StridedSlice => 24,
        B::DepthwiseConv2d => 28,
        B::Conv3d | B::Conv3dTranspose => 32,
        B::TransposeConv | B::LocalResponseNormalization | B::FakeQuant => 16,
        B::FullyConnected => 12,
        B::AveragePool2d | B::MaxPool2d | B::L2Pool2d => 24,
        B::Reshape | B::Squeeze => 36,
        B::Add | B::Sub | B::Concatenation | B::Pack | B::Unpack | B::Gather | B::ReverseSequence | B::Cast => 8,
        B::Mul | B::Div | B::L2Normalization | B::Split | B::SplitV | B::OneHot | B::ArgMax | B::ArgMin => 4,
        B::Shape | B::Unique | B::SpaceToDepth | B::DepthToSpace | B::MirrorPad | B::Softmax | B::LeakyRelu => 4,
        B::Sum | B::Mean | B::ReduceProd | B::ReduceMax | B::ReduceMin | B::ReduceAny | B::ReduceAll | B::Gelu => 1,
        B::Cumsum | B::ResizeBilinear | B::ResizeNearestNeighbor => 2,
        B::BatchMatmul => 3,
        _ => return PLAIN.contains(&op).then_some(0),
    })
}

/// Operators without attributes: their `builtin_data` is NULL.
const PLAIN: &[BuiltinOperator] = &[
    BuiltinOperator::Dequantize,
    BuiltinOperator::EmbeddingLookup,
    BuiltinOperator::Floor,
    BuiltinOperator::HashtableLookup,
    BuiltinOperator::Logistic,
    BuiltinOperator::Relu,
    BuiltinOperator::ReluN1To1,
    BuiltinOperator::Relu6,
    BuiltinOperator::Tanh,
    BuiltinOperator::Pad,
    BuiltinOperator::BatchToSpaceNd,
    BuiltinOperator::SpaceToBatchNd,
    BuiltinOperator::Transpose,
    BuiltinOperator::Exp,
    BuiltinOperator::TopkV2,
    BuiltinOperator::LogSoftmax,
    BuiltinOperator::Prelu,
    BuiltinOperator::Maximum,
    BuiltinOperator::Minimum,
    BuiltinOperator::Less,
    BuiltinOperator::Neg,
    BuiltinOperator::Padv2,
    BuiltinOperator::Greater,
    BuiltinOperator::GreaterEqual,
    BuiltinOperator::LessEqual,
    BuiltinOperator::Select,
    BuiltinOperator::Slice,
    BuiltinOperator::Sin,
    BuiltinOperator::Tile,
    BuiltinOperator::ExpandDims,
    BuiltinOperator::Equal,
    BuiltinOperator::NotEqual,
    BuiltinOperator::Log,
    BuiltinOperator::Sqrt,
    BuiltinOperator::Rsqrt,
    BuiltinOperator::Pow,
    BuiltinOperator::LogicalOr,
    BuiltinOperator::LogicalAnd,
    BuiltinOperator::LogicalNot,
    BuiltinOperator::FloorDiv,
    BuiltinOperator::Square,
    BuiltinOperator::ZerosLike,
    BuiltinOperator::Fill,
    BuiltinOperator::FloorMod,
    BuiltinOperator::Range,
    BuiltinOperator::SquaredDifference,
    BuiltinOperator::Abs,
    BuiltinOperator::Ceil,
    BuiltinOperator::ReverseV2,
    BuiltinOperator::AddN,
    BuiltinOperator::GatherNd,
    BuiltinOperator::Cos,
    BuiltinOperator::Where,
    BuiltinOperator::Rank,
    BuiltinOperator::Elu,
    BuiltinOperator::MatrixDiag,
    BuiltinOperator::Quantize,
    BuiltinOperator::MatrixSetDiag,
    BuiltinOperator::Round,
    BuiltinOperator::HardSwish,
    BuiltinOperator::NonMaxSuppressionV4,
    BuiltinOperator::NonMaxSuppressionV5,
    BuiltinOperator::ScatterNd,
    BuiltinOperator::SelectV2,
    BuiltinOperator::Densify,
    BuiltinOperator::SegmentSum,
    BuiltinOperator::BroadcastTo,
    BuiltinOperator::Rfft2d,
    BuiltinOperator::Imag,
    BuiltinOperator::Real,
    BuiltinOperator::ComplexAbs,
    BuiltinOperator::BroadcastArgs,
    BuiltinOperator::DynamicUpdateSlice,
    BuiltinOperator::Relu0To1,
    BuiltinOperator::UnsortedSegmentProd,
    BuiltinOperator::UnsortedSegmentMax,
    BuiltinOperator::UnsortedSegmentSum,
    BuiltinOperator::Atan2,
    BuiltinOperator::UnsortedSegmentMin,
    BuiltinOperator::Sign,
    BuiltinOperator::Bitcast,
    BuiltinOperator::BitwiseXor,
    BuiltinOperator::RightShift,
    BuiltinOperator::Dilate,
];

/// The operator with the attributes that `raw` holds, which has as many bytes as [`size`] says.
///
/// # Errors
/// When a field has a value that this library does not know.
pub fn read(op: BuiltinOperator, raw: Raw<'_>) -> Read<Op> {
    use BuiltinOperator as B;
    let unknown = || Unreadable("attributes that this library does not read".to_owned());
    Ok(match op {
        B::Conv2d | B::DepthwiseConv2d | B::TransposeConv | B::Conv3d | B::Conv3dTranspose => convolution(op, raw)?,
        B::AveragePool2d => Op::AveragePool2d(pool(raw)?),
        B::MaxPool2d => Op::MaxPool2d(pool(raw)?),
        B::L2Pool2d => Op::L2Pool2d(pool(raw)?),
        B::FullyConnected | B::BatchMatmul => product(op, raw)?,
        B::Add | B::Sub | B::Mul | B::Div | B::L2Normalization | B::Concatenation => arithmetic(op, raw)?,
        B::Sum | B::Mean | B::ReduceProd | B::ReduceMax | B::ReduceMin | B::ReduceAny | B::ReduceAll => {
            reduction(op, ReducerOptions { keep_dims: raw.flag(0)? }).ok_or_else(unknown)?
        }
        B::Softmax | B::LeakyRelu | B::Gelu | B::LocalResponseNormalization | B::FakeQuant => function(op, raw)?,
        B::ArgMax | B::ArgMin | B::Shape | B::Unique | B::Cast | B::OneHot | B::Cumsum => index(op, raw)?,
        _ if size(op) == Some(0) => Op::with_defaults(op).ok_or_else(unknown)?,
        _ => movement(op, raw)?,
    })
}

fn convolution(op: BuiltinOperator, raw: Raw<'_>) -> Read<Op> {
    let three = |raw: Raw<'_>| -> Read<Conv3DOptions> {
        Ok(Conv3DOptions {
            padding: raw.padding(0)?,
            stride_w: raw.int(4)?,
            stride_h: raw.int(8)?,
            stride_d: raw.int(12)?,
            dilation_wfactor: raw.dilation(16)?,
            dilation_hfactor: raw.dilation(20)?,
            dilation_dfactor: raw.dilation(24)?,
            fused_activation_function: raw.activation(28)?,
        })
    };
    Ok(match op {
        BuiltinOperator::Conv2d => Op::Conv2d(Conv2DOptions {
            padding: raw.padding(0)?,
            stride_w: raw.int(4)?,
            stride_h: raw.int(8)?,
            fused_activation_function: raw.activation(12)?,
            dilation_wfactor: raw.dilation(16)?,
            dilation_hfactor: raw.dilation(20)?,
            ..Default::default()
        }),
        BuiltinOperator::DepthwiseConv2d => Op::DepthwiseConv2d(DepthwiseConv2DOptions {
            padding: raw.padding(0)?,
            stride_w: raw.int(4)?,
            stride_h: raw.int(8)?,
            depth_multiplier: raw.int(12)?,
            fused_activation_function: raw.activation(16)?,
            dilation_wfactor: raw.dilation(20)?,
            dilation_hfactor: raw.dilation(24)?,
        }),
        BuiltinOperator::TransposeConv => Op::TransposeConv(TransposeConvOptions {
            padding: raw.padding(0)?,
            stride_w: raw.int(4)?,
            stride_h: raw.int(8)?,
            fused_activation_function: raw.activation(12)?,
            ..Default::default()
        }),
        BuiltinOperator::Conv3d => Op::Conv3d(three(raw)?),
        _ => Op::Conv3dTranspose(three(raw)?),
    })
}

fn pool(raw: Raw<'_>) -> Read<Pool2DOptions> {
    Ok(Pool2DOptions {
        padding: raw.padding(0)?,
        stride_w: raw.int(4)?,
        stride_h: raw.int(8)?,
        filter_width: raw.int(12)?,
        filter_height: raw.int(16)?,
        fused_activation_function: raw.activation(20)?,
    })
}

fn product(op: BuiltinOperator, raw: Raw<'_>) -> Read<Op> {
    if op == BuiltinOperator::BatchMatmul {
        return Ok(Op::BatchMatmul(BatchMatMulOptions {
            adj_x: raw.flag(0)?,
            adj_y: raw.flag(1)?,
            asymmetric_quantize_inputs: raw.flag(2)?,
        }));
    }
    let format = raw.int(4)?;
    let weights_format = FullyConnectedOptionsWeightsFormat::from_code(format.into());
    Ok(Op::FullyConnected(FullyConnectedOptions {
        fused_activation_function: raw.activation(0)?,
        weights_format: weights_format.ok_or_else(|| Unreadable(format!("weights format {format}")))?,
        keep_num_dims: raw.flag(8)?,
        asymmetric_quantize_inputs: raw.flag(9)?,
        ..Default::default()
    }))
}

fn arithmetic(op: BuiltinOperator, raw: Raw<'_>) -> Read<Op> {
    if op == BuiltinOperator::Concatenation {
        let (axis, fused_activation_function) = (raw.int(0)?, raw.activation(4)?);
        return Ok(Op::Concatenation(ConcatenationOptions { axis, fused_activation_function }));
    }
    let fused_activation_function = raw.activation(0)?;
    let pot_scale_int16 = match op {
        BuiltinOperator::Add | BuiltinOperator::Sub => raw.flag(4)?,
        _ => false,
    };
    Ok(match op {
        BuiltinOperator::Add => Op::Add(AddOptions { fused_activation_function, pot_scale_int16 }),
        BuiltinOperator::Sub => Op::Sub(SubOptions { fused_activation_function, pot_scale_int16 }),
        BuiltinOperator::Mul => Op::Mul(MulOptions { fused_activation_function }),
        BuiltinOperator::Div => Op::Div(DivOptions { fused_activation_function }),
        _ => Op::L2Normalization(L2NormOptions { fused_activation_function }),
    })
}

fn reduction(op: BuiltinOperator, options: ReducerOptions) -> Option<Op> {
    Some(match op {
        BuiltinOperator::Sum => Op::Sum(options),
        BuiltinOperator::Mean => Op::Mean(options),
        BuiltinOperator::ReduceProd => Op::ReduceProd(options),
        BuiltinOperator::ReduceMax => Op::ReduceMax(options),
        BuiltinOperator::ReduceMin => Op::ReduceMin(options),
        BuiltinOperator::ReduceAny => Op::ReduceAny(options),
        BuiltinOperator::ReduceAll => Op::ReduceAll(options),
        _ => return None,
    })
}

fn function(op: BuiltinOperator, raw: Raw<'_>) -> Read<Op> {
    Ok(match op {
        BuiltinOperator::Softmax => Op::Softmax(SoftmaxOptions { beta: raw.float(0)? }),
        BuiltinOperator::LeakyRelu => Op::LeakyRelu(LeakyReluOptions { alpha: raw.float(0)? }),
        BuiltinOperator::Gelu => Op::Gelu(GeluOptions { approximate: raw.flag(0)? }),
        BuiltinOperator::FakeQuant => Op::FakeQuant(FakeQuantOptions {
            min: raw.float(0)?,
            max: raw.float(4)?,
            num_bits: raw.int(8)?,
            narrow_range: raw.flag(12)?,
        }),
        _ => Op::LocalResponseNormalization(LocalResponseNormalizationOptions {
            radius: raw.int(0)?,
            bias: raw.float(4)?,
            alpha: raw.float(8)?,
            beta: raw.float(12)?,
        }),
    })
}

fn index(op: BuiltinOperator, raw: Raw<'_>) -> Read<Op> {
    Ok(match op {
        BuiltinOperator::ArgMax => Op::ArgMax(ArgMaxOptions { output_type: raw.dtype(0)? }),
        BuiltinOperator::ArgMin => Op::ArgMin(ArgMinOptions { output_type: raw.dtype(0)? }),
        BuiltinOperator::Shape => Op::Shape(ShapeOptions { out_type: raw.dtype(0)? }),
        BuiltinOperator::Unique => Op::Unique(UniqueOptions { idx_out_type: raw.dtype(0)? }),
        BuiltinOperator::Cast => {
            // Files without options leave both at 0, which is no type of the host's and the default of the file's.
            let dtype = |at| raw.dtype(at).unwrap_or(DType::Float32);
            Op::Cast(CastOptions { in_data_type: dtype(0), out_data_type: dtype(4) })
        }
        BuiltinOperator::OneHot => Op::OneHot(OneHotOptions { axis: raw.int(0)? }),
        _ => Op::Cumsum(CumsumOptions { exclusive: raw.flag(0)?, reverse: raw.flag(1)? }),
    })
}

fn movement(op: BuiltinOperator, raw: Raw<'_>) -> Read<Op> {
    use BuiltinOperator as B;
    Ok(match op {
        B::Pack => Op::Pack(PackOptions { values_count: raw.int(0)?, axis: raw.int(4)? }),
        B::Unpack => Op::Unpack(UnpackOptions { num: raw.int(0)?, axis: raw.int(4)? }),
        B::Split => Op::Split(SplitOptions { num_splits: raw.int(0)? }),
        B::SplitV => Op::SplitV(SplitVOptions { num_splits: raw.int(0)? }),
        B::Gather => Op::Gather(GatherOptions { axis: raw.int(0)?, batch_dims: raw.int(4)? }),
        B::ReverseSequence => {
            Op::ReverseSequence(ReverseSequenceOptions { seq_dim: raw.int(0)?, batch_dim: raw.int(4)? })
        }
        B::Reshape => Op::Reshape(ReshapeOptions { new_shape: raw.list(0, 32)? }),
        B::Squeeze => Op::Squeeze(SqueezeOptions { squeeze_dims: raw.list(0, 32)? }),
        B::StridedSlice => Op::StridedSlice(StridedSliceOptions {
            begin_mask: raw.int(0)?,
            end_mask: raw.int(4)?,
            ellipsis_mask: raw.int(8)?,
            new_axis_mask: raw.int(12)?,
            shrink_axis_mask: raw.int(16)?,
            offset: raw.flag(20)?,
        }),
        B::ResizeBilinear => {
            Op::ResizeBilinear(ResizeBilinearOptions { align_corners: raw.flag(0)?, half_pixel_centers: raw.flag(1)? })
        }
        B::ResizeNearestNeighbor => Op::ResizeNearestNeighbor(ResizeNearestNeighborOptions {
            align_corners: raw.flag(0)?,
            half_pixel_centers: raw.flag(1)?,
        }),
        B::SpaceToDepth => Op::SpaceToDepth(SpaceToDepthOptions { block_size: raw.int(0)? }),
        B::DepthToSpace => Op::DepthToSpace(DepthToSpaceOptions { block_size: raw.int(0)? }),
        B::MirrorPad => {
            let mode = match raw.int(0)? {
                1 => MirrorPadMode::Reflect,
                2 => MirrorPadMode::Symmetric,
                other => return Err(Unreadable(format!("mirror padding {other}"))),
            };
            Op::MirrorPad(MirrorPadOptions { mode })
        }
        _ => return Err(Unreadable("attributes that this library does not read".to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[i32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn a_convolution_has_the_host_s_order_of_fields() -> Result<(), Unreadable> {
        let bytes = words(&[2, 3, 4, 1, 0, 5]);
        let Op::Conv2d(options) = read(BuiltinOperator::Conv2d, Raw(&bytes))? else {
            return Err(Unreadable("op".into()));
        };
        assert_eq!((options.padding, options.stride_w, options.stride_h), (Padding::Valid, 3, 4));
        assert_eq!(options.fused_activation_function, ActivationFunctionType::Relu);
        assert_eq!((options.dilation_wfactor, options.dilation_hfactor), (1, 5), "0 means 1");
        Ok(())
    }

    #[test]
    fn unknown_values_and_cut_structures_are_refused() {
        assert!(read(BuiltinOperator::Conv2d, Raw(&words(&[7, 1, 1, 0, 1, 1]))).is_err());
        assert!(read(BuiltinOperator::Conv2d, Raw(&words(&[1, 1, 1, 99, 1, 1]))).is_err());
        assert!(read(BuiltinOperator::Conv2d, Raw(&words(&[1, 1]))).is_err());
        assert!(read(BuiltinOperator::Reshape, Raw(&words(&[1, 1, 1, 1, 1, 1, 1, 1, 9]))).is_err());
    }

    #[test]
    fn every_operator_that_has_a_size_is_read() {
        let mut count = 0;
        for &op in BuiltinOperator::ALL {
            let Some(size) = size(op) else { continue };
            // Ones are values that every field knows.
            let bytes = words(&[1; 16]);
            let found = read(op, Raw(&bytes[..size])).map(|read| read.builtin());
            assert_eq!(found, Ok(op));
            assert!(
                size == 0 || read(op, Raw(&bytes[..size - size.min(4)])).is_err() || op == BuiltinOperator::Cast,
                "{op:?}"
            );
            count += 1;
        }
        assert!(count > 100, "{count} operators");
    }

    #[test]
    fn operators_of_the_gpu_are_all_read() {
        let rows = tflite_wgpu::ops::rows().map(|row| row.op).filter(|op| *op != BuiltinOperator::Custom);
        let missing: Vec<_> = rows.filter(|op| size(*op).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
