//! Reads the attributes of every builtin from its options table. Written by `cargo xtask schema`.

use super::schema;
use crate::{
    read::attributes::{AttributeError, code, codes, list, mismatch, text},
    *,
};

/// The operator `builtin` with the attributes that `node` has for it; defaults where the table is absent.
pub(crate) fn read_op(builtin: BuiltinOperator, node: &schema::Operator<'_>) -> Result<Op, AttributeError> {
    Ok(match builtin {
        BuiltinOperator::Add => Op::Add(add_options(
            node.builtin_options_as_add_options().map_or_else(|| mismatch(node, "AddOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::AveragePool2d => Op::AveragePool2d(pool2d_options(
            node.builtin_options_as_pool_2_doptions()
                .map_or_else(|| mismatch(node, "Pool2DOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Concatenation => Op::Concatenation(concatenation_options(
            node.builtin_options_as_concatenation_options()
                .map_or_else(|| mismatch(node, "ConcatenationOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Conv2d => Op::Conv2d(conv2d_options(
            node.builtin_options_as_conv_2_doptions()
                .map_or_else(|| mismatch(node, "Conv2DOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::DepthwiseConv2d => Op::DepthwiseConv2d(depthwise_conv2d_options(
            node.builtin_options_as_depthwise_conv_2_doptions()
                .map_or_else(|| mismatch(node, "DepthwiseConv2DOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::DepthToSpace => Op::DepthToSpace(depth_to_space_options(
            node.builtin_options_as_depth_to_space_options()
                .map_or_else(|| mismatch(node, "DepthToSpaceOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Dequantize => Op::Dequantize,
        BuiltinOperator::EmbeddingLookup => Op::EmbeddingLookup,
        BuiltinOperator::Floor => Op::Floor,
        BuiltinOperator::FullyConnected => Op::FullyConnected(fully_connected_options(
            node.builtin_options_as_fully_connected_options()
                .map_or_else(|| mismatch(node, "FullyConnectedOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::HashtableLookup => Op::HashtableLookup,
        BuiltinOperator::L2Normalization => Op::L2Normalization(l2_norm_options(
            node.builtin_options_as_l2_norm_options()
                .map_or_else(|| mismatch(node, "L2NormOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::L2Pool2d => Op::L2Pool2d(pool2d_options(
            node.builtin_options_as_pool_2_doptions()
                .map_or_else(|| mismatch(node, "Pool2DOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::LocalResponseNormalization => {
            Op::LocalResponseNormalization(local_response_normalization_options(
                node.builtin_options_as_local_response_normalization_options()
                    .map_or_else(|| mismatch(node, "LocalResponseNormalizationOptions"), |t| Ok(Some(t)))?,
            )?)
        }
        BuiltinOperator::Logistic => Op::Logistic,
        BuiltinOperator::LshProjection => Op::LshProjection(lsh_projection_options(
            node.builtin_options_as_lshprojection_options()
                .map_or_else(|| mismatch(node, "LSHProjectionOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Lstm => Op::Lstm(lstm_options(
            node.builtin_options_as_lstmoptions().map_or_else(|| mismatch(node, "LSTMOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::MaxPool2d => Op::MaxPool2d(pool2d_options(
            node.builtin_options_as_pool_2_doptions()
                .map_or_else(|| mismatch(node, "Pool2DOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Mul => Op::Mul(mul_options(
            node.builtin_options_as_mul_options().map_or_else(|| mismatch(node, "MulOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Relu => Op::Relu,
        BuiltinOperator::ReluN1To1 => Op::ReluN1To1,
        BuiltinOperator::Relu6 => Op::Relu6,
        BuiltinOperator::Reshape => Op::Reshape(reshape_options(
            node.builtin_options_as_reshape_options()
                .map_or_else(|| mismatch(node, "ReshapeOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::ResizeBilinear => Op::ResizeBilinear(resize_bilinear_options(
            node.builtin_options_as_resize_bilinear_options()
                .map_or_else(|| mismatch(node, "ResizeBilinearOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Rnn => Op::Rnn(rnn_options(
            node.builtin_options_as_rnnoptions().map_or_else(|| mismatch(node, "RNNOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Softmax => Op::Softmax(softmax_options(
            node.builtin_options_as_softmax_options()
                .map_or_else(|| mismatch(node, "SoftmaxOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::SpaceToDepth => Op::SpaceToDepth(space_to_depth_options(
            node.builtin_options_as_space_to_depth_options()
                .map_or_else(|| mismatch(node, "SpaceToDepthOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Svdf => Op::Svdf(svdf_options(
            node.builtin_options_as_svdfoptions().map_or_else(|| mismatch(node, "SVDFOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Tanh => Op::Tanh,
        BuiltinOperator::ConcatEmbeddings => Op::ConcatEmbeddings(concat_embeddings_options(
            node.builtin_options_as_concat_embeddings_options()
                .map_or_else(|| mismatch(node, "ConcatEmbeddingsOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::SkipGram => Op::SkipGram(skip_gram_options(
            node.builtin_options_as_skip_gram_options()
                .map_or_else(|| mismatch(node, "SkipGramOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Call => Op::Call(call_options(
            node.builtin_options_as_call_options().map_or_else(|| mismatch(node, "CallOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::EmbeddingLookupSparse => Op::EmbeddingLookupSparse(embedding_lookup_sparse_options(
            node.builtin_options_as_embedding_lookup_sparse_options()
                .map_or_else(|| mismatch(node, "EmbeddingLookupSparseOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Pad => Op::Pad,
        BuiltinOperator::UnidirectionalSequenceRnn => Op::UnidirectionalSequenceRnn(sequence_rnn_options(
            node.builtin_options_as_sequence_rnnoptions()
                .map_or_else(|| mismatch(node, "SequenceRNNOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Gather => Op::Gather(gather_options(
            node.builtin_options_as_gather_options()
                .map_or_else(|| mismatch(node, "GatherOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::BatchToSpaceNd => Op::BatchToSpaceNd,
        BuiltinOperator::SpaceToBatchNd => Op::SpaceToBatchNd,
        BuiltinOperator::Transpose => Op::Transpose,
        BuiltinOperator::Mean => Op::Mean(reducer_options(
            node.builtin_options_as_reducer_options()
                .map_or_else(|| mismatch(node, "ReducerOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Sub => Op::Sub(sub_options(
            node.builtin_options_as_sub_options().map_or_else(|| mismatch(node, "SubOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Div => Op::Div(div_options(
            node.builtin_options_as_div_options().map_or_else(|| mismatch(node, "DivOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Squeeze => Op::Squeeze(squeeze_options(
            node.builtin_options_as_squeeze_options()
                .map_or_else(|| mismatch(node, "SqueezeOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::UnidirectionalSequenceLstm => {
            Op::UnidirectionalSequenceLstm(unidirectional_sequence_lstm_options(
                node.builtin_options_as_unidirectional_sequence_lstmoptions()
                    .map_or_else(|| mismatch(node, "UnidirectionalSequenceLSTMOptions"), |t| Ok(Some(t)))?,
            )?)
        }
        BuiltinOperator::StridedSlice => Op::StridedSlice(strided_slice_options(
            node.builtin_options_as_strided_slice_options()
                .map_or_else(|| mismatch(node, "StridedSliceOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::BidirectionalSequenceRnn => Op::BidirectionalSequenceRnn(bidirectional_sequence_rnn_options(
            node.builtin_options_as_bidirectional_sequence_rnnoptions()
                .map_or_else(|| mismatch(node, "BidirectionalSequenceRNNOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Exp => Op::Exp,
        BuiltinOperator::TopkV2 => Op::TopkV2,
        BuiltinOperator::Split => Op::Split(split_options(
            node.builtin_options_as_split_options().map_or_else(|| mismatch(node, "SplitOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::LogSoftmax => Op::LogSoftmax,
        BuiltinOperator::Delegate => Op::Delegate,
        BuiltinOperator::BidirectionalSequenceLstm => {
            Op::BidirectionalSequenceLstm(bidirectional_sequence_lstm_options(
                node.builtin_options_as_bidirectional_sequence_lstmoptions()
                    .map_or_else(|| mismatch(node, "BidirectionalSequenceLSTMOptions"), |t| Ok(Some(t)))?,
            )?)
        }
        BuiltinOperator::Cast => Op::Cast(cast_options(
            node.builtin_options_as_cast_options().map_or_else(|| mismatch(node, "CastOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Prelu => Op::Prelu,
        BuiltinOperator::Maximum => Op::Maximum,
        BuiltinOperator::ArgMax => Op::ArgMax(arg_max_options(
            node.builtin_options_as_arg_max_options()
                .map_or_else(|| mismatch(node, "ArgMaxOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Minimum => Op::Minimum,
        BuiltinOperator::Less => Op::Less,
        BuiltinOperator::Neg => Op::Neg,
        BuiltinOperator::Padv2 => Op::Padv2,
        BuiltinOperator::Greater => Op::Greater,
        BuiltinOperator::GreaterEqual => Op::GreaterEqual,
        BuiltinOperator::LessEqual => Op::LessEqual,
        BuiltinOperator::Select => Op::Select,
        BuiltinOperator::Slice => Op::Slice,
        BuiltinOperator::Sin => Op::Sin,
        BuiltinOperator::TransposeConv => Op::TransposeConv(transpose_conv_options(
            node.builtin_options_as_transpose_conv_options()
                .map_or_else(|| mismatch(node, "TransposeConvOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::SparseToDense => Op::SparseToDense(sparse_to_dense_options(
            node.builtin_options_as_sparse_to_dense_options()
                .map_or_else(|| mismatch(node, "SparseToDenseOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Tile => Op::Tile,
        BuiltinOperator::ExpandDims => Op::ExpandDims,
        BuiltinOperator::Equal => Op::Equal,
        BuiltinOperator::NotEqual => Op::NotEqual,
        BuiltinOperator::Log => Op::Log,
        BuiltinOperator::Sum => Op::Sum(reducer_options(
            node.builtin_options_as_reducer_options()
                .map_or_else(|| mismatch(node, "ReducerOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Sqrt => Op::Sqrt,
        BuiltinOperator::Rsqrt => Op::Rsqrt,
        BuiltinOperator::Shape => Op::Shape(shape_options(
            node.builtin_options_as_shape_options().map_or_else(|| mismatch(node, "ShapeOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Pow => Op::Pow,
        BuiltinOperator::ArgMin => Op::ArgMin(arg_min_options(
            node.builtin_options_as_arg_min_options()
                .map_or_else(|| mismatch(node, "ArgMinOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::FakeQuant => Op::FakeQuant(fake_quant_options(
            node.builtin_options_as_fake_quant_options()
                .map_or_else(|| mismatch(node, "FakeQuantOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::ReduceProd => Op::ReduceProd(reducer_options(
            node.builtin_options_as_reducer_options()
                .map_or_else(|| mismatch(node, "ReducerOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::ReduceMax => Op::ReduceMax(reducer_options(
            node.builtin_options_as_reducer_options()
                .map_or_else(|| mismatch(node, "ReducerOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Pack => Op::Pack(pack_options(
            node.builtin_options_as_pack_options().map_or_else(|| mismatch(node, "PackOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::LogicalOr => Op::LogicalOr,
        BuiltinOperator::OneHot => Op::OneHot(one_hot_options(
            node.builtin_options_as_one_hot_options()
                .map_or_else(|| mismatch(node, "OneHotOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::LogicalAnd => Op::LogicalAnd,
        BuiltinOperator::LogicalNot => Op::LogicalNot,
        BuiltinOperator::Unpack => Op::Unpack(unpack_options(
            node.builtin_options_as_unpack_options()
                .map_or_else(|| mismatch(node, "UnpackOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::ReduceMin => Op::ReduceMin(reducer_options(
            node.builtin_options_as_reducer_options()
                .map_or_else(|| mismatch(node, "ReducerOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::FloorDiv => Op::FloorDiv,
        BuiltinOperator::ReduceAny => Op::ReduceAny(reducer_options(
            node.builtin_options_as_reducer_options()
                .map_or_else(|| mismatch(node, "ReducerOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Square => Op::Square,
        BuiltinOperator::ZerosLike => Op::ZerosLike,
        BuiltinOperator::Fill => Op::Fill,
        BuiltinOperator::FloorMod => Op::FloorMod,
        BuiltinOperator::Range => Op::Range,
        BuiltinOperator::ResizeNearestNeighbor => Op::ResizeNearestNeighbor(resize_nearest_neighbor_options(
            node.builtin_options_as_resize_nearest_neighbor_options()
                .map_or_else(|| mismatch(node, "ResizeNearestNeighborOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::LeakyRelu => Op::LeakyRelu(leaky_relu_options(
            node.builtin_options_as_leaky_relu_options()
                .map_or_else(|| mismatch(node, "LeakyReluOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::SquaredDifference => Op::SquaredDifference,
        BuiltinOperator::MirrorPad => Op::MirrorPad(mirror_pad_options(
            node.builtin_options_as_mirror_pad_options()
                .map_or_else(|| mismatch(node, "MirrorPadOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Abs => Op::Abs,
        BuiltinOperator::SplitV => Op::SplitV(split_voptions(
            node.builtin_options_as_split_voptions()
                .map_or_else(|| mismatch(node, "SplitVOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Unique => Op::Unique(unique_options(
            node.builtin_options_as_unique_options()
                .map_or_else(|| mismatch(node, "UniqueOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Ceil => Op::Ceil,
        BuiltinOperator::ReverseV2 => Op::ReverseV2,
        BuiltinOperator::AddN => Op::AddN,
        BuiltinOperator::GatherNd => Op::GatherNd,
        BuiltinOperator::Cos => Op::Cos,
        BuiltinOperator::Where => Op::Where,
        BuiltinOperator::Rank => Op::Rank,
        BuiltinOperator::Elu => Op::Elu,
        BuiltinOperator::ReverseSequence => Op::ReverseSequence(reverse_sequence_options(
            node.builtin_options_as_reverse_sequence_options()
                .map_or_else(|| mismatch(node, "ReverseSequenceOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::MatrixDiag => Op::MatrixDiag,
        BuiltinOperator::Quantize => Op::Quantize,
        BuiltinOperator::MatrixSetDiag => Op::MatrixSetDiag,
        BuiltinOperator::Round => Op::Round,
        BuiltinOperator::HardSwish => Op::HardSwish,
        BuiltinOperator::If => Op::If(if_options(
            node.builtin_options_as_if_options().map_or_else(|| mismatch(node, "IfOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::While => Op::While(while_options(
            node.builtin_options_as_while_options().map_or_else(|| mismatch(node, "WhileOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::NonMaxSuppressionV4 => Op::NonMaxSuppressionV4,
        BuiltinOperator::NonMaxSuppressionV5 => Op::NonMaxSuppressionV5,
        BuiltinOperator::ScatterNd => Op::ScatterNd,
        BuiltinOperator::SelectV2 => Op::SelectV2,
        BuiltinOperator::Densify => Op::Densify,
        BuiltinOperator::SegmentSum => Op::SegmentSum,
        BuiltinOperator::BatchMatmul => Op::BatchMatmul(batch_mat_mul_options(
            node.builtin_options_as_batch_mat_mul_options()
                .map_or_else(|| mismatch(node, "BatchMatMulOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::PlaceholderForGreaterOpCodes => Op::PlaceholderForGreaterOpCodes,
        BuiltinOperator::Cumsum => Op::Cumsum(cumsum_options(
            node.builtin_options_as_cumsum_options()
                .map_or_else(|| mismatch(node, "CumsumOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::CallOnce => Op::CallOnce(call_once_options(
            node.builtin_options_as_call_once_options()
                .map_or_else(|| mismatch(node, "CallOnceOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::BroadcastTo => Op::BroadcastTo,
        BuiltinOperator::Rfft2d => Op::Rfft2d,
        BuiltinOperator::Conv3d => Op::Conv3d(conv3d_options(
            node.builtin_options_as_conv_3_doptions()
                .map_or_else(|| mismatch(node, "Conv3DOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Imag => Op::Imag,
        BuiltinOperator::Real => Op::Real,
        BuiltinOperator::ComplexAbs => Op::ComplexAbs,
        BuiltinOperator::Hashtable => Op::Hashtable(hashtable_options(
            node.builtin_options_as_hashtable_options()
                .map_or_else(|| mismatch(node, "HashtableOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::HashtableFind => Op::HashtableFind,
        BuiltinOperator::HashtableImport => Op::HashtableImport,
        BuiltinOperator::HashtableSize => Op::HashtableSize,
        BuiltinOperator::ReduceAll => Op::ReduceAll(reducer_options(
            node.builtin_options_as_reducer_options()
                .map_or_else(|| mismatch(node, "ReducerOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Conv3dTranspose => Op::Conv3dTranspose(conv3d_options(
            node.builtin_options_as_conv_3_doptions()
                .map_or_else(|| mismatch(node, "Conv3DOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::VarHandle => Op::VarHandle(var_handle_options(
            node.builtin_options_as_var_handle_options()
                .map_or_else(|| mismatch(node, "VarHandleOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::ReadVariable => Op::ReadVariable,
        BuiltinOperator::AssignVariable => Op::AssignVariable,
        BuiltinOperator::BroadcastArgs => Op::BroadcastArgs,
        BuiltinOperator::RandomStandardNormal => Op::RandomStandardNormal(random_options(
            node.builtin_options_as_random_options()
                .map_or_else(|| mismatch(node, "RandomOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Bucketize => Op::Bucketize(bucketize_options(
            node.builtin_options_as_bucketize_options()
                .map_or_else(|| mismatch(node, "BucketizeOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::RandomUniform => Op::RandomUniform(random_options(
            node.builtin_options_as_random_options()
                .map_or_else(|| mismatch(node, "RandomOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Multinomial => Op::Multinomial(random_options(
            node.builtin_options_as_random_options()
                .map_or_else(|| mismatch(node, "RandomOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Gelu => Op::Gelu(gelu_options(
            node.builtin_options_as_gelu_options().map_or_else(|| mismatch(node, "GeluOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::DynamicUpdateSlice => Op::DynamicUpdateSlice,
        BuiltinOperator::Relu0To1 => Op::Relu0To1,
        BuiltinOperator::UnsortedSegmentProd => Op::UnsortedSegmentProd,
        BuiltinOperator::UnsortedSegmentMax => Op::UnsortedSegmentMax,
        BuiltinOperator::UnsortedSegmentSum => Op::UnsortedSegmentSum,
        BuiltinOperator::Atan2 => Op::Atan2,
        BuiltinOperator::UnsortedSegmentMin => Op::UnsortedSegmentMin,
        BuiltinOperator::Sign => Op::Sign,
        BuiltinOperator::Bitcast => Op::Bitcast,
        BuiltinOperator::BitwiseXor => Op::BitwiseXor,
        BuiltinOperator::RightShift => Op::RightShift,
        BuiltinOperator::StablehloLogistic => Op::StablehloLogistic,
        BuiltinOperator::StablehloAdd => Op::StablehloAdd,
        BuiltinOperator::StablehloDivide => Op::StablehloDivide,
        BuiltinOperator::StablehloMultiply => Op::StablehloMultiply,
        BuiltinOperator::StablehloMaximum => Op::StablehloMaximum,
        BuiltinOperator::StablehloReshape => Op::StablehloReshape,
        BuiltinOperator::StablehloClamp => Op::StablehloClamp,
        BuiltinOperator::StablehloConcatenate => Op::StablehloConcatenate(stablehlo_concatenate_options(
            node.builtin_options_2_as_stablehlo_concatenate_options()
                .map_or_else(|| mismatch(node, "StablehloConcatenateOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloBroadcastInDim => Op::StablehloBroadcastInDim(stablehlo_broadcast_in_dim_options(
            node.builtin_options_2_as_stablehlo_broadcast_in_dim_options()
                .map_or_else(|| mismatch(node, "StablehloBroadcastInDimOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloConvolution => Op::StablehloConvolution(stablehlo_convolution_options(
            node.builtin_options_2_as_stablehlo_convolution_options()
                .map_or_else(|| mismatch(node, "StablehloConvolutionOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloSlice => Op::StablehloSlice(stablehlo_slice_options(
            node.builtin_options_2_as_stablehlo_slice_options()
                .map_or_else(|| mismatch(node, "StablehloSliceOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloCustomCall => Op::StablehloCustomCall(stablehlo_custom_call_options(
            node.builtin_options_2_as_stablehlo_custom_call_options()
                .map_or_else(|| mismatch(node, "StablehloCustomCallOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloReduce => Op::StablehloReduce(stablehlo_reduce_options(
            node.builtin_options_2_as_stablehlo_reduce_options()
                .map_or_else(|| mismatch(node, "StablehloReduceOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloAbs => Op::StablehloAbs,
        BuiltinOperator::StablehloAnd => Op::StablehloAnd,
        BuiltinOperator::StablehloCosine => Op::StablehloCosine,
        BuiltinOperator::StablehloExponential => Op::StablehloExponential,
        BuiltinOperator::StablehloFloor => Op::StablehloFloor,
        BuiltinOperator::StablehloLog => Op::StablehloLog,
        BuiltinOperator::StablehloMinimum => Op::StablehloMinimum,
        BuiltinOperator::StablehloNegate => Op::StablehloNegate,
        BuiltinOperator::StablehloOr => Op::StablehloOr,
        BuiltinOperator::StablehloPower => Op::StablehloPower,
        BuiltinOperator::StablehloRemainder => Op::StablehloRemainder,
        BuiltinOperator::StablehloRsqrt => Op::StablehloRsqrt,
        BuiltinOperator::StablehloSelect => Op::StablehloSelect,
        BuiltinOperator::StablehloSubtract => Op::StablehloSubtract,
        BuiltinOperator::StablehloTanh => Op::StablehloTanh,
        BuiltinOperator::StablehloScatter => Op::StablehloScatter(stablehlo_scatter_options(
            node.builtin_options_2_as_stablehlo_scatter_options()
                .map_or_else(|| mismatch(node, "StablehloScatterOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloCompare => Op::StablehloCompare(stablehlo_compare_options(
            node.builtin_options_2_as_stablehlo_compare_options()
                .map_or_else(|| mismatch(node, "StablehloCompareOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloConvert => Op::StablehloConvert,
        BuiltinOperator::StablehloDynamicSlice => Op::StablehloDynamicSlice(stablehlo_dynamic_slice_options(
            node.builtin_options_2_as_stablehlo_dynamic_slice_options()
                .map_or_else(|| mismatch(node, "StablehloDynamicSliceOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloDynamicUpdateSlice => Op::StablehloDynamicUpdateSlice,
        BuiltinOperator::StablehloPad => Op::StablehloPad(stablehlo_pad_options(
            node.builtin_options_2_as_stablehlo_pad_options()
                .map_or_else(|| mismatch(node, "StablehloPadOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloIota => Op::StablehloIota(stablehlo_iota_options(
            node.builtin_options_2_as_stablehlo_iota_options()
                .map_or_else(|| mismatch(node, "StablehloIotaOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloDotGeneral => Op::StablehloDotGeneral(stablehlo_dot_general_options(
            node.builtin_options_2_as_stablehlo_dot_general_options()
                .map_or_else(|| mismatch(node, "StablehloDotGeneralOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloReduceWindow => Op::StablehloReduceWindow(stablehlo_reduce_window_options(
            node.builtin_options_2_as_stablehlo_reduce_window_options()
                .map_or_else(|| mismatch(node, "StablehloReduceWindowOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloSort => Op::StablehloSort(stablehlo_sort_options(
            node.builtin_options_2_as_stablehlo_sort_options()
                .map_or_else(|| mismatch(node, "StablehloSortOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloWhile => Op::StablehloWhile(stablehlo_while_options(
            node.builtin_options_2_as_stablehlo_while_options()
                .map_or_else(|| mismatch(node, "StablehloWhileOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloGather => Op::StablehloGather(stablehlo_gather_options(
            node.builtin_options_2_as_stablehlo_gather_options()
                .map_or_else(|| mismatch(node, "StablehloGatherOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloTranspose => Op::StablehloTranspose(stablehlo_transpose_options(
            node.builtin_options_2_as_stablehlo_transpose_options()
                .map_or_else(|| mismatch(node, "StablehloTransposeOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Dilate => Op::Dilate,
        BuiltinOperator::StablehloRngBitGenerator => Op::StablehloRngBitGenerator(stablehlo_rng_bit_generator_options(
            node.builtin_options_2_as_stablehlo_rng_bit_generator_options()
                .map_or_else(|| mismatch(node, "StablehloRngBitGeneratorOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::ReduceWindow => Op::ReduceWindow(reduce_window_options(
            node.builtin_options_2_as_reduce_window_options()
                .map_or_else(|| mismatch(node, "ReduceWindowOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloComposite => Op::StablehloComposite(stablehlo_composite_options(
            node.builtin_options_2_as_stable_hlocomposite_options()
                .map_or_else(|| mismatch(node, "StableHLOCompositeOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::StablehloShiftLeft => Op::StablehloShiftLeft,
        BuiltinOperator::StablehloCbrt => Op::StablehloCbrt,
        BuiltinOperator::StablehloCase => Op::StablehloCase(stablehlo_case_options(
            node.builtin_options_2_as_stablehlo_case_options()
                .map_or_else(|| mismatch(node, "StablehloCaseOptions"), |t| Ok(Some(t)))?,
        )?),
        BuiltinOperator::Custom => return Err(AttributeError::Custom),
    })
}

fn stablehlo_gather_options(
    table: Option<schema::StablehloGatherOptions<'_>>,
) -> Result<StablehloGatherOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloGatherOptions::default()) };
    Ok(StablehloGatherOptions {
        offset_dims: list(table.offset_dims()),
        collapsed_slice_dims: list(table.collapsed_slice_dims()),
        start_index_map: list(table.start_index_map()),
        index_vector_dim: table.index_vector_dim(),
        slice_sizes: list(table.slice_sizes()),
        indices_are_sorted: table.indices_are_sorted(),
    })
}

fn stablehlo_transpose_options(
    table: Option<schema::StablehloTransposeOptions<'_>>,
) -> Result<StablehloTransposeOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloTransposeOptions::default()) };
    Ok(StablehloTransposeOptions { permutation: list(table.permutation()) })
}

fn stablehlo_dot_general_options(
    table: Option<schema::StablehloDotGeneralOptions<'_>>,
) -> Result<StablehloDotGeneralOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloDotGeneralOptions::default()) };
    Ok(StablehloDotGeneralOptions {
        lhs_batching_dimensions: list(table.lhs_batching_dimensions()),
        rhs_batching_dimensions: list(table.rhs_batching_dimensions()),
        lhs_contracting_dimensions: list(table.lhs_contracting_dimensions()),
        rhs_contracting_dimensions: list(table.rhs_contracting_dimensions()),
        precision_config: codes(
            "precision_config",
            table.precision_config(),
            |v| i64::from(v.0),
            StablehloPrecisionConfig::from_code,
        )?,
    })
}

fn stablehlo_reduce_window_options(
    table: Option<schema::StablehloReduceWindowOptions<'_>>,
) -> Result<StablehloReduceWindowOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloReduceWindowOptions::default()) };
    Ok(StablehloReduceWindowOptions {
        window_dimensions: list(table.window_dimensions()),
        window_strides: list(table.window_strides()),
        base_dilations: list(table.base_dilations()),
        window_dilations: list(table.window_dilations()),
        padding: list(table.padding()),
        body_subgraph_index: table.body_subgraph_index(),
    })
}

fn stablehlo_while_options(
    table: Option<schema::StablehloWhileOptions<'_>>,
) -> Result<StablehloWhileOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloWhileOptions::default()) };
    Ok(StablehloWhileOptions {
        cond_subgraph_index: table.cond_subgraph_index(),
        body_subgraph_index: table.body_subgraph_index(),
    })
}

fn stablehlo_sort_options(
    table: Option<schema::StablehloSortOptions<'_>>,
) -> Result<StablehloSortOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloSortOptions::default()) };
    Ok(StablehloSortOptions {
        dimension: table.dimension(),
        is_stable: table.is_stable(),
        comparator_subgraph_index: table.comparator_subgraph_index(),
    })
}

fn stablehlo_concatenate_options(
    table: Option<schema::StablehloConcatenateOptions<'_>>,
) -> Result<StablehloConcatenateOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloConcatenateOptions::default()) };
    Ok(StablehloConcatenateOptions { dimension: table.dimension() })
}

fn stablehlo_broadcast_in_dim_options(
    table: Option<schema::StablehloBroadcastInDimOptions<'_>>,
) -> Result<StablehloBroadcastInDimOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloBroadcastInDimOptions::default()) };
    Ok(StablehloBroadcastInDimOptions { broadcast_dimensions: list(table.broadcast_dimensions()) })
}

fn stablehlo_compare_options(
    table: Option<schema::StablehloCompareOptions<'_>>,
) -> Result<StablehloCompareOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloCompareOptions::default()) };
    Ok(StablehloCompareOptions {
        comparison_direction: code(
            "comparison_direction",
            i64::from(table.comparison_direction().0),
            StablehloComparisonDirection::from_code,
        )?,
        compare_type: code("compare_type", i64::from(table.compare_type().0), StablehloComparisonType::from_code)?,
    })
}

fn stablehlo_dynamic_slice_options(
    table: Option<schema::StablehloDynamicSliceOptions<'_>>,
) -> Result<StablehloDynamicSliceOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloDynamicSliceOptions::default()) };
    Ok(StablehloDynamicSliceOptions { slice_sizes: list(table.slice_sizes()) })
}

fn stablehlo_pad_options(
    table: Option<schema::StablehloPadOptions<'_>>,
) -> Result<StablehloPadOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloPadOptions::default()) };
    Ok(StablehloPadOptions {
        edge_padding_low: list(table.edge_padding_low()),
        edge_padding_high: list(table.edge_padding_high()),
        interior_padding: list(table.interior_padding()),
    })
}

fn stablehlo_iota_options(
    table: Option<schema::StablehloIotaOptions<'_>>,
) -> Result<StablehloIotaOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloIotaOptions::default()) };
    Ok(StablehloIotaOptions { iota_dimension: table.iota_dimension() })
}

fn stablehlo_custom_call_options(
    table: Option<schema::StablehloCustomCallOptions<'_>>,
) -> Result<StablehloCustomCallOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloCustomCallOptions::default()) };
    Ok(StablehloCustomCallOptions {
        call_target_name: text(table.call_target_name()),
        has_side_effect: table.has_side_effect(),
        backend_config: text(table.backend_config()),
        api_version: table.api_version(),
        called_computations: list(table.called_computations()),
        custom_attributes: list(table.custom_attributes()),
    })
}

fn stablehlo_reduce_options(
    table: Option<schema::StablehloReduceOptions<'_>>,
) -> Result<StablehloReduceOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloReduceOptions::default()) };
    Ok(StablehloReduceOptions {
        dimensions: list(table.dimensions()),
        body_subgraph_index: table.body_subgraph_index(),
    })
}

fn stablehlo_slice_options(
    table: Option<schema::StablehloSliceOptions<'_>>,
) -> Result<StablehloSliceOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloSliceOptions::default()) };
    Ok(StablehloSliceOptions {
        start_indices: list(table.start_indices()),
        limit_indices: list(table.limit_indices()),
        strides: list(table.strides()),
    })
}

fn stablehlo_convolution_options(
    table: Option<schema::StablehloConvolutionOptions<'_>>,
) -> Result<StablehloConvolutionOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloConvolutionOptions::default()) };
    Ok(StablehloConvolutionOptions {
        window_strides: list(table.window_strides()),
        padding: list(table.padding()),
        lhs_dilation: list(table.lhs_dilation()),
        rhs_dilation: list(table.rhs_dilation()),
        window_reversal: list(table.window_reversal()),
        input_batch_dimension: table.input_batch_dimension(),
        input_feature_dimension: table.input_feature_dimension(),
        input_spatial_dimensions: list(table.input_spatial_dimensions()),
        kernel_input_feature_dimension: table.kernel_input_feature_dimension(),
        kernel_output_feature_dimension: table.kernel_output_feature_dimension(),
        kernel_spatial_dimensions: list(table.kernel_spatial_dimensions()),
        output_batch_dimension: table.output_batch_dimension(),
        output_feature_dimension: table.output_feature_dimension(),
        output_spatial_dimensions: list(table.output_spatial_dimensions()),
        feature_group_count: table.feature_group_count(),
        batch_group_count: table.batch_group_count(),
        precision_config: codes(
            "precision_config",
            table.precision_config(),
            |v| i64::from(v.0),
            StablehloPrecisionConfig::from_code,
        )?,
    })
}

fn stablehlo_scatter_options(
    table: Option<schema::StablehloScatterOptions<'_>>,
) -> Result<StablehloScatterOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloScatterOptions::default()) };
    Ok(StablehloScatterOptions {
        indices_are_sorted: table.indices_are_sorted(),
        update_window_dims: list(table.update_window_dims()),
        inserted_window_dims: list(table.inserted_window_dims()),
        scatter_dims_to_operand_dims: list(table.scatter_dims_to_operand_dims()),
        index_vector_dim: table.index_vector_dim(),
        unique_indices: table.unique_indices(),
        update_computation_subgraph_index: table.update_computation_subgraph_index(),
    })
}

fn stablehlo_case_options(
    table: Option<schema::StablehloCaseOptions<'_>>,
) -> Result<StablehloCaseOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloCaseOptions::default()) };
    Ok(StablehloCaseOptions { branch_subgraph_indices: list(table.branch_subgraph_indices()) })
}

fn stablehlo_rng_bit_generator_options(
    table: Option<schema::StablehloRngBitGeneratorOptions<'_>>,
) -> Result<StablehloRngBitGeneratorOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloRngBitGeneratorOptions::default()) };
    Ok(StablehloRngBitGeneratorOptions {
        algorithm: code("algorithm", i64::from(table.algorithm().0), RngAlgorithm::from_code)?,
    })
}

fn conv2d_options(table: Option<schema::Conv2DOptions<'_>>) -> Result<Conv2DOptions, AttributeError> {
    let Some(table) = table else { return Ok(Conv2DOptions::default()) };
    Ok(Conv2DOptions {
        padding: code("padding", i64::from(table.padding().0), Padding::from_code)?,
        stride_w: table.stride_w(),
        stride_h: table.stride_h(),
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        dilation_wfactor: table.dilation_wfactor(),
        dilation_hfactor: table.dilation_hfactor(),
        quantized_bias_type: code("quantized_bias_type", i64::from(table.quantized_bias_type().0), |c| {
            DType::from_code(i8::try_from(c).ok()?)
        })?,
    })
}

fn conv3d_options(table: Option<schema::Conv3DOptions<'_>>) -> Result<Conv3DOptions, AttributeError> {
    let Some(table) = table else { return Ok(Conv3DOptions::default()) };
    Ok(Conv3DOptions {
        padding: code("padding", i64::from(table.padding().0), Padding::from_code)?,
        stride_d: table.stride_d(),
        stride_w: table.stride_w(),
        stride_h: table.stride_h(),
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        dilation_dfactor: table.dilation_dfactor(),
        dilation_wfactor: table.dilation_wfactor(),
        dilation_hfactor: table.dilation_hfactor(),
    })
}

fn pool2d_options(table: Option<schema::Pool2DOptions<'_>>) -> Result<Pool2DOptions, AttributeError> {
    let Some(table) = table else { return Ok(Pool2DOptions::default()) };
    Ok(Pool2DOptions {
        padding: code("padding", i64::from(table.padding().0), Padding::from_code)?,
        stride_w: table.stride_w(),
        stride_h: table.stride_h(),
        filter_width: table.filter_width(),
        filter_height: table.filter_height(),
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
    })
}

fn depthwise_conv2d_options(
    table: Option<schema::DepthwiseConv2DOptions<'_>>,
) -> Result<DepthwiseConv2DOptions, AttributeError> {
    let Some(table) = table else { return Ok(DepthwiseConv2DOptions::default()) };
    Ok(DepthwiseConv2DOptions {
        padding: code("padding", i64::from(table.padding().0), Padding::from_code)?,
        stride_w: table.stride_w(),
        stride_h: table.stride_h(),
        depth_multiplier: table.depth_multiplier(),
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        dilation_wfactor: table.dilation_wfactor(),
        dilation_hfactor: table.dilation_hfactor(),
    })
}

fn concat_embeddings_options(
    table: Option<schema::ConcatEmbeddingsOptions<'_>>,
) -> Result<ConcatEmbeddingsOptions, AttributeError> {
    let Some(table) = table else { return Ok(ConcatEmbeddingsOptions::default()) };
    Ok(ConcatEmbeddingsOptions {
        num_channels: table.num_channels(),
        num_columns_per_channel: list(table.num_columns_per_channel()),
        embedding_dim_per_channel: list(table.embedding_dim_per_channel()),
    })
}

fn lsh_projection_options(
    table: Option<schema::LSHProjectionOptions<'_>>,
) -> Result<LshProjectionOptions, AttributeError> {
    let Some(table) = table else { return Ok(LshProjectionOptions::default()) };
    Ok(LshProjectionOptions { kind: code("type", i64::from(table.type_().0), LshProjectionType::from_code)? })
}

fn svdf_options(table: Option<schema::SVDFOptions<'_>>) -> Result<SvdfOptions, AttributeError> {
    let Some(table) = table else { return Ok(SvdfOptions::default()) };
    Ok(SvdfOptions {
        rank: table.rank(),
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        asymmetric_quantize_inputs: table.asymmetric_quantize_inputs(),
    })
}

fn rnn_options(table: Option<schema::RNNOptions<'_>>) -> Result<RnnOptions, AttributeError> {
    let Some(table) = table else { return Ok(RnnOptions::default()) };
    Ok(RnnOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        asymmetric_quantize_inputs: table.asymmetric_quantize_inputs(),
    })
}

fn sequence_rnn_options(table: Option<schema::SequenceRNNOptions<'_>>) -> Result<SequenceRnnOptions, AttributeError> {
    let Some(table) = table else { return Ok(SequenceRnnOptions::default()) };
    Ok(SequenceRnnOptions {
        time_major: table.time_major(),
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        asymmetric_quantize_inputs: table.asymmetric_quantize_inputs(),
    })
}

fn bidirectional_sequence_rnn_options(
    table: Option<schema::BidirectionalSequenceRNNOptions<'_>>,
) -> Result<BidirectionalSequenceRnnOptions, AttributeError> {
    let Some(table) = table else { return Ok(BidirectionalSequenceRnnOptions::default()) };
    Ok(BidirectionalSequenceRnnOptions {
        time_major: table.time_major(),
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        merge_outputs: table.merge_outputs(),
        asymmetric_quantize_inputs: table.asymmetric_quantize_inputs(),
    })
}

fn fully_connected_options(
    table: Option<schema::FullyConnectedOptions<'_>>,
) -> Result<FullyConnectedOptions, AttributeError> {
    let Some(table) = table else { return Ok(FullyConnectedOptions::default()) };
    Ok(FullyConnectedOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        weights_format: code(
            "weights_format",
            i64::from(table.weights_format().0),
            FullyConnectedOptionsWeightsFormat::from_code,
        )?,
        keep_num_dims: table.keep_num_dims(),
        asymmetric_quantize_inputs: table.asymmetric_quantize_inputs(),
        quantized_bias_type: code("quantized_bias_type", i64::from(table.quantized_bias_type().0), |c| {
            DType::from_code(i8::try_from(c).ok()?)
        })?,
        quant_spec: list(table.quant_spec()),
    })
}

fn softmax_options(table: Option<schema::SoftmaxOptions<'_>>) -> Result<SoftmaxOptions, AttributeError> {
    let Some(table) = table else { return Ok(SoftmaxOptions::default()) };
    Ok(SoftmaxOptions { beta: table.beta() })
}

fn concatenation_options(
    table: Option<schema::ConcatenationOptions<'_>>,
) -> Result<ConcatenationOptions, AttributeError> {
    let Some(table) = table else { return Ok(ConcatenationOptions::default()) };
    Ok(ConcatenationOptions {
        axis: table.axis(),
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
    })
}

fn add_options(table: Option<schema::AddOptions<'_>>) -> Result<AddOptions, AttributeError> {
    let Some(table) = table else { return Ok(AddOptions::default()) };
    Ok(AddOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        pot_scale_int16: table.pot_scale_int16(),
    })
}

fn mul_options(table: Option<schema::MulOptions<'_>>) -> Result<MulOptions, AttributeError> {
    let Some(table) = table else { return Ok(MulOptions::default()) };
    Ok(MulOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
    })
}

fn l2_norm_options(table: Option<schema::L2NormOptions<'_>>) -> Result<L2NormOptions, AttributeError> {
    let Some(table) = table else { return Ok(L2NormOptions::default()) };
    Ok(L2NormOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
    })
}

fn local_response_normalization_options(
    table: Option<schema::LocalResponseNormalizationOptions<'_>>,
) -> Result<LocalResponseNormalizationOptions, AttributeError> {
    let Some(table) = table else { return Ok(LocalResponseNormalizationOptions::default()) };
    Ok(LocalResponseNormalizationOptions {
        radius: table.radius(),
        bias: table.bias(),
        alpha: table.alpha(),
        beta: table.beta(),
    })
}

fn lstm_options(table: Option<schema::LSTMOptions<'_>>) -> Result<LstmOptions, AttributeError> {
    let Some(table) = table else { return Ok(LstmOptions::default()) };
    Ok(LstmOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        cell_clip: table.cell_clip(),
        proj_clip: table.proj_clip(),
        kernel_type: code("kernel_type", i64::from(table.kernel_type().0), LstmKernelType::from_code)?,
        asymmetric_quantize_inputs: table.asymmetric_quantize_inputs(),
    })
}

fn unidirectional_sequence_lstm_options(
    table: Option<schema::UnidirectionalSequenceLSTMOptions<'_>>,
) -> Result<UnidirectionalSequenceLstmOptions, AttributeError> {
    let Some(table) = table else { return Ok(UnidirectionalSequenceLstmOptions::default()) };
    Ok(UnidirectionalSequenceLstmOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        cell_clip: table.cell_clip(),
        proj_clip: table.proj_clip(),
        time_major: table.time_major(),
        asymmetric_quantize_inputs: table.asymmetric_quantize_inputs(),
        diagonal_recurrent_tensors: table.diagonal_recurrent_tensors(),
    })
}

fn bidirectional_sequence_lstm_options(
    table: Option<schema::BidirectionalSequenceLSTMOptions<'_>>,
) -> Result<BidirectionalSequenceLstmOptions, AttributeError> {
    let Some(table) = table else { return Ok(BidirectionalSequenceLstmOptions::default()) };
    Ok(BidirectionalSequenceLstmOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        cell_clip: table.cell_clip(),
        proj_clip: table.proj_clip(),
        merge_outputs: table.merge_outputs(),
        time_major: table.time_major(),
        asymmetric_quantize_inputs: table.asymmetric_quantize_inputs(),
    })
}

fn resize_bilinear_options(
    table: Option<schema::ResizeBilinearOptions<'_>>,
) -> Result<ResizeBilinearOptions, AttributeError> {
    let Some(table) = table else { return Ok(ResizeBilinearOptions::default()) };
    Ok(ResizeBilinearOptions { align_corners: table.align_corners(), half_pixel_centers: table.half_pixel_centers() })
}

fn resize_nearest_neighbor_options(
    table: Option<schema::ResizeNearestNeighborOptions<'_>>,
) -> Result<ResizeNearestNeighborOptions, AttributeError> {
    let Some(table) = table else { return Ok(ResizeNearestNeighborOptions::default()) };
    Ok(ResizeNearestNeighborOptions {
        align_corners: table.align_corners(),
        half_pixel_centers: table.half_pixel_centers(),
    })
}

fn call_options(table: Option<schema::CallOptions<'_>>) -> Result<CallOptions, AttributeError> {
    let Some(table) = table else { return Ok(CallOptions::default()) };
    Ok(CallOptions { subgraph: table.subgraph() })
}

fn reshape_options(table: Option<schema::ReshapeOptions<'_>>) -> Result<ReshapeOptions, AttributeError> {
    let Some(table) = table else { return Ok(ReshapeOptions::default()) };
    Ok(ReshapeOptions { new_shape: list(table.new_shape()) })
}

fn skip_gram_options(table: Option<schema::SkipGramOptions<'_>>) -> Result<SkipGramOptions, AttributeError> {
    let Some(table) = table else { return Ok(SkipGramOptions::default()) };
    Ok(SkipGramOptions {
        ngram_size: table.ngram_size(),
        max_skip_size: table.max_skip_size(),
        include_all_ngrams: table.include_all_ngrams(),
    })
}

fn space_to_depth_options(
    table: Option<schema::SpaceToDepthOptions<'_>>,
) -> Result<SpaceToDepthOptions, AttributeError> {
    let Some(table) = table else { return Ok(SpaceToDepthOptions::default()) };
    Ok(SpaceToDepthOptions { block_size: table.block_size() })
}

fn depth_to_space_options(
    table: Option<schema::DepthToSpaceOptions<'_>>,
) -> Result<DepthToSpaceOptions, AttributeError> {
    let Some(table) = table else { return Ok(DepthToSpaceOptions::default()) };
    Ok(DepthToSpaceOptions { block_size: table.block_size() })
}

fn sub_options(table: Option<schema::SubOptions<'_>>) -> Result<SubOptions, AttributeError> {
    let Some(table) = table else { return Ok(SubOptions::default()) };
    Ok(SubOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        pot_scale_int16: table.pot_scale_int16(),
    })
}

fn div_options(table: Option<schema::DivOptions<'_>>) -> Result<DivOptions, AttributeError> {
    let Some(table) = table else { return Ok(DivOptions::default()) };
    Ok(DivOptions {
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
    })
}

fn embedding_lookup_sparse_options(
    table: Option<schema::EmbeddingLookupSparseOptions<'_>>,
) -> Result<EmbeddingLookupSparseOptions, AttributeError> {
    let Some(table) = table else { return Ok(EmbeddingLookupSparseOptions::default()) };
    Ok(EmbeddingLookupSparseOptions {
        combiner: code("combiner", i64::from(table.combiner().0), CombinerType::from_code)?,
    })
}

fn gather_options(table: Option<schema::GatherOptions<'_>>) -> Result<GatherOptions, AttributeError> {
    let Some(table) = table else { return Ok(GatherOptions::default()) };
    Ok(GatherOptions { axis: table.axis(), batch_dims: table.batch_dims() })
}

fn reducer_options(table: Option<schema::ReducerOptions<'_>>) -> Result<ReducerOptions, AttributeError> {
    let Some(table) = table else { return Ok(ReducerOptions::default()) };
    Ok(ReducerOptions { keep_dims: table.keep_dims() })
}

fn squeeze_options(table: Option<schema::SqueezeOptions<'_>>) -> Result<SqueezeOptions, AttributeError> {
    let Some(table) = table else { return Ok(SqueezeOptions::default()) };
    Ok(SqueezeOptions { squeeze_dims: list(table.squeeze_dims()) })
}

fn split_options(table: Option<schema::SplitOptions<'_>>) -> Result<SplitOptions, AttributeError> {
    let Some(table) = table else { return Ok(SplitOptions::default()) };
    Ok(SplitOptions { num_splits: table.num_splits() })
}

fn split_voptions(table: Option<schema::SplitVOptions<'_>>) -> Result<SplitVOptions, AttributeError> {
    let Some(table) = table else { return Ok(SplitVOptions::default()) };
    Ok(SplitVOptions { num_splits: table.num_splits() })
}

fn strided_slice_options(
    table: Option<schema::StridedSliceOptions<'_>>,
) -> Result<StridedSliceOptions, AttributeError> {
    let Some(table) = table else { return Ok(StridedSliceOptions::default()) };
    Ok(StridedSliceOptions {
        begin_mask: table.begin_mask(),
        end_mask: table.end_mask(),
        ellipsis_mask: table.ellipsis_mask(),
        new_axis_mask: table.new_axis_mask(),
        shrink_axis_mask: table.shrink_axis_mask(),
        offset: table.offset(),
    })
}

fn cast_options(table: Option<schema::CastOptions<'_>>) -> Result<CastOptions, AttributeError> {
    let Some(table) = table else { return Ok(CastOptions::default()) };
    Ok(CastOptions {
        in_data_type: code("in_data_type", i64::from(table.in_data_type().0), |c| {
            DType::from_code(i8::try_from(c).ok()?)
        })?,
        out_data_type: code("out_data_type", i64::from(table.out_data_type().0), |c| {
            DType::from_code(i8::try_from(c).ok()?)
        })?,
    })
}

fn arg_max_options(table: Option<schema::ArgMaxOptions<'_>>) -> Result<ArgMaxOptions, AttributeError> {
    let Some(table) = table else { return Ok(ArgMaxOptions::default()) };
    Ok(ArgMaxOptions {
        output_type: code("output_type", i64::from(table.output_type().0), |c| {
            DType::from_code(i8::try_from(c).ok()?)
        })?,
    })
}

fn arg_min_options(table: Option<schema::ArgMinOptions<'_>>) -> Result<ArgMinOptions, AttributeError> {
    let Some(table) = table else { return Ok(ArgMinOptions::default()) };
    Ok(ArgMinOptions {
        output_type: code("output_type", i64::from(table.output_type().0), |c| {
            DType::from_code(i8::try_from(c).ok()?)
        })?,
    })
}

fn transpose_conv_options(
    table: Option<schema::TransposeConvOptions<'_>>,
) -> Result<TransposeConvOptions, AttributeError> {
    let Some(table) = table else { return Ok(TransposeConvOptions::default()) };
    Ok(TransposeConvOptions {
        padding: code("padding", i64::from(table.padding().0), Padding::from_code)?,
        stride_w: table.stride_w(),
        stride_h: table.stride_h(),
        fused_activation_function: code(
            "fused_activation_function",
            i64::from(table.fused_activation_function().0),
            ActivationFunctionType::from_code,
        )?,
        quantized_bias_type: code("quantized_bias_type", i64::from(table.quantized_bias_type().0), |c| {
            DType::from_code(i8::try_from(c).ok()?)
        })?,
    })
}

fn sparse_to_dense_options(
    table: Option<schema::SparseToDenseOptions<'_>>,
) -> Result<SparseToDenseOptions, AttributeError> {
    let Some(table) = table else { return Ok(SparseToDenseOptions::default()) };
    Ok(SparseToDenseOptions { validate_indices: table.validate_indices() })
}

fn shape_options(table: Option<schema::ShapeOptions<'_>>) -> Result<ShapeOptions, AttributeError> {
    let Some(table) = table else { return Ok(ShapeOptions::default()) };
    Ok(ShapeOptions {
        out_type: code("out_type", i64::from(table.out_type().0), |c| DType::from_code(i8::try_from(c).ok()?))?,
    })
}

fn fake_quant_options(table: Option<schema::FakeQuantOptions<'_>>) -> Result<FakeQuantOptions, AttributeError> {
    let Some(table) = table else { return Ok(FakeQuantOptions::default()) };
    Ok(FakeQuantOptions {
        min: table.min(),
        max: table.max(),
        num_bits: table.num_bits(),
        narrow_range: table.narrow_range(),
    })
}

fn pack_options(table: Option<schema::PackOptions<'_>>) -> Result<PackOptions, AttributeError> {
    let Some(table) = table else { return Ok(PackOptions::default()) };
    Ok(PackOptions { values_count: table.values_count(), axis: table.axis() })
}

fn one_hot_options(table: Option<schema::OneHotOptions<'_>>) -> Result<OneHotOptions, AttributeError> {
    let Some(table) = table else { return Ok(OneHotOptions::default()) };
    Ok(OneHotOptions { axis: table.axis() })
}

fn unpack_options(table: Option<schema::UnpackOptions<'_>>) -> Result<UnpackOptions, AttributeError> {
    let Some(table) = table else { return Ok(UnpackOptions::default()) };
    Ok(UnpackOptions { num: table.num(), axis: table.axis() })
}

fn leaky_relu_options(table: Option<schema::LeakyReluOptions<'_>>) -> Result<LeakyReluOptions, AttributeError> {
    let Some(table) = table else { return Ok(LeakyReluOptions::default()) };
    Ok(LeakyReluOptions { alpha: table.alpha() })
}

fn mirror_pad_options(table: Option<schema::MirrorPadOptions<'_>>) -> Result<MirrorPadOptions, AttributeError> {
    let Some(table) = table else { return Ok(MirrorPadOptions::default()) };
    Ok(MirrorPadOptions { mode: code("mode", i64::from(table.mode().0), MirrorPadMode::from_code)? })
}

fn unique_options(table: Option<schema::UniqueOptions<'_>>) -> Result<UniqueOptions, AttributeError> {
    let Some(table) = table else { return Ok(UniqueOptions::default()) };
    Ok(UniqueOptions {
        idx_out_type: code("idx_out_type", i64::from(table.idx_out_type().0), |c| {
            DType::from_code(i8::try_from(c).ok()?)
        })?,
    })
}

fn reverse_sequence_options(
    table: Option<schema::ReverseSequenceOptions<'_>>,
) -> Result<ReverseSequenceOptions, AttributeError> {
    let Some(table) = table else { return Ok(ReverseSequenceOptions::default()) };
    Ok(ReverseSequenceOptions { seq_dim: table.seq_dim(), batch_dim: table.batch_dim() })
}

fn if_options(table: Option<schema::IfOptions<'_>>) -> Result<IfOptions, AttributeError> {
    let Some(table) = table else { return Ok(IfOptions::default()) };
    Ok(IfOptions { then_subgraph_index: table.then_subgraph_index(), else_subgraph_index: table.else_subgraph_index() })
}

fn call_once_options(table: Option<schema::CallOnceOptions<'_>>) -> Result<CallOnceOptions, AttributeError> {
    let Some(table) = table else { return Ok(CallOnceOptions::default()) };
    Ok(CallOnceOptions { init_subgraph_index: table.init_subgraph_index() })
}

fn while_options(table: Option<schema::WhileOptions<'_>>) -> Result<WhileOptions, AttributeError> {
    let Some(table) = table else { return Ok(WhileOptions::default()) };
    Ok(WhileOptions {
        cond_subgraph_index: table.cond_subgraph_index(),
        body_subgraph_index: table.body_subgraph_index(),
    })
}

fn batch_mat_mul_options(table: Option<schema::BatchMatMulOptions<'_>>) -> Result<BatchMatMulOptions, AttributeError> {
    let Some(table) = table else { return Ok(BatchMatMulOptions::default()) };
    Ok(BatchMatMulOptions {
        adj_x: table.adj_x(),
        adj_y: table.adj_y(),
        asymmetric_quantize_inputs: table.asymmetric_quantize_inputs(),
    })
}

fn cumsum_options(table: Option<schema::CumsumOptions<'_>>) -> Result<CumsumOptions, AttributeError> {
    let Some(table) = table else { return Ok(CumsumOptions::default()) };
    Ok(CumsumOptions { exclusive: table.exclusive(), reverse: table.reverse() })
}

fn hashtable_options(table: Option<schema::HashtableOptions<'_>>) -> Result<HashtableOptions, AttributeError> {
    let Some(table) = table else { return Ok(HashtableOptions::default()) };
    Ok(HashtableOptions {
        table_id: table.table_id(),
        key_dtype: code("key_dtype", i64::from(table.key_dtype().0), |c| DType::from_code(i8::try_from(c).ok()?))?,
        value_dtype: code("value_dtype", i64::from(table.value_dtype().0), |c| {
            DType::from_code(i8::try_from(c).ok()?)
        })?,
    })
}

fn var_handle_options(table: Option<schema::VarHandleOptions<'_>>) -> Result<VarHandleOptions, AttributeError> {
    let Some(table) = table else { return Ok(VarHandleOptions::default()) };
    Ok(VarHandleOptions { container: text(table.container()), shared_name: text(table.shared_name()) })
}

fn random_options(table: Option<schema::RandomOptions<'_>>) -> Result<RandomOptions, AttributeError> {
    let Some(table) = table else { return Ok(RandomOptions::default()) };
    Ok(RandomOptions { seed: table.seed(), seed2: table.seed2() })
}

fn bucketize_options(table: Option<schema::BucketizeOptions<'_>>) -> Result<BucketizeOptions, AttributeError> {
    let Some(table) = table else { return Ok(BucketizeOptions::default()) };
    Ok(BucketizeOptions { boundaries: list(table.boundaries()) })
}

fn gelu_options(table: Option<schema::GeluOptions<'_>>) -> Result<GeluOptions, AttributeError> {
    let Some(table) = table else { return Ok(GeluOptions::default()) };
    Ok(GeluOptions { approximate: table.approximate() })
}

fn reduce_window_options(
    table: Option<schema::ReduceWindowOptions<'_>>,
) -> Result<ReduceWindowOptions, AttributeError> {
    let Some(table) = table else { return Ok(ReduceWindowOptions::default()) };
    Ok(ReduceWindowOptions {
        reduce_function: code(
            "reduce_function",
            i64::from(table.reduce_function().0),
            ReduceWindowFunction::from_code,
        )?,
    })
}

fn stablehlo_composite_options(
    table: Option<schema::StableHLOCompositeOptions<'_>>,
) -> Result<StablehloCompositeOptions, AttributeError> {
    let Some(table) = table else { return Ok(StablehloCompositeOptions::default()) };
    Ok(StablehloCompositeOptions {
        name: text(table.name()),
        decomposition_subgraph_index: table.decomposition_subgraph_index(),
        composite_attributes: list(table.composite_attributes()),
        composite_attributes_format: code(
            "composite_attributes_format",
            i64::from(table.composite_attributes_format().0),
            CustomOptionsFormat::from_code,
        )?,
        version: table.version(),
    })
}
