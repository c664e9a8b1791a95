//! AudioSpectrogram and Mfcc.

use super::map;
use crate::kernels::spectral::{Complex, fft};
use crate::kernels::support::{dims, refuse};
use crate::kernels::{EvalCtx, KernelError};

/// Windows of a sound, `[samples, channels]` to `[channels, windows, frequencies]`: magnitudes or their squares.
pub(super) fn spectrogram(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let options = map(ctx)?;
    let (window, stride) = (options.size("window_size")?, options.size("stride")?);
    let squared = options.truth_or("magnitude_squared", false);
    let [samples, channels] = dims(ctx.shape(0)?, "input 0")?;
    let length = window.checked_next_power_of_two().filter(|_| window > 0 && stride > 0);
    let length =
        length.ok_or_else(|| refuse("window_size and stride", format!("{window} and {stride}"), "positive sizes"))?;
    let windows = samples.checked_sub(window).map_or(0, |rest| rest / stride + 1);
    let bins = length / 2 + 1;
    let weight = |i: usize| 0.5 - 0.5 * (2.0 * std::f64::consts::PI * i as f64 / window as f64).cos();
    let weights: Vec<f64> = (0..window).map(weight).collect();
    let input = ctx.slice::<f32>(0)?;
    ctx.set_output(0, &[channels, windows, bins])?;
    for (row, out) in ctx.output::<f32>(0)?.chunks_exact_mut(bins).enumerate() {
        let (channel, first) = (row / windows, row % windows * stride);
        let mut values: Vec<Complex> = vec![[0.0; 2]; length];
        for (i, (value, weight)) in values.iter_mut().zip(&weights).enumerate() {
            value[0] = f64::from(input[(first + i) * channels + channel]) * weight;
        }
        fft(&mut values, -1.0);
        for (out, [re, im]) in out.iter_mut().zip(values) {
            let power = re * re + im * im;
            *out = if squared { power } else { power.sqrt() } as f32;
        }
    }
    Ok(())
}

fn mel(frequency: f64) -> f64 {
    1127.0 * (frequency / 700.0).ln_1p()
}

/// Triangles on the mel scale: for each frequency the channel that it lies above, and its share of that one.
struct Triangles {
    first: usize,
    /// Channel below (−1 where there is none) and weight, from frequency `first` on.
    weights: Vec<(isize, f64)>,
    channels: usize,
}

impl Triangles {
    fn new(rate: f64, (low, high): (f64, f64), channels: usize, bins: usize) -> Self {
        let step = (mel(high) - mel(low)) / (channels as f64 + 1.0);
        let edges: Vec<f64> = (0..=channels).map(|i| mel(low) + step * (i as f64 + 1.0)).collect();
        let per_bin = 0.5 * rate / (bins as f64 - 1.0);
        let (first, last) = ((1.5 + low / per_bin) as usize, (high / per_bin) as usize);
        let mut channel = 0;
        let weights = (first..=last.min(bins.saturating_sub(1))).map(|bin| {
            let at = mel(bin as f64 * per_bin);
            while channel < channels && edges[channel] < at {
                channel += 1;
            }
            let (bottom, top) = (if channel == 0 { mel(low) } else { edges[channel - 1] }, edges[channel]);
            (channel as isize - 1, (top - at) / (top - bottom))
        });
        let weights = weights.collect();
        Self { first, weights, channels }
    }

    fn energies(&self, spectrum: &[f32]) -> Vec<f64> {
        let mut energies = vec![0.0; self.channels];
        for (&(below, weight), &power) in self.weights.iter().zip(spectrum.iter().skip(self.first)) {
            let magnitude = f64::from(power).sqrt();
            if let Some(energy) = usize::try_from(below).ok().and_then(|c| energies.get_mut(c)) {
                *energy += magnitude * weight;
            }
            if let Some(energy) = usize::try_from(below + 1).ok().and_then(|c| energies.get_mut(c)) {
                *energy += magnitude * (1.0 - weight);
            }
        }
        energies
    }
}

/// Squared magnitudes to cepstral coefficients: logarithms of mel energies under a cosine transform.
pub(super) fn mfcc(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let options = map(ctx)?;
    let (low, high) = (options.float("lower_frequency_limit")?, options.float("upper_frequency_limit")?);
    let channels = options.size("filterbank_channel_count")?;
    let coefficients = options.size("dct_coefficient_count")?;
    let [sounds, windows, bins] = dims(ctx.shape(0)?, "input 0")?;
    let rate = match ctx.ints(1)?.as_slice() {
        [rate] if *rate > 0 => *rate as f64,
        other => return Err(refuse("the sample rate", format!("{other:?}"), "one positive number")),
    };
    if bins < 2 || channels == 0 || !(0.0..high).contains(&low) || coefficients > channels {
        let found = format!("{low} to {high} in {channels} channels of {bins} frequencies for {coefficients}");
        return Err(refuse("the filter bank", found, "rising limits, channels and frequencies"));
    }
    let triangles = Triangles::new(rate, (low.into(), high.into()), channels, bins);
    let input = ctx.slice::<f32>(0)?;
    ctx.set_output(0, &[sounds, windows, coefficients])?;
    let scale = (2.0 / channels as f64).sqrt();
    let rows = ctx.output::<f32>(0)?.chunks_exact_mut(coefficients.max(1)).zip(input.chunks_exact(bins));
    for (out, spectrum) in rows {
        let logs: Vec<f64> = triangles.energies(spectrum).iter().map(|energy| energy.max(1e-12).ln()).collect();
        for (c, out) in out.iter_mut().enumerate() {
            let turn = c as f64 * std::f64::consts::PI / channels as f64;
            let sum: f64 = logs.iter().enumerate().map(|(j, log)| (turn * (j as f64 + 0.5)).cos() * log).sum();
            *out = (scale * sum) as f32;
        }
    }
    Ok(())
}
