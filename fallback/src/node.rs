//! Running one node on values, and subgraphs that need nothing but their inputs.

use std::{any::Any, cell::Cell, fmt};

use tflite_wgpu_model::{
    DType, Node, NodeId, Op, Program, SubgraphId, Tensor,
    infer::{self, InferError, Inputs},
};

use crate::{
    custom::{CustomOperator, CustomOperators},
    error::{At, Error, Operand, clipped},
    eval::{Eval, EvalCtx, EvalEnv, KernelError},
    fast::{FastKernel, Ran, Scratch, Workspace},
    kernels,
    memory::MemoryError,
    model::Model,
    routine::Routine,
    value::{Value, ValueError},
};

/// How a node is computed.
#[derive(Clone)]
pub(crate) enum Kernel {
    Row(Eval),
    Custom(CustomOperator),
}

impl Kernel {
    /// The kernel of a node: the user's own come first.
    pub(crate) fn of(node: &Node, customs: &CustomOperators) -> Option<Self> {
        let own = match &node.op {
            Op::Custom { name, .. } => customs.get(name.as_str()),
            _ => None,
        };
        own.map(|own| Self::Custom(own.clone())).or_else(|| kernels::kernel_of(&node.op).map(Self::Row))
    }

    fn run(&self, ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        match self {
            Self::Row(eval) => eval(ctx),
            Self::Custom(own) => own.run(ctx),
        }
    }
}

/// Where outputs get their memory, by their position among the node's outputs.
pub(crate) type Allocate<'a> = &'a mut dyn FnMut(usize, DType, &[usize]) -> Result<Value, MemoryError>;

/// A node with what it runs on.
pub(crate) struct Evaluation<'a> {
    pub(crate) subgraph: SubgraphId,
    pub(crate) id: Option<NodeId>,
    pub(crate) node: &'a Node,
    pub(crate) inputs: &'a [Option<&'a Value>],
    pub(crate) env: EvalEnv<'a>,
    /// What the node keeps between invokes.
    pub(crate) memory: &'a mut Vec<Value>,
    /// What is known from the node's last run.
    pub(crate) state: &'a mut NodeState,
    pub(crate) allocate: Allocate<'a>,
}

/// What a node has computed.
pub(crate) struct Evaluated {
    /// One value per output.
    pub(crate) outputs: Vec<Value>,
    /// New values of variables, by input.
    pub(crate) states: Vec<(usize, Value)>,
}

/// What an interpreter keeps of a node so as not to work it out again.
#[derive(Default)]
pub(crate) struct NodeState {
    shapes: Option<Shapes>,
    /// What its fast kernel has kept.
    kept: Option<Box<dyn Any + Send>>,
}

/// Shapes that inference has found, where they follow from shapes and constants.
struct Shapes {
    inputs: Vec<Option<(DType, Vec<usize>)>>,
    outputs: Vec<Option<Vec<usize>>>,
}

impl Shapes {
    fn are_for(&self, given: &NodeInputs<'_>) -> bool {
        let same = |(i, known): (usize, &Option<(DType, Vec<usize>)>)| {
            known.as_ref().map(|(dtype, shape)| (*dtype, shape.as_slice())) == given.shape(i)
        };
        self.inputs.len() == given.inputs.len() && self.inputs.iter().enumerate().all(same)
    }
}

/// A tensor of a node, `None` where it is omitted.
fn tensors_of<'a>(ids: &[Option<tflite_wgpu_model::TensorId>], tensors: &'a [Tensor]) -> Vec<Option<&'a Tensor>> {
    ids.iter().map(|id| id.and_then(|id| tensors.get(id.index()))).collect()
}

impl Evaluation<'_> {
    /// Infers shapes, allocates outputs, runs the plain kernel.
    pub(crate) fn run(&mut self, kernel: &Kernel) -> Result<Evaluated, Error> {
        self.compute(None, |ctx, _| kernel.run(ctx))
    }

    /// As [`Evaluation::run`] with a fast kernel, whose held inputs may be left out; the error is memory to be reused
    /// when it refuses.
    pub(crate) fn run_fast(
        &mut self,
        kernel: &dyn FastKernel,
        workspace: &mut Workspace,
    ) -> Result<Result<Evaluated, Vec<Value>>, Error> {
        let mut ran = Ran::Refused;
        let evaluated = self.compute(Some(kernel), |ctx, kept| {
            ran = kernel.run(ctx, &mut Scratch { kept, workspace })?;
            Ok(())
        })?;
        Ok(match ran {
            Ran::Done => Ok(evaluated),
            Ran::Refused => Err(evaluated.outputs),
        })
    }

    fn compute(
        &mut self,
        fast: Option<&dyn FastKernel>,
        run: impl FnOnce(&mut EvalCtx<'_>, &mut Option<Box<dyn Any + Send>>) -> Result<(), KernelError>,
    ) -> Result<Evaluated, Error> {
        let node = self.node;
        let input_tensors = tensors_of(&node.inputs, self.env.tensors);
        let output_tensors = tensors_of(&node.outputs, self.env.tensors);
        let mut outputs = self.outputs(fast, &input_tensors, &output_tensors)?;
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
        match run(&mut ctx, &mut self.state.kept) {
            Ok(()) => Ok(Evaluated { outputs, states }),
            Err(error) => Err(self.kernel_error(error)),
        }
    }

    /// Infers shapes and allocates outputs.
    fn outputs(
        &mut self,
        fast: Option<&dyn FastKernel>,
        input_tensors: &[Option<&Tensor>],
        output_tensors: &[Option<&Tensor>],
    ) -> Result<Vec<Value>, Error> {
        let known = NodeInputs {
            inputs: self.inputs,
            tensors: input_tensors,
            outputs: output_tensors,
            fast,
            by_value: Cell::new(false),
        };
        if !self.state.shapes.as_ref().is_some_and(|shapes| shapes.are_for(&known)) {
            let found = infer::infer(self.node, &known).map_err(|error| self.shape_error(error))?;
            let owned = |i| known.shape(i).map(|(dtype, shape)| (dtype, shape.to_vec()));
            self.state.shapes = Some(Shapes { inputs: (0..self.inputs.len()).map(owned).collect(), outputs: found });
        }
        let mut outputs = Vec::with_capacity(output_tensors.len());
        for (i, tensor) in output_tensors.iter().enumerate() {
            let dtype = tensor.map_or(DType::Float32, |tensor| tensor.dtype);
            let shape = self.state.shapes.as_ref().and_then(|shapes| shapes.outputs.get(i)?.as_deref());
            outputs.push(match shape {
                Some(shape) => (self.allocate)(i, dtype, shape)
                    .map_err(|error| memory_error(error, &self.at(), Operand::output(i, *tensor)))?,
                None => self.unshaped(i, dtype, *tensor),
            });
        }
        if known.by_value.get() {
            self.state.shapes = None;
        }
        Ok(outputs)
    }

    /// An output that the kernel shapes itself, in memory for the file's shape: a kernel that allocates would not find
    /// what waits for reuse.
    fn unshaped(&mut self, output: usize, dtype: DType, tensor: Option<&Tensor>) -> Value {
        let guess = tensor.filter(|_| dtype != DType::String);
        let guess = guess.and_then(|tensor| (self.allocate)(output, dtype, &tensor.dims).ok());
        let emptied = guess.and_then(|mut value| value.reset(dtype, &[0]).ok().map(|()| value));
        emptied.unwrap_or_else(|| Value::empty(dtype))
    }

    pub(crate) fn at(&self) -> At {
        At { subgraph: self.subgraph, node: self.id, op: self.node.op.name().into() }
    }

    fn input_operand(&self, i: usize) -> Operand {
        Operand::input(i, self.node.input(i).and_then(|id| self.env.tensors.get(id.index())))
    }

    fn shape_error(&self, error: InferError) -> Error {
        let operand = error.input.map(|i| self.input_operand(i));
        Error::Shape { at: self.at(), operand, found: clipped(error.found), expected: clipped(error.expected) }
    }

    fn kernel_error(&self, error: KernelError) -> Error {
        kernel_error(error, self.at(), self.node, self.env.tensors)
    }
}

/// A kernel's error with the names of the node and its tensors.
pub(crate) fn kernel_error(error: KernelError, at: At, node: &Node, tensors: &[Tensor]) -> Error {
    let tensor = |id: Option<tflite_wgpu_model::TensorId>| id.and_then(|id| tensors.get(id.index()));
    match error {
        KernelError::Input { input, error } => {
            Error::Operand { at, operand: Operand::input(input, tensor(node.input(input))), error }
        }
        KernelError::MissingInput(input) => Error::MissingInput { at, input },
        KernelError::Output { output, error } => {
            Error::Operand { at, operand: Operand::output(output, tensor(node.output(output))), error }
        }
        KernelError::Unsupported { what, found, expected } => {
            Error::Attribute { at, what, found: clipped(found), expected: clipped(expected) }
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

/// Inputs of a node whose values are all there, but for those that its fast kernel holds.
struct NodeInputs<'a> {
    inputs: &'a [Option<&'a Value>],
    tensors: &'a [Option<&'a Tensor>],
    outputs: &'a [Option<&'a Tensor>],
    fast: Option<&'a dyn FastKernel>,
    /// Whether a value that may be another the next time was asked for.
    by_value: Cell<bool>,
}

impl NodeInputs<'_> {
    fn value(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).copied().flatten()
    }

    /// The value of input `i`, on which shapes depend.
    fn deciding(&self, i: usize) -> Option<&Value> {
        let constant = self.tensors.get(i).copied().flatten().is_some_and(|tensor| tensor.constant().is_some());
        if !constant && self.value(i).is_some() {
            self.by_value.set(true);
        }
        self.value(i)
    }
}

impl Inputs for NodeInputs<'_> {
    fn shape(&self, i: usize) -> Option<(DType, &[usize])> {
        if let Some(value) = self.value(i) {
            return Some((value.dtype(), value.shape()));
        }
        self.fast.and_then(|fast| fast.holds(i))
    }

    fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.deciding(i)?.to_ints()
    }

    fn floats(&self, i: usize) -> Option<Vec<f64>> {
        self.deciding(i)?.to_floats()
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

/// As [`run_node`], for a model that may have custom operators of the user's own.
///
/// # Errors
/// As [`run_node`].
pub fn run_node_of(
    model: &Model,
    node: &Node,
    tensors: &[Tensor],
    inputs: &[Option<&Value>],
) -> Result<Vec<Value>, Error> {
    let env = EvalEnv { tensors, ..EvalEnv::default() };
    run_with(model.custom_operators(), (SubgraphId(0), None), node, env, inputs)
}

pub(crate) fn run_alone(
    subgraph: SubgraphId,
    id: Option<NodeId>,
    node: &Node,
    env: EvalEnv<'_>,
    inputs: &[Option<&Value>],
) -> Result<Vec<Value>, Error> {
    run_with(&CustomOperators::default(), (subgraph, id), node, env, inputs)
}

fn run_with(
    customs: &CustomOperators,
    (subgraph, id): (SubgraphId, Option<NodeId>),
    node: &Node,
    env: EvalEnv<'_>,
    inputs: &[Option<&Value>],
) -> Result<Vec<Value>, Error> {
    let at = At { subgraph, node: id, op: node.op.name().into() };
    let kernel = Kernel::of(node, customs).ok_or(Error::NoKernel { at })?;
    let mut allocate = |_, dtype, shape: &[usize]| Value::zeros(dtype, shape).map_err(MemoryError::Value);
    let mut memory = Vec::new();
    let (memory, state) = (&mut memory, &mut NodeState::default());
    let mut evaluation = Evaluation { subgraph, id, node, inputs, env, memory, state, allocate: &mut allocate };
    Ok(evaluation.run(&kernel)?.outputs)
}

/// Runs a subgraph without control flow, variables and resources, such as the body of a reduction.
///
/// # Errors
/// As [`run_node`], and when a tensor has no value.
pub fn run_subgraph(program: &Program, id: SubgraphId, inputs: &[&Value]) -> Result<Vec<Value>, Error> {
    let mut routine = Routine::new(program, id)?;
    for (i, value) in inputs.iter().enumerate() {
        if let Some(input) = routine.input_mut(i) {
            input.clone_from(value);
        }
    }
    routine.run()?;
    (0..routine.graph().outputs.len()).map(|i| routine.output(i).cloned()).collect()
}
