//! Variables and hash tables by name, and initialisers.

mod support;

use support::{Build, Outcome, program, signature, start};
use tflite_wgpu_fallback::{Error, Model, Value};
use tflite_wgpu_model::{CallOnceOptions, DType, Graph, HashtableOptions, Op, TensorId, VarHandleOptions};

fn handle(g: &mut Build, container: &str, shared_name: &str) -> TensorId {
    let id = g.computed(shared_name, DType::Resource, &[]);
    g.node(
        Op::VarHandle(VarHandleOptions { container: container.into(), shared_name: shared_name.into() }),
        &[],
        &[id],
    );
    id
}

fn table(g: &mut Build, table_id: i32, key_dtype: DType, value_dtype: DType) -> TensorId {
    let id = g.computed("table", DType::Resource, &[]);
    g.node(Op::Hashtable(HashtableOptions { table_id, key_dtype, value_dtype }), &[], &[id]);
    id
}

/// Adds its input to a variable that an initialiser sets to 10; gives the sum.
fn summing() -> (Graph, Graph) {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1]);
    g.node(Op::CallOnce(CallOnceOptions { init_subgraph_index: 1 }), &[], &[]);
    let variable = handle(&mut g, "", "sum");
    let (old, new) = (g.f32("old", &[1]), g.f32("new", &[1]));
    g.node(Op::ReadVariable, &[variable], &[old]);
    g.custom("add", &[old, x], &[new]);
    g.node(Op::AssignVariable, &[variable, new], &[]);
    let mut init = Build::default();
    let variable = handle(&mut init, "", "sum");
    let ten = init.constant("ten", &Value::f32(&[1], &[10.0]).unwrap_or_else(|_| unreachable!()));
    init.node(Op::AssignVariable, &[variable, ten], &[]);
    (g.outputs(&[new]), init.outputs(&[]))
}

#[test]
fn an_initialiser_runs_once_and_variables_last() -> Outcome {
    let (main, init) = summing();
    let model = Model::new(program(vec![main, init]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.set_input(0, Value::f32(&[1], &[1.0])?)?;
    for expected in [11.0f32, 12.0, 13.0] {
        interpreter.invoke()?;
        assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, &[expected]);
    }
    // As in TFLite, this is about variable tensors only.
    interpreter.reset_variables();
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, &[14.0]);
    // Another interpreter has variables of its own.
    let mut other = start(&model).build()?;
    other.invoke()?;
    assert_eq!(other.output(0)?.as_slice::<f32>()?, &[10.0]);
    Ok(())
}

#[test]
fn signatures_share_resources() -> Outcome {
    let (main, init) = summing();
    let mut read = Build::default();
    let variable = handle(&mut read, "", "sum");
    let y = read.f32("y", &[1]);
    read.node(Op::ReadVariable, &[variable], &[y]);
    let read = read.outputs(&[y]);
    let signatures = vec![signature("sum", 0, &main), signature("read", 2, &read)];
    let mut p = program(vec![main, init, read]);
    p.signatures = signatures;
    let model = Model::new(p)?;
    let mut interpreter = start(&model).build()?;
    let mut sum = interpreter.signature_runner("sum")?;
    sum.set_input("x", Value::f32(&[1], &[5.0])?)?;
    sum.invoke()?;
    let mut read = interpreter.signature_runner("read")?;
    read.invoke()?;
    assert_eq!(read.output("y")?.as_slice::<f32>()?, &[15.0]);
    Ok(())
}

#[test]
fn containers_and_names_tell_variables_apart() -> Outcome {
    let mut g = Build::default();
    let x = g.input("x", DType::Float32, &[1]);
    let (first, second, again) = (handle(&mut g, "", "v"), handle(&mut g, "c", "v"), handle(&mut g, "", "v"));
    let (twice, y, z) = (g.f32("twice", &[1]), g.f32("y", &[1]), g.f32("z", &[1]));
    g.custom("add", &[x, x], &[twice]);
    g.node(Op::AssignVariable, &[first, x], &[]);
    g.node(Op::AssignVariable, &[second, twice], &[]);
    g.node(Op::ReadVariable, &[again], &[y]);
    g.node(Op::ReadVariable, &[second], &[z]);
    let model = Model::new(program(vec![g.outputs(&[y, z])]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.set_input(0, Value::f32(&[1], &[4.0])?)?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?.as_slice::<f32>()?, &[4.0]);
    assert_eq!(interpreter.output(1)?.as_slice::<f32>()?, &[8.0]);
    Ok(())
}

#[test]
fn an_unset_variable_is_an_error() -> Outcome {
    let mut g = Build::default();
    let variable = handle(&mut g, "", "v");
    let y = g.f32("y", &[1]);
    g.node(Op::ReadVariable, &[variable], &[y]);
    let model = Model::new(program(vec![g.outputs(&[y])]))?;
    let text = start(&model).build()?.invoke().err().map(|error| error.to_string());
    let expected = "node 1 READ_VARIABLE: resource 0 is a variable without a value, expected an assigned variable";
    assert_eq!(text.as_deref(), Some(expected));
    Ok(())
}

/// Imports two equal keys, looks keys up, asks for the size.
fn lookup(import: bool) -> Result<Model, Error> {
    let mut g = Build::default();
    let keys = g.input("keys", DType::String, &[3]);
    let values = g.constant("values", &ints(&[1, 2, 3]));
    let wanted = g.input("wanted", DType::String, &[2]);
    let default = g.constant("default", &ints(&[-1]));
    let table = table(&mut g, 7, DType::String, DType::Int64);
    if import {
        g.node(Op::HashtableImport, &[table, keys, values], &[]);
    }
    let (found, size) = (g.computed("found", DType::Int64, &[2]), g.computed("size", DType::Int64, &[1]));
    g.node(Op::HashtableFind, &[table, wanted, default], &[found]);
    g.node(Op::HashtableSize, &[table], &[size]);
    Model::new(program(vec![g.outputs(&[found, size])]))
}

fn ints(values: &[i64]) -> Value {
    Value::from_slice(DType::Int64, &[values.len()], values).unwrap_or_else(|_| unreachable!())
}

#[test]
fn tables_are_filled_once_and_keep_the_first_of_equal_keys() -> Outcome {
    let words = |words: [&str; 3]| Value::strings(&[3], words.map(|word| word.as_bytes().to_vec()).to_vec());
    let mut interpreter = start(&lookup(true)?).build()?;
    interpreter.set_input(1, Value::strings(&[2], vec![b"b".to_vec(), b"c".to_vec()])?)?;
    for keys in [["a", "b", "b"], ["c", "c", "c"]] {
        interpreter.set_input(0, words(keys)?)?;
        interpreter.invoke()?;
        assert_eq!(interpreter.output(0)?, &ints(&[2, -1]));
        assert_eq!(interpreter.output(1)?, &ints(&[2]));
    }
    Ok(())
}

#[test]
fn a_table_is_filled_before_it_is_read() -> Outcome {
    let text = start(&lookup(false)?).build()?.invoke().err().map(|error| error.to_string());
    let expected = "node 1 HASHTABLE_FIND: hash table 0 is empty, expected a HASHTABLE_IMPORT before";
    assert_eq!(text.as_deref(), Some(expected));
    Ok(())
}

#[test]
fn numbers_lead_to_strings_and_types_are_checked() -> Outcome {
    let mut g = Build::default();
    let keys = g.constant("keys", &ints(&[5, 6]));
    let values = g.input("values", DType::String, &[2]);
    let wanted = g.input("wanted", DType::Int64, &[1, 2]);
    let default = g.input("default", DType::String, &[]);
    let table = table(&mut g, 0, DType::Int64, DType::String);
    g.node(Op::HashtableImport, &[table, keys, values], &[]);
    let found = g.computed("found", DType::String, &[1, 2]);
    g.node(Op::HashtableFind, &[table, wanted, default], &[found]);
    let mut wrong = Build(g.0.clone());
    let model = Model::new(program(vec![g.outputs(&[found])]))?;
    let mut interpreter = start(&model).build()?;
    interpreter.set_input(0, Value::strings(&[2], vec![b"five".to_vec(), b"six".to_vec()])?)?;
    interpreter.set_input(1, Value::from_slice(DType::Int64, &[1, 2], &[6i64, 7])?)?;
    interpreter.set_input(2, Value::strings(&[], vec![b"many".to_vec()])?)?;
    interpreter.invoke()?;
    assert_eq!(interpreter.output(0)?, &Value::strings(&[1, 2], vec![b"six".to_vec(), b"many".to_vec()])?);
    wrong.0.nodes[2].inputs[1] = Some(values);
    let model = Model::new(program(vec![wrong.outputs(&[found])]))?;
    let text = start(&model).build()?.invoke().err().map(|error| error.to_string());
    assert_eq!(text.as_deref(), Some("node 2 HASHTABLE_FIND: input 1 \"values\" has type STRING, expected INT64"));
    Ok(())
}
