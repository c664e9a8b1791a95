//! What `cargo metadata` says about the workspace.

use crate::process;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// The workspace as cargo sees it.
pub struct Workspace {
    /// Folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Folder of build results; everything made by a task lies below it.
    pub target_dir: PathBuf,
    /// `(kind, name)` of every cargo target: `("test", "ops")`, `("example", "…")`.
    cargo_targets: BTreeSet<(String, String)>,
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
        for target in items(&metadata["packages"]).flat_map(|package| items(&package["targets"])) {
            let name = target["name"].as_str().unwrap_or_default();
            for kind in items(&target["kind"]).filter_map(Value::as_str) {
                cargo_targets.insert((kind.to_owned(), name.to_owned()));
            }
        }
        Ok(Self { root: folder("workspace_root")?, target_dir: folder("target_directory")?, cargo_targets })
    }

    /// Whether a package of the workspace has this cargo target.
    pub fn has(&self, kind: &str, name: &str) -> bool {
        self.cargo_targets.contains(&(kind.to_owned(), name.to_owned()))
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
    fn targets_are_found_by_kind_and_name() -> Result<()> {
        let workspace = Workspace::parse(
            r#"{"workspace_root": "/w", "target_directory": "/w/target", "packages": [
                {"targets": [{"kind": ["lib"], "name": "a"}, {"kind": ["test"], "name": "ops"}]},
                {"targets": [{"kind": ["cdylib", "rlib"], "name": "b"}]}]}"#,
        )?;
        assert!(workspace.has("test", "ops"));
        assert!(workspace.has("rlib", "b"));
        assert!(!workspace.has("example", "ops"));
        Ok(())
    }

    #[test]
    fn metadata_without_root_is_refused() {
        assert!(Workspace::parse("{}").is_err());
    }
}
