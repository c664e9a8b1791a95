//! Functions of one or two stored bytes.

use super::Level;
use crate::kernels::fixed_point::Multiplier;

/// An operand of a sum: its zero point as an INT8 one, and what its value, shifted left, is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addend {
    pub zero: i32,
    pub factor: Multiplier,
}

/// What is made of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    /// The sum, or with `subtract` the difference, of both at a common scale with [`SUM_BITS`] bits more.
    Sum { a: Addend, b: Addend, subtract: bool },
    /// The product, less these zero points.
    Product { a: i32, b: i32 },
}

/// Bits that both operands of a sum get on their way to a common scale.
pub(crate) const SUM_BITS: i32 = 20;

/// A function of two stored bytes: what is combined is multiplied with `factor`, then stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binary {
    pub combine: Combine,
    pub factor: Multiplier,
    /// 0 for INT8 tensors, 0x80 for UINT8; all three have the same type.
    pub flip: u8,
    /// Zero point and range of the output as those of an INT8 one.
    pub zero: i8,
    /// See `zero`.
    pub min: i8,
    /// See `zero`.
    pub max: i8,
}

impl Binary {
    /// Whether no factor shifts left, which only the plain loop does.
    #[cfg(target_arch = "x86_64")]
    fn shifts_right(&self) -> bool {
        let right = |factor: Multiplier| factor.exponent <= 0;
        let operands = match self.combine {
            Combine::Sum { a, b, .. } => right(a.factor) && right(b.factor),
            Combine::Product { .. } => true,
        };
        operands && right(self.factor)
    }
}

/// `out[i]` = the function of `a[i]` and `b[i]`.
///
/// # Panics
/// When lengths differ.
pub(crate) fn binary(level: Level, function: &Binary, a: &[u8], b: &[u8], out: &mut [u8]) {
    assert!(a.len() == out.len() && b.len() == out.len(), "operands of one length");
    match level.0 {
        #[cfg(target_arch = "x86_64")]
        super::Kind::Vnni if function.shifts_right() => super::vnni_bytes::binary(level, function, a, b, out),
        _ => {
            let one = |a: u8, b: u8| binary_of(function, a, b);
            out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (&a, &b))| *out = one(a, b));
        }
    }
}

fn binary_of(function: &Binary, a: u8, b: u8) -> u8 {
    let stored = |byte: u8| i32::from((byte ^ function.flip).cast_signed());
    let combined = match function.combine {
        Combine::Sum { a: left, b: right, subtract } => {
            let scaled = |x: i32, addend: Addend| addend.factor.twice_rounded((x - addend.zero) << SUM_BITS);
            let (a, b) = (scaled(stored(a), left), scaled(stored(b), right));
            if subtract { a.wrapping_sub(b) } else { a.wrapping_add(b) }
        }
        Combine::Product { a: left, b: right } => (stored(a) - left).wrapping_mul(stored(b) - right),
    };
    let scaled = function.factor.twice_rounded(combined).saturating_add(function.zero.into());
    let stored = scaled.max(function.min.into()).min(function.max.into()) as i8;
    stored.cast_unsigned() ^ function.flip
}

/// `out[i] = table[x[i]]`.
///
/// # Panics
/// When lengths differ.
pub(crate) fn lookup(level: Level, table: &[u8; 256], x: &[u8], out: &mut [u8]) {
    assert!(x.len() == out.len(), "as many results as bytes");
    match level.0 {
        #[cfg(target_arch = "x86_64")]
        super::Kind::Vnni => super::vnni_bytes::lookup(level, table, x, out),
        _ => out.iter_mut().zip(x).for_each(|(out, &x)| *out = table[usize::from(x)]),
    }
}
