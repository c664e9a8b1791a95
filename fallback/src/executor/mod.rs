//! Runs subgraphs: node by node and partition by partition, with control flow and resources.
//!
//! Everything is asynchronous because a delegate's results may have to be awaited; without a delegate nothing ever
//! waits. A subgraph's state lies in its [`Frame`]; a call takes the frame out of the executor while it runs, which is
//! possible because no subgraph calls itself.

mod control;
mod hosted;
mod partitions;
mod resources;

use std::{future::Future, pin::Pin, sync::Arc};

use tflite_wgpu_model::{Data, Graph, Node, NodeId, Op, SubgraphId, TensorId, element_count};

use crate::{
    content::Content,
    delegate::{DelegateError, Fallback, Partition},
    error::{At, Error, Operand, TensorAt},
    eval::{EvalEnv, Hybrid},
    fast::{FastKernel, Kernels, Workspace},
    memory::{Memory, Shared},
    model::{Model, is_resource},
    node::{Evaluated, Evaluation, Kernel, NodeState, file_shape, memory_error},
    places::Places,
    propagate::Known,
    schedule::{Item, Step},
    threads::{Team, Threads},
    value::{Value, ValueError},
};

pub use hosted::{HostedOptions, HostedPartitions, OutputShapes};
pub(crate) use partitions::Delegated;
pub(crate) use resources::Resources;

/// What a step comes to.
pub(crate) type Running<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

/// Limits and switches of an interpreter.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) hybrid: Hybrid,
    pub(crate) max_loop_iterations: u64,
    pub(crate) preserve_all_tensors: bool,
    pub(crate) kernels: Kernels,
}

/// What is fixed of a subgraph once the interpreter is built.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// Kernel of each node; `None` for control flow, resources and operators that only a delegate has.
    pub(crate) kernels: Vec<Option<Kernel>>,
    /// Tensors that are read in host memory when everything goes as planned.
    pub(crate) wants_host: Vec<bool>,
}

/// What a subgraph keeps: the values of its tensors, and what its nodes remember.
#[derive(Clone, Default)]
pub(crate) struct Frame {
    pub(crate) slots: Vec<Option<Content>>,
    pub(crate) memories: Vec<Vec<Value>>,
}

impl Frame {
    pub(crate) fn new(graph: &Graph) -> Self {
        Self { slots: vec![None; graph.tensors.len()], memories: vec![Vec::new(); graph.nodes.len()] }
    }
}

/// A subgraph that is running.
struct Scope<'a> {
    id: SubgraphId,
    graph: &'a Graph,
    plan: &'a Plan,
    frame: &'a mut Frame,
}

impl Scope<'_> {
    fn at(&self, id: NodeId) -> At {
        let op = self.graph.nodes.get(id.index()).map_or("", |node| node.op.name());
        At { subgraph: self.id, node: Some(id), op: op.into() }
    }

    fn input_operand(&self, node: &Node, i: usize) -> Operand {
        Operand::input(i, node.input(i).and_then(|id| self.graph.tensors.get(id.index())))
    }
}

/// Everything that an invoke works on.
pub(crate) struct Executor {
    pub(crate) model: Model,
    pub(crate) options: Options,
    pub(crate) memory: Memory,
    pub(crate) plans: Vec<Arc<Plan>>,
    pub(crate) frames: Vec<Frame>,
    /// Where tensors of each subgraph lie, for those that are planned: which the user calls, once shapes are known.
    pub(crate) places: Vec<Option<Places>>,
    pub(crate) resources: Resources,
    /// What the delegate has claimed; stays when the delegate itself is given up.
    pub(crate) partitions: Arc<[Partition]>,
    pub(crate) delegated: Option<Delegated>,
    pub(crate) fallbacks: Vec<Fallback>,
    /// Threads of the kernels.
    pub(crate) team: Team,
    /// Working memory of fast kernels, and what is kept of each node of each subgraph.
    pub(crate) workspace: Workspace,
    pub(crate) states: Vec<Vec<NodeState>>,
}

impl Executor {
    /// Runs a subgraph on the values of its inputs; gives those of its outputs.
    pub(crate) fn call(&mut self, id: SubgraphId, inputs: Vec<Content>) -> Running<'_, Vec<Content>> {
        Box::pin(async move {
            let model = self.model.clone();
            let (Some(graph), Some(plan)) = (model.program().graph(id), self.plans.get(id.index()).cloned()) else {
                return Err(Error::program("a call", format!("subgraph {id}"), "one of the program's"));
            };
            let mut frame = self.frames.get_mut(id.index()).map(std::mem::take).unwrap_or_default();
            if frame.slots.len() != graph.tensors.len() {
                frame = Frame::new(graph);
            }
            for (tensor, content) in graph.inputs.iter().zip(inputs) {
                frame.slots[tensor.index()] = Some(content);
            }
            let mut scope = Scope { id, graph, plan: &plan, frame: &mut frame };
            let result = self.run(&mut scope).await;
            if !self.options.preserve_all_tensors {
                self.clear(graph, &mut frame);
            }
            if let Some(place) = self.frames.get_mut(id.index()) {
                *place = frame;
            }
            result
        })
    }

    async fn run(&mut self, scope: &mut Scope<'_>) -> Result<Vec<Content>, Error> {
        let plan = scope.plan;
        for step in &plan.steps {
            match step.item {
                Item::Node(node) => self.node(scope, node).await?,
                Item::Partition(partition) => self.partition(scope, partition).await?,
            }
            if !self.options.preserve_all_tensors {
                for tensor in &step.frees {
                    if let Some(content) = scope.frame.slots[tensor.index()].take() {
                        self.recycle(content);
                    }
                }
            }
        }
        let outputs = scope.graph.outputs.clone();
        outputs.into_iter().map(|tensor| self.read(scope, tensor)).collect()
    }

    /// Plans the memory of a subgraph's tensors, whose shapes are known.
    pub(crate) fn place_tensors(&mut self, id: SubgraphId, known: &[Known]) {
        let (Some(graph), Some(plan)) = (self.model.program().graph(id), self.plans.get(id.index())) else { return };
        if self.options.preserve_all_tensors {
            return;
        }
        let folds = self.options.kernels == Kernels::Fast;
        let computes = |node: NodeId| {
            let kernel = plan.kernels.get(node.index()).is_some_and(Option::is_some);
            kernel && !(folds && self.model.is_folded(id, node))
        };
        // What custom operators will give is not known; the file's shape is a guess that costs little.
        let guess = |tensor: TensorId| file_shape(graph.tensors.get(tensor.index())?);
        let shape = |tensor: TensorId| known.get(tensor.index())?.shape.as_deref().or_else(|| guess(tensor));
        let places = Places::plan(graph, &plan.steps, computes, shape);
        let others = self.places.iter().enumerate().filter(|(i, _)| *i != id.index());
        let lines = others.filter_map(|(_, places)| Some(places.as_ref()?.lines)).fold(places.lines, usize::max);
        self.memory.plan(lines);
        if let Some(place) = self.places.get_mut(id.index()) {
            *place = Some(places);
        }
    }

    /// Lets go of all values but variables.
    fn clear(&mut self, graph: &Graph, frame: &mut Frame) {
        for (slot, tensor) in frame.slots.iter_mut().zip(&graph.tensors) {
            if tensor.data != Data::Variable
                && let Some(content) = slot.take()
            {
                self.recycle(content);
            }
        }
    }

    async fn node(&mut self, scope: &mut Scope<'_>, id: NodeId) -> Result<(), Error> {
        let graph = scope.graph;
        let Some(node) = graph.nodes.get(id.index()) else { return Ok(()) };
        match &node.op {
            Op::If(_) | Op::StablehloCase(_) | Op::Call(_) | Op::StablehloComposite(_) | Op::CallOnce(_) => {
                self.branch(scope, id, node).await
            }
            Op::While(o) => self.repeat(scope, id, node, o.cond_subgraph_index, o.body_subgraph_index).await,
            Op::StablehloWhile(o) => self.repeat(scope, id, node, o.cond_subgraph_index, o.body_subgraph_index).await,
            op if is_resource(op) => self.resource(scope, id, node).await,
            _ => self.kernel(scope, id, node).await,
        }
    }

    async fn kernel(&mut self, scope: &mut Scope<'_>, id: NodeId, node: &Node) -> Result<(), Error> {
        let plan = scope.plan;
        let Some(kernel) = plan.kernels.get(id.index()).and_then(Option::as_ref) else {
            return Err(Error::NoKernel { at: scope.at(id) });
        };
        let model = self.model.clone();
        let fast = match self.options.kernels {
            Kernels::Fast if model.is_folded(scope.id, id) => return Ok(()),
            Kernels::Fast => model.fast(scope.id, id, self.options.hybrid),
            Kernels::Plain => None,
        };
        let evaluated = match fast {
            Some(fast) => match self.evaluate(scope, id, node, kernel, Some(fast)).await? {
                Some(evaluated) => Some(evaluated),
                None => self.evaluate(scope, id, node, kernel, None).await?,
            },
            None => self.evaluate(scope, id, node, kernel, None).await?,
        };
        let Some(evaluated) = evaluated else { return Err(Error::NoKernel { at: scope.at(id) }) };
        for (i, value) in evaluated.outputs.into_iter().enumerate() {
            if let Some(tensor) = node.output(i) {
                let operand = || Operand::output(i, scope.graph.tensors.get(tensor.index()));
                let shared = self.memory.hold(value).map_err(|error| memory_error(error, &scope.at(id), operand()))?;
                self.write(scope, tensor, Content::Host(shared));
            }
        }
        for (i, value) in evaluated.states {
            self.store_state(scope, id, node, i, value)?;
        }
        self.memory.note(self.workspace.bytes());
        Ok(())
    }

    /// Runs a node's fast kernel, if there is one, else its plain kernel; `None` when the fast one refuses.
    async fn evaluate(
        &mut self,
        scope: &mut Scope<'_>,
        id: NodeId,
        node: &Node,
        kernel: &Kernel,
        fast: Option<&dyn FastKernel>,
    ) -> Result<Option<Evaluated>, Error> {
        let held = self.host_inputs(scope, node, fast).await?;
        let inputs: Vec<Option<&Value>> = held.iter().map(|input| input.as_ref().map(Shared::value)).collect();
        let model = self.model.clone();
        let env = EvalEnv {
            tensors: &scope.graph.tensors,
            program: Some(model.program()),
            threads: Threads::of(&self.team),
            hybrid: self.options.hybrid,
            max_output_bytes: Some(self.memory.available()),
        };
        let places = self.places.get(scope.id.index()).and_then(Option::as_ref);
        let mut unused = NodeState::default();
        let state = self.states.get_mut(scope.id.index()).and_then(|states| states.get_mut(id.index()));
        let mut memory = scope.frame.memories.get_mut(id.index()).map(std::mem::take).unwrap_or_default();
        let mut evaluation = Evaluation {
            subgraph: scope.id,
            id: Some(id),
            node,
            inputs: &inputs,
            env,
            memory: &mut memory,
            state: state.unwrap_or(&mut unused),
            allocate: &mut |output, dtype, shape| {
                let place = node.output(output).and_then(|tensor| places?.of(tensor));
                let lent = place.map(|place| self.memory.lend(dtype, shape, place, fast.is_some())).transpose()?;
                match (lent.flatten(), fast) {
                    (Some(value), _) => Ok(value),
                    (None, Some(_)) => self.memory.allocate_used(dtype, shape),
                    (None, None) => self.memory.allocate(dtype, shape),
                }
            },
        };
        let evaluated = match fast {
            Some(fast) => match evaluation.run_fast(fast, &mut self.workspace)? {
                Ok(evaluated) => Some(evaluated),
                Err(outputs) => {
                    outputs.into_iter().for_each(|value| self.memory.reuse(value));
                    None
                }
            },
            None => Some(evaluation.run(kernel)?),
        };
        if let Some(place) = scope.frame.memories.get_mut(id.index()) {
            *place = memory;
        }
        Ok(evaluated)
    }

    fn store_state(
        &mut self,
        scope: &mut Scope<'_>,
        id: NodeId,
        node: &Node,
        i: usize,
        value: Value,
    ) -> Result<(), Error> {
        let operand = scope.input_operand(node, i);
        let tensor = node.input(i).and_then(|id| Some((id, scope.graph.tensors.get(id.index())?)));
        let Some((tensor, Data::Variable)) = tensor.map(|(id, tensor)| (id, &tensor.data)) else {
            let what = operand.to_string();
            let (found, expected) =
                ("not a variable".into(), "a variable, since the operator keeps its state there".into());
            return Err(Error::Attribute { at: scope.at(id), what, found, expected });
        };
        let shared = self.memory.hold(value).map_err(|error| memory_error(error, &scope.at(id), operand))?;
        self.write(scope, tensor, Content::Host(shared));
        Ok(())
    }

    /// Values of a node's inputs in host memory, without those that its fast kernel holds.
    async fn host_inputs(
        &mut self,
        scope: &mut Scope<'_>,
        node: &Node,
        fast: Option<&dyn FastKernel>,
    ) -> Result<Vec<Option<Shared>>, Error> {
        let mut contents = Vec::with_capacity(node.inputs.len());
        for (i, input) in node.inputs.iter().enumerate() {
            let wanted = input.filter(|_| fast.is_none_or(|fast| fast.holds(i).is_none()));
            contents.push(wanted.map(|id| self.read(scope, id)).transpose()?);
        }
        self.bring(contents.iter().flatten()).await?;
        Ok(contents.into_iter().map(|content| content.and_then(|content| content.host().cloned())).collect())
    }

    /// The value of input `i` in host memory.
    async fn host_input(&mut self, scope: &mut Scope<'_>, id: NodeId, node: &Node, i: usize) -> Result<Shared, Error> {
        let missing = || Error::MissingInput { at: scope.at(id), input: i };
        let tensor = node.input(i).ok_or_else(missing)?;
        let content = self.read(scope, tensor)?;
        self.bring([&content]).await?;
        content.host().cloned().ok_or_else(|| self.no_value(scope, tensor))
    }

    fn no_value(&self, scope: &Scope<'_>, tensor: TensorId) -> Error {
        Error::NoValue { at: TensorAt::new(scope.id, tensor, scope.graph.tensors.get(tensor.index())) }
    }

    /// What a tensor holds now.
    fn read(&mut self, scope: &mut Scope<'_>, tensor: TensorId) -> Result<Content, Error> {
        if let Some(content) = scope.frame.slots.get(tensor.index()).and_then(Option::as_ref) {
            return Ok(content.clone());
        }
        let Some(data) = scope.graph.tensors.get(tensor.index()) else { return Err(self.no_value(scope, tensor)) };
        match &data.data {
            Data::Constant(_) => match self.model.shared_constant(scope.id, tensor)? {
                Some(shared) => Ok(Content::Host(shared.clone())),
                None => Err(self.no_value(scope, tensor)),
            },
            Data::Variable => {
                let mut value = self.zeros(scope, tensor)?;
                // A state starts at the real value 0, which INT8 states may store as another number.
                let quant = data.quant.as_ref().and_then(|quant| quant.per_tensor());
                if let (tflite_wgpu_model::DType::Int8, Some((_, zero))) = (data.dtype, quant) {
                    value.bytes_mut().fill(zero as u8);
                }
                let shared = self.hold_tensor(scope, tensor, value)?;
                self.write(scope, tensor, Content::Host(shared.clone()));
                Ok(Content::Host(shared))
            }
            // A file has no bytes for a constant without elements, so that it looks like a computed tensor.
            Data::Computed if file_shape(data).is_some_and(|dims| element_count(dims) == Some(0)) => {
                let value = self.zeros(scope, tensor)?;
                Ok(Content::Host(self.hold_tensor(scope, tensor, value)?))
            }
            Data::Computed if self.options.kernels == Kernels::Fast => match self.model.folded(scope.id, tensor)? {
                Some(shared) => Ok(Content::Host(shared.clone())),
                None => Err(self.no_value(scope, tensor)),
            },
            Data::Computed => Err(self.no_value(scope, tensor)),
        }
    }

    fn zeros(&mut self, scope: &Scope<'_>, tensor: TensorId) -> Result<Value, Error> {
        let Some(data) = scope.graph.tensors.get(tensor.index()) else { return Err(self.no_value(scope, tensor)) };
        let at = TensorAt::new(scope.id, tensor, Some(data));
        self.memory.allocate(data.dtype, &data.dims).map_err(|error| tensor_memory_error(error, &at))
    }

    fn hold_tensor(&mut self, scope: &Scope<'_>, tensor: TensorId, value: Value) -> Result<Shared, Error> {
        let at = TensorAt::new(scope.id, tensor, scope.graph.tensors.get(tensor.index()));
        self.memory.hold(value).map_err(|error| tensor_memory_error(error, &at))
    }

    fn write(&mut self, scope: &mut Scope<'_>, tensor: TensorId, content: Content) {
        if let Some(slot) = scope.frame.slots.get_mut(tensor.index())
            && let Some(old) = slot.replace(content)
        {
            self.recycle(old);
        }
    }

    pub(crate) fn recycle(&mut self, content: Content) {
        if let Content::Host(shared) = content {
            self.memory.recycle(shared);
        }
    }

    /// Makes sure that values are in host memory.
    pub(crate) async fn bring<'c>(&mut self, contents: impl IntoIterator<Item = &'c Content>) -> Result<(), Error> {
        let mut wanted: Vec<&Arc<crate::content::OnDevice>> = Vec::new();
        for content in contents {
            if let Content::Device(device) = content
                && device.host.get().is_none()
                && !wanted.iter().any(|other| Arc::ptr_eq(other, device))
            {
                wanted.push(device);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let handles: Vec<_> = wanted.iter().map(|device| device.handle).collect();
        let Some(delegated) = &mut self.delegated else {
            let reason = "it was given up".into();
            return Err(Error::DelegateLost { delegate: "of an earlier invoke".into(), reason });
        };
        let name = delegated.name.clone();
        let values = delegated.delegate.collect(&handles).await.map_err(|error| match error {
            DelegateError::Fallback(cause) => Error::DelegateLost { delegate: name.clone(), reason: cause.to_string() },
            DelegateError::Fatal(cause) => Error::Delegate { delegate: name.clone(), cause },
            // It has these values, so it was ready once.
            DelegateError::Later => Error::DelegateLost { delegate: name.clone(), reason: error.to_string() },
        })?;
        if values.len() != wanted.len() {
            let reason = format!("{} of {} values came back", values.len(), wanted.len());
            return Err(Error::DelegateLost { delegate: name, reason });
        }
        for (device, value) in wanted.into_iter().zip(values) {
            if value.dtype() != device.dtype || value.shape() != device.shape {
                let found = format!("{} of shape {:?}", value.dtype(), value.shape());
                let reason = format!("{found} came back, expected {} of shape {:?}", device.dtype, device.shape);
                return Err(Error::DelegateLost { delegate: name, reason });
            }
            let at = format!("a result of delegate {name}");
            let shared = self.memory.hold(value).map_err(|error| tensor_memory_error(error, &at))?;
            // Another tensor of the same handle cannot have been first: `wanted` has each once.
            let _ = device.host.set(shared);
        }
        Ok(())
    }

    /// Gives a node's results, which a called subgraph or a resource holds, to its outputs.
    fn write_results(
        &mut self,
        scope: &mut Scope<'_>,
        id: NodeId,
        node: &Node,
        results: Vec<Content>,
    ) -> Result<(), Error> {
        for (i, content) in results.into_iter().enumerate() {
            let Some(tensor) = node.output(i) else { continue };
            let Some(data) = scope.graph.tensors.get(tensor.index()) else { continue };
            if content.dtype() != data.dtype {
                let error = ValueError::Type { found: content.dtype(), expected: data.dtype };
                return Err(Error::Operand { at: scope.at(id), operand: Operand::output(i, Some(data)), error });
            }
            self.write(scope, tensor, content);
        }
        Ok(())
    }
}

pub(crate) fn tensor_memory_error(error: crate::memory::MemoryError, at: &impl std::fmt::Display) -> Error {
    use crate::memory::MemoryError;
    match error {
        MemoryError::Limit { needed, used, limit } => Error::MemoryLimit { at: at.to_string(), needed, used, limit },
        MemoryError::Value(error) => Error::program(at, error, "a value that can be allocated"),
    }
}
