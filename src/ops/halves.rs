//! Weights as halves.

use std::{borrow::Cow, cmp::Reverse, collections::BinaryHeap};

use half::{f16, slice::HalfFloatSliceExt};

use super::weights::{Order, Shape};
use crate::region::Storage;

/// Errors of a channel are taken for cancelled below this part of the largest weight's distance from the next half.
const EXACT: f32 = 1.0 / 32.0;

/// Weights whose products are sums over all taps and inputs, as they are stored.
///
/// Halves are chosen so that the errors of an output channel's weights cancel each other out: each weight becomes one of
/// the two halves about it, and as few as possible the farther one. Inputs have a mean, because they come from
/// activations, and every pixel would carry what a channel's sum of weights is off, layer after layer.
pub(super) fn stored(values: &[f32], storage: Storage, shape: Shape, order: Order) -> Cow<'_, [f32]> {
    if storage != Storage::F16 {
        return Cow::Borrowed(values);
    }
    let mut nearest = vec![f16::ZERO; values.len()];
    nearest.convert_from_f32_slice(values);
    let mut stored = vec![0.0; values.len()];
    nearest.convert_to_f32_slice(&mut stored);
    if stored == values {
        return Cow::Borrowed(values);
    }
    let mut channel = Vec::with_capacity(shape.taps * shape.depth);
    for output in 0..shape.channels {
        let inputs = |tap| (0..shape.depth).map(move |input| order.at(shape, tap, input, output));
        let places = (0..shape.taps).flat_map(inputs);
        channel.clear();
        channel.extend(places.filter_map(|place| {
            let (&weight, &half, &stored) = (values.get(place)?, nearest.get(place)?, stored.get(place)?);
            Some(Weight { place, weight, half, stored })
        }));
        round(&mut channel);
        for weight in &channel {
            if let Some(to) = stored.get_mut(weight.place) {
                *to = weight.stored;
            }
        }
    }
    Cow::Owned(stored)
}

/// A weight of an output channel.
struct Weight {
    place: usize,
    weight: f32,
    /// The half next to it.
    half: f16,
    /// What it is stored as: at first that half.
    stored: f32,
}

impl Weight {
    /// What the nearest half adds too much.
    fn error(&self) -> f32 {
        self.stored - self.weight
    }

    /// The half on its other side.
    fn other(&self) -> f32 {
        next(self.half, self.error() < 0.0).to_f32()
    }
}

/// Rounds weights to halves whose sum is off by little. What halves cannot hold stays as it is.
fn round(weights: &mut [Weight]) {
    let errors = || weights.iter().map(Weight::error).filter(|error| error.is_finite());
    let sum = errors().map(f64::from).sum::<f64>() as f32;
    // What the nearest halves add too much in all, and what each of them could give back.
    let mut left = sum.abs();
    let mut exact = 0.0f32;
    let mut turns = Vec::new();
    for (i, weight) in weights.iter().enumerate() {
        let error = weight.error();
        if !error.is_finite() || error * sum <= 0.0 {
            continue;
        }
        let step = (weight.other() - weight.stored).abs();
        exact = exact.max(step * EXACT);
        // By how much the square of its error grows for what it gives back; costs are positive, and so in their bits' order.
        let cost = step - 2.0 * error.abs();
        turns.push(Reverse((cost.max(0.0).to_bits(), i)));
    }
    let mut turns = BinaryHeap::from(turns);
    while let Some(Reverse((_, i))) = turns.pop().filter(|_| left > exact) {
        let Some(weight) = weights.get_mut(i) else { continue };
        let other = weight.other();
        let step = (other - weight.stored).abs();
        if step < 2.0 * left {
            left -= step;
            weight.stored = other;
        }
    }
    let too_large = |weight: &&mut Weight| weight.stored.is_infinite() && weight.weight.is_finite();
    weights.iter_mut().filter(too_large).for_each(|weight| weight.stored = weight.weight);
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

    #[test]
    fn neighbours_are_one_step_away_across_zero() {
        let smallest = f16::from_bits(1).to_f32();
        assert_eq!(next(f16::ZERO, true).to_f32(), smallest);
        assert_eq!(next(f16::NEG_ZERO, false).to_f32(), -smallest);
        assert_eq!(next(f16::from_f32(-1.0), true).to_f32(), -1.0 + 1.0 / 2048.0);
        assert_eq!(next(f16::from_f32(1.0), true).to_f32(), 1.0 + 1.0 / 1024.0);
    }
}
