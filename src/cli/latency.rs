//! Statistics of times.

/// Times of invokes in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Latency {
    /// Reading the model, building the interpreter, allocating tensors; without opening the device.
    pub init_ms: f64,
    /// The first invoke.
    pub first_ms: f64,
    /// Mean of the warm-up invokes.
    pub warmup_avg_ms: f64,
    pub avg_ms: f64,
    pub min_ms: f64,
    pub median_ms: f64,
    pub p5_ms: f64,
    pub p90_ms: f64,
    pub p95_ms: f64,
    pub max_ms: f64,
    pub std_ms: f64,
    /// Invokes that count.
    pub num_runs: usize,
    /// The last one's.
    #[serde(skip)]
    pub last_ms: f64,
}

impl Latency {
    /// Statistics of these invokes.
    pub fn of(init_ms: f64, first_ms: f64, warmup: &[f64], runs: &[f64]) -> Self {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let avg = mean(runs);
        let squares: Vec<f64> = runs.iter().map(|run| (run - avg) * (run - avg)).collect();
        Self {
            init_ms,
            first_ms,
            warmup_avg_ms: mean(warmup),
            avg_ms: avg,
            min_ms: percentile(&sorted, 0.0),
            median_ms: percentile(&sorted, 50.0),
            p5_ms: percentile(&sorted, 5.0),
            p90_ms: percentile(&sorted, 90.0),
            p95_ms: percentile(&sorted, 95.0),
            max_ms: percentile(&sorted, 100.0),
            std_ms: mean(&squares).sqrt(),
            num_runs: runs.len(),
            last_ms: runs.last().copied().unwrap_or(0.0),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Linear between the neighbours.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let at = percent / 100.0 * sorted.len().saturating_sub(1) as f64;
    let value = |i: f64| sorted.get(i as usize).copied().unwrap_or(0.0);
    value(at.floor()) + (value(at.ceil()) - value(at.floor())) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_runs() {
        let found = Latency::of(1.0, 9.0, &[4.0, 6.0], &[3.0, 1.0, 2.0, 4.0, 5.0]);
        assert_eq!((found.min_ms, found.median_ms, found.max_ms), (1.0, 3.0, 5.0));
        assert_eq!((found.avg_ms, found.warmup_avg_ms, found.num_runs, found.last_ms), (3.0, 5.0, 5, 5.0));
        assert!((found.std_ms - 2f64.sqrt()).abs() < 1e-12);
        assert!((found.p90_ms - 4.6).abs() < 1e-12 && (found.p5_ms - 1.2).abs() < 1e-12);
    }
}
