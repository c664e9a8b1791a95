//! `cargo xtask bench cpu` and `bench gpu`: this library against other engines, model by model in turns.

use crate::apt::Apt;
use crate::process;
use crate::test::{lavapipe, swiftshader};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
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
    /// The GPU path against XNNPACK, ncnn and LiteRT's GPU accelerator; needs Python with ai-edge-litert and ncnn
    Gpu {
        /// Folder of `.tflite` files, such as `make_bench_models.py` fills
        #[arg(long, default_value = "target/bench_models")]
        models: PathBuf,
        /// Parts of the models' names, separated by commas; all models without it
        #[arg(long, default_value = "")]
        only: String,
        /// Which driver Vulkan's loader finds
        #[arg(long, value_enum, default_value = "lavapipe")]
        driver: Driver,
        /// Engines beside XNNPACK, separated by commas; those that are known to run on the driver without it
        #[arg(long, default_value = "")]
        engines: String,
        /// Rounds of alternating processes; 0 only writes the table anew
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Invokes of each process
        #[arg(long, default_value_t = 30)]
        invokes: u32,
        /// Profile that `bench_model` is built with
        #[arg(long, default_value = "release")]
        profile: String,
        /// Python with the packages
        #[arg(long, default_value = "python3")]
        python: PathBuf,
    },
}

/// A Vulkan driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    /// Mesa's software adapter
    Lavapipe,
    /// Chromium's software adapter
    Swiftshader,
    /// Whatever the machine has
    Own,
}

impl Driver {
    /// Name of its table in the document.
    fn table(self) -> &'static str {
        match self {
            Self::Lavapipe => "lavapipe",
            Self::Swiftshader => "swiftshader",
            Self::Own => "own",
        }
    }

    /// Engines that run there. LiteRT's accelerator finds no adapter on lavapipe; ncnn takes SwiftShader for a CPU.
    fn engines(self) -> &'static str {
        match self {
            Self::Lavapipe => "ours-f16,ours-f32,ncnn-f32,ncnn-f16",
            Self::Swiftshader => "ours-f16,ours-f32,litert-f32,litert-f16",
            Self::Own => "ours-f16,ours-f32,ncnn-f32,ncnn-f16,litert-f32,litert-f16",
        }
    }

    /// Its ICD file; none for the machine's own.
    fn file(self, workspace: &Workspace) -> Result<Option<PathBuf>> {
        let found = match self {
            Self::Lavapipe => lavapipe::find(),
            Self::Swiftshader => swiftshader::obtain(&workspace.target_dir, &Apt::detect()),
            Self::Own => return Ok(None),
        };
        found.map(Some).map_err(|why| anyhow::anyhow!(why))
    }
}

/// Checks the scripts, builds `bench_model`, runs a script on every model, and writes the table into docs/benchmarks.md.
pub fn run(workspace: &Workspace, what: &What) -> Result<bool> {
    match what {
        What::Cpu { models, threads, rounds } => cpu(workspace, models, threads, *rounds),
        What::Gpu { .. } => gpu(workspace, what),
    }
}

/// Builds `bench_model`; gives its path.
fn program(workspace: &Workspace, profile: &str) -> Result<PathBuf> {
    process::checked(workspace.cargo().args(["build", "--profile", profile, "--example", "bench_model"]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(workspace.target_dir.join(folder).join("examples").join("bench_model"))
}

/// The GPU path; figures are added to those of earlier runs in target/bench_gpu, and a plot is drawn of them.
fn gpu(workspace: &Workspace, what: &What) -> Result<bool> {
    let What::Gpu { models, only, driver, engines, rounds, invokes, profile, python } = what else { return Ok(false) };
    let mut checks = Command::new(python);
    process::checked(checks.current_dir(&workspace.root).arg("benches/checks.py"))?;
    let mut found = files(&workspace.root.join(models))?;
    let parts: Vec<&str> = only.split(',').filter(|part| !part.is_empty()).collect();
    let wanted = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        parts.is_empty() || parts.iter().any(|part| name.contains(part))
    };
    found.retain(wanted);
    if *rounds == 0 {
        found.clear();
    }
    let program = program(workspace, profile)?;
    let folder = workspace.target_dir.join("bench_gpu");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let engines = if engines.is_empty() { driver.engines() } else { engines.as_str() };
    let mut script = Command::new(python);
    script.current_dir(&workspace.root).arg("benches/against_xnnpack.py").args(&found).arg("--program").arg(program);
    script.args(["--engines", engines, "--rounds", &rounds.to_string(), "--invokes", &invokes.to_string()]);
    script.arg("--results").arg(folder.join(format!("{}.json", driver.table())));
    script.args(["--update", "docs/benchmarks.md", "--table", driver.table()]);
    script.arg("--plot").arg(format!("docs/benchmarks_{}.svg", driver.table()));
    if let Some(file) = driver.file(workspace)? {
        // The older name too, for programs with an older loader of their own.
        script.env("VK_DRIVER_FILES", &file).env("VK_ICD_FILENAMES", &file);
    }
    process::checked(&mut script)?;
    Ok(true)
}

fn cpu(workspace: &Workspace, models: &Path, threads: &str, rounds: u32) -> Result<bool> {
    let models = files(&workspace.root.join(models))?;
    let program = program(workspace, "release")?;
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
