//! Subgraphs that an operator applies to scalars.

use tflite_wgpu_model::{Program, SubgraphId};

use crate::kernels::support::refuse;
use crate::kernels::{EvalCtx, KernelError};
use crate::node::run_subgraph;
use crate::value::Value;

/// One region of a node.
pub(super) struct Region<'a> {
    program: &'a Program,
    id: SubgraphId,
}

impl<'a> Region<'a> {
    /// Region `index` of the program.
    pub fn new(ctx: &EvalCtx<'a>, index: i32) -> Result<Self, KernelError> {
        let program = ctx.env.program.ok_or_else(|| refuse("the program", "missing", "the one around the node"))?;
        let id = u32::try_from(index).map(SubgraphId);
        let id = id.map_err(|_| refuse("a region", index, "the number of a subgraph"))?;
        Ok(Self { program, id })
    }

    /// The region's results, `results` scalars.
    pub fn apply(&self, scalars: &[&Value], results: usize) -> Result<Vec<Value>, KernelError> {
        let inputs = self.program.graph(self.id).map_or(0, |graph| graph.inputs.len());
        if inputs != scalars.len() {
            return Err(refuse("inputs of the region", inputs, scalars.len().to_string()));
        }
        let found = run_subgraph(self.program, self.id, scalars);
        let found = found.map_err(|error| refuse("the region", error, "one that runs on scalars"))?;
        if found.len() != results || found.iter().any(|value| value.len() != 1) {
            return Err(refuse("results of the region", found.len(), format!("{results} scalars")));
        }
        Ok(found)
    }
}

/// Element `at` of a value as a scalar.
pub(super) fn scalar(value: &Value, at: usize) -> Result<Value, KernelError> {
    let size = value.dtype().size().ok_or_else(|| refuse("type of an element", value.dtype(), "a number or BOOL"))?;
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
