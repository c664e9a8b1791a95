//! Sums of products of bytes and their way back to bytes, for the integer kernels of the `fast` folder.
//!
//! Activations are seen as `u8` (INT8 ones with their sign bit flipped, which adds 128), weights as `i8`. What the 128
//! and the zero point add to a sum does not depend on the activations and is part of the bias. All levels give the
//! same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod bytes;
mod layout;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vnni;
#[cfg(target_arch = "x86_64")]
mod vnni_bytes;

pub(crate) use bytes::{Addend, Binary, Combine, SUM_BITS, binary, lookup};
#[cfg(target_arch = "x86_64")]
use layout::Line;
pub(crate) use layout::{Column, Columns16, Finish, Order, Panel, Rounding};

/// Instructions that the integer kernels use; only what this machine has can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with VNNI and VBMI.
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Level>> = const { std::cell::Cell::new(None) };
}

impl Level {
    /// Plain loops, for any machine.
    pub fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// The fastest that this machine has.
    pub fn best() -> Self {
        #[cfg(test)]
        if let Some(level) = FORCED.get() {
            return level;
        }
        Self::all().pop().unwrap_or(Self(Kind::Portable))
    }

    /// Makes this the best level on this thread.
    #[cfg(test)]
    pub fn force(self) {
        FORCED.set(Some(self));
    }

    /// All that this machine has, the slowest first.
    pub fn all() -> Vec<Self> {
        #[allow(unused_mut, reason = "other machines have one")]
        let mut levels = vec![Self(Kind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                levels.push(Self(Kind::Avx2));
            }
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512vbmi");
            if wide {
                levels.push(Self(Kind::Vnni));
            }
        }
        levels
    }

    /// Runs a closure whose loops the compiler may turn into this level's vectors.
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Vnni => vnni::run(self, work),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => avx2::run(self, work),
            Kind::Portable => work(),
        }
    }

    /// How the weights of a product lie.
    pub fn product_order(self, rounding: Rounding) -> Order {
        match (self.0, rounding) {
            #[cfg(target_arch = "x86_64")]
            (Kind::Vnni, Rounding::Twice) => Order::Packed,
            #[cfg(target_arch = "x86_64")]
            (Kind::Vnni, Rounding::Once) | (Kind::Avx2, _) => Order::Quads,
            _ => Order::Plain,
        }
    }

    /// How the filters of a depthwise convolution lie.
    pub fn depthwise_order(self) -> Order {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Vnni => Order::Packed,
            _ => Order::Plain,
        }
    }
}

/// Rows of activations: row `i` starts at `data[i * stride]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// Their bytes.
    pub data: &'a [u8],
    /// From one row to the next.
    pub stride: usize,
    /// How many.
    pub count: usize,
    /// What is added to all sums of a row; one number per row, or none at all.
    pub corrections: &'a [i32],
}

impl<'a> Rows<'a> {
    /// Rows `first..first + count`.
    fn part(&self, first: usize, count: usize) -> Self {
        let corrections = if self.corrections.is_empty() { &[] } else { &self.corrections[first..first + count] };
        Self { data: &self.data[first * self.stride..], stride: self.stride, count, corrections }
    }
}

/// Output columns of a panel in rows: row `i` starts at `out[i * stride]`.
///
/// # Panics
/// When rows or output are shorter than panel and counts say, or the panel was packed for another level.
pub(crate) fn product(level: Level, panel: &Panel, rows: Rows<'_>, finish: &Finish, out: &mut [u8], stride: usize) {
    if rows.count == 0 {
        return;
    }
    check(panel, &rows);
    let last = rows.count - 1;
    assert!(out.len() >= last * stride + panel.columns && stride >= panel.columns, "room for the product");
    assert_eq!(panel.order, level.product_order(finish.rounding), "a panel of this level");
    #[cfg(target_arch = "x86_64")]
    if level.0 == Kind::Vnni && finish.rounding == Rounding::Twice {
        let mut first = 0;
        for count in parts(rows.count, vnni::MOST_ROWS[panel.blocks - 1]) {
            vnni::product(level, panel, rows.part(first, count), finish, &mut out[first * stride..], stride);
            first += count;
        }
        return;
    }
    let mut sums = [0; TILE * 64];
    let (width, mut first) = (panel.blocks * 16, 0);
    for count in parts(rows.count, TILE) {
        let sums = &mut sums[..count * width];
        let part = rows.part(first, count);
        match level.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Vnni => vnni::sums(level, panel, part, finish.flip_in, sums),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => avx2::sums(level, panel, part, finish.flip_in, sums),
            Kind::Portable => portable::sums(panel, part, finish.flip_in, sums),
        }
        for (row, sums) in sums.chunks_exact(width).enumerate() {
            let out = &mut out[(first + row) * stride..][..panel.columns];
            finish_row(level, &panel.scales, sums, finish, out);
        }
        first += count;
    }
}

/// Rows that are summed at once before they are finished.
const TILE: usize = 6;

/// `count` cut into nearly equal parts of at most `most`.
fn parts(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let number = count.div_ceil(most);
    (0..number).map(move |i| (count * (i + 1)) / number - (count * i) / number)
}

fn check(panel: &Panel, rows: &Rows<'_>) {
    let depth = panel.groups * 4;
    assert!(rows.data.len() >= (rows.count - 1) * rows.stride + depth, "whole rows");
    let wide = panel.blocks * 16;
    assert!((1..=4).contains(&panel.blocks) && (1..=wide).contains(&panel.columns), "a panel's width");
    assert_eq!(panel.lines.len(), panel.groups * panel.blocks, "a panel's weights");
    assert_eq!(panel.scales.len(), panel.blocks, "a panel's scales");
    assert!(rows.corrections.is_empty() || rows.corrections.len() == rows.count, "one correction per row");
}

/// One row of a depthwise convolution, read as one sequence of channels after another: element `p` of `out` is made
/// from bytes `offsets[tap] + p` of `input`. Panel `i` holds the filters of elements 64 i … 64 i + 63; behind the last
/// panel the first follows again. Taps are the panels' depth.
///
/// # Panics
/// When the input ends before the last tap's byte, rounded up to whole panels, or panels are of another level.
pub(crate) fn depthwise(
    level: Level,
    panels: &[Panel],
    input: &[u8],
    offsets: &[usize],
    finish: &Finish,
    out: &mut [u8],
) {
    let end = out.len().next_multiple_of(64);
    for &offset in offsets {
        assert!(input.len() >= offset + end, "whole taps");
    }
    for panel in panels {
        assert!(panel.groups * 4 == offsets.len() && panel.blocks == 4, "a filter's size");
        assert!(panel.lines.len() == panel.groups * 4 && panel.scales.len() == 4, "a filter's weights");
        assert_eq!(panel.order, level.depthwise_order(), "a panel of this level");
    }
    match level.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Vnni => vnni::depthwise(level, panels, input, offsets, finish, out),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => avx2::depthwise(level, panels, input, offsets, finish, out),
        Kind::Portable => portable::depthwise(panels, input, offsets, finish, out),
    }
}

/// Stored values of the sums of one row, which lie in the order of the columns.
fn finish_row(level: Level, scales: &[Columns16], sums: &[i32], finish: &Finish, out: &mut [u8]) {
    match level.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Vnni => vnni::finish_row(level, scales, sums, finish, out),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => avx2::finish_row(level, scales, sums, finish, out),
        Kind::Portable => portable::finish_row(scales, sums, finish, out),
    }
}
