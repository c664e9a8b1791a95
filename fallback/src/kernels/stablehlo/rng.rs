//! STABLEHLO_RNG_BIT_GENERATOR: bits that follow from a state of a key and a counter.

use tflite_wgpu_model::{BuiltinOperator, DType, Op, RngAlgorithm};

use crate::kernels::checks::wrong_operator;
use crate::kernels::random::{Philox, halves};
use crate::kernels::support::refuse;
use crate::kernels::{EvalCtx, KernelError, Row};

pub(super) const ROWS: &[Row] = &[Row { op: BuiltinOperator::StablehloRngBitGenerator, eval }];

/// Threefry 2×32 with 20 rounds.
fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1bd1_1bda];
    let mut x = [counter[0].wrapping_add(keys[0]), counter[1].wrapping_add(keys[1])];
    for round in 0..5 {
        for rotation in ROTATIONS[round % 2] {
            x[0] = x[0].wrapping_add(x[1]);
            x[1] = x[1].rotate_left(rotation) ^ x[0];
        }
        x[0] = x[0].wrapping_add(keys[(round + 1) % 3]);
        x[1] = x[1].wrapping_add(keys[(round + 2) % 3]).wrapping_add(round as u32 + 1);
    }
    x
}

/// The state is a key and a counter; a third number is the counter's upper half, else the key stands there.
fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::StablehloRngBitGenerator(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let state = ctx.slice::<u64>(0)?;
    let dtype = ctx.output_value(1)?.dtype();
    if !matches!(dtype, DType::Int32 | DType::UInt32 | DType::Int64 | DType::UInt64) {
        return Err(refuse("type of output 1", dtype, "INT32, UINT32, INT64 or UINT64"));
    }
    let count = ctx.output_value(1)?.bytes().len() / 4;
    let (words, next) = match (options.algorithm, state) {
        (RngAlgorithm::Threefry, &[key, counter]) => {
            let steps = count.div_ceil(2) as u64;
            let words = (0..steps).flat_map(|i| threefry(halves(key), halves(counter.wrapping_add(i))));
            (words.take(count).collect::<Vec<u32>>(), vec![key, counter.wrapping_add(steps)])
        }
        (RngAlgorithm::Philox | RngAlgorithm::Default, &[key, low] | &[key, low, _]) => {
            let high = state.get(2).copied().unwrap_or(key);
            let ([a, b], [c, d]) = (halves(low), halves(high));
            let mut stream = Philox { counter: [a, b, c, d], key: halves(key) };
            let words = (0..count.div_ceil(4)).flat_map(|_| stream.next()).take(count).collect();
            let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
            let [a, b, c, d] = stream.counter;
            let next = [key, join(a, b), join(c, d)];
            (words, next[..state.len()].to_vec())
        }
        (algorithm, state) => {
            let found = format!("{} numbers for {algorithm:?}", state.len());
            return Err(refuse("the state", found, "2 numbers, or 3 of a Philox generator"));
        }
    };
    ctx.output::<u64>(0)?.copy_from_slice(&next);
    for (bytes, word) in ctx.output_value(1)?.bytes_mut().chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::threefry;

    #[test]
    fn threefry_gives_the_published_numbers() {
        assert_eq!(threefry([0; 2], [0; 2]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
    }
}
