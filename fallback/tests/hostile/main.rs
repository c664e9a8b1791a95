//! Hostile input: every conformance model with one field at a time damaged, and with hostile values of its inputs. What
//! the reader, the builder and the kernels make of it is an error or a result, never a panic or an endless loop, and
//! memory stays within the limit.
//!
//! `TFLITE_WGPU_CONFORMANCE` names the folder of the packs, `PACKS=ADD,SUB` chooses some.
//! `TFLITE_WGPU_HOSTILE=all` runs every variant, a number one of so many; `TFLITE_WGPU_HOSTILE_TRACE=FILE` keeps the name
//! of the variant that is running in a file, for those that take the process with them.

mod damage;
mod file;
#[path = "../packs/npy.rs"]
mod npy;
mod program;
mod run;
mod sweep;
mod values;

use std::{env, error::Error, fs, io::Read, path::PathBuf};

use serde_json::Value as Json;
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::DType;

use run::{Case, Step};
use sweep::Sweep;

type Archive = zip::ZipArchive<fs::File>;

/// One of so many variants runs by default.
const SHARE: u64 = 149;

#[test]
fn damaged_models_end_in_an_error_or_a_result() -> Result<(), Box<dyn Error>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance");
    let folder = PathBuf::from(env::var("TFLITE_WGPU_CONFORMANCE").unwrap_or_else(|_| default.to_owned()));
    if !folder.is_dir() {
        println!("SKIPPED hostile: no packs at {}; set TFLITE_WGPU_CONFORMANCE to their folder", folder.display());
        return Ok(());
    }
    let share = match env::var("TFLITE_WGPU_HOSTILE").ok().as_deref() {
        None => SHARE,
        Some("all") => 1,
        Some(number) => number.parse()?,
    };
    let chosen = env::var("PACKS").ok();
    let mut packs: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    packs.retain(|path| path.extension().is_some_and(|extension| extension == "zip"));
    packs.sort();
    let mut sweep = Sweep::new(share, env::var_os("TFLITE_WGPU_HOSTILE_TRACE").map(PathBuf::from))?;
    for path in packs {
        let op = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if chosen.as_ref().is_some_and(|chosen| !chosen.split(',').any(|name| name == op)) {
            continue;
        }
        for case in cases(&op, &path)? {
            sweep.case(&case);
        }
    }
    sweep.finish()
}

/// The cases of a pack.
fn cases(op: &str, path: &PathBuf) -> Result<Vec<Case>, Box<dyn Error>> {
    let mut archive = Archive::new(fs::File::open(path)?)?;
    let head: Json = serde_json::from_slice(&entry(&mut archive, "cases.json")?)?;
    let mut cases = Vec::new();
    for case in head["cases"].as_array().ok_or("no cases")? {
        let name = case["name"].as_str().ok_or("case without a name")?;
        let list = case["steps"].as_array().ok_or("no steps")?;
        let mut steps = Vec::new();
        for (index, step) in list.iter().enumerate().take(2) {
            let prefix = if list.len() == 1 { format!("{name}/in") } else { format!("{name}/s{index}_in") };
            let inputs = inputs(&mut archive, &step["inputs"], &prefix)?;
            steps.push(Step { signature: step["signature"].as_str().map(str::to_owned), inputs });
        }
        let bytes = entry(&mut archive, &format!("{name}/model.tflite"))?;
        cases.push(Case { name: format!("{op}/{name}"), bytes, steps, hybrid: case["class"] == "hybrid" });
    }
    Ok(cases)
}

fn inputs(archive: &mut Archive, list: &Json, prefix: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let read = |(k, tensor): (usize, &Json)| {
        let dtype = npy::dtype(tensor["dtype"].as_str().unwrap_or_default())?;
        if dtype == DType::String {
            return npy::read_strings(&entry(archive, &format!("{prefix}_{k}.json"))?);
        }
        npy::read(dtype, &entry(archive, &format!("{prefix}_{k}.npy"))?)
    };
    list.as_array().ok_or("step without inputs")?.iter().enumerate().map(read).collect()
}

fn entry(archive: &mut Archive, name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    archive.by_name(name).map_err(|error| format!("{name}: {error}"))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
