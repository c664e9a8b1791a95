//! Project tasks: `cargo xtask test`, `targets`, `bench`, `docs`, `schema`, `plugin`.

mod apt;
mod bench;
mod generate;
mod plugin;
mod process;
mod targets;
mod test;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of the tflite-wgpu workspace")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all tests on every software adapter that can be had
    Test {
        /// Leave nothing out: every case on every adapter
        #[arg(long)]
        full: bool,
    },
    /// Check that the libraries compile for other targets
    Targets {
        /// Android, macOS and iOS besides WebAssembly and Windows
        #[arg(long)]
        full: bool,
    },
    /// Build the delegate for the official runtimes
    Plugin {
        /// Folder for the library, its header and its pkg-config file; target/plugin-dist by default
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Measure, and write the figures into docs/benchmarks.md
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Regenerate the generated documents
    Docs {
        /// Change nothing, fail when a document is out of date
        #[arg(long)]
        check: bool,
    },
    /// Regenerate the schema bindings
    Schema {
        /// Change nothing, fail when the bindings are out of date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one task; `false` when it ran to its end and found something wrong.
fn dispatch(task: Task) -> Result<bool> {
    let workspace = Workspace::read()?;
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    match task {
        Task::Test { full } => test::run(&workspace, full, ci),
        Task::Targets { full } => targets::run(&workspace, full, ci),
        Task::Plugin { out } => {
            let out = out.unwrap_or_else(|| plugin::default_folder(&workspace));
            plugin::run(&workspace, &out)
        }
        Task::Bench { what } => bench::run(&workspace, &what),
        Task::Docs { check } => generate::docs(&workspace, check),
        Task::Schema { check } => generate::schema(&workspace, check),
    }
}
