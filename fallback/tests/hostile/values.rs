//! Hostile values: of inputs, and of small constants.

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::DType;

use crate::{
    damage::{Act, Damage},
    run::Case,
};

/// Integers at which sizes, indices, axes, paddings and counts go wrong.
const INTEGERS: [i64; 14] = [
    0,
    1,
    -1,
    2,
    -5,
    100,
    1_000_000,
    i32::MAX as i64,
    i32::MIN as i64,
    1 << 31,
    1 << 40,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];

/// Floats that steps, scales and coordinates may not be.
const FLOATS: [f64; 10] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1.0, 1e30, -3e9, 1e-40, 1e300];

/// Longer tensors are data rather than steering values.
const STEERING: usize = 64;

/// Values of more bytes are left alone: a copy for each damage would take more memory than the model.
const LARGE: usize = 1 << 16;

/// Inputs of more elements are not made, for the same reason; the limit of tensors is below.
const LARGEST: usize = 2 << 20;

/// Hostile values and shapes of a case's inputs.
pub fn damages(case: &Case) -> Vec<Damage> {
    let mut damages = Vec::new();
    let inputs = case.steps.first().map(|step| step.inputs.as_slice()).unwrap_or_default();
    for (i, value) in inputs.iter().enumerate() {
        let mut add = |what: String, value: Option<Value>| {
            damages.extend(value.map(|value| Damage { what: format!("input {i}: {what}"), act: Act::Input(i, value) }));
        };
        for (what, bytes) in elements(value.dtype(), value.bytes()) {
            add(what, Value::from_bytes(value.dtype(), value.shape(), &bytes).ok());
        }
        for (what, shape) in shapes(value.shape()) {
            let modest =
                shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim)).is_some_and(|n| n <= LARGEST);
            add(what, modest.then(|| Value::zeros(value.dtype(), &shape).ok()).flatten());
        }
        if let Ok(strings) = value.as_strings() {
            for (what, text) in texts() {
                let changed = vec![text; strings.len()];
                add(what, Value::strings(value.shape(), changed).ok());
            }
        }
    }
    damages
}

/// Bytes of elements of which all, the first or the last is hostile.
pub fn elements(dtype: DType, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Some(size) = dtype.size().filter(|&size| size > 0 && (size..LARGE).contains(&bytes.len())) else {
        return Vec::new();
    };
    let count = bytes.len() / size;
    let mut found = Vec::new();
    for (name, element) in hostile(dtype) {
        let mut put = |what: String, range: std::ops::Range<usize>| {
            let mut changed = bytes.to_vec();
            range.for_each(|i| changed[i * size..(i + 1) * size].copy_from_slice(&element));
            if changed != bytes {
                found.push((what, changed));
            }
        };
        put(format!("all elements {name}"), 0..count);
        if (2..=STEERING).contains(&count) {
            put(format!("first element {name}"), 0..1);
            put(format!("last element {name}"), count - 1..count);
        }
    }
    found
}

/// Hostile elements of a type and their names.
fn hostile(dtype: DType) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    let size = dtype.size().unwrap_or(0);
    if dtype.is_float() || matches!(dtype, DType::Complex64 | DType::Complex128) {
        for value in FLOATS {
            let bytes = match dtype {
                DType::Float32 => (value as f32).to_le_bytes().to_vec(),
                DType::Float64 => value.to_le_bytes().to_vec(),
                DType::Complex64 => (value as f32).to_le_bytes().repeat(2),
                DType::Complex128 => value.to_le_bytes().repeat(2),
                // Half floats share their sign, exponent and beginning with the wider ones only in part: any bits do.
                _ => (value as f32).to_le_bytes()[4 - size..].to_vec(),
            };
            found.push((format!("{value:e}"), bytes));
        }
        return found;
    }
    for value in INTEGERS {
        let element = value.to_le_bytes()[..size.min(8)].to_vec();
        if element.len() == size && !found.iter().any(|(_, other)| *other == element) {
            found.push((value.to_string(), element));
        }
    }
    found
}

/// Shapes that an input has no business with.
pub fn shapes(shape: &[usize]) -> Vec<(String, Vec<usize>)> {
    let mut found = vec![
        ("no dimensions".to_owned(), vec![]),
        ("one dimension of 0".to_owned(), vec![0]),
        ("nine dimensions".to_owned(), vec![1; 9]),
        ("a dimension of 2^20".to_owned(), vec![1 << 20]),
        ("one more in front".to_owned(), [&[2], shape].concat()),
    ];
    for axis in 0..shape.len() {
        let with = |size: usize| shape.iter().enumerate().map(|(i, &old)| if i == axis { size } else { old }).collect();
        found.push((format!("dimension {axis} is 0"), with(0)));
        found.push((format!("dimension {axis} is one more"), with(shape[axis] + 1)));
        found.push((format!("dimension {axis} is one less"), with(shape[axis].saturating_sub(1))));
        found.push((format!("dimension {axis} is 5000"), with(5000)));
        found.push((format!("without dimension {axis}"), [&shape[..axis], &shape[axis + 1..]].concat()));
    }
    found
}

fn texts() -> Vec<(String, Vec<u8>)> {
    vec![
        ("empty strings".to_owned(), Vec::new()),
        ("no UTF-8".to_owned(), vec![0xff, 0xfe, 0xc0, 0x80]),
        ("zeros".to_owned(), vec![0; 9]),
        ("long strings".to_owned(), b"a b ".repeat(5000)),
        ("spaces".to_owned(), b" ".repeat(30)),
    ]
}
