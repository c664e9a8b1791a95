//! The host's subgraph as a typed program.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::c_int,
};

use tflite_wgpu_model::{
    BuiltinOperator, Bytes, DType, Data, Dim, Graph, Node, NodeId, Op, Program, Quant, QuantKind, Shape, Sparsity,
    SparsityDimension, Tensor, TensorId,
};

use crate::{
    abi,
    attributes::{self, Raw},
    host::{Host, HostNode, floats, ints},
    types,
};

/// Name of the operators that stand for nodes which the host keeps in any case.
const HOST_OWNED: &str = "host-owned";

/// A subgraph of the host.
pub struct HostGraph {
    /// A program with this subgraph alone.
    pub program: Program,
    /// The host's number of each node.
    pub numbers: Vec<c_int>,
    /// The node of each of the host's numbers.
    pub ids: HashMap<c_int, NodeId>,
    /// Nodes that the host keeps whatever the partitioner says, and why.
    pub kept: BTreeMap<NodeId, String>,
}

impl HostGraph {
    /// Whether a node reads a tensor.
    pub fn reads(&self, number: c_int) -> bool {
        let nodes = self.program.subgraphs.iter().flat_map(|graph| &graph.nodes);
        nodes.flat_map(|node| node.inputs.iter().flatten()).any(|id| c_int::try_from(id.0) == Ok(number))
    }
}

/// A constant in the host's memory.
struct HostConstant(&'static [u8]);

impl AsRef<[u8]> for HostConstant {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

/// Reads the subgraph that a delegate is being applied to. `outputs` are tensors that the host is known to read besides
/// those that no node reads.
///
/// # Errors
/// When the host does not give its plan or a node of it.
pub fn read(host: &mut Host<'_>, outputs: &BTreeSet<c_int>) -> Result<HostGraph, String> {
    let numbers = host.plan().ok_or("the host gives no execution plan")?;
    let mut tensors = Vec::with_capacity(host.tensor_count());
    let mut strange: BTreeMap<c_int, String> = BTreeMap::new();
    for i in 0..host.tensor_count() {
        let number = c_int::try_from(i).map_err(|_| "too many tensors".to_owned())?;
        let tensor = host.tensor(number).ok_or("a tensor is missing")?;
        match read_tensor(tensor) {
            Ok(tensor) => tensors.push(tensor),
            Err(reason) => {
                strange.insert(number, format!("tensor {number} ({}) {reason}", tensor.name()));
                tensors.push(stand_in(tensor));
            }
        }
    }
    let mut kept = BTreeMap::new();
    let mut nodes = Vec::with_capacity(numbers.len());
    for (i, &number) in numbers.iter().enumerate() {
        let node = host.node(number).ok_or_else(|| format!("the host does not give node {number}"))?;
        let (node, reason) = read_node(&node, &strange, tensors.len());
        if let Some(reason) = reason {
            kept.insert(NodeId::from_index(i), reason);
        }
        nodes.push(node);
    }
    let graph = connect(tensors, nodes, outputs);
    let program = Program { subgraphs: vec![graph], version: 3, ..Program::default() };
    let ids = numbers.iter().enumerate().map(|(i, &number)| (number, NodeId::from_index(i))).collect();
    Ok(HostGraph { program, numbers, ids, kept })
}

/// The graph of these nodes; inputs are computed tensors that no node makes.
fn connect(tensors: Vec<Tensor>, nodes: Vec<Node>, outputs: &BTreeSet<c_int>) -> Graph {
    let read: BTreeSet<TensorId> = nodes.iter().flat_map(|node| node.inputs.iter().copied().flatten()).collect();
    let made: BTreeSet<TensorId> = nodes.iter().flat_map(|node| node.outputs.iter().copied().flatten()).collect();
    let computed = |id: &TensorId| tensors.get(id.index()).is_some_and(|tensor| tensor.data == Data::Computed);
    let inputs = read.iter().copied().filter(|id| computed(id) && !made.contains(id)).collect();
    let asked = |id: &TensorId| c_int::try_from(id.0).is_ok_and(|number| outputs.contains(&number));
    let outputs = made.iter().copied().filter(|id| !read.contains(id) || asked(id)).collect();
    Graph { name: String::new(), tensors, nodes, inputs, outputs }
}

/// What stands for a tensor that this library does not understand; the nodes that touch it stay with the host.
fn stand_in(tensor: &abi::Tensor) -> Tensor {
    Tensor {
        name: tensor.name(),
        dtype: DType::Variant,
        dims: Vec::new(),
        shape: Shape::default(),
        quant: None,
        sparsity: None,
        data: Data::Computed,
    }
}

fn read_tensor(tensor: &abi::Tensor) -> Result<Tensor, String> {
    let dtype = types::dtype(tensor.dtype).ok_or_else(|| format!("has type number {}", tensor.dtype))?;
    if matches!(dtype, DType::String | DType::Resource | DType::Variant) {
        return Err(format!("has type {dtype}, which only the host knows"));
    }
    let dims = tensor.shape().filter(|dims| dims.len() <= 8).ok_or("has a shape that is none")?;
    let signature = tensor.signature();
    let shape = if signature.len() == dims.len() {
        let dim = |(&open, &size): (&c_int, &usize)| if open < 0 { Dim::Unknown } else { Dim::Known(size) };
        Shape(signature.iter().zip(&dims).map(dim).collect())
    } else {
        Shape::known(&dims)
    };
    let quant = read_quantization(tensor)?;
    let mut sparsity = None;
    let data = if tensor.is_variable != 0 {
        Data::Variable
    } else if tensor.allocation_type == abi::MMAP_RO && !tensor.data.is_null() {
        let bytes = tensor.bytes(tensor.bytes).ok_or("has no bytes")?;
        // SAFETY: constants of the host's model stay where they are until its interpreters are gone, and with them the
        // sessions that hold these bytes.
        let bytes: &'static [u8] = unsafe { std::mem::transmute(bytes) };
        sparsity = read_sparsity(tensor)?;
        Data::Constant(Bytes::new(HostConstant(bytes)))
    } else {
        Data::Computed
    };
    Ok(Tensor { name: tensor.name(), dtype, dims, shape, quant, sparsity, data })
}

fn read_quantization(tensor: &abi::Tensor) -> Result<Option<Quant>, String> {
    let affine = match tensor.quantization_type {
        abi::NO_QUANTIZATION => return Ok(None),
        abi::AFFINE_QUANTIZATION => tensor.quantization_params.cast::<abi::AffineQuantization>(),
        abi::BLOCKWISE_QUANTIZATION => return read_blocks(tensor).map(Some),
        other => return Err(format!("has quantization of type {other}, expected none, affine or blockwise")),
    };
    // SAFETY: of this type the parameters are NULL or an affine structure of the host, whose arrays are copied here.
    let (scale, zero_points, axis) = unsafe {
        let Some(affine) = affine.as_ref() else { return Ok(None) };
        (floats(affine.scale).to_vec(), ints(affine.zero_point), affine.quantized_dimension)
    };
    if scale.is_empty() {
        return Ok(None);
    }
    // One zero point may stand for those of all channels.
    let zero_point: Vec<i64> = match zero_points {
        [] => vec![0; scale.len()],
        &[one] => vec![one.into(); scale.len()],
        many if many.len() == scale.len() => many.iter().map(|&zero| zero.into()).collect(),
        many => return Err(format!("has {} zero points for {} scales", many.len(), scale.len())),
    };
    let axis = usize::try_from(axis).map_err(|_| format!("is quantized along axis {axis}"))?;
    Ok(Some(Quant { min: Vec::new(), max: Vec::new(), kind: QuantKind::Affine { scale, zero_point, axis } }))
}

fn read_blocks(tensor: &abi::Tensor) -> Result<Quant, String> {
    // SAFETY: of this type the parameters are NULL or a blockwise structure of the host.
    let blocks = unsafe { tensor.quantization_params.cast::<abi::BlockwiseQuantization>().as_ref() };
    let blocks = blocks.ok_or("has blocks without scales")?;
    let damaged = |_| format!("has blocks of {} along axis {}", blocks.blocksize, blocks.quantized_dimension);
    let kind = QuantKind::Blockwise {
        scales: u32::try_from(blocks.scale).map(TensorId).map_err(damaged)?,
        zero_points: u32::try_from(blocks.zero_point).map(TensorId).ok(),
        block_size: usize::try_from(blocks.blocksize).map_err(damaged)?,
        axis: usize::try_from(blocks.quantized_dimension).map_err(damaged)?,
    };
    Ok(Quant { min: Vec::new(), max: Vec::new(), kind })
}

/// `TfLiteDimensionMetadata`.
#[repr(C)]
struct DimensionMetadata {
    format: c_int,
    dense_size: c_int,
    segments: *const abi::IntArray,
    indices: *const abi::IntArray,
}

/// `TfLiteSparsity`.
#[repr(C)]
struct HostSparsity {
    traversal_order: *const abi::IntArray,
    block_map: *const abi::IntArray,
    dimensions: *const DimensionMetadata,
    dimension_count: c_int,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<DimensionMetadata>() == 24 && size_of::<HostSparsity>() == 32);

fn read_sparsity(tensor: &abi::Tensor) -> Result<Option<Sparsity>, String> {
    // SAFETY: the field is NULL or the host's structure; everything is copied.
    unsafe {
        let Some(sparsity) = tensor.sparsity.cast::<HostSparsity>().as_ref() else { return Ok(None) };
        let count = usize::try_from(sparsity.dimension_count).ok().filter(|&n| n <= 16);
        let count = count.filter(|&n| n == 0 || !sparsity.dimensions.is_null());
        let count = count.ok_or_else(|| format!("has {} sparse dimensions", sparsity.dimension_count))?;
        let mut dimensions = Vec::with_capacity(count);
        for i in 0..count {
            let dimension = &*sparsity.dimensions.add(i);
            dimensions.push(match dimension.format {
                0 => SparsityDimension::Dense {
                    size: usize::try_from(dimension.dense_size).map_err(|_| "has a sparse dimension below 0")?,
                },
                1 => SparsityDimension::Csr {
                    segments: ints(dimension.segments).to_vec(),
                    indices: ints(dimension.indices).to_vec(),
                },
                other => return Err(format!("has a sparse dimension of format {other}")),
            });
        }
        let (traversal_order, block_map) = (ints(sparsity.traversal_order).to_vec(), ints(sparsity.block_map).to_vec());
        Ok(Some(Sparsity { traversal_order, block_map, dimensions }))
    }
}

/// A node, and why the host keeps it if it does.
fn read_node(node: &HostNode<'_>, strange: &BTreeMap<c_int, String>, tensors: usize) -> (Node, Option<String>) {
    let ids = |list: &[c_int]| -> Vec<Option<TensorId>> {
        let id = |&number: &c_int| u32::try_from(number).ok().map(TensorId).filter(|id| id.index() < tensors);
        list.iter().map(id).collect()
    };
    let touched = || node.inputs.iter().chain(node.outputs);
    let damaged = || {
        touched().any(|&number| number < abi::OPTIONAL_TENSOR || usize::try_from(number).is_ok_and(|n| n >= tensors))
    };
    let op = if node.has_side_effect {
        Err(HOST_OWNED.to_owned())
    } else if damaged() {
        Err("a tensor beyond the host's list".to_owned())
    } else if let Some(reason) = touched().find_map(|number| strange.get(number)) {
        Err(reason.clone())
    } else {
        read_op(node)
    };
    let (op, reason) = match op {
        Ok(op) => (op, None),
        Err(reason) => (Op::Custom { name: HOST_OWNED.to_owned(), options: Bytes::default() }, Some(reason)),
    };
    let (inputs, outputs, intermediates) = (ids(node.inputs), ids(node.outputs), ids(node.intermediates));
    (Node { op, version: node.version, inputs, outputs, intermediates }, reason)
}

fn read_op(node: &HostNode<'_>) -> Result<Op, String> {
    if node.builtin_code == abi::DELEGATE {
        return Err("another delegate has it".to_owned());
    }
    if node.builtin_code == abi::CUSTOM {
        let name = node.custom_name.clone().ok_or("a custom operator without a name")?;
        return Ok(Op::Custom { name, options: Bytes::from(node.custom_options.to_vec()) });
    }
    let builtin = BuiltinOperator::from_code(node.builtin_code);
    let builtin = builtin.ok_or_else(|| format!("operator number {} is unknown", node.builtin_code))?;
    let unread = || format!("{}: attributes that this library does not read", builtin.name());
    let raw = match attributes::size(builtin).ok_or_else(unread)? {
        0 => &[],
        size => node.attributes(size).ok_or_else(|| format!("{}: no attributes", builtin.name()))?,
    };
    attributes::read(builtin, Raw(raw)).map_err(|unreadable| format!("{}: {}", builtin.name(), unreadable.0))
}
