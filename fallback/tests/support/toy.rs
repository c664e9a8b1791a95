//! A delegate that adds: its device is a map, and it logs what it is asked for.

use std::{
    collections::{HashMap, HashSet},
    future::{Future, ready},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tflite_wgpu_fallback::{
    Delegate, DelegateError, DelegateFuture, Handle, Input, Model, Partition, PartitionInput, PartitionIo, Value,
};
use tflite_wgpu_model::{DType, NodeId, SubgraphId, TensorId};

/// What the delegate does and was asked for; the test keeps a clone.
#[derive(Clone, Default)]
pub struct Toy(Arc<Mutex<State>>);

#[derive(Default)]
pub struct State {
    /// Nodes of each partition, by subgraph.
    pub claims: Vec<(u32, Vec<u32>)>,
    /// Changes the partitions before they are handed over.
    pub spoil: Option<fn(&mut Partition)>,
    /// Results stay on the device.
    pub resident: bool,
    /// Inputs get a copy on the device.
    pub keeps_inputs: bool,
    /// Inputs whose values decide shapes.
    pub shape_inputs: Vec<TensorId>,
    /// `claim` fails.
    pub refuses: bool,
    /// `prepare` fails for inputs of this many elements.
    pub unprepared: Option<usize>,
    /// `invoke` fails from this call on, and whether the CPU may take over.
    pub fails: Option<(usize, bool)>,
    /// The first so many calls of `invoke` come too early.
    pub late: usize,
    /// `collect` fails.
    pub lost: bool,
    /// `collect` waits for another thread.
    pub waits: bool,
    /// `invoke` forgets its results.
    pub forgets: bool,
    pub log: Vec<String>,
    pub device: HashMap<Handle, Value>,
    pub released: HashSet<Handle>,
    pub wanted: Vec<TensorId>,
    next: u64,
    invokes: usize,
    model: Option<Model>,
    partitions: Vec<Partition>,
}

impl Toy {
    /// Claims these nodes of these subgraphs, a partition each.
    pub fn claiming(claims: &[(u32, &[u32])]) -> Self {
        let toy = Self::default();
        toy.with(|state| state.claims = claims.iter().map(|(graph, nodes)| (*graph, nodes.to_vec())).collect());
        toy
    }

    pub fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn boxed(&self) -> Box<dyn Delegate> {
        Box::new(self.clone())
    }

    /// The log since the last call.
    pub fn log(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.log))
    }
}

impl State {
    fn value_of(&self, input: Input<'_>) -> Result<Value, DelegateError> {
        match input {
            Input::Host(value) => Ok(value.clone()),
            Input::Handle(handle) if self.released.contains(&handle) => Err(DelegateError::fatal("a released handle")),
            Input::Handle(handle) => {
                self.device.get(&handle).cloned().ok_or_else(|| DelegateError::fatal("an unknown handle"))
            }
        }
    }

    fn store(&mut self, value: Value) -> Handle {
        self.next += 1;
        self.device.insert(Handle(self.next), value);
        Handle(self.next)
    }

    /// The values of all tensors that the partition's nodes write.
    fn compute(&self, partition: usize, io: &dyn PartitionIo) -> Result<HashMap<TensorId, Value>, DelegateError> {
        let failed = || DelegateError::fatal("the toy's own test is wrong");
        let claimed = &self.partitions[partition];
        let model = self.model.as_ref().ok_or_else(failed)?;
        let graph = model.program().graph(claimed.subgraph).ok_or_else(failed)?;
        let mut values = HashMap::new();
        for &tensor in &claimed.inputs {
            values.insert(tensor, self.value_of(io.input(tensor).ok_or_else(failed)?)?);
        }
        let mut written = HashMap::new();
        for node in &claimed.nodes {
            let node = &graph.nodes[node.index()];
            let operand = |i: usize| {
                let id = node.input(i).ok_or_else(failed)?;
                let constant = model.constant(claimed.subgraph, id).map_err(DelegateError::fatal)?;
                values.get(&id).or(constant).cloned().ok_or_else(failed)
            };
            let (a, b) = (operand(0)?, operand(1)?);
            let sum = add(&a, &b).ok_or_else(failed)?;
            let output = node.output(0).ok_or_else(failed)?;
            if node.op.name() == "accumulate" {
                let state = node.input(1).ok_or_else(failed)?;
                values.insert(state, sum.clone());
                written.insert(state, sum.clone());
            }
            values.insert(output, sum.clone());
            written.insert(output, sum);
        }
        written.retain(|tensor, _| claimed.outputs.contains(tensor) || claimed.inputs.contains(tensor));
        Ok(written)
    }
}

fn add(a: &Value, b: &Value) -> Option<Value> {
    if a.dtype() == DType::Int32 {
        let (x, y) = (a.as_slice::<i32>().ok()?, b.as_slice::<i32>().ok()?);
        let sums: Vec<i32> = x.iter().enumerate().map(|(i, x)| x + y[i % y.len()]).collect();
        return Value::i32(a.shape(), &sums).ok();
    }
    let (x, y) = (a.as_slice::<f32>().ok()?, b.as_slice::<f32>().ok()?);
    let sums: Vec<f32> = x.iter().enumerate().map(|(i, x)| x + y[i % y.len()]).collect();
    Value::f32(a.shape(), &sums).ok()
}

impl Delegate for Toy {
    fn name(&self) -> &str {
        "toy"
    }

    fn claim(&mut self, model: &Model) -> Result<Vec<Partition>, DelegateError> {
        self.with(|state| {
            if state.refuses {
                return Err(DelegateError::fallback("no device"));
            }
            let mut partitions = Vec::new();
            for (subgraph, nodes) in &state.claims {
                let id = SubgraphId(*subgraph);
                let graph = model.program().graph(id).ok_or_else(|| DelegateError::fatal("no such subgraph"))?;
                let nodes: Vec<NodeId> = nodes.iter().copied().map(NodeId).collect();
                let mut partition = Partition::from_nodes(graph, id, &nodes);
                partition.shape_inputs = state.shape_inputs.clone();
                state.spoil.iter().for_each(|spoil| spoil(&mut partition));
                partitions.push(partition);
            }
            state.model = Some(model.clone());
            state.partitions = partitions.clone();
            Ok(partitions)
        })
    }

    fn prepare(
        &mut self,
        partition: usize,
        inputs: &[PartitionInput<'_>],
    ) -> Result<Vec<(DType, Vec<usize>)>, DelegateError> {
        self.with(|state| {
            let shapes: Vec<String> = inputs
                .iter()
                .map(|input| match input.value {
                    Some(value) => format!("{:?} = {:?}", input.shape, value.to_floats().unwrap_or_default()),
                    None => format!("{:?}", input.shape),
                })
                .collect();
            state.log.push(format!("prepare {partition} {}", shapes.join(" ")));
            let elements = |input: &PartitionInput<'_>| input.shape.iter().product::<usize>();
            if inputs.iter().any(|input| Some(elements(input)) == state.unprepared) {
                return Err(DelegateError::fallback("a shape that the toy does not like"));
            }
            let first = inputs.first().map(|input| (input.dtype, input.shape.to_vec()));
            let outputs = state.partitions[partition].outputs.iter();
            Ok(outputs.filter_map(|_| first.clone()).collect())
        })
    }

    fn invoke<'a>(&'a mut self, partition: usize, io: &'a mut (dyn PartitionIo + 'a)) -> DelegateFuture<'a, ()> {
        Box::pin(ready(self.with(|state| {
            state.invokes += 1;
            let claimed = state.partitions[partition].clone();
            let at = |tensor: &TensorId| match io.input(*tensor) {
                Some(Input::Handle(_)) => "handle",
                Some(Input::Host(_)) => "host",
                None => "nothing",
            };
            let places: Vec<&str> = claimed.inputs.iter().map(at).collect();
            state.log.push(format!("invoke {partition} {}", places.join(" ")));
            if state.invokes <= state.late {
                return Err(DelegateError::Later);
            }
            state.wanted.extend(claimed.outputs.iter().filter(|tensor| io.wants_host(**tensor)));
            let results = state.compute(partition, io)?;
            if state.keeps_inputs {
                for &tensor in &claimed.inputs {
                    if let Some(Input::Host(value)) = io.input(tensor) {
                        let value = value.clone();
                        io.keep_input(tensor, state.store(value));
                    }
                }
            }
            for (tensor, value) in results {
                if state.forgets {
                    continue;
                }
                if state.resident {
                    let handle = state.store(value);
                    io.set_output_handle(tensor, handle);
                } else {
                    io.set_output(tensor, value);
                }
            }
            match state.fails {
                Some((from, true)) if state.invokes >= from => Err(DelegateError::fallback("out of luck")),
                Some((from, false)) if state.invokes >= from => Err(DelegateError::fatal("out of luck")),
                _ => Ok(()),
            }
        })))
    }

    fn collect<'a>(&'a mut self, handles: &'a [Handle]) -> DelegateFuture<'a, Vec<Value>> {
        Box::pin(async move {
            if self.with(|state| state.waits) {
                Pause(false).await;
            }
            self.with(|state| {
                state.log.push(format!("collect {}", handles.len()));
                if state.lost {
                    return Err(DelegateError::fallback("device lost"));
                }
                handles.iter().map(|handle| state.value_of(Input::Handle(*handle))).collect()
            })
        })
    }

    fn release(&mut self, handle: Handle) {
        self.with(|state| {
            assert!(state.device.remove(&handle).is_some(), "{handle:?} is released once");
            state.released.insert(handle);
        });
    }
}

/// Pending until another thread has woken it.
struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        let waker = context.waker().clone();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(5));
            waker.wake();
        });
        Poll::Pending
    }
}
