//! STABLEHLO_SORT: elements along one dimension, of one or several tensors alike, by a comparator.

use half::{bf16, f16};
use tflite_wgpu_model::{
    BuiltinOperator, DType, Graph, Op, StablehloComparisonDirection as Direction, StablehloComparisonType as Comparison,
};

use super::axes;
use super::elementwise::{holds, total};
use super::region::Region;
use crate::kernels::checks::wrong_operator;
use crate::kernels::elements::{Axis, copy, strides};
use crate::kernels::support::refuse;
use crate::kernels::{Element, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::StablehloSort, eval }];

fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloSort(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let shape = ctx.shape(0)?;
    let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
    let dimension = if options.dimension < 0 { options.dimension + rank } else { options.dimension };
    let axis = axes("dimension", &[dimension], shape.len())?[0];
    for i in 1..ctx.inputs.len() {
        if ctx.shape(i)? != shape {
            return Err(refuse(format!("shape of input {i}"), format!("{:?}", ctx.shape(i)?), format!("{shape:?}")));
        }
    }
    let mut region = Region::new(ctx, options.comparator_subgraph_index, 2 * ctx.inputs.len(), 1)?;
    let (length, step) = (shape[axis], strides(shape)[axis]);
    let mut from = vec![0; ctx.input(0)?.len()];
    let simple = simple_order(ctx, region.graph())?;
    for line in 0..from.len() / length.max(1) {
        let first = line / step * step * length + line % step;
        let mut order: Vec<usize> = (0..length).map(|i| first + i * step).collect();
        match &simple {
            Some(before) => sort(&mut order, |a, b| Ok(before(a, b)))?,
            None => sort(&mut order, |a, b| compare(ctx, &mut region, a, b))?,
        }
        order.iter().enumerate().for_each(|(i, &place)| from[first + i * step] = place);
    }
    let to: Vec<usize> = (0..from.len()).collect();
    for i in 0..ctx.inputs.len() {
        copy(ctx.input(i)?, ctx.output_value(i)?, &[Axis { from: from.clone(), to: to.clone() }])?;
    }
    Ok(())
}

/// Whether the element at one place goes before that at another.
type Before<'a> = Box<dyn Fn(usize, usize) -> bool + 'a>;

/// What a comparator means that is one STABLEHLO_COMPARE of both elements of an operand; `None` for others.
fn simple_order<'a>(ctx: &EvalCtx<'a>, graph: &Graph) -> Result<Option<Before<'a>>, KernelError> {
    let ([node], &[result]) = (graph.nodes.as_slice(), graph.outputs.as_slice()) else { return Ok(None) };
    let Op::StablehloCompare(options) = &node.op else { return Ok(None) };
    let (&[Some(left), Some(right)], &[Some(output)]) = (node.inputs.as_slice(), node.outputs.as_slice()) else {
        return Ok(None);
    };
    let place = |tensor| {
        let mut places = graph.inputs.iter().enumerate().filter(|(_, input)| **input == tensor).map(|(i, _)| i);
        places.next().filter(|_| places.next().is_none())
    };
    let is_bool = graph.tensors.get(output.index()).is_some_and(|tensor| tensor.dtype == DType::Bool);
    let (Some(left), Some(right)) = (place(left), place(right)) else { return Ok(None) };
    if output != result || !is_bool || place(output).is_some() || left == right || left / 2 != right / 2 {
        return Ok(None);
    }
    by_type(ctx, left / 2, (options.compare_type, options.comparison_direction), left > right)
}

/// The order of operand `i`'s elements; `swapped` where the comparator names the second one first.
fn by_type<'a>(
    ctx: &EvalCtx<'a>,
    i: usize,
    (kind, direction): (Comparison, Direction),
    swapped: bool,
) -> Result<Option<Before<'a>>, KernelError> {
    fn of<'a, T: Element + PartialOrd>(
        ctx: &EvalCtx<'a>,
        i: usize,
        direction: Direction,
        swapped: bool,
    ) -> Result<Option<Before<'a>>, KernelError> {
        let values = ctx.slice::<T>(i)?;
        Ok(Some(Box::new(move |a, b| {
            let (a, b) = if swapped { (b, a) } else { (a, b) };
            holds(direction, values[a], values[b]) != 0
        })))
    }
    let dtype = ctx.input(i)?.dtype();
    if kind == Comparison::FloatTotalOrder {
        if dtype != DType::Float32 {
            return Ok(None);
        }
        let values = ctx.slice::<f32>(i)?;
        return Ok(Some(Box::new(move |a, b| {
            let (a, b) = if swapped { (b, a) } else { (a, b) };
            holds(direction, total(values[a]), total(values[b])) != 0
        })));
    }
    match dtype {
        DType::Float32 => of::<f32>(ctx, i, direction, swapped),
        DType::Float16 => of::<f16>(ctx, i, direction, swapped),
        DType::BFloat16 => of::<bf16>(ctx, i, direction, swapped),
        DType::Float64 => of::<f64>(ctx, i, direction, swapped),
        DType::Bool | DType::UInt8 => of::<u8>(ctx, i, direction, swapped),
        DType::UInt16 => of::<u16>(ctx, i, direction, swapped),
        DType::UInt32 => of::<u32>(ctx, i, direction, swapped),
        DType::UInt64 => of::<u64>(ctx, i, direction, swapped),
        DType::Int8 => of::<i8>(ctx, i, direction, swapped),
        DType::Int16 => of::<i16>(ctx, i, direction, swapped),
        DType::Int32 => of::<i32>(ctx, i, direction, swapped),
        DType::Int64 => of::<i64>(ctx, i, direction, swapped),
        _ => Ok(None),
    }
}

/// What the comparator says of the elements at two places.
fn compare(ctx: &EvalCtx<'_>, region: &mut Region<'_>, a: usize, b: usize) -> Result<bool, KernelError> {
    for i in 0..ctx.inputs.len() {
        region.give(2 * i, ctx.input(i)?, a)?;
        region.give(2 * i + 1, ctx.input(i)?, b)?;
    }
    region.run()?;
    Ok(region.result(0)?.bytes().first().is_some_and(|&byte| byte != 0))
}

/// A stable sort of places by what goes before what; the first error ends it. It merges, so that an order that contradicts
/// itself does no harm.
fn sort(
    places: &mut [usize],
    mut before: impl FnMut(usize, usize) -> Result<bool, KernelError>,
) -> Result<(), KernelError> {
    let mut merged = Vec::with_capacity(places.len());
    let mut width = 1;
    while width < places.len() {
        for run in places.chunks_mut(2 * width) {
            let (left, right) = run.split_at(width.min(run.len()));
            let (mut i, mut j) = (0, 0);
            merged.clear();
            while i < left.len() && j < right.len() {
                if before(right[j], left[i])? {
                    merged.push(right[j]);
                    j += 1;
                } else {
                    merged.push(left[i]);
                    i += 1;
                }
            }
            merged.extend_from_slice(&left[i..]);
            merged.extend_from_slice(&right[j..]);
            run.copy_from_slice(&merged);
        }
        width *= 2;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{GraphBuilder, ModelBuilder, StablehloCompareOptions, StablehloSortOptions};

    use super::*;
    use crate::{Interpreter, Model, Value};

    type Res<T> = Result<T, Box<dyn std::error::Error>>;

    /// Sorts by an operand's elements; with `plain` the comparator has a second node that changes nothing.
    fn sorted(compare: (Comparison, Direction, bool), plain: bool, values: &[Value]) -> Res<Vec<Value>> {
        let mut comparator = GraphBuilder::new();
        let names = ["a", "b", "c", "d"];
        let dtype = |i: usize| values.get(i / 2).map_or(DType::Float32, Value::dtype);
        let ids: Vec<_> = (0..2 * values.len()).map(|i| comparator.input(names[i], dtype(i), &[])).collect();
        let (kind, direction, swapped) = compare;
        let options = StablehloCompareOptions { comparison_direction: direction, compare_type: kind };
        let operands = if swapped { [Some(ids[1]), Some(ids[0])] } else { [Some(ids[0]), Some(ids[1])] };
        let mut result = comparator.op(Op::StablehloCompare(options), &operands, &[("less", DType::Bool, &[])]);
        if plain {
            result = comparator.op(Op::StablehloOr, &[Some(result), Some(result)], &[("same", DType::Bool, &[])]);
        }
        comparator.output(result);
        let mut graph = GraphBuilder::new();
        let inputs: Vec<_> =
            values.iter().enumerate().map(|(i, v)| Some(graph.input(names[i], v.dtype(), v.shape()))).collect();
        let outputs: Vec<_> = values.iter().enumerate().map(|(i, v)| (names[i + 2], v.dtype(), v.shape())).collect();
        let options = StablehloSortOptions { dimension: 1, is_stable: true, comparator_subgraph_index: 1 };
        let first = graph.op(Op::StablehloSort(options), &inputs, &outputs);
        for i in 0..values.len() {
            graph.output(tflite_wgpu_model::TensorId::from_index(first.index() + i));
        }
        let model = Model::new(ModelBuilder::new().subgraph(graph).subgraph(comparator).program())?;
        let mut interpreter = Interpreter::builder(&model).build()?;
        for (i, value) in values.iter().enumerate() {
            interpreter.set_input(i, value.clone())?;
        }
        interpreter.invoke()?;
        (0..values.len()).map(|i| Ok(interpreter.output(i)?.clone())).collect()
    }

    #[test]
    fn a_simple_comparator_sorts_as_when_it_is_run() -> Res<()> {
        let mut numbers: Vec<f32> = (0..120).map(|i| ((i * 7919) % 17) as f32 - 8.0).collect();
        for (i, special) in [(3, f32::NAN), (50, -f32::NAN), (51, -0.0), (70, 0.0), (99, f32::NEG_INFINITY)] {
            numbers[i] = special;
        }
        let places: Vec<i32> = (0..120).collect();
        let values = [Value::f32(&[2, 60], &numbers)?, Value::i32(&[2, 60], &places)?];
        for kind in [Comparison::Float, Comparison::FloatTotalOrder] {
            for direction in [Direction::Lt, Direction::Gt, Direction::Le, Direction::Ge, Direction::Eq, Direction::Ne]
            {
                for swapped in [false, true] {
                    let case = (kind, direction, swapped);
                    let (fast, slow) = (sorted(case, false, &values)?, sorted(case, true, &values)?);
                    assert_eq!(fast, slow, "{case:?}");
                }
            }
        }
        let total = sorted((Comparison::FloatTotalOrder, Direction::Lt, false), false, &values)?;
        let found = total[0].as_slice::<f32>()?;
        assert!(found[..60].windows(2).all(|pair| super::total(pair[0]) <= super::total(pair[1])), "{found:?}");
        assert_ne!(total[1].as_slice::<i32>()?, places);
        let integers = [Value::i32(&[1, 5], &[3, -1, 2, -1, 0])?];
        let down = sorted((Comparison::Signed, Direction::Gt, false), false, &integers)?;
        assert_eq!(down[0].as_slice::<i32>()?, [3, 2, 0, -1, -1]);
        Ok(())
    }

    #[test]
    fn many_elements_are_no_matter_for_a_simple_comparator() -> Res<()> {
        let numbers: Vec<i32> = (0..49_000).map(|i| (i * 7919) % 49_000).collect();
        let values = [Value::i32(&[1, 49_000], &numbers)?];
        let case = (Comparison::Signed, Direction::Lt, false);
        let found = sorted(case, false, &values)?;
        assert!(found[0].as_slice::<i32>()?.iter().copied().eq(0..49_000));
        let error = sorted(case, true, &values).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("nodes to run for one operator")));
        Ok(())
    }
}
