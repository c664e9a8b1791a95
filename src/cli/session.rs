//! What a command needs to run models: options, the device, models with their interpreters.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tflite_wgpu::{
    DelegateOptions, GpuDelegate, Interpreter, InterpreterBuilder, Model, Report, Warmth,
    gpu::GpuDevice,
    model::Program,
    options::{DeviceChoice, Precision, WarmStart},
};

use super::{
    failure::{InFile, Res},
    options::RunOptions,
};

/// The device of this process and what runs on it.
pub struct Session {
    pub options: DelegateOptions,
    run: RunOptions,
    pub device: Option<Arc<GpuDevice>>,
}

/// An interpreter, and what its delegate says.
pub struct Loaded {
    pub interpreter: Interpreter,
    report: Option<Arc<Mutex<Report>>>,
    warmth: Option<Warmth>,
}

impl Session {
    /// Opens the device that the options ask for, or that `device` asks for if they do not say.
    pub fn open(run: &RunOptions, device: DeviceChoice) -> Res<Self> {
        let mut options = run.delegate(device);
        // A command is about what it asks for, unless it asks for the first answer.
        options.warm_start = options.warm_start.or(Some(WarmStart::Wait));
        // It says so, once, when everything runs on the CPU for want of an adapter.
        let device = GpuDelegate::new(options.clone())?.device().cloned();
        Ok(Self { options, run: run.clone(), device })
    }

    /// An interpreter of a model on this session's device.
    pub fn load(&self, model: &Model) -> Res<Loaded> {
        self.load_with(model, &self.options)
    }

    /// As [`Session::load`], with other options.
    pub fn load_with(&self, model: &Model, options: &DelegateOptions) -> Res<Loaded> {
        let mut builder = self.configure(Interpreter::builder(model));
        let (mut report, mut warmth) = (None, None);
        if let Some(device) = &self.device {
            let delegate = GpuDelegate::with_device(Arc::clone(device), options.clone());
            (report, warmth) = (Some(delegate.report()), Some(delegate.warmth()));
            builder = builder.delegate(Box::new(delegate));
        }
        Ok(Loaded { interpreter: builder.build()?, report, warmth })
    }

    /// An interpreter's builder with threads and memory limit.
    pub fn configure(&self, builder: InterpreterBuilder) -> InterpreterBuilder {
        self.run.configure(builder)
    }

    /// Bytes that tensors may take.
    pub fn memory_limit(&self) -> usize {
        self.run.memory_limit()
    }

    /// The precision in the option's words.
    pub fn precision(&self) -> &'static str {
        match self.options.precision {
            Precision::Auto => "auto",
            Precision::F16 => "f16",
            Precision::F32 => "f32",
        }
    }
}

impl Loaded {
    /// What the delegate has claimed and planned so far; nothing without one.
    pub fn report(&self) -> Report {
        let report = self.report.as_ref().map(|report| report.lock().unwrap_or_else(PoisonError::into_inner).clone());
        report.unwrap_or_default()
    }

    /// Whether all that goes to the device is ready there.
    pub fn is_ready(&self) -> bool {
        self.warmth.as_ref().is_none_or(Warmth::is_ready)
    }

    /// Partitions that the CPU has run although they were claimed.
    pub fn fallbacks(&self) -> Vec<String> {
        let fallbacks = self.interpreter.fallbacks().iter();
        fallbacks
            .map(|fallback| match fallback.partition {
                Some(partition) => format!("partition {partition}: {}", fallback.reason),
                None => fallback.reason.to_string(),
            })
            .collect()
    }

    /// Nodes of the file that ran on the GPU.
    pub fn gpu_nodes(&self) -> usize {
        let lost = |i: usize| self.interpreter.fallbacks().iter().any(|f| f.partition.is_none_or(|p| p == i));
        let report = self.report();
        let kept = report.partitions.iter().enumerate().filter(|(i, p)| !lost(*i) && p.failure.is_none() && !p.warming);
        kept.map(|(_, partition)| partition.nodes.len()).sum()
    }

    /// Nodes of the file.
    pub fn node_count(&self) -> usize {
        node_count(self.interpreter.model().program())
    }
}

/// Nodes of all subgraphs.
pub fn node_count(program: &Program) -> usize {
    program.subgraphs.iter().map(|graph| graph.nodes.len()).sum()
}

/// Opens a model; an error names the file.
pub fn open_model(path: &Path) -> Res<Model> {
    Model::open(path).in_file(path)
}
