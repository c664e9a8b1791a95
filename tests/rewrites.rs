//! Rewrites inside regions: the result stays, the dispatches fall.

mod common;

use std::sync::Arc;

use common::{TestResult, kernels, random, run_both};
use tflite_wgpu::{DelegateOptions, GpuDelegate, compare};
use tflite_wgpu_fallback::{Interpreter, Kernels, Model, Value};
use tflite_wgpu_model::*;

const F: DType = DType::Float32;

/// An atrous convolution as TensorFlow exports it: sizes of image and block, borders, and whether one step is left.
struct Atrous {
    image: [usize; 4],
    block: [i32; 2],
    paddings: [i32; 4],
    crops: [i32; 4],
    padding: Padding,
    merged: bool,
}

fn program(case: &Atrous, depthwise: bool) -> Program {
    let Atrous { image: [batch, height, width, channels], block, paddings, crops, padding, .. } = *case;
    let (bh, bw) = (block[0] as usize, block[1] as usize);
    let (ph, pw) = ((paddings[0] + paddings[1]) as usize, (paddings[2] + paddings[3]) as usize);
    let split = [batch * bh * bw, (height + ph) / bh, (width + pw) / bw, channels];
    let lost = if padding == Padding::Valid { 2 } else { 0 };
    let conv = [split[0], split[1] - lost, split[2] - lost, channels];
    let (ch, cw) = ((crops[0] + crops[1]) as usize, (crops[2] + crops[3]) as usize);
    let joined = [batch, conv[1] * bh - ch, conv[2] * bw - cw, channels];
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &case.image);
    let block = graph.constant_i32("block", &[2], &block);
    let paddings = graph.constant_i32("paddings", &[2, 2], &paddings);
    let crops = graph.constant_i32("crops", &[2, 2], &crops);
    let filter_dims = if depthwise { [1, 3, 3, channels] } else { [channels, 3, 3, channels] };
    let filter = graph.constant_f32("filter", &filter_dims, &common::floats(7, filter_dims.iter().product()));
    let bias = graph.constant_f32("bias", &[channels], &common::floats(8, channels));
    let relu = ActivationFunctionType::Relu;
    let op = if depthwise {
        let options = DepthwiseConv2DOptions {
            padding,
            stride_h: 1,
            stride_w: 1,
            depth_multiplier: 1,
            fused_activation_function: relu,
            ..DepthwiseConv2DOptions::default()
        };
        Op::DepthwiseConv2d(options)
    } else {
        let options = Conv2DOptions {
            padding,
            stride_h: 1,
            stride_w: 1,
            fused_activation_function: relu,
            ..Conv2DOptions::default()
        };
        Op::Conv2d(options)
    };
    let a = graph.op(Op::SpaceToBatchNd, &[Some(x), Some(block), Some(paddings)], &[("a", F, &split)]);
    let b = graph.op(op, &[Some(a), Some(filter), Some(bias)], &[("b", F, &conv)]);
    let c = graph.op(Op::BatchToSpaceNd, &[Some(b), Some(block), Some(crops)], &[("c", F, &joined)]);
    graph.output(c);
    ModelBuilder::new().subgraph(graph).program()
}

#[test]
fn atrous_convolutions_are_one_step() -> TestResult {
    let cases = [
        // As TensorFlow writes SAME: zeros all around, those that fill up the block are cropped again.
        Atrous {
            image: [1, 9, 12, 4],
            block: [2, 2],
            paddings: [2, 3, 2, 2],
            crops: [0, 1, 0, 0],
            padding: Padding::Valid,
            merged: true,
        },
        Atrous {
            image: [2, 8, 8, 5],
            block: [4, 2],
            paddings: [0, 0, 0, 0],
            crops: [0, 0, 0, 0],
            padding: Padding::Same,
            merged: true,
        },
        Atrous {
            image: [1, 7, 6, 3],
            block: [3, 2],
            paddings: [4, 4, 3, 3],
            crops: [1, 0, 0, 1],
            padding: Padding::Valid,
            merged: true,
        },
        // More cropped than was padded: not a convolution's border.
        Atrous {
            image: [1, 8, 8, 4],
            block: [2, 2],
            paddings: [0, 0, 0, 0],
            crops: [1, 0, 0, 0],
            padding: Padding::Valid,
            merged: false,
        },
    ];
    for (i, case) in cases.iter().enumerate() {
        for (depthwise, precision) in
            [(false, "precision=f32"), (true, "precision=f32"), (false, "precision=f16"), (true, "precision=f16")]
        {
            let tolerance = if precision == "precision=f32" { compare::F32 } else { compare::F16_OPERATOR };
            let program = program(case, depthwise);
            let Some(both) = run_both(&program, &[random(5, &case.image)?], &[precision])? else { return Ok(()) };
            for (cpu, gpu) in both.cpu.iter().zip(&both.gpu) {
                compare::compare(cpu, gpu, &tolerance).map_err(|e| format!("case {i}, depthwise {depthwise}: {e}"))?;
            }
            assert_eq!(both.report.gpu_nodes(), 3, "case {i}");
            let nodes: Vec<usize> = both.report.partitions.iter().map(|partition| partition.steps.len()).collect();
            // One step, and one each for the way in and out.
            assert_eq!(nodes == [3], case.merged, "case {i}: {nodes:?} dispatches");
        }
    }
    Ok(())
}

/// RELU leaves infinity alone, whether it is an attribute or a node that joins its producer.
#[test]
fn infinity_passes_a_fused_relu() -> TestResult {
    let relu = ActivationFunctionType::Relu;
    for activation in [relu, ActivationFunctionType::None] {
        let mut graph = GraphBuilder::new();
        let x = graph.input("x", F, &[8]);
        let one = graph.constant_f32("one", &[8], &[1.0; 8]);
        let options = AddOptions { fused_activation_function: activation, ..AddOptions::default() };
        let sum = graph.op(Op::Add(options), &[Some(x), Some(one)], &[("sum", F, &[8])]);
        let out = graph.op(Op::Relu, &[Some(sum)], &[("out", F, &[8])]);
        graph.output(out);
        let program = ModelBuilder::new().subgraph(graph).program();
        let values = [f32::INFINITY, -5.0, 0.0, 2.0, f32::NEG_INFINITY, 7.0, -1.0, -0.5];
        let input = Value::from_slice(F, &[8], &values)?;
        let wanted = [f32::INFINITY, 0.0, 1.0, 3.0, 0.0, 8.0, 0.0, 0.5];
        // Only in f32: what is stored in halves ends at 65504.
        let Some(both) = run_both(&program, std::slice::from_ref(&input), &["precision=f32"])? else { return Ok(()) };
        assert_eq!(both.gpu[0].as_slice::<f32>()?, wanted, "{activation:?}");
        assert_eq!(both.cpu[0].as_slice::<f32>()?, wanted, "{activation:?}");
        assert_eq!(both.report.gpu_nodes(), 2);
    }
    Ok(())
}

/// How a file writes a layer norm.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Norm {
    /// x · s + (offset − mean · s), s = scale / deviation: a batch normalisation's form.
    Spread,
    /// As `Spread`, without a scale.
    Unscaled,
    /// (x − mean) / deviation, by RSQRT, and the scale behind it.
    Centred,
    /// As `Centred`, by SQRT and DIV.
    Divided,
}

/// Steps of the graph that a test spoils.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spoil {
    Nothing,
    /// The variance is an output.
    Output,
    /// The mean is over another dimension, too.
    Axes,
    /// What is squared is not what is scaled.
    Other,
}

fn norm(form: Norm, dims: &[usize], spoil: Spoil) -> Result<Program, Box<dyn std::error::Error>> {
    let channels = *dims.last().ok_or("no dimensions")?;
    let rank = dims.len();
    let mut row = dims.to_vec();
    row[rank - 1] = 1;
    let mut mean_axes = vec![i32::try_from(rank)? - 1];
    if spoil == Spoil::Axes {
        mean_axes.push(i32::try_from(rank)? - 2);
        row[rank - 2] = 1;
    }
    let (add, mul) = (|| Op::Add(AddOptions::default()), || Op::Mul(MulOptions::default()));
    let sub = || Op::Sub(SubOptions::default());
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, dims);
    let axes = graph.constant_i32("axes", &[mean_axes.len()], &mean_axes);
    let epsilon = graph.constant_f32("epsilon", &[], &[0.01]);
    let scale = graph.constant_f32("scale", &[channels], &common::floats(3, channels));
    let offset = graph.constant_f32("offset", &[channels], &common::floats(4, channels));
    let mean_of = || Op::Mean(ReducerOptions { keep_dims: true });
    let mean = graph.op(mean_of(), &[Some(x), Some(axes)], &[("mean", F, &row)]);
    let other = if spoil == Spoil::Other { graph.op(Op::Abs, &[Some(x)], &[("other", F, dims)]) } else { x };
    let spread = matches!(form, Norm::Spread | Norm::Unscaled);
    let (centred, squares) = if spread {
        (x, graph.op(Op::SquaredDifference, &[Some(other), Some(mean)], &[("squares", F, dims)]))
    } else {
        let centred = graph.op(sub(), &[Some(other), Some(mean)], &[("centred", F, dims)]);
        (centred, graph.op(mul(), &[Some(centred), Some(centred)], &[("squares", F, dims)]))
    };
    let variance = graph.op(mean_of(), &[Some(squares), Some(axes)], &[("variance", F, &row)]);
    let sum = graph.op(add(), &[Some(variance), Some(epsilon)], &[("sum", F, &row)]);
    let root = if form == Norm::Divided { Op::Sqrt } else { Op::Rsqrt };
    let root = graph.op(root, &[Some(sum)], &[("root", F, &row)]);
    let result = if spread {
        let factor = match form {
            Norm::Spread => graph.op(mul(), &[Some(root), Some(scale)], &[("factor", F, dims)]),
            _ => root,
        };
        let factor_dims = if form == Norm::Spread { dims } else { &row };
        let scaled = graph.op(mul(), &[Some(x), Some(factor)], &[("scaled", F, dims)]);
        let shift = graph.op(mul(), &[Some(mean), Some(factor)], &[("shift", F, factor_dims)]);
        let rest = graph.op(sub(), &[Some(offset), Some(shift)], &[("rest", F, dims)]);
        graph.op(add(), &[Some(scaled), Some(rest)], &[("result", F, dims)])
    } else {
        let op = if form == Norm::Divided { Op::Div(DivOptions::default()) } else { mul() };
        let scaled = graph.op(op, &[Some(centred), Some(root)], &[("scaled", F, dims)]);
        let scaled = graph.op(mul(), &[Some(scaled), Some(scale)], &[("weighted", F, dims)]);
        graph.op(add(), &[Some(scaled), Some(offset)], &[("result", F, dims)])
    };
    graph.output(result);
    if spoil == Spoil::Output {
        graph.output(variance);
    }
    Ok(ModelBuilder::new().subgraph(graph).program())
}

/// As [`Norm::Unscaled`], with statistics as lists of rows, which RESHAPEs make columns (a fused batch normalisation), over `[1, rows, channels]`, with an offset for each row if that is asked for.
fn listed(rows: usize, channels: usize, by_row: bool) -> Program {
    let (dims, column) = ([1, rows, channels], [1, rows, 1]);
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &dims);
    let axes = graph.constant_i32("axes", &[2], &[0, 2]);
    let epsilon = graph.constant_f32("epsilon", &[], &[0.01]);
    let offset = match by_row {
        true => graph.constant_f32("offset", &[rows], &common::floats(4, rows)),
        false => graph.constant_f32("offset", &[], &[0.0]),
    };
    let shape = graph.constant_i32("shape", &[3], &[1, rows as i32, 1]);
    let (add, mul) = (|| Op::Add(AddOptions::default()), || Op::Mul(MulOptions::default()));
    let mean_of = || Op::Mean(ReducerOptions { keep_dims: false });
    let reshape = || Op::Reshape(ReshapeOptions { new_shape: vec![1, rows as i32, 1] });
    let mean = graph.op(mean_of(), &[Some(x), Some(axes)], &[("mean", F, &[rows])]);
    let means = graph.op(reshape(), &[Some(mean), Some(shape)], &[("means", F, &column)]);
    let squares = graph.op(Op::SquaredDifference, &[Some(x), Some(means)], &[("squares", F, &dims)]);
    let variance = graph.op(mean_of(), &[Some(squares), Some(axes)], &[("variance", F, &[rows])]);
    let sum = graph.op(add(), &[Some(variance), Some(epsilon)], &[("sum", F, &[rows])]);
    let root = graph.op(Op::Rsqrt, &[Some(sum)], &[("root", F, &[rows])]);
    let shift = graph.op(mul(), &[Some(root), Some(mean)], &[("shift", F, &[rows])]);
    let rest = graph.op(Op::Sub(SubOptions::default()), &[Some(offset), Some(shift)], &[("rest", F, &[rows])]);
    let roots = graph.op(reshape(), &[Some(root), Some(shape)], &[("roots", F, &column)]);
    let scaled = graph.op(mul(), &[Some(x), Some(roots)], &[("scaled", F, &dims)]);
    let rests = graph.op(reshape(), &[Some(rest), Some(shape)], &[("rests", F, &column)]);
    let result = graph.op(add(), &[Some(scaled), Some(rests)], &[("result", F, &dims)]);
    graph.output(result);
    ModelBuilder::new().subgraph(graph).program()
}

/// Offsets of rows are not those of channels, though there are as many.
#[test]
fn norms_with_listed_statistics_are_one_step() -> TestResult {
    for (rows, channels) in [(9, 14), (8, 8)] {
        let input = [random(5, &[1, rows, channels])?];
        let Some(merged) = kernels("listed", &listed(rows, channels, false), &input)? else { return Ok(()) };
        assert_eq!(merged, ["norm_rows"]);
        let Some(others) = kernels("by row", &listed(rows, channels, true), &input)? else { return Ok(()) };
        assert!(others.len() > 1, "{others:?}");
    }
    Ok(())
}

#[test]
fn layer_norms_are_one_step() -> TestResult {
    for dims in [vec![1, 9, 6], vec![2, 3, 5, 40], vec![7, 97], vec![1, 3, 256]] {
        for form in [Norm::Spread, Norm::Unscaled, Norm::Centred, Norm::Divided] {
            let name = format!("{form:?} {dims:?}");
            let program = norm(form, &dims, Spoil::Nothing)?;
            let Some(kernels) = kernels(&name, &program, &[random(5, &dims)?])? else { return Ok(()) };
            assert!(matches!(kernels.as_slice(), ["norm_rows" | "norm_group"]), "{name}: {kernels:?}");
        }
    }
    Ok(())
}

/// The kernels of cards on the adapter at hand: a workgroup for each row.
#[test]
fn layer_norms_of_workgroups_compute_the_same() -> TestResult {
    let Some(device) = common::card()? else { return Ok(()) };
    for dims in [[1, 9, 97], [1, 3, 640]] {
        let model = Model::new(norm(Norm::Spread, &dims, Spoil::Nothing)?)?;
        let input = [random(5, &dims)?];
        let expected = common::run_with(&mut Interpreter::builder(&model).kernels(Kernels::Plain).build()?, &input)?;
        let options = DelegateOptions::parse(["device=gpu", "precision=f16"])?;
        let delegate = GpuDelegate::with_device(Arc::clone(&device), options);
        let report = delegate.report();
        let mut gpu = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        let found = common::run_with(&mut gpu, &input)?;
        assert!(gpu.fallbacks().is_empty());
        compare::compare(&expected[0], &found[0], &compare::F16_OPERATOR).map_err(|e| format!("{dims:?}: {e}"))?;
        let report = report.lock().map_err(|_| "the report is poisoned")?;
        let kernels: Vec<_> = report.partitions.iter().flat_map(|p| &p.steps).map(|step| step.kernel).collect();
        assert_eq!(kernels, ["import_host", "norm_group", "export_host"]);
    }
    Ok(())
}

#[test]
fn what_is_no_layer_norm_stays() -> TestResult {
    for form in [Norm::Spread, Norm::Centred, Norm::Divided] {
        for spoil in [Spoil::Output, Spoil::Axes, Spoil::Other] {
            let (name, dims) = (format!("{form:?} {spoil:?}"), [1, 9, 8]);
            let program = norm(form, &dims, spoil)?;
            let Some(kernels) = kernels(&name, &program, &[random(5, &dims)?])? else { return Ok(()) };
            assert!(kernels.len() > 1, "{name}: {kernels:?}");
            assert!(!kernels.iter().any(|kernel| kernel.starts_with("norm_")), "{name}: {kernels:?}");
        }
    }
    Ok(())
}

/// A GELU by TANH behind a FULLY_CONNECTED, with this factor of the cube.
fn gelu(factor: f32, square: bool) -> Program {
    let dims = [5, 12];
    let (add, mul) = (|| Op::Add(AddOptions::default()), || Op::Mul(MulOptions::default()));
    let mut graph = GraphBuilder::new();
    let input = graph.input("input", F, &[5, 8]);
    let weights: Vec<f32> = common::floats(2, 96).iter().map(|v| v / 3.0).collect();
    let weights = graph.constant_f32("weights", &[12, 8], &weights);
    let dense = Op::FullyConnected(FullyConnectedOptions::default());
    let x = graph.op(dense, &[Some(input), Some(weights)], &[("x", F, &dims)]);
    let [cubed, inner, half, one] = [("cubed", factor), ("inner", 0.797_884_6), ("half", 0.5), ("one", 1.0)]
        .map(|(name, value)| graph.constant_f32(name, &[], &[value]));
    let squared = match square {
        true => graph.op(Op::Square, &[Some(x)], &[("squared", F, &dims)]),
        false => graph.op(mul(), &[Some(x), Some(x)], &[("squared", F, &dims)]),
    };
    let cube = graph.op(mul(), &[Some(squared), Some(x)], &[("cube", F, &dims)]);
    let cube = graph.op(mul(), &[Some(cube), Some(cubed)], &[("part", F, &dims)]);
    let sum = graph.op(add(), &[Some(x), Some(cube)], &[("sum", F, &dims)]);
    let sum = graph.op(mul(), &[Some(inner), Some(sum)], &[("scaled", F, &dims)]);
    let tanh = graph.op(Op::Tanh, &[Some(sum)], &[("tanh", F, &dims)]);
    let x_half = graph.op(mul(), &[Some(x), Some(half)], &[("x_half", F, &dims)]);
    let plus = graph.op(add(), &[Some(tanh), Some(one)], &[("plus", F, &dims)]);
    let result = graph.op(mul(), &[Some(x_half), Some(plus)], &[("result", F, &dims)]);
    graph.output(result);
    ModelBuilder::new().subgraph(graph).program()
}

#[test]
fn a_gelu_joins_its_product() -> TestResult {
    let input = [random(5, &[5, 8])?];
    for square in [true, false] {
        let Some(merged) = kernels("gelu", &gelu(0.044_715, square), &input)? else { return Ok(()) };
        assert_eq!(merged, ["gemm"]);
        let Some(others) = kernels("no gelu", &gelu(0.05, square), &input)? else { return Ok(()) };
        assert!(others.len() > 1, "{others:?}");
    }
    Ok(())
}

/// Attention: heads are put in front of rows by TRANSPOSE, and back.
fn attention([batch, rows, heads, width]: [usize; 4]) -> Program {
    let order = [0, 2, 1, 3];
    let (apart, together) = ([batch, rows, heads, width], [batch, heads, rows, width]);
    let mut graph = GraphBuilder::new();
    let order = graph.constant_i32("order", &[4], &order);
    let scale = graph.constant_f32("scale", &[], &[0.3]);
    let mut turned = Vec::new();
    for name in ["q", "k", "v"] {
        let x = graph.input(name, F, &apart);
        turned.push(graph.op(Op::Transpose, &[Some(x), Some(order)], &[("turned", F, &together)]));
    }
    let product =
        |adj_y| Op::BatchMatmul(BatchMatMulOptions { adj_x: false, adj_y, asymmetric_quantize_inputs: false });
    let square = [batch, heads, rows, rows];
    let scores = graph.op(product(true), &[Some(turned[0]), Some(turned[1])], &[("scores", F, &square)]);
    let mul = Op::Mul(MulOptions::default());
    let scores = graph.op(mul, &[Some(scores), Some(scale)], &[("scaled", F, &square)]);
    let softmax = Op::Softmax(SoftmaxOptions { beta: 1.0 });
    let weights = graph.op(softmax, &[Some(scores)], &[("weights", F, &square)]);
    let mixed = graph.op(product(false), &[Some(weights), Some(turned[2])], &[("mixed", F, &together)]);
    let back = graph.op(Op::Transpose, &[Some(mixed), Some(order)], &[("back", F, &apart)]);
    let result = graph.op(Op::Relu, &[Some(back)], &[("result", F, &apart)]);
    graph.output(result);
    ModelBuilder::new().subgraph(graph).program()
}

#[test]
fn products_of_heads_read_and_write_by_strides() -> TestResult {
    for dims in [[1, 7, 3, 8], [1, 7, 4, 5], [1, 7, 1, 8], [2, 7, 3, 8], [1, 21, 3, 8], [1, 60, 2, 6]] {
        let inputs = [random(5, &dims)?, random(6, &dims)?, random(7, &dims)?];
        let program = attention(dims);
        let Some(kernels) = kernels("attention", &program, &inputs)? else { return Ok(()) };
        if dims[0] == 1 {
            assert_eq!(kernels, ["matmul", "norm_rows", "matmul"], "{dims:?}");
        } else {
            // Strides of batches are not one: they stay as they are.
            let moves = kernels.iter().filter(|kernel| kernel.starts_with("move")).count();
            assert_eq!(moves, 4, "{dims:?}: {kernels:?}");
        }
    }
    Ok(())
}
