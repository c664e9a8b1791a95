//! What a tensor holds: a host value, a delegate's handle, or both.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tflite_wgpu_model::DType;

use crate::{delegate::Handle, memory::Shared};

/// Handles that no tensor has any more; the delegate is told before its next call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Released(Arc<Mutex<Vec<Handle>>>);

impl Released {
    pub(crate) fn take(&self) -> Vec<Handle> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A value on the delegate's device, released when the last tensor lets go.
#[derive(Debug)]
pub(crate) struct OnDevice {
    pub(crate) handle: Handle,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    /// The host's copy, once there is one; all tensors with this handle share it.
    pub(crate) host: OnceLock<Shared>,
    pub(crate) released: Released,
}

impl Drop for OnDevice {
    fn drop(&mut self) {
        self.released.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.handle);
    }
}

/// The value of a tensor; a clone shares it.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Host(Shared),
    Device(Arc<OnDevice>),
}

impl Content {
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Host(shared) => shared.value().dtype(),
            Self::Device(device) => device.dtype,
        }
    }

    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Self::Host(shared) => shared.value().shape(),
            Self::Device(device) => &device.shape,
        }
    }

    /// The host's copy, if there is one.
    pub(crate) fn host(&self) -> Option<&Shared> {
        match self {
            Self::Host(shared) => Some(shared),
            Self::Device(device) => device.host.get(),
        }
    }
}
