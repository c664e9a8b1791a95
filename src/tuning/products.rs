//! How products and convolutions with constant weights are computed: the kernels there are, and the choice among them.

use super::{AdapterClass, Tile, Tuning};
use crate::region::Storage;

/// One row of a product, whose depth the lanes of a workgroup share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Output texels of a workgroup.
    pub columns: usize,
    /// Lanes that share the depth of each.
    pub lanes: usize,
    /// Whether the workgroup is a subgroup, which adds without workgroup memory.
    pub subgroup: bool,
}

impl Split {
    /// The table's row of a class (docs/decisions.md). Workgroups of 128 lanes on cards, of 64 where less fits.
    pub(super) const fn of(class: AdapterClass) -> Option<Self> {
        let lanes = match class {
            AdapterClass::Discrete => 16,
            AdapterClass::Integrated | AdapterClass::Apple | AdapterClass::Mobile => 8,
            AdapterClass::Lavapipe | AdapterClass::SwiftShader | AdapterClass::OtherSoftware => return None,
        };
        Some(Self { columns: 8, lanes, subgroup: false })
    }

    /// Whether a product of one row with `steps` texels of depth gives every lane enough to do.
    pub fn fits(&self, steps: usize) -> bool {
        steps >= 2 * self.lanes
    }
}

/// A tile whose operands the workgroup stages in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Rows of an invocation.
    pub pixels: usize,
    /// Output texels of an invocation.
    pub texels: usize,
    /// Lanes over output texels, lanes over rows.
    pub workgroup: [usize; 2],
    /// Texels of depth that are staged at a time.
    pub stage: usize,
}

impl Staged {
    const fn new(pixels: usize, texels: usize, stage: usize) -> Self {
        Self { pixels, texels, workgroup: [8, 8], stage }
    }

    /// Rows of a workgroup.
    pub fn rows(&self) -> usize {
        self.pixels * self.workgroup[1]
    }

    /// Output texels of a workgroup.
    pub fn columns(&self) -> usize {
        self.texels * self.workgroup[0]
    }

    fn groups(&self, shape: &ProductShape) -> usize {
        shape.rows.div_ceil(self.rows()) * shape.width.div_ceil(self.columns())
    }
}

/// Staged tiles, the largest first: 64 rows by 64 channels, 32 by 32. Every lane stages whole texels and whole blocks.
pub(super) const STAGED: &[Staged] = &[Staged::new(8, 2, 4), Staged::new(4, 1, 8)];

/// Workgroups that keep a card busy: a tile that gives fewer makes room for a smaller one.
const BUSY_GROUPS: usize = 128;

/// Texels of depth from which staging pays (64 channels), and the fewest rows and output texels.
const STAGED_STEPS: usize = 16;
const STAGED_ROWS: usize = 32;
const STAGED_WIDTH: usize = 4;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProductKind {
    /// A product of rows.
    Dense,
    /// A convolution of more than one tap: whether strips of a row can do it, and what a strip is of.
    Window {
        /// Filter height and width.
        taps: [usize; 2],
        /// Row and column stride.
        stride: [usize; 2],
        /// Row and column dilation.
        dilation: [usize; 2],
        /// Output pixels of a row.
        columns: usize,
        /// Output texels that see the same input channels; the output's width for all.
        group_width: usize,
    },
}

/// Sizes of a product, or of a convolution seen as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProductShape {
    /// What is computed.
    pub kind: ProductKind,
    /// Rows: output pixels.
    pub rows: usize,
    /// Texels of depth of one tap.
    pub depth: usize,
    /// Output texels.
    pub width: usize,
    /// Storage of the operand, the weights and the result.
    pub storage: [Storage; 3],
}

impl ProductShape {
    /// Texels of depth in all.
    pub fn steps(&self) -> usize {
        match self.kind {
            ProductKind::Dense => self.depth,
            ProductKind::Window { taps: [y, x], .. } => self.depth * y * x,
        }
    }

    /// Pixels of an output row; 0 for a product.
    pub fn columns(&self) -> usize {
        match self.kind {
            ProductKind::Dense => 0,
            ProductKind::Window { columns, .. } => columns,
        }
    }

    /// Whether all output channels see all input channels.
    fn is_whole(&self) -> bool {
        match self.kind {
            ProductKind::Dense => true,
            ProductKind::Window { group_width, .. } => group_width == self.width,
        }
    }

    /// Whether `texels` output texels of an invocation lie in one group.
    pub(super) fn keeps_groups(&self, texels: usize) -> bool {
        match self.kind {
            ProductKind::Window { group_width, .. } => self.is_whole() || group_width.is_multiple_of(texels),
            ProductKind::Dense => true,
        }
    }

    /// Whether strips of a row with at most `most_taps` unrolled taps can do it.
    pub(super) fn has_strips(&self, most_taps: usize) -> bool {
        match self.kind {
            ProductKind::Dense => false,
            ProductKind::Window { taps: [_, x], stride: [_, stride], dilation: [_, dilation], .. } => {
                STRIP_FILTERS.contains(&x)
                    && STRIP_STRIDES.contains(&stride)
                    && dilation == 1
                    && self.is_whole()
                    && x <= most_taps
            }
        }
    }

    pub(super) fn can_stage(&self) -> bool {
        let large = self.steps() >= STAGED_STEPS && self.rows >= STAGED_ROWS && self.width >= STAGED_WIDTH;
        large && self.is_whole()
    }
}

/// Filter widths and strides that have strips; others take the general kernel.
const STRIP_FILTERS: &[usize] = &[3, 5, 7];
const STRIP_STRIDES: &[usize] = &[1, 2];

/// The kernel of a product and what an invocation of it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Tiles of registers: `gemm`, `conv_general`.
    Direct(Tile),
    /// Strips of a row: `conv_strip`.
    Strip(Tile),
    /// Workgroups that stage their operands: `gemm_staged`, `conv_staged`.
    Staged(Staged),
    /// Workgroups that share the depth: `gemm_vector`.
    Split(Split),
}

impl Choice {
    /// Name of the kernel's row.
    pub fn kernel(&self, shape: &ProductShape) -> &'static str {
        match (self, shape.kind) {
            (Self::Split(_), _) => "gemm_vector",
            (Self::Staged(_), ProductKind::Dense) => "gemm_staged",
            (Self::Staged(_), ProductKind::Window { .. }) => "conv_staged",
            (Self::Direct(_) | Self::Strip(_), ProductKind::Dense) => "gemm",
            (Self::Direct(_), ProductKind::Window { .. }) => "conv_general",
            (Self::Strip(_), ProductKind::Window { .. }) => "conv_strip",
        }
    }

    /// The tile of registers; `None` where a workgroup works together.
    pub fn tile(&self) -> Option<Tile> {
        match self {
            Self::Direct(tile) | Self::Strip(tile) => Some(*tile),
            Self::Staged(_) | Self::Split(_) => None,
        }
    }
}

impl Tuning {
    /// The table's choice for a shape: what has been measured of it, if anything has, otherwise what its sizes suggest.
    pub fn choose(&self, shape: &ProductShape) -> Choice {
        let measured = || {
            let name = self.measured.get(&self.name(shape))?;
            self.candidates(shape).into_iter().find(|choice| choice.to_string() == *name)
        };
        let known = if self.measured.is_empty() { None } else { measured() };
        known.unwrap_or_else(|| self.rule(shape))
    }

    /// What the sizes of a product suggest.
    pub(super) fn rule(&self, shape: &ProductShape) -> Choice {
        if shape.rows == 1
            && shape.kind == ProductKind::Dense
            && let Some(split) = self.split.filter(|split| split.fits(shape.depth))
        {
            return Choice::Split(split);
        }
        if shape.can_stage()
            && let Some(last) = self.staged.last()
        {
            let busy = self.staged.iter().find(|staged| staged.groups(shape) >= BUSY_GROUPS);
            return Choice::Staged(*busy.unwrap_or(last));
        }
        let base = self.tile(shape.rows, shape.width);
        let ProductKind::Window { columns, .. } = shape.kind else { return Choice::Direct(base) };
        let most = if base.broadcast > 0 { base.texels } else { self.conv_texels };
        let (texels, broadcast) = if shape.keeps_groups(most) { (most, base.broadcast) } else { (1, 0) };
        if shape.has_strips(self.conv_strip_taps) {
            return Choice::Strip(Tile { pixels: self.strip(columns), texels, broadcast, ..base });
        }
        Choice::Direct(Tile { texels, broadcast, ..base })
    }

    /// The tile of registers for `rows` rows and `width` output texels: by the number of rows, and for few rows by the
    /// direction that leaves fewer lanes of a workgroup without work. Where loads of weights are shared, narrow results
    /// take half a tile.
    pub fn tile(&self, rows: usize, width: usize) -> Tile {
        let (mut many, few) = (self.product, self.product_few);
        if many.broadcast > 0 && width * 2 <= many.texels {
            many.texels /= 2;
        }
        if rows == 1 {
            return self.vector;
        }
        if rows >= self.many_rows {
            return many;
        }
        let busy = |work: usize, lanes: usize| work as f64 / work.next_multiple_of(lanes) as f64;
        let over_pixels = busy(rows.div_ceil(many.pixels), many.workgroup[0]);
        let over_channels = busy(width.div_ceil(few.texels), few.workgroup[0]);
        if over_pixels > over_channels { many } else { few }
    }

    /// Pixels of a strip: of two lengths the one that leaves fewer pixels of a row of `output` without work.
    pub fn strip(&self, output: usize) -> usize {
        let idle = |pixels: usize| output.next_multiple_of(pixels) - output;
        let [first, second] = self.strips;
        if idle(second) < idle(first) { second } else { first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_share_what_is_staged_evenly() {
        for staged in STAGED {
            let lanes: usize = staged.workgroup.iter().product();
            assert!((staged.stage * staged.rows()).is_multiple_of(lanes), "{staged:?}");
            assert!((staged.stage * staged.columns()).is_multiple_of(lanes), "{staged:?}");
            assert!(lanes.is_multiple_of(staged.stage), "{staged:?}");
            // 16 KiB is what every browser promises.
            let texels = staged.stage * (staged.rows() + 2 + staged.columns() * 4);
            assert!(texels * 16 <= 16 << 10, "{staged:?}: {} bytes", texels * 16);
        }
    }
}
