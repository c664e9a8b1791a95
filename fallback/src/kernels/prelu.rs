//! PRELU.

use tflite_wgpu_model::{BuiltinOperator, DType};

use super::support::{no_type, zip};
use super::{EvalCtx, KernelError, Row, quantized_unary};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::Prelu, eval }];

/// The input where it is not negative, else its product with the slope, which broadcasts.
fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    match ctx.input(0)?.dtype() {
        DType::Float32 => zip(ctx, |x: f32, slope: f32| if x >= 0.0 { x } else { x * slope }),
        DType::Int8 | DType::UInt8 | DType::Int16 => quantized_unary::prelu(ctx),
        _ => Err(no_type(ctx, 0, "FLOAT32, INT8, UINT8 or INT16")),
    }
}
