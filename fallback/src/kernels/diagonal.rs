//! MATRIX_DIAG, MATRIX_SET_DIAG and DILATE: elements laid out with others between them.

use BuiltinOperator as B;
use tflite_wgpu_model::BuiltinOperator;

use super::checks::{shape_output, sizes};
use super::elements::{Axis, copy, copy_all, count, fill, strides};
use super::support::{check_len, refuse};
use super::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[
    Row { op: B::MatrixDiag, eval: diag },
    Row { op: B::MatrixSetDiag, eval: set_diag },
    Row { op: B::Dilate, eval: dilate },
];

/// The way from `batches` rows of `length` elements to the diagonals of matrices of `rows` by `columns`.
fn to_diagonals(batches: usize, length: usize, rows: usize, columns: usize) -> [Axis; 2] {
    let matrices = Axis {
        from: (0..batches).map(|b| b * length).collect(),
        to: (0..batches).map(|b| b * rows * columns).collect(),
    };
    let diagonal = Axis { from: (0..length).collect(), to: (0..length).map(|i| i * (columns + 1)).collect() };
    [matrices, diagonal]
}

/// Rows become the diagonals of square matrices of zeros.
fn diag(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    let Some((&length, lead)) = shape.split_last() else { return Err(refuse("rank of input 0", 0, "1 or more")) };
    let out_shape = [lead, &[length, length]].concat();
    ctx.set_output(0, &out_shape)?;
    copy(ctx.input(0)?, ctx.output_value(0)?, &to_diagonals(count(lead)?, length, length, length))
}

fn set_diag(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    let Some((lead, &[rows, columns])) = shape.split_last_chunk::<2>() else {
        return Err(refuse("rank of input 0", shape.len(), "2 or more"));
    };
    let (batches, length) = (count(lead)?, rows.min(columns));
    let expected = [lead, &[length]].concat();
    if ctx.shape(1)? != expected {
        return Err(refuse("shape of input 1", format!("{:?}", ctx.shape(1)?), format!("{expected:?}")));
    }
    shape_output(ctx, 0, shape)?;
    copy_all(ctx.input(0)?, ctx.output_value(0)?)?;
    copy(ctx.input(1)?, ctx.output_value(0)?, &to_diagonals(batches, length, rows, columns))
}

/// Inputs: elements, the distance of neighbours along each dimension, what lies between them.
fn dilate(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    let steps = sizes("the dilations", &ctx.ints(1)?, shape.len())?;
    check_len(&steps, shape.len(), "input 1")?;
    let along = |(&size, &step): (&usize, &usize)| match size {
        0 => Some(0),
        _ => (size - 1).checked_mul(step)?.checked_add(1),
    };
    let out_shape: Option<Vec<usize>> = shape.iter().zip(&steps).map(along).collect();
    let out_shape = out_shape.ok_or_else(|| refuse("the dilations", format!("{steps:?}"), "sizes that fit"))?;
    shape_output(ctx, 0, &out_shape)?;
    fill(ctx.input(2)?, ctx.output_value(0)?)?;
    let (from, to) = (strides(shape), strides(&out_shape));
    let axes: Vec<Axis> = (0..shape.len())
        .map(|d| Axis {
            from: (0..shape[d]).map(|i| i * from[d]).collect(),
            to: (0..shape[d]).map(|i| i * steps[d] * to[d]).collect(),
        })
        .collect();
    copy(ctx.input(0)?, ctx.output_value(0)?, &axes)
}
