//! Damaged files give an error or a program, never a panic, and cost no more than the file's length explains.

use std::{
    error::Error,
    path::Path,
    time::{Duration, Instant},
};

use tflite_wgpu_model::{Bytes, DType, Data, GraphBuilder, ModelBuilder, Op, Program, SubgraphId, TensorId};

/// A file with a bit of everything.
fn sample() -> Result<Vec<u8>, tflite_wgpu_model::Error> {
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", DType::Float32, &[1, 4, 4, 2]);
    let weights = graph.constant_i8("w", &[3, 1, 1, 2], &[1, 2, 3, 4, 5, 6]);
    graph.quantize_axis(weights, &[0.5, 0.25, 1.0], &[0], 0);
    let bias = graph.constant_f32("b", &[3], &[1.0, 2.0, 3.0]);
    let inputs = [Some(x), Some(weights), Some(bias)];
    let y = graph.op(Op::Conv2d(Default::default()), &inputs, &[("y", DType::Float32, &[1, 4, 4, 3])]);
    let to = graph.constant_i32("to", &[2], &[1, 48]);
    let z = graph.op(Op::Reshape(Default::default()), &[Some(y), Some(to)], &[("z", DType::Float32, &[1, 48])]);
    let custom = Op::Custom { name: "Own".to_owned(), options: Bytes::from(vec![1, 2, 3, 4]) };
    let parts = graph.op_multi(custom, &[Some(z), None], &[("a", DType::String, &[]), ("r", DType::Resource, &[1])]);
    graph.variable("state", DType::Float32, &[1, 8]);
    graph.constant_strings("labels", &[2], &[b"one", b"two"]);
    let call = tflite_wgpu_model::CallOptions { subgraph: 1 };
    let called = graph.op(Op::Call(call), &[Some(z)], &[("c", DType::Float32, &[1, 48])]);
    graph.output(called);
    parts.iter().for_each(|&part| graph.output(part));
    let mut second = GraphBuilder::named("second");
    let input = second.input("i", DType::Float32, &[1, 48]);
    let output = second.op(Op::Relu, &[Some(input)], &[("o", DType::Float32, &[1, 48])]);
    second.output(output);
    ModelBuilder::new()
        .subgraph(graph)
        .subgraph(second)
        .signature("serving_default", SubgraphId(0), &[("x", x)], &[("c", called)])
        .metadata("some", vec![1, 2, 3])
        .description("text")
        .finish()
}

/// Small files that differ much: the sample, and shared ones where they are.
fn files() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = vec![("sample".to_owned(), sample().map_err(std::io::Error::other)?)];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/micro");
    for name in ["while_op_with_forwarding_input", "multi_signatures", "sparse_tensor", "quant_lstm_quantized"] {
        let path = folder.join(format!("{name}.tflite"));
        if path.exists() {
            files.push((name.to_owned(), std::fs::read(path)?));
        }
    }
    Ok(files)
}

/// What no file may take to read, on however busy a machine: it would be a hang.
const HANG: Duration = Duration::from_secs(60);

/// Reads a damaged file and judges what comes back.
fn check(what: &str, bytes: Vec<u8>) -> bool {
    let (len, start) = (bytes.len(), Instant::now());
    let read = Program::read(Bytes::from(bytes));
    assert!(start.elapsed() < HANG, "{what}: {:?}", start.elapsed());
    match read {
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains('\n') && message.len() < 2000, "{what}: {message}");
            false
        }
        Ok(program) => {
            assert_consistent(what, &program, len);
            true
        }
    }
}

/// What every program promises: indices inside, constants of the right length, all of it no larger than the file.
fn assert_consistent(what: &str, program: &Program, len: usize) {
    let mut parts = 0;
    for graph in &program.subgraphs {
        parts += graph.tensors.len() + graph.nodes.len();
        let inside = |id: &TensorId| assert!(id.index() < graph.tensors.len(), "{what}: tensor {id}");
        graph.inputs.iter().chain(&graph.outputs).for_each(inside);
        for node in &graph.nodes {
            let ids = node.inputs.iter().chain(&node.outputs).chain(&node.intermediates);
            ids.flatten().for_each(inside);
            parts += node.inputs.len() + node.outputs.len() + node.intermediates.len();
            for called in node.op.called_subgraphs() {
                assert!(usize::try_from(called).is_ok_and(|g| g < program.subgraphs.len()), "{what}: {called}");
            }
        }
        for tensor in &graph.tensors {
            parts += tensor.dims.len();
            if let (Data::Constant(data), None) = (&tensor.data, &tensor.sparsity) {
                let needed = tensor.dtype.packed_bytes(tensor.dims.iter().product());
                assert!(needed.is_none_or(|n| n == data.len()), "{what}: {} bytes", data.len());
            }
        }
    }
    assert!(parts <= len * 8, "{what}: {parts} parts of {len} bytes");
}

#[test]
fn files_that_are_cut_off() -> Result<(), Box<dyn Error>> {
    for (name, bytes) in files()? {
        assert!(check(&name, bytes.clone()), "{name} itself");
        for len in 0..bytes.len() {
            check(&format!("{name} cut at {len}"), bytes[..len].to_vec());
        }
        assert!(!check(&name, bytes[..bytes.len() / 2].to_vec()), "half of {name}");
    }
    Ok(())
}

#[test]
fn every_bit_of_a_small_file_flipped() -> Result<(), Box<dyn Error>> {
    let bytes = sample()?;
    let (mut read, mut refused) = (0, 0);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            if check(&format!("byte {at} bit {bit}"), damaged) { read += 1 } else { refused += 1 }
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} read, {refused} refused");
    Ok(())
}

/// A generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count
    }
}

#[test]
fn words_replaced_by_other_words() -> Result<(), Box<dyn Error>> {
    let mut numbers = Numbers(1);
    let odd = [0u32, 1, 4, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffc, 0x0001_0000, 255];
    for (name, bytes) in files()? {
        for round in 0..3000 {
            let mut damaged = bytes.clone();
            for _ in 0..=numbers.below(3) {
                let at = numbers.below(damaged.len() / 4) * 4;
                let word = if numbers.below(2) == 0 {
                    odd[numbers.below(odd.len())].to_le_bytes()
                } else {
                    let from = numbers.below(damaged.len() / 4) * 4;
                    [damaged[from], damaged[from + 1], damaged[from + 2], damaged[from + 3]]
                };
                damaged[at..at + 4].copy_from_slice(&word);
            }
            check(&format!("{name} round {round}"), damaged);
        }
    }
    Ok(())
}

#[test]
fn bytes_that_are_nothing() {
    for len in [0, 1, 4, 7, 8, 9, 64, 1000] {
        assert!(!check("zeros", vec![0; len]));
        let mut marked = vec![0xffu8; len];
        if len >= 8 {
            marked[4..8].copy_from_slice(b"TFL3");
        }
        assert!(!check("ones", marked));
    }
}
