//! Values that decide over shapes and come from the caller or the CPU; tensors without elements.

mod common;

use common::{TestResult, random, run_with};
use tflite_wgpu::{DelegateOptions, GpuDelegate, Report, compare};
use tflite_wgpu_fallback::{Interpreter, Model, Value};
use tflite_wgpu_model::*;

const F: DType = DType::Float32;
const I: DType = DType::Int32;

type Res<T> = Result<T, Box<dyn std::error::Error>>;

/// Runs a program with several sets of inputs on both sides, each side in one interpreter, and compares; nothing may
/// fall back. `None` without an adapter.
fn rounds(program: &Program, rounds: &[Vec<Value>]) -> Res<Option<Report>> {
    let Some(device) = common::device()? else { return Ok(None) };
    let model = Model::new(program.clone())?;
    let delegate = GpuDelegate::with_device(device, DelegateOptions::parse(["device=gpu", "precision=f32"])?);
    let report = delegate.report();
    let mut cpu = Interpreter::builder(&model).build()?;
    let mut gpu = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    for (n, inputs) in rounds.iter().enumerate() {
        let (expected, found) = (run_with(&mut cpu, inputs)?, run_with(&mut gpu, inputs)?);
        if let Some(fallback) = gpu.fallbacks().first() {
            return Err(format!("round {n}: the CPU took over: {}", fallback.reason).into());
        }
        assert!(!expected.is_empty());
        for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
            assert_eq!(expected.shape(), found.shape(), "round {n}, output {i}");
            if !expected.is_empty() {
                compare::compare(expected, found, &compare::F32).map_err(|e| format!("round {n}, output {i} {e}"))?;
            }
        }
    }
    let report = report.lock().map_err(|_| "the report is poisoned")?.clone();
    Ok(Some(report))
}

fn i32s(list: &[i32]) -> Res<Value> {
    Ok(Value::i32(&[list.len()], list)?)
}

/// A node whose second operand is the caller's, followed by one whose shape follows.
fn steered(op: Op, steering: (DType, &[usize])) -> Program {
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &[2, 6]);
    let by = graph.input("by", steering.0, steering.1);
    let y = graph.op(op, &[Some(x), Some(by)], &[("y", F, &[])]);
    let z = graph.op(Op::Tanh, &[Some(y)], &[("z", F, &[])]);
    graph.output(z);
    ModelBuilder::new().subgraph(graph).program()
}

#[test]
fn shapes_come_from_the_caller() -> TestResult {
    let x = random(1, &[2, 6])?;
    let reshape = Op::Reshape(ReshapeOptions::default());
    let sets = [vec![x.clone(), i32s(&[3, 4])?], vec![x.clone(), i32s(&[12, 1])?], vec![x.clone(), i32s(&[3, 4])?]];
    if let Some(report) = rounds(&steered(reshape, (I, &[2])), &sets)? {
        assert_eq!((report.gpu_nodes(), report.node_count()), (2, 2));
    }
    let sets = [vec![x.clone(), i32s(&[1, 0])?], vec![x.clone(), i32s(&[0, 1])?]];
    rounds(&steered(Op::Transpose, (I, &[2])), &sets)?;
    let pads = |list: [i32; 4]| Value::i32(&[2, 2], &list);
    let sets = [vec![x.clone(), pads([0, 1, 2, 0])?], vec![x, pads([1, 1, 0, 3])?]];
    rounds(&steered(Op::Pad, (I, &[2, 2])), &sets)?;
    Ok(())
}

/// Weights that the caller gives, and gives anew: packed forms of the old ones are not used again.
#[test]
fn weights_come_from_the_caller() -> TestResult {
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &[1, 5, 5, 3]);
    let w = graph.input("w", F, &[4, 3, 3, 3]);
    let bias = graph.constant_f32("bias", &[4], &[0.5; 4]);
    let options = Conv2DOptions { stride_h: 1, stride_w: 1, ..Conv2DOptions::default() };
    let y = graph.op(Op::Conv2d(options), &[Some(x), Some(w), Some(bias)], &[("y", F, &[])]);
    graph.output(y);
    let program = ModelBuilder::new().subgraph(graph).program();
    let set = |seed| -> Res<Vec<Value>> { Ok(vec![random(1, &[1, 5, 5, 3])?, random(seed, &[4, 3, 3, 3])?]) };
    if let Some(report) = rounds(&program, &[set(2)?, set(3)?, set(2)?])? {
        assert_eq!(report.gpu_nodes(), 1);
    }
    Ok(())
}

/// A shape that is taken apart and put together again, of a tensor whose shape the caller's value decides.
#[test]
fn shapes_follow_from_shapes() -> TestResult {
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &[2, 6]);
    let multiples = graph.input("multiples", I, &[2]);
    let tiled = graph.op(Op::Tile, &[Some(x), Some(multiples)], &[("tiled", F, &[])]);
    let shape = graph.op(Op::Shape(ShapeOptions { out_type: I }), &[Some(tiled)], &[("shape", I, &[])]);
    let bounds = |graph: &mut GraphBuilder, name: &str, at: i32| graph.constant_i32(name, &[1], &[at]);
    let (begin, end, one) =
        (bounds(&mut graph, "begin", 1), bounds(&mut graph, "end", 2), bounds(&mut graph, "one", 1));
    let slice = Op::StridedSlice(StridedSliceOptions { shrink_axis_mask: 1, ..StridedSliceOptions::default() });
    let columns = graph.op(slice, &[Some(shape), Some(begin), Some(end), Some(one)], &[("columns", I, &[])]);
    let rest = graph.constant_i32("rest", &[], &[-1]);
    let pack = Op::Pack(PackOptions { values_count: 2, axis: 0 });
    let target = graph.op(pack, &[Some(columns), Some(rest)], &[("target", I, &[])]);
    let reshape = Op::Reshape(ReshapeOptions::default());
    let y = graph.op(reshape, &[Some(tiled), Some(target)], &[("y", F, &[])]);
    graph.output(y);
    let program = ModelBuilder::new().subgraph(graph).program();
    let set = |list: &[i32]| -> Res<Vec<Value>> { Ok(vec![random(4, &[2, 6])?, i32s(list)?]) };
    if let Some(report) = rounds(&program, &[set(&[1, 1])?, set(&[3, 2])?, set(&[1, 1])?])? {
        assert_eq!((report.gpu_nodes(), report.partitions.len()), (5, 1));
    }
    Ok(())
}

/// What the kernels refuse once the values are there, the CPU computes.
#[test]
fn refused_values_go_to_the_cpu() -> TestResult {
    let Some(device) = common::device()? else { return Ok(()) };
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", DType::Int64, &[2]);
    let pads = graph.constant_i32("pads", &[1, 2], &[1, 0]);
    let value = graph.input("value", DType::Int64, &[1]);
    let y = graph.op(Op::Padv2, &[Some(x), Some(pads), Some(value)], &[("y", DType::Int64, &[])]);
    graph.output(y);
    let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
    let delegate = GpuDelegate::with_device(device, DelegateOptions::parse(["device=gpu"])?);
    let mut gpu = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let longs = |list: &[i64]| Value::from_slice(DType::Int64, &[list.len()], list);
    for (value, fallbacks) in [(7, 0), (1 << 40, 1)] {
        let found = run_with(&mut gpu, &[longs(&[1, 2])?, longs(&[value])?])?;
        assert_eq!(found, [longs(&[value, 1, 2])?]);
        assert_eq!(gpu.fallbacks().len(), fallbacks);
    }
    Ok(())
}

#[test]
fn nothing_is_computed_without_elements() -> TestResult {
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &[0, 3]);
    let y = graph.input("y", F, &[2, 3]);
    let a = graph.op(Op::Tanh, &[Some(x)], &[("a", F, &[])]);
    let join = Op::Concatenation(ConcatenationOptions::default());
    let b = graph.op(join, &[Some(a), Some(y)], &[("b", F, &[])]);
    let (sizes, axis) = (graph.constant_i32("sizes", &[2], &[3, 0]), graph.constant_i32("axis", &[], &[1]));
    let split = Op::SplitV(SplitVOptions { num_splits: 2 });
    let parts = graph.op_multi(split, &[Some(y), Some(sizes), Some(axis)], &[("c", F, &[]), ("d", F, &[])]);
    for id in [a, b].into_iter().chain(parts) {
        graph.output(id);
    }
    let program = ModelBuilder::new().subgraph(graph).program();
    let set = |rows: usize| -> Res<Vec<Value>> { Ok(vec![random(1, &[rows, 3])?, random(2, &[2, 3])?]) };
    if let Some(report) = rounds(&program, &[set(0)?, set(4)?, set(0)?])? {
        assert_eq!(report.gpu_nodes(), 3);
    }
    Ok(())
}

/// A variable takes a result of the GPU and gives it back in the next round, as another tensor.
#[test]
fn results_come_back_through_variables() -> TestResult {
    let assign = |graph: &mut GraphBuilder, handle, value| {
        let (inputs, none) = (vec![Some(handle), Some(value)], Vec::new());
        graph.node(Node { op: Op::AssignVariable, version: 1, inputs, outputs: none.clone(), intermediates: none });
    };
    let name = VarHandleOptions { shared_name: "state".into(), ..VarHandleOptions::default() };
    let mut first = GraphBuilder::new();
    let handle = first.op(Op::VarHandle(name.clone()), &[], &[("handle", DType::Resource, &[])]);
    let zeros = first.constant_f32("zeros", &[2, 3], &[0.0; 6]);
    assign(&mut first, handle, zeros);
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &[2, 3]);
    graph.op_multi(Op::CallOnce(CallOnceOptions { init_subgraph_index: 1 }), &[], &[]);
    let handle = graph.op(Op::VarHandle(name), &[], &[("handle", DType::Resource, &[])]);
    let old = graph.op(Op::ReadVariable, &[Some(handle)], &[("old", F, &[2, 3])]);
    let sum = graph.op(Op::Add(AddOptions::default()), &[Some(old), Some(x)], &[("sum", F, &[])]);
    assign(&mut graph, handle, sum);
    let y = graph.op(Op::Tanh, &[Some(sum)], &[("y", F, &[])]);
    graph.output(y);
    let program = ModelBuilder::new().subgraph(graph).subgraph(first).program();
    let Some(device) = common::device()? else { return Ok(()) };
    let model = Model::new(program)?;
    let delegate = GpuDelegate::with_device(device, DelegateOptions::parse(["device=gpu", "precision=f32"])?);
    let mut gpu = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    let x = Value::f32(&[2, 3], &[0.0, 0.25, -0.25, 0.5, 1.0, -1.0])?;
    for round in 1..=3 {
        let found = run_with(&mut gpu, std::slice::from_ref(&x))?;
        let expected: Vec<f32> = x.as_slice::<f32>()?.iter().map(|v| (v * round as f32).tanh()).collect();
        compare::compare(&Value::f32(&[2, 3], &expected)?, &found[0], &compare::F32)
            .map_err(|e| format!("round {round}: {e}"))?;
        assert!(gpu.fallbacks().is_empty(), "{:?}", gpu.fallbacks());
    }
    Ok(())
}
