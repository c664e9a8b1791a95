//! `cargo xtask expect`: how many nodes of each model our own partitioner gives to the GPU, for comparison with what the
//! delegate takes inside another runtime.

use crate::process;
use crate::workspace::{MAIN_PACKAGE, Workspace};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value as Json};
use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where models are and what is asked about them.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of `.tflite` files, searched as a whole
    models: PathBuf,
    /// The file to write: for each model's path below the folder, the nodes of its first subgraph on the GPU
    #[arg(long)]
    out: PathBuf,
    /// How floats are stored
    #[arg(long, default_value = "f16")]
    precision: String,
    /// The command line that was built before, instead of building it
    #[arg(long)]
    program: Option<PathBuf>,
}

/// Asks `inspect --plan` about every model, and writes what it says; a model that cannot run is left out.
pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let program = arguments.program.clone().map_or_else(|| build(workspace), Ok)?;
    let mut models = Vec::new();
    collect(&arguments.models, &mut models)?;
    ensure!(!models.is_empty(), "no .tflite file below {}", arguments.models.display());
    models.sort();
    let mut counts = Map::new();
    for model in &models {
        let name = model.strip_prefix(&arguments.models).unwrap_or(model).to_string_lossy().into_owned();
        match ask(&program, model, &arguments.precision) {
            Ok(count) => drop(counts.insert(name, count.into())),
            Err(error) => println!("left out {name}: {error:#}"),
        }
    }
    println!("{} of {} models", counts.len(), models.len());
    let text = serde_json::to_string_pretty(&counts)?;
    fs::write(&arguments.out, text + "\n").with_context(|| format!("writing {}", arguments.out.display()))?;
    Ok(!counts.is_empty())
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    process::checked(workspace.cargo().args(["build", "--bin", MAIN_PACKAGE]))?;
    Ok(workspace.target_dir.join("debug").join(format!("{MAIN_PACKAGE}{EXE_SUFFIX}")))
}

/// The models below a folder.
fn collect(folder: &Path, models: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("models in {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, models)?;
        } else if path.extension().is_some_and(|extension| extension == "tflite") {
            models.push(path);
        }
    }
    Ok(())
}

/// Nodes of a model's first subgraph on the GPU.
fn ask(program: &Path, model: &Path, precision: &str) -> Result<usize> {
    let mut inspect = Command::new(program);
    inspect.args(["inspect", "--plan", "--json", "--device", "gpu", "--precision", precision]).arg(model);
    let answer: Json = serde_json::from_str(&process::output(&mut inspect)?)?;
    if let Some(failure) = answer["plan"]["invoke_failure"].as_str() {
        anyhow::bail!("{failure}");
    }
    count(&answer)
}

fn count(answer: &Json) -> Result<usize> {
    let nodes = answer["plan"]["nodes"].as_array().context("the plan has no nodes")?;
    let first = nodes.iter().filter(|node| node["subgraph"] == 0);
    Ok(first.filter(|node| node["device"] == "gpu").count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_the_first_subgraph_on_the_gpu_count() -> Result<()> {
        let node = |subgraph: u32, device: &str| serde_json::json!({ "subgraph": subgraph, "device": device });
        let plan = |nodes: Vec<Json>| serde_json::json!({ "plan": { "nodes": nodes } });
        let nodes = vec![node(0, "gpu"), node(0, "cpu"), node(0, "gpu"), node(1, "gpu")];
        assert_eq!(count(&plan(nodes))?, 2);
        assert!(count(&serde_json::json!({ "plan": {} })).is_err());
        Ok(())
    }
}
