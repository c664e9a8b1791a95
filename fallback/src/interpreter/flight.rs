//! Invokes in flight: submitted, their results not yet on the host.

use tflite_wgpu_model::SubgraphId;

use super::{Interpreter, invoke::Snapshot};
use crate::{content::Content, error::Error};

/// Invokes that the device may work on at a time: one computes while the inputs of the next are on their way.
const MOST: usize = 2;

/// An invoke that was submitted.
pub(super) struct Flight {
    subgraph: SubgraphId,
    /// What it was given, and the state before it: the CPU begins there when the device loses the results.
    inputs: Vec<Content>,
    snapshot: Option<Snapshot>,
    /// Its results, wherever they are.
    outputs: Vec<Content>,
}

impl Interpreter {
    /// Submits an invoke.
    pub(super) async fn start(&mut self, subgraph: SubgraphId) -> Result<(), Error> {
        if let Some(oldest) = self.flights.len().checked_sub(MOST) {
            // Those before it have arrived already.
            self.arrive(oldest).await?;
        }
        let inputs = self.given(subgraph)?;
        let snapshot = self.executor.delegated.is_some().then(|| self.snapshot());
        let outputs = match self.depart(subgraph, inputs.clone()).await {
            Err(Error::DelegateLost { delegate, reason }) if snapshot.is_some() => {
                let first = self.flights.iter().position(|flight| !flight.has_arrived());
                match first {
                    Some(first) => self.repeat_from(first, delegate, reason).await?,
                    None => self.give_up(snapshot, delegate, reason)?,
                }
                let outputs = self.depart(subgraph, inputs.clone()).await?;
                self.flights.push_back(Flight { subgraph, inputs, snapshot: None, outputs });
                return Ok(());
            }
            other => other?,
        };
        self.flights.push_back(Flight { subgraph, inputs, snapshot, outputs });
        Ok(())
    }

    /// Brings the results of the oldest invoke; whether there was one.
    pub(super) async fn land(&mut self) -> Result<bool, Error> {
        if self.flights.is_empty() {
            return Ok(false);
        }
        self.arrive(0).await?;
        let Some(flight) = self.flights.pop_front() else { return Ok(false) };
        self.recycle_outputs(flight.subgraph);
        let outputs = flight.outputs.iter().filter_map(Content::host).cloned().collect();
        self.keep_outputs(flight.subgraph, outputs);
        drop(flight);
        self.release();
        Ok(true)
    }

    /// Runs a subgraph without waiting for its results.
    async fn depart(&mut self, subgraph: SubgraphId, inputs: Vec<Content>) -> Result<Vec<Content>, Error> {
        let _invoked = self.executor.team.invoke();
        let outputs = self.executor.call(subgraph, inputs).await?;
        self.bring_preserved().await?;
        Ok(outputs)
    }

    /// Waits for an invoke's results.
    async fn arrive(&mut self, index: usize) -> Result<(), Error> {
        let Some(flight) = self.flights.get(index) else { return Ok(()) };
        let outputs = flight.outputs.clone();
        match self.executor.bring(&outputs).await {
            Err(Error::DelegateLost { delegate, reason }) => self.repeat_from(index, delegate, reason).await,
            other => other,
        }
    }

    /// Runs an invoke and those after it again, on the CPU, as the device has lost its results.
    async fn repeat_from(&mut self, first: usize, delegate: String, reason: String) -> Result<(), Error> {
        let snapshot = self.flights.get_mut(first).and_then(|flight| flight.snapshot.take());
        self.give_up(snapshot, delegate, reason)?;
        for i in first..self.flights.len() {
            let Some(flight) = self.flights.get(i) else { break };
            let (subgraph, inputs) = (flight.subgraph, flight.inputs.clone());
            let outputs = self.depart(subgraph, inputs).await?;
            if let Some(flight) = self.flights.get_mut(i) {
                (flight.outputs, flight.snapshot) = (outputs, None);
            }
        }
        Ok(())
    }
}

impl Flight {
    fn has_arrived(&self) -> bool {
        self.outputs.iter().all(|content| content.host().is_some())
    }
}
