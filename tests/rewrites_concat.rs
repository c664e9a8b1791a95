//! Parts of a CONCATENATION of channels that are written where the result has them: no step copies them.

mod common;

use std::sync::Arc;

use common::{TestResult, kernels, random};
use tflite_wgpu::{DelegateOptions, GpuDelegate, compare, options::Perturb};
use tflite_wgpu_fallback::{Interpreter, Kernels, Model};
use tflite_wgpu_model::*;

const F: DType = DType::Float32;

/// What makes a part.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// A convolution of this many taps in each direction, and its channels.
    Conv(usize, usize),
    /// A convolution of two groups, and its channels.
    Grouped(usize),
    /// A residual: a 1 × 1 convolution with another tensor added.
    Residual(usize),
    /// Something else.
    Pool,
}

impl Part {
    fn channels(self, image: [usize; 4]) -> usize {
        match self {
            Self::Conv(_, channels) | Self::Grouped(channels) | Self::Residual(channels) => channels,
            Self::Pool => image[3],
        }
    }
}

/// Changes that leave copies as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spoil {
    Nothing,
    /// The first part is an output.
    Output,
    /// Another node reads the first part.
    Reader,
    /// The first part is there twice.
    Twice,
    /// The parts lie below each other.
    Axis,
    /// The result has a RELU.
    Activation,
}

fn part(graph: &mut GraphBuilder, x: TensorId, image: [usize; 4], part: Part, seed: u32) -> TensorId {
    let [batch, height, width, depth] = image;
    let channels = part.channels(image);
    let dims = [batch, height, width, channels];
    let (taps, depth) = match part {
        Part::Conv(taps, _) => (taps, depth),
        Part::Grouped(_) => (3, depth / 2),
        _ => (1, depth),
    };
    if part == Part::Pool {
        let options = Pool2DOptions {
            stride_h: 1,
            stride_w: 1,
            filter_height: 3,
            filter_width: 3,
            padding: Padding::Same,
            ..Default::default()
        };
        return graph.op(Op::MaxPool2d(options), &[Some(x)], &[("pool", F, &dims)]);
    }
    let values = common::floats(seed, channels * taps * taps * depth);
    let values: Vec<f32> = values.iter().map(|v| v / (taps * depth) as f32).collect();
    let weights = graph.constant_f32("weights", &[channels, taps, taps, depth], &values);
    let bias = graph.constant_f32("bias", &[channels], &common::floats(seed + 7, channels));
    let options = Conv2DOptions { stride_h: 1, stride_w: 1, padding: Padding::Same, ..Default::default() };
    let y = graph.op(Op::Conv2d(options), &[Some(x), Some(weights), Some(bias)], &[("conv", F, &dims)]);
    if !matches!(part, Part::Residual(_)) {
        return y;
    }
    let other = graph.input("other", F, &dims);
    graph.op(Op::Add(AddOptions::default()), &[Some(y), Some(other)], &[("sum", F, &dims)])
}

fn program(image: [usize; 4], list: &[Part], spoil: Spoil) -> Program {
    let mut graph = GraphBuilder::new();
    let input = graph.input("input", F, &image);
    let x = graph.op(Op::Abs, &[Some(input)], &[("image", F, &image)]);
    let mut parts: Vec<_> = (1..).zip(list).map(|(seed, &what)| part(&mut graph, x, image, what, seed)).collect();
    let mut dims = image;
    dims[3] = list.iter().map(|part| part.channels(image)).sum();
    if spoil == Spoil::Twice {
        parts.push(parts[0]);
        dims[3] += list[0].channels(image);
    }
    let mut options = ConcatenationOptions { axis: 3, ..Default::default() };
    if spoil == Spoil::Axis {
        options.axis = 1;
        (dims[1], dims[3]) = (image[1] * list.len(), list[0].channels(image));
    }
    if spoil == Spoil::Activation {
        options.fused_activation_function = ActivationFunctionType::Relu;
    }
    let inputs: Vec<_> = parts.iter().map(|id| Some(*id)).collect();
    let joined = graph.op(Op::Concatenation(options), &inputs, &[("joined", F, &dims)]);
    let result = graph.op(Op::Sin, &[Some(joined)], &[("result", F, &dims)]);
    graph.output(result);
    let first = [image[0], image[1], image[2], list[0].channels(image)];
    match spoil {
        Spoil::Output => graph.output(parts[0]),
        Spoil::Reader => {
            let other = graph.op(Op::Cos, &[Some(parts[0])], &[("other", F, &first)]);
            graph.output(other);
        }
        _ => {}
    }
    ModelBuilder::new().subgraph(graph).program()
}

fn inputs(image: [usize; 4], list: &[Part]) -> TestResult<Vec<tflite_wgpu_fallback::Value>> {
    let mut inputs = vec![random(5, &image)?];
    for part in list.iter().filter(|part| matches!(part, Part::Residual(_))) {
        inputs.push(random(6, &[image[0], image[1], image[2], part.channels(image)])?);
    }
    Ok(inputs)
}

/// Steps that move something.
fn moves(image: [usize; 4], list: &[Part], spoil: Spoil) -> TestResult<Option<usize>> {
    let name = format!("{image:?} {list:?} {spoil:?}");
    let found = kernels(&name, &program(image, list, spoil), &inputs(image, list)?)?;
    Ok(found.map(|all| all.iter().filter(|kernel| kernel.starts_with("move") || kernel.starts_with("merge")).count()))
}

#[test]
fn convolutions_write_their_parts() -> TestResult {
    use Part::*;
    let image = [2, 9, 7, 8];
    for (list, copies) in [
        (vec![Conv(1, 8), Conv(3, 12)], 0),
        (vec![Conv(3, 16), Conv(1, 5)], 0),
        (vec![Conv(1, 64), Conv(3, 64)], 0),
        (vec![Residual(8), Conv(5, 4), Conv(1, 40)], 0),
        (vec![Conv(1, 4), Pool, Conv(1, 4)], 1),
        // A part that does not end with a texel, and those behind it, are copied.
        (vec![Conv(1, 8), Conv(1, 6), Conv(3, 8)], 2),
        // Groups of three channels have another kernel.
        (vec![Conv(1, 8), Grouped(6)], 1),
    ] {
        let Some(moves) = moves(image, &list, Spoil::Nothing)? else { return Ok(()) };
        assert_eq!(moves, copies, "{list:?}");
    }
    Ok(())
}

#[test]
fn what_is_needed_elsewhere_is_copied() -> TestResult {
    use Spoil::*;
    let list = [Part::Conv(1, 8), Part::Conv(3, 8)];
    for (spoil, copies) in [(Output, 1), (Reader, 1), (Twice, 2), (Axis, 2), (Activation, 2)] {
        let Some(moves) = moves([1, 9, 7, 8], &list, spoil)? else { return Ok(()) };
        assert_eq!(moves, copies, "{spoil:?}");
    }
    Ok(())
}

/// Rows of one texel, joined, are written by a FULLY_CONNECTED each.
#[test]
fn rows_write_their_parts() -> TestResult {
    for (rows, depth) in [(1, 512), (6, 20)] {
        let program = rows_program(rows, depth);
        let Some(found) = kernels("rows", &program, &[random(5, &[rows, depth])?])? else { return Ok(()) };
        assert!(!found.iter().any(|kernel| kernel.starts_with("move")), "{found:?}");
    }
    Ok(())
}

fn rows_program(rows: usize, depth: usize) -> Program {
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &[rows, depth]);
    let mut parts = Vec::new();
    for (seed, units) in [(1, 8), (2, 20), (3, 3)] {
        let values: Vec<f32> = common::floats(seed, units * depth).iter().map(|v| v / depth as f32).collect();
        let weights = graph.constant_f32("weights", &[units, depth], &values);
        let op = Op::FullyConnected(FullyConnectedOptions::default());
        parts.push(Some(graph.op(op, &[Some(x), Some(weights), None], &[("part", F, &[rows, units])])));
    }
    let options = ConcatenationOptions { axis: -1, ..Default::default() };
    let joined = graph.op(Op::Concatenation(options), &parts, &[("joined", F, &[rows, 31])]);
    graph.output(joined);
    ModelBuilder::new().subgraph(graph).program()
}

/// The kernels of cards on the adapter at hand.
#[test]
fn workgroups_that_share_their_operands_write_their_parts() -> TestResult {
    let Some(device) = common::card()? else { return Ok(()) };
    let (image, list) = ([1, 12, 9, 64], [Part::Conv(1, 32), Part::Conv(3, 64), Part::Conv(1, 18)]);
    let staged = (program(image, &list, Spoil::Nothing), inputs(image, &list)?, ["gemm_staged", "conv_staged"]);
    let vector = (rows_program(1, 512), vec![random(5, &[1, 512])?], ["gemm_vector", "gemm_vector"]);
    for (program, inputs, wanted) in [staged, vector] {
        let model = Model::new(program)?;
        let expected = common::run_with(&mut Interpreter::builder(&model).kernels(Kernels::Plain).build()?, &inputs)?;
        let delegate = GpuDelegate::with_device(Arc::clone(&device), DelegateOptions::parse(["device=gpu"])?);
        let report = delegate.report();
        let mut gpu = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        let found = common::run_with(&mut gpu, &inputs)?;
        assert!(gpu.fallbacks().is_empty());
        compare::compare(&expected[0], &found[0], &compare::F16_OPERATOR).map_err(|e| format!("{wanted:?}: {e}"))?;
        let report = report.lock().map_err(|_| "the report is poisoned")?;
        let kernels: Vec<_> = report.partitions.iter().flat_map(|p| &p.steps).map(|step| step.kernel).collect();
        assert!(wanted.iter().all(|kernel| kernels.contains(kernel)), "{kernels:?}");
        assert!(!kernels.iter().any(|kernel| kernel.starts_with("move")), "{kernels:?}");
    }
    Ok(())
}

/// The comparison sees a part that is wrong.
#[test]
fn a_wrong_part_is_found() -> TestResult {
    let Some(device) = common::device()? else { return Ok(()) };
    let (image, list) = ([1, 9, 7, 8], [Part::Conv(1, 8), Part::Conv(3, 8)]);
    let model = Model::new(program(image, &list, Spoil::Nothing))?;
    let inputs = inputs(image, &list)?;
    let expected = common::run_with(&mut Interpreter::builder(&model).kernels(Kernels::Plain).build()?, &inputs)?;
    // The convolutions are nodes 1 and 2.
    for node in [1, 2] {
        let mut options = DelegateOptions::parse(["device=gpu", "precision=f32"])?;
        options.perturb = Some(Perturb::Node(NodeId(node)));
        let delegate = GpuDelegate::with_device(device.clone(), options);
        let mut gpu = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        let found = common::run_with(&mut gpu, &inputs)?;
        assert!(compare::compare(&expected[0], &found[0], &compare::F32).is_err(), "node {node}");
    }
    Ok(())
}
