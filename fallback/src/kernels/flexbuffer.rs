//! Options of custom operators in the FlexBuffers format: one map from names to numbers, texts and lists of numbers.

// Types of values.
const NULL: u8 = 0;
const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 3;
const STRING: u8 = 5;
const INDIRECT_INT: u8 = 6;
const INDIRECT_UINT: u8 = 7;
const INDIRECT_FLOAT: u8 = 8;
const MAP: u8 = 9;
const VECTOR: u8 = 10;
const VECTOR_INT: u8 = 11;
const VECTOR_UINT: u8 = 12;
const VECTOR_FLOAT: u8 = 13;
const VECTOR_BOOL: u8 = 36;
const BOOL: u8 = 26;

/// A value as it stands in the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flex<'a> {
    buffer: &'a [u8],
    /// Where the value, or the offset of what it refers to, is stored.
    at: usize,
    /// Bytes that it takes there.
    width: usize,
    kind: u8,
    /// Width of what it refers to.
    inner: usize,
}

/// The root of a buffer, if its end says what it is.
pub(super) fn root(buffer: &[u8]) -> Option<Flex<'_>> {
    let [rest @ .., packed, width] = buffer else { return None };
    let width = usize::from(*width);
    if !matches!(width, 1 | 2 | 4 | 8) {
        return None;
    }
    Some(Flex::new(buffer, rest.len().checked_sub(width)?, width, *packed))
}

impl<'a> Flex<'a> {
    fn new(buffer: &'a [u8], at: usize, width: usize, packed: u8) -> Self {
        Self { buffer, at, width, kind: packed >> 2, inner: 1 << (packed & 3) }
    }

    /// The value of a key, if this is a map that has it.
    pub fn get(self, key: &str) -> Option<Flex<'a>> {
        if self.kind != MAP {
            return None;
        }
        let values = self.target()?;
        let (keys, key_width) = self.keys(values)?;
        let count = self.count(values)?;
        // A map cannot have more entries than the buffer has bytes.
        let position =
            (0..count.min(self.buffer.len())).find(|&i| self.key(keys, key_width, i) == Some(key.as_bytes()))?;
        self.element(values, count, position)
    }

    /// An integer; floats without a fraction count.
    pub fn int(self) -> Option<i64> {
        let value = match self.kind {
            INDIRECT_INT | INDIRECT_UINT | INDIRECT_FLOAT => self.pointed()?,
            _ => self,
        };
        let raw = read(value.buffer, value.at, value.width)?;
        match value.kind {
            INT => Some(signed(raw, value.width)),
            UINT | BOOL => i64::try_from(raw).ok(),
            FLOAT => value.float().filter(|v| v.fract() == 0.0 && v.abs() < 9e15).map(|v| v as i64),
            _ => None,
        }
    }

    /// A number.
    pub fn float(self) -> Option<f64> {
        let value = match self.kind {
            INDIRECT_INT | INDIRECT_UINT | INDIRECT_FLOAT => self.pointed()?,
            _ => self,
        };
        let raw = read(value.buffer, value.at, value.width)?;
        match (value.kind, value.width) {
            (FLOAT, 8) => Some(f64::from_bits(raw)),
            (FLOAT, 4) => Some(f64::from(f32::from_bits(u32::try_from(raw).ok()?))),
            (FLOAT, 2) => Some(half::f16::from_bits(u16::try_from(raw).ok()?).to_f64()),
            (INT, _) => Some(signed(raw, value.width) as f64),
            (UINT | BOOL, _) => Some(raw as f64),
            _ => None,
        }
    }

    /// A truth value; numbers other than 0 count as true.
    pub fn truth(self) -> Option<bool> {
        self.float().map(|v| v != 0.0)
    }

    /// The bytes of a text.
    pub fn text(self) -> Option<&'a [u8]> {
        if self.kind != STRING {
            return None;
        }
        let start = self.target()?;
        let length = self.count(start)?;
        self.buffer.get(start..start.checked_add(length)?)
    }

    /// The integers of a list.
    pub fn ints(self) -> Option<Vec<i64>> {
        let kind = match self.kind {
            VECTOR => None,
            VECTOR_INT => Some(INT),
            VECTOR_UINT => Some(UINT),
            VECTOR_FLOAT => Some(FLOAT),
            VECTOR_BOOL => Some(BOOL),
            NULL => return Some(Vec::new()),
            _ => return None,
        };
        let start = self.target()?;
        let count = self.count(start)?;
        let element = |i| match kind {
            None => self.element(start, count, i),
            Some(kind) => {
                Some(Self { at: start.checked_add(self.inner.checked_mul(i)?)?, width: self.inner, kind, ..self })
            }
        };
        // A list cannot have more elements than the buffer has bytes.
        (0..count.min(self.buffer.len())).map(|i| element(i)?.int()).collect()
    }

    /// Where the value lies that this one refers to.
    fn target(self) -> Option<usize> {
        self.at.checked_sub(usize::try_from(read(self.buffer, self.at, self.width)?).ok()?)
    }

    fn pointed(self) -> Option<Self> {
        let kind = match self.kind {
            INDIRECT_INT => INT,
            INDIRECT_UINT => UINT,
            _ => FLOAT,
        };
        Some(Self { at: self.target()?, width: self.inner, kind, ..self })
    }

    /// Number of elements of what begins at `start`.
    fn count(self, start: usize) -> Option<usize> {
        usize::try_from(read(self.buffer, start.checked_sub(self.inner)?, self.inner)?).ok()
    }

    /// The map's vector of keys and the width of its offsets.
    fn keys(self, values: usize) -> Option<(usize, usize)> {
        let width = self.inner;
        let at = values.checked_sub(width.checked_mul(3)?)?;
        let keys = at.checked_sub(usize::try_from(read(self.buffer, at, width)?).ok()?)?;
        let key_width = usize::try_from(read(self.buffer, at + width, width)?).ok()?;
        matches!(key_width, 1 | 2 | 4 | 8).then_some((keys, key_width))
    }

    fn key(self, keys: usize, width: usize, i: usize) -> Option<&'a [u8]> {
        let at = keys.checked_add(width.checked_mul(i)?)?;
        let start = at.checked_sub(usize::try_from(read(self.buffer, at, width)?).ok()?)?;
        let rest = self.buffer.get(start..)?;
        rest.get(..rest.iter().position(|&byte| byte == 0)?)
    }

    /// Element `i` of a vector of `count` values, whose types follow them.
    fn element(self, start: usize, count: usize, i: usize) -> Option<Self> {
        let types = start.checked_add(self.inner.checked_mul(count)?)?;
        let packed = *self.buffer.get(types.checked_add(i)?)?;
        Some(Self::new(self.buffer, start.checked_add(self.inner.checked_mul(i)?)?, self.inner, packed))
    }
}

/// An unsigned number of `width` bytes.
fn read(buffer: &[u8], at: usize, width: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes.get_mut(..width)?.copy_from_slice(buffer.get(at..at.checked_add(width)?)?);
    Some(u64::from_le_bytes(bytes))
}

fn signed(raw: u64, width: usize) -> i64 {
    let shift = 64 - 8 * width.clamp(1, 8);
    ((raw << shift) as i64) >> shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_endless_entries_is_searched_no_further_than_its_buffer() {
        // Width 8: keys (none), their width, 2^63 − 1 entries; the root lies 8 bytes behind the map's beginning.
        let words = [0u64, 8, (1 << 63) - 1, 0];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend([MAP << 2 | 3, 8]);
        assert!(root(&bytes).is_some_and(|map| map.get("key").is_none()));
    }

    /// `{"a": -5, "b": 1.5, "list": [1, 2, 300], "text": "hi"}`, laid out by hand.
    fn sample() -> Vec<u8> {
        let mut bytes = b"a\0b\0list\0text\0".to_vec();
        bytes.extend([2, b'h', b'i', 0]);
        let text = bytes.len() - 3;
        bytes.extend(3u16.to_le_bytes());
        let list = bytes.len();
        [1i16, 2, 300].iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        bytes.push(4);
        let keys = bytes.len();
        for start in [0, 2, 4, 9] {
            bytes.push((bytes.len() - start) as u8);
        }
        // Values of four bytes: offset of the keys, their width, the count, the values, their types.
        bytes.extend(((bytes.len() - keys) as u32).to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(4u32.to_le_bytes());
        let values = bytes.len();
        bytes.extend((-5i32).to_le_bytes());
        bytes.extend(1.5f32.to_le_bytes());
        bytes.extend(((bytes.len() - list) as u32).to_le_bytes());
        bytes.extend(((bytes.len() - text) as u32).to_le_bytes());
        bytes.extend([INT << 2 | 2, FLOAT << 2 | 2, VECTOR_INT << 2 | 1, STRING << 2]);
        let offset = (bytes.len() - values) as u8;
        bytes.extend([offset, MAP << 2 | 2, 1]);
        bytes
    }

    #[test]
    fn maps_hold_numbers_texts_and_lists() {
        let bytes = sample();
        let get = |key| root(&bytes).and_then(|map| map.get(key));
        assert_eq!(get("a").and_then(Flex::int), Some(-5));
        assert_eq!(get("b").and_then(Flex::float), Some(1.5));
        assert_eq!(get("b").and_then(Flex::int), None);
        assert_eq!(get("list").and_then(Flex::ints), Some(vec![1, 2, 300]));
        assert_eq!(get("text").and_then(Flex::text), Some(&b"hi"[..]));
        assert_eq!(get("a").and_then(Flex::truth), Some(true));
        assert!(get("c").is_none() && get("a").and_then(Flex::text).is_none());
    }

    #[test]
    fn damaged_buffers_are_no_maps() {
        let bytes = sample();
        for end in 0..bytes.len() {
            let _ = root(&bytes[..end]).map(|map| (map.get("a").map(Flex::int), map.get("list").map(Flex::ints)));
        }
        for at in 0..bytes.len() {
            for flip in [0x01, 0x10, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let Some(map) = root(&damaged) else { continue };
                for key in ["a", "b", "list", "text"] {
                    let _ = map.get(key).map(|v| (v.int(), v.float(), v.ints(), v.text()));
                }
            }
        }
        assert!(root(&[]).is_none() && root(&[1, 2, 3]).is_none());
    }
}
