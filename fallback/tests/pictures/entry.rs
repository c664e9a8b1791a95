//! The entries of `inputs/EXPECTED.json`: how an input becomes a model's, and how its outputs are read.

use std::{collections::BTreeMap, env, error::Error, fs, path::Path, path::PathBuf};

use serde_json::Value as Json;
use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::{Bytes, DType, Program};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An output's dequantised elements.
pub struct Output {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

/// The folder of the models and their known results; `None` after one line where there is none.
pub fn entries(test: &str, default: &str) -> Result<Option<(PathBuf, Vec<Json>)>> {
    let folder = PathBuf::from(env::var("TFLITE_WGPU_MODELS").unwrap_or_else(|_| default.to_owned()));
    let list = folder.join("inputs/EXPECTED.json");
    if !list.is_file() {
        println!("SKIPPED {test}: no {}; set TFLITE_WGPU_MODELS to a folder that has it", list.display());
        return Ok(None);
    }
    let entries: Vec<Json> = serde_json::from_slice(&fs::read(list)?)?;
    if entries.is_empty() { Err("no results".into()) } else { Ok(Some((folder, entries))) }
}

/// Model and input of an entry, for messages.
pub fn name(entry: &Json) -> Result<String> {
    Ok(format!("{} on {}", text(entry, "model")?, text(entry, "input")?))
}

/// The model of an entry.
pub fn model(folder: &Path, entry: &Json) -> Result<Model> {
    Ok(Model::new(Program::read(Bytes::open(folder.join(text(entry, "model")?))?)?)?)
}

fn text<'a>(entry: &'a Json, key: &str) -> Result<&'a str> {
    entry[key].as_str().ok_or_else(|| format!("no {key}").into())
}

/// What a model says of an entry's input.
pub fn run(folder: &Path, entry: &Json, model: &Model, interpreter: &mut Interpreter) -> Result<Vec<Output>> {
    let graph = model.program().subgraphs.first().ok_or("no subgraph")?;
    let input = graph.inputs.first().and_then(|id| graph.tensors.get(id.index())).ok_or("no input")?;
    let (dtype, shape) = (input.dtype, input.dims.clone());
    let samples = samples(&folder.join("inputs").join(text(entry, "input")?))?;
    interpreter.set_input(0, value(dtype, &shape, &samples, &entry["preprocess"])?)?;
    interpreter.invoke()?;
    let mut outputs = Vec::new();
    for (k, tensor) in graph.outputs.iter().enumerate() {
        let value = interpreter.output(k)?;
        let quant = graph.tensors[tensor.index()].quant.as_ref().and_then(|quant| quant.per_tensor());
        let values = match (value.to_floats(), value.to_ints(), quant) {
            (Some(floats), ..) => floats,
            (_, Some(ints), Some((scale, zero))) => {
                ints.iter().map(|&v| (v - zero) as f64 * f64::from(scale)).collect()
            }
            (_, Some(ints), None) => ints.iter().map(|&v| v as f64).collect(),
            _ => return Err(format!("output {k} is {}", value.dtype()).into()),
        };
        outputs.push(Output { shape: value.shape().to_vec(), values });
    }
    Ok(outputs)
}

/// Pixels of a picture (its channels as they are) or samples of a sound in −1..1.
fn samples(path: &Path) -> Result<Vec<f64>> {
    if path.extension().is_some_and(|extension| extension == "wav") {
        let file = fs::read(path)?;
        let start = file.windows(4).position(|word| word == b"data").ok_or("no data in the sound")? + 8;
        let (words, _) = file.get(start..).ok_or("sound is cut off")?.as_chunks::<2>();
        return Ok(words.iter().map(|&word| f64::from(i16::from_le_bytes(word)) / 32_768.0).collect());
    }
    let picture = image::open(path)?;
    Ok(picture.as_bytes().iter().map(|&byte| byte.into()).collect())
}

/// Samples as the model's input takes them.
fn value(dtype: DType, shape: &[usize], samples: &[f64], preprocess: &Json) -> Result<Value> {
    let number = |key: &str, default: f64| preprocess[key].as_f64().unwrap_or(default);
    let offset = number("offset", 0.0);
    match dtype {
        DType::Float32 => {
            let (mean, std) = (number("mean", 0.0), number("std", 1.0));
            let real = |&v: &f64| ((v - mean) / std) as f32;
            Ok(Value::f32(shape, &samples.iter().map(real).collect::<Vec<_>>())?)
        }
        DType::UInt8 => Ok(Value::from_slice(dtype, shape, &samples.iter().map(|&v| v as u8).collect::<Vec<_>>())?),
        DType::Int8 => {
            let stored: Vec<i8> = samples.iter().map(|&v| (v + offset) as i8).collect();
            Ok(Value::from_slice(dtype, shape, &stored)?)
        }
        other => Err(format!("an input of type {other}").into()),
    }
}

/// Whether outputs say what is expected of an entry; scores may differ by `tolerance`.
pub fn judge(entry: &Json, outputs: &[Output], tolerance: f64) -> Result<()> {
    let expected = &entry["litert_result"];
    let place = entry["output"].as_u64().map_or(Ok(0), usize::try_from)?;
    let output = outputs.get(place).ok_or("too few outputs")?;
    if outputs.iter().any(|output| output.values.iter().any(|v| v.is_nan())) {
        return Err("NaN in an output".into());
    }
    match text(entry, "read")? {
        "top" => {
            let class = largest(&output.values).ok_or("no classes")?;
            near("best class", class as f64, number(&expected["top"][0])?, 0.0)?;
            near("its score", output.values[class], number(&expected["scores"][0])?, tolerance)
        }
        "scores" => {
            let scores: Vec<f64> = output.values.iter().map(|v| 1.0 / (1.0 + (-v).exp())).collect();
            let anchor = largest(&scores).ok_or("no scores")?;
            near("best anchor", anchor as f64, number(&expected["best_anchor"])?, 0.0)?;
            near("its score", scores[anchor], number(&expected["score"])?, tolerance)
        }
        "class_pixels" => class_pixels(output, &expected["pixels"]),
        "detections" => detections(outputs, expected, tolerance),
        other => Err(format!("no way to read {other:?}").into()),
    }
}

fn number(json: &Json) -> Result<f64> {
    json.as_f64().ok_or_else(|| format!("{json} is no number").into())
}

fn near(what: &str, found: f64, expected: f64, tolerance: f64) -> Result<()> {
    if (found - expected).abs() <= tolerance {
        Ok(())
    } else {
        Err(format!("{what} {found}, expected {expected}").into())
    }
}

/// The first of the largest values.
fn largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b]))
}

/// Each class has as many pixels, but for one in two hundred of all.
fn class_pixels(output: &Output, expected: &Json) -> Result<()> {
    let depth = output.shape.last().copied().unwrap_or(1).max(1);
    let mut counts: BTreeMap<usize, f64> = BTreeMap::new();
    for pixel in output.values.chunks_exact(depth) {
        *counts.entry(largest(pixel).ok_or("no classes")?).or_default() += 1.0;
    }
    let tolerance = (output.values.len() / depth) as f64 / 200.0;
    for (class, count) in expected.as_object().ok_or("no pixels expected")? {
        let found = counts.remove(&class.parse()?).unwrap_or(0.0);
        near(&format!("pixels of class {class}"), found, number(count)?, tolerance)?;
    }
    counts.iter().try_for_each(|(class, &count)| near(&format!("pixels of class {class}"), count, 0.0, tolerance))
}

/// Detections with a score of at least one half.
fn detections(outputs: &[Output], expected: &Json, tolerance: f64) -> Result<()> {
    let [boxes, classes, scores, count] = outputs else { return Err("not four outputs".into()) };
    let listed = count.values.first().copied().unwrap_or(0.0) as usize;
    let kept: Vec<usize> = (0..listed.min(scores.values.len())).filter(|&i| scores.values[i] >= 0.5).collect();
    near("detections", kept.len() as f64, number(&expected["count_over_0.5"])?, 0.0)?;
    for (place, &i) in kept.iter().enumerate() {
        near("class", classes.values[i], number(&expected["classes"][place])?, 0.0)?;
        near("score", scores.values[i], number(&expected["scores"][place])?, tolerance)?;
        for side in 0..4 {
            near("side", boxes.values[4 * i + side], number(&expected["boxes"][4 * place + side])?, tolerance)?;
        }
    }
    Ok(())
}
