//! Reads a tensor.

use crate::{Bytes, DType, Data, Dim, Shape, Tensor, element_count, error::Fault, generated::schema};

use super::{
    File,
    attributes::{sizes, text},
    quant,
};

/// Reads a tensor of a subgraph that has `count` of them. What only matters when a tensor is `used` is not checked
/// otherwise, and dropped where it is wrong.
pub(super) fn read(file: &File<'_>, tensor: &schema::Tensor<'_>, count: usize, used: bool) -> Result<Tensor, Fault> {
    let code = tensor.type_().0;
    let dtype = DType::from_code(code).ok_or_else(|| Fault::new("type", code, "a type that the schema knows"))?;
    let dims = sizes("shape", tensor.shape().iter().flatten())?;
    let shape = match tensor.shape_signature() {
        Some(signature) if signature.len() == dims.len() => {
            Shape(signature.iter().map(|d| usize::try_from(d).map_or(Dim::Unknown, Dim::Known)).collect())
        }
        _ => Shape::known(&dims),
    };
    let bytes = element_count(&dims).and_then(|n| n.checked_mul(dtype.size().unwrap_or(1)));
    if bytes.is_none() {
        return Err(Fault::new("shape", format!("{dims:?} of {dtype}"), "a size that fits the address space"));
    }
    if tensor.external_buffer() != 0 {
        return Err(Fault::new("external buffer", tensor.external_buffer(), "data in the file itself"));
    }
    let quant = match quant::read(tensor, &dims, count) {
        Ok(quant) => quant,
        Err(fault) if used => return Err(fault),
        Err(_) => None,
    };
    let sparsity = tensor.sparsity().map(|s| quant::read_sparsity(&s, dims.len())).transpose()?;
    let data = match (file.buffer(tensor.buffer())?, tensor.is_variable()) {
        (Some(bytes), true) => {
            return Err(Fault::new("buffer", format!("{} bytes", bytes.len()), "none of a variable"));
        }
        (Some(bytes), false) => {
            if sparsity.is_none() {
                check_size(&bytes, dtype, &dims)?;
            }
            Data::Constant(bytes)
        }
        (None, true) => Data::Variable,
        (None, false) => Data::Computed,
    };
    Ok(Tensor { name: text(tensor.name()), dtype, dims, shape, quant, sparsity, data })
}

/// A dense constant has exactly the bytes that its shape and type need; strings say themselves how long they are.
fn check_size(bytes: &Bytes, dtype: DType, dims: &[usize]) -> Result<(), Fault> {
    let needed = element_count(dims).and_then(|n| dtype.packed_bytes(n));
    match needed {
        Some(needed) if needed != bytes.len() => {
            Err(Fault::new("buffer", format!("{} bytes", bytes.len()), format!("{needed} for {dims:?} of {dtype}")))
        }
        _ => Ok(()),
    }
}
