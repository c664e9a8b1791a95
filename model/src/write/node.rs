//! Writes operator codes and nodes.

use std::collections::HashMap;

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use crate::{
    BuiltinOperator, Node, Op, Program, TensorId,
    generated::{schema, write::write_options},
};

use super::attributes::{Options, bytes};

/// An entry of the file's list of operators: builtin, a custom operator's name, version.
type Code<'a> = (BuiltinOperator, &'a str, i32);

/// The file's list of operators, in the order of first use.
pub(super) struct Codes<'a> {
    list: Vec<Code<'a>>,
    index: HashMap<Code<'a>, u32>,
}

fn code(node: &Node) -> Code<'_> {
    let name = if let Op::Custom { name, .. } = &node.op { name.as_str() } else { "" };
    (node.op.builtin(), name, node.version)
}

impl<'a> Codes<'a> {
    pub(super) fn of(program: &'a Program) -> Self {
        let mut codes = Self { list: Vec::new(), index: HashMap::new() };
        for code in program.subgraphs.iter().flat_map(|g| &g.nodes).map(code) {
            let next = u32::try_from(codes.list.len()).unwrap_or(u32::MAX);
            if *codes.index.entry(code).or_insert(next) == next {
                codes.list.push(code);
            }
        }
        codes
    }

    pub(super) fn write<'b>(
        &self,
        b: &mut FlatBufferBuilder<'b>,
    ) -> WIPOffset<Vector<'b, ForwardsUOffset<schema::OperatorCode<'b>>>> {
        let mut tables = Vec::new();
        for &(builtin, name, version) in &self.list {
            let custom_code = (builtin == BuiltinOperator::Custom).then(|| b.create_string(name));
            let number = builtin as i32;
            let args = schema::OperatorCodeArgs {
                // Readers from before there were more than 127 operators look here.
                deprecated_builtin_code: i8::try_from(number).unwrap_or(i8::MAX),
                custom_code,
                version,
                builtin_code: schema::BuiltinOperator(number),
            };
            tables.push(schema::OperatorCode::create(b, &args));
        }
        b.create_vector(&tables)
    }
}

/// Indices of a list of tensors, −1 for an omitted one.
fn indices<'b>(b: &mut FlatBufferBuilder<'b>, tensors: &[Option<TensorId>]) -> WIPOffset<Vector<'b, i32>> {
    let list = tensors.iter().map(|t| t.map_or(-1, |t| t.0.cast_signed())).collect::<Vec<_>>();
    b.create_vector(&list)
}

pub(super) fn write<'b>(
    b: &mut FlatBufferBuilder<'b>,
    node: &Node,
    codes: &Codes<'_>,
) -> WIPOffset<schema::Operator<'b>> {
    let mut args = schema::OperatorArgs {
        opcode_index: codes.index.get(&code(node)).copied().unwrap_or(u32::MAX),
        inputs: Some(indices(b, &node.inputs)),
        outputs: Some(indices(b, &node.outputs)),
        intermediates: (!node.intermediates.is_empty()).then(|| indices(b, &node.intermediates)),
        ..Default::default()
    };
    match write_options(b, &node.op) {
        Options::None => {}
        Options::First(tag, table) => {
            args.builtin_options_type = tag;
            args.builtin_options = Some(table);
        }
        Options::Second(tag, table) => {
            args.builtin_options_2_type = tag;
            args.builtin_options_2 = Some(table);
        }
    }
    if let Op::Custom { options, .. } = &node.op {
        args.custom_options = bytes(b, options);
    }
    schema::Operator::create(b, &args)
}
