//! Running a model within small limits.

use tflite_wgpu_fallback::{Error, Interpreter, Kernels, Model, Value, kernels::Hybrid};

/// Bytes that tensors may take.
const MEMORY_LIMIT_BYTES: usize = 4 << 20;
/// Rounds of a loop.
const MAX_LOOP_ITERATIONS: u64 = 12;

/// A conformance case without its results.
pub struct Case {
    /// Pack and name.
    pub name: String,
    /// The model's file.
    pub bytes: Vec<u8>,
    /// The first invokes.
    pub steps: Vec<Step>,
    /// Whether TFLite's hybrid arithmetic is worth a run of its own.
    pub hybrid: bool,
}

/// One invoke.
pub struct Step {
    /// Key of the signature it goes through.
    pub signature: Option<String>,
    /// Values of the inputs.
    pub inputs: Vec<Value>,
}

/// Builds with one kind of kernels, allocates, invokes on zeros and then with each step's inputs, of which `replaced` is
/// another. The first error
/// of the last invoke is the answer; errors on the way do not keep what follows from being tried.
///
/// # Errors
/// When the model is refused or does not run.
pub fn run(model: &Model, case: &Case, replaced: Option<(usize, &Value)>, kernels: Kernels) -> Result<(), Error> {
    let builder = || {
        let builder = Interpreter::builder(model).memory_limit_bytes(MEMORY_LIMIT_BYTES).threads(1);
        builder.max_loop_iterations(MAX_LOOP_ITERATIONS).kernels(kernels)
    };
    run_on(builder().build()?, case, replaced)?;
    if case.hybrid { run_on(builder().hybrid(Hybrid::Tflite).build()?, case, replaced) } else { Ok(()) }
}

fn run_on(mut interpreter: Interpreter, case: &Case, replaced: Option<(usize, &Value)>) -> Result<(), Error> {
    let mut result = interpreter.allocate_tensors();
    if replaced.is_none() {
        result = result.and_then(|()| interpreter.invoke());
    }
    for step in &case.steps {
        result = invoke(&mut interpreter, step, replaced);
    }
    result
}

fn invoke(interpreter: &mut Interpreter, step: &Step, replaced: Option<(usize, &Value)>) -> Result<(), Error> {
    let input =
        |i: usize| replaced.filter(|(at, _)| *at == i).map_or_else(|| &step.inputs[i], |(_, value)| value).clone();
    let Some(key) = &step.signature else {
        for i in 0..step.inputs.len() {
            interpreter.set_input(i, input(i))?;
        }
        interpreter.invoke()?;
        for i in 0..interpreter.outputs().len() {
            interpreter.output(i)?;
        }
        return Ok(());
    };
    let mut runner = interpreter.signature_runner(key)?;
    let names: Vec<String> = runner.inputs().into_iter().map(|info| info.name.into_owned()).collect();
    for (i, name) in names.iter().enumerate().take(step.inputs.len()) {
        runner.set_input(name, input(i))?;
    }
    runner.invoke()?;
    let names: Vec<String> = runner.outputs().into_iter().map(|info| info.name.into_owned()).collect();
    names.iter().try_for_each(|name| runner.output(name).map(drop))
}
