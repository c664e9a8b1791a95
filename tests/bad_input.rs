//! Bad input of every kind: one clear error line and status 1, no panic, no output left behind.

mod command;

use command::{Ran, Scratch, TestResult, digits, has_adapter, run};
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, Interpreter, Model, Value,
    model::{
        ActivationFunctionType, Bytes, Conv2DOptions, DType, FullyConnectedOptions, GatherOptions, GraphBuilder,
        ModelBuilder, Op, Padding, Pool2DOptions, SplitOptions,
    },
    npy,
    verify::{self, Call},
};

const F: DType = DType::Float32;
/// Tensors of the digits model take a few kilobytes.
const LIMIT: usize = 32 << 20;

/// Runs a file with made-up inputs and an output folder. An error is one line; the folder is there only after success.
fn run_file(scratch: &Scratch, model: &str, options: &[&str]) -> Result<Ran, Box<dyn std::error::Error>> {
    let folder = scratch.file("out");
    let words = ["run", model, "--random", "--output-dir", &folder, "--memory-limit", "32M"];
    let found = run(&[&words, options].concat())?;
    if found.code == Some(0) {
        assert!(
            !std::fs::read_dir(&folder)?.any(|e| e.is_ok_and(|e| e.path().extension().is_some_and(|x| x == "partial")))
        );
        std::fs::remove_dir_all(&folder)?;
    } else {
        found.failure()?;
        assert!(!std::path::Path::new(&folder).exists(), "{folder} is left behind: {found:?}");
    }
    Ok(found)
}

/// That a run fails with a line that names the file and has these parts.
fn fails(scratch: &Scratch, bytes: &[u8], options: &[&str], parts: &[&str]) -> TestResult {
    let model = scratch.file("model.tflite");
    std::fs::write(&model, bytes)?;
    let found = run_file(scratch, &model, options)?;
    let line = found.failure()?;
    match parts.iter().copied().chain([model.as_str()]).find(|part| !line.contains(part)) {
        Some(part) => Err(format!("{part:?} is not in {line:?}").into()),
        None => Ok(()),
    }
}

#[test]
fn a_truncated_file_is_refused_at_every_length() -> TestResult {
    let scratch = Scratch::new()?;
    let whole = std::fs::read(digits("digits_f32.tflite"))?;
    let lengths: Vec<usize> = (0..64).map(|i| i * whole.len() / 64).chain([1, 4, 7, 8, 9, 31, 100]).collect();
    for &length in &lengths {
        let parts: &[&str] = if length < 8 { &["not a .tflite file", "identifier"] } else { &[] };
        fails(&scratch, &whole[..length], &["--device", "cpu"], parts).map_err(|e| format!("{length} bytes: {e}"))?;
    }
    assert_eq!(lengths.len(), 71);
    Ok(())
}

/// Positions all over a file, the same every time, each with a bit.
fn flips(length: usize, count: usize) -> impl Iterator<Item = (usize, u8)> {
    (0..count).map(move |i| ((i * 7919 + i * i % 613) % length, 1 << (i % 8)))
}

#[test]
fn a_flipped_bit_gives_a_result_or_one_line() -> TestResult {
    const COUNT: usize = 120;
    let scratch = Scratch::new()?;
    let (mut refused, model) = (0, scratch.file("model.tflite"));
    let whole = std::fs::read(digits("digits_f32.tflite"))?;
    for (at, bit) in flips(whole.len(), COUNT) {
        let mut bytes = whole.clone();
        bytes[at] ^= bit;
        std::fs::write(&model, bytes)?;
        let found =
            run_file(&scratch, &model, &["--device", "cpu"]).map_err(|e| format!("byte {at} bit {bit}: {e}"))?;
        refused += usize::from(found.code == Some(1));
    }
    println!("{COUNT} flips, {refused} refused");
    assert!(refused > 0);
    Ok(())
}

/// Reads a file and invokes it once with zeros.
fn invoke(bytes: Vec<u8>, delegate: Option<GpuDelegate>) -> Result<Vec<Value>, tflite_wgpu::Error> {
    let model = Model::read(bytes)?;
    let mut builder = Interpreter::builder(&model).memory_limit_bytes(LIMIT).max_loop_iterations(1000).threads(1);
    if let Some(delegate) = delegate {
        builder = builder.delegate(Box::new(delegate));
    }
    let mut interpreter = builder.build()?;
    let call = Call { signature: None, inputs: &[] };
    Ok(verify::invoke(&mut interpreter, &call)?.into_iter().map(|(_, value)| value).collect())
}

#[test]
fn flipped_bits_do_not_panic_on_the_cpu() -> TestResult {
    const COUNT: usize = 3000;
    let (mut refused, mut ran) = (0, 0);
    for kind in ["f32", "f16", "int8"] {
        let whole = std::fs::read(digits(&format!("digits_{kind}.tflite")))?;
        for (at, bit) in flips(whole.len(), COUNT) {
            let mut bytes = whole.clone();
            bytes[at] ^= bit;
            match invoke(bytes, None) {
                Ok(_) => ran += 1,
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty(), "{kind}: byte {at} bit {bit}");
                }
            }
        }
    }
    println!("{} flips, {refused} refused", 3 * COUNT);
    assert!(refused > 100 && ran > 100, "{refused} refused, {ran} ran");
    Ok(())
}

#[test]
fn flipped_bits_do_not_panic_on_the_gpu() -> TestResult {
    if !has_adapter()? {
        return Ok(());
    }
    const COUNT: usize = 300;
    let options = DelegateOptions::parse(["device=gpu"])?;
    let device = GpuDelegate::new(options.clone())?.device().cloned().ok_or("no device")?;
    let whole = std::fs::read(digits("digits_f32.tflite"))?;
    let (mut refused, mut ran) = (0, 0);
    for (at, bit) in flips(whole.len(), COUNT) {
        let mut bytes = whole.clone();
        bytes[at] ^= bit;
        match invoke(bytes, Some(GpuDelegate::with_device(std::sync::Arc::clone(&device), options.clone()))) {
            Ok(_) => ran += 1,
            Err(_) => refused += 1,
        }
    }
    println!("{COUNT} flips, {refused} refused");
    assert!(refused > 10 && ran > 10, "{refused} refused, {ran} ran");
    assert!(device.check().is_ok(), "the device must live on");
    Ok(())
}

fn one_node(build: impl FnOnce(&mut GraphBuilder)) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut graph = GraphBuilder::new();
    build(&mut graph);
    Ok(ModelBuilder::new().subgraph(graph).finish()?)
}

fn conv(stride: i32, dilation: i32, channels: usize, height: usize) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    one_node(|graph| {
        let x = graph.input("x", F, &[1, 4, 4, 2]);
        let w = graph.constant_f32("w", &[3, height, 1, channels], &vec![1.0; 3 * height * channels]);
        let b = graph.constant_f32("b", &[3], &[0.0; 3]);
        let options = Conv2DOptions {
            padding: Padding::Valid,
            stride_w: stride,
            stride_h: stride,
            dilation_hfactor: dilation,
            dilation_wfactor: dilation,
            fused_activation_function: ActivationFunctionType::None,
            ..Conv2DOptions::default()
        };
        let y = graph.op(Op::Conv2d(options), &[Some(x), Some(w), Some(b)], &[("y", F, &[1, 4, 4, 3])]);
        graph.output(y);
    })
}

/// Name, file, and what the line must name.
type Case = (&'static str, Vec<u8>, &'static [&'static str]);

fn hostile() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let unary = |op: Op, dims: &[usize]| {
        one_node(|graph| {
            let x = graph.input("x", F, dims);
            let y = graph.op(op, &[Some(x)], &[("y", F, dims)]);
            graph.output(y);
        })
    };
    let with_ints = |op: Op, ints: &[i32], first: bool| {
        one_node(|graph| {
            let x = graph.input("x", F, &[2, 6]);
            let c = graph.constant_i32("c", &[ints.len()], ints);
            let inputs = if first { [Some(c), Some(x)] } else { [Some(x), Some(c)] };
            let y = graph.op(op, &inputs, &[("y", F, &[2, 6])]);
            graph.output(y);
        })
    };
    let pool =
        Pool2DOptions { stride_w: 0, stride_h: 1, filter_width: 2, filter_height: 2, ..Pool2DOptions::default() };
    let dense = one_node(|graph| {
        let x = graph.input("x", F, &[1, 5]);
        let w = graph.constant_f32("w", &[2, 4], &[0.5; 8]);
        let options = FullyConnectedOptions::default();
        let y = graph.op(Op::FullyConnected(options), &[Some(x), Some(w), None], &[("y", F, &[1, 2])]);
        graph.output(y);
    })?;
    let short = one_node(|graph| {
        let x = graph.input("x", F, &[4]);
        let w = graph.constant("w", F, &[4], vec![0; 12]);
        let y = graph.op(Op::Maximum, &[Some(x), Some(w)], &[("y", F, &[4])]);
        graph.output(y);
    });
    let custom = Op::Custom { name: "Mystery".to_owned(), options: Bytes::from(vec![1]) };
    let gather = GatherOptions { axis: 7, batch_dims: 0 };
    let mut cases: Vec<Case> = vec![
        ("stride 0", conv(0, 1, 2, 1)?, &["node 0 CONV_2D"]),
        ("stride -1", conv(-1, 1, 2, 1)?, &["node 0 CONV_2D"]),
        ("dilation 0", conv(1, 0, 2, 2)?, &["node 0 CONV_2D"]),
        ("filter of other channels", conv(1, 1, 3, 1)?, &["node 0 CONV_2D"]),
        ("pool stride 0", unary(Op::MaxPool2d(pool), &[1, 4, 4, 1])?, &["node 0 MAX_POOL_2D"]),
        ("no such operator", unary(custom, &[2])?, &["node 0", "Mystery"]),
        ("reshape to more", with_ints(Op::Reshape(Default::default()), &[5, 5], false)?, &["node 0 RESHAPE"]),
        ("reshape with two open", with_ints(Op::Reshape(Default::default()), &[-1, -1], false)?, &["node 0 RESHAPE"]),
        ("transpose twice", with_ints(Op::Transpose, &[0, 0], false)?, &["node 0 TRANSPOSE"]),
        ("transpose beyond", with_ints(Op::Transpose, &[0, 9], false)?, &["node 0 TRANSPOSE"]),
        ("tile too large", with_ints(Op::Tile, &[i32::MAX, i32::MAX], false)?, &["node 0 TILE"]),
        ("tile negative", with_ints(Op::Tile, &[-1, 1], false)?, &["node 0 TILE"]),
        ("gather beyond the axes", with_ints(Op::Gather(gather), &[0], false)?, &["node 0 GATHER"]),
        ("gather beyond the end", with_ints(Op::Gather(GatherOptions::default()), &[99], false)?, &["node 0 GATHER"]),
        ("split into none", with_ints(Op::Split(SplitOptions { num_splits: 0 }), &[0], true)?, &["node 0 SPLIT"]),
        ("split axis beyond", with_ints(Op::Split(SplitOptions { num_splits: 1 }), &[5], true)?, &["node 0 SPLIT"]),
        ("inner sizes differ", dense, &["node 0 FULLY_CONNECTED"]),
        ("input too large", unary(Op::Relu, &[1 << 20, 1 << 20])?, &["\"x\"", "memory limit"]),
        ("input overflows", unary(Op::Relu, &[1 << 30, 1 << 30, 1 << 30])?, &["tensor 0 \"x\"", "address space"]),
    ];
    if let Ok(short) = short {
        cases.push(("constant too short", short, &["\"w\"", "expected"]));
    }
    Ok(cases)
}

#[test]
fn hostile_fields_are_named_on_the_cpu() -> TestResult {
    let scratch = Scratch::new()?;
    let cases = hostile()?;
    assert!(cases.len() >= 19);
    let judge = |(name, bytes, parts): Case| Some((name, fails(&scratch, &bytes, &["--device", "cpu"], parts).err()?));
    let wrong: Vec<_> = cases.into_iter().filter_map(judge).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn hostile_fields_are_named_with_a_gpu() -> TestResult {
    if !has_adapter()? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let mut wrong = Vec::new();
    for (name, bytes, parts) in hostile()? {
        // A partition that the GPU refuses goes to the CPU, which says what is wrong with it.
        let model = scratch.file("model.tflite");
        std::fs::write(&model, &bytes)?;
        let words = ["run", &model, "--random", "--memory-limit", "32M", "--device", "gpu"];
        let found = run(&words)?;
        let line = found.stderr.lines().last().unwrap_or_default();
        let named = line.starts_with("error: ") && parts.iter().all(|part| line.contains(part));
        if found.code != Some(1) || !found.stdout.is_empty() || !named {
            wrong.push(format!("{name}: expected {parts:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// Words after `run MODEL`, and what the line must name.
type Words = (&'static str, Vec<String>, &'static [&'static str]);

#[test]
fn wrong_inputs_are_named_with_what_was_expected() -> TestResult {
    let scratch = Scratch::new()?;
    let (model, picture) = (digits("digits_f32.tflite"), digits("digit_1.png"));
    let written = |name: &str, value: &Value| -> Result<String, std::io::Error> {
        let file = scratch.file(name);
        npy::write(std::path::Path::new(&file), value)?;
        Ok(file)
    };
    let shape = written("shape.npy", &Value::f32(&[1, 8, 8, 1], &[0.0; 64])?)?;
    let dtype = written("type.npy", &Value::i32(&[1, 16, 16, 1], &[0; 256])?)?;
    let raw = scratch.file("short.raw");
    std::fs::write(&raw, [0; 1000])?;
    let (npy, png) = (scratch.file("no.npy"), scratch.file("no.png"));
    std::fs::write(&npy, b"no numpy")?;
    std::fs::write(&png, b"no picture")?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let twice = words(&["-i", &picture, "-i", &format!("0={picture}")]);
    let cases: Vec<Words> = vec![
        ("no input", words(&[]), &["\"image\"", "FLOAT32 [1,16,16,1]", "--input"]),
        ("missing file", words(&["-i", "nowhere.npy"]), &["nowhere.npy", "No such file"]),
        ("wrong shape", words(&["-i", &shape]), &["shape.npy", "[1,8,8,1]", "\"image\" FLOAT32 [1,16,16,1]"]),
        ("wrong type", words(&["-i", &dtype]), &["type.npy", "INT32", "\"image\" FLOAT32"]),
        ("wrong size", words(&["-i", &raw]), &["short.raw", "1000 bytes", "1024"]),
        ("no npy", words(&["-i", &npy]), &["no.npy"]),
        ("no picture", words(&["-i", &png]), &["no.png"]),
        ("wrong name", words(&["-i", &format!("colour={picture}")]), &["\"colour\"", "\"image\""]),
        ("wrong index", words(&["-i", &format!("3={picture}")]), &["\"3\"", "\"image\""]),
        ("given twice", twice, &["\"image\"", "twice"]),
        ("too many", words(&["-i", &picture, "-i", &picture]), &["one too many", "\"image\""]),
        ("no signature", words(&["--random", "--signature", "train"]), &["\"train\"", "\"serving_default\""]),
        ("resize name", words(&["--random", "--resize", "colour=1,2"]), &["--resize", "\"colour\"", "\"image\""]),
        ("resize text", words(&["--random", "--resize", "a,b"]), &["--resize", "a,b"]),
        ("resize rank", words(&["--random", "--resize", "1,2"]), &["node 0 CONV_2D"]),
        ("resize beyond", words(&["--random", "--resize", "99999999999,16,16,1"]), &["\"image\"", "memory limit"]),
        ("resize overflow", words(&["--random", "--resize", "9999999999,9999999999,16,1"]), &["too large"]),
        ("no labels", words(&["--random", "--labels", "nowhere.txt"]), &["nowhere.txt", "No such file"]),
        ("deviation 0", words(&["-i", &picture, "--mean", "0", "--std", "0"]), &["--std"]),
    ];
    for (name, more, parts) in cases {
        let mut all = words(&["run", &model, "--device", "cpu"]);
        all.extend(more);
        let found = run(&all)?;
        let line = found.failure().map_err(|e| format!("{name}: {e}"))?;
        for part in parts {
            assert!(line.contains(part), "{name}: {part:?} is not in {line:?}");
        }
    }
    Ok(())
}

/// The `.tflite` files below a folder.
fn models(folder: &std::path::Path) -> std::io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(models(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "tflite") {
            files.push(path.display().to_string());
        }
    }
    Ok(files)
}

#[test]
fn every_shared_model_is_shown_or_refused_in_one_line() -> TestResult {
    let Some(folder) = command::shared_models() else { return Ok(()) };
    let files = models(&folder)?;
    let mut shown = 0;
    for file in &files {
        let found = run(&["inspect", file, "--json"])?;
        if found.code == Some(0) {
            let json = found.json()?;
            let kinds = ["float", "float16", "dynamic-range", "int8", "uint8", "int16", "mixed", "other"];
            assert!(kinds.iter().any(|kind| json["kind"] == *kind), "{file}: {}", json["kind"]);
            shown += 1;
        } else {
            let line = found.failure().map_err(|e| format!("{file}: {e}"))?;
            assert!(line.contains(file.as_str()), "{line}");
        }
    }
    println!("{} files, {shown} shown", files.len());
    assert!(files.len() >= 469 && shown >= 454, "{} files, {shown} shown", files.len());
    Ok(())
}

#[test]
fn missing_files_are_named_by_every_command() -> TestResult {
    let folder = env!("CARGO_MANIFEST_DIR");
    for words in [["run", "nowhere.tflite"], ["inspect", "nowhere.tflite"], ["benchmark", "nowhere.tflite"]] {
        let found = run(&words)?;
        let line = found.failure()?;
        assert!(line.contains("nowhere.tflite") && line.contains("No such file"), "{line}");
        let found = run(&[words[0], folder])?;
        assert!(found.failure()?.contains(folder), "{found:?}");
        let found = run(&[words[0], &digits("labels.txt")])?;
        assert!(found.failure()?.contains("not a .tflite file"), "{found:?}");
    }
    Ok(())
}

#[test]
fn an_unwritable_folder_is_an_error_before_the_run() -> TestResult {
    let (scratch, model) = (Scratch::new()?, digits("digits_f32.tflite"));
    let file = scratch.file("file");
    std::fs::write(&file, b"")?;
    for folder in [file.clone(), format!("{file}/below")] {
        // The model does not even exist: the folder is what is looked at first.
        for model in [model.as_str(), "nowhere.tflite"] {
            let found = run(&["run", model, "--random", "--device", "cpu", "--output-dir", &folder])?;
            let line = found.failure()?;
            assert!(line.contains(&folder) && line.contains("expected a folder"), "{line}");
        }
    }
    assert_eq!(scratch.entries()?, ["file"]);
    Ok(())
}

#[test]
fn a_failed_run_leaves_no_file_and_keeps_what_was_there() -> TestResult {
    let scratch = Scratch::new()?;
    let (model, out) = (digits("digits_f32.tflite"), scratch.file("out"));
    std::fs::create_dir(&out)?;
    std::fs::write(scratch.0.join("out/out_0.npy"), b"of an earlier run")?;
    let found = run(&["run", &model, "--random", "--resize", "1,2", "--device", "cpu", "--output-dir", &out])?;
    found.failure()?;
    assert_eq!(std::fs::read(scratch.0.join("out/out_0.npy"))?, b"of an earlier run");
    assert_eq!(std::fs::read_dir(&out)?.count(), 1);
    // A folder in the output's place: nothing can be moved there.
    std::fs::remove_file(scratch.0.join("out/out_0.npy"))?;
    std::fs::create_dir_all(scratch.0.join("out/out_0.npy/inside"))?;
    let found = run(&["run", &model, "--random", "--device", "cpu", "--output-dir", &out])?;
    assert!(found.failure()?.contains("out_0.npy"), "{found:?}");
    assert_eq!(std::fs::read_dir(&out)?.count(), 1, "a partial file is left behind");
    Ok(())
}
