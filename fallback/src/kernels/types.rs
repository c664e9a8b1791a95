//! What kernels take, so that a node that cannot run is an error before anything runs: types, inputs, versions,
//! attributes.
//!
//! `types.txt` has a line for each operator, found by asking its kernel (`tests/packs/types.rs`): the highest version
//! that LiteRT 2.3.0 knows, or `-`, then the inputs (`?` where one may be missing) and outputs with their types; `=in0`
//! is the type of the first input, `any` every type that has elements, `integers` those of all widths and BOOL. It says what is necessary, not what is enough: kernels look at more when they run.

use std::{collections::HashMap, sync::LazyLock};

use tflite_wgpu_model::{DType, Node, Op, Tensor, TensorId};

use super::{KernelError, attributes, support::refuse};

/// What an operator takes.
#[derive(Debug, Default)]
struct Line {
    /// Its highest version.
    version: Option<i32>,
    slots: Vec<Slot>,
}

/// What an input or output may be.
#[derive(Debug)]
struct Slot {
    output: bool,
    index: usize,
    optional: bool,
    /// `None`: the type of the first input.
    types: Option<Vec<DType>>,
}

static TABLE: LazyLock<HashMap<&'static str, Line>> =
    LazyLock::new(|| include_str!("types.txt").lines().filter_map(line).collect());

fn line(text: &'static str) -> Option<(&'static str, Line)> {
    let mut parts = text.split(" | ");
    let (op, version) = parts.next()?.split_once(' ')?;
    let slots = parts.map(slot).collect::<Option<Vec<_>>>()?;
    Some((op, Line { version: version.parse().ok(), slots }))
}

fn slot(text: &str) -> Option<Slot> {
    let (place, types) = text.split_once(' ')?;
    let (place, optional) = place.strip_suffix('?').map_or((place, false), |place| (place, true));
    let input = place.strip_prefix("in");
    let index = input.or_else(|| place.strip_prefix("out"))?.parse().ok()?;
    let types = match types {
        "=in0" => None,
        names => Some(names.split(' ').map(set).collect::<Option<Vec<_>>>()?.concat()),
    };
    Some(Slot { output: input.is_none(), index, optional, types })
}

/// The types that a word of the table stands for.
fn set(word: &str) -> Option<Vec<DType>> {
    use DType::{Bool, Int2, Int4, Int8, Int16, Int32, Int64, UInt4, UInt8, UInt16, UInt32, UInt64};
    let held = |dtype: &DType| !matches!(dtype, DType::Resource | DType::Variant);
    Some(match word {
        "any" => DType::ALL.iter().copied().filter(held).collect(),
        "integers" => vec![Int32, UInt8, Int64, Bool, Int16, Int8, UInt64, UInt32, UInt16, Int4, Int2, UInt4],
        name => vec![DType::ALL.iter().copied().find(|dtype| dtype.name() == name)?],
    })
}

/// Checks a node's version, as far as it is known which there are.
///
/// # Errors
/// When it is beyond the last one.
pub(crate) fn check_version(node: &Node) -> Result<(), KernelError> {
    match TABLE.get(node.op.name()).and_then(|line| line.version) {
        Some(last) if node.version > last => Err(refuse("version", node.version, format!("at most {last}"))),
        _ => Ok(()),
    }
}

/// Checks the nodes of a subgraph, one after the other.
pub(crate) struct Checker<'a> {
    tensors: &'a [Tensor],
    /// Types that kernels give to results whatever the file says.
    given: HashMap<TensorId, DType>,
}

impl<'a> Checker<'a> {
    /// A checker of nodes whose tensors are these.
    pub fn new(tensors: &'a [Tensor]) -> Self {
        Self { tensors, given: HashMap::new() }
    }

    /// Checks what a kernel of this crate would refuse whatever the values are: missing inputs, types, attributes.
    ///
    /// # Errors
    /// Names the input or output, what it is, and what it may be.
    pub fn check(&mut self, node: &Node) -> Result<(), KernelError> {
        attributes::check(&node.op)?;
        let Some(line) = TABLE.get(node.op.name()) else { return Ok(()) };
        let first = node.input(0).and_then(|id| self.dtype(id));
        for slot in &line.slots {
            self.check_slot(node, slot, first)?;
        }
        if let (true, Some(output), Some(first)) = (gives_own_type(&node.op), node.output(0), first) {
            self.given.insert(output, first);
        }
        Ok(())
    }

    fn check_slot(&self, node: &Node, slot: &Slot, first: Option<DType>) -> Result<(), KernelError> {
        let id = if slot.output { node.output(slot.index) } else { node.input(slot.index) };
        let Some((id, found)) = id.and_then(|id| Some((id, self.dtype(id)?))) else {
            let fine = slot.output || slot.optional;
            return if fine { Ok(()) } else { Err(KernelError::MissingInput(slot.index)) };
        };
        let expected = match &slot.types {
            None if Some(found) == first || first.is_none() => return Ok(()),
            None => format!("{} as of input 0", first.map_or("", DType::name)),
            Some(types) if types.contains(&found) => return Ok(()),
            Some(types) => list(types),
        };
        let side = if slot.output { "output" } else { "input" };
        let name = self.tensors.get(id.index()).map_or("", |tensor| &tensor.name);
        Err(refuse(format!("type of {side} {} {name:?}", slot.index), found, expected))
    }

    fn dtype(&self, id: TensorId) -> Option<DType> {
        let stated = || self.tensors.get(id.index()).map(|tensor| tensor.dtype);
        self.given.get(&id).copied().or_else(stated)
    }
}

/// Whether the result has the type of the first input although the file may say another.
fn gives_own_type(op: &Op) -> bool {
    matches!(op, Op::Add(_) | Op::Sub(_) | Op::Mul(_) | Op::Div(_) | Op::SquaredDifference)
}

/// `INT8, INT16 or INT32`
fn list(types: &[DType]) -> String {
    let names: Vec<_> = types.iter().map(|dtype| dtype.name()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::BuiltinOperator;

    use super::*;
    use crate::kernels::{custom_names, kernel};

    #[test]
    fn every_line_is_understood() {
        let lines: Vec<_> = include_str!("types.txt").lines().collect();
        let lost: Vec<_> = lines.iter().filter(|text| line(text).is_none()).collect();
        assert!(lines.len() > 150 && lost.is_empty(), "{} lines, not understood: {lost:?}", lines.len());
        let builtin = |op: &str| BuiltinOperator::ALL.iter().any(|b| b.name() == op && kernel(*b).is_some());
        let unknown: Vec<_> =
            TABLE.keys().filter(|op| !builtin(op) && !custom_names().any(|name| name == **op)).collect();
        assert!(unknown.is_empty(), "operators without a kernel: {unknown:?}");
    }
}
