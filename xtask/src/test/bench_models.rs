//! The bench models whose dispatches `tests/plan_counts.rs` counts: the tool beside the project writes them.

use crate::process;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Writes those that are missing into `target/bench_models`, and says in one line why they cannot be had.
pub fn provide(root: &Path, target_dir: &Path) {
    let tool = root.join("../shared/tools/make_bench_models.py");
    let counts = fs::read_to_string(root.join("tests/plan_counts.toml")).unwrap_or_default();
    let home = target_dir.join("bench_models");
    let missing: Vec<&str> = names(&counts).filter(|name| !home.join(format!("{name}.tflite")).is_file()).collect();
    if missing.is_empty() {
        return;
    }
    if !tool.is_file() {
        println!("bench models are not to be had: no {}", tool.display());
        return;
    }
    let python =
        target_dir.join("runtimes/litert-2.3.0").join(if cfg!(windows) { "Scripts/python" } else { "bin/python" });
    let mut write = Command::new(python);
    write.arg(&tool).arg(&home).arg("--only").arg(missing.join(","));
    match process::output(&mut write) {
        Ok(_) => println!("wrote {} bench models", missing.len()),
        Err(error) => println!("bench models are not to be had: {error:#}"),
    }
}

/// Names of the bench models in the table of counts.
fn names(counts: &str) -> impl Iterator<Item = &str> {
    counts.lines().filter_map(|line| line.strip_prefix("[\"bench/")?.strip_suffix("\"]"))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn bench_models_are_told_from_networks() {
        let counts = "[\"bench/one\"]\nlavapipe = [1, 1]\n\n[\"audio/two\"]\n[\"bench/three\"]\n";
        assert_eq!(names(counts).collect::<Vec<_>>(), ["one", "three"]);
    }
}
