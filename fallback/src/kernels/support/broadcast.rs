//! Elementwise maps over one or two tensors, with TFLite's (NumPy's) broadcasting.

use tflite_wgpu_model::infer;

use super::{expect_shape, for_each_row, mismatch};
use crate::kernels::{EvalCtx, KernelError};
use crate::threads::Threads;
use crate::value::Element;

/// Elements of one row of a parallel map.
const ROW: usize = 4096;

/// Output 0 = `f` of each element of input `i`.
pub(crate) fn map<A: Element, R: Element>(
    ctx: &mut EvalCtx<'_>,
    i: usize,
    f: impl Fn(A) -> R + Send + Sync,
) -> Result<(), KernelError> {
    let a = ctx.slice::<A>(i)?;
    let shape = ctx.shape(i)?;
    expect_shape(ctx, 0, shape)?;
    for_each_row(ctx.env.threads, ctx.output(0)?, ROW, ROW, |row, out| {
        for (out, &a) in out.iter_mut().zip(&a[row * ROW..]) {
            *out = f(a);
        }
    });
    Ok(())
}

/// Output 0 = `f` of the elements of inputs 0 and 1, broadcast to each other.
pub(crate) fn zip<A: Element, B: Element, R: Element>(
    ctx: &mut EvalCtx<'_>,
    f: impl Fn(A, B) -> R + Send + Sync,
) -> Result<(), KernelError> {
    let (a, b) = (ctx.slice::<A>(0)?, ctx.slice::<B>(1)?);
    let (a_shape, b_shape) = (ctx.shape(0)?, ctx.shape(1)?);
    let shape = infer::broadcast(&[a_shape, b_shape]).map_err(mismatch)?;
    expect_shape(ctx, 0, &shape)?;
    zip_into(ctx.env.threads, (a, a_shape), (b, b_shape), &shape, ctx.output(0)?, f);
    Ok(())
}

/// `out` of shape `shape` = `f` of the elements of `a` and `b`, whose shapes broadcast to `shape`.
pub(crate) fn zip_into<A: Copy + Sync, B: Copy + Sync, R: Send>(
    threads: Threads<'_>,
    (a, a_shape): (&[A], &[usize]),
    (b, b_shape): (&[B], &[usize]),
    shape: &[usize],
    out: &mut [R],
    f: impl Fn(A, B) -> R + Send + Sync,
) {
    if a_shape == b_shape {
        for_each_row(threads, out, ROW, ROW, |row, out| {
            for ((out, &a), &b) in out.iter_mut().zip(&a[row * ROW..]).zip(&b[row * ROW..]) {
                *out = f(a, b);
            }
        });
        return;
    }
    let dims = collapse(a_shape, b_shape, shape);
    let Some((inner, outer)) = dims.split_last() else { return };
    for_each_row(threads, out, inner.size, inner.size, |row, out| {
        let (mut rest, mut at_a, mut at_b) = (row, 0, 0);
        for dim in outer.iter().rev() {
            at_a += rest % dim.size * dim.a;
            at_b += rest % dim.size * dim.b;
            rest /= dim.size;
        }
        match (inner.a, inner.b) {
            (0, _) => out.iter_mut().zip(&b[at_b..]).for_each(|(out, &b)| *out = f(a[at_a], b)),
            (_, 0) => out.iter_mut().zip(&a[at_a..]).for_each(|(out, &a)| *out = f(a, b[at_b])),
            _ => {
                for ((out, &a), &b) in out.iter_mut().zip(&a[at_a..]).zip(&b[at_b..]) {
                    *out = f(a, b);
                }
            }
        }
    });
}

/// A dimension of the output and how far it moves each input (0 where the input is broadcast).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dim {
    /// Size of the output.
    pub size: usize,
    /// Elements of the first input from one place to the next.
    pub a: usize,
    /// Elements of the second input.
    pub b: usize,
}

/// The output's dimensions, neighbours that both inputs treat alike merged into one; at least one.
pub(crate) fn collapse(a_shape: &[usize], b_shape: &[usize], shape: &[usize]) -> Vec<Dim> {
    let at = |input: &[usize], i: usize| (i + input.len()).checked_sub(shape.len()).map_or(1, |i| input[i]);
    let (mut a_stride, mut b_stride) = (1, 1);
    let mut dims: Vec<Dim> = Vec::new();
    for (i, &size) in shape.iter().enumerate().rev() {
        let (a_size, b_size) = (at(a_shape, i), at(b_shape, i));
        let dim = Dim { size, a: if a_size == 1 { 0 } else { a_stride }, b: if b_size == 1 { 0 } else { b_stride } };
        a_stride *= a_size;
        b_stride *= b_size;
        match dims.last_mut() {
            _ if size == 1 => {}
            Some(last) if dim.a == last.a * last.size && dim.b == last.b * last.size => last.size *= size,
            _ => dims.push(dim),
        }
    }
    if dims.is_empty() {
        dims.push(Dim { size: 1, a: 0, b: 0 });
    }
    dims.reverse();
    dims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(a: (&[i32], &[usize]), b: (&[i32], &[usize])) -> Result<Vec<i32>, KernelError> {
        let shape = infer::broadcast(&[a.1, b.1]).map_err(mismatch)?;
        let mut out = vec![0; shape.iter().product()];
        zip_into(Threads::default(), a, b, &shape, &mut out, |a, b| a + b);
        Ok(out)
    }

    #[test]
    fn shapes_broadcast_from_the_right() -> Result<(), KernelError> {
        assert_eq!(add((&[1, 2, 3], &[3]), (&[10, 20], &[2, 1]))?, [11, 12, 13, 21, 22, 23]);
        assert_eq!(add((&[5], &[]), (&[1, 2], &[1, 2]))?, [6, 7]);
        assert_eq!(add((&[1], &[1, 1]), (&[2], &[1]))?, [3]);
        assert_eq!(add((&[], &[0, 2]), (&[1], &[1]))?, [0; 0]);
        assert_eq!(add((&[1, 2, 3, 4], &[2, 1, 2]), (&[10, 20], &[2, 1]))?, [11, 12, 21, 22, 13, 14, 23, 24]);
        Ok(())
    }

    #[test]
    fn equal_neighbours_are_merged() {
        let row = collapse(&[4, 5, 6], &[6], &[4, 5, 6]);
        assert_eq!(row, [Dim { size: 20, a: 6, b: 0 }, Dim { size: 6, a: 1, b: 1 }]);
        assert_eq!(collapse(&[4, 5, 6], &[1, 1, 1], &[4, 5, 6]), [Dim { size: 120, a: 1, b: 0 }]);
    }
}
