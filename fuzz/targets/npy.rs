//! Any bytes as a `.npy` file, read as every type: a value holds what its shape needs, and is the same after it was written
//! and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tflite_wgpu::npy;
use tflite_wgpu_model::DType;

const TYPES: [Option<DType>; 6] = [
    None,
    Some(DType::BFloat16),
    Some(DType::Int4),
    Some(DType::UInt4),
    Some(DType::Bool),
    Some(DType::Resource),
];

fuzz_target!(|data: &[u8]| {
    for dtype in TYPES {
        let Ok(value) = npy::read_from(data, dtype) else { continue };
        // A resource is held by a handle of the size of an INT32, although its type says none.
        let size = value.dtype().size().unwrap_or(size_of::<i32>());
        assert_eq!(value.bytes().len(), size * value.len());
        let written = npy::encode(&value).expect("what was read can be written");
        let again = npy::read_from(written.as_slice(), Some(value.dtype())).expect("what was written can be read");
        assert_eq!((again.dtype(), again.shape(), again.bytes()), (value.dtype(), value.shape(), value.bytes()));
    }
});
