//! Checks the order of nodes and the calls between subgraphs.

use crate::{
    Data, Error, Graph, NodeId, Program, SubgraphId, TensorId,
    error::{Fault, position},
};

/// Every input of a node is there before the node runs.
pub(super) fn check_order(id: SubgraphId, graph: &Graph) -> Result<(), Error> {
    let mut ready: Vec<bool> = graph.tensors.iter().map(|t| t.data != Data::Computed).collect();
    let mark = |tensor: TensorId, ready: &mut Vec<bool>| {
        if let Some(ready) = ready.get_mut(tensor.index()) {
            *ready = true;
        }
    };
    graph.inputs.iter().for_each(|&input| mark(input, &mut ready));
    for (i, node) in graph.nodes.iter().enumerate() {
        for (k, input) in node.inputs.iter().enumerate() {
            let Some(input) = *input else { continue };
            if !ready.get(input.index()).is_some_and(|&r| r) {
                let name = graph.tensors.get(input.index()).map_or("", |t| &t.name);
                let fault = Fault::new(
                    format!("input {k}"),
                    format!("tensor {input} {name:?}, which has no value yet"),
                    "an input, a constant, a variable or an earlier node's output",
                );
                return Err(fault.in_node(id, NodeId::from_index(i), node.op.name()));
            }
        }
        node.outputs.iter().flatten().for_each(|&output| mark(output, &mut ready));
    }
    Ok(())
}

/// Every subgraph that a node calls exists, and none calls itself, however indirectly.
pub(super) fn check_calls(program: &Program) -> Result<(), Error> {
    let mut calls = Vec::new();
    for (g, graph) in program.subgraphs.iter().enumerate() {
        let mut callees = Vec::new();
        for (n, node) in graph.nodes.iter().enumerate() {
            for index in node.op.called_subgraphs() {
                let callee = position("subgraph", index, program.subgraphs.len())
                    .map_err(|f| f.in_node(SubgraphId::from_index(g), NodeId::from_index(n), node.op.name()))?;
                callees.push(callee);
            }
        }
        calls.push(callees);
    }
    match find_cycle(&calls) {
        None => Ok(()),
        Some(graph) => {
            let fault = Fault::new("calls", "a call that leads back to it", "no recursion");
            Err(fault.in_subgraph(SubgraphId::from_index(graph)))
        }
    }
}

/// A subgraph on a cycle of calls. Without recursion: a chain of calls may be as long as a file.
fn find_cycle(calls: &[Vec<usize>]) -> Option<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; calls.len()];
    let mut stack: Vec<(usize, usize)> = Vec::new();
    for root in 0..calls.len() {
        if states.get(root) != Some(&State::New) {
            continue;
        }
        stack.push((root, 0));
        while let Some((graph, next)) = stack.pop() {
            if let Some(state) = states.get_mut(graph) {
                *state = State::Open;
            }
            match calls.get(graph).and_then(|c| c.get(next)) {
                Some(&callee) => {
                    stack.push((graph, next + 1));
                    match states.get(callee) {
                        Some(State::Open) => return Some(callee),
                        Some(State::New) => stack.push((callee, 0)),
                        _ => {}
                    }
                }
                None => {
                    if let Some(state) = states.get_mut(graph) {
                        *state = State::Done;
                    }
                }
            }
        }
    }
    None
}
