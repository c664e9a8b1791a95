//! Shapes that are known before a model runs: from the inputs' shapes, constants, and small values that follow from
//! both. What depends on other values stays unknown.

use std::{cell::RefCell, collections::HashMap};

use tflite_wgpu_model::{
    DType, Data, Graph, Node, NodeId, Op, SubgraphId, TensorId,
    infer::{self, InferError, Inputs},
};

use crate::{
    custom::CustomNode,
    error::{At, Error, Operand, clipped},
    memory::Shared,
    model::{Call, Model, callees, has_side_effect, is_interpreted},
    node::{file_shape, run_node},
    value::Value,
};

/// Values of more elements are not computed ahead of time.
const MAX_ELEMENTS: usize = 1024;

/// Whether a value of this shape is worth computing ahead of time; one without elements must not be large otherwise.
fn is_small(shape: &[usize]) -> bool {
    let count = shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim.max(1)));
    count.is_some_and(|count| count <= MAX_ELEMENTS)
}
/// Nodes that are looked at before everything else is left unknown: subgraphs that call subgraphs multiply.
const MAX_VISITS: usize = 200_000;

/// What is known of a tensor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) shape: Option<Vec<usize>>,
    value: Option<Shared>,
}

impl Known {
    pub(crate) fn shaped(shape: Option<Vec<usize>>) -> Self {
        Self { shape, value: None }
    }

    fn valued(value: Value) -> Self {
        Self { shape: Some(value.shape().to_vec()), value: Some(Shared::uncounted(value)) }
    }
}

/// What is known of a model's subgraphs for certain shapes of one's inputs.
pub(crate) struct Propagation<'a> {
    model: &'a Model,
    visits: usize,
    /// Shapes of all tensors of each subgraph that was reached, when it was last looked at.
    pub(crate) shapes: HashMap<SubgraphId, Vec<Known>>,
}

impl<'a> Propagation<'a> {
    pub(crate) fn new(model: &'a Model) -> Self {
        Self { model, visits: 0, shapes: HashMap::new() }
    }

    /// What is known of a subgraph's outputs.
    ///
    /// # Errors
    /// When a node that runs in any case has shapes that contradict each other.
    pub(crate) fn run(&mut self, id: SubgraphId, inputs: Vec<Known>) -> Result<Vec<Known>, Error> {
        let Some(graph) = self.model.program().graph(id) else { return Ok(Vec::new()) };
        let mut known = vec![Known::default(); graph.tensors.len()];
        for (known, tensor) in known.iter_mut().zip(&graph.tensors) {
            known.shape = match tensor.data {
                Data::Constant(_) | Data::Variable => Some(tensor.dims.clone()),
                Data::Computed => None,
            };
        }
        for (tensor, input) in graph.inputs.iter().zip(inputs) {
            known[tensor.index()] = input;
        }
        for (n, node) in graph.nodes.iter().enumerate() {
            self.visits += 1;
            if self.visits > MAX_VISITS {
                break;
            }
            let results = self.node(id, graph, NodeId::from_index(n), node, &known)?;
            for (output, result) in node.outputs.iter().zip(results) {
                if let Some(output) = output {
                    known[output.index()] = result;
                }
            }
        }
        let outputs = graph.outputs.iter().map(|tensor| known[tensor.index()].clone()).collect();
        self.shapes.insert(id, known);
        Ok(outputs)
    }

    fn node(
        &mut self,
        id: SubgraphId,
        graph: &Graph,
        n: NodeId,
        node: &Node,
        known: &[Known],
    ) -> Result<Vec<Known>, Error> {
        if is_interpreted(&node.op) {
            return Ok(self.control(node, known));
        }
        let given = Given { model: self.model, id, graph, node, known, decoded: RefCell::default() };
        let error = |error: InferError| Error::Shape {
            at: At { subgraph: id, node: Some(n), op: node.op.name().into() },
            operand: error.input.map(|i| Operand::input(i, given.tensor(i))),
            found: clipped(error.found),
            expected: clipped(error.expected),
        };
        if self.model.custom_operators().contains_key(node.op.name()) && matches!(node.op, Op::Custom { .. }) {
            let mut results: Vec<_> =
                custom_shapes(&given).into_iter().flatten().map(|shape| Known::shaped(Some(shape))).collect();
            results.resize(node.outputs.len(), Known::default());
            return Ok(results);
        }
        let shapes = infer::infer(node, &given).map_err(error)?;
        if let Some(values) = fold(&given, &shapes) {
            return Ok(values);
        }
        Ok(shapes.into_iter().map(Known::shaped).collect())
    }

    /// What is known of the results of a node that calls subgraphs. Errors there may never come up when the model
    /// runs, and leave the results unknown.
    fn control(&mut self, node: &Node, known: &[Known]) -> Vec<Known> {
        let arguments = |skip: usize| -> Vec<Known> {
            let inputs = node.inputs.iter().skip(skip);
            inputs.map(|id| id.and_then(|id| known.get(id.index()).cloned()).unwrap_or_default()).collect()
        };
        if let Op::While(_) | Op::StablehloWhile(_) = node.op {
            return self.repeat(node, arguments(0));
        }
        let mut agreed: Option<Vec<Known>> = None;
        for (index, call) in callees(node) {
            let (Ok(index), Call::Branch { skip }) = (u32::try_from(index), call) else { continue };
            let results = self.run(SubgraphId(index), arguments(skip)).unwrap_or_default();
            agreed = Some(match agreed {
                None => results,
                Some(others) => others.into_iter().zip(results).map(|(a, b)| common(a, b)).collect(),
            });
        }
        let mut results = agreed.unwrap_or_default();
        results.resize(node.outputs.len(), Known::default());
        results
    }

    /// Results of a loop: shapes that the body leaves as they are.
    fn repeat(&mut self, node: &Node, arguments: Vec<Known>) -> Vec<Known> {
        let mut state: Vec<Known> = arguments.into_iter().map(|known| Known::shaped(known.shape)).collect();
        let bodies = callees(node).into_iter().filter(|(_, call)| matches!(call, Call::Branch { .. }));
        let Some(body) = bodies.filter_map(|(index, _)| u32::try_from(index).ok()).next() else { return state };
        // Each round that is not the last leaves one more tensor unknown.
        for _ in 0..=state.len() {
            let results = self.run(SubgraphId(body), state.clone()).unwrap_or_default();
            let mut changed = false;
            for (i, known) in state.iter_mut().enumerate() {
                let result = results.get(i).and_then(|result| result.shape.as_ref());
                if known.shape.is_some() && known.shape.as_ref() != result {
                    known.shape = None;
                    changed = true;
                }
            }
            if !changed {
                return state;
            }
        }
        vec![Known::default(); state.len()]
    }
}

/// What holds of both.
fn common(a: Known, b: Known) -> Known {
    Known::shaped(a.shape.filter(|shape| b.shape.as_ref() == Some(shape)))
}

/// Inputs of a node as far as they are known. Constants are decoded only when they are asked for.
struct Given<'a> {
    model: &'a Model,
    id: SubgraphId,
    graph: &'a Graph,
    node: &'a Node,
    known: &'a [Known],
    decoded: RefCell<HashMap<usize, Option<Shared>>>,
}

impl Given<'_> {
    fn tensor(&self, i: usize) -> Option<&tflite_wgpu_model::Tensor> {
        self.graph.tensors.get(self.node.input(i)?.index())
    }

    fn known(&self, i: usize) -> Option<&Known> {
        self.known.get(self.node.input(i)?.index())
    }

    /// The value of input `i`, if it is known and small.
    fn value(&self, i: usize) -> Option<Shared> {
        let known = self.known(i)?;
        let small = is_small(known.shape.as_ref()?);
        if known.value.is_some() || !small {
            return known.value.clone();
        }
        let id: TensorId = self.node.input(i)?;
        let decode = || self.model.shared_constant(self.id, id).ok().flatten().cloned();
        self.decoded.borrow_mut().entry(i).or_insert_with(decode).clone()
    }
}

impl Inputs for Given<'_> {
    fn shape(&self, i: usize) -> Option<(DType, &[usize])> {
        Some((self.tensor(i)?.dtype, self.known(i)?.shape.as_deref()?))
    }

    fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.value(i)?.value().to_ints()
    }

    fn floats(&self, i: usize) -> Option<Vec<f64>> {
        self.value(i)?.value().to_floats()
    }

    fn output_dtype(&self, i: usize) -> Option<DType> {
        Some(self.graph.tensors.get(self.node.output(i)?.index())?.dtype)
    }

    fn output_shape(&self, i: usize) -> Option<Vec<usize>> {
        file_shape(self.graph.tensors.get(self.node.output(i)?.index())?).map(<[usize]>::to_vec)
    }
}

/// Shapes of a custom operator's outputs, where its inputs' are known. Its errors come when it runs.
fn custom_shapes(given: &Given<'_>) -> Option<Vec<Vec<usize>>> {
    let own = given.model.custom_operators().get(given.node.op.name())?;
    let input = |(i, id): (usize, &Option<TensorId>)| match id {
        Some(_) => Some(Some(given.shape(i)?)),
        None => Some(None),
    };
    let inputs = given.node.inputs.iter().enumerate().map(input).collect::<Option<_>>()?;
    own.shapes(&CustomNode { node: given.node, inputs })?.ok()
}

/// Values of a node's outputs, where they follow from shapes or from small values.
fn fold(given: &Given<'_>, shapes: &[Option<Vec<usize>>]) -> Option<Vec<Known>> {
    let node = given.node;
    if let Op::Shape(_) | Op::Rank = node.op {
        return shape_value(given).map(|value| vec![Known::valued(value)]);
    }
    let small = |shape: &Option<Vec<usize>>| shape.as_deref().is_some_and(is_small);
    let pure = !has_side_effect(node) && callees(node).is_empty();
    if !pure || node.inputs.is_empty() || !shapes.iter().all(small) {
        return None;
    }
    let mut held = Vec::with_capacity(node.inputs.len());
    for (i, input) in node.inputs.iter().enumerate() {
        held.push(match input {
            Some(_) => Some(given.value(i)?),
            None => None,
        });
    }
    let inputs: Vec<Option<&Value>> = held.iter().map(|value| value.as_ref().map(Shared::value)).collect();
    // A node that fails here fails again when it runs, with its own error.
    let values = run_node(node, &given.graph.tensors, &inputs).ok()?;
    Some(values.into_iter().map(Known::valued).collect())
}

/// SHAPE and RANK need their input's shape only.
fn shape_value(given: &Given<'_>) -> Option<Value> {
    let shape = given.known(0)?.shape.as_ref()?;
    let dims: Option<Vec<i64>> = shape.iter().map(|&dim| i64::try_from(dim).ok()).collect();
    let (dims, numbers) = match given.node.op {
        Op::Rank => (vec![], vec![i64::try_from(shape.len()).ok()?]),
        _ => (vec![shape.len()], dims?),
    };
    if given.output_dtype(0)? == DType::Int64 {
        return Value::from_slice(DType::Int64, &dims, &numbers).ok();
    }
    let numbers: Option<Vec<i32>> = numbers.into_iter().map(|number| i32::try_from(number).ok()).collect();
    Value::i32(&dims, &numbers?).ok()
}
