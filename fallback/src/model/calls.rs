//! Which operators call subgraphs, and which must keep their order.

use tflite_wgpu_model::{Node, Op};

/// How a node calls a subgraph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// With the node's inputs from this one on; the subgraph's results are the node's.
    Branch {
        /// Inputs that only choose the branch.
        skip: usize,
    },
    /// With the node's inputs; the result is one BOOL.
    Condition,
    /// Without inputs and results.
    Initialiser,
    /// As the operator's own kernel sees fit (the body of a reduction, the comparator of a sort).
    Region,
}

/// The subgraphs that a node calls, as the file numbers them.
pub(crate) fn callees(node: &Node) -> Vec<(i64, Call)> {
    let branch = |skip, indices: &[i32]| indices.iter().map(|&i| (i.into(), Call::Branch { skip })).collect();
    let region = |index: i32| vec![(index.into(), Call::Region)];
    match &node.op {
        Op::If(o) => branch(1, &[o.then_subgraph_index, o.else_subgraph_index]),
        Op::StablehloCase(o) => branch(1, &o.branch_subgraph_indices),
        Op::Call(o) => vec![(o.subgraph.into(), Call::Branch { skip: 0 })],
        Op::StablehloComposite(o) => branch(0, &[o.decomposition_subgraph_index]),
        Op::CallOnce(o) => vec![(o.init_subgraph_index.into(), Call::Initialiser)],
        Op::While(o) => while_loop(o.cond_subgraph_index, o.body_subgraph_index),
        Op::StablehloWhile(o) => while_loop(o.cond_subgraph_index, o.body_subgraph_index),
        Op::StablehloReduce(o) => region(o.body_subgraph_index),
        Op::StablehloReduceWindow(o) => region(o.body_subgraph_index),
        Op::StablehloSort(o) => region(o.comparator_subgraph_index),
        Op::StablehloScatter(o) => region(o.update_computation_subgraph_index),
        _ => Vec::new(),
    }
}

fn while_loop(condition: i32, body: i32) -> Vec<(i64, Call)> {
    vec![(condition.into(), Call::Condition), (body.into(), Call::Branch { skip: 0 })]
}

/// Whether the interpreter itself runs an operator: control flow and resources.
pub fn is_interpreted(op: &Op) -> bool {
    let control = matches!(
        op,
        Op::If(_)
            | Op::While(_)
            | Op::Call(_)
            | Op::CallOnce(_)
            | Op::StablehloComposite(_)
            | Op::StablehloCase(_)
            | Op::StablehloWhile(_)
    );
    control || is_resource(op)
}

/// Whether an operator works on variables or tables that have a name.
pub(crate) fn is_resource(op: &Op) -> bool {
    matches!(
        op,
        Op::VarHandle(_)
            | Op::ReadVariable
            | Op::AssignVariable
            | Op::Hashtable(_)
            | Op::HashtableFind
            | Op::HashtableImport
            | Op::HashtableSize
    )
}

/// Whether a node changes or reads what lies outside its tensors, so that it keeps its place among such nodes.
pub(crate) fn has_side_effect(node: &Node) -> bool {
    let random = matches!(node.op, Op::RandomUniform(_) | Op::RandomStandardNormal(_) | Op::Multinomial(_));
    is_interpreted(&node.op) || random || matches!(node.op, Op::Custom { .. })
}
