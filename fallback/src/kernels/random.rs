//! RANDOM_UNIFORM, RANDOM_STANDARD_NORMAL and MULTINOMIAL, with TFLite's Philox streams.
//!
//! A node's stream goes on from one invoke to the next. Both seeds 0 ask for a stream that nobody can foretell; here it
//! starts from the clock.

use BuiltinOperator as B;
use tflite_wgpu_model::{BuiltinOperator, DType, Op};

use super::checks::{shape_output, sizes, write_ints, wrong_operator};
use super::support::{no_type, refuse};
use super::{EvalCtx, KernelError, Row};
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    Row { op: B::RandomUniform, eval: uniform },
    Row { op: B::RandomStandardNormal, eval: normal },
    Row { op: B::Multinomial, eval: multinomial },
];

/// Philox 4×32 with 10 rounds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Philox {
    pub counter: [u32; 4],
    pub key: [u32; 2],
}

pub(super) fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

impl Philox {
    pub fn new(key: u64, stream: u64) -> Self {
        let [low, high] = halves(stream);
        Self { counter: [0, 0, low, high], key: halves(key) }
    }

    /// The next four numbers.
    pub fn next(&mut self) -> [u32; 4] {
        let (mut counter, mut key) = (self.counter, self.key);
        for _ in 0..10 {
            let [low_0, high_0] = halves(u64::from(counter[0]) * 0xd251_1f53);
            let [low_1, high_1] = halves(u64::from(counter[2]) * 0xcd9e_8d57);
            counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0];
            key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
        }
        self.skip(1);
        counter
    }

    /// Leaves out groups of four numbers.
    pub fn skip(&mut self, groups: u64) {
        let mut carry = groups;
        for word in &mut self.counter {
            let sum = u64::from(*word) + (carry & u64::from(u32::MAX));
            *word = sum as u32;
            carry = (carry >> 32) + (sum >> 32);
        }
    }

    /// The node's stream where the last invoke left it.
    fn resume(ctx: &EvalCtx<'_>) -> Result<Self, KernelError> {
        let (Op::RandomUniform(options) | Op::RandomStandardNormal(options) | Op::Multinomial(options)) = &ctx.node.op
        else {
            return Err(wrong_operator(ctx));
        };
        if let Some(words) = ctx.memory.first().and_then(|value| value.as_slice::<u32>().ok())
            && let &[a, b, c, d, low, high] = words
        {
            return Ok(Self { counter: [a, b, c, d], key: [low, high] });
        }
        match (options.seed, options.seed2) {
            (0, 0) => Ok(Self::new(clock(), 0)),
            (seed, seed2) => Ok(Self::new(seed as u64, seed2 as u64)),
        }
    }

    /// Keeps the stream for the next invoke.
    fn store(&self, ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
        let words = [self.counter.as_slice(), &self.key].concat();
        let value = Value::from_slice(DType::UInt32, &[words.len()], &words);
        *ctx.memory = vec![value.map_err(|error| KernelError::Output { output: 0, error })?];
        Ok(())
    }
}

/// A number that differs from run to run, where the target has a clock.
fn clock() -> u64 {
    #[cfg(not(target_family = "wasm"))]
    if let Ok(elapsed) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        return elapsed.as_nanos() as u64;
    }
    0x9e37_79b9_7f4a_7c15
}

/// 23 random bits as a number from 0 to 1.
fn unit(bits: u32) -> f32 {
    f32::from_bits((127 << 23) | (bits & 0x7f_ffff)) - 1.0
}

/// 52 random bits as a number from 0 to 1.
fn unit_64(high: u32, low: u32) -> f64 {
    let mantissa = (u64::from(high & 0xf_ffff) << 32) | u64::from(low);
    f64::from_bits((1023 << 52) | mantissa) - 1.0
}

/// Fills output 0, of the shape in input 0, with groups of four.
fn fill(ctx: &mut EvalCtx<'_>, group: impl Fn([u32; 4]) -> [f32; 4]) -> Result<(), KernelError> {
    let dims = ctx.ints(0)?;
    let shape = sizes("the shape", &dims, dims.len())?;
    shape_output(ctx, 0, &shape)?;
    let mut stream = Philox::resume(ctx)?;
    for out in ctx.output::<f32>(0)?.chunks_mut(4) {
        let values = group(stream.next());
        out.copy_from_slice(&values[..out.len()]);
    }
    stream.store(ctx)
}

fn uniform(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    fill(ctx, |bits| bits.map(unit))
}

fn normal(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    /// Two numbers by Box and Muller.
    fn pair(a: u32, b: u32) -> [f32; 2] {
        let radius = (-2.0 * unit(a).max(1e-7).ln()).sqrt();
        let (sin, cos) = (2.0 * std::f32::consts::PI * unit(b)).sin_cos();
        [sin * radius, cos * radius]
    }
    fill(ctx, |[a, b, c, d]| {
        let ([first, second], [third, fourth]) = (pair(a, b), pair(c, d));
        [first, second, third, fourth]
    })
}

/// Draws classes by their logits: `[batch, classes]` to `[batch, samples]`.
fn multinomial(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let &[batch, classes] = ctx.shape(0)? else {
        return Err(refuse("rank of input 0", ctx.shape(0)?.len(), "2"));
    };
    if ctx.input(0)?.dtype() != DType::Float32 {
        return Err(no_type(ctx, 0, "FLOAT32"));
    }
    let samples = match ctx.ints(1)?.as_slice() {
        [samples] => super::checks::size("the number of samples", *samples)?,
        other => return Err(refuse("number of elements of input 1", other.len(), "1")),
    };
    if classes == 0 {
        return Err(refuse("classes of input 0", 0, "at least one"));
    }
    shape_output(ctx, 0, &[batch, samples])?;
    let logits = ctx.slice::<f32>(0)?;
    let start = Philox::resume(ctx)?;
    let mut stream = start.clone();
    let (mut drawn, mut spare) = (Vec::new(), None);
    for row in logits.chunks_exact(classes) {
        let max = row.iter().copied().filter(|v| v.is_finite()).fold(f32::MIN, f32::max);
        let mut total = 0.0f64;
        let reach: Vec<f64> = row
            .iter()
            .map(|&logit| {
                if logit.is_finite() {
                    total += f64::from(logit - max).exp();
                }
                total
            })
            .collect();
        for _ in 0..samples {
            let point = spare.take().unwrap_or_else(|| {
                let [a, b, c, d] = stream.next();
                spare = Some(unit_64(c, d));
                unit_64(a, b)
            });
            let class = reach.partition_point(|&reach| reach <= point * total);
            drawn.push(i64::try_from(class.min(classes - 1)).unwrap_or(i64::MAX));
        }
    }
    // TFLite reserves many more numbers for an invoke than it draws.
    let reserved = (batch as u64).saturating_mul((samples as u64).div_ceil(4).saturating_mul(4 * 512));
    let mut next = start;
    next.skip(reserved);
    next.store(ctx)?;
    write_ints(ctx, 0, &drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // Known answers of Philox 4x32-10.
        let mut zeros = Philox { counter: [0; 4], key: [0; 2] };
        assert_eq!(zeros.next(), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let mut ones = Philox { counter: [u32::MAX; 4], key: [u32::MAX; 2] };
        assert_eq!(ones.next(), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(ones.counter, [0; 4]);
    }

    #[test]
    fn bits_become_numbers_below_one() {
        assert_eq!((unit(0), unit(u32::MAX), unit_64(0, 0)), (0.0, 1.0 - 2f32.powi(-23), 0.0));
        assert!(unit_64(u32::MAX, u32::MAX) < 1.0);
    }
}
