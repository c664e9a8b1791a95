//! Prints docs/operators.md: what every operator takes on the GPU, what stays on the CPU, and why.
//!
//! The table comes from the registries. The lists of cases and networks are data beside the document, written by
//!
//! ```text
//! conformance PACKS --device gpu --precision f32 --ops … --cpu-list docs/cpu_cases.tsv --dump OUT
//! conformance --models DIR --device gpu --precision f16 --only … --cpu-list docs/cpu_networks.tsv --dump OUT
//! ```

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use tflite_wgpu::ops::{self, OpRow};
use tflite_wgpu_fallback::{is_interpreted, kernels};
use tflite_wgpu_model::{BuiltinOperator, Op};

/// Operator, case and reason of the pack cases of floats that stay on the CPU.
const CASES: &str = include_str!("../docs/cpu_cases.tsv");

/// Name, nodes on the GPU, nodes and reasons of the float networks that keep nodes on the CPU.
const NETWORKS: &str = include_str!("../docs/cpu_networks.tsv");

/// Below this share of nodes on the GPU a network is listed.
const SHARE: f64 = 0.9;

const INTRODUCTION: &str = "\
# Operators

<!-- Made by `cargo xtask docs` from the registries; change those, not this file. -->

An operator runs on the GPU when the table takes it. What it does not take runs on the reference CPU interpreter, and
`tflite-wgpu inspect MODEL --plan` says why, node by node. For every operator the CPU has

* tensors of other types: quantised arithmetic (which it computes exactly), FLOAT64, 4-bit activations, complex numbers,
  strings, variables;
* INT64 values beyond 32 bits: when an input has one, the CPU takes that partition over;
* tensors beyond the device's largest binding;
* shapes that the kernels refuse when they become known. A node whose shape depends on values of the caller or of the CPU
  (the inputs under \"values\") is planned when the values are there, again whenever they change, and an error there gives
  its partition to the CPU. Nothing is dispatched for tensors without elements.

";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::from(INTRODUCTION);
    gpu(&mut text)?;
    cpu(&mut text)?;
    cases(&mut text, CASES)?;
    networks(&mut text, NETWORKS)?;
    print!("{text}");
    Ok(())
}

/// The rows of the GPU's registry.
fn gpu(text: &mut String) -> fmt::Result {
    let mut rows: Vec<&OpRow> = ops::rows().collect();
    rows.sort_by_key(|row| row.op.name());
    writeln!(text, "## On the GPU\n\n{} operators.\n", rows.len())?;
    writeln!(text, "| operator | types | ranks | values | stays on the CPU |")?;
    writeln!(text, "|---|---|---|---|---|")?;
    for row in rows {
        let values = row.steers.iter().map(|i| format!("input {i}")).collect::<Vec<_>>().join(", ");
        let words = row.words;
        writeln!(text, "| {} | {} | {} | {values} | {} |", row.op.name(), words.types, words.ranks, words.cpu)?;
    }
    writeln!(text)
}

/// Operators of the reference interpreter alone, and those of neither.
fn cpu(text: &mut String) -> fmt::Result {
    let own = |op: BuiltinOperator| Op::with_defaults(op).is_some_and(|op| is_interpreted(&op));
    let runs = |op: BuiltinOperator| kernels::kernel(op).is_some() || own(op);
    let names = |wanted: &dyn Fn(BuiltinOperator) -> bool| {
        let mut names: Vec<&str> = BuiltinOperator::ALL.iter().filter(|op| wanted(**op)).map(|op| op.name()).collect();
        names.sort_unstable();
        names.join(", ")
    };
    let mut custom: Vec<&str> = kernels::custom_names().collect();
    custom.sort_unstable();
    let only_cpu = |op| ops::row(op).is_none() && runs(op);
    // A delegate's node and a custom operator's are no operators themselves.
    let none = |op| !matches!(op, BuiltinOperator::Delegate | BuiltinOperator::Custom) && !runs(op);
    writeln!(text, "## On the CPU alone\n\n{}.\n", names(&only_cpu))?;
    writeln!(text, "Custom operators: {}.\n", custom.join(", "))?;
    writeln!(text, "## Without an implementation\n\n{}.\n", names(&none))
}

/// The pack cases of floats that stay on the CPU, by operator and reason.
fn cases(text: &mut String, table: &str) -> fmt::Result {
    let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for line in table.lines() {
        let mut fields = line.split('\t');
        if let (Some(op), Some(case), Some(reason)) = (fields.next(), fields.next(), fields.next()) {
            groups.entry((op, reason)).or_default().push(case);
        }
    }
    writeln!(text, "## Conformance cases of floats on the CPU\n")?;
    writeln!(text, "Of the operators above whose packs the GPU has to pass.\n")?;
    writeln!(text, "| pack | cases | reason |\n|---|---|---|")?;
    for ((op, reason), cases) in groups {
        writeln!(text, "| {op} | {} | {reason} |", cases.join(", "))?;
    }
    writeln!(text)
}

/// The float networks with few nodes on the GPU.
fn networks(text: &mut String, table: &str) -> fmt::Result {
    writeln!(text, "## Float networks with fewer than nine of ten nodes on the GPU\n")?;
    writeln!(text, "| network | nodes on the GPU | reason |\n|---|---|---|")?;
    for line in table.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, gpu, all, reason] = fields.as_slice() else { continue };
        let (Ok(gpu), Ok(all)) = (gpu.parse::<u32>(), all.parse::<u32>()) else { continue };
        if f64::from(gpu) < SHARE * f64::from(all) {
            writeln!(text, "| {name} | {gpu} of {all} | {reason} |")?;
        }
    }
    Ok(())
}
