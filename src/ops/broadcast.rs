//! How operands of elementwise operators lie against the result, as `shaders/elementwise.wgsl` reads them.

use tflite_wgpu_model::DType;

use super::{LowerCtx, LowerError, StepBuilder, SupportCtx, movement};
use crate::{reason::Reason, region::RegionNode};
use tflite_wgpu_model::TensorId;

const MISMATCH: Reason = Reason::Shape("an operand does not broadcast to the result");

/// Outer dimensions that strided operands are read over.
const OUTER: usize = 4;

/// Most dimensions of a tensor.
const MAX_RANK: usize = 8;

/// The types that are stored as floats.
pub const FLOATS: &[DType] = &[DType::Float32, DType::Float16, DType::BFloat16];

/// The integer types that operators compute with. INT64 values are held in 32 bits.
pub const INTS: &[DType] = &[DType::Int32, DType::Int64];

/// How an operand is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The texel of the same place.
    Same,
    /// One texel per column.
    Channel,
    /// One value.
    Scalar,
    /// One value per row.
    Row,
    /// Rows by strides, texel by texel.
    Texel,
    /// Rows by strides, one value each.
    Splat,
}

impl Mode {
    /// Name in the template.
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Channel => "channel",
            Self::Scalar => "scalar",
            Self::Row => "row",
            Self::Texel => "texel",
            Self::Splat => "splat",
        }
    }

    fn is_strided(self) -> bool {
        matches!(self, Self::Texel | Self::Splat)
    }
}

/// Where an operand's rows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How it is read.
    pub mode: Mode,
    /// Rows from one index of each outer dimension to the next.
    pub strides: [usize; OUTER],
}

/// A result's outer dimensions and its operands' layouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// Outer dimensions, those that all operands repeat alike merged into one.
    pub dims: [usize; OUTER],
    /// One per operand.
    pub operands: Vec<Layout>,
}

impl Broadcast {
    /// Checks that operands broadcast to a result of shape `out`.
    ///
    /// # Errors
    /// [`Reason::Shape`].
    pub fn check(out: &[usize], operands: &[&[usize]]) -> Result<(), Reason> {
        if out.len() > MAX_RANK {
            return Err(Reason::Shape("more than eight dimensions"));
        }
        let rank = out.len().max(1);
        let out = padded(out, rank).ok_or(MISMATCH)?;
        for dims in operands {
            let dims = padded(dims, rank).ok_or(MISMATCH)?;
            if dims.iter().zip(&out).any(|(&d, &o)| d != o && d != 1) {
                return Err(MISMATCH);
            }
        }
        Ok(())
    }

    /// Layouts of operands against a result of shape `out`, to which they broadcast.
    ///
    /// # Errors
    /// [`Reason::Shape`] when an operand does not broadcast or too many dimensions remain after merging.
    pub fn new(out: &[usize], operands: &[&[usize]]) -> Result<Self, Reason> {
        Self::check(out, operands)?;
        let rank = out.len().max(1);
        let out = padded(out, rank).ok_or(MISMATCH)?;
        let shapes = operands.iter().map(|dims| padded(dims, rank)).collect::<Option<Vec<_>>>().ok_or(MISMATCH)?;
        let merged = merge(&out, &shapes);
        let dims = merged.iter().map(|(size, _)| *size).collect::<Vec<_>>();
        let layouts = shapes.iter().enumerate().map(|(i, shape)| {
            let full: Vec<bool> = merged.iter().map(|(_, full)| full.get(i).copied().unwrap_or(true)).collect();
            let inner_full = shape.last() == out.last();
            (full, inner_full)
        });
        let layouts: Vec<_> = layouts.collect();
        let modes: Vec<Mode> = layouts.iter().map(|(full, inner)| mode(full, *inner)).collect();
        if dims.len() > OUTER && modes.iter().any(|mode| mode.is_strided()) {
            return Err(Reason::Shape("operands broadcast over more than five dimensions after merging"));
        }
        let strided = dims.len() <= OUTER;
        let operands = layouts
            .iter()
            .zip(modes)
            .map(|((full, _), mode)| Layout { mode, strides: if strided { strides(&dims, full) } else { [0; OUTER] } })
            .collect();
        Ok(Self { dims: if strided { right_aligned(&dims, 1) } else { [1; OUTER] }, operands })
    }

    /// Whether an operand is read by strides.
    pub fn is_strided(&self) -> bool {
        self.operands.iter().any(|operand| operand.mode.is_strided())
    }

    /// Adds parameters and values of the template for operands of these names (see `PARAMS`).
    pub fn apply(&self, mut step: StepBuilder, names: &[OperandNames]) -> StepBuilder {
        for (name, &size) in ["d1", "d2", "d3"].into_iter().zip(self.dims.iter().skip(1)) {
            step = step.param(name, size);
        }
        for (operand, names) in self.operands.iter().zip(names) {
            step = step.text(names.mode, operand.mode.name());
            for (name, stride) in names.strides.into_iter().zip(operand.strides) {
                step = step.param(name, stride);
            }
        }
        step.value("strided", i64::from(self.is_strided()))
    }
}

/// Names of an operand's template value and parameters.
pub struct OperandNames {
    mode: &'static str,
    strides: [&'static str; OUTER],
}

/// Operands a, b and c.
pub const NAMES: [OperandNames; 3] = [
    OperandNames { mode: "mode_a", strides: ["a0", "a1", "a2", "a3"] },
    OperandNames { mode: "mode_b", strides: ["b0", "b1", "b2", "b3"] },
    OperandNames { mode: "mode_c", strides: ["c0", "c1", "c2", "c3"] },
];

/// `dims` with ones in front; `None` when it has more than `rank`.
fn padded(dims: &[usize], rank: usize) -> Option<Vec<usize>> {
    let missing = rank.checked_sub(dims.len())?;
    Some(std::iter::repeat_n(1, missing).chain(dims.iter().copied()).collect())
}

/// Outer dimensions of the result with, per operand, whether it has them in full; neighbours alike are one.
fn merge(out: &[usize], shapes: &[Vec<usize>]) -> Vec<(usize, Vec<bool>)> {
    let mut merged: Vec<(usize, Vec<bool>)> = Vec::new();
    let outer = out.split_last().map_or(&[][..], |(_, outer)| outer);
    for (axis, &size) in outer.iter().enumerate().filter(|&(_, &size)| size != 1) {
        let full: Vec<bool> = shapes.iter().map(|shape| shape.get(axis) == Some(&size)).collect();
        match merged.last_mut() {
            Some(last) if last.1 == full => last.0 *= size,
            _ => merged.push((size, full)),
        }
    }
    merged
}

fn mode(full: &[bool], inner: bool) -> Mode {
    let (all, none) = (full.iter().all(|&f| f), !full.iter().any(|&f| f));
    match (inner, all, none) {
        (true, true, _) => Mode::Same,
        (true, _, true) => Mode::Channel,
        (false, _, true) => Mode::Scalar,
        (false, true, _) => Mode::Row,
        (true, ..) => Mode::Texel,
        (false, ..) => Mode::Splat,
    }
}

fn strides(dims: &[usize], full: &[bool]) -> [usize; OUTER] {
    let mut step = 1;
    let mut strides: Vec<usize> = dims
        .iter()
        .zip(full)
        .rev()
        .map(|(&size, &full)| {
            let stride = if full { step } else { 0 };
            step *= if full { size } else { 1 };
            stride
        })
        .collect();
    strides.reverse();
    right_aligned(&strides, 0)
}

fn right_aligned(values: &[usize], fill: usize) -> [usize; OUTER] {
    let mut aligned = [fill; OUTER];
    aligned.iter_mut().rev().zip(values.iter().rev()).for_each(|(to, &value)| *to = value);
    aligned
}

/// Starts an elementwise step: geometry of the result, workgroups, fused operators.
pub fn elementwise(ctx: &LowerCtx<'_>, kernel: &'static str, node: &RegionNode, dst: TensorId) -> StepBuilder {
    let texels = ctx.region.tensor(dst).texels();
    ctx.step(kernel, node)
        .tensor("dst", dst)
        .param("texels", texels.count())
        .param("width", texels.width)
        .param("channels", texels.channels)
        .value("workgroup", i64::try_from(ctx.tuning.linear_workgroup).unwrap_or(64))
        .linear(texels.count(), ctx.tuning.linear_workgroup)
}

/// The layouts of a node's operands, of these shapes, against a result. Operands that repeat over more dimensions than
/// the kernels have strides for are written out before; the operands to read then are given back.
///
/// # Errors
/// As [`Broadcast::check`].
pub fn of_tensors<const N: usize>(
    ctx: &mut LowerCtx<'_>,
    node: &RegionNode,
    dst: TensorId,
    operands: [TensorId; N],
) -> Result<(Broadcast, [TensorId; N]), LowerError> {
    let target = ctx.dims(dst).to_vec();
    let dims: Vec<&[usize]> = operands.iter().map(|&id| ctx.dims(id)).collect();
    Broadcast::check(&target, &dims)?;
    if let Ok(layout) = Broadcast::new(&target, &dims) {
        return Ok((layout, operands));
    }
    let mut whole = operands;
    for id in &mut whole {
        if ctx.dims(*id) != target && ctx.dims(*id).iter().any(|&d| d != 1) {
            let from = ctx.region.tensor(*id);
            let (dtype, storage) = (from.dtype, from.storage);
            let view = movement::broadcast(&from.dims, &target)?;
            let copy = ctx.scratch("operand in full", dtype, &target, storage);
            movement::emit(ctx, node, *id, copy, &view, 0)?;
            *id = copy;
        }
    }
    let dims: Vec<&[usize]> = whole.iter().map(|&id| ctx.dims(id)).collect();
    Ok((Broadcast::new(&target, &dims)?, whole))
}

/// Checks that all shapes are known and hold elements.
///
/// # Errors
/// [`Reason::DynamicShape`], [`Reason::ZeroSize`] or [`Reason::Shape`].
pub fn known_shapes(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    // Constants without elements steer: no axes, the shape of a scalar.
    let steers = |i: usize| ctx.input(i).is_some_and(|t| t.constant.is_some() && t.dtype.is_integer());
    let data = |i: &usize| ctx.node.input(*i).is_some() && !steers(*i);
    let inputs = (0..ctx.node.inputs.len()).filter(data).map(|i| ctx.input_dims(i));
    inputs.into_iter().try_for_each(|dims| with_elements(dims?))?;
    known_output(ctx)
}

/// As [`known_shapes`], of the outputs alone.
///
/// # Errors
/// As [`known_shapes`].
pub fn known_output(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    // A part without elements is known already.
    let computed = |i: &usize| ctx.output(*i).is_some_and(|t| t.constant.is_none());
    let mut outputs = (0..ctx.node.outputs.len()).filter(computed);
    outputs.try_for_each(|i| with_elements(ctx.output_dims(i)?))
}

fn with_elements(dims: &[usize]) -> Result<(), Reason> {
    if dims.contains(&0) {
        return Err(Reason::ZeroSize);
    }
    if dims.len() > MAX_RANK { Err(Reason::Shape("more than eight dimensions")) } else { Ok(()) }
}

/// Checks that these inputs broadcast to output 0.
///
/// # Errors
/// As [`known_shapes`] and [`Broadcast::new`].
pub fn broadcasts(ctx: &SupportCtx<'_>, inputs: &[usize]) -> Result<(), Reason> {
    known_shapes(ctx)?;
    let dims = inputs.iter().map(|&i| ctx.input_dims(i)).collect::<Result<Vec<_>, _>>()?;
    Broadcast::check(ctx.output_dims(0)?, &dims)
}

/// Checks that constants among the inputs fit into 32 bits.
///
/// # Errors
/// [`Reason::Value`].
pub fn constants_fit(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    for i in 0..ctx.node.inputs.len() {
        let values = ctx.input(i).and_then(|t| t.constant.as_deref()).and_then(|value| value.to_ints());
        if values.is_some_and(|values| values.iter().any(|&v| i32::try_from(v).is_err())) {
            return Err(Reason::Value("a constant needs more than 32 bits"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(out: &[usize], operands: &[&[usize]]) -> Result<Vec<Mode>, Reason> {
        Ok(Broadcast::new(out, operands)?.operands.iter().map(|operand| operand.mode).collect())
    }

    #[test]
    fn modes_follow_from_shapes() -> Result<(), Reason> {
        use Mode::*;
        assert_eq!(modes(&[2, 3, 4, 5], &[&[2, 3, 4, 5], &[5]])?, [Same, Channel]);
        assert_eq!(modes(&[2, 3, 4, 5], &[&[], &[1, 1]])?, [Scalar, Scalar]);
        assert_eq!(modes(&[2, 3, 4, 5], &[&[2, 3, 4, 1], &[2, 1, 1, 5]])?, [Row, Texel]);
        assert_eq!(modes(&[2, 3, 4, 5], &[&[3, 1, 1], &[3, 1, 5]])?, [Splat, Texel]);
        assert_eq!(modes(&[1, 1, 1, 5], &[&[5], &[1, 1, 1, 1]])?, [Same, Scalar]);
        assert_eq!(modes(&[], &[&[]])?, [Same]);
        assert_eq!(modes(&[4, 1], &[&[4, 1], &[1]])?, [Same, Channel]);
        assert!(modes(&[4, 3], &[&[2, 3]]).is_err());
        assert!(modes(&[3], &[&[1, 1, 3]]).is_err());
        Ok(())
    }

    #[test]
    fn strides_count_rows_of_the_operand() -> Result<(), Reason> {
        let layout = Broadcast::new(&[2, 3, 4, 5, 6], &[&[2, 1, 4, 1, 6], &[3, 1, 5, 1]])?;
        assert_eq!(layout.dims, [2, 3, 4, 5]);
        assert_eq!(layout.operands[0], Layout { mode: Mode::Texel, strides: [4, 0, 1, 0] });
        assert_eq!(layout.operands[1], Layout { mode: Mode::Splat, strides: [0, 5, 0, 1] });
        let rank_eight = Broadcast::new(&[2, 1, 3, 2, 2, 1, 4, 5], &[&[2, 1, 3, 1, 1, 1, 4, 5]])?;
        assert_eq!(rank_eight.dims, [1, 6, 4, 4]);
        assert_eq!(rank_eight.operands[0].strides, [0, 4, 0, 1]);
        Ok(())
    }

    #[test]
    fn alternating_high_ranks_are_refused() {
        let out = [2, 2, 2, 2, 2, 2];
        assert!(Broadcast::new(&out, &[&[2, 1, 2, 1, 2, 2]]).is_err());
        assert!(Broadcast::new(&out, &[&out, &[2]]).is_ok());
    }
}
