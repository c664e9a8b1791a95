//! `.npy` files as values, for the command line, examples and tests.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::DType;

/// Types with a NumPy type of the same meaning, by NumPy's code.
const CODES: &[(&str, DType)] = &[
    ("b1", DType::Bool),
    ("i1", DType::Int8),
    ("u1", DType::UInt8),
    ("i2", DType::Int16),
    ("u2", DType::UInt16),
    ("i4", DType::Int32),
    ("u4", DType::UInt32),
    ("i8", DType::Int64),
    ("u8", DType::UInt64),
    ("f2", DType::Float16),
    ("f4", DType::Float32),
    ("f8", DType::Float64),
    ("c8", DType::Complex64),
    ("c16", DType::Complex128),
];

/// NumPy's code of a type. Types that NumPy lacks are stored by their bits: BFLOAT16 as `u2`, INT4 and INT2 as `i1`,
/// UINT4 as `u1`, RESOURCE as `i4`.
pub fn code(dtype: DType) -> Option<&'static str> {
    let stored = match dtype {
        DType::BFloat16 => DType::UInt16,
        DType::Int4 | DType::Int2 => DType::Int8,
        DType::UInt4 | DType::Float8E4M3Fn | DType::Float8E5M2 => DType::UInt8,
        DType::Resource => DType::Int32,
        other => other,
    };
    CODES.iter().find(|(_, known)| *known == stored).map(|(code, _)| *code)
}

/// Reads a `.npy` file. With `dtype`, its bits are taken for that type where the stored type is the one [`code`] gives.
///
/// # Errors
/// When the file is none, is in Fortran order, or has another type.
pub fn read(path: &Path, dtype: Option<DType>) -> io::Result<Value> {
    read_from(BufReader::new(File::open(path)?), dtype)
}

/// As [`read`], from any reader.
///
/// # Errors
/// As [`read`].
pub fn read_from(mut reader: impl Read, dtype: Option<DType>) -> io::Result<Value> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let header = npyz::NpyHeader::from_reader(&mut header_bytes(&mut reader)?.as_slice())?;
    if header.order() != npyz::Order::C {
        return Err(invalid("is in Fortran order, expected C order".into()));
    }
    let described = header.dtype().descr();
    let stored = described.trim_matches('\'').trim_start_matches(['<', '|', '=']);
    let found = CODES.iter().find(|(code, _)| *code == stored).map(|(_, dtype)| *dtype);
    let found = found.ok_or_else(|| invalid(format!("has type {described}, expected a plain little-endian type")))?;
    let dtype = match dtype {
        Some(wanted) if code(wanted) == Some(stored) => wanted,
        _ => found,
    };
    let shape: Option<Vec<usize>> = header.shape().iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(|| invalid("has a shape that is too large".into()))?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Value::from_bytes(dtype, &shape, &bytes).map_err(|error| invalid(error.to_string()))
}

/// A header beyond this is taken for a damaged file.
const MAX_HEADER: usize = 64 << 10;
/// Brackets within brackets that a header of plain types has, and a few more; its parser goes as deep as they do.
const MAX_DEPTH: usize = 8;

/// The bytes of a file before its elements, if they are no burden to read.
fn header_bytes(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let mut bytes = vec![0; 10];
    reader.read_exact(&mut bytes)?;
    // Magic, version, then the header's length in 2 bytes, from version 2 on in 4.
    if bytes[6] > 1 {
        bytes.resize(12, 0);
        reader.read_exact(&mut bytes[10..])?;
    }
    let length = bytes[8..].iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    if length > MAX_HEADER {
        return Err(invalid(format!("has a header of {length} bytes, expected at most {MAX_HEADER}")));
    }
    let start = bytes.len();
    bytes.resize(start + length, 0);
    reader.read_exact(&mut bytes[start..])?;
    let opened = bytes[start..].iter().filter(|byte| b"([{".contains(byte)).count();
    if opened > MAX_DEPTH {
        return Err(invalid(format!("has a header of {opened} brackets, expected a plain type and shape")));
    }
    Ok(bytes)
}

/// Writes a `.npy` file (version 1.0, C order); on an error nothing is left behind.
///
/// # Errors
/// When the type cannot be stored (strings), or the file cannot be written.
pub fn write(path: &Path, value: &Value) -> io::Result<()> {
    let bytes = encode(value)?;
    let partial = path.with_extension("npy.partial");
    let written = File::create(&partial).and_then(|file| {
        let mut writer = BufWriter::new(file);
        writer.write_all(&bytes)?;
        writer.flush()
    });
    let moved = written.and_then(|()| std::fs::rename(&partial, path));
    if moved.is_err() {
        // Whatever went wrong is already being reported.
        drop(std::fs::remove_file(&partial));
    }
    moved
}

/// The bytes of a `.npy` file (version 1.0, C order).
///
/// # Errors
/// When the type cannot be stored (strings).
pub fn encode(value: &Value) -> io::Result<Vec<u8>> {
    let unsupported =
        || io::Error::new(io::ErrorKind::InvalidInput, format!("type {} has no .npy form", value.dtype()));
    let code = code(value.dtype()).ok_or_else(unsupported)?;
    let order = if value.dtype().size() == Some(1) { '|' } else { '<' };
    let mut sizes: Vec<String> = value.shape().iter().map(usize::to_string).collect();
    if sizes.len() == 1 {
        sizes.push(String::new());
    }
    let shape = sizes.join(", ");
    let mut header = format!("{{'descr': '{order}{code}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    // The header with its magic takes a multiple of 64 bytes and ends with a newline.
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', padding % 64));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| unsupported())?;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(value.bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_round_trip() -> Result<(), Box<dyn std::error::Error>> {
        let values = [
            Value::f32(&[2, 3], &[1.0, -2.0, f32::NAN, 0.0, 5.5, 6.0])?,
            Value::i32(&[4], &[1, 2, -3, 4])?,
            Value::f32(&[], &[7.0])?,
            Value::from_slice(DType::Bool, &[2, 1], &[0u8, 1])?,
            Value::from_slice(DType::Complex64, &[1], &[[1f32, 2.0]])?,
        ];
        for value in values {
            let bytes = encode(&value)?;
            assert_eq!(read_from(bytes.as_slice(), None)?, value);
            assert!(read_from(&bytes[..bytes.len() - 1], None).is_err());
        }
        // Neither a long nor a deep header is read.
        let long = [b"\x93NUMPY\x02\x00".as_slice(), &[0, 0, 0, 0x80]].concat();
        assert!(
            read_from(long.as_slice(), None).is_err_and(|error| error.to_string().contains("a header of 2147483648"))
        );
        let deep = [b"\x93NUMPY\x01\x00\xe0\x2e".as_slice(), &[b'['; 12_000]].concat();
        assert!(read_from(deep.as_slice(), None).is_err_and(|error| error.to_string().contains("12000 brackets")));
        let int4 = Value::from_slice(DType::Int4, &[2], &[-8i8, 7])?;
        assert_eq!(read_from(encode(&int4)?.as_slice(), Some(DType::Int4))?, int4);
        let handles = Value::from_slice(DType::Resource, &[2], &[1i32, 2])?;
        assert_eq!(read_from(encode(&handles)?.as_slice(), Some(DType::Resource))?, handles);
        assert!(encode(&Value::strings(&[1], vec![vec![]])?).is_err());
        Ok(())
    }
}
