//! Validation while running: the reference runs a partition's own nodes of the file on the same inputs, and what
//! differs is traced to the first node.

use std::collections::HashMap;

use tflite_wgpu_fallback::{Handle, Input, Model, Partition, PartitionIo, Value, run_node_of};
use tflite_wgpu_model::{NodeId, Quant, TensorId};

use super::{
    GpuDelegate,
    report::{self, Validation},
    run::internal,
};
use crate::{
    compare::{self, Difference, Figures, Mismatch, Tolerance},
    error::Error,
    gpu::Executable,
    ops::Facts,
    options::{OnMismatch, Precision, Validate},
    partition,
    plan::Border,
    rewrite,
};

/// Values of a subgraph's tensors.
type Values = HashMap<TensorId, Value>;

impl GpuDelegate {
    /// Whether a partition's next run is compared with the reference.
    pub(super) fn is_validated(&self, index: usize) -> Result<bool, Error> {
        let invokes = self.part(index)?.invokes;
        Ok(match self.options.validate {
            Validate::Off => false,
            Validate::First => invokes == 0,
            Validate::Every(n) => invokes.is_multiple_of(u64::from(n.max(1))),
        })
    }

    /// A partition's inputs on the host.
    pub(super) async fn host_inputs(&self, index: usize, io: &dyn PartitionIo) -> Result<Values, Error> {
        let device = self.opened()?;
        let mut values = Values::new();
        for &id in &self.part(index)?.partition.inputs {
            let value = match io.input(id) {
                Some(Input::Host(value)) => value.clone(),
                Some(Input::Handle(handle)) => {
                    let mut values = self.handles.collect(&device, &self.memory, &[handle]).await?;
                    values.pop().unwrap_or_default()
                }
                None => continue,
            };
            values.insert(id, value);
        }
        Ok(values)
    }

    /// Compares a partition's outputs with the reference's. A difference goes to the report; it is an error too,
    /// unless the options only want it reported.
    pub(super) async fn validate(
        &self,
        index: usize,
        outputs: &[(TensorId, Handle)],
        inputs: Values,
    ) -> Result<(), Error> {
        let device = self.opened()?;
        let model = self.model.clone().ok_or_else(|| Error::Internal("no model".to_owned()))?;
        let handles: Vec<Handle> = outputs.iter().map(|(_, handle)| *handle).collect();
        let found = self.handles.collect(&device, &self.memory, &handles).await?;
        let reference = match run_reference(&model, &self.part(index)?.partition, inputs) {
            Ok(reference) => reference,
            // What the reference refuses, the CPU tells the user in its own words.
            Err(error) if self.options.on_mismatch != OnMismatch::Report => return Err(error),
            Err(error) => {
                tracing::warn!(partition = index, %error, "the reference cannot judge this partition");
                return Ok(());
            }
        };
        let tolerance = self.tolerance(index, &model)?;
        let mut worst: Option<Figures> = None;
        let mut wrong = None;
        for ((id, _), value) in outputs.iter().zip(&found) {
            match judge(self.facts_of(index)?, &reference, *id, value, &tolerance) {
                Ok(figures) if worst.is_none_or(|worst| worst.max_abs < figures.max_abs) => worst = Some(figures),
                Ok(_) => {}
                Err(mismatch) => wrong = wrong.or(Some((*id, mismatch))),
            }
        }
        let difference = match wrong {
            Some((id, mismatch)) => Some(self.describe(index, &model, &reference, id, mismatch, &tolerance).await?),
            None => None,
        };
        if let Some(slot) = report::lock(&self.report).partitions.get_mut(index) {
            slot.validation.get_or_insert_default().add(worst, difference.clone());
        }
        match difference {
            None => Ok(()),
            Some(difference) if self.options.on_mismatch == OnMismatch::Report => {
                tracing::warn!(partition = index, %difference, "a result differs from the reference");
                Ok(())
            }
            Some(difference) => Err(Error::Mismatch(Box::new(difference))),
        }
    }

    fn facts_of(&self, index: usize) -> Result<&Facts, Error> {
        Ok(&self.prepared(index)?.facts)
    }

    /// The line of the table that fits a partition.
    fn tolerance(&self, index: usize, model: &Model) -> Result<Tolerance, Error> {
        let partition = &self.part(index)?.partition;
        let facts = &self.prepared(index)?.facts;
        let graph = model.program().graph(partition.subgraph);
        let nodes = partition.nodes.iter().filter_map(|id| graph?.nodes.get(id.index()));
        // Float operators with quantised constants: the reference's arithmetic is not the only right one.
        let is_quantised = |id: &TensorId| facts.tensor(*id).is_some_and(|f| f.constant.is_some() && f.quant.is_some());
        let hybrid = nodes.flat_map(|node| node.inputs.iter().flatten()).any(is_quantised);
        Ok(match self.options.precision {
            Precision::F32 if hybrid => compare::HYBRID,
            Precision::F32 => compare::F32,
            Precision::Auto | Precision::F16 => compare::F16,
        })
    }

    async fn describe(
        &self,
        index: usize,
        model: &Model,
        reference: &Values,
        tensor: TensorId,
        mismatch: Mismatch,
        tolerance: &Tolerance,
    ) -> Result<Difference, Error> {
        let subgraph = self.part(index)?.partition.subgraph;
        let graph = model.program().graph(subgraph);
        let first = self.first_wrong(index, model, reference, tensor, tolerance).await?;
        let (node, output, mismatch) = match first {
            Some((node, output, mismatch)) => (Some(node), output, mismatch),
            None => (None, tensor, mismatch),
        };
        let op = node.and_then(|id| graph?.nodes.get(id.index())).map(|node| node.op.name().to_owned());
        let name = graph.and_then(|graph| graph.tensors.get(output.index())).map(|tensor| tensor.name.clone());
        Ok(Difference { subgraph, node, op: op.unwrap_or_default(), tensor: name.unwrap_or_default(), mismatch })
    }

    /// The first node of the file whose result differs: each node alone on the reference's inputs and, when each alone
    /// is right, the partition's beginnings of growing length, whose fused kernels are those of the whole partition.
    async fn first_wrong(
        &self,
        index: usize,
        model: &Model,
        reference: &Values,
        tensor: TensorId,
        tolerance: &Tolerance,
    ) -> Result<Option<(NodeId, TensorId, Mismatch)>, Error> {
        let nodes = &self.part(index)?.partition.nodes;
        for node in nodes {
            if let Some((id, mismatch)) = self.rerun(index, model, &[*node], reference, tolerance).await? {
                return Ok(Some((*node, id, mismatch)));
            }
        }
        let graph = model.program().graph(self.part(index)?.partition.subgraph);
        let makes = |id: &NodeId| {
            graph.and_then(|g| g.nodes.get(id.index())).is_some_and(|n| n.outputs.contains(&Some(tensor)))
        };
        let (mut low, mut high) = (0, nodes.iter().position(makes).map_or(nodes.len(), |at| at + 1));
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let Some((beginning, last)) = nodes.get(..=middle).zip(nodes.get(middle)) else { break };
            match self.rerun(index, model, beginning, reference, tolerance).await? {
                Some((id, mismatch)) => {
                    found = Some((*last, id, mismatch));
                    high = middle;
                }
                None => low = middle + 1,
            }
        }
        Ok(found)
    }

    /// Runs nodes on the device, on the reference's values of what they do not make themselves; the first output of
    /// the last one that differs.
    async fn rerun(
        &self,
        index: usize,
        model: &Model,
        nodes: &[NodeId],
        reference: &Values,
        tolerance: &Tolerance,
    ) -> Result<Option<(TensorId, Mismatch)>, Error> {
        let facts = self.facts_of(index)?;
        let subgraph = self.part(index)?.partition.subgraph;
        let graph = model.program().graph(subgraph);
        let Some((graph, last)) = graph.zip(nodes.last()) else { return Ok(None) };
        let Some(node) = graph.nodes.get(last.index()) else { return Ok(None) };
        let outputs: Vec<TensorId> = node.outputs.iter().copied().flatten().collect();
        let storages = self.storages.get(subgraph.index()).ok_or_else(|| internal(index))?;
        let region = partition::build(graph, nodes, &outputs, facts, storages);
        let mut region = region.map_err(|error| Error::from(error.reason))?;
        if region.outputs.is_empty() {
            return Ok(None);
        }
        rewrite::rewrite(&mut region);
        let border = Border { host_outputs: region.outputs.clone(), ..Border::default() };
        let device = self.opened()?;
        let plan = self.plan(&device, region, &border)?;
        let executable = Executable::new(&device, plan, &self.memory, &HashMap::new())?;
        let pending = executable.submit(|id| reference.get(&id))?;
        for (id, value) in executable.collect(pending).await? {
            if let Err(mismatch) = judge(facts, reference, id, &value, tolerance) {
                return Ok(Some((id, mismatch)));
            }
        }
        Ok(None)
    }
}

/// Compares a value with the reference's.
fn judge(
    facts: &Facts,
    reference: &Values,
    id: TensorId,
    found: &Value,
    tolerance: &Tolerance,
) -> Result<Figures, Mismatch> {
    let reference = reference.get(&id).ok_or(Mismatch::Empty)?;
    let quant = facts.tensor(id).and_then(|fact| fact.quant.as_ref()).and_then(Quant::per_tensor);
    compare::compare_quantised(reference, found, quant, tolerance)
}

/// Values of all tensors that a partition touches, by the reference kernels on the file's own nodes.
fn run_reference(model: &Model, partition: &Partition, inputs: Values) -> Result<Values, Error> {
    let mut values = inputs;
    let Some(graph) = model.program().graph(partition.subgraph) else { return Ok(values) };
    for node in partition.nodes.iter().filter_map(|id| graph.nodes.get(id.index())) {
        let mut given = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            given.push(match input {
                None => None,
                Some(id) => match values.get(id) {
                    Some(value) => Some(value),
                    None => model.constant(partition.subgraph, *id)?,
                },
            });
        }
        let results = run_node_of(model, node, &graph.tensors, &given)?;
        for (id, value) in node.outputs.iter().zip(results) {
            if let Some(id) = id {
                values.insert(*id, value);
            }
        }
    }
    Ok(values)
}

impl Validation {
    fn add(&mut self, worst: Option<Figures>, difference: Option<Difference>) {
        self.checked += 1;
        self.failed += u64::from(difference.is_some());
        self.difference = self.difference.take().or(difference);
        if let Some(figures) = worst.filter(|figures| self.worst.is_none_or(|worst| worst.max_abs < figures.max_abs)) {
            self.worst = Some(figures);
        }
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_fallback::ValueError;
    use tflite_wgpu_model::{DType, QuantKind};

    use super::*;

    #[test]
    fn quantised_results_may_be_one_step_apart() -> Result<(), ValueError> {
        let id = TensorId(0);
        let kind = QuantKind::Affine { scale: vec![0.5], zero_point: vec![3], axis: 0 };
        let quant = Some(Quant { kind, ..Quant::default() });
        let fact = crate::ops::TensorFacts { dtype: DType::Int8, dims: Some(vec![2]), constant: None, quant };
        let facts = Facts { tensors: vec![fact], ..Facts::default() };
        let value = |a: i8, b: i8| Value::from_slice(DType::Int8, &[2], &[a, b]);
        let reference = Values::from([(id, value(20, -30)?)]);
        let passes = |found: &Value| judge(&facts, &reference, id, found, &compare::F32).is_ok();
        assert!(passes(&value(20, -30)?) && passes(&value(21, -31)?));
        assert!(!passes(&value(22, -30)?));
        let plain = Facts::default();
        assert!(judge(&plain, &reference, id, &value(21, -30)?, &compare::F32).is_err(), "other integers are exact");
        Ok(())
    }
}
