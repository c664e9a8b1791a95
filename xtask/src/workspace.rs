//! What `cargo metadata` says about the workspace.

use crate::process;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// The package with the adapters: library, command line, examples and their tests.
pub const MAIN_PACKAGE: &str = "tflite-wgpu";

/// The workspace as cargo sees it.
pub struct Workspace {
    /// Folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Folder of build results; everything made by a task lies below it.
    pub target_dir: PathBuf,
    /// `(package, kind, name)` of every cargo target: `("tflite-wgpu", "test", "models")`.
    cargo_targets: BTreeSet<(String, String, String)>,
}

impl Workspace {
    /// Asks cargo; no dependency is resolved or downloaded.
    pub fn read() -> Result<Self> {
        let mut command = Command::new(cargo_path());
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        Self::parse(&process::output(&mut command)?)
    }

    fn parse(metadata: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(metadata).context("cargo metadata")?;
        let folder = |key: &str| {
            let path = metadata[key].as_str().map(PathBuf::from);
            path.with_context(|| format!("cargo metadata has no {key}"))
        };
        let mut cargo_targets = BTreeSet::new();
        for package in items(&metadata["packages"]) {
            for target in items(&package["targets"]) {
                let names = [package, target].map(|value| value["name"].as_str().unwrap_or_default().to_owned());
                let [package, name] = names;
                for kind in items(&target["kind"]).filter_map(Value::as_str) {
                    cargo_targets.insert((package.clone(), kind.to_owned(), name.clone()));
                }
            }
        }
        Ok(Self { root: folder("workspace_root")?, target_dir: folder("target_directory")?, cargo_targets })
    }

    /// Names of a package's cargo targets of this kind, sorted.
    pub fn names<'a>(&'a self, package: &'a str, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let of_kind = move |(p, k, _): &&(String, String, String)| p == package && k == kind;
        self.cargo_targets.iter().filter(of_kind).map(|(_, _, name)| name.as_str())
    }

    /// A call of the running cargo in the workspace's root.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(cargo_path());
        command.current_dir(&self.root);
        command
    }
}

/// The cargo that runs this task.
fn cargo_path() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The elements of an array; none for anything else.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_by_package_and_kind() -> Result<()> {
        let workspace = Workspace::parse(
            r#"{"workspace_root": "/w", "target_directory": "/w/target", "packages": [
                {"name": "a", "targets": [{"kind": ["lib"], "name": "a"}, {"kind": ["test"], "name": "ops"}]},
                {"name": "b", "targets": [{"kind": ["cdylib", "rlib"], "name": "b"}, {"kind": ["test"], "name": "x"}]}]}"#,
        )?;
        assert!(workspace.names("a", "test").eq(["ops"]));
        assert!(workspace.names("b", "rlib").eq(["b"]));
        assert_eq!(workspace.names("a", "example").count(), 0);
        Ok(())
    }

    #[test]
    fn metadata_without_root_is_refused() {
        assert!(Workspace::parse("{}").is_err());
    }
}
