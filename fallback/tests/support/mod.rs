//! Small programs built by hand, with kernels of their own so that they need none of the crate's.

#![allow(dead_code, reason = "each test file uses a part")]

pub mod toy;

use std::sync::Arc;

use tflite_wgpu_fallback::{
    CustomKernel, Interpreter, InterpreterBuilder, Model, Value,
    kernels::{Eval, EvalCtx, KernelError},
};
use tflite_wgpu_model::{
    Bytes, DType, Data, Graph, Node, Op, Program, Shape, Signature, SignatureTensor, SubgraphId, Tensor, TensorId,
};

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Builds one subgraph.
#[derive(Default)]
pub struct Build(pub Graph);

impl Build {
    pub fn tensor(&mut self, name: &str, dtype: DType, dims: &[usize], data: Data) -> TensorId {
        self.0.tensors.push(Tensor {
            name: name.into(),
            dtype,
            dims: dims.to_vec(),
            shape: Shape::known(dims),
            quant: None,
            sparsity: None,
            data,
        });
        TensorId::from_index(self.0.tensors.len() - 1)
    }

    pub fn computed(&mut self, name: &str, dtype: DType, dims: &[usize]) -> TensorId {
        self.tensor(name, dtype, dims, Data::Computed)
    }

    pub fn f32(&mut self, name: &str, dims: &[usize]) -> TensorId {
        self.computed(name, DType::Float32, dims)
    }

    pub fn input(&mut self, name: &str, dtype: DType, dims: &[usize]) -> TensorId {
        let id = self.computed(name, dtype, dims);
        self.0.inputs.push(id);
        id
    }

    pub fn constant(&mut self, name: &str, value: &Value) -> TensorId {
        let bytes = Bytes::from(value.bytes().to_vec());
        self.tensor(name, value.dtype(), value.shape(), Data::Constant(bytes))
    }

    pub fn node(&mut self, op: Op, inputs: &[TensorId], outputs: &[TensorId]) {
        self.0.nodes.push(Node {
            op,
            version: 1,
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: outputs.iter().copied().map(Some).collect(),
            intermediates: Vec::new(),
        });
    }

    /// A node with one of the kernels of [`start`].
    pub fn custom(&mut self, name: &str, inputs: &[TensorId], outputs: &[TensorId]) {
        self.node(Op::Custom { name: name.into(), options: Bytes::default() }, inputs, outputs);
    }

    pub fn outputs(mut self, outputs: &[TensorId]) -> Graph {
        self.0.outputs = outputs.to_vec();
        self.0
    }
}

pub fn program(subgraphs: Vec<Graph>) -> Program {
    Program { subgraphs, version: 3, ..Program::default() }
}

/// A signature whose names are the tensors'.
pub fn signature(key: &str, subgraph: u32, graph: &Graph) -> Signature {
    let named = |id: &TensorId| SignatureTensor { name: graph.tensors[id.index()].name.clone(), tensor: *id };
    Signature {
        key: key.into(),
        subgraph: SubgraphId(subgraph),
        inputs: graph.inputs.iter().map(named).collect(),
        outputs: graph.outputs.iter().map(named).collect(),
    }
}

/// Starts an interpreter that knows the operators below.
pub fn start(model: &Model) -> InterpreterBuilder {
    let customs: [(&str, Eval); 7] = [
        ("add", |ctx| elementwise(ctx, |a, b| a + b)),
        ("sub", |ctx| elementwise(ctx, |a, b| a - b)),
        ("less", less),
        ("concat", concat),
        ("accumulate", accumulate),
        ("count", count),
        ("fail", |_| {
            let (what, found, expected) = ("mood".into(), "bad".into(), "good".into());
            Err(KernelError::Unsupported { what, found, expected })
        }),
    ];
    let builder = Interpreter::builder(model).threads(1);
    customs.into_iter().fold(builder, |builder, (name, eval)| {
        let kernel: CustomKernel = Arc::new(eval);
        builder.custom_operator(name, kernel)
    })
}

/// FLOAT32 or INT32; the second operand has the first one's shape or one element.
fn elementwise(ctx: &mut EvalCtx<'_>, f: fn(f64, f64) -> f64) -> Result<(), KernelError> {
    ctx.set_output(0, ctx.shape(0)?)?;
    if ctx.input(0)?.dtype() == DType::Int32 {
        let (a, b) = (ctx.slice::<i32>(0)?, ctx.slice::<i32>(1)?);
        for (i, y) in ctx.output::<i32>(0)?.iter_mut().enumerate() {
            *y = f(a[i].into(), b[i % b.len()].into()) as i32;
        }
    } else {
        let (a, b) = (ctx.slice::<f32>(0)?, ctx.slice::<f32>(1)?);
        for (i, y) in ctx.output::<f32>(0)?.iter_mut().enumerate() {
            *y = f(a[i].into(), b[i % b.len()].into()) as f32;
        }
    }
    Ok(())
}

/// Whether the first INT32 is less than the second.
fn less(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let result = ctx.slice::<i32>(0)?[0] < ctx.slice::<i32>(1)?[0];
    ctx.set_output(0, &[])?;
    ctx.output::<u8>(0)?[0] = result.into();
    Ok(())
}

/// Rows of both, of any type.
fn concat(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (a, b) = (ctx.input(0)?, ctx.input(1)?);
    let mut shape = a.shape().to_vec();
    shape[0] += b.shape()[0];
    ctx.set_output(0, &shape)?;
    let output = ctx.output_value(0)?;
    if output.dtype() == DType::String {
        let both = [a.as_strings(), b.as_strings()].map(Result::unwrap_or_default).concat();
        if let Ok(strings) = output.as_mut_strings() {
            strings.clone_from_slice(&both);
        }
    } else {
        output.bytes_mut().copy_from_slice(&[a.bytes(), b.bytes()].concat());
    }
    Ok(())
}

/// Adds input 0 to the variable of input 1; gives the sum.
fn accumulate(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let sums: Vec<f32> = ctx.slice::<f32>(0)?.iter().zip(ctx.slice::<f32>(1)?).map(|(x, s)| x + s).collect();
    ctx.set_output(0, ctx.shape(0)?)?;
    ctx.output::<f32>(0)?.copy_from_slice(&sums);
    let state = Value::f32(ctx.shape(1)?, &sums).map_err(|error| KernelError::Input { input: 1, error })?;
    ctx.states.push((1, state));
    Ok(())
}

/// How often this node has run before.
fn count(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let runs = i32::try_from(ctx.memory.len()).unwrap_or(i32::MAX);
    ctx.memory.extend(Value::i32(&[], &[0]).ok());
    ctx.set_output(0, &[])?;
    ctx.output::<i32>(0)?[0] = runs;
    Ok(())
}
