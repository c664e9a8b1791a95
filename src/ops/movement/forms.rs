//! What each operator reads where: the one place that knows their attributes.

use tflite_wgpu_model::{
    BuiltinOperator, DType, MirrorPadMode, Op, TensorId,
    infer::{SliceDim, StridedSliceArgs, normalize_axis, strided_slice_plan, unique_axes},
};

use super::{
    Shapes,
    view::{Axis, Mode, View, steps},
};
use crate::{
    ops::{LowerCtx, LowerError},
    reason::Reason,
    region::{RegionNode, Storage, Texels},
};

/// What stands outside a view's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Real 0: the zero point where the output is quantised.
    Zero,
    /// The value of this input.
    Input(usize),
}

impl Fill {
    /// Bits of the element: an f32, or an i32 where the result is stored so.
    ///
    /// # Errors
    /// [`Reason::NotConstant`].
    pub fn bits(self, ctx: &LowerCtx<'_>, node: &RegionNode, dst: TensorId) -> Result<u32, LowerError> {
        let tensor = ctx.region.tensor(dst);
        let int = tensor.storage == Storage::I32;
        match self {
            Self::Zero if int && matches!(tensor.dtype, DType::Int8 | DType::UInt8 | DType::Int16) => {
                let point = tensor.quant.as_ref().and_then(|quant| quant.per_tensor()).map_or(0, |(_, point)| point);
                Ok(low_bits(point))
            }
            Self::Zero => Ok(0),
            Self::Input(i) => {
                let value = ctx.constant(ctx.input(node, i)?).ok_or(Reason::NotConstant { input: i })?;
                let missing = Reason::Shape("the padding's value is not one number");
                if int {
                    let ints = value.to_ints().ok_or_else(|| missing.clone())?;
                    return Ok(low_bits(*ints.first().ok_or(missing)?));
                }
                let floats = value.to_floats().ok_or_else(|| missing.clone())?;
                Ok((*floats.first().ok_or(missing)? as f32).to_bits())
            }
        }
    }
}

fn low_bits(value: i64) -> u32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX }).cast_unsigned()
}

/// One output of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Position among the outputs.
    pub output: usize,
    /// What it reads.
    pub view: View,
    /// What stands outside bounds.
    pub fill: Fill,
}

/// The input that is moved.
pub fn data_input(op: &Op) -> usize {
    usize::from(matches!(op.builtin(), BuiltinOperator::Split | BuiltinOperator::Fill))
}

/// What a node's outputs read.
///
/// # Errors
/// When shapes or attributes contradict each other, or a steering input is not a constant.
pub fn moves(node: &dyn Shapes) -> Result<Vec<Move>, Reason> {
    let source = node.input(data_input(node.op()))?;
    let one = |view: View| Ok(vec![Move { output: 0, view, fill: Fill::Zero }]);
    let forms = match node.op() {
        Op::Transpose => one(transpose(source, &node.ints(1)?)?),
        Op::Slice => one(slice(source, &node.ints(1)?, node.output(0)?)?),
        Op::StridedSlice(_) => one(strided_slice(node, source)?),
        Op::Pad => one(pad(source, &paddings(&node.ints(1)?, source.len())?, Mode::Bounded)?),
        Op::Padv2 => {
            let view = pad(source, &paddings(&node.ints(1)?, source.len())?, Mode::Bounded)?;
            Ok(vec![Move { output: 0, view, fill: Fill::Input(2) }])
        }
        Op::MirrorPad(options) => one(mirror(source, &node.ints(1)?, options.mode)?),
        Op::Tile => one(tile(source, &node.ints(1)?)?),
        // One value everywhere.
        Op::Fill => one(broadcast(source, node.output(0)?)?),
        Op::BroadcastTo => one(broadcast(source, node.output(0)?)?),
        Op::ReverseV2 => one(reverse(source, &node.ints(1)?)?),
        Op::Split(_) => cut(node, source, node.ints(0)?.first().copied(), true),
        Op::SplitV(_) => cut(node, source, node.ints(2)?.first().copied(), true),
        Op::Unpack(options) => cut(node, source, Some(options.axis.into()), false),
        Op::SpaceToDepth(options) => one(space_to_depth(source, block(options.block_size)?)?),
        Op::DepthToSpace(options) => one(depth_to_space(source, block(options.block_size)?)?),
        _ => Err(Reason::UnsupportedOperator),
    }?;
    for form in &forms {
        check_shape(node, form)?;
    }
    Ok(forms)
}

/// A view must fill its output exactly; a file may state another shape.
fn check_shape(node: &dyn Shapes, form: &Move) -> Result<(), Reason> {
    let product = |axes: &[Axis]| axes.iter().map(|axis| axis.size).product::<usize>();
    let target = Texels::of(node.output(form.output)?);
    if product(&form.view.inner) == target.channels && product(&form.view.outer) == target.rows {
        Ok(())
    } else {
        Err(Reason::Shape("the result's shape does not follow from the inputs"))
    }
}

/// A view of one axis per dimension.
fn plain(source: &[usize], offset: isize, axes: Vec<Axis>, mode: Mode) -> View {
    View::new(source, offset, axes.into_iter().map(|axis| vec![axis]).collect(), mode)
}

fn axis_of(axis: i64, rank: usize) -> Result<usize, Reason> {
    normalize_axis(axis, rank).map_err(|_| Reason::Shape("an axis is outside the tensor"))
}

/// The sizes and steps of dimension `d`.
fn dim(source: &[usize], d: usize) -> Result<(usize, isize), Reason> {
    let outside = Reason::Shape("an axis is outside the tensor");
    source.get(d).copied().zip(steps(source).get(d).copied()).ok_or(outside)
}

fn transpose(source: &[usize], permutation: &[i64]) -> Result<View, Reason> {
    let list = permutation.iter().map(|&d| axis_of(d, source.len())).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = list.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..source.len()) {
        return Err(Reason::Shape("the permutation does not name every axis once"));
    }
    let axes = list.into_iter().map(|d| dim(source, d).map(|(size, step)| Axis::new(size, step)));
    Ok(plain(source, 0, axes.collect::<Result<_, _>>()?, Mode::Plain))
}

fn slice(source: &[usize], begin: &[i64], target: &[usize]) -> Result<View, Reason> {
    const OUTSIDE: Reason = Reason::Shape("the slice leaves the tensor");
    if begin.len() != source.len() || target.len() != source.len() {
        return Err(Reason::Shape("the slice has another rank than the tensor"));
    }
    let mut offset = 0;
    let mut axes = Vec::with_capacity(source.len());
    for (d, (&begin, &size)) in begin.iter().zip(target).enumerate() {
        let (length, step) = dim(source, d)?;
        let begin = usize::try_from(begin).map_err(|_| OUTSIDE)?;
        if begin.checked_add(size).is_none_or(|end| end > length) {
            return Err(OUTSIDE);
        }
        offset += begin.cast_signed() * step;
        axes.push(Axis::new(size, step));
    }
    Ok(plain(source, offset, axes, Mode::Plain))
}

fn strided_slice(node: &dyn Shapes, source: &[usize]) -> Result<View, Reason> {
    let Op::StridedSlice(options) = node.op() else { return Err(Reason::UnsupportedOperator) };
    let (begin, end, strides) = (node.ints(1)?, node.ints(2)?, node.ints(3)?);
    let args = StridedSliceArgs { begin: &begin, end: &end, strides: &strides, options };
    let plan = strided_slice_plan(source, &args).map_err(|_| Reason::Shape("the slice does not fit the tensor"))?;
    let mut offset = 0;
    for (d, taken) in plan.dims.iter().enumerate() {
        offset += taken.begin.cast_signed() * dim(source, d)?.1;
    }
    let axis = |from: &Option<usize>| {
        let Some(d) = *from else { return Ok(Axis::new(1, 0)) };
        let SliceDim { stride, size, .. } =
            plan.dims.get(d).copied().ok_or(Reason::Shape("the slice does not fit the tensor"))?;
        Ok(Axis::new(size, stride * dim(source, d)?.1))
    };
    let axes = plan.outputs.iter().map(axis).collect::<Result<_, Reason>>()?;
    Ok(plain(source, offset, axes, Mode::Plain))
}

/// Elements before and after each dimension.
pub type Paddings = Vec<(usize, usize)>;

/// Paddings of `rank` dimensions.
///
/// # Errors
/// When there are not as many, or one is negative.
pub fn paddings(list: &[i64], rank: usize) -> Result<Paddings, Reason> {
    let size = |n: &i64| usize::try_from(*n).map_err(|_| Reason::Value("a negative padding"));
    let pairs = list.chunks_exact(2).map(|pair| match pair {
        [before, after] => Ok((size(before)?, size(after)?)),
        _ => Err(Reason::Shape("paddings without a pair for each dimension")),
    });
    let pairs: Paddings = pairs.collect::<Result<_, _>>()?;
    if pairs.len() == rank { Ok(pairs) } else { Err(Reason::Shape("paddings without a pair for each dimension")) }
}

/// A view with others around each dimension.
///
/// # Errors
/// When there is not a pair for each dimension.
pub fn pad(source: &[usize], paddings: &[(usize, usize)], mode: Mode) -> Result<View, Reason> {
    let axis = |(d, &(before, after)): (usize, &(usize, usize))| {
        let (size, step) = dim(source, d)?;
        let padded = size.checked_add(before).and_then(|n| n.checked_add(after));
        Ok(Axis::padded(padded.ok_or(Reason::Value("a padding is too large"))?, step, before, size))
    };
    let axes: Vec<Axis> = paddings.iter().enumerate().map(axis).collect::<Result<_, Reason>>()?;
    let whole = axes.iter().all(|axis| axis.size == axis.count);
    Ok(plain(source, 0, axes, if whole { Mode::Plain } else { mode }))
}

fn mirror(source: &[usize], list: &[i64], mode: MirrorPadMode) -> Result<View, Reason> {
    let edge = usize::from(mode == MirrorPadMode::Reflect);
    let paddings = paddings(list, source.len())?;
    let fits = |(&n, &(before, after)): (&usize, &(usize, usize))| before.max(after) + edge <= n.max(edge);
    if !source.iter().zip(&paddings).all(fits) {
        return Err(Reason::Value("a padding is longer than what it mirrors"));
    }
    pad(source, &paddings, Mode::Mirror { edge })
}

fn tile(source: &[usize], multiples: &[i64]) -> Result<View, Reason> {
    if multiples.len() != source.len() {
        return Err(Reason::Shape("not one multiple for each dimension"));
    }
    let repeated = |(d, &times): (usize, &i64)| {
        let (size, step) = dim(source, d)?;
        let times = usize::try_from(times).map_err(|_| Reason::Value("a negative multiple"))?;
        Ok(vec![Axis::new(times, 0), Axis::new(size, step)])
    };
    let dims = multiples.iter().enumerate().map(repeated).collect::<Result<_, Reason>>()?;
    Ok(View::new(source, 0, dims, Mode::Plain))
}

/// A view that repeats a tensor along the dimensions it lacks.
///
/// # Errors
/// When it does not broadcast.
pub fn broadcast(source: &[usize], target: &[usize]) -> Result<View, Reason> {
    const MISMATCH: Reason = Reason::Shape("the tensor does not broadcast to the result");
    let missing = target.len().checked_sub(source.len()).ok_or(MISMATCH)?;
    let axis = |(d, &size): (usize, &usize)| {
        let step = match d.checked_sub(missing).map(|d| dim(source, d)).transpose()? {
            Some((length, step)) if length == size => step,
            Some((length, _)) if length != 1 => return Err(MISMATCH),
            _ => 0,
        };
        Ok(Axis::new(size, step))
    };
    Ok(plain(source, 0, target.iter().enumerate().map(axis).collect::<Result<_, _>>()?, Mode::Plain))
}

fn reverse(source: &[usize], axes: &[i64]) -> Result<View, Reason> {
    let axes = unique_axes(axes, source.len()).map_err(|_| Reason::Shape("an axis is outside the tensor"))?;
    let mut offset = 0;
    let mut view = Vec::with_capacity(source.len());
    for d in 0..source.len() {
        let (size, step) = dim(source, d)?;
        if axes.contains(&d) {
            offset += size.saturating_sub(1).cast_signed() * step;
            view.push(Axis::new(size, -step));
        } else {
            view.push(Axis::new(size, step));
        }
    }
    Ok(plain(source, offset, view, Mode::Plain))
}

/// Consecutive parts along an axis, as long as each output has it (or one index, when the axis vanishes).
fn cut(node: &dyn Shapes, source: &[usize], axis: Option<i64>, keeps: bool) -> Result<Vec<Move>, Reason> {
    let axis = axis_of(axis.ok_or(Reason::Shape("the axis is no number"))?, source.len())?;
    let (length, along) = dim(source, axis)?;
    let mut parts = Vec::with_capacity(node.outputs());
    let mut start = 0usize;
    for output in 0..node.outputs() {
        let size = if keeps { node.output(output)?.get(axis).copied().unwrap_or(0) } else { 1 };
        let mut axes = Vec::with_capacity(source.len());
        for d in 0..source.len() {
            let (n, step) = dim(source, d)?;
            if d != axis {
                axes.push(Axis::new(n, step));
            } else if keeps {
                axes.push(Axis::new(size, step));
            }
        }
        let view = plain(source, start.cast_signed() * along, axes, Mode::Plain);
        parts.push(Move { output, view, fill: Fill::Zero });
        start += size;
    }
    if start == length { Ok(parts) } else { Err(Reason::Shape("the parts do not make up the axis")) }
}

fn block(size: i32) -> Result<usize, Reason> {
    usize::try_from(size).ok().filter(|&n| n > 0).ok_or(Reason::Attribute("block_size"))
}

fn nhwc(source: &[usize]) -> Result<([usize; 4], [isize; 4]), Reason> {
    let four = Reason::Shape("not four dimensions");
    let dims = <[usize; 4]>::try_from(source).map_err(|_| four.clone())?;
    Ok((dims, <[isize; 4]>::try_from(steps(source)).map_err(|_| four)?))
}

fn space_to_depth(source: &[usize], block: usize) -> Result<View, Reason> {
    let ([n, h, w, c], [along_n, along_h, along_w, along_c]) = nhwc(source)?;
    let times = block.cast_signed();
    let dims = vec![
        vec![Axis::new(n, along_n)],
        vec![Axis::new(h / block, along_h * times)],
        vec![Axis::new(w / block, along_w * times)],
        vec![Axis::new(block, along_h), Axis::new(block, along_w), Axis::new(c, along_c)],
    ];
    Ok(View::new(source, 0, dims, Mode::Plain))
}

fn depth_to_space(source: &[usize], block: usize) -> Result<View, Reason> {
    let ([n, h, w, c], [along_n, along_h, along_w, along_c]) = nhwc(source)?;
    let channels = c / (block * block);
    let along_column = channels.cast_signed();
    let dims = vec![
        vec![Axis::new(n, along_n)],
        vec![Axis::new(h, along_h), Axis::new(block, along_column * block.cast_signed())],
        vec![Axis::new(w, along_w), Axis::new(block, along_column)],
        vec![Axis::new(channels, along_c)],
    ];
    Ok(View::new(source, 0, dims, Mode::Plain))
}
