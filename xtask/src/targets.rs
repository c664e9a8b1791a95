//! `cargo xtask targets`: the libraries must compile for targets this machine cannot run.

use crate::process;
use crate::workspace::Workspace;
use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Packages whose libraries are checked.
const PACKAGES: [&str; 3] = ["tflite-wgpu-model", "tflite-wgpu-fallback", "tflite-wgpu"];
/// Checked where a program can load a library.
const PLUGIN: &str = "tflite-wgpu-plugin";
/// Checked always: a browser, and the other big desktop.
const DEFAULT: [&str; 2] = ["wasm32-unknown-unknown", "x86_64-pc-windows-msvc"];
/// Checked with `--full`.
const FULL: [&str; 3] = ["aarch64-linux-android", "aarch64-apple-darwin", "aarch64-apple-ios"];
/// Compiles std from the distribution's sources; an optional neighbour of the checkout.
const MAKE_STD: &str = "../shared/tools/targets/make-std.sh";

/// Where a target's standard library comes from.
enum Std {
    /// The active toolchain has it.
    Toolchain,
    /// This compiler, a wrapper round the active one, has it.
    Wrapper(PathBuf),
}

/// Checks every target and prints one line for each; `false` when one does not compile, or (in CI)
/// when its standard library is not to be had.
pub fn run(workspace: &Workspace, full: bool, ci: bool) -> Result<bool> {
    let more: &[&str] = if full { &FULL } else { &[] };
    let mut lines = Vec::new();
    let mut all_well = true;
    for &target in DEFAULT.iter().chain(more) {
        let (outcome, is_well) = match provide_std(workspace, target) {
            Some(std) => match process::checked(&mut check(workspace, target, &std)) {
                Ok(()) => ("compiles".to_owned(), true),
                Err(error) => (format!("does not compile: {error:#}"), false),
            },
            None => ("skipped, its standard library is not to be had".to_owned(), !ci),
        };
        all_well &= is_well;
        lines.push(format!("{target}: {outcome}"));
    }
    if !full {
        lines.push(format!("left out (`--full` checks them): {}", FULL.join(", ")));
    }
    println!("{}", lines.join("\n"));
    Ok(all_well)
}

/// `cargo check` of the libraries, in a build cache of its own. The workspace optimises dependencies, procedural macros
/// included; for a check that only costs time.
fn check(workspace: &Workspace, target: &str, std: &Std) -> Command {
    let mut command = workspace.cargo();
    command.args(["check", "--lib", "--no-default-features", "--target", target]);
    command.args(["--config", "profile.dev.package.\"*\".opt-level=0"]);
    let plugin = (!target.starts_with("wasm")).then_some(PLUGIN);
    for package in PACKAGES.into_iter().chain(plugin) {
        command.args(["--package", package]);
    }
    command.env("CARGO_TARGET_DIR", workspace.target_dir.join("targets"));
    if let Std::Wrapper(rustc) = std {
        command.env("RUSTC", rustc);
    }
    command
}

/// Finds the standard library or gets it: from rustup (seconds), else from sources (minutes).
fn provide_std(workspace: &Workspace, target: &str) -> Option<Std> {
    if toolchain_has(target) {
        return Some(Std::Toolchain);
    }
    if process::is_installed("rustup") {
        match process::output(Command::new("rustup").args(["target", "add", target])) {
            Ok(_) if toolchain_has(target) => {
                println!("{target}: added to the toolchain (`rustup target remove {target}` undoes it)");
                return Some(Std::Toolchain);
            }
            Ok(_) => println!("{target}: rustup added it to another toolchain"),
            Err(error) => println!("{target}: {error:#}"),
        }
    }
    let script = workspace.root.join(MAKE_STD);
    if !script.is_file() {
        return None;
    }
    let overlay = workspace.target_dir.join("std");
    let mut make = Command::new("bash");
    make.arg(script).arg("--no-rustup").arg(&overlay).arg(target);
    process::checked(&mut make).ok()?;
    Some(Std::Wrapper(overlay.join("bin/rustc")))
}

/// Whether the active compiler comes with the standard library of this target.
fn toolchain_has(target: &str) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]);
    let folder = process::output(&mut rustc).unwrap_or_default();
    fs::read_dir(folder.trim())
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
}
