//! Every elementwise, reducing and row kernel that lowering asks for parses, validates and agrees with its row.

mod translate;

use std::collections::BTreeSet;

use tflite_wgpu::{
    kernels,
    ops::{self, LowerCtx},
    region::{Fused, Region, RegionNode, RegionTensor, Storage},
    tuning::{AdapterClass, Tuning},
};
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::*;
use translate::{DIALECTS, Result};

struct Case {
    op: Op,
    inputs: Vec<(DType, Vec<usize>)>,
    constants: Vec<(usize, Vec<i32>)>,
    output: (DType, Vec<usize>),
    fused: Vec<Fused>,
}

fn case(op: Op, inputs: &[(DType, &[usize])], output: (DType, &[usize])) -> Case {
    Case {
        op,
        inputs: inputs.iter().map(|(t, d)| (*t, d.to_vec())).collect(),
        constants: Vec::new(),
        output: (output.0, output.1.to_vec()),
        fused: Vec::new(),
    }
}

impl Case {
    fn constant(mut self, input: usize, values: &[i32]) -> Self {
        self.constants.push((input, values.to_vec()));
        self
    }

    fn fused(mut self, fused: Fused) -> Self {
        self.fused.push(fused);
        self
    }

    fn region(&self, float: Storage) -> Result<Region> {
        let mut region = Region::default();
        let mut add = |dtype: DType, dims: &[usize], constant| {
            let storage = if dtype.is_float() { float } else { Storage::I32 };
            let (name, dims) = ("t".to_owned(), dims.to_vec());
            region.add_tensor(RegionTensor { name, dtype, dims, constant, quant: None, storage })
        };
        let mut inputs = Vec::new();
        for (i, (dtype, dims)) in self.inputs.iter().enumerate() {
            let values = self.constants.iter().find(|(at, _)| *at == i);
            let constant = values.map(|(_, values)| Value::i32(dims, values)).transpose()?;
            inputs.push(Some(add(*dtype, dims, constant.map(Into::into))));
        }
        let output = add(self.output.0, &self.output.1, None);
        region.nodes.push(RegionNode {
            op: self.op.clone(),
            inputs,
            outputs: vec![Some(output)],
            fused: self.fused.clone(),
            pad: [0; 4],
            whole: None,
            origin: vec![NodeId(0)],
        });
        region.outputs.push(output);
        Ok(region)
    }
}

/// Lowers a case on every class in both storages, and validates each new text once.
fn validate(cases: &[Case]) -> Result {
    let mut seen = BTreeSet::new();
    for case in cases {
        for (float, class) in [
            (Storage::F32, AdapterClass::Lavapipe),
            (Storage::F16, AdapterClass::Lavapipe),
            (Storage::F16, AdapterClass::Discrete),
        ] {
            let tuning = Tuning::of(class, false, true);
            let mut region = case.region(float)?;
            let node = region.nodes[0].clone();
            let row = ops::row(case.op.builtin()).ok_or_else(|| format!("{:?}: no row", case.op))?;
            let mut ctx = LowerCtx::new(&mut region, &tuning);
            (row.lower)(&mut ctx, &node).map_err(|e| format!("{:?}: {e}", case.op))?;
            assert!(!ctx.lowered.steps.is_empty(), "{:?} has no steps", case.op);
            for step in &ctx.lowered.steps {
                let row = kernels::row(step.kernel).ok_or("no such kernel")?;
                for dialect in DIALECTS {
                    let text = kernels::render(row, &step.variant, dialect)?;
                    if seen.insert(text.clone()) {
                        check(&text, step.bindings.len()).map_err(|e| format!("{:?}: {e}", case.op))?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn check(text: &str, bindings: usize) -> Result {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text))?;
    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all())
        .validate(&module)
        .map_err(|e| e.emit_to_string(text))?;
    let storage = module
        .global_variables
        .iter()
        .filter(|(_, variable)| matches!(variable.space, naga::AddressSpace::Storage { .. }))
        .count();
    assert_eq!(storage, bindings);
    assert!(storage <= 8);
    Ok(())
}

const F: DType = DType::Float32;
const I: DType = DType::Int32;
const L: DType = DType::Int64;
const B: DType = DType::Bool;

#[test]
fn unary_kernels_validate() -> Result {
    let float = [
        Op::Abs,
        Op::Ceil,
        Op::Cos,
        Op::Elu,
        Op::Exp,
        Op::Floor,
        Op::Gelu(GeluOptions { approximate: false }),
        Op::Gelu(GeluOptions { approximate: true }),
        Op::HardSwish,
        Op::LeakyRelu(LeakyReluOptions { alpha: 0.1 }),
        Op::Log,
        Op::Logistic,
        Op::Neg,
        Op::Relu,
        Op::Relu0To1,
        Op::Relu6,
        Op::ReluN1To1,
        Op::Round,
        Op::Rsqrt,
        Op::Sign,
        Op::Sin,
        Op::Sqrt,
        Op::Square,
        Op::Tanh,
    ];
    let mut cases: Vec<_> = float.map(|op| case(op, &[(F, &[2, 3, 5])], (F, &[2, 3, 5]))).into();
    cases.extend([Op::Abs, Op::Neg, Op::Sign].map(|op| case(op, &[(I, &[7])], (I, &[7]))));
    cases.push(case(Op::LogicalNot, &[(B, &[7])], (B, &[7])));
    cases.push(case(Op::Abs, &[(F, &[7])], (F, &[7])).fused(Fused::Clamp { low: 0.0, high: 6.0 }));
    cases.push(case(Op::Abs, &[(I, &[7])], (I, &[7])).fused(Fused::Clamp { low: 0.0, high: 6.0 }));
    validate(&cases)
}

#[test]
fn binary_kernels_validate() -> Result {
    let ops = [
        Op::Add(AddOptions::default()),
        Op::Sub(SubOptions::default()),
        Op::Mul(MulOptions::default()),
        Op::Div(DivOptions::default()),
        Op::Maximum,
        Op::Minimum,
        Op::Pow,
        Op::SquaredDifference,
        Op::FloorDiv,
        Op::FloorMod,
    ];
    let mut cases = Vec::new();
    for op in ops {
        cases.push(case(op.clone(), &[(F, &[2, 3, 4, 5]), (F, &[5])], (F, &[2, 3, 4, 5])));
        cases.push(case(op, &[(I, &[2, 3, 4, 5]), (I, &[1])], (I, &[2, 3, 4, 5])));
    }
    cases.push(case(Op::Atan2, &[(F, &[3]), (F, &[3])], (F, &[3])));
    let out = (F, &[2, 3, 4, 5][..]);
    for a in [&[2, 3, 4, 5][..], &[5], &[], &[2, 3, 4, 1], &[3, 1, 5], &[3, 1, 1]] {
        for b in [&[2, 3, 4, 5][..], &[5], &[], &[2, 3, 4, 1], &[3, 1, 5], &[3, 1, 1]] {
            cases.push(case(Op::Add(AddOptions::default()), &[(F, a), (F, b)], out));
            cases.push(case(Op::Less, &[(F, a), (F, b)], (B, out.1)));
        }
    }
    for op in [Op::Equal, Op::NotEqual, Op::Less, Op::LessEqual, Op::Greater, Op::GreaterEqual] {
        for kind in [F, I, L] {
            cases.push(case(op.clone(), &[(kind, &[3]), (kind, &[3])], (B, &[3])));
        }
    }
    for op in [Op::LogicalAnd, Op::LogicalOr] {
        cases.push(case(op, &[(B, &[3, 2]), (B, &[2])], (B, &[3, 2])));
    }
    for kind in [F, I] {
        cases.push(case(Op::AddN, &[(kind, &[3][..]); 9], (kind, &[3])));
    }
    cases.push(case(Op::Prelu, &[(F, &[2, 3, 4, 5]), (F, &[1, 1, 5])], out));
    for condition in [&[2, 3, 4, 5][..], &[], &[2, 1, 1, 1]] {
        cases.push(case(Op::SelectV2, &[(B, condition), (F, &[2, 3, 4, 5]), (F, &[])], out));
        cases.push(case(Op::SelectV2, &[(B, condition), (L, &[2, 3, 4, 5]), (L, &[])], (L, out.1)));
    }
    cases.push(case(Op::Select, &[(B, &[2]), (F, &[2, 3, 4, 5]), (F, &[2, 3, 4, 5])], out));
    validate(&cases)
}

#[test]
fn casts_validate() -> Result {
    let types = [F, DType::Float16, I, L, DType::Int16, DType::Int8, DType::UInt8, B];
    let pairs = types.into_iter().flat_map(|from| types.into_iter().map(move |to| (from, to)));
    let cast = |(from, to)| case(Op::Cast(CastOptions::default()), &[(from, &[5])], (to, &[5]));
    validate(&pairs.map(cast).collect::<Vec<_>>())
}

#[test]
fn reductions_validate() -> Result {
    let options = ReducerOptions { keep_dims: true };
    let float = [
        Op::Mean(options.clone()),
        Op::Sum(options.clone()),
        Op::ReduceProd(options.clone()),
        Op::ReduceMax(options.clone()),
        Op::ReduceMin(options.clone()),
    ];
    let mut cases = Vec::new();
    for (axes, out) in [(&[1, 2][..], &[2, 1, 1, 5][..]), (&[3], &[2, 3, 4, 1]), (&[0, 3], &[1, 3, 4, 1])] {
        let shape = &[2, 3, 4, 5][..];
        let axis = (I, &[axes.len()][..]);
        for op in &float {
            cases.push(case(op.clone(), &[(F, shape), axis], (F, out)).constant(1, axes));
            if !matches!(op, Op::Mean(_)) {
                cases.push(case(op.clone(), &[(I, shape), axis], (I, out)).constant(1, axes));
            }
        }
        for op in [Op::ReduceAny(options.clone()), Op::ReduceAll(options.clone())] {
            cases.push(case(op, &[(B, shape), axis], (B, out)).constant(1, axes));
        }
    }
    validate(&cases)
}

#[test]
fn row_kernels_validate() -> Result {
    let mut cases = Vec::new();
    for shape in [&[2, 3, 5][..], &[2, 3, 129]] {
        let local = LocalResponseNormalizationOptions { radius: 2, bias: 1.0, alpha: 0.5, beta: 0.75 };
        for op in [
            Op::Softmax(SoftmaxOptions { beta: 1.0 }),
            Op::LogSoftmax,
            Op::L2Normalization(L2NormOptions::default()),
            Op::LocalResponseNormalization(local),
        ] {
            cases.push(case(op, &[(F, shape)], (F, shape)));
        }
    }
    for (axis, out) in [(0, &[3, 5][..]), (1, &[2, 5]), (2, &[2, 3])] {
        for kind in [F, I] {
            let inputs = [(kind, &[2, 3, 5][..]), (I, &[1][..])];
            let max = Op::ArgMax(ArgMaxOptions { output_type: I });
            let min = Op::ArgMin(ArgMinOptions { output_type: L });
            cases.push(case(max, &inputs, (I, out)).constant(1, &[axis]));
            cases.push(case(min, &inputs, (L, out)).constant(1, &[axis]));
            for (exclusive, reverse) in [(false, false), (false, true), (true, false), (true, true)] {
                let sum = Op::Cumsum(CumsumOptions { exclusive, reverse });
                cases.push(case(sum, &inputs, (kind, &[2, 3, 5])).constant(1, &[axis]));
            }
        }
    }
    validate(&cases)
}
