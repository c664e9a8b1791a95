//! States beside the adapter: nodes there may read them, the CPU writes them.

mod common;

use common::TestResult;
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, Interpreter, Model, Value,
    model::{AddOptions, DType, GraphBuilder, ModelBuilder, Op, SvdfOptions},
};

const F: DType = DType::Float32;

/// An SVDF with a state of one row, and that state added to the result.
fn model() -> Result<Model, Box<dyn std::error::Error>> {
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &[1, 2]);
    let features = graph.constant_f32("features", &[1, 2], &[1.0, 2.0]);
    let time = graph.constant_f32("time", &[1, 3], &[0.5, 0.25, 1.0]);
    let state = graph.variable("state", F, &[1, 3]);
    let options = SvdfOptions { rank: 1, ..Default::default() };
    let inputs = [Some(x), Some(features), Some(time), None, Some(state)];
    let y = graph.op(Op::Svdf(options), &inputs, &[("y", F, &[1, 1])]);
    let z = graph.op(Op::Add(AddOptions::default()), &[Some(state), Some(y)], &[("z", F, &[1, 3])]);
    graph.output(z);
    Ok(Model::new(ModelBuilder::new().subgraph(graph).program())?)
}

fn three_invokes(mut interpreter: Interpreter) -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error>> {
    let mut results = Vec::new();
    for i in 0..3 {
        interpreter.set_input(0, Value::f32(&[1, 2], &[i as f32, 0.5])?)?;
        interpreter.invoke()?;
        results.push(interpreter.output(0)?.as_slice::<f32>()?.to_vec());
    }
    Ok(results)
}

#[test]
fn a_state_is_read_anew_at_every_invoke() -> TestResult {
    let Some(device) = common::device()? else { return Ok(()) };
    let model = model()?;
    let delegate = GpuDelegate::with_device(device, DelegateOptions::parse(["device=gpu", "precision=f32"])?);
    let report = delegate.report();
    let expected = three_invokes(Interpreter::builder(&model).build()?)?;
    let found = three_invokes(Interpreter::builder(&model).delegate(Box::new(delegate)).build()?)?;
    let nodes: usize = report.lock().map_err(|_| "poisoned")?.partitions.iter().map(|p| p.nodes.len()).sum();
    assert_eq!(nodes, 1, "the ADD");
    assert_eq!(found, expected);
    assert_ne!(expected[0], expected[2], "the state moves on");
    Ok(())
}
