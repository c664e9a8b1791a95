//! Sound as an input: 16-bit PCM of one channel, as floats of -1 to 1 or as it is.

use std::path::Path;

use tflite_wgpu::{
    Value,
    model::{DType, Dim, Shape},
};

use super::{
    entry::Port,
    failure::{Failure, Res},
};

/// Reads a `.wav` file as an input's value.
pub fn read(file: &Path, port: &Port, shape: &Shape) -> Res<Value> {
    let bytes = std::fs::read(file)?;
    let samples = samples(&bytes).map_err(Failure::new)?;
    let mut dims = port.closed(shape);
    if let (Some(last), Some(Dim::Unknown)) = (dims.last_mut(), shape.0.last()) {
        *last = samples.len();
    }
    match port.dtype {
        DType::Float32 => {
            let floats: Vec<f32> = samples.iter().map(|&s| f32::from(s) / 32768.0).collect();
            Ok(Value::f32(&dims, &floats)?)
        }
        DType::Int16 => Ok(Value::from_slice(port.dtype, &dims, &samples)?),
        other => Err(Failure::new(format!("is sound, but input {:?} has type {other}", port.name))),
    }
}

/// The samples of the `data` chunk.
fn samples(bytes: &[u8]) -> Result<Vec<i16>, &'static str> {
    const EXPECTED: &str = "is no .wav file of 16-bit PCM with one channel";
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(EXPECTED);
    }
    let mut rest = bytes.get(12..).unwrap_or_default();
    let mut plain = false;
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let size = head.get(4..8).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
        let body = tail.get(..size.min(tail.len())).unwrap_or_default();
        match head.get(..4) {
            // Format 1 (PCM), one channel, 16 bits.
            Some(b"fmt ") => {
                plain = body.get(..4) == Some(&[1, 0, 1, 0]) && body.get(14..16) == Some(&[16, 0]);
            }
            Some(b"data") if plain => {
                let pairs = body.chunks_exact(2);
                return Ok(pairs.filter_map(|b| b.try_into().ok()).map(i16::from_le_bytes).collect());
            }
            _ => {}
        }
        rest = tail.get(size.next_multiple_of(2)..).unwrap_or_default();
    }
    Err(EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::samples;

    #[test]
    fn chunks_are_found() {
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0".to_vec();
        wav.extend(b"junk\x03\0\0\0abc\0data\x04\0\0\0\x01\0\xff\xff");
        assert_eq!(samples(&wav), Ok(vec![1, -1]));
        wav[22] = 2;
        assert!(samples(&wav).is_err());
        assert!(samples(&wav[..30]).is_err());
    }
}
