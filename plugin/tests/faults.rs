//! What goes wrong inside the delegate: the host gets a status and a text, its process lives, and the next interpreter
//! works. The library that cargo builds for tests has the faults of `plugin/src/inject.rs`; what is shipped has none.

mod common;

use std::error::Error;

use common::{Folder, Runtime, TestResult, digits, has_adapter, library, own, runtimes, values};
use serde_json::Value as Json;
use tflite_wgpu::compare::{self, F32};

/// What the first of two interpreters does; the second one always runs as if nothing had been.
enum First {
    /// It fails, and the message has this word.
    Fails(&'static str),
    /// It runs as if nothing had been, and standard error has this word.
    Tells(&'static str),
    /// It runs on the CPU, so that its numbers are close.
    Falls(&'static str),
    /// It gives wrong numbers.
    Lies,
    /// The host runs everything.
    Leaves,
}

struct Case {
    fault: &'static str,
    options: &'static [&'static str],
    first: First,
}

const fn case(fault: &'static str, options: &'static [&'static str], first: First) -> Case {
    Case { fault, options, first }
}

const ERRORS: &[&str] = &["on_device_lost=error"];
const CHECKED: &[&str] = &["validate=first", "on_mismatch=error"];

const CASES: &[Case] = &[
    case("panic:create", &[], First::Fails("a panic in create")),
    case("panic:apply", &[], First::Fails("a panic in apply")),
    case("panic:init", &[], First::Fails("a panic in init")),
    case("panic:prepare", &[], First::Fails("a panic in prepare")),
    case("panic:invoke", &[], First::Fails("a panic in invoke")),
    case("panic:free", &[], First::Tells("a panic in free")),
    case("panic:destroy", &[], First::Tells("a panic in destroy")),
    case("lost:invoke", ERRORS, First::Fails("was lost")),
    case("lost:prepare", ERRORS, First::Fails("was lost")),
    case("lost:invoke", &[], First::Falls("was lost")),
    case("memory:start", &[], First::Fails("memory")),
    case("wrong:choose", CHECKED, First::Fails("by the reference")),
    case("wrong:choose", &[], First::Lies),
    case("nothing:choose", &[], First::Leaves),
];

/// What two interpreters are compared with.
struct Right {
    folder: Folder,
    output: Vec<f32>,
}

impl Right {
    fn new(name: &str) -> Result<Self, Box<dyn Error>> {
        let folder = Folder::new(name)?;
        let input = values(256, 21);
        folder.write("in_0.bin", &input)?;
        let (mut outputs, _) = own(&digits(), &["device=gpu", "precision=f32"], &[1, 16, 16, 1], &input)?;
        Ok(Self { folder, output: outputs.swap_remove(0) })
    }

    /// What came of a case in a runtime; `None` when it is as it should be.
    fn check(&self, runtime: &Runtime, case: &Case) -> Result<Option<String>, Box<dyn Error>> {
        let (library, digits) = (library()?, digits());
        let path = |path: &std::path::Path| path.to_str().map(str::to_owned).ok_or("a path that is no text");
        let (library, digits) = (path(&library)?, path(&digits)?);
        let mut arguments = vec!["twice", &library, &digits, self.folder.text(), "precision=f32"];
        arguments.extend(case.options);
        let (answer, log) = runtime.ask(&arguments, &[("TFLITE_WGPU_INJECT", case.fault)])?;
        let good = self.judge(&case.first, &answer, &log)?;
        Ok((!good).then(|| format!("{}: {} {:?}: {answer}: {log}", runtime.name, case.fault, case.options)))
    }

    fn judge(&self, first: &First, answer: &Json, log: &str) -> Result<bool, Box<dyn Error>> {
        let (message, second) = (answer["messages"][0].as_str(), &answer["messages"][1]);
        let partitions = [0, 1].map(|i| answer["partitions"][i].as_u64().unwrap_or(0));
        let output = |number: usize| self.folder.read(&format!("out_{number}.bin"));
        let close = |found: &[f32]| {
            let value = |list: &[f32]| tflite_wgpu::Value::f32(&[list.len()], list);
            Ok::<_, Box<dyn Error>>(compare::compare(&value(&self.output)?, &value(found)?, &F32).is_ok())
        };
        let first = match first {
            First::Fails(word) => message.is_some_and(|text| text.contains("tflite-wgpu: ") && text.contains(word)),
            First::Tells(word) => message.is_none() && log.contains(word) && output(0)? == self.output,
            First::Falls(word) => message.is_none() && log.contains(word) && close(&output(0)?)?,
            First::Lies => message.is_none() && partitions[0] > 0 && !close(&output(0)?)?,
            First::Leaves => message.is_none() && partitions[0] == 0 && close(&output(0)?)?,
        };
        Ok(first && second.is_null() && partitions[1] > 0 && output(1)? == self.output)
    }
}

#[test]
fn every_fault_is_told_and_survived() -> TestResult {
    let test = "every_fault_is_told_and_survived";
    if !has_adapter(test) {
        return Ok(());
    }
    let right = Right::new("faults")?;
    let mut wrong = Vec::new();
    for runtime in &runtimes(test)? {
        // Faults are this library's own affair; a host differs in what it does with a status, and older ones apply
        // delegates twice.
        let all = runtime.name.starts_with("litert-2");
        let cases = CASES.iter().filter(|case| all || case.fault.starts_with("panic:"));
        for case in cases {
            wrong.extend(right.check(runtime, case)?);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_fault_that_nobody_tells_of_is_noticed() -> TestResult {
    if !has_adapter("a_fault_that_nobody_tells_of_is_noticed") {
        return Ok(());
    }
    let right = Right::new("judge")?;
    let answer = |messages: Json| serde_json::json!({ "messages": messages, "partitions": [1, 1] });
    for number in 0..2 {
        right.folder.write(&format!("out_{number}.bin"), &right.output)?;
    }
    let fine = answer(serde_json::json!([null, null]));
    assert!(right.judge(&First::Tells("x"), &fine, "x")?);
    assert!(!right.judge(&First::Tells("x"), &fine, "")?);
    assert!(!right.judge(&First::Lies, &fine, "")?);
    assert!(!right.judge(&First::Leaves, &fine, "")?);
    assert!(!right.judge(&First::Fails("x"), &fine, "x")?);
    let told = answer(serde_json::json!(["tflite-wgpu: x", null]));
    assert!(right.judge(&First::Fails("x"), &told, "")?);
    assert!(!right.judge(&First::Fails("y"), &told, "")?);
    assert!(!right.judge(&First::Fails("x"), &answer(serde_json::json!(["tflite-wgpu: x", "again"])), "")?);
    right.folder.write("out_1.bin", &vec![0.5; right.output.len()])?;
    assert!(!right.judge(&First::Fails("x"), &told, "")?);
    Ok(())
}

/// Interpreters that live at once.
const ALIVE: usize = 64;
/// Interpreters that are made and ended beside them.
const CYCLES: usize = 80;
/// Bytes that the process may grow by in the second half of the cycles.
const GROWTH: u64 = 4 << 20;

/// How much the resident bytes grew between the two last quarters' smallest sizes and those of the second quarter.
fn growth(sizes: &[u64]) -> u64 {
    let quarter = sizes.len() / 4;
    let least = |part: &[u64]| part.iter().copied().min().unwrap_or(0);
    least(&sizes[3 * quarter..]).saturating_sub(least(&sizes[quarter..2 * quarter]))
}

#[test]
fn growth_is_noticed() {
    let sizes: Vec<u64> = (0..CYCLES as u64).map(|cycle| (cycle << 18) + (cycle % 3) * 1000).collect();
    assert!(growth(&sizes) > GROWTH);
    assert_eq!(growth(&[7; CYCLES]), 0);
}

#[test]
fn many_interpreters_live_and_the_process_ends_with_them() -> TestResult {
    let test = "many_interpreters_live_and_the_process_ends_with_them";
    if !has_adapter(test) {
        return Ok(());
    }
    let right = Right::new("alive")?;
    let (library, digits) = (library()?, digits());
    let (library, digits) = (library.to_str().ok_or("no text")?, digits.to_str().ok_or("no text")?);
    let (alive, cycles) = (ALIVE.to_string(), CYCLES.to_string());
    for runtime in runtimes(test)?.iter().rev().take(1) {
        let (answer, log) = runtime.ask(&["alive", library, digits, right.folder.text(), &alive, &cycles], &[])?;
        assert_eq!(answer["same"], ALIVE + CYCLES, "{}: {log}", runtime.name);
        assert_eq!(answer["partitions"], ALIVE, "{}", runtime.name);
        let sizes: Vec<u64> = serde_json::from_value(answer["sizes"].clone())?;
        assert!(growth(&sizes) < GROWTH, "{}: {sizes:?}", runtime.name);
    }
    Ok(())
}

/// Threads, each with an interpreter of its own.
const THREADS: usize = 4;
/// Invokes of each thread, with a shared delegate and with its own.
const INVOKES: usize = 10;

#[test]
fn threads_do_not_disturb_each_other() -> TestResult {
    let test = "threads_do_not_disturb_each_other";
    if !has_adapter(test) {
        return Ok(());
    }
    let folder = Folder::new("threads")?;
    for thread in 0..THREADS {
        folder.write(&format!("in_{thread}.bin"), &values(256, 41 + 2 * thread as u32))?;
    }
    let (library, digits) = (library()?, digits());
    let (library, digits) = (library.to_str().ok_or("no text")?, digits.to_str().ok_or("no text")?);
    let (threads, invokes) = (THREADS.to_string(), INVOKES.to_string());
    for runtime in runtimes(test)? {
        let (answer, log) = runtime.ask(&["threads", library, digits, folder.text(), &threads, &invokes], &[])?;
        // Were the results alike, one thread's could stand for another's unnoticed.
        assert_eq!(answer["different"], THREADS, "{}", runtime.name);
        assert_eq!(answer["same"], 2 * THREADS * INVOKES, "{}: {log}", runtime.name);
    }
    Ok(())
}
