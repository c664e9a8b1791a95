//! The movement families' tables: numbers 0, 1, 2 … go in, their new order is typed by hand.

use tflite_wgpu_model::{
    ConcatenationOptions, DType, DepthToSpaceOptions, MirrorPadMode, MirrorPadOptions, Op, PackOptions,
    ReverseSequenceOptions, SpaceToDepthOptions, SplitVOptions, StridedSliceOptions, UnpackOptions,
};

use super::KernelError;
use super::testing::{Output, f32s, i32s, run, run_quantised, value};
use crate::value::Value;

fn iota(shape: &[usize]) -> Value {
    let count: usize = shape.iter().product();
    i32s(shape, &(0..count as i32).collect::<Vec<_>>())
}

fn list(numbers: &[i32]) -> Value {
    i32s(&[numbers.len()], numbers)
}

fn pairs(numbers: &[i32]) -> Value {
    i32s(&[numbers.len() / 2, 2], numbers)
}

type Case = (&'static str, Op, Vec<Value>, &'static [usize], &'static [i32]);

fn cases() -> Vec<Case> {
    let mirror = |mode| Op::MirrorPad(MirrorPadOptions { mode });
    let slice = |begin_mask, shrink_axis_mask| {
        Op::StridedSlice(StridedSliceOptions { begin_mask, shrink_axis_mask, ..StridedSliceOptions::default() })
    };
    let concat = |axis| Op::Concatenation(ConcatenationOptions { axis, ..ConcatenationOptions::default() });
    vec![
        ("transpose", Op::Transpose, vec![iota(&[2, 3]), list(&[1, 0])], &[3, 2], &[0, 3, 1, 4, 2, 5]),
        ("transpose negative", Op::Transpose, vec![iota(&[1, 2, 2]), list(&[0, -1, 1])], &[1, 2, 2], &[0, 2, 1, 3]),
        ("tile", Op::Tile, vec![iota(&[1, 2]), list(&[2, 2])], &[2, 4], &[0, 1, 0, 1, 0, 1, 0, 1]),
        ("tile of nothing", Op::Tile, vec![iota(&[2]), list(&[0])], &[0], &[]),
        ("broadcast to", Op::BroadcastTo, vec![iota(&[2, 1]), list(&[2, 2, 2])], &[2, 2, 2], &[0, 0, 1, 1, 0, 0, 1, 1]),
        ("broadcast scalar", Op::BroadcastTo, vec![i32s(&[], &[7]), list(&[3])], &[3], &[7, 7, 7]),
        ("broadcast args", Op::BroadcastArgs, vec![list(&[2, 1, 3]), list(&[4, 1])], &[3], &[2, 4, 3]),
        ("reverse", Op::ReverseV2, vec![iota(&[2, 2]), list(&[-1, 0])], &[2, 2], &[3, 2, 1, 0]),
        (
            "reverse sequence",
            Op::ReverseSequence(ReverseSequenceOptions { seq_dim: 1, batch_dim: 0 }),
            vec![iota(&[2, 3]), list(&[2, 3])],
            &[2, 3],
            &[1, 0, 2, 5, 4, 3],
        ),
        ("slice", Op::Slice, vec![iota(&[2, 3]), list(&[0, 1]), list(&[-1, 2])], &[2, 2], &[1, 2, 4, 5]),
        (
            "strided slice",
            slice(0, 2),
            vec![iota(&[3, 2]), list(&[-1, 1]), list(&[-4, 2]), list(&[-2, 1])],
            &[2],
            &[5, 1],
        ),
        ("begin mask", slice(1, 0), vec![iota(&[4]), list(&[2]), list(&[3]), list(&[2])], &[2], &[0, 2]),
        (
            "dynamic update slice",
            Op::DynamicUpdateSlice,
            vec![iota(&[2, 3]), i32s(&[1, 2], &[8, 9]), list(&[-5, 7])],
            &[2, 3],
            &[0, 8, 9, 3, 4, 5],
        ),
        ("pad", Op::Pad, vec![iota(&[1, 2]), pairs(&[1, 0, 0, 1])], &[2, 3], &[0, 0, 0, 0, 1, 0]),
        ("padv2", Op::Padv2, vec![iota(&[2]), pairs(&[1, 2]), list(&[9])], &[5], &[9, 0, 1, 9, 9]),
        ("reflect", mirror(MirrorPadMode::Reflect), vec![iota(&[3]), pairs(&[2, 1])], &[6], &[2, 1, 0, 1, 2, 1]),
        ("symmetric", mirror(MirrorPadMode::Symmetric), vec![iota(&[3]), pairs(&[2, 1])], &[6], &[1, 0, 0, 1, 2, 2]),
        ("concat", concat(-1), vec![iota(&[2, 1]), iota(&[2, 2])], &[2, 3], &[0, 0, 1, 1, 2, 3]),
        ("concat of zero rows", concat(0), vec![iota(&[0, 2]), iota(&[1, 2])], &[1, 2], &[0, 1]),
        (
            "pack",
            Op::Pack(PackOptions { values_count: 2, axis: -1 }),
            vec![iota(&[2]), list(&[8, 9])],
            &[2, 2],
            &[0, 8, 1, 9],
        ),
        (
            "space to depth",
            Op::SpaceToDepth(SpaceToDepthOptions { block_size: 2 }),
            vec![iota(&[1, 2, 4, 1])],
            &[1, 1, 2, 4],
            &[0, 1, 4, 5, 2, 3, 6, 7],
        ),
        (
            "depth to space",
            Op::DepthToSpace(DepthToSpaceOptions { block_size: 2 }),
            vec![iota(&[1, 1, 2, 4])],
            &[1, 2, 4, 1],
            &[0, 1, 4, 5, 2, 3, 6, 7],
        ),
        (
            "space to batch",
            Op::SpaceToBatchNd,
            vec![iota(&[1, 3, 1]), list(&[2]), pairs(&[1, 0])],
            &[2, 2, 1],
            &[0, 1, 0, 2],
        ),
        (
            "batch to space",
            Op::BatchToSpaceNd,
            vec![iota(&[2, 2, 1]), list(&[2]), pairs(&[1, 0])],
            &[1, 3, 1],
            &[2, 1, 3],
        ),
    ]
}

#[test]
fn elements_move() -> Result<(), KernelError> {
    for (name, op, inputs, shape, expected) in cases() {
        let found = run(op, &inputs, DType::Int32)?;
        assert_eq!(found, i32s(shape, expected), "{name}");
    }
    Ok(())
}

#[test]
fn strings_move_too() -> Result<(), KernelError> {
    let words =
        |list: &[&str]| value(Value::strings(&[list.len()], list.iter().map(|w| w.as_bytes().to_vec()).collect()));
    let found = run(Op::ReverseV2, &[words(&["a", "", "bcd"]), list(&[0])], DType::String)?;
    assert_eq!(found, words(&["bcd", "", "a"]));
    Ok(())
}

#[test]
fn parts_are_cut() -> Result<(), KernelError> {
    let part = |shape| Output(DType::Int32, shape, None);
    let inputs = [iota(&[2, 3]), list(&[2, -1]), list(&[1])].map(|v| Some((v, None)));
    let found = run_quantised(Op::SplitV(SplitVOptions { num_splits: 2 }), &inputs, &[part(&[]), part(&[])])?;
    assert_eq!(found, [i32s(&[2, 2], &[0, 1, 3, 4]), i32s(&[2, 1], &[2, 5])]);
    let unpack = Op::Unpack(UnpackOptions { num: 2, axis: 0 });
    let found = run_quantised(unpack, &[Some((iota(&[2, 2]), None))], &[part(&[]), part(&[])])?;
    assert_eq!(found, [list(&[0, 1]), list(&[2, 3])]);
    Ok(())
}

#[test]
fn quantised_padding_is_the_zero_point() -> Result<(), KernelError> {
    let bytes = |list: &[i8]| value(Value::from_slice(DType::Int8, &[list.len()], list));
    let inputs = [Some((bytes(&[5]), Some((0.5, -3)))), Some((pairs(&[1, 1]), None))];
    let found = run_quantised(Op::Pad, &inputs, &[Output(DType::Int8, &[], Some((0.5, -3)))])?;
    assert_eq!(found, [bytes(&[-3, 5, -3])]);
    Ok(())
}

#[test]
fn wrong_arguments_are_errors() {
    let concat = || Op::Concatenation(ConcatenationOptions { axis: 2, ..ConcatenationOptions::default() });
    let cases = [
        (Op::Transpose, vec![iota(&[2, 2]), list(&[0, 0])]),
        (Op::Transpose, vec![iota(&[2, 2]), list(&[0])]),
        (Op::Transpose, vec![iota(&[2, 2]), list(&[0, 2])]),
        (Op::Tile, vec![iota(&[2]), list(&[-1])]),
        (Op::BroadcastTo, vec![iota(&[2]), list(&[3])]),
        (Op::BroadcastTo, vec![iota(&[2, 2]), list(&[2])]),
        (Op::BroadcastArgs, vec![list(&[2]), list(&[3])]),
        (Op::ReverseV2, vec![iota(&[2]), list(&[1])]),
        (Op::Slice, vec![iota(&[2]), list(&[1]), list(&[2])]),
        (Op::Slice, vec![iota(&[2]), list(&[-1]), list(&[1])]),
        (Op::Pad, vec![iota(&[2]), pairs(&[-1, 0])]),
        (Op::Pad, vec![iota(&[2]), pairs(&[1, 0, 0, 1])]),
        (Op::Padv2, vec![iota(&[2]), pairs(&[1, 0]), f32s(&[1], &[0.0])]),
        (concat(), vec![iota(&[1, 2]), iota(&[1, 2])]),
        (Op::DepthToSpace(DepthToSpaceOptions { block_size: 2 }), vec![iota(&[1, 1, 1, 3])]),
        (Op::DepthToSpace(DepthToSpaceOptions { block_size: 0 }), vec![iota(&[1, 1, 1, 4])]),
        (Op::SpaceToBatchNd, vec![iota(&[1, 3, 1]), list(&[2]), pairs(&[0, 0])]),
        (Op::BatchToSpaceNd, vec![iota(&[2, 2, 1]), list(&[2]), pairs(&[3, 2])]),
        (Op::BatchToSpaceNd, vec![iota(&[3, 2, 1]), list(&[2]), pairs(&[0, 0])]),
        (Op::DynamicUpdateSlice, vec![iota(&[2]), iota(&[3]), list(&[0])]),
        (Op::MirrorPad(MirrorPadOptions { mode: MirrorPadMode::Reflect }), vec![iota(&[2]), pairs(&[2, 0])]),
    ];
    for (op, inputs) in cases {
        assert!(run(op.clone(), &inputs, DType::Int32).is_err(), "{op:?} {inputs:?}");
    }
}
