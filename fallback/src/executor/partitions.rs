//! Partitions of the delegate: shapes, values, results, and what happens when it fails.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use tflite_wgpu_model::{DType, Data, SubgraphId, TensorId};

use super::{Executor, Scope};
use crate::{
    content::{Content, OnDevice, Released},
    delegate::{Delegate, DelegateError, Fallback, Handle, Input, Partition, PartitionInput, PartitionIo},
    error::{Cause, Error, Operand},
    memory::Shared,
    propagate::Known,
    value::{Value, ValueError},
};

/// A delegate and the state of its partitions.
pub(crate) struct Delegated {
    pub(crate) name: String,
    pub(crate) delegate: Box<dyn Delegate>,
    pub(crate) states: Vec<State>,
    pub(crate) released: Released,
}

/// What is known of a partition.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(super) prepared: Option<Prepared>,
    /// Whether the CPU runs it from now on.
    off: bool,
}

type TensorType = (DType, Vec<usize>);

/// What the delegate said for certain shapes.
#[derive(Clone)]
pub(crate) struct Prepared {
    /// Types, shapes and, of shape inputs, values.
    pub(super) inputs: Vec<(DType, Vec<usize>, Option<Shared>)>,
    /// Types and shapes of the outputs; `None` when it cannot run these shapes.
    outputs: Option<Vec<TensorType>>,
}

/// What is known of an input when a partition is prepared.
pub(super) struct Given<'a> {
    pub(super) dtype: DType,
    pub(super) shape: &'a [usize],
    pub(super) value: Option<&'a Shared>,
}

impl Prepared {
    fn is_for(&self, given: &[Given<'_>]) -> bool {
        let same = |((dtype, shape, value), given): (&(DType, Vec<usize>, Option<Shared>), &Given<'_>)| {
            let values = value.as_ref().map(Shared::value) == given.value.map(Shared::value);
            *dtype == given.dtype && shape == given.shape && values
        };
        self.inputs.len() == given.len() && self.inputs.iter().zip(given).all(same)
    }
}

impl Delegated {
    pub(crate) fn new(delegate: Box<dyn Delegate>) -> Self {
        Self { name: delegate.name().into(), delegate, states: Vec::new(), released: Released::default() }
    }

    /// Tells the delegate which handles are free.
    pub(crate) fn release(&mut self) {
        for handle in self.released.take() {
            self.delegate.release(handle);
        }
    }

    pub(crate) fn fatal(&self, cause: Cause) -> Error {
        Error::Delegate { delegate: self.name.clone(), cause }
    }
}

/// Values that the partition sets while it runs.
enum Written {
    Host(Value),
    Device(Handle),
}

struct Io<'a> {
    partition: &'a Partition,
    /// Contents of the partition's inputs, in their order.
    contents: &'a [Content],
    wants_host: &'a [bool],
    written: Vec<(TensorId, Written)>,
    kept: Vec<(TensorId, Handle)>,
}

impl PartitionIo for Io<'_> {
    fn input(&self, tensor: TensorId) -> Option<Input<'_>> {
        let i = self.partition.inputs.iter().position(|&input| input == tensor)?;
        Some(match self.contents.get(i)? {
            Content::Host(shared) => Input::Host(shared.value()),
            Content::Device(device) => Input::Handle(device.handle),
        })
    }

    fn wants_host(&self, tensor: TensorId) -> bool {
        self.wants_host.get(tensor.index()).copied().unwrap_or(false)
    }

    fn set_output(&mut self, tensor: TensorId, value: Value) {
        self.written.push((tensor, Written::Host(value)));
    }

    fn set_output_handle(&mut self, tensor: TensorId, handle: Handle) {
        self.written.push((tensor, Written::Device(handle)));
    }

    fn keep_input(&mut self, tensor: TensorId, handle: Handle) {
        self.kept.push((tensor, handle));
    }
}

impl Executor {
    /// Runs a partition in the delegate, or its nodes on the CPU.
    pub(super) async fn partition(&mut self, scope: &mut Scope<'_>, index: usize) -> Result<(), Error> {
        let partitions = Arc::clone(&self.partitions);
        let Some(partition) = partitions.get(index) else { return Ok(()) };
        if self.try_partition(scope, index, partition).await? {
            return Ok(());
        }
        for &node in &partition.nodes {
            self.node(scope, node).await?;
        }
        Ok(())
    }

    /// Whether the delegate has run it.
    async fn try_partition(
        &mut self,
        scope: &mut Scope<'_>,
        index: usize,
        partition: &Partition,
    ) -> Result<bool, Error> {
        let on = |delegated: &Delegated| delegated.states.get(index).is_some_and(|state| !state.off);
        if !self.delegated.as_ref().is_some_and(on) {
            return Ok(false);
        }
        let mut contents = Vec::with_capacity(partition.inputs.len());
        for &tensor in &partition.inputs {
            contents.push(self.read(scope, tensor)?);
        }
        let Some(types) = self.prepare(index, partition, &contents).await? else { return Ok(false) };
        let Some(delegated) = &mut self.delegated else { return Ok(false) };
        delegated.release();
        let mut io = Io {
            partition,
            contents: &contents,
            wants_host: &scope.plan.wants_host,
            written: Vec::new(),
            kept: Vec::new(),
        };
        match delegated.delegate.invoke(index, &mut io).await {
            Ok(()) => {}
            Err(DelegateError::Fatal(cause)) => return Err(delegated.fatal(cause)),
            Err(DelegateError::Fallback(reason)) => {
                if let Some(state) = delegated.states.get_mut(index) {
                    state.off = true;
                }
                self.fallbacks.push(Fallback { partition: Some(index), reason });
                return Ok(false);
            }
            Err(DelegateError::Later) => return Ok(false),
        }
        let (written, kept) = (io.written, io.kept);
        self.keep(scope, partition, &contents, kept);
        self.take_results(scope, index, partition, &contents, &types, written)?;
        Ok(true)
    }

    /// Types and shapes of the outputs; `None` when the CPU has to run these shapes.
    async fn prepare(
        &mut self,
        index: usize,
        partition: &Partition,
        contents: &[Content],
    ) -> Result<Option<Vec<TensorType>>, Error> {
        let deciding = || {
            let inputs = partition.inputs.iter().zip(contents);
            inputs.filter(|(tensor, _)| partition.shape_inputs.contains(tensor)).map(|(_, content)| content)
        };
        self.bring(deciding()).await?;
        let inputs: Vec<Given<'_>> = contents
            .iter()
            .zip(&partition.inputs)
            .map(|(content, tensor)| Given {
                dtype: content.dtype(),
                shape: content.shape(),
                value: content.host().filter(|_| partition.shape_inputs.contains(tensor)),
            })
            .collect();
        self.prepare_for(index, partition, &inputs)
    }

    /// Prepares the partitions whose inputs' shapes are known before anything runs.
    pub(crate) fn prepare_known(&mut self, known: &HashMap<SubgraphId, Vec<Known>>) -> Result<(), Error> {
        let partitions = Arc::clone(&self.partitions);
        let model = self.model.clone();
        for (index, partition) in partitions.iter().enumerate().filter(|(_, p)| p.shape_inputs.is_empty()) {
            let Some(known) = known.get(&partition.subgraph) else { continue };
            let Some(graph) = model.program().graph(partition.subgraph) else { continue };
            let given = |tensor: &TensorId| {
                let shape = known.get(tensor.index())?.shape.as_deref()?;
                Some(Given { dtype: graph.tensors.get(tensor.index())?.dtype, shape, value: None })
            };
            if let Some(inputs) = partition.inputs.iter().map(given).collect::<Option<Vec<_>>>() {
                self.prepare_for(index, partition, &inputs)?;
            }
        }
        Ok(())
    }

    pub(super) fn prepare_for(
        &mut self,
        index: usize,
        partition: &Partition,
        given: &[Given<'_>],
    ) -> Result<Option<Vec<TensorType>>, Error> {
        let Some(delegated) = &mut self.delegated else { return Ok(None) };
        let Some(state) = delegated.states.get_mut(index).filter(|state| !state.off) else { return Ok(None) };
        if let Some(prepared) = state.prepared.as_ref().filter(|prepared| prepared.is_for(given)) {
            return Ok(prepared.outputs.clone());
        }
        let inputs: Vec<PartitionInput<'_>> = partition
            .inputs
            .iter()
            .zip(given)
            .map(|(&tensor, given)| PartitionInput {
                tensor,
                dtype: given.dtype,
                shape: given.shape,
                value: given.value.map(Shared::value),
            })
            .collect();
        let outputs = match delegated.delegate.prepare(index, &inputs) {
            Ok(outputs) if outputs.len() == partition.outputs.len() => Some(outputs),
            Ok(outputs) => {
                let found = format!("{} prepared outputs", outputs.len());
                let expected = format!("{}", partition.outputs.len());
                return Err(Error::Partition { delegate: delegated.name.clone(), partition: index, found, expected });
            }
            Err(DelegateError::Fatal(cause)) => return Err(delegated.fatal(cause)),
            Err(DelegateError::Fallback(reason)) => {
                // A loop may ask for many shapes; one note per partition tells enough.
                if !self.fallbacks.iter().any(|fallback| fallback.partition == Some(index)) {
                    self.fallbacks.push(Fallback { partition: Some(index), reason });
                }
                None
            }
            // Not now; whoever runs next asks again.
            Err(DelegateError::Later) => return Ok(None),
        };
        let owned = |given: &Given<'_>| (given.dtype, given.shape.to_vec(), given.value.cloned());
        let inputs = given.iter().map(owned).collect();
        state.prepared = Some(Prepared { inputs, outputs: outputs.clone() });
        Ok(outputs)
    }

    /// Notes which inputs the device has a copy of now.
    fn keep(
        &mut self,
        scope: &mut Scope<'_>,
        partition: &Partition,
        contents: &[Content],
        kept: Vec<(TensorId, Handle)>,
    ) {
        for (tensor, handle) in kept {
            let input = partition.inputs.iter().position(|&input| input == tensor);
            if let Some(Content::Host(shared)) = input.and_then(|i| contents.get(i)) {
                let (dtype, shape) = (shared.value().dtype(), shared.value().shape().to_vec());
                let host = OnceLock::from(shared.clone());
                if let Some(content) = self.on_device(handle, dtype, shape, host) {
                    self.write(scope, tensor, content);
                }
            }
        }
    }

    fn on_device(&self, handle: Handle, dtype: DType, shape: Vec<usize>, host: OnceLock<Shared>) -> Option<Content> {
        let released = self.delegated.as_ref()?.released.clone();
        Some(Content::Device(Arc::new(OnDevice { handle, dtype, shape, host, released })))
    }

    fn take_results(
        &mut self,
        scope: &mut Scope<'_>,
        index: usize,
        partition: &Partition,
        contents: &[Content],
        types: &[TensorType],
        written: Vec<(TensorId, Written)>,
    ) -> Result<(), Error> {
        let delegate = self.delegated.as_ref().map(|delegated| delegated.name.clone()).unwrap_or_default();
        let error = |found: String, expected: &str| Error::Partition {
            delegate: delegate.clone(),
            partition: index,
            found,
            expected: expected.into(),
        };
        if let Some(&tensor) = partition.outputs.iter().find(|&&o| !written.iter().any(|(t, _)| *t == o)) {
            return Err(error(format!("no result for tensor {tensor}"), "all outputs"));
        }
        for (tensor, written) in written {
            let output = partition.outputs.iter().position(|&output| output == tensor).and_then(|i| types.get(i));
            let state = partition.inputs.iter().position(|&input| input == tensor).and_then(|i| contents.get(i));
            let variable = scope.graph.tensors.get(tensor.index()).filter(|t| t.data == Data::Variable);
            let known = match (output, state.filter(|_| variable.is_some())) {
                (Some((dtype, shape)), _) => (*dtype, shape.clone()),
                (None, Some(state)) => (state.dtype(), state.shape().to_vec()),
                (None, None) => return Err(error(format!("a result for tensor {tensor}"), "outputs and states only")),
            };
            let data = scope.graph.tensors.get(tensor.index());
            let content = match written {
                Written::Device(handle) => self.on_device(handle, known.0, known.1, OnceLock::new()),
                Written::Host(value) => Some(Content::Host(self.hold_tensor(scope, tensor, value)?)),
            };
            let Some(content) = content else { continue };
            if let Some(data) = data.filter(|data| data.dtype != content.dtype()) {
                let error = ValueError::Type { found: content.dtype(), expected: data.dtype };
                let found = format!("a result for {} that {error}", Operand::output(0, Some(data)));
                return Err(Error::Partition { delegate, partition: index, found, expected: "the file's type".into() });
            }
            self.write(scope, tensor, content);
        }
        Ok(())
    }
}
