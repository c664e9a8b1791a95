//! The whole road on small graphs: partitions, CPU nodes between them, results on both sides.

mod common;

use common::{TestResult, check, random, run_both};
use tflite_wgpu_model::{
    ActivationFunctionType, AddOptions, DType, GraphBuilder, ModelBuilder, MulOptions, Op, ReshapeOptions, ShapeOptions,
};

const F: DType = DType::Float32;

#[test]
fn a_chain_is_one_partition() -> TestResult {
    for dims in [vec![1, 3, 5, 4], vec![2, 3, 3, 7], vec![9], vec![], vec![1, 1, 1, 33]] {
        let mut graph = GraphBuilder::new();
        let (a, b) = (graph.input("a", F, &dims), graph.input("b", F, &dims));
        let relu = AddOptions { fused_activation_function: ActivationFunctionType::Relu, ..AddOptions::default() };
        let sum = graph.op(Op::Add(relu), &[Some(a), Some(b)], &[("sum", F, &dims)]);
        let product = graph.op(Op::Mul(MulOptions::default()), &[Some(sum), Some(a)], &[("product", F, &dims)]);
        let result = graph.op(Op::Tanh, &[Some(product)], &[("result", F, &dims)]);
        graph.output(result);
        let program = ModelBuilder::new().subgraph(graph).program();
        check(&format!("{dims:?}"), &program, &[random(1, &dims)?, random(2, &dims)?])?;
    }
    Ok(())
}

#[test]
fn cpu_nodes_split_partitions() -> TestResult {
    let dims = [2, 5, 6];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", F, &dims);
    let b = graph.op(Op::Exp, &[Some(a)], &[("b", F, &dims)]);
    let c = graph.op(Op::Tanh, &[Some(b)], &[("c", F, &dims)]);
    let d = graph.op(Op::Add(AddOptions::default()), &[Some(c), Some(b)], &[("d", F, &dims)]);
    graph.output(d);
    graph.output(b);
    let program = ModelBuilder::new().subgraph(graph).program();
    let both = run_both(&program, &[random(3, &dims)?], &["precision=f32", "deny_ops=TANH"])?;
    let Some(both) = both else { return Ok(()) };
    assert_eq!(both.report.partitions.len(), 2);
    assert_eq!(both.report.gpu_nodes(), 2);
    for (cpu, gpu) in both.cpu.iter().zip(&both.gpu) {
        tflite_wgpu::compare::compare(cpu, gpu, &tflite_wgpu::compare::F32).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// `b` is stored in f32 although the precision is f16, and crosses to another partition on the device; had the second
/// partition taken it for halves, or the first stored halves, the result would be off.
#[test]
fn wide_tensors_cross_partitions() -> TestResult {
    let dims = [2, 5, 6];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", F, &dims);
    let scaled = graph.constant_f32("scaled", &[], &[9.0]);
    let large = graph.op(Op::Mul(MulOptions::default()), &[Some(a), Some(scaled)], &[("large", F, &dims)]);
    let b = graph.op(Op::Exp, &[Some(large)], &[("b", F, &dims)]);
    let c = graph.op(Op::Tanh, &[Some(large)], &[("c", F, &dims)]);
    let d = graph.op(Op::Add(AddOptions::default()), &[Some(c), Some(b)], &[("d", F, &dims)]);
    let e = graph.op(Op::Log, &[Some(d)], &[("e", F, &dims)]);
    graph.output(e);
    let program = ModelBuilder::new().subgraph(graph).program();
    let values: Vec<f32> = (0..60).map(|i| i as f32 / 32.0).collect();
    let input = tflite_wgpu_fallback::Value::f32(&dims, &values)?;
    let both = run_both(&program, &[input], &["precision=f16", "deny_ops=TANH"])?;
    let Some(both) = both else { return Ok(()) };
    assert_eq!((both.report.partitions.len(), both.report.gpu_nodes()), (2, 4));
    for (cpu, gpu) in both.cpu.iter().zip(&both.gpu) {
        tflite_wgpu::compare::compare(cpu, gpu, &tflite_wgpu::compare::F16_OPERATOR).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// SHAPE and what follows from it are known, but depend on a node of the GPU in between: a partition with all three
/// would not be convex.
#[test]
fn chains_of_shapes_do_not_tie_partitions() -> TestResult {
    let dims = [2, 3, 4];
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &dims);
    let y = graph.op(Op::Tanh, &[Some(x)], &[("y", F, &dims)]);
    let z = graph.op(Op::Exp, &[Some(y)], &[("z", F, &dims)]);
    let out_type = DType::Int32;
    let shape = graph.op(Op::Shape(ShapeOptions { out_type }), &[Some(z)], &[("shape", DType::Int32, &[3])]);
    let one = graph.constant_i32("one", &[], &[1]);
    let product = || Op::Mul(MulOptions::default());
    let same = graph.op(product(), &[Some(shape), Some(one)], &[("same", DType::Int32, &[3])]);
    let reshape = Op::Reshape(ReshapeOptions { new_shape: vec![] });
    let w = graph.op(reshape, &[Some(y), Some(same)], &[("w", F, &dims)]);
    let v = graph.op(Op::Tanh, &[Some(w)], &[("v", F, &dims)]);
    graph.output(v);
    graph.output(z);
    let program = ModelBuilder::new().subgraph(graph).program();
    let both = run_both(&program, &[random(6, &dims)?], &["precision=f32", "deny_ops=EXP"])?;
    let Some(both) = both else { return Ok(()) };
    assert!(both.report.gpu_nodes() >= 3, "{:?}", both.report.subgraphs);
    for (cpu, gpu) in both.cpu.iter().zip(&both.gpu) {
        tflite_wgpu::compare::compare(cpu, gpu, &tflite_wgpu::compare::F32).map_err(|e| e.to_string())?;
    }
    Ok(())
}
