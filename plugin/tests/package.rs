//! What users are given: the folder of `cargo xtask plugin`, the wheel, and the examples in Python, C and C++.
//!
//! The library is the one that cargo has built for the tests. The shipped one takes too long to build here; it goes the
//! same way.

mod common;

use std::{
    env,
    error::Error,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{Folder, TestResult, c_library, digits, good, has_adapter, missing, own, package, root, runtimes, values};
use serde_json::{Value as Json, json};

/// Largest difference between the delegate in f32 and the runtime's own kernels on the network of digits.
const CLOSE: f64 = 1e-4;

/// The largest differences that an example has printed, one for each output.
fn differences(text: &str) -> Vec<f64> {
    let number = |line: &str| line.rsplit_once("largest difference from the CPU ")?.1.trim().parse().ok();
    text.lines().filter_map(number).collect()
}

fn assert_close(who: &str, text: &str) {
    let found = differences(text);
    assert!(found.len() == 1 && found.iter().all(|difference| *difference < CLOSE), "{who}: {text}");
}

#[test]
fn a_difference_is_read() {
    let line = |number: &str| format!("output 0: 10 values, largest difference from the CPU {number}\n");
    assert_eq!(differences(&line("3.1e-07")), [3.1e-7]);
    assert!(differences("output 0: nothing").is_empty());
    assert!(std::panic::catch_unwind(|| assert_close("test", &line("0.5"))).is_err());
}

#[test]
fn the_folder_has_everything_under_its_names() -> TestResult {
    let folder = Folder::new("folder")?;
    package(&folder.0)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder.0)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let suffix = env::consts::DLL_SUFFIX;
    let libraries = [format!("{}tflite_wgpu_delegate", env::consts::DLL_PREFIX), "libLiteRtGpuAccelerator".to_owned()];
    let mut expected: Vec<String> = libraries.iter().map(|name| format!("{name}{suffix}")).collect();
    expected.extend(["tflite_wgpu.h", "tflite_wgpu.pc"].map(str::to_owned));
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(fs::read(folder.0.join("tflite_wgpu.h"))?, fs::read(root().join("include/tflite_wgpu.h"))?);
    let description = fs::read_to_string(folder.0.join("tflite_wgpu.pc"))?;
    assert!(description.contains(&format!("Version: {}", env!("CARGO_PKG_VERSION"))), "{description}");
    Ok(())
}

/// Python of the first runtime that can build wheels.
fn wheel_builder(test: &str) -> Result<Option<common::Runtime>, Box<dyn Error>> {
    for runtime in runtimes(test)? {
        let mut ask = Command::new(&runtime.python);
        if good(ask.args(["-c", "import setuptools.command.bdist_wheel, pip"])).is_ok() {
            return Ok(Some(runtime));
        }
    }
    missing(test, "no runtime with setuptools")?;
    Ok(None)
}

/// The package as pip installs it from `python/`, with the library in `made`.
fn install(python: &Path, made: &Path, to: &Path) -> TestResult {
    // A build leaves files beside its sources.
    let sources = to.join("sources");
    fs::create_dir_all(sources.join("tflite_wgpu"))?;
    for file in ["setup.py", "pyproject.toml", "README.md"] {
        fs::copy(root().join("python").join(file), sources.join(file))?;
    }
    for entry in fs::read_dir(root().join("python/tflite_wgpu"))?.map(|entry| entry.map(|entry| entry.path())) {
        let path = entry?;
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            fs::copy(&path, sources.join("tflite_wgpu").join(name))?;
        }
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-build-isolation", "--no-deps"]);
    pip.arg("--target").arg(to.join("site")).arg(sources).env("TFLITE_WGPU_LIBRARY_DIR", made);
    good(&mut pip).map(drop)
}

#[test]
fn the_wheel_loads_lists_and_verifies() -> TestResult {
    let test = "the_wheel_loads_lists_and_verifies";
    if !has_adapter(test) {
        return Ok(());
    }
    let Some(builder) = wheel_builder(test)? else { return Ok(()) };
    let folder = Folder::new("wheel")?;
    let made = folder.0.join("made");
    package(&made)?;
    install(&builder.python, &made, &folder.0)?;
    let site = folder.0.join("site");
    let tags = fs::read_dir(&site)?.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("WHEEL")).ok());
    assert!(tags.collect::<String>().contains("Tag: py3-none-"), "one wheel serves every Python");
    let ask = "import json, sys, tflite_wgpu as t; v = t.verify(sys.argv[1], precision='f32'); \
               print(json.dumps([len(t.devices()), v['passed'], v['gpu_nodes'], v['first_off'], t.__version__]), \
               t.runtime_path(), sep='\\n')";
    let older = "import tflite_wgpu._library as l; l.VERSION = '0.0.0'\n\
                 try: l.load_delegate()\n\
                 except l.LibraryError as error: print(error)";
    for runtime in runtimes(test)? {
        let python = |arguments: &[&OsStr]| {
            let mut command = Command::new(&runtime.python);
            command.args(arguments).env("PYTHONPATH", &site).env_remove("TFLITE_WGPU_LIBRARY_DIR");
            good(&mut command).map(|(out, _)| out)
        };
        let (digits, examples) = (digits(), root().join("examples/python"));
        let answer = python(&["-c".as_ref(), ask.as_ref(), digits.as_ref()])?;
        let (facts, path) = answer.trim_end().split_once('\n').ok_or("one line")?;
        let facts: Json = serde_json::from_str(facts)?;
        assert!(facts[0].as_u64() > Some(0), "{answer}");
        let expected = json!([true, 13, null, env!("CARGO_PKG_VERSION")]);
        assert_eq!(facts.as_array().map(|list| &list[1..]), expected.as_array().map(Vec::as_slice), "{}", runtime.name);
        assert!(Path::new(path).ends_with("site/tflite_wgpu/lib"), "{path}");
        let told = python(&["-c".as_ref(), older.as_ref()])?;
        let version = concat!("has version ", env!("CARGO_PKG_VERSION"), ", expected 0.0.0");
        assert!(told.contains(version), "{}: {told}", runtime.name);
        let compare = examples.join("compare.py");
        assert_close(&runtime.name, &python(&[compare.as_ref(), digits.as_ref(), "precision=f32".as_ref()])?);
        if runtime.name.starts_with("litert-2") {
            let compiled = python(&[examples.join("compiled_model.py").as_ref(), digits.as_ref()])?;
            assert!(compiled.contains("output 0: 10 values, between "), "{compiled}");
        }
    }
    Ok(())
}

/// A compiler that warns of everything, for a source among the examples; `None` when there is none.
fn compiler(test: &str, program: &str, standard: &str, source: &str) -> Result<Option<Command>, Box<dyn Error>> {
    if Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        missing(test, &format!("no {program}"))?;
        return Ok(None);
    }
    let mut command = Command::new(program);
    command.args(["-Wall", "-Wextra", "-Werror", standard]).arg(root().join("examples").join(source));
    Ok(Some(command))
}

/// Lets a compiler link with libraries of a folder, which are found there again when the program runs.
fn link(command: &mut Command, folder: &Path, libraries: &[&str]) {
    command.arg("-L").arg(folder).arg(format!("-Wl,-rpath,{}", folder.display()));
    command.args(libraries.iter().map(|library| format!("-l{library}")));
}

/// The example in C, built with the plugin in a folder.
fn example_in_c(test: &str, folder: &Folder) -> Result<Option<PathBuf>, Box<dyn Error>> {
    let Some(tflite) = c_library(test)? else { return Ok(None) };
    let Some(mut cc) = compiler(test, "cc", "-std=c11", "c/compare.c")? else { return Ok(None) };
    let (made, program) = (folder.0.join("made"), folder.0.join("compare"));
    package(&made)?;
    cc.arg("-I").arg(&made).arg("-I").arg(tflite.join("include")).arg("-o").arg(&program);
    link(&mut cc, &made, &["tflite_wgpu_delegate"]);
    link(&mut cc, &tflite.join("lib"), &["tensorflowlite_c", "m"]);
    good(&mut cc)?;
    Ok(Some(program))
}

#[test]
fn the_example_in_c_runs() -> TestResult {
    let test = "the_example_in_c_runs";
    if !has_adapter(test) {
        return Ok(());
    }
    let folder = Folder::new("c")?;
    let Some(program) = example_in_c(test, &folder)? else { return Ok(()) };
    let (out, log) = good(Command::new(&program).arg(digits()).args(["precision=f32", "log_level=info"]))?;
    assert!(log.contains("applied nodes=13 claimed=13"), "{log}");
    assert_close("C", &out);
    let refused = Command::new(&program).arg(digits()).arg("colour=red").output()?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("colour"));
    Ok(())
}

/// Errors of valgrind's in this library's code: those in whose stack one of the two innermost functions is Rust's. Drivers
/// and the dynamic linker have errors of their own, further in.
fn errors_of_ours(log: &str) -> Vec<String> {
    // Every line begins with the process's number; an empty one ends an error, and so does what is told of an address.
    let lines: Vec<&str> =
        log.lines().filter_map(|line| line.strip_prefix("==")?.split_once("==").map(|(_, text)| text)).collect();
    let is_frame = |line: &str| line.trim_start().starts_with("at 0x") || line.trim_start().starts_with("by 0x");
    let is_ours = |line: &&str| is_frame(line) && (line.contains(".rs:") || line.contains("tflite_wgpu"));
    let is_start = |i: usize, line: &str| {
        line.trim_start().starts_with("at 0x") && i > 0 && lines.get(i - 1).is_some_and(|line| !line.starts_with("  "))
    };
    let starts = lines.iter().enumerate().filter(|(i, line)| is_start(*i, line)).map(|(i, _)| i);
    let inner = |start: usize| lines.iter().skip(start).take(2);
    starts.filter(|&i| inner(i).any(is_ours)).map(|i| lines[i - 1..lines.len().min(i + 8)].join("\n")).collect()
}

#[test]
fn only_errors_of_ours_count() {
    let error = |what: &str, first: &str, second: &str| {
        format!(
            "==7== {what}\n==7==    at 0x1: {first}\n==7==    by 0x2: {second}\n==7==    by 0x3: main (a.rs:1)\n==7== \n"
        )
    };
    let linker = error("Invalid read of size 8", "strncmp (strcmp-sse2.S:162)", "is_dst (dl-load.c:216)");
    let driver = error("Syscall param write(buf)", "write (in /lib/libc.so)", "draw (in /lib/libvulkan_lvp.so)");
    let told = "==7==  Address 0x5 is 9 bytes inside a block of size 15 alloc'd\n==7==    at 0x9: alloc (alloc.rs:9)\n";
    assert!(errors_of_ours(&(linker + told + &driver)).is_empty());
    let copies = error("Invalid write of size 4", "memcpy (vg_replace_strmem.c:1)", "copy (kernel.rs:7)");
    let reads = error("Invalid read of size 4", "read (kernel.rs:9)", "x (in /lib/libc.so)");
    let found = errors_of_ours(&(copies + &reads));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with(" Invalid write of size 4"), "{}", found[0]);
}

#[test]
fn the_example_in_c_is_sound_under_valgrind() -> TestResult {
    let test = "the_example_in_c_is_sound_under_valgrind";
    if !has_adapter(test) {
        return Ok(());
    }
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("SKIPPED {test}: no valgrind");
        return Ok(());
    }
    let folder = Folder::new("valgrind")?;
    let Some(program) = example_in_c(test, &folder)? else { return Ok(()) };
    let log = folder.0.join("log");
    let mut run = Command::new("valgrind");
    run.args(["--leak-check=no", "--error-limit=no"]).arg(format!("--log-file={}", log.display()));
    let (out, _) = good(run.arg(&program).arg(digits()).arg("precision=f32"))?;
    assert_close("C", &out);
    let log = fs::read_to_string(&log)?;
    assert!(log.contains("ERROR SUMMARY"), "{log}");
    let errors = errors_of_ours(&log);
    assert!(errors.is_empty(), "{}", errors.join("\n\n"));
    Ok(())
}

#[test]
fn the_example_in_cpp_runs() -> TestResult {
    let test = "the_example_in_cpp_runs";
    if !has_adapter(test) {
        return Ok(());
    }
    let Some(tflite) = c_library(test)? else { return Ok(()) };
    let Some(mut cpp) = compiler(test, "c++", "-std=c++17", "cpp/compare.cc")? else { return Ok(()) };
    let folder = Folder::new("cpp")?;
    let program = folder.0.join("compare");
    cpp.arg("-I").arg(tflite.join("include")).arg("-o").arg(&program);
    link(&mut cpp, &tflite.join("lib"), &["tensorflowlite_c", "external_delegate_obj"]);
    good(&mut cpp)?;
    let mut run = Command::new(&program);
    let (out, log) = good(run.arg(common::library()?).arg(digits()).args(["precision=f32", "log_level=info"]))?;
    assert!(log.contains("applied nodes=13 claimed=13"), "{log}");
    assert_close("C++", &out);
    Ok(())
}

#[test]
fn the_example_of_a_compiled_model_in_c_runs() -> TestResult {
    let test = "the_example_of_a_compiled_model_in_c_runs";
    if !has_adapter(test) {
        return Ok(());
    }
    let Some(runtime) = runtimes(test)?.into_iter().find(|runtime| runtime.name == "litert-2.3.0") else {
        return missing(test, "no LiteRT 2.3.0");
    };
    let Some(mut cc) = compiler(test, "cc", "-std=c11", "c/compiled_model.c")? else { return Ok(()) };
    let mut ask = Command::new(&runtime.python);
    let (litert, _) = good(ask.args(["-c", "import ai_edge_litert as l; print(l.__path__[0])"]))?;
    let folder = Folder::new("compiled-c")?;
    let (made, program) = (folder.0.join("made"), folder.0.join("compiled_model"));
    package(&made)?;
    cc.arg("-o").arg(&program);
    link(&mut cc, Path::new(litert.trim()), &["LiteRt"]);
    good(&mut cc)?;
    let input = values(256, 11);
    folder.write("in.bin", &input)?;
    let mut run = Command::new(&program);
    run.arg(&made).arg(digits()).args(["1,16,16,1", "1,10"]).env("TFLITE_WGPU_OPTIONS", "precision=f32");
    let (log, found) = (fs::File::create(folder.0.join("log"))?, fs::File::create(folder.0.join("out.bin"))?);
    let status = run.stdin(fs::File::open(folder.0.join("in.bin"))?).stdout(found).stderr(log).status()?;
    assert!(status.success(), "{}", fs::read_to_string(folder.0.join("log"))?);
    let (expected, _) = own(&digits(), &["device=gpu", "precision=f32"], &[1, 16, 16, 1], &input)?;
    assert_eq!(folder.read("out.bin")?, expected[0]);
    Ok(())
}
