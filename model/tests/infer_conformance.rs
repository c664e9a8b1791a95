//! Shape inference against the conformance packs: every output shape that can be inferred is the expected one.
//!
//! The packs lie at `TFLITE_WGPU_CONFORMANCE` or `../shared/conformance` beside the repository, whole models at
//! `TFLITE_WGPU_MODELS` or `../shared/models`; without them a test says so and passes.

use std::{
    collections::BTreeMap,
    error::Error,
    fs::File,
    io::{Read, Seek},
    path::{Path, PathBuf},
};

use serde_json::Value as Json;
use tflite_wgpu_model::{
    BuiltinOperator, Bytes, DType, Graph, Node, Op, Program, SignatureTensor, SubgraphId, Tensor, TensorId,
    infer::{Inputs, infer},
};
use zip::ZipArchive;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Cases whose outputs were all inferred, at least.
const CHECKED: usize = 6867;
/// Cases where a chain of operators computes a shape, whose values this test does not follow, at most.
const CHAINS: usize = 8;
/// Cases that the reader refuses, at most: a sparse constant without a single non-zero element has an empty buffer.
const UNREAD: usize = 9;
/// Tensors of whole models whose inferred shape is the file's, at least.
const TENSORS: usize = 10_925;
/// Models that the runtime refuses for their shapes, too.
const CONTRADICTORY: &[&str] =
    &["quant_svdf_calibrated", "quant_svdf_quantized", "simple_squeeze", "test_model", "test_model_versioned_ops"];
/// Builtins that leave outputs open: control flow, and sizes that the kernel finds. Custom operators do, too.
const BY_KERNEL: &[&str] = &[
    "IF",
    "READ_VARIABLE",
    "SKIP_GRAM",
    "STABLEHLO_CASE",
    "STABLEHLO_COMPOSITE",
    "STABLEHLO_WHILE",
    "UNIQUE",
    "WHERE",
    "WHILE",
];

#[derive(Clone)]
enum Values {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
}

/// What is known of a subgraph's tensors.
struct Known<'a> {
    graph: &'a Graph,
    shapes: Vec<Option<Vec<usize>>>,
    values: Vec<Option<Values>>,
}

/// The same, as one node sees it.
struct NodeView<'a> {
    known: &'a Known<'a>,
    node: &'a Node,
}

impl NodeView<'_> {
    fn values(&self, i: usize) -> Option<&Values> {
        self.known.values.get(self.node.input(i)?.index())?.as_ref()
    }

    fn tensor(&self, i: usize) -> Option<&Tensor> {
        self.known.graph.tensors.get(self.node.output(i)?.index())
    }
}

impl Inputs for NodeView<'_> {
    fn shape(&self, i: usize) -> Option<(DType, &[usize])> {
        let id = self.node.input(i)?.index();
        Some((self.known.graph.tensors.get(id)?.dtype, self.known.shapes.get(id)?.as_deref()?))
    }

    fn ints(&self, i: usize) -> Option<Vec<i64>> {
        if let Values::Ints(values) = self.values(i)? { Some(values.clone()) } else { None }
    }

    fn floats(&self, i: usize) -> Option<Vec<f64>> {
        if let Values::Floats(values) = self.values(i)? { Some(values.clone()) } else { None }
    }

    fn output_dtype(&self, i: usize) -> Option<DType> {
        Some(self.tensor(i)?.dtype)
    }

    fn output_shape(&self, i: usize) -> Option<Vec<usize>> {
        self.tensor(i)?.shape.dims()
    }
}

/// Elements of the types that decide shapes, from packed little-endian bytes.
fn decode(dtype: DType, bytes: &[u8]) -> Option<Values> {
    fn ints<const N: usize>(bytes: &[u8], read: fn([u8; N]) -> i64) -> Option<Values> {
        Some(Values::Ints(bytes.as_chunks::<N>().0.iter().map(|&bytes| read(bytes)).collect()))
    }
    match dtype {
        DType::Int8 => ints(bytes, |b| i8::from_le_bytes(b).into()),
        DType::UInt8 | DType::Bool => ints(bytes, |b: [u8; 1]| b[0].into()),
        DType::Int16 => ints(bytes, |b| i16::from_le_bytes(b).into()),
        DType::Int32 => ints(bytes, |b| i32::from_le_bytes(b).into()),
        DType::UInt32 => ints(bytes, |b| u32::from_le_bytes(b).into()),
        DType::Int64 => ints(bytes, i64::from_le_bytes),
        DType::Float32 => {
            Some(Values::Floats(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect()))
        }
        _ => None,
    }
}

impl<'a> Known<'a> {
    /// Constants, and shapes of states and inputs as the file has them.
    fn new(graph: &'a Graph) -> Self {
        let produced: Vec<TensorId> =
            graph.nodes.iter().flat_map(|node| node.outputs.iter().copied().flatten()).collect();
        let mut known = Self { graph, shapes: vec![], values: vec![] };
        for (i, tensor) in graph.tensors.iter().enumerate() {
            let computed = produced.contains(&TensorId::from_index(i));
            known.shapes.push((!computed).then(|| tensor.dims.clone()));
            known.values.push(tensor.constant().and_then(|bytes| decode(tensor.dtype, bytes)));
        }
        known
    }

    /// Infers node after node; the first operator that leaves an output open although its inputs are known.
    fn walk(&mut self) -> Result<Option<String>> {
        let mut open = None;
        for (i, node) in self.graph.nodes.iter().enumerate() {
            let shapes = infer(node, &NodeView { known: self, node })
                .map_err(|error| format!("node {i} {}: {error}", node.op.name()))?;
            if shapes.len() != node.outputs.len() {
                return Err(format!("node {i} {}: {} shapes", node.op.name(), shapes.len()).into());
            }
            let complete = node.inputs.iter().flatten().all(|input| self.shapes[input.index()].is_some());
            if complete && shapes.contains(&None) {
                open.get_or_insert_with(|| node.op.name().to_owned());
            }
            let folded = self.fold(node);
            for (output, shape) in node.outputs.iter().zip(shapes) {
                let Some(output) = output else { continue };
                self.shapes[output.index()] = shape;
                self.values[output.index()] = folded.clone();
            }
        }
        Ok(open)
    }

    /// The value of a node that speaks of a known shape.
    fn fold(&self, node: &Node) -> Option<Values> {
        let shape = self.shapes.get(node.input(0)?.index())?.as_ref()?;
        match node.op {
            Op::Shape(_) => Some(Values::Ints(shape.iter().map(|&size| size as i64).collect())),
            Op::Rank => Some(Values::Ints(vec![shape.len() as i64])),
            _ => None,
        }
    }
}

/// A pack and its cases.
struct Pack {
    archive: ZipArchive<File>,
    cases: Vec<Json>,
}

impl Pack {
    fn open(path: &Path) -> Result<Self> {
        let mut archive = ZipArchive::new(File::open(path)?)?;
        let list: Json = serde_json::from_slice(&entry(&mut archive, "cases.json")?)?;
        Ok(Self { archive, cases: list["cases"].as_array().ok_or("no cases")?.clone() })
    }
}

fn entry<R: Read + Seek>(archive: &mut ZipArchive<R>, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    archive.by_name(name)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What follows an array's header.
fn npy_data(bytes: &[u8]) -> Option<&[u8]> {
    let length = u16::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    bytes.get(10 + usize::from(length)..)
}

fn shape(json: &Json) -> Result<Vec<usize>> {
    let sizes = json.as_array().ok_or("no shape")?.iter();
    Ok(sizes
        .map(|size| size.as_u64().and_then(|size| usize::try_from(size).ok()).ok_or("no size"))
        .collect::<std::result::Result<_, _>>()?)
}

/// The subgraph that a step runs, with its inputs and outputs in the order of the step's arrays.
fn interface<'a>(program: &'a Program, step: &Json) -> Result<(&'a Graph, Vec<TensorId>, Vec<TensorId>)> {
    let Some(key) = step["signature"].as_str() else {
        let graph = program.graph(SubgraphId(0)).ok_or("no subgraph")?;
        return Ok((graph, graph.inputs.clone(), graph.outputs.clone()));
    };
    let signature = program.signatures.iter().find(|signature| signature.key == key).ok_or("no such signature")?;
    let ids = |list: &[SignatureTensor]| list.iter().map(|entry| entry.tensor).collect();
    let graph = program.graph(signature.subgraph).ok_or("no such subgraph")?;
    Ok((graph, ids(&signature.inputs), ids(&signature.outputs)))
}

/// The operator that kept an output from being inferred, if any; an error where one is not the expected.
fn check(pack: &mut Pack, case: &Json) -> Result<Option<String>> {
    let name = case["name"].as_str().ok_or("no name")?;
    let program = Program::read(Bytes::from(entry(&mut pack.archive, &format!("{name}/model.tflite"))?))?;
    let steps = case["steps"].as_array().ok_or("no steps")?;
    let mut open = None;
    for (s, step) in steps.iter().enumerate() {
        let prefix = if steps.len() > 1 { format!("{name}/s{s}_") } else { format!("{name}/") };
        let (graph, inputs, outputs) = interface(&program, step)?;
        let mut known = Known::new(graph);
        for (k, (id, input)) in inputs.iter().zip(step["inputs"].as_array().ok_or("no inputs")?).enumerate() {
            known.shapes[id.index()] = Some(shape(&input["shape"])?);
            let dtype = graph.tensors[id.index()].dtype;
            if let Ok(array) = entry(&mut pack.archive, &format!("{prefix}in_{k}.npy")) {
                known.values[id.index()] = decode(dtype, npy_data(&array).ok_or("no array")?);
            }
        }
        let first_open = known.walk()?.unwrap_or_default();
        for (k, (id, output)) in outputs.iter().zip(step["outputs"].as_array().ok_or("no outputs")?).enumerate() {
            let expected = shape(&output["shape"])?;
            match &known.shapes[id.index()] {
                Some(found) if *found != expected => {
                    return Err(format!("step {s} output {k} has shape {found:?}, expected {expected:?}").into());
                }
                Some(_) => {}
                None => open = Some(first_open.clone()),
            }
        }
    }
    Ok(open)
}

/// The folder that a variable names, or the one of this name beside the repository.
fn folder(variable: &str, name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    let path = std::env::var_os(variable).map_or_else(beside, PathBuf::from);
    path.is_dir().then_some(path)
}

fn packs() -> Option<PathBuf> {
    folder("TFLITE_WGPU_CONFORMANCE", "conformance")
}

/// The `.tflite` files below a folder.
fn models(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            models(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "tflite") {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether an operator may leave an output open although its inputs' shapes are known.
fn by_kernel(op: &str) -> bool {
    BY_KERNEL.contains(&op) || !BuiltinOperator::ALL.iter().any(|builtin| builtin.name() == op)
}

/// What [`check`] finds in all packs of a folder.
#[derive(Default)]
struct Summary {
    checked: usize,
    unread: usize,
    open: BTreeMap<String, usize>,
    failures: Vec<String>,
}

fn check_all(folder: &Path) -> Result<Summary> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "zip"));
    paths.sort();
    let mut summary = Summary::default();
    for path in paths {
        let mut pack = Pack::open(&path)?;
        let name = path.file_stem().unwrap_or_default().display();
        for case in std::mem::take(&mut pack.cases) {
            match check(&mut pack, &case) {
                Ok(None) => summary.checked += 1,
                Ok(Some(op)) => *summary.open.entry(op).or_default() += 1,
                Err(error) if error.is::<tflite_wgpu_model::Error>() => summary.unread += 1,
                Err(error) => summary.failures.push(format!("{name} {}: {error}", case["name"])),
            }
        }
    }
    Ok(summary)
}

#[test]
fn inferred_shapes_are_the_expected_ones() -> Result<()> {
    let Some(folder) = packs() else {
        println!(
            "SKIPPED inferred_shapes_are_the_expected_ones: no conformance packs, set TFLITE_WGPU_CONFORMANCE to their folder"
        );
        return Ok(());
    };
    let Summary { checked, unread, open, failures } = check_all(&folder)?;
    println!("{checked} cases inferred, {unread} not read, not inferable by operator: {open:?}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(checked >= CHECKED, "{checked} cases checked");
    assert!(unread <= UNREAD, "{unread} cases not read");
    let chains: usize = open.iter().filter(|(op, _)| !by_kernel(op)).map(|(_, count)| count).sum();
    assert!(chains <= CHAINS, "{chains} cases left open by operators whose shapes can be inferred: {open:?}");
    Ok(())
}

#[test]
fn a_wrong_shape_is_noticed() -> Result<()> {
    let Some(folder) = packs() else {
        println!("SKIPPED a_wrong_shape_is_noticed: no conformance packs, set TFLITE_WGPU_CONFORMANCE to their folder");
        return Ok(());
    };
    let mut pack = Pack::open(&folder.join("ADD.zip"))?;
    let mut case = pack.cases.first().ok_or("no case")?.clone();
    assert_eq!(check(&mut pack, &case)?, None);
    case["steps"][0]["outputs"][0]["shape"][0] = 77.into();
    let error = check(&mut pack, &case).err().ok_or("a wrong size passed")?;
    assert!(error.to_string().contains("expected [77"), "{error}");
    Ok(())
}

/// Number of tensors with the file's own shape; what differs is an error. Files may leave out a result's shape, which
/// looks like a scalar's.
fn check_model(graph: &Graph) -> Result<usize> {
    let mut known = Known::new(graph);
    known.walk()?;
    let mut same = 0;
    for (i, node) in graph.nodes.iter().enumerate() {
        for id in node.outputs.iter().flatten() {
            let tensor = &graph.tensors[id.index()];
            let Some(found) = &known.shapes[id.index()] else { continue };
            if *found == tensor.dims {
                same += 1;
            } else if !tensor.dims.is_empty() {
                let (op, expected) = (node.op.name(), &tensor.dims);
                return Err(format!("node {i} {op} {:?}: {found:?}, the file has {expected:?}", tensor.name).into());
            }
        }
    }
    Ok(same)
}

#[test]
fn whole_models_have_the_shapes_of_their_files() -> Result<()> {
    let Some(folder) = folder("TFLITE_WGPU_MODELS", "models") else {
        println!(
            "SKIPPED whole_models_have_the_shapes_of_their_files: no models, set TFLITE_WGPU_MODELS to their folder"
        );
        return Ok(());
    };
    let mut files = Vec::new();
    models(&folder, &mut files)?;
    let (mut tensors, mut failures) = (0, Vec::new());
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        // What is read and what is refused is the reader's own test.
        let Ok(program) = Program::open(&path) else { continue };
        for graph in &program.subgraphs {
            match check_model(graph) {
                Ok(same) => tensors += same,
                Err(_) if CONTRADICTORY.contains(&name.as_ref()) => {}
                Err(error) => failures.push(format!("{name}: {error}")),
            }
        }
    }
    println!("{tensors} tensors inferred");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(tensors >= TENSORS, "{tensors} tensors inferred");
    Ok(())
}
