//! Operator packs: one zip per operator, a folder per case.

use std::{
    fs::{self, File},
    io::{BufReader, Read},
    path::Path,
};

use serde_json::{Value as Json, json};
use tflite_wgpu::npy;
use tflite_wgpu_fallback::Value;
use zip::ZipArchive;

use crate::{
    files,
    golden::{self, Res},
    session::Session,
};

type Pack = ZipArchive<BufReader<File>>;

/// Runs all cases; gives the rows of `results.json`.
pub fn run(folder: &Path, ops: &[String], session: &Session, dump: &Path) -> Res<Vec<Json>> {
    let mut packs: Vec<_> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    packs.retain(|path| path.extension().is_some_and(|extension| extension == "zip"));
    packs.sort();
    let mut rows = Vec::new();
    for path in packs {
        let op = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !ops.is_empty() && !ops.contains(&op) {
            continue;
        }
        let mut pack = ZipArchive::new(BufReader::new(File::open(&path)?))?;
        let index: Json = serde_json::from_slice(&read(&mut pack, "cases.json")?)?;
        let cases = index["cases"].as_array().ok_or("cases.json has no cases")?;
        for case in cases {
            let name = case["name"].as_str().unwrap_or_default().to_owned();
            let mut message = String::new();
            let mut ending =
                session.guard(|| one(&mut pack, case, &name, session, &dump.join(&op).join(&name), &mut message));
            if ending.message.is_empty() {
                ending.message = message;
            }
            rows.push(json!({
                "op": op, "case": name, "class": case["class"], "status": ending.status, "message": ending.message,
                "nodes": ending.nodes, "delegated": ending.delegated,
            }));
        }
    }
    Ok(rows)
}

/// The cases of floats that ran on the CPU alone: operator, case and reason, a line each.
pub fn cpu_cases(rows: &[Json]) -> String {
    let floats = |row: &&Json| matches!(row["class"].as_str(), Some("float" | "f16"));
    let stayed = |row: &&Json| row["delegated"] == 0 && row["status"] == "ran";
    let word = |row: &Json, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let line = |row: &Json| format!("{}\t{}\t{}\n", word(row, "op"), word(row, "case"), word(row, "message"));
    rows.iter().filter(floats).filter(stayed).map(line).collect()
}

fn read(pack: &mut Pack, name: &str) -> Res<Vec<u8>> {
    let mut bytes = Vec::new();
    pack.by_name(name)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn one(
    pack: &mut Pack,
    case: &Json,
    name: &str,
    session: &Session,
    out: &Path,
    message: &mut String,
) -> Res<(usize, usize)> {
    let mut loaded = session.load(read(pack, &format!("{name}/model.tflite"))?, false)?;
    let steps = case["steps"].as_array().ok_or("case has no steps")?;
    fs::create_dir_all(out)?;
    for (s, step) in steps.iter().enumerate() {
        let prefix = if steps.len() > 1 { format!("s{s}_") } else { String::new() };
        let inputs = inputs(pack, name, &prefix, step)?;
        let mut resize: Vec<(usize, Vec<usize>)> = Vec::new();
        for entry in step["resize"].as_array().into_iter().flatten() {
            resize.push(serde_json::from_value(entry.clone())?);
        }
        let outputs = loaded.invoke(step["signature"].as_str(), &resize, inputs)?;
        for (k, value) in outputs.iter().enumerate() {
            files::dump(&out.join(format!("{prefix}out_{k}")), value)?;
        }
    }
    *message = loaded.cpu_message();
    Ok(loaded.counts())
}

fn inputs(pack: &mut Pack, name: &str, prefix: &str, step: &Json) -> Res<Vec<Value>> {
    let specs = step["inputs"].as_array().ok_or("step has no inputs")?;
    let mut inputs = Vec::with_capacity(specs.len());
    for (k, spec) in specs.iter().enumerate() {
        let stem = format!("{name}/{prefix}in_{k}");
        let dtype = golden::dtype(spec["dtype"].as_str().unwrap_or_default())?;
        inputs.push(if dtype == tflite_wgpu_model::DType::String {
            files::strings(&read(pack, &format!("{stem}.json"))?)?
        } else {
            npy::read_from(read(pack, &format!("{stem}.npy"))?.as_slice(), Some(dtype))?
        });
    }
    Ok(inputs)
}
