//! Reference kernels, one file per family, each with rows of its own.
//!
//! A kernel is first a pure function on slices and shapes, then a thin `eval` around it. Output shapes come from
//! `tflite_wgpu_model::infer` and are set before `eval` runs; where they depend on values (WHERE, UNIQUE …) the
//! kernel calls [`EvalCtx::set_output`] itself.

mod activation;
mod argminmax;
mod attributes;
mod batch_matmul;
mod binary;
mod blocks;
mod cast;
mod checks;
mod compare;
mod concat;
mod conv;
mod conv_3d;
mod cumsum;
mod custom;
mod depthwise;
mod diagonal;
mod elements;
mod elementwise;
mod fingerprint;
mod fixed_math;
pub(crate) mod fixed_point;
mod flexbuffer;
mod fully_connected;
mod gather;
mod lookup;
mod lut;
mod movement;
mod nms;
mod normalize;
mod pad;
mod pool;
mod prelu;
mod quantize;
mod quantized_binary;
mod quantized_unary;
mod random;
mod recurrent;
pub(crate) mod reduce;
pub(crate) mod resize;
mod segment;
mod select;
mod shape;
mod slice;
mod softmax;
mod softmax_quantized;
mod spectral;
mod stablehlo;
pub(crate) mod support;
mod text;
mod topk;
mod transpose_conv;
mod types;

#[cfg(test)]
mod movement_tests;
#[cfg(test)]
mod testing;

pub use crate::eval::{Eval, EvalCtx, EvalEnv, Hybrid, KernelError};
pub use support::float_elements;
pub(crate) use types::{Checker, check_version};

use tflite_wgpu_model::{BuiltinOperator, Op};

use crate::value::Element;

/// One operator's kernel.
#[derive(Clone, Copy)]
pub struct Row {
    /// The operator.
    pub op: BuiltinOperator,
    /// Its reference kernel.
    pub eval: Eval,
}

/// The kernel of a custom operator that this crate knows; its outputs are shaped by the kernel itself.
#[derive(Clone, Copy)]
pub struct CustomRow {
    /// The operator's custom name.
    pub name: &'static str,
    /// Its reference kernel.
    pub eval: Eval,
}

/// All families' rows.
const FAMILIES: &[&[Row]] = &[
    activation::ROWS,
    argminmax::ROWS,
    batch_matmul::ROWS,
    binary::ROWS,
    blocks::ROWS,
    cast::ROWS,
    compare::ROWS,
    concat::ROWS,
    conv::ROWS,
    conv_3d::ROWS,
    cumsum::ROWS,
    depthwise::ROWS,
    diagonal::ROWS,
    elementwise::ROWS,
    fully_connected::ROWS,
    gather::ROWS,
    lookup::ROWS,
    movement::ROWS,
    nms::ROWS,
    normalize::ROWS,
    pad::ROWS,
    pool::ROWS,
    prelu::ROWS,
    quantize::ROWS,
    random::ROWS,
    recurrent::ROWS,
    reduce::ROWS,
    resize::ROWS,
    segment::ROWS,
    select::ROWS,
    shape::ROWS,
    slice::ROWS,
    softmax::ROWS,
    spectral::ROWS,
    text::ROWS,
    topk::ROWS,
    transpose_conv::ROWS,
];

/// All families' custom operators.
const CUSTOM: &[&[CustomRow]] = &[custom::ROWS, spectral::CUSTOM];

/// The reference kernel of a builtin, if there is one.
pub fn kernel(op: BuiltinOperator) -> Option<Eval> {
    let families = FAMILIES.iter().chain(stablehlo::FAMILIES);
    families.flat_map(|rows| rows.iter()).find(|row| row.op == op).map(|row| row.eval)
}

/// Names of the custom operators that have a reference kernel.
pub fn custom_names() -> impl Iterator<Item = &'static str> {
    CUSTOM.iter().flat_map(|rows| rows.iter()).map(|row| row.name)
}

/// The reference kernel of an operator, builtin or custom, if there is one.
pub fn kernel_of(op: &Op) -> Option<Eval> {
    match op {
        Op::Custom { name, .. } => {
            CUSTOM.iter().flat_map(|rows| rows.iter()).find(|row| row.name == name).map(|row| row.eval)
        }
        _ => kernel(op.builtin()),
    }
}
