//! `verify`: the GPU against the reference, end to end and step by step.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};
use tflite_wgpu::{
    compare::{Figures, Mismatch},
    gpu::GpuDevice,
    model::NodeId,
    options::{DeviceChoice, Perturb},
    verify::{self, Check, StepCheck, Verification},
};

use super::{
    entry::Entry,
    failure::{Failure, InFile, Res},
    inputs::{InputArgs, Missing},
    options::RunOptions,
    outputs::Folder,
    progress, render,
    session::{Session, open_model},
};

/// Compares the GPU with the reference: all outputs, and every step by itself
#[derive(clap::Args)]
pub struct Args {
    /// .tflite files, or folders of them
    #[arg(required = true, value_name = "MODEL|FOLDER")]
    models: Vec<PathBuf>,
    /// Print the figures of every step
    #[arg(long)]
    per_node: bool,
    /// Where tensors that differ are written; a folder for temporary files by default
    #[arg(long, value_name = "FOLDER")]
    failures: Option<PathBuf>,
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    run: RunOptions,
    /// Makes the last kernel of this node wrong, for tests that it is found
    #[arg(long, hide = true)]
    perturb: Option<u32>,
}

/// How the verification of a model ended.
enum Outcome {
    Matches(Verification),
    /// With what is off, in one line, and where the tensors are.
    Differs(Verification, String, PathBuf),
    /// No node of it runs on the GPU.
    Nothing(Verification),
    Failed(Failure),
}

pub fn run(args: &Args, json: bool) -> Res<()> {
    let models = models(&args.models)?;
    if models.len() > 1 && args.inputs.is_particular() {
        return Err(Failure::new("options --input, --resize and --signature belong to one model, expected one file"));
    }
    let mut session = Session::open(&args.run, DeviceChoice::Gpu)?;
    session.options.perturb = args.perturb.map(|node| Perturb::Node(NodeId(node)));
    let mut outcomes = Vec::with_capacity(models.len());
    for model in &models {
        let outcome = one(args, model, &session).unwrap_or_else(|failure| Outcome::Failed(failure.in_file(model)));
        if !json {
            render::print(&outcome.text(model, &session, args.per_node))?;
        }
        outcomes.push(outcome);
    }
    if json {
        let all: Vec<Json> = models.iter().zip(&outcomes).map(|(model, o)| o.json(model, &session)).collect();
        render::print_json(&json!({ "models": all }))?;
    }
    verdict(&models, outcomes)
}

/// The models themselves, and those in folders, however deep.
fn models(paths: &[PathBuf]) -> Res<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        let mut open = vec![path.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).in_file(&folder)? {
                let path = entry.in_file(&folder)?.path();
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|extension| extension == "tflite") {
                    found.push(path);
                }
            }
        }
        if found.len() == before {
            return Err(Failure::new("holds no .tflite file, expected one or more").in_file(path));
        }
        found[before..].sort();
    }
    Ok(found)
}

fn one(args: &Args, path: &Path, session: &Session) -> Res<Outcome> {
    let model = open_model(path)?;
    let entry = Entry::of(&model, args.inputs.signature())?;
    let inputs = args.inputs.values(&entry, Missing::Random(session.memory_limit()))?;
    let Some(device) = &session.device else { return Ok(Outcome::Nothing(Verification::default())) };
    let bar = progress::bar(0, &path.display().to_string());
    let call = entry.call(&inputs);
    let configure = |builder| session.configure(builder);
    let found = verify::verify(&model, device, &session.options, configure, &call, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let found = found?;
    if found.passed() {
        return Ok(if found.compared() { Outcome::Matches(found) } else { Outcome::Nothing(found) });
    }
    let name = path.file_stem().unwrap_or_default();
    let folder = args.failures.clone().unwrap_or_else(|| std::env::temp_dir().join("tflite-wgpu-failures"));
    let folder = folder.join(name);
    leave(&folder, &found, device)?;
    let line = what_is_off(&found);
    Ok(Outcome::Differs(found, line, folder))
}

/// Writes the tensors that differ: the outputs, and the first step that is off, with the step as text.
fn leave(folder: &Path, found: &Verification, device: &GpuDevice) -> Res<()> {
    let mut values = Vec::new();
    let mut add = |name: String, check: &'_ Check| {
        if let Some(pair) = check.pair.clone() {
            let (reference, result) = *pair;
            values.push((format!("{name}_reference"), reference));
            values.push((format!("{name}_found"), result));
        }
    };
    for (i, output) in found.outputs.iter().enumerate() {
        add(format!("output_{i}"), &output.check);
    }
    let first = found.first_off();
    if let Some(step) = first {
        add("step".to_owned(), if step.isolated.passed() { &step.chained } else { &step.isolated });
    }
    let values: Vec<_> = values.iter().map(|(name, value)| (name.clone(), value)).collect();
    Folder::prepare(folder)?.write(&values)?;
    let planned = first.and_then(|step| found.report.partitions.get(step.partition)?.steps.get(step.step));
    let text = format!("{}\n{}\n{planned:#?}\n", device.summary, what_is_off(found));
    let file = folder.join("step.txt");
    fs::write(&file, text).in_file(&file)
}

/// The first thing that is off, in one line.
fn what_is_off(found: &Verification) -> String {
    if let Some(step) = found.first_off() {
        let check = if step.isolated.passed() { &step.chained } else { &step.isolated };
        let how = if step.isolated.passed() { "after the steps before it" } else { "by itself" };
        let mismatch = check.outcome.as_ref().err().map(Mismatch::to_string).unwrap_or_default();
        return format!("{}: tensor {:?} {mismatch} ({how})", place(step), step.name);
    }
    let off =
        found.outputs.iter().find_map(|o| Some(format!("output {:?} {}", o.name, o.check.outcome.as_ref().err()?)));
    off.unwrap_or_else(|| "nothing".to_owned())
}

/// The nodes of a step, else its kernel.
fn place(step: &StepCheck) -> String {
    let subgraph = if step.subgraph.0 == 0 { String::new() } else { format!("subgraph {} ", step.subgraph) };
    let nodes: Vec<String> = step.nodes.iter().map(|(id, op)| format!("node {id} {op}")).collect();
    if nodes.is_empty() {
        format!("{subgraph}transfer {}", step.kernel)
    } else {
        format!("{subgraph}{}", nodes.join(" + "))
    }
}

/// Status 0 unless something differs or fails, or nothing was compared.
fn verdict(models: &[PathBuf], outcomes: Vec<Outcome>) -> Res<()> {
    let compared = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Matches(_)));
    let many = models.len() > 1;
    let mut wrong = Vec::new();
    for (model, outcome) in models.iter().zip(outcomes) {
        match outcome {
            Outcome::Matches(_) | Outcome::Nothing(_) => {}
            Outcome::Differs(_, line, folder) => {
                let tensors = format!("(tensors and step: {})", folder.display());
                wrong.push(Failure::new(format!("{line} {tensors}")).in_file(model));
            }
            Outcome::Failed(failure) => wrong.push(failure),
        }
    }
    match (wrong.len(), wrong.into_iter().next()) {
        (count, Some(first)) if many => Err(Failure::new(format!("{count} of {} models: first {first}", models.len()))),
        (_, Some(first)) => Err(first),
        (_, None) if compared => Ok(()),
        _ => {
            let nothing =
                Failure::new("nothing was compared: no node runs on the GPU, expected one or more (inspect --plan)");
            Err(models.first().filter(|_| !many).map_or(nothing.clone(), |model| nothing.in_file(model)))
        }
    }
}

fn figures_text(figures: &Figures) -> String {
    format!(
        "max abs {:.2e} of {:.2e}, max rel {:.2e}, mean {:.2e}, SNR {:.1} dB, cosine {:.6}",
        figures.max_abs, figures.scale, figures.max_rel, figures.mean_abs, figures.snr_db, figures.cosine
    )
}

fn check_text(check: &Check) -> String {
    match &check.outcome {
        Ok(figures) => format!("ok, {}", figures_text(figures)),
        Err(mismatch) => format!("MISMATCH, {mismatch}"),
    }
}

fn check_json(check: &Check) -> Json {
    json!({
        "passed": check.passed(),
        "figures": check.figures(),
        "mismatch": check.outcome.as_ref().err().map(Mismatch::to_string),
    })
}

fn step_json(step: &StepCheck) -> Json {
    json!({
        "subgraph": step.subgraph.0,
        "partition": step.partition,
        "step": step.step,
        "kernel": step.kernel,
        "nodes": step.nodes.iter().map(|(id, op)| json!({ "node": id.0, "op": op })).collect::<Vec<_>>(),
        "tensor": step.tensor.0,
        "name": step.name,
        "isolated": check_json(&step.isolated),
        "chained": check_json(&step.chained),
    })
}

impl Outcome {
    fn verification(&self) -> Option<&Verification> {
        match self {
            Self::Matches(found) | Self::Differs(found, ..) | Self::Nothing(found) => Some(found),
            Self::Failed(_) => None,
        }
    }

    fn status(&self) -> &'static str {
        match self {
            Self::Matches(_) => "ok",
            Self::Differs(..) => "mismatch",
            Self::Nothing(_) => "nothing on the GPU",
            Self::Failed(_) => "failed",
        }
    }

    fn text(&self, model: &Path, session: &Session, per_node: bool) -> String {
        let Some(found) = self.verification() else { return format!("{}: failed\n", model.display()) };
        let mut text = format!("{}: {}\n", model.display(), self.status());
        let adapter = session.device.as_ref().map(|device| &device.summary);
        text.push_str(&format!("  adapter: {}, precision {}\n", render::adapter(adapter), session.precision()));
        let (gpu, all) = (found.report.gpu_nodes(), found.report.node_count());
        let partitions = render::count(found.report.partitions.len(), "partition");
        text.push_str(&format!("  {gpu} of {} on the GPU in {partitions}\n", render::count(all, "node")));
        for (i, output) in found.outputs.iter().enumerate() {
            text.push_str(&format!("  output {i} {:?}: {}\n", output.name, check_text(&output.check)));
        }
        let alone = found.steps.iter().filter(|step| step.isolated.passed()).count();
        let chained = found.steps.iter().filter(|step| step.chained.passed()).count();
        let steps = render::count(found.steps.len(), "step");
        text.push_str(&format!("  of {steps} {alone} match by themselves, {chained} after those before them\n"));
        found.unchecked.iter().for_each(|why| text.push_str(&format!("  steps not checked: {why}\n")));
        found.fallbacks.iter().for_each(|why| text.push_str(&format!("  the CPU took over: {why}\n")));
        if per_node {
            let row = |step: &StepCheck| {
                let place = format!("{}.{}", step.partition, step.step);
                vec![
                    place,
                    self::place(step),
                    step.kernel.to_owned(),
                    check_text(&step.isolated),
                    check_text(&step.chained),
                ]
            };
            text.push_str(&render::table(&found.steps.iter().map(row).collect::<Vec<_>>()));
        }
        if let Self::Differs(_, line, folder) = self {
            text.push_str(&format!("  first that is off: {line}\n  tensors and step: {}\n", folder.display()));
        }
        text
    }

    fn json(&self, model: &Path, session: &Session) -> Json {
        let found = self.verification();
        let outputs = found.map(|f| {
            let output = |o: &verify::OutputCheck| json!({ "name": o.name, "check": check_json(&o.check) });
            f.outputs.iter().map(output).collect::<Vec<_>>()
        });
        let (off, folder, failure) = match self {
            Self::Differs(_, line, folder) => (Some(line), Some(folder), None),
            Self::Failed(failure) => (None, None, Some(failure.to_string())),
            _ => (None, None, None),
        };
        json!({
            "model": model,
            "status": self.status(),
            "adapter": session.device.as_ref().map(|device| &device.summary),
            "precision": session.precision(),
            "gpu_nodes": found.map(|f| f.report.gpu_nodes()),
            "cpu_nodes": found.map(|f| f.report.node_count() - f.report.gpu_nodes()),
            "outputs": outputs,
            "steps": found.map(|f| f.steps.iter().map(step_json).collect::<Vec<_>>()),
            "fallbacks": found.map(|f| &f.fallbacks),
            "unchecked": found.map(|f| &f.unchecked),
            "first_off": off,
            "first_off_nodes": found.and_then(|f| Some(f.first_off()?.nodes.iter().map(|(id, _)| id.0).collect::<Vec<_>>())),
            "failures": folder,
            "error": failure,
        })
    }
}
