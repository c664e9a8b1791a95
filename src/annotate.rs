//! What can be known of a subgraph before it runs: shapes, and values that follow from constants and shapes alone.

use std::{collections::HashSet, sync::Arc};

use crate::constant::Constant;

use tflite_wgpu_fallback::{Model, Value, run_node};
use tflite_wgpu_model::{
    BuiltinOperator, DType, Data, Graph, Node, NodeId, Op, QuantKind, SubgraphId, TensorId,
    infer::{self, Inputs},
};

use crate::ops::{self, Facts, TensorFacts, custom};

/// Facts about all tensors of a subgraph; `None` for a subgraph that does not exist.
///
/// Inputs have the shapes that `shapes` gives, else the file's.
pub fn annotate(model: &Model, subgraph: SubgraphId, shapes: &dyn Fn(TensorId) -> Option<Vec<usize>>) -> Option<Facts> {
    let graph = model.program().graph(subgraph)?;
    let customs = Arc::clone(model.custom_operators());
    let mut facts = Facts { tensors: Vec::with_capacity(graph.tensors.len()), customs };
    for (i, tensor) in graph.tensors.iter().enumerate() {
        let id = TensorId::from_index(i);
        // A constant that cannot be decoded stays unknown here; the interpreter reports it.
        let constant = Constant::of_file(model, subgraph, id);
        let dims = match &tensor.data {
            Data::Constant(_) | Data::Variable => Some(tensor.dims.clone()),
            Data::Computed if graph.inputs.contains(&id) => Some(shapes(id).unwrap_or_else(|| tensor.dims.clone())),
            Data::Computed => None,
        };
        if let Some(floats) = constant.as_ref().and_then(|constant| blockwise_weights(graph, id, constant)) {
            facts.tensors.push(TensorFacts { dtype: DType::Float32, dims, constant: Some(floats), quant: None });
            continue;
        }
        let constant = constant.or_else(|| without_elements(tensor.dtype, dims.as_deref()));
        facts.tensors.push(TensorFacts { dtype: tensor.dtype, dims, constant, quant: tensor.quant.clone() });
    }
    for node in &graph.nodes {
        propagate(graph, node, &mut facts);
    }
    Some(facts)
}

/// The real values of weights whose scales belong to blocks, which no kernel knows; `None` for all other constants.
fn blockwise_weights(graph: &Graph, id: TensorId, constant: &Constant) -> Option<Constant> {
    let quant = graph.tensors.get(id.index())?.quant.as_ref()?;
    let QuantKind::Blockwise { scales, .. } = quant.kind else { return None };
    let mut readers = graph.nodes.iter().filter(|node| node.inputs.contains(&Some(id))).peekable();
    // Any FLOAT32 tensor does as the type of the result.
    let output = readers.peek()?.output(0);
    let weighs = |node: &Node| node.op.builtin() == BuiltinOperator::FullyConnected && node.input(1) == Some(id);
    if !readers.all(weighs) || graph.tensors.get(scales.index())?.constant().is_none() {
        return None;
    }
    let (inputs, outputs) = (vec![Some(id)], vec![output]);
    let node = Node { op: Op::Dequantize, version: 1, inputs, outputs, intermediates: Vec::new() };
    let values = run_node(&node, &graph.tensors, &[Some(&**constant)]).ok()?;
    values.into_iter().next().filter(|value| value.dtype() == DType::Float32).map(Constant::from)
}

/// Facts anew for the outputs of `nodes`, after the shapes of `inputs` have changed.
pub fn update(graph: &Graph, nodes: &[NodeId], inputs: &[(TensorId, &[usize])], facts: &mut Facts) {
    for (id, dims) in inputs {
        if let Some(tensor) = facts.tensors.get_mut(id.index()) {
            tensor.dims = Some(dims.to_vec());
            tensor.constant = tensor.constant.take().or_else(|| without_elements(tensor.dtype, Some(dims)));
        }
    }
    let mut settled = HashSet::new();
    for node in nodes.iter().filter_map(|id| graph.nodes.get(id.index())) {
        if is_settled(graph, node, facts, &settled) {
            settled.extend(node.outputs.iter().copied().flatten());
            continue;
        }
        for id in node.outputs.iter().flatten() {
            if let Some(tensor) = facts.tensors.get_mut(id.index()) {
                tensor.dims = None;
                tensor.constant = None;
            }
        }
        propagate(graph, node, facts);
    }
}

/// Whether a node's results are known and follow from the file's constants alone, whatever the inputs' shapes: unpacked
/// weights, for one, which would take long to compute again.
fn is_settled(graph: &Graph, node: &Node, facts: &Facts, settled: &HashSet<TensorId>) -> bool {
    let fixed = |id: &TensorId| {
        settled.contains(id) || graph.tensors.get(id.index()).is_some_and(|tensor| tensor.constant().is_some())
    };
    let known = |id: &TensorId| facts.tensor(*id).is_some_and(|fact| fact.constant.is_some());
    let mut inputs = node.inputs.iter().flatten().peekable();
    inputs.peek().is_some() && inputs.all(fixed) && node.outputs.iter().flatten().all(known)
}

/// Sets the facts about a node's outputs.
fn propagate(graph: &Graph, node: &Node, facts: &mut Facts) {
    let known = Known { node, graph, facts };
    let shapes = match custom::shapes(&facts.customs, &known, node) {
        Some(shapes) => shapes.into_iter().map(Some).collect(),
        None => infer::infer(node, &known).unwrap_or_default(),
    };
    let on_gpu = ops::has_kernel(node, facts);
    let values = fold(graph, node, facts, &shapes);
    for (i, id) in node.outputs.iter().enumerate() {
        let Some(tensor) = id.and_then(|id| facts.tensors.get_mut(id.index())) else { continue };
        if let Some(value) = values.get(i) {
            tensor.dims = Some(value.shape().to_vec());
            tensor.constant = Some(value.clone());
        } else {
            let inferred = shapes.get(i).cloned().flatten();
            tensor.constant = without_elements(tensor.dtype, inferred.as_deref());
            tensor.dims = inferred.or_else(|| stated(graph, on_gpu, *id));
        }
    }
}

/// The file's shape of a result that nothing else tells and only the CPU computes: what a partition that reads it is
/// claimed with. The true shape is known when that partition is prepared; if it does not fit, the CPU takes over.
fn stated(graph: &Graph, on_gpu: bool, output: Option<TensorId>) -> Option<Vec<usize>> {
    if on_gpu {
        return None;
    }
    graph.tensors.get(output?.index())?.shape.dims()
}

/// The value of a tensor of this shape, if it has no elements.
fn without_elements(dtype: DType, dims: Option<&[usize]>) -> Option<Constant> {
    let dims = dims.filter(|dims| tflite_wgpu_model::element_count(dims) == Some(0))?;
    Value::from_bytes(dtype, dims, &[]).ok().map(Constant::from)
}

/// Values of a node's outputs where they follow from what is known; empty where they do not.
fn fold(graph: &Graph, node: &Node, facts: &Facts, shapes: &[Option<Vec<usize>>]) -> Vec<Constant> {
    if let Some(value) = fold_shape(node, facts) {
        return vec![value.into()];
    }
    if !is_pure(node.op.builtin()) || node.inputs.iter().all(Option::is_none) {
        return Vec::new();
    }
    let inputs: Option<Vec<Option<&Value>>> = node
        .inputs
        .iter()
        .map(|id| match id {
            None => Some(None),
            Some(id) => facts.tensor(*id)?.constant.as_deref().map(Some),
        })
        .collect();
    let Some(inputs) = inputs else { return Vec::new() };
    let too_large = |dims: &Vec<usize>| tflite_wgpu_model::element_count(dims).is_none_or(|n| n > MAX_FOLDED_ELEMENTS);
    if shapes.iter().flatten().any(too_large) {
        return Vec::new();
    }
    // A node that fails here fails again when it runs, with its own error.
    let values = run_node(node, &graph.tensors, &inputs).unwrap_or_default();
    values.into_iter().map(Constant::from).collect()
}

/// Larger constants are not made ahead of time: a file must not blow up in memory before it runs.
const MAX_FOLDED_ELEMENTS: usize = 1 << 27;

/// SHAPE, RANK and ZEROS_LIKE need their input's shape only.
fn fold_shape(node: &Node, facts: &Facts) -> Option<Value> {
    let dims = || facts.tensor(node.input(0)?)?.dims.as_deref();
    match node.op.builtin() {
        BuiltinOperator::Shape => {
            let dims = dims()?;
            let dtype = facts.tensor(node.output(0)?)?.dtype;
            if dtype == DType::Int64 {
                let values: Vec<i64> = dims.iter().map(|&d| i64::try_from(d)).collect::<Result<_, _>>().ok()?;
                Value::from_slice(dtype, &[dims.len()], &values).ok()
            } else {
                let values: Vec<i32> = dims.iter().map(|&d| i32::try_from(d)).collect::<Result<_, _>>().ok()?;
                Value::i32(&[dims.len()], &values).ok()
            }
        }
        BuiltinOperator::ZerosLike => {
            let small = dims().filter(|dims| {
                tflite_wgpu_model::element_count(dims).is_some_and(|count| count <= MAX_FOLDED_ELEMENTS)
            })?;
            Value::zeros(facts.tensor(node.output(0)?)?.dtype, small).ok()
        }
        BuiltinOperator::Rank => Value::i32(&[], &[i32::try_from(dims()?.len()).ok()?]).ok(),
        _ => None,
    }
}

/// Whether equal inputs always give equal outputs, and nothing else happens.
fn is_pure(op: BuiltinOperator) -> bool {
    use BuiltinOperator::*;
    !matches!(
        op,
        Custom
            | Delegate
            | If
            | While
            | Call
            | CallOnce
            | StablehloComposite
            | StablehloWhile
            | StablehloCase
            | StablehloCustomCall
            | StablehloReduce
            | StablehloScatter
            | StablehloSort
            | StablehloRngBitGenerator
            | VarHandle
            | ReadVariable
            | AssignVariable
            | Hashtable
            | HashtableFind
            | HashtableImport
            | HashtableSize
            | RandomUniform
            | RandomStandardNormal
            | Multinomial
            | Lstm
            | UnidirectionalSequenceLstm
            | BidirectionalSequenceLstm
            | Rnn
            | UnidirectionalSequenceRnn
            | BidirectionalSequenceRnn
            | Svdf
    )
}

/// A node's inputs as far as facts go.
struct Known<'a> {
    node: &'a Node,
    graph: &'a Graph,
    facts: &'a Facts,
}

impl Known<'_> {
    fn tensor(&self, i: usize) -> Option<&TensorFacts> {
        self.facts.tensor(self.node.input(i)?)
    }
}

impl Inputs for Known<'_> {
    fn shape(&self, i: usize) -> Option<(DType, &[usize])> {
        let tensor = self.tensor(i)?;
        Some((tensor.dtype, tensor.dims.as_deref()?))
    }

    fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.tensor(i)?.constant.as_deref()?.to_ints()
    }

    fn floats(&self, i: usize) -> Option<Vec<f64>> {
        self.tensor(i)?.constant.as_deref()?.to_floats()
    }

    fn output_dtype(&self, i: usize) -> Option<DType> {
        self.graph.tensors.get(self.node.output(i)?.index()).map(|tensor| tensor.dtype)
    }
}
