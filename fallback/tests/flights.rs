//! Invokes in flight, and a delegate that is not ready yet.

mod support;

use support::{Build, Outcome, program, start, toy::Toy};
use tflite_wgpu_fallback::{Error, Interpreter, Model, Value};
use tflite_wgpu_model::{DType, Data};

/// Three times x, node by node.
fn thrice() -> Result<Model, Error> {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let (h, y) = (g.f32("h", &[2]), g.f32("y", &[2]));
    g.custom("add", &[x, x], &[h]);
    g.custom("add", &[h, x], &[y]);
    Model::new(program(vec![g.outputs(&[y])]))
}

/// The sum of all inputs so far, in a variable.
fn running_sum() -> Result<Model, Error> {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let (state, y) = (g.tensor("sum", DType::Float32, &[2], Data::Variable), g.f32("y", &[2]));
    g.custom("accumulate", &[x, state], &[y]);
    Model::new(program(vec![g.outputs(&[y])]))
}

fn submit(interpreter: &mut Interpreter, x: [f32; 2]) -> Outcome {
    interpreter.set_input(0, Value::f32(&[2], &x)?)?;
    Ok(interpreter.submit()?)
}

fn collected(interpreter: &mut Interpreter) -> Result<Option<Vec<f32>>, Box<dyn std::error::Error>> {
    Ok(match interpreter.collect()? {
        true => Some(interpreter.output(0)?.as_slice::<f32>()?.to_vec()),
        false => None,
    })
}

fn resident(claims: &[(u32, &[u32])]) -> Toy {
    let toy = Toy::claiming(claims);
    toy.with(|state| state.resident = true);
    toy
}

#[test]
fn the_next_input_is_written_while_an_invoke_is_in_flight() -> Outcome {
    let toy = resident(&[(0, &[0, 1])]);
    let mut interpreter = start(&thrice()?).delegate(toy.boxed()).build()?;
    submit(&mut interpreter, [1.0, 2.0])?;
    submit(&mut interpreter, [3.0, 4.0])?;
    assert!(!toy.log().iter().any(|line| line.starts_with("collect")), "nothing is waited for");
    interpreter.input_mut(0)?.as_mut_slice::<f32>()?.fill(9.0);
    assert_eq!(collected(&mut interpreter)?, Some(vec![3.0, 6.0]));
    assert_eq!(collected(&mut interpreter)?, Some(vec![9.0, 12.0]));
    assert_eq!(collected(&mut interpreter)?, None);
    assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, [9.0, 12.0], "the last results stay");
    assert!(toy.with(|state| state.device.is_empty()), "every handle is released");
    Ok(())
}

#[test]
fn a_third_invoke_waits_for_the_first() -> Outcome {
    let toy = resident(&[(0, &[0, 1])]);
    let mut interpreter = start(&thrice()?).delegate(toy.boxed()).build()?;
    for x in [1.0, 2.0, 3.0, 4.0] {
        submit(&mut interpreter, [x, x])?;
    }
    let log: Vec<String> = toy.log().into_iter().filter(|line| !line.starts_with("prepare")).collect();
    assert_eq!(log, ["invoke 0 host", "invoke 0 host", "collect 1", "invoke 0 host", "collect 1", "invoke 0 host"]);
    for x in [1.0, 2.0, 3.0, 4.0] {
        assert_eq!(collected(&mut interpreter)?, Some(vec![3.0 * x; 2]));
    }
    Ok(())
}

#[test]
fn invokes_without_a_delegate_fly_too() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let y = g.f32("y", &[2]);
    g.custom("sub", &[x, x], &[y]);
    let mut interpreter = start(&Model::new(program(vec![g.outputs(&[y])]))?).build()?;
    submit(&mut interpreter, [1.0, 2.0])?;
    submit(&mut interpreter, [3.0, 4.0])?;
    assert_eq!(collected(&mut interpreter)?, Some(vec![0.0, 0.0]));
    interpreter.invoke()?;
    assert_eq!(collected(&mut interpreter)?, None, "an invoke forgets what was not collected");
    Ok(())
}

#[test]
fn lost_flights_are_repeated_on_the_cpu_in_their_order() -> Outcome {
    let toy = resident(&[(0, &[0])]);
    let mut interpreter = start(&running_sum()?).delegate(toy.boxed()).build()?;
    submit(&mut interpreter, [1.0, 2.0])?;
    submit(&mut interpreter, [10.0, 20.0])?;
    toy.with(|state| state.lost = true);
    assert_eq!(collected(&mut interpreter)?, Some(vec![1.0, 2.0]));
    assert_eq!(collected(&mut interpreter)?, Some(vec![11.0, 22.0]));
    assert_eq!(interpreter.fallbacks().len(), 1);
    submit(&mut interpreter, [100.0, 200.0])?;
    assert_eq!(collected(&mut interpreter)?, Some(vec![111.0, 222.0]), "the state goes on");
    Ok(())
}

#[test]
fn the_cpu_answers_until_the_delegate_is_ready() -> Outcome {
    let toy = resident(&[(0, &[0, 1])]);
    toy.with(|state| state.late = 2);
    let mut interpreter = start(&thrice()?).delegate(toy.boxed()).build()?;
    for round in 1..=4 {
        interpreter.set_input(0, Value::f32(&[2], &[1.0, round as f32])?)?;
        interpreter.invoke()?;
        assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, [3.0, 3.0 * round as f32]);
        let collects = toy.log().iter().filter(|line| line.starts_with("collect")).count();
        assert_eq!(collects, usize::from(round > 2), "round {round}");
    }
    assert!(interpreter.fallbacks().is_empty(), "that is no failure");
    Ok(())
}
