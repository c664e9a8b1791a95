//! Where nodes run and why, as text and JSON.

use serde_json::{Value as Json, json};
use tflite_wgpu::{
    PartitionReport, Report,
    model::{NodeId, Program, SubgraphId},
    options::DeviceChoice,
};

use super::{
    render,
    session::{Loaded, Session},
};

/// A node of the file and where it runs.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Place {
    pub subgraph: u32,
    pub node: u32,
    pub op: String,
    /// `gpu` or `cpu`.
    pub device: &'static str,
    /// Why the CPU.
    pub reason: Option<String>,
    /// The GPU's partition.
    pub partition: Option<usize>,
}

/// Where every node runs.
pub fn places(program: &Program, session: &Session, loaded: &Loaded) -> Vec<Place> {
    let report = loaded.report();
    let nowhere = match (session.options.device, &session.device) {
        (DeviceChoice::Cpu, _) => "device=cpu",
        (_, None) => "no adapter",
        _ => "not claimed",
    };
    let mut places = Vec::new();
    for (s, graph) in program.subgraphs.iter().enumerate() {
        let subgraph = SubgraphId::from_index(s);
        let reasons = report.subgraphs.iter().find(|r| r.subgraph == subgraph).map(|r| &r.reasons);
        for (n, node) in graph.nodes.iter().enumerate() {
            let id = NodeId::from_index(n);
            let partition = report.partitions.iter().position(|p| p.subgraph == subgraph && p.nodes.contains(&id));
            let failure = partition.and_then(|p| failure(loaded, &report, p));
            let claimed = reasons.and_then(|reasons| reasons.get(&id)).map(ToString::to_string);
            let reason = failure.or(claimed).or_else(|| partition.is_none().then(|| nowhere.to_owned()));
            let device = if reason.is_none() { "gpu" } else { "cpu" };
            places.push(Place {
                subgraph: subgraph.0,
                node: id.0,
                op: node.op.name().to_owned(),
                device,
                reason,
                partition,
            });
        }
    }
    places
}

/// Why the CPU has taken a partition over.
fn failure(loaded: &Loaded, report: &Report, partition: usize) -> Option<String> {
    let fallbacks = loaded.interpreter.fallbacks().iter();
    let mut given_up = fallbacks.filter(|f| f.partition.is_none_or(|p| p == partition));
    let own = report.partitions.get(partition).and_then(|p| p.failure.clone());
    own.or_else(|| given_up.next().map(|fallback| fallback.reason.to_string()))
}

/// The plan for people.
pub fn text(session: &Session, loaded: &Loaded, places: &[Place]) -> String {
    let report = loaded.report();
    let adapter = session.device.as_ref().map(|device| &device.summary);
    let gpu = places.iter().filter(|place| place.device == "gpu").count();
    let mut text = format!("plan\n  adapter: {}, precision {}\n", render::adapter(adapter), session.precision());
    text.push_str(&format!(
        "  {gpu} of {} on the GPU in {}: {}, {}\n",
        render::count(places.len(), "node"),
        render::count(report.partitions.len(), "partition"),
        render::count(report.dispatches(), "dispatch").replace("dispatchs", "dispatches"),
        render::count(report.pipelines(), "pipeline"),
    ));
    if let Some(usage) = session.device.as_ref().map(|device| &device.usage) {
        text.push_str(&format!("  GPU memory {}\n", render::bytes(usage.total())));
    }
    let peak = loaded.interpreter.memory_peak();
    text.push_str(&format!(
        "  CPU memory {} at peak ({} alive at the fullest node)\n",
        render::bytes(peak.taken_bytes as u64),
        render::bytes(peak.live_bytes as u64),
    ));
    for (i, partition) in report.partitions.iter().enumerate() {
        let nodes: Vec<usize> = partition.nodes.iter().map(|id| id.index()).collect();
        let of = if partition.subgraph.0 == 0 { String::new() } else { format!(" of subgraph {}", partition.subgraph) };
        text.push_str(&format!("partition {i}: nodes {}{of}\n", render::ranges(&nodes)));
        text.push_str(&format!(
            "  {} steps, {} pipelines, arena {} (at most {} alive)\n",
            partition.steps.len(),
            partition.pipelines,
            render::bytes(partition.arena_bytes as u64),
            render::bytes(partition.live_bytes as u64),
        ));
        text.push_str(&render::table(&steps(partition)));
    }
    let cpu: Vec<&Place> = places.iter().filter(|place| place.device == "cpu").collect();
    if !cpu.is_empty() {
        text.push_str("on the CPU\n");
        text.push_str(&render::table(&reasons(&cpu)));
    }
    text
}

fn steps(partition: &PartitionReport) -> Vec<Vec<String>> {
    let row = |(i, step): (usize, &tflite_wgpu::plan::step::Step)| {
        let nodes: Vec<usize> = step.nodes.iter().map(|id| id.index()).collect();
        let [x, y, z] = step.dispatch;
        let nodes = if nodes.is_empty() { "transfer".to_owned() } else { format!("nodes {}", render::ranges(&nodes)) };
        vec![i.to_string(), step.kernel.to_owned(), nodes, format!("{x}x{y}x{z} workgroups")]
    };
    partition.steps.iter().enumerate().map(row).collect()
}

/// Neighbours with the same operator and reason share a line.
fn reasons(places: &[&Place]) -> Vec<Vec<String>> {
    let mut rows: Vec<(u32, Vec<usize>, &str, String)> = Vec::new();
    for place in places {
        let reason = place.reason.clone().unwrap_or_default();
        match rows.iter_mut().find(|row| row.0 == place.subgraph && row.2 == place.op && row.3 == reason) {
            Some(row) => row.1.push(place.node as usize),
            None => rows.push((place.subgraph, vec![place.node as usize], &place.op, reason)),
        }
    }
    let row = |(subgraph, nodes, op, reason): (u32, Vec<usize>, &str, String)| {
        let place = if subgraph == 0 { String::new() } else { format!("subgraph {subgraph} ") };
        let noun = if nodes.len() == 1 { "node" } else { "nodes" };
        vec![format!("{place}{noun} {}", render::ranges(&nodes)), op.to_owned(), reason]
    };
    rows.into_iter().map(row).collect()
}

/// The plan for programs.
pub fn json(session: &Session, loaded: &Loaded, places: &[Place]) -> Json {
    let report = loaded.report();
    let step = |step: &tflite_wgpu::plan::step::Step| {
        let nodes: Vec<u32> = step.nodes.iter().map(|id| id.0).collect();
        json!({ "kernel": step.kernel, "nodes": nodes, "dispatch": step.dispatch, "macs": step.macs })
    };
    let partition = |partition: &PartitionReport| {
        json!({
            "subgraph": partition.subgraph.0,
            "nodes": partition.nodes.iter().map(|id| id.0).collect::<Vec<_>>(),
            "pipelines": partition.pipelines,
            "arena_bytes": partition.arena_bytes,
            "live_bytes": partition.live_bytes,
            "failure": partition.failure,
            "steps": partition.steps.iter().map(step).collect::<Vec<_>>(),
        })
    };
    let gpu = places.iter().filter(|place| place.device == "gpu").count();
    let peak = loaded.interpreter.memory_peak();
    json!({
        "adapter": session.device.as_ref().map(|device| &device.summary),
        "precision": session.precision(),
        "gpu_nodes": gpu,
        "cpu_nodes": places.len() - gpu,
        "dispatches": report.dispatches(),
        "pipelines": report.pipelines(),
        "gpu_memory_bytes": memory(session),
        "cpu_memory_bytes": { "taken": peak.taken_bytes, "live": peak.live_bytes },
        "partitions": report.partitions.iter().map(partition).collect::<Vec<_>>(),
        "nodes": places,
    })
}

/// Bytes of buffers on the device, by purpose.
pub fn memory(session: &Session) -> Json {
    use std::sync::atomic::Ordering::Relaxed;
    match session.device.as_ref().map(|device| &device.usage) {
        Some(usage) => json!({
            "total": usage.total(),
            "activations": usage.activations.load(Relaxed),
            "weights": usage.weights.load(Relaxed),
            "other": usage.other.load(Relaxed),
        }),
        None => json!({ "total": 0, "activations": 0, "weights": 0, "other": 0 }),
    }
}
