//! Measuring which kernel and tile computes a product or convolution fastest on an adapter (`tune=now`).

use std::{sync::Arc, time::Instant};

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{Conv2DOptions, DType, FullyConnectedOptions, NodeId, Op, Padding, TensorId};

use crate::{
    error::Error,
    gpu::{BorderBuffers, Executable, GpuDevice, Memory, border_buffer},
    plan::{self, Border, Plan},
    reason::Reason,
    region::{Region, RegionNode, RegionTensor, Storage},
    tuning::{Choice, Measured, ProductKind, ProductShape, Tuning},
};

/// Multiply-adds of the dispatches of one submission: enough for a clock to tell tiles apart, on a CPU and on a card.
const MACS: [u64; 2] = [200_000_000, 4_000_000_000];

/// The most dispatches of one submission.
const MOST_REPEATS: u64 = 64;

/// Submissions after the first, of which the fastest counts.
const RUNS: usize = 3;

/// Measures those shapes of which nothing is known yet, and keeps the fastest candidate of each. One that the device
/// refuses is left out.
///
/// # Errors
/// When the device is lost.
pub fn measure_missing(device: &Arc<GpuDevice>, shapes: &[ProductShape]) -> Result<(), Error> {
    let tuning = device.measured_tuning();
    let missing = shapes.iter().filter(|shape| !tuning.measured.contains_key(&tuning.name(shape)));
    let mut best = Vec::new();
    for shape in missing {
        let mut times = Vec::new();
        for choice in tuning.candidates(shape) {
            match time(device, shape, choice) {
                Ok(seconds) => times.push((choice, seconds)),
                Err(error) => {
                    device.check()?;
                    tracing::debug!(%shape, %choice, %error, "not measured");
                }
            }
        }
        tracing::debug!(%shape, ?times, "measured");
        let fastest = times.into_iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
        best.extend(fastest.map(|(choice, _)| (*shape, choice)));
    }
    if !best.is_empty() {
        tracing::info!(shapes = best.len(), "measured which tiles are fastest");
        device.keep_choices(&best);
    }
    Ok(())
}

/// Seconds of one dispatch of a choice.
fn time(device: &Arc<GpuDevice>, shape: &ProductShape, choice: Choice) -> Result<f64, Error> {
    let tuning = &device.tuning;
    let measured = Measured::from([(tuning.name(shape), choice.to_string())]);
    let tuning = Tuning { measured: Arc::new(measured), ..tuning.clone() };
    let region = region(shape).map_err(Error::from)?;
    let (src, dst) = (TensorId(0), TensorId(2));
    let border = Border { device_inputs: vec![src], device_outputs: vec![dst], ..Border::default() };
    let mut buffers = BorderBuffers::new();
    for id in [src, dst] {
        buffers.insert(id, border_buffer(device, region.tensor(id))?);
    }
    let mut plan = plan::plan(region, &border, &tuning)?;
    let repeats = repeat(&mut plan, device.summary.software);
    let executable = Executable::new(device, plan, &Arc::new(Memory::default()), &buffers)?;
    let run = || -> Result<f64, Error> {
        let start = Instant::now();
        let pending = executable.submit(|_| None)?;
        pollster::block_on(executable.collect(pending))?;
        Ok(start.elapsed().as_secs_f64())
    };
    // The first run compiles, on some drivers.
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        best = best.min(run()?);
    }
    Ok(best / repeats as f64)
}

/// Makes a plan do its one step several times.
fn repeat(plan: &mut Plan, software: bool) -> u64 {
    let macs: u64 = plan.steps.iter().map(|step| step.macs).sum();
    let wanted = MACS.get(usize::from(!software)).copied().unwrap_or(0);
    let repeats = (wanted / macs.max(1)).clamp(1, MOST_REPEATS);
    let steps = std::mem::take(&mut plan.steps);
    plan.steps = (0..repeats).flat_map(|_| steps.iter().cloned()).collect();
    repeats
}

/// One node of this shape: tensor 0 by the constant 1 is tensor 2.
fn region(shape: &ProductShape) -> Result<Region, Reason> {
    let (depth, channels) = (shape.depth * 4, shape.width * 4);
    let (op, input, filter, output) = match shape.kind {
        ProductKind::Dense => {
            let op = Op::FullyConnected(FullyConnectedOptions::default());
            (op, vec![shape.rows, depth], vec![channels, depth], vec![shape.rows, channels])
        }
        ProductKind::Window { taps, stride, dilation, columns, group_width } => {
            let output = [shape.rows / columns.max(1), columns];
            let reach = |i: usize| {
                let [outputs, stride, taps, dilation] =
                    [output, stride, taps, dilation].map(|pair: [usize; 2]| pair.get(i).copied().unwrap_or(1));
                (outputs.max(1) - 1) * stride + (taps.max(1) - 1) * dilation + 1
            };
            let size = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
            let op = Op::Conv2d(Conv2DOptions {
                padding: Padding::Valid,
                stride_h: size(stride[0]),
                stride_w: size(stride[1]),
                dilation_hfactor: size(dilation[0]),
                dilation_wfactor: size(dilation[1]),
                ..Conv2DOptions::default()
            });
            let groups = shape.width / group_width.max(1);
            let filter = vec![channels, taps[0], taps[1], depth];
            (op, vec![1, reach(0), reach(1), depth * groups], filter, vec![1, output[0], output[1], channels])
        }
    };
    let zeros = Value::zeros(DType::Float32, &filter).map_err(|_| Reason::Shape("weights that are too large"))?;
    let [src, _, dst] = shape.storage;
    let tensor = |name: &str, dims: Vec<usize>, storage: Storage, constant| RegionTensor {
        name: name.to_owned(),
        dtype: DType::Float32,
        dims,
        constant,
        quant: None,
        storage,
    };
    let tensors = vec![
        tensor("measured input", input, src, None),
        tensor("measured weights", filter, dst, Some(zeros.into())),
        tensor("measured output", output, dst, None),
    ];
    let node = RegionNode {
        op,
        inputs: vec![Some(TensorId(0)), Some(TensorId(1)), None],
        outputs: vec![Some(TensorId(2))],
        fused: Vec::new(),
        pad: [0; 4],
        whole: None,
        origin: vec![NodeId(0)],
    };
    let (inputs, outputs) = (vec![TensorId(0)], vec![TensorId(2)]);
    Ok(Region { tensors, nodes: vec![node], inputs, outputs, ..Region::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::AdapterClass;

    /// The node that is measured has the shape that was asked for, with every candidate.
    #[test]
    fn what_is_measured_is_what_was_asked() -> Result<(), Box<dyn std::error::Error>> {
        let storage = [Storage::F16; 3];
        let dense = |rows| ProductShape { kind: ProductKind::Dense, rows, depth: 40, width: 24, storage };
        let window = |taps, stride, group_width| {
            let kind = ProductKind::Window { taps, stride, dilation: [1, 2], columns: 14, group_width };
            ProductShape { kind, ..dense(14 * 7) }
        };
        for class in [AdapterClass::Lavapipe, AdapterClass::Discrete] {
            let tuning = Tuning::of(class, false, true);
            for shape in [dense(1), dense(49), window([3, 3], [1, 1], 24), window([5, 3], [2, 3], 8)] {
                let border = Border { device_inputs: vec![TensorId(0)], ..Border::default() };
                let border = Border { device_outputs: vec![TensorId(2)], ..border };
                for choice in tuning.candidates(&shape) {
                    let measured = Measured::from([(tuning.name(&shape), choice.to_string())]);
                    let tuning = Tuning { measured: Arc::new(measured), ..tuning.clone() };
                    let plan = plan::plan(region(&shape).map_err(Error::from)?, &border, &tuning)?;
                    assert_eq!(plan.products, [shape]);
                    assert_eq!(plan.steps.len(), 1, "{shape}");
                    assert_eq!(plan.steps[0].kernel, choice.kernel(&shape));
                }
            }
        }
        Ok(())
    }
}
