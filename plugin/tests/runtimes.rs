//! The library inside the official runtimes: the same nodes and numbers as with our own interpreter.
//!
//! `cargo xtask test` puts an environment per runtime into `target/runtimes` (`TFLITE_WGPU_RUNTIMES` names another
//! folder). Without one the tests say so in one line; `TFLITE_WGPU_REQUIRE_RUNTIMES=1` makes that a failure.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value as Json;
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, Interpreter, Model, Value,
    model::{
        ActivationFunctionType, AddOptions, DType, GraphBuilder, ModelBuilder, MulOptions, NodeId, Op, SoftmaxOptions,
    },
};

type TestResult = Result<(), Box<dyn Error>>;

/// A runtime's interpreter of Python, by its environment's name.
struct Runtime {
    name: String,
    python: PathBuf,
}

/// The runtimes that are there.
fn runtimes(test: &str) -> Result<Vec<Runtime>, Box<dyn Error>> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/runtimes");
    let folder = env::var_os("TFLITE_WGPU_RUNTIMES").map_or_else(default, PathBuf::from);
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
        let reason = format!("no runtimes at {}; `cargo xtask test` installs them", folder.display());
        if env::var("TFLITE_WGPU_REQUIRE_RUNTIMES").as_deref() == Ok("1") {
            return Err(reason.into());
        }
        println!("SKIPPED {test}: {reason}");
    }
    Ok(found)
}

/// The library that cargo has built beside this test.
fn library() -> Result<PathBuf, Box<dyn Error>> {
    let folder = env::current_exe()?.parent().map(Path::to_path_buf).ok_or("the test has no folder")?;
    let name = format!("{}tflite_wgpu_delegate{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let path = folder.join(name);
    if path.is_file() { Ok(path) } else { Err(format!("{} is not there", path.display()).into()) }
}

impl Runtime {
    /// A scenario of `host.py`.
    fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output, Box<dyn Error>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host.py");
        let mut command = Command::new(&self.python);
        command.arg(script).args(arguments).envs(variables.iter().copied());
        Ok(command.output()?)
    }

    /// Its answer, and what it wrote to standard error.
    fn ask(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<(Json, String), Box<dyn Error>> {
        let output = self.start(arguments, variables)?;
        let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(format!("{}: {}: {log}", self.name, output.status).into());
        }
        let line = text.lines().last().ok_or_else(|| format!("{}: no answer: {log}", self.name))?;
        Ok((serde_json::from_str(line)?, log.into_owned()))
    }
}

/// A folder of its own that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self, Box<dyn Error>> {
        let path = env::temp_dir().join(format!("tflite-wgpu-plugin-{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    fn write(&self, name: &str, values: &[f32]) -> TestResult {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(fs::write(self.0.join(name), bytes)?)
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, Box<dyn Error>> {
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

/// A graph with a node in its middle that no GPU kernel takes, so that it has two partitions; any batch.
fn two_partitions(folder: &Folder) -> Result<PathBuf, Box<dyn Error>> {
    const F: DType = DType::Float32;
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &[2, 8]);
    let two = graph.constant_f32("two", &[], &[2.0]);
    let relu = AddOptions { fused_activation_function: ActivationFunctionType::Relu, ..Default::default() };
    let a = graph.op(Op::Add(relu), &[Some(x), Some(two)], &[("a", F, &[2, 8])]);
    let k = graph.constant_i32("k", &[], &[4]);
    let top = graph.op_multi(Op::TopkV2, &[Some(a), Some(k)], &[("values", F, &[2, 4]), ("at", DType::Int32, &[2, 4])]);
    let y = graph.op(Op::Mul(MulOptions::default()), &[Some(top[0]), Some(two)], &[("y", F, &[2, 4])]);
    let z = graph.op(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[Some(y)], &[("z", F, &[2, 4])]);
    graph.output(z);
    let path = folder.0.join("two_partitions.tflite");
    fs::write(&path, ModelBuilder::new().subgraph(graph).finish()?)?;
    Ok(path)
}

/// Pseudo-random values, the same everywhere.
fn values(count: usize, seed: u32) -> Vec<f32> {
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
type Own = (Vec<Vec<f32>>, Vec<NodeId>);

/// What our own interpreter gives with these options.
fn own(model: &Path, options: &[&str], shape: &[usize], input: &[f32]) -> Result<Own, Box<dyn Error>> {
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

/// The nodes that the log says stay with the host.
fn left_to_host(log: &str) -> Vec<NodeId> {
    let stays = log.lines().filter(|line| line.contains("stays with the host"));
    let number = |line: &str| line.split("node=").nth(1)?.split_whitespace().next()?.parse().ok().map(NodeId);
    let mut left: Vec<NodeId> = stays.filter_map(number).collect();
    left.sort_unstable();
    left.dedup();
    left
}

fn has_adapter() -> bool {
    GpuDelegate::new(DelegateOptions { device: tflite_wgpu::options::DeviceChoice::Gpu, ..Default::default() }).is_ok()
}

fn same_as_own(test: &str, model: &Path, folder: &Folder, shapes: &[&[usize]], precision: &str) -> TestResult {
    let library = library()?;
    let library = library.to_str().ok_or("a path that is no text")?;
    let mut arguments = vec!["run", library, model.to_str().ok_or("a path that is no text")?, folder.text()];
    let words: Vec<String> =
        shapes.iter().map(|shape| shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")).collect();
    words.iter().for_each(|word| arguments.extend(["--shape", word]));
    let option = format!("precision={precision}");
    arguments.extend([option.as_str(), "log_level=debug"]);
    for runtime in runtimes(test)? {
        let mut expected = Vec::new();
        for (number, shape) in shapes.iter().enumerate() {
            let input = values(shape.iter().product(), 7 + number as u32);
            folder.write(&format!("in_{number}.bin"), &input)?;
            expected.push(own(model, &["device=gpu", &option], shape, &input)?);
        }
        let (answer, log) = runtime.ask(&arguments, &[])?;
        let delegated = answer["operators"].as_array().ok_or("no operators")?.iter().filter(|name| *name == "DELEGATE");
        assert!(delegated.count() > 0, "{}: {answer}", runtime.name);
        for (number, (outputs, left)) in expected.iter().enumerate() {
            assert_eq!(&left_to_host(&log), left, "{}: nodes", runtime.name);
            for (place, output) in outputs.iter().enumerate() {
                assert!(!output.is_empty());
                assert_eq!(
                    &folder.read(&format!("out_{number}_{place}.bin"))?,
                    output,
                    "{}: shape {number}",
                    runtime.name
                );
            }
        }
        println!("{}: {} shapes compared", runtime.name, shapes.len());
    }
    Ok(())
}

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/digits/digits_f32.tflite")
}

#[test]
fn a_network_gives_the_same_numbers() -> TestResult {
    if !has_adapter() {
        println!("SKIPPED a_network_gives_the_same_numbers: no adapter");
        return Ok(());
    }
    let folder = Folder::new("network")?;
    let shape: &[usize] = &[1, 16, 16, 1];
    same_as_own("a_network_gives_the_same_numbers", &digits(), &folder, &[shape], "f16")?;
    same_as_own("a_network_gives_the_same_numbers", &digits(), &folder, &[shape], "f32")
}

#[test]
fn nodes_between_partitions_and_resizes() -> TestResult {
    if !has_adapter() {
        println!("SKIPPED nodes_between_partitions_and_resizes: no adapter");
        return Ok(());
    }
    let folder = Folder::new("resizes")?;
    let model = two_partitions(&folder)?;
    let shapes: &[&[usize]] = &[&[2, 8], &[5, 8], &[1, 8], &[2, 8]];
    same_as_own("nodes_between_partitions_and_resizes", &model, &folder, shapes, "f32")
}

#[test]
fn a_wrong_number_is_noticed() -> TestResult {
    if !has_adapter() {
        println!("SKIPPED a_wrong_number_is_noticed: no adapter");
        return Ok(());
    }
    let input = values(256, 3);
    let (right, left) = own(&digits(), &["device=gpu"], &[1, 16, 16, 1], &input)?;
    let (other, _) = own(&digits(), &["device=gpu"], &[1, 16, 16, 1], &values(256, 4))?;
    assert_ne!(right, other);
    assert!(left.is_empty());
    assert_eq!(left_to_host("DEBUG stays with the host node=3 operator=\"ADD\"\n INFO applied nodes=4"), [NodeId(3)]);
    Ok(())
}

#[test]
fn without_an_adapter_the_host_is_told() -> TestResult {
    let folder = Folder::new("none")?;
    folder.write("in_0.bin", &values(256, 5))?;
    let library = library()?;
    let (library, digits) = (library.to_str().ok_or("a path that is no text")?, digits());
    let arguments = ["run", library, digits.to_str().ok_or("a path that is no text")?, folder.text()];
    let nothing = [("VK_DRIVER_FILES", "/nonexistent"), ("VK_ICD_FILENAMES", "/nonexistent")];
    for runtime in runtimes("without_an_adapter_the_host_is_told")? {
        let failed = runtime.start(&arguments, &nothing)?;
        let log = String::from_utf8_lossy(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{}: {log}", runtime.name);
        assert!(log.contains("adapter") && log.contains("fallback=true"), "{}: {log}", runtime.name);
        let mut allowed = arguments.to_vec();
        allowed.push("fallback=true");
        let (answer, _) = runtime.ask(&allowed, &nothing)?;
        assert!(!answer["operators"].to_string().contains("DELEGATE"), "{answer}");
        assert_eq!(folder.read("out_0_0.bin")?.len(), 10);
    }
    Ok(())
}

#[test]
fn wrong_options_are_named() -> TestResult {
    let library = library()?;
    let library = library.to_str().ok_or("a path that is no text")?;
    for runtime in runtimes("wrong_options_are_named")? {
        for (word, parts) in [("colour=red", ["colour", "precision"]), ("precision=f64", ["f64", "f16 or f32"])] {
            let (answer, _) = runtime.ask(&["refuse", library, word], &[])?;
            let message = answer["message"].as_str().unwrap_or_default();
            assert!(parts.iter().all(|part| message.contains(part)), "{}: {answer}", runtime.name);
        }
    }
    Ok(())
}

#[test]
fn the_python_package_loads_lists_and_verifies() -> TestResult {
    let test = "the_python_package_loads_lists_and_verifies";
    if !has_adapter() {
        println!("SKIPPED {test}: no adapter");
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (package, example) = (root.join("python"), root.join("python/examples/compare.py"));
    let library = library()?;
    let folder = library.parent().ok_or("the library has no folder")?;
    let ask = "import json, sys, tflite_wgpu as t; v = t.verify(sys.argv[1], precision='f32'); \
               print(json.dumps([len(t.devices()), v['passed'], v['gpu_nodes'], v['first_off'], t.__version__]))";
    for runtime in runtimes(test)? {
        let python = |arguments: &[&std::ffi::OsStr]| {
            let mut command = Command::new(&runtime.python);
            command.args(arguments).arg(digits());
            command.env("PYTHONPATH", &package).env("TFLITE_WGPU_LIBRARY_DIR", folder);
            command
        };
        let asked = python(&["-c".as_ref(), ask.as_ref()]).output()?;
        let answer: Json = serde_json::from_slice(&asked.stdout)
            .map_err(|_| format!("{}: {}", runtime.name, String::from_utf8_lossy(&asked.stderr)))?;
        assert!(answer[0].as_u64() > Some(0), "{answer}");
        assert_eq!(
            answer.as_array().map(|list| &list[1..]),
            serde_json::json!([true, 13, null, env!("CARGO_PKG_VERSION")]).as_array().map(|list| &list[..])
        );
        let compared = python(&[example.as_os_str()]).arg("precision=f32").output()?;
        let text = String::from_utf8_lossy(&compared.stdout);
        assert!(text.contains("output 0: (1, 10), largest difference"), "{}: {text}", runtime.name);
    }
    Ok(())
}

#[test]
fn a_compiled_model_takes_the_accelerator() -> TestResult {
    let test = "a_compiled_model_takes_the_accelerator";
    if !has_adapter() {
        println!("SKIPPED {test}: no adapter");
        return Ok(());
    }
    let folder = Folder::new("compiled")?;
    let name = format!("libLiteRtGpuAccelerator{}", env::consts::DLL_SUFFIX);
    fs::copy(library()?, folder.0.join(name))?;
    let (input, digits) = (values(256, 9), digits());
    folder.write("in_0.bin", &input)?;
    let (expected, _) = own(&digits, &["device=gpu", "precision=f16"], &[1, 16, 16, 1], &input)?;
    let digits = digits.to_str().ok_or("a path that is no text")?;
    // Older runtimes know no accelerator of this kind.
    for runtime in runtimes(test)?.iter().filter(|runtime| runtime.name.starts_with("litert-2")) {
        for accelerators in ["gpu", "gpu+cpu"] {
            let variables = [("TFLITE_WGPU_OPTIONS", "precision=f16;log_level=info")];
            let (_, log) =
                runtime.ask(&["compiled", folder.text(), digits, folder.text(), accelerators], &variables)?;
            assert!(log.contains("applied nodes=13 claimed=13"), "{}: {log}", runtime.name);
            assert_eq!(folder.read("out_0_0.bin")?, expected[0], "{}", runtime.name);
        }
    }
    Ok(())
}
