//! The adapter at hand can be measured.

mod common;

use common::{TestResult, device};
use tflite_wgpu::{partition::cost::Rates, probe};

#[test]
fn every_rate_is_a_rate() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    let rates = probe::rates(&device)?.ok_or("no rates")?;
    let Rates { gpu_macs, gpu_bytes, dispatch_ms, round_trip_ms, link_bytes, cpu_macs, cpu_bytes } = rates;
    for rate in [gpu_macs, gpu_bytes, dispatch_ms, round_trip_ms, link_bytes, cpu_macs, cpu_bytes] {
        assert!(rate.is_finite() && rate > 0.0, "{rates:?}");
    }
    // The second time nothing is measured.
    assert_eq!(probe::rates(&device)?, Some(rates));
    Ok(())
}
