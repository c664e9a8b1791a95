//! Single kernels at small sizes: upload, one operator, readback.
//!
//! `cargo bench --bench kernels` times them on the adapter at hand; without one it says so and ends well.

use std::{error::Error, hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use tflite_wgpu::{
    gpu::{BorderBuffers, DeviceOptions, Executable, GpuDevice},
    plan::{self, Border},
    region::{Fused, Region, RegionNode, RegionTensor, Storage},
};
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::*;

/// An operator with constant weights, if it has any, on an NHWC input.
struct Case {
    name: &'static str,
    op: Op,
    input: [usize; 4],
    weights: Option<[usize; 4]>,
    output: [usize; 4],
}

fn cases() -> Vec<Case> {
    let conv = |stride| Op::Conv2d(Conv2DOptions { stride_w: stride, stride_h: stride, ..ones() });
    let depthwise = |stride| {
        let (dilation_wfactor, dilation_hfactor) = (1, 1);
        let sizes = DepthwiseConv2DOptions { dilation_wfactor, dilation_hfactor, ..Default::default() };
        Op::DepthwiseConv2d(DepthwiseConv2DOptions { stride_w: stride, stride_h: stride, ..sizes })
    };
    let pool = Pool2DOptions { stride_w: 2, stride_h: 2, filter_width: 3, filter_height: 3, ..Default::default() };
    let case = |name, op, input, weights, output| Case { name, op, input, weights, output };
    vec![
        case("pointwise 14x14 96 to 96", conv(1), [1, 14, 14, 96], Some([96, 1, 1, 96]), [1, 14, 14, 96]),
        case("pointwise 7x7 64 to 16", conv(1), [1, 7, 7, 64], Some([16, 1, 1, 64]), [1, 7, 7, 16]),
        case("conv 3x3 28x28 16 to 32", conv(1), [1, 28, 28, 16], Some([32, 3, 3, 16]), [1, 28, 28, 32]),
        case("conv 3x3 s2 64x64 3 to 16", conv(2), [1, 64, 64, 3], Some([16, 3, 3, 3]), [1, 32, 32, 16]),
        case("depthwise 3x3 28x28 64", depthwise(1), [1, 28, 28, 64], Some([1, 3, 3, 64]), [1, 28, 28, 64]),
        case("depthwise 5x5 s2 28x28 32", depthwise(2), [1, 28, 28, 32], Some([1, 5, 5, 32]), [1, 14, 14, 32]),
        case("max pool 3x3 s2 28x28 32", Op::MaxPool2d(pool), [1, 28, 28, 32], None, [1, 14, 14, 32]),
        case("vector times 256 to 200", conv(1), [1, 1, 1, 256], Some([200, 1, 1, 256]), [1, 1, 1, 200]),
    ]
}

fn ones() -> Conv2DOptions {
    Conv2DOptions { dilation_wfactor: 1, dilation_hfactor: 1, ..Default::default() }
}

/// Values between -0.5 and 0.5.
fn values(dims: &[usize]) -> Result<Value, Box<dyn Error>> {
    let count: usize = dims.iter().product();
    let floats: Vec<f32> = (0..count).map(|i| (i * 37 % 101) as f32 / 101.0 - 0.5).collect();
    Ok(Value::f32(dims, &floats)?)
}

fn region(case: &Case) -> Result<Region, Box<dyn Error>> {
    let mut region = Region::default();
    let mut add = |dims: &[usize], constant: Option<Value>| {
        let (name, dtype, dims, quant) = (case.name.to_owned(), DType::Float32, dims.to_vec(), None);
        let constant = constant.map(Into::into);
        region.add_tensor(RegionTensor { name, dtype, dims, constant, quant, storage: Storage::F16 })
    };
    let input = add(&case.input, None);
    let mut inputs = vec![Some(input)];
    if let Some(dims) = case.weights {
        let channels = [case.output[3]];
        inputs.push(Some(add(&dims, Some(values(&dims)?))));
        inputs.push(Some(add(&channels, Some(values(&channels)?))));
    }
    let output = add(&case.output, None);
    let fused = vec![Fused::Clamp { low: 0.0, high: 6.0 }];
    let (op, outputs, origin) = (case.op.clone(), vec![Some(output)], vec![NodeId(0)]);
    region.nodes.push(RegionNode { op, inputs, outputs, fused, pad: [0; 4], whole: None, origin });
    region.inputs.push(input);
    region.outputs.push(output);
    Ok(region)
}

fn run(criterion: &mut Criterion, device: &Arc<GpuDevice>, case: &Case) -> Result<(), Box<dyn Error>> {
    let region = region(case)?;
    let border = Border { host_outputs: region.outputs.clone(), ..Default::default() };
    let plan = plan::plan(region, &border, &device.tuning)?;
    let executable = Executable::new(device, plan, &Arc::default(), &BorderBuffers::new())?;
    let input = values(&case.input)?;
    let invoke = || -> Result<_, Box<dyn Error>> {
        let pending = executable.submit(|_| Some(&input))?;
        Ok(pollster::block_on(executable.collect(pending))?)
    };
    invoke()?;
    criterion.bench_function(case.name, |bencher| bencher.iter(|| black_box(invoke().is_ok())));
    Ok(())
}

fn kernels(criterion: &mut Criterion) {
    let device = match pollster::block_on(GpuDevice::open(&DeviceOptions::default())) {
        Ok(device) => device,
        Err(error) => return eprintln!("no kernel is timed: {error}"),
    };
    for case in cases() {
        if let Err(error) = run(criterion, &device, &case) {
            eprintln!("{}: {error}", case.name);
        }
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
