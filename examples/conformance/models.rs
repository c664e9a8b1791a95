//! Whole models against goldens: inputs from the golden files' generator, outputs and checkpoints as files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use half::f16;
use serde_json::{Value as Json, json};
use tflite_wgpu::npy;
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{DType, TensorId};

use crate::{
    files,
    session::{Res, Session},
};

/// Runs all goldens; gives the rows of `results.json`.
pub fn run(folder: &Path, only: &[String], session: &Session, dump: &Path) -> Res<Vec<Json>> {
    let mut rows = Vec::new();
    let chosen = |name: &str| {
        let family = name.split('/').next().unwrap_or_default();
        only.is_empty() || only.iter().any(|o| o == name || o == family)
    };
    for (name, golden) in goldens(folder)? {
        if !chosen(&name) {
            continue;
        }
        let start = Instant::now();
        let none = vec![Json::Null];
        let cases = golden["cases"].as_array().filter(|cases| !cases.is_empty()).unwrap_or(&none);
        for (i, case) in cases.iter().enumerate() {
            let out = dump.join(&name).join(i.to_string());
            rows.push(row(&name, i, case, session, folder, &out));
        }
        eprintln!("{name} {:.1} s", start.elapsed().as_secs_f64());
    }
    if only.is_empty() || only.iter().any(|o| o.starts_with("seanet_int16")) {
        seanet(folder, only, session, dump, &mut rows)?;
    }
    Ok(rows)
}

fn row(name: &str, i: usize, case: &Json, session: &Session, folder: &Path, out: &Path) -> Json {
    let mut message = String::new();
    let file = folder.join(format!("{name}.tflite"));
    let mut ending = session.guard(|| one(&file, case, session, out, &mut message));
    if ending.message.is_empty() {
        ending.message = message;
    }
    json!({
        "model": name, "case": i, "signature": case["signature"], "status": ending.status,
        "message": ending.message, "nodes": ending.nodes, "delegated": ending.delegated,
    })
}

/// All golden files by model name.
fn goldens(folder: &Path) -> Res<BTreeMap<String, Json>> {
    let golden = folder.join("golden");
    let mut all: BTreeMap<String, Json> = BTreeMap::new();
    let micro = golden.join("micro.json");
    if micro.exists() {
        all.extend(serde_json::from_slice::<BTreeMap<String, Json>>(&fs::read(micro)?)?);
    }
    for family in fs::read_dir(&golden)?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()) {
        for path in fs::read_dir(&family)?.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|extension| extension == "json") {
                let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let family = family.file_name().unwrap_or_default().to_string_lossy();
                all.insert(format!("{family}/{}", stem(&path)), serde_json::from_slice(&fs::read(&path)?)?);
            }
        }
    }
    Ok(all)
}

fn one(file: &Path, case: &Json, session: &Session, out: &Path, message: &mut String) -> Res<(usize, usize)> {
    let mut loaded = session.load(fs::read(file)?, true)?;
    let specs = case["inputs"].as_array().cloned().unwrap_or_default();
    let invocations = case["invocations"].as_u64().unwrap_or(1);
    let mut outputs = Vec::new();
    if !case.is_null() {
        for invocation in 0..invocations {
            let mut inputs = Vec::with_capacity(specs.len());
            let mut resize = Vec::with_capacity(specs.len());
            for (i, spec) in specs.iter().enumerate() {
                let value = generate(spec, usize::try_from(invocation)?)?;
                resize.push((i, value.shape().to_vec()));
                inputs.push(value);
            }
            outputs = loaded.invoke(case["signature"].as_str(), &resize, inputs)?;
        }
    }
    fs::create_dir_all(out)?;
    for (k, value) in outputs.iter().enumerate() {
        files::dump(&out.join(format!("out_{k}")), value)?;
    }
    for check in case["checkpoints"].as_array().into_iter().flatten() {
        let id = u32::try_from(check["tensor"].as_u64().unwrap_or(u64::MAX))?;
        if let Some(value) = loaded.interpreter.tensor(TensorId(id)) {
            files::dump(&out.join(format!("check_{id}")), value)?;
        }
    }
    *message = loaded.fallback_message();
    Ok(loaded.counts())
}

/// The golden input generator (GOLDEN.md).
fn generate(spec: &Json, invocation: usize) -> Res<Value> {
    let dtype = files::dtype(spec["dtype"].as_str().unwrap_or_default())?;
    let shape: Vec<usize> = serde_json::from_value(spec["shape"].clone())?;
    let seed = spec["seeds"][invocation].as_u64().ok_or("the golden has no seed for this invocation")?;
    let seed = u32::try_from(seed)?;
    let count: usize = shape.iter().product();
    let (lo, hi) = (spec["lo"].as_f64().unwrap_or(0.0), spec["hi"].as_f64().unwrap_or(0.0));
    let float = |i: usize| (lo + (hi - lo) * (f64::from(random(i, seed) >> 8) / 16_777_216.0)) as f32;
    let int = |i: usize| lo as i64 + ((u64::from(random(i, seed)) * (hi as i64 - lo as i64 + 1) as u64) >> 32) as i64;
    let ints = || (0..count).map(int);
    Ok(match dtype {
        DType::Float32 => Value::f32(&shape, &(0..count).map(float).collect::<Vec<_>>())?,
        DType::Float64 => {
            Value::from_slice(dtype, &shape, &(0..count).map(|i| f64::from(float(i))).collect::<Vec<_>>())?
        }
        DType::Float16 => {
            Value::from_slice(dtype, &shape, &(0..count).map(|i| f16::from_f32(float(i))).collect::<Vec<_>>())?
        }
        DType::Complex64 => {
            let pairs: Vec<[f32; 2]> = (0..count).map(|i| [float(2 * i), float(2 * i + 1)]).collect();
            Value::from_slice(dtype, &shape, &pairs)?
        }
        DType::Bool => {
            Value::from_slice(dtype, &shape, &(0..count).map(|i| (random(i, seed) & 1) as u8).collect::<Vec<_>>())?
        }
        DType::Int8 => Value::from_slice(dtype, &shape, &ints().map(|v| v as i8).collect::<Vec<_>>())?,
        DType::UInt8 => Value::from_slice(dtype, &shape, &ints().map(|v| v as u8).collect::<Vec<_>>())?,
        DType::Int16 => Value::from_slice(dtype, &shape, &ints().map(|v| v as i16).collect::<Vec<_>>())?,
        DType::UInt16 => Value::from_slice(dtype, &shape, &ints().map(|v| v as u16).collect::<Vec<_>>())?,
        DType::Int32 => Value::from_slice(dtype, &shape, &ints().map(|v| v as i32).collect::<Vec<_>>())?,
        DType::UInt32 => Value::from_slice(dtype, &shape, &ints().map(|v| v as u32).collect::<Vec<_>>())?,
        DType::Int64 => Value::from_slice(dtype, &shape, &ints().collect::<Vec<_>>())?,
        DType::UInt64 => Value::from_slice(dtype, &shape, &ints().map(|v| v as u64).collect::<Vec<_>>())?,
        DType::String => {
            const S: [&str; 5] = ["hello world", "the quick brown fox jumps", "", "naïve café 0.5", "a"];
            let text = |i: usize| S[(seed as usize + i) % 5].as_bytes().to_vec();
            Value::strings(&shape, (0..count).map(text).collect())?
        }
        other => return Err(format!("no generator for {other}").into()),
    })
}

fn random(i: usize, seed: u32) -> u32 {
    let start = seed.wrapping_mul(0x85eb_ca77).wrapping_add(0x1656_67b1);
    let mut x = (i as u32).wrapping_mul(0x9e37_79b1).wrapping_add(start);
    x ^= x >> 16;
    x = x.wrapping_mul(0x85eb_ca6b);
    x ^= x >> 13;
    x = x.wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

/// The single operators of seanet_int16, with their authors' inputs.
fn seanet(folder: &Path, only: &[String], session: &Session, dump: &Path, rows: &mut Vec<Json>) -> Res<()> {
    let folder = folder.join("seanet_int16");
    let list = folder.join("VECTORS.json");
    if !list.exists() {
        return Ok(());
    }
    let vectors: BTreeMap<String, Json> = serde_json::from_slice(&fs::read(list)?)?;
    for (stem, vector) in vectors {
        let name = format!("seanet_int16/{stem}");
        if !only.is_empty() && !only.contains(&name) && !only.iter().any(|o| o == "seanet_int16") {
            continue;
        }
        let out = dump.join(&name).join("0");
        let ending = session.guard(|| {
            let mut loaded = session.load(fs::read(folder.join(format!("{stem}.tflite")))?, false)?;
            let shapes: Vec<Vec<usize>> =
                loaded.interpreter.inputs().iter().map(|info| info.shape.dims().unwrap_or_default()).collect();
            let mut inputs = Vec::new();
            let files: Vec<&str> = vector["inputs"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
            for (file, shape) in files.iter().zip(&shapes) {
                let mut value = npy::read(&folder.join(file), None)?;
                value.reshape(shape)?;
                inputs.push(value);
            }
            let outputs = loaded.invoke(None, &[], inputs)?;
            fs::create_dir_all(&out)?;
            for (k, value) in outputs.iter().enumerate() {
                crate::files::dump(&out.join(format!("out_{k}")), value)?;
            }
            Ok(loaded.counts())
        });
        rows.push(json!({
            "model": name, "case": 0, "signature": null, "status": ending.status, "message": ending.message,
            "nodes": ending.nodes, "delegated": ending.delegated,
        }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::random;

    #[test]
    fn generator_gives_the_documented_numbers() {
        let first = |seed| (0..4).map(|i| random(i, seed)).collect::<Vec<_>>();
        assert_eq!(first(0), [3_170_179_127, 994_412_544, 1_453_603_349, 753_486_803]);
        assert_eq!(first(1), [1_546_124_437, 3_107_881_630, 2_626_882_865, 3_305_851_779]);
        assert_eq!(first(123_456_789), [4_156_478_501, 2_046_569_308, 450_320_712, 3_930_464_759]);
    }
}
