//! BATCH_MATMUL of FLOAT32 tensors: the right operand is packed anew in every run, in working memory.

use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::{
    FastKernel, Prepare, Ran, Row, Scratch,
    matrix::{Layout, Matrix},
    workspace::is_modest,
};
use crate::{
    eval::{EvalCtx, KernelError},
    kernels::support::Clamp,
    simd::{Level, Rows},
    threads::PRODUCTS,
};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::BatchMatmul, prepare }];

const NO_CLAMP: Clamp<f32> = Clamp { min: f32::NEG_INFINITY, max: f32::INFINITY };

struct BatchMatmul {
    level: Level,
    /// Whether the right operand's rows are the product's columns.
    transposed: bool,
}

fn prepare(given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    prepare_at(Level::best(), given)
}

/// As `prepare`, at one level of vectors.
pub(super) fn prepare_at(level: Level, given: &Prepare<'_>) -> Option<Box<dyn FastKernel>> {
    let Op::BatchMatmul(options) = &given.node.op else { return None };
    let floats = [given.input(0)?, given.input(1)?, given.output(0)?].iter().all(|t| t.dtype == DType::Float32);
    (floats && !options.adj_x)
        .then(|| Box::new(BatchMatmul { level, transposed: options.adj_y }) as Box<dyn FastKernel>)
}

#[derive(Clone, Copy)]
struct Sizes {
    batches: usize,
    rows: usize,
    depth: usize,
    columns: usize,
    /// Whether all batches share the right operand.
    shared: bool,
}

impl BatchMatmul {
    /// `None` where batches broadcast in another way than one right operand for all.
    fn sizes(&self, shapes: [&[usize]; 2]) -> Option<Sizes> {
        let ([left @ .., rows, depth], [right @ .., k, n]) = (shapes[0], shapes[1]) else { return None };
        let (k, n) = if self.transposed { (*n, *k) } else { (*k, *n) };
        let count = |batch: &[usize]| batch.iter().product::<usize>();
        let shared = left != right && count(right) == 1 && right.len() <= left.len();
        let fits = (left == right || shared) && k == *depth && *rows > 0 && *depth > 0 && n > 0 && count(left) > 0;
        fits.then_some(Sizes { batches: count(left), rows: *rows, depth: *depth, columns: n, shared })
    }

    fn pack(&self, right: &[f32], layout: Layout, Sizes { depth, columns, .. }: Sizes, packed: &mut [f32]) {
        layout.fill(packed, |panel, first, width| {
            let here = width.min(columns - first);
            if self.transposed {
                for (c, column) in right.chunks_exact(depth).skip(first).take(here).enumerate() {
                    panel[c..].iter_mut().step_by(width).zip(column).for_each(|(place, &value)| *place = value);
                }
                return;
            }
            for (panel, row) in panel.chunks_exact_mut(width).zip(right.chunks_exact(columns)) {
                panel[..here].copy_from_slice(&row[first..first + here]);
            }
        });
    }
}

impl FastKernel for BatchMatmul {
    fn run(&self, ctx: &mut EvalCtx<'_>, scratch: &mut Scratch<'_>) -> Result<Ran, KernelError> {
        let threads = ctx.env.threads;
        let Some(sizes) = self.sizes([ctx.shape(0)?, ctx.shape(1)?]) else { return Ok(Ran::Refused) };
        let Sizes { batches, rows, depth, columns, shared } = sizes;
        let (left, right) = (ctx.slice::<f32>(0)?, ctx.slice::<f32>(1)?);
        let out = ctx.output::<f32>(0)?;
        if left.len() != batches * rows * depth || out.len() != batches * rows * columns {
            return Ok(Ran::Refused);
        }
        let layout = Layout::new(self.level, depth, columns);
        let (matrices, starts) = (if shared { 1 } else { batches }, layout.padded());
        let floats = layout.len().saturating_mul(matrices).saturating_add(starts);
        if !is_modest(floats.saturating_mul(4), (left.len() + right.len() + out.len()) * 4) {
            return Ok(Ran::Refused);
        }
        let (starts, memory) = scratch.workspace.take::<f32>(floats).split_at_mut(starts);
        starts.fill(0.0);
        let mut packed: Vec<_> =
            memory.chunks_exact_mut(layout.len()).zip(right.chunks_exact(depth * columns)).collect();
        // Packing is mostly reading and writing, once for all rows.
        let pack = threads.split(packed.len(), 1, depth.saturating_mul(columns).saturating_mul(2));
        threads.each(pack, &mut packed, 1, |_, matrices| {
            matrices.iter_mut().for_each(|(packed, right)| self.pack(right, layout, sizes, packed));
        });
        let (packed, starts) = (&*memory, &*starts);
        // A part may begin and end within a matrix.
        let split = threads.split(batches * rows, 1, columns.saturating_mul(depth) / PRODUCTS);
        threads.each(split, out, columns, |mut first, mut out| {
            while !out.is_empty() {
                let (batch, row) = (first / rows, first % rows);
                let count = (rows - row).min(out.len() / columns);
                let (own, behind) = out.split_at_mut(count * columns);
                let packed = packed.chunks_exact(layout.len()).nth(if shared { 0 } else { batch });
                if let Some(packed) = packed {
                    let rows = Rows { data: &left[first * depth..], stride: depth, count, runs: None };
                    Matrix::of(layout, packed, starts).multiply(rows, NO_CLAMP, own, columns);
                }
                (first, out) = (first + count, behind);
            }
        });
        Ok(Ran::Done)
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::BatchMatMulOptions;

    use super::*;
    use crate::fast::testing::{Operand, check, value};

    #[test]
    fn products() -> Result<(), Box<dyn std::error::Error>> {
        type Case = (&'static [usize], &'static [usize], bool, &'static [usize]);
        let cases: [Case; 6] = [
            (&[4, 6, 5], &[4, 5, 9], false, &[4, 6, 9]),
            (&[2, 3, 70, 33], &[2, 3, 40, 33], true, &[2, 3, 70, 40]),
            (&[5, 7, 20], &[20, 130], false, &[5, 7, 130]),
            (&[2, 30, 64], &[1, 17, 64], true, &[2, 30, 17]),
            (&[9, 3], &[3, 1], false, &[9, 1]),
            (&[1, 1, 300], &[1, 300, 65], false, &[1, 1, 65]),
        ];
        for (left, right, adj_y, out) in cases {
            let op = Op::BatchMatmul(BatchMatMulOptions { adj_y, ..Default::default() });
            check(prepare_at, op, &[Operand::Input(value(1, left)?), Operand::Input(value(2, right)?)], &[out])
                .map_err(|error| format!("{left:?} {right:?}: {error}"))?;
        }
        Ok(())
    }
}
