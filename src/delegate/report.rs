//! What a delegate has claimed and planned, as data for `inspect`, `benchmark` and tests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tflite_wgpu_fallback::Partition;
use tflite_wgpu_model::{Graph, NodeId, SubgraphId};

use crate::{
    gpu::AdapterSummary,
    plan::{Plan, step::Step},
    reason::Reason,
};

/// What a delegate has done with a model.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The adapter, if one was opened.
    pub adapter: Option<AdapterSummary>,
    /// One entry per subgraph.
    pub subgraphs: Vec<SubgraphReport>,
    /// Partitions of all subgraphs, in the order of the claim.
    pub partitions: Vec<PartitionReport>,
}

/// Where a subgraph's nodes run.
#[derive(Clone, Debug)]
pub struct SubgraphReport {
    /// The subgraph.
    pub subgraph: SubgraphId,
    /// Nodes of the file.
    pub node_count: usize,
    /// Why each CPU node is there.
    pub reasons: BTreeMap<NodeId, Reason>,
}

impl SubgraphReport {
    /// A report of what was claimed.
    pub fn new(graph: &Graph, subgraph: SubgraphId, reasons: BTreeMap<NodeId, Reason>) -> Self {
        Self { subgraph, node_count: graph.nodes.len(), reasons }
    }
}

/// A partition.
#[derive(Clone, Debug)]
pub struct PartitionReport {
    /// The subgraph.
    pub subgraph: SubgraphId,
    /// Nodes of the file.
    pub nodes: Vec<NodeId>,
    /// The plan's steps; empty until the partition has run.
    pub steps: Vec<Step>,
    /// Best time of each step on the device in nanoseconds, all invokes but the last; empty unless `time_steps` is set
    /// and the adapter has timestamps.
    pub step_times: Vec<f64>,
    /// Different pipelines of the plan.
    pub pipelines: usize,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Largest sum of bytes alive at a step.
    pub live_bytes: usize,
    /// The device's failure, once the CPU has taken over.
    pub failure: Option<String>,
}

impl PartitionReport {
    /// A partition that has not run yet.
    pub fn claimed(partition: &Partition) -> Self {
        Self {
            subgraph: partition.subgraph,
            nodes: partition.nodes.clone(),
            steps: Vec::new(),
            step_times: Vec::new(),
            pipelines: 0,
            arena_bytes: 0,
            live_bytes: 0,
            failure: None,
        }
    }

    /// A planned partition.
    pub fn new(partition: &Partition, plan: &Plan) -> Self {
        Self {
            steps: plan.steps.clone(),
            pipelines: plan.pipeline_count(),
            arena_bytes: plan.arena_bytes,
            live_bytes: plan.live_bytes,
            ..Self::claimed(partition)
        }
    }
}

impl Report {
    /// Nodes of the file on the GPU.
    pub fn gpu_nodes(&self) -> usize {
        self.partitions.iter().filter(|p| p.failure.is_none()).map(|partition| partition.nodes.len()).sum()
    }

    /// Nodes of the file in all subgraphs.
    pub fn node_count(&self) -> usize {
        self.subgraphs.iter().map(|subgraph| subgraph.node_count).sum()
    }

    /// Dispatches of one run of every partition.
    pub fn dispatches(&self) -> usize {
        self.partitions.iter().map(|partition| partition.steps.len()).sum()
    }

    /// Different pipelines over all partitions.
    pub fn pipelines(&self) -> usize {
        let steps = self.partitions.iter().flat_map(|partition| &partition.steps);
        let mut keys: Vec<_> = steps.map(|step| (step.kernel, &step.variant)).collect();
        keys.sort();
        keys.dedup();
        keys.len()
    }
}

pub(super) fn lock(report: &Mutex<Report>) -> MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}
