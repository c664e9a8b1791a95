//! Element types: the host numbers them otherwise than the file.

use std::ffi::c_int;

use tflite_wgpu_model::DType;

/// `TfLiteType` and the file's type.
const TYPES: &[(c_int, DType)] = &[
    (1, DType::Float32),
    (2, DType::Int32),
    (3, DType::UInt8),
    (4, DType::Int64),
    (5, DType::String),
    (6, DType::Bool),
    (7, DType::Int16),
    (8, DType::Complex64),
    (9, DType::Int8),
    (10, DType::Float16),
    (11, DType::Float64),
    (12, DType::Complex128),
    (13, DType::UInt64),
    (14, DType::Resource),
    (15, DType::Variant),
    (16, DType::UInt32),
    (17, DType::UInt16),
    (18, DType::Int4),
    (19, DType::BFloat16),
    (20, DType::Int2),
    (21, DType::UInt4),
];

/// The type that a host's number means; `None` for one that this library does not know.
pub fn dtype(code: c_int) -> Option<DType> {
    TYPES.iter().find(|(known, _)| *known == code).map(|(_, dtype)| *dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_tflite_s_not_the_file_s() {
        assert_eq!(dtype(1), Some(DType::Float32));
        assert_eq!(dtype(10), Some(DType::Float16));
        assert_eq!(dtype(0), None);
        assert_eq!(dtype(22), None);
        let mut seen: Vec<_> = TYPES.iter().map(|(_, dtype)| dtype.name()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), TYPES.len());
    }
}
