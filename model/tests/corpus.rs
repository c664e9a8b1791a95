//! Every model of the shared collection is read, or refused with the error that its defect deserves.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tflite_wgpu_model::{Error, Program};

/// Files that are refused, with a part of what is said about each.
const REFUSED: &[(&str, &str)] = &[
    ("0_subgraphs", "subgraphs: found none"),
    ("add_shared_tensors", "subgraph 0 node 0 ADD: output: found tensor 1, which is an input"),
    ("bad_model", "identifier \"n\\'t \""),
    ("blockwise_quantized", "node 0 ADD: input 1: found tensor 2 \"quantized_tensor\", which has no value yet"),
    ("fuzz_malicious", "identifier \"\\x00\\x00\\x00\\x00\""),
    ("fuzz_multidim_overflow", "identifier \"\\x00\\x00\\x00\\x00\""),
    ("fuzz_near_overflow", "identifier \"\\x00\\x00\\x00\\x00\""),
    ("fuzz_negative_overflow", "identifier \"\\x00\\x00\\x00\\x00\""),
    ("java_invalid_model", "identifier \" is \""),
    ("model_invoking_error", "tensor 0 \"\": buffer: found 0, expected an index below 0"),
    ("quant_lstm_calibrated2", "tensor 23 \"output_gate_ln_weights-1\": shape: found -1"),
    ("quant_lstm_quantized2", "tensor 23 \"output_gate_ln_weights-1\": shape: found -1"),
    ("quant_transpose", "schema version: found 2, expected 3"),
    ("segment_sum_invalid_buffer", "node 0 SEGMENT_SUM: input 1: found tensor 2 \"pyx/y\", which has no value yet"),
    ("test_model_broken", "identifier \"\\x00\\x00\\x0e\\x00\""),
];

/// The `.tflite` files below `folder`.
fn models(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(models(&path)?);
        } else if path.extension().is_some_and(|e| e == "tflite") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The program is the same after it has been written and read again.
fn assert_written_as_read(file: &Path, program: &Program) -> Result<(), Error> {
    let found = Program::read(program.write()?.into())?;
    assert!(found == *program, "{} changes when it is written and read", file.display());
    Ok(())
}

#[test]
fn every_shared_model_is_read_or_refused_with_a_reason() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models");
    if !folder.exists() {
        println!("skipped: the shared models are not beside the repository ({})", folder.display());
        return Ok(());
    }
    let files = models(&folder)?;
    assert!(files.len() >= 469, "{} files", files.len());
    let mut refused = BTreeMap::new();
    for file in files {
        match Program::open(&file) {
            Ok(program) => assert_written_as_read(&file, &program)?,
            Err(error) => {
                let message = error.to_string();
                assert!(!message.contains('\n'), "{message}");
                refused.insert(file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default(), message);
            }
        }
    }
    for (name, part) in REFUSED {
        let message = refused.remove(*name).unwrap_or_default();
        assert!(message.contains(part), "{name}: {message:?} does not say {part:?}");
    }
    assert!(refused.is_empty(), "{refused:#?}");
    Ok(())
}

#[test]
fn a_missing_file_is_named() {
    let error = Program::open("there is no such file.tflite").err();
    assert!(matches!(&error, Some(Error::Io { path, .. }) if path == "there is no such file.tflite"), "{error:?}");
}

/// Networks whose kind the collection's index judges otherwise, with what it says.
const OTHER_KIND: &[(&str, &str)] = &[
    ("kws/cnn_s_int8", "int8, found mixed"),
    ("kws/dnn_s_int8", "int8, found mixed"),
    ("seanet_int16/quantize0", "other, found int16"),
    ("tflm/micro_speech_preprocessor_float", "int16, found mixed"),
];

#[test]
fn the_kind_of_every_shared_network_is_told() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models");
    let index = folder.join("INDEX.json");
    if !index.exists() {
        println!("skipped: the shared models are not beside the repository ({})", folder.display());
        return Ok(());
    }
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(index)?)?;
    let mut other = Vec::new();
    for entry in index.as_array().into_iter().flatten() {
        let (name, kind) = (entry["name"].as_str().unwrap_or_default(), entry["kind"].as_str().unwrap_or_default());
        if name.starts_with("micro/") {
            continue;
        }
        let found = Program::open(folder.join(entry["path"].as_str().unwrap_or_default()))?.kind().to_string();
        // The index calls int16 activations with int8 weights by a name of their own.
        if found != kind.trim_end_matches("x8") {
            other.push(format!("{name} {kind}, found {found}"));
        }
    }
    assert_eq!(other, OTHER_KIND.iter().map(|(name, kind)| format!("{name} {kind}")).collect::<Vec<_>>());
    Ok(())
}
