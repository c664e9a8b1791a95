//! Operators that read whole rows or fold dimensions, on the GPU against the reference: any axes, channel counts around
//! a texel, rows of one, long folds in segments.

mod common;

use std::sync::Arc;

use common::{check, floats, random, run_with};
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, compare,
    gpu::{DeviceOptions, GpuDevice},
    tuning::{AdapterClass, Tuning},
};
use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::*;

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const F: DType = DType::Float32;
const I: DType = DType::Int32;
const L: DType = DType::Int64;
const B: DType = DType::Bool;

/// A model of one operator with one input, and axes as a constant behind it where there are any.
fn program(op: &Op, input: &Value, axes: &[i32], output: (DType, &[usize])) -> Program {
    let mut graph = GraphBuilder::new();
    let mut inputs = vec![Some(graph.input("x", input.dtype(), input.shape()))];
    if !axes.is_empty() {
        inputs.push(Some(graph.constant_i32("axes", &[axes.len()], axes)));
    }
    let result = graph.op(op.clone(), &inputs, &[("result", output.0, output.1)]);
    graph.output(result);
    ModelBuilder::new().subgraph(graph).program()
}

fn run(op: &Op, input: &Value, axes: &[i32], output: (DType, &[usize])) -> TestResult {
    let name = format!("{op:?} {} {:?} {axes:?}", input.dtype(), input.shape());
    check(&name, &program(op, input, axes, output), std::slice::from_ref(input))
}

fn ints(seed: u32, dims: &[usize]) -> TestResult<Value> {
    let values: Vec<i32> = floats(seed, dims.iter().product()).iter().map(|x| (x * 8.0) as i32).collect();
    Ok(Value::i32(dims, &values)?)
}

fn longs(seed: u32, dims: &[usize]) -> TestResult<Value> {
    let values: Vec<i64> = floats(seed, dims.iter().product()).iter().map(|x| (x * 8.0) as i64).collect();
    Ok(Value::from_slice(L, dims, &values)?)
}

fn bools(seed: u32, dims: &[usize]) -> TestResult<Value> {
    let values: Vec<u8> = floats(seed, dims.iter().product()).iter().map(|&x| u8::from(x > -1.5)).collect();
    Ok(Value::from_slice(B, dims, &values)?)
}

/// Values around 1: products and sums of any number of them stay in range and are not near zero.
fn near_one(seed: u32, dims: &[usize]) -> TestResult<Value> {
    let values: Vec<f32> = floats(seed, dims.iter().product()).iter().map(|x| 1.0 + x / 16.0).collect();
    Ok(Value::f32(dims, &values)?)
}

fn reduced(dims: &[usize], axes: &[i32], keep: bool) -> Vec<usize> {
    let axes: Vec<usize> =
        axes.iter().map(|&a| if a < 0 { dims.len() - a.unsigned_abs() as usize } else { a as usize }).collect();
    let kept = dims.iter().enumerate().filter(|(i, _)| keep || !axes.contains(i));
    kept.map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect()
}

/// All reductions of `dims` over `axes`, with and without the reduced dimensions kept.
fn reduce(dims: &[usize], axes: &[i32]) -> TestResult {
    for keep in [false, true] {
        let out = reduced(dims, axes, keep);
        let options = || ReducerOptions { keep_dims: keep };
        run(&Op::Mean(options()), &random(1, dims)?, axes, (F, &out))?;
        run(&Op::Sum(options()), &near_one(2, dims)?, axes, (F, &out))?;
        run(&Op::ReduceMax(options()), &random(3, dims)?, axes, (F, &out))?;
        run(&Op::ReduceMin(options()), &random(4, dims)?, axes, (F, &out))?;
        run(&Op::ReduceAny(options()), &bools(5, dims)?, axes, (B, &out))?;
        run(&Op::ReduceAll(options()), &bools(6, dims)?, axes, (B, &out))?;
        run(&Op::Sum(options()), &ints(7, dims)?, axes, (I, &out))?;
        run(&Op::ReduceMax(options()), &ints(8, dims)?, axes, (I, &out))?;
        if dims.iter().product::<usize>() < 1000 {
            run(&Op::ReduceProd(options()), &near_one(9, dims)?, axes, (F, &out))?;
            run(&Op::ReduceProd(options()), &ints(9, dims)?, axes, (I, &out))?;
            run(&Op::ReduceMin(options()), &longs(10, dims)?, axes, (L, &out))?;
        }
    }
    Ok(())
}

#[test]
fn reductions_over_any_axes() -> TestResult {
    let dims = [2, 3, 4, 5];
    for mask in 1..16 {
        let axes: Vec<i32> = (0..4).filter(|axis| mask >> axis & 1 == 1).collect();
        reduce(&dims, &axes)?;
    }
    reduce(&dims, &[-1])?;
    reduce(&dims, &[-2, 1])
}

#[test]
fn reductions_of_any_channel_count() -> TestResult {
    for channels in [1, 2, 3, 4, 6, 7, 8, 9, 33] {
        reduce(&[2, 5, channels], &[1])?;
        reduce(&[2, 5, channels], &[2])?;
    }
    Ok(())
}

#[test]
fn reductions_of_any_rank() -> TestResult {
    reduce(&[7], &[0])?;
    reduce(&[1], &[0])?;
    reduce(&[2, 3, 2, 2, 3], &[0, 2])?;
    reduce(&[2, 3, 2, 2, 3], &[1, 3, 4])?;
    reduce(&[2, 2, 3, 2, 2, 3], &[0, 2, 4])?;
    reduce(&[2, 2, 2, 2, 2, 2, 2, 3], &[0, 2, 4, 6])?;
    reduce(&[2, 2, 2, 2, 2, 2, 2, 3], &[1, 3, 5, 7])
}

#[test]
fn long_reductions() -> TestResult {
    for (dims, axes) in [
        (&[1, 40, 40, 5][..], &[1, 2][..]),
        (&[1, 40, 40, 3], &[0, 1, 2, 3]),
        (&[2, 2048], &[1]),
        (&[2, 1030], &[1]),
        (&[4099, 2], &[0]),
        (&[5000], &[0]),
    ] {
        reduce(dims, axes)?;
    }
    Ok(())
}

#[test]
fn softmax_and_norms() -> TestResult {
    let shapes: [&[usize]; 10] =
        [&[5], &[1, 1000], &[2, 3, 4], &[3, 1], &[2, 2, 3, 7], &[2, 33], &[1, 9], &[2, 65], &[3, 258], &[20, 8]];
    for dims in shapes {
        for beta in [1.0, 0.5] {
            run(&Op::Softmax(SoftmaxOptions { beta }), &random(20, dims)?, &[], (F, dims))?;
        }
        run(&Op::LogSoftmax, &random(21, dims)?, &[], (F, dims))?;
        let relu = L2NormOptions { fused_activation_function: ActivationFunctionType::Relu };
        for options in [L2NormOptions::default(), relu] {
            run(&Op::L2Normalization(options), &random(22, dims)?, &[], (F, dims))?;
        }
    }
    let wide: Vec<f32> = floats(23, 130).iter().map(|x| x * 500.0).collect();
    let wide = Value::f32(&[2, 65], &wide)?;
    run(&Op::Softmax(SoftmaxOptions { beta: 1.0 }), &wide, &[], (F, &[2, 65]))?;
    run(&Op::LogSoftmax, &wide, &[], (F, &[2, 65]))?;
    let zeros = Value::f32(&[2, 3], &[0.0, 0.0, 0.0, 3.0, 0.0, 4.0])?;
    run(&Op::L2Normalization(L2NormOptions::default()), &zeros, &[], (F, &[2, 3]))
}

#[test]
fn local_response() -> TestResult {
    for channels in [1, 3, 4, 5, 9, 33] {
        for radius in [0, 1, 2, 5, i32::MAX] {
            let options = LocalResponseNormalizationOptions { radius, bias: 1.0, alpha: 0.5, beta: 0.75 };
            let dims = [2, 2, 3, channels];
            run(&Op::LocalResponseNormalization(options), &random(30, &dims)?, &[], (F, &dims))?;
        }
    }
    Ok(())
}

#[test]
fn positions_of_extremes() -> TestResult {
    for dims in [&[2, 3, 4, 5][..], &[7], &[2, 33], &[3, 1], &[5, 9], &[2, 2, 3, 2, 2, 3]] {
        for axis in 0..dims.len() {
            let out = reduced(dims, &[axis as i32], false);
            let axes = [axis as i32];
            for (max, output) in [(true, I), (false, L)] {
                let op = match max {
                    true => Op::ArgMax(ArgMaxOptions { output_type: output }),
                    false => Op::ArgMin(ArgMinOptions { output_type: output }),
                };
                run(&op, &random(40, dims)?, &axes, (output, &out))?;
                run(&op, &ints(41, dims)?, &axes, (output, &out))?;
                // Ties: the first counts.
                run(&op, &bools(42, dims)?, &axes, (output, &out))?;
            }
        }
    }
    let negative = Value::f32(&[2, 3], &[-3.0, -2.0, -5.0, -1.0, -1.0, -1.0])?;
    run(&Op::ArgMax(ArgMaxOptions { output_type: I }), &negative, &[-1], (I, &[2]))
}

#[test]
fn running_sums() -> TestResult {
    for dims in [&[2, 3, 4, 5][..], &[7], &[2, 33], &[3, 1], &[4, 8]] {
        for axis in 0..dims.len() {
            for (exclusive, reverse) in [(false, false), (false, true), (true, false), (true, true)] {
                let op = Op::Cumsum(CumsumOptions { exclusive, reverse });
                run(&op, &random(50, dims)?, &[axis as i32], (F, dims))?;
                run(&op, &ints(51, dims)?, &[axis as i32], (I, dims))?;
                run(&op, &longs(52, dims)?, &[axis as i32], (L, dims))?;
            }
        }
    }
    Ok(())
}

/// An operator, the dimensions of its input, its axes, the dimensions of its output.
type Case<'a> = (Op, &'a [usize], &'a [i32], &'a [usize]);

/// The kernels that adapters with cheap barriers and native halves get, run on the adapter at hand.
#[test]
fn hardware_classes_compute_the_same() -> TestResult {
    if common::device()?.is_none() {
        return Ok(());
    }
    let dims = &[2, 3, 130][..];
    let long = &[1, 64, 64, 5][..];
    let ring = &[5, 8][..];
    let keep = || ReducerOptions { keep_dims: true };
    let cases: [Case<'_>; 8] = [
        (Op::Softmax(SoftmaxOptions { beta: 1.0 }), dims, &[], dims),
        (Op::LogSoftmax, dims, &[], dims),
        (Op::L2Normalization(L2NormOptions::default()), dims, &[], dims),
        (Op::Softmax(SoftmaxOptions { beta: 2.0 }), ring, &[], ring),
        (Op::Mean(keep()), long, &[1, 2], &[1, 1, 1, 5]),
        (Op::Mean(keep()), &[1, 8192], &[1], &[1, 1]),
        (Op::ReduceMax(keep()), long, &[0, 1, 2, 3], &[1, 1, 1, 1]),
        (Op::Cumsum(CumsumOptions { exclusive: false, reverse: true }), dims, &[1], dims),
    ];
    for (precision, tolerance) in [("precision=f32", compare::F32), ("precision=f16", compare::F16_OPERATOR)] {
        let mut device = pollster::block_on(GpuDevice::open(&DeviceOptions::default()))?;
        let typed = device.summary.shader_f16;
        let exclusive = Arc::get_mut(&mut device).ok_or("the device is shared")?;
        exclusive.tuning = Tuning::of(AdapterClass::Discrete, typed, true);
        for (op, dims, axes, out) in &cases {
            let input = random(60, dims)?;
            let program = program(op, &input, axes, (F, out));
            let model = Model::new(program)?;
            let mut cpu = Interpreter::builder(&model).build()?;
            let expected = run_with(&mut cpu, std::slice::from_ref(&input))?;
            let options = DelegateOptions::parse(["device=gpu", precision])?;
            let delegate = GpuDelegate::with_device(Arc::clone(&device), options);
            let report = delegate.report();
            let mut gpu = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
            let found = run_with(&mut gpu, std::slice::from_ref(&input))?;
            let name = format!("{op:?} {dims:?} {precision}");
            assert_eq!(report.lock().map_err(|_| "poisoned")?.gpu_nodes(), 1, "{name}");
            assert!(gpu.fallbacks().is_empty(), "{name}");
            let (cpu, gpu) = (expected.first().ok_or("no output")?, found.first().ok_or("no output")?);
            compare::compare(cpu, gpu, &tolerance).map_err(|e| format!("{name}: {e}"))?;
        }
    }
    Ok(())
}
