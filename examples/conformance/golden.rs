//! Goldens of whole models: their files, and the inputs they were made with (GOLDEN.md beside the models).

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use half::f16;
use serde_json::Value as Json;
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::DType;

pub type Res<T> = Result<T, Box<dyn Error>>;

/// The type that a name such as `float32` or `FLOAT32` stands for.
pub fn dtype(name: &str) -> Res<DType> {
    let upper = name.to_uppercase();
    let found = DType::ALL.iter().find(|dtype| dtype.name() == upper);
    Ok(*found.ok_or_else(|| format!("type {name} is unknown"))?)
}

/// All golden files by model name.
pub fn read(folder: &Path) -> Res<BTreeMap<String, Json>> {
    let golden = folder.join("golden");
    let mut all: BTreeMap<String, Json> = BTreeMap::new();
    let micro = golden.join("micro.json");
    if micro.exists() {
        all.extend(serde_json::from_slice::<BTreeMap<String, Json>>(&fs::read(micro)?)?);
    }
    for family in fs::read_dir(&golden)?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()) {
        for path in fs::read_dir(&family)?.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|extension| extension == "json") {
                let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let family = family.file_name().unwrap_or_default().to_string_lossy();
                all.insert(format!("{family}/{}", stem(&path)), serde_json::from_slice(&fs::read(&path)?)?);
            }
        }
    }
    Ok(all)
}

/// The golden input generator (GOLDEN.md).
pub fn generate(spec: &Json, invocation: usize) -> Res<Value> {
    let dtype = dtype(spec["dtype"].as_str().unwrap_or_default())?;
    let shape: Vec<usize> = serde_json::from_value(spec["shape"].clone())?;
    let seed = spec["seeds"][invocation].as_u64().ok_or("the golden has no seed for this invocation")?;
    let seed = u32::try_from(seed)?;
    let count: usize = shape.iter().product();
    let (lo, hi) = (spec["lo"].as_f64().unwrap_or(0.0), spec["hi"].as_f64().unwrap_or(0.0));
    let float = |i: usize| (lo + (hi - lo) * (f64::from(random(i, seed) >> 8) / 16_777_216.0)) as f32;
    let int = |i: usize| lo as i64 + ((u64::from(random(i, seed)) * (hi as i64 - lo as i64 + 1) as u64) >> 32) as i64;
    let ints = || (0..count).map(int);
    Ok(match dtype {
        DType::Float32 => Value::f32(&shape, &(0..count).map(float).collect::<Vec<_>>())?,
        DType::Float64 => {
            Value::from_slice(dtype, &shape, &(0..count).map(|i| f64::from(float(i))).collect::<Vec<_>>())?
        }
        DType::Float16 => {
            Value::from_slice(dtype, &shape, &(0..count).map(|i| f16::from_f32(float(i))).collect::<Vec<_>>())?
        }
        DType::Complex64 => {
            let pairs: Vec<[f32; 2]> = (0..count).map(|i| [float(2 * i), float(2 * i + 1)]).collect();
            Value::from_slice(dtype, &shape, &pairs)?
        }
        DType::Bool => {
            Value::from_slice(dtype, &shape, &(0..count).map(|i| (random(i, seed) & 1) as u8).collect::<Vec<_>>())?
        }
        DType::Int8 => Value::from_slice(dtype, &shape, &ints().map(|v| v as i8).collect::<Vec<_>>())?,
        DType::UInt8 => Value::from_slice(dtype, &shape, &ints().map(|v| v as u8).collect::<Vec<_>>())?,
        DType::Int16 => Value::from_slice(dtype, &shape, &ints().map(|v| v as i16).collect::<Vec<_>>())?,
        DType::UInt16 => Value::from_slice(dtype, &shape, &ints().map(|v| v as u16).collect::<Vec<_>>())?,
        DType::Int32 => Value::from_slice(dtype, &shape, &ints().map(|v| v as i32).collect::<Vec<_>>())?,
        DType::UInt32 => Value::from_slice(dtype, &shape, &ints().map(|v| v as u32).collect::<Vec<_>>())?,
        DType::Int64 => Value::from_slice(dtype, &shape, &ints().collect::<Vec<_>>())?,
        DType::UInt64 => Value::from_slice(dtype, &shape, &ints().map(|v| v as u64).collect::<Vec<_>>())?,
        DType::String => {
            const S: [&str; 5] = ["hello world", "the quick brown fox jumps", "", "naïve café 0.5", "a"];
            let text = |i: usize| S[(seed as usize + i) % 5].as_bytes().to_vec();
            Value::strings(&shape, (0..count).map(text).collect())?
        }
        other => return Err(format!("no generator for {other}").into()),
    })
}

fn random(i: usize, seed: u32) -> u32 {
    let start = seed.wrapping_mul(0x85eb_ca77).wrapping_add(0x1656_67b1);
    let mut x = (i as u32).wrapping_mul(0x9e37_79b1).wrapping_add(start);
    x ^= x >> 16;
    x = x.wrapping_mul(0x85eb_ca6b);
    x ^= x >> 13;
    x = x.wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::random;

    #[test]
    fn generator_gives_the_documented_numbers() {
        let first = |seed| (0..4).map(|i| random(i, seed)).collect::<Vec<_>>();
        assert_eq!(first(0), [3_170_179_127, 994_412_544, 1_453_603_349, 753_486_803]);
        assert_eq!(first(1), [1_546_124_437, 3_107_881_630, 2_626_882_865, 3_305_851_779]);
        assert_eq!(first(123_456_789), [4_156_478_501, 2_046_569_308, 450_320_712, 3_930_464_759]);
    }
}
