//! What must hold of a program before it runs, whoever made it.

use tflite_wgpu_model::{Graph, Node, NodeId, Program, SubgraphId, TensorId};

use super::{
    calls::{Call, callees},
    quant,
};
use crate::error::{Error, TensorAt};

/// Subgraphs that may be nested; each takes stack.
const MAX_DEPTH: usize = 64;

/// Checks every index of a program, the calls between its subgraphs, and that none calls itself.
pub(super) fn check(program: &Program) -> Result<(), Error> {
    if program.subgraphs.is_empty() {
        return Err(Error::program("the program", "no subgraph", "at least one"));
    }
    for (i, graph) in program.subgraphs.iter().enumerate() {
        let id = SubgraphId::from_index(i);
        tensors(graph, &format!("subgraph {id}"), "input", graph.inputs.iter().copied())?;
        tensors(graph, &format!("subgraph {id}"), "output", graph.outputs.iter().copied())?;
        for (n, node) in graph.nodes.iter().enumerate() {
            check_node(program, id, graph, NodeId::from_index(n), node)?;
        }
        check_quantisation(id, graph)?;
    }
    for signature in &program.signatures {
        let place = format!("signature {:?}", signature.key);
        let Some(graph) = program.graph(signature.subgraph) else {
            return Err(beyond(&place, "subgraph", signature.subgraph.0, program.subgraphs.len()));
        };
        tensors(graph, &place, "input", signature.inputs.iter().map(|t| t.tensor))?;
        tensors(graph, &place, "output", signature.outputs.iter().map(|t| t.tensor))?;
    }
    check_depth(program)
}

/// The quantisation of every tensor that something uses.
fn check_quantisation(id: SubgraphId, graph: &Graph) -> Result<(), Error> {
    let of_nodes =
        graph.nodes.iter().flat_map(|node| node.inputs.iter().chain(&node.outputs).chain(&node.intermediates));
    let mut used = vec![false; graph.tensors.len()];
    for tensor in of_nodes.flatten().chain(&graph.inputs).chain(&graph.outputs) {
        used.get_mut(tensor.index()).into_iter().for_each(|used| *used = true);
    }
    for (t, tensor) in graph.tensors.iter().enumerate().filter(|(t, tensor)| used[*t] && tensor.quant.is_some()) {
        let place = TensorAt::new(id, TensorId::from_index(t), Some(tensor)).to_string();
        quant::check(&place, tensor, graph.tensors.len())?;
    }
    Ok(())
}

fn beyond(place: &str, what: &str, index: impl std::fmt::Display, count: usize) -> Error {
    Error::program(place, format!("{what} {index}"), format!("less than {count}"))
}

fn tensors(graph: &Graph, place: &str, what: &str, ids: impl Iterator<Item = TensorId>) -> Result<(), Error> {
    let count = graph.tensors.len();
    match ids.into_iter().find(|id| id.index() >= count) {
        Some(id) => Err(beyond(place, &format!("{what} tensor"), id, count)),
        None => Ok(()),
    }
}

fn check_node(program: &Program, id: SubgraphId, graph: &Graph, n: NodeId, node: &Node) -> Result<(), Error> {
    let place = format!("subgraph {id} node {n} {}", node.op.name());
    tensors(graph, &place, "input", node.inputs.iter().copied().flatten())?;
    tensors(graph, &place, "output", node.outputs.iter().copied().flatten())?;
    tensors(graph, &place, "intermediate", node.intermediates.iter().copied().flatten())?;
    for (index, call) in callees(node) {
        let called = usize::try_from(index).ok().and_then(|i| program.subgraphs.get(i));
        let Some(called) = called else {
            return Err(beyond(&place, "subgraph", index, program.subgraphs.len()));
        };
        check_call(&place, node, called, call)?;
    }
    Ok(())
}

/// The numbers of inputs and results of a call; types are seen when it runs.
fn check_call(place: &str, node: &Node, called: &Graph, call: Call) -> Result<(), Error> {
    let (inputs, outputs) = match call {
        Call::Region => return Ok(()),
        Call::Initialiser => (0, 0),
        Call::Condition => (node.inputs.len(), 1),
        Call::Branch { skip } => (node.inputs.len().saturating_sub(skip), node.outputs.len()),
    };
    if called.inputs.len() != inputs {
        let found = format!("a subgraph of {} inputs", called.inputs.len());
        return Err(Error::program(place, found, format!("{inputs}")));
    }
    if called.outputs.len() != outputs {
        let found = format!("a subgraph of {} outputs", called.outputs.len());
        return Err(Error::program(place, found, format!("{outputs}")));
    }
    Ok(())
}

/// Longest chain of calls: subgraphs are taken off as soon as all they call are; what remains calls itself.
fn check_depth(program: &Program) -> Result<(), Error> {
    let called: Vec<Vec<usize>> = program
        .subgraphs
        .iter()
        .map(|graph| graph.nodes.iter().flat_map(callees).filter_map(|(i, _)| usize::try_from(i).ok()).collect())
        .collect();
    let mut depth: Vec<Option<usize>> = vec![None; called.len()];
    loop {
        let mut changed = false;
        for (i, callees) in called.iter().enumerate() {
            if depth[i].is_some() {
                continue;
            }
            let below = callees.iter().map(|&c| depth.get(c).copied().flatten()).collect::<Option<Vec<_>>>();
            if let Some(below) = below {
                let levels = below.iter().max().map_or(1, |d| d + 1);
                if levels > MAX_DEPTH {
                    return Err(Error::program(format!("subgraph {i}"), "too many calls in calls", MAX_DEPTH));
                }
                depth[i] = Some(levels);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    match depth.iter().position(Option::is_none) {
        Some(i) => Err(Error::program(format!("subgraph {i}"), "a call of itself", "calls of other subgraphs")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::{CallOptions, Op};

    use super::*;

    fn call(subgraph: u32) -> Graph {
        let node = Node {
            op: Op::Call(CallOptions { subgraph }),
            version: 1,
            inputs: Vec::new(),
            outputs: Vec::new(),
            intermediates: Vec::new(),
        };
        Graph { nodes: vec![node], ..Graph::default() }
    }

    fn message(subgraphs: Vec<Graph>) -> Option<String> {
        check(&Program { subgraphs, ..Program::default() }).err().map(|error| error.to_string())
    }

    #[test]
    fn calls_are_checked() {
        assert_eq!(message(vec![call(1), Graph::default()]), None);
        let beyond = "subgraph 0 node 0 CALL has subgraph 2, expected less than 2";
        assert_eq!(message(vec![call(2), Graph::default()]).as_deref(), Some(beyond));
        let itself = "subgraph 0 has a call of itself, expected calls of other subgraphs";
        assert_eq!(message(vec![call(1), call(0)]).as_deref(), Some(itself));
    }

    #[test]
    fn deep_chains_are_refused() {
        let chain = |n: u32| (1..n).map(call).chain([Graph::default()]).collect::<Vec<_>>();
        assert_eq!(message(chain(64)), None);
        assert!(message(chain(65)).is_some_and(|text| text.contains("too many calls")));
    }

    #[test]
    fn indices_beyond_their_list_are_named() {
        let graph = Graph { inputs: vec![TensorId(3)], ..Graph::default() };
        let text = "subgraph 0 has input tensor 3, expected less than 0";
        assert_eq!(message(vec![graph]).as_deref(), Some(text));
    }
}
