//! Comparing a fast kernel with the plain one, at every level of vectors and with several threads.

use std::error::Error;

use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, NodeId, Op, SubgraphId};

use super::{FastKernel, Prepare, Workspace};
use crate::{
    Model,
    eval::{EvalEnv, Hybrid},
    memory::MemoryError,
    node::{Evaluation, NodeState, run_node},
    simd::Level,
    threads::{Team, Threads},
    value::Value,
};

/// Error that a fast kernel may have, of the largest magnitude of the plain kernel's results.
const TOLERANCE: f32 = 1e-5;

pub(super) type PrepareAt = fn(Level, &Prepare<'_>) -> Option<Box<dyn FastKernel>>;

/// An operand of a node.
pub(super) enum Operand {
    /// Given at each run.
    Input(Value),
    /// Known when the kernel is prepared.
    Constant(Value),
    /// Left out.
    Omitted,
}

/// `count` numbers between -1 and 1, always the same for a seed.
pub(super) fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_769).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Noise of a shape.
pub(super) fn value(seed: u32, shape: &[usize]) -> Result<Value, Box<dyn Error>> {
    Ok(Value::f32(shape, &noise(seed, shape.iter().product()))?)
}

/// Compares results; NaN has to meet NaN.
pub(super) fn judge(expected: &[f32], found: &[f32]) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!("{} elements instead of {}", found.len(), expected.len()));
    }
    let finite = expected.iter().filter(|v| v.is_finite());
    let largest = finite.fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let same = |e: f32, f: f32| e == f || (e.is_nan() && f.is_nan()) || (e - f).abs() <= TOLERANCE * largest;
    match expected.iter().zip(found).position(|(&e, &f)| !same(e, f)) {
        Some(i) => Err(format!("element {i} is {} instead of {}", found[i], expected[i])),
        None => Ok(()),
    }
}

/// A model of one node with FLOAT32 results.
pub(super) fn model(op: Op, operands: &[Operand], outputs: &[&[usize]]) -> Result<Model, Box<dyn Error>> {
    let mut graph = GraphBuilder::new();
    let mut ids = Vec::new();
    for (i, operand) in operands.iter().enumerate() {
        let name = format!("operand{i}");
        ids.push(match operand {
            Operand::Input(value) => Some(graph.input(&name, value.dtype(), value.shape())),
            Operand::Constant(value) => {
                Some(graph.constant(&name, value.dtype(), value.shape(), value.bytes().to_vec()))
            }
            Operand::Omitted => None,
        });
    }
    let outputs: Vec<(String, &[usize])> = outputs.iter().enumerate().map(|(i, s)| (format!("y{i}"), *s)).collect();
    let tensors: Vec<_> = outputs.iter().map(|(name, shape)| (name.as_str(), DType::Float32, *shape)).collect();
    graph.op(op, &ids, &tensors);
    Ok(Model::new(ModelBuilder::new().subgraph(graph).program())?)
}

/// Runs the fast kernel at every level with 1, 2 and 3 threads, twice each; all must agree with the plain kernel, and
/// those of a level in every bit.
pub(super) fn check(
    prepare: PrepareAt,
    op: Op,
    operands: &[Operand],
    outputs: &[&[usize]],
) -> Result<(), Box<dyn Error>> {
    let model = model(op, operands, outputs)?;
    let graph = model.program().graph(SubgraphId(0)).ok_or("no subgraph")?;
    let node = graph.nodes.first().ok_or("no node")?;
    let all: Vec<Option<&Value>> = operands
        .iter()
        .map(|operand| match operand {
            Operand::Input(value) | Operand::Constant(value) => Some(value),
            Operand::Omitted => None,
        })
        .collect();
    let expected = run_node(node, &graph.tensors, &all)?;
    let teams = [1, 2, 3].map(Team::new);
    let mut bits: Vec<Vec<u8>> = Vec::new();
    for (level, team) in Level::all().into_iter().flat_map(|level| teams.iter().map(move |team| (level, team))) {
        let (tensors, _invoked) = (&graph.tensors, team.invoke());
        let given = Prepare { model: &model, subgraph: SubgraphId(0), node, tensors, hybrid: Hybrid::Float };
        let kernel = prepare(level, &given).ok_or("the node was refused")?;
        let inputs: Vec<_> = all.iter().enumerate().map(|(i, v)| v.filter(|_| kernel.holds(i).is_none())).collect();
        let (mut state, mut workspace) = (NodeState::default(), Workspace::default());
        workspace.take::<f32>(1 << 16).fill(f32::NAN);
        for _ in 0..2 {
            // What is left in memory shows up as NaN.
            let mut allocate = |_, dtype, shape: &[usize]| {
                let mut value = Value::zeros(dtype, shape).map_err(MemoryError::Value)?;
                value.bytes_mut().fill(0xff);
                Ok(value)
            };
            let mut evaluation = Evaluation {
                subgraph: SubgraphId(0),
                id: Some(NodeId(0)),
                node,
                inputs: &inputs,
                env: EvalEnv { tensors, threads: Threads::of(team), ..EvalEnv::default() },
                memory: &mut Vec::new(),
                state: &mut state,
                allocate: &mut allocate,
            };
            let found = evaluation.run_fast(kernel.as_ref(), &mut workspace)?.map_err(|_| "the run was refused")?;
            let found_bits: Vec<Vec<u8>> = found.outputs.iter().map(|value| value.bytes().to_vec()).collect();
            if team.count() == 1 {
                bits.clone_from(&found_bits);
            }
            assert!(bits == found_bits, "{} threads change bits", team.count());
            for (expected, found) in expected.iter().zip(&found.outputs) {
                assert_eq!(expected.shape(), found.shape());
                judge(expected.as_slice()?, found.as_slice()?)
                    .map_err(|error| format!("{} lanes, {} threads: {error}", level.lanes(), team.count()))?;
            }
        }
    }
    Ok(())
}

#[test]
fn wrong_results_are_found() {
    let right = noise(1, 40);
    assert_eq!(judge(&right, &right), Ok(()));
    for (i, wrong) in [(0, right[0] + 1e-4), (39, 0.0), (7, f32::NAN), (20, -right[20])] {
        let mut found = right.clone();
        found[i] = wrong;
        assert!(judge(&right, &found).is_err_and(|error| error.starts_with(&format!("element {i} "))), "{i}");
    }
    assert!(judge(&right, &right[..39]).is_err());
    assert!(judge(&[f32::NAN], &[0.0]).is_err() && judge(&[f32::INFINITY], &[3e38]).is_err());
}

#[test]
fn a_kernel_that_leaves_an_element_is_found() -> Result<(), Box<dyn Error>> {
    use super::{Ran, Scratch};
    use crate::eval::{EvalCtx, KernelError};
    struct Lazy;
    impl FastKernel for Lazy {
        fn run(&self, ctx: &mut EvalCtx<'_>, _: &mut Scratch<'_>) -> Result<Ran, KernelError> {
            let input = ctx.slice::<f32>(0)?;
            ctx.output::<f32>(0)?[1..].copy_from_slice(&input[1..]);
            Ok(Ran::Done)
        }
    }
    let lazy: PrepareAt = |_, _| Some(Box::new(Lazy));
    let error = check(lazy, Op::Abs, &[Operand::Input(Value::f32(&[3], &[1.0, 2.0, 3.0])?)], &[&[3]]).err();
    assert!(error.is_some_and(|error| error.to_string().contains("element 0 is NaN")));
    Ok(())
}
