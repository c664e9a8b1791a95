//! Adapter classes and the one table of their choices (tiles, workgroups, strips, rounding).

mod measured;
mod products;

use std::sync::Arc;

use crate::{
    kernels::{Dialect, F16Form, Rounding},
    options::Precision,
};

pub use measured::Measured;
pub use products::{Choice, ProductKind, ProductShape, Split, Staged};

/// What kind of adapter shaders are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdapterClass {
    /// Mesa's software rasteriser.
    Lavapipe,
    /// Google's software rasteriser.
    SwiftShader,
    /// A card with memory of its own.
    Discrete,
    /// A GPU that shares the host's memory.
    Integrated,
    /// Apple's GPUs.
    Apple,
    /// Adreno, Mali, PowerVR.
    Mobile,
    /// A software adapter not known by name.
    OtherSoftware,
}

impl AdapterClass {
    /// Whether a CPU runs the shaders.
    pub fn is_software(self) -> bool {
        matches!(self, Self::Lavapipe | Self::SwiftShader | Self::OtherSoftware)
    }
}

/// What the lanes of a workgroup lie over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Neighbouring lanes compute different pixels of the same output channels.
    Pixels,
    /// Neighbouring lanes compute different output channels of the same pixels.
    Channels,
}

/// What one invocation of a matrix product or convolution computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows of the product: pixels.
    pub pixels: usize,
    /// Output texels.
    pub texels: usize,
    /// Direction of a workgroup's first dimension.
    pub lanes: Lanes,
    /// Workgroup: along the lanes, across them.
    pub workgroup: [usize; 2],
    /// Lanes of a subgroup that load weights for each other, when lanes lie over pixels; 0 where every lane loads its
    /// own. Four lanes exchange weights, more broadcast them.
    pub broadcast: usize,
}

/// Lanes that exchange weights by swaps within quads.
const QUAD: usize = 4;

impl Tile {
    const fn pixels(pixels: usize, texels: usize, workgroup: [usize; 2]) -> Self {
        Self { pixels, texels, lanes: Lanes::Pixels, workgroup, broadcast: 0 }
    }

    const fn channels(pixels: usize, texels: usize, workgroup: [usize; 2]) -> Self {
        Self { pixels, texels, lanes: Lanes::Channels, workgroup, broadcast: 0 }
    }

    /// Whether the lanes of quads exchange weights.
    pub fn has_quads(&self) -> bool {
        self.broadcast == QUAD
    }
}

/// How the gates of squeeze-and-excite blocks are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Squeezes {
    /// Lanes of a workgroup.
    pub lanes: usize,
    /// Most workgroups of an image: each takes the mean, and they share the columns of the result.
    pub groups: usize,
    /// Largest image, in texels, whose mean a workgroup takes; a larger one is summed in parts before.
    pub texels: usize,
}

/// Choices that depend on the adapter. The software rows are measured (docs/decisions.md), the others are starting
/// points from published tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// The class.
    pub class: AdapterClass,
    /// How shaders hold and round halves.
    pub dialect: Dialect,
    /// Matrix products with many rows.
    pub product: Tile,
    /// Matrix products with few rows.
    pub product_few: Tile,
    /// Products with one row.
    pub vector: Tile,
    /// Products with one row and enough depth for the lanes of a workgroup to share it; `None` where that is slower.
    pub split: Option<Split>,
    /// Tiles of products and convolutions whose operands a workgroup stages in its memory, the largest first; none
    /// where workgroups have no memory of their own.
    pub staged: &'static [Staged],
    /// What was measured on the adapter itself; it comes before this table's rules.
    pub measured: Arc<Measured>,
    /// From this many rows on a product has many.
    pub many_rows: usize,
    /// Output texels whose weights lie together, row by row; 0 for all of them.
    pub weight_group: usize,
    /// Output texels per invocation of convolutions with filters of more than one tap; lanes and workgroup are those
    /// of products.
    pub conv_texels: usize,
    /// Widest filter whose taps are unrolled in a convolution's strip: the text of wider ones outgrows a software
    /// adapter's instruction cache.
    pub conv_strip_taps: usize,
    /// Output pixels of a strip of convolutions, depthwise convolutions and pools, per invocation: two lengths, of
    /// which a row's width picks one.
    pub strips: [usize; 2],
    /// Columns of an invocation of depthwise convolutions that walks down its rows, by stride 1 or 2; 0 where strips of a
    /// row are faster.
    pub depthwise_columns: [usize; 2],
    /// Workgroups that keep all threads busy with those; an invocation's rows are cut until there are as many.
    pub depthwise_groups: usize,
    /// Whether reductions run one invocation per row; otherwise a workgroup per row.
    pub row_per_invocation: bool,
    /// Gates of squeeze-and-excite blocks.
    pub squeeze: Squeezes,
    /// Invocations per workgroup of linear kernels.
    pub linear_workgroup: usize,
    /// Offsets of tensors in the arena are multiples of this (`min_storage_buffer_offset_alignment`).
    pub alignment: usize,
    /// Bytes of a buffer of the arena: a larger arena has several, and no tensor lies across two. A multiple of the
    /// alignment.
    pub arena_buffer: usize,
}

impl Tuning {
    /// The row of a class. `typed` says whether SHADER_F16 may be used, `builtin` whether the half conversions may.
    pub fn of(class: AdapterClass, typed: bool, builtin: bool) -> Self {
        let f16 = if typed && !class.is_software() { F16Form::Typed } else { F16Form::Packed };
        let rounding = match (builtin, class.is_software()) {
            (false, _) => Rounding::Integer,
            (true, true) => Rounding::IntegerStore,
            (true, false) => Rounding::Builtin,
        };
        let (product, product_few, vector, conv_texels, strips) = match class {
            AdapterClass::Lavapipe | AdapterClass::OtherSoftware => {
                (Tile::pixels(7, 4, [8, 1]), Tile::channels(7, 2, [8, 1]), Tile::channels(1, 2, [8, 1]), 2, [7, 8])
            }
            AdapterClass::SwiftShader => {
                (Tile::pixels(8, 2, [8, 8]), Tile::channels(7, 2, [8, 8]), Tile::channels(1, 2, [64, 1]), 2, [7, 8])
            }
            AdapterClass::Discrete => {
                (Tile::pixels(4, 4, [8, 8]), Tile::channels(4, 2, [8, 8]), Tile::channels(1, 1, [64, 1]), 2, [2, 4])
            }
            AdapterClass::Integrated => {
                (Tile::pixels(2, 4, [16, 1]), Tile::channels(2, 2, [16, 1]), Tile::channels(1, 1, [64, 1]), 2, [2, 4])
            }
            AdapterClass::Apple => {
                (Tile::pixels(4, 2, [8, 4]), Tile::channels(4, 1, [8, 4]), Tile::channels(1, 1, [32, 1]), 2, [2, 4])
            }
            AdapterClass::Mobile => {
                (Tile::pixels(4, 1, [8, 2]), Tile::channels(2, 1, [8, 2]), Tile::channels(1, 1, [32, 1]), 1, [2, 4])
            }
        };
        let columns = matches!(class, AdapterClass::SwiftShader | AdapterClass::Lavapipe);
        Self {
            class,
            dialect: Dialect { f16, rounding, wide: false },
            product,
            product_few,
            vector,
            split: Split::of(class),
            staged: if class == AdapterClass::Discrete { products::STAGED } else { &[] },
            measured: Arc::default(),
            many_rows: 400,
            weight_group: if class.is_software() { 4 } else { 0 },
            conv_texels,
            conv_strip_taps: if class.is_software() { 3 } else { 7 },
            strips,
            depthwise_columns: if columns { [4, 2] } else { [0, 0] },
            depthwise_groups: if class == AdapterClass::SwiftShader { 32 } else { 16 },
            row_per_invocation: class.is_software(),
            squeeze: match class.is_software() {
                true => Squeezes { lanes: 8, groups: 2, texels: 24 << 10 },
                false => Squeezes { lanes: 256, groups: 4, texels: 16 << 10 },
            },
            linear_workgroup: 64,
            alignment: crate::plan::ALIGNMENT,
            arena_buffer: usize::MAX,
        }
    }

    /// The row where subgroups have from `min` to `max` lanes: with a fixed size that a workgroup's rows are multiples
    /// of, software adapters share the loads of weights.
    pub fn with_subgroups(mut self, min: u32, max: u32) -> Self {
        let size = usize::try_from(min).unwrap_or(0);
        let tile = self.product;
        let fits = min == max && size >= 8 && tile.workgroup[0].is_multiple_of(size) && tile.workgroup[1] == 1;
        if fits && self.class == AdapterClass::Lavapipe && tile.lanes == Lanes::Pixels {
            // Measured (docs/benchmarks.md): more texels outgrow the instruction cache, as unrolled filter taps do.
            self.product = Tile { texels: 8, broadcast: size, ..tile };
            self.weight_group = 8;
            self.many_rows = 2;
            self.conv_strip_taps = 0;
        }
        if min == max && size == QUAD && self.class == AdapterClass::SwiftShader {
            // Measured (docs/benchmarks.md): the loop's code just fits the instruction cache.
            self.product = Tile { broadcast: QUAD, ..Tile::pixels(4, 4, [4, 2]) };
            self.many_rows = 2;
            self.conv_strip_taps = 0;
        }
        self
    }

    /// The row where shaders may have integers of 64 bits (SHADER_INT64): lavapipe moves texels in them.
    pub fn with_wide_words(mut self) -> Self {
        self.dialect.wide = self.class == AdapterClass::Lavapipe;
        self
    }

    /// The precision that is meant: `auto` is f32 where halves are slower (docs/decisions.md).
    pub fn precision(&self, asked: Precision) -> Precision {
        match asked {
            Precision::Auto if self.class == AdapterClass::SwiftShader => Precision::F32,
            asked => asked,
        }
    }

    /// Whether the driver compiles a kernel at its first dispatch, and keeps the code for other devices.
    pub fn compiles_at_first_use(&self) -> bool {
        self.class == AdapterClass::Lavapipe
    }

    /// Invocations per workgroup of kernels that walk along a row each: few where workgroups are what threads share.
    pub fn row_workgroup(&self) -> usize {
        if self.class.is_software() { 8 } else { self.linear_workgroup }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_f32_where_halves_are_slower() {
        let of = |class, asked| Tuning::of(class, false, true).precision(asked);
        assert_eq!(of(AdapterClass::SwiftShader, Precision::Auto), Precision::F32);
        assert_eq!(of(AdapterClass::SwiftShader, Precision::F16), Precision::F16);
        assert_eq!(of(AdapterClass::Lavapipe, Precision::Auto), Precision::Auto);
    }
}
