//! Options as key and value: those of the library, TFLite's `TfLiteGpuDelegateOptionsV2`, and the plugin's own.

use tflite_wgpu::{
    DelegateOptions, Error,
    gpu::CacheDir,
    options::{DeviceChoice, KEYS, Precision},
};
use tracing::Level;

/// Keys besides the library's, and what they take.
const OWN_KEYS: &[(&str, &str)] = &[
    ("fallback", "true or false"),
    ("log_level", "off, error, warn, info, debug or trace"),
    ("is_precision_loss_allowed", "-1, 0 or 1"),
    ("inference_preference", "FAST_SINGLE_ANSWER, SUSTAINED_SPEED, BALANCED or their numbers"),
    ("inference_priority1", PRIORITY),
    ("inference_priority2", PRIORITY),
    ("inference_priority3", PRIORITY),
    ("experimental_flags", "a number"),
    ("serialization_dir", "a folder"),
    ("model_token", "a text"),
];

const PRIORITY: &str = "AUTO, MAX_PRECISION, MIN_LATENCY, MIN_MEMORY_USAGE or their numbers";
const PREFERENCES: &[&str] = &["FAST_SINGLE_ANSWER", "SUSTAINED_SPEED", "BALANCED"];
const PRIORITIES: &[&str] = &["AUTO", "MAX_PRECISION", "MIN_LATENCY", "MIN_MEMORY_USAGE"];
const MAX_PRECISION: usize = 1;

/// Options of one delegate.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginOptions {
    /// Those of the library; `device` is `gpu` unless it is set.
    pub delegate: DelegateOptions,
    /// Whether a missing adapter leaves everything to the host instead of failing.
    pub fallback: bool,
    /// What is written to standard error; `None` for nothing.
    pub log: Option<Level>,
    /// At most this many partitions, the largest first.
    pub max_partitions: Option<usize>,
    /// Smaller partitions stay with the host.
    pub min_nodes: usize,
}

/// What TFLite's options say of precision.
#[derive(Default)]
struct Wishes {
    precision: Option<String>,
    loss_allowed: Option<bool>,
    priorities: [Option<usize>; 3],
}

impl Default for PluginOptions {
    fn default() -> Self {
        let delegate = DelegateOptions { device: DeviceChoice::Gpu, ..DelegateOptions::default() };
        Self { delegate, fallback: false, log: Some(Level::WARN), max_partitions: None, min_nodes: 1 }
    }
}

impl PluginOptions {
    /// Options from keys and values.
    ///
    /// # Errors
    /// One line that names the key, what was found and what was expected; for an unknown key it lists all.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut wishes = Wishes::default();
        for (key, value) in pairs {
            // benchmark_model drops values with a colon, and Python writes True.
            let value = value.trim().replace("%3A", ":");
            let value = match value.as_str() {
                "True" => "true",
                "False" => "false",
                other => other,
            };
            options.set(key.trim(), value, &mut wishes)?;
        }
        options.delegate.precision = wishes.precision().unwrap_or(options.delegate.precision);
        // Both bounds are about the host's partitions, which it forms of all nodes that are claimed.
        options.max_partitions = options.delegate.max_delegated_partitions.take();
        options.min_nodes = std::mem::replace(&mut options.delegate.min_nodes_per_partition, 1);
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str, wishes: &mut Wishes) -> Result<(), Error> {
        if key == "precision" {
            wishes.precision = Some(value.to_owned());
        }
        if KEYS.iter().any(|(known, _)| *known == key) {
            return self.delegate.set(key, value);
        }
        let Some((_, expected)) = OWN_KEYS.iter().find(|(known, _)| *known == key) else {
            let keys = OWN_KEYS.iter().chain(KEYS).map(|(known, _)| *known).collect::<Vec<_>>();
            let expected = format!("one of {}", keys.join(", "));
            return Err(Error::Option { key: key.to_owned(), found: "an unknown key".to_owned(), expected });
        };
        self.apply(key, value, wishes).ok_or_else(|| Error::Option {
            key: key.to_owned(),
            found: format!("\"{value}\""),
            expected: (*expected).to_owned(),
        })
    }

    fn apply(&mut self, key: &str, value: &str, wishes: &mut Wishes) -> Option<()> {
        match key {
            "fallback" => self.fallback = flag(value)?,
            "log_level" => self.log = if value == "off" { None } else { Some(value.parse().ok()?) },
            "is_precision_loss_allowed" => wishes.loss_allowed = if value == "-1" { None } else { Some(flag(value)?) },
            "inference_preference" => {
                choice(value, PREFERENCES)?;
                tracing::info!(key, value, "option without a meaning here: every invoke is made as fast as it can be");
            }
            "inference_priority1" => wishes.priorities[0] = Some(choice(value, PRIORITIES)?),
            "inference_priority2" => wishes.priorities[1] = Some(choice(value, PRIORITIES)?),
            "inference_priority3" => wishes.priorities[2] = Some(choice(value, PRIORITIES)?),
            "experimental_flags" => {
                value.parse::<i64>().ok()?;
                tracing::info!(key, value, "option without a meaning here");
            }
            "serialization_dir" => self.delegate.cache_dir = CacheDir::parse(value),
            "model_token" => {
                tracing::info!(key, value, "option without a meaning here: caches go by the shaders' contents");
            }
            _ => return None,
        }
        Some(())
    }
}

impl Wishes {
    /// The precision that TFLite's options ask for; the library's own option comes first.
    fn precision(&self) -> Option<Precision> {
        if self.precision.is_some() {
            return None;
        }
        let by_priority = || {
            let set = self.priorities.iter().flatten().next().is_some();
            set.then(|| if self.priorities[0] == Some(MAX_PRECISION) { Precision::F32 } else { Precision::F16 })
        };
        match self.loss_allowed {
            Some(true) => Some(Precision::F16),
            Some(false) => Some(Precision::F32),
            None => by_priority(),
        }
    }
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// The position of a name, any case, with or without TFLite's prefix; or that position as a number.
fn choice(value: &str, names: &[&str]) -> Option<usize> {
    let value = value.to_ascii_uppercase();
    let by_name = names.iter().position(|name| value == *name || value.ends_with(&format!("_{name}")));
    by_name.or_else(|| value.parse().ok().filter(|&n| n < names.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<PluginOptions, Error> {
        PluginOptions::parse(pairs.iter().copied())
    }

    #[test]
    fn the_device_is_the_gpu_unless_it_is_set() -> Result<(), Error> {
        assert_eq!(parse(&[])?.delegate.device, DeviceChoice::Gpu);
        assert_eq!(parse(&[("device", "auto")])?.delegate.device, DeviceChoice::Auto);
        Ok(())
    }

    #[test]
    fn tflite_s_names_mean_what_they_mean_there() -> Result<(), Error> {
        let precision = |pairs: &[(&str, &str)]| Ok::<_, Error>(parse(pairs)?.delegate.precision);
        assert_eq!(precision(&[("is_precision_loss_allowed", "0")])?, Precision::F32);
        assert_eq!(precision(&[("is_precision_loss_allowed", "True")])?, Precision::F16);
        assert_eq!(precision(&[("inference_priority1", "max_precision")])?, Precision::F32);
        assert_eq!(precision(&[("inference_priority1", "2"), ("inference_priority2", "1")])?, Precision::F16);
        let both = [("precision", "f16"), ("is_precision_loss_allowed", "0")];
        assert_eq!(precision(&both)?, Precision::F16, "the library's own name comes first");
        let options = parse(&[("max_delegated_partitions", "2"), ("serialization_dir", "C%3A/x"), ("fallback", "1")])?;
        assert_eq!((options.max_partitions, options.delegate.max_delegated_partitions), (Some(2), None));
        assert_eq!(options.delegate.cache_dir, CacheDir::At("C:/x".into()));
        assert!(options.fallback);
        Ok(())
    }

    #[test]
    fn unknown_keys_and_values_are_named() {
        let text = |pairs: &[(&str, &str)]| parse(pairs).err().map(|error| error.to_string()).unwrap_or_default();
        let unknown = text(&[("colour", "red")]);
        assert!(
            unknown.contains("colour") && unknown.contains("precision") && unknown.contains("fallback"),
            "{unknown}"
        );
        let value = text(&[("inference_priority1", "FASTEST")]);
        assert!(value.contains("FASTEST") && value.contains("MIN_LATENCY"), "{value}");
        assert!(!text(&[("is_precision_loss_allowed", "2")]).is_empty());
    }
}
