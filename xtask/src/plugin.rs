//! `cargo xtask plugin`: the library for the official runtimes, under the names that these look for.

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "tflite-wgpu-plugin";
/// Stripped, and slower to build than `release`.
const PROFILE: &str = "plugin";
/// Name of the library as cargo builds it, and as an external delegate.
const DELEGATE: &str = "tflite_wgpu_delegate";
/// Name by which LiteRT's runtime finds an accelerator.
const ACCELERATOR: &str = "LiteRtGpuAccelerator";
const HEADER: &str = "include/tflite_wgpu.h";
/// What is exported besides the header's functions.
const DATA_SYMBOL: &str = "LiteRtAcceleratorImpl";
/// The variable by which tests let a library fail; only builds with debug assertions read it.
const INJECT: &str = "TFLITE_WGPU_INJECT";

/// Puts the library into `out`, with the header and a pkg-config file: `built`, or one that is built for it.
pub fn run(workspace: &Workspace, built: Option<PathBuf>, out: &Path) -> Result<bool> {
    let built = built.map_or_else(|| build(workspace), Ok)?;
    let header = workspace.root.join(HEADER);
    check_exports(&built, &header)?;
    fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    for name in [DELEGATE, ACCELERATOR] {
        // LiteRT looks for the prefix on Windows, too.
        let prefix = if name == ACCELERATOR { "lib" } else { DLL_PREFIX };
        copy(&built, &out.join(format!("{prefix}{name}{DLL_SUFFIX}")))?;
    }
    copy(&header, &out.join("tflite_wgpu.h"))?;
    let description = out.join("tflite_wgpu.pc");
    fs::write(&description, pkg_config()).with_context(|| format!("writing {}", description.display()))?;
    println!("{}", out.display());
    Ok(true)
}

/// Builds what is shipped.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    process::checked(cargo.args(["build", "--package", PACKAGE, "--profile", PROFILE]))?;
    let built = workspace.target_dir.join(PROFILE).join(format!("{DLL_PREFIX}{DELEGATE}{DLL_SUFFIX}"));
    let bytes = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    ensure!(!contains(&bytes, INJECT), "{} has the faults that tests inject ({INJECT})", built.display());
    Ok(built)
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|part| part == word.as_bytes())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

fn pkg_config() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "prefix=${{pcfiledir}}\n\nName: tflite_wgpu\nDescription: TensorFlow Lite models on any GPU, as a delegate\n\
         Version: {version}\nCflags: -I${{prefix}}\nLibs: -L${{prefix}} -l{DELEGATE}\n"
    )
}

/// Fails when the library exports something that the header does not have, or lacks something that it has.
fn check_exports(library: &Path, header: &Path) -> Result<()> {
    if !process::is_installed("nm") || !cfg!(target_os = "linux") {
        println!("exports: not checked, which needs nm and Linux");
        return Ok(());
    }
    let listed = process::output(Command::new("nm").args(["-D", "--defined-only"]).arg(library))?;
    let text = fs::read_to_string(header).with_context(|| format!("reading {}", header.display()))?;
    let (found, expected) = (exported(&listed), declared(&text));
    ensure!(found == expected, "{} exports {found:?}, expected {expected:?}", library.display());
    println!("exports: as in {HEADER}");
    Ok(())
}

/// Names that `nm` lists.
fn exported(listed: &str) -> BTreeSet<String> {
    listed.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect()
}

/// Names that a header declares: what stands before a parenthesis and begins as ours do.
fn declared(header: &str) -> BTreeSet<String> {
    let words =
        header.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '(')).filter(|word| word.contains('('));
    let names = words.filter_map(|word| word.split('(').next()).filter(|name| name.starts_with("tflite_"));
    names.map(str::to_owned).chain([DATA_SYMBOL.to_owned()]).collect()
}

/// Where the plugin lies when nothing else is said.
pub fn default_folder(workspace: &Workspace) -> PathBuf {
    workspace.target_dir.join("plugin-dist")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tests_inject_is_seen() {
        assert!(contains(format!("..{INJECT}\0").as_bytes(), INJECT));
        assert!(!contains(b"TFLITE_WGPU_OPTIONS", INJECT));
    }

    #[test]
    fn a_missing_or_further_export_is_seen() {
        let header = "int tflite_a(void);\nchar* tflite_b(const char* x, void (*f)(int));\n/* tflite_c is gone */";
        let listed = |names: &[&str]| names.iter().map(|name| format!("0000 T {name}\n")).collect::<String>();
        let expected = declared(header);
        assert_eq!(exported(&listed(&["tflite_a", "tflite_b", DATA_SYMBOL])), expected);
        assert_ne!(exported(&listed(&["tflite_a", DATA_SYMBOL])), expected);
        assert_ne!(exported(&listed(&["tflite_a", "tflite_b", DATA_SYMBOL, "other"])), expected);
    }
}
