//! Damages of a file's bytes: a walk over the tables of the flatbuffer notes every number, offset, length and vtable
//! entry, and each gets other values.
//!
//! The format's own tables are listed here; those of the operators' options are recognised by their looks, which now and
//! then takes a number for an offset. That costs a few useless damages and loses none.

use std::collections::{BTreeMap, BTreeSet};

use crate::damage::{Act, Damage};

/// What a field of a table is.
enum Field {
    /// A number.
    Number,
    /// A table.
    Table(&'static [(&'static str, Field)]),
    /// A vector of tables.
    Tables(&'static [(&'static str, Field)]),
    /// A vector of numbers of so many bytes, or text.
    Vector(usize),
    /// A table that is not listed.
    Unlisted,
}

use Field::{Number, Table, Tables, Unlisted, Vector};

static MODEL: &[(&str, Field)] = &[
    ("version", Number),
    ("operator_codes", Tables(OPERATOR_CODE)),
    ("subgraphs", Tables(SUBGRAPH)),
    ("description", Vector(1)),
    ("buffers", Tables(BUFFER)),
    ("metadata_buffer", Vector(4)),
    ("metadata", Tables(METADATA)),
    ("signature_defs", Tables(SIGNATURE)),
];
static OPERATOR_CODE: &[(&str, Field)] =
    &[("deprecated_builtin_code", Number), ("custom_code", Vector(1)), ("version", Number), ("builtin_code", Number)];
static SUBGRAPH: &[(&str, Field)] = &[
    ("tensors", Tables(TENSOR)),
    ("inputs", Vector(4)),
    ("outputs", Vector(4)),
    ("operators", Tables(OPERATOR)),
    ("name", Vector(1)),
];
static TENSOR: &[(&str, Field)] = &[
    ("shape", Vector(4)),
    ("type", Number),
    ("buffer", Number),
    ("name", Vector(1)),
    ("quantization", Table(QUANTIZATION)),
    ("is_variable", Number),
    ("sparsity", Table(SPARSITY)),
    ("shape_signature", Vector(4)),
    ("has_rank", Number),
];
static QUANTIZATION: &[(&str, Field)] = &[
    ("min", Vector(4)),
    ("max", Vector(4)),
    ("scale", Vector(4)),
    ("zero_point", Vector(8)),
    ("details_type", Number),
    ("details", Unlisted),
    ("quantized_dimension", Number),
];
static SPARSITY: &[(&str, Field)] =
    &[("traversal_order", Vector(4)), ("block_map", Vector(4)), ("dim_metadata", Tables(DIMENSION))];
static DIMENSION: &[(&str, Field)] = &[
    ("format", Number),
    ("dense_size", Number),
    ("array_segments_type", Number),
    ("array_segments", Unlisted),
    ("array_indices_type", Number),
    ("array_indices", Unlisted),
];
static OPERATOR: &[(&str, Field)] = &[
    ("opcode_index", Number),
    ("inputs", Vector(4)),
    ("outputs", Vector(4)),
    ("builtin_options_type", Number),
    ("builtin_options", Unlisted),
    ("custom_options", Vector(1)),
    ("custom_options_format", Number),
    ("mutating_variable_inputs", Vector(1)),
    ("intermediates", Vector(4)),
    ("large_custom_options_offset", Number),
    ("large_custom_options_size", Number),
    ("builtin_options_2_type", Number),
    ("builtin_options_2", Unlisted),
];
static BUFFER: &[(&str, Field)] = &[("data", Vector(1)), ("offset", Number), ("size", Number)];
static METADATA: &[(&str, Field)] = &[("name", Vector(1)), ("buffer", Number)];
static SIGNATURE: &[(&str, Field)] = &[
    ("inputs", Tables(MAP)),
    ("outputs", Tables(MAP)),
    ("signature_key", Vector(1)),
    ("", Number),
    ("subgraph_index", Number),
];
static MAP: &[(&str, Field)] = &[("name", Vector(1)), ("tensor_index", Number)];

/// All damages of a file.
pub fn damages(file: &[u8]) -> Vec<Damage> {
    let mut walk = Walk { file, places: BTreeMap::new(), tables: BTreeSet::new() };
    walk.note(0, 4, "root");
    if let Some(root) = walk.follow(0) {
        walk.table(root, Some(MODEL), "model", 0);
    }
    let mut damages = Vec::new();
    for (&(at, width), what) in &walk.places {
        for bytes in values(file, at, width) {
            damages.push(Damage { what: format!("{what} (byte {at}) is {bytes:x?}"), act: Act::Bytes(at, bytes) });
        }
    }
    damages
}

/// Other values of a number of `width` bytes.
fn values(file: &[u8], at: usize, width: usize) -> Vec<Vec<u8>> {
    let Some(old) = file.get(at..at + width) else { return Vec::new() };
    let mut number = [0; 8];
    number[..width].copy_from_slice(old);
    let number = u64::from_le_bytes(number);
    let top = 1u64 << (8 * width - 1);
    let mut found = vec![0, 1, 2, number.wrapping_add(1), number.wrapping_sub(1), number ^ 2, top - 1, top, u64::MAX];
    if width >= 4 {
        // −5, a large size, and as floats −1 and NaN.
        found.extend([(-5i64).cast_unsigned(), 1 << 16, 0xbf80_0000, 0x7fc0_0000]);
    }
    if width == 8 {
        found.extend([1 << 31, 1 << 33, u64::from(u32::MAX)]);
    }
    let mut seen = BTreeSet::from([old.to_vec()]);
    let bytes = found.into_iter().map(|value| value.to_le_bytes()[..width].to_vec());
    bytes.filter(|bytes| seen.insert(bytes.clone())).collect()
}

/// Collects places by walking from table to table.
struct Walk<'a> {
    file: &'a [u8],
    /// Place and width, with a name.
    places: BTreeMap<(usize, usize), String>,
    tables: BTreeSet<usize>,
}

impl Walk<'_> {
    fn note(&mut self, at: usize, width: usize, what: &str) {
        if at.checked_add(width).is_some_and(|end| end <= self.file.len()) {
            self.places.entry((at, width)).or_insert_with(|| what.to_owned());
        }
    }

    fn word(&self, at: usize) -> Option<u32> {
        self.file.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn half(&self, at: usize) -> Option<usize> {
        self.file.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes).into())
    }

    /// Where the offset at `at` leads.
    fn follow(&self, at: usize) -> Option<usize> {
        let target = at.checked_add(self.word(at)? as usize)?;
        (target > at && target + 4 <= self.file.len()).then_some(target)
    }

    /// The vtable of what may be a table, and its length.
    fn vtable(&self, table: usize) -> Option<(usize, usize)> {
        let back = i64::from(self.word(table)?.cast_signed());
        let vtable = usize::try_from(i64::try_from(table).ok()? - back).ok()?;
        let len = self.half(vtable)?;
        let size = self.half(vtable + 2)?;
        let sound = len >= 4 && len % 2 == 0 && len < 200 && size >= 4 && table + size <= self.file.len();
        (sound && vtable + len <= self.file.len()).then_some((vtable, len))
    }

    /// Notes a table and everything below it.
    fn table(&mut self, table: usize, fields: Option<&'static [(&'static str, Field)]>, what: &str, depth: usize) {
        let Some((vtable, len)) = self.vtable(table).filter(|_| depth < 12 && self.tables.insert(table)) else {
            return;
        };
        self.note(table, 4, &format!("{what}: vtable"));
        self.note(vtable, 2, &format!("{what}: length of the vtable"));
        self.note(vtable + 2, 2, &format!("{what}: size of the table"));
        let offsets: Vec<usize> = (4..len).step_by(2).filter_map(|i| self.half(vtable + i)).collect();
        let size = self.half(vtable + 2).unwrap_or(0);
        for (i, &offset) in offsets.iter().enumerate().filter(|(_, offset)| **offset > 0) {
            let name =
                fields.and_then(|fields| fields.get(i)).map_or_else(|| i.to_string(), |(name, _)| (*name).to_owned());
            let name = format!("{what}.{name}");
            self.note(vtable + 4 + 2 * i, 2, &format!("{name}: vtable entry"));
            let next = offsets.iter().copied().filter(|&other| other > offset).min().unwrap_or(size);
            let width = match next.saturating_sub(offset) {
                0 => continue,
                1 => 1,
                2 | 3 => 2,
                4..8 => 4,
                _ => 8,
            };
            let field = fields.and_then(|fields| fields.get(i)).map(|(_, field)| field);
            self.field(table + offset, width, field, &name, depth);
        }
    }

    fn field(&mut self, at: usize, width: usize, field: Option<&'static Field>, name: &str, depth: usize) {
        match field {
            Some(Number) => self.note(at, width, name),
            Some(Table(fields)) => self.below(at, Some(fields), name, depth),
            Some(Unlisted) => self.below(at, None, name, depth),
            Some(Tables(fields)) => {
                self.note(at, 4, &format!("{name}: offset"));
                let Some(vector) = self.follow(at) else { return };
                self.note(vector, 4, &format!("{name}: length"));
                for i in 0..self.word(vector).unwrap_or(0).min(24) as usize {
                    self.below(vector + 4 + 4 * i, Some(fields), &format!("{name}[{i}]"), depth);
                }
            }
            Some(Vector(width)) => {
                self.note(at, 4, &format!("{name}: offset"));
                self.vector(at, *width, name);
            }
            None => {
                // Wide fields may be an offset and padding.
                self.note(at, width, name);
                if width >= 4 && self.follow(at).is_some_and(|target| self.vtable(target).is_some()) {
                    self.below(at, None, name, depth);
                }
                if width >= 4 {
                    self.note(at, 4, name);
                    self.vector(at, 4, name);
                }
            }
        }
    }

    fn below(&mut self, at: usize, fields: Option<&'static [(&'static str, Field)]>, name: &str, depth: usize) {
        self.note(at, 4, &format!("{name}: offset"));
        if let Some(table) = self.follow(at) {
            self.table(table, fields, name, depth + 1);
        }
    }

    /// Notes the length and some elements of a vector.
    fn vector(&mut self, at: usize, width: usize, name: &str) {
        let Some(vector) = self.follow(at) else { return };
        let count = self.word(vector).unwrap_or(0) as usize;
        if count.checked_mul(width).is_none_or(|bytes| vector + 4 + bytes > self.file.len()) {
            return;
        }
        self.note(vector, 4, &format!("{name}: length"));
        let chosen: BTreeSet<usize> = (0..count.min(4)).chain(count.checked_sub(1)).collect();
        for i in chosen {
            self.note(vector + 4 + i * width, width, &format!("{name}[{i}]"));
        }
    }
}
