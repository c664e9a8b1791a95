//! A device that is lost, or refuses: the CPU goes on or the invoke fails, as the options say; nothing panics.

mod common;

use std::sync::Arc;

use common::{TestResult, device, random};
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, compare,
    gpu::{self, DeviceOptions, GpuDevice, wgpu},
};
use tflite_wgpu_fallback::{CustomOperator, Interpreter, Model, Value};
use tflite_wgpu_model::{AddOptions, Bytes, DType, GraphBuilder, ModelBuilder, Op, Program, SoftmaxOptions};

type Res<T> = Result<T, Box<dyn std::error::Error>>;

const DIMS: [usize; 3] = [2, 5, 6];

/// exp (GPU), "pause" (CPU, its input's first element), FILL with that (CPU), tanh + exp (GPU, with a value that stayed
/// on the device).
fn program() -> Program {
    let one = |name: &'static str| [(name, DType::Float32, &DIMS[..])];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &DIMS);
    let b = graph.op(Op::Exp, &[Some(a)], &one("b"));
    let pause = Op::Custom { name: "pause".to_owned(), options: Bytes::default() };
    let c = graph.op(pause, &[Some(b)], &[("c", DType::Float32, &[])]);
    let shape = graph.constant_i32("shape", &[DIMS.len()], &DIMS.map(|d| d as i32));
    let c = graph.op(Op::Fill, &[Some(shape), Some(c)], &one("filled"));
    let d = graph.op(Op::Tanh, &[Some(c)], &one("d"));
    let e = graph.op(Op::Add(AddOptions::default()), &[Some(d), Some(b)], &one("e"));
    graph.output(e);
    ModelBuilder::new().subgraph(graph).program()
}

/// An interpreter that destroys the device in the middle of the `lost`-th invoke.
fn interpreter(
    model: &Model,
    device: Option<&Arc<GpuDevice>>,
    lost: Option<u32>,
    options: &[&str],
) -> Res<Interpreter> {
    let mut builder = Interpreter::builder(model);
    let own = device.cloned();
    let invokes = std::sync::atomic::AtomicU32::new(1);
    builder = builder.custom_operator(
        "pause",
        CustomOperator::new(move |ctx| {
            let now = invokes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if lost == Some(now)
                && let Some(device) = &own
            {
                device.destroy();
            }
            let first = ctx.slice::<f32>(0)?.first().copied().unwrap_or_default();
            ctx.set_output(0, &[])?;
            ctx.output::<f32>(0)?.fill(first);
            Ok(())
        }),
    );
    if let Some(device) = device {
        let mut options = DelegateOptions::parse(options.iter().copied())?;
        options.set("device", "gpu")?;
        builder = builder.delegate(Box::new(GpuDelegate::with_device(Arc::clone(device), options)));
    }
    let mut interpreter = builder.build()?;
    interpreter.allocate_tensors()?;
    interpreter.set_input(0, random(1, &DIMS)?)?;
    Ok(interpreter)
}

/// A device of this test's own, as others go on with the shared one.
fn own_device() -> Res<Option<Arc<GpuDevice>>> {
    let Some(_) = device()? else { return Ok(None) };
    Ok(Some(pollster::block_on(GpuDevice::open(&DeviceOptions::default()))?))
}

fn cpu(model: &Model) -> Res<Value> {
    let mut interpreter = interpreter(model, None, None, &[])?;
    interpreter.invoke()?;
    Ok(interpreter.output(0)?.clone())
}

#[test]
fn the_cpu_goes_on_when_the_device_is_lost_mid_way() -> TestResult {
    let model = Model::new(program())?;
    let expected = cpu(&model)?;
    // From the third on commands have been recorded ahead.
    for lost in [1, 2, 4] {
        let Some(device) = own_device()? else { return Ok(()) };
        let mut interpreter = interpreter(&model, Some(&device), Some(lost), &[])?;
        for invoke in 1..=4 {
            interpreter.invoke()?;
            let gone = !interpreter.fallbacks().is_empty();
            assert_eq!(gone, invoke >= lost, "invoke {invoke}, lost in {lost}");
            // What had arrived before the loss is the device's.
            let close = compare::compare(&expected, interpreter.output(0)?, &tflite_wgpu::compare::F16);
            close.map_err(|mismatch| mismatch.to_string())?;
            if invoke > lost {
                assert_eq!(interpreter.output(0)?.bytes(), expected.bytes());
            }
        }
        let reasons: Vec<String> = interpreter.fallbacks().iter().map(|f| f.reason.to_string()).collect();
        assert!(reasons.iter().any(|reason| reason.contains("was lost")), "{reasons:?}");
    }
    Ok(())
}

#[test]
fn a_lost_device_is_an_error_where_that_is_wanted() -> TestResult {
    let model = Model::new(program())?;
    let Some(device) = own_device()? else { return Ok(()) };
    let mut interpreter = interpreter(&model, Some(&device), Some(2), &["on_device_lost=error"])?;
    interpreter.invoke()?;
    for _ in 0..2 {
        let message = interpreter.invoke().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("was lost"), "{message}");
    }
    Ok(())
}

#[test]
fn a_device_lost_before_the_first_invoke_leaves_everything_to_the_cpu() -> TestResult {
    let model = Model::new(program())?;
    let Some(device) = own_device()? else { return Ok(()) };
    device.destroy();
    let mut lost = interpreter(&model, Some(&device), None, &[])?;
    lost.invoke()?;
    assert_eq!(lost.output(0)?.bytes(), cpu(&model)?.bytes());
    Ok(())
}

#[test]
fn a_rebuilt_delegate_works() -> TestResult {
    let model = Model::new(program())?;
    let expected = cpu(&model)?;
    let Some(device) = own_device()? else { return Ok(()) };
    let mut first = interpreter(&model, Some(&device), Some(1), &[])?;
    first.invoke()?;
    let Some(device) = own_device()? else { return Ok(()) };
    let mut second = interpreter(&model, Some(&device), None, &["precision=f32"])?;
    for _ in 0..2 {
        second.invoke()?;
        assert!(second.fallbacks().is_empty());
        compare::compare(&expected, second.output(0)?, &compare::F32).map_err(|mismatch| mismatch.to_string())?;
    }
    Ok(())
}

/// A device with its own limits, which the caller made.
fn callers_device(change: impl Fn(&mut wgpu::Limits)) -> Res<Option<(Arc<GpuDevice>, wgpu::Device)>> {
    let Some(_) = device()? else { return Ok(None) };
    let Some((_, adapter)) = pollster::block_on(gpu::adapters()).into_iter().next() else { return Ok(None) };
    let mut required_limits = wgpu::Limits::defaults();
    change(&mut required_limits);
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    Ok(Some((GpuDevice::with_device(&adapter, device.clone(), queue), device)))
}

#[test]
fn what_the_device_refuses_is_an_error_and_the_cpu_goes_on() -> TestResult {
    let model = Model::new(program())?;
    let expected = cpu(&model)?;
    // No kernel has so few invocations in a workgroup.
    let limited = callers_device(|limits| limits.max_compute_invocations_per_workgroup = 1)?;
    let Some((device, _)) = limited else { return Ok(()) };
    let mut interpreter = interpreter(&model, Some(&device), None, &[])?;
    for _ in 0..2 {
        interpreter.invoke()?;
        assert_eq!(interpreter.output(0)?.bytes(), expected.bytes());
    }
    let reasons: Vec<String> = interpreter.fallbacks().iter().map(|f| f.reason.to_string()).collect();
    assert!(reasons.iter().all(|reason| reason.contains("failed")) && reasons.len() == 2, "{reasons:?}");
    Ok(())
}

#[test]
fn tensors_beyond_the_limits_stay_on_the_cpu() -> TestResult {
    let dims = [1, 64, 65, 4];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &dims);
    let b = graph.op(Op::Exp, &[Some(a)], &[("b", DType::Float32, &dims)]);
    graph.output(b);
    let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
    let limited = callers_device(|limits| limits.max_storage_buffer_binding_size = 1 << 16)?;
    let Some((device, _)) = limited else { return Ok(()) };
    let delegate = GpuDelegate::with_device(device, DelegateOptions::parse(["device=gpu", "precision=f32"])?);
    let report = delegate.report();
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let result = common::run_with(&mut interpreter, &[random(1, &dims)?])?;
    assert_eq!(result.len(), 1);
    let report = report.lock().map_err(|_| "poisoned")?;
    assert_eq!(report.gpu_nodes(), 0);
    let reasons: Vec<String> =
        report.subgraphs.iter().flat_map(|s| s.reasons.values()).map(|r| r.to_string()).collect();
    assert!(matches!(&reasons[..], [reason] if reason.contains("66560 exceeds the limit 65536")), "{reasons:?}");
    Ok(())
}

/// Buffers of this size hold one tensor of [`residual`].
const SMALL: usize = 4096;

/// A device whose buffers are [`SMALL`].
fn small_device() -> Res<Option<Arc<GpuDevice>>> {
    let limited = callers_device(|limits| {
        limits.max_storage_buffer_binding_size = SMALL as u64;
        limits.max_uniform_buffer_binding_size = SMALL as u64;
        limits.max_buffer_size = SMALL as u64;
    })?;
    Ok(limited.map(|(device, _)| device))
}

/// Three tensors that are alive together, each as large as a buffer of [`small_device`].
fn residual(outputs: usize) -> Res<Model> {
    let dims = [1, 8, 8, 16];
    let one = |name: &'static str| [(name, DType::Float32, &[1usize, 8, 8, 16][..])];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &dims);
    let b = graph.op(Op::Exp, &[Some(a)], &one("b"));
    let c = graph.op(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[Some(b)], &one("c"));
    let sum = graph.op(Op::Add(AddOptions::default()), &[Some(c), Some(b)], &one("sum"));
    [sum, c].into_iter().take(outputs).for_each(|output| graph.output(output));
    Ok(Model::new(ModelBuilder::new().subgraph(graph).program())?)
}

#[test]
fn an_arena_beyond_the_largest_buffer_is_several() -> TestResult {
    let (model, Some(device)) = (residual(1)?, small_device()?) else { return Ok(()) };
    let input = random(1, &[1, 8, 8, 16])?;
    let expected = common::run_with(&mut Interpreter::builder(&model).build()?, std::slice::from_ref(&input))?;
    for precision in ["precision=f32", "precision=f16"] {
        let delegate =
            GpuDelegate::with_device(Arc::clone(&device), DelegateOptions::parse(["device=gpu", precision])?);
        let report = delegate.report();
        let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        let tolerance = if precision.ends_with("32") { &compare::F32 } else { &compare::F16 };
        for _ in 0..2 {
            let found = common::run_with(&mut interpreter, std::slice::from_ref(&input))?;
            assert!(interpreter.fallbacks().is_empty(), "{:?}", interpreter.fallbacks());
            compare::compare(&expected[0], &found[0], tolerance).map_err(|mismatch| mismatch.to_string())?;
        }
        let report = report.lock().map_err(|_| "poisoned")?;
        assert_eq!((report.gpu_nodes(), report.partitions.len()), (3, 1));
        let bytes = report.partitions[0].arena_bytes;
        assert!(bytes > SMALL, "{bytes} would fit one buffer");
    }
    Ok(())
}

#[test]
fn a_readback_beyond_the_limits_stays_on_the_cpu() -> TestResult {
    let (model, Some(device)) = (residual(2)?, small_device()?) else { return Ok(()) };
    let delegate = GpuDelegate::with_device(device, DelegateOptions::parse(["device=gpu"])?);
    let report = delegate.report();
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let result = common::run_with(&mut interpreter, &[random(1, &[1, 8, 8, 16])?])?;
    assert_eq!(result.len(), 2);
    let failure = report.lock().map_err(|_| "poisoned")?.partitions[0].failure.clone().unwrap_or_default();
    assert!(failure.contains("readback of 8192 exceeds the limit 4096"), "{failure}");
    Ok(())
}

#[test]
fn a_caller_may_destroy_the_device_that_it_owns() -> TestResult {
    let model = Model::new(program())?;
    let Some((device, own)) = callers_device(|_| ())? else { return Ok(()) };
    let mut interpreter = interpreter(&model, Some(&device), None, &[])?;
    interpreter.invoke()?;
    assert!(interpreter.fallbacks().is_empty());
    own.destroy();
    interpreter.invoke()?;
    assert!(!interpreter.fallbacks().is_empty());
    assert_eq!(interpreter.output(0)?.bytes(), cpu(&model)?.bytes());
    Ok(())
}
