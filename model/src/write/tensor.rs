//! Writes tensors.

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, UnionWIPOffset, Vector, WIPOffset};

use crate::{
    Data, Dim, Error, Graph, Quant, QuantKind, Shape, Sparsity, SparsityDimension, SubgraphId, Tensor, TensorId,
    error::Fault, generated::schema,
};

use super::{buffers::Buffers, size};

type List<'b, T> = WIPOffset<Vector<'b, ForwardsUOffset<T>>>;

pub(super) fn write_all<'b>(
    b: &mut FlatBufferBuilder<'b>,
    id: SubgraphId,
    graph: &Graph,
    buffers: &Buffers<'_>,
) -> Result<List<'b, schema::Tensor<'b>>, Error> {
    let mut tables = Vec::new();
    for (i, tensor) in graph.tensors.iter().enumerate() {
        let table = write(b, tensor, buffers);
        tables.push(table.map_err(|f| f.in_tensor(id, TensorId::from_index(i), &tensor.name))?);
    }
    Ok(b.create_vector(&tables))
}

fn write<'b>(
    b: &mut FlatBufferBuilder<'b>,
    tensor: &Tensor,
    buffers: &Buffers<'_>,
) -> Result<WIPOffset<schema::Tensor<'b>>, Fault> {
    let shape = tensor.dims.iter().map(|&d| size("shape", d)).collect::<Result<Vec<_>, _>>()?;
    let signature = |d: &Dim| if let Dim::Known(n) = *d { size("shape signature", n) } else { Ok(-1) };
    let signature = tensor.shape.0.iter().map(signature).collect::<Result<Vec<_>, _>>()?;
    let shape = b.create_vector(&shape);
    let shape_signature = (tensor.shape != Shape::known(&tensor.dims)).then(|| b.create_vector(&signature));
    let name = b.create_string(&tensor.name);
    let quantization = tensor.quant.as_ref().map(|q| write_quant(b, q)).transpose()?;
    let sparsity = tensor.sparsity.as_ref().map(|s| write_sparsity(b, s)).transpose()?;
    let args = schema::TensorArgs {
        shape: Some(shape),
        type_: schema::TensorType(tensor.dtype as i8),
        buffer: tensor.constant().map_or(0, |bytes| buffers.index(bytes)),
        name: Some(name),
        quantization,
        is_variable: tensor.data == Data::Variable,
        sparsity,
        shape_signature,
        has_rank: !tensor.dims.is_empty(),
        ..Default::default()
    };
    Ok(schema::Tensor::create(b, &args))
}

fn write_quant<'b>(
    b: &mut FlatBufferBuilder<'b>,
    quant: &Quant,
) -> Result<WIPOffset<schema::QuantizationParameters<'b>>, Fault> {
    let min = (!quant.min.is_empty()).then(|| b.create_vector(&quant.min));
    let max = (!quant.max.is_empty()).then(|| b.create_vector(&quant.max));
    let mut args = schema::QuantizationParametersArgs { min, max, ..Default::default() };
    match &quant.kind {
        QuantKind::None => {}
        QuantKind::Affine { scale, zero_point, axis } => {
            args.scale = Some(b.create_vector(scale));
            args.zero_point = Some(b.create_vector(zero_point));
            args.quantized_dimension = size("quantized_dimension", *axis)?;
        }
        QuantKind::Blockwise { scales, zero_points, block_size, axis } => {
            let details = schema::BlockwiseQuantizationArgs {
                scales: scales.0.cast_signed(),
                zero_points: optional(*zero_points),
                block_size: size("block size", *block_size)?,
                block_shape: None,
            };
            args.quantized_dimension = size("quantized_dimension", *axis)?;
            args.details_type = schema::QuantizationDetails::BlockwiseQuantization;
            args.details = Some(schema::BlockwiseQuantization::create(b, &details).as_union_value());
        }
        QuantKind::MultiAxis { scales, zero_points, block_size, axes } => {
            let axes = axes.iter().map(|&a| size("quantized_dimensions", a)).collect::<Result<Vec<_>, _>>()?;
            let details = schema::MultiAxisQuantizationArgs {
                scales: scales.0.cast_signed(),
                zero_points: optional(*zero_points),
                block_size: size("block size", *block_size)?,
                quantized_dimensions: Some(b.create_vector(&axes)),
            };
            args.details_type = schema::QuantizationDetails::MultiAxisQuantization;
            args.details = Some(schema::MultiAxisQuantization::create(b, &details).as_union_value());
        }
        QuantKind::Custom(bytes) => {
            let custom = Some(b.create_vector(bytes));
            args.details_type = schema::QuantizationDetails::CustomQuantization;
            args.details = Some(
                schema::CustomQuantization::create(b, &schema::CustomQuantizationArgs { custom }).as_union_value(),
            );
        }
    }
    Ok(schema::QuantizationParameters::create(b, &args))
}

fn optional(tensor: Option<TensorId>) -> i32 {
    tensor.map_or(-1, |t| t.0.cast_signed())
}

fn write_sparsity<'b>(
    b: &mut FlatBufferBuilder<'b>,
    sparsity: &Sparsity,
) -> Result<WIPOffset<schema::SparsityParameters<'b>>, Fault> {
    let mut dimensions = Vec::new();
    for dimension in &sparsity.dimensions {
        let mut args = schema::DimensionMetadataArgs::default();
        match dimension {
            SparsityDimension::Dense { size: count } => args.dense_size = size("dense size", *count)?,
            SparsityDimension::Csr { segments, indices } => {
                args.format = schema::DimensionType::SPARSE_CSR;
                let (tag, table) = write_indices(b, segments);
                (args.array_segments_type, args.array_segments) = (tag, Some(table));
                let (tag, table) = write_indices(b, indices);
                (args.array_indices_type, args.array_indices) = (tag, Some(table));
            }
        }
        dimensions.push(schema::DimensionMetadata::create(b, &args));
    }
    let args = schema::SparsityParametersArgs {
        traversal_order: Some(b.create_vector(&sparsity.traversal_order)),
        block_map: Some(b.create_vector(&sparsity.block_map)),
        dim_metadata: Some(b.create_vector(&dimensions)),
    };
    Ok(schema::SparsityParameters::create(b, &args))
}

/// Writes indices as wide as they need to be.
fn write_indices(
    b: &mut FlatBufferBuilder<'_>,
    indices: &[i32],
) -> (schema::SparseIndexVector, WIPOffset<UnionWIPOffset>) {
    if let Ok(bytes) = indices.iter().map(|&i| u8::try_from(i)).collect::<Result<Vec<_>, _>>() {
        let values = Some(b.create_vector(&bytes));
        let table = schema::Uint8Vector::create(b, &schema::Uint8VectorArgs { values });
        return (schema::SparseIndexVector::Uint8Vector, table.as_union_value());
    }
    if let Ok(shorts) = indices.iter().map(|&i| u16::try_from(i)).collect::<Result<Vec<_>, _>>() {
        let values = Some(b.create_vector(&shorts));
        let table = schema::Uint16Vector::create(b, &schema::Uint16VectorArgs { values });
        return (schema::SparseIndexVector::Uint16Vector, table.as_union_value());
    }
    let values = Some(b.create_vector(indices));
    let table = schema::Int32Vector::create(b, &schema::Int32VectorArgs { values });
    (schema::SparseIndexVector::Int32Vector, table.as_union_value())
}
