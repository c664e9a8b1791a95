//! Custom operators that the user of the crate brings.

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

use tflite_wgpu_model::{DType, Node, Op};

use crate::eval::{EvalCtx, KernelError};

/// A kernel that the user of the crate brings for a custom operator; without [`CustomOperator::with_shapes`] it shapes
/// its outputs itself.
pub type CustomKernel = Arc<dyn Fn(&mut EvalCtx<'_>) -> Result<(), KernelError> + Send + Sync>;

/// Shapes of a custom operator's outputs, from what is known of its inputs.
type Shapes = Arc<dyn Fn(&CustomNode<'_>) -> Result<Vec<Vec<usize>>, KernelError> + Send + Sync>;

/// All custom operators of a model, by name.
pub type CustomOperators = Arc<BTreeMap<String, CustomOperator>>;

/// A custom operator: what it computes, the shapes of its outputs, and what a delegate needs to run it.
#[derive(Clone)]
pub struct CustomOperator {
    eval: CustomKernel,
    shapes: Option<Shapes>,
    device: Option<Arc<dyn Any + Send + Sync>>,
}

/// A node of a custom operator with the shapes of its inputs.
#[derive(Debug)]
pub struct CustomNode<'a> {
    /// The node.
    pub node: &'a Node,
    /// Type and shape of each input; `None` where it is omitted.
    pub inputs: Vec<Option<(DType, &'a [usize])>>,
}

impl CustomNode<'_> {
    /// The operator's options as the file has them.
    pub fn options(&self) -> &[u8] {
        match &self.node.op {
            Op::Custom { options, .. } => options,
            _ => &[],
        }
    }

    /// Shape of input `i`.
    ///
    /// # Errors
    /// [`KernelError::MissingInput`] when it is omitted.
    pub fn shape(&self, i: usize) -> Result<&[usize], KernelError> {
        let input = self.inputs.get(i).copied().flatten();
        input.map(|(_, shape)| shape).ok_or(KernelError::MissingInput(i))
    }
}

impl CustomOperator {
    /// An operator that runs on the CPU. `eval` writes the outputs; it is the reference that a device is judged by.
    pub fn new(eval: impl Fn(&mut EvalCtx<'_>) -> Result<(), KernelError> + Send + Sync + 'static) -> Self {
        Self { eval: Arc::new(eval), shapes: None, device: None }
    }

    /// Says what shapes the outputs have. Then they are shaped before `eval` runs and known before the model runs, which
    /// a device needs.
    pub fn with_shapes(
        mut self,
        shapes: impl Fn(&CustomNode<'_>) -> Result<Vec<Vec<usize>>, KernelError> + Send + Sync + 'static,
    ) -> Self {
        self.shapes = Some(Arc::new(shapes));
        self
    }

    /// What a delegate needs to run the operator; only that delegate knows the type.
    pub fn with_device_kernel(mut self, kernel: Arc<dyn Any + Send + Sync>) -> Self {
        self.device = Some(kernel);
        self
    }

    /// What a delegate needs to run the operator, if it is of its type.
    pub fn device_kernel<T: Any>(&self) -> Option<&T> {
        self.device.as_ref()?.downcast_ref()
    }

    /// Shapes of the outputs; `None` when the operator shapes them itself.
    ///
    /// # Errors
    /// The operator's own.
    pub fn shapes(&self, node: &CustomNode<'_>) -> Option<Result<Vec<Vec<usize>>, KernelError>> {
        self.shapes.as_ref().map(|shapes| shapes(node))
    }

    /// Shapes the outputs and computes them.
    pub(crate) fn run(&self, ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let inputs = ctx.inputs.iter().map(|value| value.map(|value| (value.dtype(), value.shape()))).collect();
        if let Some(shapes) = self.shapes(&CustomNode { node: ctx.node, inputs }) {
            for (i, shape) in shapes?.iter().enumerate() {
                ctx.set_output(i, shape)?;
            }
        }
        (self.eval)(ctx)
    }
}

impl From<CustomKernel> for CustomOperator {
    fn from(eval: CustomKernel) -> Self {
        Self { eval, shapes: None, device: None }
    }
}

impl fmt::Debug for CustomOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shapes, device) = (self.shapes.is_some(), self.device.is_some());
        f.debug_struct("CustomOperator").field("shapes", &shapes).field("device", &device).finish_non_exhaustive()
    }
}
