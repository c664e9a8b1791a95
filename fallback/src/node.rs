//! Running one node on values, and subgraphs that need nothing but their inputs.

use std::{collections::HashMap, fmt, sync::Arc};

use tflite_wgpu_model::{
    DType, Data, Node, NodeId, Program, SubgraphId, Tensor,
    infer::{self, InferError, Inputs},
};

use crate::{
    error::{At, Error, Operand, TensorAt},
    kernels::{self, Eval, EvalCtx, EvalEnv, KernelError},
    memory::MemoryError,
    value::{Value, ValueError},
};

/// A kernel that the user of the crate brings for a custom operator; it shapes its outputs itself.
pub type CustomKernel = Arc<dyn Fn(&mut EvalCtx<'_>) -> Result<(), KernelError> + Send + Sync>;

/// How a node is computed.
#[derive(Clone)]
pub(crate) enum Kernel {
    Row(Eval),
    Custom(CustomKernel),
}

impl Kernel {
    /// The kernel of a node: the user's own come first.
    pub(crate) fn of(node: &Node, customs: &HashMap<String, CustomKernel>) -> Option<Self> {
        let own = if node.op.builtin() == tflite_wgpu_model::BuiltinOperator::Custom {
            customs.get(node.op.name())
        } else {
            None
        };
        own.map(|kernel| Self::Custom(Arc::clone(kernel))).or_else(|| kernels::kernel_of(&node.op).map(Self::Row))
    }

    fn run(&self, ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        match self {
            Self::Row(eval) => eval(ctx),
            Self::Custom(kernel) => kernel(ctx),
        }
    }
}

/// Where outputs get their memory.
pub(crate) type Allocate<'a> = &'a mut dyn FnMut(DType, &[usize]) -> Result<Value, MemoryError>;

/// A node with what it runs on.
pub(crate) struct Evaluation<'a> {
    pub(crate) subgraph: SubgraphId,
    pub(crate) id: Option<NodeId>,
    pub(crate) node: &'a Node,
    pub(crate) kernel: &'a Kernel,
    pub(crate) inputs: &'a [Option<&'a Value>],
    pub(crate) env: EvalEnv<'a>,
    /// What the node keeps between invokes.
    pub(crate) memory: &'a mut Vec<Value>,
    pub(crate) allocate: Allocate<'a>,
}

/// What a node has computed.
pub(crate) struct Evaluated {
    /// One value per output.
    pub(crate) outputs: Vec<Value>,
    /// New values of variables, by input.
    pub(crate) states: Vec<(usize, Value)>,
}

impl Evaluation<'_> {
    /// Infers shapes, allocates outputs, runs the kernel.
    pub(crate) fn run(&mut self) -> Result<Evaluated, Error> {
        let node = self.node;
        let tensors = self.env.tensors;
        let tensor = |id: &Option<_>| id.and_then(|id: tflite_wgpu_model::TensorId| tensors.get(id.index()));
        let input_tensors: Vec<_> = node.inputs.iter().map(tensor).collect();
        let output_tensors: Vec<_> = node.outputs.iter().map(tensor).collect();
        let known = NodeInputs { inputs: self.inputs, outputs: &output_tensors };
        let shapes = infer::infer(node, &known).map_err(|error| self.shape_error(error))?;
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for (i, tensor) in output_tensors.iter().enumerate() {
            let dtype = tensor.map_or(DType::Float32, |tensor| tensor.dtype);
            outputs.push(match shapes.get(i).and_then(Option::as_deref) {
                Some(shape) => (self.allocate)(dtype, shape)
                    .map_err(|error| memory_error(error, &self.at(), Operand::output(i, *tensor)))?,
                None => Value::empty(dtype),
            });
        }
        let mut states = Vec::new();
        let mut ctx = EvalCtx {
            node,
            inputs: self.inputs,
            input_tensors: &input_tensors,
            outputs: &mut outputs,
            output_tensors: &output_tensors,
            states: &mut states,
            memory: self.memory,
            env: self.env,
        };
        match self.kernel.run(&mut ctx) {
            Ok(()) => Ok(Evaluated { outputs, states }),
            Err(error) => Err(self.kernel_error(error)),
        }
    }

    pub(crate) fn at(&self) -> At {
        At { subgraph: self.subgraph, node: self.id, op: self.node.op.name().into() }
    }

    fn input_operand(&self, i: usize) -> Operand {
        Operand::input(i, self.node.input(i).and_then(|id| self.env.tensors.get(id.index())))
    }

    fn shape_error(&self, error: InferError) -> Error {
        let operand = error.input.map(|i| self.input_operand(i));
        Error::Shape { at: self.at(), operand, found: error.found, expected: error.expected }
    }

    fn kernel_error(&self, error: KernelError) -> Error {
        let at = self.at();
        match error {
            KernelError::Input { input, error } => Error::Operand { at, operand: self.input_operand(input), error },
            KernelError::MissingInput(input) => Error::MissingInput { at, input },
            KernelError::Output { output, error } => {
                let tensor = self.node.output(output).and_then(|id| self.env.tensors.get(id.index()));
                Error::Operand { at, operand: Operand::output(output, tensor), error }
            }
            KernelError::Unsupported { what, found, expected } => Error::Attribute { at, what, found, expected },
        }
    }
}

pub(crate) fn memory_error(error: MemoryError, at: &impl fmt::Display, operand: Operand) -> Error {
    match error {
        MemoryError::Limit { needed, used, limit } => {
            Error::MemoryLimit { at: format!("{at}: {operand}"), needed, used, limit }
        }
        MemoryError::Value(ValueError::TooLarge(shape)) => Error::MemoryLimit {
            at: format!("{at}: {operand} of shape {shape:?}"),
            needed: usize::MAX,
            used: 0,
            limit: isize::MAX as usize,
        },
        MemoryError::Value(error) => Error::Program {
            place: format!("{at}: {operand}"),
            found: error.to_string(),
            expected: "a value that can be allocated".into(),
        },
    }
}

/// Inputs of a node whose values are all there.
struct NodeInputs<'a> {
    inputs: &'a [Option<&'a Value>],
    outputs: &'a [Option<&'a Tensor>],
}

impl NodeInputs<'_> {
    fn value(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).copied().flatten()
    }
}

impl Inputs for NodeInputs<'_> {
    fn shape(&self, i: usize) -> Option<(DType, &[usize])> {
        self.value(i).map(|value| (value.dtype(), value.shape()))
    }

    fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.value(i)?.to_ints()
    }

    fn floats(&self, i: usize) -> Option<Vec<f64>> {
        self.value(i)?.to_floats()
    }

    fn output_dtype(&self, i: usize) -> Option<DType> {
        self.outputs.get(i).copied().flatten().map(|tensor| tensor.dtype)
    }

    fn output_shape(&self, i: usize) -> Option<Vec<usize>> {
        file_shape(self.outputs.get(i).copied().flatten()?).map(<[usize]>::to_vec)
    }
}

/// The shape that the file states, when it leaves no dimension open.
pub(crate) fn file_shape(tensor: &Tensor) -> Option<&[usize]> {
    tensor.shape.dims().is_some_and(|dims| dims == tensor.dims).then_some(&tensor.dims)
}

/// Runs one node on the CPU: shapes by inference, then the reference kernel. States start at the values given and
/// their new values are dropped. Control flow and resources need an interpreter.
///
/// `tensors` are those of the node's subgraph, `inputs` the values of its inputs in their order.
///
/// # Errors
/// When there is no kernel, or types, shapes or attributes do not suit it.
pub fn run_node(node: &Node, tensors: &[Tensor], inputs: &[Option<&Value>]) -> Result<Vec<Value>, Error> {
    let env = EvalEnv { tensors, ..EvalEnv::default() };
    run_alone(SubgraphId(0), None, node, env, inputs)
}

fn run_alone(
    subgraph: SubgraphId,
    id: Option<NodeId>,
    node: &Node,
    env: EvalEnv<'_>,
    inputs: &[Option<&Value>],
) -> Result<Vec<Value>, Error> {
    let at = At { subgraph, node: id, op: node.op.name().into() };
    let kernel = Kernel::of(node, &HashMap::new()).ok_or(Error::NoKernel { at })?;
    let mut allocate = |dtype, shape: &[usize]| Value::zeros(dtype, shape).map_err(MemoryError::Value);
    let mut memory = Vec::new();
    let mut evaluation =
        Evaluation { subgraph, id, node, kernel: &kernel, inputs, env, memory: &mut memory, allocate: &mut allocate };
    Ok(evaluation.run()?.outputs)
}

/// Runs a subgraph without control flow, variables and resources, such as the body of a reduction.
///
/// # Errors
/// As [`run_node`], and when a tensor has no value.
pub fn run_subgraph(program: &Program, id: SubgraphId, inputs: &[&Value]) -> Result<Vec<Value>, Error> {
    let Some(graph) = program.graph(id) else {
        return Err(Error::program(
            "a node",
            format!("subgraph {id}"),
            format!("less than {}", program.subgraphs.len()),
        ));
    };
    let at = |id_: tflite_wgpu_model::TensorId| TensorAt::new(id, id_, graph.tensors.get(id_.index()));
    let mut values: HashMap<_, Value> = HashMap::new();
    for (i, tensor) in graph.tensors.iter().enumerate() {
        if let Data::Constant(bytes) = &tensor.data {
            let tensor_id = tflite_wgpu_model::TensorId::from_index(i);
            let value = Value::from_constant(tensor.dtype, &tensor.dims, bytes);
            values.insert(tensor_id, value.map_err(|error| Error::Constant { at: at(tensor_id), error })?);
        }
    }
    for (tensor, value) in graph.inputs.iter().zip(inputs) {
        values.insert(*tensor, (*value).clone());
    }
    for (n, node) in graph.nodes.iter().enumerate() {
        let mut given = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            let value = input.map(|id| values.get(&id).ok_or_else(|| Error::NoValue { at: at(id) }));
            given.push(value.transpose()?);
        }
        let env = EvalEnv { tensors: &graph.tensors, program: Some(program), ..EvalEnv::default() };
        let results = run_alone(id, Some(NodeId::from_index(n)), node, env, &given)?;
        for (output, value) in node.outputs.iter().zip(results) {
            if let Some(output) = output {
                values.insert(*output, value);
            }
        }
    }
    let output =
        |id: &tflite_wgpu_model::TensorId| values.get(id).cloned().ok_or_else(|| Error::NoValue { at: at(*id) });
    graph.outputs.iter().map(output).collect()
}
