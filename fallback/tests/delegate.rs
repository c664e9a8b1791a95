//! Delegates: partitions between CPU nodes, values that stay on the device, failures.

mod support;

use support::{Build, Outcome, program, start, toy::Toy};
use tflite_wgpu_fallback::{Error, Interpreter, Item, Model, Partition, Value};
use tflite_wgpu_model::{DType, Data, Graph, NodeId, Op, SubgraphId, TensorId, VarHandleOptions, WhileOptions};

/// Adds x again and again; the operators named "sub" subtract it.
fn chain(operators: &[&str]) -> Result<Model, Error> {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let mut last = x;
    for operator in operators {
        let next = g.f32("h", &[2]);
        g.custom(operator, &[last, x], &[next]);
        last = next;
    }
    Model::new(program(vec![g.outputs(&[last])]))
}

fn run(interpreter: &mut Interpreter, x: &[f32]) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    interpreter.set_input(0, Value::f32(&[x.len()], x)?)?;
    interpreter.invoke()?;
    Ok(interpreter.output(0)?.as_slice::<f32>()?.to_vec())
}

#[test]
fn partitions_run_between_nodes() -> Outcome {
    let model = chain(&["add", "sub", "add", "add"])?;
    let toy = Toy::claiming(&[(0, &[0]), (0, &[2, 3])]);
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    let order = [Item::Partition(0), Item::Node(NodeId(1)), Item::Partition(1)];
    assert_eq!(interpreter.schedule(SubgraphId(0)), order);
    assert_eq!(run(&mut interpreter, &[1.0, 2.0])?, [3.0, 6.0]);
    let log = ["prepare 0 [2]", "invoke 0 host", "prepare 1 [2] [2]", "invoke 1 host host"];
    assert_eq!(toy.log(), log);
    assert_eq!(run(&mut interpreter, &[1.0, 3.0])?, [3.0, 9.0]);
    assert_eq!(toy.log(), ["invoke 0 host", "invoke 1 host host"], "the same shapes are prepared once");
    assert!(interpreter.fallbacks().is_empty());
    Ok(())
}

#[test]
fn values_stay_on_the_device_between_partitions() -> Outcome {
    let model = chain(&["add", "add", "add"])?;
    let toy = Toy::claiming(&[(0, &[0]), (0, &[1]), (0, &[2])]);
    toy.with(|state| (state.resident, state.keeps_inputs) = (true, true));
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    assert_eq!(run(&mut interpreter, &[1.0, 2.0])?, [4.0, 8.0]);
    let log = toy.log();
    let calls: Vec<&str> = log.iter().map(String::as_str).filter(|line| !line.starts_with("prepare")).collect();
    let expected = ["invoke 0 host", "invoke 1 handle handle", "invoke 2 handle handle", "collect 1"];
    assert_eq!(calls, expected, "only the output is read back, the input is uploaded once");
    assert_eq!(toy.with(|state| state.wanted.clone()), [TensorId(3)], "only the output is wanted on the host");
    assert!(toy.with(|state| state.device.is_empty()), "every handle is released");
    Ok(())
}

#[test]
fn cpu_nodes_fetch_what_they_read() -> Outcome {
    let model = chain(&["add", "sub", "add"])?;
    let toy = Toy::claiming(&[(0, &[0]), (0, &[2])]);
    toy.with(|state| (state.resident, state.waits) = (true, true));
    let mut interpreter = start(&model).delegate(toy.boxed()).preserve_all_tensors(true).build()?;
    assert_eq!(run(&mut interpreter, &[1.0, 2.0])?, [2.0, 4.0]);
    assert_eq!(toy.with(|state| state.wanted.clone()), [TensorId(1), TensorId(3)]);
    assert_eq!(interpreter.tensor(TensorId(1)), Some(&Value::f32(&[2], &[2.0, 4.0])?));
    Ok(())
}

#[test]
fn partitions_follow_a_resize() -> Outcome {
    let model = chain(&["add", "add"])?;
    let toy = Toy::claiming(&[(0, &[0, 1])]);
    toy.with(|state| state.unprepared = Some(3));
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    assert_eq!(run(&mut interpreter, &[1.0])?, [3.0]);
    assert_eq!(run(&mut interpreter, &[1.0, 2.0, 3.0])?, [3.0, 6.0, 9.0]);
    assert_eq!(run(&mut interpreter, &[2.0, 2.0, 3.0])?, [6.0, 6.0, 9.0]);
    assert_eq!(run(&mut interpreter, &[4.0, 5.0])?, [12.0, 15.0]);
    let log = ["prepare 0 [1]", "invoke 0 host", "prepare 0 [3]", "prepare 0 [2]", "invoke 0 host"];
    assert_eq!(toy.log(), log, "the CPU runs what cannot be prepared, and asks once per shape");
    let reasons: Vec<String> = interpreter.fallbacks().iter().map(|fallback| fallback.reason.to_string()).collect();
    assert_eq!(reasons, ["a shape that the toy does not like"]);
    Ok(())
}

#[test]
fn shape_inputs_are_watched() -> Outcome {
    let model = chain(&["add"])?;
    let toy = Toy::claiming(&[(0, &[0])]);
    toy.with(|state| state.shape_inputs = vec![TensorId(0)]);
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    for x in [1.0, 1.0, 2.0] {
        assert_eq!(run(&mut interpreter, &[x])?, [2.0 * x]);
    }
    let prepared: Vec<String> = toy.log().into_iter().filter(|line| line.starts_with("prepare")).collect();
    assert_eq!(prepared, ["prepare 0 [1] = [1.0]", "prepare 0 [1] = [2.0]"]);
    Ok(())
}

#[test]
fn the_cpu_takes_over_for_good() -> Outcome {
    let model = chain(&["add", "sub", "add"])?;
    let toy = Toy::claiming(&[(0, &[0]), (0, &[2])]);
    toy.with(|state| (state.resident, state.fails) = (true, Some((2, true))));
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    assert_eq!(run(&mut interpreter, &[1.0, 2.0])?, [2.0, 4.0]);
    let failed: Vec<_> = interpreter.fallbacks().iter().map(|f| (f.partition, f.reason.to_string())).collect();
    assert_eq!(failed, [(Some(1), "out of luck".to_owned())]);
    toy.with(|state| state.fails = None);
    toy.log();
    assert_eq!(run(&mut interpreter, &[1.0, 3.0])?, [2.0, 6.0]);
    assert_eq!(toy.log(), ["invoke 0 host", "collect 1"], "the other partition goes on");
    Ok(())
}

#[test]
fn fatal_errors_are_errors() -> Outcome {
    let model = chain(&["add"])?;
    let toy = Toy::claiming(&[(0, &[0])]);
    toy.with(|state| state.fails = Some((1, false)));
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    let text = interpreter.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("delegate toy: out of luck"));
    let toy = Toy::claiming(&[(0, &[0])]);
    toy.with(|state| state.forgets = true);
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    let text = interpreter.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("delegate toy: partition 0 has no result for tensor 1, expected all outputs"));
    Ok(())
}

#[test]
fn a_delegate_may_refuse_the_model() -> Outcome {
    let model = chain(&["add"])?;
    let toy = Toy::claiming(&[(0, &[0])]);
    toy.with(|state| state.refuses = true);
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    assert_eq!(run(&mut interpreter, &[1.0])?, [2.0]);
    assert_eq!(interpreter.schedule(SubgraphId(0)), [Item::Node(NodeId(0))]);
    let failed: Vec<_> = interpreter.fallbacks().iter().map(|f| (f.partition, f.reason.to_string())).collect();
    assert_eq!(failed, [(None, "no device".to_owned())]);
    Ok(())
}

#[test]
fn an_invoke_starts_again_when_the_device_is_lost() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1]);
    let state = g.tensor("state", DType::Float32, &[1], Data::Variable);
    let handle = g.computed("handle", DType::Resource, &[]);
    let (sum, old, new, y) = (g.f32("sum", &[1]), g.f32("old", &[1]), g.f32("new", &[1]), g.f32("y", &[1]));
    g.custom("accumulate", &[x, state], &[sum]);
    g.node(Op::VarHandle(VarHandleOptions { container: String::new(), shared_name: "v".into() }), &[], &[handle]);
    g.custom("add", &[sum, sum], &[old]);
    g.node(Op::AssignVariable, &[handle, sum], &[]);
    g.custom("add", &[old, x], &[new]);
    g.custom("sub", &[new, x], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let toy = Toy::claiming(&[(0, &[2]), (0, &[4])]);
    toy.with(|state| state.resident = true);
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    assert_eq!(run(&mut interpreter, &[1.0])?, [2.0]);
    toy.with(|state| state.lost = true);
    assert_eq!(run(&mut interpreter, &[2.0])?, [6.0], "the state counts the second invoke once");
    assert_eq!(interpreter.tensor(state), Some(&Value::f32(&[1], &[3.0])?));
    assert_eq!(interpreter.fallbacks().last().map(|fallback| fallback.partition), Some(None));
    toy.log();
    assert_eq!(run(&mut interpreter, &[0.0])?, [6.0]);
    assert!(toy.log().is_empty(), "the delegate is asked no more");
    Ok(())
}

#[test]
fn states_live_on_the_device() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1]);
    let state = g.tensor("state", DType::Float32, &[1], Data::Variable);
    let y = g.f32("y", &[1]);
    g.custom("accumulate", &[x, state], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let toy = Toy::claiming(&[(0, &[0])]);
    toy.with(|state| state.resident = true);
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    assert_eq!(run(&mut interpreter, &[1.0])?, [1.0]);
    assert_eq!(run(&mut interpreter, &[2.0])?, [3.0]);
    assert_eq!(toy.log().last().map(String::as_str), Some("collect 1"));
    assert_eq!(toy.with(|state| state.device.len()), 1, "the state remains");
    interpreter.reset_variables();
    assert_eq!(run(&mut interpreter, &[5.0])?, [5.0]);
    // What only the device had is lost with it.
    toy.with(|state| state.lost = true);
    let text = interpreter.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("delegate toy lost values that only it held: device lost"));
    Ok(())
}

/// Counts to 4 while two tensors change places and the first grows by the second.
fn exchanging() -> Result<Model, Error> {
    let mut main = Build::default();
    let (i, a) = (main.input("i", DType::Int32, &[1]), main.input("a", DType::Float32, &[1]));
    let b = main.input("b", DType::Float32, &[1]);
    let outputs = [main.computed("i'", DType::Int32, &[1]), main.f32("a'", &[1]), main.f32("b'", &[1])];
    let op = Op::While(WhileOptions { cond_subgraph_index: 1, body_subgraph_index: 2 });
    main.node(op, &[i, a, b], &outputs);
    Model::new(program(vec![main.outputs(&outputs), condition(), body()]))
}

fn condition() -> Graph {
    let mut g = Build::default();
    let i = g.input("i", DType::Int32, &[1]);
    g.input("a", DType::Float32, &[1]);
    g.input("b", DType::Float32, &[1]);
    let limit = g.constant("limit", &Value::i32(&[], &[4]).unwrap_or_else(|_| unreachable!()));
    let result = g.computed("result", DType::Bool, &[]);
    g.custom("less", &[i, limit], &[result]);
    g.outputs(&[result])
}

fn body() -> Graph {
    let mut g = Build::default();
    let (i, a) = (g.input("i", DType::Int32, &[1]), g.input("a", DType::Float32, &[1]));
    let b = g.input("b", DType::Float32, &[1]);
    let one = g.constant("one", &Value::i32(&[1], &[1]).unwrap_or_else(|_| unreachable!()));
    let (next, sum) = (g.computed("next", DType::Int32, &[1]), g.f32("sum", &[1]));
    g.custom("add", &[i, one], &[next]);
    g.custom("add", &[a, b], &[sum]);
    g.outputs(&[next, b, sum])
}

#[test]
fn a_loop_keeps_its_values_on_the_device() -> Outcome {
    let model = exchanging()?;
    let toy = Toy::claiming(&[(2, &[1])]);
    toy.with(|state| state.resident = true);
    let mut interpreter = start(&model).delegate(toy.boxed()).build()?;
    interpreter.set_input(1, Value::f32(&[1], &[1.0])?)?;
    interpreter.set_input(2, Value::f32(&[1], &[1.0])?)?;
    interpreter.invoke()?;
    // Fibonacci: (1, 1) (1, 2) (2, 3) (3, 5) (5, 8).
    assert_eq!(interpreter.output(1)?.as_slice::<f32>()?, &[5.0]);
    assert_eq!(interpreter.output(2)?.as_slice::<f32>()?, &[8.0]);
    let log = toy.log();
    let expected = [
        "prepare 0 [1] [1]",
        "invoke 0 host host",
        "invoke 0 host handle",
        "invoke 0 handle handle",
        "invoke 0 handle handle",
        "collect 2",
    ];
    assert_eq!(log, expected);
    assert!(toy.with(|state| state.device.is_empty()), "every handle is released");
    Ok(())
}

#[test]
fn a_partition_must_not_surround_another_node() -> Outcome {
    let model = chain(&["add", "sub", "add"])?;
    let toy = Toy::claiming(&[(0, &[0, 2])]);
    let text = start(&model).delegate(toy.boxed()).build().err().map(|error| error.to_string());
    let expected = "delegate toy: partition 0 has a node outside between two of its nodes, expected none";
    assert_eq!(text.as_deref(), Some(expected));
    Ok(())
}

#[test]
fn wrong_partitions_are_refused() -> Outcome {
    let model = chain(&["add", "add"])?;
    type Spoil = fn(&mut Partition);
    let cases: [(&str, Spoil); 6] = [
        ("no output tensor 1", |p| p.outputs.clear()),
        ("no input tensor 0", |p| p.inputs.clear()),
        ("output tensor 0", |p| p.outputs.push(TensorId(0))),
        ("node 7", |p| p.nodes.push(NodeId(7))),
        ("subgraph 3", |p| p.subgraph = SubgraphId(3)),
        ("no nodes", |p| p.nodes.clear()),
    ];
    for (found, spoil) in cases {
        let toy = Toy::claiming(&[(0, &[0])]);
        toy.with(|state| state.spoil = Some(spoil));
        let text = start(&model).delegate(toy.boxed()).build().err().map(|error| error.to_string());
        let text = text.unwrap_or_default();
        assert!(text.starts_with(&format!("delegate toy: partition 0 has {found}, expected")), "{text}");
    }
    let toy = Toy::claiming(&[(0, &[0]), (0, &[0])]);
    assert!(start(&model).delegate(toy.boxed()).build().is_err(), "a node belongs to one partition");
    Ok(())
}
