//! A model with entry points to train, infer, save and restore, as TFLite's on-device training has them.

mod support;

use support::{Build, Outcome, program, signature};
use tflite_wgpu_fallback::{Error, Interpreter, Model, Value};
use tflite_wgpu_model::{CallOnceOptions, DType, Graph, Op, ReducerOptions, TensorId, VarHandleOptions};

const F32: DType = DType::Float32;
/// Samples of a batch.
const BATCH: usize = 4;

fn constant(g: &mut Build, name: &str, dims: &[usize], values: &[f32]) -> TensorId {
    let value = Value::f32(dims, values).unwrap_or_else(|_| unreachable!("the test's own numbers"));
    g.constant(name, &value)
}

fn handle(g: &mut Build, name: &str) -> TensorId {
    let id = g.computed(&format!("{name}_handle"), DType::Resource, &[]);
    let options = VarHandleOptions { container: String::new(), shared_name: name.into() };
    g.node(Op::VarHandle(options), &[], &[id]);
    id
}

fn read(g: &mut Build, name: &str) -> (TensorId, TensorId) {
    let handle = handle(g, name);
    let value = g.f32(name, &[1]);
    g.node(Op::ReadVariable, &[handle], &[value]);
    (handle, value)
}

fn binary(g: &mut Build, name: &str, op: Op, a: TensorId, b: TensorId, dims: &[usize]) -> TensorId {
    let result = g.f32(name, dims);
    g.node(op, &[a, b], &[result]);
    result
}

fn mean(g: &mut Build, name: &str, x: TensorId) -> TensorId {
    let axis = g.constant("axis", &Value::i32(&[1], &[0]).unwrap_or_else(|_| unreachable!()));
    let result = g.f32(name, &[1]);
    g.node(Op::Mean(ReducerOptions { keep_dims: true }), &[x, axis], &[result]);
    result
}

/// `y = w · x + b`; the handles of `w` and `b`, and `y`.
fn predict(g: &mut Build, x: TensorId) -> ([(TensorId, TensorId); 2], TensorId) {
    g.node(Op::CallOnce(CallOnceOptions { init_subgraph_index: 4 }), &[], &[]);
    let (w, b) = (read(g, "w"), read(g, "b"));
    let product = binary(g, "product", Op::Mul(Default::default()), x, w.1, &[BATCH]);
    let y = binary(g, "y", Op::Add(Default::default()), product, b.1, &[BATCH]);
    ([w, b], y)
}

fn infer() -> Graph {
    let mut g = Build::default();
    let x = g.input("x", F32, &[BATCH]);
    let (_, y) = predict(&mut g, x);
    g.outputs(&[y])
}

/// One step of gradient descent on the mean squared error, which it gives.
fn train() -> Graph {
    let mut g = Build::default();
    let (x, target) = (g.input("x", F32, &[BATCH]), g.input("target", F32, &[BATCH]));
    let (variables, y) = predict(&mut g, x);
    let error = binary(&mut g, "error", Op::Sub(Default::default()), y, target, &[BATCH]);
    let squares = binary(&mut g, "squares", Op::Mul(Default::default()), error, error, &[BATCH]);
    let loss = mean(&mut g, "loss", squares);
    let slopes = binary(&mut g, "slopes", Op::Mul(Default::default()), error, x, &[BATCH]);
    let rate = constant(&mut g, "rate", &[1], &[0.1]);
    for ((handle, value), gradient) in variables.into_iter().zip([slopes, error]) {
        let gradient = mean(&mut g, "gradient", gradient);
        let step = binary(&mut g, "step", Op::Mul(Default::default()), gradient, rate, &[1]);
        let new = binary(&mut g, "new", Op::Sub(Default::default()), value, step, &[1]);
        g.node(Op::AssignVariable, &[handle, new], &[]);
    }
    g.outputs(&[loss])
}

fn save() -> Graph {
    let mut g = Build::default();
    g.node(Op::CallOnce(CallOnceOptions { init_subgraph_index: 4 }), &[], &[]);
    let (w, b) = (read(&mut g, "w"), read(&mut g, "b"));
    g.outputs(&[w.1, b.1])
}

fn restore() -> Graph {
    let mut g = Build::default();
    g.node(Op::CallOnce(CallOnceOptions { init_subgraph_index: 4 }), &[], &[]);
    for name in ["w", "b"] {
        let value = g.input(name, F32, &[1]);
        let handle = handle(&mut g, name);
        g.node(Op::AssignVariable, &[handle, value], &[]);
    }
    g.outputs(&[])
}

fn init() -> Graph {
    let mut g = Build::default();
    for (name, start) in [("w", 0.5), ("b", 0.0)] {
        let value = constant(&mut g, "start", &[1], &[start]);
        let handle = handle(&mut g, name);
        g.node(Op::AssignVariable, &[handle, value], &[]);
    }
    g.outputs(&[])
}

fn model() -> Result<Model, Error> {
    let graphs = vec![infer(), train(), save(), restore(), init()];
    let keys = ["infer", "train", "save", "restore"];
    let signatures = (0..).zip(keys).map(|(i, key)| signature(key, i, &graphs[i as usize])).collect();
    let mut program = program(graphs);
    program.signatures = signatures;
    Model::new(program)
}

fn call(interpreter: &mut Interpreter, key: &str, inputs: &[(&str, &[f32])]) -> Result<Vec<Vec<f32>>, Error> {
    let mut runner = interpreter.signature_runner(key)?;
    for (name, values) in inputs {
        let value = Value::f32(&[values.len()], values).unwrap_or_else(|_| unreachable!());
        runner.set_input(name, value)?;
    }
    runner.invoke()?;
    let names: Vec<_> = runner.outputs().into_iter().map(|info| info.name.into_owned()).collect();
    let floats = |name: &String| runner.output(name).map(|value| value.as_slice::<f32>().unwrap_or_default().to_vec());
    names.iter().map(floats).collect()
}

#[test]
fn a_model_trains_saves_and_restores() -> Outcome {
    let model = model()?;
    let mut one = Interpreter::builder(&model).build()?;
    let x = [-1.0, 0.0, 1.0, 2.0];
    let target = x.map(|x| 3.0 * x - 1.0);
    assert_eq!(call(&mut one, "infer", &[("x", &x)])?, [[-0.5, 0.0, 0.5, 1.0]]);
    let first = call(&mut one, "train", &[("x", &x), ("target", &target)])?;
    // (−0.5 + 4)², (0 + 1)², (0.5 − 2)² and (1 − 5)², in the mean.
    assert_eq!(first, [[(12.25 + 1.0 + 2.25 + 16.0) / 4.0]]);
    let mut last = first;
    for _ in 0..400 {
        let loss = call(&mut one, "train", &[("x", &x), ("target", &target)])?;
        assert!(loss[0][0] <= last[0][0] + 1e-9, "{loss:?} after {last:?}");
        last = loss;
    }
    assert!(last[0][0] < 1e-6, "{last:?}");
    let saved = call(&mut one, "save", &[])?;
    assert!((saved[0][0] - 3.0).abs() < 1e-3 && (saved[1][0] + 1.0).abs() < 1e-3, "{saved:?}");
    let mut other = Interpreter::builder(&model).build()?;
    assert_eq!(call(&mut other, "save", &[])?, [[0.5], [0.0]], "another interpreter starts anew");
    assert!(call(&mut other, "restore", &[("w", &saved[0]), ("b", &saved[1])])?.is_empty());
    let inferred = |one: &mut Interpreter| call(one, "infer", &[("x", &x)]);
    assert_eq!(inferred(&mut other)?, inferred(&mut one)?);
    Ok(())
}
