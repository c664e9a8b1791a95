//! Running one invoke of a case.

use tflite_wgpu_fallback::{Error, Interpreter, Value};

/// Why a case did not pass.
pub enum Stop {
    /// An operator without a kernel.
    Unsupported(String),
    /// An error, or a result that is not the expected one.
    Failed(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::NoKernel { .. } => Self::Unsupported(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The outputs for these inputs, of the signature `key` or of the first subgraph.
pub fn invoke(interpreter: &mut Interpreter, key: Option<&str>, inputs: Vec<Value>) -> Result<Vec<Value>, Stop> {
    let Some(key) = key else {
        expect_count(interpreter.inputs().len(), inputs.len())?;
        for (i, value) in inputs.into_iter().enumerate() {
            interpreter.set_input(i, value)?;
        }
        interpreter.invoke()?;
        let outputs = 0..interpreter.outputs().len();
        return Ok(outputs.map(|i| interpreter.output(i).cloned()).collect::<Result<_, _>>()?);
    };
    let mut runner = interpreter.signature_runner(key)?;
    let names = |infos: Vec<tflite_wgpu_fallback::TensorInfo<'_>>| -> Vec<String> {
        infos.into_iter().map(|info| info.name.into_owned()).collect()
    };
    let (input_names, output_names) = (names(runner.inputs()), names(runner.outputs()));
    expect_count(input_names.len(), inputs.len())?;
    for (name, value) in input_names.iter().zip(inputs) {
        runner.set_input(name, value)?;
    }
    runner.invoke()?;
    Ok(output_names.iter().map(|name| runner.output(name).cloned()).collect::<Result<_, _>>()?)
}

fn expect_count(expected: usize, found: usize) -> Result<(), Stop> {
    if found == expected { Ok(()) } else { Err(Stop::Failed(format!("{found} inputs, expected {expected}"))) }
}
