//! Where weights and what belongs to their columns lie.

/// 64 weights, aligned as the widest loads like them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub [i8; 64]);

impl Default for Line {
    fn default() -> Self {
        Self([0; 64])
    }
}

/// How a line's 64 weights stand for 16 columns by 4 rows of the depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "other machines have one order"))]
pub(crate) enum Order {
    /// Four rows of 16 columns.
    Plain,
    /// Sixteen columns of four rows.
    Quads,
    /// As `Quads`, the panel's columns dealt out in fours to its blocks, so that narrowing the sums of all blocks to
    /// bytes (which works on 128-bit lanes) brings them into their order.
    Packed,
}

impl Order {
    /// Block, and place in the block, of a column in a panel of `blocks` blocks.
    pub fn place(self, blocks: usize, column: usize) -> (usize, usize) {
        match self {
            Self::Plain | Self::Quads => (column / 16, column % 16),
            Self::Packed => (column / 4 % blocks, column / (4 * blocks) * 4 + column % 4),
        }
    }

    /// Byte of a weight in its line: `row` is the depth's last two bits.
    fn byte(self, row: usize, place: usize) -> usize {
        match self {
            Self::Plain => row * 16 + place,
            Self::Quads | Self::Packed => place * 4 + row,
        }
    }
}

/// How often a rescaled sum is rounded; see the reference kernels' `fixed_point`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// CONV_2D and DEPTHWISE_CONV_2D.
    Twice,
    /// FULLY_CONNECTED.
    Once,
}

/// What is done with the sums of one column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    /// Added to the sum first.
    pub bias: i32,
    /// The factor is `mantissa · 2^(exponent − 31)`.
    pub mantissa: i32,
    /// See `mantissa`.
    pub exponent: i32,
}

/// [`Column`]s of a block, in the form that vectors need.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Columns16 {
    pub bias: [i32; 16],
    pub mantissa: [i32; 16],
    /// The mantissas one place further left: those of odd columns where the even ones' are.
    pub odd: [i32; 16],
    /// Right shift after the multiplication.
    pub shift: [i32; 16],
    /// Half of what is shifted away.
    pub half: [i32; 16],
    /// Logical right shift that leaves the sign, or nothing where there is no shift and so no rounding.
    pub sign: [i32; 16],
    /// Left shift before the multiplication.
    pub left: [i32; 16],
}

impl Default for Columns16 {
    fn default() -> Self {
        let zeros = [0; 16];
        Self { bias: zeros, mantissa: zeros, odd: zeros, shift: zeros, half: zeros, sign: [32; 16], left: zeros }
    }
}

impl Columns16 {
    /// Sets the column at a place.
    pub fn set(&mut self, place: usize, column: Column) {
        let shift = (-column.exponent).clamp(0, 31);
        self.bias[place] = column.bias;
        self.mantissa[place] = column.mantissa;
        if place % 2 == 1 {
            self.odd[place - 1] = column.mantissa;
        }
        self.shift[place] = shift;
        self.half[place] = if shift == 0 { 0 } else { 1 << (shift - 1) };
        self.sign[place] = if shift == 0 { 32 } else { 31 };
        self.left[place] = column.exponent.clamp(0, 30);
    }
}

/// Up to 64 neighbouring columns of a matrix of weights, `4 · groups` deep.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub order: Order,
    /// Columns that count; the others are zero.
    pub columns: usize,
    /// Blocks of 16 columns.
    pub blocks: usize,
    /// A quarter of the depth.
    pub groups: usize,
    /// One line per group and block.
    pub lines: Vec<Line>,
    /// One per block.
    pub scales: Vec<Columns16>,
    /// Whether some sums are shifted left.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "plain loops look at every column"))]
    pub left: bool,
}

impl Panel {
    /// Packs `columns` columns (1 to 64) of `depth` weights; `weight(k, column)`, `column(column)`.
    pub fn pack(
        order: Order,
        blocks: usize,
        (depth, columns): (usize, usize),
        weight: impl Fn(usize, usize) -> i8,
        column: impl Fn(usize) -> Column,
    ) -> Self {
        let groups = depth.div_ceil(4);
        let mut left = false;
        let mut lines = vec![Line::default(); groups * blocks];
        let mut scales = vec![Columns16::default(); blocks];
        for c in 0..columns {
            let (block, place) = order.place(blocks, c);
            let column = column(c);
            left |= column.exponent > 0;
            scales[block].set(place, column);
            for k in 0..depth {
                lines[k / 4 * blocks + block].0[order.byte(k % 4, place)] = weight(k, c);
            }
        }
        Self { order, columns, blocks, groups, lines, scales, left }
    }
}

/// From scaled sums to stored values.
///
/// All numbers are those of an INT8 output; of a UINT8 one they are 128 less and the sign bit is flipped at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finish {
    pub rounding: Rounding,
    /// What turns a stored activation into a `u8`: 0x80 for INT8, 0 for UINT8.
    pub flip_in: u8,
    /// 0 for INT8 outputs, 0x80 for UINT8.
    pub flip_out: u8,
    /// The output's zero point.
    pub zero: i8,
    /// The smallest stored value.
    pub min: i8,
    /// The largest stored value; counts where it is below `min`.
    pub max: i8,
}
