//! Validation while running: a wrong kernel is found, named, and dealt with as the options say.

mod common;

use std::sync::{Arc, Mutex};

use common::{TestResult, device, random};
use tflite_wgpu::{DelegateOptions, GpuDelegate, PartitionReport, Report, compare, options::Perturb};
use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::{
    ActivationFunctionType, AddOptions, DType, GraphBuilder, ModelBuilder, MulOptions, NodeId, Op, Program,
};

type Res<T> = Result<T, Box<dyn std::error::Error>>;

const DIMS: [usize; 4] = [1, 3, 5, 6];

/// tanh(relu(a + b) * a): ADD 0, MUL 1, TANH 2.
fn program() -> Program {
    let mut graph = GraphBuilder::new();
    let (a, b) = (graph.input("a", DType::Float32, &DIMS), graph.input("b", DType::Float32, &DIMS));
    let relu = AddOptions { fused_activation_function: ActivationFunctionType::Relu, ..AddOptions::default() };
    let one = |name: &'static str| [(name, DType::Float32, &DIMS[..])];
    let sum = graph.op(Op::Add(relu), &[Some(a), Some(b)], &one("sum"));
    let product = graph.op(Op::Mul(MulOptions::default()), &[Some(sum), Some(a)], &one("product"));
    let result = graph.op(Op::Tanh, &[Some(product)], &one("result"));
    graph.output(result);
    ModelBuilder::new().subgraph(graph).program()
}

struct Run {
    interpreter: Interpreter,
    report: Arc<Mutex<Report>>,
    expected: Value,
}

impl Run {
    /// An interpreter whose delegate has a wrong kernel, and what the CPU says. `None` without an adapter.
    fn new(options: &[&str], perturb: Option<Perturb>) -> Res<Option<Self>> {
        let Some(device) = device()? else { return Ok(None) };
        let model = Model::new(program())?;
        let mut options = DelegateOptions::parse(options.iter().copied())?;
        options.set("device", "gpu")?;
        options.perturb = perturb;
        let delegate = GpuDelegate::with_device(device, options);
        let report = delegate.report();
        let mut cpu = Interpreter::builder(&model).build()?;
        let inputs = [random(1, &DIMS)?, random(2, &DIMS)?];
        let expected = common::run_with(&mut cpu, &inputs)?.remove(0);
        let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        interpreter.allocate_tensors()?;
        for (i, input) in inputs.into_iter().enumerate() {
            interpreter.set_input(i, input)?;
        }
        Ok(Some(Self { interpreter, report, expected }))
    }

    fn partition(&self) -> Res<PartitionReport> {
        let report = self.report.lock().map_err(|_| "poisoned")?;
        Ok(report.partitions.first().ok_or("no partition")?.clone())
    }

    fn is_right(&self) -> Res<bool> {
        Ok(compare::compare(&self.expected, self.interpreter.output(0)?, &compare::F16).is_ok())
    }
}

#[test]
fn nothing_is_compared_unless_asked_for() -> TestResult {
    let Some(mut run) = Run::new(&[], Some(Perturb::Node(NodeId(1))))? else { return Ok(()) };
    run.interpreter.invoke()?;
    assert!(!run.is_right()?, "the wrong kernel gives a wrong result");
    assert_eq!(run.partition()?.validation, None);
    Ok(())
}

#[test]
fn right_kernels_pass() -> TestResult {
    for (validate, expected) in [("first", 1), ("every:1", 5), ("every:2", 3)] {
        for precision in ["f16", "f32"] {
            let options =
                [format!("validate={validate}"), format!("precision={precision}"), "on_mismatch=error".into()];
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let Some(mut run) = Run::new(&options, None)? else { return Ok(()) };
            for _ in 0..5 {
                run.interpreter.invoke()?;
                assert!(run.is_right()?);
            }
            let validation = run.partition()?.validation.ok_or("nothing was compared")?;
            assert_eq!((validation.checked, validation.failed), (expected, 0), "{validate} {precision}");
            assert!(validation.worst.is_some_and(|figures| figures.count == DIMS.iter().product::<usize>()));
        }
    }
    Ok(())
}

#[test]
fn report_names_the_node_and_keeps_the_result() -> TestResult {
    for node in [0, 1, 2] {
        let options = ["validate=every:2", "on_mismatch=report"];
        let Some(mut run) = Run::new(&options, Some(Perturb::Node(NodeId(node))))? else { return Ok(()) };
        for _ in 0..3 {
            run.interpreter.invoke()?;
        }
        assert!(!run.is_right()?);
        assert!(run.interpreter.fallbacks().is_empty());
        let validation = run.partition()?.validation.ok_or("nothing was compared")?;
        assert_eq!((validation.checked, validation.failed), (2, 2));
        let difference = validation.difference.ok_or("no difference")?;
        assert_eq!(difference.node, Some(NodeId(node)), "{difference}");
        let op = ["ADD", "MUL", "TANH"][node as usize];
        assert!(difference.to_string().contains(&format!("node {node} {op}")), "{difference}");
    }
    Ok(())
}

#[test]
fn a_wrong_fusion_is_found_where_it_begins() -> TestResult {
    // Each node alone is right; the kernel that stands for several is wrong.
    let Some(mut run) = Run::new(&["validate=first"], Some(Perturb::Fused(NodeId(1))))? else { return Ok(()) };
    run.interpreter.invoke()?;
    let validation = run.partition()?.validation.ok_or("nothing was compared")?;
    let difference = validation.difference.ok_or("no difference")?;
    // MUL and TANH are one kernel: the beginning that ends with TANH is the first to have it.
    assert_eq!(difference.node, Some(NodeId(2)), "{difference}");
    Ok(())
}

#[test]
fn fallback_gives_the_partition_to_the_cpu() -> TestResult {
    let options = ["validate=first", "on_mismatch=fallback"];
    let Some(mut run) = Run::new(&options, Some(Perturb::Node(NodeId(1))))? else { return Ok(()) };
    for _ in 0..2 {
        run.interpreter.invoke()?;
        assert_eq!(run.interpreter.output(0)?.bytes(), run.expected.bytes());
    }
    let [fallback] = run.interpreter.fallbacks() else { return Err("not one fallback".into()) };
    assert_eq!(fallback.partition, Some(0));
    assert!(fallback.reason.to_string().contains("node 1 MUL"), "{}", fallback.reason);
    let partition = run.partition()?;
    assert!(partition.failure.is_some_and(|failure| failure.contains("node 1 MUL")));
    assert_eq!(partition.validation.map(|validation| validation.checked), Some(1));
    Ok(())
}

#[test]
fn error_fails_the_invoke() -> TestResult {
    let options = ["validate=first", "on_mismatch=error"];
    let Some(mut run) = Run::new(&options, Some(Perturb::Node(NodeId(2))))? else { return Ok(()) };
    for _ in 0..2 {
        let message = run.interpreter.invoke().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("node 2 TANH"), "{message}");
    }
    Ok(())
}

#[test]
fn values_that_stay_on_the_device_are_validated_too() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    let mut graph = GraphBuilder::new();
    let one = |name: &'static str| [(name, DType::Float32, &DIMS[..])];
    let a = graph.input("a", DType::Float32, &DIMS);
    let b = graph.op(Op::Exp, &[Some(a)], &one("b"));
    let c = graph.op(Op::Tanh, &[Some(b)], &one("c"));
    let d = graph.op(Op::Add(AddOptions::default()), &[Some(c), Some(b)], &one("d"));
    graph.output(d);
    let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
    let options = ["device=gpu", "validate=every:1", "on_mismatch=error", "deny_ops=TANH"];
    let delegate = GpuDelegate::with_device(device, DelegateOptions::parse(options)?);
    let report = delegate.report();
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    for seed in 0..3 {
        common::run_with(&mut interpreter, &[random(seed, &DIMS)?])?;
    }
    let report = report.lock().map_err(|_| "poisoned")?;
    let checked: Vec<_> = report.partitions.iter().map(|p| p.validation.as_ref().map(|v| v.checked)).collect();
    assert_eq!(checked, [Some(3), Some(3)]);
    Ok(())
}

#[test]
fn the_command_line_tells_what_was_compared() -> TestResult {
    let Some(_) = device()? else { return Ok(()) };
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/digits/digits_f32.tflite");
    for (validate, expected) in [("first", Some(1)), ("off", None)] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tflite-wgpu"));
        command.args(["run", digits, "--random", "--device", "gpu", "--validate", validate, "--json"]);
        let output = command.output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let validation = &json["validation"];
        assert_eq!(validation["checked"].as_u64(), expected, "{validation}");
        assert_eq!(validation["failed"].as_u64(), expected.map(|_| 0), "{validation}");
    }
    Ok(())
}
