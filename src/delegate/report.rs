//! What a delegate has claimed and planned, as data for `inspect`, `benchmark` and tests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tflite_wgpu_fallback::Partition;
use tflite_wgpu_model::{Graph, NodeId, SubgraphId};

use crate::{
    compare::{Difference, Figures},
    gpu::{AdapterSummary, HostTimes, StepTime},
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
    /// When the device took over from the CPU; none without a warm start, and before.
    pub switch: Option<Switch>,
}

/// The end of a warm start.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Switch {
    /// Invokes that the CPU has answered before.
    pub cpu_invokes: u64,
    /// When the first one after it began, since the delegate was opened.
    pub ready_ms: f64,
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
    /// Times of each step on the device; empty unless the option `time_steps` is set and the adapter has timestamps.
    pub step_times: Vec<StepTime>,
    /// What its runs cost the host; nothing where there is no clock (browsers).
    pub host_times: HostTimes,
    /// Different pipelines of the plan.
    pub pipelines: usize,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Largest sum of bytes alive at a step, border tensors left out.
    pub live_bytes: usize,
    /// Bytes of border tensors: what the partition shares with others on the device.
    pub border_bytes: usize,
    /// Whether the CPU runs it while another thread makes it ready.
    pub warming: bool,
    /// The device's failure, once the CPU has taken over.
    pub failure: Option<String>,
    /// What validation while running has found; none before the first comparison.
    pub validation: Option<Validation>,
}

/// What comparing a partition's runs with the reference has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Validation {
    /// Runs that were compared.
    pub checked: u64,
    /// Those that differed.
    pub failed: u64,
    /// Figures of the output with the largest error, over all outputs that passed.
    pub worst: Option<Figures>,
    /// The first difference.
    pub difference: Option<Difference>,
}

impl PartitionReport {
    /// A partition that has not run yet.
    pub fn claimed(partition: &Partition) -> Self {
        Self {
            subgraph: partition.subgraph,
            nodes: partition.nodes.clone(),
            steps: Vec::new(),
            step_times: Vec::new(),
            host_times: HostTimes::default(),
            pipelines: 0,
            arena_bytes: 0,
            live_bytes: 0,
            border_bytes: 0,
            warming: false,
            failure: None,
            validation: None,
        }
    }

    /// A planned partition.
    pub fn new(partition: &Partition, plan: &Plan) -> Self {
        Self {
            steps: plan.steps.clone(),
            pipelines: plan.pipeline_count(),
            arena_bytes: plan.arena_bytes,
            live_bytes: plan.live_bytes,
            border_bytes: plan.border_bytes(),
            ..Self::claimed(partition)
        }
    }
}

impl Report {
    /// What validation while running has found in all partitions; none before the first comparison.
    pub fn validation(&self) -> Option<Validation> {
        let mut found = self.partitions.iter().filter_map(|partition| partition.validation.clone());
        let first = found.next()?;
        Some(found.fold(first, |sum, next| Validation {
            checked: sum.checked + next.checked,
            failed: sum.failed + next.failed,
            worst: [sum.worst, next.worst].into_iter().flatten().max_by(|a, b| a.max_abs.total_cmp(&b.max_abs)),
            difference: sum.difference.or(next.difference),
        }))
    }

    /// Nodes of the file on the GPU.
    pub fn gpu_nodes(&self) -> usize {
        self.partitions
            .iter()
            .filter(|p| p.failure.is_none() && !p.warming)
            .map(|partition| partition.nodes.len())
            .sum()
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

/// A kernel of a plan and its time on the device.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileRow {
    /// Position of the partition.
    pub partition: usize,
    /// Name of the kernel.
    pub kernel: &'static str,
    /// The file's nodes that the dispatch stands for; none for transfers.
    pub nodes: Vec<NodeId>,
    /// Its time.
    pub time: StepTime,
}

/// Times of every dispatch, in the order of execution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// One row per dispatch.
    pub rows: Vec<ProfileRow>,
}

impl Profile {
    /// Mean time of one run of everything, nanoseconds.
    pub fn mean_ns(&self) -> f64 {
        self.rows.iter().map(|row| row.time.mean_ns).sum()
    }
}

impl Report {
    /// Times of every dispatch; empty unless the option `time_steps` is set and the adapter has timestamps.
    pub fn profile(&self) -> Profile {
        let rows = self.partitions.iter().enumerate().flat_map(|(i, partition)| {
            partition.steps.iter().zip(&partition.step_times).map(move |(step, time)| ProfileRow {
                partition: i,
                kernel: step.kernel,
                nodes: step.nodes.clone(),
                time: *time,
            })
        });
        Profile { rows: rows.collect() }
    }
}

pub(super) fn lock(report: &Mutex<Report>) -> MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}
