//! Writes `op.rs`: the attributes' enums and structs, `BuiltinOperator` and `Op`.

use std::fmt::Write;

use crate::{
    fbs::{Enum, Field, Schema, Table},
    names::{camel, field, type_name, variant},
};

/// A builtin and its table of attributes.
pub struct Builtin<'a> {
    /// TFLite's name.
    pub name: &'a str,
    /// The name in Rust.
    pub variant: String,
    /// Its number.
    pub code: i64,
    /// The table of attributes, if the format has one for it.
    pub table: Option<&'a Table>,
}

impl Builtin<'_> {
    /// The table, if it holds anything.
    pub fn attributes(&self) -> Option<&Table> {
        self.table.filter(|t| !t.fields.is_empty())
    }
}

/// Every builtin of the schema, in its order.
pub fn builtins(schema: &Schema) -> Result<Vec<Builtin<'_>>, String> {
    let list = schema.find_enum("BuiltinOperator").ok_or("the schema has no BuiltinOperator")?;
    list.values
        .iter()
        .map(|value| {
            let table = match &value.options {
                Some(name) => {
                    Some(schema.find_table(name).ok_or(format!("{}: the schema has no table {name}", value.name))?)
                }
                None => None,
            };
            Ok(Builtin { name: &value.name, variant: camel(&value.name), code: value.code, table })
        })
        .collect()
}

/// Tables of attributes that hold something, each once, in the schema's order.
pub fn attribute_tables<'a>(schema: &'a Schema, builtins: &[Builtin<'_>]) -> Vec<&'a Table> {
    let used = |t: &Table| builtins.iter().any(|b| b.attributes().is_some_and(|u| u.name == t.name));
    schema.tables.iter().filter(|t| used(t)).collect()
}

/// The text of `op.rs`.
pub fn write(schema: &Schema, builtins: &[Builtin<'_>]) -> Result<String, std::fmt::Error> {
    let mut out = String::from(
        "//! Operators and their attributes, one variant per builtin of the schema. Written by `cargo xtask schema`.\n\n\
         use crate::DType;\n\n",
    );
    let tables = attribute_tables(schema, builtins);
    for item in &schema.enums {
        if item.name != "TensorType" && tables.iter().any(|t| t.fields.iter().any(|f| f.base == item.name)) {
            write_enum(&mut out, item)?;
        }
    }
    for table in tables {
        write_struct(&mut out, schema, table)?;
    }
    write_builtin_enum(&mut out, builtins)?;
    write_op(&mut out, builtins)?;
    Ok(out)
}

fn write_enum(out: &mut String, item: &Enum) -> std::fmt::Result {
    let name = type_name(&item.name);
    writeln!(out, "/// `{}` of the schema.", item.name)?;
    out.push_str("#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]\n");
    out.push_str("#[allow(missing_docs, reason = \"the names are the schema's\")]\n");
    writeln!(out, "pub enum {name} {{")?;
    for (i, value) in item.values.iter().enumerate() {
        let default = if i == 0 { "#[default] " } else { "" };
        writeln!(out, "{default}{} = {},", variant(&item.name, &value.name), value.code)?;
    }
    writeln!(out, "}}\n\nimpl {name} {{")?;
    out.push_str("/// Every value, in the schema's order.\npub const ALL: &'static [Self] = &[");
    for value in &item.values {
        write!(out, "Self::{},", variant(&item.name, &value.name))?;
    }
    out.push_str("];\n\n/// The variant with this number in the schema.\n");
    out.push_str("pub fn from_code(code: i64) -> Option<Self> {\nmatch code {\n");
    for value in &item.values {
        writeln!(out, "{} => Some(Self::{}),", value.code, variant(&item.name, &value.name))?;
    }
    out.push_str("_ => None,\n}\n}\n}\n\n");
    Ok(())
}

fn rust_type(field: &Field) -> String {
    let base = match field.base.as_str() {
        "byte" => "i8",
        "ubyte" => "u8",
        "int" => "i32",
        "uint" => "u32",
        "long" => "i64",
        "float" => "f32",
        "bool" => "bool",
        "string" => "String",
        other => &type_name(other),
    };
    if field.vector { format!("Vec<{base}>") } else { base.to_owned() }
}

fn rust_default(schema: &Schema, field: &Field) -> String {
    if field.vector {
        return "Vec::new()".to_owned();
    }
    match (field.base.as_str(), field.default.as_deref()) {
        ("bool", default) => default.unwrap_or("false").to_owned(),
        ("float", default) => default.unwrap_or("0.0").to_owned(),
        ("byte" | "ubyte" | "int" | "uint" | "long", default) => default.unwrap_or("0").to_owned(),
        ("string", _) => "String::new()".to_owned(),
        ("TensorType", Some("INT32")) => "DType::Int32".to_owned(),
        ("TensorType", _) => "DType::Float32".to_owned(),
        (base, Some(default)) if schema.find_enum(base).is_some() => {
            format!("{}::{}", type_name(base), variant(base, default))
        }
        _ => "Default::default()".to_owned(),
    }
}

fn write_struct(out: &mut String, schema: &Schema, table: &Table) -> std::fmt::Result {
    let name = type_name(&table.name);
    writeln!(out, "/// `{}` of the schema.", table.name)?;
    let plain = table.fields.iter().all(|f| f.default.is_none() && (f.vector || f.base != "TensorType"));
    writeln!(out, "#[derive(Clone, Debug, {}PartialEq)]", if plain { "Default, " } else { "" })?;
    out.push_str("#[allow(missing_docs, reason = \"the fields are the schema's\")]\n");
    writeln!(out, "pub struct {name} {{")?;
    for f in &table.fields {
        writeln!(out, "pub {}: {},", field(&f.name), rust_type(f))?;
    }
    out.push_str("}\n\n");
    if plain {
        return Ok(());
    }
    writeln!(out, "impl Default for {name} {{\nfn default() -> Self {{\nSelf {{")?;
    for f in &table.fields {
        writeln!(out, "{}: {},", field(&f.name), rust_default(schema, f))?;
    }
    out.push_str("}\n}\n}\n\n");
    Ok(())
}

fn write_builtin_enum(out: &mut String, builtins: &[Builtin<'_>]) -> std::fmt::Result {
    out.push_str(
        "/// The builtin operators of the schema.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]\n\
         #[repr(i32)]\n#[allow(missing_docs, reason = \"the names are the schema's\")]\npub enum BuiltinOperator {\n",
    );
    for b in builtins {
        writeln!(out, "{} = {},", b.variant, b.code)?;
    }
    out.push_str("}\n\nimpl BuiltinOperator {\n/// Every builtin, in the schema's order.\n");
    out.push_str("pub const ALL: &'static [Self] = &[\n");
    for b in builtins {
        writeln!(out, "Self::{},", b.variant)?;
    }
    out.push_str("];\n\n/// The builtin with this number in the schema.\n");
    out.push_str("pub fn from_code(code: i32) -> Option<Self> {\nmatch code {\n");
    for b in builtins {
        writeln!(out, "{} => Some(Self::{}),", b.code, b.variant)?;
    }
    out.push_str("_ => None,\n}\n}\n\n/// TFLite's name, such as `CONV_2D`.\n");
    out.push_str("pub fn name(self) -> &'static str {\nmatch self {\n");
    for b in builtins {
        writeln!(out, "Self::{} => \"{}\",", b.variant, b.name)?;
    }
    out.push_str("}\n}\n}\n\n");
    Ok(())
}

fn write_op(out: &mut String, builtins: &[Builtin<'_>]) -> std::fmt::Result {
    out.push_str(
        "/// An operator with its attributes. Builtins whose options table is empty or missing have none.\n\
         #[derive(Clone, Debug, PartialEq)]\n\
         #[allow(missing_docs, reason = \"the names are the schema's\")]\npub enum Op {\n",
    );
    for b in builtins {
        match (b.name, b.attributes()) {
            ("CUSTOM", _) => out.push_str(
                "/// A custom operator: its name and its options as the file has them.\n\
                 Custom { name: String, options: crate::Bytes },\n",
            ),
            (_, Some(table)) => writeln!(out, "{}({}),", b.variant, type_name(&table.name))?,
            (_, None) => writeln!(out, "{},", b.variant)?,
        }
    }
    out.push_str("}\n\nimpl Op {\n/// The builtin code (CUSTOM for custom operators).\n");
    out.push_str("pub fn builtin(&self) -> BuiltinOperator {\nmatch self {\n");
    for b in builtins {
        let pattern = match (b.name, b.attributes()) {
            ("CUSTOM", _) => " { .. }",
            (_, Some(_)) => "(_)",
            (_, None) => "",
        };
        writeln!(out, "Self::{0}{pattern} => BuiltinOperator::{0},", b.variant)?;
    }
    out.push_str(
        "}\n}\n\n/// TFLite's name of the builtin, or the custom operator's own name.\n\
         pub fn name(&self) -> &str {\nmatch self {\nSelf::Custom { name, .. } => name,\n\
         builtin => builtin.builtin().name(),\n}\n}\n\n\
         /// The operator with default attributes; `None` for CUSTOM, which has a name.\n\
         pub fn with_defaults(builtin: BuiltinOperator) -> Option<Self> {\nSome(match builtin {\n",
    );
    for b in builtins {
        match (b.name, b.attributes()) {
            ("CUSTOM", _) => out.push_str("BuiltinOperator::Custom => return None,\n"),
            (_, Some(_)) => writeln!(out, "BuiltinOperator::{0} => Self::{0}(Default::default()),", b.variant)?,
            (_, None) => writeln!(out, "BuiltinOperator::{0} => Self::{0},", b.variant)?,
        }
    }
    out.push_str("})\n}\n}\n");
    Ok(())
}
