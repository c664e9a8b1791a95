//! Functions of one 8-bit tensor: the plain kernel computes all 256 results once.

use tflite_wgpu_model::{DType, Data, Node, Op, TensorId};

use super::scheme::is_byte;
use crate::{
    Value,
    eval::{EvalCtx, KernelError},
    fast::{FastKernel, Prepare, Ran, Scratch},
    node::run_node,
    simd::int8::{Level, lookup},
    threads::BYTE_PRODUCTS,
};

/// Nodes before the one in question that are searched for what feeds it.
const NEIGHBOURS: usize = 8;
/// What a byte costs, in multiply-adds of a product.
const STEPS: usize = 8;

struct Table {
    level: Level,
    /// The input that the results depend on.
    input: usize,
    dtype: DType,
    /// The result of every byte.
    results: Value,
    bytes: [u8; 256],
}

/// A function of one input, whose results depend on nothing but each element itself.
fn is_elementwise(op: &Op) -> bool {
    matches!(
        op,
        Op::Relu
            | Op::Relu6
            | Op::ReluN1To1
            | Op::Relu0To1
            | Op::Elu
            | Op::LeakyRelu(_)
            | Op::Tanh
            | Op::Logistic
            | Op::HardSwish
            | Op::Gelu(_)
            | Op::Abs
            | Op::Exp
            | Op::Log
            | Op::Sqrt
            | Op::Rsqrt
            | Op::Neg
            | Op::Quantize
            | Op::Dequantize
    )
}

/// The kernel of an operator with one input.
pub(super) fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let input = given.input(0)?;
    if given.node.inputs.len() != 1 || !is_elementwise(&given.node.op) {
        return None;
    }
    kernel(given, 0, input.dtype, results(given, given.node, input.dtype, |_, values| Some(values.clone()))?)
}

/// The kernel of an operator with two inputs, where both are functions of one tensor or one is a single constant.
pub(super) fn prepare_binary(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let [Some(a), Some(b)] = given.node.inputs.as_slice() else { return None };
    let constant = |i: usize| given.constant(i).filter(|value| value.value().len() == 1);
    for (own, other) in [(0, 1), (1, 0)] {
        let dtype = given.input(own)?.dtype;
        let computed = given.input(own)?.data == Data::Computed;
        if let Some(single) = constant(other).filter(|_| computed && is_byte(dtype)) {
            let mut single = single.value().clone();
            single.reshape(&[]).ok()?;
            let operand = |i: usize, values: &Value| Some(if i == own { values.clone() } else { single.clone() });
            return kernel(given, own, dtype, results(given, given.node, dtype, operand)?);
        }
    }
    for (own, source, other) in [(0, *a, *b), (1, *b, *a)] {
        let dtype = given.input(own)?.dtype;
        if !is_byte(dtype) || given.input(own)?.data != Data::Computed {
            continue;
        }
        let image = |values: &Value| function_of(given, source, other, values);
        let Some(results) =
            results(given, given.node, dtype, |i, values| if i == own { Some(values.clone()) } else { image(values) })
        else {
            continue;
        };
        return kernel(given, own, dtype, results);
    }
    None
}

/// Values of tensor `other`, when it is tensor `source` itself or made from it by one operator, for these values of it.
fn function_of(given: &Prepare<'_>, source: TensorId, other: TensorId, values: &Value) -> Option<Value> {
    if source == other {
        return Some(values.clone());
    }
    let nodes = &given.model.program().graph(given.subgraph)?.nodes;
    let at = nodes.element_offset(given.node)?;
    let neighbours = nodes.get(at.saturating_sub(NEIGHBOURS)..at)?;
    let maker = neighbours.iter().rev().find(|node| node.outputs.contains(&Some(other)))?;
    let suits = is_elementwise(&maker.op) && maker.inputs == [Some(source)] && maker.outputs.len() == 1;
    if suits { run(given, maker, &[Some(values)]) } else { None }
}

fn run(given: &Prepare<'_>, node: &Node, inputs: &[Option<&Value>]) -> Option<Value> {
    run_node(node, given.tensors, inputs).ok()?.into_iter().next()
}

/// Results of a node for every byte; `operand(i, bytes)` gives its inputs.
fn results(
    given: &Prepare<'_>,
    node: &Node,
    dtype: DType,
    operand: impl Fn(usize, &Value) -> Option<Value>,
) -> Option<Value> {
    if !is_byte(dtype) {
        return None;
    }
    let tensors = node.inputs.iter().chain(&node.outputs).flatten().map(|id| given.tensors.get(id.index()));
    for tensor in tensors {
        let single = tensor?.quant.as_ref().is_none_or(|quant| quant.per_tensor().is_some());
        if !single {
            return None;
        }
    }
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let values = Value::from_bytes(dtype, &[256], &all).ok()?;
    let operands: Vec<Value> = (0..node.inputs.len()).map(|i| operand(i, &values)).collect::<Option<_>>()?;
    let result = run(given, node, &operands.iter().map(Some).collect::<Vec<_>>())?;
    (result.shape() == [256]).then_some(result)
}

fn kernel(given: &Prepare<'_>, input: usize, dtype: DType, results: Value) -> Option<Box<dyn FastKernel>> {
    let output = given.output(0)?.dtype;
    let size = output.size()?;
    if results.dtype() != output || !(size == 1 || size == 4) {
        return None;
    }
    let bytes = std::array::from_fn(|i| results.bytes().get(i).copied().unwrap_or(0));
    Some(Box::new(Table { level: Level::best(), input, dtype, results, bytes }))
}

impl FastKernel for Table {
    fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (input, threads) = (ctx.input(self.input)?, ctx.env.threads);
        for i in 0..ctx.inputs.len() {
            let other = ctx.input(i)?;
            if other.shape() != input.shape() && other.len() != 1 {
                return Ok(Ran::Refused);
            }
        }
        let output = ctx.output_value(0)?;
        let fits = input.dtype() == self.dtype
            && output.dtype() == self.results.dtype()
            && output.shape() == input.shape()
            && output.bytes().len() == input.len() * (self.results.bytes().len() / 256);
        if !fits {
            return Ok(Ran::Refused);
        }
        let (x, out) = (input.bytes(), output.bytes_mut());
        let words: &[[u8; 4]] = self.results.bytes().as_chunks().0;
        let size = if x.is_empty() { 1 } else { out.len() / x.len() };
        let split = threads.split(x.len().div_ceil(64), 1, 64 * size * STEPS / BYTE_PRODUCTS);
        threads.each(split, out, 64 * size, |first, out| {
            let x = &x[first * 64..];
            if size == 1 {
                lookup(self.level, &self.bytes, &x[..out.len()], out);
            } else {
                out.as_chunks_mut::<4>().0.iter_mut().zip(x).for_each(|(out, &x)| *out = words[usize::from(x)]);
            }
        });
        Ok(Ran::Done)
    }
}
