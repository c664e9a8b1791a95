//! Reads the schema file, as far as it goes: enums, unions and tables written one after the other.

use std::error::Error;

/// What the schema declares.
#[derive(Default)]
pub struct Schema {
    /// Enums in the file's order.
    pub enums: Vec<Enum>,
    /// Unions in the file's order; their values are tables' names.
    pub unions: Vec<Enum>,
    /// Tables in the file's order.
    pub tables: Vec<Table>,
}

/// An enum or a union.
pub struct Enum {
    /// The schema's name.
    pub name: String,
    /// The integer type of its numbers; empty for a union.
    pub base: String,
    /// Its values in the file's order.
    pub values: Vec<EnumValue>,
}

/// A value of an enum.
pub struct EnumValue {
    /// The schema's name.
    pub name: String,
    /// Its number.
    pub code: i64,
    /// The table in the attribute `options`.
    pub options: Option<String>,
}

/// A table.
pub struct Table {
    /// The schema's name.
    pub name: String,
    /// Its fields in the file's order, without the deprecated ones.
    pub fields: Vec<Field>,
}

/// A field of a table.
pub struct Field {
    /// The schema's name.
    pub name: String,
    /// The type, of one element where the field is a vector.
    pub base: String,
    /// Whether the field is a vector.
    pub vector: bool,
    /// The default, if the file states one.
    pub default: Option<String>,
}

impl Schema {
    /// The enum with this name.
    pub fn find_enum(&self, name: &str) -> Option<&Enum> {
        self.enums.iter().find(|e| e.name == name)
    }

    /// The table with this name.
    pub fn find_table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == name)
    }
}

/// Parses the text of a schema file.
pub fn parse(text: &str) -> Result<Schema, Box<dyn Error>> {
    let mut tokens = Tokens { list: tokenize(text), next: 0 };
    let mut schema = Schema::default();
    while let Some(word) = tokens.take() {
        match word.as_str() {
            "namespace" | "attribute" | "file_identifier" | "file_extension" | "root_type" => {
                tokens.take();
                tokens.expect(";")?;
            }
            "enum" => schema.enums.push(parse_enum(&mut tokens)?),
            "union" => schema.unions.push(parse_enum(&mut tokens)?),
            "table" => schema.tables.push(parse_table(&mut tokens)?),
            other => return Err(format!("the schema has {other:?} where a declaration begins").into()),
        }
    }
    Ok(schema)
}

struct Tokens {
    list: Vec<String>,
    next: usize,
}

impl Tokens {
    fn take(&mut self) -> Option<String> {
        let token = self.list.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn name(&mut self) -> Result<String, Box<dyn Error>> {
        self.take().ok_or_else(|| "the schema ends within a declaration".into())
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.list.get(self.next).is_some_and(|t| t == text);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Result<(), Box<dyn Error>> {
        let found = self.name()?;
        if found == text { Ok(()) } else { Err(format!("the schema has {found:?} where {text:?} belongs").into()) }
    }

    /// Attributes in brackets: names, some with a value.
    fn attributes(&mut self) -> Result<Vec<(String, String)>, Box<dyn Error>> {
        let mut list = Vec::new();
        if self.accept("(") {
            while !self.accept(")") {
                let name = self.name()?;
                let value = if self.accept(":") { self.name()? } else { String::new() };
                list.push((name, value));
                self.accept(",");
            }
        }
        Ok(list)
    }
}

fn tokenize(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let end = if first == '"' {
                rest[1..].find('"').map_or(rest.len(), |i| i + 2)
            } else if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            tokens.push(rest[..end].trim_matches('"').to_owned());
            rest = rest[end..].trim_start();
        }
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-')
}

fn parse_enum(tokens: &mut Tokens) -> Result<Enum, Box<dyn Error>> {
    let name = tokens.name()?;
    let base = if tokens.accept(":") { tokens.name()? } else { String::new() };
    tokens.expect("{")?;
    let mut values = Vec::new();
    while !tokens.accept("}") {
        let name = tokens.name()?;
        tokens.expect("=")?;
        let code = tokens.name()?.parse()?;
        let options = tokens.attributes()?.into_iter().find(|(k, _)| k == "options").map(|(_, v)| v);
        values.push(EnumValue { name, code, options });
        tokens.accept(",");
    }
    Ok(Enum { name, base, values })
}

fn parse_table(tokens: &mut Tokens) -> Result<Table, Box<dyn Error>> {
    let name = tokens.name()?;
    tokens.expect("{")?;
    let mut fields = Vec::new();
    while !tokens.accept("}") {
        let name = tokens.name()?;
        tokens.expect(":")?;
        let vector = tokens.accept("[");
        let base = tokens.name()?;
        if vector {
            tokens.expect("]")?;
        }
        let default = if tokens.accept("=") { Some(tokens.name()?) } else { None };
        let deprecated = tokens.attributes()?.iter().any(|(k, _)| k == "deprecated");
        tokens.expect(";")?;
        if !deprecated {
            fields.push(Field { name, base, vector, default });
        }
    }
    Ok(Table { name, fields })
}
