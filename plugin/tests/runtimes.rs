//! The library inside the official runtimes: the same nodes and numbers as with our own interpreter.
//!
//! `cargo xtask test` puts an environment per runtime into `target/runtimes` (`TFLITE_WGPU_RUNTIMES` names another
//! folder). Without one the tests say so in one line; `TFLITE_WGPU_REQUIRE_RUNTIMES=1` makes that a failure.

mod common;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use common::{Folder, TestResult, digits, has_adapter, library, own, runtimes, values};
use tflite_wgpu::model::{
    ActivationFunctionType, AddOptions, DType, GraphBuilder, ModelBuilder, MulOptions, NodeId, Op, SoftmaxOptions,
};

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

/// The nodes that the log says stay with the host.
fn left_to_host(log: &str) -> Vec<NodeId> {
    let stays = log.lines().filter(|line| line.contains("stays with the host"));
    let number = |line: &str| line.split("node=").nth(1)?.split_whitespace().next()?.parse().ok().map(NodeId);
    let mut left: Vec<NodeId> = stays.filter_map(number).collect();
    left.sort_unstable();
    left.dedup();
    left
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

#[test]
fn a_network_gives_the_same_numbers() -> TestResult {
    if !has_adapter("a_network_gives_the_same_numbers") {
        return Ok(());
    }
    let folder = Folder::new("network")?;
    let shape: &[usize] = &[1, 16, 16, 1];
    same_as_own("a_network_gives_the_same_numbers", &digits(), &folder, &[shape], "f16")?;
    same_as_own("a_network_gives_the_same_numbers", &digits(), &folder, &[shape], "f32")
}

#[test]
fn nodes_between_partitions_and_resizes() -> TestResult {
    if !has_adapter("nodes_between_partitions_and_resizes") {
        return Ok(());
    }
    let folder = Folder::new("resizes")?;
    let model = two_partitions(&folder)?;
    let shapes: &[&[usize]] = &[&[2, 8], &[5, 8], &[1, 8], &[2, 8]];
    same_as_own("nodes_between_partitions_and_resizes", &model, &folder, shapes, "f32")
}

#[test]
fn a_wrong_number_is_noticed() -> TestResult {
    if !has_adapter("a_wrong_number_is_noticed") {
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
fn a_compiled_model_takes_the_accelerator() -> TestResult {
    let test = "a_compiled_model_takes_the_accelerator";
    if !has_adapter(test) {
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
