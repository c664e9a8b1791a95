//! Reads the nodes of a subgraph.

use flatbuffers::Vector;

use crate::{
    BuiltinOperator, Bytes, Error, Node, NodeId, Op, SubgraphId, TensorId,
    error::{Fault, position},
    generated::{read::read_op, schema},
};

use super::File;

pub(super) fn read(file: &File<'_>, id: SubgraphId, graph: &schema::SubGraph<'_>) -> Result<Vec<Node>, Error> {
    let count = graph.tensors().map_or(0, |t| t.len());
    let mut nodes = Vec::new();
    for (i, node) in graph.operators().iter().flatten().enumerate() {
        let at = |op: &str, fault: Fault| fault.in_node(id, NodeId::from_index(i), op);
        let code = Code::of(file, node.opcode_index()).map_err(|f| at("", f))?;
        nodes.push(read_node(file, &node, &code, count).map_err(|f| at(code.name(), f))?);
    }
    Ok(nodes)
}

/// An entry of the file's list of operators.
struct Code<'a> {
    builtin: BuiltinOperator,
    custom: &'a str,
    version: i32,
}

impl<'a> Code<'a> {
    fn of(file: &File<'a>, index: u32) -> Result<Self, Fault> {
        let codes = file.model.operator_codes().unwrap_or_default();
        let code = codes.get(position("operator code", i64::from(index), codes.len())?);
        // Files from before the schema had more than 127 operators only have the first field; later ones have 127
        // there where the number does not fit.
        let number = code.builtin_code().0.max(i32::from(code.deprecated_builtin_code()));
        let builtin = BuiltinOperator::from_code(number)
            .ok_or_else(|| Fault::new("operator code", number, "a builtin that the schema knows"))?;
        let custom = match (builtin, code.custom_code()) {
            (BuiltinOperator::Custom, None) => {
                return Err(Fault::new("operator code", "CUSTOM without a name", "a custom operator's name"));
            }
            (_, name) => name.unwrap_or_default(),
        };
        Ok(Self { builtin, custom, version: code.version() })
    }

    fn name(&self) -> &str {
        if self.builtin == BuiltinOperator::Custom { self.custom } else { self.builtin.name() }
    }
}

fn read_node(file: &File<'_>, node: &schema::Operator<'_>, code: &Code<'_>, count: usize) -> Result<Node, Fault> {
    let op = if code.builtin == BuiltinOperator::Custom {
        Op::Custom { name: code.custom.to_owned(), options: custom_options(file, node)? }
    } else {
        read_op(code.builtin, node)?
    };
    let inputs = optional_ids("input", node.inputs(), count)?;
    let outputs = optional_ids("output", node.outputs(), count)?;
    let intermediates = optional_ids("intermediate", node.intermediates(), count)?;
    if let Some(both) = outputs.iter().flatten().find(|&&output| inputs.contains(&Some(output))) {
        return Err(Fault::new("output", format!("tensor {both}, which is an input"), "another tensor"));
    }
    Ok(Node { op, version: code.version, inputs, outputs, intermediates })
}

fn custom_options(file: &File<'_>, node: &schema::Operator<'_>) -> Result<Bytes, Fault> {
    if node.large_custom_options_offset() > 1 {
        let (offset, size) = (node.large_custom_options_offset(), node.large_custom_options_size());
        return file.range("custom options", offset, size);
    }
    Ok(node.custom_options().map(|data| file.part(data.bytes())).unwrap_or_default())
}

/// Tensors of a list in which −1 stands for an omitted one.
fn optional_ids(part: &str, list: Option<Vector<'_, i32>>, count: usize) -> Result<Vec<Option<TensorId>>, Fault> {
    let read = |(i, index): (usize, i32)| match index {
        -1 => Ok(None),
        index => Ok(Some(TensorId::from_index(position(format!("{part} {i}"), i64::from(index), count)?))),
    };
    list.iter().flatten().enumerate().map(read).collect()
}
