//! STABLEHLO_REDUCE, STABLEHLO_REDUCE_WINDOW and REDUCE_WINDOW.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op, ReduceWindowFunction as Function};

use super::region::{Region, put, scalar};
use super::{axes, indices, out_shape, per_dimension, positive};
use crate::kernels::checks::wrong_operator;
use crate::kernels::elements::strides;
use crate::kernels::support::{no_type, refuse};
use crate::kernels::{Element, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::StablehloReduce, eval: reduce },
    Row { op: B::StablehloReduceWindow, eval: reduce_window },
    Row { op: B::ReduceWindow, eval: plain_reduce_window },
];

/// Inputs: the operands, then a start value for each. The region takes what is gathered so far, then the elements.
fn reduce(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloReduce(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let count = ctx.inputs.len() / 2;
    if count == 0 || ctx.outputs.len() != count {
        return Err(refuse("number of outputs", ctx.outputs.len(), format!("half of {} inputs", ctx.inputs.len())));
    }
    let shape = ctx.shape(0)?;
    let reduced = axes("dimensions", &options.dimensions, shape.len())?;
    let mut region = Region::new(ctx, options.body_subgraph_index, 2 * count, count)?;
    let target = out_shape(ctx, 0)?;
    let steps = strides(&target);
    for i in 0..count {
        let start = scalar(ctx.input(count + i)?, 0)?;
        for at in 0..ctx.output_value(i)?.len() {
            put(ctx.output_value(i)?, at, &start)?;
        }
    }
    let mut at = vec![0; shape.len()];
    for element in 0..ctx.input(0)?.len() {
        indices(element, shape, &mut at);
        let kept = at.iter().enumerate().filter(|(d, _)| !reduced.contains(d)).map(|(_, i)| i);
        let to: usize = kept.zip(&steps).map(|(i, step)| i * step).sum();
        for i in 0..count {
            region.give(i, ctx.output_value(i)?, to)?;
            region.give(count + i, ctx.input(i)?, element)?;
        }
        region.run()?;
        for i in 0..count {
            put(ctx.output_value(i)?, to, region.result(i)?)?;
        }
    }
    Ok(())
}

/// Windows over an input that may be spread out and padded.
struct Windows {
    shape: Vec<usize>,
    window: Vec<usize>,
    strides: Vec<usize>,
    base: Vec<usize>,
    dilations: Vec<usize>,
    low: Vec<i64>,
}

impl Windows {
    /// Calls `visit` with the input's elements under the window at a cell of the output, in memory order; padding and
    /// what lies between spread elements is left out.
    fn visit(
        &self,
        cell: &[usize],
        mut visit: impl FnMut(usize) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        let steps = strides(&self.shape);
        let along: Vec<Vec<usize>> = (0..cell.len()).map(|d| self.along(d, cell[d], steps[d])).collect();
        let lengths: Vec<usize> = along.iter().map(Vec::len).collect();
        let mut at = vec![0; along.len()];
        for number in 0..lengths.iter().product() {
            indices(number, &lengths, &mut at);
            visit(along.iter().zip(&at).map(|(offsets, &i)| offsets[i]).sum())?;
        }
        Ok(())
    }

    /// Offsets of the input's elements under the window at place `cell` of dimension `d`. A window may be much larger
    /// than the input, and the input smaller than the window: the shorter one is walked.
    fn along(&self, d: usize, cell: usize, step: usize) -> Vec<usize> {
        let wide = |number: usize| number as i128;
        let (size, window) = (self.shape[d], self.window[d]);
        let (base, dilation) = (wide(self.base[d]), wide(self.dilations[d]));
        // Where the window begins, counted from the input's first element.
        let start = wide(cell) * wide(self.strides[d]) - i128::from(self.low[d]);
        let offset = |i: i128| usize::try_from(i).ok().filter(|&i| i < size).map(|i| i * step);
        if window <= size {
            let taps = (0..window).map(|tap| start + wide(tap) * dilation);
            return taps.filter(|at| at % base == 0).filter_map(|at| offset(at / base)).collect();
        }
        let taps = (0..size).filter(|&i| {
            let from_start = wide(i) * base - start;
            from_start % dilation == 0 && (0..wide(window)).contains(&(from_start / dilation))
        });
        taps.map(|i| i * step).collect()
    }
}

fn reduce_window(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloReduceWindow(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    if ctx.inputs.len() != 2 {
        return Err(refuse("number of inputs", ctx.inputs.len(), "an operand and a start value"));
    }
    let shape = ctx.shape(0)?;
    let rank = shape.len();
    let or_ones =
        |what: &str, list: &[i64]| if list.is_empty() { Ok(vec![1; rank]) } else { positive(what, list, rank) };
    let low = match options.padding.as_slice() {
        [] => vec![0; rank],
        list => per_dimension("padding", list, 2 * rank)?.iter().step_by(2).copied().collect(),
    };
    let windows = Windows {
        shape: shape.to_vec(),
        window: positive("window_dimensions", &options.window_dimensions, rank)?,
        strides: or_ones("window_strides", &options.window_strides)?,
        base: or_ones("base_dilations", &options.base_dilations)?,
        dilations: or_ones("window_dilations", &options.window_dilations)?,
        low,
    };
    let mut region = Region::new(ctx, options.body_subgraph_index, 2, 1)?;
    let (input, start) = (ctx.input(0)?, scalar(ctx.input(1)?, 0)?);
    let target = out_shape(ctx, 0)?;
    let mut cell = vec![0; rank];
    for to in 0..ctx.output_value(0)?.len() {
        indices(to, &target, &mut cell);
        let mut gathered = start.clone();
        windows.visit(&cell, |from| {
            // Padding would have the start value, which changes nothing.
            region.give(0, &gathered, 0)?;
            region.give(1, input, from)?;
            region.run()?;
            gathered.clone_from(region.result(0)?);
            Ok(())
        })?;
        put(ctx.output_value(0)?, to, &gathered)?;
    }
    Ok(())
}

/// Inputs: operand, start value, window, strides, dilations.
fn plain_reduce_window(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::ReduceWindow(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let function = options.reduce_function;
    macro_rules! number {
        ($ty:ty, $add:expr, $mul:expr) => {
            match function {
                Function::Add => fold::<$ty>(ctx, $add),
                Function::Mul => fold::<$ty>(ctx, $mul),
                Function::Minimum => fold::<$ty>(ctx, |a, b| if b < a { b } else { a }),
                Function::Maximum => fold::<$ty>(ctx, |a, b| if a < b { b } else { a }),
                other => Err(refuse("reduce_function", format!("{other:?}"), "ADD, MUL, MINIMUM or MAXIMUM")),
            }
        };
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => number!(f32, |a, b| a + b, |a, b| a * b),
        DType::Float64 => number!(f64, |a, b| a + b, |a, b| a * b),
        DType::Int8 => number!(i8, i8::wrapping_add, i8::wrapping_mul),
        DType::UInt8 => number!(u8, u8::wrapping_add, u8::wrapping_mul),
        DType::Int16 => number!(i16, i16::wrapping_add, i16::wrapping_mul),
        DType::Int32 => number!(i32, i32::wrapping_add, i32::wrapping_mul),
        DType::Int64 => number!(i64, i64::wrapping_add, i64::wrapping_mul),
        DType::Bool => match function {
            Function::All => fold::<u8>(ctx, |a, b| u8::from(a != 0 && b != 0)),
            Function::Any => fold::<u8>(ctx, |a, b| u8::from(a != 0 || b != 0)),
            other => Err(refuse("reduce_function", format!("{other:?}"), "ALL or ANY")),
        },
        _ => Err(no_type(ctx, 0, "FLOAT32, FLOAT64, a signed integer type, UINT8 or BOOL")),
    }
}

fn fold<T: Element>(ctx: &mut EvalCtx<'_>, f: fn(T, T) -> T) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    let rank = shape.len();
    let windows = Windows {
        shape: shape.to_vec(),
        window: positive("window", &ctx.ints(2)?, rank)?,
        strides: positive("strides", &ctx.ints(3)?, rank)?,
        base: vec![1; rank],
        dilations: positive("dilations", &ctx.ints(4)?, rank)?,
        low: vec![0; rank],
    };
    let &[start] = ctx.slice::<T>(1)? else { return Err(refuse("elements of input 1", ctx.input(1)?.len(), "1")) };
    let (input, target) = (ctx.slice::<T>(0)?, out_shape(ctx, 0)?);
    let mut cell = vec![0; rank];
    for (to, out) in ctx.output::<T>(0)?.iter_mut().enumerate() {
        indices(to, &target, &mut cell);
        *out = start;
        windows.visit(&cell, |from| {
            if let Some(&x) = input.get(from) {
                *out = f(*out, x);
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(size: usize, window: usize, [base, dilation, stride]: [usize; 3], low: i64) -> Windows {
        Windows {
            shape: vec![size],
            window: vec![window],
            strides: vec![stride],
            base: vec![base],
            dilations: vec![dilation],
            low: vec![low],
        }
    }

    #[test]
    fn elements_under_a_window() {
        let found = |windows: &Windows, cell| windows.along(0, cell, 1);
        let narrow = windows(5, 3, [1, 2, 2], 1);
        assert_eq!([found(&narrow, 0), found(&narrow, 1)], [vec![1, 3], vec![1, 3]]);
        // Elements 0, 2, 4 are the input's, those between are not.
        let spread = windows(3, 3, [2, 1, 1], 0);
        assert_eq!([found(&spread, 0), found(&spread, 1)], [vec![0, 1], vec![1]]);
        // More taps than elements: the same as a walk over all taps.
        for (base, dilation, stride, low) in [(1, 1, 1, 4), (2, 3, 2, 5), (3, 2, 1, 0), (2, 2, 3, -1)] {
            let wide = windows(4, 9, [base, dilation, stride], low);
            for cell in 0..3 {
                let taps = (0..9).map(|tap| (cell * stride + tap * dilation) as i64 - low);
                let inside = taps.filter(|at| *at >= 0 && at % base as i64 == 0 && at / (base as i64) < 4);
                let expected: Vec<usize> = inside.map(|at| at as usize / base).collect();
                assert_eq!(found(&wide, cell), expected, "{base} {dilation} {stride} {low}, cell {cell}");
            }
        }
    }

    #[test]
    fn endless_windows_cost_no_more_than_their_input() {
        let endless = windows(7, 1 << 60, [1 << 56, 1, 1 << 45], -1);
        assert_eq!(endless.along(0, 1 << 17, 3), [] as [usize; 0]);
        assert_eq!(windows(7, 1 << 60, [1 << 56, 1, 1], 0).along(0, 0, 3), [0, 3, 6, 9, 12, 15, 18]);
    }
}
