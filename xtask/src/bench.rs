//! `cargo xtask bench cpu`: this library's CPU path against LiteRT's, model by model in turns.

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is measured.
#[derive(Subcommand)]
pub enum What {
    /// The CPU's kernels against XNNPACK and TFLite's reference kernels; needs Python with ai-edge-litert
    Cpu {
        /// Folder of `.tflite` files, such as `make_bench_models.py` fills
        #[arg(long, default_value = "target/bench_models")]
        models: PathBuf,
        /// Numbers of threads, separated by commas
        #[arg(long, default_value = "1,2")]
        threads: String,
        /// Rounds of alternating processes
        #[arg(long, default_value_t = 5)]
        rounds: u32,
    },
}

/// Builds `bench_model`, runs `benches/cpu.py` on every model, and writes the table into docs/benchmarks.md.
pub fn run(workspace: &Workspace, what: &What) -> Result<bool> {
    let What::Cpu { models, threads, rounds } = what;
    let models = files(&workspace.root.join(models))?;
    process::checked(workspace.cargo().args(["build", "--release", "--example", "bench_model"]))?;
    let program = workspace.target_dir.join("release").join("examples").join("bench_model");
    let mut script = Command::new("python3");
    script.current_dir(&workspace.root).arg("benches/cpu.py").args(&models).arg("--program").arg(program);
    script.args(["--threads", threads, "--rounds", &rounds.to_string(), "--reference"]);
    process::checked(script.args(["--update", "docs/benchmarks.md"]))?;
    Ok(true)
}

/// The models of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("models in {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tflite") {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("no .tflite file in {}", folder.display());
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_by_their_extension() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("bench-models-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        assert!(files(&folder).is_err(), "an empty folder has none");
        for name in ["b.tflite", "a.tflite", "notes.txt"] {
            std::fs::write(folder.join(name), [])?;
        }
        let found = files(&folder);
        std::fs::remove_dir_all(&folder)?;
        assert_eq!(found?, ["a.tflite", "b.tflite"].map(|name| folder.join(name)));
        Ok(())
    }
}
