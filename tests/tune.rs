//! The option `tune`: what was measured on the adapter is kept and used, damaged files change nothing, and every tile that
//! can be chosen computes the same.

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use common::{TestResult, device, random, run_with};
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, compare,
    gpu::{CacheDir, DeviceOptions, GpuDevice},
    plan::step::{Step, VariantValue},
    preview,
    tuning::{AdapterClass, Choice, ProductShape, Tuning},
};
use tflite_wgpu_fallback::{Interpreter, Kernels, Model, Value};
use tflite_wgpu_model::*;

const F: DType = DType::Float32;

/// A convolution of three by three taps, one of one, and a product of one row.
fn network() -> Result<(Model, Value), Box<dyn std::error::Error>> {
    let mut graph = GraphBuilder::new();
    let weights = |seed, count: usize| common::floats(seed, count).iter().map(|v| v / 16.0).collect::<Vec<f32>>();
    let x = graph.input("x", F, &[1, 8, 8, 40]);
    let filter = graph.constant_f32("filter", &[24, 3, 3, 40], &weights(2, 24 * 9 * 40));
    let conv = Op::Conv2d(Conv2DOptions { padding: Padding::Same, stride_h: 1, stride_w: 1, ..Default::default() });
    let y = graph.op(conv.clone(), &[Some(x), Some(filter)], &[("y", F, &[1, 8, 8, 24])]);
    let filter = graph.constant_f32("pointwise", &[72, 1, 1, 24], &weights(3, 72 * 24));
    let z = graph.op(conv, &[Some(y), Some(filter)], &[("z", F, &[1, 8, 8, 72])]);
    let axes = graph.constant_i32("axes", &[2], &[1, 2]);
    let mean = Op::Mean(ReducerOptions { keep_dims: false });
    let pooled = graph.op(mean, &[Some(z), Some(axes)], &[("pooled", F, &[1, 72])]);
    let filter = graph.constant_f32("head", &[31, 72], &weights(4, 31 * 72));
    let head = Op::FullyConnected(FullyConnectedOptions::default());
    let result = graph.op(head, &[Some(pooled), Some(filter)], &[("result", F, &[1, 31])]);
    graph.output(result);
    let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
    Ok((model, random(1, &[1, 8, 8, 40])?))
}

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(env::temp_dir().join(format!("tflite-wgpu-{name}-{}", std::process::id())))
    }

    /// The file of measured tiles, if there is one.
    fn tiles(&self) -> Option<PathBuf> {
        let files = fs::read_dir(&self.0).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "tiles"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The system empties its folder of temporary files anyway.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Path) -> Result<Arc<GpuDevice>, Box<dyn std::error::Error>> {
    let options = DeviceOptions { cache_dir: CacheDir::At(folder.to_owned()), ..DeviceOptions::default() };
    Ok(pollster::block_on(GpuDevice::open(&options))?)
}

/// The result of the network on a device, compared with the reference, and the steps that gave it.
fn run(device: &Arc<GpuDevice>, tune: &str) -> Result<Vec<Step>, Box<dyn std::error::Error>> {
    let (model, input) = network()?;
    let options = DelegateOptions::parse(["device=gpu", "precision=f16", tune])?;
    let delegate = GpuDelegate::with_device(Arc::clone(device), options);
    let report = delegate.report();
    let expected =
        run_with(&mut Interpreter::builder(&model).kernels(Kernels::Plain).build()?, std::slice::from_ref(&input))?;
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let found = run_with(&mut interpreter, &[input])?;
    assert!(interpreter.fallbacks().is_empty());
    compare::compare(&expected[0], &found[0], &compare::F16_OPERATOR).map_err(|e| format!("{tune}: {e}"))?;
    let report = report.lock().map_err(|_| "the report is poisoned")?;
    Ok(report.partitions.iter().flat_map(|partition| partition.steps.clone()).collect())
}

/// The network's products on this adapter.
fn products(tuning: &Tuning) -> Result<Vec<ProductShape>, Box<dyn std::error::Error>> {
    let options = DelegateOptions::parse(["precision=f16"])?;
    let previews = preview(&network()?.0, &options, tuning);
    let plans = previews.into_iter().map(|preview| preview.plan).collect::<Result<Vec<_>, _>>()?;
    Ok(plans.into_iter().flat_map(|plan| plan.products).collect())
}

/// Whether a step is what a choice says.
fn is_of(step: &Step, shape: &ProductShape, choice: &Choice) -> bool {
    let value = |wanted: &str| match step.variant.values.iter().find(|(name, _)| *name == wanted) {
        Some((_, VariantValue::Int(value))) => usize::try_from(*value).ok(),
        _ => None,
    };
    let sizes = match choice {
        Choice::Direct(tile) | Choice::Strip(tile) => [("pixels", tile.pixels), ("texels", tile.texels)],
        Choice::Staged(staged) => [("pixels", staged.pixels), ("texels", staged.texels)],
        Choice::Split(split) => [("columns", split.columns), ("split", split.lanes)],
    };
    step.kernel == choice.kernel(shape) && sizes.iter().all(|(name, size)| value(name) == Some(*size))
}

#[test]
fn tiles_are_measured_once_and_kept() -> TestResult {
    if device()?.is_none() {
        return Ok(());
    }
    let folder = Folder::new("measured");
    let first = open(&folder.0)?;
    run(&first, "tune=off")?;
    run(&first, "tune=cached")?;
    assert_eq!(folder.tiles(), None, "nothing is measured unless it is asked for");
    let now = run(&first, "tune=now")?;
    let shapes = products(&first.tuning)?;
    assert_eq!(shapes.len(), 3);
    let known = first.measured_tuning();
    assert!(shapes.iter().all(|shape| known.measured.contains_key(&known.name(shape))));
    // Another process knows them too, and plans the same without measuring.
    let second = open(&folder.0)?;
    assert_eq!(second.measured_tuning().measured, known.measured);
    assert_eq!(run(&second, "tune=cached")?, now);
    let made = second.usage.made();
    assert_eq!(run(&second, "tune=now")?, now);
    assert_eq!(second.usage.made()[2], made[2], "nothing was left to measure");
    Ok(())
}

#[test]
fn a_kept_choice_is_used() -> TestResult {
    if device()?.is_none() {
        return Ok(());
    }
    let folder = Folder::new("kept");
    let first = open(&folder.0)?;
    let shapes = products(&first.tuning)?;
    let mut other = Vec::new();
    for shape in &shapes {
        let candidates = first.tuning.candidates(shape);
        let last = candidates.last().filter(|last| candidates.first() != Some(last)).ok_or("nothing to choose")?;
        other.push((*shape, *last));
    }
    first.keep_choices(&other);
    let second = open(&folder.0)?;
    let steps = run(&second, "tune=cached")?;
    for (shape, choice) in &other {
        assert!(steps.iter().any(|step| is_of(step, shape, choice)), "{shape}: {choice} was not used");
    }
    let table = run(&second, "tune=off")?;
    for (shape, choice) in &other {
        assert!(
            !table.iter().any(|step| is_of(step, shape, choice)),
            "{shape}: {choice} was used without being asked for"
        );
    }
    Ok(())
}

#[test]
fn a_damaged_file_changes_nothing() -> TestResult {
    if device()?.is_none() {
        return Ok(());
    }
    let folder = Folder::new("damaged-tiles");
    let first = open(&folder.0)?;
    let shapes = products(&first.tuning)?;
    let best: Vec<_> =
        shapes.iter().filter_map(|shape| Some((*shape, *first.tuning.candidates(shape).last()?))).collect();
    first.keep_choices(&best);
    let table = run(&first, "tune=off")?;
    let file = folder.tiles().ok_or("no file")?;
    let whole = fs::read(&file)?;
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [&whole[..whole.len() - 1], &flipped, &[], b"not a cache"] {
        fs::write(&file, damaged)?;
        let device = open(&folder.0)?;
        assert!(device.measured_tuning().measured.is_empty());
        assert_eq!(run(&device, "tune=cached")?, table);
        // What is found next replaces it.
        device.keep_choices(&best);
        assert_eq!(fs::read(&file)?, whole);
    }
    Ok(())
}

/// Every candidate of every shape, on the adapter's own class and on one with workgroup memory.
#[test]
fn all_candidates_compute_the_same() -> TestResult {
    let Some(shared) = device()? else { return Ok(()) };
    for class in [shared.tuning.class, AdapterClass::Discrete] {
        let folder = Folder::new("candidates");
        let mut device = open(&folder.0)?;
        if class != device.tuning.class {
            Arc::get_mut(&mut device).ok_or("the device is shared")?.tuning = Tuning::of(class, false, true);
        }
        for shape in products(&device.tuning)? {
            let candidates = device.tuning.candidates(&shape);
            assert!(candidates.len() > 1, "{shape}");
            for choice in candidates {
                device.keep_choices(&[(shape, choice)]);
                let steps = run(&device, "tune=cached").map_err(|e| format!("{shape}, {choice}: {e}"))?;
                assert!(steps.iter().any(|step| is_of(step, &shape, &choice)), "{shape}: {choice}");
            }
        }
    }
    Ok(())
}
