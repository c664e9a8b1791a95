//! Real pictures and sound through models that other people made: what each model says of them is known.
//!
//! `TFLITE_WGPU_MODELS` names the folder of the models; `inputs/EXPECTED.json` there has the results of TFLite's
//! reference kernels.

mod entry;

use entry::{Output, Result, judge};
use serde_json::{Value as Json, json};
use tflite_wgpu_fallback::Interpreter;

/// What scores may differ by.
const SCORE: f64 = 0.02;

#[test]
fn pictures_are_recognised() -> Result<()> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/models");
    let Some((folder, entries)) = entry::entries("pictures_are_recognised", default)? else { return Ok(()) };
    let mut problems = Vec::new();
    for entry in &entries {
        let run = || {
            let model = entry::model(&folder, entry)?;
            let mut interpreter = Interpreter::builder(&model).build()?;
            judge(entry, &entry::run(&folder, entry, &model, &mut interpreter)?, SCORE)
        };
        if let Err(error) = run() {
            problems.push(format!("{}: {error}", entry::name(entry)?));
        }
    }
    println!("{} results compared", entries.len());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn other_results_are_noticed() -> Result<()> {
    let entry = |read: &str, result: Json| json!({"read": read, "output": 0, "litert_result": result});
    let outputs = [Output { shape: vec![1, 3], values: vec![0.1, 0.7, 0.2] }];
    let top = |class: i32, score: f64| entry("top", json!({"top": [class, 2, 0], "scores": [score, 0.2, 0.1]}));
    assert!(judge(&top(1, 0.715), &outputs, SCORE).is_ok());
    assert!(judge(&top(2, 0.7), &outputs, SCORE).is_err() && judge(&top(1, 0.6), &outputs, SCORE).is_err());
    let broken = [Output { shape: vec![1, 3], values: vec![0.1, f64::NAN, 0.2] }];
    assert!(judge(&top(1, 0.7), &broken, SCORE).is_err());
    let pixels = |count: u64| entry("class_pixels", json!({"pixels": {"1": count}}));
    assert!(judge(&pixels(1), &outputs, SCORE).is_ok() && judge(&pixels(2), &outputs, SCORE).is_err());
    assert!(judge(&entry("unheard of", Json::Null), &outputs, SCORE).is_err());
    Ok(())
}
