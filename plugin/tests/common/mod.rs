//! The official runtimes that are installed, and what our own interpreter says.
#![allow(dead_code, reason = "no test target uses all of it")]

use std::{
    env,
    error::Error,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value as Json;
use tflite_wgpu::{DelegateOptions, GpuDelegate, Interpreter, Model, Value, model::NodeId};

pub type TestResult = Result<(), Box<dyn Error>>;

/// A runtime's interpreter of Python, by its environment's name.
pub struct Runtime {
    pub name: String,
    pub python: PathBuf,
}

/// The runtimes that are there.
pub fn runtimes(test: &str) -> Result<Vec<Runtime>, Box<dyn Error>> {
    let folder = home();
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let entry = entry?;
        let python = ["bin/python", "Scripts/python.exe"].map(|place| entry.path().join(place));
        if let Some(python) = python.into_iter().find(|python| python.is_file()) {
            found.push(Runtime { name: entry.file_name().to_string_lossy().into_owned(), python });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    if found.is_empty() {
        missing(test, &format!("no runtimes at {}", folder.display()))?;
    }
    Ok(found)
}

/// Where the runtimes are.
fn home() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/runtimes");
    env::var_os("TFLITE_WGPU_RUNTIMES").map_or_else(default, PathBuf::from)
}

/// Says that a test cannot run for what it lacks; a failure where everything is wanted.
pub fn missing(test: &str, what: &str) -> TestResult {
    let reason = format!("{what}; `cargo xtask test` installs what can be had");
    if env::var("TFLITE_WGPU_REQUIRE_RUNTIMES").as_deref() == Ok("1") {
        return Err(reason.into());
    }
    println!("SKIPPED {test}: {reason}");
    Ok(())
}

/// TFLite's C library: a folder with `include` and `lib`.
pub fn c_library(test: &str) -> Result<Option<PathBuf>, Box<dyn Error>> {
    let folder = home().join("tflite-c-2.9.0");
    if folder.join("complete").is_file() {
        return Ok(Some(folder));
    }
    missing(test, &format!("no C library at {}", folder.display()))?;
    Ok(None)
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a program that has ended well wrote to its standard output and error.
pub fn good(command: &mut Command) -> Result<(String, String), Box<dyn Error>> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, log) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() {
        Ok((out, log))
    } else {
        Err(format!("{command:?}: {}: {out}{log}", output.status).into())
    }
}

/// The plugin as it is given to users, in this folder: what `cargo xtask plugin` makes of the library beside this test.
pub fn package(folder: &Path) -> TestResult {
    let mut cargo = Command::new(env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    cargo.current_dir(root()).args(["xtask", "plugin", "--library"]).arg(library()?).arg("--out").arg(folder);
    good(&mut cargo).map(drop)
}

/// The library that cargo has built beside this test.
pub fn library() -> Result<PathBuf, Box<dyn Error>> {
    let folder = env::current_exe()?.parent().map(Path::to_path_buf).ok_or("the test has no folder")?;
    let name = format!("{}tflite_wgpu_delegate{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let path = folder.join(name);
    if path.is_file() { Ok(path) } else { Err(format!("{} is not there", path.display()).into()) }
}

impl Runtime {
    /// A scenario of `host.py`.
    pub fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output, Box<dyn Error>> {
        self.start_script("host.py", arguments, variables)
    }

    /// Its answer, and what it wrote to standard error.
    pub fn ask(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<(Json, String), Box<dyn Error>> {
        self.ask_script("host.py", arguments, variables)
    }

    fn start_script(
        &self,
        script: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Output, Box<dyn Error>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
        let mut command = Command::new(&self.python);
        command.arg(script).args(arguments).envs(variables.iter().copied());
        Ok(command.output()?)
    }

    /// The answer of a script of this folder, and what it wrote to standard error.
    pub fn ask_script(
        &self,
        script: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<(Json, String), Box<dyn Error>> {
        let output = self.start_script(script, arguments, variables)?;
        let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(format!("{}: {}: {log}", self.name, output.status).into());
        }
        let line = text.lines().last().ok_or_else(|| format!("{}: no answer: {log}", self.name))?;
        Ok((serde_json::from_str(line)?, log.into_owned()))
    }
}

/// A folder of its own that goes with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Result<Self, Box<dyn Error>> {
        let path = env::temp_dir().join(format!("tflite-wgpu-plugin-{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn text(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub fn write(&self, name: &str, values: &[f32]) -> TestResult {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(fs::write(self.0.join(name), bytes)?)
    }

    pub fn read(&self, name: &str) -> Result<Vec<f32>, Box<dyn Error>> {
        let bytes = fs::read(self.0.join(name))?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Pseudo-random values, the same everywhere.
pub fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Outputs, and the nodes that are left to the CPU.
pub type Own = (Vec<Vec<f32>>, Vec<NodeId>);

/// What our own interpreter gives with these options.
pub fn own(model: &Path, options: &[&str], shape: &[usize], input: &[f32]) -> Result<Own, Box<dyn Error>> {
    let model = Model::open(model)?;
    let delegate = GpuDelegate::new(DelegateOptions::parse(options.iter().copied())?)?;
    let report = delegate.report();
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    interpreter.set_input(0, Value::f32(shape, input)?)?;
    interpreter.invoke()?;
    let outputs = (0..interpreter.outputs().len()).map(|i| Ok(interpreter.output(i)?.as_slice::<f32>()?.to_vec()));
    let outputs = outputs.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let report = report.lock().map_err(|_| "the report is poisoned")?;
    let left = report.subgraphs.iter().flat_map(|subgraph| subgraph.reasons.keys().copied()).collect();
    Ok((outputs, left))
}

/// Whether there is an adapter; says of the test that it is skipped where there is none.
pub fn has_adapter(test: &str) -> bool {
    let gpu = DelegateOptions { device: tflite_wgpu::options::DeviceChoice::Gpu, ..Default::default() };
    let found = GpuDelegate::new(gpu).is_ok();
    if !found {
        println!("SKIPPED {test}: no adapter");
    }
    found
}

pub fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/digits/digits_f32.tflite")
}
