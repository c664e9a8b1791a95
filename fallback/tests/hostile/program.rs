//! Damages of the typed program: what a caller who builds one can get wrong.

use tflite_wgpu_model::{
    BuiltinOperator, Bytes, DType, Data, Dim, Graph, Node, Op, Program, Quant, QuantKind, Shape, Sparsity,
    SparsityDimension, SubgraphId, Tensor, TensorId,
};

use crate::{damage::Damage, values};

/// Constants of more bytes are weights, of which only a few elements are damaged.
const SMALL: usize = 512;

/// All damages of a program.
pub fn damages(program: &Program) -> Vec<Damage> {
    let mut damages = Vec::new();
    for (g, graph) in program.subgraphs.iter().enumerate() {
        graph_damages(g, graph, &mut damages);
        for (t, tensor) in graph.tensors.iter().enumerate() {
            tensor_damages(g, t, tensor, graph.tensors.len(), &mut damages);
        }
        for (n, node) in graph.nodes.iter().enumerate() {
            node_damages(g, n, node, graph, program.subgraphs.len(), &mut damages);
        }
    }
    signature_damages(program, &mut damages);
    damages
}

/// A graph to damage; those of the program at hand are there.
fn graph(program: &mut Program, g: usize) -> &mut Graph {
    &mut program.subgraphs[g]
}

fn graph_damages(g: usize, data: &Graph, damages: &mut Vec<Damage>) {
    let count = data.tensors.len();
    for id in [0, count / 2, count, usize::MAX] {
        let id = TensorId::from_index(id);
        for i in 0..data.inputs.len() {
            let what = format!("subgraph {g} input {i} is tensor {id}");
            damages.push(Damage::program(what, move |program| graph(program, g).inputs[i] = id));
        }
        for i in 0..data.outputs.len() {
            let what = format!("subgraph {g} output {i} is tensor {id}");
            damages.push(Damage::program(what, move |program| graph(program, g).outputs[i] = id));
        }
    }
    let mut add = |what: &str, act: fn(&mut Graph)| {
        let what = format!("subgraph {g}: {what}");
        damages.push(Damage::program(what, move |program| act(graph(program, g))));
    };
    add("no inputs", |graph| graph.inputs.clear());
    add("no outputs", |graph| graph.outputs.clear());
    add("no tensors", |graph| graph.tensors.clear());
    add("one tensor less", |graph| drop(graph.tensors.pop()));
    add("no nodes", |graph| graph.nodes.clear());
    add("inputs twice", |graph| graph.inputs.extend(graph.inputs.clone()));
    add("outputs twice", |graph| graph.outputs.extend(graph.outputs.clone()));
    add("nodes twice", |graph| graph.nodes.extend(graph.nodes.clone()));
    add("nodes backwards", |graph| graph.nodes.reverse());
    add("inputs are outputs", |graph| graph.inputs.clone_from(&graph.outputs));
}

fn tensor_damages(g: usize, t: usize, tensor: &Tensor, count: usize, damages: &mut Vec<Damage>) {
    let mut add = |what: String, act: Change<Tensor>| {
        let what = format!("subgraph {g} tensor {t}: {what}");
        damages.push(Damage::program(what, move |program| act(&mut graph(program, g).tensors[t])));
    };
    let mut shapes = values::shapes(&tensor.dims);
    for axis in 0..tensor.dims.len() {
        for size in [1, 1 << 31, 1 << 62, usize::MAX] {
            let mut dims = tensor.dims.clone();
            dims[axis] = size;
            shapes.push((format!("dimension {axis} is {size}"), dims));
        }
        let unknown = move |tensor: &mut Tensor| {
            if let Some(dim) = tensor.shape.0.get_mut(axis) {
                *dim = Dim::Unknown;
            }
        };
        add(format!("dimension {axis} is open"), Box::new(unknown));
    }
    for (what, dims) in shapes {
        let act = move |tensor: &mut Tensor| {
            tensor.dims.clone_from(&dims);
            tensor.shape = Shape::known(&dims);
        };
        add(what, Box::new(act));
    }
    add("sizes and shape differ".into(), Box::new(|tensor| tensor.shape.0.push(Dim::Known(3))));
    for &dtype in DType::ALL.iter().filter(|dtype| **dtype != tensor.dtype) {
        let fitting = move |tensor: &mut Tensor| {
            tensor.dtype = dtype;
            let bytes = constant_bytes(tensor);
            if let (Some(bytes), Data::Constant(data)) = (bytes, &mut tensor.data) {
                *data = Bytes::from(data.iter().copied().cycle().take(bytes).collect::<Vec<_>>());
            }
        };
        add(format!("type {dtype}"), Box::new(move |tensor| tensor.dtype = dtype));
        if tensor.constant().is_some() {
            add(format!("type {dtype} with as many bytes"), Box::new(fitting));
        }
    }
    data_damages(tensor, &mut add);
    quant_damages(tensor, count, &mut add);
    if let Some(sparsity) = &tensor.sparsity {
        add("not sparse".into(), Box::new(|tensor| tensor.sparsity = None));
        sparsity_damages(sparsity, &mut add);
    }
}

/// Bytes that a tensor's constant should have, if it is small.
fn constant_bytes(tensor: &Tensor) -> Option<usize> {
    let count = tflite_wgpu_model::element_count(&tensor.dims)?;
    tensor.dtype.packed_bytes(count).filter(|&bytes| bytes < 1 << 20)
}

/// What is done to a tensor or a node.
type Change<T> = Box<dyn Fn(&mut T)>;

type Add<'a, T = Tensor> = &'a mut dyn FnMut(String, Change<T>);

fn data_damages(tensor: &Tensor, add: Add<'_>) {
    let Data::Constant(bytes) = &tensor.data else {
        add("a variable".into(), Box::new(|tensor| tensor.data = Data::Variable));
        add("computed".into(), Box::new(|tensor| tensor.data = Data::Computed));
        add("a constant without bytes".into(), Box::new(|tensor| tensor.data = Data::Constant(Bytes::default())));
        let zeros = |tensor: &mut Tensor| {
            tensor.data = Data::Constant(Bytes::from(vec![0; constant_bytes(tensor).unwrap_or(7)]));
        };
        add("a constant of zeros".into(), Box::new(zeros));
        return;
    };
    add("no constant".into(), Box::new(|tensor| tensor.data = Data::Computed));
    add("a variable, not a constant".into(), Box::new(|tensor| tensor.data = Data::Variable));
    for len in [0, 1, bytes.len() / 2, bytes.len().saturating_sub(1), bytes.len() + 1, bytes.len() + 64] {
        let cut: Vec<u8> = bytes.iter().copied().chain([0; 64]).take(len).collect();
        let cut = Bytes::from(cut);
        add(format!("{len} bytes"), Box::new(move |tensor| tensor.data = Data::Constant(cut.clone())));
    }
    let changed = match tensor.dtype {
        DType::String => string_buffers(bytes),
        _ if bytes.len() <= SMALL => values::elements(tensor.dtype, bytes),
        _ => Vec::new(),
    };
    for (what, bytes) in changed {
        let bytes = Bytes::from(bytes);
        add(what, Box::new(move |tensor| tensor.data = Data::Constant(bytes.clone())));
    }
}

/// A string buffer with one word another.
fn string_buffers(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for word in 0..(bytes.len() / 4).min(6) {
        for value in [0, 1, -1, 3, 0x7fff_ffff, i32::MIN, i32::try_from(bytes.len()).unwrap_or(0), 1 << 20] {
            let mut changed = bytes.to_vec();
            changed[word * 4..word * 4 + 4].copy_from_slice(&value.to_le_bytes());
            found.push((format!("word {word} of the strings is {value}"), changed));
        }
    }
    found
}

fn quant_damages(tensor: &Tensor, count: usize, add: Add<'_>) {
    let affine = |scale: Vec<f32>, zero_point: Vec<i64>, axis| {
        Some(Quant { kind: QuantKind::Affine { scale, zero_point, axis }, ..Quant::default() })
    };
    let mut put = |what: String, quant: Option<Quant>| {
        add(format!("quantisation: {what}"), Box::new(move |tensor| tensor.quant.clone_from(&quant)));
    };
    put("a scale".into(), affine(vec![0.5], vec![3], 0));
    put("scales of no axis".into(), affine(vec![0.5; 3], vec![0; 3], 77));
    put("no scale in a list".into(), affine(vec![], vec![], 0));
    put("more zero points than scales".into(), affine(vec![0.5], vec![0, 0], 0));
    for (scales, size) in [(0, 1), (count, 1), (0, 0), (count - 1, usize::MAX), (usize::MAX, 32)] {
        let (scales, zero_points) = (TensorId::from_index(scales), Some(TensorId(0)));
        let blocks = QuantKind::Blockwise { scales, zero_points, block_size: size, axis: 0 };
        put(format!("blocks of {size}, scales in {scales}"), Some(Quant { kind: blocks, ..Quant::default() }));
        let axes = QuantKind::MultiAxis { scales, zero_points: None, block_size: size, axes: vec![0, 9] };
        put(format!("axes, blocks of {size}, scales in {scales}"), Some(Quant { kind: axes, ..Quant::default() }));
    }
    let Some(quant) = &tensor.quant else { return };
    put("none".into(), None);
    let QuantKind::Affine { scale, zero_point, axis } = &quant.kind else { return };
    for value in [0.0, -0.0, -1.0, 1e-45, 1e-30, 1e30, f32::MAX, f32::INFINITY, f32::NAN] {
        put(format!("scale {value:e}"), affine(vec![value; scale.len()], zero_point.clone(), *axis));
        let mut last = scale.clone();
        last.iter_mut().last().into_iter().for_each(|last| *last = value);
        put(format!("last scale {value:e}"), affine(last, zero_point.clone(), *axis));
    }
    for value in [0, -1, 128, 255, 1 << 15, -40_000, 1 << 31, -(1 << 31), 1 << 40, i64::MAX, i64::MIN] {
        put(format!("zero point {value}"), affine(scale.clone(), vec![value; zero_point.len()], *axis));
    }
    for value in [0, 1, 3, 8, usize::MAX] {
        put(format!("axis {value}"), affine(scale.clone(), zero_point.clone(), value));
    }
    put("one scale less".into(), affine(scale[1..].to_vec(), zero_point[1..].to_vec(), *axis));
    put(
        "two scales more".into(),
        affine([scale.as_slice(), &[1.0; 2]].concat(), [zero_point.as_slice(), &[0; 2]].concat(), *axis),
    );
    put("no zero points".into(), affine(scale.clone(), vec![], *axis));
}

fn sparsity_damages(sparsity: &Sparsity, add: Add<'_>) {
    let mut put = |what: String, changed: Sparsity| {
        add(format!("sparsity: {what}"), Box::new(move |tensor| tensor.sparsity = Some(changed.clone())));
    };
    for value in [-1, 0, 1, 7, i32::MAX, i32::MIN] {
        for i in 0..sparsity.traversal_order.len() {
            let mut changed = sparsity.clone();
            changed.traversal_order[i] = value;
            put(format!("order {i} is {value}"), changed);
        }
        for i in 0..sparsity.block_map.len() {
            let mut changed = sparsity.clone();
            changed.block_map[i] = value;
            put(format!("block {i} is {value}"), changed);
        }
    }
    for i in 0..sparsity.dimensions.len() {
        let mut put_dimension = |what: String, dimension| {
            let mut changed = sparsity.clone();
            changed.dimensions[i] = dimension;
            put(format!("dimension {i}: {what}"), changed);
        };
        for size in [0, 1, 3, 1000, 1 << 31, usize::MAX] {
            put_dimension(format!("dense {size}"), SparsityDimension::Dense { size });
        }
        put_dimension("empty".into(), SparsityDimension::Csr { segments: vec![], indices: vec![] });
        if let SparsityDimension::Csr { segments, indices } = &sparsity.dimensions[i] {
            for value in [-1, 0, 1, 1000, i32::MAX, i32::MIN] {
                let all = SparsityDimension::Csr { segments: vec![value; segments.len()], indices: indices.clone() };
                put_dimension(format!("segments of {value}"), all);
                let all = SparsityDimension::Csr { segments: segments.clone(), indices: vec![value; indices.len()] };
                put_dimension(format!("indices of {value}"), all);
                let mut last = segments.clone();
                last.iter_mut().last().into_iter().for_each(|last| *last = value);
                put_dimension(
                    format!("last segment {value}"),
                    SparsityDimension::Csr { segments: last, indices: indices.clone() },
                );
            }
        }
    }
    let mut less = sparsity.clone();
    less.dimensions.pop();
    put("one dimension less".into(), less);
    let mut more = sparsity.clone();
    more.traversal_order.push(1);
    put("one order more".into(), more);
}

fn node_damages(g: usize, n: usize, node: &Node, data: &Graph, subgraphs: usize, damages: &mut Vec<Damage>) {
    let count = data.tensors.len();
    let mut add = |what: String, act: Change<Node>| {
        let what = format!("subgraph {g} node {n}: {what}");
        damages.push(Damage::program(what, move |program| act(&mut graph(program, g).nodes[n])));
    };
    let own = node.outputs.first().copied().flatten().map_or(0, TensorId::index);
    let others = [0, 1, count / 2, count - 1, own, count, usize::MAX];
    let ids: Vec<_> = [None].into_iter().chain(others.map(|id| Some(TensorId::from_index(id)))).collect();
    let name = |id: Option<TensorId>| id.map_or("omitted".to_owned(), |id| format!("tensor {id}"));
    for &id in &ids {
        for i in 0..node.inputs.len() {
            add(format!("input {i} is {}", name(id)), Box::new(move |node| node.inputs[i] = id));
        }
        for i in 0..node.outputs.len() {
            add(format!("output {i} is {}", name(id)), Box::new(move |node| node.outputs[i] = id));
        }
        for i in 0..node.intermediates.len() {
            add(format!("intermediate {i} is {}", name(id)), Box::new(move |node| node.intermediates[i] = id));
        }
        add(format!("one more input, {}", name(id)), Box::new(move |node| node.inputs.push(id)));
        add(format!("one more output, {}", name(id)), Box::new(move |node| node.outputs.push(id)));
    }
    add("one input less".into(), Box::new(|node| node.inputs.truncate(node.inputs.len().saturating_sub(1))));
    add("one output less".into(), Box::new(|node| node.outputs.truncate(node.outputs.len().saturating_sub(1))));
    add("no inputs".into(), Box::new(|node| node.inputs.clear()));
    add("no outputs".into(), Box::new(|node| node.outputs.clear()));
    add("no intermediates".into(), Box::new(|node| node.intermediates.clear()));
    for version in [0, -1, 99, i32::MAX] {
        add(format!("version {version}"), Box::new(move |node| node.version = version));
    }
    other_operators(node, subgraphs, &mut add);
}

/// The same tensors under operators that were not made for them: a few, chosen by the node's own.
fn other_operators(node: &Node, subgraphs: usize, add: Add<'_, Node>) {
    let all = BuiltinOperator::ALL;
    let own = node.op.builtin() as usize + node.inputs.len() + 7 * node.outputs.len();
    for i in 0..12 {
        let Some(op) = Op::with_defaults(all[(own + i * 17) % all.len()]) else { continue };
        add(format!("operator {}", op.name()), Box::new(move |node| node.op = op.clone()));
    }
    if let Op::Custom { name, options } = &node.op {
        let (name, options) = (name.clone(), options.clone());
        for (what, bytes) in custom_options(&options) {
            let op = Op::Custom { name: name.clone(), options: Bytes::from(bytes) };
            add(format!("options: {what}"), Box::new(move |node| node.op = op.clone()));
        }
        let op = Op::Custom { name: format!("{name}2"), options };
        add("an unknown operator".into(), Box::new(move |node| node.op = op.clone()));
    }
    let count = i32::try_from(subgraphs).unwrap_or(0);
    for index in [-1, 0, 1, 2, count - 1, count, i32::MAX] {
        let what = format!("calls subgraph {index}");
        add(what, Box::new(move |node| call(&mut node.op, index)));
    }
}

/// Lets a node call another subgraph than it does.
fn call(op: &mut Op, index: i32) {
    match op {
        Op::If(o) => o.then_subgraph_index = index,
        Op::While(o) => o.body_subgraph_index = index,
        Op::StablehloWhile(o) => o.cond_subgraph_index = index,
        Op::Call(o) => o.subgraph = index.cast_unsigned(),
        Op::CallOnce(o) => o.init_subgraph_index = index,
        Op::StablehloComposite(o) => o.decomposition_subgraph_index = index,
        Op::StablehloReduce(o) => o.body_subgraph_index = index,
        Op::StablehloReduceWindow(o) => o.body_subgraph_index = index,
        Op::StablehloSort(o) => o.comparator_subgraph_index = index,
        Op::StablehloScatter(o) => o.update_computation_subgraph_index = index,
        Op::StablehloCase(o) => o.branch_subgraph_indices.fill(index),
        _ => *op = Op::Call(tflite_wgpu_model::CallOptions { subgraph: index.cast_unsigned() }),
    }
}

/// Options of a custom operator, a flexbuffer as a rule, with one byte another or cut off.
fn custom_options(options: &Bytes) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![("none".to_owned(), Vec::new()), ("zeros".to_owned(), vec![0; options.len()])];
    let step = (options.len() / 96).max(1);
    for at in (0..options.len()).step_by(step) {
        for value in [0, 1, 0x7f, 0x80, 0xff, options[at].wrapping_add(1), options[at] ^ 4] {
            let mut changed = options.to_vec();
            changed[at] = value;
            found.push((format!("byte {at} is {value}"), changed));
        }
    }
    for len in [1, 2, 3, options.len() / 2, options.len().saturating_sub(1)] {
        found.push((format!("{len} bytes"), options.iter().copied().take(len).collect()));
    }
    found
}

fn signature_damages(program: &Program, damages: &mut Vec<Damage>) {
    let count = program.subgraphs.len();
    for s in 0..program.signatures.len() {
        for id in [0, count.saturating_sub(1), count, usize::MAX] {
            let id = SubgraphId::from_index(id);
            let what = format!("signature {s} of subgraph {id}");
            damages.push(Damage::program(what, move |program| program.signatures[s].subgraph = id));
        }
        for id in [0, 1, 5, usize::MAX] {
            let id = TensorId::from_index(id);
            for i in 0..program.signatures[s].inputs.len() {
                let what = format!("signature {s} input {i} is tensor {id}");
                damages.push(Damage::program(what, move |program| program.signatures[s].inputs[i].tensor = id));
            }
            for i in 0..program.signatures[s].outputs.len() {
                let what = format!("signature {s} output {i} is tensor {id}");
                damages.push(Damage::program(what, move |program| program.signatures[s].outputs[i].tensor = id));
            }
        }
        let what = format!("signature {s} without tensors");
        damages.push(Damage::program(what, move |program| {
            program.signatures[s].inputs.clear();
            program.signatures[s].outputs.clear();
        }));
    }
    damages.push(Damage::program("no subgraphs".into(), |program| program.subgraphs.clear()));
    damages.push(Damage::program("one subgraph less".into(), |program| drop(program.subgraphs.pop())));
    damages.push(Damage::program("subgraphs backwards".into(), |program| program.subgraphs.reverse()));
    damages.push(Damage::program("version 0".into(), |program| program.version = 0));
}
