//! Subgraphs that an operator applies to scalars.

use tflite_wgpu_model::{DType, Graph, SubgraphId};

use crate::kernels::support::refuse;
use crate::kernels::{EvalCtx, KernelError};
use crate::routine::Routine;
use crate::value::Value;

/// One region of a node.
pub(super) struct Region<'a> {
    routine: Routine<'a>,
    results: usize,
}

impl<'a> Region<'a> {
    /// Region `index` of the program, which takes `inputs` scalars and gives `results`.
    pub fn new(ctx: &EvalCtx<'a>, index: i32, inputs: usize, results: usize) -> Result<Self, KernelError> {
        let program = ctx.env.program.ok_or_else(|| refuse("the program", "missing", "the one around the node"))?;
        let id = u32::try_from(index).map(SubgraphId);
        let id = id.map_err(|_| refuse("a region", index, "the number of a subgraph"))?;
        let routine = Routine::new(program, id).map_err(|error| refuse("the region", error, "one that runs"))?;
        let Graph { inputs: found, outputs, .. } = routine.graph();
        if found.len() != inputs {
            return Err(refuse("inputs of the region", found.len(), inputs.to_string()));
        }
        if outputs.len() != results {
            return Err(refuse("results of the region", outputs.len(), format!("{results} scalars")));
        }
        Ok(Self { routine, results })
    }

    /// The subgraph.
    pub fn graph(&self) -> &'a Graph {
        self.routine.graph()
    }

    /// Makes element `at` of a value the region's input `i`.
    pub fn give(&mut self, i: usize, value: &Value, at: usize) -> Result<(), KernelError> {
        let size = element_size(value.dtype())?;
        let bytes = value.bytes().get(at * size..(at + 1) * size);
        let bytes = bytes.ok_or_else(|| refuse("an element", at, format!("one of {}", value.len())))?;
        let Some(input) = self.routine.input_mut(i) else {
            return Err(refuse("an input of the region", i, "one that it has"));
        };
        if input.dtype() != value.dtype() || !input.shape().is_empty() {
            *input = Value::zeros(value.dtype(), &[]).map_err(|error| KernelError::Input { input: 0, error })?;
        }
        input.bytes_mut().copy_from_slice(bytes);
        Ok(())
    }

    /// Runs the region on what it was given.
    pub fn run(&mut self) -> Result<(), KernelError> {
        self.routine.run().map_err(|error| refuse("the region", error, "one that runs on scalars"))?;
        for i in 0..self.results {
            let elements = self.result(i)?.len();
            if elements != 1 {
                return Err(refuse(format!("elements of the region's result {i}"), elements, "1"));
            }
        }
        Ok(())
    }

    /// Result `i` of the last run, a scalar.
    pub fn result(&self, i: usize) -> Result<&Value, KernelError> {
        self.routine.output(i).map_err(|error| refuse("the region", error, "one that has results"))
    }
}

fn element_size(dtype: DType) -> Result<usize, KernelError> {
    dtype.size().ok_or_else(|| refuse("type of an element", dtype, "a number or BOOL"))
}

/// Element `at` of a value as a scalar.
pub(super) fn scalar(value: &Value, at: usize) -> Result<Value, KernelError> {
    let size = element_size(value.dtype())?;
    let bytes = value.bytes().get(at * size..(at + 1) * size).unwrap_or_default();
    Value::from_bytes(value.dtype(), &[], bytes).map_err(|error| KernelError::Input { input: 0, error })
}

/// Makes a scalar element `at` of a value.
pub(super) fn put(value: &mut Value, at: usize, scalar: &Value) -> Result<(), KernelError> {
    if scalar.dtype() != value.dtype() {
        return Err(refuse("type of the region's result", scalar.dtype(), value.dtype().to_string()));
    }
    let size = scalar.bytes().len();
    match value.bytes_mut().get_mut(at * size..(at + 1) * size) {
        Some(bytes) => bytes.copy_from_slice(scalar.bytes()),
        None => return Err(refuse("a place in the output", at, "one inside")),
    }
    Ok(())
}
