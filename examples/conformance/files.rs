//! Tensors as files of packs and dumps: `.npy`, and JSON for strings.

use std::{fs, path::Path};

use serde_json::{Value as Json, json};
use tflite_wgpu::npy;
use tflite_wgpu_fallback::Value;

use crate::golden::Res;

/// Writes an output; `stem` has no extension.
pub fn dump(stem: &Path, value: &Value) -> Res<()> {
    if let Ok(strings) = value.as_strings() {
        let text: Option<Vec<&str>> = strings.iter().map(|s| std::str::from_utf8(s).ok()).collect();
        let json = match text {
            Some(data) => json!({ "shape": value.shape(), "data": data }),
            None => {
                let data: Vec<String> = strings.iter().map(|s| encode_base64(s)).collect();
                json!({ "shape": value.shape(), "base64": data })
            }
        };
        fs::write(stem.with_extension("json"), serde_json::to_vec(&json)?)?;
    } else {
        npy::write(&stem.with_extension("npy"), value)?;
    }
    Ok(())
}

/// A STRING value from a pack's JSON.
pub fn strings(file: &[u8]) -> Res<Value> {
    let json: Json = serde_json::from_slice(file)?;
    let shape: Vec<usize> = serde_json::from_value(json["shape"].clone())?;
    let data = match (json["data"].as_array(), json["base64"].as_array()) {
        (Some(data), _) => data.iter().map(|s| Some(s.as_str()?.as_bytes().to_vec())).collect::<Option<Vec<_>>>(),
        (_, Some(data)) => data.iter().map(|s| decode_base64(s.as_str()?)).collect(),
        _ => None,
    };
    Ok(Value::strings(&shape, data.ok_or("neither data nor base64")?)?)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &b| word << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let six = (word >> (18 - 6 * i) & 63) as usize;
            text.push(if i <= chunk.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    text
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for character in text.bytes().filter(|&c| c != b'=') {
        bits = bits << 6 | ALPHABET.iter().position(|&c| c == character)? as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}
