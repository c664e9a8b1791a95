//! Partitions that a host runs one at a time, between nodes of its own.

mod support;

use support::{Build, Outcome, program, toy::Toy};
use tflite_wgpu_fallback::{Error, HostedOptions, HostedPartitions, Model, Value};
use tflite_wgpu_model::{AddOptions, DType, Op, TensorId};

/// t1 = x + x, t2 = t1 + x, t3 = what the host makes of t2, t4 = t3 + x.
fn model() -> Result<Model, Error> {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[2]);
    let mut last = x;
    for name in ["t1", "t2", "t3", "t4"] {
        let next = g.f32(name, &[2]);
        match name {
            "t3" => g.custom("the host's", &[last], &[next]),
            _ => g.node(Op::Add(AddOptions::default()), &[last, x], &[next]),
        };
        last = next;
    }
    Model::new(program(vec![g.outputs(&[last])]))
}

fn started(toy: &Toy) -> Result<HostedPartitions, Error> {
    HostedPartitions::new(&model()?, toy.boxed(), HostedOptions::default())
}

const X: TensorId = TensorId(0);

#[test]
fn values_pass_between_partitions_and_the_host() -> Outcome {
    let toy = Toy::claiming(&[(0, &[0]), (0, &[1]), (0, &[3])]);
    toy.with(|state| state.resident = true);
    let mut hosted = started(&toy)?;
    let wants: Vec<bool> = (1..5).map(|i| hosted.wants_host(TensorId(i))).collect();
    assert_eq!(wants, [false, true, false, true], "what the host's node reads, and the output");
    for (scale, expected) in [(1.0, [3.0, 6.0]), (2.0, [6.0, 12.0])] {
        hosted.set(X, Value::f32(&[2], &[scale, 2.0 * scale])?)?;
        hosted.run(0)?;
        hosted.run(1)?;
        assert_eq!(hosted.value(TensorId(2))?.as_slice::<f32>()?, expected);
        hosted.set(TensorId(3), Value::f32(&[2], &[10.0, 10.0])?)?;
        hosted.run(2)?;
        assert_eq!(hosted.value(TensorId(4))?.as_slice::<f32>()?, [10.0 + scale, 10.0 + 2.0 * scale]);
    }
    let invokes = toy.log().into_iter().filter(|line| line.starts_with("invoke"));
    let once = ["invoke 0 host", "invoke 1 handle host", "invoke 2 host host"];
    assert_eq!(invokes.collect::<Vec<_>>(), [once, once].concat(), "t1 stays on the device");
    Ok(())
}

#[test]
fn shapes_are_known_before_anything_runs() -> Outcome {
    let toy = Toy::claiming(&[(0, &[0, 1])]);
    let mut hosted = started(&toy)?;
    assert_eq!(hosted.partitions()[0].inputs, [X]);
    let shapes = |n: usize| vec![vec![n]];
    assert_eq!(hosted.prepare(0, &shapes(5))?, Some(vec![(DType::Float32, vec![5])]));
    assert!(hosted.is_prepared(0, &shapes(5)) && !hosted.is_prepared(0, &shapes(2)));
    assert_eq!(hosted.shape(TensorId(2)), None, "nothing has run");
    hosted.set(X, Value::f32(&[5], &[1.0; 5])?)?;
    hosted.run(0)?;
    assert_eq!(hosted.shape(TensorId(2)), Some((DType::Float32, &[5][..])));
    Ok(())
}

#[test]
fn values_that_decide_over_shapes_are_waited_for() -> Outcome {
    let toy = Toy::claiming(&[(0, &[0, 1])]);
    toy.with(|state| state.shape_inputs = vec![X]);
    let mut hosted = started(&toy)?;
    assert_eq!(hosted.prepare(0, &[vec![2]])?, None);
    hosted.set(X, Value::f32(&[2], &[1.0, 2.0])?)?;
    assert!(hosted.prepare(0, &[vec![2]])?.is_some());
    Ok(())
}

#[test]
fn the_cpu_takes_over_when_the_device_fails() -> Outcome {
    let toy = Toy::claiming(&[(0, &[0, 1])]);
    toy.with(|state| state.fails = Some((1, true)));
    let mut hosted = started(&toy)?;
    for x in [1.0, 2.0, 3.0] {
        hosted.set(X, Value::f32(&[2], &[x, x])?)?;
        hosted.run(0)?;
        assert_eq!(hosted.value(TensorId(2))?.as_slice::<f32>()?, [3.0 * x, 3.0 * x]);
    }
    assert_eq!(hosted.fallbacks().len(), 1);
    let fatal = Toy::claiming(&[(0, &[0])]);
    fatal.with(|state| state.fails = Some((0, false)));
    let mut hosted = started(&fatal)?;
    hosted.set(X, Value::f32(&[2], &[1.0, 1.0])?)?;
    assert!(hosted.run(0).is_err());
    Ok(())
}

#[test]
fn wrong_calls_are_errors() -> Outcome {
    let mut hosted = started(&Toy::claiming(&[(0, &[0])]))?;
    let text = |error: Option<Error>| error.map(|error| error.to_string()).unwrap_or_default();
    assert!(text(hosted.run(1).err()).contains("less than 1"));
    assert!(text(hosted.prepare(1, &[]).err()).contains("less than 1"));
    assert!(text(hosted.set(X, Value::i32(&[2], &[1, 2])?).err()).contains("INT32"));
    assert!(hosted.run(0).is_err(), "the input has no value");
    assert!(hosted.value(TensorId(1)).is_err() && hosted.value(TensorId(99)).is_err());
    Ok(())
}
