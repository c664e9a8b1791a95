//! SKIP_GRAM, and LSH_PROJECTION with the fingerprints it is made of.

use tflite_wgpu_model::{BuiltinOperator, LshProjectionType, Op};

use super::checks::{size, write_ints, wrong_operator};
use super::fingerprint::fingerprint_64;
use super::support::{check_len, dims, refuse};
use super::{EvalCtx, KernelError, Row};
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    Row { op: BuiltinOperator::SkipGram, eval: skip_gram },
    Row { op: BuiltinOperator::LshProjection, eval: lsh_projection },
];

/// Words between single white spaces; several in a row leave none between them.
fn words(text: &[u8]) -> Vec<&[u8]> {
    let white = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b;
    let (mut words, mut start) = (Vec::new(), 0);
    for at in 1..text.len() {
        if white(text[at]) {
            if at > start && !white(text[start]) {
                words.push(&text[start..at]);
            }
            start = at + 1;
        }
    }
    if text.len() > start {
        words.push(&text[start..]);
    }
    words
}

/// Words joined in order, up to `max_skip_size` of them left out between neighbours.
fn skip_gram(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::SkipGram(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let length = size("ngram_size", options.ngram_size.into())?;
    let skip = size("max_skip_size", options.max_skip_size.into())?;
    let texts = ctx.input(0)?.as_strings().map_err(|error| KernelError::Input { input: 0, error })?;
    let [text] = texts else { return Err(refuse("number of elements of input 0", texts.len(), "1")) };
    if length == 0 {
        return Err(refuse("ngram_size", length, "a positive number"));
    }
    let words = words(text);
    let mut grams: Vec<Vec<u8>> = Vec::new();
    if words.len() >= length {
        let mut chosen: Vec<usize> = Vec::new();
        collect(&words, (length, skip, options.include_all_ngrams), &mut chosen, &mut grams);
    }
    let value = Value::strings(&[grams.len()], grams);
    *ctx.output_value(0)? = value.map_err(|error| KernelError::Output { output: 0, error })?;
    Ok(())
}

/// Longer grams come before the shorter ones that they begin with.
fn collect(words: &[&[u8]], how: (usize, usize, bool), chosen: &mut Vec<usize>, grams: &mut Vec<Vec<u8>>) {
    let (length, skip, all) = how;
    let next = match chosen.last() {
        None => 0..words.len(),
        Some(&last) if chosen.len() < length => last + 1..words.len().min(last.saturating_add(skip).saturating_add(2)),
        Some(_) => 0..0,
    };
    for word in next {
        chosen.push(word);
        collect(words, how, chosen, grams);
        chosen.pop();
    }
    if !chosen.is_empty() && (all || chosen.len() == length) {
        let parts: Vec<&[u8]> = chosen.iter().map(|&word| words[word]).collect();
        grams.push(parts.join(&b' '));
    }
}

/// Signs of weighted sums of hashes: inputs are seeds `[hashes, bits]`, items, and their weights.
fn lsh_projection(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let Op::LshProjection(options) = &ctx.node.op else { return Err(wrong_operator(ctx)) };
    let [hashes, bits] = dims(ctx.shape(0)?, "input 0")?;
    let (seeds, input) = (ctx.slice::<f32>(0)?, ctx.input(1)?);
    let Some(&count) = input.shape().first() else { return Err(refuse("rank of input 1", 0, "1 or more")) };
    let weights = ctx.optional_slice::<f32>(2)?;
    if let Some(weights) = weights {
        check_len(weights, count, "input 2")?;
    }
    let bytes = item_bytes(input)?;
    let len = bytes.len() / count.max(1);
    let bit = |seed: f32| {
        let score = |i: usize| {
            let key = [&seed.to_le_bytes(), &bytes[i * len..][..len]].concat();
            let hash = fingerprint_64(&key).cast_signed() as f64;
            weights.map_or(hash, |weights| f64::from(weights[i]) * hash)
        };
        i64::from((0..count).map(score).sum::<f64>() > 0.0)
    };
    let signs: Vec<i64> = seeds.iter().map(|&seed| bit(seed)).collect();
    let numbers = match options.kind {
        LshProjectionType::Dense => signs,
        LshProjectionType::Sparse if bits < 31 => {
            let number = |(i, row): (usize, &[i64])| row.iter().fold(0, |n, bit| n << 1 | bit) + ((i as i64) << bits);
            signs.chunks_exact(bits.max(1)).enumerate().map(number).collect()
        }
        kind => {
            return Err(refuse("type of the projection", format!("{kind:?}"), "DENSE, or SPARSE of at most 30 bits"));
        }
    };
    check_len(&numbers, ctx.output_value(0)?.len(), &format!("output 0, of {hashes} hashes"))?;
    write_ints(ctx, 0, &numbers)
}

/// The bytes that items are hashed by; those of strings are the whole tensor's, with TFLite's table of offsets.
fn item_bytes(input: &Value) -> Result<Vec<u8>, KernelError> {
    let Ok(strings) = input.as_strings() else { return Ok(input.bytes().to_vec()) };
    let too_long = |_| refuse("the strings of input 1", strings.len(), "as many as INT32 can count");
    let mut bytes = i32::try_from(strings.len()).map_err(too_long)?.to_le_bytes().to_vec();
    let mut at = 4 * (strings.len() + 2);
    for text in strings {
        bytes.extend(i32::try_from(at).map_err(too_long)?.to_le_bytes());
        at += text.len();
    }
    bytes.extend(i32::try_from(at).map_err(too_long)?.to_le_bytes());
    bytes.extend(strings.concat());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn white_space_parts_words() {
        assert_eq!(words(b"the quick  fox"), [&b"the"[..], b"quick", b"fox"]);
        assert_eq!(words(b""), [&b""[..]; 0]);
        assert_eq!(words(b"a"), [b"a"]);
    }
}
