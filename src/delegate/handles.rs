//! Values on the device, and their way back to the host.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tflite_wgpu_fallback::{Handle, Value};
use tflite_wgpu_model::TensorId;

use crate::{
    error::Error,
    gpu::{BorderBuffers, DeviceBuffer, Executable, GpuDevice, Memory, Pending},
    plan::{self, Border},
    region::{Region, RegionTensor},
};

/// The host outputs of one submitted invoke.
pub struct Readback {
    executable: Arc<Executable>,
    state: Mutex<State>,
}

enum State {
    Pending(Option<Pending>),
    Ready(HashMap<TensorId, Value>),
}

impl Readback {
    pub fn new(executable: &Arc<Executable>, pending: Pending) -> Arc<Self> {
        let state = Mutex::new(State::Pending(Some(pending)));
        Arc::new(Self { executable: Arc::clone(executable), state })
    }

    /// Waits for the values, once.
    pub async fn settle(&self) -> Result<(), Error> {
        let pending = match &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Pending(pending) => pending.take(),
            State::Ready(_) => None,
        };
        if let Some(pending) = pending {
            let values = self.executable.collect(pending).await?.into_iter().collect();
            *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Ready(values);
        }
        Ok(())
    }

    fn value(&self, id: TensorId) -> Option<Value> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Ready(values) => values.get(&id).cloned(),
            State::Pending(_) => None,
        }
    }
}

/// A value with a handle.
struct Held {
    id: TensorId,
    tensor: RegionTensor,
    buffer: Option<Arc<DeviceBuffer>>,
    readback: Option<Arc<Readback>>,
}

/// All values that the interpreter knows by handle.
#[derive(Default)]
pub struct Handles {
    next: u64,
    held: HashMap<Handle, Held>,
}

impl Handles {
    /// A new handle.
    pub fn add(
        &mut self,
        id: TensorId,
        tensor: RegionTensor,
        buffer: Option<Arc<DeviceBuffer>>,
        readback: Option<Arc<Readback>>,
    ) -> Handle {
        let handle = Handle(self.next);
        self.next += 1;
        self.held.insert(handle, Held { id, tensor, buffer, readback });
        handle
    }

    /// Whether a value lies on the device as a region's tensor does. One that came through a variable or another
    /// subgraph may not: it was only read back, or is stored otherwise.
    pub fn holds(&self, handle: Handle, tensor: &RegionTensor) -> bool {
        let Some(held) = self.held.get(&handle).filter(|held| held.buffer.is_some()) else { return false };
        let of = |tensor: &RegionTensor| (tensor.storage, tensor.dtype, tensor.texels());
        of(&held.tensor) == of(tensor)
    }

    /// Forgets a handle.
    pub fn release(&mut self, handle: Handle) {
        self.held.remove(&handle);
    }

    /// Puts a held value into the buffer that an executable reads.
    pub fn provide(&mut self, device: &GpuDevice, handle: Handle, buffer: &Arc<DeviceBuffer>) -> Result<(), Error> {
        let held = self.held.get(&handle).and_then(|held| held.buffer.clone());
        let from = held.ok_or_else(|| Error::Internal("a value is not on the device".to_owned()))?;
        if !Arc::ptr_eq(&from, buffer) {
            self.preserve(device, buffer)?;
            DeviceBuffer::copy(device, &from, buffer)?;
        }
        Ok(())
    }

    /// Gives values that live in `buffer` another one, as it is about to be written.
    pub fn preserve(&mut self, device: &GpuDevice, buffer: &Arc<DeviceBuffer>) -> Result<(), Error> {
        let mut moved: Option<Arc<DeviceBuffer>> = None;
        for held in self.held.values_mut() {
            if held.buffer.as_ref().is_some_and(|b| Arc::ptr_eq(b, buffer)) {
                let copy = match moved.take() {
                    Some(copy) => copy,
                    None => buffer.duplicate(device)?,
                };
                held.buffer = Some(Arc::clone(&copy));
                moved = Some(copy);
            }
        }
        Ok(())
    }

    /// Values of handles on the host.
    pub async fn collect(
        &self,
        device: &Arc<GpuDevice>,
        memory: &Arc<Memory>,
        handles: &[Handle],
    ) -> Result<Vec<Value>, Error> {
        let mut values = Vec::with_capacity(handles.len());
        for handle in handles {
            let unknown = || Error::Internal(format!("handle {} is unknown", handle.0));
            let held = self.held.get(handle).ok_or_else(unknown)?;
            let mut value = None;
            if let Some(readback) = &held.readback {
                readback.settle().await?;
                value = readback.value(held.id);
            }
            values.push(match value {
                Some(value) => value,
                None => {
                    let buffer = held.buffer.as_ref().ok_or_else(unknown)?;
                    download(device, memory, &held.tensor, buffer).await?
                }
            });
        }
        Ok(values)
    }
}

/// Reads a border buffer back by a plan of its own: nobody had asked for this value on the host.
async fn download(
    device: &Arc<GpuDevice>,
    memory: &Arc<Memory>,
    tensor: &RegionTensor,
    buffer: &Arc<DeviceBuffer>,
) -> Result<Value, Error> {
    let id = TensorId(0);
    let region = Region { tensors: vec![tensor.clone()], inputs: vec![id], outputs: vec![id], ..Region::default() };
    let border = Border { device_inputs: vec![id], device_outputs: Vec::new(), host_outputs: vec![id] };
    let plan = plan::plan(region, &border, &device.tuning)?;
    let buffers = BorderBuffers::from([(id, Arc::clone(buffer))]);
    let executable = Executable::new(device, plan, memory, &buffers)?;
    let pending = executable.submit(|_| None)?;
    let value = executable.collect(pending).await?.pop();
    value.map(|(_, value)| value).ok_or_else(|| Error::Internal("nothing was read back".to_owned()))
}
