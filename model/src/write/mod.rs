//! Writes a [`Program`] as a `.tflite` file.

pub(crate) mod attributes;
mod buffers;
mod node;
mod tensor;
#[cfg(test)]
mod tests;

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use crate::{
    Error, Graph, Program, Signature, SignatureTensor, SubgraphId,
    error::Fault,
    generated::schema::{self, Model},
};

use buffers::Buffers;
use node::Codes;

/// Constants of more bytes than this, all together, lie behind the flatbuffer, which itself cannot pass 2 GiB.
const INLINE_LIMIT: usize = 1 << 30;

/// Where a constant's data must begin, so that a runtime can use a mapped file in place.
const DATA_ALIGNMENT: usize = 16;

impl Program {
    /// The file that [`Program::read`] reads as this program.
    ///
    /// Constants that share their bytes share a buffer; data begin at multiples of 16 bytes.
    ///
    /// # Errors
    ///
    /// When a size or an index does not fit the format's integers.
    pub fn write(&self) -> Result<Vec<u8>, Error> {
        write_with_limit(self, INLINE_LIMIT, false)
    }

    /// As [`Program::write`], with every attribute and number in the file, also those that have the schema's default and
    /// could be left out.
    ///
    /// # Errors
    ///
    /// As [`Program::write`].
    pub fn write_explicit(&self) -> Result<Vec<u8>, Error> {
        write_with_limit(self, INLINE_LIMIT, true)
    }
}

/// Writes with at most `limit` bytes of constants inside of the flatbuffer, with all defaults if `explicit`.
pub(crate) fn write_with_limit(program: &Program, limit: usize, explicit: bool) -> Result<Vec<u8>, Error> {
    let buffers = Buffers::of(program);
    if buffers.size() <= limit {
        return write_flatbuffer(program, &buffers, None, explicit);
    }
    // The flatbuffer's length does not depend on the offsets that are in it.
    let length = write_flatbuffer(program, &buffers, Some(DATA_ALIGNMENT), explicit)?.len();
    let place = length.next_multiple_of(DATA_ALIGNMENT);
    let mut file = write_flatbuffer(program, &buffers, Some(place), explicit)?;
    buffers.append(&mut file);
    Ok(file)
}

/// The flatbuffer; with `outside`, its constants are said to begin there in the file, one after the other.
fn write_flatbuffer(
    program: &Program,
    buffers: &Buffers<'_>,
    outside: Option<usize>,
    explicit: bool,
) -> Result<Vec<u8>, Error> {
    let mut b = FlatBufferBuilder::with_capacity(if outside.is_some() { 1024 } else { buffers.size() + 1024 });
    b.force_defaults(explicit);
    let buffer_list = buffers.write(&mut b, outside);
    let codes = Codes::of(program);
    let operator_codes = codes.write(&mut b);
    let mut subgraphs = Vec::new();
    for (i, graph) in program.subgraphs.iter().enumerate() {
        subgraphs.push(write_graph(&mut b, SubgraphId::from_index(i), graph, buffers, &codes)?);
    }
    let subgraphs = b.create_vector(&subgraphs);
    let signatures = program.signatures.iter().map(|s| write_signature(&mut b, s)).collect::<Vec<_>>();
    let signature_defs = (!signatures.is_empty()).then(|| b.create_vector(&signatures));
    let mut metadata = Vec::new();
    for entry in &program.metadata {
        let name = b.create_string(&entry.name);
        let buffer = buffers.index(&entry.data);
        metadata.push(schema::Metadata::create(&mut b, &schema::MetadataArgs { name: Some(name), buffer }));
    }
    let metadata = (!metadata.is_empty()).then(|| b.create_vector(&metadata));
    let description = b.create_string(&program.description);
    let args = schema::ModelArgs {
        version: program.version,
        operator_codes: Some(operator_codes),
        subgraphs: Some(subgraphs),
        description: Some(description),
        buffers: Some(buffer_list),
        metadata,
        signature_defs,
        ..Default::default()
    };
    let root = Model::create(&mut b, &args);
    // Offset and identifier take 8 bytes in front; data are placed from the end.
    buffers::pad(&mut b, 8);
    schema::finish_model_buffer(&mut b, root);
    let (bytes, start) = b.collapse();
    Ok(if start == 0 { bytes } else { bytes.get(start..).unwrap_or_default().to_vec() })
}

fn write_graph<'b>(
    b: &mut FlatBufferBuilder<'b>,
    id: SubgraphId,
    graph: &Graph,
    buffers: &Buffers<'_>,
    codes: &Codes<'_>,
) -> Result<WIPOffset<schema::SubGraph<'b>>, Error> {
    let tensors = tensor::write_all(b, id, graph, buffers)?;
    let operators = graph.nodes.iter().map(|n| node::write(b, n, codes)).collect::<Vec<_>>();
    let operators = b.create_vector(&operators);
    let inputs = graph.inputs.iter().map(|t| t.0.cast_signed()).collect::<Vec<_>>();
    let inputs = b.create_vector(&inputs);
    let outputs = graph.outputs.iter().map(|t| t.0.cast_signed()).collect::<Vec<_>>();
    let outputs = b.create_vector(&outputs);
    let name = b.create_string(&graph.name);
    let args = schema::SubGraphArgs {
        tensors: Some(tensors),
        inputs: Some(inputs),
        outputs: Some(outputs),
        operators: Some(operators),
        name: Some(name),
        ..Default::default()
    };
    Ok(schema::SubGraph::create(b, &args))
}

type Maps<'b> = WIPOffset<Vector<'b, ForwardsUOffset<schema::TensorMap<'b>>>>;

fn write_signature<'b>(b: &mut FlatBufferBuilder<'b>, signature: &Signature) -> WIPOffset<schema::SignatureDef<'b>> {
    let inputs = write_maps(b, &signature.inputs);
    let outputs = write_maps(b, &signature.outputs);
    let key = b.create_string(&signature.key);
    let args = schema::SignatureDefArgs {
        inputs: Some(inputs),
        outputs: Some(outputs),
        signature_key: Some(key),
        subgraph_index: signature.subgraph.0,
    };
    schema::SignatureDef::create(b, &args)
}

fn write_maps<'b>(b: &mut FlatBufferBuilder<'b>, tensors: &[SignatureTensor]) -> Maps<'b> {
    let mut maps = Vec::new();
    for tensor in tensors {
        let name = b.create_string(&tensor.name);
        let args = schema::TensorMapArgs { name: Some(name), tensor_index: tensor.tensor.0 };
        maps.push(schema::TensorMap::create(b, &args));
    }
    b.create_vector(&maps)
}

/// A size as the format's integer.
fn size(part: &str, size: usize) -> Result<i32, Fault> {
    i32::try_from(size).map_err(|_| Fault::new(part, size, format!("at most {}", i32::MAX)))
}
