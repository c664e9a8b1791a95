//! Nodes on fast and plain kernels: the same bits, at every level of instructions and with any number of threads.

use tflite_wgpu_model::{
    ActivationFunctionType, AddOptions, Bytes, Conv2DOptions, DType, Data, DepthwiseConv2DOptions,
    FullyConnectedOptions, Graph, LeakyReluOptions, MulOptions, Node, Op, Padding, Program, Quant, QuantKind, Shape,
    SubOptions, SubgraphId, Tensor, TensorId, TransposeConvOptions, infer,
};

use crate::{Interpreter, Kernels, Model, Value, eval::Hybrid, fast, simd::int8::Level};

pub(super) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A linear congruential generator; each test starts its own.
pub(super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn unit(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 20) as f32
    }

    /// Any byte; the ends of the ranges more often than others.
    pub fn byte(&mut self) -> u8 {
        if self.below(6) == 0 { self.of(&[0, 0x7f, 0x80, 0xff]) } else { self.next() as u8 }
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// A stored value of an 8-bit type, as a zero point.
    pub fn zero(&mut self, dtype: DType) -> i64 {
        let byte = self.byte();
        if dtype == DType::Int8 { byte.cast_signed().into() } else { byte.into() }
    }

    /// A positive number around `middle`.
    pub fn scale(&mut self, middle: f32) -> f32 {
        middle * (0.3 + 2.0 * self.unit())
    }

    pub fn activation(&mut self) -> ActivationFunctionType {
        use ActivationFunctionType::{None, Relu, Relu6, ReluN1To1};
        self.of(&[None, None, Relu, Relu6, ReluN1To1])
    }

    fn padding(&mut self) -> Padding {
        self.of(&[Padding::Same, Padding::Valid])
    }
}

/// A tensor of a test's node.
#[derive(Clone)]
pub(super) struct Operand {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub scales: Vec<f32>,
    pub zero: i64,
    /// Its elements; none of an output.
    pub bytes: Vec<u8>,
    pub constant: bool,
}

impl Operand {
    pub fn new(dtype: DType, shape: &[usize], scale: f32, zero: i64) -> Self {
        let (shape, scales) = (shape.to_vec(), vec![scale]);
        Self { dtype, shape, scales, zero, bytes: Vec::new(), constant: false }
    }

    pub fn computed(self, random: &mut Random) -> Self {
        let bytes = random.bytes(self.shape.iter().product());
        Self { bytes, ..self }
    }

    pub fn constant(self, bytes: Vec<u8>) -> Self {
        Self { bytes, constant: true, ..self }
    }

    fn tensor(&self) -> Tensor {
        let zero_point = vec![self.zero; self.scales.len()];
        let kind = QuantKind::Affine { scale: self.scales.clone(), zero_point, axis: 0 };
        let (dims, shape) = (self.shape.clone(), Shape::known(&self.shape));
        let data = if self.constant { Data::Constant(Bytes::from(self.bytes.clone())) } else { Data::Computed };
        let quant = (!self.scales.is_empty()).then(|| Quant { kind, ..Quant::default() });
        Tensor { name: String::new(), dtype: self.dtype, dims, shape, quant, sparsity: None, data }
    }
}

/// One node with its operands.
pub(super) struct Case {
    pub op: Op,
    pub inputs: Vec<Operand>,
    pub output: Operand,
}

impl Case {
    fn model(&self) -> Result<Model, crate::Error> {
        let mut graph = Graph::default();
        for operand in self.inputs.iter().chain([&self.output]) {
            graph.tensors.push(operand.tensor());
        }
        let ids: Vec<TensorId> = (0..graph.tensors.len()).map(TensorId::from_index).collect();
        let (inputs, output) = ids.split_at(self.inputs.len());
        graph.inputs =
            inputs.iter().zip(&self.inputs).filter(|(_, operand)| !operand.constant).map(|(id, _)| *id).collect();
        graph.outputs = output.to_vec();
        graph.nodes.push(Node {
            op: self.op.clone(),
            version: 1,
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: output.iter().copied().map(Some).collect(),
            intermediates: Vec::new(),
        });
        Model::new(program_of(&graph))
    }

    /// Whether there is a fast kernel for the node.
    fn is_fast(&self, model: &Model) -> bool {
        fast::prepare(model, SubgraphId(0), &model.program().subgraphs[0].nodes[0], Hybrid::default()).is_some()
    }

    fn run(&self, model: &Model, kernels: Kernels, threads: usize) -> Result<Value, Box<dyn std::error::Error>> {
        let mut interpreter = Interpreter::builder(model).kernels(kernels).threads(threads).build()?;
        for (i, operand) in self.inputs.iter().filter(|operand| !operand.constant).enumerate() {
            interpreter.set_input(i, Value::from_bytes(operand.dtype, &operand.shape, &operand.bytes)?)?;
        }
        interpreter.invoke()?;
        Ok(interpreter.output(0)?.clone())
    }

    /// Compares all levels with the plain kernel; the number of elements that are no end of the type's range.
    pub fn check(&self, what: &str) -> Result<usize, Box<dyn std::error::Error>> {
        let expected = self.run(&self.model()?, Kernels::Plain, 1)?;
        for level in Level::all() {
            level.force();
            let model = self.model()?;
            assert!(self.is_fast(&model), "{what}: {:?} has a fast kernel", self.op);
            for threads in [1, 3] {
                let found = self.run(&model, Kernels::Fast, threads)?;
                let at = found.bytes().iter().zip(expected.bytes()).position(|(a, b)| a != b);
                let shapes: Vec<_> = self.inputs.iter().map(|operand| &operand.shape).collect();
                assert_eq!(at, None, "{what}, {level:?}, {threads} threads: {:?} of {shapes:?}", self.op);
                assert_eq!(found, expected);
            }
        }
        Ok(expected.bytes().iter().filter(|byte| ![0, 0x7f, 0x80, 0xff].contains(byte)).count())
    }
}

/// Runs cases; most of their elements must be within the output's range, or little is seen.
pub(super) fn check(name: &str, count: usize, mut case: impl FnMut(&mut Random) -> Option<Case>) -> Outcome {
    let mut random = Random(name.len() as u64);
    let mut inner = 0;
    for i in 0..count {
        if let Some(case) = case(&mut random) {
            inner += case.check(&format!("{name} {i}"))?;
        }
    }
    assert!(inner > count, "{name}: only {inner} elements are inside the range");
    Ok(())
}

/// Scale and zero point of an output of sums of `depth` products.
fn product_output(random: &mut Random, dtype: DType, shape: &[usize], factor: f32, depth: usize) -> Operand {
    let wide = random.below(12) == 0;
    let scale = random.scale(factor * (depth as f32).sqrt() * if wide { 0.1 } else { 80.0 });
    let zero = random.zero(dtype);
    Operand::new(dtype, shape, scale, zero)
}

/// Weights and bias for `channels` channels, and the middle of the products' scales.
fn weights(random: &mut Random, shape: &[usize], (dtype, channels): (DType, usize), input: f32) -> (Vec<Operand>, f32) {
    let scales = if dtype == DType::Int8 && random.below(2) == 0 { channels } else { 1 };
    let zero = if dtype == DType::Int8 { 0 } else { random.zero(dtype) };
    let middle = random.scale(0.02);
    let weights = Operand {
        scales: (0..scales).map(|_| random.scale(middle)).collect(),
        ..Operand::new(dtype, shape, middle, zero)
    };
    let bytes = random.bytes(shape.iter().product());
    let bias: Vec<u8> = (0..channels).flat_map(|_| (random.next() as i32 % 20_000 - 10_000).to_le_bytes()).collect();
    let bias_quant = Operand { scales: vec![], ..Operand::new(DType::Int32, &[channels], 1.0, 0) };
    let operands = [weights.constant(bytes), bias_quant.constant(bias)];
    let count = if random.below(4) == 0 { 1 } else { 2 };
    (operands.into_iter().take(count).collect(), middle * input)
}

#[test]
fn convolutions_are_exact() -> Outcome {
    check("convolutions", 500, |random| {
        let dtype = random.of(&[DType::Int8, DType::Int8, DType::UInt8]);
        let groups = random.of(&[1, 1, 1, 2, 3]);
        let depth = random.of(&[1, 3, 4, 8, 17, 40]);
        let channels = groups * random.of(&[1, 2, 15, 16, 17, 33, 64, 80, 130]);
        let [batch, height, width] = [1 + random.below(2), 1 + random.below(9), 1 + random.below(12)];
        let taps = [random.of(&[1, 1, 2, 3, 5]), random.of(&[1, 1, 2, 3, 5])];
        let pointwise = random.below(3) == 0;
        let taps = if pointwise { [1, 1] } else { taps };
        let (stride, dilation) =
            ([1 + random.below(3), 1 + random.below(2)], [1 + random.below(2), 1 + random.below(2)]);
        let stride = if pointwise && random.below(2) == 0 { [1, 1] } else { stride };
        let padding = random.padding();
        let y = infer::window(padding, height, taps[0], stride[0], dilation[0]).ok()?;
        let x = infer::window(padding, width, taps[1], stride[1], dilation[1]).ok()?;
        let input_zero = random.zero(dtype);
        let input_scale = random.scale(0.05);
        let input =
            Operand::new(dtype, &[batch, height, width, groups * depth], input_scale, input_zero).computed(random);
        let filter = [channels, taps[0], taps[1], depth];
        let (operands, factor) = weights(random, &filter, (dtype, channels), input_scale);
        let shape = [batch, y.output, x.output, channels];
        let output = product_output(random, dtype, &shape, factor, taps[0] * taps[1] * depth);
        let options = Conv2DOptions {
            padding,
            stride_h: stride[0] as i32,
            stride_w: stride[1] as i32,
            dilation_hfactor: dilation[0] as i32,
            dilation_wfactor: dilation[1] as i32,
            fused_activation_function: random.activation(),
            ..Default::default()
        };
        Some(Case { op: Op::Conv2d(options), inputs: [vec![input], operands].concat(), output })
    })
}

#[test]
fn depthwise_convolutions_are_exact() -> Outcome {
    check("depthwise convolutions", 500, |random| {
        let dtype = random.of(&[DType::Int8, DType::Int8, DType::UInt8]);
        let in_channels = random.of(&[1, 3, 8, 16, 24, 32, 33, 64, 72, 144]);
        let channels = in_channels * random.of(&[1, 1, 1, 2, 5]);
        let [batch, height, width] = [1 + random.below(2), 1 + random.below(9), 1 + random.below(12)];
        let taps = [random.of(&[1, 2, 3, 3, 5]), random.of(&[1, 2, 3, 3, 5])];
        let (stride, dilation) =
            ([1 + random.below(3), 1 + random.below(3)], [1 + random.below(2), 1 + random.below(2)]);
        let padding = random.padding();
        let y = infer::window(padding, height, taps[0], stride[0], dilation[0]).ok()?;
        let x = infer::window(padding, width, taps[1], stride[1], dilation[1]).ok()?;
        let input_zero = random.zero(dtype);
        let input_scale = random.scale(0.05);
        let input = Operand::new(dtype, &[batch, height, width, in_channels], input_scale, input_zero).computed(random);
        let filter = [1, taps[0], taps[1], channels];
        let (operands, factor) = weights(random, &filter, (dtype, channels), input_scale);
        let output = product_output(random, dtype, &[batch, y.output, x.output, channels], factor, taps[0] * taps[1]);
        let options = DepthwiseConv2DOptions {
            padding,
            stride_h: stride[0] as i32,
            stride_w: stride[1] as i32,
            dilation_hfactor: dilation[0] as i32,
            dilation_wfactor: dilation[1] as i32,
            fused_activation_function: random.activation(),
            ..Default::default()
        };
        Some(Case { op: Op::DepthwiseConv2d(options), inputs: [vec![input], operands].concat(), output })
    })
}

#[test]
fn transposed_convolutions_are_exact() -> Outcome {
    check("transposed convolutions", 400, |random| {
        let dtype = DType::Int8;
        let depth = random.of(&[1, 3, 4, 8, 17, 40]);
        let channels = random.of(&[1, 2, 15, 16, 17, 33, 64, 80]);
        let [batch, height, width] = [1 + random.below(2), 1 + random.below(5), 1 + random.below(6)];
        let taps = [1 + random.below(4), 1 + random.below(4)];
        let stride = [1 + random.below(3), 1 + random.below(3)];
        let padding = random.padding();
        let size = |n: usize, taps: usize, stride: usize| match padding {
            Padding::Same => n * stride,
            _ => (n - 1) * stride + taps,
        };
        let shape = [batch, size(height, taps[0], stride[0]), size(width, taps[1], stride[1]), channels];
        let (zero, scale) = (random.zero(dtype), random.scale(0.05));
        let input = Operand::new(dtype, &[batch, height, width, depth], scale, zero).computed(random);
        let filter = [channels, taps[0], taps[1], depth];
        let (operands, factor) = weights(random, &filter, (dtype, channels), scale);
        let output = product_output(random, dtype, &shape, factor, depth * 2);
        let sizes = Operand { scales: vec![], ..Operand::new(DType::Int32, &[4], 1.0, 0) };
        let sizes = sizes.constant(shape.iter().flat_map(|&n| (n as i32).to_le_bytes()).collect());
        let options = TransposeConvOptions {
            padding,
            stride_h: stride[0] as i32,
            stride_w: stride[1] as i32,
            fused_activation_function: random.activation(),
            ..Default::default()
        };
        let mut inputs = operands;
        inputs.insert(0, sizes);
        inputs.insert(2, input);
        Some(Case { op: Op::TransposeConv(options), inputs, output })
    })
}

#[test]
fn fully_connected_is_exact() -> Outcome {
    check("fully connected", 300, |random| {
        let dtype = random.of(&[DType::Int8, DType::Int8, DType::UInt8]);
        let (rows, depth) = (1 + random.below(3) * random.below(30), random.of(&[1, 3, 4, 31, 64, 200]));
        let units = random.of(&[1, 2, 15, 16, 17, 33, 64, 80, 1001]);
        let (zero, scale) = (random.zero(dtype), random.scale(0.05));
        let input = Operand::new(dtype, &[rows, depth], scale, zero).computed(random);
        let (operands, factor) = weights(random, &[units, depth], (dtype, units), scale);
        let output = product_output(random, dtype, &[rows, units], factor, depth);
        let options = FullyConnectedOptions { fused_activation_function: random.activation(), ..Default::default() };
        Some(Case { op: Op::FullyConnected(options), inputs: [vec![input], operands].concat(), output })
    })
}

#[test]
fn functions_of_one_tensor_are_exact() -> Outcome {
    check("functions of one tensor", 200, |random| {
        let dtype = random.of(&[DType::Int8, DType::UInt8]);
        let ops = [
            Op::Relu,
            Op::Relu6,
            Op::LeakyRelu(LeakyReluOptions { alpha: 0.2 }),
            Op::Tanh,
            Op::Logistic,
            Op::HardSwish,
            Op::Elu,
            Op::Gelu(Default::default()),
            Op::Exp,
            Op::Abs,
            Op::Quantize,
            Op::Dequantize,
        ];
        let op = ops[random.below(ops.len())].clone();
        let shape = [1 + random.below(3), 1 + random.below(300)];
        let (scale, zero) = (random.scale(0.03), random.zero(dtype));
        let input = Operand::new(dtype, &shape, scale, zero).computed(random);
        let out_type = if op == Op::Dequantize { DType::Float32 } else { dtype };
        let out_type = if op == Op::Quantize { random.of(&[DType::Int8, DType::UInt8]) } else { out_type };
        let (scale, zero) = (random.scale(0.02), random.zero(dtype));
        let fits = op != Op::HardSwish || scale * 100.0 > input.scales[0];
        let output = Operand::new(out_type, &shape, scale, if out_type == dtype { zero } else { 0 });
        fits.then_some(Case { op, inputs: vec![input], output })
    })
}

#[test]
fn sums_and_products_are_exact() -> Outcome {
    check("sums and products", 600, |random| {
        let dtype = random.of(&[DType::Int8, DType::UInt8]);
        let activation = random.activation();
        let op = match random.below(3) {
            0 => Op::Add(AddOptions { fused_activation_function: activation, ..Default::default() }),
            1 => Op::Sub(SubOptions { fused_activation_function: activation, ..Default::default() }),
            _ => Op::Mul(MulOptions { fused_activation_function: activation }),
        };
        let full = [1 + random.below(3), 1 + random.below(5), 1 + random.below(150)];
        let shapes: [Vec<usize>; 2] = std::array::from_fn(|_| match random.below(6) {
            0 => vec![full[2]],
            1 => vec![full[0], 1, full[2]],
            2 => vec![full[0], full[1], 1],
            3 => vec![1],
            _ => full.to_vec(),
        });
        let shape = infer::broadcast(&[&shapes[0], &shapes[1]]).ok()?;
        let constant = random.below(3) == 0;
        let mut inputs: Vec<Operand> = Vec::new();
        for shape in &shapes {
            let middle = random.of(&[0.02, 0.02, 0.02, 0.3]);
            let (scale, zero) = (random.scale(middle), random.zero(dtype));
            inputs.push(Operand::new(dtype, shape, scale, zero).computed(random));
        }
        inputs[1].constant = constant;
        let (scale, zero) = (random.scale(0.04) * random.of(&[1.0, 1.0, 1.0, 1e-3]), random.zero(dtype));
        Some(Case { op, inputs, output: Operand::new(dtype, &shape, scale, zero) })
    })
}

#[test]
fn a_product_with_a_function_of_itself_is_exact() -> Outcome {
    let mut random = Random(5);
    for dtype in [DType::Int8, DType::UInt8] {
        let input = Operand::new(dtype, &[3, 200], 0.04, 7).computed(&mut random);
        let case = Case {
            op: Op::Logistic,
            inputs: vec![input],
            output: Operand::new(dtype, &[3, 200], 1.0 / 256.0, if dtype == DType::Int8 { -128 } else { 0 }),
        };
        let mut program = case.model()?.program().clone();
        let graph = &mut program.subgraphs[0];
        graph.tensors.push(Operand::new(dtype, &[3, 200], 0.03, 3).tensor());
        let ids: Vec<TensorId> = (0..3).map(TensorId::from_index).collect();
        for (first, second) in [(0, 1), (1, 0), (0, 0)] {
            let mut product = graph.nodes[0].clone();
            product.op = Op::Mul(MulOptions::default());
            (product.inputs, product.outputs) = (vec![Some(ids[first]), Some(ids[second])], vec![Some(ids[2])]);
            graph.nodes.truncate(1);
            graph.nodes.push(product);
            graph.outputs = vec![ids[2]];
            let model = Model::new(program_of(graph))?;
            let plain = case.run(&model, Kernels::Plain, 1)?;
            for level in Level::all() {
                level.force();
                let model = Model::new(program_of(graph))?;
                assert_eq!(case.run(&model, Kernels::Fast, 2)?, plain, "{level:?} {first} {second}");
            }
        }
    }
    Ok(())
}

fn program_of(graph: &Graph) -> Program {
    Program { subgraphs: vec![graph.clone()], version: 3, ..Program::default() }
}

#[test]
fn large_sums_are_exact() -> Outcome {
    // Biases and factors at which 32 bits overflow on the way.
    let mut random = Random(9);
    for i in 0..200 {
        let input = Operand::new(DType::Int8, &[1, 2, 3, 8], 0.5, 3).computed(&mut random);
        let weights = Operand::new(DType::Int8, &[5, 1, 1, 8], 0.5, 0);
        let weights = weights.constant(random.bytes(40));
        let bias: Vec<u8> = (0..5).flat_map(|_| (random.next() as i32).wrapping_mul(5).to_le_bytes()).collect();
        let bias = Operand::new(DType::Int32, &[5], 0.25, 0).constant(bias);
        let scale = random.of(&[1e-4, 0.01, 0.1, 0.3, 1e6, 1e8, 1e9]);
        let output = Operand::new(DType::Int8, &[1, 2, 3, 5], scale, -5);
        let options = Conv2DOptions { stride_h: 1, stride_w: 1, ..Default::default() };
        let case = Case { op: Op::Conv2d(options), inputs: vec![input, weights, bias], output };
        case.check(&format!("large sums {i}"))?;
    }
    Ok(())
}

#[test]
fn a_wrong_result_is_seen() -> Outcome {
    let mut random = Random(4);
    let mut input = Operand::new(DType::Int8, &[1, 1, 1, 8], 0.1, 0).computed(&mut random);
    input.bytes[7] = 100;
    let weights = Operand::new(DType::Int8, &[20, 1, 1, 8], 0.1, 0).constant(random.bytes(160));
    let output = Operand::new(DType::Int8, &[1, 1, 1, 20], 5.0, 0);
    let options = Conv2DOptions { stride_h: 1, stride_w: 1, ..Default::default() };
    let case = Case { op: Op::Conv2d(options), inputs: vec![input, weights], output };
    let plain = case.run(&case.model()?, Kernels::Plain, 1)?;
    let mut other = Case { op: case.op.clone(), inputs: case.inputs.clone(), output: case.output.clone() };
    other.inputs[1].bytes[19 * 8 + 7] ^= 0x40;
    assert_eq!(case.run(&case.model()?, Kernels::Fast, 1)?, plain);
    assert_ne!(case.run(&other.model()?, Kernels::Fast, 1)?, plain, "the last weight counts");
    Ok(())
}
