//! Verification: the production plan against the reference, end to end and step by step.
//!
//! The reference is always the plain kernels on the file's own nodes. Each partition's plan then runs twice more on the
//! device, step by step: chained (only its inputs are reference values) and isolated (every step reads reference
//! values), so that a wrong step is told apart from one that inherits an error.

use std::sync::{Arc, PoisonError, Weak};

use tflite_wgpu_fallback::{Interpreter, InterpreterBuilder, Kernels, Model, TensorInfo, Value};
use tflite_wgpu_model::{ModelKind, NodeId, Quant, SubgraphId, TensorId};

use crate::{
    compare::{self, Figures, Mismatch, Tolerance},
    delegate::{GpuDelegate, Report},
    error::Error,
    gpu::{Executable, Feed, GpuDevice},
    options::{DelegateOptions, OnDeviceLost, Precision},
};

/// What is invoked: inputs in the model's order, or in that of the signature. Their shapes count as resizes.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Key of the signature; none for the first subgraph.
    pub signature: Option<&'a str>,
    /// One value for each input.
    pub inputs: &'a [Value],
}

/// A comparison with the reference.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was found.
    pub outcome: Result<Figures, Mismatch>,
    /// The reference and the result, where they do not match.
    pub pair: Option<Box<(Value, Value)>>,
}

impl Check {
    fn of(reference: &Value, found: &Value, quant: Option<&Quant>, tolerance: &Tolerance) -> Self {
        // There is nothing wrong with a tensor that has no elements in both.
        let empty = reference.is_empty() && reference.shape() == found.shape() && reference.dtype() == found.dtype();
        let quant = quant.and_then(Quant::per_tensor);
        let outcome = match compare::compare_quantised(reference, found, quant, tolerance) {
            Err(Mismatch::Empty) if empty => Ok(Figures::default()),
            // All that the reference has is beyond the largest half: that is what the GPU must have.
            Err(Mismatch::Empty) if tolerance.half_range => {
                compare::compare(&clamped(reference), found, &Tolerance { half_range: false, ..*tolerance })
            }
            other => other,
        };
        let pair = outcome.is_err().then(|| Box::new((reference.clone(), found.clone())));
        Self { outcome, pair }
    }

    /// Whether it matches.
    pub fn passed(&self) -> bool {
        self.outcome.is_ok()
    }

    /// The figures, where both could be compared element by element.
    pub fn figures(&self) -> Option<&Figures> {
        match &self.outcome {
            Ok(figures) | Err(Mismatch::Error(figures) | Mismatch::Cosine(figures) | Mismatch::Length(figures)) => {
                Some(figures)
            }
            Err(_) => None,
        }
    }
}

/// Values as f16 stores them at most.
fn clamped(value: &Value) -> Value {
    let mut value = value.clone();
    if let Ok(floats) = value.as_mut_slice::<f32>() {
        floats.iter_mut().for_each(|v| *v = v.clamp(-65504.0, 65504.0));
    }
    value
}

/// An output of the model.
#[derive(Clone, Debug)]
pub struct OutputCheck {
    /// Its name.
    pub name: String,
    /// End to end.
    pub check: Check,
}

/// A step of a partition's plan and a tensor of the file that it has written.
#[derive(Clone, Debug)]
pub struct StepCheck {
    /// The subgraph.
    pub subgraph: SubgraphId,
    /// Position of the partition.
    pub partition: usize,
    /// Position of the step in its plan.
    pub step: usize,
    /// Its kernel.
    pub kernel: &'static str,
    /// The file's nodes that it stands for, with their operators; none for one that moves data across the border.
    pub nodes: Vec<(NodeId, String)>,
    /// The tensor.
    pub tensor: TensorId,
    /// The tensor's name.
    pub name: String,
    /// With what earlier steps have written.
    pub chained: Check,
    /// With reference values.
    pub isolated: Check,
}

/// What a verification has found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// The model's outputs.
    pub outputs: Vec<OutputCheck>,
    /// Steps, by partition and position.
    pub steps: Vec<StepCheck>,
    /// What the delegate has claimed and planned.
    pub report: Report,
    /// Partitions that the CPU has run although they were claimed, with the reasons.
    pub fallbacks: Vec<String>,
    /// Partitions whose steps were not checked, with the reasons.
    pub unchecked: Vec<String>,
}

impl Verification {
    /// Whether a node of the file ran on the GPU, so that something was compared at all.
    pub fn compared(&self) -> bool {
        self.report.gpu_nodes() > 0 && !self.outputs.is_empty()
    }

    /// Whether every output, and every step by itself, matches.
    pub fn passed(&self) -> bool {
        self.outputs.iter().all(|output| output.check.passed()) && self.steps.iter().all(|step| step.isolated.passed())
    }

    /// The first step that is off by itself, else the first that is off after others.
    pub fn first_off(&self) -> Option<&StepCheck> {
        let isolated = self.steps.iter().find(|step| !step.isolated.passed());
        isolated.or_else(|| self.steps.iter().find(|step| !step.chained.passed()))
    }
}

/// The tolerance of whole models. The reference quantises the activations of hybrid (dynamic-range) models on the way,
/// as TFLite's kernels do; the GPU does not.
pub fn tolerance(precision: Precision, hybrid: bool) -> Tolerance {
    match precision {
        Precision::F32 if hybrid => compare::HYBRID,
        Precision::F32 => compare::F32,
        Precision::Auto | Precision::F16 => compare::F16,
    }
}

/// The tolerance of single steps.
pub fn step_tolerance(precision: Precision, hybrid: bool) -> Tolerance {
    match precision {
        Precision::Auto | Precision::F16 if !hybrid => compare::F16_OPERATOR,
        _ => tolerance(precision, hybrid),
    }
}

/// Invokes and gives the outputs with their names.
///
/// # Errors
/// When the signature or an input does not exist, and those of an invoke.
pub fn invoke(interpreter: &mut Interpreter, call: &Call<'_>) -> Result<Vec<(String, Value)>, Error> {
    let Some(key) = call.signature else {
        for (i, value) in call.inputs.iter().enumerate() {
            interpreter.set_input(i, value.clone())?;
        }
        interpreter.allocate_tensors()?;
        interpreter.invoke()?;
        let names: Vec<String> = interpreter.outputs().iter().map(|info| info.name.clone().into_owned()).collect();
        let outputs = names.into_iter().enumerate();
        return outputs.map(|(i, name)| Ok((name, interpreter.output(i)?.clone()))).collect();
    };
    let mut runner = interpreter.signature_runner(key)?;
    let names: Vec<String> = runner.inputs().iter().map(|info| info.name.clone().into_owned()).collect();
    for (name, value) in names.iter().zip(call.inputs) {
        runner.set_input(name, value.clone())?;
    }
    runner.allocate_tensors()?;
    runner.invoke()?;
    let names: Vec<String> = runner.outputs().iter().map(|info| info.name.clone().into_owned()).collect();
    names.into_iter().map(|name| Ok((name.clone(), runner.output(&name)?.clone()))).collect()
}

/// Quantisation of the outputs, in the order of [`invoke`].
fn output_quants(interpreter: &mut Interpreter, call: &Call<'_>) -> Result<Vec<Option<Quant>>, Error> {
    let quants = |infos: Vec<TensorInfo<'_>>| infos.into_iter().map(|info| info.quant.cloned()).collect();
    Ok(match call.signature {
        Some(key) => quants(interpreter.signature_runner(key)?.outputs()),
        None => quants(interpreter.outputs()),
    })
}

/// Runs a call on both sides and compares the outputs, then every step of the plans. `configure`
/// completes both interpreters' builders; `done` is told how many steps of how many are checked.
///
/// # Errors
/// When the model cannot run on the CPU, or the device fails. A result that is wrong is no error.
pub fn verify(
    model: &Model,
    device: &Arc<GpuDevice>,
    options: &DelegateOptions,
    configure: impl Fn(InterpreterBuilder) -> InterpreterBuilder,
    call: &Call<'_>,
    mut done: impl FnMut(usize, usize),
) -> Result<Verification, Error> {
    let builder = || configure(Interpreter::builder(model));
    let mut reference = builder().kernels(Kernels::Plain).preserve_all_tensors(true).build()?;
    let expected = invoke(&mut reference, call)?;
    // A device that fails must not pass because the CPU has taken over.
    let own = DelegateOptions { on_device_lost: OnDeviceLost::Error, ..options.clone() };
    let delegate = GpuDelegate::with_device(Arc::clone(device), own);
    let (report, executables) = (delegate.report(), delegate.executables());
    let mut production = builder().delegate(Box::new(delegate)).build()?;
    let found = invoke(&mut production, call)?;
    let hybrid = model.program().kind() == ModelKind::DynamicRange;
    let whole = tolerance(options.precision, hybrid);
    let quants = output_quants(&mut production, call)?;
    let outputs = expected.into_iter().zip(&found).zip(quants).map(|(((name, a), (_, b)), quant)| {
        let check = Check::of(&a, b, quant.as_ref(), &whole);
        OutputCheck { name, check }
    });
    let outputs = outputs.collect();
    let report = report.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let fallbacks = production.fallbacks().iter().map(|fallback| match fallback.partition {
        Some(partition) => format!("partition {partition}: {}", fallback.reason),
        None => fallback.reason.to_string(),
    });
    let fallbacks = fallbacks.collect();
    let mut verification = Verification { outputs, report, fallbacks, ..Verification::default() };
    let executables = executables.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let executables: Vec<_> = executables.iter().map(Weak::upgrade).collect();
    let total = executables.iter().flatten().map(|executable| executable.plan().steps.len()).sum();
    let mut before = 0;
    for (partition, executable) in executables.iter().enumerate() {
        let Some(executable) = executable else { continue };
        let tracer = Tracer { model, reference: &reference, production: &production, partition, executable };
        tracer.check((&whole, &step_tolerance(options.precision, hybrid)), &mut verification, |steps| {
            done(before + steps, total)
        })?;
        before += executable.plan().steps.len();
    }
    Ok(verification)
}

/// One partition's plan beside the reference.
struct Tracer<'a> {
    model: &'a Model,
    reference: &'a Interpreter,
    production: &'a Interpreter,
    partition: usize,
    executable: &'a Arc<Executable>,
}

impl Tracer<'_> {
    fn check(
        &self,
        (whole, single): (&Tolerance, &Tolerance),
        verification: &mut Verification,
        mut done: impl FnMut(usize),
    ) -> Result<(), Error> {
        let Some(partition) = self.production.partitions().get(self.partition) else { return Ok(()) };
        let subgraph = partition.subgraph;
        let value = |id: TensorId| self.reference.tensor_of(subgraph, id);
        let Some(graph) = self.model.program().graph(subgraph) else { return Ok(()) };
        let name = |id: TensorId| graph.tensors.get(id.index()).map(|tensor| tensor.name.clone()).unwrap_or_default();
        if let Some(&id) = partition.inputs.iter().find(|&&id| value(id).is_none()) {
            let why = format!("the reference keeps no value of its input {:?}", name(id));
            verification.unchecked.push(format!("partition {}: {why}", self.partition));
            return Ok(());
        }
        let quant = |id: TensorId| graph.tensors.get(id.index()).and_then(|tensor| tensor.quant.as_ref());
        let mut chained = Vec::new();
        let file = |id: TensorId| value(id).filter(|_| id.index() < graph.tensors.len());
        let trace = self.executable.trace(Feed::Chained, file, |written| {
            if let Some(reference) = file(written.tensor) {
                chained.push((
                    written.step,
                    written.tensor,
                    Check::of(reference, &written.value, quant(written.tensor), whole),
                ));
            }
        });
        pollster::block_on(trace)?;
        let mut chained = chained.into_iter();
        let trace = self.executable.trace(Feed::Isolated, file, |written| {
            done(written.step + 1);
            let (Some(reference), Some((step, tensor, chained))) = (file(written.tensor), chained.next()) else {
                return;
            };
            let Some(planned) = self.executable.plan().steps.get(step) else { return };
            let op = |id: &NodeId| graph.nodes.get(id.index()).map(|n| n.op.name().to_owned()).unwrap_or_default();
            verification.steps.push(StepCheck {
                subgraph,
                partition: self.partition,
                step,
                kernel: planned.kernel,
                nodes: planned.nodes.iter().map(|id| (*id, op(id))).collect(),
                tensor,
                name: name(tensor),
                chained,
                isolated: Check::of(reference, &written.value, quant(tensor), single),
            });
        });
        pollster::block_on(trace)
    }
}
