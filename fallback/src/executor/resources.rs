//! Variables and hash tables that outlive an invoke, by name.

use std::collections::{HashMap, HashSet};

use tflite_wgpu_model::{DType, Node, NodeId, Op};

use super::{Executor, Scope};
use crate::{
    content::Content,
    error::Error,
    memory::Shared,
    value::{Value, ValueError},
};

/// What a RESOURCE tensor's number stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    /// Container and shared name of a VAR_HANDLE.
    Variable(String, String),
    /// Number of a HASHTABLE.
    Table(i32),
}

#[derive(Clone, Debug)]
enum Resource {
    /// Unset until a first ASSIGN_VARIABLE.
    Variable(Option<Content>),
    Table(Table),
}

/// A hash table; it is filled once.
#[derive(Clone, Debug)]
struct Table {
    key: DType,
    value: DType,
    entries: Option<HashMap<Vec<u8>, Vec<u8>>>,
}

/// All resources of an interpreter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources {
    numbers: HashMap<Name, i32>,
    list: Vec<Resource>,
    /// Subgraphs that a CALL_ONCE has run.
    called: HashSet<i32>,
}

impl Resources {
    /// Whether this is the first call of an initialiser; it counts as called from now on.
    pub(super) fn first_call(&mut self, subgraph: i32) -> bool {
        self.called.insert(subgraph)
    }

    /// Takes a call back that failed.
    pub(super) fn forget_call(&mut self, subgraph: i32) {
        self.called.remove(&subgraph);
    }

    /// Values of all variables.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &Content> {
        self.list.iter().filter_map(|r| if let Resource::Variable(Some(content)) = r { Some(content) } else { None })
    }

    fn number(&mut self, name: Name, new: impl FnOnce() -> Resource) -> i32 {
        let next = i32::try_from(self.list.len()).unwrap_or(i32::MAX);
        *self.numbers.entry(name).or_insert_with(|| {
            self.list.push(new());
            next
        })
    }
}

impl Executor {
    pub(super) async fn resource(&mut self, scope: &mut Scope<'_>, id: NodeId, node: &Node) -> Result<(), Error> {
        match &node.op {
            Op::VarHandle(o) => {
                let name = Name::Variable(o.container.clone(), o.shared_name.clone());
                let number = self.resources.number(name, || Resource::Variable(None));
                self.give_handle(scope, id, node, number)
            }
            Op::Hashtable(o) => {
                let (key, value) = (o.key_dtype, o.value_dtype);
                let table = || Resource::Table(Table { key, value, entries: None });
                let number = self.resources.number(Name::Table(o.table_id), table);
                self.give_handle(scope, id, node, number)
            }
            Op::ReadVariable => {
                let place = self.place(scope, id, node).await?;
                match self.resources.list.get(place) {
                    Some(Resource::Variable(Some(content))) => {
                        let content = content.clone();
                        self.write_results(scope, id, node, vec![content])
                    }
                    other => Err(wrong(scope, id, place, other, "an assigned variable")),
                }
            }
            Op::AssignVariable => {
                let place = self.place(scope, id, node).await?;
                let tensor = node.input(1).ok_or_else(|| Error::MissingInput { at: scope.at(id), input: 1 })?;
                let content = self.read(scope, tensor)?;
                match self.resources.list.get_mut(place) {
                    Some(Resource::Variable(variable)) => *variable = Some(content),
                    other => return Err(wrong(scope, id, place, other.as_deref(), "a variable")),
                }
                Ok(())
            }
            _ => self.table(scope, id, node).await,
        }
    }

    fn give_handle(&mut self, scope: &mut Scope<'_>, id: NodeId, node: &Node, number: i32) -> Result<(), Error> {
        let Some(tensor) = node.output(0) else { return Ok(()) };
        let mut value = self.zeros(scope, tensor)?;
        if value.is_empty() {
            value = Value::empty(value.dtype());
            let error = |error| super::tensor_memory_error(crate::memory::MemoryError::Value(error), &scope.at(id));
            value.reset(DType::Resource, &[]).map_err(error)?;
        }
        let operand = scope.graph.tensors.get(tensor.index());
        let operand = || crate::error::Operand::output(0, operand);
        let numbers = value.as_mut_slice::<i32>();
        let numbers = numbers.map_err(|error| Error::Operand { at: scope.at(id), operand: operand(), error })?;
        numbers.fill(number);
        let shared = self.hold_tensor(scope, tensor, value)?;
        self.write(scope, tensor, Content::Host(shared));
        Ok(())
    }

    /// Number of the resource that input 0 stands for.
    async fn place(&mut self, scope: &mut Scope<'_>, id: NodeId, node: &Node) -> Result<usize, Error> {
        let shared = self.host_input(scope, id, node, 0).await?;
        let operand = || scope.input_operand(node, 0);
        let error = |error| Error::Operand { at: scope.at(id), operand: operand(), error };
        let value = shared.value();
        if value.dtype() != DType::Resource {
            return Err(error(ValueError::Type { found: value.dtype(), expected: DType::Resource }));
        }
        let first = value.as_slice::<i32>().map_err(error)?.first().copied();
        let first = first.and_then(|number| usize::try_from(number).ok());
        first.ok_or_else(|| error(ValueError::Size { found: value.bytes().len(), expected: size_of::<i32>() }))
    }

    async fn table(&mut self, scope: &mut Scope<'_>, id: NodeId, node: &Node) -> Result<(), Error> {
        let place = self.place(scope, id, node).await?;
        let inputs = self.host_inputs(scope, node, None).await?;
        let Some(Resource::Table(table)) = self.resources.list.get_mut(place) else {
            return Err(wrong(scope, id, place, self.resources.list.get(place), "a hash table"));
        };
        let input = |i: usize, dtype: DType| {
            let missing = || Error::MissingInput { at: scope.at(id), input: i };
            let value = inputs.get(i).and_then(Option::as_ref).map(Shared::value).ok_or_else(missing)?;
            if value.dtype() == dtype {
                return Ok(value);
            }
            let error = ValueError::Type { found: value.dtype(), expected: dtype };
            Err(Error::Operand { at: scope.at(id), operand: scope.input_operand(node, i), error })
        };
        if let Op::HashtableImport = node.op {
            let (keys, values) = (input(1, table.key)?, input(2, table.value)?);
            if keys.len() != values.len() {
                let (found, expected) = (format!("{} values", values.len()), format!("{}, one per key", keys.len()));
                return Err(Error::Resource { at: scope.at(id), what: "the hash table gets".into(), found, expected });
            }
            // A second import changes nothing, and the first of equal keys stays, as in TFLite.
            if table.entries.is_none() {
                let mut entries = HashMap::with_capacity(keys.len());
                for i in 0..keys.len() {
                    entries.entry(element(keys, i)).or_insert_with(|| element(values, i));
                }
                table.entries = Some(entries);
            }
            return Ok(());
        }
        let Some(entries) = &table.entries else {
            let what = format!("hash table {place}");
            let (found, expected) = ("is empty".into(), "a HASHTABLE_IMPORT before".into());
            return Err(Error::Resource { at: scope.at(id), what, found, expected });
        };
        let result = match node.op {
            Op::HashtableSize => Value::from_slice(DType::Int64, &[1], &[entries.len() as i64]),
            _ => find(entries, input(1, table.key)?, input(2, table.value)?),
        };
        let error = |error| super::tensor_memory_error(crate::memory::MemoryError::Value(error), &scope.at(id));
        let shared = self.memory.hold(result.map_err(error)?);
        let shared = shared.map_err(|error| super::tensor_memory_error(error, &scope.at(id)))?;
        self.write_results(scope, id, node, vec![Content::Host(shared)])
    }
}

/// Bytes of element `i`; the characters of a string.
fn element(value: &Value, i: usize) -> Vec<u8> {
    if let Ok(strings) = value.as_strings() {
        return strings.get(i).cloned().unwrap_or_default();
    }
    let size = value.dtype().size().unwrap_or(1);
    value.bytes().chunks_exact(size).nth(i).unwrap_or_default().to_vec()
}

/// The value of each key, or the default's first element.
fn find(entries: &HashMap<Vec<u8>, Vec<u8>>, keys: &Value, default: &Value) -> Result<Value, ValueError> {
    let fallback = element(default, 0);
    let found = (0..keys.len()).map(|i| entries.get(&element(keys, i)).unwrap_or(&fallback).clone());
    match default.dtype() {
        DType::String => Value::strings(keys.shape(), found.collect()),
        dtype => Value::from_bytes(dtype, keys.shape(), &found.flatten().collect::<Vec<u8>>()),
    }
}

fn wrong(scope: &Scope<'_>, id: NodeId, place: usize, found: Option<&Resource>, expected: &str) -> Error {
    let found = match found {
        None => "does not exist",
        Some(Resource::Variable(None)) => "is a variable without a value",
        Some(Resource::Variable(Some(_))) => "is a variable",
        Some(Resource::Table(_)) => "is a hash table",
    };
    let what = format!("resource {place}");
    Error::Resource { at: scope.at(id), what, found: found.into(), expected: expected.into() }
}
