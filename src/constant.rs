//! Constants of a model, shared with the interpreter, or folded from them.

use std::{
    ops::Deref,
    sync::{Arc, LazyLock},
};

use tflite_wgpu_fallback::{Model, Value};
use tflite_wgpu_model::{SubgraphId, TensorId};

/// A constant's value; cheap to clone.
#[derive(Clone)]
pub struct Constant(Source);

#[derive(Clone)]
enum Source {
    File(Model, SubgraphId, TensorId),
    Folded(Arc<Value>),
}

impl Constant {
    /// A constant of the file; `None` when the tensor is none, or its bytes cannot be decoded (the interpreter
    /// reports that).
    pub fn of_file(model: &Model, subgraph: SubgraphId, tensor: TensorId) -> Option<Self> {
        model.constant(subgraph, tensor).ok()??;
        Some(Self(Source::File(model.clone(), subgraph, tensor)))
    }

    /// Gives back the pages of the file that it lies in: the device has a copy. Reading it brings them back.
    pub fn release(&self) {
        if let Source::File(model, subgraph, tensor) = &self.0 {
            model.release(*subgraph, *tensor);
        }
    }

    /// Whether both are the same value in memory; equal ones in different places are not.
    pub fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq::<Value>(&**self, &**other)
    }
}

impl From<Value> for Constant {
    fn from(value: Value) -> Self {
        Self(Source::Folded(Arc::new(value)))
    }
}

impl From<Arc<Value>> for Constant {
    fn from(value: Arc<Value>) -> Self {
        Self(Source::Folded(value))
    }
}

impl Deref for Constant {
    type Target = Value;

    fn deref(&self) -> &Value {
        static NOTHING: LazyLock<Value> = LazyLock::new(Value::default);
        match &self.0 {
            // Decoding has succeeded when this was made, and its result is kept.
            Source::File(model, subgraph, tensor) => {
                model.constant(*subgraph, *tensor).ok().flatten().unwrap_or_else(|| &NOTHING)
            }
            Source::Folded(value) => value,
        }
    }
}

impl std::fmt::Debug for Constant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Constant({} {:?})", self.dtype(), self.shape())
    }
}
