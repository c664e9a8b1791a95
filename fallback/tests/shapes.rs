//! Shapes that are known before the first invoke.

mod support;

use support::{Build, Outcome, program, start, toy::Toy};
use tflite_wgpu_fallback::{Error, Interpreter, Model, Value};
use tflite_wgpu_model::{
    ActivationFunctionType, AddOptions, ConcatenationOptions, DType, Graph, IfOptions, Op, PackOptions, ReshapeOptions,
    ShapeOptions, StridedSliceOptions, TensorId, WhileOptions,
};

fn ints(values: &[i32]) -> Value {
    Value::i32(&[values.len()], values).unwrap_or_else(|_| unreachable!())
}

fn add() -> Op {
    Op::Add(AddOptions { fused_activation_function: ActivationFunctionType::None, pot_scale_int16: false })
}

fn shapes(interpreter: &Interpreter) -> Vec<String> {
    interpreter.outputs().iter().map(|info| info.shape.to_string()).collect()
}

/// Flattens all but the first dimension, whose size it takes from the input.
fn flatten() -> Result<Model, Error> {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1, 2, 3]);
    let shape = g.computed("shape", DType::Int32, &[3]);
    g.node(Op::Shape(ShapeOptions { out_type: DType::Int32 }), &[x], &[shape]);
    let (begin, end, stride) =
        (g.constant("b", &ints(&[0])), g.constant("e", &ints(&[1])), g.constant("s", &ints(&[1])));
    let batch = g.computed("batch", DType::Int32, &[]);
    let slice = StridedSliceOptions {
        begin_mask: 0,
        end_mask: 0,
        ellipsis_mask: 0,
        new_axis_mask: 0,
        shrink_axis_mask: 1,
        offset: false,
    };
    g.node(Op::StridedSlice(slice), &[shape, begin, end, stride], &[batch]);
    let rest = g.constant("rest", &Value::i32(&[], &[-1]).unwrap_or_else(|_| unreachable!()));
    let target = g.computed("target", DType::Int32, &[2]);
    g.node(Op::Pack(PackOptions { values_count: 2, axis: 0 }), &[batch, rest], &[target]);
    let y = g.f32("y", &[1, 6]);
    g.node(Op::Reshape(ReshapeOptions { new_shape: Vec::new() }), &[x, target], &[y]);
    Model::new(program(vec![g.outputs(&[y])]))
}

#[test]
fn shapes_follow_from_shapes() -> Outcome {
    let mut interpreter = Interpreter::builder(&flatten()?).build()?;
    assert_eq!(shapes(&interpreter), ["[1,6]"], "what the file says");
    interpreter.resize_input(0, &[4, 2, 3])?;
    assert_eq!(shapes(&interpreter), ["[?,?]"], "nothing is known of other shapes yet");
    interpreter.allocate_tensors()?;
    assert_eq!(shapes(&interpreter), ["[4,6]"]);
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?.shape(), &[4, 6]);
    *interpreter.input_mut(0)? = Value::zeros(DType::Float32, &[2, 5])?;
    interpreter.allocate_tensors()?;
    interpreter.invoke()?;
    assert_eq!(shapes(&interpreter), ["[2,5]"]);
    Ok(())
}

#[test]
fn contradictions_are_found_before_the_first_invoke() -> Outcome {
    let mut g = Build::default();
    let (x, z) = (g.input("x", DType::Float32, &[2, 3]), g.input("z", DType::Float32, &[3]));
    let y = g.f32("y", &[2, 3]);
    g.node(add(), &[x, z], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let mut interpreter = Interpreter::builder(&model).build()?;
    interpreter.allocate_tensors()?;
    interpreter.resize_input(1, &[4])?;
    let text = interpreter.allocate_tensors().err().map(|error| error.to_string()).unwrap_or_default();
    assert!(text.starts_with("node 0 ADD:"), "{text}");
    let again = interpreter.invoke().err().map(|error| error.to_string());
    assert_eq!(again, Some(text));
    Ok(())
}

fn doubled(operator: Op) -> Graph {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1, 2]);
    let y = g.f32("y", &[1, 2]);
    g.node(operator, &[x, x], &[y]);
    g.outputs(&[y])
}

fn concatenation() -> Op {
    let fused_activation_function = ActivationFunctionType::None;
    Op::Concatenation(ConcatenationOptions { axis: 0, fused_activation_function })
}

#[test]
fn branches_that_differ_leave_the_shape_open() -> Outcome {
    for (other, expected) in [(add(), "[3,2]"), (concatenation(), "[?,?]")] {
        let mut g = Build::default();
        let (c, x) = (g.input("c", DType::Bool, &[]), g.input("x", DType::Float32, &[1, 2]));
        let y = g.f32("y", &[1, 2]);
        g.node(Op::If(IfOptions { then_subgraph_index: 1, else_subgraph_index: 2 }), &[c, x], &[y]);
        let model = Model::new(program(vec![g.outputs(&[y]), doubled(add()), doubled(other)]))?;
        let mut interpreter = start(&model).build()?;
        interpreter.resize_input(1, &[3, 2])?;
        interpreter.allocate_tensors()?;
        assert_eq!(shapes(&interpreter), [expected]);
    }
    Ok(())
}

/// Carries a counter, something that keeps its shape, something that grows, and something that takes the shape of
/// what grows one round later.
fn looping() -> Result<Model, Error> {
    let carried = |g: &mut Build| -> Vec<TensorId> {
        let counter = g.input("i", DType::Int32, &[]);
        let rest = ["fixed", "grows", "follows"].map(|name| g.input(name, DType::Float32, &[1, 2]));
        std::iter::once(counter).chain(rest).collect()
    };
    let mut main = Build::default();
    let inputs = carried(&mut main);
    let counter = main.computed("i'", DType::Int32, &[]);
    let outputs = [counter, main.f32("a", &[1, 2]), main.f32("b", &[1, 2]), main.f32("c", &[1, 2])];
    let op = Op::While(WhileOptions { cond_subgraph_index: 1, body_subgraph_index: 2 });
    main.node(op, &inputs, &outputs);
    let mut condition = Build::default();
    let ids = carried(&mut condition);
    let limit = condition.constant("limit", &Value::i32(&[], &[2]).unwrap_or_else(|_| unreachable!()));
    let result = condition.computed("result", DType::Bool, &[]);
    condition.custom("less", &[ids[0], limit], &[result]);
    let mut body = Build::default();
    let ids = carried(&mut body);
    let one = body.constant("one", &Value::i32(&[], &[1]).unwrap_or_else(|_| unreachable!()));
    let (next, sum, grown) = (body.computed("next", DType::Int32, &[]), body.f32("s", &[1, 2]), body.f32("g", &[1, 2]));
    body.node(add(), &[ids[0], one], &[next]);
    body.node(add(), &[ids[1], ids[1]], &[sum]);
    body.node(concatenation(), &[ids[2], ids[2]], &[grown]);
    let body = body.outputs(&[next, sum, grown, ids[2]]);
    Model::new(program(vec![main.outputs(&outputs), condition.outputs(&[result]), body]))
}

#[test]
fn loops_keep_the_shapes_that_the_body_keeps() -> Outcome {
    let mut interpreter = start(&looping()?).build()?;
    interpreter.resize_input(1, &[5, 2])?;
    interpreter.allocate_tensors()?;
    assert_eq!(shapes(&interpreter), ["[]", "[5,2]", "[?,?]", "[?,?]"]);
    interpreter.invoke()?;
    assert_eq!(shapes(&interpreter), ["[]", "[5,2]", "[4,2]", "[2,2]"]);
    Ok(())
}

#[test]
fn partitions_are_prepared_when_shapes_are_known() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let (h, y) = (g.f32("h", &[2]), g.f32("y", &[2]));
    g.node(add(), &[x, x], &[h]);
    g.node(add(), &[h, x], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let toy = Toy::claiming(&[(0, &[1])]);
    let mut interpreter = Interpreter::builder(&model).delegate(toy.boxed()).build()?;
    interpreter.allocate_tensors()?;
    assert_eq!(toy.log(), ["prepare 0 [2] [2]"]);
    interpreter.set_input(0, Value::f32(&[2], &[1.0, 2.0])?)?;
    interpreter.invoke()?;
    assert_eq!(toy.log(), ["invoke 0 host host"]);
    assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, &[3.0, 6.0]);
    Ok(())
}
