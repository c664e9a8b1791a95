//! PAD, CONCATENATION and RESIZE_NEAREST_NEIGHBOR: whole runs of bytes, whatever their type.

use tflite_wgpu_model::{ActivationFunctionType, BuiltinOperator, DType, Op, Quant};

use super::{FastKernel, Prepare, Ran, Row, Scratch};
use crate::{
    eval::{EvalCtx, KernelError},
    kernels::resize::Mapping,
};

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::Pad, prepare: pad },
    Row { op: BuiltinOperator::Padv2, prepare: pad },
    Row { op: BuiltinOperator::Concatenation, prepare: concatenation },
    Row { op: BuiltinOperator::ResizeNearestNeighbor, prepare: nearest },
];

/// Bytes of an element; `None` of strings.
fn size_of(dtype: DType) -> Option<usize> {
    if dtype == DType::String { None } else { dtype.size() }
}

struct Pad {
    /// The bytes of an element that pads.
    element: Vec<u8>,
    dtype: DType,
}

/// The value is a constant, or 0 as the output stores it.
fn pad(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let dtype = given.input(0)?.dtype;
    let size = size_of(dtype)?;
    let element = match given.node.inputs.len() {
        3 => given.constant(2).filter(|value| value.value().dtype() == dtype)?.value().bytes().to_vec(),
        _ => {
            let zero = given.output(0)?.quant.as_ref().and_then(Quant::per_tensor).map_or(0, |(_, zero)| zero);
            match dtype {
                DType::Int8 => vec![i8::try_from(zero).ok()?.cast_unsigned()],
                DType::UInt8 => vec![u8::try_from(zero).ok()?],
                DType::Int16 => i16::try_from(zero).ok()?.to_le_bytes().to_vec(),
                _ => vec![0; size],
            }
        }
    };
    (element.len() == size && given.output(0)?.dtype == dtype).then(|| Box::new(Pad { element, dtype }) as _)
}

impl FastKernel for Pad {
    fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (input, list) = (ctx.input(0)?, ctx.ints(1)?);
        let shape = input.shape();
        let pairs: Option<Vec<[usize; 2]>> = list
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[a, b]| Some([usize::try_from(*a).ok()?, usize::try_from(*b).ok()?]))
            .collect();
        let Some(pairs) = pairs.filter(|_| ctx.shape(1).is_ok_and(|found| found == [shape.len(), 2])) else {
            return Ok(Ran::Refused);
        };
        let output = ctx.output_value(0)?;
        let padded = |(&n, &[before, after]): (&usize, &[usize; 2])| n.checked_add(before)?.checked_add(after);
        let expected: Option<Vec<usize>> = shape.iter().zip(&pairs).map(padded).collect();
        let fits = expected.is_some_and(|expected| expected == output.shape());
        if !fits || input.dtype() != self.dtype || output.dtype() != self.dtype {
            return Ok(Ran::Refused);
        }
        let outer = output.shape().to_vec();
        let out = output.bytes_mut();
        match self.element.as_slice() {
            [byte] => out.fill(*byte),
            element if element.iter().all(|&byte| byte == 0) => out.fill(0),
            element => out.chunks_exact_mut(element.len()).for_each(|out| out.copy_from_slice(element)),
        }
        if input.is_empty() {
            return Ok(Ran::Done);
        }
        // Axes behind the last one that is padded belong to one run with it.
        let last = pairs.iter().rposition(|pair| *pair != [0, 0]).unwrap_or(0);
        let bytes = |shape: &[usize]| shape.iter().product::<usize>() * self.element.len();
        let run = bytes(shape.get(last..).unwrap_or_default());
        for (index, from) in input.bytes().chunks_exact(run.max(1)).enumerate() {
            let (mut rest, mut to) = (index, pairs.get(last).map_or(0, |pair| pair[0] * bytes(&outer[last + 1..])));
            for axis in (0..last).rev() {
                to += (rest % shape[axis] + pairs[axis][0]) * bytes(&outer[axis + 1..]);
                rest /= shape[axis];
            }
            out[to..to + from.len()].copy_from_slice(from);
        }
        Ok(Ran::Done)
    }
}

struct Concatenation {
    axis: i32,
    dtype: DType,
}

/// Only copies: no activation, and UINT8 tensors of one scale.
fn concatenation(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::Concatenation(options) = &given.node.op else { return None };
    let output = given.output(0)?;
    size_of(output.dtype)?;
    let same = |i: usize| {
        let input = given.input(i)?;
        let quant = |quant: Option<&Quant>| quant.and_then(Quant::per_tensor);
        let rescaled = input.dtype == DType::UInt8 && quant(input.quant.as_ref()) != quant(output.quant.as_ref());
        (input.dtype == output.dtype && !rescaled).then_some(())
    };
    (0..given.node.inputs.len()).try_for_each(same)?;
    let plain = options.fused_activation_function == ActivationFunctionType::None;
    plain.then(|| Box::new(Concatenation { axis: options.axis, dtype: output.dtype }) as _)
}

impl FastKernel for Concatenation {
    fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let shape = ctx.shape(0)?.to_vec();
        let rank = i32::try_from(shape.len()).unwrap_or(i32::MAX);
        let axis = if self.axis < 0 { self.axis.saturating_add(rank) } else { self.axis };
        let Some(axis) = usize::try_from(axis).ok().filter(|&axis| axis < shape.len()) else { return Ok(Ran::Refused) };
        let mut length = 0usize;
        for i in 0..ctx.inputs.len() {
            let part = ctx.input(i)?;
            let fits = part.dtype() == self.dtype
                && part.shape().len() == shape.len()
                && (0..shape.len()).all(|d| d == axis || part.shape()[d] == shape[d]);
            if !fits {
                return Ok(Ran::Refused);
            }
            length = length.saturating_add(part.shape()[axis]);
        }
        let inputs = ctx.inputs;
        let output = ctx.output_value(0)?;
        let expected = (0..shape.len()).map(|d| if d == axis { length } else { shape[d] });
        if output.dtype() != self.dtype || !expected.eq(output.shape().iter().copied()) {
            return Ok(Ran::Refused);
        }
        let outer: usize = shape[..axis].iter().product();
        let out = output.bytes_mut();
        if out.is_empty() {
            return Ok(Ran::Done);
        }
        let row = out.len() / outer;
        let mut at = 0;
        for input in inputs.iter().flatten() {
            let part = input.bytes().len() / outer;
            for (out, from) in out.chunks_exact_mut(row).zip(input.bytes().chunks_exact(part.max(1))) {
                out[at..at + part].copy_from_slice(from);
            }
            at += part;
        }
        Ok(Ran::Done)
    }
}

struct Nearest {
    mapping: Mapping,
    dtype: DType,
}

fn nearest(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::ResizeNearestNeighbor(options) = &given.node.op else { return None };
    let (input, output) = (given.input(0)?, given.output(0)?);
    size_of(input.dtype)?;
    let mapping = Mapping::new(options.align_corners, options.half_pixel_centers).ok()?;
    (input.dtype == output.dtype).then(|| Box::new(Nearest { mapping, dtype: input.dtype }) as _)
}

impl FastKernel for Nearest {
    fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let (input, size) = (ctx.input(0)?, ctx.ints(1)?);
        let (&[batch, height, width, channels], &[out_height, out_width]) = (input.shape(), size.as_slice()) else {
            return Ok(Ran::Refused);
        };
        let (Ok(out_height), Ok(out_width)) = (usize::try_from(out_height), usize::try_from(out_width)) else {
            return Ok(Ran::Refused);
        };
        let output = ctx.output_value(0)?;
        let fits = input.dtype() == self.dtype
            && output.dtype() == self.dtype
            && output.shape() == [batch, out_height, out_width, channels];
        if !fits || input.is_empty() {
            return Ok(Ran::Refused);
        }
        let out = output.bytes_mut();
        if out.is_empty() {
            return Ok(Ran::Done);
        }
        let (rows, columns) = (self.mapping.nearest(height, out_height), self.mapping.nearest(width, out_width));
        let pixel = input.bytes().len() / (batch * height * width);
        let (from_row, row) = (width * pixel, out_width * pixel);
        for line in 0..batch * out_height {
            let y = line % out_height;
            let (before, out) = out.split_at_mut(line * row);
            let out = &mut out[..row];
            if y > 0 && rows[y] == rows[y - 1] {
                out.copy_from_slice(&before[(line - 1) * row..]);
                continue;
            }
            let from = &input.bytes()[(line / out_height * height + rows[y]) * from_row..][..from_row];
            for (out, &x) in out.chunks_exact_mut(pixel).zip(&columns) {
                out.copy_from_slice(&from[x * pixel..][..pixel]);
            }
        }
        Ok(Ran::Done)
    }
}
