//! Writes `.tflite` files.

pub(crate) mod attributes;
