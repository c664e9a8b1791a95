//! Builds programs and `.tflite` files piece by piece.

use half::f16;

use crate::{
    Bytes, DType, Data, Error, Graph, Metadata, Node, Op, Program, Quant, QuantKind, Shape, Signature, SignatureTensor,
    SubgraphId, Tensor, TensorId,
};

/// Builds a subgraph.
///
/// ```
/// use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, Op, Program};
///
/// let mut graph = GraphBuilder::new();
/// let x = graph.input("x", DType::Float32, &[2, 3]);
/// let one = graph.constant_f32("one", &[], &[1.0]);
/// let y = graph.op(Op::Maximum, &[Some(x), Some(one)], &[("y", DType::Float32, &[2, 3])]);
/// graph.output(y);
/// let file = ModelBuilder::new().subgraph(graph).finish()?;
/// let program = Program::read(file.into())?;
/// assert_eq!(program.subgraphs[0].nodes[0].op, Op::Maximum);
/// # Ok::<(), tflite_wgpu_model::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
}

impl GraphBuilder {
    /// An empty subgraph called `main`.
    pub fn new() -> Self {
        Self::named("main")
    }

    /// An empty subgraph.
    pub fn named(name: &str) -> Self {
        Self { graph: Graph { name: name.to_owned(), ..Graph::default() } }
    }

    /// Adds a tensor as it is.
    pub fn tensor(&mut self, tensor: Tensor) -> TensorId {
        self.graph.tensors.push(tensor);
        TensorId::from_index(self.graph.tensors.len() - 1)
    }

    fn plain(&mut self, name: &str, dtype: DType, dims: &[usize], data: Data) -> TensorId {
        self.tensor(Tensor {
            name: name.to_owned(),
            dtype,
            dims: dims.to_vec(),
            shape: Shape::known(dims),
            quant: None,
            sparsity: None,
            data,
        })
    }

    /// Adds a tensor that is an input of the subgraph.
    pub fn input(&mut self, name: &str, dtype: DType, dims: &[usize]) -> TensorId {
        let id = self.plain(name, dtype, dims, Data::Computed);
        self.graph.inputs.push(id);
        id
    }

    /// Adds a tensor that keeps its value from one invoke to the next.
    pub fn variable(&mut self, name: &str, dtype: DType, dims: &[usize]) -> TensorId {
        self.plain(name, dtype, dims, Data::Variable)
    }

    /// Adds a tensor that a later node computes.
    pub fn computed(&mut self, name: &str, dtype: DType, dims: &[usize]) -> TensorId {
        self.plain(name, dtype, dims, Data::Computed)
    }

    /// Adds a constant with the bytes that the file has for it: little endian, types below 8 bits packed.
    pub fn constant(&mut self, name: &str, dtype: DType, dims: &[usize], bytes: impl Into<Bytes>) -> TensorId {
        self.plain(name, dtype, dims, Data::Constant(bytes.into()))
    }

    /// Adds a FLOAT32 constant.
    pub fn constant_f32(&mut self, name: &str, dims: &[usize], data: &[f32]) -> TensorId {
        self.constant(name, DType::Float32, dims, data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Adds a FLOAT16 constant with rounded values.
    pub fn constant_f16(&mut self, name: &str, dims: &[usize], data: &[f32]) -> TensorId {
        let bytes = data.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect::<Vec<_>>();
        self.constant(name, DType::Float16, dims, bytes)
    }

    /// Adds an INT32 constant.
    pub fn constant_i32(&mut self, name: &str, dims: &[usize], data: &[i32]) -> TensorId {
        self.constant(name, DType::Int32, dims, data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Adds an INT64 constant.
    pub fn constant_i64(&mut self, name: &str, dims: &[usize], data: &[i64]) -> TensorId {
        self.constant(name, DType::Int64, dims, data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Adds an INT16 constant.
    pub fn constant_i16(&mut self, name: &str, dims: &[usize], data: &[i16]) -> TensorId {
        self.constant(name, DType::Int16, dims, data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Adds an INT8 constant.
    pub fn constant_i8(&mut self, name: &str, dims: &[usize], data: &[i8]) -> TensorId {
        self.constant(name, DType::Int8, dims, data.iter().map(|v| v.cast_unsigned()).collect::<Vec<_>>())
    }

    /// Adds a UINT8 constant.
    pub fn constant_u8(&mut self, name: &str, dims: &[usize], data: &[u8]) -> TensorId {
        self.constant(name, DType::UInt8, dims, data.to_vec())
    }

    /// Adds a BOOL constant.
    pub fn constant_bool(&mut self, name: &str, dims: &[usize], data: &[bool]) -> TensorId {
        self.constant(name, DType::Bool, dims, data.iter().map(|&v| u8::from(v)).collect::<Vec<_>>())
    }

    /// Adds a STRING constant: a count, offsets from the buffer's beginning, and the texts one after the other.
    pub fn constant_strings(&mut self, name: &str, dims: &[usize], data: &[&[u8]]) -> TensorId {
        let count = i32::try_from(data.len()).unwrap_or(i32::MAX);
        let mut bytes = count.to_le_bytes().to_vec();
        let mut offset = data.len().saturating_add(2).saturating_mul(4);
        for text in data.iter().copied().chain([[].as_slice()]) {
            bytes.extend(i32::try_from(offset).unwrap_or(i32::MAX).to_le_bytes());
            offset = offset.saturating_add(text.len());
        }
        bytes.extend(data.iter().copied().flatten());
        self.constant(name, DType::String, dims, bytes)
    }

    /// A tensor to change in place; `None` for an id of another subgraph.
    pub fn tensor_mut(&mut self, id: TensorId) -> Option<&mut Tensor> {
        self.graph.tensors.get_mut(id.index())
    }

    /// Quantises a tensor with one scale.
    pub fn quantize(&mut self, id: TensorId, scale: f32, zero_point: i64) {
        self.quantize_axis(id, &[scale], &[zero_point], 0);
    }

    /// Quantises a tensor with a scale for each index of axis `axis`; one zero point counts for all.
    pub fn quantize_axis(&mut self, id: TensorId, scale: &[f32], zero_point: &[i64], axis: usize) {
        let zero_point = if let &[one] = zero_point { vec![one; scale.len()] } else { zero_point.to_vec() };
        if let Some(tensor) = self.tensor_mut(id) {
            let kind = QuantKind::Affine { scale: scale.to_vec(), zero_point, axis };
            tensor.quant = Some(Quant { kind, ..Quant::default() });
        }
    }

    /// States the shape with its open dimensions; the tensor's sizes stay what `allocate_tensors` starts from.
    pub fn signature_shape(&mut self, id: TensorId, shape: Shape) {
        if let Some(tensor) = self.tensor_mut(id) {
            tensor.shape = shape;
        }
    }

    /// Adds a node of version 1 and tensors for its outputs (name, type, sizes).
    pub fn op_multi(
        &mut self,
        op: Op,
        inputs: &[Option<TensorId>],
        outputs: &[(&str, DType, &[usize])],
    ) -> Vec<TensorId> {
        let ids = outputs.iter().map(|(name, dtype, dims)| self.computed(name, *dtype, dims)).collect::<Vec<_>>();
        self.node(Node {
            op,
            version: 1,
            inputs: inputs.to_vec(),
            outputs: ids.iter().copied().map(Some).collect(),
            intermediates: Vec::new(),
        });
        ids
    }

    /// As [`GraphBuilder::op_multi`], for a node of one output. Of several, gives the first; of none, an id that no
    /// tensor has.
    pub fn op(&mut self, op: Op, inputs: &[Option<TensorId>], outputs: &[(&str, DType, &[usize])]) -> TensorId {
        self.op_multi(op, inputs, outputs).first().copied().unwrap_or(TensorId(u32::MAX))
    }

    /// Adds a node as it is.
    pub fn node(&mut self, node: Node) {
        self.graph.nodes.push(node);
    }

    /// Makes a tensor an output of the subgraph.
    pub fn output(&mut self, id: TensorId) {
        self.graph.outputs.push(id);
    }

    /// The subgraph.
    pub fn finish(self) -> Graph {
        self.graph
    }
}

/// Builds a program of subgraphs.
#[derive(Clone, Debug)]
pub struct ModelBuilder {
    program: Program,
}

impl Default for ModelBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelBuilder {
    /// A program without subgraphs.
    pub fn new() -> Self {
        Self { program: Program { version: 3, ..Program::default() } }
    }

    /// Adds a subgraph; the first is the main one.
    #[must_use]
    pub fn subgraph(mut self, graph: GraphBuilder) -> Self {
        self.program.subgraphs.push(graph.finish());
        self
    }

    /// Adds a signature of a subgraph.
    #[must_use]
    pub fn signature(
        mut self,
        key: &str,
        subgraph: SubgraphId,
        inputs: &[(&str, TensorId)],
        outputs: &[(&str, TensorId)],
    ) -> Self {
        let tensors = |list: &[(&str, TensorId)]| {
            list.iter().map(|&(name, tensor)| SignatureTensor { name: name.to_owned(), tensor }).collect()
        };
        let (inputs, outputs) = (tensors(inputs), tensors(outputs));
        self.program.signatures.push(Signature { key: key.to_owned(), subgraph, inputs, outputs });
        self
    }

    /// Adds a metadata entry.
    #[must_use]
    pub fn metadata(mut self, name: &str, data: impl Into<Bytes>) -> Self {
        self.program.metadata.push(Metadata { name: name.to_owned(), data: data.into() });
        self
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        text.clone_into(&mut self.program.description);
        self
    }

    /// The program, which no check has seen.
    pub fn program(self) -> Program {
        self.program
    }

    /// The file's bytes.
    ///
    /// # Errors
    ///
    /// When a size or an index does not fit the format; what else [`Program::read`] checks is not checked here.
    pub fn finish(&self) -> Result<Vec<u8>, Error> {
        self.program.write()
    }
}
