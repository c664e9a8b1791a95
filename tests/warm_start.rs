//! A warm start: the CPU answers while the partitions become ready, then the device does.

mod common;

use std::sync::{Arc, Mutex};

use common::{TestResult, device, random};
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, Report, Switch, Warmth, compare,
    gpu::{CacheDir, DeviceOptions, GpuDevice},
};
use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::{AddOptions, BuiltinOperator, DType, GraphBuilder, ModelBuilder, Op, Program, SoftmaxOptions};

type Res<T> = Result<T, Box<dyn std::error::Error>>;

const DIMS: [usize; 4] = [1, 5, 7, 6];

/// Softmax and sums, with an operator of the CPU between two partitions.
fn network() -> Program {
    let one = |name: &'static str| [(name, DType::Float32, &DIMS[..])];
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", DType::Float32, &DIMS);
    let a = graph.op(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[Some(x)], &one("a"));
    let b = graph.op(Op::Tanh, &[Some(a)], &one("b"));
    let c = graph.op(Op::Add(AddOptions::default()), &[Some(b), Some(x)], &one("c"));
    graph.output(c);
    ModelBuilder::new().subgraph(graph).program()
}

struct Started {
    interpreter: Interpreter,
    report: Arc<Mutex<Report>>,
    warmth: Warmth,
}

/// An interpreter on a device of its own, which has no pipelines yet.
fn start(options: &[&str]) -> Res<Option<Started>> {
    let Some(_) = device()? else { return Ok(None) };
    let own = DeviceOptions { cache_dir: CacheDir::Off, ..DeviceOptions::default() };
    let own = pollster::block_on(GpuDevice::open(&own))?;
    let options = ["device=gpu", "precision=f32", "deny_ops=TANH"].iter().chain(options).copied();
    let delegate = GpuDelegate::with_device(own, DelegateOptions::parse(options)?);
    let (report, warmth) = (delegate.report(), delegate.warmth());
    let model = Model::new(network())?;
    let interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    Ok(Some(Started { interpreter, report, warmth }))
}

impl Started {
    fn invoke(&mut self, seed: u32) -> Res<Value> {
        self.interpreter.set_input(0, random(seed, &DIMS)?)?;
        self.interpreter.invoke()?;
        assert!(self.interpreter.fallbacks().is_empty(), "{:?}", self.interpreter.fallbacks());
        Ok(self.interpreter.output(0)?.clone())
    }

    fn switch(&self) -> Res<Option<Switch>> {
        Ok(self.report.lock().map_err(|_| "poisoned")?.switch)
    }

    fn gpu_nodes(&self) -> Res<usize> {
        Ok(self.report.lock().map_err(|_| "poisoned")?.gpu_nodes())
    }
}

fn on_the_cpu(seed: u32) -> Res<Value> {
    let mut interpreter = Interpreter::builder(&Model::new(network())?).build()?;
    interpreter.set_input(0, random(seed, &DIMS)?)?;
    interpreter.invoke()?;
    Ok(interpreter.output(0)?.clone())
}

#[test]
fn the_cpu_answers_first_and_the_device_takes_over() -> TestResult {
    // Where the machine is so slow that the device is ready first, there is nothing to see: then once more.
    for _ in 0..10 {
        let Some(mut started) = start(&["warm_start=cpu"])? else { return Ok(()) };
        let first = started.invoke(1)?;
        if started.switch()?.is_some() {
            continue;
        }
        assert_eq!(started.gpu_nodes()?, 0, "nothing runs there yet");
        assert_eq!(first, on_the_cpu(1)?, "the CPU's own result");
        started.warmth.wait();
        assert!(started.warmth.is_ready());
        let second = started.invoke(2)?;
        let switch = started.switch()?.ok_or("the device has not taken over")?;
        assert!(switch.cpu_invokes >= 1, "{switch:?}");
        assert_eq!(started.gpu_nodes()?, 2);
        compare::compare(&on_the_cpu(2)?, &second, &compare::F32).map_err(|mismatch| mismatch.to_string())?;
        let report = started.report.lock().map_err(|_| "poisoned")?;
        assert!(report.partitions.iter().all(|partition| !partition.steps.is_empty()), "all are planned");
        assert!(report.partitions.iter().all(|partition| partition.host_times.submit.runs == 1), "all have run there");
        return Ok(());
    }
    Err("the device was always ready before the CPU had answered".into())
}

#[test]
fn without_a_warm_start_the_first_answer_is_the_devices() -> TestResult {
    for option in ["warm_start=wait", "validate=off"] {
        let Some(mut started) = start(&[option])? else { return Ok(()) };
        assert!(started.warmth.is_ready());
        started.invoke(1)?;
        assert_eq!((started.gpu_nodes()?, started.switch()?), (2, None), "{option}");
    }
    Ok(())
}

#[test]
fn a_second_interpreter_finds_the_pipelines() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    let model = Model::new(network())?;
    for option in ["warm_start=wait", "warm_start=cpu"] {
        let options = DelegateOptions::parse(["device=gpu", "deny_ops=TANH", option])?;
        let delegate = GpuDelegate::with_device(Arc::clone(&device), options);
        let (report, warmth) = (delegate.report(), delegate.warmth());
        let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        interpreter.allocate_tensors()?;
        assert!(warmth.is_ready(), "{option}: nothing has to be compiled");
        interpreter.set_input(0, random(1, &DIMS)?)?;
        interpreter.invoke()?;
        let report = report.lock().map_err(|_| "poisoned")?;
        assert_eq!((report.gpu_nodes(), report.switch), (2, None), "{option}");
        let claimed = report.partitions.iter().flat_map(|partition| &partition.nodes).count();
        assert_eq!(claimed, 2);
    }
    assert!(model.program().subgraphs.iter().flat_map(|g| &g.nodes).any(|n| n.op.builtin() == BuiltinOperator::Tanh));
    Ok(())
}

#[test]
fn an_interpreter_may_go_before_it_is_warm() -> TestResult {
    let Some(mut started) = start(&["warm_start=cpu"])? else { return Ok(()) };
    started.invoke(1)?;
    let warmth = started.warmth.clone();
    drop(started);
    assert!(warmth.is_ready(), "nothing is being made ready any more");
    Ok(())
}
