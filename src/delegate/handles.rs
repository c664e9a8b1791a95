//! Values on the device, and their way back to the host.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tflite_wgpu_fallback::{Handle, Value};
use tflite_wgpu_model::TensorId;

use crate::{
    error::Error,
    gpu::{BorderBuffers, DeviceBuffer, Executable, GpuDevice, Pending, WeightStore},
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
    fn settle(&self) -> Result<(), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Pending(pending) = &mut *state
            && let Some(pending) = pending.take()
        {
            let mut values = HashMap::new();
            self.executable.collect(pending, |id, value| drop(values.insert(id, value)))?;
            *state = State::Ready(values);
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
    /// The last invoke of each executable: its readback buffer is free once this is settled.
    last: Vec<Arc<Readback>>,
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
        if let Some(readback) = &readback {
            self.last
                .retain(|known| !Arc::ptr_eq(&known.executable, &readback.executable) || Arc::ptr_eq(known, readback));
            if !self.last.iter().any(|known| Arc::ptr_eq(known, readback)) {
                self.last.push(Arc::clone(readback));
            }
        }
        self.held.insert(handle, Held { id, tensor, buffer, readback });
        handle
    }

    /// Forgets a handle.
    pub fn release(&mut self, handle: Handle) {
        self.held.remove(&handle);
    }

    /// Finishes the executable's last readback, so that its buffer can be mapped again.
    pub fn settle(&mut self, executable: &Arc<Executable>) -> Result<(), Error> {
        self.last.iter().filter(|readback| Arc::ptr_eq(&readback.executable, executable)).try_for_each(|r| r.settle())
    }

    /// Puts a held value into the buffer that an executable reads.
    pub fn provide(
        &mut self,
        executable: &Executable,
        handle: Handle,
        buffer: &Arc<DeviceBuffer>,
    ) -> Result<(), Error> {
        let held = self.held.get(&handle).and_then(|held| held.buffer.clone());
        let from = held.ok_or_else(|| Error::Internal("a value is not on the device".to_owned()))?;
        if !Arc::ptr_eq(&from, buffer) {
            self.preserve(executable, buffer);
            executable.copy(&from, buffer);
        }
        Ok(())
    }

    /// Gives values that live in `buffer` another one, as it is about to be written.
    pub fn preserve(&mut self, executable: &Executable, buffer: &Arc<DeviceBuffer>) {
        let mut moved: Option<Arc<DeviceBuffer>> = None;
        for held in self.held.values_mut() {
            if held.buffer.as_ref().is_some_and(|b| Arc::ptr_eq(b, buffer)) {
                let copy = moved.get_or_insert_with(|| executable.duplicate(buffer));
                held.buffer = Some(Arc::clone(copy));
            }
        }
    }

    /// Values of handles on the host.
    pub fn collect(
        &mut self,
        device: &Arc<GpuDevice>,
        store: &WeightStore,
        handles: &[Handle],
    ) -> Result<Vec<Value>, Error> {
        handles
            .iter()
            .map(|handle| {
                let unknown = || Error::Internal(format!("handle {} is unknown", handle.0));
                let held = self.held.get(handle).ok_or_else(unknown)?;
                if let Some(readback) = &held.readback {
                    readback.settle()?;
                    if let Some(value) = readback.value(held.id) {
                        return Ok(value);
                    }
                }
                let buffer = held.buffer.as_ref().ok_or_else(unknown)?;
                download(device, store, &held.tensor, buffer)
            })
            .collect()
    }
}

/// Reads a border buffer back by a plan of its own: nobody had asked for this value on the host.
fn download(
    device: &Arc<GpuDevice>,
    store: &WeightStore,
    tensor: &RegionTensor,
    buffer: &Arc<DeviceBuffer>,
) -> Result<Value, Error> {
    let id = TensorId(0);
    let region = Region { tensors: vec![tensor.clone()], nodes: Vec::new(), inputs: vec![id], outputs: vec![id] };
    let border = Border { device_inputs: vec![id], device_outputs: Vec::new(), host_outputs: vec![id] };
    let plan = plan::plan(region, &border, &device.tuning)?;
    let buffers = BorderBuffers::from([(id, Arc::clone(buffer))]);
    let executable = Executable::new(device, plan, store, "download", &buffers)?;
    let pending = executable.submit(|_| None)?;
    let mut result = None;
    executable.collect(pending, |_, value| result = Some(value))?;
    result.ok_or_else(|| Error::Internal("nothing was read back".to_owned()))
}
