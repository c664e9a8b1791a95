//! Preparing and running an entry, and starting again on the CPU when the delegate lost its values.

use std::sync::Arc;

use tflite_wgpu_model::{Data, SubgraphId};

use super::{Interpreter, entry::KnownOutputs};
use crate::{
    blocking::block_on,
    content::Content,
    delegate::Fallback,
    error::Error,
    executor::{Frame, Resources},
    memory::Shared,
    propagate::{Known, Propagation},
};

/// What an invoke changes and a second try must find as it was.
pub(super) struct Snapshot {
    frames: Vec<Frame>,
    resources: Resources,
}

impl Interpreter {
    /// Allocates inputs, works out the shapes that follow from theirs, and tells partitions those that concern them.
    pub(super) fn allocate(&mut self, subgraph: SubgraphId) -> Result<(), Error> {
        self.allocate_inputs(subgraph)?;
        let Some(entry) = self.entry(subgraph) else { return Ok(()) };
        let inputs = entry.input_shapes();
        if entry.known.as_ref().is_some_and(|known| known.inputs == inputs) {
            return Ok(());
        }
        let model = self.model().clone();
        let mut propagation = Propagation::new(&model);
        let given = inputs.iter().map(|shape| Known::shaped(Some(shape.clone()))).collect();
        let outputs = propagation.run(subgraph, given)?.into_iter().map(|known| known.shape).collect();
        self.executor.prepare_known(&propagation.shapes)?;
        let shapes = propagation.shapes.remove(&subgraph).unwrap_or_default();
        self.executor.place_tensors(subgraph, &shapes);
        if let Some(entry) = self.entries.get_mut(subgraph.index()).and_then(Option::as_mut) {
            entry.planned = Some(inputs.clone());
            entry.known = Some(KnownOutputs { inputs, outputs });
        }
        Ok(())
    }

    /// Plans the memory of tensors for shapes that [`Interpreter::allocate`] was not asked for. What contradicts itself
    /// is for the invoke to report.
    fn plan(&mut self, subgraph: SubgraphId) {
        let Some(entry) = self.entries.get_mut(subgraph.index()).and_then(Option::as_mut) else { return };
        let inputs = entry.input_shapes();
        if entry.planned.as_ref() == Some(&inputs) {
            return;
        }
        let given = inputs.iter().map(|shape| Known::shaped(Some(shape.clone()))).collect();
        entry.planned = Some(inputs);
        let model = self.model().clone();
        let mut propagation = Propagation::new(&model);
        if propagation.run(subgraph, given).is_ok() {
            let shapes = propagation.shapes.remove(&subgraph).unwrap_or_default();
            self.executor.place_tensors(subgraph, &shapes);
        }
    }

    fn allocate_inputs(&mut self, subgraph: SubgraphId) -> Result<(), Error> {
        let inputs = self.entry(subgraph).map_or(0, |entry| entry.inputs.len());
        for i in 0..inputs {
            self.allocate_input(subgraph, i)?;
        }
        Ok(())
    }

    pub(super) fn invoke_entry(&mut self, subgraph: SubgraphId) -> Result<(), Error> {
        block_on(self.run_entry(subgraph))?
    }

    /// The inputs' values, checked.
    pub(super) fn given(&mut self, subgraph: SubgraphId) -> Result<Vec<Content>, Error> {
        self.allocate_inputs(subgraph)?;
        self.plan(subgraph);
        let mut inputs = Vec::new();
        for (i, input) in
            self.entry(subgraph).map(|entry| entry.inputs.as_slice()).unwrap_or_default().iter().enumerate()
        {
            let Some(shared) = &input.value else { continue };
            self.check_type(subgraph, i, shared.value())?;
            inputs.push(Content::Host(shared.clone()));
        }
        Ok(inputs)
    }

    pub(super) async fn run_entry(&mut self, subgraph: SubgraphId) -> Result<(), Error> {
        self.flights.clear();
        let inputs = self.given(subgraph)?;
        let snapshot = self.executor.delegated.is_some().then(|| self.snapshot());
        let outputs = match self.attempt(subgraph, inputs.clone()).await {
            Err(Error::DelegateLost { delegate, reason }) if snapshot.is_some() => {
                self.give_up(snapshot, delegate, reason)?;
                self.attempt(subgraph, inputs).await?
            }
            other => {
                // What only the snapshot held is released too.
                drop(snapshot);
                self.release();
                other?
            }
        };
        self.keep_outputs(subgraph, outputs);
        Ok(())
    }

    /// Makes these values the outputs.
    pub(super) fn keep_outputs(&mut self, subgraph: SubgraphId, outputs: Vec<Shared>) {
        if let Some(entry) = self.entries.get_mut(subgraph.index()).and_then(Option::as_mut) {
            entry.outputs = outputs.into_iter().map(Some).collect();
            for input in &mut entry.inputs {
                input.dims = input.shape().to_vec();
            }
        }
    }

    /// Gives the memory of the outputs back.
    pub(super) fn recycle_outputs(&mut self, subgraph: SubgraphId) {
        if let Some(entry) = self.entries.get_mut(subgraph.index()).and_then(Option::as_mut) {
            for old in entry.outputs.iter_mut().filter_map(Option::take) {
                self.executor.recycle(Content::Host(old));
            }
        }
    }

    pub(super) async fn attempt(&mut self, subgraph: SubgraphId, inputs: Vec<Content>) -> Result<Vec<Shared>, Error> {
        self.recycle_outputs(subgraph);
        let _invoked = self.executor.team.invoke();
        let outputs = self.executor.call(subgraph, inputs).await?;
        self.executor.bring(&outputs).await?;
        self.bring_preserved().await?;
        Ok(outputs.iter().filter_map(Content::host).cloned().collect())
    }

    /// Brings what `preserve_all_tensors` keeps to host memory.
    pub(super) async fn bring_preserved(&mut self) -> Result<(), Error> {
        if !self.executor.options.preserve_all_tensors {
            return Ok(());
        }
        let frames = std::mem::take(&mut self.executor.frames);
        let kept = frames.iter().flat_map(|frame| frame.slots.iter().flatten());
        let brought = self.executor.bring(kept).await;
        self.executor.frames = frames;
        brought
    }

    /// Tells the delegate which handles are free.
    pub(super) fn release(&mut self) {
        if let Some(delegated) = &mut self.executor.delegated {
            delegated.release();
        }
    }

    /// Variables, resources and memories before an invoke. Values are shared, not copied.
    pub(super) fn snapshot(&self) -> Snapshot {
        let program = self.model().program();
        let variables = |(frame, graph): (&Frame, &tflite_wgpu_model::Graph)| {
            let slots = frame.slots.iter().zip(&graph.tensors);
            let slots = slots.map(|(slot, tensor)| slot.clone().filter(|_| tensor.data == Data::Variable));
            Frame { slots: slots.collect(), memories: frame.memories.clone() }
        };
        let frames = self.executor.frames.iter().zip(&program.subgraphs).map(variables).collect();
        Snapshot { frames, resources: self.executor.resources.clone() }
    }

    /// Drops the delegate and goes back to the snapshot.
    pub(super) fn give_up(
        &mut self,
        snapshot: Option<Snapshot>,
        delegate: String,
        reason: String,
    ) -> Result<(), Error> {
        self.executor.delegated = None;
        let cause = Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(reason.clone()));
        self.executor.fallbacks.push(Fallback { partition: None, reason: cause });
        let Some(snapshot) = snapshot else { return Ok(()) };
        let slots = snapshot.frames.iter().flat_map(|frame| frame.slots.iter().flatten());
        if slots.chain(snapshot.resources.contents()).any(|content| content.host().is_none()) {
            return Err(Error::DelegateLost { delegate, reason });
        }
        self.executor.frames = snapshot.frames;
        self.executor.resources = snapshot.resources;
        Ok(())
    }
}
