//! Element types of tensors, with TFLite's names and numbers.

use std::fmt;

macro_rules! dtypes {
    ($($variant:ident = $code:literal, $name:literal;)*) => {
        /// Element type of a tensor (`TensorType` in TFLite's schema).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i8)]
        #[allow(missing_docs, reason = "the names are TFLite's own")]
        pub enum DType { $($variant = $code,)* }

        impl DType {
            /// Every type, in the schema's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// TFLite's name, such as `FLOAT32`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The type with this number in the schema.
            pub fn from_code(code: i8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

dtypes! {
    Float32 = 0, "FLOAT32";
    Float16 = 1, "FLOAT16";
    Int32 = 2, "INT32";
    UInt8 = 3, "UINT8";
    Int64 = 4, "INT64";
    String = 5, "STRING";
    Bool = 6, "BOOL";
    Int16 = 7, "INT16";
    Complex64 = 8, "COMPLEX64";
    Int8 = 9, "INT8";
    Float64 = 10, "FLOAT64";
    Complex128 = 11, "COMPLEX128";
    UInt64 = 12, "UINT64";
    Resource = 13, "RESOURCE";
    Variant = 14, "VARIANT";
    UInt32 = 15, "UINT32";
    UInt16 = 16, "UINT16";
    Int4 = 17, "INT4";
    BFloat16 = 18, "BFLOAT16";
    Int2 = 19, "INT2";
    UInt4 = 20, "UINT4";
    Float8E4M3Fn = 21, "FLOAT8_E4M3FN";
    Float8E5M2 = 22, "FLOAT8_E5M2";
}

impl DType {
    /// Bits of one element in a file's buffer; `None` for strings, resources and variants, whose size varies.
    pub fn bits(self) -> Option<usize> {
        use DType::*;
        Some(match self {
            Int2 => 2,
            Int4 | UInt4 => 4,
            UInt8 | Int8 | Bool | Float8E4M3Fn | Float8E5M2 => 8,
            Float16 | BFloat16 | Int16 | UInt16 => 16,
            Float32 | Int32 | UInt32 => 32,
            Int64 | UInt64 | Float64 | Complex64 => 64,
            Complex128 => 128,
            String | Resource | Variant => return None,
        })
    }

    /// Bytes of one element in memory while a model runs: types below 8 bits take a byte each there.
    pub fn size(self) -> Option<usize> {
        self.bits().map(|bits| bits.div_ceil(8))
    }

    /// Bytes of a file's buffer that holds `count` elements (types below 8 bits are packed there).
    pub fn packed_bytes(self, count: usize) -> Option<usize> {
        Some(count.checked_mul(self.bits()?)?.div_ceil(8))
    }

    /// FLOAT32, FLOAT16, BFLOAT16, FLOAT64 and the 8-bit floats.
    pub fn is_float(self) -> bool {
        use DType::*;
        matches!(self, Float32 | Float16 | BFloat16 | Float64 | Float8E4M3Fn | Float8E5M2)
    }

    /// Signed and unsigned integers of any width; not BOOL.
    pub fn is_integer(self) -> bool {
        use DType::*;
        matches!(self, Int2 | Int4 | UInt4 | Int8 | UInt8 | Int16 | UInt16 | Int32 | UInt32 | Int64 | UInt64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::DType;

    #[test]
    fn codes_round_trip() {
        for &dtype in DType::ALL {
            assert_eq!(DType::from_code(dtype as i8), Some(dtype));
        }
        assert_eq!(DType::from_code(23), None);
    }

    #[test]
    fn packed_types_round_up() {
        assert_eq!(DType::Int4.packed_bytes(3), Some(2));
        assert_eq!(DType::Int2.packed_bytes(5), Some(2));
        assert_eq!(DType::Float32.packed_bytes(3), Some(12));
        assert_eq!(DType::String.packed_bytes(3), None);
    }
}
