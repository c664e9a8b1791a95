//! What an invoke takes at its peak, against what is alive at the fullest node: on the float and 8-bit networks of the
//! folder of real models, without its tiny ones.
//!
//! `TFLITE_WGPU_MODELS` names the folder, `TFLITE_WGPU_FULL` takes large networks too.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use tflite_wgpu_fallback::{Interpreter, MemoryPeak, Model};

/// Larger files run in the full test only.
const SMALL: u64 = 3 << 20;
/// What may be taken besides, whatever the network's size: working memory of fast kernels, some block of a product that
/// fits into a core's cache.
const SPARE_BYTES: usize = 256 << 10;

fn files(folder: &Path, most: u64) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                open.extend((name != "micro").then_some(path));
            } else if name.ends_with(".tflite") && path.metadata()?.len() <= most {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The peak of two invokes on zeros; the second finds the memory of the first. `None` for what does not run.
fn peak(path: &Path) -> Option<MemoryPeak> {
    let model = Model::open(path).ok()?;
    let mut interpreter = Interpreter::builder(&model).threads(1).memory_limit_bytes(1 << 30).build().ok()?;
    interpreter.invoke().ok()?;
    interpreter.invoke().ok()?;
    Some(interpreter.memory_peak())
}

fn is_kept(peak: MemoryPeak) -> bool {
    peak.taken_bytes <= peak.live_bytes / 5 * 6 + SPARE_BYTES
}

#[test]
fn invokes_take_little_more_than_what_is_alive() -> Result<(), Box<dyn std::error::Error>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/models");
    let folder = PathBuf::from(env::var("TFLITE_WGPU_MODELS").unwrap_or_else(|_| default.to_owned()));
    if !folder.is_dir() {
        println!("SKIPPED memory: no models at {}; set TFLITE_WGPU_MODELS to their folder", folder.display());
        return Ok(());
    }
    let most = if env::var_os("TFLITE_WGPU_FULL").is_some() { u64::MAX } else { SMALL };
    let (mut count, mut beyond) = (0, Vec::new());
    for path in files(&folder, most)? {
        let Some(peak) = peak(&path) else { continue };
        let MemoryPeak { live_bytes, taken_bytes } = peak;
        let name = path.strip_prefix(&folder)?.display();
        let line =
            format!("{name}: {taken_bytes} of {live_bytes} bytes, {:.3}", taken_bytes as f64 / live_bytes as f64);
        println!("{line}");
        assert!(taken_bytes >= live_bytes, "{line}");
        count += 1;
        beyond.extend((!is_kept(peak)).then_some(line));
    }
    println!("{count} networks");
    assert!(count > 0, "no network ran");
    assert!(beyond.is_empty(), "{} take more than 1.2 of what is alive:\n{}", beyond.len(), beyond.join("\n"));
    Ok(())
}

#[test]
fn too_much_is_noticed() {
    let peak = |taken_bytes| MemoryPeak { live_bytes: 10 << 20, taken_bytes };
    assert!(is_kept(peak(12 << 20)) && !is_kept(peak(13 << 20)));
}
