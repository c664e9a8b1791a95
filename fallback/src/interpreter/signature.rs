//! Running a subgraph through a signature, with its names.

use std::borrow::Cow;

use tflite_wgpu_model::{Signature, SignatureTensor, TensorId};

use super::{Interpreter, TensorInfo};
use crate::{error::Error, model::Model, value::Value};

/// Runs one signature of a model; inputs and outputs go by the signature's names.
pub struct SignatureRunner<'a> {
    interpreter: &'a mut Interpreter,
    model: Model,
    index: usize,
}

impl Interpreter {
    /// Keys of the model's signatures.
    pub fn signature_keys(&self) -> Vec<&str> {
        self.model().program().signatures.iter().map(|signature| signature.key.as_str()).collect()
    }

    /// The signature `key`. All signatures share variables and resources.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the keys that exist.
    pub fn signature_runner(&mut self, key: &str) -> Result<SignatureRunner<'_>, Error> {
        let keys = self.signature_keys();
        let not_found = || Error::NotFound { what: "signature", found: format!("{key:?}"), expected: one_of(&keys) };
        let index = keys.iter().position(|other| *other == key).ok_or_else(not_found)?;
        Ok(SignatureRunner { model: self.model().clone(), interpreter: self, index })
    }
}

impl SignatureRunner<'_> {
    fn signature(&self) -> &Signature {
        &self.model.program().signatures[self.index]
    }

    /// Inputs in the signature's order, with its names.
    pub fn inputs(&self) -> Vec<TensorInfo<'_>> {
        let infos = self.interpreter.input_infos(self.signature().subgraph);
        named(&self.signature().inputs, &infos)
    }

    /// Outputs in the signature's order, with its names.
    pub fn outputs(&self) -> Vec<TensorInfo<'_>> {
        let infos = self.interpreter.output_infos(self.signature().subgraph);
        named(&self.signature().outputs, &infos)
    }

    /// Gives an input another shape; its elements become zero.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such input.
    pub fn resize_input(&mut self, name: &str, dims: &[usize]) -> Result<(), Error> {
        let i = self.input(name)?;
        self.interpreter.resize(self.signature().subgraph, i, dims)
    }

    /// The value of an input, for writing.
    ///
    /// # Errors
    /// As [`Interpreter::input_mut`].
    pub fn input_mut(&mut self, name: &str) -> Result<&mut Value, Error> {
        let (i, subgraph) = (self.input(name)?, self.signature().subgraph);
        self.interpreter.input_value(subgraph, i)
    }

    /// Gives an input a value; another shape counts as a resize.
    ///
    /// # Errors
    /// As [`Interpreter::set_input`].
    pub fn set_input(&mut self, name: &str, value: Value) -> Result<(), Error> {
        let (i, subgraph) = (self.input(name)?, self.signature().subgraph);
        self.interpreter.set_value(subgraph, i, value)
    }

    /// Allocates inputs and works out what shapes are known.
    ///
    /// # Errors
    /// As [`Interpreter::allocate_tensors`].
    pub fn allocate_tensors(&mut self) -> Result<(), Error> {
        let subgraph = self.signature().subgraph;
        self.interpreter.allocate(subgraph)
    }

    /// Runs the signature's subgraph.
    ///
    /// # Errors
    /// As [`Interpreter::invoke`].
    pub fn invoke(&mut self) -> Result<(), Error> {
        let subgraph = self.signature().subgraph;
        self.interpreter.invoke_entry(subgraph)
    }

    /// Runs the signature's subgraph, awaiting the delegate's results.
    ///
    /// # Errors
    /// As [`Interpreter::invoke`].
    pub async fn invoke_async(&mut self) -> Result<(), Error> {
        let subgraph = self.signature().subgraph;
        self.interpreter.run_entry(subgraph).await
    }

    /// The value of an output after an invoke.
    ///
    /// # Errors
    /// When there is no such output or it has not been computed.
    pub fn output(&self, name: &str) -> Result<&Value, Error> {
        let signature = self.signature();
        let tensor = find(&signature.outputs, "output", name)?;
        let graph = self.model.program().graph(signature.subgraph);
        let position = graph.and_then(|graph| graph.outputs.iter().position(|id| *id == tensor));
        self.interpreter.output_value(signature.subgraph, position.unwrap_or(usize::MAX))
    }

    /// Position of an input among the subgraph's.
    fn input(&self, name: &str) -> Result<usize, Error> {
        let signature = self.signature();
        let tensor = find(&signature.inputs, "input", name)?;
        let graph = self.model.program().graph(signature.subgraph);
        let position = graph.and_then(|graph| graph.inputs.iter().position(|id| *id == tensor));
        Ok(position.unwrap_or(usize::MAX))
    }
}

fn find(tensors: &[SignatureTensor], what: &'static str, name: &str) -> Result<TensorId, Error> {
    let found = tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.tensor);
    let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    found.ok_or_else(|| Error::NotFound { what, found: format!("{name:?}"), expected: one_of(&names) })
}

fn one_of(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    if names.is_empty() { "none".into() } else { format!("one of {}", names.join(", ")) }
}

fn named<'a>(tensors: &'a [SignatureTensor], infos: &[TensorInfo<'a>]) -> Vec<TensorInfo<'a>> {
    let info = |tensor: &'a SignatureTensor| {
        let info = infos.iter().find(|info| info.id == tensor.tensor)?;
        Some(TensorInfo { name: Cow::Borrowed(&tensor.name), ..info.clone() })
    };
    tensors.iter().filter_map(info).collect()
}
