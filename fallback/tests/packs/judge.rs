//! The tolerances of the packs on a CPU.

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::DType;

/// What may lie between a float result and the expected one.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// A share of the largest finite magnitude of the tensor.
    OfLargest(f64),
    /// A share of each element's magnitude.
    OfEach(f64),
}

/// The packs' tolerance classes: the limit for floats.
fn limit(class: &str, dtype: DType) -> Result<Limit, String> {
    let share = |class| match class {
        "exact" => Some(Limit::OfLargest(0.0)),
        "trans" => Some(Limit::OfEach(3.0 / f64::from(1 << 23))),
        "float" => Some(Limit::OfLargest(1e-5)),
        "loose" => Some(Limit::OfLargest(1e-4)),
        "hybrid" => Some(Limit::OfLargest(3e-2)),
        _ => None,
    };
    // 16-bit floats are judged by their own precision, except where a class asks for more or allows more.
    match (class, dtype) {
        ("exact" | "hybrid" | "loose", _) => share(class).ok_or_else(|| class.to_owned()),
        (_, DType::Float16) => Ok(Limit::OfLargest(1.0 / 1024.0)),
        (_, DType::BFloat16) => Ok(Limit::OfLargest(1.0 / 128.0)),
        _ => share(class).ok_or_else(|| format!("tolerance class {class} for {dtype}")),
    }
}

/// Compares a result with what the pack expects.
///
/// # Errors
/// A sentence that says where they part.
pub fn compare(class: &str, expected: &Value, found: &Value) -> Result<(), String> {
    if found.dtype() != expected.dtype() {
        return Err(format!("type {}, expected {}", found.dtype(), expected.dtype()));
    }
    if found.shape() != expected.shape() {
        return Err(format!("shape {:?}, expected {:?}", found.shape(), expected.shape()));
    }
    if class == "shape" || expected.is_empty() {
        return Ok(());
    }
    match (floats(expected), floats(found)) {
        (Some(expected_floats), Some(found)) => {
            let limit = limit(class, expected.dtype())?;
            compare_floats(limit, &expected_floats, &found)
        }
        _ => compare_stored(class, expected, found),
    }
}

/// Float and complex elements, the latter as pairs.
fn floats(value: &Value) -> Option<Vec<f64>> {
    match value.dtype() {
        DType::Complex64 => value.as_slice::<[f32; 2]>().ok().map(|v| v.iter().flatten().map(|&v| v.into()).collect()),
        DType::Complex128 => value.as_slice::<[f64; 2]>().ok().map(|v| v.as_flattened().to_vec()),
        _ => value.to_floats(),
    }
}

fn compare_floats(limit: Limit, expected: &[f64], found: &[f64]) -> Result<(), String> {
    let largest = expected.iter().filter(|v| v.is_finite()).fold(0.0f64, |max, v| max.max(v.abs()));
    let off = |&(_, (&e, &f)): &(usize, (&f64, &f64))| {
        if !e.is_finite() || !f.is_finite() {
            return e != f && !(e.is_nan() && f.is_nan());
        }
        let allowed = match limit {
            Limit::OfLargest(share) => share * largest,
            // Results below the smallest normal number may be flushed.
            Limit::OfEach(share) => share * e.abs() + 1e-37,
        };
        (e - f).abs() > allowed
    };
    let count = expected.iter().zip(found).enumerate().filter(off).count();
    match expected.iter().zip(found).enumerate().find(off) {
        None => Ok(()),
        Some((at, (e, f))) => {
            Err(format!("{count} of {} off, first at {at}: {f:e}, expected {e:e}, largest {largest:e}", expected.len()))
        }
    }
}

/// Integers, booleans and strings are exact, but for fixed-point transforms.
fn compare_stored(class: &str, expected: &Value, found: &Value) -> Result<(), String> {
    let (Some(e), Some(f)) = (expected.to_ints(), found.to_ints()) else {
        return if expected == found { Ok(()) } else { Err("values differ".to_owned()) };
    };
    let largest = e.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
    let allowed = if class == "fixed" { (largest / 100).max(8) } else { 0 };
    let off = |&(_, (e, f)): &(usize, (&i64, &i64))| e.abs_diff(*f) > allowed;
    let count = e.iter().zip(&f).enumerate().filter(off).count();
    match e.iter().zip(&f).enumerate().find(off) {
        None => Ok(()),
        Some((at, (e, f))) => Err(format!("{count} of {} differ, first at {at}: {f}, expected {e}", expected.len())),
    }
}

#[test]
fn damage_is_noticed() -> Result<(), Box<dyn std::error::Error>> {
    let ramp: Vec<f32> = (0..34).map(|i| i as f32 * 0.25 - 3.0).collect();
    let good = Value::f32(&[2, 17], &ramp)?;
    let changed = |at: usize, value: f32| {
        let mut elements = ramp.clone();
        elements[at] = value;
        Value::f32(&[2, 17], &elements)
    };
    for class in ["exact", "trans", "float", "loose", "hybrid"] {
        assert_eq!(compare(class, &good, &good), Ok(()), "{class}");
        for (at, value) in [(33, -5.25), (5, 1.0), (33, f32::NAN), (0, f32::INFINITY)] {
            assert!(compare(class, &good, &changed(at, value)?).is_err(), "{class}: {value} at {at}");
            assert!(compare(class, &changed(at, value)?, &good).is_err(), "{class}: {value} at {at}, expected");
        }
        assert!(compare(class, &good, &Value::f32(&[34], &ramp)?).is_err(), "{class}: shape");
        assert!(compare(class, &good, &Value::f32(&[2, 16], &ramp[..32])?).is_err(), "{class}: size");
        assert!(compare(class, &good, &Value::i32(&[2, 17], &[0; 34])?).is_err(), "{class}: type");
    }
    assert!(compare("float", &good, &changed(0, -3.0002)?).is_err());
    assert!(compare("loose", &good, &changed(0, -3.0002)?).is_ok());
    assert!(compare("exact", &good, &changed(0, -3.000_000_2)?).is_err());
    assert!(compare("unheard of", &good, &good).is_err());
    for value in [f32::NAN, f32::NEG_INFINITY] {
        assert_eq!(compare("float", &changed(3, value)?, &changed(3, value)?), Ok(()));
    }
    assert!(compare("float", &changed(3, f32::INFINITY)?, &changed(3, f32::NEG_INFINITY)?).is_err());
    let ints = |last: i32| Value::i32(&[3], &[1, 2, last]);
    assert!(compare("exact", &ints(3)?, &ints(3)?).is_ok() && compare("float", &ints(3)?, &ints(4)?).is_err());
    assert!(compare("fixed", &ints(3)?, &ints(11)?).is_ok() && compare("fixed", &ints(3)?, &ints(12)?).is_err());
    let text = |last: &str| Value::strings(&[2], vec![b"a".to_vec(), last.into()]);
    assert!(compare("exact", &text("b")?, &text("b")?).is_ok() && compare("exact", &text("b")?, &text("c")?).is_err());
    let wide = |last: u64| Value::from_slice(DType::UInt64, &[2], &[u64::MAX, last]);
    assert!(compare("exact", &wide(1)?, &wide(1)?).is_ok() && compare("exact", &wide(1)?, &wide(2)?).is_err());
    Ok(())
}
