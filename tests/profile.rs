//! Times of steps on the device: there when asked for, absent otherwise.

mod common;

use common::{TestResult, device, random};
use tflite_wgpu::{DelegateOptions, GpuDelegate};
use tflite_wgpu_fallback::{Interpreter, Model};
use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, NodeId, Op};

#[test]
fn steps_are_timed_when_asked_for() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    let dims = [1, 64, 64, 8];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &dims);
    let b = graph.op(Op::Tanh, &[Some(a)], &[("b", DType::Float32, &dims)]);
    graph.output(b);
    let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
    for timed in ["true", "false"] {
        let mut options = DelegateOptions::parse(["device=gpu"])?;
        options.set("time_steps", timed)?;
        let delegate = GpuDelegate::with_device(device.clone(), options);
        let report = delegate.report();
        let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        for seed in 0..3 {
            common::run_with(&mut interpreter, &[random(seed, &dims)?])?;
        }
        let profile = report.lock().map_err(|_| "poisoned")?.profile();
        if timed == "false" || !device.summary.timestamps {
            assert!(profile.rows.is_empty());
            continue;
        }
        let kernels: Vec<&str> = profile.rows.iter().map(|row| row.kernel).collect();
        assert_eq!(kernels.first(), Some(&"import_host"));
        assert_eq!(kernels.last(), Some(&"export_host"));
        assert!(profile.rows.iter().any(|row| row.nodes == [NodeId(0)]), "{kernels:?}");
        for row in &profile.rows {
            assert_eq!(row.time.runs, 3, "{}", row.kernel);
            assert!(row.time.best_ns > 0.0 && row.time.best_ns <= row.time.mean_ns, "{row:?}");
        }
        let sum: f64 = profile.rows.iter().map(|row| row.time.mean_ns).sum();
        assert!((profile.mean_ns() - sum).abs() < 1.0);
    }
    Ok(())
}
