//! Weights as halves.

use std::{borrow::Cow, ops::Range};

use half::{f16, slice::HalfFloatSliceExt};

use super::weights::{Order, Shape};
use crate::region::Storage;

/// Errors of a channel are taken for cancelled below this part of the largest weight's distance from the next half.
const EXACT: f32 = 1.0 / 32.0;

/// Weights that are converted at a time.
const GROUP: usize = 1024;

/// Columns that are taken out of a matrix together.
const BESIDE: usize = 16;

/// Up to here turns are sorted rather than split.
const FEW: usize = 16;

/// Weights whose products are sums over all taps and inputs, as they are stored.
///
/// Halves are chosen so that the errors of an output channel's weights cancel each other out: each weight becomes one of
/// the two halves about it, and as few as possible the farther one. Inputs have a mean, because they come from
/// activations, and every pixel would carry what a channel's sum of weights is off, layer after layer.
pub(super) fn stored(values: &[f32], storage: Storage, shape: Shape, order: Order) -> Cow<'_, [f32]> {
    if storage != Storage::F16 {
        return Cow::Borrowed(values);
    }
    let mut stored = nearest(values);
    if stored == values {
        return Cow::Borrowed(values);
    }
    let count = (shape.taps * shape.depth).max(1);
    let mut work = Work::default();
    if order == Order::OutputFirst {
        for (values, stored) in values.chunks(count).zip(stored.chunks_mut(count)) {
            work.round(values, stored);
        }
        return Cow::Owned(stored);
    }
    let (mut channels, mut halves) = (Vec::new(), Vec::new());
    for first in (0..shape.channels).step_by(BESIDE) {
        let columns = first..shape.channels.min(first + BESIDE);
        take_columns(values, shape.channels, columns.clone(), &mut channels);
        take_columns(&stored, shape.channels, columns.clone(), &mut halves);
        for (values, stored) in channels.chunks(count).zip(halves.chunks_mut(count)) {
            work.round(values, stored);
        }
        for (row, stored) in stored.chunks_mut(shape.channels).enumerate() {
            let own = stored.get_mut(columns.clone()).unwrap_or_default();
            for (column, to) in own.iter_mut().enumerate() {
                *to = halves.get(column * count + row).copied().unwrap_or(*to);
            }
        }
    }
    Cow::Owned(stored)
}

/// Columns of a matrix, one after the other.
fn take_columns(matrix: &[f32], width: usize, columns: Range<usize>, taken: &mut Vec<f32>) {
    let rows = matrix.len() / width.max(1);
    taken.clear();
    taken.resize(rows * columns.len(), 0.0);
    for (i, row) in matrix.chunks_exact(width.max(1)).enumerate() {
        for (column, value) in row.get(columns.clone()).unwrap_or_default().iter().enumerate() {
            if let Some(to) = taken.get_mut(column * rows + i) {
                *to = *value;
            }
        }
    }
}

/// The halves next to these values; what halves cannot hold stays as it is.
fn nearest(values: &[f32]) -> Vec<f32> {
    let mut stored = vec![0.0; values.len()];
    let mut halves = [f16::ZERO; GROUP];
    for (values, stored) in values.chunks(GROUP).zip(stored.chunks_mut(GROUP)) {
        let Some(halves) = halves.get_mut(..values.len()) else { continue };
        halves.convert_from_f32_slice(values);
        halves.convert_to_f32_slice(stored);
        for (half, value) in stored.iter_mut().zip(values) {
            if half.is_infinite() {
                *half = *value;
            }
        }
    }
    stored
}

/// All bits, or none: conditions as words, which the compiler computes with side by side.
fn mask(condition: bool) -> u32 {
    u32::from(condition).wrapping_neg()
}

/// Bits of a number without its sign: in the order of magnitudes.
fn magnitude(v: f32) -> u32 {
    v.to_bits() & 0x7fff_ffff
}

/// The step from a half to the one on the other side of the weight that it is next to; 0 where that is no half.
fn step(half: f32, weight: f32) -> f32 {
    /// Exponents of the smallest half that is normal, and by how much a step's lies below its half's.
    const LEAST: u32 = (127 - 14) << 23;
    const BELOW: u32 = 10 << 23;
    /// The largest half.
    const LARGEST: u32 = 65_504f32.to_bits();
    let (half, weight) = (magnitude(half), magnitude(weight));
    let (exponent, mantissa) = (half & 0x7f80_0000, half & 0x007f_ffff);
    let inwards = mask(weight < half);
    // Below a power of two halves lie twice as close.
    let closer = inwards & mask(mantissa == 0) & mask(exponent > LEAST) & 1 << 23;
    let step = exponent.max(LEAST) - BELOW - closer;
    f32::from_bits(step & (inwards | mask(half < LARGEST)))
}

/// Working memory, from one output channel to the next.
#[derive(Default)]
struct Work {
    costs: Vec<f32>,
    turns: Vec<u64>,
}

impl Work {
    /// Rounds a channel's weights to halves whose sum is off by little; `stored` has the nearest ones.
    fn round(&mut self, weights: &[f32], stored: &mut [f32]) {
        let sum = sum_of_errors(weights, stored);
        let largest = self.weigh(weights, stored, sum);
        let mut balance = Balance { weights, stored, left: sum.abs(), largest };
        // Costs are spread evenly from 0 to a step, so that few of them decide.
        let (mut from, mut to) = (0.0, 4.0 * balance.left / weights.len().max(1) as f32);
        while !balance.is_settled() && from < 2.0 * balance.left && from <= largest {
            self.turns.clear();
            let between = |(_, cost): &(u64, &f32)| (from..to).contains(*cost);
            // Costs are positive, and so in their bits' order.
            let turns = (0u64..).zip(&self.costs).filter(between);
            self.turns.extend(turns.map(|(i, cost)| u64::from(cost.to_bits()) << 32 | i));
            if balance.settle(&mut self.turns) {
                break;
            }
            (from, to) = (to, to * 4.0);
        }
    }

    /// By how much the square of each weight's error would grow for what its turn gives back, infinity where there is nothing
    /// to give; the largest step of the others.
    fn weigh(&mut self, weights: &[f32], stored: &[f32], sum: f32) -> f32 {
        self.costs.resize(weights.len(), 0.0);
        // Positive numbers are in their bits' order, and a largest integer is found side by side.
        let mut largest = 0u32;
        for ((cost, weight), half) in self.costs.iter_mut().zip(weights).zip(stored) {
            let error = half - weight;
            let step = step(*half, *weight);
            let can = mask(error * sum > 0.0) & mask(error.abs() < f32::INFINITY) & mask(step > 0.0);
            largest = largest.max(step.to_bits() & can);
            let own = step - 2.0 * error.abs();
            let own = own.to_bits() & mask(own > 0.0);
            *cost = f32::from_bits(own & can | f32::INFINITY.to_bits() & !can);
        }
        f32::from_bits(largest)
    }
}

/// What the nearest halves of these weights add too much in all.
fn sum_of_errors(weights: &[f32], stored: &[f32]) -> f32 {
    let error = |weight: f32, half: f32| {
        let error = half - weight;
        if error.is_finite() { f64::from(error) } else { 0.0 }
    };
    // Sums side by side, as each waits for its own addition.
    let mut sums = [0.0f64; 8];
    let groups = weights.chunks(sums.len()).zip(stored.chunks(sums.len()));
    for (weights, stored) in groups {
        for (sum, (weight, half)) in sums.iter_mut().zip(weights.iter().zip(stored)) {
            *sum += error(*weight, *half);
        }
    }
    sums.into_iter().sum::<f64>() as f32
}

/// Weights of an output channel, some of which become the other half about them.
struct Balance<'a> {
    weights: &'a [f32],
    /// What they are stored as: at first the nearest halves.
    stored: &'a mut [f32],
    /// What those add too much in all, or too little.
    left: f32,
    /// The largest step of a weight that may turn.
    largest: f32,
}

impl Balance<'_> {
    /// Turns weights, those of the least cost first, until little is left; each entry is a cost's bits above a position. Whether
    /// that is so.
    ///
    /// Few turn of many, so these are split by cost no further than it takes to know which.
    fn settle(&mut self, turns: &mut [u64]) -> bool {
        if turns.len() <= FEW {
            turns.sort_unstable();
            return turns.iter().any(|turn| self.is_settled() || self.turn(*turn)) || self.is_settled();
        }
        let (low, pivot, high) = turns.select_nth_unstable(turns.len() / 2);
        let sum: f64 = low.iter().map(|turn| f64::from(self.step(*turn))).sum();
        let left = f64::from(self.left) - sum;
        let done = if left > f64::from(self.largest) / 2.0 {
            // Each of them is small enough for what is left in its turn, whatever the order.
            low.iter().for_each(|turn| self.give_back(*turn));
            self.left = left as f32;
            false
        } else {
            self.settle(low)
        };
        // A step is no smaller than its cost.
        let beyond = f32::from_bits((*pivot >> 32) as u32) >= 2.0 * self.left;
        done || beyond || self.turn(*pivot) || self.settle(high)
    }

    fn is_settled(&self) -> bool {
        self.left <= self.largest * EXACT
    }

    /// Turns a weight unless that is too much; whether that was enough.
    fn turn(&mut self, turn: u64) -> bool {
        let step = self.step(turn);
        if step < 2.0 * self.left {
            self.left -= step;
            self.give_back(turn);
        }
        self.is_settled()
    }

    fn step(&self, turn: u64) -> f32 {
        let at = position(turn);
        self.stored.get(at).zip(self.weights.get(at)).map_or(0.0, |(half, weight)| step(*half, *weight))
    }

    /// Stores a weight as the other half.
    fn give_back(&mut self, turn: u64) {
        let (at, step) = (position(turn), self.step(turn));
        if let (Some(half), Some(weight)) = (self.stored.get_mut(at), self.weights.get(at)) {
            *half += if *half > *weight { -step } else { step };
        }
    }
}

/// The weight of a turn.
fn position(turn: u64) -> usize {
    (turn & u64::from(u32::MAX)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positive and negative weights of all sizes.
    fn weights(count: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7919 % 1009) as f32 / 1009.0 - 0.4) * 0.3f32.powi((i % 5) as i32) + 1e-5;
        (0..count).map(value).collect()
    }

    fn off(values: &[f32], halves: &[f32]) -> f64 {
        values.iter().zip(halves).map(|(&value, &half)| f64::from(half) - f64::from(value)).sum::<f64>().abs()
    }

    #[test]
    fn every_channels_errors_cancel() {
        // A weight below 1 is at most 2^-11 from the next half.
        let bound = f64::from(EXACT) / 1024.0;
        for order in [Order::OutputFirst, Order::OutputLast] {
            let mut worst = 0.0f64;
            let shape = Shape { taps: 9, depth: 8, channels: 5 };
            let values = weights(9 * 8 * 5);
            let halves = stored(&values, Storage::F16, shape, order);
            for output in 0..5 {
                let of = |list: &[f32]| -> Vec<f32> {
                    let places = (0..9).flat_map(|tap| (0..8).map(move |i| order.at(shape, tap, i, output)));
                    places.map(|place| list[place]).collect()
                };
                let (values, halves) = (of(&values), of(&halves));
                let nearest: Vec<f32> = values.iter().map(|&v| f16::from_f32(v).to_f32()).collect();
                assert!(off(&values, &halves) <= bound, "{output}: {}", off(&values, &halves));
                worst = worst.max(off(&values, &nearest));
            }
            assert!(worst > 4.0 * bound, "the nearest halves do as well");
        }
    }

    #[test]
    fn a_weight_is_one_of_the_halves_about_it() {
        let values = weights(64);
        let shape = Shape { taps: 1, depth: 64, channels: 1 };
        let halves = stored(&values, Storage::F16, shape, Order::OutputFirst);
        for (&value, &half) in values.iter().zip(&*halves) {
            let nearest = f16::from_f32(value);
            let other = next(nearest, nearest.to_f32() < value).to_f32();
            assert!(half == nearest.to_f32() || half == other, "{value} became {half}");
            assert_eq!(f16::from_f32(half).to_f32(), half);
        }
    }

    #[test]
    fn halves_stay_and_so_does_what_they_cannot_hold() {
        let shape = Shape { taps: 1, depth: 4, channels: 1 };
        let exact = [1.0, -0.5, 65_504.0, 6e-8f32];
        let exact = exact.map(|v| f16::from_f32(v).to_f32());
        assert!(matches!(stored(&exact, Storage::F16, shape, Order::OutputFirst), Cow::Borrowed(_)));
        assert!(matches!(stored(&[0.1; 4], Storage::F32, shape, Order::OutputFirst), Cow::Borrowed(_)));
        let odd = [f32::NAN, 1e6, f32::INFINITY, 0.1];
        let halves = stored(&odd, Storage::F16, shape, Order::OutputFirst);
        assert!(halves[0].is_nan());
        assert_eq!(halves[1..], [1e6, f32::INFINITY, f16::from_f32(0.1).to_f32()]);
    }

    /// The half above, or below.
    fn next(half: f16, above: bool) -> f16 {
        let bits = half.to_bits();
        match half == f16::ZERO {
            true => f16::from_bits(if above { 1 } else { 0x8001 }),
            false if above != half.is_sign_negative() => f16::from_bits(bits + 1),
            false => f16::from_bits(bits - 1),
        }
    }

    #[test]
    fn a_step_leads_to_the_neighbour() {
        for half in (0..=u16::MAX).map(f16::from_bits).filter(|half| half.is_finite()) {
            for above in [false, true] {
                let (own, other) = (half.to_f32(), next(half, above).to_f32());
                // A weight that is nearer to this half than to the other.
                let weight = if other.is_finite() { own + (other - own) / 4.0 } else { own * 1.0001 };
                let expected = if other.is_finite() { (other - own).abs() } else { 0.0 };
                assert_eq!(step(own, weight), expected, "{half} {above}");
            }
        }
    }

    #[test]
    fn few_turn_and_those_of_the_least_cost() {
        // All are 0.3 or 0.4 steps above their halves, so that the second kind turns, and no more than are needed.
        let unit = 1.0 / 1024.0;
        let weights: Vec<f32> =
            (0..100).map(|i| 1.0 + (i % 50) as f32 * unit + if i % 2 == 0 { 0.3 } else { 0.4 } * unit).collect();
        let mut halves = nearest(&weights);
        let before = halves.clone();
        Work::default().round(&weights, &mut halves);
        let turned: Vec<usize> = (0..100).filter(|i| halves[*i] != before[*i]).collect();
        assert_eq!(turned.len(), 35, "0.3 × 50 + 0.4 × 50");
        assert!(turned.iter().all(|i| i % 2 == 1 && halves[*i] == before[*i] + unit), "{turned:?}");
    }
}
