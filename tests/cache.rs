//! The file of compiled pipelines: written, read, ignored when damaged or foreign.

mod common;

use std::{env, fs, path::Path};

use common::{TestResult, device, random};
use tflite_wgpu::{
    DelegateOptions, GpuDelegate,
    gpu::{self, wgpu},
};
use tflite_wgpu_fallback::{Interpreter, Model};
use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, Op};

/// Runs a model on a device of its own that keeps its pipelines in `folder`.
fn run(folder: &str) -> TestResult {
    let dims = [1, 5, 7];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &dims);
    let b = graph.op(Op::Tanh, &[Some(a)], &[("b", DType::Float32, &dims)]);
    graph.output(b);
    let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
    let mut options = DelegateOptions::parse(["device=gpu"])?;
    options.set("cache_dir", folder)?;
    let delegate = GpuDelegate::new(options)?;
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let found = common::run_with(&mut interpreter, &[random(1, &dims)?])?;
    assert_eq!(found.len(), 1);
    assert!(interpreter.fallbacks().is_empty());
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, std::io::Error> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

#[test]
fn pipelines_are_kept_and_damaged_files_replaced() -> TestResult {
    let Some(_) = device()? else { return Ok(()) };
    let adapters = pollster::block_on(gpu::adapters());
    let keeps =
        adapters.first().is_some_and(|(_, adapter)| adapter.features().contains(wgpu::Features::PIPELINE_CACHE));
    let folder = env::temp_dir().join(format!("tflite-wgpu-pipelines-{}", std::process::id()));
    let name = folder.to_str().ok_or("the temporary folder has no name in UTF-8")?;
    run(name)?;
    if !keeps {
        println!("skipped: the adapter keeps no pipelines");
        return Ok(());
    }
    let [file] = &files(&folder)?[..] else { return Err("not one file".into()) };
    let whole = fs::read(file)?;
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    // Cut, flipped, empty, and something else altogether.
    for damaged in [&whole[..whole.len() - 1], &flipped, &[], b"not a cache"] {
        fs::write(file, damaged)?;
        run(name)?;
        let again = fs::read(file)?;
        assert_ne!(again, damaged, "the damaged file is replaced");
        assert_eq!(again.len(), whole.len());
    }
    assert_eq!(files(&folder)?.len(), 1, "nothing else is left in the folder");
    fs::remove_dir_all(folder)?;
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_written_costs_nothing_but_the_cache() -> TestResult {
    let Some(_) = device()? else { return Ok(()) };
    let file = env::temp_dir().join(format!("tflite-wgpu-no-folder-{}", std::process::id()));
    fs::write(&file, "a file, not a folder")?;
    let ran = run(file.join("below").to_str().ok_or("no name in UTF-8")?);
    fs::remove_file(file)?;
    ran?;
    run("off")
}
