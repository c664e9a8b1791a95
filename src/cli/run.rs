//! `run`: one invoke of a model, its outputs as text, JSON or files.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::{Value as Json, json};
use tflite_wgpu::{Model, Value, options::DeviceChoice};

use super::{
    entry::{Entry, Port},
    failure::{Failure, InFile, Res},
    inputs::{InputArgs, Missing},
    labels::{self, Class},
    options::RunOptions,
    outputs::Folder,
    render,
    session::{Loaded, Session, open_model},
};

/// Runs a model once
#[derive(clap::Args)]
pub struct Args {
    /// The .tflite file
    model: PathBuf,
    #[command(flatten)]
    inputs: InputArgs,
    /// Make up the inputs that no file is given for
    #[arg(long, help_heading = "Inputs")]
    random: bool,
    /// Write every output into this folder, as out_0.npy and so on (strings as .json)
    #[arg(long = "output-dir", alias = "output", value_name = "FOLDER", help_heading = "Outputs")]
    output_dir: Option<PathBuf>,
    /// A label in each line, instead of those in the file
    #[arg(long, value_name = "FILE", help_heading = "Outputs")]
    labels: Option<PathBuf>,
    /// Print this many of the best classes of a classification
    #[arg(long, value_name = "K", help_heading = "Outputs")]
    top: Option<usize>,
    #[command(flatten)]
    run: RunOptions,
}

/// Classes that are printed unless `--top` says otherwise.
const TOP: usize = 5;

pub fn run(args: &Args, json: bool) -> Res<()> {
    let folder = args.output_dir.as_deref().map(Folder::prepare).transpose()?;
    let given = args.labels.as_deref().map(labels::read).transpose()?;
    let model = open_model(&args.model)?;
    let entry = Entry::of(&model, args.inputs.signature()).in_file(&args.model)?;
    let missing = if args.random { Missing::Random(args.run.memory_limit()) } else { Missing::Refused };
    let inputs = args.inputs.values(&entry, missing).in_file(&args.model)?;
    let session = Session::open(&args.run, DeviceChoice::Auto)?;
    let mut loaded = session.load(&model).in_file(&args.model)?;
    let start = Instant::now();
    let values = entry.invoke(&mut loaded.interpreter, &inputs).in_file(&args.model)?;
    let invoke_ms = start.elapsed().as_secs_f64() * 1e3;
    let files = match folder {
        Some(folder) => {
            let stems: Vec<_> = values.iter().enumerate().map(|(i, value)| (format!("out_{i}"), value)).collect();
            folder.write(&stems)?
        }
        None => Vec::new(),
    };
    let mut shown = Vec::with_capacity(values.len());
    for (port, value) in entry.outputs.iter().zip(&values) {
        let classes = classes(args, &model, &entry, port, value, given.as_deref())?;
        shown.push(Shown { port, value, classes });
    }
    if json {
        render::print_json(&as_json(&args.model, &session, &loaded, invoke_ms, &shown, &files))?;
    } else {
        render::print(&as_text(&session, &loaded, invoke_ms, &shown, &files))?;
    }
    match loaded.report().validation().and_then(|validation| validation.difference) {
        Some(difference) => Err(Failure::new(format!("{difference}, by the reference"))).in_file(&args.model),
        None => Ok(()),
    }
}

/// An output with what is shown of it.
struct Shown<'a> {
    port: &'a Port,
    value: &'a Value,
    classes: Option<Vec<Class>>,
}

/// The best classes of an output, where it is a classification or the user says so.
fn classes(
    args: &Args,
    model: &Model,
    entry: &Entry,
    port: &Port,
    value: &Value,
    given: Option<&[String]>,
) -> Res<Option<Vec<Class>>> {
    let packed = if given.is_none() { labels::packed(&args.model, port)? } else { None };
    let labels = given.or(packed.as_deref());
    let graph = model.program().graph(entry.subgraph);
    let made_by = graph.is_some_and(|graph| labels::is_classification(graph, port));
    let wanted = labels.is_some() || args.top.is_some() || made_by;
    Ok(if wanted { labels::best(value, port, labels, args.top.unwrap_or(TOP)) } else { None })
}

fn as_text(session: &Session, loaded: &Loaded, invoke_ms: f64, outputs: &[Shown<'_>], files: &[PathBuf]) -> String {
    let adapter = session.device.as_ref().map(|device| &device.summary);
    let (gpu, all, partitions) = (loaded.gpu_nodes(), loaded.node_count(), loaded.report().partitions.len());
    let mut text = format!("adapter: {}\n", render::adapter(adapter));
    let partitions = render::count(partitions, "partition");
    text.push_str(&format!("{gpu} of {} on the GPU in {partitions}, {invoke_ms:.1} ms\n", render::count(all, "node")));
    loaded.fallbacks().iter().for_each(|why| text.push_str(&format!("the CPU took over: {why}\n")));
    if let Some(validation) = loaded.report().validation() {
        let worst = validation.worst.map_or(String::new(), |worst| format!(", largest error {:.3e}", worst.max_abs));
        let (checked, failed) = (validation.checked, validation.failed);
        text.push_str(&format!("compared with the reference: {checked} times, {failed} failed{worst}\n"));
    }
    for (i, Shown { port, value, classes }) in outputs.iter().enumerate() {
        let shape = render::dims(value.shape());
        text.push_str(&format!("output {i} {:?} {} {shape}{}\n", port.name, value.dtype(), extent(value)));
        if let Some(classes) = classes {
            let row = |class: &Class| {
                let label = class.label.clone().unwrap_or_default();
                vec![format!("{:.4}", class.score), class.index.to_string(), label]
            };
            text.push_str(&render::table(&classes.iter().map(row).collect::<Vec<_>>()));
        } else if (1..=MOST_ELEMENTS).contains(&value.len()) {
            text.push_str(&format!("  {}\n", elements(value)));
        }
    }
    files.iter().for_each(|file| text.push_str(&format!("written: {}\n", file.display())));
    text
}

/// Outputs of up to this many elements are printed as they are.
const MOST_ELEMENTS: usize = 16;

fn elements(value: &Value) -> String {
    if let Ok(strings) = value.as_strings() {
        return strings.iter().map(|s| format!("{:?}", String::from_utf8_lossy(s))).collect::<Vec<_>>().join(" ");
    }
    let floats = value.to_floats().map(|list| list.iter().map(|v| format!("{v:.6}")).collect::<Vec<_>>());
    let ints = || value.to_ints().map(|list| list.iter().map(i64::to_string).collect());
    floats.or_else(ints).unwrap_or_default().join(" ")
}

/// Least, greatest and mean value of numbers.
fn figures(value: &Value) -> Option<(f64, f64, f64)> {
    let numbers = value.to_floats().or_else(|| Some(value.to_ints()?.into_iter().map(|v| v as f64).collect()))?;
    if numbers.is_empty() {
        return None;
    }
    let (low, high) = numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
    Some((low, high, numbers.iter().sum::<f64>() / numbers.len() as f64))
}

fn extent(value: &Value) -> String {
    figures(value).map(|(low, high, mean)| format!(" from {low:.6} to {high:.6}, mean {mean:.6}")).unwrap_or_default()
}

fn as_json(
    model: &Path,
    session: &Session,
    loaded: &Loaded,
    invoke_ms: f64,
    outputs: &[Shown<'_>],
    files: &[PathBuf],
) -> Json {
    let output = |(i, shown): (usize, &Shown<'_>)| {
        let figures = figures(shown.value);
        json!({
            "name": shown.port.name,
            "dtype": shown.value.dtype().name(),
            "shape": shown.value.shape(),
            "min": figures.map(|f| f.0),
            "max": figures.map(|f| f.1),
            "mean": figures.map(|f| f.2),
            "top": shown.classes,
            "file": files.get(i),
        })
    };
    json!({
        "model": model,
        "adapter": session.device.as_ref().map(|device| &device.summary),
        "precision": session.precision(),
        "gpu_nodes": loaded.gpu_nodes(),
        "cpu_nodes": loaded.node_count() - loaded.gpu_nodes(),
        "partitions": loaded.report().partitions.len(),
        "fallbacks": loaded.fallbacks(),
        "invoke_ms": invoke_ms,
        "validation": loaded.report().validation().map(|validation| json!({
            "checked": validation.checked,
            "failed": validation.failed,
            "max_abs": validation.worst.map(|worst| worst.max_abs),
            "difference": validation.difference.map(|difference| difference.to_string()),
        })),
        "outputs": outputs.iter().enumerate().map(output).collect::<Vec<_>>(),
    })
}
