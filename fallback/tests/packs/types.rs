//! The table of types that kernels take (`src/kernels/types.txt`), found by asking the kernels: nodes of the packs run
//! with one type after the other in place of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as StdError,
};

use tflite_wgpu_fallback::{Error, Model, Value, ValueError, run_node};
use tflite_wgpu_model::{DType, Data, Node, Quant, QuantKind, SubgraphId, Tensor, TensorId};

/// Nodes of one operator that are asked.
const NODES: usize = 40;

/// A node with its tensors and the values of its inputs.
pub struct Probe {
    node: Node,
    tensors: Vec<Tensor>,
    values: BTreeMap<TensorId, Value>,
}

/// An input or output of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Input(usize),
    Output(usize),
}

/// What the kernel of an operator takes.
#[derive(Default)]
pub struct Asked {
    nodes: usize,
    kinds: BTreeSet<Vec<Option<DType>>>,
    /// Types of all slots of a node that its kernel took.
    taken: BTreeSet<BTreeMap<Slot, DType>>,
    optional: BTreeSet<usize>,
    inputs: usize,
}

impl Probe {
    /// The only node of a model whose inputs are `values`; `None` for other models.
    pub fn new(model: &Model, values: &[Value]) -> Option<Self> {
        let [graph] = model.program().subgraphs.as_slice() else { return None };
        let [node] = graph.nodes.as_slice() else { return None };
        let mut known = BTreeMap::new();
        for (i, tensor) in graph.tensors.iter().enumerate() {
            let id = TensorId::from_index(i);
            if let Ok(Some(value)) = model.constant(SubgraphId(0), id) {
                known.insert(id, value.clone());
            } else if tensor.data == Data::Variable {
                known.insert(id, Value::zeros(tensor.dtype, &tensor.dims).ok()?);
            }
        }
        known.extend(graph.inputs.iter().copied().zip(values.iter().cloned()));
        let complete = node.inputs.iter().flatten().all(|id| known.contains_key(id));
        let probe = complete.then(|| Self { node: node.clone(), tensors: graph.tensors.clone(), values: known })?;
        // A kernel that has nothing to do or stops early does not look at its types.
        let results = probe.run(&probe.node, &probe.tensors, &probe.values).ok()?;
        results.iter().all(|value| !value.is_empty()).then_some(probe)
    }

    /// The operator.
    pub fn op(&self) -> &str {
        self.node.op.name()
    }

    fn slots(&self) -> BTreeMap<Slot, TensorId> {
        let place = |slot: fn(usize) -> Slot| move |(i, id): (usize, &Option<TensorId>)| id.map(|id| (slot(i), id));
        let inputs = self.node.inputs.iter().enumerate().filter_map(place(Slot::Input));
        inputs.chain(self.node.outputs.iter().enumerate().filter_map(place(Slot::Output))).collect()
    }

    fn types(&self) -> BTreeMap<Slot, DType> {
        let dtype = |id: TensorId| self.tensors.get(id.index()).map(|tensor| tensor.dtype);
        self.slots().into_iter().filter_map(|(slot, id)| Some((slot, dtype(id)?))).collect()
    }

    /// Whether the kernel takes the node with `dtype` in these tensors, their quantisation as it is or a simple one.
    fn takes(&self, tensors: &[TensorId], dtype: DType) -> bool {
        [false, true].into_iter().any(|simple| {
            let mut own = self.tensors.clone();
            let mut values = self.values.clone();
            for id in tensors {
                let Some(tensor) = own.get_mut(id.index()) else { return false };
                tensor.dtype = dtype;
                if simple {
                    tensor.quant = quantised(dtype);
                }
                if let Some(value) = values.get_mut(id) {
                    let Some(converted) = convert(value, dtype) else { return false };
                    *value = converted;
                }
            }
            accepted(&self.run(&self.node, &own, &values))
        })
    }

    fn run(&self, node: &Node, tensors: &[Tensor], values: &BTreeMap<TensorId, Value>) -> Result<Vec<Value>, Error> {
        let inputs: Vec<_> = node.inputs.iter().map(|id| id.and_then(|id| values.get(&id))).collect();
        run_node(node, tensors, &inputs)
    }

    fn runs_without(&self, input: usize) -> bool {
        let mut node = self.node.clone();
        if let Some(place) = node.inputs.get_mut(input) {
            *place = None;
        }
        accepted(&self.run(&node, &self.tensors, &self.values))
    }
}

/// Whether nothing is wrong with the types; values and attributes may be.
fn accepted(result: &Result<Vec<Value>, Error>) -> bool {
    match result {
        Ok(_) => true,
        Err(Error::Attribute { what, .. }) => {
            !["type", "quanti", "scale", "zero"].iter().any(|word| what.contains(word))
        }
        Err(Error::Operand { error, .. }) => !matches!(error, ValueError::Type { .. }),
        Err(_) => false,
    }
}

fn quantised(dtype: DType) -> Option<Quant> {
    use DType::{Int2, Int4, Int8, Int16, Int32, UInt4, UInt8};
    let affine = || QuantKind::Affine { scale: vec![0.5], zero_point: vec![0], axis: 0 };
    let stored = matches!(dtype, Int8 | UInt8 | Int16 | Int4 | Int2 | UInt4 | Int32);
    stored.then(|| Quant { kind: affine(), ..Quant::default() })
}

/// Whether two types have the same element in memory, so that one may pass for the other.
fn stored_alike(a: DType, b: DType) -> bool {
    use DType::{Bool, Float8E4M3Fn, Float8E5M2, Int2, Int4, Int8, UInt4, UInt8};
    let bytes = |dtype| matches!(dtype, UInt8 | Bool | UInt4 | Float8E4M3Fn | Float8E5M2);
    let signed = |dtype| matches!(dtype, Int8 | Int4 | Int2);
    (bytes(a) && bytes(b)) || (signed(a) && signed(b))
}

/// The same numbers in another type, as far as it has them.
fn convert(value: &Value, dtype: DType) -> Option<Value> {
    let count = value.len();
    let numbers = value.to_floats().or_else(|| Some(value.to_ints()?.into_iter().map(|v| v as f64).collect()));
    let numbers = numbers.filter(|numbers| numbers.len() == count).unwrap_or_else(|| vec![1.0; count]);
    if dtype == DType::String {
        return Value::strings(value.shape(), numbers.iter().map(|v| v.to_string().into_bytes()).collect()).ok();
    }
    let bytes: Option<Vec<Vec<u8>>> = numbers.iter().map(|&v| element(v, dtype)).collect();
    Value::from_bytes(dtype, value.shape(), &bytes?.concat()).ok()
}

fn element(v: f64, dtype: DType) -> Option<Vec<u8>> {
    use DType::*;
    let int = v as i64;
    Some(match dtype {
        Float32 => (v as f32).to_le_bytes().to_vec(),
        Float64 => v.to_le_bytes().to_vec(),
        Float16 => half::f16::from_f64(v).to_le_bytes().to_vec(),
        BFloat16 => half::bf16::from_f64(v).to_le_bytes().to_vec(),
        Complex64 => [(v as f32).to_le_bytes(), [0; 4]].concat(),
        Complex128 => [v.to_le_bytes(), [0; 8]].concat(),
        Bool => vec![u8::from(int != 0)],
        Int2 => vec![(int.clamp(-2, 1) as i8).cast_unsigned()],
        Int4 => vec![(int.clamp(-8, 7) as i8).cast_unsigned()],
        UInt4 => vec![int.clamp(0, 15) as u8],
        Int8 => vec![(int.clamp(-127, 127) as i8).cast_unsigned()],
        UInt8 | Float8E4M3Fn | Float8E5M2 => vec![int.clamp(0, 255) as u8],
        Int16 | UInt16 => (int as i16).to_le_bytes().to_vec(),
        Int32 | UInt32 => (int as i32).to_le_bytes().to_vec(),
        Int64 | UInt64 => int.to_le_bytes().to_vec(),
        String | Resource | Variant => return None,
    })
}

impl Asked {
    /// Asks the kernel with one more node, unless there were many, or one of the same types.
    pub fn ask(&mut self, probe: &Probe) {
        let types = probe.types();
        let absent = (0..probe.node.inputs.len()).filter(|&i| probe.node.input(i).is_none());
        self.optional.extend(absent);
        self.optional.extend(probe.node.inputs.len()..self.inputs);
        if self.nodes > 0 {
            self.optional.extend(self.inputs..probe.node.inputs.len());
        }
        self.inputs = self.inputs.max(probe.node.inputs.len());
        self.taken.insert(types.clone());
        self.nodes += 1;
        let kind = (0..probe.node.inputs.len()).map(|i| types.get(&Slot::Input(i)).copied()).collect();
        if !self.kinds.insert(kind) && self.nodes > NODES {
            return;
        }
        let slots = probe.slots();
        for (slot, id) in &slots {
            if let Slot::Input(i) = slot
                && probe.runs_without(*i)
            {
                self.optional.insert(*i);
            }
            let dtype = types.get(slot).copied();
            let alike = || slots.iter().filter(|(slot, _)| types.get(slot).copied() == dtype).map(|(_, id)| *id);
            self.vary(probe, &slots, &types, (*slot, &[*id]));
            self.vary(probe, &slots, &types, (*slot, &alike().collect::<Vec<_>>()));
        }
    }

    /// Asks with every other type in the tensors `changed`, among them that of `slot`.
    fn vary(
        &mut self,
        probe: &Probe,
        slots: &BTreeMap<Slot, TensorId>,
        types: &BTreeMap<Slot, DType>,
        (slot, changed): (Slot, &[TensorId]),
    ) {
        let Some(&now) = types.get(&slot) else { return };
        // A kernel that only looks at how elements are stored has not said that it takes their type: it must be one
        // that takes everything, or weights of another type than the input's.
        let alone = changed.len() == 1;
        let weights = alone && slot != Slot::Input(0) && types.get(&Slot::Input(0)) != Some(&now);
        let alias = (weights && matches!(slot, Slot::Input(_))) || (!alone && probe.takes(changed, DType::Complex64));
        for &other in DType::ALL {
            if other == now || matches!(other, DType::Resource | DType::Variant) || (stored_alike(now, other) && !alias)
            {
                continue;
            }
            let becomes = |(slot, id): (&Slot, &TensorId)| {
                let now = types.get(slot).copied()?;
                Some((*slot, if changed.contains(id) { other } else { now }))
            };
            let tuple: BTreeMap<Slot, DType> = slots.iter().filter_map(becomes).collect();
            if !self.taken.contains(&tuple) && probe.takes(changed, other) {
                self.taken.insert(tuple);
            }
        }
    }

    /// The line of the table: `in0 FLOAT32 INT8 | in1? =in0 | out0 =in0`.
    pub fn line(&self) -> String {
        let slots: BTreeSet<Slot> = self.taken.iter().flat_map(|tuple| tuple.keys().copied()).collect();
        let first = Slot::Input(0);
        let mut parts = Vec::new();
        for slot in slots {
            let types: BTreeSet<DType> = self.taken.iter().filter_map(|tuple| tuple.get(&slot)).copied().collect();
            let with = self.taken.iter().filter(|tuple| tuple.contains_key(&slot));
            let same = slot != first && with.clone().all(|tuple| tuple.get(&slot) == tuple.get(&first));
            let mut part = match slot {
                Slot::Input(i) if self.optional.contains(&i) => format!("in{i}?"),
                Slot::Input(i) => format!("in{i}"),
                Slot::Output(i) => format!("out{i}"),
            };
            if same {
                part.push_str(" =in0");
            } else {
                part.push(' ');
                part.push_str(&words(&types));
            }
            parts.push(part);
        }
        parts.join(" | ")
    }
}

/// Names of types; the two large sets have a word.
fn words(types: &BTreeSet<DType>) -> String {
    use DType::{Bool, Int2, Int4, Int8, Int16, Int32, Int64, UInt4, UInt8, UInt16, UInt32, UInt64};
    let integers = [Int32, UInt8, Int64, Bool, Int16, Int8, UInt64, UInt32, UInt16, Int4, Int2, UInt4];
    let held = |dtype: &DType| !matches!(dtype, DType::Resource | DType::Variant);
    let integers = BTreeSet::from(integers);
    let any: BTreeSet<DType> = DType::ALL.iter().copied().filter(held).collect();
    if *types == any {
        return "any".to_owned();
    }
    let rest = if types.is_superset(&integers) { types - &integers } else { types.clone() };
    let word = (rest.len() < types.len()).then_some("integers");
    rest.iter().map(|dtype| dtype.name()).chain(word).collect::<Vec<_>>().join(" ")
}

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kernels/types.txt");

/// Compares the table with what the kernels have answered; `write` makes it so. Versions stay as they are.
///
/// # Errors
/// Names the first line that differs.
pub fn compare(asked: &BTreeMap<String, Asked>, write: bool) -> Result<(), Box<dyn StdError>> {
    let old = std::fs::read_to_string(TABLE)?;
    let split = |line: &str| line.split_once(" | ").map(|(head, types)| (head.to_owned(), types.to_owned()));
    let heads: BTreeMap<String, (String, String)> = old
        .lines()
        .filter_map(split)
        .filter_map(|(head, types)| Some((head.split(' ').next()?.to_owned(), (head, types))))
        .collect();
    if write {
        let head = |op: &String| heads.get(op).map_or_else(|| op.clone(), |(head, _)| head.clone());
        let lines: Vec<_> = asked.iter().map(|(op, asked)| format!("{} | {}\n", head(op), asked.line())).collect();
        return Ok(std::fs::write(TABLE, lines.concat())?);
    }
    for (op, asked) in asked {
        let (_, found) = heads.get(op).ok_or_else(|| format!("{op} is not in the table"))?;
        let expected = asked.line();
        if *found != expected {
            return Err(format!("the table says\n{op}: {found}\nbut the kernel takes\n{op}: {expected}").into());
        }
    }
    if heads.len() == asked.len() { Ok(()) } else { Err("the table has operators that no pack has".into()) }
}
