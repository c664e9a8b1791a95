//! What `cargo xtask schema` writes from the schemas: flatc's bindings, and the attributes' reader and writer.

#[allow(
    unsafe_code,
    missing_docs,
    unused_imports,
    dead_code,
    mismatched_lifetime_syntaxes,
    clippy::all,
    clippy::unwrap_used,
    reason = "flatc wrote it; its accessors rest on the verifier, which every file passes first"
)]
mod bindings;
#[allow(
    unsafe_code,
    missing_docs,
    unused_imports,
    dead_code,
    mismatched_lifetime_syntaxes,
    clippy::all,
    clippy::unwrap_used,
    reason = "flatc wrote it; its accessors rest on the verifier, which every file passes first"
)]
mod metadata_bindings;
pub(crate) mod read;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod write;

pub(crate) use bindings::tflite as schema;
pub(crate) use metadata_bindings::metadata;
