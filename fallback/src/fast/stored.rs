//! Constant weights as they are stored, on their way into packed matrices.

use half::f16;
use tflite_wgpu_model::{Bytes, DType, QuantKind, Tensor};

use super::Prepare;
use crate::kernels::Hybrid;

/// Bytes of a file that are packed before their pages are given back.
const PIECE: usize = 512 << 10;

/// Rows of weights, of which columns are packed one after the other.
#[derive(Clone)]
pub(crate) struct Stored<'a> {
    pub(super) elements: Elements<'a>,
    /// Where they lie, if that is in a file.
    file: Option<Bytes>,
}

/// What weights are stored as.
#[derive(Clone, Copy)]
pub(super) enum Elements<'a> {
    Floats(&'a [f32]),
    Halves(&'a [f16]),
    /// Bytes, and a scale for each row.
    Bytes(&'a [i8], &'a [f32]),
}

impl<'a> From<&'a [f32]> for Stored<'a> {
    fn from(floats: &'a [f32]) -> Self {
        Self { elements: Elements::Floats(floats), file: None }
    }
}

#[cfg(test)]
impl<'a> Stored<'a> {
    /// Elements in memory.
    pub(super) fn of(elements: Elements<'a>) -> Self {
        Self { elements, file: None }
    }
}

impl Stored<'_> {
    /// `count` rows of `depth` elements from row `first` on; `None` where there are fewer.
    pub(super) fn rows(&self, first: usize, count: usize, depth: usize) -> Option<Self> {
        let range = first.checked_mul(depth)?..first.checked_add(count)?.checked_mul(depth)?;
        let (elements, size) = match self.elements {
            Elements::Floats(all) => (Elements::Floats(all.get(range.clone())?), size_of::<f32>()),
            Elements::Halves(all) => (Elements::Halves(all.get(range.clone())?), size_of::<f16>()),
            Elements::Bytes(all, scales) => {
                (Elements::Bytes(all.get(range.clone())?, scales.get(first..first + count)?), size_of::<i8>())
            }
        };
        let file = self.file.as_ref().and_then(|file| file.slice(range.start * size, range.len() * size));
        Some(Self { elements, file })
    }

    /// Gives back the file's pages behind rows that have been packed, a large piece at a time.
    pub(super) fn give_back(&self) -> GiveBack<'_> {
        GiveBack::new(self.file.as_ref(), 0)
    }
}

/// What has been read of a file, and is needed no longer.
pub(super) struct GiveBack<'a> {
    file: Option<&'a Bytes>,
    from: usize,
    to: usize,
}

impl<'a> GiveBack<'a> {
    /// Of what is read of `file` from byte `first` on.
    pub(super) fn new(file: Option<&'a Bytes>, first: usize) -> Self {
        Self { file, from: first, to: first }
    }

    /// Of what is read in another order.
    pub(super) fn none() -> Self {
        Self::new(None, 0)
    }

    /// The next `bytes` have been read.
    pub(super) fn read(&mut self, bytes: usize) {
        self.to += bytes;
        if self.to - self.from >= PIECE {
            if let Some(part) = self.file.and_then(|file| file.slice(self.from, self.to - self.from)) {
                part.release();
            }
            self.from = self.to;
        }
    }
}

impl Prepare<'_> {
    /// Calls `f` with the weights in input `i`, a constant or what follows from one: bytes with a scale for each of the
    /// first dimension's entries and halves as they are, all else as floats. `None` where TFLite's hybrid kernels have
    /// another meaning.
    pub(super) fn with_stored<R>(&self, i: usize, f: impl FnOnce(Stored<'_>) -> R) -> Option<R> {
        let tensor = self.input(i)?;
        if let Some(scales) = self.scales(tensor) {
            let value = self.constant(i)?;
            let file = tensor.constant().filter(|_| value.value().is_in_file()).cloned();
            let elements = Elements::Bytes(bytemuck::cast_slice(value.value().bytes()), &scales);
            return Some(f(Stored { elements, file }));
        }
        if let Some(halves) = self.halves(i) {
            let value = self.model.constant_once(self.subgraph, halves).ok()??;
            let stored = value.value();
            if stored.shape() != tensor.dims {
                return None;
            }
            let bytes = self.tensors.get(halves.index()).and_then(Tensor::constant);
            let file = bytes.filter(|_| stored.is_in_file()).cloned();
            return Some(f(Stored { elements: Elements::Halves(stored.as_slice().ok()?), file }));
        }
        self.with_floats(i, |floats| {
            let inside = |file: &&Bytes| file.as_ptr() == floats.as_ptr().cast();
            f(Stored { file: tensor.constant().filter(inside).cloned(), ..floats.into() })
        })
    }

    /// Scales of weights that are bytes times a scale for each of the first dimension's entries; `None` for all else, and
    /// where TFLite's hybrid kernels have another meaning.
    fn scales(&self, tensor: &Tensor) -> Option<Vec<f32>> {
        let QuantKind::Affine { scale, zero_point, axis } = &tensor.quant.as_ref()?.kind else { return None };
        let count = *tensor.dims.first()?;
        let per_row = scale.len() == 1 || (*axis == 0 && scale.len() == count);
        let plain =
            tensor.dtype == DType::Int8 && tensor.sparsity.is_none() && zero_point.iter().all(|&zero| zero == 0);
        if self.hybrid == Hybrid::Tflite || !plain || !per_row {
            return None;
        }
        (0..count).map(|row| scale.get(row).or(scale.first()).copied()).collect()
    }

    /// The constant halves that input `i` is, or that a folded DEQUANTIZE makes floats of.
    fn halves(&self, i: usize) -> Option<tflite_wgpu_model::TensorId> {
        let id = self.node.input(i)?;
        match self.input(i)?.dtype {
            DType::Float16 if self.hybrid == Hybrid::Float => self.input(i)?.constant().map(|_| id),
            DType::Float32 => self.model.widened(self.subgraph, id),
            _ => None,
        }
    }
}
