//! Straight graphs: values, shapes, variables, limits, errors.

mod support;

use support::{Build, Outcome, program, start};
use tflite_wgpu_fallback::{Error, Model, Value, run_node};
use tflite_wgpu_model::{Bytes, DType, Data, Dim, Op, Shape, Signature, SignatureTensor, SubgraphId, TensorId};

/// y = (x + 1) + x.
fn chain() -> Result<Model, Error> {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let one = g.constant("one", &Value::f32(&[], &[1.0]).unwrap_or_else(|_| unreachable!()));
    let h = g.f32("h", &[2]);
    let y = g.f32("y", &[2]);
    g.custom("add", &[x, one], &[h]);
    g.custom("add", &[h, x], &[y]);
    Model::new(program(vec![g.outputs(&[y])]))
}

#[test]
fn a_chain_runs_and_frees_inner_tensors() -> Outcome {
    let model = chain()?;
    let mut interpreter = start(&model).build()?;
    assert!(matches!(interpreter.output(0), Err(Error::NotInvoked { index: 0, .. })));
    interpreter.input_mut(0)?.as_mut_slice::<f32>()?.copy_from_slice(&[1.0, 2.0]);
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?, &Value::f32(&[2], &[3.0, 5.0])?);
    assert_eq!(interpreter.tensor(TensorId(2)), None);
    assert_eq!(interpreter.tensor(TensorId(1)), Some(&Value::f32(&[], &[1.0])?));
    assert_eq!(interpreter.memory_bytes(), 16, "input and output remain");
    // The input keeps its value for the next invoke.
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?, &Value::f32(&[2], &[3.0, 5.0])?);
    Ok(())
}

#[test]
fn all_tensors_can_be_kept() -> Outcome {
    let model = chain()?;
    let mut interpreter = start(&model).preserve_all_tensors(true).build()?;
    interpreter.set_input(0, Value::f32(&[2], &[1.0, 2.0])?)?;
    interpreter.invoke()?;
    assert_eq!(interpreter.tensor(TensorId(2)), Some(&Value::f32(&[2], &[2.0, 3.0])?));
    assert_eq!(interpreter.tensor(TensorId(0)), Some(&Value::f32(&[2], &[1.0, 2.0])?));
    assert_eq!(interpreter.tensor(TensorId(9)), None);
    Ok(())
}

#[test]
fn inputs_are_resized() -> Outcome {
    let model = chain()?;
    let mut interpreter = start(&model).build()?;
    interpreter.resize_input(0, &[3])?;
    assert_eq!(interpreter.inputs()[0].shape, Shape::known(&[3]));
    interpreter.allocate_tensors()?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?, &Value::f32(&[3], &[1.0; 3])?);
    assert_eq!(interpreter.outputs()[0].shape, Shape::known(&[3]));
    // No elements at all.
    interpreter.set_input(0, Value::f32(&[0], &[])?)?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?, &Value::f32(&[0], &[])?);
    // Reshaping the value itself counts too.
    *interpreter.input_mut(0)? = Value::f32(&[1], &[4.0])?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?, &Value::f32(&[1], &[9.0])?);
    Ok(())
}

#[test]
fn wrong_inputs_are_named() -> Outcome {
    let model = chain()?;
    let mut interpreter = start(&model).build()?;
    let text = interpreter.set_input(0, Value::i32(&[2], &[1, 2])?).err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("model input 0 \"x\" has type INT32, expected FLOAT32"));
    *interpreter.input_mut(0)? = Value::i32(&[2], &[1, 2])?;
    assert!(matches!(interpreter.invoke(), Err(Error::Input { index: 0, .. })));
    let text = interpreter.resize_input(1, &[2]).err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("input 1 does not exist, expected less than 1"));
    assert!(matches!(interpreter.output(1), Err(Error::NotFound { .. })));
    Ok(())
}

#[test]
fn outputs_may_be_inputs_constants_and_repeated() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1]);
    let c = g.constant("c", &Value::f32(&[2], &[7.0, 8.0])?);
    let y = g.f32("y", &[1]);
    g.custom("add", &[x, x], &[y]);
    let model = Model::new(program(vec![g.outputs(&[x, c, y, y])]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.set_input(0, Value::f32(&[1], &[3.0])?)?;
    interpreter.invoke()?;
    let expected = [(0, vec![3.0f32]), (1, vec![7.0, 8.0]), (2, vec![6.0]), (3, vec![6.0])];
    for (i, elements) in expected {
        assert_eq!(interpreter.output(i)?.as_slice::<f32>()?, elements, "output {i}");
    }
    // Writing the next input leaves the last output as it was.
    interpreter.input_mut(0)?.as_mut_slice::<f32>()?[0] = 5.0;
    assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, &[3.0]);
    Ok(())
}

#[test]
fn variables_last_and_are_reset() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let state = g.tensor("state", DType::Float32, &[2], Data::Variable);
    let (y, n) = (g.f32("y", &[2]), g.computed("n", DType::Int32, &[]));
    g.custom("accumulate", &[x, state], &[y]);
    g.custom("count", &[], &[n]);
    let model = Model::new(program(vec![g.outputs(&[y, n])]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.set_input(0, Value::f32(&[2], &[1.0, 2.0])?)?;
    for round in 1..=3i16 {
        interpreter.invoke()?;
        let factor = f32::from(round);
        assert_eq!(interpreter.output(0)?, &Value::f32(&[2], &[factor, 2.0 * factor])?);
        assert_eq!(interpreter.output(1)?, &Value::i32(&[], &[i32::from(round) - 1])?);
    }
    assert_eq!(interpreter.tensor(state), Some(&Value::f32(&[2], &[3.0, 6.0])?));
    interpreter.reset_variables();
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?, &Value::f32(&[2], &[1.0, 2.0])?);
    assert_eq!(interpreter.output(1)?, &Value::i32(&[], &[0])?);
    Ok(())
}

#[test]
fn a_state_must_be_a_variable() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let y = g.f32("y", &[2]);
    g.custom("accumulate", &[x, x], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let text = start(&model).build()?.invoke().err().map(|error| error.to_string()).unwrap_or_default();
    assert!(text.starts_with("node 0 accumulate: input 1 \"x\" is not a variable"), "{text}");
    Ok(())
}

#[test]
fn unknown_operators_are_found_when_building() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let (h, y) = (g.f32("h", &[2]), g.f32("y", &[2]));
    g.custom("add", &[x, x], &[h]);
    g.custom("frobnicate", &[h], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let text = start(&model).build().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("node 1 frobnicate: the CPU has no kernel for this operator"));
    Ok(())
}

#[test]
fn what_a_kernel_refuses_is_found_when_building() -> Outcome {
    use tflite_wgpu_model::{ActivationFunctionType, AddOptions, LeakyReluOptions};
    let add = |activation| Op::Add(AddOptions { fused_activation_function: activation, ..AddOptions::default() });
    let plain = add(ActivationFunctionType::None);
    let refusal = |op: Op, version, types: &[DType], output| {
        let mut g = Build::default();
        let inputs: Vec<_> = types.iter().map(|dtype| g.input("x", *dtype, &[2])).collect();
        let y = g.computed("y", output, &[2]);
        g.node(op, &inputs, &[y]);
        g.0.nodes[0].version = version;
        let model = Model::new(program(vec![g.outputs(&[y])]))?;
        Ok::<_, Error>(start(&model).build().err().map_or_else(String::new, |error| error.to_string()))
    };
    let f32 = DType::Float32;
    assert_eq!(refusal(plain.clone(), 1, &[f32, f32], f32)?, "");
    let found = refusal(plain.clone(), 1, &[DType::Bool, DType::Bool], DType::Bool)?;
    assert!(
        found.starts_with(r#"node 0 ADD: type of input 0 "x" is BOOL, expected FLOAT32, FLOAT16, INT32"#),
        "{found}"
    );
    let found = refusal(plain.clone(), 1, &[f32, DType::Int32], f32)?;
    assert_eq!(found, r#"node 0 ADD: type of input 1 "x" is INT32, expected FLOAT32 as of input 0"#);
    let found = refusal(Op::LeakyRelu(LeakyReluOptions { alpha: 0.1 }), 1, &[f32], DType::Int8)?;
    assert_eq!(found, r#"node 0 LEAKY_RELU: type of output 0 "y" is INT8, expected FLOAT32 as of input 0"#);
    assert_eq!(refusal(plain.clone(), 1, &[f32], f32)?, "node 0 ADD: input 1 is missing");
    assert_eq!(refusal(plain, 99, &[f32, f32], f32)?, "node 0 ADD: version is 99, expected at most 6");
    let found = refusal(add(ActivationFunctionType::Tanh), 1, &[f32, f32], f32)?;
    assert!(found.starts_with("node 0 ADD: fused activation is Tanh, expected NONE, RELU"), "{found}");
    Ok(())
}

#[test]
fn results_have_the_type_of_the_first_input_whatever_the_file_says() -> Outcome {
    use tflite_wgpu_model::{Quant, QuantKind};
    let mut g = Build::default();
    let x = g.input("x", DType::UInt8, &[2]);
    let (h, y) = (g.f32("h", &[2]), g.computed("y", DType::UInt8, &[2]));
    g.node(Op::Add(Default::default()), &[x, x], &[h]);
    g.node(Op::Add(Default::default()), &[h, x], &[y]);
    for tensor in &mut g.0.tensors {
        let kind = QuantKind::Affine { scale: vec![1.0], zero_point: vec![0], axis: 0 };
        tensor.quant = Some(Quant { kind, ..Quant::default() });
    }
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.set_input(0, Value::from_slice(DType::UInt8, &[2], &[1u8, 5])?)?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?.as_slice::<u8>()?, [3, 15]);
    Ok(())
}

#[test]
fn kernel_errors_name_the_node() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Int64, &[2]);
    let (h, y) = (g.f32("h", &[2]), g.f32("y", &[2]));
    g.custom("add", &[x, x], &[h]);
    g.custom("fail", &[h], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let text = start(&model).build()?.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("node 0 add: input 0 \"x\" has type INT64, expected FLOAT32"));
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    g.custom("fail", &[x], &[]);
    let model = Model::new(program(vec![g.outputs(&[])]))?;
    let text = start(&model).build()?.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("node 0 fail: mood is bad, expected good"));
    Ok(())
}

#[test]
fn a_tensor_nobody_computes_is_an_error_unless_it_is_empty() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let (lost, y) = (g.f32("lost", &[1]), g.f32("y", &[2]));
    g.custom("add", &[x, lost], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let text = start(&model).build()?.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("tensor 1 \"lost\" has no value when it is read"));
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2, 2]);
    let (empty, y) = (g.f32("empty", &[0, 2]), g.f32("y", &[2, 2]));
    g.custom("concat", &[x, empty], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?.shape(), &[2, 2]);
    Ok(())
}

#[test]
fn memory_has_a_limit() -> Outcome {
    let model = chain()?;
    let mut interpreter = start(&model).memory_limit_bytes(1000).build()?;
    interpreter.resize_input(0, &[100])?;
    let text = interpreter.invoke().err().map(|error| error.to_string()).unwrap_or_default();
    assert!(text.starts_with("node 1 add: output 0 \"y\""), "{text}");
    interpreter.resize_input(0, &[usize::MAX / 2])?;
    assert!(interpreter.allocate_tensors().is_err());
    interpreter.resize_input(0, &[50])?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?.len(), 50);
    Ok(())
}

#[test]
fn signatures_go_by_name_and_share_variables() -> Outcome {
    let mut g = Build::default();
    let (a, b) = (g.input("a", DType::Float32, &[1]), g.input("b", DType::Float32, &[1]));
    let y = g.f32("y", &[1]);
    g.custom("sub", &[a, b], &[y]);
    let graph = g.outputs(&[y]);
    let mut p = program(vec![graph.clone(), graph]);
    let named = |name: &str, tensor| SignatureTensor { name: name.into(), tensor };
    p.signatures = vec![Signature {
        key: "minus".into(),
        subgraph: SubgraphId(1),
        inputs: vec![named("subtrahend", b), named("minuend", a)],
        outputs: vec![named("difference", y)],
    }];
    let model = Model::new(p)?;
    let mut interpreter = start(&model).build()?;
    assert_eq!(interpreter.signature_keys(), ["minus"]);
    let mut minus = interpreter.signature_runner("minus")?;
    minus.resize_input("minuend", &[2])?;
    minus.set_input("minuend", Value::f32(&[2], &[5.0, 4.0])?)?;
    minus.input_mut("subtrahend")?.as_mut_slice::<f32>()?[0] = 3.0;
    minus.invoke()?;
    assert_eq!(minus.output("difference")?, &Value::f32(&[2], &[2.0, 1.0])?);
    let names: Vec<String> = minus.inputs().into_iter().map(|info| info.name.into_owned()).collect();
    assert_eq!(names, ["subtrahend", "minuend"]);
    let text = minus.set_input("c", Value::f32(&[], &[0.0])?).err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("input \"c\" does not exist, expected one of \"subtrahend\", \"minuend\""));
    let text = interpreter.signature_runner("plus").err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("signature \"plus\" does not exist, expected one of \"minus\""));
    Ok(())
}

#[test]
fn open_dimensions_are_reported_as_open() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1, 2]);
    let y = g.f32("y", &[1, 2]);
    g.0.tensors[y.index()].shape = Shape(vec![Dim::Unknown, Dim::Known(2)]);
    g.custom("add", &[x, x], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.allocate_tensors()?;
    assert_eq!(interpreter.outputs()[0].shape.to_string(), "[?,2]");
    interpreter.resize_input(0, &[4, 2])?;
    interpreter.invoke()?;
    assert_eq!(interpreter.outputs()[0].shape.to_string(), "[4,2]");
    Ok(())
}

#[test]
fn a_node_alone_needs_a_kernel() {
    let mut g = Build::default();
    g.node(Op::Custom { name: "nobody's".into(), options: Bytes::default() }, &[], &[]);
    let text = run_node(&g.0.nodes[0], &g.0.tensors, &[]).err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("nobody's: the CPU has no kernel for this operator"));
}

#[test]
fn interpreters_can_move_between_threads() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<tflite_wgpu_fallback::Interpreter>();
    send::<Model>();
    sync::<Model>();
}
