//! `cargo xtask test`: every test, on each software adapter, with minimal limits and without any.

mod bench_models;
pub mod lavapipe;
mod legs;
mod report;
mod runtimes;
pub mod swiftshader;
mod tally;

use crate::apt::Apt;
use crate::process;
use crate::workspace::{MAIN_PACKAGE, Workspace};
use anyhow::{Context, Result};
use legs::{CONTROLLED, Facts, Leg, Run};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;
use tally::Tally;

/// What the tests use of the system: the Vulkan loader, lavapipe, environments for Python programs.
const PACKAGES: [&str; 3] = ["libvulkan1", "mesa-vulkan-drivers", "python3-venv"];

/// Runs all legs and prints the report; `false` when a test or a leg failed.
pub fn run(workspace: &Workspace, full: bool, ci: bool) -> Result<bool> {
    let apt = Apt::detect();
    apt.provide(&PACKAGES);
    runtimes::provide(&workspace.target_dir);
    bench_models::provide(&workspace.root, &workspace.target_dir);
    let facts = Facts {
        full,
        require_adapter: ci || std::env::var_os("TFLITE_WGPU_REQUIRE_GPU").is_some(),
        lavapipe: lavapipe::find(),
        swiftshader: swiftshader::obtain(&workspace.target_dir, &apt),
        tests: workspace.names(MAIN_PACKAGE, "test").collect(),
    };
    let mut results = vec![build(workspace)];
    if results[0].tally.failed() == 0 {
        results.clear();
        for leg in legs::choose(&facts) {
            results.push(run_leg(workspace, leg)?);
        }
    }
    print!("\n{}", report::text(&results));
    Ok(results.iter().all(|result| result.tally.failed() == 0))
}

/// Builds all tests with cargo's progress on the terminal; a failure counts as one failed test.
fn build(workspace: &Workspace) -> report::Result {
    let start = Instant::now();
    let mut tally = Tally::default();
    let mut cargo = workspace.cargo();
    if let Err(error) = process::checked(cargo.args(["test", "--workspace", "--no-run"])) {
        println!("{error:#}");
        tally.require_failure();
    }
    report::Result { name: "build", tally, time: Some(start.elapsed()), left_out: None }
}

/// Runs one leg, or notes why it does not run.
fn run_leg(workspace: &Workspace, leg: Leg) -> Result<report::Result> {
    let mut result = report::Result { name: leg.name, tally: Tally::default(), time: None, left_out: leg.left_out };
    match leg.run {
        Err(reason) => {
            println!("\n== {}: skipped, {reason}", leg.name);
            result.tally.skip(reason);
        }
        Ok(run) => {
            println!("\n== {}", leg.name);
            let start = Instant::now();
            result.tally = run_tests(&mut command(workspace, &run)?)?;
            result.time = Some(start.elapsed());
        }
    }
    Ok(result)
}

/// `cargo test` of this leg. All packages stay selected so that no dependency is built twice; what a passing test printed
/// is shown, because it may say that the test was skipped.
fn command(workspace: &Workspace, run: &Run) -> Result<Command> {
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    command.args(&run.arguments).args(["--", "--show-output"]);
    for name in CONTROLLED {
        command.env_remove(name);
    }
    for (name, value) in &run.variables {
        command.env(name, value);
    }
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        let folder = workspace.target_dir.join("xdg-runtime");
        std::fs::create_dir_all(&folder).context("folder for XDG_RUNTIME_DIR")?;
        command.env("XDG_RUNTIME_DIR", folder);
    }
    Ok(command)
}

/// Runs and counts; a process that fails counts as a failed test at least.
fn run_tests(command: &mut Command) -> Result<Tally> {
    let tally = Mutex::new(Tally::default());
    let status = process::streamed(command, &|line| {
        if let Ok(mut tally) = tally.lock() {
            tally.line(line);
        }
    })?;
    let mut tally = tally.into_inner().unwrap_or_default();
    if !status.success() {
        tally.require_failure();
    }
    Ok(tally)
}
