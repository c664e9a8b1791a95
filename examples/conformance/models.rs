//! Whole models against goldens: inputs from the golden files' generator, outputs and checkpoints as files.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use serde_json::{Value as Json, json};
use tflite_wgpu::npy;
use tflite_wgpu_model::TensorId;

use crate::{
    files,
    golden::{self, Res},
    session::Session,
};

/// Runs all goldens; gives the rows of `results.json`.
pub fn run(folder: &Path, only: &[String], session: &Session, dump: &Path) -> Res<Vec<Json>> {
    let mut rows = Vec::new();
    let chosen = |name: &str| {
        let family = name.split('/').next().unwrap_or_default();
        only.is_empty() || only.iter().any(|o| o == name || o == family)
    };
    for (name, golden) in golden::read(folder)? {
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

/// Networks that ran with nodes on the CPU: name, nodes on the GPU, nodes and reasons, a line each.
pub fn cpu_networks(rows: &[Json]) -> String {
    let part = |row: &&Json| row["status"] == "ran" && row["case"] == 0 && row["delegated"] != row["nodes"];
    let word = |row: &Json, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let line = |row: &Json| {
        format!("{}\t{}\t{}\t{}\n", word(row, "model"), row["delegated"], row["nodes"], word(row, "message"))
    };
    rows.iter().filter(part).map(line).collect()
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
                let value = golden::generate(spec, usize::try_from(invocation)?)?;
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
    *message = loaded.cpu_message();
    Ok(loaded.counts())
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
