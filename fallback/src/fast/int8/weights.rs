//! A matrix of weights in panels.

use crate::{
    fast::stored::GiveBack,
    simd::int8::{Column, Finish, Level, Order, Panel, Rows, product},
};

/// Columns of equal depth in panels of equal width, of which the last may be narrower.
pub(super) struct Matrix {
    pub level: Level,
    /// Bytes of a row of activations, a multiple of 4.
    pub depth: usize,
    /// Columns of every panel but the last.
    width: usize,
    panels: Vec<Panel>,
}

impl Matrix {
    pub fn pack(
        level: Level,
        order: Order,
        (depth, columns): (usize, usize),
        mut pages: GiveBack<'_>,
        weight: impl Fn(usize, usize) -> i8,
        column: impl Fn(usize) -> Column,
    ) -> Self {
        let blocks = columns.div_ceil(16).max(1);
        let width = blocks.div_ceil(blocks.div_ceil(4)) * 16;
        let pack = |first: usize| {
            let count = width.min(columns - first);
            let weight = |k: usize, c: usize| weight(k, first + c);
            let panel = Panel::pack(order, count.div_ceil(16), (depth, count), weight, |c| column(first + c));
            pages.read(depth * count);
            panel
        };
        let panels = (0..columns).step_by(width).map(pack).collect();
        Self { level, depth: depth.next_multiple_of(4), width, panels }
    }

    /// Columns of every panel but the last.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Products of rows with all columns; row `i` of the result starts at `out[i * stride]`.
    pub fn multiply(&self, rows: Rows<'_>, finish: &Finish, out: &mut [u8], stride: usize) {
        for (i, panel) in self.panels.iter().enumerate() {
            product(self.level, panel, rows, finish, &mut out[i * self.width..], stride);
        }
    }

    /// Products of one row with the columns of panel `i`.
    pub fn multiply_panel(&self, i: usize, rows: Rows<'_>, finish: &Finish, out: &mut [u8]) {
        if let Some(panel) = self.panels.get(i) {
            product(self.level, panel, rows, finish, out, out.len());
        }
    }
}
