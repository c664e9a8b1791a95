//! Reads a `.tflite` file into a [`Program`].
//!
//! The flatbuffers verifier comes first, then this module's own checks: nothing later has to distrust an index, a
//! length or the order of nodes.

pub(crate) mod attributes;
mod node;
mod order;
mod quant;
mod tensor;
#[cfg(test)]
mod tests;
pub(crate) mod union;

use flatbuffers::{InvalidFlatbuffer, VerifierOptions};

use crate::{
    Bytes, Data, Error, Graph, Metadata, Program, Signature, SignatureTensor, SubgraphId, Tensor, TensorId,
    error::{Fault, position},
    generated::schema,
};

use attributes::text;

/// Version of the schema that files have; TFLite reads no other.
const VERSION: u32 = 3;

impl Program {
    /// Reads a file's bytes. Constants share them.
    ///
    /// # Errors
    ///
    /// When the bytes are no `.tflite` file, or one whose parts contradict each other; see [`Error`].
    pub fn read(bytes: Bytes) -> Result<Self, Error> {
        check_identifier(&bytes)?;
        let error = match verify(&bytes) {
            Ok(model) => return read_program(&File { bytes: &bytes, whole: &bytes, model }),
            Err(error) => error,
        };
        // Some old writers put 8-byte numbers at odd multiples of 4 throughout, which TFLite never minds.
        let Some(moved) = matches!(error, InvalidFlatbuffer::Unaligned { .. }).then(|| move_by_4(&bytes)).flatten()
        else {
            return Err(invalid(&error));
        };
        match verify(&moved) {
            Ok(model) => read_program(&File { bytes: &moved, whole: &bytes, model }),
            Err(_) => Err(invalid(&error)),
        }
    }

    /// Reads a file from disk, as [`Bytes::open`] does: the file must not change while the program is in use.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, and as [`Program::read`].
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = Bytes::open(path).map_err(|source| Error::Io { path: path.display().to_string(), source })?;
        let program = Self::read(bytes.clone())?;
        // All but constants has been copied, and those are read again when they are needed.
        bytes.release();
        Ok(program)
    }
}

fn check_identifier(bytes: &[u8]) -> Result<(), Error> {
    let identifier = bytes.get(4..8).unwrap_or_default();
    if identifier == schema::MODEL_IDENTIFIER.as_bytes() {
        return Ok(());
    }
    let found = format!("identifier \"{}\", expected \"{}\"", identifier.escape_ascii(), schema::MODEL_IDENTIFIER);
    Err(Error::Format { found })
}

/// The root table, after the flatbuffers verifier.
fn verify(bytes: &[u8]) -> Result<schema::Model<'_>, InvalidFlatbuffer> {
    // A table takes 8 bytes or more unless it is shared; parts may be shared, but not without end. What these limits
    // let through is read in time and memory that grow with the file's length.
    let options = VerifierOptions {
        max_depth: 64,
        max_tables: (bytes.len() / 8).saturating_add(1024),
        max_apparent_size: bytes.len().saturating_mul(8).saturating_add(1 << 16).min(usize::MAX / 4),
        ignore_missing_null_terminator: true,
    };
    schema::root_as_model_with_opts(&options, bytes)
}

/// What the verifier says, on one line.
fn invalid(error: &InvalidFlatbuffer) -> Error {
    Error::Format { found: error.to_string().split_whitespace().collect::<Vec<_>>().join(" ") }
}

/// A copy of a flatbuffer with everything behind the identifier 4 bytes later: offsets within are relative, only
/// the root's changes.
fn move_by_4(bytes: &[u8]) -> Option<Bytes> {
    let (root, rest) = bytes.split_first_chunk::<4>()?;
    let root = u32::from_le_bytes(*root).checked_add(4)?;
    let (identifier, rest) = rest.split_at_checked(4)?;
    Some(Bytes::from([&root.to_le_bytes(), identifier, &[0; 4], rest].concat()))
}

fn read_program(file: &File<'_>) -> Result<Program, Error> {
    let model = file.model;
    if model.version() != VERSION {
        return Err(Fault::new("schema version", model.version(), VERSION.to_string()).in_file());
    }
    let mut subgraphs = Vec::new();
    for (i, graph) in model.subgraphs().iter().flatten().enumerate() {
        subgraphs.push(read_graph(file, SubgraphId::from_index(i), &graph)?);
    }
    if subgraphs.is_empty() {
        return Err(Fault::new("subgraphs", "none", "one or more").in_file());
    }
    let signatures = read_signatures(&model, &subgraphs)?;
    let metadata = file.metadata()?;
    let description = text(model.description());
    let program = Program { subgraphs, signatures, metadata, description, version: VERSION };
    order::check_calls(&program)?;
    Ok(program)
}

/// A verified file.
struct File<'a> {
    /// The flatbuffer.
    bytes: &'a Bytes,
    /// The file as it is, which ranges outside of the flatbuffer refer to.
    whole: &'a Bytes,
    model: schema::Model<'a>,
}

impl File<'_> {
    /// The bytes of buffer `index`; nothing when the file has none there.
    fn buffer(&self, index: u32) -> Result<Option<Bytes>, Fault> {
        let buffers = self.model.buffers().unwrap_or_default();
        let index = position("buffer", i64::from(index), buffers.len())?;
        let buffer = buffers.get(index);
        // Offsets 0 and 1 are written before the place is known: they mean that the data are in the table.
        if buffer.offset() > 1 {
            return self.range("buffer", buffer.offset(), buffer.size()).map(Some);
        }
        Ok(buffer.data().filter(|data| !data.is_empty()).map(|data| self.part(data.bytes())))
    }

    /// A range outside of the flatbuffer, counted from the beginning of the file.
    fn range(&self, part: &str, offset: u64, size: u64) -> Result<Bytes, Fault> {
        let range = usize::try_from(offset).ok().zip(usize::try_from(size).ok());
        range.and_then(|(offset, size)| self.whole.slice(offset, size)).ok_or_else(|| {
            let expected = format!("a range of the file's {} bytes", self.whole.len());
            Fault::new(part, format!("offset {offset}, size {size}"), expected)
        })
    }

    /// The range of the file that `data`, a part of it, takes.
    fn part(&self, data: &[u8]) -> Bytes {
        let start = data.as_ptr().addr().wrapping_sub(self.bytes.as_ptr().addr());
        self.bytes.slice(start, data.len()).unwrap_or_else(|| Bytes::from(data.to_vec()))
    }

    fn metadata(&self) -> Result<Vec<Metadata>, Error> {
        let entries = self.model.metadata();
        let read = |entry: schema::Metadata<'_>| {
            let name = text(entry.name());
            match self.buffer(entry.buffer()) {
                Ok(data) => Ok(Metadata { name, data: data.unwrap_or_default() }),
                Err(Fault { part, found, expected }) => {
                    Err(Fault { part: format!("metadata {name:?}: {part}"), found, expected }.in_file())
                }
            }
        };
        entries.iter().flatten().map(read).collect()
    }
}

fn read_graph(file: &File<'_>, id: SubgraphId, graph: &schema::SubGraph<'_>) -> Result<Graph, Error> {
    let nodes = node::read(file, id, graph)?;
    let count = graph.tensors().map_or(0, |t| t.len());
    let inputs = tensor_ids("input", graph.inputs(), count).map_err(|f| f.in_subgraph(id))?;
    let outputs = tensor_ids("output", graph.outputs(), count).map_err(|f| f.in_subgraph(id))?;
    let mut used = vec![false; count];
    let of_nodes = nodes.iter().flat_map(|n| n.inputs.iter().chain(&n.outputs).chain(&n.intermediates)).flatten();
    for &TensorId(tensor) in of_nodes.chain(&inputs).chain(&outputs) {
        if let Some(used) = used.get_mut(tensor as usize) {
            *used = true;
        }
    }
    let mut tensors = Vec::new();
    for (i, (tensor, used)) in graph.tensors().iter().flatten().zip(used).enumerate() {
        let read = tensor::read(file, &tensor, count, used);
        tensors.push(read.map_err(|f| f.in_tensor(id, TensorId::from_index(i), tensor.name().unwrap_or_default()))?);
    }
    let mut graph = Graph { name: text(graph.name()), tensors, nodes, inputs, outputs };
    mark_empty_constants(&mut graph);
    order::check_order(id, &graph)?;
    Ok(graph)
}

fn tensor_ids(part: &str, list: Option<flatbuffers::Vector<'_, i32>>, count: usize) -> Result<Vec<TensorId>, Fault> {
    let ids = list.iter().flatten().enumerate();
    ids.map(|(i, index)| position(format!("{part} {i}"), i64::from(index), count).map(TensorId::from_index)).collect()
}

/// A constant that stores no elements (an empty one, or a sparse one of zeros) has no buffer, as a tensor that is
/// computed; it is one if nothing else gives its value.
fn mark_empty_constants(graph: &mut Graph) {
    let mut given = vec![false; graph.tensors.len()];
    for &TensorId(tensor) in graph.nodes.iter().flat_map(|n| &n.outputs).flatten().chain(&graph.inputs) {
        if let Some(given) = given.get_mut(tensor as usize) {
            *given = true;
        }
    }
    let stores_nothing = |t: &Tensor| t.sparsity.is_some() || t.dims.contains(&0) && t.shape.dims().is_some();
    let is_empty = |t: &Tensor| t.data == Data::Computed && stores_nothing(t);
    for (tensor, _) in graph.tensors.iter_mut().zip(given).filter(|(t, given)| !given && is_empty(t)) {
        if tensor.dtype.bits().is_some() {
            tensor.data = Data::Constant(Bytes::default());
        }
    }
}

fn read_signatures(model: &schema::Model<'_>, subgraphs: &[Graph]) -> Result<Vec<Signature>, Error> {
    let read = |signature: schema::SignatureDef<'_>| {
        let subgraph = position("subgraph", i64::from(signature.subgraph_index()), subgraphs.len())?;
        let count = subgraphs.get(subgraph).map_or(0, |g| g.tensors.len());
        let tensors = |part: &str, list: Option<Maps<'_>>| {
            let read = |map: schema::TensorMap<'_>| {
                let name = text(map.name());
                let tensor = position(format!("{part} {name:?}"), i64::from(map.tensor_index()), count)?;
                Ok(SignatureTensor { name, tensor: TensorId::from_index(tensor) })
            };
            list.iter().flatten().map(read).collect::<Result<Vec<_>, Fault>>()
        };
        Ok(Signature {
            key: text(signature.signature_key()),
            subgraph: SubgraphId::from_index(subgraph),
            inputs: tensors("input", signature.inputs())?,
            outputs: tensors("output", signature.outputs())?,
        })
    };
    let signatures = model.signature_defs();
    signatures
        .iter()
        .flatten()
        .map(|s| read(s).map_err(|f: Fault| f.in_signature(s.signature_key().unwrap_or_default())))
        .collect()
}

type Maps<'a> = flatbuffers::Vector<'a, flatbuffers::ForwardsUOffset<schema::TensorMap<'a>>>;
