//! What an invoke and a resize cost the host, counted: objects of the device, submissions, packed constants.

mod common;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use common::{TestResult, device, random};
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, Report, compare,
    gpu::{CacheDir, DeviceOptions, GpuDevice},
};
use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::{
    ActivationFunctionType, Conv2DOptions, DType, GraphBuilder, ModelBuilder, Op, Padding, Program, SoftmaxOptions,
};

type Res<T> = Result<T, Box<dyn std::error::Error>>;

/// A device of this test's own, as what is made on it is counted.
fn own_device() -> Res<Option<Arc<GpuDevice>>> {
    let Some(_) = device()? else { return Ok(None) };
    let options = DeviceOptions { cache_dir: CacheDir::Off, ..DeviceOptions::default() };
    Ok(Some(pollster::block_on(GpuDevice::open(&options))?))
}

fn conv(filter: usize) -> Op {
    Op::Conv2d(Conv2DOptions {
        padding: if filter > 1 { Padding::Same } else { Padding::Valid },
        stride_w: 1,
        stride_h: 1,
        dilation_wfactor: 1,
        dilation_hfactor: 1,
        fused_activation_function: ActivationFunctionType::Relu,
        ..Conv2DOptions::default()
    })
}

/// Convolutions (filters of float16 behind a DEQUANTIZE, as converters write them) around an operator of the CPU: two
/// partitions.
fn network() -> Program {
    let dims = [1, 8, 8, 6];
    let of = |name: &'static str, dims: &'static [usize]| [(name, DType::Float32, dims)];
    let one = |name: &'static str| of(name, &[1, 8, 8, 6]);
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", DType::Float32, &dims);
    let bias = graph.constant_f32("bias", &[6], &common::floats(3, 6));
    let halves = graph.constant_f16("halves", &[6, 3, 3, 6], &common::floats(1, 6 * 9 * 6));
    let unpack = Op::Dequantize;
    let first = graph.op(unpack, &[Some(halves)], &of("filter", &[6, 3, 3, 6]));
    let second = graph.constant_f32("second", &[6, 1, 1, 6], &common::floats(2, 6 * 6));
    let a = graph.op(conv(3), &[Some(x), Some(first), Some(bias)], &one("a"));
    let b = graph.op(Op::LogSoftmax, &[Some(a)], &one("b"));
    let c = graph.op(conv(1), &[Some(b), Some(second), Some(bias)], &one("c"));
    let y = graph.op(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[Some(c)], &one("y"));
    graph.output(y);
    ModelBuilder::new().subgraph(graph).program()
}

fn delegated(device: &Arc<GpuDevice>) -> Res<(Interpreter, Arc<std::sync::Mutex<Report>>)> {
    let options = DelegateOptions::parse(["device=gpu", "deny_ops=LOG_SOFTMAX"])?;
    let delegate = GpuDelegate::with_device(Arc::clone(device), options);
    let report = delegate.report();
    let model = Model::new(network())?;
    Ok((Interpreter::builder(&model).delegate(Box::new(delegate)).build()?, report))
}

fn invoke(interpreter: &mut Interpreter, seed: u32, dims: &[usize]) -> Res<Value> {
    interpreter.set_input(0, random(seed, dims)?)?;
    interpreter.invoke()?;
    assert!(interpreter.fallbacks().is_empty(), "the CPU took over: {:?}", interpreter.fallbacks());
    Ok(interpreter.output(0)?.clone())
}

#[test]
fn an_invoke_makes_nothing_and_submits_once_per_partition() -> TestResult {
    let Some(device) = own_device()? else { return Ok(()) };
    let (mut interpreter, report) = delegated(&device)?;
    let dims = [1, 8, 8, 6];
    invoke(&mut interpreter, 1, &dims)?;
    let partitions = report.lock().map_err(|_| "poisoned")?.partitions.len() as u64;
    assert_eq!(partitions, 2, "an operator of the CPU lies between them");
    let (made, submitted) = (device.usage.made(), device.usage.submissions.load(Relaxed));
    let packed = device.usage.constants_packed.load(Relaxed);
    assert!(made.iter().all(|count| *count > 0) && submitted > 0 && packed > 0, "something is counted: {made:?}");
    for seed in 2..12 {
        invoke(&mut interpreter, seed, &dims)?;
    }
    assert_eq!(device.usage.made(), made, "buffers, bind groups, pipelines");
    assert_eq!(device.usage.submissions.load(Relaxed), submitted + 10 * partitions);
    assert_eq!(device.usage.constants_packed.load(Relaxed), packed);
    let report = report.lock().map_err(|_| "poisoned")?;
    for partition in &report.partitions {
        let times = partition.host_times;
        let runs = [times.upload, times.encode, times.submit, times.wait, times.read].map(|phase| phase.runs);
        assert_eq!(runs, [11; 5], "every invoke is measured");
        assert_eq!(times.ahead.runs, 10, "from the second on each records the next");
    }
    Ok(())
}

#[test]
fn constants_share_buffers() -> TestResult {
    let Some(device) = own_device()? else { return Ok(()) };
    let dims = [1, 8, 8, 6];
    let layers: u32 = 12;
    let mut graph = GraphBuilder::new();
    let mut x = graph.input("x", DType::Float32, &dims);
    for layer in 0..layers {
        let filter = graph.constant_f32("filter", &[6, 1, 1, 6], &common::floats(layer, 6 * 6));
        let bias = graph.constant_f32("bias", &[6], &common::floats(layer + 50, 6));
        x = graph.op(conv(1), &[Some(x), Some(filter), Some(bias)], &[("y", DType::Float32, &dims[..])]);
    }
    graph.output(x);
    let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
    let delegate =
        GpuDelegate::with_device(Arc::clone(&device), DelegateOptions::parse(["device=gpu", "precision=f32"])?);
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let found = invoke(&mut interpreter, 1, &dims)?;
    assert_eq!(device.usage.constants_packed.load(Relaxed), u64::from(layers), "filters");
    let [buffers, ..] = device.usage.made();
    assert!(buffers <= 5, "{buffers} buffers, but constants, parameters, arena and readback need one each");
    let mut cpu = Interpreter::builder(&model).build()?;
    let expected = invoke(&mut cpu, 1, &dims)?;
    compare::compare(&expected, &found, &compare::F32).map_err(|mismatch| mismatch.to_string())?;
    Ok(())
}

#[test]
fn a_resize_makes_no_pipeline_and_packs_nothing() -> TestResult {
    let Some(device) = own_device()? else { return Ok(()) };
    let (mut interpreter, _) = delegated(&device)?;
    let first = invoke(&mut interpreter, 1, &[1, 8, 8, 6])?;
    let ([_, _, pipelines], packed) = (device.usage.made(), device.usage.constants_packed.load(Relaxed));
    for dims in [[1, 9, 7, 6], [2, 8, 8, 6], [1, 16, 5, 6]] {
        invoke(&mut interpreter, 2, &dims)?;
        assert_eq!(device.usage.made()[2], pipelines, "{dims:?} makes a pipeline");
        assert_eq!(device.usage.constants_packed.load(Relaxed), packed, "{dims:?} packs constants again");
    }
    assert_eq!(invoke(&mut interpreter, 1, &[1, 8, 8, 6])?, first, "the constants are still the same");
    Ok(())
}

#[test]
fn two_invokes_are_in_flight() -> TestResult {
    let Some(device) = own_device()? else { return Ok(()) };
    let (mut interpreter, _) = delegated(&device)?;
    let dims = [1, 8, 8, 6];
    let expected = (1..6).map(|seed| invoke(&mut interpreter, seed, &dims)).collect::<Res<Vec<_>>>()?;
    assert!(expected.windows(2).all(|pair| pair[0] != pair[1]), "the inputs differ, so do the results");
    let mut found = Vec::new();
    for seed in 1..6 {
        interpreter.set_input(0, random(seed, &dims)?)?;
        interpreter.submit()?;
        if seed > 2 {
            assert!(interpreter.collect()?);
            found.push(interpreter.output(0)?.clone());
        }
    }
    while interpreter.collect()? {
        found.push(interpreter.output(0)?.clone());
    }
    assert_eq!(found, expected);
    assert!(interpreter.fallbacks().is_empty());
    Ok(())
}

#[test]
fn what_is_recorded_ahead_follows_every_change() -> TestResult {
    let Some(device) = own_device()? else { return Ok(()) };
    // What an invoke gives that finds nothing recorded.
    let alone = |seed, dims: &[usize]| invoke(&mut delegated(&device)?.0, seed, dims);
    let (small, large) = ([1, 8, 8, 6], [2, 9, 12, 6]);
    let (mut first, mut second) = (delegated(&device)?, delegated(&device)?);
    let mut seed = 0;
    for dims in [small, large, small] {
        for _ in 0..4 {
            seed += 1;
            assert_eq!(invoke(&mut first.0, seed, &dims)?, alone(seed, &dims)?, "seed {seed}, {dims:?}");
            assert_eq!(invoke(&mut second.0, seed + 50, &small)?, alone(seed + 50, &small)?, "seed {seed}, the other");
        }
        // Two in flight, then one at a time again.
        let mut found = Vec::new();
        for seed in 100..104 {
            first.0.set_input(0, random(seed, &dims)?)?;
            first.0.submit()?;
            if seed > 100 {
                assert!(first.0.collect()?);
                found.push(first.0.output(0)?.clone());
            }
        }
        assert!(first.0.collect()?);
        found.push(first.0.output(0)?.clone());
        let expected = (100..104).map(|seed| alone(seed, &dims)).collect::<Res<Vec<_>>>()?;
        assert!(expected.windows(2).all(|pair| pair[0] != pair[1]), "the inputs differ, so do the results");
        assert_eq!(found, expected, "{dims:?}");
    }
    for (_, report) in [&first, &second] {
        let report = report.lock().map_err(|_| "poisoned")?;
        assert!(
            report.partitions.iter().all(|partition| partition.host_times.ahead.runs > 3),
            "something was recorded"
        );
    }
    drop((first, second));
    assert_eq!(device.usage.total(), 0, "commands that nobody submits keep nothing alive");
    Ok(())
}
