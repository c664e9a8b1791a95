//! Operators that move elements: the GPU gives the reference's elements exactly, in every storage.

mod common;

use common::{TestResult, check_as};
use tflite_wgpu::compare::Tolerance;
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::*;

/// Moved elements are the same elements; the values of [`numbered`] are exact in halves.
const EXACT: Tolerance =
    Tolerance { error: 0.0, floor: 0.0, cosine: 0.0, length: f64::INFINITY, small_error: 0.0, half_range: false };

const MODES: [(&str, Tolerance); 2] = [("precision=f32", EXACT), ("precision=f16", EXACT)];

/// An operand of the node under test.
#[derive(Clone)]
enum Arg {
    /// Computed, of the type under test.
    Data(Vec<usize>),
    /// A constant of the type under test.
    Constant(Vec<usize>),
    /// Constant INT32s.
    Ints(Vec<usize>, Vec<i32>),
}

fn data(dims: &[usize]) -> Arg {
    Arg::Data(dims.to_vec())
}

fn ints(list: &[i32]) -> Arg {
    Arg::Ints(vec![list.len()], list.to_vec())
}

fn pairs(list: &[(i32, i32)]) -> Arg {
    Arg::Ints(vec![list.len(), 2], list.iter().flat_map(|&(a, b)| [a, b]).collect())
}

/// Values that tell their places apart, exact in halves and in the type.
fn numbered(dtype: DType, dims: &[usize], first: usize) -> Result<Value, Box<dyn std::error::Error>> {
    let count: usize = dims.iter().product();
    let numbers = (0..count).map(|i| (first + i) * 7 % 2039);
    Ok(match dtype {
        DType::Float32 => Value::f32(dims, &numbers.map(|n| n as f32 - 1000.0).collect::<Vec<_>>())?,
        DType::Int32 => Value::i32(dims, &numbers.map(|n| n as i32 * 1_000_003 - 1_000_000_000).collect::<Vec<_>>())?,
        DType::Int64 => Value::from_slice(dtype, dims, &numbers.map(|n| n as i64 - 1000).collect::<Vec<_>>())?,
        DType::UInt8 => Value::from_slice(dtype, dims, &numbers.map(|n| (n % 256) as u8).collect::<Vec<_>>())?,
        DType::Bool => Value::from_slice(dtype, dims, &numbers.map(|n| (n % 3 % 2) as u8).collect::<Vec<_>>())?,
        _ => return Err(format!("no values of {dtype}").into()),
    })
}

/// Runs one node with `outputs` outputs on both sides.
fn run(dtype: DType, op: &Op, args: &[Arg], outputs: usize) -> TestResult {
    let mut graph = GraphBuilder::new();
    let mut inputs = Vec::new();
    let mut values = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        let name = format!("arg{i}");
        inputs.push(Some(match arg {
            Arg::Data(dims) => {
                values.push(numbered(dtype, dims, 100 * i)?);
                graph.input(&name, dtype, dims)
            }
            Arg::Constant(dims) => {
                let bytes = numbered(dtype, dims, 100 * i)?.bytes().to_vec();
                graph.constant(&name, dtype, dims, bytes)
            }
            Arg::Ints(dims, list) => graph.constant_i32(&name, dims, list),
        }));
    }
    let names: Vec<String> = (0..outputs).map(|i| format!("out{i}")).collect();
    let outputs: Vec<(&str, DType, &[usize])> = names.iter().map(|name| (name.as_str(), dtype, &[][..])).collect();
    for id in graph.op_multi(op.clone(), &inputs, &outputs) {
        graph.output(id);
    }
    let program = ModelBuilder::new().subgraph(graph).program();
    check_as(&format!("{op:?} of {dtype}"), &program, &values, &MODES)
}

/// Runs a node of one output in all types.
fn all(op: &Op, args: &[Arg]) -> TestResult {
    for dtype in [DType::Float32, DType::Int32, DType::UInt8] {
        run(dtype, op, args, 1)?;
    }
    Ok(())
}

/// Runs a node of one output in FLOAT32.
fn float(op: &Op, args: &[Arg]) -> TestResult {
    run(DType::Float32, op, args, 1)
}

fn reshape(dims: &[i32]) -> Op {
    Op::Reshape(ReshapeOptions { new_shape: dims.to_vec() })
}

#[test]
fn reshapes_keep_the_order() -> TestResult {
    let shapes: [&[i32]; 12] = [
        &[2, 3, 4, 6],
        &[144],
        &[6, 24],
        &[24, 6],
        &[12, 12],
        &[2, 72],
        &[48, 3],
        &[144, 1],
        &[1, 16, 9],
        &[9, 16],
        &[2, 1, 72, 1],
        &[18, 2, 4],
    ];
    for from in shapes {
        let dims: Vec<usize> = from.iter().map(|&n| n as usize).collect();
        for to in shapes {
            float(&reshape(to), &[data(&dims), ints(to)])?;
        }
    }
    all(&reshape(&[7, 5]), &[data(&[5, 7]), ints(&[7, 5])])?;
    float(&reshape(&[1, 1, 1]), &[data(&[]), ints(&[1, 1, 1])])?;
    run(DType::Int64, &reshape(&[3, 5]), &[data(&[15]), ints(&[3, 5])], 1)?;
    float(&Op::Squeeze(SqueezeOptions { squeeze_dims: vec![-1] }), &[data(&[2, 5, 1])])?;
    float(&Op::Squeeze(SqueezeOptions { squeeze_dims: vec![] }), &[data(&[1, 1, 5])])?;
    float(&Op::ExpandDims, &[data(&[3, 5]), ints(&[-1])])?;
    float(&Op::ExpandDims, &[data(&[3, 5]), ints(&[0])])
}

#[test]
fn a_chain_of_reshapes_is_no_work() -> TestResult {
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &[2, 6, 8]);
    let mut id = a;
    for (i, dims) in [[12, 8], [3, 32], [24, 4]].into_iter().enumerate() {
        let shape = graph.constant_i32(&format!("shape{i}"), &[2], &dims.map(|n: usize| n as i32));
        id = graph.op(reshape(&[]), &[Some(id), Some(shape)], &[(&format!("r{i}"), DType::Float32, &dims)]);
    }
    graph.output(id);
    let program = ModelBuilder::new().subgraph(graph).program();
    let value = numbered(DType::Float32, &[2, 6, 8], 0)?;
    let Some(both) = common::run_both(&program, std::slice::from_ref(&value), &["precision=f32"])? else {
        return Ok(());
    };
    assert_eq!(both.gpu[0].bytes(), value.bytes());
    assert_eq!(both.report.dispatches(), 2, "import and export only");
    Ok(())
}

#[test]
fn transposes_of_every_order() -> TestResult {
    for dims in [[2, 3, 5, 7], [1, 4, 8, 3], [2, 1, 6, 8], [3, 2, 1, 9], [2, 5, 33, 1]] {
        for first in 0..24 {
            let mut rest = vec![0, 1, 2, 3];
            let permutation: Vec<i32> =
                [first / 6, first % 6 / 2, first % 2, 0].into_iter().map(|i| rest.remove(i)).collect();
            float(&Op::Transpose, &[data(&dims), ints(&permutation)])?;
        }
    }
    all(&Op::Transpose, &[data(&[5, 6]), ints(&[1, 0])])?;
    all(&Op::Transpose, &[data(&[2, 3, 4, 5, 6]), ints(&[4, 1, 3, 0, 2])])?;
    all(&Op::Transpose, &[data(&[2, 2, 3, 2, 2, 5]), ints(&[2, 0, 4, 1, 3, 5])])?;
    float(&Op::Transpose, &[data(&[2, 1, 2, 2, 3, 1, 2, 3]), ints(&[7, 0, 6, 1, 5, 2, 4, 3])])?;
    float(&Op::Transpose, &[data(&[9]), ints(&[0])])
}

#[test]
fn slices_of_every_width() -> TestResult {
    for channels in [1, 2, 3, 4, 5, 8, 9, 33] {
        for begin in 0..channels.min(6) {
            let size = (channels - begin).min(5);
            let (begin, size) = ([1, 0, begin as i32], [1, 3, size as i32]);
            float(&Op::Slice, &[data(&[2, 3, channels]), ints(&begin), ints(&size)])?;
        }
        float(&Op::Slice, &[data(&[2, 3, channels]), ints(&[0, 1, 0]), ints(&[-1, -1, -1])])?;
    }
    all(&Op::Slice, &[data(&[2, 3, 4, 2, 9]), ints(&[1, 0, 2, 0, 3]), ints(&[1, 2, 2, 2, 4])])?;
    float(&Op::Slice, &[data(&[9]), ints(&[4]), ints(&[5])])
}

/// Runs of whole texels, shorter and longer than one invocation's, from even and from odd places.
#[test]
fn runs_of_texels() -> TestResult {
    let join = Op::Concatenation(ConcatenationOptions { axis: 2, ..Default::default() });
    for channels in [8, 12, 40, 72, 136] {
        let dims = data(&[2, 3, channels]);
        for begin in [[0, 1, 0], [0, 1, 4], [1, 0, 8]] {
            let some = channels as i32 - begin[2];
            if some > 0 {
                all(&Op::Slice, &[dims.clone(), ints(&begin), ints(&[-1, 2, some])])?;
            }
        }
        all(&Op::Transpose, &[data(&[2, 3, 5, channels]), ints(&[0, 2, 1, 3])])?;
        for first in [4, 8] {
            all(&join, &[data(&[2, 3, first]), dims.clone(), data(&[2, 3, 16])])?;
        }
    }
    Ok(())
}

#[test]
fn strided_slices_with_masks_and_negative_strides() -> TestResult {
    let masks = |begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask| {
        Op::StridedSlice(StridedSliceOptions {
            begin_mask,
            end_mask,
            ellipsis_mask,
            new_axis_mask,
            shrink_axis_mask,
            offset: false,
        })
    };
    let plain = masks(0, 0, 0, 0, 0);
    for channels in [1, 3, 4, 8, 9, 33] {
        let dims = [3, 4, channels];
        let end = channels as i32;
        for (begin, to, strides) in [
            ([0, 0, 0], [3, 4, end], [1, 1, 1]),
            ([0, 1, 0], [3, 4, end], [2, 3, 1]),
            ([0, 0, 0], [3, 4, end], [1, 2, 2]),
            ([-1, 3, 0], [-9, 0, end], [-1, -2, 1]),
            ([0, 0, -1], [1, 9, -99], [1, 1, -1]),
            ([0, 0, -1], [3, 4, -99], [1, 1, -3]),
        ] {
            float(&plain, &[data(&dims), ints(&begin), ints(&to), ints(&strides)])?;
        }
    }
    let (begin, end) = (ints(&[1, 0, 2]), ints(&[2, 3, 4]));
    let ones = ints(&[1, 1, 1]);
    for op in [
        masks(0, 0, 0, 0, 1),
        masks(0, 0, 0, 0, 7),
        masks(7, 7, 0, 0, 0),
        masks(0, 0, 2, 0, 4),
        masks(0, 0, 0, 2, 1),
        masks(1, 2, 4, 1, 2),
    ] {
        all(&op, &[data(&[2, 3, 5]), begin.clone(), end.clone(), ones.clone()])?;
        float(&op, &[data(&[2, 3, 4, 5]), begin.clone(), end.clone(), ones.clone()])?;
    }
    float(&masks(0, 0, 0, 0, 1), &[data(&[5]), ints(&[3]), ints(&[4]), ints(&[1])])
}

#[test]
fn pads_with_a_value() -> TestResult {
    for channels in [1, 3, 4, 5, 8, 9, 33] {
        let dims = [2, 3, 4, channels];
        for list in [
            [(0, 0), (1, 2), (2, 1), (0, 0)],
            [(1, 0), (0, 0), (0, 3), (0, 0)],
            [(0, 0), (0, 0), (0, 0), (4, 0)],
            [(0, 0), (0, 1), (0, 0), (1, 2)],
            [(0, 0), (0, 0), (0, 0), (0, 3)],
            [(0, 0); 4],
        ] {
            float(&Op::Pad, &[data(&dims), pairs(&list)])?;
            float(&Op::Padv2, &[data(&dims), pairs(&list), Arg::Constant(vec![])])?;
        }
    }
    all(&Op::Pad, &[data(&[3, 5]), pairs(&[(1, 1), (2, 3)])])?;
    all(&Op::Padv2, &[data(&[3, 5]), pairs(&[(1, 1), (2, 3)]), Arg::Constant(vec![1])])?;
    all(
        &Op::Padv2,
        &[data(&[3, 1, 2, 2, 8]), pairs(&[(1, 1), (0, 3), (0, 0), (1, 0), (0, 0)]), Arg::Constant(vec![])],
    )?;
    float(&Op::Pad, &[data(&[7]), pairs(&[(2, 1)])])
}

#[test]
fn mirrored_pads() -> TestResult {
    for mode in [MirrorPadMode::Reflect, MirrorPadMode::Symmetric] {
        let op = Op::MirrorPad(MirrorPadOptions { mode });
        for channels in [3, 4, 5, 9] {
            float(&op, &[data(&[1, 3, 4, channels]), pairs(&[(0, 0), (2, 1), (1, 3), (0, 0)])])?;
            float(&op, &[data(&[2, 2, channels]), pairs(&[(1, 0), (0, 1), (2, 1)])])?;
        }
        all(&op, &[data(&[6]), pairs(&[(5, 5)])])?;
    }
    let op = Op::MirrorPad(MirrorPadOptions { mode: MirrorPadMode::Symmetric });
    float(&op, &[data(&[2, 3, 1]), pairs(&[(2, 2), (3, 3), (1, 1)])])
}

#[test]
fn tiles_and_broadcasts() -> TestResult {
    for channels in [1, 3, 4, 5, 8] {
        float(&Op::Tile, &[data(&[2, 3, channels]), ints(&[1, 1, 3])])?;
        float(&Op::Tile, &[data(&[2, 3, channels]), ints(&[2, 3, 1])])?;
        float(&Op::Tile, &[data(&[2, 3, channels]), ints(&[1, 2, 2])])?;
        float(&Op::BroadcastTo, &[data(&[3, 1, channels]), ints(&[2, 3, 4, channels as i32])])?;
        float(&Op::BroadcastTo, &[data(&[channels, 1]), ints(&[2, channels as i32, 9])])?;
    }
    all(&Op::Tile, &[data(&[5]), ints(&[4])])?;
    all(&Op::BroadcastTo, &[data(&[]), ints(&[2, 3])])?;
    all(&Op::BroadcastTo, &[data(&[2, 1, 3, 1]), ints(&[2, 4, 3, 5])])
}

#[test]
fn reversals() -> TestResult {
    for channels in [1, 3, 4, 9] {
        for axes in [vec![0], vec![1], vec![2], vec![-1, 0], vec![0, 1, 2]] {
            float(&Op::ReverseV2, &[data(&[2, 3, channels]), ints(&axes)])?;
        }
    }
    all(&Op::ReverseV2, &[data(&[2, 7]), ints(&[1])])
}

#[test]
fn concatenations_along_every_axis() -> TestResult {
    let op = |axis| Op::Concatenation(ConcatenationOptions { axis, ..Default::default() });
    for parts in
        [vec![1, 1], vec![3, 5, 1], vec![4, 8, 3], vec![2, 2, 2, 2, 2], vec![33, 7], vec![1, 2, 3, 4, 5, 6, 7, 8, 9]]
    {
        for axis in 0..3 {
            let dims = |n: usize| {
                let mut dims = vec![2, 3, 5];
                dims[axis] = n;
                data(&dims)
            };
            let args: Vec<Arg> = parts.iter().map(|&n| dims(n)).collect();
            float(&op(axis as i32), &args)?;
        }
        let rows: Vec<Arg> = parts.iter().map(|&n| data(&[n])).collect();
        all(&op(-1), &rows)?;
    }
    all(&op(3), &[data(&[2, 1, 3, 6]), Arg::Constant(vec![2, 1, 3, 3]), data(&[2, 1, 3, 3])])?;
    run(DType::Bool, &op(0), &[data(&[2, 3]), data(&[1, 3])], 1)
}

#[test]
fn joined_tensors_may_be_bounded() -> TestResult {
    use ActivationFunctionType::{Relu, Relu6, ReluN1To1};
    for fused_activation_function in [Relu, Relu6, ReluN1To1] {
        let op = Op::Concatenation(ConcatenationOptions { axis: 2, fused_activation_function });
        float(&op, &[data(&[1, 2, 3]), data(&[1, 2, 6])])?;
    }
    Ok(())
}

#[test]
fn the_same_tensor_may_be_joined_with_itself() -> TestResult {
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", DType::Float32, &[3, 5]);
    let op = Op::Concatenation(ConcatenationOptions { axis: 1, ..Default::default() });
    let b = graph.op(op, &[Some(a), Some(a), Some(a)], &[("b", DType::Float32, &[3, 15])]);
    graph.output(b);
    let program = ModelBuilder::new().subgraph(graph).program();
    check_as("a, a, a", &program, &[numbered(DType::Float32, &[3, 5], 0)?], &MODES)
}

#[test]
fn packs_and_unpacks() -> TestResult {
    for channels in [1, 3, 4, 5] {
        for axis in 0..3 {
            let pack = Op::Pack(PackOptions { values_count: 3, axis });
            float(&pack, &[data(&[2, channels]), data(&[2, channels]), data(&[2, channels])])?;
            let dims = [2, 3, channels];
            let num = dims[axis as usize];
            let unpack = Op::Unpack(UnpackOptions { num: num as i32, axis });
            run(DType::Float32, &unpack, &[data(&dims)], num)?;
        }
    }
    all(&Op::Pack(PackOptions { values_count: 5, axis: -1 }), &vec![data(&[]); 5])?;
    run(DType::Int32, &Op::Unpack(UnpackOptions { num: 7, axis: 0 }), &[data(&[7])], 7)
}

#[test]
fn splits_along_every_axis() -> TestResult {
    for (dims, axis, count) in
        [([2, 6, 5], 1, 3), ([4, 3, 5], 0, 2), ([2, 3, 8], 2, 2), ([2, 3, 9], -1, 3), ([1, 2, 6], 2, 6)]
    {
        let split = Op::Split(SplitOptions { num_splits: count });
        run(DType::Float32, &split, &[ints(&[axis]), data(&dims)], count as usize)?;
        run(DType::Int32, &split, &[ints(&[axis]), data(&dims)], count as usize)?;
    }
    for sizes in [[4, 4, 1], [1, 3, 5], [-1, 2, 2]] {
        let split = Op::SplitV(SplitVOptions { num_splits: 3 });
        run(DType::Float32, &split, &[data(&[2, 9]), ints(&sizes), ints(&[1])], 3)?;
        run(DType::Float32, &split, &[data(&[9, 3]), ints(&sizes), ints(&[0])], 3)?;
    }
    Ok(())
}

#[test]
fn blocks_of_pixels() -> TestResult {
    for channels in [1, 2, 3, 4, 8] {
        for block_size in [1, 2, 3] {
            let to_depth = Op::SpaceToDepth(SpaceToDepthOptions { block_size });
            float(&to_depth, &[data(&[2, 6, 6, channels])])?;
            let to_space = Op::DepthToSpace(DepthToSpaceOptions { block_size });
            let area = (block_size * block_size) as usize;
            float(&to_space, &[data(&[2, 2, 3, channels * area])])?;
        }
    }
    all(&Op::SpaceToDepth(SpaceToDepthOptions { block_size: 2 }), &[data(&[1, 2, 4, 3])])?;
    all(&Op::DepthToSpace(DepthToSpaceOptions { block_size: 2 }), &[data(&[1, 2, 2, 12])])
}
