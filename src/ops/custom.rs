//! Custom operators that the user of the crate brings with a kernel for the GPU.

use std::{any::Any, fmt, sync::Arc};

use BuiltinOperator as B;
use tflite_wgpu_fallback::{CustomNode, CustomOperator, CustomOperators};
use tflite_wgpu_model::{BuiltinOperator, DType, Node, Op, TensorId, infer::Inputs};

use super::{LowerCtx, LowerError, OpRow, SupportCtx, broadcast::FLOATS, linear_groups};
use crate::{
    kernels::{
        ParamType,
        user::{self, UserKernel, UserKernelError},
    },
    reason::Reason,
    region::{RegionNode, Texels},
};

/// CUSTOM, for the names that the model's own operators have.
pub const ROWS: &[OpRow] = &[OpRow::new(B::Custom, support, lower)
    .fuses()
    .takes("what the operator's kernel takes")
    .leaves("operators that are registered without a GPU kernel")];

/// The types that integer inputs may have.
const INTEGERS: &[DType] = &[DType::Int32, DType::Bool, DType::UInt8, DType::Int8, DType::Int16];

/// What a kernel's plan may look at.
#[derive(Clone, Copy, Debug)]
pub struct GpuNode<'a> {
    /// The operator's options as the file has them.
    pub options: &'a [u8],
    /// Shapes of the inputs.
    pub inputs: &'a [&'a [usize]],
    /// Shape of the output.
    pub output: &'a [usize],
}

/// How often a kernel runs, and with which parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    size: Size,
    params: Vec<(String, ParamType, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    Texels,
    Invocations(usize),
    Groups([usize; 3]),
}

impl Dispatch {
    /// One invocation per texel of the output, numbered by `linear_index` in WGSL.
    pub fn per_texel() -> Self {
        Self { size: Size::Texels, params: Vec::new() }
    }

    /// So many invocations, numbered by `linear_index` in WGSL.
    pub fn invocations(count: usize) -> Self {
        Self { size: Size::Invocations(count), params: Vec::new() }
    }

    /// So many workgroups in x, y and z.
    pub fn groups(groups: [usize; 3]) -> Self {
        Self { size: Size::Groups(groups), params: Vec::new() }
    }

    /// Sets an unsigned parameter.
    pub fn u32(mut self, name: &str, value: u32) -> Self {
        self.params.push((name.to_owned(), ParamType::U32, value));
        self
    }

    /// Sets a signed parameter.
    pub fn i32(mut self, name: &str, value: i32) -> Self {
        self.params.push((name.to_owned(), ParamType::I32, value.cast_unsigned()));
        self
    }

    /// Sets a float parameter.
    pub fn f32(mut self, name: &str, value: f32) -> Self {
        self.params.push((name.to_owned(), ParamType::F32, value.to_bits()));
        self
    }
}

type Plan = Arc<dyn Fn(&GpuNode<'_>) -> Result<Dispatch, String> + Send + Sync>;

/// A kernel for a custom operator: one dispatch that reads the node's inputs and writes its only output.
///
/// The text is WGSL behind `shaders/prelude.wgsl`. It declares no resources; for each input NAME it has `load_NAME` and
/// `element_NAME`, for the output `emit(texel, column, v)`, and its parameters as `params.NAME`. So one text serves
/// float32 and both forms of float16.
#[derive(Clone)]
pub struct GpuKernel {
    kernel: UserKernel,
    integers: Vec<bool>,
    plan: Plan,
}

/// Collects what a [`GpuKernel`] declares.
#[derive(Clone, Debug)]
pub struct GpuKernelBuilder {
    name: String,
    wgsl: String,
    inputs: Vec<(String, bool)>,
    params: Vec<(String, ParamType)>,
}

impl GpuKernel {
    /// A kernel whose entry point is `name`; a name has one text in a process.
    pub fn builder(name: impl Into<String>, wgsl: impl Into<String>) -> GpuKernelBuilder {
        GpuKernelBuilder { name: name.into(), wgsl: wgsl.into(), inputs: Vec::new(), params: Vec::new() }
    }

    /// The operator with this kernel.
    pub fn attach(self, operator: CustomOperator) -> CustomOperator {
        let kernel: Arc<dyn Any + Send + Sync> = Arc::new(self);
        operator.with_device_kernel(kernel)
    }
}

impl fmt::Debug for GpuKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuKernel").field("name", &self.kernel.row.name).finish_non_exhaustive()
    }
}

impl GpuKernelBuilder {
    /// The node's next input, of floats: FLOAT32, FLOAT16 or BFLOAT16.
    pub fn input(mut self, name: &str) -> Self {
        self.inputs.push((name.to_owned(), false));
        self
    }

    /// The node's next input, of integers of at most 32 bits or BOOL; `load_NAME` gives `vec4<i32>`.
    pub fn integer_input(mut self, name: &str) -> Self {
        self.inputs.push((name.to_owned(), true));
        self
    }

    /// A parameter, beside `texels`, `width` (texels of a row) and `channels` of the output.
    pub fn param(mut self, name: &str, kind: ParamType) -> Self {
        self.params.push((name.to_owned(), kind));
        self
    }

    /// Checks the text in every form of floats. `plan` gives a node's dispatch, or says why the CPU must run it.
    ///
    /// # Errors
    /// Names that are no identifiers or taken; a text that is not valid, lacks the entry point or binds resources.
    pub fn build(
        self,
        plan: impl Fn(&GpuNode<'_>) -> Result<Dispatch, String> + Send + Sync + 'static,
    ) -> Result<GpuKernel, UserKernelError> {
        let kernel = user::register(&self.name, &self.wgsl, &self.inputs, &self.params)?;
        let integers = self.inputs.into_iter().map(|(_, integer)| integer).collect();
        Ok(GpuKernel { kernel, integers, plan: Arc::new(plan) })
    }
}

/// The GPU kernel of a node's operator, if the user has brought one.
pub(crate) fn kernel<'a>(customs: &'a CustomOperators, op: &Op) -> Option<&'a GpuKernel> {
    let Op::Custom { name, .. } = op else { return None };
    customs.get(name.as_str())?.device_kernel()
}

/// Shapes of a custom operator's outputs, if its inputs are known and it says them.
pub(crate) fn shapes(customs: &CustomOperators, known: &impl Inputs, node: &Node) -> Option<Vec<Vec<usize>>> {
    let Op::Custom { name, .. } = &node.op else { return None };
    let operator = customs.get(name.as_str())?;
    let input = |(i, id): (usize, &Option<TensorId>)| match id {
        Some(_) => Some(Some(known.shape(i)?)),
        None => Some(None),
    };
    let inputs = node.inputs.iter().enumerate().map(input).collect::<Option<_>>()?;
    operator.shapes(&CustomNode { node, inputs })?.ok()
}

fn options(op: &Op) -> &[u8] {
    match op {
        Op::Custom { options, .. } => options,
        _ => &[],
    }
}

fn support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    let kernel = kernel(&ctx.facts.customs, &ctx.node.op).ok_or(Reason::UnsupportedOperator)?;
    if ctx.node.inputs.len() != kernel.integers.len() || ctx.node.outputs.len() != 1 {
        return Err(Reason::Shape("the kernel has another number of inputs or outputs than the node"));
    }
    for (i, &integer) in kernel.integers.iter().enumerate() {
        ctx.input_is(i, if integer { INTEGERS } else { FLOATS })?;
    }
    ctx.output_is(0, FLOATS)?;
    let inputs: Vec<&[usize]> = (0..kernel.integers.len()).map(|i| ctx.input_dims(i)).collect::<Result<_, _>>()?;
    let node = GpuNode { options: options(&ctx.node.op), inputs: &inputs, output: ctx.output_dims(0)? };
    kernel.step(&node).map(drop)
}

/// A dispatch with its parameters in the kernel's order.
struct Planned {
    groups: [usize; 3],
    params: Vec<(&'static str, ParamType, u32)>,
}

impl GpuKernel {
    fn step(&self, node: &GpuNode<'_>) -> Result<Planned, Reason> {
        let dispatch = (self.plan)(node).map_err(Reason::Custom)?;
        let linear = |count| match self.kernel.workgroup {
            [size, 1, 1] => Ok(linear_groups(count, size as usize)),
            other => Err(Reason::Custom(format!("the workgroup is {other:?}, expected one dimension to count along"))),
        };
        let groups = match dispatch.size {
            Size::Texels => linear(Texels::of(node.output).count())?,
            Size::Invocations(count) => linear(count)?,
            Size::Groups(groups) => groups,
        };
        let declared = self.kernel.row.params.iter().skip(user::GEOMETRY.len());
        let given = |&(name, kind): &(&'static str, ParamType)| {
            let found = dispatch.params.iter().find(|(given, given_kind, _)| given == name && *given_kind == kind);
            let missing = || Reason::Custom(format!("the plan gives no parameter {name} of type {kind:?}"));
            found.map(|(_, _, word)| (name, kind, *word)).ok_or_else(missing)
        };
        let params: Vec<_> = declared.map(given).collect::<Result<_, _>>()?;
        if params.len() != dispatch.params.len() {
            return Err(Reason::Custom("the plan gives parameters that the kernel does not declare".to_owned()));
        }
        Ok(Planned { groups, params })
    }
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let customs = Arc::clone(&ctx.region.customs);
    let kernel = kernel(&customs, &node.op).ok_or(Reason::UnsupportedOperator)?;
    let dst = ctx.output(node, 0)?;
    let inputs: Vec<TensorId> = (0..kernel.integers.len()).map(|i| ctx.input(node, i)).collect::<Result<_, _>>()?;
    let shapes: Vec<&[usize]> = inputs.iter().map(|id| ctx.dims(*id)).collect();
    let planned = kernel.step(&GpuNode { options: options(&node.op), inputs: &shapes, output: ctx.dims(dst) })?;
    let texels = ctx.region.tensor(dst).texels();
    let mut step = ctx
        .step(kernel.kernel.row.name, node)
        .param("texels", texels.count())
        .param("width", texels.width)
        .param("channels", texels.channels)
        .tensor("dst", dst)
        .fused(&node.fused)
        .grid(planned.groups);
    for (row, id) in kernel.kernel.row.bindings.iter().zip(inputs) {
        step = step.tensor(row.name, id);
    }
    for (name, kind, word) in planned.params {
        step = step.word(name, kind, word);
    }
    step.finish(ctx)
}
