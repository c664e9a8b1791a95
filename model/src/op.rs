//! Operators and their attributes, one variant per builtin of the schema. Written by `cargo xtask schema`.

use crate::DType;

/// `Padding` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum Padding {
    #[default]
    Same = 0,
    Valid = 1,
}

impl Padding {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Same, Self::Valid];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Same),
            1 => Some(Self::Valid),
            _ => None,
        }
    }
}

/// `ActivationFunctionType` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum ActivationFunctionType {
    #[default]
    None = 0,
    Relu = 1,
    ReluN1To1 = 2,
    Relu6 = 3,
    Tanh = 4,
    SignBit = 5,
}

impl ActivationFunctionType {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::None, Self::Relu, Self::ReluN1To1, Self::Relu6, Self::Tanh, Self::SignBit];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::Relu),
            2 => Some(Self::ReluN1To1),
            3 => Some(Self::Relu6),
            4 => Some(Self::Tanh),
            5 => Some(Self::SignBit),
            _ => None,
        }
    }
}

/// `LSHProjectionType` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum LshProjectionType {
    #[default]
    Unknown = 0,
    Sparse = 1,
    Dense = 2,
}

impl LshProjectionType {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Unknown, Self::Sparse, Self::Dense];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Unknown),
            1 => Some(Self::Sparse),
            2 => Some(Self::Dense),
            _ => None,
        }
    }
}

/// `FullyConnectedOptionsWeightsFormat` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum FullyConnectedOptionsWeightsFormat {
    #[default]
    Default = 0,
    Shuffled4x16int8 = 1,
}

impl FullyConnectedOptionsWeightsFormat {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Default, Self::Shuffled4x16int8];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Default),
            1 => Some(Self::Shuffled4x16int8),
            _ => None,
        }
    }
}

/// `LSTMKernelType` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum LstmKernelType {
    #[default]
    Full = 0,
    Basic = 1,
}

impl LstmKernelType {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Full, Self::Basic];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Full),
            1 => Some(Self::Basic),
            _ => None,
        }
    }
}

/// `CombinerType` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum CombinerType {
    #[default]
    Sum = 0,
    Mean = 1,
    Sqrtn = 2,
}

impl CombinerType {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Sum, Self::Mean, Self::Sqrtn];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Sum),
            1 => Some(Self::Mean),
            2 => Some(Self::Sqrtn),
            _ => None,
        }
    }
}

/// `MirrorPadMode` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum MirrorPadMode {
    #[default]
    Reflect = 0,
    Symmetric = 1,
}

impl MirrorPadMode {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Reflect, Self::Symmetric];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Reflect),
            1 => Some(Self::Symmetric),
            _ => None,
        }
    }
}

/// `CustomOptionsFormat` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum CustomOptionsFormat {
    #[default]
    Flexbuffers = 0,
}

impl CustomOptionsFormat {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Flexbuffers];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Flexbuffers),
            _ => None,
        }
    }
}

/// `ReduceWindowFunction` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum ReduceWindowFunction {
    #[default]
    Unsupported = 0,
    Add = 1,
    Mul = 2,
    Minimum = 3,
    Maximum = 4,
    All = 5,
    Any = 6,
}

impl ReduceWindowFunction {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] =
        &[Self::Unsupported, Self::Add, Self::Mul, Self::Minimum, Self::Maximum, Self::All, Self::Any];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Unsupported),
            1 => Some(Self::Add),
            2 => Some(Self::Mul),
            3 => Some(Self::Minimum),
            4 => Some(Self::Maximum),
            5 => Some(Self::All),
            6 => Some(Self::Any),
            _ => None,
        }
    }
}

/// `StablehloPrecisionConfig` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum StablehloPrecisionConfig {
    #[default]
    Default = 0,
    High = 1,
    Highest = 2,
}

impl StablehloPrecisionConfig {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Default, Self::High, Self::Highest];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Default),
            1 => Some(Self::High),
            2 => Some(Self::Highest),
            _ => None,
        }
    }
}

/// `StablehloComparisonDirection` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum StablehloComparisonDirection {
    #[default]
    Eq = 0,
    Ne = 1,
    Ge = 2,
    Gt = 3,
    Le = 4,
    Lt = 5,
}

impl StablehloComparisonDirection {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Eq, Self::Ne, Self::Ge, Self::Gt, Self::Le, Self::Lt];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Eq),
            1 => Some(Self::Ne),
            2 => Some(Self::Ge),
            3 => Some(Self::Gt),
            4 => Some(Self::Le),
            5 => Some(Self::Lt),
            _ => None,
        }
    }
}

/// `StablehloComparisonType` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum StablehloComparisonType {
    #[default]
    Notype = 0,
    Float = 1,
    FloatTotalOrder = 2,
    Signed = 3,
    Unsigned = 4,
}

impl StablehloComparisonType {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Notype, Self::Float, Self::FloatTotalOrder, Self::Signed, Self::Unsigned];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Notype),
            1 => Some(Self::Float),
            2 => Some(Self::FloatTotalOrder),
            3 => Some(Self::Signed),
            4 => Some(Self::Unsigned),
            _ => None,
        }
    }
}

/// `RngAlgorithm` of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum RngAlgorithm {
    #[default]
    Default = 0,
    Philox = 1,
    Threefry = 2,
}

impl RngAlgorithm {
    /// Every value, in the schema's order.
    pub const ALL: &'static [Self] = &[Self::Default, Self::Philox, Self::Threefry];

    /// The variant with this number in the schema.
    pub fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Default),
            1 => Some(Self::Philox),
            2 => Some(Self::Threefry),
            _ => None,
        }
    }
}

/// `StablehloGatherOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloGatherOptions {
    pub offset_dims: Vec<i64>,
    pub collapsed_slice_dims: Vec<i64>,
    pub start_index_map: Vec<i64>,
    pub index_vector_dim: i64,
    pub slice_sizes: Vec<i64>,
    pub indices_are_sorted: bool,
}

/// `StablehloTransposeOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloTransposeOptions {
    pub permutation: Vec<i64>,
}

/// `StablehloDotGeneralOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloDotGeneralOptions {
    pub lhs_batching_dimensions: Vec<i64>,
    pub rhs_batching_dimensions: Vec<i64>,
    pub lhs_contracting_dimensions: Vec<i64>,
    pub rhs_contracting_dimensions: Vec<i64>,
    pub precision_config: Vec<StablehloPrecisionConfig>,
}

/// `StablehloReduceWindowOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloReduceWindowOptions {
    pub window_dimensions: Vec<i64>,
    pub window_strides: Vec<i64>,
    pub base_dilations: Vec<i64>,
    pub window_dilations: Vec<i64>,
    pub padding: Vec<i64>,
    pub body_subgraph_index: i32,
}

/// `StablehloWhileOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloWhileOptions {
    pub cond_subgraph_index: i32,
    pub body_subgraph_index: i32,
}

/// `StablehloSortOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloSortOptions {
    pub dimension: i64,
    pub is_stable: bool,
    pub comparator_subgraph_index: i32,
}

/// `StablehloConcatenateOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloConcatenateOptions {
    pub dimension: i64,
}

/// `StablehloBroadcastInDimOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloBroadcastInDimOptions {
    pub broadcast_dimensions: Vec<i64>,
}

/// `StablehloCompareOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloCompareOptions {
    pub comparison_direction: StablehloComparisonDirection,
    pub compare_type: StablehloComparisonType,
}

/// `StablehloDynamicSliceOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloDynamicSliceOptions {
    pub slice_sizes: Vec<i64>,
}

/// `StablehloPadOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloPadOptions {
    pub edge_padding_low: Vec<i64>,
    pub edge_padding_high: Vec<i64>,
    pub interior_padding: Vec<i64>,
}

/// `StablehloIotaOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloIotaOptions {
    pub iota_dimension: i64,
}

/// `StablehloCustomCallOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloCustomCallOptions {
    pub call_target_name: String,
    pub has_side_effect: bool,
    pub backend_config: String,
    pub api_version: i32,
    pub called_computations: Vec<i32>,
    pub custom_attributes: Vec<u8>,
}

/// `StablehloReduceOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloReduceOptions {
    pub dimensions: Vec<i64>,
    pub body_subgraph_index: i32,
}

/// `StablehloSliceOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloSliceOptions {
    pub start_indices: Vec<i64>,
    pub limit_indices: Vec<i64>,
    pub strides: Vec<i64>,
}

/// `StablehloConvolutionOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloConvolutionOptions {
    pub window_strides: Vec<i64>,
    pub padding: Vec<i64>,
    pub lhs_dilation: Vec<i64>,
    pub rhs_dilation: Vec<i64>,
    pub window_reversal: Vec<bool>,
    pub input_batch_dimension: i64,
    pub input_feature_dimension: i64,
    pub input_spatial_dimensions: Vec<i64>,
    pub kernel_input_feature_dimension: i64,
    pub kernel_output_feature_dimension: i64,
    pub kernel_spatial_dimensions: Vec<i64>,
    pub output_batch_dimension: i64,
    pub output_feature_dimension: i64,
    pub output_spatial_dimensions: Vec<i64>,
    pub feature_group_count: i64,
    pub batch_group_count: i64,
    pub precision_config: Vec<StablehloPrecisionConfig>,
}

/// `StablehloScatterOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloScatterOptions {
    pub indices_are_sorted: bool,
    pub update_window_dims: Vec<i64>,
    pub inserted_window_dims: Vec<i64>,
    pub scatter_dims_to_operand_dims: Vec<i64>,
    pub index_vector_dim: i64,
    pub unique_indices: bool,
    pub update_computation_subgraph_index: i32,
}

/// `StablehloCaseOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloCaseOptions {
    pub branch_subgraph_indices: Vec<i32>,
}

/// `StablehloRngBitGeneratorOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloRngBitGeneratorOptions {
    pub algorithm: RngAlgorithm,
}

/// `Conv2DOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct Conv2DOptions {
    pub padding: Padding,
    pub stride_w: i32,
    pub stride_h: i32,
    pub fused_activation_function: ActivationFunctionType,
    pub dilation_wfactor: i32,
    pub dilation_hfactor: i32,
    pub quantized_bias_type: DType,
}

impl Default for Conv2DOptions {
    fn default() -> Self {
        Self {
            padding: Default::default(),
            stride_w: 0,
            stride_h: 0,
            fused_activation_function: Default::default(),
            dilation_wfactor: 1,
            dilation_hfactor: 1,
            quantized_bias_type: DType::Float32,
        }
    }
}

/// `Conv3DOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct Conv3DOptions {
    pub padding: Padding,
    pub stride_d: i32,
    pub stride_w: i32,
    pub stride_h: i32,
    pub fused_activation_function: ActivationFunctionType,
    pub dilation_dfactor: i32,
    pub dilation_wfactor: i32,
    pub dilation_hfactor: i32,
}

impl Default for Conv3DOptions {
    fn default() -> Self {
        Self {
            padding: Default::default(),
            stride_d: 0,
            stride_w: 0,
            stride_h: 0,
            fused_activation_function: Default::default(),
            dilation_dfactor: 1,
            dilation_wfactor: 1,
            dilation_hfactor: 1,
        }
    }
}

/// `Pool2DOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct Pool2DOptions {
    pub padding: Padding,
    pub stride_w: i32,
    pub stride_h: i32,
    pub filter_width: i32,
    pub filter_height: i32,
    pub fused_activation_function: ActivationFunctionType,
}

/// `DepthwiseConv2DOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct DepthwiseConv2DOptions {
    pub padding: Padding,
    pub stride_w: i32,
    pub stride_h: i32,
    pub depth_multiplier: i32,
    pub fused_activation_function: ActivationFunctionType,
    pub dilation_wfactor: i32,
    pub dilation_hfactor: i32,
}

impl Default for DepthwiseConv2DOptions {
    fn default() -> Self {
        Self {
            padding: Default::default(),
            stride_w: 0,
            stride_h: 0,
            depth_multiplier: 0,
            fused_activation_function: Default::default(),
            dilation_wfactor: 1,
            dilation_hfactor: 1,
        }
    }
}

/// `ConcatEmbeddingsOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ConcatEmbeddingsOptions {
    pub num_channels: i32,
    pub num_columns_per_channel: Vec<i32>,
    pub embedding_dim_per_channel: Vec<i32>,
}

/// `LSHProjectionOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct LshProjectionOptions {
    pub kind: LshProjectionType,
}

/// `SVDFOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SvdfOptions {
    pub rank: i32,
    pub fused_activation_function: ActivationFunctionType,
    pub asymmetric_quantize_inputs: bool,
}

/// `RNNOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct RnnOptions {
    pub fused_activation_function: ActivationFunctionType,
    pub asymmetric_quantize_inputs: bool,
}

/// `SequenceRNNOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SequenceRnnOptions {
    pub time_major: bool,
    pub fused_activation_function: ActivationFunctionType,
    pub asymmetric_quantize_inputs: bool,
}

/// `BidirectionalSequenceRNNOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct BidirectionalSequenceRnnOptions {
    pub time_major: bool,
    pub fused_activation_function: ActivationFunctionType,
    pub merge_outputs: bool,
    pub asymmetric_quantize_inputs: bool,
}

/// `FullyConnectedOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct FullyConnectedOptions {
    pub fused_activation_function: ActivationFunctionType,
    pub weights_format: FullyConnectedOptionsWeightsFormat,
    pub keep_num_dims: bool,
    pub asymmetric_quantize_inputs: bool,
    pub quantized_bias_type: DType,
    pub quant_spec: Vec<u8>,
}

impl Default for FullyConnectedOptions {
    fn default() -> Self {
        Self {
            fused_activation_function: Default::default(),
            weights_format: Default::default(),
            keep_num_dims: false,
            asymmetric_quantize_inputs: false,
            quantized_bias_type: DType::Float32,
            quant_spec: Vec::new(),
        }
    }
}

/// `SoftmaxOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SoftmaxOptions {
    pub beta: f32,
}

/// `ConcatenationOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ConcatenationOptions {
    pub axis: i32,
    pub fused_activation_function: ActivationFunctionType,
}

/// `AddOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct AddOptions {
    pub fused_activation_function: ActivationFunctionType,
    pub pot_scale_int16: bool,
}

impl Default for AddOptions {
    fn default() -> Self {
        Self { fused_activation_function: Default::default(), pot_scale_int16: true }
    }
}

/// `MulOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct MulOptions {
    pub fused_activation_function: ActivationFunctionType,
}

/// `L2NormOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct L2NormOptions {
    pub fused_activation_function: ActivationFunctionType,
}

/// `LocalResponseNormalizationOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct LocalResponseNormalizationOptions {
    pub radius: i32,
    pub bias: f32,
    pub alpha: f32,
    pub beta: f32,
}

/// `LSTMOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct LstmOptions {
    pub fused_activation_function: ActivationFunctionType,
    pub cell_clip: f32,
    pub proj_clip: f32,
    pub kernel_type: LstmKernelType,
    pub asymmetric_quantize_inputs: bool,
}

/// `UnidirectionalSequenceLSTMOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct UnidirectionalSequenceLstmOptions {
    pub fused_activation_function: ActivationFunctionType,
    pub cell_clip: f32,
    pub proj_clip: f32,
    pub time_major: bool,
    pub asymmetric_quantize_inputs: bool,
    pub diagonal_recurrent_tensors: bool,
}

/// `BidirectionalSequenceLSTMOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct BidirectionalSequenceLstmOptions {
    pub fused_activation_function: ActivationFunctionType,
    pub cell_clip: f32,
    pub proj_clip: f32,
    pub merge_outputs: bool,
    pub time_major: bool,
    pub asymmetric_quantize_inputs: bool,
}

impl Default for BidirectionalSequenceLstmOptions {
    fn default() -> Self {
        Self {
            fused_activation_function: Default::default(),
            cell_clip: 0.0,
            proj_clip: 0.0,
            merge_outputs: false,
            time_major: true,
            asymmetric_quantize_inputs: false,
        }
    }
}

/// `ResizeBilinearOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ResizeBilinearOptions {
    pub align_corners: bool,
    pub half_pixel_centers: bool,
}

/// `ResizeNearestNeighborOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ResizeNearestNeighborOptions {
    pub align_corners: bool,
    pub half_pixel_centers: bool,
}

/// `CallOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct CallOptions {
    pub subgraph: u32,
}

/// `ReshapeOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ReshapeOptions {
    pub new_shape: Vec<i32>,
}

/// `SkipGramOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SkipGramOptions {
    pub ngram_size: i32,
    pub max_skip_size: i32,
    pub include_all_ngrams: bool,
}

/// `SpaceToDepthOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SpaceToDepthOptions {
    pub block_size: i32,
}

/// `DepthToSpaceOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct DepthToSpaceOptions {
    pub block_size: i32,
}

/// `SubOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SubOptions {
    pub fused_activation_function: ActivationFunctionType,
    pub pot_scale_int16: bool,
}

impl Default for SubOptions {
    fn default() -> Self {
        Self { fused_activation_function: Default::default(), pot_scale_int16: true }
    }
}

/// `DivOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct DivOptions {
    pub fused_activation_function: ActivationFunctionType,
}

/// `EmbeddingLookupSparseOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct EmbeddingLookupSparseOptions {
    pub combiner: CombinerType,
}

/// `GatherOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct GatherOptions {
    pub axis: i32,
    pub batch_dims: i32,
}

/// `ReducerOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ReducerOptions {
    pub keep_dims: bool,
}

/// `SqueezeOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SqueezeOptions {
    pub squeeze_dims: Vec<i32>,
}

/// `SplitOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SplitOptions {
    pub num_splits: i32,
}

/// `SplitVOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SplitVOptions {
    pub num_splits: i32,
}

/// `StridedSliceOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StridedSliceOptions {
    pub begin_mask: i32,
    pub end_mask: i32,
    pub ellipsis_mask: i32,
    pub new_axis_mask: i32,
    pub shrink_axis_mask: i32,
    pub offset: bool,
}

/// `CastOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct CastOptions {
    pub in_data_type: DType,
    pub out_data_type: DType,
}

impl Default for CastOptions {
    fn default() -> Self {
        Self { in_data_type: DType::Float32, out_data_type: DType::Float32 }
    }
}

/// `ArgMaxOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ArgMaxOptions {
    pub output_type: DType,
}

impl Default for ArgMaxOptions {
    fn default() -> Self {
        Self { output_type: DType::Float32 }
    }
}

/// `ArgMinOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ArgMinOptions {
    pub output_type: DType,
}

impl Default for ArgMinOptions {
    fn default() -> Self {
        Self { output_type: DType::Float32 }
    }
}

/// `TransposeConvOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct TransposeConvOptions {
    pub padding: Padding,
    pub stride_w: i32,
    pub stride_h: i32,
    pub fused_activation_function: ActivationFunctionType,
    pub quantized_bias_type: DType,
}

impl Default for TransposeConvOptions {
    fn default() -> Self {
        Self {
            padding: Default::default(),
            stride_w: 0,
            stride_h: 0,
            fused_activation_function: Default::default(),
            quantized_bias_type: DType::Float32,
        }
    }
}

/// `SparseToDenseOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct SparseToDenseOptions {
    pub validate_indices: bool,
}

/// `ShapeOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ShapeOptions {
    pub out_type: DType,
}

impl Default for ShapeOptions {
    fn default() -> Self {
        Self { out_type: DType::Float32 }
    }
}

/// `FakeQuantOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct FakeQuantOptions {
    pub min: f32,
    pub max: f32,
    pub num_bits: i32,
    pub narrow_range: bool,
}

/// `PackOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct PackOptions {
    pub values_count: i32,
    pub axis: i32,
}

/// `OneHotOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct OneHotOptions {
    pub axis: i32,
}

/// `UnpackOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct UnpackOptions {
    pub num: i32,
    pub axis: i32,
}

/// `LeakyReluOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct LeakyReluOptions {
    pub alpha: f32,
}

/// `MirrorPadOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct MirrorPadOptions {
    pub mode: MirrorPadMode,
}

/// `UniqueOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct UniqueOptions {
    pub idx_out_type: DType,
}

impl Default for UniqueOptions {
    fn default() -> Self {
        Self { idx_out_type: DType::Int32 }
    }
}

/// `ReverseSequenceOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ReverseSequenceOptions {
    pub seq_dim: i32,
    pub batch_dim: i32,
}

/// `IfOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct IfOptions {
    pub then_subgraph_index: i32,
    pub else_subgraph_index: i32,
}

/// `CallOnceOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct CallOnceOptions {
    pub init_subgraph_index: i32,
}

/// `WhileOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct WhileOptions {
    pub cond_subgraph_index: i32,
    pub body_subgraph_index: i32,
}

/// `BatchMatMulOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct BatchMatMulOptions {
    pub adj_x: bool,
    pub adj_y: bool,
    pub asymmetric_quantize_inputs: bool,
}

/// `CumsumOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct CumsumOptions {
    pub exclusive: bool,
    pub reverse: bool,
}

/// `HashtableOptions` of the schema.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct HashtableOptions {
    pub table_id: i32,
    pub key_dtype: DType,
    pub value_dtype: DType,
}

impl Default for HashtableOptions {
    fn default() -> Self {
        Self { table_id: 0, key_dtype: DType::Float32, value_dtype: DType::Float32 }
    }
}

/// `VarHandleOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct VarHandleOptions {
    pub container: String,
    pub shared_name: String,
}

/// `RandomOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct RandomOptions {
    pub seed: i64,
    pub seed2: i64,
}

/// `BucketizeOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct BucketizeOptions {
    pub boundaries: Vec<f32>,
}

/// `GeluOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct GeluOptions {
    pub approximate: bool,
}

/// `ReduceWindowOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct ReduceWindowOptions {
    pub reduce_function: ReduceWindowFunction,
}

/// `StableHLOCompositeOptions` of the schema.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the schema's")]
pub struct StablehloCompositeOptions {
    pub name: String,
    pub decomposition_subgraph_index: i32,
    pub composite_attributes: Vec<u8>,
    pub composite_attributes_format: CustomOptionsFormat,
    pub version: i32,
}

/// The builtin operators of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum BuiltinOperator {
    Add = 0,
    AveragePool2d = 1,
    Concatenation = 2,
    Conv2d = 3,
    DepthwiseConv2d = 4,
    DepthToSpace = 5,
    Dequantize = 6,
    EmbeddingLookup = 7,
    Floor = 8,
    FullyConnected = 9,
    HashtableLookup = 10,
    L2Normalization = 11,
    L2Pool2d = 12,
    LocalResponseNormalization = 13,
    Logistic = 14,
    LshProjection = 15,
    Lstm = 16,
    MaxPool2d = 17,
    Mul = 18,
    Relu = 19,
    ReluN1To1 = 20,
    Relu6 = 21,
    Reshape = 22,
    ResizeBilinear = 23,
    Rnn = 24,
    Softmax = 25,
    SpaceToDepth = 26,
    Svdf = 27,
    Tanh = 28,
    ConcatEmbeddings = 29,
    SkipGram = 30,
    Call = 31,
    Custom = 32,
    EmbeddingLookupSparse = 33,
    Pad = 34,
    UnidirectionalSequenceRnn = 35,
    Gather = 36,
    BatchToSpaceNd = 37,
    SpaceToBatchNd = 38,
    Transpose = 39,
    Mean = 40,
    Sub = 41,
    Div = 42,
    Squeeze = 43,
    UnidirectionalSequenceLstm = 44,
    StridedSlice = 45,
    BidirectionalSequenceRnn = 46,
    Exp = 47,
    TopkV2 = 48,
    Split = 49,
    LogSoftmax = 50,
    Delegate = 51,
    BidirectionalSequenceLstm = 52,
    Cast = 53,
    Prelu = 54,
    Maximum = 55,
    ArgMax = 56,
    Minimum = 57,
    Less = 58,
    Neg = 59,
    Padv2 = 60,
    Greater = 61,
    GreaterEqual = 62,
    LessEqual = 63,
    Select = 64,
    Slice = 65,
    Sin = 66,
    TransposeConv = 67,
    SparseToDense = 68,
    Tile = 69,
    ExpandDims = 70,
    Equal = 71,
    NotEqual = 72,
    Log = 73,
    Sum = 74,
    Sqrt = 75,
    Rsqrt = 76,
    Shape = 77,
    Pow = 78,
    ArgMin = 79,
    FakeQuant = 80,
    ReduceProd = 81,
    ReduceMax = 82,
    Pack = 83,
    LogicalOr = 84,
    OneHot = 85,
    LogicalAnd = 86,
    LogicalNot = 87,
    Unpack = 88,
    ReduceMin = 89,
    FloorDiv = 90,
    ReduceAny = 91,
    Square = 92,
    ZerosLike = 93,
    Fill = 94,
    FloorMod = 95,
    Range = 96,
    ResizeNearestNeighbor = 97,
    LeakyRelu = 98,
    SquaredDifference = 99,
    MirrorPad = 100,
    Abs = 101,
    SplitV = 102,
    Unique = 103,
    Ceil = 104,
    ReverseV2 = 105,
    AddN = 106,
    GatherNd = 107,
    Cos = 108,
    Where = 109,
    Rank = 110,
    Elu = 111,
    ReverseSequence = 112,
    MatrixDiag = 113,
    Quantize = 114,
    MatrixSetDiag = 115,
    Round = 116,
    HardSwish = 117,
    If = 118,
    While = 119,
    NonMaxSuppressionV4 = 120,
    NonMaxSuppressionV5 = 121,
    ScatterNd = 122,
    SelectV2 = 123,
    Densify = 124,
    SegmentSum = 125,
    BatchMatmul = 126,
    PlaceholderForGreaterOpCodes = 127,
    Cumsum = 128,
    CallOnce = 129,
    BroadcastTo = 130,
    Rfft2d = 131,
    Conv3d = 132,
    Imag = 133,
    Real = 134,
    ComplexAbs = 135,
    Hashtable = 136,
    HashtableFind = 137,
    HashtableImport = 138,
    HashtableSize = 139,
    ReduceAll = 140,
    Conv3dTranspose = 141,
    VarHandle = 142,
    ReadVariable = 143,
    AssignVariable = 144,
    BroadcastArgs = 145,
    RandomStandardNormal = 146,
    Bucketize = 147,
    RandomUniform = 148,
    Multinomial = 149,
    Gelu = 150,
    DynamicUpdateSlice = 151,
    Relu0To1 = 152,
    UnsortedSegmentProd = 153,
    UnsortedSegmentMax = 154,
    UnsortedSegmentSum = 155,
    Atan2 = 156,
    UnsortedSegmentMin = 157,
    Sign = 158,
    Bitcast = 159,
    BitwiseXor = 160,
    RightShift = 161,
    StablehloLogistic = 162,
    StablehloAdd = 163,
    StablehloDivide = 164,
    StablehloMultiply = 165,
    StablehloMaximum = 166,
    StablehloReshape = 167,
    StablehloClamp = 168,
    StablehloConcatenate = 169,
    StablehloBroadcastInDim = 170,
    StablehloConvolution = 171,
    StablehloSlice = 172,
    StablehloCustomCall = 173,
    StablehloReduce = 174,
    StablehloAbs = 175,
    StablehloAnd = 176,
    StablehloCosine = 177,
    StablehloExponential = 178,
    StablehloFloor = 179,
    StablehloLog = 180,
    StablehloMinimum = 181,
    StablehloNegate = 182,
    StablehloOr = 183,
    StablehloPower = 184,
    StablehloRemainder = 185,
    StablehloRsqrt = 186,
    StablehloSelect = 187,
    StablehloSubtract = 188,
    StablehloTanh = 189,
    StablehloScatter = 190,
    StablehloCompare = 191,
    StablehloConvert = 192,
    StablehloDynamicSlice = 193,
    StablehloDynamicUpdateSlice = 194,
    StablehloPad = 195,
    StablehloIota = 196,
    StablehloDotGeneral = 197,
    StablehloReduceWindow = 198,
    StablehloSort = 199,
    StablehloWhile = 200,
    StablehloGather = 201,
    StablehloTranspose = 202,
    Dilate = 203,
    StablehloRngBitGenerator = 204,
    ReduceWindow = 205,
    StablehloComposite = 206,
    StablehloShiftLeft = 207,
    StablehloCbrt = 208,
    StablehloCase = 209,
}

impl BuiltinOperator {
    /// Every builtin, in the schema's order.
    pub const ALL: &'static [Self] = &[
        Self::Add,
        Self::AveragePool2d,
        Self::Concatenation,
        Self::Conv2d,
        Self::DepthwiseConv2d,
        Self::DepthToSpace,
        Self::Dequantize,
        Self::EmbeddingLookup,
        Self::Floor,
        Self::FullyConnected,
        Self::HashtableLookup,
        Self::L2Normalization,
        Self::L2Pool2d,
        Self::LocalResponseNormalization,
        Self::Logistic,
        Self::LshProjection,
        Self::Lstm,
        Self::MaxPool2d,
        Self::Mul,
        Self::Relu,
        Self::ReluN1To1,
        Self::Relu6,
        Self::Reshape,
        Self::ResizeBilinear,
        Self::Rnn,
        Self::Softmax,
        Self::SpaceToDepth,
        Self::Svdf,
        Self::Tanh,
        Self::ConcatEmbeddings,
        Self::SkipGram,
        Self::Call,
        Self::Custom,
        Self::EmbeddingLookupSparse,
        Self::Pad,
        Self::UnidirectionalSequenceRnn,
        Self::Gather,
        Self::BatchToSpaceNd,
        Self::SpaceToBatchNd,
        Self::Transpose,
        Self::Mean,
        Self::Sub,
        Self::Div,
        Self::Squeeze,
        Self::UnidirectionalSequenceLstm,
        Self::StridedSlice,
        Self::BidirectionalSequenceRnn,
        Self::Exp,
        Self::TopkV2,
        Self::Split,
        Self::LogSoftmax,
        Self::Delegate,
        Self::BidirectionalSequenceLstm,
        Self::Cast,
        Self::Prelu,
        Self::Maximum,
        Self::ArgMax,
        Self::Minimum,
        Self::Less,
        Self::Neg,
        Self::Padv2,
        Self::Greater,
        Self::GreaterEqual,
        Self::LessEqual,
        Self::Select,
        Self::Slice,
        Self::Sin,
        Self::TransposeConv,
        Self::SparseToDense,
        Self::Tile,
        Self::ExpandDims,
        Self::Equal,
        Self::NotEqual,
        Self::Log,
        Self::Sum,
        Self::Sqrt,
        Self::Rsqrt,
        Self::Shape,
        Self::Pow,
        Self::ArgMin,
        Self::FakeQuant,
        Self::ReduceProd,
        Self::ReduceMax,
        Self::Pack,
        Self::LogicalOr,
        Self::OneHot,
        Self::LogicalAnd,
        Self::LogicalNot,
        Self::Unpack,
        Self::ReduceMin,
        Self::FloorDiv,
        Self::ReduceAny,
        Self::Square,
        Self::ZerosLike,
        Self::Fill,
        Self::FloorMod,
        Self::Range,
        Self::ResizeNearestNeighbor,
        Self::LeakyRelu,
        Self::SquaredDifference,
        Self::MirrorPad,
        Self::Abs,
        Self::SplitV,
        Self::Unique,
        Self::Ceil,
        Self::ReverseV2,
        Self::AddN,
        Self::GatherNd,
        Self::Cos,
        Self::Where,
        Self::Rank,
        Self::Elu,
        Self::ReverseSequence,
        Self::MatrixDiag,
        Self::Quantize,
        Self::MatrixSetDiag,
        Self::Round,
        Self::HardSwish,
        Self::If,
        Self::While,
        Self::NonMaxSuppressionV4,
        Self::NonMaxSuppressionV5,
        Self::ScatterNd,
        Self::SelectV2,
        Self::Densify,
        Self::SegmentSum,
        Self::BatchMatmul,
        Self::PlaceholderForGreaterOpCodes,
        Self::Cumsum,
        Self::CallOnce,
        Self::BroadcastTo,
        Self::Rfft2d,
        Self::Conv3d,
        Self::Imag,
        Self::Real,
        Self::ComplexAbs,
        Self::Hashtable,
        Self::HashtableFind,
        Self::HashtableImport,
        Self::HashtableSize,
        Self::ReduceAll,
        Self::Conv3dTranspose,
        Self::VarHandle,
        Self::ReadVariable,
        Self::AssignVariable,
        Self::BroadcastArgs,
        Self::RandomStandardNormal,
        Self::Bucketize,
        Self::RandomUniform,
        Self::Multinomial,
        Self::Gelu,
        Self::DynamicUpdateSlice,
        Self::Relu0To1,
        Self::UnsortedSegmentProd,
        Self::UnsortedSegmentMax,
        Self::UnsortedSegmentSum,
        Self::Atan2,
        Self::UnsortedSegmentMin,
        Self::Sign,
        Self::Bitcast,
        Self::BitwiseXor,
        Self::RightShift,
        Self::StablehloLogistic,
        Self::StablehloAdd,
        Self::StablehloDivide,
        Self::StablehloMultiply,
        Self::StablehloMaximum,
        Self::StablehloReshape,
        Self::StablehloClamp,
        Self::StablehloConcatenate,
        Self::StablehloBroadcastInDim,
        Self::StablehloConvolution,
        Self::StablehloSlice,
        Self::StablehloCustomCall,
        Self::StablehloReduce,
        Self::StablehloAbs,
        Self::StablehloAnd,
        Self::StablehloCosine,
        Self::StablehloExponential,
        Self::StablehloFloor,
        Self::StablehloLog,
        Self::StablehloMinimum,
        Self::StablehloNegate,
        Self::StablehloOr,
        Self::StablehloPower,
        Self::StablehloRemainder,
        Self::StablehloRsqrt,
        Self::StablehloSelect,
        Self::StablehloSubtract,
        Self::StablehloTanh,
        Self::StablehloScatter,
        Self::StablehloCompare,
        Self::StablehloConvert,
        Self::StablehloDynamicSlice,
        Self::StablehloDynamicUpdateSlice,
        Self::StablehloPad,
        Self::StablehloIota,
        Self::StablehloDotGeneral,
        Self::StablehloReduceWindow,
        Self::StablehloSort,
        Self::StablehloWhile,
        Self::StablehloGather,
        Self::StablehloTranspose,
        Self::Dilate,
        Self::StablehloRngBitGenerator,
        Self::ReduceWindow,
        Self::StablehloComposite,
        Self::StablehloShiftLeft,
        Self::StablehloCbrt,
        Self::StablehloCase,
    ];

    /// The builtin with this number in the schema.
    pub fn from_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Add),
            1 => Some(Self::AveragePool2d),
            2 => Some(Self::Concatenation),
            3 => Some(Self::Conv2d),
            4 => Some(Self::DepthwiseConv2d),
            5 => Some(Self::DepthToSpace),
            6 => Some(Self::Dequantize),
            7 => Some(Self::EmbeddingLookup),
            8 => Some(Self::Floor),
            9 => Some(Self::FullyConnected),
            10 => Some(Self::HashtableLookup),
            11 => Some(Self::L2Normalization),
            12 => Some(Self::L2Pool2d),
            13 => Some(Self::LocalResponseNormalization),
            14 => Some(Self::Logistic),
            15 => Some(Self::LshProjection),
            16 => Some(Self::Lstm),
            17 => Some(Self::MaxPool2d),
            18 => Some(Self::Mul),
            19 => Some(Self::Relu),
            20 => Some(Self::ReluN1To1),
            21 => Some(Self::Relu6),
            22 => Some(Self::Reshape),
            23 => Some(Self::ResizeBilinear),
            24 => Some(Self::Rnn),
            25 => Some(Self::Softmax),
            26 => Some(Self::SpaceToDepth),
            27 => Some(Self::Svdf),
            28 => Some(Self::Tanh),
            29 => Some(Self::ConcatEmbeddings),
            30 => Some(Self::SkipGram),
            31 => Some(Self::Call),
            32 => Some(Self::Custom),
            33 => Some(Self::EmbeddingLookupSparse),
            34 => Some(Self::Pad),
            35 => Some(Self::UnidirectionalSequenceRnn),
            36 => Some(Self::Gather),
            37 => Some(Self::BatchToSpaceNd),
            38 => Some(Self::SpaceToBatchNd),
            39 => Some(Self::Transpose),
            40 => Some(Self::Mean),
            41 => Some(Self::Sub),
            42 => Some(Self::Div),
            43 => Some(Self::Squeeze),
            44 => Some(Self::UnidirectionalSequenceLstm),
            45 => Some(Self::StridedSlice),
            46 => Some(Self::BidirectionalSequenceRnn),
            47 => Some(Self::Exp),
            48 => Some(Self::TopkV2),
            49 => Some(Self::Split),
            50 => Some(Self::LogSoftmax),
            51 => Some(Self::Delegate),
            52 => Some(Self::BidirectionalSequenceLstm),
            53 => Some(Self::Cast),
            54 => Some(Self::Prelu),
            55 => Some(Self::Maximum),
            56 => Some(Self::ArgMax),
            57 => Some(Self::Minimum),
            58 => Some(Self::Less),
            59 => Some(Self::Neg),
            60 => Some(Self::Padv2),
            61 => Some(Self::Greater),
            62 => Some(Self::GreaterEqual),
            63 => Some(Self::LessEqual),
            64 => Some(Self::Select),
            65 => Some(Self::Slice),
            66 => Some(Self::Sin),
            67 => Some(Self::TransposeConv),
            68 => Some(Self::SparseToDense),
            69 => Some(Self::Tile),
            70 => Some(Self::ExpandDims),
            71 => Some(Self::Equal),
            72 => Some(Self::NotEqual),
            73 => Some(Self::Log),
            74 => Some(Self::Sum),
            75 => Some(Self::Sqrt),
            76 => Some(Self::Rsqrt),
            77 => Some(Self::Shape),
            78 => Some(Self::Pow),
            79 => Some(Self::ArgMin),
            80 => Some(Self::FakeQuant),
            81 => Some(Self::ReduceProd),
            82 => Some(Self::ReduceMax),
            83 => Some(Self::Pack),
            84 => Some(Self::LogicalOr),
            85 => Some(Self::OneHot),
            86 => Some(Self::LogicalAnd),
            87 => Some(Self::LogicalNot),
            88 => Some(Self::Unpack),
            89 => Some(Self::ReduceMin),
            90 => Some(Self::FloorDiv),
            91 => Some(Self::ReduceAny),
            92 => Some(Self::Square),
            93 => Some(Self::ZerosLike),
            94 => Some(Self::Fill),
            95 => Some(Self::FloorMod),
            96 => Some(Self::Range),
            97 => Some(Self::ResizeNearestNeighbor),
            98 => Some(Self::LeakyRelu),
            99 => Some(Self::SquaredDifference),
            100 => Some(Self::MirrorPad),
            101 => Some(Self::Abs),
            102 => Some(Self::SplitV),
            103 => Some(Self::Unique),
            104 => Some(Self::Ceil),
            105 => Some(Self::ReverseV2),
            106 => Some(Self::AddN),
            107 => Some(Self::GatherNd),
            108 => Some(Self::Cos),
            109 => Some(Self::Where),
            110 => Some(Self::Rank),
            111 => Some(Self::Elu),
            112 => Some(Self::ReverseSequence),
            113 => Some(Self::MatrixDiag),
            114 => Some(Self::Quantize),
            115 => Some(Self::MatrixSetDiag),
            116 => Some(Self::Round),
            117 => Some(Self::HardSwish),
            118 => Some(Self::If),
            119 => Some(Self::While),
            120 => Some(Self::NonMaxSuppressionV4),
            121 => Some(Self::NonMaxSuppressionV5),
            122 => Some(Self::ScatterNd),
            123 => Some(Self::SelectV2),
            124 => Some(Self::Densify),
            125 => Some(Self::SegmentSum),
            126 => Some(Self::BatchMatmul),
            127 => Some(Self::PlaceholderForGreaterOpCodes),
            128 => Some(Self::Cumsum),
            129 => Some(Self::CallOnce),
            130 => Some(Self::BroadcastTo),
            131 => Some(Self::Rfft2d),
            132 => Some(Self::Conv3d),
            133 => Some(Self::Imag),
            134 => Some(Self::Real),
            135 => Some(Self::ComplexAbs),
            136 => Some(Self::Hashtable),
            137 => Some(Self::HashtableFind),
            138 => Some(Self::HashtableImport),
            139 => Some(Self::HashtableSize),
            140 => Some(Self::ReduceAll),
            141 => Some(Self::Conv3dTranspose),
            142 => Some(Self::VarHandle),
            143 => Some(Self::ReadVariable),
            144 => Some(Self::AssignVariable),
            145 => Some(Self::BroadcastArgs),
            146 => Some(Self::RandomStandardNormal),
            147 => Some(Self::Bucketize),
            148 => Some(Self::RandomUniform),
            149 => Some(Self::Multinomial),
            150 => Some(Self::Gelu),
            151 => Some(Self::DynamicUpdateSlice),
            152 => Some(Self::Relu0To1),
            153 => Some(Self::UnsortedSegmentProd),
            154 => Some(Self::UnsortedSegmentMax),
            155 => Some(Self::UnsortedSegmentSum),
            156 => Some(Self::Atan2),
            157 => Some(Self::UnsortedSegmentMin),
            158 => Some(Self::Sign),
            159 => Some(Self::Bitcast),
            160 => Some(Self::BitwiseXor),
            161 => Some(Self::RightShift),
            162 => Some(Self::StablehloLogistic),
            163 => Some(Self::StablehloAdd),
            164 => Some(Self::StablehloDivide),
            165 => Some(Self::StablehloMultiply),
            166 => Some(Self::StablehloMaximum),
            167 => Some(Self::StablehloReshape),
            168 => Some(Self::StablehloClamp),
            169 => Some(Self::StablehloConcatenate),
            170 => Some(Self::StablehloBroadcastInDim),
            171 => Some(Self::StablehloConvolution),
            172 => Some(Self::StablehloSlice),
            173 => Some(Self::StablehloCustomCall),
            174 => Some(Self::StablehloReduce),
            175 => Some(Self::StablehloAbs),
            176 => Some(Self::StablehloAnd),
            177 => Some(Self::StablehloCosine),
            178 => Some(Self::StablehloExponential),
            179 => Some(Self::StablehloFloor),
            180 => Some(Self::StablehloLog),
            181 => Some(Self::StablehloMinimum),
            182 => Some(Self::StablehloNegate),
            183 => Some(Self::StablehloOr),
            184 => Some(Self::StablehloPower),
            185 => Some(Self::StablehloRemainder),
            186 => Some(Self::StablehloRsqrt),
            187 => Some(Self::StablehloSelect),
            188 => Some(Self::StablehloSubtract),
            189 => Some(Self::StablehloTanh),
            190 => Some(Self::StablehloScatter),
            191 => Some(Self::StablehloCompare),
            192 => Some(Self::StablehloConvert),
            193 => Some(Self::StablehloDynamicSlice),
            194 => Some(Self::StablehloDynamicUpdateSlice),
            195 => Some(Self::StablehloPad),
            196 => Some(Self::StablehloIota),
            197 => Some(Self::StablehloDotGeneral),
            198 => Some(Self::StablehloReduceWindow),
            199 => Some(Self::StablehloSort),
            200 => Some(Self::StablehloWhile),
            201 => Some(Self::StablehloGather),
            202 => Some(Self::StablehloTranspose),
            203 => Some(Self::Dilate),
            204 => Some(Self::StablehloRngBitGenerator),
            205 => Some(Self::ReduceWindow),
            206 => Some(Self::StablehloComposite),
            207 => Some(Self::StablehloShiftLeft),
            208 => Some(Self::StablehloCbrt),
            209 => Some(Self::StablehloCase),
            _ => None,
        }
    }

    /// TFLite's name, such as `CONV_2D`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::AveragePool2d => "AVERAGE_POOL_2D",
            Self::Concatenation => "CONCATENATION",
            Self::Conv2d => "CONV_2D",
            Self::DepthwiseConv2d => "DEPTHWISE_CONV_2D",
            Self::DepthToSpace => "DEPTH_TO_SPACE",
            Self::Dequantize => "DEQUANTIZE",
            Self::EmbeddingLookup => "EMBEDDING_LOOKUP",
            Self::Floor => "FLOOR",
            Self::FullyConnected => "FULLY_CONNECTED",
            Self::HashtableLookup => "HASHTABLE_LOOKUP",
            Self::L2Normalization => "L2_NORMALIZATION",
            Self::L2Pool2d => "L2_POOL_2D",
            Self::LocalResponseNormalization => "LOCAL_RESPONSE_NORMALIZATION",
            Self::Logistic => "LOGISTIC",
            Self::LshProjection => "LSH_PROJECTION",
            Self::Lstm => "LSTM",
            Self::MaxPool2d => "MAX_POOL_2D",
            Self::Mul => "MUL",
            Self::Relu => "RELU",
            Self::ReluN1To1 => "RELU_N1_TO_1",
            Self::Relu6 => "RELU6",
            Self::Reshape => "RESHAPE",
            Self::ResizeBilinear => "RESIZE_BILINEAR",
            Self::Rnn => "RNN",
            Self::Softmax => "SOFTMAX",
            Self::SpaceToDepth => "SPACE_TO_DEPTH",
            Self::Svdf => "SVDF",
            Self::Tanh => "TANH",
            Self::ConcatEmbeddings => "CONCAT_EMBEDDINGS",
            Self::SkipGram => "SKIP_GRAM",
            Self::Call => "CALL",
            Self::Custom => "CUSTOM",
            Self::EmbeddingLookupSparse => "EMBEDDING_LOOKUP_SPARSE",
            Self::Pad => "PAD",
            Self::UnidirectionalSequenceRnn => "UNIDIRECTIONAL_SEQUENCE_RNN",
            Self::Gather => "GATHER",
            Self::BatchToSpaceNd => "BATCH_TO_SPACE_ND",
            Self::SpaceToBatchNd => "SPACE_TO_BATCH_ND",
            Self::Transpose => "TRANSPOSE",
            Self::Mean => "MEAN",
            Self::Sub => "SUB",
            Self::Div => "DIV",
            Self::Squeeze => "SQUEEZE",
            Self::UnidirectionalSequenceLstm => "UNIDIRECTIONAL_SEQUENCE_LSTM",
            Self::StridedSlice => "STRIDED_SLICE",
            Self::BidirectionalSequenceRnn => "BIDIRECTIONAL_SEQUENCE_RNN",
            Self::Exp => "EXP",
            Self::TopkV2 => "TOPK_V2",
            Self::Split => "SPLIT",
            Self::LogSoftmax => "LOG_SOFTMAX",
            Self::Delegate => "DELEGATE",
            Self::BidirectionalSequenceLstm => "BIDIRECTIONAL_SEQUENCE_LSTM",
            Self::Cast => "CAST",
            Self::Prelu => "PRELU",
            Self::Maximum => "MAXIMUM",
            Self::ArgMax => "ARG_MAX",
            Self::Minimum => "MINIMUM",
            Self::Less => "LESS",
            Self::Neg => "NEG",
            Self::Padv2 => "PADV2",
            Self::Greater => "GREATER",
            Self::GreaterEqual => "GREATER_EQUAL",
            Self::LessEqual => "LESS_EQUAL",
            Self::Select => "SELECT",
            Self::Slice => "SLICE",
            Self::Sin => "SIN",
            Self::TransposeConv => "TRANSPOSE_CONV",
            Self::SparseToDense => "SPARSE_TO_DENSE",
            Self::Tile => "TILE",
            Self::ExpandDims => "EXPAND_DIMS",
            Self::Equal => "EQUAL",
            Self::NotEqual => "NOT_EQUAL",
            Self::Log => "LOG",
            Self::Sum => "SUM",
            Self::Sqrt => "SQRT",
            Self::Rsqrt => "RSQRT",
            Self::Shape => "SHAPE",
            Self::Pow => "POW",
            Self::ArgMin => "ARG_MIN",
            Self::FakeQuant => "FAKE_QUANT",
            Self::ReduceProd => "REDUCE_PROD",
            Self::ReduceMax => "REDUCE_MAX",
            Self::Pack => "PACK",
            Self::LogicalOr => "LOGICAL_OR",
            Self::OneHot => "ONE_HOT",
            Self::LogicalAnd => "LOGICAL_AND",
            Self::LogicalNot => "LOGICAL_NOT",
            Self::Unpack => "UNPACK",
            Self::ReduceMin => "REDUCE_MIN",
            Self::FloorDiv => "FLOOR_DIV",
            Self::ReduceAny => "REDUCE_ANY",
            Self::Square => "SQUARE",
            Self::ZerosLike => "ZEROS_LIKE",
            Self::Fill => "FILL",
            Self::FloorMod => "FLOOR_MOD",
            Self::Range => "RANGE",
            Self::ResizeNearestNeighbor => "RESIZE_NEAREST_NEIGHBOR",
            Self::LeakyRelu => "LEAKY_RELU",
            Self::SquaredDifference => "SQUARED_DIFFERENCE",
            Self::MirrorPad => "MIRROR_PAD",
            Self::Abs => "ABS",
            Self::SplitV => "SPLIT_V",
            Self::Unique => "UNIQUE",
            Self::Ceil => "CEIL",
            Self::ReverseV2 => "REVERSE_V2",
            Self::AddN => "ADD_N",
            Self::GatherNd => "GATHER_ND",
            Self::Cos => "COS",
            Self::Where => "WHERE",
            Self::Rank => "RANK",
            Self::Elu => "ELU",
            Self::ReverseSequence => "REVERSE_SEQUENCE",
            Self::MatrixDiag => "MATRIX_DIAG",
            Self::Quantize => "QUANTIZE",
            Self::MatrixSetDiag => "MATRIX_SET_DIAG",
            Self::Round => "ROUND",
            Self::HardSwish => "HARD_SWISH",
            Self::If => "IF",
            Self::While => "WHILE",
            Self::NonMaxSuppressionV4 => "NON_MAX_SUPPRESSION_V4",
            Self::NonMaxSuppressionV5 => "NON_MAX_SUPPRESSION_V5",
            Self::ScatterNd => "SCATTER_ND",
            Self::SelectV2 => "SELECT_V2",
            Self::Densify => "DENSIFY",
            Self::SegmentSum => "SEGMENT_SUM",
            Self::BatchMatmul => "BATCH_MATMUL",
            Self::PlaceholderForGreaterOpCodes => "PLACEHOLDER_FOR_GREATER_OP_CODES",
            Self::Cumsum => "CUMSUM",
            Self::CallOnce => "CALL_ONCE",
            Self::BroadcastTo => "BROADCAST_TO",
            Self::Rfft2d => "RFFT2D",
            Self::Conv3d => "CONV_3D",
            Self::Imag => "IMAG",
            Self::Real => "REAL",
            Self::ComplexAbs => "COMPLEX_ABS",
            Self::Hashtable => "HASHTABLE",
            Self::HashtableFind => "HASHTABLE_FIND",
            Self::HashtableImport => "HASHTABLE_IMPORT",
            Self::HashtableSize => "HASHTABLE_SIZE",
            Self::ReduceAll => "REDUCE_ALL",
            Self::Conv3dTranspose => "CONV_3D_TRANSPOSE",
            Self::VarHandle => "VAR_HANDLE",
            Self::ReadVariable => "READ_VARIABLE",
            Self::AssignVariable => "ASSIGN_VARIABLE",
            Self::BroadcastArgs => "BROADCAST_ARGS",
            Self::RandomStandardNormal => "RANDOM_STANDARD_NORMAL",
            Self::Bucketize => "BUCKETIZE",
            Self::RandomUniform => "RANDOM_UNIFORM",
            Self::Multinomial => "MULTINOMIAL",
            Self::Gelu => "GELU",
            Self::DynamicUpdateSlice => "DYNAMIC_UPDATE_SLICE",
            Self::Relu0To1 => "RELU_0_TO_1",
            Self::UnsortedSegmentProd => "UNSORTED_SEGMENT_PROD",
            Self::UnsortedSegmentMax => "UNSORTED_SEGMENT_MAX",
            Self::UnsortedSegmentSum => "UNSORTED_SEGMENT_SUM",
            Self::Atan2 => "ATAN2",
            Self::UnsortedSegmentMin => "UNSORTED_SEGMENT_MIN",
            Self::Sign => "SIGN",
            Self::Bitcast => "BITCAST",
            Self::BitwiseXor => "BITWISE_XOR",
            Self::RightShift => "RIGHT_SHIFT",
            Self::StablehloLogistic => "STABLEHLO_LOGISTIC",
            Self::StablehloAdd => "STABLEHLO_ADD",
            Self::StablehloDivide => "STABLEHLO_DIVIDE",
            Self::StablehloMultiply => "STABLEHLO_MULTIPLY",
            Self::StablehloMaximum => "STABLEHLO_MAXIMUM",
            Self::StablehloReshape => "STABLEHLO_RESHAPE",
            Self::StablehloClamp => "STABLEHLO_CLAMP",
            Self::StablehloConcatenate => "STABLEHLO_CONCATENATE",
            Self::StablehloBroadcastInDim => "STABLEHLO_BROADCAST_IN_DIM",
            Self::StablehloConvolution => "STABLEHLO_CONVOLUTION",
            Self::StablehloSlice => "STABLEHLO_SLICE",
            Self::StablehloCustomCall => "STABLEHLO_CUSTOM_CALL",
            Self::StablehloReduce => "STABLEHLO_REDUCE",
            Self::StablehloAbs => "STABLEHLO_ABS",
            Self::StablehloAnd => "STABLEHLO_AND",
            Self::StablehloCosine => "STABLEHLO_COSINE",
            Self::StablehloExponential => "STABLEHLO_EXPONENTIAL",
            Self::StablehloFloor => "STABLEHLO_FLOOR",
            Self::StablehloLog => "STABLEHLO_LOG",
            Self::StablehloMinimum => "STABLEHLO_MINIMUM",
            Self::StablehloNegate => "STABLEHLO_NEGATE",
            Self::StablehloOr => "STABLEHLO_OR",
            Self::StablehloPower => "STABLEHLO_POWER",
            Self::StablehloRemainder => "STABLEHLO_REMAINDER",
            Self::StablehloRsqrt => "STABLEHLO_RSQRT",
            Self::StablehloSelect => "STABLEHLO_SELECT",
            Self::StablehloSubtract => "STABLEHLO_SUBTRACT",
            Self::StablehloTanh => "STABLEHLO_TANH",
            Self::StablehloScatter => "STABLEHLO_SCATTER",
            Self::StablehloCompare => "STABLEHLO_COMPARE",
            Self::StablehloConvert => "STABLEHLO_CONVERT",
            Self::StablehloDynamicSlice => "STABLEHLO_DYNAMIC_SLICE",
            Self::StablehloDynamicUpdateSlice => "STABLEHLO_DYNAMIC_UPDATE_SLICE",
            Self::StablehloPad => "STABLEHLO_PAD",
            Self::StablehloIota => "STABLEHLO_IOTA",
            Self::StablehloDotGeneral => "STABLEHLO_DOT_GENERAL",
            Self::StablehloReduceWindow => "STABLEHLO_REDUCE_WINDOW",
            Self::StablehloSort => "STABLEHLO_SORT",
            Self::StablehloWhile => "STABLEHLO_WHILE",
            Self::StablehloGather => "STABLEHLO_GATHER",
            Self::StablehloTranspose => "STABLEHLO_TRANSPOSE",
            Self::Dilate => "DILATE",
            Self::StablehloRngBitGenerator => "STABLEHLO_RNG_BIT_GENERATOR",
            Self::ReduceWindow => "REDUCE_WINDOW",
            Self::StablehloComposite => "STABLEHLO_COMPOSITE",
            Self::StablehloShiftLeft => "STABLEHLO_SHIFT_LEFT",
            Self::StablehloCbrt => "STABLEHLO_CBRT",
            Self::StablehloCase => "STABLEHLO_CASE",
        }
    }
}

/// An operator with its attributes. Builtins whose options table is empty or missing have none.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the schema's")]
pub enum Op {
    Add(AddOptions),
    AveragePool2d(Pool2DOptions),
    Concatenation(ConcatenationOptions),
    Conv2d(Conv2DOptions),
    DepthwiseConv2d(DepthwiseConv2DOptions),
    DepthToSpace(DepthToSpaceOptions),
    Dequantize,
    EmbeddingLookup,
    Floor,
    FullyConnected(FullyConnectedOptions),
    HashtableLookup,
    L2Normalization(L2NormOptions),
    L2Pool2d(Pool2DOptions),
    LocalResponseNormalization(LocalResponseNormalizationOptions),
    Logistic,
    LshProjection(LshProjectionOptions),
    Lstm(LstmOptions),
    MaxPool2d(Pool2DOptions),
    Mul(MulOptions),
    Relu,
    ReluN1To1,
    Relu6,
    Reshape(ReshapeOptions),
    ResizeBilinear(ResizeBilinearOptions),
    Rnn(RnnOptions),
    Softmax(SoftmaxOptions),
    SpaceToDepth(SpaceToDepthOptions),
    Svdf(SvdfOptions),
    Tanh,
    ConcatEmbeddings(ConcatEmbeddingsOptions),
    SkipGram(SkipGramOptions),
    Call(CallOptions),
    /// A custom operator: its name and its options as the file has them.
    Custom {
        name: String,
        options: crate::Bytes,
    },
    EmbeddingLookupSparse(EmbeddingLookupSparseOptions),
    Pad,
    UnidirectionalSequenceRnn(SequenceRnnOptions),
    Gather(GatherOptions),
    BatchToSpaceNd,
    SpaceToBatchNd,
    Transpose,
    Mean(ReducerOptions),
    Sub(SubOptions),
    Div(DivOptions),
    Squeeze(SqueezeOptions),
    UnidirectionalSequenceLstm(UnidirectionalSequenceLstmOptions),
    StridedSlice(StridedSliceOptions),
    BidirectionalSequenceRnn(BidirectionalSequenceRnnOptions),
    Exp,
    TopkV2,
    Split(SplitOptions),
    LogSoftmax,
    Delegate,
    BidirectionalSequenceLstm(BidirectionalSequenceLstmOptions),
    Cast(CastOptions),
    Prelu,
    Maximum,
    ArgMax(ArgMaxOptions),
    Minimum,
    Less,
    Neg,
    Padv2,
    Greater,
    GreaterEqual,
    LessEqual,
    Select,
    Slice,
    Sin,
    TransposeConv(TransposeConvOptions),
    SparseToDense(SparseToDenseOptions),
    Tile,
    ExpandDims,
    Equal,
    NotEqual,
    Log,
    Sum(ReducerOptions),
    Sqrt,
    Rsqrt,
    Shape(ShapeOptions),
    Pow,
    ArgMin(ArgMinOptions),
    FakeQuant(FakeQuantOptions),
    ReduceProd(ReducerOptions),
    ReduceMax(ReducerOptions),
    Pack(PackOptions),
    LogicalOr,
    OneHot(OneHotOptions),
    LogicalAnd,
    LogicalNot,
    Unpack(UnpackOptions),
    ReduceMin(ReducerOptions),
    FloorDiv,
    ReduceAny(ReducerOptions),
    Square,
    ZerosLike,
    Fill,
    FloorMod,
    Range,
    ResizeNearestNeighbor(ResizeNearestNeighborOptions),
    LeakyRelu(LeakyReluOptions),
    SquaredDifference,
    MirrorPad(MirrorPadOptions),
    Abs,
    SplitV(SplitVOptions),
    Unique(UniqueOptions),
    Ceil,
    ReverseV2,
    AddN,
    GatherNd,
    Cos,
    Where,
    Rank,
    Elu,
    ReverseSequence(ReverseSequenceOptions),
    MatrixDiag,
    Quantize,
    MatrixSetDiag,
    Round,
    HardSwish,
    If(IfOptions),
    While(WhileOptions),
    NonMaxSuppressionV4,
    NonMaxSuppressionV5,
    ScatterNd,
    SelectV2,
    Densify,
    SegmentSum,
    BatchMatmul(BatchMatMulOptions),
    PlaceholderForGreaterOpCodes,
    Cumsum(CumsumOptions),
    CallOnce(CallOnceOptions),
    BroadcastTo,
    Rfft2d,
    Conv3d(Conv3DOptions),
    Imag,
    Real,
    ComplexAbs,
    Hashtable(HashtableOptions),
    HashtableFind,
    HashtableImport,
    HashtableSize,
    ReduceAll(ReducerOptions),
    Conv3dTranspose(Conv3DOptions),
    VarHandle(VarHandleOptions),
    ReadVariable,
    AssignVariable,
    BroadcastArgs,
    RandomStandardNormal(RandomOptions),
    Bucketize(BucketizeOptions),
    RandomUniform(RandomOptions),
    Multinomial(RandomOptions),
    Gelu(GeluOptions),
    DynamicUpdateSlice,
    Relu0To1,
    UnsortedSegmentProd,
    UnsortedSegmentMax,
    UnsortedSegmentSum,
    Atan2,
    UnsortedSegmentMin,
    Sign,
    Bitcast,
    BitwiseXor,
    RightShift,
    StablehloLogistic,
    StablehloAdd,
    StablehloDivide,
    StablehloMultiply,
    StablehloMaximum,
    StablehloReshape,
    StablehloClamp,
    StablehloConcatenate(StablehloConcatenateOptions),
    StablehloBroadcastInDim(StablehloBroadcastInDimOptions),
    StablehloConvolution(StablehloConvolutionOptions),
    StablehloSlice(StablehloSliceOptions),
    StablehloCustomCall(StablehloCustomCallOptions),
    StablehloReduce(StablehloReduceOptions),
    StablehloAbs,
    StablehloAnd,
    StablehloCosine,
    StablehloExponential,
    StablehloFloor,
    StablehloLog,
    StablehloMinimum,
    StablehloNegate,
    StablehloOr,
    StablehloPower,
    StablehloRemainder,
    StablehloRsqrt,
    StablehloSelect,
    StablehloSubtract,
    StablehloTanh,
    StablehloScatter(StablehloScatterOptions),
    StablehloCompare(StablehloCompareOptions),
    StablehloConvert,
    StablehloDynamicSlice(StablehloDynamicSliceOptions),
    StablehloDynamicUpdateSlice,
    StablehloPad(StablehloPadOptions),
    StablehloIota(StablehloIotaOptions),
    StablehloDotGeneral(StablehloDotGeneralOptions),
    StablehloReduceWindow(StablehloReduceWindowOptions),
    StablehloSort(StablehloSortOptions),
    StablehloWhile(StablehloWhileOptions),
    StablehloGather(StablehloGatherOptions),
    StablehloTranspose(StablehloTransposeOptions),
    Dilate,
    StablehloRngBitGenerator(StablehloRngBitGeneratorOptions),
    ReduceWindow(ReduceWindowOptions),
    StablehloComposite(StablehloCompositeOptions),
    StablehloShiftLeft,
    StablehloCbrt,
    StablehloCase(StablehloCaseOptions),
}

impl Op {
    /// The builtin code (CUSTOM for custom operators).
    pub fn builtin(&self) -> BuiltinOperator {
        match self {
            Self::Add(_) => BuiltinOperator::Add,
            Self::AveragePool2d(_) => BuiltinOperator::AveragePool2d,
            Self::Concatenation(_) => BuiltinOperator::Concatenation,
            Self::Conv2d(_) => BuiltinOperator::Conv2d,
            Self::DepthwiseConv2d(_) => BuiltinOperator::DepthwiseConv2d,
            Self::DepthToSpace(_) => BuiltinOperator::DepthToSpace,
            Self::Dequantize => BuiltinOperator::Dequantize,
            Self::EmbeddingLookup => BuiltinOperator::EmbeddingLookup,
            Self::Floor => BuiltinOperator::Floor,
            Self::FullyConnected(_) => BuiltinOperator::FullyConnected,
            Self::HashtableLookup => BuiltinOperator::HashtableLookup,
            Self::L2Normalization(_) => BuiltinOperator::L2Normalization,
            Self::L2Pool2d(_) => BuiltinOperator::L2Pool2d,
            Self::LocalResponseNormalization(_) => BuiltinOperator::LocalResponseNormalization,
            Self::Logistic => BuiltinOperator::Logistic,
            Self::LshProjection(_) => BuiltinOperator::LshProjection,
            Self::Lstm(_) => BuiltinOperator::Lstm,
            Self::MaxPool2d(_) => BuiltinOperator::MaxPool2d,
            Self::Mul(_) => BuiltinOperator::Mul,
            Self::Relu => BuiltinOperator::Relu,
            Self::ReluN1To1 => BuiltinOperator::ReluN1To1,
            Self::Relu6 => BuiltinOperator::Relu6,
            Self::Reshape(_) => BuiltinOperator::Reshape,
            Self::ResizeBilinear(_) => BuiltinOperator::ResizeBilinear,
            Self::Rnn(_) => BuiltinOperator::Rnn,
            Self::Softmax(_) => BuiltinOperator::Softmax,
            Self::SpaceToDepth(_) => BuiltinOperator::SpaceToDepth,
            Self::Svdf(_) => BuiltinOperator::Svdf,
            Self::Tanh => BuiltinOperator::Tanh,
            Self::ConcatEmbeddings(_) => BuiltinOperator::ConcatEmbeddings,
            Self::SkipGram(_) => BuiltinOperator::SkipGram,
            Self::Call(_) => BuiltinOperator::Call,
            Self::Custom { .. } => BuiltinOperator::Custom,
            Self::EmbeddingLookupSparse(_) => BuiltinOperator::EmbeddingLookupSparse,
            Self::Pad => BuiltinOperator::Pad,
            Self::UnidirectionalSequenceRnn(_) => BuiltinOperator::UnidirectionalSequenceRnn,
            Self::Gather(_) => BuiltinOperator::Gather,
            Self::BatchToSpaceNd => BuiltinOperator::BatchToSpaceNd,
            Self::SpaceToBatchNd => BuiltinOperator::SpaceToBatchNd,
            Self::Transpose => BuiltinOperator::Transpose,
            Self::Mean(_) => BuiltinOperator::Mean,
            Self::Sub(_) => BuiltinOperator::Sub,
            Self::Div(_) => BuiltinOperator::Div,
            Self::Squeeze(_) => BuiltinOperator::Squeeze,
            Self::UnidirectionalSequenceLstm(_) => BuiltinOperator::UnidirectionalSequenceLstm,
            Self::StridedSlice(_) => BuiltinOperator::StridedSlice,
            Self::BidirectionalSequenceRnn(_) => BuiltinOperator::BidirectionalSequenceRnn,
            Self::Exp => BuiltinOperator::Exp,
            Self::TopkV2 => BuiltinOperator::TopkV2,
            Self::Split(_) => BuiltinOperator::Split,
            Self::LogSoftmax => BuiltinOperator::LogSoftmax,
            Self::Delegate => BuiltinOperator::Delegate,
            Self::BidirectionalSequenceLstm(_) => BuiltinOperator::BidirectionalSequenceLstm,
            Self::Cast(_) => BuiltinOperator::Cast,
            Self::Prelu => BuiltinOperator::Prelu,
            Self::Maximum => BuiltinOperator::Maximum,
            Self::ArgMax(_) => BuiltinOperator::ArgMax,
            Self::Minimum => BuiltinOperator::Minimum,
            Self::Less => BuiltinOperator::Less,
            Self::Neg => BuiltinOperator::Neg,
            Self::Padv2 => BuiltinOperator::Padv2,
            Self::Greater => BuiltinOperator::Greater,
            Self::GreaterEqual => BuiltinOperator::GreaterEqual,
            Self::LessEqual => BuiltinOperator::LessEqual,
            Self::Select => BuiltinOperator::Select,
            Self::Slice => BuiltinOperator::Slice,
            Self::Sin => BuiltinOperator::Sin,
            Self::TransposeConv(_) => BuiltinOperator::TransposeConv,
            Self::SparseToDense(_) => BuiltinOperator::SparseToDense,
            Self::Tile => BuiltinOperator::Tile,
            Self::ExpandDims => BuiltinOperator::ExpandDims,
            Self::Equal => BuiltinOperator::Equal,
            Self::NotEqual => BuiltinOperator::NotEqual,
            Self::Log => BuiltinOperator::Log,
            Self::Sum(_) => BuiltinOperator::Sum,
            Self::Sqrt => BuiltinOperator::Sqrt,
            Self::Rsqrt => BuiltinOperator::Rsqrt,
            Self::Shape(_) => BuiltinOperator::Shape,
            Self::Pow => BuiltinOperator::Pow,
            Self::ArgMin(_) => BuiltinOperator::ArgMin,
            Self::FakeQuant(_) => BuiltinOperator::FakeQuant,
            Self::ReduceProd(_) => BuiltinOperator::ReduceProd,
            Self::ReduceMax(_) => BuiltinOperator::ReduceMax,
            Self::Pack(_) => BuiltinOperator::Pack,
            Self::LogicalOr => BuiltinOperator::LogicalOr,
            Self::OneHot(_) => BuiltinOperator::OneHot,
            Self::LogicalAnd => BuiltinOperator::LogicalAnd,
            Self::LogicalNot => BuiltinOperator::LogicalNot,
            Self::Unpack(_) => BuiltinOperator::Unpack,
            Self::ReduceMin(_) => BuiltinOperator::ReduceMin,
            Self::FloorDiv => BuiltinOperator::FloorDiv,
            Self::ReduceAny(_) => BuiltinOperator::ReduceAny,
            Self::Square => BuiltinOperator::Square,
            Self::ZerosLike => BuiltinOperator::ZerosLike,
            Self::Fill => BuiltinOperator::Fill,
            Self::FloorMod => BuiltinOperator::FloorMod,
            Self::Range => BuiltinOperator::Range,
            Self::ResizeNearestNeighbor(_) => BuiltinOperator::ResizeNearestNeighbor,
            Self::LeakyRelu(_) => BuiltinOperator::LeakyRelu,
            Self::SquaredDifference => BuiltinOperator::SquaredDifference,
            Self::MirrorPad(_) => BuiltinOperator::MirrorPad,
            Self::Abs => BuiltinOperator::Abs,
            Self::SplitV(_) => BuiltinOperator::SplitV,
            Self::Unique(_) => BuiltinOperator::Unique,
            Self::Ceil => BuiltinOperator::Ceil,
            Self::ReverseV2 => BuiltinOperator::ReverseV2,
            Self::AddN => BuiltinOperator::AddN,
            Self::GatherNd => BuiltinOperator::GatherNd,
            Self::Cos => BuiltinOperator::Cos,
            Self::Where => BuiltinOperator::Where,
            Self::Rank => BuiltinOperator::Rank,
            Self::Elu => BuiltinOperator::Elu,
            Self::ReverseSequence(_) => BuiltinOperator::ReverseSequence,
            Self::MatrixDiag => BuiltinOperator::MatrixDiag,
            Self::Quantize => BuiltinOperator::Quantize,
            Self::MatrixSetDiag => BuiltinOperator::MatrixSetDiag,
            Self::Round => BuiltinOperator::Round,
            Self::HardSwish => BuiltinOperator::HardSwish,
            Self::If(_) => BuiltinOperator::If,
            Self::While(_) => BuiltinOperator::While,
            Self::NonMaxSuppressionV4 => BuiltinOperator::NonMaxSuppressionV4,
            Self::NonMaxSuppressionV5 => BuiltinOperator::NonMaxSuppressionV5,
            Self::ScatterNd => BuiltinOperator::ScatterNd,
            Self::SelectV2 => BuiltinOperator::SelectV2,
            Self::Densify => BuiltinOperator::Densify,
            Self::SegmentSum => BuiltinOperator::SegmentSum,
            Self::BatchMatmul(_) => BuiltinOperator::BatchMatmul,
            Self::PlaceholderForGreaterOpCodes => BuiltinOperator::PlaceholderForGreaterOpCodes,
            Self::Cumsum(_) => BuiltinOperator::Cumsum,
            Self::CallOnce(_) => BuiltinOperator::CallOnce,
            Self::BroadcastTo => BuiltinOperator::BroadcastTo,
            Self::Rfft2d => BuiltinOperator::Rfft2d,
            Self::Conv3d(_) => BuiltinOperator::Conv3d,
            Self::Imag => BuiltinOperator::Imag,
            Self::Real => BuiltinOperator::Real,
            Self::ComplexAbs => BuiltinOperator::ComplexAbs,
            Self::Hashtable(_) => BuiltinOperator::Hashtable,
            Self::HashtableFind => BuiltinOperator::HashtableFind,
            Self::HashtableImport => BuiltinOperator::HashtableImport,
            Self::HashtableSize => BuiltinOperator::HashtableSize,
            Self::ReduceAll(_) => BuiltinOperator::ReduceAll,
            Self::Conv3dTranspose(_) => BuiltinOperator::Conv3dTranspose,
            Self::VarHandle(_) => BuiltinOperator::VarHandle,
            Self::ReadVariable => BuiltinOperator::ReadVariable,
            Self::AssignVariable => BuiltinOperator::AssignVariable,
            Self::BroadcastArgs => BuiltinOperator::BroadcastArgs,
            Self::RandomStandardNormal(_) => BuiltinOperator::RandomStandardNormal,
            Self::Bucketize(_) => BuiltinOperator::Bucketize,
            Self::RandomUniform(_) => BuiltinOperator::RandomUniform,
            Self::Multinomial(_) => BuiltinOperator::Multinomial,
            Self::Gelu(_) => BuiltinOperator::Gelu,
            Self::DynamicUpdateSlice => BuiltinOperator::DynamicUpdateSlice,
            Self::Relu0To1 => BuiltinOperator::Relu0To1,
            Self::UnsortedSegmentProd => BuiltinOperator::UnsortedSegmentProd,
            Self::UnsortedSegmentMax => BuiltinOperator::UnsortedSegmentMax,
            Self::UnsortedSegmentSum => BuiltinOperator::UnsortedSegmentSum,
            Self::Atan2 => BuiltinOperator::Atan2,
            Self::UnsortedSegmentMin => BuiltinOperator::UnsortedSegmentMin,
            Self::Sign => BuiltinOperator::Sign,
            Self::Bitcast => BuiltinOperator::Bitcast,
            Self::BitwiseXor => BuiltinOperator::BitwiseXor,
            Self::RightShift => BuiltinOperator::RightShift,
            Self::StablehloLogistic => BuiltinOperator::StablehloLogistic,
            Self::StablehloAdd => BuiltinOperator::StablehloAdd,
            Self::StablehloDivide => BuiltinOperator::StablehloDivide,
            Self::StablehloMultiply => BuiltinOperator::StablehloMultiply,
            Self::StablehloMaximum => BuiltinOperator::StablehloMaximum,
            Self::StablehloReshape => BuiltinOperator::StablehloReshape,
            Self::StablehloClamp => BuiltinOperator::StablehloClamp,
            Self::StablehloConcatenate(_) => BuiltinOperator::StablehloConcatenate,
            Self::StablehloBroadcastInDim(_) => BuiltinOperator::StablehloBroadcastInDim,
            Self::StablehloConvolution(_) => BuiltinOperator::StablehloConvolution,
            Self::StablehloSlice(_) => BuiltinOperator::StablehloSlice,
            Self::StablehloCustomCall(_) => BuiltinOperator::StablehloCustomCall,
            Self::StablehloReduce(_) => BuiltinOperator::StablehloReduce,
            Self::StablehloAbs => BuiltinOperator::StablehloAbs,
            Self::StablehloAnd => BuiltinOperator::StablehloAnd,
            Self::StablehloCosine => BuiltinOperator::StablehloCosine,
            Self::StablehloExponential => BuiltinOperator::StablehloExponential,
            Self::StablehloFloor => BuiltinOperator::StablehloFloor,
            Self::StablehloLog => BuiltinOperator::StablehloLog,
            Self::StablehloMinimum => BuiltinOperator::StablehloMinimum,
            Self::StablehloNegate => BuiltinOperator::StablehloNegate,
            Self::StablehloOr => BuiltinOperator::StablehloOr,
            Self::StablehloPower => BuiltinOperator::StablehloPower,
            Self::StablehloRemainder => BuiltinOperator::StablehloRemainder,
            Self::StablehloRsqrt => BuiltinOperator::StablehloRsqrt,
            Self::StablehloSelect => BuiltinOperator::StablehloSelect,
            Self::StablehloSubtract => BuiltinOperator::StablehloSubtract,
            Self::StablehloTanh => BuiltinOperator::StablehloTanh,
            Self::StablehloScatter(_) => BuiltinOperator::StablehloScatter,
            Self::StablehloCompare(_) => BuiltinOperator::StablehloCompare,
            Self::StablehloConvert => BuiltinOperator::StablehloConvert,
            Self::StablehloDynamicSlice(_) => BuiltinOperator::StablehloDynamicSlice,
            Self::StablehloDynamicUpdateSlice => BuiltinOperator::StablehloDynamicUpdateSlice,
            Self::StablehloPad(_) => BuiltinOperator::StablehloPad,
            Self::StablehloIota(_) => BuiltinOperator::StablehloIota,
            Self::StablehloDotGeneral(_) => BuiltinOperator::StablehloDotGeneral,
            Self::StablehloReduceWindow(_) => BuiltinOperator::StablehloReduceWindow,
            Self::StablehloSort(_) => BuiltinOperator::StablehloSort,
            Self::StablehloWhile(_) => BuiltinOperator::StablehloWhile,
            Self::StablehloGather(_) => BuiltinOperator::StablehloGather,
            Self::StablehloTranspose(_) => BuiltinOperator::StablehloTranspose,
            Self::Dilate => BuiltinOperator::Dilate,
            Self::StablehloRngBitGenerator(_) => BuiltinOperator::StablehloRngBitGenerator,
            Self::ReduceWindow(_) => BuiltinOperator::ReduceWindow,
            Self::StablehloComposite(_) => BuiltinOperator::StablehloComposite,
            Self::StablehloShiftLeft => BuiltinOperator::StablehloShiftLeft,
            Self::StablehloCbrt => BuiltinOperator::StablehloCbrt,
            Self::StablehloCase(_) => BuiltinOperator::StablehloCase,
        }
    }

    /// TFLite's name of the builtin, or the custom operator's own name.
    pub fn name(&self) -> &str {
        match self {
            Self::Custom { name, .. } => name,
            builtin => builtin.builtin().name(),
        }
    }

    /// The operator with default attributes; `None` for CUSTOM, which has a name.
    pub fn with_defaults(builtin: BuiltinOperator) -> Option<Self> {
        Some(match builtin {
            BuiltinOperator::Add => Self::Add(Default::default()),
            BuiltinOperator::AveragePool2d => Self::AveragePool2d(Default::default()),
            BuiltinOperator::Concatenation => Self::Concatenation(Default::default()),
            BuiltinOperator::Conv2d => Self::Conv2d(Default::default()),
            BuiltinOperator::DepthwiseConv2d => Self::DepthwiseConv2d(Default::default()),
            BuiltinOperator::DepthToSpace => Self::DepthToSpace(Default::default()),
            BuiltinOperator::Dequantize => Self::Dequantize,
            BuiltinOperator::EmbeddingLookup => Self::EmbeddingLookup,
            BuiltinOperator::Floor => Self::Floor,
            BuiltinOperator::FullyConnected => Self::FullyConnected(Default::default()),
            BuiltinOperator::HashtableLookup => Self::HashtableLookup,
            BuiltinOperator::L2Normalization => Self::L2Normalization(Default::default()),
            BuiltinOperator::L2Pool2d => Self::L2Pool2d(Default::default()),
            BuiltinOperator::LocalResponseNormalization => Self::LocalResponseNormalization(Default::default()),
            BuiltinOperator::Logistic => Self::Logistic,
            BuiltinOperator::LshProjection => Self::LshProjection(Default::default()),
            BuiltinOperator::Lstm => Self::Lstm(Default::default()),
            BuiltinOperator::MaxPool2d => Self::MaxPool2d(Default::default()),
            BuiltinOperator::Mul => Self::Mul(Default::default()),
            BuiltinOperator::Relu => Self::Relu,
            BuiltinOperator::ReluN1To1 => Self::ReluN1To1,
            BuiltinOperator::Relu6 => Self::Relu6,
            BuiltinOperator::Reshape => Self::Reshape(Default::default()),
            BuiltinOperator::ResizeBilinear => Self::ResizeBilinear(Default::default()),
            BuiltinOperator::Rnn => Self::Rnn(Default::default()),
            BuiltinOperator::Softmax => Self::Softmax(Default::default()),
            BuiltinOperator::SpaceToDepth => Self::SpaceToDepth(Default::default()),
            BuiltinOperator::Svdf => Self::Svdf(Default::default()),
            BuiltinOperator::Tanh => Self::Tanh,
            BuiltinOperator::ConcatEmbeddings => Self::ConcatEmbeddings(Default::default()),
            BuiltinOperator::SkipGram => Self::SkipGram(Default::default()),
            BuiltinOperator::Call => Self::Call(Default::default()),
            BuiltinOperator::Custom => return None,
            BuiltinOperator::EmbeddingLookupSparse => Self::EmbeddingLookupSparse(Default::default()),
            BuiltinOperator::Pad => Self::Pad,
            BuiltinOperator::UnidirectionalSequenceRnn => Self::UnidirectionalSequenceRnn(Default::default()),
            BuiltinOperator::Gather => Self::Gather(Default::default()),
            BuiltinOperator::BatchToSpaceNd => Self::BatchToSpaceNd,
            BuiltinOperator::SpaceToBatchNd => Self::SpaceToBatchNd,
            BuiltinOperator::Transpose => Self::Transpose,
            BuiltinOperator::Mean => Self::Mean(Default::default()),
            BuiltinOperator::Sub => Self::Sub(Default::default()),
            BuiltinOperator::Div => Self::Div(Default::default()),
            BuiltinOperator::Squeeze => Self::Squeeze(Default::default()),
            BuiltinOperator::UnidirectionalSequenceLstm => Self::UnidirectionalSequenceLstm(Default::default()),
            BuiltinOperator::StridedSlice => Self::StridedSlice(Default::default()),
            BuiltinOperator::BidirectionalSequenceRnn => Self::BidirectionalSequenceRnn(Default::default()),
            BuiltinOperator::Exp => Self::Exp,
            BuiltinOperator::TopkV2 => Self::TopkV2,
            BuiltinOperator::Split => Self::Split(Default::default()),
            BuiltinOperator::LogSoftmax => Self::LogSoftmax,
            BuiltinOperator::Delegate => Self::Delegate,
            BuiltinOperator::BidirectionalSequenceLstm => Self::BidirectionalSequenceLstm(Default::default()),
            BuiltinOperator::Cast => Self::Cast(Default::default()),
            BuiltinOperator::Prelu => Self::Prelu,
            BuiltinOperator::Maximum => Self::Maximum,
            BuiltinOperator::ArgMax => Self::ArgMax(Default::default()),
            BuiltinOperator::Minimum => Self::Minimum,
            BuiltinOperator::Less => Self::Less,
            BuiltinOperator::Neg => Self::Neg,
            BuiltinOperator::Padv2 => Self::Padv2,
            BuiltinOperator::Greater => Self::Greater,
            BuiltinOperator::GreaterEqual => Self::GreaterEqual,
            BuiltinOperator::LessEqual => Self::LessEqual,
            BuiltinOperator::Select => Self::Select,
            BuiltinOperator::Slice => Self::Slice,
            BuiltinOperator::Sin => Self::Sin,
            BuiltinOperator::TransposeConv => Self::TransposeConv(Default::default()),
            BuiltinOperator::SparseToDense => Self::SparseToDense(Default::default()),
            BuiltinOperator::Tile => Self::Tile,
            BuiltinOperator::ExpandDims => Self::ExpandDims,
            BuiltinOperator::Equal => Self::Equal,
            BuiltinOperator::NotEqual => Self::NotEqual,
            BuiltinOperator::Log => Self::Log,
            BuiltinOperator::Sum => Self::Sum(Default::default()),
            BuiltinOperator::Sqrt => Self::Sqrt,
            BuiltinOperator::Rsqrt => Self::Rsqrt,
            BuiltinOperator::Shape => Self::Shape(Default::default()),
            BuiltinOperator::Pow => Self::Pow,
            BuiltinOperator::ArgMin => Self::ArgMin(Default::default()),
            BuiltinOperator::FakeQuant => Self::FakeQuant(Default::default()),
            BuiltinOperator::ReduceProd => Self::ReduceProd(Default::default()),
            BuiltinOperator::ReduceMax => Self::ReduceMax(Default::default()),
            BuiltinOperator::Pack => Self::Pack(Default::default()),
            BuiltinOperator::LogicalOr => Self::LogicalOr,
            BuiltinOperator::OneHot => Self::OneHot(Default::default()),
            BuiltinOperator::LogicalAnd => Self::LogicalAnd,
            BuiltinOperator::LogicalNot => Self::LogicalNot,
            BuiltinOperator::Unpack => Self::Unpack(Default::default()),
            BuiltinOperator::ReduceMin => Self::ReduceMin(Default::default()),
            BuiltinOperator::FloorDiv => Self::FloorDiv,
            BuiltinOperator::ReduceAny => Self::ReduceAny(Default::default()),
            BuiltinOperator::Square => Self::Square,
            BuiltinOperator::ZerosLike => Self::ZerosLike,
            BuiltinOperator::Fill => Self::Fill,
            BuiltinOperator::FloorMod => Self::FloorMod,
            BuiltinOperator::Range => Self::Range,
            BuiltinOperator::ResizeNearestNeighbor => Self::ResizeNearestNeighbor(Default::default()),
            BuiltinOperator::LeakyRelu => Self::LeakyRelu(Default::default()),
            BuiltinOperator::SquaredDifference => Self::SquaredDifference,
            BuiltinOperator::MirrorPad => Self::MirrorPad(Default::default()),
            BuiltinOperator::Abs => Self::Abs,
            BuiltinOperator::SplitV => Self::SplitV(Default::default()),
            BuiltinOperator::Unique => Self::Unique(Default::default()),
            BuiltinOperator::Ceil => Self::Ceil,
            BuiltinOperator::ReverseV2 => Self::ReverseV2,
            BuiltinOperator::AddN => Self::AddN,
            BuiltinOperator::GatherNd => Self::GatherNd,
            BuiltinOperator::Cos => Self::Cos,
            BuiltinOperator::Where => Self::Where,
            BuiltinOperator::Rank => Self::Rank,
            BuiltinOperator::Elu => Self::Elu,
            BuiltinOperator::ReverseSequence => Self::ReverseSequence(Default::default()),
            BuiltinOperator::MatrixDiag => Self::MatrixDiag,
            BuiltinOperator::Quantize => Self::Quantize,
            BuiltinOperator::MatrixSetDiag => Self::MatrixSetDiag,
            BuiltinOperator::Round => Self::Round,
            BuiltinOperator::HardSwish => Self::HardSwish,
            BuiltinOperator::If => Self::If(Default::default()),
            BuiltinOperator::While => Self::While(Default::default()),
            BuiltinOperator::NonMaxSuppressionV4 => Self::NonMaxSuppressionV4,
            BuiltinOperator::NonMaxSuppressionV5 => Self::NonMaxSuppressionV5,
            BuiltinOperator::ScatterNd => Self::ScatterNd,
            BuiltinOperator::SelectV2 => Self::SelectV2,
            BuiltinOperator::Densify => Self::Densify,
            BuiltinOperator::SegmentSum => Self::SegmentSum,
            BuiltinOperator::BatchMatmul => Self::BatchMatmul(Default::default()),
            BuiltinOperator::PlaceholderForGreaterOpCodes => Self::PlaceholderForGreaterOpCodes,
            BuiltinOperator::Cumsum => Self::Cumsum(Default::default()),
            BuiltinOperator::CallOnce => Self::CallOnce(Default::default()),
            BuiltinOperator::BroadcastTo => Self::BroadcastTo,
            BuiltinOperator::Rfft2d => Self::Rfft2d,
            BuiltinOperator::Conv3d => Self::Conv3d(Default::default()),
            BuiltinOperator::Imag => Self::Imag,
            BuiltinOperator::Real => Self::Real,
            BuiltinOperator::ComplexAbs => Self::ComplexAbs,
            BuiltinOperator::Hashtable => Self::Hashtable(Default::default()),
            BuiltinOperator::HashtableFind => Self::HashtableFind,
            BuiltinOperator::HashtableImport => Self::HashtableImport,
            BuiltinOperator::HashtableSize => Self::HashtableSize,
            BuiltinOperator::ReduceAll => Self::ReduceAll(Default::default()),
            BuiltinOperator::Conv3dTranspose => Self::Conv3dTranspose(Default::default()),
            BuiltinOperator::VarHandle => Self::VarHandle(Default::default()),
            BuiltinOperator::ReadVariable => Self::ReadVariable,
            BuiltinOperator::AssignVariable => Self::AssignVariable,
            BuiltinOperator::BroadcastArgs => Self::BroadcastArgs,
            BuiltinOperator::RandomStandardNormal => Self::RandomStandardNormal(Default::default()),
            BuiltinOperator::Bucketize => Self::Bucketize(Default::default()),
            BuiltinOperator::RandomUniform => Self::RandomUniform(Default::default()),
            BuiltinOperator::Multinomial => Self::Multinomial(Default::default()),
            BuiltinOperator::Gelu => Self::Gelu(Default::default()),
            BuiltinOperator::DynamicUpdateSlice => Self::DynamicUpdateSlice,
            BuiltinOperator::Relu0To1 => Self::Relu0To1,
            BuiltinOperator::UnsortedSegmentProd => Self::UnsortedSegmentProd,
            BuiltinOperator::UnsortedSegmentMax => Self::UnsortedSegmentMax,
            BuiltinOperator::UnsortedSegmentSum => Self::UnsortedSegmentSum,
            BuiltinOperator::Atan2 => Self::Atan2,
            BuiltinOperator::UnsortedSegmentMin => Self::UnsortedSegmentMin,
            BuiltinOperator::Sign => Self::Sign,
            BuiltinOperator::Bitcast => Self::Bitcast,
            BuiltinOperator::BitwiseXor => Self::BitwiseXor,
            BuiltinOperator::RightShift => Self::RightShift,
            BuiltinOperator::StablehloLogistic => Self::StablehloLogistic,
            BuiltinOperator::StablehloAdd => Self::StablehloAdd,
            BuiltinOperator::StablehloDivide => Self::StablehloDivide,
            BuiltinOperator::StablehloMultiply => Self::StablehloMultiply,
            BuiltinOperator::StablehloMaximum => Self::StablehloMaximum,
            BuiltinOperator::StablehloReshape => Self::StablehloReshape,
            BuiltinOperator::StablehloClamp => Self::StablehloClamp,
            BuiltinOperator::StablehloConcatenate => Self::StablehloConcatenate(Default::default()),
            BuiltinOperator::StablehloBroadcastInDim => Self::StablehloBroadcastInDim(Default::default()),
            BuiltinOperator::StablehloConvolution => Self::StablehloConvolution(Default::default()),
            BuiltinOperator::StablehloSlice => Self::StablehloSlice(Default::default()),
            BuiltinOperator::StablehloCustomCall => Self::StablehloCustomCall(Default::default()),
            BuiltinOperator::StablehloReduce => Self::StablehloReduce(Default::default()),
            BuiltinOperator::StablehloAbs => Self::StablehloAbs,
            BuiltinOperator::StablehloAnd => Self::StablehloAnd,
            BuiltinOperator::StablehloCosine => Self::StablehloCosine,
            BuiltinOperator::StablehloExponential => Self::StablehloExponential,
            BuiltinOperator::StablehloFloor => Self::StablehloFloor,
            BuiltinOperator::StablehloLog => Self::StablehloLog,
            BuiltinOperator::StablehloMinimum => Self::StablehloMinimum,
            BuiltinOperator::StablehloNegate => Self::StablehloNegate,
            BuiltinOperator::StablehloOr => Self::StablehloOr,
            BuiltinOperator::StablehloPower => Self::StablehloPower,
            BuiltinOperator::StablehloRemainder => Self::StablehloRemainder,
            BuiltinOperator::StablehloRsqrt => Self::StablehloRsqrt,
            BuiltinOperator::StablehloSelect => Self::StablehloSelect,
            BuiltinOperator::StablehloSubtract => Self::StablehloSubtract,
            BuiltinOperator::StablehloTanh => Self::StablehloTanh,
            BuiltinOperator::StablehloScatter => Self::StablehloScatter(Default::default()),
            BuiltinOperator::StablehloCompare => Self::StablehloCompare(Default::default()),
            BuiltinOperator::StablehloConvert => Self::StablehloConvert,
            BuiltinOperator::StablehloDynamicSlice => Self::StablehloDynamicSlice(Default::default()),
            BuiltinOperator::StablehloDynamicUpdateSlice => Self::StablehloDynamicUpdateSlice,
            BuiltinOperator::StablehloPad => Self::StablehloPad(Default::default()),
            BuiltinOperator::StablehloIota => Self::StablehloIota(Default::default()),
            BuiltinOperator::StablehloDotGeneral => Self::StablehloDotGeneral(Default::default()),
            BuiltinOperator::StablehloReduceWindow => Self::StablehloReduceWindow(Default::default()),
            BuiltinOperator::StablehloSort => Self::StablehloSort(Default::default()),
            BuiltinOperator::StablehloWhile => Self::StablehloWhile(Default::default()),
            BuiltinOperator::StablehloGather => Self::StablehloGather(Default::default()),
            BuiltinOperator::StablehloTranspose => Self::StablehloTranspose(Default::default()),
            BuiltinOperator::Dilate => Self::Dilate,
            BuiltinOperator::StablehloRngBitGenerator => Self::StablehloRngBitGenerator(Default::default()),
            BuiltinOperator::ReduceWindow => Self::ReduceWindow(Default::default()),
            BuiltinOperator::StablehloComposite => Self::StablehloComposite(Default::default()),
            BuiltinOperator::StablehloShiftLeft => Self::StablehloShiftLeft,
            BuiltinOperator::StablehloCbrt => Self::StablehloCbrt,
            BuiltinOperator::StablehloCase => Self::StablehloCase(Default::default()),
        })
    }
}
