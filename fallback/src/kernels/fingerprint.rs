//! FarmHash's 64-bit fingerprint, which LSH_PROJECTION hashes with.

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

/// The 64 bits at `at`, which lies inside.
fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).map_or(0, |part| part.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
}

fn half(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 4).map_or(0, |part| part.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
}

fn mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

fn join(u: u64, v: u64, factor: u64) -> u64 {
    let a = mix((u ^ v).wrapping_mul(factor));
    mix((v ^ a).wrapping_mul(factor)).wrapping_mul(factor)
}

fn factor(len: usize) -> u64 {
    K2.wrapping_add(2 * len as u64)
}

/// The fingerprint of bytes of any length.
pub(super) fn fingerprint_64(bytes: &[u8]) -> u64 {
    match bytes.len() {
        0..=16 => up_to_16(bytes),
        17..=32 => up_to_32(bytes),
        33..=64 => up_to_64(bytes),
        _ => long(bytes),
    }
}

fn up_to_16(bytes: &[u8]) -> u64 {
    let (len, mul) = (bytes.len(), factor(bytes.len()));
    if len >= 8 {
        let (a, b) = (word(bytes, 0).wrapping_add(K2), word(bytes, len - 8));
        let c = b.rotate_right(37).wrapping_mul(mul).wrapping_add(a);
        return join(c, a.rotate_right(25).wrapping_add(b).wrapping_mul(mul), mul);
    }
    if len >= 4 {
        return join((len as u64).wrapping_add(half(bytes, 0) << 3), half(bytes, len - 4), mul);
    }
    let Some(&last) = bytes.last() else { return K2 };
    let y = u64::from(bytes[0]) + (u64::from(bytes[len >> 1]) << 8);
    let z = len as u64 + (u64::from(last) << 2);
    mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K0)).wrapping_mul(K2)
}

fn up_to_32(bytes: &[u8]) -> u64 {
    let (len, mul) = (bytes.len(), factor(bytes.len()));
    let (a, b) = (word(bytes, 0).wrapping_mul(K1), word(bytes, 8));
    let (c, d) = (word(bytes, len - 8).wrapping_mul(mul), word(bytes, len - 16).wrapping_mul(K2));
    let first = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
    join(first, a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), mul)
}

fn up_to_64(bytes: &[u8]) -> u64 {
    let (len, mul) = (bytes.len(), factor(bytes.len()));
    let (a, b) = (word(bytes, 0).wrapping_mul(K2), word(bytes, 8));
    let (c, d) = (word(bytes, len - 8).wrapping_mul(mul), word(bytes, len - 16).wrapping_mul(K2));
    let y = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
    let z = join(y, a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), mul);
    let (e, f) = (word(bytes, 16).wrapping_mul(mul), word(bytes, 24));
    let g = y.wrapping_add(word(bytes, len - 32)).wrapping_mul(mul);
    let h = z.wrapping_add(word(bytes, len - 24)).wrapping_mul(mul);
    let first = e.wrapping_add(f).rotate_right(43).wrapping_add(g.rotate_right(30)).wrapping_add(h);
    join(first, e.wrapping_add(f.wrapping_add(a).rotate_right(18)).wrapping_add(g), mul)
}

/// The state of a long hash.
struct State {
    x: u64,
    y: u64,
    z: u64,
    v: (u64, u64),
    w: (u64, u64),
}

/// Thirty-two bytes into two words.
fn weak(bytes: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let (first, last) = (word(bytes, at), word(bytes, at + 24));
    let a = a.wrapping_add(first);
    let b = b.wrapping_add(a).wrapping_add(last).rotate_right(21);
    let sum = a.wrapping_add(word(bytes, at + 8)).wrapping_add(word(bytes, at + 16));
    (sum.wrapping_add(last), b.wrapping_add(sum.rotate_right(44)).wrapping_add(a))
}

impl State {
    /// Sixty-four bytes.
    fn block(&mut self, bytes: &[u8], at: usize, mul: u64, last: bool) {
        let more = if last { 9 } else { 1 };
        let sum = self.x.wrapping_add(self.y).wrapping_add(self.v.0).wrapping_add(word(bytes, at + 8));
        self.x = sum.rotate_right(37).wrapping_mul(mul);
        let sum = self.y.wrapping_add(self.v.1).wrapping_add(word(bytes, at + 48));
        self.y = sum.rotate_right(42).wrapping_mul(mul);
        self.x ^= self.w.1.wrapping_mul(more);
        self.y = self.y.wrapping_add(self.v.0.wrapping_mul(more)).wrapping_add(word(bytes, at + 40));
        self.z = self.z.wrapping_add(self.w.0).rotate_right(33).wrapping_mul(mul);
        self.v = weak(bytes, at, self.v.1.wrapping_mul(mul), self.x.wrapping_add(self.w.0));
        let (a, b) = (self.z.wrapping_add(self.w.1), self.y.wrapping_add(word(bytes, at + 16)));
        self.w = weak(bytes, at + 32, a, b);
        std::mem::swap(&mut self.z, &mut self.x);
    }
}

fn long(bytes: &[u8]) -> u64 {
    const SEED: u64 = 81;
    let y = SEED.wrapping_mul(K1).wrapping_add(113);
    let z = mix(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let x = SEED.wrapping_mul(K2).wrapping_add(word(bytes, 0));
    let mut state = State { x, y, z, v: (0, 0), w: (0, 0) };
    let rest = bytes.len() - 1;
    (0..rest / 64).for_each(|block| state.block(bytes, block * 64, K1, false));
    let mul = K1.wrapping_add((state.z & 0xff) << 1);
    state.w.0 = state.w.0.wrapping_add((rest & 63) as u64);
    state.v.0 = state.v.0.wrapping_add(state.w.0);
    state.w.0 = state.w.0.wrapping_add(state.v.0);
    state.block(bytes, bytes.len() - 64, mul, true);
    let State { x, y, z, v, w } = state;
    let first = join(v.0, w.0, mul).wrapping_add(mix(y).wrapping_mul(K0)).wrapping_add(z);
    join(first, join(v.1, w.1, mul).wrapping_add(x), mul)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_the_published_ones() {
        assert_eq!(fingerprint_64(b""), K2);
        assert_eq!(fingerprint_64(b"a"), 0xb345_4265_b6df_75e3);
        let mut seen = std::collections::HashSet::new();
        let bytes: Vec<u8> = (0..=255).collect();
        assert!((0..=256).all(|len| seen.insert(fingerprint_64(&bytes[..len]))));
    }
}
