//! Entries that hosts call where they like, or never: a panic in one is told, the process lives, and the next call works.
//!
//! `entries.py` calls them in place of a host, in one of the runtimes' environments.

mod common;

use std::{error::Error, fs, path::PathBuf};

use common::{Folder, TestResult, has_adapter, library, runtimes, values};
use serde_json::{Value as Json, json};
use tflite_wgpu::model::{ActivationFunctionType, AddOptions, DType, GraphBuilder, ModelBuilder, MulOptions, Op};

const SCRIPT: &str = "entries.py";

/// A graph in which a tensor goes from one partition to another past a node of the host's.
fn past_the_host(folder: &Folder) -> Result<PathBuf, Box<dyn Error>> {
    const F: DType = DType::Float32;
    let shape = [2, 8];
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &shape);
    let two = graph.constant_f32("two", &[], &[2.0]);
    let relu = AddOptions { fused_activation_function: ActivationFunctionType::Relu, ..Default::default() };
    let a = graph.op(Op::Add(relu), &[Some(x), Some(two)], &[("a", F, &shape)]);
    let b = graph.op(Op::Mul(MulOptions::default()), &[Some(a), Some(two)], &[("b", F, &shape)]);
    let k = graph.constant_i32("k", &[], &[8]);
    let top = graph.op_multi(Op::TopkV2, &[Some(b), Some(k)], &[("top", F, &shape), ("at", DType::Int32, &shape)]);
    let y = graph.op(Op::Add(AddOptions::default()), &[Some(a), Some(top[0])], &[("y", F, &shape)]);
    graph.output(y);
    let path = folder.0.join("past_the_host.tflite");
    fs::write(&path, ModelBuilder::new().subgraph(graph).finish()?)?;
    Ok(path)
}

/// What the two calls of an entry must come to, when the first one panics.
struct Case {
    entry: &'static str,
    statuses: &'static [i64],
    /// Of the first and the second call.
    answers: [Json; 2],
    /// What calls with nothing to work on return.
    refused: &'static [i64],
}

fn cases(value: &[f32]) -> Vec<Case> {
    const STATUSES: &[i64] = &[3, 0];
    let question =
        |entry, nothing, answer| Case { entry, statuses: STATUSES, answers: [nothing, answer], refused: &[1] };
    let number = |text: &str| text.parse().unwrap_or(0);
    let version =
        [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")].map(number);
    vec![
        Case {
            entry: "copy_from_buffer_handle",
            statuses: &[1, 0],
            answers: [json!(vec![0.0; value.len()]), json!(value)],
            refused: &[1, 1],
        },
        Case { entry: "copy_to_buffer_handle", statuses: &[1, 0], answers: [Json::Null, Json::Null], refused: &[] },
        Case { entry: "free_buffer_handle", statuses: &[], answers: [json!(7), json!(-1)], refused: &[] },
        question("get_name", Json::Null, json!("tflite-wgpu")),
        question("get_version", json!([0, 0, 0]), json!(version)),
        question("get_hardware_support", json!([0]), json!([2])),
        question("is_responsible_for_jit", json!(0), json!(1)),
        Case { entry: "accelerate", statuses: &[1, 0], answers: [json!(false), json!(true)], refused: &[1] },
    ]
}

/// Whether two answers are the same; numbers as f32, because reading a text may change an f64's last bit.
fn same(found: &Json, expected: &Json) -> bool {
    match (found, expected) {
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Number(a), Json::Number(b)) => a.as_f64().map(|a| a as f32) == b.as_f64().map(|b| b as f32),
        _ => found == expected,
    }
}

impl Case {
    /// Whether a script's answer and log are those of a panic that was told and survived.
    fn is_met(&self, answer: &Json, log: &str) -> bool {
        let told = format!("tflite-wgpu: a defect of tflite-wgpu: a panic in {}", self.entry);
        let answers = (0..2).all(|i| same(&answer["answers"][i], &self.answers[i]));
        log.contains(&told)
            && answer["statuses"] == json!(self.statuses)
            && answers
            && answer["refused"] == json!(self.refused)
    }
}

#[test]
fn a_panic_in_any_entry_is_told_and_survived() -> TestResult {
    let test = "a_panic_in_any_entry_is_told_and_survived";
    if !has_adapter(test) {
        return Ok(());
    }
    let folder = Folder::new("entries")?;
    let model = past_the_host(&folder)?;
    let input = values(16, 31);
    folder.write("in_0.bin", &input)?;
    let value: Vec<f32> = input.iter().map(|x| (x + 2.0).max(0.0)).collect();
    let library = library()?;
    let (library, model) = (library.to_str().ok_or("no text")?, model.to_str().ok_or("no text")?);
    for runtime in runtimes(test)?.iter().filter(|runtime| runtime.name.starts_with("litert-2")) {
        for case in cases(&value) {
            let fault = format!("panic:{}", case.entry);
            let arguments = [library, case.entry, model, folder.text()];
            let (answer, log) = runtime.ask_script(SCRIPT, &arguments, &[("TFLITE_WGPU_INJECT", &fault)])?;
            assert!(case.is_met(&answer, &log), "{}: {}: {answer}: {log}", runtime.name, case.entry);
        }
    }
    Ok(())
}

#[test]
fn a_panic_that_nobody_tells_of_is_noticed() {
    let value = [1.5, 2.0];
    for case in cases(&value) {
        let log = format!("tflite-wgpu: a defect of tflite-wgpu: a panic in {} that was wanted", case.entry);
        let right = json!({ "statuses": case.statuses, "answers": case.answers, "refused": case.refused });
        assert!(case.is_met(&right, &log), "{}", case.entry);
        assert!(!case.is_met(&right, ""), "{}", case.entry);
        for (part, wrong) in [("statuses", json!([0, 0])), ("answers", json!([9, 9])), ("refused", json!([0]))] {
            let mut answer = right.clone();
            answer[part] = wrong;
            assert!(!case.is_met(&answer, &log), "{}: {part}", case.entry);
        }
    }
}
