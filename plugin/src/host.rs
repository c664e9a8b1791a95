//! The host's tables behind a safe face: every pointer and index is checked before it is followed.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr,
};

use crate::abi;

/// Largest rank and list that a sound host has; more is taken for a damaged structure.
const MAX_LIST: usize = 1 << 24;

/// Elements of an array of the host; empty for NULL.
///
/// # Safety
/// `array` is NULL or points to a `TfLiteIntArray` that lives for `'a`.
pub unsafe fn ints<'a>(array: *const abi::IntArray) -> &'a [c_int] {
    // SAFETY: the caller says that the array is one, so that `size` elements follow its head.
    unsafe {
        let Some(head) = array.as_ref() else { return &[] };
        match usize::try_from(head.size).ok().filter(|&n| n <= MAX_LIST) {
            Some(size) => std::slice::from_raw_parts(ptr::addr_of!((*array).data).cast(), size),
            None => &[],
        }
    }
}

/// Elements of an array of the host; empty for NULL.
///
/// # Safety
/// `array` is NULL or points to a `TfLiteFloatArray` that lives for `'a`.
pub unsafe fn floats<'a>(array: *const abi::FloatArray) -> &'a [f32] {
    // SAFETY: as in `ints`.
    unsafe {
        let Some(head) = array.as_ref() else { return &[] };
        match usize::try_from(head.size).ok().filter(|&n| n <= MAX_LIST) {
            Some(size) => std::slice::from_raw_parts(ptr::addr_of!((*array).data).cast(), size),
            None => &[],
        }
    }
}

/// An array that the host frees with C's `free`; NULL when there is no memory.
fn new_ints(values: &[c_int]) -> *mut abi::IntArray {
    let Ok(size) = c_int::try_from(values.len()) else { return ptr::null_mut() };
    let bytes = size_of::<c_int>() * (values.len() + 1);
    // SAFETY: `calloc` gives NULL or `bytes` zeroed bytes, aligned for any C type; head and elements fit into them.
    unsafe {
        let array: *mut abi::IntArray = libc::calloc(1, bytes).cast();
        if !array.is_null() {
            (*array).size = size;
            ptr::copy_nonoverlapping(values.as_ptr(), ptr::addr_of_mut!((*array).data).cast(), values.len());
        }
        array
    }
}

/// An array of ours that dies with this value; the host only looks at it.
struct OwnInts(*mut abi::IntArray);

impl Drop for OwnInts {
    fn drop(&mut self) {
        // SAFETY: `new_ints` has allocated it with `calloc`, and nobody else has it.
        unsafe { libc::free(self.0.cast()) }
    }
}

/// A partition as the host would form it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPartition {
    /// The host's node numbers.
    pub nodes: Vec<c_int>,
    /// Tensors that others read, or the caller.
    pub outputs: Vec<c_int>,
}

/// A node as the host has it.
pub struct HostNode<'a> {
    /// Tensor numbers; −1 where omitted.
    pub inputs: &'a [c_int],
    /// Tensor numbers.
    pub outputs: &'a [c_int],
    /// Tensor numbers.
    pub intermediates: &'a [c_int],
    /// `TfLiteBuiltinOperator`.
    pub builtin_code: c_int,
    /// Version of the operator.
    pub version: c_int,
    /// Name of a custom operator.
    pub custom_name: Option<String>,
    /// Options of a custom operator.
    pub custom_options: &'a [u8],
    /// Whether the host says that it touches more than its tensors.
    pub has_side_effect: bool,
    builtin_data: *const c_void,
}

impl<'a> HostNode<'a> {
    /// The first `size` bytes of the attributes; `None` for NULL.
    pub fn attributes(&self, size: usize) -> Option<&'a [u8]> {
        if self.builtin_data.is_null() {
            return None;
        }
        // SAFETY: `size` is that of the operator's structure in the oldest layout in use, which newer ones only extend.
        Some(unsafe { std::slice::from_raw_parts(self.builtin_data.cast(), size) })
    }
}

/// The host's context during one callback.
pub struct Host<'a> {
    context: &'a mut abi::Context,
}

impl<'a> Host<'a> {
    /// The context that a callback got; `None` for NULL.
    ///
    /// # Safety
    /// `context` is NULL or the host's context, valid and not used otherwise while the callback runs.
    pub unsafe fn new(context: *mut abi::Context) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { context.as_mut() }.map(|context| Self { context })
    }

    /// An address that tells this interpreter's subgraph from others while it lives.
    pub fn id(&self) -> usize {
        ptr::from_ref(self.context).addr()
    }

    /// Threads that the host recommends, if it does.
    pub fn threads(&self) -> Option<usize> {
        usize::try_from(self.context.recommended_num_threads).ok().filter(|&n| n > 0)
    }

    /// Tells the host's user what went wrong.
    pub fn report(&mut self, text: &str) {
        let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
        match self.context.report_error {
            // SAFETY: printf-like with one string, which outlives the call.
            Some(report) => unsafe { report(self.context, c"%s".as_ptr(), text.as_ptr()) },
            None => eprintln!("tflite-wgpu: {}", text.to_string_lossy()),
        }
    }

    /// Number of tensors.
    pub fn tensor_count(&self) -> usize {
        if self.context.tensors.is_null() { 0 } else { self.context.tensors_size.min(MAX_LIST) }
    }

    /// A tensor; `None` for −1 and numbers beyond the list.
    pub fn tensor(&self, index: c_int) -> Option<&abi::Tensor> {
        let index = usize::try_from(index).ok().filter(|&i| i < self.tensor_count())?;
        // SAFETY: the list has `tensors_size` elements; it is read anew at every call, because the host may move it.
        unsafe { self.context.tensors.add(index).as_ref() }
    }

    /// As [`Host::tensor`], for writing.
    pub fn tensor_mut(&mut self, index: c_int) -> Option<&mut abi::Tensor> {
        let index = usize::try_from(index).ok().filter(|&i| i < self.tensor_count())?;
        // SAFETY: as in `tensor`; the borrow of `self` keeps it the only reference.
        unsafe { self.context.tensors.add(index).as_mut() }
    }

    /// The nodes in their order; works only while the delegate is applied.
    pub fn plan(&mut self) -> Option<Vec<c_int>> {
        let mut plan = ptr::null_mut();
        // SAFETY: the host's own function with a place for its answer, which is copied at once.
        let status = unsafe { self.context.get_execution_plan?(self.context, &mut plan) };
        // SAFETY: on success the answer is an array of the host.
        (status == abi::OK && !plan.is_null()).then(|| unsafe { ints(plan) }.to_vec())
    }

    /// A node; works only while the delegate is applied, and only until the graph is changed.
    pub fn node(&mut self, index: c_int) -> Option<HostNode<'a>> {
        let (mut node, mut registration) = (ptr::null_mut(), ptr::null_mut());
        let get = self.context.get_node_and_registration?;
        // SAFETY: the host's own function with places for its answers.
        let status = unsafe { get(self.context, index, &mut node, &mut registration) };
        if status != abi::OK || node.is_null() || registration.is_null() {
            return None;
        }
        // SAFETY: on success both point to structures of the host that live while the delegate is applied. Of the
        // registration only fields that TFLite 2.9 has are read.
        unsafe {
            let node: &'a abi::Node = &*node;
            let builtin_code = ptr::addr_of!((*registration).builtin_code).read();
            let version = ptr::addr_of!((*registration).version).read();
            let name = ptr::addr_of!((*registration).custom_name).read();
            let custom_name = (builtin_code == abi::CUSTOM).then(|| text(name)).flatten();
            let size = usize::try_from(node.custom_initial_data_size).unwrap_or(0);
            let options: *const u8 = node.custom_initial_data.cast();
            let has_options = builtin_code == abi::CUSTOM && !options.is_null();
            Some(HostNode {
                inputs: ints(node.inputs),
                outputs: ints(node.outputs),
                intermediates: ints(node.intermediates),
                builtin_code,
                version,
                custom_name,
                custom_options: if has_options { std::slice::from_raw_parts(options, size) } else { &[] },
                has_side_effect: node.might_have_side_effect != 0,
                builtin_data: node.builtin_data,
            })
        }
    }

    /// The partitions that the host would form of these nodes.
    pub fn preview(&mut self, nodes: &[c_int]) -> Option<Vec<HostPartition>> {
        let own = OwnInts(new_ints(nodes));
        let (mut list, mut count) = (ptr::null_mut(), 0);
        let preview = self.context.preview_delegate_partitioning?;
        // SAFETY: the host's own function; its answer is an array of `count` structures, copied at once.
        unsafe {
            if own.0.is_null() || preview(self.context, own.0, &mut list, &mut count) != abi::OK {
                return None;
            }
            let count = usize::try_from(count).ok().filter(|&n| n <= MAX_LIST && (n == 0 || !list.is_null()))?;
            let copied = |params: &abi::DelegateParams| HostPartition {
                nodes: ints(params.nodes_to_replace).to_vec(),
                outputs: ints(params.output_tensors).to_vec(),
            };
            Some((0..count).map(|i| copied(&*list.add(i))).collect())
        }
    }

    /// Gives nodes to a delegate's kernels; the host's status.
    pub fn replace(&mut self, nodes: &[c_int], kernels: abi::Registration, delegate: *mut abi::Delegate) -> c_int {
        let own = OwnInts(new_ints(nodes));
        let Some(replace) = self.context.replace_node_subsets_with_delegate_kernels else { return abi::DELEGATE_ERROR };
        if own.0.is_null() {
            return abi::DELEGATE_ERROR;
        }
        // SAFETY: the host's own function; it copies the registration and the list, and calls back into `init`.
        unsafe { replace(self.context, kernels, own.0, delegate) }
    }

    /// Gives a tensor a shape; the host allocates it when it is dynamic.
    pub fn resize(&mut self, index: c_int, dims: &[usize]) -> Result<(), String> {
        let sizes: Option<Vec<c_int>> = dims.iter().map(|&n| c_int::try_from(n).ok()).collect();
        let array = new_ints(&sizes.ok_or("a dimension is too large for the host")?);
        let tensor: *mut abi::Tensor = self.tensor_mut(index).ok_or("a tensor is missing")?;
        let resize = self.context.resize_tensor.ok_or("the host cannot resize tensors")?;
        if array.is_null() {
            return Err("there is no memory for a shape".to_owned());
        }
        // SAFETY: the host's own function; it takes the array over.
        match unsafe { resize(self.context, tensor, array) } {
            abi::OK => Ok(()),
            status => Err(format!("the host did not resize tensor {index} to {dims:?} (status {status})")),
        }
    }
}

impl abi::Tensor {
    /// The shape; `None` when a size is negative.
    pub fn shape(&self) -> Option<Vec<usize>> {
        // SAFETY: `dims` is NULL or the host's array.
        unsafe { ints(self.dims) }.iter().map(|&n| usize::try_from(n).ok()).collect()
    }

    /// The shape with open dimensions as −1, where the model has one.
    pub fn signature(&self) -> &[c_int] {
        // SAFETY: `dims_signature` is NULL or the host's array.
        unsafe { ints(self.dims_signature) }
    }

    /// The name, empty without one.
    pub fn name(&self) -> String {
        // SAFETY: the name is NULL or a C string that lives as long as the tensor.
        unsafe { text(self.name) }.unwrap_or_default()
    }

    /// The bytes of a tensor that has `len` of them in host memory.
    pub fn bytes(&self, len: usize) -> Option<&[u8]> {
        if len == 0 {
            return Some(&[]);
        }
        let fits = !self.data.is_null() && self.bytes >= len;
        // SAFETY: the host says that `bytes` bytes lie there.
        fits.then(|| unsafe { std::slice::from_raw_parts(self.data.cast(), len) })
    }

    /// As [`abi::Tensor::bytes`], for writing.
    pub fn bytes_mut(&mut self, len: usize) -> Option<&mut [u8]> {
        if len == 0 {
            return Some(&mut []);
        }
        let fits = !self.data.is_null() && self.bytes >= len && self.allocation_type != abi::MMAP_RO;
        // SAFETY: the host says that `bytes` bytes lie there, and constants, which may be read-only, are left out.
        fits.then(|| unsafe { std::slice::from_raw_parts_mut(self.data.cast(), len) })
    }
}

/// A C string's text; `None` for NULL.
///
/// # Safety
/// `text` is NULL or a C string.
pub unsafe fn text(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
