//! The delegate: what the host applies to its interpreters.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::c_int,
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tflite_wgpu::{
    GpuDelegate,
    gpu::GpuDevice,
    ops::Facts,
    options::{DeviceChoice, Perturb},
    partition,
};
use tflite_wgpu_fallback::Model;
use tflite_wgpu_model::{NodeId, SubgraphId};

use crate::{
    abi, device,
    graph::{self, HostGraph},
    guard,
    host::{Host, HostPartition},
    inject::{self, Fault},
    kernel,
    options::PluginOptions,
    session::{self, Session},
};

/// How often the host's partitions may show something new about the graph before what is known has to do.
const ROUNDS: usize = 4;

/// Delegates that a host has; a host may ask for one after it has destroyed it, so none is ever freed.
static DELEGATES: Mutex<BTreeMap<usize, Arc<PluginOptions>>> = Mutex::new(BTreeMap::new());

fn delegates() -> MutexGuard<'static, BTreeMap<usize, Arc<PluginOptions>>> {
    DELEGATES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A delegate for the host; it lives until the process ends, because hosts look at delegates that they have destroyed.
pub fn create(options: PluginOptions) -> *mut abi::Delegate {
    let delegate = Box::new(abi::Delegate {
        data: ptr::null_mut(),
        prepare: Some(prepare),
        copy_from_buffer_handle: Some(kernel::copy_from_buffer_handle),
        copy_to_buffer_handle: Some(kernel::copy_to_buffer_handle),
        free_buffer_handle: Some(kernel::free_buffer_handle),
        flags: abi::ALLOW_DYNAMIC_TENSORS,
        opaque_delegate_builder: ptr::null_mut(),
    });
    let delegate = Box::into_raw(delegate);
    delegates().insert(delegate.addr(), Arc::new(options));
    delegate
}

/// Ends a delegate; interpreters that have it keep what they have. NULL and strange pointers are ignored.
pub fn destroy(delegate: *mut abi::Delegate) {
    delegates().remove(&delegate.addr());
}

unsafe extern "C" fn prepare(context: *mut abi::Context, delegate: *mut abi::Delegate) -> c_int {
    // SAFETY: the host calls with its own context.
    let Some(mut host) = (unsafe { Host::new(context) }) else { return abi::DELEGATE_ERROR };
    match guard::caught("apply", || apply(&mut host, delegate)) {
        Ok(()) => abi::OK,
        Err(reason) => {
            host.report(&format!("tflite-wgpu: {reason}. "));
            abi::DELEGATE_ERROR
        }
    }
}

fn apply(host: &mut Host<'_>, delegate: *mut abi::Delegate) -> Result<(), String> {
    let options = delegates().get(&delegate.addr()).cloned();
    let options = options.ok_or("the delegate has been destroyed")?;
    let Some(device) = open(&options)? else { return Ok(()) };
    let mut outputs = BTreeSet::new();
    let fault = inject::due("choose");
    for round in 0.. {
        let graph = graph::read(host, &outputs)?;
        let mut wanted = options.delegate.clone();
        if fault == Some(Fault::Wrong) {
            wanted.perturb = graph.numbers.len().checked_sub(1).map(NodeId::from_index).map(Perturb::Node);
        }
        let mut gpu = GpuDelegate::with_device(Arc::clone(&device), wanted);
        let mut chosen = choose(host, &graph, &gpu, &options)?;
        if fault == Some(Fault::Nothing) {
            chosen = Chosen::default();
        }
        let known = outputs.len();
        outputs.extend(chosen.outputs.iter().copied());
        if outputs.len() > known && round < ROUNDS {
            continue;
        }
        tracing::info!(
            nodes = graph.numbers.len(),
            claimed = chosen.nodes.len(),
            partitions = chosen.partitions,
            adapter = %device.summary.name,
            "applied"
        );
        if chosen.nodes.is_empty() {
            return Ok(());
        }
        let session = Session::new(graph.ids.clone());
        let status =
            session::forming(host.id(), &session, || host.replace(&chosen.nodes, kernel::registration(), delegate));
        if status != abi::OK {
            return Err(format!("the host did not take the partitions (status {status})"));
        }
        let adopt = |sets| {
            gpu.adopt(sets);
            gpu
        };
        return session.start(graph.program, adopt, host.threads().unwrap_or(1));
    }
    Ok(())
}

/// The device; `None` where everything stays with the host.
fn open(options: &PluginOptions) -> Result<Option<Arc<GpuDevice>>, String> {
    if options.delegate.device == DeviceChoice::Cpu {
        return Ok(None);
    }
    match device::open(&options.delegate) {
        Ok(device) => Ok(Some(device)),
        Err(error) if options.fallback || options.delegate.device == DeviceChoice::Auto => {
            tracing::warn!(%error, "the host runs everything");
            Ok(None)
        }
        Err(error) => Err(format!("{error}; the option fallback=true leaves everything to the host instead")),
    }
}

/// What the delegate takes.
#[derive(Default)]
struct Chosen {
    /// The host's numbers of the nodes.
    nodes: Vec<c_int>,
    /// Tensors that the host reads of these partitions.
    outputs: Vec<c_int>,
    partitions: usize,
}

/// The nodes that the partitioner gives to the GPU, as far as the host's partitions suit them.
fn choose(
    host: &mut Host<'_>,
    graph: &HostGraph,
    gpu: &GpuDelegate,
    options: &PluginOptions,
) -> Result<Chosen, String> {
    let model = Model::new(graph.program.clone()).map_err(|error| error.to_string())?;
    let (assignment, facts) = gpu.assign(&model, SubgraphId(0));
    for (id, reason) in &assignment.reasons {
        let node = graph.program.subgraphs.first().and_then(|graph| graph.nodes.get(id.index()));
        let operator = node.map(|node| node.op.name()).unwrap_or_default();
        match graph.kept.get(id) {
            Some(kept) => tracing::debug!(node = id.0, operator, reason = kept, "stays with the host"),
            None => tracing::debug!(node = id.0, operator, %reason, "stays with the host"),
        }
    }
    let mut claimed: BTreeSet<NodeId> = assignment.partitions.into_iter().flatten().collect();
    claimed.retain(|id| !graph.kept.contains_key(id));
    loop {
        let nodes: Vec<c_int> = claimed.iter().filter_map(|id| graph.numbers.get(id.index()).copied()).collect();
        if nodes.is_empty() {
            return Ok(Chosen::default());
        }
        let Some(sets) = host.preview(&nodes) else { return Ok(Chosen { nodes, ..Chosen::default() }) };
        let refused = refused(graph, &facts, &sets, options);
        if refused.is_empty() {
            let outputs = sets.iter().flat_map(|set| &set.outputs).copied();
            let read = |number: &c_int| graph.reads(*number);
            return Ok(Chosen { nodes, outputs: outputs.filter(|n| !read(n)).collect(), partitions: sets.len() });
        }
        claimed.retain(|id| !refused.contains(id));
    }
}

/// Nodes of the host's partitions that must not be in them.
fn refused(graph: &HostGraph, facts: &Facts, sets: &[HostPartition], options: &PluginOptions) -> BTreeSet<NodeId> {
    let id = |number: &c_int| graph.ids.get(number).copied();
    let mut sets: Vec<Vec<NodeId>> = sets.iter().map(|set| set.nodes.iter().filter_map(id).collect()).collect();
    let own = graph.program.subgraphs.first();
    let misfits = own.map(|own| sets.iter().flat_map(|set| partition::unsteerable(own, facts, set)).collect());
    let misfits: BTreeSet<NodeId> = misfits.unwrap_or_default();
    if !misfits.is_empty() {
        tracing::debug!(nodes = ?misfits, "stay with the host: their partition would compute what decides over their shapes");
        return misfits;
    }
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let beyond = options.max_partitions.unwrap_or(usize::MAX);
    let small = sets.iter().enumerate().filter(|(i, set)| *i >= beyond || set.len() < options.min_nodes);
    small.flat_map(|(_, set)| set).copied().collect()
}
