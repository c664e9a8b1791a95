//! What must hold for all shapes, slices and graphs: random ones, with the smallest that fails.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tflite_wgpu::{
    DelegateOptions, Model,
    model::{
        AddOptions, ConcatenationOptions, DType, GraphBuilder, ModelBuilder, Op, StridedSliceOptions, TensorId,
        infer::{StridedSliceArgs, broadcast, strided_slice_plan},
    },
    plan::{Plan, Space, step::Operand},
    preview,
    tuning::{AdapterClass, Tuning},
};

/// NumPy's rule, a size at a time.
fn broadcast_pair(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    (0..rank)
        .map(|i| match (size(a, i), size(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Indices that Python's `range(size)[begin:end:stride]` has, walked one by one.
fn python_slice(size: i64, begin: Option<i64>, end: Option<i64>, stride: i64) -> Vec<usize> {
    let place = |index: i64| if index < 0 { index + size } else { index };
    let (mut at, mut taken) = (0, Vec::new());
    // Forward: from the first place at or after `begin`; backward: from the first at or before it.
    let first = begin.map_or(if stride > 0 { 0 } else { size - 1 }, place);
    let first = if stride > 0 { first.max(0) } else { first.min(size - 1) };
    let last = end.map(place);
    loop {
        let index = first + at * stride;
        let inside = (0..size).contains(&index);
        let before = last.is_none_or(|last| if stride > 0 { index < last } else { index > last });
        match usize::try_from(index) {
            Ok(index) if inside && before => taken.push(index),
            _ => return taken,
        }
        at += 1;
    }
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![Just(0usize), Just(1), Just(2), Just(3)], 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn broadcasting_is_numpys(a in sizes(), b in sizes()) {
        prop_assert_eq!(broadcast(&[&a, &b]).ok(), broadcast_pair(&a, &b));
        prop_assert_eq!(broadcast(&[&b, &a]).ok(), broadcast_pair(&a, &b));
    }

    #[test]
    fn slices_are_pythons(
        size in 0usize..7,
        begin in -9i64..9,
        end in -9i64..9,
        stride in prop_oneof![-3i64..0, 1i64..4],
        masks in 0i32..4,
    ) {
        let options = StridedSliceOptions { begin_mask: masks & 1, end_mask: masks >> 1, ..Default::default() };
        let args = StridedSliceArgs { begin: &[begin], end: &[end], strides: &[stride], options: &options };
        let plan = strided_slice_plan(&[size], &args).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        let dim = plan.dims[0];
        let taken: Vec<usize> =
            (0..dim.size).filter_map(|i| dim.begin.checked_add_signed(dim.stride * i.cast_signed())).collect();
        let (begin, end) = ((masks & 1 == 0).then_some(begin), (masks & 2 == 0).then_some(end));
        prop_assert_eq!(taken, python_slice(size as i64, begin, end, stride));
    }
}

/// One node of a random graph: what it does, and which earlier tensors it reads (modulo their number).
#[derive(Clone, Debug)]
struct Choice {
    kind: usize,
    reads: [usize; 2],
    is_output: bool,
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let one = (0usize..5, 0usize..64, 0usize..64, prop::bool::weighted(0.2));
    prop::collection::vec(one.prop_map(|(kind, a, b, is_output)| Choice { kind, reads: [a, b], is_output }), 1..24)
}

/// A graph of elementwise nodes, softmaxes, products and joins on tensors with `rows` rows.
fn model(choices: &[Choice], rows: usize, channels: usize) -> Result<Model, Box<dyn std::error::Error>> {
    const F: DType = DType::Float32;
    let mut graph = GraphBuilder::new();
    let mut tensors: Vec<(TensorId, usize)> = Vec::new();
    for i in 0..2 {
        tensors.push((graph.input(&format!("x{i}"), F, &[rows, channels]), channels));
    }
    for (i, choice) in choices.iter().enumerate() {
        let (a, width) = tensors[choice.reads[0] % tensors.len()];
        let same: Vec<TensorId> = tensors.iter().filter(|(_, w)| *w == width).map(|(id, _)| *id).collect();
        let b = same[choice.reads[1] % same.len()];
        let (op, inputs, out) = match choice.kind {
            0 => (Op::Tanh, vec![Some(a)], width),
            1 => (Op::Add(AddOptions::default()), vec![Some(a), Some(b)], width),
            2 => (Op::Maximum, vec![Some(a), Some(b)], width),
            3 => (Op::Softmax(tflite_wgpu::model::SoftmaxOptions { beta: 1.0 }), vec![Some(a)], width),
            _ if width > 64 => (Op::Exp, vec![Some(a)], width),
            _ => {
                let options = ConcatenationOptions { axis: 1, ..ConcatenationOptions::default() };
                (Op::Concatenation(options), vec![Some(a), Some(b)], 2 * width)
            }
        };
        let id = graph.op(op, &inputs, &[(&format!("t{i}"), F, &[rows, out])]);
        tensors.push((id, out));
        if choice.is_output || i + 1 == choices.len() {
            graph.output(id);
        }
    }
    Ok(Model::new(ModelBuilder::new().subgraph(graph).program())?)
}

/// First and last step that binds each root, with what it takes of the arena; uploads live from the start, downloads to
/// the end.
fn lives(plan: &Plan) -> BTreeMap<TensorId, (usize, usize, usize, usize)> {
    let mut lives = BTreeMap::new();
    for (at, step) in plan.steps.iter().enumerate() {
        for operand in &step.bindings {
            let Operand::Tensor(id) = operand else { continue };
            let Some(slot) = plan.slots.get(id).filter(|slot| slot.space == Space::Arena) else { continue };
            let life = lives.entry(slot.root).or_insert((at, at, slot.offset, 0));
            life.1 = at;
            life.3 = life.3.max(slot.bytes);
        }
    }
    for upload in &plan.uploads {
        if let Some(life) = lives.get_mut(&upload.raw) {
            life.0 = 0;
        }
    }
    for download in &plan.downloads {
        if let Some(life) = lives.get_mut(&download.raw) {
            life.1 = plan.steps.len();
        }
    }
    lives
}

/// The first pair of tensors that are alive together and share bytes.
fn overlap(plan: &Plan) -> Option<String> {
    let lives: Vec<_> = lives(plan).into_iter().collect();
    for (i, (a, x)) in lives.iter().enumerate() {
        for (b, y) in lives.iter().skip(i + 1) {
            let together = x.0 <= y.1 && y.0 <= x.1;
            if together && x.2 < y.2 + y.3 && y.2 < x.2 + x.3 {
                return Some(format!("{a} {x:?} and {b} {y:?}"));
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn tensors_that_live_together_lie_apart(choices in choices(), rows in 1usize..40, channels in 1usize..20) {
        let fail = |error: String| TestCaseError::fail(error);
        let model = model(&choices, rows, channels).map_err(|error| fail(error.to_string()))?;
        let options = DelegateOptions::default();
        for class in [AdapterClass::Lavapipe, AdapterClass::Discrete] {
            let partitions = preview(&model, &options, &Tuning::of(class, true, true));
            prop_assert!(!partitions.is_empty());
            for partition in partitions {
                let plan = partition.plan.map_err(|error| fail(error.to_string()))?;
                prop_assert_eq!(overlap(&plan), None);
                let end = lives(&plan).values().map(|life| life.2 + life.3).max().unwrap_or(0);
                prop_assert!(end <= plan.arena_bytes, "{} bytes of {}", end, plan.arena_bytes);
                prop_assert!(plan.live_bytes <= plan.arena_bytes);
            }
        }
    }
}

#[test]
fn an_overlap_is_noticed() -> Result<(), Box<dyn std::error::Error>> {
    let twice =
        [Choice { kind: 0, reads: [0, 0], is_output: false }, Choice { kind: 3, reads: [2, 0], is_output: true }];
    let model = model(&twice, 8, 8)?;
    let tuning = Tuning::of(AdapterClass::Lavapipe, true, true);
    let partition = preview(&model, &DelegateOptions::default(), &tuning).into_iter().next().ok_or("no partition")?;
    let mut plan = partition.plan?;
    assert_eq!(overlap(&plan), None);
    plan.slots.values_mut().for_each(|slot| slot.offset = 0);
    assert!(overlap(&plan).is_some());
    Ok(())
}
