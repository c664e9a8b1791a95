//! Damaged files on the GPU: whatever the reader lets through runs, or ends in an error.
//!
//! `TFLITE_WGPU_DAMAGES` is the number of variants per file (6 without it).

mod common;

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use common::{TestResult, device};
use tflite_wgpu::{DelegateOptions, GpuDelegate, Interpreter, Model, gpu::GpuDevice};

/// Words that damage does most with: the ends of types, small numbers that look like sizes and indices.
const WORDS: [u32; 8] = [0, 1, 2, 3, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x0001_0000];

/// Larger files take too long to run this often.
const MAX_BYTES: u64 = 40_000;

/// Our own models, and the tiny ones of the folder of real models if it is there.
fn files() -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models = env::var_os("TFLITE_WGPU_MODELS").map_or_else(|| root.join("../shared/models"), PathBuf::from);
    let mut files = Vec::new();
    let folders = [root.join("assets/digits"), models.join("micro")];
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tflite") && path.metadata()?.len() <= MAX_BYTES {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Runs one file with everything supported on the GPU; errors are fine.
fn run(bytes: Vec<u8>, device: &Arc<GpuDevice>) -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::read(bytes)?;
    let delegate = GpuDelegate::with_device(Arc::clone(device), DelegateOptions::parse(["device=gpu"])?);
    let builder = Interpreter::builder(&model).delegate(Box::new(delegate));
    let mut interpreter = builder.memory_limit_bytes(64 << 20).max_loop_iterations(10).build()?;
    interpreter.allocate_tensors()?;
    Ok(interpreter.invoke()?)
}

/// One word of the file, at a place and with a value that follow from `seed`, is another.
fn damage(bytes: &mut [u8], seed: u32) {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    let place = next() % (bytes.len() / 4) * 4;
    let Some(word) = bytes.get_mut(place..place + 4) else { return };
    match next() % 3 {
        0 => word.copy_from_slice(&WORDS[next() % WORDS.len()].to_le_bytes()),
        1 => word[next() % 4] ^= 1 << (next() % 8),
        _ => word[next() % 4] = (next() % 256) as u8,
    }
}

#[test]
fn damaged_files_never_panic() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    let variants = env::var("TFLITE_WGPU_DAMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let (mut ran, mut refused, mut panicked) = (0, 0, Vec::new());
    for file in files()? {
        let sound = fs::read(&file)?;
        for seed in 0..variants {
            let mut bytes = sound.clone();
            damage(&mut bytes, seed);
            match catch_unwind(AssertUnwindSafe(|| run(bytes, &device))) {
                Ok(Ok(())) => ran += 1,
                Ok(Err(error)) => {
                    assert!(!error.to_string().is_empty(), "{}, variant {seed}: no message", file.display());
                    refused += 1;
                }
                Err(_) => panicked.push(format!("{}, variant {seed}", file.display())),
            }
        }
    }
    assert!(panicked.is_empty(), "panicked: {panicked:#?}");
    println!("{ran} damaged files ran, {refused} were refused");
    assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused: the damages test nothing");
    Ok(())
}
