//! Fast kernels: the same results as the plain ones in [`crate::kernels`], which judge them, from operands that are
//! packed once.
//!
//! A row's `prepare` looks at one node of a model and at its constants. What it returns is kept with the model, so that
//! all interpreters share it; what depends on shapes is made by `run` and kept per interpreter in [`Scratch`]. Where a
//! row refuses a node, or its kernel the shapes of a run, the plain kernel runs.

mod batch_matmul;
mod binary;
mod conv;
mod depthwise;
mod fully_connected;
mod int8;
mod matrix;
mod movement;
mod padded;
mod patches;
mod pool;
mod quads;
mod reduce;
mod softmax;
mod stored;
mod transpose;
mod transpose_conv;
mod unary;
mod workspace;

#[cfg(test)]
mod testing;

use std::any::Any;

use tflite_wgpu_model::{BuiltinOperator, DType, Data, Node, SubgraphId, Tensor, element_count};

use crate::{
    eval::{EvalCtx, EvalEnv, Hybrid, KernelError},
    kernels::support::float_weights,
    memory::Shared,
    model::Model,
};

pub(crate) use workspace::{Workspace, is_modest};

/// Which kernels of the CPU run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// Packed operands and vector instructions where there is such a kernel; floats may differ in rounding.
    #[default]
    Fast,
    /// The reference kernels, by which everything else is judged.
    Plain,
}

/// One operator's fast kernel.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// The operator.
    pub(crate) op: BuiltinOperator,
    /// Makes the kernel of one node; `None` where the plain kernel has to run.
    pub(crate) prepare: fn(&Prepare<'_>) -> Option<Box<dyn FastKernel>>,
}

/// All families' rows. Of several rows of an operator the first that accepts a node counts.
const FAMILIES: &[&[Row]] = &[
    batch_matmul::ROWS,
    binary::ROWS,
    conv::ROWS,
    depthwise::ROWS,
    fully_connected::ROWS,
    int8::ROWS,
    movement::ROWS,
    pool::ROWS,
    reduce::ROWS,
    softmax::ROWS,
    transpose::ROWS,
    transpose_conv::ROWS,
    unary::ROWS,
];

/// What is known of a node before it runs: all but shapes and values of computed tensors.
pub(crate) struct Prepare<'a> {
    pub(crate) model: &'a Model,
    pub(crate) subgraph: SubgraphId,
    pub(crate) node: &'a Node,
    /// All tensors of the subgraph.
    pub(crate) tensors: &'a [Tensor],
    /// What integer weights beside float activations mean.
    pub(crate) hybrid: Hybrid,
}

impl<'a> Prepare<'a> {
    /// The file's tensor of input `i`; `None` when it is omitted.
    pub(crate) fn input(&self, i: usize) -> Option<&'a Tensor> {
        self.tensors.get(self.node.input(i)?.index())
    }

    /// The file's tensor of output `i`.
    pub(crate) fn output(&self, i: usize) -> Option<&'a Tensor> {
        self.tensors.get(self.node.output(i)?.index())
    }

    /// The value of input `i`, if it is constant. It is not kept for others, so that a constant of which only the
    /// packed form is used takes no memory of its own. `None`, too, where its shape is not the file's, as that of a
    /// folded node's result may be.
    pub(crate) fn constant(&self, i: usize) -> Option<Shared> {
        let value = self.model.constant_once(self.subgraph, self.node.input(i)?).ok()??;
        (value.value().shape() == self.input(i)?.dims).then_some(value)
    }

    /// Whether input `i` is omitted.
    pub(crate) fn omitted(&self, i: usize) -> bool {
        self.node.input(i).is_none()
    }

    /// Calls `f` with the floats of input `i`, a constant in whatever type weights may have; `None` where TFLite's hybrid
    /// kernels have another meaning. Floats are read where they lie in the file if they are aligned there.
    pub(crate) fn with_floats<R>(&self, i: usize, f: impl FnOnce(&[f32]) -> R) -> Option<R> {
        let tensor = self.input(i)?;
        let count = element_count(&tensor.dims)?;
        if self.hybrid == Hybrid::Tflite && tensor.dtype != DType::Float32 {
            return None;
        }
        if tensor.dtype == DType::Float32
            && tensor.sparsity.is_none()
            && cfg!(target_endian = "little")
            && let Some(floats) = tensor.constant().and_then(|bytes| bytemuck::try_cast_slice::<u8, f32>(bytes).ok())
            && floats.len() == count
        {
            return Some(f(floats));
        }
        let value = self.constant(i)?;
        let mut inputs = vec![None; i + 1];
        let mut tensors = vec![None; i + 1];
        (inputs[i], tensors[i]) = (Some(value.value()), Some(tensor));
        let ctx = EvalCtx {
            node: self.node,
            inputs: &inputs,
            input_tensors: &tensors,
            outputs: &mut [],
            output_tensors: &[],
            states: &mut Vec::new(),
            memory: &mut Vec::new(),
            env: EvalEnv { tensors: self.tensors, ..EvalEnv::default() },
        };
        let floats = float_weights(&ctx, i).ok()?;
        (floats.len() == count).then(|| f(&floats))
    }

    /// The bias: `Some(None)` when it is omitted, `None` when it is not a constant of `len` floats.
    pub(crate) fn bias(&self, i: usize, len: usize) -> Option<Option<Vec<f32>>> {
        if self.node.input(i).is_none() {
            return Some(None);
        }
        let value = self.constant(i)?;
        let floats = value.value().as_slice::<f32>().ok().filter(|floats| floats.len() == len)?;
        Some(Some(floats.to_vec()))
    }
}

/// Whether a fast kernel has computed the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// Every element of every output is written.
    Done,
    /// Types or shapes do not suit it: the plain kernel has to run.
    Refused,
}

/// A node's kernel with what it has packed.
pub(crate) trait FastKernel: Send + Sync {
    /// Computes the outputs. They have the shapes of inference, but **elements left by an earlier use** instead of
    /// zeros: every one must be written.
    ///
    /// # Errors
    /// As the plain kernel. Where in doubt it refuses, and the plain kernel finds the error's words.
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError>;

    /// Type and shape of input `i`, if it is a constant that this kernel holds in a form of its own. The interpreter
    /// then does not decode it, and `run` finds `None` in its place.
    fn holds(&self, _input: usize) -> Option<(DType, &[usize])> {
        None
    }
}

/// What an interpreter lends to a fast kernel for one run.
pub(crate) struct Scratch<'a> {
    /// What the node's kernel has kept since its last run in this interpreter, such as tables for the shapes it met.
    pub(crate) kept: &'a mut Option<Box<dyn Any + Send>>,
    /// Working memory, which all nodes share.
    pub(crate) workspace: &'a mut Workspace,
}

impl<'a> Scratch<'a> {
    /// What was kept, if `fits` says that it still serves; else what `make` makes, kept for the next run. The workspace
    /// comes along, because both are usually needed.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn keep<T: Send + 'static>(
        &mut self,
        fits: impl FnOnce(&T) -> bool,
        make: impl FnOnce() -> Result<T, KernelError>,
    ) -> Result<(&mut T, &mut Workspace), KernelError> {
        let good = self.kept.as_ref().and_then(|kept| kept.downcast_ref()).is_some_and(fits);
        if !good {
            *self.kept = Some(Box::new(make()?));
        }
        let missing = || KernelError::MissingInput(0);
        let kept = self.kept.as_mut().and_then(|kept| kept.downcast_mut()).ok_or_else(missing)?;
        Ok((kept, self.workspace))
    }
}

/// The fast kernel of a node, if there is one.
pub(crate) fn prepare(model: &Model, subgraph: SubgraphId, node: &Node, hybrid: Hybrid) -> Option<Box<dyn FastKernel>> {
    prepare_from(FAMILIES, model, subgraph, node, hybrid)
}

fn prepare_from(
    families: &[&[Row]],
    model: &Model,
    subgraph: SubgraphId,
    node: &Node,
    hybrid: Hybrid,
) -> Option<Box<dyn FastKernel>> {
    let tensors = &model.program().graph(subgraph)?.tensors;
    // A kernel writes to variables in no other way than the plain one.
    let variable = |id: &Option<tflite_wgpu_model::TensorId>| {
        id.and_then(|id| tensors.get(id.index())).is_some_and(|tensor| tensor.data == Data::Variable)
    };
    if node.outputs.iter().any(variable) {
        return None;
    }
    let op = node.op.builtin();
    let given = Prepare { model, subgraph, node, tensors, hybrid };
    let rows = families.iter().flat_map(|rows| rows.iter()).filter(|row| row.op == op);
    rows.into_iter().find_map(|row| (row.prepare)(&given))
}

#[cfg(test)]
mod hostile_tests {
    use tflite_wgpu_model::{Conv2DOptions, GraphBuilder, ModelBuilder, Op};

    use super::*;
    use crate::Interpreter;

    #[test]
    fn a_folded_shape_that_is_not_the_files_leaves_the_plain_kernel() -> Result<(), Box<dyn std::error::Error>> {
        let mut graph = GraphBuilder::new();
        let x = graph.input("x", DType::Float32, &[1, 4, 4, 2]);
        let halves = graph.constant_f16("halves", &[2, 1, 1, 2], &[1.0, 0.0, 0.0, 1.0]);
        // The file says that half as many channels come out, in windows twice as wide.
        let weights = graph.op(Op::Dequantize, &[Some(halves)], &[("weights", DType::Float32, &[1, 1, 2, 2])]);
        let bias = graph.constant_f32("bias", &[2], &[1.0, 2.0]);
        let inputs = [Some(x), Some(weights), Some(bias)];
        let options = Op::Conv2d(Conv2DOptions { stride_w: 1, stride_h: 1, ..Conv2DOptions::default() });
        let y = graph.op(options, &inputs, &[("y", DType::Float32, &[1, 4, 4, 2])]);
        graph.output(y);
        let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
        let invoked = |kernels| -> Result<Vec<f32>, crate::Error> {
            let mut interpreter = Interpreter::builder(&model).kernels(kernels).build()?;
            interpreter.invoke()?;
            Ok(interpreter.output(0)?.as_slice::<f32>().map(<[f32]>::to_vec).unwrap_or_default())
        };
        assert_eq!(invoked(Kernels::Fast)?, invoked(Kernels::Plain)?);
        Ok(())
    }
}
