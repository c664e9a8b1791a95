//! Writes the options table of every operator. Written by `cargo xtask schema`.

use flatbuffers::FlatBufferBuilder;

use super::schema;
use crate::{
    write::attributes::{Options, bytes},
    *,
};

/// Writes the options table of `op`, with nothing for the builtins that have none in the format.
pub(crate) fn write_options(b: &mut FlatBufferBuilder<'_>, op: &Op) -> Options {
    match op {
        Op::Add(options) => add_options(b, options),
        Op::AveragePool2d(options) => pool2d_options(b, options),
        Op::Concatenation(options) => concatenation_options(b, options),
        Op::Conv2d(options) => conv2d_options(b, options),
        Op::DepthwiseConv2d(options) => depthwise_conv2d_options(b, options),
        Op::DepthToSpace(options) => depth_to_space_options(b, options),
        Op::Dequantize => {
            let table = schema::DequantizeOptions::create(b, &schema::DequantizeOptionsArgs {});
            Options::First(schema::BuiltinOptions::DequantizeOptions, table.as_union_value())
        }
        Op::FullyConnected(options) => fully_connected_options(b, options),
        Op::L2Normalization(options) => l2_norm_options(b, options),
        Op::L2Pool2d(options) => pool2d_options(b, options),
        Op::LocalResponseNormalization(options) => local_response_normalization_options(b, options),
        Op::LshProjection(options) => lsh_projection_options(b, options),
        Op::Lstm(options) => lstm_options(b, options),
        Op::MaxPool2d(options) => pool2d_options(b, options),
        Op::Mul(options) => mul_options(b, options),
        Op::Reshape(options) => reshape_options(b, options),
        Op::ResizeBilinear(options) => resize_bilinear_options(b, options),
        Op::Rnn(options) => rnn_options(b, options),
        Op::Softmax(options) => softmax_options(b, options),
        Op::SpaceToDepth(options) => space_to_depth_options(b, options),
        Op::Svdf(options) => svdf_options(b, options),
        Op::ConcatEmbeddings(options) => concat_embeddings_options(b, options),
        Op::SkipGram(options) => skip_gram_options(b, options),
        Op::Call(options) => call_options(b, options),
        Op::EmbeddingLookupSparse(options) => embedding_lookup_sparse_options(b, options),
        Op::Pad => {
            let table = schema::PadOptions::create(b, &schema::PadOptionsArgs {});
            Options::First(schema::BuiltinOptions::PadOptions, table.as_union_value())
        }
        Op::UnidirectionalSequenceRnn(options) => sequence_rnn_options(b, options),
        Op::Gather(options) => gather_options(b, options),
        Op::BatchToSpaceNd => {
            let table = schema::BatchToSpaceNDOptions::create(b, &schema::BatchToSpaceNDOptionsArgs {});
            Options::First(schema::BuiltinOptions::BatchToSpaceNDOptions, table.as_union_value())
        }
        Op::SpaceToBatchNd => {
            let table = schema::SpaceToBatchNDOptions::create(b, &schema::SpaceToBatchNDOptionsArgs {});
            Options::First(schema::BuiltinOptions::SpaceToBatchNDOptions, table.as_union_value())
        }
        Op::Transpose => {
            let table = schema::TransposeOptions::create(b, &schema::TransposeOptionsArgs {});
            Options::First(schema::BuiltinOptions::TransposeOptions, table.as_union_value())
        }
        Op::Mean(options) => reducer_options(b, options),
        Op::Sub(options) => sub_options(b, options),
        Op::Div(options) => div_options(b, options),
        Op::Squeeze(options) => squeeze_options(b, options),
        Op::UnidirectionalSequenceLstm(options) => unidirectional_sequence_lstm_options(b, options),
        Op::StridedSlice(options) => strided_slice_options(b, options),
        Op::BidirectionalSequenceRnn(options) => bidirectional_sequence_rnn_options(b, options),
        Op::Exp => {
            let table = schema::ExpOptions::create(b, &schema::ExpOptionsArgs {});
            Options::First(schema::BuiltinOptions::ExpOptions, table.as_union_value())
        }
        Op::TopkV2 => {
            let table = schema::TopKV2Options::create(b, &schema::TopKV2OptionsArgs {});
            Options::First(schema::BuiltinOptions::TopKV2Options, table.as_union_value())
        }
        Op::Split(options) => split_options(b, options),
        Op::LogSoftmax => {
            let table = schema::LogSoftmaxOptions::create(b, &schema::LogSoftmaxOptionsArgs {});
            Options::First(schema::BuiltinOptions::LogSoftmaxOptions, table.as_union_value())
        }
        Op::BidirectionalSequenceLstm(options) => bidirectional_sequence_lstm_options(b, options),
        Op::Cast(options) => cast_options(b, options),
        Op::Maximum => {
            let table = schema::MaximumMinimumOptions::create(b, &schema::MaximumMinimumOptionsArgs {});
            Options::First(schema::BuiltinOptions::MaximumMinimumOptions, table.as_union_value())
        }
        Op::ArgMax(options) => arg_max_options(b, options),
        Op::Minimum => {
            let table = schema::MaximumMinimumOptions::create(b, &schema::MaximumMinimumOptionsArgs {});
            Options::First(schema::BuiltinOptions::MaximumMinimumOptions, table.as_union_value())
        }
        Op::Less => {
            let table = schema::LessOptions::create(b, &schema::LessOptionsArgs {});
            Options::First(schema::BuiltinOptions::LessOptions, table.as_union_value())
        }
        Op::Neg => {
            let table = schema::NegOptions::create(b, &schema::NegOptionsArgs {});
            Options::First(schema::BuiltinOptions::NegOptions, table.as_union_value())
        }
        Op::Padv2 => {
            let table = schema::PadV2Options::create(b, &schema::PadV2OptionsArgs {});
            Options::First(schema::BuiltinOptions::PadV2Options, table.as_union_value())
        }
        Op::Greater => {
            let table = schema::GreaterOptions::create(b, &schema::GreaterOptionsArgs {});
            Options::First(schema::BuiltinOptions::GreaterOptions, table.as_union_value())
        }
        Op::GreaterEqual => {
            let table = schema::GreaterEqualOptions::create(b, &schema::GreaterEqualOptionsArgs {});
            Options::First(schema::BuiltinOptions::GreaterEqualOptions, table.as_union_value())
        }
        Op::LessEqual => {
            let table = schema::LessEqualOptions::create(b, &schema::LessEqualOptionsArgs {});
            Options::First(schema::BuiltinOptions::LessEqualOptions, table.as_union_value())
        }
        Op::Select => {
            let table = schema::SelectOptions::create(b, &schema::SelectOptionsArgs {});
            Options::First(schema::BuiltinOptions::SelectOptions, table.as_union_value())
        }
        Op::Slice => {
            let table = schema::SliceOptions::create(b, &schema::SliceOptionsArgs {});
            Options::First(schema::BuiltinOptions::SliceOptions, table.as_union_value())
        }
        Op::TransposeConv(options) => transpose_conv_options(b, options),
        Op::SparseToDense(options) => sparse_to_dense_options(b, options),
        Op::Tile => {
            let table = schema::TileOptions::create(b, &schema::TileOptionsArgs {});
            Options::First(schema::BuiltinOptions::TileOptions, table.as_union_value())
        }
        Op::ExpandDims => {
            let table = schema::ExpandDimsOptions::create(b, &schema::ExpandDimsOptionsArgs {});
            Options::First(schema::BuiltinOptions::ExpandDimsOptions, table.as_union_value())
        }
        Op::Equal => {
            let table = schema::EqualOptions::create(b, &schema::EqualOptionsArgs {});
            Options::First(schema::BuiltinOptions::EqualOptions, table.as_union_value())
        }
        Op::NotEqual => {
            let table = schema::NotEqualOptions::create(b, &schema::NotEqualOptionsArgs {});
            Options::First(schema::BuiltinOptions::NotEqualOptions, table.as_union_value())
        }
        Op::Sum(options) => reducer_options(b, options),
        Op::Shape(options) => shape_options(b, options),
        Op::Pow => {
            let table = schema::PowOptions::create(b, &schema::PowOptionsArgs {});
            Options::First(schema::BuiltinOptions::PowOptions, table.as_union_value())
        }
        Op::ArgMin(options) => arg_min_options(b, options),
        Op::FakeQuant(options) => fake_quant_options(b, options),
        Op::ReduceProd(options) => reducer_options(b, options),
        Op::ReduceMax(options) => reducer_options(b, options),
        Op::Pack(options) => pack_options(b, options),
        Op::LogicalOr => {
            let table = schema::LogicalOrOptions::create(b, &schema::LogicalOrOptionsArgs {});
            Options::First(schema::BuiltinOptions::LogicalOrOptions, table.as_union_value())
        }
        Op::OneHot(options) => one_hot_options(b, options),
        Op::LogicalAnd => {
            let table = schema::LogicalAndOptions::create(b, &schema::LogicalAndOptionsArgs {});
            Options::First(schema::BuiltinOptions::LogicalAndOptions, table.as_union_value())
        }
        Op::LogicalNot => {
            let table = schema::LogicalNotOptions::create(b, &schema::LogicalNotOptionsArgs {});
            Options::First(schema::BuiltinOptions::LogicalNotOptions, table.as_union_value())
        }
        Op::Unpack(options) => unpack_options(b, options),
        Op::ReduceMin(options) => reducer_options(b, options),
        Op::FloorDiv => {
            let table = schema::FloorDivOptions::create(b, &schema::FloorDivOptionsArgs {});
            Options::First(schema::BuiltinOptions::FloorDivOptions, table.as_union_value())
        }
        Op::ReduceAny(options) => reducer_options(b, options),
        Op::Square => {
            let table = schema::SquareOptions::create(b, &schema::SquareOptionsArgs {});
            Options::First(schema::BuiltinOptions::SquareOptions, table.as_union_value())
        }
        Op::ZerosLike => {
            let table = schema::ZerosLikeOptions::create(b, &schema::ZerosLikeOptionsArgs {});
            Options::First(schema::BuiltinOptions::ZerosLikeOptions, table.as_union_value())
        }
        Op::Fill => {
            let table = schema::FillOptions::create(b, &schema::FillOptionsArgs {});
            Options::First(schema::BuiltinOptions::FillOptions, table.as_union_value())
        }
        Op::FloorMod => {
            let table = schema::FloorModOptions::create(b, &schema::FloorModOptionsArgs {});
            Options::First(schema::BuiltinOptions::FloorModOptions, table.as_union_value())
        }
        Op::Range => {
            let table = schema::RangeOptions::create(b, &schema::RangeOptionsArgs {});
            Options::First(schema::BuiltinOptions::RangeOptions, table.as_union_value())
        }
        Op::ResizeNearestNeighbor(options) => resize_nearest_neighbor_options(b, options),
        Op::LeakyRelu(options) => leaky_relu_options(b, options),
        Op::SquaredDifference => {
            let table = schema::SquaredDifferenceOptions::create(b, &schema::SquaredDifferenceOptionsArgs {});
            Options::First(schema::BuiltinOptions::SquaredDifferenceOptions, table.as_union_value())
        }
        Op::MirrorPad(options) => mirror_pad_options(b, options),
        Op::Abs => {
            let table = schema::AbsOptions::create(b, &schema::AbsOptionsArgs {});
            Options::First(schema::BuiltinOptions::AbsOptions, table.as_union_value())
        }
        Op::SplitV(options) => split_voptions(b, options),
        Op::Unique(options) => unique_options(b, options),
        Op::ReverseV2 => {
            let table = schema::ReverseV2Options::create(b, &schema::ReverseV2OptionsArgs {});
            Options::First(schema::BuiltinOptions::ReverseV2Options, table.as_union_value())
        }
        Op::AddN => {
            let table = schema::AddNOptions::create(b, &schema::AddNOptionsArgs {});
            Options::First(schema::BuiltinOptions::AddNOptions, table.as_union_value())
        }
        Op::GatherNd => {
            let table = schema::GatherNdOptions::create(b, &schema::GatherNdOptionsArgs {});
            Options::First(schema::BuiltinOptions::GatherNdOptions, table.as_union_value())
        }
        Op::Cos => {
            let table = schema::CosOptions::create(b, &schema::CosOptionsArgs {});
            Options::First(schema::BuiltinOptions::CosOptions, table.as_union_value())
        }
        Op::Where => {
            let table = schema::WhereOptions::create(b, &schema::WhereOptionsArgs {});
            Options::First(schema::BuiltinOptions::WhereOptions, table.as_union_value())
        }
        Op::Rank => {
            let table = schema::RankOptions::create(b, &schema::RankOptionsArgs {});
            Options::First(schema::BuiltinOptions::RankOptions, table.as_union_value())
        }
        Op::ReverseSequence(options) => reverse_sequence_options(b, options),
        Op::MatrixDiag => {
            let table = schema::MatrixDiagOptions::create(b, &schema::MatrixDiagOptionsArgs {});
            Options::First(schema::BuiltinOptions::MatrixDiagOptions, table.as_union_value())
        }
        Op::Quantize => {
            let table = schema::QuantizeOptions::create(b, &schema::QuantizeOptionsArgs {});
            Options::First(schema::BuiltinOptions::QuantizeOptions, table.as_union_value())
        }
        Op::MatrixSetDiag => {
            let table = schema::MatrixSetDiagOptions::create(b, &schema::MatrixSetDiagOptionsArgs {});
            Options::First(schema::BuiltinOptions::MatrixSetDiagOptions, table.as_union_value())
        }
        Op::HardSwish => {
            let table = schema::HardSwishOptions::create(b, &schema::HardSwishOptionsArgs {});
            Options::First(schema::BuiltinOptions::HardSwishOptions, table.as_union_value())
        }
        Op::If(options) => if_options(b, options),
        Op::While(options) => while_options(b, options),
        Op::NonMaxSuppressionV4 => {
            let table = schema::NonMaxSuppressionV4Options::create(b, &schema::NonMaxSuppressionV4OptionsArgs {});
            Options::First(schema::BuiltinOptions::NonMaxSuppressionV4Options, table.as_union_value())
        }
        Op::NonMaxSuppressionV5 => {
            let table = schema::NonMaxSuppressionV5Options::create(b, &schema::NonMaxSuppressionV5OptionsArgs {});
            Options::First(schema::BuiltinOptions::NonMaxSuppressionV5Options, table.as_union_value())
        }
        Op::ScatterNd => {
            let table = schema::ScatterNdOptions::create(b, &schema::ScatterNdOptionsArgs {});
            Options::First(schema::BuiltinOptions::ScatterNdOptions, table.as_union_value())
        }
        Op::SelectV2 => {
            let table = schema::SelectV2Options::create(b, &schema::SelectV2OptionsArgs {});
            Options::First(schema::BuiltinOptions::SelectV2Options, table.as_union_value())
        }
        Op::Densify => {
            let table = schema::DensifyOptions::create(b, &schema::DensifyOptionsArgs {});
            Options::First(schema::BuiltinOptions::DensifyOptions, table.as_union_value())
        }
        Op::SegmentSum => {
            let table = schema::SegmentSumOptions::create(b, &schema::SegmentSumOptionsArgs {});
            Options::First(schema::BuiltinOptions::SegmentSumOptions, table.as_union_value())
        }
        Op::BatchMatmul(options) => batch_mat_mul_options(b, options),
        Op::Cumsum(options) => cumsum_options(b, options),
        Op::CallOnce(options) => call_once_options(b, options),
        Op::BroadcastTo => {
            let table = schema::BroadcastToOptions::create(b, &schema::BroadcastToOptionsArgs {});
            Options::First(schema::BuiltinOptions::BroadcastToOptions, table.as_union_value())
        }
        Op::Rfft2d => {
            let table = schema::Rfft2dOptions::create(b, &schema::Rfft2dOptionsArgs {});
            Options::First(schema::BuiltinOptions::Rfft2dOptions, table.as_union_value())
        }
        Op::Conv3d(options) => conv3d_options(b, options),
        Op::Hashtable(options) => hashtable_options(b, options),
        Op::HashtableFind => {
            let table = schema::HashtableFindOptions::create(b, &schema::HashtableFindOptionsArgs {});
            Options::First(schema::BuiltinOptions::HashtableFindOptions, table.as_union_value())
        }
        Op::HashtableImport => {
            let table = schema::HashtableImportOptions::create(b, &schema::HashtableImportOptionsArgs {});
            Options::First(schema::BuiltinOptions::HashtableImportOptions, table.as_union_value())
        }
        Op::HashtableSize => {
            let table = schema::HashtableSizeOptions::create(b, &schema::HashtableSizeOptionsArgs {});
            Options::First(schema::BuiltinOptions::HashtableSizeOptions, table.as_union_value())
        }
        Op::ReduceAll(options) => reducer_options(b, options),
        Op::Conv3dTranspose(options) => conv3d_options(b, options),
        Op::VarHandle(options) => var_handle_options(b, options),
        Op::ReadVariable => {
            let table = schema::ReadVariableOptions::create(b, &schema::ReadVariableOptionsArgs {});
            Options::First(schema::BuiltinOptions::ReadVariableOptions, table.as_union_value())
        }
        Op::AssignVariable => {
            let table = schema::AssignVariableOptions::create(b, &schema::AssignVariableOptionsArgs {});
            Options::First(schema::BuiltinOptions::AssignVariableOptions, table.as_union_value())
        }
        Op::RandomStandardNormal(options) => random_options(b, options),
        Op::Bucketize(options) => bucketize_options(b, options),
        Op::RandomUniform(options) => random_options(b, options),
        Op::Multinomial(options) => random_options(b, options),
        Op::Gelu(options) => gelu_options(b, options),
        Op::DynamicUpdateSlice => {
            let table = schema::DynamicUpdateSliceOptions::create(b, &schema::DynamicUpdateSliceOptionsArgs {});
            Options::First(schema::BuiltinOptions::DynamicUpdateSliceOptions, table.as_union_value())
        }
        Op::UnsortedSegmentProd => {
            let table = schema::UnsortedSegmentProdOptions::create(b, &schema::UnsortedSegmentProdOptionsArgs {});
            Options::First(schema::BuiltinOptions::UnsortedSegmentProdOptions, table.as_union_value())
        }
        Op::UnsortedSegmentMax => {
            let table = schema::UnsortedSegmentMaxOptions::create(b, &schema::UnsortedSegmentMaxOptionsArgs {});
            Options::First(schema::BuiltinOptions::UnsortedSegmentMaxOptions, table.as_union_value())
        }
        Op::UnsortedSegmentSum => {
            let table = schema::UnsortedSegmentSumOptions::create(b, &schema::UnsortedSegmentSumOptionsArgs {});
            Options::First(schema::BuiltinOptions::UnsortedSegmentSumOptions, table.as_union_value())
        }
        Op::Atan2 => {
            let table = schema::ATan2Options::create(b, &schema::ATan2OptionsArgs {});
            Options::First(schema::BuiltinOptions::ATan2Options, table.as_union_value())
        }
        Op::UnsortedSegmentMin => {
            let table = schema::UnsortedSegmentMinOptions::create(b, &schema::UnsortedSegmentMinOptionsArgs {});
            Options::First(schema::BuiltinOptions::UnsortedSegmentMinOptions, table.as_union_value())
        }
        Op::Sign => {
            let table = schema::SignOptions::create(b, &schema::SignOptionsArgs {});
            Options::First(schema::BuiltinOptions::SignOptions, table.as_union_value())
        }
        Op::Bitcast => {
            let table = schema::BitcastOptions::create(b, &schema::BitcastOptionsArgs {});
            Options::First(schema::BuiltinOptions::BitcastOptions, table.as_union_value())
        }
        Op::BitwiseXor => {
            let table = schema::BitwiseXorOptions::create(b, &schema::BitwiseXorOptionsArgs {});
            Options::First(schema::BuiltinOptions::BitwiseXorOptions, table.as_union_value())
        }
        Op::RightShift => {
            let table = schema::RightShiftOptions::create(b, &schema::RightShiftOptionsArgs {});
            Options::First(schema::BuiltinOptions::RightShiftOptions, table.as_union_value())
        }
        Op::StablehloConcatenate(options) => stablehlo_concatenate_options(b, options),
        Op::StablehloBroadcastInDim(options) => stablehlo_broadcast_in_dim_options(b, options),
        Op::StablehloConvolution(options) => stablehlo_convolution_options(b, options),
        Op::StablehloSlice(options) => stablehlo_slice_options(b, options),
        Op::StablehloCustomCall(options) => stablehlo_custom_call_options(b, options),
        Op::StablehloReduce(options) => stablehlo_reduce_options(b, options),
        Op::StablehloScatter(options) => stablehlo_scatter_options(b, options),
        Op::StablehloCompare(options) => stablehlo_compare_options(b, options),
        Op::StablehloDynamicSlice(options) => stablehlo_dynamic_slice_options(b, options),
        Op::StablehloPad(options) => stablehlo_pad_options(b, options),
        Op::StablehloIota(options) => stablehlo_iota_options(b, options),
        Op::StablehloDotGeneral(options) => stablehlo_dot_general_options(b, options),
        Op::StablehloReduceWindow(options) => stablehlo_reduce_window_options(b, options),
        Op::StablehloSort(options) => stablehlo_sort_options(b, options),
        Op::StablehloWhile(options) => stablehlo_while_options(b, options),
        Op::StablehloGather(options) => stablehlo_gather_options(b, options),
        Op::StablehloTranspose(options) => stablehlo_transpose_options(b, options),
        Op::Dilate => {
            let table = schema::DilateOptions::create(b, &schema::DilateOptionsArgs {});
            Options::Second(schema::BuiltinOptions2::DilateOptions, table.as_union_value())
        }
        Op::StablehloRngBitGenerator(options) => stablehlo_rng_bit_generator_options(b, options),
        Op::ReduceWindow(options) => reduce_window_options(b, options),
        Op::StablehloComposite(options) => stablehlo_composite_options(b, options),
        Op::StablehloShiftLeft => {
            let table = schema::StablehloShiftLeftOptions::create(b, &schema::StablehloShiftLeftOptionsArgs {});
            Options::Second(schema::BuiltinOptions2::StablehloShiftLeftOptions, table.as_union_value())
        }
        Op::StablehloCase(options) => stablehlo_case_options(b, options),
        _ => Options::None,
    }
}

fn stablehlo_gather_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloGatherOptions) -> Options {
    let offset_dims = b.create_vector(&options.offset_dims);
    let collapsed_slice_dims = b.create_vector(&options.collapsed_slice_dims);
    let start_index_map = b.create_vector(&options.start_index_map);
    let slice_sizes = b.create_vector(&options.slice_sizes);
    let table = schema::StablehloGatherOptions::create(
        b,
        &schema::StablehloGatherOptionsArgs {
            offset_dims: Some(offset_dims),
            collapsed_slice_dims: Some(collapsed_slice_dims),
            start_index_map: Some(start_index_map),
            index_vector_dim: options.index_vector_dim,
            slice_sizes: Some(slice_sizes),
            indices_are_sorted: options.indices_are_sorted,
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloGatherOptions, table.as_union_value())
}

fn stablehlo_transpose_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloTransposeOptions) -> Options {
    let permutation = b.create_vector(&options.permutation);
    let table = schema::StablehloTransposeOptions::create(
        b,
        &schema::StablehloTransposeOptionsArgs { permutation: Some(permutation) },
    );
    Options::Second(schema::BuiltinOptions2::StablehloTransposeOptions, table.as_union_value())
}

fn stablehlo_dot_general_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloDotGeneralOptions) -> Options {
    let lhs_batching_dimensions = b.create_vector(&options.lhs_batching_dimensions);
    let rhs_batching_dimensions = b.create_vector(&options.rhs_batching_dimensions);
    let lhs_contracting_dimensions = b.create_vector(&options.lhs_contracting_dimensions);
    let rhs_contracting_dimensions = b.create_vector(&options.rhs_contracting_dimensions);
    let precision_config =
        options.precision_config.iter().map(|&v| schema::StablehloPrecisionConfig(v as u32)).collect::<Vec<_>>();
    let precision_config = b.create_vector(&precision_config);
    let table = schema::StablehloDotGeneralOptions::create(
        b,
        &schema::StablehloDotGeneralOptionsArgs {
            lhs_batching_dimensions: Some(lhs_batching_dimensions),
            rhs_batching_dimensions: Some(rhs_batching_dimensions),
            lhs_contracting_dimensions: Some(lhs_contracting_dimensions),
            rhs_contracting_dimensions: Some(rhs_contracting_dimensions),
            precision_config: Some(precision_config),
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloDotGeneralOptions, table.as_union_value())
}

fn stablehlo_reduce_window_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloReduceWindowOptions) -> Options {
    let window_dimensions = b.create_vector(&options.window_dimensions);
    let window_strides = b.create_vector(&options.window_strides);
    let base_dilations = b.create_vector(&options.base_dilations);
    let window_dilations = b.create_vector(&options.window_dilations);
    let padding = b.create_vector(&options.padding);
    let table = schema::StablehloReduceWindowOptions::create(
        b,
        &schema::StablehloReduceWindowOptionsArgs {
            window_dimensions: Some(window_dimensions),
            window_strides: Some(window_strides),
            base_dilations: Some(base_dilations),
            window_dilations: Some(window_dilations),
            padding: Some(padding),
            body_subgraph_index: options.body_subgraph_index,
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloReduceWindowOptions, table.as_union_value())
}

fn stablehlo_while_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloWhileOptions) -> Options {
    let table = schema::StablehloWhileOptions::create(
        b,
        &schema::StablehloWhileOptionsArgs {
            cond_subgraph_index: options.cond_subgraph_index,
            body_subgraph_index: options.body_subgraph_index,
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloWhileOptions, table.as_union_value())
}

fn stablehlo_sort_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloSortOptions) -> Options {
    let table = schema::StablehloSortOptions::create(
        b,
        &schema::StablehloSortOptionsArgs {
            dimension: options.dimension,
            is_stable: options.is_stable,
            comparator_subgraph_index: options.comparator_subgraph_index,
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloSortOptions, table.as_union_value())
}

fn stablehlo_concatenate_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloConcatenateOptions) -> Options {
    let table = schema::StablehloConcatenateOptions::create(
        b,
        &schema::StablehloConcatenateOptionsArgs { dimension: options.dimension },
    );
    Options::Second(schema::BuiltinOptions2::StablehloConcatenateOptions, table.as_union_value())
}

fn stablehlo_broadcast_in_dim_options(
    b: &mut FlatBufferBuilder<'_>,
    options: &StablehloBroadcastInDimOptions,
) -> Options {
    let broadcast_dimensions = b.create_vector(&options.broadcast_dimensions);
    let table = schema::StablehloBroadcastInDimOptions::create(
        b,
        &schema::StablehloBroadcastInDimOptionsArgs { broadcast_dimensions: Some(broadcast_dimensions) },
    );
    Options::Second(schema::BuiltinOptions2::StablehloBroadcastInDimOptions, table.as_union_value())
}

fn stablehlo_compare_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloCompareOptions) -> Options {
    let table = schema::StablehloCompareOptions::create(
        b,
        &schema::StablehloCompareOptionsArgs {
            comparison_direction: schema::StablehloComparisonDirection(options.comparison_direction as u32),
            compare_type: schema::StablehloComparisonType(options.compare_type as u32),
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloCompareOptions, table.as_union_value())
}

fn stablehlo_dynamic_slice_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloDynamicSliceOptions) -> Options {
    let slice_sizes = b.create_vector(&options.slice_sizes);
    let table = schema::StablehloDynamicSliceOptions::create(
        b,
        &schema::StablehloDynamicSliceOptionsArgs { slice_sizes: Some(slice_sizes) },
    );
    Options::Second(schema::BuiltinOptions2::StablehloDynamicSliceOptions, table.as_union_value())
}

fn stablehlo_pad_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloPadOptions) -> Options {
    let edge_padding_low = b.create_vector(&options.edge_padding_low);
    let edge_padding_high = b.create_vector(&options.edge_padding_high);
    let interior_padding = b.create_vector(&options.interior_padding);
    let table = schema::StablehloPadOptions::create(
        b,
        &schema::StablehloPadOptionsArgs {
            edge_padding_low: Some(edge_padding_low),
            edge_padding_high: Some(edge_padding_high),
            interior_padding: Some(interior_padding),
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloPadOptions, table.as_union_value())
}

fn stablehlo_iota_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloIotaOptions) -> Options {
    let table = schema::StablehloIotaOptions::create(
        b,
        &schema::StablehloIotaOptionsArgs { iota_dimension: options.iota_dimension },
    );
    Options::Second(schema::BuiltinOptions2::StablehloIotaOptions, table.as_union_value())
}

fn stablehlo_custom_call_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloCustomCallOptions) -> Options {
    let call_target_name = b.create_string(&options.call_target_name);
    let backend_config = b.create_string(&options.backend_config);
    let called_computations = b.create_vector(&options.called_computations);
    let custom_attributes = bytes(b, &options.custom_attributes);
    let table = schema::StablehloCustomCallOptions::create(
        b,
        &schema::StablehloCustomCallOptionsArgs {
            call_target_name: Some(call_target_name),
            has_side_effect: options.has_side_effect,
            backend_config: Some(backend_config),
            api_version: options.api_version,
            called_computations: Some(called_computations),
            custom_attributes,
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloCustomCallOptions, table.as_union_value())
}

fn stablehlo_reduce_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloReduceOptions) -> Options {
    let dimensions = b.create_vector(&options.dimensions);
    let table = schema::StablehloReduceOptions::create(
        b,
        &schema::StablehloReduceOptionsArgs {
            dimensions: Some(dimensions),
            body_subgraph_index: options.body_subgraph_index,
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloReduceOptions, table.as_union_value())
}

fn stablehlo_slice_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloSliceOptions) -> Options {
    let start_indices = b.create_vector(&options.start_indices);
    let limit_indices = b.create_vector(&options.limit_indices);
    let strides = b.create_vector(&options.strides);
    let table = schema::StablehloSliceOptions::create(
        b,
        &schema::StablehloSliceOptionsArgs {
            start_indices: Some(start_indices),
            limit_indices: Some(limit_indices),
            strides: Some(strides),
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloSliceOptions, table.as_union_value())
}

fn stablehlo_convolution_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloConvolutionOptions) -> Options {
    let window_strides = b.create_vector(&options.window_strides);
    let padding = b.create_vector(&options.padding);
    let lhs_dilation = b.create_vector(&options.lhs_dilation);
    let rhs_dilation = b.create_vector(&options.rhs_dilation);
    let window_reversal = b.create_vector(&options.window_reversal);
    let input_spatial_dimensions = b.create_vector(&options.input_spatial_dimensions);
    let kernel_spatial_dimensions = b.create_vector(&options.kernel_spatial_dimensions);
    let output_spatial_dimensions = b.create_vector(&options.output_spatial_dimensions);
    let precision_config =
        options.precision_config.iter().map(|&v| schema::StablehloPrecisionConfig(v as u32)).collect::<Vec<_>>();
    let precision_config = b.create_vector(&precision_config);
    let table = schema::StablehloConvolutionOptions::create(
        b,
        &schema::StablehloConvolutionOptionsArgs {
            window_strides: Some(window_strides),
            padding: Some(padding),
            lhs_dilation: Some(lhs_dilation),
            rhs_dilation: Some(rhs_dilation),
            window_reversal: Some(window_reversal),
            input_batch_dimension: options.input_batch_dimension,
            input_feature_dimension: options.input_feature_dimension,
            input_spatial_dimensions: Some(input_spatial_dimensions),
            kernel_input_feature_dimension: options.kernel_input_feature_dimension,
            kernel_output_feature_dimension: options.kernel_output_feature_dimension,
            kernel_spatial_dimensions: Some(kernel_spatial_dimensions),
            output_batch_dimension: options.output_batch_dimension,
            output_feature_dimension: options.output_feature_dimension,
            output_spatial_dimensions: Some(output_spatial_dimensions),
            feature_group_count: options.feature_group_count,
            batch_group_count: options.batch_group_count,
            precision_config: Some(precision_config),
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloConvolutionOptions, table.as_union_value())
}

fn stablehlo_scatter_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloScatterOptions) -> Options {
    let update_window_dims = b.create_vector(&options.update_window_dims);
    let inserted_window_dims = b.create_vector(&options.inserted_window_dims);
    let scatter_dims_to_operand_dims = b.create_vector(&options.scatter_dims_to_operand_dims);
    let table = schema::StablehloScatterOptions::create(
        b,
        &schema::StablehloScatterOptionsArgs {
            indices_are_sorted: options.indices_are_sorted,
            update_window_dims: Some(update_window_dims),
            inserted_window_dims: Some(inserted_window_dims),
            scatter_dims_to_operand_dims: Some(scatter_dims_to_operand_dims),
            index_vector_dim: options.index_vector_dim,
            unique_indices: options.unique_indices,
            update_computation_subgraph_index: options.update_computation_subgraph_index,
        },
    );
    Options::Second(schema::BuiltinOptions2::StablehloScatterOptions, table.as_union_value())
}

fn stablehlo_case_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloCaseOptions) -> Options {
    let branch_subgraph_indices = b.create_vector(&options.branch_subgraph_indices);
    let table = schema::StablehloCaseOptions::create(
        b,
        &schema::StablehloCaseOptionsArgs { branch_subgraph_indices: Some(branch_subgraph_indices) },
    );
    Options::Second(schema::BuiltinOptions2::StablehloCaseOptions, table.as_union_value())
}

fn stablehlo_rng_bit_generator_options(
    b: &mut FlatBufferBuilder<'_>,
    options: &StablehloRngBitGeneratorOptions,
) -> Options {
    let table = schema::StablehloRngBitGeneratorOptions::create(
        b,
        &schema::StablehloRngBitGeneratorOptionsArgs { algorithm: schema::RngAlgorithm(options.algorithm as i8) },
    );
    Options::Second(schema::BuiltinOptions2::StablehloRngBitGeneratorOptions, table.as_union_value())
}

fn conv2d_options(b: &mut FlatBufferBuilder<'_>, options: &Conv2DOptions) -> Options {
    let table = schema::Conv2DOptions::create(
        b,
        &schema::Conv2DOptionsArgs {
            padding: schema::Padding(options.padding as i8),
            stride_w: options.stride_w,
            stride_h: options.stride_h,
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            dilation_wfactor: options.dilation_wfactor,
            dilation_hfactor: options.dilation_hfactor,
            quantized_bias_type: schema::TensorType(options.quantized_bias_type as i8),
        },
    );
    Options::First(schema::BuiltinOptions::Conv2DOptions, table.as_union_value())
}

fn conv3d_options(b: &mut FlatBufferBuilder<'_>, options: &Conv3DOptions) -> Options {
    let table = schema::Conv3DOptions::create(
        b,
        &schema::Conv3DOptionsArgs {
            padding: schema::Padding(options.padding as i8),
            stride_d: options.stride_d,
            stride_w: options.stride_w,
            stride_h: options.stride_h,
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            dilation_dfactor: options.dilation_dfactor,
            dilation_wfactor: options.dilation_wfactor,
            dilation_hfactor: options.dilation_hfactor,
        },
    );
    Options::First(schema::BuiltinOptions::Conv3DOptions, table.as_union_value())
}

fn pool2d_options(b: &mut FlatBufferBuilder<'_>, options: &Pool2DOptions) -> Options {
    let table = schema::Pool2DOptions::create(
        b,
        &schema::Pool2DOptionsArgs {
            padding: schema::Padding(options.padding as i8),
            stride_w: options.stride_w,
            stride_h: options.stride_h,
            filter_width: options.filter_width,
            filter_height: options.filter_height,
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
        },
    );
    Options::First(schema::BuiltinOptions::Pool2DOptions, table.as_union_value())
}

fn depthwise_conv2d_options(b: &mut FlatBufferBuilder<'_>, options: &DepthwiseConv2DOptions) -> Options {
    let table = schema::DepthwiseConv2DOptions::create(
        b,
        &schema::DepthwiseConv2DOptionsArgs {
            padding: schema::Padding(options.padding as i8),
            stride_w: options.stride_w,
            stride_h: options.stride_h,
            depth_multiplier: options.depth_multiplier,
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            dilation_wfactor: options.dilation_wfactor,
            dilation_hfactor: options.dilation_hfactor,
        },
    );
    Options::First(schema::BuiltinOptions::DepthwiseConv2DOptions, table.as_union_value())
}

fn concat_embeddings_options(b: &mut FlatBufferBuilder<'_>, options: &ConcatEmbeddingsOptions) -> Options {
    let num_columns_per_channel = b.create_vector(&options.num_columns_per_channel);
    let embedding_dim_per_channel = b.create_vector(&options.embedding_dim_per_channel);
    let table = schema::ConcatEmbeddingsOptions::create(
        b,
        &schema::ConcatEmbeddingsOptionsArgs {
            num_channels: options.num_channels,
            num_columns_per_channel: Some(num_columns_per_channel),
            embedding_dim_per_channel: Some(embedding_dim_per_channel),
        },
    );
    Options::First(schema::BuiltinOptions::ConcatEmbeddingsOptions, table.as_union_value())
}

fn lsh_projection_options(b: &mut FlatBufferBuilder<'_>, options: &LshProjectionOptions) -> Options {
    let table = schema::LSHProjectionOptions::create(
        b,
        &schema::LSHProjectionOptionsArgs { type_: schema::LSHProjectionType(options.kind as i8) },
    );
    Options::First(schema::BuiltinOptions::LSHProjectionOptions, table.as_union_value())
}

fn svdf_options(b: &mut FlatBufferBuilder<'_>, options: &SvdfOptions) -> Options {
    let table = schema::SVDFOptions::create(
        b,
        &schema::SVDFOptionsArgs {
            rank: options.rank,
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            asymmetric_quantize_inputs: options.asymmetric_quantize_inputs,
        },
    );
    Options::First(schema::BuiltinOptions::SVDFOptions, table.as_union_value())
}

fn rnn_options(b: &mut FlatBufferBuilder<'_>, options: &RnnOptions) -> Options {
    let table = schema::RNNOptions::create(
        b,
        &schema::RNNOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            asymmetric_quantize_inputs: options.asymmetric_quantize_inputs,
        },
    );
    Options::First(schema::BuiltinOptions::RNNOptions, table.as_union_value())
}

fn sequence_rnn_options(b: &mut FlatBufferBuilder<'_>, options: &SequenceRnnOptions) -> Options {
    let table = schema::SequenceRNNOptions::create(
        b,
        &schema::SequenceRNNOptionsArgs {
            time_major: options.time_major,
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            asymmetric_quantize_inputs: options.asymmetric_quantize_inputs,
        },
    );
    Options::First(schema::BuiltinOptions::SequenceRNNOptions, table.as_union_value())
}

fn bidirectional_sequence_rnn_options(
    b: &mut FlatBufferBuilder<'_>,
    options: &BidirectionalSequenceRnnOptions,
) -> Options {
    let table = schema::BidirectionalSequenceRNNOptions::create(
        b,
        &schema::BidirectionalSequenceRNNOptionsArgs {
            time_major: options.time_major,
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            merge_outputs: options.merge_outputs,
            asymmetric_quantize_inputs: options.asymmetric_quantize_inputs,
        },
    );
    Options::First(schema::BuiltinOptions::BidirectionalSequenceRNNOptions, table.as_union_value())
}

fn fully_connected_options(b: &mut FlatBufferBuilder<'_>, options: &FullyConnectedOptions) -> Options {
    let quant_spec = bytes(b, &options.quant_spec);
    let table = schema::FullyConnectedOptions::create(
        b,
        &schema::FullyConnectedOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            weights_format: schema::FullyConnectedOptionsWeightsFormat(options.weights_format as i8),
            keep_num_dims: options.keep_num_dims,
            asymmetric_quantize_inputs: options.asymmetric_quantize_inputs,
            quantized_bias_type: schema::TensorType(options.quantized_bias_type as i8),
            quant_spec,
        },
    );
    Options::First(schema::BuiltinOptions::FullyConnectedOptions, table.as_union_value())
}

fn softmax_options(b: &mut FlatBufferBuilder<'_>, options: &SoftmaxOptions) -> Options {
    let table = schema::SoftmaxOptions::create(b, &schema::SoftmaxOptionsArgs { beta: options.beta });
    Options::First(schema::BuiltinOptions::SoftmaxOptions, table.as_union_value())
}

fn concatenation_options(b: &mut FlatBufferBuilder<'_>, options: &ConcatenationOptions) -> Options {
    let table = schema::ConcatenationOptions::create(
        b,
        &schema::ConcatenationOptionsArgs {
            axis: options.axis,
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
        },
    );
    Options::First(schema::BuiltinOptions::ConcatenationOptions, table.as_union_value())
}

fn add_options(b: &mut FlatBufferBuilder<'_>, options: &AddOptions) -> Options {
    let table = schema::AddOptions::create(
        b,
        &schema::AddOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            pot_scale_int16: options.pot_scale_int16,
        },
    );
    Options::First(schema::BuiltinOptions::AddOptions, table.as_union_value())
}

fn mul_options(b: &mut FlatBufferBuilder<'_>, options: &MulOptions) -> Options {
    let table = schema::MulOptions::create(
        b,
        &schema::MulOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
        },
    );
    Options::First(schema::BuiltinOptions::MulOptions, table.as_union_value())
}

fn l2_norm_options(b: &mut FlatBufferBuilder<'_>, options: &L2NormOptions) -> Options {
    let table = schema::L2NormOptions::create(
        b,
        &schema::L2NormOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
        },
    );
    Options::First(schema::BuiltinOptions::L2NormOptions, table.as_union_value())
}

fn local_response_normalization_options(
    b: &mut FlatBufferBuilder<'_>,
    options: &LocalResponseNormalizationOptions,
) -> Options {
    let table = schema::LocalResponseNormalizationOptions::create(
        b,
        &schema::LocalResponseNormalizationOptionsArgs {
            radius: options.radius,
            bias: options.bias,
            alpha: options.alpha,
            beta: options.beta,
        },
    );
    Options::First(schema::BuiltinOptions::LocalResponseNormalizationOptions, table.as_union_value())
}

fn lstm_options(b: &mut FlatBufferBuilder<'_>, options: &LstmOptions) -> Options {
    let table = schema::LSTMOptions::create(
        b,
        &schema::LSTMOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            cell_clip: options.cell_clip,
            proj_clip: options.proj_clip,
            kernel_type: schema::LSTMKernelType(options.kernel_type as i8),
            asymmetric_quantize_inputs: options.asymmetric_quantize_inputs,
        },
    );
    Options::First(schema::BuiltinOptions::LSTMOptions, table.as_union_value())
}

fn unidirectional_sequence_lstm_options(
    b: &mut FlatBufferBuilder<'_>,
    options: &UnidirectionalSequenceLstmOptions,
) -> Options {
    let table = schema::UnidirectionalSequenceLSTMOptions::create(
        b,
        &schema::UnidirectionalSequenceLSTMOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            cell_clip: options.cell_clip,
            proj_clip: options.proj_clip,
            time_major: options.time_major,
            asymmetric_quantize_inputs: options.asymmetric_quantize_inputs,
            diagonal_recurrent_tensors: options.diagonal_recurrent_tensors,
        },
    );
    Options::First(schema::BuiltinOptions::UnidirectionalSequenceLSTMOptions, table.as_union_value())
}

fn bidirectional_sequence_lstm_options(
    b: &mut FlatBufferBuilder<'_>,
    options: &BidirectionalSequenceLstmOptions,
) -> Options {
    let table = schema::BidirectionalSequenceLSTMOptions::create(
        b,
        &schema::BidirectionalSequenceLSTMOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            cell_clip: options.cell_clip,
            proj_clip: options.proj_clip,
            merge_outputs: options.merge_outputs,
            time_major: options.time_major,
            asymmetric_quantize_inputs: options.asymmetric_quantize_inputs,
        },
    );
    Options::First(schema::BuiltinOptions::BidirectionalSequenceLSTMOptions, table.as_union_value())
}

fn resize_bilinear_options(b: &mut FlatBufferBuilder<'_>, options: &ResizeBilinearOptions) -> Options {
    let table = schema::ResizeBilinearOptions::create(
        b,
        &schema::ResizeBilinearOptionsArgs {
            align_corners: options.align_corners,
            half_pixel_centers: options.half_pixel_centers,
        },
    );
    Options::First(schema::BuiltinOptions::ResizeBilinearOptions, table.as_union_value())
}

fn resize_nearest_neighbor_options(b: &mut FlatBufferBuilder<'_>, options: &ResizeNearestNeighborOptions) -> Options {
    let table = schema::ResizeNearestNeighborOptions::create(
        b,
        &schema::ResizeNearestNeighborOptionsArgs {
            align_corners: options.align_corners,
            half_pixel_centers: options.half_pixel_centers,
        },
    );
    Options::First(schema::BuiltinOptions::ResizeNearestNeighborOptions, table.as_union_value())
}

fn call_options(b: &mut FlatBufferBuilder<'_>, options: &CallOptions) -> Options {
    let table = schema::CallOptions::create(b, &schema::CallOptionsArgs { subgraph: options.subgraph });
    Options::First(schema::BuiltinOptions::CallOptions, table.as_union_value())
}

fn reshape_options(b: &mut FlatBufferBuilder<'_>, options: &ReshapeOptions) -> Options {
    let new_shape = b.create_vector(&options.new_shape);
    let table = schema::ReshapeOptions::create(b, &schema::ReshapeOptionsArgs { new_shape: Some(new_shape) });
    Options::First(schema::BuiltinOptions::ReshapeOptions, table.as_union_value())
}

fn skip_gram_options(b: &mut FlatBufferBuilder<'_>, options: &SkipGramOptions) -> Options {
    let table = schema::SkipGramOptions::create(
        b,
        &schema::SkipGramOptionsArgs {
            ngram_size: options.ngram_size,
            max_skip_size: options.max_skip_size,
            include_all_ngrams: options.include_all_ngrams,
        },
    );
    Options::First(schema::BuiltinOptions::SkipGramOptions, table.as_union_value())
}

fn space_to_depth_options(b: &mut FlatBufferBuilder<'_>, options: &SpaceToDepthOptions) -> Options {
    let table =
        schema::SpaceToDepthOptions::create(b, &schema::SpaceToDepthOptionsArgs { block_size: options.block_size });
    Options::First(schema::BuiltinOptions::SpaceToDepthOptions, table.as_union_value())
}

fn depth_to_space_options(b: &mut FlatBufferBuilder<'_>, options: &DepthToSpaceOptions) -> Options {
    let table =
        schema::DepthToSpaceOptions::create(b, &schema::DepthToSpaceOptionsArgs { block_size: options.block_size });
    Options::First(schema::BuiltinOptions::DepthToSpaceOptions, table.as_union_value())
}

fn sub_options(b: &mut FlatBufferBuilder<'_>, options: &SubOptions) -> Options {
    let table = schema::SubOptions::create(
        b,
        &schema::SubOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            pot_scale_int16: options.pot_scale_int16,
        },
    );
    Options::First(schema::BuiltinOptions::SubOptions, table.as_union_value())
}

fn div_options(b: &mut FlatBufferBuilder<'_>, options: &DivOptions) -> Options {
    let table = schema::DivOptions::create(
        b,
        &schema::DivOptionsArgs {
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
        },
    );
    Options::First(schema::BuiltinOptions::DivOptions, table.as_union_value())
}

fn embedding_lookup_sparse_options(b: &mut FlatBufferBuilder<'_>, options: &EmbeddingLookupSparseOptions) -> Options {
    let table = schema::EmbeddingLookupSparseOptions::create(
        b,
        &schema::EmbeddingLookupSparseOptionsArgs { combiner: schema::CombinerType(options.combiner as i8) },
    );
    Options::First(schema::BuiltinOptions::EmbeddingLookupSparseOptions, table.as_union_value())
}

fn gather_options(b: &mut FlatBufferBuilder<'_>, options: &GatherOptions) -> Options {
    let table = schema::GatherOptions::create(
        b,
        &schema::GatherOptionsArgs { axis: options.axis, batch_dims: options.batch_dims },
    );
    Options::First(schema::BuiltinOptions::GatherOptions, table.as_union_value())
}

fn reducer_options(b: &mut FlatBufferBuilder<'_>, options: &ReducerOptions) -> Options {
    let table = schema::ReducerOptions::create(b, &schema::ReducerOptionsArgs { keep_dims: options.keep_dims });
    Options::First(schema::BuiltinOptions::ReducerOptions, table.as_union_value())
}

fn squeeze_options(b: &mut FlatBufferBuilder<'_>, options: &SqueezeOptions) -> Options {
    let squeeze_dims = b.create_vector(&options.squeeze_dims);
    let table = schema::SqueezeOptions::create(b, &schema::SqueezeOptionsArgs { squeeze_dims: Some(squeeze_dims) });
    Options::First(schema::BuiltinOptions::SqueezeOptions, table.as_union_value())
}

fn split_options(b: &mut FlatBufferBuilder<'_>, options: &SplitOptions) -> Options {
    let table = schema::SplitOptions::create(b, &schema::SplitOptionsArgs { num_splits: options.num_splits });
    Options::First(schema::BuiltinOptions::SplitOptions, table.as_union_value())
}

fn split_voptions(b: &mut FlatBufferBuilder<'_>, options: &SplitVOptions) -> Options {
    let table = schema::SplitVOptions::create(b, &schema::SplitVOptionsArgs { num_splits: options.num_splits });
    Options::First(schema::BuiltinOptions::SplitVOptions, table.as_union_value())
}

fn strided_slice_options(b: &mut FlatBufferBuilder<'_>, options: &StridedSliceOptions) -> Options {
    let table = schema::StridedSliceOptions::create(
        b,
        &schema::StridedSliceOptionsArgs {
            begin_mask: options.begin_mask,
            end_mask: options.end_mask,
            ellipsis_mask: options.ellipsis_mask,
            new_axis_mask: options.new_axis_mask,
            shrink_axis_mask: options.shrink_axis_mask,
            offset: options.offset,
        },
    );
    Options::First(schema::BuiltinOptions::StridedSliceOptions, table.as_union_value())
}

fn cast_options(b: &mut FlatBufferBuilder<'_>, options: &CastOptions) -> Options {
    let table = schema::CastOptions::create(
        b,
        &schema::CastOptionsArgs {
            in_data_type: schema::TensorType(options.in_data_type as i8),
            out_data_type: schema::TensorType(options.out_data_type as i8),
        },
    );
    Options::First(schema::BuiltinOptions::CastOptions, table.as_union_value())
}

fn arg_max_options(b: &mut FlatBufferBuilder<'_>, options: &ArgMaxOptions) -> Options {
    let table = schema::ArgMaxOptions::create(
        b,
        &schema::ArgMaxOptionsArgs { output_type: schema::TensorType(options.output_type as i8) },
    );
    Options::First(schema::BuiltinOptions::ArgMaxOptions, table.as_union_value())
}

fn arg_min_options(b: &mut FlatBufferBuilder<'_>, options: &ArgMinOptions) -> Options {
    let table = schema::ArgMinOptions::create(
        b,
        &schema::ArgMinOptionsArgs { output_type: schema::TensorType(options.output_type as i8) },
    );
    Options::First(schema::BuiltinOptions::ArgMinOptions, table.as_union_value())
}

fn transpose_conv_options(b: &mut FlatBufferBuilder<'_>, options: &TransposeConvOptions) -> Options {
    let table = schema::TransposeConvOptions::create(
        b,
        &schema::TransposeConvOptionsArgs {
            padding: schema::Padding(options.padding as i8),
            stride_w: options.stride_w,
            stride_h: options.stride_h,
            fused_activation_function: schema::ActivationFunctionType(options.fused_activation_function as i8),
            quantized_bias_type: schema::TensorType(options.quantized_bias_type as i8),
        },
    );
    Options::First(schema::BuiltinOptions::TransposeConvOptions, table.as_union_value())
}

fn sparse_to_dense_options(b: &mut FlatBufferBuilder<'_>, options: &SparseToDenseOptions) -> Options {
    let table = schema::SparseToDenseOptions::create(
        b,
        &schema::SparseToDenseOptionsArgs { validate_indices: options.validate_indices },
    );
    Options::First(schema::BuiltinOptions::SparseToDenseOptions, table.as_union_value())
}

fn shape_options(b: &mut FlatBufferBuilder<'_>, options: &ShapeOptions) -> Options {
    let table = schema::ShapeOptions::create(
        b,
        &schema::ShapeOptionsArgs { out_type: schema::TensorType(options.out_type as i8) },
    );
    Options::First(schema::BuiltinOptions::ShapeOptions, table.as_union_value())
}

fn fake_quant_options(b: &mut FlatBufferBuilder<'_>, options: &FakeQuantOptions) -> Options {
    let table = schema::FakeQuantOptions::create(
        b,
        &schema::FakeQuantOptionsArgs {
            min: options.min,
            max: options.max,
            num_bits: options.num_bits,
            narrow_range: options.narrow_range,
        },
    );
    Options::First(schema::BuiltinOptions::FakeQuantOptions, table.as_union_value())
}

fn pack_options(b: &mut FlatBufferBuilder<'_>, options: &PackOptions) -> Options {
    let table = schema::PackOptions::create(
        b,
        &schema::PackOptionsArgs { values_count: options.values_count, axis: options.axis },
    );
    Options::First(schema::BuiltinOptions::PackOptions, table.as_union_value())
}

fn one_hot_options(b: &mut FlatBufferBuilder<'_>, options: &OneHotOptions) -> Options {
    let table = schema::OneHotOptions::create(b, &schema::OneHotOptionsArgs { axis: options.axis });
    Options::First(schema::BuiltinOptions::OneHotOptions, table.as_union_value())
}

fn unpack_options(b: &mut FlatBufferBuilder<'_>, options: &UnpackOptions) -> Options {
    let table = schema::UnpackOptions::create(b, &schema::UnpackOptionsArgs { num: options.num, axis: options.axis });
    Options::First(schema::BuiltinOptions::UnpackOptions, table.as_union_value())
}

fn leaky_relu_options(b: &mut FlatBufferBuilder<'_>, options: &LeakyReluOptions) -> Options {
    let table = schema::LeakyReluOptions::create(b, &schema::LeakyReluOptionsArgs { alpha: options.alpha });
    Options::First(schema::BuiltinOptions::LeakyReluOptions, table.as_union_value())
}

fn mirror_pad_options(b: &mut FlatBufferBuilder<'_>, options: &MirrorPadOptions) -> Options {
    let table = schema::MirrorPadOptions::create(
        b,
        &schema::MirrorPadOptionsArgs { mode: schema::MirrorPadMode(options.mode as i8) },
    );
    Options::First(schema::BuiltinOptions::MirrorPadOptions, table.as_union_value())
}

fn unique_options(b: &mut FlatBufferBuilder<'_>, options: &UniqueOptions) -> Options {
    let table = schema::UniqueOptions::create(
        b,
        &schema::UniqueOptionsArgs { idx_out_type: schema::TensorType(options.idx_out_type as i8) },
    );
    Options::First(schema::BuiltinOptions::UniqueOptions, table.as_union_value())
}

fn reverse_sequence_options(b: &mut FlatBufferBuilder<'_>, options: &ReverseSequenceOptions) -> Options {
    let table = schema::ReverseSequenceOptions::create(
        b,
        &schema::ReverseSequenceOptionsArgs { seq_dim: options.seq_dim, batch_dim: options.batch_dim },
    );
    Options::First(schema::BuiltinOptions::ReverseSequenceOptions, table.as_union_value())
}

fn if_options(b: &mut FlatBufferBuilder<'_>, options: &IfOptions) -> Options {
    let table = schema::IfOptions::create(
        b,
        &schema::IfOptionsArgs {
            then_subgraph_index: options.then_subgraph_index,
            else_subgraph_index: options.else_subgraph_index,
        },
    );
    Options::First(schema::BuiltinOptions::IfOptions, table.as_union_value())
}

fn call_once_options(b: &mut FlatBufferBuilder<'_>, options: &CallOnceOptions) -> Options {
    let table = schema::CallOnceOptions::create(
        b,
        &schema::CallOnceOptionsArgs { init_subgraph_index: options.init_subgraph_index },
    );
    Options::First(schema::BuiltinOptions::CallOnceOptions, table.as_union_value())
}

fn while_options(b: &mut FlatBufferBuilder<'_>, options: &WhileOptions) -> Options {
    let table = schema::WhileOptions::create(
        b,
        &schema::WhileOptionsArgs {
            cond_subgraph_index: options.cond_subgraph_index,
            body_subgraph_index: options.body_subgraph_index,
        },
    );
    Options::First(schema::BuiltinOptions::WhileOptions, table.as_union_value())
}

fn batch_mat_mul_options(b: &mut FlatBufferBuilder<'_>, options: &BatchMatMulOptions) -> Options {
    let table = schema::BatchMatMulOptions::create(
        b,
        &schema::BatchMatMulOptionsArgs {
            adj_x: options.adj_x,
            adj_y: options.adj_y,
            asymmetric_quantize_inputs: options.asymmetric_quantize_inputs,
        },
    );
    Options::First(schema::BuiltinOptions::BatchMatMulOptions, table.as_union_value())
}

fn cumsum_options(b: &mut FlatBufferBuilder<'_>, options: &CumsumOptions) -> Options {
    let table = schema::CumsumOptions::create(
        b,
        &schema::CumsumOptionsArgs { exclusive: options.exclusive, reverse: options.reverse },
    );
    Options::First(schema::BuiltinOptions::CumsumOptions, table.as_union_value())
}

fn hashtable_options(b: &mut FlatBufferBuilder<'_>, options: &HashtableOptions) -> Options {
    let table = schema::HashtableOptions::create(
        b,
        &schema::HashtableOptionsArgs {
            table_id: options.table_id,
            key_dtype: schema::TensorType(options.key_dtype as i8),
            value_dtype: schema::TensorType(options.value_dtype as i8),
        },
    );
    Options::First(schema::BuiltinOptions::HashtableOptions, table.as_union_value())
}

fn var_handle_options(b: &mut FlatBufferBuilder<'_>, options: &VarHandleOptions) -> Options {
    let container = b.create_string(&options.container);
    let shared_name = b.create_string(&options.shared_name);
    let table = schema::VarHandleOptions::create(
        b,
        &schema::VarHandleOptionsArgs { container: Some(container), shared_name: Some(shared_name) },
    );
    Options::First(schema::BuiltinOptions::VarHandleOptions, table.as_union_value())
}

fn random_options(b: &mut FlatBufferBuilder<'_>, options: &RandomOptions) -> Options {
    let table =
        schema::RandomOptions::create(b, &schema::RandomOptionsArgs { seed: options.seed, seed2: options.seed2 });
    Options::First(schema::BuiltinOptions::RandomOptions, table.as_union_value())
}

fn bucketize_options(b: &mut FlatBufferBuilder<'_>, options: &BucketizeOptions) -> Options {
    let boundaries = b.create_vector(&options.boundaries);
    let table = schema::BucketizeOptions::create(b, &schema::BucketizeOptionsArgs { boundaries: Some(boundaries) });
    Options::First(schema::BuiltinOptions::BucketizeOptions, table.as_union_value())
}

fn gelu_options(b: &mut FlatBufferBuilder<'_>, options: &GeluOptions) -> Options {
    let table = schema::GeluOptions::create(b, &schema::GeluOptionsArgs { approximate: options.approximate });
    Options::First(schema::BuiltinOptions::GeluOptions, table.as_union_value())
}

fn reduce_window_options(b: &mut FlatBufferBuilder<'_>, options: &ReduceWindowOptions) -> Options {
    let table = schema::ReduceWindowOptions::create(
        b,
        &schema::ReduceWindowOptionsArgs {
            reduce_function: schema::ReduceWindowFunction(options.reduce_function as i32),
        },
    );
    Options::Second(schema::BuiltinOptions2::ReduceWindowOptions, table.as_union_value())
}

fn stablehlo_composite_options(b: &mut FlatBufferBuilder<'_>, options: &StablehloCompositeOptions) -> Options {
    let name = b.create_string(&options.name);
    let composite_attributes = bytes(b, &options.composite_attributes);
    let table = schema::StableHLOCompositeOptions::create(
        b,
        &schema::StableHLOCompositeOptionsArgs {
            name: Some(name),
            decomposition_subgraph_index: options.decomposition_subgraph_index,
            composite_attributes,
            composite_attributes_format: schema::CustomOptionsFormat(options.composite_attributes_format as i8),
            version: options.version,
        },
    );
    Options::Second(schema::BuiltinOptions2::StableHLOCompositeOptions, table.as_union_value())
}
