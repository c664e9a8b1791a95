//! Real pictures through float networks on the adapter in f16: what each network says of them is known.
//!
//! The pictures and results are those of `fallback/tests/pictures`, which judges the CPU.

mod common;
#[path = "../fallback/tests/pictures/entry.rs"]
mod entry;

use std::sync::Arc;

use serde_json::Value as Json;
use tflite_wgpu::{DelegateOptions, GpuDelegate, gpu::GpuDevice};
use tflite_wgpu_fallback::{Interpreter, Model};
use tflite_wgpu_model::DType;

/// What scores may differ by in f16.
const SCORE: f64 = 0.05;

#[test]
fn pictures_are_recognised_on_the_adapter() -> entry::Result<()> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/models");
    let test = "pictures_are_recognised_on_the_adapter";
    let Some((folder, entries)) = entry::entries(test, default)? else { return Ok(()) };
    let Some(device) = common::device()? else { return Ok(()) };
    let mut problems = Vec::new();
    let mut compared = 0;
    for entry in &entries {
        let model = entry::model(&folder, entry)?;
        if takes_floats(&model) {
            compared += 1;
            if let Err(error) = on_adapter(&folder, entry, &model, Arc::clone(&device)) {
                problems.push(format!("{}: {error}", entry::name(entry)?));
            }
        }
    }
    println!("{compared} results compared");
    assert!(compared > 0, "no float network among {} entries", entries.len());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

fn takes_floats(model: &Model) -> bool {
    let graph = model.program().subgraphs.first();
    let input = graph.and_then(|graph| graph.tensors.get(graph.inputs.first()?.index()));
    input.is_some_and(|tensor| tensor.dtype == DType::Float32)
}

fn on_adapter(folder: &std::path::Path, entry: &Json, model: &Model, device: Arc<GpuDevice>) -> entry::Result<()> {
    let delegate = GpuDelegate::with_device(device, DelegateOptions::parse(["device=gpu", "precision=f16"])?);
    let report = delegate.report();
    let mut interpreter = Interpreter::builder(model).delegate(Box::new(delegate)).build()?;
    let outputs = entry::run(folder, entry, model, &mut interpreter)?;
    if let Some(fallback) = interpreter.fallbacks().first() {
        return Err(format!("the CPU took over: {}", fallback.reason).into());
    }
    let report = report.lock().map_err(|_| "the report is poisoned")?;
    if report.partitions.iter().all(|partition| partition.nodes.is_empty()) {
        return Err("no node ran on the adapter".into());
    }
    entry::judge(entry, &outputs, SCORE)
}
