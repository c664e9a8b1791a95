//! What the generated reader of attributes needs.

use flatbuffers::{Follow, Vector};

use crate::{error::Fault, generated::schema};

/// Why an operator's attributes are not read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AttributeError {
    /// The operator has another builtin's table.
    Table { found: String, expected: &'static str },
    /// An attribute's number stands for nothing.
    Code { attribute: &'static str, found: i64 },
    /// A custom operator, whose options are not the schema's.
    Custom,
}

impl From<AttributeError> for Fault {
    fn from(error: AttributeError) -> Self {
        match error {
            AttributeError::Table { found, expected } => Self::new("options", found, expected),
            AttributeError::Code { attribute, found } => {
                Self::new(format!("attribute {attribute}"), found, "a number that the schema knows")
            }
            AttributeError::Custom => Self::new("options", "a custom operator", "a builtin"),
        }
    }
}

/// What an absent table means: the defaults if the node has no options at all, else the wrong ones.
pub(crate) fn mismatch<T>(node: &schema::Operator<'_>, expected: &'static str) -> Result<Option<T>, AttributeError> {
    let (first, second) = (node.builtin_options_type(), node.builtin_options_2_type());
    let found = match (first, second) {
        (schema::BuiltinOptions::NONE, schema::BuiltinOptions2::NONE) => return Ok(None),
        (schema::BuiltinOptions::NONE, second) => second.variant_name().map_or(second.0.to_string(), str::to_owned),
        (first, _) => first.variant_name().map_or(first.0.to_string(), str::to_owned),
    };
    if found == expected { Ok(None) } else { Err(AttributeError::Table { found, expected }) }
}

/// The attribute that `code` stands for.
pub(crate) fn code<T>(
    attribute: &'static str,
    code: i64,
    from_code: impl Fn(i64) -> Option<T>,
) -> Result<T, AttributeError> {
    from_code(code).ok_or(AttributeError::Code { attribute, found: code })
}

/// The attributes that a list of codes stands for; none where the list is absent.
pub(crate) fn codes<'a, E: Follow<'a> + 'a, T>(
    attribute: &'static str,
    list: Option<Vector<'a, E>>,
    number: impl Fn(E::Inner) -> i64,
    from_code: impl Fn(i64) -> Option<T>,
) -> Result<Vec<T>, AttributeError> {
    list.iter().flat_map(Vector::iter).map(|v| code(attribute, number(v), &from_code)).collect()
}

/// The numbers of a list; none where it is absent.
pub(crate) fn list<'a, T: Follow<'a> + 'a>(list: Option<Vector<'a, T>>) -> Vec<T::Inner> {
    list.map(|l| l.iter().collect()).unwrap_or_default()
}

/// A text; empty where it is absent.
pub(crate) fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

/// Sizes of a file as such.
pub(super) fn sizes(part: &str, list: impl Iterator<Item = i32>) -> Result<Vec<usize>, Fault> {
    list.map(|n| usize::try_from(n).map_err(|_| Fault::new(part, n, "a size of 0 or more"))).collect()
}
