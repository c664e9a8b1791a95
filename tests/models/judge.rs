//! How close a whole float network has to come to its golden: the rules of GOLDEN.md for kinds float and float16.

use std::path::Path;

use serde_json::Value as Json;
use tflite_wgpu::npy;
use tflite_wgpu_fallback::Value;

use crate::golden::Res;

const HALF_MAX: f64 = 65_504.0;

/// What a result is judged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Cpu,
    F32,
    F16,
}

/// What the rules ask of a model besides a mode.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Truth is the runtime's reference kernels.
    pub reference: bool,
    /// It has operators behind which a rounding difference becomes another integer.
    pub discrete: bool,
    /// It has operators behind which a rounding difference becomes another element or order.
    pub choosing: bool,
}

/// One tensor of a golden.
pub struct Spec<'a> {
    json: &'a Json,
    /// Elements `0, stride, 2 · stride, …` of the flattened tensor; of integers exact up to 2^53.
    want: Vec<f64>,
    stride: usize,
    count: usize,
    max_abs: f64,
    /// Largest difference between the runtime's own kernels.
    difference: f64,
    is_checkpoint: bool,
}

/// What became of a tensor.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Agrees,
    /// Agrees, which shows little: nothing but zeros, or nothing that the mode can hold.
    Weak,
    /// Wrong values, in this share of the elements.
    Wrong(String, f64),
    /// Another type or shape, NaN.
    Broken(String),
}

use Verdict::{Agrees, Broken, Weak, Wrong};

impl<'a> Spec<'a> {
    /// An output (`difference` from the golden) or a checkpoint; larger tensors lie in `folder`.
    pub fn read(json: &'a Json, folder: &Path, difference: f64) -> Res<Self> {
        let number = |value: &Json| match value.as_str() {
            Some("NaN") => f64::NAN,
            Some("Infinity") => f64::INFINITY,
            Some("-Infinity") => f64::NEG_INFINITY,
            _ => value.as_f64().unwrap_or(f64::NAN),
        };
        let want = match json["file"].as_str() {
            Some(file) => {
                let value = npy::read(&folder.join(file), None)?;
                elements(&value).ok_or_else(|| format!("{file} has type {}", value.dtype()))?
            }
            None => json["values"].as_array().into_iter().flatten().map(number).collect(),
        };
        let size = |key: &str| usize::try_from(json[key].as_u64().unwrap_or(1));
        let (stride, count) = (size("stride")?.max(1), size("count")?);
        let is_checkpoint = !json["tensor"].is_null();
        let max_abs = number(&json["max_abs"]);
        Ok(Self { json, want, stride, count, max_abs, difference, is_checkpoint })
    }

    /// Judges a tensor.
    pub fn judge(&self, found: &Value, mode: Mode, facts: &Facts) -> Verdict {
        let dtype = self.json["dtype"].as_str().unwrap_or_default().to_uppercase();
        if found.dtype().name() != dtype {
            return Broken(format!("type {}, expected {dtype}", found.dtype()));
        }
        if let Ok(strings) = found.as_strings() {
            return self.strings(strings);
        }
        let shape: Option<Vec<usize>> = serde_json::from_value(self.json["shape"].clone()).ok();
        if found.len() != self.count || shape.is_some_and(|shape| shape != found.shape()) {
            return Broken(format!("shape {:?}, expected {}", found.shape(), self.json["shape"]));
        }
        let Some(all) = elements(found) else { return Broken(format!("type {dtype} is not judged")) };
        if all.is_empty() {
            return Weak;
        }
        let got: Vec<f64> = all.iter().step_by(self.stride).copied().collect();
        if got.len() != self.want.len() {
            return Broken(format!("{} samples, expected {}", got.len(), self.want.len()));
        }
        if found.dtype().is_float() {
            self.floats(&all, &got, mode)
        } else {
            self.integers(&got, found.dtype() == tflite_wgpu_model::DType::Bool, mode, facts)
        }
    }

    fn strings(&self, found: &[Vec<u8>]) -> Verdict {
        let want = self.json["values"].as_array().into_iter().flatten().filter_map(Json::as_str);
        if want.map(str::as_bytes).eq(found.iter().map(Vec::as_slice)) {
            Agrees
        } else {
            Wrong("strings differ".to_owned(), 1.0)
        }
    }

    fn integers(&self, got: &[f64], is_bool: bool, mode: Mode, facts: &Facts) -> Verdict {
        let exact = facts.reference || is_bool || mode != Mode::Cpu;
        let limit = if exact { 0.0 } else { self.difference.max(1.0) };
        let share = match mode {
            Mode::F32 if facts.discrete => 0.01,
            Mode::F16 if facts.discrete => 0.05,
            _ => 0.0,
        };
        let allowed = (share * got.len() as f64) as usize;
        let few = if share == 0.05 { (got.len() / 4).min(2) } else { 0 };
        self.count_wrong(&self.want, got, limit, allowed.max(few)).unwrap_or(if self.max_abs == 0.0 {
            Weak
        } else {
            Agrees
        })
    }

    /// Complains when more than `allowed` elements are off by more than `limit`.
    fn count_wrong(&self, want: &[f64], got: &[f64], limit: f64, allowed: usize) -> Option<Verdict> {
        let errors = want.iter().zip(got).map(|(w, g)| (w - g).abs());
        let bad = errors.clone().filter(|error| *error > limit || error.is_nan()).count();
        (bad > allowed).then(|| {
            let worst = errors.fold(0.0, f64::max);
            let text = format!("{bad} of {} off by more than {limit:.3e}, worst {worst:.4e}", want.len());
            Wrong(format!("{text}, largest value {:.4e}", self.max_abs), bad as f64 / want.len() as f64)
        })
    }

    fn floats(&self, all: &[f64], got: &[f64], mode: Mode) -> Verdict {
        let fits = |w: &f64| w.is_finite() && (mode != Mode::F16 || w.abs() <= HALF_MAX);
        let odd = |(w, g): &(&f64, &f64)| match mode {
            Mode::F16 => fits(w) && !g.is_finite(),
            _ => w.is_nan() != g.is_nan() || ((w.is_infinite() || g.is_infinite()) && w != g),
        };
        if self.want.iter().zip(got).any(|pair| odd(&pair)) {
            return Broken("NaN or infinity out of place".to_owned());
        }
        let (want, got): (Vec<f64>, Vec<f64>) = self.want.iter().zip(got).filter(|(w, _)| fits(w)).unzip();
        if want.is_empty() {
            return Weak;
        }
        let whole = want.len() == self.want.len() && self.max_abs.is_finite();
        let largest = want.iter().fold(0.0f64, |largest, w| largest.max(w.abs()));
        let scale = if whole { self.max_abs } else { largest }.max(1e-6);
        let Limits { error, cosine, length } = self.limits(mode, scale);
        if let Some(wrong) = self.count_wrong(&want, &got, error, 0) {
            return wrong;
        }
        if self.max_abs == 0.0 || scale <= 1e-6 {
            return Weak;
        }
        if let Some(cosine) = cosine
            && self.count >= 16
            && largest > 1e-6
        {
            let (angle, ratio) = (cosine_of(&want, &got), norm(&got) / norm(&want).max(1e-30));
            if angle < cosine || (ratio - 1.0).abs() > length {
                return Wrong(format!("cosine {angle:.5}, length ratio {ratio:.4}"), 1.0);
            }
        }
        if self.stride > 1 && whole {
            let slack = if cosine.is_some() { length } else { 1.0 };
            if let Some(text) = self.whole(all, error, (error / scale).min(slack), scale) {
                return Wrong(text, 1.0);
            }
        }
        if error.is_finite() && error >= 0.5 * scale { Weak } else { Agrees }
    }

    fn limits(&self, mode: Mode, scale: f64) -> Limits {
        let base = match mode {
            Mode::Cpu => 1e-5,
            Mode::F32 => 1e-4,
            Mode::F16 => {
                let few = self.count < 16 || scale <= 1e-6;
                let base = if few { 0.02 * scale.max(0.05) } else { 0.05 * scale };
                return Limits { error: base.max(2.0 * self.difference), cosine: Some(0.999), length: 0.03 };
            }
        };
        let error = (base * scale).max(4.0 * self.difference);
        Limits { error, cosine: (error > 0.05 * scale).then_some(0.99), length: 0.03 }
    }

    /// What lies between the samples: the largest value, mean and norm of the whole tensor.
    fn whole(&self, all: &[f64], error: f64, slack: f64, scale: f64) -> Option<String> {
        let known = |key: &str| self.json[key].as_f64().unwrap_or(f64::NAN);
        let (count, l2) = (all.len() as f64, known("l2"));
        if !l2.is_finite() {
            return None;
        }
        let mean_limit = slack * l2 / count.sqrt() + 1e-6 * scale;
        let largest = all.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        let figures = [
            ("max_abs", largest, error),
            ("mean", all.iter().sum::<f64>() / count, mean_limit),
            ("l2", norm(all), mean_limit * count.sqrt()),
        ];
        let is_off = |(key, value, limit): &(&str, f64, f64)| {
            let difference = (value - known(key)).abs();
            difference.is_nan() || difference > limit + 1e-9 * known(key).abs()
        };
        let (key, value, _) = figures.into_iter().find(is_off)?;
        Some(format!("{key} of the whole tensor is {value:.6e}, expected {:.6e}", known(key)))
    }

    /// Whether wrong values have the right magnitude at least.
    fn is_plausible(&self, found: &Value) -> bool {
        let all = elements(found).unwrap_or_default();
        let largest = all.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        (0.5 * self.max_abs..=1.5 * self.max_abs).contains(&largest)
    }
}

struct Limits {
    error: f64,
    cosine: Option<f64>,
    length: f64,
}

/// One judged tensor of a case: what it is called, its spec, its value.
pub struct Judged<'a> {
    pub name: String,
    pub spec: Spec<'a>,
    pub found: &'a Value,
}

/// Judges a case from its outputs and the checkpoints that the interpreter still has.
///
/// # Errors
/// What is wrong with the first tensor that is.
pub fn case(tensors: &[Judged<'_>], mode: Mode, facts: &Facts) -> Result<(), String> {
    let (mut agreeing, mut excused, mut outputs) = (0, None, 0);
    for Judged { name, spec, found } in tensors {
        let verdict = spec.judge(found, mode, facts);
        let is_float = found.dtype().is_float();
        outputs += usize::from(!spec.is_checkpoint);
        match verdict {
            Agrees => agreeing += usize::from(spec.is_checkpoint),
            Weak => {}
            Broken(text) => return Err(format!("{name}: {text}")),
            Wrong(text, share) => {
                let chosen = facts.choosing || (facts.discrete && !is_float);
                let few = share <= 0.1 || spec.count < 128;
                let excusable = mode != Mode::Cpu && !spec.is_checkpoint && chosen && few && spec.is_plausible(found);
                if !excusable {
                    return Err(format!("{name}: {text}"));
                }
                excused = Some(format!("{name}: {text}"));
            }
        }
    }
    match excused {
        Some(text) if agreeing < 2 => Err(text),
        _ if outputs == 0 => Err("nothing was judged".to_owned()),
        _ => Ok(()),
    }
}

/// Floats, integers and bools as f64.
fn elements(value: &Value) -> Option<Vec<f64>> {
    value.to_floats().or_else(|| Some(value.to_ints()?.into_iter().map(|n| n as f64).collect()))
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn cosine_of(a: &[f64], b: &[f64]) -> f64 {
    let (na, nb) = (norm(a), norm(b));
    if na > 0.0 && nb > 0.0 {
        a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>() / (na * nb)
    } else {
        f64::from(na == nb)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COUNT: usize = 4000;

    fn wave() -> Vec<f32> {
        (0..COUNT).map(|i| (i as f32 * 0.7).sin() + (i % 7) as f32 / 7.0).collect()
    }

    /// A golden that holds every seventh element of [`wave`].
    fn golden() -> Json {
        let all: Vec<f64> = wave().iter().map(|v| f64::from(*v)).collect();
        json!({
            "dtype": "float32", "shape": [40, 100], "count": COUNT, "stride": 7,
            "values": all.iter().step_by(7).collect::<Vec<_>>(),
            "max_abs": all.iter().fold(0.0f64, |m, v| m.max(v.abs())),
            "mean": all.iter().sum::<f64>() / COUNT as f64,
            "l2": norm(&all),
        })
    }

    fn verdict(change: impl Fn(&mut Vec<f32>), shape: &[usize], mode: Mode) -> Res<Verdict> {
        let golden = golden();
        let spec = Spec::read(&golden, Path::new(""), 0.0)?;
        let mut values = wave();
        change(&mut values);
        Ok(spec.judge(&Value::f32(shape, &values)?, mode, &Facts::default()))
    }

    #[test]
    fn what_a_mode_allows_passes() -> Res<()> {
        for (mode, rounding) in [(Mode::Cpu, 4e-6), (Mode::F32, 5e-5), (Mode::F16, 3e-3)] {
            let rounded = verdict(|x| x.iter_mut().for_each(|v| *v *= 1.0 + rounding), &[40, 100], mode)?;
            assert_eq!(rounded, Agrees, "{mode:?}");
        }
        Ok(())
    }

    #[test]
    fn damages_fail() -> Res<()> {
        type Damage = fn(&mut Vec<f32>);
        let wrong: [(&str, Damage); 6] = [
            ("a sampled element", |x| x[7 * 11] = -3.0),
            ("a peak between the samples", |x| x[7 * 11 + 1] = 100.0),
            ("zeros between the samples", |x| (0..COUNT).filter(|i| i % 7 == 3).for_each(|i| x[i] = 0.0)),
            ("a wrong channel", |x| x.iter_mut().skip(6).step_by(100).for_each(|v| *v += 2.0)),
            ("other signs", |x| x.iter_mut().for_each(|v| *v = -*v)),
            ("all zero", |x| x.fill(0.0)),
        ];
        for mode in [Mode::Cpu, Mode::F32, Mode::F16] {
            for (name, damage) in wrong {
                assert!(matches!(verdict(damage, &[40, 100], mode)?, Wrong(..)), "{name} passes in {mode:?}");
            }
            assert!(matches!(verdict(|x| x[14] = f32::NAN, &[40, 100], mode)?, Broken(_)), "NaN passes in {mode:?}");
            assert!(matches!(verdict(|_| (), &[100, 40], mode)?, Broken(_)), "another shape passes in {mode:?}");
        }
        Ok(())
    }

    #[test]
    fn integers_are_exact() -> Res<()> {
        let golden =
            json!({"dtype": "int32", "shape": [3], "count": 3, "stride": 1, "values": [1, 2, 3], "max_abs": 3});
        let spec = Spec::read(&golden, Path::new(""), 0.0)?;
        let facts = Facts { reference: true, ..Facts::default() };
        for mode in [Mode::Cpu, Mode::F32, Mode::F16] {
            assert_eq!(spec.judge(&Value::i32(&[3], &[1, 2, 3])?, mode, &facts), Agrees);
            assert!(matches!(spec.judge(&Value::i32(&[3], &[1, 2, 4])?, mode, &facts), Wrong(..)));
            assert!(matches!(spec.judge(&Value::f32(&[3], &[1.0, 2.0, 3.0])?, mode, &facts), Broken(_)));
        }
        assert!(case(&[], Mode::Cpu, &facts).is_err(), "nothing at all passes");
        Ok(())
    }
}
