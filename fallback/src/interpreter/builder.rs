//! Options of an interpreter, and what is decided once when it is built.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use tflite_wgpu_model::{Graph, Node, NodeId, Op, SubgraphId, TensorId};

use super::{Interpreter, entry::Entry};
use crate::{
    custom::CustomOperator,
    delegate::{Delegate, DelegateError, Fallback, Partition},
    error::{At, Error},
    eval::Hybrid,
    executor::{Delegated, Executor, Frame, Options, Plan, Resources},
    fast::{Kernels, Workspace},
    kernels,
    memory::Memory,
    model::{Call, Model, callees, is_interpreted},
    node::{Kernel, NodeState, kernel_error},
    schedule::{Item, schedule},
    threads::Team,
};

/// Memory that tensors may take by default.
const MEMORY_LIMIT_BYTES: u64 = 8 << 30;
/// Rounds of a loop by default.
const MAX_LOOP_ITERATIONS: u64 = 10_000_000;

/// Options of an [`Interpreter`].
pub struct InterpreterBuilder {
    model: Model,
    options: Options,
    threads: usize,
    memory_limit_bytes: usize,
    delegate: Option<Box<dyn Delegate>>,
}

impl InterpreterBuilder {
    pub(super) fn new(model: &Model) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            model: model.clone(),
            options: Options {
                hybrid: Hybrid::default(),
                max_loop_iterations: MAX_LOOP_ITERATIONS,
                preserve_all_tensors: false,
                kernels: Kernels::default(),
            },
            threads,
            memory_limit_bytes: usize::try_from(MEMORY_LIMIT_BYTES).unwrap_or(usize::MAX),
            delegate: None,
        }
    }

    /// Threads that a kernel may use, the calling one included; as many as the machine runs at once by default. The others
    /// belong to the interpreter; while an invoke runs they look for work, if each can have a core of its own.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// What dynamic-range models mean; the weights' real values by default.
    pub fn hybrid(mut self, hybrid: Hybrid) -> Self {
        self.options.hybrid = hybrid;
        self
    }

    /// Which kernels the CPU runs; the fast ones by default.
    pub fn kernels(mut self, kernels: Kernels) -> Self {
        self.options.kernels = kernels;
        self
    }

    /// The device that may take nodes.
    pub fn delegate(mut self, delegate: Box<dyn Delegate>) -> Self {
        self.delegate = Some(delegate);
        self
    }

    /// Keeps every tensor after an invoke, so that [`Interpreter::tensor`] finds inner ones; costs their memory.
    pub fn preserve_all_tensors(mut self, preserve: bool) -> Self {
        self.options.preserve_all_tensors = preserve;
        self
    }

    /// Bytes that tensors may take, constants left out; 8 GiB by default.
    pub fn memory_limit_bytes(mut self, limit: usize) -> Self {
        self.memory_limit_bytes = limit;
        self
    }

    /// Rounds after which a loop is taken for endless; 10 million by default.
    pub fn max_loop_iterations(mut self, limit: u64) -> Self {
        self.options.max_loop_iterations = limit;
        self
    }

    /// Adds a custom operator for this interpreter alone; see [`Model::with_custom_operator`].
    pub fn custom_operator(mut self, name: impl Into<String>, operator: impl Into<CustomOperator>) -> Self {
        self.model = self.model.with_custom_operator(name, operator);
        self
    }

    /// Lets the delegate choose, orders the nodes, and checks that every node that can run has a kernel which takes its
    /// version, attributes and types.
    ///
    /// # Errors
    /// [`Error::NoKernel`] for an operator that neither the CPU nor the delegate has, [`Error::Attribute`] for a
    /// version, an attribute or a type that the CPU's kernel does not take, [`Error::MissingInput`],
    /// [`Error::Partition`] when the delegate's choice cannot be ordered.
    pub fn build(self) -> Result<Interpreter, Error> {
        let mut fallbacks = Vec::new();
        let mut delegated = self.delegate.map(Delegated::new);
        let partitions = claim(&mut delegated, &self.model, &mut fallbacks)?;
        let program = self.model.program();
        let entries = entries(&self.model);
        let mut plans = Vec::with_capacity(program.subgraphs.len());
        for (i, graph) in program.subgraphs.iter().enumerate() {
            let id = SubgraphId::from_index(i);
            let own: Vec<_> = partitions.iter().enumerate().filter(|(_, p)| p.subgraph == id).collect();
            let steps = schedule(graph, &own).map_err(|error| Error::Partition {
                delegate: delegated.as_ref().map(|delegated| delegated.name.clone()).unwrap_or_default(),
                partition: error.partition,
                found: error.found,
                expected: error.expected,
            })?;
            let kernels = graph.nodes.iter().map(|node| Kernel::of(node, self.model.custom_operators())).collect();
            let wants_host = wants_host(&self.model, id, graph, &steps, entries.contains(&id));
            plans.push(Arc::new(Plan { steps, kernels, wants_host }));
        }
        check_kernels(&self.model, &entries, &plans)?;
        let frames = program.subgraphs.iter().map(Frame::new).collect();
        let entry = |(i, graph)| entries.contains(&SubgraphId::from_index(i)).then(|| Entry::new(graph));
        let entries = program.subgraphs.iter().enumerate().map(entry).collect();
        let executor = Executor {
            options: self.options,
            memory: Memory::new(self.memory_limit_bytes),
            places: plans.iter().map(|_| None).collect(),
            plans,
            frames,
            resources: Resources::default(),
            partitions: partitions.into(),
            delegated,
            fallbacks,
            team: Team::new(self.threads),
            workspace: Workspace::default(),
            states: program
                .subgraphs
                .iter()
                .map(|graph| graph.nodes.iter().map(|_| NodeState::default()).collect())
                .collect(),
            model: self.model,
        };
        Ok(Interpreter { executor, entries, flights: VecDeque::new() })
    }
}

/// What the delegate claims; a delegate that wants nothing to do with the model is dropped.
fn claim(
    delegated: &mut Option<Delegated>,
    model: &Model,
    fallbacks: &mut Vec<Fallback>,
) -> Result<Vec<Partition>, Error> {
    let Some(own) = delegated else { return Ok(Vec::new()) };
    match own.delegate.claim(model) {
        Ok(partitions) => {
            own.states = vec![Default::default(); partitions.len()];
            let beyond = partitions.iter().position(|p| model.program().graph(p.subgraph).is_none());
            match beyond {
                None => Ok(partitions),
                Some(partition) => Err(Error::Partition {
                    delegate: own.name.clone(),
                    partition,
                    found: format!("subgraph {}", partitions[partition].subgraph),
                    expected: format!("less than {}", model.program().subgraphs.len()),
                }),
            }
        }
        Err(DelegateError::Fatal(cause)) => Err(own.fatal(cause)),
        Err(DelegateError::Fallback(reason)) => {
            fallbacks.push(Fallback { partition: None, reason });
            *delegated = None;
            Ok(Vec::new())
        }
        Err(error @ DelegateError::Later) => Err(own.fatal(Arc::from(Box::from(error.to_string())))),
    }
}

/// Subgraphs that a user can call.
fn entries(model: &Model) -> HashSet<SubgraphId> {
    let signatures = model.program().signatures.iter().map(|signature| signature.subgraph);
    signatures.chain([SubgraphId(0)]).collect()
}

/// Subgraphs that can run: entries and what they call.
fn reachable(model: &Model, entries: &HashSet<SubgraphId>) -> HashSet<SubgraphId> {
    let mut found = entries.clone();
    let mut open: Vec<SubgraphId> = entries.iter().copied().collect();
    while let Some(graph) = open.pop().and_then(|id| model.program().graph(id)) {
        for (index, call) in graph.nodes.iter().flat_map(callees) {
            let id = u32::try_from(index).map(SubgraphId).ok().filter(|_| call != Call::Region);
            if let Some(id) = id.filter(|id| found.insert(*id)) {
                open.push(id);
            }
        }
    }
    found
}

fn check_kernels(model: &Model, entries: &HashSet<SubgraphId>, plans: &[Arc<Plan>]) -> Result<(), Error> {
    let mut reachable: Vec<_> = reachable(model, entries).into_iter().collect();
    reachable.sort_unstable();
    for id in reachable {
        let (Some(graph), Some(plan)) = (model.program().graph(id), plans.get(id.index())) else { continue };
        let at = |node, data: &Node| At { subgraph: id, node: Some(node), op: data.op.name().into() };
        for (n, data) in graph.nodes.iter().enumerate() {
            let at = || at(NodeId::from_index(n), data);
            kernels::check_version(data).map_err(|error| kernel_error(error, at(), data, &graph.tensors))?;
        }
        let mut checker = kernels::Checker::new(&graph.tensors);
        for step in &plan.steps {
            let Item::Node(node) = step.item else { continue };
            let Some(data) = graph.nodes.get(node.index()) else { continue };
            match plan.kernels.get(node.index()).and_then(Option::as_ref) {
                Some(Kernel::Row(_)) => {
                    checker.check(data).map_err(|error| kernel_error(error, at(node, data), data, &graph.tensors))?
                }
                Some(Kernel::Custom(_)) => {}
                None if is_interpreted(&data.op) => {}
                None => return Err(Error::NoKernel { at: at(node, data) }),
            }
        }
    }
    Ok(())
}

/// Which tensors of a subgraph are read in host memory.
fn wants_host(model: &Model, id: SubgraphId, graph: &Graph, steps: &[crate::schedule::Step], entry: bool) -> Vec<bool> {
    let mut wanted = vec![false; graph.tensors.len()];
    let mut want = |tensor: Option<TensorId>| {
        if let Some(place) = tensor.and_then(|tensor| wanted.get_mut(tensor.index())) {
            *place = true;
        }
    };
    let nodes = model.program().subgraphs.iter().flat_map(|graph| graph.nodes.iter().flat_map(callees));
    let condition = nodes.into_iter().any(|(index, call)| index == i64::from(id.0) && call == Call::Condition);
    if entry || condition {
        graph.outputs.iter().for_each(|&tensor| want(Some(tensor)));
    }
    for step in steps {
        let Item::Node(node) = step.item else { continue };
        read_on_host(graph, node).for_each(&mut want);
    }
    wanted
}

/// Inputs of a CPU node that it reads itself, rather than pass them on.
fn read_on_host(graph: &Graph, node: NodeId) -> impl Iterator<Item = Option<TensorId>> + '_ {
    let node = graph.nodes.get(node.index());
    let count = node.map_or(0, |node| match &node.op {
        Op::If(_) | Op::StablehloCase(_) | Op::ReadVariable | Op::AssignVariable => 1,
        op if is_interpreted(op) && !matches!(op, Op::HashtableFind | Op::HashtableImport) => 0,
        _ => node.inputs.len(),
    });
    node.into_iter().flat_map(|node| node.inputs.iter().copied()).take(count)
}
