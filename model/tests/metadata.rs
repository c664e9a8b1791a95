//! Metadata and packed files of real models, and of archives made here.

use std::path::Path;

use tflite_wgpu_model::{Bytes, Content, FileKind, GraphBuilder, ModelBuilder, PackedFile, Program, packed_files};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A shared model's bytes; `None` when the collection is not there.
fn shared(name: &str) -> std::io::Result<Option<Bytes>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models").join(name);
    if !path.exists() {
        println!("skipped: the shared models are not beside the repository ({})", path.display());
        return Ok(None);
    }
    Ok(Some(Bytes::open(path)?))
}

#[test]
fn a_classifier_says_what_it_wants() -> Outcome {
    let Some(bytes) = shared("classify/mobilenet_v1_0.25_224_uint8.tflite")? else { return Ok(()) };
    let metadata = Program::read(bytes.clone())?.model_metadata()?.unwrap_or_default();
    let graph = &metadata.subgraphs[0];
    assert_eq!(graph.inputs[0].content, Content::Image { grayscale: false });
    assert_eq!((graph.inputs[0].mean.as_slice(), graph.inputs[0].std.as_slice()), (&[127.5][..], &[127.5][..]));
    let labels = &graph.outputs[0].files[0];
    assert_eq!((labels.name.as_str(), labels.kind), ("labels.txt", FileKind::AxisLabels));
    let files = packed_files(&bytes)?;
    assert_eq!(files.len(), 1);
    let text = std::str::from_utf8(&files[0].data)?;
    assert_eq!(text.lines().count(), 1001);
    assert_eq!(text.lines().next(), Some("background"));
    Ok(())
}

#[test]
fn every_packed_file_of_the_collection_is_found() -> Outcome {
    let expected = [
        ("text/regex_embedder", "vocab.txt", 130_899),
        ("detect/ssd_mobilenet_v1_coco_uint8", "labelmap.txt", 661),
        ("classify/automl_flowers_uint8", "labels.txt", 40),
        ("classify/mobilenet_v1_0.25_224_uint8", "labels.txt", 10_484),
        ("audio/yamnet", "yamnet_label_list.txt", 6230),
        ("mediapipe/palm_detection_full", "labels.txt", 4),
        ("micro/test_model_nl_classifier_with_associated_label", "test_labels.txt", 21),
    ];
    for (model, file, size) in expected {
        let Some(bytes) = shared(&format!("{model}.tflite"))? else { return Ok(()) };
        let files = packed_files(&bytes)?;
        let found = files.iter().map(|f| (f.name.as_str(), f.data.len())).collect::<Vec<_>>();
        assert_eq!(found, [(file, size)], "{model}");
        assert!(Program::read(bytes)?.model_metadata()?.is_some(), "{model}");
    }
    Ok(())
}

type Packed = (Vec<u8>, usize, [Vec<u8>; 2]);

/// A model with an archive of "a.txt" (stored) and "b/c.txt" (deflated), where that begins, and the texts of both.
fn packed_model() -> Result<Packed, Box<dyn std::error::Error>> {
    let texts = [b"one\ntwo\n".to_vec(), b"three ".repeat(100)];
    let packed = miniz_oxide::deflate::compress_to_vec(&texts[1], 6);
    let mut file = ModelBuilder::new().subgraph(GraphBuilder::new()).finish()?;
    let (start, mut directory) = (file.len(), Vec::new());
    let entries = [("a.txt", 0u16, &texts[0], &texts[0]), ("b/c.txt", 8, &texts[1], &packed)];
    for (name, method, text, data) in entries {
        let offset = u32::try_from(file.len() - start)?;
        let mut common = [20u16, 0, method, 0, 0].map(u16::to_le_bytes).concat();
        let name_bytes = u16::try_from(name.len())?;
        common.extend(crc32(text).to_le_bytes());
        common.extend([u32::try_from(data.len())?, u32::try_from(text.len())?].map(u32::to_le_bytes).concat());
        common.extend([name_bytes, 0].map(u16::to_le_bytes).concat());
        file.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), data].concat());
        directory.extend([b"PK\x01\x02\x14\x00", common.as_slice(), &[0; 10], &offset.to_le_bytes()].concat());
        directory.extend(name.as_bytes());
    }
    let offset = u32::try_from(file.len() - start)?;
    let size = u32::try_from(directory.len())?;
    file.extend(directory);
    file.extend([b"PK\x05\x06".as_slice(), &[0, 0, 0, 0, 2, 0, 2, 0]].concat());
    file.extend([size.to_le_bytes(), offset.to_le_bytes()].concat());
    file.extend([0, 0]);
    Ok((file, start, texts))
}

/// Bit by bit, unlike the table that is tested.
fn crc32(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[test]
fn stored_and_deflated_files_are_read() -> Outcome {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let (file, _, texts) = packed_model()?;
    let names = ["a.txt", "b/c.txt"].map(str::to_owned);
    let expected = names.into_iter().zip(texts).map(|(name, data)| PackedFile { name, data: data.into() });
    assert_eq!(packed_files(&file.clone().into())?, expected.collect::<Vec<_>>());
    Program::read(file.into())?;
    Ok(())
}

#[test]
fn damaged_archives_are_refused_or_read_right() -> Outcome {
    let (file, start, texts) = packed_model()?;
    let mut errors = 0;
    for at in start..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            match packed_files(&damaged.into()) {
                Ok(files) => {
                    for found in files {
                        assert!(texts.iter().any(|t| **t == *found.data), "byte {at} bit {bit}: {found:?}");
                    }
                }
                Err(error) => {
                    assert!(!error.to_string().contains('\n'));
                    errors += 1;
                }
            }
        }
    }
    assert!(errors > 500, "{errors}");
    Ok(())
}

#[test]
fn a_model_without_packed_files_has_none() -> Outcome {
    let file = ModelBuilder::new().subgraph(GraphBuilder::new()).finish()?;
    assert_eq!(packed_files(&file.clone().into())?, []);
    assert_eq!(Program::read(file.into())?.model_metadata()?, None);
    Ok(())
}

#[test]
fn damaged_metadata_are_named() -> Outcome {
    let file = ModelBuilder::new().subgraph(GraphBuilder::new()).metadata("TFLITE_METADATA", vec![255; 8]).finish()?;
    let error = Program::read(file.into())?.model_metadata().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.starts_with("metadata \"TFLITE_METADATA\": found "), "{error}");
    Ok(())
}
