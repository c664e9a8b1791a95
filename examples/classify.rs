//! Pictures in, digits out: the project's own model on the GPU, or on the CPU where there is none.
//!
//! ```text
//! classify [PICTURE...] [--device gpu|cpu] [--adapter TEXT] [--precision f16|f32]
//! ```
//!
//! Without pictures it takes the ten of `assets/digits`. A digit should be light on a dark ground and fill the picture.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Parser;
use image::imageops::FilterType;
use tflite_wgpu::{DelegateOptions, GpuDelegate, Interpreter, Kernels, Model, Report, Value, model};

type Res<T> = Result<T, Box<dyn Error>>;

/// Trained by `tools/train_digits.py`; see `assets/digits/README.md`.
const MODEL: &[u8] = include_bytes!("../assets/digits/digits_f32.tflite");
const LABELS: &str = include_str!("../assets/digits/labels.txt");
/// Largest difference of a probability between the adapter in f16 and the reference.
const AGREEMENT: f32 = 0.02;

/// Tells which digits pictures show.
#[derive(Parser)]
struct Args {
    /// Pictures (PNG, JPEG or BMP); those of assets/digits by default
    pictures: Vec<PathBuf>,
    /// Where the model runs; without an adapter, gpu means cpu, too
    #[arg(long, default_value = "gpu", value_parser = ["gpu", "cpu"])]
    device: String,
    /// Part of the adapter's name, or its position in the list of adapters
    #[arg(long, default_value = "")]
    adapter: String,
    /// How tensors are stored on the adapter
    #[arg(long, default_value = "f16", value_parser = ["f16", "f32"])]
    precision: String,
}

/// What the model says of a picture.
struct Answer {
    label: &'static str,
    probability: f32,
    /// Largest difference of a probability from the reference interpreter.
    difference: f32,
    time: Duration,
}

struct Classifier {
    interpreter: Interpreter,
    reference: Interpreter,
    report: Option<Arc<Mutex<Report>>>,
}

impl Classifier {
    /// The model with a delegate on the adapter; where there is none, it says so and the CPU runs everything.
    fn new(args: &Args) -> Res<Self> {
        let model = Model::new(model::Program::read(model::Bytes::new(MODEL))?)?;
        let mut builder = Interpreter::builder(&model);
        let mut report = None;
        if args.device == "gpu" {
            let mut options = DelegateOptions::parse(["device=gpu"])?;
            options.set("adapter", &args.adapter)?;
            options.set("precision", &args.precision)?;
            match GpuDelegate::new(options) {
                Ok(delegate) => {
                    report = Some(delegate.report());
                    builder = builder.delegate(Box::new(delegate));
                }
                Err(error) => eprintln!("{error}; the CPU runs the model"),
            }
        }
        Ok(Self {
            interpreter: builder.build()?,
            reference: Interpreter::builder(&model).kernels(Kernels::Plain).build()?,
            report,
        })
    }

    /// Reads a picture and asks both the interpreter and the reference.
    fn answer(&mut self, picture: &Path) -> Res<Answer> {
        let input = self.read(picture).map_err(|error| format!("{}: {error}", picture.display()))?;
        let start = Instant::now();
        let found = run(&mut self.interpreter, &input)?;
        let time = start.elapsed();
        let expected = run(&mut self.reference, &input)?;
        let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let difference = differences.fold(0.0, f32::max);
        let best = found.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let (class, probability) = best.ok_or("the model has no classes")?;
        let label = LABELS.lines().nth(class).ok_or("there are more classes than labels")?;
        Ok(Answer { label, probability, difference, time })
    }

    /// The picture as the model's input: grey, of the model's size, 0 to 1.
    fn read(&self, picture: &Path) -> Res<Value> {
        let inputs = self.interpreter.inputs();
        let shape = inputs.first().and_then(|input| input.shape.dims()).ok_or("the model has no input")?;
        let &[1, height, width, 1] = shape.as_slice() else { return Err("the model takes no grey picture".into()) };
        let size = (u32::try_from(width)?, u32::try_from(height)?);
        let grey = image::open(picture)?.into_luma8();
        let grey = image::imageops::resize(&grey, size.0, size.1, FilterType::Triangle);
        let pixels: Vec<f32> = grey.pixels().map(|pixel| f32::from(pixel.0[0]) / 255.0).collect();
        Ok(Value::f32(&shape, &pixels)?)
    }

    /// One line each: the adapter, and what runs there.
    fn describe(&self) -> String {
        let total = self.interpreter.model().program().subgraphs.iter().map(|graph| graph.nodes.len()).sum::<usize>();
        let Some(report) = &self.report else { return format!("adapter: none\nnodes: all {total} on the CPU") };
        let report = report.lock().unwrap_or_else(PoisonError::into_inner);
        let adapter = report.adapter.as_ref().map_or_else(
            || "none".to_owned(),
            |a| format!("{} ({}, {}, driver {})", a.name, a.kind, a.backend, a.driver),
        );
        let lost: Vec<_> = self.interpreter.fallbacks().iter().map(|fallback| fallback.reason.to_string()).collect();
        if !lost.is_empty() {
            return format!("adapter: {adapter}\nnodes: all {total} on the CPU: {}", lost.join("; "));
        }
        format!(
            "adapter: {adapter}\nnodes: {} of {total} on the adapter, in {} partition(s), {} dispatches, {} pipelines",
            report.gpu_nodes(),
            report.partitions.len(),
            report.dispatches(),
            report.pipelines()
        )
    }
}

fn run(interpreter: &mut Interpreter, input: &Value) -> Res<Vec<f32>> {
    interpreter.set_input(0, input.clone())?;
    interpreter.invoke()?;
    Ok(interpreter.output(0)?.as_slice::<f32>()?.to_vec())
}

/// The pictures of `assets/digits`, in order.
fn own_pictures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits");
    (0..10).map(|digit| folder.join(format!("digit_{digit}.png"))).collect()
}

fn main() -> ExitCode {
    match classify(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn classify(args: &Args) -> Res<()> {
    let pictures = if args.pictures.is_empty() { own_pictures() } else { args.pictures.clone() };
    let mut classifier = Classifier::new(args)?;
    let (mut difference, mut times) = (0f32, Vec::new());
    for picture in &pictures {
        let answer = classifier.answer(picture)?;
        let name = picture.file_name().unwrap_or(picture.as_os_str());
        println!("{}: {} ({:.1} %)", name.display(), answer.label, 100.0 * answer.probability);
        difference = difference.max(answer.difference);
        times.push(answer.time);
    }
    println!("{}", classifier.describe());
    println!("largest difference of a probability from the reference interpreter: {difference:.1e}");
    if let Some(first) = times.first() {
        let rest =
            times.get(1..).unwrap_or_default().iter().min().map(|best| format!(", best of the others {best:.1?}"));
        println!("time: first invoke {first:.1?}{}", rest.unwrap_or_default());
    }
    if difference > AGREEMENT {
        return Err(
            format!("the adapter disagrees with the reference by {difference}, at most {AGREEMENT} is right").into()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(device: &str, precision: &str) -> Args {
        let (device, precision) = (device.to_owned(), precision.to_owned());
        Args { pictures: own_pictures(), device, adapter: String::new(), precision }
    }

    #[test]
    fn all_ten_digits_are_told() -> Res<()> {
        for (device, precision) in [("cpu", "f32"), ("gpu", "f32"), ("gpu", "f16")] {
            let args = args(device, precision);
            let mut classifier = Classifier::new(&args)?;
            for (digit, picture) in args.pictures.iter().enumerate() {
                let answer = classifier.answer(picture)?;
                assert_eq!(answer.label, digit.to_string(), "{device} {precision}");
                assert!(answer.probability > 0.5 && answer.difference <= AGREEMENT, "{device} {precision} {digit}");
            }
            let required = std::env::var("TFLITE_WGPU_REQUIRE_GPU").as_deref() == Ok("1");
            let text = classifier.describe();
            match (&classifier.report, device) {
                (Some(_), _) => assert!(text.contains("nodes: 13 of 13 on the adapter"), "{text}"),
                (None, "gpu") if required => return Err("no adapter".into()),
                (None, _) => assert!(text.contains("all 13 on the CPU"), "{text}"),
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_no_picture_is_named() -> Res<()> {
        let mut classifier = Classifier::new(&args("cpu", "f32"))?;
        let error = classifier.answer(Path::new("no_such.png")).err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.contains("no_such.png")));
        Ok(())
    }
}
