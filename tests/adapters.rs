//! Adapters: found, ranked, chosen by name and position; devices that the caller owns.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use common::{TestResult, device, random};
use tflite_wgpu::{
    DelegateOptions, Error, GpuDelegate, compare,
    gpu::{self, AdapterChoice, DeviceLimits, DeviceOptions, GpuDevice, wgpu},
};
use tflite_wgpu_fallback::{Interpreter, Model};
use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, Op, Program};

const DIMS: [usize; 4] = [1, 4, 5, 7];

fn program() -> Program {
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &DIMS);
    let b = graph.op(Op::Tanh, &[Some(a)], &[("b", DType::Float32, &DIMS)]);
    graph.output(b);
    ModelBuilder::new().subgraph(graph).program()
}

/// Runs the program on a device and compares with the CPU; nothing may fall back.
fn works_on(device: Arc<GpuDevice>) -> TestResult {
    let model = Model::new(program())?;
    let options = DelegateOptions::parse(["device=gpu", "precision=f32"])?;
    let delegate = GpuDelegate::with_device(device, options);
    let report = delegate.report();
    let input = [random(5, &DIMS)?];
    let expected = common::run_with(&mut Interpreter::builder(&model).build()?, &input)?;
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let found = common::run_with(&mut interpreter, &input)?;
    assert!(interpreter.fallbacks().is_empty());
    assert_eq!(report.lock().map_err(|_| "poisoned")?.gpu_nodes(), 1);
    compare::compare(&expected[0], &found[0], &compare::F32).map_err(|mismatch| mismatch.to_string())?;
    Ok(())
}

fn open(adapter: AdapterChoice) -> Result<Arc<GpuDevice>, Error> {
    pollster::block_on(GpuDevice::open(&DeviceOptions { adapter, ..DeviceOptions::default() }))
}

#[test]
fn adapters_are_listed_best_first() -> TestResult {
    let Some(_) = device()? else { return Ok(()) };
    let found = pollster::block_on(gpu::adapters());
    assert!(!found.is_empty());
    let software: Vec<bool> = found.iter().map(|(summary, _)| summary.software).collect();
    assert!(software.is_sorted(), "hardware comes first");
    for (i, (summary, adapter)) in found.iter().enumerate() {
        assert_eq!(summary.index, i);
        let by_driver = adapter.get_info().device_type == wgpu::DeviceType::Cpu;
        assert!(summary.software || !by_driver, "{} calls itself a CPU", summary.name);
        assert_eq!(summary.kind == "software", summary.software);
    }
    Ok(())
}

#[test]
fn adapters_are_chosen_by_name_and_position() -> TestResult {
    let Some(_) = device()? else { return Ok(()) };
    for (summary, _) in pollster::block_on(gpu::adapters()) {
        let by_position = open(AdapterChoice::parse(&summary.index.to_string()))?;
        assert_eq!(by_position.summary, summary);
        // The first adapter of this name: a machine may have several.
        let part: String = summary.name.to_uppercase().chars().take(5).collect();
        let by_name = open(AdapterChoice::parse(&part))?;
        assert!(by_name.summary.name.to_uppercase().contains(&part) || by_name.summary.index <= summary.index);
        works_on(by_name)?;
    }
    Ok(())
}

#[test]
fn an_unknown_adapter_is_an_error_that_lists_the_known() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    for choice in ["no such adapter", "99"] {
        let message = open(AdapterChoice::parse(choice)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains(choice) && message.contains(&device.summary.name), "{message}");
    }
    // In `auto` it leaves everything to the CPU.
    let delegate = GpuDelegate::new(DelegateOptions::parse(["device=auto", "adapter=no such adapter"])?)?;
    assert!(delegate.device().is_none());
    Ok(())
}

#[test]
fn webgpu_default_limits_suffice() -> TestResult {
    let Some(_) = device()? else { return Ok(()) };
    let options = DeviceOptions { limits: DeviceLimits::WebGpuDefault, ..DeviceOptions::default() };
    works_on(pollster::block_on(GpuDevice::open(&options))?)
}

#[test]
fn a_callers_device_keeps_its_handlers() -> TestResult {
    let Some(_) = device()? else { return Ok(()) };
    let Some((_, adapter)) = pollster::block_on(gpu::adapters()).into_iter().next() else { return Ok(()) };
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;
    let errors = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&errors);
    device.on_uncaptured_error(Arc::new(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
    }));
    works_on(GpuDevice::with_device(&adapter, device.clone(), queue))?;
    assert_eq!(errors.load(Ordering::Relaxed), 0);
    // A mistake of the caller reaches the caller.
    let size = u64::MAX / 8 * 4;
    let usage = wgpu::BufferUsages::STORAGE;
    let _ = device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    assert_eq!(errors.load(Ordering::Relaxed), 1);
    Ok(())
}

#[test]
fn two_interpreters_share_a_device() -> TestResult {
    let Some(device) = device()? else { return Ok(()) };
    std::thread::scope(|scope| {
        let work = || (0..4).try_for_each(|_| works_on(Arc::clone(&device)).map_err(|error| error.to_string()));
        let threads = [scope.spawn(work), scope.spawn(work)];
        for thread in threads {
            thread.join().map_err(|_| "a thread crashed")??;
        }
        Ok(())
    })
}
