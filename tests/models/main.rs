//! Whole float networks of other people on the CPU and the adapter, against what their own runtime computes.
//!
//! `TFLITE_WGPU_MODELS` names their folder (default `../shared/models`); `ONLY=NAME,FAMILY` chooses some, and
//! `RAISE=1` lifts the floors of `tests/expectations.toml` to what ran on the adapter.

#[path = "../common/mod.rs"]
mod common;
mod expectations;
#[path = "../../examples/conformance/golden.rs"]
mod golden;
mod judge;
#[path = "../../examples/conformance/session.rs"]
#[allow(dead_code, reason = "the example uses the rest")]
mod session;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use expectations::Expectations;
use golden::Res;
use judge::{Facts, Judged, Mode, Spec};
use serde_json::Value as Json;
use session::Session;
use tflite_wgpu::{DelegateOptions, gpu::GpuDevice};
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::TensorId;

/// Multiply-adds up to which a network takes part in the reduced set.
const REDUCED_MACS: u64 = 20_000_000;
/// Behind these a rounding difference becomes another element or order …
const CHOOSING: [&str; 9] = [
    "ARG_MAX",
    "ARG_MIN",
    "TOPK_V2",
    "NON_MAX_SUPPRESSION",
    "NON_MAX_SUPPRESSION_V4",
    "NON_MAX_SUPPRESSION_V5",
    "WHERE",
    "UNIQUE",
    "TFLite_Detection_PostProcess",
];
/// … and behind these another integer.
const DISCRETE: [&str; 14] = [
    "BUCKETIZE",
    "CAST",
    "FLOOR",
    "CEIL",
    "ROUND",
    "SIGN",
    "FLOOR_DIV",
    "FLOOR_MOD",
    "GREATER",
    "GREATER_EQUAL",
    "LESS",
    "LESS_EQUAL",
    "EQUAL",
    "NOT_EQUAL",
];

/// A network and its golden.
struct Network {
    name: String,
    folder: PathBuf,
    golden: Json,
    facts: Facts,
}

/// What one case gave.
struct Ran {
    outputs: Vec<Value>,
    checkpoints: BTreeMap<u32, Value>,
    nodes: usize,
    delegated: usize,
}

#[test]
fn networks_on_the_cpu() -> Res<()> {
    let session = Session::open(DelegateOptions::parse(["device=cpu"])?)?;
    all("networks_on_the_cpu", &session, Mode::Cpu, "")
}

#[test]
fn networks_on_the_adapter_in_f32() -> Res<()> {
    on_adapter("networks_on_the_adapter_in_f32", Mode::F32, "precision=f32")
}

#[test]
fn networks_on_the_adapter_in_f16() -> Res<()> {
    on_adapter("networks_on_the_adapter_in_f16", Mode::F16, "precision=f16")
}

fn on_adapter(test: &str, mode: Mode, precision: &str) -> Res<()> {
    let Some(device) = common::device()? else { return Ok(()) };
    let adapter = |device: &GpuDevice| format!("{} {}", device.summary.name, device.summary.driver);
    let name = adapter(&device);
    let session = Session::with_device(device, DelegateOptions::parse(["device=gpu", precision])?);
    all(test, &session, mode, &name)
}

/// The folder of networks; `None` after one line where there is none.
fn folder(test: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models");
    let folder = env::var_os("TFLITE_WGPU_MODELS").map_or_else(default, PathBuf::from);
    let is_there = folder.join("INDEX.json").is_file();
    if !is_there {
        println!("SKIPPED {test}: no models at {}; set TFLITE_WGPU_MODELS to their folder", folder.display());
    }
    is_there.then_some(folder)
}

/// Networks of kinds float and float16 with a golden of their own, in the order of their names.
fn networks(folder: &Path) -> Res<Vec<Network>> {
    let index: Vec<Json> = serde_json::from_slice(&fs::read(folder.join("INDEX.json"))?)?;
    let index: BTreeMap<&str, &Json> = index.iter().filter_map(|row| Some((row["name"].as_str()?, row))).collect();
    let only = env::var("ONLY").ok();
    let reduced = env::var_os("TFLITE_WGPU_REDUCED").is_some();
    let mut chosen = Vec::new();
    for (name, golden) in golden::read(folder)? {
        let Some(row) = index.get(name.as_str()) else { continue };
        let family = name.split('/').next().unwrap_or_default();
        let is_float = matches!(row["kind"].as_str(), Some("float" | "float16"));
        let is_wanted = only.as_ref().is_none_or(|only| only.split(',').any(|o| o == name || o == family));
        let macs = row["macs"].as_u64().unwrap_or(0);
        if !is_float || family == "micro" || !is_wanted || (reduced && macs > REDUCED_MACS) {
            continue;
        }
        let has = |list: &[&str]| {
            let tables = [&row["builtin_ops"], &row["custom_ops"]];
            tables.iter().filter_map(|table| table.as_object()).any(|ops| ops.keys().any(|op| list.contains(&&**op)))
        };
        let facts = Facts { reference: false, discrete: has(&DISCRETE) || has(&CHOOSING), choosing: has(&CHOOSING) };
        chosen.push(Network { folder: folder.to_owned(), golden, facts, name });
    }
    Ok(chosen)
}

/// Runs every network in a mode; complains about all that are wrong at once.
fn all(test: &str, session: &Session, mode: Mode, adapter: &str) -> Res<()> {
    let Some(folder) = folder(test) else { return Ok(()) };
    let expectations = Expectations::read()?;
    let (mut problems, mut judged, mut raised) = (Vec::new(), 0, BTreeMap::new());
    for network in networks(&folder)? {
        let start = Instant::now();
        let (outcome, delegated) = network.check(session, mode);
        let known = expectations.failure(&network.name, mode, adapter);
        let name = &network.name;
        println!("{name}: {:.2} s, {delegated} nodes on the adapter", start.elapsed().as_secs_f64());
        judged += 1;
        match (outcome, known) {
            (Ok(()), None) => {}
            (Ok(()), Some(reason)) => problems.push(format!("{name}: expected to fail ({reason}), and does not")),
            (Err(error), Some(reason)) => println!("{name}: known to fail ({reason}): {error}"),
            (Err(error), None) => problems.push(format!("{name}: {error}")),
        }
        if mode != Mode::Cpu {
            match expectations.floor(name) {
                None => problems.push(format!("{name}: has no floor in tests/expectations.toml")),
                Some(floor) if delegated < floor => {
                    problems.push(format!("{name}: {delegated} nodes on the adapter, expected at least {floor}"));
                }
                Some(_) => {}
            }
            raised.insert(network.name, delegated);
        }
    }
    if env::var_os("RAISE").is_some() {
        expectations::raise(&raised)?;
    }
    assert!(judged > 0, "no network ran");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

impl Network {
    /// Runs and judges all cases; gives the nodes that ran on the adapter, too.
    fn check(&self, session: &Session, mode: Mode) -> (Res<()>, usize) {
        let mut delegated = 0;
        let cases = self.golden["cases"].as_array().cloned().unwrap_or_default();
        for (number, case) in cases.iter().enumerate() {
            let outcome = self.run(session, case).and_then(|ran| {
                assert!(ran.delegated <= ran.nodes, "{}: more nodes on the adapter than there are", self.name);
                delegated = ran.delegated;
                self.judge(case, &ran, mode)
            });
            // Without a truth the runtime itself refuses the file: so may we, as long as we say why.
            let may_refuse = case["truth"].is_null();
            match outcome {
                Err(error) if may_refuse && !error.to_string().is_empty() => {}
                Err(error) => return (Err(format!("case {number}: {error}").into()), delegated),
                Ok(()) => {}
            }
        }
        (if cases.is_empty() { Err("the golden has no cases".into()) } else { Ok(()) }, delegated)
    }

    fn run(&self, session: &Session, case: &Json) -> Res<Ran> {
        let file = fs::read(self.folder.join(format!("{}.tflite", self.name)))?;
        let mut loaded = session.load(file, true)?;
        let specs = case["inputs"].as_array().cloned().unwrap_or_default();
        let mut outputs = Vec::new();
        for invocation in 0..case["invocations"].as_u64().unwrap_or(1) {
            let invocation = usize::try_from(invocation)?;
            let inputs = specs.iter().map(|spec| golden::generate(spec, invocation)).collect::<Res<Vec<_>>>()?;
            let shapes: Vec<_> = inputs.iter().map(|value| value.shape().to_vec()).enumerate().collect();
            outputs = loaded.invoke(case["signature"].as_str(), &shapes, inputs)?;
        }
        let mut checkpoints = BTreeMap::new();
        for check in case["checkpoints"].as_array().into_iter().flatten() {
            let id = u32::try_from(check["tensor"].as_u64().unwrap_or(u64::MAX))?;
            if let Some(value) = loaded.interpreter.tensor(TensorId(id)) {
                checkpoints.insert(id, value.clone());
            }
        }
        let (nodes, delegated) = loaded.counts();
        let message = loaded.fallback_message();
        if !message.is_empty() {
            return Err(format!("the CPU took over: {message}").into());
        }
        Ok(Ran { outputs, checkpoints, nodes, delegated })
    }

    fn judge(&self, case: &Json, ran: &Ran, mode: Mode) -> Res<()> {
        if case["truth"].is_null() {
            return Ok(());
        }
        let mut tensors = Vec::new();
        let golden = self.folder.join("golden").join(self.name.split('/').next().unwrap_or_default());
        let mut noise = 0.0f64;
        for spec in case["outputs"].as_array().into_iter().flatten() {
            let position = usize::try_from(spec["position"].as_u64().unwrap_or(u64::MAX))?;
            let runs = case["max_abs_difference"].as_object().into_iter().flat_map(|runs| runs.values());
            let difference = runs.filter_map(|run| run[position].as_f64()).fold(0.0, f64::max);
            let max_abs = spec["max_abs"].as_f64().unwrap_or(0.0);
            if max_abs > 1e-6 {
                noise = noise.max(difference / max_abs);
            }
            let found = ran.outputs.get(position).ok_or_else(|| format!("there is no output {position}"))?;
            let spec = Spec::read(spec, &golden, difference)?;
            tensors.push(Judged { name: format!("output {position}"), spec, found });
        }
        for spec in case["checkpoints"].as_array().into_iter().flatten() {
            let id = u32::try_from(spec["tensor"].as_u64().unwrap_or(u64::MAX))?;
            if let Some(found) = ran.checkpoints.get(&id) {
                let difference = noise.min(0.25) * spec["max_abs"].as_f64().unwrap_or(0.0);
                let spec = Spec::read(spec, &golden, difference)?;
                tensors.push(Judged { name: format!("tensor {id}"), spec, found });
            }
        }
        let facts = Facts { reference: case["truth"] == "ref", ..self.facts.clone() };
        Ok(judge::case(&tensors, mode, &facts)?)
    }
}

/// A damage to a float tensor with this many channels.
type Damage = fn(&mut [f32], usize);

/// Each must be noticed.
const DAMAGES: [(&str, Damage); 6] = [
    ("a flipped element", |x, _| {
        if let Some(largest) = x.iter_mut().max_by(|a, b| a.abs().total_cmp(&b.abs())) {
            *largest = -*largest;
        }
    }),
    ("a wrong tail", |x, _| {
        let largest = x.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        if let Some(last) = x.last_mut() {
            *last = if *last > 0.0 { -largest } else { largest };
        }
    }),
    ("a wrong channel", |x, channels| {
        let largest = x.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        x.iter_mut().step_by(channels).for_each(|v| *v += 0.5 * largest);
    }),
    ("too large by a tenth", |x, _| x.iter_mut().for_each(|v| *v *= 1.1)),
    ("NaN", |x, _| x.iter_mut().take(1).for_each(|v| *v = f32::NAN)),
    ("all zero", |x, _| x.fill(0.0)),
];

#[test]
fn damaged_results_fail() -> Res<()> {
    let Some(folder) = folder("damaged_results_fail") else { return Ok(()) };
    let session = Session::open(DelegateOptions::parse(["device=cpu"])?)?;
    let small = ["mlperf_tiny/resnet8_cifar10_float", "mlperf_tiny/ad_autoencoder_float", "mediapipe/hand_recrop"];
    let networks = networks(&folder)?;
    let mut tried = 0;
    for network in networks.iter().filter(|network| small.contains(&network.name.as_str())) {
        let case = &network.golden["cases"][0];
        let good = network.run(&session, case)?;
        for mode in [Mode::Cpu, Mode::F32, Mode::F16] {
            network.judge(case, &good, mode).map_err(|error| format!("{} {mode:?}: {error}", network.name))?;
            for (name, damage) in DAMAGES {
                let mut values = good.outputs[0].as_slice::<f32>()?.to_vec();
                let shape = good.outputs[0].shape().to_vec();
                damage(&mut values, shape.last().copied().unwrap_or(1).max(1));
                let mut outputs = good.outputs.clone();
                outputs[0] = Value::f32(&shape, &values)?;
                let damaged = Ran { outputs, checkpoints: BTreeMap::new(), ..good };
                assert!(network.judge(case, &damaged, mode).is_err(), "{name} passes: {} {mode:?}", network.name);
                tried += 1;
            }
            let none = Ran { outputs: Vec::new(), checkpoints: BTreeMap::new(), ..good };
            assert!(network.judge(case, &none, mode).is_err(), "no output passes: {} {mode:?}", network.name);
        }
    }
    assert!(tried > 0 || env::var_os("ONLY").is_some(), "no network of {small:?} is there");
    Ok(())
}
