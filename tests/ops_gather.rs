//! Operators that take elements by index, and resized images: the GPU against the reference.

mod common;

use common::{TestResult, check, check_as, floats, random};
use tflite_wgpu::compare::Tolerance;
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::*;

/// Moved elements are the same elements; the values of [`table`] are exact in halves.
const EXACT: Tolerance =
    Tolerance { error: 0.0, floor: 0.0, cosine: 0.0, length: f64::INFINITY, small_error: 0.0, half_range: false };

const MODES: [(&str, Tolerance); 2] = [("precision=f32", EXACT), ("precision=f16", EXACT)];

type Res<T> = Result<T, Box<dyn std::error::Error>>;

/// Values that tell their places apart, exact in halves and in the type.
fn table(dtype: DType, dims: &[usize]) -> Res<Value> {
    let count: usize = dims.iter().product();
    let numbers = (0..count).map(|i| i * 7 % 2039);
    Ok(match dtype {
        DType::Float32 => Value::f32(dims, &numbers.map(|n| n as f32 - 1000.0).collect::<Vec<_>>())?,
        DType::Int32 => Value::i32(dims, &numbers.map(|n| n as i32 * 1_000_003 - 1_000_000_000).collect::<Vec<_>>())?,
        _ => Value::from_slice(DType::UInt8, dims, &numbers.map(|n| (n % 256) as u8).collect::<Vec<_>>())?,
    })
}

/// Indices that repeat and leave out, below `size`.
fn indices(dtype: DType, dims: &[usize], size: usize) -> Res<Value> {
    let count: usize = dims.iter().product();
    let numbers = (0..count).map(|i| (i * 5 + i / 3) % size);
    Ok(match dtype {
        DType::Int64 => Value::from_slice(dtype, dims, &numbers.map(|n| n as i64).collect::<Vec<_>>())?,
        _ => Value::i32(dims, &numbers.map(|n| n as i32).collect::<Vec<_>>())?,
    })
}

/// A node whose operands are computed, or constants where `constant` says so.
fn node(op: &Op, operands: &[Value], constant: &[bool], result: DType) -> Res<(Program, Vec<Value>)> {
    let mut graph = GraphBuilder::new();
    let (mut inputs, mut computed) = (Vec::new(), Vec::new());
    for (i, (value, &constant)) in operands.iter().zip(constant).enumerate() {
        let name = format!("operand{i}");
        inputs.push(Some(if constant {
            graph.constant(&name, value.dtype(), value.shape(), value.bytes().to_vec())
        } else {
            computed.push(value.clone());
            graph.input(&name, value.dtype(), value.shape())
        }));
    }
    let output = graph.op(op.clone(), &inputs, &[("result", result, &[])]);
    graph.output(output);
    Ok((ModelBuilder::new().subgraph(graph).program(), computed))
}

/// Gathers in all types, with computed and with constant indices.
fn gathers(op: &Op, shape: &[usize], index_shape: &[usize], size: usize) -> TestResult {
    for (dtype, index) in [(DType::Float32, DType::Int32), (DType::Int32, DType::Int64), (DType::UInt8, DType::Int32)] {
        for constant in [false, true] {
            let operands = [table(dtype, shape)?, indices(index, index_shape, size)?];
            let (program, values) = node(op, &operands, &[false, constant], dtype)?;
            check_as(&format!("{op:?} of {dtype} {shape:?} by {index_shape:?}"), &program, &values, &MODES)?;
        }
    }
    Ok(())
}

#[test]
fn slices_along_every_axis() -> TestResult {
    for channels in [1, 3, 4, 5, 9] {
        let shape = [3, 4, channels];
        for (axis, size) in [(0, 3), (1, 4), (2, channels), (-1, channels)] {
            let op = Op::Gather(GatherOptions { axis, batch_dims: 0 });
            for index_shape in [vec![], vec![1], vec![7], vec![2, 3], vec![2, 1, 5]] {
                gathers(&op, &shape, &index_shape, size)?;
            }
        }
    }
    Ok(())
}

#[test]
fn batches_have_their_own_indices() -> TestResult {
    for (axis, batch_dims, index_shape) in
        [(1, 1, vec![2, 5]), (2, 1, vec![2, 3]), (2, 2, vec![2, 3, 2]), (3, 2, vec![2, 3, 4]), (3, 1, vec![2])]
    {
        let shape = [2, 3, 4, 5];
        let op = Op::Gather(GatherOptions { axis, batch_dims });
        gathers(&op, &shape, &index_shape, shape[axis as usize])?;
    }
    Ok(())
}

#[test]
fn rows_of_indices() -> TestResult {
    for shape in [[4, 3, 5], [3, 3, 4], [3, 4, 1]] {
        for index_shape in [vec![1], vec![5, 1], vec![2, 3, 2], vec![3, 3], vec![2, 2, 3]] {
            gathers(&Op::GatherNd, &shape, &index_shape, 1 + usize::from(shape[2] > 1))?;
        }
    }
    Ok(())
}

/// What the reference refuses gives zeros, and never another tensor's memory.
#[test]
fn indices_outside_give_zeros() -> TestResult {
    let Some(device) = common::device()? else { return Ok(()) };
    for (op, list) in [
        (Op::Gather(GatherOptions::default()), Value::i32(&[3], &[-1, 1, 4])?),
        (Op::GatherNd, Value::i32(&[3, 2], &[0, -1, 1, 0, 4, 0])?),
    ] {
        let operands = [Value::f32(&[4, 2], &[1.0; 8])?, list];
        let (program, values) = node(&op, &operands, &[false, false], DType::Float32)?;
        let model = tflite_wgpu_fallback::Model::new(program)?;
        let options = tflite_wgpu::DelegateOptions::parse(["device=gpu"])?;
        let delegate = tflite_wgpu::GpuDelegate::with_device(device.clone(), options);
        let mut interpreter =
            tflite_wgpu_fallback::Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
        let found = common::run_with(&mut interpreter, &values)?;
        let floats = found.first().and_then(Value::to_floats).ok_or("no floats")?;
        let width = floats.len() / 3;
        let expected: Vec<f64> = (0..floats.len()).map(|i| f64::from(u8::from(i / width == 1))).collect();
        assert_eq!(floats, expected, "{op:?}");
    }
    Ok(())
}

#[test]
fn pixels_become_batches() -> TestResult {
    let run = |op: &Op, shape: &[usize], block: &[i32], edges: &[i32]| -> TestResult {
        for dtype in [DType::Float32, DType::UInt8] {
            let data = table(dtype, shape)?;
            let pairs = Value::i32(&[edges.len() / 2, 2], edges)?;
            let operands = [data, Value::i32(&[block.len()], block)?, pairs];
            let (program, values) = node(op, &operands, &[false, true, true], dtype)?;
            check_as(&format!("{op:?} {shape:?} {block:?} {edges:?}"), &program, &values, &MODES)?;
        }
        Ok(())
    };
    for channels in [1, 3, 4, 9] {
        run(&Op::SpaceToBatchNd, &[2, 4, 6, channels], &[2, 3], &[0, 0, 0, 0])?;
        run(&Op::SpaceToBatchNd, &[1, 3, 5, channels], &[2, 3], &[1, 0, 2, 2])?;
        run(&Op::BatchToSpaceNd, &[12, 2, 3, channels], &[2, 3], &[0, 0, 0, 0])?;
        run(&Op::BatchToSpaceNd, &[6, 2, 3, channels], &[2, 3], &[1, 0, 2, 3])?;
        run(&Op::SpaceToBatchNd, &[2, 5, channels], &[3], &[0, 1])?;
        run(&Op::BatchToSpaceNd, &[6, 4, channels], &[3], &[2, 1])?;
    }
    Ok(())
}

#[test]
fn images_are_resized() -> TestResult {
    let sizes = [([4, 5], [8, 10]), ([7, 5], [3, 2]), ([1, 1], [4, 3]), ([3, 4], [3, 4]), ([5, 3], [1, 7])];
    for ([h, w], [rows, columns]) in sizes {
        for (align_corners, half_pixel_centers) in [(false, false), (true, false), (false, true)] {
            let nearest = Op::ResizeNearestNeighbor(ResizeNearestNeighborOptions { align_corners, half_pixel_centers });
            let bilinear = Op::ResizeBilinear(ResizeBilinearOptions { align_corners, half_pixel_centers });
            let size = Value::i32(&[2], &[rows, columns])?;
            for channels in [1, 3, 8, 69] {
                let shape = [2, h, w, channels];
                let name = format!("{shape:?} to {rows}x{columns} {align_corners} {half_pixel_centers}");
                for (op, modes) in [(&nearest, true), (&bilinear, false)] {
                    let (program, values) =
                        node(op, &[random(3, &shape)?, size.clone()], &[false, true], DType::Float32)?;
                    if modes {
                        check_as(&name, &program, &values, &MODES)?;
                    } else {
                        check(&name, &program, &values)?;
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn bytes_are_resized() -> TestResult {
    let op = Op::ResizeBilinear(ResizeBilinearOptions { half_pixel_centers: true, ..Default::default() });
    let operands = [table(DType::UInt8, &[1, 5, 4, 3])?, Value::i32(&[2], &[9, 7])?];
    let (program, values) = node(&op, &operands, &[false, true], DType::UInt8)?;
    check_as("bytes", &program, &values, &MODES)
}

#[test]
fn one_value_everywhere() -> TestResult {
    let operands = [Value::i32(&[3], &[2, 3, 5])?, Value::f32(&[], &floats(1, 1))?];
    let (program, values) = node(&Op::Fill, &operands, &[true, false], DType::Float32)?;
    check_as("fill", &program, &values, &MODES)
}

#[test]
fn updates_are_added_up() -> TestResult {
    // (shape, shape of the indices' rows, numbers of an index)
    for (shape, rows, depth) in [
        (vec![9], vec![4], 1),
        (vec![3, 4, 5], vec![2, 3], 3),
        (vec![5, 6], vec![7], 1),
        (vec![3, 4, 5], vec![8], 2),
        (vec![4, 2, 3], vec![2], 1),
    ] {
        let count: usize = rows.iter().product();
        let index = (0..count * depth).map(|i| (i / depth * 3 + i % depth * 2) % shape[i % depth]);
        let index: Vec<i32> = index.map(|i| i as i32).collect();
        let indices = Value::i32(&[&rows[..], &[depth]].concat(), &index)?;
        let sizes: Vec<i32> = shape.iter().map(|&n| n as i32).collect();
        let updates = [&rows[..], &shape[depth..]].concat();
        let operands = [indices, random(5, &updates)?, Value::i32(&[shape.len()], &sizes)?];
        let (program, values) = node(&Op::ScatterNd, &operands, &[true, false, true], DType::Float32)?;
        check(&format!("scatter {shape:?} {rows:?}"), &program, &values)?;
    }
    Ok(())
}

#[test]
fn one_value_is_hot() -> TestResult {
    for (dims, axis) in [(vec![], -1), (vec![5], -1), (vec![5], 0), (vec![2, 3], 1), (vec![2, 3], -1), (vec![4, 5], 0)]
    {
        for depth in [1, 4, 7] {
            let indices = indices(DType::Int64, &dims, 9)?;
            for (on, off) in [
                (Value::f32(&[], &[2.5])?, Value::f32(&[], &[-1.0])?),
                (Value::i32(&[], &[7])?, Value::i32(&[], &[1])?),
            ] {
                let dtype = on.dtype();
                let operands = [indices.clone(), Value::i32(&[], &[depth])?, on, off];
                let op = Op::OneHot(OneHotOptions { axis });
                let (program, values) = node(&op, &operands, &[false, true, true, true], dtype)?;
                check_as(&format!("one hot {dims:?} {axis} {depth}"), &program, &values, &MODES)?;
            }
        }
    }
    Ok(())
}

/// A chain float → stored → float.
#[test]
fn values_are_stored_and_read_back() -> TestResult {
    for (dtype, scale, zero_point) in [
        (DType::Int8, 0.25, -3),
        (DType::UInt8, 0.015_625, 128),
        (DType::Int16, 0.5, 0),
        (DType::Int8, 0.007_812_5, 127),
    ] {
        for channels in [1, 4, 7] {
            let mut graph = GraphBuilder::new();
            let dims = [2, 3, channels];
            let x = graph.input("x", DType::Float32, &dims);
            let stored = graph.op(Op::Quantize, &[Some(x)], &[("stored", dtype, &dims)]);
            graph.quantize(stored, scale, zero_point);
            let y = graph.op(Op::Dequantize, &[Some(stored)], &[("y", DType::Float32, &dims)]);
            graph.output(stored);
            graph.output(y);
            let program = ModelBuilder::new().subgraph(graph).program();
            check_as(&format!("{dtype} {scale} {zero_point}"), &program, &[random(9, &dims)?], &MODES)?;
        }
    }
    Ok(())
}

/// BFLOAT16 crosses the border in its own bits.
#[test]
fn brain_floats() -> TestResult {
    let bits: Vec<u16> =
        [0.0f32, -1.0, 1.5, 3.0625, -40.25, 1000.0, 0.007_812_5].iter().map(|v| (v.to_bits() >> 16) as u16).collect();
    let bytes: Vec<u8> = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
    let x = Value::from_bytes(DType::BFloat16, &[7], &bytes)?;
    let (program, values) = node(&Op::Neg, &[x], &[false], DType::BFloat16)?;
    check_as("neg", &program, &values, &MODES)
}

/// An INT64 beyond 32 bits: the CPU takes over and is right.
#[test]
fn wide_integers_go_to_the_cpu() -> TestResult {
    let Some(device) = common::device()? else { return Ok(()) };
    let x = Value::from_slice(DType::Int64, &[2], &[1i64, 1 << 40])?;
    let (program, values) = node(&Op::Neg, &[x], &[false], DType::Int64)?;
    let model = tflite_wgpu_fallback::Model::new(program)?;
    let options = tflite_wgpu::DelegateOptions::parse(["device=gpu"])?;
    let delegate = tflite_wgpu::GpuDelegate::with_device(device, options);
    let mut interpreter = tflite_wgpu_fallback::Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let found = common::run_with(&mut interpreter, &values)?;
    assert_eq!(found, [Value::from_slice(DType::Int64, &[2], &[-1i64, -(1 << 40)])?]);
    assert_eq!(interpreter.fallbacks().len(), 1);
    Ok(())
}

#[test]
fn embeddings() -> TestResult {
    for (shape, count) in [(vec![11, 6], 5), (vec![11, 2, 4], 70)] {
        let operands = [indices(DType::Int32, &[count], 11)?, table(DType::Float32, &shape)?];
        let (program, values) = node(&Op::EmbeddingLookup, &operands, &[false, true], DType::Float32)?;
        check_as(&format!("embedding {shape:?}"), &program, &values, &MODES)?;
    }
    Ok(())
}
