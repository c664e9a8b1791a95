//! What a delegate would plan, without a device: for tests and for looking at a model's plan anywhere.

use tflite_wgpu_fallback::{Model, Partition};
use tflite_wgpu_model::{Graph, NodeId, SubgraphId, TensorId};

use crate::{
    annotate,
    delegate::loops,
    ops::{Facts, LowerError},
    options::DelegateOptions,
    partition,
    plan::{self, Border, Plan},
    precision::Storages,
    rewrite,
    tuning::Tuning,
};

/// A partition as a delegate would run it with the file's shapes.
#[derive(Debug)]
pub struct Preview {
    /// The subgraph.
    pub subgraph: SubgraphId,
    /// Nodes of the file.
    pub nodes: Vec<NodeId>,
    /// The plan; a reason where shapes are only known when the model runs.
    pub plan: Result<Plan, LowerError>,
}

/// Plans all partitions of a model for a class of adapters; the options' `device` and `adapter` are not looked at.
pub fn preview(model: &Model, options: &DelegateOptions, tuning: &Tuning) -> Vec<Preview> {
    let options = &DelegateOptions { precision: tuning.precision(options.precision), ..options.clone() };
    let mut previews = Vec::new();
    for (i, graph) in model.program().subgraphs.iter().enumerate() {
        let subgraph = SubgraphId::from_index(i);
        let Some(facts) = annotate::annotate(model, subgraph, &|_| None) else { continue };
        let carried = loops(model, subgraph);
        let storages = Storages::new(graph, &facts, options.precision, carried);
        let sets = partition::assign(graph, &facts, options, usize::MAX).partitions;
        let claimed: Vec<_> = sets.iter().map(|nodes| Partition::from_nodes(graph, subgraph, nodes)).collect();
        for partition in &claimed {
            let border = |inputs: &[TensorId], outputs: &[TensorId]| border(&claimed, inputs, outputs, carried);
            let plan = plan_one(graph, partition, &facts, &storages, border, tuning);
            previews.push(Preview { subgraph, nodes: partition.nodes.clone(), plan });
        }
    }
    previews
}

fn plan_one(
    graph: &Graph,
    partition: &Partition,
    facts: &Facts,
    storages: &Storages,
    border: impl Fn(&[TensorId], &[TensorId]) -> Border,
    tuning: &Tuning,
) -> Result<Plan, LowerError> {
    let mut region = partition::build(graph, &partition.nodes, &partition.outputs, facts, storages)
        .map_err(|error| LowerError::from(error.reason))?;
    rewrite::rewrite(&mut region);
    let border = border(&region.inputs, &region.outputs);
    plan::plan(region, &border, tuning)
}

/// How a partition's tensors cross: what another partition makes comes, and what one reads stays, on the device.
fn border(claimed: &[Partition], inputs: &[TensorId], outputs: &[TensorId], carried: bool) -> Border {
    let made = |id: &TensorId| claimed.iter().any(|other| other.outputs.contains(id));
    let read = |id: &TensorId| carried || claimed.iter().any(|other| other.inputs.contains(id));
    let (device_outputs, host_outputs) = outputs.iter().copied().partition(read);
    Border { device_inputs: inputs.iter().copied().filter(made).collect(), device_outputs, host_outputs }
}
