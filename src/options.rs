//! Options of the delegate: one `key=value` parser for Rust, the command line and, later, C.

use std::{collections::BTreeSet, ops::RangeInclusive};

use tflite_wgpu_model::{Node, NodeId};

use crate::{
    error::Error,
    gpu::{AdapterChoice, CacheDir, DeviceLimits},
    reason::Reason,
};

/// Where nodes run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The cost model decides; without an adapter the CPU runs everything.
    #[default]
    Auto,
    /// Everything supported goes to the adapter, even a software one; no adapter is an error.
    Gpu,
    /// No wgpu call is made.
    Cpu,
}

/// How float tensors are stored on the GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Halves, but f32 for what must have it.
    #[default]
    Auto,
    /// As `auto`.
    F16,
    /// f32 throughout.
    F32,
}

/// How often a partition's results are compared with the reference while running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// Never.
    #[default]
    Off,
    /// The first invoke.
    First,
    /// Every `n`-th invoke, the first included.
    Every(u32),
}

/// What follows from a mismatch found by validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMismatch {
    /// It is reported; the GPU's result stands.
    #[default]
    Report,
    /// The partition runs on the CPU from then on, this invoke included.
    Fallback,
    /// The invoke fails.
    Error,
}

/// What follows when the device is lost, or fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDeviceLost {
    /// The CPU goes on, this invoke included.
    #[default]
    Fallback,
    /// The invoke fails.
    Error,
}

/// Who answers while pipelines are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmStart {
    /// The CPU: another thread makes the partitions ready, and an invoke that finds all of them so runs on the device.
    /// Where there are no threads (browsers), as `Wait`.
    Cpu,
    /// Nobody: the first invoke waits for the device.
    Wait,
}

/// Whether products and convolutions get what was measured to be fastest on the adapter, instead of what the table of its
/// class suggests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tune {
    /// The table alone.
    #[default]
    Off,
    /// What an earlier process has measured and left in the cache folder; the table for all else.
    Cached,
    /// As `Cached`, and what is missing is measured when a partition is planned, which takes seconds. Where there is no
    /// clock (browsers), as `Cached`.
    Now,
}

/// A kernel whose result is negated, for tests that a wrong kernel is found.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Perturb {
    /// The last kernel of this node.
    Node(NodeId),
    /// The last kernel that stands for this node and others.
    Fused(NodeId),
}

/// Options of [`crate::GpuDelegate`].
#[derive(Clone, Debug, PartialEq)]
pub struct DelegateOptions {
    /// Where nodes run.
    pub device: DeviceChoice,
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// How float tensors are stored.
    pub precision: Precision,
    /// How often results are checked.
    pub validate: Validate,
    /// What follows from a mismatch.
    pub on_mismatch: OnMismatch,
    /// What follows when the device is lost.
    pub on_device_lost: OnDeviceLost,
    /// Only these operators (TFLite's names); empty for all.
    pub allow_ops: BTreeSet<String>,
    /// Not these operators.
    pub deny_ops: BTreeSet<String>,
    /// Not these nodes of the main subgraph.
    pub deny_nodes: BTreeSet<u32>,
    /// Only nodes in this range of positions, to bisect.
    pub gpu_nodes: Option<RangeInclusive<u32>>,
    /// Limits to ask of the adapter.
    pub limits: DeviceLimits,
    /// Force typed (true) or packed (false) halves.
    pub typed_f16: Option<bool>,
    /// Where compiled pipelines are kept between processes.
    pub cache_dir: CacheDir,
    /// Who answers while pipelines are compiled; without a choice, the CPU does with `device=auto`.
    pub warm_start: Option<WarmStart>,
    /// Whether tiles are measured on the adapter.
    pub tune: Tune,
    /// Whether each step's time on the device is measured and reported.
    pub time_steps: bool,
    /// At most this many partitions, the largest first.
    pub max_delegated_partitions: Option<usize>,
    /// Smaller partitions stay on the CPU.
    pub min_nodes_per_partition: usize,
    /// Fills the memory around and below every tensor before each invoke, and checks afterwards that only tensors were
    /// written and that their padding is zero: for tests of kernels.
    #[doc(hidden)]
    pub sentinels: bool,
    /// Makes a kernel wrong: for tests that it is found.
    #[doc(hidden)]
    pub perturb: Option<Perturb>,
}

impl Default for DelegateOptions {
    fn default() -> Self {
        Self {
            device: DeviceChoice::default(),
            adapter: AdapterChoice::default(),
            precision: Precision::default(),
            validate: Validate::default(),
            on_mismatch: OnMismatch::default(),
            on_device_lost: OnDeviceLost::default(),
            allow_ops: BTreeSet::new(),
            deny_ops: BTreeSet::new(),
            deny_nodes: BTreeSet::new(),
            gpu_nodes: None,
            limits: DeviceLimits::default(),
            typed_f16: None,
            cache_dir: CacheDir::default(),
            warm_start: None,
            tune: Tune::default(),
            time_steps: false,
            max_delegated_partitions: None,
            min_nodes_per_partition: 1,
            sentinels: false,
            perturb: None,
        }
    }
}

/// Keys of [`DelegateOptions::set`] and what they take.
pub const KEYS: &[(&str, &str)] = &[
    ("device", "auto, gpu or cpu"),
    ("adapter", "a position or a part of a name"),
    ("precision", "auto, f16 or f32"),
    ("validate", "off, first or every:N"),
    ("on_mismatch", "report, fallback or error"),
    ("on_device_lost", "fallback or error"),
    ("allow_ops", "operator names separated by commas"),
    ("deny_ops", "operator names separated by commas"),
    ("deny_nodes", "node positions separated by commas"),
    ("gpu_nodes", "FIRST..LAST, both included"),
    ("limits", "adapter or webgpu-default"),
    ("f16", "packed or typed"),
    ("cache_dir", "a folder, default or off"),
    ("warm_start", "cpu or wait"),
    ("tune", "off, cached or now"),
    ("time_steps", "true or false"),
    ("sentinels", "true or false"),
    ("max_delegated_partitions", "a number"),
    ("min_nodes_per_partition", "a number"),
];

impl DelegateOptions {
    /// Options from `key=value` pairs.
    ///
    /// # Errors
    /// [`Error::Option`] for an unknown key (it lists the keys) or a value that does not fit.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut options = Self::default();
        for pair in pairs {
            let (key, value) = pair.split_once('=').ok_or_else(|| Error::Option {
                key: pair.to_owned(),
                found: "no value".to_owned(),
                expected: "key=value".to_owned(),
            })?;
            options.set(key.trim(), value.trim())?;
        }
        Ok(options)
    }

    /// Sets one option.
    ///
    /// # Errors
    /// As [`DelegateOptions::parse`].
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let Some((_, expected)) = KEYS.iter().find(|(known, _)| *known == key) else {
            let keys: Vec<&str> = KEYS.iter().map(|(known, _)| *known).collect();
            return Err(Error::Option {
                key: key.to_owned(),
                found: "an unknown key".to_owned(),
                expected: format!("one of {}", keys.join(", ")),
            });
        };
        self.apply(key, value).ok_or_else(|| Error::Option {
            key: key.to_owned(),
            found: format!("\"{value}\""),
            expected: (*expected).to_owned(),
        })
    }

    fn apply(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "device" => {
                self.device = match value {
                    "auto" => DeviceChoice::Auto,
                    "gpu" => DeviceChoice::Gpu,
                    "cpu" => DeviceChoice::Cpu,
                    _ => return None,
                }
            }
            "adapter" => self.adapter = AdapterChoice::parse(value),
            "precision" => {
                self.precision = match value {
                    "auto" => Precision::Auto,
                    "f16" => Precision::F16,
                    "f32" => Precision::F32,
                    _ => return None,
                }
            }
            "validate" => {
                self.validate = match value {
                    "off" => Validate::Off,
                    "first" => Validate::First,
                    _ => Validate::Every(value.strip_prefix("every:")?.parse().ok().filter(|&n| n > 0)?),
                }
            }
            "on_mismatch" => {
                self.on_mismatch = match value {
                    "report" => OnMismatch::Report,
                    "fallback" => OnMismatch::Fallback,
                    "error" => OnMismatch::Error,
                    _ => return None,
                }
            }
            "on_device_lost" => {
                self.on_device_lost = match value {
                    "fallback" => OnDeviceLost::Fallback,
                    "error" => OnDeviceLost::Error,
                    _ => return None,
                }
            }
            "allow_ops" => self.allow_ops = words(value).map(str::to_owned).collect(),
            "deny_ops" => self.deny_ops = words(value).map(str::to_owned).collect(),
            "deny_nodes" => self.deny_nodes = words(value).map(|n| n.parse().ok()).collect::<Option<_>>()?,
            "gpu_nodes" => {
                let (first, last) = value.split_once("..")?;
                self.gpu_nodes = Some(first.trim().parse().ok()?..=last.trim().parse().ok()?);
            }
            "limits" => {
                self.limits = match value {
                    "adapter" => DeviceLimits::Adapter,
                    "webgpu-default" => DeviceLimits::WebGpuDefault,
                    _ => return None,
                }
            }
            "f16" => {
                self.typed_f16 = match value {
                    "packed" => Some(false),
                    "typed" => Some(true),
                    _ => return None,
                }
            }
            "cache_dir" => self.cache_dir = CacheDir::parse(value),
            "warm_start" => {
                self.warm_start = match value {
                    "cpu" => Some(WarmStart::Cpu),
                    "wait" => Some(WarmStart::Wait),
                    _ => return None,
                }
            }
            "tune" => {
                self.tune = match value {
                    "off" => Tune::Off,
                    "cached" => Tune::Cached,
                    "now" => Tune::Now,
                    _ => return None,
                }
            }
            "sentinels" => self.sentinels = value.parse().ok()?,
            "time_steps" => self.time_steps = value.parse().ok()?,
            "max_delegated_partitions" => self.max_delegated_partitions = Some(value.parse().ok()?),
            "min_nodes_per_partition" => self.min_nodes_per_partition = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    /// Who answers while pipelines are compiled, with these options on this target.
    pub fn answers_first(&self) -> WarmStart {
        match self.warm_start {
            _ if cfg!(target_family = "wasm") => WarmStart::Wait,
            Some(choice) => choice,
            None if self.device == DeviceChoice::Auto => WarmStart::Cpu,
            None => WarmStart::Wait,
        }
    }

    /// Whether the lists allow a node on the GPU.
    ///
    /// # Errors
    /// [`Reason::Denied`] with the option's name.
    pub fn allows(&self, id: NodeId, node: &Node) -> Result<(), Reason> {
        let name = node.op.name();
        if !self.allow_ops.is_empty() && !self.allow_ops.contains(name) {
            return Err(Reason::Denied("allow_ops"));
        }
        if self.deny_ops.contains(name) {
            return Err(Reason::Denied("deny_ops"));
        }
        if self.deny_nodes.contains(&id.0) {
            return Err(Reason::Denied("deny_nodes"));
        }
        if self.gpu_nodes.as_ref().is_some_and(|range| !range.contains(&id.0)) {
            return Err(Reason::Denied("gpu_nodes"));
        }
        Ok(())
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_parsed() -> Result<(), Error> {
        let options =
            DelegateOptions::parse(["device=gpu", "validate=every:3", "gpu_nodes=2..5", "deny_ops=ADD, MUL"])?;
        assert_eq!(options.device, DeviceChoice::Gpu);
        assert_eq!(options.validate, Validate::Every(3));
        assert_eq!(options.gpu_nodes, Some(2..=5));
        assert_eq!(options.deny_ops.len(), 2);
        assert_eq!(options.tune, Tune::Off);
        for (value, tune) in [("off", Tune::Off), ("cached", Tune::Cached), ("now", Tune::Now)] {
            assert_eq!(DelegateOptions::parse([format!("tune={value}").as_str()])?.tune, tune);
        }
        Ok(())
    }

    #[test]
    fn the_cpu_answers_first_where_the_device_is_our_choice() -> Result<(), Error> {
        let first = |pairs: &[&str]| DelegateOptions::parse(pairs.iter().copied()).map(|o| o.answers_first());
        assert_eq!(first(&[])?, WarmStart::Cpu);
        assert_eq!(first(&["device=gpu"])?, WarmStart::Wait);
        assert_eq!(first(&["device=gpu", "warm_start=cpu"])?, WarmStart::Cpu);
        assert_eq!(first(&["device=auto", "warm_start=wait"])?, WarmStart::Wait);
        Ok(())
    }

    #[test]
    fn unknown_keys_and_values_are_named() {
        let text = |pairs: &[&str]| DelegateOptions::parse(pairs.iter().copied()).err().map(|e| e.to_string());
        assert!(text(&["colour=red"]).is_some_and(|t| t.contains("colour") && t.contains("precision")));
        assert!(text(&["precision=f64"]).is_some_and(|t| t.contains("f64") && t.contains("f16 or f32")));
        assert!(text(&["validate=every:0"]).is_some());
        assert!(text(&["device"]).is_some());
        assert!(text(&["tune=always"]).is_some_and(|t| t.contains("always") && t.contains("off, cached or now")));
    }
}
