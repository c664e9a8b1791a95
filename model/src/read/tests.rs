//! Each check of the reader refuses what it is there for.

use flatbuffers::FlatBufferBuilder;

use crate::{
    Bytes, CallOptions, DType, Data, GraphBuilder, IfOptions, ModelBuilder, Op, Program, Quant, QuantKind, Shape,
    Sparsity, SparsityDimension, SubgraphId, Tensor, TensorId, WhileOptions,
    generated::schema::{self, Model, ModelArgs, Operator, OperatorArgs, OperatorCode, OperatorCodeArgs},
};

const F32: DType = DType::Float32;

fn message(model: &ModelBuilder) -> String {
    let read = model.finish().and_then(|file| Program::read(file.into()));
    read.map_or_else(|error| error.to_string(), |_| "read".to_owned())
}

fn message_of(change: impl FnOnce(&mut GraphBuilder)) -> String {
    let mut graph = GraphBuilder::new();
    change(&mut graph);
    message(&ModelBuilder::new().subgraph(graph))
}

#[test]
fn nodes_and_their_order() {
    let later = message_of(|g| {
        let (x, y) = (g.input("x", F32, &[1]), g.computed("y", F32, &[1]));
        g.op(Op::Add(Default::default()), &[Some(x), Some(y)], &[("z", F32, &[1])]);
    });
    assert!(
        later.starts_with("subgraph 0 node 0 ADD: input 1: found tensor 1 \"y\", which has no value yet"),
        "{later}"
    );
    let both = message_of(|g| {
        let x = g.input("x", F32, &[1]);
        let node = crate::Node {
            op: Op::Custom { name: "a\nb".to_owned(), options: Bytes::default() },
            version: 1,
            inputs: vec![Some(x)],
            outputs: vec![None, Some(x)],
            intermediates: vec![],
        };
        g.node(node);
    });
    assert_eq!(both, "subgraph 0 node 0 a\\nb: output: found tensor 0, which is an input, expected another tensor");
    let outside = message_of(|g| {
        g.op(Op::Relu, &[Some(TensorId(7))], &[("y", F32, &[1])]);
    });
    assert_eq!(outside, "subgraph 0 node 0 RELU: input 0: found 7, expected an index below 1");
    assert_eq!(message_of(|g| g.output(TensorId(0))), "subgraph 0: output 0: found 0, expected an index below 0");
}

#[test]
fn empty_constants_are_constants() -> Result<(), crate::Error> {
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F32, &[1]);
    let shape = graph.constant_i32("shape", &[0], &[]);
    let text = graph.computed("no text", DType::Float32, &[0, 0]);
    let y = graph.op(Op::Reshape(Default::default()), &[Some(x), Some(shape)], &[("y", F32, &[])]);
    let empty = graph.op(Op::Relu, &[Some(text)], &[("empty", F32, &[0, 0])]);
    graph.output(y);
    graph.output(empty);
    let program = Program::read(ModelBuilder::new().subgraph(graph).finish()?.into())?;
    let is_constant = |id: TensorId| program.subgraphs[0].tensors[id.index()].constant().is_some();
    assert_eq!([shape, text, empty, y, x].map(is_constant), [true, true, false, false, false]);
    Ok(())
}

fn calls(op: Op) -> GraphBuilder {
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", DType::Bool, &[]);
    graph.op(op, &[Some(x)], &[("y", F32, &[1])]);
    graph
}

#[test]
fn calls_between_subgraphs() {
    let call = |subgraph| calls(Op::Call(CallOptions { subgraph }));
    let choice = |a, b| calls(Op::If(IfOptions { then_subgraph_index: a, else_subgraph_index: b }));
    let repeat = |a, b| calls(Op::While(WhileOptions { cond_subgraph_index: a, body_subgraph_index: b }));
    let of = |graphs: Vec<GraphBuilder>| message(&graphs.into_iter().fold(ModelBuilder::new(), ModelBuilder::subgraph));
    let cycle =
        |graph: u32| format!("subgraph {graph}: calls: found a call that leads back to it, expected no recursion");
    assert_eq!(of(vec![call(0)]), cycle(0));
    assert_eq!(of(vec![call(1), choice(2, 3), GraphBuilder::new(), repeat(2, 1)]), cycle(1));
    assert_eq!(of(vec![choice(1, 2), call(2), GraphBuilder::new()]), "read");
    assert_eq!(of(vec![choice(1, 2), repeat(2, 2), GraphBuilder::new()]), "read");
    assert_eq!(of(vec![choice(1, -1), GraphBuilder::new()]), {
        "subgraph 0 node 0 IF: subgraph: found -1, expected an index below 2"
    });
    assert_eq!(of(vec![]), "subgraphs: found none, expected one or more");
}

#[test]
fn signatures_name_tensors_that_exist() {
    let model = || ModelBuilder::new().subgraph(GraphBuilder::new());
    let tensor = model().signature("key", SubgraphId(0), &[("x", TensorId(3))], &[]);
    assert_eq!(message(&tensor), "signature \"key\": input \"x\": found 3, expected an index below 0");
    let subgraph = model().signature("key", SubgraphId(1), &[], &[]);
    assert_eq!(message(&subgraph), "signature \"key\": subgraph: found 1, expected an index below 1");
}

#[test]
fn constants_are_as_long_as_they_say() {
    let short = message_of(|g| {
        g.constant("w", F32, &[2, 2], vec![0; 15]);
    });
    assert_eq!(short, "subgraph 0 tensor 0 \"w\": buffer: found 15 bytes, expected 16 for [2, 2] of FLOAT32");
    let long = message_of(|g| {
        g.constant("w", DType::Int4, &[3], vec![0; 3]);
    });
    assert_eq!(long, "subgraph 0 tensor 0 \"w\": buffer: found 3 bytes, expected 2 for [3] of INT4");
    let huge = message_of(|g| {
        g.input("x", F32, &[1 << 30, 1 << 30, 1 << 30]);
    });
    assert!(huge.ends_with("expected a size that fits the address space"), "{huge}");
}

fn quantised(dims: &[usize], scale: &[f32], zero_point: &[i64], axis: usize, used: bool) -> String {
    message_of(|g| {
        let x = g.input("x", F32, &[1]);
        let size = dims.iter().product();
        let w = g.constant("w", DType::Int8, dims, vec![1; size]);
        let kind = QuantKind::Affine { scale: scale.to_vec(), zero_point: zero_point.to_vec(), axis };
        if let Some(tensor) = g.tensor_mut(w) {
            tensor.quant = Some(Quant { kind, ..Quant::default() });
        }
        g.op(Op::Mul(Default::default()), &[Some(if used { w } else { x })], &[("y", F32, &[1])]);
    })
}

#[test]
fn quantisation() {
    let at = "subgraph 0 tensor 1 \"w\": ";
    assert_eq!(quantised(&[2, 3], &[1.0, 2.0, 3.0], &[0], 1, true), "read");
    assert_eq!(quantised(&[2, 3], &[1.0, 2.0, 3.0], &[], 1, true), "read");
    assert_eq!(quantised(&[2, 3], &[1.0], &[5], 9, true), "read");
    assert_eq!(quantised(&[3], &[1.0, 2.0, 3.0], &[0; 3], 3, true), "read");
    let zero_points = quantised(&[2, 3], &[1.0, 2.0, 3.0], &[0; 2], 1, true);
    assert_eq!(zero_points, format!("{at}zero_point: found 2 entries, expected 3 or 1"));
    let scales = quantised(&[2, 3], &[1.0, 2.0, 3.0], &[0; 3], 0, true);
    assert_eq!(scales, format!("{at}scale: found 3 entries, expected 2 of axis 0, or 1"));
    let axis = quantised(&[2, 3], &[1.0, 2.0, 3.0], &[0; 3], 2, true);
    assert_eq!(axis, format!("{at}quantized_dimension: found 2, expected an axis of [2, 3] with 3 indices"));
    assert_eq!(quantised(&[2, 3], &[1.0, 2.0, 3.0], &[0; 3], 2, false), "read");
}

#[test]
fn one_zero_point_counts_for_all_scales() -> Result<(), crate::Error> {
    let mut graph = GraphBuilder::new();
    let w = graph.constant_i8("w", &[2], &[1, 2]);
    if let Some(tensor) = graph.tensor_mut(w) {
        let kind = QuantKind::Affine { scale: vec![0.5, 0.25], zero_point: vec![7], axis: 0 };
        tensor.quant = Some(Quant { kind, ..Quant::default() });
    }
    let program = Program::read(ModelBuilder::new().subgraph(graph).finish()?.into())?;
    let found = program.subgraphs[0].tensors[0].quant.as_ref().map(|q| &q.kind);
    let expected = QuantKind::Affine { scale: vec![0.5, 0.25], zero_point: vec![7, 7], axis: 0 };
    assert_eq!(found, Some(&expected));
    Ok(())
}

#[test]
fn quantisation_by_tensors() {
    let of = |kind| {
        message_of(|g| {
            let x = g.input("x", DType::Int4, &[2, 4]);
            if let Some(tensor) = g.tensor_mut(x) {
                tensor.quant = Some(Quant { kind, ..Quant::default() });
            }
        })
    };
    let blocks = |scales, block_size, axis| {
        of(QuantKind::Blockwise { scales: TensorId(scales), zero_points: None, block_size, axis })
    };
    assert_eq!(blocks(0, 2, 1), "read");
    let at = "subgraph 0 tensor 0 \"x\": ";
    assert_eq!(blocks(1, 2, 1), format!("{at}blockwise scales: found 1, expected an index below 1"));
    assert_eq!(blocks(0, 0, 1), format!("{at}block size: found 0, expected 1 or more"));
    assert_eq!(blocks(0, 2, 2), format!("{at}quantized_dimension: found 2, expected an index below 2"));
    let axes = of(QuantKind::MultiAxis { scales: TensorId(0), zero_points: None, block_size: 1, axes: vec![0, 5] });
    assert_eq!(axes, format!("{at}quantized_dimensions: found 5, expected an index below 2"));
}

#[test]
fn sparsity() {
    let of = |traversal_order: &[i32], block_map: &[i32], last: SparsityDimension| {
        message_of(|g| {
            let dimensions = vec![SparsityDimension::Dense { size: 2 }, last];
            let sparsity =
                Sparsity { traversal_order: traversal_order.to_vec(), block_map: block_map.to_vec(), dimensions };
            g.tensor(Tensor {
                name: "s".to_owned(),
                dtype: F32,
                dims: vec![2, 8],
                shape: Shape::known(&[2, 8]),
                quant: None,
                sparsity: Some(sparsity),
                data: Data::Constant(vec![1; 12].into()),
            });
        })
    };
    let csr = |segments: &[i32], indices: &[i32]| SparsityDimension::Csr {
        segments: segments.to_vec(),
        indices: indices.to_vec(),
    };
    let good = || csr(&[0, 1, 3], &[7, 0, 3]);
    let at = "subgraph 0 tensor 0 \"s\": ";
    assert_eq!(of(&[0, 1], &[], good()), "read");
    assert_eq!(
        of(&[0, 0], &[], good()),
        format!("{at}traversal order: found [0, 0], expected each of 2 dimensions once")
    );
    assert_eq!(of(&[0, 1], &[0], good()), format!("{at}sparsity dimensions: found 2, expected 3 (rank and blocks)"));
    for segments in [&[0, 2, 1][..], &[1, 3], &[0, 1, 2], &[0, 1, 4], &[]] {
        let found = of(&[0, 1], &[], csr(segments, &[7, 0, 3]));
        assert_eq!(found, format!("{at}segments: found {} of them, expected rising from 0 to 3", segments.len()));
    }
    let negative = of(&[0, 1], &[], csr(&[0, 1], &[-7]));
    assert_eq!(negative, format!("{at}sparse index: found -7, expected 0 or more"));
}

#[test]
fn sparse_zeros_are_a_constant() -> Result<(), crate::Error> {
    let mut graph = GraphBuilder::new();
    let dimensions =
        vec![SparsityDimension::Dense { size: 1 }, SparsityDimension::Csr { segments: vec![0, 0], indices: vec![] }];
    graph.tensor(Tensor {
        name: "zeros".to_owned(),
        dtype: F32,
        dims: vec![1, 4],
        shape: Shape::known(&[1, 4]),
        quant: None,
        sparsity: Some(Sparsity { traversal_order: vec![0, 1], block_map: vec![], dimensions }),
        data: Data::Constant(crate::Bytes::default()),
    });
    let program = Program::read(ModelBuilder::new().subgraph(graph).finish()?.into())?;
    assert_eq!(program.subgraphs[0].tensors[0].data, Data::Constant(crate::Bytes::default()));
    Ok(())
}

/// A file with one node, written without the crate's own writer.
fn one_node(code: i32, old_code: i8, custom: Option<&str>, node: &OperatorArgs<'_>) -> Vec<u8> {
    let mut b = FlatBufferBuilder::new();
    let custom_code = custom.map(|name| b.create_string(name));
    let code = OperatorCodeArgs {
        builtin_code: schema::BuiltinOperator(code),
        deprecated_builtin_code: old_code,
        custom_code,
        version: 4,
    };
    let code = OperatorCode::create(&mut b, &code);
    let operator_codes = Some(b.create_vector(&[code]));
    let table = schema::SoftmaxOptions::create(&mut b, &schema::SoftmaxOptionsArgs { beta: 2.0 });
    let pool = schema::Pool2DOptionsArgs { padding: schema::Padding(9), ..Default::default() };
    let pool = schema::Pool2DOptions::create(&mut b, &pool);
    let node = OperatorArgs {
        builtin_options: match node.builtin_options_type {
            schema::BuiltinOptions::SoftmaxOptions => Some(table.as_union_value()),
            schema::BuiltinOptions::Pool2DOptions => Some(pool.as_union_value()),
            _ => None,
        },
        ..*node
    };
    let node = Operator::create(&mut b, &node);
    let operators = Some(b.create_vector(&[node]));
    let graph = schema::SubGraph::create(&mut b, &schema::SubGraphArgs { operators, ..Default::default() });
    let subgraphs = Some(b.create_vector(&[graph]));
    let model = ModelArgs { version: 3, operator_codes, subgraphs, ..Default::default() };
    let model = Model::create(&mut b, &model);
    schema::finish_model_buffer(&mut b, model);
    b.finished_data().to_vec()
}

fn node_of(file: Vec<u8>) -> Result<crate::Node, String> {
    let mut program = Program::read(file.into()).map_err(|e| e.to_string())?;
    Ok(program.subgraphs.remove(0).nodes.remove(0))
}

fn options(tag: schema::BuiltinOptions) -> OperatorArgs<'static> {
    OperatorArgs { builtin_options_type: tag, ..Default::default() }
}

#[test]
fn operator_codes_old_and_new() {
    let none = options(schema::BuiltinOptions::NONE);
    let op = |code, old, custom| node_of(one_node(code, old, custom, &none)).map(|n| n.op.name().to_owned());
    assert_eq!(op(0, 25, None), Ok("SOFTMAX".to_owned()));
    assert_eq!(op(25, 25, None), Ok("SOFTMAX".to_owned()));
    assert_eq!(op(151, 127, None), Ok("DYNAMIC_UPDATE_SLICE".to_owned()));
    assert_eq!(op(32, 32, Some("Own")), Ok("Own".to_owned()));
    let no_name = "subgraph 0 node 0 : operator code: found CUSTOM without a name, expected a custom operator's name";
    assert_eq!(op(32, 32, None), Err(no_name.to_owned()));
    let unknown = "subgraph 0 node 0 : operator code: found 9999, expected a builtin that the schema knows";
    assert_eq!(op(9999, 127, None), Err(unknown.to_owned()));
    assert!(op(-1, -1, None).is_err());
}

#[test]
fn options_of_all_sorts() {
    let softmax = |tag| node_of(one_node(25, 25, None, &options(tag))).map(|n| n.op);
    let with_beta = |beta| Ok(Op::Softmax(crate::SoftmaxOptions { beta }));
    assert_eq!(softmax(schema::BuiltinOptions::SoftmaxOptions), with_beta(2.0));
    assert_eq!(softmax(schema::BuiltinOptions::NONE), with_beta(0.0));
    let wrong = "subgraph 0 node 0 SOFTMAX: options: found Pool2DOptions, expected SoftmaxOptions";
    assert_eq!(softmax(schema::BuiltinOptions::Pool2DOptions), Err(wrong.to_owned()));
    let padding = node_of(one_node(1, 1, None, &options(schema::BuiltinOptions::Pool2DOptions))).map(|n| n.op);
    let expected =
        "subgraph 0 node 0 AVERAGE_POOL_2D: attribute padding: found 9, expected a number that the schema knows";
    assert_eq!(padding, Err(expected.to_owned()));
    // A builtin without attributes does not look at its options.
    let relu = node_of(one_node(19, 19, None, &options(schema::BuiltinOptions::Pool2DOptions))).map(|n| n.op);
    assert_eq!(relu, Ok(Op::Relu));
}

#[test]
fn an_options_type_without_its_table_means_the_defaults() {
    let node = node_of(one_node(0, 0, None, &options(schema::BuiltinOptions::AddOptions)));
    assert_eq!(node.as_ref().map(|n| &n.op), Ok(&Op::Add(Default::default())));
    assert_eq!(node.map(|n| n.version), Ok(4));
}

#[test]
fn ranges_outside_of_the_flatbuffer() {
    let large = |offset, size| {
        let options =
            OperatorArgs { large_custom_options_offset: offset, large_custom_options_size: size, ..Default::default() };
        let mut file = one_node(32, 32, Some("Own"), &options);
        file.extend([9, 8, 7]);
        let len = file.len();
        (node_of(file).map(|n| n.op), len)
    };
    let (_, len) = large(2, 1);
    let found = large(len as u64 - 3, 3).0;
    assert_eq!(found, Ok(Op::Custom { name: "Own".to_owned(), options: Bytes::from(vec![9, 8, 7]) }));
    let beyond = large(len as u64 - 3, 4).0;
    let expected =
        format!("custom options: found offset {}, size 4, expected a range of the file's {len} bytes", len - 3);
    assert!(beyond.as_ref().is_err_and(|e| e.ends_with(&expected)), "{beyond:?}");
    assert!(large(u64::MAX, u64::MAX).0.is_err());
}

#[test]
fn files_that_are_no_models() {
    let of = |bytes: &[u8]| Program::read(bytes.to_vec().into()).map_err(|e| e.to_string()).map(drop);
    assert_eq!(of(b""), Err("not a .tflite file: identifier \"\", expected \"TFL3\"".to_owned()));
    assert_eq!(of(b"....GGUF...."), Err("not a .tflite file: identifier \"GGUF\", expected \"TFL3\"".to_owned()));
    assert!(of(b"\xff\xff\xff\xffTFL3").is_err_and(|e| e.starts_with("not a .tflite file: ")));
}

#[test]
fn long_texts_are_cut_in_messages() {
    let name = "x".repeat(10_000);
    let message = message_of(|g| {
        g.constant(&name, F32, &[1; 3000], vec![1]);
    });
    assert!(message.len() < 700, "{}", message.len());
}
