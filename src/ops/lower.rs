//! What a lowering works with: the region, steps, packed constants.

use std::{borrow::Cow, sync::Arc};

use tflite_wgpu_fallback::kernels::float_elements;
use tflite_wgpu_model::{DType, NodeId, TensorId};

use crate::{
    constant::Constant,
    kernels::{self, KernelRow, ParamType},
    plan::step::{EpilogueStep, Operand, Packing, Step, Variant, VariantValue, WeightData, Weights, WeightsId},
    reason::Reason,
    region::{Binary, Fused, Region, RegionNode, RegionTensor, Slice, Spread, Storage, Unary},
    tuning::{Choice, ProductShape, Tuning},
};

/// Why a node has no steps.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// The node cannot run on the GPU with these shapes.
    #[error("{0}")]
    Reason(Reason),
    /// A lowering and its kernel's row contradict each other: a bug of this library.
    #[error("internal error: kernel {kernel}: {message}")]
    Internal {
        /// Name of the kernel.
        kernel: &'static str,
        /// What does not fit.
        message: String,
    },
}

impl From<Reason> for LowerError {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

/// What lowering a region gives.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// Steps in order.
    pub steps: Vec<Step>,
    /// Packed constants.
    pub weights: Vec<Weights>,
    /// Tensors that are another tensor's memory under another shape: `(alias, of)`.
    pub aliases: Vec<(TensorId, TensorId)>,
    /// Products and convolutions whose kernels were chosen by their shapes, each shape once.
    pub products: Vec<ProductShape>,
}

/// What a lowering works with.
pub struct LowerCtx<'a> {
    /// The region; scratch tensors are added to it.
    pub region: &'a mut Region,
    /// The adapter class's choices.
    pub tuning: &'a Tuning,
    /// What has been lowered so far.
    pub lowered: Lowered,
}

impl<'a> LowerCtx<'a> {
    /// A context for `region`.
    pub fn new(region: &'a mut Region, tuning: &'a Tuning) -> Self {
        Self { region, tuning, lowered: Lowered::default() }
    }

    /// How a product is computed.
    pub(super) fn choose(&mut self, shape: ProductShape) -> Choice {
        if !self.lowered.products.contains(&shape) {
            self.lowered.products.push(shape);
        }
        self.tuning.choose(&shape)
    }

    /// Dimensions of a tensor.
    pub fn dims(&self, id: TensorId) -> &[usize] {
        &self.region.tensor(id).dims
    }

    /// Value of a tensor, if it is a constant.
    pub fn constant(&self, id: TensorId) -> Option<Constant> {
        self.region.tensor(id).constant.clone()
    }

    /// Integers of input `i`, which `support` has required to be constant.
    ///
    /// # Errors
    /// [`Reason::NotConstant`].
    pub fn constant_ints(&self, node: &RegionNode, i: usize) -> Result<Vec<i64>, LowerError> {
        let value = node.input(i).and_then(|id| self.constant(id));
        Ok(value.and_then(|v| v.to_ints()).ok_or(Reason::NotConstant { input: i })?)
    }

    /// Elements of a constant as f32: floats as they are, integers times their scales.
    ///
    /// # Errors
    /// When it is not a constant, or has no float values.
    pub fn constant_floats(&self, id: TensorId) -> Result<Vec<f32>, LowerError> {
        let tensor = self.region.tensor(id);
        let value = tensor.constant.as_deref().ok_or(Reason::NotConstant { input: 0 })?;
        let floats = float_elements(value, tensor.quant.as_ref(), 0).map(Cow::into_owned);
        let unsupported = |_| Reason::UnsupportedType { tensor: tensor.name.clone(), found: tensor.dtype };
        Ok(floats.map_err(unsupported)?)
    }

    /// Input `i` of a node.
    ///
    /// # Errors
    /// When it is omitted.
    pub fn input(&self, node: &RegionNode, i: usize) -> Result<TensorId, LowerError> {
        Ok(node.input(i).ok_or(Reason::Shape("an input is omitted"))?)
    }

    /// Output `i` of a node.
    ///
    /// # Errors
    /// When it is omitted.
    pub fn output(&self, node: &RegionNode, i: usize) -> Result<TensorId, LowerError> {
        Ok(node.output(i).ok_or(Reason::Shape("an output is omitted"))?)
    }

    /// A tensor that only this node's steps use.
    pub fn scratch(&mut self, name: &str, dtype: DType, dims: &[usize], storage: Storage) -> TensorId {
        let (name, dims) = (name.to_owned(), dims.to_vec());
        let tensor = RegionTensor { name, dtype, dims, constant: None, quant: None, storage };
        self.region.add_tensor(tensor)
    }

    /// Makes `alias` the memory of `of` under another shape. Both must have the same texels.
    pub fn alias(&mut self, alias: TensorId, of: TensorId) {
        self.lowered.aliases.push((alias, of));
    }

    /// Packed constants; `data` runs only where `key` is new. The storage's name becomes part of the key.
    pub fn weights(&mut self, key: &str, storage: Storage, data: impl FnOnce() -> WeightData) -> Operand {
        let key = format!("{key} {}", storage.name());
        let position = self.lowered.weights.iter().position(|weights| weights.key == key);
        Operand::Weights(WeightsId(position.unwrap_or_else(|| {
            self.lowered.weights.push(Weights { key, storage, data: Packing::Made(data()) });
            self.lowered.weights.len() - 1
        })))
    }

    /// A constant in a layout of the kernel's, made from its float values (see [`LowerCtx::constant_floats`]) once the
    /// device turns out not to have it. `key` names constant and layout; the storage's name becomes part of it.
    ///
    /// # Errors
    /// When the tensor is not a constant.
    pub fn packed(
        &mut self,
        key: &str,
        storage: Storage,
        id: TensorId,
        pack: impl Fn(&[f32]) -> Vec<f32> + Send + Sync + 'static,
    ) -> Result<Operand, LowerError> {
        let key = format!("{key} {}", storage.name());
        if let Some(position) = self.lowered.weights.iter().position(|weights| weights.key == key) {
            return Ok(Operand::Weights(WeightsId(position)));
        }
        let tensor = self.region.tensor(id);
        let constant = tensor.constant.clone().ok_or(Reason::NotConstant { input: 0 })?;
        let (name, found, quant) = (tensor.name.clone(), tensor.dtype, tensor.quant.clone());
        let make = move |constant: &Constant| match float_elements(constant, quant.as_ref(), 0) {
            Ok(floats) => Ok(WeightData::Float(pack(&floats))),
            Err(_) => Err(Reason::UnsupportedType { tensor: name.clone(), found }),
        };
        self.lowered.weights.push(Weights { key, storage, data: Packing::Of(constant, Arc::new(make)) });
        Ok(Operand::Weights(WeightsId(self.lowered.weights.len() - 1)))
    }

    /// Starts a step of `kernel` for `node`.
    pub fn step(&self, kernel: &'static str, node: &RegionNode) -> StepBuilder {
        self.step_for(kernel, &node.origin)
    }

    /// Starts a step of `kernel` that stands for these nodes of the file.
    pub fn step_for(&self, kernel: &'static str, nodes: &[NodeId]) -> StepBuilder {
        StepBuilder {
            kernel,
            row: kernels::row(kernel),
            bindings: Vec::new(),
            params: Vec::new(),
            values: Vec::new(),
            fused: Vec::new(),
            clean: false,
            grid: [1, 1, 1],
            nodes: nodes.to_vec(),
            macs: 0,
        }
    }
}

/// Collects one step by name; [`StepBuilder::finish`] checks it against the kernel's row.
#[derive(Clone, Debug)]
pub struct StepBuilder {
    kernel: &'static str,
    row: Option<&'static KernelRow>,
    bindings: Vec<(&'static str, Operand)>,
    params: Vec<(&'static str, ParamType, u32)>,
    values: Vec<(&'static str, VariantValue)>,
    fused: Vec<Fused>,
    clean: bool,
    grid: [usize; 3],
    nodes: Vec<NodeId>,
    macs: u64,
}

impl StepBuilder {
    /// Binds a tensor.
    pub fn tensor(mut self, name: &'static str, id: TensorId) -> Self {
        self.bindings.push((name, Operand::Tensor(id)));
        self
    }

    /// Binds the result of a kernel that can write it into columns of another tensor.
    pub(super) fn columns_of(self, ctx: &LowerCtx<'_>, id: TensorId) -> Self {
        let slice = ctx.region.slices.get(&id).copied().unwrap_or(Slice { of: id, offset: 0 });
        let pitch = ctx.region.tensor(slice.of).texels().width;
        self.tensor("dst", slice.of).param("pitch", pitch).param("offset", slice.offset)
    }

    /// Binds an operand.
    pub fn operand(mut self, name: &'static str, operand: Operand) -> Self {
        self.bindings.push((name, operand));
        self
    }

    /// Sets an unsigned parameter; sizes beyond `u32` are refused by the planner's limits long before.
    pub fn param(mut self, name: &'static str, value: usize) -> Self {
        self.params.push((name, ParamType::U32, u32::try_from(value).unwrap_or(u32::MAX)));
        self
    }

    /// Sets a signed parameter.
    pub fn param_i32(mut self, name: &'static str, value: i64) -> Self {
        let value = i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX });
        self.params.push((name, ParamType::I32, value.cast_unsigned()));
        self
    }

    /// Sets a float parameter.
    pub fn param_f32(mut self, name: &'static str, value: f32) -> Self {
        self.params.push((name, ParamType::F32, value.to_bits()));
        self
    }

    /// Sets a parameter of any type to its bits.
    pub fn word(mut self, name: &'static str, kind: ParamType, word: u32) -> Self {
        self.params.push((name, kind, word));
        self
    }

    /// Sets a template value that is a number.
    pub fn value(mut self, name: &'static str, value: i64) -> Self {
        self.values.push((name, VariantValue::Int(value)));
        self
    }

    /// Sets a template value that is a word.
    pub fn text(mut self, name: &'static str, value: &'static str) -> Self {
        self.values.push((name, VariantValue::Text(value)));
        self
    }

    /// Applies fused operators to the result.
    pub fn fused(mut self, fused: &[Fused]) -> Self {
        self.fused = fused.to_vec();
        self
    }

    /// Says that the kernel's result, before fused operators, is zero in lanes beyond the channels.
    pub fn clean(mut self) -> Self {
        self.clean = true;
        self
    }

    /// Workgroups per dimension.
    pub fn grid(mut self, grid: [usize; 3]) -> Self {
        self.grid = grid;
        self
    }

    /// Workgroups of a linear dispatch of `count` invocations in workgroups of `size`.
    pub fn linear(self, count: usize, size: usize) -> Self {
        self.grid(linear_groups(count, size))
    }

    /// Multiply-adds, for reports.
    pub fn macs(mut self, macs: usize) -> Self {
        self.macs = macs as u64;
        self
    }

    /// Checks the step and adds it.
    ///
    /// # Errors
    /// When a binding or parameter of the kernel's row is missing or unknown (a bug), or the grid exceeds limits.
    pub fn finish(mut self, ctx: &mut LowerCtx<'_>) -> Result<(), LowerError> {
        let internal = |message: String| LowerError::Internal { kernel: self.kernel, message };
        let row = self.row.ok_or_else(|| internal("has no row".into()))?;
        let mut bindings = Vec::with_capacity(row.bindings.len());
        let mut variant = Variant::default();
        for binding in row.bindings {
            let found = self.bindings.iter().find(|(name, _)| *name == binding.name);
            let (_, operand) = found.ok_or_else(|| internal(format!("binding {} is missing", binding.name)))?;
            bindings.push(*operand);
            variant.storage.push(storage(ctx, *operand));
        }
        if self.bindings.len() != row.bindings.len() {
            return Err(internal("has unknown bindings".into()));
        }
        let mut params = Vec::with_capacity(row.params.len());
        for (name, kind) in row.params {
            let found = self.params.iter().find(|(found, found_kind, _)| found == name && found_kind == kind);
            params.push(found.ok_or_else(|| internal(format!("parameter {name} is missing or of another type")))?.2);
        }
        if self.params.len() != row.params.len() {
            return Err(internal("has unknown parameters".into()));
        }
        if !self.fused.is_empty() && !row.epilogue {
            return Err(internal("has no epilogue".into()));
        }
        epilogue(ctx, &self.fused, &mut variant, &mut bindings, &mut params);
        if row.epilogue {
            let whole = self.params.iter().any(|(name, _, value)| *name == "channels" && value % 4 == 0);
            let clean = self.clean && self.fused.iter().all(keeps_zero);
            if whole || clean {
                self.values.push(("unmasked", VariantValue::Int(1)));
            }
        }
        self.values.sort();
        variant.values = self.values;
        let dispatch = grid(self.grid)?;
        let (kernel, nodes, macs) = (self.kernel, self.nodes, self.macs);
        ctx.lowered.steps.push(Step { kernel, variant, bindings, params, dispatch, nodes, macs });
        Ok(())
    }
}

fn storage(ctx: &LowerCtx<'_>, operand: Operand) -> Storage {
    match operand {
        Operand::Tensor(id) => ctx.region.tensor(id).storage,
        Operand::Weights(id) => ctx.lowered.weights.get(id.0).map_or(Storage::F32, |weights| weights.storage),
    }
}

/// Whether a fused operator makes zero of zero (and of an operand whose padding is zero).
fn keeps_zero(fused: &Fused) -> bool {
    match fused {
        Fused::Clamp { low, high } => *low <= 0.0 && *high >= 0.0,
        Fused::LeakyRelu { .. } | Fused::Prelu { .. } => true,
        Fused::Unary(unary) => {
            !matches!(unary, Unary::Cos | Unary::Exp | Unary::HardSigmoid | Unary::Log | Unary::Logistic | Unary::Rsqrt)
        }
        Fused::Binary { op, spread, .. } => *op == Binary::Mul || (*op != Binary::Div && *spread != Spread::Scalar),
    }
}

/// Adds fused operators to a step: their kinds to the variant, operands to the bindings, numbers to the parameters.
fn epilogue(
    ctx: &LowerCtx<'_>,
    fused: &[Fused],
    variant: &mut Variant,
    bindings: &mut Vec<Operand>,
    params: &mut Vec<u32>,
) {
    for step in fused {
        variant.epilogue.push(match *step {
            Fused::Clamp { low, high } => {
                params.extend([low.to_bits(), high.to_bits()]);
                EpilogueStep::Clamp
            }
            Fused::LeakyRelu { alpha } => {
                params.push(alpha.to_bits());
                EpilogueStep::LeakyRelu
            }
            Fused::Unary(unary) => EpilogueStep::Unary(unary),
            Fused::Binary { op, operand, spread, swapped } => {
                bindings.push(Operand::Tensor(operand));
                let storage = ctx.region.tensor(operand).storage;
                EpilogueStep::Binary { op, spread, swapped, storage }
            }
            Fused::Prelu { alpha, spread } => {
                bindings.push(Operand::Tensor(alpha));
                EpilogueStep::Prelu { spread, storage: ctx.region.tensor(alpha).storage }
            }
        });
    }
}

/// The largest number of workgroups WebGPU promises per dimension.
const MAX_GROUPS: usize = 65_535;

/// Workgroups of a linear dispatch: beyond 65,535 it folds into y; `linear_index` in the prelude unfolds it.
pub fn linear_groups(count: usize, size: usize) -> [usize; 3] {
    let groups = count.div_ceil(size);
    if groups <= MAX_GROUPS {
        return [groups, 1, 1];
    }
    let y = groups.div_ceil(MAX_GROUPS);
    [groups.div_ceil(y), y, 1]
}

fn grid(grid: [usize; 3]) -> Result<[u32; 3], LowerError> {
    let mut dispatch = [1; 3];
    for (target, groups) in dispatch.iter_mut().zip(grid) {
        let too_large = Reason::TooLarge { what: "dispatch", found: groups as u64, limit: MAX_GROUPS as u64 };
        *target = u32::try_from(groups).ok().filter(|&g| g as usize <= MAX_GROUPS).ok_or(too_large)?;
    }
    Ok(dispatch)
}

#[cfg(test)]
mod tests {
    use super::linear_groups;

    #[test]
    fn large_dispatches_fold() {
        assert_eq!(linear_groups(64, 64), [1, 1, 1]);
        assert_eq!(linear_groups(65, 64), [2, 1, 1]);
        let [x, y, _] = linear_groups(64 * 70_000, 64);
        assert!(x <= 65_535 && x * y >= 70_000);
    }
}
