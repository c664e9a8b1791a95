//! Subgraphs that call subgraphs: branches, loops, calls, composites.

mod support;

use support::{Build, Outcome, program, start};
use tflite_wgpu_fallback::{Error, Model, Value};
use tflite_wgpu_model::{
    Bytes, CallOptions, CustomOptionsFormat, DType, Data, Graph, IfOptions, Op, StablehloCaseOptions,
    StablehloCompositeOptions, StablehloWhileOptions, TensorId, WhileOptions,
};

fn bool_value(value: bool) -> Result<Value, Error> {
    Ok(Value::from_slice(DType::Bool, &[], &[u8::from(value)]).unwrap_or_else(|_| unreachable!()))
}

/// A subgraph of one node on inputs of these shapes; its result has another shape than stated.
fn unary(name: &str, operator: &str, times: usize) -> Graph {
    let mut g = Build::default();
    let x = g.input(name, DType::Float32, &[1]);
    let y = g.f32("y", &[1]);
    g.custom(operator, &vec![x; times], &[y]);
    g.outputs(&[y])
}

fn branches() -> Result<Model, Error> {
    let mut g = Build::default();
    let (c, x) = (g.input("c", DType::Bool, &[]), g.input("x", DType::Float32, &[1]));
    let (h, y) = (g.f32("h", &[1]), g.f32("y", &[1]));
    g.node(Op::If(IfOptions { then_subgraph_index: 1, else_subgraph_index: 2 }), &[c, x], &[h]);
    g.custom("add", &[h, h], &[y]);
    Model::new(program(vec![g.outputs(&[y, h]), unary("a", "concat", 2), unary("b", "add", 2)]))
}

#[test]
fn if_takes_one_branch_whatever_its_shape() -> Outcome {
    let mut interpreter = start(&branches()?).build()?;
    interpreter.set_input(1, Value::f32(&[1], &[3.0])?)?;
    for (condition, expected) in [(true, vec![6.0f32, 6.0]), (false, vec![12.0]), (true, vec![6.0, 6.0])] {
        interpreter.set_input(0, bool_value(condition)?)?;
        interpreter.invoke()?;
        assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, expected, "{condition}");
    }
    Ok(())
}

#[test]
fn a_condition_is_one_bool() -> Outcome {
    let mut interpreter = start(&branches()?).build()?;
    interpreter.resize_input(0, &[2])?;
    let text = interpreter.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("node 0 IF: input 0 \"c\" holds 2 bytes, expected 1"));
    Ok(())
}

#[test]
fn results_of_a_call_have_the_types_of_the_file() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1]);
    let y = g.computed("y", DType::Int32, &[1]);
    g.node(Op::Call(CallOptions { subgraph: 1 }), &[x], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y]), unary("a", "add", 2)]))?;
    let text = start(&model).build()?.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("node 0 CALL: output 0 \"y\" has type FLOAT32, expected INT32"));
    Ok(())
}

#[test]
fn calls_have_the_right_number_of_arguments() {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1]);
    let y = g.f32("y", &[1]);
    g.node(Op::Call(CallOptions { subgraph: 1 }), &[x, x], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y]), unary("a", "add", 2)]));
    let text = model.err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("subgraph 0 node 0 CALL has a subgraph of 1 inputs, expected 2"));
}

#[test]
fn composites_and_calls_run_their_subgraph() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1]);
    let (h, y) = (g.f32("h", &[1]), g.f32("y", &[1]));
    let composite = StablehloCompositeOptions {
        name: "twice".into(),
        decomposition_subgraph_index: 1,
        composite_attributes: Vec::new(),
        composite_attributes_format: CustomOptionsFormat::Flexbuffers,
        version: 1,
    };
    g.node(Op::StablehloComposite(composite), &[x], &[h]);
    g.node(Op::Call(CallOptions { subgraph: 1 }), &[h], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y]), unary("a", "add", 2)]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.set_input(0, Value::f32(&[1], &[1.5])?)?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, &[6.0]);
    Ok(())
}

#[test]
fn a_case_beyond_the_branches_takes_the_last() -> Outcome {
    let mut g = Build::default();
    let (i, x) = (g.input("i", DType::Int32, &[]), g.input("x", DType::Float32, &[1]));
    let y = g.f32("y", &[1]);
    g.node(Op::StablehloCase(StablehloCaseOptions { branch_subgraph_indices: vec![1, 2] }), &[i, x], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y]), unary("a", "sub", 2), unary("b", "add", 2)]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.set_input(1, Value::f32(&[1], &[2.0])?)?;
    for (chosen, expected) in [(0, 0.0f32), (1, 4.0), (-1, 4.0), (2, 4.0)] {
        interpreter.set_input(0, Value::i32(&[], &[chosen])?)?;
        interpreter.invoke()?;
        assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, &[expected], "{chosen}");
    }
    Ok(())
}

/// `i < limit` over the carried tensors, whose first is `i`.
fn below(limit: i32, carried: &[(DType, &[usize])]) -> Graph {
    let mut g = Build::default();
    let ids: Vec<TensorId> = carried.iter().map(|(dtype, dims)| g.input("c", *dtype, dims)).collect();
    let constant = g.constant("limit", &Value::i32(&[], &[limit]).unwrap_or_else(|_| unreachable!()));
    let result = g.computed("goes on", DType::Bool, &[]);
    g.custom("less", &[ids[0], constant], &[result]);
    g.outputs(&[result])
}

/// A loop that counts to `limit`; `body` gets the counter's next value already computed.
fn counting(
    limit: i32,
    carried: &[(DType, &[usize])],
    op: fn(i32, i32) -> Op,
    body: impl FnOnce(&mut Build, &[TensorId]) -> Vec<TensorId>,
) -> Result<Model, Error> {
    let mut main = Build::default();
    let inputs: Vec<TensorId> = carried.iter().map(|(dtype, dims)| main.input("x", *dtype, dims)).collect();
    let outputs: Vec<TensorId> = carried.iter().map(|(dtype, dims)| main.computed("y", *dtype, dims)).collect();
    main.node(op(1, 2), &inputs, &outputs);
    let mut g = Build::default();
    let ids: Vec<TensorId> = carried.iter().map(|(dtype, dims)| g.input("b", *dtype, dims)).collect();
    let one = g.constant("one", &Value::i32(&[], &[1]).unwrap_or_else(|_| unreachable!()));
    let next = g.computed("next", DType::Int32, &[]);
    g.custom("add", &[ids[0], one], &[next]);
    let mut results = vec![next];
    results.extend(body(&mut g, &ids));
    Model::new(program(vec![main.outputs(&outputs), below(limit, carried), g.outputs(&results)]))
}

fn while_loop(cond_subgraph_index: i32, body_subgraph_index: i32) -> Op {
    Op::While(WhileOptions { cond_subgraph_index, body_subgraph_index })
}

fn stablehlo_while(cond_subgraph_index: i32, body_subgraph_index: i32) -> Op {
    Op::StablehloWhile(StablehloWhileOptions { cond_subgraph_index, body_subgraph_index })
}

#[test]
fn all_results_of_a_round_become_the_state_at_once() -> Outcome {
    let carried: [(DType, &[usize]); 3] = [(DType::Int32, &[]), (DType::Float32, &[1]), (DType::Float32, &[2])];
    for op in [while_loop, stablehlo_while] {
        let model = counting(3, &carried, op, |_, ids| vec![ids[2], ids[1]])?;
        let mut interpreter = start(&model).build()?;
        interpreter.set_input(1, Value::f32(&[1], &[1.0])?)?;
        interpreter.set_input(2, Value::f32(&[2], &[2.0, 3.0])?)?;
        interpreter.invoke()?;
        assert_eq!(interpreter.output(0)?, &Value::i32(&[], &[3])?);
        assert_eq!(interpreter.output(1)?, &Value::f32(&[2], &[2.0, 3.0])?);
        assert_eq!(interpreter.output(2)?, &Value::f32(&[1], &[1.0])?);
        // No round at all: the results are the inputs.
        interpreter.set_input(0, Value::i32(&[], &[7])?)?;
        interpreter.invoke()?;
        assert_eq!(interpreter.output(0)?, &Value::i32(&[], &[7])?);
        assert_eq!(interpreter.output(1)?, &Value::f32(&[1], &[1.0])?);
    }
    Ok(())
}

#[test]
fn loops_carry_growing_tensors_and_strings() -> Outcome {
    let carried: [(DType, &[usize]); 3] = [(DType::Int32, &[]), (DType::Float32, &[1]), (DType::String, &[1])];
    let model = counting(3, &carried, while_loop, |g, ids| {
        let (grown, text) = (g.f32("grown", &[1]), g.computed("text", DType::String, &[1]));
        g.custom("concat", &[ids[1], ids[1]], &[grown]);
        g.custom("concat", &[ids[2], ids[2]], &[text]);
        vec![grown, text]
    })?;
    let mut interpreter = start(&model).build()?;
    interpreter.set_input(1, Value::f32(&[1], &[1.0])?)?;
    interpreter.set_input(2, Value::strings(&[1], vec![b"na".to_vec()])?)?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(1)?, &Value::f32(&[8], &[1.0; 8])?);
    assert_eq!(interpreter.output(2)?, &Value::strings(&[8], vec![b"na".to_vec(); 8])?);
    assert_eq!(
        interpreter.memory_bytes(),
        4 + 4 + 4 + 32 + (1 + 8) * (2 + size_of::<Vec<u8>>()),
        "nothing inner stays"
    );
    Ok(())
}

/// A branch of text that goes through a loop: doubled in each of two rounds.
fn doubling(loop_condition: i32) -> [Graph; 3] {
    let carried: [(DType, &[usize]); 2] = [(DType::Int32, &[]), (DType::String, &[1])];
    let mut branch = Build::default();
    let text = branch.input("text", DType::String, &[1]);
    let none = branch.constant("none", &Value::i32(&[], &[0]).unwrap_or_else(|_| unreachable!()));
    let (rounds, doubled) = (branch.computed("rounds", DType::Int32, &[]), branch.computed("d", DType::String, &[1]));
    branch.node(while_loop(loop_condition, loop_condition + 1), &[none, text], &[rounds, doubled]);
    let mut body = Build::default();
    let (j, text) = (body.input("j", DType::Int32, &[]), body.input("text", DType::String, &[1]));
    let one = body.constant("one", &Value::i32(&[], &[1]).unwrap_or_else(|_| unreachable!()));
    let (next, twice) = (body.computed("next", DType::Int32, &[]), body.computed("twice", DType::String, &[1]));
    body.custom("add", &[j, one], &[next]);
    body.custom("concat", &[text, text], &[twice]);
    [branch.outputs(&[doubled]), below(2, &carried), body.outputs(&[next, twice])]
}

#[test]
fn a_loop_in_a_branch_in_a_loop_carries_strings() -> Outcome {
    let carried: [(DType, &[usize]); 2] = [(DType::Int32, &[]), (DType::String, &[1])];
    let mut main = Build::default();
    let inputs = [main.input("i", DType::Int32, &[]), main.input("text", DType::String, &[1])];
    let outputs = [main.computed("i'", DType::Int32, &[]), main.computed("text'", DType::String, &[1])];
    main.node(while_loop(1, 2), &inputs, &outputs);
    // Its first round doubles the text, the others add an exclamation mark.
    let mut body = Build::default();
    let (i, text) = (body.input("i", DType::Int32, &[]), body.input("text", DType::String, &[1]));
    let one = body.constant("one", &Value::i32(&[], &[1])?);
    let (first, next) = (body.computed("first", DType::Bool, &[]), body.computed("next", DType::Int32, &[]));
    let longer = body.computed("longer", DType::String, &[1]);
    body.custom("less", &[i, one], &[first]);
    body.node(Op::If(IfOptions { then_subgraph_index: 3, else_subgraph_index: 6 }), &[first, text], &[longer]);
    body.custom("add", &[i, one], &[next]);
    let mut marked = Build::default();
    let text = marked.input("text", DType::String, &[1]);
    // One string, which begins behind the count and two offsets and has one character.
    let buffer: Vec<u8> = [1i32, 12, 13].iter().flat_map(|word| word.to_le_bytes()).chain(*b"!").collect();
    let mark = marked.tensor("mark", DType::String, &[1], Data::Constant(Bytes::from(buffer)));
    let both = marked.computed("both", DType::String, &[1]);
    marked.custom("concat", &[text, mark], &[both]);
    let mut subgraphs = vec![main.outputs(&outputs), below(3, &carried), body.outputs(&[next, longer])];
    subgraphs.extend(doubling(4));
    subgraphs.push(marked.outputs(&[both]));
    let mut interpreter = start(&Model::new(program(subgraphs))?).build()?;
    for word in ["na", "", "né"] {
        interpreter.set_input(0, Value::i32(&[], &[0])?)?;
        interpreter.set_input(1, Value::strings(&[1], vec![word.into()])?)?;
        interpreter.invoke()?;
        let expected = [word, word, word, word, "!", "!"].map(|text| text.as_bytes().to_vec());
        assert_eq!(interpreter.output(1)?, &Value::strings(&[6], expected.to_vec())?);
        assert_eq!(interpreter.output(0)?, &Value::i32(&[], &[3])?);
    }
    // No round: the text stays.
    interpreter.set_input(0, Value::i32(&[], &[5])?)?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(1)?, &Value::strings(&[1], vec!["né".into()])?);
    Ok(())
}

#[test]
fn endless_loops_end() -> Outcome {
    let model = counting(0, &[(DType::Int32, &[])], while_loop, |_, _| Vec::new())?;
    let mut interpreter = start(&model).max_loop_iterations(5).build()?;
    interpreter.set_input(0, Value::i32(&[], &[-5])?)?;
    interpreter.invoke()?;
    interpreter.set_input(0, Value::i32(&[], &[-6])?)?;
    let text = interpreter.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("node 0 WHILE: the loop does not end within 5 iterations"));
    Ok(())
}

#[test]
fn errors_name_the_subgraph() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1]);
    let y = g.f32("y", &[1]);
    g.node(Op::Call(CallOptions { subgraph: 1 }), &[x], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y]), unary("a", "fail", 1)]))?;
    let text = start(&model).build()?.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("subgraph 1 node 0 fail: mood is bad, expected good"));
    Ok(())
}
