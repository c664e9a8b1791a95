//! Convolutions, products and pools on the GPU against the reference: sizes around the tiles of every adapter class,
//! with what joins their kernels, and the kernels of the other classes on the adapter at hand.

mod common;

use std::sync::Arc;

use common::{TestResult, check, floats, random, run_with};
use tflite_wgpu::{
    DelegateOptions, GpuDelegate, compare,
    gpu::{DeviceOptions, GpuDevice},
    tuning::{AdapterClass, Split, Tuning},
};
use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::*;

const F: DType = DType::Float32;

/// An operator on an NHWC input, and what is behind it.
#[derive(Clone, Copy, Debug)]
struct Case {
    kind: Kind,
    input: [usize; 4],
    channels: usize,
    taps: usize,
    stride: usize,
    dilation: usize,
    tail: Tail,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Conv,
    /// A convolution in this many groups.
    Grouped(usize),
    Depthwise,
    Dense,
    MaxPool,
    AveragePool,
    L2Pool,
}

/// What follows the operator and joins its kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tail {
    None,
    /// A fused RELU6.
    Relu6,
    /// An ADD with a second input of the result's shape.
    Residual,
    /// A LOGISTIC, which is not zero at zero.
    Logistic,
}

const fn case(kind: Kind, input: [usize; 4], channels: usize, taps: usize, stride: usize) -> Case {
    Case { kind, input, channels, taps, stride, dilation: 1, tail: Tail::None }
}

const fn with(tail: Tail, case: Case) -> Case {
    Case { tail, ..case }
}

const fn dilated(dilation: usize, case: Case) -> Case {
    Case { dilation, ..case }
}

impl Case {
    /// Dimensions of the result; windows have SAME padding.
    fn output(&self) -> Vec<usize> {
        let [batch, height, width, _] = self.input;
        match self.kind {
            Kind::Dense => vec![batch * height * width, self.channels],
            _ => vec![batch, height.div_ceil(self.stride), width.div_ceil(self.stride), self.channels],
        }
    }

    /// Dimensions of the weights, if it has any.
    fn weights(&self) -> Option<Vec<usize>> {
        let [_, _, _, depth] = self.input;
        match self.kind {
            Kind::Conv => Some(vec![self.channels, self.taps, self.taps, depth]),
            Kind::Grouped(groups) => Some(vec![self.channels, self.taps, self.taps, depth / groups]),
            Kind::Depthwise => Some(vec![1, self.taps, self.taps, self.channels]),
            Kind::Dense => Some(vec![self.channels, depth]),
            Kind::MaxPool | Kind::AveragePool | Kind::L2Pool => None,
        }
    }

    fn op(&self) -> Op {
        let size = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let (stride, dilation, taps) = (size(self.stride), size(self.dilation), size(self.taps));
        let activation = match self.tail {
            Tail::Relu6 => ActivationFunctionType::Relu6,
            _ => ActivationFunctionType::None,
        };
        let pool = Pool2DOptions {
            padding: Padding::Same,
            stride_w: stride,
            stride_h: stride,
            filter_height: taps,
            filter_width: taps,
            fused_activation_function: activation,
        };
        match self.kind {
            Kind::Conv | Kind::Grouped(_) => Op::Conv2d(Conv2DOptions {
                stride_w: stride,
                stride_h: stride,
                fused_activation_function: activation,
                dilation_wfactor: dilation,
                dilation_hfactor: dilation,
                ..Default::default()
            }),
            Kind::Depthwise => Op::DepthwiseConv2d(DepthwiseConv2DOptions {
                stride_w: stride,
                stride_h: stride,
                fused_activation_function: activation,
                dilation_wfactor: dilation,
                dilation_hfactor: dilation,
                ..Default::default()
            }),
            Kind::Dense => Op::FullyConnected(FullyConnectedOptions {
                fused_activation_function: activation,
                ..Default::default()
            }),
            Kind::MaxPool => Op::MaxPool2d(pool),
            Kind::AveragePool => Op::AveragePool2d(pool),
            Kind::L2Pool => Op::L2Pool2d(pool),
        }
    }

    /// The model, and values for its inputs.
    fn program(&self) -> Result<(Program, Vec<Value>), Box<dyn std::error::Error>> {
        let mut graph = GraphBuilder::new();
        let input = match self.kind {
            Kind::Dense => vec![self.input.iter().take(3).product(), self.input[3]],
            _ => self.input.to_vec(),
        };
        let mut values = vec![random(1, &input)?];
        let mut inputs = vec![Some(graph.input("x", F, &input))];
        if let Some(dims) = self.weights() {
            let count: usize = dims.iter().product();
            let fan_in = (count / dims.iter().max().copied().unwrap_or(1)).max(4);
            let scale = 1.0 / (fan_in as f32).sqrt();
            let weights: Vec<f32> = floats(2, count).iter().map(|w| w * scale).collect();
            inputs.push(Some(graph.constant_f32("weights", &dims, &weights)));
            inputs.push(Some(graph.constant_f32("bias", &[self.channels], &floats(3, self.channels))));
        }
        let output = self.output();
        let mut result = graph.op(self.op(), &inputs, &[("result", F, &output)]);
        match self.tail {
            Tail::Residual => {
                values.push(random(4, &output)?);
                let other = graph.input("other", F, &output);
                let add = Op::Add(AddOptions::default());
                result = graph.op(add, &[Some(other), Some(result)], &[("sum", F, &output)]);
            }
            Tail::Logistic => result = graph.op(Op::Logistic, &[Some(result)], &[("logistic", F, &output)]),
            Tail::None | Tail::Relu6 => {}
        }
        graph.output(result);
        Ok((ModelBuilder::new().subgraph(graph).program(), values))
    }
}

fn run(cases: &[Case]) -> TestResult {
    for case in cases {
        let (program, values) = case.program()?;
        check(&format!("{case:?}"), &program, &values)?;
    }
    Ok(())
}

/// Rows and channels around the tiles: fewer than a tile, a tile and a bit, groups of columns that are not full.
#[test]
fn pointwise_convolutions_and_dense() -> TestResult {
    use Kind::{Conv, Dense};
    let mut cases = Vec::new();
    for (input, channels) in [
        ([1, 1, 1, 1], 1),
        ([1, 1, 1, 9], 33),
        ([1, 2, 3, 3], 5),
        ([1, 7, 7, 8], 24),
        ([1, 7, 7, 9], 40),
        ([2, 5, 7, 4], 18),
        ([1, 20, 21, 6], 36),
        ([1, 1, 9, 130], 7),
    ] {
        for tail in [Tail::None, Tail::Relu6, Tail::Residual, Tail::Logistic] {
            cases.push(with(tail, case(Conv, input, channels, 1, 1)));
        }
        cases.push(with(Tail::Relu6, case(Dense, input, channels, 1, 1)));
    }
    run(&cases)
}

#[test]
fn convolutions() -> TestResult {
    use Kind::{Conv, Grouped};
    run(&[
        with(Tail::Relu6, case(Conv, [1, 9, 9, 3], 8, 3, 2)),
        with(Tail::Relu6, case(Conv, [2, 30, 29, 3], 20, 3, 2)),
        with(Tail::Residual, case(Conv, [2, 5, 8, 8], 24, 3, 1)),
        with(Tail::Logistic, case(Conv, [1, 3, 16, 5], 6, 3, 1)),
        case(Conv, [1, 1, 1, 4], 4, 3, 1),
        case(Conv, [1, 7, 33, 4], 17, 5, 1),
        case(Conv, [1, 14, 15, 3], 8, 7, 2),
        case(Conv, [1, 9, 11, 8], 20, 1, 2),
        case(Conv, [1, 9, 11, 8], 20, 3, 3),
        dilated(2, case(Conv, [2, 9, 11, 5], 20, 3, 1)),
        case(Grouped(2), [1, 6, 7, 16], 32, 3, 1),
        case(Grouped(2), [1, 6, 7, 8], 8, 3, 1),
        case(Grouped(3), [1, 6, 7, 6], 9, 3, 1),
    ])
}

#[test]
fn depthwise_convolutions() -> TestResult {
    use Kind::Depthwise;
    run(&[
        with(Tail::Relu6, case(Depthwise, [1, 14, 14, 8], 8, 3, 1)),
        with(Tail::Residual, case(Depthwise, [2, 7, 7, 5], 5, 3, 1)),
        with(Tail::Logistic, case(Depthwise, [1, 5, 9, 6], 6, 3, 2)),
        case(Depthwise, [1, 1, 1, 3], 3, 3, 1),
        case(Depthwise, [2, 15, 17, 9], 9, 3, 2),
        case(Depthwise, [1, 9, 16, 12], 12, 5, 1),
        case(Depthwise, [1, 13, 16, 12], 12, 5, 2),
        case(Depthwise, [1, 70, 5, 6], 6, 3, 1),
        with(Tail::Residual, case(Depthwise, [2, 15, 17, 24], 24, 3, 2)),
        with(Tail::Logistic, case(Depthwise, [1, 9, 18, 22], 22, 5, 1)),
        case(Depthwise, [1, 13, 16, 16], 16, 5, 2),
        case(Depthwise, [1, 9, 65, 34], 34, 3, 2),
        dilated(2, case(Depthwise, [2, 9, 10, 9], 9, 3, 1)),
        dilated(4, with(Tail::Relu6, case(Depthwise, [1, 33, 33, 12], 12, 3, 1))),
        dilated(3, with(Tail::Residual, case(Depthwise, [1, 20, 61, 8], 8, 5, 1))),
        dilated(12, case(Depthwise, [1, 9, 10, 9], 9, 3, 1)),
        dilated(6, with(Tail::Relu6, case(Depthwise, [2, 33, 21, 24], 24, 3, 1))),
        dilated(2, case(Depthwise, [1, 20, 20, 8], 8, 7, 1)),
        case(Depthwise, [1, 9, 10, 3], 6, 3, 1),
        case(Depthwise, [1, 9, 10, 1], 6, 3, 2),
    ])
}

#[test]
fn pools() -> TestResult {
    use Kind::{AveragePool, L2Pool, MaxPool};
    for kind in [MaxPool, AveragePool, L2Pool] {
        run(&[
            with(Tail::Relu6, case(kind, [1, 14, 14, 8], 8, 3, 2)),
            with(Tail::Logistic, case(kind, [2, 7, 9, 5], 5, 2, 1)),
            case(kind, [1, 7, 7, 6], 6, 7, 1),
            case(kind, [1, 7, 8, 9], 9, 3, 1),
            with(Tail::Residual, case(kind, [2, 9, 16, 15], 15, 3, 1)),
        ])?;
    }
    Ok(())
}

/// The kernels that other classes get, with native halves where the adapter has them.
#[test]
fn other_classes_compute_the_same() -> TestResult {
    if common::device()?.is_none() {
        return Ok(());
    }
    use Kind::{Conv, Dense, Depthwise, MaxPool};
    let cases = [
        with(Tail::Relu6, case(Conv, [1, 20, 21, 6], 36, 1, 1)),
        with(Tail::Residual, case(Conv, [1, 5, 5, 9], 18, 1, 1)),
        case(Conv, [2, 9, 9, 5], 20, 3, 2),
        dilated(2, case(Conv, [1, 9, 11, 8], 12, 3, 1)),
        case(Dense, [1, 1, 1, 20], 33, 1, 1),
        with(Tail::Logistic, case(Dense, [1, 1, 1, 201], 37, 1, 1)),
        with(Tail::Residual, case(Conv, [1, 9, 9, 70], 36, 1, 1)),
        case(Depthwise, [1, 9, 10, 9], 9, 3, 1),
        case(MaxPool, [1, 9, 10, 9], 9, 3, 2),
    ];
    use AdapterClass::{Apple, Discrete, Integrated, Lavapipe, Mobile, SwiftShader};
    let classes = [Lavapipe, SwiftShader, Discrete, Integrated, Apple, Mobile].map(|class| (class, false));
    // Quads exist within subgroups of any size.
    for (class, quads) in classes.into_iter().chain([(SwiftShader, true)]) {
        let mut device = pollster::block_on(GpuDevice::open(&DeviceOptions::default()))?;
        let typed = device.summary.shader_f16;
        let exclusive = Arc::get_mut(&mut device).ok_or("the device is shared")?;
        let shares = exclusive.tuning.product.broadcast > 0;
        exclusive.tuning = Tuning::of(class, typed, true);
        if quads && shares {
            exclusive.tuning = exclusive.tuning.clone().with_subgroups(4, 4);
        }
        compare_on(&device, &cases, &format!("{class:?}"))?;
    }
    Ok(())
}

/// Runs cases in f16 on a device and compares them with the reference.
fn compare_on(device: &Arc<GpuDevice>, cases: &[Case], what: &str) -> TestResult {
    for case in cases {
        let (program, values) = case.program()?;
        compare_program(device, &program, &values, &format!("{what} {case:?}"))?;
    }
    Ok(())
}

fn compare_program(device: &Arc<GpuDevice>, program: &Program, values: &[Value], what: &str) -> TestResult {
    let model = Model::new(program.clone())?;
    let expected = run_with(&mut Interpreter::builder(&model).build()?, values)?;
    let options = DelegateOptions::parse(["device=gpu", "precision=f16"])?;
    let delegate = GpuDelegate::with_device(Arc::clone(device), options);
    let mut gpu = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let found = run_with(&mut gpu, values)?;
    assert!(gpu.fallbacks().is_empty(), "{what}");
    let (cpu, gpu) = (expected.first().ok_or("no output")?, found.first().ok_or("no output")?);
    compare::compare(cpu, gpu, &compare::F16_OPERATOR).map_err(|e| format!("{what}: {e}"))?;
    Ok(())
}

/// A device of its own with another tuning.
fn tuned(tuning: impl FnOnce(&mut Tuning)) -> Result<Arc<GpuDevice>, Box<dyn std::error::Error>> {
    let mut device = pollster::block_on(GpuDevice::open(&DeviceOptions::default()))?;
    tuning(&mut Arc::get_mut(&mut device).ok_or("the device is shared")?.tuning);
    Ok(device)
}

/// Every staged tile, whatever the sizes suggest: rows, columns and depths that are no multiples of a workgroup's.
#[test]
fn staged_tiles_compute_the_same() -> TestResult {
    if common::device()?.is_none() {
        return Ok(());
    }
    use Kind::Conv;
    let cases = [
        with(Tail::Relu6, case(Conv, [1, 9, 11, 70], 75, 1, 1)),
        with(Tail::Logistic, case(Conv, [2, 7, 7, 64], 17, 1, 1)),
        with(Tail::Residual, case(Conv, [2, 9, 9, 21], 18, 3, 1)),
        case(Conv, [1, 15, 17, 12], 30, 5, 2),
        dilated(2, case(Conv, [1, 9, 11, 8], 66, 3, 1)),
    ];
    let all = Tuning::of(AdapterClass::Discrete, true, true).staged;
    assert!(all.len() > 1);
    for staged in all {
        let device = tuned(|tuning| {
            *tuning = Tuning::of(AdapterClass::Discrete, false, true);
            tuning.staged = std::slice::from_ref(staged);
        })?;
        compare_on(&device, &cases, &format!("{staged:?}"))?;
    }
    Ok(())
}

/// One row whose depth the lanes of a workgroup share, in workgroups of several shapes and of one subgroup.
#[test]
fn split_rows_compute_the_same() -> TestResult {
    if common::device()?.is_none() {
        return Ok(());
    }
    let (dense, conv) = (Kind::Dense, Kind::Conv);
    let cases = [
        with(Tail::Logistic, case(dense, [1, 1, 1, 203], 37, 1, 1)),
        with(Tail::Residual, case(conv, [1, 1, 1, 130], 16, 1, 1)),
        case(dense, [1, 1, 1, 1024], 5, 1, 1),
    ];
    let shares = common::device()?.is_some_and(|device| device.tuning.product.broadcast == 8);
    let shapes = [(8, 16, false), (8, 8, false), (1, 8, false), (4, 2, false), (1, 8, true)];
    for (columns, lanes, subgroup) in shapes.into_iter().filter(|(_, _, subgroup)| shares || !subgroup) {
        let split = Split { columns, lanes, subgroup };
        let device = tuned(|tuning| tuning.split = Some(split))?;
        compare_on(&device, &cases, &format!("{split:?}"))?;
        for (adj_x, adj_y) in [(false, false), (false, true), (true, false), (true, true)] {
            let (program, values) = matrices(1, adj_x, adj_y)?;
            compare_program(&device, &program, &values, &format!("{split:?} {adj_x} {adj_y}"))?;
        }
    }
    Ok(())
}

/// Products of computed matrices where lanes lie over rows, whose subgroups load the right operand together, and beside it
/// with fewer rows.
#[test]
fn products_of_computed_matrices() -> TestResult {
    let Some(device) = common::device()? else { return Ok(()) };
    for rows in [2, 15, 16, 57, 120] {
        for (adj_x, adj_y) in [(false, false), (false, true), (true, false), (true, true)] {
            let (program, values) = matrices(rows, adj_x, adj_y)?;
            compare_program(&device, &program, &values, &format!("{rows} rows {adj_x} {adj_y}"))?;
        }
    }
    Ok(())
}

/// A BATCH_MATMUL of `rows` rows by computed matrices, with batches of the right operand that the left one repeats.
fn matrices(rows: usize, adj_x: bool, adj_y: bool) -> Result<(Program, Vec<Value>), Box<dyn std::error::Error>> {
    let (depth, width) = (131, 19);
    let x = if adj_x { [1, depth, rows] } else { [1, rows, depth] };
    let y = if adj_y { [3, width, depth] } else { [3, depth, width] };
    let mut graph = GraphBuilder::new();
    let inputs = [Some(graph.input("x", F, &x)), Some(graph.input("y", F, &y))];
    let op = Op::BatchMatmul(BatchMatMulOptions { adj_x, adj_y, asymmetric_quantize_inputs: false });
    let result = graph.op(op, &inputs, &[("result", F, &[3, rows, width])]);
    graph.output(result);
    Ok((ModelBuilder::new().subgraph(graph).program(), vec![random(5, &x)?, random(6, &y)?]))
}
