//! `tests/expectations.toml`: floors, and failures that are known.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;

use crate::{golden::Res, judge::Mode};

/// The file's tables.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// Nodes that run on any adapter at least.
    gpu_nodes: BTreeMap<String, usize>,
    #[serde(default)]
    failures: Vec<Failure>,
}

/// A network that is known to fail; an error once it does not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    model: String,
    /// `cpu`, `f32`, `f16`.
    modes: Vec<String>,
    /// A part of the adapter's name or driver; empty for all.
    #[serde(default)]
    adapter: String,
    reason: String,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expectations.toml")
}

impl Expectations {
    pub fn read() -> Res<Self> {
        Ok(toml::from_str(&fs::read_to_string(path())?)?)
    }

    pub fn floor(&self, model: &str) -> Option<usize> {
        self.gpu_nodes.get(model).copied()
    }

    /// Why a network fails on this adapter, if that is known.
    pub fn failure(&self, model: &str, mode: Mode, adapter: &str) -> Option<&str> {
        let mode = match mode {
            Mode::Cpu => "cpu",
            Mode::F32 => "f32",
            Mode::F16 => "f16",
        };
        let is_it = |row: &&Failure| {
            row.model == model && row.modes.iter().any(|m| m == mode) && adapter.contains(&row.adapter)
        };
        self.failures.iter().find(is_it).map(|row| row.reason.as_str())
    }
}

/// Lifts the floors to what ran, adding those that are missing; the rest of the file stays.
pub fn raise(ran: &BTreeMap<String, usize>) -> Res<()> {
    let old = fs::read_to_string(path())?;
    let mut floors = toml::from_str::<Expectations>(&old)?.gpu_nodes;
    for (model, nodes) in ran {
        let floor = floors.entry(model.clone()).or_default();
        *floor = (*floor).max(*nodes);
    }
    let (head, rest) = old.split_once("[gpu_nodes]\n").ok_or("there is no table gpu_nodes")?;
    let tail = rest.split_once("\n\n").map_or("", |(_, tail)| tail);
    let rows: String = floors.iter().map(|(model, nodes)| format!("\"{model}\" = {nodes}\n")).collect();
    let gap = if tail.is_empty() { "" } else { "\n" };
    Ok(fs::write(path(), format!("{head}[gpu_nodes]\n{rows}{gap}{tail}"))?)
}

#[test]
fn known_failures_are_found_by_adapter_and_mode() -> Res<()> {
    let expectations: Expectations = toml::from_str(
        "[gpu_nodes]\n\"a/b\" = 3\n[[failures]]\nmodel = \"a/b\"\nmodes = [\"f16\"]\nadapter = \"llvmpipe\"\nreason = \"r\"",
    )?;
    assert_eq!(expectations.floor("a/b"), Some(3));
    assert_eq!(expectations.failure("a/b", Mode::F16, "llvmpipe 15"), Some("r"));
    assert_eq!(expectations.failure("a/b", Mode::F32, "llvmpipe 15"), None);
    assert_eq!(expectations.failure("a/b", Mode::F16, "SwiftShader"), None);
    assert!(toml::from_str::<Expectations>("[gpu_nodes]\n[other]").is_err());
    Ok(())
}
