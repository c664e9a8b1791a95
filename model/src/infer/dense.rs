//! Matrix products.

use BuiltinOperator as B;

use crate::{BuiltinOperator, FullyConnectedOptionsWeightsFormat, Op};

use super::args::{Args, Stop, invalid, one};
use super::dims::product;
use super::{InferError, OutputShapes, Row, broadcast};

pub(super) const ROWS: &[Row] = &[(B::FullyConnected, fully_connected), (B::BatchMatmul, batch_matmul)];

/// Weights `[units, depth]`. The input's elements are rows of `depth`; with `keep_num_dims` its leading dimensions
/// stay, otherwise the output is `[rows, units]`. Shuffled weights have the input's rearranged copy as second output.
fn fully_connected(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::FullyConnected(o) = a.op() else { return Err(Stop::Unknown) };
    let input = a.shape(0)?;
    let [units, depth] = a.dims(1)?;
    let output = if o.keep_num_dims {
        let Some((&last, rows)) = input.split_last() else { return invalid("a scalar", "rank 1 or more") };
        if last != depth {
            return invalid(format!("shape {input:?}"), format!("a last dimension of {depth}"));
        }
        [rows, &[units]].concat()
    } else {
        let count = product(input)?;
        if depth == 0 || !count.is_multiple_of(depth) {
            return invalid(format!("{count} elements"), format!("rows of {depth}"));
        }
        vec![count / depth, units]
    };
    let mut outputs = vec![Some(output)];
    if o.weights_format == FullyConnectedOptionsWeightsFormat::Shuffled4x16int8 && a.output_count() == 2 {
        outputs.push(Some(input.to_vec()));
    }
    Ok(outputs)
}

fn batch_matmul(a: &Args) -> Result<OutputShapes, Stop> {
    let Op::BatchMatmul(o) = a.op() else { return Err(Stop::Unknown) };
    one(multiplied(a.shape(0)?, a.shape(1)?, o.adj_x, o.adj_y)?)
}

/// `[…, rows, depth] × […, depth, columns]`, the leading dimensions broadcast; an adjoint side has its last two
/// dimensions the other way round.
fn multiplied(left: &[usize], right: &[usize], adj_x: bool, adj_y: bool) -> Result<Vec<usize>, InferError> {
    let (Some((batch_l, &[l0, l1])), Some((batch_r, &[r0, r1]))) = (left.split_last_chunk(), right.split_last_chunk())
    else {
        return Err(InferError::new(format!("shapes {left:?} and {right:?}"), "rank 2 or more"));
    };
    let (rows, depth_l) = if adj_x { (l1, l0) } else { (l0, l1) };
    let (depth_r, columns) = if adj_y { (r1, r0) } else { (r0, r1) };
    if depth_l != depth_r {
        return Err(InferError::new(format!("depths {depth_l} and {depth_r}"), "equal depths"));
    }
    let mut shape = broadcast(&[batch_l, batch_r])?;
    shape.extend([rows, columns]);
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use super::multiplied;

    #[test]
    fn batches_broadcast_and_sides_turn() {
        type Case<'a> = (&'a [usize], &'a [usize], [bool; 2], Option<&'a [usize]>);
        let cases: &[Case] = &[
            (&[3, 4], &[4, 5], [false, false], Some(&[3, 5])),
            (&[4, 3], &[4, 5], [true, false], Some(&[3, 5])),
            (&[3, 4], &[5, 4], [false, true], Some(&[3, 5])),
            (&[4, 3], &[5, 4], [true, true], Some(&[3, 5])),
            (&[2, 1, 3, 4], &[6, 4, 5], [false, false], Some(&[2, 6, 3, 5])),
            (&[1, 3, 4], &[7, 4, 5], [false, false], Some(&[7, 3, 5])),
            (&[0, 3, 4], &[1, 4, 5], [false, false], Some(&[0, 3, 5])),
            (&[2, 3, 4], &[4, 5], [false, false], Some(&[2, 3, 5])),
            (&[3, 4], &[5, 4], [false, false], None),
            (&[2, 3, 4], &[3, 4, 5], [false, false], None),
            (&[4], &[4, 5], [false, false], None),
        ];
        for (left, right, [adj_x, adj_y], expected) in cases {
            let found = multiplied(left, right, *adj_x, *adj_y).ok();
            assert_eq!(found.as_deref(), *expected, "{left:?} × {right:?}, adj {adj_x} {adj_y}");
        }
    }
}
