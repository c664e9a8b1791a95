//! Comparing a result with the reference: figures, and the one table of tolerances that `verify`, `validate` and the
//! tests read.

use std::fmt;

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{DType, NodeId, SubgraphId};

/// Largest finite half: what lies beyond it in the reference is left out of f16 comparisons.
const HALF_MAX: f64 = 65_504.0;

/// How close a result has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Largest error, as a share of the scale.
    pub error: f64,
    /// Least scale; the scale is the largest magnitude of the reference, or this.
    pub floor: f64,
    /// Least cosine from 16 elements on.
    pub cosine: f64,
    /// Largest change of length (norm) from 16 elements on.
    pub length: f64,
    /// Largest error for fewer than 16 elements.
    pub small_error: f64,
    /// Whether magnitudes beyond the largest half are left out.
    pub half_range: bool,
}

/// CPU against another CPU: 1e-5 of the largest magnitude.
pub const CPU: Tolerance =
    Tolerance { error: 1e-5, floor: 0.0, cosine: 0.0, length: f64::INFINITY, small_error: 1e-5, half_range: false };

/// GPU in f32: 1e-4 of the largest magnitude.
pub const F32: Tolerance = Tolerance { error: 1e-4, small_error: 1e-4, ..CPU };

/// GPU in f16, whole models: 5 % of the largest magnitude, cosine 0.999, length within 3 %; few elements 2 %.
pub const F16: Tolerance =
    Tolerance { error: 0.05, floor: 0.05, cosine: 0.999, length: 0.03, small_error: 0.02, half_range: true };

/// GPU in f16, single operators: 2 % of the larger of 1 and the largest magnitude, cosine 0.999.
pub const F16_OPERATOR: Tolerance = Tolerance { error: 0.02, floor: 1.0, ..F16 };

/// Models with integer weights against the reference's own arithmetic: 3 % of the largest magnitude.
pub const HYBRID: Tolerance = Tolerance { error: 0.03, small_error: 0.03, ..F32 };

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Figures {
    /// Compared elements.
    pub count: usize,
    /// Largest absolute error.
    pub max_abs: f64,
    /// Largest error relative to the reference element.
    pub max_rel: f64,
    /// Mean absolute error.
    pub mean_abs: f64,
    /// Signal-to-noise ratio in decibels; infinite when equal.
    pub snr_db: f64,
    /// Cosine of the angle between the two; 1 when both are zero.
    pub cosine: f64,
    /// Largest magnitude of the reference.
    pub scale: f64,
    /// Norm of the result over norm of the reference; 1 when both are zero.
    pub length: f64,
    /// Element with the largest error.
    pub worst: usize,
}

/// Why a result does not match.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Mismatch {
    /// Types or shapes differ.
    Form {
        /// Of the result.
        found: String,
        /// Of the reference.
        expected: String,
    },
    /// Nothing could be compared.
    Empty,
    /// An element is NaN or infinite where the reference is not, or the other way round.
    NotFinite {
        /// Position.
        element: usize,
        /// Of the result.
        found: f64,
        /// Of the reference.
        expected: f64,
    },
    /// The error is too large.
    Error(Figures),
    /// The direction is wrong.
    Cosine(Figures),
    /// The magnitude is wrong.
    Length(Figures),
    /// An integer, bool or string differs.
    Exact {
        /// Position.
        element: usize,
        /// Of the result.
        found: String,
        /// Of the reference.
        expected: String,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form { found, expected } => write!(f, "is {found}, expected {expected}"),
            Self::Empty => f.write_str("has no elements to compare"),
            Self::NotFinite { element, found, expected } => {
                write!(f, "element {element} is {found}, expected {expected}")
            }
            Self::Error(x) => {
                write!(
                    f,
                    "error {:.3e} at element {} exceeds the tolerance (largest value {:.3e})",
                    x.max_abs, x.worst, x.scale
                )
            }
            Self::Cosine(x) => write!(f, "cosine {:.6} is too small", x.cosine),
            Self::Length(x) => write!(f, "length is {:.4} of the reference's", x.length),
            Self::Exact { element, found, expected } => write!(f, "element {element} is {found}, expected {expected}"),
        }
    }
}

/// A result that differs from the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The subgraph.
    pub subgraph: SubgraphId,
    /// The first node of the file whose result differs; none when only the whole partition shows it.
    pub node: Option<NodeId>,
    /// Name of its operator.
    pub op: String,
    /// Name of the tensor that differs.
    pub tensor: String,
    /// How it differs.
    pub mismatch: Mismatch,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = self.node {
            write!(f, "node {node} {}: ", self.op)?;
        }
        write!(f, "tensor \"{}\" {}", self.tensor, self.mismatch)
    }
}

/// Compares `found` with `reference`. Floats are judged by the tolerance, everything else exactly.
///
/// # Errors
/// The first thing that is wrong; a comparison of nothing is wrong, too.
pub fn compare(reference: &Value, found: &Value, tolerance: &Tolerance) -> Result<Figures, Mismatch> {
    if reference.dtype() != found.dtype() || reference.shape() != found.shape() {
        let form = |value: &Value| format!("{} {:?}", value.dtype(), value.shape());
        return Err(Mismatch::Form { found: form(found), expected: form(reference) });
    }
    if reference.is_empty() {
        return Err(Mismatch::Empty);
    }
    match (reference.to_floats(), found.to_floats()) {
        (Some(reference), Some(found)) => floats(&reference, &found, tolerance),
        _ => exact(reference, found),
    }
}

/// Compares quantised integers (scale and zero point are given) that were computed in floats as the floats they stand
/// for. They may be one step apart: where the float lies between two of them, either is right. Everything else is
/// compared as by [`compare`].
///
/// # Errors
/// As [`compare`].
pub fn compare_quantised(
    reference: &Value,
    found: &Value,
    quant: Option<(f32, i64)>,
    tolerance: &Tolerance,
) -> Result<Figures, Mismatch> {
    let floats = quant.and_then(|quant| dequantised(reference, quant).zip(dequantised(found, quant)).zip(Some(quant)));
    let Some(((reference, found), (step, _))) = floats else {
        return compare(reference, found, tolerance);
    };
    let largest = reference.to_floats().unwrap_or_default().iter().fold(tolerance.floor, |most, v| most.max(v.abs()));
    let share = f64::from(step) * 1.001 / largest.max(f64::MIN_POSITIVE);
    let (error, small_error) = (tolerance.error + share, tolerance.small_error + share);
    compare(&reference, &found, &Tolerance { error, small_error, ..*tolerance })
}

/// The floats that quantised integers stand for.
fn dequantised(value: &Value, (scale, zero): (f32, i64)) -> Option<Value> {
    if !matches!(value.dtype(), DType::Int8 | DType::UInt8 | DType::Int16) {
        return None;
    }
    let floats: Vec<f32> = value.to_ints()?.into_iter().map(|v| (v - zero) as f32 * scale).collect();
    Value::f32(value.shape(), &floats).ok()
}

fn exact(reference: &Value, found: &Value) -> Result<Figures, Mismatch> {
    let differs = |element: usize, found: String, expected: String| Err(Mismatch::Exact { element, found, expected });
    if let (Ok(a), Ok(b)) = (reference.as_strings(), found.as_strings()) {
        if let Some(i) = a.iter().zip(b).position(|(a, b)| a != b) {
            let text =
                |list: &[Vec<u8>]| list.get(i).map(|s| String::from_utf8_lossy(s).into_owned()).unwrap_or_default();
            return differs(i, text(b), text(a));
        }
    } else if reference.bytes() != found.bytes() {
        let size = reference.dtype().size().unwrap_or(1).max(1);
        let pairs = reference.bytes().chunks(size).zip(found.bytes().chunks(size));
        let (i, (a, b)) = pairs.enumerate().find(|(_, (a, b))| a != b).unwrap_or_default();
        let text = |value: &Value, bytes: &[u8]| match value.to_ints().as_deref().and_then(|v| v.get(i)) {
            Some(n) => n.to_string(),
            None => format!("{bytes:02x?}"),
        };
        return differs(i, text(found, b), text(reference, a));
    }
    let count = reference.len();
    Ok(Figures { count, snr_db: f64::INFINITY, cosine: 1.0, length: 1.0, ..Figures::default() })
}

fn floats(reference: &[f64], found: &[f64], tolerance: &Tolerance) -> Result<Figures, Mismatch> {
    let mut figures = Figures::default();
    let (mut dot, mut a2, mut b2, mut noise, mut sum) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (i, (&a, &b)) in reference.iter().zip(found).enumerate() {
        let beyond = tolerance.half_range && (a.is_nan() || a.abs() > HALF_MAX);
        if beyond {
            continue;
        }
        if !a.is_finite() || !b.is_finite() {
            if a == b || (a.is_nan() && b.is_nan()) {
                continue;
            }
            return Err(Mismatch::NotFinite { element: i, found: b, expected: a });
        }
        let error = (a - b).abs();
        figures.count += 1;
        figures.scale = figures.scale.max(a.abs());
        if error > figures.max_abs {
            figures.max_abs = error;
            figures.worst = i;
        }
        if a != 0.0 {
            figures.max_rel = figures.max_rel.max(error / a.abs());
        }
        dot += a * b;
        a2 += a * a;
        b2 += b * b;
        noise += error * error;
        sum += error;
    }
    if figures.count == 0 {
        return Err(Mismatch::Empty);
    }
    figures.mean_abs = sum / figures.count as f64;
    figures.snr_db = if noise == 0.0 { f64::INFINITY } else { 10.0 * (a2 / noise).log10() };
    let both_zero = a2 == 0.0 && b2 == 0.0;
    figures.cosine = if both_zero { 1.0 } else { dot / (a2.sqrt() * b2.sqrt()).max(f64::MIN_POSITIVE) };
    figures.length = if both_zero { 1.0 } else { b2.sqrt() / a2.sqrt().max(f64::MIN_POSITIVE) };
    judge(figures, tolerance)
}

fn judge(figures: Figures, tolerance: &Tolerance) -> Result<Figures, Mismatch> {
    let many = figures.count >= 16;
    let share = if many { tolerance.error } else { tolerance.small_error };
    if figures.max_abs > share * figures.scale.max(tolerance.floor) {
        return Err(Mismatch::Error(figures));
    }
    // A direction means nothing where all values drown in the floor.
    let significant = figures.scale > 1e-3 * tolerance.floor;
    if many && significant && figures.cosine < tolerance.cosine {
        return Err(Mismatch::Cosine(figures));
    }
    if many && significant && (figures.length - 1.0).abs() > tolerance.length {
        return Err(Mismatch::Length(figures));
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_fallback::ValueError;

    use super::*;

    fn ramp(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect()
    }

    fn check(change: impl Fn(&mut Vec<f32>), tolerance: &Tolerance) -> Result<bool, ValueError> {
        let values = ramp(8 * 33);
        let mut changed = values.clone();
        change(&mut changed);
        let (a, b) = (Value::f32(&[8, 33], &values)?, Value::f32(&[8, 33], &changed)?);
        Ok(compare(&a, &b, tolerance).is_ok())
    }

    #[test]
    fn equal_results_pass() -> Result<(), ValueError> {
        for tolerance in [CPU, F32, F16, F16_OPERATOR, HYBRID] {
            assert!(check(|_| (), &tolerance)?);
        }
        Ok(())
    }

    #[test]
    fn wrong_results_fail() -> Result<(), ValueError> {
        type Change = fn(&mut Vec<f32>);
        let changes: &[(&str, Change)] = &[
            ("one flipped element", |v| v[17] = -v[17]),
            ("a wrong tail lane", |v| v[32] += 0.2),
            ("a wrong channel", |v| v.iter_mut().skip(5).step_by(33).for_each(|x| *x += 0.1)),
            ("a channel of zeros", |v| v.iter_mut().skip(7).step_by(33).for_each(|x| *x = 0.0)),
            ("NaN", |v| v[3] = f32::NAN),
            ("infinity", |v| v[3] = f32::INFINITY),
            ("too long", |v| v.iter_mut().for_each(|x| *x *= 1.04)),
        ];
        for (name, change) in changes {
            for tolerance in [F32, F16, F16_OPERATOR] {
                let passes = check(change, &tolerance)?;
                // A change of 4 % in length is within an operator's 2 % only where the table says so.
                assert!(!passes, "{name} passes {tolerance:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn other_forms_and_nothing_fail() -> Result<(), ValueError> {
        let a = Value::f32(&[4], &[1.0; 4])?;
        assert!(matches!(compare(&a, &Value::f32(&[2, 2], &[1.0; 4])?, &F16), Err(Mismatch::Form { .. })));
        assert!(matches!(compare(&a, &Value::i32(&[4], &[1; 4])?, &F16), Err(Mismatch::Form { .. })));
        let empty = Value::f32(&[0], &[])?;
        assert_eq!(compare(&empty, &empty, &F16), Err(Mismatch::Empty));
        let beyond = Value::f32(&[1], &[1e6])?;
        assert_eq!(compare(&beyond, &beyond, &F16), Err(Mismatch::Empty));
        let (i, j) = (Value::i32(&[2], &[1, 2])?, Value::i32(&[2], &[1, 3])?);
        assert!(matches!(compare(&i, &j, &F16), Err(Mismatch::Exact { element: 1, .. })));
        assert!(compare(&i, &i, &F16).is_ok());
        Ok(())
    }
}
