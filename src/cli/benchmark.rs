//! `benchmark`: times of a model, with the flags and the printed fields of TensorFlow Lite's benchmark_model.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::ArgAction;
use serde_json::{Value as Json, json};
use tflite_wgpu::{
    Model, Report, Value,
    gpu::{HostTimes, StepTime},
    options::DeviceChoice,
};

use super::{
    entry::Entry,
    failure::{Failure, InFile, Res},
    inputs::{InputArgs, Missing},
    latency::Latency,
    options::RunOptions,
    plan_view, progress, render,
    resizes::Resizes,
    session::{Loaded, Session, open_model},
};

/// Times a model: cold and warm start, invokes, kernels
#[derive(clap::Args)]
pub struct Args {
    /// The .tflite files
    #[arg(required_unless_present = "graph")]
    models: Vec<PathBuf>,
    /// A .tflite file, as benchmark_model has it
    #[arg(long)]
    graph: Vec<PathBuf>,
    /// Invokes that count, at least
    #[arg(long = "runs", alias = "num_runs", default_value_t = 30)]
    runs: usize,
    /// Invokes before, the first not among them
    #[arg(long = "warmup", alias = "warmup_runs", default_value_t = 3)]
    warmup: usize,
    /// Go on for at least this long
    #[arg(long, alias = "min_secs", default_value_t = 0.0, value_name = "SECONDS")]
    min_secs: f64,
    /// Stop after this long, however few invokes there were
    #[arg(long, alias = "max_secs", default_value_t = 150.0, value_name = "SECONDS")]
    max_secs: f64,
    /// Time every kernel too, in invokes of its own
    #[arg(long, alias = "enable_op_profiling", default_value = "true", action = ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    profile: bool,
    /// The GPU for all that it can run, or the CPU alone, as benchmark_model has it: --device gpu or cpu
    #[arg(long = "use_gpu", conflicts_with = "device", value_name = "BOOL")]
    use_gpu: Option<bool>,
    /// Names of inputs that get other shapes, as benchmark_model has them, such as image,mask
    #[arg(long = "input_layer", value_delimiter = ',', requires = "input_layer_shape", value_name = "NAMES")]
    input_layer: Vec<String>,
    /// Their shapes, such as 1,224,224,3:1,224,224,1
    #[arg(long = "input_layer_shape", value_delimiter = ':', requires = "input_layer", value_name = "SHAPES")]
    input_layer_shape: Vec<String>,
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    run: RunOptions,
}

impl Args {
    /// What the models are given, with the shapes in benchmark_model's words.
    fn inputs(&self) -> Res<InputArgs> {
        let (names, shapes) = (&self.input_layer, &self.input_layer_shape);
        if names.len() != shapes.len() {
            let found = format!("option --input_layer_shape has {} shapes", shapes.len());
            return Err(Failure::new(format!("{found}, expected {} as --input_layer has names", names.len())));
        }
        Ok(self.inputs.resized(names.iter().zip(shapes).map(|(name, shape)| format!("{name}={shape}"))))
    }

    /// Where a model runs unless `--device` says so.
    fn device(&self) -> DeviceChoice {
        match self.use_gpu {
            Some(true) => DeviceChoice::Gpu,
            Some(false) => DeviceChoice::Cpu,
            None => DeviceChoice::Auto,
        }
    }
}

/// Invokes that kernels are timed in.
const PROFILED: usize = 5;
/// Kernels in the text.
const MOST_KERNELS: usize = 12;

pub fn run(args: &Args, json: bool) -> Res<()> {
    let models: Vec<&PathBuf> = args.graph.iter().chain(&args.models).collect();
    let inputs = args.inputs()?;
    if models.len() > 1 && inputs.is_particular() {
        return Err(Failure::new("options --input, --resize and --signature belong to one model, expected one file"));
    }
    let start = Instant::now();
    let session = Session::open(&args.run, args.device())?;
    let device_ms = ms(start);
    let mut results = Vec::with_capacity(models.len());
    for model in models {
        let measured = measure(args, &inputs, model, &session).in_file(model)?;
        if !json {
            render::print(&measured.text(model, &session, device_ms))?;
        }
        results.push(measured.json(model, &session, device_ms));
    }
    if json {
        let one = if results.len() == 1 { results.pop() } else { None };
        render::print_json(&one.unwrap_or_else(|| json!(results)))?;
    }
    Ok(())
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// What was found about a model.
struct Measured {
    latency: Latency,
    /// Building again and the first invoke, with what the device and the model keep.
    warm_start_ms: f64,
    gpu_nodes: usize,
    cpu_nodes: usize,
    report: Report,
    fallbacks: Vec<String>,
    gpu_memory: Json,
    cpu_memory_bytes: usize,
    /// Nanoseconds by kernel, with the number of dispatches; the slowest first.
    kernels: Vec<Kernel>,
    host: Host,
    resizes: Option<Resizes>,
}

/// What an invoke costs the host besides kernels: the least of all runs, over all partitions, in microseconds.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
struct Host {
    upload_us: f64,
    encode_us: f64,
    encode_per_dispatch_us: f64,
    submit_us: f64,
    /// Both: what an invoke waits for that is neither a transfer nor the device's.
    own_us: f64,
    /// Recording the next invoke while the device works.
    ahead_us: f64,
    ahead_per_dispatch_us: f64,
    /// The device's work and the way there and back.
    wait_us: f64,
    read_us: f64,
}

impl Host {
    fn of(report: &Report) -> Self {
        let sum = |phase: fn(&HostTimes) -> StepTime| {
            report.partitions.iter().map(|partition| phase(&partition.host_times).best_ns / 1e3).sum::<f64>()
        };
        let [encode_us, submit_us] = [sum(|times| times.encode), sum(|times| times.submit)];
        let (ahead_us, dispatches) = (sum(|times| times.ahead), report.dispatches().max(1) as f64);
        Self {
            upload_us: sum(|times| times.upload),
            encode_us,
            encode_per_dispatch_us: encode_us / dispatches,
            submit_us,
            own_us: encode_us + submit_us,
            ahead_us,
            ahead_per_dispatch_us: ahead_us / dispatches,
            wait_us: sum(|times| times.wait),
            read_us: sum(|times| times.read),
        }
    }
}

/// A kernel's share of an invoke.
#[derive(Clone, Debug, serde::Serialize)]
struct Kernel {
    kernel: &'static str,
    dispatches: usize,
    microseconds: f64,
}

/// A built interpreter after its first invoke.
struct Started {
    loaded: Loaded,
    init_ms: f64,
    first_ms: f64,
}

fn start(session: &Session, model: &Model, entry: &Entry, inputs: &[Value]) -> Res<Started> {
    let begin = Instant::now();
    let mut loaded = session.load(model)?;
    let init_ms = ms(begin);
    let begin = Instant::now();
    entry.invoke(&mut loaded.interpreter, inputs)?;
    Ok(Started { loaded, init_ms, first_ms: ms(begin) })
}

fn measure(args: &Args, given: &InputArgs, path: &Path, session: &Session) -> Res<Measured> {
    let begin = Instant::now();
    let model = open_model(path)?;
    let read_ms = ms(begin);
    let entry = Entry::of(&model, given.signature())?;
    let inputs = given.values(&entry, Missing::Random(session.memory_limit()))?;
    let mut cold = start(session, &model, &entry, &inputs)?;
    let waited = Instant::now();
    while !cold.loaded.is_ready() && waited.elapsed().as_secs_f64() < args.max_secs {
        entry.invoke(&mut cold.loaded.interpreter, &inputs)?;
    }
    let bar = progress::bar(args.warmup + args.runs, &path.display().to_string());
    let mut invoke = || -> Res<f64> {
        let begin = Instant::now();
        entry.invoke(&mut cold.loaded.interpreter, &inputs)?;
        bar.inc(1);
        Ok(ms(begin))
    };
    let warmup = (0..args.warmup).map(|_| invoke()).collect::<Res<Vec<f64>>>()?;
    let (begin, mut runs) = (Instant::now(), Vec::new());
    let enough = |runs: usize| {
        let seconds = begin.elapsed().as_secs_f64();
        (runs >= args.runs.max(1) && seconds >= args.min_secs) || (runs > 0 && seconds >= args.max_secs)
    };
    while !enough(runs.len()) {
        runs.push(invoke()?);
    }
    bar.finish_and_clear();
    let latency = Latency::of(read_ms + cold.init_ms, cold.first_ms, &warmup, &runs);
    let loaded = &cold.loaded;
    let (gpu_nodes, all) = (loaded.gpu_nodes(), loaded.node_count());
    let (report, fallbacks) = (loaded.report(), loaded.fallbacks());
    let host = Host::of(&report);
    let (gpu_memory, cpu_memory_bytes) = (plan_view::memory(session), loaded.interpreter.memory_bytes());
    drop(cold);
    let warm = start(session, &model, &entry, &inputs)?;
    let warm_start_ms = warm.init_ms + warm.first_ms;
    drop(warm);
    let resizes = Resizes::measure(session, &model, &entry, &inputs)?;
    let kernels = if args.profile { profile(session, &model, &entry, &inputs)? } else { Vec::new() };
    let cpu_nodes = all - gpu_nodes;
    Ok(Measured {
        latency,
        warm_start_ms,
        gpu_nodes,
        cpu_nodes,
        report,
        fallbacks,
        gpu_memory,
        cpu_memory_bytes,
        kernels,
        host,
        resizes,
    })
}

/// Times kernels where the adapter has timestamps; nothing where it has none.
fn profile(session: &Session, model: &Model, entry: &Entry, inputs: &[Value]) -> Res<Vec<Kernel>> {
    let Some(device) = &session.device else { return Ok(Vec::new()) };
    let mut options = session.options.clone();
    if !device.summary.timestamps || options.set("time_steps", "true").is_err() {
        return Ok(Vec::new());
    }
    let mut loaded = session.load_with(model, &options)?;
    for _ in 0..PROFILED {
        entry.invoke(&mut loaded.interpreter, inputs)?;
    }
    Ok(by_kernel(&loaded.report()))
}

fn by_kernel(report: &Report) -> Vec<Kernel> {
    let mut sums: BTreeMap<&'static str, (usize, f64)> = BTreeMap::new();
    for row in report.profile().rows {
        let sum = sums.entry(row.kernel).or_default();
        *sum = (sum.0 + 1, sum.1 + row.time.best_ns / 1e3);
    }
    let kernel = |(kernel, (dispatches, microseconds))| Kernel { kernel, dispatches, microseconds };
    let mut kernels: Vec<Kernel> = sums.into_iter().map(kernel).collect();
    kernels.sort_by(|a, b| b.microseconds.total_cmp(&a.microseconds));
    kernels
}

impl Measured {
    fn text(&self, model: &Path, session: &Session, device_ms: f64) -> String {
        let Latency { init_ms, first_ms, warmup_avg_ms, avg_ms, .. } = self.latency;
        let adapter = session.device.as_ref().map(|device| &device.summary);
        let us = |ms: f64| format!("{:.0}", ms * 1e3);
        let mut text = format!("{}\n", model.display());
        text.push_str(&format!("adapter: {}, precision {}\n", render::adapter(adapter), session.precision()));
        text.push_str(&format!(
            "GPU nodes: {} of {} in {}, {} dispatches, {}\n",
            self.gpu_nodes,
            self.gpu_nodes + self.cpu_nodes,
            render::count(self.report.partitions.len(), "partition"),
            self.report.dispatches(),
            render::count(self.report.pipelines(), "pipeline"),
        ));
        self.fallbacks.iter().for_each(|why| text.push_str(&format!("the CPU took over: {why}\n")));
        text.push_str(&format!(
            "Inference timings in us: Init: {}, First inference: {}, Warmup (avg): {}, Inference (avg): {}\n",
            us(init_ms),
            us(first_ms),
            us(warmup_avg_ms),
            us(avg_ms),
        ));
        let l = &self.latency;
        text.push_str(&format!(
            "count={} curr={} min={} max={} avg={} std={} median={} p5={} p90={} p95={}\n",
            l.num_runs,
            us(l.last_ms),
            us(l.min_ms),
            us(l.max_ms),
            us(l.avg_ms),
            us(l.std_ms),
            us(l.median_ms),
            us(l.p5_ms),
            us(l.p90_ms),
            us(l.p95_ms),
        ));
        text.push_str(&format!(
            "start in ms: device {device_ms:.1}, cold {:.1}, warm {:.1}\n",
            init_ms + first_ms,
            self.warm_start_ms
        ));
        if let Some(switch) = &self.report.switch {
            let invokes = render::count(usize::try_from(switch.cpu_invokes).unwrap_or(usize::MAX), "invoke");
            text.push_str(&format!(
                "the CPU answered the first {invokes}, the GPU took over {:.0} ms after its device was there\n",
                switch.ready_ms
            ));
        }
        if self.report.dispatches() > 0 {
            let h = &self.host;
            text.push_str(&format!(
                "host in us, best: encode {:.1} ({:.2} a dispatch), submit {:.1}, both {:.1}; beside the device: the next invoke's \
                 encode {:.1} ({:.2} a dispatch); transfers: upload {:.1}, read {:.1}; wait for the device {:.1}\n",
                h.encode_us,
                h.encode_per_dispatch_us,
                h.submit_us,
                h.own_us,
                h.ahead_us,
                h.ahead_per_dispatch_us,
                h.upload_us,
                h.read_us,
                h.wait_us,
            ));
        }
        if let Some(resizes) = &self.resizes {
            let made = usize::try_from(resizes.pipelines).unwrap_or(usize::MAX);
            text.push_str(&format!(
                "resize in ms: first {:.2}, best {:.2}, {} made\n",
                resizes.first_ms,
                resizes.best_ms,
                render::count(made, "pipeline"),
            ));
        }
        let gpu_memory = render::bytes(self.gpu_memory["total"].as_u64().unwrap_or(0));
        text.push_str(&format!("memory: GPU {gpu_memory}, CPU {}\n", render::bytes(self.cpu_memory_bytes as u64)));
        let rows: Vec<Vec<String>> = self
            .kernels
            .iter()
            .take(MOST_KERNELS)
            .map(|k| {
                vec![format!("{:.1} us", k.microseconds), k.kernel.to_owned(), format!("{} dispatches", k.dispatches)]
            })
            .collect();
        if !rows.is_empty() {
            text.push_str("kernels by time on the device\n");
            text.push_str(&render::table(&rows));
        }
        text
    }

    fn json(&self, model: &Path, session: &Session, device_ms: f64) -> Json {
        let summary = session.device.as_ref().map(|device| &device.summary);
        json!({
            "model": model,
            "adapter": summary.map(|summary| &summary.name),
            "driver": summary.map(|summary| &summary.driver),
            "software": summary.map(|summary| summary.software),
            "precision": session.precision(),
            "latency": self.latency,
            "device_ms": device_ms,
            "cold_start_ms": self.latency.init_ms + self.latency.first_ms,
            "warm_start_ms": self.warm_start_ms,
            "gpu_nodes": self.gpu_nodes,
            "cpu_nodes": self.cpu_nodes,
            "dispatches": self.report.dispatches(),
            "pipelines": self.report.pipelines(),
            "partitions": self.report.partitions.len(),
            "fallbacks": self.fallbacks,
            "gpu_memory_bytes": self.gpu_memory["total"],
            "gpu_memory": self.gpu_memory,
            "cpu_memory_bytes": self.cpu_memory_bytes,
            "kernels": self.kernels,
            "host": self.host,
            "resizes": self.resizes,
            "switch": self.report.switch,
        })
    }
}
