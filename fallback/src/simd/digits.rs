//! Products of floats with bytes that are summed as integers: a float is a number of 24 bits, three bytes, each of which
//! meets the bytes of the weights four at a time.

use super::Level;

/// Largest number that a row's largest float becomes; leaves room for rounding below 2^23.
#[cfg(target_arch = "x86_64")]
const LARGEST: f32 = 8_388_600.0;
/// Bounds of a row's largest float, between which its scale is a normal number.
#[cfg(target_arch = "x86_64")]
const RANGE: std::ops::Range<f32> = 1e-20..1e20;
/// Deeper sums could leave 32 bits.
pub(crate) const MOST_DEPTH: usize = 32 << 10;

/// Proof that this machine has AVX-512 with VNNI.
#[derive(Clone, Copy)]
pub(crate) struct Digits(());

/// Rows that [`Digits::cut`] has made.
#[derive(Clone, Copy)]
pub(crate) struct DigitRows<'a> {
    /// Of each row three planes of `stride` bytes, lowest digits first.
    pub(crate) planes: &'a [u8],
    pub(crate) stride: usize,
    /// What the numbers of each row are multiplied with.
    pub(crate) scales: &'a [f32],
}

/// Weights of up to four vectors of 16 columns.
#[derive(Clone, Copy)]
pub(crate) struct QuadPanel<'a> {
    /// Four rows of the depth of 16 columns, four bytes of a column side by side, for each vector in turn; so for every
    /// four rows of the depth.
    pub(crate) bytes: &'a [i8],
    /// -128 times the sum of each column's weights.
    pub(crate) offsets: &'a [i32],
    /// Of each column.
    pub(crate) scales: &'a [f32],
    /// What sums start with.
    pub(crate) starts: &'a [f32],
    pub(crate) vectors: usize,
    /// Columns that are stored.
    pub(crate) columns: usize,
}

/// Bytes of a plane for rows of `depth` floats.
pub(crate) fn plane(depth: usize) -> usize {
    depth.next_multiple_of(16)
}

impl Digits {
    /// For kernels that work with a level's vectors.
    pub(crate) fn detect(level: Level) -> Option<Self> {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => {
                let has = is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bw");
                has.then_some(Self(()))
            }
            _ => None,
        }
    }

    /// Cuts a row into three planes of [`plane`] bytes each; its scale, or `None` where a float is not finite or all are
    /// too large or too small.
    ///
    /// # Panics
    /// When the planes are too short.
    pub(crate) fn cut(self, row: &[f32], planes: &mut [u8]) -> Option<f32> {
        assert!(planes.len() >= 3 * plane(row.len()));
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the token exists only where the instructions do, and the planes are long enough.
        return unsafe { vnni::cut(row, planes) };
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// `out[r * stride + c] = clamp(start + row r * column c)`.
    ///
    /// # Panics
    /// When anything is too short.
    pub(crate) fn product(
        self,
        rows: DigitRows<'_>,
        panel: QuadPanel<'_>,
        (min, max): (f32, f32),
        out: &mut [f32],
        out_stride: usize,
    ) {
        let (width, count) = (panel.vectors * 16, rows.scales.len());
        let groups = panel.bytes.len() / (width * 4).max(1);
        assert!(rows.planes.len() >= count * 3 * rows.stride && rows.stride >= groups * 4, "whole rows");
        assert!(panel.offsets.len() >= width && panel.scales.len() >= width && panel.starts.len() >= width);
        assert!((1..=4).contains(&panel.vectors) && (1..=width).contains(&panel.columns), "a panel's width");
        assert!(count == 0 || out.len() >= (count - 1) * out_stride + panel.columns, "room for the product");
        #[cfg(target_arch = "x86_64")]
        {
            let product = vnni::Product { rows, panel, groups, min, max, out_stride };
            let mut row = 0;
            while row < count {
                let pair = count - row >= 2;
                // SAFETY: the token exists only where the instructions do, and the lengths were compared above.
                unsafe {
                    match panel.vectors {
                        1 if pair => vnni::tile::<2, 1>(&product, row, out),
                        2 if pair => vnni::tile::<2, 2>(&product, row, out),
                        3 if pair => vnni::tile::<2, 3>(&product, row, out),
                        _ if pair => vnni::tile::<2, 4>(&product, row, out),
                        1 => vnni::tile::<1, 1>(&product, row, out),
                        2 => vnni::tile::<1, 2>(&product, row, out),
                        3 => vnni::tile::<1, 3>(&product, row, out),
                        _ => vnni::tile::<1, 4>(&product, row, out),
                    }
                }
                row += if pair { 2 } else { 1 };
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (min, max, out);
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::*;

    use super::{DigitRows, LARGEST, QuadPanel, RANGE, plane};

    pub(super) struct Product<'a> {
        pub(super) rows: DigitRows<'a>,
        pub(super) panel: QuadPanel<'a>,
        /// A quarter of the depth.
        pub(super) groups: usize,
        pub(super) min: f32,
        pub(super) max: f32,
        pub(super) out_stride: usize,
    }

    /// # Safety
    /// The machine has the instructions; there are three planes.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub(super) unsafe fn cut(row: &[f32], planes: &mut [u8]) -> Option<f32> {
        let part = |at: usize| {
            let rest = row.len() - at;
            if rest >= 16 {
                // SAFETY: a whole vector is there.
                return unsafe { _mm512_loadu_ps(row.as_ptr().add(at)) };
            }
            // SAFETY: the mask leaves out what is not there.
            unsafe { _mm512_maskz_loadu_ps((1u16 << rest) - 1, row.as_ptr().add(at)) }
        };
        // Of floats without a sign the larger one has the larger bits; those of infinity and NaN are larger still.
        let mut bits = _mm512_setzero_si512();
        for at in (0..row.len()).step_by(16) {
            let magnitude = _mm512_and_si512(_mm512_castps_si512(part(at)), _mm512_set1_epi32(0x7fff_ffff));
            bits = _mm512_max_epu32(bits, magnitude);
        }
        let largest = f32::from_bits(_mm512_reduce_max_epu32(bits));
        if largest != 0.0 && !RANGE.contains(&largest) {
            return None;
        }
        let inverse = _mm512_set1_ps(if largest == 0.0 { 0.0 } else { LARGEST / largest });
        let stride = plane(row.len());
        for at in (0..row.len()).step_by(16) {
            let number = _mm512_cvtps_epi32(_mm512_mul_ps(part(at), inverse));
            let number = _mm512_add_epi32(number, _mm512_set1_epi32(1 << 23));
            let digits = [number, _mm512_srli_epi32::<8>(number), _mm512_srli_epi32::<16>(number)];
            for (i, digit) in digits.into_iter().enumerate() {
                // SAFETY: a plane has room for whole vectors of the row.
                unsafe {
                    let to = planes.as_mut_ptr().add(i * stride + at);
                    _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(digit));
                }
            }
        }
        Some(largest / LARGEST)
    }

    /// # Safety
    /// The machine has the instructions; `R` rows from `row` on, `groups · V` lines of 64 bytes, `V` vectors of offsets,
    /// scales and starts, and room for the columns of each row.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub(super) unsafe fn tile<const R: usize, const V: usize>(product: &Product<'_>, row: usize, out: &mut [f32]) {
        let Product { rows, panel, groups, .. } = product;
        let mut sums = [[[_mm512_setzero_si512(); V]; 3]; R];
        for v in 0..V {
            // SAFETY: there are `V` vectors of offsets.
            let offset = unsafe { _mm512_loadu_si512(panel.offsets.as_ptr().add(v * 16).cast()) };
            sums.iter_mut().for_each(|sums| sums[2][v] = offset);
        }
        let (mut line, first) = (panel.bytes.as_ptr(), row * 3 * rows.stride);
        for group in 0..*groups {
            let mut weights = [_mm512_setzero_si512(); V];
            for (v, weights) in weights.iter_mut().enumerate() {
                // SAFETY: there are `groups · V` lines.
                *weights = unsafe { _mm512_loadu_si512(line.add(v * 64).cast()) };
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                for (digit, sums) in sums.iter_mut().enumerate() {
                    let at = first + (r * 3 + digit) * rows.stride + group * 4;
                    // SAFETY: a plane has `4 · groups` bytes.
                    let four = unsafe { rows.planes.as_ptr().add(at).cast::<i32>().read_unaligned() };
                    let four = _mm512_set1_epi32(four);
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = _mm512_dpbusd_epi32(*sum, four, weights);
                    }
                }
            }
            // SAFETY: at the end it points just behind the last line at most.
            line = unsafe { line.add(V * 64) };
        }
        let (min, max, base) = (_mm512_set1_ps(product.min), _mm512_set1_ps(product.max), _mm512_set1_ps(256.0));
        for (r, sums) in sums.iter().enumerate() {
            let scale = _mm512_set1_ps(rows.scales[row + r]);
            let out = &mut out[(row + r) * product.out_stride..][..panel.columns];
            for (v, out) in out.chunks_mut(16).enumerate() {
                let digit = |i: usize| _mm512_cvtepi32_ps(sums[i][v]);
                let number = _mm512_fmadd_ps(_mm512_fmadd_ps(digit(2), base, digit(1)), base, digit(0));
                // SAFETY: there are `V` vectors of scales and starts.
                let (scales, start) = unsafe {
                    let at = v * 16;
                    (_mm512_loadu_ps(panel.scales.as_ptr().add(at)), _mm512_loadu_ps(panel.starts.as_ptr().add(at)))
                };
                let real = _mm512_fmadd_ps(number, _mm512_mul_ps(scale, scales), start);
                let real = _mm512_min_ps(max, _mm512_max_ps(min, real));
                let mask = if out.len() >= 16 { !0 } else { (1u16 << out.len()) - 1 };
                // SAFETY: the mask leaves what is there.
                unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, real) };
            }
        }
    }
}
