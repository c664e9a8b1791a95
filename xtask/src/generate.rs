//! `cargo xtask docs` and `cargo xtask schema`: files that are made from the code.

use crate::apt::Apt;
use crate::process;
use crate::workspace::{MAIN_PACKAGE, Workspace};
use anyhow::{Context, Result};
use std::fs;

/// Examples whose standard output is a committed file.
const DOCUMENTS: [(&str, &str); 1] = [("operators_doc", "docs/operators.md")];
/// The program that makes the schema bindings; outside the workspace.
const SCHEMA_TOOL: &str = "tools/schema/Cargo.toml";
/// What builds the schema compiler inside that program.
const SCHEMA_PACKAGES: [&str; 2] = ["cmake", "g++"];

/// Writes each generated document, or compares it; `false` when one is out of date.
pub fn docs(workspace: &Workspace, check: bool) -> Result<bool> {
    let mut current = true;
    for (example, file) in DOCUMENTS {
        if !workspace.names(MAIN_PACKAGE, "example").any(|name| name == example) {
            println!("{file}: skipped, there is no example {example}");
            continue;
        }
        let mut command = workspace.cargo();
        command.args(["run", "--quiet", "--example", example]);
        let made = process::output(&mut command)?;
        let path = workspace.root.join(file);
        if fs::read_to_string(&path).is_ok_and(|old| old == made) {
            println!("{file}: up to date");
        } else if check {
            println!("{file}: out of date, run `cargo xtask docs`");
            current = false;
        } else {
            fs::write(&path, made).with_context(|| format!("writing {file}"))?;
            println!("{file}: written");
        }
    }
    Ok(current)
}

/// Runs the schema tool, which writes or compares the bindings itself.
pub fn schema(workspace: &Workspace, check: bool) -> Result<bool> {
    if !workspace.root.join(SCHEMA_TOOL).is_file() {
        println!("schema: skipped, there is no {SCHEMA_TOOL}");
        return Ok(true);
    }
    Apt::detect().provide(&SCHEMA_PACKAGES);
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--locked", "--manifest-path", SCHEMA_TOOL]);
    if check {
        command.args(["--", "--check"]);
    }
    process::checked(&mut command)?;
    println!("schema: up to date");
    Ok(true)
}
