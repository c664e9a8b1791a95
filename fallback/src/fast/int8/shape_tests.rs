//! Pools, means, conversions and movement on fast and plain kernels.

use tflite_wgpu_model::{
    ConcatenationOptions, DType, Op, Padding, Pool2DOptions, ReducerOptions, ResizeBilinearOptions,
    ResizeNearestNeighborOptions, infer,
};

use super::tests::{Case, Operand, Outcome, Random, check};

/// An INT32 constant, without scales.
fn ints(shape: &[usize], list: &[i32]) -> Operand {
    let plain = Operand { scales: vec![], ..Operand::new(DType::Int32, shape, 1.0, 0) };
    plain.constant(list.iter().flat_map(|v| v.to_le_bytes()).collect())
}

fn floats(shape: &[usize], list: &[f32]) -> Operand {
    let bytes = list.iter().flat_map(|v| v.to_le_bytes()).collect();
    Operand { scales: vec![], bytes, ..Operand::new(DType::Float32, shape, 1.0, 0) }
}

fn image(random: &mut Random, dtype: DType) -> Operand {
    let shape =
        [1 + random.below(2), 1 + random.below(9), 1 + random.below(9), random.of(&[1, 3, 16, 63, 64, 65, 130])];
    let (scale, zero) = (random.scale(0.05), random.zero(dtype));
    Operand::new(dtype, &shape, scale, zero).computed(random)
}

#[test]
fn pools_are_exact() -> Outcome {
    check("pools", 300, |random| {
        let dtype = random_type(random);
        let input = image(random, dtype);
        let padding = random.of(&[Padding::Same, Padding::Valid]);
        let [taps_y, taps_x, stride_y, stride_x] = [0; 4].map(|_: i32| 1 + random.below(4));
        let y = infer::window(padding, input.shape[1], taps_y, stride_y, 1).ok()?;
        let x = infer::window(padding, input.shape[2], taps_x, stride_x, 1).ok()?;
        let options = Pool2DOptions {
            padding,
            stride_h: stride_y as i32,
            stride_w: stride_x as i32,
            filter_height: taps_y as i32,
            filter_width: taps_x as i32,
            fused_activation_function: random.activation(),
        };
        let op = if random.below(2) == 0 { Op::AveragePool2d(options) } else { Op::MaxPool2d(options) };
        let shape = [input.shape[0], y.output, x.output, input.shape[3]];
        let output = Operand::new(dtype, &shape, input.scales[0], input.zero);
        Some(Case { op, inputs: vec![input], output })
    })
}

#[test]
fn means_are_exact() -> Outcome {
    check("means", 300, |random| {
        let dtype = random_type(random);
        let input = image(random, dtype);
        let axes = random.of(&[&[1, 2][..], &[3], &[0, 1, 2], &[2], &[1, 3], &[0], &[-1, 1]]);
        let keep_dims = random.below(2) == 0;
        let reduced = |axis: i32| axes.iter().any(|&other| other == axis || other == axis - 4);
        let dims = input.shape.iter().enumerate();
        let shape: Vec<usize> = dims
            .filter(|&(axis, _)| keep_dims || !reduced(axis as i32))
            .map(|(axis, &n)| if reduced(axis as i32) { 1 } else { n })
            .collect();
        let (scale, zero) = (random.scale(0.03), random.zero(dtype));
        let output = Operand::new(dtype, &shape, scale, zero);
        let op = Op::Mean(ReducerOptions { keep_dims });
        Some(Case { op, inputs: vec![input, ints(&[axes.len()], axes)], output })
    })
}

#[test]
fn floats_are_quantised_exactly() -> Outcome {
    check("quantised floats", 200, |random| {
        let dtype = random_type(random);
        let scale = random.of(&[0.5, 0.25, 0.1, 0.007]);
        let len = 1 + random.below(300);
        let numbers: Vec<f32> = (0..len)
            .map(|_| match random.below(12) {
                0 => random.of(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e9, -0.0]),
                1..4 => (random.below(400) as f32 - 200.0 + 0.5) * scale,
                _ => (random.below(4000) as f32 - 2000.0) * 0.1 * scale,
            })
            .collect();
        let zero = random.zero(dtype);
        Some(Case {
            op: Op::Quantize,
            inputs: vec![floats(&[len], &numbers)],
            output: Operand::new(dtype, &[len], scale, zero),
        })
    })
}

#[test]
fn paddings_are_exact() -> Outcome {
    check("paddings", 300, |random| {
        let dtype = random.of(&[DType::Int8, DType::UInt8, DType::Float32]);
        let rank = random.below(5);
        let shape: Vec<usize> = (0..rank).map(|_| 1 + random.below(5)).collect();
        let sides: Vec<i32> = (0..2 * rank).map(|_| random.of(&[0, 0, 1, 3])).collect();
        let padded: Vec<usize> =
            shape.iter().zip(sides.as_chunks::<2>().0).map(|(n, [a, b])| n + (a + b) as usize).collect();
        let count: usize = shape.iter().product();
        let zero = if dtype == DType::Float32 { 0 } else { random.zero(dtype) };
        let mut input = Operand::new(dtype, &shape, 0.1, zero);
        input.bytes = random.bytes(count * dtype.size()?);
        let output = Operand::new(dtype, &padded, 0.1, zero);
        let mut inputs = vec![input, ints(&[rank, 2], &sides)];
        if random.below(3) > 0 {
            return Some(Case { op: Op::Pad, inputs, output });
        }
        let bytes = random.bytes(dtype.size()?);
        inputs.push(Operand::new(dtype, &[1], 0.1, zero).constant(bytes));
        Some(Case { op: Op::Padv2, inputs, output })
    })
}

#[test]
fn joined_tensors_are_exact() -> Outcome {
    check("joined tensors", 200, |random| {
        let dtype = random.of(&[DType::Int8, DType::UInt8, DType::Float32]);
        let mut shape: Vec<usize> = (0..1 + random.below(4)).map(|_| 1 + random.below(5)).collect();
        let axis = random.below(shape.len());
        let mut inputs = Vec::new();
        let mut sum = 0;
        for _ in 0..1 + random.below(4) {
            shape[axis] = random.below(5);
            sum += shape[axis];
            let mut input = Operand::new(dtype, &shape, 0.1, 3);
            input.bytes = random.bytes(shape.iter().product::<usize>() * dtype.size()?);
            inputs.push(input);
        }
        shape[axis] = sum;
        let axis = axis as i32 - if random.below(2) == 0 { shape.len() as i32 } else { 0 };
        let op = Op::Concatenation(ConcatenationOptions { axis, ..Default::default() });
        Some(Case { op, inputs, output: Operand::new(dtype, &shape, 0.1, 3) })
    })
}

#[test]
fn nearest_pixels_are_exact() -> Outcome {
    check("nearest pixels", 200, |random| {
        let dtype = random.of(&[DType::Int8, DType::UInt8, DType::Float32]);
        let shape = [1 + random.below(2), 1 + random.below(6), 1 + random.below(6), 1 + random.below(20)];
        let size = [1 + random.below(12), 1 + random.below(12)];
        let mut input = Operand::new(dtype, &shape, 0.1, 3);
        input.bytes = random.bytes(shape.iter().product::<usize>() * dtype.size()?);
        let (align_corners, half_pixel_centers) = random.of(&[(false, false), (true, false), (false, true)]);
        let op = Op::ResizeNearestNeighbor(ResizeNearestNeighborOptions { align_corners, half_pixel_centers });
        let output = Operand::new(dtype, &[shape[0], size[0], size[1], shape[3]], 0.1, 3);
        Some(Case { op, inputs: vec![input, ints(&[2], &size.map(|n| n as i32))], output })
    })
}

#[test]
fn blended_pixels_are_exact() -> Outcome {
    check("blended pixels", 200, |random| {
        let dtype = random_type(random);
        let input = image(random, dtype);
        let size = [1 + random.below(12), 1 + random.below(12)];
        let (align_corners, half_pixel_centers) = random.of(&[(false, false), (true, false), (false, true)]);
        let op = Op::ResizeBilinear(ResizeBilinearOptions { align_corners, half_pixel_centers });
        let shape = [input.shape[0], size[0], size[1], input.shape[3]];
        let output = Operand::new(input.dtype, &shape, input.scales[0], input.zero);
        Some(Case { op, inputs: vec![input, ints(&[2], &size.map(|n| n as i32))], output })
    })
}

fn random_type(random: &mut Random) -> DType {
    random.of(&[DType::Int8, DType::UInt8])
}
