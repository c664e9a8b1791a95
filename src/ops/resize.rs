//! RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR.
//!
//! Which pixels an output pixel is made of, and their weights, is computed here for every row and column, with the
//! reference's arithmetic: a kernel that computed positions itself would choose another nearest pixel now and then.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::{
    LowerCtx, LowerError, OpRow, SupportCtx,
    broadcast::{FLOATS, elementwise, known_shapes},
    movement::{MOVABLE, movable},
    tile, types,
};
use crate::{
    kernels::{
        BindingRow, KernelRow,
        ParamType::{self, U32},
        input, output, weights,
    },
    plan::step::WeightData,
    reason::Reason,
    region::{RegionNode, Storage},
};

/// Pairs of texels of a pixel that an invocation makes, where it makes pairs.
const RUN: usize = 8;

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[row("resize_bilinear"), row("resize_nearest")];

const fn row(name: &'static str) -> KernelRow {
    KernelRow { name, file: "resize.wgsl", bindings: BINDINGS, params: PARAMS, epilogue: true, twin: "resize" }
}

const BINDINGS: &[BindingRow] = &[input("src"), weights("taps"), output("dst")];

const PARAMS: &[(&str, ParamType)] = &[
    ("texels", U32),
    ("width", U32),
    ("channels", U32),
    ("in_height", U32),
    ("in_width", U32),
    ("out_height", U32),
    ("out_width", U32),
];

/// Operators of this family.
pub const ROWS: &[OpRow] = &[
    OpRow::new(B::ResizeBilinear, bilinear_support, lower)
        .fuses()
        .steers(&[1])
        .takes("FLOAT32, FLOAT16, BFLOAT16, UINT8")
        .ranks("4")
        .leaves("INT8 and INT16, whose weights are integers"),
    OpRow::new(B::ResizeNearestNeighbor, nearest_support, lower).fuses().steers(&[1]).takes(types::MOVABLE).ranks("4"),
];

/// How positions of the output map to the input.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    align_corners: bool,
    half_pixel: bool,
}

/// The two input indices of an output index and the weight of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

impl Mapping {
    fn of(op: &Op) -> Result<Self, Reason> {
        let (align_corners, half_pixel) = match op {
            Op::ResizeBilinear(options) => (options.align_corners, options.half_pixel_centers),
            Op::ResizeNearestNeighbor(options) => (options.align_corners, options.half_pixel_centers),
            _ => return Err(Reason::UnsupportedOperator),
        };
        if align_corners && half_pixel {
            return Err(Reason::Attribute("half_pixel_centers"));
        }
        Ok(Self { align_corners, half_pixel })
    }

    fn scale(self, input: usize, output: usize) -> f32 {
        if self.align_corners && output > 1 {
            (input as f32 - 1.0) / (output as f32 - 1.0)
        } else {
            input as f32 / output as f32
        }
    }

    fn nearest(self, input: usize, output: usize) -> Vec<Tap> {
        let scale = self.scale(input, output);
        let centre = if self.half_pixel { 0.5 } else { 0.0 };
        let tap = |o: usize| {
            let position = (o as f32 + centre) * scale;
            let rounded = if self.align_corners { position.round() } else { position.floor() };
            let index = within(rounded, input);
            Tap { first: index, second: index, weight: 0.0 }
        };
        (0..output).map(tap).collect()
    }

    fn bilinear(self, input: usize, output: usize) -> Vec<Tap> {
        let scale = self.scale(input, output);
        let tap = |o: usize| {
            let position = if self.half_pixel { (o as f32 + 0.5) * scale - 0.5 } else { o as f32 * scale };
            let first = within(position.floor(), input);
            Tap { first, second: within(position.ceil(), input), weight: position - first as f32 }
        };
        (0..output).map(tap).collect()
    }
}

/// A whole number as an index below `count`.
fn within(position: f32, count: usize) -> usize {
    (position.max(0.0) as usize).min(count.saturating_sub(1))
}

fn shapes(input: &[usize], output: &[usize]) -> Result<([usize; 4], [usize; 4]), Reason> {
    let four = |dims: &[usize]| <[usize; 4]>::try_from(dims).map_err(|_| Reason::Shape("not four dimensions"));
    let (from, to) = (four(input)?, four(output)?);
    if from[0] == to[0] && from[3] == to[3] {
        Ok((from, to))
    } else {
        Err(Reason::Shape("the result has another batch or other channels"))
    }
}

fn nearest_support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, MOVABLE)?;
    movable(ctx, 0)?;
    shapes(ctx.input_dims(0)?, ctx.output_dims(0)?)?;
    Mapping::of(&ctx.node.op).map(|_| ())
}

fn bilinear_support(ctx: &SupportCtx<'_>) -> Result<(), Reason> {
    ctx.input_is(0, &[FLOATS, &[DType::UInt8]].concat())?;
    ctx.output_is(0, &[ctx.input_type(0)?])?;
    known_shapes(ctx)?;
    shapes(ctx.input_dims(0)?, ctx.output_dims(0)?)?;
    Mapping::of(&ctx.node.op).map(|_| ())
}

fn lower(ctx: &mut LowerCtx<'_>, node: &RegionNode) -> Result<(), LowerError> {
    let (src, dst) = (ctx.input(node, 0)?, ctx.output(node, 0)?);
    let mapping = Mapping::of(&node.op)?;
    let ([_, h, w, _], [_, rows, columns, _]) = shapes(ctx.dims(src), ctx.dims(dst))?;
    let bilinear = matches!(node.op, Op::ResizeBilinear(_));
    let of = |n, m| if bilinear { mapping.bilinear(n, m) } else { mapping.nearest(n, m) };
    let key = format!("resize {bilinear} {mapping:?} {h}x{w} {rows}x{columns}");
    let taps = ctx.weights(&key, Storage::I32, || table(of(h, rows).into_iter().chain(of(w, columns))));
    let kernel = if bilinear { "resize_bilinear" } else { "resize_nearest" };
    let result = ctx.region.tensor(dst).texels();
    let texels = tile::texels_at_once(ctx, [src, dst], result.width);
    let invocations = if texels == 2 { result.rows * result.width.div_ceil(2 * RUN) } else { result.count() };
    elementwise(ctx, kernel, node, dst)
        .value("texels", tile::to_i64(texels))
        .value("run", tile::to_i64(RUN))
        .linear(invocations, ctx.tuning.linear_workgroup)
        .tensor("src", src)
        .operand("taps", taps)
        .param("in_height", h)
        .param("in_width", w)
        .param("out_height", rows)
        .param("out_width", columns)
        .fused(&node.fused)
        .finish(ctx)
}

/// A texel per row and then per column of the result: first index, second index, bits of the second's weight.
fn table(taps: impl Iterator<Item = Tap>) -> WeightData {
    let word = |index: usize| i32::try_from(index).unwrap_or(i32::MAX);
    let texel = |tap: Tap| [word(tap.first), word(tap.second), tap.weight.to_bits().cast_signed(), 0];
    WeightData::Int(taps.flat_map(texel).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firsts(taps: &[Tap]) -> Vec<usize> {
        taps.iter().map(|tap| tap.first).collect()
    }

    #[test]
    fn positions_follow_the_options() {
        let plain = Mapping { align_corners: false, half_pixel: false };
        assert_eq!(firsts(&plain.nearest(2, 4)), [0, 0, 1, 1]);
        let corners = Mapping { align_corners: true, half_pixel: false };
        assert_eq!(firsts(&corners.nearest(3, 4)), [0, 1, 1, 2]);
        let centres = Mapping { align_corners: false, half_pixel: true };
        assert_eq!(firsts(&centres.nearest(5, 2)), [1, 3]);
        let taps = centres.bilinear(2, 4);
        assert_eq!(taps[0], Tap { first: 0, second: 0, weight: -0.25 });
        assert_eq!(taps[1], Tap { first: 0, second: 1, weight: 0.25 });
        assert_eq!(taps[3], Tap { first: 1, second: 1, weight: 0.25 });
    }
}
