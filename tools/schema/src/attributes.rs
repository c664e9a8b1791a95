//! Writes the reader, the writer and the test samples of the operators' attributes.

use std::{collections::HashMap, fmt::Write};

use crate::{
    fbs::{Field, Schema, Table},
    names::{field, function, type_name, variant},
    ops::{Builtin, attribute_tables},
};

const HEAD: &str = "Written by `cargo xtask schema`.";

/// How the bindings name a table's place in the operator's unions.
pub struct Place {
    /// `BuiltinOptions` or `BuiltinOptions2`.
    union: &'static str,
    /// Accessor of the operator that gives the table.
    accessor: String,
}

/// The place of every options table, taken from the bindings: their spelling of accessors is their own.
pub fn places(bindings: &str) -> HashMap<String, Place> {
    let mut places = HashMap::new();
    for line in bindings.lines() {
        let Some(rest) = line.trim_start().strip_prefix("pub fn builtin_options_") else { continue };
        let Some((accessor, rest)) = rest.split_once("(&self) -> Option<") else { continue };
        let Some((table, _)) = rest.split_once("<'a>>") else { continue };
        let union = if accessor.starts_with("2_as_") { "BuiltinOptions2" } else { "BuiltinOptions" };
        if accessor.contains("as_") {
            places.insert(table.to_owned(), Place { union, accessor: format!("builtin_options_{accessor}") });
        }
    }
    places
}

fn place<'a>(places: &'a HashMap<String, Place>, table: &Table) -> Result<&'a Place, std::fmt::Error> {
    places.get(&table.name).ok_or(std::fmt::Error)
}

/// The text of `generated/read.rs`.
pub fn write_reader(
    schema: &Schema,
    builtins: &[Builtin<'_>],
    places: &HashMap<String, Place>,
) -> Result<String, std::fmt::Error> {
    let mut out = format!(
        "//! Reads the attributes of every builtin from its options table. {HEAD}\n\n\
         use super::schema;\nuse crate::{{read::attributes::{{AttributeError, code, codes, list, mismatch, text}}, *}};\n\n\
         /// The operator `builtin` with the attributes that `node` has for it; defaults where the table is absent.\n\
         pub(crate) fn read_op(builtin: BuiltinOperator, node: &schema::Operator<'_>) -> Result<Op, AttributeError> {{\n\
         Ok(match builtin {{\n"
    );
    for b in builtins {
        match (b.name, b.attributes()) {
            ("CUSTOM", _) => {}
            (_, Some(table)) => {
                let Place { accessor, .. } = place(places, table)?;
                let name = &table.name;
                writeln!(
                    out,
                    "BuiltinOperator::{0} => Op::{0}({1}(node.{accessor}().map_or_else(|| mismatch(node, {name:?}), \
                     |t| Ok(Some(t)))?)?),",
                    b.variant,
                    function(name),
                )?;
            }
            (_, None) => writeln!(out, "BuiltinOperator::{0} => Op::{0},", b.variant)?,
        }
    }
    out.push_str("BuiltinOperator::Custom => return Err(AttributeError::Custom),\n})\n}\n\n");
    for table in attribute_tables(schema, builtins) {
        let name = type_name(&table.name);
        writeln!(
            out,
            "fn {}(table: Option<schema::{}<'_>>) -> Result<{name}, AttributeError> {{\n\
             let Some(table) = table else {{ return Ok({name}::default()) }};\nOk({name} {{",
            function(&table.name),
            table.name
        )?;
        for f in &table.fields {
            writeln!(out, "{}: {},", field(&f.name), read_field(schema, f))?;
        }
        out.push_str("})\n}\n\n");
    }
    Ok(out)
}

fn accessor(f: &Field) -> &str {
    if f.name == "type" { "type_" } else { &f.name }
}

fn read_field(schema: &Schema, f: &Field) -> String {
    let get = format!("table.{}()", accessor(f));
    let is_enum = schema.find_enum(&f.base).is_some();
    match (is_enum, f.vector, f.base.as_str()) {
        (true, true, base) => {
            format!("codes({:?}, {get}, |v| i64::from(v.0), {}::from_code)?", f.name, type_name(base))
        }
        (true, false, "TensorType") => {
            format!("code({:?}, i64::from({get}.0), |c| DType::from_code(i8::try_from(c).ok()?))?", f.name)
        }
        (true, false, base) => format!("code({:?}, i64::from({get}.0), {}::from_code)?", f.name, type_name(base)),
        (false, true, _) => format!("list({get})"),
        (false, false, "string") => format!("text({get})"),
        (false, false, _) => get,
    }
}

/// The text of `generated/write.rs`.
pub fn write_writer(
    schema: &Schema,
    builtins: &[Builtin<'_>],
    places: &HashMap<String, Place>,
) -> Result<String, std::fmt::Error> {
    let mut out = format!(
        "//! Writes the options table of every operator. {HEAD}\n\n\
         use flatbuffers::FlatBufferBuilder;\n\n\
         use super::schema;\nuse crate::{{write::attributes::{{Options, bytes}}, *}};\n\n\
         /// Writes the options table of `op`, with nothing for the builtins that have none in the format.\n\
         pub(crate) fn write_options(b: &mut FlatBufferBuilder<'_>, op: &Op) -> Options {{\nmatch op {{\n"
    );
    for b in builtins {
        match (b.name, b.table, b.attributes()) {
            (_, None, _) => {}
            (_, Some(table), None) => {
                let Place { union, .. } = place(places, table)?;
                writeln!(
                    out,
                    "Op::{0} => {{\nlet table = schema::{1}::create(b, &schema::{1}Args {{}});\n\
                     Options::{2}(schema::{union}::{1}, table.as_union_value())\n}}",
                    b.variant,
                    table.name,
                    which(union)
                )?;
            }
            (_, Some(_), Some(table)) => {
                writeln!(out, "Op::{}(options) => {}(b, options),", b.variant, function(&table.name))?;
            }
        }
    }
    out.push_str("_ => Options::None,\n}\n}\n\n");
    for table in attribute_tables(schema, builtins) {
        let Place { union, .. } = place(places, table)?;
        let (name, own) = (&table.name, type_name(&table.name));
        writeln!(out, "fn {}(b: &mut FlatBufferBuilder<'_>, options: &{own}) -> Options {{", function(name))?;
        for f in &table.fields {
            if let Some(prepare) = prepare_field(schema, f) {
                writeln!(out, "let {} = {prepare};", accessor(f))?;
            }
        }
        writeln!(out, "let table = schema::{name}::create(b, &schema::{name}Args {{")?;
        for f in &table.fields {
            writeln!(out, "{},", write_field(schema, f))?;
        }
        writeln!(out, "}});\nOptions::{}(schema::{union}::{name}, table.as_union_value())\n}}\n", which(union))?;
    }
    Ok(out)
}

/// Name of the writer's variant for a union.
fn which(union: &str) -> &'static str {
    if union == "BuiltinOptions" { "First" } else { "Second" }
}

/// What has to be in the buffer before the table.
fn prepare_field(schema: &Schema, f: &Field) -> Option<String> {
    let get = format!("options.{}", field(&f.name));
    match (schema.find_enum(&f.base), f.vector, f.base.as_str()) {
        (Some(_), true, base) => Some(format!(
            "{get}.iter().map(|&v| schema::{base}(v as u32)).collect::<Vec<_>>();\nlet {0} = b.create_vector(&{0})",
            accessor(f)
        )),
        (None, true, "ubyte") => Some(format!("bytes(b, &{get})")),
        (None, true, _) => Some(format!("b.create_vector(&{get})")),
        (None, false, "string") => Some(format!("b.create_string(&{get})")),
        _ => None,
    }
}

fn write_field(schema: &Schema, f: &Field) -> String {
    let (name, get) = (accessor(f), format!("options.{}", field(&f.name)));
    match (schema.find_enum(&f.base), f.vector, f.base.as_str()) {
        (None, true, "ubyte") => name.to_owned(),
        (_, true, _) | (None, false, "string") => format!("{name}: Some({name})"),
        (Some(e), false, base) => {
            let width = match e.base.as_str() {
                "int" => "i32",
                "uint" => "u32",
                _ => "i8",
            };
            format!("{name}: schema::{base}({get} as {width})")
        }
        (None, false, _) => format!("{name}: {get}"),
    }
}

/// The text of `generated/samples.rs`: every operator with attributes that are not the defaults.
pub fn write_samples(schema: &Schema, builtins: &[Builtin<'_>]) -> Result<String, std::fmt::Error> {
    let mut out = format!(
        "//! Every operator with attributes that are not the defaults, for tests. {HEAD}\n\n\
         use crate::*;\n\n/// One of each operator; no attribute has its default.\n\
         pub(crate) fn samples() -> Vec<Op> {{\nvec![\n"
    );
    for b in builtins {
        match (b.name, b.attributes()) {
            ("CUSTOM", _) => {
                out.push_str("Op::Custom { name: \"Sample\".to_owned(), options: Bytes::from(vec![1, 2, 3]) },\n");
            }
            (_, Some(table)) => writeln!(out, "Op::{}({}()),", b.variant, function(&table.name))?,
            (_, None) => writeln!(out, "Op::{},", b.variant)?,
        }
    }
    out.push_str("]\n}\n\n");
    for table in attribute_tables(schema, builtins) {
        let own = type_name(&table.name);
        writeln!(out, "fn {}() -> {own} {{\n{own} {{", function(&table.name))?;
        for (i, f) in table.fields.iter().enumerate() {
            writeln!(out, "{}: {},", field(&f.name), sample(schema, f, i))?;
        }
        out.push_str("}\n}\n\n");
    }
    Ok(out)
}

fn sample(schema: &Schema, f: &Field, i: usize) -> String {
    let one = match (schema.find_enum(&f.base), f.base.as_str()) {
        (Some(_), "TensorType") => "DType::Int64".to_owned(),
        (Some(e), base) => {
            let last = e.values.last().map_or("", |v| &v.name);
            format!("{}::{}", type_name(base), variant(base, last))
        }
        (None, "bool") => if f.default.as_deref() == Some("true") { "false" } else { "true" }.to_owned(),
        (None, "float") => format!("{}.5", i + 2),
        (None, "string") => format!("\"text {}\".to_owned()", i + 2),
        (None, _) => (i + 2).to_string(),
    };
    if f.vector { format!("vec![{one}, {one}, {one}]") } else { one }
}
