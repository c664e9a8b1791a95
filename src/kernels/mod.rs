//! The kernel registry: one row per WGSL kernel.
//!
//! A row says which bindings and parameters a kernel has; the prelude declares them from the row, and a test holds
//! naga's reflection of every rendered variant against it.

mod render;
pub mod user;

pub use render::{Dialect, F16Form, RenderError, Rounding, render};

use crate::ops::{
    arg, binary, conv, cumsum, dense, depthwise, gather, matmul, movement, normalize, pool, quantize, reduce, resize,
    scatter, select, softmax, squeeze, transfer, transpose_conv, unary,
};

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A tensor that is read. Bound `read_write`, as tensors share buffers with written ones.
    Input,
    /// The tensor that is written.
    Output,
    /// Packed constants in a read-only buffer.
    Weights,
}

/// How a binding's elements are accessed; see `shaders/prelude.wgsl` for the functions each gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `load_NAME(texel)`, `store_NAME(texel, v)`, `element_NAME(element)` with padded element indices.
    Texels,
    /// `block_NAME(block) -> Block` of four texels (`x`, `y`, `z`, `w`), loaded wide: 4 × 4 weights.
    Blocks,
}

/// A binding of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct BindingRow {
    /// Name in WGSL.
    pub name: &'static str,
    /// How it is used.
    pub role: Role,
    /// How it is accessed.
    pub form: Form,
}

/// A tensor that is read.
pub const fn input(name: &'static str) -> BindingRow {
    BindingRow { name, role: Role::Input, form: Form::Texels }
}

/// The tensor that is written.
pub const fn output(name: &'static str) -> BindingRow {
    BindingRow { name, role: Role::Output, form: Form::Texels }
}

/// Read-only constants, texel by texel.
pub const fn weights(name: &'static str) -> BindingRow {
    BindingRow { name, role: Role::Weights, form: Form::Texels }
}

/// Read-only constants in blocks of four texels.
pub const fn blocks(name: &'static str) -> BindingRow {
    BindingRow { name, role: Role::Weights, form: Form::Blocks }
}

/// Type of a parameter word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// `u32`
    U32,
    /// `i32`
    I32,
    /// `f32`
    F32,
}

/// A kernel.
#[derive(Clone, Copy, Debug)]
pub struct KernelRow {
    /// Name of the row, of the WGSL entry point, and in every report.
    pub name: &'static str,
    /// Template file in `shaders/`.
    pub file: &'static str,
    /// Bindings in order; the parameter block follows them, then the epilogue's operands.
    pub bindings: &'static [BindingRow],
    /// Parameters in order: `params.NAME` in WGSL.
    pub params: &'static [(&'static str, ParamType)],
    /// Whether the kernel stores through `emit`, which applies the epilogue. Then it has the parameter `channels`.
    pub epilogue: bool,
    /// The reference kernel in `fallback/` that computes the same.
    pub twin: &'static str,
}

/// All families' rows.
pub const FAMILIES: &[&[KernelRow]] = &[
    transfer::KERNELS,
    unary::KERNELS,
    binary::KERNELS,
    select::KERNELS,
    reduce::KERNELS,
    softmax::KERNELS,
    normalize::KERNELS,
    arg::KERNELS,
    cumsum::KERNELS,
    conv::KERNELS,
    depthwise::KERNELS,
    transpose_conv::KERNELS,
    dense::KERNELS,
    squeeze::KERNELS,
    matmul::KERNELS,
    pool::KERNELS,
    movement::KERNELS,
    gather::KERNELS,
    resize::KERNELS,
    scatter::KERNELS,
    quantize::KERNELS,
];

/// The row of this name.
pub fn row(name: &str) -> Option<&'static KernelRow> {
    own(name).or_else(|| user::row(name))
}

/// Whether a kernel counts on workgroup memory that begins as zeros: a user's may, this library's write before they read.
pub fn reads_zeros(name: &str) -> bool {
    own(name).is_none()
}

fn own(name: &str) -> Option<&'static KernelRow> {
    FAMILIES.iter().flat_map(|rows| rows.iter()).find(|row| row.name == name)
}
