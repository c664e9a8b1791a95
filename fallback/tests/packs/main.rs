//! The conformance packs through the reference kernels: every case, judged with the packs' tolerances.
//!
//! `TFLITE_WGPU_CONFORMANCE` names the folder of the packs, `PACKS=ADD,SUB` chooses some, `LIST=20` prints failures.
//! `floors.txt` says how many cases of a pack pass at least; `RAISE=1` writes what passes now where it is more.

mod judge;
mod npy;
mod run;
mod types;

use std::{collections::BTreeMap, env, error::Error, fs, io::Read, path::PathBuf};

use serde_json::Value as Json;
use tflite_wgpu_fallback::{Interpreter, Kernels, Model, Value, kernels::Hybrid};
use tflite_wgpu_model::{Bytes, Program};

use run::Stop;

type Archive = zip::ZipArchive<fs::File>;

/// What became of the cases of a pack.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    unsupported: Vec<String>,
}

/// The folder of the packs, if it is there.
fn folder() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance");
    let folder = PathBuf::from(env::var("TFLITE_WGPU_CONFORMANCE").unwrap_or_else(|_| default.to_owned()));
    if !folder.is_dir() {
        println!("SKIPPED packs: no packs at {}; set TFLITE_WGPU_CONFORMANCE to their folder", folder.display());
        return None;
    }
    Some(folder)
}

/// `RAISE=1` writes the table.
#[test]
fn the_table_of_types_is_what_the_kernels_take() -> Result<(), Box<dyn Error>> {
    let Some(folder) = folder() else { return Ok(()) };
    let mut asked: BTreeMap<String, types::Asked> = BTreeMap::new();
    for (op, _) in read_floors()? {
        let path = folder.join(format!("{op}.zip"));
        let mut archive = Archive::new(fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?)?;
        let head: Json = serde_json::from_slice(&file(&mut archive, "cases.json")?)?;
        for case in head["cases"].as_array().ok_or("no cases")? {
            let name = case["name"].as_str().ok_or("case without a name")?;
            let model = Model::read(file(&mut archive, &format!("{name}/model.tflite"))?)?;
            let steps = case["steps"].as_array().map_or(0, Vec::len);
            let prefix = if steps == 1 { format!("{name}/in") } else { format!("{name}/s0_in") };
            let inputs = tensors(&mut archive, &case["steps"][0]["inputs"], &prefix)?;
            if let Some(probe) = types::Probe::new(&model, &inputs) {
                let one = &model.program().subgraphs[0].nodes[0].op;
                if !tflite_wgpu_fallback::is_interpreted(one) {
                    asked.entry(probe.op().to_owned()).or_default().ask(&probe);
                }
            }
        }
    }
    assert!(!asked.is_empty(), "no kernel was asked");
    types::compare(&asked, env::var_os("RAISE").is_some())
}

#[test]
fn packs() -> Result<(), Box<dyn Error>> {
    let Some(folder) = folder() else { return Ok(()) };
    let chosen = env::var("PACKS").ok();
    let list = env::var("LIST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut floors = read_floors()?;
    let (mut problems, mut passed) = (Vec::new(), 0);
    for (op, floor) in &mut floors {
        if chosen.as_ref().is_some_and(|chosen| !chosen.split(',').any(|name| name == op)) {
            continue;
        }
        let tally = pack(folder.join(format!("{op}.zip")), Kernels::Fast, 1)?;
        println!(
            "{op}: {} passed, {} failed, {} unsupported",
            tally.passed,
            tally.failed.len(),
            tally.unsupported.len()
        );
        tally.failed.iter().chain(&tally.unsupported).take(list).for_each(|line| println!("    {line}"));
        if tally.passed < *floor {
            problems.push(format!("{op}: {} passed, expected at least {floor}", tally.passed));
        }
        *floor = tally.passed.max(*floor);
        passed += tally.passed;
    }
    println!("{passed} cases passed");
    assert!(passed > 0, "no case ran");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    if env::var_os("RAISE").is_some() {
        let lines: Vec<_> = floors.iter().map(|(op, floor)| format!("{op} {floor}\n")).collect();
        fs::write(FLOORS, lines.concat())?;
    }
    Ok(())
}

/// One of so many cases of a pack runs on the plain kernels too; `PLAIN=1` takes all.
const PLAIN_STEP: usize = 8;

/// Fast kernels fall back to plain ones, so that a case that passes may have asked neither of them for all it has.
#[test]
fn packs_on_the_plain_kernels() -> Result<(), Box<dyn Error>> {
    let Some(folder) = folder() else { return Ok(()) };
    let step = env::var("PLAIN").ok().and_then(|step| step.parse().ok()).unwrap_or(PLAIN_STEP).max(1);
    let chosen = env::var("PACKS").ok();
    let (mut problems, mut passed) = (Vec::new(), 0);
    for (op, floor) in read_floors()? {
        if chosen.as_ref().is_some_and(|chosen| !chosen.split(',').any(|name| name == op)) {
            continue;
        }
        let path = folder.join(format!("{op}.zip"));
        let cases = cases(&mut Archive::new(fs::File::open(&path)?)?)?.len();
        let tally = pack(path, Kernels::Plain, step)?;
        let missing = tally.failed.len() + tally.unsupported.len();
        problems.extend(tally.failed.into_iter().chain(tally.unsupported).map(|line| format!("{op}: {line}")));
        assert!(tally.passed + missing == cases.div_ceil(step) && floor <= cases, "{op}: {cases} cases");
        passed += tally.passed;
    }
    println!("{passed} cases passed on the plain kernels");
    assert!(passed > 0, "no case ran");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

const FLOORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packs/floors.txt");

/// Packs and how many of their cases pass at least.
fn read_floors() -> Result<Vec<(String, usize)>, Box<dyn Error>> {
    let text = fs::read_to_string(FLOORS)?;
    let line = |line: &str| {
        let (op, floor) = line.split_once(' ').ok_or_else(|| format!("line {line:?} of the floors"))?;
        Ok((op.to_owned(), floor.parse()?))
    };
    text.lines().map(line).collect()
}

/// The descriptions of a pack's cases.
fn cases(archive: &mut Archive) -> Result<Vec<Json>, Box<dyn Error>> {
    let mut head: Json = serde_json::from_slice(&file(archive, "cases.json")?)?;
    match head["cases"].take() {
        Json::Array(cases) => Ok(cases),
        _ => Err("no cases".into()),
    }
}

/// Runs every so many cases of a pack, the first one included.
fn pack(path: PathBuf, kernels: Kernels, step: usize) -> Result<Tally, Box<dyn Error>> {
    let mut archive = Archive::new(fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?)?;
    let mut tally = Tally::default();
    for case in cases(&mut archive)?.iter().step_by(step) {
        let name = case["name"].as_str().ok_or("case without a name")?;
        match run_case(&mut archive, case, name, kernels) {
            Ok(()) => tally.passed += 1,
            Err(Stop::Failed(why)) => tally.failed.push(format!("{name}: {why}")),
            Err(Stop::Unsupported(why)) => tally.unsupported.push(format!("{name}: {why}")),
        }
    }
    Ok(tally)
}

fn run_case(archive: &mut Archive, case: &Json, name: &str, kernels: Kernels) -> Result<(), Stop> {
    let failed = |error: Box<dyn Error>| Stop::Failed(error.to_string());
    let model = file(archive, &format!("{name}/model.tflite")).map_err(failed)?;
    let program = Program::read(Bytes::from(model)).map_err(|error| Stop::Failed(error.to_string()))?;
    let model = Model::new(program)?;
    let class = case["tol"].as_str().unwrap_or_default();
    run_steps(archive, case, name, Interpreter::builder(&model).kernels(kernels).build()?, class)?;
    if class == "hybrid" {
        let own = case["truth"] == "ref" && case["ops"].as_array().is_some_and(|ops| ops.iter().all(is_rounded));
        let interpreter = Interpreter::builder(&model).kernels(kernels).hybrid(Hybrid::Tflite).build()?;
        run_steps(archive, case, name, interpreter, if own { "loose" } else { class })?;
    }
    Ok(())
}

/// Whether an operator has TFLite's hybrid arithmetic here, whose results then are TFLite's own.
fn is_rounded(op: &Json) -> bool {
    let matrices = ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"];
    let recurrent = ["LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "RNN", "SVDF"];
    let sequences = ["UNIDIRECTIONAL_SEQUENCE_RNN"];
    matrices.iter().chain(&recurrent).chain(&sequences).any(|name| op == name)
}

/// Every invoke of a case, judged by a tolerance class.
fn run_steps(
    archive: &mut Archive,
    case: &Json,
    name: &str,
    mut interpreter: Interpreter,
    class: &str,
) -> Result<(), Stop> {
    let failed = |error: Box<dyn Error>| Stop::Failed(error.to_string());
    let steps = case["steps"].as_array().ok_or_else(|| Stop::Failed("no steps".to_owned()))?;
    for (index, step) in steps.iter().enumerate() {
        let prefix = if steps.len() == 1 { format!("{name}/") } else { format!("{name}/s{index}_") };
        let inputs = tensors(archive, &step["inputs"], &format!("{prefix}in")).map_err(failed)?;
        let expected = tensors(archive, &step["outputs"], &format!("{prefix}out")).map_err(failed)?;
        let found = run::invoke(&mut interpreter, step["signature"].as_str(), inputs)?;
        if found.len() != expected.len() || found.is_empty() {
            return Err(Stop::Failed(format!("{} outputs, expected {}", found.len(), expected.len())));
        }
        for (k, (expected, found)) in expected.iter().zip(&found).enumerate() {
            let compared = judge::compare(class, expected, found);
            compared.map_err(|why| Stop::Failed(format!("invoke {index}, output {k}: {why}")))?;
        }
    }
    if steps.is_empty() { Err(Stop::Failed("no invoke".to_owned())) } else { Ok(()) }
}

/// The tensors of one side of a step; their files' names start with `prefix`.
fn tensors(archive: &mut Archive, list: &Json, prefix: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let list = list.as_array().ok_or("step without tensors")?;
    let tensor = |(k, tensor): (usize, &Json)| {
        let dtype = npy::dtype(tensor["dtype"].as_str().unwrap_or_default())?;
        if dtype == tflite_wgpu_model::DType::String {
            return npy::read_strings(&file(archive, &format!("{prefix}_{k}.json"))?);
        }
        npy::read(dtype, &file(archive, &format!("{prefix}_{k}.npy"))?)
    };
    list.iter().enumerate().map(tensor).collect()
}

fn file(archive: &mut Archive, name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    archive.by_name(name).map_err(|error| format!("{name}: {error}"))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
