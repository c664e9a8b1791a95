//! Times one model: opening, the first result, and repeated invokes; says what runs where and how close it is.
//!
//! ```text
//! bench_model MODEL [--device gpu|cpu] [--precision f16|f32] [--invokes 30] [--steps] [--check]
//! ```
//!
//! The last line of standard output is one JSON object. `--steps` adds the time of every kernel (such an invoke is slower
//! as a whole), `--check` compares the outputs with the CPU interpreter's.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Instant,
};

use clap::Parser;
use serde_json::json;
use tflite_wgpu::{DelegateOptions, GpuDelegate, Report, compare};
use tflite_wgpu_fallback::{Interpreter, Kernels, Model, TensorInfo, Value};
use tflite_wgpu_model::DType;

type Res<T> = Result<T, Box<dyn std::error::Error>>;

/// Times one model.
#[derive(Parser)]
struct Args {
    /// The `.tflite` file.
    model: PathBuf,
    /// Where nodes run.
    #[arg(long, default_value = "gpu", value_parser = ["gpu", "cpu"])]
    device: String,
    /// Part of the adapter's name, or its position.
    #[arg(long, default_value = "")]
    adapter: String,
    /// How float tensors are stored on the GPU.
    #[arg(long, default_value = "f16", value_parser = ["f16", "f32"])]
    precision: String,
    /// Timed invokes, after the first.
    #[arg(long, default_value_t = 30)]
    invokes: usize,
    /// Threads of the CPU's kernels.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Print the best time of every step.
    #[arg(long)]
    steps: bool,
    /// Compare with the CPU interpreter.
    #[arg(long)]
    check: bool,
    /// Folder whose files input_0.bin, input_1.bin … are the inputs' bytes; the outputs are written there alike.
    #[arg(long)]
    feed: Option<PathBuf>,
    /// Further options of the delegate, key=value.
    #[arg(long = "option")]
    options: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Res<bool> {
    let before = peak_mb();
    let start = Instant::now();
    let model = Model::open(&args.model)?;
    let mut builder = Interpreter::builder(&model).threads(args.threads);
    let mut report = None;
    if args.device == "gpu" {
        let mut options = DelegateOptions::parse(args.options.iter().map(String::as_str))?;
        options.set("device", "gpu")?;
        options.set("adapter", &args.adapter)?;
        options.set("precision", &args.precision)?;
        options.time_steps = args.steps;
        let delegate = GpuDelegate::new(options)?;
        report = Some(delegate.report());
        builder = builder.delegate(Box::new(delegate));
    }
    let mut interpreter = builder.build()?;
    interpreter.allocate_tensors()?;
    let inputs = inputs(&interpreter, args.feed.as_deref())?;
    let init = milliseconds(start);
    let outputs = invoke(&mut interpreter, &inputs)?;
    let first = milliseconds(start);
    let mut times = Vec::with_capacity(args.invokes);
    for _ in 0..args.invokes {
        let begin = Instant::now();
        feed_and_invoke(&mut interpreter, &inputs)?;
        times.push(milliseconds(begin));
    }
    times.sort_by(f64::total_cmp);
    if let Some(folder) = &args.feed {
        for (i, value) in outputs.iter().enumerate() {
            std::fs::write(folder.join(format!("output_{i}.bin")), value.bytes())?;
        }
    }
    let check = if args.check { Some(check(&model, &inputs, &outputs, &args.precision)?) } else { None };
    let mut line = json!({
        "model": args.model.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
        "init_ms": init,
        "first_ms": first,
        "min_ms": times.first(),
        "median_ms": times.get(times.len() / 2),
        "num_runs": times.len(),
        "peak_mb": peak_mb(),
        "growth_mb": peak_mb().zip(before).map(|(peak, before)| peak - before),
    });
    if let Some(report) = &report {
        describe(report, args.steps, &mut line)?;
    }
    let good = check.as_ref().is_none_or(|(good, _)| *good);
    if let (Some((_, figures)), Some(object)) = (check, line.as_object_mut()) {
        object.insert("outputs".to_owned(), figures);
    }
    println!("{line}");
    Ok(good && interpreter.fallbacks().is_empty())
}

/// The most memory that this process has had so far, where the system tells.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// One value per input, from the folder, or from a fixed sequence: floats in -1..1, integers 0 or 1.
fn inputs(interpreter: &Interpreter, feed: Option<&Path>) -> Res<Vec<Value>> {
    if let Some(folder) = feed {
        let read = |(i, info): (usize, TensorInfo)| {
            let bytes = std::fs::read(folder.join(format!("input_{i}.bin")))?;
            Ok(Value::from_bytes(info.dtype, &info.shape.dims().unwrap_or_default(), &bytes)?)
        };
        return interpreter.inputs().into_iter().enumerate().map(read).collect();
    }
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let values = interpreter.inputs().into_iter().map(|info| {
        let shape = info.shape.dims().unwrap_or_default();
        let count: usize = shape.iter().product();
        Ok(match info.dtype {
            DType::Float32 => {
                let unit = |n: u32| n as f32 / 8_388_608.0 - 1.0;
                Value::f32(&shape, &(0..count).map(|_| unit(next())).collect::<Vec<_>>())?
            }
            DType::Int32 => {
                let ints: Vec<i32> = (0..count).map(|_| i32::from(next() % 2 == 1)).collect();
                Value::from_slice(DType::Int32, &shape, &ints)?
            }
            dtype @ (DType::Int8 | DType::UInt8) => {
                let bytes: Vec<u8> = (0..count).map(|_| next().to_le_bytes()[0]).collect();
                Value::from_bytes(dtype, &shape, &bytes)?
            }
            other => return Err(format!("input {} has type {other}", info.name).into()),
        })
    });
    values.collect()
}

/// Writes the inputs, as a caller with new ones does, and invokes.
fn feed_and_invoke(interpreter: &mut Interpreter, inputs: &[Value]) -> Res<()> {
    for (i, value) in inputs.iter().enumerate() {
        interpreter.input_mut(i)?.bytes_mut().copy_from_slice(value.bytes());
    }
    Ok(interpreter.invoke()?)
}

fn invoke(interpreter: &mut Interpreter, inputs: &[Value]) -> Res<Vec<Value>> {
    feed_and_invoke(interpreter, inputs)?;
    (0..interpreter.outputs().len()).map(|i| Ok(interpreter.output(i)?.clone())).collect()
}

/// Compares with the CPU interpreter; whether all outputs match, and each one's figures.
fn check(model: &Model, inputs: &[Value], outputs: &[Value], precision: &str) -> Res<(bool, serde_json::Value)> {
    let mut interpreter = Interpreter::builder(model).kernels(Kernels::Plain).build()?;
    interpreter.allocate_tensors()?;
    let expected = invoke(&mut interpreter, inputs)?;
    let tolerance = if precision == "f32" { compare::F32 } else { compare::F16 };
    let mut good = true;
    let mut rows = Vec::new();
    for (found, expected) in outputs.iter().zip(&expected) {
        match compare::compare(expected, found, &tolerance) {
            Ok(figures) => rows.push(json!(figures)),
            Err(mismatch) => {
                good = false;
                rows.push(json!(mismatch.to_string()));
            }
        }
    }
    Ok((good, rows.into()))
}

/// Adds what the delegate reports; with `steps`, prints a table of times by step and by kernel.
fn describe(report: &Arc<Mutex<Report>>, steps: bool, line: &mut serde_json::Value) -> Res<()> {
    let report = report.lock().map_err(|_| "the report is poisoned")?;
    let Some(object) = line.as_object_mut() else { return Ok(()) };
    let adapter = report.adapter.as_ref();
    object.insert("adapter".to_owned(), json!(adapter.map(|adapter| &adapter.name)));
    object.insert("driver".to_owned(), json!(adapter.map(|adapter| &adapter.driver)));
    object.insert("nodes".to_owned(), json!(report.node_count()));
    object.insert("gpu_nodes".to_owned(), json!(report.gpu_nodes()));
    object.insert("partitions".to_owned(), json!(report.partitions.len()));
    object.insert("dispatches".to_owned(), json!(report.dispatches()));
    object.insert("pipelines".to_owned(), json!(report.pipelines()));
    let arena: usize = report.partitions.iter().map(|p| p.arena_bytes).sum();
    object.insert("arena_bytes".to_owned(), json!(arena));
    if !steps {
        return Ok(());
    }
    let mut kernels: BTreeMap<&str, (usize, f64, u64)> = BTreeMap::new();
    for partition in &report.partitions {
        for (step, time) in partition.steps.iter().zip(&partition.step_times) {
            let time = time.best_ns;
            let rate = step.macs as f64 * 2.0 / time;
            let [x, y, z] = step.dispatch;
            let values: Vec<String> =
                step.variant.values.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            println!(
                "{:>9.1} us {rate:>7.2} GFLOP/s  {:<18} node {:<4} {x}x{y}x{z} {:?} {} {:?}",
                time / 1e3,
                step.kernel,
                step.nodes.first().map_or(0, |node| node.0),
                step.params,
                values.join(" "),
                step.variant.epilogue,
            );
            let sum = kernels.entry(step.kernel).or_default();
            *sum = (sum.0 + 1, sum.1 + time, sum.2 + step.macs);
        }
    }
    for (kernel, (count, time, macs)) in kernels {
        println!("{:>9.1} us {:>7.2} GFLOP/s  {count:>3} x {kernel}", time / 1e3, macs as f64 * 2.0 / time);
    }
    Ok(())
}
