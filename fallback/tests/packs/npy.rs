//! Files of a pack as values: `.npy` version 1 in C order, and JSON for strings.

use std::error::Error;

use serde_json::Value as Json;
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::DType;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The type that a pack's name such as `float32` stands for.
pub fn dtype(name: &str) -> Result<DType> {
    let upper = name.to_uppercase();
    let found = DType::ALL.iter().find(|dtype| dtype.name() == upper);
    Ok(*found.ok_or_else(|| format!("type {name} in the pack"))?)
}

/// The value of a `.npy` file whose tensor has the type `dtype`.
pub fn read(dtype: DType, file: &[u8]) -> Result<Value> {
    let length = match file {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, 0, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
        _ => return Err("no .npy file of version 1.0".into()),
    };
    let header = std::str::from_utf8(file.get(10..10 + length).ok_or("header is cut off")?)?;
    if !header.contains("'fortran_order': False") {
        return Err(format!("order of {header}").into());
    }
    let width = field(header, "'descr': '", '\'')?.get(2..).ok_or("no width")?.parse::<usize>()?;
    if dtype.size() != Some(width) {
        return Err(format!("{header} for {dtype}").into());
    }
    let sizes = field(header, "'shape': (", ')')?.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape = sizes.map(str::parse).collect::<std::result::Result<Vec<usize>, _>>()?;
    Ok(Value::from_bytes(dtype, &shape, &file[10 + length..])?)
}

fn field<'a>(header: &'a str, key: &str, end: char) -> Result<&'a str> {
    let start = header.find(key).ok_or_else(|| format!("no {key} in {header}"))? + key.len();
    Ok(header[start..].split(end).next().unwrap_or_default())
}

/// The value of a `.json` file of strings.
pub fn read_strings(file: &[u8]) -> Result<Value> {
    let json: Json = serde_json::from_slice(file)?;
    let list = |key: &str| json[key].as_array().map(Vec::as_slice);
    let sizes = list("shape").ok_or("no shape")?.iter().map(|size| size.as_u64().map(|size| size as usize));
    let shape = sizes.collect::<Option<Vec<usize>>>().ok_or("shape")?;
    let text = |item: &Json| item.as_str().map(str::as_bytes).map(<[u8]>::to_vec);
    let strings = match (list("data"), list("base64")) {
        (Some(data), _) => data.iter().map(text).collect::<Option<Vec<_>>>(),
        (_, Some(data)) => data.iter().map(|item| decode_base64(item.as_str()?)).collect(),
        _ => None,
    };
    Ok(Value::strings(&shape, strings.ok_or("strings")?)?)
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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

#[test]
fn files_are_read_as_written() -> Result<()> {
    let header = b"{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}";
    let file = [b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header, &[1, 0, 255, 255]].concat();
    assert_eq!(read(DType::Int16, &file)?.as_slice::<i16>()?, [1, -1]);
    assert!(read(DType::Int32, &file).is_err());
    assert!(read(DType::Int16, &file[..file.len() - 1]).is_err());
    let strings = read_strings(br#"{"shape": [2], "base64": ["/w==", "YWJj"]}"#)?;
    assert_eq!(strings.as_strings()?, [vec![255], b"abc".to_vec()]);
    Ok(())
}
