//! Rows of tables by number or key: EMBEDDING_LOOKUP, EMBEDDING_LOOKUP_SPARSE, HASHTABLE_LOOKUP; and UNIQUE and
//! BUCKETIZE, which number values.

use std::collections::HashMap;

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, CombinerType, DType, Op};

use super::checks::{shape_output, size, write_ints, wrong_operator};
use super::elements::{Axis, copy, count};
use super::support::{check_len, float_weights, no_type, refuse};
use super::{Element, EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::EmbeddingLookup, eval: embedding },
    Row { op: B::EmbeddingLookupSparse, eval: embedding_sparse },
    Row { op: B::HashtableLookup, eval: hashtable },
    Row { op: B::Unique, eval: unique },
    Row { op: B::Bucketize, eval: bucketize },
];

/// Numbers of rows of a table of `rows`.
fn row_numbers(numbers: &[i64], rows: usize) -> Result<Vec<usize>, KernelError> {
    let number = |&n: &i64| {
        let row = usize::try_from(n).ok().filter(|&row| row < rows);
        row.ok_or_else(|| refuse("a row", n, format!("less than {rows}")))
    };
    numbers.iter().map(number).collect()
}

/// Elements of one row of a table.
fn row_len(shape: &[usize]) -> Result<usize, KernelError> {
    match shape.split_first() {
        Some((_, row)) => count(row),
        None => Err(refuse("the rank of the table", 0, "1 or more")),
    }
}

/// Integer tables become floats where the output is one.
fn embedding(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (ids, shape) = (ctx.ints(0)?, ctx.shape(1)?);
    let len = row_len(shape)?;
    let rows = row_numbers(&ids, shape[0])?;
    let out_shape = [&[rows.len()], &shape[1..]].concat();
    shape_output(ctx, 0, &out_shape)?;
    let table = ctx.input(1)?;
    if ctx.output_value(0)?.dtype() == DType::Float32 && table.dtype() != DType::Float32 {
        let real = float_weights(ctx, 1)?;
        for (out, row) in ctx.output::<f32>(0)?.chunks_exact_mut(len.max(1)).zip(rows) {
            out.copy_from_slice(&real[row * len..][..len]);
        }
        return Ok(());
    }
    let from = rows.iter().map(|row| row * len).collect();
    let to = (0..rows.len()).map(|i| i * len).collect();
    let inner = Axis { from: (0..len).collect(), to: (0..len).collect() };
    copy(table, ctx.output_value(0)?, &[Axis { from, to }, inner])
}

/// Inputs: ids, their places, the dense shape, weights, the table. Rows of one place are summed by weight.
fn embedding_sparse(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::EmbeddingLookupSparse(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let shape = ctx.shape(4)?;
    let len = row_len(shape)?;
    let rows = row_numbers(&ctx.ints(0)?, shape[0])?;
    let dense = ctx.ints(2)?.into_iter().map(|d| size("a dimension", d)).collect::<Result<Vec<_>, _>>()?;
    let Some((_, lead)) = dense.split_last() else {
        return Err(refuse("the dense shape", "[]", "1 dimension or more"));
    };
    let (places, weights, table) = (ctx.ints(1)?, ctx.slice::<f32>(3)?, ctx.slice::<f32>(4)?);
    check_len(&places, rows.len() * dense.len(), "input 1")?;
    check_len(weights, rows.len(), "input 3")?;
    let groups = count(lead)?;
    let out_shape = [lead, &shape[1..]].concat();
    shape_output(ctx, 0, &out_shape)?;
    let out = ctx.output::<f32>(0)?;
    out.fill(0.0);
    let mut totals = vec![0f32; groups];
    for ((place, &row), &weight) in places.chunks_exact(dense.len()).zip(&rows).zip(weights) {
        let mut group = 0;
        for (&at, &size) in place.iter().zip(lead) {
            let at = usize::try_from(at).ok().filter(|&at| at < size);
            group =
                group * size + at.ok_or_else(|| refuse("a place", format!("{place:?}"), format!("within {lead:?}")))?;
        }
        totals[group] += if options.combiner == CombinerType::Sqrtn { weight * weight } else { weight };
        let sums = out[group * len..][..len].iter_mut();
        sums.zip(&table[row * len..][..len]).for_each(|(sum, x)| *sum += weight * x);
    }
    for (out, total) in out.chunks_exact_mut(len.max(1)).zip(totals) {
        let divisor = match options.combiner {
            CombinerType::Sum => 1.0,
            CombinerType::Mean => total,
            CombinerType::Sqrtn => total.sqrt(),
        };
        if divisor != 0.0 {
            out.iter_mut().for_each(|v| *v /= divisor);
        }
    }
    Ok(())
}

/// Inputs: what is looked up, the keys, a row per key. Rows that are not found stay zero (empty).
fn hashtable(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let (lookups, keys, shape) = (ctx.ints(0)?, ctx.ints(1)?, ctx.shape(2)?);
    let len = row_len(shape)?;
    check_len(&keys, shape[0], "input 1")?;
    let mut places = HashMap::with_capacity(keys.len());
    keys.iter().enumerate().for_each(|(row, key)| _ = places.entry(*key).or_insert(row));
    let found: Vec<Option<usize>> = lookups.iter().map(|key| places.get(key).copied()).collect();
    let out_shape = [&[lookups.len()], &shape[1..]].concat();
    ctx.set_output(0, &out_shape)?;
    shape_output(ctx, 1, &[lookups.len()])?;
    let hits: Vec<(usize, usize)> = found.iter().enumerate().filter_map(|(i, row)| Some((i, (*row)?))).collect();
    let from = hits.iter().map(|(_, row)| row * len).collect();
    let to = hits.iter().map(|(i, _)| i * len).collect();
    let inner = Axis { from: (0..len).collect(), to: (0..len).collect() };
    copy(ctx.input(2)?, ctx.output_value(0)?, &[Axis { from, to }, inner])?;
    ctx.output::<u8>(1)?.iter_mut().zip(found).for_each(|(out, row)| *out = row.is_some().into());
    Ok(())
}

/// The values in the order in which they first occur, and for each element the number of its value.
fn unique(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Element, K: std::hash::Hash + Eq>(ctx: &mut EvalCtx<'_>, key: fn(T) -> K) -> Result<(), KernelError> {
        let input = ctx.slice::<T>(0)?;
        let (mut numbers, mut values) = (HashMap::new(), Vec::new());
        let mut places = Vec::with_capacity(input.len());
        for &x in input {
            let number = *numbers.entry(key(x)).or_insert_with(|| {
                values.push(x);
                values.len() - 1
            });
            places.push(i64::try_from(number).unwrap_or(i64::MAX));
        }
        ctx.set_output(0, &[values.len()])?;
        ctx.output::<T>(0)?.copy_from_slice(&values);
        shape_output(ctx, 1, &[places.len()])?;
        write_ints(ctx, 1, &places)
    }
    match ctx.input(0)?.dtype() {
        // Both zeros are one value.
        DType::Float32 => of(ctx, |x: f32| if x == 0.0 { 0 } else { x.to_bits() }),
        DType::Int8 => of(ctx, |x: i8| x),
        DType::UInt8 => of(ctx, |x: u8| x),
        DType::Int16 => of(ctx, |x: i16| x),
        DType::Int32 => of(ctx, |x: i32| x),
        DType::Int64 => of(ctx, |x: i64| x),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8, UINT8, INT16, INT32 or INT64")),
    }
}

/// How many of the boundaries, which rise, each element reaches.
fn bucketize(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fn of<T: Element>(ctx: &mut EvalCtx<'_>, below: fn(T, f32) -> bool) -> Result<(), KernelError> {
        let Op::Bucketize(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
        let boundaries = options.boundaries.as_slice();
        if boundaries.windows(2).any(|pair| pair[1] < pair[0]) {
            return Err(refuse("boundaries", format!("{boundaries:?}"), "rising numbers"));
        }
        let shape = ctx.shape(0)?;
        shape_output(ctx, 0, shape)?;
        let bucket = |&x: &T| boundaries.partition_point(|&boundary| !below(x, boundary)) as i64;
        let buckets: Vec<i64> = ctx.slice::<T>(0)?.iter().map(bucket).collect();
        write_ints(ctx, 0, &buckets)
    }
    match ctx.input(0)?.dtype() {
        DType::Float32 => of(ctx, |x: f32, boundary| x < boundary),
        DType::Float64 => of(ctx, |x: f64, boundary| x < boundary.into()),
        DType::Int32 => of(ctx, |x: i32, boundary| (x as f32) < boundary),
        DType::Int64 => of(ctx, |x: i64, boundary| (x as f32) < boundary),
        _ => Err(no_type(ctx, 0, "FLOAT32, FLOAT64, INT32 or INT64")),
    }
}
