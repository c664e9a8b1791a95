//! What several kernels share: shape checks, broadcasting, windows, activations, rows in parallel.

mod activation;
mod broadcast;
mod check;
mod dequant;
mod filters;
mod hybrid;
mod matrix;
mod quantized;
mod real;
mod rows;
#[cfg(test)]
pub(crate) mod testing;
mod window;

pub(crate) use activation::{Clamp, float_clamp};
pub(crate) use broadcast::{Dim, collapse, map, zip, zip_into};
pub(crate) use check::{check_len, dims, expect_shape, larger_first, mismatch, no_type, refuse};
pub use dequant::float_elements;
pub(crate) use dequant::float_weights;
pub(crate) use filters::{Filters, convolve};
pub(crate) use hybrid::{HybridRounding, Rounding, Runs, activations, scale_count};
pub(crate) use matrix::{Columns, LANES, Sum, add_product};
pub(crate) use quantized::{
    Affine, Operands, Products, Stored, centred, input_affine, multipliers, output_affine, stored_clamp,
};
pub(crate) use real::{Real, erf};
pub(crate) use rows::for_each_row;
pub(crate) use window::Window;
