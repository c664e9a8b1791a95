//! What the interpreter does for speed changes no result.

mod support;

use support::{Build, Outcome, program};
use tflite_wgpu_fallback::{Interpreter, Kernels, Model, Value};
use tflite_wgpu_model::{DType, Data, Op};

/// x + half(1, 2, 3), where the halves are widened by nodes of their own.
fn widened() -> Result<Model, Box<dyn std::error::Error>> {
    let mut build = Build::default();
    let x = build.input("x", DType::Float32, &[3]);
    let halves = Value::from_slice(DType::Float16, &[3], &[1.0f32, 2.0, 3.0].map(half::f16::from_f32))?;
    let halves = build.constant("halves", &halves);
    let (wide, rooted) = (build.f32("wide", &[3]), build.f32("rooted", &[3]));
    let (y, z) = (build.f32("y", &[3]), build.f32("z", &[3]));
    build.node(Op::Dequantize, &[halves], &[wide]);
    build.node(Op::Sqrt, &[wide], &[rooted]);
    build.node(Op::Add(Default::default()), &[x, wide], &[y]);
    build.node(Op::Mul(Default::default()), &[y, rooted], &[z]);
    Ok(Model::new(program(vec![build.outputs(&[z, rooted])]))?)
}

#[test]
fn what_follows_from_constants_is_the_same_in_every_invoke() -> Outcome {
    let model = widened()?;
    for kernels in [Kernels::Fast, Kernels::Plain] {
        let mut interpreter = Interpreter::builder(&model).kernels(kernels).build()?;
        for x in [0.0f32, 1.0] {
            interpreter.set_input(0, Value::f32(&[3], &[x; 3])?)?;
            interpreter.invoke()?;
            let expected = [1.0f32, 2.0, 3.0].map(|v| (x + v) * v.sqrt());
            assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, expected, "{kernels:?}");
            assert_eq!(interpreter.output(1)?.as_slice::<f32>()?[2], 3f32.sqrt(), "{kernels:?}");
        }
        let wide = model.program().subgraphs[0].tensors.iter().position(|t| t.name == "wide").ok_or("no tensor")?;
        let wide = interpreter.tensor(tflite_wgpu_model::TensorId::from_index(wide));
        assert_eq!(wide.map(|value| value.as_slice::<f32>()).transpose()?, Some(&[1.0f32, 2.0, 3.0][..]));
    }
    Ok(())
}

#[test]
fn a_folded_node_that_fails_names_itself() -> Outcome {
    let mut build = Build::default();
    let x = build.input("x", DType::Float32, &[1]);
    let strings = build.tensor("text", DType::Int32, &[1], Data::Constant(vec![0, 0, 0, 0].into()));
    let (wide, y) = (build.f32("wide", &[1]), build.f32("y", &[1]));
    build.node(Op::Dequantize, &[strings], &[wide]);
    build.node(Op::Add(Default::default()), &[x, wide], &[y]);
    let model = Model::new(program(vec![build.outputs(&[y])]))?;
    let errors = [Kernels::Fast, Kernels::Plain].map(|kernels| {
        let invoked = Interpreter::builder(&model).kernels(kernels).build().and_then(|mut found| found.invoke());
        invoked.err().map(|error| error.to_string())
    });
    assert!(errors[0].as_ref().is_some_and(|error| error.contains("DEQUANTIZE")), "{errors:?}");
    assert_eq!(errors[0], errors[1]);
    Ok(())
}

#[test]
fn shapes_are_worked_out_anew_when_an_input_changes() -> Outcome {
    let mut build = Build::default();
    let x = build.input("x", DType::Float32, &[2, 3]);
    let shape = build.input("shape", DType::Int32, &[2]);
    let (y, z) = (build.f32("y", &[2, 3]), build.f32("z", &[2, 3]));
    build.node(Op::Neg, &[x], &[y]);
    build.node(Op::Reshape(Default::default()), &[y, shape], &[z]);
    let model = Model::new(program(vec![build.outputs(&[z])]))?;
    let mut interpreter = Interpreter::builder(&model).build()?;
    for (dims, shape) in [([2usize, 3], [6, 1]), ([2, 3], [1, 6]), ([4, 3], [2, -1]), ([4, 3], [3, 4])] {
        interpreter.set_input(0, Value::zeros(DType::Float32, &dims)?)?;
        interpreter.set_input(1, Value::i32(&[2], &shape)?)?;
        interpreter.invoke()?;
        let expected = shape.map(|dim| usize::try_from(dim).unwrap_or(6));
        assert_eq!(interpreter.output(0)?.shape(), expected);
    }
    Ok(())
}
