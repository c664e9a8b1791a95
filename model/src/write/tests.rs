//! What is written is read back as it was.

use crate::{
    Bytes, DType, Data, Dim, GraphBuilder, ModelBuilder, Op, Program, Quant, QuantKind, Shape, Sparsity,
    SparsityDimension, SubgraphId, Tensor, TensorId, generated::samples::samples, generated::schema,
};

use super::write_with_limit;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn read_back(program: &Program) -> Result<Program, crate::Error> {
    Program::read(program.write()?.into())
}

#[test]
fn every_operator_keeps_its_attributes() -> Outcome {
    let ops = samples();
    assert_eq!(ops.len(), crate::BuiltinOperator::ALL.len());
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", DType::Float32, &[1]);
    for (op, &builtin) in ops.iter().zip(crate::BuiltinOperator::ALL) {
        assert_eq!(op.builtin(), builtin);
        if let Some(default) = Op::with_defaults(builtin) {
            assert!(*op != default || format!("{op:?}") == format!("{builtin:?}"), "{op:?} is the default");
        }
        graph.op(op.clone(), &[Some(x), None], &[("y", DType::Float32, &[1])]);
    }
    let mut model = ModelBuilder::new().subgraph(graph);
    for _ in 0..16 {
        model = model.subgraph(GraphBuilder::new());
    }
    let program = model.program();
    let found = read_back(&program)?;
    for (found, expected) in found.subgraphs[0].nodes.iter().zip(&program.subgraphs[0].nodes) {
        assert_eq!(found, expected);
    }
    assert_eq!(found, program);
    let explicit = program.write_explicit()?;
    assert!(explicit.len() > program.write()?.len(), "defaults take no room");
    assert_eq!(Program::read(explicit.into())?, program);
    Ok(())
}

#[test]
fn an_absent_options_table_means_the_defaults() -> Outcome {
    for &builtin in crate::BuiltinOperator::ALL {
        let Some(op) = Op::with_defaults(builtin) else { continue };
        let mut b = flatbuffers::FlatBufferBuilder::new();
        let node = schema::Operator::create(&mut b, &schema::OperatorArgs::default());
        b.finish_minimal(node);
        let node = flatbuffers::root::<schema::Operator<'_>>(b.finished_data())?;
        assert_eq!(crate::generated::read::read_op(builtin, &node), Ok(op));
    }
    Ok(())
}

/// One tensor of each type, kind of data, quantisation and sparsity.
fn odd_tensors() -> GraphBuilder {
    let mut graph = GraphBuilder::named("odd \u{1F600} \"name\"");
    let x = graph.input("", DType::Float32, &[1, 8, 8, 3]);
    graph.signature_shape(x, Shape(vec![Dim::Unknown, Dim::Known(8), Dim::Unknown, Dim::Known(3)]));
    for &dtype in DType::ALL {
        graph.input(dtype.name(), dtype, &[2, 3]);
        if let Some(size) = dtype.packed_bytes(5) {
            let bytes = (1u8..).take(size).collect::<Vec<_>>();
            graph.constant(dtype.name(), dtype, &[5], bytes);
        }
    }
    graph.constant_strings("strings", &[2], &[b"", b"\xff text"]);
    graph.constant_f32("scalar", &[], &[1.0]);
    graph.constant_f32("empty", &[0, 4], &[]);
    graph.variable("state", DType::Int16, &[1, 7]);
    let per_axis = graph.constant_i8("per axis", &[2, 3], &[1, 2, 3, 4, 5, 6]);
    graph.quantize_axis(per_axis, &[0.5, 0.25, 0.125], &[0, -3, 7], 1);
    let scales = graph.constant_f16("scales", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let kinds = [
        QuantKind::None,
        QuantKind::Affine { scale: vec![0.5], zero_point: vec![-128], axis: 0 },
        QuantKind::Blockwise { scales, zero_points: None, block_size: 2, axis: 1 },
        QuantKind::Blockwise { scales, zero_points: Some(scales), block_size: 2, axis: 0 },
        QuantKind::MultiAxis { scales, zero_points: Some(scales), block_size: 1, axes: vec![0, 1] },
        QuantKind::Custom(vec![9, 8, 7]),
    ];
    for kind in kinds {
        let id = graph.constant("quantised", DType::Int4, &[2, 4], vec![1, 2, 3, 4]);
        if let Some(tensor) = graph.tensor_mut(id) {
            tensor.quant = Some(Quant { min: vec![-1.0], max: vec![1.0, 2.0], kind });
        }
    }
    let y = graph.op(Op::Relu, &[Some(x)], &[("y", DType::Float32, &[1, 8, 8, 3])]);
    graph.output(y);
    graph.output(x);
    graph
}

fn sparse(indices: Vec<i32>) -> Tensor {
    let count = indices.len();
    let end = i32::try_from(count).unwrap_or(i32::MAX);
    let dimensions = vec![
        SparsityDimension::Dense { size: 2 },
        SparsityDimension::Csr { segments: vec![0, 1, end], indices },
        SparsityDimension::Dense { size: 1 },
    ];
    Tensor {
        name: "sparse".to_owned(),
        dtype: DType::Float32,
        dims: vec![2, 100_000],
        shape: Shape::known(&[2, 100_000]),
        quant: None,
        sparsity: Some(Sparsity { traversal_order: vec![0, 1, 2], block_map: vec![1], dimensions }),
        data: Data::Constant(Bytes::from(vec![7; count * 4])),
    }
}

fn odd_program() -> Program {
    let mut graph = odd_tensors();
    for indices in [vec![3, 255], vec![3, 256], vec![3, 65_536]] {
        graph.tensor(sparse(indices));
    }
    let mut second = GraphBuilder::named("");
    let z = second.input("z", DType::Int32, &[]);
    second.op_multi(
        Op::Custom { name: "two outputs".to_owned(), options: Bytes::from(vec![1, 2, 3]) },
        &[Some(z), None],
        &[("a", DType::Int32, &[]), ("b", DType::Int32, &[4])],
    );
    second.op_multi(Op::Custom { name: "nothing".to_owned(), options: Bytes::default() }, &[], &[]);
    ModelBuilder::new()
        .subgraph(graph)
        .subgraph(second)
        .signature("serving_default", SubgraphId(0), &[("x", TensorId(0))], &[("y", TensorId(1)), ("z", TensorId(0))])
        .signature("", SubgraphId(1), &[], &[])
        .metadata("min_runtime_version", b"1.14.0".to_vec())
        .metadata("nothing", Vec::new())
        .description("a description")
        .program()
}

#[test]
fn everything_else_is_kept() -> Outcome {
    let program = odd_program();
    assert_eq!(read_back(&program)?, program);
    assert_eq!(Program::read(program.write_explicit()?.into())?, program);
    Ok(())
}

#[test]
fn data_are_aligned_inside_and_outside() -> Outcome {
    let program = odd_program();
    let inside = program.write()?;
    let outside = write_with_limit(&program, 0, false)?;
    assert_ne!(inside.len(), outside.len());
    for file in [inside, outside] {
        let bytes = Bytes::from(file);
        let start = bytes.as_ptr().addr();
        let found = Program::read(bytes)?;
        for tensor in found.subgraphs.iter().flat_map(|g| &g.tensors) {
            let Some(data) = tensor.constant().filter(|d| !d.is_empty()) else { continue };
            assert_eq!((data.as_ptr().addr() - start) % 16, 0, "{}", tensor.name);
        }
        assert_eq!(found, program);
    }
    Ok(())
}

#[test]
fn shared_constants_are_written_once() -> Outcome {
    let data = Bytes::from(vec![5; 1000]);
    let mut graph = GraphBuilder::new();
    for _ in 0..10 {
        graph.constant("w", DType::UInt8, &[1000], data.clone());
    }
    let file = ModelBuilder::new().subgraph(graph).finish()?;
    assert!(file.len() < 2500, "{} bytes", file.len());
    Ok(())
}

#[test]
fn sizes_beyond_the_format_are_refused() {
    let mut graph = GraphBuilder::new();
    graph.input("x", DType::Float32, &[1 << 31]);
    let error = ModelBuilder::new().subgraph(graph).finish().err().map(|e| e.to_string());
    let expected = "subgraph 0 tensor 0 \"x\": shape: found 2147483648, expected at most 2147483647";
    assert_eq!(error.as_deref(), Some(expected));
}
