//! Constants in TFLite's sparse storage, written out densely.

use tflite_wgpu_model::{Bytes, DType, Sparsity, SparsityDimension};

use crate::value::{Value, ValueError};

/// A dense form beyond this is taken for a damaged file.
const MAX_DENSE_BYTES: usize = 1 << 31;
/// So is one beyond so many bytes for each byte that is stored, indices included; the sparsest weights have some 50.
const MAX_EXPANSION: usize = 4096;
/// A dense form that is always allowed.
const SMALL_DENSE_BYTES: usize = 1 << 20;

/// Walks the stored dimensions and notes where each stored element belongs.
struct Walk<'a> {
    sparsity: &'a Sparsity,
    dims: &'a [usize],
    /// Dimension of the dense tensor that each level belongs to, and the factor that earlier levels of it get.
    levels: Vec<(usize, usize)>,
    coordinates: Vec<usize>,
    /// Stored position and dense position of each element.
    places: Vec<(usize, usize)>,
    stored: usize,
}

/// The dense form of a sparse constant; elements that are not stored are 0.
pub(super) fn densify(dtype: DType, dims: &[usize], sparsity: &Sparsity, bytes: &Bytes) -> Result<Value, ValueError> {
    let damaged = || ValueError::Size { found: bytes.len(), expected: 0 };
    let bits = dtype.bits().ok_or(ValueError::Type { found: dtype, expected: DType::Float32 })?;
    if Value::extent_bytes(dtype, dims)? > limit(sparsity, bytes.len()) {
        return Err(ValueError::TooLarge(dims.to_vec()));
    }
    let stored = bytes.len().checked_mul(8).ok_or_else(damaged)? / bits;
    let levels = levels(dims.len(), sparsity).ok_or_else(damaged)?;
    let mut walk = Walk { sparsity, dims, coordinates: vec![0; levels.len()], levels, places: Vec::new(), stored };
    walk.descend(0, 0).ok_or_else(damaged)?;
    let values = Value::from_constant(dtype, &[stored], bytes)?;
    let mut dense = Value::zeros(dtype, dims)?;
    let size = dtype.size().unwrap_or(1);
    for (from, to) in walk.places {
        let element = values.bytes().get(from * size..(from + 1) * size).ok_or_else(damaged)?;
        dense.bytes_mut().get_mut(to * size..(to + 1) * size).ok_or_else(damaged)?.copy_from_slice(element);
    }
    Ok(dense)
}

/// Bytes that the dense form of so many stored ones may have.
fn limit(sparsity: &Sparsity, stored: usize) -> usize {
    let indices = sparsity.dimensions.iter().map(|dimension| match dimension {
        SparsityDimension::Dense { .. } => 1,
        SparsityDimension::Csr { segments, indices } => segments.len().saturating_add(indices.len()),
    });
    let known = indices.fold(stored, usize::saturating_add);
    known.saturating_mul(MAX_EXPANSION).clamp(SMALL_DENSE_BYTES, MAX_DENSE_BYTES)
}

fn levels(rank: usize, sparsity: &Sparsity) -> Option<Vec<(usize, usize)>> {
    if sparsity.traversal_order.len() != sparsity.dimensions.len() || sparsity.dimensions.len() < rank {
        return None;
    }
    let level = |(&order, dimension): (&i32, &SparsityDimension)| {
        let order = usize::try_from(order).ok()?;
        if order < rank {
            return Some((order, 1));
        }
        let dim = usize::try_from(*sparsity.block_map.get(order - rank)?).ok().filter(|&dim| dim < rank)?;
        match dimension {
            SparsityDimension::Dense { size } => Some((dim, *size)),
            SparsityDimension::Csr { .. } => None,
        }
    };
    sparsity.traversal_order.iter().zip(&sparsity.dimensions).map(level).collect()
}

impl Walk<'_> {
    /// Visits what lies below entry `position` of the level above `level`; `None` when the file contradicts itself.
    fn descend(&mut self, level: usize, position: usize) -> Option<()> {
        let Some(dimension) = self.sparsity.dimensions.get(level) else {
            let dense = self.dense_position()?;
            self.places.push((position, dense));
            return (position < self.stored && self.places.len() <= self.stored).then_some(());
        };
        match dimension {
            SparsityDimension::Dense { size } => {
                let limit = self.dims.iter().copied().max().unwrap_or(0);
                if *size > limit {
                    return None;
                }
                for i in 0..*size {
                    self.coordinates[level] = i;
                    self.descend(level + 1, position.checked_mul(*size)?.checked_add(i)?)?;
                }
            }
            SparsityDimension::Csr { segments, indices } => {
                let start = usize::try_from(*segments.get(position)?).ok()?;
                let end = usize::try_from(*segments.get(position + 1)?).ok()?;
                for i in start..end {
                    self.coordinates[level] = usize::try_from(*indices.get(i)?).ok()?;
                    self.descend(level + 1, i)?;
                }
            }
        }
        Some(())
    }

    fn dense_position(&self) -> Option<usize> {
        let mut index = vec![0usize; self.dims.len()];
        for (&(dim, factor), &coordinate) in self.levels.iter().zip(&self.coordinates) {
            index[dim] = index[dim].checked_mul(factor)?.checked_add(coordinate)?;
        }
        index.iter().zip(self.dims).try_fold(0usize, |flat, (&i, &size)| {
            (i < size).then_some(())?;
            flat.checked_mul(size)?.checked_add(i)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csr(segments: &[i32], indices: &[i32]) -> SparsityDimension {
        SparsityDimension::Csr { segments: segments.to_vec(), indices: indices.to_vec() }
    }

    #[test]
    fn rows_and_blocks() -> Result<(), ValueError> {
        let rows = Sparsity {
            traversal_order: vec![0, 1],
            block_map: Vec::new(),
            dimensions: vec![SparsityDimension::Dense { size: 3 }, csr(&[0, 2, 2, 3], &[0, 2, 1])],
        };
        let dense = densify(DType::Int8, &[3, 4], &rows, &Bytes::from(vec![1, 2, 3]))?;
        assert_eq!(dense.as_slice::<i8>()?, &[1, 0, 2, 0, 0, 0, 0, 0, 0, 3, 0, 0]);
        let blocks = Sparsity {
            traversal_order: vec![0, 1, 2],
            block_map: vec![1],
            dimensions: vec![
                SparsityDimension::Dense { size: 2 },
                csr(&[0, 1, 2], &[1, 0]),
                SparsityDimension::Dense { size: 2 },
            ],
        };
        let dense = densify(DType::Int8, &[2, 4], &blocks, &Bytes::from(vec![1, 2, 3, 4]))?;
        assert_eq!(dense.as_slice::<i8>()?, &[0, 0, 1, 2, 3, 4, 0, 0]);
        Ok(())
    }

    #[test]
    fn sizes_that_the_file_does_not_explain_are_refused() {
        let rows = Sparsity {
            traversal_order: vec![0, 1],
            block_map: Vec::new(),
            dimensions: vec![SparsityDimension::Dense { size: 1 }, csr(&[0, 1], &[0])],
        };
        let dense = |width| densify(DType::Int8, &[1, width], &rows, &Bytes::from(vec![1]));
        assert_eq!(dense(1 << 20).map(|value| value.len()), Ok(1 << 20));
        assert_eq!(dense(1 << 30), Err(ValueError::TooLarge(vec![1, 1 << 30])));
    }

    #[test]
    fn contradictions_are_refused() {
        let beyond = Sparsity {
            traversal_order: vec![0, 1],
            block_map: Vec::new(),
            dimensions: vec![SparsityDimension::Dense { size: 1 }, csr(&[0, 1], &[9])],
        };
        assert!(densify(DType::Int8, &[1, 4], &beyond, &Bytes::from(vec![1])).is_err());
        let short = Sparsity { dimensions: vec![SparsityDimension::Dense { size: 1 }, csr(&[0], &[0])], ..beyond };
        assert!(densify(DType::Int8, &[1, 4], &short, &Bytes::from(vec![1])).is_err());
    }
}
