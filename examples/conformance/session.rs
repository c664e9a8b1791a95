//! One interpreter after the other, on the CPU or with a delegate on one device.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use tflite_wgpu::{DelegateOptions, GpuDelegate, Report, gpu::GpuDevice, options::DeviceChoice};
use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::{Bytes, Program};

use crate::golden::Res;

/// How cases are run.
pub struct Session {
    options: DelegateOptions,
    device: Option<Arc<GpuDevice>>,
}

/// A model ready to run.
pub struct Loaded {
    pub interpreter: Interpreter,
    pub report: Option<Arc<Mutex<Report>>>,
    pub nodes: usize,
    model: Model,
}

/// How a case ended.
pub struct Ending {
    pub status: &'static str,
    pub message: String,
    pub nodes: usize,
    pub delegated: usize,
}

impl Session {
    /// A session with these options; `device=gpu` opens a device, everything else is the CPU.
    pub fn open(options: DelegateOptions) -> Res<Self> {
        let device = match options.device {
            DeviceChoice::Gpu => GpuDelegate::new(options.clone())?.device().cloned(),
            _ => None,
        };
        Ok(Self { options, device })
    }

    /// A session on a device that others use too.
    #[allow(dead_code, reason = "tests that include this file use it")]
    pub fn with_device(device: Arc<GpuDevice>, options: DelegateOptions) -> Self {
        Self { options, device: Some(device) }
    }

    pub fn adapter(&self) -> String {
        self.device.as_ref().map_or_else(|| "cpu".to_owned(), |device| device.summary.name.clone())
    }

    /// Reads a model and makes an interpreter for it; inner tensors are kept when asked for.
    pub fn load(&self, bytes: Vec<u8>, keep: bool) -> Res<Loaded> {
        let model = Model::new(Program::read(Bytes::from(bytes))?)?;
        let nodes = model.program().subgraphs.iter().map(|graph| graph.nodes.len()).sum();
        let mut builder = Interpreter::builder(&model).threads(2).preserve_all_tensors(keep);
        let mut report = None;
        if let Some(device) = &self.device {
            let delegate = GpuDelegate::with_device(Arc::clone(device), self.options.clone());
            report = Some(delegate.report());
            builder = builder.delegate(Box::new(delegate));
        }
        Ok(Loaded { interpreter: builder.build()?, report, nodes, model })
    }

    /// Runs a case so that neither an error nor a panic ends the run.
    pub fn guard(&self, case: impl FnOnce() -> Res<(usize, usize)>) -> Ending {
        match catch_unwind(AssertUnwindSafe(case)) {
            Ok(Ok((nodes, delegated))) => Ending { status: "ran", message: String::new(), nodes, delegated },
            Ok(Err(error)) => {
                let message = error.to_string();
                Ending { status: "refused", message, nodes: 0, delegated: 0 }
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                let message = format!("panic: {}", text.unwrap_or_default());
                Ending { status: "error", message, nodes: 0, delegated: 0 }
            }
        }
    }
}

impl Loaded {
    /// Nodes of the file, and those that ran in the delegate.
    pub fn counts(&self) -> (usize, usize) {
        let Some(report) = &self.report else { return (self.nodes, 0) };
        let delegated: usize = match report.lock() {
            Ok(report) => {
                let lost = |i: usize| self.interpreter.fallbacks().iter().any(|f| f.partition.is_none_or(|p| p == i));
                let kept = report.partitions.iter().enumerate().filter(|(i, _)| !lost(*i));
                kept.map(|(_, partition)| partition.nodes.len()).sum()
            }
            Err(_) => 0,
        };
        (self.nodes, delegated)
    }

    /// Why partitions went back to the CPU.
    pub fn fallback_message(&self) -> String {
        self.interpreter.fallbacks().iter().map(|f| f.reason.to_string()).collect::<Vec<_>>().join("; ")
    }

    /// Why nodes ran on the CPU: partitions that went back there, else operators and reasons of nodes that nobody
    /// claimed.
    pub fn cpu_message(&self) -> String {
        let message = self.fallback_message();
        let Some(report) = self.report.as_ref().filter(|_| message.is_empty()) else { return message };
        let Ok(report) = report.lock() else { return message };
        let mut reasons = BTreeSet::new();
        for subgraph in &report.subgraphs {
            let nodes = self.model.program().graph(subgraph.subgraph).map_or(&[][..], |graph| &graph.nodes);
            for (id, reason) in &subgraph.reasons {
                let op = nodes.get(id.index()).map_or("", |node| node.op.name());
                reasons.insert(format!("{op}: {reason}"));
            }
        }
        reasons.into_iter().collect::<Vec<_>>().join("; ")
    }

    /// One invoke, through a signature if `key` is given; gives the outputs.
    pub fn invoke(&mut self, key: Option<&str>, resize: &[(usize, Vec<usize>)], inputs: Vec<Value>) -> Res<Vec<Value>> {
        match key {
            Some(key) => {
                let mut runner = self.interpreter.signature_runner(key)?;
                let names = |list: Vec<tflite_wgpu_fallback::TensorInfo<'_>>| -> Vec<String> {
                    list.iter().map(|info| info.name.clone().into_owned()).collect()
                };
                let (ins, outs) = (names(runner.inputs()), names(runner.outputs()));
                for (i, dims) in resize {
                    runner.resize_input(ins.get(*i).ok_or("no such input")?, dims)?;
                }
                runner.allocate_tensors()?;
                for (name, value) in ins.iter().zip(inputs) {
                    runner.set_input(name, value)?;
                }
                runner.invoke()?;
                outs.iter().map(|name| Ok(runner.output(name)?.clone())).collect()
            }
            None => {
                for (i, dims) in resize {
                    self.interpreter.resize_input(*i, dims)?;
                }
                self.interpreter.allocate_tensors()?;
                for (i, value) in inputs.into_iter().enumerate() {
                    self.interpreter.set_input(i, value)?;
                }
                self.interpreter.invoke()?;
                let count = self.interpreter.outputs().len();
                (0..count).map(|i| Ok(self.interpreter.output(i)?.clone())).collect()
            }
        }
    }
}
