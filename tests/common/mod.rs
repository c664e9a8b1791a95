//! What GPU tests share: one device per process, running a model on both sides, comparing.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    error::Error,
    sync::{Arc, LazyLock},
};

use tflite_wgpu::{
    DelegateOptions, GpuDelegate, Report,
    compare::{self, Tolerance},
    gpu::{CacheDir, DeviceLimits, DeviceOptions, GpuDevice},
    tuning::{AdapterClass, Tuning},
};
use tflite_wgpu_fallback::{Interpreter, Kernels, Model, Value};
use tflite_wgpu_model::{DType, Program};

pub type TestResult<T = ()> = Result<T, Box<dyn Error>>;

static DEVICE: LazyLock<Result<Arc<GpuDevice>, String>> = LazyLock::new(|| {
    let limits = match std::env::var("TFLITE_WGPU_LIMITS").as_deref() {
        Ok("webgpu-default") => DeviceLimits::WebGpuDefault,
        _ => DeviceLimits::Adapter,
    };
    let options = DeviceOptions { limits, cache_dir: CacheDir::Off, ..DeviceOptions::default() };
    pollster::block_on(GpuDevice::open(&options)).map_err(|error| error.to_string())
});

/// The device all tests of this process share; `None` (after one line, which the test report counts) where there is no adapter, unless
/// `TFLITE_WGPU_REQUIRE_GPU=1` makes that a failure.
pub fn device() -> Result<Option<Arc<GpuDevice>>, Box<dyn Error>> {
    match &*DEVICE {
        Ok(device) => Ok(Some(Arc::clone(device))),
        Err(error) if std::env::var("TFLITE_WGPU_REQUIRE_GPU").as_deref() == Ok("1") => Err(error.clone().into()),
        Err(error) => {
            let thread = std::thread::current();
            println!("SKIPPED {}: {error}", thread.name().unwrap_or("a test"));
            Ok(None)
        }
    }
}

/// The adapter at hand with the kernels of cards, opened for the caller alone; `None` as in [`device`].
pub fn card() -> Result<Option<Arc<GpuDevice>>, Box<dyn Error>> {
    if device()?.is_none() {
        return Ok(None);
    }
    let mut device = pollster::block_on(GpuDevice::open(&DeviceOptions::default()))?;
    Arc::get_mut(&mut device).ok_or("the device is shared")?.tuning = Tuning::of(AdapterClass::Discrete, false, true);
    Ok(Some(device))
}

/// Results of a model on both sides.
pub struct Both {
    pub cpu: Vec<Value>,
    pub gpu: Vec<Value>,
    pub report: Report,
}

/// Runs a program with the reference and with everything supported on the GPU.
pub fn run_both(program: &Program, inputs: &[Value], options: &[&str]) -> Result<Option<Both>, Box<dyn Error>> {
    let Some(device) = device()? else { return Ok(None) };
    let model = Model::new(program.clone())?;
    let mut options = DelegateOptions::parse(options.iter().copied())?;
    options.set("device", "gpu")?;
    let delegate = GpuDelegate::with_device(device, options);
    let report = delegate.report();
    let cpu = run(Interpreter::builder(&model).kernels(Kernels::Plain).build()?, inputs)?;
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let gpu = run_with(&mut interpreter, inputs)?;
    if let Some(fallback) = interpreter.fallbacks().first() {
        return Err(format!("the CPU took over: {}", fallback.reason).into());
    }
    let report = report.lock().map_err(|_| "the report is poisoned")?.clone();
    Ok(Some(Both { cpu, gpu, report }))
}

fn run(mut interpreter: Interpreter, inputs: &[Value]) -> Result<Vec<Value>, Box<dyn Error>> {
    run_with(&mut interpreter, inputs)
}

/// Sets the inputs (resizing as their shapes say), invokes, and gives the outputs.
pub fn run_with(interpreter: &mut Interpreter, inputs: &[Value]) -> Result<Vec<Value>, Box<dyn Error>> {
    for (i, value) in inputs.iter().enumerate() {
        interpreter.resize_input(i, value.shape())?;
    }
    interpreter.allocate_tensors()?;
    for (i, value) in inputs.iter().enumerate() {
        interpreter.set_input(i, value.clone())?;
    }
    interpreter.invoke()?;
    let count = interpreter.outputs().len();
    (0..count).map(|i| Ok(interpreter.output(i)?.clone())).collect()
}

/// Runs a program on both sides in f32 and in f16 and compares; the first `nodes` nodes must be on the GPU.
pub fn check(name: &str, program: &Program, inputs: &[Value]) -> TestResult {
    check_as(name, program, inputs, &[("precision=f32", compare::F32), ("precision=f16", compare::F16_OPERATOR)])
}

/// As [`check`], with these precisions and tolerances.
pub fn check_as(name: &str, program: &Program, inputs: &[Value], modes: &[(&str, Tolerance)]) -> TestResult {
    for (precision, tolerance) in modes {
        let both = run_both(program, inputs, &[precision]).map_err(|e| format!("{name}, {precision}: {e}"))?;
        let Some(both) = both else { return Ok(()) };
        let reasons: Vec<_> = both.report.subgraphs.iter().flat_map(|subgraph| &subgraph.reasons).collect();
        if !reasons.is_empty() {
            return Err(format!("{name}, {precision}: not on the GPU: {reasons:?}").into());
        }
        for (i, (cpu, gpu)) in both.cpu.iter().zip(&both.gpu).enumerate() {
            if let Err(mismatch) = compare::compare(cpu, gpu, tolerance) {
                return Err(format!(
                    "{name}, {precision}: output {i} {mismatch}\ncpu {}\ngpu {}",
                    head(cpu),
                    head(gpu)
                )
                .into());
            }
        }
        assert!(!both.cpu.is_empty(), "{name}: no outputs");
    }
    Ok(())
}

fn head(value: &Value) -> String {
    match value.to_floats() {
        Some(floats) => format!("{:?}", floats.iter().take(24).collect::<Vec<_>>()),
        None => format!("{:?}", value.to_ints().unwrap_or_default().iter().take(24).collect::<Vec<_>>()),
    }
}

/// Kernels of all partitions, transfers left out, and a comparison of both sides in f32 and f16.
pub fn kernels(name: &str, program: &Program, inputs: &[Value]) -> TestResult<Option<Vec<&'static str>>> {
    let mut found = Vec::new();
    for (precision, tolerance) in [("precision=f32", compare::F32), ("precision=f16", compare::F16_OPERATOR)] {
        let Some(both) = run_both(program, inputs, &[precision])? else { return Ok(None) };
        for (cpu, gpu) in both.cpu.iter().zip(&both.gpu) {
            compare::compare(cpu, gpu, &tolerance).map_err(|e| format!("{name}, {precision}: {e}"))?;
        }
        let steps = both.report.partitions.iter().flat_map(|partition| &partition.steps);
        found = steps.map(|step| step.kernel).filter(|kernel| !kernel.ends_with("_host")).collect();
    }
    Ok(Some(found))
}

/// Values on a grid of 1/64 in [-2, 2], the same for the same seed.
pub fn floats(seed: u32, count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| {
            let mut x = (i as u32).wrapping_mul(0x9e37_79b1) ^ seed.wrapping_mul(0x85eb_ca6b) ^ 0x27d4_eb2f;
            x ^= x >> 15;
            x = x.wrapping_mul(0x2c1b_3c6d);
            x ^= x >> 12;
            (x % 257) as f32 / 64.0 - 2.0
        })
        .collect()
}

/// A FLOAT32 value of [`floats`].
pub fn random(seed: u32, dims: &[usize]) -> Result<Value, Box<dyn Error>> {
    let count = dims.iter().product();
    Ok(Value::from_slice(DType::Float32, dims, &floats(seed, count))?)
}
