//! Elementwise operators on the GPU against the reference: every broadcast, channel counts around a texel, ranks 0 … 6.

mod common;

use common::{check, floats, random};
use tflite_wgpu::compare;
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::*;

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const F: DType = DType::Float32;
const I: DType = DType::Int32;
const L: DType = DType::Int64;
const B: DType = DType::Bool;

/// Shapes around texels, of every rank.
const SHAPES: &[&[usize]] = &[
    &[],
    &[1],
    &[9],
    &[3, 2],
    &[2, 3, 3],
    &[2, 2, 3, 4],
    &[1, 2, 1, 2, 5],
    &[2, 1, 2, 1, 2, 6],
    &[2, 3, 7],
    &[1, 3, 8],
    &[2, 33],
    &[70, 1],
];

/// A model of one operator whose inputs are all given when it runs.
fn program(op: &Op, inputs: &[Value], output: (DType, &[usize])) -> Program {
    let mut graph = GraphBuilder::new();
    let ids: Vec<_> = inputs.iter().map(|value| Some(graph.input("x", value.dtype(), value.shape()))).collect();
    let result = graph.op(op.clone(), &ids, &[("result", output.0, output.1)]);
    graph.output(result);
    ModelBuilder::new().subgraph(graph).program()
}

fn run(op: &Op, inputs: &[Value], output: (DType, &[usize])) -> TestResult {
    let shapes: Vec<_> = inputs.iter().map(|value| (value.dtype(), value.shape())).collect();
    check(&format!("{} {shapes:?}", op.name()), &program(op, inputs, output), inputs)
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
    let values: Vec<u8> = floats(seed, dims.iter().product()).iter().map(|&x| u8::from(x > 0.0)).collect();
    Ok(Value::from_slice(B, dims, &values)?)
}

/// `scale · random + offset`.
fn scaled(seed: u32, dims: &[usize], scale: f32, offset: f32) -> TestResult<Value> {
    let values: Vec<f32> = floats(seed, dims.iter().product()).iter().map(|x| x * scale + offset).collect();
    Ok(Value::f32(dims, &values)?)
}

fn unary_ops() -> Vec<Op> {
    vec![
        Op::Abs,
        Op::Ceil,
        Op::Cos,
        Op::Elu,
        Op::Exp,
        Op::Floor,
        Op::Gelu(GeluOptions { approximate: false }),
        Op::Gelu(GeluOptions { approximate: true }),
        Op::HardSwish,
        Op::LeakyRelu(LeakyReluOptions { alpha: 0.25 }),
        Op::Logistic,
        Op::Neg,
        Op::Relu,
        Op::Relu0To1,
        Op::Relu6,
        Op::ReluN1To1,
        Op::Round,
        Op::Sign,
        Op::Sin,
        Op::Square,
        Op::Tanh,
    ]
}

#[test]
fn unary_operators() -> TestResult {
    for op in unary_ops() {
        for (dims, scale) in [(&[2, 3, 5][..], 4.0), (&[33], 4.0), (&[], 1.0)] {
            run(&op, &[scaled(1, dims, scale, 0.0)?], (F, dims))?;
        }
    }
    for op in [Op::Log, Op::Sqrt, Op::Rsqrt] {
        for dims in [&[2, 3, 5][..], &[33], &[]] {
            run(&op, &[scaled(2, dims, 2.0, 4.0625)?], (F, dims))?;
        }
    }
    for dims in SHAPES {
        run(&Op::Exp, &[random(3, dims)?], (F, dims))?;
        run(&Op::LogicalNot, &[bools(4, dims)?], (B, dims))?;
    }
    Ok(())
}

/// Compares an operator of these inputs in f32 alone.
fn in_f32(op: &Op, inputs: &[&[f32]]) -> TestResult {
    let values = inputs.iter().map(|values| Value::f32(&[values.len()], values)).collect::<Result<Vec<_>, _>>()?;
    let program = program(op, &values, (F, values[0].shape()));
    common::check_as(&format!("{} {inputs:?}", op.name()), &program, &values, &[("precision=f32", compare::F32)])
}

/// Numbers and what is none, zeros of both signs, and the smallest and largest there are.
const SPECIAL: [f32; 16] = [
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    -0.5,
    3.0,
    -8.0,
    0.333,
    1e-40,
    1e30,
    -1e10,
    f32::MAX,
];

#[test]
fn functions_of_infinities_zeros_and_nan() -> TestResult {
    // A second element has a result of its own, so that there is one to compare where the first is no number.
    for op in [Op::Sin, Op::Cos, Op::Log] {
        for value in SPECIAL {
            in_f32(&op, &[&[value, 0.5]])?;
        }
    }
    for op in [Op::Pow, Op::Atan2, Op::FloorMod] {
        for a in SPECIAL {
            for b in SPECIAL {
                in_f32(&op, &[&[a, 1.0], &[b, 3.0]]).map_err(|error| format!("{a} {b}: {error}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn remainders_of_large_quotients_and_sines_of_large_numbers() -> TestResult {
    let spread = |seed: u32, low: f32, high: f32| -> Vec<f32> {
        floats(seed, 64).iter().map(|x| x.signum() * (low + (high - low) * x.abs().min(1.0)).exp2()).collect()
    };
    let (large, small) = (spread(11, -20.0, 120.0), spread(12, -120.0, 20.0));
    for (&a, &b) in large.iter().zip(&small) {
        // The result is below the divisor, so that each needs a comparison of its own.
        in_f32(&Op::FloorMod, &[&[a], &[b]])?;
    }
    in_f32(&Op::Sin, &[&large])?;
    in_f32(&Op::Cos, &[&large])
}

#[test]
fn unary_functions_are_exact_far_out_and_near_zero() -> TestResult {
    let f32_only = |op: Op, values: &[f32]| in_f32(&op, &[values]);
    let tiny: Vec<f32> = floats(5, 64).iter().map(|x| x * 1e-3).collect();
    for op in [Op::Tanh, Op::Elu, Op::Sin, Op::Gelu(GeluOptions::default()), Op::HardSwish] {
        f32_only(op, &tiny)?;
    }
    let near_one: Vec<f32> = tiny.iter().map(|x| 1.0 + x).collect();
    f32_only(Op::Log, &near_one)?;
    f32_only(Op::Log, &[1e-30, 1e-10, 0.5, 2.0, 1e10, 3e38])?;
    let wide: Vec<f32> = floats(6, 64).iter().map(|x| x * 5000.0).collect();
    for op in [Op::Sin, Op::Cos, Op::Tanh, Op::Logistic, Op::Elu, Op::HardSwish, Op::Relu6] {
        f32_only(op, &wide)?;
    }
    for approximate in [false, true] {
        f32_only(Op::Gelu(GeluOptions { approximate }), &wide)?;
    }
    f32_only(Op::Gelu(GeluOptions { approximate: false }), &[-4.0, -3.5, -3.75, -5.0])?;
    f32_only(Op::Exp, &[-200.0, -87.0, -20.0, 20.0])?;
    f32_only(Op::Exp, &[80.0, 87.0, 88.0])?;
    f32_only(Op::Relu, &[f32::INFINITY, -f32::INFINITY, 3e38])?;
    f32_only(Op::Exp, &[-0.001, 0.0, 0.001])
}

#[test]
fn integer_unary_operators() -> TestResult {
    for dims in SHAPES {
        for op in [Op::Abs, Op::Neg, Op::Sign] {
            run(&op, &[ints(7, dims)?], (I, dims))?;
        }
    }
    for op in [Op::Abs, Op::Neg] {
        run(&op, &[longs(8, &[2, 5])?], (L, &[2, 5]))?;
    }
    run(&Op::Abs, &[Value::i32(&[3], &[i32::MIN, i32::MAX, -5])?], (I, &[3]))
}

fn binary_ops() -> Vec<Op> {
    vec![
        Op::Add(AddOptions::default()),
        Op::Sub(SubOptions::default()),
        Op::Mul(MulOptions::default()),
        Op::Maximum,
        Op::Minimum,
        Op::SquaredDifference,
    ]
}

#[test]
fn binary_operators() -> TestResult {
    for op in binary_ops() {
        for dims in [&[2, 3, 5][..], &[33], &[]] {
            run(&op, &[random(9, dims)?, random(10, dims)?], (F, dims))?;
        }
    }
    let dims = &[2, 3, 5][..];
    let positive = || scaled(12, dims, 0.5, 1.5);
    run(&Op::Div(DivOptions::default()), &[random(11, dims)?, positive()?], (F, dims))?;
    run(&Op::Pow, &[positive()?, random(13, dims)?], (F, dims))?;
    run(&Op::Atan2, &[random(14, dims)?, random(15, dims)?], (F, dims))?;
    // Quotients that are not next to an integer, where an error of one half decides.
    let (a, b) = (Value::f32(&[6], &[7.25, -7.25, 7.25, -7.25, 0.0, 3.5])?, [2.0, 2.0, -2.0, -2.0, 2.0, 16.0]);
    for op in [Op::FloorDiv, Op::FloorMod] {
        run(&op, &[a.clone(), Value::f32(&[6], &b)?], (F, &[6]))?;
    }
    Ok(())
}

#[test]
fn powers_and_angles_of_all_signs() -> TestResult {
    let bases = [-2.0, -2.0, -2.0, 0.0, 0.0, 1.0, -1.0, 2.0, 3.0, 0.5, 10.0, 1.0001];
    let exponents = [2.0, 3.0, -1.0, 0.0, 2.0, 100.0, 5.0, 0.5, -2.0, 10.0, 4.0, 1000.0];
    let inputs = [Value::f32(&[12], &bases)?, Value::f32(&[12], &exponents)?];
    run(&Op::Pow, &inputs, (F, &[12]))?;
    let ys = [0.0, 0.0, -0.0, -0.0, 1.0, -1.0, 1.0, -1.0, 1e-3, 1.0, -3.0, 1000.0];
    let xs = [1.0, -1.0, 1.0, -1.0, 0.0, 0.0, 1.0, -1.0, -1.0, 0.4, 7.0, 0.001];
    run(&Op::Atan2, &[Value::f32(&[12], &ys)?, Value::f32(&[12], &xs)?], (F, &[12]))
}

#[test]
fn every_broadcast() -> TestResult {
    let out = [2, 3, 4, 5];
    let operands: [&[usize]; 10] =
        [&[2, 3, 4, 5], &[5], &[], &[1], &[2, 3, 4, 1], &[3, 1, 5], &[3, 1, 1], &[2, 1, 4, 5], &[2, 1, 1, 1], &[4, 1]];
    for (i, operand) in operands.into_iter().enumerate() {
        for other in [&out[..], &[2, 1, 4, 1]] {
            let Ok(result) = infer::broadcast(&[operand, other]) else { continue };
            let seed = i as u32;
            run(&Op::Sub(SubOptions::default()), &[random(seed, operand)?, random(99, other)?], (F, &result))?;
            run(&Op::Sub(SubOptions::default()), &[random(99, other)?, random(seed, operand)?], (F, &result))?;
            run(&Op::Less, &[random(99, other)?, random(seed, operand)?], (B, &result))?;
        }
    }
    for dims in SHAPES {
        run(&Op::Add(AddOptions::default()), &[random(20, dims)?, random(21, &[])?], (F, dims))?;
        if let Some(last) = dims.last() {
            run(&Op::Add(AddOptions::default()), &[random(22, &[*last])?, random(23, dims)?], (F, dims))?;
        }
    }
    for channels in 1..=9 {
        let dims = [2, 3, 2, channels];
        for operand in [&[2, 1, 1, channels][..], &[2, 3, 2, 1], &[1, 3, 1, 1], &[channels]] {
            run(&Op::Mul(MulOptions::default()), &[random(24, &dims)?, random(25, operand)?], (F, &dims))?;
        }
    }
    let six = [2, 3, 1, 2, 2, 3];
    run(&Op::Add(AddOptions::default()), &[random(26, &six)?, random(27, &[2, 1, 1, 2, 1, 3])?], (F, &six))
}

#[test]
fn integer_binary_operators() -> TestResult {
    let (dims, channel) = (&[2, 3, 5][..], &[5][..]);
    for op in binary_ops() {
        run(&op, &[ints(30, dims)?, ints(31, channel)?], (I, dims))?;
    }
    for op in [Op::Add(AddOptions::default()), Op::Sub(SubOptions::default()), Op::Maximum] {
        run(&op, &[longs(32, dims)?, longs(33, &[1])?], (L, dims))?;
    }
    let relu6 = AddOptions { fused_activation_function: ActivationFunctionType::Relu6, ..AddOptions::default() };
    run(&Op::Add(relu6), &[ints(34, dims)?, ints(35, dims)?], (I, dims))?;
    // Divisors and exponents are constants.
    for (op, values) in [
        (Op::Div(DivOptions::default()), [2, -3, 1, 7, -1]),
        (Op::FloorDiv, [2, -3, 1, 7, -1]),
        (Op::FloorMod, [2, -3, 1, 7, -2]),
        (Op::Pow, [0, 1, 2, 3, 5]),
    ] {
        let mut graph = GraphBuilder::new();
        let (a, b) = (graph.input("a", I, dims), graph.constant_i32("b", channel, &values));
        let result = graph.op(op.clone(), &[Some(a), Some(b)], &[("result", I, dims)]);
        graph.output(result);
        check(op.name(), &ModelBuilder::new().subgraph(graph).program(), &[ints(36, dims)?])?;
    }
    Ok(())
}

#[test]
fn operands_that_are_one_tensor() -> TestResult {
    let dims = [2, 3, 5];
    for op in [Op::Add(AddOptions::default()), Op::Mul(MulOptions::default()), Op::AddN, Op::Equal] {
        let mut graph = GraphBuilder::new();
        let a = graph.input("a", F, &dims);
        let dtype = if op == Op::Equal { B } else { F };
        let result = graph.op(op.clone(), &[Some(a), Some(a)], &[("result", dtype, &dims)]);
        graph.output(result);
        check(op.name(), &ModelBuilder::new().subgraph(graph).program(), &[random(40, &dims)?])?;
    }
    Ok(())
}

#[test]
fn sums_of_many() -> TestResult {
    // One alone is refused, as TFLite does.
    for count in [2, 3, 4, 5, 7, 9] {
        let dims = [2, 7];
        let inputs = (0..count).map(|i| random(50 + i, &dims)).collect::<TestResult<Vec<_>>>()?;
        run(&Op::AddN, &inputs, (F, &dims))?;
        let inputs = (0..count).map(|i| ints(50 + i, &dims)).collect::<TestResult<Vec<_>>>()?;
        run(&Op::AddN, &inputs, (I, &dims))?;
    }
    Ok(())
}

#[test]
fn comparisons_and_logic() -> TestResult {
    for dims in SHAPES {
        for op in [Op::Equal, Op::NotEqual, Op::Less, Op::LessEqual, Op::Greater, Op::GreaterEqual] {
            run(&op, &[ints(60, dims)?, ints(61, dims)?], (B, dims))?;
        }
        for op in [Op::LogicalAnd, Op::LogicalOr, Op::Equal] {
            run(&op, &[bools(62, dims)?, bools(63, dims)?], (B, dims))?;
        }
    }
    for op in [Op::Equal, Op::NotEqual, Op::Less, Op::LessEqual, Op::Greater, Op::GreaterEqual] {
        run(&op, &[random(64, &[6, 50])?, random(65, &[6, 50])?], (B, &[6, 50]))?;
        run(&op, &[longs(66, &[3, 5])?, longs(67, &[3, 1])?], (B, &[3, 5]))?;
    }
    Ok(())
}

/// Operands that repeat over more dimensions than there are strides for are written out first.
#[test]
fn six_dimensions_repeat_in_turn() -> TestResult {
    let (x, y) = ([1, 2, 1, 3, 1, 2], [2, 1, 2, 1, 3, 1]);
    let out = infer::broadcast(&[&x, &y])?;
    for op in [Op::Sub(SubOptions::default()), Op::Maximum] {
        run(&op, &[random(20, &x)?, random(21, &y)?], (F, &out))?;
    }
    run(&Op::Less, &[random(22, &x)?, random(23, &y)?], (B, &out))?;
    run(&Op::SelectV2, &[bools(24, &x)?, random(25, &y)?, random(26, &[2])?], (F, &out))
}

#[test]
fn selections() -> TestResult {
    let dims = [2, 3, 5];
    for condition in [&[2, 3, 5][..], &[], &[5], &[2, 1, 1], &[3, 1]] {
        for (x, y) in [(&dims[..], &dims[..]), (&[], &dims), (&[3, 1], &[2, 1, 5])] {
            let inputs = [bools(70, condition)?, random(71, x)?, random(72, y)?];
            let out = infer::broadcast(&[condition, x, y])?;
            run(&Op::SelectV2, &inputs, (F, &out))?;
            let inputs = [bools(70, condition)?, ints(71, x)?, ints(72, y)?];
            run(&Op::SelectV2, &inputs, (I, &out))?;
        }
    }
    for condition in [&[2, 3, 5][..], &[2], &[]] {
        run(&Op::Select, &[bools(73, condition)?, random(74, &dims)?, random(75, &dims)?], (F, &dims))?;
    }
    // A vector of conditions lies in the lanes of texels, and chooses rows.
    let dims = [7, 2, 3];
    run(&Op::Select, &[bools(76, &[7])?, random(74, &dims)?, random(75, &dims)?], (F, &dims))?;
    Ok(())
}

#[test]
fn prelu_with_any_slopes() -> TestResult {
    let dims = [2, 3, 2, 5];
    for slopes in [&[5][..], &[1, 1, 5], &[], &[3, 2, 5], &[3, 1, 1], &[2, 3, 2, 5]] {
        run(&Op::Prelu, &[random(80, &dims)?, random(81, slopes)?], (F, &dims))?;
    }
    Ok(())
}

#[test]
fn casts() -> TestResult {
    let value = |dtype: DType| -> TestResult<Value> {
        let dims = [2, 7];
        let numbers: Vec<f32> = floats(90, 14).iter().map(|x| x * 50.0).collect();
        Ok(match dtype {
            DType::Float32 => Value::f32(&dims, &numbers)?,
            DType::Int32 => Value::i32(&dims, &numbers.iter().map(|&x| x as i32 * 7).collect::<Vec<_>>())?,
            DType::Int64 => {
                Value::from_slice(dtype, &dims, &numbers.iter().map(|&x| x as i64 * 7).collect::<Vec<_>>())?
            }
            DType::Int16 => {
                Value::from_slice(dtype, &dims, &numbers.iter().map(|&x| x as i16 * 7).collect::<Vec<_>>())?
            }
            DType::Int8 => Value::from_slice(dtype, &dims, &numbers.iter().map(|&x| x as i8).collect::<Vec<_>>())?,
            DType::UInt8 => Value::from_slice(dtype, &dims, &numbers.iter().map(|&x| x as u8).collect::<Vec<_>>())?,
            _ => bools(91, &dims)?,
        })
    };
    let types = [F, I, L, DType::Int16, DType::Int8, DType::UInt8, B];
    for from in types {
        // Floats may become integers of more than 32 bits: those casts are the CPU's.
        for to in types.into_iter().filter(|to| (from, *to) != (F, L)) {
            run(&Op::Cast(CastOptions::default()), &[value(from)?], (to, &[2, 7]))?;
        }
    }
    let odd = Value::f32(&[6], &[f32::NAN, 3e9, -3e9, 2147483520.0, -0.5, 300.0])?;
    for to in [I, DType::Int16, DType::Int8, DType::UInt8, B] {
        let program = program(&Op::Cast(CastOptions::default()), std::slice::from_ref(&odd), (to, &[6]));
        let modes = [("precision=f32", tflite_wgpu::compare::F32)];
        common::check_as(&format!("CAST to {to}"), &program, std::slice::from_ref(&odd), &modes)?;
    }
    Ok(())
}
