//! A checked program with its constants, shared by interpreters.

mod calls;
mod check;
mod sparse;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use tflite_wgpu_model::{Bytes, Graph, Program, SubgraphId, TensorId};

use crate::{
    error::{Error, TensorAt},
    memory::Shared,
    value::Value,
};

pub use calls::is_interpreted;
pub(crate) use calls::{Call, callees, has_side_effect, is_resource};

/// A program and its constants in memory; a clone shares both.
///
/// Constants are decoded when they are first asked for, so that those of delegated nodes cost nothing here.
#[derive(Clone)]
pub struct Model(Arc<Inner>);

struct Inner {
    program: Program,
    constants: Vec<Vec<OnceLock<Result<Shared, Error>>>>,
}

impl Model {
    /// Checks a program and shares it.
    ///
    /// # Errors
    /// [`Error::Program`] when an index points beyond its list, a node does not fit the subgraph that it calls, or a
    /// subgraph calls itself.
    pub fn new(program: Program) -> Result<Self, Error> {
        check::check(&program)?;
        let cells = |graph: &Graph| graph.tensors.iter().map(|_| OnceLock::new()).collect();
        let constants = program.subgraphs.iter().map(cells).collect();
        Ok(Self(Arc::new(Inner { program, constants })))
    }

    /// Reads and checks a file. It is mapped into memory where that is possible, so it must not change while the model is
    /// in use.
    ///
    /// # Errors
    /// When the file cannot be read, is no sound `.tflite` file, and as [`Model::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new(Program::open(path)?)
    }

    /// Reads and checks a file's bytes.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn read(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        Self::new(Program::read(bytes.into())?)
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.0.program
    }

    /// The value of a constant, dense and with types below 8 bits unpacked; `None` when the tensor is none.
    ///
    /// # Errors
    /// [`Error::Constant`] when its bytes do not fit its type and shape.
    pub fn constant(&self, subgraph: SubgraphId, tensor: TensorId) -> Result<Option<&Value>, Error> {
        Ok(self.shared_constant(subgraph, tensor)?.map(|shared| shared.value()))
    }

    pub(crate) fn shared_constant(&self, subgraph: SubgraphId, tensor: TensorId) -> Result<Option<&Shared>, Error> {
        let cell = self.0.constants.get(subgraph.index()).and_then(|cells| cells.get(tensor.index()));
        let data = self.program().graph(subgraph).and_then(|graph| graph.tensors.get(tensor.index()));
        let (Some(cell), Some(data)) = (cell, data) else { return Ok(None) };
        let Some(bytes) = data.constant() else { return Ok(None) };
        let decode = || {
            let value = match &data.sparsity {
                Some(sparsity) => sparse::densify(data.dtype, &data.dims, sparsity, bytes),
                None => Value::from_constant(data.dtype, &data.dims, bytes),
            };
            let at = || TensorAt::new(subgraph, tensor, Some(data));
            value.map(Shared::uncounted).map_err(|error| Error::Constant { at: at(), error })
        };
        cell.get_or_init(decode).as_ref().map(Some).map_err(Clone::clone)
    }
}
