//! GPU memory: arenas near what is alive, constants stored once, nothing read that was not written, nothing written
//! beside a tensor.

mod common;

use std::{
    env, fs,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use common::{TestResult, device, random};
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, Report,
    gpu::{CacheDir, DeviceOptions, GpuDevice},
};
use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::{
    ActivationFunctionType, AddOptions, Bytes, Conv2DOptions, DType, GraphBuilder, ModelBuilder, Op, Padding, Program,
    SoftmaxOptions,
};

type Res<T> = Result<T, Box<dyn std::error::Error>>;

/// Largest share of the least that any placement needs.
const MOST: f64 = 1.15;

/// A device of this test's own, as its memory is counted.
fn own_device() -> Res<Option<Arc<GpuDevice>>> {
    let Some(_) = device()? else { return Ok(None) };
    let options = DeviceOptions { cache_dir: CacheDir::Off, ..DeviceOptions::default() };
    Ok(Some(pollster::block_on(GpuDevice::open(&options))?))
}

fn delegated(model: &Model, device: &Arc<GpuDevice>, options: &[&str]) -> Res<(Interpreter, Report)> {
    let mut options = DelegateOptions::parse(options.iter().copied())?;
    options.set("device", "gpu")?;
    let delegate = GpuDelegate::with_device(Arc::clone(device), options);
    let report = delegate.report();
    let mut interpreter = Interpreter::builder(model).delegate(Box::new(delegate)).build()?;
    interpreter.allocate_tensors()?;
    let report = report.lock().map_err(|_| "poisoned")?.clone();
    Ok((interpreter, report))
}

/// Float models of the collection, by name; none (after one line) where it is absent.
fn float_models() -> Res<Vec<(String, PathBuf)>> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/models");
    let folder = env::var_os("TFLITE_WGPU_MODELS").map_or_else(default, PathBuf::from);
    let Ok(index) = fs::read(folder.join("INDEX.json")) else {
        println!("SKIPPED: no models at {}; set TFLITE_WGPU_MODELS to their folder", folder.display());
        return Ok(Vec::new());
    };
    let index: Vec<serde_json::Value> = serde_json::from_slice(&index)?;
    let float = |row: &&serde_json::Value| matches!(row["kind"].as_str(), Some("float" | "float16"));
    let names = index.iter().filter(float).filter_map(|row| Some((row["name"].as_str()?, row["path"].as_str()?)));
    Ok(names.map(|(name, path)| (name.to_owned(), folder.join(path))).collect())
}

#[test]
fn activations_stay_near_what_is_alive() -> TestResult {
    let Some(device) = own_device()? else { return Ok(()) };
    let mut wrong = Vec::new();
    // SwiftShader compiles whatever is planned, which takes minutes.
    let reduced = env::var_os("TFLITE_WGPU_REDUCED").is_some();
    let quick = |name: &str| ["mlperf_tiny", "classify", "pose", "audio"].iter().any(|family| name.starts_with(family));
    for (name, path) in float_models()?.into_iter().filter(|(name, _)| !reduced || quick(name)) {
        // Some of the collection are damaged on purpose.
        let Ok(program) = Program::read(Bytes::from(fs::read(path)?)) else { continue };
        let model = Model::new(program)?;
        let (interpreter, report) = match delegated(&model, &device, &[]) {
            Ok(ready) => ready,
            Err(error) => {
                println!("{name}: {error}");
                continue;
            }
        };
        let used = device.usage.activations.load(Relaxed);
        let needed = report.partitions.iter().map(|p| p.live_bytes + p.border_bytes).max().unwrap_or(0);
        if needed > 0 {
            let ratio = used as f64 / needed as f64;
            println!("{name}: {} partitions, {used} bytes for {needed}, ratio {ratio:.3}", report.partitions.len());
            // Where most tensors are smaller than the adapter's alignment, that is no placement's fault.
            let slack = 128 * device.tuning.alignment;
            if ratio > MOST && used > (needed + slack) as u64 {
                wrong.push(format!("{name} {ratio:.3}"));
            }
        }
        drop(interpreter);
        assert_eq!(device.usage.total(), 0, "{name} leaves memory behind");
    }
    assert!(wrong.is_empty(), "more than {MOST}: {}", wrong.join(", "));
    Ok(())
}

/// Two convolutions, a residual, a softmax: constants, scratch, shared memory.
fn network() -> Program {
    let dims = [1, 9, 11, 6];
    let one = |name: &'static str| [(name, DType::Float32, &dims[..])];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &dims);
    let conv = Conv2DOptions {
        padding: Padding::Same,
        stride_w: 1,
        stride_h: 1,
        dilation_wfactor: 1,
        dilation_hfactor: 1,
        fused_activation_function: ActivationFunctionType::Relu6,
        ..Conv2DOptions::default()
    };
    let bias = graph.constant_f32("bias", &[6], &common::floats(3, 6));
    let mut x = a;
    for (name, seed) in [("first", 1), ("second", 2)] {
        let weights = graph.constant_f32(&format!("{name} weights"), &[6, 3, 3, 6], &common::floats(seed, 6 * 9 * 6));
        x = graph.op(Op::Conv2d(conv.clone()), &[Some(x), Some(weights), Some(bias)], &one(name));
    }
    let sum = graph.op(Op::Add(AddOptions::default()), &[Some(x), Some(a)], &one("sum"));
    let softmax = graph.op(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[Some(sum)], &one("softmax"));
    graph.output(softmax);
    graph.output(sum);
    ModelBuilder::new().subgraph(graph).program()
}

fn outputs(interpreter: &mut Interpreter) -> Res<Vec<Value>> {
    interpreter.set_input(0, random(4, &[1, 9, 11, 6])?)?;
    interpreter.invoke()?;
    assert!(interpreter.fallbacks().is_empty(), "the CPU took over");
    (0..interpreter.outputs().len()).map(|i| Ok(interpreter.output(i)?.clone())).collect()
}

#[test]
fn constants_are_stored_once() -> TestResult {
    let Some(device) = own_device()? else { return Ok(()) };
    let model = Model::new(network())?;
    let (mut first, _) = delegated(&model, &device, &[])?;
    let weights = device.usage.weights.load(Relaxed);
    assert!(weights >= 2 * 6 * 9 * 6 * 2, "{weights}");
    let (mut second, _) = delegated(&model, &device, &[])?;
    assert_eq!(device.usage.weights.load(Relaxed), weights, "the second interpreter stores its own");
    assert_eq!(outputs(&mut first)?, outputs(&mut second)?);
    // New shapes keep what is there.
    first.resize_input(0, &[2, 9, 11, 6])?;
    first.allocate_tensors()?;
    assert_eq!(device.usage.weights.load(Relaxed), weights, "a resize stores them anew");
    drop(first);
    assert_eq!(device.usage.weights.load(Relaxed), weights, "the second interpreter still has them");
    drop(second);
    assert_eq!(device.usage.total(), 0);
    Ok(())
}

#[test]
fn poisoned_arenas_change_nothing() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    let model = Model::new(network())?;
    for precision in ["f16", "f32"] {
        let mut options = DelegateOptions::parse(["device=gpu"])?;
        options.set("precision", precision)?;
        let delegate = GpuDelegate::with_device(Arc::clone(&device), options);
        let memory = Arc::clone(delegate.memory());
        let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        interpreter.allocate_tensors()?;
        let clean = outputs(&mut interpreter)?;
        for _ in 0..2 {
            memory.poison(&device)?;
            assert_eq!(outputs(&mut interpreter)?, clean, "{precision}");
        }
    }
    Ok(())
}

#[test]
fn nothing_is_written_beside_a_tensor() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    let model = Model::new(network())?;
    for precision in ["precision=f16", "precision=f32"] {
        let (mut plain, _) = delegated(&model, &device, &[precision])?;
        let (mut guarded, _) = delegated(&model, &device, &[precision, "sentinels=true"])?;
        assert_eq!(outputs(&mut guarded)?, outputs(&mut plain)?, "{precision}");
    }
    Ok(())
}

#[test]
fn small_networks_write_nothing_beside_a_tensor() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    for (name, path) in float_models()? {
        if !["mlperf_tiny", "classify"].iter().any(|family| name.starts_with(family)) {
            continue;
        }
        let model = Model::new(Program::read(Bytes::from(fs::read(path)?))?)?;
        let (mut interpreter, report) = delegated(&model, &device, &["sentinels=true"])?;
        let infos = interpreter.inputs();
        let shapes: Vec<Vec<usize>> = infos.iter().map(|info| info.shape.dims().unwrap_or_default()).collect();
        for (i, shape) in shapes.iter().enumerate() {
            interpreter.set_input(i, random(i as u32, shape)?)?;
        }
        interpreter.invoke().map_err(|error| format!("{name}: {error}"))?;
        assert!(report.gpu_nodes() > 0, "{name}: nothing ran on the GPU");
    }
    Ok(())
}
