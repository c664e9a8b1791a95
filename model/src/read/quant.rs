//! Reads a tensor's quantisation and sparsity.

use crate::{
    Quant, QuantKind, Sparsity, SparsityDimension, TensorId,
    error::{Fault, position},
    generated::schema,
};

use super::attributes::{list, sizes};

/// The quantisation of a tensor of `dims` in a subgraph of `count` tensors; nothing when the file states nothing.
pub(super) fn read(tensor: &schema::Tensor<'_>, dims: &[usize], count: usize) -> Result<Option<Quant>, Fault> {
    let Some(table) = tensor.quantization() else { return Ok(None) };
    let quant = Quant { min: list(table.min()), max: list(table.max()), kind: kind(&table, dims, count)? };
    Ok((quant != Quant::default()).then_some(quant))
}

fn kind(table: &schema::QuantizationParameters<'_>, dims: &[usize], count: usize) -> Result<QuantKind, Fault> {
    let axis = i64::from(table.quantized_dimension());
    if let Some(blocks) = table.details_as_blockwise_quantization() {
        return Ok(QuantKind::Blockwise {
            scales: tensor_id("blockwise scales", blocks.scales(), count)?,
            zero_points: optional_id("blockwise zero points", blocks.zero_points(), count)?,
            block_size: block_size(blocks.block_size())?,
            axis: position("quantized_dimension", axis, dims.len())?,
        });
    }
    if let Some(axes) = table.details_as_multi_axis_quantization() {
        let dimensions = axes.quantized_dimensions();
        let axes_of = dimensions.iter().flatten();
        return Ok(QuantKind::MultiAxis {
            scales: tensor_id("scales", axes.scales(), count)?,
            zero_points: optional_id("zero points", axes.zero_points(), count)?,
            block_size: block_size(axes.block_size())?,
            axes: axes_of
                .map(|axis| position("quantized_dimensions", i64::from(axis), dims.len()))
                .collect::<Result<_, _>>()?,
        });
    }
    if let Some(custom) = table.details_as_custom_quantization() {
        return Ok(QuantKind::Custom(list(custom.custom())));
    }
    let scale = list(table.scale());
    if scale.is_empty() {
        return Ok(QuantKind::None);
    }
    let zero_point = expand(list(table.zero_point()), scale.len())?;
    let axis = affine_axis(axis, scale.len(), dims)?;
    Ok(QuantKind::Affine { scale, zero_point, axis })
}

/// One zero point for each of `count` scales: a single one counts for all, none is 0.
fn expand(zero_point: Vec<i64>, count: usize) -> Result<Vec<i64>, Fault> {
    match *zero_point.as_slice() {
        [] => Ok(vec![0; count]),
        [one] => Ok(vec![one; count]),
        _ if zero_point.len() == count => Ok(zero_point),
        _ => Err(Fault::new("zero_point", format!("{} entries", zero_point.len()), format!("{count} or 1"))),
    }
}

/// The axis that `count` scales belong to.
fn affine_axis(axis: i64, count: usize, dims: &[usize]) -> Result<usize, Fault> {
    if count == 1 {
        return Ok(usize::try_from(axis).unwrap_or(0));
    }
    match usize::try_from(axis).ok().and_then(|axis| dims.get(axis).map(|&size| (axis, size))) {
        Some((axis, size)) if size == count => Ok(axis),
        Some((axis, size)) => {
            Err(Fault::new("scale", format!("{count} entries"), format!("{size} of axis {axis}, or 1")))
        }
        // Some converters give a bias its weights' axis: with one dimension there is no doubt which it is.
        None if *dims == [count] => Ok(0),
        None => Err(Fault::new("quantized_dimension", axis, format!("an axis of {dims:?} with {count} indices"))),
    }
}

fn block_size(size: i32) -> Result<usize, Fault> {
    usize::try_from(size).ok().filter(|&n| n > 0).ok_or_else(|| Fault::new("block size", size, "1 or more"))
}

fn tensor_id(part: &str, index: i32, count: usize) -> Result<TensorId, Fault> {
    position(part, i64::from(index), count).map(TensorId::from_index)
}

/// A tensor, or nothing where the file has −1.
fn optional_id(part: &str, index: i32, count: usize) -> Result<Option<TensorId>, Fault> {
    if index == -1 { Ok(None) } else { tensor_id(part, index, count).map(Some) }
}

/// The sparse storage of a tensor of `rank` dimensions.
pub(super) fn read_sparsity(table: &schema::SparsityParameters<'_>, rank: usize) -> Result<Sparsity, Fault> {
    let traversal_order = list(table.traversal_order());
    let block_map = list(table.block_map());
    let dimensions = table.dim_metadata().iter().flatten().map(|d| dimension(&d)).collect::<Result<Vec<_>, _>>()?;
    let count = rank.saturating_add(block_map.len());
    if dimensions.len() != count {
        return Err(Fault::new("sparsity dimensions", dimensions.len(), format!("{count} (rank and blocks)")));
    }
    let mut sorted = traversal_order.clone();
    sorted.sort_unstable();
    if !sorted.iter().map(|&i| i64::from(i)).eq((0..).take(count)) {
        return Err(Fault::new(
            "traversal order",
            format!("{traversal_order:?}"),
            format!("each of {count} dimensions once"),
        ));
    }
    for &axis in &block_map {
        position("block map", i64::from(axis), rank)?;
    }
    Ok(Sparsity { traversal_order, block_map, dimensions })
}

fn dimension(table: &schema::DimensionMetadata<'_>) -> Result<SparsityDimension, Fault> {
    match table.format() {
        schema::DimensionType::DENSE => {
            let size = sizes("dense size", std::iter::once(table.dense_size()))?;
            Ok(SparsityDimension::Dense { size: size.first().copied().unwrap_or(0) })
        }
        schema::DimensionType::SPARSE_CSR => {
            let segments = index_vector(
                table.array_segments_as_int_32_vector(),
                table.array_segments_as_uint_16_vector(),
                table.array_segments_as_uint_8_vector(),
            );
            let indices = index_vector(
                table.array_indices_as_int_32_vector(),
                table.array_indices_as_uint_16_vector(),
                table.array_indices_as_uint_8_vector(),
            );
            let end = i64::try_from(indices.len()).unwrap_or(i64::MAX);
            let ordered = segments.is_sorted() && segments.first() == Some(&0);
            if !ordered || segments.last().is_none_or(|&last| i64::from(last) != end) {
                return Err(Fault::new(
                    "segments",
                    format!("{} of them", segments.len()),
                    format!("rising from 0 to {end}"),
                ));
            }
            if let Some(index) = indices.iter().find(|&&i| i < 0) {
                return Err(Fault::new("sparse index", index, "0 or more"));
            }
            Ok(SparsityDimension::Csr { segments, indices })
        }
        other => Err(Fault::new("sparsity format", other.0, "DENSE or SPARSE_CSR")),
    }
}

/// The numbers of whichever of the three tables is there.
fn index_vector(
    wide: Option<schema::Int32Vector<'_>>,
    short: Option<schema::Uint16Vector<'_>>,
    byte: Option<schema::Uint8Vector<'_>>,
) -> Vec<i32> {
    if let Some(wide) = wide {
        return list(wide.values());
    }
    if let Some(short) = short {
        return short.values().iter().flatten().map(i32::from).collect();
    }
    byte.and_then(|b| b.values()).iter().flatten().map(i32::from).collect()
}
