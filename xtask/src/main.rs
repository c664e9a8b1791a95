//! Project tasks: `cargo xtask test`, `targets`, `expect`, `bench`, `docs`, `schema`, `plugin`.

mod apt;
mod bench;
mod expect;
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
        /// A library that was built before, instead of building one
        #[arg(long)]
        library: Option<PathBuf>,
        /// Folder for the library, its header and its pkg-config file; target/plugin-dist by default
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Say how many nodes of each model the partitioner gives to the GPU
    Expect(expect::Arguments),
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
        Task::Plugin { library, out } => {
            let out = out.unwrap_or_else(|| plugin::default_folder(&workspace));
            plugin::run(&workspace, library, &out)
        }
        Task::Expect(arguments) => expect::run(&workspace, &arguments),
        Task::Bench { what } => bench::run(&workspace, &what),
        Task::Docs { check } => generate::docs(&workspace, check),
        Task::Schema { check } => generate::schema(&workspace, check),
    }
}
