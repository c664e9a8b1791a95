//! Any bytes as a `.tflite` file: read, build, allocate, invoke on zeros and on values that follow from the bytes, through
//! the first subgraph and through every signature, within small limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tflite_wgpu_fallback::{Error, Interpreter, Kernels, Model, kernels::Hybrid};
use tflite_wgpu_model::DType;

/// Bytes that tensors may take.
const MEMORY_LIMIT_BYTES: usize = 1 << 20;
/// Rounds of a loop.
const MAX_LOOP_ITERATIONS: u64 = 6;

fuzz_target!(|data: &[u8]| {
    let Ok(model) = Model::read(data.to_vec()) else { return };
    let hybrid = if data.len() & 1 == 0 { Hybrid::Tflite } else { Hybrid::default() };
    let kernels = if data.len() & 2 == 0 { Kernels::Fast } else { Kernels::Plain };
    let builder = Interpreter::builder(&model).memory_limit_bytes(MEMORY_LIMIT_BYTES).threads(1).hybrid(hybrid);
    let builder = builder.kernels(kernels);
    let Ok(mut interpreter) = builder.max_loop_iterations(MAX_LOOP_ITERATIONS).build() else { return };
    for result in [run(&mut interpreter, data), signatures(&mut interpreter)] {
        if let Err(error) = result {
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
        }
    }
});

fn run(interpreter: &mut Interpreter, data: &[u8]) -> Result<(), Error> {
    interpreter.allocate_tensors()?;
    interpreter.invoke()?;
    // The end of the bytes, as numbers for shapes, axes and indices.
    let tail = data.get(data.len().saturating_sub(24)..).unwrap_or_default();
    for i in 0..interpreter.inputs().len() {
        let value = interpreter.input_mut(i)?;
        if value.dtype() != DType::String {
            value.bytes_mut().iter_mut().zip(tail.iter().cycle()).for_each(|(to, from)| *to = *from);
        }
    }
    interpreter.invoke()?;
    for i in 0..interpreter.outputs().len() {
        interpreter.output(i)?;
    }
    Ok(())
}

fn signatures(interpreter: &mut Interpreter) -> Result<(), Error> {
    let keys: Vec<String> = interpreter.signature_keys().into_iter().map(str::to_owned).collect();
    for key in keys {
        let mut runner = interpreter.signature_runner(&key)?;
        runner.allocate_tensors()?;
        runner.invoke()?;
    }
    Ok(())
}
