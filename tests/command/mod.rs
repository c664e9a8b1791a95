//! Running the built command, for tests of it.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value as Json;

pub type TestResult = Result<(), Box<dyn Error>>;

/// What a run of the command gave.
#[derive(Debug)]
pub struct Ran {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The JSON on stdout of a run that went well.
    pub fn json(&self) -> Result<Json, Box<dyn Error>> {
        self.good()?;
        Ok(serde_json::from_str(&self.stdout)?)
    }

    /// That it went well.
    pub fn good(&self) -> TestResult {
        if self.code == Some(0) { Ok(()) } else { Err(format!("{self:?}").into()) }
    }

    /// That it failed as it should: status 1, nothing on stdout, one line on stderr, which is given.
    pub fn failure(&self) -> Result<&str, Box<dyn Error>> {
        let line = self.stderr.strip_suffix('\n').filter(|line| line.starts_with("error: ") && !line.contains('\n'));
        match line {
            Some(line) if self.code == Some(1) && self.stdout.is_empty() => Ok(line),
            _ => Err(format!("expected status 1 and one line, found {self:?}").into()),
        }
    }
}

/// Runs the command with these words.
pub fn run<S: AsRef<str>>(words: &[S]) -> Result<Ran, Box<dyn Error>> {
    run_in(words, &[])
}

/// As [`run`], with environment variables.
pub fn run_in<S: AsRef<str>>(words: &[S], variables: &[(&str, &str)]) -> Result<Ran, Box<dyn Error>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tflite-wgpu"));
    // Without it a layer of Mesa's drivers writes to stderr.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    command.args(words.iter().map(AsRef::as_ref)).envs(variables.iter().copied());
    let output = command.output()?;
    Ok(Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// A file of the digits model's folder.
pub fn digits(file: &str) -> String {
    format!("{}/assets/digits/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// A folder of this test's own, empty and made anew.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Result<Self, Box<dyn Error>> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tflite-wgpu-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// A path in it.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Names of what is in it, sorted.
    pub fn entries(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let entries = std::fs::read_dir(&self.0)?;
        let mut names = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>, std::io::Error>>()?;
        names.sort();
        Ok(names)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind lies below the build folder.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Whether there is an adapter. One line, or with `TFLITE_WGPU_REQUIRE_GPU=1` an error, where there is none.
pub fn has_adapter() -> Result<bool, Box<dyn Error>> {
    let found = run(&["devices", "--json"])?.json()?;
    let any = found["adapters"].as_array().is_some_and(|list| !list.is_empty());
    if !any && std::env::var("TFLITE_WGPU_REQUIRE_GPU").as_deref() == Ok("1") {
        return Err("no adapter, but TFLITE_WGPU_REQUIRE_GPU=1".into());
    }
    if !any {
        println!("skipped: there is no GPU adapter");
    }
    Ok(any)
}

/// The folder of real models; one line where there is none.
pub fn shared_models() -> Option<PathBuf> {
    let own = std::env::var_os("TFLITE_WGPU_MODELS").map(PathBuf::from);
    let folder = own.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models"));
    if folder.join("INDEX.json").exists() {
        return Some(folder);
    }
    println!("skipped: TFLITE_WGPU_MODELS names no folder of models");
    None
}
