//! Running one kernel in a unit test.

use std::error::Error;

use tflite_wgpu_model::{DType, Node, Op};

use crate::Value;
use crate::kernels::{EvalCtx, EvalEnv, kernel_of};
use crate::threads::{Team, Threads};

/// 1, 2, 3 … as FLOAT32.
pub(crate) fn values(shape: &[usize]) -> Result<Value, Box<dyn Error>> {
    let count = shape.iter().product();
    let elements: Vec<f32> = (1..=count).map(|i: usize| i as f32).collect();
    Ok(Value::f32(shape, &elements)?)
}

/// Output 0, of this type and shape, of a node without quantisation.
pub(crate) fn run(op: Op, inputs: &[Option<&Value>], dtype: DType, shape: &[usize]) -> Result<Value, Box<dyn Error>> {
    let eval = kernel_of(&op).ok_or("no kernel")?;
    let node = Node { op, version: 1, inputs: vec![], outputs: vec![], intermediates: vec![] };
    let mut outputs = [Value::zeros(dtype, shape)?];
    let none = vec![None; inputs.len()];
    eval(&mut EvalCtx {
        node: &node,
        inputs,
        input_tensors: &none,
        outputs: &mut outputs,
        output_tensors: &[None],
        states: &mut Vec::new(),
        memory: &mut Vec::new(),
        env: EvalEnv { threads: Threads::of(&Team::new(2)), ..Default::default() },
    })?;
    let [output] = outputs;
    Ok(output)
}

/// Elements of output 0, a FLOAT32 tensor.
pub(crate) fn run_f32(op: Op, inputs: &[Option<&Value>], shape: &[usize]) -> Result<Vec<f32>, Box<dyn Error>> {
    Ok(run(op, inputs, DType::Float32, shape)?.as_slice()?.to_vec())
}
