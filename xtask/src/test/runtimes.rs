//! The official runtimes that the plugin's tests run in: Python environments below `target/`.

use crate::process;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Name of each environment, and what pip installs into it.
const RUNTIMES: [(&str, &[&str]); 3] = [
    ("litert-2.3.0", &["ai-edge-litert==2.3.0", "ml_dtypes", "numpy"]),
    ("litert-1.4.0", &["ai-edge-litert==1.4.0", "numpy"]),
    ("tflite-2.14.0", &["tflite-runtime==2.14.0", "numpy<2"]),
];

/// Says that an environment is whole.
const MARK: &str = "complete";

/// Makes the environments that are missing, and says in one line each why one cannot be had.
pub fn provide(target_dir: &Path) {
    let home = target_dir.join("runtimes");
    for (name, packages) in RUNTIMES {
        if let Err(error) = install(&home.join(name), packages) {
            println!("{name} is not to be had: {error:#}");
            // A half-made one would look like a runtime.
            let _ = fs::remove_dir_all(home.join(name));
        }
    }
}

fn install(environment: &Path, packages: &[&str]) -> Result<()> {
    let mark = environment.join(MARK);
    let wanted = packages.join(" ");
    if fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    println!("installing {}", packages[0]);
    let _ = fs::remove_dir_all(environment);
    process::output(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    let pip = environment.join(if cfg!(windows) { "Scripts/pip.exe" } else { "bin/pip" });
    let mut install = Command::new(pip);
    install.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]).args(packages);
    process::output(&mut install)?;
    fs::write(&mark, wanted).with_context(|| format!("writing {}", mark.display()))
}
