//! Runs one kernel on values, for the tables beside the kernels.

use tflite_wgpu_model::{DType, Data, Node, Op, Quant, QuantKind, Shape, Tensor};

use super::{EvalCtx, EvalEnv, KernelError, kernel_of};
use crate::value::{Value, ValueError};

/// An output's type, shape before the kernel runs, and quantisation (scale, zero point).
#[derive(Clone, Copy)]
pub(super) struct Output<'a>(pub DType, pub &'a [usize], pub Option<(f32, i64)>);

/// An input's value and quantisation (scale, zero point); `None` where it is omitted.
pub(super) type Input = Option<(Value, Option<(f32, i64)>)>;

fn tensor(dtype: DType, quant: Option<(f32, i64)>) -> Tensor {
    let affine = |(scale, zero)| QuantKind::Affine { scale: vec![scale], zero_point: vec![zero], axis: 0 };
    let quant = quant.map(|pair| Quant { kind: affine(pair), ..Quant::default() });
    let (name, dims, shape) = (String::new(), Vec::new(), Shape::default());
    Tensor { name, dtype, dims, shape, quant, sparsity: None, data: Data::Computed }
}

fn wrap(error: ValueError) -> KernelError {
    KernelError::Output { output: 0, error }
}

/// Outputs of the operator's kernel; inputs may be quantised.
pub(super) fn run_quantised(op: Op, inputs: &[Input], outputs: &[Output<'_>]) -> Result<Vec<Value>, KernelError> {
    let eval = kernel_of(&op).ok_or(KernelError::MissingInput(0))?;
    let node = Node { op, version: 1, inputs: vec![], outputs: vec![], intermediates: vec![] };
    let input_tensors: Vec<Option<Tensor>> =
        inputs.iter().map(|input| input.as_ref().map(|(value, quant)| tensor(value.dtype(), *quant))).collect();
    let output_tensors: Vec<Tensor> = outputs.iter().map(|o| tensor(o.0, o.2)).collect();
    let mut values = outputs.iter().map(|o| Value::zeros(o.0, o.1)).collect::<Result<Vec<_>, _>>().map_err(wrap)?;
    let mut states = Vec::new();
    eval(&mut EvalCtx {
        node: &node,
        inputs: &inputs.iter().map(|input| input.as_ref().map(|(value, _)| value)).collect::<Vec<_>>(),
        input_tensors: &input_tensors.iter().map(Option::as_ref).collect::<Vec<_>>(),
        outputs: &mut values,
        output_tensors: &output_tensors.iter().map(Some).collect::<Vec<_>>(),
        states: &mut states,
        memory: &mut Vec::new(),
        env: EvalEnv::default(),
    })?;
    Ok(values)
}

/// The only output, of type `dtype`, of the operator's kernel.
pub(super) fn run(op: Op, inputs: &[Value], dtype: DType) -> Result<Value, KernelError> {
    let inputs: Vec<_> = inputs.iter().map(|value| Some((value.clone(), None))).collect();
    let missing = || KernelError::MissingInput(0);
    run_quantised(op, &inputs, &[Output(dtype, &[], None)])?.pop().ok_or_else(missing)
}

/// A FLOAT32 value.
pub(super) fn f32s(shape: &[usize], elements: &[f32]) -> Value {
    value(Value::f32(shape, elements))
}

/// An INT32 value.
pub(super) fn i32s(shape: &[usize], elements: &[i32]) -> Value {
    value(Value::i32(shape, elements))
}

/// A value of the test's own numbers.
#[allow(clippy::panic, reason = "the numbers are the test's own")]
pub(super) fn value(result: Result<Value, ValueError>) -> Value {
    result.unwrap_or_else(|error| panic!("{error}"))
}
