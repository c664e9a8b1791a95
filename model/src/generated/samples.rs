//! Every operator with attributes that are not the defaults, for tests. Written by `cargo xtask schema`.

use crate::*;

/// One of each operator; no attribute has its default.
pub(crate) fn samples() -> Vec<Op> {
    vec![
        Op::Add(add_options()),
        Op::AveragePool2d(pool2d_options()),
        Op::Concatenation(concatenation_options()),
        Op::Conv2d(conv2d_options()),
        Op::DepthwiseConv2d(depthwise_conv2d_options()),
        Op::DepthToSpace(depth_to_space_options()),
        Op::Dequantize,
        Op::EmbeddingLookup,
        Op::Floor,
        Op::FullyConnected(fully_connected_options()),
        Op::HashtableLookup,
        Op::L2Normalization(l2_norm_options()),
        Op::L2Pool2d(pool2d_options()),
        Op::LocalResponseNormalization(local_response_normalization_options()),
        Op::Logistic,
        Op::LshProjection(lsh_projection_options()),
        Op::Lstm(lstm_options()),
        Op::MaxPool2d(pool2d_options()),
        Op::Mul(mul_options()),
        Op::Relu,
        Op::ReluN1To1,
        Op::Relu6,
        Op::Reshape(reshape_options()),
        Op::ResizeBilinear(resize_bilinear_options()),
        Op::Rnn(rnn_options()),
        Op::Softmax(softmax_options()),
        Op::SpaceToDepth(space_to_depth_options()),
        Op::Svdf(svdf_options()),
        Op::Tanh,
        Op::ConcatEmbeddings(concat_embeddings_options()),
        Op::SkipGram(skip_gram_options()),
        Op::Call(call_options()),
        Op::Custom { name: "Sample".to_owned(), options: Bytes::from(vec![1, 2, 3]) },
        Op::EmbeddingLookupSparse(embedding_lookup_sparse_options()),
        Op::Pad,
        Op::UnidirectionalSequenceRnn(sequence_rnn_options()),
        Op::Gather(gather_options()),
        Op::BatchToSpaceNd,
        Op::SpaceToBatchNd,
        Op::Transpose,
        Op::Mean(reducer_options()),
        Op::Sub(sub_options()),
        Op::Div(div_options()),
        Op::Squeeze(squeeze_options()),
        Op::UnidirectionalSequenceLstm(unidirectional_sequence_lstm_options()),
        Op::StridedSlice(strided_slice_options()),
        Op::BidirectionalSequenceRnn(bidirectional_sequence_rnn_options()),
        Op::Exp,
        Op::TopkV2,
        Op::Split(split_options()),
        Op::LogSoftmax,
        Op::Delegate,
        Op::BidirectionalSequenceLstm(bidirectional_sequence_lstm_options()),
        Op::Cast(cast_options()),
        Op::Prelu,
        Op::Maximum,
        Op::ArgMax(arg_max_options()),
        Op::Minimum,
        Op::Less,
        Op::Neg,
        Op::Padv2,
        Op::Greater,
        Op::GreaterEqual,
        Op::LessEqual,
        Op::Select,
        Op::Slice,
        Op::Sin,
        Op::TransposeConv(transpose_conv_options()),
        Op::SparseToDense(sparse_to_dense_options()),
        Op::Tile,
        Op::ExpandDims,
        Op::Equal,
        Op::NotEqual,
        Op::Log,
        Op::Sum(reducer_options()),
        Op::Sqrt,
        Op::Rsqrt,
        Op::Shape(shape_options()),
        Op::Pow,
        Op::ArgMin(arg_min_options()),
        Op::FakeQuant(fake_quant_options()),
        Op::ReduceProd(reducer_options()),
        Op::ReduceMax(reducer_options()),
        Op::Pack(pack_options()),
        Op::LogicalOr,
        Op::OneHot(one_hot_options()),
        Op::LogicalAnd,
        Op::LogicalNot,
        Op::Unpack(unpack_options()),
        Op::ReduceMin(reducer_options()),
        Op::FloorDiv,
        Op::ReduceAny(reducer_options()),
        Op::Square,
        Op::ZerosLike,
        Op::Fill,
        Op::FloorMod,
        Op::Range,
        Op::ResizeNearestNeighbor(resize_nearest_neighbor_options()),
        Op::LeakyRelu(leaky_relu_options()),
        Op::SquaredDifference,
        Op::MirrorPad(mirror_pad_options()),
        Op::Abs,
        Op::SplitV(split_voptions()),
        Op::Unique(unique_options()),
        Op::Ceil,
        Op::ReverseV2,
        Op::AddN,
        Op::GatherNd,
        Op::Cos,
        Op::Where,
        Op::Rank,
        Op::Elu,
        Op::ReverseSequence(reverse_sequence_options()),
        Op::MatrixDiag,
        Op::Quantize,
        Op::MatrixSetDiag,
        Op::Round,
        Op::HardSwish,
        Op::If(if_options()),
        Op::While(while_options()),
        Op::NonMaxSuppressionV4,
        Op::NonMaxSuppressionV5,
        Op::ScatterNd,
        Op::SelectV2,
        Op::Densify,
        Op::SegmentSum,
        Op::BatchMatmul(batch_mat_mul_options()),
        Op::PlaceholderForGreaterOpCodes,
        Op::Cumsum(cumsum_options()),
        Op::CallOnce(call_once_options()),
        Op::BroadcastTo,
        Op::Rfft2d,
        Op::Conv3d(conv3d_options()),
        Op::Imag,
        Op::Real,
        Op::ComplexAbs,
        Op::Hashtable(hashtable_options()),
        Op::HashtableFind,
        Op::HashtableImport,
        Op::HashtableSize,
        Op::ReduceAll(reducer_options()),
        Op::Conv3dTranspose(conv3d_options()),
        Op::VarHandle(var_handle_options()),
        Op::ReadVariable,
        Op::AssignVariable,
        Op::BroadcastArgs,
        Op::RandomStandardNormal(random_options()),
        Op::Bucketize(bucketize_options()),
        Op::RandomUniform(random_options()),
        Op::Multinomial(random_options()),
        Op::Gelu(gelu_options()),
        Op::DynamicUpdateSlice,
        Op::Relu0To1,
        Op::UnsortedSegmentProd,
        Op::UnsortedSegmentMax,
        Op::UnsortedSegmentSum,
        Op::Atan2,
        Op::UnsortedSegmentMin,
        Op::Sign,
        Op::Bitcast,
        Op::BitwiseXor,
        Op::RightShift,
        Op::StablehloLogistic,
        Op::StablehloAdd,
        Op::StablehloDivide,
        Op::StablehloMultiply,
        Op::StablehloMaximum,
        Op::StablehloReshape,
        Op::StablehloClamp,
        Op::StablehloConcatenate(stablehlo_concatenate_options()),
        Op::StablehloBroadcastInDim(stablehlo_broadcast_in_dim_options()),
        Op::StablehloConvolution(stablehlo_convolution_options()),
        Op::StablehloSlice(stablehlo_slice_options()),
        Op::StablehloCustomCall(stablehlo_custom_call_options()),
        Op::StablehloReduce(stablehlo_reduce_options()),
        Op::StablehloAbs,
        Op::StablehloAnd,
        Op::StablehloCosine,
        Op::StablehloExponential,
        Op::StablehloFloor,
        Op::StablehloLog,
        Op::StablehloMinimum,
        Op::StablehloNegate,
        Op::StablehloOr,
        Op::StablehloPower,
        Op::StablehloRemainder,
        Op::StablehloRsqrt,
        Op::StablehloSelect,
        Op::StablehloSubtract,
        Op::StablehloTanh,
        Op::StablehloScatter(stablehlo_scatter_options()),
        Op::StablehloCompare(stablehlo_compare_options()),
        Op::StablehloConvert,
        Op::StablehloDynamicSlice(stablehlo_dynamic_slice_options()),
        Op::StablehloDynamicUpdateSlice,
        Op::StablehloPad(stablehlo_pad_options()),
        Op::StablehloIota(stablehlo_iota_options()),
        Op::StablehloDotGeneral(stablehlo_dot_general_options()),
        Op::StablehloReduceWindow(stablehlo_reduce_window_options()),
        Op::StablehloSort(stablehlo_sort_options()),
        Op::StablehloWhile(stablehlo_while_options()),
        Op::StablehloGather(stablehlo_gather_options()),
        Op::StablehloTranspose(stablehlo_transpose_options()),
        Op::Dilate,
        Op::StablehloRngBitGenerator(stablehlo_rng_bit_generator_options()),
        Op::ReduceWindow(reduce_window_options()),
        Op::StablehloComposite(stablehlo_composite_options()),
        Op::StablehloShiftLeft,
        Op::StablehloCbrt,
        Op::StablehloCase(stablehlo_case_options()),
    ]
}

fn stablehlo_gather_options() -> StablehloGatherOptions {
    StablehloGatherOptions {
        offset_dims: vec![2, 2, 2],
        collapsed_slice_dims: vec![3, 3, 3],
        start_index_map: vec![4, 4, 4],
        index_vector_dim: 5,
        slice_sizes: vec![6, 6, 6],
        indices_are_sorted: true,
    }
}

fn stablehlo_transpose_options() -> StablehloTransposeOptions {
    StablehloTransposeOptions { permutation: vec![2, 2, 2] }
}

fn stablehlo_dot_general_options() -> StablehloDotGeneralOptions {
    StablehloDotGeneralOptions {
        lhs_batching_dimensions: vec![2, 2, 2],
        rhs_batching_dimensions: vec![3, 3, 3],
        lhs_contracting_dimensions: vec![4, 4, 4],
        rhs_contracting_dimensions: vec![5, 5, 5],
        precision_config: vec![
            StablehloPrecisionConfig::Highest,
            StablehloPrecisionConfig::Highest,
            StablehloPrecisionConfig::Highest,
        ],
    }
}

fn stablehlo_reduce_window_options() -> StablehloReduceWindowOptions {
    StablehloReduceWindowOptions {
        window_dimensions: vec![2, 2, 2],
        window_strides: vec![3, 3, 3],
        base_dilations: vec![4, 4, 4],
        window_dilations: vec![5, 5, 5],
        padding: vec![6, 6, 6],
        body_subgraph_index: 7,
    }
}

fn stablehlo_while_options() -> StablehloWhileOptions {
    StablehloWhileOptions { cond_subgraph_index: 2, body_subgraph_index: 3 }
}

fn stablehlo_sort_options() -> StablehloSortOptions {
    StablehloSortOptions { dimension: 2, is_stable: true, comparator_subgraph_index: 4 }
}

fn stablehlo_concatenate_options() -> StablehloConcatenateOptions {
    StablehloConcatenateOptions { dimension: 2 }
}

fn stablehlo_broadcast_in_dim_options() -> StablehloBroadcastInDimOptions {
    StablehloBroadcastInDimOptions { broadcast_dimensions: vec![2, 2, 2] }
}

fn stablehlo_compare_options() -> StablehloCompareOptions {
    StablehloCompareOptions {
        comparison_direction: StablehloComparisonDirection::Lt,
        compare_type: StablehloComparisonType::Unsigned,
    }
}

fn stablehlo_dynamic_slice_options() -> StablehloDynamicSliceOptions {
    StablehloDynamicSliceOptions { slice_sizes: vec![2, 2, 2] }
}

fn stablehlo_pad_options() -> StablehloPadOptions {
    StablehloPadOptions {
        edge_padding_low: vec![2, 2, 2],
        edge_padding_high: vec![3, 3, 3],
        interior_padding: vec![4, 4, 4],
    }
}

fn stablehlo_iota_options() -> StablehloIotaOptions {
    StablehloIotaOptions { iota_dimension: 2 }
}

fn stablehlo_custom_call_options() -> StablehloCustomCallOptions {
    StablehloCustomCallOptions {
        call_target_name: "text 2".to_owned(),
        has_side_effect: true,
        backend_config: "text 4".to_owned(),
        api_version: 5,
        called_computations: vec![6, 6, 6],
        custom_attributes: vec![7, 7, 7],
    }
}

fn stablehlo_reduce_options() -> StablehloReduceOptions {
    StablehloReduceOptions { dimensions: vec![2, 2, 2], body_subgraph_index: 3 }
}

fn stablehlo_slice_options() -> StablehloSliceOptions {
    StablehloSliceOptions { start_indices: vec![2, 2, 2], limit_indices: vec![3, 3, 3], strides: vec![4, 4, 4] }
}

fn stablehlo_convolution_options() -> StablehloConvolutionOptions {
    StablehloConvolutionOptions {
        window_strides: vec![2, 2, 2],
        padding: vec![3, 3, 3],
        lhs_dilation: vec![4, 4, 4],
        rhs_dilation: vec![5, 5, 5],
        window_reversal: vec![true, true, true],
        input_batch_dimension: 7,
        input_feature_dimension: 8,
        input_spatial_dimensions: vec![9, 9, 9],
        kernel_input_feature_dimension: 10,
        kernel_output_feature_dimension: 11,
        kernel_spatial_dimensions: vec![12, 12, 12],
        output_batch_dimension: 13,
        output_feature_dimension: 14,
        output_spatial_dimensions: vec![15, 15, 15],
        feature_group_count: 16,
        batch_group_count: 17,
        precision_config: vec![
            StablehloPrecisionConfig::Highest,
            StablehloPrecisionConfig::Highest,
            StablehloPrecisionConfig::Highest,
        ],
    }
}

fn stablehlo_scatter_options() -> StablehloScatterOptions {
    StablehloScatterOptions {
        indices_are_sorted: true,
        update_window_dims: vec![3, 3, 3],
        inserted_window_dims: vec![4, 4, 4],
        scatter_dims_to_operand_dims: vec![5, 5, 5],
        index_vector_dim: 6,
        unique_indices: true,
        update_computation_subgraph_index: 8,
    }
}

fn stablehlo_case_options() -> StablehloCaseOptions {
    StablehloCaseOptions { branch_subgraph_indices: vec![2, 2, 2] }
}

fn stablehlo_rng_bit_generator_options() -> StablehloRngBitGeneratorOptions {
    StablehloRngBitGeneratorOptions { algorithm: RngAlgorithm::Threefry }
}

fn conv2d_options() -> Conv2DOptions {
    Conv2DOptions {
        padding: Padding::Valid,
        stride_w: 3,
        stride_h: 4,
        fused_activation_function: ActivationFunctionType::SignBit,
        dilation_wfactor: 6,
        dilation_hfactor: 7,
        quantized_bias_type: DType::Int64,
    }
}

fn conv3d_options() -> Conv3DOptions {
    Conv3DOptions {
        padding: Padding::Valid,
        stride_d: 3,
        stride_w: 4,
        stride_h: 5,
        fused_activation_function: ActivationFunctionType::SignBit,
        dilation_dfactor: 7,
        dilation_wfactor: 8,
        dilation_hfactor: 9,
    }
}

fn pool2d_options() -> Pool2DOptions {
    Pool2DOptions {
        padding: Padding::Valid,
        stride_w: 3,
        stride_h: 4,
        filter_width: 5,
        filter_height: 6,
        fused_activation_function: ActivationFunctionType::SignBit,
    }
}

fn depthwise_conv2d_options() -> DepthwiseConv2DOptions {
    DepthwiseConv2DOptions {
        padding: Padding::Valid,
        stride_w: 3,
        stride_h: 4,
        depth_multiplier: 5,
        fused_activation_function: ActivationFunctionType::SignBit,
        dilation_wfactor: 7,
        dilation_hfactor: 8,
    }
}

fn concat_embeddings_options() -> ConcatEmbeddingsOptions {
    ConcatEmbeddingsOptions {
        num_channels: 2,
        num_columns_per_channel: vec![3, 3, 3],
        embedding_dim_per_channel: vec![4, 4, 4],
    }
}

fn lsh_projection_options() -> LshProjectionOptions {
    LshProjectionOptions { kind: LshProjectionType::Dense }
}

fn svdf_options() -> SvdfOptions {
    SvdfOptions {
        rank: 2,
        fused_activation_function: ActivationFunctionType::SignBit,
        asymmetric_quantize_inputs: true,
    }
}

fn rnn_options() -> RnnOptions {
    RnnOptions { fused_activation_function: ActivationFunctionType::SignBit, asymmetric_quantize_inputs: true }
}

fn sequence_rnn_options() -> SequenceRnnOptions {
    SequenceRnnOptions {
        time_major: true,
        fused_activation_function: ActivationFunctionType::SignBit,
        asymmetric_quantize_inputs: true,
    }
}

fn bidirectional_sequence_rnn_options() -> BidirectionalSequenceRnnOptions {
    BidirectionalSequenceRnnOptions {
        time_major: true,
        fused_activation_function: ActivationFunctionType::SignBit,
        merge_outputs: true,
        asymmetric_quantize_inputs: true,
    }
}

fn fully_connected_options() -> FullyConnectedOptions {
    FullyConnectedOptions {
        fused_activation_function: ActivationFunctionType::SignBit,
        weights_format: FullyConnectedOptionsWeightsFormat::Shuffled4x16int8,
        keep_num_dims: true,
        asymmetric_quantize_inputs: true,
        quantized_bias_type: DType::Int64,
        quant_spec: vec![7, 7, 7],
    }
}

fn softmax_options() -> SoftmaxOptions {
    SoftmaxOptions { beta: 2.5 }
}

fn concatenation_options() -> ConcatenationOptions {
    ConcatenationOptions { axis: 2, fused_activation_function: ActivationFunctionType::SignBit }
}

fn add_options() -> AddOptions {
    AddOptions { fused_activation_function: ActivationFunctionType::SignBit, pot_scale_int16: false }
}

fn mul_options() -> MulOptions {
    MulOptions { fused_activation_function: ActivationFunctionType::SignBit }
}

fn l2_norm_options() -> L2NormOptions {
    L2NormOptions { fused_activation_function: ActivationFunctionType::SignBit }
}

fn local_response_normalization_options() -> LocalResponseNormalizationOptions {
    LocalResponseNormalizationOptions { radius: 2, bias: 3.5, alpha: 4.5, beta: 5.5 }
}

fn lstm_options() -> LstmOptions {
    LstmOptions {
        fused_activation_function: ActivationFunctionType::SignBit,
        cell_clip: 3.5,
        proj_clip: 4.5,
        kernel_type: LstmKernelType::Basic,
        asymmetric_quantize_inputs: true,
    }
}

fn unidirectional_sequence_lstm_options() -> UnidirectionalSequenceLstmOptions {
    UnidirectionalSequenceLstmOptions {
        fused_activation_function: ActivationFunctionType::SignBit,
        cell_clip: 3.5,
        proj_clip: 4.5,
        time_major: true,
        asymmetric_quantize_inputs: true,
        diagonal_recurrent_tensors: true,
    }
}

fn bidirectional_sequence_lstm_options() -> BidirectionalSequenceLstmOptions {
    BidirectionalSequenceLstmOptions {
        fused_activation_function: ActivationFunctionType::SignBit,
        cell_clip: 3.5,
        proj_clip: 4.5,
        merge_outputs: true,
        time_major: false,
        asymmetric_quantize_inputs: true,
    }
}

fn resize_bilinear_options() -> ResizeBilinearOptions {
    ResizeBilinearOptions { align_corners: true, half_pixel_centers: true }
}

fn resize_nearest_neighbor_options() -> ResizeNearestNeighborOptions {
    ResizeNearestNeighborOptions { align_corners: true, half_pixel_centers: true }
}

fn call_options() -> CallOptions {
    CallOptions { subgraph: 2 }
}

fn reshape_options() -> ReshapeOptions {
    ReshapeOptions { new_shape: vec![2, 2, 2] }
}

fn skip_gram_options() -> SkipGramOptions {
    SkipGramOptions { ngram_size: 2, max_skip_size: 3, include_all_ngrams: true }
}

fn space_to_depth_options() -> SpaceToDepthOptions {
    SpaceToDepthOptions { block_size: 2 }
}

fn depth_to_space_options() -> DepthToSpaceOptions {
    DepthToSpaceOptions { block_size: 2 }
}

fn sub_options() -> SubOptions {
    SubOptions { fused_activation_function: ActivationFunctionType::SignBit, pot_scale_int16: false }
}

fn div_options() -> DivOptions {
    DivOptions { fused_activation_function: ActivationFunctionType::SignBit }
}

fn embedding_lookup_sparse_options() -> EmbeddingLookupSparseOptions {
    EmbeddingLookupSparseOptions { combiner: CombinerType::Sqrtn }
}

fn gather_options() -> GatherOptions {
    GatherOptions { axis: 2, batch_dims: 3 }
}

fn reducer_options() -> ReducerOptions {
    ReducerOptions { keep_dims: true }
}

fn squeeze_options() -> SqueezeOptions {
    SqueezeOptions { squeeze_dims: vec![2, 2, 2] }
}

fn split_options() -> SplitOptions {
    SplitOptions { num_splits: 2 }
}

fn split_voptions() -> SplitVOptions {
    SplitVOptions { num_splits: 2 }
}

fn strided_slice_options() -> StridedSliceOptions {
    StridedSliceOptions {
        begin_mask: 2,
        end_mask: 3,
        ellipsis_mask: 4,
        new_axis_mask: 5,
        shrink_axis_mask: 6,
        offset: true,
    }
}

fn cast_options() -> CastOptions {
    CastOptions { in_data_type: DType::Int64, out_data_type: DType::Int64 }
}

fn arg_max_options() -> ArgMaxOptions {
    ArgMaxOptions { output_type: DType::Int64 }
}

fn arg_min_options() -> ArgMinOptions {
    ArgMinOptions { output_type: DType::Int64 }
}

fn transpose_conv_options() -> TransposeConvOptions {
    TransposeConvOptions {
        padding: Padding::Valid,
        stride_w: 3,
        stride_h: 4,
        fused_activation_function: ActivationFunctionType::SignBit,
        quantized_bias_type: DType::Int64,
    }
}

fn sparse_to_dense_options() -> SparseToDenseOptions {
    SparseToDenseOptions { validate_indices: true }
}

fn shape_options() -> ShapeOptions {
    ShapeOptions { out_type: DType::Int64 }
}

fn fake_quant_options() -> FakeQuantOptions {
    FakeQuantOptions { min: 2.5, max: 3.5, num_bits: 4, narrow_range: true }
}

fn pack_options() -> PackOptions {
    PackOptions { values_count: 2, axis: 3 }
}

fn one_hot_options() -> OneHotOptions {
    OneHotOptions { axis: 2 }
}

fn unpack_options() -> UnpackOptions {
    UnpackOptions { num: 2, axis: 3 }
}

fn leaky_relu_options() -> LeakyReluOptions {
    LeakyReluOptions { alpha: 2.5 }
}

fn mirror_pad_options() -> MirrorPadOptions {
    MirrorPadOptions { mode: MirrorPadMode::Symmetric }
}

fn unique_options() -> UniqueOptions {
    UniqueOptions { idx_out_type: DType::Int64 }
}

fn reverse_sequence_options() -> ReverseSequenceOptions {
    ReverseSequenceOptions { seq_dim: 2, batch_dim: 3 }
}

fn if_options() -> IfOptions {
    IfOptions { then_subgraph_index: 2, else_subgraph_index: 3 }
}

fn call_once_options() -> CallOnceOptions {
    CallOnceOptions { init_subgraph_index: 2 }
}

fn while_options() -> WhileOptions {
    WhileOptions { cond_subgraph_index: 2, body_subgraph_index: 3 }
}

fn batch_mat_mul_options() -> BatchMatMulOptions {
    BatchMatMulOptions { adj_x: true, adj_y: true, asymmetric_quantize_inputs: true }
}

fn cumsum_options() -> CumsumOptions {
    CumsumOptions { exclusive: true, reverse: true }
}

fn hashtable_options() -> HashtableOptions {
    HashtableOptions { table_id: 2, key_dtype: DType::Int64, value_dtype: DType::Int64 }
}

fn var_handle_options() -> VarHandleOptions {
    VarHandleOptions { container: "text 2".to_owned(), shared_name: "text 3".to_owned() }
}

fn random_options() -> RandomOptions {
    RandomOptions { seed: 2, seed2: 3 }
}

fn bucketize_options() -> BucketizeOptions {
    BucketizeOptions { boundaries: vec![2.5, 2.5, 2.5] }
}

fn gelu_options() -> GeluOptions {
    GeluOptions { approximate: true }
}

fn reduce_window_options() -> ReduceWindowOptions {
    ReduceWindowOptions { reduce_function: ReduceWindowFunction::Any }
}

fn stablehlo_composite_options() -> StablehloCompositeOptions {
    StablehloCompositeOptions {
        name: "text 2".to_owned(),
        decomposition_subgraph_index: 3,
        composite_attributes: vec![4, 4, 4],
        composite_attributes_format: CustomOptionsFormat::Flexbuffers,
        version: 6,
    }
}
