//! A subgraph that an operator runs again and again, such as the body of a reduction.

use std::cell::Cell;

use tflite_wgpu_model::{Data, Graph, NodeId, Program, SubgraphId, TensorId};

use crate::{
    custom::CustomOperators,
    error::{At, Error, TensorAt},
    eval::EvalEnv,
    memory::MemoryError,
    node::{Evaluation, Kernel, NodeState},
    value::Value,
};

/// What the runs of one operator's subgraph may cost: a node is 1, and one more for every [`BYTES`] of its operands.
/// Some seconds; less in tests of this crate's inside.
const LIMIT: u64 = if cfg!(test) { 1 << 14 } else { 1 << 24 };
/// Bytes of operands that cost as much as a node.
const BYTES: usize = 1 << 10;

thread_local! {
    /// Routines that run within each other, and what the outermost has cost so far.
    static SPENT: Cell<(usize, u64)> = const { Cell::new((0, 0)) };
}

/// A subgraph without control flow, variables and resources, with everything that its runs have in common.
pub(crate) struct Routine<'a> {
    program: &'a Program,
    id: SubgraphId,
    graph: &'a Graph,
    kernels: Vec<Kernel>,
    states: Vec<NodeState>,
    values: Vec<Option<Value>>,
    /// Values that were replaced, for their memory.
    spare: Vec<Value>,
}

impl<'a> Routine<'a> {
    /// Prepares a subgraph.
    ///
    /// # Errors
    /// When there is no such subgraph, a constant does not fit its type and shape, or a node has no kernel.
    pub(crate) fn new(program: &'a Program, id: SubgraphId) -> Result<Self, Error> {
        let count = program.subgraphs.len();
        let missing = || Error::program("a node", format!("subgraph {id}"), format!("less than {count}"));
        let graph = program.graph(id).ok_or_else(missing)?;
        let mut values = Vec::with_capacity(graph.tensors.len());
        for (i, tensor) in graph.tensors.iter().enumerate() {
            let Data::Constant(bytes) = &tensor.data else {
                values.push(None);
                continue;
            };
            let at = || TensorAt::new(id, TensorId::from_index(i), Some(tensor));
            let value = Value::from_constant(tensor.dtype, &tensor.dims, bytes);
            values.push(Some(value.map_err(|error| Error::Constant { at: at(), error })?));
        }
        let mut kernels = Vec::with_capacity(graph.nodes.len());
        for (n, node) in graph.nodes.iter().enumerate() {
            let at = || At { subgraph: id, node: Some(NodeId::from_index(n)), op: node.op.name().into() };
            kernels.push(Kernel::of(node, &CustomOperators::default()).ok_or_else(|| Error::NoKernel { at: at() })?);
        }
        let states = graph.nodes.iter().map(|_| NodeState::default()).collect();
        let (depth, spent) = SPENT.get();
        SPENT.set((depth + 1, if depth == 0 { 0 } else { spent }));
        Ok(Self { program, id, graph, kernels, states, values, spare: Vec::new() })
    }

    /// The subgraph.
    pub(crate) fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// The value of input `i`, for writing; `None` when there is no such input.
    pub(crate) fn input_mut(&mut self, i: usize) -> Option<&mut Value> {
        let place = self.values.get_mut(self.graph.inputs.get(i)?.index())?;
        Some(place.get_or_insert_default())
    }

    /// The value of output `i` after a run.
    pub(crate) fn output(&self, i: usize) -> Result<&Value, Error> {
        let tensor = self.graph.outputs.get(i);
        let missing = || Error::program(format!("subgraph {}", self.id), format!("output {i}"), "an output");
        self.value(*tensor.ok_or_else(missing)?)
    }

    fn value(&self, tensor: TensorId) -> Result<&Value, Error> {
        let missing = || Error::NoValue { at: TensorAt::new(self.id, tensor, self.graph.tensors.get(tensor.index())) };
        self.values.get(tensor.index()).and_then(Option::as_ref).ok_or_else(missing)
    }

    /// Runs all nodes on the inputs' values.
    ///
    /// # Errors
    /// Those of a node, and when all runs together have cost too much.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        for n in 0..self.graph.nodes.len() {
            self.node(n)?;
        }
        Ok(())
    }

    fn node(&mut self, n: usize) -> Result<(), Error> {
        let (Some(node), Some(kernel)) = (self.graph.nodes.get(n), self.kernels.get(n)) else { return Ok(()) };
        let mut state = self.states.get_mut(n).map(std::mem::take).unwrap_or_default();
        let mut spare = std::mem::take(&mut self.spare);
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(input.map(|tensor| self.value(tensor)).transpose()?);
        }
        self.spend(&inputs)?;
        let mut evaluation = Evaluation {
            subgraph: self.id,
            id: Some(NodeId::from_index(n)),
            node,
            inputs: &inputs,
            env: EvalEnv { tensors: &self.graph.tensors, program: Some(self.program), ..EvalEnv::default() },
            memory: &mut Vec::new(),
            state: &mut state,
            allocate: &mut |_, dtype, shape| {
                let mut value = spare.pop().unwrap_or_default();
                value.reset(dtype, shape).map_err(MemoryError::Value)?;
                Ok(value)
            },
        };
        let outputs = evaluation.run(kernel)?.outputs;
        for (output, value) in node.outputs.iter().zip(outputs) {
            let place = output.and_then(|tensor| self.values.get_mut(tensor.index()));
            spare.extend(place.and_then(|place| place.replace(value)));
        }
        self.spare = spare;
        if let Some(place) = self.states.get_mut(n) {
            *place = state;
        }
        Ok(())
    }

    /// Counts what a node on these operands costs.
    fn spend(&self, inputs: &[Option<&Value>]) -> Result<(), Error> {
        let bytes = inputs.iter().flatten().map(|value| value.heap_bytes()).fold(0, usize::saturating_add);
        let (depth, spent) = SPENT.get();
        let spent = spent.saturating_add(1).saturating_add((bytes / BYTES) as u64);
        SPENT.set((depth, spent));
        if spent > LIMIT {
            let found = format!("more than {LIMIT} nodes to run for one operator");
            return Err(Error::program(format!("subgraph {}", self.id), found, "fewer"));
        }
        Ok(())
    }
}

impl Drop for Routine<'_> {
    fn drop(&mut self) {
        let (depth, spent) = SPENT.get();
        SPENT.set((depth.saturating_sub(1), spent));
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, Op};

    use super::*;

    /// A program whose subgraph adds its inputs and a constant.
    fn program() -> Program {
        let mut graph = GraphBuilder::new();
        let (a, b) = (graph.input("a", DType::Int32, &[]), graph.input("b", DType::Int32, &[]));
        let one = graph.constant_i32("one", &[], &[1]);
        let sum = graph.op(Op::StablehloAdd, &[Some(a), Some(b)], &[("sum", DType::Int32, &[])]);
        let more = graph.op(Op::StablehloAdd, &[Some(sum), Some(one)], &[("more", DType::Int32, &[])]);
        graph.output(more);
        ModelBuilder::new().subgraph(graph).program()
    }

    #[test]
    fn runs_do_not_remember_each_other() -> Result<(), Box<dyn std::error::Error>> {
        let program = program();
        let mut routine = Routine::new(&program, SubgraphId(0))?;
        for (a, b) in [(1, 2), (-7, 3), (0, 0)] {
            for (i, number) in [a, b].into_iter().enumerate() {
                *routine.input_mut(i).ok_or("no input")? = Value::i32(&[], &[number])?;
            }
            routine.run()?;
            assert_eq!(routine.output(0)?.as_slice::<i32>()?, [a + b + 1]);
        }
        assert!(routine.input_mut(2).is_none() && routine.output(1).is_err());
        assert!(Routine::new(&program, SubgraphId(1)).is_err());
        Ok(())
    }

    #[test]
    fn endless_work_is_an_error() -> Result<(), Box<dyn std::error::Error>> {
        let program = program();
        let runs = |routine: &mut Routine<'_>, most: u64| -> Result<u64, Box<dyn std::error::Error>> {
            for i in 0..2 {
                *routine.input_mut(i).ok_or("no input")? = Value::i32(&[], &[1])?;
            }
            Ok((0..most).take_while(|_| routine.run().is_ok()).count() as u64)
        };
        let mut outer = Routine::new(&program, SubgraphId(0))?;
        assert_eq!(runs(&mut outer, LIMIT / 4)?, LIMIT / 4);
        // One inside it goes on where it is.
        assert_eq!(runs(&mut Routine::new(&program, SubgraphId(0))?, LIMIT)?, LIMIT / 4);
        let error = outer.run().err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("more than 16384 nodes")));
        drop(outer);
        assert_eq!(runs(&mut Routine::new(&program, SubgraphId(0))?, LIMIT)?, LIMIT / 2);
        Ok(())
    }
}
