//! `cargo xtask expect`: how many nodes of each model our own partitioner gives to the GPU, for comparison with what the
//! delegate takes inside another runtime.
//!
//! A host shows the nodes behind a delegate only through the values that it gets from there, so those nodes are counted
//! whose results an output needs. In f16, a comparison makes outputs of what goes into the first discrete operators
//! instead of what comes out behind them, and what lies behind is then needed by nothing.

use crate::process;
use crate::workspace::{MAIN_PACKAGE, Workspace};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where models are and what is asked about them.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of `.tflite` files, searched as a whole
    models: PathBuf,
    /// The file to write: for each model's path below the folder, the nodes of its first subgraph that are on the GPU and
    /// that an output needs; in f16 the outputs before discrete operators
    #[arg(long)]
    out: PathBuf,
    /// How floats are stored
    #[arg(long, default_value = "f16")]
    precision: String,
    /// The command line that was built before, instead of building it
    #[arg(long)]
    program: Option<PathBuf>,
}

/// Asks `inspect --plan` about every model, and writes what it says; a model that cannot run is left out.
pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let program = arguments.program.clone().map_or_else(|| build(workspace), Ok)?;
    let mut models = Vec::new();
    collect(&arguments.models, &mut models)?;
    ensure!(!models.is_empty(), "no .tflite file below {}", arguments.models.display());
    models.sort();
    let mut counts = Map::new();
    for model in &models {
        let name = model.strip_prefix(&arguments.models).unwrap_or(model).to_string_lossy().into_owned();
        match ask(&program, model, &arguments.precision) {
            Ok(count) => drop(counts.insert(name, count.into())),
            Err(error) => println!("left out {name}: {error:#}"),
        }
    }
    println!("{} of {} models", counts.len(), models.len());
    let text = serde_json::to_string_pretty(&counts)?;
    fs::write(&arguments.out, text + "\n").with_context(|| format!("writing {}", arguments.out.display()))?;
    Ok(!counts.is_empty())
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    process::checked(workspace.cargo().args(["build", "--bin", MAIN_PACKAGE]))?;
    Ok(workspace.target_dir.join("debug").join(format!("{MAIN_PACKAGE}{EXE_SUFFIX}")))
}

/// The models below a folder.
fn collect(folder: &Path, models: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("models in {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, models)?;
        } else if path.extension().is_some_and(|extension| extension == "tflite") {
            models.push(path);
        }
    }
    Ok(())
}

/// Nodes of a model's first subgraph on the GPU.
fn ask(program: &Path, model: &Path, precision: &str) -> Result<usize> {
    let mut inspect = Command::new(program);
    inspect.args(["inspect", "--plan", "--json", "--device", "gpu", "--precision", precision]).arg(model);
    let answer: Json = serde_json::from_str(&process::output(&mut inspect)?)?;
    if let Some(failure) = answer["plan"]["invoke_failure"].as_str() {
        anyhow::bail!("{failure}");
    }
    let cut = precision != "f32";
    count(&answer, cut)
}

/// Nodes of the first subgraph on the GPU that what is compared needs; `cut`: before discrete operators.
fn count(answer: &Json, cut: bool) -> Result<usize> {
    let places = answer["plan"]["nodes"].as_array().context("the plan has no nodes")?;
    let nodes = Nodes::read(&answer["subgraphs"][0]).context("the first subgraph is not described")?;
    let compared = if cut { nodes.before_discrete() } else { nodes.outputs.clone() };
    let needed = nodes.behind(&compared);
    let on_gpu = |place: &&Json| place["subgraph"] == 0 && place["device"] == "gpu";
    let number = |place: &Json| place["node"].as_u64().and_then(|number| usize::try_from(number).ok());
    Ok(places.iter().filter(on_gpu).filter_map(number).filter(|number| needed.contains(number)).count())
}

/// Operators whose results jump where their inputs are a little different, as a comparison inside another runtime has them:
/// the counts are its counts. `tests/models` follows the goldens' rules, which name others.
const DISCRETE: [&str; 18] = [
    "ARG_MAX",
    "ARG_MIN",
    "CEIL",
    "EQUAL",
    "FLOOR",
    "FLOOR_DIV",
    "FLOOR_MOD",
    "GREATER",
    "GREATER_EQUAL",
    "LESS",
    "LESS_EQUAL",
    "NON_MAX_SUPPRESSION_V4",
    "NON_MAX_SUPPRESSION_V5",
    "NOT_EQUAL",
    "ROUND",
    "TOPK_V2",
    "UNIQUE",
    "WHERE",
];
/// What is in the names of such operators that are custom ones.
const DISCRETE_CUSTOM: [&str; 4] = ["postprocess", "nms", "nonmaxsuppression", "argmax"];

struct Node {
    operator: String,
    inputs: Vec<u64>,
    outputs: Vec<u64>,
}

/// A subgraph as `inspect` describes it.
struct Nodes {
    nodes: Vec<Node>,
    inputs: Vec<u64>,
    outputs: Vec<u64>,
    /// Of each tensor: whether it has floats, whether it is a constant.
    tensors: Vec<(bool, bool)>,
}

impl Nodes {
    fn read(subgraph: &Json) -> Option<Self> {
        let ids = |list: &Json| Some(list.as_array()?.iter().filter_map(Json::as_u64).collect::<Vec<_>>());
        let node = |node: &Json| {
            let operator = node["op"].as_str()?.to_owned();
            Some(Node { operator, inputs: ids(&node["inputs"])?, outputs: ids(&node["outputs"])? })
        };
        let tensor = |tensor: &Json| {
            let is_float = matches!(tensor["dtype"].as_str()?, "FLOAT32" | "FLOAT16");
            Some((is_float, tensor["role"] == "constant"))
        };
        Some(Self {
            nodes: subgraph["nodes"].as_array()?.iter().map(node).collect::<Option<_>>()?,
            inputs: ids(&subgraph["inputs"])?,
            outputs: ids(&subgraph["outputs"])?,
            tensors: subgraph["tensors"].as_array()?.iter().map(tensor).collect::<Option<_>>()?,
        })
    }

    fn tensor(&self, id: u64) -> (bool, bool) {
        usize::try_from(id).ok().and_then(|id| self.tensors.get(id)).copied().unwrap_or_default()
    }

    fn is_discrete(&self, node: &Node) -> bool {
        let name = node.operator.to_lowercase();
        let is_float = |id: Option<&u64>| id.is_some_and(|id| self.tensor(*id).0);
        match node.operator.as_str() {
            "CAST" => is_float(node.inputs.first()) && !is_float(node.outputs.first()),
            builtin if builtin.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') => {
                DISCRETE.contains(&builtin)
            }
            _ => DISCRETE_CUSTOM.iter().any(|part| name.contains(part)),
        }
    }

    /// Outputs that no discrete operator decides over, and the floats that go into the first of those operators; all
    /// outputs where that leaves nothing.
    fn before_discrete(&self) -> Vec<u64> {
        let (mut decided, mut before) = (BTreeSet::new(), Vec::new());
        for node in &self.nodes {
            let is_behind = node.inputs.iter().any(|id| decided.contains(id));
            let is_discrete = self.is_discrete(node);
            if is_discrete && !is_behind {
                let computed = |id: &&u64| self.tensor(**id) == (true, false) && !self.inputs.contains(id);
                before.extend(node.inputs.iter().filter(computed).copied());
            }
            if is_discrete || is_behind {
                decided.extend(node.outputs.iter().copied());
            }
        }
        if !self.outputs.iter().any(|id| decided.contains(id)) {
            return self.outputs.clone();
        }
        before.extend(self.outputs.iter().filter(|id| !decided.contains(id)).copied());
        if before.is_empty() { self.outputs.clone() } else { before }
    }

    /// Nodes without whose results these tensors cannot be had.
    fn behind(&self, tensors: &[u64]) -> BTreeSet<usize> {
        let mut wanted: BTreeSet<u64> = tensors.iter().copied().collect();
        let mut needed = BTreeSet::new();
        // Nodes are in an order in which they can run.
        for (number, node) in self.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|id| wanted.contains(id)) {
                needed.insert(number);
                wanted.extend(node.inputs.iter().copied());
            }
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Four nodes in a row, of which the third is discrete, and one that nothing needs.
    fn described(third: &str) -> Json {
        let node = |op: &str, from: u32, to: u32| json!({ "op": op, "inputs": [from, null], "outputs": [to] });
        let tensor = |dtype: &str| json!({ "dtype": dtype, "role": "computed" });
        json!({
            "inputs": [0],
            "outputs": [4],
            "nodes": [node("ADD", 0, 1), node("MUL", 1, 2), node(third, 2, 3), node("RESHAPE", 3, 4), node("ADD", 1, 5)],
            "tensors": [tensor("FLOAT32"), tensor("FLOAT32"), tensor("FLOAT32"), tensor("INT32"), tensor("INT32"),
                tensor("FLOAT32")],
        })
    }

    fn answer(third: &str, devices: [&str; 5]) -> Json {
        let place = |(number, device): (usize, &&str)| json!({ "subgraph": 0, "node": number, "device": device });
        let mut places: Vec<Json> = devices.iter().enumerate().map(place).collect();
        places.push(json!({ "subgraph": 1, "node": 0, "device": "gpu" }));
        json!({ "subgraphs": [described(third)], "plan": { "nodes": places } })
    }

    #[test]
    fn nodes_of_the_first_subgraph_on_the_gpu_that_an_output_needs_count() -> Result<()> {
        assert_eq!(count(&answer("NEG", ["gpu"; 5]), true)?, 4);
        assert_eq!(count(&answer("NEG", ["gpu", "gpu", "cpu", "gpu", "gpu"]), true)?, 3);
        assert_eq!(count(&answer("NEG", ["cpu"; 5]), true)?, 0);
        assert!(count(&json!({ "plan": {} }), true).is_err());
        assert!(count(&json!({ "plan": { "nodes": [] } }), true).is_err());
        Ok(())
    }

    #[test]
    fn in_f16_nodes_behind_discrete_operators_do_not_count() -> Result<()> {
        for discrete in ["TOPK_V2", "CAST", "TFLite_Detection_PostProcess"] {
            assert_eq!(count(&answer(discrete, ["gpu"; 5]), true)?, 2, "{discrete}");
            assert_eq!(count(&answer(discrete, ["gpu"; 5]), false)?, 4, "{discrete}");
        }
        Ok(())
    }
}
