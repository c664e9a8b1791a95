//! Short measurements of an adapter, the way to it, and the CPU's kernels, for the cost model.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::{AddOptions, Conv2DOptions, DType, GraphBuilder, ModelBuilder, Op, Padding, TensorId};

use crate::{
    delegate::GpuDelegate,
    error::Error,
    gpu::GpuDevice,
    options::{DelegateOptions, DeviceChoice, Validate},
    partition::cost::Rates,
};

/// Channels of the convolutions that are measured: 64 × 64 pixels, 3 × 3 taps, 151 million multiply-adds each.
const CHANNELS: usize = 64;
const SIDE: usize = 64;

/// Layers of the longer of two networks; their difference leaves out what every run costs.
const LAYERS: usize = 5;

/// Runs after the first, of which the fastest counts.
const RUNS: usize = 3;

static KNOWN: Mutex<Option<HashMap<String, Rates>>> = Mutex::new(None);

/// The rates of an adapter, measured once in a process; `None` where there is no clock to measure with (browsers).
///
/// # Errors
/// When the device fails.
pub fn rates(device: &Arc<GpuDevice>) -> Result<Option<Rates>, Error> {
    if cfg!(target_family = "wasm") {
        return Ok(None);
    }
    let key = format!("{} {}", device.summary.name, device.summary.driver);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(rates) = known.get(&key) {
        return Ok(Some(*rates));
    }
    let rates = measure(device)?;
    tracing::debug!(adapter = key, ?rates, "probed");
    known.insert(key, rates);
    Ok(Some(rates))
}

fn measure(device: &Arc<GpuDevice>) -> Result<Rates, Error> {
    let failed = |error: Box<dyn std::error::Error>| Error::Internal(format!("a probe failed: {error}"));
    let gpu = |graph: GraphBuilder| time(graph, Some(device)).map_err(failed);
    let cpu = |graph: GraphBuilder| time(graph, None).map_err(failed);
    let wide = [1, 256, 256, 16];
    let round_trip_ms = gpu(additions(1, &[4]))?;
    let dispatch_ms = (gpu(additions(65, &[4]))? - round_trip_ms) / 64.0;
    let transfer = gpu(additions(1, &wide))? - round_trip_ms;
    let bytes = 4.0 * elements(&wide);
    let more_additions = 3.0 * bytes * (LAYERS - 1) as f64;
    let macs = (CHANNELS * CHANNELS * 9 * SIDE * SIDE) as f64;
    let slow_start = gpu(additions(LAYERS, &wide))? - gpu(additions(1, &wide))?;
    let convolution = gpu(convolutions(LAYERS))? - gpu(convolutions(1))?;
    // A clock's noise must not make a time negative, or nothing.
    let rate = |amount: f64, ms: f64| amount / ms.max(1e-3);
    Ok(Rates {
        gpu_macs: rate(macs * (LAYERS - 1) as f64, convolution),
        gpu_bytes: rate(more_additions, slow_start),
        dispatch_ms: dispatch_ms.max(1e-4),
        round_trip_ms,
        link_bytes: rate(2.0 * bytes, transfer),
        cpu_macs: rate(macs, cpu(convolutions(1))?),
        cpu_bytes: rate(more_additions, cpu(additions(LAYERS, &wide))? - cpu(additions(1, &wide))?),
    })
}

fn elements(dims: &[usize]) -> f64 {
    dims.iter().map(|&d| d as f64).product()
}

/// A chain of additions of the input that no rewrite shortens: each sum is read twice.
fn additions(layers: usize, dims: &[usize]) -> GraphBuilder {
    let mut graph = GraphBuilder::new();
    let mut x = graph.input("x", DType::Float32, dims);
    for _ in 0..layers {
        x = graph.op(Op::Add(AddOptions::default()), &[Some(x), Some(x)], &[("sum", DType::Float32, dims)]);
    }
    graph.output(x);
    graph
}

fn convolutions(layers: usize) -> GraphBuilder {
    let dims = [1, SIDE, SIDE, CHANNELS];
    let mut graph = GraphBuilder::new();
    let filter = vec![0.0; CHANNELS * CHANNELS * 9];
    let filter = graph.constant_f32("filter", &[CHANNELS, 3, 3, CHANNELS], &filter);
    let mut x: TensorId = graph.input("x", DType::Float32, &dims);
    for _ in 0..layers {
        let options = Conv2DOptions { padding: Padding::Same, stride_h: 1, stride_w: 1, ..Conv2DOptions::default() };
        x = graph.op(Op::Conv2d(options), &[Some(x), Some(filter)], &[("y", DType::Float32, &dims)]);
    }
    graph.output(x);
    graph
}

/// Milliseconds of the fastest invoke, input and output included; on the CPU without a device.
fn time(graph: GraphBuilder, device: Option<&Arc<GpuDevice>>) -> Result<f64, Box<dyn std::error::Error>> {
    let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
    let builder = Interpreter::builder(&model);
    let mut interpreter = match device {
        None => builder.build()?,
        Some(device) => {
            let options =
                DelegateOptions { device: DeviceChoice::Gpu, validate: Validate::Off, ..DelegateOptions::default() };
            builder.delegate(Box::new(GpuDelegate::with_device(Arc::clone(device), options))).build()?
        }
    };
    interpreter.allocate_tensors()?;
    let dims = interpreter.input_mut(0)?.shape().to_vec();
    let mut best = f64::INFINITY;
    for run in 0..=RUNS {
        let input = Value::zeros(DType::Float32, &dims)?;
        let start = Instant::now();
        interpreter.set_input(0, input)?;
        interpreter.invoke()?;
        interpreter.output(0)?;
        if run > 0 {
            best = best.min(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(best)
}
