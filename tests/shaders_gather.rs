//! The kernels of indices, resized images and quantised values, in all variants that lowering asks for.

mod translate;

use tflite_wgpu::region::Storage;
use translate::{Result, numbers, validate};

const INT: Storage = Storage::I32;

#[test]
fn gathers_validate() -> Result {
    for kernel in ["gather_slices", "gather_elements"] {
        for depth in 1..=6 {
            for (from, to) in
                [(Storage::F32, Storage::F32), (Storage::F16, Storage::F16), (Storage::F32, Storage::F16), (INT, INT)]
            {
                validate(kernel, &[from, INT, to], &numbers(&[("depth", depth)]))?;
            }
        }
    }
    Ok(())
}

#[test]
fn resizes_validate() -> Result {
    for kernel in ["resize_nearest", "resize_bilinear"] {
        for (from, to) in [(Storage::F32, Storage::F32), (Storage::F16, Storage::F16), (INT, INT)] {
            validate(kernel, &[from, INT, to], &numbers(&[("texels", 1), ("run", 1)]))?;
        }
        let halves = [Storage::F16, INT, Storage::F16];
        validate(kernel, &halves, &numbers(&[("texels", 2), ("run", 8)]))?;
    }
    Ok(())
}

#[test]
fn scatters_validate() -> Result {
    for kernel in ["scatter_slices", "scatter_elements"] {
        for storage in [Storage::F32, Storage::F16, INT] {
            validate(kernel, &[storage, INT, INT, storage], &numbers(&[]))?;
        }
    }
    for storage in [Storage::F32, Storage::F16, INT] {
        validate("one_hot", &[INT, storage, storage, storage], &numbers(&[]))?;
    }
    Ok(())
}

#[test]
fn stored_values_validate() -> Result {
    for storage in [Storage::F32, Storage::F16] {
        validate("quantize", &[storage, INT], &numbers(&[]))?;
        validate("dequantize", &[INT, storage], &numbers(&[]))?;
    }
    Ok(())
}
