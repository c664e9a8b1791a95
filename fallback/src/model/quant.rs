//! What must hold of a tensor's quantisation before a kernel computes with it.

use tflite_wgpu_model::{DType, QuantKind, Tensor};

use crate::error::Error;

/// Checks scales, zero points and axes of an integer tensor at `place`, in a subgraph of `count` tensors. Other types
/// may state what they like: nothing reads it.
pub(super) fn check(place: &str, tensor: &Tensor, count: usize) -> Result<(), Error> {
    let Some(quant) = tensor.quant.as_ref().filter(|_| tensor.dtype.is_integer()) else { return Ok(()) };
    let (scales, zero_points, axes) = match &quant.kind {
        QuantKind::None | QuantKind::Custom(_) => return Ok(()),
        QuantKind::Affine { scale, zero_point, .. } => {
            return check_affine(place, tensor, scale, zero_point);
        }
        QuantKind::Blockwise { scales, zero_points, block_size, axis } => {
            check_blocks(place, *block_size)?;
            (scales, zero_points, std::slice::from_ref(axis))
        }
        QuantKind::MultiAxis { scales, zero_points, block_size, axes } => {
            check_blocks(place, *block_size)?;
            (scales, zero_points, axes.as_slice())
        }
    };
    if let Some(id) = [Some(*scales), *zero_points].into_iter().flatten().find(|id| id.index() >= count) {
        return Err(Error::program(
            place,
            format!("scales or zero points in tensor {id}"),
            format!("less than {count}"),
        ));
    }
    let rank = tensor.dims.len();
    match axes.iter().find(|&&axis| axis >= rank) {
        Some(axis) => Err(Error::program(place, format!("scales of axis {axis}"), format!("less than {rank}"))),
        None => Ok(()),
    }
}

fn check_blocks(place: &str, size: usize) -> Result<(), Error> {
    if size == 0 { Err(Error::program(place, "blocks of 0 elements", "1 or more")) } else { Ok(()) }
}

fn check_affine(place: &str, tensor: &Tensor, scale: &[f32], zero_point: &[i64]) -> Result<(), Error> {
    if let Some(found) = scale.iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
        return Err(Error::program(place, format!("scale {found:e}"), "a finite number above 0"));
    }
    let (min, max) = zero_points(tensor.dtype);
    if let Some(found) = zero_point.iter().find(|zero| !(min..=max).contains(zero)) {
        return Err(Error::program(place, format!("zero point {found}"), format!("{min} to {max}")));
    }
    if zero_point.len() != scale.len() || scale.is_empty() {
        let found = format!("{} scales and {} zero points", scale.len(), zero_point.len());
        return Err(Error::program(place, found, "equally many, at least one"));
    }
    // Which axis the scales belong to is the operator's to say; the file's axis is checked where it counts.
    if scale.len() == 1 || tensor.dims.contains(&scale.len()) {
        return Ok(());
    }
    Err(Error::program(place, format!("{} scales", scale.len()), format!("one, or as many as {:?} has", tensor.dims)))
}

/// The zero points that a type can have: those that it can store; of wide types, whose zero point is 0 as a rule, those
/// of 32 bits.
fn zero_points(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::UInt32 | DType::UInt64 => (0, u32::MAX.into()),
        DType::Int32 | DType::Int64 => (i32::MIN.into(), i32::MAX.into()),
        _ => {
            let bits = dtype.bits().unwrap_or(8);
            let unsigned = matches!(dtype, DType::UInt4 | DType::UInt8 | DType::UInt16);
            if unsigned { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) }
        }
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{Data, Quant, Shape, TensorId};

    use super::*;

    fn message(dtype: DType, kind: QuantKind) -> Option<String> {
        let tensor = Tensor {
            name: "w".to_owned(),
            dtype,
            dims: vec![2, 3],
            shape: Shape::known(&[2, 3]),
            quant: Some(Quant { kind, ..Quant::default() }),
            sparsity: None,
            data: Data::Computed,
        };
        check("tensor 0 \"w\"", &tensor, 4).err().map(|error| error.to_string())
    }

    fn affine(dtype: DType, scale: &[f32], zero_point: &[i64], axis: usize) -> Option<String> {
        message(dtype, QuantKind::Affine { scale: scale.to_vec(), zero_point: zero_point.to_vec(), axis })
    }

    #[test]
    fn scales_and_zero_points_are_those_of_the_type() {
        let sound =
            [(DType::Int8, -128), (DType::UInt8, 255), (DType::Int4, 7), (DType::Int16, 32_767), (DType::Int32, -7)];
        for (dtype, zero) in sound {
            assert_eq!(affine(dtype, &[0.5], &[zero], 9), None, "{dtype}");
        }
        assert_eq!(affine(DType::Float32, &[0.0], &[i64::MAX], 0), None, "nothing reads it");
        let text = "tensor 0 \"w\" has zero point 128, expected -128 to 127";
        assert_eq!(affine(DType::Int8, &[0.5], &[128], 0).as_deref(), Some(text));
        for (dtype, zero) in [(DType::UInt8, -1), (DType::Int4, 8), (DType::Int16, i64::MIN), (DType::Int32, 1 << 31)] {
            assert!(affine(dtype, &[0.5], &[zero], 0).is_some_and(|text| text.contains("zero point")), "{dtype}");
        }
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(affine(DType::Int8, &[scale], &[0], 0).is_some_and(|text| text.contains("scale")), "{scale}");
        }
    }

    #[test]
    fn lists_fit_their_axis() {
        assert_eq!(affine(DType::Int8, &[0.5; 3], &[0; 3], 1), None);
        let text = "tensor 0 \"w\" has 4 scales, expected one, or as many as [2, 3] has";
        assert_eq!(affine(DType::Int8, &[0.5; 4], &[0; 4], 0).as_deref(), Some(text));
        assert!(affine(DType::Int8, &[0.5; 3], &[0], 1).is_some());
        assert!(affine(DType::Int8, &[], &[], 1).is_some());
    }

    #[test]
    fn blocks_have_scales_within_the_subgraph() {
        let blocks = |scales: u32, zeros: Option<u32>, block_size, axis| {
            let (scales, zero_points) = (TensorId(scales), zeros.map(TensorId));
            message(DType::Int4, QuantKind::Blockwise { scales, zero_points, block_size, axis })
        };
        assert_eq!(blocks(3, Some(0), 32, 1), None);
        for found in [blocks(4, None, 32, 1), blocks(3, Some(9), 32, 1), blocks(3, None, 0, 1), blocks(3, None, 32, 2)]
        {
            assert!(found.is_some());
        }
    }
}
