//! The kernels of partitions: what the host calls in place of their nodes.

use std::{
    ffi::{c_char, c_int, c_void},
    ptr,
    sync::Arc,
};

use tflite_wgpu_fallback::HostedPartitions;
use tflite_wgpu_model::{DType, TensorId, element_count};

use crate::{
    abi, guard,
    host::{Host, ints},
    session::{self, Session},
};

/// The registration of all partitions.
pub fn registration() -> abi::Registration {
    abi::Registration {
        init: Some(init),
        free: Some(free),
        prepare: Some(prepare),
        invoke: Some(invoke),
        profiling_string: ptr::null(),
        builtin_code: abi::DELEGATE,
        custom_name: c"tflite-wgpu".as_ptr(),
        version: 1,
        registration_external: ptr::null_mut(),
        async_kernel: ptr::null(),
        inplace_operator: 0,
    }
}

/// A partition as the host's node has it; `Err` says why it can never run.
type Kernel = Result<Partition, String>;

struct Partition {
    session: Arc<Session>,
    /// Its position among the session's.
    index: usize,
    /// Tensors that the host reads.
    outputs: Vec<c_int>,
    /// What the host calls this delegate; a wrapper's pointer where one wraps it.
    delegate: *mut abi::Delegate,
}

unsafe extern "C" fn init(context: *mut abi::Context, buffer: *const c_char, _length: usize) -> *mut c_void {
    let made = guard::caught("init", || {
        // SAFETY: for a delegate's kernel the buffer is a `TfLiteDelegateParams`; its arrays are copied.
        let params = unsafe { buffer.cast::<abi::DelegateParams>().as_ref() }.ok_or("the host gives no partition")?;
        // SAFETY: the structure's arrays are the host's.
        let (nodes, outputs) = unsafe { (ints(params.nodes_to_replace), ints(params.output_tensors)) };
        let session = session::formed_for(context.addr()).ok_or("the host forms a partition that nobody asked for")?;
        let index = session.form(nodes, outputs)?;
        Ok(Partition { session, index, outputs: outputs.to_vec(), delegate: params.delegate })
    });
    let kernel: Box<Kernel> = Box::new(made);
    Box::into_raw(kernel).cast()
}

unsafe extern "C" fn free(_context: *mut abi::Context, data: *mut c_void) {
    if data.is_null() {
        return;
    }
    // SAFETY: `init` has made it, and the host frees it once.
    let kernel: Box<Kernel> = unsafe { Box::from_raw(data.cast()) };
    guard::quiet("free", || drop(kernel));
}

unsafe extern "C" fn prepare(context: *mut abi::Context, node: *mut abi::Node) -> c_int {
    // SAFETY: the host's own context and node.
    unsafe { call(context, node, "prepare", Partition::prepare) }
}

unsafe extern "C" fn invoke(context: *mut abi::Context, node: *mut abi::Node) -> c_int {
    // SAFETY: the host's own context and node.
    unsafe { call(context, node, "invoke", Partition::invoke) }
}

type Entry = fn(&Partition, &mut Host<'_>) -> Result<(), String>;

/// # Safety
/// `context` and `node` are the host's, the node one of those that `init` was called for.
unsafe fn call(context: *mut abi::Context, node: *mut abi::Node, what: &str, entry: Entry) -> c_int {
    // SAFETY: the caller's promise.
    let (host, kernel) = unsafe {
        let kernel = node.as_ref().and_then(|node| node.user_data.cast::<Kernel>().as_ref());
        (Host::new(context), kernel)
    };
    let (Some(mut host), Some(kernel)) = (host, kernel) else { return abi::ERROR };
    let result = match kernel {
        Ok(partition) => {
            let mut panicked = true;
            let result = guard::caught(what, || {
                let result = entry(partition, &mut host);
                panicked = false;
                result
            });
            if let (true, Err(reason)) = (panicked, &result) {
                partition.session.give_up(reason);
            }
            result
        }
        Err(reason) => Err(reason.clone()),
    };
    match result {
        Ok(()) => abi::OK,
        Err(reason) => {
            host.report(&format!("tflite-wgpu: {what}: {reason}. "));
            abi::ERROR
        }
    }
}

impl Partition {
    /// Gives the outputs their shapes, where these follow from those of the inputs.
    fn prepare(&self, host: &mut Host<'_>) -> Result<(), String> {
        let outputs = {
            let mut work = self.session.work()?;
            let (inputs, _) = tensors(&work, self.index)?;
            let shapes = inputs.iter().map(|id| shape(host, *id)).collect::<Result<Vec<_>, _>>()?;
            let (_, made) = tensors(&work, self.index)?;
            let outputs = work.prepare(self.index, &shapes).map_err(|error| error.to_string())?;
            outputs.map(|outputs| made.into_iter().zip(outputs).collect::<Vec<_>>())
        };
        tracing::trace!(partition = self.index, ?outputs, "prepared");
        for &number in &self.outputs {
            let known = outputs.as_ref().and_then(|outputs| outputs.iter().find(|(id, _)| is(*id, number)));
            match known {
                Some((_, (_, dims))) if shape_of(host, number)? == *dims => {}
                Some((_, (_, dims))) => host.resize(number, dims)?,
                None => make_dynamic(host.tensor_mut(number).ok_or("an output is missing")?),
            }
        }
        Ok(())
    }

    fn invoke(&self, host: &mut Host<'_>) -> Result<(), String> {
        let found = {
            let mut work = self.session.work()?;
            let (inputs, _) = tensors(&work, self.index)?;
            for id in inputs {
                self.give(host, &mut work, id)?;
            }
            work.run(self.index).map_err(|error| error.to_string())?;
            let found = |number: &c_int| {
                let id = tensor_id(*number)?;
                let (dtype, dims) = work.shape(id).ok_or_else(|| format!("tensor {number} has no result"))?;
                Ok((*number, id, dtype, dims.to_vec(), work.wants_host(id)))
            };
            self.outputs.iter().map(found).collect::<Result<Vec<_>, String>>()?
        };
        tracing::trace!(partition = self.index, outputs = ?found, "ran");
        // The host may call back while it resizes, so nothing is locked here.
        for (number, _, _, dims, _) in &found {
            // A dynamic tensor has no memory before it gets its size.
            let empty = host.tensor(*number).is_some_and(|t| t.allocation_type == abi::DYNAMIC && t.data.is_null());
            if empty || shape_of(host, *number)? != *dims {
                host.resize(*number, dims)?;
            }
        }
        for (number, id, dtype, dims, wants_host) in found {
            let tensor = host.tensor_mut(number).ok_or("an output is missing")?;
            if wants_host || tensor.allocation_type == abi::DYNAMIC {
                self.take(tensor, id, dtype, &dims)?;
            } else {
                tensor.buffer_handle = self.session.handle(id);
                tensor.delegate = self.delegate;
                tensor.data_is_stale = 1;
            }
        }
        Ok(())
    }

    /// Gives the partitions a value of the host's, unless the device has it.
    fn give(&self, host: &Host<'_>, work: &mut HostedPartitions, id: TensorId) -> Result<(), String> {
        let tensor = host.tensor(number(id)?).ok_or("an input is missing")?;
        if self.session.holds(id, tensor) {
            return Ok(());
        }
        let dims = tensor.shape().ok_or("an input has a negative size")?;
        let dtype = crate::types::dtype(tensor.dtype).ok_or("an input has a type that is unknown")?;
        let len = bytes_of(dtype, &dims)?;
        let named = || format!("tensor {} ({})", id.0, tensor.name());
        let bytes =
            tensor.bytes(len).ok_or_else(|| format!("{} has {} bytes, expected {len}", named(), tensor.bytes))?;
        let mut value = work.allocate(dtype, &dims).map_err(|error| error.to_string())?;
        if value.bytes().len() != len {
            return Err(format!("{} has type {dtype}, which a partition cannot read", named()));
        }
        value.bytes_mut().copy_from_slice(bytes);
        work.set(id, value).map_err(|error| error.to_string())
    }

    /// Copies a result into the host's memory.
    fn take(&self, tensor: &mut abi::Tensor, id: TensorId, dtype: DType, dims: &[usize]) -> Result<(), String> {
        let mut work = self.session.work()?;
        copy(&mut work, tensor, id, dtype, dims)?;
        tensor.data_is_stale = 0;
        Ok(())
    }
}

/// Inputs and outputs of a partition.
fn tensors(work: &HostedPartitions, index: usize) -> Result<(Vec<TensorId>, Vec<TensorId>), String> {
    let partition = work.partitions().get(index).ok_or("the partition is unknown")?;
    Ok((partition.inputs.clone(), partition.outputs.clone()))
}

fn tensor_id(number: c_int) -> Result<TensorId, String> {
    u32::try_from(number).map(TensorId).map_err(|_| "an output is missing".to_owned())
}

fn number(id: TensorId) -> Result<c_int, String> {
    c_int::try_from(id.0).map_err(|_| "a tensor is beyond the host's".to_owned())
}

fn is(id: TensorId, number: c_int) -> bool {
    c_int::try_from(id.0) == Ok(number)
}

fn shape(host: &Host<'_>, id: TensorId) -> Result<Vec<usize>, String> {
    shape_of(host, number(id)?)
}

fn shape_of(host: &Host<'_>, number: c_int) -> Result<Vec<usize>, String> {
    let shape = host.tensor(number).and_then(abi::Tensor::shape);
    shape.ok_or_else(|| format!("tensor {number} has no shape"))
}

fn bytes_of(dtype: DType, dims: &[usize]) -> Result<usize, String> {
    let size = dtype.size().ok_or_else(|| format!("type {dtype} has no fixed size"))?;
    let bytes = element_count(dims).and_then(|count| count.checked_mul(size));
    bytes.ok_or_else(|| format!("a tensor of shape {dims:?} is too large"))
}

/// Lets the host know the shape only when the partition has run.
fn make_dynamic(tensor: &mut abi::Tensor) {
    if tensor.allocation_type != abi::DYNAMIC {
        tensor.allocation_type = abi::DYNAMIC;
        tensor.data = ptr::null_mut();
    }
}

fn copy(
    work: &mut HostedPartitions,
    tensor: &mut abi::Tensor,
    id: TensorId,
    dtype: DType,
    dims: &[usize],
) -> Result<(), String> {
    let value = work.value(id).map_err(|error| error.to_string())?;
    let len = bytes_of(dtype, dims)?;
    let found = tensor.bytes;
    let place = tensor.bytes_mut(len);
    let place = place.ok_or_else(|| format!("tensor {} has {found} bytes, expected {len}", id.0))?;
    if value.bytes().len() != len {
        return Err(format!("tensor {} got {} bytes, expected {len}", id.0, value.bytes().len()));
    }
    place.copy_from_slice(value.bytes());
    Ok(())
}

/// The host needs a tensor whose value is on the device.
pub unsafe extern "C" fn copy_from_buffer_handle(
    context: *mut abi::Context,
    _delegate: *mut abi::Delegate,
    handle: c_int,
    tensor: *mut abi::Tensor,
) -> c_int {
    // SAFETY: the host's own context and tensor; the tensor is one of the context's, which is not looked at meanwhile.
    let (host, tensor) = unsafe { (Host::new(context), tensor.as_mut()) };
    let result = guard::caught("copy_from_buffer_handle", || {
        let tensor = tensor.ok_or("the host gives no tensor")?;
        let (session, id) = session::holder(handle).ok_or_else(|| format!("handle {handle} is unknown"))?;
        let mut work = session.work()?;
        let (dtype, dims) = work.shape(id).ok_or("the value is gone")?;
        let dims = dims.to_vec();
        copy(&mut work, tensor, id, dtype, &dims)
    });
    finish(host, result)
}

/// The host offers a value for the device; partitions take values from host memory when they run, so nothing is done.
pub unsafe extern "C" fn copy_to_buffer_handle(
    context: *mut abi::Context,
    _delegate: *mut abi::Delegate,
    _handle: c_int,
    _tensor: *mut abi::Tensor,
) -> c_int {
    let result = guard::caught("copy_to_buffer_handle", || Ok(()));
    // SAFETY: the host's own context.
    finish(unsafe { Host::new(context) }, result)
}

/// The host lets go of a handle; the session frees it when it ends, since its next invoke uses it again.
pub unsafe extern "C" fn free_buffer_handle(
    _context: *mut abi::Context,
    _delegate: *mut abi::Delegate,
    handle: *mut c_int,
) {
    guard::quiet("free_buffer_handle", || {
        // SAFETY: the host's own place of the handle, or NULL.
        if let Some(handle) = unsafe { handle.as_mut() } {
            *handle = abi::NULL_BUFFER_HANDLE;
        }
    });
}

fn finish(host: Option<Host<'_>>, result: Result<(), String>) -> c_int {
    match (result, host) {
        (Ok(()), _) => abi::OK,
        (Err(reason), Some(mut host)) => {
            host.report(&format!("tflite-wgpu: {reason}. "));
            abi::ERROR
        }
        (Err(reason), None) => {
            eprintln!("tflite-wgpu: {reason}");
            abi::ERROR
        }
    }
}
