//! Mirrors of TFLite's C structures, as far as 2.14 has them: later versions only append fields.
//!
//! Enumerations are plain integers, since a host may know more values than this library, and bools are bytes. Every
//! offset that is used is checked when this file is compiled.

use std::ffi::{c_char, c_int, c_void};

/// `TfLiteStatus`: success.
pub const OK: c_int = 0;
/// `TfLiteStatus`: a failure of a kernel.
pub const ERROR: c_int = 1;
/// `TfLiteStatus`: a failure of a delegate.
pub const DELEGATE_ERROR: c_int = 2;

/// `TfLiteDelegateFlags`: tensors whose shapes are known only while the model runs may come.
pub const ALLOW_DYNAMIC_TENSORS: i64 = 1;

/// `TfLiteAllocationType`: a constant of the model.
pub const MMAP_RO: c_int = 1;
/// `TfLiteAllocationType`: memory that the host allocates when it is resized.
pub const DYNAMIC: c_int = 4;

/// `TfLiteQuantizationType`: none.
pub const NO_QUANTIZATION: c_int = 0;
/// `TfLiteQuantizationType`: scales and zero points per tensor or per channel.
pub const AFFINE_QUANTIZATION: c_int = 1;
/// `TfLiteQuantizationType`: scales of blocks, in a tensor of their own.
pub const BLOCKWISE_QUANTIZATION: c_int = 2;

/// An omitted tensor.
pub const OPTIONAL_TENSOR: c_int = -1;
/// No value on a delegate's device.
pub const NULL_BUFFER_HANDLE: c_int = -1;
/// `builtin_code` of custom operators.
pub const CUSTOM: c_int = 32;
/// `builtin_code` of nodes that another delegate has taken.
pub const DELEGATE: c_int = 51;

/// `TfLiteIntArray`; the elements follow.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
pub struct IntArray {
    pub size: c_int,
    pub data: [c_int; 0],
}

/// `TfLiteFloatArray`; the elements follow.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
pub struct FloatArray {
    pub size: c_int,
    pub data: [f32; 0],
}

/// `TfLiteAffineQuantization`.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
pub struct AffineQuantization {
    pub scale: *mut FloatArray,
    pub zero_point: *mut IntArray,
    pub quantized_dimension: c_int,
}

/// `TfLiteBlockwiseQuantization` (1.4 and later); scales and zero points are tensors, −1 for none.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
pub struct BlockwiseQuantization {
    pub scale: c_int,
    pub zero_point: c_int,
    pub blocksize: c_int,
    pub quantized_dimension: c_int,
}

/// `TfLiteTensor`.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
pub struct Tensor {
    pub dtype: c_int,
    pub data: *mut c_void,
    pub dims: *mut IntArray,
    pub scale: f32,
    pub zero_point: c_int,
    pub allocation_type: c_int,
    pub bytes: usize,
    pub allocation: *const c_void,
    pub name: *const c_char,
    pub delegate: *mut Delegate,
    pub buffer_handle: c_int,
    pub data_is_stale: u8,
    pub is_variable: u8,
    pub quantization_type: c_int,
    pub quantization_params: *mut c_void,
    pub sparsity: *mut c_void,
    pub dims_signature: *const IntArray,
}

/// `TfLiteNode`.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
pub struct Node {
    pub inputs: *mut IntArray,
    pub outputs: *mut IntArray,
    pub intermediates: *mut IntArray,
    pub temporaries: *mut IntArray,
    pub user_data: *mut c_void,
    pub builtin_data: *mut c_void,
    pub custom_initial_data: *const c_void,
    pub custom_initial_data_size: c_int,
    pub delegate: *mut Delegate,
    pub might_have_side_effect: u8,
}

type Init = unsafe extern "C" fn(*mut Context, *const c_char, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut Context, *mut c_void);
type Work = unsafe extern "C" fn(*mut Context, *mut Node) -> c_int;

/// `TfLiteRegistration`. Of a host's only the fields up to `version` may be read.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
#[derive(Clone, Copy)]
pub struct Registration {
    pub init: Option<Init>,
    pub free: Option<Free>,
    pub prepare: Option<Work>,
    pub invoke: Option<Work>,
    pub profiling_string: *const c_void,
    pub builtin_code: c_int,
    pub custom_name: *const c_char,
    pub version: c_int,
    pub registration_external: *mut c_void,
    pub async_kernel: *const c_void,
    pub inplace_operator: u64,
}

/// `TfLiteDelegateParams`.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
pub struct DelegateParams {
    pub delegate: *mut Delegate,
    pub nodes_to_replace: *mut IntArray,
    pub input_tensors: *mut IntArray,
    pub output_tensors: *mut IntArray,
}

/// `TfLiteContext`.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
pub struct Context {
    pub tensors_size: usize,
    pub get_execution_plan: Option<unsafe extern "C" fn(*mut Context, *mut *mut IntArray) -> c_int>,
    pub tensors: *mut Tensor,
    pub impl_: *mut c_void,
    pub resize_tensor: Option<unsafe extern "C" fn(*mut Context, *mut Tensor, *mut IntArray) -> c_int>,
    pub report_error: Option<unsafe extern "C" fn(*mut Context, *const c_char, ...)>,
    pub add_tensors: *const c_void,
    pub get_node_and_registration:
        Option<unsafe extern "C" fn(*mut Context, c_int, *mut *mut Node, *mut *mut Registration) -> c_int>,
    pub replace_node_subsets_with_delegate_kernels:
        Option<unsafe extern "C" fn(*mut Context, Registration, *const IntArray, *mut Delegate) -> c_int>,
    pub recommended_num_threads: c_int,
    pub get_external_context: *const c_void,
    pub set_external_context: *const c_void,
    pub allow_fp32_relax_to_fp16: u8,
    pub profiler: *mut c_void,
    pub allocate_persistent_buffer: *const c_void,
    pub allocate_buffer_for_eval: *const c_void,
    pub request_scratch_buffer_in_arena: *const c_void,
    pub get_scratch_buffer: *const c_void,
    pub resize_tensor_explicit: *const c_void,
    pub preview_delegate_partitioning:
        Option<unsafe extern "C" fn(*mut Context, *const IntArray, *mut *mut DelegateParams, *mut c_int) -> c_int>,
    pub get_tensor: *const c_void,
    pub get_eval_tensor: *const c_void,
    pub get_model_metadata: *const c_void,
    pub acquire_subgraph_context: *const c_void,
    pub release_subgraph_context: *const c_void,
}

/// `TfLiteDelegate`.
#[repr(C)]
#[allow(missing_docs, reason = "the names are TFLite's")]
pub struct Delegate {
    pub data: *mut c_void,
    pub prepare: Option<unsafe extern "C" fn(*mut Context, *mut Delegate) -> c_int>,
    pub copy_from_buffer_handle: Option<unsafe extern "C" fn(*mut Context, *mut Delegate, c_int, *mut Tensor) -> c_int>,
    pub copy_to_buffer_handle: Option<unsafe extern "C" fn(*mut Context, *mut Delegate, c_int, *mut Tensor) -> c_int>,
    pub free_buffer_handle: Option<unsafe extern "C" fn(*mut Context, *mut Delegate, *mut c_int)>,
    pub flags: i64,
    pub opaque_delegate_builder: *mut c_void,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<AffineQuantization>() == 24 && offset_of!(AffineQuantization, quantized_dimension) == 16);
    assert!(size_of::<BlockwiseQuantization>() == 16 && offset_of!(BlockwiseQuantization, blocksize) == 8);
    assert!(size_of::<Tensor>() == 112);
    assert!(offset_of!(Tensor, data) == 8 && offset_of!(Tensor, dims) == 16 && offset_of!(Tensor, scale) == 24);
    assert!(offset_of!(Tensor, zero_point) == 28 && offset_of!(Tensor, allocation_type) == 32);
    assert!(offset_of!(Tensor, bytes) == 40 && offset_of!(Tensor, name) == 56 && offset_of!(Tensor, delegate) == 64);
    assert!(offset_of!(Tensor, buffer_handle) == 72 && offset_of!(Tensor, data_is_stale) == 76);
    assert!(offset_of!(Tensor, is_variable) == 77 && offset_of!(Tensor, quantization_type) == 80);
    assert!(offset_of!(Tensor, quantization_params) == 88 && offset_of!(Tensor, sparsity) == 96);
    assert!(offset_of!(Tensor, dims_signature) == 104);
    assert!(size_of::<Node>() == 80 && offset_of!(Node, outputs) == 8 && offset_of!(Node, intermediates) == 16);
    assert!(offset_of!(Node, user_data) == 32 && offset_of!(Node, builtin_data) == 40);
    assert!(offset_of!(Node, custom_initial_data) == 48 && offset_of!(Node, custom_initial_data_size) == 56);
    assert!(offset_of!(Node, delegate) == 64 && offset_of!(Node, might_have_side_effect) == 72);
    assert!(size_of::<Registration>() == 88 && offset_of!(Registration, free) == 8);
    assert!(offset_of!(Registration, prepare) == 16 && offset_of!(Registration, invoke) == 24);
    assert!(offset_of!(Registration, builtin_code) == 40 && offset_of!(Registration, custom_name) == 48);
    assert!(offset_of!(Registration, version) == 56 && offset_of!(Registration, inplace_operator) == 80);
    assert!(size_of::<DelegateParams>() == 32 && offset_of!(DelegateParams, nodes_to_replace) == 8);
    assert!(offset_of!(DelegateParams, input_tensors) == 16 && offset_of!(DelegateParams, output_tensors) == 24);
    assert!(size_of::<Context>() == 200 && offset_of!(Context, get_execution_plan) == 8);
    assert!(offset_of!(Context, tensors) == 16 && offset_of!(Context, resize_tensor) == 32);
    assert!(offset_of!(Context, report_error) == 40 && offset_of!(Context, get_node_and_registration) == 56);
    assert!(offset_of!(Context, replace_node_subsets_with_delegate_kernels) == 64);
    assert!(offset_of!(Context, recommended_num_threads) == 72 && offset_of!(Context, profiler) == 104);
    assert!(offset_of!(Context, preview_delegate_partitioning) == 152);
    assert!(size_of::<Delegate>() == 56 && offset_of!(Delegate, prepare) == 8 && offset_of!(Delegate, flags) == 40);
    assert!(offset_of!(Delegate, copy_from_buffer_handle) == 16 && offset_of!(Delegate, free_buffer_handle) == 32);
    assert!(offset_of!(Delegate, opaque_delegate_builder) == 48);
};
