//! The crate's error.

use crate::{compare::Difference, ops::LowerError, reason::Reason};

/// What can go wrong on the GPU side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter, or none that matches the request.
    #[error("no GPU adapter: {0} (--device cpu runs without one)")]
    NoAdapter(String),
    /// The adapter did not give a device.
    #[error("adapter \"{adapter}\" gave no device: {message}")]
    Device {
        /// Name of the adapter.
        adapter: String,
        /// The driver's words.
        message: String,
    },
    /// A dispatch, buffer or pipeline failed on the device.
    #[error("device \"{adapter}\" failed: {message}")]
    Failed {
        /// Name of the adapter.
        adapter: String,
        /// What it said.
        message: String,
    },
    /// The device was lost; nothing on it can be used any more.
    #[error("device \"{adapter}\" was lost: {message}")]
    Lost {
        /// Name of the adapter.
        adapter: String,
        /// What it said.
        message: String,
    },
    /// Validation while running found a result that differs from the reference.
    #[error("{0}, by the reference")]
    Mismatch(Box<Difference>),
    /// A shader template does not render.
    #[error(transparent)]
    Render(#[from] crate::kernels::RenderError),
    /// A partition cannot be lowered.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// A host value does not fit the partition's input.
    #[error("tensor {tensor}: {found}, expected {expected}")]
    Input {
        /// Name of the tensor.
        tensor: String,
        /// What was given.
        found: String,
        /// What the plan needs.
        expected: String,
    },
    /// An option is unknown or has a value that does not fit.
    #[error("option {key}: {found}, expected {expected}")]
    Option {
        /// The key.
        key: String,
        /// What was given.
        found: String,
        /// What it takes.
        expected: String,
    },
    /// A bug of this library.
    #[error("internal error: {0}")]
    Internal(String),
    /// The reference interpreter failed.
    #[error(transparent)]
    Fallback(#[from] tflite_wgpu_fallback::Error),
    /// A value is accessed as a type that it has not, or made of too many or too few elements.
    #[error("value {0}")]
    Value(tflite_wgpu_fallback::ValueError),
    /// The model file is not sound.
    #[error(transparent)]
    Model(#[from] tflite_wgpu_model::Error),
}

impl From<tflite_wgpu_fallback::ValueError> for Error {
    fn from(error: tflite_wgpu_fallback::ValueError) -> Self {
        Self::Value(error)
    }
}

impl Error {
    /// Whether the device is to blame, rather than the model or its caller.
    pub fn is_of_device(&self) -> bool {
        matches!(self, Self::Device { .. } | Self::Failed { .. } | Self::Lost { .. })
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Lower(reason.into())
    }
}
