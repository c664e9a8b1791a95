//! The official runtimes that the plugin's tests run in, below `target/`: Python environments, and the C library.

use crate::process;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Name of each environment, and what pip installs into it.
const RUNTIMES: [(&str, &[&str]); 3] = [
    // It also builds this project's wheel.
    ("litert-2.3.0", &["ai-edge-litert==2.3.0", "ml_dtypes", "numpy", "setuptools>=70.1"]),
    ("litert-1.4.0", &["ai-edge-litert==1.4.0", "numpy"]),
    ("tflite-2.14.0", &["tflite-runtime==2.14.0", "numpy<2"]),
];

/// TFLite's C library with its headers, of this version: a package of npm's index has it.
const C_LIBRARY: (&str, &str) = ("tflite-c-2.9.0", "tfjs-tflite-node@0.0.2");

/// The package's folder for this machine.
const C_PLATFORM: Option<&str> = match (cfg!(target_os = "linux"), cfg!(target_os = "macos")) {
    (true, _) if cfg!(target_arch = "x86_64") => Some("linux_amd64"),
    (true, _) if cfg!(target_arch = "aarch64") => Some("linux_arm64"),
    (_, true) if cfg!(target_arch = "aarch64") => Some("darwin_arm64"),
    _ => None,
};

/// Says that an environment is whole.
const MARK: &str = "complete";

/// Makes the environments that are missing, and says in one line each why one cannot be had.
pub fn provide(target_dir: &Path) {
    let home = target_dir.join("runtimes");
    for (name, packages) in RUNTIMES {
        once(&home.join(name), &packages.join(" "), |environment| install(environment, packages));
    }
    let (name, package) = C_LIBRARY;
    once(&home.join(name), package, |folder| unpack(folder, package));
}

/// Fills a folder unless it was filled from `source` before.
fn once(folder: &Path, source: &str, fill: impl FnOnce(&Path) -> Result<()>) {
    let mark = folder.join(MARK);
    if fs::read_to_string(&mark).is_ok_and(|found| found == source) {
        return;
    }
    let name = folder.file_name().unwrap_or_default().display();
    println!("installing {name}");
    let _ = fs::remove_dir_all(folder);
    let filled = fill(folder).and_then(|()| fs::write(&mark, source).context("marking it as whole"));
    if let Err(error) = filled {
        println!("{name} is not to be had: {error:#}");
        // A half-made one would look like a runtime.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Makes an environment of Python with these packages.
fn install(environment: &Path, packages: &[&str]) -> Result<()> {
    process::output(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    let pip = environment.join(if cfg!(windows) { "Scripts/pip.exe" } else { "bin/pip" });
    let mut install = Command::new(pip);
    install.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]).args(packages);
    process::output(&mut install).map(drop)
}

/// Puts the C library into `lib` and its headers into `include`.
fn unpack(folder: &Path, package: &str) -> Result<()> {
    let platform = C_PLATFORM.context("there is none for this machine")?;
    let unpacked = folder.join("unpacked");
    fs::create_dir_all(&unpacked).with_context(|| format!("making {}", unpacked.display()))?;
    let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.args(["pack", "--silent", "--pack-destination"]).arg(&unpacked).arg(package);
    let archive = process::output(&mut npm)?;
    let archive = unpacked.join(archive.trim());
    process::output(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&unpacked))?;
    let parts = unpacked.join("package/cc_deps");
    for (from, to) in [(platform, "lib"), ("include", "include")] {
        fs::rename(parts.join(from), folder.join(to)).with_context(|| format!("{from} of {package}"))?;
    }
    fs::remove_dir_all(&unpacked).with_context(|| format!("removing {}", unpacked.display()))
}
