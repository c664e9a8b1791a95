//! Tensor values on the host.

use half::{bf16, f16};
use tflite_wgpu_model::{Bytes, DType, element_count};

use crate::simd::{Line, Store};

/// What is wrong with an access to a [`Value`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The value has another type than the kernel asked for.
    #[error("has type {found}, expected {expected}")]
    Type {
        /// Type of the value.
        found: DType,
        /// Type asked for.
        expected: DType,
    },
    /// Bytes and shape do not agree.
    #[error("holds {found} bytes, expected {expected}")]
    Size {
        /// Bytes given.
        found: usize,
        /// Bytes that type and shape need.
        expected: usize,
    },
    /// The shape's size overflows or exceeds what this machine can address.
    #[error("shape {0:?} is too large")]
    TooLarge(Vec<usize>),
}

/// An element type of [`Value`]s.
pub trait Element: bytemuck::Pod + PartialEq + Send + Sync {
    /// Types whose elements are stored as `Self`.
    const DTYPES: &'static [DType];
}

macro_rules! elements {
    ($($ty:ty: $($dtype:ident),+;)*) => {$(
        impl Element for $ty {
            const DTYPES: &'static [DType] = &[$(DType::$dtype),+];
        }
    )*};
}

elements! {
    f32: Float32;
    f64: Float64;
    f16: Float16;
    bf16: BFloat16;
    i8: Int8, Int4, Int2;
    u8: UInt8, Bool, UInt4, Float8E4M3Fn, Float8E5M2;
    i16: Int16;
    u16: UInt16;
    i32: Int32, Resource, Variant;
    u32: UInt32;
    i64: Int64;
    u64: UInt64;
    [f32; 2]: Complex64;
    [f64; 2]: Complex128;
}

#[derive(Clone, Debug)]
enum Data {
    /// Elements in memory aligned for any type and vector; the last line may be partly unused.
    Lines(Store),
    /// Elements of a constant where they lie in its file, aligned for their type; copied when they are written to.
    File(Bytes),
    /// Elements of a string tensor.
    Strings(Vec<Vec<u8>>),
}

/// A tensor's value in host memory: type, shape, elements in C order.
///
/// Types below 8 bits (INT4, UINT4, INT2) take one byte per element. BOOL is one byte, 0 or 1.
/// RESOURCE holds one INT32 per element, the id of the resource.
#[derive(Clone, Debug)]
pub struct Value {
    dtype: DType,
    shape: Vec<usize>,
    bytes: usize,
    data: Data,
}

impl Value {
    /// All zeros (or empty strings).
    ///
    /// # Errors
    /// [`ValueError::TooLarge`] when the size overflows.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Self, ValueError> {
        let mut value = Self { dtype, shape: Vec::new(), bytes: 0, data: Data::Lines(Store::new()) };
        value.reset(dtype, shape)?;
        Ok(value)
    }

    /// A value from elements.
    ///
    /// # Errors
    /// When the number of elements is not that of the shape, or `dtype` is not stored as `T`.
    pub fn from_slice<T: Element>(dtype: DType, shape: &[usize], elements: &[T]) -> Result<Self, ValueError> {
        if !T::DTYPES.contains(&dtype) {
            return Err(ValueError::Type { found: dtype, expected: T::DTYPES[0] });
        }
        Self::from_bytes(dtype, shape, bytemuck::cast_slice(elements))
    }

    /// A FLOAT32 value.
    ///
    /// # Errors
    /// As [`Value::from_slice`].
    pub fn f32(shape: &[usize], elements: &[f32]) -> Result<Self, ValueError> {
        Self::from_slice(DType::Float32, shape, elements)
    }

    /// An INT32 value.
    ///
    /// # Errors
    /// As [`Value::from_slice`].
    pub fn i32(shape: &[usize], elements: &[i32]) -> Result<Self, ValueError> {
        Self::from_slice(DType::Int32, shape, elements)
    }

    /// A STRING value.
    ///
    /// # Errors
    /// When the number of strings is not that of the shape.
    pub fn strings(shape: &[usize], elements: Vec<Vec<u8>>) -> Result<Self, ValueError> {
        let count = element_count(shape).ok_or_else(|| ValueError::TooLarge(shape.to_vec()))?;
        if count != elements.len() {
            return Err(ValueError::Size { found: elements.len(), expected: count });
        }
        Ok(Self { dtype: DType::String, shape: shape.to_vec(), bytes: 0, data: Data::Strings(elements) })
    }

    /// A value from little-endian bytes as they stand in memory (types below 8 bits unpacked).
    ///
    /// # Errors
    /// When the number of bytes is not that of type and shape.
    pub fn from_bytes(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Self, ValueError> {
        // Nothing is allocated for a shape that the bytes do not have.
        let expected = if dtype == DType::String { 0 } else { Self::bytes_of(dtype, shape)? };
        if expected != bytes.len() {
            return Err(ValueError::Size { found: bytes.len(), expected });
        }
        let mut value = Self::zeros(dtype, shape)?;
        value.bytes_mut().copy_from_slice(bytes);
        Ok(value)
    }

    /// A constant of a file: types below 8 bits are unpacked, strings decoded from TFLite's string buffer.
    ///
    /// # Errors
    /// When the buffer does not have the size that type and shape need, or a string buffer is damaged.
    pub fn from_constant(dtype: DType, shape: &[usize], buffer: &Bytes) -> Result<Self, ValueError> {
        let count = element_count(shape).ok_or_else(|| ValueError::TooLarge(shape.to_vec()))?;
        if dtype == DType::String {
            let strings = decode_strings(buffer).ok_or(ValueError::Size { found: buffer.len(), expected: count })?;
            return Self::strings(shape, strings);
        }
        let expected = dtype.packed_bytes(count).ok_or_else(|| ValueError::TooLarge(shape.to_vec()))?;
        if buffer.len() < expected {
            return Err(ValueError::Size { found: buffer.len(), expected });
        }
        let bits = dtype.bits().unwrap_or(8);
        if let Some(bytes) = buffer.slice(0, expected).filter(|bytes| bits >= 8 && stays_in_file(dtype, bytes)) {
            return Ok(Self { dtype, shape: shape.to_vec(), bytes: expected, data: Data::File(bytes) });
        }
        let mut value = Self::zeros(dtype, shape)?;
        if bits >= 8 {
            value.bytes_mut().copy_from_slice(&buffer[..expected]);
        } else {
            let signed = dtype != DType::UInt4;
            for (i, element) in value.bytes_mut().iter_mut().enumerate() {
                let shifted = buffer[i * bits / 8] >> (i * bits % 8) << (8 - bits);
                *element = if signed { (shifted as i8 >> (8 - bits)) as u8 } else { shifted >> (8 - bits) };
            }
        }
        Ok(value)
    }

    /// Bytes that a value takes in memory; of strings, what each takes before its characters.
    ///
    /// # Errors
    /// [`ValueError::TooLarge`] when the size overflows.
    pub fn bytes_of(dtype: DType, shape: &[usize]) -> Result<usize, ValueError> {
        let size = match dtype {
            DType::String => size_of::<Vec<u8>>(),
            _ => dtype.size().unwrap_or(size_of::<i32>()),
        };
        let bytes = element_count(shape).and_then(|count| count.checked_mul(size));
        bytes.filter(|&n| n <= isize::MAX as usize / 2).ok_or_else(|| ValueError::TooLarge(shape.to_vec()))
    }

    /// Bytes that a value would take if none of its dimensions were 0. A kernel may list the indices of each dimension
    /// although there are no elements, so that a limit on memory has to look at this, too.
    ///
    /// # Errors
    /// [`ValueError::TooLarge`] when the size overflows.
    pub(crate) fn extent_bytes(dtype: DType, shape: &[usize]) -> Result<usize, ValueError> {
        if !shape.contains(&0) {
            return Self::bytes_of(dtype, shape);
        }
        let dims: Vec<usize> = shape.iter().map(|&dim| dim.max(1)).collect();
        Self::bytes_of(dtype, &dims).map_err(|_| ValueError::TooLarge(shape.to_vec()))
    }

    /// Gives the value another type and shape; elements become zero. Memory is reused where it suffices.
    ///
    /// # Errors
    /// [`ValueError::TooLarge`] when the size overflows or cannot be allocated.
    pub fn reset(&mut self, dtype: DType, shape: &[usize]) -> Result<(), ValueError> {
        if !self.resize(dtype, shape)? {
            self.bytes_mut().fill(0);
        }
        Ok(())
    }

    /// As [`Value::reset`], but elements keep what the memory holds, zero where it is new; whether all are zero.
    pub(crate) fn resize(&mut self, dtype: DType, shape: &[usize]) -> Result<bool, ValueError> {
        let too_large = || ValueError::TooLarge(shape.to_vec());
        let count = element_count(shape).ok_or_else(too_large)?;
        let mut new = true;
        if dtype == DType::String {
            Self::bytes_of(dtype, shape)?;
            let mut strings = Vec::new();
            strings.try_reserve_exact(count).map_err(|_| too_large())?;
            strings.resize(count, Vec::new());
            self.bytes = 0;
            self.data = Data::Strings(strings);
        } else {
            self.bytes = Self::bytes_of(dtype, shape)?;
            let lines = self.bytes.div_ceil(size_of::<Line>());
            let mut memory = match std::mem::replace(&mut self.data, Data::Strings(Vec::new())) {
                Data::Lines(memory) => memory,
                Data::Strings(_) | Data::File(_) => Store::new(),
            };
            new = memory.try_resize(lines).ok_or_else(too_large)?;
            self.data = Data::Lines(memory);
        }
        self.dtype = dtype;
        self.shape.clear();
        self.shape.extend_from_slice(shape);
        Ok(new)
    }

    /// Gives the value another shape of the same number of elements.
    ///
    /// # Errors
    /// When the number of elements differs.
    pub fn reshape(&mut self, shape: &[usize]) -> Result<(), ValueError> {
        match element_count(shape) {
            Some(count) if count == self.len() => {
                self.shape = shape.to_vec();
                Ok(())
            }
            Some(count) => Err(ValueError::Size { found: self.len(), expected: count }),
            None => Err(ValueError::TooLarge(shape.to_vec())),
        }
    }

    /// A value without elements that has allocated nothing.
    pub(crate) fn empty(dtype: DType) -> Self {
        let data = if dtype == DType::String { Data::Strings(Vec::new()) } else { Data::Lines(Store::new()) };
        Self { dtype, shape: vec![0], bytes: 0, data }
    }

    /// Bytes that [`Value::reset`] can use without allocating; 0 for strings and what lies in a file.
    pub(crate) fn capacity(&self) -> usize {
        match &self.data {
            Data::Lines(lines) => lines.capacity() * size_of::<Line>(),
            Data::Strings(_) | Data::File(_) => 0,
        }
    }

    /// A value without elements whose memory is part of an arena.
    pub(crate) fn lent(dtype: DType, memory: Store) -> Self {
        Self { dtype, shape: vec![0], bytes: 0, data: Data::Lines(memory) }
    }

    /// Whether its memory is part of an arena, which takes it back.
    pub(crate) fn is_lent(&self) -> bool {
        matches!(&self.data, Data::Lines(lines) if lines.is_lent())
    }

    /// Whether the elements are read where they lie in a constant's file.
    pub(crate) fn is_in_file(&self) -> bool {
        matches!(self.data, Data::File(_))
    }

    /// Bytes that the elements take, the characters of strings included.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.data {
            Data::Lines(_) | Data::File(_) => self.bytes,
            Data::Strings(strings) => {
                strings.iter().fold(size_of_val(&**strings), |sum, s| sum.saturating_add(s.len()))
            }
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        element_count(&self.shape).unwrap_or(0)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' bytes; empty for strings.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Lines(lines) => &bytemuck::cast_slice(lines.as_slice())[..self.bytes],
            Data::File(bytes) => bytes,
            Data::Strings(_) => &[],
        }
    }

    /// The elements' bytes; empty for strings.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        if let Data::File(bytes) = &self.data {
            let mut lines = Store::zeros(self.bytes.div_ceil(size_of::<Line>()));
            bytemuck::cast_slice_mut(lines.as_mut_slice())[..self.bytes].copy_from_slice(bytes);
            self.data = Data::Lines(lines);
        }
        match &mut self.data {
            Data::Lines(lines) => &mut bytemuck::cast_slice_mut(lines.as_mut_slice())[..self.bytes],
            Data::Strings(_) | Data::File(_) => &mut [],
        }
    }

    /// The elements as `T`.
    ///
    /// # Errors
    /// When the type is not stored as `T`.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], ValueError> {
        self.expect_type::<T>()?;
        Ok(bytemuck::cast_slice(self.bytes()))
    }

    /// The elements as `T`.
    ///
    /// # Errors
    /// When the type is not stored as `T`.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T], ValueError> {
        self.expect_type::<T>()?;
        Ok(bytemuck::cast_slice_mut(self.bytes_mut()))
    }

    /// The strings of a STRING value.
    ///
    /// # Errors
    /// When it has another type.
    pub fn as_strings(&self) -> Result<&[Vec<u8>], ValueError> {
        match &self.data {
            Data::Strings(strings) => Ok(strings),
            _ => Err(ValueError::Type { found: self.dtype, expected: DType::String }),
        }
    }

    /// The strings of a STRING value.
    ///
    /// # Errors
    /// When it has another type.
    pub fn as_mut_strings(&mut self) -> Result<&mut [Vec<u8>], ValueError> {
        match &mut self.data {
            Data::Strings(strings) => Ok(strings),
            _ => Err(ValueError::Type { found: self.dtype, expected: DType::String }),
        }
    }

    /// Integer or bool elements widened to `i64`; `None` for other types (and for UINT64 beyond `i64`).
    pub fn to_ints(&self) -> Option<Vec<i64>> {
        use DType::*;
        fn widen<T: Element + Into<i64>>(value: &Value) -> Option<Vec<i64>> {
            Some(value.as_slice::<T>().ok()?.iter().map(|&v| v.into()).collect())
        }
        match self.dtype {
            Int2 | Int4 | Int8 => widen::<i8>(self),
            UInt4 | UInt8 | Bool => widen::<u8>(self),
            Int16 => widen::<i16>(self),
            UInt16 => widen::<u16>(self),
            Int32 => widen::<i32>(self),
            UInt32 => widen::<u32>(self),
            Int64 => widen::<i64>(self),
            UInt64 => self.as_slice::<u64>().ok()?.iter().map(|&v| i64::try_from(v).ok()).collect(),
            _ => None,
        }
    }

    /// Float elements widened to `f64`; `None` for other types.
    pub fn to_floats(&self) -> Option<Vec<f64>> {
        match self.dtype {
            DType::Float32 => Some(self.as_slice::<f32>().ok()?.iter().map(|&v| v.into()).collect()),
            DType::Float64 => Some(self.as_slice::<f64>().ok()?.to_vec()),
            DType::Float16 => Some(self.as_slice::<f16>().ok()?.iter().map(|v| v.to_f64()).collect()),
            DType::BFloat16 => Some(self.as_slice::<bf16>().ok()?.iter().map(|v| v.to_f64()).collect()),
            _ => None,
        }
    }

    fn expect_type<T: Element>(&self) -> Result<(), ValueError> {
        if T::DTYPES.contains(&self.dtype) {
            Ok(())
        } else {
            Err(ValueError::Type { found: self.dtype, expected: T::DTYPES[0] })
        }
    }
}

impl Default for Value {
    /// No elements.
    fn default() -> Self {
        Self { dtype: DType::UInt8, shape: vec![0], bytes: 0, data: Data::Lines(Store::new()) }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.dtype == other.dtype
            && self.shape == other.shape
            && match (&self.data, &other.data) {
                (Data::Strings(a), Data::Strings(b)) => a == b,
                _ => self.bytes() == other.bytes(),
            }
    }
}

/// Bytes of a constant from which on it is left in its file.
const FILE_BYTES: usize = 4 << 10;

/// Whether a constant's bytes can be read where they lie, and are enough for that to save memory.
fn stays_in_file(dtype: DType, bytes: &Bytes) -> bool {
    let size = dtype.size().unwrap_or(0);
    cfg!(target_endian = "little")
        && bytes.len() >= FILE_BYTES
        && size > 0
        && bytes.as_ptr().addr().is_multiple_of(size.min(align_of::<u64>()))
}

/// TFLite's string buffer: count, then count + 1 offsets (INT32) from the buffer's start, then the characters.
fn decode_strings(buffer: &[u8]) -> Option<Vec<Vec<u8>>> {
    let word = |i: usize| -> Option<usize> {
        let at = i.checked_mul(4)?;
        let bytes: [u8; 4] = buffer.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(i32::from_le_bytes(bytes)).ok()
    };
    let count = word(0)?;
    if count > buffer.len() / 4 {
        return None;
    }
    (0..count).map(|i| Some(buffer.get(word(i + 1)?..word(i + 2)?)?.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_below_a_byte_are_unpacked() -> Result<(), ValueError> {
        let packed = Bytes::from(vec![0x8f, 0x07]);
        let value = Value::from_constant(DType::Int4, &[3], &packed)?;
        assert_eq!(value.as_slice::<i8>()?, &[-1, -8, 7]);
        let value = Value::from_constant(DType::UInt4, &[3], &packed)?;
        assert_eq!(value.as_slice::<u8>()?, &[15, 8, 7]);
        let value = Value::from_constant(DType::Int2, &[4], &Bytes::from(vec![0b11_10_01_00]))?;
        assert_eq!(value.as_slice::<i8>()?, &[0, 1, -2, -1]);
        Ok(())
    }

    #[test]
    fn large_constants_stay_in_their_file_until_written_to() -> Result<(), ValueError> {
        let file = Bytes::from((0..4 * 2048).map(|i| (i % 7) as u8).collect::<Vec<_>>());
        let mut value = Value::from_constant(DType::Float32, &[2048], &file)?;
        assert_eq!((value.is_in_file(), value.bytes().as_ptr(), value.capacity()), (true, file.as_ptr(), 0));
        let copy = value.clone();
        value.as_mut_slice::<f32>()?[0] = 2.0;
        assert!(!value.is_in_file() && value.as_slice::<f32>()?[0] == 2.0 && value.bytes()[4..] == file[4..]);
        assert!(copy.bytes() == &*file);
        // Neither small ones nor those that are not aligned.
        assert!(!Value::from_constant(DType::Float32, &[4], &file)?.is_in_file());
        let odd = file.slice(1, 4 * 2047).unwrap_or_default();
        let odd = Value::from_constant(DType::Float32, &[2047], &odd)?;
        assert!(!odd.is_in_file() && odd.bytes() == &file[1..4 * 2047 + 1]);
        Ok(())
    }

    #[test]
    fn another_type_is_an_error() -> Result<(), ValueError> {
        let value = Value::i32(&[2], &[1, 2])?;
        let expected = ValueError::Type { found: DType::Int32, expected: DType::Float32 };
        assert_eq!(value.as_slice::<f32>().err(), Some(expected));
        assert_eq!(value.to_ints(), Some(vec![1, 2]));
        Ok(())
    }

    #[test]
    fn huge_shapes_are_refused() {
        assert!(matches!(Value::zeros(DType::Float32, &[usize::MAX, 2]), Err(ValueError::TooLarge(_))));
        assert!(matches!(Value::zeros(DType::Float32, &[usize::MAX / 4]), Err(ValueError::TooLarge(_))));
    }

    #[test]
    fn shapes_that_the_bytes_do_not_have_allocate_nothing() {
        let huge = Value::from_bytes(DType::Float32, &[1 << 40], &[0; 4]);
        assert_eq!(huge, Err(ValueError::Size { found: 4, expected: 1 << 42 }));
        assert!(Value::f32(&[1 << 40], &[0.0]).is_err());
    }

    #[test]
    fn damaged_string_buffers_are_refused() -> Result<(), ValueError> {
        let mut bytes = Vec::new();
        for word in [2i32, 16, 18, 21] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(b"abcde");
        let value = Value::from_constant(DType::String, &[2], &Bytes::from(bytes.clone()))?;
        assert_eq!(value.as_strings()?, &[b"ab".to_vec(), b"cde".to_vec()]);
        bytes[8] = 90;
        assert!(Value::from_constant(DType::String, &[2], &Bytes::from(bytes)).is_err());
        Ok(())
    }
}
