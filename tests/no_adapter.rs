//! A machine without any adapter: `auto` and `cpu` run on the CPU, `gpu` is an error.

mod common;

use std::process::Command;

use common::{TestResult, random};
use tflite_wgpu::{DelegateOptions, GpuDelegate, gpu};
use tflite_wgpu_fallback::{Interpreter, Model};
use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, Op};

/// Set in the process that has no adapter: drivers are chosen before the first Vulkan call of a process.
const CHILD: &str = "TFLITE_WGPU_TEST_CHILD";

#[test]
fn everything_runs_without_an_adapter() -> TestResult {
    if cfg!(any(target_os = "macos", target_os = "windows")) {
        println!("skipped: adapters cannot be hidden here");
        return Ok(());
    }
    if std::env::var_os(CHILD).is_some() {
        return without_adapter();
    }
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["--exact", "everything_runs_without_an_adapter", "--nocapture"]);
    child.env(CHILD, "1").env("VK_DRIVER_FILES", "/nonexistent").env_remove("VK_ICD_FILENAMES");
    let output = child.output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    Ok(())
}

fn without_adapter() -> TestResult {
    let found = pollster::block_on(gpu::adapters());
    assert!(found.is_empty(), "{:?}", found.iter().map(|(summary, _)| &summary.name).collect::<Vec<_>>());
    let message = GpuDelegate::new(DelegateOptions::parse(["device=gpu"])?).err().map(|error| error.to_string());
    let message = message.unwrap_or_default();
    assert!(message.contains("no GPU adapter") && message.contains("--device cpu"), "{message}");
    let dims = [1, 3, 5];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &dims);
    let b = graph.op(Op::Tanh, &[Some(a)], &[("b", DType::Float32, &dims)]);
    graph.output(b);
    let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
    let input = [random(1, &dims)?];
    let expected = common::run_with(&mut Interpreter::builder(&model).build()?, &input)?;
    for device in ["device=auto", "device=cpu"] {
        let delegate = GpuDelegate::new(DelegateOptions::parse([device])?)?;
        assert!(delegate.device().is_none());
        let report = delegate.report();
        let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        let found = common::run_with(&mut interpreter, &input)?;
        assert_eq!(found[0].bytes(), expected[0].bytes());
        assert_eq!(report.lock().map_err(|_| "poisoned")?.gpu_nodes(), 0);
    }
    Ok(())
}
