//! Operators that pick or place elements by index or key.

use BuiltinOperator as B;

use crate::{BuiltinOperator, Op};

use super::args::{Args, Stop, invalid, one};
use super::{InferError, OutputShapes, Row, normalize_axis};

pub(super) const ROWS: &[Row] = &[
    (B::Gather, gather),
    (B::GatherNd, gather_nd),
    (B::ScatterNd, scatter_nd),
    (B::SparseToDense, sparse_to_dense),
    (B::OneHot, one_hot),
    (B::EmbeddingLookup, embedding_lookup),
    (B::EmbeddingLookupSparse, embedding_lookup_sparse),
    (B::HashtableLookup, hashtable_lookup),
    (B::Hashtable, handle),
    (B::HashtableFind, keys),
    (B::HashtableSize, handle),
    (B::Unique, unique),
    (B::NonMaxSuppressionV4, non_max_suppression),
    (B::NonMaxSuppressionV5, non_max_suppression),
    (B::LshProjection, lsh_projection),
];

/// The indices' shape takes the place of one dimension; the first `batch_dims` are common to both.
fn gather(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::Gather(o) = a.op() else { return Err(Stop::Unknown) };
    one(gathered(a.shape(0)?, a.shape(1)?, o.axis.into(), o.batch_dims.into())?)
}

/// Shape of GATHER; a negative `batch_dims` counts from the end of the indices' shape.
fn gathered(values: &[usize], indices: &[usize], axis: i64, batch_dims: i64) -> Result<Vec<usize>, InferError> {
    let axis = normalize_axis(axis, values.len())?;
    let batch = match batch_dims {
        0 => 0,
        batch if usize::try_from(batch) == Ok(indices.len()) => indices.len(),
        batch => normalize_axis(batch, indices.len())
            .map_err(|_| InferError::new(format!("batch_dims {batch}"), format!("at most rank {}", indices.len())))?,
    };
    if batch > axis {
        return Err(InferError::new(format!("batch_dims {batch}"), format!("at most axis {axis}")));
    }
    if values[..batch] != indices[..batch] {
        let expected = format!("{batch} equal leading dimensions");
        return Err(InferError::new(format!("shapes {values:?} and {indices:?}"), expected));
    }
    Ok([&values[..axis], &indices[batch..], &values[axis + 1..]].concat())
}

/// Indices `[…, k]`: each picks a slice of what the first `k` dimensions leave.
fn gather_nd(a: &Args) -> Result<OutputShapes, Stop> {
    let (values, indices) = (a.shape(0)?, a.shape(1)?);
    let rest = indices.split_last().and_then(|(&depth, outer)| Some((outer, values.get(depth..)?)));
    let Some((outer, slice)) = rest else {
        let expected = format!("a last dimension of at most {}", values.len());
        return Err(InferError::new(format!("shape {indices:?}"), expected).at(1).into());
    };
    one([outer, slice].concat())
}

/// Inputs: indices `[…, k]`, updates, the output's shape.
fn scatter_nd(a: &Args) -> Result<OutputShapes, Stop> {
    let (indices, updates) = (a.shape(0)?, a.shape(1)?);
    let shape = a.sizes(2)?;
    let needed = indices.split_last().and_then(|(&depth, outer)| Some([outer, shape.get(depth..)?].concat()));
    if needed.as_deref() != Some(updates) {
        let found = format!("indices {indices:?} and updates {updates:?}");
        return invalid(found, format!("updates of slices of {shape:?}"));
    }
    one(shape)
}

/// Inputs: indices, the output's shape, values, default.
fn sparse_to_dense(a: &Args) -> Result<OutputShapes, Stop> {
    one(a.sizes(1)?)
}

/// A new dimension of the depth in input 1, last when the axis is −1.
fn one_hot(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::OneHot(o) = a.op() else { return Err(Stop::Unknown) };
    let mut shape = a.shape(0)?.to_vec();
    let axis = match o.axis {
        -1 => shape.len(),
        axis => usize::try_from(axis)
            .ok()
            .filter(|&axis| axis <= shape.len())
            .ok_or_else(|| InferError::new(format!("axis {axis}"), format!("-1 or at most {}", shape.len())))?,
    };
    shape.insert(axis, a.size(1)?);
    one(shape)
}

/// Rows of input 1 by the numbers in input 0.
fn embedding_lookup(a: &Args) -> Result<OutputShapes, Stop> {
    let [ids] = a.dims(0)?;
    one(rows(a, 1, ids)?)
}

/// `count` rows of input `i`.
fn rows(a: &Args, i: usize, count: usize) -> Result<Vec<usize>, Stop> {
    let table = a.shape(i)?;
    match table.split_first() {
        Some((_, row)) => Ok([&[count], row].concat()),
        None => Err(InferError::new("a scalar", "rank 1 or more").at(i).into()),
    }
}

/// Inputs: ids, their places `[n, k]`, the dense shape `[k]`, weights, the table: the dense shape without its last
/// dimension, then a row's shape.
fn embedding_lookup_sparse(a: &Args) -> Result<OutputShapes, Stop> {
    let table = a.shape(4)?;
    let dense = a.sizes(2)?;
    let (Some((_, outer)), Some((_, row))) = (dense.split_last(), table.split_first()) else {
        return invalid(format!("dense shape {dense:?} and table {table:?}"), "rank 1 or more");
    };
    one([outer, row].concat())
}

/// Inputs: lookups, keys, values: a row per lookup, and whether it was found.
fn hashtable_lookup(a: &Args) -> Result<OutputShapes, Stop> {
    let [lookups] = a.dims(0)?;
    Ok(vec![Some(rows(a, 2, lookups)?), Some(vec![lookups])])
}

/// One element: a table's handle or its size.
fn handle(_: &Args) -> Result<OutputShapes, Stop> {
    one(vec![1])
}

/// A value per key in input 1.
fn keys(a: &Args) -> Result<OutputShapes, Stop> {
    one(a.shape(1)?.to_vec())
}

/// How many different values there are shows when the kernel runs; each input element has its position there.
fn unique(a: &Args) -> Result<OutputShapes, Stop> {
    Ok(vec![None, Some(a.shape(0)?.to_vec())])
}

/// Selections (and, in V5, scores), padded to the number in input 2, and a scalar that says how many count.
fn non_max_suppression(a: &Args) -> Result<OutputShapes, Stop> {
    let selected = match a.size(2) {
        Ok(size) => Some(vec![size]),
        Err(Stop::Unknown) => None,
        Err(stop) => return Err(stop),
    };
    let mut outputs = vec![selected.clone()];
    if matches!(a.op(), Op::NonMaxSuppressionV5) {
        outputs.push(selected);
    }
    outputs.push(Some(vec![]));
    Ok(outputs)
}

/// Hash functions `[count, bits]`: a number per function (sparse) or its bits (dense).
fn lsh_projection(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::LshProjection(o) = a.op() else { return Err(Stop::Unknown) };
    let [count, bits] = a.dims(0)?;
    match o.kind {
        crate::LshProjectionType::Sparse => one(vec![count]),
        crate::LshProjectionType::Dense => one(vec![super::dims::product(&[count, bits])?]),
        crate::LshProjectionType::Unknown => invalid("projection UNKNOWN", "SPARSE or DENSE"),
    }
}

#[cfg(test)]
mod tests {
    use super::gathered;

    #[test]
    fn indices_replace_an_axis() {
        type Case<'a> = (&'a [usize], &'a [usize], i64, i64, Option<&'a [usize]>);
        let cases: &[Case] = &[
            (&[2, 3, 4], &[5], 0, 0, Some(&[5, 3, 4])),
            (&[2, 3, 4], &[5, 6], -1, 0, Some(&[2, 3, 5, 6])),
            (&[2, 3, 4], &[], 1, 0, Some(&[2, 4])),
            (&[2, 3, 4], &[2, 5], 1, 1, Some(&[2, 5, 4])),
            (&[2, 3, 4], &[2, 5], 2, -1, Some(&[2, 3, 5])),
            (&[2, 3, 4], &[2, 5], 2, -2, Some(&[2, 3, 2, 5])),
            (&[2, 3, 4], &[2, 3], 2, 2, Some(&[2, 3])),
            (&[2, 3, 4], &[2, 3], 0, 1, None),
            (&[2, 3, 4], &[3, 3], 1, 1, None),
            (&[2, 3, 4], &[2], 2, 2, None),
            (&[2, 3, 4], &[5], 3, 0, None),
            (&[], &[5], 0, 0, None),
        ];
        for (values, indices, axis, batch_dims, expected) in cases {
            let found = gathered(values, indices, *axis, *batch_dims).ok();
            assert_eq!(found.as_deref(), *expected, "{values:?} {indices:?} {axis} {batch_dims}");
        }
    }
}
