//! Every kernel variant that lowering asks for, over all models and packs at hand, translates for every backend.
//!
//! `TFLITE_WGPU_MODELS` and `TFLITE_WGPU_CONFORMANCE` name the folders of models and packs (defaults
//! `../shared/models` and `../shared/conformance`); `TFLITE_WGPU_FULL` takes every class of adapters for each.

mod translate;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use tflite_wgpu::{
    DelegateOptions, Model,
    kernels::{self, Dialect, F16Form, Rounding},
    plan::step::Variant,
    preview,
    tuning::{AdapterClass, Tuning},
};
use translate::{Result, translate};
use zip::ZipArchive;

/// Kernels with their variants, and the dialects they are asked for in; the model that asked first.
type Asked = BTreeMap<(&'static str, Variant), (Vec<Dialect>, String)>;

const CLASSES: [AdapterClass; 6] = [
    AdapterClass::Lavapipe,
    AdapterClass::Discrete,
    AdapterClass::SwiftShader,
    AdapterClass::Integrated,
    AdapterClass::Apple,
    AdapterClass::Mobile,
];

/// Classes with typed halves where they are no software, one without any adapter's half conversions.
fn tunings() -> Vec<Tuning> {
    let full = env::var_os("TFLITE_WGPU_FULL").is_some();
    let classes = if full { &CLASSES[..] } else { &CLASSES[..2] };
    let mut all: Vec<Tuning> = classes.iter().map(|&class| Tuning::of(class, true, true)).collect();
    // As Mesa's has them: subgroups of eight lanes, and words of 64 bits.
    all.push(Tuning::of(AdapterClass::Lavapipe, false, true).with_subgroups(8, 8).with_wide_words());
    all.push(Tuning::of(AdapterClass::Integrated, false, false));
    all
}

/// Plans a model for all tunings and notes what its steps ask for; gives the number of steps.
fn ask(name: &str, bytes: &[u8], asked: &mut Asked) -> Result<usize> {
    // Files that are no models, and models that the interpreter refuses, have tests of their own.
    let Ok(model) = Model::read(bytes.to_vec()) else { return Ok(0) };
    let mut steps = 0;
    for precision in ["precision=f16", "precision=f32"] {
        let options = DelegateOptions::parse([precision])?;
        for tuning in tunings() {
            for partition in preview(&model, &options, &tuning) {
                let plan = match partition.plan {
                    Ok(plan) => plan,
                    Err(tflite_wgpu::ops::LowerError::Reason(_)) => continue,
                    Err(error) => return Err(format!("{name}: {error}").into()),
                };
                steps += plan.steps.len();
                for step in plan.steps {
                    let (dialects, _) =
                        asked.entry((step.kernel, step.variant)).or_insert_with(|| (Vec::new(), name.to_owned()));
                    if !dialects.contains(&tuning.dialect) {
                        dialects.push(tuning.dialect);
                    }
                }
            }
        }
    }
    Ok(steps)
}

/// Renders and translates what was asked for, each text once; gives the number of texts.
fn translate_all(asked: &Asked) -> Result<usize> {
    let mut texts = BTreeSet::new();
    let mut problems = Vec::new();
    for ((kernel, variant), (dialects, model)) in asked {
        let row = kernels::row(kernel).ok_or_else(|| format!("{model}: kernel {kernel} has no row"))?;
        let operands = variant.epilogue.iter().filter(|step| step.has_operand()).count();
        for dialect in dialects {
            let text = kernels::render(row, variant, *dialect)?;
            if texts.contains(&text) {
                continue;
            }
            if let Err(error) = translate(&text, row.bindings.len() + operands) {
                problems.push(format!("{kernel} for {model}, {variant:?}, {dialect:?}: {error}"));
            }
            texts.insert(text);
        }
    }
    assert!(problems.is_empty(), "{} texts:\n{}", problems.len(), problems[..problems.len().min(5)].join("\n"));
    Ok(texts.len())
}

fn folder(variable: &str, name: &str) -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    env::var_os(variable).map_or_else(default, PathBuf::from)
}

/// All `.tflite` files below a folder.
fn model_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            files.extend(model_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "tflite") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[test]
fn what_our_own_models_ask_for_translates() -> Result {
    let mut asked = Asked::new();
    for file in model_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"))? {
        ask(&file.display().to_string(), &fs::read(&file)?, &mut asked)?;
    }
    let texts = translate_all(&asked)?;
    assert!(texts > 20, "only {texts} texts");
    Ok(())
}

#[test]
fn what_whole_models_ask_for_translates() -> Result {
    let folder = folder("TFLITE_WGPU_MODELS", "models");
    if !folder.is_dir() {
        println!("SKIPPED what_whole_models_ask_for_translates: no models, set TFLITE_WGPU_MODELS to their folder");
        return Ok(());
    }
    let (mut asked, mut steps) = (Asked::new(), 0);
    for file in model_files(&folder)? {
        steps += ask(&file.display().to_string(), &fs::read(&file)?, &mut asked)?;
    }
    let texts = translate_all(&asked)?;
    println!("{steps} steps, {} variants, {texts} texts", asked.len());
    assert!(texts > 100, "only {texts} texts");
    Ok(())
}

#[test]
fn what_packs_ask_for_translates() -> Result {
    let folder = folder("TFLITE_WGPU_CONFORMANCE", "conformance");
    if !folder.is_dir() {
        println!("SKIPPED what_packs_ask_for_translates: no packs, set TFLITE_WGPU_CONFORMANCE to their folder");
        return Ok(());
    }
    let (mut asked, mut steps) = (Asked::new(), 0);
    for path in fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_none_or(|extension| extension != "zip") {
            continue;
        }
        let mut pack = ZipArchive::new(File::open(&path)?)?;
        let mut models = Vec::new();
        for name in pack.file_names() {
            let name = name?.into_owned();
            if name.ends_with(".tflite") {
                models.push(name);
            }
        }
        for name in models {
            let mut bytes = Vec::new();
            pack.by_name(&name)?.read_to_end(&mut bytes)?;
            steps += ask(&format!("{}/{name}", path.display()), &bytes, &mut asked)?;
        }
    }
    let texts = translate_all(&asked)?;
    println!("{steps} steps, {} variants, {texts} texts", asked.len());
    assert!(texts > 500, "only {texts} texts");
    Ok(())
}

#[test]
fn a_broken_text_is_noticed() -> Result {
    let row = kernels::row("norm_rows").ok_or("no such kernel")?;
    let mut asked = Asked::new();
    ask(
        "digits",
        &fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits/digits_f32.tflite"))?,
        &mut asked,
    )?;
    let ((_, variant), _) = asked.iter().find(|((kernel, _), _)| *kernel == row.name).ok_or("no softmax")?;
    let dialect = Dialect { f16: F16Form::Packed, rounding: Rounding::IntegerStore, wide: false };
    let text = kernels::render(row, variant, dialect)?;
    assert!(translate(&text, row.bindings.len()).is_ok());
    assert!(translate(&text, row.bindings.len() + 1).is_err());
    assert!(translate(&text.replace("fn ", "fm "), row.bindings.len()).is_err());
    Ok(())
}
