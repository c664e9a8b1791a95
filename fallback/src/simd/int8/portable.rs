//! Plain loops, written so that compilers find vectors in them; inlined into functions of other levels too.

use super::{Columns16, Finish, Panel, Rounding, Rows};

/// Sums, bias included, of all columns of a panel: `16 · blocks` per row.
#[inline(always)]
pub(super) fn sums(panel: &Panel, rows: Rows<'_>, flip: u8, sums: &mut [i32]) {
    let width = panel.blocks * 16;
    for (i, sums) in sums.chunks_exact_mut(width).enumerate() {
        start(panel, &rows, i, sums);
        let row = &rows.data[i * rows.stride..][..panel.groups * 4];
        for (lines, x) in panel.lines.chunks_exact(panel.blocks).zip(row.as_chunks::<4>().0) {
            let x = x.map(|x| i32::from(x ^ flip));
            for (line, sums) in lines.iter().zip(sums.as_chunks_mut::<16>().0) {
                add_line(sums, &line.0, |tap, _| x[tap]);
            }
        }
    }
}

/// The sums of row `i` before anything is added: bias and the row's correction.
#[inline(always)]
pub(super) fn start(panel: &Panel, rows: &Rows<'_>, i: usize, sums: &mut [i32]) {
    let correction = rows.corrections.get(i).copied().unwrap_or(0);
    for (sums, scales) in sums.as_chunks_mut::<16>().0.iter_mut().zip(&panel.scales) {
        sums.iter_mut().zip(scales.bias).for_each(|(sum, bias)| *sum = bias.wrapping_add(correction));
    }
}

#[inline(always)]
fn add_line(sums: &mut [i32; 16], line: &[i8; 64], x: impl Fn(usize, usize) -> i32) {
    for (tap, weights) in line.as_chunks::<16>().0.iter().enumerate() {
        for (place, (sum, &weight)) in sums.iter_mut().zip(weights).enumerate() {
            *sum = sum.wrapping_add(x(tap, place).wrapping_mul(i32::from(weight)));
        }
    }
}

/// As [`super::depthwise`].
#[inline(always)]
pub(super) fn depthwise(panels: &[Panel], input: &[u8], offsets: &[usize], finish: &Finish, out: &mut [u8]) {
    for ((i, out), panel) in out.chunks_mut(64).enumerate().zip(panels.iter().cycle()) {
        let mut sums = [0i32; 64];
        for (sums, scales) in sums.as_chunks_mut::<16>().0.iter_mut().zip(&panel.scales) {
            *sums = scales.bias;
        }
        for (lines, offsets) in panel.lines.as_chunks::<4>().0.iter().zip(offsets.as_chunks::<4>().0) {
            for (tap, &offset) in offsets.iter().enumerate() {
                let x = &input[offset + i * 64..][..64];
                for ((line, sums), x) in lines.iter().zip(sums.as_chunks_mut::<16>().0).zip(x.as_chunks::<16>().0) {
                    let weights = &line.0.as_chunks::<16>().0[tap];
                    for ((sum, &weight), &x) in sums.iter_mut().zip(weights).zip(x) {
                        *sum = sum.wrapping_add(i32::from(x ^ finish.flip_in) * i32::from(weight));
                    }
                }
            }
        }
        finish_row(&panel.scales, &sums, finish, out);
    }
}

/// Stored values of one row's sums in the columns' order.
#[inline(always)]
pub(super) fn finish_row(scales: &[Columns16], sums: &[i32], finish: &Finish, out: &mut [u8]) {
    let blocks = scales.iter().zip(sums.as_chunks::<16>().0);
    for ((scales, sums), out) in blocks.zip(out.chunks_mut(16)) {
        let stored = match finish.rounding {
            Rounding::Twice => twice(scales, sums),
            Rounding::Once => once(scales, sums),
        };
        out.iter_mut().zip(stored).for_each(|(out, scaled)| *out = store(scaled, finish));
    }
}

#[inline(always)]
fn store(scaled: i32, finish: &Finish) -> u8 {
    let stored = scaled.saturating_add(finish.zero.into()).max(finish.min.into()).min(finish.max.into());
    (stored as i8).cast_unsigned() ^ finish.flip_out
}

#[inline(always)]
fn twice(scales: &Columns16, sums: &[i32; 16]) -> [i32; 16] {
    std::array::from_fn(|i| {
        let shifted = (i64::from(sums[i]) << scales.left[i]).clamp(i32::MIN.into(), i32::MAX.into());
        let high = ((shifted * i64::from(scales.mantissa[i]) + (1 << 30)) >> 31) as i32;
        let down = i64::from(high.cast_unsigned().checked_shr(scales.sign[i].cast_unsigned()).unwrap_or(0));
        ((i64::from(high) + i64::from(scales.half[i]) - down) >> scales.shift[i]) as i32
    })
}

#[inline(always)]
fn once(scales: &Columns16, sums: &[i32; 16]) -> [i32; 16] {
    std::array::from_fn(|i| {
        let shift = 31 + scales.shift[i] - scales.left[i];
        let rounded = (i64::from(sums[i]) * i64::from(scales.mantissa[i]) + (1 << (shift - 1))) >> shift;
        rounded.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    })
}
