//! Every level against the formula, on random numbers and extremes.

use super::*;
use crate::kernels::fixed_point::Multiplier;

/// A linear congruential generator; each test starts its own.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn byte(&mut self) -> u8 {
        // The ends of the range are as frequent as all others together.
        [0, 0x7f, 0x80, 0xff].get(self.below(8)).copied().unwrap_or(self.next() as u8)
    }

    fn column(&mut self) -> Column {
        let factor = 0.5f64.powi(self.below(16) as i32) * (0.5 + self.below(1000) as f64 / 2000.0);
        let factor = if self.below(20) == 0 { [0.0, 1e-9, 1.0, 0.5][self.below(4)] } else { factor };
        let Multiplier { mantissa, exponent } = Multiplier::new(factor);
        Column { bias: self.next() as i32 % 100_000 - 50_000, mantissa, exponent: exponent.min(0) }
    }

    fn finish(&mut self, rounding: Rounding) -> Finish {
        let flip = |bit| if bit == 0 { 0x80 } else { 0 };
        let (flip_in, flip_out) = (flip(self.below(2)), 0x80 - flip(self.below(2)));
        let (min, max) = [(-128, 127), (-128, 127), (-100, 50), (3, 3)][self.below(4)];
        Finish { rounding, flip_in, flip_out, zero: self.byte().cast_signed(), min, max }
    }
}

fn expected(sum: i32, column: &Column, finish: &Finish) -> u8 {
    let multiplier = Multiplier { mantissa: column.mantissa, exponent: column.exponent };
    let sum = sum.wrapping_add(column.bias);
    let scaled = match finish.rounding {
        Rounding::Twice => multiplier.twice_rounded(sum),
        Rounding::Once => multiplier.once_rounded(sum.into()),
    };
    let stored = scaled.saturating_add(finish.zero.into()).max(finish.min.into()).min(finish.max.into());
    (stored as i8).cast_unsigned() ^ finish.flip_out
}

struct Case {
    depth: usize,
    columns: usize,
    rows: usize,
    weights: Vec<i8>,
    scales: Vec<Column>,
    data: Vec<u8>,
    corrections: Vec<i32>,
    finish: Finish,
}

impl Case {
    fn new(random: &mut Random, rounding: Rounding) -> Self {
        let (groups, columns, rows) = (1 + random.below(9), 1 + random.below(64), 1 + random.below(30));
        let depth = groups * 4;
        let stride = depth + random.below(5);
        Self {
            depth,
            columns,
            rows,
            weights: (0..depth * columns).map(|_| random.byte().cast_signed()).collect(),
            scales: (0..columns).map(|_| random.column()).collect(),
            data: (0..(rows - 1) * stride + depth).map(|_| random.byte()).collect(),
            corrections: (0..rows * random.below(2)).map(|_| random.next() as i32 % 5000).collect(),
            finish: random.finish(rounding),
        }
    }

    fn stride(&self) -> usize {
        if self.rows == 1 { self.depth } else { (self.data.len() - self.depth) / (self.rows - 1) }
    }

    fn expected(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for row in 0..self.rows {
            for column in 0..self.columns {
                let x = self.data[row * self.stride()..].iter().map(|x| i32::from(x ^ self.finish.flip_in));
                let products = x.take(self.depth).enumerate();
                let sum: i32 = products.map(|(k, x)| x * i32::from(self.weights[k * self.columns + column])).sum();
                let sum = sum.wrapping_add(self.corrections.get(row).copied().unwrap_or(0));
                out.push(expected(sum, &self.scales[column], &self.finish));
            }
        }
        out
    }

    fn run(&self, level: Level) -> Vec<u8> {
        let order = level.product_order(self.finish.rounding);
        let weight = |k, c| self.weights[k * self.columns + c];
        let blocks = self.columns.div_ceil(16);
        let panel = Panel::pack(order, blocks, (self.depth, self.columns), weight, |c| self.scales[c]);
        let mut out = vec![0xaa; self.rows * (self.columns + 3)];
        let rows = Rows { data: &self.data, stride: self.stride(), count: self.rows, corrections: &self.corrections };
        product(level, &panel, rows, &self.finish, &mut out, self.columns + 3);
        let rows = out.chunks_exact(self.columns + 3);
        assert!(rows.clone().all(|row| row[self.columns..] == [0xaa; 3]), "nothing beyond the columns is written");
        rows.flat_map(|row| &row[..self.columns]).copied().collect()
    }
}

#[test]
fn products_are_those_of_the_formula() {
    let mut random = Random(1);
    for i in 0..3000 {
        let case = Case::new(&mut random, if i % 4 == 0 { Rounding::Once } else { Rounding::Twice });
        let expected = case.expected();
        for level in Level::all() {
            assert_eq!(case.run(level), expected, "{level:?}: case {i}, {} x {}", case.depth, case.columns);
        }
    }
}

#[test]
fn a_wrong_weight_or_rounding_is_seen() {
    let mut random = Random(2);
    let (mut weights, mut roundings) = (0, 0);
    for _ in 0..200 {
        let mut case = Case::new(&mut random, Rounding::Twice);
        case.finish = Finish { min: -128, max: 127, ..case.finish };
        let expected = case.expected();
        case.finish.rounding = Rounding::Once;
        roundings += usize::from(case.run(Level::best()) != expected);
        case.finish.rounding = Rounding::Twice;
        let last = case.weights.len() - 1;
        case.weights[last] ^= 0x40;
        weights += usize::from(case.run(Level::best()) != expected);
    }
    assert!(
        weights > 100 && roundings > 20,
        "{weights} wrong weights and {roundings} wrong roundings of 200 were seen"
    );
}

#[test]
fn depthwise_rows_are_those_of_the_formula() {
    let mut random = Random(3);
    for i in 0..1000 {
        let (taps, panel_count, len) = (4 * (1 + random.below(7)), 1 + random.below(4), 1 + random.below(700));
        let finish = random.finish(Rounding::Twice);
        let offsets: Vec<usize> = (0..taps).map(|_| random.below(300)).collect();
        let input: Vec<u8> = (0..300 + len.next_multiple_of(64)).map(|_| random.byte()).collect();
        let weights: Vec<i8> = (0..taps * panel_count * 64).map(|_| random.byte().cast_signed()).collect();
        let scales: Vec<Column> = (0..panel_count * 64).map(|_| random.column()).collect();
        let element = |p: usize| {
            let channel = p % (panel_count * 64);
            let product = |(tap, offset): (usize, &usize)| {
                let weight = weights[tap * panel_count * 64 + channel];
                i32::from(input[offset + p] ^ finish.flip_in) * i32::from(weight)
            };
            expected(offsets.iter().enumerate().map(product).sum(), &scales[channel], &finish)
        };
        let expected: Vec<u8> = (0..len).map(element).collect();
        for level in Level::all() {
            let pack = |panel: usize| {
                let weight = |tap: usize, c| weights[tap * panel_count * 64 + panel * 64 + c];
                Panel::pack(level.depthwise_order(), 4, (taps, 64), weight, |c| scales[panel * 64 + c])
            };
            let panels: Vec<Panel> = (0..panel_count).map(pack).collect();
            let mut out = vec![0; len];
            depthwise(level, &panels, &input, &offsets, &finish, &mut out);
            assert_eq!(out, expected, "{level:?}: case {i}");
        }
    }
}

#[test]
fn rows_are_cut_into_nearly_equal_parts() {
    assert_eq!(parts(25, 6).collect::<Vec<_>>(), [5; 5]);
    assert_eq!(parts(7, 6).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(parts(0, 6).count(), 0);
}
