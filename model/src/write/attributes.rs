//! What the generated writer of attributes needs.

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, Vector, WIPOffset};

use crate::generated::schema;

/// An options table and the union it belongs to.
pub(crate) enum Options {
    /// The operator has none.
    None,
    /// A table of the first union.
    First(schema::BuiltinOptions, WIPOffset<UnionWIPOffset>),
    /// A table of the second union.
    Second(schema::BuiltinOptions2, WIPOffset<UnionWIPOffset>),
}

/// A list of bytes; absent when it is empty, which is how TFLite's own writer leaves them.
pub(crate) fn bytes<'b>(b: &mut FlatBufferBuilder<'b>, bytes: &[u8]) -> Option<WIPOffset<Vector<'b, u8>>> {
    (!bytes.is_empty()).then(|| b.create_vector(bytes))
}
