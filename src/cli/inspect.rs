//! `inspect`: what a file holds, and where its nodes would run.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Value as Json, json};
use tflite_wgpu::{
    Model,
    model::{
        Bytes, Data, Graph, ModelMetadata, Program, Quant, QuantKind, SignatureTensor, Tensor, TensorId, packed_files,
    },
    options::DeviceChoice,
};

use super::{
    entry::Entry,
    failure::{Failure, InFile, Res},
    inputs::{InputArgs, Missing},
    options::RunOptions,
    plan_view, render,
    session::{Loaded, Session, node_count},
};

/// Shows what a model file holds and, with --plan, where its nodes run
#[derive(clap::Args)]
pub struct Args {
    /// The .tflite file
    model: PathBuf,
    /// Invoke once and show partitions, steps, and each CPU node with the reason
    #[arg(long)]
    plan: bool,
    /// List the tensors too
    #[arg(long)]
    tensors: bool,
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    run: RunOptions,
}

pub fn run(args: &Args, json: bool) -> Res<()> {
    let bytes = Bytes::open(&args.model).map_err(Failure::new).in_file(&args.model)?;
    let program = Program::read(bytes.clone()).in_file(&args.model)?;
    let about = program.model_metadata().in_file(&args.model)?;
    let packed = packed_files(&bytes).in_file(&args.model)?;
    let files: Vec<(String, usize)> = packed.into_iter().map(|file| (file.name, file.data.len())).collect();
    let plan = if args.plan { Some(plan(args, &program)?) } else { None };
    let contents = Contents { size: bytes.len(), program: &program, about: about.as_ref(), files: &files };
    if json {
        let mut found = contents.json(args);
        if let Some((session, loaded, failure)) = &plan
            && let Some(object) = found.as_object_mut()
        {
            let mut planned = plan_view::json(session, loaded, &plan_view::places(&program, session, loaded));
            if let Some(planned) = planned.as_object_mut() {
                planned.insert("invoke_failure".to_owned(), json!(failure));
            }
            object.insert("plan".to_owned(), planned);
        }
        render::print_json(&found)?;
    } else {
        let mut text = contents.text(args);
        if let Some((session, loaded, failure)) = &plan {
            text.push_str(&plan_view::text(session, loaded, &plan_view::places(&program, session, loaded)));
            if let Some(failure) = failure {
                text.push_str(&format!("not all of it is planned, as the invoke failed: {failure}\n"));
            }
        }
        render::print(&text)?;
    }
    Ok(())
}

/// Invokes once with made-up inputs: partitions are planned when they run. A failure of that is part of the answer.
fn plan(args: &Args, program: &Program) -> Res<(Session, Loaded, Option<String>)> {
    let model = Model::new(program.clone()).in_file(&args.model)?;
    let entry = Entry::of(&model, args.inputs.signature()).in_file(&args.model)?;
    let inputs = args.inputs.values(&entry, Missing::Random(args.run.memory_limit())).in_file(&args.model)?;
    let session = Session::open(&args.run, DeviceChoice::Auto)?;
    let mut loaded = session.load(&model).in_file(&args.model)?;
    let failure = entry.invoke(&mut loaded.interpreter, &inputs).err().map(|failure| failure.to_string());
    Ok((session, loaded, failure))
}

/// What a file holds.
struct Contents<'a> {
    size: usize,
    program: &'a Program,
    about: Option<&'a ModelMetadata>,
    files: &'a [(String, usize)],
}

impl Contents<'_> {
    fn operators(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for node in self.program.subgraphs.iter().flat_map(|graph| &graph.nodes) {
            *counts.entry(node.op.name().to_owned()).or_insert(0) += 1;
        }
        counts
    }

    fn text(&self, args: &Args) -> String {
        let program = self.program;
        let mut text = format!("{}\n", args.model.display());
        let (size, constants) = (render::bytes(self.size as u64), render::bytes(program.constant_bytes() as u64));
        text.push_str(&format!("  {} model, {size}, constants {constants}", program.kind()));
        text.push_str(if program.is_stateful() { ", keeps a state\n" } else { "\n" });
        if !program.description.is_empty() {
            text.push_str(&format!("  description {:?}, schema version {}\n", program.description, program.version));
        }
        for (i, graph) in program.subgraphs.iter().enumerate() {
            let (nodes, tensors) =
                (render::count(graph.nodes.len(), "node"), render::count(graph.tensors.len(), "tensor"));
            text.push_str(&format!("subgraph {i} {:?}: {nodes}, {tensors}\n", graph.name));
            for (side, ids) in [("input", &graph.inputs), ("output", &graph.outputs)] {
                let row = |(n, id): (usize, &TensorId)| tensor_row(graph, &format!("{side} {n}"), *id);
                text.push_str(&render::table(&ids.iter().enumerate().map(row).collect::<Vec<_>>()));
            }
            if args.tensors {
                let row = |n: usize| tensor_row(graph, &format!("tensor {n}"), TensorId::from_index(n));
                text.push_str(&render::table(&(0..graph.tensors.len()).map(row).collect::<Vec<_>>()));
            }
        }
        for signature in &program.signatures {
            let names = |list: &[SignatureTensor]| {
                list.iter().map(|s| format!("{} (tensor {})", s.name, s.tensor)).collect::<Vec<_>>().join(", ")
            };
            let (inputs, outputs) = (names(&signature.inputs), names(&signature.outputs));
            text.push_str(&format!(
                "signature {:?}, subgraph {}: {inputs} -> {outputs}\n",
                signature.key, signature.subgraph
            ));
        }
        text.push_str(&format!("operators: {}\n", render::count(node_count(program), "node")));
        let row = |(op, count): (String, usize)| vec![count.to_string(), op];
        text.push_str(&render::table(&self.operators().into_iter().map(row).collect::<Vec<_>>()));
        self.metadata_text(&mut text);
        text
    }

    fn metadata_text(&self, text: &mut String) {
        if let Some(about) = self.about {
            let pairs = [
                ("name", &about.name),
                ("description", &about.description),
                ("version", &about.version),
                ("author", &about.author),
                ("licence", &about.license),
            ];
            for (key, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
                text.push_str(&format!("{key}: {value}\n"));
            }
        }
        for entry in &self.program.metadata {
            text.push_str(&format!("metadata {:?}: {}\n", entry.name, render::bytes(entry.data.len() as u64)));
        }
        for (name, size) in self.files {
            text.push_str(&format!("packed file {name:?}: {}\n", render::bytes(*size as u64)));
        }
    }

    fn json(&self, args: &Args) -> Json {
        let program = self.program;
        let signature = |s: &tflite_wgpu::model::Signature| {
            let tensors = |list: &[SignatureTensor]| {
                list.iter().map(|s| json!({ "name": s.name, "tensor": s.tensor.0 })).collect::<Vec<_>>()
            };
            json!({
                "key": s.key, "subgraph": s.subgraph.0, "inputs": tensors(&s.inputs), "outputs": tensors(&s.outputs),
            })
        };
        let metadata = |m: &tflite_wgpu::model::Metadata| json!({ "name": m.name, "bytes": m.data.len() });
        json!({
            "model": args.model,
            "bytes": self.size,
            "kind": program.kind().to_string(),
            "description": program.description,
            "version": program.version,
            "constant_bytes": program.constant_bytes(),
            "stateful": program.is_stateful(),
            "nodes": node_count(program),
            "operators": self.operators(),
            "signatures": program.signatures.iter().map(signature).collect::<Vec<_>>(),
            "subgraphs": program.subgraphs.iter().map(graph_json).collect::<Vec<_>>(),
            "metadata": program.metadata.iter().map(metadata).collect::<Vec<_>>(),
            "about": self.about.map(|about| json!({
                "name": about.name,
                "description": about.description,
                "version": about.version,
                "author": about.author,
                "license": about.license,
            })),
            "packed_files": self.files.iter().map(|(name, size)| json!({ "name": name, "bytes": size })).collect::<Vec<_>>(),
        })
    }
}

fn graph_json(graph: &Graph) -> Json {
    let ids = |list: &[Option<TensorId>]| list.iter().map(|id| id.map(|id| id.0)).collect::<Vec<_>>();
    let nodes = graph.nodes.iter().enumerate().map(|(i, node)| {
        json!({
            "node": i,
            "op": node.op.name(),
            "version": node.version,
            "inputs": ids(&node.inputs),
            "outputs": ids(&node.outputs),
        })
    });
    json!({
        "name": graph.name,
        "inputs": graph.inputs.iter().map(|id| id.0).collect::<Vec<_>>(),
        "outputs": graph.outputs.iter().map(|id| id.0).collect::<Vec<_>>(),
        "nodes": nodes.collect::<Vec<_>>(),
        "tensors": graph.tensors.iter().map(tensor_json).collect::<Vec<_>>(),
    })
}

fn tensor_json(tensor: &Tensor) -> Json {
    let signature: Vec<i64> = tensor
        .shape
        .0
        .iter()
        .map(|dim| match dim {
            tflite_wgpu::model::Dim::Known(size) => i64::try_from(*size).unwrap_or(i64::MAX),
            tflite_wgpu::model::Dim::Unknown => -1,
        })
        .collect();
    json!({
        "name": tensor.name,
        "dtype": tensor.dtype.name(),
        "shape": tensor.dims,
        "shape_signature": signature,
        "role": role(tensor),
        "bytes": tensor.constant().map(|bytes| bytes.len()),
        "quantization": tensor.quant.as_ref().and_then(quant_json),
        "sparse": tensor.sparsity.is_some(),
    })
}

fn quant_json(quant: &Quant) -> Option<Json> {
    match &quant.kind {
        QuantKind::None => None,
        QuantKind::Affine { scale, zero_point, axis } => {
            Some(json!({ "scale": scale, "zero_point": zero_point, "axis": axis }))
        }
        QuantKind::Blockwise { block_size, axis, .. } => Some(json!({ "block_size": block_size, "axis": axis })),
        QuantKind::MultiAxis { block_size, axes, .. } => Some(json!({ "block_size": block_size, "axes": axes })),
        QuantKind::Custom(bytes) => Some(json!({ "custom_bytes": bytes.len() })),
    }
}

fn role(tensor: &Tensor) -> &'static str {
    match tensor.data {
        Data::Constant(_) => "constant",
        Data::Variable => "variable",
        Data::Computed => "computed",
    }
}

/// Place, name, type and shape, quantisation.
fn tensor_row(graph: &Graph, place: &str, id: TensorId) -> Vec<String> {
    let Some(tensor) = graph.tensors.get(id.index()) else { return Vec::new() };
    let quant = match tensor.quant.as_ref().map(|quant| &quant.kind) {
        Some(QuantKind::Affine { scale, zero_point, .. }) => match (scale.as_slice(), zero_point.as_slice()) {
            ([scale], [zero]) => format!("scale {scale}, zero point {zero}"),
            (scales, _) => format!("{} scales", scales.len()),
        },
        Some(QuantKind::Blockwise { block_size, .. } | QuantKind::MultiAxis { block_size, .. }) => {
            format!("blocks of {block_size}")
        }
        Some(QuantKind::Custom(_)) => "custom quantisation".to_owned(),
        Some(QuantKind::None) | None => String::new(),
    };
    let kind = if tensor.data == Data::Computed { "" } else { role(tensor) };
    vec![
        place.to_owned(),
        format!("{:?}", tensor.name),
        format!("{} {}", tensor.dtype, tensor.shape),
        kind.to_owned(),
        quant,
    ]
}
