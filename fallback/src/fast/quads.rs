//! Packed weights that stay bytes and meet activations of 24 bits, as exact as floats.

use std::cell::RefCell;

use super::stored::Stored;
use crate::{
    kernels::support::Clamp,
    simd::{
        Level, Lines, Rows,
        digits::{DigitRows, Digits, MOST_DEPTH, QuadPanel, plane},
    },
};

/// Bounds of a column's scale, between which no product with a row's scale is subnormal or infinite.
const SCALES: std::ops::Range<f32> = 1e-12..1e12;

/// Columns of bytes, four rows of the depth side by side.
pub(super) struct Quads {
    digits: Digits,
    /// A multiple of four.
    depth: usize,
    bytes: Lines,
    /// Of each column.
    pub(super) scales: Lines,
    /// -128 times the sum of each column.
    offsets: Vec<i32>,
}

thread_local! {
    /// Planes and scales of the rows that a thread works with.
    static ROWS: RefCell<(Vec<u8>, Vec<f32>)> = RefCell::default();
}

/// Columns of a product: first of them, one behind the last, and those of a panel.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) first: usize,
    pub(super) end: usize,
    pub(super) step: usize,
}

impl Quads {
    /// Packs rows of `depth` bytes with a scale each; `None` where the machine or the numbers do not suit it.
    pub(super) fn new(
        level: Level,
        depth: usize,
        panels: impl Iterator<Item = (usize, usize)>,
        (bytes, scales): (&[i8], &[f32]),
        stored: &Stored<'_>,
    ) -> Option<Self> {
        let digits = Digits::detect(level)?;
        if depth > MOST_DEPTH || !scales.iter().all(|scale| *scale == 0.0 || SCALES.contains(&scale.abs())) {
            return None;
        }
        let (quarter, padded) = (depth.div_ceil(4), scales.len().next_multiple_of(level.lanes()));
        let mut lines = Lines::zeros(padded * quarter);
        let mut offsets = vec![0i32; padded];
        let to: &mut [i8] = bytemuck::cast_slice_mut(lines.as_mut_slice());
        let mut rows = bytes.chunks_exact(depth.max(1));
        let mut pages = stored.give_back();
        for (first, width) in panels {
            let panel = &mut to[first * quarter * 4..][..width * quarter * 4];
            for (c, row) in rows.by_ref().take(width).enumerate() {
                for (k, &weight) in row.iter().enumerate() {
                    panel[(k / 4 * width + c) * 4 + k % 4] = weight;
                }
                offsets[first + c] = row.iter().map(|&weight| i32::from(weight) * -128).sum();
                pages.read(row.len());
            }
        }
        let mut all = Lines::zeros(padded);
        all.as_mut_slice()[..scales.len()].copy_from_slice(scales);
        Some(Self { digits, depth: quarter * 4, bytes: lines, scales: all, offsets })
    }

    /// Bytes that the weights take, and what belongs to columns.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> [usize; 2] {
        let columns = size_of_val(self.scales.as_slice()) + size_of_val(self.offsets.as_slice());
        [size_of_val(self.bytes.as_slice()), columns]
    }

    /// The weights of the columns `first..first + width`, a panel.
    fn panel(&self, first: usize, width: usize) -> &[i8] {
        &bytemuck::cast_slice(self.bytes.as_slice())[first * self.depth..][..width * self.depth]
    }

    /// Writes a panel as floats: element `k * width + c` is row `k` of column `first + c`.
    pub(super) fn widen(&self, first: usize, width: usize, floats: &mut [f32]) {
        let (bytes, scales) = (self.panel(first, width), &self.scales.as_slice()[first..][..width]);
        for (k, floats) in floats.chunks_exact_mut(width).enumerate() {
            let quads = bytes[k / 4 * width * 4..].chunks_exact(4);
            for ((float, quad), &scale) in floats.iter_mut().zip(quads).zip(scales) {
                *float = f32::from(quad[k % 4]) * scale;
            }
        }
    }

    /// Products of all rows with columns; calls `other` for rows that are no 24-bit numbers, whose place in `out` is
    /// written anew.
    pub(super) fn multiply(
        &self,
        rows: Rows<'_>,
        (depth, starts): (usize, &[f32]),
        span: Span,
        clamp: Clamp<f32>,
        (out, stride): (&mut [f32], usize),
        mut other: impl FnMut(usize, &mut [f32]),
    ) {
        let (plane, Span { first, end, step }) = (plane(depth), span);
        ROWS.with_borrow_mut(|(planes, scales)| {
            let (len, mut others) = (rows.count * 3 * plane, Vec::new());
            if planes.len() < len {
                *planes = vec![0; len];
            }
            scales.clear();
            for (r, planes) in planes.chunks_exact_mut(3 * plane).take(rows.count).enumerate() {
                let scale = self.digits.cut(&rows.data[r * rows.stride..][..depth], planes);
                others.extend(scale.is_none().then_some(r));
                scales.push(scale.unwrap_or(0.0));
            }
            let rows = DigitRows { planes: &planes[..len], stride: plane, scales };
            for column in (first..end).step_by(step) {
                let width = step.min(self.offsets.len() - column);
                let panel = QuadPanel {
                    bytes: self.panel(column, width),
                    offsets: &self.offsets[column..][..width],
                    scales: &self.scales.as_slice()[column..][..width],
                    starts: &starts[column..][..width],
                    vectors: width / 16,
                    columns: width.min(end - column),
                };
                self.digits.product(rows, panel, (clamp.min, clamp.max), &mut out[column - first..], stride);
            }
            others.into_iter().for_each(|r| other(r, &mut out[r * stride..]));
        });
    }
}
