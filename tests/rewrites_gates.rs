//! Squeeze-and-excite blocks: the gate is one step, its product with the image part of the convolution behind it.

mod common;

use common::{TestResult, kernels, random};
use tflite_wgpu::{DelegateOptions, GpuDelegate, compare, options::Perturb};
use tflite_wgpu_fallback::{Interpreter, Kernels, Model};
use tflite_wgpu_model::*;

const F: DType = DType::Float32;

/// How a file writes a block.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// Batch, height, width, channels of the image.
    image: [usize; 4],
    /// Channels between the products.
    hidden: usize,
    /// AVERAGE_POOL_2D for the mean, otherwise MEAN.
    pool: bool,
    /// FULLY_CONNECTED and RESHAPE for the products, otherwise 1 × 1 convolutions.
    dense: bool,
    /// The activation between them.
    inner: Inner,
    /// ADD, RELU6 and MUL for the gate, otherwise LOGISTIC.
    hard: bool,
    /// What the test spoils.
    spoil: Spoil,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Inner {
    None,
    Relu,
    Swish,
    HardSwish,
    Tanh,
}

/// Changes that leave a block, or its product, as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spoil {
    Nothing,
    /// The mean is an output.
    MeanOutput,
    /// The row between the products is an output.
    HiddenOutput,
    /// Another node reads the row between the products.
    HiddenReader,
    /// The mean is over rows alone, of an image of one column less than it has.
    Window,
    /// The product of image and gate is an output.
    ProductOutput,
    /// Another node reads the product.
    ProductReader,
    /// The convolution behind has more than one tap.
    Taps,
    /// The image itself is added to the convolution's result.
    Residual,
}

const PLAIN: Form = Form {
    image: [1, 7, 5, 16],
    hidden: 8,
    pool: false,
    dense: false,
    inner: Inner::Relu,
    hard: true,
    spoil: Spoil::Nothing,
};

/// A product of one row per image with weights small enough that activations stay off their bounds.
fn product(graph: &mut GraphBuilder, form: &Form, x: TensorId, [depth, outputs]: [usize; 2], seed: u32) -> TensorId {
    let relu = if seed == 1 && form.inner == Inner::Relu {
        ActivationFunctionType::Relu
    } else {
        ActivationFunctionType::None
    };
    let values: Vec<f32> = common::floats(seed, depth * outputs).iter().map(|v| v / depth as f32).collect();
    let bias = graph.constant_f32("bias", &[outputs], &common::floats(seed + 9, outputs));
    let batch = form.image[0];
    if form.dense {
        let weights = graph.constant_f32("weights", &[outputs, depth], &values);
        let options = FullyConnectedOptions { fused_activation_function: relu, ..Default::default() };
        graph.op(Op::FullyConnected(options), &[Some(x), Some(weights), Some(bias)], &[("row", F, &[batch, outputs])])
    } else {
        let weights = graph.constant_f32("weights", &[outputs, 1, 1, depth], &values);
        let options = Conv2DOptions { stride_h: 1, stride_w: 1, fused_activation_function: relu, ..Default::default() };
        let dims = [batch, 1, 1, outputs];
        graph.op(Op::Conv2d(options), &[Some(x), Some(weights), Some(bias)], &[("row", F, &dims)])
    }
}

fn mean(graph: &mut GraphBuilder, form: &Form, x: TensorId) -> TensorId {
    let [batch, height, width, channels] = form.image;
    let row = [batch, 1, 1, channels];
    if form.pool {
        let window = form.spoil == Spoil::Window;
        let options = Pool2DOptions {
            stride_h: height as i32,
            stride_w: width as i32,
            filter_height: height as i32,
            filter_width: width as i32 - i32::from(window),
            ..Default::default()
        };
        return graph.op(Op::AveragePool2d(options), &[Some(x)], &[("mean", F, &row)]);
    }
    let axes = graph.constant_i32("axes", &[2], &[1, 2]);
    let keep_dims = !form.dense;
    let dims = if keep_dims { row.to_vec() } else { vec![batch, channels] };
    graph.op(Op::Mean(ReducerOptions { keep_dims }), &[Some(x), Some(axes)], &[("mean", F, &dims)])
}

fn activate(graph: &mut GraphBuilder, form: &Form, x: TensorId, dims: &[usize]) -> TensorId {
    let mul = || Op::Mul(MulOptions::default());
    match form.inner {
        Inner::None | Inner::Relu => x,
        Inner::Tanh => graph.op(Op::Tanh, &[Some(x)], &[("inner", F, dims)]),
        Inner::HardSwish => graph.op(Op::HardSwish, &[Some(x)], &[("inner", F, dims)]),
        Inner::Swish => {
            let logistic = graph.op(Op::Logistic, &[Some(x)], &[("logistic", F, dims)]);
            graph.op(mul(), &[Some(x), Some(logistic)], &[("inner", F, dims)])
        }
    }
}

fn gate(graph: &mut GraphBuilder, form: &Form, x: TensorId, dims: &[usize]) -> TensorId {
    if !form.hard {
        return graph.op(Op::Logistic, &[Some(x)], &[("gate", F, dims)]);
    }
    let three = graph.constant_f32("three", &[], &[3.0]);
    let sixth = graph.constant_f32("sixth", &[], &[1.0 / 6.0]);
    let add = AddOptions { fused_activation_function: ActivationFunctionType::Relu6, ..Default::default() };
    let sum = graph.op(Op::Add(add), &[Some(x), Some(three)], &[("sum", F, dims)]);
    graph.op(Op::Mul(MulOptions::default()), &[Some(sum), Some(sixth)], &[("gate", F, dims)])
}

fn program(form: &Form) -> Program {
    let [batch, height, width, channels] = form.image;
    let image = form.image;
    let mut graph = GraphBuilder::new();
    let input = graph.input("input", F, &image);
    // The image is computed, as it is in networks.
    let x = graph.op(Op::Abs, &[Some(input)], &[("image", F, &image)]);
    let means = mean(&mut graph, form, x);
    let hidden_dims = if form.dense { vec![batch, form.hidden] } else { vec![batch, 1, 1, form.hidden] };
    let first = product(&mut graph, form, means, [channels, form.hidden], 1);
    let first = activate(&mut graph, form, first, &hidden_dims);
    let second = product(&mut graph, form, first, [form.hidden, channels], 2);
    let row = [batch, 1, 1, channels];
    let dims = if form.dense { vec![batch, channels] } else { row.to_vec() };
    let mut factors = gate(&mut graph, form, second, &dims);
    if form.dense {
        let shape = row.map(|d| d as i32);
        let to = graph.constant_i32("shape", &[4], &shape);
        let reshape = Op::Reshape(ReshapeOptions { new_shape: shape.to_vec() });
        factors = graph.op(reshape, &[Some(factors), Some(to)], &[("factors", F, &row)]);
    }
    let gated = graph.op(Op::Mul(MulOptions::default()), &[Some(x), Some(factors)], &[("gated", F, &image)]);
    let taps = if form.spoil == Spoil::Taps { 3 } else { 1 };
    let outputs = if form.spoil == Spoil::Residual { channels } else { 12 };
    let values = common::floats(3, outputs * taps * taps * channels);
    let values: Vec<f32> = values.iter().map(|v| v / 4.0).collect();
    let weights = graph.constant_f32("weights", &[outputs, taps, taps, channels], &values);
    let options = Conv2DOptions { stride_h: 1, stride_w: 1, padding: Padding::Same, ..Default::default() };
    let result = [batch, height, width, outputs];
    let mut y = graph.op(Op::Conv2d(options), &[Some(gated), Some(weights), None], &[("y", F, &result)]);
    if form.spoil == Spoil::Residual {
        y = graph.op(Op::Add(AddOptions::default()), &[Some(y), Some(x)], &[("sum", F, &result)]);
    }
    graph.output(y);
    match form.spoil {
        Spoil::MeanOutput => graph.output(means),
        Spoil::HiddenOutput => graph.output(first),
        Spoil::ProductOutput => graph.output(gated),
        Spoil::HiddenReader => {
            let other = graph.op(Op::Sin, &[Some(first)], &[("other", F, &hidden_dims)]);
            graph.output(other);
        }
        Spoil::ProductReader => {
            let other = graph.op(Op::Sin, &[Some(gated)], &[("other", F, &image)]);
            graph.output(other);
        }
        _ => {}
    }
    ModelBuilder::new().subgraph(graph).program()
}

/// Kernels behind the one that computes the image.
fn found(form: &Form) -> TestResult<Option<Vec<&'static str>>> {
    let found = kernels(&format!("{form:?}"), &program(form), &[random(5, &form.image)?])?;
    Ok(found.map(|kernels| kernels.into_iter().filter(|kernel| *kernel != "unary").collect()))
}

#[test]
fn a_block_is_its_gate_and_a_convolution() -> TestResult {
    let forms = [
        PLAIN,
        Form { pool: true, ..PLAIN },
        Form { dense: true, hard: false, ..PLAIN },
        Form { pool: true, hard: false, inner: Inner::Swish, image: [1, 9, 4, 40], hidden: 10, ..PLAIN },
        Form { inner: Inner::HardSwish, image: [1, 3, 3, 6], hidden: 3, ..PLAIN },
        Form { inner: Inner::None, image: [1, 14, 14, 100], hidden: 1, ..PLAIN },
        Form { image: [1, 2, 3, 300], hidden: 250, hard: false, ..PLAIN },
        Form { image: [1, 1, 5, 1200], hidden: 50, ..PLAIN },
    ];
    for form in forms {
        let Some(kernels) = found(&form)? else { return Ok(()) };
        assert_eq!(kernels, ["squeeze", "gemm_gated"], "{form:?}");
    }
    Ok(())
}

/// A row of factors for each image of a batch is no row of factors for all pixels.
#[test]
fn batches_have_gates_of_their_own() -> TestResult {
    let Some(kernels) = found(&Form { image: [3, 7, 5, 16], ..PLAIN })? else { return Ok(()) };
    assert_eq!(kernels, ["squeeze", "binary", "gemm"]);
    Ok(())
}

#[test]
fn large_images_are_summed_in_parts_before() -> TestResult {
    let Some(kernels) = found(&Form { image: [1, 66, 96, 20], ..PLAIN })? else { return Ok(()) };
    assert_eq!(kernels, ["reduce_rows", "squeeze", "gemm_gated"]);
    Ok(())
}

#[test]
fn what_is_needed_elsewhere_is_no_gate() -> TestResult {
    use Spoil::*;
    for spoil in [MeanOutput, HiddenOutput, HiddenReader] {
        let Some(kernels) = found(&Form { spoil, ..PLAIN })? else { return Ok(()) };
        assert!(!kernels.contains(&"squeeze") && kernels.contains(&"gemm_gated"), "{spoil:?}: {kernels:?}");
    }
    let others = [Form { pool: true, spoil: Window, ..PLAIN }, Form { inner: Inner::Tanh, ..PLAIN }];
    for form in others.into_iter().chain([Form { hidden: 300, ..PLAIN }]) {
        let Some(kernels) = found(&form)? else { return Ok(()) };
        assert!(!kernels.contains(&"squeeze"), "{form:?}: {kernels:?}");
    }
    Ok(())
}

#[test]
fn what_is_needed_elsewhere_is_no_gated_product() -> TestResult {
    use Spoil::*;
    for spoil in [ProductOutput, ProductReader, Taps, Residual] {
        let Some(kernels) = found(&Form { spoil, ..PLAIN })? else { return Ok(()) };
        assert!(kernels.contains(&"squeeze") && !kernels.contains(&"gemm_gated"), "{spoil:?}: {kernels:?}");
    }
    Ok(())
}

/// The comparison sees a wrong gate, and a wrong product.
#[test]
fn a_wrong_gate_is_found() -> TestResult {
    let Some(device) = common::device()? else { return Ok(()) };
    let program = program(&PLAIN);
    let names: Vec<_> = program.subgraphs[0].nodes.iter().map(|node| node.op.builtin()).collect();
    let first = names.iter().position(|op| *op == BuiltinOperator::Mean).ok_or("no mean")?;
    let model = Model::new(program)?;
    let input = [random(5, &PLAIN.image)?];
    let expected = common::run_with(&mut Interpreter::builder(&model).kernels(Kernels::Plain).build()?, &input)?;
    for node in [first, names.len() - 1] {
        let mut options = DelegateOptions::parse(["device=gpu", "precision=f16"])?;
        options.perturb = Some(Perturb::Fused(NodeId(u32::try_from(node)?)));
        let delegate = GpuDelegate::with_device(device.clone(), options);
        let mut gpu = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        let found = common::run_with(&mut gpu, &input)?;
        assert!(compare::compare(&expected[0], &found[0], &compare::F16_OPERATOR).is_err(), "node {node}");
    }
    Ok(())
}
